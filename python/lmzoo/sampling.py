"""Parameters of a request, under the names of vLLM's SamplingParams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class StructuredOutputsParams:
    """The shape of a text, under vLLM's names: one of these."""

    json: str | Mapping[str, Any] | None = None
    regex: str | None = None
    choice: Sequence[str] | None = None
    grammar: str | None = None
    json_object: bool | None = None

    def body(self) -> dict[str, Any]:
        """The object of a request body."""
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) is not None}


@dataclass
class SamplingParams:
    """How tokens are chosen and where a text ends.

    `temperature` 0 is greedy. `logprobs` is the number of most likely tokens whose
    log-probabilities are returned beside each token's own; `prompt_logprobs` the same for the
    prompt. `max_tokens` None is as many as the context has room for. `schema`, a JSON schema,
    limits the text to it; `json_object` to any JSON object; `structured_outputs` also to choices,
    an expression or a grammar. `model_defaults`: what is left at its default here comes from the
    model's generation_config.json, as it does where a call gets no SamplingParams. `extra` holds
    further keys of a request body, as `lmzoo batch` takes them. The same seed gives the same
    tokens, whatever runs beside it.
    """

    n: int = 1
    temperature: float = 1.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    max_tokens: int | None = 16
    min_tokens: int = 0
    stop: str | Sequence[str] | None = None
    stop_token_ids: Sequence[int] | None = None
    ignore_eos: bool = False
    include_stop_str_in_output: bool = False
    skip_special_tokens: bool = True
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    repetition_penalty: float = 1.0
    logit_bias: Mapping[int, float] | None = None
    allowed_token_ids: Sequence[int] | None = None
    logprobs: int | None = None
    prompt_logprobs: int | None = None
    seed: int | None = None
    bad_words: Sequence[str] | None = None
    structured_outputs: StructuredOutputsParams | None = None
    schema: Mapping[str, Any] | None = None
    json_object: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)
    model_defaults: bool = False

    def body(self, *, chat: bool) -> dict[str, Any]:
        """The keys of a request body."""
        out: dict[str, Any] = {"return_token_ids": True}
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name in _PLAIN and (value != f.default or f.name in _OF_THE_MODEL):
                out[f.name] = list(value) if isinstance(value, tuple) else value
        for name in _OF_THE_MODEL if self.model_defaults else ():
            if out[name] == _DEFAULTS[name]:
                del out[name]
        if self.max_tokens is not None:
            out["max_tokens"] = self.max_tokens
        if self.logit_bias:
            out["logit_bias"] = {str(k): v for k, v in self.logit_bias.items()}
        if self.logprobs is not None:
            out.update(
                {"logprobs": True, "top_logprobs": self.logprobs}
                if chat
                else {"logprobs": self.logprobs}
            )
        if self.structured_outputs is not None:
            out["structured_outputs"] = self.structured_outputs.body()
        if self.schema is not None:
            out["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(self.schema)},
            }
        elif self.json_object:
            out["response_format"] = {"type": "json_object"}
        out.update(self.extra)
        return out


_OF_THE_MODEL = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
_DEFAULTS = {f.name: f.default for f in fields(SamplingParams)}
_PLAIN = set(_DEFAULTS) - {
    "extra",
    "json_object",
    "logit_bias",
    "logprobs",
    "max_tokens",
    "model_defaults",
    "schema",
    "structured_outputs",
}
