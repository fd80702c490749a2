//! The operations: what the API says about the account, as its service model shapes it.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value as Json};
use time::OffsetDateTime;

use super::wire::{Refusal, Value};
use crate::{
    bucket,
    faults::{MFA_CODE, MFA_DEVICE, Operation},
    jobs::{Account, Cluster, Entry},
    world::{World, lock},
};

/// A request's members.
pub(super) type Input = Map<String, Json>;

/// The model's upper bound of `MaxResults`.
const MAX_RESULTS: u64 = 100;

/// The answer to one call.
///
/// # Errors
/// The operation's modelled exceptions, and `ValidationError` for what the model's patterns exclude.
pub(super) fn answer(world: &World, operation: Operation, input: &Input, caller: &str) -> Result<Value, Refusal> {
    match operation {
        Operation::DescribeJob => describe_job(world, input),
        Operation::ListJobs => list_jobs(world, input, None),
        Operation::ListClusterJobs => list_jobs(world, input, Some(id(input, "ClusterId", &["CID"])?)),
        Operation::ListClusters => list_clusters(world, input),
        Operation::DescribeCluster => describe_cluster(world, input),
        Operation::GetJobManifest => get_job_manifest(world, input),
        Operation::GetJobUnlockCode => get_job_unlock_code(world, input),
        Operation::GetSoftwareUpdates => get_software_updates(world, input),
        Operation::UpdateJobShipmentState => update_shipment(world, input),
        Operation::GetCallerIdentity => Ok(identity(caller == world.role_keys.access_key)),
        Operation::AssumeRole => assume_role(world, input),
        Operation::AssumeRoleWithWebIdentity if text(input, "WebIdentityToken").is_none_or(str::is_empty) => {
            Err(Refusal::new(400, "ValidationError", "WebIdentityToken is missing"))
        }
        Operation::AssumeRoleWithWebIdentity => assume_role(world, input),
        Operation::GetSnowballUsage => {
            Ok(Value::Map(vec![("SnowballLimit", Value::Int(1)), ("SnowballsInUse", Value::Int(0))]))
        }
    }
}

/// The member that a call is made for, which a fault can take away or replace.
pub(super) fn key_member(operation: Operation) -> Option<&'static str> {
    match operation {
        Operation::DescribeJob => Some("JobMetadata"),
        Operation::GetJobManifest => Some("ManifestURI"),
        Operation::GetJobUnlockCode => Some("UnlockCode"),
        Operation::GetSoftwareUpdates => Some("UpdatesURI"),
        _ => None,
    }
}

/// Who has no role.
const CALLER: &str = "arn:aws:iam::123456789012:user/operator";

/// Keys of a role. One whose name ends in `with-code` is for those alone who have the one-time code of the caller's device, which
/// is good for one call (STS API reference, AssumeRole).
fn assume_role(world: &World, input: &Input) -> Result<Value, Refusal> {
    let denied = |message: String| Refusal::new(403, "AccessDenied", &message);
    let needed = |member: &str| {
        let refusal = || Refusal::new(400, "ValidationError", &format!("{member} is missing"));
        text(input, member).filter(|text| !text.is_empty()).ok_or_else(refusal)
    };
    let role = needed("RoleArn")?;
    needed("RoleSessionName")?;
    let code = match (text(input, "SerialNumber"), text(input, "TokenCode")) {
        (Some(MFA_DEVICE), Some(code)) => Some(code),
        (None, None) => None,
        _ => return Err(Refusal::new(400, "ValidationError", "SerialNumber and TokenCode go together")),
    };
    if let Some(code) = code {
        let mut taken = lock(&world.taken_codes);
        if code != MFA_CODE || taken.iter().any(|old| old == code) {
            return Err(denied("MultiFactorAuthentication failed with invalid MFA one time pass code.".to_owned()));
        }
        taken.push(code.to_owned());
    } else if role.ends_with("with-code") {
        return Err(denied(format!("User: {CALLER} is not authorized to perform: sts:AssumeRole on resource: {role}")));
    }
    let seconds = text(input, "DurationSeconds").and_then(|text| text.parse().ok()).unwrap_or(3600);
    let ends =
        (world.api_now() + time::Duration::seconds(seconds)).replace_nanosecond(0).unwrap_or_else(|_| world.api_now());
    let ends = ends.format(&time::format_description::well_known::Rfc3339).unwrap_or_default();
    let keys = &world.role_keys;
    let credentials = vec![
        ("AccessKeyId", keys.access_key.as_str().into()),
        ("SecretAccessKey", keys.secret.as_str().into()),
        ("SessionToken", keys.session_token.as_deref().unwrap_or_default().into()),
        ("Expiration", ends.as_str().into()),
    ];
    let user = vec![
        ("AssumedRoleId", "AROACKCEVSQ6C2EXAMPLE:s".into()),
        ("Arn", "arn:aws:sts::123456789012:assumed-role/r/s".into()),
    ];
    Ok(Value::Map(vec![("Credentials", Value::Map(credentials)), ("AssumedRoleUser", Value::Map(user))]))
}

