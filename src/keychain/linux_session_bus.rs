//! The D-Bus session bus, if it is this very user's own: a local socket whose other end this user runs, on a way that nobody else
//! can change (a link of theirs might lead to another program of this user), and on it a Secret Service of this user. Whatever else the address names (TCP, a program to start) would carry a code elsewhere.

use std::env;
use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::path::{Path, PathBuf};

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use secret_service::Error as ServiceError;
use zbus::blocking::Connection;
use zbus::blocking::connection::Builder;
use zbus::blocking::fdo::DBusProxy;
use zbus::names::{BusName, UniqueName, WellKnownName};

use crate::error::{Error, Result, io_in_words};
use crate::safety::path_trust::{self, Cause, Refused, Whose};

/// The name under which a Secret Service is on the bus.
pub(super) const SECRETS: &str = "org.freedesktop.secrets";

/// Sockets that one address may name. More is no address that a desktop sets.
const MAX_SOCKETS: usize = 16;

/// Who serves the secrets on the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Owner {
    /// Its name on the bus for as long as it runs.
    pub(super) unique: String,
    pub(super) pid: Option<u32>,
}

/// Where a bus may listen.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Socket {
    Path(PathBuf),
    Abstract(Vec<u8>),
}

/// Connects to the session bus of this user.
pub(super) fn connect() -> Result<Connection> {
    let address = env::var_os("DBUS_SESSION_BUS_ADDRESS").filter(|address| !address.is_empty());
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    let sockets = match &address {
        Some(address) => sockets_of(address.to_str().unwrap_or_default(), runtime.as_deref())?,
        None => vec![Socket::Path(default_runtime(runtime).join("bus"))],
    };
    let mut why = None;
    for socket in &sockets {
        match stream_of(socket)? {
            Ok(stream) => {
                check_peer(&stream)?;
                return Builder::async_io_unix_stream(stream).build().map_err(|error| {
                    unavailable(format!("the D-Bus session bus can't be used ({})", in_words(&error)))
                });
            }
            Err(error) => why = Some(error),
        }
    }
    Err(unavailable(why_no_bus(why.as_ref(), address.is_some())))
}

fn default_runtime(runtime: Option<PathBuf>) -> PathBuf {
    runtime.unwrap_or_else(|| PathBuf::from(format!("/run/user/{}", me())))
}

/// For the name of a folder and for sentences. Whose something is, `path_trust` says.
fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

fn why_no_bus(error: Option<&io::Error>, is_set: bool) -> String {
    let sandbox = sandbox().map(|sandbox| format!("; this program runs in {sandbox}")).unwrap_or_default();
    match error.map(io::Error::kind) {
        Some(ErrorKind::PermissionDenied) => format!("this program is not allowed at the D-Bus session bus{sandbox}"),
        Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) | None if is_set => {
            format!("there is no D-Bus session bus at the address that DBUS_SESSION_BUS_ADDRESS gives{sandbox}")
        }
        Some(ErrorKind::NotFound | ErrorKind::ConnectionRefused) | None => {
            format!("there is no D-Bus session bus (DBUS_SESSION_BUS_ADDRESS is not set){sandbox}")
        }
        Some(_) => {
            let words = error.map(io_in_words).unwrap_or_default();
            format!("the D-Bus session bus can't be reached ({words}){sandbox}")
        }
    }
}

