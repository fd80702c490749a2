//! Runs a check over a corpus and mutations of it, each case within bounds of time and memory.

use std::fmt;
use std::fs::{self, File};
use std::io::{Seek as _, Write as _};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::MEMORY;
use crate::mutate::Mutator;

/// What one case may take.
pub(crate) struct Limits {
    pub(crate) time: Duration,
    pub(crate) memory: usize,
}

impl Default for Limits {
    /// A hundred times what the dearest case takes by itself: other programs are at work as well.
    fn default() -> Self {
        Self { time: Duration::from_secs(20), memory: 64 << 20 }
    }
}

/// A case that broke a property.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) name: String,
    pub(crate) input: Vec<u8>,
    pub(crate) why: String,
    /// Where the input lies.
    pub(crate) left: PathBuf,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "target {} fails: {}", self.name, self.why)?;
        writeln!(f, "with the input b\"{}\", to be tried ever after:", self.input.escape_ascii())?;
        write!(f, "  cp {} tests/fuzz/corpus/{}/what_it_shows", self.left.display(), self.name)
    }
}

/// The case that is being tried, and since when.
type Now = Arc<Mutex<(Vec<u8>, Instant)>>;

/// Tries all of `corpus` and `cases` mutations of it; gives how many cases that were.
///
/// A case that ends the whole process can't be told from here: it is left in a file of cargo's folder for tests.
pub(crate) fn search(
    name: &str,
    corpus: &[Vec<u8>],
    cases: usize,
    limits: &Limits,
    check: fn(&[u8]),
) -> Result<usize, Failure> {
    let now: Now = Arc::new(Mutex::new((Vec::new(), Instant::now())));
    let (done, wait) = channel();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}-{}", std::process::id()));
    let left = Left::new(&path);
    let failure = |input: Vec<u8>, why: String| Failure { name: name.to_owned(), input, why, left: path.clone() };
    let worker = {
        let (now, name, corpus, memory) = (now.clone(), name.to_owned(), corpus.to_vec(), limits.memory);
        let time = limits.time;
        move || {
            let mut mutator = Mutator::new(&name, &corpus);
            let all = corpus.iter().cloned().map(Some).chain((0..cases).map(|_| None));
            for seed in all {
                let input = seed.unwrap_or_else(|| mutator.next());
                left.is_about_to_try(&input);
                *now.lock().unwrap() = (input.clone(), Instant::now());
                if let Err(why) = one(&input, memory, time, check) {
                    let _ = done.send(Err((input, why)));
                    return;
                }
            }
            left.nothing();
            let _ = done.send(Ok(corpus.len() + cases));
        }
    };
    // Not joined: a case that hangs hangs for ever.
    std::thread::Builder::new().name(name.to_owned()).spawn(worker).unwrap();
    loop {
        match wait.recv_timeout(Duration::from_millis(50)) {
            Ok(result) => return result.map_err(|(input, why)| failure(input, why)),
            Err(RecvTimeoutError::Disconnected) => return Err(failure(Vec::new(), "the driver has failed".to_owned())),
            Err(RecvTimeoutError::Timeout) => {
                let (input, since) = &*now.lock().unwrap();
                // Twice, so that a case that does end tells by itself how long it took.
                if since.elapsed() > limits.time * 2 {
                    let why = format!("it has not ended after {} ms", since.elapsed().as_millis());
                    return Err(failure(input.clone(), why));
                }
            }
        }
    }
}

fn one(input: &[u8], memory: usize, time: Duration, check: fn(&[u8])) -> Result<(), String> {
    let before = MEMORY.current_usage();
    MEMORY.reset_peak_usage();
    let started = Instant::now();
    catch_unwind(AssertUnwindSafe(|| check(input))).map_err(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        text.or_else(|| panic.downcast_ref::<&str>().map(|&text| text.to_owned())).unwrap_or_default()
    })?;
    let taken = started.elapsed();
    let peak = MEMORY.peak_usage().saturating_sub(before);
    if peak > memory {
        Err(format!("it took {peak} bytes of memory for {} of input", input.len()))
    } else if taken > time {
        Err(format!("it took {} ms", taken.as_millis()))
    } else {
        Ok(())
    }
}

/// The case that is tried, where it is found if it ends the process.
struct Left(File, PathBuf);

impl Left {
    fn new(path: &Path) -> Self {
        Self(File::create(path).unwrap(), path.to_path_buf())
    }

    fn is_about_to_try(&self, input: &[u8]) {
        let mut file = &self.0;
        file.set_len(0).and_then(|()| file.rewind()).and_then(|()| file.write_all(input)).unwrap();
    }

    fn nothing(self) {
        fs::remove_file(self.1).unwrap();
    }
}
