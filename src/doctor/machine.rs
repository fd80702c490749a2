//! This machine: where the manifest goes, whether disks and swap are encrypted, and this process's memory.

use std::path::{Path, PathBuf};

use super::{Check, Subject};
use crate::error::Result;
use crate::os::{self, Protection};
use crate::safety::harden::Hardened;
use crate::settings::Settings;
use crate::store::{Audit, StateLook};

/// State folder, disk encryption, swap, memory.
pub(super) fn machine(settings: &Settings) -> Vec<Check> {
    // In the order in which a run comes upon them.
    let look =
        StateLook::at(&settings.state_dir).and_then(|look| Audit::below(&settings.state_dir).check().map(|()| look));
    let disk = match &look {
        Ok(look) => disk(&look.ground, &os::disk_protection(&look.ground)),
        Err(_) => Check::skipped(Subject::DiskEncryption, "not looked at: the state folder can't be used"),
    };
    vec![
        state_folder(&look, settings.manifest_limit),
        disk,
        swap(&os::swap_protection()),
        memory(Hardened::of_this_process()),
    ]
}

fn state_folder(look: &Result<StateLook>, most: u64) -> Check {
    const SUBJECT: Subject = Subject::StateFolder;
    const ELSEWHERE: &str = "Name a folder on a disk of this machine:\n  --state-dir PATH";
    let look = match look {
        Ok(look) => look,
        Err(error) => return Check::failed(SUBJECT, error),
    };
    let is = if look.exists { "is there, and only you can open it" } else { "is not there yet, and can be made" };
    let free = look.free.map_or_else(String::new, |free| format!("; {} MB free", free >> 20));
    let text = format!("{} {is}{free}", look.path.display());
    if let Some(flaw) = &look.remoteness {
        return Check::warning(SUBJECT, format!("{text}. It {flaw}"), ELSEWHERE);
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

fn disk(place: &Path, protection: &Protection) -> Check {
    const SUBJECT: Subject = Subject::DiskEncryption;
    let place = place.display();
    match protection {
        Protection::Encrypted => Check::ok(SUBJECT, format!("the disk of {place} is encrypted")),
        Protection::InMemory => Check::warning(
            SUBJECT,
            format!("{place} lies in memory: what is kept there is gone at the next reboot"),
            "Name a folder on a disk, so that the device can be opened again without internet:\n  --state-dir PATH",
        ),
        Protection::Open => Check::warning(
            SUBJECT,
            format!(
                "the disk of {place} is not encrypted, as far as this system tells (a drive that encrypts by itself is not seen)"
            ),
            "Whoever takes the disk out has the manifest, and may guess the password that protects the keychain. Use a machine with an encrypted disk.",
        ),
        Protection::Unknown(why) => {
            Check::skipped(SUBJECT, format!("whether the disk of {place} is encrypted could not be found out: {why}"))
                .hint(look_yourself(SUBJECT))
        }
    }
}

/// How somebody sees it who may.
fn look_yourself(subject: Subject) -> &'static str {
    if cfg!(windows) {
        "In a terminal of an administrator:\n  manage-bde -status"
    } else if cfg!(target_os = "macos") {
        "To see it:\n  fdesetup status"
    } else if subject == Subject::Swap {
        "To see it:\n  swapon --show"
    } else {
        "To see it:\n  lsblk -o NAME,TYPE,MOUNTPOINTS"
    }
}

fn swap(areas: &[(PathBuf, Protection)]) -> Check {
    const SUBJECT: Subject = Subject::Swap;
    let named = |is: fn(&Protection) -> bool| {
        let paths = areas.iter().filter(|(_, protection)| is(protection)).map(|(path, _)| path.display().to_string());
        paths.collect::<Vec<_>>().join(", ")
    };
    let open = named(|protection| *protection == Protection::Open);
    let unknown = areas.iter().find_map(|(path, protection)| match protection {
        Protection::Unknown(why) => Some((path, why)),
        _ => None,
    });
    if areas.is_empty() {
        Check::ok(SUBJECT, "there is none")
    } else if !open.is_empty() {
        Check::warning(
            SUBJECT,
            format!("{open} is not encrypted: what the vendor's client holds in memory may be written there"),
            "Encrypt it, or turn it off while a device is opened:\n  sudo swapoff -a",
        )
    } else if let Some((path, why)) = unknown {
        let text = format!("whether {} is encrypted could not be found out: {why}", path.display());
        Check::skipped(SUBJECT, text).hint(look_yourself(SUBJECT))
    } else if areas.iter().all(|(_, protection)| *protection == Protection::InMemory) {
        Check::ok(SUBJECT, "only to compressed memory, not to a disk")
    } else {
        Check::ok(SUBJECT, "encrypted")
    }
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
            "closed to other programs of yours, never in a core file, and the code is never swapped out",
        );
    }
    Check::warning(
        SUBJECT,
        format!("of this program: {}", flaws.join("; ")),
        "A limit of this session stands in the way; see it, and have it raised:\n  ulimit -l",
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn unknown() -> Protection {
        Protection::Unknown("nobody says".to_owned())
    }

    #[test]
    fn swap_is_as_good_as_its_worst_area() {
        let areas = |list: &[Protection]| {
            list.iter().enumerate().map(|(at, one)| (format!("/dev/s{at}").into(), one.clone())).collect::<Vec<_>>()
        };
        use Protection::{Encrypted, InMemory, Open};
        for (list, verdict) in [
            (vec![], Verdict::Ok),
            (vec![InMemory], Verdict::Ok),
            (vec![InMemory, Encrypted], Verdict::Ok),
            (vec![Encrypted, unknown()], Verdict::Skipped),
            (vec![unknown(), Open], Verdict::Warning),
        ] {
            assert_eq!(swap(&areas(&list)).verdict, verdict, "{list:?}");
        }
        let open = swap(&areas(&[Encrypted, Open]));
        assert!(open.text.starts_with("/dev/s1 is not encrypted") && open.hint.unwrap().contains("swapoff"));
    }

    #[test]
    fn a_disk_that_is_open_is_a_warning_and_one_that_is_not_known_is_said_to_be_so() {
        let verdict = |protection| disk(Path::new("/x"), &protection).verdict;
        assert_eq!(verdict(Protection::Encrypted), Verdict::Ok);
        assert_eq!(verdict(Protection::Open), Verdict::Warning);
        assert_eq!(verdict(Protection::InMemory), Verdict::Warning);
        assert_eq!(verdict(unknown()), Verdict::Skipped);
    }

    #[test]
    fn little_room_and_a_folder_that_is_elsewhere_are_warnings() {
        let look = |free, remoteness: Option<&str>| {
            Ok(StateLook {
                path: "/state".into(),
                exists: true,
                ground: "/state".into(),
                remoteness: remoteness.map(str::to_owned),
                free: Some(free),
            })
        };
        assert_eq!(state_folder(&look(1 << 30, None), 64 << 20).verdict, Verdict::Ok);
        assert_eq!(state_folder(&look(100 << 20, None), 64 << 20).verdict, Verdict::Warning);
        let remote = state_folder(&look(1 << 30, Some("lies on a network drive (NFS)")), 64 << 20);
        assert!(remote.verdict == Verdict::Warning && remote.text.ends_with("It lies on a network drive (NFS)"));
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
