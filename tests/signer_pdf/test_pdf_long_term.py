"""Validation data and document time stamps: what they prove, and the level reached (signing.md 3.1, 7.2)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime

import pytest

from signer.devpki import DevPki, DevTimestamper
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Integrity, Report, Verdict
from signer.timestamp import obtain
from signer.trust import Context
from tests.signer_pdf.files import Office, simple, update
from tests.signer_pdf.forge import CONTENTS, RANGE


def numbered(data: bytes, entries: bytes) -> tuple[int, bytes]:
    """Return the number of the catalogue and its latest definition with entries added."""
    body = data[data.rindex(b"1 0 obj") + 7 :]
    body = body[: body.index(b"endobj")].strip()
    return 1, body.removesuffix(b">>") + entries + b" >>"


def with_validation_data(data: bytes, pki: DevPki, now: datetime, *, lists: bool = True) -> bytes:
    """Append ``/DSS`` with the authority's certificates and lists."""
    parts = [pki.issuing.certificate, pki.root.certificate]
    crls = [pki.crl(at=now), pki.root_crl(at=now)] if lists else []
    objects = {
        100 + index: b"<< /Length %d >>\nstream\n%s\nendstream" % (len(der), der)
        for index, der in enumerate([*parts, *crls])
    }
    certs, answers = b"100 0 R 101 0 R", b"102 0 R 103 0 R" if lists else b""
    number, catalog = numbered(data, b" /DSS << /Certs [%s] /CRLs [%s] >>" % (certs, answers))
    return update(data, {number: catalog, **objects})


def with_document_stamp(data: bytes, timestamper: DevTimestamper, *, over: bytes | None = None) -> bytes:
    """Append an update with a document time stamp, an invisible field of its own."""
    form = int(data[data.rindex(b"/AcroForm") + 9 :].split()[0])
    body = data[data.rindex(b"\n%d 0 obj" % form) :]
    body = body[: body.index(b"endobj")].split(b"obj", 1)[1].strip()
    listed = body.replace(b"/Fields [", b"/Fields [ 111 0 R ", 1)
    field = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (Dau) /V 110 0 R /F 132 /Rect [0 0 0 0] /P 3 0 R >>"
    head = b"<< /Type /DocTimeStamp /Filter /Adobe.PPKLite /SubFilter /ETSI.RFC3161 /ByteRange %s /Contents %s >>"
    page = data[data.rindex(b"\n3 0 obj") :]
    page = page[: page.index(b"endobj")].split(b"obj", 1)[1].strip().replace(b"/Annots [", b"/Annots [ 111 0 R ", 1)
    made = update(data, {110: head % (RANGE, CONTENTS), 111: field, form: listed, 3: page})
    start = made.rindex(CONTENTS)
    end = start + len(CONTENTS)
    at = made.rindex(RANGE)
    text = b"[0 %d %d %d" % (start, end, len(made) - end)
    made = made[:at] + text.ljust(len(RANGE) - 1) + b"]" + made[at + len(RANGE) :]
    covered = made[:start] + made[end:]
    token = obtain(timestamper, hashlib.sha256(covered if over is None else over).digest())
    digits = token.hex().encode().ljust(len(CONTENTS) - 2, b"0")
    return made[: start + 1] + digits + made[end - 1 :]


@pytest.fixture(scope="module")
def stamped(office: Office) -> bytes:
    """A file at level T."""
    return office.by_person(simple()).data


def levels(report: Report) -> list[str]:
    """Return the level of each signature."""
    return [one.level for one in report.signatures]


def test_levels_that_were_reached(stamped: bytes, pki: DevPki, timestamper: DevTimestamper, context: Context) -> None:
    """T, LT with certificates and lists of the whole path, LTA with a stamp over them."""
    assert levels(inspect_pdf(stamped, context=context)) == ["PAdES-B-T"]
    half = with_validation_data(stamped, pki, context.at, lists=False)
    assert levels(inspect_pdf(half, context=context)) == ["PAdES-B-T"]
    whole = with_validation_data(stamped, pki, context.at)
    report = inspect_pdf(whole, context=context)
    assert levels(report) == ["PAdES-B-LT"]
    assert {change.kind for change in report.signatures[0].changes} == {"validation-data"}
    sealed = with_document_stamp(whole, timestamper)
    report = inspect_pdf(sealed, context=context)
    assert levels(report) == ["PAdES-B-LTA", "RFC3161"]
    assert report.verdict is Verdict.VALID
    assert [one.integrity for one in report.signatures] == [Integrity.INTACT] * 2
    assert [stamp.kind for stamp in report.signatures[0].timestamps] == ["signature", "archive"]


def test_a_document_stamp_alone_proves_the_time(small: bytes, timestamper: DevTimestamper, context: Context) -> None:
    """B becomes T by a stamp over the document (3.1)."""
    report = inspect_pdf(with_document_stamp(small, timestamper), context=context)
    first, second = report.signatures
    assert (first.level, first.time_source) == ("PAdES-B-T", "archive-timestamp")
    assert (second.kind, second.signing_time) == ("timestamp", context.at)


def test_a_foreign_stamp_is_broken(small: bytes, timestamper: DevTimestamper, context: Context) -> None:
    """A token over other bytes proves nothing, and the file is invalid (A3)."""
    report = inspect_pdf(with_document_stamp(small, timestamper, over=b"other"), context=context)
    first, second = report.signatures
    assert first.level == "PAdES-B-B"
    assert second.integrity is Integrity.BROKEN
    assert second.sub_indication is Code.HASH_FAILURE
    assert report.verdict is Verdict.INVALID


def test_validation_data_in_the_file_serve_without_any_given(stamped: bytes, pki: DevPki, context: Context) -> None:
    """Lists in ``/DSS`` answer for the path; they are trusted for their signatures alone."""
    bare = replace(context, trust=replace(context.trust, crls=(), ocsps=(), intermediates=()))
    report = inspect_pdf(with_validation_data(stamped, pki, context.at), context=bare)
    (one,) = report.signatures
    assert one.integrity is Integrity.INTACT
    assert {answer.method for answer in one.revocation} <= {"crl", "none"}
