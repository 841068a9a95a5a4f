"""The key a person names: a file, a key of the node, a token, a remote service (console.md 4.1, ``--key``).

Promises: opening a key asks for nothing. What is known of it without its PIN can be looked at first, so that every
check of signing.md 2 runs before a person is asked; ``unlock`` asks once, and a PIN that was wrong is not tried again.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self, final

from signer.errors import CredentialError
from transport.desk import secrets, trusting
from transport.desk.files import read_input
from transport.desk.secrets import Pins as Pins  # callers take it from here
from transport.errors import TransportError
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from signer.credential import Credential, PassphraseSource, Secret
    from transport.desk.console import Console
    from transport.settings import Settings

KEY_SUFFIXES = (".p12", ".pfx", ".pem", ".key", ".der")
NO_PINS = Pins()
"""No option says where a PIN comes from."""

CERTIFICATES = ".certs.pem"
"""Ending of the file beside an imported key that holds its certificates, readable without its pass phrase."""


@final
class Held:
    """A key that has been found. ``visible`` is what it shows before its PIN; ``None`` where it shows nothing."""

    def __init__(
        self,
        name: str,
        kind: str,
        opening: Callable[[], Credential],
        *,
        visible: Credential | None = None,
        closing: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self.kind = kind  # file, token, remote
        self.visible = visible
        self._opening = opening
        self._closing = closing
        self._credential: Credential | None = None
        self._failed: CredentialError | CommandError | TransportError | None = None

    @property
    def threads(self) -> bool:
        """Whether several files may be signed at once: never with a token or a service."""
        return self.kind == "file"

    def unlock(self) -> Credential:
        """Return the credential that signs; the PIN is asked for at the first call and never again.

        Raises:
            CommandError, CredentialError, TransportError: there is nobody to ask, the PIN is wrong, certificate and key
                do not fit. Later calls say the same and try nothing.
        """
        if self._failed is not None:
            raise self._failed.with_traceback(None)
        if self._credential is None:
            try:
                self._credential = self._checked(self._opening())
            except (CredentialError, CommandError, TransportError) as error:
                self._failed = error
                raise
        return self._credential

    def _checked(self, credential: Credential) -> Credential:
        """Refuse a key whose certificate is not the one that was shown, and perhaps checked, before."""
        if self.visible is not None and self.visible.certificate != credential.certificate:
            raise CredentialError("EDOC-KEY-005", "the key is not that of the certificate shown", path=self.name)
        return credential

    def close(self) -> None:
        """Log out and forget what was kept."""
        if self._closing is not None:
            self._closing()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_key(
    console: Console,
    name: str,
    *,
    role: str,
    certs: Sequence[str] = (),
    pins: Pins = NO_PINS,
    module: str | None = None,
    expected: int = 1,
) -> Held:
    """Find a key without asking for anything. ``module`` is the library of a token instead of the setting;
    ``expected`` how many signatures the run will want, which a remote service is told.

    Raises:
        CommandError: there is no such key or file.
        CredentialError: the file is damaged, the token or certificate is not there or not the only one.
        TransportError: a remote service cannot be reached.
    """
    from signer.tokenuri import is_token_uri
    from signer.trust import load_certificates

    given = [der for ders in trusting.load_each(certs, trusting.PATTERNS, load_certificates, console) for der in ders]
    try:
        if name.startswith("csc:"):
            from transport.desk import remote

            return remote.open_service(console, name, role=role, pins=pins, expected=expected)
        where = name if is_token_uri(name) else _where(console, name)
        if isinstance(where, str):
            return _token(console, where, role=role, given=given, pins=_named(pins, name, where), module=module)
        return _file(console, where, role=role, given=given, ask=_asked(console, pins, where.name, user=name))
    except CredentialError as error:
        error.facts.setdefault("path", name)
        raise


def elsewhere(console: Console, *, role: str, certs: Sequence[str]) -> Held:
    """Return what is known of a key that is elsewhere: its certificate, found among those given; it opens nothing.

    Raises:
        CommandError: a file cannot be read, or none of the certificates is a signer's.
    """
    from signer.credential import Credential, LockedKey, Role, ordered
    from signer.tokenobjects import leaf_of
    from signer.trust import load_certificates

    groups = trusting.load_each(certs, trusting.PATTERNS, load_certificates, console)
    found = tuple(dict.fromkeys(der for ders in groups for der in ders))
    leaf = leaf_of(found)
    if leaf is None:
        raise CommandError("EDOC-USE-037", path=", ".join(certs), patterns=" ".join(trusting.PATTERNS))
    shown = Credential(leaf, Role(role), LockedKey(), ordered(leaf, [der for der in found if der != leaf]))
    return Held(", ".join(certs), "elsewhere", lambda: shown, visible=shown)


def load(
    console: Console,
    name: str,
    *,
    role: str,
    certs: Sequence[str] = (),
    pin_fd: int | None = None,
    pin_file: str | None = None,
) -> Credential:
    """Open and unlock a key for the whole call; see ``open_key``."""
    try:
        return open_key(console, name, role=role, certs=certs, pins=Pins(pin_fd, pin_file)).unlock()
    except CredentialError as error:
        error.facts.setdefault("path", name)
        raise


def _named(pins: Pins, name: str, where: str) -> Pins:
    """Let the address say in which file the PIN is, unless an option says where it comes from."""
    from dataclasses import replace

    from signer.tokenuri import parse

    found = parse(where).pin_file
    return replace(pins, file=found) if found and pins == NO_PINS else pins


def _asked(console: Console, pins: Pins, shown: str, *, user: str) -> PassphraseSource:
    """Return the source of the pass phrase; where there is nobody to ask that is what is said, not "wrong"."""
    place = secrets.Place(user=Path(user).name if "/" in user else user, keyring=settings_of(console).keys_keyring)
    ask = secrets.source(console, pin_fd=pins.fd, pin_file=pins.file, keyring=pins.keyring, place=place)
    return lambda _: ask(shown)


def settings_of(console: Console) -> Settings:
    """Return the settings in force, with or without a node."""
    from transport import settings as configuration

    home = trusting.home_of(console)
    return configuration.load(home=home, config=console.config, environ=console.environ, overrides={})


def _where(console: Console, name: str) -> Path | str:
    """Return the file of a key, or the address of a token, by the name it has in the node."""
    if "/" in name or name.endswith(KEY_SUFFIXES) or Path(name).is_file():
        return Path(name)
    home = trusting.node_home(console)
    if home is not None:
        from signer.tokenuri import is_token_uri
        from transport.store import quick

        for key in quick.keys(home):
            if key.name == name:
                return key.file if is_token_uri(key.file) else home / key.file
    raise CommandError("EDOC-USE-039", name=name)


# --- files -----------------------------------------------------------------------------------------------------------


def _file(console: Console, path: Path, *, role: str, given: Sequence[bytes], ask: PassphraseSource) -> Held:
    from signer.credential import Role, load_credential

    data = read_input(str(path), console)
    _warn_if_readable(console, path)
    beside = (*given, *_kept_certificates(path))
    unanswered: list[CommandError] = []

    def passphrase(what: str) -> Secret | None:
        try:
            return ask(what)
        except CommandError as error:
            unanswered.append(error)
            return None

    def opening() -> Credential:
        try:
            return load_credential(data, role=Role(role), passphrase=passphrase, chain=beside)
        except CredentialError as error:
            if unanswered:
                raise unanswered[0] from None
            error.facts.setdefault("path", str(path))
            raise

    return Held(str(path), "file", opening, visible=_shown(data, beside, Role(role)))


def _kept_certificates(path: Path) -> tuple[bytes, ...]:
    """Return the certificates beside an imported key, none if there are none: they only show what is inside."""
    from signer.credential import visible_certificates

    kept = path.with_name(f"{path.stem}{CERTIFICATES}")
    try:
        return visible_certificates(kept.read_bytes())
    except (OSError, CredentialError):
        return ()


def _shown(data: bytes, beside: Sequence[bytes], role: object) -> Credential | None:
    """Return what a key file shows without its pass phrase: the certificate that is nobody's issuer there."""
    from signer.credential import Credential, LockedKey, Role, ordered, visible_certificates
    from signer.tokenobjects import leaf_of

    assert isinstance(role, Role)
    found = tuple(dict.fromkeys((*visible_certificates(data), *beside)))
    leaf = leaf_of(found)
    if leaf is None:
        return None
    return Credential(leaf, role, LockedKey(), ordered(leaf, [der for der in found if der != leaf]))


