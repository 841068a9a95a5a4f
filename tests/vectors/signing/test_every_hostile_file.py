"""Every hostile or odd file is signed correctly or refused with its own code, in bounded time and memory (K1; A5).

Signed correctly means: the input is a prefix, every signature is intact and nothing later is suspect; pdfsig finds the
new signature valid, qpdf has no complaint it had not about the input, and the pages look as before. Both paths of
signing give the same answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pypdfium2
import pytest

from signer.devpki import DevIdentity, DevTimestamper
from signer.pdf.sign import PdfOptions, SignedPdf, sign_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Integrity, LaterChanges, Verdict
from signer.trust import Context
from tests.signer_pdf.files import Office, run
from tests.signer_pdf.oracle import complaints_of_qpdf, pictures, said_by_pdfsig
from tests.vectors.signing.hostile import SIGNED, Hostile
from tests.vectors.signing.hostile_bytes import BYTES
from tests.vectors.signing.hostile_signed import SIGNED_FILES
from tests.vectors.signing.hostile_things import THINGS
from tests.vectors.signing.watching import watched
from transport.demo.letter import sample

VECTORS = [*BYTES, *THINGS]
SMALL = 200_000


@pytest.fixture(scope="module")
def office(
    person: DevIdentity, agency: DevIdentity, timestamper: DevTimestamper, context: Context, now: datetime
) -> Office:
    """The leader with a key."""
    return Office(person, agency, timestamper, context, now)


def options_for(vector: Hostile, office: Office, *, general: bool = False) -> PdfOptions:
    """Return how the file is to be signed."""
    plain = PdfOptions(at=office.now, level="b", general=general)
    return replace(plain, **vector.options)  # type: ignore[arg-type]


def check(data: bytes, signed: SignedPdf, office: Office) -> None:
    """Assert that a signed file is good."""
    assert signed.data.startswith(data)
    report = inspect_pdf(signed.data, context=office.context)
    assert report.verdict is Verdict.VALID
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    assert LaterChanges.SUSPECT not in {one.later_changes for one in report.signatures}
    assert signed.field in {one.id for one in report.signatures}


def test_no_two_vectors_have_one_name() -> None:
    names = [vector.name for vector in VECTORS]
    assert len(names) == len(set(names)) > 140


@pytest.mark.parametrize("general", [False, True], ids=["either", "general"])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.name)
def test_it_is_signed_correctly_or_refused_clearly(vector: Hostile, general: bool, office: Office) -> None:
    data, options = vector.make(), options_for(vector, office, general=general)
    ended = watched(lambda: sign_pdf(data, credential=office.person.credential, options=options))
    assert ended.outcome == vector.outcome, ended.said
    assert ended.bounded(len(data)), f"memory grew by {ended.growth} octets"
    assert (ended.signed is not None) == (vector.outcome == SIGNED)
    if ended.signed is not None:
        check(data, ended.signed, office)


@pytest.mark.tool("pdfsig")
@pytest.mark.tool("qpdf")
@pytest.mark.parametrize("vector", [one for one in VECTORS if one.outcome == SIGNED], ids=lambda vector: vector.name)
def test_other_programs_accept_what_is_signed(
    vector: Hostile, office: Office, tmp_path: Path, file_in: Callable[[bytes], Path]
) -> None:
    data = vector.make()
    signed = sign_pdf(data, credential=office.person.credential, options=options_for(vector, office)).data
    before, after = file_in(data), file_in(signed)
    assert sum("Signature is Valid" in line for line in said_by_pdfsig(after)) == 1
    if len(data) > SMALL:
        return
    assert not errors(after) - errors(before)
    drawn = drawn_pages(data) if vector.same else None
    if drawn is not None:
        assert drawn_pages(signed) == drawn


@pytest.fixture
def file_in(tmp_path: Path) -> Callable[[bytes], Path]:
    """Write a file and return its path."""

    def write(data: bytes) -> Path:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pdf"
        path.write_bytes(data)
        return path

    return write


def errors(path: Path) -> set[str]:
    """Return what qpdf complains of; its closing words are no complaint."""
    return {line for line in complaints_of_qpdf(path) if line.startswith(("WARNING", "ERROR"))}


def drawn_pages(data: bytes) -> list[bytes] | None:
    """Return the pages as PDFium draws them; ``None`` if it cannot."""
    try:
        return pictures(data)
    except pypdfium2.PdfiumError:
        return None


@pytest.mark.parametrize("name", SIGNED_FILES)
@pytest.mark.parametrize("general", [False, True], ids=["either", "general"])
def test_what_earlier_signers_forbid_or_somebody_broke_is_not_signed(name: str, general: bool, office: Office) -> None:
    make, outcome, given = SIGNED_FILES[name]
    data = make(office)
    options = options_for(Hostile(name, lambda: data, outcome, given), office, general=general)
    ended = watched(lambda: sign_pdf(data, credential=office.person.credential, options=options))
    assert ended.outcome == outcome, ended.said
    if ended.signed is not None:
        check(data, ended.signed, office)


@pytest.mark.tool("qpdf")
@pytest.mark.parametrize(
    "words",
    [
        ("--linearize",),
        ("--object-streams=generate",),
        ("--object-streams=generate", "--linearize"),
        ("--qdf",),
        ("--stream-data=uncompress", "--newline-before-endstream"),
    ],
    ids=" ".join,
)
def test_the_letter_as_other_programs_write_it_is_signed(
    words: tuple[str, ...], office: Office, tmp_path: Path, letter_file: Path
) -> None:
    """Linearised, packed and plain files of another program."""
    assert run("qpdf", *words, str(letter_file), str(tmp_path / "out.pdf")).returncode == 0
    data = (tmp_path / "out.pdf").read_bytes()
    for general in (False, True):
        options = PdfOptions(at=office.now, level="b", general=general)
        signed = sign_pdf(data, credential=office.person.credential, options=options)
        assert signed.path == ("general" if general else "fast")
        check(data, signed, office)
        assert pictures(signed.data) == pictures(data)


@pytest.fixture
def letter_file(tmp_path: Path) -> Path:
    """The sample letter as a file."""
    path = tmp_path / "letter.pdf"
    path.write_bytes(sample("letter.pdf"))
    return path


@pytest.mark.parametrize("general", [False, True], ids=["either", "general"])
def test_a_list_of_annotations_of_two_pages_gives_the_widget_to_one(general: bool, office: Office) -> None:
    """The stamp of page 1 must not appear on page 2 because both keep their annotations in one list."""
    vector = next(one for one in THINGS if one.name == "annotations of two pages in one list")
    data = vector.make()
    options = options_for(vector, office, general=general)
    signed = sign_pdf(data, credential=office.person.credential, options=options).data
    before, after = pictures(data), pictures(signed)
    assert before[0] != after[0]
    assert before[1] == after[1]
