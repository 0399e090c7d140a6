#!/usr/bin/env python3
"""Times lmzoo and llama.cpp on the same model folder in one run, turn by turn.

    bench/peers.py run --model HF_FOLDER --llama BIN_FOLDER --gguf PREFIX --out results.jsonl
    bench/peers.py table results.jsonl

BIN_FOLDER holds llama-bench and llama-batched-bench. PREFIX.FORMAT.gguf are the folder's weights as
llama.cpp's convert_hf_to_gguf.py and llama-quantize wrote them. Another engine joins with
--peer 'NAME FORMAT COMMAND ...', whose output has one JSON object a line with the keys test,
prompt_tps, gen_tps and total_tps.

A round runs every engine and every format once, one after the other, each in a process of its own;
rounds repeat. A ratio is taken between figures of one round, and the median of the rounds is
printed: whatever slows the machine for minutes slows both sides. Rates count the tokens of all
sequences.

Tests (of --tests):
  batchB    B sequences with --prompt tokens each, then --new tokens each (B of --batches)
  prefillN  one prompt of N tokens (N of --prefills)
  decode    one sequence, --decode new tokens from an empty context
  shared    --shared-rows sequences whose prompts are the same --shared-prefix tokens, --new tokens
            each; llama.cpp with -pps -kvu, which reads the prompt once

Only the standard library is used.
"""

import argparse
import json
import os
import re
import shlex
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TextIO, TypeAlias

Json: TypeAlias = dict[str, Any]

FLAGS = [
    "avx2",
    "fma",
    "f16c",
    "avx_vnni",
    "avx512f",
    "avx512bw",
    "avx512dq",
    "avx512vl",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_bf16",
    "amx_int8",
    "neon",
]


def cpu() -> Json:
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        text = f.read()
    name = re.search(r"model name\s*: (.*)", text)
    family = re.search(r"cpu family\s*: (.*)", text)
    model = re.search(r"^model\s*: (.*)", text, re.M)
    flags = re.search(r"flags\s*: (.*)", text)
    have = set(flags[1].split() if flags else ())
    return {
        "cpu": " ".join(
            [name[1] if name else "?"]
            + [f"{k} {m[1]}" for k, m in (("family", family), ("model", model)) if m]
        ),
        "flags": " ".join(f for f in FLAGS if f in have),
        "processors": os.cpu_count(),
    }


def json_lines(argv: list[str], log: TextIO) -> list[Json]:
    """The JSON objects that a command prints; its whole output goes to the log."""
    done = subprocess.run(
        argv, stdout=subprocess.PIPE, stderr=log, text=True, stdin=subprocess.DEVNULL
    )
    log.write("$ " + shlex.join(argv) + "\n" + done.stdout)
    log.flush()
    if done.returncode:
        sys.exit(f"peers: status {done.returncode}: {shlex.join(argv)} (see {log.name})")
    lines = [line[line.index("{") :] for line in done.stdout.splitlines() if "{" in line]
    return [json.loads(line) for line in lines if line.rstrip().endswith("}")]


def rates(test: str, prompt: float, gen: float, total: float) -> Json:
    return {"test": test, "prompt_tps": prompt, "gen_tps": gen, "total_tps": total}


def llama_batched(
    a: argparse.Namespace,
    gguf: str,
    log: TextIO,
    batch: int,
    n_prompt: int,
    n_new: int,
    extra: list[str],
) -> Json:
    n = n_prompt + batch * n_new if extra else batch * (n_prompt + n_new)
    argv = [
        os.path.join(a.llama, "llama-batched-bench"),
        "-m",
        gguf,
        "-c",
        str(n),
        "-b",
        "2048",
        "-ub",
        "512",
        "-npp",
        str(n_prompt),
        "-ntg",
        str(n_new),
        "-npl",
        str(batch),
        "-t",
        str(a.threads),
        "-tb",
        str(a.threads),
        "--output-format",
        "jsonl",
        *extra,
    ]
    found = [j for j in json_lines(argv, log) if "speed_tg" in j]
    if not found:
        sys.exit(f"peers: no figure from {shlex.join(argv)} (see {log.name})")
    return found[0]


