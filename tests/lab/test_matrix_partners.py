"""The fault matrix, F12: what one partner's name and metadata do to the exchange with another (exchange.md 16)."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from statistics import median

import pytest

from edoc.agencies import Agency, AgencyCertificate
from signer.credential import Role
from signer.devpki import Subject
from tests import world as worlds
from tests.lab.lab import LONG, B, Lab
from tests.lab.nodes import until
from tests.lab.proxy import FaultProxy, Plan, Seen, always
from tests.lab.stranger import Stranger, read_answer
from transport.demo.offices import free_ports
from transport.node.node import Node
from transport.store import directory as directories

pytestmark = [pytest.mark.process, pytest.mark.timeout(3600)]
Record = Callable[[str, object], None]

C = "H99.03"
METADATA = "/.well-known/edoc-exchange"
PAGE = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 15\r\n\r\n<html>ok</html>"
FORBIDDEN = ("0.0.0.0", "169.254.169.254", "10.0.0.5")  # addresses that must not be connected to


def answer_as_it_came(port: int) -> bytes:
    """Ask for the metadata behind a port and return the whole answer."""
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(f"GET {METADATA} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n".encode())
        said = read_answer(connection)
    assert said.status == 200
    return said.head + b"\r\n\r\n" + said.body


def know(lab: Lab, port: int) -> None:
    """Enter agency C at A, reached by a name."""
    subject = Subject("Sở Mẫu C", organization="Sở Mẫu C", tax_number="0100000003")
    key = lab.template.pki.issue(Role.EXCHANGE, subject)
    certificates = (AgencyCertificate("exchange", key.certificate, key.credential.sha256),)
    entry = Agency(code=C, name="Sở Mẫu C", address="Số 1 phố Mẫu", certificates=certificates)
    with Node.open(worlds.settings_of(lab.a.home)) as opened:
        adding = partial(directories.add, agency=entry, now=Stranger.of(lab).now())
        opened.office.store.do(partial(adding, url=f"http://localhost:{port}/exchange/v1"))


def submit_to_c(lab: Lab) -> None:
    """Let A queue a letter to C."""
    file = lab.folder / "letter-c.edxml"
    file.write_bytes(lab.letter().replace(B.encode(), C.encode()).replace("Sở Mẫu B".encode(), "Sở Mẫu C".encode()))
    lab.a.run("send", str(file), "--queue-only", "--yes", "--allow-information-only", expect=(0, 4))


def one_round(lab: Lab, letters: int, *, bad: bool, names: str) -> float:
    """Queue letters while A is stopped, start it, and return how many seconds it took from the first to the last."""
    ids = [lab.submit() for _ in range(letters)]
    for _ in range(4 if bad else 0):
        submit_to_c(lab)
    lab.turn(timedelta(minutes=61))  # partners are asked again who they are
    lab.a.start(env={"LAB_RESOLVE": names} if bad else None)
    until("all arrive", lambda: all(lab.state(one) == "delivered" for one in ids), seconds=120)
    if bad:
        until("the bad partner was tried", lambda: lab.store(lab.a).ask(_TRIED, C), seconds=30)
    marks = ", ".join("?" * len(ids))
    span = f"SELECT max(settled_at) - min(first_at) FROM dispatch WHERE message IN ({_NUMBERS.format(marks)})"
    took = int(str(lab.store(lab.a).one(span, *ids))) / 1000
    assert lab.a.stop() == 0
    return took


_NUMBERS = "SELECT id FROM message WHERE message_id IN ({})"
_TRIED = "SELECT 1 FROM attempt t JOIN dispatch d ON d.id = t.dispatch WHERE d.recipient = ? AND t.ended_at IS NOT NULL"


def test_f12_a_rebinding_name_and_poisoned_metadata_cost_a_live_partner_little(
    lab: Lab, record_property: Record
) -> None:
    """C's name turns to forbidden addresses, B's metadata come older or altered: refused; letters to B flow as before.

    Rounds with and without alternate, and what the machine itself varies by is added to the twentieth that may be lost.
    """
    lab.b.start()
    (port,) = free_ports(1)
    bad = FaultProxy(port, 1)
    bad.plan = always(Plan(answer=PAGE))
    know(lab, port)
    older = answer_as_it_came(lab.to_b.port)
    names = f"localhost={','.join(('127.0.0.1', *FORBIDDEN))}={lab.folder / 'resolved'}"
    letters, rounds = (60, 5) if LONG else (16, 2)
    one_round(lab, 4, bad=False, names=names)
    held = lab.store(lab.a).rows("partner_metadata", "state = 'active'")
    assert [one["agency"] for one in held] == [B], "the good entry is in force"
    spoilt = [older, older.replace(b"nut-1", b"nut-9"), PAGE]
    took: dict[bool, list[float]] = {False: [], True: []}
    for n in range(2 * rounds):
        wrong = n % 2 == 1
        lab.to_b.plan = partial(_poisoned, spoilt[n // 2 % 3]) if wrong else partial(_poisoned, older)
        took[wrong].append(one_round(lab, letters, bad=wrong, names=names))
    lab.to_b.plan = always(Plan())
    good, with_bad = median(took[False]), median(took[True])
    noise = (max(took[False]) - min(took[False])) / good
    assert with_bad <= good * (1.05 + noise) + 0.25, took
    assert lab.store(lab.a).rows("partner_metadata", "state = 'active'") == held, "the last good entry stays"
    _refused(lab, bad)
    bad.close()
    record_property("cases", 2 * rounds * letters)


def _poisoned(answer: bytes, seen: Seen) -> Plan:
    return Plan(answer=answer) if seen.path == METADATA else Plan()


def _refused(lab: Lab, bad: FaultProxy) -> None:
    """Nothing went to a forbidden address, nothing to C is settled, and what was refused is in the log."""
    said = (lab.folder / "resolved").read_text("ascii").split()
    assert set(said) & set(FORBIDDEN), "the name did turn"
    assert len(bad.seen) <= 4 * said.count("127.0.0.1")
    states = lab.store(lab.a).ask("SELECT DISTINCT state FROM dispatch WHERE recipient = ?", C)
    assert {str(one[0]) for one in states} <= {"queued", "unknown"}
    lines = [json.loads(line) for line in lab.a.log.read_text("utf-8").splitlines()]
    problems = [one.get("problem") for one in lines if one["event"] == "partners.no-answer" and one.get("k") == B]
    assert problems.count("EDOC-EXC-074") >= 2, problems  # an older version that is replayed has a signature that ended
