#!/usr/bin/env python3
"""gguf_folder.py: the numbers of a GGUF file as a Hugging Face folder in float32.

    gguf_folder.py FILE MODEL OUT

MODEL is the folder that the file was made from. OUT gets its files, with each matrix replaced by
what the file has for it; vectors stay MODEL's. Prints the bits a weight that the file's matrices
take, without the input embedding where the output matrix is another.

A matrix whose rows the converter reordered (queries and keys in pairs) is put back in order: of the
two orders the one that is nearer to MODEL's matrix. A matrix that is near in neither is an error.

Needs gguf, numpy and safetensors.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

import gguf
import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

FAR = 0.5  # relative error from which the tensor is another one
ARCHITECTURES = {"llama": gguf.MODEL_ARCH.LLAMA, "gemma3": gguf.MODEL_ARCH.GEMMA3}
Floats: TypeAlias = NDArray[np.float32]


def widen(values: NDArray[np.uint16]) -> Floats:
    """bf16 as float32."""
    return (values.astype(np.uint32) << 16).view(np.float32)


def stored(folder: Path) -> Iterator[tuple[str, Floats]]:
    """Names and values of a folder's tensors."""
    for path in sorted(folder.glob("*.safetensors")):
        size = int.from_bytes(path.open("rb").read(8), "little")
        header = json.loads(path.open("rb").read(8 + size)[8:])
        with safe_open(path, "np") as file:
            for name in header:
                if name == "__metadata__":
                    continue
                entry = header[name]
                if entry["dtype"] == "BF16":
                    begin, end = entry["data_offsets"]
                    raw = np.fromfile(path, np.uint16, (end - begin) // 2, offset=8 + size + begin)
                    yield name, widen(raw).reshape(entry["shape"])
                else:
                    yield name, file.get_tensor(name).astype(np.float32)


def error(a: Floats, b: Floats) -> float:
    """Relative error of a against b."""
    return float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), 1e-30))


def in_order(found: Floats, want: Floats, heads: int) -> Floats | None:
    """The matrix with its rows in the order of `want`; None: it is another matrix."""
    orders = [found]
    if found.shape[0] % (2 * heads) == 0:
        turned = found.reshape(heads, found.shape[0] // heads // 2, 2, -1)
        orders.append(turned.swapaxes(1, 2).reshape(found.shape))
    best = min(orders, key=lambda order: error(order, want))
    return best if error(best, want) < FAR else None


def main() -> int:
    """Makes the folder."""
    if len(sys.argv) != 4:
        print("usage: gguf_folder.py FILE MODEL OUT", file=sys.stderr)
        return 2
    path, model, out = (Path(argument) for argument in sys.argv[1:])
    config = json.loads((model / "config.json").read_text())
    reader = gguf.GGUFReader(path)
    architecture = str(reader.fields["general.architecture"].contents())
    if architecture not in ARCHITECTURES:
        print(f"{path}: no names are known for architecture {architecture}", file=sys.stderr)
        return 4
    names = gguf.get_tensor_name_map(ARCHITECTURES[architecture], config["num_hidden_layers"])
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    result: dict[str, Floats] = {}
    bits = values = 0
    for name, want in stored(model):
        key = names.get_name(name, try_suffixes=(".weight", ".bias"))
        tensor = tensors.get(key or "")
        if want.ndim < 2:
            result[name] = want
            continue
        if tensor is None:
            print(f"{path}: has nothing for {name}", file=sys.stderr)
            return 4
        found = gguf.dequantize(tensor.data, tensor.tensor_type).reshape(want.shape)
        heads = config["num_attention_heads" if "q_proj" in name else "num_key_value_heads"]
        ordered = in_order(found.astype(np.float32), want, heads)
        if ordered is None:
            print(f"{path}: {key} is not near {name} of {model}", file=sys.stderr)
            return 4
        result[name] = ordered
        if key != "token_embd.weight" or "output.weight" not in tensors:
            bits += 8 * int(tensor.n_bytes)
            values += want.size
    out.mkdir(parents=True)
    for file in model.iterdir():
        if file.is_file() and file.suffix != ".safetensors":
            shutil.copy(file, out / file.name)
    save_file(
        {name: np.ascontiguousarray(x) for name, x in result.items()}, out / "model.safetensors"
    )
    print(f"{bits / values:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
