//! What is stored for one job, and what state its device is in: one look.

use super::address::check_address;
use super::cluster::address_unknown;
use super::onboard::{Checked, Requested};
use super::open_session::SHORT_PATIENCE;
use super::prepare::{KeychainTurn, SharedClient, SharedKeychains};
use super::recovery::kept_pair;
use crate::device::{self, State};
use crate::error::{Error, ErrorReport, Result};
use crate::model::{ClusterNode, Endpoint, Record};
use crate::report::Nobody;

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What is stored. No client is started and no device contacted.
    Stored,
    /// The device's state as well.
    Device,
}

/// What one look found. What is `None` could not be told.
#[derive(Debug, Default)]
pub(crate) struct JobLook {
    /// The code is in the keychain.
    pub(crate) code_stored: Option<bool>,
    /// The manifest is on the disk.
    pub(crate) manifest_stored: Option<bool>,
    /// Both are here, and they belong together.
    pub(crate) paired: Option<bool>,
    /// What the device said.
    pub(crate) state: Option<State>,
    /// Each node, if it is a cluster.
    pub(crate) nodes: Vec<ClusterNode>,
    /// Why the look did not go on from there.
    pub(crate) failure: Option<ErrorReport>,
}

/// Looks at what is stored for a job, then, if wanted, at its device. What costs little and what is wrong here comes first: no
/// client is started for a pair that is none, nor for a device that does not answer.
pub(crate) fn look_at_job(
    requested: Requested<'_>,
    record: Option<&Record>,
    endpoint: Option<&Endpoint>,
    depth: Depth,
    (keychains, client): (&SharedKeychains, &SharedClient),
) -> JobLook {
    let mut look = JobLook::default();
    let kept_in = record.and_then(|record| Some(record.pair.as_ref()?.keychain));
    let settings = requested.settings.keychain_settings(requested.settings.keychain_for(kept_in));
    let turn = keychains.turn();
    let opened = keychains.open_once(settings, requested.reporter.shared());
    let looked = opened.and_then(|()| {
        let looked = look.go(requested, (record, endpoint), depth, (keychains, turn), client);
        looked.map_err(|error| error.report())
    });
    look.failure = looked.err();
    look
}

impl JobLook {
    fn go(
        &mut self,
        requested: Requested<'_>,
        (record, endpoint): (Option<&Record>, Option<&Endpoint>),
        depth: Depth,
        (keychains, turn): (&SharedKeychains, KeychainTurn<'_>),
        client: &SharedClient,
    ) -> Result<()> {
        let (job, reporter) = (requested.job.clone(), requested.reporter.clone());
        let mut checked = requested.check_sharing(keychains)?;
        let items = checked.keychain.recall(&job)?;
        self.code_stored = Some(!items.is_empty());
        self.manifest_stored = Some(checked.context.folder.manifest_path().exists());
        let kept = kept_pair(&checked.context.folder, checked.keychain.kind(), items, &reporter);
        self.paired = match &kept {
            Ok(kept) => Some(kept.is_some()),
            Err(Error::PairMismatch { .. } | Error::KeychainAmbiguous { .. }) => Some(false),
            Err(_) => None,
        };
        // With it the code is wiped.
        if kept?.is_none() {
            return Err(Error::pair_not_kept(&job));
        }
        if depth == Depth::Stored {
            return Ok(());
        }
        let Some(endpoint) = endpoint else { return Err(address_unknown(&job, record)) };
        // A watch would ask again and again.
        let others = record.filter(|_| job.job().is_none()).map(Record::last_addresses).unwrap_or_default();
        let mut addresses = std::iter::once(endpoint).chain(&others);
        addresses.try_for_each(|address| check_address(address, checked.context.settings, &Nobody))?;
        // Of a cluster, the first node may be the one that is missing.
        if job.job().is_some() {
            device::reach(endpoint, &reporter)?;
        }
        checked.begin_client(client)?;
        let kept = checked.take_kept()?;
        drop(turn);
        let opened = kept.open_session(endpoint, SHORT_PATIENCE)?;
        self.nodes = opened.session.nodes();
        self.state = Some(opened.session.state());
        opened.close()
    }
}

impl Checked<'_> {
    /// Finds the client and begins to start it, where the preflight did without one.
    fn begin_client(&mut self, client: &SharedClient) -> Result<()> {
        let context = &mut self.context;
        let preparing = client.prepare(context.settings, &context.reporter, context.ask, &context.state)?;
        context._note = Some(context.state.note_home(preparing.home())?);
        self.preparing = Some(preparing);
        Ok(())
    }
}
