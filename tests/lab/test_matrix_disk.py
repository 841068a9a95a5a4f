"""The fault matrix, rows about processes and disks: F1, F2, F3, F4 (exchange.md 16)."""

from __future__ import annotations

import errno
import json
import random
import resource
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from tests.lab import invariants
from tests.lab.kills import Campaign
from tests.lab.lab import BOTH, LONG, Lab
from tests.lab.nodes import LabNode, until
from tests.lab.powerloss import Disk, journal
from tests.lab.reader import Store
from tests.lab.shim import Kind
from tests.lab.stranger import Said, Stranger

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]
Labs = Callable[..., Lab]


def ready(node: LabNode) -> bool:
    """Ask ``/readyz``."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{node.operator_port}/readyz", timeout=20) as answer:
            return bool(json.loads(answer.read())["ready"])
    except urllib.error.HTTPError:
        return False


@BOTH
def test_f01_kill_9_at_forty_steps_of_a_delivery_on_either_side(lab: Lab, record_property: Record) -> None:
    """A node dies before each of forty steps spread over all it does for a letter; nothing is lost or doubled."""
    campaign = Campaign(lab, random.Random("F1"))
    lab.start()
    some = 40 if lab.databases else 10  # in the short form the database server is asked a quarter of the steps
    steps = [(node, n) for n in range(3, 200, 5 if LONG else some) for node in lab.nodes]
    for node, step in steps:
        campaign.feed()
        campaign.end(node, step)
    campaign.finish()
    record_property("cases", campaign.tally.kills)
    assert campaign.tally.kills >= len(steps)
    assert not campaign.tally.faults


@pytest.mark.skipif(not LONG, reason="waits half a minute of real time; `make chaos` does")
def test_f01_work_resumes_within_thirty_seconds_by_real_clocks(lab: Lab, record_property: Record) -> None:
    """A dies with the answer in its hand; its lease lapses, and the ordinary path goes on: no clock is turned."""
    lab.b.start()
    message_id = lab.submit()
    lab.a.start(ready=False, env={"EDOC_STOP_AT": "carry.answered"})
    until("A died", lambda: not lab.a.alive())
    lab.a.died()
    lab.a.start()
    lab.reach(message_id, "delivered", seconds=32)
    record_property("cases", 1)


def test_f02_after_a_power_loss_all_that_was_receipted_is_there(lab: Lab, record_property: Record) -> None:
    """B's disk is rebuilt for moments all through a few deliveries, without what was not flushed, or with parts."""
    before = lab.folder / "before"
    shutil.copytree(lab.b.home, before)
    lab.b.control.record(lab.folder / "journal")
    lab.b.start()
    stranger = Stranger.of(lab)
    for size in (200, 90_000, 200, 400_000):
        stranger.settled(stranger.message(size=size))
    lab.b.kill()
    events = list(journal(lab.folder / "journal"))
    said = [n for n, event in enumerate(events) if event.kind == Kind.SEND and b"RelayAcceptance" in event.data]
    assert len(said) == 4
    edges = {n + 1 for n, event in enumerate(events) if event.kind in (Kind.FLUSH, Kind.RENAME)} | {n + 1 for n in said}
    moments = sorted(edges if LONG else random.Random("F2").sample(sorted(edges), 12) + [n + 1 for n in said])
    disk, place, cases = _disk(before, lab.b.home), 0, 0
    for moment in moments:
        for event in events[place:moment]:
            disk.happen(event)
        place = moment
        left = [event.data for event in events[:moment] if event.kind == Kind.SEND and b"RelayAcceptance" in event.data]
        for dice in (None, random.Random(f"{moment}/1"), random.Random(f"{moment}/2"))[: None if LONG else 2]:
            image = lab.folder / f"image-{moment}-{cases}"
            image.mkdir()
            disk.image(image, dice)
            _receipted_is_there(image, left)
            cases += 1
            shutil.rmtree(image)
    record_property("cases", cases)


def _disk(before: Path, home: Path) -> Disk:
    """Return the disk as it was before, under the name it had for the process."""
    shutil.move(home, home.with_suffix(".after"))
    shutil.copytree(before, home)
    return Disk(home)


def _receipted_is_there(image: Path, left: list[bytes]) -> None:
    with closing(sqlite3.connect(image / "edoc.db")) as connection:
        connection.execute("SELECT count(*) FROM inbox")  # recovery of the write-ahead log, as any opening does
    store = Store(image)
    faults = [*store.damage(), *store.ledger_faults()]
    assert not faults, faults
    assert len(store.rows("inbox")) >= len(left)
    for row in store.rows("receipt", "direction = 'out'"):
        inbox = store.rows("inbox", "message_id = ?", row["message_id"])
        assert [one["sha256"] for one in inbox] == [row["message_sha256"]]
        assert store.blob(str(row["message_sha256"])) is not None, "accepted, and its bytes are gone"
    known = {str(row["message_id"]) for row in store.rows("inbox")}
    for data in left:
        assert any(one.encode() in data for one in known), "an acceptance left, and the message is not there"


