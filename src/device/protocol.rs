//! What the agent and its guard say to each other: one JSON document a line, orders on the guard's stdin, reports on
//! its stdout. The unlock code never passes here.

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use super::data::Prompt;
use crate::secret::UnlockCode;

/// From the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Order {
    /// The first one: make the home in the first of these places that will do.
    Begin {
        places: Vec<Place>,
    },
    Run(Run),
    Configure(Configure),
    /// From here on, to end as after [`Order::End`] when so much time has passed, whatever becomes of the agent. A later one
    /// takes its place.
    EndWithin {
        ms: u64,
    },
    /// End the client, remove the home, exit.
    End,
}

/// A folder in which a home may be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Place {
    pub(super) folder: String,
    /// Take it only if it lies in memory.
    pub(super) memory_only: bool,
    /// Take it only if it belongs to this very user, not to root or anyone else.
    pub(super) own_only: bool,
}

/// A command of the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Run {
    pub(super) program: String,
    /// An argument that is the code's placeholder is replaced by the guard.
    pub(super) args: Vec<String>,
    /// Variables that carry the JVM's options.
    pub(super) java_options: Vec<String>,
    pub(super) limit_ms: u64,
    /// Our own profile file, from which the guard takes the code where it must be on the command line, and in any case
    /// to take it out of what the client says.
    pub(super) code_from: Option<String>,
}

/// `configure`, its prompts answered.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Configure {
    pub(super) run: Run,
    pub(super) prompts: Vec<Prompt>,
    pub(super) path_label: String,
    pub(super) prompt_limit_ms: u64,
    pub(super) manifest: String,
    pub(super) endpoint: String,
    /// Our own profile file, read at the moment the code is asked for and not before.
    pub(super) code_from: String,
}

/// From the guard.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Report {
    Home {
        path: String,
        in_memory: bool,
        /// Why the places before this one would not do.
        passed_over: Vec<String>,
    },
    NoHome(HomeFault),
    /// The client runs, as the leader of this process group (Windows: with this process id).
    Started {
        group: u32,
    },
    NotStarted {
        why: String,
    },
    Ran(Ran),
    Configured {
        outcome: Outcome,
        ran: Ran,
    },
    /// The home is gone; the guard exits.
    Gone {
        /// Why it is not gone after all.
        fault: Option<String>,
    },
}

/// Why there is no home.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum HomeFault {
    /// None of the places would do.
    Impossible { why: String },
    /// The one that would do has a path the client can't be told.
    Unusable { path: String, why: String },
}

/// How a command ended, and what it said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Ran {
    pub(super) code: Option<i32>,
    pub(super) signal: Option<i32>,
    /// It was ended because its time was up.
    pub(super) timed_out: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// Bytes of output beyond what is kept.
    pub(super) dropped: u64,
    pub(super) millis: u64,
}

impl Ran {
    pub(super) fn succeeded(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }

    /// Takes the code out of what the client said: it may repeat it, or turn on the echo of its terminal.
    pub(super) fn hide(&mut self, code: &UnlockCode) {
        for text in [&mut self.stdout, &mut self.stderr] {
            let hidden = code.expose(|code| text.contains(code).then(|| text.replace(code, "[unlock code]")));
            if let Some(hidden) = hidden {
                text.zeroize();
                *text = hidden;
            }
        }
    }
}

impl Ran {
    /// Takes out whatever has the shape of a code: a client may say one that it was not given by us, but read from its
    /// profile, and what crosses to the agent stays in its memory.
    pub(super) fn redact(&mut self) {
        for text in [&mut self.stdout, &mut self.stderr] {
            let redacted = crate::redact::redacted(text.as_bytes());
            if redacted != text.as_bytes() {
                text.zeroize();
                *text = String::from_utf8_lossy(&redacted).into_owned();
            }
        }
    }
}

/// How the prompts of `configure` went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Outcome {
    /// All were answered, and the client ended with success.
    Done,
    /// The code was given, and the client failed or hung after it.
    FailedWithCode,
    /// The client named a file outside our home; it was told nothing.
    Elsewhere { path: String },
    /// It never came to the code: no prompt, another prompt, or an early end. It was not told the code.
    NoCodeAsked,
}
