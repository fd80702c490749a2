//! What another user of the machine can read: nothing of it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use snow_rehearsal::{ClientOptions, Rehearsal, Trick};

use crate::process::{guard_of, is_root_or_rerun};
use crate::stage::{Running, Stage};
use crate::table;

/// Nobody has this number.
const STRANGER: u32 = 54_321;

/// What `cat` gives of a file when that user calls it; for a folder, `ls`.
fn as_stranger(path: &Path) -> Output {
    let mut command = Command::new(if path.is_dir() { "ls" } else { "cat" });
    command.arg(path).uid(STRANGER).gid(STRANGER).current_dir("/").stdin(Stdio::null());
    command.output().unwrap()
}

/// All there is below a folder, and the folder.
fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut all = vec![folder.to_owned()];
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        all.extend(if path.is_dir() { below(&path) } else { vec![path] });
    }
    all
}

#[test]
fn another_user_reads_nothing() {
    if !is_root_or_rerun("other_user::another_user_reads_nothing") {
        return;
    }
    let hangs = ClientOptions::default().trick(snow_rehearsal::Command::DescribeDevice, Trick::Hang);
    let stage = Stage::with_keyring(Rehearsal::builder().client(hangs));
    // The way there is open to everyone, so that only what the agent made itself can be what is closed.
    let state = stage.rehearsal.state_home();
    for folder in [stage.rehearsal.root(), state] {
        fs::set_permissions(folder, Permissions::from_mode(0o755)).unwrap();
    }
    let open = state.join("open");
    fs::write(&open, "planted").unwrap();
    fs::set_permissions(&open, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(as_stranger(&open).stdout, b"planted", "a control: an open file beside it is read");
    let control = fs::read_dir(state).unwrap().count();
    assert!(as_stranger(state).status.success(), "and so is its folder");

    let agent = Running::start(stage.run().stdout(Stdio::null()).stderr(Stdio::null()));
    let home = stage.wait_for_client("describe-device").user_home;
    let kept = below(&state.join("snow-onboard"));
    for part in ["record.json", "_manifest.bin", "audit.jsonl"] {
        assert!(kept.iter().any(|path| path.to_string_lossy().ends_with(part)), "{part} is among them");
    }
    let private = below(&home);
    assert!(private.iter().any(|path| path.ends_with("snowball-edge.config")), "and the profile with the code");

    let mut read = 0;
    for path in kept.iter().chain(&private) {
        let output = as_stranger(path);
        if output.status.success() || !output.stdout.is_empty() {
            println!("  {}", path.display());
            read += 1;
        }
    }
    let place = format!("{} files and folders, read as another user", kept.len() + private.len());
    table::none("anything", &place, read, control);

    for (name, pid) in [("agent", agent.id()), ("guard", guard_of(agent.id()))] {
        let mut read = 0;
        for file in ["mem", "environ", "maps", "auxv", "io"] {
            read += as_stranger(Path::new(&format!("/proc/{pid}/{file}"))).stdout.len();
        }
        table::none(
            "anything",
            &format!("memory, environment and mappings of the {name}, as another user"),
            read,
            control,
        );
        let line = as_stranger(Path::new(&format!("/proc/{pid}/cmdline"))).stdout;
        // Everyone may see this one; there must be nothing in it to see.
        table::none(
            "code",
            &format!("command line of the {name}, as another user"),
            stage.code().count(&line),
            line.len(),
        );
    }
}
