"""What the caller gives besides the files: contents of detached signatures, and bare public keys (console.md 4.2)."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    load_der_public_key,
    load_pem_public_key,
)

from signer.trust import Content, Context
from transport.desk.files import read_input
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.judging.logkeys import KeyInHand
    from transport.ledger.keys import VerifierKey

STATEMENT_MAX = 128 * 1024


@dataclass(frozen=True, slots=True)
class Given:
    """Contents by name, public keys (SubjectPublicKeyInfo, DER), and keys of ledgers in their text form."""

    contents: tuple[Content, ...] = ()
    public_keys: tuple[bytes, ...] = ()
    vkeys: tuple[VerifierKey, ...] = ()


def given(console: Console, contents: Sequence[str], public_keys: Sequence[str]) -> Given:
    """Read every ``--content`` and ``--public-key``.

    Raises:
        CommandError: a file is unreadable, or holds no public key.
    """
    ders: list[bytes] = []
    vkeys: list[VerifierKey] = []
    for name in public_keys:
        data = read_input(name, console)
        texts = _vkeys(data)
        vkeys += texts
        if not texts:
            ders.append(public_key(data, path=name))
    return Given(tuple(_content(text, console) for text in contents), tuple(ders), tuple(vkeys))


def _content(text: str, console: Console) -> Content:
    """Read ``[NAME=]FILE``; a file whose own name holds the sign is taken as it is, if it exists.

    Without a name the content serves whatever is asked for.
    """
    name, sign, path = text.partition("=")
    if not sign or os.path.exists(text):
        return Content("", read_input(text, console))
    return Content(name, read_input(path, console))


def public_key(data: bytes, *, path: str) -> bytes:
    """Return the public key of a PEM or DER file as SubjectPublicKeyInfo; a certificate serves by its key.

    Raises:
        CommandError: there is none.
    """
    for read in (load_pem_public_key, load_der_public_key, _of_certificate):
        try:
            key = read(data)
            return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            continue
    raise CommandError("EDOC-USE-047", path=path)


def _of_certificate(data: bytes) -> CertificatePublicKeyTypes:
    read = x509.load_pem_x509_certificate if data.lstrip().startswith(b"-----") else x509.load_der_x509_certificate
    return read(data).public_key()


def _vkeys(data: bytes) -> tuple[VerifierKey, ...]:
    """Return the keys of a ledger's text form; the reader is loaded only for a file that looks like one."""
    if b"+" not in data or data.startswith((b"-----", b"0")):
        return ()
    from transport.judging.logkeys import bare_keys

    return bare_keys(data)


def log_keys(files: Iterable[str], given: Given, *, context: Context) -> tuple[KeyInHand, ...]:
    """Return the keys of ledgers at hand: statements among the files and contents of this call, and bare keys."""
    statements = [data for name in files if (data := _statement(name))]
    statements += [content.data for content in given.contents if _states_keys(content.data)]
    if not statements and not given.vkeys:
        return ()
    from transport.judging import logkeys

    return (*logkeys.of_statements(statements, context=context), *logkeys.given(given.vkeys))


def _statement(name: str) -> bytes | None:
    """Return the bytes of a key statement among the files; nothing else is read whole here."""
    try:
        if name == "-" or not 0 < Path(name).stat().st_size <= STATEMENT_MAX or not Path(name).is_file():
            return None
        with open(name, "rb") as file:
            head = file.read(4096)
            return head + file.read() if _states_keys(head) else None
    except (OSError, ValueError):
        return None


def _states_keys(data: bytes) -> bool:
    return b"urn:edoc:ledger-keys:1" in data[:4096]
