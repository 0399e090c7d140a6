/* words_blocks.c: mixers and feed-forward parts in words, from the facts that they tell. */
#include <math.h>
#include <string.h>

#include "explain/words.h"

static void add(zoo_words *w, const char *format, ...) ZOO_PRINTF(2, 3);

static void add(zoo_words *w, const char *format, ...)
{
    size_t n = strlen(w->text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->text + n, sizeof w->text - n, format, args);
    va_end(args);
}

static double number(const zoo_arch_block *block, const char *name)
{
    return zoo_arch_number(block, name, 0);
}

static bool is_plain_attention(const zoo_arch_block *block)
{
    return strcmp(block->kind, "attention") == 0;
}

zoo_words zoo_say_mixer_name(const zoo_arch_block *block)
{
    zoo_words w = {""};
    double heads = number(block, "heads"), kv = number(block, "kv_heads");
    const char *rule = zoo_arch_text(block, "rule");
    if (is_plain_attention(block)) {
        add(&w, "%s attention",
            kv >= heads ? "multi-head"
            : kv < 1.5  ? "multi-query"
                        : "grouped-query");
    } else if (rule) {
        add(&w, "%s (%s)", block->kind, rule);
    } else if (number(block, "rows_chosen") > 0 && number(block, "kv_rank") > 0) {
        add(&w, "sparse latent attention");
    } else {
        add(&w, "%s", block->kind);
    }
    return w;
}

static void add_latent(zoo_words *w, const zoo_arch_block *b)
{
    add(w, ": %.0f heads of %.0f; kept of a token: a latent of %.0f", number(b, "heads"),
        number(b, "head_dim"), number(b, "kv_rank"));
    if (number(b, "rope_key") > 0) {
        add(w, " and a rope key of %.0f", number(b, "rope_key"));
    }
    if (number(b, "tokens_per_index_key") > 0) {
        add(w, ", and of every %.0f tokens an index key of %.0f", number(b, "tokens_per_index_key"),
            number(b, "index_dim"));
    } else if (number(b, "index_dim") > 0) {
        add(w, ", and an index key of %.0f", number(b, "index_dim"));
    }
    if (number(b, "q_rank") > 0) {
        add(w, "; queries from a rank of %.0f", number(b, "q_rank"));
    }
}

static void add_heads(zoo_words *w, const zoo_arch_block *b)
{
    double heads = number(b, "heads"), kv = number(b, "kv_heads");
    double dim = number(b, "head_dim"), v = number(b, "value_dim");
    if (kv < 1) {
        add(w, ": %.0f heads", heads);
    } else if (kv >= heads) {
        add(w, ": %.0f heads, each with its own keys and values,", heads);
    } else if (kv < 1.5) {
        add(w, ": %.0f heads share one key-value head", heads);
    } else {
        add(w, ": %.0f heads share %.0f key-value heads", heads, kv);
    }
    if (dim > 0) {
        add(w, " of %.0f", dim);
    }
    if (v > 0 && fabs(v - dim) > 0.5) {
        add(w, kv >= 1 ? " (values of %.0f)" : " x %.0f", v);
    }
    if (kv > 1.5 && kv < heads) {
        add(w, " (%s to 1)", zoo_say_number(heads / kv).text);
    }
}

zoo_words zoo_say_mixer(const zoo_arch_block *b)
{
    zoo_words w = zoo_say_mixer_name(b);
    if (number(b, "kv_rank") > 0) {
        add_latent(&w, b);
        return w;
    }
    if (number(b, "heads") > 0) {
        add_heads(&w, b);
    } else if (number(b, "channels") > 0) {
        add(&w, ": %.0f channels", number(b, "channels"));
    }
    if (number(b, "state_size") > 0) {
        add(&w, " with %.0f state places", number(b, "state_size"));
    }
    if (number(b, "key_heads") > 0) {
        add(&w, ", %.0f key heads", number(b, "key_heads"));
    }
    if (number(b, "convolution") > 0) {
        add(&w, "; convolution over %.0f tokens before it", number(b, "convolution"));
    }
    return w;
}

static bool has_rows(const zoo_arch_block *block)
{
    for (uint32_t i = 0; i < block->n_streams; i++) {
        if (block->streams[i].decl.kind != ZOO_STATE) {
            return true;
        }
    }
    return false;
}

zoo_words zoo_say_reach(const zoo_arch_block *b)
{
    zoo_words w = {""};
    if (number(b, "tokens_per_entry") > 0) {
        add(&w, "the last %.0f positions and ", number(b, "window"));
        if (number(b, "entries_chosen") > 0) {
            add(&w, "%.0f chosen entries, one entry for every %.0f positions before",
                number(b, "entries_chosen"), number(b, "tokens_per_entry"));
        } else {
            add(&w, "one entry for every %.0f positions before", number(b, "tokens_per_entry"));
        }
    } else if (number(b, "chunk") > 0) {
        add(&w, "positions of its own chunk of %.0f", number(b, "chunk"));
    } else if (number(b, "window") > 0) {
        add(&w, "the last %.0f positions", number(b, "window"));
    } else if (number(b, "rows_chosen") > 0) {
        add(&w, "%.0f chosen of all positions", number(b, "rows_chosen"));
    } else if (b->borrows || has_rows(b)) {
        add(&w, "all positions");
    } else {
        add(&w, "all positions, through a state of fixed size");
    }
    if (b->borrows) {
        add(&w, ", through the cache of an earlier layer");
    }
    return w;
}

