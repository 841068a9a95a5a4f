"""The open-loop generator: messages begin when they are due, whatever became of those before.

A latency runs from the intended start, so a node that stalls is not spared the messages that would have come meanwhile.
``Desk`` submits letters at A as ``edoc send`` does; ``Caller`` hands sealed messages to B over TLS (E1) as A would.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import math
import os
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime

from load_nodes import A, B, Pair, now

from edoc import seal as seals
from tests import world
from transport.courier import Parcel, Reply
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.http.wire import RequestKey
from transport.names import Key
from transport.node.node import Node
from transport.node.sending import send
from transport.store.times import millis

SMALL = 10_000
"""Bytes of a small message as it is carried, about."""
_numbers = itertools.count(1)
_run = uuid.uuid4().hex[:6]


def letter(size: int = SMALL, *, priority: int = 0, to: str = B) -> bytes:
    """Return a packed letter whose sealed form has about ``size`` bytes (base64 takes a third)."""
    number = f"{next(_numbers)}"
    room = max(64, (size - 8_500) * 3 // 4)
    content = _pdf(os.urandom(max(1, room - 450)))
    packed = world.letter(number, content=content, priority=priority, name=f"{number}.pdf", at=now())
    return packed if to == B else packed.replace(B.encode(), to.encode())


def _pdf(drawn: bytes) -> bytes:
    """Return a well-formed PDF of one page that holds these bytes as its content."""
    objects = (
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
    )
    data, places = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    lines = b"".join(b"%010d 00000 n \n" % place for place in places)
    end = b"trailer\n<< /Size 5 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(data)
    return data + b"xref\n0 5\n0000000000 65535 f \n" + lines + end


@dataclass(frozen=True, slots=True)
class Sample:
    """One message: when it was meant to begin (milliseconds since 1970), and how long it took (milliseconds)."""

    due: int
    took: float


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that ``share`` of the values do not exceed; not a number without values."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def open_loop(
    work: Callable[[], object], *, rate: float, seconds: float, threads: int = 16
) -> list[tuple[int, Future[object]]]:
    """Start ``work`` ``rate`` times a second and return when each was due, with its outcome; waits for all."""
    started: list[tuple[int, Future[object]]] = []
    with ThreadPoolExecutor(threads) as pool:
        begin, wall = time.perf_counter(), millis(now())
        for number in range(int(rate * seconds)):
            ahead = begin + number / rate - time.perf_counter()
            if ahead > 0:
                time.sleep(ahead)
            started.append((wall + round(1000 * number / rate), pool.submit(work)))
    return started


@dataclass
class Desk:
    """The sending desk of A in the generator's process: seals and queues as ``edoc send --queue-only`` does."""

    pair: Pair
    node: Node = field(init=False)

    def __post_init__(self) -> None:
        self.node = Node.open(world.settings_of(self.pair.a.home), need_exchange=True)

    def close(self) -> None:
        """Close the store."""
        self.node.close()

    def submit(self, size: int = SMALL, *, priority: int = 0, to: str = B) -> str:
        """Seal and queue a letter; return its id."""
        packed = letter(size, priority=priority, to=to)
        return send(self.node.office, packed, to=None, now=now(), allow_information_only=True).message_id

    def settled(self, since: int) -> dict[str, int]:
        """Return when the letters that were queued since then were delivered, by id."""
        question = (
            "SELECT m.message_id, d.settled_at FROM dispatch d JOIN message m ON m.id = d.message "
            "WHERE d.state = 'delivered' AND d.submitted_at >= ? AND m.kind = 'edoc'"
        )
        rows = self.node.office.store.read(lambda c: c.exec_driver_sql(question, (since,)).all())
        return {str(row[0]): int(row[1]) for row in rows}

    def open(self, *, kind: str = "edoc", recipient: str = B) -> int:
        """Count the dispatches that are not settled."""
        question = (
            "SELECT count(*) FROM dispatch d JOIN message m ON m.id = d.message "
            "WHERE d.state IN ('queued', 'carrying', 'unknown') AND m.kind = ? AND d.recipient = ?"
        )
        return int(self.node.office.store.read(lambda c: c.exec_driver_sql(question, (kind, recipient)).scalar_one()))

    def drained(self, *, seconds: float, recipient: str = B) -> bool:
        """Wait until nothing is open; false if it takes longer."""
        end = time.monotonic() + seconds
        while self.open(recipient=recipient):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True


