#!/usr/bin/env python3
"""A small checkpoint as a release would store it: quantised, in released names, with the
reference's numbers for exactly those weights.

    released.py BABY OUT FORM        BABY: a folder that baby.py made

FORM: deepseek_v4   fp8 in blocks of 128 x 128 with e8m0 `.scale`, experts in fp4 (e2m1, e8m0 for 32
                    columns)
      nvfp4         modelopt, MIXED_PRECISION: experts e2m1 in groups of 16 (e4m3 scales, one
                    float32), other matrices fp8
      int4          compressed-tensors pack-quantized: experts in int4, groups of 32

The reference runs on the values that the stored codes stand for, computed here from the codes.
"""

import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable
from typing import Any, TypeAlias

import baby
import reference
import torch
from safetensors.torch import save_file

Json: TypeAlias = dict[str, Any]
Tensors: TypeAlias = dict[str, torch.Tensor]
Stored: TypeAlias = tuple[Tensors, torch.Tensor]  # what a file holds by suffix, and the values

E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6])
FP8 = torch.float8_e4m3fn
RENAMES = {"deepseek_v4": [(r"\.attn\.norm\.", ".attn.kv_norm.")]}


def repeated(scale: torch.Tensor, rows: int, cols: int, shape: torch.Size) -> torch.Tensor:
    return scale.repeat_interleave(rows, 0)[: shape[0]].repeat_interleave(cols, 1)[:, : shape[1]]


def power_of_two(x: torch.Tensor) -> torch.Tensor:
    return torch.exp2(torch.ceil(torch.log2(x.clamp_min(2.0**-100))))


def e2m1_codes(w: torch.Tensor) -> torch.Tensor:
    """The nearest code of each value, by table."""
    return (w.unsqueeze(-1) - E2M1).abs().argmin(-1).to(torch.uint8)


def pairs(codes: torch.Tensor) -> torch.Tensor:
    return codes[:, 0::2] | (codes[:, 1::2] << 4)


