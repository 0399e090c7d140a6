"""Request files of the published kinds: `lmzoo batch` answers them, strictly in openai's types."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
from common import SCHEMA, STORY, TOOLS
from conftest import BUILD, MODELS, SOURCE
from openai.types import BatchError, Completion
from openai.types.chat import ChatCompletion

CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
SYSTEM: list[Any] = [
    {"role": "system", "content": "You answer in one short sentence."},
    {"role": "user", "content": "Where do owls sleep?"},
]
CALL: list[Any] = [
    *STORY,
    {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "count", "arguments": '{"n": 2}'}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "2"},
]
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "strict": True, "schema": SCHEMA}}

# What the batch guides of OpenAI and vLLM ask for, and each form of answer that there is.
REQUESTS: list[tuple[str, dict[str, Any]]] = [
    (CHAT, {"model": "gpt-4o-mini", "messages": SYSTEM, "max_tokens": 1000}),
    (CHAT, {"model": "some/Model-8B", "messages": SYSTEM, "max_completion_tokens": 1000}),
    (CHAT, {"model": "m", "messages": SYSTEM, "max_tokens": 9, "logprobs": True, "n": 2}),
    (CHAT, {"messages": STORY, "max_tokens": 9, "logprobs": True, "top_logprobs": 3}),
    (CHAT, {"messages": STORY, "max_tokens": 60, "response_format": FORMAT}),
    (CHAT, {"messages": STORY, "max_tokens": 60, "response_format": {"type": "json_object"}}),
    (CHAT, {"messages": STORY, "max_tokens": 60, "tools": TOOLS, "tool_choice": "required"}),
    (CHAT, {"messages": STORY, "max_tokens": 60, "tools": TOOLS}),
    (CHAT, {"messages": STORY, "max_tokens": 9, "user": "u", "metadata": {"a": "b"}, "seed": 3}),
    (TEXT, {"model": "m", "prompt": "Once upon", "max_tokens": 9, "temperature": 0}),
    (TEXT, {"prompt": ["Once", "The owl"], "max_tokens": 9, "n": 2, "stop": [".", "!"]}),
    (TEXT, {"prompt": "Once", "max_tokens": 5, "logprobs": 2}),
    (TEXT, {"prompt": "Once upon a", "max_tokens": 2, "logprobs": 2, "echo": True}),
    (TEXT, {"prompt": "Once upon a", "max_tokens": 0, "logprobs": 0, "echo": True}),
    (TEXT, {"prompt": "Once \u00e9\U0001f600", "max_tokens": 1, "logprobs": 1, "echo": True}),
]
REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("/v1/embeddings", {"model": "m", "input": "x"}),
    (CHAT, {"messages": []}),
    (TEXT, {"prompt": "x", "max_tokens": -1}),
]


def run(model: str, folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Results and errors, in the order of the requests."""
    lines = [
        {"custom_id": f"request-{i}", "method": "POST", "url": url, "body": body}
        for i, (url, body) in enumerate([*REQUESTS, *REFUSED])
    ]
    (folder / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    command: list[str | Path] = [BUILD / "lmzoo", "batch", SOURCE / "demo/models" / model, "-q"]
    command += ["-i", folder / "in.jsonl", "-o", folder / "out.jsonl", "--order", "input"]
    done = subprocess.run([*command, "--context", "2048"], capture_output=True, text=True)
    assert done.returncode == 1, done.stderr
    found = []
    for name in ("out.jsonl", "out.errors.jsonl"):
        found.append([json.loads(line) for line in (folder / name).read_text().splitlines()])
    return found[0], found[1]


@pytest.mark.parametrize("model", MODELS)
def test_answers_are_of_openais_types(model: str, tmp_path: Path) -> None:
    results, errors = run(model, tmp_path)
    assert [r["custom_id"] for r in results] == [f"request-{i}" for i in range(len(REQUESTS))]
    for result, (url, asked) in zip(results, REQUESTS, strict=True):
        assert result["error"] is None
        assert result["response"]["status_code"] == 200
        kind = ChatCompletion if url == CHAT else Completion
        answer = kind.model_validate(result["response"]["body"], strict=True)
        prompts = len(asked["prompt"]) if isinstance(asked.get("prompt"), list) else 1
        assert [c.index for c in answer.choices] == list(range(prompts * asked.get("n", 1)))
        assert answer.usage is not None
        assert answer.usage.total_tokens > 0
    assert [e["custom_id"] for e in errors] == [
        f"request-{len(REQUESTS) + i}" for i in range(len(REFUSED))
    ]
    for error in errors:
        assert error["response"]["status_code"] == 400
        assert BatchError.model_validate(error["error"], strict=True).message


def test_a_call_in_the_history(tmp_path: Path) -> None:
    line = {"custom_id": "c", "method": "POST", "url": CHAT}
    body = {"messages": CALL, "tools": TOOLS, "max_tokens": 4}
    (tmp_path / "in.jsonl").write_text(json.dumps({**line, "body": body}) + "\n")
    command: list[str | Path] = [BUILD / "lmzoo", "batch", SOURCE / "demo/models/demo-llama", "-q"]
    command += ["-i", tmp_path / "in.jsonl", "-o", tmp_path / "out.jsonl"]
    subprocess.run(command, check=True, capture_output=True)
    result = json.loads((tmp_path / "out.jsonl").read_text())
    assert ChatCompletion.model_validate(result["response"]["body"], strict=True).choices
