/*
 * select.c: fills one kernel table per level that the CPU and its system have (detect.h). Tables
 * are filled once, at the first call.
 */
#include "kernels/select.h"

#include <stdatomic.h>
#include <string.h>

#include "kernels/detect.h"
#include "kernels/openblas.h"

static const char *const names[] = {
#define LEVEL_NAME(name, list) #name,
    ZOO_KERNEL_LEVELS(LEVEL_NAME)
#undef LEVEL_NAME
};
static zoo_kernels tables[N_LEVELS];
static bool present[N_LEVELS];
static bool may_openblas; /* the CPU can run it, if its library is installed */
static atomic_int ready;  /* 0: tables are empty, 1: a thread is filling them, 2: filled */

#define FILL_GEMM(kind, wtype, xtype, isa_x, isa_)                                                 \
    table->gemm[kind] = (zoo_gemm_slots){k_prepared_size_##xtype##_##isa_x,                        \
                                         k_prepare_##xtype##_##isa_x, k_gemm_##wtype##_##isa_};

static void fill(zoo_kernels *table, zoo_level to)
{
    switch (to) {
#define FILL_LEVEL(name, list)                                                                     \
    case LEVEL_##name:                                                                             \
        list(FILL_GEMM);                                                                           \
        break;
        ZOO_KERNEL_LEVELS(FILL_LEVEL)
#undef FILL_LEVEL
    case N_LEVELS:
        break;
    }
#define FILL_WHOLE(name)                                                                           \
    if (to == LEVEL_##name) {                                                                      \
        k_fill_##name(table);                                                                      \
    }
    ZOO_WHOLE_LEVELS(FILL_WHOLE)
#undef FILL_WHOLE
#define FILL_ATTEND(level)                                                                         \
    if (to == LEVEL_##level) {                                                                     \
        table->attend = k_attend_##level;                                                          \
        table->attend_part = k_attend_part_##level;                                                \
        table->attend_join = k_attend_join_##level;                                                \
    }
    ZOO_OWN_ATTEND(FILL_ATTEND)
#undef FILL_ATTEND
}

static void fill_all(void)
{
    int empty = 0;
    if (atomic_load_explicit(&ready, memory_order_acquire) == 2) {
        return;
    }
    if (!atomic_compare_exchange_strong(&ready, &empty, 1)) {
        while (atomic_load(&ready) != 2) {
        }
        return;
    }
    zoo_kernels table = {.size = sizeof table};
    present[LEVEL_scalar] = present[LEVEL_openblas] = true;
    zoo_kernels_detect(present);
    may_openblas = present[LEVEL_openblas];
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (present[i]) {
            fill(&table, (zoo_level)i);
            table.isa = names[i];
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
            return names[l];
        }
    }
    return NULL;
}

/* "openblas", or with a version and CPU type. */
static bool means_openblas(const char *isa)
{
    return strncmp(isa, names[LEVEL_openblas], strlen(names[LEVEL_openblas])) == 0;
}

static void refuse(const char *isa, zoo_error *err)
{
    char list[128] = "";
    size_t used = 0;
    if (means_openblas(isa) && may_openblas && !present[LEVEL_openblas]) {
        (void)zoo_fail(
            err, ZOO_E_USAGE,
            "instruction set openblas needs the library libopenblas.so.0, which cannot be "
            "loaded (Debian: libopenblas0)");
        return;
    }
    for (uint32_t i = 0; zoo_kernels_isa(i) && used < sizeof list; i++) {
        int n =
            snprintf(list + used, sizeof list - used, "%s%s", i ? ", " : "", zoo_kernels_isa(i));
        used += n > 0 ? (size_t)n : 0;
    }
    (void)zoo_fail(err, ZOO_E_USAGE, "instruction set %s is not available; this machine has %s",
                   isa, list);
}

