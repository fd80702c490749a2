"""What people do today, as one script: both halves by boto3, the client with the code on its command line. Nothing is checked.

    by_hand.py JOB CLIENT ENDPOINT POLL FOLDER    POLL: seconds between two looks at a device that is not open yet

The environment is that of the AWS CLI: keys, region, AWS_ENDPOINT_URL_SNOWBALL, AWS_CA_BUNDLE, HTTPS_PROXY.
"""

import os
import pathlib
import ssl
import subprocess
import sys
import time
import urllib.request

import boto3


def main():
    job, client, endpoint, poll, folder = sys.argv[1:]
    api = boto3.client("snowball")
    manifest = pathlib.Path(folder) / f"{job}_manifest.bin"
    address = api.get_job_manifest(JobId=job)["ManifestURI"]
    trust = ssl.create_default_context(cafile=os.environ["AWS_CA_BUNDLE"])
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=trust))
    manifest.write_bytes(opener.open(address, timeout=60).read())
    code = api.get_job_unlock_code(JobId=job)["UnlockCode"]
    given = ["--endpoint", endpoint, "--manifest-file", str(manifest), "--unlock-code", code]
    subprocess.run([client, "unlock-device", *given], check=True, stdout=subprocess.DEVNULL)
    while '"UNLOCKED"' not in describe(client, given):
        time.sleep(float(poll))


def describe(client, given):
    return subprocess.run([client, "describe-device", *given], check=True, capture_output=True, text=True).stdout


main()
