//! `setup-profile`: a profile for the AWS CLI, shown first.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::cli::{SetupProfile, flags_for_credentials};
use crate::error::{Error, Result};
use crate::flow::{
    PlannedProfile, ProfileRequest, RemovedProfiles, ServiceAddress, Storage, WrittenLines, open_state_folder,
    remove_profiles, warn_of_edits, written_profiles,
};
use crate::model::{AccessKeyId, KeychainKind, Malformed, ProfileName, Purpose, TargetId};
use crate::report::{Event, Notify as _, Reporter};
use crate::safety::quote::quoted;
use crate::safety::sanitize::sanitize_typed;
use crate::settings::Settings;
use crate::store::{Audit, AuditStep};
use crate::ui::Ui;

pub(super) fn setup_profile(args: &SetupProfile, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    // Everything that can be mistyped is looked at first.
    let (job, node) = super::parse_target_and_node(&args.job, settings, reporter)?;
    let name: Option<ProfileName> =
        args.name.as_deref().map(str::parse).transpose().map_err(|Malformed { why }| Error::Usage {
            why: format!("The profile name “{}” {why}.", sanitize_typed(args.name.as_deref().unwrap_or_default())),
        })?;
    let access_key: Option<AccessKeyId> = args
        .access_key_id
        .as_deref()
        .map(str::parse)
        .transpose()
        .map_err(|Malformed { why }| Error::AccessKeyIdInvalid { why })?;
    reporter.is_about(&job);
    if args.remove {
        return remove(&job, name.as_ref(), args, settings, ui, reporter);
    }
    if settings.keychain == KeychainKind::None {
        return Err(Error::Usage {
            why: "“setup-profile” keeps the device's key in the keychain, and keychain is none (“snow-onboard settings” shows where \
                  that was said). Name the keychain that the code is in, for example --keychain system."
                .to_owned(),
        });
    }
    let request = ProfileRequest {
        job: &job,
        node: node.as_ref(),
        name,
        storage: args.s3.as_deref().and_then(Storage::of_word),
        access_key: access_key.as_ref(),
        flags: &flags_for_credentials(settings),
        eksa: args.eksa.as_deref(),
        settings,
        reporter,
        ask: ui,
    };
    let planned = request.plan()?;
    let change = planned.difference();
    let gone: Vec<String> = change.iter().filter_map(|line| line.strip_prefix("- ").map(str::to_owned)).collect();
    warn_of_edits(&[(planned.config().to_owned(), planned.name().clone(), gone)], &job, reporter);
    let told = ProfileInWords::of(&planned);
    if args.dry_run {
        ui.result(Some(&job), &told.in_words(&change, false), told.for_programs(&change, false));
        return Ok(());
    }
    let writes_to_others = !change.is_empty() || planned.eksa().is_some();
    if writes_to_others && !args.yes {
        let named = node.clone().map_or(job.clone(), TargetId::from);
        consent(&question(&planned, &change), &named, args, ui)?;
    }
    let written = planned.write()?;
    let result = told.for_programs(&change, written.written);
    written.warnings.into_iter().chain(told.overridden()).for_each(|warning| reporter.notify(Event::Warning(warning)));
    ui.result(Some(&job), &told.in_words(&change, true), result);
    Ok(())
}

/// Asks whether to go on, once the change was shown.
fn consent(question: &str, job: &TargetId, args: &SetupProfile, ui: &Ui) -> Result<()> {
    let again = again(job, args);
    let hint = format!("See the change, then make it without a question:\n  {again} --dry-run\n  {again} --yes");
    if !ui.can_prompt() {
        let (why, what) = (ui.why_nobody_is_asked(false), "confirm the change");
        return Err(Error::NobodyToAsk { why, what, hint });
    }
    if ui.ask_lightly(question) {
        return Ok(());
    }
    Err(Error::Cancelled { why: "The change was not agreed to.".to_owned(), hint })
}

