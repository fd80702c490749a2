//! AWS: the way to it, whose credentials are in use, what they may do, and its clock.

use std::sync::Arc;

use time::{Duration, OffsetDateTime};

use super::{Check, Subject, WarningCollector};
use crate::cloud::{Action, Cloud, CredentialsInUse, Examined, TrustInUse, Way};
use crate::error::{Error, ExitCode, Result};
use crate::report::Notify;
use crate::report::utc_in_words;
use crate::settings::Settings;

/// A difference of clocks that is worth a word, and one that AWS refuses (Signature Version 4: five minutes).
const CLOCKS_DIFFER: Duration = Duration::minutes(1);
const CLOCK_IS_OFF: Duration = Duration::minutes(5);

/// Credentials that end sooner may not last until a device has started and been opened.
const EXPIRES_SOON: Duration = Duration::hours(1);

/// Region, proxy and CA certificates: nothing is connected to.
pub(super) fn way(way: &Way) -> Vec<Check> {
    let region = match &way.region {
        Ok(found) => Check::ok(Subject::Region, format!("{}, from {}", found.value, found.origin)),
        // What the profile has to say, its own line tells.
        Err(error) if is_of_credentials(error) => {
            Check::skipped(Subject::Region, "can't be told without the profile: see Credentials")
        }
        Err(error) => Check::failed(Subject::Region, error),
    };
    let proxy = match &way.proxy {
        Ok(None) => Check::ok(Subject::Proxy, "none is set"),
        Ok(Some(proxy)) => {
            let except =
                proxy.except.as_ref().map_or_else(String::new, |hosts| format!(", but not for {hosts} (NO_PROXY)"));
            Check::ok(Subject::Proxy, format!("{}, from {}{except}", proxy.address, proxy.variable))
        }
        Err(error) => Check::failed(Subject::Proxy, error),
    };
    let trust = match &way.trust {
        Ok(found) => ca_certificates(found),
        Err(error) => Check::failed(Subject::CaCertificates, error),
    };
    vec![region, proxy, trust]
}

fn ca_certificates(found: &TrustInUse) -> Check {
    let count = if found.count == 1 { "1 certificate".to_owned() } else { format!("{} certificates", found.count) };
    let text = match &found.file {
        Some(file) => format!("{count} of {} ({})", file.value.display(), file.origin),
        None => format!("{count} of this system"),
    };
    if found.left_out.is_empty() {
        return Check::ok(Subject::CaCertificates, text);
    }
    let text = format!("{text}. {}", found.left_out.join(" "));
    Check::warning(Subject::CaCertificates, text, TRUST_FOR_SERVERS)
}

/// What AWS answers.
pub(super) fn answers(settings: &Settings, way: &Way, heard: &Arc<WarningCollector>) -> Vec<Check> {
    let cloud = Cloud::open(&settings.cloud(), Arc::clone(heard) as Arc<dyn Notify>);
    let examined = cloud.and_then(|cloud| Ok((cloud.examine()?, cloud.credentials_in_use(), cloud.clocks())));
    match examined {
        Ok((examined, in_use, clocks)) => checks_of(&examined, in_use.as_ref(), clocks, OffsetDateTime::now_utc()),
        Err(error) => not_asked(&error, way),
    }
}

/// AWS can't be asked at all.
fn not_asked(error: &Error, way: &Way) -> Vec<Check> {
    const WHY: &str = "not checked: correct the failed check first";
    let is_told_above = way.region.is_err() || way.proxy.is_err() || way.trust.is_err();
    let aws = if is_told_above { Check::skipped(Subject::Aws, WHY) } else { Check::failed(Subject::Aws, error) };
    let credentials = match &way.region {
        Err(error) if is_of_credentials(error) => Check::failed(Subject::Credentials, error),
        _ => Check::skipped(Subject::Credentials, WHY),
    };
    let rest = std::iter::once(Subject::Clock).chain(ACTIONS.map(subject));
    [aws, credentials].into_iter().chain(rest.map(|subject| Check::skipped(subject, WHY))).collect()
}

const TRUST_FOR_SERVERS: &str = "If a company proxy inspects this network's traffic and that is its certificate, write it into the file without those marks. What OpenSSL makes of it:\n  openssl x509 -clrtrust -in CERTIFICATE.pem";

