//! Keeping the stand-ins up, for people and for clients that are not ours.

use std::{
    fs,
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Keychain,
    drill::{self, Agent},
    keychain, say,
};
use crate::{ClusterHandle, Device, DeviceOptions, Error, Job, Line, Rehearsal, Unlocking, sigv4::sha256_hex};

/// What is typed to cut the device's power.
const POWER_CUT: &str = "power-cut";

/// What stands for all that there are.
const ALL: &str = "all";

/// How long the device takes to start again: long enough to be seen off.
const BOOT: Duration = Duration::from_secs(5);

/// What there is, and what the line to AWS and the devices are like; `tests/bench` measures under several.
#[derive(Args)]
pub(super) struct Conditions {
    /// As many delivered jobs, each with its device, to open as a pallet
    #[arg(long, value_name = "COUNT", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=2000))]
    devices: u16,
    /// Nodes of the cluster
    #[arg(long, value_name = "N", default_value_t = 3)]
    nodes: usize,
    /// What a device takes to unlock, in milliseconds
    #[arg(long, value_name = "MS", default_value_t = 100)]
    unlocking: u64,
    /// What each request to AWS takes, in milliseconds, by way of a proxy
    #[arg(long, value_name = "MS")]
    round_trip: Option<u64>,
    /// Of a thousand pieces from AWS, so many are lost
    #[arg(long, value_name = "N", default_value_t = 0, requires = "round_trip")]
    lost: u16,
    /// The same pieces are lost for the same seed
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
}

impl Conditions {
    fn device(&self) -> DeviceOptions {
        DeviceOptions { unlocking: Unlocking::For(Duration::from_millis(self.unlocking)), ..DeviceOptions::default() }
    }

    fn line(&self) -> Option<Line> {
        let round_trip = Duration::from_millis(self.round_trip?);
        Some(Line { round_trip, lost_per_mille: self.lost, seed: self.seed })
    }
}

