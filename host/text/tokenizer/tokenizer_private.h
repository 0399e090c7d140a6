/*
 * tokenizer_private.h: what the tokenizer's files share: storage, vocabulary, and the compiled
 * pipeline.
 *
 *   text -> added tokens (raw) -> normalizers -> added tokens (normalised) -> steps -> model -> ids
 *
 * Everything here is built once by a loader (load*.c, spm.c, ranks.c) and constant afterwards. The
 * working memory of a call is a tok_scratch from a pool. Memory of the constant part comes from one
 * tok_pool and is freed with the tokenizer.
 */
#ifndef ZOO_TEXT_TOKENIZER_TOKENIZER_PRIVATE_H
#define ZOO_TEXT_TOKENIZER_TOKENIZER_PRIVATE_H

#include "text/tokenizer/tokenizer.h"

#include <string.h>

#define TOK_ID_MAX (1u << 24) /* ids at or above are refused: tables are indexed by id */
#define TOK_ID_LOST                                                                                \
    TOK_ID_MAX /* an unknown token that the vocabulary lacks: text that needs it fails */
#define TOK_STEPS_MAX   64 /* components of one kind in a chain */
#define TOK_FILE_MAX    ((size_t)1 << 30)
#define TOK_CONTENT_MAX 65536 /* bytes of one added token */

/* ---- storage (store.c) ---- */

typedef struct tok_block tok_block;
typedef struct tok_pool {
    tok_block *blocks;
} tok_pool;

/* n zero bytes that live as long as the pool, aligned to 16; null: no memory. */
void *tok_pool_take(tok_pool *pool, size_t n);
void tok_pool_free(tok_pool *pool);

typedef struct tok_str {
    const char *p; /* null: none */
    size_t n;
} tok_str;

/* A copy in the pool followed by a 0; p is null when there is no memory. */
tok_str tok_pool_copy(tok_pool *pool, const char *p, size_t n);

/* Room for `need` elements of `size` bytes in a malloc'd array that doubles. False: no memory. */
bool tok_grow(void *data, size_t *capacity, size_t need, size_t size);
bool tok_ids_push(zoo_ids *ids, uint32_t id);
bool tok_text_push(zoo_text *text, const char *p, size_t n);
bool tok_text_push_cp(zoo_text *text, uint32_t cp);

zoo_status tok_no_memory(zoo_error *err);
zoo_status tok_no_token(zoo_error *err); /* of a character that nothing stands for */

/* The whole file, malloc'd; refuses what is not a regular file or is larger than TOK_FILE_MAX. */
zoo_status tok_read_file(const char *path, char **data, size_t *n, zoo_error *err);

/* Sorted or not, strings to ids: open addressing over the strings that by_id holds. */
typedef struct tok_vocab {
    tok_str *by_id;  /* [n_ids], p null: hole */
    uint32_t n_ids;  /* largest id + 1 */
    uint32_t n_keys; /* distinct strings */
    struct tok_slot {
        const char *p;
        uint32_t n;
        uint32_t id;
    } * slots; /* [mask + 1], p null: free */
    uint32_t mask;
} tok_vocab;

/* Room for n_keys strings with ids below n_ids. False: no memory. */
bool tok_vocab_init(tok_vocab *vocab, tok_pool *pool, uint32_t n_ids, uint32_t n_keys);
/* The string must outlive the vocabulary. A known string takes the new id. */
void tok_vocab_put(tok_vocab *vocab, tok_str text, uint32_t id);
uint32_t tok_vocab_find(const tok_vocab *vocab, const char *p, size_t n);

/* (u64 key) -> u64 value, for merges and trie edges. Key 0 is kept for "free". */
typedef struct tok_map {
    uint64_t *rows; /* [2 * (mask + 1)]: key, value */
    uint32_t mask;
    uint32_t n;
} tok_map;

bool tok_map_init(tok_map *map, tok_pool *pool, uint32_t n_keys);
void tok_map_put(tok_map *map, uint64_t key, uint64_t value);

static inline uint64_t tok_mix(uint64_t key)
{
    key *= 0x9e3779b97f4a7c15u;
    return key ^ (key >> 32);
}