def _warn_if_readable(console: Console, path: Path) -> None:
    """Say so if others on this machine can read a key file (signing.md 2)."""
    if os.name != "posix":
        return
    with suppress(OSError):
        if path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH):
            from transport.present import catalogue
            from transport.present.text import sanitise

            console.warn(catalogue.word("key.readable", console.lang, path=sanitise(str(path))))


# --- tokens ----------------------------------------------------------------------------------------------------------


def _token(console: Console, where: str, *, role: str, given: Sequence[bytes], pins: Pins, module: str | None) -> Held:
    from signer.credential import Role
    from signer.tokens import TokenKey, refuse_unusable
    from signer.tokenuri import parse

    wanted = parse(where)
    key = TokenKey.find(wanted, module_of(console, module or wanted.module), given=given)
    ask = _asked(console, pins, key.facts.name, user=key.facts.label)

    def opening() -> Credential:
        refuse_unusable(key.facts)
        warn_of_pin(console, key.facts)
        return key.unlock(Role(role), ask)

    return Held(where, "token", opening, visible=key.visible(Role(role)), closing=key.close)


def module_of(console: Console, named: str | None) -> str:
    """Return the library of tokens: the one named, else the setting ``hsm.module``.

    Raises:
        CredentialError: neither (EDOC-KEY-031).
    """
    found = named or settings_of(console).hsm_module
    if not found:
        raise CredentialError("EDOC-KEY-031", "no PKCS#11 library is named")
    return found


