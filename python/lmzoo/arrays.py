"""Scores and activations as NumPy arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from ctypes import POINTER, byref, c_double, c_uint8, c_void_p

import numpy as np
from numpy.typing import NDArray

from . import _library as c

Scored = tuple[NDArray[np.float64], NDArray[np.bool_]]
_PART = 2048  # tokens of one call; Ctrl-C takes effect between calls


def score_ids(model: Callable[[], c_void_p], texts: Sequence[Sequence[int]]) -> list[Scored]:
    """Log-probabilities, and whether each was the largest: a pair of [tokens - 1] for each text.

    model: the handle, or raises if it is closed.
    """
    for i, text in enumerate(texts):
        if len(text) == 0:
            raise c.UsageError(f"text {i} has no tokens")
    out: list[Scored] = []
    for part in _parts(texts):
        out += _score(model(), part)
    return out


def _parts(texts: Sequence[Sequence[int]]) -> Iterator[list[Sequence[int]]]:
    part: list[Sequence[int]] = []
    n = 0
    for text in texts:
        part.append(text)
        n += len(text)
        if n >= _PART:
            yield part
            part, n = [], 0
    if part:
        yield part


def _score(model: c_void_p, texts: Sequence[Sequence[int]]) -> list[Scored]:
    lengths = np.array([len(t) for t in texts], dtype=np.uint32)
    tokens = np.array([t for text in texts for t in text], dtype=np.int32)
    n = len(tokens) - len(texts)
    nll = np.empty(n, dtype=np.float64)
    greedy = np.empty(n, dtype=np.uint8)
    error = c.Error()
    status = c.library().lmzoo_score(
        model,
        tokens.ctypes.data,
        lengths.ctypes.data,
        len(texts),
        nll.ctypes.data_as(POINTER(c_double)),
        greedy.ctypes.data_as(POINTER(c_uint8)),
        byref(error),
    )
    c.check(status, error)
    ends = np.cumsum(lengths.astype(np.int64) - 1)[:-1]
    return list(zip(np.split(-nll, ends), np.split(greedy != 0, ends), strict=True))


def joined(parts: dict[str, list[NDArray[np.float32]]], n: int) -> dict[str, NDArray[np.float32]]:
    """One array per run of a module: steps of one run are joined until they hold n rows."""
    out: dict[str, NDArray[np.float32]] = {}
    for name, pieces in parts.items():
        run: list[NDArray[np.float32]] = []
        runs = 0
        for piece in pieces:
            run.append(piece)
            if sum(len(p) for p in run) >= n:
                runs += 1
                joined = run[0] if len(run) == 1 else np.concatenate(run)
                out[name if runs == 1 else f"{name}#{runs}"] = joined
                run = []
        if run:
            out[name if runs == 0 else f"{name}#{runs + 1}"] = np.concatenate(run)
    return out
