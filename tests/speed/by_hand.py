"""What people do today, as one script: both halves by boto3, the client with the code on its command line.

    by_hand.py STAGE CLIENT FOLDER    STAGE is the line of `snow-rehearsal serve --json`
"""

import json
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.request

import boto3
import botocore.config


def main():
    stage, client, folder = json.loads(sys.argv[1]), sys.argv[2], pathlib.Path(sys.argv[3])
    api = boto3.client(
        "snowball",
        endpoint_url=stage["endpoint_url"],
        verify=stage["ca_bundle"],
        region_name=stage["region"],
        aws_access_key_id=stage["access_key"],
        aws_secret_access_key=stage["secret_key"],
        aws_session_token=stage["session_token"],
        config=botocore.config.Config(proxies={}),
    )
    job = stage["jobs"][0]["id"]
    manifest = folder / f"{job}_manifest.bin"
    api.describe_job(JobId=job)
    address = api.get_job_manifest(JobId=job)["ManifestURI"]
    trust = urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=stage["ca_bundle"]))
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), trust)
    manifest.write_bytes(opener.open(address, timeout=60).read())
    code = api.get_job_unlock_code(JobId=job)["UnlockCode"]
    given = ["--endpoint", stage["device_endpoint"], "--manifest-file", str(manifest), "--unlock-code", code]
    subprocess.run([client, "unlock-device", *given], check=True, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while True:
        said = subprocess.run([client, "describe-device", *given], check=True, capture_output=True, text=True).stdout
        if '"UNLOCKED"' in said:
            return
        if time.monotonic() > deadline:
            sys.exit("the device did not open")
        time.sleep(1)


main()
