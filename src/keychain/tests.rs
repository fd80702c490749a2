//! The rules that hold for every place, tried on one that can be told to fail.
#![allow(clippy::unwrap_used, clippy::use_debug)]

use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::model::AccessKeyId;
use crate::report::{Event, HeardEvents, SILENCE};
use backend::PendingPrompt;

pub(super) fn settings(kind: KeychainKind) -> KeychainSettings {
    KeychainSettings { kind, deadline: Duration::from_secs(60), plain: PlainKeyring::Refused }
}

pub(super) fn job(last: u8) -> TargetId {
    format!("JID123e4567-e89b-12d3-a456-4266554400{last:02x}").parse().unwrap()
}

pub(super) fn code(digit: char) -> UnlockCode {
    UnlockCode::take([digit.to_string().repeat(5).as_str(); 5].join("-")).unwrap()
}

/// Digest of a manifest of its own for each number.
pub(super) fn manifest(number: u8) -> ManifestDigest {
    ManifestDigest::of(&[number][..]).unwrap()
}

/// The codes kept for a job, with their manifests.
pub(super) fn codes(keychain: &Keychain, job: &TargetId) -> Vec<(String, Option<ManifestDigest>)> {
    let items = keychain.recall(job).unwrap();
    items.into_iter().map(|item| (item.code.expose(str::to_owned), item.manifest)).collect()
}

pub(super) fn text(digit: char) -> String {
    code(digit).expose(str::to_owned)
}

/// By user name; several a name where the keychain admits that.
type Items = Arc<Mutex<Vec<(String, Vec<u8>)>>>;

/// Keeps items as long as it lives, and spoils what it is told to.
struct Fake {
    items: Items,
    spoil: Spoil,
    several: bool,
    /// Tells when the backend is dropped.
    _life: Arc<()>,
}

#[derive(Clone, Copy, PartialEq)]
enum Spoil {
    Nothing,
    PutForgets,
    PutGarbles,
    PutFails,
    GetHangs,
    GetPanics,
    CheckFails,
    RemoveFails,
    RemoveAsks,
    Archives,
}

impl Fake {
    fn position(&self, user: &str, id: &ItemId) -> Option<usize> {
        let items = self.items.lock().unwrap();
        let mut of_user = items.iter().enumerate().filter(|(_, (name, _))| name == user);
        let number: usize = id.0.parse().unwrap();
        of_user.nth(number).map(|(at, _)| at)
    }
}

impl Backend for Fake {
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure> {
        let count = self.items.lock().unwrap().iter().filter(|(name, _)| name == user).count();
        // From the last on: a removal leaves the numbers of the others as they are.
        Ok((0..count).rev().map(|number| ItemId(number.to_string())).collect())
    }

    fn users(&mut self) -> Result<Vec<String>, KeychainFailure> {
        Ok(self.items.lock().unwrap().iter().map(|(user, _)| user.clone()).collect())
    }

    fn read(&mut self, user: &str, id: &ItemId) -> Result<Option<Stored>, KeychainFailure> {
        match self.spoil {
            Spoil::GetHangs => loop {
                std::thread::park();
            },
            Spoil::GetPanics => panic!("the library's own mistake"),
            _ => Ok(self.position(user, id).map(|at| {
                let value = self.items.lock().unwrap()[at].1.clone();
                Stored { id: id.clone(), value: value.into() }
            })),
        }
    }

    fn write(
        &mut self,
        user: &str,
        label: &str,
        value: &[u8],
        over: Option<&ItemId>,
    ) -> Result<ItemId, KeychainFailure> {
        assert!(label.starts_with("snow-onboard "), "{label}");
        let value = match self.spoil {
            Spoil::PutForgets => return Ok(ItemId("0".to_owned())),
            Spoil::PutFails => return Err(KeychainFailure::locked("Unlock it")),
            Spoil::PutGarbles => value.iter().map(|byte| byte ^ 1).collect(),
            _ => value.to_vec(),
        };
        let ids = self.find(user)?;
        let over = over.cloned().or_else(|| ids.first().filter(|_| !self.several).cloned());
        if let Some(id) = over {
            let at = self.position(user, &id).unwrap();
            self.items.lock().unwrap()[at].1 = value;
            return Ok(id);
        }
        self.items.lock().unwrap().push((user.to_owned(), value));
        Ok(ItemId(ids.len().to_string()))
    }

