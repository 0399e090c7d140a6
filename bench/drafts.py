"""Speculative decoding: its speed-up on sets of prompts, in pairs of runs with and without.

`targets.py drafts` runs prompts/rework.jsonl (answers that repeat parts of their prompt: edits,
summaries, changes of code, extraction to JSON) and prompts/open.jsonl, one sequence and 32
together, and prompts/alike.jsonl (mails of one kind) if --measures names it, with --speculate off
and with --kind (and a draft model) in turn, each run a process of its own. A ratio is within a
round; the table has the median of the rounds and their range. The results of a pair must be the
same bytes. Tokens per step are printed too: they do not depend on other load on the machine.
"""

import argparse
import collections.abc
import os
import re
import statistics
import subprocess
import sys
import tempfile

import peers

PROMPTS = os.path.join(os.path.dirname(os.path.abspath(__file__)), "prompts")
MEASURES = [
    ("rework", 1, 1.8),
    ("open", 1, 0.98),
    ("rework", 32, 0.98),
    ("open", 32, 0.98),
    ("alike", 1, 1.0),
    ("alike", 32, 1.0),
]
USUAL = "rework:1,open:1,rework:32,open:32"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", required=True, help="folder of an instruction model")
    parser.add_argument("--lmzoo", default="build/lmzoo")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rows", type=int, default=0, help="of each set (all)")
    parser.add_argument("--weights", default="auto")
    parser.add_argument(
        "--measures", default=USUAL, help=f"prompts and sequences ({USUAL}); also alike:1, alike:32"
    )
    parser.add_argument("--kind", default="text", help="of --speculate against off (text)")
    parser.add_argument("--draft", help="a draft model beside it")
    parser.add_argument("--draft-weights")


def run_batch(a: argparse.Namespace, name: str, seqs: int, kind: str) -> tuple[float, float, bytes]:
    """New tokens a second, new tokens a step, and the results in a fixed order."""
    with tempfile.TemporaryDirectory() as folder:
        out = os.path.join(folder, "out.jsonl")
        argv = [
            a.lmzoo,
            "batch",
            a.model,
            "-i",
            os.path.join(PROMPTS, name + ".jsonl"),
            "-o",
            out,
            "--quiet",
            "--threads",
            str(a.threads),
            "--max-seqs",
            str(seqs),
            "--weights",
            a.weights,
            "--speculate",
            kind,
            "--order",
            "input",
            "--limit",
            str(a.rows),
        ]
        if kind != "off" and a.draft:
            argv += ["--draft", a.draft] + (
                ["--draft-weights", a.draft_weights] if a.draft_weights else []
            )
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        told = re.search(r"(\d+) new tokens in ([0-9.]+) s", done.stderr)
        steps = re.search(r"in (\d+) steps", done.stderr)
        if done.returncode or not told:
            sys.exit(f"targets: status {done.returncode}: {' '.join(argv)}: {done.stderr.strip()}")
        with open(out, "rb") as file:
            results = file.read()
        new = int(told[1])
        return new / float(told[2]), new / int(steps[1]) if steps else 0.0, results


def pairs(
    a: argparse.Namespace, name: str, seqs: int
) -> collections.abc.Iterator[tuple[float, float, float, float]]:
    for i in range(a.rounds):
        seen = {
            kind: run_batch(a, name, seqs, kind)
            for kind in (["off", a.kind] if i % 2 == 0 else [a.kind, "off"])
        }
        if seen["off"][2] != seen[a.kind][2]:
            sys.exit(f"targets: drafts changed results of {name}, {seqs} together")
        plain, ahead = seen["off"][0], seen[a.kind][0]
        print(f"{name} {seqs}: {plain:.1f} {ahead:.1f}", file=sys.stderr)
        yield ahead / plain, plain, ahead, seen[a.kind][1]


def run(a: argparse.Namespace) -> None:
    machine = peers.cpu()
    print(
        f"{os.path.basename(os.path.normpath(a.model))}; {machine['cpu']}: {machine['flags']}; "
        f"{a.threads} threads\n"
    )
    print(
        "| measure | wanted | seen | met | new tokens a second without and with, tokens a step "
        "with, range |"
    )
    print("|---|---|---|---|---|")
    asked = a.measures.split(",")
    for name, seqs, wanted in MEASURES:
        if f"{name}:{seqs}" not in asked:
            continue
        found = list(pairs(a, name, seqs))
        ratio, plain, ahead, per_step = (
            statistics.median(values) for values in zip(*found, strict=True)
        )
        least, most = min(f[0] for f in found), max(f[0] for f in found)
        met = "yes" if ratio >= wanted else "no"
        words = f"{name} prompts, " + ("one sequence" if seqs == 1 else f"{seqs} together")
        print(
            f"| {words} | >= {wanted} | {ratio:.2f} | {met} | {plain:.1f}, {ahead:.1f}; "
            f"{per_step:.2f}; {least:.2f} to {most:.2f} |",
            flush=True,
        )