/// The caller, as STS names it.
fn identity(has_role: bool) -> Value {
    let arn = if has_role { "arn:aws:sts::123456789012:assumed-role/r/s" } else { CALLER };
    Value::Map(vec![
        ("Arn", arn.into()),
        ("UserId", "AIDACKCEVSQ6C2EXAMPLE".into()),
        ("Account", "123456789012".into()),
    ])
}

fn describe_job(world: &World, input: &Input) -> Result<Value, Refusal> {
    let mut account = lock(&world.account);
    let id = job_id(input)?;
    let entry = account.find_mut(id).ok_or_else(|| unknown("JOB"))?;
    entry.describe();
    let mut members = vec![("JobMetadata", metadata(entry))];
    let parts = entry.parts.clone();
    if !parts.is_empty() {
        let parts = parts.iter().filter_map(|part| account.find(part)).map(metadata).collect();
        members.push(("SubJobMetadata", Value::List(parts)));
    }
    Ok(Value::Map(members))
}

fn list_jobs(world: &World, input: &Input, cluster: Option<&str>) -> Result<Value, Refusal> {
    let account = lock(&world.account);
    if let Some(cluster) = cluster {
        find_cluster(&account, cluster)?;
    }
    let jobs: Vec<Value> = account
        .jobs
        .iter()
        .filter(|entry| cluster.is_none() || entry.cluster.as_deref() == cluster)
        .map(list_entry)
        .collect();
    let list = cluster.unwrap_or("ListJobs");
    page(world, input, list, "JobListEntries", &jobs)
}

fn list_clusters(world: &World, input: &Input) -> Result<Value, Refusal> {
    let account = lock(&world.account);
    let clusters: Vec<Value> = account
        .clusters
        .iter()
        .map(|cluster| {
            Value::Map(vec![
                ("ClusterId", cluster.id.as_str().into()),
                ("ClusterState", cluster.state.as_str().into()),
                ("CreationDate", time(cluster.created)),
                ("Description", cluster.description.as_str().into()),
            ])
        })
        .collect();
    page(world, input, "ListClusters", "ClusterListEntries", &clusters)
}

fn describe_cluster(world: &World, input: &Input) -> Result<Value, Refusal> {
    let account = lock(&world.account);
    let cluster = find_cluster(&account, id(input, "ClusterId", &["CID"])?)?;
    let metadata = Value::Map(vec![
        ("ClusterId", cluster.id.as_str().into()),
        ("Description", cluster.description.as_str().into()),
        ("KmsKeyARN", KMS_KEY.into()),
        ("RoleARN", ROLE.into()),
        ("ClusterState", cluster.state.as_str().into()),
        ("JobType", cluster.job_type.as_str().into()),
        ("SnowballType", cluster.snowball_type.as_str().into()),
        ("CreationDate", time(cluster.created)),
        ("Resources", resources()),
        ("AddressId", ADDRESS.into()),
        ("ShippingOption", "SECOND_DAY".into()),
        ("Notification", notification()),
    ]);
    Ok(Value::Map(vec![("ClusterMetadata", metadata)]))
}

fn get_job_manifest(world: &World, input: &Input) -> Result<Value, Refusal> {
    manifest_for(world, input, world.settings().expires)
}

/// An address that is good for so many seconds.
pub(super) fn manifest_for(world: &World, input: &Input, seconds: u32) -> Result<Value, Refusal> {
    let id = with_ready_job(world, input, |entry| entry.id.clone())?;
    let address = bucket::presign(world, &format!("/{id}_manifest.bin"), seconds);
    lock(&world.issued).push(address.clone());
    Ok(Value::Map(vec![("ManifestURI", Value::Text(address))]))
}

