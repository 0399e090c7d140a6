/* gallery.c: reads releases, cards and ideas, finds relatives, writes the files of the site. */
#include "gallery/gallery.h"

#include <ctype.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/json.h"
#include "base/mem.h"
#include "config/plugin_loader.h"
#include "explain/diff.h"
#include "explain/words.h"

enum { LIST_BYTES_MAX = 16 << 20, ENTRIES_MAX = 4096 };

zoo_status zoo_gallery_save(zoo_gallery *g, const char *path, const zoo_out *text, zoo_error *err)
{
    char full[4200];
    if (text->failed) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory for %s", path);
    }
    zoo_print(full, sizeof full, "%s/%s", g->folder, path);
    FILE *file = fopen(full, "wb");
    bool written = file && (text->n == 0 || fwrite(text->data, text->n, 1, file) == 1);
    written = file && fclose(file) == 0 && written;
    g->n_pages++;
    g->n_bytes += text->n;
    return written ? ZOO_OK : zoo_fail(err, ZOO_E_IO, "%s: %s", full, strerror(errno));
}

const char *zoo_gallery_part(const zoo_gallery *g, uint32_t index)
{
    return index < g->n_releases ? "r" : "c";
}

static const char *text_of(const cJSON *item, const char *key)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(item, key);
    return cJSON_IsString(value) ? value->valuestring : NULL;
}

/* Letters and digits of the name in lower case, the rest as single dashes; never twice. */
static void take_slug(const zoo_gallery *g, uint32_t index)
{
    zoo_entry *e = &g->entries[index];
    size_t n = 0;
    for (const char *p = e->name; *p && n + 6 < sizeof e->slug; p++) {
        if (isalnum((unsigned char)*p) || *p == '_') {
            e->slug[n++] = (char)tolower((unsigned char)*p);
        } else if (n && e->slug[n - 1] != '-') {
            e->slug[n++] = '-';
        }
    }
    n -= n && e->slug[n - 1] == '-';
    e->slug[n] = '\0';
    for (uint32_t i = 0; i < index; i++) {
        if (strcmp(g->entries[i].slug, e->slug) == 0 &&
            (i < g->n_releases) == (index < g->n_releases)) {
            zoo_print(e->slug + n, sizeof e->slug - n, "-%u", index);
        }
    }
}

static void open_entry(zoo_entry *e, const char *config, const zoo_model_options *options)
{
    zoo_error err = {0};
    if (zoo_arch_open_text(e->name, config, options, &e->arch, &err) != ZOO_OK) {
        zoo_print(e->why, sizeof e->why, "%s", err.text);
        return;
    }
    zoo_print(e->arch->name, sizeof e->arch->name, "%s", e->name);
}

static void take_release(zoo_gallery *g, const cJSON *item, const zoo_model_options *options)
{
    zoo_entry *e = &g->entries[g->n_entries];
    const char *name = text_of(item, "name");
    const cJSON *config = cJSON_GetObjectItemCaseSensitive(item, "config");
    const cJSON *told = cJSON_GetObjectItemCaseSensitive(item, "cache_told_elsewhere_kib");
    *e = (zoo_entry){.name = name ? name : "?",
                     .org = text_of(item, "org"),
                     .released = text_of(item, "released"),
                     .source = text_of(item, "source"),
                     .dated_by = text_of(item, "dated_by"),
                     .told = cJSON_IsNumber(told) ? told->valuedouble : 0,
                     .facts = item,
                     .relative = UINT32_MAX};
    char *text = config ? cJSON_PrintUnformatted(config) : NULL;
    if (text) {
        open_entry(e, text, options);
    } else {
        zoo_print(e->why, sizeof e->why, "no sourced config of this release is at hand");
    }
    cJSON_free(text);
    g->n_entries++;
    g->n_releases++;
    take_slug(g, g->n_entries - 1);
}

static void take_card(zoo_gallery *g, const zoo_card *card, const char *type,
                      const zoo_model_options *options)
{
    zoo_entry *e = &g->entries[g->n_entries];
    const cJSON *about = zoo_card_part(card, "about");
    const char *refused = zoo_card_text(card, "refused");
    *e = (zoo_entry){.name = type,
                     .released = text_of(about, "released"),
                     .note = refused ? refused : text_of(about, "new"),
                     .relative = UINT32_MAX};
    char text[400];
    zoo_print(text, sizeof text, "{\"model_type\": \"%s\"}", type);
    open_entry(e, text, options);
    g->n_entries++;
    take_slug(g, g->n_entries - 1);
}

