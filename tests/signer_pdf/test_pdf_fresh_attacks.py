"""Updates that readers display in another way than the signed state, though no value seems to change (4.1, 4.3, G5).

Each was made against readers that are in use: one mends wrong offsets, another does not; one decodes damaged data to
the end, another gives up. Beside them are honest neighbours.
"""

from __future__ import annotations

import base64
import re
import time
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from signer.algorithms import Scheme
from signer.devpki import DevIdentity
from signer.inspect import inspect_file
from signer.pdf.reading import mentions
from signer.report import Integrity, LaterChanges, Verdict
from signer.trust import Context
from tests.signer_pdf.attackforge import (
    CHOICE,
    CONTENT,
    FIRST,
    FONT,
    FORM,
    OBJECTS,
    PAGES,
    RESOURCES,
    SECOND,
    SHOWN,
    STAMP,
    TEXT,
    WIDGET,
    XMP,
    Forge,
    Ink,
    Paper,
    form,
    stream,
    with_annotation,
    with_entries,
    with_field,
)

Act = Callable[[Paper], Paper]

LEADER = Ink(b"300 200 400 250", b"BT /F1 9 Tf (Da ky) Tj ET")
LINES = TEXT + b"\nBT /F1 12 Tf 60 650 Td (Dong hai) Tj ET\n"
OTHER = stream(TEXT.replace(b"1.000.000", b"9.000.000"))
GREEN = form(b"0 1 0 rg 0 0 100 20 re f")


@pytest.fixture(scope="module")
def forge(person: DevIdentity) -> Forge:
    """A forge with a person's key."""
    return Forge(person.credential, Scheme.ECDSA_SHA256)


def signed(forge: Forge, objects: dict[int, bytes] | None = None) -> Paper:
    """Return the document with some objects exchanged before the leader signs."""
    return forge.sign(Paper.new(OBJECTS | (objects or {})), b"Lanh dao", LEADER)


def leaders(paper: Paper, context: Context) -> tuple[Integrity, LaterChanges]:
    """Return what is said of the leader's signature."""
    report = inspect_file(paper.data, context=context)
    first = next(one for one in report.signatures if one.id == "Lanh dao")
    return first.integrity, first.later_changes


def content(octets: bytes, entries: bytes = b"") -> Act:
    """Return an update that writes the content of the first page anew, octets as they stand in the file."""
    return lambda paper: paper.update({CONTENT: stream(octets, entries)})


def with_row(paper: Paper, number: int, row: bytes) -> Paper:
    """Return the file with the last row of an object exchanged."""
    head = b"%d 1\n" % number
    at = paper.data.rindex(head, paper.data.rindex(b"\nxref\n")) + len(head)
    return replace(paper, data=paper.data[:at] + row + paper.data[at + len(row) :])


def misplaced(number: int) -> Act:
    """Return an update that writes an object anew and names a wrong place for it."""
    return lambda paper: with_row(paper.update({number: paper.objects[number]}), number, b"%010d" % 15)


def other_index(paper: Paper) -> Paper:
    """Write objects into an object stream and name their places the wrong way round."""
    data = paper.packed({FONT: paper.objects[FONT], RESOURCES: paper.objects[RESOURCES]}).data
    at, end = data.rindex(b"stream\n", 0, data.rindex(b"endstream")) + 7, data.rindex(b"\nendstream")
    rows = [data[begin : begin + 7] for begin in range(at, end, 7)]
    turned = [row[:6] + bytes([row[6] ^ 1]) if row[0] == 2 else row for row in rows]
    return replace(paper, data=data[:at] + b"".join(turned) + data[end:])


def damaged_behind(octets: bytes, more: bytes) -> bytes:
    """Return compressed octets, filled up to whole pieces of 256, then more, and then damage."""
    packer = zlib.compressobj(9)
    first = packer.compress(octets) + packer.flush(zlib.Z_SYNC_FLUSH)
    while len(first) % 256:
        first += b"\0\0\0\xff\xff"  # an empty block
    return first + packer.compress(more) + packer.flush(zlib.Z_SYNC_FLUSH) + b"\x07" * 20


