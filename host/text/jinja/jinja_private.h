/*
 * jinja_private.h: the inside of the chat-template engine; template.h is what others use.
 *
 * Pipeline: source -> tokens (lex.c) -> tree (parse.c, expr.c) -> variables of
 * its names (names.c) -> text (exec.c walks statements, eval.c expressions). The
 * language is the part of Jinja 3.1 that chat templates use, in the environment the Hub's tools
 * give it: trim_blocks, lstrip_blocks, immutable sandbox, loop controls, `generation` blocks.
 * Values follow Python: what is printed, compared or refused is what Python prints, compares or
 * refuses. Anything else of Jinja is refused with line and construct.
 *
 * Memory: one pool for each compile and one for each render, freed whole; a value never outlives
 * it. Errors inside the engine unwind with longjmp to the single setjmp of that compile or render,
 * so no object needs a release and no half-made text escapes.
 *
 * Bounds: bytes of the pool, steps, nesting, bytes of output (zoo_jinja_limits).
 *
 * Source of the rules: the Jinja documentation, and the behaviour of the reference on real
 * templates.
 */
#ifndef ZOO_TEXT_JINJA_JINJA_PRIVATE_H
#define ZOO_TEXT_JINJA_JINJA_PRIVATE_H

#include <setjmp.h>

#include "base.h"
#include "text/jinja/template.h"

typedef struct zoo_jinja zoo_jinja;
typedef struct zoo_jnode zoo_jnode;
typedef struct zoo_jscope zoo_jscope;
typedef struct zoo_jv zoo_jv;

/* ---- memory and errors (mem.c) ---- */

typedef struct zoo_jpool {
    struct zoo_jchunk *chunks; /* newest first */
    size_t bytes;              /* taken from the system */
    size_t bytes_max;
} zoo_jpool;

void zoo_jpool_free(zoo_jpool *pool);

typedef struct zoo_jbuf {
    char *s;
    size_t n, capacity;
} zoo_jbuf;

/* One compile or one render. */
struct zoo_jinja {
    zoo_jpool pool;
    zoo_jinja_limits limits;
    jmp_buf unwind;
    zoo_error *err;
    zoo_status status;
    const char *name; /* of the template, for errors */
    int line;         /* of the node at work */
    uint32_t depth;   /* of nested evaluation */
    uint64_t steps;
    uint64_t seed; /* of the dict hashes */
    uint64_t n_nans;
    bool folds;    /* an expression of constants is at work, see eval.c */
    zoo_jbuf *out; /* where text goes: the result, or the body of a macro or set block */
    size_t out_bytes;
    struct zoo_jdict *globals; /* the variables of the caller */
    const zoo_clock *now;      /* null: the machine's clock */
};

/* Ends the compile or render with "NAME, line N: ..." */
_Noreturn void zoo_jinja_raise(zoo_jinja *x, zoo_status code, const char *fmt, ...)
    ZOO_PRINTF(3, 4);
/* n bytes aligned for any value, not cleared. */
void *zoo_jinja_take(zoo_jinja *x, size_t n);
/* n_items * item_size bytes, zeroed. */
void *zoo_jinja_array(zoo_jinja *x, size_t n_items, size_t item_size);
/* Counts work; more than limits.steps_max ends the render. */
void zoo_jinja_step(zoo_jinja *x, uint64_t n);
/* Counts nesting; a matching zoo_jinja_leave follows unless an error unwinds. */
void zoo_jinja_enter(zoo_jinja *x);
void zoo_jinja_leave(zoo_jinja *x);

void zoo_jbuf_add(zoo_jinja *x, zoo_jbuf *buf, const char *s, size_t n);
void zoo_jbuf_text(zoo_jinja *x, zoo_jbuf *buf, const char *s);
/* Appends one code point as UTF-8. */
void zoo_jbuf_char(zoo_jinja *x, zoo_jbuf *buf, uint32_t c);

/* ---- values (value.c) ---- */

