"""Compares parameter counts of `lmzoo explain --json` with the reference's own modules.

    parameters.py LMZOO CONFIG.json ... [--tolerance 0.001]

Each config is built by transformers on the meta device (no memory is taken), its text part alone
where it is a wrapper. Prints a line for each: both counts and their quotient; a config that
transformers cannot build is named with the reason. Exit code 1 where a count is off.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModel, AutoModelForCausalLM
from transformers.models.auto.configuration_auto import CONFIG_MAPPING

TEXT_PARTS = ("text_config", "language_config", "llm_config")


def text_part(config: dict[str, Any]) -> dict[str, Any]:
    """The part of a config that describes the decoder;
    what the wrapper keeps outside is taken in."""
    for name in TEXT_PARTS:
        part = config.get(name)
        if isinstance(part, dict) and "model_type" in part:
            part = dict(part)
            if "tie_word_embeddings" in config:
                part["tie_word_embeddings"] = config["tie_word_embeddings"]
            return part
    return config


def reference_count(config: dict[str, Any]) -> int:
    """Parameters of the reference's causal model, tied ones once."""
    part = dict(text_part(config))
    part.pop("quantization_config", None)
    part.pop("auto_map", None)
    kind = part.pop("model_type", None)
    if kind not in CONFIG_MAPPING:
        raise ValueError(f"transformers has no model_type {kind!r}")
    loaded = CONFIG_MAPPING[kind].from_dict(part)
    head = 0
    with torch.device("meta"):
        try:
            model = AutoModelForCausalLM.from_config(loaded, trust_remote_code=False)
            model.tie_weights()
        except ValueError:  # a text part that stands only inside its wrapper: no head of its own
            inner = loaded.get_text_config(decoder=True)
            model = AutoModel.from_config(loaded, trust_remote_code=False).get_decoder()
            tied = part.get("tie_word_embeddings", False)
            head = 0 if tied else inner.vocab_size * inner.hidden_size
    return int(head + sum(p.numel() for p in {id(p): p for p in model.parameters()}.values()))


def own_count(program: str, path: Path) -> int:
    """Parameters by the program; its refusal is raised as the error."""
    done = subprocess.run(
        [program, "explain", str(path), "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    return int(json.loads(done.stdout)["parameters"]["total"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("configs", nargs="+", type=Path)
    parser.add_argument("--tolerance", type=float, default=0.001)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    off = checked = 0
    for path in args.configs:
        try:
            wanted = reference_count(json.loads(path.read_text()))
        except Exception as error:  # a config may fail in any way inside the reference
            print(f"skip {path.name}: {str(error).splitlines()[0][:110]}")
            continue
        try:
            found = own_count(args.program, path)
        except ValueError as error:
            print(f"fail {path.name}: reference {wanted}, refused: {str(error)[:200]}")
            off += 1
            continue
        checked += 1
        bad = abs(found / wanted - 1) > args.tolerance
        off += bad
        print(f"{'OFF ' if bad else 'ok  '} {path.name}: {found} / {wanted} = {found / wanted:.6f}")
        sys.stdout.flush()
    print(f"{checked} compared, {off} off")
    return 1 if off else 0


if __name__ == "__main__":
    sys.exit(main())
