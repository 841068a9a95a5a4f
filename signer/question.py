"""What is asked about a certificate's path, and what is answered (signing.md 7.1).

A ``Question`` holds purpose, moment, and all that may be used; a ``PathResult`` what was found, the gravest objection
first. Whether a certificate serves a purpose at all (K4; a critical ``timeStamping`` alone for time stamps) stands here
too, since it is asked of the certificate alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from signer import x509ext
from signer.algorithms import AlgorithmVerdict, PolicyName, judge
from signer.paths import Found, find_paths
from signer.report import Algorithm, ChainLink, Code, Evidence, Need, Reason, Revocation
from signer.trust import Context, Purpose, TrustStore
from signer.x509read import Certificate

TIME_STAMPING, ANY_USAGE = "1.3.6.1.5.5.7.3.8", "2.5.29.37.0"
_SIGNER_PURPOSES = {
    "1.3.6.1.5.5.7.3.36",  # id-kp-documentSigning, RFC 9336
    "1.3.6.1.4.1.311.10.3.12",  # document signing as Microsoft names it
    "1.2.840.113583.1.1.5",  # authentic documents as Adobe names it
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.2",  # client authentication
    ANY_USAGE,
}


@dataclass(frozen=True, slots=True)
class PathResult:
    """What was found about a certificate's path; no sub-indication means that it is good."""

    sub_indications: tuple[Code, ...]
    chain: tuple[ChainLink, ...] = ()
    revocation: tuple[Revocation, ...] = ()
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    needs: tuple[Need, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    policies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a path: purpose, moment, whether that moment is proved, and all that may be used.

    ``purpose`` is ``None`` for who signs revocation lists. ``existing_by`` is when a time stamp is proved to have
    existed by something else than itself; ``vouching`` are the signers of lists whose own paths are being judged.
    """

    purpose: Purpose | None
    time: datetime
    proved: bool
    context: Context
    candidates: tuple[bytes, ...]
    embedded: TrustStore
    existing_by: datetime | None = None
    vouching: frozenset[bytes] = frozenset()

    @property
    def pool(self) -> tuple[bytes, ...]:
        """Certificates for building paths: the caller's, and those found beside the signature."""
        return (*self.context.trust.intermediates, *self.candidates)

    def paths_of(self, certificate: bytes, anchors: Sequence[bytes]) -> Found:
        """Find the paths of a certificate to some anchors."""
        return find_paths(certificate, anchors, self.candidates, given=self.context.trust.intermediates)

    @property
    def is_strict(self) -> bool:
        """Whether the policy is *strict*."""
        return self.context.policy is PolicyName.STRICT

    def verdict_on(self, algorithm: Algorithm, use: str) -> AlgorithmVerdict:
        """Judge an algorithm for a use at the moment in question."""
        return judge(
            use=use,
            policy=self.context.policy,
            signature=algorithm.signature,
            digest=algorithm.digest,
            bits=algorithm.bits,
            at=self.time,
            table=self.context.algorithms,
        )


def purpose_fault(leaf: Certificate, purpose: Purpose | None, *, also: frozenset[str] = frozenset()) -> str | None:
    """Return the extension by which a certificate is not for a purpose; ``None`` if it is.

    ``also`` are extended usages that serve signers besides the usual ones.
    """
    if purpose is None:
        return None
    usage, purposes = x509ext.usage_of(leaf), x509ext.purposes_of(leaf)
    if usage is not None and not usage & {x509ext.DIGITAL_SIGNATURE, x509ext.CONTENT_COMMITMENT}:
        return "keyUsage"
    if purpose is Purpose.TSA:
        found = leaf.extensions.get(x509ext.EXTENDED_USAGE)
        alone = purposes == frozenset({TIME_STAMPING}) and found is not None and found.critical
        return None if alone else "extendedKeyUsage"
    return None if purposes is None or purposes & (_SIGNER_PURPOSES | also) else "extendedKeyUsage"
