#!/usr/bin/env python3
"""Write a model folder of random bf16 weights in the shape of a real release, for timing.

    random_model.py OUT --shape deepseek-v3-8l --tokenizer FILE [--layers N] [--seed S]

FILE is a tokenizer.json. Its vocabulary is padded with entries that no merge produces, so that
programs that identify a tokenizer by how it splits text still recognise it: for the shapes here use
that of DeepSeek-LLM. Needs numpy. The same shape and seed give the same bytes. The output of such a
model is noise and its routing close to even, so it says nothing about quality.

    deepseek-v3-8l   latent attention, 6 of 64 experts of width 1024 and a shared one, sigmoid
                     router with a correction bias, first layer dense: 3.4 G parameters
    deepseek-v32-8l  the same with an indexer of 16 heads that chooses 2048 keys
    qwen3-moe-8l     grouped queries, 8 of 64 experts of width 768: 2.9 G parameters
    llama-moe-8l     grouped queries, 2 of 8 experts of width 3584 (mixtral): 2.2 G parameters
    drafting-16l     latent attention, dense, and a prediction layer: 0.5 G parameters. All layers
                     cost what they would, but write nothing, so that the likeliest next token
                     follows from the token alone; the prediction layer knows it but for noise
                     (--noise: 0 accepts all drafts, 0.1 some of them)
"""

import argparse
import json
import math
import os
from collections.abc import Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Json: TypeAlias = dict[str, Any]
Tensor: TypeAlias = tuple[str, tuple[int, ...], float, float]  # name, dims, centre, spread

DEEPSEEK = {
    "architectures": ["DeepseekV3ForCausalLM"],
    "model_type": "deepseek_v3",
    "attention_bias": False,
    "first_k_dense_replace": 1,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "kv_lora_rank": 512,
    "q_lora_rank": 768,
    "max_position_embeddings": 131072,
    "moe_intermediate_size": 1024,
    "moe_layer_freq": 1,
    "n_group": 1,
    "topk_group": 1,
    "n_routed_experts": 64,
    "n_shared_experts": 1,
    "norm_topk_prob": True,
    "num_attention_heads": 16,
    "num_experts_per_tok": 6,
    "num_hidden_layers": 8,
    "num_key_value_heads": 16,
    "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64,
    "v_head_dim": 128,
    "rms_norm_eps": 1e-6,
    "rope_scaling": None,
    "rope_theta": 10000.0,
    "routed_scaling_factor": 2.5,
    "scoring_func": "sigmoid",
    "topk_method": "noaux_tc",
    "tie_word_embeddings": False,
    "vocab_size": 102400,
}
SPARSE = dict(
    DEEPSEEK,
    architectures=["DeepseekV32ForCausalLM"],
    model_type="deepseek_v32",
    index_n_heads=16,
    index_head_dim=128,
    index_topk=2048,
)
QWEN = {
    "architectures": ["Qwen3MoeForCausalLM"],
    "model_type": "qwen3_moe",
    "attention_bias": False,
    "decoder_sparse_step": 1,
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 6144,
    "max_position_embeddings": 40960,
    "mlp_only_layers": [],
    "moe_intermediate_size": 768,
    "norm_topk_prob": True,
    "num_attention_heads": 32,
    "num_experts": 64,
    "num_experts_per_tok": 8,
    "num_hidden_layers": 8,
    "num_key_value_heads": 4,
    "rms_norm_eps": 1e-6,
    "rope_scaling": None,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": False,
    "use_sliding_window": False,
    "vocab_size": 102400,
}
MIXTRAL = {
    "architectures": ["MixtralForCausalLM"],
    "model_type": "mixtral",
    "head_dim": 128,
    "hidden_act": "silu",
    "hidden_size": 2048,
    "intermediate_size": 3584,
    "max_position_embeddings": 32768,
    "num_attention_heads": 16,
    "num_experts_per_tok": 2,
    "num_hidden_layers": 8,
    "num_key_value_heads": 4,
    "num_local_experts": 8,
    "rms_norm_eps": 1e-5,
    "rope_theta": 1000000.0,
    "sliding_window": None,
    "tie_word_embeddings": False,
    "vocab_size": 102400,
}
DRAFTING = {
    **DEEPSEEK,
    "hidden_size": 1024,
    "intermediate_size": 4096,
    "kv_lora_rank": 256,
    "q_lora_rank": 512,
    "num_hidden_layers": 16,
    "first_k_dense_replace": 17,
    "num_nextn_predict_layers": 1,
}

SHAPES = {
    "deepseek-v3-8l": DEEPSEEK,
    "deepseek-v32-8l": SPARSE,
    "drafting-16l": DRAFTING,
    "qwen3-moe-8l": QWEN,
    "llama-moe-8l": MIXTRAL,
}


IDENTITY = "eh_proj.weight"  # its left half gets ones on the diagonal


