"""One signer of a SignedData as facts: mathematics, structure, stamps, counter-signatures (signing.md 6, S1; 4.1).

Certificates are looked for in the file first; those of the caller can only help. Without the certificate integrity is
what the message digest says. A counter-signature is an entry of its own, over the value of what it countersigns.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Protocol

from signer import asn1, ber, certificates, der
from signer.cades.content import Octets
from signer.cades.policies import policy_reasons
from signer.cades.stamps import Signed, lost, stamps
from signer.cades.values import Held, held_by
from signer.cms import DIGEST_NAMES, CmsCheck, check_signer
from signer.judge import Facts
from signer.report import Code, Covers, Crypto, Integrity, Reason
from signer.signeddata import SignedData, SignerInfo, read_signer_info
from signer.trust import Context, TrustStore

COUNTER_DEPTH = 8
"""Counter-signatures of counter-signatures that are followed."""
BROKEN = frozenset({Code.FORMAT_FAILURE, Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE})


@dataclass(frozen=True, slots=True)
class Setting:
    """What the signers of one SignedData have in common.

    ``content`` is what was signed, ``None`` if it is not at hand; ``other`` is content the caller says was signed
    although the signature carries its own; ``beside`` are certificates found beside the file.
    """

    signed: SignedData
    content: Octets | None
    context: Context
    other: tuple[Octets, ...] = ()
    beside: tuple[bytes, ...] = ()


def examine(id: str, info: SignerInfo, setting: Setting) -> tuple[Facts, ...]:
    """Return the facts of a signer, and of everybody who countersigned it, in order."""
    signed = setting.signed
    held = held_by(info, signed)
    found = _check(info, setting, held)
    facts = _facts(id, info, found, held)
    own = Signed(info, signed, setting.content)
    is_stamp = signed.content_type == "tst_info"
    reasons = (*facts.structural, *_time_reasons(info), *policy_reasons(info, setting.context))
    facts = replace(
        facts,
        stamps=() if is_stamp else stamps(id, own),
        signing_time=signing_time(info),
        structural=reasons,
        integrity=_integrity(info, replace(found, reasons=reasons)),
        warnings=(*facts.warnings, *((Reason(Code.VALIDATION_DATA_LOST),) if lost(info, signed) else ())),
        level="CAdES-B-B" if found.has_ess and signing_time(info) is not None and not is_stamp else "CMS",
    )
    return (facts, *_counters(id, info, held, setting.context))


def _check(info: SignerInfo, setting: Setting, held: Held) -> CmsCheck:
    """Check a signer with the certificates of the file, then with those beside it and of the caller."""
    found = _with(info, setting, held.certificates)
    if found.certificate is None and setting.beside:
        found = _with(info, setting, setting.beside)
    if found.certificate is None:
        trust = setting.context.trust
        helped = _with(info, setting, (*trust.intermediates, *(one.certificate for one in trust.anchors)))
        if helped.crypto is Crypto.OK and not helped.reasons:
            return helped
    return found


def _with(info: SignerInfo, setting: Setting, candidates: Sequence[bytes]) -> CmsCheck:
    content = setting.content
    found = check_signer(
        info,
        content_digest=content.digest(info.digest) if content is not None else None,
        content=content.data if content is not None else None,
        content_type=setting.signed.content_type,
        candidates=candidates,
    )
    if setting.other and not any(one.digest("sha256") == _sha256(content) for one in setting.other):
        differs = Reason(Code.HASH_FAILURE, {"part": "content"})
        return replace(found, crypto=Crypto.BAD, reasons=(differs, *found.reasons))
    return found


def _sha256(content: Octets | None) -> bytes | None:
    return content.digest("sha256") if content is not None else None


def _facts(id: str, info: SignerInfo, found: CmsCheck, held: Held) -> Facts:
    readable = tuple(one for one in held.certificates if _is_readable(one))
    odd = len(readable) != len(held.certificates)
    warnings = (Reason(Code.MALFORMED, {"where": "CMS certificates"}),) if odd else ()
    digests = (name for name in found.digest_algorithms if not (info.scheme == "ed448" and name.startswith("shake")))
    return Facts(
        id=id,
        crypto=found.crypto,
        integrity=_integrity(info, found),
        covers=Covers.WHOLE,
        level="CMS",
        certificate=found.certificate,
        algorithm=found.algorithm,
        digests=tuple(DIGEST_NAMES.get(name, name) for name in digests),
        candidates=readable,
        embedded=TrustStore(crls=held.crls, ocsps=held.ocsps),
        structural=found.reasons,
        warnings=(*found.warnings, *warnings),
        value_sha256=hashlib.sha256(info.value).hexdigest(),
    )


def _is_readable(certificate: bytes) -> bool:
    try:
        certificates.complete(certificate)
    except ValueError:
        return False
    return True


def _integrity(info: SignerInfo, found: CmsCheck) -> Integrity:
    codes = {reason.code for reason in found.reasons}
    if found.crypto is Crypto.BAD or codes & BROKEN:
        return Integrity.BROKEN
    absent = found.certificate is None and info.signed_attributes is not None
    known = codes <= {Code.NO_SIGNING_CERTIFICATE_FOUND, Code.SIGNATURE_POLICY_NOT_AVAILABLE}
    return Integrity.INTACT if found.crypto is Crypto.OK or (absent and known) else Integrity.UNKNOWN


def signing_time(info: SignerInfo) -> datetime | None:
    """Return the time the signer claims, if it can be read."""
    values = [value for values in info.values("signing_time") for value in values]
    try:
        return der.moment(der.whole(values[0])) if values else None
    except ValueError:
        return None


def _time_reasons(info: SignerInfo) -> tuple[Reason, ...]:
    if info.values("signing_time") and signing_time(info) is None:
        return (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "signing-time"}))
    return ()


# --- counter-signatures ----------------------------------------------------------------------------------------------


def _counters(id: str, info: SignerInfo, held: Held, context: Context, *, depth: int = 1) -> tuple[Facts, ...]:
    """Return the facts of the counter-signatures of a signer, nested ones behind their own."""
    found: list[Facts] = []
    values = info.unsigned_values("counter_signature")
    for number, value in enumerate(values[: context.limits.signatures]):
        name = f"{id}/counter-{number}"
        try:
            counter = read_signer_info(ber.whole(value))
        except ValueError:
            found.append(_unreadable(name, id))
            continue
        found.append(_counter(name, id, counter, info, held=held, context=context))
        if depth < COUNTER_DEPTH:
            found += _counters(name, counter, held, context, depth=depth + 1)
        elif counter.unsigned_values("counter_signature"):
            limit = Reason(Code.LIMIT_EXCEEDED, {"limit": "signatures"})
            found.append(_unknown(f"{name}/counter-0", id, limit))
    return tuple(found)


def _counter(name: str, id: str, counter: SignerInfo, info: SignerInfo, *, held: Held, context: Context) -> Facts:
    """Check a counter-signature over the value of the signature it stands at (RFC 5652, 11.4)."""
    none = SignedData("data", info.value, held.certificates, (), (), (), 0)
    setting = Setting(none, Octets(info.value), context)
    own = held_by(counter, none)
    found = check_signer_of_value(counter, setting, own)
    facts = _facts(name, counter, found, own)
    facts = replace(
        facts,
        covers=Covers.PARTIAL,
        covered=(id,),
        signing_time=signing_time(counter),
        embedded=TrustStore(crls=held.crls, ocsps=held.ocsps),
        stamps=stamps(name, Signed(counter, none, setting.content)),
        level="CAdES-B-B" if found.has_ess and signing_time(counter) is not None else "CMS",
    )
    if facts.integrity is Integrity.BROKEN:
        broken = Reason(Code.COUNTER_SIGNATURE_BROKEN)
        return replace(facts, structural=(*facts.structural, broken))
    return facts


def check_signer_of_value(counter: SignerInfo, setting: Setting, held: Held) -> CmsCheck:
    """Check a counter-signature, which states no content type; one that states some is read too."""
    trust = setting.context.trust
    given = (*trust.intermediates, *(one.certificate for one in trust.anchors))
    content = setting.content
    assert content is not None  # the value it is over

    def checked(candidates: Sequence[bytes]) -> CmsCheck:
        return check_signer(
            counter,
            content_digest=content.digest(counter.digest),
            content=content.data,
            content_type=None,
            candidates=candidates,
        )

    found = checked(held.certificates)
    if found.certificate is None:
        helped = checked(given)
        return helped if helped.crypto is Crypto.OK and not helped.reasons else found
    return found


def _unreadable(name: str, id: str) -> Facts:
    why = (Reason(Code.FORMAT_FAILURE), Reason(Code.COUNTER_SIGNATURE_BROKEN))
    return Facts(name, Crypto.UNKNOWN, Integrity.BROKEN, Covers.PARTIAL, "CMS", None, structural=why, covered=(id,))


def _unknown(name: str, id: str, why: Reason) -> Facts:
    structural = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), why)
    return Facts(
        name, Crypto.UNKNOWN, Integrity.UNKNOWN, Covers.PARTIAL, "CMS", None, structural=structural, covered=(id,)
    )


# --- time-stamp tokens -----------------------------------------------------------------------------------------------


class Digested(Protocol):
    """What a token may be over: anything that has a digest."""

    def digest(self, name: str) -> bytes | None:
        """Return the digest by a hash named as in CMS; ``None`` if it cannot be computed."""


def examine_token(id: str, token: bytes, *, content: Digested | None, context: Context) -> Facts:
    """Return the facts of a stand-alone token: "existed at", and over what, if that is at hand.

    Raises:
        ValueError: it is no token.
    """
    signed = asn1.read_signed_data(token)
    if signed.content_type != "tst_info" or signed.content is None or len(signed.signers) != 1:
        raise ValueError("no time-stamp token")
    info = asn1.read_tst_info(signed.content)
    setting = Setting(signed, Octets(signed.content), context)
    (facts,) = examine(id, signed.signers[0], setting)[:1]
    reasons, integrity = facts.structural, facts.integrity
    made = content.digest(info.digest) if content is not None else None
    crypto = facts.crypto
    if content is None:
        reasons = (*reasons, Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": "content"}))
    elif made is None:
        named = {"algorithm": info.digest}
        reasons = (*reasons, Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, named), Reason(Code.ALGORITHM_UNSUPPORTED, named))
    elif made != info.imprint:
        reasons, crypto = (Reason(Code.HASH_FAILURE, {"part": "content"}), *reasons), Crypto.BAD
        integrity = Integrity.BROKEN
    if made is None and integrity is Integrity.INTACT:
        integrity = Integrity.UNKNOWN
    digests = (*facts.digests, DIGEST_NAMES.get(info.digest, info.digest))
    return replace(
        facts,
        kind="timestamp",
        level="RFC3161",
        crypto=crypto,
        integrity=integrity,
        structural=reasons,
        signing_time=info.time,
        digests=tuple(dict.fromkeys(digests)),
        value_sha256=hashlib.sha256(token).hexdigest(),
    )
