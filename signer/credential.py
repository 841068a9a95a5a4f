"""A private key with its certificate and chain: loaded once, held, used through one port, never shown (signing.md 2).

Keys come from PEM (PKCS#8 or traditional, plain or encrypted), DER and PKCS#12. A credential checks that key and
certificate belong together, verifies every value it makes with the public key before it hands it out (a faulty token
must not publish a value that betrays its key), cannot be pickled, and its ``repr`` shows subject and serial only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import NoReturn, Protocol, TypeGuard, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import pkcs12

from signer import certificates
from signer.algorithms import Scheme
from signer.errors import CredentialError

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey
PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(),
    "sha384": hashes.SHA384(),
    "sha512": hashes.SHA512(),
}


class Role(StrEnum):
    """What a key is for. An exchange key never signs documents, an agency key never alone (R28, R29)."""

    PERSON = "person"
    AGENCY = "agency"
    EXCHANGE = "exchange"
    REQUEST = "request"
    TLS = "tls"


@final
class Secret:
    """A PIN or pass phrase: wiped after use, never printed, compared or pickled."""

    __slots__ = ("_value",)
    __hash__ = None  # type: ignore[assignment]  # no equality, so no hash

    def __init__(self, value: bytes | bytearray) -> None:
        self._value = bytearray(value)

    def reveal(self) -> bytes:
        """Return the bytes; keep them no longer than one call needs."""
        return bytes(self._value)

    def wipe(self) -> None:
        """Overwrite the bytes."""
        self._value[:] = bytes(len(self._value))

    def __eq__(self, other: object) -> NoReturn:
        raise TypeError("secrets are not compared")

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__

    def __reduce__(self) -> NoReturn:
        raise TypeError("secrets are not pickled")


PassphraseSource = Callable[[str], Secret | None]
"""Asked once with the name of what is opened; ``None`` means that there is no pass phrase."""


class SigningPort(Protocol):
    """The one thing asked of a key: digests in, values out, in the same order. ECDSA values are DER-encoded."""

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Sign digests made with ``scheme.digest``.

        Raises:
            CredentialError: the key cannot be used.
        """
        ...


@final
class SoftwareKey:
    """A key in memory."""

    __slots__ = ("_key",)

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Sign each digest; see ``SigningPort``."""
        return [self._one(digest, scheme) for digest in digests]

    def _one(self, digest: bytes, scheme: Scheme) -> bytes:
        key, algorithm = self._key, _HASHES[scheme.digest]
        if isinstance(key, rsa.RSAPrivateKey) and scheme.value.startswith("rsa-"):
            return key.sign(digest, _padding(scheme), Prehashed(algorithm))
        if isinstance(key, ec.EllipticCurvePrivateKey) and scheme.value.startswith("ecdsa-"):
            return key.sign(digest, ec.ECDSA(Prehashed(algorithm)))
        raise CredentialError("EDOC-KEY-006", "the key does not serve this scheme", scheme=scheme.value)

    def __repr__(self) -> str:
        return "SoftwareKey(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")


@final
class LockedKey:
    """Stands where the key of a credential will be once it is unlocked: everything but signing can be done with it."""

    __slots__ = ()

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Refuse; see ``SigningPort``."""
        raise CredentialError("EDOC-KEY-003", "the key is not unlocked yet")


def _padding(scheme: Scheme) -> padding.AsymmetricPadding:
    if "-pss-" in scheme.value:
        algorithm = _HASHES[scheme.digest]
        return padding.PSS(padding.MGF1(algorithm), algorithm.digest_size)
    return padding.PKCS1v15()


def verify_value(public: PublicKey, value: bytes, digest: bytes, scheme: Scheme) -> bool:
    """Tell whether ``value`` is a signature over ``digest`` by this key and scheme."""
    algorithm = _HASHES[scheme.digest]
    try:
        if isinstance(public, rsa.RSAPublicKey) and scheme.value.startswith("rsa-"):
            public.verify(value, digest, _padding(scheme), Prehashed(algorithm))
        elif isinstance(public, ec.EllipticCurvePublicKey) and scheme.value.startswith("ecdsa-"):
            public.verify(value, digest, ec.ECDSA(Prehashed(algorithm)))
        else:
            return False
    except InvalidSignature:
        return False
    return True