typedef enum zoo_jkind {
    JV_UNDEFINED,
    JV_NONE,
    JV_BOOL,
    JV_INT,
    JV_BIG, /* an integer beyond 64 bits, as its decimal digits; it prints and compares only */
    JV_FLOAT,
    JV_STR,
    JV_LIST,
    JV_TUPLE,
    JV_DICT,
    JV_NAMESPACE,
    JV_RANGE,
    JV_GENERATOR, /* what lazy filters give: read once, neither indexed nor counted */
    JV_VIEW,      /* keys(), values(), items() of a dict */
    JV_MACRO,
    JV_FUNCTION,
    JV_METHOD,
    JV_LOOP
} zoo_jkind;

typedef struct zoo_jstr {
    size_t n;       /* bytes */
    size_t n_chars; /* code points; equal to n for ASCII */
    const char *s;  /* UTF-8, not null-terminated */
} zoo_jstr;

typedef struct zoo_jlist {
    zoo_jv *items;
    size_t n, capacity;
    size_t used;            /* generators: how many were read */
    const char *tag;        /* views: dict_keys, dict_values, dict_items; groupby: group */
    struct zoo_jlazy *lazy; /* generators that make their items one by one, else null */
} zoo_jlist;

typedef struct zoo_jrange {
    int64_t start, stop, step;
    int64_t n;
} zoo_jrange;

struct zoo_jv {
    uint8_t kind;
    uint8_t safe; /* strings: marked by |safe or |escape, which makes + escape the other side */
    union {
        bool b;
        int64_t i;
        double f;
        const zoo_jstr *str;    /* JV_STR, JV_BIG */
        zoo_jlist *list;        /* JV_LIST, JV_TUPLE, JV_GENERATOR, JV_VIEW */
        struct zoo_jdict *dict; /* JV_DICT, JV_NAMESPACE */
        const zoo_jrange *range;
        const struct zoo_jundefined *undefined;
        const struct zoo_jmacro *macro;
        const struct zoo_jfunction *function;
        const struct zoo_jbound *method;
        struct zoo_jloop *loop;
    } as;
};

typedef struct zoo_jentry {
    zoo_jv key, value;
    uint64_t hash;
} zoo_jentry;

/* Keeps the order of insertion. */
typedef struct zoo_jdict {
    zoo_jentry *entries;
    size_t n, capacity;
    uint32_t *index; /* open addressing, entry + 1; null while small */
    size_t n_index;  /* a power of two */
} zoo_jdict;

/* Why a value is missing, for the error when it is needed. */
typedef struct zoo_jundefined {
    zoo_jv owner;     /* what was asked, when has_owner */
    zoo_jv key;       /* name or index */
    const char *hint; /* a whole sentence instead */
    bool has_owner;
    bool is_unsafe; /* the sandbox forbids it */
} zoo_jundefined;

typedef struct zoo_jargs {
    zoo_jv *args;
    size_t n_args;
    const zoo_jstr **names;
    zoo_jv *named;
    size_t n_named;
} zoo_jargs;

typedef zoo_jv (*zoo_jcall)(zoo_jinja *x, zoo_jv self, const zoo_jargs *args);

/* A filter, a test, a method or a global function, with its parameters in order. */
typedef struct zoo_jfunction {
    const char *name;
    zoo_jcall call;
    const char *params; /* "width first blank": names in order, self not counted */
    uint8_t n_required;
} zoo_jfunction;

typedef struct zoo_jbound {
    const zoo_jfunction *function;
    zoo_jv self;
} zoo_jbound;

#define ZOO_JV_NONE    ((zoo_jv){.kind = JV_NONE})
#define ZOO_JV_BOOL(x) ((zoo_jv){.kind = JV_BOOL, .as.b = (x)})
#define ZOO_JV_INT(x)  ((zoo_jv){.kind = JV_INT, .as.i = (x)})

