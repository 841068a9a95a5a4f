"""Time-stamping authorities on loopback, one per path, good ones and such with a fault (signing.md 9)."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from signer import asn1
from signer.devpki import DevPki

REPLY = "application/timestamp-reply"
DIGEST = b"\x11" * 32


def request_for(digest: bytes) -> bytes:
    """Return a TimeStampReq over a SHA-256."""
    return asn1.timestamp_request(digest, algorithm="sha256", nonce=1 << 126)


def with_other_nonce(request: bytes) -> bytes:
    """Return a request for the same digest, with a nonce of its own."""
    algorithm, digest, nonce = asn1.read_timestamp_request(request)
    return asn1.timestamp_request(digest, algorithm=algorithm, nonce=(nonce or 0) ^ 1)


class House:
    """Time-stamping authorities on loopback, one per path, good or with a fault, and how often each was asked."""

    def __init__(self, pki: DevPki, stranger: DevPki, now: datetime) -> None:
        self.asked: list[str] = []
        self.connections = 0
        self.failing = 0
        self.release = threading.Event()
        good: Callable[[bytes], bytes] = lambda request: pki.timestamp(request, at=now)  # noqa: E731
        other = good(request_for(b"\x22" * 32))
        self.answers: dict[str, Callable[[bytes], bytes]] = {
            "/good": good,
            "/second": good,
            "/other-imprint": lambda _: other,
            "/other-nonce": lambda request: good(with_other_nonce(request)),
            "/untrusted": lambda request: stranger.timestamp(request, at=now),
            "/garbage": lambda _: b"0\x00",
            "/cut": good,
            "/late": good,
            "/closing": good,
            "/flaky": good,
        }
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def setup(self) -> None:
                outer.connections += 1
                super().setup()

            def do_POST(self) -> None:
                outer.asked.append(self.path)
                request = self.rfile.read(int(self.headers["Content-Length"]))
                if self.path not in outer.answers:
                    self.send_error(404)
                    return
                body = outer.answers[self.path](request)
                if self.path == "/late":
                    outer.release.wait(60)
                if self.path == "/flaky" and outer.failing > 0:
                    outer.failing -= 1
                    self.send_error(503)
                    return
                self.send_response(200)
                self.send_header("Content-Type", REPLY)
                self.send_header("Content-Length", str(len(body) + (100 if self.path == "/cut" else 0)))
                self.end_headers()
                with suppress(BrokenPipeError):  # who was late speaks to nobody
                    self.wfile.write(body)
                self.close_connection = self.path in ("/cut", "/closing")

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.base = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()

    def stop(self) -> None:
        """Stop answering."""
        self.release.set()
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
