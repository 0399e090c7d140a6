#!/usr/bin/env python3
"""Change two things at once in the config of small checkpoints, as no release has them but many
have something alike, and compare what lmzoo computes with what the reference does.

    pairs.py --lmzoo PROGRAM --out RESULTS.jsonl [options] FOLDER...
    pairs.py --table RESULTS.jsonl...

A FOLDER holds a checkpoint and reference.json (of baby.py or cover.py), or such folders. A line of
RESULTS is one config: its class is equal, refused (by lmzoo), only (lmzoo alone computes),
DIFFERENT (other logits) or CRASH. Run again, it goes on where it stopped.

    --pairs N     pairs for a case (60), drawn anew for each --seed (1)
    --kinds A,B   one change of a pair is of these kinds (all; --table counts them)
    --refused     ask the reference about what lmzoo refuses, too; where it refuses as well: both
    --work DIR    a folder for the changed checkpoints (/dev/shm/pairs)
"""

import argparse
import collections
import contextlib
import copy
import json
import os
import random
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import reference
import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, PreTrainedConfig

Json: TypeAlias = dict[str, Any]
Change: TypeAlias = Callable[[Json], None]

NMSE_LIMIT = 1e-8
SECONDS = 40
PARAMETERS_MAX = 20_000_000
MEMORY = 14 << 30
TOWERS = ("vision_config", "audio_config", "speech_config", "sound_config")
# Keys of many classes, with a value that changes something where it is read.
FOREIGN: Json = {
    "rope_theta": 777.0,
    "sliding_window": 7,
    "use_sliding_window": True,
    "partial_rotary_factor": 0.5,
    "head_dim": 24,
    "attention_bias": True,
    "mlp_bias": True,
    "tie_word_embeddings": None,
    "final_logit_softcapping": 3.0,
    "query_pre_attn_scalar": 5,
    "max_window_layers": 1,
    "norm_topk_prob": None,
    "num_key_value_heads": None,
    "rope_local_base_freq": 333.0,
    "original_max_position_embeddings": 16,
    "no_rope_layers": [1, 0],
    "attention_chunk_size": 8,
    "is_causal": True,
    "use_qk_norm": True,
    "qk_layernorm": True,
    "embedding_multiplier": 2.0,
    "first_k_dense_replace": 1,
    "n_shared_experts": 1,
    "layer_types": None,
    "rope_scaling": {"type": "linear", "factor": 2.0},
    "rope_parameters": {"rope_type": "default", "rope_theta": 777.0},
    "quantization_config": {"quant_method": "compressed-tensors", "ignore": ["lm_head"]},
    "text_config": {"num_hidden_layers": 1},
    "dual_chunk_attention_config": {"chunk_size": 8},
    "use_mrope": False,
    "auto_map": {"AutoConfig": "configuration_x.X"},
    "cache_implementation": "hybrid",
    "_attn_implementation": "sdpa",
    "unsloth_version": "2025.1",
    "use_bidirectional_attention": None,
    "pad_token_id": 3,
    "is_decoder": None,
    "rope_interleaved": True,
    "torch_dtype": "float16",
}
WORDS = ("full_attention", "sliding_attention", "linear_attention", "attention", "mamba", "dense")
ROPES: tuple[Json, ...] = (
    {"rope_type": "linear", "factor": 2.0},
    {"type": "dynamic", "factor": 2.0},
    {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16},
    {"rope_type": "default"},
    {"type": "default", "rope_type": "linear", "factor": 2},
    {"factor": 2.0},
    {"rope_type": "yarn", "factor": 4, "mscale": 1.3, "mscale_all_dim": 0.6},
    {"mrope_section": [2, 1, 1], "type": "mrope"},
    {
        "rope_type": "llama3",
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 16,
    },
)
QUANTISED: tuple[Any, ...] = (
    {},
    {"quant_method": None},
    {"quant_method": "none"},
    {"quant_method": "fp8"},
    {"quant_method": "gptq", "bits": 4, "group_size": 128},
    {"quant_method": "awq", "bits": 4, "zero_point": True, "modules_to_not_convert": None},
    {"quant_method": "compressed-tensors", "config_groups": {}, "ignore": []},
    {"quant_method": "bitsandbytes", "load_in_4bit": False, "load_in_8bit": False},
    {"quant_method": "fp8", "weight_block_size": [128, 128], "modules_to_not_convert": ["lm_head"]},
    {"quant_method": "mxfp4", "modules_to_not_convert": ["lm_head"]},
    {"quant_algo": "FP8", "kv_cache_quant_algo": "FP8"},
    {"load_in_4bit": True},
    [],
)


