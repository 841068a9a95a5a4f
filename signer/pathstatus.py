"""Revocation of the certificates of a path by the answers at hand (signing.md 7.1, RFC 5280 6.3).

What the caller gave is looked at whole; of what stands beside a signature the newest answers about a certificate, since
files from strangers carry lists made to be checked without end. Nothing is fetched: what is missing is a ``Need``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from signer import crls, ocsps, status, x509ext
from signer.algorithms import PolicyName
from signer.findings import Findings
from signer.report import Code, Need
from signer.trust import Purpose
from signer.x509read import Certificate

_HONEST_ENDS = {"affiliationChanged", "superseded", "cessationOfOperation"}
"""Reasons for which an authority is revoked without its key being in doubt; what it stamped before stays proved."""

VOUCHED_MAX = 8
"""Signers of lists, beside the issuers themselves, whose own paths are judged for one path."""


class StatusCheck:
    """Asks for the status of the certificates of one path; ``vouch`` judges the path of who else signed a list."""

    def __init__(self, findings: Findings, vouch: Callable[[bytes], bool]) -> None:
        self.findings, self.question, self.parsed = findings, findings.question, findings.parsed
        self._vouch = vouch
        self._vouched: dict[bytes, bool] = {}

    def check(self, position: int) -> status.Answer | None:
        """Revocation of one certificate by the answers at hand."""
        context, certificate = self.question.context, self.parsed[position]
        if context.policy is PolicyName.INTEGRITY_ONLY:
            self.findings.note(position, None, "not-checked")
            return None
        sources = self._sources(certificate, self.parsed[position + 1])
        key = self.findings.issuer_key(position)
        known = status.answers(certificate, self.parsed[position + 1], key=key, sources=sources)
        revoked = [one for one in known if one.revoked_at is not None and not _is_lifted(one, known)]
        if revoked:
            self._revoked(position, min(revoked, key=lambda one: one.revoked_at or one.this_update))
            return None
        telling = [one for one in known if self._tells(one, certificate)]
        good = _enough([one for one in telling if not one.late])
        if good:
            for answer in good:
                self.findings.note(position, answer, "good")
            return good[0]
        if status.needs_no_status(certificate):  # nobody is asked; what is told all the same was heard above
            self.findings.note(position, None, "not-checked")
            return None
        self._no_answer(position, sources, late=bool(_enough(telling)))
        return None

    def _sources(self, certificate: Certificate, issuer: Certificate) -> status.Sources:
        trust, embedded = self.question.context.trust, self.question.embedded
        lists = crls.newest_lists(embedded.crls, certificate)
        answers = ocsps.newest_answers(embedded.ocsps, certificate, issuer)
        return status.Sources(
            crls=tuple(dict.fromkeys((*trust.crls, *lists))),
            ocsps=tuple(dict.fromkeys((*trust.ocsps, *answers))),
            at=self.question.context.at,
            anchor=self.findings.path[-1],
            pool=self.question.pool,
            vouches=self._vouches,
        )

    def _is_spoken_of(self, certificate: Certificate, issuer: Certificate, sources: status.Sources) -> bool:
        """Ask with every answer at hand: what is not looked at shows all the same that answers are published."""
        embedded = self.question.embedded
        everything = replace(sources, crls=(*sources.crls, *embedded.crls), ocsps=(*sources.ocsps, *embedded.ocsps))
        return status.is_spoken_of(certificate, issuer, everything)

    def _vouches(self, signer: bytes) -> bool:
        """Tell whether another certificate of a list's issuer has a good path to the same anchor (6.3.3 f)."""
        if signer == self.findings.anchor:
            return True
        if signer in self.question.vouching and signer == self.findings.path[0]:
            return True  # whose own status only its own list tells; it would have to be revoked there
        if signer not in self._vouched:
            if len(self._vouched) >= VOUCHED_MAX:
                return False
            self._vouched[signer] = self._vouch(signer)
        return self._vouched[signer]

    def _tells(self, answer: status.Answer, certificate: Certificate) -> bool:
        """Tell whether an answer may stand for *good* at the moment: it knows the certificate, it is accepted.

        A list made after the certificate's end may have forgotten its revocation: no help for a moment within it. That
        a certificate **is** revoked is believed with any algorithm that could be computed.
        """
        grace = timedelta() if self.question.is_strict else status.GRACE
        if answer.unknown or not answer.serves(self.question.time, grace=grace):
            return False
        fresh = self.question.time > certificate.not_after or answer.still_tells(certificate.not_after)
        return fresh and not any(self.question.verdict_on(one, "status").code for one in answer.algorithms)

    def _revoked(self, position: int, answer: status.Answer) -> None:
        self.findings.note(position, answer, "revoked")
        assert answer.revoked_at is not None
        proved, backdatable = self.question.proved, self._is_backdatable(answer)
        if proved and self.question.time < answer.revoked_at and not backdatable:
            return
        code = Code.REVOKED if proved and not backdatable else Code.REVOKED_NO_POE
        if position > 0:
            code = Code.REVOKED_CA_NO_POE
        subject = self.parsed[position].subject.common_name
        self.findings.object(code, time=answer.revoked_at.isoformat(), subject=subject)

    def _is_backdatable(self, answer: status.Answer) -> bool:
        """A token's time is its authority's own word: with that key stolen it proves nothing (RFC 3161, 4).

        Unless something else proves that the token existed before.
        """
        if self.question.purpose is not Purpose.TSA or answer.reason in _HONEST_ENDS:
            return False
        known = self.question.existing_by
        return known is None or answer.revoked_at is None or known >= answer.revoked_at

    def _no_answer(self, position: int, sources: status.Sources, *, late: bool) -> None:
        self.findings.note(position, None, "unknown")
        certificate, issuer = self.parsed[position], self.parsed[position + 1]
        ocsp_urls, crl_urls = status.sources(certificate)
        subject = certificate.subject.common_name
        if ocsp_urls or crl_urls:
            self.findings.needs.append(Need(certificate.encoded, issuer.encoded, ocsp_urls, crl_urls))
        if late:
            self.findings.object(Code.REVOCATION_OUT_OF_BOUNDS_NO_POE, subject=subject)
        named = ocsp_urls or crl_urls or x509ext.points_of(certificate)
        if named or self.question.is_strict or self._is_spoken_of(certificate, issuer, sources):
            self.findings.object(Code.TRY_LATER, subject=subject, url=(ocsp_urls + crl_urls + ("-",))[0])
        else:
            self.findings.warn(Code.REVOCATION_NOT_AVAILABLE, subject=subject)


def _is_lifted(answer: status.Answer, known: Sequence[status.Answer]) -> bool:
    """A hold is over once a later answer no longer knows of it; every other revocation stays."""
    if answer.reason != "certificateHold":
        return False
    later = [one for one in known if one.this_update > answer.this_update and one.reasons >= answer.reasons]
    return any(one.revoked_at is None and not one.unknown and not one.late for one in later)


def _enough(telling: Sequence[status.Answer]) -> list[status.Answer]:
    """Return the answers that together speak of all reasons, the fewest from the beginning; none if they do not."""
    for answer in telling:
        if answer.reasons >= status.ALL_REASONS:
            return [answer]
    used: list[status.Answer] = []
    spoken: frozenset[int] = frozenset()
    for answer in telling:
        if not answer.reasons <= spoken:
            used.append(answer)
            spoken |= answer.reasons
    return used if spoken >= status.ALL_REASONS else []
