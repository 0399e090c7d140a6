#!/usr/bin/env python3
"""What `lmzoo validate --reference` runs: variants of a small checkpoint, traced by both.

    validate.py CARD|FOLDER|CONFIG --lmzoo PROGRAM [-o REPORT] [--card-dir DIR] [--plugin-dir DIR]

The variants, all in this one process:

  as it is     the small checkpoint of baby.py, its config spelled as the file is
  without KEY  a key that holds its class's default is left out: the default must be known
  KEY = VALUE  switches turned, windows of null, other activations and numbers: new weights

Each is run whole through transformers and lmzoo, and every tensor that both name is compared. lmzoo
may refuse a variant in one sentence, which is reported and is not an error. For a difference the
report names the first tensor and what it looks like. Exit status 1: there was a difference.
"""

import argparse
import copy
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from typing import Any, TypeAlias

import baby
import reference
import torch
import transformers
from safetensors.torch import save_file
from shrink import shrink, text_of
from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig, PreTrainedModel

Json: TypeAlias = dict[str, Any]
Verdict: TypeAlias = tuple[str, str]  # ok, refused, DIFFERENT or none, and a remark
Row: TypeAlias = tuple[str, str, str, str]  # type, variant, verdict, remark

TOKENS = 24
LIMIT = 1e-9
SKIPPED = (
    "model_type",
    "architectures",
    "dtype",
    "torch_dtype",
    "transformers_version",
    "vocab_size",
    "auto_map",
    "num_hidden_layers",
    "bos_token_id",
    "eos_token_id",
    "pad_token_id",
    "initializer_range",
    "use_cache",
)
ACTIVATIONS = {
    "silu": "gelu",
    "gelu": "silu",
    "gelu_new": "gelu",
    "gelu_pytorch_tanh": "gelu",
    "relu": "silu",
}


def sources(path: str) -> list[str]:
    """Configs of a card's types, or the one that is given."""
    if os.path.isfile(path):
        with open(path) as f:
            d = json.load(f)
        if "plugin" in d:
            types = d["model_type"] if isinstance(d["model_type"], list) else [d["model_type"]]
            return [t for t in types if t in CONFIG_MAPPING] or types[:1]
    return [path]


def text_part(d: Json) -> Json:
    return next(
        (
            d[k]
            for k in ("text_config", "llm_config", "language_config")
            if isinstance(d.get(k), dict)
        ),
        d,
    )


def run_program(args: argparse.Namespace, *words: str) -> subprocess.CompletedProcess[str]:
    command = [args.lmzoo, *words]
    for option, value in (("--card-dir", args.card_dir), ("--plugin-dir", args.plugin_dir)):
        if value and words[0] != "compare":
            command += [option, value]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def judge(args: argparse.Namespace, folder: str, model: PreTrainedModel, ids: list[int]) -> Verdict:
    """(verdict, remark) of one variant: ok, refused or DIFFERENT."""
    save_file(
        reference.trace(model, ids, every_child=True), os.path.join(folder, "reference.safetensors")
    )
    own = os.path.join(folder, "own.safetensors")
    ran = run_program(args, "trace", folder, "--tokens", ",".join(map(str, ids)), "-o", own)
    if ran.returncode:
        said = ran.stderr.strip().splitlines()
        crashed = ran.returncode < 0
        return (
            ("DIFFERENT", f"stopped by signal {-ran.returncode}")
            if crashed
            else ("refused", said[-1] if said else "")
        )
    compared = run_program(
        args, "compare", own, os.path.join(folder, "reference.safetensors"), "--json"
    )
    last = json.loads(compared.stdout.strip().splitlines()[-1])
    if last["out"]:
        return (
            "DIFFERENT",
            f"{last['out']} of {last['compared']} tensors, first {last['first']}: {last['guess']}",
        )
    return "ok", f"{last['compared']} tensors"


def write_config(folder: str, d: Json) -> None:
    with open(os.path.join(folder, "config.json"), "w") as f:
        json.dump(d, f, indent=1)


def make(config: PreTrainedConfig, seed: int) -> PreTrainedModel:
    model = reference.make(copy.deepcopy(config))
    baby.fill(model, torch.Generator().manual_seed(seed), 1.0)
    return model


def defaults_of(config: PreTrainedConfig) -> Json:
    text = text_of(config)
    try:
        return type(text)().to_dict()
    except Exception:  # a class that cannot be made without arguments has no defaults to drop
        return {}


def dropped(raw: Json, config: PreTrainedConfig) -> Iterator[tuple[str, Json]]:
    """Configs that lack a key whose value is the class's default."""
    usual = defaults_of(config)
    names = getattr(type(text_of(config)), "attribute_map", {})
    for key, value in text_part(raw).items():
        default = usual.get(names.get(key, key), usual)
        if key not in SKIPPED and default is not usual and value == default:
            d = copy.deepcopy(raw)
            del text_part(d)[key]
            yield f"without {key}", d


