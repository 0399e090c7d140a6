/* norms.c: which norms a layer has and where they stand, in words. */
#include <string.h>

#include "explain/arch.h"

const char *zoo_norm_name(uint32_t kind)
{
    static const char *const names[] = {"none", "RMSNorm", "RMSNorm (1 + w)", "LayerNorm",
                                        "LayerNorm (1 + w)"};
    return kind < ZOO_COUNT(names) ? names[kind] : "unknown";
}

static bool has_norm(const zoo_norm *norm)
{
    return norm && norm->kind != ZOO_NORM_NONE;
}

const zoo_norm *zoo_arch_first_norm(const zoo_arch_layer *layer)
{
    const zoo_layer *l = layer->layer;
    for (uint32_t i = 0; i < layer->n_blocks; i++) {
        if (has_norm(layer->blocks[i].norm)) {
            return layer->blocks[i].norm;
        }
    }
    for (uint32_t i = 0; i < l->n_branches && !l->ops; i++) {
        const zoo_norm *both[] = {&l->branches[i].post, &l->branches[i].after};
        for (size_t k = 0; k < ZOO_COUNT(both); k++) {
            if (has_norm(both[k])) {
                return both[k];
            }
        }
    }
    return NULL;
}

bool zoo_arch_is_parallel(const zoo_arch_layer *layer)
{
    const zoo_layer *l = layer->layer;
    bool mixer = false, ffn = false;
    if (l->ops || l->n_branches != 1) {
        return false;
    }
    for (uint32_t i = 0; i < layer->n_blocks; i++) {
        mixer = mixer || layer->blocks[i].role == ZOO_ROLE_MIXER;
        ffn = ffn || layer->blocks[i].role == ZOO_ROLE_FFN;
    }
    return mixer && ffn;
}

/* Of a layer with its own block: what it tells, else whether its parts have norms. */
static const char *own_place(const zoo_arch_layer *layer)
{
    const zoo_arch_block *own = &layer->blocks[layer->n_blocks - 1];
    const char *told = zoo_arch_text(own, "norm_place");
    if (told) {
        return strcmp(told, "before") == 0 ? "before each branch"
               : strcmp(told, "before and after") == 0
                   ? "before each branch and after it, before the addition"
                   : told;
    }
    return zoo_arch_first_norm(layer) ? "before each branch" : "inside the layer's own block";
}

const char *zoo_arch_norm_place(const zoo_arch_layer *layer)
{
    const zoo_layer *l = layer->layer;
    bool pre = false, post = false, after = false, raw = false;
    if (l->ops) {
        return own_place(layer);
    }
    for (uint32_t i = 0; i < l->n_branches; i++) {
        pre = pre || has_norm(&l->branches[i].parts[0].norm);
        post = post || has_norm(&l->branches[i].post);
        after = after || has_norm(&l->branches[i].after);
        raw = raw || l->branches[i].residual_from_norm;
    }
    if (zoo_arch_is_parallel(layer)) {
        return "one norm before both branches, which are added together";
    }
    return raw && !after  ? "before each branch; the residual is taken after the norm"
           : after && pre ? "on the stream, after additions, and before a branch"
           : after        ? "on the stream, after each addition"
           : pre && post  ? "before each branch and after it, before the addition"
           : post         ? "after each branch, before the addition; none before it"
           : pre          ? "before each branch"
                          : "none";
}
