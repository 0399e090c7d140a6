/* order.c: see order.h. */
#include "batch/order.h"

#include <string.h>

#include "base/mem.h"

static zoo_status pass_on(const zoo_order *o, bool is_error, const char *line, size_t n,
                          zoo_error *err)
{
    return is_error ? zoo_journal_error(o->journal, line, n, err)
                    : zoo_journal_result(o->journal, line, n, err);
}

static bool reserve(zoo_order *o, uint64_t n)
{
    size_t capacity = o->capacity ? o->capacity : 64;
    while (capacity < n) {
        capacity *= 2;
    }
    if (capacity == o->capacity) {
        return true;
    }
    struct zoo_held *held = zoo_mem_array(capacity, sizeof *held);
    if (!held) {
        return false;
    }
    for (size_t i = 0; i < o->capacity; i++) {
        held[i] = o->held[(o->first + i) % o->capacity];
    }
    zoo_mem_free(o->held);
    o->held = held;
    o->capacity = capacity;
    o->first = 0;
    return true;
}

static zoo_status flush(zoo_order *o, zoo_error *err)
{
    zoo_status status = ZOO_OK;
    while (status == ZOO_OK && o->capacity > 0 && o->held[o->first].text) {
        struct zoo_held *h = &o->held[o->first];
        status = pass_on(o, h->is_error, h->text, h->n, err);
        o->bytes -= h->n;
        zoo_mem_free(h->text);
        h->text = NULL;
        o->first = (o->first + 1) % o->capacity;
        o->next++;
    }
    return status;
}

zoo_status zoo_order_put(zoo_order *o, uint64_t at, bool is_error, const char *line, size_t n,
                         zoo_error *err)
{
    if (!o->is_kept) {
        return pass_on(o, is_error, line, n, err);
    }
    char *text = reserve(o, at - o->next + 1) ? zoo_mem_text(line, n) : NULL;
    if (!text) {
        return zoo_fail(err, ZOO_E_MEMORY, "no memory to keep the order of the input");
    }
    o->held[(o->first + (at - o->next)) % o->capacity] = (struct zoo_held){text, n, is_error};
    o->bytes += n;
    return flush(o, err);
}

void zoo_order_free(zoo_order *o)
{
    for (size_t i = 0; i < o->capacity; i++) {
        zoo_mem_free(o->held[i].text);
    }
    zoo_mem_free(o->held);
    memset(o, 0, sizeof *o);
}
