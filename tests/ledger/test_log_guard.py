"""The guards of a log (ledger.md 6): whoever brings back an older database is stopped before the next signature."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.ledger.conftest import SQLITE, START, Home, hexed, operation
from transport.errors import LedgerError, SettingsError
from transport.ledger.note import LogKey
from transport.store import guard
from transport.store.log import Head, Log
from transport.store.sidefile import Noted, SideFile
from transport.store.store import Store


@pytest.fixture
def side(tmp_path: Path) -> SideFile:
    """The side file of the tests' log, on what stands for another volume."""
    return SideFile(tmp_path / "other" / "heads.log")


@pytest.fixture
def opened(tmp_path: Path, log_key: LogKey, database_url: str | None, side: SideFile) -> Iterator[tuple[Store, Log]]:
    """A store whose log notes its heads."""
    log = Log(log_key, side)
    with Store.create(Home(tmp_path / "home", database_url), log) as store:
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=START))
        log.published(store.read(log.head))
        yield store, log


def add(store: Store, *numbers: int) -> None:
    for number in numbers:
        store.do(lambda unit, n=number: unit.append(operation(n)))  # type: ignore[misc]


def test_each_head_is_noted_after_its_commit(opened: tuple[Store, Log], side: SideFile) -> None:
    store, log = opened
    add(store, 1, 2, 3)
    head = store.read(log.head)
    assert side.newest() == Noted(4, head.root)
    lines = side.path.read_text("ascii").splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4"]
    assert lines[-1].split()[1] == head.root.hex()


def test_a_log_that_goes_on_from_what_was_noted_is_continued(opened: tuple[Store, Log], side: SideFile) -> None:
    store, _ = opened
    add(store, 1)
    kept = side.path.read_bytes()
    add(store, *range(2, 10))
    side.path.write_bytes(kept)  # lines that never reached the disk
    assert guard.examine(store, side) is None
    add(store, 10)


def test_a_head_that_another_process_adds_meanwhile_is_no_contradiction(
    opened: tuple[Store, Log], side: SideFile
) -> None:
    store, _ = opened

    class Busy(SideFile):
        """A side file to which others add a line just when it is read."""

        def newest(self) -> Noted | None:
            add(store, 1)
            return super().newest()

    assert guard.examine(store, Busy(side.path)) is None
    add(store, 2)


@SQLITE
def test_an_older_database_brought_back_is_frozen_and_named(
    opened: tuple[Store, Log], side: SideFile, tmp_path: Path, log_key: LogKey
) -> None:
    store, _ = opened
    add(store, 1, 2)
    shutil.copytree(store.home, tmp_path / "backup")
    add(store, 3)
    log = Log(log_key, side)
    with Store.open(Home(tmp_path / "backup"), log=log) as older:
        assert guard.examine(older, side) == "side-file"
        with pytest.raises(LedgerError) as caught:
            add(older, 4)
        assert caught.value.code == "EDOC-LED-023"
        head = older.read(log.head)
        assert (head.state, head.reason, head.size) == ("frozen", "side-file", 3)
    with Store.open(Home(tmp_path / "backup"), log=Log(log_key, side)) as again:
        assert guard.examine(again, side) == "side-file"  # it stays so


@SQLITE
def test_a_log_that_went_another_way_after_the_same_beginning_is_frozen(
    opened: tuple[Store, Log], side: SideFile, tmp_path: Path, log_key: LogKey
) -> None:
    store, _ = opened
    add(store, 1)
    shutil.copytree(store.home, tmp_path / "copy")
    add(store, 2, 3)
    with Store.open(Home(tmp_path / "copy"), log=Log(log_key)) as fork:
        add(fork, *range(20, 25))
        assert guard.examine(fork, side) == "side-file"


def test_without_its_side_file_a_log_does_not_sign(opened: tuple[Store, Log], side: SideFile) -> None:
    store, _ = opened
    add(store, 1)
    side.close()
    side.path.unlink()
    if store.shared:  # another gateway may be well: this one is refused, the log is not stopped
        with pytest.raises(SettingsError) as refused:
            guard.examine(store, side)
        assert refused.value.code == "EDOC-CFG-015"
        return
    assert guard.examine(store, side) == "side-file-missing"
    with pytest.raises(LedgerError):
        add(store, 2)


def test_a_cut_last_line_and_lines_out_of_order_do_not_matter(tmp_path: Path) -> None:
    side = SideFile(tmp_path / "heads.log")
    for size in (1, 2, 4, 3):
        side.note(size, bytes([size]) * 32, START)
    with side.path.open("ab") as file:
        file.write(b"9 0909")
    assert side.newest() == Noted(4, bytes([4]) * 32)


def test_a_head_that_cannot_be_noted_is_noted_before_the_next_signature(tmp_path: Path, log_key: LogKey) -> None:
    blocked = tmp_path / "volume"
    blocked.write_bytes(b"not a folder")
    log = Log(log_key, SideFile(blocked / "heads.log"))
    with Store.create(Home(tmp_path / "home"), log) as store:
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256=hexed("keys.xml"), at=START))
        log.published(store.read(log.head))
        with pytest.raises(Exception, match="side file"):
            add(store, 1)
        blocked.unlink()
        os.mkdir(blocked)
        add(store, 1)
        head = store.read(log.head)
        assert isinstance(head, Head)
        assert SideFile(blocked / "heads.log").newest() == Noted(2, head.root)
