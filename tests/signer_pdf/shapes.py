"""PDF files in every shape that writers give them: cross-references, forms, annotations, line ends, history.

A ``Shape`` names its choices; ``make`` writes the file. ``shapes`` draws hundreds of them, the same ones each time.
"""

from __future__ import annotations

import random
import zlib
from dataclasses import dataclass, fields

CHOICES: dict[str, tuple[str, ...]] = {
    "xref": ("table", "stream", "packed", "predicted", "split", "hybrid"),
    "form": ("absent", "direct", "indirect", "listed", "bare", "appearances", "flags", "text", "null"),
    "annots": ("absent", "direct", "empty", "referenced", "inside", "null", "link"),
    "page": ("own", "inherited", "deep", "rotated", "cropped", "unit", "second"),
    "line": ("lf", "crlf", "cr"),
    "spelling": ("plain", "tight", "comments", "escapes", "strings"),
    "end": ("line", "none", "space", "crlf"),
    "trailer": ("bare", "id", "info", "custom"),
    "history": ("none", "one", "two", "freed"),
    "before": ("none",),
}


@dataclass(frozen=True)
class Shape:
    """How one file is written."""

    xref: str = "table"
    form: str = "absent"
    annots: str = "absent"
    page: str = "own"
    line: str = "lf"
    spelling: str = "plain"
    end: str = "line"
    trailer: str = "bare"
    history: str = "none"
    before: str = "none"

    @property
    def name(self) -> str:
        """What differs from the plainest file."""
        plain = Shape()
        said = [getattr(self, f.name) for f in fields(self) if getattr(self, f.name) != getattr(plain, f.name)]
        return "-".join(said) or "plain"


def shapes(count: int, seed: int = 30) -> list[Shape]:
    """Return each choice alone, then random combinations, ``count`` in all."""
    found = {Shape(): None}
    for key, values in CHOICES.items():
        for value in values:
            found[Shape(**{key: value})] = None
    chance = random.Random(seed)
    while len(found) < count:
        found[Shape(**{key: chance.choice(values) for key, values in CHOICES.items()})] = None
    return list(found)[:count]


def make(shape: Shape) -> bytes:
    """Write the file."""
    objects = _objects(shape)
    if shape.spelling != "plain":
        objects = {number: _respelled(body, shape.spelling) for number, body in objects.items()}
    data = _written(objects, shape)
    for step in range({"none": 0, "freed": 1, "one": 1, "two": 2}[shape.history]):
        data = _updated(data, shape, step)
    ends = {"line": b"\n", "none": b"", "space": b" \n\n", "crlf": b"\r\n"}
    return data.rstrip(b"\r\n") + ends[shape.end]


def _objects(shape: Shape) -> dict[int, bytes]:
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % _form(shape),
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 %s >>",
        3: b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R %s %s >>",
        4: b"<< /Length 28 >>\nstream\n0 0 1 RG 50 700 m 90 700 l S\nendstream",
        9: b"<< /Fields [] >>",
        10: b"[]",
        11: b"<< /Title (Th\\355) /Producer (edoc) >>",
        12: b"<< /Type /Annot /Subtype /Link /Rect [10 10 60 30] /Border [0 0 1] /Dest [3 0 R /Fit] >>",
        13: b"[12 0 R]",
        14: b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /Rect [100 600 200 620] /F 4 /P 3 0 R /DA (/F 9 Tf) >>",
        15: b"<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman >>",
    }
    objects[9] = {
        "listed": b"<< /Fields 10 0 R >>",
        "bare": b"<< /DA (/F 9 Tf) >>",
        "appearances": b"<< /Fields [] /NeedAppearances true >>",
        "flags": b"<< /SigFlags 1 /Fields [] /DR << /Font << /F 15 0 R >> >> >>",
        "text": b"<< /Fields [14 0 R] /DA (/F 9 Tf) /DR << /Font << /F 15 0 R >> >> >>",
    }.get(shape.form, objects[9])
    _pages(shape, objects)
    return objects


def _form(shape: Shape) -> bytes:
    return {
        "absent": b"",
        "null": b"/AcroForm null",
        "direct": b"/AcroForm << /Fields [] >>",
    }.get(shape.form, b"/AcroForm 9 0 R")


