"""Hostile files whose bytes, cross-references and streams are wrong (ISO 32000-2, 7.5)."""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from io import BytesIO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.crypt import StandardSecurityHandler, StandardSecuritySettingsRevision
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from tests.signer_pdf.files import simple
from tests.signer_pdf.shapes import Shape, make
from tests.signer_pdf.test_pdf_judging import hybrid
from tests.vectors.signing.hostile import (
    BROKEN,
    DAMAGED,
    EMPTY,
    ENCRYPTED,
    LIMIT,
    NOT_PDF,
    Hostile,
    built,
    named,
)

PLAIN = simple()
PACKED = make(Shape(xref="packed"))
CONTENT = b"<< /Length 28 >>\nstream\n0 0 1 RG 50 700 m 90 700 l S\nendstream"
BASE = {
    1: b"<< /Type /Catalog /Pages 2 0 R >>",
    2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>",
    4: CONTENT,
}


def start_of(data: bytes) -> int:
    """Return what startxref says."""
    return int(data[data.rfind(b"startxref") + 9 :].split()[0])


def pointed(data: bytes, to: bytes) -> bytes:
    """Return a file whose startxref says something else."""
    at = data.rfind(b"startxref")
    return data[:at] + b"startxref\n" + to + b"\n%%EOF\n"


def shifted(data: bytes, number: int, by: int) -> bytes:
    """Return a file whose table is wrong about one object."""
    row = re.search(rb"xref\n0 \d+\n((?:\d{10} \d{5} [nf] \n)+)", data)
    assert row is not None
    at = row.start(1) + 20 * number
    return data[:at] + b"%010d" % (int(data[at : at + 10]) + by) + data[at + 10 :]


def update(data: bytes, objects: dict[int, bytes], *, prev: bytes | None = None, size: int = 40) -> bytes:
    """Append an update with a table; ``prev`` is what stands there instead of the right offset."""
    out, rows = bytearray(data), []
    for number, body in sorted(objects.items()):
        rows.append(b"%d 1\n%010d 00000 n \n" % (number, len(out)))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    prev = b"%d" % start_of(data) if prev is None else prev.replace(b"SELF", b"%d" % start)
    out += b"xref\n" + b"".join(rows) + b"trailer\n<< /Size %d /Root 1 0 R /Prev %s >>\n" % (size, prev)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def streamed(rows: bytes, head: bytes, *, before: bytes | None = None, number: int = 5) -> bytes:
    """Return a file whose cross-reference is a stream with these rows and entries."""
    out = bytearray(before if before is not None else PLAIN[: start_of(PLAIN)])
    start = len(out)
    rows = rows.replace(b"HERE", start.to_bytes(4, "big"))
    out += b"%d 0 obj\n<< /Type /XRef /Root 1 0 R /Length %d %s >>\nstream\n" % (number, len(rows), head)
    out += rows + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start
    return bytes(out)


def regular_rows(count: int = 4) -> bytes:
    """Return the rows of the plain file."""
    found = [m.start() for m in re.finditer(rb"^\d+ 0 obj", PLAIN, re.MULTILINE)][:count]
    return b"\0" * 6 + b"".join(b"\1" + at.to_bytes(4, "big") + b"\0" for at in found) + b"\1HERE\0"


def object_stream(body: bytes, head: bytes) -> bytes:
    """Return a file whose catalogue is in an object stream with these octets and entries."""
    out = bytearray(PLAIN[: start_of(PLAIN)])
    held = len(out)
    out += b"6 0 obj\n<< /Type /ObjStm %s /Length %d >>\nstream\n" % (head, len(body)) + body
    out += b"\nendstream\nendobj\n"
    rows = regular_rows()
    packed = b"\2" + (6).to_bytes(4, "big") + b"\0"
    rows = rows[:6] + packed + rows[12:] + b"\1" + held.to_bytes(4, "big") + b"\0"
    return streamed(rows, b"/Size 7 /W [1 4 1]", before=bytes(out))


