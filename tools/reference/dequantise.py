#!/usr/bin/env python3
"""Float32 matrices of quantised checkpoints, decoded with numpy alone:
the oracle of tests/unit/test_formats.c.

    dequantise.py dump FOLDER OUT.safetensors     every quantised weight of a folder, decoded
    dequantise.py digest FOLDER...                lines `case matrices xxh3` for
                                                  tests/data/dequantised.txt
    dequantise.py fixtures DIR                    small files of layouts that no parity case has,
                                                  with expected values

Needs numpy; digest also needs xxhash. It shares no code with the C reader: codes are unpacked bit
by bit, and the fixtures are computed from the codes before they are packed. Each matrix is code
minus zero point, times scale, in float32.
"""

import functools
import json
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Json: TypeAlias = dict[str, Any]
Array: TypeAlias = NDArray[Any]
Raw: TypeAlias = tuple[str, Array]  # safetensors dtype, codes
Raws: TypeAlias = dict[str, Raw]
Add: TypeAlias = Callable[..., None]  # put() with its tensors

F32 = np.float32
NUMPY = {
    "F32": "<f4",
    "F16": "<f2",
    "F64": "<f8",
    "I8": "i1",
    "U8": "u1",
    "I16": "<i2",
    "I32": "<i4",
    "I64": "<i8",
    "BF16": "<u2",
    "F8_E4M3": "u1",
    "F8_E8M0": "u1",
}
FP4 = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6, -0.0, -0.5, -1, -1.5, -2, -3, -4, -6], F32)
NF4 = np.array(
    [
        -1.0,
        -0.6961928009986877,
        -0.5250730514526367,
        -0.39491748809814453,
        -0.28444138169288635,
        -0.18477343022823334,
        -0.09105003625154495,
        0.0,
        0.07958029955625534,
        0.16093020141124725,
        0.24611230194568634,
        0.33791524171829224,
        0.44070982933044434,
        0.5626170039176941,
        0.7229568362236023,
        1.0,
    ],
    F32,
)
BNB_FP4 = np.array(
    [
        0.0,
        0.0052083333,
        0.66666667,
        1.0,
        0.33333333,
        0.5,
        0.16666667,
        0.25,
        -0.0,
        -0.0052083333,
        -0.66666667,
        -1.0,
        -0.33333333,
        -0.5,
        -0.16666667,
        -0.25,
    ],
    F32,
)
AWQ = (0, 2, 4, 6, 1, 3, 5, 7)


def e4m3(code: int) -> float:
    code = int(code)
    sign, e, m = (-1.0 if code & 128 else 1.0), code >> 3 & 15, code & 7
    if code & 127 == 127:
        return float("nan")
    return sign * ((8 + m) * 2.0 ** (e - 10) if e else m * 2.0**-9)


E4M3 = np.array([e4m3(i) for i in range(256)], F32)
E8M0 = np.array([2.0 ** (i - 127) for i in range(255)] + [float("nan")]).astype(F32)


def read(path: str) -> Raws:
    """name -> (dtype, raw numpy array)"""
    with open(path, "rb") as f:
        (n,) = struct.unpack("<Q", f.read(8))
        header, payload = json.loads(f.read(n)), f.read()
    header.pop("__metadata__", None)
    return {
        k: (
            v["dtype"],
            np.frombuffer(
                payload[v["data_offsets"][0] : v["data_offsets"][1]], NUMPY[v["dtype"]]
            ).reshape(v["shape"]),
        )
        for k, v in header.items()
    }


def write(path: str, tensors: Raws) -> None:
    """tensors: name -> (dtype, raw array)"""
    header, blobs, at = {}, [], 0
    for k, (dtype, a) in tensors.items():
        blob = np.ascontiguousarray(a).astype(NUMPY[dtype]).tobytes()
        header[k] = {"dtype": dtype, "shape": list(a.shape), "data_offsets": [at, at + len(blob)]}
        blobs.append(blob)
        at += len(blob)
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + b"".join(blobs))


