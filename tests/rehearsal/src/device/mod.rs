//! The device: a service on loopback that the client's stand-in talks to.
//!
//! What the real client and the real device say to each other on port 9091 is not public, so this is a protocol of our
//! own, one line of JSON each way. The agent never speaks it; all it may do with the port is see whether it is open.

mod access_keys;
mod certificates;
mod inside;
mod machine;
mod nodes;
mod services;

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
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

pub(crate) use self::nodes::Nodes;
pub use self::{
    access_keys::AccessKey,
    certificates::DeviceCertificate,
    machine::{Mode, State, Unlocking},
    nodes::ClusterRequests,
    services::{Interface, Purpose, Services},
};
use self::{inside::Inside, machine::Machine};
use crate::world::{World, lock};

/// What the client asks.
#[derive(Serialize, Deserialize)]
pub(crate) struct Question {
    pub(crate) wish: Wish,
    /// From the manifest: proves that the asker could open it.
    pub(crate) device_key: String,
}

/// What the client wants of the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Wish {
    Unlock,
    Describe,
    /// Of the node that is the endpoint of `unlock-cluster`; each node is then asked to join.
    UnlockCluster,
    Join,
    Associate,
    DescribeCluster,
    Disassociate(String),
    AccessKeys,
    SecretKey(String),
    Certificates,
    Certificate(String),
    Services,
    Service(String),
    Updates,
    Features,
}

impl Wish {
    /// The client's command that wishes this.
    const fn name(&self) -> &'static str {
        match self {
            Self::Unlock => "unlock-device",
            Self::Describe => "describe-device",
            Self::UnlockCluster | Self::Join => "unlock-cluster",
            Self::Associate => "associate-device",
            Self::DescribeCluster => "describe-cluster",
            Self::Disassociate(_) => "disassociate-device",
            Self::AccessKeys => "list-access-keys",
            Self::SecretKey(_) => "get-secret-access-key",
            Self::Certificates => "list-certificates",
            Self::Certificate(_) => "get-certificate",
            Self::Services => "list-services",
            Self::Service(_) => "describe-service",
            Self::Updates => "check-for-updates",
            Self::Features => "describe-features",
        }
    }
}

/// What the device answers.
#[derive(Serialize, Deserialize)]
pub(crate) enum Answer {
    /// The key is another device's: nothing more is said.
    Stranger,
    /// To unlock in whatever way, and to describe.
    Lock { state: String, device_id: Option<String> },
    /// A document.
    Json(serde_json::Value),
    /// What is no document.
    Text(String),
    /// Why not; the text is invented.
    Refused(String),
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
    /// How many access keys it has.
    pub access_keys: usize,
    /// What it offers once it is open.
    pub services: Services,
}

impl Default for DeviceOptions {
    fn default() -> Self {
        let unlocking = Unlocking::For(Duration::from_millis(100));
        let (mode, services) = (Mode::Normal, Services::default());
        Self { unlocking, boot: Duration::ZERO, mode, unlocked: false, access_keys: 1, services }
    }
}

/// A device that a test can watch and pull the plug of. Clones are the same device.
#[derive(Clone)]
pub struct Device {
    inner: Arc<Inner>,
}

struct Inner {
    machine: Mutex<Machine>,
    inside: Mutex<Inside>,
    address: Mutex<SocketAddr>,
    /// What it says its address is, where that is another: behind a translation.
    own_address: Mutex<Option<IpAddr>>,
    counts: Mutex<Counts>,
    power_lost: Notify,
    /// The next network address, bound already.
    moved: Mutex<Option<TcpSocket>>,
    job_id: String,
    /// Whose node it is.
    cluster: Option<String>,
    world: Arc<World>,
    runtime: Handle,
}

#[derive(Default)]
struct Counts {
    unlocks: u32,
    descriptions: u32,
    strangers: u32,
    of_cluster: ClusterRequests,
    questions: Vec<&'static str>,
}

