#!/usr/bin/env python3
"""Writes how releases name their tensors, as transformers' conversion mapping reads them:
models.d/names/<model_type>.json.

    names.py OUT [MODEL_TYPE ...]       OUT: models.d/names; without types every existing file is
                                        regenerated
    names.py --check DIR                exit status 1 where a file of DIR would change

A file holds `renames`: [pattern, replacement] pairs in order, with a list of prefixes where the
rename is one of a submodel and a number to add to the first index where the class counts from
another layer. Experts that the class stacks keep a name each here
("experts.3.gate_proj."), rows that it joins get "@0", "@1"; what splits a tensor is left to the
cards. Renames of other parts than the text model (vision, audio) are left out: nothing reads those
tensors.

Needs torch and transformers (requirements.txt); models are built on the meta device with few
layers.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from pathlib import Path
from typing import Any

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TRANSFORMERS_VERBOSITY"] = "critical"
logging.disable(logging.CRITICAL)

import torch
from transformers import CONFIG_MAPPING, PreTrainedConfig
from transformers import conversion_mapping as mapping
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

FEW = 8
OTHER_PARTS = re.compile(
    r"vision|visual|audio|\bvit\b|patch|projector|siglip|resampler|vqmodel|perceive|image|"
    r"conv_stem|aligner|sam_|(?<!l2_)clip|radio|spatial_linear|temporal_linear|whisper|adapter|resblocks|positional_embedding|"
    r"encoder\b"
)


def shrink(config: PreTrainedConfig, depth: int = 0) -> None:
    """Few layers, in the configuration and its parts."""
    for key in ("num_hidden_layers", "n_layer", "n_layers", "num_layers", "depth"):
        if isinstance(getattr(config, key, None), int) and getattr(config, key) > FEW:
            setattr(config, key, FEW)
    for key in ("layer_types", "mlp_layer_types", "layers_block_type"):
        if isinstance(getattr(config, key, None), list):
            setattr(config, key, getattr(config, key)[:FEW])
    for part in list(vars(config).values()):
        if isinstance(part, PreTrainedConfig) and depth < 3:
            shrink(part, depth + 1)


def built_transforms(model_type: str) -> list[Any] | None:
    """The transforms that loading applies, with their scopes;
    None where the class builds no model from its defaults."""
    config = CONFIG_MAPPING[model_type]()
    for table in (MODEL_FOR_CAUSAL_LM_MAPPING, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING):
        if type(config) in table:
            cls: Any = table[type(config)]
            break
    else:
        return None
    try:
        shrink(config)
        with torch.device("meta"):
            model = (cls[0] if isinstance(cls, tuple) else cls)(config)
    except Exception:
        return None
    return mapping.get_model_conversion_mapping(model, add_legacy=False)


def transforms(model_type: str) -> list[Any]:
    """The transforms of a type; by name alone where no model can be built."""
    found = built_transforms(model_type)
    if found is None:
        found = mapping.get_checkpoint_conversion_mapping(model_type)
    if found is None:  # a wrapper: those of its text part, which keeps its prefix
        part = CONFIG_MAPPING[model_type]().get_text_config().model_type
        inner = mapping.get_checkpoint_conversion_mapping(part) or []
        found = [t for t in inner if "language_model" not in t.source_patterns[0]]
    return found


def pcre(pattern: str) -> str:
    """A source pattern as transformers compiles it: a name ends where a word ends."""
    pattern = pattern.replace("*.", r"(\d+)\.")
    return pattern + r"(?!\w)" if re.search(r"[a-zA-Z0-9]$", pattern) else pattern


def replacement(text: str) -> str:
    return re.sub(r"\\(\d)", r"${\1}", text.replace("$", "$$"))


def without_weight(pattern: str) -> str:
    """`x.weight` as `x.`, so that scales and packed forms of it are renamed too."""
    return re.sub(r"\\?\.weight$", r"\\.", pattern)


def expert_pairs(t: Any) -> list[tuple[str, str]]:
    """Converters that stack experts: each keeps a name of its own, with gate and up apart."""
    target = t.target_patterns[0]
    stem, _, leaf = target.rpartition(".")
    leaves = (
        ["gate_proj", "up_proj"]
        if leaf == "gate_up_proj" and len(t.source_patterns) == 2
        else [leaf]
    )
    if len(leaves) != len(t.source_patterns):
        return []
    return [
        (pcre(without_weight(source)), replacement(f"{stem}.\\1.{leaf}."))
        for source, leaf in zip(t.source_patterns, leaves, strict=True)
    ]


def joined_pairs(t: Any) -> list[tuple[str, str]]:
    """Converters that join rows: gate and up stay apart, other parts get numbers."""
    target = t.target_patterns[0]
    if re.search(r"gate_up_proj(\.weight)?$", target):
        stacked = not target.endswith(".weight")
        ends = [target.replace("gate_up_proj", leaf) for leaf in ("gate_proj", "up_proj")]
        return [
            (
                pcre(source if stacked else without_weight(source)),
                replacement(end if stacked else end[:-6]),
            )
            for source, end in zip(t.source_patterns, ends, strict=True)
        ]
    if len(t.source_patterns) == 1 and t.source_patterns[0].count("*") == 1:
        source = t.source_patterns[0].replace("*", "(\\d+)")
        return [(pcre(source), replacement(f"{target}@\\1"))]
    return [
        (pcre(source), replacement(f"{target}@{i}")) for i, source in enumerate(t.source_patterns)
    ]


def pairs(t: Any) -> list[tuple[str, str]]:
    """The renames of one transform; none for one that only another form of the same name needs."""
    kinds = [type(o).__name__ for o in getattr(t, "operations", [])]
    if not hasattr(t, "operations"):
        targets = t.target_patterns
        return [
            (pcre(source), replacement(targets[i if len(targets) > 1 else 0]))
            for i, source in enumerate(t.source_patterns)
        ]
    if "MergeModulelist" in kinds:
        return expert_pairs(t)
    if kinds == ["Concatenate"]:
        return joined_pairs(t)
    if kinds in (["Interleave"], ["Transpose"]) and len(t.target_patterns) == 1:
        return [(pcre(s), replacement(t.target_patterns[0])) for s in t.source_patterns]
    return []


def is_identity(pattern: str, text: str) -> bool:
    """Whether the replacement gives back what the pattern finds."""
    plain = re.sub(r"\$\{\d\}", "7", text)
    sample = pattern.replace(r"(?!\w)", "").replace(r"(\d+)", "7").replace("\\", "").lstrip("^")
    return sample == plain and not re.search(r"[*+?()|\[]", sample)


def renames(model_type: str) -> list[list[Any]]:
    out: list[list[Any]] = []
    for t in transforms(model_type):
        if t.scope_prefix and OTHER_PARTS.search(t.scope_prefix):
            continue
        for pattern, text in pairs(t):
            seen = re.sub(r"\(\?<?[!=].*?\)+", "", pattern)
            if is_identity(pattern, text) or OTHER_PARTS.search(seen) or OTHER_PARTS.search(text):
                continue
            row: list[Any] = [pattern, text]
            if t.scope_prefix is not None:
                base = f"{t.base_model_prefix}." if t.base_model_prefix else ""
                scope = f"{t.scope_prefix}." if t.scope_prefix else ""
                prefixes = list(dict.fromkeys((base + scope, scope)))
                row += [prefixes] if prefixes != [""] else []
            if getattr(t, "offset", 0):
                row = [*row[:2], row[2] if len(row) > 2 else [], t.offset]
            if row not in out:
                out.append(row)
    return out


def text(model_type: str) -> str:
    lines = [json.dumps(row, ensure_ascii=False) for row in renames(model_type)]
    return '{"renames": [\n' + ",\n".join(f"  {line}" for line in lines) + "\n]}\n" if lines else ""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--check", action="store_true")
    parser.add_argument("folder", type=Path)
    parser.add_argument("types", nargs="*")
    args = parser.parse_args()
    types = args.types or sorted(f.stem for f in args.folder.glob("*.json"))
    changed = 0
    for model_type in types:
        path, made = args.folder / f"{model_type}.json", text(model_type)
        if made == (path.read_text() if path.exists() else ""):
            continue
        changed += 1
        print(f"{path} {'differs' if args.check else 'written'}")
        if not args.check:
            path.write_text(made)
    return 1 if args.check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
