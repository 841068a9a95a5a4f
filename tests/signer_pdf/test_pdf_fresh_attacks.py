"""Updates that readers display in another way than the signed state, though no value seems to change (4.1, 4.3, G5).

Each was made against readers that are in use: one mends wrong offsets, another does not; one decodes damaged data as far
as it goes, another gives up. Beside them are honest neighbours.
"""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Callable
from dataclasses import replace

import pytest

from signer.algorithms import Scheme
from signer.devpki import DevIdentity
from signer.inspect import inspect_file
from signer.report import Integrity, LaterChanges
from signer.trust import Context
from tests.signer_pdf.attackforge import (
    CONTENT,
    FONT,
    OBJECTS,
    RESOURCES,
    SHOWN,
    TEXT,
    Forge,
    Ink,
    Paper,
    form,
    stream,
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
