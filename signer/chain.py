"""Is this certificate good, for this purpose, at this time? (signing.md 7.1, RFC 5280 chapter 6)

Paths are found by ``signer.paths``, checked by ``signer.pathrules``; dates, key purpose, algorithms and revocation
(``signer.pathstatus``) are judged here, because the report must tell them apart. Paths are tried in a fixed order; a
path that breaks those rules counts only where no other is left. The first without objection wins, else the one whose
first objection is the least grave. Nothing is ever fetched: what is missing is returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from cryptography import x509

from signer import pathrules, paths, status
from signer.algorithms import PolicyName
from signer.findings import Findings
from signer.names import Name, read_name
from signer.pathrules import BY_DEFAULT, Inputs
from signer.pathstatus import StatusCheck
from signer.question import PathResult as PathResult  # callers take it from here
from signer.question import Question, purpose_fault
from signer.remembered import MEMORY, question_of
from signer.report import Code, Reason, rank
from signer.trust import Context, Purpose, TrustStore
from signer.x509read import Certificate, read

EMBEDDED_MAX = 200
"""Status answers of a kind found beside a signature that are looked at; the others do not exist for the judgement."""

SIGNERS_VOUCHED_MAX = 3
"""How far the question goes on, who vouches for who signed a list about who signed a list."""

UNSOUND_MAX = 4
"""Paths against the rules that are judged further where there are no others: each says why it is none."""


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
    asked = None
    if not proved and time == context.at and existing_by is None:
        asked = question_of(certificate, purpose, candidates, context, embedded=embedded)
    beside = embedded or TrustStore()
    if len(beside.crls) > EMBEDDED_MAX or len(beside.ocsps) > EMBEDDED_MAX:
        beside = replace(beside, crls=beside.crls[:EMBEDDED_MAX], ocsps=beside.ocsps[:EMBEDDED_MAX])
    crowd = (*candidates, *beside.intermediates)
    question = Question(purpose, time, proved, context, (), beside, existing_by)
    if asked is not None:
        return MEMORY.answer(asked, time, lambda: _judge(certificate, crowd, question))
    return _judge(certificate, crowd, question)


def _judge(certificate: bytes, crowd: tuple[bytes, ...], question: Question) -> PathResult:
    """Judge a certificate; ``crowd`` is what was found beside the signature."""
    found_beside, purpose = paths.narrowed(certificate, crowd), question.purpose
    question = replace(question, candidates=found_beside)
    try:
        leaf = read(certificate)
    except ValueError:
        return _refused(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "certificate"})
    wanted = {Purpose.TSA} if purpose is Purpose.TSA else {Purpose.SIGNERS, Purpose.PUBLIC}
    anchors = question.context.trust.for_purpose(*wanted, at=question.time)
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
    for path in _sound(found, question) or found[:UNSOUND_MAX]:
        result = _judge_one(path, question)
        if not result.sub_indications:
            return result
        results.append(result)
    return max(results, key=_mildness)


def _sound(found: Sequence[tuple[bytes, ...]], question: Question) -> list[tuple[bytes, ...]]:
    """Return the paths that keep the rules: whatever else leads to an anchor makes no answer better or worse."""
    return [path for path in found if not pathrules.check(path, question.context.path_inputs).faults]


def _no_path(leaf: Certificate, question: Question, *, exhausted: bool) -> PathResult:
    facts: dict[str, str] = {}
    code = Code.NO_CERTIFICATE_CHAIN_FOUND
    if exhausted:
        code, facts = Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "limit"}
    collector = Findings(question, (leaf.encoded,), anchored=False)
    evidence = tuple(collector.evidence)
    return PathResult((code,), (collector.link(leaf),), reasons=(Reason(code, facts),), evidence=evidence)


def _mildness(result: PathResult) -> float:
    return rank(result.sub_indications[0])


def _refused(code: Code, facts: dict[str, str]) -> PathResult:
    return PathResult((code,), reasons=(Reason(code, facts),))


def _judge_one(path: tuple[bytes, ...], question: Question) -> PathResult:
    """Judge one path, leaf first and anchor last."""
    found = Findings(question, path)
    if len(path) > 1:
        _check_structure(found)
    fault = purpose_fault(found.parsed[0], question.purpose, also=question.context.extended_usages)
    if fault:
        found.object(Code.CHAIN_CONSTRAINTS_FAILURE, detail=fault)
    below = found.parsed[:-1]
    for position in range(len(below)):
        _check_algorithm(found, position)
    check = StatusCheck(found, lambda signer: _vouches(signer, found))
    answers = [check.check(position) for position in range(len(below))]
    for certificate, answer in zip(below, answers, strict=True):
        _check_dates(found, certificate, answer)
    if question.time > found.parsed[-1].not_after:
        found.warn(Code.ANCHOR_EXPIRED, date=found.parsed[-1].not_after.isoformat())
    return found.result()


def _check_structure(found: Findings) -> None:
    """Signatures, names, basic and name constraints, policies, critical extensions (RFC 5280 6.1)."""
    checked = pathrules.check(found.path, found.question.context.path_inputs)
    found.policies = checked.policies
    for code, detail in checked.faults:
        found.object(code, detail=detail)


def _check_algorithm(found: Findings, position: int) -> None:
    """What a certificate below the anchor is signed with; the leaf's own key is judged with its signature."""
    algorithm = status.signature_algorithm(found.parsed[position].algorithm, found.issuer_key(position))
    verdict = found.question.verdict_on(algorithm, "certificate")
    if verdict.code:
        ended = verdict.ended or found.question.time
        found.object(verdict.code, algorithm=verdict.algorithm, date=ended.isoformat())


def _check_dates(found: Findings, certificate: Certificate, answer: status.Answer | None) -> None:
    """Validity of one certificate below the anchor at the moment (shell model, R62)."""
    time, proved, known = found.question.time, found.question.proved, found.question.existing_by
    start, end = certificate.not_before, certificate.not_after
    if time > end:
        late = Code.EXPIRED if proved else Code.OUT_OF_BOUNDS_NO_POE
        if not proved and answer and answer.this_update >= end:
            late = Code.OUT_OF_BOUNDS_NOT_REVOKED
        found.object(late, date=end.isoformat())
    elif time < start:
        found.object(Code.NOT_YET_VALID if proved else Code.OUT_OF_BOUNDS_NO_POE, date=start.isoformat())
    elif known is not None and known > end:
        found.object(Code.OUT_OF_BOUNDS_NO_POE, date=end.isoformat())


def _vouches(signer: bytes, found: Findings) -> bool:
    """Judge the path of a certificate that signed a list in the issuer's name, to the same anchor (6.3.3 f)."""
    vouching = found.question.vouching
    if found.anchor is None or signer in vouching or len(vouching) >= SIGNERS_VOUCHED_MAX:
        return False
    question = replace(found.question, purpose=None, vouching=vouching | {signer}, existing_by=None)
    sound = _sound(question.paths_of(signer, (found.anchor,)).paths, question)
    return bool(sound) and not _best_of(sound, question).sub_indications


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
