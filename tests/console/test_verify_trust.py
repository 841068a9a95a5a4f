"""``edoc verify``: whom the call trusts, and at which moment (console.md 3, 4.2)."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edoc.agencies import Agency, Directory
from signer.report import Code, Covers, Crypto, Indication, Integrity, Report, SignatureReport, Signer, Verdict
from tests.console.conftest import Edoc
from transport.desk.checking import of_agency

SAMPLES = Path(__file__).resolve().parents[2] / "samples"


@pytest.fixture
def desk(edoc: Edoc) -> Edoc:
    """A desk with the sample letter and a folder with the root that vouches for it."""
    shutil.copy(SAMPLES / "letter.signed.pdf", edoc.folder / "letter.signed.pdf")
    shutil.copytree(SAMPLES / "trust", edoc.folder / "trust")
    return edoc.here()


def test_hidden_files_of_a_folder_are_not_trusted(desk: Edoc) -> None:
    """Neither a certificate somebody hid there, nor what file systems leave behind."""
    before = desk("verify", "letter.signed.pdf", "--trust", "trust", "--json").json["trust"]
    (desk.folder / "trust" / "._root.pem").write_bytes(b"\0\5\x16\7")
    shutil.copy(next((desk.folder / "trust").glob("*.pem")), desk.folder / "trust" / ".other.crt")
    (desk.folder / "trust" / "deeper").mkdir()
    (desk.folder / "trust" / "deeper" / "a.pem").write_bytes(b"no certificate")
    assert desk("verify", "letter.signed.pdf", "--trust", "trust", "--json").json["trust"] == before


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("2026-11-20", "2026-11-20T23:59:59+07:00"),
        ("20261120", "2026-11-20T23:59:59+07:00"),
        ("2026-W47-5", "2026-11-20T23:59:59+07:00"),
        ("2026-11-20T05:00:00Z", "2026-11-20T12:00:00+07:00"),
        ("2026-11-20T12:00", "2026-11-20T12:00:00+07:00"),
    ],
)
def test_a_day_is_its_end_however_it_is_written(desk: Edoc, said: str, meant: str) -> None:
    assert desk("verify", "letter.signed.pdf", "--trust", "trust", "--at", said, "--json").json["at"] == meant


@pytest.mark.parametrize("said", ["0001-01-01T00:00:00+14:00", "1899-12-31", "9999-12-31T23:59:59-12:00", "2026-02-29"])
def test_moments_that_cannot_be_are_wrong_usage(desk: Edoc, said: str) -> None:
    ran = desk("verify", "letter.signed.pdf", "--trust", "trust", "--at", said, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-027")


def test_an_agency_that_was_not_expected_is_named_among_the_reasons_of_the_file() -> None:
    """A file that is not valid says why, whoever asked for what (console.md 5.1)."""
    directory = Directory((Agency("H99.01", "Sở Mẫu A"), Agency("H99.02", "Sở Mẫu B")))
    signature = SignatureReport(
        id="S1",
        indication=Indication.PASSED,
        sub_indication=None,
        integrity=Integrity.INTACT,
        crypto=Crypto.OK,
        covers=Covers.WHOLE,
        level="PAdES-B-B",
        best_signature_time=datetime(2026, 11, 20, tzinfo=UTC),
        kind="seal",
        signer=Signer(agency="H99.01"),
    )
    report = Report("pdf", None, Verdict.VALID, None, None, signatures=(signature,))
    assert of_agency(report, "H99.01", directory) == report
    found = of_agency(report, "H99.02", directory)
    assert (found.verdict, found.signatures[0].sub_indication) == (Verdict.INDETERMINATE, Code.SIG_CONSTRAINTS_FAILURE)
    assert [(one.code, one.signature) for one in found.reasons] == [
        (Code.SIG_CONSTRAINTS_FAILURE, "S1"),
        (Code.IDENTITY_MISMATCH, "S1"),
    ]
