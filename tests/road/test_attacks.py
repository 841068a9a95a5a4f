"""Attacks against real nodes: what a stranger, a partner gone bad, a false recipient or a full disk can bring about.

Each request is made byte by byte; what must not happen is looked up in the database by the standard library alone.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from edoc.envelopes import Envelope, Party
from signer.credential import Credential, Role
from signer.devpki import Subject
from tests import world as worlds
from tests.road import wires
from tests.road.pairs import Pair, make_pair
from tests.road.pairs import ask as rows
from tests.road.wires import A, B, Said, new_id
from transport import receipts
from transport.demo.offices import edoc, until
from transport.dispatch import Key
from transport.http.wire import RequestKey, format_digest, path_of

pytestmark = [pytest.mark.process, pytest.mark.timeout(300)]

OFFICE_A = Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")
OFFICE_B = Subject("Sở Mẫu B", organization="Sở Mẫu B", tax_number="0100000002")
STRANGER = Subject("Sở Mẫu X", organization="Sở Mẫu X", tax_number="0100000009")
ANY_CODE = tuple(range(256))


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two offices of which B serves; A's keys are in the attacker's hands."""
    made = make_pair(tmp_path_factory.mktemp("attacks"))
    made.b.start()
    yield made
    made.b.kill()


@pytest.fixture
def unchanged(pair: Pair) -> Iterator[None]:
    """B's receipts, inbox and log are after the test what they were before."""
    before = stored(pair)
    yield
    assert stored(pair) == before


def stored(pair: Pair) -> list[object]:
    """Count what B has stored, once all that earlier messages called for is done."""
    unfinished = "SELECT id FROM effect WHERE state IN ('waiting', 'running')"
    until("B has nothing left to do", lambda: rows(pair.b.home, unfinished) == [], seconds=120)
    return [rows(pair.b.home, f"SELECT count(*) FROM {name}") for name in ("inbox", "receipt", "ledger_leaf", "blob")]


def a_message(pair: Pair) -> tuple[Key, bytes]:
    """Return K and bytes of a good message of A to B."""
    key = Key(A, B, new_id())
    return key, wires.message(key.message_id, wires.exchange_key(pair.a))


@pytest.mark.usefixtures("unchanged")
def test_who_cannot_prove_to_be_the_sender_learns_nothing_and_changes_nothing(pair: Pair) -> None:
    key, body = a_message(pair)
    ours, other = wires.request_key(pair.a), wires.request_key(pair.b)
    stranger = RequestKey.from_pem(pair.pki.issue(Role.REQUEST, STRANGER).pem)
    now = datetime.now(UTC)
    tries: dict[str, tuple[Said, tuple[int, str]]] = {
        "no signature": (wires.put(pair.b, key, body, None), (401, "unauthenticated")),
        "unknown key": (wires.put(pair.b, key, body, stranger), (401, "unauthenticated")),
        "another agency's key": (wires.put(pair.b, key, body, other), (403, "forbidden")),
        "expired": (wires.put(pair.b, key, body, ours, at=now - timedelta(seconds=400)), (401, "unauthenticated")),
        "future": (wires.put(pair.b, key, body, ours, at=now + timedelta(seconds=90)), (503, "clock-disagreement")),
        "another sender": (wires.put(pair.b, replace(key, sender="H99.55"), body, ours), (403, "forbidden")),
        "not served": (wires.put(pair.b, replace(key, recipient="H99.77"), body, ours), (404, "unknown-recipient")),
        "state, stranger": (wires.ask(pair.b, key, stranger), (401, "unauthenticated")),
        "state, other": (wires.ask(pair.b, key, other), (403, "forbidden")),
        "receipt, nothing known": (wires.ask(pair.b, key, ours, "/receipt"), (404, "unknown-message")),
    }
    assert {name: (said.status, said.problem) for name, (said, _) in tries.items()} == {
        name: expected for name, (_, expected) in tries.items()
    }