/* The row of the key, or null. */
static inline const uint64_t *tok_map_find(const tok_map *map, uint64_t key)
{
    for (uint64_t i = tok_mix(key) & map->mask;; i = (i + 1) & map->mask) {
        const uint64_t *row = map->rows + 2 * i;
        if (row[0] == key) {
            return row + 1;
        }
        if (row[0] == 0) {
            return NULL;
        }
    }
}

/* ---- characters (chars.c) ---- */

/* General categories as utf8proc numbers them, 1..29;
 * 30: control characters that are whitespace. */
enum {
    TOK_LU = 1,
    TOK_LL,
    TOK_LT,
    TOK_LM,
    TOK_LO,
    TOK_MN,
    TOK_MC,
    TOK_ME,
    TOK_ND,
    TOK_NL,
    TOK_NO,
    TOK_PC,
    TOK_PD,
    TOK_PS,
    TOK_PE,
    TOK_PI,
    TOK_PF,
    TOK_PO,
    TOK_SM,
    TOK_SC,
    TOK_SK,
    TOK_SO,
    TOK_ZS,
    TOK_ZL,
    TOK_ZP,
    TOK_CC,
    TOK_CF,
    TOK_CS,
    TOK_CO,
    TOK_CSPACE
};
#define TOK_BIT(c) (1u << (c))
#define TOK_LETTER (0x3eu)
#define TOK_MARK   (0x1c0u)
#define TOK_NUMBER (0xe00u)
#define TOK_PUNCT  (0x7f000u)
#define TOK_SYMBOL (0x780000u)
#define TOK_SPACE  (0x3800000u | TOK_BIT(TOK_CSPACE))
#define TOK_HAN    0x20 /* flag beside the category */

typedef struct tok_chars {
    uint8_t *kind; /* [0x110000]: category | TOK_HAN */
} tok_chars;

bool tok_chars_init(tok_chars *chars, tok_pool *pool);

/* Characters first..last with one general category. */
typedef struct tok_range {
    uint32_t first, last;
    uint32_t category;
} tok_range;

/* Characters that Unicode assigned or moved after version 14, which the pattern engine has. */
const tok_range *tok_new_chars(size_t *n);
/* Script=Han, as ranges. */
const uint32_t (*tok_han_ranges(size_t *n))[2];
/* Punctuation as the reference's pre-tokenizers and models know it, ASCII symbols included. */
bool tok_is_punct(const tok_chars *chars, uint32_t cp);

static inline uint32_t tok_mask(const tok_chars *chars, uint32_t cp)
{
    return 1u << (chars->kind[cp] & 31u);
}

/* The character at p of valid UTF-8; returns its length in bytes. */
static inline size_t tok_utf8(const uint8_t *p, uint32_t *cp)
{
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    if (p[0] < 0xe0) {
        *cp = (p[0] & 31u) << 6 | (p[1] & 63u);
        return 2;
    }
    if (p[0] < 0xf0) {
        *cp = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
        return 3;
    }
    *cp = (p[0] & 7u) << 18 | (p[1] & 63u) << 12 | (p[2] & 63u) << 6 | (p[3] & 63u);
    return 4;
}

