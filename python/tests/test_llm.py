"""The package as a user has it: installed, over the demo models."""

from __future__ import annotations

import asyncio
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import lmzoo
import numpy as np
import pytest
from lmzoo import LLM, RequestOutput, SamplingParams

MODELS = Path(os.environ["LMZOO_DEMO_MODELS"])
GREEDY = SamplingParams(temperature=0, max_tokens=24)
PROMPTS = ["Once upon a time", "The cat", "One day, Lily", "Ben had a ball."]


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    with LLM(MODELS / "demo-llama", weights="f32", cache="f32") as model:
        yield model


def command(*arguments: str) -> str:
    return subprocess.run(
        [os.fspath(lmzoo.program()), *arguments], check=True, capture_output=True, text=True
    ).stdout


@pytest.mark.parametrize("name", ["demo-llama", "demo-gemma", "demo-deepseek", "demo-hybrid"])
def test_same_tokens_as_the_command(name: str) -> None:
    with LLM(MODELS / name, weights="int8") as model:
        outs = model.generate(PROMPTS, GREEDY)
    for prompt, out in zip(PROMPTS, outs, strict=True):
        wanted = json.loads(
            command(
                "run",
                str(MODELS / name),
                "-p",
                prompt,
                "--max-tokens",
                "24",
                "--weights",
                "int8",
                "--json",
            )
        )
        assert out.prompt == prompt
        assert out.outputs[0].token_ids == wanted["tokens"]
        assert out.prompt_token_ids == wanted["prompt_tokens"]
        assert out.outputs[0].text == wanted["text"]


def test_a_batch_equals_single_calls(llm: LLM) -> None:
    params = SamplingParams(temperature=0.9, seed=3, max_tokens=30, n=2)
    together = llm.generate(PROMPTS * 5, params)
    alone = [llm.generate(p, params)[0] for p in PROMPTS]
    for i, out in enumerate(together):
        ids = [o.token_ids for o in out.outputs]
        assert ids == [o.token_ids for o in alone[i % len(PROMPTS)].outputs]


def test_stream_joins_to_the_text(llm: LLM) -> None:
    params = SamplingParams(temperature=0, max_tokens=400, ignore_eos=True)
    pieces = list(llm.stream("Once upon a time", params))
    assert pieces[-1].result is not None
    assert "".join(p.text for p in pieces) == pieces[-1].result.outputs[0].text
    assert len(pieces) > 5


def test_leaving_a_stream_cancels(llm: LLM) -> None:
    for _ in llm.stream("Once", SamplingParams(max_tokens=400, ignore_eos=True)):
        break
    deadline = time.monotonic() + 5
    while llm.stats()["running"] and time.monotonic() < deadline:
        time.sleep(0.01)
    assert llm.stats()["running"] == 0


def test_async(llm: LLM) -> None:
    async def all_at_once() -> list[RequestOutput]:
        return await asyncio.gather(*[llm.agenerate(p, GREEDY) for p in PROMPTS])

    outs = asyncio.run(all_at_once())
    wanted = llm.generate(PROMPTS, GREEDY)
    assert [o.outputs[0].text for o in outs] == [o.outputs[0].text for o in wanted]


def test_chat_and_schema(llm: LLM) -> None:
    schema = {
        "type": "object",
        "properties": {"n": {"type": "integer"}},
        "required": ["n"],
        "additionalProperties": False,
    }
    out = llm.chat(
        [{"role": "user", "content": "Tell me a story"}],
        SamplingParams(temperature=0, max_tokens=40, schema=schema),
    )[0]
    assert set(json.loads(out.outputs[0].text)) == {"n"}


def test_scores_are_those_of_the_logits(llm: LLM) -> None:
    text = "Once upon a time there was a little girl."
    ids = llm.tokenize(text)
    x = llm.logits(ids).astype(np.float64)
    logp = x - x.max(1, keepdims=True)
    logp -= np.log(np.exp(logp).sum(1, keepdims=True))
    score = llm.score([text, text])
    np.testing.assert_allclose(score[0], logp[np.arange(len(ids) - 1), ids[1:]], atol=1e-12)
    np.testing.assert_array_equal(score[0], score[1])


def test_score_equals_the_command(llm: LLM, tmp_path: Path) -> None:
    text = "Once upon a time there was a little girl named Lily."
    (tmp_path / "t.txt").write_text(text)
    said = json.loads(
        command(
            "score",
            str(MODELS / "demo-llama"),
            "-i",
            str(tmp_path / "t.txt"),
            "--weights",
            "f32",
            "--cache",
            "f32",
            "--json",
        )
    )
    mean = -float(llm.score([text])[0].mean())
    assert math.isclose(mean, said["mean_nll"], rel_tol=1e-9)


