"""Signed PDF files as others write them, and as attackers do: one shape each (signing.md 4.1, 4.2; 10, A3)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Covers, Crypto, Integrity, Report, Verdict
from signer.trust import Context, TrustStore
from tests.signer_pdf.files import run, update
from tests.signer_pdf.forge import (
    Shape,
    bare,
    digest_inside,
    followed,
    forge,
    mixed_case,
    number_of_range,
    open_lengths,
    replaced,
    spaced,
    with_member,
    with_signer,
    without_attributes,
    without_certificate,
)

DIRECT = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /V %S /F 132 /Rect [0 0 0 0] /P 3 0 R >>"
OTHER = b"<< /Type /Sig /Filter /X /SubFilter /%F "

GOOD: dict[str, Shape] = {
    "plain": Shape(),
    "cross-reference stream": Shape(table="stream"),
    "rows without the space": Shape(table="short"),
    "rows with white space": Shape(table="loose"),
    "digits in mixed case": Shape(spell=mixed_case),
    "digits in lines": Shape(spell=spaced),
    "white space behind the string": Shape(
        dictionary=b"<< /Type /Sig /Filter /X /SubFilter /%F /ByteRange %R /Contents %C   \n/M (D:2026) >>",
        numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 4, n[2] - 4),
    ),
    "gap with the white space before the string": Shape(numbers=number_of_range(1, -1)),
    "range without the last line end": Shape(numbers=number_of_range(3, -1)),
    "bytes before the header": Shape(before=b"\xef\xbb\xbf\r\n"),
    "bytes before the header, offsets from the first": Shape(before=b"%!PS\n", absolute=True),
    "end mark without line end": Shape(end=b"%%EOF"),
    "end mark with carriage return": Shape(end=b"%%EOF\r"),
    "end mark with white space": Shape(end=b"%%EOF \r\n\r\n"),
    "contents before the range": Shape(dictionary=OTHER + b"/Contents %C /ByteRange %R >>"),
    "dictionary without type": Shape(dictionary=b"<< /Filter /X /SubFilter /%F /ByteRange %R /Contents %C >>"),
    "range in an object of its own": Shape(dictionary=OTHER + b"/Contents %C /ByteRange 8 0 R >>", more=((8, b"%R"),)),
    "dictionary in the field": Shape(field=DIRECT),
    "dictionary in the form": Shape(
        catalog=b"<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [<< /FT /Sig /T (Ky) /V 7 0 R >>] >> >>",
        page=b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
    ),
    "type and value from above": Shape(
        form=b"<< /Fields [8 0 R] >>",
        field=b"<< /Subtype /Widget /Parent 8 0 R /Rect [0 0 0 0] >>",
        more=((8, b"<< /FT /Sig /T (Ky) /V 7 0 R /Kids [6 0 R] >>"),),
    ),
    "type from above, name in parts": Shape(
        form=b"<< /Fields [8 0 R] >>",
        field=b"<< /Subtype /Widget /T (b) /Parent 8 0 R /V 7 0 R /Rect [0 0 0 0] >>",
        more=((8, b"<< /FT /Sig /T (a) /Kids [6 0 R] >>"),),
    ),
    "field on no page": Shape(
        page=b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
    ),
    "field on the page only": Shape(form=b"<< /Fields [] /SigFlags 3 >>"),
    "no form at all": Shape(catalog=b"<< /Type /Catalog /Pages 2 0 R >>"),
    "CMS with lengths left open": Shape(make=open_lengths),
    "value over the ranges themselves": Shape(make=without_attributes),
    "digest inside": Shape(sub_filter=b"adbe.pkcs7.sha1", make=digest_inside),
    "bare value": Shape(
        dictionary=OTHER + b"/Cert <%X> /ByteRange %R /Contents %C >>", sub_filter=b"adbe.x509.rsa_sha1", make=bare
    ),
    "SubFilter that nobody knows": Shape(sub_filter=b"Example.cms"),
    "no SubFilter": Shape(dictionary=b"<< /Type /Sig /ByteRange %R /Contents %C >>"),
    "name escaped": Shape(dictionary=b"<< /Type /Sig /SubFilter /%F /Byte#52ange %R /Content#73 %C >>"),
    "unreadable certificate beside": Shape(make=with_member(b"\x30\x03\x02\x01\x05")),
    "bytes behind that form nothing": Shape(after=lambda data: data + b"\n\0\0rest\n"),
    "dangling reference": Shape(catalog=b"<< /Type /Catalog /Pages 2 0 R /AcroForm 5 0 R /Outlines 99 0 R >>"),
    "key given twice with one value": Shape(form=b"<< /Fields [6 0 R] /SigFlags 3 /SigFlags 3 >>"),
    "comments between tokens": Shape(
        dictionary=b"<< /Type %c\n/Sig %(\n/SubFilter /%F /ByteRange %R %c\r\n/Contents %C >>"
    ),
}

REPAIRED: dict[str, Shape] = {
    "number behind startxref off": Shape(drift=3),
    "number behind startxref far off": Shape(drift=-200),
    "no end mark": Shape(end=b""),
}

HARMFUL: dict[str, Shape] = {
    "range not from 0": Shape(numbers=number_of_range(0, 1)),
    "first range short": Shape(numbers=number_of_range(1, -2)),
    "first range long": Shape(numbers=number_of_range(1, 2)),
    "second range early": Shape(numbers=number_of_range(2, -1)),
    "second range short": Shape(numbers=number_of_range(3, -2)),
    "second range past the end": Shape(numbers=number_of_range(3, 1)),
    "range negative": Shape(numbers=lambda n: b"[0 %d %d -%d" % n),
    "range of two numbers": Shape(numbers=lambda n: b"[0 %d" % n[0]),
    "range of six numbers": Shape(numbers=lambda n: b"[0 %d %d 9 9 9" % n[:2]),
    "range of names": Shape(numbers=lambda n: b"[/A /B /C /D"),
    "range empty": Shape(numbers=lambda n: b"["),
    "range null": Shape(dictionary=OTHER + b"/ByteRange null /Contents %C >>"),
    "range a string": Shape(dictionary=OTHER + b"/ByteRange (0 1 2 3) /Contents %C >>"),
    "range missing": Shape(dictionary=OTHER + b"/Contents %C >>"),
    "range twice": Shape(dictionary=OTHER + b"/ByteRange %R /ByteRange [0 9 99 9] /Contents %C >>"),
    "range leads nowhere": Shape(dictionary=OTHER + b"/ByteRange 99 0 R /Contents %C >>"),
    "contents missing": Shape(dictionary=OTHER + b"/ByteRange %R /Content %C >>"),
    "contents null": Shape(dictionary=OTHER + b"/ByteRange %R /Content %C /Contents null >>"),
    "contents empty": Shape(dictionary=OTHER + b"/ByteRange %R /Content %C /Contents <> >>"),
    "contents one zero": Shape(dictionary=OTHER + b"/ByteRange %R /Content %C /Contents <00> >>"),
    "contents a literal string": Shape(dictionary=OTHER + b"/ByteRange %R /Content %C /Contents (0) >>"),
    "contents twice": Shape(dictionary=OTHER + b"/ByteRange %R /Contents %C /Contents <00> >>"),
    "contents in an object of its own": Shape(
        dictionary=OTHER + b"/ByteRange %R /Contents 8 0 R >>", more=((8, b"%C"),)
    ),
    "contents all zero": Shape(make=lambda identity, data: b""),
    "contents no CMS": Shape(make=lambda identity, data: b"\x04\x03abc"),
    "value of the gap elsewhere": Shape(
        dictionary=OTHER + b"/ByteRange %R /Contents <" + b"0" * 200 + b"> /Other %C >>",
    ),
    "gap larger than the string": Shape(
        dictionary=OTHER + b"/ByteRange %R /Contents %C /Reason (x) >>",
        numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 12, n[2] - 12),
    ),
    "gap with another string": Shape(
        dictionary=OTHER + b"/ByteRange %R /Contents %C <00> >>",
        numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 5, n[2] - 5),
    ),
    "object defined a second time": Shape(more=((8, b"(x)\nendobj\n7 0 obj\n<< /Type /Sig >>"),)),
    "letters in the string": Shape(after=replaced(b"0" * 40 + b">", b"0" * 39 + b"g>")),
    "a byte of the page": Shape(after=replaced(b"50 700 m", b"51 700 m")),
    "a byte of the form": Shape(after=replaced(b"/SigFlags 3", b"/SigFlags 1")),
    "a byte of the value": Shape(make=lambda identity, data: forged(identity, data)),
    "other content inside": Shape(sub_filter=b"adbe.pkcs7.sha1", make=lambda i, d: digest_inside(i, d + b"x")),
    "bare value over something else": Shape(
        dictionary=OTHER + b"/Cert <%X> /ByteRange %R /Contents %C >>",
        sub_filter=b"adbe.x509.rsa_sha1",
        make=lambda identity, data: bare(identity, data + b"x"),
    ),
}


def forged(identity: DevIdentity, data: bytes) -> bytes:
    """Return a CMS of which the last octet, one of the value, is another."""
    made = forge_plain(identity, data)
    return made[:-1] + bytes((made[-1] ^ 1,))


def forge_plain(identity: DevIdentity, data: bytes) -> bytes:
    """Return a plain CMS."""
    return Shape().make(identity, data)


@pytest.fixture(scope="module")
def signer(pki: DevPki) -> DevIdentity:
    """A person with an RSA key, which every form can use."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu B"), key_type="rsa2048")


