#!/usr/bin/env bash
# The same as by_hand.py with the AWS CLI and curl: a process for each request.
#
#   by_hand.sh JOB CLIENT ENDPOINT POLL FOLDER    with `aws` in PATH
set -euo pipefail
job=$1 client=$2 endpoint=$3 poll=$4 manifest=$5/$1_manifest.bin

address=$(aws snowball get-job-manifest --job-id "$job" --query ManifestURI --output text)
curl --silent --show-error --fail --cacert "$AWS_CA_BUNDLE" --output "$manifest" "$address"
code=$(aws snowball get-job-unlock-code --job-id "$job" --query UnlockCode --output text)
given=(--endpoint "$endpoint" --manifest-file "$manifest" --unlock-code "$code")
"$client" unlock-device "${given[@]}" > /dev/null
until [[ $("$client" describe-device "${given[@]}") == *'"UNLOCKED"'* ]]; do
  sleep "$poll"
done
