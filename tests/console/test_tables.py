"""The tables of a node at the console: agencies, anchors, keys, and the ledger that is read without its key."""

import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, key_pem, pem
from tests.console.conftest import Edoc
from tests.console.schema import problems
from transport import settings
from transport.ledger.keys import LogKey
from transport.store.log import Log
from transport.store.store import Store

ORIGIN = "a.example/edoc-ledger/2026"


@pytest.fixture
def node(edoc: Edoc) -> Edoc:
    """A home with a database and an opened log."""
    found = settings.load(home=edoc.home, config=None, environ={}, overrides={})
    log = Log(LogKey.generate(ORIGIN))
    with Store.create(found, log) as store:
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256="0" * 64, at=datetime.now(UTC)))
    return edoc.here()


@pytest.fixture
def leader(pki: DevPki) -> DevIdentity:
    """A leader whose certificate is valid today."""
    return pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))


def write(folder: Path, name: str, data: bytes) -> str:
    """Write a file the command is given."""
    (folder / name).write_bytes(data)
    return name


def test_an_agency_is_added_with_its_certificates_and_listed(node: Edoc, exchange_b: DevIdentity) -> None:
    cert = write(node.folder, "b.pem", pem(exchange_b.certificate))
    line = ["agency", "add", "H99.02", "--name", "Sở Mẫu B", "--url", "https://b.example/exchange/v1"]
    added = node(*line, "--cert", cert, "--cert", f"request={cert}", "--alias", "mau-b", "--yes", "--json")
    assert added.code == 0
    assert problems(added.json) == []
    listed = node("agency", "list", "--search", "mẫu b", "--json").json
    assert listed["agencies"] == added.json["agencies"]
    assert len(listed["agencies"][0]["certificates"]) == 2
    assert node("agency", "list", "--search", "không có").out == ""
    assert node("agency", "list").out.split("\t")[:3] == ["H99.02", "Sở Mẫu B", "https://b.example/exchange/v1"]


def test_trust_is_not_changed_without_a_yes(node: Edoc, pki: DevPki) -> None:
    """There is nobody to ask: exit 2 names --yes, and nothing is trusted."""
    root = write(node.folder, "root.pem", pem(pki.root.certificate))
    refused = node("trust", "add", root)
    assert refused.code == 2
    assert "--yes" in refused.err
    assert "EDOC-USE-014" in refused.err
    assert node("trust", "list").out == ""


def test_an_anchor_is_added_by_fingerprint_and_a_wrong_one_is_refused(node: Edoc, pki: DevPki) -> None:
    root = write(node.folder, "root.pem", pem(pki.root.certificate))
    wrong = node("trust", "add", root, "--sha256", "0" * 64)
    assert (wrong.code, "EDOC-USE-035" in wrong.err) == (2, True)
    right = node("trust", "add", root, "--for", "signers,tsa", "--basis", "QĐ 12", "--yes", "--json")
    assert problems(right.json) == []
    fingerprint = right.json["anchors"][0]["sha256"]
    again = node("trust", "add", root, "--sha256", fingerprint.upper())
    assert again.code == 0
    listed = node("trust", "list", "--json").json
    assert problems(listed) == []
    assert [(item["sha256"], item["use"]) for item in listed["anchors"]] == [(fingerprint, "signers,tsa")]


def test_a_certificate_that_is_no_authority_is_warned_of(node: Edoc, leader: DevIdentity) -> None:
    ran = node("trust", "add", write(node.folder, "p.pem", pem(leader.certificate)), "--yes")
    assert ran.code == 0
    assert "không phải chứng thư của nơi cấp" in ran.err


def test_a_key_is_imported_as_it_is_and_stays_private(node: Edoc, leader: DevIdentity) -> None:
    """The file keeps its pass phrase and belongs to its owner alone; nothing of the private part is printed."""
    bundle = leader.pkcs12(b"m\xe1\xba\xadt kh\xe1\xba\xa9u")
    file = write(node.folder, "p.p12", bundle)
    write(node.folder, "pin", "mật khẩu\n".encode())
    ran = node("key", "import", file, "--name", "lanhdao", "--role", "person", "--pin-file", "pin", "--json")
    assert ran.code == 0
    assert problems(ran.json) == []
    kept = node.home / "keys" / "lanhdao.p12"
    assert kept.read_bytes() == bundle
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert "PRIVATE" not in ran.out
    assert "mật khẩu" not in ran.out + ran.err
    listed = node("key", "list", "--json").json
    assert listed["keys"][0]["sha256"] == leader.credential.sha256
    again = node("key", "import", file, "--name", "lanhdao", "--role", "person", "--pin-file", "pin")
    assert (again.code, "EDOC-USE-044" in again.err) == (2, True)


