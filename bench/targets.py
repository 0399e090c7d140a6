#!/usr/bin/env python3
"""Measures the project's performance targets and prints them as one Markdown table.

    bench/targets.py run --model HF_FOLDER --llama BIN_FOLDER --gguf PREFIX --out results.jsonl
                     [--llama-avx2 BIN_FOLDER] [--peer 'NAME FORMAT COMMAND ...'] [--rounds 3]
    bench/targets.py table results.jsonl
    bench/targets.py drafts --model HF_FOLDER       the speed-up by speculative decoding (drafts.py)
    bench/targets.py contexts --model HF_FOLDER     long contexts and shared prefixes (contexts.py)
    bench/targets.py steps --out results.jsonl ...  these two, experts, latent attention and
                                                    llama.cpp on all of them (steps.py)

Rates come from peers.py (its head says what BIN_FOLDER, PREFIX and --peer are): every engine and
format in turn, a ratio within a round, the median of the rounds and their range. Where the CPU has
more than AVX2, --llama-avx2 names llama.cpp built for AVX2 alone, and the batch is run once more
with both sides held to that.

Of lmzoo alone, medians of the rounds:
  read share  bytes of weights over the measured bandwidth over the whole time of one sequence
  load        seconds to int8 over seconds to read the files: from the page cache through one small
              buffer, from there into memory of their size, and both after the cache has dropped
              them (posix_fadvise)
  start       seconds with packed weights kept by an earlier start
  memory      peak resident bytes over packed weights and planned caches, 32 rows whose caches are
              full

The table has every target, met or not. Only the standard library is used.
"""

import argparse
import glob
import json
import mmap
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import contexts
import drafts
import peers
import steps

Json: TypeAlias = dict[str, Any]
Seen: TypeAlias = tuple[float, str] | None  # a figure, and of what; None: it was not run

SEQS, CONTEXT, MIB = 32, 128, 1 << 20


def zoo_lines(a: argparse.Namespace, verb: str, options: list[str]) -> list[str]:
    argv = [a.lmzoo, verb, a.model, "--threads", str(a.threads), *options]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"targets: status {done.returncode}: {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout.splitlines()


def bench(a: argparse.Namespace, options: list[str], test: str) -> Json:
    for line in zoo_lines(a, "bench", ["--quiet", "-r", "1", *options]):
        j: Json = json.loads(line)
        if j["test"] == test:
            return j
    sys.exit(f"targets: no line of test {test}")


def weight_files(a: argparse.Namespace) -> list[str]:
    return sorted(glob.glob(os.path.join(a.model, "*.safetensors")))


def drop_pages(a: argparse.Namespace) -> None:
    for path in weight_files(a):
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def read_seconds(a: argparse.Namespace, whole: bool = False) -> float:
    begin = time.monotonic()
    for path in weight_files(a):
        with (
            open(path, "rb", buffering=0) as file,
            mmap.mmap(-1, os.path.getsize(path) if whole else MIB) as buffer,
        ):
            at = memoryview(buffer)
            while n := file.readinto(at):
                at = at[n:] if whole else at
            at.release()
    return time.monotonic() - begin


def load_ratio(a: argparse.Namespace, how: str) -> dict[str, float]:
    seconds = []
    for step in (
        lambda: read_seconds(a, how == "memory"),
        lambda: bench(a, ["--weights", "int8", "--tests", "none"], "load")["seconds"],
    ):
        if how == "cold":
            drop_pages(a)
        else:
            read_seconds(a)
        seconds.append(step())
    return {
        "read_seconds": seconds[0],
        "load_seconds": seconds[1],
        "ratio": seconds[1] / seconds[0],
    }