/// The sockets that an address names, in its order (D-Bus specification, "Server Addresses"): entries apart by `;`, each a
/// transport and its keys, their values with `%` and two digits for other bytes.
fn sockets_of(address: &str, runtime: Option<&Path>) -> Result<Vec<Socket>> {
    let no_address =
        || unavailable("there is no D-Bus session bus at the address that DBUS_SESSION_BUS_ADDRESS gives".into());
    let entries = address.split(';').filter(|entry| !entry.is_empty()).take(MAX_SOCKETS);
    let mut sockets = Vec::new();
    for entry in entries {
        let (transport, keys) = entry.split_once(':').ok_or_else(no_address)?;
        if transport != "unix" {
            let transport = crate::safety::sanitize::phrase(transport);
            return Err(not_yours(format!(
                "DBUS_SESSION_BUS_ADDRESS names a bus by “{transport}”, and only a local socket (“unix”) is known to be yours"
            )));
        }
        let mut named = Vec::new();
        for pair in keys.split(',') {
            let (key, value) = pair.split_once('=').ok_or_else(no_address)?;
            let value = unescaped(value).ok_or_else(no_address)?;
            match key {
                "path" => named.push(Socket::Path(OsString::from_vec(value).into())),
                "abstract" => named.push(Socket::Abstract(value)),
                "runtime" if value == b"yes" => {
                    named.push(Socket::Path(default_runtime(runtime.map(Path::to_owned)).join("bus")));
                }
                // The server's identity, by which others keep connections apart.
                "guid" => {}
                _ => return Err(no_address()),
            }
        }
        // One, and of an absolute path: anything else is not known to lead where it seems to.
        match named.pop().filter(|_| named.is_empty()) {
            Some(Socket::Path(path)) if !path.is_absolute() => return Err(no_address()),
            Some(socket) => sockets.push(socket),
            None => return Err(no_address()),
        }
    }
    if sockets.is_empty() { Err(no_address()) } else { Ok(sockets) }
}

fn unescaped(value: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    Some(bytes)
}

/// Connects, or says why there is nothing to connect to.
///
/// # Errors
/// That somebody else can change the way to the socket, or owns it.
fn stream_of(socket: &Socket) -> Result<io::Result<UnixStream>> {
    Ok(match socket {
        Socket::Path(path) => match path_trust::socket(path, Whose::Own) {
            Ok(Some(socket)) => UnixStream::connect(socket),
            Ok(None) => Err(ErrorKind::NotFound.into()),
            Err(Refused { cause: Cause::Io(error), .. }) => Err(error),
            Err(refused) => {
                let refused = crate::safety::sanitize::phrase(&refused.to_string());
                return Err(not_yours(format!("the way to its socket is not yours alone: {refused}")));
            }
        },
        // No folder leads there: whoever listens has the name, and the peer is looked at.
        Socket::Abstract(name) => {
            SocketAddr::from_abstract_name(name).and_then(|address| UnixStream::connect_addr(&address))
        }
    })
}

/// Whoever listens at the other end was this user when it began to, as the kernel has it.
fn check_peer(stream: &UnixStream) -> Result<()> {
    // Not by rustix, which takes the peer's process id 0 for a failure: the kernel gives that for one outside our PID namespace.
    let peer = getsockopt(stream, PeerCredentials).map_err(|error| {
        unavailable(format!("whose the D-Bus session bus is can't be found out ({})", io_in_words(&error.into())))
    })?;
    match peer.uid() {
        uid if path_trust::is_this_user(uid) => Ok(()),
        uid => Err(not_yours(format!("its socket belongs to another user (uid {uid}; you are {})", me()))),
    }
}

/// Who serves the secrets on this bus, started if it has to be and can be. Refused if it is another user.
pub(super) fn owner_of_secrets(bus: &Connection) -> Result<Owner> {
    let failed = |error: zbus::Error| match blocked(&error) {
        Some(why) => Error::KeychainBlocked { why },
        None => unavailable(in_words(&error)),
    };
    let dbus = DBusProxy::new(bus).map_err(failed)?;
    let name = || BusName::from(WellKnownName::from_static_str_unchecked(SECRETS));
    let owner = match dbus.get_name_owner(name()) {
        Ok(owner) => owner,
        Err(zbus::fdo::Error::NameHasNoOwner(_)) => {
            let started = dbus.start_service_by_name(WellKnownName::from_static_str_unchecked(SECRETS), 0);
            started.and_then(|_| dbus.get_name_owner(name())).map_err(|error| failed(error.into()))?
        }
        Err(error) => return Err(failed(error.into())),
    };
    let unique = || BusName::from(UniqueName::from(&owner));
    match dbus.get_connection_unix_user(unique()) {
        Ok(uid) if path_trust::is_this_user(uid) => {}
        Ok(uid) => {
            return Err(not_yours(format!("its Secret Service belongs to another user (uid {uid}; you are {})", me())));
        }
        Err(error) => return Err(failed(error.into())),
    }
    let pid = dbus.get_connection_unix_process_id(unique()).ok();
    Ok(Owner { unique: owner.to_string(), pid })
}

