#!/bin/sh
# docs/clusters/parallel.sh MODEL REQUESTS RESULTS [SHARDS [AT_ONCE]]
#
# GNU parallel on this machine, or on many with --sshlogin (the model, the requests and the folder of
# the results at the same paths). A shard that ends with 4 (environment) or is interrupted is tried
# again twice, and goes on where it was; 1 (some rows were refused) is an end. The same command after
# an interruption does what is left.
set -eu
model=$1 requests=$2 results=$3 shards=${4:-8} at_once=${5:-2}
parts=${results%.jsonl}.shards
mkdir -p "$parts"
export LMZOO="${LMZOO:-lmzoo}" model requests parts shards

seq 0 $((shards - 1)) | parallel --jobs "$at_once" --retries 3 --halt soon,fail=1 \
    --env LMZOO,model,requests,parts,shards \
    '"$LMZOO" batch "$model" -i "$requests" -o "$parts/{}.jsonl" --shard {}/"$shards" --quiet \
        --threads '"${THREADS:-1}"'; code=$?; [ $code -eq 1 ] && code=0; exit $code'
code=0
"$LMZOO" merge "$parts"/*[0-9].jsonl -o "$results" --order input || code=$?
[ $code -le 1 ] && rm -r "$parts"
exit $code
