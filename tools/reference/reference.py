"""What trace.py and baby.py share: loading a model as the reference, running it, naming what its modules give.

The reference is transformers in float32 with eager attention and the plain loop over experts, one whole pass
without a cache.
"""
import os
import warnings

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("TORCHDYNAMO_DISABLE", "1")
warnings.filterwarnings("ignore")

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM
from transformers.utils import logging

logging.disable_progress_bar()
torch.set_grad_enabled(False)

OTHER_TOWERS = ("vision", "visual", "audio", "speech", "encoder.", "image")
NO_BLOCKS = ("Norm", "Dropout", "Identity", "Activation", "RotaryEmbedding")


def auto_class(config):
    """The class that makes and loads the language model: wrappers around it have no causal class in some releases."""
    for name in ("AutoModelForCausalLM", "AutoModelForImageTextToText", "AutoModelForMultimodalLM"):
        auto = getattr(transformers, name, None)
        if auto is not None and type(config) in auto._model_mapping.keys():
            return auto
    return AutoModelForCausalLM


def prepare(model):
    model.eval()
    for m in model.modules():
        if hasattr(getattr(m, "config", None), "_experts_implementation"):
            m.config._experts_implementation = "eager"
    return model


def load(folder):
    config = AutoConfig.from_pretrained(folder)
    model = auto_class(config).from_pretrained(folder, attn_implementation="eager", dtype=torch.float32)
    return prepare(torch.nn.Module.float(model))


def make(config):
    """A model with its own random initial weights."""
    auto = auto_class(config)
    return prepare(auto.from_config(config, attn_implementation="eager", dtype=torch.float32))


def run(model, ids):
    """Logits [tokens, vocabulary] of one whole pass over a list of ids."""
    for m in model.modules():       # rotary tables that grew with an earlier, longer pass start afresh
        if hasattr(m, "max_seq_len_cached") and hasattr(m, "original_max_seq_len"):
            m.max_seq_len_cached = m.original_max_seq_len
            if hasattr(m, "original_inv_freq"):
                m.inv_freq = m.original_inv_freq.clone()
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def decoder_layers(model):
    """(path of the list, list) of the text decoder's layers."""
    n_layers = getattr(model.config.get_text_config(decoder=True), "num_hidden_layers", None)
    lists = [(path, m) for path, m in model.named_modules() if isinstance(m, torch.nn.ModuleList) and len(m) > 0
             and not any(word in path + "." for word in OTHER_TOWERS)]
    fitting = [x for x in lists if len(x[1]) == n_layers] or [x for x in lists if len(x[1]) > 1]
    if not fitting:
        raise SystemExit(f"{type(model).__name__}: found no list of decoder layers")
    return min(fitting, key=lambda x: x[0].count("."))


def first_tensor(out):
    if torch.is_tensor(out):
        return out
    if isinstance(out, (tuple, list)):
        return next((t for t in map(first_tensor, out) if t is not None), None)
    return getattr(out, "last_hidden_state", None)


def rows(t):
    """[tokens, ...]: the batch of one, and other leading dimensions of one, dropped while more than two are left."""
    while t.dim() > 2 and t.shape[0] == 1:
        t = t[0]
    return t.detach().float().contiguous().clone()


def is_block(module):
    return not any(word in type(module).__name__ for word in NO_BLOCKS)


def watched(model, every_child):
    """(name in the trace, module), for the embedding, the layers and what stands below them."""
    path, layers = decoder_layers(model)
    yield "embed", model.get_input_embeddings()
    for i, layer in enumerate(layers):
        yield f"{path}.{i}", layer
        for name, child in layer.named_children():
            if isinstance(child, torch.nn.ModuleList):
                yield from ((f"{path}.{i}.{name}.{j}", c) for j, c in enumerate(child))
            elif every_child or is_block(child):
                yield f"{path}.{i}.{name}", child


def trace(model, ids, every_child=False):
    """{name: float32 tensor} of one pass: embed, every layer, its blocks (or all its children), norm, logits.

    A module that runs again (a block that layers share) gives `name#2`, `name#3`. `norm` is the last norm that runs
    beside the list of layers."""
    kept, last_norm, handles = {}, [None], []

    def keep(name):
        def hook(_module, _args, out):
            t = first_tensor(out)
            if t is not None and t.is_floating_point():
                n, key = 1, name
                while key in kept:
                    n += 1
                    key = f"{name}#{n}"
                kept[key] = rows(t)
        return hook

    def keep_norm(_module, _args, out):
        last_norm[0] = rows(first_tensor(out))

    path, layers = decoder_layers(model)
    parent = model.get_submodule(path.rpartition(".")[0])
    for name, module in watched(model, every_child):
        handles.append(module.register_forward_hook(keep(name)))
    for module in parent.children():
        if "Norm" in type(module).__name__:
            handles.append(module.register_forward_hook(keep_norm))
    try:
        logits = run(model, ids)
    finally:
        for h in handles:
            h.remove()
    if last_norm[0] is not None:
        kept["norm"] = last_norm[0]
    return {**kept, "logits": logits.contiguous().clone()}


def nmse(a, b):
    a, b = a.double(), b.double()
    return float(((a - b) ** 2).sum() / (b ** 2).sum().clamp_min(1e-300))
