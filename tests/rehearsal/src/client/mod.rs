//! The vendor's client `snowballEdge`: laid out as the vendor does, with our own program in the place of its JVM.
//!
//! Commands, prompts, file format and outputs are the documented ones; every text that no page documents carries
//! `[invented]`, so that nobody comes to depend on it. Nothing reaches it through the environment: how it is to behave
//! is written beside its `jre` at installation.

mod args;
mod cluster;
mod commands;
mod configure;
mod device;
mod documented;
mod install;
mod invocation;
mod json;
mod jvm;
mod output;
mod profile;
mod run;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub(crate) use self::install::{build_folder, cargo_build, is_filled_by_cargo};
pub use self::{
    args::Command,
    install::{client_binary, install_client, invocations},
    invocation::Invocation,
    run::main,
};

/// Marks every text of the stand-in that no page documents.
pub const INVENTED: &str = "[invented]";

/// What a command does out of the ordinary.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trick {
    /// Never ends, until it is ended or its folder is gone.
    Hang,
    /// Ends itself the way `kill -9` would.
    Killed,
    /// Writes this many bytes to stdout first.
    Flood(u64),
    /// Writes lines a JVM might write to stdout first.
    Noise,
    /// Does nothing and says it went well.
    Pretend,
    /// Leaves behind a process that holds stdout and stderr open; it is in the log of invocations.
    Grandchild,
    /// Fails for no reason.
    Fail,
    /// Says the unlock code on stderr, and does its work.
    SayCode,
    /// Fails when it has said its answer.
    FailAfter,
    /// Says on stderr too what it says on stdout: of `get-secret-access-key`, the secret.
    SayAnswer,
    /// Removes the manifest once it is read.
    DeleteManifest,
    /// Writes something else over the manifest once it is read.
    RewriteManifest,
}

/// How `version` words itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum VersionText {
    /// `Snowball Edge client version: 1.2.0  Build 661`, the guide of 2025.
    Build661,
    /// `Snowball client version: 1.2.0  Build 254`, the guide of 2023.
    Build254,
    /// Something else.
    Other(String),
}

impl VersionText {
    fn line(&self) -> &str {
        match self {
            Self::Build661 => "Snowball Edge client version: 1.2.0  Build 661",
            Self::Build254 => "Snowball client version: 1.2.0  Build 254",
            Self::Other(line) => line,
        }
    }
}

/// How the client behaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientOptions {
    /// What `version` prints.
    pub version: VersionText,
    /// `user.home` where nobody sets it: stands for the entry in the password database. The folder of the
    /// installation if `None`.
    pub own_home: Option<PathBuf>,
    /// Always uses `own_home`.
    pub ignores_our_home: bool,
    /// Options that the launcher itself gives to the JVM, such as `-Duser.home=…`.
    pub launcher_options: Vec<String>,
    /// Neither the client nor what it starts ends when the system hangs up on it.
    pub ignores_hang_up: bool,
    /// `configure` fails unless stdin is a terminal.
    pub wants_terminal: bool,
    /// On a pipe, what `configure` asks appears only when it ends.
    pub buffers_prompts: bool,
    /// `Configuration will be stored at`, as one page has it, instead of `will stored at`.
    pub grammatical: bool,
    /// Finds no profile, whatever the file says.
    pub no_profiles: bool,
    /// Error texts hold the unlock code, on stderr and in the client's log.
    pub tells_code: bool,
    /// A bundled Java 8, which knows fewer `-XX` flags.
    pub java_8: bool,
    /// A JVM of another maker, which starts with none of HotSpot's options.
    pub other_jvm: bool,
    /// How long the JVM takes to start, in milliseconds.
    pub start_delay_ms: u64,
    /// Commands that it does not have.
    pub lacks: Vec<Command>,
    /// What goes wrong, command by command.
    pub tricks: Vec<(Command, Trick)>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            version: VersionText::Build661,
            own_home: None,
            ignores_our_home: false,
            launcher_options: Vec::new(),
            ignores_hang_up: false,
            wants_terminal: false,
            buffers_prompts: false,
            grammatical: false,
            no_profiles: false,
            tells_code: false,
            java_8: false,
            other_jvm: false,
            start_delay_ms: 0,
            lacks: Vec::new(),
            tricks: Vec::new(),
        }
    }
}

impl ClientOptions {
    fn jvm(&self) -> jvm::Maker {
        match (self.other_jvm, self.java_8) {
            (true, _) => jvm::Maker::Other,
            (_, true) => jvm::Maker::Java8,
            _ => jvm::Maker::HotSpot,
        }
    }

    /// Has `command` do `trick`, beside those it already does.
    #[must_use]
    pub fn trick(mut self, command: Command, trick: Trick) -> Self {
        self.tricks.push((command, trick));
        self
    }
}

/// What lies beside the `jre`: the options, with what installation added.
#[derive(Clone, Serialize, Deserialize)]
struct StandIn {
    options: ClientOptions,
    own_home: PathBuf,
    log: PathBuf,
}

impl StandIn {
    fn does(&self, command: Command, trick: Trick) -> bool {
        self.options.tricks.contains(&(command, trick))
    }
}