def turned(config: PreTrainedConfig) -> Iterator[tuple[str, Any]]:
    """(name, key, value) of what another release may hold."""
    for key, value in text_of(config).to_dict().items():
        if key in SKIPPED or key.startswith(("_", "output_", "return_", "is_", "add_cross")):
            continue
        if isinstance(value, bool):
            yield key, not value
        elif "window" in key and isinstance(value, int):
            yield key, None
        elif (
            key in ("hidden_act", "hidden_activation", "activation_function")
            and value in ACTIVATIONS
        ):
            yield key, ACTIVATIONS[value]
        elif isinstance(value, float) and ("eps" in key or "epsilon" in key):
            yield key, value * 1000
        elif (
            isinstance(value, float)
            and value not in (0.0, 1.0)
            and "dropout" not in key
            and "coef" not in key
        ):
            yield key, value * 1.5


def rope_turned(config: PreTrainedConfig) -> Iterator[tuple[str, str, Any]]:
    """The same for numbers of rope_parameters."""
    rope: Any = getattr(text_of(config), "rope_parameters", None)
    for key, value in (rope or {}).items() if isinstance(rope, dict) else ():
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > 1:
            yield f"rope_parameters.{key}", "rope_parameters", {**rope, key: value * 2}


def variant(
    args: argparse.Namespace,
    folder: str,
    base: PreTrainedConfig,
    key: str,
    value: Any,
    ids: list[int],
) -> Verdict:
    """The verdict on a config with one other value and weights of its own."""
    config = copy.deepcopy(base)
    setattr(text_of(config), key, value)
    try:
        config = AutoConfig.for_model(
            config.model_type, **{k: v for k, v in config.to_dict().items() if k != "model_type"}
        )
        model = make(config, 11)
        model.save_pretrained(folder)
        again = reference.load(folder)
    except Exception as error:  # the reference itself cannot build such a model
        return (
            "none",
            f"{type(error).__name__}: {str(error).splitlines()[0][:90] if str(error) else ''}",
        )
    try:
        return judge(args, folder, again, ids)
    except Exception as error:
        return "none", f"the reference stops: {type(error).__name__}"


def of_source(args: argparse.Namespace, source: str, work: str, rows: list[Row]) -> list[str]:
    raw = baby.read_raw(source)
    config = baby.read_config(source)
    small, notes = shrink(config)
    ids = torch.randint(
        3, text_of(small).vocab_size - 8, (TOKENS,), generator=torch.Generator().manual_seed(5)
    ).tolist()
    folder = os.path.join(work, "base")
    os.makedirs(folder)
    model = make(small, 7)
    model.save_pretrained(folder)
    spelled = baby.as_released(raw, small, folder) if raw else None
    with open(os.path.join(folder, "config.json")) as f:
        stored = json.load(f)
    name = small.model_type
    rows.append(
        (
            name,
            "as it is" if spelled else "as transformers writes it",
            *judge(args, folder, reference.load(folder), ids),
        )
    )
    for what, d in dropped(stored, small):
        write_config(folder, d)
        try:
            again = reference.load(folder)
        except Exception as error:
            rows.append(
                (name, what, "none", f"the reference cannot load it: {type(error).__name__}")
            )
            continue
        rows.append((name, what, *judge(args, folder, again, ids)))
    plain = [(f"{key} = {json.dumps(value)}", key, value) for key, value in turned(small)]
    for i, (what, key, value) in enumerate([*plain, *rope_turned(small)]):
        folder = os.path.join(work, f"turned{i}")
        os.makedirs(folder)
        rows.append((name, what, *variant(args, folder, small, key, value, ids)))
        print(f"validate: {name}: {rows[-1][1]}: {rows[-1][2]}", file=sys.stderr)
    return notes


def report(rows: list[Row], notes: list[str], seconds: float) -> str:
    def count(word: str) -> int:
        return sum(r[2] == word for r in rows)

    types = ", ".join(dict.fromkeys(r[0] for r in rows))
    version = transformers.__version__
    lines = [
        f"# {types}: lmzoo against transformers {version}",
        "",
        f"{len(rows)} variants of small random checkpoints ({'; '.join(notes)}), {TOKENS} tokens, "
        f"float32, {seconds:.0f} s: {count('ok')} agree within a normalised error of {LIMIT}, "
        f"{count('DIFFERENT')} differ, {count('refused')} are refused by lmzoo, {count('none')} "
        "the reference cannot make.",
        "",
    ]
    lines += ["| variant | verdict | |", "|---|---|---|"]
    order = {"DIFFERENT": 0, "refused": 1, "ok": 2, "none": 3}
    lines += [
        f"| {what} | {verdict} | {remark[:240].replace('|', '/')} |"
        for _, what, verdict, remark in sorted(rows, key=lambda r: order[r[2]])
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("subject")
    parser.add_argument("--lmzoo", required=True)
    parser.add_argument("-o", "--output")
    parser.add_argument("--card-dir")
    parser.add_argument("--plugin-dir")
    args = parser.parse_args()
    rows: list[Row] = []
    notes: list[str] = []
    start = time.time()
    for source in sources(args.subject):
        with tempfile.TemporaryDirectory() as work:
            notes += of_source(args, source, work, rows)
    text = report(rows, notes, time.time() - start)
    if args.output:
        with open(args.output, "w") as f:
            f.write(text)
    else:
        print(text, end="", flush=True)
    sys.exit(1 if any(r[2] == "DIFFERENT" for r in rows) else 0)


if __name__ == "__main__":
    main()