def judged(shape: Shape, signer: DevIdentity, context: Context) -> Report:
    """Write a shape and judge it by its bytes alone."""
    shape = replace(shape, dictionary=shape.dictionary.replace(b"%X", signer.certificate.hex().encode()))
    bytes_only = replace(context, trust=TrustStore(), policy=PolicyName.INTEGRITY_ONLY)
    return inspect_pdf(forge(signer, shape), context=bytes_only)


@pytest.mark.parametrize("name", GOOD)
def test_what_other_programs_write_is_intact(name: str, signer: DevIdentity, context: Context) -> None:
    """Refusing a good file is the second worst fault (A1)."""
    report = judged(GOOD[name], signer, context)
    (one,) = report.signatures
    assert one.integrity is Integrity.INTACT, one.reasons
    assert one.crypto is Crypto.OK
    assert one.covers is Covers.WHOLE
    assert one.signer.name == "Trần Thị Mẫu"
    assert report.verdict is Verdict.VALID
    assert Code.REPAIRED not in {warning.code for warning in report.warnings}


@pytest.mark.parametrize("name", REPAIRED)
def test_a_file_slightly_damaged_is_read_by_recovery(name: str, signer: DevIdentity, context: Context) -> None:
    """Damaged, both readings equal: intact, with a warning (4.4)."""
    report = judged(REPAIRED[name], signer, context)
    (one,) = report.signatures
    assert one.integrity is Integrity.INTACT, one.reasons
    assert Code.REPAIRED in {warning.code for warning in report.warnings}


