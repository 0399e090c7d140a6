"""schemas.py: generations under random small schemas, judged by an independent validator.

    python schemas.py MODEL [--lmzoo ../../build/lmzoo] [--rows 1000] [--seed 1] [--temperature 0]
                      [--keep FOLDER]

Writes `rows` requests with a schema (response_format json_schema and json_object, and forced calls
of tools) and half as many without one, runs them all as one batch, and those without a schema once
more alone. It checks that:

  * every answer with a schema parses and the package `jsonschema` finds it valid; arguments of a
    tool call likewise, by the parameters of the tool that was named;
  * a third of the rows may take exactly as many tokens as a shortest valid answer, spelled by
    `lmzoo tokenize`, takes; a third up to 20 more; the others 200;
  * the lines of rows without a schema are the same bytes in both runs.

Prints counts, and each failure; exit status 1 when there is one. Needs jsonschema.
"""

import argparse
import json
import os
import random
import re
import subprocess
import sys
import tempfile
from typing import Any, TypeAlias

import jsonschema

Json: TypeAlias = dict[str, Any]
Case: TypeAlias = tuple[Any, Any]  # a schema, and a shortest value

WORDS = ["name", "age", "city", "tags", "ok", "size", "kind", "x", "y", "note", "Ünï", "a b", 'q"t']
PATTERNS = [
    ("^[a-z]{2,4}$", "aa"),
    ("^\\d{3}-\\d{2}$", "000-00"),
    ("^(red|green|blue)$", "red"),
    ("^[A-F0-9]+$", "A"),
    ("^v\\d+(\\.\\d+)?$", "v0"),
]


class Schemas:
    """Random schemas, each with a shortest value that satisfies it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def string(self) -> Case:
        r = self.rng
        kind = r.randrange(4)
        if kind == 0:
            return {"type": "string"}, ""
        if kind == 1:
            low = r.randrange(4)
            return {
                "type": "string",
                "minLength": low,
                "maxLength": low + r.randrange(6),
            }, "a" * low
        if kind == 2:
            pattern, least = r.choice(PATTERNS)
            return {"type": "string", "pattern": pattern}, least
        words = r.sample(["low", "mid", "high", "é", "never \\ ever"], r.randint(1, 4))
        return {"enum": words}, min(words, key=lambda w: len(dump(w).encode()))

    def number(self) -> Case:
        r = self.rng
        if r.randrange(2):
            return {"type": r.choice(["integer", "number"])}, 0
        low = r.choice([-1000, -7, 0, 3, 95, 1500])
        high = low + r.choice([0, 1, 12, 4000])
        least = min(
            (
                low,
                high,
                *(v for v in range(-1, 10) if low <= v <= high),
                *(v for v in range(10, 100) if low <= v <= high),
            ),
            key=lambda v: len(str(v)),
        )
        return {"type": r.choice(["integer", "number"]), "minimum": low, "maximum": high}, least

    def array(self, depth: int) -> Case:
        r = self.rng
        item, least = self.any(depth + 1)
        low = r.randrange(3)
        schema = {"type": "array", "items": item, "minItems": low}
        if r.randrange(2):
            schema["maxItems"] = low + r.randrange(3)
        return schema, [least] * low

    def object(self, depth: int) -> Case:
        r = self.rng
        names = r.sample(WORDS, r.randint(0 if depth else 1, 4))
        schema: Json = {"type": "object", "properties": {}, "required": []}
        least = {}
        for name in names:
            schema["properties"][name], value = self.any(depth + 1)
            if r.randrange(4):
                schema["required"].append(name)
                least[name] = value
        if r.randrange(4):
            schema["additionalProperties"] = False
        return schema, least

    def any(self, depth: int) -> Case:
        r = self.rng
        kind = r.randrange(10 if depth < 3 else 7)
        if kind < 2:
            return self.string()
        if kind < 4:
            return self.number()
        if kind == 4:
            return {"type": "boolean"}, True
        if kind == 5:
            value = r.choice([None, 12, "c", [1, 2], {"k": None}])
            return {"const": value}, value
        if kind == 6:
            schema, _ = self.number()
            return {
                "type": ["string", "null"],
                **{k: v for k, v in schema.items() if k != "type"},
            }, ""
        if kind == 7:
            return self.array(depth)
        if kind == 8:
            one, other = self.any(depth + 1), self.any(depth + 1)
            best = min(one[1], other[1], key=lambda v: len(dump(v).encode()))
            return {"anyOf": [one[0], other[0]]}, best
        return self.object(depth)


def dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def body(rng: random.Random, prompt: str, limit: int, temperature: float) -> Json:
    out = {
        "messages": [{"role": "user", "content": prompt}],
        "max_tokens": limit,
        "temperature": temperature,
        "seed": rng.randrange(1 << 30),
    }
    return out


def call(rng: random.Random, schemas: Schemas, request: Json) -> tuple[Json, Json, str]:
    """A forced call of one of two tools; room for any format's marks is added to the shortest."""
    tools, least = {}, []
    for name in ("look_up", "set-it"):
        tools[name], value = schemas.object(0)
        least.append(dump({"name": name, "arguments": value}))
    request["tools"] = [
        {"type": "function", "function": {"name": name, "parameters": schema}}
        for name, schema in tools.items()
    ]
    name = rng.choice(sorted(tools))
    forced = rng.randrange(2)
    request["tool_choice"] = (
        {"type": "function", "function": {"name": name}} if forced else "required"
    )
    return (
        request,
        {name: tools[name]} if forced else tools,
        f"<tool_call>{max(least, key=len)}</tool_call>",
    )


