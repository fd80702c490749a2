//! Linux: the kernel's keyring. Keys live in the session keyring and, where the kernel has it, in the user's
//! persistent one, both in memory only.
//!
//! It needs a session keyring of its own. A process without one (cron, su, many containers) is given the user's
//! default one on first use; there a key can be added but not linked or searched. Hence: looked at first.
//!
//! The session's keyring is changed by our own keys alone. The persistent one, in which other programs keep theirs (Kerberos), is
//! come to through the keyring of the keychain's thread, which ends with it: whoever has the session's keyring would have all that is
//! linked there.
//!
//! Who can search a keyring possesses the keys in it, and a process of another user that was started in this session
//! (sudo -u, su without pam_keyinit) has the session's keyring. What a key lets its possessor do, it lets them do. So a key lets its
//! owner do all and its possessor nothing; it has these rights before there is a code in it; and it is used only if this user
//! owns it, whoever else may have put one under its name. The calls are made here and not by the keyring crate's store for the
//! kernel, which puts the code into whatever is there, and changes no rights.

use std::collections::BTreeSet;
use std::sync::Arc;

use linux_keyutils::{Key, KeyError, KeyPermissions, KeyRing, KeyRingIdentifier, Permission};
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::backend::{Asking, Backend, ItemId, KeychainFailure, Opened, Removal, Stored, only};
use super::item::{Content, PLACEHOLDER};
use super::{SERVICE, job_of};
use crate::error::Result;
use crate::os;
use crate::report::{Event, Notify};
use crate::safety::path_trust;

/// What a key lets: everything to its owner, and nothing to its possessor, its group and others.
const OWNER_ALONE: u32 = (Permission::ALL.bits() as u32) << 16;
/// What a key or a keyring lets its group and others do, but for a look at its name: each of these is enough to come to what
/// is in it, or to exchange it.
const OF_OTHERS: u32 = 0x3e3e;
/// Bytes of a keyring's list of what is in it, which has four for each.
const LONGEST_LIST: usize = 16 << 20;
/// Keys of one name that are removed: one of each keyring, and more than there should be.
const MAX_REMOVED: usize = 16;

/// What to do where the session has no keyring of its own, or that has ended.
const OWN_KEYRING: &str = "Log in again so that the session gets a keyring of its own (su, cron and containers often have none). Or open a shell that has one, and repeat the same command in it (keyctl comes with the package keyutils):\n  keyctl session";
/// What to do where no session would have one.
const ELSEWHERE: &str = "Run the same command outside the container, or leave --keychain kernel out.";
/// What to do where others may search the session's keyring.
const CLOSE_SESSION: &str = "Close it to others, then repeat the same command (keyctl comes with the package keyutils):\n  keyctl setperm @s 0x3f3f0000\nOr open a shell that has a keyring of its own, and repeat the command in it:\n  keyctl session\nIf a code was stored in the kernel keyring before, others may have read it.";
/// What to do where others may search the persistent keyring, which only the administrator can have opened.
const CLOSE_PERSISTENT: &str = "Ask the administrator who opened it (in /proc/keys it is “_persistent.” and your uid), or leave --keychain kernel out. If a code was stored in the kernel keyring before, others may have read it.";

/// Opens the session's keyring, if it is one that can keep a code to itself. Nothing is written, to it or to the persistent one.
pub(super) fn open(notify: &Arc<dyn Notify>) -> Result<Opened> {
    let rings =
        Rings::of_this_session().map_err(|failure| failure.into_error("kernel keyring", "opening it", SERVICE))?;
    let end = if rings.persistent.is_some() { "until log-out or the next reboot" } else { "until you log out" };
    let backend = Box::new(SessionKeyring { notify: Arc::clone(notify) });
    Ok(Opened { backend, name: format!("kernel keyring ({end})") })
}

/// The keyrings that a key is put in. Looked at anew before each use: their rights may have been changed meanwhile.
#[derive(Clone, Copy)]
struct Rings {
    session: KeyRing,
    persistent: Option<KeyRing>,
    /// The persistent one can't be had as long as this user's quota is full: what is in it is not known.
    is_full: bool,
}

