//! What the agent does to the files below a folder, in order, as its system calls say.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tracer::{Ended, Stop, Verdict, trace};

/// One change, or one promise that changes are on the disk. Paths are relative to the folder; its own is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Create(PathBuf),
    Truncate(PathBuf, usize),
    Write(PathBuf, usize, Vec<u8>),
    MakeFolder(PathBuf),
    /// Of a file or a folder.
    Remove(PathBuf),
    Rename(PathBuf, PathBuf),
    SyncFile(PathBuf),
    SyncFolder(PathBuf),
}

/// What was done, and what the keyring held for the job before each of it, and at the end.
pub(crate) struct Recording {
    pub(crate) deeds: Vec<Deed>,
    pub(crate) codes: Vec<Option<String>>,
}

/// Runs the command to its end, and records what it does below `folder`. `code` tells what the keyring holds.
pub(crate) fn record(
    command: &mut Command,
    folder: &Path,
    code: &(dyn Fn() -> Option<String> + Sync),
) -> (Recording, Ended) {
    let (mut deeds, mut codes) = (Vec::new(), Vec::new());
    let mut begun = HashMap::new();
    let ended = trace(command, &mut |stop| {
        if stop.before {
            let planned = planned(stop, folder);
            if !planned.is_empty() {
                // The thread stands still meanwhile.
                begun.insert(stop.thread(), (planned, code()));
            }
        } else if let Some((mut done, code)) = begun.remove(&stop.thread())
            && stop.result >= 0
        {
            if let Some(Deed::Write(_, _, bytes)) = done.last_mut() {
                bytes.truncate(usize::try_from(stop.result).unwrap());
            }
            codes.extend(std::iter::repeat_n(code, done.len()));
            deeds.append(&mut done);
        }
        Verdict::GoOn
    });
    codes.push(code());
    (Recording { deeds, codes }, ended)
}

/// What the call that is about to be made will have done below `folder` if it succeeds.
fn planned(stop: &Stop, folder: &Path) -> Vec<Deed> {
    let args = stop.args;
    let below = |path: PathBuf| path.strip_prefix(folder).ok().map(Path::to_owned);
    // A path that does not begin at the root begins at the folder that a descriptor is open on.
    let path_at = |at: u64, path: u64| {
        let path = PathBuf::from(stop.text(path));
        below(if path.is_absolute() { path } else { stop.descriptor(at)?.join(path) })
    };
    let path = |path: u64| below(PathBuf::from(stop.text(path)));
    let open_on = |descriptor: u64| below(stop.descriptor(descriptor)?);
    let deeds = match stop.number {
        libc::SYS_openat => path_at(args[0], args[1]).map(|path| opened(folder, path, args[2])),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_open => path(args[0]).map(|path| opened(folder, path, args[1])),
        libc::SYS_write if stop.is_regular_file(args[0]) => open_on(args[0]).map(|path| {
            let at = usize::try_from(stop.position(args[0]).unwrap()).unwrap();
            vec![Deed::Write(path, at, stop.memory(args[1], usize::try_from(args[2]).unwrap()))]
        }),
        libc::SYS_ftruncate => {
            open_on(args[0]).map(|path| vec![Deed::Truncate(path, usize::try_from(args[1]).unwrap())])
        }
        libc::SYS_fsync | libc::SYS_fdatasync => open_on(args[0])
            .map(|path| vec![if folder.join(&path).is_dir() { Deed::SyncFolder(path) } else { Deed::SyncFile(path) }]),
        libc::SYS_mkdirat => path_at(args[0], args[1]).map(|path| vec![Deed::MakeFolder(path)]),
        libc::SYS_unlinkat => path_at(args[0], args[1]).map(|path| vec![Deed::Remove(path)]),
        libc::SYS_renameat | libc::SYS_renameat2 => {
            path_at(args[0], args[1]).zip(path_at(args[2], args[3])).map(|(from, to)| vec![Deed::Rename(from, to)])
        }
        #[cfg(target_arch = "x86_64")]
        libc::SYS_mkdir => path(args[0]).map(|path| vec![Deed::MakeFolder(path)]),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_unlink | libc::SYS_rmdir => path(args[0]).map(|path| vec![Deed::Remove(path)]),
        #[cfg(target_arch = "x86_64")]
        libc::SYS_rename => path(args[0]).zip(path(args[1])).map(|(from, to)| vec![Deed::Rename(from, to)]),
        _ => None,
    };
    deeds.unwrap_or_default()
}

/// What an open does besides opening.
fn opened(folder: &Path, path: PathBuf, flags: u64) -> Vec<Deed> {
    let asks = |flag: libc::c_int| flags as libc::c_int & flag != 0;
    let there = folder.join(&path).symlink_metadata().is_ok();
    // O_TMPFILE makes a file without a name, which this can't follow; the agent makes none.
    assert!(flags as libc::c_int & libc::O_TMPFILE != libc::O_TMPFILE);
    match (there, asks(libc::O_CREAT), asks(libc::O_TRUNC)) {
        (false, true, _) => vec![Deed::Create(path)],
        (true, _, true) => vec![Deed::Truncate(path, 0)],
        _ => Vec::new(),
    }
}
