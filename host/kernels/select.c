/*
 * select.c: fills one kernel table per instruction set that the CPU and its system have.
 *
 * A set counts when CPUID lists it and XCR0 says that the system saves its registers; AMX also
 * needs a permission of the system, asked for once. Tables are filled once, at the first call.
 */
#include "kernels/select.h"

#include <stdatomic.h>
#include <string.h>

#include "kernels/kernels.inc"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

typedef enum level {
#define LEVEL_ENUM(name, list) LEVEL_##name,
    ZOO_KERNEL_LEVELS(LEVEL_ENUM)
#undef LEVEL_ENUM
        N_LEVELS
} level;

static zoo_kernels tables[N_LEVELS];
static bool present[N_LEVELS];
static atomic_int ready; /* 0: nobody filled them, 1: somebody does, 2: filled */

#if defined(__x86_64__)

enum { XCR0_AVX = 0x6, XCR0_AVX512 = 0xe6, XCR0_AMX = 0x60000 };

static bool bit(unsigned word, int i)
{
    return word >> i & 1u;
}

/* The registers that the system saves; 0 where it cannot be asked. */
static uint64_t saved_state(void)
{
    unsigned a = 0, b = 0, c = 0, d = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d) || !bit(c, 27)) {
        return 0;
    }
    __asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
    return (uint64_t)d << 32 | a;
}

/* Linux gives tiles to a process that asks: ARCH_REQ_XCOMP_PERM for XFEATURE_XTILEDATA. */
static bool ask_for_tiles(void)
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

static void detect(void)
{
    unsigned a1 = 0, b1 = 0, c1 = 0, d1 = 0, a = 0, b = 0, c = 0, d = 0;
    unsigned sub = 0, b2 = 0, c2 = 0, d2 = 0;
    uint64_t saved = saved_state();
    if (!__get_cpuid(1, &a1, &b1, &c1, &d1) || !__get_cpuid_count(7, 0, &a, &b, &c, &d) ||
        (saved & XCR0_AVX) != XCR0_AVX) {
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
                         ask_for_tiles();
}

#else

static void detect(void)
{
}

#endif

#define FILL_GEMM(kind, wtype, xtype, isa_x, isa_)                                                 \
    table->gemm[kind] = (zoo_gemm_slots){k_prepared_size_##xtype##_##isa_x,                        \
                                         k_prepare_##xtype##_##isa_x, k_gemm_##wtype##_##isa_};

static void fill(zoo_kernels *table, level to)
{
    switch (to) {
#define FILL_LEVEL(name, list)                                                                     \
    case LEVEL_##name:                                                                             \
        list(FILL_GEMM);                                                                           \
        table->isa = #name;                                                                        \
        break;
        ZOO_KERNEL_LEVELS(FILL_LEVEL)
#undef FILL_LEVEL
    case N_LEVELS:
        break;
    }
#define FILL_SCALAR(type, name) table->name = k_##name##_scalar;
#define FILL_AVX2(type, name)   table->name = k_##name##_avx2;
#define FILL_AVX512(type, name) table->name = k_##name##_avx512;
    if (to == LEVEL_scalar) {
        ZOO_KERNEL_SLOTS(FILL_SCALAR)
    } else if (to == LEVEL_avx2) {
        ZOO_KERNEL_SLOTS(FILL_AVX2)
    } else if (to == LEVEL_avx512) {
        ZOO_KERNEL_SLOTS(FILL_AVX512)
    }
}

static void fill_all(void)
{
    int nobody = 0;
    if (atomic_load_explicit(&ready, memory_order_acquire) == 2) {
        return;
    }
    if (!atomic_compare_exchange_strong(&ready, &nobody, 1)) {
        while (atomic_load(&ready) != 2) {
        }
        return;
    }
    zoo_kernels table = {.size = sizeof table};
    present[LEVEL_scalar] = true;
    detect();
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (present[i]) {
            fill(&table, (level)i);
            tables[i] = table;
        }
    }
    atomic_store(&ready, 2);
}

const char *zoo_kernels_isa(uint32_t i)
{
    fill_all();
    for (uint32_t l = 0; l < N_LEVELS; l++) {
        if (present[l] && i-- == 0) {
            return tables[l].isa;
        }
    }
    return NULL;
}

static void refuse(const char *isa, zoo_error *err)
{
    char names[128] = "";
    size_t used = 0;
    for (uint32_t i = 0; zoo_kernels_isa(i) && used < sizeof names; i++) {
        int n =
            snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", zoo_kernels_isa(i));
        used += n > 0 ? (size_t)n : 0;
    }
    (void)zoo_fail(err, ZOO_E_USAGE, "instruction set %s is not here; this machine has %s", isa,
                   names);
}

const zoo_kernels *zoo_kernels_select(const char *isa, zoo_error *err)
{
    const zoo_kernels *best = NULL;
    fill_all();
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (present[i] && (!isa || strcmp(isa, tables[i].isa) == 0)) {
            best = &tables[i];
        }
    }
    if (!best) {
        refuse(isa, err);
    }
    return best;
}

void zoo_kernels_pack_panel(const zoo_weight *w, const float *rows, uint32_t n, void *data,
                            uint16_t *scales)
{
    fill_all();
    if (present[LEVEL_avx512]) {
        k_pack_panel_avx512(w, rows, n, data, scales);
    } else if (present[LEVEL_avx2]) {
        k_pack_panel_avx2(w, rows, n, data, scales);
    } else {
        k_pack_panel_scalar(w, rows, n, data, scales);
    }
}

/* int4 goes through the instruction of int8 where a level has no better one, int5 through that of
 * int4; bf16 is widened. */
static bool serves(uint32_t of, uint32_t kind)
{
    return of == kind || (of == ZOO_INT8 && (kind == ZOO_INT4 || kind == ZOO_INT5)) ||
           (of == ZOO_INT4 && kind == ZOO_INT5) || (of == ZOO_F32 && kind == ZOO_BF16);
}

zoo_k_peak *zoo_kernels_peak(const char *isa, uint32_t kind)
{
    static const struct {
        level level;
        uint32_t kind;
        zoo_k_peak *fn;
    } peaks[] = {
#define PEAK_ROW(level, kind, name) {LEVEL_##level, kind, k_peak_##name##_##level},
        ZOO_KERNEL_PEAKS(PEAK_ROW)
#undef PEAK_ROW
    };
    zoo_k_peak *best = NULL;
    fill_all();
    for (uint32_t l = 0; l < N_LEVELS; l++) {
        for (size_t i = 0; i < ZOO_COUNT(peaks); i++) {
            if (present[l] && peaks[i].level == (level)l && serves(peaks[i].kind, kind)) {
                best = peaks[i].fn;
            }
        }
        if (present[l] && strcmp(isa, tables[l].isa) == 0) {
            break;
        }
    }
    return best;
}
