//! `client` with every command that the vendor documents, as if it had been started alone.

use std::fs;

use snow_rehearsal::Rehearsal;

use crate::agent::{Agent, Ended, files_with};
use crate::keyring_bus::{Keyring, KeyringBus};
use crate::secret_service::on_the_bus;

/// The command as the guide has it, and a part of what it says. Those that unlock or belong to a cluster are tried elsewhere.
const COMMANDS: &[(&str, &str)] = &[
    ("version", "client version:"),
    ("help", "describe-device"),
    ("list-access-keys", "AccessKeyIds"),
    ("get-secret-access-key --access-key-id {key}", "aws_secret_access_key = "),
    ("list-certificates", "CertificateArn"),
    ("get-certificate --certificate-arn {arn}", "BEGIN CERTIFICATE"),
    ("list-services", "ServiceIds"),
    ("describe-service --service-id s3", "ACTIVE"),
    (
        "start-service --service-id s3-snow --virtual-network-interface-arns arn:aws:snowball-device:::interface/s.ni-8EXAMPLE",
        "Starting",
    ),
    ("stop-service --service-id s3-snow", "Stopping"),
    ("describe-features", "RemoteManagementState"),
    ("set-features --remote-management-state INSTALLED_AUTOSTART", "INSTALLED_AUTOSTART"),
    ("describe-device-software", "Installed version: 101\nInstalling version: 102\n"),
    ("check-for-updates", "LatestVersion"),
    ("download-updates --uri file:///tmp/updates", "Download"),
    ("install-updates", "Installation"),
    ("reboot-device", "Rebooting"),
    (
        "create-virtual-network-interface --physical-network-interface-id s.ni-8d0ef958ec860ac7c --ip-address-assignment STATIC --static-ip-address-configuration IpAddress=192.0.2.20,Netmask=255.255.255.0",
        "VirtualNetworkInterfaceArn",
    ),
    ("describe-virtual-network-interfaces", "VirtualNetworkInterfaces"),
    (
        "update-virtual-network-interface --virtual-network-interface-arn arn:x --ip-address-assignment DHCP",
        "VirtualNetworkInterface",
    ),
    ("delete-virtual-network-interface --virtual-network-interface-arn arn:x", ""),
    ("list-logs", "LogIds"),
    ("get-log --log-id s.log-EXAMPLE", "saved"),
    ("get-support-logs", "saved"),
];

/// Those that work while the device is locked.
const WHILE_LOCKED: &[(&str, &str)] = &[
    ("describe-device", "DeviceId"),
    ("describe-device --profile snow-onboard", "LOCKED"),
    ("describe-time-sources", "Sources"),
    ("update-time-servers 192.0.2.123 time.example.com", "time servers"),
    ("get-app-qr-code --output-file qr.png", "QR code is saved to qr.png"),
];

#[test]
fn each_documented_command_says_and_leaves_what_it_would_alone() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    on_the_bus(Agent::run(&rehearsal, &[]), &bus).end().done();
    let (job, folder) = (rehearsal.job(), tempfile::tempdir().unwrap());
    let id = job.id();
    let client = |line: &str| {
        let agent = Agent::new(&rehearsal, ["client", id]).arg("--client").arg(rehearsal.client_path()).arg("--");
        let agent = line.split(' ').fold(agent, Agent::arg);
        let mut command = on_the_bus(agent, &bus).into_command();
        Ended::from(command.current_dir(folder.path()).output().unwrap())
    };
    let word_after = |said: &str, before: &str| {
        let rest = said.split_once(before).unwrap_or_else(|| panic!("{said}")).1;
        rest.split('"').next().unwrap().to_owned()
    };
    let key = word_after(&client("list-access-keys").stdout, "\"AccessKeyIds\" : [ \"");
    let arn = word_after(&client("list-certificates").stdout, "\"CertificateArn\" : \"");
    for (line, says) in COMMANDS.iter().chain(WHILE_LOCKED) {
        let line = line.replace("{key}", &key).replace("{arn}", &arn);
        let ended = client(&line);
        assert_eq!((ended.status.code(), ended.stderr.as_str()), (Some(0), ""), "{line}");
        assert!(ended.stdout.contains(says), "{line}: {}", ended.stdout);
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap()).collect();
    let logs = left.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with("snowball-edge-logs-"));
    let lengths: Vec<u64> = logs.map(|log| log.metadata().unwrap().len()).collect();
    assert_eq!((lengths, left.len()), (vec![100_000; 2], 3), "two logs and a picture, in the caller's folder");
    assert!(files_with(folder.path(), &rehearsal.job().unlock_code()).is_empty());

    rehearsal.device().power_loss();
    for (line, says) in WHILE_LOCKED {
        assert!(client(line).done().stdout.contains(says), "{line}");
    }
    let ended = client("get-support-logs");
    assert_eq!(ended.status.code(), Some(1), "the client's own");
    assert!(ended.stderr.contains("reports LOCKED"), "{}", ended.stderr);
}

/// What asks for the code, to store it in clear, is not run, whatever follows it.
#[test]
fn configure_is_refused_with_the_reason_before_anything_is_started() {
    let rehearsal = Rehearsal::builder().start().unwrap();
    let bus = KeyringBus::start(Keyring::Unlocked);
    let job = rehearsal.job();
    let id = job.id();
    on_the_bus(Agent::new(&rehearsal, ["fetch", id]), &bus).end().done();
    for more in [&[][..], &["--profile", "x"], &["--help"]] {
        let agent = Agent::new(&rehearsal, ["client", id]).arg("--client").arg(rehearsal.client_path()).arg("--");
        let agent = ["configure"].iter().chain(more).fold(agent, Agent::arg);
        on_the_bus(agent, &bus).end().failed(125, "stores it unencrypted");
    }
    assert!(rehearsal.client_invocations().unwrap().is_empty());
}
