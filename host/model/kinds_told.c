/* kinds_told.c: see kinds_told.h. */
#include "model/kinds_told.h"

#include <string.h>

#include "checkpoint/matrix.h"

static const char *const kind_names[ZOO_WEIGHT_KINDS] = {
    [ZOO_F32] = "float32", [ZOO_BF16] = "bf16", [ZOO_INT8] = "int8",
    [ZOO_INT4] = "int4",   [ZOO_INT5] = "int5", [ZOO_INT6] = "int6",
};

static bool is_quantised(const zoo_matrix *m)
{
    return m->codes && m->codes != m->plain && !m->joined;
}

void zoo_model_count_rounded(zoo_model *model, const zoo_matrix *m)
{
    zoo_model_stats *s = &model->stats;
    if (s->n_rounded++ == 0) {
        (void)snprintf(s->rounded, sizeof s->rounded, "%s", m->format);
    }
}

void zoo_model_count_kind(zoo_model *model, const zoo_matrix *m, uint32_t flags,
                          const zoo_weight *w)
{
    zoo_model_stats *s = &model->stats;
    if (flags & ZOO_BIND_EXACT) {
        s->n_exact++;
        return;
    }
    s->n_kinds[w->kind]++;
    s->n_kept += w->group && m->codes && w->kind != ZOO_F32;
    s->n_wide += zoo_model_keeps_wide(model, m);
    if (is_quantised(m) && !w->group && w->kind != ZOO_F32) {
        zoo_model_count_rounded(model, m);
    }
    if (w->kind == ZOO_F32 && !s->widened[0]) {
        (void)snprintf(s->widened, sizeof s->widened, "%s", m->format);
    }
}

/* Why float32 was taken although nobody asked for it. */
static void tell_widened(const zoo_model_stats *s, FILE *out)
{
    if (strcmp(s->widened, "F32") == 0) {
        (void)fprintf(out, ", as they are stored");
    } else {
        (void)fprintf(out, ", which holds what is stored (%s) to the bit and bf16 does not",
                      s->widened);
    }
}

static void tell_kind(const zoo_model *model, uint32_t kind, FILE *out)
{
    const zoo_model_stats *s = &model->stats;
    (void)fprintf(out, "%llu %s in %s", (unsigned long long)s->n_kinds[kind],
                  s->n_kinds[kind] == 1 ? "matrix" : "matrices", kind_names[kind]);
    if (model->weight_kind != ZOO_DTYPE_MAX) {
        return;
    }
    if (kind == ZOO_F32) {
        tell_widened(s, out);
    } else {
        (void)fprintf(out, ", as they are stored");
    }
}

void zoo_model_tell_kinds(const zoo_model *model, FILE *out)
{
    const zoo_model_stats *s = &model->stats;
    bool automatic = model->weight_kind == ZOO_DTYPE_MAX, any = false;
    (void)fprintf(out, "%s: ",
                  automatic                       ? "auto"
                  : model->weight_kind == ZOO_F32 ? "f32"
                  : model->packs_all              ? "int4-all"
                                                  : kind_names[model->weight_kind]);
    for (uint32_t kind = 0; kind < ZOO_WEIGHT_KINDS; kind++) {
        if (s->n_kinds[kind]) {
            (void)fputs(any ? "; " : "", out);
            tell_kind(model, kind, out);
            any = true;
        }
    }
    if (s->n_kept) {
        (void)fprintf(out, "; %llu keep the codes that are stored", (unsigned long long)s->n_kept);
    }
    if (s->n_wide) {
        (void)fprintf(out, "; %llu kept wide as in the checkpoint (int4-all packs these too)",
                      (unsigned long long)s->n_wide);
    }
    if (s->n_rounded) {
        (void)fprintf(out, "; what is stored (%s) is rounded a second time in %llu", s->rounded,
                      (unsigned long long)s->n_rounded);
    }
    if (s->n_exact) {
        (void)fprintf(out, "%s%llu that every kind keeps in float32", any ? "; " : "",
                      (unsigned long long)s->n_exact);
    }
}
