/* words.h: blocks and numbers as phrases, the same in explain, diff, draw and the gallery. */
#ifndef ZOO_EXPLAIN_WORDS_H
#define ZOO_EXPLAIN_WORDS_H

#include "explain/arch.h"

enum { ZOO_WORDS = 512 };

/* A phrase returned by value, so that one call can take several. */
typedef struct zoo_words {
    char text[ZOO_WORDS];
} zoo_words;

/* As snprintf, for a reader: what does not fit is cut. */
void zoo_print(char *text, size_t n, const char *format, ...) ZOO_PRINTF(3, 4);

/* "8.03 B", "596 M", "1024": parameters, operations. */
zoo_words zoo_say_count(double n);
/* "128 KiB" */
zoo_words zoo_say_bytes(double n);
/* "1k", "32k", "1M": positions. */
zoo_words zoo_say_positions(double n);
/* A number without an exponent where it can be read without one. */
zoo_words zoo_say_number(double n);

/* "grouped-query attention: 32 heads share 8 key-value heads of 128 (4 to 1)" */
zoo_words zoo_say_mixer(const zoo_arch_block *block);
/* Its name alone: "grouped-query attention" */
zoo_words zoo_say_mixer_name(const zoo_arch_block *block);
/* "all positions", "the last 4096 positions", "2048 chosen of all positions" */
zoo_words zoo_say_reach(const zoo_arch_block *block);
/* "the whole head, theta 500000, yarn times 8", "none" */
zoo_words zoo_say_rotation(const zoo_arch_block *block);
/* "SwiGLU feed-forward, 14336 inside", "128 experts of 768, 8 a token, ..." */
zoo_words zoo_say_ffn(const zoo_arch_block *block);
/* "SwiGLU", "GEGLU", "gelu": gate and activation. */
zoo_words zoo_say_activation(const zoo_arch_block *block);
/* The other facts of a mixer or feed-forward, such as norms of heads, gates, sinks. */
zoo_words zoo_say_extras(const zoo_arch_block *block);
/* ", eps 1e-06" */
zoo_words zoo_say_eps(const zoo_norm *norm);
/* What a layer is called: "sliding attention, experts". */
zoo_words zoo_say_layer(const zoo_arch *arch, const zoo_arch_layer *layer);
/* Layers of a kind: "0-2", "3, 7, 11, ... 47 (every 4th)". */
zoo_words zoo_say_which(const zoo_arch *arch, uint32_t kind);
/* The stack: "48 layers: 3 of delta rule, then 1 of attention, 12 times". */
zoo_words zoo_say_pattern(const zoo_arch *arch);

#endif
