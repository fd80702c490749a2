//! `setup-profile`: a profile for a job's device in the AWS CLI's settings file, with the addresses and certificates that the device
//! tells, and the command that gives its key. Nothing is changed before the change was shown.

mod addresses;
mod eksa;
mod lines;
mod remove;

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use addresses::{Addresses, ToldServices, decide, to_describe};
pub(crate) use addresses::{ServiceAddress, Storage};
pub(crate) use eksa::EksaFiles;
use lines::ProfileText;
pub(crate) use remove::{RemovedProfiles, WrittenLines, remove_profiles, warn_of_edits, written_profiles};

use super::cluster::AskedAt;
use super::credentials::{DeviceKey, keep, keys_advised, read_key};
use super::onboard::Requested;
use super::run_context::RunContext;
use crate::cloud::{ConfigChange, config_file};
use crate::device::Session;
use crate::error::{Error, Result};
use crate::keychain::Keychain;
use crate::model::{
    AccessKeyId, CertificateArn, JobId, PairRecord, ProfileName, ProfileRecord, Purpose, Record, TargetId,
};
use crate::report::{Ask, Event, Notify as _, Reporter};
use crate::safety::path_trust;
use crate::settings::Settings;
use crate::store::{
    AuditStep, BlockKey, MadeFor, NotChanged, SharedFile, StateFolder, lines_of, with_block, without_block,
};

/// How long a device is waited for that does not answer: it is to be open by now.
const PATIENCE: Duration = Duration::from_secs(30);
/// A device has a handful.
const MAX_CERTIFICATES: usize = 32;

/// A profile that somebody asked for.
pub(crate) struct ProfileRequest<'a> {
    pub job: &'a TargetId,
    /// The node of a cluster that is asked, if it was named.
    pub node: Option<&'a JobId>,
    /// What it is called; after the job, unless it is said.
    pub name: Option<ProfileName>,
    /// Which storage `s3` is; what the device offers, unless it is said.
    pub storage: Option<Storage>,
    /// Which of the device's access keys; the only one, unless it is said.
    pub access_key: Option<&'a AccessKeyId>,
    /// What `credentials` is to be told so that it finds what this command was told of.
    pub flags: &'a [String],
    /// Where EKS Anywhere is to find keys and certificates.
    pub eksa: Option<&'a Path>,
    pub settings: &'a Settings,
    pub reporter: &'a Reporter,
    pub ask: &'a dyn Ask,
}

/// A profile as it would be written. The session with the client is over; the job stays locked.
pub(crate) struct PlannedProfile<'a> {
    ended: (RunContext<'a>, Record, PairRecord),
    address: IpAddr,
    settings: &'a Settings,
    key: BlockKey,
    addresses: Addresses,
    lines: Vec<String>,
    certificates: String,
    certificates_at: PathBuf,
    config: PathBuf,
    /// The file with the profile in it, or why it can't be changed.
    change: Result<(SharedFile, Vec<u8>), NotChanged>,
    eksa: Option<EksaFiles>,
    /// By the node of a cluster that listed them.
    access_keys: (Option<JobId>, Vec<AccessKeyId>),
    access_key: DeviceKey,
}

/// A profile that was written.
#[derive(Debug)]
pub(crate) struct WrittenProfile {
    /// Whether anything was not as it should be, in the AWS CLI's file or in those for EKS Anywhere.
    pub written: bool,
    /// What qualifies the result: whole sentences.
    pub warnings: Vec<String>,
}

impl<'a> ProfileRequest<'a> {
    /// Asks the device for all that the profile needs, and changes nothing.
    ///
    /// # Errors
    /// [`Error::ProfileNameTaken`], [`Error::ProfileNotAsMeant`], [`Error::ProgramChangeable`], [`Error::StorageNotActive`],
    /// [`Error::AccessKeyAmbiguous`] and its like; those of the session, the client and the device.
    pub(crate) fn plan(self) -> Result<PlannedProfile<'a>> {
        let (job, settings, reporter, ask) = (self.job, self.settings, self.reporter, self.ask);
        let name = self.name.clone().unwrap_or_else(|| ProfileName::of(job));
        let key = BlockKey { job: job.clone(), name };
        let record = StateFolder::record_below(&settings.state_dir, job)?;
        let record = record.ok_or_else(|| Error::nothing_kept(job))?;
        let asked_at = AskedAt::find((job, self.node), Some(&record), settings)?;
        let endpoint = &asked_at.endpoint;
        let program = own_program()?;
        // Before the client is started, which takes its time: what stands against it.
        let config = config_path()?;
        let file = SharedFile::read(&config);
        if let Ok(file) = &file {
            check_name(file, &key)?;
        }
        let eksa = self.eksa.map(|path| EksaFiles::read(path, &key)).transpose()?;

