//! The Snowball API's stand-in, and that of the calls of STS that tell whose keys are in use and lend others, and
//! that of the sign-in service.

mod auth;
mod ops;
mod query;
mod sign_in;
pub(crate) mod wire;

use std::{future::pending, io, sync::Arc};

use http_body_util::{BodyExt, Limited};
use hyper::{
    Request as HttpRequest, Response,
    body::Incoming,
    header::{self, HeaderName, HeaderValue},
};
use time::{OffsetDateTime, format_description::well_known::Rfc2822};

pub use self::sign_in::REFRESH_TOKEN;
use self::{
    auth::Signed,
    wire::{Call, Refusal, Value},
};
use crate::{
    body::{Body, full},
    faults::{Fault, Operation},
    log::{Claim, Protocol, Request, Server},
    server::{host, version},
    world::{World, lock},
};

/// More than any of these calls has to say.
const MAX_BODY: usize = 64 * 1024;

/// Answers one request, or ends its connection with an error.
pub(crate) async fn handle(world: Arc<World>, request: HttpRequest<Incoming>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let text = |name| head.headers.get(name).and_then(|value: &header::HeaderValue| value.to_str().ok());
    let mut call = Call::read(head.method.as_str(), head.uri.path(), &head.headers);
    let mut entry = Request {
        at: OffsetDateTime::now_utc(),
        server: Server::Api,
        operation: call.as_ref().map(|call| call.operation.clone()).unwrap_or_default(),
        job_id: None,
        protocol: call.as_ref().map(|call| call.protocol),
        http: version(head.version),
        identity: None,
        claim: text(header::AUTHORIZATION).and_then(auth::claim).map(|(key, region)| Claim {
            key,
            region,
            token: text(HeaderName::from_static("x-amz-security-token")).map(str::to_owned),
        }),
        status: 0,
        error: None,
        authorization: head.headers.contains_key(header::AUTHORIZATION),
        role: None,
        range: None,
        user_agent: text(header::USER_AGENT).map(str::to_owned),
    };
    let outcome = match Limited::new(body, MAX_BODY).collect().await {
        Err(_) => Err(Refusal::new(413, "RequestEntityTooLargeException", "The request is too long")),
        Ok(body) => {
            let body = body.to_bytes();
            if head.uri.path() == sign_in::PATH {
                return Ok(signed_in(&world, &head.headers, &body, entry));
            }
            let host = host(&head);
            if let Some(call) = call.as_mut().filter(|call| call.protocol == Protocol::Query) {
                // In this protocol the operation's name stands in the body.
                call.operation = query::action(&body);
                entry.operation.clone_from(&call.operation);
            }
            let signed = Signed {
                method: head.method.as_str(),
                path: head.uri.path(),
                query: head.uri.query().unwrap_or_default(),
                host: &host,
                headers: &head.headers,
                body: &body,
                service: if entry.protocol == Some(Protocol::Query) { "sts" } else { "snowball" },
            };
            serve(&world, call.as_ref(), &signed, &mut entry).await
        }
    };
    // What speaks neither protocol is answered in the older one, which people can read.
    let protocol = entry.protocol.unwrap_or(Protocol::Json);
    let mut response = match outcome {
        Ok(Reply::Answer(value)) => wire::answer(protocol, &entry.operation, &value),
        Ok(Reply::Malformed(value)) => wire::malformed(protocol, &entry.operation, &value),
        Ok(Reply::Cut) => {
            world.record(entry);
            return Err(io::Error::other("cut off as scripted"));
        }
        Ok(Reply::Nothing) => {
            world.record(entry);
            return pending().await;
        }
        Err(refusal) => {
            entry.error = Some(refusal.code.to_owned());
            wire::refuse(protocol, &refusal)
        }
    };
    // By the service's own clock: the server below would put the machine's there.
    let date = world.api_now().format(&Rfc2822).unwrap_or_default().replace("+0000", "GMT");
    response.headers_mut().extend(HeaderValue::from_str(&date).ok().map(|date| (header::DATE, date)));
    entry.status = response.status().as_u16();
    entry.at = OffsetDateTime::now_utc();
    world.record(entry);
    Ok(response)
}

