"""The demonstration's authority over loopback HTTP: time stamps, OCSP answers, revocation lists.

A demonstration and nothing else: the certificates carry «THỬ NGHIỆM», the listener is on 127.0.0.1 only. The clock is
an argument, so that a demonstration can be told at any time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from signer.devpki import DevPki

MAX_REQUEST = 64 * 1024
_DER = "application/pkix-crl"


class PkiServer:
    """Serves one ``DevPki`` from a thread. The address exists before the authority, whose certificates name it."""

    def __init__(self, *, clock: Callable[[], datetime], port: int = 0) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pki: DevPki | None = None
        self._server = _Listener(("127.0.0.1", port), _Handler)
        self._server.pki_server = self
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="demo-pki", daemon=True)

    @property
    def url(self) -> str:
        """``base_url`` for ``DevPki.create``; the TSA is at ``/tsa`` below it."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def tsa_url(self) -> str:
        """Where time stamps are asked for."""
        return self.url + "/tsa"

    def use(self, pki: DevPki) -> None:
        """Serve this authority from now on."""
        with self._lock:
            self._pki = pki

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()

    def stop(self) -> None:
        """Stop answering and free the port."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> PkiServer:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()

    def get(self, path: str) -> tuple[str, bytes] | None:
        """Return media type and bytes of a GET, or ``None``."""
        with self._lock:
            if self._pki is None:
                return None
            now = self._clock()
            makers: dict[str, tuple[str, Callable[[], bytes]]] = {
                "/ca.crl": (_DER, lambda: self._need().crl(at=now)),
                "/root.crl": (_DER, lambda: self._need().root_crl(at=now)),
                "/root.cer": ("application/pkix-cert", lambda: self._need().root.certificate),
                "/ca.cer": ("application/pkix-cert", lambda: self._need().issuing.certificate),
            }
            if path not in makers:
                return None
            kind, make = makers[path]
            return kind, make()

    def post(self, path: str, body: bytes) -> tuple[str, bytes] | None:
        """Return media type and bytes of a POST, or ``None``. Raises ``ValueError`` for a request that is none."""
        with self._lock:
            if self._pki is None:
                return None
            if path == "/tsa":
                return "application/timestamp-reply", self._pki.timestamp(body, at=self._clock())
            if path == "/ocsp":
                return "application/ocsp-response", self._pki.ocsp(body, at=self._clock())
            return None

    def _need(self) -> DevPki:
        if self._pki is None:
            raise RuntimeError("no authority is served")
        return self._pki


class _Listener(ThreadingHTTPServer):
    daemon_threads = True
    pki_server: PkiServer


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 10  # seconds a connection may be silent
    disable_nagle_algorithm = True  # head and body go out at once, whatever was said before on the connection

    def do_GET(self) -> None:
        """Hand out lists and certificates."""
        self._answer(self._service.get(self.path))

    def do_POST(self) -> None:
        """Answer time stamp and status requests."""
        length = self.headers.get("Content-Length", "")
        if not length.isascii() or not length.isdigit() or int(length) > MAX_REQUEST:
            self.send_error(413)
            return
        body = self.rfile.read(int(length))
        try:
            self._answer(self._service.post(self.path, body))
        except ValueError:
            self.send_error(400)

    def log_message(self, format: str, *args: object) -> None:
        """Write nothing: the demonstration has its own lines."""

    @property
    def _service(self) -> PkiServer:
        if not isinstance(self.server, _Listener):
            raise TypeError("not our listener")
        return self.server.pki_server

    def _answer(self, made: tuple[str, bytes] | None) -> None:
        if made is None:
            self.send_error(404)
            return
        kind, body = made
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
