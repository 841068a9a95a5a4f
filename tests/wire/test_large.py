"""A large message goes from one node to another and neither holds it: growth stays within 64 MiB (exchange.md 12)."""

from __future__ import annotations

import re
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edoc import seal as seals
from edoc.sealstream import LargeFile, pack_streamed
from tests import world as worlds
from tests.road.pairs import Pair, make_pair
from transport.demo.offices import Office, until

pytestmark = pytest.mark.process

MIB = 1024 * 1024
GROWTH_MAX = 64 * MIB


def resident(office: Office, name: str = "VmHWM") -> int:
    """Return resident memory of a node's process in bytes: the most so far, or now (``VmRSS``)."""
    assert office.process is not None
    text = Path(f"/proc/{office.process.pid}/status").read_text("ascii")
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


def packed(folder: Path, size: int) -> Path:
    """Write a packed letter of about so many bytes, without holding it."""
    content, target = folder / "content.pdf", folder / "large.edxml"
    block = b"%PDF-1.4\n" + bytes(range(256)) * 4096
    with content.open("wb") as file:
        while file.tell() * 4 // 3 < size:
            file.write(block)
    letter = seals.read_packed(worlds.letter(at=datetime.now(UTC)))
    file_of = {letter.attachments[0].content_id: LargeFile(content, content.stat().st_size)}
    with target.open("wb") as out:
        pack_streamed(letter, file_of, out, at=datetime.now(UTC))
    content.unlink()
    return target


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    """Two offices that take messages up to 2 GiB."""
    made = make_pair(tmp_path)
    for office in (made.a, made.b):
        settings = office.home / "edoc.toml"
        text = settings.read_text("utf-8").replace("[limits]\n", "[limits]\nmessage_max_bytes = 2147483648\n")
        text = text.replace("[limits]\n", "[limits]\nattachment_max_bytes = 2147483648\n")
        settings.write_text(text, "utf-8")
    return made


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="this system tells no memory of processes")
@pytest.mark.parametrize("size", [pytest.param(512 * MIB, marks=pytest.mark.timeout(900))])
def test_half_a_gibibyte_goes_over_with_bounded_memory_on_both_sides(
    pair: Pair, tmp_path: Path, size: int, request: pytest.FixtureRequest
) -> None:
    file = packed(tmp_path, size)
    pair.a.start()
    pair.b.start()
    request.addfinalizer(pair.a.kill)
    request.addfinalizer(pair.b.kill)
    small = pair.queue("119")
    pair.delivered(small)
    until("B is warm", lambda: checked(pair.b, 1))
    before = {office.code: resident(office) for office in (pair.a, pair.b)}
    sent = pair.a.run("send", str(file), "--queue-only", "--allow-information-only", "--yes", expect=(0, 4))
    message_id = str(sent.document["message_id"])
    pair.delivered(message_id, seconds=600)
    until("B has checked it", lambda: checked(pair.b, 2), seconds=600)
    for office in (pair.a, pair.b):
        grown = resident(office) - before[office.code]
        assert grown <= GROWTH_MAX, f"{office.code} grew by {grown // MIB} MiB"
    pair.check(message_id) if size <= 64 * MIB else small_check(pair, message_id)


def checked(office: Office, count: int) -> bool:
    """Say whether so many documents have been checked for the clerk."""
    with sqlite3.connect(f"file:{office.home / 'edoc.db'}?mode=ro", uri=True) as connection:
        found = connection.execute("SELECT count(*) FROM inbox WHERE kind = 'edoc' AND verdict IS NOT NULL")
        return int(found.fetchone()[0]) >= count


def small_check(pair: Pair, message_id: str) -> None:
    """Both sides hold the same bytes and the same receipt (I2, I4, I5)."""
    from tests.road.pairs import ask

    sent = ask(pair.a.home, "SELECT sha256, size FROM message WHERE message_id = ?", message_id)
    assert ask(pair.b.home, "SELECT sha256, size FROM inbox WHERE message_id = ?", message_id) == sent
    digest = str(sent[0][0])
    stored = pair.b.home / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest
    assert stored.stat().st_size == sent[0][1]
    shown = pair.b.run("show", f"msg:{message_id}").document
    files = shown["files"]
    assert isinstance(files, list)
    assert files[0]["size"] > 300 * MIB or sent[0][1] < 512 * MIB
