"""A model in this process: generation, scores, logits and activations.

Calls into the library release the GIL, so several threads may use one LLM; their requests run
together in one batch. A wait wakes up a few times a second, so that Ctrl-C takes effect.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from ctypes import byref, c_int32, c_size_t, c_void_p
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import _library as c
from .options import byte_count, from_vllm, to_library
from .outputs import RequestOutput, from_answer
from .prompts import Tokenizer, each_params, prompt_list, token_ids
from .sampling import SamplingParams

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy as np
    from numpy.typing import NDArray
    from typing_extensions import Self

    Prompt: TypeAlias = str | Sequence[int] | Mapping[str, Any]
    Message: TypeAlias = Mapping[str, Any]

_WAIT_MS = 200
_GROUP = 16  # answers that are waited for together
_AHEAD = 512  # requests in the library at once; more wait here, as plain objects


@dataclass
class Piece:
    """A piece of text of a stream; the last one holds the whole result and no text."""

    text: str
    index: int = 0
    result: RequestOutput | None = None


def plan(model: str | os.PathLike[str], **options: Any) -> dict[str, Any]:
    """What a folder is and the memory it needs, without reading weights.

    Takes the options of LLM and gives the object of `lmzoo inspect --json`.
    """
    error, text = c.Error(), c_void_p()
    given = to_library(**options)
    name = os.fspath(model).encode()
    c.check(c.library().lmzoo_plan(name, byref(given), byref(text), byref(error)), error)
    out: dict[str, Any] = json.loads(c.take_text(text))
    return out


class _Request:
    """A request that the library runs."""

    def __init__(self, llm: LLM, endpoint: int, body: Mapping[str, Any], *, stream: bool) -> None:
        self._handle = c_void_p()
        self._llm = llm
        error = c.Error()
        try:
            text = json.dumps(body, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise c.UsageError("a text of the request holds half of a surrogate pair") from None
        flags = c.STREAM if stream else 0
        status = c.library().lmzoo_submit(
            llm._model,
            endpoint,
            text,
            len(text),
            flags,
            byref(self._handle),
            byref(error),
        )
        c.check(status, error)
        llm._open.add(self)

    def events(self, *, once: bool = False) -> Iterator[tuple[int, int, str]]:
        """(kind, choice, text) until the answer; once: at most one wait."""
        event, error = c.Event(), c.Error()
        while self._handle:
            status = c.library().lmzoo_wait(self._handle, _WAIT_MS, byref(event), byref(error))
            c.check(status, error)
            if event.kind != c.TIMEOUT:
                yield (
                    event.kind,
                    event.choice,
                    ctypes.string_at(event.text, event.n).decode(),
                )
            if event.kind == c.DONE or once:
                return
        raise c.CancelledError("the model was closed")

    def wait(self) -> None:
        """Returns when the answer is there, or the model was closed."""
        event, error = c.Event(), c.Error()
        while self._handle and event.kind != c.DONE:
            status = c.library().lmzoo_wait(self._handle, _WAIT_MS, byref(event), byref(error))
            c.check(status, error)

    def answer(self) -> dict[str, Any]:
        """Waits for the end."""
        for kind, _, text in self.events():
            if kind == c.DONE:
                out: dict[str, Any] = json.loads(text)
                return out
        raise c.CancelledError("the request ended without an answer")

    def cancel(self) -> None:
        """Ends it soon, without waiting."""
        if self._handle:
            c.library().lmzoo_cancel(self._handle)

    def close(self) -> None:
        """Cancels what still runs and frees it."""
        handle, self._handle = self._handle, c_void_p()
        self._llm._open.discard(self)
        if handle:
            c.library().lmzoo_request_free(handle)


class LLM:
    """An open model.

    weights, cache: "auto", "f32", "bf16", "int8" or "int4"; cache also for single streams, as
    "k=int8,v=int4", and kinds of plugins. memory: bytes for weights and caches,
    as a number or "8G". context: tokens of a sequence at most; sequences: how many run at once;
    rows: tokens of a step. packed_cache: a folder where packed weights are kept for later starts.
    allow_unknown: config keys to ignore. vLLM's max_model_len, max_num_seqs,
    max_num_batched_tokens and dtype are taken too; its options for GPUs warn that they have no
    effect. Raises with the sentence that `lmzoo run` would print.
    """

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        weights: str = "auto",
        cache: str = "auto",
        threads: int = 0,
        memory: int | str | None = None,
        context: int = 0,
        sequences: int = 0,
        rows: int = 0,
        isa: str | None = None,
        packed_cache: str | os.PathLike[str] | None = None,
        plugin_dir: str | os.PathLike[str] | None = None,
        card_dir: str | os.PathLike[str] | None = None,
        allow_unknown: Sequence[str] | None = None,
        **vllm: Any,
    ) -> None:
        self._model = c_void_p()
        self._open: set[_Request] = set()
        self.model = os.fspath(model)
        self.options: dict[str, Any] = {
            "weights": weights,
            "cache": cache,
            "threads": threads,
            "memory": byte_count(memory),
            "context": context,
            "sequences": sequences,
            "rows": rows,
            "isa": isa,
            "packed_cache": packed_cache,
            "plugin_dir": plugin_dir,
            "card_dir": card_dir,
            "allow_unknown": allow_unknown,
        }
        from_vllm(self.options, vllm)
        error = c.Error()
        status = c.library().lmzoo_open(
            self.model.encode(),
            byref(to_library(**self.options)),
            byref(self._model),
            byref(error),
        )
        c.check(status, error, opening=True)

    def close(self) -> None:
        """Cancels running requests and frees the model."""
        requests = list(self._open)
        for request in requests:
            request.cancel()
        for request in requests:
            request.close()
        model, self._model = self._model, c_void_p()
        if model:
            c.library().lmzoo_close(model)

    def __repr__(self) -> str:
        return f"LLM({self.model!r}{'' if self._model else ', closed'})"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_model", None):
            self.close()

    def _live(self) -> c_void_p:
        if not self._model:
            raise c.UsageError("the model is closed")
        return self._model

    # ---- what it is

    @property
    def info(self) -> dict[str, int]:
        """vocab_size, hidden_size, layers, context, sequences, threads, and special tokens."""
        info = c.Info(size=ctypes.sizeof(c.Info))
        c.library().lmzoo_model_info(self._live(), byref(info))
        return {field[0]: getattr(info, field[0]) for field in c.Info._fields_[1:]}

    def stats(self) -> dict[str, int]:
        """Steps, tokens read, shared and written since the model was opened."""
        stats = c.Stats(size=ctypes.sizeof(c.Stats))
        c.library().lmzoo_model_stats(self._live(), byref(stats))
        names = [field[0] for field in c.Stats._fields_[1:]]
        return {name: getattr(stats, name) for name in names if name != "reserved"}

    def plan(self) -> dict[str, Any]:
        """The object of `lmzoo inspect --json`: layers, streams, bytes."""
        text, error = c_void_p(), c.Error()
        status = c.library().lmzoo_inspect(self._live(), byref(text), byref(error))
        c.check(status, error)
        out: dict[str, Any] = json.loads(c.take_text(text))
        return out

    # ---- text

    def tokenize(self, text: str, *, add_special: bool = True) -> list[int]:
        """Token ids of a text."""
        data = text.encode("utf-8", "replace")
        ids, n, error = c_void_p(), c_size_t(), c.Error()
        status = c.library().lmzoo_tokenize(
            self._live(),
            data,
            len(data),
            add_special,
            byref(ids),
            byref(n),
            byref(error),
        )
        c.check(status, error)
        try:
            return list((c_int32 * n.value).from_address(ids.value)) if ids.value else []
        finally:
            c.library().lmzoo_free(ids)

    def detokenize(self, ids: Sequence[int], *, skip_special: bool = False) -> str:
        """The text of token ids."""
        text, n, error = c_void_p(), c_size_t(), c.Error()
        status = c.library().lmzoo_detokenize(
            self._live(),
            (c_int32 * len(ids))(*ids),
            len(ids),
            skip_special,
            byref(text),
            byref(n),
            byref(error),
        )
        c.check(status, error)
        return c.take_text(text, n.value)

    def render(self, messages: Sequence[Message], **variables: Any) -> str:
        """The chat template's text; variables: tools, add_generation_prompt, ..."""
        variables.setdefault("add_generation_prompt", True)
        data = json.dumps({"messages": list(messages), **variables}).encode()
        text, n, error = c_void_p(), c_size_t(), c.Error()
        status = c.library().lmzoo_render(self._live(), data, byref(text), byref(n), byref(error))
        c.check(status, error)
        return c.take_text(text, n.value)

    def get_tokenizer(self) -> Tokenizer:
        """The model's tokenizer with the few methods that scripts use."""
        return Tokenizer(self)

    # ---- generating

    def get_default_sampling_params(self) -> SamplingParams:
        """Parameters that the model's generation_config.json fills where they are not set."""
        return SamplingParams(model_defaults=True)

    def _body(
        self,
        prompt: Any,
        params: SamplingParams,
        *,
        chat: bool,
        extra: Mapping[str, Any] | None,
    ) -> tuple[dict[str, Any], str | None]:
        """A request's body, and its prompt where that is a text."""
        return next(self._bodies([prompt], [params], chat=chat, extra=extra))

    def _bodies(
        self,
        prompts: Sequence[Any],
        params: Sequence[SamplingParams],
        *,
        chat: bool,
        extra: Mapping[str, Any] | None,
    ) -> Iterator[tuple[dict[str, Any], str | None]]:
        """_body of each; equal parameters in a row are read once."""
        common: dict[str, Any] = {}
        read: SamplingParams | None = None
        for prompt, each in zip(prompts, params, strict=True):
            if each is not read:
                if not isinstance(each, SamplingParams):
                    raise c.UsageError(f"sampling_params needs SamplingParams, not {each!r:.80}")
                common, read = {**each.body(chat=chat), **(extra or {})}, each
            if chat:
                yield {**common, "messages": list(prompt)}, None
            else:
                yield self._completion(common, prompt)

    def _completion(self, common: dict[str, Any], prompt: Any) -> tuple[dict[str, Any], str | None]:
        if isinstance(prompt, Mapping):
            prompt = (
                prompt["prompt_token_ids"] if "prompt_token_ids" in prompt else prompt["prompt"]
            )
        body = {**common, "prompt": prompt if isinstance(prompt, str) else token_ids(prompt)}
        if "max_tokens" not in body:
            ids = self.tokenize(prompt) if isinstance(prompt, str) else body["prompt"]
            body["max_tokens"] = max(self.info["context"] - len(ids), 1)
        return body, prompt if isinstance(prompt, str) else None

    def _run(
        self,
        bodies: Iterator[tuple[dict[str, Any], str | None]],
        n: int,
        *,
        chat: bool,
        use_tqdm: bool,
    ) -> list[RequestOutput]:
        """Keeps the library supplied and takes answers in order."""
        self._live()
        waiting: list[tuple[_Request, str | None]] = []
        out: list[RequestOutput] = []
        bar = _bar(n, enabled=use_tqdm)
        endpoint = c.CHAT if chat else c.COMPLETION
        try:
            while True:
                while len(waiting) < _AHEAD and (item := next(bodies, None)) is not None:
                    waiting.append((_Request(self, endpoint, item[0], stream=False), item[1]))
                if not waiting:
                    return out
                group = waiting[: max(1, min(len(waiting) // 4, _GROUP))]
                # One sleep instead of one for each, which would take a core from the library's
                # threads as often.
                group[-1][0].wait()
                for request, prompt in group:
                    out.append(from_answer(request.answer(), prompt))
                    request.close()
                    bar.update(1)
                del waiting[: len(group)]
        finally:
            for request, _ in waiting:
                request.cancel()
            for request, _ in waiting:
                request.close()
            bar.close()

    def generate(
        self,
        prompts: Prompt | Sequence[Prompt],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        use_tqdm: bool = False,
    ) -> list[RequestOutput]:
        """Completes each prompt (a text, token ids, or {"prompt_token_ids": ...}), in order.

        Without sampling_params those of the model's generation_config.json apply.
        """
        many = prompt_list(prompts)
        params = each_params(sampling_params, len(many))
        bodies = self._bodies(many, params, chat=False, extra=None)
        return self._run(bodies, len(many), chat=False, use_tqdm=use_tqdm)

    def chat(
        self,
        messages: Sequence[Message] | Sequence[Sequence[Message]],
        sampling_params: SamplingParams | Sequence[SamplingParams] | None = None,
        *,
        tools: Sequence[Mapping[str, Any]] | None = None,
        tool_choice: str | Mapping[str, Any] | None = None,
        response_format: Mapping[str, Any] | None = None,
        add_generation_prompt: bool | None = None,
        continue_final_message: bool | None = None,
        chat_template_kwargs: Mapping[str, Any] | None = None,
        use_tqdm: bool = False,
    ) -> list[RequestOutput]:
        """Answers one conversation or a list of them, in order."""
        chats: Sequence[Any] = messages
        if len(messages) > 0 and isinstance(messages[0], Mapping):
            chats = [messages]
        extra = _given(
            tools=tools,
            tool_choice=tool_choice,
            response_format=response_format,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=continue_final_message,
            chat_template_kwargs=chat_template_kwargs,
        )
        params = each_params(sampling_params, len(chats))
        bodies = self._bodies(chats, params, chat=True, extra=extra)
        return self._run(bodies, len(chats), chat=True, use_tqdm=use_tqdm)

    def stream(
        self,
        prompt: Prompt | Sequence[Message],
        sampling_params: SamplingParams | None = None,
        *,
        chat: bool = False,
        **extra: Any,
    ) -> Iterator[Piece]:
        """Text as it is generated, then a last piece with the result. Leaving the loop cancels.

        What is generated while the loop is busy comes as one piece.
        """
        params = sampling_params or self.get_default_sampling_params()
        body, text = self._body(prompt, params, chat=chat, extra=extra)
        self._live()
        request = _Request(self, c.CHAT if chat else c.COMPLETION, body, stream=True)
        try:
            for kind, choice, piece in request.events():
                if kind == c.TEXT:
                    yield Piece(piece, choice)
                else:
                    yield Piece("", 0, from_answer(json.loads(piece), text))
        finally:
            request.close()

    async def agenerate(
        self, prompt: Prompt, sampling_params: SamplingParams | None = None
    ) -> RequestOutput:
        """generate for one prompt, awaited; run many with asyncio.gather."""
        async for piece in self.astream(prompt, sampling_params):
            if piece.result is not None:
                return piece.result
        raise c.CancelledError("the request ended without an answer")

    async def achat(
        self,
        messages: Sequence[Message],
        sampling_params: SamplingParams | None = None,
        **extra: Any,
    ) -> RequestOutput:
        """chat for one conversation, awaited."""
        async for piece in self.astream(messages, sampling_params, chat=True, **extra):
            if piece.result is not None:
                return piece.result
        raise c.CancelledError("the request ended without an answer")

    async def astream(
        self,
        prompt: Prompt | Sequence[Message],
        sampling_params: SamplingParams | None = None,
        *,
        chat: bool = False,
        **extra: Any,
    ) -> AsyncIterator[Piece]:
        """stream for asyncio. A thread waits for the request; the event loop never does."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[Piece | BaseException | None] = asyncio.Queue()
        pieces = self.stream(prompt, sampling_params, chat=chat, **extra)
        stopped = threading.Event()

        def put(item: Piece | BaseException | None) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(queue.put_nowait, item)

        def work() -> None:
            try:
                for piece in pieces:
                    put(piece)
                    if stopped.is_set():
                        break
                put(None)
            except BaseException as error:
                put(error)
            finally:
                pieces.close()  # type: ignore[attr-defined]

        threading.Thread(target=work, name="lmzoo-stream", daemon=True).start()
        try:
            while (item := await queue.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
        finally:
            stopped.set()

    def batch(
        self,
        input_path: str | os.PathLike[str],
        output_path: str | os.PathLike[str],
        *arguments: str,
        use_tqdm: bool = True,
    ) -> int:
        """Runs `lmzoo batch` over a file of request lines, which survives a crash of this process.

        The run has a process and a copy of the weights of its own; arguments are further options
        of the command. Returns the number of refused lines; raises if the run failed.
        """
        from .batch import run

        return run(self, input_path, output_path, arguments, use_tqdm=use_tqdm)

    # ---- numbers

    def score(
        self, texts: str | Sequence[str | Sequence[int]], *, add_special: bool = True
    ) -> list[NDArray[np.float64]]:
        """Log-probabilities: for each text [tokens - 1], natural, of each token but the first.

        A text is a str or token ids; one str alone is one text.
        """
        return [logprobs for logprobs, _ in self.score_tokens(texts, add_special=add_special)]

    def score_tokens(
        self, texts: str | Sequence[str | Sequence[int]], *, add_special: bool = True
    ) -> list[tuple[NDArray[np.float64], NDArray[np.bool_]]]:
        """score, with whether each token is the likeliest: a pair of [tokens - 1] for each text."""
        from .arrays import score_ids

        ids = [
            self.tokenize(t, add_special=add_special) if isinstance(t, str) else token_ids(t)
            for t in prompt_list(texts)
        ]
        return score_ids(self._live, ids)

    def _ids(self, text: str | Sequence[int]) -> NDArray[np.int32]:
        import numpy as np

        ids = self.tokenize(text) if isinstance(text, str) else token_ids(text)
        return np.array(ids, dtype=np.int32)

    def logits(self, text: str | Sequence[int]) -> NDArray[np.float32]:
        """Logits [tokens, vocab_size] of every position."""
        import numpy as np

        ids = self._ids(text)
        out = np.empty((len(ids), self.info["vocab_size"]), dtype=np.float32)
        error = c.Error()
        status = c.library().lmzoo_logits(
            self._live(), ids.ctypes.data, len(ids), out.ctypes.data, byref(error)
        )
        c.check(status, error)
        return out

    def trace(self, text: str | Sequence[int]) -> dict[str, NDArray[np.float32]]:
        """Every named activation [tokens, width], named as the reference's modules are.

        A module that runs again is name#2, name#3. For the reference's numbers open the model with
        weights="f32", cache="f32".
        """
        import numpy as np

        from .arrays import joined

        ids = self._ids(text)
        parts: dict[str, list[NDArray[np.float32]]] = {}

        def take(_: Any, name: bytes, values: Any, rows: int, width: int) -> None:
            view = np.ctypeslib.as_array(values, shape=(rows, width))
            parts.setdefault(name.decode(), []).append(view.copy())

        error = c.Error()
        callback = c.TRACE_FN(take)
        status = c.library().lmzoo_trace(
            self._live(), ids.ctypes.data, len(ids), callback, None, byref(error)
        )
        c.check(status, error)
        return joined(parts, len(ids))


def _given(**values: Any) -> dict[str, Any]:
    return {k: v for k, v in values.items() if v is not None}


class _NoBar:
    def update(self, n: int) -> None:
        """Shows nothing."""

    def close(self) -> None:
        """Ends nothing."""


def _bar(n: int, *, enabled: bool) -> Any:
    if not enabled:
        return _NoBar()
    from tqdm.auto import tqdm

    return tqdm(total=n, unit="prompt")
