/*
 * diff_blocks.c: two mixers, or two feed-forward parts, that take the same place in a layer: what
 * the second does differently. Counts that only make a model larger are left to the table of sizes.
 */
#include <math.h>
#include <string.h>

#include "explain/diff.h"
#include "explain/memory.h"
#include "explain/words.h"

typedef struct teller {
    zoo_sayings *out;
    const zoo_arch_block *a, *b;
} teller;

static double number(const zoo_arch_block *block, const char *name)
{
    return zoo_arch_number(block, name, 0);
}

static bool differ(double x, double y)
{
    return fabs(x - y) > 1e-9 * (fabs(x) + fabs(y));
}

static bool same_text(const zoo_arch_block *a, const zoo_arch_block *b, const char *name)
{
    const char *x = zoo_arch_text(a, name), *y = zoo_arch_text(b, name);
    return strcmp(x ? x : "", y ? y : "") == 0;
}

static void say(teller *t, const char *text)
{
    if (t->out->n < ZOO_SAYINGS) {
        zoo_print(t->out->text[t->out->n++], sizeof t->out->text[0], "%s", text);
    }
}

/* Bytes of bf16 that a token leaves in a layer. */
static double bytes_of(const zoo_arch_block *block)
{
    double bytes = 0;
    for (uint32_t i = 0; i < block->n_streams && !block->borrows; i++) {
        const zoo_stream *s = &block->streams[i].decl;
        double row = zoo_cache_row_cost(s, zoo_cache_kinds[ZOO_BF16]).bytes;
        bytes += s->kind == ZOO_STATE ? 0 : row / (s->stride ? s->stride : 1);
    }
    return bytes;
}

static double states_of(const zoo_arch_block *block)
{
    double bytes = 0;
    for (uint32_t i = 0; i < block->n_streams && !block->borrows; i++) {
        const zoo_stream *s = &block->streams[i].decl;
        bytes += s->kind == ZOO_STATE ? zoo_cache_row_cost(s, zoo_cache_kinds[ZOO_BF16]).bytes : 0;
    }
    return bytes;
}

static bool has_only_states(const zoo_arch_block *block)
{
    return states_of(block) > 0 && !(bytes_of(block) > 0);
}

static zoo_words kept(const zoo_arch_block *block)
{
    zoo_words w = {""};
    double rows = bytes_of(block), states = states_of(block);
    if (rows > 0 && states > 0) {
        zoo_print(w.text, sizeof w.text, "%.0f bytes a token and layer and a state of %s", rows,
                  zoo_say_bytes(states).text);
    } else if (states > 0) {
        zoo_print(w.text, sizeof w.text, "a state of %s a layer, whatever the length",
                  zoo_say_bytes(states).text);
    } else {
        zoo_print(w.text, sizeof w.text, "%.0f bytes a token and layer", rows);
    }
    return w;
}

/* Another kind of mixer altogether: both are described in full, with their caches. */
static void tell_other_kind(teller *t)
{
    char text[ZOO_WORDS * 3];
    zoo_print(text, sizeof text, "%s, instead of %s. Kept in bf16: %s instead of %s",
              zoo_say_mixer(t->b).text, zoo_say_mixer(t->a).text, kept(t->b).text, kept(t->a).text);
    say(t, text);
}

static double ratio(const zoo_arch_block *block)
{
    double kv = number(block, "kv_heads");
    return kv > 0 ? number(block, "heads") / kv : 0;
}

