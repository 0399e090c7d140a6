/*
 * grammar.h: output that must be JSON of a given shape, a text of a given grammar or pattern, or a
 * call of a tool: token masks.
 *
 * schema -> pushdown automaton over bytes (schema.c, nodes.c, pattern.c, ebnf.c),
 *           within the marks of a model's calls (calls.c)
 *        -> deterministic states, made as they are met (states.c)
 *        -> for a state, the set of tokens whose bytes all can follow: one walk over a trie of the
 *           vocabulary (vocab.c), kept per state (mask.c)
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
 * propertyOrdering, contentEncoding, x-...) say nothing. Every other keyword, and every combination
 * that is not enforced, is refused by name.
 *
 * What is written is a subset of what the schema allows: properties come in the schema's order,
 * others than the named ones only when additionalProperties asks for them, between tokens stands at
 * most one blank, or a newline and up to 20 blanks; integers have at most 15 digits.
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
/* What the states and masks of all grammars together may take; at first there is no bound. Beyond
 * it the larger ones begin anew. */
void zoo_vocab_limit(zoo_vocab *vocab, size_t bytes_max);
void zoo_vocab_free(zoo_vocab *vocab);

/* How many 32-bit words a mask has: one bit an id. */
size_t zoo_vocab_mask_words(const zoo_vocab *vocab);

/* What a text is to be. */
typedef struct zoo_grammar_want {
    const cJSON *schema;  /* null: any JSON object (response_format json_object) */
    const char *pattern;  /* not null: a text that this regular expression matches whole instead */
    const char *ebnf;     /* not null: a text of the rule root of this grammar instead */
    const cJSON *options; /* not null: one of these strings instead */
    const cJSON *tools;   /* not null: a call of one of these instead, in the format's shape, or as
                            bare JSON where it has none */
    const char *choice;   /* the only tool that may be called, or null */
    const zoo_output_format *format; /* of the model's chats; null: bare JSON */
    uint32_t reasoning; /* of zoo_output_reasoning_open: reasoning and its end mark come first */
} zoo_grammar_want;

/*
 * Made ready for a vocabulary; keeps nothing of want. Its work is bounded (ZOO_E_LIMIT), and so is
 * that of every mask. May be shared by any number of states and
 * threads. ZOO_E_UNSUPPORTED: names keyword and place; ZOO_E_FORMAT: no valid schema; ZOO_E_USAGE:
 * no such tool; ZOO_E_LIMIT. [session]
 */
zoo_status zoo_grammar_compile(const zoo_grammar_want *want, const zoo_vocab *vocab,
                               zoo_grammar **out, zoo_error *err);
/* Gives one reference back, after all states begun with it. Null is fine. */
void zoo_grammar_free(zoo_grammar *grammar);

/*
 * Grammars by what they were made for, so that rows with the same schema share states and masks.
 * All of one store are for one vocabulary and one format. Any thread. [session]
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
 * how many more tokens will be generated at most; only tokens are allowed from which the JSON can
 * still be closed in time (ZOO_GRAMMAR_NO_LIMIT: no such care). So a text is whole at its limit
 * when that was at least the number of tokens that the shortest text (in bytes) takes; with fewer
 * the shortest way is taken as far as it goes. At least one bit is set. The mask depends on the
 * tokens accepted, the schema, the vocabulary and tokens_left alone.
 */
zoo_status zoo_grammar_mask(zoo_grammar_state *state, uint32_t tokens_left, uint32_t *bits,
                            zoo_error *err);

/* Takes the chosen token. ZOO_E_USAGE when the mask forbids it. */
zoo_status zoo_grammar_accept(zoo_grammar_state *state, uint32_t id, zoo_error *err);

/*
 * The text that must come next, where one byte alone may follow each time (a key that has begun,
 * what is left of a word), cut into the longest tokens: likely, not certain, as others spell the
 * same. Returns how many stand in out [n_max]; 0 too where work or memory are spent.
 */
uint32_t zoo_grammar_guess(zoo_grammar_state *state, int32_t *out, uint32_t n_max);

/* Whether the text so far is whole, so that generation may stop here. */
bool zoo_grammar_is_complete(const zoo_grammar_state *state);

#ifdef __cplusplus
}
#endif

#endif