/// Serves until Ctrl-C, and has removed by the agent what its runs stored; or with `json` until stdin closes, for a program, which
/// removes what it has had stored.
pub(super) fn serve(
    json: bool,
    conditions: &Conditions,
    keychain: Option<Keychain>,
    agent: Option<PathBuf>,
) -> Result<(), Error> {
    let rehearsal = Rehearsal::builder()
        .pallet(conditions.devices.into(), conditions.device())
        .job(Job::new().state("InTransitToCustomer").description(Some("On its way")))
        .job(Job::new().state("PreparingAppliance").description(Some("Not ready")))
        .cluster(Job::new().job_type("LOCAL_USE").snowball_type("EDGE_C"), conditions.nodes)
        .export(Job::new(), 2)
        .start()?;
    let cluster = rehearsal.start_cluster(&rehearsal.clusters()[0], |_| conditions.device())?;
    let plan = rehearsal.root().join("plan.csv");
    let row = |device: &Device| format!("{},{}\n", device.job_id(), device.endpoint());
    // Under any umask a file that nobody else can change: the agent takes no other plan.
    let mut draft = tempfile::NamedTempFile::new_in(rehearsal.root())?;
    draft.write_all(rehearsal.devices().iter().map(row).collect::<String>().as_bytes())?;
    draft.persist(&plan).map_err(|error| error.error)?;
    let mut variables = rehearsal.env();
    if let Some(line) = conditions.line() {
        rehearsal.proxy()?.set_line(line);
        variables.push(("HTTPS_PROXY", rehearsal.proxy()?.url()));
    }
    let mut chosen = None;
    let (end, ended) = mpsc::channel();
    let interrupted = end.clone();
    rehearsal.runtime().spawn(async move {
        interrupt().await;
        let _ = interrupted.send(());
    });
    if json {
        say(&describe(&rehearsal, variables, keychain, &plan, &cluster).to_string());
        thread::spawn(move || {
            // Closed or broken, either way nobody is left who wants us.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
    } else {
        let (keychain, reasons) = keychain.map_or_else(keychain::choose, |wanted| (wanted, Vec::new()));
        chosen = Some(keychain);
        explain(&rehearsal, (keychain, &reasons), variables, &plan, &cluster);
        let mut there =
            There { devices: rehearsal.devices().to_vec(), cluster: cluster.id().to_owned(), nodes: Vec::new() };
        there.nodes.extend_from_slice(cluster.nodes());
        // Where nothing can be typed, the input is over at once, and nothing comes of it.
        thread::spawn(move || io::stdin().lines().map_while(Result::ok).for_each(|line| say(&typed(&line, &there))));
    }
    // The signal's task holds the other end for as long as the servers run.
    let _ = ended.recv();
    if let Some(keychain) = chosen {
        say(&forget(&rehearsal, keychain, agent.or_else(drill::find)));
    }
    Ok(())
}

/// Has the agent remove what its runs stored, in the keychain as well, which outlives the stand-ins. Tells what is left to do.
fn forget(rehearsal: &Rehearsal, keychain: Keychain, agent: Option<PathBuf>) -> String {
    let state = drill::state_folder(rehearsal, keychain);
    let jobs = fs::read_dir(state.join("jobs")).into_iter().flatten().flatten();
    let jobs: Vec<String> = jobs.filter_map(|job| job.file_name().into_string().ok()).collect();
    if jobs.is_empty() {
        return "Everything is removed.".to_owned();
    }
    // A folder that is named: the codes of its jobs, and no others that the keychain has.
    let args = ["forget", "--all", "--yes", "--state-dir", &state.to_string_lossy()].map(str::to_owned);
    let run =
        |program: PathBuf| Agent { program: &program, rehearsal, keychain }.run(&args.each_ref().map(String::as_str));
    let is_done = agent.is_some_and(|program| run(program).is_ok_and(|status| status.success()));
    let lines =
        || jobs.iter().map(|job| format!("\nsnow-onboard forget {job} --keychain {keychain}")).collect::<String>();
    match (is_done, keychain) {
        (true, Keychain::Kernel) => format!(
            "\nThe kernel's keyring is one of a login session. If yours is another one in the terminal of the runs, type there:\n{}",
            lines()
        ),
        (true, _) => "\nEverything is removed.".to_owned(),
        (false, _) => format!("\nThe keychain may still have what the runs stored. To remove that:\n{}", lines()),
    }
}

/// What has a power cord here.
struct There {
    devices: Vec<Device>,
    cluster: String,
    nodes: Vec<Device>,
}

/// Does what was typed, and tells what came of it.
fn typed(line: &str, there: &There) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let all = || there.devices.iter().chain(&there.nodes);
    let devices: Vec<&Device> = match words[..] {
        [POWER_CUT] => there.devices.iter().take(1).collect(),
        [POWER_CUT, ALL] => all().collect(),
        [POWER_CUT, cluster] if cluster == there.cluster => there.nodes.iter().collect(),
        [POWER_CUT, job] => all().filter(|device| device.job_id() == job).collect(),
        [] => return String::new(),
        _ => return format!("Type “{POWER_CUT}” to cut the device's power, or Ctrl-C to end."),
    };
    let Some(first) = devices.first() else { return format!("There is no device of {} here.", words[1..].join(" ")) };
    devices.iter().for_each(|device| device.power_loss_for(BOOT));
    let is_node = there.nodes.iter().any(|node| node.job_id() == first.job_id());
    let is_all = words.get(1) == Some(&ALL);
    let id = if is_all {
        "--all"
    } else if is_node {
        &there.cluster
    } else {
        first.job_id()
    };
    let subject = if is_all || devices.len() > 1 { "The devices have" } else { "The device has" };
    let seconds = BOOT.as_secs();
    format!("{subject} no power. It is back in {seconds} seconds, and LOCKED:\n\nsnow-onboard unlock {id}\n")
}

/// Completes when somebody wants the program to end.
pub(super) async fn interrupt() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminated) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// What the agent is told by variables of its own.
fn of_agent(rehearsal: &Rehearsal, keychain: Keychain) -> Vec<(&'static str, String)> {
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let mut variables = vec![
        ("SNOW_ONBOARD_CA_BUNDLE", path(rehearsal.ca_bundle())),
        ("SNOW_ONBOARD_CLIENT", path(rehearsal.client_path())),
    ];
    if keychain != Keychain::System {
        variables.push(("SNOW_ONBOARD_KEYCHAIN", keychain.to_string()));
    }
    variables
}

