#!/bin/sh
# bootstrap on machines that lack packages: its messages, and its calls of apt-get. The machine is a
# PATH of a few links and of stand-ins for id, sudo and apt-get; nothing is installed.
set -u
bin=$TMPDIR/bin
n=0
mkdir "$bin"
for tool in sh cat dirname tr printf getconf mkdir env grep; do
    ln -s "$(command -v $tool)" "$bin/$tool"
done

# stand_in NAME: a program from the lines on stdin
stand_in() {
    { echo "#!$bin/sh"; cat; } >"$bin/$1"
    chmod +x "$bin/$1"
}

# expect NAME STATUS TEXT...: runs install-deps; each TEXT must be in what it says
expect() {
    n=$((n + 1))
    name=$1
    : >"$TMPDIR/calls"
    PATH=$bin CALLS=$TMPDIR/calls "$LMZOO_SOURCE/bootstrap" install-deps >"$TMPDIR/out" 2>&1
    status=$?
    cat "$TMPDIR/calls" >>"$TMPDIR/out"
    [ $status -eq "$2" ]
    bad=$?
    shift 2
    for text in "$@"; do
        grep -qF -- "$text" "$TMPDIR/out" || bad=1
    done
    if [ $bad -eq 0 ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name: status $status"
        sed 's/^/# /' "$TMPDIR/out"
    fi
}

echo 1..6
all='gcc libc6-dev cmake ninja-build pkg-config libcjson-dev libpcre2-dev libutf8proc-dev'
all="$all libxxhash-dev zlib1g-dev libzstd-dev libmicrohttpd-dev libedit-dev libopenblas-pthread-dev libjemalloc-dev libcmocka-dev curl elfutils g++"
echo 'echo 0' | stand_in id
expect "no apt-get" 4 "this system has no apt-get; install by hand (Debian names): $all"

# shellcheck disable=SC2016 # for the stand-in to expand
echo 'echo "apt-get $*" >>"$CALLS"' | stand_in apt-get
expect "root: apt-get is called, and its result checked" 4 "apt-get -qq -o DPkg::Lock::Timeout=120 update" \
    "--no-install-recommends $all" "still missing after the installation: gcc"

echo 'echo 1000' | stand_in id
expect "not root, no sudo" 4 "ask an administrator to run: apt-get install $all"

# shellcheck disable=SC2016
echo 'echo sudo >>"$CALLS"; exec "$@"' | stand_in sudo
expect "not root, with sudo" 4 "sudo" "apt-get -qq -o DPkg::Lock::Timeout=120 update" "--no-install-recommends $all"

echo 'echo "no network" >&2; exit 100' | stand_in apt-get
expect "apt-get fails" 4 "no network" "'apt-get update' failed" "stay missing: gcc"

for tool in cc c++ cmake ninja curl eu-stack; do
    echo 'exit 0' | stand_in $tool
done
echo 'exit 0' | stand_in pkg-config
rm "$bin/apt-get" "$bin/sudo"
expect "nothing is missing: apt-get is not called" 0