@pytest.mark.parametrize(
    ("content", "pin", "code", "error"),
    [
        ("p12", "sai", 5, "EDOC-KEY-002"),
        ("p12", None, 2, "EDOC-USE-023"),
        ("rubbish", None, 5, "EDOC-KEY-001"),
        ("certificate", None, 5, "EDOC-KEY-001"),
    ],
)
def test_a_key_that_does_not_open_is_refused_and_leaves_nothing(
    node: Edoc, leader: DevIdentity, content: str, pin: str | None, code: int, error: str
) -> None:
    files = {"p12": leader.pkcs12(b"dung"), "rubbish": b"not a key", "certificate": pem(leader.certificate)}
    file = write(node.folder, "k.p12", files[content])
    extra = ["--pin-file", write(node.folder, "pin", pin.encode())] if pin else []
    ran = node("key", "import", file, "--name", "k", "--role", "person", *extra, "--json")
    assert (ran.code, ran.json["error"]["code"]) == (code, error)
    assert not list((node.home / "keys").glob("*")) if (node.home / "keys").exists() else True
    assert node("key", "list").out == ""


def test_a_request_key_needs_no_certificate(node: Edoc, leader: DevIdentity) -> None:
    file = write(node.folder, "r.pem", key_pem(leader.key))
    ran = node("key", "import", file, "--name", "request", "--role", "request", "--json")
    assert ran.code == 0
    assert ran.json["keys"][0]["subject"] is None


def test_a_pass_phrase_appears_nowhere(node: Edoc, leader: DevIdentity) -> None:
    """A planted pass phrase is in no output, not even with --debug and -v."""
    file = write(node.folder, "p.p12", leader.pkcs12(b"other"))
    write(node.folder, "pin", b"PLANTED-MARKER\n")
    ran = node("key", "import", file, "--name", "k", "--role", "person", "--pin-file", "pin", "--debug", "-v")
    assert ran.code == 5
    assert "PLANTED" not in ran.out + ran.err
    assert "Traceback" in ran.err


def test_the_ledger_is_read_without_its_key(node: Edoc) -> None:
    head, checkpoint = node("ledger", "head", "--json").json, node("ledger", "head").out
    assert problems(head) == []
    assert head["checkpoint"] == checkpoint
    assert checkpoint.startswith(f"{ORIGIN}\n1\n")
    verified = node("ledger", "verify", "--json")
    assert (verified.code, verified.json["result"]) == (0, "proved")
    assert problems(verified.json) == []
    proof = node("ledger", "prove", "0", "-o", "0.tlog-proof", "--json")
    assert problems(proof.json) == []
    assert (node.folder / "0.tlog-proof").read_text("utf-8").endswith(checkpoint)
    by_leaf = node("ledger", "prove", proof.json["leaf"], "--json").json
    assert by_leaf == proof.json
    assert node("ledger", "prove", "7").code == 3


def test_a_changed_leaf_is_found(node: Edoc) -> None:
    """One byte of one leaf changed in the database: exit 1 and the first wrong index."""
    import sqlite3

    with sqlite3.connect(node.home / "edoc.db") as database:
        for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            database.execute(f"DROP TRIGGER {name}")
        ((leaf,),) = database.execute("SELECT data FROM ledger_leaf").fetchall()
        database.execute("UPDATE ledger_leaf SET data = ?", (bytes(leaf).replace(b"first", b"fIrst"),))
    ran = node("ledger", "verify", "--json")
    assert (ran.code, ran.json["result"], ran.json["first_bad_index"]) == (1, "broken", 0)
    assert problems(ran.json) == []


@pytest.mark.parametrize(
    "line", [["ledger", "head"], ["agency", "list"], ["trust", "list"], ["key", "list"], ["ledger", "prove", "0"]]
)
def test_without_a_node_the_commands_name_init(edoc: Edoc, line: list[str]) -> None:
    ran = edoc(*line)
    assert (ran.code, "edoc init" in ran.err) == (6, True)


def test_doctor_looks_at_the_node(node: Edoc) -> None:
    found = node("doctor", "--json")
    assert problems(found.json) == []
    checks = {check["id"]: check["status"] for check in found.json["checks"]}
    assert checks["home"] == "ok"
    assert checks["database"] == "ok"
    assert found.code == (1 if "fail" in checks.values() else 0)
    (node.home / "edoc.db").write_bytes(b"not a database at all" * 100)
    broken = node("doctor", "--json")
    assert broken.code == 1
    assert {check["id"]: check["status"] for check in broken.json["checks"]}["database"] == "fail"