fn explain(
    rehearsal: &Rehearsal,
    (keychain, reasons): (Keychain, &[String]),
    mut variables: Vec<(&str, String)>,
    plan: &Path,
    cluster: &ClusterHandle,
) {
    let shell = if cfg!(windows) { "another PowerShell window" } else { "another terminal" };
    say(&format!("The stand-ins are up. In {shell}, to be led by the hand:\n"));
    variables.extend(of_agent(rehearsal, keychain));
    for (name, value) in variables {
        say(&set_variable(name, &value, cfg!(windows)));
    }
    say("snow-onboard\n");
    reasons.iter().for_each(|reason| say(reason));
    let (job, endpoint) = (rehearsal.job(), rehearsal.device().endpoint());
    say(&format!("The device's display says {endpoint}, and its label {}.", job.id()));
    say(&format!("The same without questions:\n\nsnow-onboard run {} --endpoint {endpoint}\n", job.id()));
    // A plan stores each code before it unlocks a device.
    if rehearsal.devices().len() > 1 && keychain == Keychain::None {
        say(&format!("A plan needs a keychain, and none was chosen; it would be {}.\n", plan.display()));
    } else if rehearsal.devices().len() > 1 {
        say(&format!("All the devices at once, by a plan:\n\nsnow-onboard run --plan {}\n", plan.display()));
    }
    say("Other jobs of the account:");
    for job in rehearsal.jobs().iter().skip(rehearsal.devices().len()) {
        say(&format!("  {}  {}", job.id(), job.state()));
    }
    let addresses = cluster.addresses();
    say(&format!("\nThe cluster {} is opened by all its nodes' addresses: {}", cluster.id(), addresses.join(" ")));
    say(&format!(
        "\nTo cut a device's power, which locks it, type here, with the id of its job or cluster, or “{ALL}”:\n\n{POWER_CUT} {}",
        job.id()
    ));
    say("\nCtrl-C ends it and removes everything.");
}

fn describe(
    rehearsal: &Rehearsal,
    variables: Vec<(&str, String)>,
    keychain: Option<Keychain>,
    plan: &Path,
    cluster: &ClusterHandle,
) -> Value {
    // What is measured or tried has settings of its own. Where no keychain is named, none is looked for.
    let of_agent = of_agent(rehearsal, keychain.unwrap_or(Keychain::System));
    let devices: Vec<Value> = rehearsal
        .devices()
        .iter()
        .map(|device| json!({ "id": device.job_id(), "device_endpoint": device.endpoint() }))
        .collect();
    let jobs: Vec<Value> = rehearsal
        .jobs()
        .iter()
        .map(|job| {
            let manifest = job.manifest();
            json!({
                "id": job.id(),
                "state": job.state(),
                "unlock_code": job.unlock_code(),
                "manifest_size": manifest.len(),
                "manifest_sha256": sha256_hex(&manifest),
            })
        })
        .collect();
    json!({
        "endpoint_url": rehearsal.endpoint_url(),
        "bucket_url": rehearsal.bucket_url(),
        "device_endpoint": rehearsal.device().endpoint(),
        "plan": plan,
        "ca_bundle": rehearsal.ca_bundle(),
        "access_key": rehearsal.access_key(),
        "secret_key": rehearsal.secret_key(),
        "session_token": rehearsal.session_token(),
        "region": rehearsal.region(),
        "client": rehearsal.client_path(),
        "env": variables.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "agent_env": of_agent.into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "jobs": jobs,
        "devices": devices,
        "clusters": rehearsal.clusters(),
        "cluster_addresses": cluster.addresses(),
    })
}

