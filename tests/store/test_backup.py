"""Backup and restore (exchange.md 9, R91): what is written is read again; any changed, missing or added byte shows."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.ledger.conftest import hexed, operation
from tests.postgres import Server
from tests.store.conftest import SQLITE, count, new_arrival, new_receipt, settings_of
from transport.dispatch import Key
from transport.errors import LedgerError, StoreError
from transport.ledger.note import LogKey
from transport.settings import Settings
from transport.store import backup, guard, inbox, restore
from transport.store.blobs import Blobs
from transport.store.log import Log
from transport.store.sidefile import SideFile
from transport.store.store import Store, Unit

NOW = datetime(2026, 11, 20, tzinfo=UTC)
ORIGIN = "sob.example/edoc-ledger/2026"
LARGE = b"a large letter " * 20_000


@pytest.fixture
def key() -> LogKey:
    """The key of the log."""
    return LogKey.from_seed(ORIGIN, bytes(range(32)))


@pytest.fixture
def node(settings: Settings, key: LogKey) -> Iterator[Store]:
    """A store with a log, a received letter, a large and a small blob, settings and a key file."""
    log = Log(key, SideFile(settings.home / "heads.log"))
    with Store.create(settings, log) as store:
        (settings.home / "keys").mkdir()
        (settings.home / "keys" / "ledger-2026.pem").write_bytes(key.to_pem())
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=NOW))
        log.published(store.read(log.head))
        receive(store, LARGE)
        store.do(lambda unit: unit.keep(b"a record"))
        yield store


def receive(store: Store, body: bytes) -> None:
    """Accept a letter with these bytes."""
    staged = store.stage(body)
    key = Key("H99.01", "H99.02", staged.digest[:36])
    receipt = new_receipt(key, NOW, direction="out")

    def accept(unit: Unit) -> None:
        unit.keep(staged)
        ticket = unit.append(operation(count(store, "SELECT count(*) FROM ledger_leaf")))
        inbox.accept(unit, key, new_arrival(NOW, sha256=staged.digest, size=staged.size), receipt, ticket)

    store.do(accept)


def load(home: Path) -> Settings:
    return settings_of(home)


@pytest.fixture
def empty(tmp_path: Path, database: Server | None, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place to restore to; on PostgreSQL the environment names an empty database for it."""
    if database is not None:
        name = database.create()
        url = database.url(name)
        monkeypatch.setattr(f"{__name__}.load", lambda home: elsewhere(home, url))
    return tmp_path / "restored"


def elsewhere(home: Path, url: str) -> Settings:
    from transport.settings import load as load_settings

    return load_settings(home=home, config=None, environ={}, overrides={"database.url": url})


def test_what_is_restored_is_what_was_backed_up(node: Store, tmp_path: Path, empty: Path) -> None:
    done = backup.write(node, tmp_path / "backup", now=NOW)
    assert (done.verified, done.ledger_size) == (True, 2)
    receive(node, b"after the backup " * 9000)
    back = restore.into(empty, tmp_path / "backup", load)
    assert (back.verified, back.sha256, back.ledger_size) == (True, done.sha256, 2)
    with Store.open(load(empty), read_only=True) as store:
        assert count(store, "SELECT count(*) FROM inbox") == 1
        (digest,) = store.read(lambda c: c.exec_driver_sql("SELECT sha256 FROM inbox").scalars().all())
        assert store.fetch(str(digest)) == LARGE
        assert store.read(Log().verify).result == "proved"
    assert (empty / "keys" / "ledger-2026.pem").is_file()


def test_a_restored_log_is_frozen_until_it_meets_its_side_file(
    node: Store, tmp_path: Path, empty: Path, key: LogKey
) -> None:
    """F16: without the side file, or with one that knows more, nothing is received or sent."""
    backup.write(node, tmp_path / "backup", now=NOW)
    kept = (node.home / "heads.log").read_bytes()
    empty.mkdir()
    (empty / "heads.log").write_bytes(kept)
    restore.into(empty, tmp_path / "backup", load)
    side = SideFile(empty / "heads.log")
    with Store.open(load(empty), log=Log(key, side)) as store:
        assert guard.examine(store, side) is None  # nothing had happened since: it goes on
    receive(node, b"after the backup " * 9000)
    (empty / "heads.log").write_bytes((node.home / "heads.log").read_bytes())
    with Store.open(load(empty), log=Log(key, side)) as store:
        assert guard.examine(store, side) == "side-file"
        with pytest.raises(LedgerError) as caught:
            store.do(lambda unit: unit.append(operation(77)))
        assert caught.value.code == "EDOC-LED-023"


