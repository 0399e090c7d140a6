/*
 * grammar_cases.h: for test_grammar.c: schemas with texts that do or do not satisfy them, and
 * schemas that must be refused, with what the sentence names.
 */
#ifndef ZOO_TESTS_GRAMMAR_CASES_H
#define ZOO_TESTS_GRAMMAR_CASES_H

#include <stdbool.h>

static const char tree[] =
    "{\"$ref\": \"#/$defs/node\", \"$defs\": {\"node\": {\"type\": \"object\", \"properties\": "
    "{\"v\": {\"type\": \"integer\"}, \"next\": {\"anyOf\": [{\"$ref\": \"#/$defs/node\"}, "
    "{\"type\": \"null\"}]}}, \"required\": [\"v\", \"next\"], \"additionalProperties\": "
    "false}}}";
static const char closed[] =
    "{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
    "\"string\"}}, \"required\": [\"b\"], \"additionalProperties\": false}";
static const char open[] = "{\"type\": \"object\", \"properties\": {\"ab\": {\"type\": "
                           "\"integer\"}}, \"additionalProperties\": {\"type\": \"boolean\"}}";
static const struct {
    const char *schema, *text;
    bool ok;
} told_apart[] = {
    {tree, "{\"v\": 1, \"next\": {\"v\": -2, \"next\": null}}", true},
    {tree, "{\"v\": 1, \"next\": {\"v\": -2}}", false},
    {closed, "{\"b\": \"x\"}", true},
    {closed, "{\"a\":1,\"b\":\"\"}", true},
    {closed, "{\n  \"a\": 1,\n  \"b\": \"\\u00e9\\n\"\n}", true},
    {closed, "{\"a\": 1}", false},
    {closed, "{\"a\": 1, \"b\": \"x\", \"c\": 1}", false},
    {closed, "{}", false},
    {open, "{}", true},
    {open, "{\"ab\": 3, \"abc\": true, \"a\": false, \"\": true}", true},
    {open, "{\"a\": true}", true},
    {open, "{\"ab\": true}", false},
    {open, "{\"ac\": 1}", false},
    {"{\"type\": \"integer\", \"minimum\": -12, \"maximum\": 305}", "305", true},
    {"{\"type\": \"integer\", \"minimum\": -12, \"maximum\": 305}", "-12", true},
    {"{\"type\": \"integer\", \"minimum\": -12, \"maximum\": 305}", "306", false},
    {"{\"type\": \"integer\", \"minimum\": -12, \"maximum\": 305}", "-13", false},
    {"{\"type\": \"integer\", \"minimum\": -12, \"maximum\": 305}", "01", false},
    {"{\"type\": \"integer\", \"exclusiveMinimum\": 5}", "5", false},
    {"{\"type\": \"integer\", \"exclusiveMinimum\": 5}", "123456", true},
    {"{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "0.25", true},
    {"{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "1", true},
    {"{\"type\": \"number\", \"minimum\": 0, \"maximum\": 1}", "1.5", false},
    {"{\"type\": \"number\", \"minimum\": -2.5, \"maximum\": -1}", "-1.5", true},
    {"{\"type\": \"number\", \"minimum\": -2.5, \"maximum\": -1}", "-2.7", false},
    {"{\"type\": \"number\"}", "-0.5e-7", true},
    {"{\"type\": \"number\"}", "1.", false},
    {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}", "\"\xc3\xa9\xe6\x97\xa5\"",
     true},
    {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}", "\"\xc3\xa9\"", false},
    {"{\"type\": \"string\", \"minLength\": 2, \"maxLength\": 3}", "\"abcd\"", false},
    {"{\"type\": \"string\"}", "\"\\ud83d\"", false},
    {"{\"type\": \"string\"}", "\"\xc0\x80\"", false},
    {"{\"type\": \"string\"}", "\"\xed\xa0\x80\"", false},
    {"{\"type\": \"string\", \"pattern\": \"^[a-z]+-\\\\d{2,3}$\"}", "\"ab-123\"", true},
    {"{\"type\": \"string\", \"pattern\": \"^[a-z]+-\\\\d{2,3}$\"}", "\"ab-1\"", false},
    {"{\"type\": \"string\", \"pattern\": \"^(foo|ba[rz])?$\"}", "\"baz\"", true},
    {"{\"type\": \"string\", \"pattern\": \"^(foo|ba[rz])?$\"}", "\"\"", true},
    {"{\"type\": \"string\", \"pattern\": \"^(foo|ba[rz])?$\"}", "\"bax\"", false},
    {"{\"type\": \"string\", \"pattern\": \"b+\"}", "\"abbc\"", true},
    {"{\"type\": \"string\", \"pattern\": \"b+\"}", "\"ac\"", false},
    {"{\"type\": \"string\", \"pattern\": \"^a\\\"[^x]$\"}", "\"a\\\"\xc3\xa9\"", true},
    {"{\"type\": \"string\", \"pattern\": \"^(a*)*$\"}", "\"aaa\"", true},
    {"{\"type\": \"array\", \"prefixItems\": [{\"type\": \"integer\"}, {\"type\": "
     "\"string\"}], "
     "\"items\": false}",
     "[1, \"x\"]", true},
    {"{\"type\": \"array\", \"prefixItems\": [{\"type\": \"integer\"}, {\"type\": "
     "\"string\"}], "
     "\"items\": false}",
     "[1, \"x\", 2]", false},
    {"{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"minItems\": 1}", "[]", false},
    {"{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"maxItems\": 2}", "[1, 2]", true},
    {"{\"type\": \"array\", \"items\": {\"type\": \"integer\"}, \"maxItems\": 2}", "[1,2,3]",
     false},
    {"{\"enum\": [\"a\", 1, null, {\"k\": [true]}]}", "{\"k\":[true]}", true},
    {"{\"enum\": [\"a\", 1, null]}", "2", false},
    {"{\"type\": \"string\", \"enum\": [\"a\", 1]}", "1", false},
    {"{\"const\": \"x\"}", "\"x\"", true},
    {"{\"allOf\": [{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}, "
     "\"required\": [\"a\"]}, {\"properties\": {\"b\": {\"type\": \"null\"}}, \"required\": "
     "[\"b\"]}]}",
     "{\"a\": 1, \"b\": null}", true},
    {"{\"allOf\": [{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}}, "
     "\"required\": [\"a\"]}, {\"properties\": {\"b\": {\"type\": \"null\"}}, \"required\": "
     "[\"b\"]}]}",
     "{\"a\": 1}", false},
    {"{\"oneOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", "7", true},
    {"{\"oneOf\": [{\"type\": \"object\", \"properties\": {\"k\": {\"const\": 1}, \"x\": "
     "true}, "
     "\"required\": [\"k\"]}, {\"type\": \"object\", \"properties\": {\"k\": {\"const\": 2}}, "
     "\"required\": [\"k\"]}]}",
     "{\"k\": 1, \"x\": [[]]}", true},
    {"{}", "[1, {\"a\": [true, null, \"x\", {}]}]", true},
    {"{}", "[1,]", false},
    {"true", "{\"a\":{\"b\":{}}}", true},
};

