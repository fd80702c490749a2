//! What can be made to go wrong with the API and the bucket.

use std::{fmt, time::Duration};

/// The operations of the Snowball API that the stand-in knows, and the two of STS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Operation {
    /// One job in full.
    DescribeJob,
    /// The account's jobs, paged.
    ListJobs,
    /// A cluster's nodes, paged.
    ListClusterJobs,
    /// The account's clusters, paged.
    ListClusters,
    /// One cluster in full.
    DescribeCluster,
    /// The presigned URL of the manifest.
    GetJobManifest,
    /// The unlock code.
    GetJobUnlockCode,
    /// The presigned URL of an update.
    GetSoftwareUpdates,
    /// The customer's word on where the device is.
    UpdateJobShipmentState,
    /// The account's limit.
    GetSnowballUsage,
    /// Whose keys these are: asked of STS, on the API's port.
    GetCallerIdentity,
    /// Temporary keys for a role: asked of STS, on the API's port.
    AssumeRole,
    /// Temporary keys for a role for whoever has a token: asked of STS, on the API's port.
    AssumeRoleWithWebIdentity,
}

impl Operation {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::DescribeJob,
        Self::ListJobs,
        Self::ListClusterJobs,
        Self::ListClusters,
        Self::DescribeCluster,
        Self::GetJobManifest,
        Self::GetJobUnlockCode,
        Self::GetSoftwareUpdates,
        Self::UpdateJobShipmentState,
        Self::GetSnowballUsage,
        Self::GetCallerIdentity,
        Self::AssumeRole,
        Self::AssumeRoleWithWebIdentity,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DescribeJob => "DescribeJob",
            Self::ListJobs => "ListJobs",
            Self::ListClusterJobs => "ListClusterJobs",
            Self::ListClusters => "ListClusters",
            Self::DescribeCluster => "DescribeCluster",
            Self::GetJobManifest => "GetJobManifest",
            Self::GetJobUnlockCode => "GetJobUnlockCode",
            Self::GetSoftwareUpdates => "GetSoftwareUpdates",
            Self::UpdateJobShipmentState => "UpdateJobShipmentState",
            Self::GetSnowballUsage => "GetSnowballUsage",
            Self::GetCallerIdentity => "GetCallerIdentity",
            Self::AssumeRole => "AssumeRole",
            Self::AssumeRoleWithWebIdentity => "AssumeRoleWithWebIdentity",
        }
    }

    /// Whether STS is asked, and not the Snowball API.
    #[must_use]
    pub const fn is_of_sts(self) -> bool {
        matches!(self, Self::GetCallerIdentity | Self::AssumeRole | Self::AssumeRoleWithWebIdentity)
    }

    /// Whether only whoever has keys can ask for it.
    #[must_use]
    pub const fn is_signed(self) -> bool {
        !matches!(self, Self::AssumeRoleWithWebIdentity)
    }

    /// The operation of this name, if there is one.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operation| operation.name() == name)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The device that has the caller's one-time codes.
pub const MFA_DEVICE: &str = "arn:aws:iam::123456789012:mfa/operator";

/// The code that it shows.
pub const MFA_CODE: &str = "123456";

/// What an API call meets instead of its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// 200 without the member that matters: `ManifestURI`, `UnlockCode`, `UpdatesURI`, `JobMetadata`.
    MissingMember,
    /// 200 with this text where `ManifestURI`, `UnlockCode` or `UpdatesURI` should be.
    Text(String),
    /// For `GetJobManifest`: 200 with an address that has expired when it arrives.
    Stale,
    /// 400 `ThrottlingException`.
    Throttled,
    /// 503 `ServiceUnavailable`.
    Unavailable,
    /// 500 `InternalFailure`.
    Internal,
    /// 400 `AccessDeniedException`.
    AccessDenied,
    /// This status with an error of this name.
    Refused(u16, &'static str),
    /// 200 with a body that holds the answer, secrets included, and can't be decoded.
    MalformedBody,
    /// The answer, this much later.
    Delay(Duration),
    /// No answer for as long as the rehearsal lives.
    Hang,
    /// The connection ends instead of an answer.
    CutOff,
}

/// What a download meets instead of the manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BucketFault {
    /// The connection breaks off half-way through the body.
    Truncated,
    /// `Content-Length` promises more bytes than come.
    WrongLength,
    /// All bytes come, some of them damaged, under the checksum of the whole ones.
    Damaged,
    /// 200 with the log-in page of a hotel.
    Html,
    /// 200 with no bytes.
    Empty,
    /// 200 with text of the manifest's size.
    Text,
    /// The manifest, with this pause before each of 16 pieces.
    Drip(Duration),
    /// 307 to this address, or to the same object under another host name if `None`.
    Redirect(Option<String>),
    /// 200 with this many bytes.
    TooLarge(u64),
    /// 503 `SlowDown`.
    Unavailable,
    /// The answer, this much later.
    Delay(Duration),
    /// No answer for as long as the rehearsal lives.
    Hang,
}

/// How often a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Times {
    /// Every time.
    Always,
    /// This often, then things are well again.
    First(u32),
}

/// Faults with what they apply to; `None` in a key applies to anything.
pub(crate) struct Planted<K, F> {
    list: Vec<(K, F, Times)>,
}

impl<K, F> Default for Planted<K, F> {
    fn default() -> Self {
        Self { list: Vec::new() }
    }
}

impl<K, F: Clone> Planted<K, F> {
    pub(crate) fn plant(&mut self, key: K, fault: F, times: Times) {
        self.list.push((key, fault, times));
    }

    pub(crate) fn clear(&mut self) {
        self.list.clear();
    }

    /// The first fault whose key applies, counted as struck.
    pub(crate) fn strike(&mut self, applies: impl Fn(&K) -> bool) -> Option<F> {
        let at = self.list.iter().position(|(key, ..)| applies(key))?;
        let fault = self.list[at].1.clone();
        match &mut self.list[at].2 {
            Times::Always => {}
            Times::First(0 | 1) => drop(self.list.remove(at)),
            Times::First(left) => *left -= 1,
        }
        Some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_strikes_as_often_as_asked() {
        let mut planted = Planted::default();
        planted.plant(Some("a"), Fault::Throttled, Times::First(2));
        planted.plant(None, Fault::Internal, Times::Always);
        let mut strike = |key| planted.strike(|planted| planted.is_none_or(|planted| planted == key));
        let struck: Vec<_> = ["a", "b", "a", "a"].into_iter().map(&mut strike).collect();
        let expected = [Fault::Throttled, Fault::Internal, Fault::Throttled, Fault::Internal].map(Some);
        assert_eq!(struck, expected);
    }

    #[test]
    fn every_name_is_read_back() {
        for operation in Operation::ALL {
            assert_eq!(Operation::parse(operation.name()), Some(operation));
        }
        assert_eq!(Operation::parse("CancelJob"), None);
    }
}
