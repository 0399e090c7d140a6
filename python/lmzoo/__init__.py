"""lmzoo: batch generation on CPUs over Hugging Face folders as they are.

from lmzoo import LLM, SamplingParams
llm = LLM("path/to/folder", weights="int8")
for out in llm.generate(["Once upon a time"], SamplingParams(temperature=0, max_tokens=40)):
    print(out.outputs[0].text)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._library import (
    CancelledError,
    FileError,
    FormatError,
    LimitError,
    LmzooError,
    ModelRefusedError,
    OutOfMemoryError,
    UnsupportedError,
    UsageError,
    library,
    program,
)
from .outputs import CompletionOutput, Logprob, RequestOutput
from .sampling import SamplingParams, StructuredOutputsParams

if TYPE_CHECKING:
    from .comparison import torch_compare
    from .llm import LLM, Piece, plan
    from .reading import diff, explain, explain_json

__all__ = [
    "LLM",
    "CancelledError",
    "CompletionOutput",
    "FileError",
    "FormatError",
    "LimitError",
    "LmzooError",
    "Logprob",
    "ModelRefusedError",
    "OutOfMemoryError",
    "Piece",
    "RequestOutput",
    "SamplingParams",
    "StructuredOutputsParams",
    "UnsupportedError",
    "UsageError",
    "diff",
    "explain",
    "explain_json",
    "plan",
    "program",
    "torch_compare",
    "version",
]

_LATE = {
    "LLM": "llm",
    "Piece": "llm",
    "plan": "llm",
    "torch_compare": "comparison",
    "diff": "reading",
    "explain": "reading",
    "explain_json": "reading",
}


def __getattr__(name: str) -> Any:
    """Modules that need NumPy are imported when they are used."""
    if name in _LATE:
        from importlib import import_module

        return getattr(import_module(f".{_LATE[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def version() -> str:
    """The version of the C library."""
    text: bytes = library().lmzoo_version()
    return text.decode()
