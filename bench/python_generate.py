"""LLM.generate against `lmzoo batch`: the same prompts, in turns, tokens a second of each.

    python3 bench/python_generate.py MODEL [--prompts 1000] [--new 16] [--pairs 3]

Both open the model once before the clock starts (the command reports its own time, from the first
row on). Prints a line per pair and the ratio of the medians; exits with 1 when it is below 0.97.
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


def main() -> int:
    """See the head of the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("--prompts", type=int, default=1000)
    parser.add_argument("--new", type=int, default=16)
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--weights", default="auto")
    args = parser.parse_args()
    n = args.prompts
    prompts = [f"Story {i}: {WORDS[i % 8]} and {WORDS[i * 5 % 7]} went" for i in range(n)]
    params = SamplingParams(temperature=0, max_tokens=args.new, ignore_eos=True)
    body = {"temperature": 0, "max_tokens": args.new, "ignore_eos": True}
    ours, theirs = [], []
    with tempfile.TemporaryDirectory() as folder, LLM(args.model, weights=args.weights) as llm:
        rows = Path(folder) / "in.jsonl"
        with rows.open("w") as file:
            for i, prompt in enumerate(prompts):
                line = {"custom_id": str(i), "method": "POST", "url": "/v1/completions"}
                file.write(json.dumps({**line, "body": {"prompt": prompt, **body}}) + "\n")
        command = [lmzoo.program(), "batch", args.model, "-i", rows]
        command += ["-o", rows.with_name("out.jsonl"), "--restart", "--weights", args.weights]
        llm.generate(prompts[:8], params)
        for _ in range(args.pairs):
            begin = time.perf_counter()
            outs = llm.generate(prompts, params)
            seconds = time.perf_counter() - begin
            ours.append(sum(len(o.outputs[0].token_ids) for o in outs) / seconds)
            told = subprocess.run(command, check=True, capture_output=True, text=True).stderr
            found = re.search(r"([0-9]+) new tokens in ([0-9.]+) s", told)
            assert found is not None, told
            theirs.append(float(found[1]) / float(found[2]))
            print(f"generate {ours[-1]:.1f}, batch {theirs[-1]:.1f} new tokens/s", flush=True)
    ratio = statistics.median(ours) / statistics.median(theirs)
    print(f"ratio of the medians: {ratio:.3f}")
    return int(ratio < 0.97)


if __name__ == "__main__":
    raise SystemExit(main())