/// Who owns a name on the bus, if anybody does. Starts nobody.
pub(super) fn owner_of(bus: &Connection, name: &'static str) -> Option<String> {
    let dbus = DBusProxy::new(bus).ok()?;
    let owner = dbus.get_name_owner(BusName::from(WellKnownName::from_static_str_unchecked(name))).ok()?;
    Some(owner.to_string())
}

fn unavailable(why: String) -> Error {
    Error::KeychainUnavailable { which: "The Secret Service".to_owned(), why }
}

fn not_yours(why: String) -> Error {
    Error::KeychainNotYours { why }
}

/// Whether a policy of the bus or a sandbox keeps this program away, in words.
pub(super) fn blocked(error: &zbus::Error) -> Option<String> {
    let is_kept_away = match error {
        zbus::Error::MethodError(name, ..) => match name.as_str().rsplit('.').next() {
            Some("AccessDenied" | "AuthFailed") => true,
            // A sandbox that hides the service.
            Some("ServiceUnknown" | "NameHasNoOwner") => sandbox().is_some(),
            _ => false,
        },
        zbus::Error::FDO(error) => return blocked_fdo(error),
        _ => false,
    };
    is_kept_away.then(|| in_words(error))
}

/// The same of an error in the bus's own terms.
pub(super) fn blocked_fdo(error: &zbus::fdo::Error) -> Option<String> {
    use zbus::fdo::Error as Fdo;
    let is_kept_away = match error {
        Fdo::ZBus(error) => return blocked(error),
        Fdo::AccessDenied(_) | Fdo::AuthFailed(_) => true,
        Fdo::ServiceUnknown(_) | Fdo::NameHasNoOwner(_) => sandbox().is_some(),
        _ => false,
    };
    is_kept_away.then(|| fdo_in_words(error))
}

/// Whether a policy keeps this program away from the service, in words.
pub(super) fn blocked_service(error: &ServiceError) -> Option<String> {
    match error {
        ServiceError::Zbus(error) => blocked(error),
        ServiceError::ZbusFdo(error) => blocked_fdo(error),
        _ => None,
    }
}

/// A failure of the Secret Service in words for a sentence.
pub(super) fn service_in_words(error: &ServiceError) -> String {
    match error {
        ServiceError::Zbus(error) => in_words(error),
        ServiceError::ZbusFdo(error) => fdo_in_words(error),
        ServiceError::NoResult => "it has no default keyring any more".to_owned(),
        ServiceError::PromptDisconnected => "the connection ended while it waited for you".to_owned(),
        ServiceError::Unavailable => "there is no D-Bus session bus".to_owned(),
        // Says what could not be decrypted, not the bytes.
        other => crate::safety::sanitize::phrase(&other.to_string()),
    }
}

/// A D-Bus failure in words for a sentence, without D-Bus's own.
pub(super) fn in_words(error: &zbus::Error) -> String {
    match error {
        zbus::Error::MethodError(name, text, _) => {
            let short = name.as_str().rsplit('.').next().unwrap_or_default();
            bus_error(short, text.as_deref().unwrap_or_default())
        }
        zbus::Error::FDO(error) => fdo_in_words(error),
        zbus::Error::InputOutput(error) => match error.kind() {
            ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof => {
                "the D-Bus session bus ended the connection".to_owned()
            }
            _ => io_in_words(error),
        },
        zbus::Error::Handshake(_) => "the D-Bus session bus did not accept this program".to_owned(),
        // The library's own texts carry no content of messages.
        other => crate::safety::sanitize::phrase(&other.to_string()),
    }
}

pub(super) fn fdo_in_words(error: &zbus::fdo::Error) -> String {
    use zbus::fdo::Error as Fdo;
    let (name, text) = match error {
        Fdo::ZBus(error) => return in_words(error),
        Fdo::ServiceUnknown(text) => ("ServiceUnknown", text),
        Fdo::NameHasNoOwner(text) => ("NameHasNoOwner", text),
        Fdo::NoReply(text) => ("NoReply", text),
        Fdo::Disconnected(text) => ("Disconnected", text),
        Fdo::AccessDenied(text) => ("AccessDenied", text),
        Fdo::AuthFailed(text) => ("AuthFailed", text),
        Fdo::UnknownObject(text) => ("UnknownObject", text),
        Fdo::UnknownMethod(text) => ("UnknownMethod", text),
        other => return crate::safety::sanitize::phrase(&other.to_string()),
    };
    bus_error(name, text)
}

