"""The index of hashes of an archive stamp, versions 1 to 3 (EN 319 122-1, 5.5.2; TS 101 733, 6.4.2)."""

from __future__ import annotations

from dataclasses import dataclass, field

from signer import asn1, ber, der
from signer.cms import digest_with
from signer.cmsnames import DIGESTS
from signer.signeddata import Attribute

_NAMES = ("ats_hash_index_v3", "ats_hash_index_v2", "ats_hash_index")


@dataclass(frozen=True, slots=True)
class Index:
    """Hashes of what was there when the stamp was made; ``encoded`` is the index as it stands."""

    name: str
    digest: str
    certificates: frozenset[bytes]
    revocations: frozenset[bytes]
    attributes: frozenset[bytes]
    encoded: bytes = field(repr=False)

    def hash_of(self, encoded: bytes, among: frozenset[bytes]) -> bytes | None:
        """Return the hash of a value if the index has it: as it stands, or in DER."""
        for form in dict.fromkeys((encoded, _der(encoded))):
            digest = digest_with(self.digest, form)
            if digest in among:
                return digest
        return None

    def hashes_of(self, attribute: Attribute) -> list[tuple[bytes, bytes]]:
        """Return each value of an unsigned attribute that the index covers, with its hash.

        Version 3 hashes the type with each value, the others the attribute as a whole.
        """
        if self.name != "ats_hash_index_v3":
            digest = self.hash_of(attribute.encoded, self.attributes)
            if digest is not None:
                return [(value, digest) for value in attribute.values]
        if self.name == "ats_hash_index":
            return []
        pairs = ((value, attribute.type_encoded, value) for value in attribute.values)
        found = []
        for value, kind, octets in pairs:
            for form in dict.fromkeys((octets, _der(octets))):
                digest = digest_with(self.digest, kind + form)
                if digest in self.attributes:
                    found.append((value, digest))
                    break
        return found


def _der(encoded: bytes) -> bytes:
    """Return a value of indefinite length in DER; others stay as they are, however large they may be."""
    try:
        found = ber.whole(encoded)
        return ber.to_der(found) if found.is_indefinite else encoded
    except ValueError:
        return encoded


def read_index(token: bytes) -> Index | None:
    """Return the index in a token's unsigned attributes; ``None`` if there is not exactly one that can be read."""
    try:
        (signer,) = asn1.read_signed_data(token).signers
        held = [(name, values) for name, values in signer.unsigned if name in _NAMES]
        ((name, (value,)),) = held
        return _read(name, value)
    except ValueError:
        return None


def _read(name: str, value: bytes) -> Index | None:
    parts = ber.whole(value).expect(der.SEQUENCE).parts()
    digest = "sha256"
    if len(parts) == 4:
        oid = ber.identifier(parts.pop(0).expect(der.SEQUENCE).first())
        digest = DIGESTS.get(oid, oid)
    if len(parts) != 3:
        return None
    digest_with(digest, b"")  # one that can be computed
    lists = [frozenset(ber.octets(one) for one in part.expect(der.SEQUENCE).parts()) for part in parts]
    return Index(name, digest, lists[0], lists[1], lists[2], value)
