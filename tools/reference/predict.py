#!/usr/bin/env python3
"""Prediction layers (multi-token prediction): their reference, random ones and trained ones.

    predict.py baby TYPE OUT [--seed N]        a small random checkpoint with a prediction
                                               layer, and what it computes (reference.safetensors)
    predict.py train MODEL TEXT OUT            the prediction layer of a checkpoint without one,
                                               trained on the checkpoint's own output

A prediction layer reads, at position i, the row of the main model after its last norm and
the next token:  x_i = W [enorm(embed(t_{i+1})) ; hnorm(h_i)];  h'_i = norm(layer(x)_i);
logits of token i + 2 = head(h'_i).  h' is the row that it reads to go one token further.

TEXT of train holds a JSON array of token ids a line. OUT gets the layer's tensors in
bfloat16, rounded to three bits of mantissa, so that the file compresses well.
"""

import argparse
import copy
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

MTP_NAMES = {
    "enorm": "mtp.pre_fc_norm_embedding",
    "hnorm": "mtp.pre_fc_norm_hidden",
    "eh_proj": "mtp.fc",
    "norm": "mtp.norm",
    "layer": "mtp.layers.0",
}
COMMON: dict[str, object] = {
    "vocab_size": 64,
    "hidden_size": 16,
    "intermediate_size": 16,
    "moe_intermediate_size": 8,
    "num_attention_heads": 2,
    "num_experts_per_tok": 2,
    "max_position_embeddings": 128,
}
ROPE: dict[str, object] = {"rope_type": "default", "rope_theta": 10000.0}
SIZES: dict[str, dict[str, object]] = {
    "deepseek_v3": {
        "num_hidden_layers": 2,
        "num_key_value_heads": 2,
        "n_routed_experts": 4,
        "n_group": 2,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "q_lora_rank": 16,
        "kv_lora_rank": 16,
        "qk_nope_head_dim": 8,
        "qk_rope_head_dim": 8,
        "v_head_dim": 12,
        "rope_parameters": ROPE,
    },
    "glm4_moe": {
        "num_hidden_layers": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "n_routed_experts": 4,
        "n_group": 1,
        "topk_group": 1,
        "first_k_dense_replace": 1,
        "use_qk_norm": True,
        "rope_parameters": ROPE | {"partial_rotary_factor": 0.5},
    },
    "qwen3_next": {
        "num_hidden_layers": 2,
        "layer_types": ["linear_attention", "full_attention"],
        "shared_expert_intermediate_size": 8,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "linear_key_head_dim": 8,
        "linear_value_head_dim": 8,
        "linear_num_key_heads": 2,
        "linear_num_value_heads": 4,
        "num_experts": 4,
        "rope_parameters": ROPE | {"partial_rotary_factor": 0.5},
    },
}


def split_experts(name: str, value: Tensor) -> dict[str, Tensor]:
    """A stack of experts as the matrices that releases store."""
    path, last = name.rsplit(".", 1)
    if not path.endswith("experts"):
        return {name: value}
    parts = {}
    for i, matrix in enumerate(value):
        if last == "gate_up_proj":
            gate, up = matrix.chunk(2)
            parts[f"{path}.{i}.gate_proj.weight"] = gate.contiguous()
            parts[f"{path}.{i}.up_proj.weight"] = up.contiguous()
        else:
            parts[f"{path}.{i}.{last}.weight"] = matrix.contiguous()
    return parts


