"""Is this certificate good, for this purpose, at this time? (signing.md 7.1, RFC 5280 chapter 6)

The only importer of pyhanko-certvalidator, which checks the paths ``signer.paths`` finds: always with explicit roots,
never fetching, and driven without an event loop. Dates, key purpose, algorithms and revocation are judged here, because
the report must tell them apart. Paths are tried in a fixed order; the first without objection wins, else the one whose
first objection is the least grave.
"""

from __future__ import annotations

import hashlib
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import AcceptAllAlgorithms
from pyhanko_certvalidator.validate import async_validate_path

from signer import asn1, certificates, status
from signer.algorithms import AlgorithmVerdict, PolicyName, judge
from signer.cms import algorithm_of
from signer.paths import find_paths
from signer.report import Algorithm, ChainLink, Code, Evidence, Need, Reason, Revocation, rank
from signer.trust import Context, Purpose, TrustStore

ANY_MOMENT, DATES_APART = datetime(2050, 1, 1, tzinfo=UTC), timedelta(days=365 * 200)
"""Moment and tolerance given to the path engine: it leaves dates to us and checks everything else in any case."""

EMBEDDED_MAX = 200
"""Status answers of a kind found beside a signature that are looked at; the others do not exist for the judgement."""

T = TypeVar("T")

_SIGNER_PURPOSES = {
    ObjectIdentifier("1.3.6.1.5.5.7.3.36"),  # id-kp-documentSigning, RFC 9336
    ObjectIdentifier("1.3.6.1.4.1.311.10.3.12"),  # document signing as Microsoft names it
    ExtendedKeyUsageOID.EMAIL_PROTECTION,
    ExtendedKeyUsageOID.CLIENT_AUTH,
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,
}


_HONEST_ENDS = {"affiliationChanged", "superseded", "cessationOfOperation"}
"""Reasons for which an authority is revoked without its key being in doubt; what it stamped before stays proved."""


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


@dataclass(frozen=True, slots=True)
class Question:
    """One question about a path: purpose, moment, whether that moment is proved, and all that may be used."""

    purpose: Purpose
    time: datetime
    proved: bool
    context: Context
    candidates: tuple[bytes, ...]
    embedded: TrustStore


def judge_path(
    certificate: bytes,
    *,
    purpose: Purpose,
    time: datetime,
    proved: bool,
    context: Context,
    candidates: Sequence[bytes] = (),
    embedded: TrustStore | None = None,
) -> PathResult:
    """Judge a certificate (DER) for a purpose at ``time``, the best-signature-time.

    ``proved`` says whether that time comes from a proof of existence. ``candidates`` are certificates found beside the
    signature, ``embedded`` the status answers found there; neither is trusted.
    """
    found_beside = embedded or TrustStore()
    answers = TrustStore(crls=found_beside.crls[:EMBEDDED_MAX], ocsps=found_beside.ocsps[:EMBEDDED_MAX])
    question = Question(purpose, time, proved, context, tuple(candidates), answers)
    try:
        leaf = certificates.complete(certificate)
    except ValueError:
        return _refused(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "certificate"})
    wanted = {Purpose.TSA} if purpose is Purpose.TSA else {Purpose.SIGNERS, Purpose.PUBLIC}
    anchors = context.trust.for_purpose(*wanted)
    if certificate in anchors:
        return _judge_one((certificate,), question)
    found = find_paths(certificate, anchors, (*question.candidates, *context.trust.intermediates))
    if not found.paths:
        return _no_path(leaf, question, exhausted=found.exhausted)
    results = []
    for path in found.paths:
        result = _judge_one(path, question)
        if not result.sub_indications:
            return result
        results.append(result)
    return max(results, key=_mildness)


def _no_path(leaf: x509.Certificate, question: Question, *, exhausted: bool) -> PathResult:
    facts: dict[str, str] = {}
    code = Code.NO_CERTIFICATE_CHAIN_FOUND
    if exhausted:
        code, facts = Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "limit"}
    der = leaf.public_bytes(serialization.Encoding.DER)
    collector = ChainBuilder(question, (der,), anchored=False)
    evidence = tuple(collector.evidence)
    return PathResult((code,), (collector.link(leaf, der),), reasons=(Reason(code, facts),), evidence=evidence)


