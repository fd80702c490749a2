//! Looking at every process's argument list and environment, again and again, for something that must not be there.

use std::{
    collections::HashSet,
    env, fs, io,
    process::{Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::world::lock;

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);
/// Processes that were there before can't have been started with the code; they are looked at every so many looks.
const OLD_EVERY: u64 = 64;

/// How long the sampler may take to find the dummy; it takes two looks.
const PROOF: Duration = Duration::from_secs(2);

/// What the sampler saw.
pub(super) struct Seen {
    /// How often it went through the processes.
    pub(super) looks: u64,
    /// How many argument lists and environments it read in all.
    pub(super) reads: u64,
    /// `/proc/PID/cmdline` or `/proc/PID/environ` that held it.
    pub(super) places: Vec<String>,
}

/// A sampler at work.
pub(super) struct Sampler {
    stop: Arc<AtomicBool>,
    places: Arc<Mutex<Vec<String>>>,
    thread: JoinHandle<(u64, u64)>,
}

impl Sampler {
    /// Starts to look for `needle` in every process that is started from now on, and now and then in those there were.
    pub(super) fn start(needle: &str) -> Self {
        // Taken here, not on the thread: a process that the caller starts next must count as new.
        let old = processes().collect();
        let (stop, places) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let watch =
            Watch { needle: needle.as_bytes().to_vec(), old, stop: Arc::clone(&stop), places: Arc::clone(&places) };
        Self { stop, places, thread: thread::spawn(move || watch.run()) }
    }

    /// Where it was seen so far.
    fn places(&self) -> Vec<String> {
        lock(&self.places).clone()
    }

    /// Ends it.
    pub(super) fn finish(self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        // One that panicked has looked at nothing, which the summary says.
        let (looks, reads) = self.thread.join().unwrap_or_default();
        Seen { looks, reads, places: lock(&self.places).clone() }
    }
}

/// Shows that a sampler finds what is there to be found, with a process of our own that holds a dummy in its arguments
/// and in its environment.
pub(super) fn prove() -> io::Result<bool> {
    let dummy = format!("dummy-{}", std::process::id());
    let sampler = Sampler::start(&dummy);
    let mut planted = Command::new(env::current_exe()?)
        .args(["plant", &dummy])
        .env("SNOW_REHEARSAL_DUMMY", &dummy)
        .stdin(Stdio::piped())
        .spawn()?;
    let shown = ["cmdline", "environ"].map(|kind| format!("/proc/{}/{kind}", planted.id()));
    let found = || shown.iter().all(|place| sampler.places().contains(place));
    let until = Instant::now() + PROOF;
    while !found() && Instant::now() < until {
        thread::sleep(PAUSE);
    }
    let found = found();
    drop(planted.stdin.take());
    planted.wait()?;
    sampler.finish();
    Ok(found)
}

struct Watch {
    needle: Vec<u8>,
    old: HashSet<String>,
    stop: Arc<AtomicBool>,
    places: Arc<Mutex<Vec<String>>>,
}

impl Watch {
    /// Gives the numbers of looks and of what was read.
    fn run(self) -> (u64, u64) {
        let (mut looks, mut reads) = (0_u64, 0);
        while !self.stop.load(Ordering::Relaxed) {
            for pid in processes() {
                if looks.is_multiple_of(OLD_EVERY) || !self.old.contains(&pid) {
                    reads += self.look(&pid);
                }
            }
            looks += 1;
            thread::sleep(PAUSE);
        }
        (looks, reads)
    }

    fn look(&self, pid: &str) -> u64 {
        let mut reads = 0;
        for kind in ["cmdline", "environ"] {
            let place = format!("/proc/{pid}/{kind}");
            // Gone since, or another user's.
            let Ok(bytes) = fs::read(&place) else {
                continue;
            };
            reads += 1;
            let mut places = lock(&self.places);
            let holds = bytes.windows(self.needle.len()).any(|window| window == self.needle);
            if holds && !places.contains(&place) {
                places.push(place);
            }
        }
        reads
    }
}

fn processes() -> impl Iterator<Item = String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn finds_what_another_process_was_started_with() {
        let needle = format!("needle-{}", std::process::id());
        let sampler = Sampler::start(&needle);
        let mut child = Command::new("sleep").arg("1").env("NEEDLE", &needle).spawn().unwrap();
        child.wait().unwrap();
        let seen = sampler.finish();
        assert_eq!(seen.places, [format!("/proc/{}/environ", child.id())]);
        assert!(seen.looks > 10);
    }
}
