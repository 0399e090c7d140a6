/* questions.c: the choices that are tried, in the order in which a reader of the model's code meets
 * them. */
#include "adding/questions.h"

#include <string.h>

#include "base/mem.h"
#include "explain/diff.h"
#include "explain/explain.h"

enum { VALUES_MAX = 5 };

typedef struct choice {
    const char *option;
    const char *values[VALUES_MAX]; /* JSON */
    const char *what, *settle;
} choice;

static const choice choices[] = {
    {"placement",
     {"\"pre\"", "\"post\"", "\"sandwich\"", "\"parallel\""},
     "Where are the norms of a layer?",
     "forward of the decoder layer: is a norm called before the branch, on its result, or both; "
     "are "
     "attention and feed-forward added together? compare names the first layer as wrong."},
    {"norm",
     {"\"rms\"", "\"rms_plus_one\"", "\"layer\"", "\"layer_plus_one\""},
     "Which norm?",
     "forward of the norm class: is the mean subtracted, is the weight w or 1 + w?"},
    {"qk_norm_after",
     {"true", "false"},
     "Are q and k normed before or after the rotation?",
     "forward of the attention: the order of q_norm and apply_rotary_pos_emb."},
    {"interleaved",
     {"true", "false"},
     "Which values of a head are rotated together: neighbours, or one of each half?",
     "rotate_half or its like: x[..., ::2] means neighbours. compare: position 0 is right, all "
     "later ones are wrong."},
    {"rope_partial",
     {"0.25", "0.5"},
     "Is the whole head rotated?",
     "the rotary class: its dim against head_dim; partial_rotary_factor in the configuration "
     "class."},
    {"rotate",
     {"\"all\"", "\"sliding\"", "\"none\""},
     "Do all layers rotate?",
     "forward of the attention: an if around apply_rotary_pos_emb (no_rope_layers, layer types)."},
    {"sliding",
     {"\"all\"", "\"none\""},
     "Which layers have the window?",
     "where the mask is chosen: layer_types, an index modulo, use_sliding_window."},
    {"scale",
     {"1.0"},
     "What multiplies the attention scores?",
     "scaling in the attention class: head_dim ** -0.5, or another value. compare: position 0 is "
     "right, all later ones are wrong."},
    {"embed_scale",
     {"\"sqrt\""},
     "Are embedded rows scaled?",
     "the first lines of the model's forward: inputs_embeds times something. compare: embed "
     "differs "
     "by one factor."},
    {"softcap_scores",
     {"true"},
     "Are attention scores capped by tanh?",
     "attn_logit_softcapping in the attention."},
    {"softcap_logits", {"true"}, "Are logits capped?", "final_logit_softcapping after the head."},
    {"score",
     {"\"softmax\"", "\"sigmoid\"", "\"logit\""},
     "How does the router score its logits?",
     "the router: softmax or sigmoid, before or after the top k. compare: rows of experts differ, "
     "or all weights of experts do."},
    {"interleaved_gate",
     {"true", "false"},
     "Do gate and up of one tensor alternate, row by row, or is one the first half?",
     "the experts' forward: gate_up[..., ::2] means that they alternate. compare: gate and up "
     "exchanged, or rows of experts differ."},
    {"renorm",
     {"true", "false"},
     "Do the weights of the chosen experts sum to one?",
     "the router: a division by the sum (norm_topk_prob)."},
    {"sparse",
     {"\"all\"", "\"first_dense\"", "\"none\""},
     "Which layers have experts?",
     "the constructor of the decoder layer: which class mlp is, by layer number."},
    {"gate_act",
     {"\"sigmoid\"", "\"softplus\""},
     "What is the activation of attention's gate?",
     "forward of the attention, after the values."},
};

/* Explanations are the same with either value, so the question is asked wherever both load. */
static bool is_unseen(const choice *c)
{
    return strcmp(c->option, "interleaved_gate") == 0;
}

static cJSON *with_option(const cJSON *card, const char *option, const char *value)
{
    cJSON *copy = cJSON_Duplicate(card, true);
    cJSON *options = cJSON_GetObjectItemCaseSensitive(copy, "options");
    if (copy && !options) {
        options = cJSON_AddObjectToObject(copy, "options");
    }
    cJSON *item = cJSON_Parse(value);
    if (!options || !item) {
        cJSON_Delete(copy);
        cJSON_Delete(item);
        return NULL;
    }
    cJSON_DeleteItemFromObjectCaseSensitive(options, option);
    (void)cJSON_AddItemToObject(options, option, item);
    return copy;
}