static void tell_heads(teller *t)
{
    char text[ZOO_WORDS * 3];
    if (differ(ratio(t->a), ratio(t->b)) && ratio(t->a) > 0) {
        zoo_print(text, sizeof text,
                  "%s, instead of %s: %.0f bytes a token and layer in bf16 "
                  "instead of %.0f",
                  zoo_say_mixer(t->b).text, zoo_say_mixer(t->a).text, bytes_of(t->b),
                  bytes_of(t->a));
        say(t, text);
    } else if (differ(number(t->a, "kv_rank"), number(t->b, "kv_rank")) ||
               differ(number(t->a, "rope_key"), number(t->b, "rope_key"))) {
        zoo_print(text, sizeof text,
                  "a latent of %.0f and a rope key of %.0f instead of %.0f "
                  "and %.0f",
                  number(t->b, "kv_rank"), number(t->b, "rope_key"), number(t->a, "kv_rank"),
                  number(t->a, "rope_key"));
        say(t, text);
    }
    if (differ(number(t->a, "index_dim"), number(t->b, "index_dim"))) {
        double top = number(t->b, "rows_chosen");
        if (number(t->b, "index_dim") > 0) {
            zoo_print(text, sizeof text,
                      "an index of %.0f heads scores all positions with a key of %.0f a token, "
                      "and attention reads the best %.0f alone; %.0f bytes a token and layer "
                      "are kept instead of %.0f",
                      number(t->b, "index_heads"), number(t->b, "index_dim"), top, bytes_of(t->b),
                      bytes_of(t->a));
        } else {
            zoo_print(text, sizeof text,
                      "no index: attention reads all positions instead of "
                      "the best %.0f",
                      number(t->a, "rows_chosen"));
        }
        say(t, text);
    }
}

static void tell_reach(teller *t)
{
    zoo_words a = zoo_say_reach(t->a), b = zoo_say_reach(t->b);
    bool indexed = number(t->a, "index_dim") > 0 || number(t->b, "index_dim") > 0;
    bool states = has_only_states(t->a) || has_only_states(t->b); /* told with what is kept */
    if (strcmp(a.text, b.text) != 0 && !indexed && !states) {
        char text[ZOO_WORDS * 3];
        zoo_print(text, sizeof text, "a query sees %s instead of %s", b.text, a.text);
        say(t, text);
    }
}

static bool is_none(const zoo_arch_block *block)
{
    const char *kind = zoo_arch_text(block, "rotation");
    return !kind || strcmp(kind, "none") == 0;
}

static void tell_rotation(teller *t)
{
    zoo_words a = zoo_say_rotation(t->a), b = zoo_say_rotation(t->b);
    char text[ZOO_WORDS * 3];
    double share_a = number(t->a, "rotary_dims") / fmax(number(t->a, "head_dim"), 1);
    double share_b = number(t->b, "rotary_dims") / fmax(number(t->b, "head_dim"), 1);
    if (is_none(t->a) != is_none(t->b)) {
        zoo_print(text, sizeof text,
                  is_none(t->b) ? "queries and keys do not turn with the position (rotation: %s "
                                  "instead of %s)"
                                : "queries and keys turn with the position (rotation: %s instead "
                                  "of %s)",
                  b.text, a.text);
    } else if (is_none(t->a) ? number(t->a, "position_bias") == number(t->b, "position_bias")
                             : !differ(share_a, share_b) &&
                                   !differ(number(t->a, "theta"), number(t->b, "theta")) &&
                                   !differ(number(t->a, "rotation_factor"),
                                           number(t->b, "rotation_factor")) &&
                                   same_text(t->a, t->b, "rotation")) {
        return;
    } else {
        zoo_print(text, sizeof text, "rotation: %s; instead of %s", b.text, a.text);
    }
    say(t, text);
}

/* Facts that hold or don't, in words for both cases. */
static const struct {
    const char *name, *with, *without;
} flags[] = {
    {"qkv_bias", "biases on queries, keys or values", "no biases on queries, keys and values"},
    {"output_bias", "a bias on attention's output", "no bias on attention's output"},
    {"sinks",
     "a learned logit a head (a sink) in every softmax, so that a head may attend to "
     "nothing",
     "no sinks in the softmax"},
    {"values_are_keys", "values are the keys: no matrix of values",
     "values have a matrix of their "
     "own"},
    {"bias", "biases in the feed-forward matrices", "no biases in the feed-forward matrices"},
    {"choice_bias",
     "a learned bias on the scores decides which experts are chosen, not their "
     "weights (balance without a loss term)",
     "no bias for the choice of experts"},
    {"shared_gate", "the shared expert has a gate", "the shared expert has no gate"},
    {"chosen_by_token_id", "the first layers choose experts by the token's id alone",
     "no experts chosen by the token's id"},
    {"weights_renormalised", "the weights of the chosen experts are made to sum to 1",
     "the weights of the chosen experts are left as they are"},
};

