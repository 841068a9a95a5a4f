"""The bytes of attachments: base64, and the ZIP that some writers wrap around them (edxml.md 7.1, 12.8, 12.9).

Never unpacked twice, never by the names inside, never beyond ratio and size. What cannot be read is delivered as it
is with a warning.
"""

from __future__ import annotations

import base64
import binascii
import io
import re
import struct
import zipfile
import zlib
from dataclasses import dataclass

from edoc.edxml.limits import ReadLimits, check_size
from edoc.values import clean, has_control

ZIP_START = b"PK\x03\x04"
ZIP_TYPE = "application/zip"
CHUNK = 1 << 16

_SPACE = b"\t\n\r "
_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')

NAME_MAX = 200
"""Characters of an attachment's name (edxml.md 13.6)."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Bytes of an attachment; ``repaired`` = padding was missing, ``fault`` = not decodable, content empty."""

    content: bytes
    repaired: bool = False
    fault: str = ""


@dataclass(frozen=True, slots=True)
class Unwrapped:
    """Content after the ZIP algorithm, the name it goes by, and the warning code (empty for none)."""

    content: bytes
    name: str
    warning: str = ""


def decode(text: str, limits: ReadLimits) -> Decoded:
    """Decode base64 with or without white space, adding missing padding.

    Raises:
        LimitPassed: the content would be larger than an attachment may be.
    """
    dense = text.encode("utf-8", "replace").translate(None, _SPACE)
    check_size("attachment_max_bytes", len(dense) * 3 // 4 - dense[-2:].count(b"="), limits.attachment_bytes)
    missing = -len(dense) % 4
    try:
        content = base64.b64decode(dense + b"=" * missing, validate=True)
    except (binascii.Error, ValueError):
        return Decoded(b"", fault="base64")
    return Decoded(content, repaired=bool(missing))


def unwrap(content: bytes, *, name: str, content_type: str, limits: ReadLimits) -> Unwrapped:
    """Take the ZIP off that another writer put around a file, by the five steps of edxml.md 7.1."""
    if not content.startswith(ZIP_START) or name.casefold().endswith(".zip"):
        return Unwrapped(content, name)
    declared = content_type.casefold().partition(";")[0].strip() == ZIP_TYPE
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if len(entries) == 1 and not _marks_container(entries[0].filename):
                if entries[0].compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    return Unwrapped(content, name, "zip-unreadable")
                inside = _bounded(archive, entries[0], size=len(content), limits=limits)
                if inside is None:
                    return Unwrapped(content, name, "zip-limit")
                return Unwrapped(inside, name, "" if declared else "zip-undeclared")
    except _ZIP_FAULTS:
        return Unwrapped(content, name, "zip-unreadable")
    if declared and len(entries) > 1:
        return Unwrapped(content, f"{name}.zip", "zip-several")
    return Unwrapped(content, name)


# What zipfile raises for damaged, encrypted or unsupported archives.
_ZIP_FAULTS = (
    zipfile.BadZipFile,
    zlib.error,
    EOFError,
    OSError,
    RuntimeError,
    NotImplementedError,
    ValueError,
    IndexError,
    OverflowError,
    MemoryError,
    struct.error,
)


def _marks_container(entry: str) -> bool:
    """OOXML, ODF, ASiC and JAR are told by these entries."""
    return entry in ("[Content_Types].xml", "mimetype") or entry.startswith("META-INF/")


def _bounded(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, *, size: int, limits: ReadLimits) -> bytes | None:
    most = min(limits.attachment_bytes, limits.zip_ratio * max(size, 1))
    parts: list[bytes] = []
    total = 0
    with archive.open(entry) as stream:
        while chunk := stream.read(CHUNK):
            total += len(chunk)
            if total > most:
                return None
            parts.append(chunk)
    return b"".join(parts)


def name_fault(name: str) -> str | None:
    """Return what is wrong with an attachment's name by rule 13.6, or ``None``."""
    if not name or clean(name) != name:
        return "empty" if not clean(name) else "spaces"
    if has_control(name) or _FORBIDDEN.search(name):
        return "characters"
    if name.startswith("."):
        return "dot"
    return "length" if len(name) > NAME_MAX else None


def safe_name(name: str, position: int) -> str:
    """Return a name without directories, control characters or a leading dot; ``position`` names a nameless file."""
    text = "".join(char for char in clean(name).replace("\\", "/").rpartition("/")[2] if not has_control(char))
    text = _FORBIDDEN.sub("_", text).strip().lstrip(".").strip()
    if len(text) > NAME_MAX:
        stem, dot, extension = text.rpartition(".")
        tail = f".{extension}" if dot and len(extension) <= 10 else ""
        text = (stem if tail else text)[: NAME_MAX - len(tail)].strip() + tail
    return text or f"tep-{position}"


MEDIA_TYPES = {
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "ppt": "application/vnd.ms-powerpoint",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "asice": "application/vnd.etsi.asic-e+zip",
    "zip": "application/zip",
    "xml": "application/xml",
    "txt": "text/plain",
    "csv": "text/csv",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tif": "image/tiff",
    "tiff": "image/tiff",
}
"""Media types by extension; the writer states them instead of repeating what others declared."""

_PDF_START = 1024
"""Bytes within which a PDF names itself."""


def media_type(name: str) -> str:
    """Return the media type of a file name's extension, ``application/octet-stream`` when it is not in the table."""
    return MEDIA_TYPES.get(name.rpartition(".")[2].casefold(), "application/octet-stream")


def type_fault(name: str, content_type: str, content: bytes) -> str | None:
    """Return what disagrees between a name's extension, the media type and the bytes, or ``None``."""
    stem, dot, extension = name.rpartition(".")
    if not dot or not stem or not extension:
        return "extension"
    known = MEDIA_TYPES.get(extension.casefold())
    if known is not None and content_type != known:
        return "media-type"
    if known == "application/pdf" and b"%PDF-" not in content[:_PDF_START]:
        return "not-pdf"
    return None
