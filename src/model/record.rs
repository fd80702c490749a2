//! The record of a job: what was fetched, where the code is, and how the device was opened.

use std::fmt;
use std::marker::PhantomData;
use std::path::PathBuf;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use time::OffsetDateTime;

use crate::model::{
    AccessKeyId, AuditHead, ClientDigest, ClusterNode, Endpoint, HandOverMethod, JobFacts, JobId, Keep, KeychainKind,
    ManifestDigest, PairTag, ProfileName, TargetId,
};

/// So many hand-overs are kept in the record; the audit log keeps all.
const HAND_OVERS: usize = 20;

/// The record of a job, as it stands in `record.json`.
///
/// `incoming` is the journal of a change: it is written before the keychain and the manifest are, and cleared after,
/// so that a run that was killed in between is completed by the next one instead of begun again.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Format of the record: [`Record::VERSION`].
    pub version: u32,
    /// The job it is about.
    pub job: TargetId,
    /// What the service said of the job when the pair was fetched.
    pub summary: JobSummary,
    /// The pair that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pair: Option<PairRecord>,
    /// The pair that is about to be kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incoming: Option<PairRecord>,
    /// The nodes, if the pair is a cluster's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<ClusterNode>,
    /// Those that it had, or that AWS lists still, and whose device is not expected any more: sent back, cancelled, replaced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) former_nodes: Vec<ClusterNode>,
    /// The keychains that may still hold an earlier code of the job: its pair was fetched anew into another one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) earlier_keychains: Vec<KeychainKind>,
    /// The latest hand-overs, the latest one last. Formats 1 and 2 had that one alone, as `hand_over`.
    #[serde(default, alias = "hand_over", deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub hand_overs: Vec<HandOverRecord>,
    /// The device's access keys, as it listed them last; of a cluster, those of each node that was asked. Formats 1 to 3 had one
    /// list, of a cluster without the node that listed them.
    #[serde(default, deserialize_with = "one_or_many", skip_serializing_if = "Vec::is_empty")]
    pub(crate) access_keys: Vec<AccessKeysRecord>,
    /// The profiles for the device that were written for other programs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) profiles: Vec<ProfileRecord>,
    /// The audit log's last line about the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) audit_head: Option<AuditHead>,
}

/// The access keys of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AccessKeysRecord {
    /// The node of a cluster that listed them. `None` where it did not say which one it is; and of a device that is no cluster's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<JobId>,
    /// Which keychain has the secret keys that were asked for.
    pub keychain: KeychainKind,
    /// Their ids, in the device's order.
    pub ids: Vec<AccessKeyId>,
}

/// A profile for a job's device that was written into files of other programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ProfileRecord {
    /// What it is called.
    pub(crate) name: ProfileName,
    /// The AWS CLI's settings file that it is in.
    pub(crate) config: PathBuf,
    /// The files for EKS Anywhere, if some were written with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) eksa: Vec<PathBuf>,
}

/// One pair. That the halves belong together, the keychain's item says: its second line is the manifest's SHA-256. Nothing here
/// comes of the code.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PairRecord {
    /// When it was fetched.
    #[serde(with = "time::serde::rfc3339")]
    pub fetched_at: OffsetDateTime,
    /// Which keychain has the code.
    pub keychain: KeychainKind,
    /// SHA-256 of the manifest.
    pub manifest_sha256: ManifestDigest,
    /// Length of the manifest in bytes.
    pub manifest_bytes: u64,
    /// Of format 1, until the keychain's item has its second line.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<PairTag>,
    /// The audit log's head when the pair was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<AuditHead>,
    /// How long it is kept, where that was said for it alone, by a flag or a variable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keep: Option<Keep>,
}

