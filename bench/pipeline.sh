#!/bin/sh
# bench/pipeline.sh MODEL [OPTION OF BATCH...]: the cost of --pipeline, on an idle machine, as root.
#
# ROWS=32 TOKENS=128 ROUNDS=3 CORES=2 DELAYS="0 0.2 1 5": a batch of that many rows and new tokens.
#
# 1. Tokens a second of CORES ranks with a core each against one process with as many threads, in
#    turn, ROUNDS times; best of each, and memory of each rank.
# 2. Share of time that two ranks wait, over a link between two network namespaces with so many ms of
#    latency each way (bench/delay.c: not every kernel has netem), for several numbers of
#    micro-batches.
set -eu
cd "$(dirname "$0")/.."
build=${LMZOO_BUILD:-$PWD/build}
model=$(realpath "$1")
shift
rows=${ROWS:-32} tokens=${TOKENS:-128} rounds=${ROUNDS:-3} cores=${CORES:-2}
delays=${DELAYS:-0 0.2 1 5} batches=${BATCHES:-2 3 4 6}
work=$(mktemp -d)
wire=
clean() {
    [ -z "$wire" ] || kill "$wire" 2>/dev/null || true
    for space in zoo_a zoo_b; do ip netns del $space 2>/dev/null || true; done
    rm -rf "$work"
}
trap clean EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
awk -v rows="$rows" -v tokens="$tokens" 'BEGIN { for (i = 0; i < rows; i++) printf \
    "{\"custom_id\":\"r%d\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":" \
    "{\"prompt\":\"%d is a number, and once upon a time\",\"max_tokens\":%d,\"seed\":%d," \
    "\"ignore_eos\":true}}\n", i, i * 7919, tokens, i }' >"$work/in.jsonl"

# batch COMMAND...: runs it; new tokens a second to rate, words of the ranks to $work/words
batch() {
    "$@" -i "$work/in.jsonl" -o "$work/out.jsonl" --restart --order input --speculate off \
        2>"$work/words" || { cat "$work/words" >&2; exit 1; }
    rate=$(sed -n 's/.* s: \([0-9.]*\) new, .*/\1/p' "$work/words")
    cmp -s "$work/out.jsonl" "$work/one.jsonl" || cp "$work/out.jsonl" "$work/other.jsonl"
}
best() { printf '%s\n%s\n' "$1" "$2" | sort -g | tail -n 1; }

one=0 many=0
for _ in $(seq "$rounds"); do
    batch taskset -c "0-$((cores - 1))" "$build/lmzoo" batch "$model" --threads "$cores" "$@"
    cp "$work/out.jsonl" "$work/one.jsonl"
    rm -f "$work/other.jsonl"
    one=$(best "$one" "$rate")
    batch mpirun --bind-to core -n "$cores" "$build/lmzoo" batch "$model" --pipeline --threads 1 "$@"
    many=$(best "$many" "$rate")
    [ ! -e "$work/other.jsonl" ] || { echo "the bytes differ" >&2; exit 1; }
done
echo "$rows rows: $cores threads $one tokens/s, $cores ranks $many:" \
    "$(awk -v a="$one" -v b="$many" 'BEGIN { printf "%.1f", 100 * b / a }') %"
sed -n 's/^lmzoo: rank/  rank/p' "$work/words" | sort

[ "$(id -u)" -eq 0 ] || exit 0
cc -O2 -o "$work/delay" bench/delay.c
cat >"$work/agent" <<'A'
#!/bin/sh
shift # the host, which is the other namespace
exec ip netns exec zoo_b sh -c "$*"
A
chmod +x "$work/agent"
for delay in $delays; do
    for space in zoo_a zoo_b; do ip netns add $space; done
    rm -f "$work/ready"
    "$work/delay" zoo_a zoo_b "$delay" >"$work/ready" &
    wire=$!
    while [ ! -s "$work/ready" ]; do sleep 0.05; done
    for at in a:1 b:2; do
        space=zoo_${at%:*}
        ip -n "$space" addr add "10.99.0.${at#*:}/24" dev wire
        ip -n "$space" link set lo up
        ip -n "$space" link set wire mtu 65000 up
    done
    for n in $batches; do
        batch ip netns exec zoo_a mpirun --bind-to none --mca btl tcp,self --mca btl_tcp_if_include 10.99.0.0/24 \
            --mca oob_tcp_if_include 10.99.0.0/24 --mca plm_rsh_agent "$work/agent" \
            --host 10.99.0.1:1,10.99.0.2:1 -n 2 "$build/lmzoo" batch "$model" --pipeline \
            --threads 1 --micro-batches "$n" "$@"
        echo "$delay ms each way, $n micro-batches: $rate tokens/s, waiting:" \
            "$(sed -n 's/^lmzoo: rank \([0-9]*\) .* \([0-9.]* %\) of it waiting/rank \1 \2/p' \
                "$work/words" | sort | paste -sd, -)"
    done
    kill "$wire"
    wait "$wire" 2>/dev/null || true
    wire=
    for space in zoo_a zoo_b; do ip netns del $space; done
done
