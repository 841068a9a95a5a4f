"""Opening a PDF within limits: no fault of a foreign file leaves as anything but our own error (signing.md 4.1).

The size is looked at first. Faults of reading are ``InputRefused``, whatever the library raised. Bytes behind the last
``%%EOF`` that form no update are set aside before reading, as readers do (signing.md 4.2, C6).
"""

from __future__ import annotations

import logging
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfError
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import fields_of
from signer.pdf.reading import PdfFile
from signer.trust import Limits

_LIBRARY_LOG = logging.getLogger("pyhanko")
_LIBRARY_LOG.addHandler(logging.NullHandler())
_LIBRARY_LOG.propagate = False  # its lines quote foreign files and hold tracebacks; what matters is in the report

READING_FAULTS = (
    PdfError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
    struct.error,
    zlib.error,
)
"""Whatever a reader may stumble over in a foreign file; programming errors of ours in this module would hide in it, so
what is wrapped is kept to calls of the library."""

_STRUCTURE = re.compile(rb"\bobj\b|\bxref\b|\btrailer\b|startxref")
_END = re.compile(rb"startxref[\0\t\n\f\r ]+\d{1,12}[\0\t\n\f\r ]+%%EOF")
_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[")


class Reader(PdfFileReader):
    """Reads strictly; but a reference to nothing is no error, it is null (ISO 32000-2, 7.3.10).

    In a hybrid file it may lead to what only other readers find, and stays an error.
    """

    def get_object(  # type: ignore[no-untyped-def, override]
        self, ref: generic.Reference, revision: int | None = None, *args, **named
    ) -> generic.PdfObject:
        """Return an object."""
        if revision is None and self.xrefs[ref] is None and not self.xrefs.hybrid_xrefs_present:
            nothing = generic.NullObject()
            nothing.container_ref = ref
            return nothing
        found: generic.PdfObject = super().get_object(ref, revision, *args, **named)  # type: ignore[no-untyped-call]
        return found


@contextmanager
def reading(what: str, *, signed: bool = False) -> Iterator[None]:
    """Turn every fault of reading into ``InputRefused``; ``what`` names the part that was read."""
    try:
        yield
    except READING_FAULTS as error:
        code = "EDOC-PDF-006" if signed else "EDOC-PDF-005"
        raise InputRefused(code, f"damaged PDF: {what}: {type(error).__name__}", where=what) from None


def check_size(data: bytes, limits: Limits) -> None:
    """Refuse what is empty, no PDF or over the limit, before anything is parsed.

    Raises:
        InputRefused: empty, or without the header of a PDF at its start.
        LimitExceeded: longer than ``pdf_max_bytes``, or with more updates than ``pdf_revisions``.
    """
    if not data:
        raise InputRefused("EDOC-PDF-003", "the file is empty")
    if len(data) > limits.pdf_max_bytes:
        _over("pdf_max_bytes", len(data), "byte")
    if not data.startswith(b"%PDF-"):
        raise InputRefused("EDOC-PDF-001", "not a PDF", begins=data[:8].decode("ascii", "replace"))
    revisions = data.count(b"startxref")
    if revisions > 2 * limits.pdf_revisions:  # a linearised file writes two for one
        _over("pdf_revisions", revisions, "revision")


def _over(limit: str, value: int, unit: str) -> None:
    raise LimitExceeded("EDOC-PDF-002", f"over the limit {limit}", limit=limit, value=value, unit=unit)


def has_signature(data: bytes) -> bool:
    """Say whether something in the file looks like a signature: damage is then not to be mended."""
    return _BYTE_RANGE.search(data) is not None


def split_trailing(data: bytes) -> tuple[bytes, bytes]:
    """Return the file up to the end of its last update, and bytes behind it that form none (empty if white space)."""
    end = max((match.end() for match in _END.finditer(data)), default=data.rfind(b"%%EOF") + 5)
    if end < 5:
        return data, b""
    for line_end in (b"\r\n", b"\n", b"\r"):
        if data.startswith(line_end, end):
            end += len(line_end)
            break
    rest = data[end:]
    if not rest.strip(b"\0\t\n\f\r ") or _STRUCTURE.search(rest):
        return data, b""
    return data[:end], rest


def bounded(data: bytes, *, limits: Limits) -> PdfFile | None:
    """Read a file with the reader that counts its work, before a library reads it that does not.

    Returns:
        The file, or ``None`` if it is encrypted.

    Raises:
        InputRefused: empty or no PDF; or only recovery can follow it, so that a signature could not be checked.
        LimitExceeded: over a limit.
    """
    check_size(data, limits)
    code = "EDOC-PDF-006" if has_signature(data) else "EDOC-PDF-005"
    try:
        file = PdfFile(data, limits=limits)
        fields_of(file.latest)
    except LimitExceeded:
        raise
    except InputRefused as error:
        if error.code == "EDOC-PDF-004":
            return None
        raise InputRefused(code, f"damaged PDF: {error}", where=error.facts.get("where", "-")) from None
    if file.broken_chain:
        raise InputRefused(code, "damaged PDF: it can only be read by recovery", where="cross-reference")
    return file


def open_pdf(data: bytes, *, limits: Limits) -> PdfFileReader:
    """Read the cross-references of a file, strictly.

    Raises:
        InputRefused: not a PDF, damaged, or encrypted.
        LimitExceeded: over a limit.
    """
    check_size(data, limits)
    with reading("cross-reference", signed=has_signature(data)):
        reader = Reader(BytesIO(data), strict=True)
        encrypted = "/Encrypt" in reader.trailer
        size, revisions = int(reader.trailer["/Size"]), int(reader.xrefs.total_revisions)
    if encrypted:
        raise InputRefused("EDOC-PDF-004", "the file is encrypted")
    if size > limits.pdf_objects:
        _over("pdf_objects", size, "object")
    if revisions > limits.pdf_revisions:
        _over("pdf_revisions", revisions, "revision")
    with reading("catalog", signed=has_signature(data)):
        if not isinstance(reader.root["/Pages"]["/Count"], generic.NumberObject):
            raise ValueError("page count")
    return reader
