"""lmzoo serve under openai, litellm and langchain-openai; each validates with its own types."""

from __future__ import annotations

import json
from typing import Any

import litellm
import openai
import pytest
from common import STORY, TOOLS
from conftest import SOURCE
from langchain_openai import ChatOpenAI


@pytest.fixture
def client(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none", max_retries=0)


def joined(stream: openai.Stream) -> tuple[str, str, list[tuple[str, str]], str | None]:
    content, reasoning, calls, reason = "", "", [], None
    for chunk in stream:
        for choice in chunk.choices:
            content += choice.delta.content or ""
            reasoning += getattr(choice.delta, "reasoning_content", None) or ""
            for call in choice.delta.tool_calls or []:
                calls.append((call.function.name, call.function.arguments))
            reason = choice.finish_reason or reason
    return content, reasoning, calls, reason


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_is_its_answer(client: openai.OpenAI, seed: int) -> None:
    args = {"model": "m", "messages": STORY, "max_tokens": 60, "temperature": 0.9, "seed": seed}
    message = client.chat.completions.create(**args).choices[0].message
    content, reasoning, calls, reason = joined(client.chat.completions.create(**args, stream=True))
    assert content == (message.content or "")
    assert reasoning == (getattr(message, "reasoning_content", None) or "")
    assert not calls
    assert reason in ("length", "stop")


def test_tools(client: openai.OpenAI) -> None:
    args = {
        "model": "m",
        "messages": STORY,
        "tools": TOOLS,
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_tokens": 200,
        "temperature": 0,
    }
    choice = client.chat.completions.create(**args).choices[0]
    assert choice.finish_reason == "tool_calls"
    (call,) = choice.message.tool_calls
    assert call.function.name == "count"
    assert 0 <= json.loads(call.function.arguments)["n"] <= 9
    _, _, calls, reason = joined(client.chat.completions.create(**args, stream=True))
    assert calls == [(call.function.name, call.function.arguments)]
    assert reason == "tool_calls"
    history = [
        *STORY,
        choice.message.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": call.id, "content": "3"},
    ]
    if "gemma" in client.models.list().data[0].id:  # its template takes two roles in turn
        with pytest.raises(openai.BadRequestError, match="alternate"):
            client.chat.completions.create(model="m", messages=history, tools=TOOLS)
        return
    after = client.chat.completions.create(model="m", messages=history, tools=TOOLS, max_tokens=8)
    assert after.usage.completion_tokens <= 8


def end_ids(client: openai.OpenAI) -> list[int]:
    folder = SOURCE / "demo/models" / client.models.list().data[0].id
    ids: int | list[int] = json.loads((folder / "generation_config.json").read_text())[
        "eos_token_id"
    ]
    return ids if isinstance(ids, list) else [ids]


def test_parallel_tools(client: openai.OpenAI) -> None:
    """Where the end is made unlikely, one call follows the other as long as there is room."""
    other = {"type": "function", "function": {"name": "look", "description": "looks"}}
    args: dict[str, Any] = {
        "model": "m",
        "messages": STORY,
        "tools": [*TOOLS, other],
        "tool_choice": "required",
        "max_tokens": 200,
        "temperature": 0,
        "logit_bias": {str(i): -100 for i in end_ids(client)},
    }
    choice = client.chat.completions.create(**args, parallel_tool_calls=True).choices[0]
    assert choice.finish_reason == "tool_calls"
    calls = choice.message.tool_calls
    assert len(calls) > 1
    assert len({c.id for c in calls}) == len(calls)
    for call in calls:
        given = json.loads(call.function.arguments)
        assert call.function.name in ("count", "look")
        assert call.function.name == "look" or 0 <= given["n"] <= 9
    stream = list(client.chat.completions.create(**args, parallel_tool_calls=True, stream=True))
    parts = [c for chunk in stream for d in chunk.choices for c in d.delta.tool_calls or []]
    assert [p.index for p in parts] == list(range(len(calls)))
    assert [(p.id, p.function.name, p.function.arguments) for p in parts] == [
        (c.id, c.function.name, c.function.arguments) for c in calls
    ]
    args["parallel_tool_calls"] = False
    assert len(client.chat.completions.create(**args).choices[0].message.tool_calls) == 1
    assert len(joined(client.chat.completions.create(**args, stream=True))[2]) == 1


def test_json_schema(client: openai.OpenAI) -> None:
    schema = {
        "type": "object",
        "properties": {"ok": {"type": "boolean"}},
        "required": ["ok"],
        "additionalProperties": False,
    }
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": schema, "strict": True}}
    answer = client.chat.completions.create(
        model="m", messages=STORY, response_format=form, max_tokens=60, temperature=0
    )
    assert set(json.loads(answer.choices[0].message.content)) == {"ok"}


def test_logprobs_and_choices(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(
        model="m", messages=STORY, max_tokens=5, n=2, logprobs=True, top_logprobs=3, seed=1
    )
    assert [c.index for c in answer.choices] == [0, 1]
    assert all(len(t.top_logprobs) == 3 for t in answer.choices[0].logprobs.content)
    old = client.completions.create(model="m", prompt=["Once", "The"], max_tokens=4, logprobs=2)
    assert len(old.choices) == 2
    assert len(old.choices[0].logprobs.token_logprobs) == old.usage.completion_tokens // 2


def test_logprobs_of_a_stream(client: openai.OpenAI) -> None:
    args = {"model": "m", "messages": STORY, "max_tokens": 40, "seed": 5, "temperature": 0.8}
    args |= {"logprobs": True, "top_logprobs": 2}
    whole = client.chat.completions.create(**args).choices[0].logprobs.content
    pieces: list[Any] = []
    for chunk in client.chat.completions.create(**args, stream=True):
        for choice in chunk.choices:
            pieces += choice.logprobs.content if choice.logprobs else []
    assert pieces == whole
    args = {"model": "m", "prompt": "Once upon a time", "max_tokens": 30, "logprobs": 2}
    args |= {"temperature": 0}
    old = client.completions.create(**args).choices[0].logprobs
    parts = [c.choices[0].logprobs for c in client.completions.create(**args, stream=True)]
    for key in ("tokens", "token_logprobs", "top_logprobs", "text_offset"):
        joined_parts = [x for p in parts if p for x in getattr(p, key)]
        assert joined_parts == getattr(old, key)


def test_completion_stream(client: openai.OpenAI) -> None:
    args = {"model": "m", "prompt": "Once upon a time", "max_tokens": 30, "temperature": 0}
    whole = client.completions.create(**args).choices[0].text
    pieces = [c.choices[0].text for c in client.completions.create(**args, stream=True)]
    assert "".join(pieces) == whole
    assert len(pieces) > 5


def test_errors_have_their_types(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model="m", messages=STORY, temperature=-1)
    with pytest.raises(openai.BadRequestError) as too_long:
        client.completions.create(model="m", prompt="word " * 3000)
    assert too_long.value.code == "context_length_exceeded"
    assert client.models.list().data[0].id.startswith("demo-")


def test_litellm(url: str) -> None:
    args = {
        "model": "openai/m",
        "api_base": f"{url}/v1",
        "api_key": "none",
        "messages": STORY,
        "max_tokens": 20,
        "temperature": 0,
    }
    whole = litellm.completion(**args).choices[0].message
    text = "".join(
        c.choices[0].delta.content or "" for c in litellm.completion(**args, stream=True)
    )
    assert text == (whole.content or "")


def test_litellm_tools(url: str) -> None:
    args = {
        "model": "openai/m",
        "api_base": f"{url}/v1",
        "api_key": "none",
        "messages": STORY,
        "tools": TOOLS,
        "tool_choice": "required",
        "max_tokens": 200,
        "temperature": 0,
    }
    several = litellm.completion(**args).choices[0].message.tool_calls
    parts = list(litellm.completion(**args, stream=True))
    built = litellm.stream_chunk_builder(parts).choices[0].message.tool_calls
    assert [c.function.arguments for c in built] == [c.function.arguments for c in several]
    (one,) = litellm.completion(**args, parallel_tool_calls=False).choices[0].message.tool_calls
    assert one.function.arguments == several[0].function.arguments
    if "llama" in model_of(url):  # it goes on
        assert len(several) > 1


def model_of(url: str) -> str:
    return openai.OpenAI(base_url=f"{url}/v1", api_key="none").models.list().data[0].id


def test_langchain(url: str) -> None:
    chat = ChatOpenAI(base_url=f"{url}/v1", api_key="none", model="m", max_tokens=20, temperature=0)
    whole = chat.invoke("Tell me a story").content
    assert "".join(str(piece.content) for piece in chat.stream("Tell me a story")) == whole
    called = chat.bind_tools(TOOLS, tool_choice="required").invoke(
        "Tell me a story", max_tokens=200
    )
    assert called.tool_calls[0]["name"] == "count"
    one = chat.bind_tools(TOOLS, tool_choice="required", parallel_tool_calls=False)
    assert len(one.invoke("Tell me a story", max_tokens=200).tool_calls) == 1
