"""What the store takes and gives: frozen values, free of any database type. Times are aware and in UTC."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime

from transport.dispatch import Key, State
from transport.names import LedgerRef as LedgerRef

Day = date
"""A calendar day; named apart because several values have a field called ``date``."""


@dataclass(slots=True, eq=False)
class Ticket:
    """A leaf on its way into the log: row number, leaf hash (32 bytes), bytes; ``index`` is known before the commit."""

    id: int
    leaf: bytes
    data: bytes
    index: int | None = None


@dataclass(frozen=True, slots=True)
class NewMessage:
    """A sealed message at submit (M3). ``source_sha256`` is the digest of the packed file it was made from, if any."""

    message_id: str
    sender: str
    kind: str  # edoc, status
    sha256: str
    size: int
    lane: int
    submitted_at: datetime
    deadline: datetime
    document_id: str
    number: str = ""
    notation: str = ""
    date: Day | None = None
    type: str = ""
    subject: str = ""
    priority: int = 0
    attachments: int = 0
    due: Day | None = None
    legal_class: str | None = None
    status_code: str | None = None  # of a status message
    cause: str | None = None  # message id of the document a status message is about
    source_sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A dispatch leased to one worker; ``attempt`` is the fence."""

    dispatch_id: int
    key: Key
    owner: str
    attempt: int
    lane: int
    sha256: str
    size: int
    exposed: bool
    recall_requested: bool
    came_from: State
    submitted_at: datetime
    deadline: datetime
    trace: str
    sent: LedgerRef | None  # leaf ``sent`` of this dispatch
    failures: int = 1  # attempts since submit or requeue, this one included: the n of the back-off
    last_status: int | None = None  # HTTP status of the attempt before, if it got an answer
    last_problem: str | None = None  # and the problem it named


@dataclass(frozen=True, slots=True)
class AttemptEnd:
    """How an attempt ended: ``outcome`` delivered, refused, problem, no-proof, unreachable; ``problem`` its name."""

    outcome: str
    status: int | None = None
    problem: str | None = None
    body: bytes = b""
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class NewReceipt:
    """Receipt bytes as issued, with the facts lists show. ``direction``: ``in`` (we got it), ``out`` (we gave it)."""

    direction: str
    key: Key
    receipt_id: str
    event: str
    sha256: str
    data: bytes
    received_at: datetime
    issued_at: datetime


@dataclass(frozen=True, slots=True)
class ReceiptView:
    """A stored receipt with its place in our ledger."""

    receipt_id: str
    direction: str
    key: Key
    event: str
    sha256: str
    data: bytes
    issued_at: datetime
    ledger: LedgerRef | None


@dataclass(frozen=True, slots=True)
class Settled:
    """Result of a settlement: ``first`` is false when the receipt had been applied before; ``came_from`` old state."""

    first: bool
    came_from: State


@dataclass(frozen=True, slots=True)
class DispatchView:
    """One dispatch as lists and ``show`` give it."""

    dispatch_id: int
    key: Key
    state: State
    lane: int
    attempts: int
    exposed: bool
    submitted_at: datetime
    next_at: datetime | None
    deadline: datetime
    settled_at: datetime | None
    sent_at: datetime | None
    problem: str | None
    receipt: ReceiptView | None
    last_status: str | None = None  # newest business status code from the recipient


@dataclass(frozen=True, slots=True)
class RefusedFacts:
    """What is kept of a refused message beside its receipt: the bytes are not (exchange.md 3.3)."""

    sha256: str
    size: int
    reason: str


@dataclass(frozen=True, slots=True)
class Known:
    """What the recipient knows of K: ``state`` accepted or refused, and its one receipt."""

    key: Key
    state: str
    sha256: str
    size: int
    received_at: datetime
    receipt: ReceiptView


@dataclass(frozen=True, slots=True)
class NewArrival:
    """An accepted message on its way into the inbox."""

    kind: str
    sha256: str
    size: int
    received_at: datetime
    arrived_at: datetime
    lane: int
    document_id: str
    number: str = ""
    notation: str = ""
    date: Day | None = None
    type: str = ""
    subject: str = ""
    priority: int = 0
    attachments: int = 0
    due: Day | None = None
    status_code: str | None = None
    sender_name: str = ""


@dataclass(frozen=True, slots=True)
class NewStatus:
    """A status of a document's dispatch: ``direction`` in or out, ``carrier`` the id of the status message."""

    direction: str
    carrier: str
    code: str
    at: datetime
    reason: str | None = None
    note: str | None = None
    unit: str | None = None
    person: str | None = None


