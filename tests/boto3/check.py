"""Drives the rehearsal's Snowball API and bucket with boto3, a client that is not ours.

    check.py --run PROGRAM   starts `PROGRAM serve --json` itself, and ends it
    check.py JSON            takes the line that a running `serve --json` printed
    check.py < FILE          the same, from stdin

Everything is done once in each wire protocol that the service model names. Needs boto3 1.43 or newer, whose model
knows both. Ends with status 1 and one line per finding if anything is not as the model has it.
"""

import hashlib
import json
import ssl
import subprocess
import sys
import urllib.error
import urllib.request

import boto3
import botocore.config
import botocore.exceptions
import botocore.session

PROTOCOLS = ["smithy-rpc-v2-cbor", "json"]
UNKNOWN = "JID00000000-0000-0000-0000-000000000000"

findings = []


def check(what, held):
    if not held:
        findings.append(what)
        print(f"! {what}")


def client(stage, protocol, **instead):
    """A Snowball client that speaks this protocol and no other."""
    core = botocore.session.Session()
    loader = core.get_component("data_loader")
    load = loader.load_service_model

    def limited(service, kind, *more, **named):
        model = load(service, kind, *more, **named)
        if kind != "service-2":
            return model
        known = model["metadata"].get("protocols", [])
        if protocol not in known:
            sys.exit(f"botocore {botocore.__version__} does not know {protocol}: install boto3 1.43 or newer")
        return {**model, "metadata": {**model["metadata"], "protocols": [protocol], "protocol": protocol}}

    loader.load_service_model = limited
    settings = {
        "endpoint_url": stage["endpoint_url"],
        "verify": stage["ca_bundle"],
        "region_name": stage["region"],
        "aws_access_key_id": stage["access_key"],
        "aws_secret_access_key": stage["secret_key"],
        "aws_session_token": stage["session_token"],
        "config": botocore.config.Config(retries={"total_max_attempts": 1}, proxies={}),
        **instead,
    }
    return boto3.Session(botocore_session=core).client("snowball", **settings)


def refused(call, **input):
    """The error's code and HTTP status, or None if there was none."""
    try:
        call(**input)
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def download(stage, address, **headers):
    """Status, headers and bytes, asked for without credentials and without a proxy."""
    trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=stage["ca_bundle"]))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
    try:
        with opener.open(urllib.request.Request(address, headers=headers), timeout=30) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def jobs(stage, snowball):
    for job in stage["jobs"]:
        found = snowball.describe_job(JobId=job["id"])["JobMetadata"]
        check(f"DescribeJob gives {job['id']}", found["JobId"] == job["id"] and found["JobState"] == job["state"])
        check("CreationDate is read as a time", found["CreationDate"].tzinfo is not None)
        check("a delivered job has its tracking number",
              job["state"] != "WithCustomer"
              or found["ShippingDetails"]["OutboundShipment"]["TrackingNumber"] != "")
    main = [job["id"] for job in stage["jobs"] if job["id"].startswith("MID")]
    parts = snowball.describe_job(JobId=main[0])["SubJobMetadata"]
    check("an export's main job lists its parts", len(parts) == 2)


