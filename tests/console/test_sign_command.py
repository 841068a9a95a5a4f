"""``edoc sign`` beyond one letter: long-term levels, folders, going on, keys on tokens (console.md 4.1)."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from tests import softhsm
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.signer_pdf.files import simple
from transport.demo.pkiserver import PkiServer

TODAY = datetime.now(UTC)
DEMO = {"EDOC_DEMO": "true"}
SCRIPT = b"%PDF-1.4\nno cross-reference table at all\n%%EOF\n"


@pytest.fixture(scope="module")
def services() -> Iterator[tuple[str, DevPki]]:
    """An authority with time stamps and status on loopback."""
    with PkiServer(clock=lambda: datetime.now(UTC)) as server:
        pki = DevPki.create(at=TODAY - timedelta(days=30), base_url=server.url)
        server.use(pki)
        yield server.url, pki


@pytest.fixture
def desk(edoc: Edoc, services: tuple[str, DevPki]) -> Edoc:
    """A desk with letters, the leader's key and the root."""
    pki = services[1]
    signer = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    for name, data in {"leader.pem": signer.pem, "root.pem": pem(pki.root.certificate)}.items():
        (edoc.folder / name).write_bytes(data)
    (edoc.folder / "locked.pem").write_bytes(signer.pem)
    (edoc.folder / "van-ban").mkdir()
    for name in ("a.pdf", "b.pdf"):
        (edoc.folder / "van-ban" / name).write_bytes(simple())
    (edoc.folder / "a.xml").write_bytes(b"<a>x</a>")
    return edoc.here()


def _line(services: tuple[str, DevPki], *words: str, key: str = "leader.pem") -> tuple[str, ...]:
    return ("sign", *words, "--key", key, "--trust", "root.pem", "--tsa", services[0] + "/tsa", "--json")


@pytest.mark.parametrize("level", ["lt", "lta"])
@pytest.mark.parametrize(("name", "output"), [("van-ban/a.pdf", "van-ban/a.signed.pdf"), ("a.xml", "a.signed.xml")])
def test_a_file_is_signed_with_what_long_term_checking_needs(
    desk: Edoc, services: tuple[str, DevPki], level: str, name: str, output: str
) -> None:
    ran = desk(*_line(services, name, "--level", level), env=DEMO)
    assert problems(ran.json) == []
    entry = ran.json["files"][0]
    assert (ran.code, entry["status"], entry["output"]) == (0, "signed", output), entry["error"]
    assert entry["level"].endswith(f"-B-{level.upper()}")
    verified = desk("verify", output, "--trust", "root.pem", "--json", env=DEMO)
    signature = verified.json["files"][0]["signatures"][0]
    assert (verified.code, signature["level"]) == (0, entry["level"]), "offline, by what the file holds"


def test_a_level_that_is_not_reached_leaves_no_file(desk: Edoc) -> None:
    line = ("sign", "van-ban/a.pdf", "--key", "leader.pem", "--trust", "root.pem", "--level", "lt", "--json")
    ran = desk(*line, "--tsa", "http://127.0.0.1:9/", env=DEMO)
    assert ran.code == 4
    assert not (desk.folder / "van-ban" / "a.signed.pdf").exists()


def test_a_folder_is_signed_and_a_second_run_leaves_out_what_is_signed(
    desk: Edoc, services: tuple[str, DevPki]
) -> None:
    line = _line(services, "van-ban", "-r", "--glob", "*.pdf", "--resume", "--manifest", "ket-qua.json")
    first = desk(*line, env=DEMO)
    assert (first.code, first.json["summary"]["signed"]) == (0, 2)
    assert json.loads((desk.folder / "ket-qua.json").read_text("utf-8")) == first.json
    (desk.folder / "van-ban" / "b.signed.pdf").unlink()
    second = desk(*line, env=DEMO)
    assert second.code == 0
    assert [(Path(one["path"]).name, one["status"]) for one in second.json["files"]] == [
        ("a.pdf", "skipped"),
        ("b.pdf", "signed"),
    ]


def test_an_output_of_another_input_is_not_taken_for_finished(desk: Edoc, services: tuple[str, DevPki]) -> None:
    desk(*_line(services, "van-ban/a.pdf"), env=DEMO)
    (desk.folder / "van-ban" / "a.pdf").write_bytes(simple().replace(b"%PDF-1.7", b"%PDF-1.6"))
    ran = desk(*_line(services, "van-ban/a.pdf", "--resume"), env=DEMO)
    assert ran.code != 0
    assert ran.json["files"][0]["status"] in {"refused", "failed"}


def test_two_files_of_one_name_are_not_signed_into_one(desk: Edoc, services: tuple[str, DevPki]) -> None:
    (desk.folder / "khac").mkdir()
    (desk.folder / "khac" / "a.pdf").write_bytes(simple())
    ran = desk(*_line(services, "van-ban/a.pdf", "khac/a.pdf", "--out-dir", "ra"), env=DEMO)
    assert (ran.code, ran.json["code"] if "code" in ran.json else ran.json["error"]["code"]) == (2, "EDOC-USE-052")
    assert not (desk.folder / "ra").exists()


@pytest.mark.tool("softhsm2-util")
@pytest.mark.skipif(softhsm.missing() is not None, reason=softhsm.missing() or "")
def test_a_folder_is_signed_by_a_key_on_a_token_with_one_pin_and_a_bad_file_stops_nothing(
    desk: Edoc, services: tuple[str, DevPki], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", "-")
    house = softhsm.House.build(tmp_path / "hsm")
    identity = services[1].issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
    house.store(house.token("van-thu"), identity, chain=True)
    (desk.folder / "van-ban" / "aa.pdf").write_bytes(SCRIPT)
    (desk.folder / "pin").write_text(softhsm.PIN + "\n", "utf-8")
    words = ("van-ban", "-r", "--module", house.module, "--pin-file", "pin")
    line = _line(services, *words, key="pkcs11:token=van-thu")
    ran = Edoc(desk.folder)(*line, env={**DEMO, "SOFTHSM2_CONF": str(house.conf)})
    assert [one["status"] for one in ran.json["files"]] == ["signed", "refused", "signed"], ran.json
    assert ran.code == 1
    assert softhsm.PIN not in ran.out + ran.err
