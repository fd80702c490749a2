//! The commands other than `configure`.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
};

use serde_json::json;

use super::{
    Command, INVENTED, StandIn, Trick,
    args::Options,
    cluster,
    configure::configure,
    device, json,
    output::{Output, report_parse_error},
    profile,
};
use crate::{
    device::{Answer, Question, Wish},
    manifest::{self, Contents},
};

/// The profile of a command that names none.
pub(super) const DEFAULT_PROFILE: &str = "default";

/// Word for word the guide's.
const UNLOCKING: &str = "Your Snowball Edge device is unlocking. You may determine the unlock state of your device \
                         using the describe-device command. Your Snowball Edge device will be available for use when \
                         it is in the UNLOCKED state.";

/// Why a command failed; the code is known where a client that tells it would have it at hand.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) text: String,
    pub(super) code: Option<String>,
}

impl Failure {
    pub(super) fn new(text: &str) -> Self {
        Self { text: format!("{INVENTED} {text}"), code: None }
    }

    fn knowing(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }
}

/// Runs a command in this home.
pub(super) fn run(
    stand_in: &StandIn,
    home: &Path,
    command: Command,
    options: Options,
    output: &mut Output,
) -> Result<(), Failure> {
    log(home, &format!("{INVENTED} {}", command.name()));
    match command {
        Command::Version => output.line(stand_in.options.version.line()),
        Command::Help => {
            output.line(&format!("{INVENTED} snowballEdge: commands"));
            let there = Command::ALL.iter().filter(|command| !stand_in.options.lacks.contains(command));
            there.for_each(|command| output.line(&format!("  {}", command.name())));
        }
        _ if stand_in.does(command, Trick::Pretend) => output.line(cluster::promise(command).unwrap_or(UNLOCKING)),
        Command::Configure => configure(stand_in, home, options, output)?,
        Command::UnlockDevice => {
            let access = Access::resolve(stand_in, home, options)?;
            let asked = access.ask(stand_in, command, Wish::Unlock);
            asked.map_err(|failure| failure.knowing(&access.code))?;
            output.line(UNLOCKING);
        }
        Command::DescribeDevice => {
            let access = Access::resolve(stand_in, home, options)?;
            let asked = access.ask(stand_in, command, Wish::Describe);
            if let Answer::Lock { state, device_id } = asked.map_err(|failure| failure.knowing(&access.code))? {
                output.line(&json::pretty(&description(&access.endpoint, &state, device_id.as_deref())));
            }
        }
        Command::UnlockCluster | Command::DescribeCluster | Command::AssociateDevice | Command::DisassociateDevice => {
            let subject = options.subject.clone().unwrap_or_default();
            let access = Access::resolve(stand_in, home, options)?;
            let said = cluster::run(stand_in, &access, command, &subject);
            output.line(&said.map_err(|failure| failure.knowing(&access.code))?);
        }
        command => tell(stand_in, home, command, options, output)?,
    }
    Ok(())
}

/// Asks the open device, and shows its answer.
fn tell(
    stand_in: &StandIn,
    home: &Path,
    command: Command,
    mut options: Options,
    output: &mut Output,
) -> Result<(), Failure> {
    let subject = options.subject.take().unwrap_or_default();
    let wish = match command {
        Command::ListAccessKeys => Wish::AccessKeys,
        Command::GetSecretAccessKey => Wish::SecretKey(subject),
        Command::ListCertificates => Wish::Certificates,
        Command::GetCertificate => Wish::Certificate(subject),
        Command::ListServices => Wish::Services,
        Command::DescribeService => Wish::Service(subject),
        Command::CheckForUpdates => Wish::Updates,
        Command::DescribeFeatures => Wish::Features,
        other => return Err(Failure::new(&format!("{} is not for the device", other.name()))),
    };
    let access = Access::resolve(stand_in, home, options)?;
    let text = match access.ask(stand_in, command, wish).map_err(|failure| failure.knowing(&access.code))? {
        Answer::Json(value) => format!("{}\n", json::pretty(&value)),
        Answer::Text(text) => text,
        _ => return Err(Failure::new("the device answers something else")),
    };
    if stand_in.does(command, Trick::SayAnswer) {
        report_parse_error(&format!("{INVENTED} answering {}", text.replace('\n', " ")));
    }
    output.write(&text);
    if stand_in.does(command, Trick::FailAfter) {
        return Err(Failure::new("fails as scripted, after its answer"));
    }
    Ok(())
}