def png_rows(octets: bytes, width: int) -> bytes:
    """Return rows with the tag of a PNG predictor."""
    return b"".join(b"\0" + octets[at : at + width] for at in range(0, len(octets), width))


FLATE = b"/Filter /FlateDecode"
ROWS = b"/Columns %d >>" % len(LINES)

CODED: dict[str, Act] = {
    "more behind damaged data": content(damaged_behind(LINES, b"1 0 0 rg 50 650 200 60 re f "), FLATE),
    "a line end before the data": content(b"\n" + zlib.compress(LINES), FLATE),
    "a mark before the data": content(b"<~" + base64.a85encode(LINES) + b"~>", b"/Filter /ASCII85Decode"),
    "a predictor nobody knows": content(
        zlib.compress(png_rows(LINES, len(LINES))), FLATE + b" /DecodeParms << /Predictor 5 " + ROWS
    ),
    "a predictor with a fraction": content(zlib.compress(LINES), FLATE + b" /DecodeParms << /Predictor 12.0 " + ROWS),
    "parameters not listed as the filters are": content(
        zlib.compress(png_rows(LINES, len(LINES))),
        b"/Filter [/FlateDecode] /DecodeParms << /Predictor 12 " + ROWS,
    ),
    "parameters under their short name": content(
        zlib.compress(LINES), FLATE + b" /DP << /Predictor 12 " + ROWS
    ),
    "no line end after the keyword": lambda paper: paper.update(
        {CONTENT: b"<< /Length %d >>\nstream%s\nendstream" % (len(LINES), LINES)}
    ),
    "a negative length": lambda paper: paper.update({CONTENT: b"<< /Length -5 >>\nstream\n%s\nendstream" % LINES}),
}  # fmt: skip


@pytest.mark.parametrize("name", CODED)
def test_content_that_readers_decode_differently_is_suspect(name: str, forge: Forge, context: Context) -> None:
    """What every reader makes something else of is not the content that was signed."""
    paper = CODED[name](signed(forge, {CONTENT: stream(LINES, packed=True)}))
    assert leaders(paper, context) == (Integrity.BROKEN, LaterChanges.SUSPECT)


