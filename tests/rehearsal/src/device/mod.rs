//! The device: a service on loopback that the client's stand-in talks to.
//!
//! What the real client and the real device say to each other on port 9091 is not public, so this is a protocol of our
//! own, one line of JSON each way. The agent never speaks it; all it may do with the port is see whether it is open.

mod machine;

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpSocket, TcpStream},
    runtime::Handle,
    sync::Notify,
    task::JoinSet,
};

use self::machine::Machine;
pub use self::machine::{Mode, State, Unlocking};
use crate::world::{World, lock};

/// What the client asks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    /// `true` to unlock, `false` to be described.
    pub(crate) unlock: bool,
    /// From the manifest: proves that the asker could open it.
    pub(crate) device_key: String,
}

/// What the device answers.
#[derive(Serialize, Deserialize)]
pub(crate) struct Answer {
    /// Whether the key was the right one; nothing else is said to who has another.
    pub(crate) known: bool,
    pub(crate) state: String,
    pub(crate) device_id: Option<String>,
}

/// How a device begins.
#[derive(Clone, Debug)]
pub struct DeviceOptions {
    /// How long it takes to open.
    pub unlocking: Unlocking,
    /// How long it refuses connections after it got power.
    pub boot: Duration,
    /// In what way it misbehaves.
    pub mode: Mode,
    /// Open already.
    pub unlocked: bool,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        let unlocking = Unlocking::For(Duration::from_millis(100));
        Self { unlocking, boot: Duration::ZERO, mode: Mode::Normal, unlocked: false }
    }
}

/// A device that a test can watch and pull the plug of. Clones are the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
    address: SocketAddr,
}

struct Inner {
    machine: Mutex<Machine>,
    counts: Mutex<Counts>,
    power_lost: Notify,
    job_id: String,
    world: Arc<World>,
}

#[derive(Default)]
struct Counts {
    unlocks: u32,
    descriptions: u32,
    strangers: u32,
}

impl Device {
    /// Starts the device of a job on a free port.
    pub(crate) fn start(world: Arc<World>, job_id: &str, options: DeviceOptions, runtime: &Handle) -> io::Result<Self> {
        let boots_until = Instant::now() + options.boot;
        let mut machine = Machine::new(options.mode, options.unlocking, boots_until);
        if options.unlocked {
            machine.open();
        }
        let inner = Arc::new(Inner {
            machine: Mutex::new(machine),
            counts: Mutex::default(),
            power_lost: Notify::new(),
            job_id: job_id.to_owned(),
            world,
        });
        let _runtime = runtime.enter();
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        // A device that needs no time to boot answers from the moment it exists.
        if options.boot.is_zero() {
            runtime.spawn(run(inner.clone(), Power::On(socket.listen(64)?), address));
        } else {
            runtime.spawn(run(inner.clone(), Power::Booting(socket, boots_until), address));
        }
        Ok(Self { inner, address })
    }

    /// `https://127.0.0.1:PORT`, for agent and client alike.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The job whose device this is.
    #[must_use]
    pub fn job_id(&self) -> &str {
        &self.inner.job_id
    }

    /// What the lock is doing now.
    #[must_use]
    pub fn state(&self) -> State {
        lock(&self.inner.machine).state(Instant::now())
    }

    /// How often somebody with the right manifest and code asked it to unlock.
    #[must_use]
    pub fn unlock_requests(&self) -> u32 {
        lock(&self.inner.counts).unlocks
    }

    /// How often somebody with the right manifest and code asked what it is.
    #[must_use]
    pub fn descriptions(&self) -> u32 {
        lock(&self.inner.counts).descriptions
    }

    /// How often somebody came with another device's manifest.
    #[must_use]
    pub fn strangers(&self) -> u32 {
        lock(&self.inner.counts).strangers
    }

    /// Makes it misbehave, or stop to.
    pub fn set_mode(&self, mode: Mode) {
        lock(&self.inner.machine).mode = mode;
    }