static void tell_flags(teller *t)
{
    for (size_t i = 0; i < ZOO_COUNT(flags); i++) {
        bool a = number(t->a, flags[i].name) > 0, b = number(t->b, flags[i].name) > 0;
        if (a != b) {
            say(t, b ? flags[i].with : flags[i].without);
        }
    }
}

/* Facts with words of their own, which follow `with`. */
static void tell_text(teller *t, const char *name, const char *with, const char *without)
{
    const char *a = zoo_arch_text(t->a, name), *b = zoo_arch_text(t->b, name);
    char text[ZOO_WORDS];
    if (strcmp(a ? a : "", b ? b : "") == 0) {
        return;
    }
    if (!b) {
        say(t, without);
        return;
    }
    zoo_print(text, sizeof text, "%s%s%s%s", with, b, a ? " instead of " : "", a ? a : "");
    say(t, text);
}

static void tell_number(teller *t, const char *name, const char *with, const char *without)
{
    double a = number(t->a, name), b = number(t->b, name);
    char text[ZOO_WORDS];
    if (!differ(a, b)) {
        return;
    }
    if (b > 0 && a > 0) {
        zoo_print(text, sizeof text, "%s %s instead of %s", with, zoo_say_number(b).text,
                  zoo_say_number(a).text);
    } else if (b > 0) {
        zoo_print(text, sizeof text, "%s %s", with, zoo_say_number(b).text);
    }
    say(t, b > 0 ? text : without);
}

/* The factor on scores, where it isn't the usual one. */
static void tell_scale(teller *t)
{
    const zoo_arch_block *both[] = {t->a, t->b};
    double factor[2];
    for (int i = 0; i < 2; i++) {
        factor[i] = number(both[i], "scale") * sqrt(fmax(number(both[i], "head_dim"), 1));
        factor[i] = factor[i] > 0 ? factor[i] : 1;
    }
    if (fabs(factor[0] - factor[1]) > 1e-4 * factor[0]) {
        char text[ZOO_WORDS];
        zoo_print(text, sizeof text, "scores are multiplied by %.5g times head_dim^-1/2",
                  factor[1]);
        if (fabs(factor[0] - 1) > 1e-4) {
            size_t n = strlen(text);
            zoo_print(text + n, sizeof text - n, " instead of %.5g times", factor[0]);
        }
        if (fabs(factor[1] - 1) <= 1e-4) {
            zoo_print(text, sizeof text,
                      "scores are multiplied by head_dim^-1/2 alone, without a factor of %.5g",
                      factor[0]);
        }
        say(t, text);
    }
}

void zoo_diff_mixers(zoo_sayings *out, const zoo_arch_block *a, const zoo_arch_block *b)
{
    teller t = {out, a, b};
    if (strcmp(a->kind, b->kind) != 0) {
        tell_other_kind(&t);
    } else {
        tell_heads(&t);
    }
    tell_reach(&t);
    if (zoo_arch_text(a, "rotation") && zoo_arch_text(b, "rotation")) {
        tell_rotation(&t);
        tell_scale(&t);
    }
    tell_text(&t, "qk_norm", "queries and keys are normed: ", "queries and keys are not normed");
    if (zoo_arch_text(a, "qk_norm") && zoo_arch_text(b, "qk_norm")) {
        tell_text(&t, "qk_norm_place", "queries and keys are normed ", "");
    }
    tell_text(&t, "value_norm", "values are normed: ", "values are not normed");
    tell_text(&t, "output_gate", "a gate on attention's output: ", "no gate on attention's output");
    tell_text(&t, "decay", "decay of the state: ", "no decay of a state");
    tell_number(&t, "softcap", "scores are capped by tanh at", "scores are not capped");
    tell_number(&t, "clip", "queries, keys and values are clamped at", "no clamp of q, k and v");
    tell_text(&t, "inputs",
              "rows that attention reads: ", "one row is read for queries, keys and values");
    tell_text(&t, "taps",
              "taps of the convolution: ", "the taps of the convolution are stored ones");
    tell_number(&t, "distances_with_bias", "distances for which a token makes a bias:",
                "no bias that a token makes for distances");
    tell_number(&t, "longest_query_and_key", "queries and keys are clipped to a length of",
                "queries and keys keep their length");
    tell_text(&t, "sink", "a sink in every softmax: ", "no sinks that the token makes");
    tell_flags(&t);
}

