//! What the agent and its guard say to each other: one JSON document a line, orders on the guard's stdin, reports on
//! its stdout. A document with a piece of a stream names its length, and the piece follows the line as it is. The unlock code never
//! passes here: the guard takes it from the file that the agent writes for the client.

use std::io::{self, BufRead, Write};
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use zeroize::Zeroize;

use crate::device::client::access_keys::{ShownKey, shown_key};
use crate::device::client::cluster::DescribedCluster;
use crate::device::client::data::{ClientData, Prompt};
use crate::device::client::output::Described;
use crate::device::client::own_profiles::OwnProfile;
use crate::device::guard::environment::JvmOptions;
use crate::device::guard::redaction::Redaction;
use crate::os::process::Umask;

/// Version of the program: agent and guard are of the same one, or do not speak the same.
pub(in crate::device) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// From the agent.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::device) enum Order {
    /// The first one: make the home in the first of these places that will do.
    Begin {
        places: Vec<Place>,
        /// It may lie on a disk though the system has memory for it.
        on_disk: bool,
        /// The agent's [`VERSION`].
        version: String,
    },
    /// Take the code from this file, which the agent wrote into the home, and hold it as long as the home lives.
    TakeCode {
        file: String,
    },
    /// Give the profile with this name in the client's file more names.
    NameProfile {
        file: String,
        name: String,
        more: Vec<String>,
    },
    Run(Run),
    /// For the command that runs: its next input; nothing at the end of it. The guard says when it has taken it.
    Input(OutputPiece),
    /// For the command that runs, and all that it started: a signal that the caller sent.
    Signal {
        number: i32,
    },
    /// Of what the command that runs says, nobody reads this stream any more.
    Unread {
        /// The one for errors.
        errors: bool,
    },
    Configure(Configure),
    /// Tell what the client logged in these folders below the home, without the code.
    ReadLog {
        folders: Vec<Vec<String>>,
    },
    /// Look for the code in these files of the operator's.
    FindCode {
        files: Vec<String>,
    },
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
pub(in crate::device) struct Place {
    pub(in crate::device) folder: String,
    /// Take it only if it lies in memory.
    pub(in crate::device) memory_only: bool,
    /// Take it only if it belongs to this very user, not to root or anyone else.
    pub(in crate::device) own_only: bool,
}

/// A command of the client.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::device) struct Run {
    pub(in crate::device) program: String,
    /// An argument that is the code's placeholder is replaced by the guard, which holds the code; of a live one nothing is.
    pub(in crate::device) args: Vec<String>,
    /// Variables that carry the JVM's options.
    pub(in crate::device) java_options: Vec<String>,
    pub(in crate::device) jvm: JvmOptions,
    /// A live one may have none.
    pub(in crate::device) limit_ms: Option<u64>,
    /// What is read of its output before anything is taken out.
    pub(in crate::device) reads: Reads,
    /// What it says is passed on while it says it, and nothing of it is kept.
    pub(in crate::device) live: Option<Live>,
}

/// What the guard reads of a command's output itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::device) enum Reads {
    Nothing,
    /// What it says of the device.
    Description,
    /// What it says of the nodes of a cluster.
    Cluster,
    /// The device's S3 secret key. Nothing else of what it says on stdout is passed on.
    SecretKey,
}

impl Run {
    /// When it is ended: in a year if it has no limit.
    pub(in crate::device) fn limit(&self) -> Duration {
        const NONE: Duration = Duration::from_secs(365 * 24 * 3600);
        self.limit_ms.map_or(NONE, Duration::from_millis)
    }
}

/// How a command is run for somebody who looks on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::device) struct Live {
    /// It gets input from the agent.
    pub(in crate::device) input: bool,
    /// Binary data that it says is not looked at.
    pub(in crate::device) passes_binary: bool,
    /// It is the caller's own, who would else have typed it to a shell.
    pub(in crate::device) caller: Option<Caller>,
}

/// What a command has of the caller of this program, as if that one had started it. Its input comes along where it gets none from
/// the agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::device) struct Caller {
    /// The working folder.
    pub(in crate::device) folder: String,
    /// What is taken from the permissions of new files.
    pub(in crate::device) umask: Option<Umask>,
}

/// A piece of a stream: bytes of any kind, of which the document has the length.
#[derive(Debug)]
pub(in crate::device) struct OutputPiece(Vec<u8>);