static bool same_picture(const zoo_arch *a, const zoo_arch *b)
{
    zoo_out x = {0}, y = {0};
    bool same = zoo_explain_json(&x, a) && zoo_explain_json(&y, b) && x.n == y.n &&
                memcmp(x.data, y.data, x.n) == 0;
    zoo_out_free(&x);
    zoo_out_free(&y);
    return same;
}

/* The first sentence of the difference. An option that is set counts even where the plan shows
 * none, such as the pairs of a rotation. */
static void tell_change(const zoo_arch *a, const zoo_arch *b, const char *value, bool is_set,
                        zoo_out *list)
{
    zoo_doc change = {.form = ZOO_DOC_TEXT};
    uint32_t n_sentences = zoo_diff_sentences(&change, a, b);
    const char *text = change.out.data;
    size_t n = change.out.n;
    while (n && (*text == ' ' || *text == '-' || *text == '\n')) {
        text++;
        n--;
    }
    const char *end = n ? memchr(text, '\n', n) : NULL;
    if (n_sentences) {
        zoo_out_format(list, "%s%s: %.*s", list->n ? "; " : "", value,
                       (int)(end ? (size_t)(end - text) : n), text);
    } else if (is_set || !same_picture(a, b)) {
        zoo_out_format(list, "%s%s", list->n ? "; " : "", value);
    }
    zoo_doc_free(&change);
}

/* The candidate that the questions are about. */
typedef struct asking {
    const zoo_trial_subject *subject;
    zoo_candidate *candidate;
    const zoo_trial *base;
} asking;

/* Whether the value fits as well and gives another plan; appends what it would change to `list`. */
static zoo_status try_value(const asking *a, const choice *c, const char *value, bool is_set,
                            zoo_out *list, zoo_error *err)
{
    zoo_trial trial;
    cJSON *card = with_option(a->candidate->card, c->option, value);
    if (!card) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    zoo_status status = zoo_trial_run(a->subject, card, &trial, err);
    cJSON_Delete(card);
    ZOO_TRY(status);
    a->candidate->n_trials++;
    if (trial.arch && zoo_trial_cost(&trial) <= zoo_trial_cost(a->base)) {
        tell_change(a->base->arch, trial.arch, value, is_set, list);
    }
    zoo_trial_free(&trial);
    return ZOO_OK;
}

static zoo_status ask(zoo_doc *doc, const zoo_trial_subject *subject, zoo_candidate *candidate,
                      const zoo_trial *base, const choice *c, uint32_t *n, zoo_error *err)
{
    zoo_out others = {0};
    zoo_status status = ZOO_OK;
    const asking a = {subject, candidate, base};
    const cJSON *now = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(candidate->card, "options"), c->option);
    char *present = now ? cJSON_PrintUnformatted(now) : NULL;
    for (size_t i = 0; i < VALUES_MAX && c->values[i] && status == ZOO_OK; i++) {
        const char *set = present ? present : is_unseen(c) ? "false" : "";
        if (strcmp(set, c->values[i]) != 0) {
            status = try_value(&a, c, c->values[i], now || is_unseen(c), &others, err);
        }
    }
    if (status == ZOO_OK && others.n) {
        zoo_doc_item(doc,
                     "%s Option \"%s\" is %s. It would fit as well with %.*s. To settle it: %s",
                     c->what, c->option, present ? present : "not set", (int)others.n, others.data,
                     c->settle);
        ++*n;
    }
    cJSON_free(present);
    zoo_out_free(&others);
    return status;
}

typedef struct absent_list {
    zoo_doc *doc;
    uint32_t n;
} absent_list;

/* Values that change numbers and that the file leaves to a class. */
static void tell_absent(void *arg, const char *key, const char *value, const char *note)
{
    static const char *const keys[] = {"rms_norm_eps", "layer_norm_eps",      "hidden_act",
                                       "head_dim",     "rope_parameters",     "attention_bias",
                                       "mlp_bias",     "tie_word_embeddings", "norm_topk_prob"};
    absent_list *list = arg;
    for (size_t i = 0; i < ZOO_COUNT(keys); i++) {
        if (note && strncmp(note, "file", 4) != 0 && strcmp(keys[i], key) == 0) {
            zoo_doc_item(list->doc,
                         "%s is not in the file; %.100s is assumed (%s). To settle it: the "
                         "configuration class's own default.",
                         key, value, note);
            list->n++;
        }
    }
}

