"""Fixtures of the PDF tests: the office, small files, and the sample letter signed step by step."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest

from signer.devpki import DevIdentity, DevTimestamper
from signer.pdf.sign import SignedPdf, Visible
from signer.trust import Context
from tests.signer_pdf.files import Office, simple
from transport.demo.letter import LETTER, sample


@pytest.fixture(scope="session")
def office(
    person: DevIdentity, agency: DevIdentity, timestamper: DevTimestamper, context: Context, now: datetime
) -> Office:
    """Leader and agency A with their keys."""
    return Office(person, agency, timestamper, context, now)


@pytest.fixture(scope="session")
def letter() -> bytes:
    """The sample letter, unsigned."""
    return sample("letter.pdf")


@pytest.fixture(scope="session")
def steps(office: Office, letter: bytes) -> tuple[SignedPdf, ...]:
    """The letter after each step: leader, number, date, seal."""
    leader = office.by_person(letter, Visible("signature", box_mm=LETTER.signature, image=sample("signature.png")))
    number = office.by_agency(leader.data, Visible("number", box_mm=LETTER.number, text=LETTER.number_text))
    date = office.by_agency(number.data, Visible("date", box_mm=LETTER.date, text=LETTER.date_text(20, 11, 2026)))
    seal = office.by_agency(date.data, Visible("seal", image=sample("seal.png"), diameter_mm=LETTER.seal_diameter))
    return leader, number, date, seal


@pytest.fixture(scope="session")
def plain() -> bytes:
    """A small PDF of one page."""
    return simple()


@pytest.fixture(scope="session")
def small(office: Office, plain: bytes) -> bytes:
    """A small PDF signed without anything visible, at level B."""
    return office.by_person(plain, level="b").data


@pytest.fixture
def file_of(tmp_path: Path) -> Callable[[bytes], str]:
    """Write bytes to a file and return its path."""

    def write(data: bytes) -> str:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pdf"
        path.write_bytes(data)
        return str(path)

    return write