def _mildness(result: PathResult) -> float:
    return rank(result.sub_indications[0])


def _refused(code: Code, facts: dict[str, str]) -> PathResult:
    return PathResult((code,), reasons=(Reason(code, facts),))


def _drive(work: Coroutine[object, None, T]) -> T:
    """Run a coroutine that never waits: without fetching the path engine does no input or output."""
    try:
        work.send(None)
    except StopIteration as done:
        value: T = done.value
        return value
    work.close()
    raise RuntimeError("the path engine waited for something")


def _judge_one(path: tuple[bytes, ...], question: Question) -> PathResult:
    """Judge one path, leaf first and anchor last."""
    parsed = [certificates.complete(der) for der in path]
    building = ChainBuilder(question, path)
    if len(path) > 1:
        building.check_structure()
    building.check_purpose(parsed[0])
    for position, certificate in enumerate(parsed[:-1]):
        building.check_algorithms(certificate, parsed[position + 1])
    answers = [building.check_status(position, parsed) for position in range(len(parsed) - 1)]
    for position, certificate in enumerate(parsed[:-1]):
        building.check_dates(certificate, answers[position])
    if question.time > parsed[-1].not_valid_after_utc:
        building.warn(Code.ANCHOR_EXPIRED, date=_day(parsed[-1].not_valid_after_utc))
    links = tuple(building.link(certificate, der) for certificate, der in zip(parsed, path, strict=True))
    return building.result(links)


def _day(moment: datetime) -> str:
    return moment.isoformat()


