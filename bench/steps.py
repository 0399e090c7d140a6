"""Fewer steps and longer contexts: every figure of that table, taken in turn, in one command.

    targets.py steps --model 1B --instruct SMALL --experts FOLDER ... --out results.jsonl
                     [--predict FOLDER ...] [--llama BIN --gguf FOLDER] [--before LMZOO]
                     [--only FIGURE ...] [--rounds 3]

A figure is one run of one program; a round takes each figure once, odd rounds in reverse, so that
the two sides of a ratio lie close together. Figures that --out already holds for a round are not
taken again, so a table may be made in several sittings; --only takes those whose names begin so.
Then the table is printed from all of --out: a ratio is within a round, of which it has the median
and the range.

BIN holds llama-batched-bench and llama-server; GGUF_FOLDER/NAME.FORMAT.gguf are the weights of
each folder NAME. llama.cpp reads long prompts with flash attention and a 16-bit cache as ours;
its lookup is the fastest of --spec-type's n-gram kinds that --lookup names. --before is an earlier
build of lmzoo for the rows that are compared with it. Folders of --predict are models with a
prediction layer (random_model.py makes some whose drafts come true as often as wanted).

Only the standard library is used.
"""

import argparse
import itertools
import json
import math
import os
import re
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

import contexts
import drafts
import peers

Json: TypeAlias = dict[str, Any]
Figures: TypeAlias = dict[str, dict[int, Json]]  # by name and round
Row: TypeAlias = tuple[str, str, float | None, list[float]]  # measure, of what, limit, rounds

