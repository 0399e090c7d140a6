#!/usr/bin/env python3
"""Turn a llama2.c checkpoint (version 0, as stories260K.bin)
and its tokenizer into a Hugging Face folder.

    convert_stories.py stories260K.bin tok512.bin OUT

Needs numpy alone. Writes config.json, generation_config.json, model.safetensors (float32),
tokenizer.json and tokenizer_config.json.

Format of the checkpoint: seven little-endian int32 (dim, hidden_dim, layers, heads, kv heads,
vocabulary, positions; a negative vocabulary means an output matrix of its own), then float32 arrays
one kind after the other, each for all layers; two rotary tables that are not needed. Rotary pairs
lie side by side there and half a head apart here, so rows of q and k change places.

Format of the tokenizer: int32 longest piece, then per piece float32 score, int32 length, bytes.
Pieces 0 to 2 are special, 3 to 258 bytes. llama2.c joins the pair whose result scores best; the
merges are listed by that score.
"""

import json
import os
import struct
import sys
from typing import Any, NoReturn, TypeAlias

import numpy as np
from numpy.typing import NDArray

Floats: TypeAlias = NDArray[np.float32]
Pieces: TypeAlias = list[tuple[str, float]]

EPS = 1e-5
THETA = 10000.0
N_SPECIAL, N_BYTES = 3, 256


def fail(sentence: str) -> NoReturn:
    sys.exit(f"convert_stories.py: {sentence}")


