/* explain.c: the page of an architecture: the stack, its layers, its parameters. */
#include "explain/explain.h"

#include <math.h>
#include <string.h>

#include "explain/words.h"

static const char *about(const zoo_arch *arch, const char *key)
{
    const cJSON *part = arch->model.card ? zoo_card_part(arch->model.card, "about") : NULL;
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(part, key);
    return cJSON_IsString(item) ? item->valuestring : NULL;
}

static void write_head(zoo_doc *doc, const zoo_arch *arch)
{
    const zoo_model *m = &arch->model;
    const char *what = about(arch, "new"), *when = about(arch, "released");
    char card[256] = "no card names it";
    if (m->card) {
        char name[200];
        zoo_card_name(m->card, name, sizeof name);
        (void)snprintf(card, sizeof card, "card %s", name);
    }
    zoo_doc_heading(doc, 1, "%s", arch->name);
    zoo_doc_para(doc, "model_type %s%s%s; %s, plugin %s: %s.", zoo_model_config_type(m->config),
                 zoo_model_config_nested(m->config) ? ", text part " : "",
                 zoo_model_config_nested(m->config) ? zoo_model_config_text_type(m->config) : "",
                 card, m->plugin->name, m->plugin->summary);
    if (what) {
        zoo_doc_para(doc, "New with this type%s%s: %s.", when ? ", " : "", when ? when : "", what);
    }
}

static void write_ends(zoo_doc *doc, const zoo_arch *arch)
{
    const zoo_plan *p = &arch->model.plan;
    for (uint32_t i = 0; i < arch->n_prologue; i++) {
        const zoo_arch_block *b = &arch->prologue[i];
        zoo_words extras = zoo_say_extras(b);
        zoo_doc_item(doc, "before the layers: %s%s%s%s", b->kind, *extras.text ? " (" : "",
                     extras.text, *extras.text ? ")" : "");
    }
    for (uint32_t i = 0; i < arch->n_epilogue; i++) {
        zoo_doc_item(doc, "after the layers: %s", arch->epilogue[i].kind);
    }
    if (p->embed_scale > 0 && fabsf(p->embed_scale - 1) > 1e-6f) {
        zoo_doc_item(doc, "embedded rows are multiplied by %s",
                     zoo_say_number((double)p->embed_scale).text);
    }
    if (p->embed_width && p->embed_width != p->hidden_size) {
        zoo_doc_item(doc, "rows of the embedding are %u wide", p->embed_width);
    }
    if (p->stream_shown) {
        zoo_doc_item(doc, "each token keeps, beside the residual, those of up to %u earlier layers",
                     p->stream_width / p->hidden_size - 1);
    } else if (p->stream_width != p->hidden_size) {
        zoo_doc_item(doc, "the residual is %u streams of %u", p->stream_width / p->hidden_size,
                     p->hidden_size);
    }
    zoo_doc_item(doc, "%s before the head, eps %s; the head is %s%s", zoo_norm_name(p->norm.kind),
                 zoo_say_number((double)p->norm.eps).text,
                 p->tied ? "the embedding table (tied)" : "a matrix of its own",
                 p->head_bias ? ", with a bias" : "");
    if (p->softcap > 0) {
        zoo_doc_item(doc, "logits are capped at %s by tanh",
                     zoo_say_number((double)p->softcap).text);
    }
    if (p->head_scale > 0 && fabsf(p->head_scale - 1) > 1e-6f) {
        zoo_doc_item(doc, "logits are multiplied by %s",
                     zoo_say_number((double)p->head_scale).text);
    }
}

static void write_residual(zoo_doc *doc, const zoo_arch_layer *layer)
{
    const zoo_layer *l = layer->layer;
    const zoo_norm *norm = zoo_arch_first_norm(layer);
    zoo_doc_item(doc, "norms: %s%s%s%s", zoo_arch_norm_place(layer), norm ? "; " : "",
                 norm ? zoo_norm_name(norm->kind) : "", norm ? zoo_say_eps(norm).text : "");
    if (l->ops) {
        const char *form = zoo_arch_text(&layer->blocks[layer->n_blocks - 1], "residual");
        zoo_doc_item(doc, "residual: %s", form ? form : "the layer's own block adds");
        return;
    }
    float scale = l->branches[0].scale, keep = l->branches[0].h_scale;
    bool scaled = scale > 0 && fabsf(scale - 1) > 1e-6f, kept = keep > 0 && fabsf(keep - 1) > 1e-6f;
    if (scaled || kept) {
        zoo_doc_item(doc, "residual: the stream%s%s plus the branch%s%s", kept ? " times " : "",
                     kept ? zoo_say_number((double)keep).text : "", scaled ? " times " : "",
                     scaled ? zoo_say_number((double)scale).text : "");
    }
}

