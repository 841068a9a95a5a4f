"""Is a certificate revoked, by the CRLs and OCSP answers at hand? (signing.md 7.1, RFC 5280 6.3, RFC 6960)

A list counts if it is signed by the certificate's issuer, or by another certificate of the list's issuer that the
caller vouches for; complete, delta, indirect and scoped lists are used for what they cover. An OCSP answer counts if it
is signed by that issuer or its direct delegate with ``id-kp-OCSPSigning``. An answer serves the moment T if it was
issued at or after T, or if T lies between its issue and ``next_update`` plus a day. One issued after a certificate's
end counts as *good* only if it says that it keeps expired certificates (archive cutoff, expiredCertsOnCRL): others
forget a revocation soon after that end (RFC 5280 3.3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import lru_cache

from signer import crls, ocsps, pathrules, paths, pubkeys, x509ext
from signer.cms import describe
from signer.crls import ALL_REASONS, CRL_MAX_BYTES, REASONS, Entry, RevocationList
from signer.names import Name
from signer.ocsps import OcspAnswer, Statement
from signer.report import Algorithm
from signer.x509read import Certificate, read

__all__ = [
    "ALL_REASONS",
    "CRL_MAX_BYTES",
    "GRACE",
    "OCSP_SIGNING",
    "SKEW",
    "Answer",
    "Sources",
    "answers",
    "is_ahead",
    "is_spoken_of",
    "needs_no_status",
    "signature_algorithm",
    "sources",
]

OCSP_SIGNING = "1.3.6.1.5.5.7.3.9"

GRACE = timedelta(hours=24)
"""How long after ``next_update`` an answer still serves (``revocation_grace``); none under the policy *strict*."""

SIGNERS_MAX = 4
"""Certificates of a list's issuer, beside the certificate's own, whose keys are tried for one list."""

SKEW = timedelta(minutes=5)
"""How far ahead of the moment of judgement an answer may have been issued: clocks differ."""


def is_ahead(moment: datetime, at: datetime) -> bool:
    """Tell whether a moment lies further ahead of another than clocks differ; any two of the calendar may be asked."""
    return moment - at > SKEW


@dataclass(frozen=True, slots=True)
class Answer:
    """What one OCSP answer, or one CRL with the delta list that continues it, says about one certificate."""

    method: str  # crl, ocsp
    data: bytes  # DER, for evidence
    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None
    reason: str | None
    algorithms: tuple[Algorithm, ...]  # what the answer, and its delegate's certificate, are signed with
    unknown: bool = False
    keeps_from: datetime | None = None  # certificates that ended at or after this moment are still told of
    reasons: frozenset[int] = ALL_REASONS  # for which it speaks; a list may be limited to some
    late: bool = False  # its signer was outside the validity of its certificate
    signer: bytes | None = None  # certificate (DER) that signed it, if not the issuer's
    more: tuple[bytes, ...] = ()  # the delta list that belongs to it

    def serves(self, moment: datetime, *, grace: timedelta) -> bool:
        """Tell whether the answer speaks about that moment."""
        if self.this_update >= moment:
            return True
        return self.next_update is not None and moment - self.next_update <= grace

    def still_tells(self, not_after: datetime) -> bool:
        """Tell whether the answer still speaks about a certificate that ended at ``not_after``."""
        return self.this_update <= not_after or (self.keeps_from is not None and self.keeps_from <= not_after)


@dataclass(frozen=True, slots=True)
class Sources:
    """The answers at hand, certificates that may have signed them, and what the caller vouches for."""

    crls: tuple[bytes, ...]
    ocsps: tuple[bytes, ...]
    at: datetime  # answers issued later are not known yet
    anchor: bytes
    pool: tuple[bytes, ...] = ()
    vouches: Callable[[bytes], bool] = lambda certificate: False


def answers(certificate: Certificate, issuer: Certificate, *, key: bytes, sources: Sources) -> list[Answer]:
    """Return what the usable answers say about the certificate, OCSP first, each group newest first.

    ``key`` is the issuer's public key with the parameters it inherits.
    """
    lists = [found for data in sources.crls if (found := _known(data, sources)) is not None]
    asked = _Asked(certificate, issuer, key, sources)
    by_list = sorted(_from_lists(lists, asked), key=_issued, reverse=True)
    by_ocsp = [answer for data in sources.ocsps for answer in _from_ocsp(data, asked, lists)]
    return sorted(by_ocsp, key=_issued, reverse=True) + by_list


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which certificate is asked about, by whom it was issued, and with which answers."""

    certificate: Certificate
    issuer: Certificate
    key: bytes
    sources: Sources


