"""``edoc extend`` lifts a copy and leaves the input alone (console.md 4.1, R72)."""

import base64
import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from signer.asic import build_asice
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from signer.xml.sign import sign_xml
from tests.console.conftest import Edoc
from tests.console.schema import problems

TODAY = datetime.now(UTC)
DEMO = {"EDOC_DEMO": "true"}


@pytest.fixture
def desk(edoc: Edoc, services: tuple[str, DevPki]) -> Edoc:
    """A desk with a signed XML file and the root."""
    pki = services[1]
    signer = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (edoc.folder / "a.xml").write_bytes(sign_xml(b"<a>x</a>", credential=signer.credential, at=TODAY))
    (edoc.folder / "root.pem").write_bytes(pem(pki.root.certificate))
    return edoc.here()


@pytest.mark.parametrize("level", ["t", "lt", "lta"])
def test_a_copy_reaches_the_level_and_the_input_stays(desk: Edoc, services: tuple[str, DevPki], level: str) -> None:
    before = (desk.folder / "a.xml").read_bytes()
    line = ("extend", "a.xml", "--level", level, "--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json")
    ran = desk(*line, env=DEMO)
    assert problems(ran.json) == []
    entry = ran.json["files"][0]
    assert (ran.code, entry["error"]) == (0, None)
    assert (entry["from"], entry["to"], entry["output"]) == ("XAdES-B-B", f"XAdES-B-{level.upper()}", "a.extended.xml")
    assert (desk.folder / "a.xml").read_bytes() == before
    verified = desk("verify", "a.extended.xml", "--trust", "root.pem", "--online", "--json", env=DEMO)
    assert (verified.code, verified.json["files"][0]["signatures"][0]["level"]) == (0, entry["to"])


@pytest.mark.parametrize("level", ["t", "lt", "lta"])
def test_a_pdf_reaches_the_level_behind_the_received_file(desk: Edoc, services: tuple[str, DevPki], level: str) -> None:
    from signer.pdf.sign import PdfOptions, sign_pdf
    from tests.signer_pdf.files import simple

    signer = services[1].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    signed = sign_pdf(simple(), credential=signer.credential, options=PdfOptions(at=TODAY, level="b")).data
    (desk.folder / "a.pdf").write_bytes(signed)
    line = ("extend", "a.pdf", "--level", level, "--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json")
    ran = desk(*line, env=DEMO)
    assert problems(ran.json) == []
    entry = ran.json["files"][0]
    assert (ran.code, entry["error"]) == (0, None)
    assert (entry["from"], entry["to"], entry["output"]) == ("PAdES-B-B", f"PAdES-B-{level.upper()}", "a.extended.pdf")
    assert (desk.folder / "a.extended.pdf").read_bytes().startswith(signed)
    offline = ("verify", "a.extended.pdf", "--trust", "root.pem", "--json", *(["--online"] if level == "t" else []))
    verified = desk(*offline, env=DEMO)
    signature = verified.json["files"][0]["signatures"][0]
    assert (signature["indication"], signature["level"]) == ("TOTAL-PASSED", entry["to"])


def test_a_container_is_lifted_like_a_file(desk: Edoc, services: tuple[str, DevPki]) -> None:
    signer = services[1].issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"))
    members = [("công văn.txt", "xin chào".encode(), "text/plain")]
    (desk.folder / "a.asice").write_bytes(build_asice(members, credential=signer.credential, at=TODAY))
    ran = desk("extend", "a.asice", "--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json", env=DEMO)
    entry = ran.json["files"][0]
    assert (ran.code, entry["to"], entry["output"]) == (0, "XAdES-B-LTA", "a.extended.asice")
    verified = desk("verify", "a.extended.asice", "--trust", "root.pem", "--online", "--json", env=DEMO)
    assert (verified.code, verified.json["files"][0]["signatures"][0]["level"]) == (0, entry["to"])


