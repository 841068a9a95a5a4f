"""A wire between a node and PostgreSQL that can be cut in the middle of COMMIT, before it or after it (F4).

It forwards bytes. While a fault is wanted, a connection on which the client says COMMIT is reset: ``before`` the server
hears of it, or ``after`` it has answered and before the client does. Then nobody at the client knows what became of it.
"""

from __future__ import annotations

import socket
import struct
import threading
from contextlib import suppress

COMMIT = b"COMMIT\x00"
_RESET = struct.pack("ii", 1, 0)


class DatabaseWire:
    """Listens on a loopback port and forwards to the server's."""

    def __init__(self, server: int) -> None:
        self._server = server
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.fault = ""
        """``before`` or ``after``: cuts the next COMMIT so, once."""
        self.cuts = 0
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Accept no more."""
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                return
            committing = threading.Event()
            for source, target, up in ((client, server, True), (server, client, False)):
                threading.Thread(target=self._forward, args=(source, target, committing, up), daemon=True).start()

    def _forward(self, source: socket.socket, target: socket.socket, committing: threading.Event, up: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if up and COMMIT in data and (fault := self._take()):
                    if fault == "before":
                        break
                    committing.set()
                if not up and committing.is_set():
                    break
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _take(self) -> str:
        with self._lock:
            fault, self.fault = self.fault, ""
            self.cuts += bool(fault)
            return fault
