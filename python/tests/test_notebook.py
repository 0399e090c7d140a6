"""The notebooks, run from beginning to end as a reader would."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

nbclient = pytest.importorskip("nbclient")
nbformat = pytest.importorskip("nbformat")
pytest.importorskip("ipykernel")

FOLDER = Path(__file__).parent.parent / "notebooks"


def told(cell: Any) -> str:
    return "".join(o.get("text", "") for o in cell.get("outputs", []) if o.output_type == "stream")


def test_what_changed() -> None:
    book = nbformat.read(FOLDER / "what_changed.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        book, timeout=300, resources={"metadata": {"path": os.fspath(FOLDER)}}
    )
    client.execute()
    codes = [cell for cell in book.cells if cell.cell_type == "code"]
    assert all(told(cell) for cell in codes)
    words = "\n".join(told(cell) for cell in codes)
    assert "demo-gemma against demo-llama" in words
    assert "RMSNorm (1 + w) instead of RMSNorm" in words
    assert "likeliest next token" in words
    assert "0 of " in words or "torch and transformers are not installed" in words
    assert "demo-gemma: Once upon a time|" in words


def test_notebooks_are_kept_without_outputs() -> None:
    for path in FOLDER.glob("*.ipynb"):
        book = nbformat.read(path, as_version=4)
        assert not any(cell.get("outputs") for cell in book.cells), path
