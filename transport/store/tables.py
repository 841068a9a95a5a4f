"""The tables of a node (exchange.md 9, ledger.md 12), declared with SQLModel and used through Core.

Rows are not the domain: the classes stay inside ``transport.store``, and what leaves it are the values of
``values.py``. Times are whole milliseconds since 1970 (``times.py``), days ``YYYY-MM-DD``, digests 64 lower-case
hexadecimal digits except in the ledger's own tables, where they are 32 bytes. Statements are built on the tables named
at the end of this module, because an ORM unit costs about twenty times a statement (dependencies.md 1).
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    Table,
    UniqueConstraint,
    text,
)
from sqlmodel import Field, SQLModel

Identity = BigInteger().with_variant(Integer, "sqlite")
"""Row numbers: SQLite numbers rows by itself only in a column called INTEGER."""

UNDELIVERED = "state IN ('queued', 'unknown', 'carrying')"
"""States of a dispatch that the courier still works on."""


def _identity() -> Column[int]:
    return Column(Identity, primary_key=True, autoincrement=True)


def _ticket(*, nullable: bool = False) -> Column[int]:
    """Column naming the leaf of an act: NOT NULL where the row must not exist without it (ledger.md 5)."""
    return Column(Identity, ForeignKey("ledger_leaf.ticket"), nullable=nullable)


class Blob(SQLModel, table=True):
    """Bytes by content: up to 64 KiB in the row, larger ones as a file of the blob folder."""

    __table_args__ = (CheckConstraint("(place = 'row') = (data IS NOT NULL)", name="blob_place"),)

    digest: str = Field(primary_key=True)
    size: int = Field(sa_type=BigInteger)
    place: str
    data: bytes | None = Field(default=None, sa_type=LargeBinary)
    condemned_since: int | None = Field(default=None, sa_type=BigInteger)


class Message(SQLModel, table=True):
    """A sealed message of ours, frozen at submit (M3)."""

    __table_args__ = (
        UniqueConstraint("sender", "message_id", name="message_key"),
        Index("message_newest", "kind", "priority", "submitted_at", "id"),
        Index("message_symbol", "number", "notation"),
    )

    id: int | None = Field(default=None, sa_column=_identity())
    sender: str
    message_id: str = Field(index=True)
    kind: str
    sha256: str = Field(foreign_key="blob.digest")
    size: int = Field(sa_type=BigInteger)
    lane: int
    submitted_at: int = Field(sa_type=BigInteger)
    deadline: int = Field(sa_type=BigInteger)
    document_id: str = Field(index=True)
    number: str
    notation: str
    date: str | None = None
    type: str
    subject: str
    priority: int
    attachments: int
    due: str | None = None
    legal_class: str | None = None
    status_code: str | None = None
    cause: str | None = Field(default=None, index=True)
    source_sha256: str | None = Field(default=None, index=True)


class Dispatch(SQLModel, table=True):
    """One message on its way to one recipient: the unit of state, retry and receipt (exchange.md 6)."""

    __table_args__ = (
        UniqueConstraint("message", "recipient", name="dispatch_key"),
        CheckConstraint(
            "state IN ('queued', 'carrying', 'unknown', 'delivered', 'refused', 'expired', 'recalled')",
            name="dispatch_state",
        ),
        Index("dispatch_due", "recipient", "lane", "next_at", sqlite_where=text("state IN ('queued', 'unknown')")),
        Index("dispatch_leased", "recipient", "lease_until", sqlite_where=text("state = 'carrying'")),
        Index("dispatch_ahead", "last_at", sqlite_where=text(UNDELIVERED)),
        Index("dispatch_deadline", "deadline", sqlite_where=text("state IN ('queued', 'unknown')")),
    )

    id: int | None = Field(default=None, sa_column=_identity())
    message: int = Field(sa_column=Column(Identity, ForeignKey("message.id"), nullable=False))
    recipient: str
    state: str
    lane: int
    exposed: bool = False
    recall_requested: bool = False
    owner: str | None = None
    lease_until: int | None = Field(default=None, sa_type=BigInteger)
    attempt: int = 0
    failures: int = 0  # attempts since the last requeue: the n of the back-off
    final_try: bool = False  # the one attempt at the deadline has been made
    next_at: int | None = Field(default=None, sa_type=BigInteger)
    deadline: int = Field(sa_type=BigInteger)
    submitted_at: int = Field(sa_type=BigInteger)
    first_at: int | None = Field(default=None, sa_type=BigInteger)
    last_at: int | None = Field(default=None, sa_type=BigInteger)
    settled_at: int | None = Field(default=None, sa_type=BigInteger)
    sent_at: int | None = Field(default=None, sa_type=BigInteger)
    alarmed_at: int | None = Field(default=None, sa_type=BigInteger)
    problem: str | None = None
    problem_status: int | None = None
    by_receipt: bool = False  # refused by a receipt, not by a problem: final for ever
    receipt: int | None = Field(default=None, sa_column=Column(Identity, ForeignKey("receipt.id"), nullable=True))
    sent_ticket: int | None = Field(default=None, sa_column=_ticket(nullable=True))
    last_status: str | None = None
    trace: str


class Attempt(SQLModel, table=True):
    """One request made for a dispatch; ``n`` is the fence of the claim it belongs to."""

    dispatch: int = Field(sa_column=Column(Identity, ForeignKey("dispatch.id"), primary_key=True))
    n: int = Field(primary_key=True)
    owner: str
    started_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)
    outcome: str | None = None
    status: int | None = None
    problem: str | None = None
    body: bytes | None = Field(default=None, sa_type=LargeBinary)
    peer: str | None = None


class Agency(SQLModel, table=True):
    """An agency of the directory as it stands now; what it was is in ``agency_history`` (R66, R80)."""

    code: str = Field(primary_key=True)
    name: str
    address: str = ""
    email: str = ""
    old_codes: str = "[]"
    former_names: str = "[]"
    aliases: str = "[]"
    valid_from: str | None = None
    valid_to: str | None = None
    successor: str | None = None
    updated_at: int = Field(sa_type=BigInteger)


class AgencyHistory(SQLModel, table=True):
    """Every version of an agency's entry and of how it is reached, as canonical JSON; never changed."""

    __tablename__ = "agency_history"

    id: int | None = Field(default=None, sa_column=_identity())
    agency: str = Field(index=True)
    at: int = Field(sa_type=BigInteger)
    entry: str


