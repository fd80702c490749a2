//! Starting the stand-ins, and handles on them.

mod builder;
mod cluster;
mod job;

use std::{
    fs, io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    thread::JoinHandle,
    time::Duration,
};

use tempfile::TempDir;
use tokio::{
    net::TcpListener,
    runtime::{self, Handle},
    sync::oneshot,
};

use self::builder::Places;
pub use self::{builder::Builder, cluster::ClusterHandle, job::JobHandle};
use crate::{
    Error, api, bucket,
    client::{ClientOptions, Command, Invocation, install_client, invocations},
    device::{Device, DeviceOptions},
    faults::{BucketFault, Fault, Operation, Times},
    log::{Request, Server},
    proxy::Proxy,
    server::serve,
    tls::Impostors,
    world::{World, lock},
};

/// A rehearsal that is on. Ends, and removes everything it made, when dropped.
pub struct Rehearsal {
    devices: Vec<Device>,
    client: PathBuf,
    places: Places,
    proxy: OnceLock<Proxy>,
    impostors: Impostors,
    stage: Stage,
    world: Arc<World>,
    dir: TempDir,
}

impl Rehearsal {
    /// Begins to describe one.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The variables that the agent is to be started with, and no others beside `PATH` and what a test adds.
    #[must_use]
    pub fn env(&self) -> Vec<(&'static str, String)> {
        let path = |path: &Path| path.to_string_lossy().into_owned();
        let mut variables = vec![
            ("AWS_ENDPOINT_URL_SNOWBALL", self.endpoint_url()),
            ("AWS_ENDPOINT_URL_STS", self.endpoint_url()),
            ("AWS_ACCESS_KEY_ID", self.access_key().to_owned()),
            ("AWS_SECRET_ACCESS_KEY", self.secret_key().to_owned()),
            ("AWS_REGION", self.region().to_owned()),
            ("XDG_STATE_HOME", path(&self.places.state)),
            ("XDG_RUNTIME_DIR", path(&self.places.runtime)),
            ("HOME", path(&self.places.home)),
        ];
        if cfg!(windows) {
            variables.push(("USERPROFILE", path(&self.places.home)));
            variables.push(("LOCALAPPDATA", path(&self.places.state)));
        }
        variables.extend(self.session_token().map(|token| ("AWS_SESSION_TOKEN", token.to_owned())));
        variables
    }

    /// `https://127.0.0.1:PORT` of the API, and of STS.
    #[must_use]
    pub fn endpoint_url(&self) -> String {
        format!("https://{}", self.stage.api)
    }

    /// `https://127.0.0.1:PORT` of the bucket.
    #[must_use]
    pub fn bucket_url(&self) -> String {
        format!("https://{}", self.world.bucket.get().map(String::as_str).unwrap_or_default())
    }

    /// The caller's access key.
    #[must_use]
    pub fn access_key(&self) -> &str {
        &self.world.keys.access_key
    }

    /// The caller's secret.
    #[must_use]
    pub fn secret_key(&self) -> &str {
        &self.world.keys.secret
    }

    /// The caller's session token, if the key is a temporary one.
    #[must_use]
    pub fn session_token(&self) -> Option<&str> {
        self.world.keys.session_token.as_deref()
    }