const ACTIONS: [Action; 4] = [Action::ListJobs, Action::DescribeJob, Action::GetJobManifest, Action::GetJobUnlockCode];

fn subject(action: Action) -> Subject {
    match action {
        Action::ListJobs => Subject::ListJobs,
        Action::DescribeJob => Subject::DescribeJob,
        Action::GetJobManifest => Subject::GetJobManifest,
        Action::GetJobUnlockCode => Subject::GetJobUnlockCode,
    }
}

fn checks_of(
    found: &Examined,
    in_use: Option<&CredentialsInUse>,
    clocks: Option<(OffsetDateTime, OffsetDateTime)>,
    now: OffsetDateTime,
) -> Vec<Check> {
    let refusals = || found.actions.iter().filter_map(|(_, answer)| answer.as_ref().err());
    let is_silent = refusals().count() == ACTIONS.len() && refusals().all(is_of_the_way);
    let has_none =
        refusals().count() == ACTIONS.len() && refusals().all(|error| is_of_credentials(error) && clocks.is_none());
    let aws = match refusals().next() {
        Some(error) if is_silent => Check::failed(Subject::Aws, error),
        _ if has_none => Check::skipped(Subject::Aws, "not asked: there are no credentials to ask with"),
        _ => Check::ok(Subject::Aws, format!("{} answers", capitalised(&found.api))),
    };
    let mut checks = vec![aws, credentials(found, in_use, now, is_silent), clock(clocks, refusals())];
    checks.extend(found.actions.iter().map(|(action, answer)| permission(*action, answer, is_silent)));
    checks
}

fn credentials(found: &Examined, in_use: Option<&CredentialsInUse>, now: OffsetDateTime, is_silent: bool) -> Check {
    const SUBJECT: Subject = Subject::Credentials;
    let answers = found.actions.iter().map(|(_, answer)| answer.as_ref().err());
    let refusals = found.identity.as_ref().err().into_iter().chain(answers.flatten());
    if let Some(error) = refusals.clone().find(|error| is_of_credentials(error)) {
        return Check::failed(SUBJECT, error);
    }
    if refusals.clone().any(|error| matches!(error, Error::ClockSkew { .. })) {
        return Check::skipped(SUBJECT, "AWS does not say whether they hold while the clock is wrong");
    }
    let source = in_use.map_or("a source that is not known", |found| found.source.as_str());
    let (ends, is_soon) = in_use.map_or_else(Default::default, |found| until(found, now));
    match &found.identity {
        Ok(identity) => {
            let text = format!("{} of account {}, from {source}{ends}", identity.arn, identity.account);
            match in_use.filter(|_| is_soon) {
                None => Check::ok(SUBJECT, text),
                Some(found) => Check::warning(SUBJECT, text, renewal(found)),
            }
        }
        Err(_) if is_silent => {
            Check::skipped(SUBJECT, format!("not told, since AWS does not answer; they come from {source}{ends}"))
        }
        Err(error) => {
            let text = format!("from {source}{ends}; their identity is unknown. {error}");
            let hint = match error {
                Error::StsNotHttps { .. } => error.report().hint,
                _ => format!(
                    "A run needs no answer of STS. To see by another program whose they are:\n  {}",
                    found.ask_identity
                ),
            };
            Check::warning(SUBJECT, text, hint)
        }
    }
}

/// Until when, as the end of a sentence, and whether that is soon.
fn until(found: &CredentialsInUse, now: OffsetDateTime) -> (String, bool) {
    match found.expires {
        Some(at) => {
            let left = at - now;
            let minutes = left.whole_minutes().max(0);
            let in_words = if minutes < 120 { format!("{minutes} min") } else { format!("{} h", minutes / 60) };
            (format!(", valid until {} ({in_words})", utc_in_words(at)), left < EXPIRES_SOON)
        }
        None if found.temporary => (", temporary: where they come from does not say until when".to_owned(), false),
        None => (String::new(), false),
    }
}