impl OutputPiece {
    /// No piece is longer: what is read at once, and what may be held back, are far shorter.
    const MAX: usize = 1 << 20;

    pub(in crate::device) fn of(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    pub(in crate::device) fn bytes(&self) -> &[u8] {
        &self.0
    }

    pub(in crate::device) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl Serialize for OutputPiece {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.len().serialize(serializer)
    }
}

/// Has the length, and zeros until its bytes are read.
impl<'de> Deserialize<'de> for OutputPiece {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let length = usize::deserialize(deserializer)?;
        if length > Self::MAX {
            return Err(D::Error::custom("a piece that is too long"));
        }
        Ok(Self(vec![0; length]))
    }
}

/// What one of the two says.
pub(in crate::device) trait Message: Serialize + DeserializeOwned {
    /// The piece of a stream in it.
    fn piece(&mut self) -> Option<&mut OutputPiece>;
}

impl Message for Order {
    fn piece(&mut self) -> Option<&mut OutputPiece> {
        if let Self::Input(piece) = self { Some(piece) } else { None }
    }
}

impl Message for Report {
    fn piece(&mut self) -> Option<&mut OutputPiece> {
        if let Self::Said { piece, .. } = self { Some(piece) } else { None }
    }
}

/// Writes a message.
pub(in crate::device) fn send(mut message: impl Message, to: &mut impl Write) -> io::Result<()> {
    let mut line = serde_json::to_vec(&message)?;
    line.push(b'\n');
    to.write_all(&line)?;
    if let Some(piece) = message.piece() {
        to.write_all(&piece.0)?;
    }
    to.flush()
}

/// The next message; `None` at the end, and for what is none.
pub(in crate::device) fn receive<M: Message>(from: &mut impl BufRead) -> Option<M> {
    let mut line = Vec::new();
    from.read_until(b'\n', &mut line).ok()?;
    let mut message: M = serde_json::from_slice(&line).ok()?;
    if let Some(piece) = message.piece() {
        from.read_exact(&mut piece.0).ok()?;
    }
    Some(message)
}

/// `configure`, its prompts answered.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::device) struct Configure {
    pub(in crate::device) run: Run,
    pub(in crate::device) prompts: Vec<Prompt>,
    pub(in crate::device) path_label: String,
    pub(in crate::device) prompt_limit_ms: u64,
    pub(in crate::device) manifest: String,
    pub(in crate::device) endpoint: String,
}

/// From the guard.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::device) enum Report {
    Home {
        path: String,
        in_memory: bool,
        /// Why the places before this one would not do.
        rejected: Vec<String>,
    },
    NoHome(HomeFault),
    /// The client runs, as the leader of this process group (Windows: with this process id).
    Started {
        group: u32,
    },
    NotStarted {
        why: String,
    },
    /// What a live command said, without the code.
    Said {
        /// On its stream for errors.
        errors: bool,
        piece: OutputPiece,
    },
    /// The command has its input so far.
    InputTaken,
    /// The guard holds the code.
    CodeTaken,
    ProfileNamed,
    Log(Option<String>),
    Found(Vec<OwnProfile>),
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
pub(in crate::device) enum HomeFault {
    /// None of the places would do.
    Impossible { why: String },
    /// One on a disk would do, but the system has memory for it, and it can't be made there.
    OnDisk { folder: String, why: String },
    /// The one that would do has a path the client can't be told.
    Unusable { path: String, why: String },
}

/// How a command ended, and what it said.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(in crate::device) struct Ran {
    pub(in crate::device) code: Option<i32>,
    pub(in crate::device) signal: Option<i32>,
    /// It was ended because its time was up.
    pub(in crate::device) timed_out: bool,
    pub(in crate::device) stdout: String,
    pub(in crate::device) stderr: String,
    /// What a command that describes the device said of it.
    pub(in crate::device) described: Option<Described>,
    /// What one that describes the cluster said of its nodes.
    pub(in crate::device) cluster: Option<Box<DescribedCluster>>,
    /// The secret key that a command showed which is asked for one.
    pub(in crate::device) secret_key: Option<ShownKey>,
    /// Bytes of output beyond what is kept.
    pub(in crate::device) dropped: u64,
    pub(in crate::device) millis: u64,
}

