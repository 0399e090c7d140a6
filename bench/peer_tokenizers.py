"""peer_tokenizers.py: the speed of encoding, beside HF tokenizers and llama.cpp, in one run.

    python peer_tokenizers.py TOKENIZERS --work FOLDER [--llama SOURCE --llama-build BUILD]
                         [--names llama3,qwen3,...] [--mb 50] [--rounds 3] [--text FILE]

TOKENIZERS is a folder with NAME.tokenizer.json files. Every tool encodes the same texts with one
thread, cold, in a process of its own; the tools take turns, --rounds times, and the figure is the
CPU time of the best round (loading is not counted). HF runs its fastest call
(`encode_batch_fast`, no offsets) in batches of 32 texts. llama.cpp gets a vocabulary file that is
written here with the package gguf, and the pre-tokenizer that its own converter would name. The ids
of the three are compared; the table notes a tool with different ids.

Texts: --text, separated by the byte 0x1e, or gathered from this machine: program sources and
documentation of the Python environment and of /usr/share, 60 and 25 %, and messages in other
languages (*.mo), 15 %, in pieces of at most 32 KiB.

Needs tokenizers, numpy and gguf; for llama.cpp its source, a static build of it and c++.
LMZOO_BUILD names the build folder (../build).
"""

import argparse
import gettext
import json
import os
import platform
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any

HERE = os.path.dirname(os.path.abspath(__file__))
# What llama.cpp calls the pre-tokenizer; None: a SentencePiece vocabulary.
PRE = {
    "llama3": "llama-bpe",
    "qwen3": "qwen2",
    "gpt2": "gpt-2",
    "gpt-oss": "gpt-4o",
    "deepseek-v3": "deepseek-v3",
    "deepseek-llm": "deepseek-llm",
    "mistral-tekken": "tekken",
    "gpt_neox": "olmo",
    "llama2": None,
    "mistral01": None,
    "mistral03": None,
}
PIECE = 32768


# ---- texts ----


def files(folders: list[str], ends: tuple[str, ...]) -> Iterator[str]:
    for folder in folders:
        for place, inner, names in os.walk(folder):
            inner.sort()
            for name in sorted(names):
                if name.endswith(ends):
                    yield os.path.join(place, name)


def pieces(path: str) -> Iterator[str]:
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError):
        return
    for at in range(0, min(len(text), 40 * PIECE), PIECE):
        yield text[at : at + PIECE]


