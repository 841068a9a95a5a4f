"""``edoc sign`` beyond one letter: long-term levels, folders, going on, keys on tokens (console.md 4.1)."""

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from tests import softhsm
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.signer_pdf.files import simple
from transport import settings
from transport.desk.console import Console
from transport.desk.secrets import Pins
from transport.desk.signing import sign
from transport.desk.signrequest import KeyChoice, Request
from transport.ledger.keys import LogKey
from transport.node.opening import LOG_KEY
from transport.store.log import Log
from transport.store.store import Store

TODAY = datetime.now(UTC)
DEMO = {"EDOC_DEMO": "true"}
NO_PDF = b"%PDF-1.4\nno cross-reference table at all\n%%EOF\n"


@pytest.fixture
def desk(edoc: Edoc, services: tuple[str, DevPki]) -> Edoc:
    """A desk with letters, the leader's key and the root."""
    pki = services[1]
    signer = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    for name, data in {"leader.pem": signer.pem, "root.pem": pem(pki.root.certificate)}.items():
        (edoc.folder / name).write_bytes(data)
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


def test_a_lower_level_is_not_taken_for_finished(desk: Edoc, services: tuple[str, DevPki]) -> None:
    assert desk(*_line(services, "van-ban/a.pdf", "--level", "t"), env=DEMO).code == 0
    again = desk(*_line(services, "van-ban/a.pdf", "--level", "lta", "--resume"), env=DEMO)
    assert (again.code == 0, again.json["files"][0]["status"]) == (False, "failed")


def test_a_file_the_same_key_signed_before_is_not_taken_for_finished_by_anothers_signature(
    desk: Edoc, services: tuple[str, DevPki]
) -> None:
    """The input bears our signature already; what stands under the output's name is another person's work over it."""
    other = services[1].issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"))
    (desk.folder / "other.pem").write_bytes(other.pem)
    assert desk(*_line(services, "van-ban/a.pdf", "-o", "mot.pdf"), env=DEMO).code == 0
    assert desk(*_line(services, "mot.pdf", key="other.pem"), env=DEMO).code == 0
    again = desk(*_line(services, "mot.pdf", "--resume"), env=DEMO)
    assert again.json["files"][0]["status"] == "failed", "mot.signed.pdf is in the way, and not ours"


def test_going_on_with_fail_fast_passes_what_is_done(desk: Edoc, services: tuple[str, DevPki]) -> None:
    assert desk(*_line(services, "van-ban/a.pdf"), env=DEMO).code == 0
    ran = desk(*_line(services, "van-ban/a.pdf", "van-ban/b.pdf", "--resume", "--fail-fast"), env=DEMO)
    assert [one["status"] for one in ran.json["files"]] == ["skipped", "signed"]


@pytest.mark.parametrize("name", ["a.xml", "van-ban/a.pdf"])
@pytest.mark.parametrize("format_", ["auto", "cades"])
def test_an_agencys_key_signs_no_file_of_any_kind_before_the_competent_person(
    desk: Edoc, services: tuple[str, DevPki], name: str, format_: str
) -> None:
    """R28 holds for XML and detached signatures as it does for PDF."""
    agency = services[1].issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))
    (desk.folder / "agency.pem").write_bytes(agency.pem)
    before = set(desk.folder.rglob("*"))
    ran = desk(*_line(services, name, "--as", "agency", "--format", format_, key="agency.pem"), env=DEMO)
    assert (ran.code, ran.json["files"][0]["error"]["code"]) == (1, "EDOC-PDF-018")
    assert set(desk.folder.rglob("*")) == before