/// Opens a manifest with a code, offline. Says the same for a code that is wrong and a file that is: it can't tell.
pub(super) fn open_pair(manifest: &Path, code: &str) -> Result<Contents, Failure> {
    let bytes = fs::read(manifest)
        .map_err(|error| Failure::new(&format!("the manifest can't be read: {error}")).knowing(code))?;
    manifest::open(&bytes, code)
        .map_err(|_| Failure::new("the unlock code and the manifest do not belong together").knowing(code))
}

/// What a command needs to reach a device, from the command line or from a profile.
pub(super) struct Access {
    pub(super) endpoint: String,
    manifest: PathBuf,
    code: String,
    /// Of the nodes of a cluster.
    pub(super) addresses: Vec<String>,
}

impl Access {
    fn resolve(stand_in: &StandIn, home: &Path, options: Options) -> Result<Self, Failure> {
        if let (Some(endpoint), Some(manifest), Some(code)) =
            (&options.endpoint, &options.manifest_file, &options.unlock_code)
        {
            let (endpoint, code) = (endpoint.clone(), code.clone());
            return Ok(Self { endpoint, manifest: manifest.into(), code, addresses: options.addresses });
        }
        let name = options.profile.as_deref().unwrap_or(DEFAULT_PROFILE);
        let mut config = profile::load(home).map_err(|text| Failure::new(&text))?;
        let found = config.profiles.remove(name).filter(|_| !stand_in.options.no_profiles);
        let profile = found.ok_or_else(|| Failure::new(&format!("there is no profile {name}")))?;
        let stored = if profile.is_cluster { profile.device_ips } else { Vec::new() };
        Ok(Self {
            addresses: if options.addresses.is_empty() { stored } else { options.addresses },
            endpoint: options.endpoint.unwrap_or(profile.default_endpoint),
            manifest: options.manifest_file.map_or(profile.manifest_path, PathBuf::from),
            code: options.unlock_code.unwrap_or(profile.unlock_code),
        })
    }

    fn ask(&self, stand_in: &StandIn, command: Command, wish: Wish) -> Result<Answer, Failure> {
        device::ask(&self.endpoint, &Question { wish, device_key: self.device_key(stand_in, command)? })
    }

    /// The pair is checked before any device hears of anything.
    pub(super) fn device_key(&self, stand_in: &StandIn, command: Command) -> Result<String, Failure> {
        if stand_in.does(command, Trick::SayCode) {
            report_parse_error(&format!("{INVENTED} using {}", self.code));
        }
        let contents = open_pair(&self.manifest, &self.code)?;
        if stand_in.does(command, Trick::DeleteManifest) {
            let _ = fs::remove_file(&self.manifest);
        }
        if stand_in.does(command, Trick::RewriteManifest) {
            let _ = fs::write(&self.manifest, INVENTED);
        }
        Ok(contents.device_key)
    }
}

/// What the device says that it is doing, for a command that depends on it.
pub(super) fn state_of_device(stand_in: &StandIn, home: &Path, options: Options) -> Result<String, Failure> {
    match Access::resolve(stand_in, home, options)?.ask(stand_in, Command::DescribeDevice, Wish::Describe)? {
        Answer::Lock { state, .. } => Ok(state),
        _ => Err(Failure::new("the device answers something else")),
    }
}

fn description(endpoint: &str, state: &str, device_id: Option<&str>) -> serde_json::Value {
    let address = endpoint.trim_start_matches("https://").rsplit_once(':').map_or(endpoint, |(host, _)| host);
    let mut description = json!({
        "DeviceId": device_id,
        "UnlockStatus": { "State": state },
        "ActiveNetworkInterface": { "IpAddress": address },
        "PhysicalNetworkInterfaces": [ {
            "PhysicalNetworkInterfaceId": "s.ni-8d0ef958ec860ac7c",
            "PhysicalConnectorType": "RJ45",
            "IpAddressAssignment": "DHCP",
            "IpAddress": address,
            "Netmask": "255.255.255.0",
            "DefaultGateway": "192.0.2.1",
            "MacAddress": "02:00:00:00:00:01"
        } ]
    });
    if device_id.is_none() {
        description.as_object_mut().map(|members| members.remove("DeviceId"));
    }
    description
}

/// The vendor's client logs beside its configuration. What its logs hold is not public; this one names the
/// command, and why it failed.
pub(super) fn log(home: &Path, text: &str) {
    let folder = home.join(".aws").join("snowball").join("logs");
    let written = fs::create_dir_all(&folder).and_then(|()| {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(folder.join("snowball-edge.log"))?;
        writeln!(file, "{text}")
    });
    // A home that can't be written is no reason for `version` to fail.
    drop(written);
}
