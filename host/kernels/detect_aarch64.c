/*
 * detect_aarch64.c: NEON is always present; the operating system reports the rest. On an unknown
 * system NEON alone is used.
 */
#if defined(__linux__) || defined(__FreeBSD__)
#include <sys/auxv.h>
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#include "kernels/detect.h"

#if defined(__linux__) || defined(__FreeBSD__)

enum { HAS_DOTPROD = 1 << 20, HAS_2_I8MM = 1 << 13, HAS_2_BF16 = 1 << 14 };

static unsigned long capabilities(int which)
{
#if defined(__linux__)
    return getauxval((unsigned long)which);
#else
    unsigned long found = 0;
    return elf_aux_info(which, &found, sizeof found) == 0 ? found : 0;
#endif
}

static void query_system(bool *dotprod, bool *i8mm, bool *bf16)
{
    unsigned long first = capabilities(AT_HWCAP), second = capabilities(AT_HWCAP2);
    *dotprod = first & HAS_DOTPROD;
    *i8mm = second & HAS_2_I8MM;
    *bf16 = second & HAS_2_BF16;
}

#elif defined(__APPLE__)

static bool feature(const char *name)
{
    int found = 0;
    size_t size = sizeof found;
    return sysctlbyname(name, &found, &size, NULL, 0) == 0 && found;
}

static void query_system(bool *dotprod, bool *i8mm, bool *bf16)
{
    *dotprod = feature("hw.optional.arm.FEAT_DotProd");
    *i8mm = feature("hw.optional.arm.FEAT_I8MM");
    *bf16 = feature("hw.optional.arm.FEAT_BF16");
}

#else

static void query_system(bool *dotprod, bool *i8mm, bool *bf16)
{
    *dotprod = *i8mm = *bf16 = false;
}

#endif

void zoo_kernels_detect(bool *present)
{
    bool dotprod, i8mm, bf16;
    query_system(&dotprod, &i8mm, &bf16);
    present[LEVEL_neon] = true;
    present[LEVEL_neondot] = dotprod;
    present[LEVEL_neoni8mm] = dotprod && i8mm;
    present[LEVEL_neonbf16] = bf16;
}