static const struct {
    const char *schema, *part;
} refused[] = {
    {"{\"type\": \"number\", \"multipleOf\": 3}", "'multipleOf'"},
    {"{\"type\": \"object\", \"patternProperties\": {}}", "'patternProperties'"},
    {"{\"not\": {}}", "'not'"},
    {"{\"if\": {}}", "'if'"},
    {"{\"uniqueItems\": true, \"type\": \"array\"}", "'uniqueItems'"},
    {"{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", "oneOf"},
    {"{\"oneOf\": [{\"type\": \"object\"}, {\"type\": \"object\"}]}", "oneOf"},
    {"{\"$ref\": \"http://x/y\"}", "leads out"},
    {"{\"$ref\": \"#/$defs/none\"}", "leads nowhere"},
    {"{\"$ref\": \"#\"}", "leads back"},
    {"{\"anyOf\": [{\"$ref\": \"#\"}, {\"type\": \"null\"}]}", "leads back"},
    {"{\"allOf\": [{\"$ref\": \"#\"}]}", "leads back"},
    {"{\"type\": \"object\", \"properties\": {\"a\": {\"$ref\": \"#\"}}, \"required\": "
     "[\"a\"]}",
     "no finite text"},
    {"{\"type\": \"string\", \"pattern\": \"(?=a)b\"}", "group"},
    {"{\"type\": \"string\", \"pattern\": \"\\\\bx\"}", "escape"},
    {"{\"type\": \"string\", \"pattern\": \"a{2\"}", "count"},
    {"{\"type\": \"string\", \"pattern\": \"(a\"}", "not closed"},
    {"{\"type\": \"string\", \"pattern\": \"a)\"}", "may not stand"},
    {"{\"type\": \"string\", \"pattern\": \"a\", \"minLength\": 2}", "minLength"},
    {"{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", "greater"},
    {"{\"type\": \"integer\", \"minimum\": 3, \"maximum\": 2}", "no integer"},
    {"{\"type\": \"money\"}", "no JSON type"},
    {"{\"enum\": []}", "no value"},
    {"{\"enum\": [1], \"minimum\": 2}", "beside minimum"},
    {"{\"type\": \"array\", \"minItems\": -1}", "no count"},
    {"{\"type\": \"object\", \"required\": [\"a\"], \"additionalProperties\": false}", "forbidden"},
    {"{\"allOf\": [{\"properties\": {\"a\": {}}}, {\"properties\": {\"b\": {}}, "
     "\"additionalProperties\": false}]}",
     "additionalProperties"},
    {"{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", "no JSON type"},
    {"7", "neither"},
    {"false", "neither"},
};

#endif