PLAIN: dict[str, Act] = {
    "not coded": content(LINES),
    "compressed": content(zlib.compress(LINES), FLATE),
    "without a checksum": content(zlib.compress(LINES)[:-4], FLATE),
    "with a wrong checksum": content(zlib.compress(LINES)[:-4] + b"abcd", FLATE),
    "in letters": content(base64.a85encode(LINES) + b"~>", b"/Filter /ASCII85Decode"),
    "predicted": content(
        zlib.compress(png_rows(LINES, len(LINES))), FLATE + b" /DecodeParms << /Predictor 12 " + ROWS
    ),
    "predicted, filters listed": content(
        zlib.compress(png_rows(LINES, len(LINES))),
        b"/Filter [/FlateDecode] /DecodeParms [<< /Predictor 12 " + ROWS + b"]",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", PLAIN)
def test_content_may_be_coded_in_any_way_that_all_read_alike(name: str, forge: Forge, context: Context) -> None:
    """The neighbours of the attacks before."""
    paper = PLAIN[name](signed(forge, {CONTENT: stream(LINES, packed=True)}))
    assert leaders(paper, context) == (Integrity.INTACT, LaterChanges.ALLOWED)


@pytest.mark.parametrize("number", [CONTENT, FONT, SHOWN])
def test_an_update_that_names_wrong_places_is_suspect(number: int, forge: Forge, context: Context) -> None:
    """Some readers look for the object elsewhere, others show nothing."""
    assert leaders(misplaced(number)(signed(forge)), context) == (Integrity.BROKEN, LaterChanges.SUSPECT)


def test_an_update_that_names_wrong_places_in_an_object_stream_is_suspect(forge: Forge, context: Context) -> None:
    """Some readers look at the number, others at the place."""
    assert leaders(other_index(signed(forge)), context) == (Integrity.BROKEN, LaterChanges.SUSPECT)


def prepared(forge: Forge) -> Paper:
    """Return a signed file with a second content that no cross-reference leads to."""
    paper = Paper.new()
    at = paper.data.rindex(b"xref\n0 ")
    spare = b"5 0 obj\n%s\nendobj\n" % OTHER
    data = paper.data[:at] + spare + paper.data[at:]
    moved = re.sub(rb"startxref\n(\d+)", lambda match: b"startxref\n%d" % (int(match[1]) + len(spare)), data)
    return forge.sign(replace(paper, data=moved), b"Lanh dao", LEADER)


@pytest.mark.parametrize("tail", [b"\n" * 6000, b"%" + b"x" * 6000 + b"\n"])
def test_so_much_behind_the_end_that_readers_mend_the_file(tail: bytes, forge: Forge, context: Context) -> None:
    """A reader that does not find the end looks for objects, and finds the content that was not meant."""
    paper = prepared(forge)
    assert leaders(paper, context) == (Integrity.INTACT, LaterChanges.NONE)
    assert leaders(replace(paper, data=paper.data + tail), context)[0] is Integrity.BROKEN
    plain = signed(forge)
    assert leaders(replace(plain, data=plain.data + tail), context) == (Integrity.INTACT, LaterChanges.NONE)


def circle(paper: Paper) -> bytes:
    """Return the file with an update whose ``/Prev`` leads to itself."""
    data = paper.update({}).data
    start = data[data.rindex(b"startxref") + 9 :].split()[0]
    at = data.rindex(b"/Prev ")
    return data[:at] + b"/Prev " + start + data[data.index(b" >>", at) :]


CUT: dict[str, Callable[[Paper], bytes]] = {
    "nowhere": lambda paper: paper.data + b"startxref\n99999999\n%%EOF\n",
    "into an object": lambda paper: paper.data + b"startxref\n300\n%%EOF\n",
    "to the beginning": lambda paper: paper.data + b"startxref\n0\n%%EOF\n",
    "to no number": lambda paper: paper.data + b"startxref\n%%EOF\n",
    "behind a trailer": lambda paper: paper.data + b"trailer\n<< /Root 1 0 R /Size 50 >>\nstartxref\n9\n%%EOF\n",
    "in a circle": circle,
}


@pytest.mark.parametrize("name", CUT)
def test_a_chain_cut_after_signing_does_not_exchange_what_was_signed(name: str, forge: Forge, context: Context) -> None:
    """What could be read without mending when it was signed is what was signed."""
    paper, plain = prepared(forge), signed(forge)
    assert leaders(replace(paper, data=CUT[name](paper)), context)[0] is Integrity.BROKEN
    assert leaders(replace(plain, data=CUT[name](plain)), context)[0] is Integrity.INTACT


@pytest.mark.parametrize("entries", [
    b"/Contents 90 0 R /Contents 5 0 R",
    b"/Contents 5 0 R /Contents 90 0 R",
    b"/Conten#74s 90 0 R /Contents 5 0 R",
    b"/Contents 5 0 R /Contents 90 0 R /Contents 5 0 R",
])  # fmt: skip
def test_an_entry_given_several_times_is_suspect(entries: bytes, forge: Forge, context: Context) -> None:
    """Of several entries readers take the first, the last, or any."""
    paper = signed(forge)
    page = paper.objects[FIRST].replace(b"/Contents 5 0 R", entries)
    assert leaders(paper.update({90: OTHER, FIRST: page}), context)[0] is Integrity.BROKEN


RED = b"<< /Type /Annot /Subtype /Square /F 4 /Rect [60 690 160 710] /AP << /N 38 0 R >> >>"
BLUE = b"<< /Type /Annot /Subtype /Circle /F 4 /Rect [60 690 160 710] /AP << /N 39 0 R >> >>"


@pytest.mark.parametrize(("before", "after"), [
    (b"%s %s" % (RED, BLUE), b"%s %s" % (BLUE, RED)),
    (b"40 0 R 41 0 R", b"41 0 R %s" % RED),
    (b"40 0 R %s" % BLUE, b"%s 40 0 R" % BLUE),
    (b"40 0 R 41 0 R", b"40 0 R 41 0 R 40 0 R"),
])  # fmt: skip
def test_annotations_written_into_the_list_keep_their_order_too(
    before: bytes, after: bytes, forge: Forge, context: Context
) -> None:
    """The later one covers the other, be it an object of its own or not."""
    page = with_entries(OBJECTS[SECOND], b"/Annots [%s]" % before)
    paint = {38: form(b"1 0 0 rg 0 0 100 20 re f"), 39: form(b"0 0 1 rg 0 0 100 20 re f"), 40: RED, 41: BLUE}
    paper = signed(forge, {SECOND: page, **paint})
    assert leaders(paper.update({SECOND: page}), context) == (Integrity.INTACT, LaterChanges.ALLOWED)
    turned = paper.update({SECOND: page.replace(before, after)})
    assert leaders(turned, context) == (Integrity.BROKEN, LaterChanges.SUSPECT)


# fields, annotations, pages that are something else besides

BOX = b"50 600 300 720"
PLACE = b"<< %s /FT /Sig /T (Moi) /Rect [%%s] %%s >>" % WIDGET
HELV = b"/Resources << /Font << /Helv 20 0 R >> >>"
SPACE = (
    b"<< /Type /Font /Subtype /Type3 /FontBBox [0 0 1000 1000] /FontMatrix [.001 0 0 .001 0 0] /Resources << >>"
    b" /CharProcs << /space %d 0 R >> /Encoding << /Differences [32 /space] >>"
    b" /FirstChar 32 /LastChar 32 /Widths [999] >>"
)


def shown_with_kids(paper: Paper) -> Paper:
    """Add an empty place for a signature whose field, not its widget, is what the page shows."""
    field, kid, paint = range(paper.size, paper.size + 3)
    return paper.update({
        field: PLACE % (BOX, b"/Kids [%d 0 R] /AP << /N %d 0 R >>" % (kid, paint)),
        kid: b"<< /Type /Annot /Subtype /Widget /Parent %d 0 R /Rect [0 0 0 0] /P 3 0 R >>" % field,
        paint: GREEN,
        FORM: with_field(paper.objects[FORM], field),
        FIRST: with_annotation(with_annotation(paper.objects[FIRST], field), kid),
    })  # fmt: skip


def shown_second_node(paper: Paper) -> Paper:
    """Add two inner nodes of one name, of which the second is shown."""
    one, other, left, right, paint = range(paper.size, paper.size + 5)
    form_ = with_field(with_field(paper.objects[FORM], one), other)
    return paper.update({
        one: b"<< /T (Nhom) /Kids [%d 0 R] >>" % left,
        other: b"<< /T (Nhom) /Kids [%d 0 R] %s /Rect [%s] /AP << /N %d 0 R >> >>" % (right, WIDGET, BOX, paint),
        left: b"<< /FT /Sig /T (a) /Parent %d 0 R >>" % one,
        right: b"<< /FT /Sig /T (b) /Parent %d 0 R >>" % other,
        paint: GREEN,
        FORM: form_,
        FIRST: with_annotation(paper.objects[FIRST], other),
    })  # fmt: skip


def new_place(entries: bytes, more: dict[int, bytes]) -> Act:
    """Return an update with a new place for a signature; ``more`` are objects behind it, numbered from 1."""

    def act(paper: Paper) -> Paper:
        first = paper.size
        numbered = {first + number: _numbered(body, first) for number, body in more.items()}
        return paper.update({
            first: PLACE % (BOX, _numbered(entries, first)),
            FORM: with_field(paper.objects[FORM], first),
            FIRST: with_annotation(paper.objects[FIRST], first),
        } | numbered)  # fmt: skip

    return act


def _numbered(body: bytes, first: int) -> bytes:
    return re.sub(rb"<(\d)>", lambda match: b"%d 0 R" % (first + int(match[1])), body)


def page_as_stream(paper: Paper) -> Paper:
    """Put a page in front that is a stream: some readers take its dictionary."""
    page = stream(b"", b"/Type /Page /Parent 2 0 R /Contents 6 0 R /MediaBox [0 0 300 300]")
    pages = paper.objects[PAGES].replace(b"[3 0 R", b"[%d 0 R 3 0 R" % paper.size)
    return paper.update({paper.size: page, PAGES: pages})


def listed(number: int) -> dict[int, bytes]:
    """Return the first page with an object among its annotations."""
    return {FIRST: with_annotation(OBJECTS[FIRST], number)}


def changed(number: int, old: bytes, new: bytes, more: bytes | None = None) -> Act:
    """Return an update of a part of an object; ``more`` becomes object 70."""
    return lambda paper: paper.changed(number, old, new) if more is None else paper.update(
        {number: paper.objects[number].replace(old, new), 70: more}
    )  # fmt: skip


def objects_with(number: int, old: bytes, new: bytes) -> dict[int, bytes]:
    """Return one of the document's objects with a part exchanged."""
    assert old in OBJECTS[number]
    return {number: OBJECTS[number].replace(old, new)}


DRAWN = b"/XObject << /Im1 21 0 R /Fm1 22 0 R >>"
PICTURE_BYTES = b"q 99 0 0 20 60 650 cm BI /W 8/H 1/BPC 8/CS/G/D[0 1]ID \0 \0 \0 \0 \nEI Q"
KIDS_NULL = {SECOND: with_entries(OBJECTS[SECOND], b"/Kids null /Annots []")}
CHOSEN = with_entries(OBJECTS[CHOICE], b"/V (A) /AP << /N 38 0 R >>")

TWO_FACED: dict[str, tuple[dict[int, bytes], Act]] = {
    "field with kids that is shown itself": ({}, shown_with_kids),
    "second inner node of a name, shown": ({}, shown_second_node),
    "page that is a stream": ({}, page_as_stream),
    "appearances in a stream": ({}, new_place(b"/AP <1>", {1: stream(b"", b"/N <2>"), 2: GREEN})),
    "spaces that paint": (
        {},
        new_place(b"/AP << /N <1> >>", {
            1: form(b"BT /T3 100 Tf ( ) Tj ET", b"/Resources << /Font << /T3 <2> >> >>"),
            2: SPACE.replace(b"%d 0 R", b"<3>"),
            3: stream(b"1000 0 0 0 1000 1000 d1 0 0 1000 1000 re f")}),
    ),
    "kid of another kind": (
        {FORM: with_entries(OBJECTS[FORM], b"/NeedAppearances true")},
        new_place(b"/Kids [<1>]", {1: b"<< %s /FT /Tx /DA (/Helv 20 Tf 0 g) /Rect [0 0 0 0] >>" % WIDGET}),
    ),
    "resources in a stream": (
        {RESOURCES: stream(b"", OBJECTS[RESOURCES][2:-2])},
        changed(RESOURCES, b"/Fm1 22", b"/Fm1 21"),
    ),
    "blanks of a picture in the content": (
        {CONTENT: stream(PICTURE_BYTES)},
        changed(CONTENT, b"\0 \0 ", b"    "),
    ),
    "form that falls back on the page": (
        {STAMP: form(b"/Zz Do", b"/Resources << /XObject << >> >>")},
        changed(RESOURCES, b"/Im1", b"/Zz 70 0 R /Im1", GREEN),
    ),
    "turned by a number with a fraction": ({}, changed(FIRST, b"/Type", b"/Rotate 90.0 /Type")),
    "box that is none to some": (
        {FIRST: with_entries(OBJECTS[FIRST], b"/CropBox [(a) 0 500 500]")},
        changed(FIRST, b"[(a) 0 500 500]", b"[(a) 0 300 300]"),
    ),
    "choice painted anew": (
        {CHOICE: CHOSEN, 38: form(b"BT /Helv 10 Tf 2 5 Td (A) Tj ET", HELV)},
        changed(38, b"BT", b"0 0 99 20 re f BT 3 Tr"),
    ),
    "choice made and hidden": (
        {CHOICE: CHOSEN, 38: form(b"BT /Helv 10 Tf 2 5 Td (A) Tj ET", HELV)},
        lambda paper: paper.update({
            CHOICE: paper.objects[CHOICE].replace(b"/V (A)", b"/V (B)"),
            38: form(b"5 5 m 9 9 l 20 0 l b BT 3 Tr /Helv 10 Tf (B) Tj ET", HELV)}),
    ),
    "annotation of a page that seems to be none": (
        KIDS_NULL,
        changed(SECOND, b"/Annots []", b"/Annots [70 0 R]",
            b"<< /Type /Annot /Subtype /Stamp /F 4 /Rect [%s] /AP << /N 22 0 R >> >>" % BOX),
    ),
    "font of a page that seems to be none": (
        KIDS_NULL,
        changed(SECOND, b"/F1 20 0 R", b"/F1 70 0 R", b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"),
    ),
    "content listed as an annotation": (listed(CONTENT), changed(CONTENT, b"1.000", b"9.000")),
    "content as the form": (
        {FIRST: OBJECTS[FIRST].replace(b"/Contents 5 0 R", b"/Contents 38 0 R"), 38: b"[5 0 R]"} | {
            SECOND: with_annotation(OBJECTS[SECOND], 38)},
        changed(38, b"5 0 R", b"70 0 R", OTHER),
    ),
    "resources listed as an annotation": (
        listed(38) | objects_with(RESOURCES, DRAWN, b"/XObject 38 0 R")
        | {38: b"<< /P 22 0 R /Im1 21 0 R >>"} | objects_with(CONTENT, b"/Fm1 Do", b"/P Do  "),
        changed(38, b"22 0 R", b"70 0 R", GREEN),
    ),
    "resources under another name listed as an annotation": (
        listed(38) | objects_with(RESOURCES, DRAWN, b"/XObject 39 0 R")
        | {38: b"<< /P 22 0 R /Im1 21 0 R >>", 39: b"38 0 R"} | objects_with(CONTENT, b"/Fm1 Do", b"/P Do  "),
        changed(38, b"22 0 R", b"70 0 R", GREEN),
    ),
    "catalog as resources": (
        objects_with(RESOURCES, DRAWN, b"/XObject 1 0 R") | {XMP: OBJECTS[STAMP], CONTENT: stream(b"/Metadata Do")},
        lambda paper: paper.update({XMP: GREEN}),
    ),
    "layers' membership listed as an annotation": (
        listed(38) | objects_with(RESOURCES, b"/L1 23 0 R", b"/L1 38 0 R")
        | {38: b"<< /Type /OCMD /OCGs [27 0 R] /P /AnyOff >>"},
        changed(38, b"/AnyOff", b"/AnyOn"),
    ),
}  # fmt: skip


@pytest.fixture(params=["walked", "looked up"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let what leads to a changed object be found by walking all objects, or from the bytes as in large files."""
    if request.param == "looked up":
        monkeypatch.setattr(mentions, "ROWS_MIN", 0)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", TWO_FACED)
def test_what_plays_two_parts_may_not_be_changed_in_either(name: str, forge: Forge, context: Context) -> None:
    """Each file is intact when signed; then what some reader displays is changed."""
    objects, act = TWO_FACED[name]
    paper = signed(forge, objects)
    assert leaders(paper, context) == (Integrity.INTACT, LaterChanges.NONE)
    assert leaders(act(paper), context) == (Integrity.BROKEN, LaterChanges.SUSPECT)


@pytest.mark.parametrize("depth", [90, 101, 130])
def test_a_widget_at_the_end_of_a_long_line_of_fields_is_not_overlooked(
    depth: int, forge: Forge, context: Context
) -> None:
    """Beyond the nesting that is followed the answer is open, never *intact*."""
    paper = signed(forge)
    first, last = paper.size, paper.size + depth
    line = {number: b"<< /T (x) /Kids [%d 0 R] >>" % (number + 1) for number in range(first, last)}
    end = {last: PLACE % (BOX, b"/AP << /N %d 0 R >>" % (last + 1)), last + 1: GREEN}
    frame = {FORM: with_field(paper.objects[FORM], first), FIRST: with_annotation(paper.objects[FIRST], last)}
    report = inspect_file(paper.update(line | end | frame).data, context=context)
    assert report.verdict is not Verdict.VALID
    assert all(one.integrity is not Integrity.INTACT for one in report.signatures)


def passed_by(paper: Paper, more: dict[int, bytes]) -> Paper:
    """Return the file with an update whose ``/Prev`` leads past the signed state."""
    first = re.findall(rb"startxref\n(\d+)", paper.data)[0]
    data = paper.update(more).data
    at = data.rindex(b"/Prev ")
    return replace(paper, data=data[:at] + b"/Prev " + first + data[data.index(b" >>", at) :])


def test_a_chain_that_passes_the_signed_state_by_shows_what_is_signed(forge: Forge, context: Context) -> None:
    """Readers follow the chain, and see neither the signature nor what stands only where it was signed."""
    paper = signed(forge)
    assert leaders(passed_by(paper, {}), context)[0] is Integrity.BROKEN


@pytest.mark.parametrize(("old", "new", "expected"), [
    (b"[3 0 R", b"[3 0 R", Integrity.INTACT),
    (b"[3 0 R", b"[3 7 R", Integrity.BROKEN),
])  # fmt: skip
def test_wrong_generations_in_a_file_that_must_be_mended_are_suspect(
    old: bytes, new: bytes, expected: Integrity, forge: Forge, context: Context
) -> None:
    """Some readers pass over them, others find nothing."""
    paper = signed(forge).changed(PAGES, old, new)
    cut = replace(paper, data=paper.data + b"startxref\n99999999\n%%EOF\n")
    assert leaders(cut, context)[0] is expected


HEAVY: dict[str, Act] = {
    "rows that lean on those above": content(
        zlib.compress((b"\4" + b"\1" * 1000) * 12_000), FLATE + b" /DecodeParms << /Predictor 15 /Columns 1000 >>"
    ),
    "rows of one octet": content(
        zlib.compress(b"\2\1" * 6_000_000), FLATE + b" /DecodeParms << /Predictor 15 /Columns 1 >>"
    ),
    "a brackets' abyss": content(b"(" + b"\\(" * 300_000),
}  # fmt: skip


@pytest.mark.parametrize("name", HEAVY)
def test_what_costs_much_ends_soon_and_is_not_intact(name: str, forge: Forge, context: Context) -> None:
    """Octets gone through one by one count more than others; no string is looked for again and again."""
    began = time.process_time()
    assert leaders(HEAVY[name](signed(forge)), context)[0] is not Integrity.INTACT
    assert time.process_time() - began < 5


def with_table(paper: Paper, objects: list[tuple[int, bytes]]) -> Paper:
    """Return the file with an update that has a row for each of these objects, in this order, each on its own."""
    out, rows = bytearray(paper.data), []
    for number, body in objects:
        rows.append(b"%d 1\n%010d 00000 n \n" % (number, len(out)))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, previous = len(out), paper.data[paper.data.rindex(b"startxref") + 9 :].split()[0]
    trailer = b"<< /Size %d /Root 1 0 R /Info 36 0 R /Prev %s >>" % (paper.size, previous)
    out += b"xref\n" + b"".join(rows) + b"trailer\n" + trailer + b"\nstartxref\n%d\n%%%%EOF\n" % start
    return replace(paper, data=bytes(out))


@pytest.mark.parametrize("good_first", [True, False])
def test_two_rows_for_one_object_are_suspect(good_first: bool, forge: Forge, context: Context) -> None:
    """Readers take the first or the last."""
    paper = signed(forge)
    same = (CONTENT, paper.objects[CONTENT])
    assert leaders(with_table(paper, [same]), context)[0] is Integrity.INTACT
    assert leaders(with_table(paper, [same, same]), context)[0] is Integrity.BROKEN
    both = [same, (CONTENT, OTHER)] if good_first else [(CONTENT, OTHER), same]
    assert leaders(with_table(paper, both), context)[0] is Integrity.BROKEN


@pytest.mark.parametrize(("old", "new"), [(b"/Index [20 1", b"/Index [20 9"), (b"/Index [20 1", b"/Index [41 1")])
def test_rows_that_are_not_there_or_twice_in_a_stream_are_suspect(
    old: bytes, new: bytes, forge: Forge, context: Context
) -> None:
    """Some readers pass over the whole block."""
    paper = signed(forge)
    packed = paper.packed({FONT: paper.objects[FONT]})
    assert leaders(packed, context)[0] is Integrity.INTACT
    at = packed.data.rindex(old)
    wrong = packed.data[:at] + new + packed.data[at + len(old) :]
    assert leaders(replace(packed, data=wrong), context)[0] is Integrity.BROKEN


def test_what_is_null_is_inherited(forge: Forge, context: Context) -> None:
    """A page whose box is null has the box of the pages above it, and that box stays."""
    paper = signed(forge, {FIRST: with_entries(OBJECTS[FIRST], b"/MediaBox null")})
    assert leaders(paper.update({FIRST: paper.objects[FIRST]}), context)[0] is Integrity.INTACT
    boxes = b"/MediaBox [0 0 595 842]", b"/MediaBox [0 0 300 300]"
    cut = paper.changed(PAGES, *boxes)
    moved = cut.changed(SECOND, b"/Type", boxes[0] + b" /Type")
    assert leaders(moved, context)[0] is Integrity.BROKEN


@pytest.mark.parametrize("length", [b"/Length 20", b"/Length 9999", b"/Length 20.0", b"/Length", b""])
def test_a_length_that_is_not_the_one_of_the_stream_is_suspect(length: bytes, forge: Forge, context: Context) -> None:
    """Readers take as much as it says, or look for the end, whether the file must be mended or not."""
    paper = signed(forge).update({CONTENT: b"<< %s >>\nstream\n%s\nendstream" % (length, TEXT)})
    assert leaders(paper, context)[0] is Integrity.BROKEN
    cut = replace(paper, data=paper.data + b"startxref\n99999999\n%%EOF\n")
    if length == b"/Length":
        assert leaders(cut, context)[0] is Integrity.BROKEN


def test_an_object_with_another_generation_than_its_row_is_suspect(forge: Forge, context: Context) -> None:
    """Some readers compare the two, and find no object."""
    paper = signed(forge)
    plain = paper.update({FONT: paper.objects[FONT]})
    assert leaders(plain, context)[0] is Integrity.INTACT
    at = plain.data.rindex(b"20 0 obj")
    other = plain.data[:at] + b"20 5 obj" + plain.data[at + 8 :]
    assert leaders(replace(plain, data=other), context)[0] is Integrity.BROKEN


def test_bad_syntax_in_an_object_stream_right_behind_the_signed_bytes_is_suspect(
    forge: Forge, context: Context
) -> None:
    """Of a dictionary with a key that is none some readers lose one entry, others all."""
    paper = signed(forge)
    assert leaders(paper.packed({PAGES: paper.objects[PAGES]}), context)[0] is Integrity.INTACT
    wrong = with_entries(paper.objects[PAGES], b"<< >> 22 0 R")
    assert leaders(paper.packed({PAGES: wrong}), context)[0] is Integrity.BROKEN
