#!/bin/sh
# lmzoo serve with speculative decoding: the bytes of a server without, and equal counts in usage and
# in /metrics.
set -u
command -v curl >/dev/null || { echo "1..0 # SKIP no curl"; exit 0; }
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"

serve() { start_server "$@" --threads 1; }
trap 'kill $pid $other 2>/dev/null' EXIT
pid=
other=

metric() { curl -sS -m 20 "$1/metrics" | sed -n "s/^lmzoo_$2 //p"; }
# count NAME: of the answers in $said, added up
count() { sed -n "s/.*\"$1\":\([0-9]*\).*/\1/p" "$said" | awk '{ n += $1 } END { print n + 0 }'; }
ask() { # URL: answers of four prompts
    for seed in 1 2 3 4; do
        curl -sS -m 60 --data-binary "{\"prompt\":\"Lily and Tom saw a dog. Lily and Tom\",\"max_tokens\":60,
            \"ignore_eos\":true,\"temperature\":0.5,\"seed\":$seed}" "$1/v1/completions"
        echo
    done
}
choices() { sed 's/.*"choices"//; s/,"usage".*//'; }

serve plain demo-llama --speculate off
other=$pid
plain=$(ask "$url" | choices)
[ "$(metric "$url" drafted_tokens_total)" = 0 ] && [ -n "$plain" ]
result $? "without drafts none are counted"

serve drafts demo-llama --draft-tokens 4
ask "$url" >"$said"
[ "$(choices <"$said")" = "$plain" ]
result $? "the same answers with drafts"
accepted=$(count accepted_prediction_tokens) rejected=$(count rejected_prediction_tokens)
[ "$accepted" -gt 0 ] && [ "$rejected" -gt 0 ] &&
    [ "$(metric "$url" accepted_tokens_total)" -eq "$accepted" ] &&
    [ "$(metric "$url" drafted_tokens_total)" -eq $((accepted + rejected)) ]
result $? "usage and metrics count the same drafts"
kill -TERM "$pid" "$other"
wait "$pid" "$other"
echo "1..$n"
