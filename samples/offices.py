"""Two agencies in one process, for the samples: a real letter goes from A to B, and A exports the evidence.

Real nodes with real stores, ledgers, seals and receipts; only the wire between them is a function call. The clock is
turned by hand, so that the samples tell of one morning: 20 November 2026.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from edoc.agencies import Agency, AgencyCertificate, Directory
from samples.authority import ORGANS, Held
from signer.devpki import DevPki, DevTimestamper
from transport.courier import Parcel, Reply
from transport.node.deciding import Acceptance
from transport.node.node import Node
from transport.node.opening import create
from transport.node.outgoing import Outgoing
from transport.node.proving import Asked
from transport.node.receiving import answer_of
from transport.settings import Settings, load
from transport.store import directory as directories
from transport.store.values import KeyEntry
from transport.store.writer import Unit

SENDER, RECIPIENT = ORGANS
CLERK = "Trần Thị Mẫu"


@dataclass
class Clock:
    """Shows the time it was turned to."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def turn(self, **by: float) -> datetime:
        """Move on, and return the new moment."""
        self.now += timedelta(**by)
        return self.now


@dataclass(frozen=True, slots=True)
class Exchanged:
    """What one exchange leaves: the message on the wire, its receipt, the evidence package of the sender."""

    sealed: bytes
    receipt: bytes
    evidence: bytes


@dataclass(frozen=True, slots=True)
class Setting:
    """What both offices are made from."""

    folder: Path
    pki: DevPki
    keys: Mapping[str, Mapping[str, Held]]
    clock: Clock


def directory(keys: Mapping[str, Mapping[str, Held]]) -> Directory:
    """Return the directory both agencies go by."""
    return Directory(tuple(_agency(code, keys[code]) for code in ORGANS))


def _agency(code: str, held: Mapping[str, Held]) -> Agency:
    certificates = tuple(
        AgencyCertificate(use=use, data=held[use].credential.certificate, sha256=held[use].credential.sha256)
        for use in ("exchange", "agency")
    )
    return Agency(code=code, name=ORGANS[code], address="Số 1 phố Mẫu", certificates=certificates)


def exchange(setting: Setting, packed: bytes) -> Exchanged:
    """Send a packed letter from A to B, let B accept it, and export the evidence at A with B's proofs."""
    nodes = {code: _node(setting, code) for code in ORGANS}
    try:
        return _told(setting.clock, nodes, packed)
    finally:
        for node in nodes.values():
            node.close()


def _told(clock: Clock, nodes: Mapping[str, Node], packed: bytes) -> Exchanged:
    sender, recipient = nodes[SENDER], nodes[RECIPIENT]
    message_id = sender.send(packed, now=clock.now).message_id
    _settle(clock, nodes)
    recipient.accept(f"msg:{message_id}", Acceptance(person=CLERK), now=clock.turn(minutes=12))
    _settle(clock, nodes)
    (dispatch,) = sender.dispatches(message_id)
    assert dispatch.receipt is not None
    theirs = recipient.evidence(f"msg:{message_id}", Asked(CLERK), now=clock.turn(minutes=5)).data
    ours = sender.evidence(f"msg:{message_id}", Asked(CLERK, peer=theirs), now=clock.turn(minutes=1))
    known = recipient.known(dispatch.key)
    assert known is not None
    assert known.receipt.data == dispatch.receipt.data
    return Exchanged(sender.office.store.fetch(known.sha256), dispatch.receipt.data, ours.data)


def _settle(clock: Clock, nodes: Mapping[str, Node]) -> None:
    """Carry and follow at both offices until nothing is due."""
    moved = 1
    while moved:
        moved = sum(_carry(clock, nodes, code) + nodes[code].follow(now=clock.now) for code in nodes)
        clock.turn(seconds=1)


def _carry(clock: Clock, nodes: Mapping[str, Node], code: str) -> int:
    outgoing = Outgoing(nodes[code].office)
    claims = outgoing.claim(clock.now, "samples", 10)
    for claim in claims:
        parcel = outgoing.parcel(claim, clock.now)
        if parcel is not None:
            outgoing.settle(claim, _hand_over(nodes[parcel.key.recipient], parcel, clock), clock.now)
    return len(claims)


def _hand_over(node: Node, parcel: Parcel, clock: Clock) -> Reply:
    now = clock.turn(seconds=1)
    digest = hashlib.sha256(parcel.data).hexdigest()
    known = node.known(parcel.key)
    if known is not None:
        answer = answer_of(known)
    else:
        with node.busy(parcel.key):
            answer = node.receive(parcel.key, parcel.data, sha256=digest, received_at=now, peer=parcel.ledger, now=now)
    return Reply("receipt", answer.status, answer.receipt, ledger=answer.ledger, exposed=True)


# --- making an office ------------------------------------------------------------------------------------------------


def _settings(home: Path) -> Settings:
    return load(home=home, config=None, environ={}, overrides={})


def _node(setting: Setting, code: str) -> Node:
    home, now = setting.folder / code, setting.clock.now
    create(_settings(home), code=code, name=ORGANS[code], host=f"{code.lower()}.example", now=now)
    (home / "keys" / "trao-doi.pem").write_bytes(setting.keys[code]["exchange"].pem)
    credential = setting.keys[code]["exchange"].credential
    entry = KeyEntry("trao-doi", "exchange", "keys/trao-doi.pem", credential.sha256, added_at=now)
    with Node.open(_settings(home)) as node:
        node.office.store.do(partial(directories.add_key, key=entry))
        for work in _entries(setting):
            node.office.store.do(work)
    node = Node.open(_settings(home), need_exchange=True)
    node.office.timestamper = DevTimestamper(setting.pki, setting.clock)
    node.open_log(now=now)
    return node


def _entries(setting: Setting) -> tuple[Callable[[Unit], None], ...]:
    """Return what both offices write down: each other, the root, its revocation lists."""
    now, pki = setting.clock.now, setting.pki
    agencies = tuple(
        partial(directories.add, agency=agency, now=now, url=f"https://{agency.code.lower()}.example/exchange/v1")
        for agency in directory(setting.keys).agencies
    )
    lists = tuple(partial(_keep, crl=crl, now=now) for crl in (pki.crl(at=now), pki.root_crl(at=now)))
    return (*agencies, partial(_anchor, pki=pki, now=now), *lists)


def _anchor(unit: Unit, *, pki: DevPki, now: datetime) -> None:
    directories.add_anchor(unit, pki.root.certificate, uses=["signers", "tsa"], subject="root", now=now)


def _keep(unit: Unit, *, crl: bytes, now: datetime) -> None:
    directories.keep_revocation(unit, "crl", crl, fetched_at=now, next_update=None)
