"""What a token shows, which certificate on it is meant, and which key is its own (signing.md 2, K2). Pure.

Promises: no choice is a guess. Where several certificates could be meant the refusal names them with label and id.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from signer import certificates
from signer.algorithms import Scheme
from signer.errors import CredentialError
from signer.tokenuri import TokenUri


class PinState(StrEnum):
    """How the token says its PIN stands; said to a person before the PIN is asked."""

    GOOD = "good"
    LOW = "low"  # at least one wrong PIN since the last right one
    FINAL = "final"  # one more wrong PIN locks the token
    LOCKED = "locked"
    UNSET = "unset"


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """A token as it is listed. ``pad``: the PIN is typed on the device itself; ``login``: it wants one at all."""

    label: str
    serial: str
    manufacturer: str
    model: str
    slot: int
    pin: PinState
    pad: bool = False
    login: bool = True

    @property
    def name(self) -> str:
        """Label and serial number, as refusals name a token."""
        return f"{self.label} ({self.serial})"


@dataclass(frozen=True, slots=True)
class Stored:
    """A certificate (DER), with the CKA_ID and label it has on the token; both ``None`` if it comes from elsewhere."""

    der: bytes
    id: bytes | None = None
    label: str | None = None

    @classmethod
    def of(cls, der: bytes) -> Self:
        """Return a certificate that lies beside the token."""
        return cls(der)

    def __str__(self) -> str:
        shown = "" if self.id is None else "".join(f"%{byte:02X}" for byte in self.id)
        return f"object={self.label or ''};id={shown}"


def choose(
    stored: Sequence[Stored], wanted: TokenUri, *, given: Sequence[bytes], keys: Mapping[bytes, bytes]
) -> Stored | None:
    """Return the certificate to sign with, ``None`` if what can be seen does not tell.

    ``given`` are certificates from files; ``keys`` the public keys that are seen, by CKA_ID, in the form
    of ``public_of``.

    Raises:
        CredentialError: several could be meant (EDOC-KEY-023).
    """
    found = [one for one in stored if _is_meant(one, wanted)]
    if len(found) > 1:
        leaves = [one for one in found if not _is_authority(one.der)] or found
        owned = [one for one in leaves if one.id in keys] or leaves
        found = [one for one in owned if one.der in given] or owned
    if len(found) > 1:
        raise CredentialError(
            "EDOC-KEY-023", "several certificates fit", wanted=str(wanted), found=[str(one) for one in found]
        )
    return found[0] if found else _given(wanted, given, keys)


def _is_meant(one: Stored, wanted: TokenUri) -> bool:
    if not one.id:
        return False  # without CKA_ID no key is found by it
    return (wanted.id is None or one.id == wanted.id) and (wanted.object is None or one.label == wanted.object)


def _is_authority(der: bytes) -> bool:
    try:
        found = certificates.certificate(der).extensions.get_extension_for_class(x509.BasicConstraints)
    except (ValueError, x509.ExtensionNotFound):
        return False
    return found.value.ca


def leaf_of(found: Sequence[bytes]) -> bytes | None:
    """Return the one certificate (DER) that is no authority's; ``None`` if there are none or several."""
    leaves = [der for der in found if not _is_authority(der)]
    return leaves[0] if len(leaves) == 1 else None


def _given(wanted: TokenUri, given: Sequence[bytes], keys: Mapping[bytes, bytes]) -> Stored | None:
    """Return the certificate from elsewhere whose public key the token shows, with the id of that key."""
    seen = {public: id for id, public in keys.items() if wanted.id is None or id == wanted.id}
    found = [Stored(der, seen[public]) for der in given if (public := public_of(der)) is not None and public in seen]
    return found[0] if len(found) == 1 else None


def fitting(public: bytes | None, id: bytes, candidates: Sequence[Stored]) -> Stored | None:
    """Return the certificate of a key: by its CKA_ID, else by its public key where that is known, else the only one."""
    by_id = [one for one in candidates if one.id == id and one.id]
    if len(by_id) == 1:
        return by_id[0]
    if public is not None:
        return next((Stored(one.der, id) for one in candidates if public_of(one.der) == public), None)
    loose = [one for one in candidates if one.id is None and not _is_authority(one.der)]
    return Stored(loose[0].der, id) if len(loose) == 1 else None


def public_of(der: bytes) -> bytes | None:
    """Return the public key of a certificate as it is compared: the RSA modulus, or the curve point; else ``None``."""
    try:
        key = certificates.certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    if isinstance(key, rsa.RSAPublicKey):
        return modulus(key.public_numbers().n.to_bytes((key.key_size + 7) // 8, "big"))
    if isinstance(key, ec.EllipticCurvePublicKey):
        return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return None


def kind_of(der: bytes) -> str | None:
    """Return ``RSA`` or ``EC`` for the key of a certificate, ``None`` for kinds that tokens do not sign with here."""
    try:
        key = certificates.certificate(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "EC" if isinstance(key, ec.EllipticCurvePublicKey) else None


def served(schemes: Collection[Scheme], kind: str | None) -> frozenset[Scheme]:
    """Return the schemes that are of a kind of key: some libraries crash when they are asked for another one's."""
    start = {"RSA": "rsa-", "EC": "ecdsa-"}.get(kind or "", "-")
    return frozenset(scheme for scheme in schemes if scheme.value.startswith(start))


def modulus(raw: bytes) -> bytes:
    """Return an RSA modulus as tokens give it (CKA_MODULUS), without leading zeros."""
    return raw.lstrip(b"\0")


def point(raw: bytes) -> bytes:
    """Return the point of CKA_EC_POINT: a DER OCTET STRING by the standard, bare on some tokens."""
    if len(raw) > 2 and raw[0] == 0x04 and raw[1] == len(raw) - 2 and raw[2] in (2, 3, 4):
        return raw[2:]
    if len(raw) > 3 and raw[:2] == b"\x04\x81" and raw[2] == len(raw) - 3:
        return raw[3:]
    return raw
