#!/usr/bin/env python3
"""Make small random checkpoints of many model types from recipes,
and list those that could not be made.

    cover.py OUT [--recipes FILE] [NAME ...]

FILE (recipes.json beside this script) holds {name: {"type": model type, "set": {key: value},
"outer": {key: value}}}: `set` goes into the text configuration after shrinking (baby.py says how),
`outer` into the whole configuration before it ("vision_config.depth" reaches into parts); "cached":
true: continuations go on from a cache; "placed": tokens that stand in the prompts; "renamed": parts
of tensor names, old and new, replaced in what the reference writes. A type alone stands for its
default configuration. Folders that are there are kept. Check them with

    build/tests/test_parity --folder OUT
"""

import argparse
import json
import os
import signal
import sys
import time
import warnings
from pathlib import Path
from typing import Any, TypeAlias

import baby
import reference
import torch
from safetensors.torch import load_file, save_file
from shrink import shrink
from transformers import AutoConfig, PreTrainedConfig

Json: TypeAlias = dict[str, Any]

warnings.filterwarnings("ignore")
SECONDS = 120


def put(d: Json, path: str, value: Any) -> None:
    first, _, rest = path.partition(".")
    if rest:
        put(d.setdefault(first, {}), rest, value)
    else:
        d[first] = value


def make_config(recipe: Json) -> PreTrainedConfig:
    d: Json = {}
    for path, value in recipe.get("outer", {}).items():
        put(d, path, value)
    return AutoConfig.for_model(recipe["type"], **d)


def stop(*_: object) -> None:
    raise TimeoutError(f"{SECONDS} seconds")


def rename(folder: str, pairs: list[tuple[str, str]]) -> None:
    """Names of tensors that the reference reads but does not write, as releases have them."""
    path = os.path.join(folder, "model.safetensors")
    tensors = load_file(path)
    for old, new in pairs:
        tensors = {name.replace(old, new): t for name, t in tensors.items()}
    save_file(tensors, path, metadata={"format": "pt"})


def build(name: str, recipe: Json, out: str) -> str:
    """Makes one checkpoint; returns a sentence about it, raises on failure."""
    config, notes = shrink(make_config(recipe), recipe.get("set", {}))
    for seed in range(1000, 1000 + recipe.get("attempts", 30)):
        model, prompts, tensors, wrong = baby.attempt(
            config,
            seed,
            torch.bfloat16,
            cached=recipe.get("cached", False),
            placed=recipe.get("placed"),
        )
        if not wrong:
            break
    else:
        raise RuntimeError(f"every seed was refused, the last for {wrong}")
    folder = os.path.join(out, name)
    baby.write(
        folder,
        model,
        prompts,
        tensors,
        "; ".join(notes),
        torch.bfloat16,
        None,
        recipe.get("cached", False),
    )
    if recipe.get("renamed"):
        rename(folder, recipe["renamed"])
    again = reference.load(folder)
    made = max(
        reference.nmse(reference.run(again, p["prompt"]), tensors[f"{i}/logits"])
        for i, p in enumerate(prompts)
    )
    if made >= 1e-10:
        raise RuntimeError(f"it does not load back to the same numbers: {made:.1e}")
    return f"seed {seed}, {sum(p.numel() for p in model.parameters())} parameters"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out")
    parser.add_argument("--recipes", default=str(Path(__file__).with_name("recipes.json")))
    parser.add_argument("names", nargs="*")
    args = parser.parse_args()
    with open(args.recipes) as f:
        recipes = json.load(f)
    failed = 0
    signal.signal(signal.SIGALRM, stop)
    for name in args.names or recipes:
        recipe = recipes.get(name, {"type": name})
        if os.path.exists(os.path.join(args.out, name, "reference.json")):
            continue
        begin = time.time()
        signal.alarm(SECONDS)
        try:
            said = build(name, recipe, args.out)
        except Exception as error:
            failed += 1
            said = f"FAILED {type(error).__name__}: {str(error)[:200]}"
        signal.alarm(0)
        print(f"{name}: {said} ({time.time() - begin:.0f} s)", flush=True)
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
