/*
 * test_kernels.c: every kernel slot on every instruction set that this CPU has.
 *
 *   test_kernels [NAME]     NAME: one instruction set
 */
#include "kt.h"

#include <string.h>

int main(int argc, char **argv)
{
    zoo_error err;
    const zoo_kernels *before = NULL;
    kt_pair k = {.scalar = zoo_kernels_select("scalar", &err)};
    for (uint32_t i = 0; (k.isa = zoo_kernels_isa(i)) != NULL; i++) {
        bool wanted = argc < 2 || strcmp(argv[1], k.isa) == 0;
        k.best = zoo_kernels_select(k.isa, &err);
        if (!k.best) { /* no longer listed, so the next has its place */
            i--;
            if (wanted) {
                kt_check(false, "%s", err.text);
            }
            continue;
        }
        if (wanted) {
            kt_gemm(&k);
        }
        if (wanted && (!before || before->attend != k.best->attend)) {
            kt_attend(&k);
        }
        if (wanted && (!before || before->add != k.best->add)) { /* more than gemm, attention */
            kt_rows(&k);
            kt_recur(&k);
            kt_math(&k);
        }
        before = k.best;
    }
    kt_fma();
    kt_pack();
    return kt_done();
}