/// This command for the same change: one that was to remove must not write when it is followed.
fn again(job: &TargetId, args: &SetupProfile) -> String {
    let mut command = format!("snow-onboard setup-profile {job}");
    let eksa = args.eksa.as_ref().map(|path| path.display().to_string());
    let given =
        [("--name", &args.name), ("--s3", &args.s3), ("--access-key-id", &args.access_key_id), ("--eksa", &eksa)];
    for (flag, value) in given {
        if let Some(value) = value {
            // A value that begins so would be taken for a flag.
            let between = if value.starts_with('-') { '=' } else { ' ' };
            command += &format!(" {flag}{between}{}", quoted(value));
        }
    }
    if args.remove {
        command += " --remove";
    }
    command
}

fn question(planned: &PlannedProfile<'_>, change: &[String]) -> String {
    let mut question = String::new();
    if !change.is_empty() {
        question = format!("{}\n\n{}\n\n", planned.config().display(), change.join("\n"));
    }
    if let Some(real) = planned.config_led_to() {
        question += &format!("It is a link. The file that it leads to is changed: {}\n", real.display());
    }
    if let Some([keys, certificates]) = planned.eksa().map(|eksa| eksa.paths()) {
        question += &format!(
            "{} will contain the device's secret key unencrypted, and {} its certificates.\n",
            keys.display(),
            certificates.display()
        );
    }
    question + "Write this?"
}

/// What is told of a profile, before it is written and after.
struct ProfileInWords {
    name: ProfileName,
    config: PathBuf,
    storage: Storage,
    services: Vec<ServiceAddress>,
    hosts: Vec<IpAddr>,
    certificates: PathBuf,
    notes: Vec<String>,
    eksa: Option<[PathBuf; 2]>,
}

#[derive(Serialize)]
struct SetupProfileResult<'a> {
    profile: &'a ProfileName,
    config: &'a Path,
    /// Whether it was written; not with `--dry-run`, nor where all was as it should be.
    written: bool,
    /// What is new in the file, or would be, and what is no more: lines that begin with `+` or `-`.
    change: &'a [String],
    s3: &'a str,
    services: Vec<ServiceRow<'a>>,
    certificates: &'a Path,
    no_proxy: Vec<String>,
    eksa_credentials: Option<&'a Path>,
    eksa_certificates: Option<&'a Path>,
}

#[derive(Serialize)]
struct ServiceRow<'a> {
    service: &'a str,
    endpoint_url: &'a str,
    /// Whether the device told the address, rather than the guide.
    told_by_device: bool,
}

impl ProfileInWords {
    fn of(planned: &PlannedProfile<'_>) -> Self {
        Self {
            name: planned.name().clone(),
            config: planned.config().to_owned(),
            storage: planned.storage(),
            services: planned.services().to_vec(),
            hosts: planned.hosts().to_vec(),
            certificates: planned.certificates().to_owned(),
            notes: planned.notes().to_vec(),
            eksa: planned.eksa().map(|eksa| eksa.paths().map(Path::to_owned)),
        }
    }