def test_trace_equals_the_command(llm: LLM, tmp_path: Path) -> None:
    ids = llm.tokenize("Once upon a time")
    path = tmp_path / "t.safetensors"
    command(
        "trace", str(MODELS / "demo-llama"), "--tokens", ",".join(map(str, ids)), "-o", str(path)
    )
    data = path.read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    trace = llm.trace(ids)
    names = set(header) - {"__metadata__"}
    assert names == set(trace)
    for name in names:
        begin, end = (8 + size + o for o in header[name]["data_offsets"])
        stored = np.frombuffer(data[begin:end], np.float32).reshape(header[name]["shape"])
        np.testing.assert_array_equal(trace[name], stored)


def test_text_there_and_back(llm: LLM) -> None:
    ids = llm.tokenize("Lily saw a café.", add_special=False)
    assert llm.detokenize(ids) == "Lily saw a café."
    assert llm.render([{"role": "user", "content": "Hi"}])
    assert llm.tokenize("") == llm.tokenize("", add_special=True)


def test_refusals_are_sentences(llm: LLM, tmp_path: Path) -> None:
    with pytest.raises(lmzoo.FileError, match="no/such"):
        LLM("no/such/folder")
    with pytest.raises(lmzoo.UsageError, match="temperature"):
        llm.generate("x", SamplingParams(temperature=-1))
    with pytest.raises(lmzoo.LimitError, match="context"):
        llm.generate([[5] * 5000])
    with pytest.raises(lmzoo.UsageError, match="memory"):
        LLM(MODELS / "demo-llama", memory="plenty")
    (tmp_path / "config.json").write_text('{"model_type": "no_such_type"}')
    with pytest.raises(lmzoo.ModelRefusedError):
        LLM(tmp_path)
    with LLM(MODELS / "demo-llama") as other:
        pass
    with pytest.raises(lmzoo.UsageError, match="closed"):
        other.generate("x")


def test_forms_of_prompts(llm: LLM) -> None:
    ids = llm.tokenize("The cat")
    wanted = llm.generate("The cat", GREEDY)[0].outputs[0].token_ids
    one = [ids, np.array(ids), {"prompt": "The cat"}, {"prompt_token_ids": ids}]
    for prompt in [*one, ["The cat"], [ids], (p for p in ["The cat"])]:
        (out,) = llm.generate(prompt, GREEDY)
        assert out.outputs[0].token_ids == wanted
    assert llm.generate([], GREEDY) == []
    assert llm.score([]) == []
    np.testing.assert_array_equal(llm.score("The cat")[0], llm.score([ids])[0])
    for bad in (None, b"The cat", [None], [[1.5, 2]], "\ud800", 7):
        with pytest.raises(lmzoo.UsageError):
            llm.generate(bad, GREEDY)
    with pytest.raises(lmzoo.UsageError, match="SamplingParams"):
        llm.generate("x", {"temperature": 0})
    (out,) = llm.generate("Once", SamplingParams(max_tokens=None, ignore_eos=True))
    assert len(out.prompt_token_ids) + len(out.outputs[0].token_ids) == llm.info["context"]


def test_names_of_vllm() -> None:
    folder = os.fspath(MODELS / "demo-llama")
    with LLM(model=folder, dtype="float32", max_model_len=256, max_num_seqs=8) as llm:
        assert (llm.info["context"], llm.info["sequences"]) == (256, 8)
        assert llm.options["weights"] == "f32"
        tokenizer = llm.get_tokenizer()
        chat = [{"role": "user", "content": "Hi"}]
        (out,) = llm.chat(chat, SamplingParams(temperature=0, max_tokens=4, prompt_logprobs=1))
        assert out.prompt_token_ids == tokenizer.apply_chat_template(
            chat, add_generation_prompt=True
        )
        assert tokenizer.decode(tokenizer.encode("Hi", add_special_tokens=False)) == "Hi"
        assert out.request_id
        assert out.prompt_logprobs is not None and out.prompt_logprobs[0] is None
        for token, at in zip(out.prompt_token_ids[1:], out.prompt_logprobs[1:], strict=True):
            assert at is not None and at[token].logprob <= 0 and at[token].rank >= 1
        shape = lmzoo.StructuredOutputsParams(choice=["big", "small"])
        params = SamplingParams(temperature=0, structured_outputs=shape)
        assert llm.generate("The cat is", params)[0].outputs[0].text in ("big", "small")
        params = SamplingParams(temperature=0, max_tokens=20, bad_words=["little"])
        assert "little" not in llm.generate("Once upon a time", params)[0].outputs[0].text
    with pytest.warns(UserWarning, match="tensor_parallel_size has no effect"):
        LLM(folder, tensor_parallel_size=1).close()
    for call in (LLM, lmzoo.plan):
        with pytest.raises(TypeError, match="wieghts"):
            call(folder, wieghts="int8")
        with pytest.raises(lmzoo.UsageError, match="threads"):
            call(folder, threads="2")
        with pytest.raises(lmzoo.UsageError, match="memory"):
            call(folder, memory=-1)


