"""Who stands behind a TLS connection (exchange.md 4): the certificate a caller showed, to us or to a listed proxy.

Promises: a certificate counts only with a path to the given transport anchors, within its days; ``Client-Cert`` (RFC
9440) is read only from the addresses of listed proxies, and ignored from all others. Which key belongs to whom is the
node's to know: the path alone lets nobody in.
"""

from __future__ import annotations

import base64
import binascii
import ipaddress
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from transport.errors import Problem

DEPTH_MAX = 5
FIELD_MAX = 12 * 1024
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Channel:
    """What certificates of callers are judged with: anchors (DER), and the proxies that may pass one on."""

    anchors: tuple[bytes, ...] = ()
    proxies: tuple[Network, ...] = ()

    @classmethod
    def of(cls, client_ca: Path | None, proxies: Sequence[str]) -> Channel:
        """Read the anchors of a file, which the TLS library has taken already, and the networks of the settings."""
        anchors: tuple[bytes, ...] = ()
        if client_ca is not None:
            found = x509.load_pem_x509_certificates(client_ca.read_bytes())
            anchors = tuple(one.public_bytes(Encoding.DER) for one in found)
        return cls(anchors, tuple(ipaddress.ip_network(one) for one in proxies))

    def certificate_of(
        self, tls: ssl.SSLObject | None, address: str, headers: Sequence[tuple[str, str]], *, now: datetime
    ) -> bytes | None:
        """Return the certificate (DER) of the node that calls, ``None`` if it showed none.

        Raises:
            Problem: ``unauthenticated``: a listed proxy passed one on that has no path to the anchors.
        """
        if self._is_proxy(address):
            return self._passed_on(headers, now)
        shown = tls.getpeercert(binary_form=True) if tls is not None else None
        return shown or None  # its path was verified by the handshake

    def _is_proxy(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found.version == one.version and found in one for one in self.proxies)

    def _passed_on(self, headers: Sequence[tuple[str, str]], now: datetime) -> bytes | None:
        values = [value for name, value in headers if name.lower() == "client-cert"]
        chain = [value for name, value in headers if name.lower() == "client-cert-chain"]
        if not values:
            return None
        if len(values) > 1:
            raise Problem("unauthenticated", 401, "Client-Cert twice")
        try:
            leaf = _binary(values[0])
            between = [_binary(part) for value in chain for part in value.split(",")]
            good = _has_path(leaf, between, self.anchors, now)
        except ValueError as error:
            raise Problem("unauthenticated", 401, "Client-Cert is not in its form") from error
        if not good:
            raise Problem("unauthenticated", 401, "the certificate has no path to the transport anchors")
        return leaf


def spki_of(certificate: bytes) -> bytes:
    """Return the public key (SPKI, DER) of a certificate (DER). Raises ``ValueError`` for anything else."""
    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _binary(value: str) -> bytes:
    """Read one binary item of structured fields: ``:base64:``."""
    text = value.strip()
    if len(text) > FIELD_MAX or len(text) < 3 or not (text.startswith(":") and text.endswith(":")):
        raise ValueError("not a binary item")
    try:
        return base64.b64decode(text[1:-1], validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


def _has_path(leaf: bytes, between: Sequence[bytes], anchors: Sequence[bytes], now: datetime) -> bool:
    """Say whether a certificate leads to an anchor over the given ones, all within their days."""
    trusted = [x509.load_der_x509_certificate(one) for one in anchors]
    known = [x509.load_der_x509_certificate(one) for one in between[:DEPTH_MAX]]
    current = x509.load_der_x509_certificate(leaf)
    for _ in range(DEPTH_MAX):
        if not current.not_valid_before_utc <= now <= current.not_valid_after_utc:
            return False
        if any(_issued(current, anchor) and _may_issue(anchor, now) for anchor in trusted):
            return True
        issuer = next((one for one in known if _issued(current, one) and _may_issue(one, now)), None)
        if issuer is None or issuer == current:
            return False
        current = issuer
    return False


def _issued(one: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _may_issue(issuer: x509.Certificate, now: datetime) -> bool:
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        return False
    return constraints.ca and issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc
