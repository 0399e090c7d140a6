"""Clients that mean harm, for load.py: wrong requests of every kind, slow ones, and thousands of
connections. Each says which answers are right and is timed."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from typing import Any

CONNECTIONS = 10000
STEP = 50  # connections opened at once


def request_of(body: bytes, path: str = "/v1/completions", more: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """One answer that is not a stream."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Le")
    )
    return int(head.split()[1]), await reader.readexactly(length)


def chat(**more: Any) -> bytes:
    body = {"messages": [{"role": "user", "content": "x"}], "max_tokens": 4, **more}
    return request_of(json.dumps(body).encode(), "/v1/chat/completions")


def schema(of: Any) -> bytes:
    form = {"type": "json_schema", "json_schema": {"name": "a", "schema": of}}
    return chat(response_format=form)


def nested(depth: int) -> dict[str, Any]:
    out: dict[str, Any] = {"type": "string", "pattern": "(a{1,999}){1,999}"}
    for _ in range(depth):
        out = {"type": "array", "items": out}
    return out


# Name, bytes, statuses that are right; 0: the connection is closed.
CASES: list[tuple[str, bytes, set[int]]] = [
    ("no JSON", request_of(b"{"), {400}),
    ("an empty body", request_of(b""), {400}),
    ("no object", request_of(b"[1]"), {400}),
    ("deep JSON", request_of(b"[" * 200000), {400}),
    ("deep JSON in a message", request_of(b'{"a":' * 150000, "/v1/messages"), {400}),
    ("no UTF-8", request_of(b'{"prompt":"' + b"\xff" * 50 + b'"}'), {400}),
    ("half a surrogate", request_of(b'{"prompt":"\\ud800"}'), {400}),
    ("a byte 0", request_of(b'{"prompt":"a\x00b"}'), {400}),
    ("wrong types", request_of(b'{"prompt":{},"max_tokens":"x"}'), {400}),
    ("a huge number", request_of(b'{"prompt":"x","max_tokens":1e999}'), {400}),
    ("too many choices", request_of(b'{"prompt":"x","n":1000000}'), {400}),
    ("a long prompt", request_of(b'{"prompt":"' + b"a" * 3000000 + b'"}'), {400}),
    ("an endless schema", schema(nested(40)), {400}),
    ("a schema of itself", schema({"$ref": "#"}), {400}),
    ("a huge body", request_of(b"a" * (33 << 20)), {413, 0}),
    ("a lie", b"POST /v1/completions HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n", {413}),
    ("a bad length", b"POST /tokenize HTTP/1.1\r\nContent-Length: -5\r\n\r\n", {0, 400}),
    ("two lengths", request_of(b"{}", more="Content-Length: 1\r\n"), {0, 400}),
    ("bad chunks", b"POST /tokenize HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nz\r\n", {0, 400}),
    ("a long path", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n", {0, 414, 431}),
    ("many headers", b"GET /health HTTP/1.1\r\n" + b"a: b\r\n" * 50000 + b"\r\n", {0, 431}),
    ("no HTTP", b"nonsense\r\n\r\n", {0, 400}),
    ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200, {0, 400}),
    ("no such path", request_of(b"{}", "/v1/nothing"), {404}),
    ("another method", b"DELETE /v1/completions HTTP/1.1\r\nHost: a\r\n\r\n", {405}),
    ("an image", request_of(b'{"model":"m","max_tokens":4,"messages":[{"role":"user",'
                            b'"content":[{"type":"image"}]}]}', "/v1/messages"), {400}),
]  # fmt: skip

# Beginnings that are followed by a byte now and then, or by nothing.
SLOW: list[tuple[str, bytes, bytes]] = [
    ("nothing", b"", b""),
    ("a slow head", b"POST /v1/comp", b"x"),
    ("slow headers", b"GET /health HTTP/1.1\r\nHost: a\r\n", b"x: y\r\n"),
    ("a slow body", request_of(b"{" + b" " * 500)[:-500], b" "),
    (
        "a slow upload",
        b"POST /v1/files HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n"
        b"Content-Type: multipart/form-data; boundary=b\r\n\r\n--b\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a"\r\n\r\n',
        b"x",
    ),
    ("a body that stops", request_of(b"{" + b" " * 500)[:-500], b""),
]


