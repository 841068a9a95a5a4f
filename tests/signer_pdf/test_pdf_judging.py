"""What is said of a signed PDF: attacks as vectors with their lines, and the harmless neighbours (A1, A3)."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from signer import asn1
from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevPki, Subject
from signer.errors import NotVerified, SigningRefused
from signer.pdf.sign import PdfOptions, SignedPdf, Visible, sign_pdf
from signer.pdf.verify import VerifiedPdf, inspect_pdf, verify_pdf
from signer.report import Code, Covers, Crypto, Indication, Integrity, LaterChanges, Report, Verdict
from signer.trust import Context, Limits, TrustStore
from tests.signer_pdf.files import Office, simple, update
from transport.demo.letter import sample

Change = Callable[[bytes], bytes]


def last_object(data: bytes, number: int) -> bytes:
    """Return the latest definition of an object."""
    found = re.findall(rb"(?:^|\n)%d 0 obj\s(.*?)\nendobj" % number, data, re.S)
    body: bytes = found[-1]
    return body.strip()


def altered(number: int, old: bytes, new: bytes) -> Change:
    """Return an update that redefines an object with something replaced."""

    def change(data: bytes) -> bytes:
        body = last_object(data, number)
        assert old in body
        return update(data, {number: body.replace(old, new)})

    return change


def added(number: int, entries: bytes, **objects: bytes) -> Change:
    """Return an update that adds entries to a dictionary, and further objects ``o40=b"…"``."""

    def change(data: bytes) -> bytes:
        body = last_object(data, number).removesuffix(b">>") + entries + b" >>"
        return update(data, {number: body, **{int(name[1:]): value for name, value in objects.items()}})

    return change


def field_number(data: bytes) -> int:
    """Return the number of the object that is the signature's field."""
    return int(re.findall(rb"/Fields \[ ?(\d+) 0 R", data)[-1])


def on_field(old: bytes, new: bytes) -> Change:
    """Return an update that alters the signature's field."""
    return lambda data: altered(field_number(data), old, new)(data)


def form_number(data: bytes) -> int:
    """Return the number of the form's object."""
    return int(re.findall(rb"/AcroForm (\d+) 0 R", data)[-1])


def replaced(old: bytes, new: bytes) -> Change:
    """Return a change of bytes in place."""

    def change(data: bytes) -> bytes:
        assert len(old) == len(new)
        assert data.count(old) >= 1
        return data.replace(old, new, 1)

    return change


def byte_range(index: int, delta: int) -> Change:
    """Return a change of one number of the byte range, in place."""

    def change(data: bytes) -> bytes:
        match = re.search(rb"/ByteRange \[(\d+) (\d+) (\d+) (\d+) *\]", data)
        assert match is not None
        numbers = [int(part) for part in match.groups()]
        numbers[index] += delta
        text = b"/ByteRange [%d %d %d %d" % tuple(numbers)
        return data[: match.start()] + text.ljust(match.end() - match.start() - 1) + b"]" + data[match.end() :]

    return change


def zeroed(data: bytes) -> bytes:
    """Return the file with a signature value of nothing but zeros."""
    match = re.search(rb"/Contents <([0-9a-f]+)>", data)
    assert match is not None
    return data[: match.start(1)] + b"0" * len(match[1]) + data[match.end(1) :]


def hidden_behind(data: bytes) -> bytes:
    """Return the file with a page content behind the last section, seen by recovering readers only."""
    return data + b"4 0 obj\n<< /Length 5 >>\nstream\n0 g f\nendstream\nendobj\n"


def hidden_update(data: bytes) -> bytes:
    """Return the file with an update in the middle that the last cross-reference goes back past."""
    first = int(data[data.rfind(b"startxref") + 9 :].split()[0])
    middle = update(data, {4: b"<< /Length 5 >>\nstream\n0 g f\nendstream"})
    body = update(middle, {90: b"(x)"})
    previous = int(middle[middle.rfind(b"startxref") + 9 :].split()[0])
    return body.replace(b"/Prev %d" % previous, b"/Prev %d".ljust(8) % first)