@final
@dataclass(frozen=True)
class Credential:
    """A key that can be used, with its certificate (DER), the chain above it (DER, issuer first) and its role."""

    certificate: bytes
    role: Role
    port: SigningPort
    chain: tuple[bytes, ...] = field(default=())
    schemes: frozenset[Scheme] | None = field(default=None)
    """What the holder of the key can do, where it says so (a token, a remote service); ``None``: all its type can."""

    @cached_property
    def x509(self) -> x509.Certificate:
        """The certificate, parsed."""
        return certificates.certificate(self.certificate)

    @cached_property
    def public_key(self) -> PublicKey:
        """The certificate's public key."""
        key = self.x509.public_key()
        if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey):
            raise CredentialError("EDOC-KEY-006", "keys of this type do not sign here", scheme=type(key).__name__)
        return key

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of the certificate, hexadecimal."""
        return self.x509.fingerprint(hashes.SHA256()).hex()

    @property
    def key_type(self) -> str:
        """``RSA``, ``EC`` or ``Ed25519``."""
        if isinstance(self.public_key, rsa.RSAPublicKey):
            return "RSA"
        return "EC" if isinstance(self.public_key, ec.EllipticCurvePublicKey) else "Ed25519"

    @property
    def bits(self) -> int:
        """Size of the key in bits."""
        return 255 if isinstance(self.public_key, ed25519.Ed25519PublicKey) else self.public_key.key_size

    @property
    def threads(self) -> bool:
        """Whether several threads may sign with the key at once: a key in memory yes, a token or a service never."""
        return isinstance(self.port, SoftwareKey)

    def serves(self, scheme: Scheme) -> bool:
        """Say whether the holder of the key makes values of this scheme, as far as it says."""
        return self.schemes is None or scheme in self.schemes

    def sign(self, digest: bytes, scheme: Scheme) -> bytes:
        """Sign one digest and check the value with the public key before handing it out.

        Raises:
            CredentialError: the key cannot be used, or made a value that does not verify.
        """
        return self.sign_many((digest,), scheme)[0]

    def sign_many(self, digests: Sequence[bytes], scheme: Scheme, *, jobs: int = 1) -> list[bytes]:
        """Sign digests, all with one call of the port; the values come in the same order, each checked.

        ``jobs`` threads share the work where the key lies in memory; tokens and services always work alone.

        Raises:
            CredentialError: the key cannot be used, or made a value that does not verify; then none is handed out.
        """
        if not self.serves(scheme):
            raise CredentialError("EDOC-KEY-006", "the key does not serve this scheme", scheme=scheme.value)
        if jobs > 1 and len(digests) > 1 and self.threads:
            return self._shared(digests, scheme, min(jobs, len(digests)))
        values, key = self.port.sign(digests, scheme), self.public_key
        pairs = zip(values, digests, strict=False)
        if len(values) != len(digests) or not all(verify_value(key, value, one, scheme) for value, one in pairs):
            raise CredentialError("EDOC-KEY-007", "the key made a value that its certificate does not verify")
        return values

    def _shared(self, digests: Sequence[bytes], scheme: Scheme, jobs: int) -> list[bytes]:
        step = -(-len(digests) // jobs)
        parts = [digests[start : start + step] for start in range(0, len(digests), step)]
        with ThreadPoolExecutor(jobs) as pool:
            done = pool.map(lambda part: self.sign_many(part, scheme), parts)
            return [value for values in done for value in values]

    def __repr__(self) -> str:
        return f"Credential({self.x509.subject.rfc4514_string()!r}, serial={self.x509.serial_number:X})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("credentials are not pickled")


def load_pem(
    data: bytes, *, role: Role, passphrase: PassphraseSource | None = None, chain: Sequence[bytes] = ()
) -> Credential:
    """Load a key and its certificate from PEM; ``chain`` adds certificates (DER), the leaf is the one the key fits.

    Raises:
        CredentialError: no key or certificate, wrong pass phrase, or they do not belong together.
    """
    opened = _open_pem(data, passphrase)
    del data  # see _Opened
    return _finished(opened, role, chain)


def load_pkcs12(data: bytes, *, role: Role, passphrase: PassphraseSource | None = None) -> Credential:
    """Load a key and its certificates from PKCS#12; the leaf is the certificate the key fits, whatever their order.

    Raises:
        CredentialError: wrong pass phrase, no key, or no certificate for it.
    """
    opened = _open_pkcs12(data, passphrase)
    del data  # see _Opened
    return _finished(opened, role, ())


def load_credential(
    data: bytes, *, role: Role, passphrase: PassphraseSource | None = None, chain: Sequence[bytes] = ()
) -> Credential:
    """Load a credential, telling PEM, DER key and PKCS#12 apart by content.

    Raises:
        CredentialError: as ``load_pem`` and ``load_pkcs12``, or the bytes are none of these.
    """
    opened = _open(data, passphrase)
    del data  # see _Opened
    return _finished(opened, role, chain)


_Opened = tuple[object, tuple[bytes, ...]] | CredentialError
"""A key and the certificates beside it, or why there are none. A failure is returned, not raised, to the function that
was called, and this one forgets the file first: no traceback holds a key file or a pass phrase among its locals."""

_Loader = Callable[[bytes, bytes | None], object]


def _finished(opened: _Opened, role: Role, chain: Sequence[bytes]) -> Credential:
    if isinstance(opened, CredentialError):
        raise opened
    key, certificates = opened
    return _assemble(key, [*certificates, *chain], role)


def _open(data: bytes, passphrase: PassphraseSource | None) -> _Opened:
    if b"-----BEGIN " in data[:65536]:
        return _open_pem(data, passphrase)
    if not data.startswith(b"0"):
        return CredentialError("EDOC-KEY-001", "neither PEM, DER nor PKCS#12")
    if _is_pkcs12(data):
        return _open_pkcs12(data, passphrase)
    key = _private_key(data, passphrase, serialization.load_der_private_key)
    return key if isinstance(key, CredentialError) else (key, ())


def _is_pkcs12(data: bytes) -> bool:
    """Tell a PFX by its head: SEQUENCE, INTEGER 3, SEQUENCE, data or signedData (RFC 7292, 4)."""
    head = data[:64]
    return b"\x02\x01\x03\x30" in head[:12] and b"\x2a\x86\x48\x86\xf7\x0d\x01\x07" in head


def _open_pem(data: bytes, passphrase: PassphraseSource | None) -> _Opened:
    key = _private_key(data, passphrase, serialization.load_pem_private_key)
    if isinstance(key, CredentialError):
        return key
    certificates = _pem_certificates(data)
    return certificates if isinstance(certificates, CredentialError) else (key, certificates)


def _open_pkcs12(data: bytes, passphrase: PassphraseSource | None) -> _Opened:
    secret = passphrase("PKCS#12") if passphrase else None
    bundle = _pkcs12(data, secret)
    if bundle is None:
        return CredentialError("EDOC-KEY-002", "the pass phrase is wrong or the container is damaged")
    held = [bundle.cert, *bundle.additional_certs]
    return bundle.key, tuple(item.certificate.public_bytes(serialization.Encoding.DER) for item in held if item)


def _pkcs12(data: bytes, secret: Secret | None) -> pkcs12.PKCS12KeyAndCertificates | None:
    try:
        if secret and b"\0" in secret.reveal():
            return None  # the library ends with a report of its own that shows the pass phrase
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # old encryption inside a container is no reason to refuse its key
            return pkcs12.load_pkcs12(data, secret.reveal() if secret else None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    finally:
        if secret:
            secret.wipe()


def _private_key(data: bytes, passphrase: PassphraseSource | None, load: _Loader) -> object | CredentialError:
    """Load a private key, asking for the pass phrase only if the key is encrypted."""
    try:
        return load(data, None)
    except TypeError:
        pass  # encrypted
    except (ValueError, UnsupportedAlgorithm):
        return CredentialError("EDOC-KEY-001", "no private key could be read")
    secret = passphrase("key") if passphrase else None
    if secret is None:
        return CredentialError("EDOC-KEY-003", "the key is encrypted and no pass phrase was given")
    try:
        return load(data, secret.reveal())
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return CredentialError("EDOC-KEY-002", "the pass phrase is wrong")
    finally:
        secret.wipe()


def _pem_certificates(data: bytes) -> tuple[bytes, ...] | CredentialError:
    if b"-----BEGIN CERTIFICATE-----" not in data:
        return ()
    try:
        found = x509.load_pem_x509_certificates(data)
    except (ValueError, x509.InvalidVersion):
        return CredentialError("EDOC-KEY-001", "a certificate beside the key cannot be read")
    return tuple(certificate.public_bytes(serialization.Encoding.DER) for certificate in found)


def _is_signing_key(key: object) -> TypeGuard[PrivateKey]:
    return isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey)


def _assemble(key: object, certificates: Sequence[bytes], role: Role) -> Credential:
    if not _is_signing_key(key):
        raise CredentialError("EDOC-KEY-001", "no private key of a supported type")
    wanted = _spki(key.public_key())
    unique = list(dict.fromkeys(certificates))
    leaf = next((der for der in unique if _certified(der) == wanted), None)
    if leaf is None:
        raise CredentialError("EDOC-KEY-005", "no certificate fits the private key")
    return Credential(leaf, role, SoftwareKey(key), ordered(leaf, [der for der in unique if der != leaf]))


def _parse(der: bytes) -> x509.Certificate:
    try:
        return certificates.certificate(der)
    except ValueError:
        raise CredentialError("EDOC-KEY-001", "a certificate cannot be read") from None


def _spki(key: PublicKey) -> bytes:
    return key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _certified(der: bytes) -> bytes | None:
    """Return the SubjectPublicKeyInfo of a certificate, or ``None`` for a kind of key that does not sign here."""
    try:
        key = _parse(der).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None
    supported = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey
    return _spki(key) if isinstance(key, supported) else None


def visible_certificates(data: bytes) -> tuple[bytes, ...]:
    """Return the certificates (DER) that a key file shows without its pass phrase: those of PEM; a PKCS#12 hides them.

    Raises:
        CredentialError: one of them cannot be read.
    """
    if b"-----BEGIN " not in data[:65536]:
        return ()
    found = _pem_certificates(data)
    if isinstance(found, CredentialError):
        raise found
    return found


def ordered(leaf: bytes, others: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return the certificates above the leaf, issuer first; those that do not belong to its path come last."""
    left, current = list(others), _parse(leaf)
    path: list[bytes] = []
    while True:
        above = next((der for der in left if _parse(der).subject == current.issuer), None)
        if above is None:
            return (*path, *left)
        left.remove(above)
        path.append(above)
        current = _parse(above)