static void tell_unsettled(zoo_doc *doc, const zoo_trial *base, uint32_t *n)
{
    for (uint32_t i = 0; i < base->n_keys; i++) {
        zoo_doc_item(doc,
                     "No option or alias reads the key %s. To settle it: search the modeling file "
                     "for it. If "
                     "it changes numbers, an option or an alias must read it; if nothing reads "
                     "it, say so in \"ignored\".",
                     base->keys[i]);
        ++*n;
    }
    for (uint32_t i = 0; i < base->n_misfits; i++) {
        zoo_doc_item(doc, "Does not fit: %s.", base->misfits[i]);
        ++*n;
    }
    for (uint32_t i = 0; i < base->n_unused; i++) {
        zoo_doc_item(doc, "Does not fit: tensor %s is not used.", base->unused[i]);
        ++*n;
    }
    if (base->n_misfits + base->n_unused > 0) {
        zoo_doc_item(doc, "In these '#' stands for each number. Where a tensor is no weight of the "
                          "model, \"ignored_tensors\" names it; else an option, a name in "
                          "\"tensors\" or a block is missing.");
    }
}

/* Names that shapes alone suggest: two norms of a layer have one shape. */
static void tell_names(zoo_doc *doc, const cJSON *card, uint32_t *n)
{
    const cJSON *pair = NULL;
    cJSON_ArrayForEach(pair, cJSON_GetObjectItemCaseSensitive(card, "tensors"))
    {
        zoo_doc_item(
            doc,
            "Tensors \"%s\" are assumed to be \"%s\", by their shape. To settle it: the module "
            "of that name in the modeling file, and where its forward is called.",
            cJSON_GetStringValue(pair->child->next), cJSON_GetStringValue(pair->child));
        ++*n;
    }
}

/* Keys that the relative's reference ignores; this one's may read them. */
static void tell_inherited(zoo_doc *doc, const zoo_candidate *candidate, uint32_t *n)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(candidate->card, "ignored"))
    {
        zoo_doc_item(doc,
                     "The key %s is ignored because %s's card ignores it. To settle it: search the "
                     "modeling file of this release for it.",
                     item->string, candidate->nearest);
        ++*n;
    }
}

static zoo_status write_all(zoo_doc *doc, const zoo_trial_subject *subject,
                            zoo_candidate *candidate, const zoo_trial *base, uint32_t *n,
                            zoo_error *err)
{
    tell_unsettled(doc, base, n);
    tell_inherited(doc, candidate, n);
    tell_names(doc, candidate->card, n);
    const cJSON *norms = cJSON_GetObjectItemCaseSensitive(
        cJSON_GetObjectItemCaseSensitive(candidate->card, "options"), "norms");
    if (cJSON_GetArraySize(norms) >= 2) {
        zoo_doc_item(
            doc,
            "The norms of a layer are assumed to be %s, then %s, by name and shape. To settle "
            "it: which one the decoder layer's forward calls where.",
            cJSON_GetStringValue(norms->child), cJSON_GetStringValue(norms->child->next));
        ++*n;
    }
    for (size_t i = 0; i < ZOO_COUNT(choices); i++) {
        ZOO_TRY(ask(doc, subject, candidate, base, &choices[i], n, err));
    }
    absent_list absent = {doc, 0};
    zoo_model_config_each(base->arch->model.config, tell_absent, &absent);
    *n += absent.n;
    return ZOO_OK;
}

zoo_status zoo_questions_write(zoo_doc *doc, const zoo_trial_subject *subject,
                               zoo_candidate *candidate, uint32_t *n, zoo_error *err)
{
    zoo_trial base;
    *n = 0;
    ZOO_TRY(zoo_trial_run(subject, candidate->card, &base, err));
    zoo_status status = ZOO_OK;
    if (base.arch) {
        status = write_all(doc, subject, candidate, &base, n, err);
    } else {
        zoo_doc_item(doc,
                     "The plugin refuses it: %s. Where no option says what this release does, a "
                     "new block does (lmzoo new-block); the other questions can be asked then.",
                     base.why);
        *n = 1;
    }
    zoo_trial_free(&base);
    return status;
}
