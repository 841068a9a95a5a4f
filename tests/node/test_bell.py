"""The bell of a home: what a command queues is carried at once, not with the next poll (exchange.md 6, wake-up)."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signer.devpki import DevPki
from tests import world as worlds
from transport.node import bell
from transport.node.node import Node

pytestmark = pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="no Unix sockets here")


async def heard_after(home: Path, rings: int) -> int:
    """Ring, and return how often it was heard until nothing more came."""
    calls, came = 0, asyncio.Event()

    def hear() -> None:
        nonlocal calls
        calls += 1
        came.set()

    with bell.hearing(home, hear):
        assert stat.S_IMODE((home / bell.NAME).stat().st_mode) == 0o600
        for _ in range(rings):
            bell.ring(home)
        await asyncio.wait_for(came.wait(), 10)
    return calls


@pytest.mark.parametrize("folder", ["home", "a" * 60 + "/" + "b" * 60], ids=["short", "too long for an address"])
def test_a_ring_is_heard_and_a_hundred_rings_are_one(tmp_path: Path, folder: str) -> None:
    home = tmp_path / folder
    home.mkdir(parents=True)
    assert asyncio.run(heard_after(home, 1)) == 1
    assert asyncio.run(heard_after(home, 100)) == 1
    assert not (home / bell.NAME).exists()


def test_ringing_where_nobody_serves_or_the_server_died_does_nothing(tmp_path: Path) -> None:
    bell.ring(tmp_path)
    left = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    left.bind(str(tmp_path / bell.NAME))
    left.close()
    bell.ring(tmp_path)
    bell.ring(tmp_path / "nowhere")
    assert asyncio.run(heard_after(tmp_path, 1)) == 1, "the next server takes its place"


def test_a_flood_of_rings_blocks_nobody(tmp_path: Path) -> None:
    """The socket is full and nobody reads: a command goes on all the same."""
    deaf = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    deaf.bind(str(tmp_path / bell.NAME))
    for _ in range(5000):
        bell.ring(tmp_path)
    deaf.close()


def test_a_file_of_that_name_is_replaced_and_what_cannot_be_made_is_done_without(tmp_path: Path) -> None:
    (tmp_path / bell.NAME).write_text("left")
    assert asyncio.run(heard_after(tmp_path, 1)) == 1
    (tmp_path / bell.NAME).mkdir()

    async def silent() -> None:
        with bell.hearing(tmp_path, lambda: None):
            await asyncio.sleep(0)

    asyncio.run(silent())


def test_what_another_process_queues_wakes_courier_and_effects_of_the_server(tmp_path: Path) -> None:
    """The command's node rings; the server's node wakes what works there, and rings nothing itself."""
    now = datetime.now(UTC)
    world = worlds.build(tmp_path, DevPki.create(at=now), now)
    home = tmp_path / "H99.01"
    server = Node.open(worlds.settings_of(home), need_exchange=True)
    woken: list[str] = []

    async def serve() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()

        def work() -> None:
            woken.append("work")
            stop.set()

        server.office.on_work = work
        hearing = asyncio.create_task(server.run_bell(stop))
        await asyncio.sleep(0)  # one turn of the loop: the bell hangs
        assert (home / bell.NAME).exists()
        command = world.nodes["H99.01"]
        await loop.run_in_executor(
            None,
            lambda: command.send(worlds.letter("1", at=now, name="1-SMA-VP.pdf"), now=now, allow_information_only=True),
        )
        await asyncio.wait_for(hearing, 10)

    asyncio.run(serve())
    server.close()
    world.close()
    assert woken == ["work"]
    assert os.listdir(home).count(bell.NAME) == 0