def shadowed(data: bytes) -> bytes:
    """Return the file with an update in which a second page content is not in the table."""
    body = update(data, {90: b"(x)"})
    start = body.rindex(b"90 0 obj")
    hidden = b"4 0 obj\n<< /Length 5 >>\nstream\n0 g f\nendstream\nendobj\n"
    shifted = body[:start] + b"90 0 obj\n(x)\nendobj\n" + hidden
    table = len(shifted)
    shifted += (
        b"xref\n90 1\n%010d 00000 n \ntrailer\n" % start + body[body.rindex(b"<< /Size") : body.rindex(b"startxref")]
    )
    return shifted + b"startxref\n%d\n%%%%EOF\n" % table


def stolen_dictionary(data: bytes) -> bytes:
    """Return the file with a second field that points at the first one's signature."""
    value = re.findall(rb"/V (\d+) 0 R", data)[-1]
    second = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Gia) /V %s 0 R /F 132 /Rect [0 0 0 0] /P 3 0 R >>" % value
    form = last_object(data, form_number(data)).replace(b"/Fields [", b"/Fields [ 91 0 R ")
    return update(data, {91: second, form_number(data): form})


def removed(data: bytes) -> bytes:
    """Return the file with the signature taken out of form and page by an update."""
    number = field_number(data)
    form = last_object(data, form_number(data)).replace(b"/Fields [ %d 0 R ]" % number, b"/Fields [ ]")
    return update(data, {form_number(data): form})


def visible_field(box: bytes, kind: bytes = b"/Tx") -> Change:
    """Return an update with a new field that is seen."""

    def change(data: bytes) -> bytes:
        widget = b"<< /Type /Annot /Subtype /Widget /FT %s /T (Moi) /Rect [%s] /P 3 0 R /AP << /N 93 0 R >> >>"
        paint = (
            b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 20 >>\nstream\nBT (x) Tj ET         \nendstream"
        )
        form = last_object(data, form_number(data)).replace(b"/Fields [", b"/Fields [ 92 0 R ")
        page = last_object(data, 3)
        page = page.replace(b"/Annots [", b"/Annots [ 92 0 R ")
        return update(data, {92: widget % (kind, box), 93: paint, form_number(data): form, 3: page})

    return change


def new_field(entries: bytes, paint: bytes = b"") -> Change:
    """Return an update with a new signature field that nobody signed, of this kind and with this appearance."""

    def change(data: bytes) -> bytes:
        stream = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length %d >>\nstream\n%s\nendstream"
        form = last_object(data, form_number(data)).replace(b"/Fields [", b"/Fields [ 92 0 R ")
        page = last_object(data, 3).replace(b"/Annots [", b"/Annots [ 92 0 R ")
        shown = b"/AP << /N 93 0 R >>" if paint else b""
        widget = b"<< /Type /Annot /FT /Sig /T (Moi) /F 4 /P 3 0 R /Rect [0 600 250 750] %s %s >>" % (shown, entries)
        objects = {92: widget, form_number(data): form, 3: page}
        return update(data, {**objects, 93: stream % (len(paint), paint)} if paint else objects)

    return change


def freed(number: int, generation: int = 1) -> Change:
    """Return an update that frees an object and does nothing else."""

    def change(data: bytes) -> bytes:
        previous = int(data[data.rfind(b"startxref") + 9 :].split()[0])
        row = b"xref\n%d 1\n0000000000 %05d f \n" % (number, generation)
        trailer = b"trailer\n<< /Size 99 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (previous, len(data))
        return data + row + trailer

    return change


def undone(change: Change) -> Change:
    """Return a change that a further update takes back."""

    def both(data: bytes) -> bytes:
        number = form_number(data)
        return update(change(data), {number: last_object(data, number), 3: last_object(data, 3)})

    return both


WIDGET = b"/Subtype /Widget"