/// What the kernel says of a key or a keyring.
struct KeyDescription {
    is_keyring: bool,
    uid: u32,
    perms: u32,
    /// What its maker called it: any bytes.
    name: Vec<u8>,
}

struct SessionKeyring {
    notify: Arc<dyn Notify>,
}

impl Backend for SessionKeyring {
    fn find(&mut self, user: &str) -> Result<Vec<ItemId>, KeychainFailure> {
        let found = Rings::of_this_session()?.own_key(user)?;
        Ok(found.map(|_| ItemId::only()).into_iter().collect())
    }

    fn users(&mut self) -> Result<Vec<String>, KeychainFailure> {
        let rings = Rings::of_this_session()?;
        let mut listed = users_in(KeyRingIdentifier::Session as i32)?;
        if rings.persistent.is_some() {
            listed.extend(users_in(KeyRingIdentifier::Thread as i32)?);
        }
        // Others may put keys in the session, of any name and with any rights. What one can't be found or opened by is no reason
        // to leave the rest.
        let is_here =
            |user: &String| matches!(rings.own_key(user), Ok(Some(_)) | Err(KeychainFailure::OfAnotherUser { .. }));
        Ok(listed.into_iter().filter(is_here).collect())
    }

    fn read(&mut self, user: &str, _: &ItemId) -> Result<Option<Stored>, KeychainFailure> {
        let rings = Rings::of_this_session()?;
        let Some(key) = rings.own_key(user)? else { return Ok(None) };
        let was_open = close(key)?;
        rings.link(key)?;
        let value = match key.read_to_vec() {
            Err(error) if is_none(error) => return Ok(None),
            value => Zeroizing::new(value.map_err(closed)?),
        };
        if was_open && !matches!(Content::of(&value), Content::Placeholder) {
            self.warn(user);
        }
        Ok(only(Some(value.to_vec())))
    }

    fn write(&mut self, user: &str, _label: &str, value: &[u8], _: Option<&ItemId>) -> Result<ItemId, KeychainFailure> {
        Rings::of_this_session()?.put(user, value)?;
        Ok(ItemId::only())
    }

    fn remove(&mut self, user: &str, _: &ItemId, _: Asking) -> Result<Removal, KeychainFailure> {
        let rings = Rings::of_this_session()?;
        // The session's may hide one in the persistent keyring that another session put there.
        for _ in 0..MAX_REMOVED {
            let Some(key) = rings.own_key(user)? else { return Ok(Removal::Gone) };
            // The owner may always say what a key lets, and one that is revoked or expired meanwhile is gone as well.
            let _ = close(key);
            match key.invalidate() {
                Err(error) if !is_none(error) => return Err(closed(error)),
                _ => {}
            }
        }
        Err(KeychainFailure::Failed("items of that name come back as they are removed".to_owned()))
    }

    fn removes_without_asking(&self) -> bool {
        true
    }

    fn check(&mut self, user: &str, _: &ItemId) -> Result<(), KeychainFailure> {
        let key = Rings::of_this_session()?.own_key(user)?;
        match key.map(KeyDescription::of_key).transpose()? {
            Some(about) if about.perms == OWNER_ALONE => Ok(()),
            Some(_) => Err(KeychainFailure::NotStored("the key can be opened by others than its owner".to_owned())),
            None => Err(KeychainFailure::NotStored("it was gone when looked at again".to_owned())),
        }
    }

    fn prove(&mut self, user: &str, there: &Stored) -> Result<(), KeychainFailure> {
        self.check(user, &there.id)
    }
}

impl SessionKeyring {
    /// It is said where a code is read: until then nothing is done with it.
    fn warn(&self, user: &str) {
        // A device's key has its id behind the job's.
        let job = user.split(' ').next().unwrap_or(user);
        self.notify.notify(Event::Warning(format!(
            "What the kernel keyring holds for {user} could be read or changed by other users of this machine until now. It is closed to them. Treat a code in it as known to them: AWS Support makes a new one. To fetch that one: snow-onboard fetch --refresh {job}"
        )));
    }
}

