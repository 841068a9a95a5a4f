"""A large message sent in parts (exchange.md 12): created, appended, continued where it stopped after a cut.

What comes of the last part is what comes of E1; a node that takes no parts after all is sent the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from hashlib import sha256
from io import BytesIO
from typing import Protocol

import aiohttp

from transport.courier import Parcel
from transport.errors import TransportError
from transport.http.wire import format_digest, format_ledger, upload_path
from transport.http.wire.fields import PARTIAL_TYPE

PART_BYTES = 8 * 1024 * 1024
RESUMES = 5
"""How often in a row a part that was cut is asked after before the attempt ends."""
FAILURES = (aiohttp.ClientError, OSError, TimeoutError, ValueError, TransportError)

Fields = tuple[tuple[str, str], ...]


class Answered(Protocol):
    """An answer to one request."""

    @property
    def status(self) -> int: ...
    def get(self, name: str) -> str | None: ...


class Unsupported(Exception):
    """The node takes no parts."""


class Sending:
    """One parcel on its way in parts; ``exposed`` once a byte may have left."""

    def __init__(self, parcel: Parcel, request: Callable[..., Awaitable[Answered]]) -> None:
        self._parcel, self._request = parcel, request
        self.exposed = False

    async def run(self) -> Answered:
        """Send all parts; return the answer that ends it: of the creation, or of the last part.

        Raises:
            Unsupported: the node has no uploads.
            Any of ``FAILURES``: the connection, and it did not come back.
        """
        made = await self._request(
            "POST", self._parcel.endpoint, upload_path(self._parcel.key), fields=self._creation()
        )
        if made.status in (404, 405, 501):
            raise Unsupported
        place, offset = made.get("location"), _offset(made)
        if made.status != 201 or place is None or offset is None:
            return made
        with ExitStack() as stack:
            source = self._parcel.source
            file = stack.enter_context(source()) if source is not None else BytesIO(self._parcel.data)
            return await self._parts(place, offset, file)

    def _creation(self) -> Fields:
        fields = [
            ("Content-Length", "0"),
            ("Upload-Length", str(self._parcel.size)),
            ("Upload-Complete", "?0"),
            ("Repr-Digest", format_digest(self._parcel.sha256)),
        ]
        if self._parcel.ledger is not None:
            fields.append(("Edoc-Ledger", format_ledger(self._parcel.ledger)))
        return tuple(fields)

    async def _parts(self, place: str, offset: int, file: object) -> Answered:
        cuts = 0
        while True:
            piece = await asyncio.to_thread(_read, file, offset)
            try:
                answered = await self._append(place, offset, piece)
            except FAILURES:
                cuts += 1
                if cuts > RESUMES:
                    raise
                await asyncio.sleep(cuts)
                answered = await self._request("HEAD", self._parcel.endpoint, place)
            else:
                cuts = 0
            after = _offset(answered)
            if answered.status not in (204, 409) or after is None or after == offset == self._parcel.size:
                return answered
            offset = after

    async def _append(self, place: str, offset: int, piece: bytes) -> Answered:
        fields = (
            ("Content-Type", PARTIAL_TYPE),
            ("Content-Length", str(len(piece))),
            ("Content-Digest", format_digest(sha256(piece).hexdigest())),
            ("Upload-Offset", str(offset)),
            ("Upload-Complete", "?1" if offset + len(piece) == self._parcel.size else "?0"),
        )
        self.exposed = True
        return await self._request("PATCH", self._parcel.endpoint, place, fields=fields, body=piece)


def _read(file: object, offset: int) -> bytes:
    file.seek(offset)  # type: ignore[attr-defined]  # a file that was opened above
    return bytes(file.read(PART_BYTES))  # type: ignore[attr-defined]  # as above


def _offset(answered: Answered) -> int | None:
    value = answered.get("upload-offset")
    return int(value) if value is not None and value.isascii() and value.isdigit() and len(value) < 20 else None
