"""The C library through ctypes: its location, structs, functions and errors.

The only state is the loaded library. A call into it releases the GIL.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from ctypes import (
    POINTER,
    c_char,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_size_t,
    c_uint8,
    c_uint32,
    c_uint64,
    c_void_p,
)
from functools import lru_cache
from pathlib import Path
from typing import Any

API_VERSION = 1

COMPLETION, CHAT = 1, 2
STREAM = 1
TIMEOUT, TEXT, DONE = 0, 1, 2


class LmzooError(Exception):
    """A call failed; the text is the library's sentence, `status` its number."""

    status = -10


class UsageError(LmzooError, ValueError):
    """An argument is wrong."""

    status = -1


class FileError(LmzooError, OSError):
    """A file cannot be opened, read or written."""

    status = -2


class FormatError(LmzooError, ValueError):
    """A file or text breaks the rules of its format."""

    status = -3


class ModelRefusedError(LmzooError):
    """The model folder needs something unsupported; the sentence names key, tensor or plugin."""

    status = -4


class OutOfMemoryError(LmzooError, MemoryError):
    """An allocation failed or `memory` would be exceeded."""

    status = -7


class UnsupportedError(LmzooError, NotImplementedError):
    """Well-formed input that is named and refused."""

    status = -8


class LimitError(LmzooError, ValueError):
    """A bound on length, depth, steps or count was reached."""

    status = -9


class CancelledError(LmzooError):
    """The request was ended by its caller."""

    status = -11


_BY_STATUS: dict[int, type[LmzooError]] = {
    -1: UsageError,
    -2: FileError,
    -3: FormatError,
    -4: ModelRefusedError,
    -5: ModelRefusedError,
    -6: ModelRefusedError,
    -7: OutOfMemoryError,
    -8: UnsupportedError,
    -9: LimitError,
    -11: CancelledError,
}


class Error(ctypes.Structure):
    _fields_ = [("status", c_int32), ("message", c_char * 508)]


class Options(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("threads", c_uint32),
        ("weights", c_char_p),
        ("cache", c_char_p),
        ("isa", c_char_p),
        ("plugin_dir", c_char_p),
        ("card_dir", c_char_p),
        ("packed_cache", c_char_p),
        ("allow_unknown", POINTER(c_char_p)),
        ("memory", c_uint64),
        ("context", c_uint32),
        ("sequences", c_uint32),
        ("rows", c_uint32),
        ("reserved", c_uint32),
    ]


class Info(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("vocab_size", c_uint32),
        ("hidden_size", c_uint32),
        ("layers", c_uint32),
        ("context", c_uint32),
        ("sequences", c_uint32),
        ("has_tokenizer", c_uint32),
        ("has_template", c_uint32),
        ("bos_token", c_int32),
        ("eos_token", c_int32),
        ("pad_token", c_int32),
        ("threads", c_uint32),
    ]


class Stats(ctypes.Structure):
    _fields_ = [
        ("size", c_uint32),
        ("running", c_uint32),
        ("waiting", c_uint32),
        ("reserved", c_uint32),
        ("steps", c_uint64),
        ("prompt_tokens_read", c_uint64),
        ("prompt_tokens_shared", c_uint64),
        ("tokens_written", c_uint64),
    ]


class Event(ctypes.Structure):
    _fields_ = [
        ("kind", c_int32),
        ("choice", c_uint32),
        ("text", c_void_p),
        ("n", c_size_t),
    ]


TRACE_FN = ctypes.CFUNCTYPE(None, c_void_p, c_char_p, POINTER(c_float), c_uint32, c_uint32)