    fn remove(&mut self, user: &str, id: &ItemId, asking: Asking) -> Result<Removal, KeychainFailure> {
        match self.spoil {
            Spoil::RemoveFails => return Err(KeychainFailure::Failed("no".to_owned())),
            Spoil::RemoveAsks if asking == Asking::Never => return Ok(Removal::Left("The item".to_owned())),
            _ => {}
        }
        if let Some(at) = self.position(user, id) {
            self.items.lock().unwrap().remove(at);
        }
        Ok(if self.spoil == Spoil::Archives { Removal::Archived("In the bin.".to_owned()) } else { Removal::Gone })
    }

    fn check(&mut self, _: &str, _: &ItemId) -> Result<(), KeychainFailure> {
        match self.spoil {
            Spoil::CheckFails => {
                Err(KeychainFailure::InClear { place: "a file".to_owned(), hint: "Set one".to_owned() })
            }
            _ => Ok(()),
        }
    }

    fn removes_without_asking(&self) -> bool {
        self.spoil != Spoil::RemoveAsks
    }

    fn holds_several(&self) -> bool {
        self.several
    }
}

fn fake_with(spoil: Spoil, deadline: Duration, notify: Arc<dyn Notify>) -> (Keychain, Items, std::sync::Weak<()>) {
    fake_that(spoil, true, deadline, notify)
}

fn fake_that(
    spoil: Spoil,
    several: bool,
    deadline: Duration,
    notify: Arc<dyn Notify>,
) -> (Keychain, Items, std::sync::Weak<()>) {
    let (items, life) = (Items::default(), Arc::new(()));
    let (inside, watch) = (Arc::clone(&items), Arc::downgrade(&life));
    let open = move || {
        let backend = Box::new(Fake { items: inside, spoil, several, _life: life });
        Ok(Opened { backend, name: "the fake".to_owned() })
    };
    let current_prompt = CurrentPrompt::an_answer_of("the fake");
    let (name, thread) = KeychainThread::start(deadline, notify, current_prompt, open).unwrap();
    (Keychain { kind: KeychainKind::System, name, thread: Some(thread) }, items, watch)
}

fn fake(spoil: Spoil) -> (Keychain, Items) {
    let (keychain, items, _) = fake_with(spoil, Duration::from_secs(60), Arc::new(HeardEvents::default()));
    (keychain, items)
}

/// One that holds one item a job, as all but the Secret Service do.
fn fake_of_one_item(spoil: Spoil) -> (Keychain, Items) {
    let (keychain, items, _) = fake_that(spoil, false, Duration::from_secs(60), Arc::new(HeardEvents::default()));
    (keychain, items)
}

fn add(items: &Items, job: &TargetId, value: &str) {
    items.lock().unwrap().push((job.to_string(), value.as_bytes().to_vec()));
}

fn values(items: &Items) -> Vec<String> {
    items.lock().unwrap().iter().map(|(_, value)| String::from_utf8(value.clone()).unwrap()).collect()
}

fn code_of_error<R>(answer: Result<R>) -> &'static str {
    answer.err().unwrap().code()
}

#[test]
fn kinds_read_as_they_are_written() {
    for kind in [KeychainKind::System, KeychainKind::Kernel, KeychainKind::None] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
        assert_eq!(serde_json::to_string(&kind).unwrap(), format!("\"{kind}\""));
        assert_eq!(serde_json::from_str::<KeychainKind>(&format!("\"{kind}\"")).unwrap(), kind);
    }
    assert!("System".parse::<KeychainKind>().is_err() && "file".parse::<KeychainKind>().is_err());
}