        let requested =
            Requested { job: job.clone(), purpose: Purpose::SetupProfile, settings, reporter: reporter.clone(), ask };
        let mut open = requested.check_with_device(endpoint)?.take_kept()?.open_session(endpoint, PATIENCE)?;
        let asked = asked_at.identify_node(&mut open.session);
        let answers = asked.and_then(|node| self.ask_device(&mut open.session).map(|answers| (node, answers)));
        // In any case: the audit log has both ends.
        let ended = open.end();
        let (node, Answers { address, addresses, certificates, access_keys, access_key }) = answers?;
        let ended = ended?;

        let certificates_at = ended.0.state.certificates_path(job);
        // Of several keys `credentials` refuses to guess, and of a cluster's nodes each may have its own.
        let names_key = self.access_key.is_some() || access_keys.len() > 1 || job.job().is_none() && node.is_none();
        let asked = node.as_ref().map_or(job.as_str(), JobId::as_str);
        let command = command(&program, asked, names_key.then_some(&access_key.id), self.flags);
        let text = ProfileText {
            name: &key.name,
            command: &command,
            services: &addresses.services,
            certificates: &certificates_at,
        };
        let lines = text.lines().map_err(|why| Error::ProfileNotAsMeant {
            name: key.name.to_string(),
            path: config.display().to_string(),
            why,
        })?;
        let change = file.and_then(|file| {
            let new = with_block(file.content(), &key, &lines, file.to_make())?;
            Ok((file, new))
        });
        if let Ok((file, new)) = &change {
            check_meaning(file, new, &key, &command, &addresses.services, reporter)?;
        }
        Ok(PlannedProfile {
            ended,
            address,
            settings,
            key,
            addresses,
            lines,
            certificates,
            certificates_at,
            config,
            change,
            eksa,
            access_keys: (node, access_keys),
            access_key,
        })
    }
}

/// What the device said.
struct Answers {
    address: IpAddr,
    addresses: Addresses,
    /// In PEM.
    certificates: String,
    access_keys: Vec<AccessKeyId>,
    access_key: DeviceKey,
}

impl ProfileRequest<'_> {
    fn ask_device(&self, session: &mut Session) -> Result<Answers> {
        let (access_keys, access_key) = read_key(session, self.job, self.access_key)?;
        let access_key = access_key.map_err(|error| keys_advised(error, "setup-profile", self.node))?;
        let told = ask_services(session, self.reporter)?;
        let address = session.address().ok_or_else(|| Error::EndpointUnknown { job: self.job.to_string() })?;
        let addresses = decide(self.job, &told, address, self.storage)?;
        let certificates = ask_certificates(session, &addresses.certificates, self.reporter)?;
        Ok(Answers { address, addresses, certificates, access_keys, access_key })
    }
}

