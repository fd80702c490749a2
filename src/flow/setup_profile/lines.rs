//! The lines of a device's profile.

use std::path::Path;

use super::addresses::ServiceAddress;
use crate::model::ProfileName;
use crate::safety::quote::credential_process_word;

/// A profile, to be written.
#[derive(Debug)]
pub(super) struct ProfileText<'a> {
    pub(super) name: &'a ProfileName,
    /// Program and arguments that give the device's key.
    pub(super) command: &'a [String],
    /// The first one is `s3`.
    pub(super) services: &'a [ServiceAddress],
    /// PEM file of the device's certificates.
    pub(super) certificates: &'a Path,
}

impl ProfileText<'_> {
    /// The lines, without line breaks.
    ///
    /// # Errors
    /// A path that can't stand in such a file so that every reader of it reads the same, as the end of a sentence.
    pub(super) fn lines(&self) -> Result<Vec<String>, String> {
        let quoted = |word: &String| {
            credential_process_word(word)
                .ok_or_else(|| format!("{word:?} can't be written as a part of credential_process"))
        };
        let command: Vec<String> = self.command.iter().map(quoted).collect::<Result<_, _>>()?;
        let certificates = self.certificates.to_str().filter(|path| is_plain_value(path));
        let certificates = certificates
            .ok_or_else(|| format!("{:?} can't be written as ca_bundle", self.certificates.display().to_string()))?;
        let name = self.name;
        let mut lines = vec![
            format!("[profile {name}]"),
            "region = snow".to_owned(),
            format!("credential_process = {}", command.join(" ")),
            format!("ca_bundle = {certificates}"),
            format!("services = {name}"),
        ];
        // For a service that is not among them: else its requests would go to NAME.snow.amazonaws.com.
        lines.extend(self.services.first().map(|s3| format!("endpoint_url = {}", s3.url)));
        lines.extend(
            [
                // The S3 adapter takes neither a checksum behind the data nor a bucket's name in the host's.
                "request_checksum_calculation = when_required",
                "response_checksum_validation = when_required",
                "s3 =",
                "  addressing_style = path",
            ]
            .map(str::to_owned),
        );
        lines.push(format!("[services {name}]"));
        for service in self.services {
            lines.push(format!("{} =", service.name));
            lines.push(format!("  endpoint_url = {}", service.url));
        }
        Ok(lines)
    }
}

/// Whether this program writes such a line into a profile or a file for EKS Anywhere. A value that it takes from the device or from the
/// settings may be any; an edit of such a value is not told from an earlier one of its own.
pub(super) fn is_of_this_program(line: &str) -> bool {
    const WHOLE: [&str; 7] = [
        "",
        "region = snow",
        "request_checksum_calculation = when_required",
        "response_checksum_validation = when_required",
        "  addressing_style = path",
        "-----BEGIN CERTIFICATE-----",
        "-----END CERTIFICATE-----",
    ];
    const BEGIN: [&str; 9] = [
        "# >>> snow-onboard ",
        "# <<< snow-onboard ",
        "[",
        "credential_process = ",
        "ca_bundle = ",
        "services = ",
        "endpoint_url = ",
        "  endpoint_url = ",
        "aws_",
    ];
    let is_service =
        || line.strip_suffix(" =").is_some_and(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()));
    // The body of a certificate.
    let is_base64 = || {
        let body = line.trim_end_matches('=');
        line.len() - body.len() <= 2 && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/".contains(&byte))
    };
    WHOLE.contains(&line) || BEGIN.iter().any(|begin| line.starts_with(begin)) || is_service() || is_base64()
}

/// Whether a value means the same to all that read such a file: some take what follows a blank and `#` or `;` for a comment.
fn is_plain_value(value: &str) -> bool {
    !value.is_empty()
        && value.trim() == value
        && !value.contains(|c: char| c.is_control())
        && ![" #", " ;", "\t#", "\t;"].iter().any(|comment| value.contains(comment))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_profile_says_what_was_tried_with_the_aws_cli() {
        let service = |name, port: u16| ServiceAddress {
            name,
            url: format!("https://192.0.2.10:{port}"),
            is_documented_only: false,
        };
        let services = [service("s3", 8443), service("ec2", 8243)];
        let command = ["/opt/my tools/snow-onboard", "credentials", "JID1"].map(str::to_owned);
        let text = |command: &[String], certificates: &str| {
            let name = "snow-1".parse().unwrap();
            ProfileText { name: &name, command, services: &services, certificates: Path::new(certificates) }.lines()
        };
        let expected = "[profile snow-1]
region = snow
credential_process = \"/opt/my tools/snow-onboard\" credentials JID1
ca_bundle = /home/x y/certificates/JID1.pem
services = snow-1
endpoint_url = https://192.0.2.10:8443
request_checksum_calculation = when_required
response_checksum_validation = when_required
s3 =
  addressing_style = path
[services snow-1]
s3 =
  endpoint_url = https://192.0.2.10:8443
ec2 =
  endpoint_url = https://192.0.2.10:8243";
        assert_eq!(text(&command, "/home/x y/certificates/JID1.pem").unwrap().join("\n"), expected);
        assert!(expected.lines().all(is_of_this_program));
        for line in
            ["region = eu-west-1", "output = json", "# mine", "s3 = x", "  max_concurrent_requests = 2", "cli_pager="]
        {
            assert!(!is_of_this_program(line), "{line}");
        }
        for path in ["/a\nregion = x", "/a #b", "/a ;b", " /a", ""] {
            assert!(text(&command, path).unwrap_err().contains("ca_bundle"), "{path}");
        }
        assert!(text(&["/a\nb".to_owned()], "/x").unwrap_err().contains("credential_process"));
    }
}