def run_llama(a: argparse.Namespace, fmt: str, log: TextIO) -> Iterator[Json]:
    gguf = f"{a.gguf}.{fmt}.gguf"
    for b in a.batches if "batch" in a.tests else []:
        j = llama_batched(a, gguf, log, b, a.prompt, a.new, [])
        yield rates(f"batch{b}", j["speed_pp"], j["speed_tg"], j["speed"])
    if "shared" in a.tests:
        j = llama_batched(a, gguf, log, a.shared_rows, a.shared_prefix, a.new, ["-pps", "-kvu"])
        n = a.shared_rows * (a.shared_prefix + a.new)
        seconds = j["t_pp"] + j["t_tg"]
        yield rates("shared", 0, j["speed_tg"], n / seconds)
    singles = [("-p", str(n)) for n in a.prefills if "prefill" in a.tests]
    n_new = a.decode if "decode" in a.tests else 0
    if singles or n_new:
        argv = [
            os.path.join(a.llama, "llama-bench"),
            "-m",
            gguf,
            "-t",
            str(a.threads),
            "-r",
            "1",
            "-o",
            "jsonl",
        ]
        argv += ["-p", ",".join(n for _, n in singles) or "0", "-n", str(n_new)]
        for j in json_lines(argv, log):
            if j["n_prompt"] > 0:
                yield rates(f"prefill{j['n_prompt']}", j["avg_ts"], 0, j["avg_ts"])
            else:
                yield rates("decode", 0, j["avg_ts"], j["avg_ts"])


def zoo(a: argparse.Namespace, kind: str, log: TextIO, extra: list[str]) -> list[Json]:
    weights, _, cache = kind.partition("+")
    argv = [
        a.lmzoo,
        "bench",
        a.model,
        "--quiet",
        "--weights",
        weights,
        "--threads",
        str(a.threads),
        "-r",
        "1",
    ]
    argv += ["--cache", cache] if cache else []
    argv += ["--isa", a.isa] if a.isa else []
    return json_lines(argv + a.zoo_options + extra, log)


def run_zoo(a: argparse.Namespace, kind: str, log: TextIO) -> Iterator[Json]:
    tests = [t for t in ("prefill", "decode") if t in a.tests]
    calls = [
        ["--tests", ",".join(tests[:1]), "--prefill", str(n)]
        for n in a.prefills
        if "prefill" in tests
    ]
    if "decode" in tests:
        calls.append(["--tests", "decode", "--decode", str(a.decode)])
    for b in a.batches if "batch" in a.tests else []:
        calls.append(
            ["--tests", "batch", "--batch", str(b), "--prompt", str(a.prompt), "--new", str(a.new)]
        )
    for call in calls:
        for j in zoo(a, kind, log, call):
            if j["test"] == "load":
                continue
            name = {"prefill": f"prefill{j['prompt_tokens']}", "batch": f"batch{j['batch']}"}.get(
                j["test"], "decode"
            )
            total = j["gen_tps"] if name == "decode" else j["total_tps"]
            yield rates(name, j["prompt_tps"], j["gen_tps"], total)
    if "shared" in a.tests:
        shared = [
            "--tests",
            "batch",
            "--batch",
            str(a.shared_rows),
            "--prompt",
            str(a.shared_prefix),
            "--shared",
            str(a.shared_prefix),
            "--new",
            str(a.new),
            "--max-seqs",
            str(a.shared_rows),
        ]
        for j in zoo(a, kind, log, shared):
            if j["test"] == "batch":
                yield rates("shared", 0, j["gen_tps"], j["total_tps"])


def run_peer(command: list[str], log: TextIO) -> Iterator[Json]:
    for j in json_lines(command, log):
        if "test" in j and "total_tps" in j:
            test = j["test"].replace("batched", "batch").replace("single", "decode")
            yield rates(test, j.get("prompt_tps") or 0, j.get("gen_tps") or 0, j["total_tps"])