#[test]
fn a_code_is_kept_with_its_manifest_replaced_recalled_and_forgotten() {
    let (keychain, items) = fake(Spoil::Nothing);
    assert!(codes(&keychain, &job(0)).is_empty());
    keychain.keep(&job(0), &code('1'), &manifest(1), None).unwrap();
    keychain.keep(&job(1), &code('2'), &manifest(2), None).unwrap();
    keychain.keep(&job(0), &code('3'), &manifest(3), Some(manifest(1))).unwrap();
    assert_eq!(codes(&keychain, &job(0)), [(text('3'), Some(manifest(3)))]);
    assert_eq!(codes(&keychain, &job(1)), [(text('2'), Some(manifest(2)))]);
    assert_eq!(values(&items), [format!("{}\n{}", text('3'), manifest(3)), format!("{}\n{}", text('2'), manifest(2))]);
    assert_eq!(keychain.forget(&job(0)).unwrap().removed, 1);
    assert_eq!(keychain.forget(&job(0)).unwrap(), Forgotten::default());
    assert_eq!(items.lock().unwrap()[0].0, job(1).as_str());
}

#[test]
fn a_code_that_can_t_be_verified_gives_way_to_the_one_before() {
    let (keychain, items) = fake(Spoil::CheckFails);
    add(&items, &job(0), &text('1'));
    assert_eq!(code_of_error(keychain.keep(&job(0), &code('2'), &manifest(2), None)), "keychain_in_clear");
    assert_eq!(codes(&keychain, &job(0)), [(text('1'), None)]);
    assert_eq!(code_of_error(keychain.keep(&job(1), &code('2'), &manifest(2), None)), "keychain_in_clear");
    assert!(codes(&keychain, &job(1)).is_empty());
}

#[test]
fn the_job_s_own_item_proves_the_keychain_before_there_is_a_code_and_goes_if_none_comes() {
    for (spoil, expected) in [
        (Spoil::Nothing, None),
        (Spoil::PutForgets, Some("keychain_keeps_nothing")),
        (Spoil::PutGarbles, Some("keychain_keeps_nothing")),
        (Spoil::PutFails, Some("keychain_locked")),
        (Spoil::CheckFails, Some("keychain_in_clear")),
    ] {
        let (keychain, items) = fake(spoil);
        assert_eq!(keychain.prepare(&job(9)).err().map(|error| error.code()), expected);
        assert_eq!(values(&items).len(), usize::from(expected.is_none()));
        assert!(codes(&keychain, &job(9)).is_empty(), "no code is in it");
        assert!(keychain.withdraw(&job(9)).unwrap().is_empty());
        assert!(values(&items).is_empty());
    }
    let (keychain, items) = fake(Spoil::Nothing);
    assert_eq!(keychain.prepare(&job(0)).unwrap(), Prepared::Made);
    assert_eq!(keychain.prepare(&job(0)).unwrap(), Prepared::WasThere, "as after a run that was killed");
    keychain.keep(&job(0), &code('1'), &manifest(1), None).unwrap();
    assert_eq!(values(&items).len(), 1, "the code came into the same item");
    assert_eq!(keychain.prepare(&job(0)).unwrap(), Prepared::WasThere);
    assert!(keychain.withdraw(&job(0)).unwrap().is_empty());
    assert_eq!(codes(&keychain, &job(0)), [(text('1'), Some(manifest(1)))], "a code is not taken back");
}

#[test]
fn what_can_t_be_removed_without_asking_stays_and_is_named() {
    let (keychain, items) = fake(Spoil::RemoveAsks);
    keychain.prepare(&job(0)).unwrap();
    let warnings = keychain.withdraw(&job(0)).unwrap();
    assert!(matches!(&warnings[..], [warning] if warning.contains("The item stays")), "{warnings:?}");
    assert_eq!(values(&items).len(), 1);
    assert!(!keychain.try_out(&job(9)).unwrap(), "nothing is stored to try it out");
    assert_eq!(values(&items).len(), 1);

    let (keychain, items) = fake(Spoil::Archives);
    for value in [text('1'), text('2')] {
        add(&items, &job(0), &value);
    }
    let forgotten = keychain.forget(&job(0)).unwrap();
    assert_eq!((forgotten.removed, forgotten.warnings), (2, vec!["In the bin.".to_owned()]), "said once");
}