class AgencyCertificate(SQLModel, table=True):
    """A certificate or public key of an agency, with its days; none is ever removed, only ended (R66)."""

    __tablename__ = "agency_certificate"
    __table_args__ = (UniqueConstraint("agency", "use", "sha256", name="agency_certificate_key"),)

    id: int | None = Field(default=None, sa_column=_identity())
    agency: str = Field(foreign_key="agency.code")
    use: str
    sha256: str = Field(index=True)
    data: bytes = Field(sa_type=LargeBinary)
    valid_from: str | None = None
    valid_to: str | None = None
    added_at: int = Field(sa_type=BigInteger)


class Partner(SQLModel, table=True):
    """How another agency is reached, and how its node has behaved of late: caps and circuit (exchange.md 6)."""

    agency: str = Field(primary_key=True)
    url: str | None = None
    delivery: str = "push"
    auth: str = "signature"
    cap: int = 4
    served_at: int = Field(default=0, sa_type=BigInteger)
    failures: int = 0
    open_until: int | None = Field(default=None, sa_type=BigInteger)
    open_for: int = 0
    updated_at: int = Field(default=0, sa_type=BigInteger)


class Receipt(SQLModel, table=True):
    """A receipt we gave (``out``) or got (``in``); exactly one per direction and K, never changed (Q1)."""

    __table_args__ = (
        UniqueConstraint("direction", "sender", "recipient", "message_id", name="receipt_key"),
        CheckConstraint("direction IN ('in', 'out')", name="receipt_direction"),
    )

    id: int | None = Field(default=None, sa_column=_identity())
    direction: str
    sender: str
    recipient: str
    message_id: str = Field(index=True)
    receipt_id: str
    event: str
    sha256: str = Field(index=True)
    data: bytes = Field(sa_type=LargeBinary)
    message_sha256: str
    message_size: int = Field(sa_type=BigInteger)
    received_at: int = Field(sa_type=BigInteger)
    issued_at: int = Field(sa_type=BigInteger)
    reason: str | None = None
    ticket: int = Field(sa_column=_ticket())


