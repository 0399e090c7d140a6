#!/bin/sh
# lmzoo serve under load and abuse (tests/clients/load.py), a few seconds of each phase: steady
# clients, clients that disconnect, hostile ones and 10,000 connections. The time of each phase is in
# ZOO_LOAD_SECONDS, the number of connections in ZOO_LOAD_CONNECTIONS.
set -u
command -v python3 >/dev/null || { echo "1..0 # SKIP no python3"; exit 0; }
n=0
for phase in steady leaving hostile; do
    n=$((n + 1))
    name="$phase clients get their bytes, and nothing is left behind"
    if python3 "$LMZOO_SOURCE/tests/clients/load.py" "$LMZOO_SOURCE/demo/models/demo-llama" \
        --lmzoo "$LMZOO_BUILD/lmzoo" --seconds "${ZOO_LOAD_SECONDS:-8}" --tokens 24 \
        --connections "${ZOO_LOAD_CONNECTIONS:-24}" --phases "$phase" --idle 8 -- --weights f32 \
        >"$TMPDIR/report" 2>&1; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        sed 's/^/# /' "$TMPDIR/report" | cut -c 1-2000
    fi
done
echo "1..$n"