zoo_jv zoo_jv_float(double f);
/* Copies n bytes of UTF-8. */
zoo_jv zoo_jv_str(zoo_jinja *x, const char *s, size_t n);
/* The same without a copy: s lives as long as the pool. */
zoo_jv zoo_jv_view(zoo_jinja *x, const char *s, size_t n);
zoo_jv zoo_jv_text(zoo_jinja *x, const char *s);
zoo_jv zoo_jv_buf(zoo_jinja *x, const zoo_jbuf *buf);
zoo_jv zoo_jv_list(zoo_jinja *x, zoo_jkind kind, size_t capacity);
zoo_jv zoo_jv_dict(zoo_jinja *x);
zoo_jv zoo_jv_function(const zoo_jfunction *function);
zoo_jv zoo_jv_undefined_name(zoo_jinja *x, zoo_jv name);
zoo_jv zoo_jv_undefined_of(zoo_jinja *x, zoo_jv owner, zoo_jv key);
zoo_jv zoo_jv_undefined_hint(zoo_jinja *x, const char *hint);

void zoo_jlist_add(zoo_jinja *x, zoo_jlist *list, zoo_jv item);
/* An unhashable key raises. */
void zoo_jdict_set(zoo_jinja *x, zoo_jdict *dict, zoo_jv key, zoo_jv value);
/* Null when absent. */
zoo_jv *zoo_jdict_get(zoo_jinja *x, const zoo_jdict *dict, zoo_jv key);
zoo_jv *zoo_jdict_text(zoo_jinja *x, const zoo_jdict *dict, const char *key);

bool zoo_jv_is(zoo_jv v, const char *text);
bool zoo_jv_truth(zoo_jv v);
bool zoo_jv_equal(zoo_jinja *x, zoo_jv a, zoo_jv b);
/* The same, and a NaN is one with itself: what Python's containers ask of their items. */
bool zoo_jv_same(zoo_jinja *x, zoo_jv a, zoo_jv b);
zoo_jv zoo_jv_nan(zoo_jinja *x);
bool zoo_jv_hashable(zoo_jv v);
/* Negative, 0 or positive; raises when Python has no order for the two. op is printed then. */
int zoo_jv_compare(zoo_jinja *x, zoo_jv a, zoo_jv b, const char *op);
bool zoo_jv_contains(zoo_jinja *x, zoo_jv container, zoo_jv item);
/* Python's name of the type. */
const char *zoo_jv_type(zoo_jv v);
bool zoo_jv_is_number(zoo_jv v);
/* Raises when v is undefined and its value is needed. */
void zoo_jv_need(zoo_jinja *x, zoo_jv v);
/* len(v); false when it has none. */
bool zoo_jv_length(zoo_jv v, size_t *n);

/* Walks what Python iterates; a generator is used up by it. */
typedef struct zoo_jiter {
    zoo_jv over;
    size_t at; /* item, or byte of a string */
} zoo_jiter;

bool zoo_jv_iterable(zoo_jv v);
/* Raises when v cannot be iterated. */
zoo_jiter zoo_jiter_begin(zoo_jinja *x, zoo_jv v);
bool zoo_jiter_next(zoo_jinja *x, zoo_jiter *it, zoo_jv *item);

/* A generator: source is read as its items are asked for; what fails does so then. */
typedef struct zoo_jlazy {
    bool (*next)(zoo_jinja *x, struct zoo_jlazy *lazy, zoo_jv *item);
    zoo_jv source;
    zoo_jiter it;
    bool has_begun, has_ended;
    zoo_jargs args;
    const void *how; /* what else next needs */
    zoo_jv state;
    int64_t slices;
    void *data;
} zoo_jlazy;

zoo_jv zoo_jv_lazy(zoo_jinja *x, const zoo_jlazy *lazy);
/* list(v) */
zoo_jv zoo_jv_to_list(zoo_jinja *x, zoo_jv v);

/* ---- text of values (text.c, json.c) ---- */

/* str(v) and repr(v) appended. */
void zoo_jbuf_str(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v);
void zoo_jbuf_repr(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v);
/* str(v), v itself when it is a string. */
zoo_jv zoo_jv_to_str(zoo_jinja *x, zoo_jv v);
/* repr(float) into at least 32 bytes. */
void zoo_float_print(double f, char *out);
/* & < > " ' as HTML entities. */
zoo_jv zoo_jv_escape(zoo_jinja *x, zoo_jv v);