@pytest.mark.usefixtures("unchanged")
def test_a_request_that_lies_about_its_body_is_refused_and_leaves_nothing(pair: Pair) -> None:
    key, body = a_message(pair)
    ours = wires.request_key(pair.a)
    line = ("PUT", path_of(key))

    def bare(**changed: str | None) -> Said:
        return wires.talk(
            pair.b, wires.head(pair.b, line, key=None, fields=wires.content_fields(body, **changed)) + body
        )

    def signed(*unsigned: tuple[str, str], **changed: str | None) -> int:
        return wires.put(pair.b, key, body, ours, unsigned=unsigned, changed=changed).status

    size = len(body)
    statuses = {
        "digest": signed(Content_Digest=format_digest("00" * 32)),
        "shorter": signed(Content_Length=str(size - 10)),
        "type": signed(Content_Type="text/xml"),
        "encoded": signed(("Content-Encoding", "gzip")),
        "two lengths": signed(("Content-Length", "5")),
        "length and chunks": signed(("Transfer-Encoding", "chunked")),
        "too large": signed(Content_Length="200000000"),
        "no number": signed(Content_Length="1" + 30 * "0"),
        "wide field": signed(("X-A", "a" * 20_000)),
        "many fields": signed(*((f"X-{number}", "a") for number in range(100))),
        "expectation": signed(("Expect", "200-ok")),
        "no digest": bare(Content_Digest=None).status,
        "no length": bare(Content_Length=None).status,
    }
    assert statuses == {
        **dict.fromkeys(["digest", "shorter", "two lengths", "length and chunks", "no number", "no digest"], 400),
        **dict.fromkeys(["type", "encoded"], 415),
        **dict.fromkeys(["wide field", "many fields"], 431),
        "too large": 413,
        "expectation": 417,
        "no length": 411,
    }
    whole = wires.head(pair.b, line, key=ours, fields=wires.content_fields(body)) + body
    for cut in (10, len(whole) - size, len(whole) - size // 2, len(whole) - 1):
        assert wires.talk(pair.b, whole[:cut], then_close=True).status in (0, 400), "cut on the way"
    assert not list((pair.b.home / "spool").iterdir())


def test_a_captured_request_brings_the_stored_receipt_and_nothing_else(pair: Pair) -> None:
    key, body = a_message(pair)
    line = ("PUT", path_of(key))
    captured = wires.head(pair.b, line, key=wires.request_key(pair.a), fields=wires.content_fields(body)) + body
    first, again = wires.talk(pair.b, captured), wires.talk(pair.b, captured)
    assert (first.status, again.status) == (201, 200)
    assert first.body == again.body
    elsewhere = captured.replace(key.message_id.encode(), new_id().encode(), 1)
    assert wires.talk(pair.b, elsewhere).status == 401, "the path is signed"
    assert rows(pair.b.home, "SELECT count(*) FROM inbox WHERE message_id = ?", key.message_id) == [(1,)]


def test_the_same_bytes_under_another_id_are_refused_and_used_up(pair: Pair) -> None:
    key, body = a_message(pair)
    ours = wires.request_key(pair.a)
    other = replace(key, message_id=new_id())
    said = wires.put(pair.b, other, body, ours)
    assert (said.status, said.problem) == (422, "slip-mismatch")
    assert wires.put(pair.b, other, body, ours).body == said.body, "one receipt, refusals too"
    assert rows(pair.b.home, "SELECT count(*) FROM inbox WHERE message_id = ?", other.message_id) == [(0,)]


def test_bytes_with_a_fault_are_refused_for_it_by_a_receipt_in_no_time(pair: Pair) -> None:
    ours, good = wires.request_key(pair.a), wires.exchange_key(pair.a)
    own = pair.pki.issue

    def to_others(letter: Envelope) -> Envelope:
        return replace(letter, recipients=(Party("H99.03", "Sở Mẫu C", address="-"),))

    def of_others(letter: Envelope) -> Envelope:
        return replace(letter, sender=replace(letter.sender, organ_id="H99.03"))

    def sealed(credential: Credential, **facts: object) -> Callable[[str], bytes]:
        return lambda message_id: wires.message(message_id, credential, **facts)

    faults: dict[str, tuple[Callable[[str], bytes], str]] = {
        "no xml": (lambda _: b"x" * 100, "not-edxml"),
        "entities": (lambda _: b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "not-edxml"),
        "deep": (lambda _: b"<a>" * 20_000 + b"</a>" * 20_000, "limits"),
        "attributes": (lambda _: b"<a " + b" ".join(b"a%d='1'" % n for n in range(50_000)) + b"/>", "limits"),
        "no seal": (lambda _: worlds.letter(at=datetime.now(UTC)), "seal-missing"),
        "changed": (lambda i: wires.message(i, good).replace(b"V/v", b"V/V"), "seal-invalid"),
        "appended": (lambda i: wires.message(i, good) + b"<!-- -->", "seal-invalid"),
        "expired": (sealed(own(Role.EXCHANGE, OFFICE_A, variant="expired").credential), "certificate-invalid"),
        "own root": (sealed(own(Role.EXCHANGE, OFFICE_A, variant="unknown-root").credential), "certificate-invalid"),
        "recipient's seal": (sealed(wires.exchange_key(pair.b)), "seal-not-sender"),
        "same name, unknown": (sealed(own(Role.EXCHANGE, OFFICE_A).credential), "seal-not-sender"),
        "another sender": (sealed(good, change=of_others), "slip-mismatch"),
        "not for B": (sealed(good, change=to_others), "wrong-addressee"),
    }
    found = {}
    for name, (make, _) in faults.items():
        key = Key(A, B, new_id())
        body = make(key.message_id)
        began = time.monotonic()
        said = wires.put(pair.b, key, body, ours)
        found[name] = said.problem
        assert said.status == 422, name
        assert time.monotonic() - began < 5, name
    assert found == {name: expected for name, (_, expected) in faults.items()}
    ahead = datetime.now(UTC) + timedelta(seconds=400)
    key = Key(A, B, new_id())
    said = wires.put(pair.b, key, wires.message(key.message_id, good, at=ahead), ours)
    assert (said.status, said.problem) == (503, "clock-disagreement"), "a seal of the future is not judged"


def test_of_32_clients_with_one_id_one_is_accepted_and_all_get_its_receipt(pair: Pair) -> None:
    key, body = a_message(pair)
    ours = wires.request_key(pair.a)
    with ThreadPoolExecutor(32) as pool:
        said = list(pool.map(lambda _: wires.put(pair.b, key, body, ours), range(32)))
    assert Counter(one.status for one in said)[201] == 1
    assert {one.problem for one in said} <= {"accepted", "in-progress", "too-many-requests"}
    assert len({one.body for one in said if one.status in (200, 201)}) == 1
    assert rows(pair.b.home, "SELECT count(*) FROM inbox WHERE message_id = ?", key.message_id) == [(1,)]


def test_of_32_clients_with_other_bytes_under_one_id_one_is_accepted_and_no_other_gets_a_receipt(pair: Pair) -> None:
    key, ours, exchange = Key(A, B, new_id()), wires.request_key(pair.a), wires.exchange_key(pair.a)
    bodies = [wires.message(key.message_id, exchange, number=str(number)) for number in range(300, 332)]
    with ThreadPoolExecutor(32) as pool:
        said = list(pool.map(lambda body: wires.put(pair.b, key, body, ours), bodies))
    assert Counter(one.status for one in said)[201] == 1
    assert {one.problem for one in said} <= {"accepted", "in-progress", "too-many-requests", "message-id-conflict"}
    assert [one.status for one in said if one.problem == "accepted"] == [201]
    assert rows(pair.b.home, "SELECT count(*) FROM receipt WHERE message_id = ?", key.message_id) == [(1,)]


def test_while_the_database_is_locked_the_node_says_later_and_goes_on_afterwards(pair: Pair) -> None:
    key, body = a_message(pair)
    ours = wires.request_key(pair.a)
    with closing(sqlite3.connect(pair.b.home / "edoc.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        said = wires.put(pair.b, key, body, ours)
        connection.execute("ROLLBACK")
    assert (said.status, said.problem) == (503, "unavailable")
    assert int(said.headers["retry-after"]) > 0
    until("accepted", lambda: wires.put(pair.b, key, body, ours).status in (200, 201), seconds=30)
    assert pair.b.process is not None
    assert pair.b.process.poll() is None, "the server is still there"


def test_the_log_is_lines_of_json_without_content_names_keys_or_traces(pair: Pair) -> None:
    assert pair.b.log is not None
    key, body = a_message(pair)
    wires.put(pair.b, key, body, None)
    wires.put(pair.b, key, body.replace(b"V/v", b"V/V"), wires.request_key(pair.a))
    wires.put(pair.b, *a_message(pair), wires.request_key(pair.a))
    events = {"auth.failed", "request.refused", "message.accepted", "message.refused"}
    log = pair.b.log
    until("all four happened", lambda: events <= {json.loads(one)["event"] for one in log.read_text().splitlines()})
    text = log.read_text("utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert all({"time", "level", "event"} <= set(one) for one in lines)
    for word in ("Traceback", "PRIVATE KEY", "Nguyễn", "Trần", "V/v", "Sở Mẫu", "SMA-VP.pdf", "Signature", "<"):
        assert word not in text


# --- a false recipient -----------------------------------------------------------------------------------------------


def test_nothing_but_a_true_receipt_or_a_registered_problem_ends_a_dispatch(tmp_path: Path) -> None:
    """Whatever a false recipient answers, the sender's dispatch stays open, and its log stays sound (I10)."""
    pair = make_pair(tmp_path)
    true, own = wires.exchange_key(pair.b), wires.exchange_key(pair.a)
    rogue = pair.pki.issue(Role.EXCHANGE, OFFICE_B).credential

    def receipt(path: str, body: bytes, credential: Credential = true, **changed: object) -> bytes:
        now = datetime.now(UTC).replace(microsecond=0)
        made = receipts.Receipt(
            receipt_id=new_id(),
            event=receipts.ACCEPTANCE,
            issuer=receipts.Issuer(B, "Sở Mẫu B", "nut-1"),
            key=Key(A, B, path.rpartition("/")[2]),
            size=len(body),
            sha256=hashlib.sha256(body).hexdigest(),
            received_at=now,
            issued_at=now,
            ledger_origin="x.example/edoc-ledger/2026",
        )
        return receipts.issue(replace(made, **changed), credential=credential)  # type: ignore[arg-type]

    def spoilt(data: bytes) -> bytes:
        return data[:900] + bytes([data[900] ^ 1]) + data[901:]

    refusal = {"event": receipts.REJECTION, "reasons": (receipts.ReasonLine("limits", "vượt giới hạn"),)}
    answers: dict[str, wires.Answering] = {
        "202": lambda _, __: wires.answer(202, more=["Retry-After: 60"]),
        "redirect": lambda p, b: wires.answer(302, receipt(p, b), more=["Location: http://127.0.0.1:1/"]),
        "a page": lambda _, __: wires.answer(200, b"<html>ok</html>", "text/html"),
        "nothing": lambda _, __: b"",
        "empty": lambda _, __: wires.answer(201),
        "noise": lambda _, __: b"\x00\x01noise\r\n\r\n",
        "endless": lambda _, __: wires.answer(201, b"x" * 1_000_000),
        "many fields": lambda _, __: b"HTTP/1.1 201 OK\r\n" + b"X: %s\r\n" % (b"a" * 4000) * 500,
        "cut": lambda p, b: wires.answer(201, receipt(p, b))[:-1],
        "cut head": lambda p, b: wires.answer(201, receipt(p, b))[:60],
        "of another message": lambda p, b: wires.answer(201, receipt(p, b, key=Key(A, B, new_id()))),
        "about other bytes": lambda p, b: wires.answer(201, receipt(p, b, sha256="0" * 64)),
        "by the sender": lambda p, b: wires.answer(201, receipt(p, b, own)),
        "by an unknown key": lambda p, b: wires.answer(201, receipt(p, b, rogue)),
        "refusal by an unknown key": lambda p, b: wires.answer(422, receipt(p, b, rogue, **refusal)),
        "one bit": lambda p, b: wires.answer(201, spoilt(receipt(p, b))),
        "one byte more": lambda p, b: wires.answer(201, receipt(p, b) + b"\n"),
        "as plain xml": lambda p, b: wires.answer(201, receipt(p, b), "application/xml"),
        "unregistered problem": lambda _, __: wires.problem("gone-fishing", 410),
        "another status": lambda _, __: wires.problem("too-large", 500),
        "retry for ever": lambda _, __: wires.problem("storage-low", 507),
    }
    final: dict[str, wires.Answering] = {"too large": lambda _, __: wires.problem("too-large", 413)}
    whose = {pair.queue(str(500 + number)): name for number, name in enumerate((*answers, *final))}

    def answering(path: str, body: bytes) -> bytes:
        parts = path.split("/")
        if len(parts) < 8:  # a ping, or a question for metadata
            return wires.problem("unavailable", 503)
        return {**answers, **final}[whose[parts[7]]](path, body)

    server = wires.FalseRecipient(pair.b.port, answering)
    with closing(sqlite3.connect(pair.a.home / "edoc.db")) as connection:
        connection.execute("UPDATE partner SET cap = 8")
    try:
        pair.a.start()
        tried = "SELECT count(DISTINCT dispatch) FROM attempt WHERE ended_at IS NOT NULL"

        def all_tried() -> bool:
            with closing(sqlite3.connect(pair.a.home / "edoc.db", timeout=10)) as connection, connection:
                connection.execute("UPDATE partner SET open_until = NULL, open_for = 0, failures = 0")
            return rows(pair.a.home, tried) == [(len(whose),)]

        until("every answer was given", all_tried, seconds=60)
    finally:
        pair.a.stop()
        server.close()
    states = {whose[one]: pair.state(one) for one in whose}
    assert {states.pop(name) for name in final} == {"refused"}
    assert states.pop("retry for ever") == "queued", "a registered problem says that nothing was stored"
    assert set(states.values()) == {"unknown"}
    assert rows(pair.a.home, "SELECT count(*) FROM receipt") == [(0,)]
    assert edoc("ledger", "verify", "--receipts", home=pair.a.home).document["result"] == "proved"
    assert pair.a.log is not None
    text = pair.a.log.read_text("utf-8")
    assert "Traceback" not in text
    assert "V/v" not in text


# --- disks -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes, mounted at a folder."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounting = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)]
    if os.name != "posix" or shutil.which("mount") is None or subprocess.run(mounting, capture_output=True).returncode:
        pytest.skip("only an administrator can mount a small disk")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(path: Path) -> None:
    """Write to a file until the disk is full."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    try:
        while os.write(descriptor, b"x" * 4096):
            pass
    except OSError:
        pass
    finally:
        os.close(descriptor)


def test_a_recipient_with_a_full_disk_says_so_and_recovers_by_itself(tmp_path: Path, small_disk: Path) -> None:
    pair = make_pair(tmp_path / "pair")
    shutil.copytree(pair.b.home, small_disk, dirs_exist_ok=True)
    pair.b.home = small_disk
    ours, exchange = wires.request_key(pair.a), wires.exchange_key(pair.a)
    try:
        pair.b.start()
        before = a_message(pair)
        assert wires.put(pair.b, before[0], before[1], ours).status == 201
        checked = "SELECT id FROM effect WHERE kind = 'check' AND state IN ('waiting', 'running')"
        until("the letter is checked", lambda: not rows(small_disk, checked), seconds=30)
        fill(small_disk / "filler")
        key = Key(A, B, new_id())
        large = wires.message(key.message_id, exchange, content=b"%PDF-1.4\n" + os.urandom(300_000) + b"\n%%EOF\n")
        waiting = [a_message(pair), (key, large)]
        for one in waiting:
            said = wires.put(pair.b, one[0], one[1], ours)
            assert (said.status, said.problem) == (507, "storage-low")
        assert wires.put(pair.b, before[0], before[1], ours).status == 200, "what was accepted stays readable"
        refused = edoc("accept", f"msg:{before[0].message_id}", "--despite", "x", home=small_disk, expect=(4,))
        error = refused.document["error"]
        assert isinstance(error, dict)
        assert error["code"] == "EDOC-STO-002"
        (small_disk / "filler").unlink()
        for one in waiting:
            until("accepted", lambda one=one: wires.put(pair.b, one[0], one[1], ours).status in (200, 201), seconds=30)
        assert rows(small_disk, "SELECT count(*) FROM inbox") == [(3,)]
        assert not [path for path in small_disk.rglob("*") if path.parent.name in ("tmp", "spool") and path.is_file()]
        assert edoc("ledger", "verify", "--receipts", home=small_disk).document["result"] == "proved"
    finally:
        pair.b.kill()


def test_commands_on_a_full_or_read_only_disk_say_so_and_leave_no_half_file(tmp_path: Path, small_disk: Path) -> None:
    pair = make_pair(tmp_path / "pair")
    message_id = pair.queue()
    packed = tmp_path / "letter.edxml"
    packed.write_bytes(worlds.letter("888", at=datetime.now(UTC)))
    sending = ("send", str(packed), "--queue-only", "--yes", "--allow-information-only")
    exporting = ("evidence", f"msg:{message_id}", "-o", str(small_disk / "out.asice"))
    home = small_disk / "home"
    shutil.copytree(pair.a.home, home)

    def code_of(*arguments: str, at: Path) -> tuple[int, str]:
        found = edoc(*arguments, home=at, expect=ANY_CODE)
        error = found.document.get("error")
        assert isinstance(error, dict), found.errors
        assert error["next"], "what to do"
        assert "Traceback" not in found.errors
        return found.code, str(error["code"])

    fill(small_disk / "filler")
    assert code_of(*sending, at=home) == (4, "EDOC-STO-002")
    assert code_of("init", "--agency", "H99.05", "--name", "Sở Mẫu E", at=small_disk / "new") == (4, "EDOC-STO-002")
    assert code_of(*exporting, at=pair.a.home) == (4, "EDOC-USE-011")
    assert {path.name for path in small_disk.iterdir()} == {"filler", "home"}
    (small_disk / "filler").unlink()
    assert rows(home, "SELECT count(*) FROM message") == [(1,)]
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert code_of(*sending, at=home)[0] == 6
    assert code_of("init", "--agency", "H99.05", "--name", "Sở Mẫu E", at=small_disk / "new") == (6, "EDOC-STO-005")
    assert code_of(*exporting, at=pair.a.home) == (2, "EDOC-USE-010")


# --- the log in the hands of its keeper ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "index"),
    [
        ("UPDATE ledger_leaf SET data = replace(data, 'H99.02', 'H99.03') WHERE ticket = 2", 1),
        ("UPDATE ledger_leaf SET leaf = cast(substr(leaf, 1, 31) || x'00' AS blob) WHERE ticket = 2", 1),
        ("DELETE FROM ledger_entry WHERE idx = 1", 1),
        ("UPDATE ledger_entry SET idx = idx + 1 WHERE idx = 1", 1),
        ("UPDATE ledger_head SET size = size + 1", 2),
        ("UPDATE ledger_head SET root = zeroblob(32)", None),
        ("UPDATE ledger_head SET note = replace(note, '2', '3')", None),
        ("UPDATE ledger_head SET at = at - 1", None),
        ("UPDATE blob SET data = cast('x' AS blob) WHERE data IS NOT NULL", 0),
    ],
)
def test_rows_of_the_log_changed_behind_its_back_are_found(change: str, index: int | None, tmp_path: Path) -> None:
    pair = make_pair(tmp_path)
    pair.queue()
    with closing(sqlite3.connect(pair.a.home / "edoc.db")) as connection, connection:
        triggers = connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall()
        for (name,) in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(change).rowcount
    found = edoc("ledger", "verify", "--receipts", home=pair.a.home, expect=(1,)).document
    assert (found["result"], found["first_bad_index"]) == ("broken", index)
