"""Keys of ledgers that are at hand when a proof is judged: from statements, the node's own table, or given bare.

A key from a statement is as good as the statement's signature and serves the time it was announced for. A bare key
(``--public-key``) settles integrity only: nobody says whose it is (console.md 4.2).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from signer.errors import NotVerified, SignerError
from signer.report import Report
from signer.trust import Context
from transport.ledger.keys import ED25519, NoteInvalid, VerifierKey, read_vkey
from transport.ledger.statement import LogEntry, StatementInvalid, VerifiedStatement, WitnessEntry, verify

MARK = b"urn:edoc:ledger-keys:1"


@dataclass(frozen=True, slots=True)
class KeyInHand:
    """One key, who announced it, for which time, since when it no longer counts; ``report`` judges the statement."""

    key: VerifierKey
    agency: str | None = None
    not_before: datetime | None = None
    not_after: datetime | None = None
    withdrawn: datetime | None = None
    report: Report | None = field(default=None, repr=False)

    @property
    def certified(self) -> bool:
        """Somebody whom the caller trusts says whose key it is."""
        return self.report is not None


def bare_keys(data: bytes) -> tuple[VerifierKey, ...]:
    """Return the keys of a text file of ``name+id+base64`` lines; none if it is no such file."""
    try:
        lines = [line.strip() for line in data[:65536].decode("ascii").splitlines()]
        return tuple(read_vkey(line) for line in lines if line and not line.startswith("#"))
    except (UnicodeDecodeError, NoteInvalid):
        return ()


def of_statements(files: Iterable[bytes], *, context: Context) -> tuple[KeyInHand, ...]:
    """Return the keys of every key statement that is valid under the caller's trust; later serials come first."""
    found = []
    for data in files:
        if MARK not in data[:4096]:
            continue
        try:
            found.append(verify(data, context=context))
        except (StatementInvalid, NotVerified, SignerError):
            continue
    found.sort(key=lambda one: (one.statement.agency_code, -one.statement.serial))
    return tuple(key for one in found for key in _announced(one))


def _announced(verified: VerifiedStatement) -> Iterator[KeyInHand]:
    stated = verified.statement
    gone = {item.vkey: item.at for item in stated.withdrawn}
    entries: tuple[LogEntry | WitnessEntry, ...] = (*stated.logs, *stated.witnesses)
    for entry in entries:
        span = (entry.not_before, entry.not_after)
        yield KeyInHand(entry.key, stated.agency_name, *span, gone.get(entry.vkey), verified.report)
    for vkey, at in gone.items():
        yield KeyInHand(read_vkey(vkey), stated.agency_name, None, None, at, verified.report)


def given(vkeys: Iterable[VerifierKey]) -> tuple[KeyInHand, ...]:
    """Return bare keys as keys at hand: they say nothing of anybody."""
    return tuple(KeyInHand(key) for key in vkeys)


def raw_keys(ders: Sequence[bytes], name: str) -> tuple[KeyInHand, ...]:
    """Return Ed25519 keys (SubjectPublicKeyInfo, DER) under the name of the log they are tried for."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    found = []
    for der in ders:
        try:
            key = load_der_public_key(der)
        except (ValueError, UnsupportedAlgorithm):
            continue
        if isinstance(key, Ed25519PublicKey):
            found.append(KeyInHand(VerifierKey(name, ED25519, key.public_bytes_raw())))
    return tuple(found)
