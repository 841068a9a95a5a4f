"""The fault matrix, rows about workers, clocks, keys, restored stores and acts of people: F10, F11, F15 to F20."""

from __future__ import annotations

import json
import random
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from edoc.agencies import Agency
from signer.credential import Role
from signer.devpki import DevPki, Subject
from tests import world as worlds
from tests.lab import invariants
from tests.lab.lab import BOTH, LONG, A, B, Lab, Template, set_endpoint, set_url
from tests.lab.nodes import LabNode, Nursery, until
from tests.lab.proxy import Plan, Seen, always
from tests.lab.reader import Store
from tests.lab.stranger import Stranger, signer_of
from tests.second.second_message import Sealed
from transport.demo.pkiserver import PkiServer
from transport.node.node import Node
from transport.store import directory as directories

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]
OFFICE_A = Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")


def kinds(lab: Lab, node: LabNode, message_id: str) -> list[str]:
    """Return the kinds of leaves a node has about a message, in their order."""
    return [str(leaf["kind"]) for *_, leaf in lab.store(node).leaves() if leaf.get("msg") == message_id]


def events(node: LabNode) -> set[str]:
    """Return the events in a node's log."""
    return {json.loads(line)["event"] for line in node.log.read_text("utf-8").splitlines()}


def delivered(lab: Lab, *ids: str) -> bool:
    """Tell whether messages are delivered."""
    return all(lab.state(one) == "delivered" for one in ids)


def only_agreement(lab: Lab) -> None:
    """Check all that holds before everything has come to its end."""
    faults = invariants.check(lab.offices(), confirmed=lab.confirmed, finished=False)
    assert not faults, faults


# --- F10: workers ----------------------------------------------------------------------------------------------------