def start_seconds(a: argparse.Namespace, kind: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        options = ["--weights", kind, "--tests", "none", "--packed-cache", folder]
        bench(a, options, "load")
        return float(bench(a, options, "load")["seconds"])


def memory_over(a: argparse.Namespace, kind: str) -> float:
    options = ["--weights", kind, "--context", str(CONTEXT), "--max-seqs", str(SEQS)]
    plan = "\n".join(zoo_lines(a, "plan", options))
    found = re.search(rf"such sequences of {CONTEXT}\s+(\d+)", plan)
    if not found:
        sys.exit(f"targets: no line of caches in the plan: {plan}")
    caches = int(found[1])
    batch = ["--tests", "batch", "--batch", str(SEQS), "--prompt", str(CONTEXT - 32), "--new", "32"]
    j = bench(a, options + batch, "batch")
    return float(j["peak_bytes"] - j["packed_bytes"] - caches) / MIB


def own_figures(a: argparse.Namespace) -> Iterator[Json]:
    for kind in ("bf16", "int8", "int4"):
        decode = ["--weights", kind, "--machine", "--tests", "decode", "--decode", str(a.decode)]
        yield {
            "figure": "read_share",
            "format": kind,
            "value": bench(a, decode, "decode")["read_share"],
        }
    for how in ("warm", "memory", "cold"):
        yield {"figure": f"load_{how}", "format": "int8", **load_ratio(a, how)}
    for kind in ("int8", "int4"):
        yield {"figure": "start", "format": kind, "value": start_seconds(a, kind)}
        yield {"figure": "memory", "format": kind, "value": memory_over(a, kind)}


def run(a: argparse.Namespace) -> None:
    options = {
        **vars(a),
        "kinds": ["bf16", "int8", "int4"],
        "batches": [32],
        "prefills": [512],
        "prompt": 64,
        "new": 32,
        "shared_rows": 256,
        "shared_prefix": 512,
        "zoo_options": [],
    }
    everything = {
        "isa": None,
        "formats": ["BF16", "F16", "Q8_0", "Q4_0"],
        "tests": ["batch", "prefill", "decode"],
    }
    peers.run(argparse.Namespace(**{**options, **everything}))
    shared = {
        "isa": None,
        "formats": ["Q4_0"],
        "kinds": ["int8", "int4"],
        "peer": [],
        "tests": ["shared"],
        "rounds": 1,
    }
    peers.run(argparse.Namespace(**{**options, **shared}))
    if a.llama_avx2:
        held = {
            "isa": "avx2",
            "llama": a.llama_avx2,
            "formats": ["BF16", "F16", "Q4_0"],
            "kinds": ["bf16", "int4"],
            "peer": [],
            "tests": ["batch"],
        }
        peers.run(argparse.Namespace(**{**options, **held}))
    with open(a.out, "a", encoding="utf-8") as out:
        for i in range(a.rounds):
            for figure in own_figures(a):
                out.write(json.dumps({**figure, "round": i, **peers.cpu()}) + "\n")
                out.flush()
                print(f"{i} {figure}", file=sys.stderr)


class Rates:
    """The figures of one run with one instruction set: best of some formats, round by round."""

    def __init__(self, rows: list[Json], isa: str) -> None:
        self.rows = [j for j in rows if "tool" in j and j["isa"] == isa]

    def best(
        self, test: str, mine: bool, formats: list[str] | None = None
    ) -> tuple[tuple[str, str] | None, dict[int, float]]:
        """Per round the fastest of the formats that is fastest by its median."""
        found: dict[tuple[str, str], dict[int, float]] = {}
        for j in self.rows:
            if (
                j["test"] == test
                and (j["tool"] == "lmzoo") == mine
                and (not formats or j["format"] in formats)
            ):
                found.setdefault((j["tool"], j["format"]), {})[j["round"]] = j["total_tps"]
        name = max(found, key=lambda f: statistics.median(found[f].values()), default=None)
        return (name, found[name]) if name else (None, {})

    def ratio(
        self,
        test: str,
        kinds: list[str] | None,
        formats: list[str] | None,
        peer_test: str | None = None,
    ) -> Seen:
        mine, ours = self.best(test, True, kinds)
        peer, theirs = self.best(peer_test or test, False, formats)
        both = sorted(ours[i] / theirs[i] for i in ours if i in theirs)
        if not both or not mine or not peer:
            return None
        return statistics.median(
            both
        ), f"{mine[1]} / {peer[0]} {peer[1]}; {both[0]:.2f} to {both[-1]:.2f}"


def prefill_ratio(rates: Rates) -> Seen:
    """Against the best of all peers; one whose line has a
    prompt of 512 and more beside it by that prompt's rate."""
    for j in rates.rows:
        if j["test"].startswith("pp512"):
            rates.rows.append({**j, "test": "prefill512", "total_tps": j["prompt_tps"]})
    return rates.ratio("prefill512", None, None)


def rate_targets(rows: list[Json], wide: bool) -> Iterator[tuple[str, float, Seen]]:
    llama, narrow = ["BF16", "F16", "Q8_0", "Q4_0"], ["int8", "int4"]
    best = Rates(rows, "best")
    others = sorted({j["format"] for j in best.rows if j["tool"] not in ("lmzoo", "llama.cpp")})
    yield (
        "batch of 32 against llama.cpp",
        2.5 if wide else 2.0,
        best.ratio("batch32", narrow, llama),
    )
    if others and wide:
        yield "batch of 32 against the other engines", 1.5, best.ratio("batch32", narrow, others)
    yield (
        "batch of 32, bf16 weights",
        1.5 if wide else 1.3,
        best.ratio("batch32", ["bf16"], ["BF16", "F16"]),
    )
    if wide:
        held = Rates(rows, "avx2")
        yield "batch of 32, AVX2 alone", 2.0, held.ratio("batch32", narrow, llama)
        yield (
            "batch of 32, AVX2 alone, bf16 weights",
            1.3,
            held.ratio("batch32", ["bf16"], ["BF16", "F16"]),
        )
    yield "prompt of 512 against all engines", 1.5, prefill_ratio(best)
    yield "one sequence, int4", 1.1, best.ratio("decode", ["int4"], ["Q4_0"])
    yield "one sequence, int8", 1.1, best.ratio("decode", ["int8"], ["Q8_0"])
    yield "one sequence, bf16", 1.1, best.ratio("decode", ["bf16"], ["BF16", "F16"])
    yield "256 rows with the same 512 tokens", 2.0, best.ratio("shared", narrow, ["Q4_0"])


def own_targets(rows: list[Json]) -> Iterator[tuple[str, float, Seen, int]]:
    limits = {
        "read_share": (0.90, "share of the read bandwidth, {}", 1),
        "load_warm": (2, "load to int8 / reading, page cache", -1),
        "load_memory": (2, "load to int8 / reading into memory, page cache", -1),
        "load_cold": (2, "load to int8 / reading, from disk", -1),
        "start": (1, "second start, seconds, {}", -1),
        "memory": (64, "memory over the plan, MiB, {}", -1),
    }
    for figure, fmt in dict.fromkeys((j["figure"], j["format"]) for j in rows if "figure" in j):
        values = sorted(
            float(j["ratio"] if "ratio" in j else j["value"])
            for j in rows
            if j.get("figure") == figure and j["format"] == fmt
        )
        limit, words, sign = limits[figure]
        yield (
            words.format(fmt),
            limit,
            (statistics.median(values), f"{values[0]:.2f} to {values[-1]:.2f}"),
            sign,
        )


def table(a: argparse.Namespace) -> None:
    with open(a.file, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    heads = {(j["cpu"], j["flags"]) for j in rows}
    if len(heads) != 1:
        sys.exit(f"targets: {a.file} holds runs of {len(heads)} CPUs; one is wanted")
    cpu, flags = heads.pop()
    wide = "avx512" in flags
    first = next(j for j in rows if "tool" in j)
    print(
        f"{first['model']}; {cpu}: {flags}; {first['threads']} threads; lmzoo {first['lmzoo']}, "
        f"{first['peer_version']}\n"
    )
    print(
        "| measure | wanted | seen | met | of what, and the range of the rounds "
        "|\n|---|---|---|---|---|"
    )
    found = [(words, limit, seen, 1) for words, limit, seen in rate_targets(rows, wide)] + list(
        own_targets(rows)
    )
    for words, limit, seen, sign in found:
        if seen:
            met = "yes" if sign * seen[0] >= sign * limit else "no"
            print(
                f"| {words} | {'>=' if sign > 0 else '<='} {limit} | {seen[0]:.2f} | {met} | "
                f"{seen[1]} |"
            )
        else:
            print(f"| {words} | {limit} | not run | | |")


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub = ap.add_subparsers(dest="verb", required=True)
    r = sub.add_parser("run")
    peers.add_sides(r)
    r.add_argument("--llama-avx2", help="its programs built for AVX2 alone")
    r.add_argument("--decode", type=int, default=64)
    t = sub.add_parser("table")
    t.add_argument("file")
    drafts.add_options(sub.add_parser("drafts"))
    contexts.add_options(sub.add_parser("contexts"))
    steps.add_options(sub.add_parser("steps"))
    a = ap.parse_args()
    verbs = {"run": run, "table": table, "drafts": drafts.run, "contexts": contexts.run}
    {**verbs, "steps": steps.run}[a.verb](a)


if __name__ == "__main__":
    main()
