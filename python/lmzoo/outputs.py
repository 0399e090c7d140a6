"""Answers as objects, under the names of vLLM's offline results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass
class CompletionOutput:
    """One choice. `logprobs` has the shape of the request's endpoint; None if not requested."""

    index: int
    text: str
    token_ids: list[int]
    finish_reason: str
    stop_reason: int | str | None = None
    logprobs: Any = None
    reasoning: str | None = None
    tool_calls: list[dict[str, Any]] = field(default_factory=list)

    @property
    def cumulative_logprob(self) -> float | None:
        """The sum of the tokens' natural log-probabilities; None if they were not requested."""
        if not self.logprobs:
            return None
        if "token_logprobs" in self.logprobs:
            values = self.logprobs["token_logprobs"][-len(self.token_ids) :]
        else:
            values = [item["logprob"] for item in self.logprobs["content"]]
        return float(sum(v for v in values if v is not None))


@dataclass
class Logprob:
    """A token's natural log-probability, and its place among all, from 1."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


@dataclass
class RequestOutput:
    """A prompt with its choices. `answer` is the whole answer as `lmzoo batch` writes it.

    `prompt` is None where the prompt was no text. `prompt_logprobs`: for each token of the prompt
    those requested, by token id; None for the first.
    """

    prompt: str | None
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    answer: dict[str, Any] = field(repr=False)
    prompt_logprobs: list[dict[int, Logprob] | None] | None = None
    finished: bool = True

    @property
    def request_id(self) -> str:
        """The answer's id."""
        return str(self.answer["id"])

    @property
    def usage(self) -> Mapping[str, int]:
        """Tokens read and written."""
        usage: Mapping[str, int] = self.answer["usage"]
        return usage


def from_answer(answer: dict[str, Any], prompt: str | None) -> RequestOutput:
    """Reads the body of an answer to one prompt."""
    outputs = []
    for choice in answer["choices"]:
        message = choice.get("message")
        outputs.append(
            CompletionOutput(
                index=choice["index"],
                text=choice["text"] if message is None else message.get("content") or "",
                token_ids=choice.get("token_ids", []),
                finish_reason=choice["finish_reason"],
                stop_reason=choice.get("stop_reason"),
                logprobs=choice.get("logprobs"),
                reasoning=None if message is None else message.get("reasoning_content"),
                tool_calls=[] if message is None else message.get("tool_calls") or [],
            )
        )
    first = answer["choices"][0]
    return RequestOutput(
        prompt=prompt,
        prompt_token_ids=first.get("prompt_token_ids", []),
        outputs=outputs,
        answer=answer,
        prompt_logprobs=_prompt_logprobs(first.get("prompt_logprobs")),
    )


def _prompt_logprobs(given: Any) -> list[dict[int, Logprob] | None] | None:
    if given is None:
        return None
    return [at and {int(token): Logprob(**told) for token, told in at.items()} for at in given]