def wide(t: Raw) -> Array:
    dtype, a = t
    if dtype == "BF16":
        return (a.astype(np.uint32) << 16).view(F32)
    return E4M3[a] if dtype == "F8_E4M3" else E8M0[a] if dtype == "F8_E8M0" else a.astype(F32)


def unpack(words: Array, bits: int) -> Array:
    """[.., words] of 32 bits -> [.., codes], dense, little end first: through single bits."""
    raw = (
        np.ascontiguousarray(words)
        .astype("<u4")
        .view("u1")
        .reshape(*words.shape[:-1], words.shape[-1] * 4)
    )
    stream = np.unpackbits(raw, axis=-1, bitorder="little")
    n = stream.shape[-1] // bits
    split = stream[..., : n * bits].reshape(*stream.shape[:-1], n, bits)
    codes: Array = (split << np.arange(bits)).sum(-1).astype(np.int64)
    return codes


def grid(scale: Array, rows: int, cols: int, br: int, bc: int) -> Array:
    return np.repeat(np.repeat(scale, br, -2)[..., :rows, :], bc, -1)[..., :cols]


def decode_module(t: Raws, stem: str, q: Json) -> Array | None:
    """The matrix of a module stem from its raw tensors, or None when it is not quantised."""
    method = q["quant_method"]
    if stem + ".SCB" in t:
        rows_scale: Array = (wide(t[stem + ".SCB"]) / F32(127))[:, None]
        return wide(t[stem + ".weight"]) * rows_scale
    state = [k for k in t if k.startswith(stem + ".weight.quant_state.")]
    if state:
        return decode_bnb4(t, stem, json.loads(bytes(t[state[0]][1].tolist())))
    if stem + ".weight_packed" in t:
        return decode_packed(t, stem, q)
    if stem + ".qweight" in t:
        return decode_gptq(t, stem, q) if method == "gptq" else decode_awq(t, stem)
    scale = t.get(stem + ".weight_scale_inv") or t.get(stem + ".weight_scale")
    if scale is None:
        return None
    w, s = t[stem + ".weight"], wide(scale)
    if method == "bitnet":
        codes: Array = np.concatenate([w[1] >> (2 * k) & 3 for k in range(4)])
        assert q["linear_class"] == "autobitlinear"
        decoded: Array = (codes.astype(F32) - F32(1)) * s[0]
        return decoded
    rows, cols = w[1].shape
    block = q.get("weight_block_size")
    return wide(w) * (
        grid(s, rows, cols, *block)
        if block
        else s.reshape(-1, 1)
        if s.size > 1
        else s.reshape(1, 1)
    )


def decode_packed(t: Raws, stem: str, q: Json) -> Array:
    args = q["config_groups"]["group_0"]["weights"]
    rows, cols = t[stem + ".weight_shape"][1].tolist()
    bits, scale = args["num_bits"], wide(t[stem + ".weight_scale"])
    codes = unpack(t[stem + ".weight_packed"][1], bits)[:, :cols]
    group: Array = np.arange(cols) // (cols // scale.shape[1])
    zero = np.full(scale.shape, 2 ** (bits - 1))
    if stem + ".weight_zero_point" in t:
        zero = unpack(t[stem + ".weight_zero_point"][1].T, bits).T[:rows]
    decoded: Array = (codes - zero[:, group]).astype(F32) * scale[:, group]
    return decoded


def decode_gptq(t: Raws, stem: str, q: Json) -> Array:
    bits, g = q["bits"], t[stem + ".g_idx"][1]
    codes = unpack(t[stem + ".qweight"][1].T, bits)
    zero = unpack(t[stem + ".qzeros"][1], bits) + (q.get("checkpoint_format", "gptq") == "gptq")
    decoded: Array = (codes - zero.T[:, g]).astype(F32) * wide(t[stem + ".scales"]).T[:, g]
    return decoded