fn get_job_unlock_code(world: &World, input: &Input) -> Result<Value, Refusal> {
    let code = with_ready_job(world, input, |entry| entry.pair.code.clone())?;
    Ok(Value::Map(vec![("UnlockCode", Value::Text(code))]))
}

fn get_software_updates(world: &World, input: &Input) -> Result<Value, Refusal> {
    const TWO_DAYS: u32 = 172_800;
    let id = with_ready_job(world, input, |entry| entry.id.clone())?;
    let address = bucket::presign(world, &format!("/{id}/119/offline-updates"), TWO_DAYS);
    Ok(Value::Map(vec![("UpdatesURI", Value::Text(address))]))
}

/// What a report does to a job's state is not documented; this is the plain reading of the operation's words.
fn update_shipment(world: &World, input: &Input) -> Result<Value, Refusal> {
    let mut account = lock(&world.account);
    let entry = account.find_mut(job_id(input)?).ok_or_else(|| unknown("JOB"))?;
    let next = match (text(input, "ShipmentState"), entry.state()) {
        (Some("RECEIVED"), "InTransitToCustomer" | "WithCustomer") => "WithCustomer",
        (Some("RETURNED"), "WithCustomer" | "InTransitToAWS") => "InTransitToAWS",
        (Some("RECEIVED" | "RETURNED"), _) => return Err(wrong_state()),
        _ => {
            return Err(Refusal::new(400, "ValidationError", "ShipmentState is neither RECEIVED nor RETURNED"));
        }
    };
    entry.set_state(next);
    Ok(Value::Map(Vec::new()))
}

fn with_ready_job<T>(world: &World, input: &Input, take: impl Fn(&Entry) -> T) -> Result<T, Refusal> {
    let ready = world.settings().ready_states;
    let account = lock(&world.account);
    let entry = account.find(job_id(input)?).ok_or_else(|| unknown("JOB"))?;
    // A job in parts has no device of its own; that the service then says "state" is a guess.
    if entry.is_master() || !ready.iter().any(|state| state == entry.state()) {
        return Err(wrong_state());
    }
    Ok(take(entry))
}

const KMS_KEY: &str = "arn:aws:kms:us-east-1:123456789012:key/abcd1234-12ab-34cd-56ef-123456123456";
const ROLE: &str = "arn:aws:iam::123456789012:role/snowball-import-S3-role";
const ADDRESS: &str = "ADID1234ab12-3eec-4eb3-9be6-9374c10eb51b";

fn metadata(entry: &Entry) -> Value {
    let job = &entry.job;
    let mut shipping = vec![("ShippingOption", Value::from("SECOND_DAY"))];
    // "Tracking data appears" when the shipment is prepared: the guide's page on job states.
    let packed = !matches!(entry.state(), "New" | "Listing" | "Pending" | "PreparingAppliance");
    if let Some(number) = job.tracking.as_deref().filter(|_| packed) {
        let status = if entry.state() == "WithCustomer" { "Delivered" } else { "InTransit" };
        let shipment = Value::Map(vec![("Status", status.into()), ("TrackingNumber", number.into())]);
        shipping.push(("OutboundShipment", shipment));
    }
    let mut members = vec![
        ("JobId", entry.id.as_str().into()),
        ("JobState", entry.state().into()),
        ("JobType", job.job_type.as_str().into()),
        ("SnowballType", job.snowball_type.as_str().into()),
        ("CreationDate", time(job.created)),
        ("Resources", resources()),
        ("KmsKeyARN", KMS_KEY.into()),
        ("RoleARN", ROLE.into()),
        ("AddressId", ADDRESS.into()),
        ("ShippingDetails", Value::Map(shipping)),
        ("SnowballCapacityPreference", "T80".into()),
        ("Notification", notification()),
    ];
    members.extend(job.description.as_deref().map(|text| ("Description", text.into())));
    members.extend(entry.cluster.as_deref().map(|cluster| ("ClusterId", cluster.into())));
    Value::Map(members)
}

/// The short form of the lists. It has no `ClusterId`: only `DescribeJob` tells that a job is a node.
fn list_entry(entry: &Entry) -> Value {
    let mut members = vec![
        ("JobId", entry.id.as_str().into()),
        ("JobState", entry.state().into()),
        ("IsMaster", Value::Bool(entry.is_master())),
        ("JobType", entry.job.job_type.as_str().into()),
        ("SnowballType", entry.job.snowball_type.as_str().into()),
        ("CreationDate", time(entry.job.created)),
    ];
    members.extend(entry.job.description.as_deref().map(|text| ("Description", text.into())));
    Value::Map(members)
}

