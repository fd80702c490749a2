//! Who the numbers of owners and groups are: passwd(5) and group(5).

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

/// The user of this process, by number.
pub(super) fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Whether this number is this very user's.
pub(crate) fn is_this_user(uid: u32) -> bool {
    uid == me()
}

/// Whether this process may do what the administrator may.
pub(crate) fn runs_as_administrator() -> bool {
    me() == 0
}

/// This process's user, by number.
pub(crate) fn this_uid() -> u32 {
    me()
}

/// Number and name of this process's user, as the system knows them. Without a name where the user database has none.
pub(crate) fn this_account() -> (u32, Option<String>) {
    let uid = me();
    (uid, nix::unistd::User::from_uid(uid.into()).ok().flatten().map(|user| user.name))
}

/// A user for a sentence: "root", "anna (uid 1000)", "uid 1000".
pub(crate) fn name_of(uid: u32) -> String {
    let user = nix::unistd::User::from_uid(uid.into()).ok().flatten();
    match user {
        Some(user) if uid == 0 => user.name,
        Some(user) => format!("{} (uid {uid})", user.name),
        None => format!("uid {uid}"),
    }
}

/// A group for a sentence.
pub(super) fn name_of_group(gid: u32) -> String {
    match nix::unistd::Group::from_gid(gid.into()).ok().flatten() {
        Some(group) => format!("{} (gid {gid})", group.name),
        None => format!("gid {gid}"),
    }
}

/// Whether nobody but root, and this user where `and_me`, is in the group `gid`, as far as the files of this machine tell.
///
/// Only of root's group, and of one that has this user's name and is this user's first, is that taken for granted: who else is
/// in a group may be known to a directory service alone. Debian gives /usr/local to the group "staff", which has no members unless the
/// administrator adds some: it counts as well where this machine's files are all that is asked. On macOS who is in the group of the
/// administrators is one.
pub(super) fn is_nobody_elses(gid: u32, and_me: bool) -> bool {
    if cfg!(target_os = "macos") && gid == MACOS_ADMINISTRATORS {
        return true;
    }
    // Kept: a client's tree has hundreds of files of the same group.
    static KNOWN: Mutex<BTreeMap<(u32, bool), bool>> = Mutex::new(BTreeMap::new());
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *known.entry((gid, and_me)).or_insert_with(|| {
        let trusted = if and_me { vec![0, me()] } else { vec![0] };
        let (users, groups) = (std::fs::read_to_string("/etc/passwd"), std::fs::read_to_string("/etc/group"));
        matches!((users, groups), (Ok(users), Ok(groups)) if has_only(gid, &trusted, &users, &groups, files_tell_all()))
    })
}

/// The group "admin".
const MACOS_ADMINISTRATORS: u32 = 80;

/// Whether nothing but this machine's files can add a member to a group.
fn files_tell_all() -> bool {
    let sources = std::fs::read_to_string("/etc/nsswitch.conf").unwrap_or_default();
    cfg!(target_os = "linux") && asks_files_alone(&sources, !systemd_adds_members())
}

/// Whether nsswitch.conf(5) names no source of users and groups but the files, and systemd's where that `systemd_adds_none`.
fn asks_files_alone(nsswitch: &str, systemd_adds_none: bool) -> bool {
    let fits = |source: &str| source == "files" || source == "systemd" && systemd_adds_none;
    let of = |database: &str| {
        let lines = nsswitch.lines().filter_map(|line| line.split('#').next()?.trim().strip_prefix(database));
        let mut lines = lines.filter_map(|rest| rest.trim_start().strip_prefix(':'));
        // Once, and without conditions in brackets, whose words fit nothing.
        lines.next().is_some_and(|sources| sources.split_whitespace().all(fits)) && lines.next().is_none()
    };
    let initgroups = nsswitch.lines().any(|line| line.trim().starts_with("initgroups"));
    of("passwd") && of("group") && !initgroups
}

