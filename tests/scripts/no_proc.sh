#!/bin/sh
# tests/scripts/no_proc.sh: without /proc a batch runs, and --packed-cache is refused, since the key
# of its files could not tell this program from another version.
set -u
lmzoo=$LMZOO_BUILD/lmzoo
model=$LMZOO_SOURCE/demo/models/demo-llama

hidden() { # hidden COMMAND...: runs it in a mount namespace whose /proc is empty
    unshare -rm sh -c 'mount -t tmpfs none /proc && exec "$@"' hidden "$@"
}

if ! hidden true 2>/dev/null; then
    echo "1..0 # SKIP no user namespace to hide /proc in"
    exit 0
fi
echo 1..2
hidden "$lmzoo" run "$model" -p "Once upon a time" --max-tokens 5 --temperature 0 \
    >"$TMPDIR/out" 2>&1 && [ -s "$TMPDIR/out" ]
status=$?
[ $status -eq 0 ] || sed 's/^/# /' "$TMPDIR/out"
if [ $status -eq 0 ]; then echo "ok 1 - a model runs, with the plugins beside"; else echo "not ok 1 - a model runs"; fi
hidden "$lmzoo" run "$model" --packed-cache "$TMPDIR/packed" -p "Once" --max-tokens 5 \
    >"$TMPDIR/out" 2>&1
status=$?
if [ $status -eq 2 ] && grep -q "packed-cache needs /proc" "$TMPDIR/out"; then
    echo "ok 2 - packed weights are refused"
else
    echo "not ok 2 - packed weights are refused: status $status"
    sed 's/^/# /' "$TMPDIR/out"
fi
