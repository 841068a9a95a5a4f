"""An S3 service for tests, on loopback, in this process; each test gets a bucket of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING
from unittest.mock import patch
from urllib.request import Request, urlopen

if TYPE_CHECKING:
    from moto.server import ThreadedMotoServer

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "mau", "AWS_SECRET_ACCESS_KEY": "mau-mau-mau"}
_numbers = count(1)


def missing() -> str | None:
    """Return why tests with S3 cannot run here."""
    try:
        import moto.server  # noqa: F401  # tests only
        import obstore  # noqa: F401  # the extra may be missing
    except ImportError:
        return "the extra s3 or moto is not installed"
    return None


@dataclass
class Service:
    """A running service: its address, and buckets on it."""

    endpoint: str
    server: ThreadedMotoServer

    def bucket(self) -> str:
        """Make a bucket and return its name."""
        name = f"kho-{next(_numbers)}"
        self.call("PUT", f"/{name}")
        return name

    def call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """Ask the service directly, as its administrator."""
        request = Request(f"{self.endpoint}{path}", data=body, method=method)
        request.add_header("Authorization", "AWS4-HMAC-SHA256 Credential=mau/20261120/us-east-1/s3/aws4_request")
        with urlopen(request, timeout=10) as answer:
            return bytes(answer.read())


@contextmanager
def running() -> Iterator[Service]:
    """Run a service until the block ends, with credentials for it in the environment."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    try:
        with patch.dict(os.environ, CREDENTIALS):
            yield Service(f"http://{host}:{port}", server)
    finally:
        server.stop()
