"""How much later than the mean the last rank ends when one of two is slowed.

    python3 bench/slow_rank.py LMZOO MODEL [--rows 600] [--least 50] [--most 400] [--slow 4]
                               [--how stop] [--repeats 3] [-- OPTION...]

Two ranks of `mpirun LMZOO batch`, each bound to a core. --how stop: the second is stopped most of
the time, in turns of 40 ms; busy: so many busy processes share its core that it gets one part of
--slow. Rows have from --least to --most tokens; half of them may end earlier. Options after -- are
those of batch. Prints a line per run: rows and end of each rank, and the last one's delay.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

TURN = 0.04


def write_rows(path: Path, n: int, least: int, most: int) -> None:
    """The requests."""
    draw = random.Random(1)
    names = ("Lily", "Tim", "The cat", "A dog", "One day")
    with path.open("w") as file:
        for i in range(n):
            body = {
                "prompt": f"{draw.choice(names)} number {i} had",
                "max_tokens": draw.randint(least, most),
                "temperature": 0.8,
                "seed": i,
                "ignore_eos": i % 2 == 0,
            }
            line = {"custom_id": str(i), "method": "POST", "url": "/v1/completions", "body": body}
            file.write(json.dumps(line) + "\n")


def ranks_of(run: subprocess.Popen[str]) -> list[int]:
    """The processes of both ranks, in the order in which they started; none if the run is over."""
    while run.poll() is None:
        found = subprocess.run(
            ["pgrep", "-x", "-P", str(run.pid), "lmzoo"], capture_output=True, text=True
        ).stdout.split()
        if len(found) == 2:
            return sorted(int(pid) for pid in found)
        time.sleep(0.005)
    return []


def slow_down(run: subprocess.Popen[str], pid: int, times: float, how: str) -> None:
    """Slows the rank until the run is over."""
    busy: list[subprocess.Popen[bytes]] = []
    if how == "busy":
        cores = os.sched_getaffinity(pid)
        for _ in range(round(times) - 1):
            busy.append(subprocess.Popen([sys.executable, "-c", "while True: pass"]))
            os.sched_setaffinity(busy[-1].pid, cores)
    try:
        while how == "stop" and run.poll() is None:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(TURN * (1 - 1 / times))
            os.kill(pid, signal.SIGCONT)
            time.sleep(TURN / times)
    except ProcessLookupError:
        pass
    finally:
        run.wait()
        for process in busy:
            process.kill()
            process.wait()


def main() -> None:
    """See the head of the file."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("lmzoo")
    parser.add_argument("model")
    parser.add_argument("--rows", type=int, default=600)
    parser.add_argument("--least", type=int, default=50)
    parser.add_argument("--most", type=int, default=400)
    parser.add_argument("--slow", type=float, default=4)
    parser.add_argument("--how", choices=["stop", "busy"], default="stop")
    parser.add_argument("--repeats", type=int, default=3)
    given = [*sys.argv[1:], "--"]
    end = given.index("--")
    args = parser.parse_args(given[:end])
    root = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    with tempfile.TemporaryDirectory() as folder:
        rows, told = Path(folder) / "in.jsonl", Path(folder) / "told"
        write_rows(rows, args.rows, args.least, args.most)
        command = ["mpirun", "--bind-to", "core", "-n", "2", args.lmzoo, "batch", args.model]
        command += ["-i", str(rows), "-o", str(rows.with_name("out.jsonl")), "--restart"]
        command += ["--threads", "1", "--memory", "512M", *given[end + 1 : -1]]
        for _ in range(args.repeats):
            with told.open("w") as file:
                run = subprocess.Popen(command, stderr=file, env={**os.environ, **root}, text=True)
            ranks = ranks_of(run)
            if ranks:
                slow_down(run, ranks[1], args.slow, args.how)
            found = re.findall(
                r"rank \d+ .*: (\d+) rows, the last after ([\d.]+) s", told.read_text()
            )
            if not found:
                sys.exit(told.read_text()[-800:])
            ends = [float(end) for _, end in found]
            late = max(ends) * len(ends) / sum(ends) - 1
            each = ", ".join(f"{n} rows until {end} s" for n, end in found)
            print(f"{each}: {100 * late:.1f} % late", flush=True)


if __name__ == "__main__":
    main()