class Predictor(nn.Module):
    """One prediction layer beside a main model, made like the model's last layer."""

    def __init__(self, main: PreTrainedModel) -> None:
        super().__init__()
        config = main.config
        last = main.model.layers[-1]
        width = config.hidden_size
        norm = type(main.model.norm)
        self.enorm = norm(width, eps=config.rms_norm_eps)
        self.hnorm = norm(width, eps=config.rms_norm_eps)
        self.norm = norm(width, eps=config.rms_norm_eps)
        self.eh_proj = nn.Linear(2 * width, width, bias=False)
        self.layer = copy.deepcopy(last)
        self.of = [main]  # a list, so that its parameters are not ours

    def forward(self, tokens: Tensor, hidden: Tensor) -> Tensor:
        """Rows h' [batch, n, width] for the next tokens and the rows of the main model."""
        main = self.of[0].model
        n = tokens.shape[1]
        x = torch.cat([self.enorm(main.embed_tokens(tokens)), self.hnorm(hidden)], dim=-1)
        x = self.eh_proj(x)
        positions = torch.arange(n).unsqueeze(0)
        mask = torch.full((n, n), torch.finfo(x.dtype).min, dtype=x.dtype).triu(1)
        out = self.layer(
            x,
            attention_mask=mask[None, None],
            position_ids=positions,
            position_embeddings=main.rotary_emb(x, positions),
        )
        return self.norm(out)

    def logits(self, rows: Tensor) -> Tensor:
        return self.of[0].lm_head(rows)

    def tensors(self) -> dict[str, Tensor]:
        """Under the names of the release."""
        index = self.of[0].config.num_hidden_layers
        path = f"model.layers.{index}"
        qwen = self.of[0].config.model_type.startswith("qwen3")
        names = MTP_NAMES if qwen else {"norm": f"{path}.shared_head.norm", "layer": path}
        named: dict[str, Tensor] = {}
        for name, value in self.state_dict().items():
            head, rest = name.split(".", 1)
            full = f"{names.get(head, f'{path}.{head}')}.{rest}"
            named |= split_experts(full, value.detach().bfloat16())
        return named


def open_model(folder: str) -> PreTrainedModel:
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", experts_implementation="eager"
    )
    return model.eval().requires_grad_(False)


# ---- random ones ----