/// What the service said of the job, in its own words.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobSummary {
    /// Snowball API, JobState.
    pub state: String,
    /// Snowball API, JobType.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Snowball API, SnowballType.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_type: Option<String>,
    /// The customer's description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When the job was created; the pair can be had for 360 days from then (Snowball API, GetJobManifest).
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub created: Option<OffsetDateTime>,
    /// The cluster it is a node of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// How a device was given its pair, and the receipt for its opening.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandOverRecord {
    /// When the client was started with the pair.
    #[serde(with = "time::serde::rfc3339")]
    pub at: OffsetDateTime,
    /// The device's address.
    pub endpoint: Endpoint,
    /// Of a cluster, the addresses at which its nodes answered last, in this hand-over or before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nodes: Vec<Endpoint>,
    /// The hand-over method.
    // As format 1 has it on the disks of users.
    #[serde(alias = "rung")]
    pub method: HandOverMethod,
    /// For how many seconds the code stood on a command line, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub argv_seconds: Option<u64>,
    /// The client that was used.
    pub client: PathBuf,
    /// What it says its version is.
    pub client_version: String,
    /// SHA-256 over the client's whole tree.
    pub client_sha256: ClientDigest,
    /// Its JVM started with no option of ours but its home.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub client_jvm_is_bare: bool,
    /// The device was UNLOCKED before, so that nothing had to be unlocked.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_open_already: bool,
    /// What the device said it is; equal to the job id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub device_id: Option<JobId>,
    /// The receipt: when the device said UNLOCKED.
    #[serde(default, with = "time::serde::rfc3339::option", skip_serializing_if = "Option::is_none")]
    pub unlocked_at: Option<OffsetDateTime>,
    /// The audit log's head when this was last written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audit_head: Option<AuditHead>,
}

impl Record {
    /// Format written by this version.
    pub const VERSION: u32 = 4;

    /// A record of nothing yet.
    #[must_use]
    pub fn new(job: TargetId) -> Self {
        Self {
            version: Self::VERSION,
            job,
            summary: JobSummary::default(),
            pair: None,
            incoming: None,
            nodes: Vec::new(),
            former_nodes: Vec::new(),
            earlier_keychains: Vec::new(),
            hand_overs: Vec::new(),
            access_keys: Vec::new(),
            profiles: Vec::new(),
            audit_head: None,
        }
    }

    /// Notes the pair that is kept from now on. Where the one before it was in another keychain, its code may still be there.
    pub(crate) fn set_pair(&mut self, pair: PairRecord) {
        if let Some(before) = self.pair.as_ref().map(|before| before.keychain) {
            self.earlier_keychains.push(before);
        }
        self.earlier_keychains.retain(|kind| *kind != pair.keychain);
        self.earlier_keychains.sort_unstable();
        self.earlier_keychains.dedup();
        self.pair = Some(pair);
    }

    /// Notes a profile, in place of an earlier note of the same. Files that it names no more may still have its lines.
    pub(crate) fn note_profile(&mut self, mut profile: ProfileRecord) {
        let is_same = |noted: &ProfileRecord| noted.name == profile.name && noted.config == profile.config;
        if let Some(at) = self.profiles.iter().position(is_same) {
            let before = self.profiles.remove(at);
            profile
                .eksa
                .extend(before.eksa.into_iter().filter(|path| !profile.eksa.contains(path)).collect::<Vec<_>>());
        }
        self.profiles.push(profile);
    }

    /// Where the device was the last time.
    #[must_use]
    pub(crate) fn last_endpoint(&self) -> Option<Endpoint> {
        self.last_addresses().into_iter().next()
    }

    /// Where the nodes of the cluster answered the last time, or where the one device was. No more than there are nodes: the
    /// addresses of those that are not expected any more are left out.
    #[must_use]
    pub(crate) fn last_addresses(&self) -> Vec<Endpoint> {
        let addresses = match self.hand_overs.last() {
            Some(last) if self.job.job().is_some() && last.nodes.is_empty() => vec![last.endpoint.clone()],
            Some(last) => last.nodes.clone(),
            None => Vec::new(),
        };
        let is_of = |nodes: &[ClusterNode], address: &Endpoint| nodes.iter().any(|node| node.is_at(address));
        let is_former = |address: &Endpoint| is_of(&self.former_nodes, address) && !is_of(&self.nodes, address);
        let most = if self.nodes.is_empty() { addresses.len() } else { self.nodes.len() };
        addresses.into_iter().filter(|address| !is_former(address)).take(most).collect()
    }

    /// Where this node of the cluster is, as far as that is known: of nodes behind one address no more than that is told.
    #[must_use]
    pub(crate) fn address_of(&self, job: &JobId) -> Option<Endpoint> {
        let address = self.nodes.iter().find(|node| node.job == *job)?.address.clone()?;
        let known = self.last_addresses();
        let is_known = known.iter().any(|known| known.is_same(&address));
        (is_known || !known.iter().any(|known| known.host() == address.host())).then_some(address)
    }