@dataclass(frozen=True)
class Single:
    """One change: its kind, its name, and what it does to a config in place."""

    kind: str
    name: str
    do: Change


def text_path(config: Json) -> tuple[str, ...]:
    for key in ("text_config", "thinker_config", "llm_config"):
        if isinstance(config.get(key), dict):
            return (key,)
    return ()


def part(config: Json, path: tuple[str, ...]) -> Json:
    for key in path:
        config = config[key]
    return config


def put(path: tuple[str, ...], value: Any) -> Change:
    def do(config: Json) -> None:
        part(config, path[:-1])[path[-1]] = copy.deepcopy(value)

    return do


def drop(path: tuple[str, ...]) -> Change:
    def do(config: Json) -> None:
        del part(config, path[:-1])[path[-1]]

    return do


def named(path: tuple[str, ...], value: Any) -> str:
    return f"{'.'.join(path)}={json.dumps(value)[:70]}"


def leaves(config: Json, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, value in config.items():
        if key in TOWERS or key in ("model_type", "architectures", "id2label", "label2id"):
            continue
        if key != "text_config":
            yield (*path, key), value
        if isinstance(value, dict):
            yield from leaves(value, (*path, key))


def changed_types(value: Any) -> list[Any]:
    """The same value as another type of JSON."""
    if isinstance(value, bool):
        return [int(value), str(value).lower(), None]
    if isinstance(value, int):
        return [float(value), str(value), [value]]
    if isinstance(value, float):
        return [str(value), *([int(value)] if value == int(value) else [])]
    if isinstance(value, str):
        return [[value], value.upper(), ""]
    if isinstance(value, list):
        return [value[0] if value else None, {str(i): x for i, x in enumerate(value)}]
    return []


def extremes(value: Any) -> list[Any]:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return []
    if isinstance(value, int):
        return [0, -1, 1, 2**31, 2**63, value + 1]
    return [0.0, -value, 1e30, float("nan"), float("inf"), 1e-30]


def other_lists(value: Any) -> list[Any]:
    if not isinstance(value, list) or not value:
        return []
    rest: list[Any] = [value[:-1], [*value, value[-1]], [], value[::-1], value * 2]
    if all(isinstance(x, str) for x in value):
        rest += [[word] * len(value) for word in WORDS] + [[*value[:-1], "unheard_of"]]
    elif all(isinstance(x, (int, bool)) for x in value):
        rest += [[0] * len(value), [*value[:-1], -1], [float(x) for x in value]]
    return rest


def rope_changes(config: Json, path: tuple[str, ...]) -> Iterator[Single]:
    text = part(config, path)
    block = text.get("rope_parameters")
    flat = isinstance(block, dict) and not any(isinstance(v, dict) for v in block.values())
    for i, rope in enumerate(ROPES):
        for key in ("rope_scaling", "rope_parameters"):
            yield Single("rope", f"{key} #{i}", put((*path, key), rope))
        if isinstance(block, dict):
            yield Single("rope", f"within #{i}", put((*path, "rope_parameters"), {**block, **rope}))
    for theta in (777.0, 777, None, "777"):
        yield Single("rope", f"rope_theta={theta}", put((*path, "rope_theta"), theta))
    if isinstance(block, dict) and flat:
        nested = {"full_attention": block, "sliding_attention": {**block, "rope_theta": 555.0}}
        yield Single("rope", "by layer", put((*path, "rope_parameters"), nested))
        only = {"full_attention": block}
        yield Single("rope", "by layer, one", put((*path, "rope_parameters"), only))
        mixed = {**block, "sliding_attention": block}
        yield Single("rope", "by layer beside flat", put((*path, "rope_parameters"), mixed))
    elif isinstance(block, dict):
        for name, inner in block.items():
            for i, rope in enumerate(ROPES):
                if isinstance(inner, dict):
                    where = (*path, "rope_parameters", name)
                    yield Single("rope", f"{name} #{i}", put(where, {**inner, **rope}))
            yield Single("rope", f"-{name}", drop((*path, "rope_parameters", name)))
            yield Single("rope", f"{name} null", put((*path, "rope_parameters", name), None))


def respelled(config: Json, cls: PreTrainedConfig, path: tuple[str, ...]) -> Iterator[Single]:
    """Other spellings, in place of a key and beside it."""
    names = dict(getattr(type(cls), "attribute_map", None) or {})
    text = part(config, path)
    for a, b in [*names.items(), *((b, a) for a, b in names.items())]:
        if b not in text or a in text:
            continue

        def move(c: Json, old: str = b, new: str = a) -> None:
            inner = part(c, path)
            inner[new] = inner.pop(old)

        yield Single("alias", f"{b} as {a}", move)
        for value in [None, *extremes(text[b])[2:3], *changed_types(text[b])[:1]]:
            yield Single("alias", named((*path, a), value), put((*path, a), value))


def outer_changes(config: Json, path: tuple[str, ...]) -> Iterator[Single]:
    """Keys of the text part beside it, and a text part where there is none."""
    text = part(config, path)
    for key, value in text.items():
        if path and key not in config and key not in ("model_type", "architectures"):
            for other in [value, None, *extremes(value)[2:3]]:
                yield Single("outer", named((key,), other), put((key,), other))
        if not path and isinstance(value, (int, float, list)):
            inner = {key: value, "model_type": config["model_type"]}
            yield Single("outer", f"text_config {key}", put(("text_config",), inner))
    if path:
        for name in ("llm_config", "language_config", "text_config"):
            yield Single("outer", f"{path[0]}.{name}", put((*path, name), {"hidden_size": 8}))


def singles(config: Json, cls: PreTrainedConfig) -> list[Single]:
    path = text_path(config)
    text = cls.get_text_config()
    out: list[Single] = []
    for where, value in leaves(config):
        out.append(Single("absent", "-" + ".".join(where), drop(where)))
        out.append(Single("null", ".".join(where) + "=null", put(where, None)))
        for kind, others in (
            ("type", changed_types(value)),
            ("extreme", extremes(value)),
            ("list", other_lists(value)),
        ):
            out += [Single(kind, named(where, x), put(where, x)) for x in others]
        if not isinstance(value, dict):
            out.append(Single("double", named(where, value), double(where, value)))
            out.append(Single("nest", ".".join(where), put(where, {"value": value})))
    for key, value in FOREIGN.items():
        for at in {path, ()}:
            if key not in part(config, at):
                out.append(Single("foreign", named((*at, key), value), put((*at, key), value)))
    for value in QUANTISED:
        for at in {path, ()}:
            where = (*at, "quantization_config")
            out.append(Single("quantised", named(where, value), put(where, value)))
    defaults = text.to_dict()
    for key in getattr(type(text), "__dataclass_fields__", {}):
        if key not in part(config, path) and key in defaults:
            for value in [None, *changed_types(defaults[key])[:1], *extremes(defaults[key])[:3]]:
                where = (*path, key)
                out.append(Single("default", named(where, value), put(where, value)))
    out += rope_changes(config, path)
    out += respelled(config, text, path)
    out += outer_changes(config, path)
    return out


class Doubled(dict[str, Any]):
    """An object in which some keys stand twice, first with another value."""

    first: Json

    def __deepcopy__(self, memo: dict[int, Any]) -> "Doubled":
        made = Doubled(copy.deepcopy(dict(self), memo))
        made.first = copy.deepcopy(self.first, memo)
        return made


def double(where: tuple[str, ...], value: Any) -> Change:
    def do(config: Json) -> None:
        holder = part(config, where[:-1])
        made = holder if isinstance(holder, Doubled) else Doubled(holder)
        made.first = {**getattr(made, "first", {}), where[-1]: (extremes(value) or [None])[-1]}
        if len(where) > 1:
            part(config, where[:-2])[where[-2]] = made
        else:
            config["<doubled>"] = made.first

    return do


def text_of(value: Any) -> str:
    """JSON, with the doubled keys."""
    if not isinstance(value, dict):
        return json.dumps(value)
    first = {**value.get("<doubled>", {}), **getattr(value, "first", {})}
    pairs = [*first.items(), *((k, v) for k, v in value.items() if k != "<doubled>")]
    return "{" + ", ".join(f"{json.dumps(k)}: {text_of(v)}" for k, v in pairs) + "}"


# ---- both programs


class Slow(Exception):
    pass


def stop(*_: object) -> None:
    raise Slow(f"more than {SECONDS} seconds of computing")


@contextlib.contextmanager
def limited() -> Iterator[None]:
    signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def limit_child() -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))