def decode_awq(t: Raws, stem: str) -> Array:
    def columns(words: Array) -> Array:
        return (
            unpack(words, 4)
            .reshape(words.shape[0], -1, 8)[:, :, np.argsort(AWQ)]
            .reshape(words.shape[0], -1)
        )

    codes, zero, scale = (
        columns(t[stem + ".qweight"][1]),
        columns(t[stem + ".qzeros"][1]),
        wide(t[stem + ".scales"]),
    )
    g = np.arange(codes.shape[0]) // (codes.shape[0] // scale.shape[0])
    decoded: Array = ((codes - zero[g]).astype(F32) * scale[g]).T
    return decoded


def decode_bnb4(t: Raws, stem: str, state: Json) -> Array:
    absmax = t[stem + ".weight.absmax"]
    scale = wide(absmax)
    if absmax[0] == "U8":
        top: Array = np.repeat(wide(t[stem + ".weight.nested_absmax"]), state["nested_blocksize"])[
            : absmax[1].size
        ]
        scale = wide(t[stem + ".weight.nested_quant_map"])[absmax[1]] * top + F32(
            state["nested_offset"]
        )
    raw = t[stem + ".weight"][1].reshape(-1)
    codes = np.stack([raw >> 4, raw & 15], 1).reshape(-1, state["blocksize"])
    decoded: Array = wide(t[stem + ".weight.quant_map"])[codes] * scale[:, None]
    return decoded.reshape(state["shape"])


def decode_blocks(blocks: Array, scales: Array) -> Array:
    values = FP4[np.stack([blocks & 15, blocks >> 4], -1).reshape(*blocks.shape[:-1], 32)]
    return (values * E8M0[scales][..., None]).reshape(*blocks.shape[:-2], -1)


def decode_folder(folder: str) -> dict[str, Array]:
    """weight name -> float32 matrix, for the quantised weights only."""
    with open(os.path.join(folder, "config.json")) as f:
        config = json.load(f)
    q, t = config["quantization_config"], read(os.path.join(folder, "model.safetensors"))
    out = {}
    for name in t:
        if name.endswith("_blocks"):
            base = name[: -len("_blocks")]
            out[base] = decode_blocks(t[name][1], t[base + "_scales"][1])
    for stem in sorted(
        {
            n[: -len(s)]
            for n in t
            for s in (".weight", ".qweight", ".weight_packed")
            if n.endswith(s)
        }
    ):
        m = decode_module(t, stem, q)
        if m is not None:
            out[stem + ".weight"] = m
    return {k: np.ascontiguousarray(out[k], F32) for k in sorted(out)}


def digest(folder: str) -> str:
    import xxhash

    h, matrices = xxhash.xxh3_64(), decode_folder(folder)
    for m in matrices.values():
        h.update(m.tobytes())
    return f"{os.path.basename(folder.rstrip('/'))} {len(matrices)} {h.hexdigest()}"


# ---------------------------------------------------------------- fixtures


def pack(codes: Array, bits: int) -> Array:
    """[.., codes] -> [.., words], dense: a row is one long whole number, cut into words."""
    n_words = (codes.shape[-1] * bits + 31) // 32
    flat = codes.reshape(-1, codes.shape[-1])
    rows = [sum(int(v) << (bits * i) for i, v in enumerate(row)) for row in flat]
    words = [[r >> (32 * w) & 0xFFFFFFFF for w in range(n_words)] for r in rows]
    return np.array(words, np.uint32).view(np.int32).reshape(*codes.shape[:-1], n_words)


def pack_whole(codes: Array, bits: int) -> Array:
    """The same with 32 // bits whole codes a word."""
    per = 32 // bits
    padded = np.pad(codes, ((0, 0), (0, -codes.shape[1] % per))).reshape(codes.shape[0], -1, per)
    words: Array = (padded.astype(np.uint64) << (bits * np.arange(per, dtype=np.uint64))).sum(-1)
    return words.astype(np.uint32).view(np.int32)


def scales_of(rng: np.random.Generator, shape: tuple[int, ...], dtype: str) -> Raw:
    raw = rng.uniform(0.01, 0.1, shape).astype(F32)
    return (
        (dtype, (raw.view(np.uint32) >> 16).astype(np.uint16))
        if dtype == "BF16"
        else (dtype, raw.astype(np.float16) if dtype == "F16" else raw)
    )


