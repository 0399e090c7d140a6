#!/usr/bin/env python3
"""Plants one mistake at a time into a model and checks the guess of `lmzoo compare`.

    plants.py --lmzoo PROGRAM --cards DIR --work DIR [--only KIND] FOLDER...

A folder's own trace is the reference. A mistake is planted through the card (options, names of
tensors), the config or the weights. A plant that changes no tensor cannot be made in that family
and does not count. One TAP line per kind of mistake: right in at least nine of ten families.
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
from collections.abc import Callable
from typing import Any

Json = dict[str, Any]
TOKENS = 24

# Where norms follow the branches, those of q and k are the first that are wrong.
QK = "q and k (heads, norms)"
# What a right guess says, by kind.
WORDS = {
    "embedding norm missing": ("norm after the embedding is missing", "a norm is missing"),
    "layer norm for rms": (
        "a layer norm here, an rms norm in the reference",
        "an rms norm here, a layer norm",
        QK,
    ),
    "1 + w": ("1 + w", QK),
    "eps": ("eps of a norm", QK),
    "norm after instead of before": (
        "norms before or after the branches",
        "a norm is missing",
        "norm too many",
    ),
    "gate and up exchanged": ("gate and up exchanged",),
    "heads in another order": ("heads transposed",),
    "layers in another order": ("layers in the wrong order",),
    "soft cap missing": ("soft cap", "softcap"),
    "window off by one": ("begins to act there",),
}


def read_tensors(path: str) -> tuple[Json, bytes]:
    with open(path, "rb") as f:
        n = struct.unpack("<Q", f.read(8))[0]
        return json.loads(f.read(n)), f.read()


def write_tensors(path: str, header: Json, data: bytes) -> None:
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(struct.pack("<Q", len(text)) + text + data)


def text_of(config: Json) -> Json:
    for key in ("text_config", "llm_config"):
        if isinstance(config.get(key), dict):
            part: Json = config[key]
            return part
    return config


class Case:
    """A folder with its card, to be changed before it is run."""

    def __init__(self, folder: str, cards: str, work: str) -> None:
        self.source, self.work = folder, work
        self.folder, self.cards = os.path.join(work, "model"), os.path.join(work, "cards")
        for path in (self.folder, self.cards):
            shutil.rmtree(path, ignore_errors=True)
        os.makedirs(self.folder)
        os.makedirs(self.cards)
        for name in os.listdir(cards):
            os.symlink(os.path.join(cards, name), os.path.join(self.cards, name))
        with open(os.path.join(folder, "config.json")) as f:
            self.config: Json = json.load(f)
        self.weights = os.path.join(folder, "model.safetensors")
        self.card_path, self.card = self.find_card(cards)

    def find_card(self, cards: str) -> tuple[str, Json]:
        wanted = {self.config.get("model_type"), text_of(self.config).get("model_type")}
        for name in sorted(os.listdir(cards)):
            if name.endswith(".json"):
                with open(os.path.join(cards, name)) as f:
                    card = json.load(f)
                if not isinstance(card, dict) or "plugin" not in card:
                    continue  # refused types, and data beside the cards
                types = card["model_type"]
                if wanted & set([types] if isinstance(types, str) else types) and "plugin" in card:
                    return os.path.join(self.cards, name), card
        raise SystemExit(f"{self.source}: no card")

    def options(self) -> Json:
        options: Json = self.card.setdefault("options", {})
        return options

    def write(self) -> None:
        os.remove(self.card_path)
        with open(self.card_path, "w") as f:
            json.dump(self.card, f)
        with open(os.path.join(self.folder, "config.json"), "w") as f:
            json.dump(self.config, f)
        target = os.path.join(self.folder, "model.safetensors")
        if not os.path.exists(target):
            os.symlink(os.path.abspath(self.weights), target)

    def permute(self, part: str, heads: int) -> bool:
        """The rows of each matrix of that name, the two halves of the heads exchanged."""
        header, data = read_tensors(self.weights)
        changed, out = False, bytearray(data)
        for name, t in header.items():
            if (
                part in name
                and name.endswith(".weight")
                and len(t.get("shape", ())) == 2
                and t["shape"][0] % heads == 0
            ):
                begin, end = t["data_offsets"]
                half = (end - begin) // heads * (heads // 2)
                out[begin:end] = data[begin + half : end] + data[begin : begin + half]
                changed = True
        if changed:
            write_tensors(os.path.join(self.folder, "model.safetensors"), header, bytes(out))
        return changed


def embedding_norm(c: Case) -> bool:
    return any(c.options().pop(key, None) is not None for key in ("embed_norm", "first_norm"))


def layer_for_rms(c: Case) -> bool:
    other = {
        "rms": "layer",
        "rms_plus_one": "layer_plus_one",
        "layer": "rms",
        "layer_plus_one": "rms_plus_one",
    }
    now = c.options().get("norm", "rms")
    if c.options().get("norm_weight") is False:
        return False
    c.options()["norm"] = other[now]
    c.options()["norm_bias"] = False
    if now.startswith("layer"):
        c.card.setdefault("ignored_tensors", ["*norm*.bias", "*ln*.bias"])
    return True


def plus_one(c: Case) -> bool:
    other = {
        "rms": "rms_plus_one",
        "rms_plus_one": "rms",
        "layer": "layer_plus_one",
        "layer_plus_one": "layer",
    }
    c.options()["norm"] = other[c.options().get("norm", "rms")]
    return c.options().get("norm_weight") is not False


def eps(c: Case) -> bool:
    found = False
    for key, value in list(text_of(c.config).items()):
        if key.endswith(("norm_eps", "norm_epsilon")) and isinstance(value, float):
            text_of(c.config)[key] = 0.05
            found = True
    return found


def placement(c: Case) -> bool:
    if c.options().get("placement", "pre") != "pre" or "placement_if" in c.options():
        return False
    c.options().setdefault("norms", ["input_layernorm", "post_attention_layernorm"])
    c.options()["placement"] = "post"
    return True


def gate_up(c: Case) -> bool:
    c.card["tensors"] = [
        *c.card.get("tensors", []),
        ["gate_proj", "exchanged"],
        ["up_proj", "gate_proj"],
        ["exchanged", "up_proj"],
    ]
    header, _ = read_tensors(c.weights)
    return any(".mlp.gate_proj" in name for name in header)


def heads(c: Case) -> bool:
    text = text_of(c.config)
    n = (
        text.get("num_key_value_heads")
        or text.get("num_attention_heads")
        or text.get("n_head")
        or 0
    )
    return isinstance(n, int) and n > 1 and n % 2 == 0 and c.permute("v_proj", n)


def layer_order(c: Case) -> bool:
    c.card["tensors"] = [
        *c.card.get("tensors", []),
        ["layers.0.", "layers.other."],
        ["layers.1.", "layers.0."],
        ["layers.other.", "layers.1."],
    ]
    header, _ = read_tensors(c.weights)
    shapes = [
        {
            name.split(f"layers.{i}.")[1]: t["shape"]
            for name, t in header.items()
            if f"layers.{i}." in name
        }
        for i in (0, 1)
    ]
    return bool(shapes[0]) and shapes[0] == shapes[1]


def soft_cap(c: Case) -> bool:
    found = False
    for key in ("softcap_logits", "softcap_scores"):
        found = c.options().pop(key, None) is not None or found
    text_of(c.config).pop("final_logit_softcapping", None)
    c.card.setdefault("ignored", {}).update(
        final_logit_softcapping="planted", attn_logit_softcapping="planted"
    )
    return found


def window(c: Case) -> bool:
    text = text_of(c.config)
    for key in ("sliding_window", "attention_chunk_size", "window_size"):
        if isinstance(text.get(key), int) and 1 < text[key] < TOKENS:
            text[key] += 1
            return True
    return False


PLANTS: dict[str, Callable[[Case], bool]] = {
    "embedding norm missing": embedding_norm,
    "layer norm for rms": layer_for_rms,
    "1 + w": plus_one,
    "eps": eps,
    "norm after instead of before": placement,
    "gate and up exchanged": gate_up,
    "heads in another order": heads,
    "layers in another order": layer_order,
    "soft cap missing": soft_cap,
    "window off by one": window,
}


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def right_trace(args: argparse.Namespace, folder: str) -> tuple[str, list[int]]:
    """(file, token ids) of the correct trace:
    tools/reference/trace.py would give the same tensors."""
    with open(os.path.join(folder, "config.json")) as f:
        vocab = text_of(json.load(f)).get("vocab_size", 300)
    ids = [(7 + 17 * i) % vocab for i in range(TOKENS)]
    own = os.path.join(args.work, "right.safetensors")
    ran = run(
        args.lmzoo,
        "trace",
        folder,
        "--card-dir",
        args.cards,
        "--tokens",
        ",".join(map(str, ids)),
        "-o",
        own,
    )
    if ran.returncode:
        raise SystemExit(ran.stderr)
    return own, ids


def guess(args: argparse.Namespace, folder: str, kind: str) -> str | None:
    """The guess of compare at the planted mistake; None: it cannot be planted here."""
    right, ids = right_trace(args, folder)
    case = Case(folder, args.cards, args.work)
    if not PLANTS[kind](case):
        return None
    case.write()
    own = os.path.join(args.work, "own.safetensors")
    ran = run(
        args.lmzoo,
        "trace",
        case.folder,
        "--card-dir",
        case.cards,
        "--tokens",
        ",".join(map(str, ids)),
        "-o",
        own,
    )
    if ran.returncode:
        return None
    last = run(args.lmzoo, "compare", own, right, "--json").stdout.strip().splitlines()[-1]
    found = json.loads(last)
    return f"{found['first']}: {found['guess']}" if found["out"] else None


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+")
    parser.add_argument("--lmzoo", required=True)
    parser.add_argument("--cards", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("--only")
    args = parser.parse_args()
    bad = False
    for number, kind in enumerate(PLANTS, 1):
        if args.only and args.only != kind:
            continue
        said = {os.path.basename(f.rstrip("/")): guess(args, f, kind) for f in args.folders}
        made = {f: s for f, s in said.items() if s is not None}
        wrong = {f: s for f, s in made.items() if not any(w in s for w in WORDS[kind])}
        ok = 10 * len(wrong) <= len(made)
        bad = bad or not ok
        skip = "" if made else " # SKIP it cannot be planted in these"
        print(
            f"{'ok' if ok else 'not ok'} {number} - {kind}: {len(made) - len(wrong)} of "
            f"{len(made)}{skip}"
        )
        for folder, sentence in wrong.items():
            print(f"# {folder}: {sentence}")
    if not args.only:
        print(f"1..{len(PLANTS)}")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