def output_of(argv: list[str]) -> str:
    try:
        return subprocess.run(argv, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def run(a: argparse.Namespace) -> None:
    head = {
        **cpu(),
        "model": os.path.basename(os.path.normpath(a.model)),
        "isa": a.isa or "best",
        "threads": a.threads,
        "lmzoo": output_of(
            ["git", "-C", os.path.dirname(__file__) or ".", "describe", "--always", "--dirty"]
        ),
        "peer_version": a.version,
    }
    sides: list[tuple[str, str, Callable[[TextIO], Iterator[Json]]]]
    sides = [("llama.cpp", f, partial(run_llama, a, f)) for f in a.formats]
    for peer in a.peer:
        words = shlex.split(peer)
        sides.append((words[0], words[1], partial(run_peer, words[2:])))
    sides += [("lmzoo", k, partial(run_zoo, a, k)) for k in a.kinds]
    with (
        open(a.out, "a", encoding="utf-8") as out,
        open(a.out + ".log", "a", encoding="utf-8") as log,
    ):
        for i in range(a.rounds):
            for tool, fmt, go in sides:
                for r in go(log):
                    line = {
                        "tool": tool,
                        "format": fmt,
                        **r,
                        "round": i,
                        "load1": round(os.getloadavg()[0], 2),
                        "time": time.strftime("%Y-%m-%dT%H:%MZ", time.gmtime()),
                        **head,
                    }
                    out.write(json.dumps(line) + "\n")
                    out.flush()
                    print(f"{i} {tool} {fmt} {r['test']}: {r['total_tps']:.1f}", file=sys.stderr)


def key_of(j: Json) -> tuple[str, str]:
    return j["tool"], j["format"]


def best_of(
    rows: list[Json], test: str, tool: str, rounds: int
) -> tuple[str | None, dict[int, float]]:
    """Name and medians of the fastest format of a tool: {round: total_tps}."""
    found: dict[str, dict[int, float]] = {}
    for j in rows:
        if j["test"] == test and j["tool"] == tool:
            found.setdefault(j["format"], {})[j["round"]] = j["total_tps"]
    found = {f: v for f, v in found.items() if len(v) == rounds}
    return (
        max(found.items(), key=lambda x: statistics.median(x[1].values())) if found else (None, {})
    )


def table(a: argparse.Namespace) -> None:
    with open(a.file, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    for head in sorted({(j["model"], j["isa"], j["cpu"], j["flags"]) for j in rows}):
        part = [j for j in rows if (j["model"], j["isa"], j["cpu"], j["flags"]) == head]
        rounds = len({j["round"] for j in part})
        print(
            f"\n{head[0]}, instruction set {head[1]}; {head[2]}: {head[3]}; "
            f"{part[0]['threads']} threads; lmzoo {part[-1]['lmzoo']}, {part[0]['peer_version']}; "
            f"medians of {rounds} round{'s' if rounds > 1 else ''}\n"
        )
        print(
            "| test | engine | format | prompt | generation | total tokens/s "
            "| lmzoo's best / this |"
        )
        print("|---|---|---|---|---|---|---|")
        for test in dict.fromkeys(j["test"] for j in part):
            mine, ours = best_of(part, test, "lmzoo", rounds)
            for tool, fmt in dict.fromkeys(key_of(j) for j in part if j["test"] == test):
                v = {j["round"]: j for j in part if j["test"] == test and key_of(j) == (tool, fmt)}
                mid = [
                    statistics.median(j[k] for j in v.values())
                    for k in ("prompt_tps", "gen_tps", "total_tps")
                ]
                both = [ours[r] / v[r]["total_tps"] for r in v if r in ours]
                ratio = (
                    f"{statistics.median(both):.2f}"
                    if both and (tool, fmt) != ("lmzoo", mine)
                    else ""
                )
                cells = [f"{x:.1f}" if x else "" for x in mid]
                print(f"| {test} | {tool} | {fmt} | {' | '.join(cells)} | {ratio} |")


def add_sides(parser: argparse.ArgumentParser) -> None:
    """What every run needs: the model, the engines, threads and rounds."""
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--model", required=True)
    parser.add_argument("--llama", required=True, help="folder of llama.cpp's programs")
    parser.add_argument("--gguf", required=True, help="PREFIX of PREFIX.FORMAT.gguf")
    parser.add_argument("--out", required=True)
    parser.add_argument("--lmzoo", default=os.path.join(here, "..", "build", "lmzoo"))
    parser.add_argument("--peer", action="append", default=[], help="'NAME FORMAT COMMAND ...'")
    parser.add_argument("--version", default="", help="of the peers, for the table's head")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sub = ap.add_subparsers(dest="verb", required=True)
    r = sub.add_parser("run")
    add_sides(r)
    r.add_argument("--isa", help="for lmzoo, as avx2 beside an AVX2 build of the peer")
    r.add_argument("--formats", nargs="*", default=["BF16", "Q8_0", "Q4_0"])
    r.add_argument(
        "--kinds",
        nargs="*",
        default=["bf16", "int8", "int4"],
        help="WEIGHTS or WEIGHTS+CACHE of lmzoo",
    )
    r.add_argument("--tests", nargs="+", default=["batch", "prefill", "decode"])
    r.add_argument("--batches", nargs="+", type=int, default=[32])
    r.add_argument("--prefills", nargs="+", type=int, default=[512])
    r.add_argument("--prompt", type=int, default=64)
    r.add_argument("--new", type=int, default=32)
    r.add_argument("--decode", type=int, default=32)
    r.add_argument("--shared-rows", type=int, default=256)
    r.add_argument("--shared-prefix", type=int, default=512)
    r.add_argument(
        "--zoo-options", nargs=argparse.REMAINDER, default=[], help="more options of lmzoo bench"
    )
    t = sub.add_parser("table")
    t.add_argument("file")
    a = ap.parse_args()
    run(a) if a.verb == "run" else table(a)


if __name__ == "__main__":
    main()