#[test]
fn a_test_item_leaves_nothing_behind() {
    let (keychain, items) = fake(Spoil::Nothing);
    items.lock().unwrap().push((probe_for(&job(9)), b"left by one that was killed".to_vec()));
    assert!(keychain.try_out(&job(9)).unwrap());
    assert!(values(&items).is_empty());
    assert_eq!(code_of_error(fake(Spoil::RemoveFails).0.try_out(&job(9))), "keychain_failed");
}

#[test]
fn what_an_earlier_version_tried_the_keychain_out_with_goes_with_the_job() {
    let (keychain, items) = fake(Spoil::Nothing);
    for of in [0, 1] {
        items.lock().unwrap().push((probe_for(&job(of)), b"left".to_vec()));
    }
    keychain.forget(&job(0)).unwrap();
    assert_eq!(items.lock().unwrap()[0].0, probe_for(&job(1)));
    assert_eq!(values(&items).len(), 1);
}

#[test]
fn the_jobs_are_those_of_any_item_and_a_key_that_no_record_names_goes_with_its_job() {
    let (keychain, items) = fake(Spoil::Nothing);
    for user in [
        job(3).to_string(),
        format!("{} AKIAIOSFODNN7EXAMPLE", job(2)),
        format!("{} AKIAIOSFODNN7EXAMPLF", job(2)),
        probe_for(&job(1)),
        "the neighbour's".to_owned(),
        format!("{} of the neighbour's", job(4)),
        format!("{} AKIAIOSFODNN7EXAMPLE ", job(5)),
        format!("{}{} AKIAIOSFODNN7EXAMPLE", PROBE, job(6)),
    ] {
        items.lock().unwrap().push((user, b"something".to_vec()));
    }
    assert_eq!(keychain.jobs().unwrap(), [job(1), job(2), job(3)]);
    assert_eq!(keychain.forget(&job(2)).unwrap().removed, 0, "the code's item alone");
    assert_eq!(keychain.forget_secret_keys(&job(2), &[]).unwrap().removed, 0, "those that are named alone");
    let listed = keychain.listed_secret_keys(&job(2)).unwrap();
    assert_eq!(
        listed.iter().map(AccessKeyId::as_str).collect::<Vec<_>>(),
        ["AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLF"]
    );
    assert_eq!(keychain.forget_secret_keys(&job(2), &listed).unwrap().removed, 2);
    assert_eq!(keychain.jobs().unwrap(), [job(1), job(3)]);
}

#[test]
fn of_several_items_the_one_of_the_old_pair_is_replaced_and_none_is_lost() {
    let (keychain, items) = fake(Spoil::Nothing);
    for number in [1, 2] {
        let digit = char::from(b'0' + number);
        add(&items, &job(0), &format!("{}\n{}", text(digit), manifest(number)));
    }
    keychain.keep(&job(0), &code('3'), &manifest(3), Some(manifest(2))).unwrap();
    let of = |digit, number| (text(digit), Some(manifest(number)));
    assert_eq!(codes(&keychain, &job(0)), [of('3', 3), of('1', 1)]);
    keychain.keep(&job(0), &code('4'), &manifest(4), None).unwrap();
    assert_eq!(codes(&keychain, &job(0)), [of('4', 4), of('3', 3), of('1', 1)], "beside them, if it can't be told");
    assert_eq!(keychain.forget(&job(0)).unwrap().removed, 3);
    assert!(values(&items).is_empty());
}

#[test]
fn a_code_of_aws_leaves_no_other_one_for_the_same_manifest() {
    let (keychain, items) = fake(Spoil::Nothing);
    for digit in ['1', '2', '3'] {
        add(&items, &job(0), &format!("{}\n{}", text(digit), manifest(u8::from(digit == '3'))));
    }
    keychain.keep(&job(0), &code('4'), &manifest(0), Some(manifest(0))).unwrap();
    let mut kept = codes(&keychain, &job(0));
    kept.sort_by(|(one, _), (other, _)| one.cmp(other));
    assert_eq!(kept, [(text('3'), Some(manifest(1))), (text('4'), Some(manifest(0)))]);
}

