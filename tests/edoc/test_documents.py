"""Types, secrecy marks, names for transport, numbers and codes of documents (R1, R20 to R22, R98)."""

from __future__ import annotations

import re
import unicodedata
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edoc.documents import TYPES, Document, classify, has_secret_mark, is_secret, transport_name, type_of
from edoc.numbering import (
    code_of,
    document_id_of,
    document_id_parts,
    legal_code,
    notation_of,
    render_number,
    split_code,
)


def test_there_are_29_types_with_their_own_names_and_abbreviations() -> None:
    """Decree 30/2020, App. III; two have no abbreviation."""
    assert len(TYPES) == 29
    assert len({type_of(item.name) for item in TYPES}) == 29
    assert len({item.abbreviation for item in TYPES if item.abbreviation}) == 27
    assert {item.name for item in TYPES if not item.abbreviation} == {"Công văn", "Thư công"}


@pytest.mark.parametrize(
    ("name", "group", "number"),
    [
        ("Công văn", 2, 18),
        ("CÔNG VĂN", 2, 18),
        ("cong van", 2, 18),
        (unicodedata.normalize("NFD", "Công văn"), 2, 18),
        ("Quyết định", 2, 2),
        ("Quyết định (cá biệt)", 2, 2),
        ("Bản thoả thuận", 2, 22),
        ("Bản thỏa thuận", 2, 22),
        ("Giấy uỷ quyền", 2, 24),
        ("Phiếu báo", 2, 0),
        ("Thông tư", 1, 0),
        ("Nghị định", 1, 0),
        ("Báo cáo nhanh", 2, 0),
    ],
)
def test_types_are_told_by_name(name: str, group: int, number: int) -> None:
    """Case, accents and tone placement do not matter (edxml.md 11.3)."""
    found = classify(name)
    assert (found.group, found.number) == (group, number)


@pytest.mark.parametrize(
    "text",
    [
        "Mật",
        "MẬT",
        "Tối mật",
        "TUYỆT  MẬT",
        "[MẬT] V/v họp",
        "V/v họp (Tối mật)",
        "Độ mật: Mật",
        "độ mật - tuyệt mật",
        "MẬT - V/v họp",
        "V/v họp - TỐI MẬT",
        unicodedata.normalize("NFD", "Mật"),
    ],
)
def test_marks_of_secrecy_are_seen(text: str) -> None:
    """R1: mật, tối mật, tuyệt mật as a mark."""
    assert has_secret_mark(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "V/v bảo mật thông tin",
        "Quy chế bảo vệ bí mật nhà nước",
        "V/v cấp lại mật khẩu",
        "Mật độ dân số",
        "Danh mục bí mật (dự thảo)",
        "V/v phổ biến danh mục tài liệu tuyệt mật",
        "mật ong",
    ],
)
def test_talking_of_secrets_is_no_mark(text: str) -> None:
    """Ordinary words stay ordinary."""
    assert not has_secret_mark(text)


@pytest.mark.parametrize("field", ["sphere", "notation", "subject", "content", "type_name"])
def test_a_mark_in_any_field_makes_a_document_secret(field: str) -> None:
    """Wherever the drafter put it."""
    values = {"number": "01", "notation": "SMA-VP", "date": None, "type_name": "Công văn", "subject": "V/v họp"}
    assert not is_secret(Document(**values))  # type: ignore[arg-type]  # texts and None, as the fields want
    values[field] = "SMA-MẬT" if field == "notation" else "Tối mật"
    assert is_secret(Document(**values))  # type: ignore[arg-type]  # as above


@pytest.mark.parametrize(
    ("name", "result"),
    [
        ("Công văn số 120.signed.pdf", "Cong-van-so-120.signed.pdf"),
        ("Đề án/2026 (bản cuối).docx", "De-an-2026-ban-cuoi.docx"),
        ("???", "tep"),
        (".pdf", "pdf"),
        ("x" * 80 + ".pdf", "x" * 46 + ".pdf"),
    ],
)
def test_names_for_transport(name: str, result: str) -> None:
    """R98: at most 50 characters, plain letters, the extension kept."""
    assert transport_name(name) == result


@given(st.text(max_size=120))
def test_any_name_gets_a_name_fit_for_transport(name: str) -> None:
    """Never empty, never longer than 50, nothing but letters, digits, dot, hyphen, underscore."""
    result = transport_name(name)
    assert 0 < len(result) <= 50
    assert result.isascii()
    assert not set(result) - set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
    assert transport_name(result) == result


def test_numbers_and_notations_are_written_as_the_decree_wants() -> None:
    """Leading zero below 10, type and agency or agency and unit, the year in legal documents (R20)."""
    assert [render_number(n) for n in (1, 9, 10, 120)] == ["01", "09", "10", "120"]
    with pytest.raises(ValueError, match="from 1"):
        render_number(0)
    assert notation_of("BNV", unit="VP") == "BNV-VP"
    assert notation_of("UBND", type_abbreviation="QĐ") == "QĐ-UBND"
    assert code_of(render_number(5), notation_of("BNV", unit="VP")) == "05/BNV-VP"
    assert legal_code(28, year=2018, type_abbreviation="QĐ", agency="TTg") == "28/2018/QĐ-TTg"


@pytest.mark.parametrize(
    ("code", "parts"),
    [
        ("120/SMA-VP", ("120", "SMA-VP")),
        ("28/2018/QĐ-TTg", ("28/2018", "QĐ-TTg")),
        ("05/A/B", ("05", "A/B")),
        ("7", ("7", "")),
    ],
)
def test_codes_are_taken_apart(code: str, parts: tuple[str, str]) -> None:
    """A year belongs to the number."""
    assert split_code(code) == parts
    assert code_of(*parts) == code


def test_the_code_of_a_document_names_agency_day_and_number() -> None:
    """R22, spelled as on the wire (edxml.md 10.2)."""
    written = document_id_of("H99.01", date(2025, 11, 20), "120/SMA-VP")
    assert written == "H99.01,2025/11/20,120/SMA-VP"
    assert document_id_parts(written) == ("H99.01", date(2025, 11, 20), "120/SMA-VP")


@pytest.mark.parametrize(
    "text", ["", "H99.01,2025-11-20,120", "H99.01,2025/02/30,120", "a,b", "H99.01,2025/11/20,1,2", "H99.01,2025/1/2,1"]
)
def test_other_spellings_are_opaque(text: str) -> None:
    """They are no parts we know."""
    assert document_id_parts(text) is None


def test_every_spelling_of_the_mark_that_is_looked_for_has_the_word_it_is_looked_for_by() -> None:
    """Marks are only looked for where the word stands, without regard to case: no letter may stand for its letters."""
    for letter in "mật":
        also = [chr(n) for n in range(0x110000) if re.fullmatch(letter, chr(n), re.IGNORECASE)]
        assert {char.casefold() for char in also} == {letter}
