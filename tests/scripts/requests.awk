# requests.awk: batch lines of every kind: awk -v rows=1000 -f requests.awk
#
# Greedy and sampled, choices, stops, penalties, scoring, chat, token ids, long common prefixes.
# Lines 50, 100, ... 1000 are broken, each in another way.
function line(body, url) {
    printf "{\"custom_id\":\"row-%d\",\"method\":\"POST\",\"url\":\"/v1/%s\",\"body\":%s}\n", i, url, body
}
BEGIN {
    split("Lily Tim Mia Max Sue Ben Tom Anna", name, " ")
    split("dog cat frog bird bear owl fox fish", animal, " ")
    common = "Once upon a time, there was a little girl named Lily. She loved to play outside in the park."
    for (i = 0; i < 4; i++) common = common " One day, she saw a big, red ball. She wanted to play with it."
    bad[1] = "{\"custom_id\":\"torn\",\"method\":\"POST\""
    bad[2] = "not json at all"
    bad[3] = "{\"custom_id\":\"b3\",\"method\":\"GET\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\"}}"
    bad[4] = "{\"custom_id\":\"b4\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\"body\":{\"input\":\"x\"}}"
    bad[5] = "{\"custom_id\":\"b5\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"temperature\":-1}}"
    bad[6] = "{\"custom_id\":\"b6\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"max_tokns\":3}}"
    bad[7] = "{\"custom_id\":\"b7\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{}}"
    bad[8] = "{\"custom_id\":\"b8\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[]}}"
    bad[9] = "{\"custom_id\":\"row-1\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"twice\"}}"
    bad[10] = "{\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\"}}"
    bad[11] = "{\"custom_id\":\"b11\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"max_tokens\":100000}}"
    bad[12] = "{\"custom_id\":\"b12\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":[1,2,99999]}}"
    bad[13] = "{\"custom_id\":\"b13\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"stream\":true}}"
    bad[14] = "{\"custom_id\":\"b14\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"n\":1000}}"
    bad[15] = "[\"a list\"]"
    bad[16] = "{\"custom_id\":\"b16\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"x\"}}]}]}}"
    bad[17] = "{\"custom_id\":\"b17\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"stop\":[\"\"]}}"
    bad[18] = "{\"custom_id\":\"b18\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"logit_bias\":{\"a\":1}}}"
    bad[19] = "{\"custom_id\":\"b19\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"\\ud800\"}}"
    bad[20] = "{\"custom_id\":\"b20\",\"method\":\"POST\",\"url\":\"/v1/completions\",\"body\":{\"prompt\":\"x\",\"logprobs\":99}} trailing"
    for (i = 1; i <= rows; i++) {
        if (i % 50 == 0) { print bad[i / 50]; continue }
        who = name[i % 8 + 1]; what = animal[int(i / 8) % 8 + 1]
        kind = i % 10
        if (kind == 0) line("{\"prompt\":\"" common " Then " who " saw a " what ".\",\"max_tokens\":8,\"temperature\":0}", "completions")
        else if (kind == 1) line("{\"prompt\":\"" common " " who "\",\"max_tokens\":12,\"temperature\":0.8,\"seed\":" i "}", "completions")
        else if (kind == 2) line("{\"prompt\":\"" who " had a " what ".\",\"max_tokens\":10,\"logprobs\":3,\"n\":2}", "completions")
        else if (kind == 3) line("{\"prompt\":\"" who " and the " what "\",\"max_tokens\":1,\"echo\":true,\"logprobs\":1,\"temperature\":0}", "completions")
        else if (kind == 4) line("{\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a story about " who " and a " what ".\"}],\"max_completion_tokens\":12,\"logprobs\":true,\"top_logprobs\":2}", "chat/completions")
        else if (kind == 5) line("{\"messages\":[{\"role\":\"user\",\"content\":\"Tell me a story about " who ".\"}],\"max_tokens\":20,\"temperature\":0,\"stop\":[\". \",\"!\"],\"chat_template_kwargs\":{\"enable_thinking\":false}}", "chat/completions")
        else if (kind == 6) line("{\"prompt\":[1017,407,437,258," i % 900 "],\"max_tokens\":9,\"repetition_penalty\":1.3,\"frequency_penalty\":0.5}", "completions")
        else if (kind == 7) line("{\"prompt\":[\"" who "\",\"" what "\"],\"max_tokens\":6,\"top_k\":20,\"min_p\":0.05}", "completions")
        else if (kind == 8) line("{\"prompt\":\"" who " said\",\"max_tokens\":5,\"prompt_logprobs\":1,\"ignore_eos\":true,\"min_tokens\":3}", "completions")
        else if (i % 20 == 19) line("{\"prompt\":\"" who "\",\"max_tokens\":24,\"temperature\":0.9,\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"schema\":{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\",\"maxLength\":8},\"age\":{\"type\":\"integer\"}},\"required\":[\"name\",\"age\"]}}}}", "completions")
        else line("{\"prompt\":\"The " what "\",\"max_tokens\":14,\"temperature\":1.2,\"top_p\":0.9,\"logit_bias\":{\"13\":-2}}", "completions")
    }
}
