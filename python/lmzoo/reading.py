"""What a folder's config describes, in words: the commands `explain` and `diff`."""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

from . import _library as c

_ENDS = {2: c.UsageError, 3: c.ModelRefusedError}


def _told(*arguments: str | os.PathLike[str]) -> str:
    line = [os.fspath(c.program()), *[os.fspath(a) for a in arguments]]
    done = subprocess.run(line, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        sentence = done.stderr.strip().partition(": ")[2] or done.stderr.strip()
        raise _ENDS.get(done.returncode, c.LmzooError)(sentence)
    return done.stdout


def explain(model: str | os.PathLike[str]) -> str:
    """The decoder that a folder, a config.json or a model type describes; no weights are read."""
    return _told("explain", model)


def explain_json(model: str | os.PathLike[str]) -> dict[str, Any]:
    """The same as the object of `lmzoo explain --json`."""
    out: dict[str, Any] = json.loads(_told("explain", model, "--json"))
    return out


def diff(new: str | os.PathLike[str], old: str | os.PathLike[str]) -> str:
    """What `new` does differently than `old`: layers, norms, rotation, sizes, memory, keys."""
    return _told("diff", old, new)