    /// The access keys that `node` listed, or the one device. Of a cluster whose node is not known, whose they are is not known either.
    #[must_use]
    pub(crate) fn access_keys_of(&self, node: Option<&JobId>) -> Option<&AccessKeysRecord> {
        let is_known = self.job.job().is_some() || node.is_some();
        self.access_keys.iter().find(|keys| is_known && keys.node.as_ref() == node)
    }

    /// Notes which access keys there are in place of what was noted of that node or device. Of a key that is known to be a node's
    /// from now on, an older note without a node says no more.
    pub(crate) fn note_access_keys(&mut self, noted: AccessKeysRecord) {
        self.access_keys.retain(|keys| keys.node != noted.node);
        for unknown in self.access_keys.iter_mut().filter(|keys| keys.node.is_none()) {
            unknown.ids.retain(|id| unknown.keychain != noted.keychain || !noted.ids.contains(id));
        }
        self.access_keys.push(noted);
        self.access_keys.retain(|keys| !keys.ids.is_empty());
    }

    /// The node that is known to be at this address.
    #[must_use]
    pub(crate) fn node_at(&self, address: &Endpoint) -> Option<&JobId> {
        self.nodes.iter().find(|node| node.is_at(address)).map(|node| &node.job)
    }

    /// The same with this hand-over as the latest.
    #[must_use]
    pub fn with(&self, hand_over: &HandOverRecord) -> Self {
        let mut record = self.clone();
        record.hand_overs.push(hand_over.clone());
        record.hand_overs.drain(..record.hand_overs.len().saturating_sub(HAND_OVERS));
        record
    }
}

/// A list, or the one that earlier formats had.
fn one_or_many<'de, D: Deserializer<'de>, T: Deserialize<'de>>(source: D) -> Result<Vec<T>, D::Error> {
    struct OneOrMany<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for OneOrMany<T> {
        type Value = Vec<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an entry or a list of them")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<Self::Value, A::Error> {
            Vec::deserialize(SeqAccessDeserializer::new(list))
        }

        fn visit_map<A: MapAccess<'de>>(self, one: A) -> Result<Self::Value, A::Error> {
            T::deserialize(MapAccessDeserializer::new(one)).map(|one| vec![one])
        }
    }
    source.deserialize_any(OneOrMany(PhantomData))
}