def _issued(answer: Answer) -> tuple[datetime, bytes]:
    return answer.this_update, answer.data


def _known(data: bytes, sources: Sources) -> RevocationList | None:
    found = crls.read(data)
    return found if found is not None and not is_ahead(found.this_update, sources.at) else None


def is_spoken_of(certificate: Certificate, issuer: Certificate, sources: Sources) -> bool:
    """Tell whether an answer at hand claims to be about the issuer's certificates, usable or not.

    An issuer that publishes answers is asked for one, even if the certificate names no address.
    """
    lists = [one for data in sources.crls if (one := crls.read(data)) is not None]
    if any(_is_of_issuer(one, issuer) for one in lists) or _is_of_namesake(lists, issuer, sources):
        return True
    statements = (one for data in sources.ocsps if (found := ocsps.read(data)) for one in found.statements)
    return any(one.is_about(certificate, issuer) for one in statements)


def _is_of_issuer(listed: RevocationList, issuer: Certificate) -> bool:
    """Tell whether a list names the issuer's key, or its name and no other key."""
    named, key = listed.authority_key, x509ext.key_identifier_of(issuer)
    if named is not None and named == key:
        return True
    return listed.issuer.key == issuer.subject.key and (named is None or key is None)


def _is_of_namesake(lists: Iterable[RevocationList], issuer: Certificate, sources: Sources) -> bool:
    """Tell whether a list names the issuer, and a key that the same anchor certifies under this name."""
    named = {one.authority_key for one in lists if one.issuer.key == issuer.subject.key}
    namesakes = [one for one in _bearing(issuer.subject, sources.pool) if x509ext.key_identifier_of(one) in named]
    return any(
        paths.find_paths(one.encoded, (sources.anchor,), (), given=sources.pool).paths
        for one in namesakes[:SIGNERS_MAX]
    )


def _bearing(name: Name, pool: Iterable[bytes]) -> Iterator[Certificate]:
    """Yield the certificates that bear a name in a fixed order."""
    for encoded in sorted(set(pool)):
        try:
            candidate = read(encoded)
        except ValueError:
            continue
        if candidate.subject.key == name.key:
            yield candidate


# --- revocation lists ------------------------------------------------------------------------------------------------


def _from_lists(lists: list[RevocationList], asked: _Asked) -> Iterator[Answer]:
    """Yield an answer for every complete list in scope, continued by the newest delta list that fits."""
    usable = [one for one in lists if one.is_understood and crls.reasons_for(one, asked.certificate)]
    for complete in (one for one in usable if not one.is_delta):
        signed = _signed_list(complete, asked)
        if signed is None:
            continue
        signer, answer = signed
        fitting = [
            delta
            for delta in usable
            if delta.is_delta and crls.adds_to(delta, complete) and _is_signed_by(delta, _key_of(signer, asked))
        ]
        newest = max(fitting, key=lambda one: (one.number or 0, one.this_update, one.encoded), default=None)
        found = _continued(answer, complete, newest, asked.certificate)
        if found is not None:
            yield found


def _key_of(signer: Certificate, asked: _Asked) -> bytes:
    return asked.key if signer is asked.issuer else signer.key