def make(
    rng: random.Random, schemas: Schemas, index: int, temperature: float
) -> tuple[Json, Json, str]:
    """A request of one kind; its judge (schema or tools) and the text of a shortest answer."""
    who, what = rng.choice(["Lily", "Tom", "Ben"]), rng.choice(["dog", "cat", "fox"])
    prompt = f"Tell me a story about {who} and a {what}."
    request = body(rng, prompt, 0, temperature)
    kind = index % 10
    if kind == 9:
        request["response_format"] = {"type": "json_object"}
        return request, {"type": "object"}, "{}"
    if kind == 8:
        return call(rng, schemas, request)
    schema, least = schemas.object(0) if rng.randrange(4) else schemas.any(0)
    request["response_format"] = {
        "type": "json_schema",
        "json_schema": {"name": "s", "schema": schema},
    }
    return request, schema, dump(least)


def count_tokens(lmzoo: str, model: str, texts: list[str]) -> list[int]:
    lines = "".join(json.dumps(text) + "\n" for text in texts)
    done = subprocess.run(
        [lmzoo, "tokenize", model, "--jsonl"],
        input=lines.encode(),
        stdout=subprocess.PIPE,
        check=True,
    )
    return [len(json.loads(line)) for line in done.stdout.splitlines()]


def batch(
    lmzoo: str, model: str, folder: str, name: str, requests: list[tuple[str, Json]]
) -> dict[str, bytes]:
    path = os.path.join(folder, name)
    with open(path + ".jsonl", "w", encoding="utf-8") as file:
        for custom_id, request in requests:
            file.write(
                json.dumps(
                    {
                        "custom_id": custom_id,
                        "method": "POST",
                        "url": "/v1/chat/completions",
                        "body": request,
                    }
                )
                + "\n"
            )
    done = subprocess.run(
        [lmzoo, "batch", model, "-i", path + ".jsonl", "-o", path + ".out", "--restart"],
        capture_output=True,
        check=False,
    )
    if done.returncode not in (0, 1):
        sys.exit("lmzoo batch: " + done.stderr.decode())
    with open(path + ".out", "rb") as file:
        lines = file.read().splitlines()
    if os.path.exists(path + ".out.errors.jsonl"):
        with open(path + ".out.errors.jsonl", "rb") as file:
            lines += file.read().splitlines()
    return {json.loads(line)["custom_id"]: line for line in lines}


