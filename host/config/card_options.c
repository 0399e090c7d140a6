/*
 * card_options.c: the options that shared blocks and the plugins of the tree read as "@name", and
 * the values of those that choose among words. A test compares the names with the sources.
 */
#include "config/card_options.h"

#include <string.h>

const zoo_card_option zoo_card_options[] = {
    {"act", NULL},
    {"adapters", NULL},
    {"alibi", NULL},
    {"alibi_rounded", NULL},
    {"attention", NULL},
    {"attention_norms", NULL},
    {"attention_placement", "pre|parallel|post|sandwich"},
    {"average", NULL},
    {"base_width", NULL},
    {"chosen", NULL},
    {"clamp", "all|routed"},
    {"clip", NULL},
    {"correction_bias", NULL},
    {"delta_bound", NULL},
    {"delta_double", NULL},
    {"delta_eps", NULL},
    {"delta_layout", "fused|separate|low_rank|grouped|plain"},
    {"delta_three_quarters", NULL},
    {"dense_prefix", NULL},
    {"dense_width", NULL},
    {"depth_scale", NULL},
    {"down_transposed", NULL},
    {"dt_min", NULL},
    {"dt_norm", "rms|plain"},
    {"dt_norm_eps", NULL},
    {"embed", NULL},
    {"embed_dim", NULL},
    {"embed_norm", NULL},
    {"embed_scale", "sqrt|sqrt_bf16"},
    {"embed_scale_if", NULL},
    {"embed_scale_inside", NULL},
    {"expert_bias", NULL},
    {"experts_min", NULL},
    {"factors", NULL},
    {"ffn", "xielu"},
    {"final_norm_plain", NULL},
    {"first_norm", NULL},
    {"full_at", NULL},
    {"full_name", NULL},
    {"fused_gate_up", NULL},
    {"fused_qkv", NULL},
    {"gate", NULL},
    {"gate_act", "softplus|sigmoid"},
    {"gate_in_q", NULL},
    {"gated_eps", NULL},
    {"gated_norm", NULL},
    {"gated_norms", NULL},
    {"gelu_is_tanh", NULL},
    {"generation", NULL},
    {"group_max", NULL},
    {"group_zero", NULL},
    {"grouped_if", NULL},
    {"groups", NULL},
    {"groups_by", NULL},
    {"half_width", NULL},
    {"head", NULL},
    {"head_bias", NULL},
    {"independent", NULL},
    {"index", NULL},
    {"index_eps", NULL},
    {"index_interleaved", NULL},
    {"index_last", NULL},
    {"indices_or_all", NULL},
    {"input_width", NULL},
    {"interleave", NULL},
    {"interleaved", NULL},
    {"interleaved_gate", NULL},
    {"kinds", "types|period|interval|indices|group|listed|all"},
    {"last_eps", NULL},
    {"last_norm_if", NULL},
    {"last_norm_off", NULL},
    {"latent", NULL},
    {"latent_attention", "rotated|plain"},
    {"latent_eps", NULL},
    {"latent_gate", NULL},
    {"layer", "compressed|framed|hyper|shortcut"},
    {"layer_eps", NULL},
    {"layer_list", NULL},
    {"layers", NULL},
    {"limit", NULL},
    {"local", NULL},
    {"logits", "divide|multiply"},
    {"mixer", NULL},
    {"mixer_name", NULL},
    {"mlp", NULL},
    {"mlp_bias", NULL},
    {"moe", NULL},
    {"multi_query", NULL},
    {"negated", NULL},
    {"no_mscale", NULL},
    {"norm", "rms|rms_plus_one|layer|layer_plus_one"},
    {"norm_before_gate", NULL},
    {"norm_bias", NULL},
    {"norm_name", NULL},
    {"norm_weight", NULL},
    {"normed_experts", NULL},
    {"norms", NULL},
    {"norms_one", NULL},
    {"norms_then", NULL},
    {"o_bias", NULL},
    {"out_bias", NULL},
    {"pattern", NULL},
    {"period", NULL},
    {"placement", "pre|parallel|post|sandwich|keys|after"},
    {"placement_if", NULL},
    {"placement_then", "pre|parallel|post|sandwich|keys|after"},
    {"plain", NULL},
    {"position_offset", NULL},
    {"positions", NULL},
    {"post_norm_eps", NULL},
    {"prefix", NULL},
    {"prefix_nested", NULL},
    {"products", NULL},
    {"proj_bias", NULL},
    {"q_both", NULL},
    {"qk_norm", "head|own|full"},
    {"qk_norm_after", NULL},
    {"qk_norm_bias", NULL},
    {"qk_norm_if", NULL},
    {"qk_norm_rotating", NULL},
    {"qk_norm_weight", NULL},
    {"qkv", "quarters|fused|grouped|split"},
    {"qkv_bias", NULL},
    {"query_factor", NULL},
    {"query_scalar", NULL},
    {"rank_scale", NULL},
    {"renorm", NULL},
    {"renorm_eps", NULL},
    {"renorm_floor", NULL},
    {"renorm_p", NULL},
    {"residual_from_norm", NULL},
    {"rms_if", NULL},
    {"rope_partial", NULL},
    {"rope_theta", NULL},
    {"rotary_dim", NULL},
    {"rotate", "all|sliding|sliding_if_any|sliding_or_dense|listed|theta|none|position_type|"
               "unless_null"},
    {"round_if", NULL},
    {"rounded_width", NULL},
    {"router_bias", NULL},
    {"same_theta", NULL},
    {"scale", NULL},
    {"score", "logit|softmax|sigmoid|sqrt_softplus|sparsemixer"},
    {"shape", "shared|single|rwkv|parallel"},
    {"shared", NULL},
    {"shared_bias", NULL},
    {"shared_block", NULL},
    {"shared_gate", NULL},
    {"shared_mlp", NULL},
    {"shared_rope", NULL},
    {"sinks", NULL},
    {"skipped", NULL},
    {"sliding", "all|from_max_window|even_below_max|period|pattern|no_rope|chunked|none"},
    {"sliding_kv_double", NULL},
    {"sliding_theta", NULL},
    {"sliding_theta_key", NULL},
    {"softcap", NULL},
    {"softcap_logits", NULL},
    {"softcap_scores", NULL},
    {"sparse", "none|all|step|first_dense|interval|period|freq|listed"},
    {"split", NULL},
    {"ssm_multipliers", NULL},
    {"stacked", NULL},
    {"state_heads", NULL},
    {"stored_in_out", NULL},
    {"sub_norm", NULL},
    {"sum_bias", NULL},
    {"temperature", "yarn|no_rope"},
    {"template", NULL},
    {"theta_ignored", NULL},
    {"tied", NULL},
    {"transposed", NULL},
    {"types", NULL},
    {"unit_scale", NULL},
    {"unscaled_sliding", NULL},
    {"v_norm", NULL},
    {"weigh_input", NULL},
    {"weighed", NULL},
    {"window_if", NULL},
    {"window_plus", NULL},
    {NULL, NULL},
};