class ChainBuilder:
    """Collects what holds against one path."""

    def __init__(self, question: Question, path: tuple[bytes, ...], *, anchored: bool = True) -> None:
        self.question, self.path = question, path
        self.anchor = path[-1] if anchored else None
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

    def check_structure(self) -> None:
        """Signatures, names, basic and name constraints, policies, critical extensions (RFC 5280 6.1)."""
        fault = _structural_fault(self.path)
        if fault:
            self.object(fault[0], detail=fault[1])

    def check_purpose(self, leaf: x509.Certificate) -> None:
        """K4 for signers; a critical ``timeStamping`` alone for time-stamping authorities."""
        fault = _purpose_fault(leaf, self.question.purpose)
        if fault:
            self.object(Code.CHAIN_CONSTRAINTS_FAILURE, detail=fault)

    def check_algorithms(self, certificate: x509.Certificate, issuer: x509.Certificate) -> None:
        """What a certificate below the anchor is signed with; the leaf's own key is judged with its signature."""
        verdict = self._verdict(algorithm_of(certificate, issuer.public_key()), "certificate")
        if verdict.code:
            self.object(verdict.code, algorithm=verdict.algorithm, date=_day(verdict.ended or self.question.time))

    def _verdict(self, algorithm: Algorithm, use: str) -> AlgorithmVerdict:
        return judge(
            use=use,
            policy=self.question.context.policy,
            signature=algorithm.signature,
            digest=algorithm.digest,
            bits=algorithm.bits,
            at=self.question.time,
            table=self.question.context.algorithms,
        )

    def check_status(self, position: int, parsed: Sequence[x509.Certificate]) -> status.Answer | None:
        """Revocation of one certificate by the answers at hand."""
        context, certificate = self.question.context, parsed[position]
        if context.policy is PolicyName.INTEGRITY_ONLY or status.needs_no_status(certificate):
            self._note(position, None, "not-checked")
            return None
        known = self._answers(certificate, parsed[position + 1])
        revoked = [a for a in known if a.revoked_at is not None]
        if revoked:
            self._revoked(position, min(revoked, key=lambda a: a.revoked_at or a.this_update), certificate)
            return None
        grace = timedelta() if context.policy is PolicyName.STRICT else status.GRACE
        for answer in known:
            if (
                not answer.unknown
                and answer.serves(self.question.time, grace=grace)
                and self._tells(answer, certificate)
            ):
                self._note(position, answer, "good")
                return answer
        self._no_answer(position, certificate)
        return None

    def _answers(self, certificate: x509.Certificate, issuer: x509.Certificate) -> list[status.Answer]:
        """Return the answers that were out at the moment of judgement."""
        trust, embedded = self.question.context.trust, self.question.embedded
        found = status.answers(
            certificate, issuer, crls=(*trust.crls, *embedded.crls), ocsps=(*trust.ocsps, *embedded.ocsps)
        )
        return [answer for answer in found if answer.this_update - status.SKEW <= self.question.context.at]

    def _tells(self, answer: status.Answer, certificate: x509.Certificate) -> bool:
        """Tell whether an answer may stand for *good*: it knows the certificate, and its algorithms are accepted.

        A list made after the certificate's end may have forgotten its revocation: no help for a moment within it. That
        a certificate **is** revoked is believed with any algorithm that could be computed.
        """
        not_after = certificate.not_valid_after_utc
        fresh = self.question.time > not_after or answer.still_tells(not_after)
        return fresh and not answer.unknown and not any(self._verdict(one, "status").code for one in answer.algorithms)

    def _revoked(self, position: int, answer: status.Answer, certificate: x509.Certificate) -> None:
        self._note(position, answer, "revoked")
        assert answer.revoked_at is not None
        proved, backdatable = self.question.proved, self._is_backdatable(answer)
        if proved and self.question.time < answer.revoked_at and not backdatable:
            return
        code = Code.REVOKED if proved and not backdatable else Code.REVOKED_NO_POE
        if position > 0:
            code = Code.REVOKED_CA_NO_POE
        self.object(code, time=answer.revoked_at.isoformat(), subject=common_name(certificate.subject))

    def _is_backdatable(self, answer: status.Answer) -> bool:
        """A token's time is its authority's own word: with that key stolen it proves nothing (RFC 3161, 4)."""
        return self.question.purpose is Purpose.TSA and answer.reason not in _HONEST_ENDS

    def _no_answer(self, position: int, certificate: x509.Certificate) -> None:
        self._note(position, None, "unknown")
        ocsp_urls, crl_urls = status.sources(certificate)
        subject = common_name(certificate.subject)
        if ocsp_urls or crl_urls:
            self.needs.append(Need(self.path[position], self.path[position + 1], ocsp_urls, crl_urls))
        if ocsp_urls or crl_urls or self.question.context.policy is PolicyName.STRICT:
            self.object(Code.TRY_LATER, subject=subject, url=(ocsp_urls + crl_urls + ("-",))[0])
        else:
            self.warn(Code.REVOCATION_NOT_AVAILABLE, subject=subject)

    def _note(self, position: int, answer: status.Answer | None, word: str) -> None:
        digest = hashlib.sha256(self.path[position]).hexdigest()
        if answer is None:
            self.revocation.append(Revocation(digest, word, "none", None))
            return
        embedded = (*self.question.embedded.crls, *self.question.embedded.ocsps)
        source = "embedded" if answer.data in embedded else "given"
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

    def check_dates(self, certificate: x509.Certificate, answer: status.Answer | None) -> None:
        """Validity of one certificate below the anchor at the moment (shell model, R62)."""
        time, proved = self.question.time, self.question.proved
        if time > certificate.not_valid_after_utc:
            late = Code.EXPIRED if proved else Code.OUT_OF_BOUNDS_NO_POE
            if not proved and answer and answer.this_update >= certificate.not_valid_after_utc:
                late = Code.OUT_OF_BOUNDS_NOT_REVOKED
            self.object(late, date=_day(certificate.not_valid_after_utc))
        elif time < certificate.not_valid_before_utc:
            early = Code.NOT_YET_VALID if proved else Code.OUT_OF_BOUNDS_NO_POE
            self.object(early, date=_day(certificate.not_valid_before_utc))

    def source(self, der: bytes) -> str:
        """Say where a certificate came from."""
        anchors = {anchor.certificate for anchor in self.question.context.trust.anchors}
        if der in anchors:
            return "store"
        return "given" if der in self.question.context.trust.intermediates else "signature"

    def link(self, certificate: x509.Certificate, der: bytes) -> ChainLink:
        """Return the line of the report for one certificate."""
        return ChainLink(
            subject=certificate.subject.rfc4514_string(),
            issuer=certificate.issuer.rfc4514_string(),
            serial=f"{certificate.serial_number:X}",
            not_before=certificate.not_valid_before_utc,
            not_after=certificate.not_valid_after_utc,
            sha256=hashlib.sha256(der).hexdigest(),
            source=self.source(der),
            anchor=der == self.anchor,
        )

    def result(self, links: tuple[ChainLink, ...]) -> PathResult:
        """Return what was collected, the gravest objection first."""
        codes = sorted({reason.code for reason in self.reasons}, key=rank)
        reasons = sorted(self.reasons, key=lambda reason: rank(reason.code))
        return PathResult(
            tuple(codes),
            links,
            tuple(self.revocation),
            tuple(reasons),
            tuple(self.warnings),
            tuple(self.needs),
            tuple(self.evidence),
        )


