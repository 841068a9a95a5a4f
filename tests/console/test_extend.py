"""``edoc extend`` lifts a copy and leaves the input alone (console.md 4.1, R72)."""

from datetime import UTC, datetime

import pytest

from signer.asic import build_asice
from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
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
    assert "http://127.0.0.1:9/ (connection refused, EDOC-PKI-001)" in error["why"]
    assert f"{url}/nowhere (404)" in error["why"]
    assert "--level b" in error["next"]
    assert not (desk.folder / "a.extended.xml").exists()
