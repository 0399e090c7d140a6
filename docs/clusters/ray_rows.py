"""Ray Data over the Python package.

    ray_rows.py MODEL REQUESTS RESULTS [--actors 1] [--threads 1]

Each actor opens the model once, keeps as many CPUs as it has threads and answers blocks of rows;
Ray moves the blocks and starts actors again where a machine is lost. The tasks that read and write
take a CPU of their own: where actors have all of them, Ray waits for ever, so that is refused. Rows
are {"prompt": text}, results get "text" and "token_ids". For resuming, refused rows and the batch
format use `lmzoo batch --shard` instead.
"""

from __future__ import annotations

import argparse
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


def main() -> None:
    """Answers every row of requests into the folder results, JSON lines a block."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model")
    parser.add_argument("requests")
    parser.add_argument("results")
    parser.add_argument("--actors", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    ray.init(ignore_reinit_error=True)
    have, want = int(ray.cluster_resources()["CPU"]), args.actors * args.threads + 1
    if have < want:
        parser.error(
            f"{args.actors} actors of {args.threads} threads, and a task that reads, need {want} "
            f"CPUs; Ray has {have}: give --actors or --threads fewer"
        )
    ray.data.read_json(args.requests).map_batches(
        Answers,
        fn_constructor_kwargs={"model": args.model, "threads": args.threads},
        compute=ray.data.ActorPoolStrategy(size=args.actors),
        num_cpus=args.threads,
        batch_size=256,
    ).write_json(args.results)


if __name__ == "__main__":
    main()