    fn for_programs<'a>(&'a self, change: &'a [String], written: bool) -> SetupProfileResult<'a> {
        let row = |service: &'a ServiceAddress| ServiceRow {
            service: service.name,
            endpoint_url: &service.url,
            told_by_device: !service.is_documented_only,
        };
        SetupProfileResult {
            profile: &self.name,
            config: &self.config,
            written,
            change,
            s3: self.storage.word(),
            services: self.services.iter().map(row).collect(),
            certificates: &self.certificates,
            no_proxy: self.hosts.iter().map(IpAddr::to_string).collect(),
            eksa_credentials: self.eksa.as_ref().map(|[keys, _]| &**keys),
            eksa_certificates: self.eksa.as_ref().map(|[_, certificates]| &**certificates),
        }
    }

    fn in_words(&self, change: &[String], written: bool) -> String {
        let (name, config) = (&self.name, self.config.display());
        let mut text = match (written, change.is_empty()) {
            (true, false) => format!("The profile “{name}” was written into {config}."),
            (true, true) => format!("The profile “{name}” is in {config} as it should be."),
            (false, false) => format!("Nothing was changed. {config} would change so:\n\n{}", change.join("\n")),
            (false, true) => format!("Nothing would change in {config}."),
        };
        text.push('\n');
        for service in &self.services {
            let more = match (service.name, service.is_documented_only) {
                ("s3", _) => format!("  ({})", self.storage.in_words()),
                (_, true) => "  (documented port; the device does not tell it)".to_owned(),
                _ => String::new(),
            };
            text += &format!("\n  {:<10} {}{more}", service.name, service.url);
        }
        for note in &self.notes {
            text += &format!("\n\n{note}");
        }
        if !written {
            if let Some([keys, certificates]) = &self.eksa {
                text += &format!(
                    "\n\nAlso written would be {}, which would contain the device's secret key unencrypted, and {} with its certificates.",
                    keys.display(),
                    certificates.display()
                );
            }
            return text;
        }
        let s3 = self.services.first().map(|service| service.url.as_str()).unwrap_or_default();
        text += &format!("\n\nUse it:\n  aws s3 ls --profile {name}");
        text +=
            &format!("\nWhere a proxy is set (HTTPS_PROXY), have it left out for the device:\n  {}", self.no_proxy());
        text += &format!(
            "\nAn AWS CLI before 1.29 or 2.13 reads no addresses from a profile, so name them:\n  aws s3 ls --profile {name} --endpoint {s3}"
        );
        if let Some([keys, certificates]) = &self.eksa {
            text += &format!(
                "\nFor EKS Anywhere; the first file contains the device's secret key unencrypted:\n  {}\n  {}",
                set("EKSA_AWS_CREDENTIALS_FILE", &quoted(&keys.display().to_string())),
                set("EKSA_AWS_CA_BUNDLES_FILE", &quoted(&certificates.display().to_string()))
            );
        }
        text
    }

    fn no_proxy(&self) -> String {
        let hosts: Vec<String> = self.hosts.iter().map(IpAddr::to_string).collect();
        let hosts = hosts.join(",");
        match std::env::var("NO_PROXY").ok().filter(|set| !set.is_empty()) {
            Some(_) if cfg!(windows) => format!("$env:NO_PROXY = \"$env:NO_PROXY,{hosts}\""),
            Some(_) => format!("export NO_PROXY=\"$NO_PROXY,{hosts}\""),
            None => set("NO_PROXY", &hosts),
        }
    }

    /// What variables of this shell say otherwise than the profile, which they override.
    fn overridden(&self) -> Vec<String> {
        let value = |name: &str| std::env::var(name).ok().filter(|set| !set.is_empty());
        let mut warnings = Vec::new();
        let left_out = value("no_proxy").or_else(|| value("NO_PROXY")).unwrap_or_default();
        let left_out: Vec<&str> = left_out.split(',').map(str::trim).collect();
        let goes = |host: &&IpAddr| !left_out.contains(&"*") && !left_out.contains(&&*host.to_string());
        let through: Vec<String> = self.hosts.iter().filter(goes).map(IpAddr::to_string).collect();
        if (value("https_proxy").is_some() || value("HTTPS_PROXY").is_some()) && !through.is_empty() {
            warnings.push(format!(
                "HTTPS_PROXY is set, and NO_PROXY does not name {}. The AWS CLI sends the device's traffic to the proxy.",
                through.join(", ")
            ));
        }
        let of_services =
            self.services.iter().map(|service| format!("AWS_ENDPOINT_URL_{}", service.name.to_uppercase()));
        let others = ["AWS_CA_BUNDLE".to_owned(), "AWS_ENDPOINT_URL".to_owned()].into_iter().chain(of_services);
        let set: Vec<String> = others.filter(|name| value(name).is_some()).collect();
        if !set.is_empty() {
            warnings.push(format!(
                "The AWS CLI takes {} from this shell instead of what the profile says. Unset it where the profile is used.",
                set.join(" and ")
            ));
        }
        warnings
    }
}

/// The line that sets a variable in the shell of this system.
fn set(name: &str, value: &str) -> String {
    if cfg!(windows) { format!("$env:{name} = {value}") } else { format!("export {name}={value}") }
}

