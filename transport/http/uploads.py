"""Resumable upload (exchange.md 12; IETF httpbis draft, ``UPLOAD_DRAFT``): a message in parts, continued after a cut.

An upload is made for one K, one digest and one length by one caller; each part is taken whole, by its digest, or not at
all; after the last one the steps S7 to S12 follow as for E1. Uploads live as files (``uploadfolder``), so they outlive
the process and may be continued by another one of the server; what is not finished counts as reserved disk and goes
after a day.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
from contextlib import suppress
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path

from aiohttp import web

from transport.dispatch import Key
from transport.errors import Problem
from transport.http.answers import empty
from transport.http.limits import RateWatch
from transport.http.receiving import Receiving, repeats
from transport.http.spool import CHUNK
from transport.http.uploadfolder import Upload, UploadFolder, new_token
from transport.http.wire import (
    UPLOADS,
    Caller,
    header,
    media_type,
    parse_digest,
)
from transport.http.wire.fields import PARTIAL_TYPE, UPLOAD_DRAFT
from transport.receiptform import format_time, read_time

LASTS = timedelta(hours=24)
"""How long an unfinished upload is kept."""
PART_MAX = 64 * 1024 * 1024
"""Largest part in bytes: what is lost when a part is cut."""
UPLOADS_PER_PARTNER = 16
_TOKEN = re.compile(re.escape(UPLOADS) + r"/([0-9a-f]{32})")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")

log = logging.getLogger("edoc.http")


class Uploads:
    """The routes under ``BASE/uploads`` over one node; ``folder`` is shared by all processes of its server."""

    def __init__(self, receiving: Receiving, folder: Path) -> None:
        self._receiving = receiving
        self._files = UploadFolder(folder)
        receiving.disk.spoken_for = self._files.outstanding

    # --- creation ----------------------------------------------------------------------------------------------------

    async def create(self, request: web.Request, key: Key) -> web.StreamResponse:
        """Make an upload for K, or return the one that is there for the same bytes."""
        size, digest = self._announced(request)
        caller, _ = await self._receiving.authenticate(request)
        with self._receiving.admit(caller):
            known = await self._receiving.in_thread(self._receiving.look_up, caller, key)
            if known is not None:
                return await self._receiving.repeat(known, digest, caller, request)
            await self._receiving.check_ready()
            upload = await self._receiving.in_thread(self._make, caller, key, size, digest)
        return empty(201, {"Location": f"{UPLOADS}/{upload.token}", **self._state(upload)})

    def _announced(self, request: web.Request) -> tuple[int, str]:
        lines = tuple(request.headers.items())
        length, complete = header(lines, "upload-length"), header(lines, "upload-complete")
        if length is None or _NUMBER.fullmatch(length) is None or int(length) == 0 or complete != "?0":
            raise Problem("bad-request", 400, "an upload begins with its length, empty and not complete")
        if header(lines, "content-length") not in (None, "0"):
            raise Problem("bad-request", 400, "the first part comes after the creation")
        try:
            digest = parse_digest(header(lines, "repr-digest"))
        except ValueError as error:
            raise Problem("bad-request", 400, "Repr-Digest is not in its form") from error
        if digest is None:
            raise Problem("bad-request", 400, "no Repr-Digest")
        self._receiving.check_size(int(length))
        return int(length), digest

    def _make(self, caller: Caller, key: Key, size: int, digest: str) -> Upload:
        now = self._receiving.clocks.now()
        with self._files.making():
            self.sweep(now)
            mine = [one for one in self._files.all() if one.caller == caller.code]
            for one in mine:
                if (one.key, one.size, one.sha256) == (key, size, digest):
                    return one
            if len(mine) >= UPLOADS_PER_PARTNER:
                self._receiving.report.limit("uploads_per_partner")
                raise Problem("too-many-requests", 429, "too many unfinished uploads", retry_after=600)
            self._files.changed()
            self._receiving.disk.check(size)
            begun = format_time(_whole(now))
            names = (caller.code, key.sender, key.recipient, key.message_id)
            upload = Upload(new_token(), *names, size, digest, begun)
            self._files.add(upload)
            return upload

    # --- parts -------------------------------------------------------------------------------------------------------

    def named(self, path: str) -> str | None:
        """Return the token of an upload's path, ``None`` for other paths."""
        found = _TOKEN.fullmatch(path)
        return None if found is None else found[1]

    async def handle(self, request: web.Request, token: str) -> web.StreamResponse:
        """HEAD tells the offset, PATCH appends a part, DELETE gives the upload up."""
        if request.method not in ("HEAD", "PATCH", "DELETE"):
            raise Problem("bad-request", 405, "method", allow="DELETE, HEAD, PATCH")
        part = self._part(request) if request.method == "PATCH" else None
        caller, _ = await self._receiving.authenticate(request)
        with self._receiving.admit(caller):
            upload = _its_makers(self._files.get(token), caller)
            if request.method == "HEAD":
                return empty(204, {**self._state(upload), "Cache-Control": "no-store"})
            with self._files.held(token) as held:
                upload = _its_makers(held, caller)
                if part is None:
                    self._files.remove(upload)
                    return empty(204)
                return await self._append(request, upload, part, caller)

    def _part(self, request: web.Request) -> tuple[int, int, str, bool]:
        """Return offset, size, digest of a part, and whether it is the last."""
        lines = tuple(request.headers.items())
        if media_type(header(lines, "content-type")) != PARTIAL_TYPE or header(lines, "content-encoding") is not None:
            raise Problem("unsupported-media-type", 415, "not a part", supported=[PARTIAL_TYPE])
        offset, length = header(lines, "upload-offset"), header(lines, "content-length")
        last = {"?0": False, "?1": True}.get(header(lines, "upload-complete") or "")
        if length is None:
            raise Problem("bad-request", 411, "no Content-Length")
        if offset is None or _NUMBER.fullmatch(offset) is None or last is None:
            raise Problem("bad-request", 400, "a part names its offset and whether it is the last")
        try:
            digest = parse_digest(header(lines, "content-digest"))
        except ValueError as error:
            raise Problem("bad-request", 400, "Content-Digest is not in its form") from error
        if digest is None or not 0 < int(length) <= PART_MAX:
            raise Problem("bad-request", 400, "no digest, or a part of no size")
        return int(offset), int(length), digest, last

    async def _append(
        self, request: web.Request, upload: Upload, part: tuple[int, int, str, bool], caller: Caller
    ) -> web.StreamResponse:
        offset, size, digest, last = part
        at = self._files.offset(upload)
        if offset != at:
            return empty(409, self._state(upload))
        if offset + size > upload.size or (last and offset + size != upload.size):
            raise Problem("bad-request", 400, "the parts are not of this length")
        await self._receiving.check_ready()
        self._receiving.go_on(request)
        await self._take(request, upload, offset, size, digest)
        if not last:
            return empty(204, self._state(upload))
        return await self._finish(request, upload, caller)

    async def _take(self, request: web.Request, upload: Upload, offset: int, size: int, digest: str) -> None:
        """Append one part; what does not fit its digest is cut off again."""
        watch = RateWatch(self._receiving.limits, now=self._receiving.clocks.seconds())
        hashed, path, done = sha256(), self._files.data(upload.token), False
        received = 0
        try:
            with path.open("r+b") as file:
                file.seek(offset)
                while received < size and (piece := await self._next(request, watch)):
                    received += len(piece)
                    if received > size:
                        break
                    hashed.update(piece)
                    await self._receiving.in_thread(file.write, piece)
                file.flush()
            done = received == size and hashed.hexdigest() == digest
        except OSError as error:
            raise Problem("storage-low", 507, "the spool takes no more", retry_after=60) from error
        finally:
            if not done:
                os.truncate(path, offset)
            self._files.changed()
        if not done:
            raise Problem("digest-mismatch", 400, "the part differs from its digest")

    async def _next(self, request: web.Request, watch: RateWatch) -> bytes:
        clock = self._receiving.clocks.seconds
        try:
            async with asyncio.timeout(max(0.0, watch.patience(clock()))):
                piece = await request.content.read(CHUNK)
        except TimeoutError as error:
            raise Problem("timeout", 408, "the part did not come in time", retry_after=5) from error
        if piece and not watch.received(len(piece), now=clock()):
            raise Problem("timeout", 408, "the part came too slowly", retry_after=5)
        return piece

    async def _finish(self, request: web.Request, upload: Upload, caller: Caller) -> web.StreamResponse:
        """S7 to S12 for a whole upload; whatever becomes of it, it is used up, but for what may be tried again."""
        path = self._files.data(upload.token)
        if await self._receiving.in_thread(_digest_of, path) != upload.sha256:
            self._files.remove(upload)
            raise Problem("digest-mismatch", 400, "the whole differs from its digest")
        known = await self._receiving.in_thread(self._receiving.look_up, caller, upload.key)
        if known is not None:
            self._files.remove(upload)
            return await self._receiving.repeat(known, upload.sha256, caller, request)
        try:
            made = await self._receiving.hand_in_file(
                request, upload.key, path, caller, digest=upload.sha256, size=upload.size
            )
        except Problem as problem:
            if not repeats(problem):
                self._files.remove(upload)
            else:  # the last byte is asked for once more: then S7 follows again
                os.truncate(path, max(0, upload.size - 1))
            raise
        self._files.remove(upload)
        return made

    # --- housekeeping ------------------------------------------------------------------------------------------------

    def _state(self, upload: Upload) -> dict[str, str]:
        offset = self._files.offset(upload)
        return {
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1" if offset == upload.size else "?0",
            "Upload-Length": str(upload.size),
            "Upload-Limit": f"max-append-size={PART_MAX}",
            "Upload-Draft-Interop-Version": UPLOAD_DRAFT,
        }

    def sweep(self, now: datetime) -> None:
        """Let uploads go that nobody has finished within a day."""
        for upload in self._files.all():
            if now - read_time(upload.created_at) >= LASTS:
                with suppress(Problem), self._files.held(upload.token):  # a part is coming: it stays till the next look
                    self._files.remove(upload)


def _its_makers(upload: Upload | None, caller: Caller) -> Upload:
    if upload is None or upload.caller != caller.code:
        raise Problem("unknown-message", 404, "there is no such upload")
    return upload


def _digest_of(path: Path) -> str:
    hashed = sha256()
    with path.open("rb") as file:
        while piece := file.read(CHUNK):
            hashed.update(piece)
    return hashed.hexdigest()


def _whole(moment: datetime) -> datetime:
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
