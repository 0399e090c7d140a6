#!/usr/bin/env python3
"""round_weights.py: a copy of a model folder whose matrices are rounded to a 4-bit format.

  round_weights.py MODEL OUT --as q4_0|int4 [--head same|q8_0|int5]

The copy is float32, so `lmzoo score OUT --weights f32 --against-model MODEL` measures the rounding
of the weights alone.

  q4_0: groups of 32 along the inputs; d = (value of the largest magnitude) / -8, kept as fp16;
        q = min(15, floor(x / d + 8.5)); value = (q - 8) d   (llama.cpp, ggml-quants.c)
  int4: the host's own fit (host/kernels/fit.inc); without fma, so a rare tie is rounded differently

Rounded is what the host packs: all matrices of the layers and the output matrix, not the input
embedding, routers, indexer weights, convolutions and a Mamba-2's dt rows. A tied output matrix is
stored beside the embedding. --head q8_0: the output matrix in Q8_0 (d = amax / 127 as fp16), as
llama-quantize stores it where rows are no multiple of 256 (otherwise Q6_K, which is not made here);
int5: as the host stores it beside int4.
Memory: the model as float32 twice. Needs numpy.
"""

import argparse
import json
import os
import re
import shutil
import struct
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Rounding: TypeAlias = Callable[[Floats], Floats]  # of groups, one a row

EXACT = re.compile(
    r"(mlp\.gate|router(\.layer|\.proj)?|weights_proj|shared_expert_gate|conv1d)\.weight$"
)


def read_tensors(path: str) -> dict[str, Floats]:
    with open(path, "rb") as file:
        size = struct.unpack("<Q", file.read(8))[0]
        header = json.loads(file.read(size))
        data = file.read()
    tensors = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        begin, end = entry["data_offsets"]
        raw = data[begin:end]
        if entry["dtype"] == "BF16":
            x = (np.frombuffer(raw, np.uint16).astype(np.uint32) << 16).view(np.float32)
        elif entry["dtype"] in ("F32", "F16"):
            x = np.frombuffer(raw, np.float32 if entry["dtype"] == "F32" else np.float16)
        else:
            sys.exit(f"{path}: {name} is {entry['dtype']}; wanted BF16, F16 or F32")
        tensors[name] = x.astype(np.float32).reshape(entry["shape"])
    return tensors


def write_tensors(path: str, tensors: dict[str, Floats]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, x in tensors.items():
        header[name] = {"dtype": "F32", "shape": list(x.shape), "data_offsets": [at, at + x.nbytes]}
        at += x.nbytes
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for x in tensors.values():
            file.write(np.ascontiguousarray(x, np.float32).tobytes())


def largest(x: Floats) -> Floats:
    found: Floats = np.take_along_axis(x, np.abs(x).argmax(1)[:, None], 1)
    return found


def q4_0(x: Floats) -> Floats:
    d = largest(x) / np.float32(-8)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    q = np.minimum(np.floor(x * inverse + np.float32(8.5)), 15)
    values: Floats = (q - 8) * d.astype(np.float16).astype(np.float32)
    return values


def q8_0(x: Floats) -> Floats:
    d = np.abs(x).max(1, keepdims=True) / np.float32(127)
    inverse = np.divide(np.float32(1), d, out=np.zeros_like(d), where=d != 0)
    values: Floats = np.round(x * inverse) * d.astype(np.float16).astype(np.float32)
    return values


def to_bf16(x: Floats) -> Floats:
    bits = x.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)


def fitted(x: Floats, top: int) -> Floats:
    """Steps -top - 1 .. top, the scale as bf16."""
    size = np.maximum(np.abs(x).max(1, keepdims=True), np.float32(1e-30))
    best = scale = inverse = np.zeros_like(size)
    for i in range(24):
        steps = np.float32(top) - np.float32(0.5) + np.float32(0.2) * np.float32(i % 12)
        trial = (steps if i < 12 else -steps) / size
        q = np.clip(np.round(x * trial), -top - 1, top)
        xq, qq = (x * q).sum(1, keepdims=True), (q * q).sum(1, keepdims=True)
        fit = xq / np.maximum(qq, np.float32(1e-30))
        gain = xq * fit
        better = gain > best
        best = np.where(better, gain, best)
        scale = np.where(better, fit, scale)
        inverse = np.where(better, trial, inverse)
    values: Floats = np.clip(np.round(x * inverse), -top - 1, top) * to_bf16(scale)
    return values


def int4(x: Floats) -> Floats:
    return fitted(x, 7)


def int5(x: Floats) -> Floats:
    return fitted(x, 15)


def rounded(x: Floats, how: Rounding) -> Floats:
    """Groups of 32 of the last axis; a shorter last group is a group of its own."""
    flat = x.reshape(-1, x.shape[-1])
    cols = flat.shape[1]
    padded = np.zeros((flat.shape[0], -(-cols // 32) * 32), np.float32)
    padded[:, :cols] = flat
    out = how(padded.reshape(-1, 32)).astype(np.float32)
    return out.reshape(padded.shape)[:, :cols].reshape(x.shape)


def rounded_latent(x: Floats, config: dict[str, Any], how: Rounding) -> Floats:
    """kv_b_proj: the key part is read with its inputs along a head's rows,
    the value part as it is."""
    heads, nope, v = (config[k] for k in ("num_attention_heads", "qk_nope_head_dim", "v_head_dim"))
    parts = x.reshape(heads, nope + v, -1).copy()
    keys = np.ascontiguousarray(parts[:, :nope].transpose(0, 2, 1))
    parts[:, :nope] = rounded(keys, how).transpose(0, 2, 1)
    parts[:, nope:] = rounded(np.ascontiguousarray(parts[:, nope:]), how)
    return parts.reshape(x.shape)


def round_layers(tensors: dict[str, Floats], config: dict[str, Any], how: Rounding) -> int:
    n = 0
    for name, x in tensors.items():
        if ".layers." not in name or x.ndim < 2 or EXACT.search(name):
            continue
        if name.endswith("kv_b_proj.weight"):
            tensors[name] = rounded_latent(x, config, how)
        else:
            tensors[name] = rounded(x, how)
        if name.endswith("mamba.in_proj.weight"):
            tensors[name][-config["mamba_n_heads"] :] = x[-config["mamba_n_heads"] :]
        n += 1
    return n


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("--as", dest="format", choices=("q4_0", "int4"), required=True)
    parser.add_argument("--head", choices=("same", "q8_0", "int5"), default="same")
    args = parser.parse_args()
    how = {"q4_0": q4_0, "int4": int4}[args.format]
    with open(os.path.join(args.model, "config.json"), encoding="utf-8") as file:
        config = json.load(file)
    tensors = read_tensors(os.path.join(args.model, "model.safetensors"))
    n = round_layers(tensors, config, how)
    head = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
    tensors["lm_head.weight"] = rounded(head, {"same": how, "q8_0": q8_0, "int5": int5}[args.head])
    config["tie_word_embeddings"] = False
    config["dtype"] = "float32"
    os.makedirs(args.out, exist_ok=True)
    for name in os.listdir(args.model):
        if name.endswith((".json", ".jinja")) and name != "config.json":
            shutil.copyfile(os.path.join(args.model, name), os.path.join(args.out, name))
    with open(os.path.join(args.out, "config.json"), "w", encoding="utf-8") as file:
        json.dump(config, file, indent=2)
    write_tensors(os.path.join(args.out, "model.safetensors"), tensors)
    print(
        f"{args.out}: {n} matrices of the layers and the output matrix, {args.format}",
        file=sys.stderr,
    )


if __name__ == "__main__":
    main()