/// A standard D-Bus error (the last part of its name) in words.
fn bus_error(name: &str, text: &str) -> String {
    let sandbox = sandbox();
    match (name, sandbox) {
        ("ServiceUnknown" | "NameHasNoOwner", Some(sandbox)) => {
            format!("{sandbox} lets this program see no Secret Service")
        }
        ("ServiceUnknown" | "NameHasNoOwner", None) => {
            "no Secret Service runs on the D-Bus session bus (such as GNOME Keyring, KWallet or KeePassXC)".to_owned()
        }
        ("AccessDenied" | "AuthFailed", Some(sandbox)) => format!("{sandbox} blocks this program's access to it"),
        ("AccessDenied" | "AuthFailed", None) => {
            "a security policy (AppArmor, or a sandbox such as that of a snap or Flatpak) does not allow it".to_owned()
        }
        ("NoReply" | "Disconnected", _) => "the Secret Service ended instead of answering".to_owned(),
        ("UnknownObject" | "UnknownMethod" | "NoSuchObject", _) => {
            "what was asked for is not there any more".to_owned()
        }
        _ if text.is_empty() => name.to_owned(),
        _ => crate::safety::sanitize::phrase(text),
    }
}

/// The sandbox that this program was started in, as far as it can be told. For a sentence, not for a decision.
fn sandbox() -> Option<&'static str> {
    if Path::new("/.flatpak-info").exists() {
        return Some("the sandbox of a Flatpak");
    }
    env::var_os("SNAP_NAME").filter(|name| !name.is_empty()).map(|_| "the sandbox of a snap")
}