def warn_of_pin(console: Console, facts: object) -> None:
    """Say how the PIN stands before it is asked for: a wrong one may be the last."""
    from signer.tokenobjects import PinState, TokenFacts
    from transport.present import catalogue
    from transport.present.text import sanitise

    assert isinstance(facts, TokenFacts)
    if facts.pin in (PinState.LOW, PinState.FINAL):
        console.warn(catalogue.word(f"token.pin.{facts.pin.value}", console.lang, token=sanitise(facts.name)))


# --- the record of an override ---------------------------------------------------------------------------------------


def log_unknown_status(console: Console, *, basis: str, subject: str, now: datetime) -> bool:
    """Enter in the node's ledger that a key was used although its status was unknown (R27); ``False`` without a node.

    ``subject`` is the SHA-256 of the certificate, ``basis`` why it was done all the same.
    """
    return _log(console, "sign.unknown-status", subject=subject, now=now, note=basis)


def log_without_stamp(console: Console, *, files: int, subject: str, now: datetime) -> bool:
    """Enter in the node's ledger that so many files are signed without time stamps (R32); ``False`` without a node.

    ``subject`` is the SHA-256 of the certificate.
    """
    return _log(console, "sign.without-timestamp", subject=subject, now=now, note=str(files))


def _log(console: Console, action: str, *, subject: str, now: datetime, note: str) -> bool:
    from transport.desk import tables

    if trusting.node_home(console) is None:
        return False
    with tables.changing(console) as office:
        tables.record(office, action, subject=subject, now=now, note=note)
    return True
