"""The signature policy a signer states (EN 319 122-1, 5.2.9; signing.md 1.3, rows 21 and 22).

An explicit policy is one the signature is to be judged by. It is not at hand unless the caller gives its document as
content named by its identifier (``1.2.3`` or ``urn:oid:1.2.3``); then its digest must be the one that was signed.
"""

from __future__ import annotations

from signer import ber, der
from signer.cms import digest_with
from signer.cmsnames import DIGESTS
from signer.report import Code, Reason
from signer.signeddata import SignerInfo
from signer.trust import Context


def policy_reasons(info: SignerInfo, context: Context) -> tuple[Reason, ...]:
    """Return what stands against a signature because of its policy; an implied policy asks for nothing."""
    values = [value for values in info.values("signature_policy_identifier") for value in values]
    if not values or values[0][:1] == b"\x05":
        return ()
    try:
        oid, *rest = ber.whole(values[0]).expect(der.SEQUENCE).parts()
        name = ber.identifier(oid)
    except ValueError:
        return (Reason(Code.POLICY_PROCESSING_ERROR, {"policy": "-"}),)
    named = {name, f"urn:oid:{name}"}
    given = [one.data for one in context.contents if one.name in named]
    facts = {"policy": name}
    if not given:
        return (Reason(Code.SIGNATURE_POLICY_NOT_AVAILABLE, facts),)
    return () if rest and _is_digest(rest[0], given[0]) else (Reason(Code.POLICY_PROCESSING_ERROR, facts),)


def _is_digest(found: ber.Node, document: bytes) -> bool:
    try:
        algorithm, value = found.expect(der.SEQUENCE).parts()
        oid = ber.identifier(algorithm.expect(der.SEQUENCE).first())
        return digest_with(DIGESTS.get(oid, oid), document) == ber.octets(value)
    except ValueError:
        return False