typedef struct zoo_jdump {
    bool ascii, sorted, pretty;
    zoo_jv indent; /* a string, when pretty */
    zoo_jv item_separator, key_separator;
} zoo_jdump;

/* json.dumps(v) appended. */
void zoo_jbuf_json(zoo_jinja *x, zoo_jbuf *buf, zoo_jv v, const zoo_jdump *how);
/* json.loads: integers of any size, U+0000, NaN and Infinity kept; raises ZOO_E_FORMAT. */
zoo_jv zoo_jv_from_json(zoo_jinja *x, const char *text, size_t n);
/* From a cJSON tree; raw items are read by zoo_jv_from_json. */
zoo_jv zoo_jv_from_cjson(zoo_jinja *x, const cJSON *item);
/* The text with decimal digits of any script as ASCII ones. */
zoo_jv zoo_jstr_digits(zoo_jinja *x, const char *s, size_t n);
/* float(v) as Python has it; false when v is no number and no text of one. An integer too large
 * raises. */
bool zoo_jv_to_double(zoo_jinja *x, zoo_jv v, double *out);
/* int(f), of any size; NaN and infinity raise. */
zoo_jv zoo_jv_whole(zoo_jinja *x, double f);
/* int(text, base), surrounding spaces and _ allowed; false when it is no integer. */
bool zoo_jv_parse_int(zoo_jinja *x, const char *s, size_t n, int base, zoo_jv *out);

/* ---- tree (lex.c, parse.c, expr.c) ---- */

typedef enum zoo_jtoken_kind {
    JT_END,
    JT_TEXT,
    JT_VAR_BEGIN,
    JT_VAR_END,
    JT_BLOCK_BEGIN,
    JT_BLOCK_END,
    JT_NAME,
    JT_STRING,
    JT_NUMBER,
    JT_OP
} zoo_jtoken_kind;

typedef struct zoo_jtoken {
    uint8_t kind;
    int line;
    const char *s; /* JT_NAME, JT_OP: as written */
    size_t n;
    zoo_jv value; /* JT_TEXT, JT_STRING, JT_NUMBER */
} zoo_jtoken;

/* All tokens of a source, a JT_END last. */
const zoo_jtoken *zoo_jinja_lex(zoo_jinja *x, const char *source, size_t n);

typedef enum zoo_jnode_kind {
    /* expressions */
    JN_CONST,
    JN_NAME,
    JN_LIST,
    JN_TUPLE,
    JN_DICT,    /* list: key, value, key, value */
    JN_GETATTR, /* a.value */
    JN_GETITEM, /* a[b] */
    JN_SLICE,   /* a[b:c:d] */
    JN_CALL,    /* a(list) */
    JN_KEYWORD, /* value=a in the list of a call */
    JN_STAR,    /* *a, or **a with flag, there */
    JN_FILTER,  /* a | function(list); value is the name, function null when unknown */
    JN_TEST,    /* a is function(list) */
    JN_NOT,
    JN_NEG,
    JN_POS,
    JN_BINARY, /* a op b */
    JN_AND,
    JN_OR,
    JN_CONCAT,  /* list joined by ~ */
    JN_COMPARE, /* a, then list of JN_OPERAND */
    JN_OPERAND, /* op a */
    JN_COND,    /* a if b else c; c may be null */
    JN_NSREF,   /* value.b, as the target of set */
    /* statements */
    JN_TEXT,
    JN_OUTPUT,    /* a */
    JN_IF,        /* a, list, other */
    JN_FOR,       /* a in b if c: list, else other; value: the name `loop`; d: a for c */
    JN_SET,       /* a = b */
    JN_SETBLOCK,  /* a = text of list through filter b */
    JN_MACRO,     /* value, params, list */
    JN_CALLBLOCK, /* the same around a call a; a generation block without one */
    JN_FILTERBLOCK,
    JN_WITH, /* params: a list of JN_SET; list */
    JN_BREAK,
    JN_CONTINUE,
    JN_PARAM /* value, default a or null */
} zoo_jnode_kind;