impl Ran {
    /// Reads what is asked for, and keeps the rest of what the client says beside a secret key to the guard. It may say one also
    /// where it fails.
    pub(in crate::device) fn read(&mut self, reads: Reads) {
        match reads {
            Reads::Nothing => {}
            Reads::Description if self.succeeded() => {
                self.described = ClientData::built_in().described(&self.stdout);
            }
            Reads::Cluster if self.succeeded() => {
                self.cluster = ClientData::built_in().described_cluster(&self.stdout).map(Box::new);
            }
            Reads::Description | Reads::Cluster => {}
            Reads::SecretKey => {
                self.secret_key = shown_key(&self.stdout).filter(|_| self.succeeded());
                let errors = crate::safety::redact::redacted_beside(self.stderr.as_bytes(), self.stdout.as_bytes());
                self.stderr.zeroize();
                self.stdout.zeroize();
                self.stderr = errors;
            }
        }
    }

    pub(in crate::device) fn succeeded(&self) -> bool {
        self.code == Some(0) && !self.timed_out
    }

    /// Takes out the code, where there is one to look for, and whatever else has the shape of one: a client may say one that
    /// it was not given by us, and what crosses to the agent stays in its memory.
    pub(in crate::device) fn redact(&mut self, code: Option<&Redaction>) {
        if let Some(described) = &mut self.described {
            let (id, state) = described.texts();
            id.into_iter().chain(state).for_each(|text| redact(text, code));
        }
        if let Some(cluster) = &mut self.cluster {
            cluster.texts().for_each(|text| redact(text, code));
        }
        if let Some(key) = &mut self.secret_key {
            // One that holds a part of the code is none.
            redact(&mut key.id, code);
            redact(&mut key.secret, code);
        }
        redact(&mut self.stdout, code);
        redact(&mut self.stderr, code);
    }
}

fn redact(text: &mut String, code: Option<&Redaction>) {
    if let Some(code) = code {
        code.redact(text);
    }
    let redacted = crate::safety::redact::redacted(text.as_bytes());
    if redacted != text.as_bytes() {
        text.zeroize();
        *text = String::from_utf8_lossy(&redacted).into_owned();
    }
}

/// How the prompts of `configure` went.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::device) enum Outcome {
    /// All were answered, and the client ended with success. It had named this file, inside our home.
    Done { path: String },
    /// The code was given, and the client failed or hung after it.
    FailedWithCode,
    /// The client named a file outside our home; it was told nothing.
    Elsewhere { path: String },
    /// It never came to the code: no prompt, another prompt, or an early end. It was not told the code.
    NoCodeAsked,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_bytes_pass_between_other_messages() {
        let all: Vec<u8> = (0..=255).cycle().take(70_000).collect();
        let mut sent = Vec::new();
        for piece in [&all[..], b"", b"\n{\"InputTaken\"}\n"] {
            send(Report::Said { errors: true, piece: OutputPiece::of(piece.to_vec()) }, &mut sent).unwrap();
            send(Report::InputTaken, &mut sent).unwrap();
        }
        assert!(sent.len() < all.len() + 300, "{} bytes were sent", sent.len());
        let mut from = &sent[..];
        for expected in [&all[..], b"", b"\n{\"InputTaken\"}\n"] {
            let Some(Report::Said { errors: true, piece }) = receive(&mut from) else { panic!("a piece") };
            assert!(piece.bytes() == expected);
            assert!(matches!(receive(&mut from), Some(Report::InputTaken)));
        }
        assert!(receive::<Report>(&mut from).is_none(), "the end");
    }

    #[test]
    fn a_piece_is_whole_and_of_bounded_length_or_there_is_none() {
        let told = |mut bytes: &[u8]| receive::<Order>(&mut bytes).is_some();
        assert!(told(b"{\"Input\":3}\nabc"), "a control");
        for other in ["{\"Input\":4}\nabc", "{\"Input\":1048577}\n", "{\"Input\":-1}\n", "{\"Input\":\"abc\"}\n"] {
            assert!(!told(other.as_bytes()), "{other}");
        }
        let long = format!("{{\"Input\":1048577}}\n{}", "x".repeat(1_048_577));
        assert!(!told(long.as_bytes()), "one that is too long is not read, though it is whole");
    }
}
