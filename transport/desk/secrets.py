"""Where a pass phrase comes from: never from the command line (console.md 1, row "Secrets").

Order: ``--pin-fd`` or ``EDOC_PIN_FD``, ``--pin-file``, the service credential ``edoc-pin``, the system's keyring (extra
``keyring``), a hidden prompt. It is read once per call and kept for the whole batch; a wrong one is never tried twice
by itself, because tokens lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.credential import Secret
    from transport.desk.console import Console

CREDENTIAL = "edoc-pin"
KEYRING_SERVICE = "edoc"
MAX_SECRET = 4096  # bytes


@dataclass(frozen=True, slots=True)
class Pins:
    """Where this call finds its pass phrase: what the options say. ``keyring`` asks for the keyring and no other."""

    fd: int | None = None
    file: str | None = None
    keyring: bool = False


@dataclass(frozen=True, slots=True)
class Place:
    """Under which names a pass phrase lies in service credentials and keyring, and whether the latter is asked."""

    credential: str = CREDENTIAL
    user: str | None = None
    keyring: bool = False
    descriptor: bool = True  # whether EDOC_PIN_FD is meant for it


def source(
    console: Console, *, pin_fd: int | None, pin_file: str | None, keyring: bool = False, place: Place | None = None
) -> Callable[[str], Secret | None]:
    """Return what ``signer`` asks when a key turns out to be protected; the argument names the key."""
    pins = Pins(pin_fd, pin_file, keyring)
    kept: list[Secret] = []

    def passphrase(asked_for: str) -> Secret | None:
        from signer.credential import Secret

        if not kept:
            kept.append(Secret(_find(console, asked_for, pins, place or Place())))
        return Secret(kept[0].reveal())

    return passphrase


def _find(console: Console, asked_for: str, pins: Pins, place: Place) -> bytes:
    if pins.keyring:
        return _demanded(place.user or asked_for)
    descriptor = pins.fd
    if descriptor is None and place.descriptor:
        descriptor = _number(console.environ.get("EDOC_PIN_FD"))
    if descriptor is not None:
        return _from_descriptor(descriptor)
    if pins.file is not None:
        return from_file(Path(pins.file))
    folder = console.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / place.credential).is_file():
        return from_file(Path(folder) / place.credential)
    found = _from_keyring(place.user or asked_for) if place.keyring else None
    return found if found is not None else _prompt(console, asked_for)


def _number(text: str | None) -> int | None:
    if not text:
        return None
    if not text.isascii() or not text.isdigit():
        raise CommandError("EDOC-USE-024", source="EDOC_PIN_FD", reason="không phải số / not a number")
    return int(text)


def _from_descriptor(number: int) -> bytes:
    """Read one line and close the descriptor."""
    try:
        with os.fdopen(number, "rb", closefd=True) as file:
            return _line(file.readline(MAX_SECRET + 1), f"fd {number}")
    except OSError as error:
        raise CommandError(
            "EDOC-USE-024", source=f"fd {number}", reason=error.strerror or "-", errno=error.errno
        ) from error


def from_file(path: Path) -> bytes:
    """Return the first line of a file.

    Raises:
        CommandError: it cannot be read.
    """
    try:
        with path.open("rb") as file:
            return _line(file.readline(MAX_SECRET + 1), str(path))
    except OSError as error:
        raise CommandError("EDOC-USE-024", source=str(path), reason=error.strerror or "-", errno=error.errno) from error


def _line(data: bytes, source: str) -> bytes:
    """Return a pass phrase without the end of its line; one that cannot be one is not tried: tokens lock.

    Raises:
        CommandError: it is too long, or has octets of value zero.
    """
    if len(data) > MAX_SECRET or b"\0" in data:
        raise CommandError("EDOC-USE-024", source=source, reason=f"NUL / > {MAX_SECRET}")
    return data.rstrip(b"\r\n")


def _demanded(user: str) -> bytes:
    """Return the pass phrase of the keyring, asked for by ``--pin-keyring``.

    Raises:
        CommandError: the extra is missing (EDOC-USE-026), or the keyring has nothing under this name (EDOC-KEY-042).
    """
    try:
        import keyring as _  # noqa: F401  # whether it is installed
    except ImportError as error:
        raise CommandError("EDOC-USE-026", extra="keyring") from error
    found = _from_keyring(user)
    if found is None:
        raise CommandError("EDOC-KEY-042", service=KEYRING_SERVICE, user=user)
    return found


def _from_keyring(user: str) -> bytes | None:
    """Return the entry of the system's keyring, ``None`` without one: servers often have no keyring at all."""
    try:
        import keyring
        from keyring.errors import KeyringError
    except ImportError:
        return None
    try:
        found = keyring.get_password(KEYRING_SERVICE, user)
    except (KeyringError, OSError, RuntimeError):
        return None
    return found.encode() if found else None


def prompted(console: Console, asked_for: str) -> Secret:
    """Ask a person on the terminal, and nowhere else: for what is good only once.

    Raises:
        CommandError: there is nobody to ask (EDOC-USE-023).
    """
    from signer.credential import Secret

    return Secret(_prompt(console, asked_for))


def chosen(console: Console, path: str, *, pin_fd: int | None, pin_file: str | None) -> Secret:
    """Return the pass phrase of a key that is being made; on a terminal it is entered twice.

    Raises:
        CommandError: none was given, there is nobody to ask, or the two are not equal (EDOC-KEY-040).
    """
    from signer.credential import Secret

    pins, place = Pins(pin_fd, pin_file), Place()
    if pins != Pins() or console.environ.get("EDOC_PIN_FD") or console.environ.get("CREDENTIALS_DIRECTORY"):
        found = Secret(_find(console, path, pins, place))
    else:
        found = _twice(console, path)
    if not found.reveal():
        raise CommandError("EDOC-KEY-040", path=path)
    return found


def _twice(console: Console, path: str) -> Secret:
    from signer.credential import Secret

    if not (sys.stderr.isatty() and sys.stdin is not None and sys.stdin.isatty()):
        raise CommandError("EDOC-KEY-040", path=path)
    first, again = Secret(_prompt(console, path)), Secret(_prompt(console, f"{path} (2)"))
    if first.reveal() != again.reveal():
        raise CommandError("EDOC-KEY-040", path=path)
    return first


def _prompt(console: Console, asked_for: str) -> bytes:
    if not (sys.stderr.isatty() and sys.stdin is not None and sys.stdin.isatty()):
        raise CommandError("EDOC-USE-023", path=asked_for)
    import getpass

    from transport.present.text import sanitise

    label = "Mã PIN hoặc mật khẩu của" if console.lang == "vi" else "PIN or pass phrase of"
    return getpass.getpass(f"edoc: {label} {sanitise(asked_for)}: ", stream=sys.stderr).encode()