typedef enum zoo_jop {
    JO_ADD,
    JO_SUB,
    JO_MUL,
    JO_DIV,
    JO_FLOORDIV,
    JO_MOD,
    JO_POW,
    JO_EQ,
    JO_NE,
    JO_LT,
    JO_LE,
    JO_GT,
    JO_GE,
    JO_IN,
    JO_NOTIN
} zoo_jop;

struct zoo_jnode {
    uint8_t kind;
    uint8_t op;
    bool flag;     /* for: recursive; if: an elif */
    uint8_t asks;  /* for, macro, call block: ZOO_JA_ of what the body asks for */
    uint16_t hops; /* names: how many functions out the variable lies */
    uint32_t slot; /* names: which variable there; macros: that of varargs */
    uint32_t kwargs_slot, caller_slot, loop_slot;
    int line;
    zoo_jv value; /* constant or name */
    const zoo_jfunction *function;
    zoo_jnode *a, *b, *c, *d;
    zoo_jnode *list, *other, *params;
    zoo_jnode *next; /* in a list */
    struct zoo_jframe *frame, *test_frame, *else_frame;
};

enum {
    ZOO_JA_LOOP = 1,
    ZOO_JA_CALLER = 2,
    ZOO_JA_KWARGS = 4,
    ZOO_JA_VARARGS = 8,
    ZOO_JA_SELF = 16
};

/* Expressions of constants alone, and such with a slice in them: the reference computes those when
 * it compiles, where a slice of what has none is undefined and no error. */
enum { ZOO_JA_CONST = 32, ZOO_JA_SLICE = 64, ZOO_JA_FOLDS = 96 };

typedef enum zoo_jload_kind {
    JL_PARAM,    /* whoever enters has set it */
    JL_RESOLVE,  /* what the caller of the template passed */
    JL_ALIAS,    /* the variable of an outer frame */
    JL_UNDEFINED /* not set yet */
} zoo_jload_kind;

/* What a variable of a frame holds at the frame's begin. */
typedef struct zoo_jload {
    uint8_t kind;
    uint16_t from_hops;
    uint32_t slot, from_slot;
    zoo_jv name;
} zoo_jload;

typedef struct zoo_jframe {
    zoo_jload *loads;
    size_t n_loads;
    uint32_t n_slots; /* of the function that begins here, else 0 */
} zoo_jframe;

typedef struct zoo_jparser {
    zoo_jinja *x;
    const zoo_jtoken *at;
    zoo_jdict *names; /* interned, so that equal names are one pointer */
    uint32_t n_loops; /* around the statement at hand, within its function */
} zoo_jparser;

/* The tree of a source: a list of statements. */
zoo_jnode *zoo_jinja_parse(zoo_jinja *x, const char *source, size_t n);
/* Finds the variable of each name (names.c); the frame of the whole template. */
zoo_jframe *zoo_jinja_resolve(zoo_jinja *x, zoo_jnode *root);

/* Of the other branch of an `if`: whether it is an elif, no list of statements. */
bool zoo_jnode_is_elif(const zoo_jnode *other);
zoo_jnode *zoo_jnode_new(zoo_jparser *p, zoo_jnode_kind kind, int line);
zoo_jv zoo_jparser_intern(zoo_jparser *p, const char *s, size_t n);
bool zoo_jtoken_is(const zoo_jtoken *t, zoo_jtoken_kind kind, const char *text);
bool zoo_jparser_skip(zoo_jparser *p, zoo_jtoken_kind kind, const char *text);
void zoo_jparser_expect(zoo_jparser *p, zoo_jtoken_kind kind, const char *text);
_Noreturn void zoo_jparser_fail(zoo_jparser *p, const char *wanted);
/* An expression; with_cond false stops before a trailing `if`. */
zoo_jnode *zoo_jparser_expr(zoo_jparser *p, bool with_cond);
/* The same or a tuple without parentheses. */
zoo_jnode *zoo_jparser_tuple(zoo_jparser *p, bool with_cond);
/* (arguments): positional ones, then JN_KEYWORD and JN_STAR nodes. */
zoo_jnode *zoo_jparser_args(zoo_jparser *p);
/* Where set, for and with put a value. */
zoo_jnode *zoo_jparser_target(zoo_jparser *p, bool with_namespace);
/* One filter name with arguments, then those after |; input may be null. */
zoo_jnode *zoo_jparser_filters(zoo_jparser *p, zoo_jnode *input, bool start_inline);

