"""/v1/messages under the anthropic package."""

from __future__ import annotations

from typing import Any

import anthropic
import pytest
from common import SCHEMA, STORY

TOOL = {"name": "count", "description": "counts", "input_schema": SCHEMA}


@pytest.fixture
def client(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="none", max_retries=0)


def plain(blocks: list[Any]) -> list[dict[str, Any]]:
    """What blocks say, whichever of the package's classes holds them."""
    keys = ("type", "text", "thinking", "name", "input")
    return [{k: getattr(b, k) for k in keys if hasattr(b, k)} for b in blocks]


@pytest.mark.parametrize("seed", range(4))
def test_a_stream_is_its_answer(client: anthropic.Anthropic, seed: int) -> None:
    args = {"model": "m", "max_tokens": 60, "messages": STORY}
    args["extra_body"] = {"seed": seed, "temperature": 0.9}
    whole = client.messages.create(**args)
    assert whole.stop_reason in ("max_tokens", "end_turn")
    with client.messages.stream(**args) as stream:
        kinds = [event.type for event in stream]
        last = stream.get_final_message()
    assert plain(last.content) == plain(whole.content)
    assert last.stop_reason == whole.stop_reason
    assert last.usage.output_tokens == whole.usage.output_tokens
    assert kinds[0] == "message_start"
    assert kinds[-1] == "message_stop"


def test_tools(client: anthropic.Anthropic) -> None:
    args = {"model": "m", "max_tokens": 200, "messages": STORY, "tools": [TOOL]}
    args |= {"tool_choice": {"type": "any"}, "extra_body": {"temperature": 0}}
    whole = client.messages.create(**args)
    assert whole.stop_reason == "tool_use"
    call = whole.content[-1]
    assert call.type == "tool_use"
    assert call.name == "count"
    assert 0 <= call.input["n"] <= 9
    with client.messages.stream(**args) as stream:
        last = stream.get_final_message()
    assert plain(last.content) == plain(whole.content)
    history = [
        *STORY,
        {"role": "assistant", "content": [b.model_dump() for b in whole.content]},
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": call.id, "content": "3"},
                {"type": "text", "text": "Go on"},
            ],
        },
    ]
    args |= {"messages": history, "tool_choice": {"type": "auto"}, "max_tokens": 8}
    if "gemma" in client.models.list().data[0].id:  # its template takes two roles in turn
        with pytest.raises(anthropic.BadRequestError, match="alternate"):
            client.messages.create(**args)
        return
    assert client.messages.create(**args).usage.output_tokens <= 8


def test_one_tool_at_most(client: anthropic.Anthropic) -> None:
    args = {"model": "m", "max_tokens": 200, "messages": STORY, "tools": [TOOL]}
    args |= {"extra_body": {"temperature": 0}}
    args["tool_choice"] = {"type": "any", "disable_parallel_tool_use": True}
    one = client.messages.create(**args).content
    assert [b.type for b in one if b.type == "tool_use"] == ["tool_use"]
    args["tool_choice"] = {"type": "any"}
    several = [b for b in client.messages.create(**args).content if b.type == "tool_use"]
    assert several
    if "llama" in client.models.list().data[0].id:  # it goes on
        assert len(several) > 1
    assert len({b.id for b in several}) == len(several)


def test_system_stops_and_count(client: anthropic.Anthropic) -> None:
    system = [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}]
    off = {"type": "disabled"}
    n = client.messages.count_tokens(
        model="m", messages=STORY, system=system, thinking=off
    ).input_tokens
    args = {"model": "m", "max_tokens": 60, "messages": STORY, "system": system}
    args["extra_body"] = {"temperature": 0}
    whole = client.messages.create(**args, thinking=off)
    usage = whole.usage
    assert usage.input_tokens + usage.cache_read_input_tokens == n
    text = next(b.text for b in whole.content if b.type == "text")
    word = text.split()[2]
    cut = client.messages.create(**args, stop_sequences=[word], thinking=off)
    assert cut.stop_reason == "stop_sequence"
    assert cut.stop_sequence == word
    again = client.messages.create(**args, thinking=off)
    assert again.content == whole.content
    assert again.usage.cache_read_input_tokens > 0


def test_schema(client: anthropic.Anthropic) -> None:
    answer = client.messages.create(
        model="m",
        max_tokens=60,
        messages=STORY,
        extra_body={"output_config": {"format": {"type": "json_schema", "schema": SCHEMA}}},
    )
    assert '"n"' in next(b.text for b in answer.content if b.type == "text")


def test_errors_have_their_types(client: anthropic.Anthropic) -> None:
    with pytest.raises(anthropic.BadRequestError, match="image"):
        block = {"type": "image", "source": {"type": "url", "url": "http://127.0.0.1/x.png"}}
        message = {"role": "user", "content": [block]}
        client.messages.create(model="m", max_tokens=5, messages=[message])
    with pytest.raises(anthropic.BadRequestError, match="room for"):
        long = [{"role": "user", "content": "word " * 3000}]
        client.messages.create(model="m", max_tokens=5, messages=long)
    with pytest.raises(anthropic.BadRequestError, match="unknown key"):
        client.messages.create(model="m", max_tokens=5, messages=STORY, extra_body={"x": 1})
    with pytest.raises(anthropic.BadRequestError, match="on the server"):
        tools = [{"type": "web_search_20250305", "name": "web_search"}]
        client.messages.create(model="m", max_tokens=5, messages=STORY, tools=tools)