def is_huge(config: PreTrainedConfig) -> bool:
    cls = reference.model_class(config)
    make = getattr(cls, "from_config", None) or cls._from_config
    with torch.device("meta"):
        model = make(copy.deepcopy(config))
    return sum(p.numel() for p in model.parameters()) > PARAMETERS_MAX


def canonical(config: PreTrainedConfig) -> str:
    """What the reference sees of a config; configs alike in this give the same numbers."""
    skip = ("transformers_version", "_name_or_path", "architectures", "dtype", "torch_dtype")

    def strip(d: Any) -> Any:
        if isinstance(d, dict):
            return {k: strip(v) for k, v in d.items() if k not in skip}
        return d

    return json.dumps(strip(config.to_dict()), sort_keys=True, default=str)


def computed(
    folder: str, ids: list[int], usual: set[str], unsure: bool
) -> tuple[str, torch.Tensor | None]:
    """(how it ended, logits) of the reference; unsure: it may be too large to be made."""
    config = AutoConfig.from_pretrained(folder)
    if unsure and is_huge(config):
        return "huge", None
    cls = reference.model_class(config)
    model, info = cls.from_pretrained(
        folder,
        config=config,
        attn_implementation="eager",
        dtype=torch.float32,
        output_loading_info=True,
    )
    if set(info["missing_keys"]) - usual:
        return "missing weights", None
    model = reference.prepare(torch.nn.Module.float(model))
    return "ok", reference.run(model, ids)