/* Null when unknown. */
const zoo_jfunction *zoo_jfilter_find(const char *s, size_t n);
/* Whether Jinja has it, supported here or not. */
bool zoo_jfilter_exists(zoo_jv name);
const zoo_jfunction *zoo_jtest_find(const char *s, size_t n);
const zoo_jfunction *zoo_jglobal_find(const char *s, size_t n);

/* ---- evaluation ---- */

/* The variables of one run of a function: the template, a macro, a recursive loop, the condition of
 * a loop. */
struct zoo_jscope {
    zoo_jscope *parent; /* the run around it */
    zoo_jv *slots;      /* absent (undefined without a reason) where none is set */
};

typedef struct zoo_jmacro {
    const zoo_jnode *node; /* JN_MACRO or JN_CALLBLOCK */
    zoo_jscope *scope;     /* where it was defined */
} zoo_jmacro;

/* What `loop` is: items are drawn one by one, one ahead where the template asks for the next. */
typedef struct zoo_jloop {
    const zoo_jnode *node;
    zoo_jscope *outer;
    zoo_jscope *test; /* of the condition, null without one */
    zoo_jv over;
    zoo_jiter it;
    zoo_jlist *drawn; /* the rest, once its number was asked for; else null */
    size_t drawn_at;
    int64_t index0, length; /* length -1: not known yet */
    uint32_t depth0;
    bool has_after, has_changed;
    zoo_jv before, now, after;
    zoo_jv last_changed;
} zoo_jloop;

typedef enum zoo_jflow { JF_NEXT, JF_BREAK, JF_CONTINUE } zoo_jflow;

zoo_jscope *zoo_jscope_new(zoo_jinja *x, zoo_jscope *parent, uint32_t n_slots);
/* Sets the variables of a frame as they are at its begin, and at its end. */
void zoo_jscope_enter(zoo_jinja *x, zoo_jscope *scope, const zoo_jframe *frame);
void zoo_jscope_leave(zoo_jscope *scope, const zoo_jframe *frame);
/* What the caller of the template passed, or a global function; absent when there is neither. */
zoo_jv zoo_jscope_resolve(zoo_jinja *x, zoo_jv name);

zoo_jv zoo_jinja_eval(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node);
/* The same for what is written at once, whose constants may be undefined. */
zoo_jv zoo_jinja_eval_output(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *node);
zoo_jflow zoo_jinja_exec(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *list);
/* The text of a recursive loop over other items. */
zoo_jv zoo_jinja_recurse(zoo_jinja *x, const zoo_jloop *loop, zoo_jv items);
/* The next item of a loop; false after the last. */
bool zoo_jloop_next(zoo_jinja *x, zoo_jloop *loop, zoo_jv *item);
int64_t zoo_jloop_length(zoo_jinja *x, zoo_jloop *loop);
void zoo_jinja_emit(zoo_jinja *x, const char *s, size_t n);
zoo_jargs zoo_jinja_args(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *list);
zoo_jv zoo_jinja_call(zoo_jinja *x, zoo_jv callee, const zoo_jargs *args);
zoo_jv zoo_jmacro_call(zoo_jinja *x, const zoo_jmacro *macro, const zoo_jargs *args);
/* Calls after matching positional and named arguments to the parameters;
 * absent ones are undefined. */
zoo_jv zoo_jfunction_call(zoo_jinja *x, const zoo_jfunction *f, zoo_jv self, const zoo_jargs *args);
void zoo_jscope_assign(zoo_jinja *x, zoo_jscope *scope, const zoo_jnode *target, zoo_jv value);