WRITING = Kind.WRITE | Kind.CREATE
DISK_FAULTS = [
    ("blobs", WRITING, errno.ENOSPC),
    ("blobs", Kind.FLUSH, errno.EIO),
    ("blobs", Kind.RENAME, errno.ENOSPC),
    ("blobs", Kind.MKDIR, errno.ENOSPC),
    ("spool", WRITING, errno.ENOSPC),
    ("spool", WRITING, errno.EIO),
    ("edoc.db", Kind.WRITE, errno.ENOSPC),
    ("edoc.db-wal", Kind.WRITE, errno.EIO),
    ("edoc.db-wal", Kind.FLUSH, errno.EIO),
]


def test_f03_a_full_or_failing_disk_brings_507_or_503_and_heals(lab: Lab, record_property: Record) -> None:
    """Each volume fails by itself, from its first write on, from a later one, and once: never 201, then recovery."""
    lab.b.start()
    stranger = Stranger.of(lab)
    stranger.settled(stranger.message())
    cases = 0
    for path, kinds, error in DISK_FAULTS:
        for nth in range(1, 9 if LONG else 3):
            message = stranger.message(size=120_000)
            lab.b.control.fail(kinds, path, error=error, nth=nth, times=1 if nth == 2 else 1 << 40)
            lab.b.control.block.short_write = int(kinds == WRITING and nth == 2)
            said = stranger.put(message)
            made = int(lab.b.control.block.faults)
            lab.b.control.heal()
            cases += made > 0
            where = f"{path} {kinds!r} {error} {nth}: {said.status} {said.problem}"
            assert said.status in ((500, 503, 507, 0) if made else (201,)) or _is_true(lab, message.message_id), where
            assert lab.b.alive(), where
            stranger.settled(message)
    _descriptors_used_up(lab, stranger)
    record_property("cases", cases + 1)
    assert cases >= len(DISK_FAULTS)
    until("B is idle", lambda: not lab.store(lab.b).ask("SELECT 1 FROM effect WHERE state IN ('waiting', 'running')"))
    faults = invariants.check(lab.offices(), finished=False)
    assert not faults, faults
    assert not lab.store(lab.b).left_over()


def _is_true(lab: Lab, message_id: str) -> bool:
    """An acceptance that was given in spite of a failing disk must be there all the same."""
    return bool(lab.store(lab.b).rows("inbox", "message_id = ?", message_id))


def _descriptors_used_up(lab: Lab, stranger: Stranger) -> None:
    assert lab.b.pid is not None
    before = resource.prlimit(lab.b.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(lab.b.pid, resource.RLIMIT_NOFILE, (lab.b.descriptors() + 1, before[1]))
    message = stranger.message(size=120_000)
    said = Said()
    with suppress(OSError):
        said = stranger.talk(b"".join(stranger.raw(message)), patience=3)
    assert said.status != 201 or _is_true(lab, message.message_id)
    resource.prlimit(lab.b.pid, resource.RLIMIT_NOFILE, before)
    stranger.settled(message)


def test_f03_below_the_disk_reserve_nothing_is_taken(labs: Labs, record_property: Record) -> None:
    lab = labs(reserve=1 << 20)
    lab.b.start()
    stranger = Stranger.of(lab)
    message = stranger.message()
    lab.b.control.block.free_bytes = 1 << 20
    assert (stranger.put(message).status, stranger.put(message).problem) == (507, "storage-low")
    lab.b.control.block.free_bytes = -1
    stranger.settled(message)
    record_property("cases", 1)


def test_f04_a_database_that_is_locked_read_only_or_lost_in_commit(lab: Lab, record_property: Record) -> None:
    """503 or silence, never a false acceptance; ``/readyz`` tells; the work goes on by itself afterwards."""
    lab.b.start()
    stranger = Stranger.of(lab)
    cases = 0
    locked = stranger.message()
    with closing(sqlite3.connect(lab.b.home / "edoc.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        said = stranger.put(locked)
        assert (said.status, said.problem) == (503, "unavailable")
        connection.execute("ROLLBACK")
    stranger.settled(locked)
    for kinds, error in ((Kind.WRITE, errno.EROFS), (Kind.FLUSH, errno.EIO), (Kind.WRITE, errno.EIO)):
        for nth in range(1, 12 if LONG else 4):
            message = stranger.message()
            lab.b.control.fail(kinds, "edoc.db-wal", error=error, nth=nth, times=2)
            said = stranger.put(message)
            lab.b.control.heal()
            cases += 1
            assert said.status in (0, 201, 500, 503, 507), said
            assert said.status != 201 or _is_true(lab, message.message_id)
            stranger.settled(message)
    until("B says it is ready", lambda: ready(lab.b), seconds=30)
    lab.b.kill()
    lab.b.start()
    faults = invariants.check(lab.offices(), finished=False)
    assert not faults, faults
    record_property("cases", cases + 1)


def test_f04_readyz_tells_that_the_database_cannot_be_written(lab: Lab) -> None:
    lab.b.start()
    assert ready(lab.b)
    with closing(sqlite3.connect(lab.b.home / "edoc.db", isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert not ready(lab.b)