SETS = ("rework:1", "open:1", "rework:32", "open:32")
KINDS = {"int8": "Q8_0", "int4": "Q4_0", "bf16": "BF16"}
DEEP = "deepseek-v3-8l"


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", help="folder of the 1B shape")
    parser.add_argument("--instruct", help="folder of an instruction model")
    parser.add_argument("--experts", nargs="*", default=[], help="folders of expert shapes")
    parser.add_argument("--predict", nargs="*", default=[], help="folders of prediction layers")
    parser.add_argument("--llama", help="folder of llama.cpp's programs")
    parser.add_argument("--gguf", help="folder of NAME.FORMAT.gguf")
    parser.add_argument("--lookup", nargs="*", default=["ngram-simple", "ngram-mod"])
    parser.add_argument("--lmzoo", default="build/lmzoo")
    parser.add_argument("--latent", default="build/bench/bench_latent")
    parser.add_argument("--before", help="the program of an earlier build")
    parser.add_argument("--threads", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--weights", default="int8", help="of lmzoo, llama.cpp's of that width")
    parser.add_argument("--rows", type=int, default=0, help="of each set of prompts (all)")
    parser.add_argument("--long", type=int, default=16384, help="tokens of the long prompt")
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--out", required=True)


def name_of(folder: str) -> str:
    return os.path.basename(os.path.normpath(folder))


def output_of(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(f"targets: status {done.returncode}: {' '.join(argv)}: {done.stderr.strip()}")
    return done.stdout


def text_figure(a: argparse.Namespace, name: str, seqs: int, kind: str) -> Json:
    options = argparse.Namespace(**vars(a), draft=None, draft_weights=None)
    options.model = a.instruct
    tps, per_step, _ = drafts.run_batch(options, name, seqs, kind)
    return {"tps": tps, "per_step": per_step}


def context_figure(a: argparse.Namespace, program: str, *sizes: int) -> Json:
    options = argparse.Namespace(**vars(a), cache="auto", isa=None)
    found: Json = dict(contexts.batch(options, program, *sizes))
    found["cache_bytes"] = contexts.cache_bytes(options, sizes[1])
    return found


def bench_figure(a: argparse.Namespace, folder: str, kind: str, options: list[str]) -> Json:
    argv = [a.lmzoo, "bench", folder, "--quiet", "-r", "1", "--threads", str(a.threads)]
    argv += ["--weights", kind, "--machine", *options]
    found: Json = {}
    for line in output_of(argv).splitlines():
        found.update(json.loads(line))
    return found


def crossover_figure(a: argparse.Namespace) -> Json:
    """Tokens from which rows that choose keys are faster; scores, choice, gathering included."""
    found = re.search(r"pays from about (\d+) tokens", output_of([a.latent]))
    return {"tokens": float(found[1]) if found else math.inf}


def gguf(a: argparse.Namespace, folder: str, fmt: str) -> str:
    return os.path.join(a.gguf, f"{name_of(folder)}.{fmt}.gguf")


def llama_figure(a: argparse.Namespace, folder: str, fmt: str, sizes: tuple[int, int, int]) -> Json:
    n_seqs, n_prompt, n_new = sizes
    argv = [os.path.join(a.llama, "llama-batched-bench"), "-m", gguf(a, folder, fmt)]
    argv += ["-c", str(n_seqs * (n_prompt + n_new)), "-b", "2048", "-ub", "512", "-fa", "on"]
    argv += ["-npp", str(n_prompt), "-ntg", str(n_new), "-npl", str(n_seqs)]
    argv += ["-t", str(a.threads), "-tb", str(a.threads), "--output-format", "jsonl"]
    for line in output_of(argv).splitlines():
        if '"speed_tg"' in line:
            j = json.loads(line[line.index("{") :])
            return {"prompt_tps": j["speed_pp"], "gen_tps": j["speed_tg"], "total_tps": j["speed"]}
    sys.exit(f"targets: no figure from {' '.join(argv)}")


def ask(port: int, path: str, body: Json | None = None) -> Json:
    url = f"http://127.0.0.1:{port}{path}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=600) as answer:
        found: Json = json.load(answer)
        return found


def wait_for(port: int, server: "subprocess.Popen[bytes]") -> None:
    for _ in range(600):
        try:
            ask(port, "/health")
            return
        except OSError:
            if server.poll() is not None:
                sys.exit(f"targets: llama-server ended with status {server.returncode}")
            time.sleep(0.1)
    sys.exit("targets: llama-server does not answer")


def lookup_figure(a: argparse.Namespace, name: str, how: str) -> Json:
    """New tokens a second, reading of prompts included, of llama-server with its own drafts."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    argv = [os.path.join(a.llama, "llama-server"), "-m", gguf(a, a.instruct, KINDS[a.weights])]
    argv += ["--port", str(port), "-c", "4096", "-np", "1", "-t", str(a.threads), "--jinja"]
    argv += ["--spec-type", how, "--cache-ram", "0"]
    new, seconds, kept = 0, 0.0, 0
    server = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, server)
        with open(os.path.join(drafts.PROMPTS, name + ".jsonl"), encoding="utf-8") as file:
            bodies = [json.loads(line)["body"] for line in file]
        for body in bodies[: a.rows or None]:
            t = ask(port, "/v1/chat/completions", {**body, "cache_prompt": False})["timings"]
            new += t["predicted_n"]
            seconds += (t["prompt_ms"] + t["predicted_ms"]) / 1000
            kept += t.get("draft_n_accepted", 0)
    finally:
        server.terminate()
        server.wait()
    return {"tps": new / seconds, "accepted": kept, "new": new}


def figures(a: argparse.Namespace) -> dict[str, Callable[[], Json]]:
    """What can be taken with the folders and programs that were given, in order."""
    found: dict[str, Callable[[], Json]] = {}

    def add(name: str, fn: Callable[..., Json], *args: object) -> None:
        found[name] = lambda: fn(a, *args)

    for measure in SETS if a.instruct else ():
        name, seqs = measure.split(":")
        for kind in ("off", "text"):
            add(f"text {measure} {kind}", text_figure, name, int(seqs), kind)
    for how in a.lookup if a.llama and a.instruct else ():
        add(f"text lookup {how}", lookup_figure, "rework", how)
    if a.model:
        add("context short", context_figure, a.lmzoo, 1, contexts.SHORT, contexts.NEW)
        add("context long", context_figure, a.lmzoo, 1, a.long, contexts.NEW)
        shared = (contexts.ROWS, contexts.SHARED + contexts.OWN, contexts.NEW, contexts.SHARED)
        for side, program in (("now", a.lmzoo), ("before", a.before)):
            if program:
                add(f"shared {side}", context_figure, program, *shared)
    if a.model and a.llama:
        long = (1, a.long, contexts.NEW)
        add("context llama", llama_figure, a.model, KINDS[a.weights], long)
    one = ["--tests", "batch", "--batch", "1", "--prompt", "16", "--new", "192"]
    for folder in a.predict:
        for kind in ("off", "mtp"):
            options = [*one, "--speculate", kind]
            add(f"predict {name_of(folder)} {kind}", bench_figure, folder, a.weights, options)
    batch = ["--tests", "batch", "--batch", "32", "--prompt", "64", "--new", "32"]
    few = ["--tests", "batch", "--batch", "32", "--prompt", "1", "--new", "32"]
    for folder in a.experts:
        name = name_of(folder)
        for kind, fmt in (("int8", "Q8_0"), ("int4", "Q4_0")):
            add(f"experts {name} lmzoo {kind}", bench_figure, folder, kind, batch)
            if a.llama:
                add(f"experts {name} llama.cpp {fmt}", llama_figure, folder, fmt, (32, 64, 32))
        add(f"experts {name} few", bench_figure, folder, "int8", few)
        many = ["--tests", "prefill", "--prefill", "512"]
        add(f"experts {name} many", bench_figure, folder, "int8", many)
        for n in (4096, a.long) if name == DEEP else ():
            prompt = ["--tests", "batch", "--batch", "1", "--prompt", str(n), "--new", "1"]
            options = [*prompt, "--context", str(n + 2)]
            add(f"latent {n}", bench_figure, folder, "int8", options)
    if os.path.exists(a.latent):
        add("sparse crossover", crossover_figure)
    return found


def take(a: argparse.Namespace) -> None:
    have = {(j["figure"], j["round"]) for j in read(a.out)}
    for i in range(a.rounds):
        todo = list(figures(a).items())
        for name, fn in reversed(todo) if i % 2 else todo:
            wanted = not a.only or any(name.startswith(o) for o in a.only)
            if not wanted or (name, i) in have:
                continue
            seen = fn()
            line = {"figure": name, "round": i, **seen, **peers.cpu(), "threads": a.threads}
            with open(a.out, "a", encoding="utf-8") as out:
                out.write(json.dumps(line) + "\n")
            brief = {k: v for k, v in seen.items() if isinstance(v, float)}
            print(f"{i} {name}: {brief}", file=sys.stderr, flush=True)


def read(path: str) -> list[Json]:
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def ratios(f: Figures, name: str, other: str, key: str) -> list[float]:
    mine, theirs = f.get(name, {}), f.get(other, {})
    return [mine[i][key] / theirs[i][key] for i in sorted(mine) if i in theirs]


def values(f: Figures, name: str, key: str) -> list[float]:
    return [j[key] for _, j in sorted(f.get(name, {}).items()) if key in j]


def best(f: Figures, prefix: str, key: str) -> str:
    """The figure that is fastest by its median of those whose names begin so."""
    names = [n for n in f if n.startswith(prefix)]
    return max(names, key=lambda n: statistics.median(values(f, n, key)), default=prefix)


def text_rows(f: Figures) -> Iterator[Row]:
    for measure in SETS:
        name, seqs = measure.split(":")
        words = f"{name} prompts, " + ("one sequence" if seqs == "1" else f"{seqs} together")
        limit = 1.8 if measure == "rework:1" else 0.98
        on, off = f"text {measure} text", f"text {measure} off"
        yield words, "with speculation / without", limit, ratios(f, on, off, "tps")
    peer = best(f, "text lookup", "tps")
    words = f"lmzoo / llama.cpp {peer.split()[-1]}"
    yield (
        "rework prompts against llama.cpp's lookup",
        words,
        1.5,
        ratios(f, "text rework:1 text", peer, "tps"),
    )


def predict_rows(f: Figures) -> Iterator[Row]:
    for name in dict.fromkeys(n.split()[1] for n in f if n.startswith("predict ")):
        on = f"predict {name} mtp"
        share = [j["accepted_tokens"] / max(j["drafted_tokens"], 1) for j in f.get(on, {}).values()]
        came = f"{100 * statistics.median(share):.0f} % of drafts came" if share else ""
        seen = ratios(f, on, f"predict {name} off", "gen_tps")
        yield f"{name}, one sequence, --speculate mtp / off", came, None, seen


def bound_shares(f: Figures) -> list[float]:
    """Decoding's rate over that of reading weights and caches once."""
    found = []
    for _, j in sorted(f.get("context long", {}).items()):
        bytes_read = j["packed_bytes"] + j["cache_bytes"]
        found.append(j["gen_tps"] * bytes_read / (j["read_gb_s"] * 1e9))
    return found


def context_rows(f: Figures, a: argparse.Namespace) -> Iterator[Row]:
    long, n = "context long", f"{a.long:,}"
    limit = 0.5 if re.search("amx|avx512_bf16", str(peers.cpu()["flags"])) else 0.4
    yield f"decoding at {n}, share of its bound", "", 0.85, bound_shares(f)
    yield f"prompt of {n} / of 512", "", limit, ratios(f, long, "context short", "prompt_tps")
    for words, key in ((f"prompt of {n}", "prompt_tps"), (f"decoding at {n}", "gen_tps")):
        against = ratios(f, long, "context llama", key)
        yield f"{words} against llama.cpp", "flash attention, 16-bit cache", 2.0, against
    against = ratios(f, "shared now", "shared before", "gen_tps")
    yield "256 rows with 512 shared tokens, new tokens", "this build / before", 1.3, against


def expert_rows(f: Figures) -> Iterator[Row]:
    names = dict.fromkeys(n.split()[1] for n in f if n.startswith("experts "))
    for name in names:
        mine = best(f, f"experts {name} lmzoo", "total_tps")
        peer = best(f, f"experts {name} llama.cpp", "total_tps")
        words = f"{mine.split()[-1]} / {peer.split()[-1]}"
        yield (
            f"{name}, batch of 32 against llama.cpp",
            words,
            2.5,
            ratios(f, mine, peer, "total_tps"),
        )
        few, many = f"experts {name} few", f"experts {name} many"
        yield f"{name}, steps of 32 rows", "read bandwidth", 0.85, values(f, few, "read_share")
        yield f"{name}, prompt of 512", "product's peak", 0.70, values(f, many, "peak_share")
    for name in (n for n in f if n.startswith("latent ")):
        words = f"{DEEP}, prompt of {int(name.split()[1]):,}"
        yield words, "tokens/s", None, values(f, name, "prompt_tps")
    yield "tokens from which choosing keys pays", "", -2200, values(f, "sparse crossover", "tokens")


def cells(limit: float | None, seen: list[float]) -> str:
    if not seen:
        return f"{'' if limit is None else f'{abs(limit):g}'} | not run | |"
    middle = statistics.median(seen)
    if limit is None:
        return f" | {middle:.2f} | |"
    met = middle >= limit if limit > 0 else middle <= -limit
    return (
        f"{'>=' if limit > 0 else '<='} {abs(limit):g} | {middle:.2f} | {'yes' if met else 'no'} |"
    )


def table(a: argparse.Namespace) -> None:
    lines = read(a.out)
    heads = {(j["cpu"], j["flags"], j["threads"]) for j in lines}
    if len(heads) != 1:
        sys.exit(f"targets: {a.out} holds runs of {len(heads)} CPUs or counts of threads, not of 1")
    cpu, flags, threads = heads.pop()
    found: Figures = {}
    for j in lines:
        found.setdefault(j["figure"], {})[j["round"]] = j
    print(f"{cpu}: {flags}; {threads} threads; lmzoo's weights {a.weights}\n")
    print("| measure | wanted | seen | met | of what, and the range of the rounds |")
    print("|---|---|---|---|---|")
    rows = (text_rows(found), predict_rows(found), context_rows(found, a), expert_rows(found))
    for words, of, limit, seen in itertools.chain(*rows):
        spread = f"{min(seen):.2f} to {max(seen):.2f} of {len(seen)}" if seen else ""
        print(f"| {words} | {cells(limit, seen)} {'; '.join(x for x in (of, spread) if x)} |")


def run(a: argparse.Namespace) -> None:
    take(a)
    table(a)
