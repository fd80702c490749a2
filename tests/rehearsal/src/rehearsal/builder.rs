//! What a rehearsal is made of.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use super::{Rehearsal, Stage};
use crate::{
    Error,
    client::{ClientOptions, client_binary, install_client},
    device::{Device, DeviceOptions, Nodes},
    jobs::{Account, Job},
    sigv4::Keys,
    source::Source,
    tls,
    world::{Settings, World},
};

/// What a rehearsal is to consist of. Everything has a default: one delivered import job, its locked device, a client
/// that behaves.
#[derive(Default)]
pub struct Builder {
    cast: Vec<Cast>,
    device: DeviceOptions,
    devices: usize,
    client: ClientOptions,
    settings: Settings,
    seed: Option<u64>,
    session_token: bool,
}

/// One entry in the account.
enum Cast {
    Job(Job),
    Cluster(Job, usize),
    Export(Job, usize),
}

impl Builder {
    /// Adds a job.
    #[must_use]
    pub fn job(mut self, job: Job) -> Self {
        self.cast.push(Cast::Job(job));
        self
    }

    /// Adds a cluster of `nodes` jobs that share one manifest and one code; [`Rehearsal::start_cluster`] starts its devices.
    #[must_use]
    pub fn cluster(mut self, node: Job, nodes: usize) -> Self {
        self.cast.push(Cast::Cluster(node, nodes));
        self
    }

    /// Adds an export in `parts`: a main job that has no device, and the parts that have one each.
    #[must_use]
    pub fn export(mut self, job: Job, parts: usize) -> Self {
        self.cast.push(Cast::Export(job, parts));
        self
    }

    /// Adds so many delivered jobs, each with its device, which begin alike. To be called first.
    #[must_use]
    pub fn pallet(mut self, count: usize, options: DeviceOptions) -> Self {
        self.cast.extend((0..count).map(|_| Cast::Job(Job::new())));
        (self.device, self.devices) = (options, count);
        self
    }

    /// How the first job's device begins.
    #[must_use]
    pub fn device(mut self, options: DeviceOptions) -> Self {
        self.device = options;
        self
    }

    /// How the client behaves.
    #[must_use]
    pub fn client(mut self, options: ClientOptions) -> Self {
        self.client = options;
        self
    }

    /// States in which manifest and code are handed out.
    #[must_use]
    pub fn ready_states(mut self, states: &[&str]) -> Self {
        self.settings.ready_states = states.iter().map(|&state| state.to_owned()).collect();
        self
    }

    /// Entries in a page of a list when the caller does not say.
    #[must_use]
    pub fn page_size(mut self, size: usize) -> Self {
        self.settings.page_size = size;
        self
    }

    /// What every request to either server takes at least.
    #[must_use]
    pub fn latency(mut self, latency: Duration) -> Self {
        self.settings.latency = latency;
        self
    }

    /// How long a presigned URL is good, in seconds; an hour otherwise.
    #[must_use]
    pub fn expires(mut self, seconds: u32) -> Self {
        self.settings.expires = seconds;
        self
    }

    /// Presigned URLs carry a session token, which makes them longer than the 1024 characters of the model.
    #[must_use]
    pub fn long_addresses(mut self) -> Self {
        self.settings.session_token = true;
        self
    }

    /// The bucket sends neither `ETag` nor checksum: nothing says that the real one does.
    #[must_use]
    pub fn bare_bucket(mut self) -> Self {
        (self.settings.etag, self.settings.checksum) = (false, false);
        self
    }

    /// The caller's key is a temporary one, with a session token.
    #[must_use]
    pub fn temporary_credentials(mut self) -> Self {
        self.session_token = true;
        self
    }

    /// Ids, codes, keys and manifests that are the same every time.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Starts everything.
    ///
    /// # Errors
    /// If a port can't be had, the client can't be found or built, or the temporary folder can't be written.
    pub fn start(self) -> Result<Rehearsal, Error> {
        // First, because it may have to be built: whoever is ended while that takes its time leaves no folder behind.
        client_binary()?;
        let source = Source::new(self.seed);
        let mut account = Account::default();
        for cast in self.cast {
            match cast {
                Cast::Job(job) => drop(account.add(job, &source)),
                Cast::Cluster(node, nodes) => drop(account.add_cluster(&node, nodes, &source)),
                Cast::Export(job, parts) => drop(account.add_export(&job, parts, &source)),
            }
        }
        if account.jobs.is_empty() {
            account.add(Job::new(), &source);
        }
        let with_device: Vec<String> =
            account.jobs.iter().take(self.devices.max(1)).map(|job| job.id.clone()).collect();
        let world = Arc::new(World {
            keys: keys(&source, self.session_token.then_some(100)),
            // Of another source, so that what is drawn from the first stays the same.
            role_keys: keys(&Source::new(self.seed.map(|seed| seed.wrapping_add(1))), Some(100)),
            taken_codes: Mutex::default(),
            // Longer than a real one need be: the address has to exceed what the model says of strings.
            bucket_keys: keys(&source, Some(900)),
            region: "us-east-1".to_owned(),
            source,
            account: Mutex::new(account),
            nodes: Nodes::default(),
            settings: Mutex::new(self.settings),
            api_faults: Mutex::default(),
            bucket_faults: Mutex::default(),
            log: Mutex::default(),
            issued: Mutex::default(),
            bucket: OnceLock::new(),
        });
        let dir = tempfile::Builder::new().prefix("snow-rehearsal-").tempdir()?;
        let places = Places::make(dir.path())?;
        let tls = tls::make()?;
        fs::write(&places.ca_bundle, &tls.ca_pem)?;
        let client = install_client(&places.client, &self.client)?;
        let stage = Stage::start(&world, tls.server)?;
        let (proxy, impostors) = (OnceLock::new(), tls.impostors);
        let start = |id: &String| Device::start(world.clone(), id, self.device.clone(), &stage.runtime);
        let devices = with_device.iter().map(start).collect::<Result<_, _>>()?;
        Ok(Rehearsal { devices, client, places, proxy, impostors, stage, world, dir })
    }
}

/// A key pair in the form of AWS's own.
fn keys(source: &Source, token_bytes: Option<usize>) -> Keys {
    let upper = hex::encode_upper(source.array::<8>());
    let token = token_bytes.map(|length| {
        let mut bytes = vec![0; length];
        source.fill(&mut bytes);
        hex::encode(bytes)
    });
    let prefix = if token.is_some() { "ASIA" } else { "AKIA" };
    Keys { access_key: format!("{prefix}{upper}"), secret: hex::encode(source.array::<20>()), session_token: token }
}

/// Folders and files of one rehearsal.
pub(super) struct Places {
    pub(super) home: PathBuf,
    pub(super) state: PathBuf,
    pub(super) runtime: PathBuf,
    pub(super) client: PathBuf,
    pub(super) ca_bundle: PathBuf,
}

impl Places {
    fn make(root: &Path) -> Result<Self, Error> {
        let places = Self {
            home: root.join("home"),
            state: root.join("state"),
            runtime: root.join("runtime"),
            client: root.join("client"),
            ca_bundle: root.join("ca.pem"),
        };
        for folder in [&places.home, &places.state, &places.runtime, &places.client] {
            fs::create_dir(folder)?;
            // As a session manager makes them; a program that checks must not stumble over the caller's umask.
            #[cfg(unix)]
            {
                use std::os::unix::fs::PermissionsExt;
                fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
            }
        }
        Ok(places)
    }
}