def linearised() -> bytes:
    """Return a file with its first cross-reference in front, as files for the web have it."""
    out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), {}
    hint = b"<< /Linearized 1 /L 0000000000 /H [0 0] /O 3 /E 0000000000 /N 1 /T 0000000000 >>"
    out += b"5 0 obj\n" + hint + b"\nendobj\n"
    first = len(out)
    out += b"xref\n5 2\n" + b"0000000017 00000 n \n" * 2
    front = len(out)
    out += b"trailer\n<< /Size 7 /Root 1 0 R /Prev 0000000000 >>\nstartxref\n0\n%%EOF\n"
    for number in (6, 1, 2, 3, 4):
        offsets[number] = len(out)
        out += b"%d 0 obj\n" % number + BASE.get(number, b"<< /Note (first page) >>") + b"\nendobj\n"
    main = len(out)
    out += b"xref\n0 5\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % offsets[n] for n in (1, 2, 3, 4))
    out += b"trailer\n<< /Size 5 >>\nstartxref\n%d\n%%%%EOF\n" % first
    out[first + 9 + 20 : first + 9 + 30] = b"%010d" % offsets[6]
    at = out.index(b"/Prev ", front) + 6
    out[at : at + 10] = b"%010d" % main
    for key, value in ((b"/L ", len(out)), (b"/E ", offsets[4]), (b"/T ", main + 8)):
        at = out.index(key) + len(key)
        out[at : at + 10] = b"%010d" % value
    return bytes(out)


def bomb(size: int) -> bytes:
    """Return that many octets, packed."""
    packer = zlib.compressobj(9)
    return b"".join(packer.compress(bytes(1 << 20)) for _ in range(size >> 20)) + packer.flush()


def encrypted(user: str, *, modern: bool) -> bytes:
    """Return the plain file under a password, maybe an empty one."""
    writer, identifier = copy_into_new_writer(PdfFileReader(BytesIO(PLAIN))), b"0123456789abcdef"
    writer._document_id = generic.ArrayObject([generic.ByteStringObject(identifier)] * 2)
    if modern:
        handler = StandardSecurityHandler.build_from_pw("chu", user)
    else:
        handler = StandardSecurityHandler.build_from_pw_legacy(
            StandardSecuritySettingsRevision.RC4_EXTENDED, identifier, "chu", user, keylen_bytes=16
        )
    writer._assign_security_handler(handler)
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    return out.getvalue()


def _sized(data: bytes) -> tuple[int, bytes]:
    return len(data), data


def deep(levels: int) -> bytes:
    """Return a file whose catalogue holds an array nested so deeply."""
    return built({**BASE, 1: b"<< /Type /Catalog /Pages 2 0 R /X " + b"[" * levels + b"]" * levels + b" >>"})


def many(count: int) -> bytes:
    """Return a file with so many objects nobody refers to."""
    return built(BASE | dict.fromkeys(range(5, count), b"null"))