def test_any_changed_missing_or_added_file_shows(node: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    backup.write(node, folder, now=NOW)
    names = [part["path"] for part in json.loads((folder / "manifest.json").read_text())["parts"]]
    assert any(name.startswith("blobs/") for name in names)
    for name in names:
        path = folder / name
        data = path.read_bytes()
        for spoilt in (data[:-1], data + b"x", bytes([data[0] ^ 1]) + data[1:] if data else b"y"):
            path.chmod(0o600)
            path.write_bytes(spoilt)
            with pytest.raises(StoreError) as caught:
                backup.check(folder)
            assert caught.value.code == "EDOC-STO-021"
        path.unlink()
        with pytest.raises(StoreError, match="missing"):
            backup.check(folder)
        path.write_bytes(data)
    (folder / "home" / "added").write_bytes(b"")
    with pytest.raises(StoreError, match="added"):
        backup.check(folder)
    (folder / "home" / "added").unlink()
    assert backup.check(folder).verified


def test_a_damaged_blob_is_not_backed_up_unseen(node: Store, tmp_path: Path) -> None:
    (digest,) = node.read(lambda c: c.exec_driver_sql("SELECT digest FROM blob WHERE data IS NULL").scalars().all())
    path = Blobs(node.home / "blobs").path(str(digest))
    path.chmod(0o600)
    path.write_bytes(LARGE[:-1])
    with pytest.raises(StoreError) as caught:
        backup.write(node, tmp_path / "backup", now=NOW)
    assert caught.value.code == "EDOC-STO-006"
    path.unlink()
    with pytest.raises(StoreError) as gone:
        backup.write(node, tmp_path / "other", now=NOW)
    assert gone.value.code == "EDOC-STO-008"


def test_neither_is_a_target_overwritten_nor_a_newer_backup_taken(node: Store, tmp_path: Path, empty: Path) -> None:
    folder = tmp_path / "backup"
    backup.write(node, folder, now=NOW)
    with pytest.raises(StoreError) as full:
        backup.write(node, folder, now=NOW)
    with pytest.raises(StoreError) as taken:
        restore.into(node.home, folder, load)
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps({**manifest, "revision": "9999"}))
    with pytest.raises(StoreError) as newer:
        restore.into(empty, folder, load)
    (folder / "manifest.json").unlink()
    with pytest.raises(StoreError) as none:
        restore.into(empty, folder, load)
    assert [e.value.code for e in (full, taken, newer, none)] == [
        "EDOC-STO-020",
        "EDOC-STO-020",
        "EDOC-STO-022",
        "EDOC-STO-021",
    ]
    assert not empty.exists()


def test_a_path_that_leads_out_of_the_backup_is_refused(node: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    backup.write(node, folder, now=NOW)
    manifest = json.loads((folder / "manifest.json").read_text())
    for path in ("../outside", "/etc/passwd"):
        parts = [*manifest["parts"], {"path": path, "size": 0, "sha256": "0" * 64}]
        (folder / "manifest.json").write_text(json.dumps({**manifest, "parts": parts}))
        with pytest.raises(StoreError, match="out of the backup"):
            backup.check(folder)


@SQLITE
def test_a_backup_is_for_its_owner_alone_and_leaves_the_side_file_out(node: Store, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    backup.write(node, folder, now=NOW)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert not list(folder.rglob("heads.log"))
    assert not [path for path in folder.rglob("*") if path.is_file() and path.stat().st_mode & 0o077]


@SQLITE
def test_a_backup_can_be_made_while_the_node_works(node: Store, tmp_path: Path) -> None:
    """What is committed in the meantime is in it or not; what is in it is whole."""
    futures = [node.write(lambda unit, n=n: unit.append(operation(1000 + n))) for n in range(300)]  # type: ignore[misc]
    done = backup.write(node, tmp_path / "backup", now=NOW)
    assert done.verified
    assert all(future.result(30).index is not None for future in futures)
    assert 2 <= done.ledger_size <= 302
    assert os.listdir(tmp_path / "backup")
