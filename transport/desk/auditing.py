"""``edoc audit FILE``: no network, settings or database; trust comes from the command line alone (ledger.md 10.4)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from edoc import __version__
from transport.desk import trusting
from transport.desk.files import read_input
from transport.errors import TransportError
from transport.present.errors import CommandError, Fault, fault

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from signer.trust import TrustStore
    from transport.desk.console import Console
    from transport.evidence import AuditResult


@dataclass(frozen=True, slots=True)
class Request:
    """What the command line asks."""

    files: tuple[str, ...]
    at: datetime
    checked_at: datetime
    trust: tuple[str, ...] = ()
    only: tuple[str, ...] = ()
    directory: str | None = None
    policy_file: str | None = None


@dataclass(frozen=True, slots=True)
class Audited:
    """One file: its audit, or why it could not be read."""

    path: str
    result: AuditResult | None
    fault: Fault | None = None


def audit(console: Console, request: Request) -> list[Audited]:
    """Audit every file with the caller's trust.

    Raises:
        CommandError, TrustError, LedgerError: trust, directory or steps cannot be used; then nothing is audited.
    """
    from transport.evidence.result import check_only

    only = check_only(request.only)
    store = given_trust(console, request.trust)
    directory = _directory(console, request.directory)
    policy = read_input(request.policy_file, console) if request.policy_file else None
    return [_one(console, request, name, (store, directory, policy, only)) for name in request.files]


def given_trust(console: Console, paths: Sequence[str]) -> TrustStore:
    """Return the anchors given, for signers and time stamps; without any nothing is trusted."""
    from signer.trust import Purpose, TrustStore, anchors_from, load_status

    def load(data: bytes) -> TrustStore:
        return anchors_from(data, Purpose.SIGNERS, Purpose.TSA)

    found = TrustStore()
    for store in trusting.load_each(paths, trusting.PATTERNS, load, console):
        found = found.merged(store)
    for path in paths:
        for name in trusting.files_in(path, ("*.crl", "*.ors", "*.ocsp")):
            found = found.merged(load_status(read_input(name, console)))
    return found


def _directory(console: Console, name: str | None) -> Directory | None:
    if name is None:
        return None
    from transport.evidence.directory import read_directory

    return read_directory(read_input(name, console))


Given = tuple["TrustStore", "Directory | None", "bytes | None", tuple[str, ...]]


def _one(console: Console, request: Request, name: str, given: Given) -> Audited:
    from transport import evidence

    store, directory, policy, only = given
    try:
        result = evidence.audit(
            read_input(name, console),
            context=trusting.context_of(store, at=request.at, policy="interop"),
            only=only,
            directory=directory,
            policy_file=policy,
            software=f"edoc {__version__}",
            path=name,
            checked_at=request.checked_at,
        )
    except (CommandError, TransportError) as error:
        return Audited(name, None, fault(error, console.lang, path=name))
    return Audited(name, result)
