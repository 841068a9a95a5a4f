"""The log of a node in its database (ledger.md 5 and 12): append, head, proofs, events.

Promises: leaves get their indices in ticket order, in the transaction that wrote them; the head is changed by
compare-and-set on size and root only; nothing has an index, a tile or a checkpoint that is not committed with it. The
head's time is the newest ``at`` of the leaves, so it never goes back and needs no clock. The writer calls
:meth:`Log.place` at the end of each batch; it costs one read, one insert for all entries, one signature and one update,
and a tile every 256 leaves.

Statements are the driver's where the append path runs, because an ORM unit costs about twenty times a statement.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from transport.errors import LedgerError, StoreError
from transport.ledger import checkpoint, event, proof, tiles
from transport.ledger.canonical import Json
from transport.ledger.extract import LogExtract, ProvedLeaf
from transport.ledger.merkle import EMPTY_ROOT, Edge, leaf_hash, root_of
from transport.ledger.note import LogSigner, NoteInvalid, read_vkey
from transport.store import log_events, log_verify
from transport.store.chains import Chains
from transport.store.dialect import insert_rows
from transport.store.log_events import EventFilter, LoggedEvent
from transport.store.log_rows import OpenLog, leaf_at, open_log, read_tile
from transport.store.log_tiles import Problem
from transport.store.log_verify import Receipts, VerifyResult
from transport.store.sidefile import SideFile
from transport.store.statements import Connection
from transport.store.times import millis, moment
from transport.store.values import Ticket

_log = logging.getLogger("edoc.ledger")

__all__ = ["EventFilter", "Head", "Log", "LoggedEvent", "Problem", "VerifyResult"]


@dataclass(frozen=True, slots=True)
class Head:
    """The newest signed state of a log; ``at`` is the newest time of its leaves, ``note`` the signed checkpoint."""

    origin: str
    size: int
    root: bytes
    note: str
    at: datetime
    state: str = "open"
    reason: str | None = None

    @property
    def shard(self) -> str:
        """The last part of the origin."""
        return self.origin.rpartition("/")[2]


class Log:
    """Appends to the open log of a database when a signer is given; reads any of its logs."""

    def __init__(self, log_signer: LogSigner | None = None, side: SideFile | None = None) -> None:
        self._signer = log_signer
        self._checked: tuple[str, int, bytes, bytes] | None = None  # note, size, root, edge that belong together
        self._recent = Chains()
        self._placed: list[tuple[int, str, dict[str, Json]]] = []  # since the last commit: ticket, leaf hash, fields
        self._side = side
        self._unnoted: Head | None = None

    @property
    def side(self) -> SideFile | None:
        """The file outside the database in which each head is noted (ledger.md 6)."""
        return self._side

    def published(self, head: object) -> None:
        """Note a head in the side file after its commit; one that cannot be noted is, before the next signature."""
        self._recent.committed(self._placed)
        self._placed = []
        if self._side is None or not isinstance(head, Head):
            return
        try:
            self._side.note(head.size, head.root, head.at)
            self._unnoted = None
        except StoreError as error:
            self._unnoted = head
            _log.error("ledger.side-file", extra={"error": error.code})

    def _note_first(self) -> None:
        """Note the head that could not be noted: without the side file the log does not sign."""
        if self._unnoted is not None and self._side is not None:
            self._side.note(self._unnoted.size, self._unnoted.root, self._unnoted.at)
            self._unnoted = None

    @property
    def signer(self) -> LogSigner | None:
        """Whoever signs this node's checkpoints, if the key is at hand."""
        return self._signer

    # --- appending ---------------------------------------------------------------------------------------------------

    def open_first(self, connection: Connection, *, statement_sha256: str, at: datetime) -> Head:
        """Open the first log of a node: leaf 0 names the SHA-256 (hexadecimal) of the agency's key statement.

        Raises ``LedgerError``: EDOC-LED-021 without a key, EDOC-LED-022 when a log is open already.
        """
        signer = self._need_signer()
        if open_log(connection) is not None:
            raise LedgerError("EDOC-LED-022", "a log is open already", origin=signer.origin)
        return self._open(connection, {"reason": "first"}, statement_sha256=statement_sha256, at=at)

    def open_after(self, connection: Connection, old: Head, *, statement_sha256: str, at: datetime) -> Head:
        """Open a new shard after a loss: leaf 0 cites the last checkpoint of the frozen one (ledger.md 6).

        Raises ``LedgerError``: EDOC-LED-021 without a key, EDOC-LED-027 when that log is not frozen.
        """
        closed = connection.exec_driver_sql(
            "UPDATE ledger_log SET state = 'closed', closed_at = ? WHERE origin = ? AND state = 'frozen'",
            (millis(at), old.origin),
        ).rowcount
        if closed != 1:
            raise LedgerError("EDOC-LED-027", "the log is not frozen", origin=old.origin, state=old.state)
        cited: dict[str, Json] = {"origin": old.origin, "size": old.size, "root": old.root.hex()}
        told: dict[str, event.Value] = {"reason": "restored", "log": cited}
        return self._open(connection, told, statement_sha256=statement_sha256, at=at)

    def _open(
        self, connection: Connection, told: Mapping[str, event.Value], *, statement_sha256: str, at: datetime
    ) -> Head:
        signer = self._need_signer()
        shard, when = checkpoint.shard_of(signer.origin), millis(at)
        row = connection.exec_driver_sql(
            "INSERT INTO ledger_log (origin, shard, vkey, state, reason, min_index, opened_at)"
            " VALUES (?, ?, ?, 'open', ?, 0, ?) RETURNING id",
            (signer.origin, shard, signer.vkey, str(told["reason"]), when),
        ).scalar_one()
        note = signer.sign_note(checkpoint.format(checkpoint.Checkpoint(signer.origin, 0, EMPTY_ROOT)))
        connection.exec_driver_sql(
            "INSERT INTO ledger_head (log, size, root, edge, at, note) VALUES (?, 0, ?, ?, ?, ?)",
            (row, EMPTY_ROOT, b"", when, note),
        )
        fields: dict[str, event.Value] = {"at": at, "auto": True, **told}
        data = event.build("log-opened", {**fields, "receipt": statement_sha256, "rtype": "statement"})
        digest = leaf_hash(data)
        ticket = connection.exec_driver_sql(
            "INSERT INTO ledger_leaf (leaf, data) VALUES (?, ?) RETURNING ticket", (digest, data)
        ).scalar_one()
        return self.place(connection, [Ticket(int(ticket), digest, data)])

    def place(self, connection: Connection, tickets: Sequence[Ticket]) -> Head:
        """Give each ticket its index, in the transaction that wrote the leaves, and sign the new head.

        Raises ``LedgerError``: EDOC-LED-020 no log is open, -021 no key, -023 frozen, -024 the key is another log's,
        -025 the stored head contradicts itself, -026 another process moved the head.
        """
        signer = self._need_signer()
        log = self._ours(open_log(connection), signer)
        if not tickets:
            return _head(log)
        self._note_first()
        edge = Edge.from_bytes(log.size, log.edge)
        rows, newest, placed = [], log.at, []
        for ticket in tickets:
            fields = json.loads(ticket.data)
            ticket.index = edge.size
            rows.append((log.id, edge.size, ticket.id))
            placed.append((ticket.id, ticket.leaf.hex(), fields))
            newest = max(newest, millis(event.read_time(fields["at"])))
            edge.append(ticket.leaf)
        insert_rows(connection, "ledger_entry", ("log", "idx", "ticket"), rows)
        self._keep_tiles(connection, log, edge.size)
        root, kept = edge.root(), edge.to_bytes()
        note = signer.sign_note(checkpoint.format(checkpoint.Checkpoint(log.origin, edge.size, root)))
        changed = connection.exec_driver_sql(
            "UPDATE ledger_head SET size = ?, root = ?, edge = ?, at = ?, note = ?"
            " WHERE log = ? AND size = ? AND root = ?",
            (edge.size, root, kept, newest, note, log.id, log.size, log.root),
        )
        if changed.rowcount != 1:
            raise LedgerError("EDOC-LED-026", "the head of the log was moved by another process", origin=log.origin)
        self._checked, self._placed = (note, edge.size, root, kept), placed
        return Head(log.origin, edge.size, root, note, moment(newest))

    def keep_openings(self, connection: Connection, leaf: bytes, openings: Sequence[event.Opening]) -> None:
        """Keep salt and value behind the commitments of a leaf (its hash, 32 bytes), in the leaf's transaction."""
        for one in openings:
            connection.exec_driver_sql(
                "INSERT INTO ledger_opening (leaf, field, salt, value) VALUES (?, ?, ?, ?)",
                (leaf, one.field, one.salt, one.value),
            )

    def openings(self, connection: Connection, leaf: bytes) -> tuple[event.Opening, ...]:
        """Return what is kept behind the commitments of a leaf: personal data, shown only to who may see it."""
        rows = connection.exec_driver_sql(
            "SELECT field, salt, value FROM ledger_opening WHERE leaf = ? ORDER BY field", (leaf,)
        )
        return tuple(event.Opening(field, bytes(salt), value) for field, salt, value in rows)

    # --- reading -----------------------------------------------------------------------------------------------------

    def head(self, connection: Connection, *, shard: str | None = None) -> Head:
        """Return the newest head of the open log, or of the shard named.

        Raises ``LedgerError`` EDOC-LED-020 when there is no such log.
        """
        return _head(_need(open_log(connection, shard), shard))

    def entry(self, connection: Connection, index: int, *, shard: str | None = None) -> LoggedEvent:
        """Return the leaf at an index. Raises ``LedgerError`` EDOC-LED-030 when it is not in the log."""
        log = _need(open_log(connection, shard), shard)
        return LoggedEvent(log.origin, index, event.parse(_leaf(connection, log, index)))

    def find(
        self, connection: Connection, *, leaf: str | None = None, receipt: str | None = None, shard: str | None = None
    ) -> tuple[int, ...]:
        """Return the indices of leaves with this leaf hash, or this digest of evidence bytes (both hexadecimal)."""
        log = _need(open_log(connection, shard), shard)
        found = log_events.query(connection, log, EventFilter(leaf=leaf, receipt=receipt))
        return tuple(one.index for one in found)

    def proof_for_index(
        self,
        connection: Connection,
        index: int,
        *,
        size: int | None = None,
        extra: bool = True,
        shard: str | None = None,
    ) -> str:
        """Return the text of the proof file of a leaf in the newest checkpoint, or in that of an older ``size``.

        ``extra`` puts the leaf's bytes in. Raises ``LedgerError`` EDOC-LED-030 (not in the log), -031 (no checkpoint of
        that size can be had: only a log whose key is at hand signs an older size anew).
        """
        log = _need(open_log(connection, shard), shard)
        return str(self._prove(connection, log, index, size=size, extra=extra))

    def proof_for_leaf(self, connection: Connection, leaf: str, *, size: int | None = None) -> str:
        """Return the proof of the leaf with this hash (hexadecimal). Raises as :meth:`proof_for_index`."""
        return self.proof_for_index(connection, self._one(self.find(connection, leaf=leaf), leaf), size=size)

    def proof_for_receipt(self, connection: Connection, digest: str, *, size: int | None = None) -> str:
        """Return the proof of the first leaf that commits to evidence bytes with this SHA-256 (hexadecimal)."""
        return self.proof_for_index(connection, self._one(self.find(connection, receipt=digest), digest), size=size)

    def consistency(
        self, connection: Connection, old: int, new: int | None = None, *, shard: str | None = None
    ) -> tuple[bytes, ...]:
        """Return the hashes that prove that the log at size ``new`` (the head, if none) extends it at size ``old``.

        Raises ``ProofInvalid`` for impossible sizes.
        """
        log = _need(open_log(connection, shard), shard)
        size = log.size if new is None else new
        if size > log.size:
            raise LedgerError("EDOC-LED-031", "the log has no such size", size=size, origin=log.origin)
        return _tree(connection, log, size).consistency(old)

    def verify(
        self,
        connection: Connection,
        *,
        first: int = 0,
        last: int | None = None,
        sample: int | None = None,
        against: bytes | None = None,
        receipts: Receipts | None = None,
        shard: str | None = None,
    ) -> VerifyResult:
        """Recompute leaves, tiles, head and chains of the log and say what does not hold (ledger.md 11)."""
        log = _need(open_log(connection, shard), shard)
        own = self._signer is not None and self._signer.origin == log.origin
        vkey = self._signer.vkey if own and self._signer is not None else None
        wanted = log_verify.Wanted(first, last, sample, against, receipts, vkey)
        return log_verify.verify(connection, log, wanted)

    # --- events ------------------------------------------------------------------------------------------------------

    def events(
        self, connection: Connection, wanted: EventFilter | None = None, *, shard: str | None = None
    ) -> tuple[LoggedEvent, ...]:
        """Return the leaves that fit a filter, in the order of the log, the newest ones included."""
        log = _need(open_log(connection, shard), shard)
        return log_events.query(connection, log, wanted or EventFilter())

    def derive(self, connection: Connection, *, limit: int = 10_000) -> int:
        """Fill the query table from leaves not yet in it (a job of the writer); return how many were taken."""
        log = open_log(connection)
        return 0 if log is None else log_events.derive(connection, log, limit=limit)

    def last_of(self, connection: Connection, *, sender: str, recipient: str, message_id: str, side: str) -> str | None:
        """Return the leaf hash (hexadecimal) that ``prev`` of the next leaf of this dispatch and side must name.

        Leaves of the same transaction count, so this is asked right before building the leaf.
        """
        return log_events.last_of(connection, (sender, recipient, message_id, side), self._recent)

    def extract(
        self, connection: Connection, message_id: str, *, recipient: str | None = None, shard: str | None = None
    ) -> LogExtract:
        """Return every leaf of a message's dispatches (of one, if a recipient is named) with proofs in the newest head.

        Leaves about looking at the message or exporting it are no part of its story and stay out.

        Raises ``LedgerError`` EDOC-LED-030 when the log knows nothing of the message.
        """
        log = _need(open_log(connection, shard), shard)
        known = log_events.query(connection, log, EventFilter(msg=message_id, recipient=recipient))
        found = tuple(one for one in known if one.leaf.chain is not None)
        if not found:
            raise LedgerError("EDOC-LED-030", "not in the log", ref=message_id, origin=log.origin)
        tree = _tree(connection, log, log.size)

        def proved(index: int) -> ProvedLeaf:
            data = _leaf(connection, log, index)
            return ProvedLeaf(index, data, str(proof.LogProof(index, tree.inclusion(index), log.note, data)))

        changes = log_events.query(connection, log, EventFilter(kind="key-changed"))
        binding = max((one.index for one in changes if one.index < found[0].index), default=0)
        return LogExtract(log.origin, log.size, log.note, proved(binding), tuple(proved(one.index) for one in found))

    # --- inside ------------------------------------------------------------------------------------------------------

    def _need_signer(self) -> LogSigner:
        if self._signer is None:
            raise LedgerError("EDOC-LED-021", "the log key is not at hand")
        return self._signer

    def _ours(self, log: OpenLog | None, signer: LogSigner) -> OpenLog:
        """Return the open log after checking that it may be continued with this key."""
        log = _need(log, None)
        if log.state != "open":
            raise LedgerError("EDOC-LED-023", "the log is frozen", origin=log.origin, reason=log.reason)
        if (log.origin, log.vkey) != (signer.origin, signer.vkey):
            raise LedgerError("EDOC-LED-024", "the key belongs to another log", origin=log.origin, key=signer.origin)
        stored = (log.note, log.size, log.root, log.edge)
        if stored != self._checked:  # one signature check for each process and foreign head
            _check_head(log)
            self._checked = stored
        return log

    def _keep_tiles(self, connection: Connection, log: OpenLog, size: int) -> None:
        for tile in tiles.new_full_tiles(log.size, size):
            level = tile.level or 0
            hashes = read_tile(connection, log.id, level, tile.n, tiles.WIDTH)
            connection.exec_driver_sql(
                "INSERT INTO ledger_tile (log, level, n, root, data) VALUES (?, ?, ?, ?, ?)",
                (log.id, level, tile.n, root_of(hashes), b"".join(hashes)),
            )

    def _prove(
        self, connection: Connection, log: OpenLog, index: int, *, size: int | None, extra: bool
    ) -> proof.LogProof:
        wanted = log.size if size is None else size
        if not 0 <= index < wanted or wanted > log.size:
            raise LedgerError("EDOC-LED-030", "not in the log", ref=str(index), origin=log.origin, size=wanted)
        tree = _tree(connection, log, wanted)
        note = log.note if wanted == log.size else self._older_note(connection, log, tree)
        data = _leaf(connection, log, index) if extra else None
        return proof.LogProof(index, tree.inclusion(index), note, data)

    def _older_note(self, connection: Connection, log: OpenLog, tree: tiles.TileTree) -> str:
        row = connection.exec_driver_sql(
            "SELECT note FROM ledger_anchor WHERE log = ? AND size = ?", (log.id, tree.size)
        ).one_or_none()
        if row is not None:
            return str(row[0])
        if self._signer is None or self._signer.vkey != log.vkey:
            raise LedgerError("EDOC-LED-031", "no checkpoint of that size", size=tree.size, origin=log.origin)
        text = checkpoint.format(checkpoint.Checkpoint(log.origin, tree.size, tree.root()))
        return self._signer.sign_note(text)

    @staticmethod
    def _one(indices: tuple[int, ...], ref: str) -> int:
        if not indices:
            raise LedgerError("EDOC-LED-030", "not in the log", ref=ref)
        return indices[0]


