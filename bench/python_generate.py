"""LLM.generate against `lmzoo batch`: the same prompts, in turns, tokens a second of each.

    python3 bench/python_generate.py MODEL [--prompts 1000] [--new 16] [--pairs 21]

Both open the model once before the clock starts (the command reports its own time, from the first
row on). Which of the two begins changes from pair to pair, so that a machine whose speed drifts
favours neither. Prints a line per pair and the median of the pairs' ratios; exits with 1 when it is
below 0.97.
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import lmzoo
from lmzoo import LLM, SamplingParams

WORDS = ("Lily", "Ben", "Mia", "Tom", "the cat", "a dog", "one day", "in the park")


def _generate(llm: LLM, prompts: list[str], params: SamplingParams) -> float:
    begin = time.perf_counter()
    outs = llm.generate(prompts, params)
    return sum(len(o.outputs[0].token_ids) for o in outs) / (time.perf_counter() - begin)


def _batch(command: list[str | Path]) -> float:
    told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    found = re.search(r"([0-9]+) new tokens in ([0-9.]+) s", told)
    assert found is not None, told
    return float(found[1]) / float(found[2])


def main() -> int:
    """See the head of the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--new", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--weights", default="auto")
    args = parser.parse_args()
    n = args.prompts
    prompts = [f"Story {i}: {WORDS[i % 8]} and {WORDS[i * 5 % 7]} went" for i in range(n)]
    params = SamplingParams(temperature=0, max_tokens=args.new, ignore_eos=True)
    body = {"temperature": 0, "max_tokens": args.new, "ignore_eos": True}
    ratios: list[float] = []
    with tempfile.TemporaryDirectory() as folder, LLM(args.model, weights=args.weights) as llm:
        rows = Path(folder) / "in.jsonl"
        with rows.open("w") as file:
            for i, prompt in enumerate(prompts):
                line = {"custom_id": str(i), "method": "POST", "url": "/v1/completions"}
                file.write(json.dumps({**line, "body": {"prompt": prompt, **body}}) + "\n")
        command = [lmzoo.program(), "batch", args.model, "-i", rows]
        command += ["-o", rows.with_name("out.jsonl"), "--restart", "--weights", args.weights]
        llm.generate(prompts[:8], params)
        for pair in range(args.pairs):
            sides = [lambda: _generate(llm, prompts, params), lambda: _batch(command)]
            order = (0, 1) if pair % 2 == 0 else (1, 0)
            rates = {side: sides[side]() for side in order}
            ratios.append(rates[0] / rates[1])
            print(f"generate {rates[0]:.1f}, batch {rates[1]:.1f} new tokens/s", flush=True)
    ratio = statistics.median(ratios)
    print(f"median of {len(ratios)} ratios: {ratio:.3f}")
    return 0 if ratio >= 0.97 else 1


if __name__ == "__main__":
    raise SystemExit(main())
