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
    LargeBinary,
    UniqueConstraint,
)
from sqlmodel import Field, SQLModel

from transport.store.columns import Identity, identity, partial, table_of
from transport.store.columns import ticket as ticket_column
from transport.store.ledger_tables import (
    LedgerAnchor,
    LedgerEntry,
    LedgerEvent,
    LedgerHead,
    LedgerKeys,
    LedgerLeaf,
    LedgerLog,
    LedgerOpening,
    LedgerTile,
)
from transport.store.people_tables import (
    Account,
    AccountCertificate,
    AccountHistory,
    AccountRole,
    Authority,
    Conversion,
    KeyRight,
)
from transport.store.wire_tables import Knowledge, PartnerMetadata, PartnerSeen, PeerHead, TakeBack

UNDELIVERED = "state IN ('queued', 'unknown', 'carrying')"
"""States of a dispatch that the courier still works on."""


class SchemaStep(SQLModel, table=True):
    """A step of the schema and the oldest program's step that may work after it (exchange.md 9: N beside N−1)."""

    __tablename__ = "schema_step"

    revision: str = Field(primary_key=True)
    oldest: str


class Blob(SQLModel, table=True):
    """Bytes by content: up to 64 KiB in the row, larger ones as a file of the blob folder."""

    __table_args__ = (
        CheckConstraint("(place = 'row' AND data IS NOT NULL) OR (place = 'file' AND data IS NULL)", name="blob_place"),
    )

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

    id: int | None = Field(default=None, sa_column=identity())
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
        Index("dispatch_due", "recipient", "lane", "next_at", **partial("state IN ('queued', 'unknown')")),
        Index("dispatch_leased", "recipient", "lease_until", **partial("state = 'carrying'")),
        Index("dispatch_ahead", "last_at", **partial(UNDELIVERED)),
        Index("dispatch_deadline", "deadline", **partial("state IN ('queued', 'unknown')")),
    )

    id: int | None = Field(default=None, sa_column=identity())
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
    sent_ticket: int | None = Field(default=None, sa_column=ticket_column(nullable=True))
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

    id: int | None = Field(default=None, sa_column=identity())
    agency: str = Field(index=True)
    at: int = Field(sa_type=BigInteger)
    entry: str


class AgencyCertificate(SQLModel, table=True):
    """A certificate or public key of an agency, with its days; none is ever removed, only ended (R66)."""

    __tablename__ = "agency_certificate"
    __table_args__ = (UniqueConstraint("agency", "use", "sha256", name="agency_certificate_key"),)

    id: int | None = Field(default=None, sa_column=identity())
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

    id: int | None = Field(default=None, sa_column=identity())
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
    ticket: int = Field(sa_column=ticket_column())


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

    id: int | None = Field(default=None, sa_column=identity())
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
        Index("effect_due", "next_at", **partial("state = 'waiting'")),
        Index("effect_leased", "lease_until", **partial("state = 'running'")),
    )

    id: int | None = Field(default=None, sa_column=identity())
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

    id: int | None = Field(default=None, sa_column=identity())
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

    id: int | None = Field(default=None, sa_column=identity())
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


STARRED: tuple[str, ...] = (
    "ledger_leaf",
    "ledger_entry",
    "ledger_tile",
    "receipt",
    "agency_history",
    "account_history",
    "conversion",
)
"""Tables whose rows are never changed and never removed; triggers refuse both."""


schema_step = table_of(SchemaStep)
blob = table_of(Blob)
message = table_of(Message)
dispatch = table_of(Dispatch)
attempt = table_of(Attempt)
agency = table_of(Agency)
agency_history = table_of(AgencyHistory)
agency_certificate = table_of(AgencyCertificate)
partner = table_of(Partner)
receipt = table_of(Receipt)
inbox = table_of(Inbox)
effect = table_of(Effect)
status = table_of(Status)
anchor = table_of(Anchor)
revocation = table_of(Revocation)
key = table_of(Key)
register_series = table_of(RegisterSeries)
register_number = table_of(RegisterNumber)
ledger_log = table_of(LedgerLog)
ledger_leaf = table_of(LedgerLeaf)
ledger_entry = table_of(LedgerEntry)
ledger_tile = table_of(LedgerTile)
ledger_head = table_of(LedgerHead)
ledger_anchor = table_of(LedgerAnchor)
ledger_event = table_of(LedgerEvent)
ledger_opening = table_of(LedgerOpening)
ledger_keys = table_of(LedgerKeys)
account = table_of(Account)
account_role = table_of(AccountRole)
account_certificate = table_of(AccountCertificate)
account_history = table_of(AccountHistory)
authority = table_of(Authority)
key_right = table_of(KeyRight)
conversion = table_of(Conversion)
take_back = table_of(TakeBack)
partner_metadata = table_of(PartnerMetadata)
partner_seen = table_of(PartnerSeen)
peer_head = table_of(PeerHead)
knowledge = table_of(Knowledge)