@dataclass(frozen=True, slots=True)
class StatusView:
    """A recorded status; ``applied`` is false where the move was not in the table of S1."""

    key: Key
    status: NewStatus
    recorded_at: datetime
    applied: bool


@dataclass(frozen=True, slots=True)
class AttemptView:
    """One attempt as ``dispatch why`` lists it."""

    n: int
    owner: str
    started_at: datetime
    ended_at: datetime | None
    outcome: str | None
    status: int | None
    problem: str | None
    peer: str | None


@dataclass(frozen=True, slots=True)
class EffectClaim:
    """An effect handed to a worker; ``starts`` is its fence."""

    effect_id: int
    cause: str
    kind: str
    facts: dict[str, str]
    owner: str
    starts: int


@dataclass(frozen=True, slots=True)
class Row:
    """A line of inbox or outbox (console.md 2, ``Row``). ``ref`` is what a person types to name it."""

    ref: str
    message_id: str
    document_id: str
    number: str
    notation: str
    date: Day | None
    type: str
    subject: str
    sender: str
    recipients: tuple[str, ...]
    priority: int
    state: str
    status_code: str | None
    verdict: str | None
    legal_class: str | None
    sent_at: datetime | None
    arrived_at: datetime | None
    due_at: datetime | None
    overdue: bool
    arrival_number: int | None
    attachments: int
    sender_name: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, newest first, the cursor of the next page, and counts by state."""

    rows: tuple[Row, ...]
    next: str | None
    counts: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RowFilter:
    """What a list asks for; agencies as canonical codes, times in UTC, ``after`` the cursor of an earlier page."""

    state: str | None = None
    agency: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    search: str | None = None
    overdue: bool = False
    limit: int = 50
    after: str | None = None
    now: datetime | None = None  # without it nothing is shown as overdue


@dataclass(frozen=True, slots=True)
class ArrivalView:
    """An inbox entry with what the acts on it need."""

    inbox_id: int
    key: Key
    row: Row
    sha256: str
    size: int
    state: str
    verdict: str | None  # None while the check is pending
    legal_class: str | None
    verification: bytes | None  # edoc.verify/1 as stored at arrival
    accepted_at: datetime | None
    decided_by: str | None
    note: str | None
    kind: str = "edoc"
    received_at: datetime | None = None
    arrival_year: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Partner:
    """How another agency is reached and known on the channel. ``request_keys`` are SPKI bytes by key id (RFC 9421)."""

    code: str
    url: str | None
    request_keys: tuple[tuple[str, bytes], ...] = ()
    delivery: str = "push"
    auth: str = "signature"
    certificates: tuple[bytes, ...] = field(default=(), repr=False)  # client certificates of its node (DER)

    @property
    def calls_by(self) -> str:
        """How its node must authenticate: ``mtls``, ``signature`` or ``both`` (exchange.md 4).

        Kept as ``signature`` it means what nobody decided: ``mtls`` where a client certificate is registered.
        """
        if self.auth in ("mtls", "both"):
            return self.auth
        return "mtls" if self.certificates and self.auth == "signature" else "signature"


@dataclass(frozen=True, slots=True)
class SentMessage:
    """A message of ours with its dispatches; ``sha256`` names the sealed bytes."""

    row: Row
    sha256: str
    size: int
    kind: str
    lane: int
    source_sha256: str | None
    dispatches: tuple[DispatchView, ...]

    @property
    def message_id(self) -> str:
        """The message's id."""
        return self.row.message_id


@dataclass(frozen=True, slots=True)
class AnchorEntry:
    """A trusted certificate (DER) with its uses: signers, public, tsa, transport."""

    sha256: str
    uses: tuple[str, ...]
    data: bytes = field(repr=False)
    subject: str
    added_at: datetime


@dataclass(frozen=True, slots=True)
class KeyEntry:
    """A key of this node. ``file`` is relative to the home; ``public`` the SPKI, ``sha256`` that of the certificate.

    A key without certificate (role request or ledger) has the SHA-256 of its SPKI.
    """

    name: str
    role: str
    file: str
    sha256: str
    added_at: datetime
    subject: str = ""
    agency: str | None = None
    public: bytes = field(default=b"", repr=False)
    not_before: datetime | None = None
    not_after: datetime | None = None
