"""Places found by what is printed, through the command: the signature above the name, the seal off it (R39, R40)."""

from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.pdf.opening import open_pdf
from signer.pdf.page import fields, pages
from signer.trust import Limits
from tests.console.conftest import Edoc, Ran

DEMO = {"EDOC_DEMO": "true"}
DATA = Path(__file__).parents[2] / "transport" / "demo" / "data"


@pytest.fixture
def desk(edoc: Edoc, services: tuple[str, DevPki]) -> Edoc:
    """The sample letter, the keys of its signer, of somebody else and of the agency, and both pictures."""
    pki = services[1]
    files = {name: (DATA / name).read_bytes() for name in ("letter.pdf", "signature.png", "seal.png")}
    for key, name in (("leader", "Nguyễn Văn Mẫu"), ("other", "Trần Thị Mẫu")):
        files[f"{key}.pem"] = pki.issue(Role.PERSON, Subject(name, organization="Sở Mẫu A")).pem
    files["agency.pem"] = pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A")).pem
    files["root.pem"] = pem(pki.root.certificate)
    for name, data in files.items():
        (edoc.folder / name).write_bytes(data)
        (edoc.folder / name).chmod(0o600)
    return edoc.here()


def _sign(desk: Edoc, *words: str, key: str) -> Ran:
    return desk("sign", *words, "--key", key, "--trust", "root.pem", "--level", "b", "--json", env=DEMO)


def _boxes(path: Path) -> list[tuple[float, float, float, float]]:
    reader = open_pdf(path.read_bytes(), limits=Limits())
    return [box for field in fields(reader, pages(reader)) if field.filled_signature for _, box in field.widgets]


def test_the_signature_stands_above_the_printed_name_and_the_seal_a_third_over_it(desk: Edoc) -> None:
    assert _sign(desk, "letter.pdf", "--image", "signature.png", "-o", "led.pdf", key="leader.pem").code == 0
    sealed = _sign(desk, "led.pdf", "--as", "agency", "--image", "seal.png", "-o", "sealed.pdf", key="agency.pem")
    assert sealed.code == 0, sealed.json
    signature, seal = _boxes(desk.folder / "sealed.pdf")
    assert signature[2:] == pytest.approx((50, 25), abs=0.1)
    assert signature[0] + 25 == pytest.approx(153, abs=1.5), "in the middle above the name"
    assert signature[1] + 25 == pytest.approx(244, abs=1.5), "its lower edge just above the name"
    assert seal[0] + seal[2] == pytest.approx(signature[0] + 50 / 3, abs=0.1)
    lifted = [text for text in sealed.json["files"][0]["warnings"] if "con dấu được đặt cao hơn" in text]
    assert len(lifted) == 1, "the name is not touched, and that is said"


def test_a_name_that_is_not_printed_is_refused_with_the_ways_to_name_a_place(desk: Edoc) -> None:
    ran = _sign(desk, "letter.pdf", "--image", "signature.png", "-o", "led.pdf", key="other.pem")
    error = ran.json["files"][0]["error"]
    assert (ran.code, error["code"]) == (2, "EDOC-PDF-055")
    assert "--box" in error["next"]
    assert "--field" in error["next"]
    assert not (desk.folder / "led.pdf").exists()


def test_a_named_box_is_taken_without_looking(desk: Edoc) -> None:
    words = ("letter.pdf", "--image", "signature.png", "--box", "30,200,50,25", "-o", "led.pdf")
    assert _sign(desk, *words, key="other.pem").code == 0
    assert _boxes(desk.folder / "led.pdf")[0] == pytest.approx((30, 200, 50, 25), abs=0.1)
