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
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "0.5", true},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "1", true},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "1.0", true},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "0", false},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "0.000000", false},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "1.000001", false},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "0.000001", true},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 0, \"maximum\": 1}", "-0.5", false},
    {"{\"type\": \"number\", \"minimum\": 0, \"exclusiveMaximum\": 1}", "0", true},
    {"{\"type\": \"number\", \"minimum\": 0, \"exclusiveMaximum\": 1}", "0.999999", true},
    {"{\"type\": \"number\", \"minimum\": 0, \"exclusiveMaximum\": 1}", "1", false},
    {"{\"type\": \"number\", \"minimum\": 0, \"exclusiveMaximum\": 1}", "1.0", false},
    {"{\"type\": \"number\", \"minimum\": 0, \"exclusiveMaximum\": 1}", "0.0", true},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "-0.5", true},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "-0.51", false},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "0.5", true},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "0", true},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "0.50", true},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "-0.25", true},
    {"{\"type\": \"number\", \"minimum\": -0.5, \"maximum\": 0.5}", "1", false},
    {"{\"type\": \"number\", \"minimum\": 0.25, \"maximum\": 0.75}", "0.25", true},
    {"{\"type\": \"number\", \"minimum\": 0.25, \"maximum\": 0.75}", "0.24", false},
    {"{\"type\": \"number\", \"minimum\": 0.25, \"maximum\": 0.75}", "0.7", true},
    {"{\"type\": \"number\", \"minimum\": 0.25, \"maximum\": 0.75}", "0.750000", true},
    {"{\"type\": \"number\", \"minimum\": 0.25, \"maximum\": 0.75}", "0.751", false},
    {"{\"type\": \"number\", \"minimum\": 0.25, \"maximum\": 0.75}", "0", false},
    {"{\"type\": \"number\", \"minimum\": 12.5}", "12.5", true},
    {"{\"type\": \"number\", \"minimum\": 12.5}", "12", false},
    {"{\"type\": \"number\", \"minimum\": 12.5}", "13", true},
    {"{\"type\": \"number\", \"minimum\": 12.5}", "999999999999999", true},
    {"{\"type\": \"number\", \"minimum\": 12.5}", "12.49", false},
    {"{\"type\": \"number\", \"maximum\": -3.75}", "-3.75", true},
    {"{\"type\": \"number\", \"maximum\": -3.75}", "-3.7", false},
    {"{\"type\": \"number\", \"maximum\": -3.75}", "-4", true},
    {"{\"type\": \"number\", \"maximum\": -3.75}", "3", false},
    {"{\"type\": \"number\", \"maximum\": -3.75}", "-100.25", true},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "1.5", true},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "1.49", false},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "20.125", true},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "20.126", false},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "7.77", true},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "20", true},
    {"{\"type\": \"number\", \"minimum\": 1.5, \"maximum\": 20.125}", "21", false},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 1e-07, \"maximum\": 1}", "0.0000002", true},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 1e-07, \"maximum\": 1}", "0.0000001", false},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 1e-07, \"maximum\": 1}", "1", true},
    {"{\"type\": \"integer\", \"multipleOf\": 5}", "0", true},
    {"{\"type\": \"integer\", \"multipleOf\": 5}", "15", true},
    {"{\"type\": \"integer\", \"multipleOf\": 5}", "-25", true},
    {"{\"type\": \"integer\", \"multipleOf\": 5}", "12", false},
    {"{\"type\": \"integer\", \"multipleOf\": 5}", "100000", true},
    {"{\"type\": \"integer\", \"multipleOf\": 7, \"minimum\": 10, \"maximum\": 30}", "14", true},
    {"{\"type\": \"integer\", \"multipleOf\": 7, \"minimum\": 10, \"maximum\": 30}", "28", true},
    {"{\"type\": \"integer\", \"multipleOf\": 7, \"minimum\": 10, \"maximum\": 30}", "7", false},
    {"{\"type\": \"integer\", \"multipleOf\": 7, \"minimum\": 10, \"maximum\": 30}", "35", false},
    {"{\"type\": \"integer\", \"multipleOf\": 7, \"minimum\": 10, \"maximum\": 30}", "15", false},
    {"{\"type\": \"string\", \"format\": \"date\"}", "\"2024-02-29\"", true},
    {"{\"type\": \"string\", \"format\": \"date\"}", "\"2023-02-29\"", false},
    {"{\"type\": \"string\", \"format\": \"date\"}", "\"2023-04-31\"", false},
    {"{\"type\": \"string\", \"format\": \"date\"}", "\"1999-12-31\"", true},
    {"{\"type\": \"string\", \"format\": \"date\"}", "\"today\"", false},
    {"{\"type\": \"string\", \"format\": \"date-time\"}", "\"2024-02-29T23:59:59Z\"", true},
    {"{\"type\": \"string\", \"format\": \"date-time\"}", "\"2024-02-29T23:59:59.5+02:00\"", true},
    {"{\"type\": \"string\", \"format\": \"date-time\"}", "\"2024-02-29\"", false},
    {"{\"type\": \"string\", \"format\": \"time\"}", "\"08:30:00Z\"", true},
    {"{\"type\": \"string\", \"format\": \"time\"}", "\"24:00:00Z\"", false},
    {"{\"type\": \"string\", \"format\": \"duration\"}", "\"P3DT4H\"", true},
    {"{\"type\": \"string\", \"format\": \"duration\"}", "\"P1Y2M\"", true},
    {"{\"type\": \"string\", \"format\": \"duration\"}", "\"PT5S\"", true},
    {"{\"type\": \"string\", \"format\": \"duration\"}", "\"P2W\"", true},
    {"{\"type\": \"string\", \"format\": \"duration\"}", "\"P\"", false},
    {"{\"type\": \"string\", \"format\": \"duration\"}", "\"PT\"", false},
    {"{\"type\": \"string\", \"format\": \"email\"}", "\"a.b@example.org\"", true},
    {"{\"type\": \"string\", \"format\": \"email\"}", "\"a@b\"", false},
    {"{\"type\": \"string\", \"format\": \"email\"}", "\"@b.org\"", false},
    {"{\"type\": \"string\", \"format\": \"hostname\"}", "\"www.example.org\"", true},
    {"{\"type\": \"string\", \"format\": \"hostname\"}", "\"-a.org\"", false},
    {"{\"type\": \"string\", \"format\": \"ipv4\"}", "\"192.168.0.255\"", true},
    {"{\"type\": \"string\", \"format\": \"ipv4\"}", "\"256.1.1.1\"", false},
    {"{\"type\": \"string\", \"format\": \"ipv4\"}", "\"1.2.3\"", false},
    {"{\"type\": \"string\", \"format\": \"ipv6\"}", "\"::1\"", true},
    {"{\"type\": \"string\", \"format\": \"ipv6\"}", "\"2001:db8::8a2e:370:7334\"", true},
    {"{\"type\": \"string\", \"format\": \"ipv6\"}", "\"1:2:3:4:5:6:7:8\"", true},
    {"{\"type\": \"string\", \"format\": \"ipv6\"}", "\"1:2:3\"", false},
    {"{\"type\": \"string\", \"format\": \"ipv6\"}", "\"::\"", true},
    {"{\"type\": \"string\", \"format\": \"uuid\"}", "\"123e4567-e89b-12d3-a456-426614174000\"",
     true},
    {"{\"type\": \"string\", \"format\": \"uuid\"}", "\"123e4567\"", false},
    {"{\"type\": \"string\", \"pattern\": \"^[a-z]+$\", \"minLength\": 2, \"maxLength\": 4}",
     "\"a\"", false},
    {"{\"type\": \"string\", \"pattern\": \"^[a-z]+$\", \"minLength\": 2, \"maxLength\": 4}",
     "\"ab\"", true},
    {"{\"type\": \"string\", \"pattern\": \"^[a-z]+$\", \"minLength\": 2, \"maxLength\": 4}",
     "\"abcd\"", true},
    {"{\"type\": \"string\", \"pattern\": \"^[a-z]+$\", \"minLength\": 2, \"maxLength\": 4}",
     "\"abcde\"", false},
    {"{\"type\": \"string\", \"pattern\": \"b\", \"maxLength\": 3}", "\"abc\"", true},
    {"{\"type\": \"string\", \"pattern\": \"b\", \"maxLength\": 3}", "\"aabc\"", false},
    {"{\"type\": \"string\", \"pattern\": \"b\", \"maxLength\": 3}", "\"ac\"", false},
    {"{\"type\": \"string\", \"pattern\": \"b\", \"maxLength\": 3}", "\"\\nb\"", true},
    {"{\"type\": \"string\", \"pattern\": \"b\", \"maxLength\": 3}", "\"\u00e4b\u00e4\"", true},
    {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
     "\"integer\"}, \"c\": {\"type\": \"integer\"}}, \"additionalProperties\": false, "
     "\"minProperties\": 1, \"maxProperties\": 2}",
     "{}", false},
    {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
     "\"integer\"}, \"c\": {\"type\": \"integer\"}}, \"additionalProperties\": false, "
     "\"minProperties\": 1, \"maxProperties\": 2}",
     "{\"b\":1}", true},
    {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
     "\"integer\"}, \"c\": {\"type\": \"integer\"}}, \"additionalProperties\": false, "
     "\"minProperties\": 1, \"maxProperties\": 2}",
     "{\"a\":1,\"c\":2}", true},
    {"{\"type\": \"object\", \"properties\": {\"a\": {\"type\": \"integer\"}, \"b\": {\"type\": "
     "\"integer\"}, \"c\": {\"type\": \"integer\"}}, \"additionalProperties\": false, "
     "\"minProperties\": 1, \"maxProperties\": 2}",
     "{\"a\":1,\"b\":2,\"c\":3}", false},
    {"{\"type\": \"object\", \"maxProperties\": 1}", "{}", true},
    {"{\"type\": \"object\", \"maxProperties\": 1}", "{\"x\":1}", true},
    {"{\"type\": \"object\", \"maxProperties\": 1}", "{\"x\":1,\"y\":2}", false},
    {"{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}, \"minProperties\": "
     "2}",
     "{\"x\":1}", false},
    {"{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}, \"minProperties\": "
     "2}",
     "{\"x\":1,\"y\":2}", true},
    {"{\"type\": \"object\", \"additionalProperties\": {\"type\": \"integer\"}, \"minProperties\": "
     "2}",
     "{\"x\":1,\"y\":2,\"z\":3}", true},
    {"{\"type\": \"object\", \"patternProperties\": {\"^k[0-9]$\": {\"type\": \"integer\"}}, "
     "\"additionalProperties\": false}",
     "{\"k1\":1}", true},
    {"{\"type\": \"object\", \"patternProperties\": {\"^k[0-9]$\": {\"type\": \"integer\"}}, "
     "\"additionalProperties\": false}",
     "{\"x\":1}", false},
    {"{\"type\": \"object\", \"patternProperties\": {\"^k[0-9]$\": {\"type\": \"integer\"}}, "
     "\"additionalProperties\": false}",
     "{}", true},
    {"{\"type\": \"array\", \"items\": {\"enum\": [\"a\", \"b\", \"c\"]}, \"uniqueItems\": true, "
     "\"minItems\": 1}",
     "[\"a\"]", true},
    {"{\"type\": \"array\", \"items\": {\"enum\": [\"a\", \"b\", \"c\"]}, \"uniqueItems\": true, "
     "\"minItems\": 1}",
     "[\"b\",\"a\"]", true},
    {"{\"type\": \"array\", \"items\": {\"enum\": [\"a\", \"b\", \"c\"]}, \"uniqueItems\": true, "
     "\"minItems\": 1}",
     "[\"a\",\"a\"]", false},
    {"{\"type\": \"array\", \"items\": {\"enum\": [\"a\", \"b\", \"c\"]}, \"uniqueItems\": true, "
     "\"minItems\": 1}",
     "[]", false},
    {"{\"type\": \"string\", \"nullable\": true, \"discriminator\": {\"propertyName\": \"x\"}, "
     "\"x-any\": 1, \"propertyOrdering\": [\"a\"]}",
     "\"x\"", true},
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
    {"{\"type\": \"number\", \"multipleOf\": 0.5}", "multipleOf"},
    {"{\"type\": \"integer\", \"multipleOf\": 7, \"minimum\": 5}", "multipleOf"},
    {"{\"type\": \"integer\", \"multipleOf\": 10, \"minimum\": 5, \"maximum\": 9}", "multipleOf"},
    {"{\"type\": \"string\", \"format\": \"color\"}", "'color'"},
    {"{\"type\": \"string\", \"format\": \"uri\"}", "'uri'"},
    {"{\"type\": \"string\", \"format\": \"date\", \"pattern\": \"x\"}", "beside format"},
    {"{\"type\": \"number\", \"exclusiveMinimum\": 1, \"maximum\": 1}", "no number"},
    {"{\"type\": \"object\", \"patternProperties\": {}}", "patternProperties"},
    {"{\"type\": \"object\", \"patternProperties\": {\"a\": {}}, \"properties\": {\"b\": {}}}",
     "patternProperties"},
    {"{\"type\": \"object\", \"properties\": {\"b\": {}}, \"minProperties\": 2, "
     "\"additionalProperties\": false}",
     "minProperties"},
    {"{\"not\": {}}", "'not'"},
    {"{\"if\": {}}", "'if'"},
    {"{\"uniqueItems\": true, \"type\": \"array\"}", "uniqueItems"},
    {"{\"oneOf\": [{\"type\": \"integer\"}, {\"type\": \"number\"}]}", "oneOf"},
    {"{\"oneOf\": [{\"type\": \"object\"}, {\"type\": \"object\"}]}", "oneOf"},
    {"{\"$ref\": \"http://x/y\"}", "leads out"},
    {"{\"$ref\": \"#/$defs/none\"}", "points to nothing"},
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
    {"{\"type\": \"string\", \"minLength\": 3, \"maxLength\": 2}", "greater"},
    {"{\"type\": \"string\", \"pattern\": \"^ab$\", \"minLength\": 3}", "no text of minLength"},
    {"{\"type\": \"string\", \"format\": \"uuid\", \"maxLength\": 5}", "no text of minLength"},
    {"{\"type\": \"integer\", \"minimum\": 3, \"maximum\": 2}", "no integer"},
    {"{\"type\": \"money\"}", "no JSON type"},
    {"{\"enum\": []}", "no value"},
    {"{\"enum\": [1], \"minimum\": 2}", "beside minimum"},
    {"{\"type\": \"array\", \"minItems\": -1}", "is not a count"},
    {"{\"type\": \"object\", \"required\": [\"a\"], \"additionalProperties\": false}", "forbidden"},
    {"{\"allOf\": [{\"properties\": {\"a\": {}}}, {\"properties\": {\"b\": {}}, "
     "\"additionalProperties\": false}]}",
     "additionalProperties"},
    {"{\"allOf\": [{\"type\": \"string\"}, {\"type\": \"integer\"}]}", "no JSON type"},
    {"7", "neither"},
    {"false", "neither"},
};

#endif
