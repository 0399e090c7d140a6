/*
 * detect_x86_64.c: a level is present if CPUID lists it and XCR0 says that the operating system
 * saves its registers; AMX also needs a permission, requested once. OpenBLAS needs SSSE3.
 */
#include <cpuid.h>

#include "kernels/detect.h"

enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000 };

static bool bit(unsigned word, int i)
{
    return word >> i & 1u;
}

/* XCR0: the register state that the operating system saves; 0 without xgetbv. */
static uint64_t saved_state(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27)) {
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* Linux lets a process use tiles after ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA. */
static bool request_tiles(void)
{
#if defined(__linux__)
    long arch_prctl = 158, result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(arch_prctl), "D"(0x1023L), "S"(18L)
                     : "rcx", "r11", "memory");
    return result == 0;
#else
    return false;
#endif
}

void zoo_kernels_detect(bool *present)
{
    unsigned a1 = 0, b1 = 0, c1 = 0, d1 = 0, a = 0, b = 0, c = 0, d = 0;
    unsigned sub = 0, b2 = 0, c2 = 0, d2 = 0;
    uint64_t saved = saved_state();
    (void)__get_cpuid(1, &a1, &b1, &c1, &d1);
    /* OpenBLAS's code for AMD CPUs before SSSE3 uses 3DNow!, which virtual CPUs lack. */
    present[LEVEL_openblas] = bit(c1, 9);
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (saved & XCR0_AVX) != XCR0_AVX) {
        return;
    }
    if (a >= 1) {
        (void)__get_cpuid_count(7, 1, &sub, &b2, &c2, &d2);
    }
    present[LEVEL_avx2] = bit(b, 5) && bit(c1, 12) && bit(c1, 29);
    present[LEVEL_avxvnni] = present[LEVEL_avx2] && bit(sub, 4);
    present[LEVEL_avx512] = present[LEVEL_avx2] && (saved & XCR0_AVX512) == XCR0_AVX512 &&
                            bit(b, 16) && bit(b, 17) && bit(b, 30) && bit(b, 31);
    present[LEVEL_avx512vnni] = present[LEVEL_avx512] && bit(c, 11);
    present[LEVEL_avx512bf16] = present[LEVEL_avx512] && bit(sub, 5);
    present[LEVEL_amx] = present[LEVEL_avx512vnni] && present[LEVEL_avx512bf16] &&
                         (saved & XCR0_AMX) == XCR0_AMX && bit(d, 22) && bit(d, 24) && bit(d, 25) &&
                         request_tiles();
}
