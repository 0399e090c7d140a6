/*
 * abi.c: the binary interface of liblmzoo.so.0, as version 1 has it: values, layouts, and the type
 * of every function. Compiles as C11 and C++17 as long as nothing is changed; a new function gets
 * a new line, and no line is changed. tests/scripts/api_outside.sh compiles it and compares
 * the functions with those that the library exports.
 */
#include <stddef.h>

#include "lmzoo.h"

#ifdef __cplusplus
#define HOLDS(condition) static_assert(condition, #condition)
#else
#define HOLDS(condition) _Static_assert(condition, #condition)
#endif
#define FIELD(type, field, at, bytes)                                                              \
    HOLDS(offsetof(type, field) == (at) && sizeof(((type *)0)->field) == (bytes))
#define FUNCTION(result, name, arguments) result(*type_of_##name) arguments = name

HOLDS(LMZOO_API_VERSION == 1);

HOLDS(LMZOO_OK == 0);
HOLDS(LMZOO_E_USAGE == -1);
HOLDS(LMZOO_E_IO == -2);
HOLDS(LMZOO_E_FORMAT == -3);
HOLDS(LMZOO_E_CONFIG == -4);
HOLDS(LMZOO_E_WEIGHT == -5);
HOLDS(LMZOO_E_PLUGIN == -6);
HOLDS(LMZOO_E_MEMORY == -7);
HOLDS(LMZOO_E_UNSUPPORTED == -8);
HOLDS(LMZOO_E_LIMIT == -9);
HOLDS(LMZOO_E_INTERNAL == -10);
HOLDS(LMZOO_E_CANCELLED == -11);
HOLDS(LMZOO_COMPLETION == 1);
HOLDS(LMZOO_CHAT == 2);
HOLDS(LMZOO_STREAM == 1);
HOLDS(LMZOO_TIMEOUT == 0);
HOLDS(LMZOO_TEXT == 1);
HOLDS(LMZOO_DONE == 2);

HOLDS(sizeof(lmzoo_error) == 512);
FIELD(lmzoo_error, status, 0, 4);
FIELD(lmzoo_error, message, 4, 508);

HOLDS(sizeof(lmzoo_options) == 88);
FIELD(lmzoo_options, size, 0, 4);
FIELD(lmzoo_options, threads, 4, 4);
FIELD(lmzoo_options, weights, 8, 8);
FIELD(lmzoo_options, cache, 16, 8);
FIELD(lmzoo_options, isa, 24, 8);
FIELD(lmzoo_options, plugin_dir, 32, 8);
FIELD(lmzoo_options, card_dir, 40, 8);
FIELD(lmzoo_options, packed_cache, 48, 8);
FIELD(lmzoo_options, allow_unknown, 56, 8);
FIELD(lmzoo_options, memory, 64, 8);
FIELD(lmzoo_options, context, 72, 4);
FIELD(lmzoo_options, sequences, 76, 4);
FIELD(lmzoo_options, rows, 80, 4);
FIELD(lmzoo_options, reserved, 84, 4);

HOLDS(sizeof(lmzoo_info) == 48);
FIELD(lmzoo_info, size, 0, 4);
FIELD(lmzoo_info, vocab_size, 4, 4);
FIELD(lmzoo_info, hidden_size, 8, 4);
FIELD(lmzoo_info, layers, 12, 4);
FIELD(lmzoo_info, context, 16, 4);
FIELD(lmzoo_info, sequences, 20, 4);
FIELD(lmzoo_info, has_tokenizer, 24, 4);
FIELD(lmzoo_info, has_template, 28, 4);
FIELD(lmzoo_info, bos_token, 32, 4);
FIELD(lmzoo_info, eos_token, 36, 4);
FIELD(lmzoo_info, pad_token, 40, 4);
FIELD(lmzoo_info, threads, 44, 4);

HOLDS(sizeof(lmzoo_event) == 24);
FIELD(lmzoo_event, kind, 0, 4);
FIELD(lmzoo_event, choice, 4, 4);
FIELD(lmzoo_event, text, 8, 8);
FIELD(lmzoo_event, n, 16, 8);

HOLDS(sizeof(lmzoo_stats) == 48);
FIELD(lmzoo_stats, size, 0, 4);
FIELD(lmzoo_stats, running, 4, 4);
FIELD(lmzoo_stats, waiting, 8, 4);
FIELD(lmzoo_stats, reserved, 12, 4);
FIELD(lmzoo_stats, steps, 16, 8);
FIELD(lmzoo_stats, prompt_tokens_read, 24, 8);
FIELD(lmzoo_stats, prompt_tokens_shared, 32, 8);
FIELD(lmzoo_stats, tokens_written, 40, 8);

typedef int text_fn(void *, uint32_t, const char *, size_t);
typedef void trace_fn(void *, const char *, const float *, uint32_t, uint32_t);

FUNCTION(uint32_t, lmzoo_api_version, (void));
FUNCTION(const char *, lmzoo_version, (void));
FUNCTION(void, lmzoo_free, (void *));
FUNCTION(int, lmzoo_open, (const char *, const lmzoo_options *, lmzoo_model **, lmzoo_error *));
FUNCTION(void, lmzoo_close, (lmzoo_model *));
FUNCTION(int, lmzoo_plan, (const char *, const lmzoo_options *, char **, lmzoo_error *));
FUNCTION(int, lmzoo_inspect, (lmzoo_model *, char **, lmzoo_error *));
FUNCTION(void, lmzoo_model_info, (const lmzoo_model *, lmzoo_info *));
FUNCTION(void, lmzoo_model_stats, (lmzoo_model *, lmzoo_stats *));
FUNCTION(int, lmzoo_tokenize,
         (const lmzoo_model *, const char *, size_t, int, int32_t **, size_t *, lmzoo_error *));
FUNCTION(int, lmzoo_detokenize,
         (const lmzoo_model *, const int32_t *, size_t, int, char **, size_t *, lmzoo_error *));
FUNCTION(int, lmzoo_render, (const lmzoo_model *, const char *, char **, size_t *, lmzoo_error *));
FUNCTION(int, lmzoo_submit,
         (lmzoo_model *, int, const char *, size_t, uint32_t, lmzoo_request **, lmzoo_error *));
FUNCTION(int, lmzoo_wait, (lmzoo_request *, int32_t, lmzoo_event *, lmzoo_error *));
FUNCTION(void, lmzoo_cancel, (lmzoo_request *));
FUNCTION(void, lmzoo_request_free, (lmzoo_request *));
FUNCTION(int, lmzoo_generate,
         (lmzoo_model *, int, const char *, text_fn *, void *, char **, lmzoo_error *));
FUNCTION(int, lmzoo_score,
         (lmzoo_model *, const int32_t *, const uint32_t *, uint32_t, double *, uint8_t *,
          lmzoo_error *));
FUNCTION(int, lmzoo_logits, (lmzoo_model *, const int32_t *, uint32_t, float *, lmzoo_error *));
FUNCTION(int, lmzoo_trace,
         (lmzoo_model *, const int32_t *, uint32_t, trace_fn *, void *, lmzoo_error *));

int main(void)
{
    return type_of_lmzoo_api_version() != 1;
}