def fixture_packed(
    rng: np.random.Generator,
    add: Add,
    bits: int,
    rows: int,
    cols: int,
    groups: int,
    asymmetric: bool,
    whole: bool = False,
    order: bool = False,
) -> None:
    name = f"int{bits}{'a' if asymmetric else ''}{'w' if whole else ''}{'o' if order else ''}"
    codes = rng.integers(0, 2**bits, (rows, cols))
    scale = scales_of(rng, (rows, groups), "BF16")
    zero = (
        rng.integers(0, 2**bits, (rows, groups))
        if asymmetric
        else np.full((rows, groups), 2 ** (bits - 1))
    )
    group: Array = np.arange(cols) // (cols // groups)
    packer = pack_whole if whole else pack
    t = {
        "weight_packed": ("I32", packer(codes, bits)),
        "weight_scale": scale,
        "weight_shape": ("I64", np.array([rows, cols])),
    }
    if asymmetric:
        t["weight_zero_point"] = ("I32", packer(zero.T, bits).T)
    if order:
        group = rng.permutation(group)
        t["weight_g_idx"] = ("I32", group)
    add(name, t, (codes - zero[:, group]).astype(F32) * wide(scale)[:, group])


def fixture_compressed(rng: np.random.Generator, add: Add) -> None:
    for bits in (2, 3, 5, 6, 7, 8):
        fixture_packed(rng, add, bits, 9, 64, 2, bits % 2 == 1)
    fixture_packed(rng, add, 3, 7, 64, 1, True, whole=True)
    fixture_packed(rng, add, 4, 5, 32, 4, True, order=True)
    fixture_packed(rng, add, 4, 2, 572, 2, False)
    codes, zero, scale = (
        rng.integers(0, 16, (6, 32)),
        rng.integers(-8, 8, (6, 1)),
        scales_of(rng, (6, 1), "F32"),
    )
    add(
        "int4bytes",
        {
            "weight_packed": ("I32", pack(codes, 4)),
            "weight_scale": scale,
            "weight_shape": ("I64", np.array([6, 32])),
            "weight_zero_point": ("I8", zero),
        },
        (codes - 8 - zero).astype(F32) * wide(scale),
    )
    codes, zero, scale = (
        rng.integers(-128, 128, (6, 10)),
        rng.integers(-9, 9, (6, 1)),
        scales_of(rng, (6, 1), "F32"),
    )
    add(
        "int8zero",
        {"weight": ("I8", codes), "weight_scale": scale, "weight_zero_point": ("I8", zero)},
        (codes - zero).astype(F32) * wide(scale),
    )
    f8 = rng.integers(0, 127, (20, 36))
    scale = scales_of(rng, (3, 3), "F32")
    add(
        "f8block",
        {"weight": ("F8_E4M3", f8), "weight_scale": scale, "input_scale": ("F32", np.ones(1))},
        E4M3[f8] * grid(scale[1], 20, 36, 8, 16),
    )
    nibbles, exponents = rng.integers(0, 16, (5, 64)), rng.integers(110, 130, (5, 2))
    add(
        "mxfp4",
        {
            "weight_packed": ("U8", nibbles[:, 0::2] | nibbles[:, 1::2] << 4),
            "weight_scale": ("U8", exponents),
        },
        FP4[nibbles] * np.repeat(E8M0[exponents], 32, 1),
    )


def fixture_gptq(rng: np.random.Generator, add: Add) -> None:
    for bits, groups, ordered in ((2, 2, False), (3, 2, True), (4, 1, False), (8, 4, True)):
        rows, cols = 32, 64
        codes, zero, scale = (
            rng.integers(0, 2**bits, (rows, cols)),
            rng.integers(0, 2**bits, (rows, groups)),
            scales_of(rng, (groups, rows), "F16"),
        )
        group: Array = np.arange(cols) // (cols // groups)
        t = {}
        if ordered:
            group = rng.permutation(group)
            t["g_idx"] = ("I32", group)
        t.update(
            qweight=("I32", pack(codes, bits).T), qzeros=("I32", pack(zero.T, bits)), scales=scale
        )
        add(f"int{bits}", t, (codes - zero[:, group]).astype(F32) * wide(scale).T[:, group])


