"""Transport by hand between strangers (P4, R95): message files and receipt files, same keys, same guarantees."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.second.conftest import FETCHER, OURS, THEIRS, Ring
from tests.second.second_message import open_sealed
from tests.second.second_receipt import Known, copy, from_file, verify, write

pytestmark = pytest.mark.process


def test_a_message_file_of_the_second_implementation_brings_a_receipt_file(ring: Ring, tmp_path: Path) -> None:
    message = ring.sealed(ring.letter("501"))
    (tmp_path / "501.edxml").write_bytes(message.data)
    receipt = tmp_path / "receipt.xml"
    ring.office.run("dispatch", "import", str(tmp_path / "501.edxml"), "-o", str(receipt))
    known = Known(OURS.code, THEIRS.code, message.message_id, message.data)
    given = from_file(receipt.read_bytes())
    assert verify(given, known, certificates=ring.client.partner.certificates).accepted
    again = ring.client.put(message, expect=True)
    assert (again.status, again.body) == (200, given)


def test_a_receipt_file_of_the_second_implementation_settles_a_dispatch(ring: Ring, tmp_path: Path) -> None:
    """As an EvidenceCopy without proofs."""
    message_id = ring.queue(FETCHER.code, number="502")
    exported = tmp_path / "out.edxml"
    ring.office.run("dispatch", "export", f"msg:{message_id}", "--to", FETCHER.code, "-o", str(exported), "--yes")
    data = exported.read_bytes()
    known = Known(FETCHER.code, OURS.code, message_id, data)
    receipt = write(known, open_sealed(data), ring.server.issuers[FETCHER.code], at=datetime.now(UTC))
    (tmp_path / "receipt.xml").write_bytes(copy(receipt))
    ring.office.run("dispatch", "import", str(tmp_path / "receipt.xml"))
    question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
    assert ring.ask(question, message_id) == [("delivered",)]