def _pages(shape: Shape, objects: dict[int, bytes]) -> None:
    listed = b"14 0 R" if shape.form == "text" else b""
    if listed:
        objects[13] = b"[12 0 R 14 0 R]"
    annots = {
        "direct": b"/Annots [12 0 R %s]" % listed,
        "link": b"/Annots [<< /Type /Annot /Subtype /Link /Rect [10 10 60 30] /Dest [3 0 R /Fit] >> %s]" % listed,
        "empty": b"/Annots [%s]" % listed,
        "inside": b"/Annots\n[ %s\n]" % listed,
        "referenced": b"/Annots 13 0 R",
        "null": b"/Annots null" if not listed else b"/Annots [%s]" % listed,
        "absent": b"" if not listed else b"/Annots [%s]" % listed,
    }[shape.annots]
    box, own = b"/MediaBox [0 0 595.276 841.89] /Resources << >>", b""
    above = b""
    if shape.page in ("inherited", "deep"):
        box, above = b"", b"/MediaBox [0 0 595.276 841.89] /Resources << >> /Rotate 0"
    own = {
        "rotated": b"/Rotate 90",
        "cropped": b"/CropBox [20 30 575 800]",
        "unit": b"/UserUnit 2",
    }.get(shape.page, b"")
    objects[2] = objects[2] % above
    objects[3] = objects[3] % (box + b" " + own, annots)
    if shape.page == "deep":
        objects[2] = objects[2].replace(b"[3 0 R]", b"[20 0 R]")
        objects[20] = b"<< /Type /Pages /Parent 2 0 R /Kids [3 0 R] /Count 1 >>"
        objects[3] = objects[3].replace(b"/Parent 2 0 R", b"/Parent 20 0 R")
    if shape.page == "second":
        objects[2] = objects[2].replace(b"[3 0 R] /Count 1", b"[3 0 R 21 0 R] /Count 2")
        objects[21] = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 842 595] /Contents 4 0 R /Resources << >> >>"


def _respelled(body: bytes, spelling: str) -> bytes:
    if b"stream" in body:
        return body
    if spelling == "tight":
        return body.replace(b" /", b"/").replace(b"[ ", b"[").replace(b" >>", b">>").replace(b"<< ", b"<<")
    if spelling == "comments":
        return body.replace(b"<< ", b"<< % a (comment]>>\n ", 1).replace(b" >>", b" % end >>\n>>")
    if spelling == "escapes":
        return body.replace(b"/Type ", b"/T#79pe ").replace(b"/Annots", b"/An#6eots").replace(b"/Fields", b"/#46ields")
    return body[:-2] + b" /X (a \\(b\\) >> /Annots [ \\\\) /Y <3e3E> >>" if body.endswith(b">>") else body


def _line(shape: Shape) -> bytes:
    return {"lf": b"\n", "crlf": b"\r\n", "cr": b"\r"}[shape.line]


def _written(objects: dict[int, bytes], shape: Shape) -> bytes:
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    line = _line(shape)
    offsets: dict[int, int] = {}
    packed: dict[int, tuple[int, int]] = {}
    if shape.xref in ("packed", "predicted", "hybrid"):
        inside = {n: b for n, b in objects.items() if b"stream" not in b and (shape.xref != "hybrid" or n in (12, 15))}
        objects = {n: b for n, b in objects.items() if n not in inside}
        objects[30] = _object_stream(inside)
        packed = {number: (30, index) for index, number in enumerate(inside)}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj" % number + line + body + line + b"endobj" + line
    start = len(out)
    if shape.xref in ("table", "split"):
        out += _table(offsets, shape, line) + _trailer(shape, max(offsets) + 1, b"")
    elif shape.xref == "hybrid":
        hidden = start
        out += _stream(dict(offsets), packed, 31, start, shape, index=sorted(packed), plain=True)
        start = len(out)
        out += _table({**offsets, 31: hidden}, shape, line) + _trailer(shape, 32, b"/XRefStm %d" % hidden)
    else:
        out += _stream(offsets, packed, 31, start, shape)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def _object_stream(inside: dict[int, bytes]) -> bytes:
    bodies, starts, at = b"", [], 0
    for number, body in inside.items():
        starts.append(b"%d %d" % (number, at))
        bodies += body + b"\n"
        at = len(bodies)
    head = b" ".join(starts) + b"\n"
    packed = zlib.compress(head + bodies)
    return b"<< /Type /ObjStm /N %d /First %d /Filter /FlateDecode /Length %d >>\nstream\n%s\nendstream" % (
        len(inside),
        len(head),
        len(packed),
        packed,
    )