static bool has_experts(const zoo_arch_block *block)
{
    return number(block, "experts") > 0;
}

static void tell_groups(teller *t)
{
    double groups = number(t->b, "expert_groups"), before = number(t->a, "expert_groups");
    char text[ZOO_WORDS];
    if (!differ(groups, before) &&
        !differ(number(t->a, "groups_kept"), number(t->b, "groups_kept"))) {
        return;
    }
    if (groups > 0) {
        zoo_print(text, sizeof text,
                  "experts are chosen from the best %.0f of %.0f groups, not from %s",
                  number(t->b, "groups_kept"), groups, before > 0 ? "as many as before" : "all");
    } else {
        zoo_print(text, sizeof text,
                  "experts are chosen from all at once, not from the best %.0f of %.0f groups",
                  number(t->a, "groups_kept"), before);
    }
    say(t, text);
}

static void tell_experts(teller *t)
{
    double n[] = {number(t->a, "experts"), number(t->b, "experts")};
    double k[] = {number(t->a, "experts_per_token"), number(t->b, "experts_per_token")};
    char text[ZOO_WORDS];
    if (differ(n[0], n[1]) || differ(k[0], k[1])) {
        zoo_print(text, sizeof text,
                  "%.0f of %.0f experts for a token (1 in %.0f) instead of %.0f of %.0f (1 in "
                  "%.0f)",
                  k[1], n[1], n[1] / fmax(k[1], 1), k[0], n[0], n[0] / fmax(k[0], 1));
        say(t, text);
    }
    tell_text(t, "router", "experts are scored by ", "experts are scored otherwise");
    const char *rule = zoo_arch_text(t->a, "weights");
    zoo_print(text, sizeof text, "the chosen experts are weighed by their scores, not by %s",
              rule ? rule : "");
    tell_text(t, "weights", "the chosen experts are weighed by ", text);
    tell_number(t, "routed_scale", "the experts' sum is multiplied by",
                "the experts' sum is not multiplied");
    tell_groups(t);
    if ((number(t->a, "shared_inner") > 0) != (number(t->b, "shared_inner") > 0)) {
        say(t, number(t->b, "shared_inner") > 0 ? "a shared expert that every token passes"
                                                : "no shared expert");
    }
}

void zoo_diff_ffns(zoo_sayings *out, const zoo_arch_block *a, const zoo_arch_block *b)
{
    teller t = {out, a, b};
    char text[ZOO_WORDS * 3];
    if (has_experts(a) != has_experts(b)) {
        zoo_print(text, sizeof text, "%s, instead of %s", zoo_say_ffn(b).text, zoo_say_ffn(a).text);
        say(&t, text);
    } else if (has_experts(a)) {
        tell_experts(&t);
    }
    zoo_words x = zoo_say_activation(a), y = zoo_say_activation(b);
    if (strcmp(x.text, y.text) != 0) {
        zoo_print(text, sizeof text, "%s inside the feed-forward instead of %s", y.text, x.text);
        say(&t, text);
    }
    if (has_experts(a) == has_experts(b)) {
        tell_flags(&t);
    }
    tell_number(&t, "clamp", "gate and up are clamped at", "gate and up are not clamped");
    tell_text(&t, "inner_norm", "a norm inside the feed-forward, ",
              "no norm inside the feed-forward");
}
