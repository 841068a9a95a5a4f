"""What ``edoc sign`` is asked, and what became of each file: plain values (console.md 4.1)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from transport.desk.secrets import Pins
from transport.present.errors import CommandError, Fault

if TYPE_CHECKING:
    from signer.report import Reason

ROLES = ("person", "agency")
FORMATS = ("auto", "pades", "xades", "cades", "asic")
FORMS = ("auto", "none", "signature", "seal", "t1", "t2", "number", "date", "received")
LEVELS = ("b", "t", "lt", "lta")
PROFILES = ("interop", "strict")
COPIES = ("sy", "sl", "trs")
CAPACITIES = ("TM.", "Q.", "KT.", "TL.", "TUQ.")
LABEL_MAX = 200
"""Longest capacity or position, in characters."""


@dataclass(frozen=True, slots=True)
class Look:
    """What is drawn and where; ``box`` in mm from the upper left corner of the page, ``page`` from 1, -1 the last."""

    form: str = "auto"
    text: str | None = None
    image: str | None = None
    page: int | None = None
    box: tuple[float, float, float, float] | None = None
    field: str | None = None


@dataclass(frozen=True, slots=True)
class Act:
    """Whose act it is, and on what ground: as whom, in which capacity, on which copy or appendix (R26, R28, R47)."""

    role: str = "person"
    capacity: str | None = None
    position: str | None = None
    attachment_of: str | None = None
    copy: str | None = None
    document_type: str | None = None
    copy_of: str | None = None  # the document copied, as the node names it
    area: str | None = None


@dataclass(frozen=True, slots=True)
class KeyChoice:
    """Which key, and where its PIN comes from; ``unknown_status_basis`` lets it sign with unknown status (R27)."""

    name: str | None = None
    certs: tuple[str, ...] = ()
    pins: Pins = field(default_factory=Pins)
    module: str | None = None
    unknown_status_basis: str | None = None


@dataclass(frozen=True, slots=True)
class Delivery:
    """Where results go and how a batch is run; ``jobs`` is the number of processes, ``None`` as many as fit."""

    output: str | None = None
    out_dir: str | None = None
    force: bool = False
    dry_run: bool = False
    fail_fast: bool = False
    resume: bool = False
    jobs: int | None = None
    manifest: str | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks."""

    files: tuple[str, ...]
    at: datetime
    act: Act = field(default_factory=Act)
    key: KeyChoice = field(default_factory=KeyChoice)
    look: Look = field(default_factory=Look)
    delivery: Delivery = field(default_factory=Delivery)
    trust: tuple[str, ...] = ()
    revocation: tuple[str, ...] = ()
    format: str = "auto"
    level: str | None = None
    profile: str | None = None
    tsa: tuple[str, ...] = ()
    reason: str | None = None
    elsewhere: bool = False  # the key is not here: only its certificate is needed

    @property
    def role(self) -> str:
        """``person`` or ``agency``."""
        return self.act.role


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file. ``notes`` are remarks in words, ``prepared`` what a two-step signing hands out."""

    path: str
    status: str  # signed, refused, failed, skipped
    fault: Fault | None = None
    output: str | None = None
    sha256_in: str | None = None
    sha256_out: str | None = None
    format: str | None = None
    level: str | None = None
    visible: str | None = None
    page: int | None = None
    signed_at: datetime | None = None
    stamp: tuple[datetime | None, str | None] | None = None
    warnings: tuple[Reason, ...] = ()
    notes: tuple[str, ...] = ()
    prepared: ToSign | None = None


@dataclass(frozen=True, slots=True)
class ToSign:
    """What somebody else signs: the digest, hexadecimal, by a scheme; the SHA-256 of the file prepared, its field."""

    digest: str
    scheme: str
    sha256: str
    field: str


@dataclass(frozen=True, slots=True)
class Made:
    """A signed file before it is written."""

    data: bytes = field(repr=False)
    format: str = ""
    level: str = ""
    page: int | None = None
    warnings: tuple[Reason, ...] = ()


def checked_act(act: Act) -> Act:
    """Return the act if its parts go together.

    Raises:
        CommandError: a copy or a separate appendix is the agency's, and not both; a capacity is one of the five.
    """
    asked = [name for name, on in (("--attachment", act.attachment_of), ("--copy", act.copy)) if on]
    if len(asked) > 1:
        raise CommandError("EDOC-USE-016", first=asked[0], second=asked[1])
    if asked and act.role != "agency":
        raise CommandError("EDOC-USE-004", name="--as", value=act.role, expected=f"agency ({asked[0]})")
    capacity = None if act.capacity is None else _capacity(act.capacity)
    for name, value in (
        ("--capacity", capacity),
        ("--position", act.position),
        ("--type", act.document_type),
        ("--area", act.area),
    ):
        if value is not None and (not value.strip() or len(value) > LABEL_MAX or not value.isprintable()):
            raise CommandError("EDOC-USE-004", name=name, value=value[:40], expected=f"1…{LABEL_MAX}")
    return replace(act, capacity=capacity)


def _capacity(text: str) -> str:
    """Return the capacity a text begins with, in its spelling: ``kt. giám đốc`` is ``KT. giám đốc`` (R26)."""
    word, _, rest = text.strip().partition(" ")
    for known in CAPACITIES:
        if word.upper().rstrip(".") == known.rstrip("."):
            return f"{known} {rest.strip()}".strip()
    raise CommandError("EDOC-USE-004", name="--capacity", value=text[:40], expected=" ".join(CAPACITIES))