def test_what_cannot_be_extended_is_said_with_its_code(desk: Edoc) -> None:
    (desk.folder / "b.xml").write_bytes(b"<a/>")
    (desk.folder / "c.pdf").write_bytes(b"%PDF-1.7\n")
    ran = desk("extend", "b.xml", "c.pdf", "gone.xml", "--trust", "root.pem", "--json", env=DEMO)
    assert problems(ran.json) == []
    codes = [file["error"]["code"] for file in ran.json["files"]]
    assert (ran.code, codes) == (1, ["EDOC-SIG-022", "EDOC-PDF-005", "EDOC-USE-008"])
    away = desk("extend", "a.xml", "--level", "t", "--trust", "root.pem", "--tsa", "http://127.0.0.1:9/", env=DEMO)
    assert away.code == 4
    assert not (desk.folder / "a.extended.xml").exists()


def test_a_detached_signature_finds_its_content_beside_it_or_by_option(
    desk: Edoc, services: tuple[str, DevPki]
) -> None:
    from signer.cades.sign import sign_cades

    signer = services[1].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    signature = sign_cades(b"xin", credential=signer.credential, at=TODAY)
    for name in ("a.txt.p7s", "b.txt.p7s"):
        (desk.folder / name).write_bytes(signature)
    (desk.folder / "a.txt").write_bytes(b"xin")
    line = ("--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json")
    ran = desk("extend", "a.txt.p7s", "b.txt.p7s", *line, env=DEMO)
    found, missing = ran.json["files"]
    assert problems(ran.json) == []
    assert (found["from"], found["to"], found["output"]) == ("CAdES-B-B", "CAdES-B-LTA", "a.txt.extended.p7s")
    assert (ran.code, missing["error"]["code"], missing["output"]) == (1, "EDOC-SIG-021", None)
    named = desk("extend", "b.txt.p7s", "--content", "a.txt", *line, env=DEMO)
    assert (named.code, named.json["files"][0]["to"]) == (0, "CAdES-B-LTA")
    checked = desk("verify", "b.txt.extended.p7s", "--content", "a.txt", "--trust", "root.pem", "--json", env=DEMO)
    assert (checked.code, checked.json["files"][0]["signatures"][0]["level"]) == (0, "CAdES-B-LTA")


def test_an_empty_file_is_called_empty(desk: Edoc) -> None:
    (desk.folder / "empty.pdf").write_bytes(b"")
    ran = desk("extend", "empty.pdf", "--level", "lta", "--trust", "root.pem", "--json", env=DEMO)
    assert (ran.code, ran.json["files"][0]["error"]["code"]) == (2, "EDOC-USE-040")


def test_authorities_are_asked_in_turn_and_each_is_named(desk: Edoc, services: tuple[str, DevPki]) -> None:
    url = services[0]
    dead = ("--tsa", "http://127.0.0.1:9/", "--tsa", url + "/nowhere")
    line = ("extend", "a.xml", "--level", "t", "--trust", "root.pem")
    ran = desk(*line, *dead, "--tsa", url + "/tsa", "--json", env=DEMO)
    assert (ran.code, ran.json["files"][0]["to"]) == (0, "XAdES-B-T")
    (desk.folder / "a.extended.xml").unlink()
    ran = desk(*line, *dead, "--json", env=DEMO)
    error = ran.json["files"][0]["error"]
    assert (ran.code, error["code"], error["retryable"]) == (4, "EDOC-PKI-007", True)
    assert "http://127.0.0.1:9/ (không kết nối được, không trả lời)" in error["why"]
    assert f"{url}/nowhere (404)" in error["why"]
    assert "--level b" in error["next"]
    assert not (desk.folder / "a.extended.xml").exists()


