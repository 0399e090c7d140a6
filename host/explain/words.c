/* words.c: numbers, layers and the stack in words. */
#include "explain/words.h"

#include <math.h>
#include <string.h>

static void add(zoo_words *w, const char *format, ...) ZOO_PRINTF(2, 3);

static void add(zoo_words *w, const char *format, ...)
{
    size_t n = strlen(w->text);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->text + n, sizeof w->text - n, format, args);
    va_end(args);
}

void zoo_print(char *text, size_t n, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, n, format, args);
    va_end(args);
}

zoo_words zoo_say_count(double n)
{
    static const struct {
        double unit;
        const char *name;
    } units[] = {{1e15, " P"}, {1e12, " T"}, {1e9, " B"}, {1e6, " M"}};
    zoo_words w = {""};
    for (size_t i = 0; i < ZOO_COUNT(units); i++) {
        if (n >= units[i].unit) {
            double x = n / units[i].unit;
            add(&w, "%.*f%s", x < 10 ? 2 : x < 100 ? 1 : 0, x, units[i].name);
            return w;
        }
    }
    add(&w, "%.0f", n);
    return w;
}

zoo_words zoo_say_bytes(double n)
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB"};
    size_t unit = 0;
    zoo_words w = {""};
    while (unit + 1 < ZOO_COUNT(units) && n >= 1024) {
        n /= 1024;
        unit++;
    }
    bool whole = fabs(n - round(n)) < 0.005;
    add(&w, "%.*f %s", unit == 0 || whole ? 0 : n < 10 ? 2 : n < 100 ? 1 : 0, n, units[unit]);
    return w;
}

zoo_words zoo_say_positions(double n)
{
    zoo_words w = {""};
    if (n >= 1048576 && fmod(n, 1048576) < 0.5) {
        add(&w, "%.0fM", n / 1048576);
    } else if (n >= 1024 && fmod(n, 1024) < 0.5) {
        add(&w, "%.0fk", n / 1024);
    } else {
        add(&w, "%.0f", n);
    }
    return w;
}

zoo_words zoo_say_number(double n)
{
    zoo_words w = {""};
    if (fabs(n - round(n)) < 1e-9 && fabs(n) < 1e15) {
        add(&w, "%.0f", n);
    } else {
        add(&w, "%.6g", n);
    }
    return w;
}

zoo_words zoo_say_eps(const zoo_norm *norm)
{
    zoo_words w = {""};
    add(&w, ", eps %.4g", (double)norm->eps);
    return w;
}

/* "full_attention" as "full attention". */
static void add_plain(zoo_words *w, const char *name)
{
    size_t n = strlen(w->text);
    add(w, "%s", name);
    for (char *p = w->text + n; *p; p++) {
        *p = *p == '_' ? ' ' : *p;
    }
}

/* Whether other kinds of layers have a part of this role with another kind. */
static bool tells_apart(const zoo_arch *arch, zoo_role role, const char *kind)
{
    for (uint32_t i = 0; i < arch->n_kinds; i++) {
        const zoo_arch_block *other = zoo_arch_find(&arch->layers[arch->kinds[i].first], role);
        if (!other || strcmp(other->kind, kind) != 0) {
            return true;
        }
    }
    return false;
}

/* Facts in which layers of one name may still differ, the most telling first. */
static const char *const telling[] = {
    "window",       "tokens_per_entry", "chosen_by_token_id",        "rotation", "theta", "inner",
    "shared_inner", "experts",          "reads_another_layers_cache"};

/* Whether some layers see a window or a chunk alone. */
static bool has_windows(const zoo_arch *arch)
{
    for (uint32_t i = 0; i < arch->n_kinds; i++) {
        const zoo_arch_block *mixer =
            zoo_arch_find(&arch->layers[arch->kinds[i].first], ZOO_ROLE_MIXER);
        if (zoo_arch_number(mixer, "window", 0) > 0 || zoo_arch_number(mixer, "chunk", 0) > 0) {
            return true;
        }
    }
    return false;
}

static zoo_words plain_name(const zoo_arch *arch, const zoo_arch_layer *layer)
{
    const zoo_arch_block *mixer = zoo_arch_find(layer, ZOO_ROLE_MIXER);
    const zoo_arch_block *ffn = zoo_arch_find(layer, ZOO_ROLE_FFN);
    zoo_words w = {""};
    if (mixer) {
        const char *reach = zoo_arch_number(mixer, "chunk", 0) > 0    ? "chunked "
                            : zoo_arch_number(mixer, "window", 0) > 0 ? "sliding "
                                                                      : "";
        bool full = !*reach && has_windows(arch) && zoo_arch_text(mixer, "rotation");
        add(&w, "%s%s", full ? "full " : reach, mixer->kind);
    }
    if (ffn && (!mixer || tells_apart(arch, ZOO_ROLE_FFN, ffn->kind))) {
        add(&w, "%s%s", mixer ? " with " : "", ffn->kind);
    }
    if (!w.text[0]) {
        add_plain(&w, layer->blocks[layer->n_blocks - 1].kind);
    }
    return w;
}

static bool same_fact(const zoo_fact *a, const zoo_fact *b)
{
    return a && b && fabs(a->number - b->number) < 0.5 && strcmp(a->text, b->text) == 0;
}

