"""docs/clusters/ray_rows.py MODEL REQUESTS RESULTS: Ray Data over the Python package.

Each actor opens the model once and answers blocks of rows; Ray moves the blocks and starts actors
again where a machine is lost. Rows are {"prompt": text}, results get "text" and "token_ids". For
resuming, refused rows and the batch format use `lmzoo batch --shard` instead.
"""

from __future__ import annotations

import sys
from typing import Any

import ray
from lmzoo import LLM, SamplingParams


class Answers:
    """A model in an actor."""

    def __init__(self, model: str, threads: int) -> None:
        self.llm = LLM(model, threads=threads, memory="512M")
        self.params = SamplingParams(temperature=0, max_tokens=24)

    def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
        outs = self.llm.generate(list(rows["prompt"]), self.params)
        rows["text"] = [out.outputs[0].text for out in outs]
        rows["token_ids"] = [out.outputs[0].token_ids for out in outs]
        return rows


def main(model: str, requests: str, results: str, actors: int = 2) -> None:
    """Answers every row of requests into the folder results, JSON lines a block."""
    ray.data.read_json(requests).map_batches(
        Answers,
        fn_constructor_kwargs={"model": model, "threads": 1},
        concurrency=actors,
        num_cpus=1,
        batch_size=256,
    ).write_json(results)


if __name__ == "__main__":
    main(*sys.argv[1:4])
