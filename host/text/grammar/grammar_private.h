/*
 * grammar_private.h: the automaton, shared by the files of the grammar.
 *
 * Nodes are built back to front: a builder function gets the node that follows and gives the node
 * to enter. Node 0 returns from its rule. A rule is entered by a call node and has its own nodes,
 * so recursion of a schema is recursion of rules.
 */
#ifndef ZOO_TEXT_GRAMMAR_GRAMMAR_PRIVATE_H
#define ZOO_TEXT_GRAMMAR_GRAMMAR_PRIVATE_H

#include <pthread.h>

#include "text/grammar/grammar.h"
#include "text/output/output_private.h"

typedef uint32_t zoo_gnode;
#define ZOO_GNODE_RETURN 0u
#define ZOO_GRULE_NONE   UINT32_MAX

typedef enum zoo_gkind {
    ZOO_G_RETURN,
    ZOO_G_BYTE,  /* one byte of class a, then next */
    ZOO_G_TOKEN, /* the special token a, then next */
    ZOO_G_SPLIT, /* next or a */
    ZOO_G_CALL   /* rule a, then next */
} zoo_gkind;

typedef struct zoo_gentry {
    uint8_t kind;
    uint32_t a;
    zoo_gnode next;
    uint32_t distance; /* fewest bytes to the end of its rule; a special token counts as one */
} zoo_gentry;

typedef struct zoo_gclass {
    uint32_t bits[8]; /* of 256 bytes */
} zoo_gclass;

typedef struct zoo_grule {
    zoo_gnode start;
    const cJSON *schema; /* what it was made from, or null */
} zoo_grule;

/* The finished automaton. */
typedef struct zoo_gcode {
    zoo_gentry *nodes;
    zoo_gclass *classes;
    zoo_grule *rules;
    uint32_t n_nodes, n_classes, n_rules;
    uint32_t node_capacity, class_capacity, rule_capacity;
    uint32_t start; /* rule */
} zoo_gcode;

/* One compile. After the first error every builder function gives node 0 and does nothing. */
typedef struct zoo_gbuild {
    zoo_gcode *code;
    const zoo_tokenizer *tokenizer; /* for special tokens in marks; may be null */
    const cJSON *root;              /* where $ref leads from */
    const char *subject;            /* what messages speak of: "JSON schema", "grammar" */
    zoo_piece quote; /* of strings, and keys stand bare (the shape loose); n 0: JSON */
    cJSON *made;     /* schemas that merging made; an array */
    zoo_status status;
    zoo_error *err;
    uint32_t depth;
    /* Shared rules, ZOO_GRULE_NONE until needed. */
    uint32_t space, character, value, object, array, string, number;
} zoo_gbuild;

void zoo_gbuild_fail(zoo_gbuild *b, zoo_status status, const char *fmt, ...) ZOO_PRINTF(3, 4);

/* Counts work; fails when the budget is spent. */
void zoo_gbuild_step(zoo_gbuild *b, uint64_t n);

/* ---- nodes (nodes.c) ---- */

/* Node 0, where every rule ends: the first node of a build. */
void zoo_g_return(zoo_gbuild *b);
zoo_gnode zoo_g_class(zoo_gbuild *b, const zoo_gclass *c, zoo_gnode next);
/* One byte of low..high. */
zoo_gnode zoo_g_range(zoo_gbuild *b, int low, int high, zoo_gnode next);
zoo_gnode zoo_g_text(zoo_gbuild *b, const char *s, size_t n, zoo_gnode next);
zoo_gnode zoo_g_either(zoo_gbuild *b, zoo_gnode x, zoo_gnode y);
/* A split whose branches are set later, for loops. */
zoo_gnode zoo_g_loop(zoo_gbuild *b);
void zoo_g_loop_set(zoo_gbuild *b, zoo_gnode loop, zoo_gnode body, zoo_gnode after);
zoo_gnode zoo_g_call(zoo_gbuild *b, uint32_t rule, zoo_gnode next);
uint32_t zoo_g_rule(zoo_gbuild *b, const cJSON *schema);
void zoo_g_rule_set(zoo_gbuild *b, uint32_t rule, zoo_gnode start);
void zoo_gclass_add(zoo_gclass *c, int low, int high);
bool zoo_gclass_has(const zoo_gclass *c, uint8_t byte);