NOTHING = named({"empty": b""}, EMPTY)
NO_PDF = named(
    {
        "one byte": b"%",
        "text": "Văn bản\n".encode(),
        "zip": b"PK\x03\x04" + bytes(60),
        "png": b"\x89PNG\r\n\x1a\n" + bytes(60),
        "xml": b"<?xml version='1.0'?><edXML/>",
        "junk before the header": b"junk\n" + PLAIN,
        "byte order mark before the header": b"\xef\xbb\xbf" + PLAIN,
    },
    NOT_PDF,
)
CUT = named(
    {f"cut to {at} octets": PLAIN[:at] for at in (5, 9, 20, 80, 200, 400, start_of(PLAIN), start_of(PLAIN) + 30)}
    | {"last line missing": PLAIN[: PLAIN.rfind(b"startxref")], "end of startxref missing": PLAIN[:-12]},
    DAMAGED,
)
CROSS_REFERENCES = [
    *named(
        {
            f"startxref {to.decode()}": pointed(PLAIN, to)
            for to in (b"0", b"1", b"-5", b"9999999", b"99999999999999999999", b"x", b"", b"17")
        }
        | {
            "startxref one off": pointed(PLAIN, b"%d" % (start_of(PLAIN) + 1)),
            "table points between objects": shifted(PLAIN, 1, 3),
            "table points behind the end": shifted(PLAIN, 2, 10**9),
            "table points at another object": shifted(PLAIN, 3, -40),
            "catalogue free in the table": PLAIN.replace(b"0000000015 00000 n", b"0000000015 00000 f"),
            "table without keyword": PLAIN.replace(b"\nxref\n", b"\nxxxx\n"),
            "table with a row missing": PLAIN.replace(b"0000000015 00000 n \n", b""),
            "table starts at one": PLAIN.replace(b"xref\n0 5", b"xref\n1 5"),
            "table counts too many": PLAIN.replace(b"xref\n0 5", b"xref\n0 9"),
            "trailer missing": PLAIN.replace(b"trailer", b"tr-iler"),
            "no root": PLAIN.replace(b"/Root 1 0 R", b""),
            "root is a number": PLAIN.replace(b"/Root 1 0 R", b"/Root 17"),
            "root is not there": PLAIN.replace(b"/Root 1 0 R", b"/Root 9 0 R"),
            "root is the page": PLAIN.replace(b"/Root 1 0 R", b"/Root 3 0 R"),
            "size is a name": PLAIN.replace(b"/Size 5", b"/Size /X"),
            "size is negative": PLAIN.replace(b"/Size 5", b"/Size -5"),
            "size says too little": PLAIN.replace(b"/Size 5", b"/Size 2"),
            "previous section is itself": update(PLAIN, {4: CONTENT}, prev=b"SELF"),
            "previous section behind the end": update(PLAIN, {4: CONTENT}, prev=b"99999999"),
            "previous section negative": update(PLAIN, {4: CONTENT}, prev=b"-1"),
            "previous section is a name": update(PLAIN, {4: CONTENT}, prev=b"/X"),
            "previous section in the middle": update(PLAIN, {4: CONTENT}, prev=b"20"),
            "sections in a circle of two": update(update(PLAIN, {4: CONTENT}), {4: CONTENT}).replace(
                b"/Prev %d " % start_of(PLAIN), b"/Prev %d " % start_of(update(PLAIN, {4: CONTENT}))
            ),
            "hybrid section not there": PLAIN.replace(b"/Root 1 0 R", b"/Root 1 0 R /XRefStm 99999"),
        },
        DAMAGED,
    ),
    *named(
        {
            "linearised": linearised,
            "table in pieces": make(Shape(xref="split")),
            "three updates": lambda: update(update(update(PLAIN, {4: CONTENT}), {4: CONTENT}), {4: CONTENT}),
            "stream of cross-references": make(Shape(xref="stream")),
            "objects in streams": PACKED,
            "100,000 objects": lambda: many(100_000),
            "white space behind the end": PLAIN + b" \n\0\0\n" * 50,
            "no line end at the end": PLAIN.rstrip(),
        }
    ),
    *named({"hybrid whose hidden objects show nothing": lambda: hybrid(b"/StructTreeRoot 5 0 R")}),
    *named({"hybrid whose hidden objects show": lambda: hybrid(b"/OpenAction 5 0 R")}, BROKEN),
    *named({"hybrid that hides annotations": make(Shape(xref="hybrid", annots="direct"))}, DAMAGED),
    *named({"hundreds of updates": lambda: _updates(250), "600,000 objects": lambda: many(600_000)}, LIMIT),
    *named(
        {"bytes behind the end": PLAIN + b"x" * 100, "a picture behind the end": PLAIN + bytes(range(256))}, DAMAGED
    ),
]


def _updates(count: int) -> bytes:
    data = PLAIN
    for _ in range(count):
        data = update(data, {4: CONTENT})
    return data


