"""Prompts and parameters of a call in their several forms, and the tokenizer."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from . import _library as c
from .sampling import SamplingParams

if TYPE_CHECKING:
    from .llm import LLM


def _is_token(value: Any) -> bool:
    return hasattr(value, "__index__")


def token_ids(prompt: Any) -> list[int]:
    """Token ids of a list or array of whole numbers."""
    try:
        if not isinstance(prompt, (bytes, bytearray)):
            return [operator.index(t) for t in prompt]
    except TypeError:
        pass
    raise c.UsageError(f"a prompt is a text or a list of token ids, not {prompt!r:.80}")


def prompt_list(prompts: Any) -> list[Any]:
    """One prompt or many as a list."""
    if isinstance(prompts, (str, bytes, bytearray, Mapping)) or not isinstance(prompts, Iterable):
        return [prompts]
    many = list(prompts)
    return [many] if many and _is_token(many[0]) else many


def each_params(
    params: SamplingParams | Sequence[SamplingParams] | None, n: int
) -> Sequence[SamplingParams]:
    if params is None or isinstance(params, SamplingParams):
        return [params or SamplingParams(model_defaults=True)] * n
    if not isinstance(params, Sequence):
        raise c.UsageError(f"sampling_params needs SamplingParams, not {params!r:.80}")
    if len(params) != n:
        raise c.UsageError(f"{n} prompts, but {len(params)} sampling_params")
    return params


class Tokenizer:
    """A model's tokenizer and chat template, under the names of transformers' tokenizers."""

    def __init__(self, llm: LLM) -> None:
        self._llm = llm
        self.vocab_size = llm.info["vocab_size"]

    def _special(self, name: str) -> int | None:
        token = self._llm.info[name]
        return token if token >= 0 else None

    @property
    def bos_token_id(self) -> int | None:
        """The begin token; None: there is none."""
        return self._special("bos_token")

    @property
    def eos_token_id(self) -> int | None:
        """The end token; None: there is none."""
        return self._special("eos_token")

    @property
    def pad_token_id(self) -> int | None:
        """The padding token; None: there is none."""
        return self._special("pad_token")

    def encode(self, text: str, *, add_special_tokens: bool = True) -> list[int]:
        """Token ids of a text."""
        return self._llm.tokenize(text, add_special=add_special_tokens)

    def decode(self, token_ids: Sequence[int], *, skip_special_tokens: bool = False) -> str:
        """The text of token ids."""
        return self._llm.detokenize(token_ids, skip_special=skip_special_tokens)

    def apply_chat_template(
        self,
        conversation: Sequence[Mapping[str, Any]],
        *,
        tokenize: bool = True,
        add_generation_prompt: bool = False,
        **variables: Any,
    ) -> str | list[int]:
        """The chat as the model's template writes it: token ids, or with tokenize=False text."""
        variables = {k: v for k, v in variables.items() if v is not None}
        text = self._llm.render(
            conversation, add_generation_prompt=add_generation_prompt, **variables
        )
        return self.encode(text, add_special_tokens=False) if tokenize else text