#[test]
fn a_second_line_is_added_to_the_item_that_lacks_it() {
    let (keychain, items) = fake(Spoil::Nothing);
    for digit in ['1', '2'] {
        add(&items, &job(0), &text(digit));
    }
    let found = keychain.recall(&job(0)).unwrap();
    let first = found.iter().find(|item| item.code.is_same_as(&code('1'))).unwrap();
    keychain.complete(&job(0), first, &manifest(7)).unwrap();
    assert_eq!(codes(&keychain, &job(0)), [(text('2'), None), (text('1'), Some(manifest(7)))]);
}

#[test]
fn what_is_not_kept_as_promised_is_not_left_there() {
    for (spoil, expected) in [
        (Spoil::PutForgets, "keychain_keeps_nothing"),
        (Spoil::PutGarbles, "keychain_keeps_nothing"),
        (Spoil::CheckFails, "keychain_in_clear"),
    ] {
        let (keychain, items) = fake(spoil);
        assert_eq!(code_of_error(keychain.keep(&job(0), &code('1'), &manifest(1), None)), expected);
        assert!(items.lock().unwrap().is_empty());
    }
}

#[test]
fn an_item_that_is_no_code_is_left_as_it_is_and_not_echoed() {
    let (keychain, items) = fake_of_one_item(Spoil::Nothing);
    add(&items, &job(0), "a shopping list");
    for error in [
        keychain.recall(&job(0)).err().unwrap(),
        keychain.prepare(&job(0)).unwrap_err(),
        keychain.keep(&job(0), &code('1'), &manifest(1), None).unwrap_err(),
    ] {
        assert_eq!(error.code(), "keychain_foreign_item");
        assert!(!error.to_string().contains("shopping"));
    }
    assert_eq!(values(&items), ["a shopping list"]);
    assert_eq!(keychain.forget(&job(0)).unwrap().removed, 1, "but it can be removed");

    let (keychain, items) = fake(Spoil::Nothing);
    add(&items, &job(0), "a shopping list");
    assert_eq!(code_of_error(keychain.recall(&job(0))), "keychain_foreign_item");
    assert_eq!(keychain.prepare(&job(0)).unwrap(), Prepared::Made, "where several may be, it goes beside it");
    keychain.keep(&job(0), &code('1'), &manifest(1), None).unwrap();
    assert_eq!(codes(&keychain, &job(0)), [(text('1'), Some(manifest(1)))]);
    assert_eq!(values(&items)[0], "a shopping list");
}

#[test]
fn a_call_that_never_returns_ends_at_its_deadline_and_holds_nobody_up() {
    let kept = Arc::new(HeardEvents::default());
    let (keychain, items, _) = fake_with(Spoil::GetHangs, SILENCE + Duration::from_secs(1), Arc::clone(&kept) as _);
    add(&items, &job(0), &text('1'));
    let error = keychain.recall(&job(0)).err().unwrap();
    assert!(
        matches!(&error, Error::KeychainTimeout { what, seconds: 3, .. } if what == "reading the unlock code"),
        "{error}"
    );
    assert!(error.to_string().starts_with("The fake did not answer within 3 seconds"), "{error}");
    {
        let events = kept.0.lock().unwrap();
        assert!(matches!(&events[..], [Event::Waiting { what, .. }] if what == "the fake to answer"));
    }
    let start = Instant::now();
    assert_eq!(code_of_error(keychain.forget(&job(0))), "keychain_timeout");
    drop(keychain);
    assert!(start.elapsed() < SILENCE + Duration::from_secs(1), "neither a later call nor the drop waits for it");
}