/// The line that sets a variable, for PowerShell or for a POSIX shell.
fn set_variable(name: &str, value: &str, powershell: bool) -> String {
    if powershell {
        return format!("$env:{name} = '{}'", value.replace('\'', "''"));
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:".contains(c);
    let value = if value.chars().all(plain) { value.to_owned() } else { format!("'{}'", value.replace('\'', r"'\''")) };
    format!("export {name}={value}")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_power_cut_is_typed_and_nothing_else_cuts_it() {
        let rehearsal = Rehearsal::builder().start().unwrap();
        let device = rehearsal.device();
        let there =
            There { devices: rehearsal.devices().to_vec(), cluster: "CID1".to_owned(), nodes: vec![device.clone()] };
        for (line, told) in [("", ""), ("help", "Type “power-cut”"), ("power-cut JID1", "no device of JID1")] {
            assert!(typed(line, &there).contains(told), "{line}");
            assert!(std::net::TcpStream::connect(device.address()).is_ok(), "{line}");
        }
        let told = typed("power-cut CID1", &there);
        assert!(told.contains("snow-onboard unlock CID1"), "{told}");
        assert_eq!(device.state(), crate::State::Booting);
    }

    #[test]
    fn a_program_is_told_the_agent_s_variables_apart_from_those_of_any_sdk() {
        let cluster = Job::new().job_type("LOCAL_USE").snowball_type("EDGE_C");
        let rehearsal = Rehearsal::builder().cluster(cluster, 3).start().unwrap();
        let nodes = rehearsal.start_cluster(&rehearsal.clusters()[0], |_| DeviceOptions::default()).unwrap();
        let told = describe(&rehearsal, rehearsal.env(), Some(Keychain::None), Path::new("plan.csv"), &nodes);
        let of_agent = |key: &str| {
            let names = told[key].as_object().unwrap().keys();
            names.filter(|name| name.starts_with("SNOW_ONBOARD_")).cloned().collect::<Vec<_>>()
        };
        assert_eq!(of_agent("agent_env"), ["SNOW_ONBOARD_CA_BUNDLE", "SNOW_ONBOARD_CLIENT", "SNOW_ONBOARD_KEYCHAIN"]);
        assert_eq!(of_agent("env"), [""; 0], "what is measured has settings of its own");
    }

    #[test]
    fn at_the_end_what_was_stored_is_removed_or_named() {
        let rehearsal = Rehearsal::builder().start().unwrap();
        assert_eq!(forget(&rehearsal, Keychain::Kernel, None), "Everything is removed.");
        let state = drill::state_folder(&rehearsal, Keychain::Kernel);
        fs::create_dir_all(state.join("jobs").join("JID1")).unwrap();
        let told = forget(&rehearsal, Keychain::Kernel, None);
        assert!(told.contains("may still have") && told.contains("forget JID1 --keychain kernel"), "{told}");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let agent = rehearsal.root().join("agent");
            fs::write(&agent, "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$XDG_STATE_HOME/args\"\n").unwrap();
            fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
            let told = forget(&rehearsal, Keychain::System, Some(agent.clone()));
            assert_eq!(told.trim(), "Everything is removed.");
            let args = fs::read_to_string(rehearsal.state_home().join("args")).unwrap();
            assert_eq!(args, format!("forget\n--all\n--yes\n--state-dir\n{}\n", state.display()));
            let told = forget(&rehearsal, Keychain::Kernel, Some(agent));
            assert!(told.contains("login session") && told.contains("forget JID1 --keychain kernel"), "{told}");
        }
    }

    #[test]
    fn quotes_what_a_shell_would_take_apart() {
        let posix = |value| set_variable("A", value, false);
        assert_eq!(posix("/a/b-c.pem"), "export A=/a/b-c.pem");
        assert_eq!(posix("/a b"), "export A='/a b'");
        assert_eq!(posix("it's"), r"export A='it'\''s'");
        assert_eq!(set_variable("A", r"C:\Users\it's $me", true), r"$env:A = 'C:\Users\it''s $me'");
    }
}
