"""The ten invariants of exchange.md 15, checked from outside after every fault run.

Each function returns sentences about what does not hold, with the number of the invariant; an empty list is success.
All is read by ``reader.Store`` and ``receiptcheck``: nothing of the product is asked about itself.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab import receiptcheck
from tests.lab.reader import Row, Store

FINAL = ("delivered", "refused", "expired", "recalled")
FINAL_PROBLEMS = ("unknown-recipient", "recipient-moved", "message-id-conflict", "too-large")
ACCEPTANCE = "http://uri.etsi.org/19522/Event/RelayAcceptance"
SECRETS = (
    "Nguyễn",
    "Trần Thị",
    "Sở Mẫu",
    "V/v ",
    "SMA-VP.pdf",
    "vanthu@",
    "PRIVATE KEY",
    "Traceback",
    "%PDF",
    "SignatureValue",
)
_K = re.compile(r"/to/([^/]+)/from/([^/]+)/([0-9a-f-]{36})")


@dataclass(frozen=True)
class Offices:
    """The homes of a run, the exchange certificates of their agencies (SHA-256), and what the network saw."""

    homes: Mapping[str, Path]
    certificates: Mapping[str, Sequence[str]]
    bodies: Iterable[tuple[str, str]] = ()
    """Path and body digest of every message that was ever put on the wire in whole."""
    logs: Sequence[Path] = ()
    stores: dict[str, Store] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.stores.update({code: Store(home) for code, home in self.homes.items()})


def check(offices: Offices, *, confirmed: Iterable[tuple[str, str]] = (), finished: bool = True) -> list[str]:
    """Check all that a run can be held to; ``confirmed`` are (sender, message id) whose submit was confirmed.

    ``finished`` says that all work was let come to its end, so that every dispatch must be final.
    """
    faults = []
    for code, store in offices.stores.items():
        faults += [f"{code} I6: {fault}" for fault in (*store.damage(), *store.ledger_faults())]
        faults += [f"{code} {fault}" for fault in (*_once(store), *_ledger_and_rows(store), *_proof(offices, store))]
        faults += [f"{code} {fault}" for fault in _durable(offices, store)]
        if finished:
            faults += [f"{code} {fault}" for fault in _ended(store)]
    faults += _not_forgotten(offices, confirmed)
    faults += _agreement(offices)
    faults += _frozen(offices)
    faults += silence(offices)
    return faults


def _not_forgotten(offices: Offices, confirmed: Iterable[tuple[str, str]]) -> list[str]:
    known = {
        code: {row[0] for row in store.ask("SELECT m.message_id FROM message m JOIN dispatch d ON d.message = m.id")}
        for code, store in offices.stores.items()
    }
    return [f"I1: {sender} forgot {one}" for sender, one in confirmed if one not in known[sender]]


def _ended(store: Store) -> list[str]:
    open_states = ", ".join(f"'{state}'" for state in FINAL)
    faults = [
        f"I1: dispatch {row[0]} is still {row[1]}"
        for row in store.ask(f"SELECT id, state FROM dispatch WHERE state NOT IN ({open_states})")
    ]
    effects = store.ask("SELECT cause, kind, state FROM effect WHERE state IN ('waiting', 'running')")
    faults += [f"I3: effect {row[1]} of {row[0]} is still {row[2]}" for row in effects]
    leases = store.ask("SELECT id FROM dispatch WHERE owner IS NOT NULL AND state <> 'carrying'")
    faults += [f"I9: dispatch {row[0]} has an owner and nothing to do" for row in leases]
    faults += [f"I9: left over: {path.name}" for path in store.left_over()]
    return faults


def _durable(offices: Offices, store: Store) -> list[str]:
    """I2 at the recipient, from the receipts it gave."""
    faults = []
    for row in store.rows("receipt", "direction = 'out' AND event = ?", ACCEPTANCE):
        where = (row["sender"], row["recipient"], row["message_id"])
        found = store.rows("inbox", "sender = ? AND recipient = ? AND message_id = ?", *where)
        if [one["sha256"] for one in found] != [row["message_sha256"]]:
            faults.append(f"I2: accepted {where}, but the inbox does not hold it")
        elif store.blob(str(row["message_sha256"])) is None:
            faults.append(f"I2: accepted {where}, but its bytes cannot be read")
    return faults


def _once(store: Store) -> list[str]:
    faults = []
    for row in store.ask(
        "SELECT sender, recipient, message_id, count(*) FROM inbox GROUP BY 1, 2, 3 HAVING count(*) > 1"
    ):
        faults.append(f"I3: {row[3]} inbox rows for {row[:3]}")
    told = "SELECT cause, status_code, count(*) FROM message WHERE cause IS NOT NULL GROUP BY 1, 2 HAVING count(*) > 1"
    faults += [f"I3: status {row[1]} of {row[0]} was sealed {row[2]} times" for row in store.ask(told)]
    twice = (
        "SELECT direction, sender, recipient, message_id, code, count(*) FROM status "
        "WHERE code = '01' GROUP BY 1, 2, 3, 4, 5 HAVING count(*) > 1"
    )
    faults += [f"I3: status 01 of {row[3]} stands {row[5]} times ({row[0]})" for row in store.ask(twice)]
    many = "SELECT direction, sender, recipient, message_id FROM receipt GROUP BY 1, 2, 3, 4 HAVING count(*) > 1"
    faults += [f"I4: several receipts for {row}" for row in store.ask(many)]
    return faults


def _agreement(offices: Offices) -> list[str]:
    """I4 and I5: what both sides hold of one K."""
    faults = []
    given: dict[tuple[object, ...], set[bytes]] = {}
    for store in offices.stores.values():
        for row in store.rows("receipt"):
            data = row["data"]
            assert isinstance(data, bytes)
            given.setdefault((row["sender"], row["recipient"], row["message_id"]), set()).add(data)
    faults += [f"I4: {len(copies)} different receipts for {key}" for key, copies in given.items() if len(copies) > 1]
    for code, store in offices.stores.items():
        for row in _dispatches(store):
            recipient = offices.stores.get(str(row["recipient"]))
            if recipient is None:
                continue
            where = (code, row["recipient"], row["message_id"])
            inbox = recipient.rows("inbox", "sender = ? AND recipient = ? AND message_id = ?", *where)
            if row["state"] == "delivered":
                if [one["sha256"] for one in inbox] != [row["sha256"]]:
                    faults.append(f"I5: {where} delivered, but the recipient does not hold these bytes")
                elif recipient.blob(str(row["sha256"])) is None:
                    faults.append(f"I2: {where} delivered, but its bytes cannot be read at the recipient")
            if row["state"] == "refused" and row["by_receipt"] and inbox:
                faults.append(f"I5: {where} refused by receipt, and in the inbox")
    return faults


def _dispatches(store: Store) -> list[Row]:
    names = ("id", "sender", "message_id", "sha256", "size", "recipient", "state", "by_receipt", "problem")
    question = (
        "SELECT d.id, m.sender, m.message_id, m.sha256, m.size, d.recipient, d.state, d.by_receipt, d.problem "
        "FROM dispatch d JOIN message m ON m.id = d.message"
    )
    return [dict(zip(names, row, strict=True)) for row in store.ask(question)]


_LEAF_OF = {
    "delivered": ("relayed",),
    "refused": ("relay-refused",),
    "expired": ("relay-failed",),
    "recalled": ("taken-back",),
}


def _ledger_and_rows(store: Store) -> list[str]:
    """I6: a final state and its leaf exist together, a receipt and its leaf too."""
    faults = []
    placed = {row[0] for row in store.ask("SELECT ticket FROM ledger_entry")}
    kinds: Counter[tuple[object, ...]] = Counter()
    of_receipt: Counter[object] = Counter()
    for _, _, _, _, leaf in store.leaves():
        kinds[leaf["kind"], leaf.get("side"), leaf.get("from"), leaf.get("to"), leaf.get("msg")] += 1
        if leaf["rtype"] == "receipt" and leaf["kind"] in ("relayed", "relay-refused"):
            of_receipt[leaf["receipt"]] += 1
    for row in store.rows("receipt"):
        if row["ticket"] not in placed:
            faults.append(f"I6: receipt {row['receipt_id']} has no place in the log")
        if of_receipt[row["sha256"]] != 1:
            faults.append(f"I6: {of_receipt[row['sha256']]} leaves for receipt {row['receipt_id']}")
    for row in _dispatches(store):
        where = ("s", row["sender"], row["recipient"], row["message_id"])
        if kinds["sent", *where] != 1:
            faults.append(f"I6: {kinds['sent', *where]} leaves sent for {where}")
        wanted = _LEAF_OF.get(str(row["state"]), ())
        if wanted and not any(kinds[kind, *where] for kind in wanted):
            faults.append(f"I6: {where} is {row['state']} without its leaf")
        if kinds["relayed", *where] > (row["state"] == "delivered"):
            faults.append(f"I6: {where} is {row['state']} with {kinds['relayed', *where]} leaves relayed")
    for row in store.rows("inbox"):
        where = ("r", row["sender"], row["recipient"], row["message_id"])
        if kinds["relayed", *where] != 1:
            faults.append(f"I6: {kinds['relayed', *where]} leaves relayed for inbox row {where}")
    accepted = sum(count for kind, count in kinds.items() if kind[:2] == ("relayed", "r"))
    if accepted != store.one("SELECT count(*) FROM inbox"):
        faults.append("I6: leaves relayed and inbox rows differ in number")
    return faults


def _proof(offices: Offices, store: Store) -> list[str]:
    """I10: whatever is delivered or refused has its proof, and the proof holds for a stranger."""
    faults = []
    for row in _dispatches(store):
        where = (str(row["sender"]), str(row["recipient"]), str(row["message_id"]))
        if row["state"] == "refused" and not row["by_receipt"]:
            if row["problem"] not in FINAL_PROBLEMS:
                faults.append(f"I10: {where} refused for {row['problem']}")
            if not store.ask("SELECT 1 FROM attempt WHERE dispatch = ? AND problem = ?", row["id"], row["problem"]):
                faults.append(f"I10: {where} refused without the answer on record")
        elif row["state"] in ("delivered", "refused"):
            faults += _receipt_faults(offices, store, row, where)
    return faults


def _receipt_faults(offices: Offices, store: Store, row: Row, where: tuple[str, str, str]) -> list[str]:
    question = "direction = 'in' AND sender = ? AND recipient = ? AND message_id = ?"
    found = store.rows("receipt", question, *where)
    if len(found) != 1:
        return [f"I10: {where} is {row['state']} with {len(found)} receipts"]
    data = found[0]["data"]
    assert isinstance(data, bytes)
    try:
        told = receiptcheck.check(
            data,
            certificates=offices.certificates[where[1]],
            expected=where,
            size=int(str(row["size"])),
            sha256=str(row["sha256"]),
        )
    except receiptcheck.NotAReceipt as error:
        return [f"I10: the receipt for {where} does not hold: {error}"]
    if told.accepted != (row["state"] == "delivered"):
        return [f"I10: {where} is {row['state']} against its receipt"]
    return []


def _frozen(offices: Offices) -> list[str]:
    """I7: every body that ever left for an id is the one that was sealed."""
    sealed = {
        (row[0], row[1]): row[2]
        for store in offices.stores.values()
        for row in store.ask("SELECT sender, message_id, sha256 FROM message")
    }
    faults = []
    for path, digest in offices.bodies:
        found = _K.search(path)
        if found and (found[2], found[3]) in sealed and sealed[found[2], found[3]] != digest:
            faults.append(f"I7: other bytes left for {found[3]}")
    return faults


def silence(offices: Offices) -> list[str]:
    """I8: no key, content, personal name or trace in logs and leaves."""
    texts = [(path.name, path.read_text("utf-8", "replace")) for path in offices.logs if path.exists()]
    for code, store in offices.stores.items():
        texts += [(f"leaf {index} of {code}", data.decode()) for _, index, _, data, _ in store.leaves()]
    faults = [f"I8: {word!r} in {name}" for name, text in texts for word in SECRETS if word in text]
    for path in offices.logs:
        for line in path.read_text("utf-8", "replace").splitlines() if path.exists() else ():
            try:
                json.loads(line)
            except ValueError:
                faults.append(f"I8: a line of {path.name} is no JSON: {line[:120]!r}")
    return faults
