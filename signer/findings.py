"""What is found about one path: reasons, warnings, status, needs, evidence, until it is told (signing.md 7.1)."""

from __future__ import annotations

import hashlib

from signer import pathrules, status
from signer.question import PathResult, Question
from signer.report import ChainLink, Code, Evidence, Need, Reason, Revocation, rank
from signer.x509read import Certificate, read, serial_hex


class Findings:
    """Collects what holds against one path, leaf first and anchor last; without ``anchored`` it leads to none."""

    def __init__(self, question: Question, path: tuple[bytes, ...], *, anchored: bool = True) -> None:
        self.question, self.path = question, path
        self.parsed = tuple(read(der) for der in path)
        self.anchor = path[-1] if anchored else None
        self.policies: frozenset[str] = frozenset()
        self.reasons: list[Reason] = []
        self.warnings: list[Reason] = []
        self.revocation: list[Revocation] = []
        self.needs: list[Need] = []
        self.evidence = [Evidence("certificate", der, self.source(der)) for der in path]

    def object(self, code: Code, **facts: str) -> None:
        """Note a reason against the path."""
        self.reasons.append(Reason(code, facts))

    def warn(self, code: Code, **facts: str) -> None:
        """Note something without effect on the answer."""
        self.warnings.append(Reason(code, facts))

    def issuer_key(self, position: int) -> bytes:
        """Return the key of the issuer of a certificate, with the parameters it inherits."""
        return pathrules.key_below(self.parsed[position + 1], self.parsed[position + 2 :])

    def note(self, position: int, answer: status.Answer | None, word: str) -> None:
        """Note the status of one certificate, and what told it."""
        digest = hashlib.sha256(self.path[position]).hexdigest()
        if answer is None:
            self.revocation.append(Revocation(digest, word, "none", None))
            return
        source = self._answer_source(answer.data)
        self.revocation.append(
            Revocation(
                digest,
                word,
                answer.method,
                source,
                answer.this_update,
                answer.next_update,
                answer.revoked_at,
                answer.reason if answer.revoked_at else None,
            )
        )
        self.evidence.append(Evidence(answer.method, answer.data, source))
        self.evidence += [Evidence("crl", data, self._answer_source(data)) for data in answer.more]
        if answer.signer is not None:
            self.evidence.append(Evidence("certificate", answer.signer, self.source(answer.signer)))

    def _answer_source(self, data: bytes) -> str:
        embedded = self.question.embedded
        if data in embedded.crls or data in embedded.ocsps:
            return "embedded"
        return self.question.context.trust.origin_of(data)

    def source(self, der: bytes) -> str:
        """Say where a certificate came from."""
        anchors = {anchor.certificate for anchor in self.question.context.trust.anchors}
        if der in anchors:
            return "store"
        return "given" if der in self.question.context.trust.intermediates else "signature"

    def link(self, certificate: Certificate) -> ChainLink:
        """Return the line of the report for one certificate."""
        return ChainLink(
            subject=certificate.subject.text,
            issuer=certificate.issuer.text,
            serial=serial_hex(certificate.serial_number),
            not_before=certificate.not_before,
            not_after=certificate.not_after,
            sha256=certificate.sha256,
            source=self.source(certificate.encoded),
            anchor=certificate.encoded == self.anchor,
        )

    def result(self) -> PathResult:
        """Return what was collected, the gravest objection first."""
        codes = sorted({reason.code for reason in self.reasons}, key=rank)
        reasons = sorted(self.reasons, key=lambda reason: rank(reason.code))
        return PathResult(
            tuple(codes),
            tuple(self.link(certificate) for certificate in self.parsed),
            tuple(self.revocation),
            tuple(reasons),
            tuple(self.warnings),
            tuple(self.needs),
            tuple(dict.fromkeys(self.evidence)),
            self.policies,
        )