impl PlannedProfile<'_> {
    pub(crate) fn name(&self) -> &ProfileName {
        &self.key.name
    }

    /// The AWS CLI's settings file.
    pub(crate) fn config(&self) -> &Path {
        &self.config
    }

    /// What a link on the way to it leads to, if there is one.
    pub(crate) fn config_led_to(&self) -> Option<&Path> {
        self.change.as_ref().ok().and_then(|(file, _)| file.led_to())
    }

    pub(crate) fn storage(&self) -> Storage {
        self.addresses.storage
    }

    pub(crate) fn services(&self) -> &[ServiceAddress] {
        &self.addresses.services
    }

    /// Where the requests go: what a proxy has to be told to leave alone.
    pub(crate) fn hosts(&self) -> &[IpAddr] {
        &self.addresses.hosts
    }

    pub(crate) fn certificates(&self) -> &Path {
        &self.certificates_at
    }

    pub(crate) fn notes(&self) -> &[String] {
        &self.addresses.notes
    }

    pub(crate) fn eksa(&self) -> Option<&EksaFiles> {
        self.eksa.as_ref()
    }

    /// What would change in the file: lines that begin with `+` or `-`, and between them those that stay. Nothing if nothing would.
    pub(crate) fn difference(&self) -> Vec<String> {
        let Ok((file, new)) = &self.change else { return Vec::new() };
        if file.content() == new && file.to_make() == MadeFor::Nothing {
            return Vec::new();
        }
        let of = |text: &[u8]| lines_of(text, &self.key).unwrap_or_default();
        difference(&of(file.content()), &of(new))
    }

    /// Stores the device's key, its certificates and a note of the profile; then writes the profile.
    ///
    /// # Errors
    /// Those of the keychain and the disk; [`Error::ProfileFileRefused`] with the lines to add by hand, once all else is in its
    /// place; [`Error::ProfileFileRaced`].
    pub(crate) fn write(self) -> Result<WrittenProfile> {
        let Self {
            ended,
            settings,
            key,
            lines,
            certificates,
            config,
            change,
            eksa,
            access_keys,
            access_key,
            address,
            ..
        } = self;
        let (context, mut record, pair) = ended;
        keep(&context, &mut record, &pair, access_keys, Some(&access_key), settings)?;
        context.state.keep_certificates(&key.job, &certificates)?;
        // Before the files are touched: `forget` finds them however this ends.
        let mut noted = ProfileRecord { name: key.name.clone(), config: config.clone(), eksa: Vec::new() };
        noted.eksa.extend(eksa.iter().flat_map(EksaFiles::paths).map(Path::to_owned));
        record.note_profile(noted);
        context.folder.write_record(&record)?;
        let (file, new) = change.map_err(|not_changed| refused(&config, not_changed, &lines))?;
        let mut written = file.content() != new || file.to_make() != MadeFor::Nothing;
        if written {
            file.replace(&new).map_err(|not_changed| refused(&config, not_changed, &lines))?;
            context.note(AuditStep::ProfileWritten, &pair.manifest_sha256)?;
        }
        if let Some(eksa) = eksa {
            // Noted first: a log that can't be written to must not be what hides that the key is in a file.
            let note = || context.note(AuditStep::DeviceKeyWrittenToFile, &pair.manifest_sha256);
            written |= eksa.write(&key, address, &access_key, &certificates, note)?;
        }
        let DeviceKey { id, secret } = access_key;
        drop(secret);
        let keychain = Keychain::open(settings.keychain_to_read(pair.keychain), context.reporter.shared())?;
        let asks = keychain.asks_before_reading(&key.job, &id)?;
        let warnings = asks.then(|| asking(keychain.name())).into_iter().collect();
        Ok(WrittenProfile { written, warnings })
    }
}

/// What is to be said where every call of the AWS CLI opens a window.
fn asking(keychain: &str) -> String {
    let instead = if cfg!(target_os = "linux") {
        " To be asked no more, either clear “Confirm when passwords are retrieved by clients” in KeePassXC (Settings, Secret Service \
         Integration), which lets every program of yours read what KeePassXC shares, or make another keyring the Secret Service."
    } else {
        ""
    };
    format!(
        "{keychain} asks you each time that a program wants the device's key, which is at every call of the AWS CLI.{instead}"
    )
}

/// This program as others start it: where it is, and only if nobody else can exchange it.
fn own_program() -> Result<PathBuf> {
    let path = std::env::current_exe().map_err(|error| Error::of_system("to find its own program file", &error))?;
    let path = dunce::simplified(&path).to_owned();
    match path_trust::beside_program(&path) {
        Ok(_) => Ok(path),
        Err(refused) => Err(Error::ProgramChangeable { path: path.display().to_string(), why: refused.clause(&path) }),
    }
}

/// Where the AWS CLI's settings file is or would be.
pub(super) fn config_path() -> Result<PathBuf> {
    config_file()?.ok_or_else(|| Error::Usage {
        why: "AWS_CONFIG_FILE says that the AWS CLI has no settings file, so there is none to write to. Unset it, or name a file."
            .to_owned(),
    })
}

/// Whether the name is free, or this program's block has it.
fn check_name(file: &SharedFile, key: &BlockKey) -> Result<()> {
    let without = match without_block(file.content(), key) {
        Ok(Some((without, _))) => without,
        Ok(None) => file.content().to_vec(),
        // Told later, with the lines to add by hand.
        Err(_) => return Ok(()),
    };
    if ConfigChange::of(file.path(), &without, &without)?.had(key.name.as_str()) {
        return Err(Error::ProfileNameTaken {
            job: key.job.to_string(),
            name: key.name.to_string(),
            path: file.path().display().to_string(),
        });
    }
    Ok(())
}

/// Whether the AWS CLI would read the new file as it is meant, and everything else in it as before.
fn check_meaning(
    file: &SharedFile,
    new: &[u8],
    key: &BlockKey,
    command: &[String],
    services: &[ServiceAddress],
    reporter: &Reporter,
) -> Result<()> {
    let change = ConfigChange::of(file.path(), file.content(), new)?;
    let name = key.name.as_str();
    let addresses: Vec<(&str, String)> = services.iter().map(|service| (service.name, service.url.clone())).collect();
    let not_as_meant = |why: &str| Error::ProfileNotAsMeant {
        name: name.to_owned(),
        path: file.path().display().to_string(),
        why: why.to_owned(),
    };
    if !change.leaves_others(name) {
        return Err(not_as_meant("other sections stand between this program's two marks, and would be lost"));
    }
    if !change.makes(name, command, &addresses) {
        return Err(not_as_meant("another section of its files says otherwise"));
    }
    if let Some(flaw) = change.flaw() {
        reporter
            .notify(Event::Warning(format!("The AWS CLI does not read the file as long as it has a mistake: {flaw}.")));
    }
    Ok(())
}

