"""Files of any kind in a container, and what the settings of an agency draw, through the command (console.md 4.1)."""

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.pdf.opening import open_pdf
from signer.pdf.page import fields, pages
from signer.trust import Limits
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from tests.signer_pdf.files import simple

DEMO = {"EDOC_DEMO": "true"}
PICTURES = Path(__file__).parents[2] / "transport" / "demo" / "data"


@pytest.fixture
def desk(edoc: Edoc, services: tuple[str, DevPki]) -> Edoc:
    """A table, a letter, the leader's key, the agency's and the root."""
    pki = services[1]
    person = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    agency = pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A"))
    files = {"leader.pem": person.pem, "agency.pem": agency.pem, "root.pem": pem(pki.root.certificate)}
    files |= {"bảng tính.xlsx": b"cells", "letter.pdf": simple()}
    for name in ("signature.png", "seal.png"):
        files[name] = (PICTURES / name).read_bytes()
    for name, data in files.items():
        (edoc.folder / name).write_bytes(data)
        (edoc.folder / name).chmod(0o600)
    return edoc.here()


def _sign(desk: Edoc, *words: str, key: str = "leader.pem") -> Ran:
    ran = desk("sign", *words, "--key", key, "--trust", "root.pem", "--level", "b", "--json", env=DEMO)
    assert problems(ran.json) == []
    return ran


def test_a_file_of_another_kind_is_signed_into_a_container_that_holds_it_unchanged(desk: Edoc) -> None:
    entry = _sign(desk, "bảng tính.xlsx").json["files"][0]
    assert (entry["status"], entry["output"], entry["format"]) == ("signed", "bảng tính.xlsx.asice", "ASiC-E")
    with zipfile.ZipFile(BytesIO((desk.folder / entry["output"]).read_bytes())) as held:
        assert held.read("bảng tính.xlsx") == b"cells"
    verified = desk("verify", entry["output"], "--trust", "root.pem", "--online", "--json", env=DEMO)
    assert verified.code == 0
    assert verified.json["files"][0]["signatures"][0]["signer"]["name"] == "Nguyễn Văn Mẫu"


@pytest.mark.parametrize("level", ["t", "lt", "lta"])
def test_a_container_is_signed_at_every_level(desk: Edoc, services: tuple[str, DevPki], level: str) -> None:
    tsa = services[0] + "/tsa"
    words = ("sign", "bảng tính.xlsx", "--key", "leader.pem", "--trust", "root.pem", "--tsa", tsa, "--level", level)
    ran = desk(*words, "--json", env=DEMO)
    assert ran.code == 0, ran.json
    verified = desk("verify", "bảng tính.xlsx.asice", "--trust", "root.pem", "--online", "--json", env=DEMO)
    assert (verified.code, verified.json["files"][0]["signatures"][0]["level"]) == (0, f"XAdES-B-{level.upper()}")


def test_an_agency_puts_no_file_into_a_container_that_nobody_competent_has_signed(desk: Edoc) -> None:
    ran = _sign(desk, "bảng tính.xlsx", "--as", "agency", key="agency.pem")
    assert (ran.code, ran.json["files"][0]["error"]["code"]) == (1, "EDOC-PDF-018")
    _sign(desk, "letter.pdf", "-o", "led.pdf")
    allowed = desk(
        *("sign", "led.pdf", "--as", "agency", "--format", "asic", "--key", "agency.pem", "--trust", "root.pem"),
        *("--level", "b", "--json"),
        env=DEMO,
    )
    assert (allowed.code, allowed.json["files"][0]["output"]) == (0, "led.pdf.asice"), allowed.json


def test_a_file_that_only_claims_to_be_a_pdf_is_not_wrapped_in_silence(desk: Edoc) -> None:
    (desk.folder / "letter.pdf").write_bytes(b"no pdf at all")
    ran = _sign(desk, "letter.pdf")
    assert (ran.code, ran.json["files"][0]["error"]["code"]) == (3, "EDOC-USE-031")
    assert not list(desk.folder.glob("letter.*.*"))


def test_a_container_that_is_there_is_passed_over_when_going_on(desk: Edoc) -> None:
    first = _sign(desk, "bảng tính.xlsx")
    again = _sign(desk, "bảng tính.xlsx", "--resume")
    assert (first.json["files"][0]["status"], again.json["files"][0]["status"]) == ("signed", "skipped")
    (desk.folder / "bảng tính.xlsx").write_bytes(b"other cells")
    changed = _sign(desk, "bảng tính.xlsx", "--resume")
    assert changed.json["files"][0]["status"] == "failed", "what is there is of another content"


def test_pictures_and_measures_of_the_settings_are_drawn_without_being_named(desk: Edoc) -> None:
    (desk.folder / "settings.toml").write_text(
        '[sign]\nsignature_picture = "signature.png"\nseal_picture = "seal.png"\n[geometry]\nseal_diameter = 30.0\n',
        "utf-8",
    )
    config = ("--config", "settings.toml")
    leader = _sign(desk, "letter.pdf", "--box", "100,100,50,25", "-o", "led.pdf", *config).json["files"][0]
    assert (leader["visible"], leader["page"]) == ("signature", 1), leader
    sealed = _sign(desk, "led.pdf", "--as", "agency", "-o", "sealed.pdf", *config, key="agency.pem").json["files"][0]
    assert (sealed["status"], sealed["visible"]) == ("signed", "seal"), sealed
    reader = open_pdf((desk.folder / "sealed.pdf").read_bytes(), limits=Limits())
    seal = [field for field in fields(reader, pages(reader)) if field.filled_signature][-1]
    assert [(round(box[2], 1), round(box[3], 1)) for _, box in seal.widgets] == [(30.0, 30.0)]


@pytest.mark.parametrize("wrong", ["seal_diameter = 900.0", 'seal_diameter = "x"', "no_such = 1.0"])
def test_a_measure_out_of_range_is_told_with_its_name(desk: Edoc, wrong: str) -> None:
    (desk.folder / "settings.toml").write_text(f"[geometry]\n{wrong}\n", "utf-8")
    line = ("sign", "letter.pdf", "--key", "leader.pem", "--trust", "root.pem", "--level", "b", "--json")
    ran = desk(*line, "--config", "settings.toml", env=DEMO)
    assert ran.code in (2, 6), ran.out
    assert wrong.partition(" ")[0] in ran.out
