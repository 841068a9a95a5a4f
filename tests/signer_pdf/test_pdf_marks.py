"""Urgency stamps and circulation marks: what they do to files of every make (regulations.md 6; signing.md 3.1, 3.3)."""

from __future__ import annotations

from pathlib import Path

import pytest

from signer.errors import InputRefused, LimitExceeded, SignerError
from signer.pdf.marks import MARKS, mark_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Integrity
from signer.trust import Context, Limits
from tests.signer_pdf.files import Office, run, simple
from tests.signer_pdf.measuring import text_by_pdfium
from tests.signer_pdf.oracle import strictly_read
from tests.signer_pdf.shapes import Shape, make, shapes

BOX = (10.0, 10.0, 40.0, 8.0)
SHAPES = shapes(60, seed=7)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_files_of_every_make_take_a_mark_and_a_signature_behind_it(
    shape: Shape, office: Office, context: Context, tmp_path: Path
) -> None:
    """Tables, streams, object streams, broken lines, odd spellings: the input is a prefix, the mark can be read."""
    data = make(shape)
    refused = why_unsignable(data, office)
    if refused is not None:
        with pytest.raises(InputRefused) as caught:
            mark_pdf(data, "THƯỢNG KHẨN", box_mm=BOX)
        assert caught.value.code == refused
        return
    marked = mark_pdf(data, "THƯỢNG KHẨN", box_mm=BOX)
    assert marked.startswith(data)
    strictly_read(marked)
    assert "THƯỢNG KHẨN" in text_by_pdfium(marked)
    (tmp_path / "marked.pdf").write_bytes(marked)
    assert b"error" not in run("qpdf", "--check", str(tmp_path / "marked.pdf")).stderr.lower()
    (one,) = inspect_pdf(office.by_person(marked, level="b").data, context=context).signatures
    assert one.integrity is Integrity.INTACT


def why_unsignable(data: bytes, office: Office) -> str | None:
    """Return why a file cannot be signed either, or ``None``."""
    try:
        office.by_person(data, level="b")
    except SignerError as refused:
        return refused.code
    return None


HOSTILE = {
    "empty": (b"", "EDOC-PDF-003"),
    "no PDF": (b"PK\x03\x04", "EDOC-PDF-001"),
    "encrypted": (simple().replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt << >>"), "EDOC-PDF-004"),
    "damaged": (simple().replace(b"startxref\n", b"startxref\n9"), "EDOC-PDF-005"),
    "a script": (simple(catalog=b"/OpenAction << /S /JavaScript /JS (x) >>"), None),
    "something behind the end": (simple() + b"<script>", "EDOC-PDF-005"),
    "pages that hold themselves": (simple().replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]"), "EDOC-PDF-005"),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_what_cannot_be_signed_cannot_be_marked(kind: str) -> None:
    """Refused with a code, as at signing; never a crash."""
    data, code = HOSTILE[kind]
    with pytest.raises(InputRefused) as refused:
        mark_pdf(data, "KHẨN", box_mm=BOX)
    assert refused.value.code.startswith("EDOC-PDF-")
    assert code is None or refused.value.code == code


def test_a_file_over_a_limit_takes_no_mark() -> None:
    """The limits are those of signing."""
    with pytest.raises(LimitExceeded):
        mark_pdf(simple(), "KHẨN", box_mm=BOX, limits=Limits(pdf_max_bytes=100))


def test_all_marks_find_room_on_one_page_but_none_over_another() -> None:
    """A mark is a stamp that is printed, locked and says what it shows."""
    data = simple()
    for row, mark in enumerate(MARKS):
        data = mark_pdf(data, mark, box_mm=(20.0, 60.0 + 10 * row, 80.0, 8.0))
    assert data.count(b"/Subtype /Stamp") == len(MARKS)
    assert data.count(b"/F 196") == len(MARKS)
    text = text_by_pdfium(data)
    assert all(mark in text for mark in MARKS)
    with pytest.raises(InputRefused) as refused:
        mark_pdf(data, "KHẨN", box_mm=(40.0, 65.0, 20.0, 8.0))
    assert refused.value.code == "EDOC-PDF-014"
