"""`lmzoo batch` as a child of this process, with a bar."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from . import _library as c

if TYPE_CHECKING:
    from .llm import LLM

_ENDS = {2: c.UsageError, 3: c.ModelRefusedError}


def command(
    llm: LLM,
    input_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    arguments: Sequence[str],
) -> list[str]:
    """The command line with the options that the model was opened with."""
    out = [os.fspath(c.program()), "batch", llm.model]
    out += ["-i", os.fspath(input_path), "-o", os.fspath(output_path)]
    for name, option in (
        ("weights", "--weights"),
        ("cache", "--cache"),
        ("threads", "--threads"),
        ("memory", "--memory"),
        ("context", "--context"),
        ("sequences", "--max-seqs"),
        ("rows", "--max-rows"),
        ("isa", "--isa"),
        ("packed_cache", "--packed-cache"),
        ("plugin_dir", "--plugin-dir"),
        ("card_dir", "--card-dir"),
    ):
        value = llm.options[name]
        if value:
            out += [
                option,
                os.fspath(value) if isinstance(value, os.PathLike) else str(value),
            ]
    for key in llm.options["allow_unknown"] or ():
        out += ["--allow-unknown", key]
    return out + list(arguments)


def run(
    llm: LLM,
    input_path: str | os.PathLike[str],
    output_path: str | os.PathLike[str],
    arguments: Sequence[str],
    *,
    use_tqdm: bool,
) -> int:
    """See LLM.batch."""
    if not os.path.isfile(input_path):
        raise c.FileError(f"{os.fspath(input_path)}: no such file")
    line = [*command(llm, input_path, output_path, arguments), "--progress", "json"]
    bar: Any = None
    said: list[str] = []
    refused = 0
    with subprocess.Popen(line, stderr=subprocess.PIPE, text=True) as child:
        try:
            assert child.stderr is not None
            for text in child.stderr:
                news = _progress(text)
                if news is None:
                    said.append(text.rstrip())
                    continue
                refused = int(news.get("errors", 0))
                if use_tqdm:
                    bar = bar or _bar(int(news["rows"]), int(news["done"]))
                    bar.n = int(news["done"])
                    bar.refresh()
        except BaseException:
            child.terminate()
            raise
        finally:
            if bar is not None:
                bar.close()
    if child.returncode in (0, 1):
        return refused
    kind = _ENDS.get(child.returncode, c.LmzooError)
    raise kind(said[-1] if said else f"lmzoo batch ended with {child.returncode}")


def _progress(text: str) -> dict[str, Any] | None:
    if not text.startswith("{"):
        return None
    try:
        news = json.loads(text)
    except ValueError:
        return None
    return news if isinstance(news, dict) and "done" in news and "rows" in news else None


def _bar(n: int, done: int) -> Any:
    from tqdm.auto import tqdm

    return tqdm(total=n, initial=done, unit="row")
