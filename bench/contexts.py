"""Long contexts and shared prefixes: the cost of attention, alone and against another build.

`targets.py contexts` runs `lmzoo bench` in rounds, each run a process of its own: a prompt of 512,
a prompt of 16,384 with 32 new tokens, and 256 rows whose prompts begin with the same 512 tokens.
With --before FILE, the program of an earlier build runs the same in turn, and a ratio is within a
round. The bound of decoding is the machine's read bandwidth over the bytes of weights and of the
cache at that context, each read once. The table has medians of the rounds and their range.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys

import peers

LONG, SHORT, NEW = 16384, 512, 32
ROWS, SHARED, OWN = 256, 512, 16


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="folder of the 1B shape")
    parser.add_argument("--lmzoo", default="build/lmzoo")
    parser.add_argument("--before", help="the program of an earlier build")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="int8")
    parser.add_argument("--cache", default="auto")
    parser.add_argument("--isa", help="instruction set, not above this one")
    parser.add_argument(
        "--only", nargs="*", choices=["context", "shared"], default=["context", "shared"]
    )


def lines_of(a: argparse.Namespace, program: str, verb: str, options: list[str]) -> str:
    argv = [
        program,
        verb,
        a.model,
        "--threads",
        str(a.threads),
        "--weights",
        a.weights,
        "--cache",
        a.cache,
        *options,
    ]
    argv += ["--isa", a.isa] if a.isa and verb == "bench" else []
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"targets: status {done.returncode}: {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def batch(
    a: argparse.Namespace, program: str, rows: int, prompt: int, new: int, shared: int = 0
) -> dict[str, float]:
    options = [
        "--quiet",
        "-r",
        "1",
        "--speculate",
        "off",
        "--machine",
        "--tests",
        "batch",
        "--batch",
        str(rows),
        "--max-seqs",
        str(rows),
        "--prompt",
        str(prompt),
        "--new",
        str(new),
        "--shared",
        str(shared),
        "--context",
        str(prompt + new + 1),
    ]
    found = {}
    for line in lines_of(a, program, "bench", options).splitlines():
        j = json.loads(line)
        found.update(
            {k: j[k] for k in ("prompt_tps", "gen_tps", "read_gb_s", "packed_bytes") if k in j}
        )
    return found


def cache_bytes(a: argparse.Namespace, context: int) -> int:
    plan = lines_of(a, a.lmzoo, "plan", ["--context", str(context), "--max-seqs", "1"])
    found = re.search(r"together\s+(\d+)", plan)
    if not found:
        sys.exit(f"targets: no line of caches in the plan: {plan}")
    return int(found[1])


def measure(a: argparse.Namespace, program: str) -> dict[str, float]:
    seen: dict[str, float] = {}
    if "context" in a.only:
        short = batch(a, program, 1, SHORT, NEW)
        long = batch(a, program, 1, LONG, NEW)
        bytes_read = long["packed_bytes"] + cache_bytes(a, LONG)
        seen["prompt, 16,384 / 512"] = long["prompt_tps"] / short["prompt_tps"]
        seen["prompt of 16,384, tokens/s"] = long["prompt_tps"]
        seen["decode at 16,384, tokens/s"] = long["gen_tps"]
        seen["decode at 16,384 / its bound"] = (
            long["gen_tps"] * bytes_read / (long["read_gb_s"] * 1e9)
        )
    if "shared" in a.only:
        seen["256 rows, 512 shared, new tokens/s"] = batch(
            a, program, ROWS, SHARED + OWN, NEW, SHARED
        )["gen_tps"]
    print(f"{program}: {seen}", file=sys.stderr, flush=True)
    return seen


def run(a: argparse.Namespace) -> None:
    machine = peers.cpu()
    rounds: list[tuple[dict[str, float], dict[str, float]]] = []
    for i in range(a.rounds):
        order = [a.lmzoo, a.before] if i % 2 else [a.before, a.lmzoo]
        seen = {program: measure(a, program) for program in order if program}
        rounds.append((seen[a.lmzoo], seen.get(a.before or "", {})))
    print(
        f"{os.path.basename(os.path.normpath(a.model))}; {machine['cpu']}: {machine['flags']}; "
        f"{a.threads} threads; "
        f"weights {a.weights}, cache {a.cache}, isa {a.isa or 'best'}; {a.rounds} rounds\n"
    )
    print("| measure | seen | range | against the build before | range |\n|---|---|---|---|---|")
    for name in rounds[0][0]:
        values = [now[name] for now, _ in rounds]
        ratios = [now[name] / before[name] for now, before in rounds if name in before] or [
            float("nan")
        ]
        print(
            f"| {name} | {statistics.median(values):.2f} | {min(values):.2f} to {max(values):.2f} "
            "| "
            f"{statistics.median(ratios):.2f} | {min(ratios):.2f} to {max(ratios):.2f} |"
        )