def lists(stage, snowball):
    expected = [job["id"] for job in stage["jobs"]]
    for size in (1, 2, 100):
        pages = list(snowball.get_paginator("list_jobs").paginate(PaginationConfig={"PageSize": size}))
        listed = [entry["JobId"] for page in pages for entry in page["JobListEntries"]]
        check(f"ListJobs by {size} gives every job once", listed == expected)
        check(f"ListJobs by {size} takes its pages", len(pages) == -(-len(expected) // size))
    entries = snowball.list_jobs()["JobListEntries"]
    check("one job is a main job", [entry["IsMaster"] for entry in entries].count(True) == 1)

    clusters = [entry["ClusterId"] for entry in snowball.list_clusters()["ClusterListEntries"]]
    check("ListClusters gives the clusters", clusters == stage["clusters"])
    nodes = snowball.list_cluster_jobs(ClusterId=clusters[0])["JobListEntries"]
    check("a cluster has three nodes", len(nodes) == 3)
    pairs = {snowball.get_job_unlock_code(JobId=node["JobId"])["UnlockCode"] for node in nodes}
    check("the nodes share one code", len(pairs) == 1)
    check("a node names its cluster",
          snowball.describe_job(JobId=nodes[0]["JobId"])["JobMetadata"]["ClusterId"] == clusters[0])
    check("DescribeCluster", snowball.describe_cluster(ClusterId=clusters[0])["ClusterMetadata"]["ClusterState"] == "InUse")
    check("GetSnowballUsage", snowball.get_snowball_usage()["SnowballLimit"] == 1)
    check("an altered token is refused",
          refused(snowball.list_jobs, NextToken="altered") == ("InvalidNextTokenException", 400))


def pairs(stage, snowball):
    for job in stage["jobs"]:
        ready = job["state"] in ("WithCustomer", "InTransitToCustomer") and not job["id"].startswith("MID")
        if not ready:
            for call in (snowball.get_job_manifest, snowball.get_job_unlock_code):
                check(f"{job['state']} is too early", refused(call, JobId=job["id"]) == ("InvalidJobStateException", 400))
            continue
        code = snowball.get_job_unlock_code(JobId=job["id"])["UnlockCode"]
        check("GetJobUnlockCode gives the job's code", code == job["unlock_code"] and len(code) == 29)
        address = snowball.get_job_manifest(JobId=job["id"])["ManifestURI"]
        status, headers, body = download(stage, address)
        check("the manifest arrives", status == 200 and int(headers["Content-Length"]) == job["manifest_size"])
        check("the manifest is the job's, byte for byte", hashlib.sha256(body).hexdigest() == job["manifest_sha256"])
        status, headers, part = download(stage, address, Range="bytes=100-199")
        check("a range arrives", status == 206 and part == body[100:200])
        status, _, body = download(stage, address.replace("X-Amz-Expires=3600", "X-Amz-Expires=3601"))
        check("an altered address is refused", status == 403 and b"<Code>SignatureDoesNotMatch</Code>" in body)


def errors(stage, protocol, snowball):
    check("an unknown job", refused(snowball.describe_job, JobId=UNKNOWN) == ("InvalidResourceException", 400))
    try:
        snowball.describe_job(JobId=UNKNOWN)
    except snowball.exceptions.InvalidResourceException as error:
        check("the message is read", "specified resource" in error.response["Error"]["Message"])
        check("the kind of resource is read", error.response["ResourceType"] == "JOB")
    stranger = client(stage, protocol, aws_access_key_id="AKIAIOSFODNN7EXAMPLE")
    check("an unknown key", refused(stranger.list_jobs) == ("UnrecognizedClientException", 400))
    forger = client(stage, protocol, aws_secret_access_key="wrong")
    check("a wrong signature", refused(forger.list_jobs) == ("InvalidSignatureException", 400))
    elsewhere = client(stage, protocol, region_name="eu-west-1")
    check("a signature for another region", refused(elsewhere.list_jobs) == ("InvalidSignatureException", 400))


def identity(stage):
    """STS, which speaks a protocol of its own; on the API's port here."""
    settings = {
        "endpoint_url": stage["env"]["AWS_ENDPOINT_URL_STS"],
        "verify": stage["ca_bundle"],
        "region_name": stage["region"],
        "aws_access_key_id": stage["access_key"],
        "aws_secret_access_key": stage["secret_key"],
        "aws_session_token": stage["session_token"],
        "config": botocore.config.Config(retries={"total_max_attempts": 1}, proxies={}),
    }
    caller = boto3.client("sts", **settings).get_caller_identity()
    check("GetCallerIdentity names the caller", caller["Arn"] == "arn:aws:iam::123456789012:user/operator")
    check("and the account", caller["Account"] == "123456789012")
    forger = boto3.client("sts", **{**settings, "aws_secret_access_key": "wrong"})
    check("STS's word for a wrong signature", refused(forger.get_caller_identity) == ("SignatureDoesNotMatch", 403))
    stranger = boto3.client("sts", **{**settings, "aws_access_key_id": "AKIAIOSFODNN7EXAMPLE"})
    check("STS's word for an unknown key", refused(stranger.get_caller_identity) == ("InvalidClientTokenId", 403))


def walk(stage):
    identity(stage)
    for protocol in PROTOCOLS:
        snowball = client(stage, protocol)
        check(f"boto3 speaks {protocol}", snowball.meta.service_model.resolved_protocol == protocol)
        jobs(stage, snowball)
        lists(stage, snowball)
        pairs(stage, snowball)
        errors(stage, protocol, snowball)
    print(f"boto3 {boto3.__version__}, {' and '.join(PROTOCOLS)}: {len(findings) or 'no'} findings")


def main(arguments):
    if arguments[:1] == ["--run"]:
        with subprocess.Popen([arguments[1], "serve", "--json"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as stage:
            # Leaving the block closes its stdin, which ends it, and waits.
            walk(json.loads(stage.stdout.readline()))
    else:
        walk(json.loads(arguments[0] if arguments else sys.stdin.readline()))
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