def _member(body: bytes) -> bytes:
    return b"1 0 " + body


CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"
STREAMS = [
    *named({"catalogue in a stream": lambda: object_stream(_member(CATALOG), b"/N 1 /First 4")}),
    *named(
        {
            "stream of objects says too many": lambda: object_stream(_member(CATALOG), b"/N 9 /First 4"),
            "stream of objects says a billion": lambda: object_stream(_member(CATALOG), b"/N 1000000000 /First 4"),
            "stream of objects starts behind its end": lambda: object_stream(_member(CATALOG), b"/N 1 /First 9999"),
            "stream of objects starts before": lambda: object_stream(_member(CATALOG), b"/N 1 /First -4"),
            "stream of objects without type": lambda: object_stream(_member(CATALOG), b"/N 1 /First 4").replace(
                b"/Type /ObjStm", b"/Type /Xxxxxx"
            ),
            "stream of objects that is not packed as it says": lambda: object_stream(
                _member(CATALOG), b"/N 1 /First 4 /Filter /FlateDecode"
            ),
            "stream of objects of unknown packing": lambda: object_stream(
                _member(CATALOG), b"/N 1 /First 4 /Filter /Secret"
            ),
            "stream of objects inside itself": lambda: object_stream(_member(CATALOG), b"/N 1 /First 4").replace(
                b"\1" + object_stream(_member(CATALOG), b"/N 1 /First 4").find(b"6 0 obj").to_bytes(4, "big") + b"\0",
                b"\2\0\0\0\6\0",
            ),
            "cross-references of no width": lambda: streamed(regular_rows(), b"/Size 6 /W [0 0 0]"),
            "cross-references of negative width": lambda: streamed(regular_rows(), b"/Size 6 /W [1 -4 1]"),
            "cross-references a megabyte wide": lambda: streamed(regular_rows(), b"/Size 6 /W [1 1000000 1]"),
            "cross-references of unknown kind": lambda: streamed(
                regular_rows().replace(b"\1", b"\7"), b"/Size 6 /W [1 4 1]"
            ),
            "cross-references for a billion numbers": lambda: streamed(
                regular_rows(), b"/Size 6 /W [1 4 1] /Index [0 1000000000]"
            ),
            "cross-references of a negative number": lambda: streamed(
                regular_rows(), b"/Size 6 /W [1 4 1] /Index [-3 5]"
            ),
        },
        DAMAGED,
    ),
    *named(
        {
            "stream of objects is a bomb": lambda: object_stream(bomb(64 << 20), b"/N 1 /First 4 /Filter /FlateDecode"),
            "stream of objects is a bomb in a bomb": lambda: object_stream(
                zlib.compress(bomb(256 << 20), 9), b"/N 1 /First 4 /Filter [/FlateDecode /FlateDecode]"
            ),
            "cross-references are a bomb": lambda: streamed(
                bomb(64 << 20), b"/Size 6 /W [1 4 1] /Filter /FlateDecode /Index [0 11184810]"
            ),
            "brackets in brackets": lambda: deep(50_000),
        },
        LIMIT,
    ),
    *named(
        {
            "page content is a bomb": lambda: built(
                BASE | {4: b"<< /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % _sized(bomb(64 << 20))}
            ),
        },
        same=False,
    ),
]
ENCRYPTION = named(
    {
        "password": lambda: encrypted("mat-khau", modern=True),
        "empty password": lambda: encrypted("", modern=True),
        "password, old": lambda: encrypted("mat-khau", modern=False),
        "empty password, old": lambda: encrypted("", modern=False),
        "unknown encryption": PLAIN.replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt << /Filter /Lock >>"),
        "encryption not there": PLAIN.replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt 9 0 R"),
    },
    ENCRYPTED,
)
BYTES: Sequence[Hostile] = [*NOTHING, *NO_PDF, *CUT, *CROSS_REFERENCES, *STREAMS, *ENCRYPTION]
