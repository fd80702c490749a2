//! Keeping the stand-ins up, for people and for clients that are not ours.

use std::{
    io::{self, Read, Write},
    path::Path,
    sync::mpsc,
    thread,
};

use serde_json::{Value, json};

use super::{Keychain, keychain, say};
use crate::{ClusterHandle, Device, DeviceOptions, Error, Job, Rehearsal, sigv4::sha256_hex};

/// Serves until Ctrl-C, or with `json` until stdin closes.
pub(super) fn serve(json: bool, devices: usize) -> Result<(), Error> {
    let rehearsal = Rehearsal::builder()
        .pallet(devices, DeviceOptions::default())
        .job(Job::new().state("InTransitToCustomer").description(Some("On its way")))
        .job(Job::new().state("PreparingAppliance").description(Some("Not ready")))
        .cluster(Job::new().job_type("LOCAL_USE").snowball_type("EDGE_C"), 3)
        .export(Job::new(), 2)
        .start()?;
    let cluster = rehearsal.start_cluster(&rehearsal.clusters()[0], |_| DeviceOptions::default())?;
    let plan = rehearsal.root().join("plan.csv");
    let row = |device: &Device| format!("{},{}\n", device.job_id(), device.endpoint());
    // Under any umask a file that nobody else can change: the agent takes no other plan.
    let mut draft = tempfile::NamedTempFile::new_in(rehearsal.root())?;
    draft.write_all(rehearsal.devices().iter().map(row).collect::<String>().as_bytes())?;
    draft.persist(&plan).map_err(|error| error.error)?;
    let (end, ended) = mpsc::channel();
    let interrupted = end.clone();
    rehearsal.runtime().spawn(async move {
        interrupt().await;
        let _ = interrupted.send(());
    });
    if json {
        say(&describe(&rehearsal, &plan, &cluster).to_string());
        thread::spawn(move || {
            // Closed or broken, either way nobody is left who wants us.
            let _ = io::stdin().read_to_end(&mut Vec::new());
            let _ = end.send(());
        });
    } else {
        explain(&rehearsal, &plan, &cluster);
    }
    // The signal's task holds the other end for as long as the servers run.
    let _ = ended.recv();
    Ok(())
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

fn explain(rehearsal: &Rehearsal, plan: &Path, cluster: &ClusterHandle) {
    let shell = if cfg!(windows) { "another PowerShell window" } else { "another terminal" };
    say(&format!("The stand-ins are up. In {shell}, to be led by the hand:\n"));
    let path = |path: &Path| path.to_string_lossy().into_owned();
    let (keychain, reasons) = keychain::choose();
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
    if rehearsal.devices().len() > 1 {
        say(&format!("All the devices at once, by a plan:\n\nsnow-onboard run --plan {}\n", plan.display()));
    }
    say("Other jobs of the account:");
    for job in rehearsal.jobs().iter().skip(rehearsal.devices().len()) {
        say(&format!("  {}  {}", job.id(), job.state()));
    }
    let addresses = cluster.addresses();
    say(&format!("\nThe cluster {} is opened by all its nodes' addresses: {}", cluster.id(), addresses.join(" ")));
    say("\nCtrl-C ends it and removes everything.");
}

fn describe(rehearsal: &Rehearsal, plan: &Path, cluster: &ClusterHandle) -> Value {
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
        "env": rehearsal.env().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "jobs": jobs,
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
mod tests {
    use super::*;

    #[test]
    fn quotes_what_a_shell_would_take_apart() {
        let posix = |value| set_variable("A", value, false);
        assert_eq!(posix("/a/b-c.pem"), "export A=/a/b-c.pem");
        assert_eq!(posix("/a b"), "export A='/a b'");
        assert_eq!(posix("it's"), r"export A='it'\''s'");
        assert_eq!(set_variable("A", r"C:\Users\it's $me", true), r"$env:A = 'C:\Users\it''s $me'");
    }
}
