/*
 * gallery_ideas.c: a page for each idea of models.d/ideas.json:
 *
 *   id, title, text (a list of paragraphs), formula (a list of lines)
 *   plain     file of tests/blocks with the same in plain C
 *   uses      {fact: ""} told by a block of the model, {fact: "value"} told so; all of them
 *   below     {fact: other}: the first is told and less than the second
 *   chart     "cache": what is kept of a position against every head's own keys and values;
 *             "active": parameters for a token against all; "read": read against kept at 128k;
 *             "dtypes": one model in each format of the cache
 */
#include <math.h>
#include <string.h>

#include "base/mem.h"
#include "explain/caches.h"
#include "explain/memory.h"
#include "explain/words.h"
#include "gallery/gallery.h"

enum { PLAIN_MAX = 1 << 16, BARS_MAX = 14 };

static const char *text_of(const cJSON *item, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsString(value) ? value->valuestring : "";
}

static bool told_so(const zoo_arch_block *b, const cJSON *want)
{
    const zoo_fact *fact = zoo_arch_fact(b, want->string);
    const char *value = cJSON_IsString(want) ? want->valuestring : "";
    return fact && (!*value || strcmp(fact->text, value) == 0) && (*fact->text || fact->number > 0);
}

static bool is_below(const zoo_arch_block *b, const cJSON *pair)
{
    double x = zoo_arch_number(b, pair->string, 0);
    return x > 0 && cJSON_IsString(pair) && x < zoo_arch_number(b, pair->valuestring, 0);
}

static bool block_uses(const zoo_arch_block *b, const cJSON *idea)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(idea, "uses"))
    {
        if (!told_so(b, item)) {
            return false;
        }
    }
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(idea, "below"))
    {
        if (!is_below(b, item)) {
            return false;
        }
    }
    return true;
}

static bool uses(const zoo_arch *arch, const cJSON *idea)
{
    for (uint32_t i = 0; arch && i < arch->n_kinds; i++) {
        const zoo_arch_layer *layer = &arch->layers[arch->kinds[i].first];
        for (uint32_t k = 0; k < layer->n_blocks; k++) {
            if (block_uses(&layer->blocks[k], idea)) {
                return true;
            }
        }
    }
    return false;
}

static void write_list(zoo_out *out, const cJSON *list, const char *open, const char *close,
                       const char *between)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, list)
    {
        zoo_out_text(out, open);
        zoo_out_escaped(out, cJSON_IsString(item) ? item->valuestring : "");
        zoo_out_text(out, close);
        zoo_out_text(out, item->next ? between : "");
    }
}

/* The plain C of the idea, from the source tree where it is at hand. */
static void write_plain(zoo_out *out, const zoo_gallery *g, const char *name)
{
    char path[4300];
    zoo_print(path, sizeof path, "%s/../tests/blocks/%s", g->card_dir, name);
    FILE *file = *name && !strchr(name, '/') ? fopen(path, "rb") : NULL;
    char *text = file ? zoo_mem_array(PLAIN_MAX, 1) : NULL;
    size_t n = text ? fread(text, 1, PLAIN_MAX - 1, file) : 0;
    if (n) {
        zoo_out_format(out, "<h2>In plain C</h2>\n<p class=\"soft\">tests/blocks/%s</p>\n<pre>",
                       name);
        zoo_out_escaped(out, text);
        zoo_out_text(out, "</pre>\n");
    }
    zoo_mem_free(text);
    if (file) {
        (void)fclose(file);
    }
}

typedef struct bar {
    double a, b;
    char name[200], text[300];
} bar;

static void write_bars(zoo_out *out, const bar *bars, uint32_t n)
{
    double most = 1;
    for (uint32_t i = 0; i < n; i++) {
        most = fmax(most, fmax(bars[i].a, bars[i].b));
    }
    for (uint32_t i = 0; i < n; i++) {
        zoo_out_text(out, "<div class=\"bar\"><span>");
        zoo_out_escaped(out, bars[i].name);
        zoo_out_format(out,
                       "</span><span><div class=\"b\" style=\"width:%.2f%%\"></div>"
                       "<div class=\"a\" style=\"width:%.2f%%\"></div>",
                       100 * bars[i].b / most, 100 * bars[i].a / most);
        zoo_out_escaped(out, bars[i].text);
        zoo_out_text(out, "</span></div>\n");
    }
}

/* a: what the idea leaves; b: what there would be without. */
static bar bar_of(const zoo_entry *e, const char *chart)
{
    bar out = {.a = 0};
    zoo_print(out.name, sizeof out.name, "%s", e->name);
    if (strcmp(chart, "active") == 0) {
        out.a = (double)e->arch->params.active;
        out.b = (double)e->arch->params.total;
        zoo_print(out.text, sizeof out.text, "%s of %s parameters for a token",
                  zoo_say_count(out.a).text, zoo_say_count(out.b).text);
    } else if (strcmp(chart, "read") == 0) {
        zoo_arch_cost cost = zoo_arch_cost_at(e->arch, ZOO_BF16, 131072);
        out.a = cost.read;
        out.b = cost.kept;
        zoo_print(out.text, sizeof out.text, "reads %s of %s at 128k positions",
                  zoo_say_bytes(out.a).text, zoo_say_bytes(out.b).text);
    } else {
        out.a = zoo_arch_cost_at(e->arch, ZOO_BF16, 131072).kept;
        out.b = zoo_caches_every_head(e->arch) * 131072;
        zoo_print(out.text, sizeof out.text, "keeps %s at 128k positions; every head's: %s",
                  zoo_say_bytes(out.a).text, zoo_say_bytes(out.b).text);
    }
    return out;
}