def _table(offsets: dict[int, int], shape: Shape, line: bytes) -> bytes:
    size = max(offsets) + 1
    end = line if len(line) == 2 else b" " + line
    free = b"0000000000 00001 f"
    rows = {n: (b"%010d 00000 n" % offsets[n] if n in offsets else free) + end for n in range(size)}
    rows[0] = b"0000000000 65535 f" + end
    if shape.xref != "split":
        return b"xref" + line + b"0 %d" % size + line + b"".join(rows[n] for n in range(size))
    out = b"xref" + line + b"0 1" + line + rows[0]
    for number in sorted(offsets):
        out += b"%d 1" % number + line + rows[number]
    return out


def _entries(shape: Shape) -> bytes:
    return {
        "bare": b"",
        "id": b"/ID [<00112233445566778899AABBCCDDEEFF> <0123456789ABCDEF0123456789ABCDEF>]",
        "info": b"/Info 11 0 R",
        "custom": b"/DocChecksum /ABCDEF /Info 11 0 R /ID [(abc) (d\\)f)]",
    }[shape.trailer]


def _trailer(shape: Shape, size: int, more: bytes) -> bytes:
    return b"trailer\n<< /Size %d /Root 1 0 R %s %s >>\n" % (size, _entries(shape), more)


def _stream(
    offsets: dict[int, int],
    packed: dict[int, tuple[int, int]],
    own: int,
    start: int,
    shape: Shape,
    *,
    index: list[int] | None = None,
    plain: bool = False,
) -> bytes:
    offsets = {**offsets, own: start}
    size = own + 1
    rows = []
    for number in range(size) if index is None else index:
        if number in packed:
            rows.append(b"\2" + packed[number][0].to_bytes(3, "big") + bytes((packed[number][1],)))
        elif number in offsets:
            rows.append(b"\1" + offsets[number].to_bytes(3, "big") + b"\0")
        else:
            rows.append(b"\0\0\0\0\0")
    data, more = b"".join(rows), b""
    if shape.xref == "predicted":
        data, more = _predicted(rows), b" /DecodeParms << /Predictor 12 /Columns 5 >>"
    if index is not None:
        more += b" /Index [" + b" ".join(b"%d 1" % number for number in index) + b"]"
    body = zlib.compress(data)
    head = b"<< /Type /XRef /Size %d /W [1 3 1] /Root 1 0 R /Length %d /Filter /FlateDecode%s %s >>" % (
        size,
        len(body),
        more,
        b"" if plain else _entries(shape),
    )
    return b"%d 0 obj\n%s\nstream\n%s\nendstream\nendobj\n" % (own, head, body)


def _predicted(rows: list[bytes]) -> bytes:
    out, above = b"", bytes(5)
    for row in rows:
        out += b"\2" + bytes((one - other) & 255 for one, other in zip(row, above, strict=True))
        above = row
    return out


def _updated(data: bytes, shape: Shape, step: int) -> bytes:
    """Append an update that saves the document information anew, or frees an object."""
    previous = int(data[data.rfind(b"startxref") + 9 :].split()[0])
    number, body = 40 + step, b"<< /Title (step %d) >>" % step
    out = bytearray(data)
    at = len(out)
    out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start = len(out)
    entries = _entries(shape).replace(b"/Info 11 0 R", b"") + b" /Info %d 0 R /Prev %d" % (number, previous)
    if shape.xref in ("table", "split", "hybrid"):
        rows = b"%d 1\n%010d 00000 n \n" % (number, at)
        if shape.history == "freed":
            rows = b"0 1\n0000000011 65535 f \n11 1\n0000000000 00001 f \n" + rows
        out += b"xref\n" + rows + b"trailer\n<< /Size %d /Root 1 0 R %s >>\n" % (number + 1, entries)
    else:
        own = 50 + step
        rows = b"\1" + at.to_bytes(3, "big") + b"\0" + b"\1" + start.to_bytes(3, "big") + b"\0"
        head = b"<< /Type /XRef /Size %d /W [1 3 1] /Index [%d 1 %d 1] /Root 1 0 R /Length %d %s >>" % (
            own + 1,
            number,
            own,
            len(rows),
            entries,
        )
        out += b"%d 0 obj\n%s\nstream\n%s\nendstream\nendobj\n" % (own, head, rows)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)