class TestWhatIsNotReached:
    """A level that is not reached is refused, with the certificate, the address, and what to do (signing.md 3.1)."""

    @pytest.fixture
    def unanswered(self, desk: Edoc) -> DevPki:
        """An authority whose status nobody gives, and a PDF of one of its people."""
        pki = DevPki.create(at=TODAY - timedelta(days=30), base_url="http://127.0.0.1:9")
        signer = pki.issue(Role.PERSON, Subject("Lê Văn Mẫu", organization="Sở Mẫu A"))
        (desk.folder / "b.pdf").write_bytes(signed_pdf(signer))
        (desk.folder / "other.pem").write_bytes(pem(pki.root.certificate))
        return pki

    @pytest.mark.parametrize("level", ["lt", "lta"])
    def test_status_that_nobody_gives(
        self, desk: Edoc, services: tuple[str, DevPki], unanswered: DevPki, level: str
    ) -> None:
        trust = ("--trust", "root.pem", "--trust", "other.pem")
        line = ("extend", "b.pdf", "--level", level, *trust, "--tsa", services[0] + "/tsa", "--json")
        ran = desk(*line, env=DEMO)
        error = ran.json["files"][0]["error"]
        assert (ran.code, error["code"], error["retryable"]) == (4, "EDOC-SIG-020", True)
        assert "Lê Văn Mẫu" in error["why"]
        assert "http://127.0.0.1:9/ocsp, http://127.0.0.1:9/ca.crl" in error["why"]
        assert "--revocation" in error["next"]
        assert not (desk.folder / "b.extended.pdf").exists()
        for name, made in (("ca.crl", unanswered.crl(at=TODAY)), ("root.crl", unanswered.root_crl(at=TODAY))):
            (desk.folder / name).write_bytes(made)
        given = desk(*line, "--revocation", "ca.crl", "--revocation", "root.crl", env=DEMO)
        assert (given.code, given.json["files"][0]["to"]) == (0, f"PAdES-B-{level.upper()}")

    def test_a_path_that_nobody_trusts(self, desk: Edoc, services: tuple[str, DevPki], unanswered: DevPki) -> None:
        line = ("extend", "b.pdf", "--level", "lt", "--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json")
        error = desk(*line, env=DEMO).json["files"][0]["error"]
        assert (error["code"], error["exit_code"]) == ("EDOC-SIG-020", 4)
        assert "NO_CERTIFICATE_CHAIN_FOUND (Lê Văn Mẫu)" in error["why"]

    def test_a_stamp_that_nobody_trusts(self, desk: Edoc, unanswered: DevPki, services: tuple[str, DevPki]) -> None:
        line = ("extend", "b.pdf", "--level", "t", "--trust", "other.pem", "--tsa", services[0] + "/tsa", "--json")
        ran = desk(*line, env=DEMO)
        error = ran.json["files"][0]["error"]
        assert (ran.code, error["code"]) == (4, "EDOC-PKI-006")
        assert services[0] + "/tsa" in error["why"]

    def test_nobody_to_ask_for_stamps(self, desk: Edoc, unanswered: DevPki) -> None:
        ran = desk("extend", "b.pdf", "--level", "t", "--trust", "other.pem", "--json", env=DEMO)
        assert (ran.code, ran.json["files"][0]["error"]["code"]) == (4, "EDOC-SIG-003")


def signed_pdf(signer: DevIdentity, data: bytes | None = None) -> bytes:
    """Return a page, or a file that was signed before, signed without a time stamp."""
    from signer.pdf.sign import PdfOptions, sign_pdf
    from tests.signer_pdf.files import simple

    options = PdfOptions(at=TODAY, level="b", read_back=False)
    return sign_pdf(data or simple(), credential=signer.credential, options=options).data


@pytest.mark.parametrize("broken", [0, 1])
def test_a_file_with_one_broken_signature_is_left_alone(desk: Edoc, services: tuple[str, DevPki], broken: int) -> None:
    """Whichever of two it is: what extends a broken file would lend it years. The next file is lifted all the same."""
    from tests.signer_pdf.opinions import value_changed

    people = [services[1].issue(Role.PERSON, Subject(name)) for name in ("Nguyễn Văn Mẫu", "Trần Thị Mẫu")]
    once = signed_pdf(people[0])
    twice = signed_pdf(people[1], value_changed(once, 0) if broken == 0 else once)
    (desk.folder / "b.pdf").write_bytes(twice if broken == 0 else value_changed(twice, 1))
    (desk.folder / "c.pdf").write_bytes(signed_pdf(people[1], once))
    line = ("--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json")
    ran = desk("extend", "b.pdf", "c.pdf", *line, env=DEMO)
    first, second = ran.json["files"]
    assert problems(ran.json) == []
    assert (ran.code, first["error"]["code"], first["output"]) == (1, "EDOC-SIG-021", None)
    assert f"Signature{broken + 1}" in first["error"]["why"]
    assert not (desk.folder / "b.extended.pdf").exists()
    assert (second["error"], second["to"]) == (None, "PAdES-B-LTA")