@BOTH
def test_f10_a_worker_stopped_past_its_lease_changes_nothing(lab: Lab, record_property: Record) -> None:
    """A's worker sleeps in the middle of an attempt; another delivers; what the first then brings is dropped."""
    lab.b.start()
    file = lab.folder / "letter.edxml"
    file.write_bytes(lab.letter())
    words = ("send", str(file), "--yes", "--allow-information-only")
    message_id = str(lab.a.run(*words, "--queue-only", expect=(0, 4))["message_id"])
    lab.confirmed.append((A, message_id))
    gate = threading.Event()
    held: list[Seen] = []

    def plan(seen: Seen) -> Plan:
        if seen.method != "PUT" or held:
            return Plan()
        held.append(seen)
        return Plan(answer=b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", hold=gate)

    lab.to_b.plan = plan
    lab.a.start()
    until("the first worker sends", lambda: held)
    until("the worker sleeps, and not in a transaction", partial(asleep, lab, lab.a))
    lab.turn(timedelta(seconds=31))
    lab.a.run(*words, "--wait", "60", expect=(0,))
    assert lab.state(message_id) == "delivered"
    gate.set()
    lab.a.resume()
    until("the first worker notices", lambda: "dispatch.lease_lost" in events(lab.a))
    assert lab.state(message_id) == "delivered"
    lab.settle()
    lab.check()
    record_property("cases", 1)


def asleep(lab: Lab, node: LabNode) -> bool:
    """Stop a node; if it holds the database just then, let it go on."""
    node.pause()
    if not _holds(lab.store(node)):
        return True
    node.resume()
    return False


def _holds(store: Store) -> bool:
    if store.url:
        return bool(
            store.ask(
                "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND xact_start IS NOT NULL "
                "AND pid <> pg_backend_pid() AND application_name = 'edoc'"
            )
        )
    try:
        with closing(sqlite3.connect(store.home / "edoc.db", isolation_level=None, timeout=0.2)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError:
        return True
    return False


@BOTH
def test_f10_an_effect_that_twice_kills_its_process_is_quarantined(lab: Lab, record_property: Record) -> None:
    """The next work flows; the document is there for the clerk all the same."""
    lab.a.start()
    lab.b.start(env={"EDOC_STOP_AT": "effect.started"})
    first = lab.submit()
    for _ in range(2):
        lab.hasten(lambda: not lab.b.alive())
        lab.b.died()
        lab.turn(timedelta(seconds=31))
        lab.b.start(ready=False, env={"EDOC_STOP_AT": "effect.started"})
    lab.b.kill()
    lab.turn(timedelta(seconds=31))
    lab.b.start()
    second = lab.submit()
    told = "SELECT count(*) FROM status WHERE direction = 'in' AND code = '01' AND message_id = ?"
    lab.hasten(lambda: lab.store(lab.a).one(told, second) == 1)
    assert lab.store(lab.b).one("SELECT count(*) FROM effect WHERE state = 'quarantined'") == 1
    lab.settle()
    assert delivered(lab, first, second)
    lab.check()
    record_property("cases", 2)


@pytest.mark.parametrize("how", ["raise", "hang"])
def test_f10_an_effect_whose_handler_raises_or_hangs_is_quarantined(
    lab: Lab, record_property: Record, how: str
) -> None:
    """Status 01 of the first document cannot be made; it is put aside, and meanwhile the work on the next one flows."""
    error, column, times = {"raise": ("KeyError", "failures", 5), "hang": ("does not end", "crashes", 2)}[how]
    lab.a.start()
    lab.b.start(env={"LAB_EFFECT": f"{how}:status-01:1"})
    first = lab.submit()
    lab.reach(first, "delivered")
    second = lab.submit()
    told = "SELECT count(*) FROM status WHERE direction = 'in' AND code = '01' AND message_id = ?"
    until("the next one is told", lambda: lab.store(lab.a).one(told, second) == 1)
    store, question = lab.store(lab.b), f"SELECT last_error, {column} FROM effect WHERE state = 'quarantined'"
    if how == "hang":
        until("it is put aside", lambda: store.ask(question))  # by real time: turned clocks would end its lease
    else:
        lab.hasten(lambda: store.ask(question), step=timedelta(seconds=45))
    assert store.ask(question) == [(error, times)]
    until("both were checked", lambda: store.ask("SELECT count(*) FROM inbox WHERE verdict IS NOT NULL") == [(2,)])
    assert lab.store(lab.a).one(told, first) == 0
    lab.settle()
    lab.check()
    assert lab.b.stop() == 0, "a thread that hangs keeps no server from ending"
    record_property("cases", 1)


# --- F11: clocks -----------------------------------------------------------------------------------------------------


@BOTH
def test_f11_clocks_that_jump_and_disagree(lab: Lab, record_property: Record) -> None:
    """Both or one of the clocks jump by an hour, a day, ten minutes, and step back; each letter arrives once."""
    lab.start()
    hour, day, ten = timedelta(hours=1), timedelta(days=1), timedelta(minutes=10)
    jumps = [(lab.nodes, hour), (lab.nodes, -hour), ((lab.a,), ten), ((lab.b,), hour), ((lab.b,), day)]
    jumps += [((lab.a,), day), (lab.nodes, -day), (lab.nodes, day)] if LONG else []
    for nodes, jump in jumps:
        for node in nodes:
            lab.turn_one(node, jump)
        message_id = lab.submit()
        alone = len(nodes) == 1
        if alone:
            until("an attempt was made", partial(lab.attempts, message_id), seconds=20)
            assert lab.state(message_id) == "queued"
            if jump == ten:
                assert (
                    lab.store(lab.a).one("SELECT problem FROM attempt ORDER BY started_at DESC") == "clock-disagreement"
                )
            for node in nodes:
                lab.turn_one(node, -jump)
        lab.hasten(partial(delivered, lab, message_id), step=timedelta(hours=3))
    lab.settle(step=timedelta(hours=3))  # what was queued by a clock a day ahead may wait that day
    lab.check()
    record_property("cases", len(jumps))


# --- F15: keys -------------------------------------------------------------------------------------------------------


def test_f15_certificates_expired_revoked_unknown_and_status_too_old(lab: Lab, record_property: Record) -> None:
    """The documented reason, or ``trust-unavailable``: nothing is judged blindly."""
    lab.b.start()
    stranger, pki = Stranger.of(lab), lab.template.pki
    revoked = pki.issue(Role.EXCHANGE, OFFICE_A)
    variants = {
        name: signer_of(pki.issue(Role.EXCHANGE, OFFICE_A, variant=name))
        for name in ("expired", "not-yet-valid", "unknown-root")
    }
    for name, signer in variants.items():
        message = stranger.message(signer=signer)
        said = stranger.put(message)
        assert (said.status, said.problem) == (422, "certificate-invalid"), name
        assert not stranger.proved(message, said).accepted
    unknown = stranger.message(signer=signer_of(pki.issue(Role.EXCHANGE, OFFICE_A)))
    assert stranger.put(unknown).problem == "seal-not-sender"
    pki.revoke(revoked.certificate, at=stranger.now() - timedelta(hours=1))
    fresh_lists(lab, lab.b)
    assert stranger.put(stranger.message(signer=signer_of(revoked))).problem == "certificate-invalid"
    record_property("cases", len(variants) + 2)


def test_f15_status_that_is_too_old_is_not_judged_by(nursery: Nursery, tmp_path: Path, record_property: Record) -> None:
    """The lists end and their server is away: ``trust-unavailable``; it comes back, and the message is accepted."""
    begun = datetime.now(UTC)
    offset = [timedelta()]
    server = PkiServer(clock=lambda: datetime.now(UTC) + offset[0])
    pki = DevPki.create(at=begun.replace(microsecond=0) - timedelta(days=1), base_url=server.url)
    server.use(pki)
    port = int(server.url.rpartition(":")[2])
    server.stop()
    lab = Lab.make(nursery, Template.make(tmp_path / "template", pki), tmp_path / "lab")
    try:
        lab.b.start()
        stranger = Stranger.of(lab)
        stranger.settled(stranger.message())
        offset[0] = timedelta(days=9)
        lab.turn(offset[0])
        message = stranger.message()
        said = stranger.put(message)
        assert (said.status, said.problem) == (503, "trust-unavailable")
        server = PkiServer(clock=lambda: datetime.now(UTC) + offset[0], port=port)
        server.use(pki)
        with server:
            stranger.settled(message)
    finally:
        lab.close()
    only_agreement(lab)
    record_property("cases", 2)


def fresh_lists(lab: Lab, node: LabNode) -> None:
    """Give a node the revocation lists of its moment, as its fetching would."""
    now = datetime.now(UTC) + node.control.offset
    with Node.open(worlds.settings_of(node.home)) as opened:
        for crl in (lab.template.pki.crl(at=now), lab.template.pki.root_crl(at=now)):
            opened.office.store.do(
                partial(directories.keep_revocation, kind="crl", answer=crl, fetched_at=now, next_update=None)
            )


# --- F16, F17: restored stores ---------------------------------------------------------------------------------------


def test_f16_a_recipient_restored_from_an_older_backup_stays_read_only(lab: Lab, record_property: Record) -> None:
    """The ledger guard sees heads that the restored log does not have: nothing is received until a person decides."""
    lab.start()
    stranger = Stranger.of(lab)
    lab.b.kill()
    backup = lab.folder / "backup"
    backup.mkdir()
    for path in lab.b.home.glob("edoc.db*"):
        shutil.copy(path, backup / path.name)
    lab.b.start()
    message_id = lab.submit()
    lab.reach(message_id, "delivered")
    lab.b.kill()
    for path in lab.b.home.glob("edoc.db*"):
        path.unlink()
    for path in backup.iterdir():
        shutil.copy(path, lab.b.home / path.name)
    lab.b.start(ready=False)
    if lab.b.listening():
        message = stranger.message()
        said = stranger.put(message)
        assert (said.status, said.problem) == (503, "unavailable"), "it forgot a receipt, and receives again"
        assert not lab.store(lab.b).rows("inbox")
    record_property("cases", 1)


def test_f17_a_sender_restored_from_an_older_backup_meets_its_receipts(lab: Lab, record_property: Record) -> None:
    lab.b.start()
    ids = [lab.submit() for _ in range(3)]
    backup = lab.folder / "backup"
    shutil.copytree(lab.a.home, backup)
    lab.to_a.plan = always(Plan(refuse=True))  # statuses wait: what A received and lost is another row
    lab.a.start()
    lab.hasten(partial(delivered, lab, *ids))
    receipts = {one: lab.store(lab.a).one("SELECT data FROM receipt WHERE message_id = ?", one) for one in ids}
    lab.a.kill()
    shutil.rmtree(lab.a.home)
    shutil.copytree(backup, lab.a.home)
    lab.to_a.plan = always(Plan())
    lab.a.start()
    lab.hasten(partial(delivered, lab, *ids))
    for one, receipt in receipts.items():
        assert lab.store(lab.a).one("SELECT data FROM receipt WHERE message_id = ?", one) == receipt
        assert [seen.status for seen in lab.to_b.puts(one)][-1] == 200
    lab.settle()
    lab.check()
    record_property("cases", len(ids))


def test_f17_a_damaged_message_is_not_sent_until_it_is_restored(lab: Lab, record_property: Record) -> None:
    lab.b.start()
    message_id = lab.submit(content=b"%PDF-1.4\n" + random.Random(1).randbytes(90_000) + b"\n%%EOF\n")
    digest = str(lab.store(lab.a).one("SELECT sha256 FROM message WHERE message_id = ?", message_id))
    path = lab.a.home / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest
    good = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(good[:5000] + b"\x00" + good[5001:])
    lab.a.start()
    lab.hasten(lambda: "blob.mismatch" in events(lab.a))
    assert not lab.to_b.puts(message_id)
    assert lab.state(message_id) not in ("delivered", "refused")
    path.write_bytes(good)
    lab.hasten(partial(delivered, lab, message_id), step=timedelta(hours=2))
    lab.settle()
    lab.check()
    record_property("cases", 1)


# --- F18, F19: acts of people ----------------------------------------------------------------------------------------

TAKE_BACK = ("--reason", "sent-by-mistake", "--yes")


@BOTH
def test_f18_taken_back_at_every_point_of_an_attempt(lab: Lab, record_property: Record) -> None:
    """Never sent; sent and received; sent and not received; and receipts that come after ``recalled``, ``expired``."""
    lab.b.start()
    queued = lab.submit()
    lab.a.run("dispatch", "take-back", f"msg:{queued}", *TAKE_BACK)
    assert lab.state(queued) == "recalled"
    lost_reply, lost_body, late = lab.submit(), lab.submit(), lab.submit()
    lab.to_b.plan = lambda seen: (
        Plan(cut_answer=10) if lost_reply in seen.path else Plan(cut_request=len(seen.head) + 100)
    )
    lab.a.start()
    lab.hasten(lambda: all(lab.state(one) == "unknown" for one in (lost_reply, lost_body, late)))
    for one in (lost_reply, lost_body):
        lab.a.run("dispatch", "take-back", f"msg:{one}", *TAKE_BACK, expect=(0, 4))
    bodies = len(lab.to_b.puts(lost_body))
    lab.to_b.plan = lambda seen: Plan(refuse=late in seen.path)
    lab.hasten(lambda: lab.state(lost_reply) == "delivered" and lab.state(lost_body) == "recalled")
    assert len(lab.to_b.puts(lost_body)) == bodies, "no body leaves after a take-back"
    lab.hasten(lambda: lab.state(late) == "expired", step=timedelta(hours=8))
    _late_receipts(lab, (lost_body, late))
    assert "late-receipt" in kinds(lab, lab.a, late)
    lab.settle()
    lab.check()
    record_property("cases", 5)


def _late_receipts(lab: Lab, ids: tuple[str, ...]) -> None:
    """The bytes reach B after all, by another way, and its receipt reaches A as a file: the receipt wins (T7)."""
    stranger = Stranger.of(lab)
    fresh_lists(lab, lab.b)
    fresh_lists(lab, lab.a)
    for one in ids:
        digest = str(lab.store(lab.a).one("SELECT sha256 FROM message WHERE message_id = ?", one))
        data = lab.store(lab.a).blob(digest)
        assert data is not None
        said = stranger.settled(Sealed(data, one, A, "edoc"))
        file = lab.folder / f"{one}.receipt.xml"
        file.write_bytes(said.body)
        lab.a.run("dispatch", "import", str(file))
        assert lab.state(one) == "delivered"


def _move(lab: Lab, port: int) -> None:
    """B is reached at another address from now on, and A's directory knows it."""
    assert lab.b.stop() == 0
    set_endpoint(lab.b.home, port)
    lab.b.start()
    set_url(lab.a.home, B, port)


@BOTH
def test_f19_a_recipient_that_moves_or_closes_between_attempts(lab: Lab, record_property: Record) -> None:
    """The same K at the new endpoint is one acceptance; a closed code is refused, and its successor named."""
    lab.b.start()
    moved = lab.submit()
    lab.to_b.plan = always(Plan(cut_answer=100))
    lab.a.start()
    lab.reach(moved, "unknown")
    _move(lab, lab.b.port)
    lab.hasten(partial(delivered, lab, moved))
    _move(lab, lab.to_b.port)
    lab.to_b.plan = always(Plan())
    lab.settle()
    closed = Agency(
        code=B, name="Sở Mẫu B", address="Số 1 phố Mẫu", valid_to=date(2020, 1, 1), successor=A, certificates=()
    )
    with Node.open(worlds.settings_of(lab.b.home)) as opened:
        opened.office.store.do(partial(directories.add, agency=closed, now=Stranger.of(lab).now()))
    refused = lab.submit()
    lab.hasten(lambda: lab.state(refused) == "refused")
    (row,) = lab.store(lab.a).ask(
        "SELECT d.problem, d.problem_status FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?",
        refused,
    )
    assert row == ("recipient-moved", 410)
    assert b'"successor":"H99.01"' in lab.to_b.puts(refused)[-1].answer
    lab.settle()
    lab.check()
    record_property("cases", 2)


# --- F20 -------------------------------------------------------------------------------------------------------------


def test_f20_a_node_refuses_a_database_of_a_later_edition(lab: Lab) -> None:
    with closing(sqlite3.connect(lab.b.home / "edoc.db")) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    lab.b.start(ready=False)
    assert not lab.b.listening(), "it serves a database it does not know"


def test_f20_work_under_random_faults_leaves_the_baseline(lab: Lab, record_property: Record) -> None:
    """Letters flow while connections are cut, held, doubled and garbled; then all is as before, memory included."""
    lab.start()
    for one in [lab.submit() for _ in range(3)]:
        lab.reach(one, "delivered")
    lab.settle()
    before = [(node.descriptors(), node.resident()) for node in lab.nodes]
    dice = random.Random("F20")

    def plan(seen: Seen) -> Plan:
        luck, place = dice.random(), dice.randrange(3000)
        choices = (
            Plan(cut_request=place),
            Plan(cut_answer=place),
            Plan(flip_request=place),
            Plan(flip_answer=place),
            Plan(twice=True),
            Plan(answer=b"\r\n\r\n"),
        )
        return dice.choice(choices) if luck < 0.4 else Plan()

    lab.to_b.plan = lab.to_a.plan = plan
    end = time.monotonic() + (600 if LONG else 8)
    letters = 0
    while time.monotonic() < end:
        lab.submit()
        letters += 1
    lab.to_b.plan = lab.to_a.plan = always(Plan())
    lab.settle(seconds=240)
    lab.check()
    until(
        "descriptors are back",
        lambda: all(node.descriptors() <= count + 8 for node, (count, _) in zip(lab.nodes, before, strict=True)),
        seconds=90,
    )
    grown = [node.resident() - size for node, (_, size) in zip(lab.nodes, before, strict=True)]
    assert max(grown) < 32 * 2**20, f"memory grew by {grown}"
    record_property("cases", letters)


# --- the check itself ------------------------------------------------------------------------------------------------

SPOILT = {
    "I1": ("a", "DELETE FROM dispatch"),
    "I2": ("b", "DELETE FROM inbox"),
    "I3": ("b", "UPDATE effect SET state = 'waiting'"),
    "I4": ("a", "UPDATE receipt SET data = CAST(replace(CAST(data AS TEXT), 'nut-1', 'nut-2') AS BLOB)"),
    "I5": ("b", "UPDATE inbox SET sha256 = (SELECT digest FROM blob WHERE digest <> sha256 LIMIT 1)"),
    "I6": ("b", "UPDATE ledger_leaf SET data = CAST(replace(CAST(data AS TEXT), 'H99.01', 'H99.03') AS BLOB)"),
    "I7": ("a", "UPDATE message SET sha256 = (SELECT digest FROM blob WHERE digest <> sha256 LIMIT 1)"),
    "I8": ("a", "UPDATE ledger_leaf SET data = CAST(replace(CAST(data AS TEXT), 'H99.02', 'Sở Mẫu') AS BLOB)"),
    "I9": ("a", "UPDATE dispatch SET owner = 'x'"),
    "I10": ("a", "DELETE FROM receipt"),
}


def test_each_invariant_is_seen_when_it_is_broken(lab: Lab) -> None:
    """Rows are changed behind the node's back, one invariant at a time: the check names it."""
    lab.start()
    message_id = lab.submit()
    lab.reach(message_id, "delivered")
    lab.settle()
    for node in lab.nodes:
        assert node.stop() == 0
    lab.check()
    for name, (who, change) in SPOILT.items():
        node = getattr(lab, who)
        saved = (node.home / "edoc.db").read_bytes()
        with closing(sqlite3.connect(node.home / "edoc.db")) as connection, connection:
            connection.execute("PRAGMA foreign_keys = OFF")
            for (trigger,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                connection.execute(f"DROP TRIGGER {trigger}")
            connection.execute(change)
        found = invariants.check(lab.offices(), confirmed=lab.confirmed)
        for path in node.home.glob("edoc.db-*"):
            path.unlink()
        (node.home / "edoc.db").write_bytes(saved)
        assert any(f"{name}:" in fault for fault in found), f"{name} is broken and not seen: {found}"
    lab.check()