impl Device {
    /// Starts the device of a job on a free port; that of a cluster's job is one of its nodes.
    pub(crate) fn start(world: Arc<World>, job_id: &str, options: DeviceOptions, runtime: &Handle) -> io::Result<Self> {
        let boots_until = Instant::now() + options.boot;
        let mut machine = Machine::new(options.mode, options.unlocking, boots_until);
        if options.unlocked {
            machine.open();
        }
        let _runtime = runtime.enter();
        let socket = bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let address = socket.local_addr()?;
        let cluster = lock(&world.account).find(job_id).and_then(|job| job.cluster.clone());
        let inside = Inside::new(job_id, options.access_keys, options.services, address.ip());
        let inner = Arc::new(Inner {
            machine: Mutex::new(machine),
            inside: Mutex::new(inside),
            address: Mutex::new(address),
            own_address: Mutex::default(),
            counts: Mutex::default(),
            power_lost: Notify::new(),
            moved: Mutex::default(),
            job_id: job_id.to_owned(),
            cluster,
            world,
            runtime: runtime.clone(),
        });
        if let Some(cluster) = &inner.cluster {
            inner.world.nodes.add(cluster, &inner);
        }
        // A device that needs no time to boot answers from the moment it exists.
        if options.boot.is_zero() {
            runtime.spawn(run(inner.clone(), Power::On(socket.listen(64)?)));
        } else {
            runtime.spawn(run(inner.clone(), Power::Booting(socket, boots_until)));
        }
        Ok(Self { inner })
    }

    /// `https://127.0.0.1:PORT`, or where it was moved to, for agent and client alike.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("https://{}", self.address())
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        *lock(&self.inner.address)
    }

    /// Has it say that its address is this one, as behind a translation of addresses.
    pub fn say_it_is_at(&self, address: IpAddr) {
        *lock(&self.inner.own_address) = Some(address);
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

    /// How often somebody with the right manifest and code asked it to unlock, alone or with its cluster.
    #[must_use]
    pub fn unlock_requests(&self) -> u32 {
        lock(&self.inner.counts).unlocks
    }

    /// What was asked of it as a node of its cluster.
    #[must_use]
    pub fn cluster_requests(&self) -> ClusterRequests {
        lock(&self.inner.counts).of_cluster
    }

    /// Whether it is a node that is of its cluster now.
    #[must_use]
    pub fn is_associated(&self) -> bool {
        self.inner.cluster.is_some() && lock(&self.inner.machine).is_associated(Instant::now())
    }

    /// The device of this job, if it is a node that was started.
    pub(crate) fn node(world: &World, job_id: &str) -> Option<Self> {
        Some(Self { inner: world.nodes.find(job_id)? })
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

    /// A power cut after which the device has another address, and a free port of it, from when this returns.
    ///
    /// # Errors
    /// If this machine has no such address. Linux and Windows have all of 127.0.0.0/8.
    pub fn move_to(&self, address: IpAddr) -> io::Result<()> {
        let _runtime = self.inner.runtime.enter();
        let socket = bind(SocketAddr::from((address, 0)))?;
        *lock(&self.inner.address) = socket.local_addr()?;
        lock(&self.inner.machine).power_loss(Instant::now());
        *lock(&self.inner.moved) = Some(socket);
        self.inner.power_lost.notify_one();
        Ok(())
    }
}

/// What is to be had from a device once it is open.
impl Device {
    /// Its access keys, in the order in which they are listed.
    #[must_use]
    pub fn access_keys(&self) -> Vec<AccessKey> {
        lock(&self.inner.inside).access_keys.clone()
    }

    /// Other access keys in the place of those it had, as after it was wiped.
    pub fn renew_access_keys(&self) {
        lock(&self.inner.inside).renew_access_keys();
    }

    /// Gives it so many of them, of which those that it had are the first.
    pub fn set_access_keys(&self, count: usize) {
        lock(&self.inner.inside).set_access_keys(count);
    }

    /// The certificate of its own address, which the S3 adapter and EC2 show, with its key. It stays until the device is
    /// unlocked at another address.
    #[must_use]
    pub fn certificate(&self) -> DeviceCertificate {
        lock(&self.inner.inside).address_certificate()
    }

    /// The certificate of S3-compatible storage, with its key: for all the interfaces there are.
    #[must_use]
    pub fn storage_certificate(&self) -> Option<DeviceCertificate> {
        lock(&self.inner.inside).storage_certificate()
    }

    /// Changes what it offers.
    pub fn set_services(&self, change: impl FnOnce(&mut Services)) {
        change(&mut lock(&self.inner.inside).services);
    }

    /// What was asked of it beside unlocking and describing, by the client's command, oldest first.
    #[must_use]
    pub fn questions(&self) -> Vec<&'static str> {
        lock(&self.inner.counts).questions.clone()
    }

    /// Installs the update that it has, as a person at the client does: another manifest, and a restart that locks it.
    pub fn update(&self) {
        lock(&self.inner.inside).updated = true;
        let code = lock(&self.inner.world.account).find(&self.inner.job_id).map(|job| job.pair.code.clone());
        self.inner.world.renew(&self.inner.job_id, code);
        self.power_loss();
    }
}