/* ---- pieces of JSON (json.c) ---- */

zoo_gnode zoo_g_space(zoo_gbuild *b, zoo_gnode next);
/* One character of a string, escapes included. */
zoo_gnode zoo_g_character(zoo_gbuild *b, zoo_gnode next);
/* A string of min..max characters with its quotes; max UINT32_MAX: no bound. */
zoo_gnode zoo_g_string(zoo_gbuild *b, uint32_t min, uint32_t max, zoo_gnode next);
zoo_gnode zoo_g_number(zoo_gbuild *b, zoo_gnode next);
/* An integer of low..high, |bounds| < 10^15. */
zoo_gnode zoo_g_integer(zoo_gbuild *b, int64_t low, int64_t high, zoo_gnode next);
/* Any JSON value, object, array. */
zoo_gnode zoo_g_value(zoo_gbuild *b, zoo_gnode next);
zoo_gnode zoo_g_object(zoo_gbuild *b, zoo_gnode next);
zoo_gnode zoo_g_array(zoo_gbuild *b, zoo_gnode next);
/* A special token of the vocabulary. */
zoo_gnode zoo_g_token(zoo_gbuild *b, uint32_t token, zoo_gnode next);
/* The well-formed UTF-8 of one character from 0x80 on. */
zoo_gnode zoo_g_beyond_ascii(zoo_gbuild *b, zoo_gnode next);

/* A name as the key of an object, and the colon. */
zoo_gnode zoo_g_key(zoo_gbuild *b, const char *name, zoo_gnode next);

#define ZOO_G_INTEGER_MAX INT64_C(999999999999999)

/* A quoted string of min..max characters in which a regular expression is found. */
zoo_gnode zoo_g_pattern(zoo_gbuild *b, const char *pattern, uint32_t min, uint32_t max,
                        zoo_gnode next);
/* Nodes made since the automaton had `first` of them, that lead from start to end. */
typedef struct zoo_gspan {
    zoo_gnode start, end;
    uint32_t first;
} zoo_gspan;
/* The same texts as far as they have min..max characters (counted.c). The span has no calls. */
zoo_gnode zoo_g_counted(zoo_gbuild *b, const zoo_gspan *span, uint32_t min, uint32_t max);
/* Bare text that the whole of a regular expression matches. */
zoo_gnode zoo_g_pattern_text(zoo_gbuild *b, const char *pattern, zoo_gnode next);

/* One character of low..high, code points, as UTF-8; surrogates are left out (code_points.c). */
zoo_gnode zoo_g_code_points(zoo_gbuild *b, uint32_t low, uint32_t high, zoo_gnode next);
/* Bare text of the root rule of a grammar in EBNF (ebnf.c). */
zoo_gnode zoo_g_ebnf(zoo_gbuild *b, const char *grammar, zoo_gnode next);

/* ---- marks (marks.c) ---- */

/* The mark's text, special tokens in it as such. */
zoo_gnode zoo_g_mark(zoo_gbuild *b, zoo_piece mark, zoo_gnode next);
/* Any text without the mark, then the mark. */
zoo_gnode zoo_g_until(zoo_gbuild *b, zoo_piece mark, zoo_gnode next);

/* All that is wanted (calls.c). */
zoo_gnode zoo_g_want(zoo_gbuild *b, const zoo_grammar_want *want);

/* ---- schemas (schema.c, object.c, merge.c) ---- */