#[test]
fn a_panic_in_the_library_is_an_error_here() {
    let (keychain, items, life) =
        fake_with(Spoil::GetPanics, Duration::from_secs(60), Arc::new(HeardEvents::default()));
    add(&items, &job(0), &text('1'));
    assert_eq!(code_of_error(keychain.recall(&job(0))), "keychain_failed");
    assert_eq!(code_of_error(keychain.recall(&job(0))), "keychain_failed", "and stays one");
    drop(keychain);
    assert!(life.upgrade().is_none(), "the store is closed all the same");
}

#[test]
fn a_keychain_may_be_used_from_any_thread() {
    fn any_thread<T: Send + Sync>() {}
    any_thread::<Keychain>();
}

#[test]
fn dropping_the_keychain_closes_the_store() {
    let (keychain, _, life) = fake_with(Spoil::Nothing, Duration::from_secs(60), Arc::new(HeardEvents::default()));
    assert!(life.upgrade().is_some());
    drop(keychain);
    assert!(life.upgrade().is_none());
}

/// What is waited for may change while a call is under way.
#[test]
fn a_wait_says_what_it_waits_for_and_a_deadline_what_did_not_happen() {
    let kept = Arc::new(HeardEvents::default());
    let current_prompt = CurrentPrompt::an_answer_of("the fake");
    let inside = current_prompt.clone();
    let open = move || {
        std::thread::sleep(SILENCE + Duration::from_millis(300));
        inside.set(PendingPrompt {
            waiting: "you to unlock it".to_owned(),
            what_failed: "It was not unlocked".to_owned(),
        });
        loop {
            std::thread::park();
        }
    };
    let deadline = SILENCE + Duration::from_secs(1);
    let error = KeychainThread::start(deadline, Arc::clone(&kept) as _, current_prompt, open).err().unwrap();
    assert_eq!(error.to_string(), "It was not unlocked within 3 seconds (opening the keychain).");
    let told: Vec<String> = kept.0.lock().unwrap().iter().map(|event| format!("{event:?}")).collect();
    assert!(
        told.len() == 2 && told[0].contains("the fake to answer") && told[1].contains("you to unlock it"),
        "{told:?}"
    );
}

#[test]
fn a_failure_to_open_is_told_as_it_is() {
    let open = || {
        let [which, why, hint] = ["It", "none", "Make one."].map(str::to_owned);
        Err(Error::KeychainNoCollection { which, why, hint })
    };
    let current_prompt = CurrentPrompt::an_answer_of("the fake");
    let opened = KeychainThread::start(Duration::from_secs(60), Arc::new(HeardEvents::default()), current_prompt, open);
    assert_eq!(opened.err().unwrap().code(), "keychain_no_collection");
}

#[test]
fn none_keeps_nothing_and_fails_at_nothing() {
    let keychain = Keychain::open(settings(KeychainKind::None), Arc::new(HeardEvents::default())).unwrap();
    assert_eq!((keychain.name(), keychain.kind()), ("memory only", KeychainKind::None));
    assert_eq!(keychain.prepare(&job(9)).unwrap(), Prepared::Nothing);
    keychain.keep(&job(0), &code('1'), &manifest(1), None).unwrap();
    assert!(codes(&keychain, &job(0)).is_empty());
    assert_eq!(keychain.forget(&job(0)).unwrap(), Forgotten::default());
    assert!(keychain.withdraw(&job(0)).unwrap().is_empty() && !keychain.try_out(&job(0)).unwrap());
}

#[cfg(not(target_os = "linux"))]
#[test]
fn only_linux_has_a_kernel_keyring() {
    let opened = Keychain::open(settings(KeychainKind::Kernel), Arc::new(HeardEvents::default()));
    assert_eq!(code_of_error(opened), "keychain_unsupported");
}

