"""lmzoo serve under load and abuse; needs the standard library only.

    python3 tests/clients/load.py MODEL [--lmzoo build/lmzoo] [--seconds 60] [--connections 64]
        [-- OPTION OF THE SERVER...]

Starts a server and runs, one after the other: `steady` (connections that send the next request as
soon as they are answered), `leaving` (the same, and half of the clients disconnect in the middle),
`hostile` (slow heads, huge bodies, bad JSON, thousands of connections, beside clients that must not
be affected). Prints a JSON object per phase: requests, errors, tokens a second, seconds to the
first byte, resident MiB before and after. Exit code 1: an unexpected error, or a bad request that
was not refused.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import random
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

PROMPT = "Once upon a time there was a little girl"


@dataclass
class Tally:
    """What the clients of a phase saw."""

    requests: int = 0
    errors: int = 0
    left: int = 0
    tokens: int = 0
    texts: dict[int, set[str]] = field(default_factory=dict)
    first: list[float] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def body_of(seed: int, n_new: int, stream: bool) -> bytes:
    body = {"prompt": PROMPT, "max_tokens": n_new, "seed": seed, "temperature": 0.8}
    return json.dumps({**body, "ignore_eos": True, "stream": stream}).encode()


def request_of(body: bytes, path: str = "/v1/completions") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One answer that is not a stream."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Le")
    )
    return int(head.split()[1]), await reader.readexactly(length)


async def steady(port: int, until: float, tally: Tally, n_new: int, leaves: bool) -> None:
    """A client that sends requests until the time is over; `leaves`: it closes half of its
    streams."""
    writer: asyncio.StreamWriter | None = None
    while time.monotonic() < until:
        if writer is None:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
        seed = random.randrange(16)
        try:
            if leaves and random.random() < 0.5:
                writer.write(request_of(body_of(seed, n_new, True)))
                await writer.drain()
                await asyncio.sleep(random.random() * 0.2)
                writer.close()
                writer = None
                tally.left += 1
                continue
            began = time.monotonic()
            writer.write(request_of(body_of(seed, n_new, False)))
            await writer.drain()
            status, text = await answer(reader)
            tally.first.append(time.monotonic() - began)
            tally.requests += 1
            parsed = json.loads(text)
            if status != 200 or parsed["usage"]["completion_tokens"] != n_new:
                tally.errors += 1
                tally.notes.append(f"{status}: {text[:200]!r}")
                continue
            tally.tokens += n_new
            tally.texts.setdefault(seed, set()).add(parsed["choices"][0]["text"])
        except (OSError, asyncio.IncompleteReadError) as error:
            tally.errors += 1
            tally.notes.append(repr(error))
            writer = None
    if writer:
        writer.close()


async def expect(port: int, sent: bytes, wanted: set[int], tally: Tally, what: str) -> None:
    """Sends bytes; the answer must have a wanted status, or the connection close (0)."""
    status = 0
    with contextlib.suppress(OSError, asyncio.IncompleteReadError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            for at in range(0, len(sent), 1 << 16):
                writer.write(sent[at : at + (1 << 16)])
                await writer.drain()
        status, _ = await asyncio.wait_for(answer(reader), 60)
        writer.close()
    tally.requests += 1
    if status not in wanted:
        tally.errors += 1
        tally.notes.append(f"{what}: {status}")


async def trickle(port: int, until: float, tally: Tally, first: bytes) -> None:
    """Sends a byte now and then; the server must close it before the phase ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(first)
    closed = False
    while time.monotonic() < until and not closed:
        with contextlib.suppress(asyncio.TimeoutError):
            closed = not await asyncio.wait_for(reader.read(1024), 1)
        try:
            writer.write(b"x")
            await writer.drain()
        except OSError:
            closed = True
    writer.close()
    tally.requests += 1
    if not closed:
        tally.errors += 1
        tally.notes.append("a slow connection was not closed")


async def many(port: int, n: int, tally: Tally) -> None:
    """Opens connections and holds them for a while."""
    open_now = []
    for _ in range(n):
        with contextlib.suppress(OSError):
            pair = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", port), 2)
            open_now.append(pair[1])
    tally.left += len(open_now)
    await asyncio.sleep(1)
    for writer in open_now:
        writer.close()


async def hostile(port: int, seconds: float, tally: Tally) -> None:
    until = time.monotonic() + seconds
    deep = b"[" * 200000
    cases = [
        (request_of(b"{"), {400}, "no JSON"),
        (request_of(deep), {400}, "deep JSON"),
        (request_of(b'{"prompt":"' + b"\xff" * 50 + b'"}'), {400}, "no UTF-8"),
        (request_of(b'{"prompt":"' + b"a" * 3000000 + b'"}'), {400}, "a long prompt"),
        (request_of(b"a" * (33 << 20)), {413, 0}, "a huge body"),
        (b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", {413}, "a lie"),
        (b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", {0, 414, 431}, "a long path"),
        (b"nonsense\r\n\r\n", {0, 400}, "no HTTP"),
        (request_of(body_of(1, 3, False), "/v1/nothing"), {404}, "no such path"),
    ]
    slow = [
        b"POST /v1/comp",
        b"POST /v1/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\n{",
    ]
    jobs = [trickle(port, until, tally, slow[i % 2]) for i in range(20)]
    jobs += [expect(port, *case[:2], tally, case[2]) for case in cases for _ in range(3)]
    jobs.append(many(port, 10000, tally))
    await asyncio.gather(*jobs)


def resident(pid: int) -> float:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


async def phase(name: str, port: int, pid: int, args: argparse.Namespace) -> bool:
    tally, bad = Tally(), Tally()
    before, began = resident(pid), time.monotonic()
    until = began + args.seconds
    n = args.connections if name != "hostile" else 8
    jobs = [steady(port, until, tally, args.tokens, name == "leaving") for _ in range(n)]
    if name == "hostile":
        jobs.append(hostile(port, args.seconds, bad))
    await asyncio.gather(*jobs)
    seconds = time.monotonic() - began
    first = sorted(tally.first)
    differing = sum(len(t) > 1 for t in tally.texts.values())
    report = {
        "phase": name,
        "seconds": round(seconds, 1),
        "requests": tally.requests,
        "errors": tally.errors,
        "left": tally.left,
        "refused": bad.requests - bad.errors,
        "not_refused": bad.errors,
        "seeds_that_differ": differing,
        "tokens_per_second": round(tally.tokens / seconds, 1),
        "median_seconds": round(first[len(first) // 2], 3) if first else None,
        "slowest_seconds": round(first[-1], 3) if first else None,
        "resident_mib": [round(before, 1), round(resident(pid), 1)],
        "notes": (tally.notes + bad.notes)[:5],
    }
    print(json.dumps(report), flush=True)
    return not (tally.errors or bad.errors or differing)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--lmzoo", default="build/lmzoo")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=128)
    parser.add_argument("--phases", default="steady,leaving,hostile")
    at = sys.argv.index("--") if "--" in sys.argv else len(sys.argv)
    args = parser.parse_args(sys.argv[1:at])
    options = sys.argv[at + 1 :]
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    command = [args.lmzoo, "serve", args.model, "--port", "0", "--idle", "5", *options]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        line = server.stderr.readline()
        if "listening on " not in line:
            print(line, end="", file=sys.stderr)
            return 1
        port = int(line.rsplit(":", 1)[1])
        ok = True
        for name in args.phases.split(","):
            ok = asyncio.run(phase(name, port, server.pid, args)) and ok
        server.terminate()
        return 0 if server.wait(timeout=60) == 0 and ok else 1


if __name__ == "__main__":
    sys.exit(main())
