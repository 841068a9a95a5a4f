"""What one message costs on the wire: a 10 kB hand-over and a repeat over loopback, beside the bare cryptography of it.

The node behind the listener keeps its rows in memory, so that the figure is the binding's alone: request signed and
verified, body hashed on both sides, receipt returned. The floor is two P-256 signatures, their checks, two hashes.
"""

import asyncio
import hashlib
import sys
import tempfile
import threading
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from measure import measure, report

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.http.memory_node import SENDER_KEY, MemoryNode
from transport.courier import Parcel
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.http.limits import HttpLimits
from transport.http.server import ServeConfig, serve
from transport.names import Key

BODY = b"x" * 10_000
DIGEST = hashlib.sha256(BODY).hexdigest()


def now() -> datetime:
    """Read the clock."""
    return datetime.now(UTC)


def parcel(endpoint: str, message_id: str) -> Parcel:
    """Return a 10 kB parcel."""
    return Parcel(Key("H99.01", "H99.02", message_id), BODY, DIGEST, len(BODY), endpoint)


class Served:
    """A served node in a thread of its own, and a carrier on another loop."""

    def __init__(self, folder: Path) -> None:
        limits = replace(HttpLimits(), disk_reserve_bytes=0, rate_per_partner=1e6, rate_burst=10**6)
        self.ready = threading.Event()
        self.stop = asyncio.Event()
        config = ServeConfig(spool=folder, port=0, demo=True, metrics_port=None, limits=limits, on_ready=self.listening)
        self.loop = asyncio.new_event_loop()
        work = serve(MemoryNode(), config=config, stop=self.stop)
        self.thread = threading.Thread(target=self.loop.run_until_complete, args=(work,))
        self.thread.start()
        self.ready.wait()

    def listening(self, urls: dict[str, str]) -> None:
        """Note where the node listens."""
        self.endpoint = urls["exchange"]
        self.ready.set()

    def close(self) -> None:
        """Stop serving."""
        self.loop.call_soon_threadsafe(self.stop.set)
        self.thread.join()
        self.loop.close()


def floor() -> None:
    """The cryptography nobody can leave out."""
    key = ec.generate_private_key(ec.SECP256R1())
    for _ in range(2):
        value = key.sign(BODY[:500], ec.ECDSA(hashes.SHA256()))
        key.public_key().verify(value, BODY[:500], ec.ECDSA(hashes.SHA256()))
        hashlib.sha256(BODY).digest()


def main() -> None:
    """Print the figures."""
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner() as runner:
        served = Served(Path(folder))
        carrier = HttpCarrier(request_key=SENDER_KEY, clock=now, reach=Reach(demo=True))

        def carry(message_id: str) -> None:
            reply = runner.run(carrier.carry(parcel(served.endpoint, message_id)))
            if reply.kind != "receipt":
                raise SystemExit(f"no receipt: {reply}")

        known = str(uuid.uuid4())
        bare = measure("exchange.floor", floor, runs=200)
        report(
            bare,
            measure("exchange.first-10kB", lambda: carry(str(uuid.uuid4())), runs=200, floor=bare.median),
            measure("exchange.repeat-10kB", lambda: carry(known), runs=200, floor=bare.median),
        )
        runner.run(carrier.close())
        served.close()


if __name__ == "__main__":
    main()
