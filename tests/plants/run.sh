#!/bin/sh
# The guesses of compare at planted mistakes: plants.py on the demo models, and on ten families of the reference data
# if it is there.
set -u
command -v python3 >/dev/null || { echo "1..0 # SKIP no python3"; exit 0; }
set -- "$LMZOO_SOURCE/demo/models/demo-llama" "$LMZOO_SOURCE/demo/models/demo-gemma" \
    "$LMZOO_SOURCE/demo/models/demo-hybrid" "$LMZOO_SOURCE/demo/models/demo-deepseek"
for name in qwen3 gemma2 bloom nanochat gpt_oss starcoder2 stablelm olmo2 phi3 qwen3_next; do
    [ -d "$LMZOO_REFERENCE/parity/$name" ] && set -- "$@" "$LMZOO_REFERENCE/parity/$name"
done
exec python3 "$LMZOO_SOURCE/tests/plants/plants.py" --lmzoo "$LMZOO_BUILD/lmzoo" --cards "$LMZOO_SOURCE/models.d" \
    --work "$TMPDIR" "$@"
