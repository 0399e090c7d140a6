/* gallery_index.c: the table of everything, and the tree of what came from what. */
#include <string.h>

#include "explain/caches.h"
#include "explain/memory.h"
#include "explain/words.h"
#include "gallery/gallery.h"

static void link_to(zoo_out *out, const zoo_gallery *g, uint32_t index)
{
    zoo_out_format(out, "<a href=\"%s/%s.html\">", zoo_gallery_part(g, index),
                   g->entries[index].slug);
    zoo_out_escaped(out, g->entries[index].name);
    zoo_out_text(out, "</a>");
}

static void text_cell(zoo_out *out, const char *text)
{
    zoo_out_text(out, "<td>");
    zoo_out_escaped(out, text ? text : "");
    zoo_out_text(out, "</td>");
}

static void number_cell(zoo_out *out, double value, const char *text)
{
    if (value > 0) {
        zoo_out_format(out, "<td class=\"n\" data-v=\"%.0f\">%s</td>", value, text);
    } else {
        zoo_out_text(out, "<td class=\"n\" data-v=\"\"></td>");
    }
}

static void write_row(zoo_out *out, const zoo_gallery *g, uint32_t index)
{
    const zoo_entry *e = &g->entries[index];
    const zoo_arch *a = e->arch;
    zoo_arch_cost one = a ? zoo_arch_cost_at(a, ZOO_BF16, 1) : (zoo_arch_cost){0};
    zoo_arch_cost far = a ? zoo_arch_cost_at(a, ZOO_BF16, 131072) : (zoo_arch_cost){0};
    char how[200] = "";
    if (a) {
        zoo_caches_means(a, how, sizeof how);
    }
    zoo_out_text(out, "<tr><td>");
    link_to(out, g, index);
    zoo_out_text(out, "</td>");
    text_cell(out, e->org ? e->org : index < g->n_releases ? "" : "card");
    zoo_out_text(out, "<td class=\"d\">");
    zoo_out_escaped(out, e->released ? e->released : "");
    zoo_out_text(out, "</td>");
    number_cell(out, a ? (double)a->params.total : 0,
                a ? zoo_say_count((double)a->params.total).text : "");
    number_cell(out, a ? (double)a->params.active : 0,
                a ? zoo_say_count((double)a->params.active).text : "");
    number_cell(out, a ? a->n_layers : 0, a ? zoo_say_number(a->n_layers).text : "");
    number_cell(out, one.growing, zoo_say_bytes(one.growing).text);
    number_cell(out, far.kept, zoo_say_bytes(far.kept).text);
    text_cell(out, *how ? how : e->note);
    zoo_out_text(out, "</tr>\n");
}

static void write_table(zoo_out *out, const zoo_gallery *g, uint32_t begin, uint32_t end)
{
    static const char *const heads[] = {"name",   "from",       "date",    "parameters",  "a token",
                                        "layers", "a position", "at 128k", "token mixers"};
    zoo_out_text(out, "<div class=\"scroll\"><table class=\"sortable\"><thead><tr>");
    for (size_t i = 0; i < ZOO_COUNT(heads); i++) {
        zoo_out_format(out, "<th%s>%s</th>", i >= 3 && i <= 7 ? " class=\"n\"" : "", heads[i]);
    }
    zoo_out_text(out, "</tr></thead>\n<tbody>\n");
    for (uint32_t i = begin; i < end; i++) {
        write_row(out, g, i);
    }
    zoo_out_text(out, "</tbody></table></div>\n");
}

zoo_status zoo_gallery_index(zoo_gallery *g, zoo_error *err)
{
    zoo_out out = {0};
    zoo_gallery_begin(&out, "Architectures", "");
    zoo_out_format(
        &out,
        "<h1>Architectures</h1>\n<p>%u releases and %u model types. Figures follow from "
        "the configs; bytes are those of a bf16 cache. A token: parameters that one token "
        "is multiplied with. A position: bytes that one more position adds before windows "
        "are full.</p>\n<input id=\"filter\" hidden placeholder=\"filter, such as: sliding "
        "2025\" aria-label=\"filter\">\n<h2>Releases</h2>\n",
        g->n_releases, g->n_entries - g->n_releases);
    write_table(&out, g, 0, g->n_releases);
    zoo_out_text(&out, "<h2>Model types, with the defaults of their classes</h2>\n");
    write_table(&out, g, g->n_releases, g->n_entries);
    zoo_gallery_end(&out);
    zoo_status status = zoo_gallery_save(g, "index.html", &out, err);
    zoo_out_free(&out);
    return status;
}

/* Those whose nearest earlier relative is `parent`, in order of the list. */
static void write_children(zoo_out *out, const zoo_gallery *g, uint32_t parent, int depth)
{
    bool open = false;
    for (uint32_t i = 0; i < g->n_releases; i++) {
        const zoo_entry *e = &g->entries[i];
        if (!e->arch || e->relative != parent) {
            continue;
        }
        zoo_out_text(out, open ? "" : "<ul>\n");
        open = true;
        zoo_out_text(out, "<li>");
        link_to(out, g, i);
        zoo_out_format(out, " <span class=\"soft\">%s</span>\n", e->released ? e->released : "");
        if (depth < 64) {
            write_children(out, g, i, depth + 1);
        }
        zoo_out_text(out, "</li>\n");
    }
    zoo_out_text(out, open ? "</ul>\n" : "");
}

zoo_status zoo_gallery_tree(zoo_gallery *g, zoo_error *err)
{
    zoo_out out = {0};
    zoo_gallery_begin(&out, "Family tree", "");
    zoo_out_text(&out, "<h1>Family tree</h1>\n<p>Each release stands below the earlier one whose "
                       "block differs least from its own (then whose sizes do). That is likeness, "
                       "not a claim about who read what.</p>\n<div class=\"tree\">\n");
    write_children(&out, g, UINT32_MAX, 0);
    zoo_out_text(&out, "</div>\n");
    zoo_gallery_end(&out);
    zoo_status status = zoo_gallery_save(g, "tree.html", &out, err);
    zoo_out_free(&out);
    return status;
}
