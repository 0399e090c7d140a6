"""Parameters of a request, under the names of vLLM's SamplingParams."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass
class SamplingParams:
    """How tokens are chosen and where a text ends.

    `temperature` 0 is greedy. `logprobs` is the number of most likely tokens whose
    log-probabilities are returned beside each token's own; `prompt_logprobs` the same for the
    prompt. `schema`, a JSON schema, limits the text to it; `json_object` to any JSON object.
    `extra` holds further keys of a request body, as `lmzoo batch` takes them. The same seed gives
    the same tokens, whatever runs beside it.
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
    schema: Mapping[str, Any] | None = None
    json_object: bool = False
    extra: Mapping[str, Any] = field(default_factory=dict)

    def body(self, *, chat: bool) -> dict[str, Any]:
        """The keys of a request body; those at their default are left out."""
        out: dict[str, Any] = {
            "temperature": self.temperature,
            "return_token_ids": True,
        }
        own = {
            "temperature",
            "extra",
            "schema",
            "json_object",
            "logprobs",
            "logit_bias",
        }
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name not in own and value != f.default:
                out[f.name] = list(value) if isinstance(value, tuple) else value
        if self.max_tokens is not None:
            out["max_tokens"] = self.max_tokens
        else:
            out.pop("max_tokens", None)
        if self.top_k <= 0:
            out.pop("top_k", None)
        if self.logit_bias:
            out["logit_bias"] = {str(k): v for k, v in self.logit_bias.items()}
        if self.logprobs is not None:
            out.update(
                {"logprobs": True, "top_logprobs": self.logprobs}
                if chat
                else {"logprobs": self.logprobs}
            )
        if self.schema is not None:
            out["response_format"] = {
                "type": "json_schema",
                "json_schema": {"name": "answer", "schema": dict(self.schema)},
            }
        elif self.json_object:
            out["response_format"] = {"type": "json_object"}
        out.update(self.extra)
        return out
