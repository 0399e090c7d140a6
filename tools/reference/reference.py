"""What trace.py and baby.py share: loading a model as the reference, running it,
naming what its modules give.

The reference is transformers in float32 with eager attention and the plain loop over experts, one
whole pass without a cache.
"""

import json
import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any, TypeAlias

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
warnings.filterwarnings("ignore")

import torch
import transformers
from safetensors.torch import load_file
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

Tensors: TypeAlias = dict[str, torch.Tensor]

logging.disable_progress_bar()
torch.set_grad_enabled(False)

OTHER_TOWERS = ("vision", "visual", "audio", "speech", "encoder.", "image")
NO_BLOCKS = ("Dropout", "Identity", "Activation", "RotaryEmbedding", "ResidualScaling")
NEVER = ("ResidualScaling",)  # a factor of an addition is no step of its own


def model_class(config: PreTrainedConfig) -> Any:
    """The class that makes and loads the model: the one that the config names, else what
    transformers has for its type. A wrapper keeps its own class, because its module paths are those
    of the files."""
    for name in getattr(config, "architectures", None) or []:
        if hasattr(getattr(transformers, name, None), "from_pretrained"):
            return getattr(transformers, name)
    for name in ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMultimodalLM"):
        auto = getattr(transformers, name, None)
        if auto is not None and type(config) in auto._model_mapping:
            return auto
    return AutoModelForCausalLM


def prepare(model: PreTrainedModel) -> PreTrainedModel:
    model.eval()
    for m in model.modules():
        config: Any = getattr(m, "config", None)
        if hasattr(config, "_experts_implementation"):
            config._experts_implementation = "eager"
    return model


def stored_tensors(folder: str) -> Tensors:
    """Every tensor of model.safetensors or of its shards."""
    index = os.path.join(folder, "model.safetensors.index.json")
    files = ["model.safetensors"]
    if os.path.exists(index):
        with open(index) as f:
            files = sorted(set(json.load(f)["weight_map"].values()))
    return {name: t for file in files for name, t in load_file(os.path.join(folder, file)).items()}


def widen_fp8(tensors: Tensors, block: tuple[int, int]) -> Tensors:
    """fp8 weights times their scales, one for a tile of `block` (or for all), as float32.
    transformers widens no tiles that are cut off at the edge."""
    widened = {}
    for name, t in tensors.items():
        if name.endswith(("weight_scale_inv", "activation_scale", "input_scale")):
            continue
        scale = tensors.get(name + "_scale_inv")
        if scale is not None:
            t, scale = t.float(), scale.float()
            if scale.dim() == 2 and t.dim() == 2:
                scale = scale.repeat_interleave(block[0], 0)[: t.shape[0]].repeat_interleave(
                    block[1], 1
                )[:, : t.shape[1]]
            t = t * scale
        widened[name] = t
    return widened


def load(folder: str) -> PreTrainedModel:
    """The model of a folder in float32; quantised weights are widened,
    activations stay what they are."""
    config = AutoConfig.from_pretrained(folder)
    options = dict(config=config, attn_implementation="eager", dtype=torch.float32)
    stored: Any = getattr(config, "quantization_config", None)
    method = stored.get("quant_method") if isinstance(stored, dict) else None
    if method == "fp8":
        del config.quantization_config
        tensors = widen_fp8(stored_tensors(folder), stored.get("weight_block_size") or (1, 1))
        model = model_class(config).from_pretrained(None, state_dict=tensors, **options)
    else:
        if method == "mxfp4":
            stored["dequantize"] = True
        model = model_class(config).from_pretrained(folder, **options)
    return prepare(torch.nn.Module.float(model))


def make(config: PreTrainedConfig) -> PreTrainedModel:
    """A model with its own random initial weights."""
    cls = model_class(config)
    from_config = getattr(cls, "from_config", None) or cls._from_config
    return prepare(from_config(config, attn_implementation="eager", dtype=torch.float32))


def run(model: PreTrainedModel, ids: list[int]) -> torch.Tensor:
    """Logits [tokens, vocabulary] of one whole pass over a list of ids."""
    m: Any
    for m in model.modules():  # rotary tables that grew with an earlier, longer pass start afresh
        if hasattr(m, "max_seq_len_cached") and hasattr(m, "original_max_seq_len"):
            m.max_seq_len_cached = m.original_max_seq_len
            if hasattr(m, "original_inv_freq"):
                m.inv_freq = m.original_inv_freq.clone()
    logits: torch.Tensor = model(input_ids=torch.tensor([ids]), use_cache=False).logits
    return logits[0].float()


