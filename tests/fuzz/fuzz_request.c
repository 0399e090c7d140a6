/*
 * fuzz_request.c: any bytes as a line of a batch file. Accepted requests must be within limits:
 * ids below the vocabulary, lengths within the context, values within their ranges.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "batch/request.h"

enum { N_VOCAB = 100, CONTEXT = 64 };

static void check(bool ok)
{
    if (!ok) {
        abort();
    }
}

static void check_taken(const zoo_request *r)
{
    check(r->custom_id && r->n_prompts > 0 && r->n_choices >= 1 && r->n_choices <= 128);
    check(r->sampling.temperature >= 0.0f && r->sampling.temperature <= 2.0f);
    check(r->sampling.top_p > 0.0f && r->sampling.top_p <= 1.0f);
    check(r->n_top == ZOO_UNSAID || r->n_top <= ZOO_LOGPROBS_MAX);
    for (uint32_t i = 0; i < r->n_prompts; i++) {
        check(r->prompts[i].n_tokens > 0 && r->prompts[i].n_tokens + r->n_new_max <= CONTEXT);
        for (uint32_t k = 0; k < r->prompts[i].n_tokens; k++) {
            check(r->prompts[i].tokens[k] >= 0 && r->prompts[i].tokens[k] < N_VOCAB);
        }
    }
    for (uint32_t i = 0; i < r->sampling.n_biases; i++) {
        check(r->sampling.biases[i].id < N_VOCAB);
    }
    for (uint32_t i = 0; i < r->sampling.n_stop_ids; i++) {
        check(r->sampling.stop_ids[i] < N_VOCAB);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    zoo_generation generation = {.temperature = 1.0f, .top_p = 1.0f, .repetition = 1.0f};
    zoo_request_context context = {
        .generation = &generation, .n_vocab = N_VOCAB, .context_max = CONTEXT, .usual_max = 16};
    zoo_request request = {0};
    zoo_error err = {0};
    zoo_status status =
        zoo_request_parse(&context, (const char *)data, n, "line 1", &request, &err);
    if (status == ZOO_OK) {
        status = zoo_request_encode(&context, &request, &err);
    }
    if (status == ZOO_OK) {
        check_taken(&request);
    } else {
        check(err.text[0] != 0);
    }
    zoo_request_free(&request);
    return 0;
}
