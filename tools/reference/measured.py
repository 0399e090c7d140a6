"""Shrinks configs, fills them with random weights and has a run measure what its cache holds.

    measured.py LMZOO TEST_EXPLAIN OUT CONFIG.json ...

Each config comes down as baby.py does it (no reference values are computed) into a folder of OUT.
`lmzoo explain` and `lmzoo plan` say what a position takes in bf16 there; they must agree.
Then TEST_EXPLAIN (build/tests/test_explain) runs each folder and counts the bytes that its cache
holds. One line a config, with the full-size figure of the config itself; exit code 1 where
something differs.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path

import baby
import reference
import torch
from shrink import shrink

POSITIONS = 64 * 4096  # full windows, and a multiple of every page


def make(config: Path, folder: Path) -> None:
    """The shrunk folder of a config."""
    small, _ = shrink(baby.read_config(str(config)), {})
    torch.manual_seed(1)
    model = reference.make(small)
    with torch.no_grad():
        baby.fill(model, torch.Generator().manual_seed(1), 0.3)
    folder.mkdir(parents=True, exist_ok=True)
    torch.nn.Module.to(model, torch.bfloat16)
    model.save_pretrained(folder)
    raw = baby.read_raw(str(config))
    if raw is not None:
        baby.as_released(raw, model.config, str(folder))


def explained(program: str, subject: Path) -> float:
    """Bytes of bf16 that a position adds once windows are full."""
    done = subprocess.run(
        [program, "explain", str(subject), "--json"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise ValueError(done.stderr.strip().splitlines()[-1])
    memory = json.loads(done.stdout)["memory"]["bf16"]
    return float(memory["bytes_per_token_windows_full"])


def planned(program: str, folder: Path) -> float:
    """The same from `lmzoo plan` at two lengths."""
    sizes = []
    for positions in (POSITIONS, 2 * POSITIONS):
        command = [program, "plan", str(folder), "--json", "--cache", "bf16", "--batch", "1"]
        done = subprocess.run(
            [*command, "--context", str(positions), "--memory", "1T"],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise ValueError(done.stderr.strip().splitlines()[-1])
        sizes.append(json.loads(done.stdout)["cache_per_sequence"])
    return float(sizes[1] - sizes[0]) / POSITIONS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("test_explain")
    parser.add_argument("out", type=Path)
    parser.add_argument("configs", nargs="+", type=Path)
    args = parser.parse_args()
    warnings.filterwarnings("ignore")
    made, bad, skipped = 0, 0, 0
    for config in args.configs:
        folder = args.out / config.stem
        try:
            if not (folder / "config.json").exists():
                make(config, folder)
        except Exception as error:  # a config may fail in any way inside the reference
            skipped += 1
            print(f"skip {config.name}: {(str(error) or repr(error)).splitlines()[0][:110]}")
            continue
        try:
            whole = explained(args.program, config)
            small, plan = explained(args.program, folder), planned(args.program, folder)
        except ValueError as error:
            bad += 1
            print(f"FAIL {config.name}: {str(error)[:200]}")
            continue
        made += 1
        wrong = abs(small - plan) > 1e-6 * max(small, 1)
        bad += wrong
        print(
            f"{'OFF ' if wrong else 'ok  '} {config.name}: {whole:.1f} bytes a position; "
            f"shrunk: explain {small:.1f}, plan {plan:.1f}"
        )
        sys.stdout.flush()
    ran = subprocess.run(
        [args.test_explain, "--folder", str(args.out)], capture_output=True, text=True, check=False
    )
    runs = (ran.stdout + ran.stderr).splitlines()
    print("\n".join(line for line in runs if "explained" in line or "ERROR" in line))
    agree = "agree" if ran.returncode == 0 else "DIFFER"
    print(f"{made} shrunk, {skipped} not, {bad} off; runs {agree}")
    return 1 if bad or ran.returncode else 0


if __name__ == "__main__":
    sys.exit(main())
