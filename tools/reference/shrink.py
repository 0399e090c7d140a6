"""Scales the config of a language model down, keeping every kind of layer that it has.

    small, notes = shrink(config)       # a transformers configuration in, one out

Layers: the shortest prefix that holds each kind once (kinds: which modules, which parameters, which
switches). Lists with one entry per layer are cut, lists of layer numbers lose those beyond.
Sizes: by the names that configurations use, then by value: a number that equals the old hidden size
becomes the new one. Ratios that matter stay: query heads to key-value heads, chosen to all experts,
groups, coupled or free head size. Windows, sparse top-k and state-space chunks shrink to 8, so that
short prompts pass them.
Large numbers that are left as they were are named in the notes; `overrides` sets any key.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import reference
import torch
from transformers import AutoConfig, PreTrainedConfig

Json: TypeAlias = dict[str, Any]
Rename: TypeAlias = Callable[[str], str]  # a usual key to the class's own

WINDOW = 8
STATE = 16
VOCABULARY = 331
HEAD = 16
HEAD_KEYS = ("num_attention_heads", "n_head", "n_heads", "num_heads")
KV_KEYS = ("num_key_value_heads", "num_kv_heads", "n_head_kv", "multi_query_group_num")
EXPERT_KEYS = (
    "num_experts",
    "num_local_experts",
    "n_routed_experts",
    "moe_num_experts",
    "num_routed_experts",
)
CHOSEN_KEYS = (
    "num_experts_per_tok",
    "num_experts_per_token",
    "moe_k",
    "moe_topk",
    "moe_top_k",
    "top_k_experts",
    "num_selected_experts",
    "experts_per_token",
    "num_expert_per_tok",
)
WINDOW_KEYS = (
    "sliding_window",
    "window_size",
    "attention_chunk_size",
    "attention_window_size",
    "index_topk",
    "sliding_window_size",
    "local_attention_window",
    "mamba_chunk_size",
    "chunk_size",
    "sliding_window_pattern_size",
)
STATE_KEYS = ("mamba_d_state", "state_size", "ssm_state_size", "mamba_state_dim")
GROUP_KEYS = ("mamba_n_groups", "n_groups", "mamba_ngroups", "mamba_num_groups")
SSM_HEADS = (
    ("mamba_n_heads", "mamba_d_head"),
    ("mamba_num_heads", "mamba_head_dim"),
    ("n_mamba_heads", "mamba_headdim"),
    ("num_heads", "head_dim"),
)
KEPT = (
    "max_position",
    "position",
    "theta",
    "token",
    "version",
    "bucket",
    "buffer",
    "seq_len",
    "seed",
    "n_ctx",
)


# ---- layers


def switches(module: torch.nn.Module) -> Iterator[tuple[str, bool | str | None]]:
    """What tells two modules of one class apart: flags, names, which numbers are there."""
    for key, value in sorted(vars(module).items()):
        if key.startswith("_") or key == "training" or "idx" in key or "index" in key:
            continue
        if isinstance(value, (bool, str)) or value is None:
            yield key, value
        elif isinstance(value, int):
            yield key, value > 0


def kind_of(layer: torch.nn.Module) -> tuple[Any, ...]:
    modules = tuple(
        (name, type(m).__name__, tuple(switches(m))) for name, m in layer.named_modules()
    )
    return modules, tuple((name, tuple(p.shape)) for name, p in layer.named_parameters())


def text_of(config: PreTrainedConfig) -> PreTrainedConfig:
    return config.get_text_config(decoder=True)


def second_uses(layers: Iterable[torch.nn.Module]) -> list[int]:
    """For every parameter that layers share, the second layer that has it:
    sharing must stay visible."""
    users: dict[int, list[int]] = {}
    for i, layer in enumerate(layers):
        for p in layer.parameters():
            users.setdefault(id(p), []).append(i)
    return [who[1] for who in users.values() if len(who) > 1]


def layers_needed(config: PreTrainedConfig) -> tuple[int, int, int]:
    """(layers to keep, layers there are, kinds), from a model without memory."""
    with torch.device("meta"):
        _, layers = reference.decoder_layers(reference.make(copy.deepcopy(config)))
    text = text_of(config)
    types = getattr(text, "layer_types", None) or [None] * len(layers)
    kinds: list[Any] = [
        (kind_of(layer), types[i] if i < len(types) else None) for i, layer in enumerate(layers)
    ]
    shared = getattr(text, "num_kv_shared_layers", 0) or 0
    if shared:  # the last layers read the caches of earlier ones of their kind
        kinds = [kind[1] for kind in kinds]
    prefix = max([kinds.index(kind) for kind in set(kinds)] + second_uses(layers)) + 1
    if shared:
        return min(2 * prefix, len(layers)), len(layers), len(set(kinds))
    return min(max(prefix, 3), len(layers)), len(layers), len(set(kinds))


def cut_layers(d: Json, n_old: int, n_new: int, one_based: bool = False) -> None:
    """Every per-layer list and string, and every list of layer numbers,
    in a dict of configuration."""
    for key, value in list(d.items()):
        numbers = isinstance(value, list) and value and all(type(v) is int for v in value)
        letters = isinstance(value, str) and ("pattern" in key or "layer" in key or "block" in key)
        if (
            (isinstance(value, list) or letters)
            and len(value) in (n_old, n_old + 1)
            and (n_old > 4 or "layer" in key)
        ):
            d[key] = value[: n_new + len(value) - n_old]
        elif numbers and ("layer" in key or "idx" in key) and max(value) <= n_old:
            d[key] = [v for v in value if v < n_new + one_based]
        elif isinstance(value, dict) and value and all(str(k).isdigit() for k in value):
            d[key] = {k: v for k, v in value.items() if int(k) < n_new}
        elif isinstance(value, dict):
            cut_layers(value, n_old, n_new, key == "linear_attn_config")
        elif type(value) is int and value == n_old and "layer" in key:
            d[key] = n_new
    if d.get("num_kv_shared_layers"):
        d["num_kv_shared_layers"] = n_new // 2
    for key in ("num_nextn_predict_layers", "num_mtp_layers"):
        if d.get(key):
            d[key] = min(d[key], 1)


# ---- sizes


def first_key(d: Json, keys: tuple[str, ...]) -> str | None:
    return next((k for k in keys if type(d.get(k)) is int and d[k] > 0), None)


class Sizes:
    """The new sizes of one (text) configuration; `named` by key, `by_value` by the old number."""

    def __init__(self, d: Json, canonical: Rename) -> None:
        self.d = d
        self.named: dict[str, Any] = {}
        self.by_value: dict[int, int] = {}
        self.hidden_key = canonical("hidden_size")
        self.heads()
        self.latent()
        self.state_space()
        self.delta()
        self.experts()
        self.feed_forward(canonical)

    def heads(self) -> None:
        d = self.d
        head_key, kv_key = first_key(d, HEAD_KEYS), first_key(d, KV_KEYS)
        hidden = d[self.hidden_key]
        n = d[head_key] if head_key else 4
        n_kv = d[kv_key] if kv_key else n
        if n_kv == n:
            new_kv = new_n = min(n, 4)
        else:
            new_kv = min(n_kv, 2)
            new_n = new_kv * next((g for g in (4, 3, 2) if n // n_kv % g == 0), n // n_kv)
        given = d.get("head_dim")
        head: int = given if type(given) is int and given > 0 else hidden // n
        self.old_head, self.head = head, HEAD
        self.coupled = head * n == hidden
        self.hidden = new_n * HEAD if self.coupled else 48 if new_n * HEAD != 48 else 64
        if head_key:
            self.named[head_key] = new_n
        if kv_key:
            self.named[kv_key] = new_kv
        for key, value in d.items():
            if (
                type(value) is int
                and value > 0
                and key.endswith("head_dim")
                and "qk" not in key
                and "mamba" not in key
            ):
                self.named[key] = max(4, value * HEAD // head)
            elif type(value) is int and key.startswith(
                ("num_global_key", "num_global_kv", "swa_num_key", "num_swa_key")
            ):
                self.named[key] = min(value, new_kv)
            elif type(value) is int and key in (
                "swa_num_attention_heads",
                "num_swa_attention_heads",
            ):
                self.named[key] = new_n
        self.by_value[hidden] = self.hidden
        self.by_value[2 * hidden] = 2 * self.hidden
        if n * head > 128:
            self.by_value.setdefault(n * head, new_n * HEAD)
        self.named[self.hidden_key] = self.hidden
        rotary = d.get("rotary_dim")
        if type(rotary) is int and rotary > 0:
            self.named["rotary_dim"] = max(2, rotary * HEAD // head // 2 * 2)

    def latent(self) -> None:
        """Latent attention: ranks and the parts of a head; index heads beside it."""
        d, new = self.d, self.named
        rope = d.get("qk_rope_head_dim")
        if type(rope) is int:
            new["qk_rope_head_dim"] = rotated = min(rope, 8)
            for key, size in (
                ("qk_nope_head_dim", 16),
                ("v_head_dim", 12),
                ("kv_lora_rank", 24),
                ("q_lora_rank", 32),
                ("qk_head_dim", 16 + rotated),
            ):
                if type(d.get(key)) is int and d[key] > 0:
                    new[key] = size
            if type(d.get("head_dim")) is int:
                new["head_dim"] = (
                    rotated
                    if d["head_dim"] == rope
                    else 24
                    if d["head_dim"] == d.get("qk_head_dim")
                    else HEAD
                )
        for key, size in (
            ("index_head_dim", HEAD),
            ("index_n_heads", 16),
            ("o_lora_rank", 16),
            ("q_lora_rank", 32),
        ):
            if type(d.get(key)) is int and d[key] > 0:
                new[key] = size
        if type(d.get("o_groups")) is int:
            new["o_groups"] = 2

    def state_space(self) -> None:
        d, new = self.d, self.named
        expand = next((d[k] for k in ("mamba_expand", "expand") if type(d.get(k)) is int), None)
        for key in STATE_KEYS:
            if type(d.get(key)) is int:
                new[key] = STATE
        for heads, size in SSM_HEADS:
            if (heads in HEAD_KEYS and not any(k in d for k in STATE_KEYS)) or type(
                d.get(heads)
            ) is not int:
                continue
            inner = d.get("mamba_d_ssm") or (expand or 2) * d[self.hidden_key]
            coupled = type(d.get(size)) is not int or d[heads] * d[size] == inner
            new_inner = (expand or 2) * self.hidden
            if type(d.get("mamba_d_ssm")) is int:
                new["mamba_d_ssm"] = new_inner
            new[heads] = new_inner // HEAD if coupled else 6
            if type(d.get(size)) is int:
                new[size] = HEAD
            groups = next((k for k in GROUP_KEYS if type(d.get(k)) is int), None)
            if groups:
                new[groups] = 2 if d[groups] > 1 and new[heads] % 2 == 0 else 1
            break
        for key in ("mamba_dt_rank", "time_step_rank"):
            if type(d.get(key)) is int:
                new[key] = max(2, self.hidden // 16)
        if type(d.get("intermediate_size")) is int and "time_step_rank" in d and expand:
            new["intermediate_size"] = expand * self.hidden

    def delta(self) -> None:
        """Linear attention with a delta rule."""
        d, new = self.d, self.named
        if (
            type(d.get("linear_num_value_heads")) is int
            and type(d.get("linear_num_key_heads")) is int
        ):
            new["linear_num_key_heads"] = 2
            new["linear_num_value_heads"] = 2 * min(
                2, d["linear_num_value_heads"] // d["linear_num_key_heads"]
            )
            new["linear_key_head_dim"] = 16
            new["linear_value_head_dim"] = (
                16 if d["linear_key_head_dim"] == d["linear_value_head_dim"] else 8
            )
        inner = d.get("linear_attn_config")
        if isinstance(inner, dict):
            inner.update(num_heads=self.named.get("num_attention_heads", 4), head_dim=HEAD)

    def experts(self) -> None:
        d, new = self.d, self.named
        key = first_key(d, EXPERT_KEYS)
        if not key or d[key] < 2:
            return
        chosen = first_key(d, CHOSEN_KEYS)
        for k in EXPERT_KEYS:
            if type(d.get(k)) is int and d[k] == d[key]:
                new[k] = min(8, d[key])
        if chosen:
            new[chosen] = min(d[chosen], 2)
        group_key = first_key(d, ("n_group", "num_expert_group"))
        groups = d[group_key] if group_key else 1
        if group_key and groups > 1:
            new[group_key] = n = min(groups, 4)
            kept = d.get("topk_group") or 1
            new["topk_group"] = n if kept == groups else max(1, min(kept, n // 2))

    def feed_forward(self, canonical: Rename) -> None:
        d = self.d
        for key, value in d.items():
            small = 80
            if key in self.named or not (
                "intermediate" in key or "ffn_" in key or key in ("ffn_dim", "n_inner", "d_ff")
            ):
                continue
            if "shared" in key:
                small = 40
            elif "moe" in key or "expert" in key:
                small = 32
            if type(value) is int and value > small:
                self.named[key] = small
                self.by_value.setdefault(value, small)
            elif isinstance(value, list) and all(type(v) is int for v in value):
                self.named[key] = [small] * len(value)


def shrink_rope(rope: Json, head: int, rotary: int | None, notes: list[str]) -> bool:
    """Sections and factor lists follow the rotary size;
    what depends on the length starts at 16 positions."""
    if rope.get("partial_rotary_factor"):
        rotary = rotary or max(2, round(head * rope["partial_rotary_factor"] / 2) * 2)
        rope["partial_rotary_factor"] = rotary / head
    for key, value in list(rope.items()):
        if isinstance(value, dict):
            shrink_rope(value, head, rotary, notes)
        elif key in ("short_factor", "long_factor") and isinstance(value, list):
            n = max(1, (rotary or head) // 2)
            rope[key] = [value[i * len(value) // n] for i in range(n)]
        elif key == "mrope_section" and isinstance(value, list):
            total, n = sum(value), (rotary or head) // 2
            small = [v * n // total for v in value]
            small[0] += n - sum(small)
            rope[key] = small
    if rope.get("rope_type", rope.get("type")) in ("longrope", "dynamic"):
        if "original_max_position_embeddings" in rope:
            rope["original_max_position_embeddings"] = 16
        notes.append("rope: lengths beyond 16 are long")
        return True
    return False


def shrink_tokens(d: Json) -> None:
    """The vocabulary, and every id that would fall outside it."""
    for key in list(d):
        if key.startswith("vocab_size") and type(d[key]) is int:
            d[key] = min(d[key], VOCABULARY)
    free = VOCABULARY - 1
    for key, value in list(d.items()):
        if "token" not in key or not ("id" in key or "index" in key):
            continue
        if type(value) is int and value >= VOCABULARY:
            d[key], free = free, free - 1
        elif isinstance(value, list) and all(type(v) is int for v in value):
            d[key] = [v if v < VOCABULARY else free - i for i, v in enumerate(value)]
            free -= len(value)


def shrink_sizes(d: Json, canonical: Rename, notes: list[str]) -> None:
    sizes = Sizes(d, canonical)
    windows = {k: WINDOW for k in WINDOW_KEYS if type(d.get(k)) is int and d[k] > WINDOW}
    named = {**sizes.named, **windows}
    head = named.get("head_dim", HEAD)
    rotary = named.get("qk_rope_head_dim") or named.get("rotary_dim")
    if type(d.get("partial_rotary_factor")) is float and not rotary:
        rotary = max(2, round(head * d["partial_rotary_factor"] / 2) * 2)
        d["partial_rotary_factor"] = rotary / head
    ropes = [d[k] for k in ("rope_parameters", "rope_scaling") if isinstance(d.get(k), dict)]
    if any([shrink_rope(rope, head, rotary, notes) for rope in ropes]):
        if type(d.get("original_max_position_embeddings")) is int:
            d["original_max_position_embeddings"] = 16
        named["max_position_embeddings"] = 64
    for key, value in list(d.items()):
        if key in named:
            d[key] = named[key]
        elif (
            type(value) is int
            and value in sizes.by_value
            and value > 128
            and not any(k in key for k in KEPT)
        ):
            d[key] = sizes.by_value[value]
        elif key in ("hidden_size_per_layer_input", "laurel_rank", "low_rank_dim"):
            d[key] = WINDOW if value else value
        elif (
            type(value) is int
            and value > 256
            and not any(k in key for k in KEPT)
            and "vocab" not in key
        ):
            notes.append(f"left as it was: {key} {value}")


def shrink_tower(d: Json) -> None:
    """Another tower (vision, audio): as small as it goes."""
    depth = next((d[k] for k in ("num_hidden_layers", "depth") if type(d.get(k)) is int), None)
    if depth:
        cut_layers(d, depth, 1)
    for key, value in list(d.items()):
        if type(value) is not int:
            continue
        if key in ("num_hidden_layers", "depth", "num_layers", "encoder_layers"):
            d[key] = 1
        elif value > 256 and not any(k in key for k in KEPT) and "image" not in key:
            d[key] = 64
        elif key in ("num_attention_heads", "num_heads"):
            d[key] = 2


def with_overrides(config: PreTrainedConfig, overrides: Json | None) -> PreTrainedConfig:
    """The configuration as if the file had held them, so that lists and sizes follow."""
    config = copy.deepcopy(config)
    for key, value in (overrides or {}).items():
        setattr(text_of(config), key, value)
    whole = config.to_dict()
    return AutoConfig.for_model(whole.pop("model_type"), **whole)


def shrink(
    config: PreTrainedConfig, overrides: Json | None = None
) -> tuple[PreTrainedConfig, list[str]]:
    overrides = overrides or {}
    depth = next(
        (k for k in ("num_hidden_layers", "n_layer", "n_layers", "num_layers") if k in overrides),
        None,
    )
    if overrides and not depth:
        config = with_overrides(config, overrides)
    n_new, n_old, n_kinds = layers_needed(config)
    if depth:
        n_new = min(overrides[depth], n_old)
    notes = [f"{n_new} of {n_old} layers, {n_kinds} kinds"]
    text = text_of(config)
    whole = config.to_dict()
    d = (
        whole
        if text is config
        else next(
            v
            for k, v in whole.items()
            if isinstance(v, dict) and v.get("model_type") == text.model_type
        )
    )
    names = getattr(type(text), "attribute_map", {})

    def canonical(key: str) -> str:
        return str(names.get(key, key))

    cut_layers(d, n_old, n_new)
    d[canonical("num_hidden_layers")] = n_new
    shrink_sizes(d, canonical, notes)
    for part in {id(d): d, id(whole): whole}.values():
        shrink_tokens(part)
    for key, value in whole.items():
        if (
            isinstance(value, dict)
            and value is not d
            and key.endswith("_config")
            and "model_type" in value
        ):
            shrink_tower(value)
    for key, value in (overrides or {}).items():
        d[key] = value
    for part in (whole, d):
        if part.get("head_dim", 0) is None:  # it is derived, but not from a null
            del part["head_dim"]
        part.pop("quantization_config", None)
        part.pop("torch_dtype", None)
    whole["dtype"] = "bfloat16"
    whole.pop("transformers_version", None)
    model_type = whole.pop("model_type")
    return AutoConfig.for_model(model_type, **json.loads(json.dumps(whole))), notes
