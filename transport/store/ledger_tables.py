"""The tables of the ledger (ledger.md 12); ★ marks those whose rows are never changed and never removed."""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Column, ForeignKey, Index, LargeBinary
from sqlmodel import Field, SQLModel

from transport.store.columns import Identity, identity, partial


class LedgerLog(SQLModel, table=True):
    """A log (shard) of this node; at most one is open."""

    __tablename__ = "ledger_log"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'frozen', 'closed')", name="ledger_log_state"),
        Index("ledger_log_open", "state", unique=True, **partial("state = 'open'")),
    )

    id: int | None = Field(default=None, primary_key=True)
    origin: str = Field(unique=True)
    shard: str = Field(unique=True)
    vkey: str
    state: str = "open"
    reason: str | None = None
    min_index: int = Field(default=0, sa_type=BigInteger)
    opened_at: int = Field(sa_type=BigInteger)
    closed_at: int | None = Field(default=None, sa_type=BigInteger)


class LedgerLeaf(SQLModel, table=True):
    """★ A leaf: its hash and its bytes; the ticket is its place in the order of acts."""

    __tablename__ = "ledger_leaf"
    __table_args__ = (
        CheckConstraint("length(leaf) = 32", name="ledger_leaf_hash"),
        CheckConstraint("length(data) <= 4096", name="ledger_leaf_size"),
    )

    ticket: int | None = Field(default=None, sa_column=identity())
    leaf: bytes = Field(sa_type=LargeBinary)
    data: bytes | None = Field(default=None, sa_type=LargeBinary)


class LedgerEntry(SQLModel, table=True):
    """★ Which leaf stands at which index of which log."""

    __tablename__ = "ledger_entry"

    log: int = Field(primary_key=True, foreign_key="ledger_log.id")
    idx: int = Field(primary_key=True, sa_type=BigInteger)
    ticket: int = Field(sa_column=Column(Identity, ForeignKey("ledger_leaf.ticket"), nullable=False, unique=True))


class LedgerTile(SQLModel, table=True):
    """★ A full tile: 256 hashes of one level."""

    __tablename__ = "ledger_tile"
    __table_args__ = (
        CheckConstraint("length(root) = 32", name="ledger_tile_root"),
        CheckConstraint("length(data) = 8192", name="ledger_tile_data"),
    )

    log: int = Field(primary_key=True, foreign_key="ledger_log.id")
    level: int = Field(primary_key=True)
    n: int = Field(primary_key=True, sa_type=BigInteger)
    root: bytes = Field(sa_type=LargeBinary)
    data: bytes = Field(sa_type=LargeBinary)


class LedgerHead(SQLModel, table=True):
    """The newest signed state of a log; changed by compare-and-set on size and root only."""

    __tablename__ = "ledger_head"

    log: int = Field(primary_key=True, foreign_key="ledger_log.id")
    size: int = Field(sa_type=BigInteger)
    root: bytes = Field(sa_type=LargeBinary)
    edge: bytes = Field(sa_type=LargeBinary)
    at: int = Field(sa_type=BigInteger)
    note: str


class LedgerAnchor(SQLModel, table=True):
    """A checkpoint with its time token and cosignatures (ledger.md 7)."""

    __tablename__ = "ledger_anchor"
    __table_args__ = (Index("ledger_anchor_wanted", "log", "size", **partial("state <> 'complete'")),)

    log: int = Field(primary_key=True, foreign_key="ledger_log.id")
    size: int = Field(primary_key=True, sa_type=BigInteger)
    note: str
    tsa: str | None = None
    cosigs: str | None = None
    state: str
    gen_time: int | None = Field(default=None, sa_type=BigInteger)
    token: bytes | None = Field(default=None, sa_type=LargeBinary)
    validation: bytes | None = Field(default=None, sa_type=LargeBinary)
    record: bytes | None = Field(default=None, sa_type=LargeBinary)


class LedgerEvent(SQLModel, table=True):
    """What leaves say, for queries (ledger.md 4.2); derived from the leaves and checked against them."""

    __tablename__ = "ledger_event"
    __table_args__ = (
        Index("ledger_event_kind", "kind", "at"),
        Index("ledger_event_from", "from_org", "at"),
        Index("ledger_event_to", "to_org", "at"),
        Index("ledger_event_due", "due", **partial("due IS NOT NULL")),
    )

    log: int = Field(primary_key=True, foreign_key="ledger_log.id")
    idx: int = Field(primary_key=True, sa_type=BigInteger)
    leaf: bytes = Field(sa_type=LargeBinary, index=True)
    at: int = Field(sa_type=BigInteger)
    kind: str
    auto: bool
    side: str | None = None
    msg: str | None = Field(default=None, index=True)
    doc: str | None = Field(default=None, index=True)
    from_org: str | None = None
    to_org: str | None = None
    env: str | None = None
    receipt: str | None = Field(default=None, index=True)
    rtype: str | None = None
    prev: str | None = None
    peer_origin: str | None = None
    peer_index: int | None = Field(default=None, sa_type=BigInteger)
    peer_leaf: str | None = None
    status: str | None = None
    reason: str | None = None
    legal_class: str | None = None
    medium: str | None = None
    dtype: str | None = None
    unit: str | None = None
    prio: int | None = None
    clock: int | None = Field(default=None, sa_type=BigInteger)
    basis: str | None = None
    due: int | None = Field(default=None, sa_type=BigInteger)
    ref_rel: str | None = None
    ref_doc: str | None = None
    ref_msg: str | None = None
    log_origin: str | None = None
    log_size: int | None = Field(default=None, sa_type=BigInteger)
    log_root: str | None = None
    target_leaf: str | None = None
    target_field: str | None = None
    action: str | None = None
    result: str | None = None


class LedgerOpening(SQLModel, table=True):
    """Salt and value of a commitment: the ledger's only personal data; redaction deletes the row (ledger.md 13)."""

    __tablename__ = "ledger_opening"

    leaf: bytes = Field(sa_column=Column(LargeBinary, primary_key=True))
    field: str = Field(primary_key=True)
    salt: bytes = Field(sa_type=LargeBinary)
    value: str


class LedgerKeys(SQLModel, table=True):
    """Key statements accepted from agencies, our own among them."""

    __tablename__ = "ledger_keys"

    agency: str = Field(primary_key=True)
    serial: int = Field(primary_key=True)
    sha256: str
    xml: bytes = Field(sa_type=LargeBinary)
    accepted_at: int = Field(sa_type=BigInteger)