def traced(program: str, folder: str, ids: list[int]) -> tuple[int, str, torch.Tensor | None]:
    """(exit code, last words, logits) of lmzoo; a signal ends one that computes too long."""
    out = folder + ".safetensors"
    command = [program, "trace", folder, "--tokens", ",".join(map(str, ids)), "-o", out]
    done = subprocess.run(
        [*command, "--weights", "f32", "--cache", "f32"],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=limit_child,
    )
    words = (done.stderr.strip().splitlines() or [""])[-1]
    if done.returncode:
        return done.returncode, words.replace(folder, "FOLDER"), None
    return 0, words, load_file(out)["logits"].float()


def distance(a: torch.Tensor, b: torch.Tensor) -> float | str:
    a = a.reshape(-1, b.shape[-1]) if a.numel() == b.numel() else a
    if a.shape != b.shape:
        return f"shapes {list(a.shape)} and {list(b.shape)}"
    if not torch.isfinite(b).all():
        same = bool((torch.isfinite(a) == torch.isfinite(b)).all())
        return "not finite" if same or not torch.isfinite(a).all() else "reference not finite"
    return reference.nmse(a, b)


def judge(ended: str, code: int, far: float | str | None) -> str:
    if code not in range(5):
        return "CRASH"
    if ended != "ok":
        return "only" if code == 0 else "both"
    if code:
        return "refused"
    if isinstance(far, str):
        return "not finite" if "finite" in far else "DIFFERENT"
    return "equal" if far is not None and far <= NMSE_LIMIT else "DIFFERENT"


class Case:
    """A checkpoint, its prompt, and the work folder that holds changed copies of it."""

    def __init__(self, source: Path, work: str, program: str) -> None:
        self.source, self.program = source, program
        self.folder = os.path.join(work, source.name)
        os.makedirs(self.folder, exist_ok=True)
        for name in os.listdir(source):
            link = os.path.join(self.folder, name)
            if not name.startswith("reference") and name != "config.json":
                if os.path.lexists(link):
                    os.remove(link)
                os.symlink(os.path.join(os.path.abspath(source), name), link)
        about = json.loads((source / "reference.json").read_text())
        self.ids: list[int] = about["prompts"][-1]["prompt"]
        self.raw: Json = json.loads((source / "config.json").read_text())
        self.write(self.raw)
        self.config = AutoConfig.from_pretrained(self.folder)
        cls = reference.model_class(self.config)
        _, info = cls.from_pretrained(self.folder, config=self.config, output_loading_info=True)
        self.usual: set[str] = set(info["missing_keys"])
        self.known: dict[str, tuple[str, torch.Tensor | None]] = {}

    def write(self, config: Json) -> None:
        with open(os.path.join(self.folder, "config.json"), "w") as f:
            f.write(text_of(config))

    def compare(self, config: Json, refused_too: bool) -> Json:
        """A line of the results. What lmzoo refuses the reference needn't compute."""
        self.write(config)
        out: Json = {}
        code, words, own = traced(self.program, self.folder, self.ids)
        out.update(code=code, words=words[:300])
        if code in range(1, 5) and not refused_too:
            return {**out, "class": "refused", "far": None}
        try:
            with limited():
                key = canonical(AutoConfig.from_pretrained(self.folder))
                if key not in self.known:
                    self.known[key] = computed(self.folder, self.ids, self.usual, code != 0)
                ended, logits = self.known[key]
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            ended, logits = "error", None
            out["why"] = f"{type(error).__name__}: {str(error)[-200:]}"
        far = distance(own, logits) if own is not None and logits is not None else None
        out.update(reference=ended, far=far)
        out["class"] = judge(ended, code, far)
        return out


