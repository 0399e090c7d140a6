"""lmzoo serve under load and abuse; needs the standard library only.

    python3 tests/clients/load.py MODEL [--lmzoo build/lmzoo] [--seconds 60] [--connections 64]
        [--phases steady,leaving,hostile] [--idle 5] [-- OPTION OF THE SERVER...]

Starts a server, asks for the text of each seed alone, and then runs, one after the other:

  steady   connections that send the next request as soon as they are answered
  leaving  the same, and half of the clients disconnect at a random time
  hostile  the cases of hostile.py beside clients that must not be affected

Every text must be the one that its seed gave alone; a wrong request must be refused, with the right
status and in time. After a phase no request may be left in the server, and its open files and
memory must be what they were. Prints a JSON object per phase; `resident_mib` are samples at even
distances. Exit code 1: any of that failed.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import hostile

PROMPT = "Once upon a time there was a little girl"
SEEDS = 16
SAMPLES = 9
WARM_SECONDS = 60  # shorter phases may end before memory has reached its height


@dataclass
class Tally:
    """What the clients of a phase saw."""

    requests: int = 0
    errors: int = 0
    left: int = 0
    tokens: int = 0
    differing: int = 0
    seconds: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def fail(self, note: str) -> None:
        self.errors += 1
        self.notes.append(note)


def body_of(seed: int, n_new: int, stream: bool) -> bytes:
    body = {"prompt": PROMPT, "max_tokens": n_new, "seed": seed, "temperature": 0.8}
    return json.dumps({**body, "ignore_eos": True, "stream": stream}).encode()


class Load:
    """Clients of one server; `alone`: the text of each seed when it has the server to itself."""

    def __init__(self, port: int, pid: int, args: argparse.Namespace) -> None:
        self.port, self.pid, self.args = port, pid, args
        self.alone: list[str] = []

    async def ask(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seed: int
    ) -> tuple[int, bytes]:
        writer.write(hostile.request_of(body_of(seed, self.args.tokens, False)))
        await writer.drain()
        return await hostile.answer(reader)

    async def learn(self) -> None:
        for seed in range(SEEDS):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            _, text = await self.ask(reader, writer, seed)
            self.alone.append(json.loads(text)["choices"][0]["text"])
            writer.close()

    async def leave(self, writer: asyncio.StreamWriter, tally: Tally) -> None:
        """A client that goes away before its answer, or in the middle of it."""
        seed = random.randrange(SEEDS)
        stream = random.random() < 0.7
        sent = hostile.request_of(body_of(seed, self.args.tokens, stream))
        writer.write(sent[: len(sent) if random.random() < 0.8 else random.randrange(len(sent))])
        await writer.drain()
        await asyncio.sleep(random.random() ** 2 * 2)
        if random.random() < 0.5:
            writer.transport.abort()
        writer.close()
        tally.left += 1

    def check(self, seed: int, status: int, text: bytes, tally: Tally) -> None:
        n_new = self.args.tokens
        tally.requests += 1
        parsed = json.loads(text)
        if status != 200 or parsed["usage"]["completion_tokens"] != n_new:
            tally.fail(f"{status}: {text[:200]!r}")
            return
        tally.tokens += n_new
        tally.differing += parsed["choices"][0]["text"] != self.alone[seed]

    async def client(self, until: float, tally: Tally, leaves: bool, stays: bool = True) -> None:
        """Sends requests until the time is over. leaves: goes away from half of them; stays: keeps
        its connection for the next request."""
        writer: asyncio.StreamWriter | None = None
        while time.monotonic() < until:
            seed = random.randrange(SEEDS)
            began = time.monotonic()
            try:
                if writer is None:
                    reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                if leaves and random.random() < 0.5:
                    gone, writer = writer, None
                    await self.leave(gone, tally)
                    continue
                status, text = await self.ask(reader, writer, seed)
                tally.seconds.append(time.monotonic() - began)
                self.check(seed, status, text, tally)
            except (OSError, asyncio.IncompleteReadError) as error:
                tally.fail(repr(error))
                writer = None
            if not stays and writer:
                writer.close()
                writer = None
        if writer:
            writer.close()

    def resident(self) -> float:
        status = Path(f"/proc/{self.pid}/status").read_text()
        return round(int(status.split("VmRSS:")[1].split()[0]) / 1024, 1)

    def files(self) -> int:
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    async def sample(self, seconds: float, into: list[float]) -> None:
        for _ in range(SAMPLES - 1):
            into.append(self.resident())
            await asyncio.sleep(seconds / (SAMPLES - 1))

    async def inside(self) -> int:
        """Requests in the server once all clients are gone; waits for the last to end."""
        for _ in range(100):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
            _, text = await hostile.answer(reader)
            writer.close()
            found = re.search(rb"^lmzoo_requests_inside (\d+)", text, re.MULTILINE)
            n = int(found[1]) if found else -1
            if n == 0:
                break
            await asyncio.sleep(0.1)
        return n

    async def phase(self, name: str) -> bool:
        args, tally, fresh = self.args, Tally(), Tally()
        bad = hostile.Hostile(self.port, args.idle)
        resident: list[float] = []
        files, began = self.files(), time.monotonic()
        until = began + args.seconds
        n = args.connections if name != "hostile" else 8
        jobs = [self.client(until, tally, name == "leaving") for _ in range(n)]
        jobs.append(self.sample(args.seconds, resident))
        if name == "hostile":
            jobs += [self.client(until, fresh, False, stays=False) for _ in range(2)]
            jobs.append(bad.run(until, hostile.request_of(body_of(1, args.tokens, True))))
        await asyncio.gather(*jobs)
        seconds = time.monotonic() - began
        inside = await self.inside()
        await asyncio.sleep(0.5)
        resident.append(self.resident())
        half = SAMPLES // 2
        grown = max(resident[half + 1 :]) - max(resident[: half + 1])
        is_long = args.seconds >= WARM_SECONDS and name != "hostile"
        grows = is_long and grown > 4 + 0.02 * resident[half]
        leaks = self.files() - files
        report = {
            "phase": name,
            "seconds": round(seconds, 1),
            "requests": tally.requests,
            "errors": tally.errors,
            "left": tally.left,
            "texts_that_differ": tally.differing + fresh.differing,
            "tokens_per_second": round(tally.tokens / seconds, 1),
            **times("", tally.seconds),
            "resident_mib": resident,
            "inside_afterwards": inside,
            "open_files_more": leaks,
        }
        if name == "hostile":
            report |= {
                "new_connections": fresh.requests,
                "new_connections_failed": fresh.errors,
                **times("new_connection_", fresh.seconds),
                **bad.report(),
            }
        report["notes"] = (tally.notes + fresh.notes + bad.notes)[:8]
        print(json.dumps(report), flush=True)
        wrong = tally.errors + fresh.errors + bad.errors + tally.differing + fresh.differing
        return not (wrong or inside or grows or leaks > 0)


def times(name: str, seconds: list[float]) -> dict[str, float]:
    if not seconds:
        return {}
    in_order = sorted(seconds)
    return {
        f"{name}median_seconds": round(in_order[len(in_order) // 2], 3),
        f"{name}slowest_seconds": round(in_order[-1], 3),
    }


async def run(port: int, pid: int, args: argparse.Namespace) -> bool:
    load = Load(port, pid, args)
    await load.learn()
    ok = True
    for name in args.phases.split(","):
        ok = await load.phase(name) and ok
    return ok


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--lmzoo", default="build/lmzoo")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--idle", type=int, default=5, help="--idle of the server")
    parser.add_argument("--phases", default="steady,leaving,hostile")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:at])
    options = sys.argv[at + 1 :]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    command = [args.lmzoo, "serve", args.model, "--port", "0", "--idle", str(args.idle)]
    with subprocess.Popen([*command, *options], stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        said = ""
        for line in server.stderr:
            said += line
            if "listening on " in line:
                break
        else:
            print(said, end="", file=sys.stderr)
            return 1
        ok = asyncio.run(run(int(line.rsplit(":", 1)[1]), server.pid, args))
        server.terminate()
        print(server.stderr.read(), end="", file=sys.stderr)
        return 0 if server.wait(timeout=60) == 0 and ok else 1


if __name__ == "__main__":
    sys.exit(main())