/* Loads OpenBLAS if it is chosen by name, or by default on a CPU without kernels of our own. */
static void begin_openblas(const char *isa)
{
    bool is_best = true;
    for (uint32_t i = LEVEL_openblas + 1; i < N_LEVELS; i++) {
        is_best &= !present[i];
    }
    if (may_openblas && (isa ? means_openblas(isa) : is_best)) {
        const char *full = zoo_openblas_begin();
        present[LEVEL_openblas] = full != NULL;
        tables[LEVEL_openblas].isa = full ? full : names[LEVEL_openblas];
    }
}

const zoo_kernels *zoo_kernels_select(const char *isa, zoo_error *err)
{
    static atomic_flag begins = ATOMIC_FLAG_INIT; /* one thread at a time loads OpenBLAS */
    const zoo_kernels *best = NULL;
    fill_all();
    while (atomic_flag_test_and_set(&begins)) {
    }
    begin_openblas(isa);
    for (uint32_t i = 0; i < N_LEVELS; i++) {
        if (present[i] && (!isa || strcmp(isa, names[i]) == 0 || strcmp(isa, tables[i].isa) == 0)) {
            best = &tables[i];
        }
    }
    atomic_flag_clear(&begins);
    if (!best) {
        refuse(isa, err);
    }
    return best;
}

static bool through_openblas(const zoo_kernels *k, uint32_t kind)
{
    zoo_k_gemm *theirs = tables[LEVEL_openblas].gemm[kind].gemm;
    return k->gemm[kind].gemm == theirs && theirs != tables[LEVEL_scalar].gemm[kind].gemm;
}

zoo_status zoo_kernels_check(const zoo_kernels *k, uint32_t kind, uint32_t cols, zoo_error *err)
{
    bool theirs = kind < ZOO_WEIGHT_KINDS && through_openblas(k, kind);
    if (!theirs || zoo_openblas_agrees(cols)) {
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_UNSUPPORTED,
                    "%s: with %u inputs a row's result depends on the rows beside it, so batches "
                    "would not be reproducible: give --isa scalar, or install another release of "
                    "OpenBLAS",
                    tables[LEVEL_openblas].isa, cols);
}

void zoo_kernels_begin(const zoo_kernels *k)
{
    if (through_openblas(k, ZOO_F32)) {
        zoo_openblas_touch();
    }
}

void zoo_kernels_pack_panel(const zoo_weight *w, const float *rows, uint32_t n, void *data,
                            uint16_t *scales)
{
    zoo_k_pack_panel *best = k_pack_panel_scalar;
    fill_all();
#define PACK_WHOLE(name) best = present[LEVEL_##name] ? k_pack_panel_##name : best;
    ZOO_WHOLE_LEVELS(PACK_WHOLE)
#undef PACK_WHOLE
    best(w, rows, n, data, scales);
}

/* Whether the peak of weights `of` also applies to `kind`: int4 uses the instruction of int8 if a
 * level has no other, int5 that of int4, int6 that of int8; bf16 is widened to f32. */
static bool serves(uint32_t of, uint32_t kind)
{
    return of == kind ||
           (of == ZOO_INT8 && (kind == ZOO_INT4 || kind == ZOO_INT5 || kind == ZOO_INT6)) ||
           (of == ZOO_INT4 && kind == ZOO_INT5) || (of == ZOO_F32 && kind == ZOO_BF16);
}

zoo_k_peak *zoo_kernels_peak(const char *isa, uint32_t kind)
{
    static const struct {
        zoo_level level;
        uint32_t kind;
        zoo_k_peak *fn;
    } peaks[] = {
#define PEAK_ROW(level, kind, name) {LEVEL_##level, kind, k_peak_##name##_##level},
        ZOO_KERNEL_PEAKS(PEAK_ROW)
#undef PEAK_ROW
            {N_LEVELS, 0, NULL},
    };
    zoo_k_peak *best = NULL;
    fill_all();
    for (uint32_t l = 0; l < N_LEVELS; l++) {
        for (size_t i = 0; i < ZOO_COUNT(peaks); i++) {
            if (present[l] && peaks[i].level == (zoo_level)l && serves(peaks[i].kind, kind)) {
                best = peaks[i].fn;
            }
        }
        if (present[l] && strcmp(isa, tables[l].isa) == 0) {
            break;
        }
    }
    return best;
}
