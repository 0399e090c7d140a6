# broken.awk: rows that must be refused: 51 kinds in up to 9 sizes, 459 rows, about 200 MB
#
#   awk -v sizes=9 -v good=FILE [-v blank=1] -f broken.awk
#
# They come evenly among the lines of FILE; with blank an empty line stands for each, so that the
# lines of FILE have the numbers, and so the results the ids, that they have among broken rows.
# A size doubles what the kind is about: bytes of a text, members of a list, depth. So each kind
# is there small, where a check refuses it, and large, where it may be refused for its size alone.
function times(text, count, out) {
    for (; count > 0; count = int(count / 2)) {
        if (count % 2) out = out text
        text = text text
    }
    return out
}
# item, with at most one %, is repeated with 0, 1, ... there; in halves, since a text that grows is
# copied.
function list(item, count, part) {
    split(item, part, "%")
    return stretch(part[1], index(item, "%") > 0, part[2], 0, count)
}
function stretch(before, counts, behind, first, end, out, i) {
    if (end - first > 64) {
        i = int((first + end) / 2)
        return stretch(before, counts, behind, first, i) "," stretch(before, counts, behind, i, end)
    }
    for (i = first; i < end; i++) out = out (i > first ? "," : "") before (counts ? i : "") behind
    return out
}
function to(url, body) { return "{\"custom_id\":\"bad-" kind "-" size "\",\"method\":\"POST\",\"url\":\"/v1/" url "\",\"body\":" body "}" }
function text(members) { return to("completions", "{\"prompt\":\"Once\",\"max_tokens\":2," members "}") }
function chat(members) { return to("chat/completions", "{\"max_tokens\":2," members "}") }
function asked(content) { return "\"messages\":[{\"role\":\"user\",\"content\":" content "}]" }
function shape(schema) { return text("\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"s\",\"schema\":" schema "}}") }
function row(s) {
    if (kind == 1) return times("x", s)                                             # no JSON
    if (kind == 2) return times("[", s)                                             # never closed
    if (kind == 3) return "{\"custom_id\":\"" times("torn ", s)                     # cut in a text
    if (kind == 4) return "[" list("%", s) "]"                                      # not an object
    if (kind == 5) return times("9", s)                                             # a number
    if (kind == 6) return "\"" times("\\u0041", s) "\""                             # a text
    if (kind == 7) return text("\"user\":" times("[", s) times("]", s))             # deep
    if (kind == 8) return text("\"user\":\"" times("\303\050", s) "\"")             # not UTF-8
    if (kind == 9) return text("\"user\":\"" times("\\ud800", s) "\"")              # half a pair
    if (kind == 10) return text("\"temperature\":0") times(" x", s)                 # words behind
    if (kind == 11) return text("\"temperature\":" times("9", s) "e" size)          # out of range
    if (kind == 12) return text("\"seed\":0.5" times("0", s))                        # not whole
    if (kind == 13) return text("\"max_tokens\":" s)                                # a key twice
    if (kind == 14) return text(list("\"key%\":0", s))                              # unknown keys
    if (kind == 15) return to("completions", "\"" times("{}", s) "\"")              # body a text
    if (kind == 16) return to("completions", "{\"prompt\":\"" times("Once upon a time. ", 200 + s) "\"}") # too long
    if (kind == 17) return to("completions", "{\"prompt\":[" list("[1]", s) "],\"n\":129}")
    if (kind == 18) return to("completions", "{\"prompt\":[" list("\"a\"", 4000 + 16 * s) "],\"n\":128}") # too many sequences
    if (kind == 19) return to("completions", "{\"prompt\":[" list("1", s) ",9999999]}") # no such token
    if (kind == 20) return to("completions", "{\"prompt\":[" list("\"a\",1", s) "]}")   # mixed
    if (kind == 21) return to("completions", "{\"prompt\":[],\"user\":\"" times("u", s) "\"}")
    if (kind == 22) return text("\"truncate_prompt_tokens\":-" s)                     # only -1 is a word for all
    if (kind == 23) return text("\"logit_bias\":{" list("\"9%\":1", 1200 + s) "}")    # no such tokens
    if (kind == 24) return text("\"logit_bias\":{\"1\":" times("1", 4 + s) "}")
    if (kind == 25) return text("\"stop\":[" list("\"s%\"", 1000 + s) "]")
    if (kind == 26) return text("\"stop\":[\"" times("never ", s) "\",\"\"]")
    if (kind == 27) return text("\"bad_words\":[" list("\"w%\"", s) ",0]")
    if (kind == 28) return text("\"stop_token_ids\":[" list("%", s) ",-1]")
    if (kind == 29) return text("\"allowed_token_ids\":[" list("%", 1100 + s) "]")
    if (kind == 30) return text("\"guided_choice\":[" list("\"c%\"", s) ",[]]")
    if (kind == 31) return text("\"guided_regex\":\"" times("(", s) "\"")
    if (kind == 32) return text("\"guided_regex\":\"[ab]*a[ab]{" 30 + s "}\"")      # too many states
    if (kind == 33) return text("\"guided_grammar\":\"root ::= " times("root | ", s) "\\\"a\\\"\"") # left recursion
    if (kind == 34) return text("\"guided_grammar\":\"root ::= " times("( ", s) "\"")
    if (kind == 35) return shape("{\"type\":\"colour\",\"title\":\"" times("t", s) "\"}")
    if (kind == 36) return shape("{\"$ref\":\"#/$defs/none\",\"$defs\":{" list("\"d%\":{\"type\":\"null\"}", s) "}}")
    if (kind == 37) return shape("{\"properties\":{" list("\"p%\":{\"type\":\"string\"}", s) "},\"unevaluatedItems\":false}")
    if (kind == 38) return shape("{\"enum\":[]," list("\"title%\":\"t\"", s) "}")
    if (kind == 39) return shape(times("{\"items\":", s) "{}" times("}", s) ",\"type\":\"array\"")
    if (kind == 40) return shape("{\"$ref\":\"#/$defs/a0\",\"$defs\":{" doubled(24 + size) "}}") # allOf doubles
    if (kind == 41) return shape("{\"type\":\"string\",\"minLength\":" s "0000,\"maxLength\":1}")
    if (kind == 42) return chat("\"messages\":[" list("{\"role\":\"user\",\"content\":\"m%\"}", 2000 + s) "]")
    if (kind == 43) return chat(asked("[{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:image/png;base64," times("iVBORw0KGgo", s) "\"}}]"))
    if (kind == 44) return chat("\"messages\":[{\"role\":\"user\",\"content\":\"Hi\"," list("\"k%\":1", s) "}]")
    if (kind == 45) return chat("\"messages\":[{\"role\":\"" times("who", s) "\"}]")
    if (kind == 46) return chat(asked("\"Hi\"") ",\"tools\":[" list("{\"type\":\"function\"}", s) "]")
    if (kind == 47) return chat(asked("\"Hi\"") ",\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"" times("f", s) "\"}}")
    if (kind == 48) return chat(asked("\"Hi\"") ",\"chat_template_kwargs\":{\"messages\":[" list("%", s) "]}")
    if (kind == 49) return chat(asked("\"Hi\"") ",\"top_logprobs\":" s)
    if (kind == 50) return "{\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"" times("no id ", s) "\"}}"
    return "{\"custom_id\":\"bad\",\"method\":\"GET\",\"url\":\"/v1/" times("models/", s) "\",\"body\":{}}"
}
function doubled(depth, i, out, one) {
    for (i = 0; i < depth; i++) {
        one = "{\"type\":\"object\",\"properties\":{\"p\":{\"$ref\":\"#/$defs/a" i + 1 "\"}}}"
        out = out "\"a" i "\":{\"allOf\":[" one "," one "]},"
    }
    return out "\"a" depth "\":{\"type\":\"string\"}"
}
BEGIN {
    kinds = 51
    while ((getline line < good) > 0) lines++
    close(good)
    wanted = kinds * sizes
    for (i = 0; i < lines || done < wanted; i++) {
        if ((getline line < good) > 0) print line
        # As many broken rows as belong behind this many good ones.
        for (; done < wanted && done * lines <= i * wanted; done++) {
            kind = done % kinds + 1
            size = int(done / kinds)
            print blank ? "" : row(1000 * 2 ^ size)
        }
    }
}
