"""TLS of the exchange (exchange.md 4): 1.2 at least, ECDHE and AEAD only, names verified, anchors always given."""

from __future__ import annotations

import ssl
from pathlib import Path

from transport.errors import SettingsError

_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


def server_context(certificate: Path, key: Path, *, client_ca: Path | None = None) -> ssl.SSLContext:
    """Return the context of the listener; ``client_ca`` makes it ask callers for a certificate.

    A caller may show none, for some sign their requests instead and metadata is for anyone; one that is shown must have
    a path to these anchors, or there is no connection.

    Raises ``SettingsError`` when a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _strict(context)
    load_chain(context, certificate, key)
    if client_ca is not None:
        _anchors(context, client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(anchors: Path, *, certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """Return the context of the carrier: only the given transport anchors count, names are verified.

    Raises ``SettingsError`` when a file cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # verifies chain and name; loads no anchors by itself
    _strict(context)
    _anchors(context, anchors)
    if certificate is not None:
        load_chain(context, certificate, key)
    return context


def load_chain(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Load certificate and key into a context, also again after they were renewed. Raises ``SettingsError``."""
    try:
        context.load_cert_chain(certificate, key, password=_no_prompt)
    except (OSError, ssl.SSLError, ValueError) as error:
        raise SettingsError(
            "EDOC-EXC-012", "certificate or key of the channel cannot be used", path=str(certificate)
        ) from error


def _no_prompt() -> str:
    """An encrypted key is refused instead of asking on the terminal of a server."""
    raise ValueError("the key file is encrypted")


def _anchors(context: ssl.SSLContext, path: Path) -> None:
    try:
        context.load_verify_locations(cafile=str(path))
    except (OSError, ssl.SSLError) as error:
        raise SettingsError("EDOC-EXC-012", "anchors of the channel cannot be used", path=str(path)) from error


def _strict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