@pytest.mark.parametrize("name", HARMFUL)
def test_what_does_not_cover_the_document_is_broken(name: str, signer: DevIdentity, context: Context) -> None:
    """No attack on range, value or dictionary passes, whatever the policy and trust (C1 to C5)."""
    report = judged(HARMFUL[name], signer, context)
    assert report.signatures
    assert all(one.integrity is Integrity.BROKEN for one in report.signatures), report.signatures
    assert report.verdict is Verdict.INVALID


def test_several_signers_of_one_value(signer: DevIdentity, person: DevIdentity, context: Context) -> None:
    """Each is listed by name and number, and every one must hold (D5, E4)."""
    data = forge(signer, Shape(make=with_signer(person)))
    report = inspect_pdf(data, context=context)
    assert [one.id for one in report.signatures] == ["Ky#0", "Ky#1"]
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    assert {one.signer.name for one in report.signatures} == {"Trần Thị Mẫu", "Nguyễn Văn Mẫu"}
    assert report.verdict is Verdict.VALID
    changed = forge(signer, Shape(make=lambda i, d: with_signer(person)(i, d)[:-1] + b"\0"))
    report = inspect_pdf(changed, context=context)
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT, Integrity.BROKEN}
    assert report.verdict is Verdict.INVALID


def test_a_certificate_of_a_stranger_beside_is_no_fault(
    signer: DevIdentity, person: DevIdentity, context: Context
) -> None:
    """Writers put all kinds of certificates into the list; only those that fit are used."""
    (one,) = inspect_pdf(forge(signer, Shape(make=with_member(person.certificate))), context=context).signatures
    assert one.integrity is Integrity.INTACT
    assert Code.MALFORMED not in {warning.code for warning in one.warnings}


