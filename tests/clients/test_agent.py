"""An agent's loop of twelve turns under smolagents: tool calls are forced, and every turn after the
first reads no more than what is new."""

from __future__ import annotations

import re
import time
import urllib.request
from typing import Any

import pytest

smolagents: Any = pytest.importorskip("smolagents")

TURNS = 12
SHORT = {
    "system_prompt": "Lily counts her toys. She writes one number in each turn.",
    "planning": dict.fromkeys(
        ["initial_plan", "update_plan_pre_messages", "update_plan_post_messages"], ""
    ),
    "managed_agent": {"task": "", "report": ""},
    "final_answer": {"pre_messages": "", "post_messages": ""},
}


class Count(smolagents.Tool):  # type: ignore[misc]
    """A tool that is called with one number."""

    name = "count"
    description = "counts"
    inputs = {"n": {"type": "integer", "description": "a number"}}  # noqa: RUF012
    output_type = "string"

    def forward(self, n: int) -> str:
        return f"toy {n % 7}"


def metrics(url: str) -> dict[str, float]:
    with urllib.request.urlopen(f"{url}/metrics") as answer:
        text = answer.read().decode()
    return {m[0]: float(m[1]) for m in re.findall(r"^(\w+) ([0-9.]+)$", text, re.MULTILINE)}


class Watched(smolagents.OpenAIServerModel):  # type: ignore[misc]
    """Notes prompt, cached and read tokens of each turn, and its seconds."""

    def generate(self, *args: object, **kwargs: object) -> object:
        url = self.address
        kwargs["tool_choice"] = {"type": "function", "function": {"name": "count"}}
        before, began = metrics(url), time.monotonic()
        message = super().generate(*args, **kwargs)
        seconds, after = time.monotonic() - began, metrics(url)
        usage = message.raw.usage
        read = after["lmzoo_tokens_read_total"] - before["lmzoo_tokens_read_total"]
        self.turns.append((usage.prompt_tokens, int(read), seconds, usage.completion_tokens))
        return message


def test_twelve_turns(url: str) -> None:
    model = Watched(
        model_id="m", api_base=f"{url}/v1", api_key="none", temperature=0, max_tokens=60
    )
    model.turns = []
    model.address = url
    agent = smolagents.ToolCallingAgent(
        tools=[Count()], model=model, prompt_templates=SHORT, max_steps=TURNS, verbosity_level=0
    )
    agent.provide_final_answer = lambda *_args, **_kwargs: smolagents.ChatMessage(
        role="assistant", content="done"
    )
    agent.run("Count the toys")
    assert len(model.turns) == TURNS
    for (before, _, _, _), (now, read, _, _) in zip(model.turns, model.turns[1:], strict=False):
        assert now > before
        assert read <= now - before + 1  # the last token of a prompt is read for its logits
    second, last = model.turns[1], model.turns[-1]
    print(f"{url}: turn 2 {second}, turn 12 {last} (prompt, read, seconds, new)")
