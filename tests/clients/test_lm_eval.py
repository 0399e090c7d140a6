"""lm-evaluation-harness over HTTP: its figures are those that `lmzoo score` gives for the same
requests, to the last digit that the harness prints; texts are those of `lmzoo batch`."""

from __future__ import annotations

import json
import math
import os
import shutil
import subprocess
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from conftest import BUILD, SOURCE

pytest.importorskip("lm_eval")

TASKS = SOURCE / "python/tests/lm_eval"
DIGITS = 4  # of the harness's own table


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tasks, with a path to their data that holds anywhere."""
    folder = tmp_path_factory.mktemp("tasks")
    data = shutil.copy(TASKS / "stories.jsonl", folder)
    for path in TASKS.glob("*.yaml"):
        text = path.read_text().replace("test: stories.jsonl", f"test: {data}")
        (folder / path.name).write_text(text)
    os.environ["HF_DATASETS_CACHE"] = os.fspath(folder / "cache")
    os.environ["HF_HUB_OFFLINE"] = "1"
    return folder


def documents() -> list[dict[str, Any]]:
    with (TASKS / "stories.jsonl").open() as file:
        return [json.loads(line) for line in file]


def ask(url: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = json.dumps(body).encode() if body else None
    with urllib.request.urlopen(urllib.request.Request(url + path, data)) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def evaluate(kind: str, url: str, names: list[str], folder: Path, **options: Any) -> dict[str, Any]:
    from lm_eval import simple_evaluate
    from lm_eval.tasks import TaskManager

    path = "/v1/chat/completions" if "chat" in kind else "/v1/completions"
    arguments = {"model": ask(url, "/v1/models")["data"][0]["id"], "base_url": url + path}
    arguments |= {"num_concurrent": 4, "max_retries": 1, **options}
    out: dict[str, Any] | None = simple_evaluate(
        model=kind,
        model_args=arguments,
        tasks=names,
        task_manager=TaskManager(include_path=os.fspath(folder), include_defaults=False),
        apply_chat_template="chat" in kind,
        log_samples=True,
        bootstrap_iters=0,
    )
    assert out is not None
    return out


def folder_of(url: str) -> Path:
    return SOURCE / "demo/models" / str(ask(url, "/v1/models")["data"][0]["id"])


def score(folder: Path, rows: list[list[int]], tmp_path: Path) -> list[float]:
    """The log-likelihood of each list of tokens but its first, as the command gives it."""
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps({"tokens": r}) + "\n" for r in rows))
    command: list[str | Path] = [BUILD / "lmzoo", "score", folder, "-i", tmp_path / "rows.jsonl"]
    command += ["-o", tmp_path / "out.jsonl", "--weights", "f32", "--quiet"]
    subprocess.run(command, check=True, capture_output=True)
    with (tmp_path / "out.jsonl").open() as file:
        scored = [json.loads(line) for line in file]
    return [-s["mean_nll"] * s["n_tokens"] for s in scored]


def tokens_of(url: str, text: str) -> list[int]:
    """Without special tokens: the harness adds none."""
    body = {"prompt": text, "add_special_tokens": False}
    ids: list[int] = ask(url, "/tokenize", body)["tokens"]
    return ids


def sent(out: dict[str, Any], task: str) -> list[list[Any]]:
    """What the model said, document by document."""
    samples = sorted(out["samples"][task], key=lambda s: s["doc_id"])
    return [s["filtered_resps"] for s in samples]


def test_completions(url: str, tasks: Path, tmp_path: Path) -> None:
    names = ["stories_choice", "stories_rolling"]
    out = evaluate("local-completions", url, names, tasks, tokenizer_backend="remote")
    folder, docs = folder_of(url), documents()
    info = ask(url, "/tokenizer_info")
    begin = tokens_of(url, info["bos_token"]) if info.get("bos_token") else [0]
    if begin == [0]:  # the harness takes such a begin token for none
        begin = tokens_of(url, info["eos_token"])

    # Choices: the tokens of the joined text behind those of the context.
    whole = [[tokens_of(url, d["context"] + c) for c in d["choices"]] for d in docs]
    heads = [tokens_of(url, d["context"]) for d in docs]
    of_whole = iter(score(folder, [r for rows in whole for r in rows], tmp_path))
    of_heads = score(folder, heads, tmp_path)
    right = 0
    for doc, said, head in zip(docs, sent(out, "stories_choice"), of_heads, strict=True):
        wanted = [next(of_whole) - head for _ in doc["choices"]]
        assert [s[0] for s in said] == pytest.approx(wanted, abs=1e-4)
        right += max(range(len(wanted)), key=lambda i: wanted[i]) == doc["answer"]
    figures = out["results"]["stories_choice"]
    assert f"{figures['acc,none']:.{DIGITS}f}" == f"{right / len(docs):.{DIGITS}f}"
    assert figures["acc,none"] > 0.4  # three choices: chance is a third

    # Whole texts behind the begin token.
    rows = [[*begin, *tokens_of(url, d["text"])] for d in docs]
    total = sum(score(folder, rows, tmp_path))
    n_words = sum(len(d["text"].split()) for d in docs)
    n_bytes = sum(len(d["text"].encode()) for d in docs)
    figures = out["results"]["stories_rolling"]
    for name, value in {
        "word_perplexity": math.exp(-total / n_words),
        "byte_perplexity": math.exp(-total / n_bytes),
        "bits_per_byte": -total / n_bytes / math.log(2),
    }.items():
        print(f"{folder.name} {name}: {figures[name + ',none']:.9g} {value:.9g}")
        assert f"{figures[name + ',none']:.{DIGITS}f}" == f"{value:.{DIGITS}f}"


def batch(folder: Path, bodies: list[dict[str, Any]], path: str, tmp_path: Path) -> list[str]:
    rows = [
        {"custom_id": str(i), "method": "POST", "url": path, "body": body}
        for i, body in enumerate(bodies)
    ]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    command: list[str | Path] = [BUILD / "lmzoo", "batch", folder, "-i", tmp_path / "in.jsonl"]
    command += ["-o", tmp_path / "b.jsonl", "--order", "input", "--weights", "f32", "--quiet"]
    subprocess.run([*command, "--restart"], check=True, capture_output=True)
    with (tmp_path / "b.jsonl").open() as file:
        choices = [json.loads(line)["response"]["body"]["choices"][0] for line in file]
    return [c["text"] if "text" in c else c["message"]["content"] or "" for c in choices]


@pytest.mark.parametrize("kind", ["local-completions", "local-chat-completions"])
def test_texts(url: str, kind: str, tasks: Path, tmp_path: Path) -> None:
    out = evaluate(kind, url, ["stories_until"], tasks, tokenizer_backend=None)
    limits = {"max_tokens": 64, "temperature": 0, "stop": [".", "\n\n"]}
    docs = documents()
    chats = [{"messages": [{"role": "user", "content": d["context"]}], **limits} for d in docs]
    texts = [{"prompt": d["context"], **limits} for d in docs]
    wanted = (
        batch(folder_of(url), chats, "/v1/chat/completions", tmp_path)
        if "chat" in kind
        else batch(folder_of(url), texts, "/v1/completions", tmp_path)
    )
    assert [said[0] for said in sent(out, "stories_until")] == wanted
