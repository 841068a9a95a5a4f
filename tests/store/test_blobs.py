"""Bytes by content address: durable before the commit, hashed at every read (exchange.md 9)."""

from __future__ import annotations

import hashlib
import os
import re
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.conftest import count
from transport.errors import StoreError
from transport.store.blobs import ROW_MAX, Blobs
from transport.store.store import Store


def test_bytes_come_back_and_lie_under_their_digest(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    digest = blobs.put(b"letter")
    assert digest == hashlib.sha256(b"letter").hexdigest()
    assert blobs.path(digest) == tmp_path / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest
    assert (blobs.get(digest), blobs.has(digest), blobs.put(b"letter")) == (b"letter", True, digest)
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


@pytest.mark.parametrize("size", [0, 1, ROW_MAX - 1, ROW_MAX, ROW_MAX + 1])
def test_small_bytes_live_in_the_row_and_large_ones_in_a_file(store: Store, size: int) -> None:
    data = os.urandom(size)
    staged = store.stage(data)
    digest = store.do(lambda unit: unit.keep(staged))
    assert store.do(lambda unit: unit.keep(staged)) == digest
    assert store.fetch(digest) == data
    assert store.blobs.has(digest) == (size > ROW_MAX)
    assert count(store, "SELECT count(*) FROM blob") == 1


def test_large_bytes_that_were_not_staged_are_refused_in_a_transaction(store: Store) -> None:
    with pytest.raises(ValueError, match="staged"):
        store.do(lambda unit: unit.keep(bytes(ROW_MAX + 1)))


@given(st.binary(min_size=1, max_size=200), st.data())
def test_a_changed_byte_is_never_read_as_the_stored_bytes(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, choice: st.DataObject
) -> None:
    blobs = Blobs(tmp_path_factory.mktemp("b"))
    path = blobs.path(blobs.put(data))
    place = choice.draw(st.integers(0, len(data) - 1))
    damaged = bytearray(data)
    damaged[place] ^= choice.draw(st.integers(1, 255))
    path.write_bytes(damaged)
    with pytest.raises(StoreError) as error:
        blobs.get(path.name)
    assert error.value.code == "EDOC-STO-006"
    assert blobs.put(data) == path.name
    assert blobs.get(path.name) == data


def test_a_blob_in_the_row_that_was_changed_is_not_read(store: Store) -> None:
    digest = store.do(lambda unit: unit.keep(b"letter"))
    store.do(lambda unit: unit.connection.exec_driver_sql("UPDATE blob SET data = ?", (b"other",)))
    with pytest.raises(StoreError) as error:
        store.fetch(digest)
    assert error.value.code == "EDOC-STO-006"


@pytest.mark.parametrize("name", ["../../etc/passwd", "A" * 64, "0" * 63, "", "0" * 64 + "\n"])
def test_only_a_digest_names_a_blob(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="digest"):
        Blobs(tmp_path).path(name)


def test_missing_bytes_are_named(store: Store) -> None:
    with pytest.raises(StoreError) as error:
        store.fetch("0" * 64)
    assert error.value.code == "EDOC-STO-008"


def test_a_spooled_file_is_moved_in_only_if_its_digest_is_the_announced_one(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path / "blobs")
    source = tmp_path / "spool"
    source.write_bytes(b"body")
    with pytest.raises(StoreError) as error:
        blobs.put_file(source, "0" * 64)
    assert error.value.code == "EDOC-STO-006"
    assert source.exists()
    digest = blobs.put_file(source, hashlib.sha256(b"body").hexdigest())
    assert (blobs.get(digest), source.exists()) == (b"body", False)


def test_what_a_crash_left_half_written_is_swept(tmp_path: Path) -> None:
    blobs = Blobs(tmp_path)
    blobs.put(b"whole")
    (tmp_path / "tmp" / "0123").write_bytes(b"half")
    assert (blobs.sweep(), blobs.sweep()) == (1, 0)


def test_a_disk_that_takes_no_more_stores_nothing_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the write fails after some bytes."""
    blobs = Blobs(tmp_path)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(StoreError):
            blobs.put(bytes(400_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
    assert blobs.get(blobs.put(bytes(400_000))) == bytes(400_000)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "tmp").write_bytes(b"a file where the folder should be")
    with pytest.raises(StoreError) as error:
        Blobs(tmp_path).put(b"letter")
    assert str(tmp_path) in str(error.value.facts["path"])


@pytest.mark.tool("strace")
@pytest.mark.skipif(shutil.which("strace") is None, reason="needs strace")
def test_the_order_of_writes_is_write_flush_rename_flush_of_the_folder(tmp_path: Path) -> None:
    """Seen from outside: the system calls of storing one blob in a fresh home."""
    program = (
        "import sys; from pathlib import Path; from transport.store.blobs import Blobs; "
        f"Blobs(Path({str(tmp_path)!r}) / 'home' / 'blobs').put(b'x' * 70000)"
    )
    (tmp_path / "home").mkdir()
    trace = tmp_path / "trace"
    calls = "trace=openat,write,fdatasync,fsync,rename,renameat,renameat2,mkdir,mkdirat"
    done = subprocess.run(
        ["strace", "-f", "-y", "-o", str(trace), "-e", calls, sys.executable, "-c", program],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0 and "ptrace" in done.stderr:
        pytest.skip("tracing is not permitted here")
    assert done.returncode == 0, done.stderr
    steps = [line.partition(" ")[2].strip() for line in trace.read_text().splitlines() if "/home" in line]
    names = [re.match(r"\w+", step)[0] for step in steps]  # type: ignore[index]  # every line begins with a call
    last_write = max(i for i, name in enumerate(names) if name == "write")
    flush = names.index("fdatasync")
    rename = next(i for i, name in enumerate(names) if name.startswith("rename"))
    assert last_write < flush < rename
    assert names[rename + 1 :].count("fsync") == 1
    made = [
        i for i, name in enumerate(names) if name.startswith("mkdir") and "sha256" in steps[i] and "= 0" in steps[i]
    ]
    assert len(made) == 3
    assert all("fsync" in names[i + 1 : i + 3] for i in made)
