"""The model `lmzoo` of lm-evaluation-harness.

    python -m lmzoo.lm_eval --model lmzoo --model_args pretrained=FOLDER,weights=f32 --tasks ...

Arguments are those of `lm_eval`; model_args are the options of lmzoo.LLM. Likelihoods come from
the same code as `lmzoo score`, answers from the batch scheduler. Texts become tokens as with the
harness's own model for transformers (hf), so that figures can be compared: special tokens as the
tokenizer adds them, unless add_bos_token says otherwise or the text has the begin token already.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model

from .llm import LLM
from .sampling import SamplingParams


@register_model("lmzoo")
class LmzooLM(TemplateLM):  # type: ignore[misc]
    """lmzoo behind the interface of the harness."""

    def __init__(
        self,
        pretrained: str,
        *,
        batch_size: int | str | None = None,
        device: str | None = None,
        max_gen_toks: int = 256,
        add_bos_token: bool | None = None,
        enable_thinking: bool | None = None,
        **options: Any,
    ) -> None:
        super().__init__()
        del batch_size, device  # the scheduler chooses; there is one kind of device
        self.llm = LLM(os.fspath(pretrained), **options)
        self.pretrained = os.fspath(pretrained)
        self._max_gen_toks = max_gen_toks
        self._thinking = enable_thinking
        self._add_bos = add_bos_token
        self._info = self.llm.info
        self._begin = self.llm.detokenize([self.prefix_token_id])

    @property
    def eot_token_id(self) -> int:
        return self._info["eos_token"]

    @property
    def prefix_token_id(self) -> int:
        """The token put before a text without context: the begin token, else the end token."""
        begin = self._info["bos_token"]
        return begin if begin >= 0 else self.eot_token_id

    @property
    def max_length(self) -> int:
        return self._info["context"]

    @property
    def max_gen_toks(self) -> int:
        return self._max_gen_toks

    @property
    def tokenizer_name(self) -> str:
        return self.pretrained.replace("/", "__")

    def tok_encode(
        self, string: str, add_special_tokens: bool | None = None, **_: Any
    ) -> list[int]:
        special = add_special_tokens
        if special is None:
            special = self._add_bos is not False and not string.startswith(self._begin)
        return self.llm.tokenize(string, add_special=special)

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        variables: dict[str, Any] = {"add_generation_prompt": add_generation_prompt}
        if not add_generation_prompt:
            variables["continue_final_message"] = True
        if self._thinking is not None:
            variables["enable_thinking"] = self._thinking
        return self.llm.render(chat_history, **variables)

    def chat_template(self, chat_template: bool | str = False) -> str:
        """The folder's own template is used, whatever the argument."""
        return "" if chat_template is False else self.pretrained

    def _loglikelihood_tokens(
        self,
        requests: Sequence[tuple[tuple[str, str], list[int], list[int]]],
        disable_tqdm: bool = False,
        **_ignored: Any,
    ) -> list[tuple[float, bool]]:
        del disable_tqdm
        texts, kept = [], []
        for _, context, continuation in requests:
            whole = (context + continuation)[-self.max_length :]
            texts.append(whole)
            kept.append(len(continuation))
        out: list[tuple[float, bool]] = []
        scored = self.llm.score_tokens(texts)
        for (pair, _, _), (logprobs, greedy), n in zip(requests, scored, kept, strict=True):
            answer = float(logprobs[-n:].sum()), bool(greedy[-n:].all())
            out.append(answer)
            self.cache_hook.add_partial("loglikelihood", pair, answer)
        return out

    def loglikelihood_rolling(
        self, requests: list[Instance], disable_tqdm: bool = False
    ) -> list[float]:
        del disable_tqdm
        texts = []
        for request in requests:
            (text,) = request.args
            texts.append([self.prefix_token_id, *self.tok_encode(text)])
        return [float(logprobs.sum()) for logprobs in self.llm.score(texts)]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        del disable_tqdm
        prompts, params = [], []
        for request in requests:
            text, given = request.args
            args = dict(given)
            most = int(args.pop("max_gen_toks", args.pop("max_tokens", self._max_gen_toks)))
            until = args.pop("until", None)
            sample = args.pop("do_sample", float(args.get("temperature", 0.0)) > 0)
            temperature = float(args.pop("temperature", 1.0)) if sample else 0.0
            room = self.max_length - most
            prompts.append(self.tok_encode(text)[-room:])
            stop = [until] if isinstance(until, str) else [s for s in until or [] if s]
            known = {k: args[k] for k in ("top_p", "top_k", "seed") if k in args}
            params.append(  # what the task leaves open is the model's, as with hf
                SamplingParams(
                    max_tokens=most,
                    stop=stop,
                    extra={"temperature": temperature},
                    model_defaults=True,
                    **known,
                )
            )
        results = self.llm.generate(prompts, params)
        out = [r.outputs[0].text for r in results]
        for request, text in zip(requests, out, strict=True):
            self.cache_hook.add_partial("generate_until", request.args, text)
        return out


def main() -> None:
    """The harness's own command line, with this model registered."""
    from lm_eval.__main__ import cli_evaluate

    cli_evaluate()


if __name__ == "__main__":
    main()
