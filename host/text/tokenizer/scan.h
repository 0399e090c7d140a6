/*
 * scan.h: scanners for known patterns, and how a pattern string is recognised (known.c).
 */
#ifndef ZOO_TEXT_TOKENIZER_SCAN_H
#define ZOO_TEXT_TOKENIZER_SCAN_H

#include "text/tokenizer/tokenizer_private.h"

typedef enum tok_shape {
    TOK_SHAPE_NONE,
    TOK_SHAPE_WORDS,
    TOK_SHAPE_RUNS,
    TOK_SHAPE_CASES
} tok_shape;

enum { TOK_CONTRACT_NONE, TOK_CONTRACT_EXACT, TOK_CONTRACT_CASELESS };

typedef struct tok_scan_rule {
    tok_shape shape;
    uint32_t letters, others; /* RUNS and CASES: class masks of words and of the punctuation run */
    uint32_t digits_max;
    uint8_t contractions;
    bool slash; /* a slash may follow punctuation and newlines */
    bool han;   /* runs of Han characters are pieces of their own */
} tok_scan_rule;

/* The end of the piece that begins at i < n. */
size_t tok_scan_piece(const tok_scan_rule *rule, const tok_chars *chars, const uint8_t *p, size_t n,
                      size_t i);
/* The first match at or after `from`. */
bool tok_scan_gappy(const tok_chars *chars, const uint8_t *p, size_t n, size_t from,
                    size_t range[2]);
/* `\s+$`, where $ also stands before each newline. */
bool tok_scan_line_spaces(const tok_chars *chars, const uint8_t *p, size_t n, size_t from,
                          size_t range[2]);

/* A rule with shape NONE when the pattern is not one of the tiling ones. */
tok_scan_rule tok_known_tiling(tok_str pattern);
bool tok_known_gappy(tok_str pattern);
bool tok_known_line_spaces(tok_str pattern);

#endif
