//! Laying out the vendor's folder, and finding our program to put into it.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

use super::{ClientOptions, Invocation, StandIn};

/// The folder that the vendor's archive unpacks to.
const TREE: &str = "snowball-client-linux-1.2.0-661";
const LOG: &str = "snowballEdge-invocations.jsonl";
const BINARY: &str = "snow-rehearsal-client";

/// Where the sources are, for a program that was built to be run there. One that was built to be installed names no
/// folder of the machine that built it, and never calls cargo.
const CHECKOUT: Option<&str> = match option_env!("SNOW_REHEARSAL_PACKAGED") {
    None => Some(env!("CARGO_MANIFEST_DIR")),
    Some(_) => None,
};

/// The vendor's launcher is a shell script that starts the bundled JVM; it finds it from its own place, links followed.
const LAUNCHER: &str = r#"#!/bin/sh
@SIGNALS@app=$0
while [ -h "$app" ]; do
  link=$(readlink "$app")
  case $link in
    /*) app=$link ;;
    *) app=${app%/*}/$link ;;
  esac
done
exec "${app%/*}/../jre/bin/java" @OPTIONS@ "$@"
"#;

/// Lays out `snowball-client-linux-1.2.0-661/` in `dir` and gives the launcher's path. Writable for nobody else.
///
/// # Errors
/// If the program can't be found or built, or the folder can't be written.
pub fn install_client(dir: &Path, options: &ClientOptions) -> io::Result<PathBuf> {
    let tree = dir.join(TREE);
    let (bin, lib) = (tree.join("bin"), tree.join("lib"));
    let (jre_bin, jre_lib) = (tree.join("jre").join("bin"), tree.join("jre").join("lib"));
    for folder in [&tree, &bin, &lib, &tree.join("jre"), &jre_bin, &jre_lib] {
        fs::create_dir_all(folder)?;
        mode(folder, 0o755)?;
    }
    let own_home = options.own_home.clone().unwrap_or_else(|| dir.join("client-home"));
    fs::create_dir_all(&own_home)?;
    let stand_in = StandIn { options: options.clone(), own_home, log: dir.join(LOG) };
    write(&jre_lib.join("stand-in.json"), &serde_json::to_vec_pretty(&stand_in)?, 0o644)?;
    write(&lib.join("snowball-client-1.2.0.jar"), super::INVENTED.as_bytes(), 0o644)?;

    let program = client_binary()?;
    if cfg!(windows) {
        let launcher = bin.join("snowballEdge.exe");
        place(&program, &launcher)?;
        place(&program, &jre_bin.join("java.exe"))?;
        return Ok(launcher);
    }
    place(&program, &jre_bin.join("java"))?;
    let quoted = options.launcher_options.iter().map(|option| format!("'{}'", option.replace('\'', r"'\''")));
    let script = LAUNCHER
        .replace("@OPTIONS@", &quoted.collect::<Vec<_>>().join(" "))
        .replace("@SIGNALS@", if options.ignores_hang_up { "trap '' HUP\n" } else { "" });
    let (launcher, draft) = (bin.join("snowballEdge"), dir.join("snowballEdge.draft"));
    fs::write(&draft, script)?;
    copy(&draft, &launcher)?;
    fs::remove_file(draft)?;
    Ok(launcher)
}

/// What the client installed in `dir` was started with so far, oldest first.
///
/// # Errors
/// If the log can't be read; one that does not exist yet is empty.
pub fn invocations(dir: &Path) -> io::Result<Vec<Invocation>> {
    match fs::read_to_string(dir.join(LOG)) {
        Ok(text) => text.lines().map(|line| Ok(serde_json::from_str(line)?)).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}

/// The program that plays the JVM: beside the caller's own in the build folder, else built there, once.
///
/// # Errors
/// If it is not there and cargo does not make it.
pub fn client_binary() -> io::Result<PathBuf> {
    static FOUND: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| find_or_build().map_err(|error| error.to_string()));
    found.clone().map_err(io::Error::other)
}

fn find_or_build() -> io::Result<PathBuf> {
    let folder = build_folder()?;
    let program = folder.join(format!("{BINARY}{}", env::consts::EXE_SUFFIX));
    if !program.is_file() {
        let checkout = is_filled_by_cargo(&folder, &program)?;
        cargo_build(checkout, &folder, &["-p", "snow-rehearsal", "--bins"])?;
    }
    if program.is_file() {
        return Ok(program);
    }
    Err(io::Error::other(format!("{} is not there, and building it did not put it there", program.display())))
}

/// `target/<profile>`, whether the caller is a program there, or a test or an example in a folder below.
pub(crate) fn build_folder() -> io::Result<PathBuf> {
    let exe = env::current_exe()?;
    let folder = exe.parent().unwrap_or(Path::new("."));
    let below = folder.ends_with("deps") || folder.ends_with("examples");
    Ok(if below { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}

/// The checkout that fills `folder`, or what is missing beside a program that is not where it was built.
pub(crate) fn is_filled_by_cargo(folder: &Path, missing: &Path) -> io::Result<&'static Path> {
    match CHECKOUT {
        Some(checkout) if folder.parent().is_some_and(|target| target.join("CACHEDIR.TAG").is_file()) => {
            Ok(Path::new(checkout))
        }
        _ => Err(io::Error::other(format!(
            "{} is not there. Install snow-onboard and snow-onboard-rehearsal, or copy the three programs snow-onboard, \
             snow-rehearsal and snow-rehearsal-client into one folder.",
            missing.display()
        ))),
    }
}

/// Runs `cargo build` for the profile that fills `folder`. Its output goes to stderr.
pub(crate) fn cargo_build(checkout: &Path, folder: &Path, what: &[&str]) -> io::Result<()> {
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(other) => other,
    };
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.arg("build").args(what).args(["--profile", profile]).current_dir(checkout);
    if let Some(target) = folder.parent().filter(|target| target.join("CACHEDIR.TAG").is_file()) {
        cargo.arg("--target-dir").arg(target);
    }
    // What cargo tells the program that it runs is nothing to tell a cargo within: build scripts watch these variables
    // (ring's does), and everything above them would be built anew, this very program included.
    let about_the_caller =
        |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_"].iter().any(|start| name.starts_with(start));
    for (name, _) in env::vars_os().filter(|(name, _)| name.to_str().is_some_and(about_the_caller)) {
        cargo.env_remove(name);
    }
    let status = cargo.stdin(Stdio::null()).stdout(Stdio::null()).status()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("cargo build {} failed", what.join(" ")))) }
}

/// A link where that will do, else a copy. On Windows always a copy: a program that runs can't be removed there under
/// any of its names. Also a copy of what the build left writable for a group, which an installation is not.
fn place(program: &Path, at: &Path) -> io::Result<()> {
    if at.exists() {
        fs::remove_file(at)?;
    }
    if private(program)? && fs::hard_link(program, at).is_ok() {
        return Ok(());
    }
    copy(program, at)
}

/// Copies a program, on Unix by way of another process: were it written by this one, then a child that some other
/// thread is just starting would hold it open for writing until its own `exec`, and nobody could run it ("text file
/// busy").
fn copy(program: &Path, at: &Path) -> io::Result<()> {
    if cfg!(windows) {
        return fs::copy(program, at).map(|_| ());
    }
    let status = Command::new("cp").arg(program).arg(at).stdin(Stdio::null()).status()?;
    if !status.success() {
        return Err(io::Error::other(format!("{} can't be copied to {}", program.display(), at.display())));
    }
    mode(at, 0o755)
}

fn write(path: &Path, bytes: &[u8], bits: u32) -> io::Result<()> {
    fs::write(path, bytes)?;
    mode(path, bits)
}

#[cfg(unix)]
fn mode(path: &Path, bits: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(bits))
}

/// Whether nobody else may write to it.
#[cfg(unix)]
fn private(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(fs::metadata(path)?.permissions().mode() & 0o022 == 0)
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn private(_: &Path) -> io::Result<bool> {
    Ok(false)
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps)]
fn mode(_: &Path, _: u32) -> io::Result<()> {
    Ok(())
}
