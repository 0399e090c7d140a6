#!/usr/bin/env python3
"""Write the reference's trace of a Hugging Face folder, for `lmzoo compare`.

    trace.py MODEL (--tokens 1,2,3 | --text TEXT) -o ref.safetensors [--all-children]
    trace.py --check FOLDER...

Tensors are float32 [tokens, width]: `embed`, `<layer>` (the residual stream after the layer, by its
module path), `<layer>.<child>` (the output of a block before it is added; norms), `norm`, `logits`.
--all-children adds every child.

--check runs the prompts of folders that hold reference.json and reference.safetensors (as baby.py
writes them), and compares every tensor; status 1 if one is off by more than a tenth of the folder's
nmse_limit.
"""

import argparse
import json
import os
import sys

import reference
import torch
import transformers
from safetensors.torch import load_file, save_file


def check(folder: str) -> bool:
    """Largest nmse over the stored tensors that a trace has too."""
    model = reference.load(folder)
    stored = load_file(os.path.join(folder, "reference.safetensors"))
    with open(os.path.join(folder, "reference.json")) as f:
        about = json.load(f)
    worst, n_compared, absent = 0.0, 0, []
    for i, p in enumerate(about["prompts"]):
        traced = reference.trace(model, p["prompt"], every_child=True)
        for name, want in stored.items():
            number, _, key = name.partition("/")
            if number != str(i) or key == "continuation.logits":
                continue
            if key not in traced or traced[key].shape != want.shape:
                absent.append(name)
                continue
            worst = max(worst, reference.nmse(traced[key], want))
            n_compared += 1
    ok = worst <= about["nmse_limit"] / 10 and not absent and n_compared > 0
    print(
        f"{'ok ' if ok else 'BAD'} {os.path.basename(folder.rstrip('/'))}: {n_compared} tensors, "
        f"worst nmse {worst:.1e}" + (f", not traced: {' '.join(absent[:5])}" if absent else ""),
        flush=True,
    )
    return ok


def token_ids(args: argparse.Namespace) -> list[int]:
    if args.tokens:
        return [int(t) for t in args.tokens.split(",")]
    from transformers import AutoTokenizer

    ids: list[int] = AutoTokenizer.from_pretrained(args.model)(args.text)["input_ids"]
    return ids


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="?")
    parser.add_argument("--tokens")
    parser.add_argument("--text")
    parser.add_argument("-o", "--output")
    parser.add_argument("--all-children", action="store_true")
    parser.add_argument("--check", nargs="+", metavar="FOLDER")
    args = parser.parse_args()
    if args.check:
        sys.exit(0 if all([check(folder) for folder in args.check]) else 1)
    if not args.model or not args.output or bool(args.tokens) == bool(args.text):
        parser.error("wants MODEL, -o and one of --tokens, --text")
    ids = token_ids(args)
    tensors = reference.trace(reference.load(args.model), ids, args.all_children)
    save_file(
        tensors,
        args.output,
        metadata={
            "tokens": ",".join(map(str, ids)),
            "transformers": transformers.__version__,
            "torch": torch.__version__,
        },
    )
    print(f"{args.output}: {len(tensors)} tensors, {len(ids)} tokens", file=sys.stderr)


if __name__ == "__main__":
    main()
