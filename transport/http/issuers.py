"""Issuer certificates that a signature did not bring, fetched from where the certificate says (RFC 5280, 4.2.2.1).

Only with ``--online``. What comes is for building paths and is never trusted for it (signing.md 7.1).
"""

from __future__ import annotations

from collections.abc import Iterable

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from signer.errors import TrustError
from signer.trust import TrustStore, load_certificates
from transport.errors import TransportError
from transport.http.addresses import Reach
from transport.http.fetch import Ask, fetch

ISSUER_MAX_BYTES = 256 * 1024
ISSUER_TIME = 20.0
URLS_MAX = 8
"""Addresses asked for one file; a certificate of a stranger must not send us around the world."""


def addresses(certificates: Iterable[bytes]) -> tuple[str, ...]:
    """Return where the issuers of these certificates (DER) can be had, each address once."""
    found: dict[str, None] = {}
    for der in certificates:
        try:
            extensions = x509.load_der_x509_certificate(der).extensions
            access = extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
        except (ValueError, x509.ExtensionNotFound, x509.DuplicateExtension):
            continue
        for item in access:
            where = item.access_location
            is_issuer = item.access_method == AuthorityInformationAccessOID.CA_ISSUERS
            if is_issuer and isinstance(where, x509.UniformResourceIdentifier) and where.value.startswith("http"):
                found[where.value] = None
    return tuple(found)


def fetch_issuers(urls: Iterable[str], *, reach: Reach, timeout: float = ISSUER_TIME) -> TrustStore:
    """Return the certificates found at the addresses as intermediates; what cannot be had or read is left out."""
    found: list[bytes] = []
    for url in list(urls)[:URLS_MAX]:
        try:
            got = fetch(Ask("GET", url, {}), reach=reach, most=ISSUER_MAX_BYTES, timeout=timeout)
            if got.status == 200:
                found += load_certificates(got.body)
        except (TransportError, TrustError):
            continue
    return TrustStore(intermediates=tuple(dict.fromkeys(found)))