def test_nonzero_padding_is_named(signer: DevIdentity, context: Context) -> None:
    """Octets behind the CMS that are not zero are no part of it, and are said (E4)."""
    (one,) = judged(Shape(make=followed(b"\0\0xyz")), signer, context).signatures
    assert one.integrity is Integrity.INTACT
    assert Code.CONTENTS_PADDING in {warning.code for warning in one.warnings}


def test_a_certificate_that_is_absent_leaves_the_bytes_intact(signer: DevIdentity, context: Context) -> None:
    """The digest of the bytes is the signed one; by whom is not known (4.4, row 9 of 1.3)."""
    data = forge(signer, Shape(make=without_certificate))
    for trust in (TrustStore(), context.trust):
        report = inspect_pdf(data, context=replace(context, trust=trust))
        (one,) = report.signatures
        assert (one.integrity, one.crypto) == (Integrity.INTACT, Crypto.UNKNOWN)
        assert one.sub_indication is Code.NO_SIGNING_CERTIFICATE_FOUND
        assert report.verdict is Verdict.INDETERMINATE
    given = context.with_trust(TrustStore(intermediates=(signer.certificate,)))
    (one,) = inspect_pdf(data, context=given).signatures
    assert (one.integrity, one.crypto) == (Integrity.INTACT, Crypto.OK)


def test_an_absent_certificate_does_not_hide_a_changed_byte(signer: DevIdentity, context: Context) -> None:
    """The digest is compared all the same."""
    shape = Shape(make=without_certificate, after=replaced(b"50 700 m", b"51 700 m"))
    (one,) = judged(shape, signer, context).signatures
    assert one.integrity is Integrity.BROKEN


def test_a_signature_of_unknown_kind_is_listed(signer: DevIdentity, context: Context) -> None:
    """Never dropped: integrity unknown, and the SubFilter named (D4)."""
    shape = Shape(sub_filter=b"Example.other", make=lambda identity, data: b"\x01\x02\x03")
    report = judged(shape, signer, context)
    (one,) = report.signatures
    assert one.integrity is Integrity.UNKNOWN
    assert {"SUBFILTER_UNKNOWN"} <= {reason.code.value for reason in one.reasons}
    assert report.verdict is Verdict.INDETERMINATE


def test_a_dictionary_that_no_field_reaches_is_named(signer: DevIdentity, context: Context) -> None:
    """Warning, for nobody is shown it (D3)."""
    field = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /F 132 /Rect [0 0 0 0] /P 3 0 R >>"
    report = judged(Shape(field=field), signer, context)
    assert not report.signatures
    assert Code.SIGNATURE_NOT_IN_FORM in {warning.code for warning in report.warnings}


def test_usage_rights_are_no_signature(signer: DevIdentity, context: Context) -> None:
    """Reader software grants itself rights by a signature of its maker; that is nobody's signature (D5)."""
    rights = b"<< /Type /Sig /Filter /Adobe.PPKLite /ByteRange [0 1 2 3] /Contents <00> >>"
    catalog = b"<< /Type /Catalog /Pages 2 0 R /AcroForm 5 0 R /Perms << /UR3 8 0 R >> >>"
    report = judged(Shape(catalog=catalog, more=((8, rights),)), signer, context)
    assert [one.id for one in report.signatures] == ["Ky"]
    assert [warning.code for warning in report.warnings] == [Code.USAGE_RIGHTS]


@pytest.mark.parametrize(
    "name", ["plain", "cross-reference stream", "digits in mixed case", "CMS with lengths left open"]
)
def test_pdfsig_as_second_opinion(name: str, signer: DevIdentity, file_of: Callable[[bytes], str]) -> None:
    """What the forge writes is what another checker calls valid."""
    said = run("pdfsig", "-nocert", file_of(forge(signer, GOOD[name]))).stdout
    assert b"Signature is Valid" in said


UPDATES: dict[str, dict[int, bytes]] = {
    "catalog taken away": {1: b"<< /Length 5 >>\nstream\n0 g f\nendstream"},
    "catalog a number": {1: b"17"},
    "page content with a key without value": {4: b"<< /Length   >>\nstream\n0 0 1 RG 50 700 m 90 700 l S\nendstream"},
    "page with a word for a key": {
        3: b"<< /Type /Page x /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Annots [6 0 R] >>"
    },
    "page with two contents": {
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 9 0 R /Contents 4 0 R /Annots [6 0 R] >>",
        9: b"<< /Length 5 >>\nstream\n0 g f\nendstream",
    },
    "signature without range": {7: b"<< /Type /Sig /Filter /X /SubFilter /adbe.pkcs7.detached /Contents <00> >>"},
    "signature without contents": {7: b"<< /Type /Sig /Filter /X /SubFilter /adbe.pkcs7.detached /ByteRange [0 1] >>"},
    "signature a null": {7: b"null"},
    "field without its value": {
        6: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Ky) /F 132 /Rect [0 0 0 0] /P 3 0 R >>"
    },
    "field of another name": {
        6: b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Khac) /V 7 0 R /F 132 /Rect [0 0 0 0] /P 3 0 R >>"
    },
}


@pytest.mark.parametrize("name", UPDATES)
def test_an_update_that_hides_or_confuses_breaks(name: str, signer: DevIdentity, context: Context) -> None:
    """What readers make different things of, or that takes the signature away, is never intact (G5, D3)."""
    data = update(forge(signer, Shape()), UPDATES[name])
    report = inspect_pdf(data, context=replace(context, trust=TrustStore(), policy=PolicyName.INTEGRITY_ONLY))
    assert report.signatures
    assert Integrity.INTACT not in {one.integrity for one in report.signatures}, report.signatures
    assert report.verdict is Verdict.INVALID


def saved_anew(data: bytes, objects: dict[int, bytes]) -> bytes:
    """Append a whole document whose cross-references do not lead back to what was there."""
    out, rows = bytearray(data), b"0000000000 65535 f \n"
    for number in range(1, max(objects) + 1):
        rows += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, objects[number])
    start = len(out)
    out += b"xref\n0 %d\n%s" % (len(objects) + 1, rows)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    return bytes(out)


@pytest.mark.parametrize("previous", [b"", b" /Prev 0"])
def test_a_document_behind_the_signed_one_does_not_hide_it(
    previous: bytes, signer: DevIdentity, context: Context
) -> None:
    """What was signed is listed although no cross-reference leads to it, and what replaced it is suspect (G4, D3)."""
    evil = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R >>",
        4: b"<< /Length 5 >>\nstream\n0 g f\nendstream",
    }
    data = saved_anew(forge(signer, Shape()), evil)
    at = data.rindex(b"/Root 1 0 R") + 11
    data = data[:at] + previous + data[at:]
    report = inspect_pdf(data, context=replace(context, trust=TrustStore(), policy=PolicyName.INTEGRITY_ONLY))
    (one,) = report.signatures
    assert (one.id, one.integrity, one.crypto) == ("Ky", Integrity.BROKEN, Crypto.OK)
    assert report.verdict is Verdict.INVALID
