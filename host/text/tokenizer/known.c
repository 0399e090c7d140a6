/*
 * known.c: recognises the patterns that have a scanner, by their alternatives, byte for byte.
 *
 * Release authors reorder nothing but spell alternatives in several equal ways (possessive or not,
 * `\s*[\r\n]` or `\s*[\r\n]+`); each spelling below is equal in effect to the scanner's
 * alternative.
 */
#include "text/tokenizer/scan.h"

#define UPPERS "\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}"
#define LOWERS "\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}"
#define PREFIX "[^\\r\\n\\p{L}\\p{N}]?"
#define QUOTED "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define NO_HAN "&&[^\\p{Han}]"
#define TAIL   "|\\s+(?!\\S)|\\s+"

/* Moves *p past the text when it stands there. */
static bool take(tok_str *p, const char *text)
{
    size_t n = strlen(text);
    if (p->n < n || memcmp(p->p, text, n) != 0) {
        return false;
    }
    p->p += n;
    p->n -= n;
    return true;
}

static bool whole(tok_str pattern, const char *text)
{
    return take(&pattern, text) && pattern.n == 0;
}

static bool take_digits(tok_str *p, tok_scan_rule *rule)
{
    if (take(p, "|\\p{N}{1,3}|")) {
        rule->digits_max = 3;
        return true;
    }
    rule->digits_max = 1;
    return take(p, "|\\p{N}|");
}

/* ` ?[^\s\p{L}\p{N}]+[\r\n]*` and the whitespace alternatives up to the end. */
static bool take_rest(tok_str *p, tok_scan_rule *rule)
{
    uint32_t besides = TOK_LETTER | TOK_NUMBER | TOK_SPACE;
    if (take(p, " ?[^\\s\\p{L}\\p{M}\\p{N}]+")) {
        besides |= TOK_MARK;
        if (!(rule->letters & TOK_MARK)) {
            return false;
        }
    } else if (!take(p, " ?[^\\s\\p{L}\\p{N}]++") && !take(p, " ?[^\\s\\p{L}\\p{N}]+")) {
        return false;
    }
    rule->others = ~besides;
    rule->slash = take(p, "[\\r\\n/]*");
    if (!rule->slash && !take(p, "[\\r\\n]*")) {
        return false;
    }
    if (!take(p, "|\\s*[\\r\\n]+") && !take(p, "|\\s*[\\r\\n]")) {
        return false;
    }
    return take(p, TAIL) && p->n == 0;
}

static tok_scan_rule known_runs(tok_str p)
{
    tok_scan_rule rule = {.shape = TOK_SHAPE_RUNS, .letters = TOK_LETTER};
    if (take(&p, QUOTED "|") || take(&p, "'(?i:[sdmt]|ll|ve|re)|")) {
        rule.contractions = TOK_CONTRACT_CASELESS;
    } else if (take(&p, "'(?:[sdmt]|ll|ve|re)|") || take(&p, "(?:'s|'t|'re|'ve|'m|'ll|'d)|")) {
        rule.contractions = TOK_CONTRACT_EXACT;
    }
    if (take(&p, PREFIX "[\\p{L}\\p{M}]+")) {
        rule.letters |= TOK_MARK;
    } else if (!take(&p, PREFIX "+\\p{L}+") && !take(&p, PREFIX "\\p{L}+")) {
        return (tok_scan_rule){0};
    }
    if (!take_digits(&p, &rule) || !take_rest(&p, &rule)) {
        return (tok_scan_rule){0};
    }
    return rule;
}

static bool take_cases(tok_str *p, tok_scan_rule *rule)
{
    if (rule->han) {
        rule->contractions = TOK_CONTRACT_CASELESS;
        return take(p, PREFIX "[" UPPERS NO_HAN "]*[" LOWERS NO_HAN "]+" QUOTED "?|" PREFIX
                              "[" UPPERS NO_HAN "]+[" LOWERS NO_HAN "]*" QUOTED "?");
    }
    if (take(p, PREFIX "[" UPPERS "]*[" LOWERS "]+" QUOTED "?|" PREFIX "[" UPPERS "]+[" LOWERS
                       "]*" QUOTED "?")) {
        rule->contractions = TOK_CONTRACT_CASELESS;
        return true;
    }
    return take(p, PREFIX "[" UPPERS "]*[" LOWERS "]+|" PREFIX "[" UPPERS "]+[" LOWERS "]*");
}

static tok_scan_rule known_cases(tok_str p)
{
    tok_scan_rule rule = {.shape = TOK_SHAPE_CASES, .letters = TOK_LETTER};
    rule.han = take(&p, "[\\p{Han}]+|");
    if (!take_cases(&p, &rule) || !take_digits(&p, &rule) || !take_rest(&p, &rule)) {
        return (tok_scan_rule){0};
    }
    return rule;
}

tok_scan_rule tok_known_tiling(tok_str pattern)
{
    static const char words_short[] = "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+"
                                      "| ?[^\\s\\p{L}\\p{N}]+" TAIL;
    if (whole(pattern, tok_pattern_words) || whole(pattern, words_short)) {
        return (tok_scan_rule){.shape = TOK_SHAPE_WORDS, .contractions = TOK_CONTRACT_EXACT};
    }
    tok_scan_rule rule = known_runs(pattern);
    return rule.shape ? rule : known_cases(pattern);
}

bool tok_known_gappy(tok_str pattern)
{
    static const char head[] = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|";
    static const char raw[] = "[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                              "| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+" TAIL;
    static const char escaped[] = "[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
                                  "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+" TAIL;
    return take(&pattern, head) && (whole(pattern, raw) || whole(pattern, escaped));
}

bool tok_known_line_spaces(tok_str pattern)
{
    return whole(pattern, "\\s+$");
}