def test_a_copy_may_go_to_standard_output_and_is_never_the_input(desk: Edoc, services: tuple[str, DevPki]) -> None:
    before = (desk.folder / "a.xml").read_bytes()
    line = ("extend", "a.xml", "--trust", "root.pem", "--tsa", services[0] + "/tsa")
    ran = desk(*line, "-o", "-", env=DEMO)
    assert ran.code == 0
    assert ran.raw.count(b"</xades141:ArchiveTimeStamp>") == 1
    for words in (("-o", "a.xml"), ("-o", "a.xml", "--force")):
        assert desk(*line, *words, env=DEMO).code == 2
    assert (desk.folder / "a.xml").read_bytes() == before


def test_what_was_known_once_is_never_lost(desk: Edoc, services: tuple[str, DevPki]) -> None:
    """Renewed again and again, a file keeps every certificate and status answer it ever held; XML, CMS, PDF alike."""
    from signer.cades.sign import sign_cades

    signer = services[1].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (desk.folder / "a.pdf").write_bytes(signed_pdf(signer))
    (desk.folder / "a.txt").write_bytes(b"xin")
    (desk.folder / "a.txt.p7s").write_bytes(sign_cades(b"xin", credential=signer.credential, at=TODAY))
    (desk.folder / "root.crl").write_bytes(services[1].root_crl(at=TODAY - timedelta(days=1)))
    (desk.folder / "ca.crl").write_bytes(services[1].crl(at=TODAY - timedelta(days=1)))
    for name in ("a.pdf", "a.xml", "a.txt.p7s"):
        held: list[set[bytes]] = []
        for turn in range(3):
            target = f"{turn}-{name}"
            lists = ("--revocation", "root.crl", "--revocation", "ca.crl") if turn == 0 else ()
            line = (
                name if turn == 0 else f"{turn - 1}-{name}",
                "-o",
                target,
                "--content",
                "a.txt",
                "--trust",
                "root.pem",
            )
            ran = desk("extend", *line, *lists, "--tsa", services[0] + "/tsa", "--json", env=DEMO)
            assert (ran.code, ran.json["files"][0]["error"]) == (0, None)
            held.append(data_in((desk.folder / target).read_bytes()))
        assert held[0] <= held[1] <= held[2]
        assert {(desk.folder / "ca.crl").read_bytes(), services[1].issuing.certificate} <= held[0]


def data_in(data: bytes) -> set[bytes]:
    """Return every certificate, list and answer that a file holds, wherever it stands: as DER, or in base64."""
    texts = [base64.b64decode(text) for text in re.findall(rb"<xades:Encapsulated\w+>([^<]+)<", data)]
    return {value for part in (data, *texts) for value in sequences_in(part) if is_validation_data(value)}


def sequences_in(data: bytes) -> Iterator[bytes]:
    """Yield all that begins as a DER sequence whose length takes two octets."""
    at = data.find(b"\x30\x82")
    while at >= 0:
        yield data[at : at + 4 + int.from_bytes(data[at + 2 : at + 4], "big")]
        at = data.find(b"\x30\x82", at + 1)


def is_validation_data(value: bytes) -> bool:
    """Say whether it is a certificate, a revocation list or an OCSP answer."""
    for load in (x509.load_der_x509_certificate, x509.load_der_x509_crl, ocsp.load_der_ocsp_response):
        with suppress(ValueError):
            load(value)
            return True
    return False