def fault(line: bytes | None, schema: Any) -> str | None:
    """What is wrong with an answer, or None."""
    if line is None:
        return "no result"
    result = json.loads(line)
    if result["error"]:
        return f"refused: {result['error']['message']}"
    choice = result["response"]["body"]["choices"][0]
    text = choice["message"]["content"]
    if "type" not in schema and choice["message"].get("tool_calls"):
        if len(choice["message"]["tool_calls"]) != 1 or text:
            return f"not one call: {choice['message']!r}"
        function = choice["message"]["tool_calls"][0]["function"]
        text, schema = function["arguments"], schema.get(function["name"], False)
    n_tokens = result["response"]["body"]["usage"]["completion_tokens"]
    where = f"{choice['finish_reason']} after {n_tokens} tokens: {text!r}"
    try:
        value = json.loads(text)
    except (TypeError, ValueError) as error:
        return f"{error}; {where}"
    errors = list(jsonschema.Draft202012Validator(schema).iter_errors(value))
    if errors:
        return f"{errors[0].message}; {where}"
    return None if choice["finish_reason"] in ("stop", "tool_calls") else "valid, but " + where


def main() -> int:
    here = os.path.dirname(os.path.abspath(__file__))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--lmzoo", default=os.path.join(here, "..", "..", "build", "lmzoo"))
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--temperature", type=float, default=0.0)
    parser.add_argument("--keep", help="folder for the request and result files")
    args = parser.parse_args()
    rng = random.Random(args.seed)
    schemas = Schemas(rng)
    asked = [make(rng, schemas, i, args.temperature) for i in range(args.rows)]
    shortest = count_tokens(args.lmzoo, args.model, [text for _, _, text in asked])
    requests, judges = [], {}
    for i, (request, schema, text) in enumerate(asked):
        if "response_format" in request:
            jsonschema.Draft202012Validator.check_schema(schema)
            jsonschema.validate(json.loads(text), schema)
        room = (0, rng.randrange(21), 200)[i % 3]
        request["max_tokens"] = max(1, shortest[i] + room) if i % 3 < 2 else 200
        requests.append((f"schema-{i}", request))
        judges[f"schema-{i}"] = (schema, shortest[i])
        if i % 2:
            requests.append(
                (
                    f"free-{i}",
                    body(rng, "Tell me a story about Tim and a bird.", 24, args.temperature),
                )
            )
    free = [r for r in requests if r[0].startswith("free")]
    folder = args.keep or tempfile.mkdtemp()
    together = batch(args.lmzoo, args.model, folder, "together", requests)
    alone = batch(args.lmzoo, args.model, folder, "alone", free)
    bad = 0
    for custom_id, (schema, least) in judges.items():
        why = fault(together.get(custom_id), schema)
        if why:
            bad += 1
            print(f"{custom_id} (shortest {least}): {why}\n    {dump(schema)}")
    changed = [
        i for i, _ in free if strip(together.get(i)) != strip(alone.get(i)) or not alone.get(i)
    ]
    for custom_id in changed:
        print(f"{custom_id}: not the same beside rows with a schema")
    print(
        f"{os.path.basename(os.path.normpath(args.model))}: temperature {args.temperature:g}: "
        f"{args.rows - bad} of {args.rows} valid; "
        f"{len(free) - len(changed)} of {len(free)} without a schema unchanged"
    )
    return 1 if bad or changed else 0


def strip(line: bytes | None) -> bytes | None:
    """A line without the ids that are hashes of its place in the file."""
    return line and re.sub(rb'"(request_id|id)":\s*"[^"]*"', b"", line)


if __name__ == "__main__":
    sys.exit(main())