impl Rings {
    fn of_this_session() -> Result<Self, KeychainFailure> {
        let session = own_session_keyring()?;
        // The kernel gives it only to whoever has it linked somewhere.
        let persistent = KeyRing::get_persistent(KeyRingIdentifier::Thread);
        let is_full = persistent == Err(KeyError::QuotaExceeded);
        let persistent = persistent.ok();
        if let Some(ring) = persistent {
            // The kernel named this one, and short.
            let about = ring.metadata().map_err(closed)?;
            let (uid, perms) = (about.get_uid(), about.get_perms().bits());
            not_open_to_others("the user's persistent keyring", uid, perms, CLOSE_PERSISTENT)?;
        }
        Ok(Self { session, persistent, is_full })
    }

    fn all(&self) -> impl Iterator<Item = KeyRing> {
        [Some(self.session), self.persistent].into_iter().flatten()
    }

    /// The key of that name, if there is one. One that belongs to another user is neither read nor written nor removed.
    fn own_key(&self, user: &str) -> Result<Option<Key>, KeychainFailure> {
        for ring in self.all() {
            match ring.search(&description(user)) {
                Err(error) if is_none(error) => {}
                found => {
                    let key = found.map_err(closed)?;
                    must_be_own(key)?;
                    return Ok(Some(key));
                }
            }
        }
        if self.is_full { Err(closed(KeyError::QuotaExceeded)) } else { Ok(None) }
    }

    /// Stores `value` in the key of that name. If that fails, the key holds what it held: the kernel refuses an update (a full
    /// quota, say) as a whole; and one that was made for it is gone.
    fn put(&self, user: &str, value: &[u8]) -> Result<(), KeychainFailure> {
        if let Some(key) = self.own_key(user)? {
            close(key)?;
            return key.update(&value).map_err(closed);
        }
        // Without the code: a new key lets whoever has it in a keyring read it. And this writes in place if another user's
        // came there just now.
        let key = self.session.add_key(&description(user), PLACEHOLDER).map_err(closed)?;
        must_be_own(key)?;
        let kept = close(key).and_then(|_| self.link(key)).and_then(|()| key.update(&value).map_err(closed));
        kept.inspect_err(|_| self.discard(key))
    }

    /// Keeps a key in both keyrings: the session's ends with the session, and the persistent one some days after its last use.
    fn link(&self, key: Key) -> Result<(), KeychainFailure> {
        self.all().try_for_each(|ring| ring.link_key(key).map_err(closed))
    }

    fn discard(&self, key: Key) {
        // Whichever of the two is allowed will do. There is no code in it.
        let _ = key.invalidate();
        self.all().for_each(|ring| _ = ring.unlink_key(key));
    }
}

fn own_session_keyring() -> Result<KeyRing, KeychainFailure> {
    let session = KeyRing::from_special_id(KeyRingIdentifier::Session, false).map_err(|error| match error {
        KeyError::KeyDoesNotExist => not_own("this login session has no keyring".to_owned()),
        other => closed(other),
    })?;
    if KeyRing::from_special_id(KeyRingIdentifier::UserSession, false) == Ok(session) {
        return Err(not_own(
            "this session has no keyring of its own, only the user's default one, which does not keep a code to the session"
                .to_owned(),
        ));
    }
    let about = KeyDescription::of(KeyRingIdentifier::Session as i32).map_err(closed)?;
    let needed = Permission::VIEW | Permission::READ | Permission::WRITE | Permission::SEARCH | Permission::LINK;
    not_open_to_others("the session's keyring", about.uid, about.perms, CLOSE_SESSION)?;
    let of_possessor = about.perms >> 24;
    if of_possessor & u32::from(needed.bits()) != u32::from(needed.bits()) {
        return Err(not_own("the session's keyring does not let its own session search and write it".to_owned()));
    }
    Ok(session)
}

/// Refuses a keyring that another user owns, or in which one may find, list, add or take out keys, or which one may have
/// in a keyring of theirs.
fn not_open_to_others(which: &str, uid: u32, perms: u32, hint: &'static str) -> Result<(), KeychainFailure> {
    if !path_trust::is_this_user(uid) {
        return Err(not_own(format!("{which} belongs to another user (uid {uid})")));
    }
    if perms & OF_OTHERS != 0 {
        let why = format!("{which} is open to other users of this machine (permissions {perms:08x})");
        return Err(KeychainFailure::KernelClosed { why, hint });
    }
    Ok(())
}

