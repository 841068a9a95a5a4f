"""Is this certificate good, for this purpose, at this time? (signing.md 7.1, RFC 5280 chapter 6)

Paths are found by ``signer.paths``, checked by ``signer.pathrules``; dates, key purpose, algorithms and revocation are
judged here, because the report must tell them apart. Paths are tried in a fixed order; the first without objection
wins, else the one whose first objection is the least grave. Nothing is ever fetched: what is missing is returned.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from cryptography import x509

from signer import pathrules, paths, status, x509ext
from signer.algorithms import AlgorithmVerdict, PolicyName, judge
from signer.names import Name, read_name
from signer.pathrules import BY_DEFAULT, Inputs
from signer.paths import Found, find_paths
from signer.report import Algorithm, ChainLink, Code, Evidence, Need, Reason, Revocation, rank
from signer.trust import Context, Purpose, TrustStore
from signer.x509read import Certificate, read, serial_hex

EMBEDDED_MAX = 200
"""Status answers of a kind found beside a signature that are looked at; the others do not exist for the judgement."""

SIGNERS_VOUCHED_MAX = 3
"""How far the question goes on, who vouches for who signed a list about who signed a list."""

TIME_STAMPING, ANY_USAGE = "1.3.6.1.5.5.7.3.8", "2.5.29.37.0"
_SIGNER_PURPOSES = {
    "1.3.6.1.5.5.7.3.36",  # id-kp-documentSigning, RFC 9336
    "1.3.6.1.4.1.311.10.3.12",  # document signing as Microsoft names it
    "1.2.840.113583.1.1.5",  # authentic documents as Adobe names it
    "1.3.6.1.5.5.7.3.4",  # e-mail protection
    "1.3.6.1.5.5.7.3.2",  # client authentication
    ANY_USAGE,
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


def judge_path(
    certificate: bytes,
    *,
    purpose: Purpose,
    time: datetime,
    proved: bool,
    context: Context,
    candidates: Sequence[bytes] = (),
    embedded: TrustStore | None = None,
    existing_by: datetime | None = None,
) -> PathResult:
    """Judge a certificate (DER) for a purpose at ``time``, the best-signature-time.

    ``proved`` says whether that time comes from a proof of existence. ``candidates`` are certificates found beside the
    signature, ``embedded`` the status answers found there; neither is trusted. For a time stamp ``time`` is its own
    word, and ``existing_by`` the moment by which it existed according to something else: a later archive stamp, a
    ledger, else the moment of judgement.
    """
    beside = embedded or TrustStore()
    beside = replace(beside, crls=beside.crls[:EMBEDDED_MAX], ocsps=beside.ocsps[:EMBEDDED_MAX])
    crowd = (*candidates, *beside.intermediates)
    found_beside = paths.narrowed(certificate, crowd)
    question = Question(purpose, time, proved, context, found_beside, beside, existing_by)
    try:
        leaf = read(certificate)
    except ValueError:
        return _refused(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "certificate"})
    wanted = {Purpose.TSA} if purpose is Purpose.TSA else {Purpose.SIGNERS, Purpose.PUBLIC}
    anchors = context.trust.for_purpose(*wanted, at=time)
    if certificate in anchors:
        return _judge_one((certificate,), question)
    found = question.paths_of(certificate, anchors)
    if not found.paths:
        return _no_path(leaf, question, exhausted=found.exhausted or len(found_beside) < len(set(crowd)))
    return _best_of(found.paths, question)


def validate_path(
    certificate: bytes,
    *,
    trust: TrustStore,
    at: datetime,
    inputs: Inputs = BY_DEFAULT,
    policy: PolicyName = PolicyName.INTEROP,
) -> PathResult:
    """Validate a certificate's path by itself, as a signer's, at a moment (RFC 5280, 6.1 with all its inputs).

    ``trust`` holds the anchors, the intermediate certificates and the revocation lists to use.

    Raises:
        ValueError: ``at`` has no offset.
    """
    context = Context(trust=trust, at=at, policy=policy, path_inputs=inputs)
    return judge_path(certificate, purpose=Purpose.SIGNERS, time=at, proved=False, context=context)


def _best_of(found: Sequence[tuple[bytes, ...]], question: Question) -> PathResult:
    results = []
    for path in found:
        result = _judge_one(path, question)
        if not result.sub_indications:
            return result
        results.append(result)
    return max(results, key=_mildness)


def _no_path(leaf: Certificate, question: Question, *, exhausted: bool) -> PathResult:
    facts: dict[str, str] = {}
    code = Code.NO_CERTIFICATE_CHAIN_FOUND
    if exhausted:
        code, facts = Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "limit"}
    collector = ChainBuilder(question, (leaf.encoded,), anchored=False)
    evidence = tuple(collector.evidence)
    return PathResult((code,), (collector.link(leaf),), reasons=(Reason(code, facts),), evidence=evidence)


def _mildness(result: PathResult) -> float:
    return rank(result.sub_indications[0])


def _refused(code: Code, facts: dict[str, str]) -> PathResult:
    return PathResult((code,), reasons=(Reason(code, facts),))


def _judge_one(path: tuple[bytes, ...], question: Question) -> PathResult:
    """Judge one path, leaf first and anchor last."""
    parsed = [read(der) for der in path]
    building = ChainBuilder(question, path)
    if len(path) > 1:
        building.check_structure()
    building.check_purpose(parsed[0])
    for position in range(len(parsed) - 1):
        building.check_algorithms(position)
    answers = [building.check_status(position) for position in range(len(parsed) - 1)]
    for position, certificate in enumerate(parsed[:-1]):
        building.check_dates(certificate, answers[position])
    if question.time > parsed[-1].not_after:
        building.warn(Code.ANCHOR_EXPIRED, date=_day(parsed[-1].not_after))
    return building.result()


def _day(moment: datetime) -> str:
    return moment.isoformat()


class ChainBuilder:
    """Collects what holds against one path."""

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
        self._vouched: dict[bytes, bool] = {}

    def object(self, code: Code, **facts: str) -> None:
        """Note a reason against the path."""
        self.reasons.append(Reason(code, facts))

    def warn(self, code: Code, **facts: str) -> None:
        """Note something without effect on the answer."""
        self.warnings.append(Reason(code, facts))

    def check_structure(self) -> None:
        """Signatures, names, basic and name constraints, policies, critical extensions (RFC 5280 6.1)."""
        checked = pathrules.check(self.path, self.question.context.path_inputs)
        self.policies = checked.policies
        for code, detail in checked.faults:
            self.object(code, detail=detail)

    def check_purpose(self, leaf: Certificate) -> None:
        """K4 for signers; a critical ``timeStamping`` alone for time-stamping authorities."""
        fault = _purpose_fault(leaf, self.question.purpose)
        if fault:
            self.object(Code.CHAIN_CONSTRAINTS_FAILURE, detail=fault)

    def check_algorithms(self, position: int) -> None:
        """What a certificate below the anchor is signed with; the leaf's own key is judged with its signature."""
        algorithm = status.signature_algorithm(self.parsed[position].algorithm, self._issuer_key(position))
        verdict = self._verdict(algorithm, "certificate")
        if verdict.code:
            self.object(verdict.code, algorithm=verdict.algorithm, date=_day(verdict.ended or self.question.time))

    def _issuer_key(self, position: int) -> bytes:
        return pathrules.key_below(self.parsed[position + 1], self.parsed[position + 2 :])

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

    def check_status(self, position: int) -> status.Answer | None:
        """Revocation of one certificate by the answers at hand."""
        context, certificate = self.question.context, self.parsed[position]
        if context.policy is PolicyName.INTEGRITY_ONLY:
            self._note(position, None, "not-checked")
            return None
        sources = self._sources()
        key = self._issuer_key(position)
        known = status.answers(certificate, self.parsed[position + 1], key=key, sources=sources)
        revoked = [one for one in known if one.revoked_at is not None and not _is_lifted(one, known)]
        if revoked:
            self._revoked(position, min(revoked, key=lambda one: one.revoked_at or one.this_update))
            return None
        telling = [one for one in known if self._tells(one, certificate)]
        good = _enough([one for one in telling if not one.late])
        if good:
            for answer in good:
                self._note(position, answer, "good")
            return good[0]
        if status.needs_no_status(certificate):  # nobody is asked; what is told all the same was heard above
            self._note(position, None, "not-checked")
            return None
        self._no_answer(position, sources, late=bool(_enough(telling)))
        return None

    def _sources(self) -> status.Sources:
        trust, embedded = self.question.context.trust, self.question.embedded
        return status.Sources(
            crls=tuple(dict.fromkeys((*trust.crls, *embedded.crls))),
            ocsps=tuple(dict.fromkeys((*trust.ocsps, *embedded.ocsps))),
            at=self.question.context.at,
            anchor=self.path[-1],
            pool=self.question.pool,
            vouches=self._vouches,
        )

    def _vouches(self, signer: bytes) -> bool:
        """Tell whether another certificate of a list's issuer has a good path to the same anchor (6.3.3 f)."""
        if signer == self.anchor:
            return True
        vouching = self.question.vouching
        if signer in vouching and signer == self.path[0]:
            return True  # whose own status only its own list tells; it would have to be revoked there
        if self.anchor is None or signer in vouching or len(vouching) >= SIGNERS_VOUCHED_MAX:
            return False
        if signer not in self._vouched:
            question = replace(self.question, purpose=None, vouching=vouching | {signer}, existing_by=None)
            found = question.paths_of(signer, (self.anchor,)).paths
            self._vouched[signer] = bool(found) and not _best_of(found, question).sub_indications
        return self._vouched[signer]

    def _tells(self, answer: status.Answer, certificate: Certificate) -> bool:
        """Tell whether an answer may stand for *good* at the moment: it knows the certificate, it is accepted.

        A list made after the certificate's end may have forgotten its revocation: no help for a moment within it. That
        a certificate **is** revoked is believed with any algorithm that could be computed.
        """
        grace = timedelta() if self.question.context.policy is PolicyName.STRICT else status.GRACE
        if answer.unknown or not answer.serves(self.question.time, grace=grace):
            return False
        fresh = self.question.time > certificate.not_after or answer.still_tells(certificate.not_after)
        return fresh and not any(self._verdict(one, "status").code for one in answer.algorithms)

    def _revoked(self, position: int, answer: status.Answer) -> None:
        self._note(position, answer, "revoked")
        assert answer.revoked_at is not None
        proved, backdatable = self.question.proved, self._is_backdatable(answer)
        if proved and self.question.time < answer.revoked_at and not backdatable:
            return
        code = Code.REVOKED if proved and not backdatable else Code.REVOKED_NO_POE
        if position > 0:
            code = Code.REVOKED_CA_NO_POE
        subject = self.parsed[position].subject.common_name
        self.object(code, time=answer.revoked_at.isoformat(), subject=subject)

    def _is_backdatable(self, answer: status.Answer) -> bool:
        """A token's time is its authority's own word: with that key stolen it proves nothing (RFC 3161, 4).

        Unless something else proves that the token existed before.
        """
        if self.question.purpose is not Purpose.TSA or answer.reason in _HONEST_ENDS:
            return False
        known = self.question.existing_by
        return known is None or answer.revoked_at is None or known >= answer.revoked_at

    def _no_answer(self, position: int, sources: status.Sources, *, late: bool) -> None:
        self._note(position, None, "unknown")
        certificate, issuer = self.parsed[position], self.parsed[position + 1]
        ocsp_urls, crl_urls = status.sources(certificate)
        subject = certificate.subject.common_name
        if ocsp_urls or crl_urls:
            self.needs.append(Need(self.path[position], self.path[position + 1], ocsp_urls, crl_urls))
        if late:
            self.object(Code.REVOCATION_OUT_OF_BOUNDS_NO_POE, subject=subject)
        named = ocsp_urls or crl_urls or x509ext.points_of(certificate)
        if named or self._is_strict or status.is_spoken_of(certificate, issuer, sources):
            self.object(Code.TRY_LATER, subject=subject, url=(ocsp_urls + crl_urls + ("-",))[0])
        else:
            self.warn(Code.REVOCATION_NOT_AVAILABLE, subject=subject)

    @property
    def _is_strict(self) -> bool:
        return self.question.context.policy is PolicyName.STRICT

    def _note(self, position: int, answer: status.Answer | None, word: str) -> None:
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

    def check_dates(self, certificate: Certificate, answer: status.Answer | None) -> None:
        """Validity of one certificate below the anchor at the moment (shell model, R62)."""
        time, proved = self.question.time, self.question.proved
        ended, known = certificate.not_after, self.question.existing_by
        if time > ended:
            late = Code.EXPIRED if proved else Code.OUT_OF_BOUNDS_NO_POE
            if not proved and answer and answer.this_update >= ended:
                late = Code.OUT_OF_BOUNDS_NOT_REVOKED
            self.object(late, date=_day(ended))
        elif time < certificate.not_before:
            early = Code.NOT_YET_VALID if proved else Code.OUT_OF_BOUNDS_NO_POE
            self.object(early, date=_day(certificate.not_before))
        elif known is not None and known > ended:
            self.object(Code.OUT_OF_BOUNDS_NO_POE, date=_day(ended))

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


def _purpose_fault(leaf: Certificate, purpose: Purpose | None) -> str | None:
    if purpose is None:
        return None
    usage, purposes = x509ext.usage_of(leaf), x509ext.purposes_of(leaf)
    if usage is not None and not usage & {x509ext.DIGITAL_SIGNATURE, x509ext.CONTENT_COMMITMENT}:
        return "keyUsage"
    if purpose is Purpose.TSA:
        found = leaf.extensions.get(x509ext.EXTENDED_USAGE)
        alone = purposes == frozenset({TIME_STAMPING}) and found is not None and found.critical
        return None if alone else "extendedKeyUsage"
    return None if purposes is None or purposes & _SIGNER_PURPOSES else "extendedKeyUsage"


def common_name(name: Name | x509.Name) -> str:
    """Return the common name of a subject, else the whole subject."""
    if isinstance(name, Name):
        return name.common_name
    return read_name(name.public_bytes()).common_name


def public_key_der(certificate: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo (DER) of a certificate (DER).

    Raises:
        ValueError: the certificate cannot be read.
    """
    return read(certificate).key