fn renewal(found: &CredentialsInUse) -> String {
    match &found.sign_in {
        Some(command) => format!("Sign in again before the device is started, which takes 10 to 20 minutes:\n  {command}"),
        None => "Get new ones before the device is started, which takes 10 to 20 minutes, or fetch the job's code and manifest now:\n  snow-onboard fetch JID…".to_owned(),
    }
}

fn clock<'a>(clocks: Option<(OffsetDateTime, OffsetDateTime)>, mut refusals: impl Iterator<Item = &'a Error>) -> Check {
    const SUBJECT: Subject = Subject::Clock;
    let Some((here, there)) = clocks else {
        return match refusals.find(|error| matches!(error, Error::ClockSkew { .. })) {
            Some(error) => Check::failed(SUBJECT, error).hint(SET_CLOCK),
            None => Check::skipped(SUBJECT, "AWS's time is not known: no answer of AWS was read"),
        };
    };
    let difference = (there - here).abs();
    let both = format!("it is {} here and {} at AWS", utc_in_words(here), utc_in_words(there));
    if difference >= CLOCK_IS_OFF {
        Check::failed(SUBJECT, &Error::ClockOff { here: utc_in_words(here), there: utc_in_words(there) })
            .hint(SET_CLOCK)
    } else if difference >= CLOCKS_DIFFER {
        Check::warning(SUBJECT, format!("{both}; from five minutes on AWS refuses requests"), SET_CLOCK)
    } else {
        // Whole seconds, and the way of the answer: a second or two is no difference.
        Check::ok(SUBJECT, format!("agrees with AWS's to within {} s", difference.whole_seconds().max(2)))
    }
}

const SET_CLOCK: &str = if cfg!(windows) {
    "Set the clock of this machine, in a terminal of an administrator:\n  w32tm /resync"
} else if cfg!(target_os = "macos") {
    "Set the clock of this machine:\n  sudo sntp -sS time.apple.com"
} else {
    "Set the clock of this machine, and have it kept:\n  sudo timedatectl set-ntp true"
};

fn permission(action: Action, answer: &Result<()>, is_silent: bool) -> Check {
    let subject = subject(action);
    let name = format!("snowball:{}", action.name());
    match answer {
        Ok(()) => Check::ok(subject, format!("{name} is allowed")),
        Err(_) if is_silent => Check::skipped(subject, format!("{name}: AWS does not answer")),
        Err(error) if is_of_credentials(error) => {
            Check::skipped(subject, format!("{name}: not checked: valid AWS credentials are needed first"))
        }
        Err(Error::ClockSkew { .. }) => {
            Check::skipped(subject, format!("{name}: can't be told while the clock is wrong"))
        }
        // A run that is told its job does not list any.
        Err(error @ Error::AccessDenied { .. }) if action == Action::ListJobs => Check::warning(
            subject,
            format!("{error} Only listing needs it: “jobs”, and “run” without a job."),
            error.report().hint,
        ),
        Err(error @ (Error::AccessDenied { .. } | Error::NotActivated { .. })) => Check::failed(subject, error),
        // The other calls were answered: it may pass.
        Err(error) => {
            let report = error.report();
            Check::warning(
                subject,
                format!("whether {name} is allowed could not be found out. {}", report.sentence),
                report.hint,
            )
        }
    }
}

fn is_of_credentials(error: &Error) -> bool {
    matches!(
        error,
        Error::CredentialsMissing { .. }
            | Error::CredentialsExpired { .. }
            | Error::MfaCodeNeeded { .. }
            | Error::CredentialsFailed { .. }
            | Error::CredentialsRefused { .. }
    )
}

/// Whether it says nothing of the caller, only of the way to AWS.
fn is_of_the_way(error: &Error) -> bool {
    matches!(error.exit(), ExitCode::Network | ExitCode::Answer | ExitCode::Settings)
}

