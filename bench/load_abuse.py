"""What callers that mean harm take from an honest one (exchange.md 11, F13): slow connections, a flood, bombs.

The honest caller hands B letters at a fixed pace and his latencies are taken in each phase: alone, beside connections
that send next to nothing, and beside callers that ask as fast as they can with signatures of nobody.
"""

from __future__ import annotations

import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field

from load_generator import Caller, Sealed, open_loop, percentile, sealed
from load_nodes import A, B, Pair
from load_rows import MIB, Row, Run

PACE = 5.0
SLOW, FLOODERS = 2000, 8
BOMBS = {
    "entities": b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
    "depth": b"<a>" * 200_000 + b"</a>" * 200_000,
    "attributes": b"<a " + b" ".join(b"a%d='1'" % n for n in range(200_000)) + b"/>",
    "parts": b"<a>" + b"<b/>" * 100_000 + b"</a>",
}


@dataclass
class Honest:
    """A caller who hands over a letter every fifth of a second."""

    caller: Caller
    messages: list[Sealed]

    def p99(self, seconds: float) -> tuple[float, float]:
        """Return median and p99 of a phase in milliseconds, from when each letter was due."""
        took: list[float] = []

        def one(begin: float) -> None:
            self.caller.carry([self.messages.pop()], clients=1)
            took.append(1000 * (time.perf_counter() - begin))

        begin, number = time.perf_counter(), iter(range(10**6))
        for _, future in open_loop(lambda: one(begin + next(number) / PACE), rate=PACE, seconds=seconds, threads=8):
            future.result()
        return percentile(took, 0.5), percentile(took, 0.99)


def abuse(run: Run) -> list[Row]:
    """Latencies of the honest in each phase, memory of the node, and how long a bomb takes to be refused."""
    seconds = 120.0 if run.long else 20.0
    run.pair.start(a=False)
    caller = Caller(run.pair)
    honest = Honest(caller, sealed(run.pair, 5 + 3 * int(PACE * seconds)))
    caller.carry([honest.messages.pop() for _ in range(5)], clients=1)
    before = run.pair.b.memory()
    alone = honest.p99(seconds)
    with slow_connections(run.pair) as open_ones:
        crowded, many = honest.p99(seconds), len(open_ones)
    with flood(run.pair) as flooding:
        flooded = honest.p99(seconds)
    bombs = {name: bomb(caller, data) for name, data in BOMBS.items()}
    caller.close()
    slow_facts: dict[str, float | int | str] = {
        "alone p50": alone[0], "alone p99": alone[1], "beside p50": crowded[0], "beside p99": crowded[1],
        "connections": many, "ratio p99": crowded[1] / alone[1],
    }  # fmt: skip
    flood_facts: dict[str, float | int | str] = {
        "beside p50": flooded[0], "beside p99": flooded[1], "ratio p99": flooded[1] / alone[1],
        "refused/s": flooding.answered / flooding.seconds, "growth MiB": (run.pair.b.memory("VmHWM") - before) / MIB,
    }  # fmt: skip
    scaled = "" if run.long else f"{seconds:.0f} s a phase"
    return [
        Row(f"honest beside {SLOW} slow connections", slow_facts, scaled),
        Row(f"honest beside a flood of {FLOODERS} callers", flood_facts, scaled),
        Row("bombs, ms until refused", dict(bombs), ""),
    ]


def bomb(caller: Caller, data: bytes) -> float:
    """Return the milliseconds until a registered sender's bomb is refused. Ends the program if it is not."""
    begun = time.perf_counter()
    reply = caller.hand_over(data)
    if reply.status != 422:
        raise SystemExit(f"a bomb was answered {reply.status} {reply.problem}")
    return 1000 * (time.perf_counter() - begun)


@contextmanager
def slow_connections(pair: Pair) -> Iterator[Sequence[socket.socket]]:
    """Hold connections that say a byte a second: most before TLS, every tenth in the middle of a head."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    stop, held = threading.Event(), list[socket.socket]()
    with ExitStack() as stack:
        for number in range(SLOW):
            with suppress(OSError):
                source = (f"127.0.0.{2 + number % 100}", 0)
                line = socket.create_connection(("127.0.0.1", pair.b.port), timeout=0.3, source_address=source)
                held.append(stack.enter_context(line if number % 10 else _in_a_head(line, pair)))
        thread = threading.Thread(target=_drip, args=(held, stop))
        thread.start()
        yield held
        stop.set()
        thread.join()


def _in_a_head(line: socket.socket, pair: Pair) -> socket.socket:
    secure = pair.anchors().wrap_socket(line, server_hostname="localhost")
    secure.sendall(b"PUT /exchange/v1/to/H99.02/from/H99.01/x HTTP/1.1\r\nHost: localh")
    return secure


def _drip(lines: Sequence[socket.socket], stop: threading.Event) -> None:
    while not stop.wait(1):
        for line in lines:
            with suppress(OSError, ssl.SSLError):
                line.sendall(b"o")


@dataclass
class Flooding:
    """A flood under way: answers it has got, and how long it went on."""

    answered: int = 0
    seconds: float = 1e-9
    lock: threading.Lock = field(default_factory=threading.Lock)


@contextmanager
def flood(pair: Pair) -> Iterator[Flooding]:
    """Let callers ask without a pause, each over one connection after another, with a signature of nobody."""
    stop, made, begun = threading.Event(), Flooding(), time.monotonic()
    threads = [threading.Thread(target=_ask, args=(pair, stop, made)) for _ in range(FLOODERS)]
    for one in threads:
        one.start()
    yield made
    stop.set()
    for one in threads:
        one.join()
    made.seconds = time.monotonic() - begun


def _ask(pair: Pair, stop: threading.Event, made: Flooding) -> None:
    head = (
        f"PUT /exchange/v1/to/{B}/from/{A}/00000000-0000-4000-8000-000000000000 HTTP/1.1\r\n"
        f"Host: localhost:{pair.b.port}\r\nContent-Type: application/vnd.edoc.message+xml; v=1\r\n"
        "Content-Length: 1000\r\nContent-Digest: sha-256=:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:\r\n"
        'Signature-Input: edoc=("@method");created=1;keyid="nobody"\r\nSignature: edoc=:AAAA:\r\n\r\n'
    ).encode("ascii")
    anchors = pair.anchors()
    while not stop.is_set():
        with (
            suppress(OSError, ssl.SSLError),
            socket.create_connection(("127.0.0.1", pair.b.port), timeout=10) as plain,
            anchors.wrap_socket(plain, server_hostname="localhost") as line,
        ):
            line.sendall(head)
            if line.recv(64).startswith(b"HTTP/1.1 "):
                with made.lock:
                    made.answered += 1