fn resources() -> Value {
    let bucket = Value::Map(vec![("BucketArn", "arn:aws:s3:::MyBucket".into()), ("KeyRange", Value::Map(Vec::new()))]);
    Value::Map(vec![("S3Resources", Value::List(vec![bucket]))])
}

fn notification() -> Value {
    Value::Map(vec![("JobStatesToNotify", Value::List(Vec::new())), ("NotifyAll", Value::Bool(false))])
}

#[allow(clippy::cast_precision_loss)] // Milliseconds since 1970 are far below 2^53.
fn time(at: OffsetDateTime) -> Value {
    Value::Time((at.unix_timestamp_nanos() / 1_000_000) as f64 / 1000.0)
}

/// One page of a list. A token names the list it continues, so that it is refused by every other one.
fn page(world: &World, input: &Input, list: &str, member: &'static str, all: &[Value]) -> Result<Value, Refusal> {
    let size = match input.get("MaxResults").map(Json::as_u64) {
        None | Some(Some(0)) => world.settings().page_size,
        Some(Some(size @ ..=MAX_RESULTS)) => usize::try_from(size).unwrap_or_default(),
        Some(_) => {
            return Err(Refusal::new(400, "ValidationError", "MaxResults is not a number from 0 to 100"));
        }
    };
    let start = match text(input, "NextToken") {
        None => 0,
        Some(token) => read_token(token, list)
            .filter(|start| *start <= all.len())
            .ok_or_else(|| Refusal::modelled("InvalidNextTokenException", "The NextToken string was altered"))?,
    };
    let end = all.len().min(start + size.max(1));
    let mut members = vec![(member, Value::List(all[start..end].to_vec()))];
    if end < all.len() {
        members.push(("NextToken", Value::Text(URL_SAFE_NO_PAD.encode(format!("{list}:{end}")))));
    }
    Ok(Value::Map(members))
}

fn read_token(token: &str, list: &str) -> Option<usize> {
    let bytes = URL_SAFE_NO_PAD.decode(token).ok()?;
    std::str::from_utf8(&bytes).ok()?.strip_prefix(list)?.strip_prefix(':')?.parse().ok()
}

fn find_cluster<'a>(account: &'a Account, id: &str) -> Result<&'a Cluster, Refusal> {
    account.clusters.iter().find(|cluster| cluster.id == id).ok_or_else(|| unknown("CLUSTER"))
}

/// The id of a call that is about a job, if the call has one.
pub(super) fn subject(input: &Input) -> Option<&str> {
    text(input, "JobId").or_else(|| text(input, "ClusterId"))
}

/// The role that is asked for, and what is said of its session.
pub(super) fn role(input: &Input) -> Option<String> {
    let role = text(input, "RoleArn")?;
    let said = ["RoleSessionName", "DurationSeconds", "ExternalId", "SerialNumber", "WebIdentityToken"]
        .into_iter()
        .filter_map(|member| Some(format!(" {member}={}", text(input, member)?)));
    Some(role.to_owned() + &said.collect::<String>())
}

fn job_id(input: &Input) -> Result<&str, Refusal> {
    id(input, "JobId", &["JID", "MID"])
}

/// An id of the model's pattern: prefix and lower-case hex UUID, 39 characters in all.
fn id<'a>(input: &'a Input, member: &str, prefixes: &[&str]) -> Result<&'a str, Refusal> {
    let missing = || Refusal::new(400, "ValidationError", &format!("{member} is missing or not of its pattern"));
    let id = text(input, member).ok_or_else(missing)?;
    let uuid = prefixes.iter().find_map(|prefix| id.strip_prefix(prefix)).ok_or_else(missing)?;
    let groups: Vec<&str> = uuid.split('-').collect();
    let hex = groups.iter().all(|group| group.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    if hex && groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) { Ok(id) } else { Err(missing()) }
}

fn text<'a>(input: &'a Input, member: &str) -> Option<&'a str> {
    input.get(member)?.as_str()
}

fn unknown(kind: &'static str) -> Refusal {
    let refusal = Refusal::modelled("InvalidResourceException", "The specified resource can't be found");
    Refusal { resource_type: Some(kind), ..refusal }
}

fn wrong_state() -> Refusal {
    let message = "The action can't be performed because the job's current state doesn't allow it";
    Refusal::modelled("InvalidJobStateException", message)
}