static void write_block(zoo_doc *doc, const zoo_arch_block *b)
{
    zoo_words extras = zoo_say_extras(b);
    if (b->role == ZOO_ROLE_MIXER) {
        zoo_doc_item(doc, "%s: %s", b->name, zoo_say_mixer(b).text);
        zoo_doc_item(doc, "sees %s", zoo_say_reach(b).text);
        if (zoo_arch_text(b, "rotation")) {
            zoo_doc_item(doc, "rotation: %s", zoo_say_rotation(b).text);
        }
    } else if (b->role == ZOO_ROLE_FFN) {
        zoo_doc_item(doc, "%s: %s", b->name, zoo_say_ffn(b).text);
    } else if (*b->name) {
        zoo_doc_item(doc, "%s: %s", b->name, b->kind);
    }
    if (*extras.text && !zoo_arch_text(b, "residual")) {
        zoo_doc_item(doc, "%s: %s", b->name, extras.text);
    }
    if (b->shared) {
        zoo_doc_item(doc, "%s: its weights are those of an earlier layer", b->name);
    }
}

void zoo_explain_layers(zoo_doc *doc, const zoo_arch *arch)
{
    for (uint32_t k = 0; k < arch->n_kinds; k++) {
        const zoo_arch_layer *layer = &arch->layers[arch->kinds[k].first];
        uint32_t n = arch->kinds[k].n;
        zoo_doc_heading(doc, 3, "%u layer%s of %s: %s", n, n == 1 ? "" : "s",
                        zoo_say_layer(arch, layer).text, zoo_say_which(arch, k).text);
        for (uint32_t i = 0; i < layer->n_blocks; i++) {
            write_block(doc, &layer->blocks[i]);
        }
        write_residual(doc, layer);
        zoo_doc_item(doc, "%s parameters a layer, %s of them read for a token",
                     zoo_say_count((double)layer->n_params).text,
                     zoo_say_count((double)layer->n_active).text);
    }
}

typedef struct part_sum {
    const char *name;
    uint64_t n, active;
} part_sum;

static uint64_t active_of(const zoo_arch *arch, zoo_role role)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        for (uint32_t k = 0; k < arch->layers[i].n_blocks; k++) {
            const zoo_arch_block *b = &arch->layers[i].blocks[k];
            n += b->role == role ? b->n_active : 0;
        }
    }
    return n;
}

static void write_part(zoo_doc *doc, const zoo_arch *arch, const part_sum *part)
{
    double share = arch->params.total ? 100.0 * (double)part->n / (double)arch->params.total : 0;
    zoo_doc_cell(doc, "%s", part->name);
    zoo_doc_cell(doc, "%llu", (unsigned long long)part->n);
    zoo_doc_cell(doc, "%.1f %%", share);
    zoo_doc_cell(doc, "%llu", (unsigned long long)part->active);
}

void zoo_explain_params(zoo_doc *doc, const zoo_arch *arch)
{
    const zoo_arch_params *p = &arch->params;
    const zoo_plan *plan = &arch->model.plan;
    uint64_t width = plan->tied ? 0 : plan->embed_width ? plan->embed_width : plan->hidden_size;
    uint64_t mixers = active_of(arch, ZOO_ROLE_MIXER), ffns = active_of(arch, ZOO_ROLE_FFN);
    uint64_t head = plan->tied ? p->embedding + p->head : p->head;
    uint64_t rest = p->active - width - mixers - ffns - head;
    const part_sum parts[] = {{"embedding", p->embedding, width},
                              {"token mixers", p->mixers, mixers},
                              {"feed-forward parts", p->ffns, ffns},
                              {"norms and others", p->norms + p->others, rest},
                              {plan->tied ? "head (the embedding)" : "head", p->head, head},
                              {"in all", p->total, p->active}};
    zoo_doc_table(doc, 4);
    zoo_doc_cell(doc, "part");
    zoo_doc_cell(doc, "parameters");
    zoo_doc_cell(doc, "share");
    zoo_doc_cell(doc, "for one token");
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        write_part(doc, arch, &parts[i]);
    }
    zoo_doc_table_end(doc);
    zoo_doc_para(doc, "For one token: one row of the embedding, the experts that it is routed "
                      "to, and everything else. Other counts leave the head out or count the "
                      "whole embedding.");
}

void zoo_explain_write(zoo_doc *doc, const zoo_arch *arch)
{
    const zoo_plan *p = &arch->model.plan;
    write_head(doc, arch);
    zoo_doc_heading(doc, 2, "The stack");
    zoo_doc_para(doc,
                 "%s. Width %u, vocabulary %u, %s parameters, %s of them for a token; the "
                 "config promises %u positions.",
                 zoo_say_pattern(arch).text, p->hidden_size, p->vocab_size,
                 zoo_say_count((double)arch->params.total).text,
                 zoo_say_count((double)arch->params.active).text, p->context_max);
    write_ends(doc, arch);
    zoo_doc_heading(doc, 2, "The layers");
    zoo_explain_layers(doc, arch);
    zoo_doc_heading(doc, 2, "Parameters");
    zoo_explain_params(doc, arch);
    zoo_doc_heading(doc, 2, "Memory and work");
    zoo_explain_memory(doc, arch);
    zoo_doc_heading(doc, 2, "Where the values come from");
    zoo_explain_values(doc, arch);
    zoo_doc_end(doc);
}