_ENGINE_FAULTS = (AssertionError, ValueError, TypeError, KeyError, OverflowError)
"""What the path engine raises for certificates it did not reckon with, such as a key of another kind than expected."""


@lru_cache(maxsize=256)
def _structural_fault(path: tuple[bytes, ...]) -> tuple[Code, str] | None:
    """Say what RFC 5280 6.1 holds against a path, dates, revocation and algorithms apart.

    The answer depends on the certificates alone, so it is remembered: an office's letters share their authorities.
    """
    if not _may_issue(certificates.certificate(path[-1])):
        return Code.CHAIN_CONSTRAINTS_FAILURE, "basicConstraints"
    try:
        _drive(_validate(path))
    except ValidationError as error:
        return Code.CHAIN_CONSTRAINTS_FAILURE, type(error).__name__
    except (PathError, *_ENGINE_FAULTS, UnsupportedAlgorithm) as error:
        return Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, type(error).__name__
    return None


def _may_issue(anchor: x509.Certificate) -> bool:
    """Say whether an anchor vouches for others too: a certificate given to know one signer by is no authority.

    Old roots without any extension are.
    """
    kinds = {type(extension.value): extension.value for extension in anchor.extensions}
    basic, usage = kinds.get(x509.BasicConstraints), kinds.get(x509.KeyUsage)
    if isinstance(basic, x509.BasicConstraints) and not basic.ca:
        return False
    if isinstance(usage, x509.KeyUsage):
        return usage.key_cert_sign
    return isinstance(basic, x509.BasicConstraints) or not kinds


async def _validate(path: tuple[bytes, ...]) -> None:
    leaf, *above, root = [asn1.certificate(der) for der in path]
    anchor = CertTrustAnchor(root)
    engine = ValidationContext(
        trust_roots=[root],
        other_certs=above,
        moment=ANY_MOMENT,
        allow_fetching=False,
        revocation_mode="soft-fail",  # revocation is judged here, not there
        time_tolerance=DATES_APART,
        algorithm_usage_policy=AcceptAllAlgorithms(),
    )
    await async_validate_path(engine, ValidationPath(anchor, list(reversed(above)), leaf))


def _purpose_fault(leaf: x509.Certificate, purpose: Purpose) -> str | None:
    usage = extended = None
    critical = False
    for extension in leaf.extensions:
        if isinstance(extension.value, x509.KeyUsage):
            usage = extension.value
        elif isinstance(extension.value, x509.ExtendedKeyUsage):
            extended, critical = set(extension.value), extension.critical
    if usage is not None and not (usage.digital_signature or usage.content_commitment):
        return "keyUsage"
    if purpose is Purpose.TSA:
        return None if extended == {ExtendedKeyUsageOID.TIME_STAMPING} and critical else "extendedKeyUsage"
    return None if extended is None or extended & _SIGNER_PURPOSES else "extendedKeyUsage"


def common_name(name: x509.Name) -> str:
    """Return the common name of a subject, else the whole subject."""
    for attribute in name.get_attributes_for_oid(x509.NameOID.COMMON_NAME):
        return str(attribute.value)
    return name.rfc4514_string()


def public_key_der(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo (DER) of a certificate (DER).

    Raises:
        ValueError: the certificate cannot be read.
    """
    key = certificates.certificate(certificate).public_key()
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