def half_split(w: Floats, n_heads: int) -> Floats:
    """Rows (head, pair, 2) -> (head, 2, pair)."""
    rows, width = w.shape
    return (
        w.reshape(n_heads, rows // n_heads // 2, 2, width)
        .transpose(0, 2, 1, 3)
        .reshape(rows, width)
    )


def read_weights(path: str) -> tuple[dict[str, Any], dict[str, Floats]]:
    """(config dict, {name: float32 array})."""
    with open(path, "rb") as f:
        data = f.read()
    if len(data) < 28:
        fail(f"{path} is too short for a header")
    dim, hidden, n_layers, n_heads, n_kv, vocab, context = struct.unpack_from("<7i", data)
    tied, vocab = vocab > 0, abs(vocab)
    sizes = (dim, hidden, n_layers, n_heads, n_kv, vocab, context)
    if min(sizes) <= 0 or max(sizes) > 1 << 24 or dim % (2 * n_heads) or n_heads % n_kv:
        fail(f"{path} has an impossible header: {sizes}")
    head = dim // n_heads
    values, at = np.frombuffer(data, "<f4", offset=28, count=(len(data) - 28) // 4), 0

    def take(*shape: int) -> Floats:
        nonlocal at
        n = int(np.prod(shape))
        if at + n > values.size:
            fail(f"{path} ends within its weights")
        at += n
        return values[at - n : at].reshape(shape)

    tensors = {"model.embed_tokens.weight": take(vocab, dim)}

    def per_layer(name: str, *shape: int, heads: int = 0) -> None:
        for i, w in enumerate(take(n_layers, *shape)):
            tensors[f"model.layers.{i}.{name}.weight"] = half_split(w, heads) if heads else w

    per_layer("input_layernorm", dim)
    per_layer("self_attn.q_proj", dim, dim, heads=n_heads)
    per_layer("self_attn.k_proj", n_kv * head, dim, heads=n_kv)
    per_layer("self_attn.v_proj", n_kv * head, dim)
    per_layer("self_attn.o_proj", dim, dim)
    per_layer("post_attention_layernorm", dim)
    per_layer("mlp.gate_proj", hidden, dim)
    per_layer("mlp.down_proj", dim, hidden)
    per_layer("mlp.up_proj", hidden, dim)
    tensors["model.norm.weight"] = take(dim)
    take(2, context, head // 2)
    if not tied:
        tensors["lm_head.weight"] = take(vocab, dim)
    if at != values.size:
        fail(f"{path} has {values.size - at} floats too many")
    config = {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": dim,
        "intermediate_size": hidden,
        "num_hidden_layers": n_layers,
        "num_attention_heads": n_heads,
        "num_key_value_heads": n_kv,
        "head_dim": head,
        "vocab_size": vocab,
        "max_position_embeddings": context,
        "rms_norm_eps": EPS,
        "rope_theta": THETA,
        "hidden_act": "silu",
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": tied,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "torch_dtype": "float32",
    }
    return config, tensors


def write_safetensors(path: str, tensors: dict[str, Floats]) -> None:
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, t in tensors.items():
        header[name] = {
            "dtype": "F32",
            "shape": list(t.shape),
            "data_offsets": [at, at + 4 * t.size],
        }
        at += 4 * t.size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text)
        for t in tensors.values():
            f.write(np.ascontiguousarray(t, "<f4").tobytes())


def read_pieces(path: str, vocab: int) -> Pieces:
    """(piece, score) in the order of ids, spaces as the tokenizer writes them."""
    with open(path, "rb") as f:
        data = f.read()
    at, pieces = 4, Pieces()
    while at + 8 <= len(data):
        score, n = struct.unpack_from("<fi", data, at)
        at += 8 + n
        if n < 0 or at > len(data):
            fail(f"{path} ends within piece {len(pieces)}")
        pieces.append((data[at - n : at].decode().replace(" ", "▁"), score))
    if len(pieces) != vocab:
        fail(f"{path} has {len(pieces)} pieces, the checkpoint {vocab}")
    return [("<unk>", 0.0), ("<s>", 0.0), ("</s>", 0.0), *pieces[N_SPECIAL:]]


def merges_of(pieces: Pieces) -> list[list[str]]:
    """Pairs of pieces whose joint is a piece, best score first, as SentencePiece joins them."""
    ids = {piece: i for i, (piece, _) in enumerate(pieces)}
    found = []
    for piece, score in pieces[N_SPECIAL + N_BYTES :]:
        cuts = [
            (piece[:i], piece[i:])
            for i in range(1, len(piece))
            if piece[:i] in ids and piece[i:] in ids
        ]
        cuts.sort(key=lambda pair: (ids[pair[0]], ids[pair[1]]))
        found += [(-score, list(pair)) for pair in cuts]
    return [pair for _, pair in sorted(found, key=lambda x: x[0])]


def tokenizer(pieces: Pieces) -> dict[str, Any]:
    special = [
        {
            "id": i,
            "content": pieces[i][0],
            "single_word": False,
            "lstrip": False,
            "rstrip": False,
            "normalized": False,
            "special": True,
        }
        for i in range(N_SPECIAL)
    ]
    bos = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    replace = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    back = {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": special,
        "normalizer": {
            "type": "Sequence",
            "normalizers": [{"type": "Prepend", "prepend": "▁"}, replace],
        },
        "pre_tokenizer": None,
        "post_processor": {
            "type": "TemplateProcessing",
            "single": [bos, {"Sequence": {"id": "A", "type_id": 0}}],
            "pair": [
                bos,
                {"Sequence": {"id": "A", "type_id": 0}},
                {"Sequence": {"id": "B", "type_id": 1}},
            ],
            "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
        },
        "decoder": {
            "type": "Sequence",
            "decoders": [
                back,
                {"type": "ByteFallback"},
                {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0},
            ],
        },
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": {piece: i for i, (piece, _) in enumerate(pieces)},
            "merges": merges_of(pieces),
        },
    }


def main() -> None:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    weights, pieces_file, out = sys.argv[1:]
    config, tensors = read_weights(weights)
    pieces = read_pieces(pieces_file, config["vocab_size"])
    os.makedirs(out, exist_ok=True)
    write_safetensors(os.path.join(out, "model.safetensors"), tensors)
    texts = {
        "config.json": config,
        "generation_config.json": {"bos_token_id": 1, "eos_token_id": 2},
        "tokenizer.json": tokenizer(pieces),
        "tokenizer_config.json": {
            "tokenizer_class": "LlamaTokenizer",
            "bos_token": "<s>",
            "eos_token": "</s>",
            "unk_token": "<unk>",
            "add_bos_token": True,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
        },
    }
    for name, value in texts.items():
        with open(os.path.join(out, name), "w", encoding="utf-8") as f:
            json.dump(value, f, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    main()