def _signed_list(listed: RevocationList, asked: _Asked) -> tuple[Certificate, Answer] | None:
    """Return who signed a list, and the answer as far as it does not depend on the entry."""
    for signer in _list_signers(listed, asked):
        usage = x509ext.usage_of(signer)
        if usage is not None and x509ext.CRL_SIGN not in usage:
            continue
        key = _key_of(signer, asked)
        if not _is_signed_by(listed, key):
            continue
        if signer is not asked.issuer and not asked.sources.vouches(signer.encoded):
            continue
        late = signer.encoded != asked.sources.anchor and listed.this_update > signer.not_after
        algorithm = signature_algorithm(listed.algorithm, key)
        answer = Answer(
            method="crl",
            data=listed.encoded,
            this_update=listed.this_update,
            next_update=listed.next_update,
            revoked_at=None,
            reason=None,
            algorithms=(algorithm,),
            keeps_from=listed.keeps_from,
            reasons=crls.reasons_for(listed, asked.certificate),
            late=late,
            signer=None if signer is asked.issuer else signer.encoded,
        )
        return signer, answer
    return None


def _list_signers(listed: RevocationList, asked: _Asked) -> Iterator[Certificate]:
    """Yield the certificates of a list's issuer: the certificate's own issuer first, others in a fixed order."""
    if asked.issuer.subject.key == listed.issuer.key:
        yield asked.issuer
    anchor = asked.sources.anchor
    others = _bearing(listed.issuer, {anchor, *asked.sources.pool} - {asked.issuer.encoded})
    fitting = [one for one in others if one.encoded == anchor or _may_sign_lists(one)]
    yield from sorted(fitting, key=lambda one: x509ext.key_identifier_of(one) != listed.authority_key)[:SIGNERS_MAX]


def _may_sign_lists(certificate: Certificate) -> bool:
    """A namesake of the issuer must say that it signs lists; it may have been made for something else."""
    usage = x509ext.usage_of(certificate)
    return x509ext.is_authority(certificate) if usage is None else x509ext.CRL_SIGN in usage


def _is_signed_by(listed: RevocationList, key: bytes) -> bool:
    return _list_holds(listed.encoded, key)


@lru_cache(maxsize=256)
def _list_holds(encoded: bytes, key: bytes) -> bool:
    listed = crls.read(encoded)
    assert listed is not None
    return pubkeys.verify(key, listed.algorithm, signed=listed.signed, value=listed.value) is True


def _continued(
    answer: Answer, complete: RevocationList, delta: RevocationList | None, certificate: Certificate
) -> Answer | None:
    """Look a certificate up in a complete list and the delta list behind it (RFC 5280, 6.3.3 i to l)."""
    try:
        entry = complete.find(certificate)
        changed = delta.find(certificate) if delta is not None else None
    except ValueError:
        return None
    found = entry
    if changed is not None:
        found = None if changed.reason == "removeFromCRL" else changed
    if found is not None and found.reason == "removeFromCRL":
        return None  # belongs into a delta list alone
    spoilt = any(one is not None and one.has_unknown_entries for one in (complete, delta))
    if spoilt and found is None:
        return None  # an entry not understood in full still revokes, but such a list clears nobody
    if delta is not None:
        later = max(complete.this_update, delta.this_update)
        ends = [one.next_update for one in (complete, delta) if one.next_update is not None]
        answer = replace(answer, this_update=later, next_update=max(ends, default=None), more=(delta.encoded,))
    return _with_entry(answer, found)


def _with_entry(answer: Answer, entry: Entry | None) -> Answer:
    return answer if entry is None else replace(answer, revoked_at=entry.effective, reason=entry.reason)


# --- OCSP ------------------------------------------------------------------------------------------------------------


def _from_ocsp(data: bytes, asked: _Asked, lists: list[RevocationList]) -> Iterator[Answer]:
    found = ocsps.read(data)
    if found is None or not found.understood:
        return
    about = [one for one in found.statements if one.understood and one.is_about(asked.certificate, asked.issuer)]
    if not about:
        return
    about.sort(key=lambda one: (one.status != "revoked", one.status != "unknown"))  # of several the worst counts
    for responder in _responders(found, asked):
        answer = _ocsp_answer(found, about[0], responder, asked, lists)
        if answer is not None and not is_ahead(answer.this_update, asked.sources.at):
            yield answer
            return


