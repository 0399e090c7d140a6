/* gallery_pages.c: the page of a release or card: picture, facts, memory, its nearest relative. */
#include <math.h>
#include <string.h>

#include "explain/diff.h"
#include "explain/explain.h"
#include "explain/memory.h"
#include "explain/words.h"
#include "gallery/draw.h"
#include "gallery/gallery.h"

static void fact(zoo_doc *doc, const char *name, const char *value)
{
    if (value && *value) {
        zoo_doc_cell(doc, "%s", name);
        zoo_doc_cell(doc, "%s", value);
    }
}

static void write_facts(zoo_doc *doc, const zoo_entry *e)
{
    static const char *const told[][2] = {{"decoder_type", "kind, as told"},
                                          {"layer_mix", "layers, as told"},
                                          {"scale_text", "size, as told"}};
    zoo_doc_table(doc, 2);
    zoo_doc_cell(doc, "fact");
    zoo_doc_cell(doc, "value");
    fact(doc, "from", e->org);
    fact(doc, "released", e->released);
    fact(doc, "new", e->note);
    for (size_t i = 0; i < ZOO_COUNT(told); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(e->facts, told[i][0]);
        fact(doc, told[i][1], cJSON_IsString(item) ? item->valuestring : NULL);
    }
    if (e->arch) {
        const zoo_arch *a = e->arch;
        fact(doc, "stack", zoo_say_pattern(a).text);
        fact(doc, "parameters", zoo_say_count((double)a->params.total).text);
        fact(doc, "for one token", zoo_say_count((double)a->params.active).text);
        fact(doc, "model_type", zoo_model_config_type(a->model.config));
    }
    fact(doc, "config from", e->source);
    fact(doc, "date from", e->dated_by);
    zoo_doc_table_end(doc);
}

/* What another gallery has for the cache, where it isn't what follows from the config. */
static void write_told(zoo_doc *doc, const zoo_entry *e)
{
    double kib = e->arch ? zoo_arch_cost_at(e->arch, ZOO_BF16, 1).growing / 1024 : 0;
    if (e->told > 0 && kib > 0 && fabs(e->told - kib) > 0.02 * kib) {
        zoo_doc_para(
            doc,
            "Another gallery has %s KiB a position here. From the config follow %s KiB "
            "while windows fill and %s after.",
            zoo_say_number(e->told).text, zoo_say_number(kib).text,
            zoo_say_number(zoo_arch_cost_at(e->arch, ZOO_BF16, 1).growing_later / 1024).text);
    }
}

static zoo_status save_picture(zoo_gallery *g, const zoo_entry *e, const char *part, zoo_error *err)
{
    const zoo_draw_options how = {.dark = false};
    zoo_out out = {0};
    char path[128];
    zoo_draw(e->arch, &how, &out);
    zoo_print(path, sizeof path, "p/%s-%s.svg", part, e->slug);
    zoo_status status = zoo_gallery_save(g, path, &out, err);
    zoo_out_free(&out);
    return status;
}

static void write_relative(zoo_doc *doc, const zoo_gallery *g, const zoo_entry *e)
{
    if (e->relative == UINT32_MAX) {
        return;
    }
    const zoo_entry *old = &g->entries[e->relative];
    zoo_doc_heading(doc, 2, "Against its nearest relative");
    zoo_doc_end(doc);
    zoo_out_format(&doc->out, "<p>The nearest earlier one here is <a href=\"../%s/%s.html\">",
                   zoo_gallery_part(g, e->relative), old->slug);
    zoo_out_escaped(&doc->out, old->name);
    zoo_out_text(&doc->out, "</a>. Done differently:</p>\n");
    if (zoo_diff_sentences(doc, old->arch, e->arch) == 0) {
        zoo_doc_item(doc, "nothing but sizes");
    }
    zoo_doc_end(doc);
}

static void write_arch(zoo_doc *doc, const zoo_gallery *g, uint32_t index)
{
    const zoo_entry *e = &g->entries[index];
    zoo_out_format(&doc->out, "<div class=\"scroll\"><img src=\"../p/%s-%s.svg\" alt=\"",
                   zoo_gallery_part(g, index), e->slug);
    zoo_out_escaped(&doc->out, zoo_say_pattern(e->arch).text);
    zoo_out_text(&doc->out, "\"></div>\n");
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(e->facts, "partial"))) {
        zoo_doc_para(doc, "Sources give part of this config alone; where they are silent, the "
                          "default of the class stands, which may not be the release's own value.");
    }
    write_relative(doc, g, e);
    zoo_doc_heading(doc, 2, "The layers");
    zoo_explain_layers(doc, e->arch);
    zoo_doc_heading(doc, 2, "Parameters");
    zoo_explain_params(doc, e->arch);
    zoo_doc_heading(doc, 2, "Memory and work");
    write_told(doc, e);
    zoo_explain_memory(doc, e->arch);
}

zoo_status zoo_gallery_page(zoo_gallery *g, uint32_t index, zoo_error *err)
{
    const zoo_entry *e = &g->entries[index];
    const char *part = zoo_gallery_part(g, index);
    zoo_doc doc = {.form = ZOO_DOC_HTML};
    char path[128];
    zoo_gallery_begin(&doc.out, e->name, "../");
    zoo_doc_heading(&doc, 1, "%s", e->name);
    write_facts(&doc, e);
    if (e->arch) {
        write_arch(&doc, g, index);
    } else {
        zoo_doc_para(&doc, "There is no picture: %s.", e->why);
    }
    zoo_doc_end(&doc);
    zoo_gallery_end(&doc.out);
    zoo_print(path, sizeof path, "%s/%s.html", part, e->slug);
    zoo_status status = zoo_gallery_save(g, path, &doc.out, err);
    zoo_doc_free(&doc);
    return status == ZOO_OK && e->arch ? save_picture(g, e, part, err) : status;
}
