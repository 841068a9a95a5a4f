"""Evidence records of a container (signing.md 6, R1; 7.2; EN 319 162-1, 4.3.3.4, 4.4.3.4): listed and left open."""

from __future__ import annotations

from signer.containers.cades import Entry
from signer.containers.reading import OWN, Container
from signer.judge import Facts
from signer.report import Code, Covers, Crypto, Integrity, Reason
from signer.trust import Context


def find(
    entries: tuple[Entry, ...], container: Container, context: Context
) -> tuple[tuple[Entry, ...], tuple[str, ...]]:
    """Add the evidence records of a container to its entries."""
    own = (name for name in container.members if name.startswith(OWN) and "/" not in name.removeprefix(OWN))
    names = sorted(
        n for n in own if n.lower().endswith(".ers") or ("evidencerecord" in n.lower() and "manifest" not in n.lower())
    )
    return (*entries, *(Entry(name, _open(name)) for name in names)), ()


def _open(name: str) -> Facts:
    facts = {"algorithm": "EvidenceRecord"}
    why = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts))
    return Facts(name, Crypto.UNKNOWN, Integrity.UNKNOWN, Covers.PARTIAL, "ERS", None, structural=why, kind="timestamp")