#[derive(Serialize)]
struct RemoveProfileResult {
    profiles: Vec<RemovedRow>,
    /// Whether they were removed; not with `--dry-run`.
    removed: bool,
    certificates_removed: bool,
}

#[derive(Serialize)]
struct RemovedRow {
    file: PathBuf,
    profile: ProfileName,
}

fn rows(profiles: Vec<(PathBuf, ProfileName)>) -> Vec<RemovedRow> {
    profiles.into_iter().map(|(file, profile)| RemovedRow { file, profile }).collect()
}

fn remove(
    job: &TargetId,
    name: Option<&ProfileName>,
    args: &SetupProfile,
    settings: &Settings,
    ui: &Ui,
    reporter: &Reporter,
) -> Result<()> {
    let state = open_state_folder(&settings.state_dir, reporter)?;
    // One at a time, as far as it is ours to say.
    let folder = state.job(job)?;
    let mut record = folder.record()?;
    let audit = Audit::of(&state, settings.audit_copy).with_purpose(Purpose::SetupProfile);
    audit.check()?;
    let written = written_profiles(job, name, record.as_ref());
    if let (Some(name), true) = (name, written.is_empty()) {
        return Err(not_there(job, name, &written_profiles(job, None, record.as_ref())));
    }
    warn_of_edits(&written, job, reporter);
    let shown: Vec<String> = written
        .iter()
        .map(|(file, _, lines)| {
            let lines: Vec<String> = lines.iter().map(|line| format!("- {}", hidden(line))).collect();
            format!("{}\n\n{}\n", file.display(), lines.join("\n"))
        })
        .collect();
    if args.dry_run {
        let profiles = rows(written.into_iter().map(|(file, name, _)| (file, name)).collect());
        let text = if shown.is_empty() {
            format!("There is no profile of {job} to remove.")
        } else {
            format!("Nothing was changed. These lines would go:\n\n{}", shown.join("\n"))
        };
        ui.result(Some(job), &text, RemoveProfileResult { profiles, removed: false, certificates_removed: false });
        return Ok(());
    }
    if !args.yes && !shown.is_empty() {
        consent(&format!("{}\nRemove these lines?", shown.join("\n")), job, args, ui)?;
    }
    let RemovedProfiles { profiles, certificates, left } = remove_profiles(job, name, record.as_ref(), &state)?;
    if !profiles.is_empty() {
        audit.note(&folder, AuditStep::ProfileRemoved, None)?;
    }
    if let Some(record) = record.as_mut().filter(|record| left.is_empty() && !record.profiles.is_empty()) {
        record.profiles.retain(|noted| name.is_some_and(|name| noted.name != *name));
        folder.write_record(record)?;
    }
    let each =
        |(file, name): &(PathBuf, ProfileName)| format!("The profile “{name}” is no longer in {}.", file.display());
    let mut lines: Vec<String> = profiles.iter().map(each).collect();
    if lines.is_empty() {
        lines.push(format!("There is no profile of {job} to remove."));
    }
    if certificates {
        lines.push("The device's certificates were removed.".to_owned());
    }
    let result = RemoveProfileResult { profiles: rows(profiles), removed: true, certificates_removed: certificates };
    left.into_iter().for_each(|left| reporter.notify(Event::Warning(left)));
    ui.result(Some(job), &lines.join("\n"), result);
    Ok(())
}

fn not_there(job: &TargetId, name: &ProfileName, others: &[WrittenLines]) -> Error {
    let each =
        others.iter().map(|(_, other, _)| format!("\n  snow-onboard setup-profile {job} --remove --name {other}"));
    let hint = match others {
        [] => format!("It wrote no other one either. To write one:\n  snow-onboard setup-profile {job}"),
        _ => format!("To remove one that is there:{}", each.collect::<String>()),
    };
    Error::ProfileNotThere { job: job.to_string(), name: name.to_string(), hint }
}

/// A line as it is shown: the one of a file for EKS Anywhere that has the key without it.
fn hidden(line: &str) -> String {
    const SECRET: &str = "aws_secret_access_key = ";
    if line.starts_with(SECRET) { format!("{SECRET}(not shown)") } else { line.to_owned() }
}
