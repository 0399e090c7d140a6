# common.sh: set-up and helpers that the scripts of tests/cluster source from the root of the tree.
#
# build, lmzoo, model: what is tested. work: a fresh folder. result STATUS NAME: a line of TAP.
# one_run: the run of one process that all others are compared with, in $work/one.
set -u
root=$(pwd)
build=${LMZOO_BUILD:-$root/build}
lmzoo=$build/lmzoo
model=${LMZOO_MODEL:-$root/demo/models/demo-llama}
mkdir -p "${WORK:-$root/build-cluster}"
work=$(mktemp -d "${WORK:-$root/build-cluster}/$name.XXXXXX")
trap 'rm -rf "$work"' EXIT
n_tests=0 n_failed=0

result() {
    n_tests=$((n_tests + 1))
    if [ "$1" -eq 0 ]; then
        echo "ok $n_tests - $2"
    else
        n_failed=$((n_failed + 1))
        echo "not ok $n_tests - $2"
        [ -s "$work/words" ] && tail -n 20 "$work/words" | sed 's/^/# /'
    fi
}

finish() {
    echo "1..$n_tests"
    echo "# $name: $((n_tests - n_failed)) passed, $n_failed failed"
    exit $((n_failed > 0))
}

need() { # need PROGRAM: what the set-up installs
    command -v "$1" >/dev/null && return
    echo "1..0 # SKIP no $1: tests/cluster/setup"
    exit 0
}

requests() { # requests ROWS: every kind of line, some refused, some with an id that occurs twice
    awk -v rows=$(($1 * 2)) -f tests/scripts/requests.awk | grep . | head -n "$1" |
        sed -e 's/row-333"/row-7"/' -e 's/row-17"/row-444"/' -e 's/row-[0-9]*66"/row-8"/'
}

one_run() { # one_run ROWS
    requests "$1" >"$work/in.jsonl"
    "$lmzoo" batch "$model" -i "$work/in.jsonl" -o "$work/one.jsonl" --order input \
        2>"$work/words"
    result $(($? != 1)) "$1 rows in one process"
}

same_run() { # same_run OUTPUT NAME
    cmp "$work/one.jsonl" "$1.jsonl" >"$work/words" 2>&1 &&
        cmp "$work/one.errors.jsonl" "$1.errors.jsonl" >>"$work/words" 2>&1
    result $? "$2: the same bytes"
}
