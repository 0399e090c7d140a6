"""The harness's figures: lmzoo as its model, `lmzoo score`, and transformers in float32.

Needs lm-eval; with torch, transformers and accelerate too all three are compared, else two.
LMZOO_EVAL_MODELS: further folders, separated by colons.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeAlias

import lmzoo
import pytest

# A folder, the model over it, and what was found.
Evaluated: TypeAlias = tuple[Path, Any, dict[str, Any]]

# The folder of tasks beside this file would do for "lm_eval".
pytest.importorskip("lm_eval.api")

HERE = Path(__file__).parent / "lm_eval"
DEMO = Path(os.environ["LMZOO_DEMO_MODELS"]) / "demo-llama"
MORE = [Path(p) for p in os.environ.get("LMZOO_EVAL_MODELS", "").split(":") if p]
TASKS = ["stories_choice", "stories_rolling", "stories_until"]


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tasks whose data have a path that holds in any working folder."""
    folder = tmp_path_factory.mktemp("tasks")
    data = shutil.copy(HERE / "stories.jsonl", folder)
    for path in HERE.glob("*.yaml"):
        text = path.read_text().replace("test: stories.jsonl", f"test: {data}")
        (folder / path.name).write_text(text)
    os.environ["HF_DATASETS_CACHE"] = os.fspath(folder / "cache")
    os.environ["HF_HUB_OFFLINE"] = "1"
    return folder


def evaluate(model: Any, folder: Path) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    out: dict[str, Any] | None = simple_evaluate(
        model=model,
        tasks=TASKS,
        task_manager=TaskManager(include_path=os.fspath(folder), include_defaults=False),
        log_samples=True,
        bootstrap_iters=0,
    )
    assert out is not None
    return out


def responses(out: dict[str, Any], task: str) -> list[Any]:
    """What the model said, document by document."""
    samples = sorted(out["samples"][task], key=lambda s: s["doc_id"])
    return [s["filtered_resps"] for s in samples]


def figures(out: dict[str, Any]) -> dict[str, float]:
    return {
        f"{task} {name}": value
        for task in TASKS
        for name, value in out["results"][task].items()
        if isinstance(value, float) and "stderr" not in name
    }


@pytest.fixture(scope="module", params=[DEMO, *MORE], ids=lambda p: p.name)
def ours(request: pytest.FixtureRequest, tasks: Path) -> Iterator[Evaluated]:
    from lmzoo.lm_eval import LmzooLM

    model = LmzooLM(request.param, weights="f32", cache="f32", threads=1)
    yield request.param, model, evaluate(model, tasks)
    model.llm.close()


def test_likelihoods_are_those_of_the_command(ours: Evaluated, tmp_path: Path) -> None:
    folder, model, out = ours
    texts = [json.loads(line)["text"] for line in (HERE / "stories.jsonl").open()]
    begin = model.prefix_token_id
    rows = tmp_path / "rows.jsonl"
    with rows.open("w") as file:
        for text in texts:
            ids = [begin, *model.llm.tokenize(text)]
            file.write(json.dumps({"tokens": ids}) + "\n")
    command: list[str | Path] = [lmzoo.program(), "score", folder, "-i", rows]
    command += ["-o", tmp_path / "out.jsonl", "--weights", "f32", "--cache", "f32", "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    scored = [json.loads(line) for line in (tmp_path / "out.jsonl").open()]
    wanted = [-r["mean_nll"] * r["n_tokens"] for r in scored]
    got = [r[0] if isinstance(r, list) else r for r in responses(out, "stories_rolling")]
    assert got == pytest.approx(wanted, rel=1e-12)
    words = sum(len(text.split()) for text in texts)
    perplexity = out["results"]["stories_rolling"]["word_perplexity,none"]
    assert perplexity == pytest.approx(math.exp(-sum(wanted) / words), rel=1e-9)


def test_figures_are_those_of_transformers(ours: Evaluated, tasks: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    pytest.importorskip("accelerate")
    from lm_eval.models.huggingface import HFLM

    folder, _, out = ours
    reference = HFLM(pretrained=os.fspath(folder), dtype="float32", device="cpu", batch_size=1)
    wanted = evaluate(reference, tasks)
    assert responses(out, "stories_until") == responses(wanted, "stories_until")
    for task in TASKS[:2]:
        for mine, theirs in zip(responses(out, task), responses(wanted, task), strict=True):
            flat = [x[0] if isinstance(x, tuple | list) else x for x in mine]
            assert flat == pytest.approx(
                [x[0] if isinstance(x, tuple | list) else x for x in theirs], rel=1e-5
            )
    mine, theirs = figures(out), figures(wanted)
    assert mine.keys() == theirs.keys() and len(mine) >= 5
    for name, value in theirs.items():
        print(f"{folder.name} {name}: {mine[name]:.9g} {value:.9g}")
        assert mine[name] == pytest.approx(value, rel=1e-5), name


def test_command_line(ours: Evaluated, tasks: Path, tmp_path: Path) -> None:
    folder, _, out = ours
    command = [sys.executable, "-m", "lmzoo.lm_eval", "run", "--model", "lmzoo", "--model_args"]
    command += [f"pretrained={folder},weights=f32,cache=f32,threads=1", "--tasks", "stories_choice"]
    command += ["--include_path", os.fspath(tasks), "--output_path", os.fspath(tmp_path)]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr[-2000:]
    (result,) = tmp_path.rglob("results_*.json")
    told = json.loads(result.read_text())["results"]["stories_choice"]
    assert told["acc,none"] == out["results"]["stories_choice"]["acc,none"]
