"""What lifting to a higher level has in common for PDF and CMS: stamps, and what is missing (signing.md 3.1).

A level that is not reached is refused, with the certificate whose status is missing, the address it could be had
from, and the ``Need`` values for who can fetch it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from signer.algorithms import PolicyName
from signer.errors import LevelNotReached, SigningRefused
from signer.report import Code, Indication, Integrity, Need, SignatureReport
from signer.timestamp import Timestamper, claimed_time, obtain
from signer.trust import Context
from signer.x509read import read

LEVELS = ("b", "t", "lt", "lta")

DELAY = timedelta(hours=1)
"""How much later than the moment given the stamps of one file may be; beyond it their clock is wrong, or ours."""

NO_HINDRANCE = frozenset(
    {Code.SIGNATURE_POLICY_NOT_AVAILABLE, Code.POLICY_PROCESSING_ERROR, Code.SIG_CONSTRAINTS_FAILURE}
)
"""What may be said against a signature whose paths are known all the same."""

_TELLING = frozenset(
    {Code.NO_CERTIFICATE_CHAIN_FOUND, Code.REVOCATION_NOT_AVAILABLE, Code.TIMESTAMP_UNTRUSTED, Code.TIMESTAMP_INVALID}
    | {Code.REVOKED, Code.REVOKED_NO_POE, Code.EXPIRED, Code.OUT_OF_BOUNDS_NO_POE, Code.CHAIN_CONSTRAINTS_FAILURE}
)


@dataclass(frozen=True, slots=True)
class Extended:
    """A file with its signatures lifted: levels per signature, before and after, in the order of the file."""

    data: bytes = field(repr=False)
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stamping:
    """The moment, trust and status answers, and who gives stamps; ``family`` is ``PAdES`` or ``CAdES``.

    Authorities may take minutes: a stamp that was just had says that it is later by now than when all began.
    """

    given: Context
    timestamper: Timestamper | None
    family: str
    had: list[datetime] = field(default_factory=list)

    @property
    def context(self) -> Context:
        """What is judged with: as given, at the time of the last stamp if that is later."""
        latest = max((time for time in self.had if time - self.given.at <= DELAY), default=self.given.at)
        return replace(self.given, at=latest) if latest > self.given.at else self.given

    def name(self, level: str) -> str:
        """Return a level as reports name it."""
        return f"{self.family}-B-{level.upper()}"

    def stamp(self, digest: bytes, level: str) -> bytes:
        """Return a token over a SHA-256, of an authority that is trusted.

        Raises:
            LevelNotReached: there is nobody to ask.
            TimestampError: no usable answer.
        """
        if self.timestamper is None:
            raise LevelNotReached("EDOC-SIG-003", "a time-stamping authority is needed", level=self.name(level))
        token = obtain(self.timestamper, digest, context=self.context)
        time = claimed_time(token)
        if time is not None:
            self.had.append(time)
        return token


def stamping(to: str, context: Context, timestamper: Timestamper | None, family: str) -> Stamping:
    """Return what extending needs; trust is judged even where the caller asks for integrity alone.

    Raises:
        ValueError: no such level.
    """
    if to not in LEVELS[1:]:
        raise ValueError("the level is t, lt or lta")
    if context.policy is PolicyName.INTEGRITY_ONLY:
        context = replace(context, policy=PolicyName.INTEROP)
    return Stamping(context, timestamper, family)


def refuse_broken(report: SignatureReport) -> None:
    """Refuse to extend where a signature does not hold.

    Raises:
        SigningRefused: it is broken or cannot be checked.
    """
    if report.integrity is Integrity.INTACT:
        return
    code = report.reasons[0].code.value if report.reasons else report.integrity.value
    raise SigningRefused("EDOC-SIG-021", "a signature does not hold", signature=report.id, reason=code)


def is_good(report: SignatureReport) -> bool:
    """Say whether the paths of signer and stamps are known and good, so that it is known what they need."""
    stamps_pass = all(stamp.indication is Indication.PASSED for stamp in report.timestamps)
    return stamps_pass and (report.indication is Indication.PASSED or report.sub_indication in NO_HINDRANCE)


def not_reached(report: SignatureReport, needs: Sequence[Need], level: str) -> LevelNotReached:
    """Return the refusal: the status answer that was not at hand, or why a path is not good."""
    what, url = _missing(needs, report)
    facts = {"level": level, "signature": report.id, "what": what, "url": url, "needs": tuple(needs)}
    return LevelNotReached("EDOC-SIG-020", f"level {level} not reached: {what}", **facts)


def _missing(needs: Sequence[Need], report: SignatureReport) -> tuple[str, str]:
    """Return what is missing, with the certificate it is about, and the addresses it could be had from."""
    if needs:
        urls = dict.fromkeys((*needs[0].ocsp_urls, *needs[0].crl_urls))
        return _subject(needs[0].certificate), ", ".join(urls) or "-"
    told = [reason.code for reason in (*report.reasons, *report.warnings) if reason.code in _TELLING]
    if told:
        return f"{told[0].value} ({report.signer.name or '-'})", "-"
    for stamp in report.timestamps:
        if stamp.sub_indication is not None:
            return f"{stamp.sub_indication.value} ({stamp.tsa or '-'})", "-"
    return f"{Code.TRY_LATER.value} ({report.signer.name or '-'})", "-"


def _subject(certificate: bytes) -> str:
    try:
        return read(certificate).subject.common_name
    except ValueError:
        return "-"