BROKEN: dict[str, tuple[Change, Code]] = {
    "a byte of the page": (replaced(b"50 700 m", b"50 701 m"), Code.HASH_FAILURE),
    "range not from 0": (byte_range(0, 1), Code.FORMAT_FAILURE),
    "first range short": (byte_range(1, -2), Code.HASH_FAILURE),
    "second range later": (byte_range(2, 2), Code.FORMAT_FAILURE),
    "second range shorter": (byte_range(3, -4), Code.HASH_FAILURE),
    "range past the end": (byte_range(3, 400), Code.FORMAT_FAILURE),
    "value all zero": (zeroed, Code.FORMAT_FAILURE),
    "page content exchanged": (
        lambda d: update(d, {4: b"<< /Length 27 >>\nstream\n0 0 1 RG 5 700 m 90 700 l S\nendstream"}),
        Code.FORMAT_FAILURE,
    ),
    "page turned": (altered(3, b"/Type /Page", b"/Type /Page /Rotate 90"), Code.FORMAT_FAILURE),
    "page box": (altered(3, b"841.89", b"400.00"), Code.FORMAT_FAILURE),
    "open action": (added(1, b"/OpenAction << /S /GoTo /D [3 0 R /Fit] >>"), Code.FORMAT_FAILURE),
    "layer": (added(1, b"/OCProperties << /OCGs [] /D << >> >>"), Code.FORMAT_FAILURE),
    "embedded file": (added(1, b"/Names << /EmbeddedFiles << /Names [] >> >>"), Code.FORMAT_FAILURE),
    "comment": (
        lambda d: update(
            d,
            {
                3: last_object(d, 3).replace(b"/Annots [", b"/Annots [ 94 0 R "),
                94: b"<< /Type /Annot /Subtype /FreeText /Rect [9 9 99 99] /Contents (x) >>",
            },
        ),
        Code.FORMAT_FAILURE,
    ),
    "new visible text field": (visible_field(b"50 600 90 650"), Code.FORMAT_FAILURE),
    "unsigned field that paints": (visible_field(b"50 600 90 650", b"/Sig"), Code.FORMAT_FAILURE),
    "empty field that whites out": (new_field(WIDGET, b"1 g 0 0 9 9 re f"), Code.FORMAT_FAILURE),
    "empty field that shows text": (new_field(WIDGET, b"BT /F 9 Tf(x)Tj ET"), Code.FORMAT_FAILURE),
    "empty field that shows text, taken back": (
        undone(new_field(WIDGET, b"BT /F 9 Tf[(x)]TJ ET")),
        Code.FORMAT_FAILURE,
    ),
    "empty field with a background": (new_field(WIDGET + b" /MK << /BG [1 1 1] >>"), Code.FORMAT_FAILURE),
    "empty field with a script": (
        new_field(WIDGET + b" /AA << /E << /S /JavaScript /JS (x) >> >>"),
        Code.FORMAT_FAILURE,
    ),
    "empty field that is a comment": (new_field(b"/Subtype /FreeText /Contents (x)"), Code.FORMAT_FAILURE),
    "empty field that is a link": (new_field(b"/Subtype /Link /Dest [3 0 R /Fit]"), Code.FORMAT_FAILURE),
    "all fields to be drawn anew": (
        lambda d: altered(form_number(d), b"/Fields [", b"/NeedAppearances true /Fields [")(d),
        Code.FORMAT_FAILURE,
    ),
    "page content freed": (freed(4), Code.FORMAT_FAILURE),
    "page content freed for ever": (freed(4, 65535), Code.FORMAT_FAILURE),
    "signature moved": (on_field(b"/Rect [ 0 0 0 0 ]", b"/Rect [ 9 9 99 99 ]"), Code.FORMAT_FAILURE),
    "signature's value taken out": (on_field(b"/V", b"/X"), Code.FORMAT_FAILURE),
    "signature taken out of the form": (removed, Code.FORMAT_FAILURE),
    "dictionary used twice": (stolen_dictionary, Code.FORMAT_FAILURE),
    "object behind the last section": (hidden_behind, Code.FORMAT_FAILURE),
    "update that is gone back past": (hidden_update, Code.FORMAT_FAILURE),
    "object that is in no table": (shadowed, Code.FORMAT_FAILURE),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_attack_on_the_bytes_is_broken(name: str, small: bytes, context: Context) -> None:
    """Whatever was done to what is displayed, the file is invalid, under every policy and trust."""
    change, code = BROKEN[name]
    data = change(small)
    assert data != small
    for policy in PolicyName:
        for trust in (context.trust, TrustStore()):
            report = inspect_pdf(data, context=replace(context, policy=policy, trust=trust))
            assert report.verdict is Verdict.INVALID, (name, report)
            assert Integrity.BROKEN in {one.integrity for one in report.signatures}
            first = next(one for one in report.signatures if one.integrity is Integrity.BROKEN)
            assert first.sub_indication is code, (name, first)


HARMLESS: dict[str, Change] = {
    "nothing": lambda d: d,
    "white space behind": lambda d: d + b"\n \r\n",
    "bytes behind that form nothing": lambda d: d + b"ghi chu 123",
    "bytes behind with an end mark": lambda d: d + b"ghi chu\n%%EOF\n",
    "metadata saved": lambda d: update(d, {90: b"<< /Title (x) >>"}),
    "an object nobody reaches": lambda d: update(d, {95: b"<< /Type /Nothing >>"}),
    "an object written anew": lambda d: update(d, {2: last_object(d, 2)}),
    "an object freed that was never there": freed(95),
    "an object used and freed that nobody reaches": lambda d: freed(95)(update(d, {95: b"(y)"})),
    "an empty field that shows nothing": new_field(WIDGET),
    "an empty field with an empty appearance": new_field(WIDGET, b"/Tx BMC q 0 0 9 9 re W n Q EMC"),
    "validation data": added(1, b"/DSS << /Certs [] /CRLs [] >>"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_neighbour_stays_valid(name: str, small: bytes, context: Context) -> None:
    """Refusing good files is the second fault."""
    report = inspect_pdf(HARMLESS[name](small), context=context)
    assert report.verdict is Verdict.VALID, (name, report.reasons)
    assert report.signatures[0].integrity is Integrity.INTACT
    behind = Code.TRAILING_BYTES in {warning.code for warning in report.warnings}
    assert behind is name.startswith("bytes behind")


def test_an_unused_object_of_the_signed_state_may_be_freed(office: Office, context: Context) -> None:
    """Editors free what they no longer use; one that a page leads to is a loss."""
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 12 >>\nstream\n0 0 9 9 re f\nendstream"
    for page, expected in ((b"", Verdict.VALID), (b"/Thumb 5 0 R", Verdict.INVALID)):
        signed = office.by_person(simple(page=page, more=[form]), level="b").data
        assert inspect_pdf(freed(5)(signed), context=context).verdict is expected


def with_form(permission: bytes = b"", value: bytes = b"") -> bytes:
    """Return a PDF with an empty text field ``So``."""
    widget = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /Rect [50 500 150 520] /F 4 /P 3 0 R /DA (/F 9 Tf) %s >>"
    )
    return simple(
        catalog=b"/AcroForm << /Fields [5 0 R] >>" + permission, page=b"/Annots [5 0 R]", more=[widget % value]
    )


def filled(value: bytes) -> Change:
    """Return an update that fills the field ``So``."""
    return lambda data: added(5, b"/V (%s)" % value)(data)


def test_a_blank_field_may_be_filled_later(office: Office, context: Context) -> None:
    """What was there, empty, when the leader signed may be filled (R35)."""
    signed = office.by_person(with_form(), level="b").data
    report = inspect_pdf(filled(b"120")(signed), context=context)
    assert report.verdict is Verdict.VALID
    assert [(c.kind, c.allowed, c.facts["field"]) for c in report.signatures[0].changes] == [("form-fill", True, "So")]
    assert report.signatures[0].later_changes is LaterChanges.ALLOWED


def test_a_filled_field_may_not_be_replaced_later(office: Office, context: Context) -> None:
    """A visible value exchanged after signing is a forgery, not form filling."""
    signed = office.by_person(with_form(value=b"/V (12)"), level="b").data
    report = inspect_pdf(update(signed, {5: last_object(signed, 5).replace(b"(12)", b"(99)")}), context=context)
    assert report.verdict is Verdict.INVALID
    assert [(c.kind, c.allowed) for c in report.signatures[0].changes] == [("form-change", False)]
    assert Code.LATER_CHANGE_SUSPECT in {reason.code for reason in report.signatures[0].reasons}


PATH = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length %d >>\nstream\n%s\nendstream"


@pytest.mark.parametrize(
    ("paint", "blank"),
    [
        (b"/Tx BMC EMC", True),
        (b"0.9 g 0 0 9 9 re f 0 G 0 0 9 9 re S", True),
        (b"0 1 m 9 1 l S", True),
        (b"BT /F 9 Tf(12)Tj ET", False),
        (b"BT /F 9 Tf[(12)]TJ ET", False),
        (b"0 0 m 3 3 l 4 9 l S", False),
        (b"0 0 m 3 3 l S", False),
        (b"0 0 m 1 1 2 2 3 3 c f", False),
        (b"/Pattern cs /P1 scn 0 0 9 9 re f", False),
        (b"/Im Do", False),
    ],
)
def test_what_an_appearance_shows_may_not_be_exchanged(
    paint: bytes, blank: bool, office: Office, context: Context
) -> None:
    """A field without a value but with text, picture or path on it is not blank; a border or background is (4.3)."""
    field = (
        b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /Rect [50 500 150 520] /F 4 /P 3 0 R /AP << /N 6 0 R >> >>"
    )
    plain = simple(
        catalog=b"/AcroForm << /Fields [5 0 R] >>",
        page=b"/Annots [5 0 R]",
        more=[field, PATH % (len(paint), paint)],
    )
    signed = office.by_person(plain, level="b").data
    body = last_object(signed, 5).replace(b"/N 6 0 R", b"/N 93 0 R")
    shown = b"BT /F 9 Tf(99)Tj ET"
    report = inspect_pdf(update(signed, {5: body, 93: PATH % (len(shown), shown)}), context=context)
    assert [(c.kind, c.allowed) for c in report.signatures[0].changes] == [
        ("form-fill" if blank else "form-change", blank)
    ]
    assert report.verdict is (Verdict.VALID if blank else Verdict.INVALID)


def test_a_filled_field_larger_than_a_quarter_of_the_page_is_an_overlay(office: Office, context: Context) -> None:
    """A blank field prepared over the whole page must not become a second letter (4.3)."""
    plain = with_form().replace(b"[50 500 150 520]", b"[ 5  10 590 820]")
    report = inspect_pdf(filled(b"120")(office.by_person(plain, level="b").data), context=context)
    assert [(c.kind, c.allowed) for c in report.signatures[0].changes] == [("overlay", False)]
    assert report.verdict is Verdict.INVALID


@pytest.mark.parametrize(
    ("old", "new", "kept"),
    [
        (b"/F 6 0 R", b"/F << /Type /Font /Subtype /Type1 /BaseFont /ZapfDingbats >>", False),
        (b"/F 6 0 R", b"/G 6 0 R", False),
        (b"F 9 Tf)", b"F 0 Tf)", False),
        (b"/Fields [", b"/Q 2 /Fields [", False),
        (b"/F 6 0 R", b"/F 6 0 R /G 6 0 R", True),
    ],
)
def test_defaults_of_the_form_may_grow_but_not_change(
    old: bytes, new: bytes, kept: bool, office: Office, context: Context
) -> None:
    """Fonts and defaults decide what a field drawn anew looks like: never another after signing (4.3)."""
    widget = b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (So) /V (12) /Rect [50 500 150 520] /F 4 /P 3 0 R >>"
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    root = b"<< /DR << /Font << /F 6 0 R >> >> /DA (/F 9 Tf) /Fields [5 0 R] >>"
    plain = simple(catalog=b"/AcroForm 7 0 R", page=b"/Annots [5 0 R]", more=[widget, font, root])
    signed = office.by_person(plain, level="b").data
    report = inspect_pdf(update(signed, {7: _once(last_object(signed, 7), old, new)}), context=context)
    assert report.verdict is (Verdict.VALID if kept else Verdict.INVALID)


def _once(body: bytes, old: bytes, new: bytes) -> bytes:
    assert body.count(old) == 1, body
    return body.replace(old, new)


def test_an_over_large_later_signature_is_an_overlay(office: Office, context: Context) -> None:
    """A later widget larger than a quarter of the page could paint the letter over."""
    leader = office.by_person(simple(), level="b")
    options = Visible("signature", box_mm=(5.0, 50.0, 200.0, 160.0), image=sample("seal.png"))
    with pytest.raises(SigningRefused) as refused:
        office.by_person(leader.data, options, level="b")
    assert refused.value.code == "EDOC-PDF-021"


def test_a_picture_of_an_earlier_signature_may_not_change(steps: tuple[SignedPdf, ...], context: Context) -> None:
    """The leader's signature picture exchanged by an update breaks it."""
    data = steps[0].data
    stream = int(re.findall(rb"/AP <<\s*/N (\d+) 0 R", data)[-1])
    body = last_object(data, stream)
    assert b"/Im Do" in body
    report = inspect_pdf(update(data, {stream: body.replace(b"/Im Do", b"      ")}), context=context)
    assert report.verdict is Verdict.INVALID
    assert report.signatures[0].later_changes is LaterChanges.SUSPECT


def test_a_later_broken_signature_that_paints_breaks_the_earlier(
    steps: tuple[SignedPdf, ...], context: Context
) -> None:
    """What a broken signature paints, nobody answers for (4.4)."""
    data = steps[1].data
    at = data.rindex(b"(D:20261120093000") + 14
    broken = data[:at] + b"5" + data[at + 1 :]
    assert broken != data
    report = inspect_pdf(broken, context=context)
    assert [one.integrity for one in report.signatures] == [Integrity.BROKEN, Integrity.BROKEN]
    assert report.signatures[0].crypto is Crypto.OK


def test_a_later_untrusted_signature_does_not_harm_the_earlier(office: Office, small: bytes, context: Context) -> None:
    """Integrity of the first stays; the file is indeterminate through the second."""
    stranger = DevPki.create(at=office.now - timedelta(days=3)).issue(Role.PERSON, Subject("Lê Văn Mẫu"))
    second = sign_pdf(small, credential=stranger.credential, options=PdfOptions(at=office.now, level="b"))
    report = inspect_pdf(second.data, context=context)
    assert [one.indication for one in report.signatures] == [Indication.PASSED, Indication.INDETERMINATE]
    assert report.signatures[1].sub_indication is Code.NO_CERTIFICATE_CHAIN_FOUND
    assert report.verdict is Verdict.INDETERMINATE


@pytest.mark.parametrize("name", ["adbe.pkcs7.detachd", "Vgca.Sign.detached"])
def test_an_unknown_kind_of_signature_is_listed(name: str, office: Office, context: Context) -> None:
    """Never dropped: integrity unknown, or judged if it is a CMS after all (D4)."""
    value = b"<< /Type /Sig /SubFilter /%s /ByteRange [0 100 200 300] /Contents <00112233> >>" % name.encode()
    widget = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (La) /V 6 0 R /Rect [0 0 0 0] /P 3 0 R >>"
    data = simple(catalog=b"/AcroForm << /Fields [5 0 R] >>", page=b"/Annots [5 0 R]", more=[widget, value])
    report = inspect_pdf(data, context=context)
    assert [one.id for one in report.signatures] == ["La"]
    assert report.signatures[0].integrity in (Integrity.UNKNOWN, Integrity.BROKEN)
    assert Code.SUBFILTER_UNKNOWN in {reason.code for reason in report.signatures[0].reasons}
    assert report.verdict is not Verdict.VALID


def test_a_signature_no_field_leads_to_is_noticed(small: bytes, context: Context) -> None:
    """Signature dictionaries outside the form are warned of (D3)."""
    stray = b"<< /Type /Sig /SubFilter /adbe.pkcs7.detached /ByteRange [0 1 2 3] /Contents <00> >>"
    report = inspect_pdf(update(small, {96: stray}), context=context)
    assert Code.SIGNATURE_NOT_IN_FORM in {warning.code for warning in report.warnings}


def test_a_field_in_the_page_but_not_in_the_form_is_listed(small: bytes, context: Context) -> None:
    """Taking the field out of the form does not make the signature disappear (G4)."""
    report = inspect_pdf(removed(small), context=context)
    assert "Signature1" in {one.id for one in report.signatures}
    assert report.verdict is Verdict.INVALID


def test_an_unsigned_file_has_no_signature(plain: bytes, context: Context) -> None:
    """Indeterminate, and nothing is invented."""
    report = inspect_pdf(plain, context=context)
    assert (report.verdict, report.signatures) == (Verdict.INDETERMINATE, ())
    assert [reason.code for reason in report.reasons] == [Code.NO_SIGNATURE]


def grown(data: bytes, times: int) -> bytes:
    """Return a file with many updates."""
    for _ in range(times):
        data = update(data, {90: b"(x)"})
    return data


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", Code.UNSUPPORTED_FORMAT),
        (b"Van ban", Code.UNSUPPORTED_FORMAT),
        (b"%PDF-1.7\n1 0 obj\n(Van ban", Code.UNREADABLE),
        (simple().replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt << /Filter /Standard >>"), Code.ENCRYPTED),
        (grown(simple(), 101), Code.LIMIT_EXCEEDED),
    ],
)
def test_what_cannot_be_read_is_said(data: bytes, code: Code, context: Context) -> None:
    """Reports never raise for what a file contains (G2)."""
    report = inspect_pdf(data, context=context)
    assert report.verdict is Verdict.INDETERMINATE
    assert report.reasons[0].code is code


def test_a_truncated_signed_file_shows_its_signatures(small: bytes, context: Context) -> None:
    """A file that cannot be read is searched for signatures; they are never called good."""
    report = inspect_pdf(small[:-30], context=context)
    assert report.verdict is Verdict.INVALID
    assert len(report.signatures) == 1
    assert report.signatures[0].integrity is Integrity.BROKEN


def test_the_whole_file_and_a_revision_are_told_apart(steps: tuple[SignedPdf, ...], context: Context) -> None:
    """``covers`` says how much of the file each signature is over."""
    report = inspect_pdf(steps[1].data, context=context)
    assert [one.covers for one in report.signatures] == [Covers.REVISION, Covers.WHOLE]


def test_verified_comes_from_verification_alone(small: bytes, context: Context) -> None:
    """``verify_pdf`` hands back what was verified, in a type nobody else builds."""
    verified = verify_pdf(small + b"rest", context=context)
    assert verified.revision == small
    assert verified.report.verdict is Verdict.VALID
    with pytest.raises(TypeError):
        VerifiedPdf(verified.report, small, object())
    with pytest.raises(NotVerified) as refused:
        verify_pdf(small.replace(b"50 700", b"50 701"), context=context)
    assert refused.value.report.verdict is Verdict.INVALID


def test_same_input_same_report(steps: tuple[SignedPdf, ...], context: Context) -> None:
    """G3: a report depends on bytes and context alone."""
    assert inspect_pdf(steps[-1].data, context=context) == inspect_pdf(steps[-1].data, context=context)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    policy=st.sampled_from(list(PolicyName)),
    trusted=st.booleans(),
    years=st.integers(-5, 40),
    name=st.sampled_from(["nothing", "a byte of the page", "page turned", "validation data"]),
)
def test_integrity_does_not_depend_on_trust_time_or_policy(
    policy: PolicyName, trusted: bool, years: int, name: str, small: bytes, context: Context
) -> None:
    """The first of the three questions is answered from the file alone (1.2)."""
    data = (HARMLESS | {key: change for key, (change, _) in BROKEN.items()})[name](small)
    other = replace(
        context,
        policy=policy,
        trust=context.trust if trusted else TrustStore(),
        at=context.at + timedelta(days=365 * years),
    )

    def bytes_only(report: Report) -> list[tuple[object, ...]]:
        return [(s.id, s.crypto, s.integrity, s.covers, s.later_changes) for s in report.signatures]

    assert bytes_only(inspect_pdf(data, context=other)) == bytes_only(inspect_pdf(data, context=context))