impl From<&JobFacts> for JobSummary {
    fn from(facts: &JobFacts) -> Self {
        Self {
            state: facts.state.as_api().to_owned(),
            kind: facts.kind.clone(),
            device_type: facts.device_type.clone(),
            description: facts.description.clone(),
            created: facts.created,
            cluster: facts.cluster.clone(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    /// As the versions before format 3 wrote it.
    const FORMAT_2: &str = r#"{
  "version": 2,
  "job": "JID123e4567-e89b-12d3-a456-426655440000",
  "summary": { "state": "WithCustomer", "kind": "LOCAL_USE", "created": "2026-01-02T03:04:05Z" },
  "pair": {
    "fetched_at": "2026-02-03T04:05:06.789Z",
    "keychain": "system",
    "manifest_sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "manifest_bytes": 4096
  },
  "hand_over": {
    "at": "2026-03-04T05:06:07Z",
    "endpoint": "192.0.2.10",
    "method": "argv",
    "argv_seconds": 3,
    "client": "/opt/snowball-client-linux/bin/snowballEdge",
    "client_version": "1.2.0",
    "client_sha256": "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae",
    "device_id": "JID123e4567-e89b-12d3-a456-426655440000",
    "unlocked_at": "2026-03-04T05:16:07Z"
  }
}"#;

    fn read(text: &str) -> serde_json::Result<Record> {
        serde_json::from_str(text)
    }

    #[test]
    fn a_record_of_format_2_keeps_its_hand_over_when_it_is_written_anew() {
        for text in [FORMAT_2.to_owned(), FORMAT_2.replace("\"method\"", "\"rung\"")] {
            let record = read(&text).unwrap();
            assert_eq!(record.pair.as_ref().unwrap().keychain, KeychainKind::System);
            let written = serde_json::to_value(&record).unwrap();
            let (before, now) = (read(FORMAT_2).unwrap(), read(&written.to_string()).unwrap());
            assert_eq!(now.hand_overs.len(), 1);
            for hand_over in [&before.hand_overs[0], &now.hand_overs[0]] {
                assert_eq!((hand_over.method, hand_over.argv_seconds), (HandOverMethod::Argv, Some(3)));
                assert_eq!(hand_over.endpoint.to_string(), "192.0.2.10");
            }
            let literal: serde_json::Value = serde_json::from_str(FORMAT_2).unwrap();
            assert_eq!(written["hand_overs"], serde_json::json!([literal["hand_over"]]));
            assert_eq!(written["pair"], literal["pair"]);
        }
    }

    #[test]
    fn one_list_of_access_keys_is_read_and_of_a_cluster_it_is_nobody_s() {
        let list = r#""access_keys": { "keychain": "system", "ids": ["AKIAIOSFODNN7EXAMPLE"] }, "pair": {"#;
        let text = FORMAT_2.replace("\"pair\": {", list);
        let job: JobId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let of_device = read(&text).unwrap();
        assert_eq!(of_device.access_keys_of(None).unwrap().ids.len(), 1);
        let mut of_cluster = read(&text.replacen("\"JID", "\"CID", 1)).unwrap();
        assert!(of_cluster.access_keys_of(None).is_none() && of_cluster.access_keys_of(Some(&job)).is_none());
        let listed = AccessKeysRecord { node: Some(job.clone()), ..of_cluster.access_keys[0].clone() };
        of_cluster.note_access_keys(listed.clone());
        let again = read(&serde_json::to_string(&of_cluster).unwrap()).unwrap();
        assert_eq!(again.access_keys, std::slice::from_ref(&listed), "it is known whose that key is now");
        assert_eq!(again.access_keys_of(Some(&job)), Some(&listed));
    }

    #[test]
    fn a_cluster_s_nodes_and_their_addresses_come_back() {
        let mut record = read(FORMAT_2).unwrap();
        assert_eq!(record.last_addresses().len(), 1, "that of the one device");
        let job: JobId = "JID123e4567-e89b-12d3-a456-426655440000".parse().unwrap();
        let at = |address: &str| ClusterNode { address: address.parse().ok(), state: None, job: job.clone() };
        record.nodes = vec![at("192.0.2.11"), ClusterNode::of(job.clone())];
        record.hand_overs[0].nodes = ["192.0.2.11", "192.0.2.12"].map(|at| at.parse().unwrap()).to_vec();
        let again = read(&serde_json::to_string(&record).unwrap()).unwrap();
        assert_eq!(again.nodes, record.nodes);
        assert_eq!(again.last_addresses(), record.hand_overs[0].nodes);
        // That of a node that was sent back goes with it, unless another one has it now.
        record.former_nodes = vec![at("192.0.2.12"), at("192.0.2.11")];
        assert_eq!(record.last_addresses(), record.hand_overs[0].nodes[..1]);
        (record.former_nodes, record.nodes) = (Vec::new(), record.nodes[..1].to_vec());
        assert_eq!(record.last_addresses().len(), 1, "no more than there are nodes");
    }

    #[test]
    fn every_hand_over_is_added_and_the_oldest_go() {
        let mut record = read(FORMAT_2).unwrap();
        let first = record.hand_overs[0].clone();
        for seconds in 0..30 {
            record = record.with(&HandOverRecord { argv_seconds: Some(seconds), ..first.clone() });
        }
        let seconds: Vec<_> = record.hand_overs.iter().filter_map(|hand_over| hand_over.argv_seconds).collect();
        assert_eq!(seconds, (10..30).collect::<Vec<_>>());
    }

    #[test]
    fn a_word_that_is_not_known_is_refused_by_name() {
        for (known, unknown) in [
            ("\"argv\"", "\"pigeon\""),
            ("\"system\"", "\"cloud\""),
            ("\"192.0.2.10\"", "\"192.0.2.300\""),
            ("9f86d081884c7d", "9f86d081884c"),
            ("device_id\": \"JID", "device_id\": \"XID"),
        ] {
            let text = FORMAT_2.replace(known, unknown);
            assert_ne!(text, FORMAT_2);
            let refusal = read(&text).unwrap_err().to_string();
            assert!(refusal.contains(" at line "), "where it stands is said: {refusal}");
        }
        let refusal = read(&FORMAT_2.replace("\"argv\"", "\"pigeon\"")).unwrap_err().to_string();
        assert!(refusal.contains("`pigeon`") && refusal.contains("`configure`"), "{refusal}");
    }
}