def test_without_a_time_stamp_only_where_that_is_said_and_then_marked(desk: Edoc, services: tuple[str, DevPki]) -> None:
    """R32: an authority that is away is no reason for a lower level; ``--level b`` is, and result and report say so."""
    line = ("sign", "van-ban/a.pdf", "--key", "leader.pem", "--trust", "root.pem", "--json")
    away = desk(*line, "--tsa", "http://127.0.0.1:9/", env=DEMO)
    assert (away.code, away.json["files"][0]["error"]["code"]) == (4, "EDOC-PDF-022")
    assert "http://127.0.0.1:9/" in away.json["files"][0]["error"]["why"]
    assert desk(*line, env=DEMO).code == 2, "nobody to ask is a matter of set-up, not of the level"
    ran = desk(*line, "--level", "b", "--manifest", "m.json", env=DEMO)
    entry = ran.json["files"][0]
    assert (ran.code, entry["level"], entry["timestamp"]) == (0, "PAdES-B-B", None)
    assert [text for text in entry["warnings"] if "không có dấu thời gian" in text]
    assert json.loads((desk.folder / "m.json").read_text("utf-8"))["files"][0]["warnings"] == entry["warnings"]
    stamped = desk(*_line(services, "van-ban/b.pdf"), env=DEMO).json["files"][0]
    assert (stamped["level"], stamped["warnings"]) == ("PAdES-B-T", [])
    found = desk("verify", "van-ban/a.signed.pdf", "--trust", "root.pem", "--online", "--json", env=DEMO)
    marked = [one["code"] for one in found.json["files"][0]["signatures"][0]["warnings"]]
    assert (found.code, marked) == (0, ["SIGNING_TIME_NOT_PROVED"])


def test_unknown_status_is_overridden_on_a_written_basis_only(desk: Edoc) -> None:
    """R27: without status the key signs nothing; with a basis it signs, and the answer says what was not known."""
    today = DevPki.create(at=TODAY - timedelta(days=30), base_url="http://127.0.0.1:9")  # where nobody answers
    signer = today.issue(Role.PERSON, Subject("Lê Văn Mẫu", organization="Sở Mẫu A"))
    (desk.folder / "alone.pem").write_bytes(signer.pem)
    (desk.folder / "alone-root.pem").write_bytes(pem(today.root.certificate))
    line = ("sign", "van-ban/a.pdf", "--key", "alone.pem", "--trust", "alone-root.pem", "--level", "b", "--json")
    assert (desk(*line, env=DEMO).code, (desk.folder / "van-ban" / "a.signed.pdf").exists()) == (3, False)
    assert desk(*line, "--unsafe-unknown-status", env=DEMO).code == 2, "a basis must be named"
    assert desk(*line, "--basis", "Công văn 1", env=DEMO).code == 2
    ran = desk(*line, "--unsafe-unknown-status", "--basis", "Công văn 1", env=DEMO)
    assert (ran.code, ran.json["files"][0]["status"]) == (0, "signed")
    assert any("Lê Văn Mẫu" in one for one in ran.json["files"][0]["warnings"]), "it is said that the status is unknown"
    told = desk(*line[:-1], "--unsafe-unknown-status", "--basis", "Công văn 1", "--force", "--lang", "en", env=DEMO)
    assert "Lê Văn Mẫu" in told.err, "on a terminal, too"


def test_a_node_enters_in_its_ledger_that_unknown_status_was_overridden(desk: Edoc) -> None:
    log = LogKey.generate("a.example/edoc-ledger/2026")
    found = settings.load(home=desk.home, config=None, environ={}, overrides={})
    with Store.create(found, Log(log)) as store:
        store.do(lambda unit: Log(log).open_first(unit.connection, statement_sha256="0" * 64, at=TODAY))
    (desk.home / "keys").mkdir(exist_ok=True)
    (desk.home / "keys" / "ledger-origin.txt").write_text(log.origin, "ascii")
    (desk.home / "keys" / LOG_KEY.format(shard="2026")).write_bytes(log.to_pem())
    unanswered = DevPki.create(at=TODAY - timedelta(days=30), base_url="http://127.0.0.1:9")
    signer = unanswered.issue(Role.PERSON, Subject("Lê Văn Mẫu", organization="Sở Mẫu A"))
    (desk.folder / "alone.pem").write_bytes(signer.pem)
    (desk.folder / "alone-root.pem").write_bytes(pem(unanswered.root.certificate))
    line = ("sign", "van-ban/a.pdf", "--key", "alone.pem", "--trust", "alone-root.pem", "--level", "b", "--json")
    before = desk("ledger", "head", "--json").json["size"]
    assert desk(*line, env=DEMO).code == 3
    assert desk("ledger", "head", "--json").json["size"] == before
    ran = desk(*line, "--unsafe-unknown-status", "--basis", "Công văn 1", env=DEMO)
    assert ran.code == 0, ran.out
    assert desk("ledger", "head", "--json").json["size"] == before + 2, "and that there is no time stamp (R32)"
    with closing(sqlite3.connect(desk.home / "edoc.db")) as connection:
        said = "\n".join(text for text in connection.iterdump() if "ledger_opening" in text)
    assert "'note'" in said
    assert "Công văn 1" in said
    assert f"'{signer.credential.sha256}'" in said