/// Whether systemd may know members that the files do not: by records of its own (userdbctl(1)), of homes (homectl(1)), or by a
/// service that is not systemd's.
fn systemd_adds_members() -> bool {
    const RECORDS: &[&str] =
        &["/etc/userdb", "/run/userdb", "/run/host/userdb", "/usr/local/lib/userdb", "/usr/lib/userdb"];
    const SERVICES: &[&str] =
        &["DropIn", "DynamicUser", "Machine", "Multiplexer", "NameServiceSwitch", "NamespaceResource"];
    let holds = |folder: &str, adds: &dyn Fn(&str) -> bool| match std::fs::read_dir(folder) {
        Ok(entries) => entries.flatten().any(|entry| adds(&entry.file_name().to_string_lossy())),
        Err(error) => error.kind() != std::io::ErrorKind::NotFound,
    };
    let is_unknown = |name: &str| !name.strip_prefix("io.systemd.").is_some_and(|service| SERVICES.contains(&service));
    RECORDS.iter().any(|folder| holds(folder, &|_| true)) || holds("/run/systemd/userdb", &is_unknown)
}

/// Whether the group is root's, or has the name of one of the users `trusted` whose first group it is, and no one else is in it.
/// The same of "staff" where `files_tell_all`.
fn has_only(gid: u32, trusted: &[u32], users: &str, groups: &str, files_tell_all: bool) -> bool {
    /// Numbers below are accounts of the system, such as Fedora's "halt" in root's group, which only root can become.
    const PEOPLE: u32 = 500;
    let number = |field: Option<&&str>| field.and_then(|text| text.parse::<u32>().ok());
    let (mut names, mut named_for) = (Vec::new(), Vec::new());
    for fields in users.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        let (Some(uid), group) = (number(fields.get(2)), number(fields.get(3))) else { continue };
        if trusted.contains(&uid) {
            names.extend(fields.first().copied());
            named_for.extend(fields.first().copied().filter(|_| group == Some(gid)));
        } else if group == Some(gid) && !(gid == 0 && uid < PEOPLE) {
            return false;
        }
    }
    let mut is_own = gid == 0;
    for fields in groups.lines().map(|line| line.split(':').collect::<Vec<_>>()) {
        if number(fields.get(2)) == Some(gid) {
            is_own |= fields.first().is_some_and(|name| named_for.contains(name) || files_tell_all && *name == "staff");
            let members = fields.get(3).copied().unwrap_or_default().split(',').map(str::trim);
            if members.filter(|member| !member.is_empty()).any(|member| !names.contains(&member)) {
                return false;
            }
        }
    }
    is_own
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const USERS: &str = "root:x:0:0::/root:/bin/sh\nsync:x:5:0::/:/bin/sync\nanna:x:1000:1000::/home/anna:/bin/sh\nbert:x:1001:1001::/home/bert:/bin/sh\n";

    #[test]
    fn a_private_group_is_one_without_anyone_else() {
        let groups = "root:x:0:\nanna:x:1000:\nbert:x:1001:bert\n";
        let of = |id, groups| has_only(id, &[0, id], USERS, groups, false);
        assert!(of(1000, groups));
        assert!(of(1001, groups), "naming the user himself changes nothing");
        assert!(!of(1002, groups), "an unknown user");
        assert!(!of(1000, "anna:x:1000:bert\n"), "another member");
        assert!(!of(1000, "anna:x:1000:\nalias:x:1000:bert\n"), "another name of the group");
        assert!(!of(1000, "root:x:0:\n"), "a group that is not listed");
        assert!(!of(1000, "staff:x:1000:\n"), "a group of another name");
        let other_number = "dora:x:1004:2004::/home/dora:/bin/sh\n";
        assert!(has_only(2004, &[0, 1004], other_number, "dora:x:2004:\n", false), "its number need not be the user's");
        let shared = format!("{USERS}carl:x:1002:1000::/home/carl:/bin/sh\n");
        assert!(!has_only(1000, &[0, 1000], &shared, groups, false), "somebody else's main group");
    }

    #[test]
    fn root_s_group_is_root_s_until_somebody_else_is_in_it() {
        let of = |users: &str, groups| has_only(0, &[0, 1000], users, groups, false);
        assert!(of(USERS, "root:x:0:\n"), "an account of the system is no one");
        assert!(of(USERS, "root:x:0:root,anna\n"), "nor is this user");
        assert!(!of(USERS, "root:x:0:bert\n"));
        assert!(!of(&format!("{USERS}carl:x:1002:0::/home/carl:/bin/sh\n"), "root:x:0:\n"));
        for (uid, is) in [(499, true), (500, false)] {
            let users = format!("{USERS}halt:x:{uid}:0::/:/bin/halt\n");
            assert_eq!(of(&users, "root:x:0:\n"), is, "{uid}");
        }
    }

    #[test]
    fn debian_s_staff_is_nobody_s_while_it_has_no_members() {
        let of = |users: &str, groups, all| has_only(50, &[0, 1000], users, groups, all);
        assert!(of(USERS, "staff:x:50:\n", true));
        assert!(of(USERS, "staff:x:50:anna\n", true), "this user");
        assert!(!of(USERS, "staff:x:50:\n", false), "a directory may know more");
        assert!(!of(USERS, "staff:x:50:bert\n", true));
        assert!(!of(&format!("{USERS}carl:x:1002:50::/home/carl:/bin/sh\n"), "staff:x:50:\n", true), "a first group");
        assert!(!of(USERS, "games:x:50:\n", true), "another group, as which programs run");
        for (conf, alone, with_systemd) in [
            ("passwd: files\ngroup: files # x\n", true, true),
            ("passwd:\t\tfiles systemd\ngroup:\t\tfiles systemd\n", false, true),
            ("passwd: files sss\ngroup: files\n", false, false),
            ("passwd: files\ngroup: files [SUCCESS=merge] systemd\n", false, false),
            ("passwd: files\ngroup: files ldap\n", false, false),
            ("passwd: files\ngroup: files\ninitgroups: files ldap\n", false, false),
            ("passwd: files\n", false, false),
            ("", false, false),
        ] {
            assert_eq!((asks_files_alone(conf, false), asks_files_alone(conf, true)), (alone, with_systemd), "{conf}");
        }
        assert_eq!(is_nobody_elses(MACOS_ADMINISTRATORS, false), cfg!(target_os = "macos"));
    }

    #[test]
    fn a_user_is_named() {
        assert_eq!(name_of(0), "root");
        assert_eq!(name_of(54_321), "uid 54321");
        let users = std::fs::read_to_string("/etc/passwd").unwrap();
        let mut users = users.lines().map(|line| line.split(':').collect::<Vec<_>>());
        // On a system with accounts of its own, as all are.
        let user = users.find(|fields| fields.len() > 3 && fields[2].parse().is_ok_and(|uid: u32| uid > 0)).unwrap();
        assert_eq!(name_of(user[2].parse().unwrap()), format!("{} (uid {})", user[0], user[2]));
        let group = nix::unistd::Group::from_gid(0.into()).unwrap().unwrap().name;
        assert_eq!((name_of_group(0), name_of_group(54_321)), (format!("{group} (gid 0)"), "gid 54321".to_owned()));
    }

    #[test]
    fn this_user_is_the_one_of_this_process() {
        assert_eq!(this_uid(), rustix::process::geteuid().as_raw());
        assert!(is_this_user(this_uid()) && !is_this_user(this_uid() + 1));
        assert_eq!(runs_as_administrator(), rustix::process::geteuid().is_root());
        let (uid, name) = this_account();
        assert!(uid == this_uid() && name.is_none_or(|name| name_of(uid).starts_with(&name)));
        assert!(!is_nobody_elses(54_321, true) && !is_nobody_elses(54_321, false), "a group that is not listed");
    }
}