#[test]
fn failures_of_the_library_never_show_what_was_stored() {
    use keyring_core::Error as KeyringError;
    let secret = || b"12345-abcde-12345-ABCDE-12345".to_vec();
    let cause = || Box::new(std::io::Error::other("cause\u{1b}[31m\n.")) as Box<dyn std::error::Error + Send + Sync>;
    for (error, expected) in [
        (KeyringError::BadEncoding(secret()), "keychain_foreign_item"),
        (KeyringError::BadDataFormat(secret(), cause()), "keychain_foreign_item"),
        (KeyringError::BadStoreFormat("12345-abcde".to_owned()), "keychain_failed"),
        (KeyringError::Invalid("secret".to_owned(), "12345-abcde".to_owned()), "keychain_failed"),
        (KeyringError::Ambiguous(Vec::new()), "keychain_failed"),
        (KeyringError::PlatformFailure(cause()), "keychain_failed"),
        (KeyringError::NoDefaultStore, "keychain_failed"),
    ] {
        let report = KeychainFailure::from(error).into_error("the fake", "reading", "JID").report();
        assert_eq!(report.code, expected);
        let text = format!("{}{}", report.sentence, report.hint);
        assert!(!text.contains("12345") && !text.contains('\u{1b}'), "{text}");
    }
}

fn access_key(last: char) -> crate::model::AccessKeyId {
    format!("AKIAIOSFODNN7EXAMPL{last}").parse().unwrap()
}

fn secret(digit: char) -> crate::model::SecretKey {
    crate::model::SecretKey::take(digit.to_string().repeat(40)).unwrap()
}

fn secret_text(keychain: &Keychain, id: &crate::model::AccessKeyId) -> Option<String> {
    keychain.recall_secret_key(&job(0), id).unwrap().map(|key| key.expose(str::to_owned))
}

#[test]
fn secret_keys_lie_beside_the_code_each_under_its_own_name() {
    let (keychain, items) = fake(Spoil::Nothing);
    let (one, other) = (access_key('E'), access_key('F'));
    keychain.keep(&job(0), &code('1'), &manifest(1), None).unwrap();
    assert_eq!(secret_text(&keychain, &one), None);
    keychain.keep_secret_key(&job(0), &one, &secret('a')).unwrap();
    keychain.keep_secret_key(&job(0), &other, &secret('b')).unwrap();
    keychain.keep_secret_key(&job(0), &one, &secret('c')).unwrap();
    assert_eq!(secret_text(&keychain, &one), Some("c".repeat(40)), "replaced");
    assert_eq!(secret_text(&keychain, &other), Some("b".repeat(40)));
    assert_eq!(items.lock().unwrap()[1].0, format!("{} {one}", job(0)));
    assert_eq!(values(&items).len(), 3);
    assert_eq!(codes(&keychain, &job(0)).len(), 1, "none of them counts as a code");

    let forgotten = keychain.forget(&job(0)).unwrap().and(keychain.forget_secret_keys(&job(0), &[one, other]).unwrap());
    assert_eq!(forgotten, Forgotten { removed: 3, ..Forgotten::default() });
    assert!(values(&items).is_empty());
}

#[test]
fn a_secret_key_that_was_damaged_counts_as_none_and_is_replaced() {
    let (keychain, items) = fake_of_one_item(Spoil::Nothing);
    let id = access_key('E');
    keychain.keep_secret_key(&job(0), &id, &secret('a')).unwrap();
    items.lock().unwrap()[0].1 = format!(" {}\r\n", "a".repeat(40)).into_bytes();
    assert_eq!(secret_text(&keychain, &id), Some("a".repeat(40)), "as an editor leaves it");
    items.lock().unwrap()[0].1 = b"a shopping list".to_vec();
    assert_eq!(secret_text(&keychain, &id), None);
    keychain.keep_secret_key(&job(0), &id, &secret('b')).unwrap();
    assert_eq!(values(&items), ["b".repeat(40)]);
}

#[test]
fn a_secret_key_that_is_not_kept_is_an_error_that_advises_no_keychain_without_one() {
    for spoil in [Spoil::PutForgets, Spoil::PutGarbles] {
        let (keychain, items) = fake(spoil);
        let refusal = keychain.keep_secret_key(&job(0), &access_key('E'), &secret('a')).unwrap_err();
        assert_eq!(refusal.code(), "keychain_failed");
        assert!(!refusal.report().hint.contains("none") && values(&items).is_empty());
    }
}
