//! Keeping the stand-ins up, for people and for clients that are not ours.

use std::{
    io::{self, Read},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::{Value, json};

use super::{Keychain, keychain, say};
use crate::{Device, Error, Job, Rehearsal, sigv4::sha256_hex};

/// What is typed to cut the device's power.
const POWER_CUT: &str = "power-cut";

/// How long the device takes to start again: long enough to be seen off.
const BOOT: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C, or with `json` until stdin closes.
pub(super) fn serve(json: bool, keychain: Option<Keychain>) -> Result<(), Error> {
    let rehearsal = Rehearsal::builder()
        .job(Job::new())
        .job(Job::new().state("InTransitToCustomer").description(Some("On its way")))
        .job(Job::new().state("PreparingAppliance").description(Some("Not ready")))
        .cluster(Job::new().job_type("LOCAL_USE").snowball_type("EDGE_C"), 3)
        .export(Job::new(), 2)
        .start()?;
    let (end, ended) = mpsc::channel();
    let interrupted = end.clone();
    rehearsal.runtime().spawn(async move {
        interrupt().await;
        let _ = interrupted.send(());
    });
    if json {
        say(&describe(&rehearsal).to_string());
        thread::spawn(move || {
            // Closed or broken, either way nobody is left who wants us.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
    } else {
        explain(&rehearsal, keychain);
        let device = rehearsal.device().clone();
        // Where nothing can be typed, the input is over at once, and nothing comes of it.
        thread::spawn(move || io::stdin().lines().map_while(Result::ok).for_each(|line| say(&typed(&line, &device))));
    }
    // The signal's task holds the other end for as long as the servers run.
    let _ = ended.recv();
    Ok(())
}

/// Does what was typed, and tells what came of it.
fn typed(line: &str, device: &Device) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    match words[..] {
        [POWER_CUT] => {}
        [POWER_CUT, job] if job == device.job_id() => {}
        [POWER_CUT, job] => return format!("There is no device of {job} here."),
        [] => return String::new(),
        _ => return format!("Type “{POWER_CUT}” to cut the device's power, or Ctrl-C to end."),
    }
    device.power_loss_for(BOOT);
    let (job, seconds) = (device.job_id(), BOOT.as_secs());
    format!("The device has no power. It is on again in {seconds} seconds, and LOCKED:\n\nsnow-onboard unlock {job}\n")
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

fn explain(rehearsal: &Rehearsal, wanted: Option<Keychain>) {
    let shell = if cfg!(windows) { "another PowerShell window" } else { "another terminal" };
    say(&format!("The stand-ins are up. In {shell}, to be led by the hand:\n"));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (keychain, reasons) = wanted.map_or_else(keychain::choose, |wanted| (wanted, Vec::new()));
    let mut variables = rehearsal.env();
    variables.push(("SNOW_ONBOARD_CA_BUNDLE", path(rehearsal.ca_bundle())));
    variables.push(("SNOW_ONBOARD_CLIENT", path(rehearsal.client_path())));
    if keychain != Keychain::System {
        variables.push(("SNOW_ONBOARD_KEYCHAIN", keychain.to_string()));
    }
    for (name, value) in variables {
        say(&set_variable(name, &value, cfg!(windows)));
    }
    say("snow-onboard\n");
    reasons.iter().for_each(|reason| say(reason));
    let (job, endpoint) = (rehearsal.job(), rehearsal.device().endpoint());
    say(&format!("The device's display says {endpoint}, and its label {}.", job.id()));
    say(&format!("The same without questions:\n\nsnow-onboard run {} --endpoint {endpoint}\n", job.id()));
    say("Other jobs of the account:");
    for job in rehearsal.jobs().iter().skip(1) {
        say(&format!("  {}  {}", job.id(), job.state()));
    }
    say(&format!("\nTo cut the device's power, which locks it, type here:\n\n{POWER_CUT}"));
    say("\nCtrl-C ends it and removes everything.");
}

fn describe(rehearsal: &Rehearsal) -> Value {
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
        "ca_bundle": rehearsal.ca_bundle(),
        "access_key": rehearsal.access_key(),
        "secret_key": rehearsal.secret_key(),
        "session_token": rehearsal.session_token(),
        "region": rehearsal.region(),
        "client": rehearsal.client_path(),
        "env": rehearsal.env().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "jobs": jobs,
        "clusters": rehearsal.clusters(),
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
        for (line, told) in [("", ""), ("help", "Type “power-cut”"), ("power-cut JID1", "no device of JID1")] {
            assert!(typed(line, device).contains(told), "{line}");
            assert!(std::net::TcpStream::connect(device.endpoint()).is_ok(), "{line}");
        }
        let told = typed(&format!("power-cut {}", device.job_id()), device);
        assert!(told.contains(&format!("snow-onboard unlock {}", device.job_id())), "{told}");
        assert_eq!(device.state(), crate::State::Locked);
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
