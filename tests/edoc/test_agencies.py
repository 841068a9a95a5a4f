"""Codes of agencies in both forms, and the directory: validity, successors, nearest proposals (R78 to R81)."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edoc.agencies import Agency, AgencyCertificate, Directory, check_code, code_form, is_centre
from edoc.errors import ClosedAgency, InvalidCode, UnknownAgency

DAY = date(2026, 11, 20)
A = Agency("H99.01", "Sở Mẫu A", old_codes=("000.00.01.H99",), aliases=("so-mau-a",), former_names=("Sở Thử A",))
B = Agency(
    "H99.02",
    "Sở Mẫu B",
    certificates=(
        AgencyCertificate("exchange", b"x", "11" * 32, date(2026, 1, 1), date(2026, 12, 31)),
        AgencyCertificate("agency", b"y", "22" * 32),
    ),
)
OLD = Agency("H98.01", "Sở Mẫu Cũ", valid_to=date(2025, 6, 30), successor="H99.01")
OLDER = Agency("H97.01", "Sở Mẫu Cũ Hơn", valid_to=date(2015, 6, 30), successor="H98.01")
DIRECTORY = Directory((A, B, OLD, OLDER))


@pytest.mark.parametrize(
    ("code", "form"),
    [
        ("H99.01", "new"),
        ("G22.99.4", "new"),
        ("H37.DN.001", "new"),
        ("h99.01", "new"),
        ("A01" + ".1234567" * 4, "new"),
        ("000.00.00.G22", "old"),
        ("000.00.17.H36", "old"),
        ("Z01ABC123", "other"),
        ("Z99" + "A" * 32, "other"),
        ("0100000001", "business"),
        ("0100000001.001", "business"),
        ("A01" + ".12345678" * 4, None),  # 39 characters
        ("Z00ABC", None),
        ("Z01A.B", None),
        ("H9.01", None),
        ("H99.", None),
        ("H99..01", None),
        ("H99 01", None),
        ("Ｈ99.01", None),
        ("0000.00.17.H36", None),
        ("", None),
    ],
)
def test_codes_have_one_of_the_official_forms(code: str, form: str | None) -> None:
    """Root first, leaf first, Z form, business code; at most 35 characters."""
    assert code_form(code) == form


def test_a_code_is_checked_and_stays_unchanged() -> None:
    """Only white space around it goes."""
    assert check_code(" h99.01 ") == "h99.01"
    with pytest.raises(InvalidCode):
        check_code("Sở Mẫu A")


def test_centres_of_the_axis_are_never_recipients() -> None:
    """Codes that end in W00."""
    assert is_centre("00.53.W00")
    assert not is_centre("H99.01")


@pytest.mark.parametrize(
    "text", ["H99.01", "h99.01", " H99.01 ", "000.00.01.H99", "000.00.01.h99", "so-mau-a", "SO-MAU-A"]
)
def test_an_agency_is_found_by_either_code_and_alias(text: str) -> None:
    """Compared without letter case."""
    assert DIRECTORY.find(text) is A


def test_old_and_new_code_are_the_same_agency_only_through_the_directory() -> None:
    """Nothing is converted by arithmetic (R79)."""
    assert DIRECTORY.same("000.00.01.H99", "h99.01")
    assert not Directory(()).same("000.00.01.H99", "H99.01")
    assert not DIRECTORY.same("000.00.02.H99", "H99.02")
    assert DIRECTORY.canonical("000.00.01.H99") == "H99.01"
    assert DIRECTORY.canonical(" X ") == "X"


def test_what_two_agencies_claim_means_neither() -> None:
    """Nobody is addressed by a guess."""
    both = Directory((A, Agency("H99.03", "Sở Mẫu C", old_codes=("000.00.01.H99",), aliases=("So mau A", "so-mau-a"))))
    assert both.get("000.00.01.H99") is None
    with pytest.raises(UnknownAgency):
        both.find("so-mau-a")
    with pytest.raises(ValueError, match="same code"):
        Directory((A, Agency("h99.01", "Sở Khác")))


def test_an_unknown_agency_brings_the_nearest_three() -> None:
    """By code, alias and name."""
    with pytest.raises(UnknownAgency) as error:
        DIRECTORY.find("H99.1")
    nearest = error.value.facts["nearest"]
    assert isinstance(nearest, tuple)
    assert (len(nearest), nearest[0]) == (3, "H99.01")
    assert DIRECTORY.nearest("sở mẫu b")[0] == "H99.02"


def test_a_closed_code_brings_its_successor() -> None:
    """And the last of a chain of successors is found, also in a circle (R80)."""
    assert DIRECTORY.find("H98.01", on=date(2025, 6, 30)) is OLD
    with pytest.raises(ClosedAgency) as error:
        DIRECTORY.find("H98.01", on=date(2025, 7, 1))
    assert error.value.facts["successor"] == "H99.01"
    assert DIRECTORY.find("H98.01") is OLD
    assert DIRECTORY.successor_of("H97.01") is A
    assert DIRECTORY.successor_of("H99.01") is None
    assert DIRECTORY.predecessors_of("H99.01") == (OLD,)
    circle = Directory((Agency("H01", "X", successor="H02"), Agency("H02", "Y", successor="H01")))
    assert circle.successor_of("H01") is not None


def test_a_code_is_open_within_its_days() -> None:
    """Both days included; an unknown code is not open."""
    limited = Directory((Agency("H01", "X", valid_from=DAY, valid_to=DAY),))
    assert limited.open_on("H01", DAY)
    assert not limited.open_on("H01", date(2026, 11, 19))
    assert not limited.open_on("H01", date(2026, 11, 21))
    assert not limited.open_on("H02", DAY)


def test_certificates_are_registered_for_a_use_and_days() -> None:
    """R66: at that date, for that use."""
    assert [item.sha256 for item in DIRECTORY.certificates("H99.02", "exchange", DAY)] == ["11" * 32]
    assert DIRECTORY.certificates("H99.02", "exchange", date(2027, 1, 1)) == ()
    assert DIRECTORY.certificates("H99.02", "agency", date(2027, 1, 1)) != ()
    assert DIRECTORY.certificates("H00", "agency", DAY) == ()
    assert DIRECTORY.agency_of("11" * 32, "exchange", DAY) is B
    assert DIRECTORY.agency_of("11" * 32, "agency", DAY) is None
    assert DIRECTORY.knows_certificate("22" * 32)
    with pytest.raises(ValueError, match="registered"):
        AgencyCertificate("seal", b"", "")


def test_a_certificate_of_two_agencies_is_nobodys() -> None:
    """It tells nothing about who sealed."""
    shared = AgencyCertificate("exchange", b"x", "33" * 32)
    both = Directory((Agency("H01", "X", certificates=(shared,)), Agency("H02", "Y", certificates=(shared,))))
    assert both.agency_of("33" * 32, "exchange", DAY) is None


@given(st.text(max_size=40))
def test_any_text_is_a_code_or_refused(text: str) -> None:
    """No other outcome."""
    if code_form(text) is None:
        with pytest.raises(InvalidCode):
            check_code(text)
    else:
        assert check_code(text) == text.strip()
