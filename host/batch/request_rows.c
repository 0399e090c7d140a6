/* request_rows.c: rows out of a request, prompt by prompt, each n_choices times; choice 0 has the
 * seed of the request, the others one that is derived from it (request_rows.h). */
#include "batch/request_rows.h"

#include <xxhash.h>

/* Log-probabilities that must be computed for prompt tokens. */
static uint32_t prompt_top(const zoo_request *r)
{
    uint32_t echoed = r->echo ? r->n_top : ZOO_UNSAID;
    if (echoed == ZOO_UNSAID || r->n_prompt_top == ZOO_UNSAID) {
        return echoed == ZOO_UNSAID ? r->n_prompt_top : echoed;
    }
    return echoed > r->n_prompt_top ? echoed : r->n_prompt_top;
}

void zoo_request_rows(const zoo_request *r, const uint32_t *hidden, zoo_row *rows, void *owner)
{
    for (uint32_t i = 0; i < r->n_prompts * r->n_choices; i++) {
        const zoo_prompt *prompt = &r->prompts[i / r->n_choices];
        uint32_t choice = i % r->n_choices;
        zoo_row *row = &rows[i];
        row->prompt = prompt->tokens;
        row->n_prompt = prompt->n_tokens;
        row->n_new_max = r->n_new_max;
        row->sampling = r->sampling;
        if (choice > 0) {
            row->sampling.seed = XXH3_64bits_withSeed(&choice, sizeof choice, r->sampling.seed);
        }
        row->n_top = r->n_top;
        row->n_prompt_top = prompt_top(r);
        row->stops = r->stops;
        row->n_stops = r->n_stops;
        row->keep_stop = r->keep_stop;
        row->keep_special = r->keep_special || hidden;
        row->hidden = r->keep_special ? NULL : hidden;
        row->close = r->think_close;
        row->n_close = r->n_think_close;
        row->think_max = r->think_max;
        row->think_begin = r->think_marks[0];
        row->think_end = r->think_marks[1];
        row->is_thinking = r->think_open;
        row->owner = owner;
    }
}
