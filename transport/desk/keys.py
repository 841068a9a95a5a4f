"""The key a person names: a file, or a key imported into the node (console.md 4.1, ``--key``)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from signer.errors import CredentialError
from transport.desk import secrets, trusting
from transport.desk.files import read_input
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.credential import Credential
    from transport.desk.console import Console

KEY_SUFFIXES = (".p12", ".pfx", ".pem", ".key", ".der")


def load(
    console: Console,
    name: str,
    *,
    role: str,
    certs: Sequence[str] = (),
    pin_fd: int | None = None,
    pin_file: str | None = None,
) -> Credential:
    """Load the key once for the whole call.

    Raises:
        CommandError: there is no such file or key, or nobody to ask for its pass phrase.
        CredentialError: wrong pass phrase, damaged file, certificate and key do not fit.
    """
    from signer.credential import Role, Secret, load_credential
    from signer.trust import load_certificates

    path = _path(console, name)
    data = read_input(str(path), console)
    chain = [der for ders in trusting.load_each(certs, trusting.PATTERNS, load_certificates, console) for der in ders]
    ask = secrets.source(console, pin_fd=pin_fd, pin_file=pin_file)
    unanswered: list[CommandError] = []

    def passphrase(_: str) -> Secret | None:
        try:
            return ask(path.name)
        except CommandError as error:
            if error.code != "EDOC-USE-023":
                raise
            unanswered.append(error)
            return None

    try:
        return load_credential(data, role=Role(role), passphrase=passphrase, chain=chain)
    except CredentialError as error:
        if unanswered:
            raise unanswered[0] from error
        error.facts.setdefault("path", name)
        raise


def _path(console: Console, name: str) -> Path:
    if "/" in name or name.endswith(KEY_SUFFIXES) or Path(name).is_file():
        return Path(name)
    home = trusting.node_home(console)
    if home is not None:
        from transport.store import quick

        for key in quick.keys(home):
            if key.name == name:
                return home / key.file
    raise CommandError("EDOC-USE-039", name=name)