/* obj.name and obj[key] with Jinja's fallbacks from one to the other. */
zoo_jv zoo_jv_getattr(zoo_jinja *x, zoo_jv obj, zoo_jv name);
zoo_jv zoo_jv_getitem(zoo_jinja *x, zoo_jv obj, zoo_jv key);
/* What Python's getattr finds; false when it finds nothing. */
bool zoo_jv_attribute(zoo_jinja *x, zoo_jv obj, zoo_jv name, zoo_jv *out);
zoo_jv zoo_jv_slice(zoo_jinja *x, zoo_jv obj, zoo_jv start, zoo_jv stop, zoo_jv step);
/* The method of a string, dict, list or tuple; false when Python has none of that name. */
bool zoo_jv_method(zoo_jinja *x, zoo_jv obj, const zoo_jstr *name, zoo_jv *out);
/* isalpha and the like; null when unknown. */
const zoo_jfunction *zoo_jpredicate_find(const zoo_jstr *name);
zoo_jv zoo_jloop_attr(zoo_jinja *x, zoo_jv loop, zoo_jv name);
bool zoo_jv_absent(zoo_jv v);

zoo_jv zoo_jv_binary(zoo_jinja *x, zoo_jop op, zoo_jv a, zoo_jv b);
zoo_jv zoo_jv_negate(zoo_jinja *x, zoo_jv a);
bool zoo_jv_relation(zoo_jinja *x, zoo_jop op, zoo_jv a, zoo_jv b);

/* ---- Unicode as Python's str sees it (unicode.c) ---- */

typedef enum zoo_jcase { JC_UPPER, JC_LOWER, JC_TITLE, JC_CAPITALIZE, JC_SWAP } zoo_jcase;

/* The code point at s, and its length in *n; s is valid UTF-8. */
uint32_t zoo_utf8_at(const char *s, size_t *n);
size_t zoo_utf8_count(const char *s, size_t n);
bool zoo_utf8_is_valid(const char *s, size_t n);
/* The byte offset of character i. */
size_t zoo_jstr_offset(const zoo_jstr *s, size_t i);
bool zoo_char_is_space(uint32_t c);
bool zoo_char_is_printable(uint32_t c);
bool zoo_char_is_upper(uint32_t c);
bool zoo_char_is_lower(uint32_t c);
bool zoo_char_is_title(uint32_t c);
/* The value of a decimal digit of any script, or -1. */
int zoo_char_digit(uint32_t c);
/* A number that is neither a decimal digit nor a letter. */
bool zoo_char_is_odd_digit(uint32_t c);
/* \w of Python's re. */
bool zoo_char_is_word(uint32_t c);
zoo_jv zoo_jv_case(zoo_jinja *x, zoo_jv v, zoo_jcase how);
/* str.strip: sides 1 left, 2 right, 3 both; chars undefined or None: whitespace. */
zoo_jv zoo_jv_strip(zoo_jinja *x, zoo_jv v, zoo_jv chars, int sides);

/* ---- pieces that filters and methods share (str.c) ---- */

zoo_jv zoo_jstr_replace(zoo_jinja *x, zoo_jv s, zoo_jv from, zoo_jv to, int64_t count);
zoo_jv zoo_jstr_split(zoo_jinja *x, zoo_jv s, zoo_jv separator, int64_t count, bool from_right);
zoo_jv zoo_jstr_lines(zoo_jinja *x, zoo_jv s, bool keep_ends);
zoo_jv zoo_jstr_join(zoo_jinja *x, zoo_jv separator, zoo_jv items);
/* Byte offset of needle in s at or after from (last: the last one); SIZE_MAX when absent. */
size_t zoo_jstr_find(zoo_jinja *x, const zoo_jstr *s, const zoo_jstr *needle, size_t from,
                     bool last);
zoo_jv zoo_jstr_format(zoo_jinja *x, zoo_jv format, zoo_jv args);
zoo_jv zoo_jv_strftime(zoo_jinja *x, zoo_jv format);

/* An argument as an integer; absent or None: fallback. Raises on other types. */
int64_t zoo_jarg_int(zoo_jinja *x, zoo_jv v, int64_t fallback, const char *what);
bool zoo_jarg_bool(zoo_jv v, bool fallback);
/* An argument that must be a string. */
const zoo_jstr *zoo_jarg_str(zoo_jinja *x, zoo_jv v, const char *what);

#endif