/// The sign-in service's answer, which has a protocol of its own.
fn signed_in(world: &World, headers: &hyper::HeaderMap, body: &[u8], mut entry: Request) -> Response<Body> {
    let (status, error, text) = sign_in::answer(world, headers, body);
    let mut response = Response::new(full(text));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or_default();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.extend(
        error.map(|error| (header::HeaderName::from_static("x-amzn-errortype"), HeaderValue::from_static(error))),
    );
    entry.operation = format!("POST {}", sign_in::PATH);
    (entry.status, entry.error) = (status, error.map(str::to_owned));
    world.record(entry);
    response
}

enum Reply {
    Answer(Value),
    Malformed(Value),
    Cut,
    Nothing,
}

/// Checks before it answers, in the order in which a service does: signature, operation, body, then the account.
async fn serve(world: &World, call: Option<&Call>, signed: &Signed<'_>, entry: &mut Request) -> Result<Reply, Refusal> {
    let no_such = || Refusal::new(400, "UnknownOperationException", "No such operation, or not in this protocol");
    let call = call.ok_or_else(no_such)?;
    let operation = Operation::parse(&call.operation);
    if operation.is_none_or(Operation::is_signed) {
        entry.identity = Some(signed.verify(world)?);
    }
    let caller = entry.identity.clone().unwrap_or_default();
    let caller = caller.as_str();
    let operation = operation.ok_or_else(no_such)?;
    if operation.is_of_sts() != (call.protocol == Protocol::Query) {
        return Err(no_such());
    }
    let input = wire::decode(call.protocol, signed.body)
        .ok_or_else(|| Refusal::new(400, "SerializationException", "The body can't be read"))?;
    entry.job_id = ops::subject(&input).map(str::to_owned);
    entry.role = ops::role(&input);

    tokio::time::sleep(world.settings().latency).await;
    let fault = lock(&world.api_faults).strike(|(planted, job)| {
        planted.is_none_or(|planted| planted == operation) && (job.is_none() || *job == entry.job_id)
    });
    match fault {
        Some(Fault::Throttled) => Err(Refusal::new(400, "ThrottlingException", "Rate exceeded")),
        Some(Fault::Unavailable) => Err(Refusal::new(503, "ServiceUnavailable", "Come back later")),
        Some(Fault::Internal) => Err(Refusal::new(500, "InternalFailure", "Something broke")),
        Some(Fault::AccessDenied) => {
            let message = format!(
                "User: arn:aws:iam::123456789012:user/operator is not authorized to perform: {}:{operation}",
                signed.service
            );
            Err(Refusal::new(400, "AccessDeniedException", &message))
        }
        Some(Fault::Refused(status, code)) => Err(Refusal::new(status, code, "Refused as scripted")),
        Some(Fault::Stale) => ops::manifest_for(world, &input, 0).map(Reply::Answer),
        Some(Fault::Hang) => Ok(Reply::Nothing),
        Some(Fault::CutOff) => Ok(Reply::Cut),
        Some(Fault::MalformedBody) => ops::answer(world, operation, &input, caller).map(Reply::Malformed),
        Some(Fault::MissingMember) => {
            ops::answer(world, operation, &input, caller).map(|value| Reply::Answer(replace(value, operation, None)))
        }
        Some(Fault::Text(text)) => ops::answer(world, operation, &input, caller)
            .map(|value| Reply::Answer(replace(value, operation, Some(text)))),
        Some(Fault::Delay(pause)) => {
            tokio::time::sleep(pause).await;
            ops::answer(world, operation, &input, caller).map(Reply::Answer)
        }
        None => ops::answer(world, operation, &input, caller).map(Reply::Answer),
    }
}

/// Takes away the member that the call is made for, or puts a text in its place.
fn replace(value: Value, operation: Operation, text: Option<String>) -> Value {
    let (Value::Map(mut members), Some(key)) = (value, ops::key_member(operation)) else {
        return Value::Map(Vec::new());
    };
    members.retain(|(name, _)| *name != key);
    members.extend(text.map(|text| (key, Value::Text(text))));
    Value::Map(members)
}