class Inbox(SQLModel, table=True):
    """An accepted message of another agency (P0): one row per K."""

    __table_args__ = (
        UniqueConstraint("sender", "recipient", "message_id", name="inbox_key"),
        UniqueConstraint("recipient", "arrival_year", "arrival_number", name="inbox_arrival"),
        CheckConstraint(
            "state IN ('arrived', 'refused', 'accepted', 'assigned', 'in-process', 'finished', "
            "'recall-asked', 'recalled', 'deleted')",
            name="inbox_state",
        ),
        Index("inbox_newest", "kind", "priority", "arrived_at", "id"),
        Index("inbox_symbol", "number", "notation"),
    )

    id: int | None = Field(default=None, sa_column=_identity())
    sender: str
    recipient: str
    message_id: str = Field(index=True)
    kind: str
    sha256: str = Field(foreign_key="blob.digest")
    size: int = Field(sa_type=BigInteger)
    state: str = "arrived"
    earlier_state: str | None = None
    received_at: int = Field(sa_type=BigInteger)
    arrived_at: int = Field(sa_type=BigInteger)
    lane: int
    document_id: str = Field(index=True)
    number: str
    notation: str
    date: str | None = None
    type: str
    subject: str
    priority: int
    attachments: int
    due: str | None = None
    status_code: str | None = None
    sender_name: str
    verdict: str | None = None
    legal_class: str | None = None
    verification: bytes | None = Field(default=None, sa_type=LargeBinary)
    arrival_year: int | None = None
    arrival_number: int | None = None
    accepted_at: int | None = Field(default=None, sa_type=BigInteger)
    decided_by: str | None = None
    reason: str | None = None
    note: str | None = None
    receipt: int = Field(sa_column=Column(Identity, ForeignKey("receipt.id"), nullable=False))


class Effect(SQLModel, table=True):
    """Something an act calls for afterwards, once: unique by cause and kind (P0)."""

    __table_args__ = (
        UniqueConstraint("cause", "kind", name="effect_key"),
        Index("effect_due", "next_at", sqlite_where=text("state = 'waiting'")),
        Index("effect_leased", "lease_until", sqlite_where=text("state = 'running'")),
    )

    id: int | None = Field(default=None, sa_column=_identity())
    cause: str
    kind: str
    facts: str = "{}"
    state: str = "waiting"
    owner: str | None = None
    lease_until: int | None = Field(default=None, sa_type=BigInteger)
    starts: int = 0
    failures: int = 0
    crashes: int = 0
    last_error: str | None = None
    next_at: int = Field(sa_type=BigInteger)
    created_at: int = Field(sa_type=BigInteger)
    ended_at: int | None = Field(default=None, sa_type=BigInteger)


class Status(SQLModel, table=True):
    """A status of a document's dispatch, as received (``in``) or sent (``out``) in a status message (R59)."""

    __table_args__ = (
        UniqueConstraint("direction", "carrier", name="status_carrier"),
        Index("status_dispatch", "message_id", "recipient"),
    )

    id: int | None = Field(default=None, sa_column=_identity())
    direction: str
    sender: str  # of the document
    recipient: str  # of the document
    message_id: str  # of the document
    carrier: str  # message id of the status message
    code: str
    at: int = Field(sa_type=BigInteger)
    recorded_at: int = Field(sa_type=BigInteger)
    applied: bool = True
    reason: str | None = None
    note: str | None = None
    unit: str | None = None
    person: str | None = None