/* Bytes of the character that begins with this byte of valid UTF-8. */
static inline size_t tok_utf8_length(uint8_t lead)
{
    return lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

size_t tok_utf8_put(char out[4], uint32_t cp);

/* The start of the character that ends before i > 0 in valid UTF-8. */
static inline size_t tok_utf8_back(const char *p, size_t i)
{
    do {
        i--;
    } while (i > 0 && ((uint8_t)p[i] & 0xc0) == 0x80);
    return i;
}

/* The length of the valid prefix of p[n]; *bad is the length of the ill-formed sequence after it,
 * 0 when the prefix is everything. *partial: that sequence could still be completed at the end. */
size_t tok_utf8_valid(const char *p, size_t n, size_t *bad, bool *partial);
/* Appends p[n] with each ill-formed sequence as U+FFFD. */
bool tok_utf8_lossy(zoo_text *out, const char *p, size_t n);

/* The 256 characters that stand for bytes: byte -> code point, and back (-1: no such character). */
uint32_t tok_byte_char(uint8_t byte);
int tok_char_byte(uint32_t cp);
/* True with the bytes appended when every character of p[n] stands for a byte. */
bool tok_alphabet_bytes(const char *p, size_t n, char *out, size_t *n_out);

/* ---- patterns (regex.c, scan.c) ---- */

typedef struct tok_regex tok_regex;
typedef struct tok_matcher tok_matcher; /* what one call needs to run patterns */

/* Compiles a pattern in the reference's dialect, or a literal. */
zoo_status tok_regex_open(tok_pool *pool, const tok_chars *chars, tok_str pattern, bool literal,
                          tok_regex **out, zoo_error *err);
void tok_regex_close(tok_regex *regex);
/* Writes `value` at each character that a pattern of one character matches. */
zoo_status tok_regex_members(tok_str pattern, uint8_t *members, uint8_t value, zoo_error *err);
tok_matcher *tok_matcher_open(void);
void tok_matcher_close(tok_matcher *matcher);
/* Begins a text of n bytes: its patterns get a budget of time by its length. */
void tok_matcher_start(tok_matcher *matcher, size_t n);
/* The first match at or after `from` in p[n]: 1 with [begin, end), 0 none, negative zoo_status. */
int tok_regex_find(const tok_regex *regex, tok_matcher *matcher, const uint8_t *p, size_t n,
                   size_t from, size_t range[2], zoo_error *err);
/* The next piece of a pattern that tiles the text: the end of what begins at i < n; 0: the pattern
 * is not one with a scanner. */
size_t tok_regex_tile(const tok_regex *regex, const uint8_t *p, size_t n, size_t i);
bool tok_regex_tiles(const tok_regex *regex);
/* Whether it takes runs of letters, whatever their case. */
bool tok_regex_takes_runs(const tok_regex *regex);
extern const char tok_pattern_words[]; /* the pattern of the ByteLevel pre-tokenizer */

/* ---- the compiled pipeline ---- */

typedef enum tok_norm_kind {
    TOK_NORM_NFC,
    TOK_NORM_NFD,
    TOK_NORM_NFKC,
    TOK_NORM_NFKD,
    TOK_NORM_LOWERCASE,
    TOK_NORM_STRIP_ACCENTS,
    TOK_NORM_STRIP,
    TOK_NORM_REPLACE,
    TOK_NORM_PREPEND,
    TOK_NORM_NMT,
    TOK_NORM_CHARSMAP,
    TOK_NORM_BERT,
    TOK_NORM_BYTES,
    TOK_NORM_SPM_SPACES
} tok_norm_kind;

enum { /* tok_norm.flags of TOK_NORM_BERT, TOK_NORM_STRIP and TOK_NORM_SPM_SPACES */
       TOK_BERT_CLEAN = 1,
       TOK_BERT_CJK = 2,
       TOK_BERT_ACCENTS = 4,
       TOK_BERT_LOWER = 8,
       TOK_STRIP_LEFT = 1,
       TOK_STRIP_RIGHT = 2,
       TOK_SPM_PREFIX = 1,  /* a space before the text */
       TOK_SPM_SQUEEZE = 2, /* runs of spaces to one, none at the ends */
       TOK_SPM_SUFFIX = 4,  /* spaces belong to the word before */
       TOK_SPM_FIRST = 8    /* prefix only where the original text begins */
};

typedef struct tok_norm {
    tok_norm_kind kind;
    unsigned flags;
    tok_regex *regex; /* REPLACE */
    tok_str text;     /* REPLACE: the new text; PREPEND; CHARSMAP: normalised strings, 0-ended */
    const uint32_t *trie; /* CHARSMAP: double array */
    size_t n_trie;
    uint8_t *unsafe;     /* NFC..NFKD, BERT: bit cp: a character that the form may change */
    const tok_map *keep; /* CHARSMAP: texts that stay as they are, or null */
    bool by_grapheme;    /* CHARSMAP: one grapheme at a time, as tokenizer.json means it */
} tok_norm;

typedef enum tok_behaviour {
    TOK_REMOVED,
    TOK_ISOLATED,
    TOK_MERGED_WITH_PREVIOUS,
    TOK_MERGED_WITH_NEXT,
    TOK_CONTIGUOUS
} tok_behaviour;

typedef enum tok_step_kind {
    TOK_STEP_SPLIT,    /* pieces of a pattern */
    TOK_STEP_CLASS,    /* pieces by a class of characters */
    TOK_STEP_BERT,     /* whitespace removed, punctuation isolated */
    TOK_STEP_SCRIPTS,  /* pieces of one script */
    TOK_STEP_LENGTH,   /* pieces of a fixed number of characters */
    TOK_STEP_PREFIX,   /* a space before each piece that has none */
    TOK_STEP_MAP,      /* bytes to the byte alphabet */
    TOK_STEP_METASPACE /* spaces to a visible mark, then split before it */
} tok_step_kind;

typedef enum tok_class {
    TOK_CLASS_DIGIT,
    TOK_CLASS_PUNCT,
    TOK_CLASS_SPACE,
    TOK_CLASS_CHAR /* one given character */
} tok_class;

typedef enum tok_scheme { TOK_PREPEND_ALWAYS, TOK_PREPEND_FIRST, TOK_PREPEND_NEVER } tok_scheme;

typedef struct tok_step {
    tok_step_kind kind;
    tok_regex *regex;
    tok_behaviour behaviour;
    bool invert;
    tok_class of;
    uint32_t number;   /* CLASS_CHAR: the character; LENGTH: characters */
    tok_scheme scheme; /* METASPACE */
    tok_str mark;      /* METASPACE: the visible mark */
    bool split;        /* METASPACE */
} tok_step;

typedef enum tok_model_kind {
    TOK_MODEL_BPE,
    TOK_MODEL_UNIGRAM,
    TOK_MODEL_WORDPIECE,
    TOK_MODEL_WORDLEVEL
} tok_model_kind;

typedef struct tok_bpe {
    tok_map
        merges; /* left << 32 | right, plus 1 << 63 so that no key is 0 -> rank << 32 | new id */
    uint32_t
        bytes[256]; /* ids of byte tokens: of raw bytes in byte mode, else of <0xHH>; ID_NONE */
    bool byte_mode; /* pieces are raw bytes, byte_vocab holds tokens as bytes */
    tok_vocab byte_vocab;
    uint32_t *char_ids; /* [65536], char mode: ids of characters below U+10000 */
    uint8_t *joins;     /* [0x110000 / 8] bit c: some token has c directly before the mark U+2581 */
    bool byte_fallback, ignore_merges, fuse_unk;
    uint32_t unk;
    tok_str prefix, suffix; /* n 0: none */
    const uint32_t *rank;   /* [n_ids] while opening: rank of each token; merges are its cuts */
    const uint8_t *barred;  /* [n_ids] tokens that are never part of a merge; null: none */
    bool frozen;            /* user-defined symbols are matched first and never merge */
    tok_map frozen_trie;
} tok_bpe;

typedef struct tok_unigram {
    const double *scores; /* [n_ids] */
    tok_map trie;         /* node << 8 | byte, plus 1 << 63 -> node */
    uint32_t *node_id;    /* [n_nodes] id + 1, 0: none */
    uint32_t unk;
    double unk_score;
    bool byte_fallback;
    uint32_t bytes[256];
    uint8_t *forced; /* [n_ids] user-defined: scored so that they win; null: none */
    uint8_t *barred; /* [n_ids] never found in text; null: none */
    double score_max;
} tok_unigram;

typedef struct tok_wordpiece {
    tok_str prefix;
    uint32_t unk;
    uint32_t chars_max;
} tok_wordpiece;

typedef struct tok_model {
    tok_model_kind kind;
    tok_vocab vocab;
    tok_bpe bpe;
    tok_unigram unigram;
    tok_wordpiece wordpiece; /* WORDLEVEL uses unk alone */
} tok_model;

typedef struct tok_added_token {
    tok_str content;
    tok_str searched; /* the same, normalised for tokens that are searched in normalised text */
    uint32_t id;
    bool single_word, lstrip, rstrip, normalized, special;
} tok_added_token;

/* A trie of contents; node 0 is the root. */
typedef struct tok_finder {
    tok_map trie;         /* node << 8 | byte, plus 1 << 63 -> node */
    uint32_t *node_token; /* [n_nodes] index of the token + 1 */
    uint32_t first[256];  /* node of a first byte, 0: none */
    uint32_t n;
} tok_finder;

typedef struct tok_added {
    tok_added_token *tokens; /* [n] */
    uint32_t n;
    tok_finder raw, normalized;
    tok_vocab by_text; /* content -> index */
    uint32_t next_id;  /* largest id + 1 */
    uint32_t *by_id;   /* [n_by_id] index + 1 */
    uint32_t n_by_id;
} tok_added;

typedef enum tok_dec_kind {
    TOK_DEC_BYTES,
    TOK_DEC_REPLACE,
    TOK_DEC_BYTE_FALLBACK,
    TOK_DEC_FUSE,
    TOK_DEC_STRIP,
    TOK_DEC_METASPACE,
    TOK_DEC_WORDPIECE,
    TOK_DEC_SUFFIX,
    TOK_DEC_CTC,
    TOK_DEC_JOIN
} tok_dec_kind;

typedef struct tok_dec {
    tok_dec_kind kind;
    tok_regex *regex;
    tok_str text;         /* REPLACE: new text; STRIP: character; WORDPIECE: prefix; CTC: pad ... */
    tok_str delimiter;    /* CTC */
    uint32_t start, stop; /* STRIP */
    bool cleanup, prepend; /* WORDPIECE, CTC; METASPACE: the first mark vanishes */
} tok_dec;

struct tok_scratch;

struct zoo_tokenizer {
    tok_pool pool;
    tok_chars chars;
    tok_norm *norms; /* [n_norms] */
    tok_step *steps; /* [n_steps] */
    tok_dec *decs;   /* [n_decs] */
    uint32_t n_norms, n_steps, n_decs;
    tok_model model;
    tok_added added;
    uint32_t *post; /* [n_post] ids in order; ID_NONE: the text */
    uint32_t n_post;
    uint32_t n_ids;
    tok_str *bytes;    /* [n_ids] what each token adds to a text */
    uint8_t *specials; /* [n_ids] 1: special */
    tok_str roles[ZOO_SPECIAL_COUNT];
    tok_str notes[32];
    uint32_t n_notes;
    uint32_t warnings;         /* bit i: notes[i] is one */
    uint8_t *scripts;          /* [0x110000] for splitting by script; else null */
    struct tok_config *config; /* while opening */
    /* The only part that changes after opening; it has its own lock. */
    struct tok_scratch_pool *scratch;
    tok_regex **regexes; /* [n_regexes] to close */
    size_t n_regexes, regexes_capacity;
};

/* ---- one call ---- */

typedef struct tok_word { /* a remembered piece and its ids; 64 bytes */
    uint8_t n_bytes, n_ids;
    uint8_t key[34];
    uint32_t ids[7];
} tok_word;

#define TOK_WORDS 32768 /* rows of the word cache, a power of two */

typedef struct tok_scratch {
    struct tok_scratch *next;
    tok_matcher *matcher;
    tok_word *words; /* [TOK_WORDS]; null in those of decoders */
    zoo_text lossy, word, norm[2];
    zoo_text step[TOK_STEPS_MAX];
    zoo_ids ids;
    uint32_t *sym; /* one block for the merge of a long piece */
    size_t sym_capacity;
    uint64_t *heap;
    size_t heap_capacity;
    void *lattice;
    size_t lattice_capacity;
} tok_scratch;

typedef struct tok_run {
    const zoo_tokenizer *t;
    tok_scratch *s;
    zoo_ids *out;
    zoo_error *err;
    unsigned flags;
} tok_run;

/* A scratch for one call of encode, or else for a decoder; null: no memory. Given back it keeps its
 * buffers for the next one of its kind. */
tok_scratch *tok_scratch_take(const zoo_tokenizer *t, bool encodes);
void tok_scratch_give(const zoo_tokenizer *t, tok_scratch *s);
struct tok_scratch_pool *tok_scratch_pool_open(void);
void tok_scratch_pool_close(struct tok_scratch_pool *pool);

/* How many bytes after `begin` are still of the first character of the original text. */
static inline size_t tok_zero_from(size_t zero, size_t begin)
{
    return zero > begin ? zero - begin : 0;
}

/* Pieces p[n] of a gap go through steps i.. and the model. zero: how many bytes of p are of the
 * first character of the original text. */
zoo_status tok_steps_run(tok_run *run, uint32_t i, const char *p, size_t n, size_t zero);
zoo_status tok_model_run(tok_run *run, const char *p, size_t n);
zoo_status tok_bpe_run(tok_run *run, const char *p, size_t n);
zoo_status tok_unigram_run(tok_run *run, const char *p, size_t n);
zoo_status tok_wordpiece_run(tok_run *run, const char *p, size_t n);
/* The symbols ids[n] merged in place; returns how many are left, or SIZE_MAX without memory. */
size_t tok_bpe_merge(const tok_bpe *bpe, tok_scratch *s, uint32_t *ids, size_t n);

/* All normalizers over p[n]; *out points into p or into scratch. *zero as in tok_steps_run, of p
 * before and of *out after. */
zoo_status tok_norms_run(tok_run *run, const char *p, size_t n, tok_str *out, size_t *zero);

/* Longest added token at or after `from`: its index + 1 with its range, or 0. */
uint32_t tok_added_find(const zoo_tokenizer *t, const tok_finder *finder, const char *p, size_t n,
                        size_t from, size_t range[2]);

/* ---- building ---- */

/* Keeps a regex for closing. */
zoo_status tok_add_regex(zoo_tokenizer *t, tok_str pattern, bool literal, tok_regex **out,
                         zoo_error *err);
void tok_add_note(zoo_tokenizer *t, const char *text);
void tok_add_warning(zoo_tokenizer *t, const char *text);
/* Fills tries, id tables and byte strings once everything else is in place. */
zoo_status tok_finish(zoo_tokenizer *t, zoo_error *err);
zoo_status tok_added_finish(zoo_tokenizer *t, zoo_error *err);
zoo_status tok_bytes_finish(zoo_tokenizer *t, zoo_error *err);
zoo_status tok_bpe_finish(zoo_tokenizer *t, zoo_error *err);
zoo_status tok_unigram_finish(zoo_tokenizer *t, zoo_error *err);

zoo_status tok_load_json(zoo_tokenizer *t, const char *name, char *data, size_t n, zoo_error *err);
zoo_status tok_load_spm(zoo_tokenizer *t, const char *name, const char *data, size_t n,
                        zoo_error *err);
zoo_status tok_load_tekken(zoo_tokenizer *t, const char *name, char *data, size_t n,
                           zoo_error *err);
zoo_status tok_load_tiktoken(zoo_tokenizer *t, const char *name, const char *data, size_t n,
                             zoo_error *err);
/* tokenizer_config.json and special_tokens_map.json: read before the tokenizer file, used after. */
zoo_status tok_config_open(zoo_tokenizer *t, const char *folder, zoo_error *err);
zoo_status tok_config_apply(zoo_tokenizer *t, zoo_error *err);
void tok_config_close(zoo_tokenizer *t);

/* Whether the decoders can tell by one token alone; used by zoo_tokenizer_bytes. */
zoo_status tok_dec_replace(const tok_regex *regex, tok_matcher *m, tok_str text, const char *p,
                           size_t n, zoo_text *out, zoo_error *err);
/* The longest text of the trie (node -> next node << 32 | id) that begins p[n]; 0: none. */
size_t tok_trie_longest(const tok_map *trie, const char *p, size_t n, uint32_t *id);
/* `<0xHH>` to 0..255, anything else to -1. */
int tok_byte_token(const char *p, size_t n);

#endif
