/*
 * tok_classes.c: classes of characters that pre-tokenizers name, and splitting by script.
 */
#include "tok_steps.h"

#include "tok_scripts.inc"

bool tok_class_has(const zoo_tokenizer *t, tok_class of, uint32_t number, uint32_t cp)
{
    uint32_t mask = tok_mask(&t->chars, cp);
    switch (of) {
    case TOK_CLASS_DIGIT:
        /* The reference's digits are of a newer Unicode than its patterns. */
        return (mask & TOK_NUMBER) || (cp >= 0x11de0 && cp <= 0x11de9) ||
               (cp >= 0x16ff4 && cp <= 0x16ff6);
    case TOK_CLASS_PUNCT:
        return tok_is_punct(&t->chars, cp);
    case TOK_CLASS_SPACE:
        return mask & TOK_SPACE;
    default:
        return cp == number;
    }
}

enum { SCRIPT_ANY = 255, SCRIPT_COMMON = 254 };

static uint8_t script_of(uint32_t cp)
{
    size_t low = 0, high = ZOO_COUNT(scripts);
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (scripts[middle].last < cp) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ZOO_COUNT(scripts) && scripts[low].first <= cp ? scripts[low].script
                                                                : SCRIPT_COMMON;
}

/* Hiragana, Katakana and the long vowel mark count as Han; a space goes with anything. */
static uint8_t fixed_script(uint32_t cp)
{
    if (cp == 0x30fc) {
        return SCRIPT_HAN;
    }
    return cp == ' ' ? SCRIPT_ANY : script_of(cp);
}

zoo_status tok_scripts_run(tok_run *run, uint32_t i, const char *p, size_t n, bool at_zero)
{
    uint8_t last = SCRIPT_ANY;
    size_t begin = 0;
    for (size_t k = 0; k < n;) {
        uint32_t cp;
        size_t length = tok_utf8((const uint8_t *)p + k, &cp);
        uint8_t script = fixed_script(cp);
        if (script != SCRIPT_ANY && last != SCRIPT_ANY && script != last) {
            ZOO_TRY(tok_steps_run(run, i + 1, p + begin, k - begin, at_zero && begin == 0));
            begin = k;
        }
        last = script == SCRIPT_ANY ? last : script;
        k += length;
    }
    return tok_steps_run(run, i + 1, p + begin, n - begin, at_zero && begin == 0);
}
