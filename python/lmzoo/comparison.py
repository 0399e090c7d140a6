"""lmzoo against transformers in one process, tensor by tensor.

import lmzoo
print(lmzoo.torch_compare("path/to/folder", "Once upon a time"))
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .llm import LLM

if TYPE_CHECKING:
    from numpy.typing import NDArray

LIMIT = 1e-9
_LAST_NORMS = ("norm", "ln_f", "norm_f", "final_layernorm", "final_layer_norm")


@dataclass
class Difference:
    """One tensor: its normalised squared error and the largest absolute one."""

    name: str
    nmse: float
    largest: float

    @property
    def agrees(self) -> bool:
        """Within LIMIT."""
        return self.nmse <= LIMIT


@dataclass
class Comparison:
    """The tensors that both sides have, in the order in which lmzoo computes them."""

    tensors: list[Difference]
    only_lmzoo: list[str] = field(default_factory=list)

    @property
    def first_wrong(self) -> Difference | None:
        """The first tensor out of tolerance: where to look."""
        return next((t for t in self.tensors if not t.agrees), None)

    def __str__(self) -> str:
        rows = [f"{'tensor':<60} {'nmse':>10} {'largest':>10}"]
        rows += [
            f"{t.name:<60} {t.nmse:>10.3g} {t.largest:>10.3g}{'' if t.agrees else '  OUT'}"
            for t in self.tensors
        ]
        wrong = sum(not t.agrees for t in self.tensors)
        rows.append(f"{wrong} of {len(self.tensors)} tensors are out of tolerance ({LIMIT:g})")
        return "\n".join(rows)


def _hidden(value: Any) -> Any:
    return value[0] if isinstance(value, tuple) else value


def reference(
    model: str | os.PathLike[str], ids: Sequence[int], names: Sequence[str]
) -> dict[str, NDArray[np.float32]]:
    """Outputs of the named modules of transformers' model, float32, eager attention.

    "embed" is the embedding's output, "norm" that of the last norm, "logits" the model's.
    """
    import torch
    from transformers import AutoModelForCausalLM

    net: Any = AutoModelForCausalLM.from_pretrained(
        os.fspath(model), dtype=torch.float32, attn_implementation="eager"
    )
    net.eval()
    out: dict[str, NDArray[np.float32]] = {}

    def keep(name: str) -> Any:
        def hook(_: Any, __: Any, value: Any) -> None:
            tensor = _hidden(value)
            if isinstance(tensor, torch.Tensor) and name not in out:
                array = tensor.detach().float()
                out[name] = array.reshape(-1, array.shape[-1]).numpy().copy()

        return hook

    modules = dict(net.named_modules())
    modules["embed"] = net.get_input_embeddings()
    last = [
        m for n, m in modules.items() if n.rpartition(".")[2] in _LAST_NORMS and n.count(".") == 1
    ]
    if last:
        modules["norm"] = last[-1]
    handles = [modules[n].register_forward_hook(keep(n)) for n in names if n in modules]
    with torch.no_grad():
        result = net(torch.tensor([list(ids)]), use_cache=False)
    for handle in handles:
        handle.remove()
    out["logits"] = result.logits[0].float().numpy()
    return out


def torch_compare(
    model: str | os.PathLike[str], text: str | Sequence[int], **options: Any
) -> Comparison:
    """Traces both and compares the tensors that both have. Options are those of LLM, in float32."""
    options = {"weights": "f32", "cache": "f32", **options}
    with LLM(model, **options) as llm:
        ids = llm.tokenize(text) if isinstance(text, str) else list(text)
        own = llm.trace(ids)
    theirs = reference(model, ids, list(own))
    tensors, alone = [], []
    for name, x in own.items():
        y = theirs.get(name)
        if y is None or y.shape != x.shape:
            alone.append(name)
            continue
        error = x.astype(np.float64) - y
        scale = float((y.astype(np.float64) ** 2).sum())
        nmse = float((error**2).sum()) / scale if scale > 0 else float((error**2).sum())
        tensors.append(Difference(name, nmse, float(np.abs(error).max())))
    return Comparison(tensors, alone)
