#!/bin/sh
# The runner itself: each way in which a test can fail is counted, and so is each way to pass.
set -u
tree=$TMPDIR/tree
mkdir -p "$tree/tests/scripts" "$tree/build/tests"
cp "$LMZOO_SOURCE/tests/run" "$LMZOO_SOURCE/tests/stuck" "$tree/tests/"
n=0 options=''

# add NAME: a test from the lines on stdin
add() {
    { echo '#!/bin/sh'; cat; } >"$tree/build/tests/$1"
    chmod +x "$tree/build/tests/$1"
}

# expect NAME STATUS LAST-LINE [TEXT]: runs the tests of that name alone
expect() {
    n=$((n + 1))
    # shellcheck disable=SC2086 # options are words
    LMZOO_BUILD=$tree/build "$tree/tests/run" -k "^$1\$" -t 1 $options >"$TMPDIR/out" 2>&1
    status=$?
    if [ $status -eq "$2" ] && [ "$(tail -n 1 "$TMPDIR/out")" = "$3" ] &&
        grep -qF -- "${4:-$1}" "$TMPDIR/out"; then
        echo "ok $n - $1"
    else
        echo "not ok $n - $1: status $status"
        sed 's/^/# /' "$TMPDIR/out"
    fi
}

echo 'echo 1..2; echo ok 1 - a; echo "ok 2 - b # SKIP no data"' | add passes
echo 'echo ok 1 - a; echo not ok 2 - b; echo hint >&2; exit 1' | add fails
echo 'echo "not ok 1 # SKIP name"' | add skips
echo 'echo ok 1 - a; kill -SEGV $$' | add crashes
echo 'echo ok 1 - a; sleep 20' | add hangs
echo 'echo 1..3; echo ok 1 - a' | add stops_early
echo 'echo 1..1; echo ok 1 - a; echo ok 1 - b' | add runs_over
echo 'echo hello' | add says_nothing
echo 'echo ok 1 - a; exit 3' | add status_only
echo 'echo ok 1 - a; echo "Bail out! no disk"; exit 1' | add bails
echo 'echo 1..0' | add empty_plan
echo 'echo "1..0 # SKIP no clang"' | add all_skipped

echo 1..19
expect passes 0 '1 passed, 0 failed, 1 skipped' 'passes: b # SKIP no data'
expect fails 1 '1 passed, 1 failed, 0 skipped' 'hint'
expect skips 0 '0 passed, 0 failed, 1 skipped' 'skips: # SKIP name'
expect crashes 1 '1 passed, 1 failed, 0 skipped' 'crashed with signal 11'
expect hangs 1 '1 passed, 1 failed, 0 skipped' 'stopped after 1 seconds'
expect stops_early 1 '1 passed, 1 failed, 0 skipped' '2 of 3 planned results are missing'
expect runs_over 1 '2 passed, 1 failed, 0 skipped' '2 results of 1 planned'
expect says_nothing 1 '0 passed, 1 failed, 0 skipped' 'printed no TAP line'
expect status_only 1 '1 passed, 1 failed, 0 skipped' 'exit status 3'
expect bails 1 '1 passed, 1 failed, 0 skipped' 'Bail out! no disk'
expect empty_plan 1 '0 passed, 1 failed, 0 skipped'
expect all_skipped 0 '0 passed, 0 failed, 1 skipped' 'all_skipped: # SKIP no clang'
expect no_such_test 1 '0 passed, 1 failed, 0 skipped' 'no test matches'
expect '(passes|fails|skips)' 1 '2 passed, 1 failed, 2 skipped' '==== fails'

# What passed in a kept folder stays; what failed runs again.
options="-d $TMPDIR/kept"
expect '(passes|fails)' 1 '2 passed, 1 failed, 1 skipped' '==== fails'
echo 'exit 3' | add passes
echo 'echo ok 1 - c' | add fails
expect '(passes|fails)' 0 '2 passed, 0 failed, 1 skipped' 'passes: b # SKIP no data'
options='-t 4'
expect hangs 1 '1 passed, 1 failed, 0 skipped' 'sleep 20'
options=
expect passes 1 '0 passed, 1 failed, 0 skipped' 'exit status 3'

rm "$tree"/build/tests/*
mkdir -p "$tree/tests/own"
printf '#!/bin/sh\necho ok 1 - a\n' >"$tree/tests/own/run.sh"
chmod +x "$tree/tests/own/run.sh"
expect 'own/run.sh' 0 '1 passed, 0 failed, 0 skipped'
