"""PDF files of every kind, made by hand, and the office that signs them in tests."""

from __future__ import annotations

import shutil
import subprocess
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from signer.devpki import DevIdentity, DevTimestamper
from signer.pdf.sign import PdfOptions, SignedPdf, Visible, sign_pdf
from signer.report import Report
from signer.trust import Context

PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.276 841.89] /Contents 4 0 R /Resources << >> %s >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R %s >>"
PAGES = b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>"
CONTENT = b"<< /Length 28 >>\nstream\n0 0 1 RG 50 700 m 90 700 l S\nendstream"


def build(objects: Sequence[bytes], *, extra: bytes = b"", stream: bool = False) -> bytes:
    """Return a PDF with these objects, numbered from 1; the first is the catalogue."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, count = len(out), len(objects) + 1
    if stream:
        rows = b"\0\0\0\0\xff" + b"".join(b"\x01" + o.to_bytes(3, "big") + b"\0" for o in [*offsets, start])
        packed = zlib.compress(rows)
        head = b"<< /Type /XRef /Size %d /W [1 3 1] /Root 1 0 R /Length %d /Filter /FlateDecode >>" % (
            count + 1,
            len(packed),
        )
        out += b"%d 0 obj\n" % count + head + b"\nstream\n" + packed + b"\nendstream\nendobj\n"
    else:
        table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
        out += b"xref\n0 %d\n0000000000 65535 f \n" % count + table
        out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (count, extra)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def simple(*, catalog: bytes = b"", page: bytes = b"", more: Sequence[bytes] = (), stream: bool = False) -> bytes:
    """Return a PDF of one page; ``more`` are objects from number 5."""
    return build([CATALOG % catalog, PAGES, PAGE % page, CONTENT, *more], stream=stream)


def update(data: bytes, objects: dict[int, bytes], *, root: int = 1) -> bytes:
    """Append an incremental update with these objects to a file whose last section is a table."""
    previous = int(data[data.rfind(b"startxref") + 9 :].split()[0])
    size = max([*objects, int(data[data.rfind(b"/Size") + 5 :].split()[0]) - 1]) + 1
    out = bytearray(data)
    rows = []
    for number, body in sorted(objects.items()):
        rows.append(b"%d 1\n%010d 00000 n \n" % (number, len(out)))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n" + b"".join(rows) + b"trailer\n<< /Size %d /Root %d 0 R /Prev %d >>\n" % (size, root, previous)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def run(*command: str, stdin: bytes | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run a program of the system; a missing one skips the test."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not installed")
    return subprocess.run(command, capture_output=True, input=stdin, timeout=60)


def allowed(report: Report) -> None:
    """A precondition that never objects."""
    return


@dataclass(frozen=True)
class Office:
    """Signs for agency A, at the tests' moment."""

    person: DevIdentity
    agency: DevIdentity
    timestamper: DevTimestamper
    context: Context
    now: datetime

    def by_person(self, data: bytes, visible: Visible | None = None, *, level: str = "t", **more: str) -> SignedPdf:
        """The leader signs."""
        options = replace(PdfOptions(at=self.now, level=level, visible=visible), **more)  # type: ignore[arg-type]
        return sign_pdf(data, credential=self.person.credential, options=options, timestamper=self.timestamper)

    def by_agency(self, data: bytes, visible: Visible | None = None, *, level: str = "t") -> SignedPdf:
        """The agency signs, asking nothing of the report."""
        return sign_pdf(
            data,
            credential=self.agency.credential,
            options=PdfOptions(at=self.now, level=level, visible=visible),
            timestamper=self.timestamper,
            precondition=allowed,
            context=self.context,
        )