    /// The one region that signatures may be made for.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.world.region
    }

    /// PEM of the throw-away authority.
    #[must_use]
    pub fn ca_bundle(&self) -> &Path {
        &self.places.ca_bundle
    }

    /// The agent's home: empty at first, private.
    #[must_use]
    pub fn home(&self) -> &Path {
        &self.places.home
    }

    /// The agent's state home: empty at first, private.
    #[must_use]
    pub fn state_home(&self) -> &Path {
        &self.places.state
    }

    /// The agent's runtime folder: empty at first, private, and not in memory.
    #[must_use]
    pub fn runtime_dir(&self) -> &Path {
        &self.places.runtime
    }

    /// The folder that everything of this rehearsal lies in.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.dir.path()
    }

    /// The launcher `snowballEdge`.
    #[must_use]
    pub fn client_path(&self) -> &Path {
        &self.client
    }

    /// Installs another client, for example one that behaves differently, beside the first, and gives its launcher.
    ///
    /// # Errors
    /// If its folder can't be written.
    pub fn install_client(&self, name: &str, options: &ClientOptions) -> Result<PathBuf, Error> {
        let folder = self.places.client.join(name);
        fs::create_dir_all(&folder)?;
        Ok(install_client(&folder, options)?)
    }

    /// How the first client was started so far, oldest first.
    ///
    /// # Errors
    /// If its log can't be read.
    pub fn client_invocations(&self) -> Result<Vec<Invocation>, Error> {
        Ok(invocations(&self.places.client)?)
    }

    /// How often the first client was started for this command.
    ///
    /// # Errors
    /// If its log can't be read.
    pub fn client_starts(&self, command: Command) -> Result<usize, Error> {
        let starts = self.client_invocations()?;
        Ok(starts.iter().filter(|one| one.argv.iter().any(|word| word == command.name())).count())
    }

    /// The first job.
    #[must_use]
    pub fn job(&self) -> JobHandle {
        self.jobs().swap_remove(0)
    }

    /// All jobs, in the order in which they were added; a cluster's nodes and an export's parts each count.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobHandle> {
        let account = lock(&self.world.account);
        account.jobs.iter().map(|job| JobHandle { id: job.id.clone(), world: self.world.clone() }).collect()
    }

    /// Ids of the clusters.
    #[must_use]
    pub fn clusters(&self) -> Vec<String> {
        lock(&self.world.account).clusters.iter().map(|cluster| cluster.id.clone()).collect()
    }

    /// The first job's device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// The devices that were there from the start: the first job's, or those of a pallet.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Starts the device of another job.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn add_device(&self, job: &JobHandle, options: DeviceOptions) -> Result<Device, Error> {
        Ok(Device::start(self.world.clone(), job.id(), options, &self.stage.runtime)?)
    }

    /// Starts the devices of a cluster, each on a port of its own. `options` tells how the device with this number begins; one
    /// that is there already, as the first job's is, stays as it is.
    ///
    /// # Errors
    /// If there is no such cluster, or no port can be had.
    pub fn start_cluster(&self, id: &str, options: impl Fn(usize) -> DeviceOptions) -> Result<ClusterHandle, Error> {
        let jobs: Vec<String> = {
            let account = lock(&self.world.account);
            let of_cluster = account.jobs.iter().filter(|job| job.cluster.as_deref() == Some(id));
            of_cluster.map(|job| job.id.clone()).collect()
        };
        if jobs.is_empty() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no cluster {id}")).into());
        }
        let start = |(number, job): (usize, &String)| match Device::node(&self.world, job) {
            Some(node) => Ok(node),
            None => Device::start(self.world.clone(), job, options(number), &self.stage.runtime),
        };
        let nodes = jobs.iter().enumerate().map(start).collect::<io::Result<_>>()?;
        Ok(ClusterHandle { id: id.to_owned(), nodes, world: self.world.clone() })
    }

    /// What API and bucket were asked so far, oldest first.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.world.log).clone()
    }

    /// How often this operation was asked for, whatever came of it.
    #[must_use]
    pub fn count(&self, operation: Operation) -> usize {
        let asked = |request: &&Request| request.server == Server::Api && request.operation == operation.name();
        lock(&self.world.log).iter().filter(asked).count()
    }

    /// How often the bucket was asked for anything.
    #[must_use]
    pub fn downloads(&self) -> usize {
        lock(&self.world.log).iter().filter(|request| request.server == Server::Bucket).count()
    }

    /// Every presigned URL handed out so far: secrets that a leak test looks for.
    #[must_use]
    pub fn issued_addresses(&self) -> Vec<String> {
        lock(&self.world.issued).clone()
    }

    /// Makes an operation fail for whatever job it is about.
    pub fn plant(&self, operation: Operation, fault: Fault, times: Times) {
        lock(&self.world.api_faults).plant((Some(operation), None), fault, times);
    }

    /// Makes every operation fail.
    pub fn plant_everywhere(&self, fault: Fault, times: Times) {
        lock(&self.world.api_faults).plant((None, None), fault, times);
    }

    /// Makes every download fail.
    pub fn plant_in_bucket(&self, fault: BucketFault, times: Times) {
        lock(&self.world.bucket_faults).plant(None, fault, times);
    }

    /// Takes all faults back, the proxy's too.
    pub fn heal(&self) {
        lock(&self.world.api_faults).clear();
        lock(&self.world.bucket_faults).clear();
        if let Some(proxy) = self.proxy.get() {
            proxy.heal();
        }
    }

    /// The proxy on the way to API and bucket, started when it is first asked for. Who is to use it is told by
    /// `HTTPS_PROXY`.
    ///
    /// # Errors
    /// If no port can be had.
    pub fn proxy(&self) -> Result<&Proxy, Error> {
        if let Some(proxy) = self.proxy.get() {
            return Ok(proxy);
        }
        let bucket = self.bucket_url().trim_start_matches("https://").to_owned();
        let proxy = Proxy::start(&self.stage.runtime, self.stage.api.clone(), bucket, self.impostors.clone())?;
        // One that another thread has started meanwhile is the one; ours goes with the rehearsal.
        Ok(self.proxy.get_or_init(|| proxy))
    }

    /// Sets the API's clock ahead, or back: signatures are refused from 15 minutes on.
    pub fn set_api_clock(&self, ahead: time::Duration) {
        lock(&self.world.settings).api_clock = ahead;
    }

    /// Sets the bucket's clock ahead: addresses expire an hour after they were made.
    pub fn set_bucket_clock(&self, ahead: time::Duration) {
        lock(&self.world.settings).bucket_clock = ahead;
    }

    /// The runtime that the servers run on.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.stage.runtime
    }

    /// What every request takes from now on, at least.
    pub fn set_latency(&self, latency: Duration) {
        lock(&self.world.settings).latency = latency;
    }
}

/// The thread that the servers and the device run on.
struct Stage {
    runtime: Handle,
    api: String,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Stage {
    fn start(world: &Arc<World>, tls: Arc<tokio_rustls::rustls::ServerConfig>) -> Result<Self, Error> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let listen = || runtime.block_on(TcpListener::bind((Ipv4Addr::LOCALHOST, 0)));
        let (api_port, bucket_port) = (listen()?, listen()?);
        let api = api_port.local_addr()?.to_string();
        world.bucket.get_or_init(|| bucket_port.local_addr().map(|at| at.to_string()).unwrap_or_default());
        runtime.spawn(serve(api_port, tls.clone(), world.clone(), api::handle));
        runtime.spawn(serve(bucket_port, tls, world.clone(), bucket::handle));
        let handle = runtime.handle().clone();
        let (end, ended) = oneshot::channel::<()>();
        let thread = std::thread::Builder::new().name("stage".to_owned()).spawn(move || {
            // Either word or the loss of the sender ends it; the runtime takes every task along.
            drop(runtime.block_on(ended));
        })?;
        Ok(Self { runtime: handle, api, end: Some(end), thread: Some(thread) })
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            // It can only have failed by panicking, and has said so by then.
            drop(thread.join());
        }
    }
}