zoo_words zoo_say_rotation(const zoo_arch_block *b)
{
    zoo_words w = {""};
    const char *kind = zoo_arch_text(b, "rotation");
    double dims = number(b, "rotary_dims"), head = number(b, "head_dim");
    if (!kind || strcmp(kind, "none") == 0) {
        add(&w,
            number(b, "position_bias") > 0 ? "none; a bias by distance (ALiBi) instead" : "none");
        return w;
    }
    if (number(b, "rope_key") > 0) {
        add(&w, "%.0f of %.0f dims of a head", dims, head);
    } else if (dims < head - 0.5) {
        add(&w, "%.0f of %.0f dims (%.0f %%)", dims, head, 100 * dims / head);
    } else {
        add(&w, "the whole head");
    }
    if (number(b, "theta") > 0) {
        add(&w, ", theta %s", zoo_say_number(number(b, "theta")).text);
    }
    if (strcmp(kind, "default") != 0) {
        add(&w, ", %s", kind);
        if (number(b, "rotation_factor") > 1) {
            add(&w, " times %s", zoo_say_number(number(b, "rotation_factor")).text);
        }
    }
    return w;
}

zoo_words zoo_say_activation(const zoo_arch_block *b)
{
    static const struct {
        const char *activation, *gated;
    } names[] = {
        {"silu", "SwiGLU"}, {"gelu", "GEGLU"}, {"gelu (tanh)", "GEGLU (tanh)"}, {"relu", "ReGLU"}};
    zoo_words w = {""};
    const char *activation = zoo_arch_text(b, "activation");
    bool gated = number(b, "gated") > 0;
    for (size_t i = 0; activation && gated && i < ZOO_COUNT(names); i++) {
        if (strcmp(activation, names[i].activation) == 0) {
            add(&w, "%s", names[i].gated);
            return w;
        }
    }
    add(&w, "%s%s", gated ? "gated " : "", activation ? activation : "");
    return w;
}

static void add_experts(zoo_words *w, const zoo_arch_block *b)
{
    const char *router = zoo_arch_text(b, "router"), *weights = zoo_arch_text(b, "weights");
    add(w, "%.0f experts of %.0f inside (%s), %.0f for a token", number(b, "experts"),
        number(b, "inner"), zoo_say_activation(b).text, number(b, "experts_per_token"));
    if (number(b, "shared_inner") > 0) {
        add(w, ", and a shared part of %.0f%s", number(b, "shared_inner"),
            number(b, "shared_gate") > 0 ? " with a gate" : "");
    }
    if (router) {
        add(w, "; chosen by %s", router);
    }
    if (number(b, "choice_bias") > 0) {
        add(w, " plus a bias that counts for the choice alone");
    }
    if (number(b, "expert_groups") > 0) {
        add(w, ", from the best %.0f of %.0f groups", number(b, "groups_kept"),
            number(b, "expert_groups"));
    }
    if (weights) {
        add(w, ", weighed by %s", weights);
    }
    if (number(b, "weights_renormalised") > 0) {
        add(w, ", weights sum to 1");
    }
    if (number(b, "routed_scale") > 0) {
        add(w, ", times %s", zoo_say_number(number(b, "routed_scale")).text);
    }
}

zoo_words zoo_say_ffn(const zoo_arch_block *b)
{
    zoo_words w = {""};
    if (number(b, "experts") > 0) {
        add_experts(&w, b);
    } else if (number(b, "inner") > 0) {
        add(&w, "%s feed-forward, %.0f inside", zoo_say_activation(b).text, number(b, "inner"));
    } else {
        add(&w, "%s", b->kind);
    }
    return w;
}

/* Facts that the phrases above tell, or that only count. */
static bool is_told(const char *name)
{
    static const char *const told[] = {"kind",
                                       "heads",
                                       "kv_heads",
                                       "head_dim",
                                       "value_dim",
                                       "window",
                                       "chunk",
                                       "rotation",
                                       "rotary_dims",
                                       "theta",
                                       "scale",
                                       "q_rank",
                                       "kv_rank",
                                       "rope_key",
                                       "index_dim",
                                       "tokens_per_index_key",
                                       "rows_chosen",
                                       "inner",
                                       "activation",
                                       "gated",
                                       "experts",
                                       "rule",
                                       "convolution",
                                       "state_size",
                                       "key_heads",
                                       "channels",
                                       "router",
                                       "weights",
                                       "choice_bias",
                                       "routed_scale",
                                       "experts_per_token",
                                       "shared_inner",
                                       "shared_gate",
                                       "expert_groups",
                                       "groups_kept",
                                       "weights_renormalised",
                                       "rotation_factor",
                                       "qk_norm_place",
                                       "tokens_per_entry",
                                       "entries_chosen",
                                       "position_bias",
                                       "interleaved",
                                       "index_heads",
                                       "reads_another_layers_cache"};
    if (strncmp(name, "flops.", 6) == 0 || strncmp(name, "read.", 5) == 0) {
        return true;
    }
    for (size_t i = 0; i < ZOO_COUNT(told); i++) {
        if (strcmp(name, told[i]) == 0) {
            return true;
        }
    }
    return false;
}

zoo_words zoo_say_extras(const zoo_arch_block *b)
{
    zoo_words w = {""};
    for (uint32_t i = 0; i < b->n_facts; i++) {
        const zoo_fact *fact = &b->facts[i];
        if (is_told(fact->name)) {
            continue;
        }
        char name[ZOO_FACT_NAME];
        (void)snprintf(name, sizeof name, "%s", fact->name);
        for (char *p = name; *p; p++) {
            *p = *p == '_' ? ' ' : *p;
        }
        add(&w, "%s%s", *w.text ? "; " : "", name);
        if (fact->text[0]) {
            add(&w, ": %s", fact->text);
        } else if (fabs(fact->number - 1) > 1e-9) {
            add(&w, " %s", zoo_say_number(fact->number).text);
        }
    }
    return w;
}
