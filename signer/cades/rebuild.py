"""A SignedData with more in it: certificates, status answers, unsigned attributes (RFC 5652, 5.1, 10.2, 11).

What was there stays as it stands, octet for octet, in the order of the file; only lengths around it change, and the
version where answers of OCSP ask for it. Neither is signed, nor covered by an archive stamp of version 3.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from signer import ber, der
from signer.ber import Node
from signer.cmsnames import ATTRIBUTES, OCSP_RESPONSE

_CERTIFICATES, _ANSWERS, _OTHER, _UNSIGNED = 0xA0, 0xA1, 0xA1, 0xA1
_VERSION_WITH_OTHERS = 5
_TYPES = {name: dotted for dotted, name in ATTRIBUTES.items()}


@dataclass(frozen=True, slots=True)
class More:
    """What is added: certificates, lists and OCSP answers (DER), and by signer's number unsigned attributes (DER)."""

    certificates: tuple[bytes, ...] = ()
    crls: tuple[bytes, ...] = ()
    ocsps: tuple[bytes, ...] = ()
    unsigned: Mapping[int, Sequence[bytes]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether there is anything."""
        return bool(self.certificates or self.crls or self.ocsps or self.unsigned)


def attribute(name: str, value: bytes) -> bytes:
    """Return an attribute of one value, its type by name."""
    return der.encode(der.SEQUENCE, der.encode_identifier(_TYPES[name]), der.encode(der.SET, value))


def rebuilt(data: bytes, more: More) -> bytes:
    """Return the ContentInfo with more in it.

    Raises:
        ValueError: it is no ContentInfo with SignedData.
    """
    kind, framed = ber.whole(data).expect(der.SEQUENCE).parts()
    version, digests, encapsulated, *optional, signers = framed.first().expect(der.SEQUENCE).parts()
    held = {part.tag: part for part in optional}
    answers = [*more.crls, *(_other(answer) for answer in more.ocsps)]
    body = der.encode(
        der.SEQUENCE,
        der.encode_integer(_VERSION_WITH_OTHERS) if more.ocsps else version.encoded,
        digests.encoded,
        encapsulated.encoded,
        _set(held.get(_CERTIFICATES), more.certificates, _CERTIFICATES),
        _set(held.get(_ANSWERS), answers, _ANSWERS),
        _signers(signers, more.unsigned),
    )
    return der.encode(der.SEQUENCE, kind.encoded, der.encode(0xA0, body))


def _other(answer: bytes) -> bytes:
    """Return an OCSP answer as other revocation information (RFC 5940, 2.1)."""
    return der.encode(_OTHER, der.encode_identifier(OCSP_RESPONSE), answer)


def _set(found: Node | None, more: Sequence[bytes], tag: int) -> bytes:
    """Return a field that is a SET OF; one that grows is written in the order of DER."""
    if not more:
        return found.encoded if found is not None else b""
    old = [one.encoded for one in found.parts()] if found is not None else []
    return der.encode(tag, *sorted((*old, *more)))


def _signers(found: Node, more: Mapping[int, Sequence[bytes]]) -> bytes:
    if not more:
        return found.encoded
    listed = [_signer(one, more.get(number, ())) for number, one in enumerate(found.expect(der.SET).parts())]
    return der.encode(der.SET, *listed)


def _signer(found: Node, more: Sequence[bytes]) -> bytes:
    """Return a SignerInfo with more unsigned attributes behind the others."""
    if not more:
        return found.encoded
    parts = found.expect(der.SEQUENCE).parts()
    last = parts.pop() if parts[-1].tag == _UNSIGNED else None
    old = [one.encoded for one in last.parts()] if last is not None else []
    return der.encode(der.SEQUENCE, *(part.encoded for part in parts), der.encode(_UNSIGNED, *old, *more))
