#!/usr/bin/env python3
"""Write the plain float32 folder that the codes of a folder of `lmzoo quantise` stand for.

    dequantised.py FOLDER OUT

transformers reads the codes of single matrices itself, and not those of experts: it has them in one
tensor of a layer, for which compressed-tensors has no module. The folder that this writes is read
by every program, at four bytes a weight. The codes are unpacked by the package compressed-tensors:

    W[r, c] = code[r, c] * scale[r, c / group]

Only what `quantise` writes is read: model.safetensors with symmetric groups, packed densely; six
and eight bits in rotated groups are plain numbers there already. A tensor that was stored as
[inputs, outputs] is turned back (lmzoo_quantise.json names it).
"""

import json
import os
import shutil
import sys
from typing import Any

import torch
from compressed_tensors.compressors.pack_quantized.helpers import unpack_from_int32
from safetensors.torch import load_file, save_file


def widths(config: dict[str, Any]) -> dict[str, int]:
    """Bits of each matrix by its name."""
    out: dict[str, int] = {}
    for group in config.get("quantization_config", {}).get("config_groups", {}).values():
        for name in group["targets"]:
            out[name] = group["weights"]["num_bits"]
    return out


def widened(
    packed: torch.Tensor, scale: torch.Tensor, shape: torch.Tensor, bits: int
) -> torch.Tensor:
    dims = torch.Size(shape.tolist())
    codes = unpack_from_int32(packed, bits, dims).float()
    return codes * scale.float().repeat_interleave(dims[-1] // scale.shape[-1], -1)


def dequantised(folder: str) -> dict[str, torch.Tensor]:
    with open(os.path.join(folder, "config.json")) as f:
        bits = widths(json.load(f))
    with open(os.path.join(folder, "lmzoo_quantise.json")) as f:
        turned = {m["name"] for m in json.load(f)["matrices"] if m.get("transposed")}
    stored = load_file(os.path.join(folder, "model.safetensors"))
    out: dict[str, torch.Tensor] = {}
    for name, tensor in stored.items():
        base, _, part = name.rpartition("_")
        if f"{base}_packed" not in stored:
            out[name] = tensor.float() if tensor.is_floating_point() else tensor
        elif part == "packed":
            module = base.removesuffix(".weight")
            w = widened(tensor, stored[f"{base}_scale"], stored[f"{base}_shape"], bits[module])
            out[base] = (w.transpose(-1, -2) if module in turned else w).contiguous()
    return out


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    folder, out = sys.argv[1:]
    os.makedirs(out)
    save_file(dequantised(folder), os.path.join(out, "model.safetensors"), {"format": "pt"})
    for name in os.listdir(folder):
        if not name.startswith((".", "model.", "lmzoo_")) and name != "config.json":
            shutil.copy(os.path.join(folder, name), out)
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    config.pop("quantization_config", None)
    with open(os.path.join(out, "config.json"), "w") as f:
        json.dump(config, f, indent=2)


if __name__ == "__main__":
    main()
