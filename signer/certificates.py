"""Reading certificates, lists and answers that others made: whatever is wrong with them is one ``ValueError``.

The library has error classes beside ``ValueError`` (versions, doubled extensions, unknown names), and reads most things
only when asked. Here all of it is asked for once; the last certificates are remembered, for a path is read many times.
"""

from __future__ import annotations

import warnings
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp

from signer import pubkeys, x509ext, x509read

_FAULTS = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


# The library remarks on certificates of others as if they were ours to mend; what matters is judged, the rest is noise.
warnings.filterwarnings("ignore", message="Attribute's length must be", module=r"signer(\..*)?")
warnings.filterwarnings("ignore", message="Parsed a serial number", module=r"signer(\..*)?")


@lru_cache(maxsize=512)
def certificate(der: bytes) -> x509.Certificate:
    """Return a certificate whose names and dates can be read; its key is another matter, see ``public_key``.

    Raises:
        ValueError: not a certificate, or one that cannot be read so far.
    """
    try:
        found = x509.load_der_x509_certificate(der)
        _touch(found.subject.rfc4514_string(), found.issuer.rfc4514_string(), found.serial_number)
        _touch(found.not_valid_before_utc, found.not_valid_after_utc)
    except _FAULTS as error:
        raise ValueError(f"damaged certificate: {type(error).__name__}") from None
    return found


@lru_cache(maxsize=512)
def complete(der: bytes) -> x509.Certificate:
    """Return a certificate whose key and extensions can be read too: what a path needs.

    Raises:
        ValueError: it cannot be read in full.
    """
    found = certificate(der)
    try:
        _touch(found.public_key(), *found.extensions)
    except _FAULTS as error:
        raise ValueError(f"damaged certificate: {type(error).__name__}") from None
    return found


def public_key(der: bytes) -> tuple[object, bool]:
    """Return a certificate's public key, and whether it is encoded wrongly: an RSA modulus written as negative number.

    Such certificates are in use; the key is read as it was meant, for checking only (signing.md 4.1, E4).

    Raises:
        ValueError: the key cannot be read.
    """
    return pubkeys.load(x509read.read(der).key)


def key_identifier(der: bytes) -> bytes | None:
    """Return the SubjectKeyIdentifier of a certificate, or ``None`` if it has none that can be read."""
    try:
        return x509ext.key_identifier_of(x509read.read(der))
    except ValueError:
        return None


def _touch(*_: object) -> None:
    """Take what has been read: the library reads it only now, and its errors come here."""


def crl(der: bytes) -> x509.CertificateRevocationList:
    """Return a revocation list whose times and extensions can be read.

    Raises:
        ValueError: it is not one.
    """
    try:
        found = x509.load_der_x509_crl(der)
        _touch(*found.extensions, found.issuer.rfc4514_string(), found.last_update_utc, found.next_update_utc)
    except _FAULTS as error:
        raise ValueError(f"damaged revocation list: {type(error).__name__}") from None
    return found


def ocsp_response(der: bytes) -> ocsp.OCSPResponse:
    """Return an OCSP answer; a successful one has readable statements, certificates and extensions.

    Raises:
        ValueError: it is not one.
    """
    try:
        found = ocsp.load_der_ocsp_response(der)
        if found.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL:
            _touch(*found.responses, *found.extensions, *found.certificates, found.produced_at_utc)
    except _FAULTS as error:
        raise ValueError(f"damaged OCSP answer: {type(error).__name__}") from None
    return found


def _is_of_kind(key: object, signature_oid: str) -> bool:
    """Tell whether a key can have made a signature of this algorithm; others than RSA and ECDSA are not told apart."""
    if signature_oid.startswith("1.2.840.113549.1.1."):
        return isinstance(key, rsa.RSAPublicKey)
    if signature_oid.startswith("1.2.840.10045.4."):
        return isinstance(key, ec.EllipticCurvePublicKey)
    return True


def is_issued_by(child: x509.Certificate, issuer: x509.Certificate) -> bool | None:
    """Tell whether the issuer's key signed the child; ``None`` if this library cannot compute it."""
    try:
        if not _is_of_kind(issuer.public_key(), child.signature_algorithm_oid.dotted_string):
            return False  # a namesake of the issuer, with a key of another kind
        child.verify_directly_issued_by(issuer)
    except InvalidSignature:
        return False
    except _FAULTS:
        return None
    return True
