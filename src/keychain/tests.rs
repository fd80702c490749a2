//! The rules that hold for every place, tried on one that can be told to fail.
#![allow(clippy::unwrap_used)]

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Instant;

use super::*;
use crate::notice::{Kept, Notice, SILENCE};
use backend::Opened;

pub(super) fn settings(kind: KeychainKind) -> KeychainSettings {
    KeychainSettings { kind, deadline: Duration::from_secs(60), allow_plain: false }
}

pub(super) fn job(last: u8) -> JobId {
    format!("JID123e4567-e89b-12d3-a456-4266554400{last:02x}").parse().unwrap()
}

pub(super) fn code(digit: char) -> UnlockCode {
    UnlockCode::take([digit.to_string().repeat(5).as_str(); 5].join("-")).unwrap()
}

type Items = Arc<Mutex<HashMap<String, Vec<u8>>>>;

/// Keeps items as long as it lives, and spoils what it is told to.
struct Fake {
    items: Items,
    spoil: Spoil,
    /// Tells when the store is dropped.
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
}

impl Backend for Fake {
    fn put(&mut self, user: &str, label: &str, value: &[u8]) -> Result<(), Failure> {
        assert!(label.starts_with("snow-onboard "), "{label}");
        let value = match self.spoil {
            Spoil::PutForgets => return Ok(()),
            Spoil::PutFails => return Err(Failure::Locked),
            Spoil::PutGarbles => value.iter().map(|byte| byte ^ 1).collect(),
            _ => value.to_vec(),
        };
        self.items.lock().unwrap().insert(user.to_owned(), value);
        Ok(())
    }

    fn get(&mut self, user: &str) -> Result<Option<Vec<u8>>, Failure> {
        match self.spoil {
            Spoil::GetHangs => loop {
                std::thread::park();
            },
            Spoil::GetPanics => panic!("the library's own mistake"),
            _ => Ok(self.items.lock().unwrap().get(user).cloned()),
        }
    }

    fn remove(&mut self, user: &str) -> Result<bool, Failure> {
        match self.spoil {
            Spoil::RemoveFails => Err(Failure::Failed("no".to_owned())),
            _ => Ok(self.items.lock().unwrap().remove(user).is_some()),
        }
    }

    fn check(&mut self, _: &str) -> Result<(), Failure> {
        match self.spoil {
            Spoil::CheckFails => Err(Failure::InClear("a file".to_owned())),
            _ => Ok(()),
        }
    }
}

fn fake_with(spoil: Spoil, deadline: Duration, notify: Arc<dyn Notify>) -> (Keychain, Items, std::sync::Weak<()>) {
    let (items, life) = (Items::default(), Arc::new(()));
    let (inside, watch) = (Arc::clone(&items), Arc::downgrade(&life));
    let open = move || {
        let store = Box::new(Fake { items: inside, spoil, _life: life });
        Ok(Opened { store, name: "the fake".to_owned() })
    };
    let (name, thread) = KeychainThread::start(deadline, notify, open).unwrap();
    (Keychain { kind: KeychainKind::System, name, thread: Some(thread) }, items, watch)
}

fn fake(spoil: Spoil) -> (Keychain, Items) {
    let (keychain, items, _) = fake_with(spoil, Duration::from_secs(60), Arc::new(Kept::default()));
    (keychain, items)
}

fn code_of_error<R>(answer: Result<R>) -> &'static str {
    answer.err().unwrap().report().code
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
fn a_code_is_kept_replaced_recalled_and_forgotten() {
    let (keychain, items) = fake(Spoil::Nothing);
    assert!(keychain.recall(&job(0)).unwrap().is_none());
    keychain.keep(&job(0), &code('1')).unwrap();
    keychain.keep(&job(1), &code('2')).unwrap();
    keychain.keep(&job(0), &code('3')).unwrap();
    assert!(keychain.recall(&job(0)).unwrap().unwrap().is_same_as(&code('3')));
    assert!(keychain.recall(&job(1)).unwrap().unwrap().is_same_as(&code('2')));
    assert!(keychain.forget(&job(0)).unwrap() && !keychain.forget(&job(0)).unwrap());
    assert_eq!(items.lock().unwrap().keys().collect::<Vec<_>>(), [job(1).as_str()]);
}

#[test]
fn a_code_that_can_t_be_verified_gives_way_to_the_one_before() {
    let (keychain, items) = fake(Spoil::CheckFails);
    let before = code('1').expose(|text| text.as_bytes().to_vec());
    items.lock().unwrap().insert(job(0).as_str().to_owned(), before);
    assert_eq!(code_of_error(keychain.keep(&job(0), &code('2'))), "keychain_in_clear");
    assert!(keychain.recall(&job(0)).unwrap().unwrap().is_same_as(&code('1')));
    assert_eq!(code_of_error(keychain.keep(&job(1), &code('2'))), "keychain_in_clear");
    assert!(keychain.recall(&job(1)).unwrap().is_none());
}

#[test]
fn proving_leaves_nothing_behind() {
    for (spoil, expected) in [
        (Spoil::Nothing, None),
        (Spoil::PutForgets, Some("keychain_keeps_nothing")),
        (Spoil::PutGarbles, Some("keychain_keeps_nothing")),
        (Spoil::PutFails, Some("keychain_locked")),
        (Spoil::CheckFails, Some("keychain_in_clear")),
    ] {
        let (keychain, items) = fake(spoil);
        assert_eq!(keychain.prove(&job(9)).err().map(|error| error.report().code), expected);
        assert!(items.lock().unwrap().is_empty());
    }
    assert_eq!(code_of_error(fake(Spoil::RemoveFails).0.prove(&job(9))), "keychain_failed");
}