def fp8_blocks(w: torch.Tensor) -> Stored:
    """(stored tensors by suffix, values)"""
    rows, cols = -(-w.shape[0] // 128), -(-w.shape[1] // 128)
    top = torch.stack(
        [
            torch.stack(
                [
                    w[i * 128 : (i + 1) * 128, j * 128 : (j + 1) * 128].abs().max()
                    for j in range(cols)
                ]
            )
            for i in range(rows)
        ]
    )
    scale = power_of_two(top / 448)
    codes = (w / repeated(scale, 128, 128, w.shape)).to(FP8)
    return (
        {"weight": codes, "scale": scale.to(torch.float8_e8m0fnu)},
        codes.float() * repeated(scale, 128, 128, w.shape),
    )


def fp4_mx(w: torch.Tensor) -> Stored:
    scale = power_of_two(w.view(w.shape[0], -1, 32).abs().amax(-1) / 6)
    wide = scale.repeat_interleave(32, 1)
    codes = e2m1_codes(w / wide)
    return {"weight": pairs(codes).view(torch.int8), "scale": scale.to(torch.float8_e8m0fnu)}, E2M1[
        codes.long()
    ] * wide


def nvfp4(w: torch.Tensor) -> Stored:
    world = (w.abs().max() / (6 * 448)).float()
    scale = (w.view(w.shape[0], -1, 16).abs().amax(-1) / 6 / world).clamp_min(2.0**-9).to(FP8)
    wide = (scale.float() * world).repeat_interleave(16, 1)
    codes = e2m1_codes(w / wide)
    return (
        {
            "weight": pairs(codes),
            "weight_scale": scale,
            "weight_scale_2": world,
            "input_scale": torch.tensor(0.5),
        },
        E2M1[codes.long()] * wide,
    )


def fp8_tensor(w: torch.Tensor) -> Stored:
    scale = (w.abs().max() / 448).float()
    codes = (w / scale).to(FP8)
    return {
        "weight": codes,
        "weight_scale": scale,
        "input_scale": torch.tensor(0.5),
    }, codes.float() * scale


def int4_groups(w: torch.Tensor) -> Stored:
    scale = (w.view(w.shape[0], -1, 32).abs().amax(-1) / 7).to(torch.bfloat16)
    wide = scale.float().repeat_interleave(32, 1)
    codes = (w / wide).round().clamp(-8, 7)
    nibbles = (codes + 8).to(torch.int64).view(w.shape[0], -1, 8)
    words = torch.stack([nibbles[..., k] << (4 * k) for k in range(8)]).sum(0)
    words = torch.where(words >= 2**31, words - 2**32, words).to(torch.int32)
    return {
        "weight_packed": words,
        "weight_scale": scale,
        "weight_shape": torch.tensor(w.shape),
    }, codes * wide


def chosen(form: str, name: str, w: torch.Tensor) -> Callable[[torch.Tensor], Stored] | None:
    """How a matrix is stored; None: as it is."""
    if (
        w.dim() != 2
        or not name.endswith(".weight")
        or re.search(r"embed|head|gate\.weight|router|norm|conv|weights_proj", name)
    ):
        return None
    expert = re.search(r"\.experts\.\d+\.", name)
    if form == "deepseek_v4":
        plain = re.search(r"\.attn\.(wq|wkv|wo|indexer\.wq)|shared_experts", name)
        return fp4_mx if expert and w.shape[1] % 32 == 0 else fp8_blocks if plain else None
    if form == "nvfp4":
        return nvfp4 if expert and w.shape[1] % 16 == 0 else fp8_tensor
    return int4_groups if expert and w.shape[1] % 32 == 0 else None


def quantise(tensors: Tensors, form: str) -> tuple[Tensors, Tensors, dict[str, str]]:
    """(stored, values, {module: method})"""
    stored, values, how = {}, {}, {}
    for name, t in tensors.items():
        for old, new in RENAMES.get(form, []):
            name = re.sub(old, new, name)
        make = chosen(form, name, t)
        if not make:
            stored[name] = values[name] = t
            continue
        stem = name.removesuffix("weight")
        parts, values[name] = make(t.float())
        stored.update({stem + suffix: part.contiguous() for suffix, part in parts.items()})
        how[stem[:-1]] = make.__name__
    return stored, values, how


def quantization_config(form: str, how: dict[str, str]) -> Json:
    if form == "deepseek_v4":
        return {
            "activation_scheme": "dynamic",
            "fmt": "e4m3",
            "quant_method": "fp8",
            "scale_fmt": "ue8m0",
            "weight_block_size": [128, 128],
        }
    if form == "nvfp4":
        layers = {
            m: {"quant_algo": "NVFP4", "group_size": 16}
            if kind == "nvfp4"
            else {"quant_algo": "FP8"}
            for m, kind in how.items()
        }
        return {
            "quant_method": "modelopt",
            "quant_algo": "MIXED_PRECISION",
            "quantized_layers": layers,
            "kv_cache_scheme": {"dynamic": False, "num_bits": 8, "type": "float"},
            "producer": {"name": "modelopt", "version": "0.45.0"},
        }
    weights = {
        "num_bits": 4,
        "type": "int",
        "strategy": "group",
        "group_size": 32,
        "symmetric": True,
        "dynamic": False,
    }
    return {
        "quant_method": "compressed-tensors",
        "format": "pack-quantized",
        "quantization_status": "compressed",
        "config_groups": {
            "group_0": {
                "targets": ["Linear"],
                "weights": weights,
                "input_activations": None,
                "output_activations": None,
            }
        },
        "ignore": ["lm_head", "re:.*self_attn.*", "re:.*shared_experts.*"],
        "kv_cache_scheme": None,
    }


def measure(folder: str, prompts: list[Json], cached: bool) -> tuple[list[Json], Tensors]:
    """(prompts of reference.json, tensors) of the wide weights."""
    model = reference.load(folder)
    told, tensors = [], {}
    for i, p in enumerate(prompts):
        tokens, margin, steps = baby.greedy(model, p["prompt"], cached)
        told.append({"prompt": p["prompt"], "continuation": tokens, "margin": margin})
        traced = reference.trace(model, p["prompt"], every_child=False)
        tensors.update({f"{i}/{k}": t for k, t in traced.items()})
        tensors[f"{i}/continuation.logits"] = steps.contiguous()
    return told, tensors


def main() -> None:
    source, out, form = sys.argv[1:]
    os.makedirs(out, exist_ok=True)
    with open(os.path.join(source, "config.json")) as f:
        config = json.load(f)
    with open(os.path.join(source, "reference.json")) as f:
        about = json.load(f)
    stored, values, how = quantise(reference.stored_tensors(source), form)
    with tempfile.TemporaryDirectory() as wide:
        save_file(
            {k: v.float().contiguous() if v.is_floating_point() else v for k, v in values.items()},
            os.path.join(wide, "model.safetensors"),
            metadata={"format": "pt"},
        )
        with open(os.path.join(wide, "config.json"), "w") as f:
            json.dump(config, f)
        about["prompts"], tensors = measure(
            wide, about["prompts"], about.get("greedy_used_cache", False)
        )
    worst = min(p["margin"] for p in about["prompts"])
    config["quantization_config"] = quantization_config(form, how)
    save_file(stored, os.path.join(out, "model.safetensors"), metadata={"format": "pt"})
    save_file(tensors, os.path.join(out, "reference.safetensors"))
    about.update(
        case=os.path.basename(os.path.abspath(out)),
        note=f"{form} of {about.get('case')}",
        weights=form,
    )
    for name, d in (("config.json", config), ("reference.json", about)):
        with open(os.path.join(out, name), "w") as f:
            json.dump(d, f, indent=1)
    for name in ("generation_config.json",):
        if os.path.exists(os.path.join(source, name)):
            shutil.copy(os.path.join(source, name), out)
    print(f"{out}: {len(how)} matrices quantised, smallest margin {worst:.1e}")


if __name__ == "__main__":
    main()
