"""One large message: packed and sealed in passes, carried by the nodes, timed from its first attempt to its receipt."""

from __future__ import annotations

from pathlib import Path

from load_generator import Desk
from load_nodes import now

from edoc import seal as seals
from edoc.sealstream import LargeFile, pack_streamed
from tests import world
from transport.node.sendinglarge import send_file

BLOCK = bytes(range(256)) * 4096


def packed(folder: Path, size: int) -> Path:
    """Write a packed letter of about so many bytes, without holding it."""
    content, target = folder / "content.pdf", folder / "large.edxml"
    with content.open("wb") as file:
        file.write(b"%PDF-1.4\n")
        while file.tell() * 4 // 3 < size:
            file.write(BLOCK)
    letter = seals.read_packed(world.letter(at=now()))
    files = {letter.attachments[0].content_id: LargeFile(content, content.stat().st_size)}
    with target.open("wb") as out:
        pack_streamed(letter, files, out, at=now())
    content.unlink()
    return target


def queue_large(desk: Desk, file: Path) -> str:
    """Seal and queue it; return its id. The packed file is removed."""
    sent = send_file(desk.node.office, file, to=None, now=now(), allow_information_only=True)
    file.unlink()
    return sent.message_id


def carried(desk: Desk, message_id: str) -> tuple[int, float] | None:
    """Return bytes and seconds from the first attempt to the verified receipt, ``None`` while it is under way."""
    question = (
        "SELECT m.size, d.first_at, d.settled_at FROM dispatch d JOIN message m ON m.id = d.message "
        "WHERE m.message_id = ? AND d.state = 'delivered'"
    )
    row = desk.node.office.store.read(lambda c: c.exec_driver_sql(question, (message_id,)).one_or_none())
    return None if row is None else (int(row[0]), (int(row[2]) - int(row[1])) / 1000)