def run_letters(
    desk: Desk, *, rate: float, seconds: float, size: int = SMALL, priority: int = 0, patience: float = 60.0
) -> list[Sample]:
    """Submit at a rate; return the samples of what was delivered within ``patience`` seconds after the last."""
    since = millis(now())
    begun = open_loop(lambda: desk.submit(size, priority=priority), rate=rate, seconds=seconds)
    ids = {str(future.result()): due for due, future in begun}
    end = time.monotonic() + patience
    while len(found := {k: at for k, at in desk.settled(since).items() if k in ids}) < len(ids):
        if time.monotonic() > end:
            break
        time.sleep(0.1)
    return sorted((Sample(ids[k], at - ids[k]) for k, at in found.items()), key=lambda one: one.due)


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message ready to be carried."""

    message_id: str
    data: bytes
    sha256: str


def sealed(pair: Pair, count: int, *, size: int = SMALL) -> list[Sealed]:
    """Seal messages of A beforehand."""
    credential, made = pair.identities[A]["exchange"].credential, []
    for _ in range(count):
        at: datetime = now().replace(microsecond=0)
        message = seals.read_packed(letter(size))
        one = seals.seal(message, message_id=str(uuid.uuid4()), credential=credential, at=at)
        made.append(Sealed(one.slip.message_id, one.data, hashlib.sha256(one.data).hexdigest()))
    return made


class Caller:
    """Calls B as A's node would, with as many connections as clients; on a loop in a thread of its own."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._key = RequestKey.from_pem(pair.identities[A]["request"].pem)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()
        self._carriers: list[HttpCarrier] = []

    def close(self) -> None:
        """Close connections and loop."""
        for one in self._carriers:
            asyncio.run_coroutine_threadsafe(one.close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def carry(self, messages: Sequence[Sealed], *, clients: int) -> list[float]:
        """Hand all messages over, ``clients`` at a time; return the milliseconds of each."""
        while len(self._carriers) * 4 < clients:
            self._carriers.append(
                HttpCarrier(request_key=self._key, clock=now, tls=self._pair.anchors(), reach=Reach(demo=True))
            )
        return asyncio.run_coroutine_threadsafe(self._carry(messages, clients), self._loop).result()

    def hand_over(self, data: bytes) -> Reply:
        """Hand over any bytes as a message of A's, and return what came of it."""
        message = Sealed(str(uuid.uuid4()), data, hashlib.sha256(data).hexdigest())
        return asyncio.run_coroutine_threadsafe(self._one(self._carriers[0], message), self._loop).result()

    async def _carry(self, messages: Sequence[Sealed], clients: int) -> list[float]:
        waiting, took = iter(messages), []

        async def client(number: int) -> None:
            for message in waiting:
                begun = time.perf_counter()
                reply = await self._one(self._carriers[number % len(self._carriers)], message)
                if reply.kind != "receipt":
                    raise SystemExit(f"no receipt: {reply}")
                took.append(1000 * (time.perf_counter() - begun))

        await asyncio.gather(*(client(number) for number in range(clients)))
        return took

    async def _one(self, carrier: HttpCarrier, message: Sealed) -> Reply:
        key = Key(A, B, message.message_id)
        parcel = Parcel(key, message.data, message.sha256, len(message.data), self._pair.b.endpoint)
        return await carrier.carry(parcel)