def matrix(name: str, rows: int, cols: int, gain: float = 1.0) -> Tensor:
    return name, (rows, cols), 0.0, gain / math.sqrt(cols)


def vector(name: str, n: int, centre: float = 1.0) -> Tensor:
    return name, (n,), centre, 0.05


def gated(
    path: str,
    hidden: int,
    width: int,
    out: float,
    names: tuple[str, str, str] = ("gate_proj", "up_proj", "down_proj"),
) -> list[Tensor]:
    gate, up, down = (f"{path}{n}.weight" for n in names)
    return [
        matrix(gate, width, hidden),
        matrix(up, width, hidden),
        matrix(down, hidden, width, out),
    ]


def latent_attention(path: str, c: Json, out: float) -> Iterator[Tensor]:
    hidden, heads, latent = c["hidden_size"], c["num_attention_heads"], c["kv_lora_rank"]
    nope, rope, value = c["qk_nope_head_dim"], c["qk_rope_head_dim"], c["v_head_dim"]
    ranks = c["q_lora_rank"]
    yield matrix(path + "q_a_proj.weight", ranks, hidden)
    yield vector(path + "q_a_layernorm.weight", ranks)
    yield matrix(path + "q_b_proj.weight", heads * (nope + rope), ranks)
    yield matrix(path + "kv_a_proj_with_mqa.weight", latent + rope, hidden)
    yield vector(path + "kv_a_layernorm.weight", latent)
    yield matrix(path + "kv_b_proj.weight", heads * (nope + value), latent)
    yield matrix(path + "o_proj.weight", hidden, heads * value, out)
    if "index_topk" in c:
        n, dim = c["index_n_heads"], c["index_head_dim"]
        yield matrix(path + "indexer.wq_b.weight", n * dim, ranks)
        yield matrix(path + "indexer.wk.weight", dim, hidden)
        yield vector(path + "indexer.k_norm.weight", dim)
        yield vector(path + "indexer.k_norm.bias", dim, 0.0)
        yield matrix(path + "indexer.weights_proj.weight", n, hidden)


def grouped_attention(path: str, c: Json, out: float) -> Iterator[Tensor]:
    hidden, dim = c["hidden_size"], c["head_dim"]
    heads, kv_heads = c["num_attention_heads"], c["num_key_value_heads"]
    yield matrix(path + "q_proj.weight", heads * dim, hidden)
    yield matrix(path + "k_proj.weight", kv_heads * dim, hidden)
    yield matrix(path + "v_proj.weight", kv_heads * dim, hidden)
    yield matrix(path + "o_proj.weight", hidden, heads * dim, out)
    if c["model_type"] == "qwen3_moe":
        yield vector(path + "q_norm.weight", dim)
        yield vector(path + "k_norm.weight", dim)


def experts(path: str, c: Json, layer: int, out: float) -> Iterator[Tensor]:
    hidden = c["hidden_size"]
    if c["model_type"] == "mixtral":
        n, path = c["num_local_experts"], path + "block_sparse_moe."
        yield matrix(path + "gate.weight", n, hidden)
        for e in range(n):
            yield from gated(
                f"{path}experts.{e}.", hidden, c["intermediate_size"], out, ("w1", "w3", "w2")
            )
        return
    path += "mlp."
    if layer < c.get("first_k_dense_replace", 0):
        yield from gated(path, hidden, c["intermediate_size"], out)
        return
    n, width = c.get("n_routed_experts") or c["num_experts"], c["moe_intermediate_size"]
    yield matrix(path + "gate.weight", n, hidden)
    if c.get("topk_method") == "noaux_tc":
        yield path + "gate.e_score_correction_bias", (n,), 0.0, 0.01
    for e in range(n):
        yield from gated(f"{path}experts.{e}.", hidden, width, out)
    if c.get("n_shared_experts"):
        yield from gated(path + "shared_experts.", hidden, width * c["n_shared_experts"], out)


def prediction_layer(path: str, c: Json, noise: float) -> Iterator[Tensor]:
    hidden = c["hidden_size"]
    for name in ("enorm", "hnorm", "shared_head.norm"):
        yield vector(f"{path}{name}.weight", hidden)
    yield path + IDENTITY, (hidden, 2 * hidden), 0.0, noise / math.sqrt(hidden)


def tensors(c: Json, noise: float) -> Iterator[Tensor]:
    hidden, n_layers = c["hidden_size"], c["num_hidden_layers"]
    n_predict = c.get("num_nextn_predict_layers", 0)
    # into the residual stream, so that it stays bounded; nothing where drafts are to come true
    out = 0.0 if n_predict else 1 / math.sqrt(2 * n_layers)
    attention = latent_attention if "kv_lora_rank" in c else grouped_attention
    yield "model.embed_tokens.weight", (c["vocab_size"], hidden), 0.0, 0.02
    for i in range(n_layers + n_predict):
        path = f"model.layers.{i}."
        if i >= n_layers:
            yield from prediction_layer(path, c, noise)
        yield vector(path + "input_layernorm.weight", hidden)
        yield vector(path + "post_attention_layernorm.weight", hidden)
        yield from attention(path + "self_attn.", c, out)
        yield from experts(path, c, i, out)
    yield vector("model.norm.weight", hidden)
    yield matrix("lm_head.weight", c["vocab_size"], hidden)


