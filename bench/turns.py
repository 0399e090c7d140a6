"""Times a tool loop of twelve turns against OpenAI-compatible servers; needs the standard library
only.

    python3 bench/turns.py NAME=http://127.0.0.1:8080/v1 [NAME=URL...] [--repeats 5] [--words 60]
        [--form tools]

Every turn forces one call of a tool and adds a result of WORDS words. With --form schema it forces
an answer of the tool's schema and adds a message of WORDS words: llama-server answers in free text
to a forced call if the chat template has no tools. The servers are asked one
after the other, and every repeat begins with other words, so that no server knows the conversation.
Prints a JSON object per server: for turns 2 and 12 the medians of seconds, prompt tokens, prompt
tokens that were read (not cached) and new tokens.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
import urllib.request
from typing import Any

TURNS = 12
WORDS = ["the", "cat", "sat", "near", "a", "red", "house", "and", "then", "went", "to", "sleep"]
TOOL: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "count",
        "description": "counts toys",
        "parameters": {
            "type": "object",
            "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9}},
            "required": ["n"],
            "additionalProperties": False,
        },
    },
}


def post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{url}/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def cached_of(answer: dict[str, Any]) -> int:
    details = answer["usage"].get("prompt_tokens_details") or {}
    return int(details.get("cached_tokens", answer.get("timings", {}).get("cache_n", 0)))


def asked(form: str) -> dict[str, Any]:
    """The keys that force a turn's answer."""
    if form == "tools":
        return {"tools": [TOOL], "tool_choice": "required", "parallel_tool_calls": False}
    schema = {"name": "count", "strict": True, "schema": TOOL["function"]["parameters"]}
    return {"response_format": {"type": "json_schema", "json_schema": schema}}


def told(form: str, message: dict[str, Any], text: str) -> list[dict[str, Any]]:
    """The messages that follow an answer."""
    if form == "schema":
        json.loads(message["content"])
        return [
            {"role": "assistant", "content": message["content"]},
            {"role": "user", "content": text},
        ]
    call = message["tool_calls"][0]
    return [
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": call["id"], "content": text},
    ]


def loop(url: str, repeat: int, n_words: int, form: str) -> list[tuple[float, int, int, int]]:
    """Seconds, prompt tokens, those read, new tokens, of each turn."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": f"{repeat} times {repeat}. Lily counts her toys."},
        {"role": "user", "content": "Count the toys, please."},
    ]
    out = []
    for turn in range(TURNS):
        body: dict[str, Any] = {"model": "m", "messages": messages, **asked(form)}
        body |= {"temperature": 0, "max_tokens": 100}
        began = time.monotonic()
        answer = post(url, body)
        seconds = time.monotonic() - began
        usage, message = answer["usage"], answer["choices"][0]["message"]
        n_prompt = usage["prompt_tokens"]
        out.append((seconds, n_prompt, n_prompt - cached_of(answer), usage["completion_tokens"]))
        text = " ".join(WORDS[(turn + i) % len(WORDS)] for i in range(n_words))
        messages += told(form, message, text)
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("server", nargs="+", help="NAME=URL, the URL with /v1")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--words", type=int, default=60, help="of a tool's result")
    parser.add_argument("--form", choices=("tools", "schema"), default="tools")
    args = parser.parse_args()
    servers = [server.split("=", 1) for server in args.server]
    runs: dict[str, list[list[tuple[float, int, int, int]]]] = {name: [] for name, _ in servers}
    for repeat in range(args.repeats + 1):
        for name, url in servers:
            turns = loop(url, repeat, args.words, args.form)
            if repeat > 0:  # the first one warms up
                runs[name].append(turns)
    for name, loops in runs.items():
        report: dict[str, Any] = {"server": name}
        for turn in (2, TURNS):
            keys = ("seconds", "prompt_tokens", "read", "new")
            report[f"turn_{turn}"] = {
                key: round(statistics.median(turns[turn - 1][i] for turns in loops), 4)
                for i, key in enumerate(keys)
            }
        report["seconds_of_all"] = round(
            statistics.median(sum(t[0] for t in turns) for turns in loops), 3
        )
        print(json.dumps(report))


if __name__ == "__main__":
    main()
