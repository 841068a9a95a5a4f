"""A forge of PDF files: a document with everything that can be changed, signed, and then changed by updates.

The forge signs for itself, so that dictionaries, places and appearances of signatures are as an attacker, or another
program, writes them. Files are made anew in every run; none is copied from elsewhere.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from signer.algorithms import Scheme
from signer.credential import Credential
from signer.pdf.cms import signed_attributes, signed_data
from signer.pdf.comparing.compare import Later, Signed, compare
from signer.pdf.comparing.graph import Meter
from signer.pdf.comparing.view import View
from signer.pdf.reading import PdfFile
from signer.report import Integrity
from signer.trust import Limits

ROOM = 8000
"""Bytes reserved for a signature value."""

CATALOG, PAGES, FIRST, SECOND, CONTENT, CONTENT_2, FORM = 1, 2, 3, 4, 5, 6, 7
RESOURCES, NUMBER, NAME, TICK, CHOICE, PLACE, LINK, NOTE = 10, 11, 12, 13, 14, 15, 16, 17
FONT, PICTURE, STAMP, LAYER, SHOWN, ON, OFF, SECRET = 20, 21, 22, 23, 24, 25, 26, 27
OUTLINES, BOOKMARK, NAMES, XMP, TREE, PARAGRAPH, INFO, SPARE = 30, 31, 32, 33, 34, 35, 36, 37


def stream(data: bytes, entries: bytes = b"", *, packed: bool = False) -> bytes:
    """Return a stream object."""
    if packed:
        data, entries = zlib.compress(data), entries + b" /Filter /FlateDecode"
    return b"<< /Length %d %s >>\nstream\n%s\nendstream" % (len(data), entries, data)


def form(data: bytes, entries: bytes = b"", *, box: bytes = b"0 0 100 20", packed: bool = False) -> bytes:
    """Return a form: what appearances are."""
    return stream(data, b"/Type /XObject /Subtype /Form /BBox [%s] %s" % (box, entries), packed=packed)


TEXT = (
    b"BT /F1 12 Tf 60 700 Td (Tra 1.000.000 dong cho) Tj ET\n/Im1 Do /Fm1 Do\n"
    b"/OC /L1 BDC 0 0 1 rg 60 600 50 20 re f EMC"
)
WIDGET = b"/Type /Annot /Subtype /Widget /F 4 /P 3 0 R"

OBJECTS: dict[int, bytes] = {
    CATALOG: b"<< /Type /Catalog /Pages 2 0 R /AcroForm 7 0 R /Outlines 30 0 R /Names 32 0 R /Metadata 33 0 R"
    b" /StructTreeRoot 34 0 R /MarkInfo << /Marked true >> /PageMode /UseOutlines"
    b" /OCProperties << /OCGs [23 0 R 27 0 R] /D << /ON [23 0 R] /OFF [27 0 R] >> >> >>",
    PAGES: b"<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 /MediaBox [0 0 595 842] >>",
    FIRST: b"<< /Type /Page /Parent 2 0 R /Contents 5 0 R /Resources 10 0 R /StructParents 0"
    b" /Annots [11 0 R 12 0 R 13 0 R 14 0 R 15 0 R 16 0 R 17 0 R] >>",
    SECOND: b"<< /Type /Page /Parent 2 0 R /Contents [6 0 R] /Resources << /Font << /F1 20 0 R >> >> >>",
    CONTENT: stream(TEXT),
    CONTENT_2: stream(b"BT /F1 12 Tf 60 700 Td (Trang hai) Tj ET"),
    FORM: b"<< /Fields [11 0 R 12 0 R 13 0 R 14 0 R 15 0 R] /DA (/Helv 10 Tf 0 g)"
    b" /DR << /Font << /Helv 20 0 R >> >> >>",
    RESOURCES: b"<< /Font << /F1 20 0 R >> /XObject << /Im1 21 0 R /Fm1 22 0 R >> /Properties << /L1 23 0 R >> >>",
    NUMBER: b"<< %s /FT /Tx /T (So) /Rect [100 500 200 520] >>" % WIDGET,
    NAME: b"<< %s /FT /Tx /T (Ten) /V (An) /Rect [100 470 200 490] /AP << /N 24 0 R >> >>" % WIDGET,
    TICK: b"<< %s /FT /Btn /T (Dong) /V /Off /AS /Off /Rect [100 440 110 450]"
    b" /AP << /N << /Yes 25 0 R /Off 26 0 R >> >> >>" % WIDGET,
    CHOICE: b"<< %s /FT /Ch /Ff 131072 /T (Loai) /Opt [(A) (B)] /Rect [100 410 200 430] >>" % WIDGET,
    PLACE: b"<< %s /FT /Sig /T (Duyet) /Rect [300 100 400 150] >>" % WIDGET,
    LINK: b"<< /Type /Annot /Subtype /Link /Rect [60 690 160 710] /A << /S /URI /URI (https://a.example) >> >>",
    NOTE: b"<< /Type /Annot /Subtype /Text /Rect [500 800 520 820] /Contents (ghi chu) /NM (n1) >>",
    FONT: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
    PICTURE: stream(
        b"\0\x80\xff", b"/Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceRGB /BitsPerComponent 8"
    ),
    STAMP: form(b"1 0 0 RG 5 5 90 10 re S"),
    LAYER: b"<< /Type /OCG /Name (Hien) >>",
    SHOWN: form(b"/Tx BMC q BT /Helv 10 Tf 2 5 Td (An) Tj ET Q EMC", b"/Resources << /Font << /Helv 20 0 R >> >>"),
    ON: form(b"0 0 10 10 re f", box=b"0 0 10 10"),
    OFF: form(b"", box=b"0 0 10 10"),
    SECRET: b"<< /Type /OCG /Name (An) >>",
    OUTLINES: b"<< /Type /Outlines /First 31 0 R /Last 31 0 R /Count 1 >>",
    BOOKMARK: b"<< /Title (Dau) /Parent 30 0 R /Dest [3 0 R /Fit] >>",
    NAMES: b"<< /Dests << /Names [(d) [3 0 R /Fit]] >> >>",
    XMP: stream(b"<x:xmpmeta xmlns:x='adobe:ns:meta/'/>", b"/Type /Metadata /Subtype /XML"),
    TREE: b"<< /Type /StructTreeRoot /K 35 0 R /ParentTree << /Nums [0 [35 0 R]] >> /ParentTreeNextKey 1"
    b" /RoleMap << /Doan /P >> >>",
    PARAGRAPH: b"<< /Type /StructElem /S /Doan /P 34 0 R /Pg 3 0 R /K [0] /Alt (mot doan) >>",
    INFO: b"<< /Title (Van ban) >>",
    SPARE: stream(b"spare"),
}
"""A document of two pages with text, picture, layer, form, annotations, bookmark, structure; by object number."""


@dataclass(frozen=True)
class Paper:
    """A file and what its objects hold by now; every method returns a new one."""

    data: bytes
    objects: dict[int, bytes]
    size: int

    @classmethod
    def new(cls, objects: dict[int, bytes] | None = None) -> Paper:
        """Return the document, unsigned."""
        held = OBJECTS if objects is None else objects
        empty = cls(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n", {}, 1)
        return empty._written(held, b"/Root 1 0 R /Info %d 0 R" % INFO, free=(), first=True)

    def update(self, objects: dict[int, bytes], *, free: Iterable[int] = (), trailer: bytes = b"") -> Paper:
        """Append an update that defines objects and frees numbers."""
        root = re.findall(rb"/Root \d+ 0 R(?: /Info \d+ 0 R)?", self.data)[-1]
        previous = int(self.data[self.data.rfind(b"startxref") + 9 :].split()[0])
        return self._written(objects, (trailer or root) + b" /Prev %d" % previous, free=free)

    def _written(
        self, objects: dict[int, bytes], trailer: bytes, *, free: Iterable[int] = (), first: bool = False
    ) -> Paper:
        out, rows = bytearray(self.data), {}
        for number, body in sorted(objects.items()):
            rows[number] = b"%010d 00000 n \n" % len(out)
            out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
        rows |= dict.fromkeys(free, b"0000000000 00001 f \n")
        if first:
            rows[0] = b"0000000000 65535 f \n"
        size, start = max(self.size, max(rows, default=0) + 1), len(out)
        out += b"xref\n" + _sections(rows)
        out += b"trailer\n<< /Size %d %s >>\nstartxref\n%d\n%%%%EOF\n" % (size, trailer, start)
        return Paper(bytes(out), self.objects | objects, size)

    def packed(self, objects: dict[int, bytes]) -> Paper:
        """Append an update that holds objects in an object stream, with a cross-reference stream."""
        root = re.findall(rb"/Root \d+ 0 R(?: /Info \d+ 0 R)?", self.data)[-1]
        previous = int(self.data[self.data.rfind(b"startxref") + 9 :].split()[0])
        holder, table = self.size, self.size + 1
        heads, bodies = b"", b""
        for number, body in sorted(objects.items()):
            heads += b"%d %d " % (number, len(bodies))
            bodies += body + b" "
        out, at = bytearray(self.data), len(self.data)
        entries = b"/Type /ObjStm /N %d /First %d" % (len(objects), len(heads))
        out += b"%d 0 obj\n%s\nendobj\n" % (holder, stream(heads + bodies, entries, packed=True))
        start = len(out)
        rows = {
            number: b"\2%s\0%c" % (holder.to_bytes(4, "big"), index) for index, number in enumerate(sorted(objects))
        }
        rows |= {holder: b"\1%s\0\0" % at.to_bytes(4, "big"), table: b"\1%s\0\0" % start.to_bytes(4, "big")}
        index = b" ".join(b"%d 1" % number for number in sorted(rows))
        entries = b"/Type /XRef /W [1 4 2] /Index [%s] /Size %d %s /Prev %d" % (index, table + 1, root, previous)
        body = b"".join(row for _, row in sorted((number, _row(row)) for number, row in rows.items()))
        out += b"%d 0 obj\n%s\nendobj\nstartxref\n%d\n%%%%EOF\n" % (table, stream(body, entries), start)
        return Paper(bytes(out), self.objects | objects, table + 1)

    def changed(self, number: int, old: bytes, new: bytes) -> Paper:
        """Append an update in which a part of an object is another."""
        body = self.objects[number]
        assert old in body, (number, old, body)
        return self.update({number: body.replace(old, new, 1)})

    def added(self, number: int, entries: bytes, more: dict[int, bytes] | None = None) -> Paper:
        """Append an update that adds entries to a dictionary, and further objects."""
        return self.update({number: with_entries(self.objects[number], entries), **(more or {})})


def _sections(rows: dict[int, bytes]) -> bytes:
    """Return the rows of a table, consecutive numbers together."""
    starts = [number for number in sorted(rows) if number - 1 not in rows]
    parts = []
    for first in starts:
        last = first
        while last + 1 in rows:
            last += 1
        parts.append(b"%d %d\n" % (first, last - first + 1) + b"".join(rows[n] for n in range(first, last + 1)))
    return b"".join(parts)


def _row(row: bytes) -> bytes:
    return row if len(row) == 7 else row[:5] + row[5:].rjust(2, b"\0")


def with_entries(body: bytes, entries: bytes) -> bytes:
    """Return a dictionary, or the one of a stream, with entries added."""
    return body.replace(b"<<", b"<< " + entries + b" ", 1)


def with_annotation(body: bytes, number: int) -> bytes:
    """Return a page that lists one more annotation, on top of the others."""
    if b"/Annots" not in body:
        return with_entries(body, b"/Annots [%d 0 R]" % number)
    return re.sub(rb"/Annots \[([^\]]*)\]", rb"/Annots [\1 %d 0 R]" % number, body, count=1)


def with_field(body: bytes, number: int) -> bytes:
    """Return a form that lists one more field."""
    return re.sub(rb"/Fields \[([^\]]*)\]", rb"/Fields [\1 %d 0 R]" % number, body, count=1)


@dataclass(frozen=True)
class Ink:
    """What a signature looks like and writes: rectangle, appearance, entries of widget and dictionary, page."""

    rect: bytes = b"0 0 0 0"
    paint: bytes = b""
    entries: bytes = b""
    value: bytes = b""
    page: int = FIRST
    sub_filter: bytes = b"ETSI.CAdES.detached"


INVISIBLE = Ink()


@dataclass(frozen=True)
class Forge:
    """Signs papers with one key."""

    credential: Credential
    scheme: Scheme

    def sign(
        self,
        paper: Paper,
        name: bytes,
        ink: Ink = INVISIBLE,
        *,
        number: int | None = None,
        more: Callable[[dict[int, bytes], int], dict[int, bytes]] | None = None,
    ) -> Paper:
        """Append an update that signs: a new field, or the field ``number`` that is there.

        ``more`` gets what is written and the number of the signature dictionary, and returns what to write besides.
        """
        widget, value, drawn = (paper.size + index for index in range(3))
        objects: dict[int, bytes] = {value: _dictionary(ink)}
        look = b" /AP << /N %d 0 R >>" % drawn if ink.paint else b""
        if ink.paint:
            objects[drawn] = form(ink.paint, b"/Resources << /Font << /F1 20 0 R >> >>")
        if number is not None:
            objects[number] = with_entries(paper.objects[number], b"/V %d 0 R%s %s" % (value, look, ink.entries))
        else:
            place = b"/F 132 /Rect [%s] /P %d 0 R" % (ink.rect, ink.page)
            head = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%s) %s /V %d 0 R" % (name, place, value)
            objects[widget] = head + look + ink.entries + b" >>"
            objects[FORM] = _with_flags(with_field(paper.objects[FORM], widget))
            objects[ink.page] = with_annotation(paper.objects[ink.page], widget)
        if more is not None:
            objects |= more({**paper.objects, **objects}, value)
        return self.finish(paper.update(objects), value)

    def finish(self, paper: Paper, value: int) -> Paper:
        """Fill in byte range and value of the signature dictionary ``value`` that the last update left open."""
        data = paper.data
        start = data.rindex(b"/Contents <" + b"0" * 100) + len(b"/Contents ")
        end = data.index(b">", start) + 1
        ranges = b"[0 %d %d %d" % (start, end, len(data) - end)
        at = data.rindex(b"[0 0000000000 0000000000 0000000000]")
        data = data[:at] + ranges.ljust(35) + b"]" + data[at + 36 :]
        digest = hashlib.new(self.scheme.digest, data[:start] + data[end:]).digest()
        attributes = signed_attributes(self.credential, digest=digest, scheme=self.scheme)
        hashed = hashlib.new(self.scheme.digest, attributes).digest()
        (made,) = self.credential.port.sign([hashed], self.scheme)
        cms = signed_data(self.credential, attributes=attributes, value=made, scheme=self.scheme)
        filled = data[: start + 1] + cms.hex().encode().ljust(2 * ROOM, b"0") + data[end - 1 :]
        body = filled[filled.rindex(b"\n%d 0 obj\n" % value) :].split(b" 0 obj\n", 1)[1]
        return replace(paper, data=filled, objects={**paper.objects, value: body[: body.index(b"\nendobj")]})


def _dictionary(ink: Ink) -> bytes:
    head = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /%s" % ink.sub_filter
    room = b"/ByteRange [0 0000000000 0000000000 0000000000] /Contents <%s>" % (b"0" * (2 * ROOM))
    return b"%s %s %s >>" % (head, room, ink.value)


def _with_flags(body: bytes) -> bytes:
    return body if b"/SigFlags" in body else with_entries(body, b"/SigFlags 3")


def signatures_of(data: bytes, *, broken: Iterable[str] = (), stamps: Iterable[str] = ()) -> tuple[Signed, ...]:
    """Return the signatures of a file of the forge, all intact but those named."""
    file = PdfFile(data, limits=Limits())
    found: dict[tuple[str, int], Signed] = {}
    for state in file.revisions:
        view = View(state, Meter(10**6))
        for field in view.fields.values():
            numbers = [view.integer(item) for item in view.items(view.get(field.inherited.get("V"), "ByteRange"))]
            if field.kind != "Sig" or len(numbers) != 4:
                continue
            end = numbers[2] + numbers[3]
            revision = max(one.revision for one in file.revisions if one.end <= end + 2)
            integrity = Integrity.BROKEN if field.name in broken else Integrity.INTACT
            found[field.name, revision] = Signed(field.name, revision, integrity, field.name in stamps)
    return tuple(sorted(found.values(), key=lambda one: one.revision))


def later(paper: Paper, *, broken: Iterable[str] = (), stamps: Iterable[str] = ()) -> tuple[Later, ...]:
    """Compare the revisions of a file of the forge: the answer for each signature, in order of signing."""
    signatures = signatures_of(paper.data, broken=broken, stamps=stamps)
    return compare(PdfFile(paper.data, limits=Limits()).revisions, signatures, limits=Limits())
