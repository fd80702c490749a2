//! A row of the matrix.

use std::time::Duration;

use snow_rehearsal::{BucketFault, ClientOptions, Fault as ApiFault, Job, Mode, Operation, ProxyFault, Server, Times};

#[cfg(target_os = "linux")]
use crate::keyring_bus::Keyring;
use crate::scene::Scene;

/// What is done, what goes wrong with it, and what is to become of it.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) verb: Verb,
    pub(crate) args: Vec<String>,
    pub(crate) given: Given,
    pub(crate) cast: Cast,
    pub(crate) fault: Fault,
    /// `network_timeout` while the fault lasts, where it is one that is waited out.
    pub(crate) patience: Option<&'static str>,
    pub(crate) ends: Ends,
    pub(crate) kept: Kept,
    pub(crate) device: Touch,
    pub(crate) again: Again,
    /// The code may stand on the client's command line.
    pub(crate) on_argv: bool,
    pub(crate) differs: Option<Difference>,
}

/// In what the program is known to differ from a row, for now. One that no longer does, or differs in more than that, fails.
#[derive(Clone, Copy)]
pub(crate) struct Difference {
    pub(crate) how: &'static str,
    /// Every flaw found has one of these in it.
    pub(crate) flaws: &'static [&'static str],
}

/// The command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Verb {
    Run,
    Fetch,
    Refresh,
    Forget,
    Jobs,
}

/// What is kept before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Given {
    Nothing,
    /// The job's pair.
    Pair,
    /// A pair that AWS has replaced since.
    Stale,
}

/// What the stand-ins are made of, where it is not one delivered job on an ordinary disk.
#[derive(Clone, Default)]
pub(crate) struct Cast {
    pub(crate) job: Option<Job>,
    /// An export in parts: the first job has no device of its own.
    pub(crate) in_parts: bool,
    /// The jobs are the nodes of a cluster.
    pub(crate) in_cluster: bool,
    /// There is another job, with a device of its own.
    pub(crate) with_another: bool,
    /// States in which the pair is handed out.
    pub(crate) ready_states: Option<&'static [&'static str]>,
    /// No `ETag` and no checksum.
    pub(crate) bare_bucket: bool,
    /// The state folder lies on a disk of its own, of a megabyte.
    pub(crate) small_disk: bool,
}

/// What goes wrong, and what makes it well again.
#[derive(Clone)]
pub(crate) enum Fault {
    None,
    Api(Operation, ApiFault, Times),
    EveryCall(ApiFault, Times),
    Bucket(BucketFault, Times),
    /// On the line to one server, or to both.
    Line(Option<Server>, ProxyFault, Times),
    /// Variables that are other, or missing.
    Env(Vec<(&'static str, Option<String>)>),
    JobState(&'static str),
    /// Another session, with such a keyring.
    #[cfg(target_os = "linux")]
    Keyring(Keyring),
    #[cfg_attr(windows, allow(dead_code, reason = "the odd clients are shell scripts"))]
    Client(Box<ClientOptions>),
    Device(Mode),
    /// Anything else: done, and undone.
    Do(fn(&Scene<'_>), fn(&Scene<'_>)),
}

/// How the command ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ends {
    Well,
    /// Exit code and string code.
    Fails(u8, &'static str),
}

/// What is kept afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    Nothing,
    /// The pair of before, byte for byte.
    Old,
    /// The pair that AWS gives out, whole.
    New,
    /// Whatever was there, byte for byte: file for file, and what the keychain holds.
    AsItWas,
    /// The code and the record; the manifest was taken by others.
    #[cfg_attr(windows, allow(dead_code, reason = "of a row that is not played there"))]
    CodeAlone,
}

/// What the device has seen of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Touch {
    /// The client was not told of it.
    Untouched,
    /// It was looked at, and not asked to open.
    LookedAt,
    /// It was asked to open, once, and is not open.
    Asked,
    /// It is open.
    Open,
}

/// What the same command does when the fault is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It ends in the good state.
    Well,
    /// It fails as before, until this command, which the hint names, has been given.
    WellAfter(Verb),
    /// It fails otherwise, because of what the fault has left, until this command has been given.
    #[cfg_attr(windows, allow(dead_code, reason = "of a row that is not played there"))]
    Fails(u8, &'static str, Verb),
    /// It fails as before: that is how it is.
    Stays,
}

impl Row {
    /// A row in which nothing is kept before or after a failure, the device is not touched, and the command ends well
    /// when the fault is gone.
    pub(crate) fn new(verb: Verb, name: impl Into<String>, fault: Fault) -> Self {
        Self {
            name: name.into(),
            verb,
            args: Vec::new(),
            given: Given::Nothing,
            cast: Cast::default(),
            fault,
            patience: None,
            ends: Ends::Well,
            kept: Kept::Nothing,
            device: Touch::Untouched,
            again: Again::Well,
            on_argv: false,
            differs: None,
        }
    }

    pub(crate) fn given(mut self, given: Given) -> Self {
        self.given = given;
        if given != Given::Nothing && self.kept == Kept::Nothing {
            self.kept = Kept::Old;
        }
        self
    }

    pub(crate) fn args(mut self, args: &[&str]) -> Self {
        self.args = args.iter().map(|&arg| arg.to_owned()).collect();
        self
    }

    pub(crate) fn cast(mut self, cast: Cast) -> Self {
        self.cast = cast;
        self
    }

    /// The command ends well: with the new pair kept, and for `run` with an open device.
    pub(crate) fn well(mut self) -> Self {
        self.ends = Ends::Well;
        match self.verb {
            Verb::Run => (self.kept, self.device) = (Kept::New, Touch::Open),
            Verb::Fetch | Verb::Refresh => self.kept = Kept::New,
            Verb::Forget => self.kept = Kept::Nothing,
            Verb::Jobs => {}
        }
        self
    }

    pub(crate) fn fails(mut self, exit: u8, code: &'static str) -> Self {
        self.ends = Ends::Fails(exit, code);
        self
    }

    /// A fault that is waited out: for so long, while it lasts.
    pub(crate) fn within(mut self, patience: &'static str) -> Self {
        self.patience = Some(patience);
        self
    }

    pub(crate) fn kept(mut self, kept: Kept) -> Self {
        self.kept = kept;
        self
    }

    pub(crate) fn device(mut self, device: Touch) -> Self {
        self.device = device;
        self
    }

    pub(crate) fn again(mut self, again: Again) -> Self {
        self.again = again;
        self
    }

    #[cfg_attr(windows, allow(dead_code, reason = "of a row that is not played there"))]
    pub(crate) fn on_argv(mut self) -> Self {
        self.on_argv = true;
        self
    }

    #[allow(dead_code, reason = "at the best of times there is none")]
    pub(crate) fn differs(mut self, how: &'static str, flaws: &'static [&'static str]) -> Self {
        self.differs = Some(Difference { how, flaws });
        self
    }

    pub(crate) fn keeps_nothing_by_choice(&self) -> bool {
        self.args.windows(2).any(|pair| pair == ["--keychain", "none"])
    }

    /// For how long a command may run that is to fail for want of an answer.
    pub(crate) fn limit(&self) -> Duration {
        Duration::from_secs(170)
    }
}

impl Verb {
    pub(crate) fn words(self) -> &'static [&'static str] {
        match self {
            Self::Run => &["run"],
            Self::Fetch => &["fetch"],
            Self::Refresh => &["fetch", "--refresh"],
            Self::Forget => &["forget"],
            Self::Jobs => &["jobs"],
        }
    }
}