/// The name of a collection, from its bus path. A path element admits only letters, digits and `_`, so GNOME Keyring
/// writes every other byte, `_` included, as `_` and two hexadecimal digits: `Default_5fkeyring`.
pub(super) fn name_of(collection: &str) -> String {
    let element = collection.rsplit('/').next().unwrap_or_default();
    let mut name = Vec::new();
    let mut rest = element.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let escaped = after.get(..2).filter(|_| first == b'_').and_then(|digits| {
            let digits = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
            u8::from_str_radix(digits, 16).ok()
        });
        match escaped {
            Some(byte) => (name.push(byte), rest = &after[2..]),
            None => (name.push(first), rest = after),
        };
    }
    String::from_utf8_lossy(&name).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn path(path: &str) -> Socket {
        Socket::Path(PathBuf::from(path))
    }

    #[test]
    fn local_sockets_are_taken_and_nothing_else() {
        let run = Path::new("/run/user/7");
        let of = |address: &str| sockets_of(address, Some(run));
        assert_eq!(of("unix:path=/run/user/7/bus").unwrap(), [path("/run/user/7/bus")]);
        assert_eq!(of("unix:path=/a%20b%2c,guid=00ff").unwrap(), [path("/a b,")]);
        assert_eq!(of("unix:abstract=/tmp/dbus-x,guid=0").unwrap(), [Socket::Abstract(b"/tmp/dbus-x".to_vec())]);
        assert_eq!(of("unix:runtime=yes").unwrap(), [path("/run/user/7/bus")]);
        assert_eq!(of("unix:path=/a;unix:path=/b;").unwrap(), [path("/a"), path("/b")]);
        for elsewhere in [
            "tcp:host=192.0.2.1,port=12434",
            "nonce-tcp:host=localhost,port=1,noncefile=/x",
            "unixexec:path=/usr/bin/ssh,argv1=there",
            "autolaunch:",
            "launchd:env=X",
            "vsock:cid=2,port=1",
            "unix:path=/a;tcp:host=127.0.0.1,port=1",
            "ssh-\u{1b}[31m:x=y",
        ] {
            let refusal = of(elsewhere).unwrap_err();
            assert_eq!(refusal.code(), "keychain_not_yours", "{elsewhere}");
            assert!(!refusal.to_string().contains(char::is_control));
        }
        for none in [
            "nonsense",
            "",
            ";",
            "unix:",
            "unix:tmpdir=/tmp",
            "unix:dir=/tmp;unix:path=/a",
            "unix:path=/a%zz",
            "unix:path=/a%2",
            "unix:path=a",
            "unix:path=",
            "unix:path=/a,path=/b",
            "unix:path=/a,abstract=b",
            "unix:path=/a,then=/b",
            "unix:path=/a,guid",
            "unix:runtime=no",
            "unix:guid=00ff",
        ] {
            assert_eq!(of(none).unwrap_err().code(), "keychain_unavailable", "{none}");
        }
    }

    #[test]
    fn what_a_policy_denies_is_told_apart_from_what_is_not_there() {
        let denied = || zbus::fdo::Error::AccessDenied("Rejected send message".into());
        let nested = zbus::fdo::Error::ZBus(zbus::Error::FDO(Box::new(denied())));
        for error in [denied(), nested] {
            let why = blocked(&error.into()).unwrap();
            assert!(why.contains("sandbox"), "{why}");
        }
        assert_eq!(blocked(&zbus::fdo::Error::ServiceUnknown(String::new()).into()), None);
        assert_eq!(blocked(&zbus::Error::InterfaceNotFound), None);
    }

    #[test]
    fn a_socket_of_this_user_is_known_as_that() {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("bus")).unwrap();
        let stream = stream_of(&Socket::Path(dir.path().join("bus"))).unwrap().unwrap();
        check_peer(&stream).unwrap();
        drop(listener);
        assert!(stream_of(&Socket::Path(dir.path().join("none"))).unwrap().is_err());
    }

    /// A folder that everyone can write to stands for another user's: for that, one has to be root.
    #[test]
    fn a_socket_of_this_user_is_not_used_on_a_way_that_others_can_change() {
        let dir = tempfile::tempdir().unwrap();
        let listener = std::os::unix::net::UnixListener::bind(dir.path().join("any")).unwrap();
        listener.set_nonblocking(true).unwrap();
        let theirs = dir.path().join("theirs");
        std::fs::create_dir(&theirs).unwrap();
        std::os::unix::fs::symlink(dir.path().join("any"), theirs.join("bus")).unwrap();
        let bus = Socket::Path(theirs.join("bus"));
        stream_of(&bus).unwrap().unwrap();
        assert!(listener.accept().is_ok(), "a control: by one's own link it is reached");
        std::fs::set_permissions(&theirs, std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let refusal = stream_of(&bus).unwrap_err();
        assert_eq!(refusal.code(), "keychain_not_yours");
        assert!(refusal.to_string().contains("can be written by everyone"), "{refusal}");
        assert!(listener.accept().is_err(), "nothing was reached");
        std::fs::write(dir.path().join("file"), "").unwrap();
        assert!(stream_of(&Socket::Path(dir.path().join("file"))).unwrap_err().to_string().contains("is not a socket"));
    }

    #[test]
    fn a_refusal_by_a_policy_is_said_as_one_and_so_is_a_service_that_ended() {
        let denied =
            zbus::fdo::Error::AccessDenied("Rejected send message, 2 matched rules; type=\"method_call\"".into());
        let said = fdo_in_words(&denied);
        assert!(said.contains("policy") || said.contains("sandbox"), "{said}");
        assert!(!said.contains("matched rules"), "{said}");
        let gone = zbus::fdo::Error::NoReply("Message recipient disconnected from message bus without replying".into());
        assert_eq!(fdo_in_words(&gone), "the Secret Service ended instead of answering");
    }

    #[test]
    fn names_come_out_of_bus_paths_as_they_were() {
        for (path, name) in [
            ("/org/freedesktop/secrets/collection/login", "login"),
            ("/org/freedesktop/secrets/collection/Default_5fkeyring", "Default_keyring"),
            ("/org/freedesktop/secrets/collection/J_c3_bcrgen_20M", "Jürgen M"),
            ("/org/freedesktop/secrets/collection/odd_zz_", "odd_zz_"),
            ("/org/freedesktop/secrets/collection/_2b_+1", "+_+1"),
            ("", ""),
        ] {
            assert_eq!(name_of(path), name, "{path}");
        }
    }
}