def test_defaults_of_the_model(tmp_path: Path) -> None:
    folder = shutil.copytree(MODELS / "demo-llama", tmp_path / "model")
    config = {"do_sample": True, "top_k": 1, "repetition_penalty": 1.7}
    (folder / "generation_config.json").write_text(json.dumps(config))
    own = SamplingParams(seed=3, max_tokens=24)
    with LLM(MODELS / "demo-llama") as plain, LLM(folder) as model:
        same = model.generate(PROMPTS, own)
        wanted = plain.generate(PROMPTS, own)
        assert [o.outputs[0].text for o in same] == [o.outputs[0].text for o in wanted]
        params = model.get_default_sampling_params()
        params.max_tokens, params.seed = 24, 3
        filled = model.generate(PROMPTS, params)
        penalty = SamplingParams(temperature=0, max_tokens=24, repetition_penalty=1.7)
        wanted = plain.generate(PROMPTS, penalty)
        assert [o.outputs[0].text for o in filled] == [o.outputs[0].text for o in wanted]
        penalty.max_tokens = 16
        wanted = plain.generate("Once", penalty)
        assert model.generate("Once")[0].outputs[0].text == wanted[0].outputs[0].text


def test_threads_share_a_batch(llm: LLM) -> None:
    wanted = [o.outputs[0].text for o in llm.generate(PROMPTS, GREEDY)]
    out: dict[int, str] = {}

    def work(i: int) -> None:
        out[i] = llm.generate(PROMPTS[i % 4], GREEDY)[0].outputs[0].text

    threads = [threading.Thread(target=work, args=(i,)) for i in range(16)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [out[i] for i in range(16)] == [wanted[i % 4] for i in range(16)]


def test_plan_reads_no_weights() -> None:
    plan = lmzoo.plan(MODELS / "demo-llama")
    assert plan["layers"]


def test_batch_of_a_file(llm: LLM, tmp_path: Path) -> None:
    lines = [
        {
            "custom_id": f"r{i}",
            "method": "POST",
            "url": "/v1/completions",
            "body": {"prompt": p, "max_tokens": 24, "temperature": 0},
        }
        for i, p in enumerate(PROMPTS)
    ]
    lines.append(
        {
            "custom_id": "bad",
            "method": "POST",
            "url": "/v1/completions",
            "body": {"prompt": "x", "temperature": -1},
        }
    )
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert llm.batch(tmp_path / "in.jsonl", tmp_path / "out.jsonl", use_tqdm=False) == 1
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    texts = {r["custom_id"]: r["response"]["body"]["choices"][0]["text"] for r in rows}
    wanted = llm.generate(PROMPTS, GREEDY)
    assert texts == {f"r{i}": o.outputs[0].text for i, o in enumerate(wanted)}
    with pytest.raises(lmzoo.FileError):
        llm.batch(tmp_path / "absent.jsonl", tmp_path / "x.jsonl")


LONG = "SamplingParams(max_tokens=400, ignore_eos=True)"


@pytest.mark.parametrize(
    "call",
    [
        f"llm.generate(['Once'] * 2000, {LONG})",
        f"[list(llm.stream('Once', {LONG})) for _ in range(2000)]",
        f"asyncio.run(gather(*[llm.agenerate('Once', {LONG}) for _ in range(300)]))",
        "llm.score([list(range(5, 25))] * 400000)",
        "llm.batch('in.jsonl', 'out.jsonl', use_tqdm=False)",
    ],
    ids=["generate", "stream", "asyncio", "score", "batch"],
)
def test_ctrl_c_stops(call: str, tmp_path: Path) -> None:
    body = {"prompt": "Once", "max_tokens": 400, "ignore_eos": True}
    line = {"method": "POST", "url": "/v1/completions", "body": body}
    with (tmp_path / "in.jsonl").open("w") as rows:
        for i in range(3000):
            rows.write(json.dumps({"custom_id": str(i), **line}) + "\n")
    code = (
        "import asyncio, signal\n"
        # A shell's background job ignores the signal, and so do its children.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "from lmzoo import LLM, SamplingParams\n"
        "async def gather(*calls): return await asyncio.gather(*calls)\n"
        f"llm = LLM({str(MODELS / 'demo-llama')!r})\n"
        "print('ready', flush=True)\n"
        f"{call}\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=tmp_path,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        time.sleep(0.5)
        start = time.monotonic()
        child.send_signal(signal.SIGINT)
        try:
            _, said = child.communicate(timeout=20)
        finally:
            child.kill()
    assert "KeyboardInterrupt" in said
    assert time.monotonic() - start < 5


def test_import_is_light() -> None:
    code = "import sys, lmzoo; assert 'numpy' not in sys.modules and 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