    /// How long the next unlocking takes.
    pub fn set_unlocking(&self, unlocking: Unlocking) {
        lock(&self.inner.machine).unlocking = unlocking;
    }

    /// Opens it without anybody asking.
    pub fn open(&self) {
        lock(&self.inner.machine).open();
    }

    /// A power cut too short to notice: the device is locked again at once.
    pub fn power_loss(&self) {
        lock(&self.inner.machine).power_loss(Instant::now());
    }

    /// A power cut and a boot of this length, during which connections are refused.
    pub fn power_loss_for(&self, boot: Duration) {
        lock(&self.inner.machine).power_loss(Instant::now() + boot);
        self.inner.power_lost.notify_one();
    }
}

/// The device's network card.
enum Power {
    /// Bound so that nobody else gets the port, and not listening: connections are refused.
    Booting(TcpSocket, Instant),
    On(TcpListener),
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    // On Unix, for the port that connections of before the power cut still name. On Windows the flag means that two
    // may listen at once, which is not wanted.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

/// Takes the port again. A process that is just being started, by whatever thread of ours, holds a copy of the old
/// listener until its `exec`, and for so long the port is not free.
async fn rebind(address: SocketAddr) -> io::Result<TcpSocket> {
    const PAUSE: Duration = Duration::from_millis(2);
    const PATIENCE: Duration = Duration::from_secs(10);
    let until = Instant::now() + PATIENCE;
    loop {
        match bind(address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && Instant::now() < until => {
                tokio::time::sleep(PAUSE).await;
            }
            other => return other,
        }
    }
}

async fn run(inner: Arc<Inner>, mut power: Power, address: SocketAddr) -> io::Result<()> {
    loop {
        power = match power {
            Power::Booting(socket, until) => {
                tokio::time::sleep_until(until.into()).await;
                Power::On(socket.listen(64)?)
            }
            Power::On(listener) => {
                serve(&inner, &listener).await;
                drop(listener);
                let until = lock(&inner.machine).boots_until();
                Power::Booting(rebind(address).await?, until)
            }
        };
    }
}

/// Answers until the power goes, which ends the conversations too.
async fn serve(inner: &Arc<Inner>, listener: &TcpListener) {
    let mut conversations = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                conversations.spawn(converse(inner.clone(), stream));
            }
            Some(_) = conversations.join_next() => {}
            () = inner.power_lost.notified() => return,
        }
    }
}

/// One line, one answer. Who only knocks, as the agent does, is not counted.
async fn converse(inner: Arc<Inner>, stream: TcpStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    (&mut stream).take(64 * 1024).read_line(&mut line).await?;
    let Ok(question) = serde_json::from_str::<Question>(&line) else {
        return Ok(());
    };
    let mut answer = serde_json::to_vec(&inner.answer(&question))?;
    answer.push(b'\n');
    stream.write_all(&answer).await?;
    stream.shutdown().await
}

impl Inner {
    fn answer(&self, question: &Question) -> Answer {
        let key = lock(&self.world.account).find(&self.job_id).map(|job| job.pair.device_key.clone());
        let mut counts = lock(&self.counts);
        if key.as_deref() != Some(&question.device_key) {
            counts.strangers += 1;
            return Answer { known: false, state: String::new(), device_id: None };
        }
        let mut machine = lock(&self.machine);
        let now = Instant::now();
        let state = if question.unlock {
            counts.unlocks += 1;
            machine.unlock(now);
            machine.state(now).word().to_owned()
        } else {
            counts.descriptions += 1;
            machine.describe(now)
        };
        let device_id = match &machine.mode {
            Mode::OtherDevice(id) => Some(id.clone()),
            Mode::NoDeviceId => None,
            _ => Some(self.job_id.clone()),
        };
        Answer { known: true, state, device_id }
    }
}
