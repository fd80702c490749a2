"""boto3 with the profile, told nothing else: list, put, get, compare.

    boto3_check.py PROFILE BUCKET
"""

import os
import sys

import boto3

profile, bucket = sys.argv[1:]
s3 = boto3.Session(profile_name=profile).client("s3")
assert bucket in [each["Name"] for each in s3.list_buckets()["Buckets"]], "the bucket is not listed"
content = os.urandom(1 << 20)
s3.put_object(Bucket=bucket, Key="of-boto3", Body=content)
assert s3.get_object(Bucket=bucket, Key="of-boto3")["Body"].read() == content, "what comes back is something else"