/* Any value of a schema. */
zoo_gnode zoo_g_schema(zoo_gbuild *b, const cJSON *schema, zoo_gnode next);
zoo_gnode zoo_g_schema_object(zoo_gbuild *b, const cJSON *schema, zoo_gnode next);
zoo_gnode zoo_g_schema_array(zoo_gbuild *b, const cJSON *schema, zoo_gnode next);
/* The schema that $ref and allOf stand for: without either. Null after an error. */
const cJSON *zoo_gschema_resolve(zoo_gbuild *b, const cJSON *schema);
/* A schema that both schemas together make: without $ref and allOf. */
const cJSON *zoo_gschema_merge(zoo_gbuild *b, const cJSON *x, const cJSON *y);
/* A copy of schema without a key. */
const cJSON *zoo_gschema_without(zoo_gbuild *b, const cJSON *schema, const char *key);
/* Whether no value fits both. False when that cannot be told. */
bool zoo_gschema_exclude(zoo_gbuild *b, const cJSON *x, const cJSON *y);
/* A count such as minItems; absent: fallback. */
uint32_t zoo_gschema_count(zoo_gbuild *b, const cJSON *schema, const char *key, uint32_t fallback);

/* A value of the schema's enum or const. */
zoo_gnode zoo_g_schema_listed(zoo_gbuild *b, const cJSON *schema, zoo_gnode next);
/* Keywords that do not constrain a value (annotations). */
bool zoo_gschema_is_annotation(const char *key);
/* Integers and numbers within the schema's bounds (number.c). */
zoo_gnode zoo_g_schema_integer(zoo_gbuild *b, const cJSON *schema, zoo_gnode next);
zoo_gnode zoo_g_schema_number(zoo_gbuild *b, const cJSON *schema, zoo_gnode next);
/* The regular expression of a `format`; null: not known (string_format.c). */
const char *zoo_gformat_pattern(const char *name);

/* Which JSON types a schema names, as bits; all when it names none. */
enum {
    ZOO_T_NULL = 1,
    ZOO_T_BOOLEAN = 2,
    ZOO_T_INTEGER = 4,
    ZOO_T_NUMBER = 8,
    ZOO_T_STRING = 16,
    ZOO_T_ARRAY = 32,
    ZOO_T_OBJECT = 64,
    ZOO_T_ALL = 127
};
unsigned zoo_gschema_types(zoo_gbuild *b, const cJSON *schema);

/* The whole automaton (compile.c). */
zoo_status zoo_gcode_build(const zoo_grammar_want *want, const zoo_tokenizer *tokenizer,
                           zoo_gcode *code, zoo_error *err);
void zoo_gcode_free(zoo_gcode *code);

/* ---- deterministic states (states.c) ---- */

#define ZOO_GSTATE_DEAD  0u
#define ZOO_GSTATE_START 1u

typedef struct zoo_gstates zoo_gstates;

zoo_gstates *zoo_gstates_new(const zoo_gcode *code);
void zoo_gstates_free(zoo_gstates *states);
/* The state after one more byte; ZOO_GSTATE_DEAD: it cannot follow, or there is no
 * memory (then zoo_gstates_failed). */
uint32_t zoo_gstates_step(zoo_gstates *states, uint32_t state, uint8_t byte);
/* The same after a special token. */
uint32_t zoo_gstates_take(zoo_gstates *states, uint32_t state, uint32_t token);
/* The special tokens that may follow: index from 0 on, until ZOO_ID_NONE. */
uint32_t zoo_gstates_special(const zoo_gstates *states, uint32_t state, uint32_t index);
bool zoo_gstates_failed(const zoo_gstates *states);
/* Whether that was because the work allowed was spent, or a state had too many places. */
bool zoo_gstates_too_large(const zoo_gstates *states);
/* Work from here on: configurations looked at and nodes of the vocabulary visited. */
void zoo_gstates_allow(zoo_gstates *states, uint64_t work);
bool zoo_gstates_spend(zoo_gstates *states, uint64_t work);
size_t zoo_gstates_bytes(const zoo_gstates *states);
bool zoo_gstates_accepts(const zoo_gstates *states, uint32_t state);
/* Fewest bytes to a whole text. */
uint32_t zoo_gstates_distance(const zoo_gstates *states, uint32_t state);
uint32_t zoo_gstates_count(const zoo_gstates *states);

#endif
