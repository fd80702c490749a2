//! The client's command line.

use serde::{Deserialize, Serialize};

/// The commands that the stand-in has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Stores a profile.
    Configure,
    /// Asks the device to unlock.
    UnlockDevice,
    /// Says what the device is doing.
    DescribeDevice,
    /// Asks all nodes of a cluster to unlock.
    UnlockCluster,
    /// Says what all nodes of a cluster are doing.
    DescribeCluster,
    /// Asks one node to unlock and into its cluster.
    AssociateDevice,
    /// Takes a node out of its cluster for good: the stand-in's nodes refuse it.
    DisassociateDevice,
    /// Lists the ids of the device's access keys.
    ListAccessKeys,
    /// Shows an access key with its secret.
    GetSecretAccessKey,
    /// Lists the device's certificates.
    ListCertificates,
    /// Shows a certificate.
    GetCertificate,
    /// Lists the device's services.
    ListServices,
    /// Says what a service is doing, and where.
    DescribeService,
    /// Says which software the device has, and which it could have.
    CheckForUpdates,
    /// Says which features are on.
    DescribeFeatures,
    /// Says which client this is.
    Version,
    /// Lists the commands.
    Help,
}

impl Command {
    /// All of them, in the order of `help`.
    pub const ALL: [Self; 17] = [
        Self::Configure,
        Self::UnlockDevice,
        Self::DescribeDevice,
        Self::UnlockCluster,
        Self::DescribeCluster,
        Self::AssociateDevice,
        Self::DisassociateDevice,
        Self::ListAccessKeys,
        Self::GetSecretAccessKey,
        Self::ListCertificates,
        Self::GetCertificate,
        Self::ListServices,
        Self::DescribeService,
        Self::CheckForUpdates,
        Self::DescribeFeatures,
        Self::Version,
        Self::Help,
    ];

    /// The name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configure => "configure",
            Self::UnlockDevice => "unlock-device",
            Self::DescribeDevice => "describe-device",
            Self::UnlockCluster => "unlock-cluster",
            Self::DescribeCluster => "describe-cluster",
            Self::AssociateDevice => "associate-device",
            Self::DisassociateDevice => "disassociate-device",
            Self::ListAccessKeys => "list-access-keys",
            Self::GetSecretAccessKey => "get-secret-access-key",
            Self::ListCertificates => "list-certificates",
            Self::GetCertificate => "get-certificate",
            Self::ListServices => "list-services",
            Self::DescribeService => "describe-service",
            Self::CheckForUpdates => "check-for-updates",
            Self::DescribeFeatures => "describe-features",
            Self::Version => "version",
            Self::Help => "help",
        }
    }

    /// The option that names what the command is about, for one that needs it.
    pub(super) const fn subject(self) -> Option<&'static str> {
        match self {
            Self::AssociateDevice => Some("--device-ip-address"),
            Self::DisassociateDevice => Some("--device-id"),
            Self::GetSecretAccessKey => Some("--access-key-id"),
            Self::GetCertificate => Some("--certificate-arn"),
            Self::DescribeService => Some("--service-id"),
            _ => None,
        }
    }
}

/// The options common to all commands that deal with a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) endpoint: Option<String>,
    pub(super) manifest_file: Option<String>,
    pub(super) unlock_code: Option<String>,
    pub(super) profile: Option<String>,
    /// The value of the command's own option.
    pub(super) subject: Option<String>,
    /// `--device-ip-addresses` of `unlock-cluster`, which has as many values as follow.
    pub(super) addresses: Vec<String>,
}

/// Takes the command line of a client that lacks some commands apart.
///
/// # Errors
/// Names what is unknown or incomplete. The value of an option is never part of it: it may be the code.
pub(super) fn parse(args: &[String], lacks: &[Command]) -> Result<(Command, Options), String> {
    let mut args = args.iter().peekable();
    let name = args.next().ok_or("no command given; try help")?;
    let command = Command::ALL
        .into_iter()
        .find(|command| command.name() == name && !lacks.contains(command))
        .ok_or_else(|| format!("unknown command {name}; try help"))?;
    let mut options = Options::default();
    while let Some(option) = args.next() {
        if command == Command::UnlockCluster && option == "--device-ip-addresses" {
            options.addresses.extend(std::iter::from_fn(|| args.next_if(|arg| !arg.starts_with("--"))).cloned());
            if options.addresses.is_empty() {
                return Err(format!("{option} needs a value"));
            }
            continue;
        }
        let place = match option.as_str() {
            _ if matches!(command, Command::Version | Command::Help) => None,
            "--endpoint" => Some(&mut options.endpoint),
            "--manifest-file" => Some(&mut options.manifest_file),
            "--unlock-code" => Some(&mut options.unlock_code),
            "--profile" => Some(&mut options.profile),
            own if command.subject() == Some(own) => Some(&mut options.subject),
            _ => None,
        };
        let place = place.ok_or_else(|| format!("unknown option {option} of {name}"))?;
        *place = Some(args.next().ok_or_else(|| format!("{option} needs a value"))?.clone());
    }
    match command.subject().filter(|_| options.subject.is_none()) {
        Some(missing) => Err(format!("{name} needs {missing}")),
        None => Ok((command, options)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<(Command, Options), String> {
        parse(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>(), &[Command::ListServices])
    }

    #[test]
    fn documented_forms() {
        let (command, options) =
            parsed("unlock-device --endpoint https://192.0.2.0 --manifest-file m.bin --unlock-code c").unwrap();
        assert_eq!(command, Command::UnlockDevice);
        assert_eq!(options.endpoint.as_deref(), Some("https://192.0.2.0"));
        assert_eq!(options.manifest_file.as_deref(), Some("m.bin"));
        assert_eq!(options.unlock_code.as_deref(), Some("c"));
        assert_eq!(parsed("describe-device --profile p").unwrap().1.profile.as_deref(), Some("p"));
        let (_, options) = parsed("get-secret-access-key --access-key-id AKIA1 --profile p").unwrap();
        assert_eq!(options.subject.as_deref(), Some("AKIA1"));
        let (_, options) = parsed("unlock-cluster --device-ip-addresses 192.0.2.0 192.0.2.1:9 --profile p").unwrap();
        assert_eq!(options.addresses, ["192.0.2.0", "192.0.2.1:9"]);
        assert_eq!(options.profile.as_deref(), Some("p"));
        let (_, options) = parsed("associate-device --device-ip-address 192.0.2.3").unwrap();
        assert_eq!(options.subject.as_deref(), Some("192.0.2.3"));
    }

    #[test]
    fn anything_else_is_refused() {
        for line in [
            "",
            "unlock",
            "wait unlocked",
            "unlock-device --code c",
            "unlock-device extra",
            "describe-device --profile",
            "version --profile p",
            "get-secret-access-key --profile p",
            "list-access-keys --access-key-id AKIA1",
            "list-services --profile p",
            "unlock-cluster --device-ip-addresses --profile p",
            "unlock-device --device-ip-addresses 192.0.2.0",
            "associate-device --device-ip-address 192.0.2.0 192.0.2.1",
            "associate-device --profile p",
            "disassociate-device",
        ] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }
}
