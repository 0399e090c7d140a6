#!/bin/sh
# An OpenBLAS built without threads is called by one thread at a time: a stand-in that counts
# concurrent calls is loaded in its place.
set -u
# shellcheck source=tests/scripts/tap.inc
. "$LMZOO_SOURCE/tests/scripts/tap.inc"
cat >"$TMPDIR/stand_in.c" <<'END'
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static atomic_int inside, most, n_waits;
static int parallel(void) { return getenv("STAND_IN_PARALLEL") != NULL; }
int openblas_get_parallel(void) { return parallel(); }
void openblas_set_num_threads(int n) { (void)n; }
char *openblas_get_config(void) { return "OpenBLAS 0.0.0 STAND_IN"; }
char *openblas_get_corename(void) { return "StandIn"; }
void cblas_ssyrk(void) { abort(); }
void cblas_ssymm(void) { abort(); }
void cblas_sgemm(int order, int ta, int tb, int m, int n, int k, float alpha, const float *a,
                 int lda, const float *b, int ldb, float beta, float *c, int ldc)
{
    int now = atomic_fetch_add(&inside, 1) + 1;
    if (now > most) {
        most = now;
    }
    for (int i = 0; i < 200 && most < 2 && atomic_fetch_add(&n_waits, 1) < 2000; i++) {
        (void)sched_yield(); /* for another thread to come in */
    }
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            float sum = 0;
            for (int p = 0; p < k; p++) {
                sum += a[i * lda + p] * b[p * ldb + j];
            }
            c[i * ldc + j] = (beta ? c[i * ldc + j] : 0) + alpha * sum;
        }
    }
    (void)(order + ta + tb);
    atomic_fetch_sub(&inside, 1);
}
__attribute__((destructor)) static void tell(void)
{
    const char *path = getenv("STAND_IN_TELLS");
    FILE *file = path ? fopen(path, "w") : NULL;
    if (file) {
        fprintf(file, "%d\n", most);
        fclose(file);
    }
}
END
cc -shared -fPIC -O1 "$TMPDIR/stand_in.c" -o "$TMPDIR/libopenblas.so.0" >"$said" 2>&1
result $? "the stand-in compiles"
# calls_at_once [NAME=VALUE...]: how many calls met
calls_at_once() {
    rm -f "$TMPDIR/most"
    env LD_LIBRARY_PATH="$TMPDIR" STAND_IN_TELLS="$TMPDIR/most" "$@" "$LMZOO_BUILD/lmzoo" run \
        "$LMZOO_SOURCE/demo/models/demo-llama" --isa openblas --weights f32 --threads 4 \
        --tokens 300,317,334,351,368,385,300,317,334 --max-tokens 8 --temperature 0 --ignore-eos \
        --json >"$TMPDIR/out" 2>"$said"
    cat "$TMPDIR/most"
}
[ "$(calls_at_once)" = 1 ]
result $? "without threads of its own: one call at a time"
cp "$TMPDIR/out" "$TMPDIR/alone"
[ "$(calls_at_once STAND_IN_PARALLEL=1)" -gt 1 ] && cmp -s "$TMPDIR/out" "$TMPDIR/alone"
result $? "with threads of its own: several at once, the same answer"
echo "1..$n"
