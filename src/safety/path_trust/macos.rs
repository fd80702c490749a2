//! macOS: access lists (acl(3)), which grant rights beside the mode's.

use std::io;
use std::os::fd::BorrowedFd;

use super::unix::{AccessList, Grant, Grantee};
use crate::os::AccessEntry;

// sys/acl.h.
const WRITE_DATA: u32 = 1 << 2;
const DELETE: u32 = 1 << 4;
const APPEND_DATA: u32 = 1 << 5;
const DELETE_CHILD: u32 = 1 << 6;
const WRITE_SECURITY: u32 = 1 << 12;
const CHANGE_OWNER: u32 = 1 << 13;

/// The list of what `file` is open at.
pub(super) fn access_list(file: BorrowedFd<'_>) -> io::Result<AccessList> {
    Ok(interpret(crate::os::access_entries(file)?))
}

/// A file that takes the place of one with a list has none: it grants what the mode does, which is never more.
#[allow(clippy::unnecessary_wraps, reason = "elsewhere the system may refuse")]
pub(super) fn copy_access_list(_from: BorrowedFd<'_>, _to: BorrowedFd<'_>) -> io::Result<()> {
    Ok(())
}

/// Entries that deny are not among them: they only take away.
fn interpret(entries: Vec<AccessEntry>) -> AccessList {
    const WRITES: u32 = WRITE_DATA | DELETE | APPEND_DATA | DELETE_CHILD | WRITE_SECURITY | CHANGE_OWNER;
    let mut list = AccessList::default();
    for entry in entries {
        let to = match entry.holder {
            Some((false, uid)) => Grantee::User(uid),
            Some((true, gid)) => Grantee::Group(gid),
            None => Grantee::Unknown,
        };
        if entry.rights & WRITES != 0 {
            list.writers.push(Grant { to });
        }
        list.openers.push(Grant { to });
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_to_change_anything_counts_as_writing() {
        let entry = |rights| AccessEntry { holder: Some((false, 502)), rights };
        for (rights, writes) in [(1 << 1, false), (WRITE_DATA, true), (DELETE_CHILD, true), (WRITE_SECURITY, true)] {
            let list = interpret(vec![entry(rights)]);
            assert_eq!((list.writers.len(), list.openers.len()), (usize::from(writes), 1), "{rights:#x}");
        }
    }
}
