"""Copies and conversions in the lawful directions, marked and numbered (R47 to R52)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from edoc.copies import (
    DIRECTIONS,
    Form,
    Medium,
    check_direction,
    conversion_mark,
    copy_line,
    copy_number,
    refuse_held,
    scan_faults,
)
from edoc.errors import CopyRefused

PAPER, FILE = Medium.PAPER, Medium.FILE


@dataclass(frozen=True)
class Page:
    number: int = 1
    size_mm: tuple[float, float] = (210.0, 297.0)
    dpi: int | None = 300
    colour: bool | None = True

    @property
    def is_scan(self) -> bool:
        return self.dpi is not None


@pytest.mark.parametrize("form", list(Form))
@pytest.mark.parametrize(("source", "target"), [(PAPER, PAPER), (FILE, PAPER), (PAPER, FILE)])
def test_every_form_leads_between_paper_and_file(form: Form, source: Medium, target: Medium) -> None:
    check_direction(form, source, target, name="x.pdf")
    assert (source, target) in DIRECTIONS[form]


def test_only_an_extract_leads_from_file_to_file() -> None:
    check_direction(Form.TRS, FILE, FILE, name="x.pdf")
    for form in (Form.SY, Form.SL):
        with pytest.raises(CopyRefused) as caught:
            check_direction(form, FILE, FILE, name="x.pdf")
        assert (caught.value.code, caught.value.facts["form"]) == ("EDOC-DOC-085", form.words)


def test_the_line_states_the_form_and_the_agency() -> None:
    assert copy_line(Form.SL, " Sở Mẫu A ") == "SAO LỤC; Sở Mẫu A"
    assert copy_line(Form.TRS, None) == "TRÍCH SAO"


def test_copies_on_paper_are_numbered_with_the_abbreviation_of_the_form() -> None:
    assert [copy_number(form, 5, "SMA") for form in Form] == ["05/SY-SMA", "05/SL-SMA", "05/TrS-SMA"]


def test_the_mark_of_a_conversion_names_person_and_time_in_vietnam() -> None:
    mark = conversion_mark("Trần Thị Mẫu", datetime(2026, 11, 20, 2, 30, 5, tzinfo=UTC))
    assert mark == "Chuyển đổi từ bản giấy; Trần Thị Mẫu; 20/11/2026; 09:30:05 +07:00"
    with pytest.raises(ValueError, match="offset"):
        conversion_mark("x", datetime(2026, 11, 20))


@pytest.mark.parametrize(
    ("version", "page", "faults"),
    [
        ("1.4", Page(), []),
        ("2.0", Page(dpi=200), []),
        ("1.3", Page(), [("version", "1.3", None, True)]),
        ("x", Page(), [("version", "x", None, True)]),
        ("1.7", Page(dpi=199), [("resolution", "199", 1, True)]),
        ("1.7", Page(colour=False), [("colour", "-", 1, True)]),
        ("1.7", Page(colour=None), []),
        ("1.7", Page(size_mm=(297.4, 209.6)), []),
        ("1.7", Page(size_mm=(100, 141)), [("paper", "100 × 141", 1, False)]),
        ("1.7", Page(dpi=None), [("no-scan", "-", 1, False)]),
    ],
)
def test_a_scan_has_its_measures_and_each_fault_its_value(
    version: str, page: Page, faults: list[tuple[str, str, int | None, bool]]
) -> None:
    found = scan_faults(version, [page])
    assert [(fault.what, fault.value, fault.page, fault.hard) for fault in found] == faults


def test_what_is_held_as_a_signed_original_is_not_scanned_again() -> None:
    refuse_held("x.pdf", "120/SMA-VP", "information-only")
    refuse_held("x.pdf", "120/SMA-VP", None)
    with pytest.raises(CopyRefused) as caught:
        refuse_held("x.pdf", "120/SMA-VP", "original")
    assert caught.value.code == "EDOC-DOC-087"
