"""``edoc ledger head|verify|prove|receipts``: the log of this node, read without its key (ledger.md 11)."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from transport.desk import trusting
from transport.desk.files import read_input, reading_lines
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.desk.nodes import Pins
    from transport.ledger.proof import LogProof
    from transport.node.comparing import Compared, Written
    from transport.node.reopening import Reopened
    from transport.settings import Settings
    from transport.store.log import Head, Log, VerifyResult
    from transport.store.statements import Connection
    from transport.store.store import Store

T = TypeVar("T")

_DIGEST = re.compile(r"[0-9a-f]{64}")
_INDEX = re.compile(r"[0-9]{1,18}", re.ASCII)


def settings_of(console: Console) -> Settings:
    """Return the settings of the node, which must exist.

    Raises:
        CommandError: there is no node in the home; exit 6 names ``edoc init``.
        SettingsError: the settings are wrong.
    """
    from transport.settings import load

    home = trusting.home_of(console)
    settings = load(home=home, config=console.config, environ=console.environ, overrides={})
    if settings.database_url is None and trusting.node_home(console) is None:
        raise CommandError("EDOC-USE-025", home=home)
    return settings


def reading(console: Console, question: Callable[[Store, Log, Connection], T]) -> T:
    """Ask the node's store and log a question, read-only.

    Raises:
        SettingsError, StoreError, LedgerError: there is no such node, or it cannot answer.
    """
    from transport.store.log import Log
    from transport.store.store import Store

    with Store.open(settings_of(console), read_only=True) as store:
        log = Log()
        return store.read(lambda connection: question(store, log, connection))


def head(console: Console) -> Head:
    """Return the newest signed state of the open log."""
    return reading(console, lambda _, log, connection: log.head(connection))


@dataclass(frozen=True, slots=True)
class Wanted:
    """What ``ledger verify`` recomputes: a range of indices, receipts too, a checkpoint that others hold."""

    first: int = 0
    last: int | None = None
    receipts: bool = False
    against: str | None = None


def verify(console: Console, wanted: Wanted) -> VerifyResult:
    """Recompute the log and say what does not hold."""
    held = read_input(wanted.against, console) if wanted.against else None

    from transport.store.behind import bytes_to_check

    def question(store: Store, log: Log, connection: Connection) -> VerifyResult:
        receipts = partial(bytes_to_check, store) if wanted.receipts else None
        return log.verify(connection, first=wanted.first, last=wanted.last, against=held, receipts=receipts)

    return reading(console, question)


def prove(console: Console, ref: str) -> tuple[str, LogProof, datetime]:
    """Return the proof file of an index, a leaf hash, a receipt's digest, or a receipt's file; and its head's time.

    Raises:
        LedgerError: it is not in the log.
    """
    from transport.ledger.proof import parse

    digest = ref if _DIGEST.fullmatch(ref) else _digest_of_file(ref, console)

    def question(_: Store, log: Log, connection: Connection) -> tuple[str, datetime]:
        at = log.head(connection).at
        if digest is None:
            return log.proof_for_index(connection, int(ref)), at
        if log.find(connection, leaf=digest):
            return log.proof_for_leaf(connection, digest), at
        return log.proof_for_receipt(connection, digest), at

    text, at = reading(console, question)
    return text, parse(text), at


def _digest_of_file(ref: str, console: Console) -> str | None:
    """Return the SHA-256 of a file named, ``None`` for an index."""
    if _INDEX.fullmatch(ref) and not Path(ref).exists():
        return None
    return hashlib.sha256(read_input(ref, console)).hexdigest()


def open_after_loss(console: Console, pins: Pins, decision: str, *, now: datetime) -> Reopened:
    """Go on with a new log after a frozen one, by a decision that is kept (ledger.md 6).

    Raises:
        LedgerError: the log is not frozen.
        CommandError: the decision cannot be read.
    """
    from transport.desk import nodes
    from transport.node import reopening

    data = read_input(decision, console)
    with nodes.working(console, pins) as node:
        return reopening.after_loss(node.office, data, person=nodes.login(), now=now)


def receipts_for(console: Console, partner: str, target: Path, *, now: datetime) -> tuple[Written, str]:
    """Write the receipts that a partner and we hold of each other to a file; return also the file's SHA-256.

    Raises:
        UnknownAgency: the directory has no such partner.
        CommandError: the file cannot be written.
    """
    from transport.desk.files import write_from
    from transport.node import comparing
    from transport.store.store import Store

    settings = settings_of(console)
    digest = hashlib.sha256()
    with Store.open(settings, read_only=True) as store, tempfile.TemporaryFile() as spool:

        def out(line: bytes) -> None:
            digest.update(line)
            spool.write(line)

        written = comparing.write(store, settings.agency_code or "", partner, out, now=now)
        spool.seek(0)
        write_from(target, spool, digest=digest.hexdigest(), force=True)
    return written, digest.hexdigest()


def compare(console: Console, names: Sequence[str], *, now: datetime) -> tuple[Compared, ...]:
    """Hold the lists of receipts that partners wrote against this node's rows (F16); nothing is changed.

    Raises:
        LedgerError: a file is no such list, or is for another agency.
        CommandError: a file cannot be read.
    """
    from transport.node import comparing
    from transport.store.store import Store

    settings = settings_of(console)
    found = []
    with Store.open(settings, read_only=True) as store:
        for name in names:
            with reading_lines(name) as source:
                found.append(comparing.compare(store, settings.agency_code or "", source, path=name, now=now))
    return tuple(found)
