#!/bin/sh
# coverage.sh: the measured part of docs/coverage.md, from a run of every reference checkpoint (some
# minutes). The table of all types of transformers, at the end of that page, is kept by hand.
#
#   tools/coverage.sh [BUILD]      BUILD: a tree built with its tests (build)
set -eu

cd "$(dirname "$0")/.."
build=${1:-build}

cat <<'END'
# Coverage

Made by `tools/coverage.sh`, float32 weights: each line is one reference checkpoint. `whole`: the
worst normalised error of logits and of every traced layer against the reference, whole prompts.
`chunks`, `batch`: prompts in chunks of 1, 3 and 16 tokens, and all prompts as one ragged batch,
against whole prompts, by equality of bits. `decode`: logits of the greedy continuation with the
cache; all continuations are equal token for token. `bf16 cache`, `int8 cache`, `int4 cache`: the
same continuation's logits with narrow caches (quality, not parity: random weights, and tokens may
differ from the reference's after a first difference). NMSE = sum((x - ref)^2) / sum(ref^2).

END
"$build/tests/test_parity" --markdown 2>/dev/null
cat <<'END'

## Refused, with the reason

END
# shellcheck disable=SC2016
"$build/lmzoo" cards | awk '$2 == "refused" { type = $1; sub(/^[^ ]+ +refused +/, ""); print "* `" type "`: " $0 }'