def _need(log: OpenLog | None, shard: str | None) -> OpenLog:
    if log is None:
        raise LedgerError("EDOC-LED-020", "there is no such log in this database", shard=shard)
    return log


def _check_head(log: OpenLog) -> None:
    """Check that signature, size, root and edge of a head belong together; the caller has checked whose key it is."""
    try:
        whole = Edge.from_bytes(log.size, log.edge).root() == log.root
        if whole:
            found = checkpoint.open_checkpoint(log.note, log=read_vkey(log.vkey)).checkpoint
            whole = (found.size, found.root) == (log.size, log.root)
    except (ValueError, NoteInvalid):
        whole = False
    if not whole:
        raise LedgerError("EDOC-LED-025", "the stored head contradicts itself", origin=log.origin, size=log.size)


def _head(log: OpenLog) -> Head:
    return Head(log.origin, log.size, log.root, log.note, moment(log.at), log.state, log.reason)


def _leaf(connection: Connection, log: OpenLog, index: int) -> bytes:
    data = leaf_at(connection, log.id, index) if 0 <= index < log.size else None
    if data is None:
        raise LedgerError("EDOC-LED-030", "not in the log", ref=str(index), origin=log.origin)
    return data


def _tree(connection: Connection, log: OpenLog, size: int) -> tiles.TileTree:
    return tiles.TileTree(size, lambda level, n, width: read_tile(connection, log.id, level, n, width))