def fixture_awq(rng: np.random.Generator, add: Add) -> None:
    rows, cols, groups = 24, 32, 2
    codes, zero, scale = (
        rng.integers(0, 16, (rows, cols)),
        rng.integers(0, 16, (rows, groups)),
        scales_of(rng, (groups, rows), "F16"),
    )

    def words(x: Array) -> Array:
        return pack(x.T.reshape(x.shape[1], -1, 8)[:, :, list(AWQ)].reshape(x.shape[1], -1), 4)

    group: Array = np.arange(cols) // (cols // groups)
    add(
        "int4",
        {"qweight": ("I32", words(codes)), "qzeros": ("I32", words(zero)), "scales": scale},
        (codes - zero[:, group]).astype(F32) * wide(scale).T[:, group],
    )


def fixture_fp8(rng: np.random.Generator, add: Add) -> None:
    f8, e8 = rng.integers(0, 127, (20, 36)), rng.integers(115, 125, (3, 3))
    add(
        "e8m0",
        {"weight": ("F8_E4M3", f8), "scale": ("F8_E8M0", e8)},
        E4M3[f8] * grid(E8M0[e8], 20, 36, 8, 16),
    )
    nibbles, exponents = rng.integers(0, 16, (6, 32)), rng.integers(110, 130, (6, 1))
    add(
        "int8fp4",
        {
            "weight": (
                "I8",
                (nibbles[:, 0::2] | nibbles[:, 1::2] << 4).astype(np.uint8).view(np.int8),
            ),
            "scale": ("F8_E8M0", exponents),
        },
        FP4[nibbles] * np.repeat(E8M0[exponents], 32, 1),
    )
    f8, scale = rng.integers(128, 255, (3, 12, 20)), scales_of(rng, (3, 2, 2), "BF16")
    add(
        "stack",
        {"": ("F8_E4M3", f8), "_scale_inv": scale},
        E4M3[f8] * grid(wide(scale), 12, 20, 8, 16),
    )
    blocks, exponents = rng.integers(0, 256, (2, 5, 2, 16)), rng.integers(110, 130, (2, 5, 2))
    add(
        "mxfp4",
        {"": ("U8", blocks), "_scales": ("U8", exponents)},
        decode_blocks(blocks, exponents),
        "_blocks",
    )
    f8, scale = rng.integers(0, 127, (5, 9)), scales_of(rng, (), "BF16")
    add(
        "scalar",
        {"weight": ("F8_E4M3", f8), "weight_scale_inv": scale, "activation_scale": scale},
        E4M3[f8] * wide(scale),
    )