static uint32_t dtype_bars(const zoo_entry *e, bar *bars)
{
    static const char *const names[] = {"f32", "bf16", "int8", "int4"};
    for (uint32_t d = 0; d <= ZOO_INT4; d++) {
        bars[d].a = zoo_arch_cost_at(e->arch, (zoo_dtype)d, 131072).kept;
        bars[d].b = zoo_arch_cost_at(e->arch, ZOO_F32, 131072).kept;
        zoo_print(bars[d].name, sizeof bars[d].name, "%.150s, %s", e->name, names[d]);
        zoo_print(bars[d].text, sizeof bars[d].text, "keeps %s at 128k positions",
                  zoo_say_bytes(bars[d].a).text);
    }
    return ZOO_INT4 + 1;
}

static void write_chart(zoo_out *out, const zoo_gallery *g, const cJSON *idea)
{
    static const char *const legends[][3] = {
        {"active", "parameters for a token", "all parameters"},
        {"read", "read for a token", "kept"},
        {"cache", "kept", "if every head had keys and values of its own"},
        {"dtypes", "kept", "in f32"}};
    const char *chart = text_of(idea, "chart");
    bar *bars = zoo_mem_array(BARS_MAX + 4, sizeof *bars);
    uint32_t n = 0;
    for (uint32_t i = 0; bars && i < g->n_releases && n < BARS_MAX; i++) {
        if (!uses(g->entries[i].arch, idea)) {
            continue;
        }
        if (strcmp(chart, "dtypes") == 0) {
            n = dtype_bars(&g->entries[i], bars);
            break;
        }
        bars[n++] = bar_of(&g->entries[i], chart);
    }
    for (size_t i = 0; n && i < ZOO_COUNT(legends); i++) {
        if (strcmp(chart, legends[i][0]) == 0) {
            zoo_out_format(out,
                           "<h2>What it saves</h2>\n<p><span class=\"a\">&nbsp;&nbsp;</span> %s, "
                           "<span class=\"b\">&nbsp;&nbsp;</span> %s</p>\n",
                           legends[i][1], legends[i][2]);
        }
    }
    write_bars(out, bars, n);
    zoo_mem_free(bars);
}

static void write_users(zoo_out *out, const zoo_gallery *g, const cJSON *idea)
{
    zoo_out_text(out, "<h2>Who uses it</h2>\n<ul>\n");
    for (uint32_t i = 0; i < g->n_entries; i++) {
        if (uses(g->entries[i].arch, idea)) {
            zoo_out_format(out, "<li><a href=\"../%s/%s.html\">", zoo_gallery_part(g, i),
                           g->entries[i].slug);
            zoo_out_escaped(out, g->entries[i].name);
            zoo_out_format(out, "</a>%s</li>\n", i < g->n_releases ? "" : " (model type)");
        }
    }
    zoo_out_text(out, "</ul>\n");
}

static zoo_status write_idea(zoo_gallery *g, const cJSON *idea, zoo_error *err)
{
    zoo_out out = {0};
    char path[200];
    zoo_gallery_begin(&out, text_of(idea, "title"), "../");
    zoo_out_text(&out, "<h1>");
    zoo_out_escaped(&out, text_of(idea, "title"));
    zoo_out_text(&out, "</h1>\n");
    write_list(&out, cJSON_GetObjectItemCaseSensitive(idea, "text"), "<p>", "</p>\n", "");
    zoo_out_text(&out, "<pre>");
    write_list(&out, cJSON_GetObjectItemCaseSensitive(idea, "formula"), "", "", "\n");
    zoo_out_text(&out, "</pre>\n");
    write_chart(&out, g, idea);
    write_plain(&out, g, text_of(idea, "plain"));
    write_users(&out, g, idea);
    zoo_gallery_end(&out);
    zoo_print(path, sizeof path, "i/%s.html", text_of(idea, "id"));
    zoo_status status = zoo_gallery_save(g, path, &out, err);
    zoo_out_free(&out);
    return status;
}

zoo_status zoo_gallery_ideas(zoo_gallery *g, zoo_error *err)
{
    zoo_out out = {0};
    const cJSON *idea = NULL;
    zoo_gallery_begin(&out, "Ideas", "");
    zoo_out_text(&out, "<h1>Ideas</h1>\n<ul>\n");
    cJSON_ArrayForEach(idea, g->ideas)
    {
        zoo_out_format(&out, "<li><a href=\"i/%s.html\">", text_of(idea, "id"));
        zoo_out_escaped(&out, text_of(idea, "title"));
        zoo_out_text(&out, "</a></li>\n");
        ZOO_TRY(write_idea(g, idea, err));
    }
    zoo_out_text(&out, "</ul>\n");
    zoo_gallery_end(&out);
    zoo_status status = zoo_gallery_save(g, "ideas.html", &out, err);
    zoo_out_free(&out);
    return status;
}
