/* constraint.c: grammar states behind zoo_filter (constraint.h). */
#include "batch/constraint.h"

static zoo_status mask(void *state, uint32_t tokens_left, uint32_t *bits, zoo_error *err)
{
    return zoo_grammar_mask(state, tokens_left, bits, err);
}

static zoo_status accept(void *state, uint32_t token, zoo_error *err)
{
    return zoo_grammar_accept(state, token, err);
}

static bool is_whole(const void *state)
{
    return zoo_grammar_is_complete(state);
}

static void end(void *state)
{
    zoo_grammar_end(state);
}

static uint32_t guess(void *state, int32_t *out, uint32_t n_max)
{
    return zoo_grammar_guess(state, out, n_max);
}

zoo_status zoo_constraint_begin(zoo_grammar *grammar, zoo_row *row, zoo_error *err)
{
    zoo_grammar_state *state;
    if (!grammar) {
        return ZOO_OK;
    }
    ZOO_TRY(zoo_grammar_begin(grammar, &state, err));
    row->filter = (zoo_filter){state, mask, accept, is_whole, end, guess};
    row->sampling.ignore_eos = false;
    row->sampling.min_tokens = 0;
    return ZOO_OK;
}