def fixture_bnb(rng: np.random.Generator, add: Add) -> None:
    codes, scb = rng.integers(-128, 128, (4, 9)), rng.uniform(0.5, 2, 4).astype(F32)
    add(
        "int8",
        {"weight": ("I8", codes), "SCB": ("F32", scb), "weight_format": ("U8", np.zeros((), int))},
        codes.astype(F32) * (scb / F32(127))[:, None],
    )
    for nested in (False, True):
        rows, cols, block = 7, 33, 16
        codes = rng.integers(0, 16, rows * cols + 1)
        codes[-1] = 0
        n_blocks = -(-rows * cols // block)
        state = {"quant_type": "fp4", "blocksize": block, "dtype": "float16", "shape": [rows, cols]}
        t = {
            "weight": ("U8", (codes[0::2] << 4 | codes[1::2]).reshape(-1, 1)),
            "weight.quant_map": ("F32", BNB_FP4),
        }
        scale = rng.uniform(0.5, 2, n_blocks).astype(F32)
        if nested:
            index, code, top = (
                rng.integers(0, 256, n_blocks),
                np.sort(rng.uniform(-1, 1, 256)).astype(F32),
                rng.uniform(0.5, 2, -(-n_blocks // 4)).astype(F32),
            )
            state.update(nested_blocksize=4, nested_dtype="float32", nested_offset=0.3)
            scale = code[index] * np.repeat(top, 4)[:n_blocks] + F32(0.3)
            t.update(
                {"weight.nested_absmax": ("F32", top), "weight.nested_quant_map": ("F32", code)}
            )
            t["weight.absmax"] = ("U8", index)
        else:
            t["weight.absmax"] = ("F32", scale)
        t["weight.quant_state.bitsandbytes__fp4"] = (
            "U8",
            np.frombuffer(json.dumps(state).encode(), np.uint8),
        )
        add(
            "nested" if nested else "plain",
            t,
            (BNB_FP4[codes[: rows * cols]] * np.repeat(scale, block)[: rows * cols]).reshape(
                rows, cols
            ),
        )


def fixture_ternary(rng: np.random.Generator, add: Add) -> None:
    codes, scale = rng.integers(0, 3, (12, 11)), scales_of(rng, (1,), "BF16")
    raw = sum(codes[3 * k : 3 * k + 3] << (2 * k) for k in range(4))
    add(
        "divides",
        {"weight": ("U8", raw), "weight_scale": scale},
        (codes - 1).astype(F32) / wide(scale)[0],
    )


FIXTURES = {
    "compressed": (
        fixture_compressed,
        {
            "quant_method": "compressed-tensors",
            "format": "mixed-precision",
            "config_groups": {
                **{
                    f"group_{b}": {
                        "targets": ["x"],
                        "weights": {
                            "num_bits": b,
                            "type": "int",
                            "symmetric": b != 4,
                            "group_size": None,
                        },
                    }
                    for b in range(2, 9)
                },
                "group_f8": {
                    "targets": ["y"],
                    "weights": {
                        "num_bits": 8,
                        "type": "float",
                        "strategy": "block",
                        "block_structure": [8, 16],
                    },
                },
            },
        },
    ),
    "gptq_v2": (
        fixture_gptq,
        {
            "quant_method": "gptq",
            "bits": 4,
            "group_size": 32,
            "checkpoint_format": "gptq_v2",
            "dynamic": {"x": {"bits": 3}},
        },
    ),
    "awq": (
        fixture_awq,
        {"quant_method": "awq", "bits": 4, "group_size": 16, "version": "gemm", "zero_point": True},
    ),
    "fp8": (fixture_fp8, {"quant_method": "fp8", "weight_block_size": [8, 16]}),
    "bitsandbytes": (fixture_bnb, {"quant_method": "bitsandbytes", "load_in_4bit": True}),
    "bitlinear": (fixture_ternary, {"quant_method": "bitnet", "linear_class": "bitlinear"}),
}


def put(tensors: Raws, module: str, parts: Raws, expected: Array, suffix: str = "") -> None:
    """Adds what a file stores of a module, and what is expected of it."""
    assert expected.dtype == F32 and np.isfinite(expected).all()
    stacked = "" in parts
    for k, v in parts.items():
        tensors[module + (k or suffix) if stacked else f"{module}.{k}"] = v
    tensors["expected/" + (module if stacked else module + ".weight")] = ("F32", expected)


def fixtures(folder: str) -> None:
    """NAME.safetensors with the packed tensors and expected/<weight>,
    and all configs in configs.json."""
    os.makedirs(folder, exist_ok=True)
    for seed, (name, (make, _)) in enumerate(FIXTURES.items()):
        tensors: Raws = {}
        make(np.random.default_rng(seed), functools.partial(put, tensors))
        write(os.path.join(folder, name + ".safetensors"), tensors)
    with open(os.path.join(folder, "configs.json"), "w") as f:
        json.dump({name: config for name, (_, config) in FIXTURES.items()}, f, indent=1)
        f.write("\n")


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "dump":
        write(sys.argv[3], {k: ("F32", v) for k, v in decode_folder(sys.argv[2]).items()})
    elif len(sys.argv) > 2 and sys.argv[1] == "digest":
        for folder in sys.argv[2:]:
            print(digest(folder))
    elif len(sys.argv) == 3 and sys.argv[1] == "fixtures":
        fixtures(sys.argv[2])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
