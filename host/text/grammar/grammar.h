/*
 * grammar.h: token masks for constrained output: JSON of a given schema, text of a given grammar or
 * pattern, or a tool call.
 *
 * schema -> pushdown automaton over bytes (schema.c, nodes.c, pattern.c, ebnf.c),
 *           within the marks of a model's calls (calls.c)
 *        -> deterministic states, made as they are met (states.c)
 *        -> for a state, the set of tokens all of whose bytes can follow: one walk over a trie of
 *           the vocabulary (vocab.c), cached per state (mask.c)
 *        -> of these, where tokens are short, those from which the end is near enough
 *           (steps.c, rank.c)
 *
 * Tokens may end inside a character, a word or a number; masks are exact over bytes. Strings are
 * valid UTF-8.
 *
 * Known keywords: type (also lists), enum, const, properties, required, additionalProperties,
 * minProperties, maxProperties, patternProperties (one pattern, no properties), items, prefixItems,
 * minItems, maxItems, uniqueItems (of an enum), minLength, maxLength, pattern, format (date, time,
 * date-time, duration, email, hostname, ipv4, ipv6, uuid), minimum, maximum, exclusiveMinimum,
 * exclusiveMaximum, multipleOf (whole), anyOf, oneOf (alternatives that exclude each other), allOf
 * (merged), $ref within the document, $defs, definitions. Annotations (title, description, default,
 * examples, $schema, $id, $comment, deprecated, readOnly, writeOnly, discriminator, nullable,
 * propertyOrdering, contentEncoding, x-...) have no effect. Every other keyword, and every
 * combination that is not enforced, is refused by name.
 *
 * The output is a subset of what the schema allows: properties come in the schema's order,
 * unnamed ones only when additionalProperties asks for them; between JSON tokens is at most one
 * blank, or a newline and up to 20 blanks; integers have at most 15 digits.
 */
#ifndef ZOO_TEXT_GRAMMAR_GRAMMAR_H
#define ZOO_TEXT_GRAMMAR_GRAMMAR_H

#include <cjson/cJSON.h>

#include "base.h"
#include "text/output/output.h"
#include "text/tokenizer/tokenizer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct zoo_vocab zoo_vocab;
typedef struct zoo_grammar zoo_grammar;
typedef struct zoo_grammar_state zoo_grammar_state;

#define ZOO_GRAMMAR_NO_LIMIT UINT32_MAX

/*
 * The vocabulary as a trie over token bytes, made once per tokenizer. end_ids: tokens that end a
 * text, allowed where the JSON is whole; other special tokens are never allowed. The tokenizer must
 * live as long. Constant, shared by threads. ZOO_E_MEMORY. [load]
 */
zoo_status zoo_vocab_new(const zoo_tokenizer *tokenizer, const uint32_t *end_ids, size_t n_end_ids,
                         zoo_vocab **out, zoo_error *err);
/* Limits the memory of the states and masks of all grammars together (by default unlimited). Beyond
 * it the larger grammars drop theirs and rebuild them. */
void zoo_vocab_limit(zoo_vocab *vocab, size_t bytes_max);
void zoo_vocab_free(zoo_vocab *vocab);

/* How many 32-bit words a mask has: one bit an id. */
size_t zoo_vocab_mask_words(const zoo_vocab *vocab);

/* The required form of a text. */
typedef struct zoo_grammar_want {
    const cJSON *schema;  /* null: any JSON object (response_format json_object) */
    const char *pattern;  /* not null: a text that this regular expression matches whole instead */
    const char *ebnf;     /* not null: a text of the rule root of this grammar instead */
    const cJSON *options; /* not null: one of these strings instead */
    const cJSON *tools;   /* not null: a call of one of these instead, in the format's shape, or as
                            bare JSON where it has none */
    const char *choice;   /* the only tool that may be called, or null */
    bool many;            /* one call or more, where the format can tell them apart */
    const zoo_output_format *format; /* of the model's chats; null: bare JSON */
    uint32_t reasoning; /* of zoo_output_reasoning_open: reasoning and its end mark come first */
} zoo_grammar_want;

/*
 * Compiles a grammar for a vocabulary; keeps no pointer of want. Its work is bounded, and so is
 * that of every mask. May be shared by any number of states and threads. ZOO_E_UNSUPPORTED: names
 * keyword and place; ZOO_E_FORMAT: no valid schema; ZOO_E_USAGE: no such tool; ZOO_E_LIMIT: too
 * much work. [session]
 */
zoo_status zoo_grammar_compile(const zoo_grammar_want *want, const zoo_vocab *vocab,
                               zoo_grammar **out, zoo_error *err);
/* Releases one reference; its states must be ended before. Null is fine. */
void zoo_grammar_free(zoo_grammar *grammar);

/*
 * A cache of compiled grammars, so that rows with the same schema share states and masks. All are
 * for one vocabulary and one format. Any thread. [session]
 */
typedef struct zoo_grammars zoo_grammars;
zoo_status zoo_grammars_new(const zoo_vocab *vocab, zoo_grammars **out, zoo_error *err);
/* Grammars that are still in use live on. Null is fine. */
void zoo_grammars_free(zoo_grammars *grammars);
/* As zoo_grammar_compile; *out is a reference of the caller's. */
zoo_status zoo_grammars_get(zoo_grammars *grammars, const zoo_grammar_want *want, zoo_grammar **out,
                            zoo_error *err);

/* One sequence's place in the grammar; belongs to one thread at a time. */
zoo_status zoo_grammar_begin(zoo_grammar *grammar, zoo_grammar_state **out, zoo_error *err);
void zoo_grammar_end(zoo_grammar_state *state);

/*
 * Sets bits[mask_words]: bit i % 32 of word i / 32 is 1 when token i may come next. tokens_left:
 * how many more tokens will be generated at most; only tokens are allowed after which the JSON can
 * still be completed in time (ZOO_GRAMMAR_NO_LIMIT: no bound). So the text is complete at its limit
 * if that is at least the number of tokens of the shortest text (in bytes); with fewer, the
 * shortest text is followed as far as it goes. At least one bit is set. The mask depends only on
 * the tokens accepted, the schema, the vocabulary and tokens_left.
 */
zoo_status zoo_grammar_mask(zoo_grammar_state *state, uint32_t tokens_left, uint32_t *bits,
                            zoo_error *err);

/* Advances by the chosen token. ZOO_E_USAGE when the mask forbids it. */
zoo_status zoo_grammar_accept(zoo_grammar_state *state, uint32_t id, zoo_error *err);

/*
 * Draft tokens: the text that must come next, as long as only one byte may follow each time (the
 * rest of a key or word), cut into the longest tokens. Likely, not certain, since shorter tokens
 * can spell the same. Returns how many are in out [n_max]; 0 also when work or memory are spent.
 */
uint32_t zoo_grammar_guess(zoo_grammar_state *state, int32_t *out, uint32_t n_max);

/* Whether the text so far is whole, so that generation may stop here. */
bool zoo_grammar_is_complete(const zoo_grammar_state *state);

#ifdef __cplusplus
}
#endif

#endif
