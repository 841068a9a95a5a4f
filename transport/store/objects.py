"""Large blobs in an S3-compatible store, for several nodes (exchange.md 9): uploaded before the commit.

The SHA-256 goes along with each upload, so that the service refuses what was altered on the way; the bytes read are
hashed again by whoever reads them. Objects have the names of the blob folder, ``sha256/ab/cd/<digest>``, and are never
changed. What a node had kept as files before it moved is still read from there. The credentials are those of the
environment, as every S3 client takes them; none stands in the settings.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast
from urllib.parse import urlsplit

from transport.errors import SettingsError, StoreError
from transport.store.blobs import CHUNK, Blobs, checked_name, digest_of, missing
from transport.store.faults import from_disk

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer
    from obstore import ReadableFile
    from obstore.store import S3Config, S3Store

AWAY = "EDOC-STO-023"

_BUFFER = 1024 * 1024
_RETRY_SECONDS = 20
_PART = 8 * 1024 * 1024


class Objects:
    """The blobs of a bucket, with the folder of before to fall back on."""

    def __init__(self, store: S3Store, before: Blobs) -> None:
        self._store = store
        self._before = before

    def has(self, digest: str) -> bool:
        """Say whether there are bytes under this digest; they are not looked at.

        Raises:
            StoreError: the service does not answer.
        """
        import obstore

        with _told("looking for an object", digest):
            try:
                obstore.head(self._store, _name(digest))
            except _not_found():
                return self._before.has(digest)
        return True

    def put(self, data: bytes) -> str:
        """Upload bytes under their digest and return it.

        Raises:
            StoreError: the service does not answer or refused; nothing is relied on.
        """
        digest = hashlib.sha256(data).hexdigest()
        self._upload(digest, io.BytesIO(data))
        return digest

    def put_file(self, source: Path, sha256: str) -> str:
        """Upload a file under its digest; the file goes, as if it had been moved.

        Raises:
            StoreError: the file's bytes have another digest (EDOC-STO-006), or the service or the disk failed.
        """
        try:
            if digest_of(source) != sha256:
                raise StoreError("EDOC-STO-006", "the file has another digest", path=str(source), digest=sha256)
            with source.open("rb") as file:
                self._upload(sha256, file)
            source.unlink()
        except OSError as error:
            raise from_disk(error, "storing a file", source) from error
        return sha256

    def _upload(self, digest: str, file: BinaryIO) -> None:
        import obstore

        with _told("uploading an object", digest):
            obstore.put(self._store, _name(digest), cast("io.BytesIO", file), chunk_size=_PART, max_concurrency=4)

    def get(self, digest: str) -> bytes:
        """Return the bytes of a blob after hashing them again.

        Raises:
            StoreError: missing (EDOC-STO-008), damaged (EDOC-STO-006), or the service does not answer (-023).
        """
        with self.opened(digest) as file:
            data = file.read()
        if hashlib.sha256(data).hexdigest() != digest:
            raise StoreError("EDOC-STO-006", "stored bytes were changed or damaged", digest=digest, path="S3")
        return data

    @contextmanager
    def opened(self, digest: str) -> Iterator[BinaryIO]:
        """Open a blob for reading in pieces; it is not hashed here.

        Raises:
            StoreError: missing (EDOC-STO-008), or the service does not answer.
        """
        import obstore

        with _told("reading an object", digest):
            try:
                reader = obstore.open_reader(self._store, _name(digest), buffer_size=_BUFFER)
            except _not_found() as error:
                if not self._before.has(digest):
                    raise missing(digest) from error
                reader = None
        if reader is None:
            with self._before.opened(digest) as file:
                yield file
            return
        with io.BufferedReader(_Raw(reader, digest), CHUNK) as file:
            yield cast("BinaryIO", file)

    def remove(self, digest: str) -> None:
        """Remove a blob; one that is not there is as good as removed."""
        import obstore

        with _told("removing an object", digest):
            obstore.delete(self._store, _name(digest))
        self._before.remove(digest)

    def listed(self) -> Iterator[tuple[str, datetime]]:
        """Yield the digests kept, each with the time of its last upload."""
        import obstore

        with _told("listing objects", "-"):
            for page in obstore.list(self._store, "sha256", chunk_size=1000):
                for one in page:
                    yield one["path"].rpartition("/")[2], one["last_modified"]
        yield from self._before.listed()

    def sweep(self) -> int:
        """Remove what earlier processes left half-written in the folder of before."""
        return self._before.sweep()


class _Raw(io.RawIOBase):
    """An object as a file of Python's: errors of the service are ours."""

    def __init__(self, reader: ReadableFile, digest: str) -> None:
        self._reader = reader
        self._digest = digest

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        view = memoryview(buffer).cast("B")
        with _told("reading an object", self._digest):
            data = memoryview(self._reader.read(len(view)))
        view[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = 0) -> int:
        with _told("reading an object", self._digest):
            return self._reader.seek(offset, whence)

    def tell(self) -> int:
        return self._reader.tell()


def open_objects(url: str, before: Blobs, *, endpoint: str | None, region: str | None) -> Objects:
    """Return the blobs of ``s3://bucket/prefix``.

    Raises:
        SettingsError: EDOC-CFG-013 the extra ``s3`` is not installed, EDOC-CFG-016 the address is none.
    """
    if find_spec("obstore") is None:
        raise SettingsError("EDOC-CFG-013", "obstore is not installed", extra="s3")
    from obstore.store import S3Store

    parts = urlsplit(url)
    if parts.scheme != "s3" or not parts.hostname or parts.username or parts.query:
        raise SettingsError("EDOC-CFG-016", "blobs.url is no address of a bucket", key="blobs.url")
    config: S3Config = {"checksum_algorithm": "SHA256", "region": region or "us-east-1"}
    if endpoint is not None:
        config["endpoint"] = endpoint
    plain = endpoint is not None and urlsplit(endpoint).hostname in ("127.0.0.1", "localhost", "::1")
    return Objects(
        S3Store(
            parts.hostname,
            prefix=parts.path.strip("/") or None,
            config=config,
            client_options={"allow_http": plain, "connect_timeout": "5s", "timeout": "120s"},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=_RETRY_SECONDS)},
        ),
        before,
    )


def _name(digest: str) -> str:
    digest = checked_name(digest)
    return f"sha256/{digest[:2]}/{digest[2:4]}/{digest}"


def _not_found() -> tuple[type[BaseException], ...]:
    from obstore.exceptions import NotFoundError

    return (NotFoundError, FileNotFoundError)


@contextmanager
def _told(doing: str, digest: str) -> Iterator[None]:
    """Turn errors of the service into ours; its words may repeat addresses and are left out."""
    from obstore.exceptions import BaseError

    try:
        yield
    except _not_found() as error:
        raise missing(digest) from error
    except (BaseError, OSError) as error:
        reason = type(error).__name__
        raise StoreError(AWAY, f"{doing}: {reason}", doing=doing, reason=reason, digest=digest) from None