static zoo_status read_entries(zoo_gallery *g, const zoo_model_options *options, zoo_error *err)
{
    g->entries = zoo_mem_array(ENTRIES_MAX, sizeof *g->entries);
    if (!g->entries) {
        return zoo_fail(err, ZOO_E_MEMORY, "out of memory");
    }
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, g->releases)
    {
        if (g->n_entries < ENTRIES_MAX) {
            take_release(g, item, options);
        }
    }
    for (uint32_t i = 0; i < g->cards.n_cards; i++) {
        const cJSON *types = zoo_card_part(&g->cards.cards[i], "model_type");
        const cJSON *type = cJSON_IsString(types) ? types : types->child;
        for (; type; type = cJSON_IsString(types) ? NULL : type->next) {
            if (g->n_entries < ENTRIES_MAX) {
                take_card(g, &g->cards.cards[i], type->valuestring, options);
            }
        }
    }
    return ZOO_OK;
}

/* Whether b may be what a came from: of the same list, and not later. */
static bool may_precede(const zoo_gallery *g, uint32_t a, uint32_t b)
{
    const zoo_entry *x = &g->entries[a], *y = &g->entries[b];
    if (a == b || !x->arch || !y->arch || (a < g->n_releases) != (b < g->n_releases)) {
        return false;
    }
    int order = x->released && y->released ? strcmp(y->released, x->released) : 1;
    return x->released ? order < 0 || (order == 0 && b < a) : b < a;
}

static void find_relatives(zoo_gallery *g)
{
    for (uint32_t i = 0; i < g->n_entries; i++) {
        double best = 1e30;
        for (uint32_t k = 0; k < g->n_entries; k++) {
            if (may_precede(g, i, k)) {
                double far = zoo_diff_distance(g->entries[k].arch, g->entries[i].arch);
                g->entries[i].relative = far < best ? k : g->entries[i].relative;
                best = far < best ? far : best;
            }
        }
    }
}

static zoo_status make_folders(const char *folder, zoo_error *err)
{
    static const char *const parts[] = {"", "/r", "/c", "/i", "/p"};
    for (size_t i = 0; i < ZOO_COUNT(parts); i++) {
        char path[4200];
        zoo_print(path, sizeof path, "%s%s", folder, parts[i]);
        if (mkdir(path, 0777) != 0 && errno != EEXIST) {
            return zoo_fail(err, ZOO_E_IO, "%s: %s", path, strerror(errno));
        }
    }
    return ZOO_OK;
}

static zoo_status save_text(zoo_gallery *g, const char *path, const char *text, zoo_error *err)
{
    zoo_out out = {0};
    zoo_out_text(&out, text);
    zoo_status status = zoo_gallery_save(g, path, &out, err);
    zoo_out_free(&out);
    return status;
}

static zoo_status read_list(const zoo_gallery *g, const char *name, cJSON **out, zoo_error *err)
{
    char path[4200];
    zoo_print(path, sizeof path, "%s/%s", g->card_dir, name);
    ZOO_TRY(zoo_json_read(path, LIST_BYTES_MAX, out, err));
    return cJSON_IsArray(*out) ? ZOO_OK : zoo_fail(err, ZOO_E_FORMAT, "%s: not a JSON array", path);
}

zoo_status zoo_gallery_write(zoo_gallery *g, const zoo_model_options *options, const char *folder,
                             zoo_error *err)
{
    g->folder = folder;
    ZOO_TRY(
        zoo_install_folder(options->card_dir, "models.d", g->card_dir, sizeof g->card_dir, err));
    ZOO_TRY(read_list(g, "releases.json", &g->releases, err));
    ZOO_TRY(read_list(g, "ideas.json", &g->ideas, err));
    ZOO_TRY(zoo_cards_read(g->card_dir, &g->cards, err));
    ZOO_TRY(zoo_cards_check(&g->cards, err));
    ZOO_TRY(make_folders(folder, err));
    ZOO_TRY(read_entries(g, options, err));
    find_relatives(g);
    ZOO_TRY(save_text(g, "style.css", zoo_gallery_style(), err));
    ZOO_TRY(save_text(g, "script.js", zoo_gallery_script(), err));
    for (uint32_t i = 0; i < g->n_entries; i++) {
        ZOO_TRY(zoo_gallery_page(g, i, err));
    }
    ZOO_TRY(zoo_gallery_index(g, err));
    ZOO_TRY(zoo_gallery_tree(g, err));
    return zoo_gallery_ideas(g, err);
}

void zoo_gallery_free(zoo_gallery *g)
{
    for (uint32_t i = 0; i < g->n_entries; i++) {
        zoo_arch_close(g->entries[i].arch);
    }
    zoo_mem_free(g->entries);
    zoo_cards_free(&g->cards);
    cJSON_Delete(g->releases);
    cJSON_Delete(g->ideas);
}