def test_more_signatures_than_the_limit_are_not_judged(steps: tuple[SignedPdf, ...], context: Context) -> None:
    """A budget used up is said, and nothing is called good."""
    report = inspect_pdf(steps[-1].data, context=replace(context, limits=Limits(signatures=3)))
    assert report.verdict is Verdict.INDETERMINATE
    assert report.reasons[0].code is Code.LIMIT_EXCEEDED


def test_pyhanko_as_second_opinion(steps: tuple[SignedPdf, ...], pki: DevPki, now: datetime) -> None:
    """pyHanko's own validator calls each signature of the letter intact, valid and trusted, with allowed changes."""
    reader = PdfFileReader(BytesIO(steps[-1].data), strict=True)
    assert len(reader.embedded_signatures) == 4
    root = asn1.certificate(pki.root.certificate)
    for one in reader.embedded_signatures:
        trust = ValidationContext(
            trust_roots=[root],
            other_certs=[asn1.certificate(pki.issuing.certificate)],
            moment=now,
            allow_fetching=False,
        )
        status = validate_pdf_signature(one, trust, trust)
        assert status.intact
        assert status.valid
        assert status.trusted
        assert status.timestamp_validity is not None
        assert status.timestamp_validity.valid
        assert status.docmdp_ok


def hybrid(catalog: bytes) -> bytes:
    """Return a file as word processors write it: object 5 is only in the stream that newer readers look into."""
    data = bytearray(simple(catalog=catalog))
    first = int(data[data.rfind(b"startxref") + 9 :].split()[0])
    hidden = len(data)
    data += b"5 0 obj\n<< /Type /StructTreeRoot >>\nendobj\n"
    stream = len(data)
    row = b"\x01" + hidden.to_bytes(3, "big") + b"\0"
    data += b"6 0 obj\n<< /Type /XRef /Size 7 /W [1 3 1] /Index [5 1] /Root 1 0 R /Length 5 >>\nstream\n" + row
    data += b"\nendstream\nendobj\n"
    table = len(data)
    data += b"xref\n0 0\ntrailer\n<< /Size 7 /Root 1 0 R /Prev %d /XRefStm %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        first,
        stream,
        table,
    )
    return bytes(data)


def test_a_hybrid_file_whose_hidden_objects_show_nothing_is_signed(office: Office, context: Context) -> None:
    """Word processors hide the structure tree from old readers; what is displayed is the same in both readings (D2)."""
    data = hybrid(b"/StructTreeRoot 5 0 R")
    signed = office.by_agency(office.by_person(data, level="b").data, level="b").data
    assert signed.startswith(data)
    assert inspect_pdf(signed, context=context).verdict is Verdict.VALID


def test_a_hybrid_file_that_shows_two_faces_is_not_signed(office: Office, context: Context) -> None:
    """What only newer readers see on the page makes two documents of one (G5)."""
    with pytest.raises(SigningRefused) as refused:
        office.by_person(hybrid(b"/OpenAction 5 0 R"), level="b")
    assert (refused.value.code, refused.value.facts["reason"]) == ("EDOC-PDF-021", "FORMAT_FAILURE, READINGS_DIFFER")
