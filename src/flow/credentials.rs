//! The access key of a job's device, for programs that use the device: out of the keychain; the first time, or anew, out of the
//! device, through a session with the client.
//!
//! It runs at every call of the AWS CLI, many at once, so what is in the keychain is read without a lock, a network or a JVM.
//! One of several that find nothing there asks the device, and the others wait for what it stores.

use std::time::{Duration, Instant};

use super::cluster::AskedAt;
use super::keep::{About, apply_keep, is_over};
use super::leftovers::open_state_folder;
use super::onboard::Requested;
use super::run_context::RunContext;
use crate::device::Session;
use crate::error::{Error, Result};
use crate::keychain::Keychain;
use crate::model::{
    AccessKeyId, AccessKeysRecord, JobId, KeychainKind, PairRecord, Purpose, Record, SecretKey, TargetId,
};
use crate::report::{Event, Nobody, Notify, Reporter, WaitNotice};
use crate::safety::redact;
use crate::settings::Settings;
use crate::store::{AuditStep, StateFolder};

/// How long a device is waited for that does not answer: a program waits for the key.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long another process that works on the job is waited for: as long as it may take to start a client and ask it.
const BUSY_FOR: Duration = Duration::from_secs(120);
/// How often is looked for what the other stores.
const LOOK: Duration = Duration::from_millis(200);

/// An access key of a device, whole.
pub(crate) struct DeviceKey {
    /// What is sent.
    pub id: AccessKeyId,
    /// What signs.
    pub secret: SecretKey,
}

