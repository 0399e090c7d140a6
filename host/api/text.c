/* text.c: tokenizer and chat template of an open model (lmzoo.h). */
#include <stdlib.h>
#include <string.h>

#include "api/api_private.h"
#include "base/mem.h"

static int need_tokenizer(const lmzoo_model *m, lmzoo_error *error)
{
    return m->loaded.tokenizer
               ? LMZOO_OK
               : lmzoo_fail(error, LMZOO_E_UNSUPPORTED, "%s has no tokenizer", m->loaded.folder);
}

int lmzoo_tokenize(const lmzoo_model *m, const char *text, size_t n_text, int add_special,
                   int32_t **ids, size_t *n, lmzoo_error *error)
{
    zoo_ids list = {0};
    zoo_error why = {0};
    zoo_status status;
    *ids = NULL;
    *n = 0;
    if (need_tokenizer(m, error) != LMZOO_OK) {
        return LMZOO_E_UNSUPPORTED;
    }
    status = zoo_tokenizer_encode(m->loaded.tokenizer, text, n_text,
                                  add_special ? ZOO_ENCODE_ADD_SPECIAL : 0u, &list, &why);
    if (status == ZOO_OK) {
        *ids = zoo_mem_array(list.n, sizeof **ids);
        status = *ids ? ZOO_OK : zoo_fail(&why, ZOO_E_MEMORY, "no memory for %zu ids", list.n);
    }
    if (status == ZOO_OK) {
        for (size_t i = 0; i < list.n; i++) {
            (*ids)[i] = (int32_t)list.data[i];
        }
        *n = list.n;
    }
    zoo_ids_free(&list);
    return lmzoo_report(status, &why, error);
}

int lmzoo_detokenize(const lmzoo_model *m, const int32_t *ids, size_t n_ids, int skip_special,
                     char **text, size_t *n, lmzoo_error *error)
{
    zoo_text out = {0};
    zoo_error why = {0};
    zoo_status status;
    *text = NULL;
    *n = 0;
    if (need_tokenizer(m, error) != LMZOO_OK) {
        return LMZOO_E_UNSUPPORTED;
    }
    for (size_t i = 0; i < n_ids; i++) {
        if (ids[i] < 0) {
            return lmzoo_fail(error, LMZOO_E_USAGE, "id %zu is %d", i, ids[i]);
        }
    }
    /* Ids are not negative, so both types hold the same bits. */
    status = zoo_tokenizer_decode(m->loaded.tokenizer, (const uint32_t *)ids, n_ids,
                                  skip_special ? ZOO_DECODE_SKIP_SPECIAL : 0u, &out, &why);
    if (status == ZOO_OK) {
        *text = zoo_mem_text(out.data ? out.data : "", out.n);
        *n = out.n;
        status = *text ? ZOO_OK : zoo_fail(&why, ZOO_E_MEMORY, "no memory for the text");
    }
    zoo_text_free(&out);
    return lmzoo_report(status, &why, error);
}

int lmzoo_render(const lmzoo_model *m, const char *variables, char **text, size_t *n,
                 lmzoo_error *error)
{
    zoo_error why = {0};
    zoo_status status;
    char *rendered = NULL;
    *text = NULL;
    *n = 0;
    if (!m->loaded.chat) {
        return lmzoo_fail(error, LMZOO_E_UNSUPPORTED, "%s has no chat template", m->loaded.folder);
    }
    status = zoo_template_render_json(m->loaded.chat, variables, strlen(variables), &m->now,
                                      &rendered, n, &why);
    if (status == ZOO_OK) {
        *text = zoo_mem_text(rendered, *n);
        status = *text ? ZOO_OK : zoo_fail(&why, ZOO_E_MEMORY, "no memory for the text");
    }
    free(rendered);
    return lmzoo_report(status, &why, error);
}