/* Edits (a letter more, less, other, or two exchanged) between two words. */
static uint32_t distance(const char *a, const char *b)
{
    enum { WORD_MAX = 48 };
    uint32_t rows[3][WORD_MAX + 1];
    size_t n = strlen(a), m = strlen(b);
    if (n > WORD_MAX || m > WORD_MAX) {
        return UINT32_MAX;
    }
    for (uint32_t j = 0; j <= m; j++) {
        rows[0][j] = j;
    }
    for (uint32_t i = 1; i <= n; i++) {
        uint32_t *row = rows[i % 3], *above = rows[(i + 2) % 3], *before = rows[(i + 1) % 3];
        row[0] = i;
        for (uint32_t j = 1; j <= m; j++) {
            uint32_t best = above[j - 1] + (a[i - 1] != b[j - 1]);
            best = above[j] + 1 < best ? above[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
            row[j] = swapped && before[j - 2] + 1 < best ? before[j - 2] + 1 : best;
        }
    }
    return rows[n % 3][m];
}

const char *zoo_card_option_nearest(const char *name)
{
    const char *nearest = zoo_card_options[0].name;
    uint32_t least = UINT32_MAX;
    for (const zoo_card_option *o = zoo_card_options; o->name; o++) {
        uint32_t d = distance(name, o->name);
        if (d < least) {
            least = d;
            nearest = o->name;
        }
    }
    return nearest;
}

static void nearest_word(const char *list, const char *word, char *out, size_t n)
{
    uint32_t least = UINT32_MAX;
    for (const char *p = list; *p; p += *p == '|') {
        char one[64];
        size_t k = strcspn(p, "|");
        (void)snprintf(one, sizeof one, "%.*s", (int)k, p);
        uint32_t d = distance(word, one);
        if (d < least) {
            least = d;
            (void)snprintf(out, n, "%s", one);
        }
        p += k;
    }
}

static bool is_listed(const char *list, const char *word)
{
    size_t n = strlen(word);
    for (const char *p = list; *p; p += *p == '|') {
        size_t k = strcspn(p, "|");
        if (k == n && strncmp(p, word, n) == 0) {
            return true;
        }
        p += k;
    }
    return false;
}

zoo_status zoo_card_option_check(const char *path, const cJSON *option, zoo_error *err)
{
    const char *word = cJSON_GetStringValue(option);
    for (const zoo_card_option *o = zoo_card_options; o->name; o++) {
        if (strcmp(o->name, option->string) != 0) {
            continue;
        }
        if (o->values && word && !is_listed(o->values, word)) {
            char nearest[64] = "";
            nearest_word(o->values, word, nearest, sizeof nearest);
            return zoo_fail(err, ZOO_E_FORMAT,
                            "%s: option \"%s\" is \"%.60s\", none of %s; did you mean \"%s\"?",
                            path, o->name, word, o->values, nearest);
        }
        return ZOO_OK;
    }
    return zoo_fail(err, ZOO_E_FORMAT, "%s: no plugin reads option \"%.60s\"; did you mean \"%s\"?",
                    path, option->string, zoo_card_option_nearest(option->string));
}
