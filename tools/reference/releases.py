"""Makes models.d/releases.json: facts of released models, each with its source, for the gallery.

    releases.py RELEASES.tsv CONFIGS LMZOO OUTPUT.json

A row of the table is one release. Where CONFIGS holds the file that the row names as its source,
the values that its class reads become the release's `config`; else the columns of the row do. A
release whose config the program cannot open keeps its facts and has no `config`. What has no source
is left out.
"""

from __future__ import annotations

import csv
import json
import math
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, TypeAlias

Json: TypeAlias = dict[str, Any]

TEXT_PARTS = ("text_config", "language_config", "llm_config")
COLUMNS = {
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "kv_heads": "num_key_value_heads",
    "head_dim": "head_dim",
    "q_lora_rank": "q_lora_rank",
    "kv_lora_rank": "kv_lora_rank",
    "qk_nope_dim": "qk_nope_head_dim",
    "qk_rope_dim": "qk_rope_head_dim",
    "v_head_dim": "v_head_dim",
    "intermediate": "intermediate_size",
    "experts": "n_routed_experts",
    "experts_per_token": "num_experts_per_tok",
    "shared_experts": "n_shared_experts",
    "moe_intermediate": "moe_intermediate_size",
    "sliding_window": "sliding_window",
    "rope_theta": "rope_theta",
    "max_position": "max_position_embeddings",
    "vocab": "vocab_size",
}
# Types that rows leave out although their source names the class.
TYPES = {"Gemma 2": "gemma2", "Qwen3": "qwen3"}
FACTS = ("decoder_type", "layer_mix", "scale_text")


def plain(name: str) -> str:
    """A name without punctuation, for matching."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def explain(program: str, config: Json) -> Json | None:
    """The program's description of a config, or None if it refuses."""
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(config, file)
        file.flush()
        done = subprocess.run(
            [program, "explain", file.name, "--json"], capture_output=True, text=True, check=False
        )
    return json.loads(done.stdout) if done.returncode == 0 else None


def same(told: Json, again: Json | None) -> bool:
    """Whether two configs are explained alike, down to where each value comes from."""
    return again is not None and all(told[k] == again[k] for k in told if k != "name")


def reduced(program: str, config: Json) -> Json | None:
    """The values of a config that change what the program says of it, its text part alone. A null
    is kept where the class's default would take its place."""
    part = next((config[k] for k in TEXT_PARTS if isinstance(config.get(k), dict)), config)
    kept = {"model_type": config.get("model_type")} | part
    if "tie_word_embeddings" in config and part is not config:
        kept.setdefault("tie_word_embeddings", config["tie_word_embeddings"])
    for key in ("quantization_config", "auto_map", "architectures"):
        kept.pop(key, None)
    told, whole = explain(program, kept), explain(program, config)
    if told is None or whole is None or any(told[k] != whole[k] for k in ("parameters", "memory")):
        return None
    named = {v["from"].partition(": ")[2] for v in told["values"].values()}
    told_of = {word for text in named for word in text.split(", ")} | set(told["values"])
    less = {k: v for k, v in kept.items() if k in told_of or k == "model_type"}
    if same(told, explain(program, less)):
        kept = less
    for key in [k for k in kept if k != "model_type"]:
        less = {k: v for k, v in kept.items() if k != key}
        if same(told, explain(program, less)):
            kept = less
    return kept


def from_columns(row: dict[str, str]) -> Json:
    """A config made of the row's own columns."""
    kind = row["model_type"] or next((t for n, t in TYPES.items() if row["name"].startswith(n)), "")
    config: Json = {"model_type": kind}
    for column, key in COLUMNS.items():
        text = row[column].strip()
        if re.fullmatch(r"[0-9]+", text):
            config[key] = int(text)
        elif re.fullmatch(r"[0-9]+\.[0-9]+", text):
            config[key] = float(text)
    if row["tied"]:
        config["tie_word_embeddings"] = row["tied"] == "True"
    return config


def find_config(row: dict[str, str], configs: Path) -> Path | None:
    """The stored file that the row names as its source, or one of that name."""
    wanted = {plain(row["name"])}
    found = re.search(
        r"model_configs/([^ ]+?)_config\.json|configs/([^ ]+?)_config\.json", row["source_config"]
    )
    if found:
        wanted.add(plain(found.group(1) or found.group(2)))
    found = re.search(r"hf_model_configs\.py: (\w+)", row["source_config"])
    if found:
        wanted.add(plain(found.group(1)))
    found = re.search(r"model_configs/([^ /]+)/config\.json", row["source_config"])
    if found:
        wanted.add(plain(found.group(1)))
    for path in sorted(configs.glob("*.json")):
        if plain(path.stem) in wanted or plain(path.stem.replace("_config", "")) in wanted:
            return path
    return None


def release(row: dict[str, str], configs: Path, program: str) -> Json:
    """One entry of the file."""
    entry: Json = {"name": row["name"], "org": row["org"]}
    if row["release_date"]:
        entry["released"] = row["release_date"]
    for fact in FACTS:
        if row[fact]:
            entry[fact] = row[fact]
    if row["source_config"]:
        entry["source"] = row["source_config"]
    if row["source_gallery"]:
        entry["dated_by"] = row["source_gallery"]
    told, derived = row["kv_KiB_per_token_gallery"], row["kv_KiB_per_token_all_layers_derived"]
    if told:
        entry["cache_told_elsewhere_kib"] = float(told)
    path = find_config(row, configs) if row["source_config"] else None
    config = None
    if path:
        raw = json.loads(path.read_text())
        if not raw.get("model_type") and row["model_type"]:
            raw["model_type"] = row["model_type"]
        elif not raw.get("model_type"):
            raw["model_type"] = from_columns(row)["model_type"]
        config = reduced(program, raw)
    if config is None and row["source_config"] and from_columns(row)["model_type"]:
        made = from_columns(row)
        said = explain(program, made)
        if said and derived:
            kib = said["memory"]["bf16"]["bytes_per_token"] / 1024
            if abs(kib - float(derived)) < 0.01 * float(derived):
                config = made
                entry["partial"] = True
    if config is not None:
        entry["config"] = config
    return entry


def finite(item: object) -> object:
    """Infinities as the objects that newer config files have, which JSON can hold."""
    if isinstance(item, float) and math.isinf(item):
        return {"__float__": "Infinity" if item > 0 else "-Infinity"}
    if isinstance(item, dict):
        return {key: finite(value) for key, value in item.items()}
    return [finite(value) for value in item] if isinstance(item, list) else item


def main() -> int:
    table, configs, program, output = sys.argv[1:5]
    with open(table, newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    entries = [release(row, Path(configs), program) for row in rows]
    lines = ",\n".join(json.dumps(finite(e), separators=(", ", ": ")) for e in entries)
    Path(output).write_text("[\n" + lines + "\n]\n")
    for e in entries:
        if "config" not in e:
            print("no config:", e["name"], "" if "source" in e else "(no source)")
    print(len(entries), "releases,", sum("config" in e for e in entries), "with a config")
    return 0


if __name__ == "__main__":
    sys.exit(main())
