"""Good answers about paths, remembered for a minute (signing.md 7.1): many letters ask the same question.

An answer depends on the moment only through comparisons with moments that stand in what is asked about: begin and end
of certificates and anchors, issue and next issue of status answers, dates of the algorithm table; some with a fixed
grace or skew. Between two of these nothing changes. So the answer to a question is given again if everything else in
it is equal, octet for octet, and none of those moments lies between then and now. Bad answers are never remembered.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from signer import crls, ocsps, status
from signer.algorithms import PolicyName, built_in
from signer.pathrules import Inputs
from signer.question import PathResult
from signer.trust import Anchor, Context, Purpose, TrustStore
from signer.x509read import read

KEPT_FOR = timedelta(seconds=60)
"""How far from the moment of an answer it is given again, even if nothing changes before."""

ANSWERS_MAX = 32
"""Answers remembered; each holds the trust store it was made with."""

_NOTHING = TrustStore()
_OFFSETS = (timedelta(), status.SKEW, -status.SKEW, status.GRACE, -status.GRACE)


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything an answer depends on besides the moment; the algorithm table is the built-in one."""

    certificate: bytes
    purpose: Purpose
    candidates: tuple[bytes, ...]
    trust: TrustStore
    policy: PolicyName
    inputs: Inputs
    usages: frozenset[str]


@dataclass(frozen=True, slots=True)
class _Kept:
    result: PathResult
    at: datetime
    begin: datetime  # moments strictly between begin and end have this answer
    end: datetime


class Memory:
    """Remembers the last good answers. May be used by several threads."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Asked, _Kept] = OrderedDict()
        self._lock = Lock()

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()

    def answer(self, asked: Asked, at: datetime, judge: Callable[[], PathResult]) -> PathResult:
        """Return what ``judge`` returns for this question at this moment, judging only if need be."""
        with self._lock:
            kept = self._kept.get(asked)
        if kept is not None and abs(at - kept.at) <= KEPT_FOR and kept.begin < at < kept.end:
            return kept.result
        result = judge()
        limits = None if result.sub_indications else _around(at, moments_of(asked))
        with self._lock:
            self._kept.pop(asked, None)
            if limits is not None:
                self._kept[asked] = _Kept(result, at, *limits)
                if len(self._kept) > ANSWERS_MAX:
                    self._kept.popitem(last=False)
        return result


MEMORY = Memory()


def question_of(
    certificate: bytes, purpose: Purpose, candidates: Iterable[bytes], context: Context, *, embedded: TrustStore | None
) -> Asked | None:
    """Return the question in a form that can be remembered; ``None`` for one that is rare or has more to it."""
    if context.algorithms is not None or purpose is Purpose.TSA or (embedded or _NOTHING) != _NOTHING:
        return None
    return Asked(
        certificate,
        purpose,
        tuple(candidates),
        context.trust,
        context.policy,
        context.path_inputs,
        context.extended_usages,
    )


def _around(at: datetime, moments: Iterable[datetime]) -> tuple[datetime, datetime] | None:
    """Return the moments next to one, if it is none of them itself."""
    marks = sorted(set(_shifted(moments)))
    place = bisect_left(marks, at)
    if place == len(marks) or place == 0 or marks[place] == at:
        return None  # before or behind everything: too odd to be remembered
    return marks[place - 1], marks[place]


def _shifted(moments: Iterable[datetime]) -> Iterator[datetime]:
    for moment in moments:
        for offset in _OFFSETS:
            try:
                yield moment + offset
            except OverflowError:
                continue


def moments_of(asked: Asked) -> Iterator[datetime]:
    """Yield every moment in what is asked about with which another one may be compared."""
    trust, certificates = asked.trust, {asked.certificate, *asked.candidates, *asked.trust.intermediates}
    for anchor in trust.anchors:
        certificates.add(anchor.certificate)
        yield from _of_anchor(anchor)
    for data in trust.crls:
        listed = crls.read(data)
        if listed is not None:
            yield from (one for one in (listed.this_update, listed.next_update, listed.keeps_from) if one is not None)
    for data in trust.ocsps:
        answer = ocsps.read(data)
        if answer is not None:
            yield answer.produced_at
            certificates.update(answer.certificates)
            for one in answer.statements:
                found = (one.this_update, one.next_update, one.cutoff, one.revoked_at)
                yield from (moment for moment in found if moment is not None)
    for der in certificates:
        yield from _of_certificate(der)
    table = built_in()
    for entry in (*table.digests.values(), *table.signatures.values()):
        yield from (moment for moment in (entry.since, entry.until) if moment is not None)


def _of_anchor(anchor: Anchor) -> Iterator[datetime]:
    yield from (moment for moment in (anchor.valid_from, anchor.sunset) if moment is not None)


def _of_certificate(der: bytes) -> tuple[datetime, ...]:
    try:
        found = read(der)
    except ValueError:
        return ()
    return found.not_before, found.not_after