_E = POINTER(Error)
_SIGNATURES: dict[str, tuple[Any, list[Any]]] = {
    "lmzoo_api_version": (c_uint32, []),
    "lmzoo_version": (c_char_p, []),
    "lmzoo_free": (None, [c_void_p]),
    "lmzoo_open": (c_int, [c_char_p, POINTER(Options), POINTER(c_void_p), _E]),
    "lmzoo_close": (None, [c_void_p]),
    "lmzoo_plan": (c_int, [c_char_p, POINTER(Options), POINTER(c_void_p), _E]),
    "lmzoo_inspect": (c_int, [c_void_p, POINTER(c_void_p), _E]),
    "lmzoo_model_info": (None, [c_void_p, POINTER(Info)]),
    "lmzoo_model_stats": (None, [c_void_p, POINTER(Stats)]),
    "lmzoo_tokenize": (
        c_int,
        [c_void_p, c_char_p, c_size_t, c_int, POINTER(c_void_p), POINTER(c_size_t), _E],
    ),
    "lmzoo_detokenize": (
        c_int,
        [
            c_void_p,
            POINTER(c_int32),
            c_size_t,
            c_int,
            POINTER(c_void_p),
            POINTER(c_size_t),
            _E,
        ],
    ),
    "lmzoo_render": (
        c_int,
        [c_void_p, c_char_p, POINTER(c_void_p), POINTER(c_size_t), _E],
    ),
    "lmzoo_submit": (
        c_int,
        [c_void_p, c_int, c_char_p, c_size_t, c_uint32, POINTER(c_void_p), _E],
    ),
    "lmzoo_wait": (c_int, [c_void_p, c_int32, POINTER(Event), _E]),
    "lmzoo_cancel": (None, [c_void_p]),
    "lmzoo_request_free": (None, [c_void_p]),
    "lmzoo_score": (
        c_int,
        [
            c_void_p,
            c_void_p,
            c_void_p,
            c_uint32,
            POINTER(c_double),
            POINTER(c_uint8),
            _E,
        ],
    ),
    "lmzoo_logits": (c_int, [c_void_p, c_void_p, c_uint32, c_void_p, _E]),
    "lmzoo_trace": (c_int, [c_void_p, c_void_p, c_uint32, TRACE_FN, c_void_p, _E]),
}


_SONAME = "liblmzoo.so.0"


def _place() -> Path:
    """The shared library: LMZOO_LIBRARY, else the package's own, else the system's by its name."""
    given = os.environ.get("LMZOO_LIBRARY")
    if given:
        return Path(given)
    here = Path(__file__).resolve().parent
    for folder in ("lib", "lib64", "."):
        path = here / folder / "liblmzoo.so"
        if path.exists():
            return path
    return Path(_SONAME)


@lru_cache(maxsize=1)
def library() -> ctypes.CDLL:
    """The loaded library, with its version compared."""
    path = _place()
    try:
        lib = ctypes.CDLL(os.fspath(path))
    except OSError as error:
        raise ImportError(
            f"{error}; set LMZOO_LIBRARY to a liblmzoo.so, which `./bootstrap build` makes"
        ) from None
    for name, (result, arguments) in _SIGNATURES.items():
        function = getattr(lib, name)
        function.restype = result
        function.argtypes = arguments
    found = lib.lmzoo_api_version()
    if found != API_VERSION:
        raise ImportError(f"{path} has API version {found}; this package needs {API_VERSION}")
    return lib


def program() -> Path:
    """The command `lmzoo` of the package, or the one beside the library; the system's in PATH."""
    path = _place()
    if path == Path(_SONAME):
        found = shutil.which("lmzoo")
        if found is None:
            raise FileNotFoundError(f"there is no program lmzoo in PATH, beside {_SONAME}")
        return Path(found)
    for candidate in (path.parent.parent / "bin" / "lmzoo", path.parent / "lmzoo"):
        if candidate.exists():
            return candidate
    raise FileNotFoundError(f"there is no program lmzoo beside {path}")


def check(status: int, error: Error, *, opening: bool = False) -> None:
    """Raises the exception of a status other than 0; opening: errors of files refuse the model."""
    if status != 0:
        kind = _BY_STATUS.get(status, LmzooError)
        if opening and kind in (FormatError, UnsupportedError):
            kind = ModelRefusedError
        raise kind(error.message.decode("utf-8", "replace"))


def take_text(pointer: c_void_p, n: int | None = None) -> str:
    """Copies a text that the library returned, and frees it."""
    try:
        data = ctypes.string_at(pointer.value or 0, -1 if n is None else n)
    finally:
        library().lmzoo_free(pointer)
    return data.decode("utf-8")


def main() -> None:
    """The console command: the program of the package with the same arguments."""
    path = os.fspath(program())
    os.execv(path, [path, *sys.argv[1:]])