/// Gives the access key of the job's device, or of the cluster, whose `node` is asked: the one that is `wanted`, or the only one.
/// With `refresh`, whatever is stored, the device is asked.
///
/// # Errors
/// [`Error::PairNotKept`]; [`Error::AccessKeyAmbiguous`], [`Error::AccessKeyUnknown`], [`Error::AccessKeysNone`];
/// [`Error::EndpointUnknown`], [`Error::NodeAddressUnknown`]; those of the keychain, the client and the device; [`Error::Busy`].
pub(crate) fn device_key(
    (job, node): (&TargetId, Option<&JobId>),
    wanted: Option<&AccessKeyId>,
    refresh: bool,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<DeviceKey> {
    let key = stored_or_asked((job, node), wanted, refresh, settings, reporter);
    key.map_err(|error| keys_advised(error, "credentials", node))
}

fn stored_or_asked(
    (job, node): (&TargetId, Option<&JobId>),
    wanted: Option<&AccessKeyId>,
    refresh: bool,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<DeviceKey> {
    let mut notice = WaitNotice::new();
    let started = Instant::now();
    loop {
        let record = StateFolder::record_below(&settings.state_dir, job)?;
        if !refresh && let Some(key) = stored((job, node), record.as_ref(), wanted, settings, reporter)? {
            // Not before it is certain that the device need not be opened.
            if record.as_ref().is_some_and(|record| is_over(record, settings)) {
                apply_keep(&open_state_folder(&settings.state_dir, reporter)?, settings, About::Job(job), reporter);
            }
            return Ok(key);
        }
        match ask_device((job, node), record, wanted, settings, reporter) {
            Err(Error::Busy { .. }) if started.elapsed() < BUSY_FOR => {
                notice.tell(reporter, "another snow-onboard process that works on the job");
                std::thread::sleep(LOOK);
            }
            done => return done,
        }
    }
}

/// What the keychain has of the device that is meant. Of a cluster, each node may have keys of its own: where it is not known which
/// node is meant, or whose the stored ones are, they are for those alone who name the key.
fn stored(
    (job, node): (&TargetId, Option<&JobId>),
    record: Option<&Record>,
    wanted: Option<&AccessKeyId>,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<Option<DeviceKey>> {
    let Some(record) = record else { return Ok(None) };
    let address = || settings.endpoint.clone().or_else(|| record.last_endpoint());
    let asked = node.cloned().or_else(|| record.node_at(&address()?).cloned());
    let has_wanted = |keys: &&AccessKeysRecord| wanted.is_some_and(|wanted| keys.ids.contains(wanted));
    let named = record.access_keys.iter().filter(|_| node.is_none()).find(has_wanted);
    let Some(known) = named.or_else(|| record.access_keys_of(asked.as_ref())) else { return Ok(None) };
    let Some(id) = choose(job, &known.ids, wanted)? else { return Ok(None) };
    let kind = if settings.keychain_was_chosen() { settings.keychain } else { known.keychain };
    let keychain = Keychain::open(settings.keychain_to_read(kind), reporter.shared())?;
    let secret = keychain.recall_secret_key(job, &id)?;
    // As that of the session is: from here on it is taken out of all that is said.
    secret.iter().for_each(|secret| secret.expose(redact::register));
    Ok(secret.map(|secret| DeviceKey { id, secret }))
}

/// The one that is meant of those there are. `None` if it is not among them.
pub(super) fn choose(job: &TargetId, ids: &[AccessKeyId], wanted: Option<&AccessKeyId>) -> Result<Option<AccessKeyId>> {
    match (wanted, ids) {
        (Some(wanted), ids) => Ok(ids.iter().find(|id| *id == wanted).cloned()),
        (None, []) => Ok(None),
        (None, [only]) => Ok(Some(only.clone())),
        (None, ids) => Err(Error::AccessKeyAmbiguous { job: job.to_string(), ids: lines(job, ids) }),
    }
}

fn lines(job: &TargetId, ids: &[AccessKeyId]) -> String {
    let lines: Vec<String> =
        ids.iter().map(|id| format!("  snow-onboard credentials {job} --access-key-id {id}")).collect();
    lines.join("\n")
}

/// What is advised about the device's keys, for this command and the node that was named.
pub(super) fn keys_advised(error: Error, verb: &str, node: Option<&JobId>) -> Error {
    let lines = |job: &str, ids: String| {
        let named = node.map_or(job, JobId::as_str);
        ids.replace(&format!("snow-onboard credentials {job} "), &format!("snow-onboard {verb} {named} "))
    };
    match error {
        Error::AccessKeyAmbiguous { job, ids } => Error::AccessKeyAmbiguous { ids: lines(&job, ids), job },
        Error::AccessKeyUnknown { job, ids } => Error::AccessKeyUnknown { ids: lines(&job, ids), job },
        error => error,
    }
}

fn ask_device(
    (job, node): (&TargetId, Option<&JobId>),
    record: Option<Record>,
    wanted: Option<&AccessKeyId>,
    settings: &Settings,
    reporter: &Reporter,
) -> Result<DeviceKey> {
    let Some(record) = record else { return Err(Error::nothing_kept(job)) };
    let asked_at = AskedAt::find((job, node), Some(&record), settings)?;
    let endpoint = &asked_at.endpoint;
    let requested = Requested {
        job: job.clone(),
        purpose: Purpose::Credentials,
        settings,
        reporter: reporter.clone(),
        ask: &Nobody,
    };
    let mut open = requested.check_with_device(endpoint)?.take_kept()?.open_session(endpoint, PATIENCE)?;
    // Which node's key it is can't be seen by the key.
    let asked = asked_at.identify_node(&mut open.session);
    let told = asked.and_then(|node| read_key(&mut open.session, job, wanted).map(|told| (node, told)));
    // The home goes before the keychain is opened, which may wait for a person.
    let ended = open.end();
    let (node, (ids, key)) = told?;
    let (context, mut record, pair) = ended?;
    let kept = keep(&context, &mut record, &pair, (node, ids), key.as_ref().ok(), settings);
    key.and_then(|key| kept.map(|()| key))
}

/// The access keys that the open device lists, and the one that is meant.
pub(super) fn read_key(
    session: &mut Session,
    job: &TargetId,
    wanted: Option<&AccessKeyId>,
) -> Result<(Vec<AccessKeyId>, Result<DeviceKey>)> {
    let ids = session.access_keys()?;
    let key = match choose(job, &ids, wanted) {
        Ok(Some(id)) => session.secret_key(&id).map(|secret| DeviceKey { id, secret }),
        Ok(None) if ids.is_empty() => Err(Error::AccessKeysNone { job: job.to_string() }),
        Ok(None) => Err(Error::AccessKeyUnknown { job: job.to_string(), ids: lines(job, &ids) }),
        Err(error) => Err(error),
    };
    Ok((ids, key))
}

/// Puts down which keys there are, by the node that listed them, and stores the one that was read. Whatever is in the keychain, the
/// record names it before, so that `forget` finds it.
pub(super) fn keep(
    context: &RunContext<'_>,
    record: &mut Record,
    pair: &PairRecord,
    (node, ids): (Option<JobId>, Vec<AccessKeyId>),
    read: Option<&DeviceKey>,
    settings: &Settings,
) -> Result<()> {
    let job = context.folder.job().clone();
    let listed = AccessKeysRecord { node, keychain: pair.keychain, ids };
    let before = record.access_keys.iter().find(|keys| keys.node == listed.node).cloned();
    let mut after = record.clone();
    after.note_access_keys(listed.clone());
    // What one node has no more, another one may have.
    let is_named =
        |id: &AccessKeyId, kind| after.access_keys.iter().any(|keys| keys.keychain == kind && keys.ids.contains(id));
    let gone: Vec<AccessKeyId> =
        before.iter().flat_map(|before| &before.ids).filter(|id| !is_named(id, pair.keychain)).cloned().collect();
    let reporter = context.reporter.shared();
    let open_keychain = |kind| Keychain::open(settings.keychain_settings(kind), reporter.clone());
    if let Some(before) = before.as_ref().filter(|before| before.keychain != pair.keychain) {
        // Nothing would name them any more.
        let gone: Vec<AccessKeyId> = before.ids.iter().filter(|id| !is_named(id, before.keychain)).cloned().collect();
        open_keychain(before.keychain)?.forget_secret_keys(&job, &gone)?;
    }
    record.note_access_keys(AccessKeysRecord { ids: [&listed.ids[..], &gone].concat(), ..listed });
    context.folder.write_record(record)?;
    let keychain = open_keychain(pair.keychain)?;
    if let Some(DeviceKey { id, secret }) = read {
        keychain.keep_secret_key(&job, id, secret)?;
    }
    for warning in keychain.forget_secret_keys(&job, &gone)?.warnings {
        context.reporter.notify(Event::Warning(warning));
    }
    *record = after;
    context.folder.write_record(record)?;
    match read {
        Some(_) => context.note(AuditStep::DeviceKeyStored, &pair.manifest_sha256),
        None => Ok(()),
    }
}

/// Whether a keychain is named in which nothing can be.
pub(crate) fn check_keychain(settings: &Settings) -> Result<()> {
    match settings.keychain {
        KeychainKind::None => Err(Error::Usage {
            why: "“credentials” keeps the device's key in the keychain, and keychain is none (“snow-onboard settings” shows \
                  where that was said). Name the keychain that the code is in, for example --keychain system."
                .to_owned(),
        }),
        KeychainKind::System | KeychainKind::Kernel => Ok(()),
    }
}