def decoder_layers(model: PreTrainedModel) -> tuple[str, torch.nn.ModuleList]:
    """(path of the list, list) of the text decoder's layers."""
    n_layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    lists = [
        (path, m)
        for path, m in model.named_modules()
        if isinstance(m, torch.nn.ModuleList) and len(m) > 0
    ]
    # "encoder" names another tower, but where it is all that there is
    lists = [x for x in lists if not any(word in x[0] + "." for word in OTHER_TOWERS)] or lists
    fitting = [x for x in lists if len(x[1]) == n_layers] or [x for x in lists if len(x[1]) > 1]
    if not fitting:
        raise SystemExit(f"{type(model).__name__}: found no list of decoder layers")
    return min(fitting, key=lambda x: x[0].count("."))


def stacks(model: PreTrainedModel) -> list[tuple[str, torch.nn.ModuleList]]:
    """The decoder's layers; several lists where it has modules of one class that hold one each."""
    path, layers = decoder_layers(model)
    above, _, own = path.rpartition(".")
    outer, _, _ = above.rpartition(".")
    holder = model.get_submodule(above)
    found = [
        (f"{outer}.{name}.{own}", getattr(child, own))
        for name, child in model.get_submodule(outer).named_children()
        if outer and type(child) is type(holder) and hasattr(child, own)
    ]
    return found or [(path, layers)]


def first_tensor(out: Any) -> torch.Tensor | None:
    if torch.is_tensor(out):
        return out
    if isinstance(out, (tuple, list)):
        return next((t for t in map(first_tensor, out) if t is not None), None)
    return getattr(out, "last_hidden_state", None)


def rows(t: torch.Tensor) -> torch.Tensor:
    """[tokens, ...]: the batch of one, and other leading dimensions of one,
    dropped while more than two are left."""
    while t.dim() > 2 and t.shape[0] == 1:
        t = t[0]
    return t.detach().float().contiguous().clone()


def is_named(module: torch.nn.Module, words: tuple[str, ...]) -> bool:
    return any(word in type(module).__name__ for word in words)


def is_block(module: torch.nn.Module) -> bool:
    return not is_named(module, NO_BLOCKS)


def watched(model: PreTrainedModel, every_child: bool) -> Iterator[tuple[str, torch.nn.Module]]:
    """(name in the trace, module), for the embedding, the layers and what stands below them."""
    yield "embed", model.get_input_embeddings()
    for path, layers in stacks(model):
        for i, layer in enumerate(layers):
            yield f"{path}.{i}", layer
            for name, child in layer.named_children():
                if isinstance(child, torch.nn.ModuleList):
                    yield from ((f"{path}.{i}.{name}.{j}", c) for j, c in enumerate(child))
                elif name == "act_fn":
                    continue  # an activation is no step of its own
                elif is_block(child) or (every_child and not is_named(child, NEVER)):
                    yield f"{path}.{i}.{name}", child


def trace(model: PreTrainedModel, ids: list[int], every_child: bool = False) -> Tensors:
    """{name: float32 tensor} of one pass: embed, every layer,
    its blocks and norms (or all its children), norm, logits.

    A module that runs again (a block that layers share) gives `name#2`, `name#3`. `norm` is the
    last norm that runs beside a list of layers."""
    kept: Tensors = {}
    last_norm: list[torch.Tensor] = []
    handles = []

    def keep(name: str) -> Callable[[torch.nn.Module, Any, Any], None]:
        def hook(_module: torch.nn.Module, _args: Any, out: Any) -> None:
            t = first_tensor(out)
            if t is not None and t.is_floating_point():
                n, key = 1, name
                while key in kept:
                    n += 1
                    key = f"{name}#{n}"
                kept[key] = rows(t)

        return hook

    def keep_norm(_module: torch.nn.Module, _args: Any, out: Any) -> None:
        t = first_tensor(out)
        assert t is not None
        last_norm[:] = [rows(t)]

    for name, module in watched(model, every_child):
        handles.append(module.register_forward_hook(keep(name)))
    for path, _ in stacks(model):
        for module in model.get_submodule(path.rpartition(".")[0]).children():
            if "Norm" in type(module).__name__:
                handles.append(module.register_forward_hook(keep_norm))
    try:
        logits = run(model, ids)
    finally:
        for h in handles:
            h.remove()
    if last_norm:
        kept["norm"] = last_norm[0]
    return {**kept, "logits": logits.contiguous().clone()}


def nmse(a: torch.Tensor, b: torch.Tensor) -> float:
    a, b = a.double(), b.double()
    return float(((a - b) ** 2).sum() / (b**2).sum().clamp_min(1e-300))
