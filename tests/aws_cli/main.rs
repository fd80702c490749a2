//! The agent beside the AWS CLI: the same files, variables and flags for both, and the stand-in tells whose key and which region
//! each of them signed with. What the CLI does is found out when the test runs; the rows know it of no case.

#![cfg(unix)]
#![allow(clippy::unwrap_used)]

mod rows;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rows::{Row, Than};
use snow_rehearsal::{Claim, Rehearsal};

/// Each start of the CLI takes most of a second of a processor.
const AT_ONCE: usize = 4;
const PATIENCE: Duration = Duration::from_secs(120);

/// What one of the two did.
#[derive(Debug, PartialEq, Eq)]
enum Did {
    /// It asked for the jobs, as this, after it had asked for these roles.
    Asked(Claim, Vec<String>),
    /// It asked nothing.
    Refused,
}

#[test]
fn the_agent_has_the_identity_and_the_region_of_the_aws_cli() {
    let cli = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/boto3/bin/aws");
    if !cli.exists() {
        snow_rehearsal::skipped("the AWS CLI is not in target/boto3, where tests/run puts it");
        return;
    }
    let rows = rows::all();
    assert!(rows.len() >= 40, "{}", rows.len());
    let (next, findings) = (Mutex::new(rows.iter()), Mutex::new(Vec::new()));
    let take = || next.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(row) = take() {
                    if let Err(finding) = compare(&cli, row) {
                        findings.lock().unwrap().push(format!("{}: {finding}", row.what));
                    }
                }
            });
        }
    });
    let findings = findings.into_inner().unwrap();
    assert!(findings.is_empty(), "{} of {} rows:\n{}", findings.len(), rows.len(), findings.join("\n"));
}

/// Lets both run with one row.
fn compare(cli: &Path, row: &Row) -> Result<(), String> {
    let world = Rehearsal::builder().start().unwrap();
    let folder = world.home().join(".aws");
    std::fs::create_dir_all(&folder).unwrap();
    let fill = |text: &str| {
        text.replace("{endpoint}", &world.endpoint_url())
            .replace("{ca}", &world.ca_bundle().to_string_lossy())
            .replace("{home}", &world.home().to_string_lossy())
            .replace("{key}", world.access_key())
            .replace("{secret}", world.secret_key())
    };
    for (name, content) in &row.files {
        let path = world.home().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let content = std::str::from_utf8(content).map_or_else(|_| content.clone(), |text| fill(text).into_bytes());
        std::fs::write(path, content).unwrap();
    }
    std::fs::copy(world.ca_bundle(), world.home().join("ca.pem")).unwrap();
    let mut variables = vec![
        ("HOME", "{home}".to_owned()),
        ("AWS_CA_BUNDLE", "{ca}".to_owned()),
        ("AWS_ENDPOINT_URL", "{endpoint}".to_owned()),
        // What neither is to look for, and would wait for long.
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ];
    for (name, value) in &row.variables {
        variables.retain(|(known, _)| known != name);
        variables.extend(value.map(|value| (*name, value.to_owned())));
    }
    let start = |program: &Path, args: &[&str], more: &[(&str, PathBuf)]| {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", "/usr/bin:/bin").args(args).args(&row.args);
        command.envs(variables.iter().map(|(name, value)| (name, fill(value))));
        command.envs(more.iter().map(|(name, value)| (name, value)));
        let before = world.requests().len();
        let (exit, said) = ended(command);
        let asked = world.requests().split_off(before);
        let roles = asked.iter().filter_map(|asked| asked.role.as_deref()).map(without_own_name).collect();
        let claim = asked.into_iter().filter(|asked| asked.operation == "ListJobs").find_map(|asked| asked.claim);
        (claim.map_or(Did::Refused, |claim| Did::Asked(claim, roles)), exit, said)
    };
    let (cli, _, cli_said) = start(cli, &["snowball", "list-jobs"], &[("AWS_MAX_ATTEMPTS", "1".into())]);
    let places = [("XDG_STATE_HOME", world.state_home()), ("XDG_RUNTIME_DIR", world.runtime_dir())];
    let places = places.map(|(name, path)| (name, path.to_owned()));
    let agent = Path::new(env!("CARGO_BIN_EXE_snow-onboard"));
    let (agent, exit, agent_said) = start(agent, &["jobs", "--keychain", "none"], &places);
    let story = || format!("the CLI: {cli:?} {cli_said}; the agent: {agent:?}, exit {exit:?}: {agent_said}");
    // A proxy that is not there is nothing that the settings alone tell.
    let has_proxy = row.variables.iter().any(|(name, _)| *name == "HTTPS_PROXY");
    let code_fits = if has_proxy { exit == Some(5) } else { matches!(exit, Some(3 | 4)) };
    let refused = agent == Did::Refused && code_fits && !agent_said.is_empty();
    let is_right = match &row.than {
        Than::Same if cli == Did::Refused => refused,
        Than::Same => agent == cli,
        // Each a difference that is meant: the day it goes, the row is to say so.
        Than::Works(_) => cli == Did::Refused && matches!(agent, Did::Asked(..)),
        Than::Refuses(_) => cli != Did::Refused && refused,
        Than::Region(region, _) => match (&cli, &agent) {
            (Did::Asked(its, _), Did::Asked(ours, _)) => its.key == ours.key && its != ours && ours.region == *region,
            (Did::Refused, Did::Asked(ours, _)) => ours.region == *region,
            _ => false,
        },
    };
    if is_right { Ok(()) } else { Err(story()) }
}

/// A role without the name of a session that nobody chose: it ends in a time.
fn without_own_name(role: &str) -> String {
    let is_own = |word: &&str| {
        let time = word.strip_prefix("RoleSessionName=").and_then(|name| name.rsplit_once('-'));
        !time.is_some_and(|(_, time)| time.len() > 8 && time.bytes().all(|byte| byte.is_ascii_digit()))
    };
    role.split(' ').filter(is_own).collect::<Vec<_>>().join(" ")
}

/// The exit code and the last lines of what is said.
fn ended(mut command: Command) -> (Option<i32>, String) {
    let mut said = tempfile::tempfile().unwrap();
    let output = || Stdio::from(said.try_clone().unwrap());
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(output()).spawn().unwrap();
    let begun = Instant::now();
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status.code(),
            None if begun.elapsed() > PATIENCE => {
                child.kill().unwrap();
                child.wait().unwrap();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    use std::io::{Read as _, Seek as _};
    let mut bytes = Vec::new();
    said.rewind().unwrap();
    said.read_to_end(&mut bytes).unwrap();
    (status, String::from_utf8_lossy(&bytes).trim().lines().collect::<Vec<_>>().join(" / "))
}
