/*
 * string_format.c: the formats of strings that are enforced, as regular expressions.
 *
 * Each is a subset of what the format allows: years from 1000 on, no leap seconds, at most 6
 * decimals of a second, host names and addresses of ASCII with labels of up to 47 characters.
 * Source: RFC 3339 (dates, times, durations), RFC 1123, RFC 4291, RFC 4122; JSON Schema, section 7.
 */
#include <string.h>

#include "text/grammar/grammar_private.h"

#define DATE                                                                                       \
    "([1-9][0-9]{3}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])"                                    \
    "|(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))"                                \
    "|([1-9][0-9](0[48]|[2468][048]|[13579][26])|([2468][048]|[13579][26])00)-02-29)"
#define TIME                                                                                       \
    "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\\.[0-9]{1,6})?"                                     \
    "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])"
#define N      "[0-9]{1,6}"
#define CLOCK  "(" N "S|" N "M(" N "S)?|" N "H(" N "M(" N "S)?)?)"
#define LABEL  "[A-Za-z0-9]{1,15}(-[A-Za-z0-9]{1,15}){0,2}"
#define DOMAIN "(" LABEL "\\.){0,3}[A-Za-z][A-Za-z0-9]{0,14}(-[A-Za-z0-9]{1,15}){0,2}"
#define ATOM   "[A-Za-z0-9_+-]{1,20}"
#define OCTET  "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
#define H      "[0-9A-Fa-f]{1,4}"
#define HEX    "[0-9a-f]"

static const struct {
    const char *name, *pattern;
} formats[] = {
    {"date", "^" DATE "$"},
    {"time", "^" TIME "$"},
    {"date-time", "^" DATE "T" TIME "$"},
    {"duration", "^P(" N "W|(" N "D|" N "M(" N "D)?|" N "Y(" N "M(" N "D)?)?)(T" CLOCK ")?"
                 "|T" CLOCK ")$"},
    {"email", "^" ATOM "(\\." ATOM "){0,2}@(" LABEL "\\.){1,3}[A-Za-z]{2,10}$"},
    {"hostname", "^" DOMAIN "$"},
    {"ipv4", "^(" OCTET "\\.){3}" OCTET "$"},
    {"ipv6", "^((" H ":){7}" H "|(" H ":){1,7}:|:(:" H "){1,7}|::|(" H ":){1,6}:" H "|(" H
             ":){1,5}(:" H "){1,2}|(" H ":){1,4}(:" H "){1,3}|(" H ":){1,3}(:" H "){1,4}"
             "|(" H ":){1,2}(:" H "){1,5}|" H ":(:" H "){1,6})$"},
    {"uuid", "^" HEX "{8}-" HEX "{4}-[1-5]" HEX "{3}-[89ab]" HEX "{3}-" HEX "{12}$"},
};

const char *zoo_gformat_pattern(const char *name)
{
    for (size_t i = 0; i < ZOO_COUNT(formats); i++) {
        if (strcmp(name, formats[i].name) == 0) {
            return formats[i].pattern;
        }
    }
    return NULL;
}
