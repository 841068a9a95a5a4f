"""The floor of one small message (exchange.md 17): what nobody can leave out, done with nothing around it.

One request over a kept TLS connection with 10 kB up and 3 kB down, SHA-256 on both sides, two P-256 signatures and
their verifications, and one flush on each side. Both sides run in this process, so its processor time is that of both.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import statistics
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from transport.http.tls import client_context, server_context

UP, DOWN = 10_000, 3_000


@dataclass(frozen=True, slots=True)
class Floor:
    """Medians of one message: milliseconds of the clock and of processors; SHA-256 of one core in MB/s."""

    wall: float
    processor: float
    sha256_rate: float


def measure_floor(folder: Path, channel: Path, root: Path, *, runs: int = 300) -> Floor:
    """Measure it in a folder on the disk of the nodes."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = threading.Thread(target=_serve, args=(listener, server_context(channel, channel), folder / "floor-b"))
    server.start()
    key, body = ec.generate_private_key(ec.SECP256R1()), os.urandom(UP)
    walls = []
    with (
        socket.create_connection(listener.getsockname()) as plain,
        client_context(root).wrap_socket(plain, server_hostname="localhost") as line,
        (folder / "floor-a").open("wb") as file,
    ):
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _message(line, key, body, file.fileno())
        spent = time.process_time()
        for _ in range(runs):
            begun = time.perf_counter()
            _message(line, key, body, file.fileno())
            walls.append(1000 * (time.perf_counter() - begun))
        spent = time.process_time() - spent
        line.sendall(b"0" * UP)
    server.join()
    listener.close()
    return Floor(statistics.median(walls), 1000 * spent / runs, _sha256_rate())


def _message(line: ssl.SSLSocket, key: ec.EllipticCurvePrivateKey, body: bytes, file: int) -> None:
    """The sender's side: hash, sign, send, receive, verify, flush."""
    hashlib.sha256(body).digest()
    value = key.sign(body[:500], ec.ECDSA(hashes.SHA256()))
    line.sendall(b"1" + body[1:])
    receipt = _read(line, DOWN)
    key.public_key().verify(value, body[:500], ec.ECDSA(hashes.SHA256()))
    _flush(file, receipt)


def _serve(listener: socket.socket, context: ssl.SSLContext, path: Path) -> None:
    """The recipient's side: receive, hash, verify, sign, flush, answer; until a body begins with 0."""
    key = ec.generate_private_key(ec.SECP256R1())
    plain, _ = listener.accept()
    plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with context.wrap_socket(plain, server_side=True) as line, path.open("wb") as file:
        while (body := _read(line, UP))[:1] == b"1":
            hashlib.sha256(body).digest()
            value = key.sign(body[:500], ec.ECDSA(hashes.SHA256()))
            key.public_key().verify(value, body[:500], ec.ECDSA(hashes.SHA256()))
            _flush(file.fileno(), body)
            line.sendall(body[:DOWN])


def _read(line: ssl.SSLSocket, size: int) -> bytes:
    data = b""
    while len(data) < size:
        more = line.recv(size - len(data))
        if not more:
            return b""
        data += more
    return data


def _flush(file: int, data: bytes) -> None:
    os.write(file, data)
    os.fdatasync(file)


def _sha256_rate() -> float:
    data = os.urandom(64 * 1024 * 1024)
    begun = time.process_time()
    hashlib.sha256(data).digest()
    return len(data) / 1e6 / (time.process_time() - begun)