/* Whether a fact of the block is not so in some other kind of layer of the same plain name. */
static bool is_telling(const zoo_arch *arch, const zoo_arch_block *block, const char *name,
                       const char *fact_name)
{
    const zoo_fact *fact = zoo_arch_fact(block, fact_name);
    for (uint32_t i = 0; fact && i < arch->n_kinds; i++) {
        const zoo_arch_layer *other = &arch->layers[arch->kinds[i].first];
        const zoo_arch_block *same = zoo_arch_find(other, block->role);
        if (strcmp(plain_name(arch, other).text, name) == 0 &&
            !same_fact(fact, zoo_arch_fact(same, fact_name))) {
            return true;
        }
    }
    return false;
}

static void add_fact(zoo_words *w, const zoo_fact *fact)
{
    bool flag = !fact->text[0] && fabs(fact->number - 1) < 1e-9;
    add(w, ", ");
    add_plain(w, fact->name);
    if (fact->text[0]) {
        add(w, " %s", fact->text);
    } else if (!flag) {
        add(w, " %s", zoo_say_number(fact->number).text);
    }
}

/* The plain name and the first `depth` facts in which layers of that name differ. */
static zoo_words name_at(const zoo_arch *arch, const zoo_arch_layer *layer, uint32_t depth)
{
    const zoo_words plain = plain_name(arch, layer);
    zoo_words w = plain;
    uint32_t n = 0;
    for (size_t t = 0; t < ZOO_COUNT(telling) && n < depth; t++) {
        for (uint32_t i = 0; i < layer->n_blocks && n < depth; i++) {
            if (is_telling(arch, &layer->blocks[i], plain.text, telling[t])) {
                add_fact(&w, zoo_arch_fact(&layer->blocks[i], telling[t]));
                n++;
            }
        }
    }
    return w;
}

/* As short as tells the layer from those of other kinds. */
zoo_words zoo_say_layer(const zoo_arch *arch, const zoo_arch_layer *layer)
{
    zoo_words w = {""};
    for (uint32_t depth = 0; depth <= ZOO_COUNT(telling); depth++) {
        uint32_t n = 0;
        w = name_at(arch, layer, depth);
        for (uint32_t i = 0; i < arch->n_kinds; i++) {
            const zoo_arch_layer *other = &arch->layers[arch->kinds[i].first];
            n += strcmp(name_at(arch, other, depth).text, w.text) == 0;
        }
        if (n <= 1) {
            break;
        }
    }
    return w;
}

zoo_words zoo_say_which(const zoo_arch *arch, uint32_t kind)
{
    zoo_words w = {""};
    uint32_t n_runs = 0, last = 0, step = 0, previous = 0;
    bool even = true;
    for (uint32_t i = 0; i < arch->n_layers; i++) {
        if (arch->layers[i].kind != kind) {
            continue;
        }
        uint32_t end = i;
        while (end + 1 < arch->n_layers && arch->layers[end + 1].kind == kind) {
            end++;
        }
        even = even && end == i && (n_runs < 2 || i - previous == step);
        step = n_runs ? i - previous : 0;
        previous = i;
        n_runs++;
        last = end;
        if (n_runs <= 6) {
            add(&w, "%s%u", n_runs > 1 ? ", " : "", i);
            if (end > i) {
                add(&w, "-%u", end);
            }
        }
        i = end;
    }
    if (n_runs > 6) {
        add(&w, " ... %u", last);
    }
    if (even && n_runs > 2 && step > 1) {
        add(&w, " (every %u%s)", step, step == 2 ? "nd" : step == 3 ? "rd" : "th");
    }
    return w;
}

/* Layers of a period as runs of kinds. */
static void add_runs(zoo_words *w, const zoo_arch *arch, const zoo_arch_segment *segment)
{
    uint32_t begin = segment->first, n = segment->period, n_runs = 0;
    for (uint32_t i = begin; i < begin + n;) {
        uint32_t end = i + 1;
        while (end < begin + n && arch->layers[end].kind == arch->layers[i].kind) {
            end++;
        }
        if (++n_runs > 8) {
            add(w, ", ...");
            return;
        }
        add(w, "%s%u of %s", n_runs > 1 ? ", then " : "", n == 1 ? segment->n_times : end - i,
            zoo_say_layer(arch, &arch->layers[i]).text);
        i = end;
    }
}

/* Of an irregular stack: how many layers there are of each kind. */
static void add_numbers(zoo_words *w, const zoo_arch *arch)
{
    for (uint32_t i = 0; i < arch->n_kinds && i < 8; i++) {
        add(w, "%s%u of %s", i ? ", " : "", arch->kinds[i].n,
            zoo_say_layer(arch, &arch->layers[arch->kinds[i].first]).text);
    }
    add(w, "%s, in no regular order", arch->n_kinds > 8 ? ", ..." : "");
}

zoo_words zoo_say_pattern(const zoo_arch *arch)
{
    enum { FEW = 4 };
    zoo_words w = {""};
    add(&w, "%u layers: ", arch->n_layers);
    if (arch->n_kinds == 1) {
        add(&w, "all of one kind, %s", zoo_say_layer(arch, &arch->layers[0]).text);
        return w;
    }
    if (arch->n_segments > FEW) {
        add_numbers(&w, arch);
        return w;
    }
    for (uint32_t i = 0; i < arch->n_segments; i++) {
        const zoo_arch_segment *s = &arch->segments[i];
        add(&w, "%s", i ? "; then " : "");
        add_runs(&w, arch, s);
        if (s->period > 1) {
            add(&w, ", %u times", s->n_times);
        }
    }
    return w;
}