/// The device's network card.
enum Power {
    /// Bound so that nobody else gets the port, and not listening: connections are refused.
    Booting(TcpSocket, Instant),
    On(TcpListener),
}

fn bind(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
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

async fn run(inner: Arc<Inner>, mut power: Power) -> io::Result<()> {
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
                let (address, moved) = (*lock(&inner.address), lock(&inner.moved).take());
                let socket = match moved {
                    Some(socket) => socket,
                    None => rebind(address).await?,
                };
                Power::Booting(socket, until)
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
        if key.as_deref() != Some(&question.device_key) {
            lock(&self.counts).strangers += 1;
            return Answer::Stranger;
        }
        let now = Instant::now();
        match (&question.wish, self.cluster.as_deref()) {
            (Wish::Unlock, None) | (Wish::Describe, _) => self.answer_of_lock(&question.wish, now),
            (Wish::Unlock, Some(_)) => {
                Answer::Refused("a node of a cluster is unlocked with unlock-cluster".to_owned())
            }
            (
                Wish::UnlockCluster | Wish::Join | Wish::Associate | Wish::DescribeCluster | Wish::Disassociate(_),
                cluster,
            ) => self.answer_of_node(&question.wish, cluster, now),
            // The guide lists what works while it is locked; nothing of this is there.
            (wish, _) if lock(&self.machine).state(now) != State::Unlocked => {
                Answer::Refused(format!("{} needs an unlocked device", wish.name()))
            }
            (wish, _) => {
                lock(&self.counts).questions.push(wish.name());
                lock(&self.inside).answer(wish)
            }
        }
    }

    fn answer_of_lock(&self, wish: &Wish, now: Instant) -> Answer {
        let mut machine = lock(&self.machine);
        let state = if *wish == Wish::Describe {
            lock(&self.counts).descriptions += 1;
            machine.describe(now)
        } else {
            self.unlock(&mut machine, now, Machine::unlock)
        };
        Answer::Lock { state, device_id: self.device_id(&machine) }
    }

    /// What is asked of a node for its cluster.
    fn answer_of_node(&self, wish: &Wish, cluster: Option<&str>, now: Instant) -> Answer {
        let Some(cluster) = cluster else {
            return Answer::Refused(format!("{} needs a node of a cluster", wish.name()));
        };
        {
            let counts = &mut lock(&self.counts).of_cluster;
            match wish {
                Wish::UnlockCluster => counts.unlock_cluster += 1,
                Wish::Associate => counts.associate_device += 1,
                Wish::DescribeCluster => counts.describe_cluster += 1,
                Wish::Disassociate(_) => counts.disassociate_device += 1,
                _ => {}
            }
        }
        match wish {
            Wish::Join | Wish::Associate => {
                let mut machine = lock(&self.machine);
                let state = self.unlock(&mut machine, now, Machine::join);
                Answer::Lock { state, device_id: self.device_id(&machine) }
            }
            // Every node is locked in its turn: none may be held meanwhile, this one included.
            Wish::DescribeCluster => Answer::Json(self.world.nodes.describe(cluster, now)),
            // The guide: an error for a healthy node, and irreversible for any other.
            Wish::Disassociate(id) => Answer::Refused(format!("{id} stays in its cluster")),
            _ => Answer::Text(String::new()),
        }
    }

    fn unlock(&self, machine: &mut Machine, now: Instant, how: impl Fn(&mut Machine, Instant)) -> String {
        lock(&self.counts).unlocks += 1;
        how(machine, now);
        lock(&self.inside).unlock_at(lock(&self.address).ip());
        machine.state(now).word().to_owned()
    }

    /// What it says that it is.
    fn device_id(&self, machine: &Machine) -> Option<String> {
        match &machine.mode {
            Mode::OtherDevice(id) => Some(id.clone()),
            Mode::NoDeviceId => None,
            _ => Some(self.job_id.clone()),
        }
    }
}
