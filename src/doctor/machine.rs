//! This machine: where the manifest goes, and this process's memory.

use super::{Check, Subject};
use crate::error::Result;
use crate::safety::harden::Hardened;
use crate::settings::Settings;
use crate::store::{Audit, AuditReport, StateFolderStatus, verify_audit};

/// State folder, audit log, disk encryption, memory.
pub(super) fn machine(settings: &Settings) -> Vec<Check> {
    // In the order in which a run comes upon them.
    let look = StateFolderStatus::at(&settings.state_dir)
        .and_then(|look| Audit::below(&settings.state_dir, settings.audit_copy).check().map(|()| look));
    let log = match &look {
        Ok(_) => audit_log(&verify_audit(&settings.state_dir, None, None)),
        Err(_) => Check::skipped(Subject::AuditLog, "not looked at: the state folder comes first"),
    };
    vec![state_folder(&look, settings.manifest_limit), log, disk(), memory(Hardened::of_this_process())]
}

/// A log that was altered stops no run; who answers for it should know.
fn audit_log(report: &Result<AuditReport>) -> Check {
    const SUBJECT: Subject = Subject::AuditLog;
    let report = match report {
        Ok(report) => report,
        Err(error) => return Check::failed(SUBJECT, error),
    };
    match (report.error(), report.head) {
        (Some(error), _) => {
            let error = error.report();
            Check::warning(SUBJECT, error.sentence, error.hint)
        }
        (None, Some(head)) => Check::ok(SUBJECT, format!("as it was written; its chain has {} lines", head.seq)),
        (None, None) => Check::ok(SUBJECT, "not begun yet"),
    }
}

fn state_folder(look: &Result<StateFolderStatus>, most: u64) -> Check {
    const SUBJECT: Subject = Subject::StateFolder;
    const ELSEWHERE: &str = "Name a folder on a disk of this machine:\n  --state-dir PATH";
    let look = match look {
        Ok(look) => look,
        Err(error) => return Check::failed(SUBJECT, error),
    };
    let is = if look.exists { "is there, and only you can open it" } else { "does not exist yet and can be created" };
    let free = look.free.map_or_else(String::new, |free| format!("; {} MB free", free >> 20));
    let text = format!("{} {is}{free}", look.path.display());
    if let Some(flaw) = &look.network_location {
        return Check::warning(SUBJECT, format!("{text}. It {flaw}"), ELSEWHERE);
    }
    if look.is_in_memory {
        return Check::warning(
            SUBJECT,
            format!("{text}. It lies in memory: what is kept there is gone at the next reboot"),
            "Name a folder on a disk, so that the device can be opened again without internet:\n  --state-dir PATH",
        );
    }
    // A new manifest is whole before the old one goes.
    if look.free.is_some_and(|free| free < most.saturating_mul(2)) {
        let text = format!(
            "{text}: the largest manifest that is accepted may not fit ({} MB, and as much while it is replaced)",
            most >> 20
        );
        return Check::warning(SUBJECT, text, "Make room on that disk, or name another folder:\n  --state-dir PATH");
    }
    Check::ok(SUBJECT, text)
}

/// Said and not looked for: what a system tells of it is seldom all, and to administrators alone on most.
fn disk() -> Check {
    let text = "not looked at: if this machine is lost, only an encrypted disk and swap protect what they hold";
    Check::skipped(Subject::DiskEncryption, text).hint(if cfg!(windows) {
        "In a terminal of an administrator:\n  manage-bde -status"
    } else if cfg!(target_os = "macos") {
        "To see it:\n  fdesetup status"
    } else {
        "To see it, look for “crypt”:\n  lsblk -o NAME,TYPE,MOUNTPOINTS"
    })
}

fn memory(found: Hardened) -> Check {
    const SUBJECT: Subject = Subject::Memory;
    let mut flaws = Vec::new();
    if found.closed == Some(false) {
        flaws.push("other programs of yours may read it");
    }
    if !found.no_core {
        flaws.push("it may be written to a core file");
    }
    if !found.locks {
        flaws.push("it can't be kept from being swapped out");
    }
    if flaws.is_empty() {
        return Check::ok(
            SUBJECT,
            "closed to other programs of yours, never in a core file, and its copy of the code is never swapped out",
        );
    }
    Check::warning(
        SUBJECT,
        format!("of this program: {}", flaws.join("; ")),
        "Show the limits of this session, and have them raised:\n  ulimit -a",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn little_room_and_a_folder_that_is_elsewhere_are_warnings() {
        let look = |free, network_location: Option<&str>| {
            Ok(StateFolderStatus {
                path: "/state".into(),
                exists: true,
                ground: "/state".into(),
                network_location: network_location.map(str::to_owned),
                is_in_memory: false,
                free: Some(free),
            })
        };
        assert_eq!(state_folder(&look(1 << 30, None), 64 << 20).verdict, Verdict::Ok);
        assert_eq!(state_folder(&look(100 << 20, None), 64 << 20).verdict, Verdict::Warning);
        let remote = state_folder(&look(1 << 30, Some("lies on a network drive (NFS)")), 64 << 20);
        assert!(remote.verdict == Verdict::Warning && remote.text.ends_with("It lies on a network drive (NFS)"));
        let in_memory = look(1 << 30, None).map(|look| StateFolderStatus { is_in_memory: true, ..look });
        assert_eq!(state_folder(&in_memory, 64 << 20).verdict, Verdict::Warning);
    }

    #[test]
    fn memory_that_can_be_read_is_a_warning() {
        let good = Hardened { closed: Some(true), no_core: true, locks: true };
        assert_eq!(memory(good).verdict, Verdict::Ok);
        for bad in [
            Hardened { closed: Some(false), ..good },
            Hardened { no_core: false, ..good },
            Hardened { locks: false, ..good },
        ] {
            assert_eq!(memory(bad).verdict, Verdict::Warning);
        }
    }
}