def messages(path: str) -> Iterator[str]:
    try:
        with open(path, "rb") as file:
            catalog: dict[Any, str] = vars(gettext.GNUTranslations(file))["_catalog"]
    except (OSError, ValueError, LookupError):
        return
    text = "\n".join(v for k, v in catalog.items() if isinstance(k, str) and k)
    for at in range(0, len(text), PIECE // 2):
        yield text[at : at + PIECE // 2]


def gather(
    paths: Iterable[str], read: Callable[[str], Iterator[str]], size: float
) -> tuple[list[str], int]:
    """About `size` bytes of files in a fixed random order."""
    order = list(paths)
    random.Random(7).shuffle(order)
    out: list[str] = []
    n = 0
    for path in order:
        for text in read(path):
            if n >= size:
                return out, n
            out.append(text.replace("\x1e", " ").replace("\0", " "))
            n += len(out[-1].encode())
    return out, n


def make_texts(path: str, size: float) -> None:
    env = [os.path.dirname(os.__file__), os.path.join(sys.prefix, "lib")]
    code, n_code = gather(files(env, (".py", ".h", ".cpp")), pieces, 0.60 * size)
    other, n_other = gather(files(["/usr/share"], (".mo",)), messages, 0.15 * size)
    prose, _ = gather(
        files([*env, "/usr/share"], (".md", ".rst", ".txt", ".html")),
        pieces,
        size - n_code - n_other,
    )
    texts = code + other + prose
    random.Random(8).shuffle(texts)
    with open(path, "wb") as file:
        file.write("\x1e".join(texts).encode())


# ---- tools ----


def run(command: list[str]) -> tuple[float, int] | str:
    done = subprocess.run(
        command,
        capture_output=True,
        check=False,
        env={**os.environ, "TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"},
    )
    if done.returncode:
        return done.stderr.decode()[-300:]
    seconds, n = done.stdout.split()[-2:]
    return float(seconds), int(n)


HF = """
import sys, time, array
from tokenizers import Tokenizer
t = Tokenizer.from_file(sys.argv[1])
t.no_truncation(); t.no_padding()
texts = open(sys.argv[2], "rb").read().decode().split("\\x1e")
ids = []
spent = 0.0
for at in range(0, len(texts), 32):
    part = texts[at:at + 32]
    begin = time.process_time()
    out = t.encode_batch_fast(part, add_special_tokens=False)
    spent += time.process_time() - begin
    for e in out:
        ids.append(array.array("I", e.ids))
n = sum(len(x) for x in ids)
with open(sys.argv[3], "wb") as f:
    for x in ids:
        x.tofile(f)
print("%.3f %d" % (spent, n))
"""


def write_gguf(name: str, source: str, path: str) -> None:
    import gguf

    with open(source, encoding="utf-8") as file:
        spec = json.load(file)
    vocab = dict(spec["model"]["vocab"])
    special = {}
    for token in spec["added_tokens"]:
        vocab.setdefault(token["content"], token["id"])
        special[token["content"]] = token["special"]
    size = max(vocab.values()) + 1
    tokens, types = [f"[hole{i}]" for i in range(size)], [gguf.TokenType.UNUSED] * size
    pre = PRE[name]
    is_spm = pre is None
    for text, i in vocab.items():
        tokens[i] = text
        types[i] = gguf.TokenType.NORMAL
        if is_spm and len(text) == 6 and text.startswith("<0x"):
            types[i] = gguf.TokenType.BYTE
        if text in special:
            types[i] = gguf.TokenType.CONTROL if special[text] else gguf.TokenType.USER_DEFINED
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_vocab_size(size)
    writer.add_tokenizer_model("llama" if is_spm else "gpt2")
    writer.add_tokenizer_pre("default" if pre is None else pre)
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    if is_spm:
        # Merges are in the order of their results' scores.
        scores = [-1e6] * size
        for i, merge in enumerate(spec["model"]["merges"]):
            joined = "".join(merge.split(" ") if isinstance(merge, str) else merge)
            scores[vocab[joined]] = max(scores[vocab[joined]], -float(i))
        writer.add_token_scores(scores)
        types[vocab["<unk>"]] = gguf.TokenType.UNKNOWN
    else:
        merges = spec["model"]["merges"]
        writer.add_token_merges([m if isinstance(m, str) else " ".join(m) for m in merges])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def build_llama(args: argparse.Namespace) -> str:
    program = os.path.join(args.work, "peer_llamacpp")
    b = args.llama_build
    subprocess.run(
        [
            "c++",
            "-O2",
            "-o",
            program,
            os.path.join(HERE, "peer_llamacpp.cpp"),
            "-I",
            os.path.join(args.llama, "include"),
            "-I",
            os.path.join(args.llama, "ggml", "include"),
            os.path.join(b, "src", "libllama.a"),
            os.path.join(b, "ggml", "src", "libggml.a"),
            os.path.join(b, "ggml", "src", "libggml-cpu.a"),
            os.path.join(b, "ggml", "src", "libggml-base.a"),
            "-fopenmp",
            "-lpthread",
            "-ldl",
            "-lm",
        ],
        check=True,
    )
    return program


def same(a: str, b: str) -> int | None:
    """How many ids of two files are equal up to the first that is not; None: all are."""
    import numpy

    x, y = numpy.fromfile(a, numpy.uint32), numpy.fromfile(b, numpy.uint32)
    if len(x) == len(y) and (x == y).all():
        return None
    n = min(len(x), len(y))
    differ = numpy.flatnonzero(x[:n] != y[:n])
    return int(differ[0]) if len(differ) else n


def measure(
    args: argparse.Namespace, name: str, program: str | None, text: str, megabytes: float
) -> None:
    source = os.path.join(args.tokenizers, name + ".tokenizer.json")
    ids = {tool: os.path.join(args.work, tool + ".ids") for tool in ("ours", "hf", "llama")}
    build = os.environ.get("LMZOO_BUILD", os.path.join(HERE, "..", "build"))
    commands = {
        "ours": [os.path.join(build, "bench", "bench_tokenizer"), source, text, "1", ids["ours"]],
        "hf": [sys.executable, "-P", "-c", HF, source, text, ids["hf"]],
    }
    if program:
        gguf_path = os.path.join(args.work, name + ".gguf")
        write_gguf(name, source, gguf_path)
        commands["llama"] = [program, gguf_path, text, ids["llama"]]
    best: dict[str, float] = {}
    notes = []
    for _ in range(args.rounds):
        for tool, command in commands.items():
            done = run(command)
            if isinstance(done, str):
                words = done.strip().replace("\n", " ")[-120:]
                notes.append(f"{tool} failed: {words}")
                continue
            best[tool] = min(done[0], best.get(tool, done[0]))
    for tool in ("hf", "llama"):
        if tool in best and same(ids["ours"], ids[tool]) is not None:
            notes.append(f"{tool} gives other ids from the {same(ids['ours'], ids[tool])}th on")
    speed = {tool: megabytes / seconds for tool, seconds in best.items()}
    cells = [f"{speed['ours']:.1f}"]
    for tool in ("hf", "llama"):
        cells.append(
            f"{speed[tool]:.1f} ({speed['ours'] / speed[tool]:.1f})" if tool in speed else "-"
        )
    remark = "; ".join(sorted(set(notes))) or "same ids"
    print(f"| {name} | {' | '.join(cells)} | {remark} |", flush=True)


def cpu() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        lines = file.read().split("\n")
    field = {
        line.split(":")[0].strip(): line.split(":", 1)[1].strip() for line in lines if ":" in line
    }
    wanted = (
        "avx2",
        "fma",
        "f16c",
        "avx_vnni",
        "avx512f",
        "avx512_vnni",
        "avx512_bf16",
        "amx_int8",
        "asimd",
        "sve",
    )
    flags = field.get("flags", field.get("Features", "")).split()
    name = field.get("model name", platform.machine())
    return f"{name} ({' '.join(f for f in wanted if f in flags)})"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tokenizers")
    parser.add_argument("--work", required=True)
    parser.add_argument("--llama", help="llama.cpp's source")
    parser.add_argument("--llama-build", help="a static build of it")
    parser.add_argument(
        "--names",
        default="llama3,qwen3,gpt2,gpt-oss,deepseek-v3,mistral-tekken,llama2,mistral03,gpt_neox",
    )
    parser.add_argument("--mb", type=float, default=50.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--text")
    args = parser.parse_args()
    os.makedirs(args.work, exist_ok=True)
    text = args.text or os.path.join(args.work, f"texts-{args.mb:g}")
    if not args.text and not os.path.exists(text):
        make_texts(text, args.mb * 1e6)
    megabytes = os.path.getsize(text) / 1e6
    program = build_llama(args) if args.llama and args.llama_build else None
    import tokenizers

    print(
        f"CPU: {cpu()}. {megabytes:.1f} MB, one thread, CPU time, best of {args.rounds}; "
        f"HF tokenizers {tokenizers.__version__}.\n"
    )
    print("| tokenizer | MB/s | HF tokenizers (times) | llama.cpp (times) | |")
    print("|---|---|---|---|---|")
    for name in args.names.split(","):
        measure(args, name, program, text, megabytes)
    return 0


if __name__ == "__main__":
    sys.exit(main())