/// Asks the device what it offers. One that does not say so has what the guide says of every device.
fn ask_services(session: &mut Session, reporter: &Reporter) -> Result<ToldServices> {
    let untold = |error: Error, what: &str| match error {
        Error::DeviceTellsNot { .. } | Error::DeviceAnswerUnreadable { .. } => {
            reporter.notify(Event::Warning(format!("{error} The documented ports are used for {what}.")));
            Ok(())
        }
        error => Err(error),
    };
    let mut told = ToldServices::default();
    let listed = match session.services() {
        Ok(listed) => listed,
        Err(error) => return untold(error, "all services").map(|()| told),
    };
    for id in to_describe(&listed) {
        match session.service(id) {
            Ok(service) => _ = told.described.insert(id.to_string(), service),
            Err(error) => untold(error, id.as_str())?,
        }
    }
    told.listed = Some(listed);
    Ok(told)
}

/// All certificates of the device, those in `needed` among them: as one text in PEM.
fn ask_certificates(session: &mut Session, needed: &[CertificateArn], reporter: &Reporter) -> Result<String> {
    let listed = session.certificates()?;
    let mut arns = needed.to_vec();
    arns.extend(listed.into_iter().filter(|arn| !needed.contains(arn)));
    let (mut pem, mut failure) = (String::new(), None);
    for (at, arn) in arns.iter().take(MAX_CERTIFICATES).enumerate() {
        match session.certificate(arn) {
            Ok(certificate) => pem.push_str(&certificate),
            Err(error) if at < needed.len() => return Err(error),
            Err(error) => {
                reporter.notify(Event::Warning(format!("A certificate of the device is left out: {error}")));
                failure = Some(error);
            }
        }
    }
    match (pem.is_empty(), failure) {
        (true, Some(error)) => Err(error),
        (true, None) => Err(Error::DeviceAnswerUnreadable { what: "list-certificates".to_owned() }),
        (false, _) => Ok(pem),
    }
}

/// What the AWS CLI is to run for the device's key.
fn command(program: &Path, asked: &str, key: Option<&AccessKeyId>, flags: &[String]) -> Vec<String> {
    let mut words = vec![program.display().to_string(), "credentials".to_owned(), asked.to_owned()];
    if let Some(id) = key {
        words.extend(["--access-key-id".to_owned(), id.to_string()]);
    }
    words.extend_from_slice(flags);
    words
}

/// Why the settings file was not changed, with what can be done by hand.
fn refused(config: &Path, not_changed: NotChanged, lines: &[String]) -> Error {
    let path = config.display().to_string();
    match not_changed {
        NotChanged::Raced => Error::ProfileFileRaced { path },
        NotChanged::Refused(why) => {
            let lines: Vec<String> = lines.iter().map(|line| format!("  {line}")).collect();
            let hint = format!("Add these lines to it yourself, without the blanks before them:\n{}", lines.join("\n"));
            Error::ProfileFileRefused { path, why, hint }
        }
    }
}

/// The lines of both, those that only one has marked: the longest common part stays.
fn difference(before: &[String], after: &[String]) -> Vec<String> {
    let mut common = vec![vec![0_usize; after.len() + 1]; before.len() + 1];
    for (i, old) in before.iter().enumerate().rev() {
        for (j, new) in after.iter().enumerate().rev() {
            common[i][j] = if old == new { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut shown) = (0, 0, Vec::new());
    while i < before.len() || j < after.len() {
        if i < before.len() && j < after.len() && before[i] == after[j] {
            shown.push(format!("  {}", before[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == after.len() || (i < before.len() && common[i + 1][j] >= common[i][j + 1]) {
            shown.push(format!("- {}", before[i]));
            i += 1;
        } else {
            shown.push(format!("+ {}", after[j]));
            j += 1;
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_names_what_goes_and_what_comes() {
        let lines = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let shown = |before, after| difference(&lines(before), &lines(after)).join("|");
        assert_eq!(shown("", "a b"), "+ a|+ b");
        assert_eq!(shown("a b", ""), "- a|- b");
        assert_eq!(shown("a x c", "a y c"), "  a|- x|+ y|  c");
        assert_eq!(shown("a b c", "b c d"), "- a|  b|  c|+ d");
    }
}