def test_the_pin_is_not_asked_for_if_the_file_cannot_be_signed(desk: Edoc, services: tuple[str, DevPki]) -> None:
    """K1 comes before the key: there is nobody to ask here, and the answer is about the file all the same."""
    locked = services[1].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    key = load_pem_private_key(locked.pem, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"mat khau")
    )
    (desk.folder / "locked.pem").write_bytes(key + b"".join(map(pem, (locked.certificate, *locked.chain))))
    (desk.folder / "bad.pdf").write_bytes(NO_PDF)
    bad = desk(*_line(services, "bad.pdf", key="locked.pem"), env=DEMO)
    assert (bad.code, bad.json["files"][0]["status"]) == (1, "refused")
    good = desk(*_line(services, "van-ban/a.pdf", key="locked.pem"), env=DEMO)
    assert good.json["error"]["code"] == "EDOC-USE-023", "and here the pass phrase is what is missing"


def test_two_files_of_one_name_are_not_signed_into_one(desk: Edoc, services: tuple[str, DevPki]) -> None:
    (desk.folder / "khac").mkdir()
    (desk.folder / "khac" / "a.pdf").write_bytes(simple())
    ran = desk(*_line(services, "van-ban/a.pdf", "khac/a.pdf", "--out-dir", "ra"), env=DEMO)
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-052")
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
    (desk.folder / "van-ban" / "aa.pdf").write_bytes(NO_PDF)
    (desk.folder / "pin").write_text(softhsm.PIN + "\n", "utf-8")
    words = ("van-ban", "-r", "--module", house.module, "--pin-file", "pin")
    line = _line(services, *words, key="pkcs11:token=van-thu")
    ran = Edoc(desk.folder)(*line, env={**DEMO, "SOFTHSM2_CONF": str(house.conf)})
    assert [one["status"] for one in ran.json["files"]] == ["signed", "refused", "signed"], ran.json
    assert ran.code == 1
    assert softhsm.PIN not in ran.out + ran.err


@pytest.mark.tool("softhsm2-util")
@pytest.mark.skipif(softhsm.missing() is not None, reason=softhsm.missing() or "")
def test_a_token_pulled_out_ends_the_batch_and_what_is_finished_stays(
    desk: Edoc, services: tuple[str, DevPki], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOFTHSM2_CONF", "-")
    monkeypatch.chdir(desk.folder)
    house = softhsm.House.build(tmp_path / "hsm")
    identity = services[1].issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
    serial = house.token("van-thu")
    house.store(serial, identity, chain=True)
    (desk.folder / "pin").write_text(softhsm.PIN, "utf-8")
    (desk.folder / "van-ban" / "c.pdf").write_bytes(simple())
    asked = Request(
        files=("van-ban/a.pdf", "van-ban/b.pdf", "van-ban/c.pdf"),
        at=datetime.now(UTC),
        key=KeyChoice("pkcs11:token=van-thu", pins=Pins(file="pin"), module=house.module),
        trust=("root.pem",),
        level="b",
    )
    console = Console(("--json",), DEMO)
    console.home = desk.home
    _, outcomes = sign(console, asked)
    assert next(outcomes).status == "signed"
    house.pull_out(serial)
    lost = next(outcomes)
    assert lost.fault is not None
    assert (lost.status, int(lost.fault.exit_code)) == ("failed", 5)
    assert list(outcomes) == [], "nothing more is tried"
    signed = sorted(path.name for path in (desk.folder / "van-ban").glob("*.signed.pdf"))
    assert signed == ["a.signed.pdf"]
