"""The fast path changes nothing that anybody reports: both paths on hundreds of files (signing.md 3.4, oracle; A4)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.errors import SignerError
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.report import Integrity
from signer.trust import Context
from tests.signer_pdf.oracle import (
    Pair,
    both,
    complaints_of_qpdf,
    contents,
    meaning,
    pictures,
    pyhanko_cms,
    report_of,
    said_by_pdfsig,
    strictly_read,
    with_nulls,
)
from tests.signer_pdf.shapes import Shape, make, shapes
from transport.demo.letter import LETTER, sample

SHAPES = shapes(320)
TOOLS = SHAPES[::9]
FORMS = (
    None,
    Visible("t1", text="Số: 15/QĐ-UBND"),
    Visible("number", text="120", box_mm=(20, 100, 30, 8)),
    Visible("seal", image=sample("seal.png"), box_mm=(20, 150, 36, 36)),
)


@pytest.fixture(scope="session")
def clerk(pki: DevPki) -> DevIdentity:
    """A person with an RSA key: its values are the same each time."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")


def options_for(shape: Shape, now: datetime) -> PdfOptions:
    """Return how to sign: every form comes in turn."""
    visible = FORMS[sum(shape.name.encode()) % len(FORMS)]
    return PdfOptions(at=now, level="b", visible=visible, reason="Phê duyệt", name="Trần Thị Mẫu")


def pair_of(shape: Shape, clerk: DevIdentity, now: datetime) -> Pair | None:
    """Sign by both paths; ``None`` for what both refuse alike."""
    data, options = make(shape), options_for(shape, now)
    codes = [outcome(data, clerk, replace(options, general=general)) for general in (False, True)]
    assert codes[0] == codes[1]
    if codes[0] is None:
        return both(data, clerk, options)
    assert shape.xref == "hybrid", f"an ordinary file is refused: {codes[0]}"
    return None


def outcome(data: bytes, clerk: DevIdentity, options: PdfOptions) -> str | None:
    """Return why a file is refused, or ``None``."""
    try:
        sign_pdf(data, credential=clerk.credential, options=replace(options, read_back=False))
    except SignerError as refused:
        return refused.code
    return None


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_both_paths_come_to_the_same(shape: Shape, clerk: DevIdentity, context: Context, now: datetime) -> None:
    """Prefix, CMS, fields, widgets, our report and pyHanko's strict reading are the same on either path."""
    pair = pair_of(shape, clerk, now)
    if pair is None:
        return
    assert pair.general.path == "general"
    assert pair.fast.path == ("general" if shape.xref == "hybrid" else "fast")
    for signed in (pair.fast, pair.general):
        assert signed.data.startswith(pair.data)
        held, digest = contents(signed.data)
        assert with_nulls(held) == pyhanko_cms(digest, clerk)
        if shape.xref != "hybrid":  # pyHanko judges no signature in these
            assert strictly_read(signed.data) == [("Signature1", True)]
    assert meaning(pair.fast.data) == meaning(pair.general.data)
    assert report_of(pair.fast.data, context) == report_of(pair.general.data, context)
    assert (pair.fast.field, pair.fast.page, pair.fast.scheme) == (
        pair.general.field,
        pair.general.page,
        pair.general.scheme,
    )


@pytest.mark.tool("pdfsig")
@pytest.mark.tool("qpdf")
@pytest.mark.parametrize("shape", TOOLS, ids=lambda shape: shape.name)
def test_other_programs_see_no_difference(
    shape: Shape, clerk: DevIdentity, now: datetime, file_of: Callable[[bytes], str]
) -> None:
    """Poppler's checker says the same, qpdf complains of nothing new, the pages look the same."""
    pair = pair_of(shape, clerk, now)
    if pair is None:
        return
    fast, general, before = (Path(file_of(data)) for data in (pair.fast.data, pair.general.data, pair.data))
    said = said_by_pdfsig(fast)
    assert said == said_by_pdfsig(general)
    assert sum("Signature is Valid" in line for line in said) == 1
    assert not set(complaints_of_qpdf(fast)) - set(complaints_of_qpdf(before))
    drawn = pictures(pair.fast.data)
    assert drawn == pictures(pair.general.data)
    if options_for(shape, now).visible is None:
        assert drawn == pictures(pair.data)


@pytest.mark.parametrize("shape", SHAPES[::17], ids=lambda shape: shape.name)
def test_a_second_and_third_signature_take_the_same_path(
    shape: Shape, clerk: DevIdentity, context: Context, now: datetime
) -> None:
    """What the fast path wrote is an ordinary file for it and for the general path, in any order."""
    if shape.xref == "hybrid":
        return
    key = clerk.credential
    first = sign_pdf(make(shape), credential=key, options=PdfOptions(now, level="b"))
    second = sign_pdf(first.data, credential=key, options=PdfOptions(now, level="b", general=True))
    third = sign_pdf(second.data, credential=key, options=PdfOptions(now, level="b"))
    assert (first.path, second.path, third.path) == ("fast", "general", "fast")
    report = report_of(third.data, context)
    assert [one.id for one in report.signatures] == ["Signature1", "Signature2", "Signature3"]
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    assert len(strictly_read(third.data)) == 3


def test_the_letter_and_its_appendix_are_ordinary(clerk: DevIdentity, context: Context, now: datetime) -> None:
    """The files of the demonstration go the fast way, with every form in its place."""
    leader = PdfOptions(
        now, level="b", visible=Visible("signature", box_mm=LETTER.signature, image=sample("signature.png"))
    )
    for name, options in (("letter.pdf", leader), ("appendix.pdf", PdfOptions(now, level="b", visible=FORMS[1]))):
        pair = both(sample(name), clerk, options)
        assert pair.fast.path == "fast"
        assert meaning(pair.fast.data) == meaning(pair.general.data)
        assert pictures(pair.fast.data) == pictures(pair.general.data)
        assert report_of(pair.fast.data, context) == report_of(pair.general.data, context)


def test_the_stamp_is_put_where_pyhanko_puts_it(clerk: DevIdentity, timestamper: DevTimestamper, now: datetime) -> None:
    """At level T the CMS with its token is the one pyHanko would write."""
    signed = sign_pdf(make(Shape()), credential=clerk.credential, options=PdfOptions(now), timestamper=timestamper)
    held, digest = contents(signed.data)
    assert signed.token_size is not None
    at = held.find(b"\x06\x0b\x2a\x86\x48\x86\xf7\x0d\x01\x09\x10\x02\x0e")
    token = held[at + 17 : at + 17 + signed.token_size]
    assert with_nulls(held[: 4 + int.from_bytes(held[2:4], "big")]) == pyhanko_cms(digest, clerk, token)
