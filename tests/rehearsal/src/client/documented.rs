//! Documented commands for which the device needs no state of its own here: what they say, and the files that they leave in the
//! folder they were started in. Their own options are taken as they come.

use std::{
    fs,
    process::ExitCode,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{
    INVENTED, StandIn,
    args::Options,
    commands::{self, Failure},
    output::{Output, report_parse_error},
};

/// What a command leaves behind.
#[derive(Clone, Copy)]
enum Leaves {
    Nothing,
    /// `snowball-edge-logs-<epoch>.bin` in the current folder.
    Logs,
    /// A picture, where `--output-file` says.
    QrCode,
}

struct Documented {
    name: &'static str,
    works_while_locked: bool,
    says: &'static str,
    leaves: Leaves,
}

const fn open(name: &'static str, says: &'static str) -> Documented {
    Documented { name, works_while_locked: false, says, leaves: Leaves::Nothing }
}

/// Names and forms from the guide's pages on the client, updates, services, network interfaces and time servers; the words of
/// short messages, which those pages leave out, are invented.
const ALL: [Documented; 17] = [
    open(
        "describe-device-software",
        "Installed version: 101\nInstalling version: 102\nInstall State: Downloading\nCertificateExpiry : Thur Jan 01 00:00:00 UTC 1970",
    ),
    open("download-updates", "[invented] Download started."),
    open("install-updates", "[invented] Installation started."),
    open("reboot-device", "[invented] Rebooting the device."),
    open("set-features", "{ \"RemoteManagementState\" : \"INSTALLED_AUTOSTART\" }"),
    open("start-service", "[invented] Starting the service. describe-service tells its status."),
    open("stop-service", "[invented] Stopping the service. describe-service tells its status."),
    open(
        "create-virtual-network-interface",
        "{ \"VirtualNetworkInterface\" : { \"VirtualNetworkInterfaceArn\" : \"arn:aws:snowball-device:::interface/s.ni-8EXAMPLE8EXAMPLE8\" } }",
    ),
    open("describe-virtual-network-interfaces", "{ \"VirtualNetworkInterfaces\" : [ ] }"),
    open("update-virtual-network-interface", "{ \"VirtualNetworkInterface\" : { } }"),
    open("delete-virtual-network-interface", ""),
    open("list-logs", "{ \"LogIds\" : [ \"s.log-EXAMPLE\" ] }"),
    Documented { leaves: Leaves::Logs, ..open("get-log", "[invented] The log is saved.") },
    Documented { leaves: Leaves::Logs, ..open("get-support-logs", "[invented] The logs are saved.") },
    Documented { leaves: Leaves::QrCode, works_while_locked: true, ..open("get-app-qr-code", "QR code is saved to") },
    Documented { works_while_locked: true, ..open("describe-time-sources", "{ \"Sources\" : [ ] }") },
    Documented { works_while_locked: true, ..open("update-time-servers", "[invented] Updating the time servers.") },
];

/// Runs the command that this line names. `None` if it is none of these.
pub(super) fn run(stand_in: &StandIn, home: &std::path::Path, args: &[String]) -> Option<ExitCode> {
    let command = ALL.iter().find(|command| args.first().is_some_and(|name| name == command.name))?;
    commands::log(home, &format!("{INVENTED} {}", command.name));
    Some(match command.run(stand_in, home, &args[1..]) {
        Ok(said) => {
            Output::new(false).line(&said);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            commands::log(home, &failure.text);
            report_parse_error(&failure.text);
            ExitCode::FAILURE
        }
    })
}

impl Documented {
    fn run(&self, stand_in: &StandIn, home: &std::path::Path, args: &[String]) -> Result<String, Failure> {
        let value = |name: &str| args.iter().skip_while(|arg| *arg != name).nth(1).cloned();
        let options = Options {
            endpoint: value("--endpoint"),
            manifest_file: value("--manifest-file"),
            unlock_code: value("--unlock-code"),
            profile: value("--profile"),
            ..Options::default()
        };
        let state = commands::state_of_device(stand_in, home, options)?;
        if state != "UNLOCKED" && !self.works_while_locked {
            return Err(Failure::new(&format!("{} needs a device that is UNLOCKED; it is {state}", self.name)));
        }
        let saved = |file: &str, content: &[u8]| {
            fs::write(file, content).map_err(|error| Failure::new(&format!("{file} can't be written: {error}")))
        };
        match self.leaves {
            Leaves::Nothing => Ok(self.says.to_owned()),
            Leaves::Logs => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
                let content: Vec<u8> = (0..=u8::MAX).cycle().take(100_000).collect();
                saved(&format!("snowball-edge-logs-{now}.bin"), &content)?;
                Ok(self.says.to_owned())
            }
            Leaves::QrCode => {
                let file = value("--output-file").ok_or_else(|| Failure::new("get-app-qr-code needs --output-file"))?;
                saved(&file, b"\x89PNG\r\n\x1a\n")?;
                Ok(format!("{} {file}", self.says))
            }
        }
    }
}
