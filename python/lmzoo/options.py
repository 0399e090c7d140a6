"""How a model is opened: the options of LLM and plan as the C library takes them."""

from __future__ import annotations

import ctypes
import operator
import os
import warnings
from collections.abc import Mapping
from typing import Any

from . import _library as c

WHOLE = ("threads", "context", "sequences", "rows")
NAMES = (*WHOLE, "weights", "cache", "memory", "isa", "packed_cache", "plugin_dir", "card_dir")

_SAME = {
    "max_model_len": "context",
    "max_num_seqs": "sequences",
    "max_num_batched_tokens": "rows",
}
_DTYPES = {"auto": "auto", "float32": "f32", "float": "f32", "bfloat16": "bf16"}
_WITHOUT_EFFECT = (
    "disable_log_stats",
    "enable_prefix_caching",
    "enforce_eager",
    "gpu_memory_utilization",
    "max_seq_len_to_capture",
    "pipeline_parallel_size",
    "seed",
    "swap_space",
    "tensor_parallel_size",
    "trust_remote_code",
)


def from_vllm(options: dict[str, Any], given: Mapping[str, Any]) -> None:
    """Adds options under vLLM's names to those of LLM.

    Names that mean the same set the option; those about GPUs, compilers and code from the folder,
    which change no text here, warn. Any other raises TypeError.
    """
    for name, value in given.items():
        if name in _SAME:
            options[_SAME[name]] = 0 if value is None else value
        elif name == "dtype" and str(value).removeprefix("torch.") in _DTYPES:
            options["weights"] = _DTYPES[str(value).removeprefix("torch.")]
        elif name == "dtype":
            raise c.UsageError(f"dtype: {value!r} is none of {', '.join(_DTYPES)}")
        elif name in _WITHOUT_EFFECT:
            warnings.warn(f"LLM: {name} has no effect here", stacklevel=3)
        else:
            raise TypeError(f"LLM() has no option {name!r}")


def to_library(**given: Any) -> c.Options:
    """The struct of the C library."""
    options = c.Options(size=ctypes.sizeof(c.Options))
    for name, value in given.items():
        if name != "allow_unknown" and name not in NAMES:
            raise TypeError(f"there is no option {name!r}")
        if value is None:
            continue
        if name in WHOLE:
            setattr(options, name, _whole(name, value))
        elif name == "memory":
            options.memory = _whole(name, byte_count(value))
        elif name == "allow_unknown":
            options.allow_unknown = (ctypes.c_char_p * (len(value) + 1))(
                *[v.encode() for v in value], None
            )
        else:
            setattr(options, name, os.fspath(value).encode())
    return options


def _whole(name: str, value: Any) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise c.UsageError(f"{name} needs a whole number, not {value!r}") from None
    if not 0 <= number < 1 << (64 if name == "memory" else 32):
        raise c.UsageError(f"{name} cannot be {number}")
    return number


def byte_count(size: int | str | None) -> int | None:
    """A number of bytes, or a text as "8G" (powers of 1024)."""
    if not isinstance(size, str):
        return size
    unit = {"K": 10, "M": 20, "G": 30, "T": 40}.get(size[-1:].upper())
    try:
        return int(size) if unit is None else int(float(size[:-1]) * (1 << unit))
    except ValueError:
        raise c.UsageError(f'memory needs bytes or a text as "8G", not {size!r}') from None
