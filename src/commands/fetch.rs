//! `fetch`: up to the kept pair, no device.

use std::path::Path;

use serde::Serialize;
use time::OffsetDateTime;

use super::cluster::{of_node, parse_node};
use crate::cli::{Fetch, run_again, run_cluster_again};
use crate::error::{Error, Result};
use crate::flow::{ClusterRequest, Requested, address_templates};
use crate::model::{Endpoint, KeychainKind, ManifestDigest, Purpose, TargetId};
use crate::report::Reporter;
use crate::settings::Settings;
use crate::ui::Ui;

#[derive(Serialize)]
struct FetchResult<'a> {
    was_kept_already: bool,
    keychain: KeychainKind,
    /// What a person calls it.
    keychain_name: &'a str,
    manifest: &'a Path,
    manifest_sha256: &'a ManifestDigest,
    manifest_bytes: u64,
    #[serde(with = "time::serde::rfc3339")]
    fetched_at: OffsetDateTime,
}

pub(super) fn fetch(args: &Fetch, settings: &Settings, ui: &Ui, reporter: &Reporter) -> Result<()> {
    let job = super::parse_target(&args.job, settings, reporter)?;
    reporter.is_about(&job);
    if settings.keychain == KeychainKind::None {
        return Err(Error::Usage {
            why: "“fetch” with --keychain none would fetch a code and keep it nowhere. “run” with --keychain none fetches \
                  code and manifest anew each time. To store them, leave --keychain out."
                .to_owned(),
        });
    }
    let pair_of = args.pair_of.as_deref().map(parse_node).transpose()?;
    if pair_of.is_some() && job.job().is_some() {
        return Err(Error::Usage {
            why: "--pair-of is for a cluster, so it needs the cluster's id (CID…).".to_owned(),
        });
    }
    let keep = |job: TargetId, pair_of| {
        let checked = Requested { reporter: reporter.for_job(&job), job, purpose: Purpose::Fetch, settings, ask: ui }
            .check()?
            .of_cluster(ClusterRequest { pair_of, ..ClusterRequest::default() });
        if args.refresh { checked.refetch() } else { checked.keep() }
    };
    let (job, kept) = match keep(job.clone(), pair_of) {
        Err(error @ Error::JobInCluster { .. }) => {
            let cluster = TargetId::from(of_node(error, reporter)?);
            (cluster.clone(), keep(cluster, None)?)
        }
        kept => (job, kept?),
    };
    let (manifest, keychain, pair) = (kept.manifest(), kept.keychain().to_owned(), kept.pair().clone());
    let was_kept_already = kept.was_kept_already();
    // Pasted as it is, it says what to put there.
    let (count, known) = (kept.nodes(), kept.addresses());
    let last = known.first().filter(|_| settings.endpoint.is_none()).cloned();
    let endpoint = last.clone().or_else(|| settings.endpoint.clone()).or_else(Endpoint::example);
    // Writing the result may take as long as its reader likes, and the code is of no more use here.
    drop(kept);
    let (when, command) = match job.job() {
        Some(_) => (
            match last {
                Some(_) => {
                    "When the device is on the network, run, with the address of the last time, or with that on its display if that is another:"
                }
                None => "When the device is on the network, run, with the address on its display:",
            },
            run_again(Some(&job), endpoint.as_ref(), settings, |setting| setting.reopens),
        ),
        None => (
            "When all nodes are on the network, run, with the address on the display of each:",
            run_cluster_again(&job, &address_templates(&known, count), settings, |setting| setting.reopens),
        ),
    };
    ui.result(
        Some(&job),
        &format!(
            "\nThe code and manifest of {job} are stored.\n\n  Unlock code  {keychain}\n  Manifest     {}\n\n{when}\n  {command}",
            manifest.display(),
        ),
        FetchResult {
            was_kept_already,
            keychain: pair.keychain,
            keychain_name: &keychain,
            manifest: &manifest,
            manifest_sha256: &pair.manifest_sha256,
            manifest_bytes: pair.manifest_bytes,
            fetched_at: pair.fetched_at,
        },
    );
    Ok(())
}
