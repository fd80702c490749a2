//! Looking into processes and folders.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;

use crate::needles::Needles;
use crate::process::{self, wait_until};

/// The writable pages of one process, as they were while it stood still.
pub(crate) struct Memory {
    regions: Vec<Region>,
}

struct Region {
    start: u64,
    name: String,
    bytes: Vec<u8>,
}

impl Memory {
    /// Stops the process, reads every writable mapping, and lets it go on.
    pub(crate) fn of(pid: u32) -> Self {
        process::signal(pid, Signal::STOP);
        wait_until("the process to stand still", || matches!(process::state(pid), Some('T' | 't')));
        let this = Self::read(pid);
        process::signal(pid, Signal::CONT);
        assert!(this.regions.iter().any(|region| region.name == "[stack]"), "the stack was read");
        assert!(this.regions.iter().any(|region| region.name == "[heap]"), "the heap was read");
        this
    }

    fn read(pid: u32) -> Self {
        let maps = String::from_utf8(process::read(pid, "maps").unwrap()).unwrap();
        let memory = File::open(format!("/proc/{pid}/mem")).expect("root reads the memory of any process");
        let regions = maps.lines().filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (start, end) = fields[0].split_once('-').unwrap();
            let (start, end) = (u64::from_str_radix(start, 16).unwrap(), u64::from_str_radix(end, 16).unwrap());
            let name = fields.get(5..).unwrap_or_default().join(" ");
            if !fields[1].contains('w') {
                return None;
            }
            let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
            memory.read_exact_at(&mut bytes, start).unwrap_or_else(|error| panic!("{line}: {error}"));
            Some(Region { start, name, bytes })
        });
        Self { regions: regions.collect() }
    }

    /// How many copies there are.
    pub(crate) fn count(&self, needles: &Needles) -> usize {
        self.find(needles).len()
    }

    /// Where copies are, with the text around: for who has to find out how one came to be there.
    pub(crate) fn find(&self, needles: &Needles) -> Vec<String> {
        let found = self.regions.iter().flat_map(|region| {
            needles.find(&region.bytes).into_iter().map(|at| {
                let around = &region.bytes[at.saturating_sub(96)..(at + 160).min(region.bytes.len())];
                let name = if region.name.is_empty() { "a mapping without a name" } else { &region.name };
                format!("{:#x} in {name}: {}", region.start + at as u64, around.escape_ascii())
            })
        });
        found.collect()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.regions.iter().map(|region| region.bytes.len()).sum()
    }
}

/// Files below `folder` that hold a copy. Links are not followed.
pub(crate) fn files_with(folder: &Path, needles: &Needles) -> Vec<PathBuf> {
    let mut found = Vec::new();
    // What vanishes while it is looked at is gone, which is what is hoped for.
    let Ok(entries) = fs::read_dir(folder) else { return found };
    for path in entries.flatten().map(|entry| entry.path()) {
        let Ok(meta) = path.symlink_metadata() else { continue };
        if meta.is_dir() {
            found.extend(files_with(&path, needles));
        } else if meta.is_file() && fs::read(&path).is_ok_and(|content| needles.count(&content) > 0) {
            found.push(path);
        }
    }
    found
}

mod tests {
    use std::io::{BufRead, BufReader, Read, Write};
    use std::process::{Command, Stdio};

    use super::*;
    use crate::{process, table};

    /// Not one of the codes that the others look for.
    const PLANTED: &str = "f00d1-8suds-kshd6-7hhas-876as";

    #[test]
    #[ignore = "run by the other tests, in a process of its own"]
    fn holder() {
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap();
        let mut stdin = std::io::stdin().lock();
        let mut secret = [0; PLANTED.len()];
        stdin.read_exact(&mut secret).unwrap();
        let wide: Vec<u16> = secret.iter().map(|byte| u16::from(*byte)).collect();
        // Large enough to be a mapping of its own, and apart enough to count as many.
        let mapped = vec![[secret, [0; PLANTED.len()], [0; PLANTED.len()]]; 1 << 12];
        println!("ready");
        let _ = stdin.read(&mut [0]);
        std::hint::black_box((&secret, &wide, &mapped));
    }

    #[test]
    fn what_is_planted_in_a_process_that_is_not_dumpable_is_found() {
        if !process::may_trace_or_rerun("scan::tests::what_is_planted_in_a_process_that_is_not_dumpable_is_found") {
            return;
        }
        let mut holder = Command::new(std::env::current_exe().unwrap());
        holder.args(["--exact", "scan::tests::holder", "--ignored", "--nocapture"]);
        let mut holder = holder.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdin = holder.stdin.take().unwrap();
        stdin.write_all(PLANTED.as_bytes()).unwrap();
        let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().ends_with("ready")));

        let found = Memory::of(holder.id()).find(&Needles::of(PLANTED));
        drop(stdin);
        assert!(holder.wait().unwrap().success());
        let utf16: String = PLANTED.chars().take(12).flat_map(|c| [c.to_string(), "\\x00".to_owned()]).collect();
        assert!(found.iter().any(|place| place.contains(&utf16[..40])), "as UTF-16");
        assert!(found.iter().any(|place| place.contains("without a name")), "in mappings");
        assert!(found.len() > 100, "every one of many, not the first only: {}", found.len());
        table::row("planted", "memory of a child that is not dumpable: a control", found.len(), found.len());
    }

    #[test]
    fn what_is_planted_in_a_file_is_found_however_deep() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("a/.b/c d");
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("log"), format!("\0\0code={PLANTED}\n")).unwrap();
        fs::write(folder.path().join("other"), "nothing").unwrap();
        let needles = Needles::of(PLANTED);
        assert_eq!(files_with(folder.path(), &needles), [deep.join("log")]);
        assert!(files_with(&folder.path().join("absent"), &needles).is_empty());
    }
}