def _responders(found: OcspAnswer, asked: _Asked) -> Iterator[Certificate]:
    """Yield who may have signed: the issuer, or a delegate found in the answer or beside it."""
    if found.names(asked.issuer):
        yield asked.issuer
    for encoded in dict.fromkeys((*found.certificates, *sorted(asked.sources.pool))):
        try:
            candidate = read(encoded)
        except ValueError:
            continue
        if found.names(candidate) and candidate.encoded != asked.issuer.encoded and _is_delegate(candidate, asked):
            yield candidate


def _is_delegate(candidate: Certificate, asked: _Asked) -> bool:
    if candidate.issuer.key != asked.issuer.subject.key or OCSP_SIGNING not in (x509ext.purposes_of(candidate) or ()):
        return False
    if candidate.faults or pathrules.unknown_critical(candidate) is not None:
        return False
    return paths.is_issued_by(candidate.encoded, asked.issuer.encoded) and _is_certified(candidate, asked.key)


def _is_certified(candidate: Certificate, key: bytes) -> bool:
    """What cannot be computed is certified by nobody: whoever says *revoked* must be who he says he is."""
    held = pubkeys.verify(key, candidate.algorithm, signed=candidate.signed, value=candidate.value)
    return held is True


def _ocsp_answer(
    found: OcspAnswer, statement: Statement, responder: Certificate, asked: _Asked, lists: list[RevocationList]
) -> Answer | None:
    own = responder is asked.issuer
    key = asked.key if own else responder.key
    if pubkeys.verify(key, found.algorithm, signed=found.signed, value=found.value) is not True:
        return None
    if not own and _is_withdrawn(responder, asked, lists):
        return None
    algorithms = [signature_algorithm(found.algorithm, key)]
    if not own:
        algorithms.append(signature_algorithm(responder.algorithm, asked.key))
    inside = responder.not_before <= found.produced_at <= responder.not_after
    reason = REASONS.get(statement.reason or 0, "unspecified") if statement.revoked_at is not None else None
    return Answer(
        method="ocsp",
        data=found.encoded,
        this_update=statement.this_update,
        next_update=statement.next_update,
        revoked_at=statement.revoked_at,
        reason=reason,
        algorithms=tuple(algorithms),
        unknown=statement.status == "unknown",
        keeps_from=statement.cutoff,
        late=not inside and responder.encoded != asked.sources.anchor,
        signer=None if own else responder.encoded,
    )


def _is_withdrawn(delegate: Certificate, asked: _Asked, lists: list[RevocationList]) -> bool:
    """Tell whether a delegate that does not forgo checking is revoked by a list at hand."""
    if needs_no_status(delegate):
        return False
    about = replace(asked, certificate=delegate)
    return any(answer.revoked_at is not None for answer in _from_lists(lists, about))


def signature_algorithm(algorithm: bytes, key: bytes) -> Algorithm:
    """Return what something was signed with, given the AlgorithmIdentifier and the key (both DER)."""
    try:
        how = pubkeys.scheme(algorithm)
        loaded: object = pubkeys.load(key)[0]
    except (ValueError, IndexError):
        return Algorithm("unknown", "unknown", "unknown", 0, None, tt15=False)
    return describe(loaded, how.family, how.digest)


def sources(certificate: Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the OCSP and CRL addresses a certificate names."""
    ocsp = x509ext.addresses_of(certificate, method=x509ext.OCSP_ACCESS)
    return ocsp, x509ext.list_addresses_of(certificate)


def needs_no_status(certificate: Certificate) -> bool:
    """Tell whether the certificate is an OCSP signer's that asks not to be checked (``id-pkix-ocsp-nocheck``)."""
    return x509ext.OCSP_NOCHECK in certificate.extensions and OCSP_SIGNING in (x509ext.purposes_of(certificate) or ())