fn must_be_own(key: Key) -> Result<(), KeychainFailure> {
    match KeyDescription::of_key(key)?.uid {
        uid if path_trust::is_this_user(uid) => Ok(()),
        uid => Err(KeychainFailure::OfAnotherUser { uid, key: key.get_id().as_raw_id() }),
    }
}

/// Makes a key its owner's alone, and says whether it was open to other users.
fn close(key: Key) -> Result<bool, KeychainFailure> {
    let perms = || KeyDescription::of_key(key).map(|about| about.perms);
    let before = perms()?;
    if before != OWNER_ALONE {
        key.set_perms(KeyPermissions::from_u32(OWNER_ALONE)).map_err(closed)?;
        if perms()? != OWNER_ALONE {
            return Err(KeychainFailure::NotStored("the key's permissions can't be limited to its owner".to_owned()));
        }
    }
    Ok(before & OF_OTHERS != 0)
}

impl KeyDescription {
    fn of(key: i32) -> Result<Self, KeyError> {
        let text = os::describe_key(key).map_err(|error| match Errno::from_io_error(&error) {
            Some(Errno::NOKEY) => KeyError::KeyDoesNotExist,
            Some(Errno::KEYREVOKED) => KeyError::KeyRevoked,
            Some(Errno::KEYEXPIRED) => KeyError::KeyExpired,
            Some(Errno::ACCESS) => KeyError::AccessDenied,
            Some(Errno::PERM) => KeyError::PermissionDenied,
            other => other.map_or(KeyError::InvalidDescription, |errno| KeyError::Unknown(errno.raw_os_error())),
        })?;
        Self::parse(&text).ok_or(KeyError::InvalidDescription)
    }

    fn of_key(key: Key) -> Result<Self, KeychainFailure> {
        Self::of(key.get_id().as_raw_id()).map_err(closed)
    }

    /// The name comes last, and may have semicolons in it.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut fields = text.splitn(5, |byte| *byte == b';');
        let kind = fields.next()?;
        let mut number = |radix| u32::from_str_radix(std::str::from_utf8(fields.next()?).ok()?, radix).ok();
        let (uid, _gid, perms) = (number(10)?, number(10)?, number(16)?);
        Some(Self { is_keyring: kind == b"keyring", uid, perms, name: fields.next()?.to_owned() })
    }

    /// The user name, if it is one of this program's keys: all of it, and nothing besides.
    fn user(&self) -> Option<&str> {
        let name = std::str::from_utf8(&self.name).ok()?.strip_prefix(&description(""))?;
        job_of(name).map(|_| name)
    }
}

/// The user names under which this program has keys in a keyring and in those that are linked in it, each once, whosever they are.
/// The keyrings themselves are asked: /proc/keys is hidden in many containers, and a key's name can be made to look like a line of it.
fn users_in(keyring: i32) -> Result<BTreeSet<String>, KeychainFailure> {
    let (mut users, mut seen) = (BTreeSet::new(), BTreeSet::new());
    let mut to_read = links(keyring).map_err(closed)?;
    while let Some(link) = to_read.pop() {
        if !seen.insert(link) {
            continue;
        }
        // One that is gone by now, or that this user may not look at, is not found by its name either.
        let Ok(about) = KeyDescription::of(link) else { continue };
        if about.is_keyring {
            to_read.extend(links(link).unwrap_or_default());
        } else {
            users.extend(about.user().map(str::to_owned));
        }
    }
    Ok(users)
}

/// The numbers of what is linked in a keyring. Not by the library's own list, which reads past its buffer where there are more links
/// than it was told.
fn links(keyring: i32) -> Result<Vec<i32>, KeyError> {
    let keyring = Key::from_id(keyring.into());
    let mut list = vec![0; 4096];
    loop {
        let length = keyring.read(&mut list)?;
        if length <= list.len() {
            list.truncate(length);
            break;
        }
        if length > LONGEST_LIST {
            return Err(KeyError::OutOfMemory);
        }
        list.resize(length, 0);
    }
    Ok(list.as_chunks().0.iter().copied().map(i32::from_ne_bytes).collect())
}

