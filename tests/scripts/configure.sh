#!/bin/sh
# The build can be configured without packages that it does not need: CMocka without tests.
set -u
real=$(command -v pkg-config) || { echo "1..0 # SKIP no pkg-config"; exit 0; }
n=0
# without NAME: a pkg-config that does not know NAME
without() {
    printf '#!/bin/sh\ncase " $* " in *" %s"*) exit 1 ;; esac\nexec "%s" "$@"\n' "$1" "$real" \
        >"$TMPDIR/pkg-config"
    chmod +x "$TMPDIR/pkg-config"
}
# configured STATUS NAME ARGUMENT...
configured() {
    wanted=$1
    name=$2
    shift 2
    n=$((n + 1))
    (cd "$LMZOO_SOURCE" && PKG_CONFIG=$TMPDIR/pkg-config cmake "$@" -B "$TMPDIR/build-$n") \
        >"$TMPDIR/out" 2>&1
    if [ $(($? != 0)) -eq "$wanted" ]; then
        echo "ok $n - $name"
    else
        echo "not ok $n - $name"
        sed 's/^/# /' "$TMPDIR/out"
    fi
}
without cmocka
configured 0 "asan without CMocka and without tests" --preset asan -DLMZOO_TESTS=OFF
configured 1 "asan without CMocka and with tests is refused" --preset asan
without libpcre2-8
configured 1 "a library that the program needs is missing" --preset asan -DLMZOO_TESTS=OFF
echo "1..$n"