class Anchor(SQLModel, table=True):
    """A certificate this node trusts, and for what: signers, public, tsa, transport, or only as a link of paths."""

    __table_args__ = (UniqueConstraint("sha256", "use", name="anchor_key"),)

    id: int | None = Field(default=None, sa_column=_identity())
    sha256: str
    use: str
    data: bytes = Field(sa_type=LargeBinary)
    subject: str = ""
    added_at: int = Field(sa_type=BigInteger)
    removed_at: int | None = Field(default=None, sa_type=BigInteger)


class Revocation(SQLModel, table=True):
    """A CRL or OCSP response once fetched, so that what was judged then can be judged again (R69)."""

    sha256: str = Field(primary_key=True)
    kind: str
    data: bytes = Field(sa_type=LargeBinary)
    fetched_at: int = Field(sa_type=BigInteger)
    next_update: int | None = Field(default=None, sa_type=BigInteger)


class Key(SQLModel, table=True):
    """A key of this node: where its file lies and what its certificate says; never the key itself."""

    name: str = Field(primary_key=True)
    role: str
    file: str
    sha256: str
    subject: str = ""
    agency: str | None = None
    public: bytes = Field(default=b"", sa_type=LargeBinary)
    not_before: int | None = Field(default=None, sa_type=BigInteger)
    not_after: int | None = Field(default=None, sa_type=BigInteger)
    added_at: int = Field(sa_type=BigInteger)


class RegisterSeries(SQLModel, table=True):
    """A numbering series of an agency and year; ``last`` is the last number given (R18, R19, R56)."""

    __tablename__ = "register_series"

    agency: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    last: int = 0


class RegisterNumber(SQLModel, table=True):
    """A number that was given, to what and when; never given twice (R17, R18)."""

    __tablename__ = "register_number"

    agency: str = Field(primary_key=True)
    series: str = Field(primary_key=True)
    year: int = Field(primary_key=True)
    number: int = Field(primary_key=True)
    holder: str = ""
    at: int = Field(sa_type=BigInteger)


class LedgerLog(SQLModel, table=True):
    """A log (shard) of this node; at most one is open."""

    __tablename__ = "ledger_log"
    __table_args__ = (
        CheckConstraint("state IN ('open', 'frozen', 'closed')", name="ledger_log_state"),
        Index("ledger_log_open", "state", unique=True, sqlite_where=text("state = 'open'")),
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

    ticket: int | None = Field(default=None, sa_column=_identity())
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
    __table_args__ = (Index("ledger_anchor_wanted", "log", "size", sqlite_where=text("state <> 'complete'")),)

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
        Index("ledger_event_due", "due", sqlite_where=text("due IS NOT NULL")),
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


STARRED: tuple[str, ...] = ("ledger_leaf", "ledger_entry", "ledger_tile", "receipt", "agency_history")
"""Tables whose rows are never changed and never removed; triggers refuse both."""


def _table(model: type[SQLModel]) -> Table:
    return SQLModel.metadata.tables[str(model.__tablename__)]


blob = _table(Blob)
message = _table(Message)
dispatch = _table(Dispatch)
attempt = _table(Attempt)
agency = _table(Agency)
agency_history = _table(AgencyHistory)
agency_certificate = _table(AgencyCertificate)
partner = _table(Partner)
receipt = _table(Receipt)
inbox = _table(Inbox)
effect = _table(Effect)
status = _table(Status)
anchor = _table(Anchor)
revocation = _table(Revocation)
key = _table(Key)
register_series = _table(RegisterSeries)
register_number = _table(RegisterNumber)
ledger_log = _table(LedgerLog)
ledger_leaf = _table(LedgerLeaf)
ledger_entry = _table(LedgerEntry)
ledger_tile = _table(LedgerTile)
ledger_head = _table(LedgerHead)
ledger_anchor = _table(LedgerAnchor)
ledger_event = _table(LedgerEvent)
ledger_opening = _table(LedgerOpening)
ledger_keys = _table(LedgerKeys)