/// What `keyctl show` calls the key.
fn description(user: &str) -> String {
    format!("{SERVICE}:{user}")
}

/// Whether it means that there is no such key: one that ended is in nobody's way.
fn is_none(error: KeyError) -> bool {
    matches!(error, KeyError::KeyDoesNotExist | KeyError::KeyRevoked | KeyError::KeyExpired)
}

fn not_own(why: String) -> KeychainFailure {
    KeychainFailure::KernelClosed { why, hint: OWN_KEYRING }
}

fn closed(error: KeyError) -> KeychainFailure {
    let hint = match error {
        // Of all sessions of the user together: another one has no more room.
        KeyError::QuotaExceeded => return KeychainFailure::KernelFull,
        KeyError::PermissionDenied | KeyError::OperationNotSupported | KeyError::Unknown(_) => ELSEWHERE,
        _ => OWN_KEYRING,
    };
    KeychainFailure::KernelClosed { why: in_words(error).to_owned(), hint }
}

fn in_words(error: KeyError) -> &'static str {
    match error {
        KeyError::AccessDenied => "access to it is denied",
        // A seccomp filter answers EPERM, a kernel without keyrings ENOSYS.
        KeyError::PermissionDenied | KeyError::OperationNotSupported | KeyError::Unknown(_) => {
            "this system does not let programs use it (containers often don't)"
        }
        KeyError::KeyExpired | KeyError::KeyRevoked | KeyError::KeyRejected => "the session's keyring has ended",
        KeyError::KeyDoesNotExist | KeyError::KeyringDoesNotExist => "the key or its keyring is not there",
        KeyError::OutOfMemory => "the kernel has no memory for it",
        _ => "the kernel refused",
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::report::HeardEvents;

    const USER: &str = "JID123e4567-e89b-12d3-a456-426655440000";

    /// The process's own keyring, which is gone with it, in place of a session's. `None` where there are no keyrings at all.
    fn rings() -> Option<Rings> {
        match KeyRing::from_special_id(KeyRingIdentifier::Process, true) {
            Ok(session) => Some(Rings { session, persistent: None, is_full: false }),
            Err(error) => {
                let notify: Arc<dyn Notify> = Arc::new(HeardEvents::default());
                assert!(matches!(open(&notify), Err(Error::KernelKeyringClosed { .. })), "{error}");
                None
            }
        }
    }

    fn perms(key: Key) -> u32 {
        KeyDescription::of_key(key).unwrap().perms
    }

    /// Larger than the kernel takes (32,767 bytes) stands for every update that it refuses, such as one past a quota.
    #[test]
    fn an_update_that_fails_leaves_the_key_that_was_there_and_no_new_one() {
        let Some(rings) = rings() else { return };
        assert!(rings.put("new", &[b'x'; 40_000]).is_err());
        assert!(rings.own_key("new").unwrap().is_none(), "not even one without a code");
        let key = rings.session.add_key(&description(USER), b"the only code").unwrap();
        assert!(rings.put(USER, &[b'x'; 40_000]).is_err());
        assert_eq!(key.read_to_vec().unwrap(), b"the only code");
        rings.put(USER, b"another code, and longer").unwrap();
        assert_eq!(key.read_to_vec().unwrap(), b"another code, and longer", "in place");
        assert_eq!(perms(key), OWNER_ALONE);
        rings.discard(key);
    }

    #[test]
    fn a_key_is_its_owner_s_alone_and_it_is_known_whether_others_could_open_it() {
        let Some(rings) = rings() else { return };
        rings.put("closing", b"a code").unwrap();
        let key = rings.own_key("closing").unwrap().unwrap();
        for (before, was_open) in [
            (OWNER_ALONE, false),
            (0x3f00_0000, false),
            (0x3f01_0101, false),
            (0x3f3f_0002, true),
            (0x003f_0800, true),
            (0x003f_0010, true),
        ] {
            key.set_perms(KeyPermissions::from_u32(before)).unwrap();
            assert_eq!(close(key).unwrap(), was_open, "{before:08x}");
            assert_eq!(perms(key), OWNER_ALONE, "{before:08x}");
        }
        assert_eq!(key.read_to_vec().unwrap(), b"a code");
        rings.discard(key);
        assert!(rings.own_key("closing").unwrap().is_none());
    }

    #[test]
    fn a_keyring_in_which_others_may_do_anything_but_look_at_its_name_is_refused() {
        let me = path_trust::this_uid();
        let judged = |uid, perms| not_open_to_others("the session's keyring", uid, perms, CLOSE_SESSION);
        for perms in [0x3f03_0000, 0x3f3f_0000, 0x3f1b_0101] {
            judged(me, perms).unwrap();
        }
        for of_others in [0x02, 0x04, 0x08, 0x10, 0x20] {
            for perms in [0x3f3f_0000 | of_others, 0x3f3f_0000 | of_others << 8] {
                let Err(KeychainFailure::KernelClosed { why, hint }) = judged(me, perms) else {
                    panic!("{perms:08x} is taken");
                };
                assert!(why.contains(&format!("{perms:08x}")) && hint.contains("keyctl setperm @s"), "{why} {hint}");
            }
        }
        assert!(judged(me + 1, 0x3f03_0000).is_err());
    }

    #[test]
    fn a_description_is_read_whatever_its_maker_called_the_key() {
        let read = |name: &[u8]| {
            let text = [b"user;1000;100;3f010000;".as_slice(), name].concat();
            let about = KeyDescription::parse(&text).unwrap();
            assert_eq!((about.uid, about.perms, about.is_keyring), (1000, 0x3f01_0000, false));
            assert_eq!(about.name, name);
            about.user().map(str::to_owned)
        };
        let (key, long) = (format!("{USER} AKIA1234567890ABCDEF"), format!("{USER} {}", "X".repeat(600)));
        let probe = format!("probe for {USER}");
        for user in [USER, &key, &probe] {
            assert_eq!(read(description(user).as_bytes()).as_deref(), Some(user));
        }
        for other in [&long, &format!("{USER} "), &format!("{key} "), &format!("{USER};"), &format!("{USER}\n"), "JID1"]
        {
            assert_eq!(read(description(other).as_bytes()), None, "{other}");
        }
        let forged = format!("x: 1\n2ff76318 I--Q--- 1 perm 003f0000 0 0 user snow-onboard:{USER} ");
        assert_eq!(read(&[forged.as_bytes(), &[0xff; 2000]].concat()), None);
        assert_eq!(read(&[description(USER).as_bytes(), &[0xff]].concat()), None);
        assert!(KeyDescription::parse(b"keyring;0;0;3f030000;_ses").unwrap().is_keyring);
        for odd in ["", "user", "user;1;1;3f010000", "user;-1;1;3f010000;x", "user;1;1;x;x"] {
            assert!(KeyDescription::parse(odd.as_bytes()).is_none(), "{odd}");
        }
    }

    /// More links than a page has room for, and names that a library's buffer has none for.
    #[test]
    fn a_keyring_is_listed_with_those_in_it_however_much_that_is() {
        let Some(rings) = rings() else { return };
        // Of this thread alone: the process's is the other tests' as well.
        let ring = KeyRing::from_special_id(KeyRingIdentifier::Thread, true).unwrap();
        let key = rings.session.add_key(&description(USER), b"a code").unwrap();
        let process = KeyRing::from_special_id(KeyRingIdentifier::Process, false).unwrap();
        ring.link_keyring(process).unwrap();
        // Other tests need some of the 200 keys that a user may have who is not root.
        let count = if path_trust::this_uid() == 0 { 1200 } else { 12 };
        let names =
            (0..count).map(|number| format!("{number} {}", if number < 4 { "A".repeat(600) } else { String::new() }));
        let made: Vec<Key> = names.map(|name| ring.add_key(&name, b"x").unwrap()).collect();
        let listed = links(KeyRingIdentifier::Thread as i32).unwrap();
        assert_eq!(listed.len(), made.len() + 1);
        assert!(made.iter().all(|key| listed.contains(&key.get_id().as_raw_id())));
        let users = users_in(KeyRingIdentifier::Thread as i32).unwrap();
        assert!(users.contains(USER), "{users:?}");
        rings.discard(key);
        assert!(!users_in(KeyRingIdentifier::Thread as i32).unwrap().contains(USER));
    }
}
