#!/bin/sh
# million.sh: one run over a million rows: how its memory grows, and the cost of resuming it.
#
#   bench/million.sh [ROWS [MODEL [options of lmzoo batch]]]
#
# Rows of one prompt token and one new token, so that the cost of a row apart from the model shows.
# The run is killed when about 99.5 % of its rows are done and is started again. Markdown on stdout:
# the resident size beside the number of rows done, then seconds and the peak resident size of the
# second start; exit 1 when a row is missing or occurs twice. LMZOO names another program than
# build/lmzoo, TMPDIR where its 1 GB goes. Linux: resident sizes are read in /proc.
# What it will not do: compare throughput (growth.sh, peers.py).
set -eu

here=$(cd "$(dirname "$0")" && pwd)
lmzoo=${LMZOO:-$here/../build/lmzoo}
rows=${1:-1000000}
model=${2:-$here/../demo/models/demo-llama}
[ $# -ge 2 ] && shift 2 || shift $#
work=$(mktemp -d)
pid=''
trap '[ -z "$pid" ] || kill "$pid" 2>/dev/null; rm -rf "$work"' EXIT
requests=$work/requests.jsonl results=$work/results.jsonl

# field NAME: a line of the process's /proc/status, in KiB; nothing when it has ended.
field() { sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" "/proc/$pid/status" 2>/dev/null || true; }
now() { date +%s%N; }
seconds() { awk -v from="$1" -v to="$2" 'BEGIN { printf "%.1f", (to - from) / 1e9 }'; }
start() { "$lmzoo" batch "$model" -i "$requests" -o "$results" -q "$@" 2>"$work/words" & pid=$!; }

awk -v n="$rows" 'BEGIN { for (i = 0; i < n; i++)
    printf "{\"custom_id\":\"r%d\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":[%d],\"max_tokens\":1,\"temperature\":0}}\n", i, 300 + i % 700 }' >"$requests"

printf '| rows done | resident MiB | seconds |\n|---|---|---|\n'
from=$(now)
start "$@"
last=$((rows - rows / 200))
next=$((rows / 10))
while kill -0 "$pid" 2>/dev/null; do
    sleep 0.05
    # Lines are of nearly the same length, so that the size tells how many there are.
    [ -s "$results" ] || continue
    size=$(stat -c %s "$results")
    [ "$size" -le 1000000 ] && continue
    length=${length:-$(head -c 1000000 "$results" | awk '{ n++ } END { print 1000000 / n }')}
    done=$(awk -v size="$size" -v line="$length" 'BEGIN { printf "%d", size / line }')
    if [ "$done" -ge "$next" ]; then
        resident=$(field VmRSS)
        [ -z "$resident" ] || printf '| %s | %s | %s |\n' "$done" $((resident / 1024)) "$(seconds "$from" "$(now)")"
        next=$((next + rows / 10))
    fi
    if [ "$done" -ge "$last" ]; then
        kill -9 "$pid" 2>/dev/null || true
    fi
done
wait "$pid" 2>/dev/null || true
before=$(wc -l <"$results")
bytes=$(wc -c <"$results")

from=$(now)
start "$@"
first='' peak=0
while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    most=$(field VmHWM)
    peak=${most:-$peak}
    [ -n "$first" ] || [ "$(wc -c <"$results")" -le "$bytes" ] || first=$(seconds "$from" "$(now)")
done
code=0
wait "$pid" || code=$?
pid=''
[ "$code" -eq 0 ] || cat "$work/words" >&2
printf '\n| done before | seconds to the first new line | to the end | peak MiB | exit |\n|---|---|---|---|---|\n'
printf '| %s | %s | %s | %s | %s |\n' "$before" "${first:--}" "$(seconds "$from" "$(now)")" $((peak / 1024)) "$code"
found=$(sed 's/.*"custom_id":"\([^"]*\)".*/\1/' "$results" | sort -u | wc -l)
lines=$(wc -l <"$results")
printf '\n%s rows, %s lines, %s different ids\n' "$rows" "$lines" "$found"
[ "$lines" -eq "$rows" ] && [ "$found" -eq "$rows" ] && [ "$code" -eq 0 ]