def cases(folders: list[str]) -> list[Path]:
    out: list[Path] = []
    for folder in map(Path, folders):
        inner = [folder] if (folder / "reference.json").exists() else sorted(folder.iterdir())
        out += [p for p in inner if (p / "reference.json").exists()]
    return out


def draw(every: list[Single], kinds: set[str], n: int, rng: random.Random) -> list[list[Single]]:
    """Pairs, each kind as often as any other."""
    groups: dict[str, list[Single]] = {}
    for single in every:
        groups.setdefault(single.kind, []).append(single)
    first = sorted(k for k in groups if not kinds or k in kinds)
    names = sorted(groups)
    return [
        [rng.choice(groups[rng.choice(first)]), rng.choice(groups[rng.choice(names)])]
        for _ in range(n if first else 0)
    ]


def apply(raw: Json, pair: list[Single]) -> Json | None:
    config = copy.deepcopy(raw)
    try:
        for single in pair:
            single.do(config)
    except (KeyError, TypeError, AttributeError):
        return None  # the first took away what the second changes
    return config


def sweep(case: Case, args: argparse.Namespace, done: set[tuple[str, str]], out: Any) -> None:
    rng = random.Random(f"{args.seed} {case.source.name}")
    base = case.compare(case.raw, False)
    if base["class"] != "equal":
        print(f"{case.source.name}: unchanged, it is {base['class']}: {base['words']}")
        return
    kinds = set(filter(None, args.kinds.split(",")))
    for pair in draw(singles(case.raw, case.config), kinds, args.pairs, rng):
        name = " & ".join(s.name for s in pair)
        config = apply(case.raw, pair)
        if config is None or (case.source.name, name) in done:
            continue
        done.add((case.source.name, name))
        about = {"case": case.source.name, "pair": name, "kinds": [s.kind for s in pair]}
        print(json.dumps({**about, **case.compare(config, args.refused)}), file=out, flush=True)


def table(files: list[str]) -> int:
    count: collections.Counter[str] = collections.Counter()
    by_kind: collections.Counter[tuple[str, str]] = collections.Counter()
    bad = 0
    for file in files:
        for line in map(json.loads, Path(file).read_text().splitlines()):
            count[line["class"]] += 1
            for kind in set(line["kinds"]):
                by_kind[kind, line["class"]] += 1
            if re.fullmatch("[A-Z]+", line["class"]):
                bad += 1
                told = (line["class"], line["case"], line["pair"], str(line["far"]), line["words"])
                print("\t".join(told))
    for kind in sorted({k for k, _ in by_kind}):
        print(f"{kind}:", ", ".join(f"{c} {by_kind[kind, c]}" for c in count if by_kind[kind, c]))
    print("all:", ", ".join(f"{c} {n}" for c, n in count.most_common()))
    return 1 if bad else 0


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lmzoo")
    parser.add_argument("--out")
    parser.add_argument("--pairs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", default="")
    parser.add_argument("--refused", action="store_true")
    parser.add_argument("--work", default="/dev/shm/pairs")
    parser.add_argument("--table", nargs="+")
    parser.add_argument("folders", nargs="*")
    args = parser.parse_args()
    if args.table:
        return table(args.table)
    if not args.lmzoo or not args.out or not args.folders:
        parser.error("--lmzoo, --out and folders are needed")
    transformers.logging.set_verbosity(60)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    done: set[tuple[str, str]] = set()
    if os.path.exists(args.out):
        with open(args.out) as f:
            done = {(r["case"], r["pair"]) for r in map(json.loads, f)}
    failed = 0
    with open(args.out, "a") as out:
        for source in cases(args.folders):
            try:
                case = Case(source, args.work, args.lmzoo)
            except Exception as error:
                failed += 1
                print(f"{source.name}: {type(error).__name__}: {str(error)[:200]}")
                continue
            sweep(case, args, done, out)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