#[test]
fn what_a_killed_proof_left_goes_with_the_next_call_for_its_job() {
    let prove = |keychain: &Keychain| keychain.prove(&job(0)).unwrap();
    let recall = |keychain: &Keychain| assert!(keychain.recall(&job(0)).unwrap().is_none());
    let forget = |keychain: &Keychain| assert!(!keychain.forget(&job(0)).unwrap(), "a probe is no code");
    for (name, call) in [("prove", &prove as &dyn Fn(&Keychain)), ("recall", &recall), ("forget", &forget)] {
        let (keychain, items) = fake(Spoil::Nothing);
        for of in [0, 1] {
            items.lock().unwrap().insert(probe_of(&job(of)), b"left".to_vec());
        }
        call(&keychain);
        let left: Vec<String> = items.lock().unwrap().keys().cloned().collect();
        assert_eq!(left, [probe_of(&job(1))], "{name}: another job's may be in use");
    }
}

#[test]
fn what_is_not_kept_as_promised_is_not_left_there() {
    for (spoil, expected) in [
        (Spoil::PutForgets, "keychain_keeps_nothing"),
        (Spoil::PutGarbles, "keychain_keeps_nothing"),
        (Spoil::CheckFails, "keychain_in_clear"),
    ] {
        let (keychain, items) = fake(spoil);
        assert_eq!(code_of_error(keychain.keep(&job(0), &code('1'))), expected);
        assert!(items.lock().unwrap().is_empty());
    }
}

#[test]
fn an_item_that_is_no_code_is_left_as_it_is_and_not_echoed() {
    let (keychain, items) = fake(Spoil::Nothing);
    items.lock().unwrap().insert(job(0).to_string(), b"a shopping list".to_vec());
    for error in [keychain.recall(&job(0)).err().unwrap(), keychain.keep(&job(0), &code('1')).unwrap_err()] {
        assert_eq!(error.report().code, "keychain_foreign_item");
        assert!(!error.to_string().contains("shopping"));
    }
    assert_eq!(items.lock().unwrap()[job(0).as_str()], b"a shopping list");
    assert!(keychain.forget(&job(0)).unwrap(), "but it can be removed");
}

#[test]
fn a_call_that_never_returns_ends_at_its_deadline_and_holds_nobody_up() {
    let kept = Arc::new(Kept::default());
    let (keychain, _, _) = fake_with(Spoil::GetHangs, SILENCE + Duration::from_secs(1), Arc::clone(&kept) as _);
    let error = keychain.recall(&job(0)).err().unwrap();
    assert!(
        matches!(&error, Error::KeychainTimeout { what, seconds: 3 } if what == "reading the unlock code"),
        "{error}"
    );
    {
        let notices = kept.0.lock().unwrap();
        assert!(matches!(&notices[..], [Notice::Waiting { what, .. }] if what == "you to unlock the keychain"));
    }
    let start = Instant::now();
    assert_eq!(code_of_error(keychain.forget(&job(0))), "keychain_timeout");
    drop(keychain);
    assert!(start.elapsed() < SILENCE + Duration::from_secs(1), "neither a later call nor the drop waits for it");
}

#[test]
fn a_panic_in_the_library_is_an_error_here() {
    let (keychain, _, life) = fake_with(Spoil::GetPanics, Duration::from_secs(60), Arc::new(Kept::default()));
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
    let (keychain, _, life) = fake_with(Spoil::Nothing, Duration::from_secs(60), Arc::new(Kept::default()));
    assert!(life.upgrade().is_some());
    drop(keychain);
    assert!(life.upgrade().is_none());
}

#[test]
fn a_failure_to_open_is_told_as_it_is() {
    let open = || Err(Error::KeychainNoCollection { why: "none".to_owned() });
    let opened = KeychainThread::start(Duration::from_secs(60), Arc::new(Kept::default()), open);
    assert_eq!(opened.err().unwrap().report().code, "keychain_no_collection");
}

#[test]
fn none_keeps_nothing_and_fails_at_nothing() {
    let keychain = Keychain::open(settings(KeychainKind::None), Arc::new(Kept::default())).unwrap();
    assert_eq!((keychain.name(), keychain.kind()), ("memory only", KeychainKind::None));
    keychain.prove(&job(9)).unwrap();
    keychain.keep(&job(0), &code('1')).unwrap();
    assert!(keychain.recall(&job(0)).unwrap().is_none());
    assert!(!keychain.forget(&job(0)).unwrap());
}

#[cfg(not(target_os = "linux"))]
#[test]
fn only_linux_has_a_kernel_keyring() {
    let opened = Keychain::open(settings(KeychainKind::Kernel), Arc::new(Kept::default()));
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
        (KeyringError::Ambiguous(Vec::new()), "keychain_ambiguous"),
        (KeyringError::PlatformFailure(cause()), "keychain_failed"),
        (KeyringError::NoDefaultStore, "keychain_failed"),
    ] {
        let report = Failure::from(error).into_error("the fake", "reading", "JID").report();
        assert_eq!(report.code, expected);
        let text = format!("{}{}", report.sentence, report.hint);
        assert!(!text.contains("12345") && !text.contains('\u{1b}'), "{text}");
    }
}