def bf16(x: NDArray[np.float32]) -> NDArray[np.uint16]:
    bits = x.view(np.uint32)
    bits += np.uint32(0x8000)
    return (bits >> np.uint32(16)).astype(np.uint16)


def write_weights(path: str, plan: list[Tensor], seed: int, chunk: int = 1 << 22) -> int:
    header: Json = {"__metadata__": {"format": "pt"}}
    at = 0
    for name, dims, _, _ in plan:
        size = 2 * math.prod(dims)
        header[name] = {"dtype": "BF16", "shape": list(dims), "data_offsets": [at, at + size]}
        at += size
    head = json.dumps(header, separators=(",", ":")).encode()
    head += b" " * (-len(head) % 8)
    rng = np.random.Generator(np.random.SFC64(seed))
    with open(path, "wb") as f:
        f.write(len(head).to_bytes(8, "little") + head)
        for name, dims, centre, spread in plan:
            left = math.prod(dims)
            ones = np.arange(dims[0]) * (dims[-1] + 1) if name.endswith(IDENTITY) else np.zeros(0)
            while left:
                n = min(left, chunk)
                x = rng.standard_normal(n, dtype=np.float32)
                x *= np.float32(spread)
                x += np.float32(centre)
                begin = math.prod(dims) - left
                x[ones[(ones >= begin) & (ones < begin + n)].astype(np.int64) - begin] += 1
                bf16(x).tofile(f)
                left -= n
    return at


def begins_with(post: Json | None, bos: str, c: Json) -> Json:
    """A post-processor that puts the beginning token before every text, as released files do."""
    token = {"SpecialToken": {"id": bos, "type_id": 0}}
    one, two = ({"Sequence": {"id": name, "type_id": i}} for i, name in enumerate("AB"))
    template = {
        "type": "TemplateProcessing",
        "single": [token, one],
        "pair": [token, one, two],
        "special_tokens": {bos: {"id": bos, "ids": [c["bos_token_id"]], "tokens": [bos]}},
    }
    return {"type": "Sequence", "processors": [post, template]} if post else template


def write_tokenizer(out: str, c: Json, path: str) -> None:
    with open(path, encoding="utf-8") as f:
        tok = json.load(f)
    vocab = tok["model"]["vocab"]
    special = {t["content"]: t["id"] for t in tok["added_tokens"]}
    used = set(vocab.values()) | set(special.values())
    if max(used) >= c["vocab_size"]:
        raise SystemExit(f"{path} has ids up to {max(used)}, the shape has {c['vocab_size']}")
    for i in range(c["vocab_size"]):
        if i not in used:
            vocab[f"<unused_{i}>"] = i
    ends = {
        "bos_token": next((t for t in special if "begin" in t), None),
        "eos_token": next((t for t in special if "end" in t), None),
    }
    for key in [k for k, v in ends.items() if v is None]:
        raise SystemExit(f"{path} has no added token that could be the {key}")
    for key, text in ends.items():
        c[key + "_id"] = special[text]
    tok["post_processor"] = begins_with(tok.get("post_processor"), str(ends["bos_token"]), c)
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "add_bos_token": True,
        "clean_up_tokenization_spaces": False,
        "pad_token": ends["eos_token"],
        "model_max_length": c["max_position_embeddings"],
        **ends,
    }
    dump(os.path.join(out, "tokenizer.json"), tok)
    dump(os.path.join(out, "tokenizer_config.json"), settings)


def dump(path: str, value: Json) -> None:
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=1, ensure_ascii=False)


def main() -> None:
    ap = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    ap.add_argument("out", help="folder to write")
    ap.add_argument("--shape", required=True, choices=sorted(SHAPES))
    ap.add_argument("--tokenizer", required=True, help="a tokenizer.json")
    ap.add_argument("--layers", type=int, help="another number of layers")
    ap.add_argument("--seed", type=int, default=1)
    ap.add_argument("--noise", type=float, default=0.0, help="of a prediction layer (0)")
    a = ap.parse_args()
    c = dict(SHAPES[a.shape], torch_dtype="bfloat16", initializer_range=0.02)
    c["num_hidden_layers"] = a.layers or c["num_hidden_layers"]
    os.makedirs(a.out, exist_ok=True)
    write_tokenizer(a.out, c, a.tokenizer)
    dump(os.path.join(a.out, "config.json"), c)
    size = write_weights(
        os.path.join(a.out, "model.safetensors"), list(tensors(c, a.noise)), a.seed
    )
    print(json.dumps({"shape": a.shape, "bytes": size, "parameters": size // 2, "seed": a.seed}))


if __name__ == "__main__":
    main()