# A right request whose rows would keep the server busy for long.
GREEDY = request_of(b'{"max_tokens":64,"prompt":[' + b'"Once",' * 49999 + b'"Once"]}')


class Hostile:
    """`idle`: the seconds after which the server closes a silent connection."""

    def __init__(self, port: int, idle: float) -> None:
        self.port, self.idle = port, idle
        self.refused = self.errors = self.opened = self.kept = 0
        self.slowest = self.slowest_close = 0.0
        self.notes: list[str] = []

    def fail(self, note: str) -> None:
        self.errors += 1
        self.notes.append(note)

    async def expect(self, what: str, sent: bytes, wanted: set[int]) -> None:
        """Sends bytes; the answer must have a wanted status, or the connection close (0)."""
        status, began, why = 0, time.monotonic(), ""
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
            with contextlib.suppress(OSError):
                for at in range(0, len(sent), 1 << 16):
                    writer.write(sent[at : at + (1 << 16)])
                    await writer.drain()
            status, _ = await asyncio.wait_for(answer(reader), 60)
            writer.close()
        except TimeoutError:
            status = -1
        except (OSError, asyncio.IncompleteReadError) as error:
            why = f" {error!r}"
        seconds = time.monotonic() - began
        self.slowest = max(self.slowest, seconds)
        if status in wanted:
            self.refused += 1
        else:
            self.fail(f"{what}: {status if status >= 0 else 'no answer'}{why} {seconds:.1f} s")

    async def trickle(self, what: str, first: bytes, then: bytes) -> None:
        """Sends `then` now and then; the server must close the connection all the same."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        began, closed = time.monotonic(), False
        writer.write(first)
        while not closed and time.monotonic() < began + 4 * self.idle:
            with contextlib.suppress(asyncio.TimeoutError):
                closed = not await asyncio.wait_for(reader.read(1024), 1)
            try:
                writer.write(then)
                await writer.drain()
            except OSError:
                closed = True
        writer.close()
        self.slowest_close = max(self.slowest_close, time.monotonic() - began)
        if closed:
            self.refused += 1
        else:
            self.fail(f"{what}: not closed after {4 * self.idle} s")

    async def deaf(self, sent: bytes) -> None:
        """Asks for a stream and never reads it."""
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            s.setblocking(False)
            loop = asyncio.get_running_loop()
            await loop.sock_connect(s, ("127.0.0.1", self.port))
            await loop.sock_sendall(s, sent)
            await asyncio.sleep(2 * self.idle)
        self.refused += 1

    async def greedy(self, until: float) -> None:
        """Asks for very many rows and goes away in the middle of them."""
        _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(GREEDY)
        await writer.drain()
        await asyncio.sleep(until - time.monotonic())
        writer.close()

    async def many(self) -> None:
        """Opens connections, holds them until the server has closed those that send nothing."""
        open_now: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

        async def one() -> None:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                pair = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", self.port), 5)
                open_now.append(pair)

        for _ in range(CONNECTIONS // STEP):
            await asyncio.gather(*(one() for _ in range(STEP)))
        self.opened = len(open_now)
        await asyncio.sleep(2 * self.idle)
        self.kept = sum(not reader.at_eof() for reader, _ in open_now)
        for _, writer in open_now:
            writer.close()

    async def run(self, until: float, stream: bytes) -> None:
        """All cases, over and over until the time is over; the connections once."""
        jobs = [self.deaf(stream) for _ in range(4)] + [self.many(), self.greedy(until)]
        jobs += [self.trickle(*SLOW[i % len(SLOW)]) for i in range(4 * len(SLOW))]
        rest = asyncio.gather(*jobs)
        while time.monotonic() < until or not rest.done():
            await asyncio.gather(*(self.expect(*case) for case in CASES))
            await asyncio.sleep(0.5)
        await rest

    def report(self) -> dict[str, Any]:
        return {
            "refused": self.refused,
            "not_refused": self.errors,
            "slowest_refusal_seconds": round(self.slowest, 3),
            "slowest_close_seconds": round(self.slowest_close, 3),
            "connections_opened": self.opened,
            "connections_kept": self.kept,
        }