def randomise(module: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, p in module.named_parameters():
        std = 0.3 if p.dim() < 2 else 1.0 if "embed" in name else p.shape[-1] ** -0.5
        around = p.data if p.dim() < 2 else torch.zeros_like(p)
        noise = torch.randn(p.shape, generator=generator)
        p.data.copy_((around + std * noise).to(torch.bfloat16).float())
    for name, b in module.named_buffers():
        if name.endswith("e_score_correction_bias"):
            b.copy_(0.1 * torch.randn(b.shape, generator=generator)).copy_(b.bfloat16())


def write(main: PreTrainedModel, layer: Predictor, out: Path) -> None:
    """One file, with the copies of embedding and head that such releases hold."""
    copy.deepcopy(main).to(torch.bfloat16).save_pretrained(out)
    (out / "generation_config.json").unlink(missing_ok=True)
    tensors = load_file(out / "model.safetensors") | layer.tensors()
    path = f"model.layers.{main.config.num_hidden_layers}"
    if f"{path}.enorm.weight" in tensors:
        tensors[f"{path}.embed_tokens.weight"] = tensors["model.embed_tokens.weight"].clone()
        tensors[f"{path}.shared_head.head.weight"] = tensors["lm_head.weight"].clone()
    save_file(tensors, out / "model.safetensors", metadata={"format": "pt"})


def baby(kind: str, out: Path, seed: int) -> None:
    """Main model, layer, and their rows and logits over 24 random tokens, in float64."""
    torch.manual_seed(seed)
    config = AutoConfig.for_model(kind, **(COMMON | SIZES[kind]))
    main = AutoModelForCausalLM.from_config(
        config, attn_implementation="eager", experts_implementation="eager"
    ).eval()
    randomise(main, seed)
    layer = Predictor(main).eval()
    randomise(layer, seed + 1)
    out.mkdir(parents=True, exist_ok=True)
    write(main, layer, out)
    main, layer = main.double(), layer.double()
    vocab = int(config.vocab_size)
    tokens = torch.tensor([[random.Random(seed).randrange(vocab) for _ in range(24)]])
    with torch.no_grad():
        hidden = main.model(tokens).last_hidden_state[:, :-1]
        rows = layer(tokens[:, 1:], hidden)
        dump = {
            "tokens": tokens[0].to(torch.int32),
            "norm": rows[0].float(),
            "logits": layer.logits(rows)[0].float(),
        }
    save_file({k: v.contiguous() for k, v in dump.items()}, out / "reference.safetensors")
    (out / "tokens.txt").write_text(",".join(str(x) for x in tokens[0].tolist()) + "\n")


# ---- trained ones ----


def read_batches(path: str, length: int) -> Tensor:
    ids: list[int] = []
    for line in Path(path).read_text().splitlines():
        ids += json.loads(line)
    n = len(ids) // length
    return torch.tensor(ids[: n * length]).view(n, length)


def rounded(x: Tensor) -> Tensor:
    """bfloat16 values whose last four bits are zero."""
    bits = x.float().contiguous().view(torch.int32)
    return ((bits + (1 << 19)) & ~((1 << 20) - 1)).view(torch.float32)


def loss_of(layer: Predictor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Divergence from the main model's own next-token distribution, one and two tokens on;
    and how often the likeliest tokens agree."""
    main = layer.of[0]
    with torch.no_grad():
        hidden = main.model(tokens).last_hidden_state
        target = F.log_softmax(main.lm_head(hidden), dim=-1)
    rows, loss, agree = hidden, torch.zeros(()), []
    for step in range(1, 3):
        rows = layer(tokens[:, step:], rows[:, :-1])
        got = F.log_softmax(layer.logits(rows), dim=-1)
        want = target[:, step:]
        loss = loss + F.kl_div(got, want, log_target=True, reduction="none").sum(-1).mean() / step
        agree.append((got.argmax(-1) == want.argmax(-1)).float().mean())
    return loss, torch.stack(agree)


def fit(layer: Predictor, batches: Tensor) -> None:
    """Start: the layer is a copy of the main model's last one, and the projection is the least
    squares from what it reads to what that layer reads one position on."""
    main = layer.of[0]
    width = main.config.hidden_size
    seen: list[Tensor] = []
    hook = main.model.layers[-1].register_forward_pre_hook(
        lambda _, args: seen.append(args[0].detach())
    )
    read, want = [], []
    with torch.no_grad():
        for tokens in batches.split(8):
            hidden = main.model(tokens).last_hidden_state
            embedded = layer.enorm(main.model.embed_tokens(tokens[:, 1:]))
            both = torch.cat([embedded, layer.hnorm(hidden[:, :-1])], dim=-1)
            read.append(both.reshape(-1, 2 * width))
            want.append(seen.pop()[:, 1:].reshape(-1, width))
        found = torch.linalg.lstsq(torch.cat(read), torch.cat(want)).solution
        layer.eh_proj.weight.copy_(found.T)
        layer.norm.weight.copy_(main.model.norm.weight)
    hook.remove()


def train(folder: str, text: str, out: Path, minutes: float) -> None:
    torch.set_num_threads(1)
    main = open_model(folder)
    layer = Predictor(main)
    layer.requires_grad_(True)
    for name, p in layer.layer.named_parameters():
        p.requires_grad_("indexer" not in name)
    batches = read_batches(text, 160)
    fit(layer, batches[:160])
    ours = [p for p in layer.parameters() if p.requires_grad]
    best = torch.optim.AdamW(ours, lr=3e-3, betas=(0.9, 0.98), weight_decay=0.01)
    begin, step = time.monotonic(), 0
    while (done := (time.monotonic() - begin) / 60 / max(minutes, 1e-9)) < 1:
        for group in best.param_groups:
            group["lr"] = 3e-3 * min(1.0, (step + 1) / 50) * (1 - 0.97 * done)
        pick = torch.randint(len(batches), (12,))
        loss, agree = loss_of(layer, batches[pick])
        best.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ours, 1.0)
        best.step()
        if step % 50 == 0:
            shares = " ".join(f"{x:.3f}" for x in agree.tolist())
            print(f"{step} {done:.2f} loss {loss.item():.4f} agree {shares}", flush=True)
        step += 1
    with torch.no_grad():
        for p in layer.parameters():
            p.copy_(rounded(p))
        total = torch.stack([loss_of(layer, b[None])[1] for b in batches[-24:]]).mean(0)
    print(f"{step} steps; likeliest tokens agree {total.tolist()}")
    save_file(layer.tensors(), out, metadata={"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("baby")
    one.add_argument("type", choices=sorted(SIZES))
    one.add_argument("out", type=Path)
    one.add_argument("--seed", type=int, default=1)
    other = commands.add_parser("train")
    other.add_argument("model")
    other.add_argument("text")
    other.add_argument("out", type=Path)
    other.add_argument("--minutes", type=float, default=8.0)
    args = parser.parse_args()
    if args.command == "baby":
        baby(args.type, args.out, args.seed)
    else:
        train(args.model, args.text, args.out, args.minutes)


if __name__ == "__main__":
    main()
