"""/v1/responses under the openai package, and with what Codex sends."""

from __future__ import annotations

import json
from typing import Any

import openai
import pytest
from common import SCHEMA

TOOL = {
    "type": "function",
    "name": "count",
    "description": "counts",
    "parameters": SCHEMA,
    "strict": True,
}
OTHERS = [
    {"type": "local_shell"},
    {"type": "web_search"},
    {"type": "custom", "name": "apply_patch", "description": "patches", "format": {"type": "text"}},
]
WORDS = "Tell me a story"


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_is_its_answer(client: openai.OpenAI, seed: int) -> None:
    args = {"model": "m", "input": WORDS, "max_output_tokens": 60, "temperature": 0.9}
    args["extra_body"] = {"seed": seed}
    whole = client.responses.create(**args)
    assert whole.status in ("incomplete", "completed")
    text, numbers = "", []
    for event in client.responses.create(**args, stream=True):
        numbers.append(event.sequence_number)
        if event.type == "response.output_text.delta":
            text += event.delta
        last = event
    assert numbers == list(range(len(numbers)))
    assert text == whole.output_text
    assert last.type == f"response.{whole.status}"
    assert last.response.output_text == whole.output_text
    assert [i.type for i in last.response.output] == [i.type for i in whole.output]
    assert last.response.usage.output_tokens == whole.usage.output_tokens
    with client.responses.stream(**args) as stream:
        for _ in stream:
            pass
        if whole.status == "completed":
            assert stream.get_final_response().output_text == whole.output_text


def test_tools_of_every_kind(client: openai.OpenAI) -> None:
    args: dict[str, Any] = {
        "model": "m",
        "instructions": "You are a coding agent",
        "input": [
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": WORDS}]}
        ],
        "tools": [TOOL, *OTHERS],
        "tool_choice": {"type": "function", "name": "count"},
        "parallel_tool_calls": False,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "prompt_cache_key": "a",
        "reasoning": {"summary": "auto"},
        "max_output_tokens": 200,
        "temperature": 0,
    }
    whole = client.responses.create(**args)
    assert [t.type for t in whole.tools] == ["function", "custom"]
    call = whole.output[-1]
    assert call.type == "function_call"
    assert 0 <= json.loads(call.arguments)["n"] <= 9
    done = [
        e
        for e in client.responses.create(**args, stream=True)
        if e.type == "response.function_call_arguments.done"
    ]
    assert [e.arguments for e in done] == [call.arguments]
    if "gemma" in client.models.list().data[0].id:  # its template takes two roles in turn
        return
    args["input"] += [
        *[i.model_dump(exclude_none=True) for i in whole.output],
        {"type": "function_call_output", "call_id": call.call_id, "output": "3"},
    ]
    args |= {"tool_choice": "auto", "max_output_tokens": 8}
    assert client.responses.create(**args).usage.output_tokens <= 8


def test_parallel_tools(client: openai.OpenAI) -> None:
    args: dict[str, Any] = {"model": "m", "input": WORDS, "tools": [TOOL]}
    args |= {"tool_choice": "required"}
    args |= {"max_output_tokens": 200, "temperature": 0}
    whole = client.responses.create(**args, parallel_tool_calls=True)
    calls = [i for i in whole.output if i.type == "function_call"]
    assert calls
    assert len({c.call_id for c in calls}) == len(calls)
    if "llama" in client.models.list().data[0].id:  # it goes on
        assert len(calls) > 1
    done = [
        e
        for e in client.responses.create(**args, parallel_tool_calls=True, stream=True)
        if e.type == "response.function_call_arguments.done"
    ]
    assert [e.arguments for e in done] == [c.arguments for c in calls]
    assert [e.output_index for e in done] == [whole.output.index(c) for c in calls]
    one = client.responses.create(**args, parallel_tool_calls=False)
    assert not one.parallel_tool_calls
    assert [i.arguments for i in one.output if i.type == "function_call"] == [calls[0].arguments]


def test_a_custom_tool(client: openai.OpenAI) -> None:
    args = {"model": "m", "input": WORDS, "tools": OTHERS, "max_output_tokens": 300}
    args |= {"tool_choice": {"type": "custom", "name": "apply_patch"}, "temperature": 0}
    whole = client.responses.create(**args)
    if whole.status == "incomplete":
        pytest.skip("the model went on writing the tool's input")
    assert whole.output[-1].type == "custom_tool_call"
    assert isinstance(whole.output[-1].input, str)


def test_json_schema(client: openai.OpenAI) -> None:
    form = {"type": "json_schema", "name": "a", "schema": SCHEMA, "strict": True}
    answer = client.responses.create(
        model="m", input=WORDS, text={"format": form}, max_output_tokens=60, temperature=0
    )
    assert set(json.loads(answer.output_text)) == {"n"}


def test_what_is_refused(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="not stored") as stored:
        client.responses.create(model="m", input=WORDS, previous_response_id="resp_1")
    assert stored.value.param == "previous_response_id"
    with pytest.raises(openai.BadRequestError) as too_long:
        client.responses.create(model="m", input="word " * 3000)
    assert too_long.value.code == "context_length_exceeded"
    with pytest.raises(openai.BadRequestError, match="unknown key"):
        client.responses.create(model="m", input=WORDS, extra_body={"nonsense": 1})