fn capitalised(text: &str) -> String {
    text.strip_prefix("the ").map_or_else(|| text.to_owned(), |rest| format!("The {rest}"))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cloud::Identity;
    use crate::doctor::Verdict;

    const NOW: OffsetDateTime = OffsetDateTime::UNIX_EPOCH;

    fn in_use(expires: Option<Duration>) -> CredentialsInUse {
        CredentialsInUse {
            source: "profile “field”".to_owned(),
            temporary: true,
            expires: expires.map(|left| NOW + left),
            sign_in: Some("aws sso login --profile field".to_owned()),
        }
    }

    fn found(identity: Result<Identity>, answers: [Result<()>; 4]) -> Examined {
        let [a, b, c, d] = answers;
        let actions = [(ACTIONS[0], a), (ACTIONS[1], b), (ACTIONS[2], c), (ACTIONS[3], d)];
        Examined {
            api: "the Snowball API in eu-west-1".to_owned(),
            identity,
            ask_identity: "aws sts get-caller-identity --profile field".to_owned(),
            actions,
        }
    }

    fn somebody() -> Result<Identity> {
        Ok(Identity { account: "123456789012".to_owned(), arn: "arn:aws:iam::123456789012:user/anna".to_owned() })
    }

    fn verdicts(checks: &[Check]) -> Vec<Verdict> {
        checks.iter().map(|check| check.verdict).collect()
    }

    #[test]
    fn a_certificate_that_is_left_out_is_named() {
        let check = |left_out| ca_certificates(&TrustInUse { file: None, count: 2, uncheckable: Vec::new(), left_out });
        assert_eq!(check(Vec::new()).verdict, Verdict::Ok);
        let told = check(vec!["The certificate that begins in line 3 of x is not used.".to_owned()]);
        assert_eq!(told.verdict, Verdict::Warning);
        assert!(
            told.text.starts_with("2 certificates of this system. The certificate that begins in line 3"),
            "{}",
            told.text
        );
    }

    #[test]
    fn credentials_that_end_soon_are_worth_a_word() {
        let found = found(somebody(), [Ok(()), Ok(()), Ok(()), Ok(())]);
        let check = |left| checks_of(&found, Some(&in_use(left)), Some((NOW, NOW)), NOW).swap_remove(1);
        let soon = check(Some(Duration::minutes(40)));
        assert_eq!(soon.verdict, Verdict::Warning);
        assert!(soon.text.ends_with("valid until 1970-01-01 00:40:00 UTC (40 min)"), "{}", soon.text);
        assert!(soon.hint.unwrap().ends_with("\n  aws sso login --profile field"));
        assert_eq!(check(Some(Duration::hours(9))).verdict, Verdict::Ok);
        assert!(check(None).text.contains("does not say until when"));
    }

    #[test]
    fn a_clock_is_fine_worth_a_word_or_off() {
        let clock = |separation| clock(Some((NOW, NOW + separation)), std::iter::empty());
        assert_eq!(clock(Duration::seconds(-59)).verdict, Verdict::Ok);
        let differs = clock(Duration::seconds(-90));
        assert_eq!(differs.verdict, Verdict::Warning);
        assert!(differs.text.contains("1970-01-01 00:00:00 UTC here and 1969-12-31 23:58:30 UTC at AWS"));
        let off = clock(Duration::minutes(5));
        assert_eq!((off.verdict, off.error.unwrap().0), (Verdict::Fails, "clock_off"));
    }

    #[test]
    fn a_way_that_leads_nowhere_is_told_once() {
        let away = || Error::ApiUnreachable {
            what: "The Snowball API".to_owned(),
            why: "refused".to_owned(),
            hint: String::new(),
        };
        let none = [Err(away()), Err(away()), Err(away()), Err(away())];
        let checks = checks_of(&found(Err(away()), none), Some(&in_use(None)), None, NOW);
        use Verdict::{Fails, Ok as Fine, Skipped, Warning};
        assert_eq!(verdicts(&checks), [Fails, Skipped, Skipped, Skipped, Skipped, Skipped, Skipped]);
        // STS alone is out of reach, and one call fails for now.
        let some = [Ok(()), Ok(()), Ok(()), Err(Error::ApiThrottled { what: "x".to_owned() })];
        let checks = checks_of(&found(Err(away()), some), Some(&in_use(None)), Some((NOW, NOW)), NOW);
        assert_eq!(verdicts(&checks), [Fine, Warning, Fine, Fine, Fine, Fine, Warning]);
        assert!(checks[1].text.contains("profile “field”"), "{}", checks[1].text);
        assert!(checks[1].hint.as_ref().unwrap().ends_with("\n  aws sts get-caller-identity --profile field"));
    }
}
