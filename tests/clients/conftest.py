"""A server for each demo model."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # it would use the network otherwise
SOURCE = Path(os.environ["LMZOO_SOURCE"])
BUILD = Path(os.environ["LMZOO_BUILD"])
MODELS = ["demo-llama", "demo-gemma", "demo-deepseek", "demo-hybrid"]


@pytest.fixture(scope="module", params=MODELS)
def url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server for one of the demo models."""
    command = [BUILD / "lmzoo", "serve", SOURCE / "demo/models" / request.param, "--port", "0"]
    command += ["--files", str(tmp_path_factory.mktemp("files")), "--context", "2048"]
    with subprocess.Popen([*command, "--weights", "f32"], stderr=subprocess.PIPE, text=True) as p:
        assert p.stderr is not None
        line = p.stderr.readline()
        assert "listening on " in line, line
        yield line.split("listening on ")[1].strip()
        p.terminate()
        assert p.wait(timeout=60) == 0
