"""Where a pass phrase comes from: never from the command line (console.md 1, row "Secrets").

Order: ``--pin-fd`` or ``EDOC_PIN_FD``, ``--pin-file``, the service credential ``edoc-pin``, a hidden prompt. It is read
once per call and kept for the whole batch; a wrong one is never tried twice by itself, because tokens lock.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.credential import Secret
    from transport.desk.console import Console

CREDENTIAL = "edoc-pin"
MAX_SECRET = 4096  # bytes


def source(console: Console, *, pin_fd: int | None, pin_file: str | None) -> Callable[[str], Secret | None]:
    """Return what ``signer`` asks when a key turns out to be protected; the argument names the key."""
    kept: list[bytes] = []

    def passphrase(asked_for: str) -> Secret | None:
        from signer.credential import Secret

        if not kept:
            kept.append(_find(console, asked_for, pin_fd=pin_fd, pin_file=pin_file))
        return Secret(bytearray(kept[0]))

    return passphrase


def _find(console: Console, asked_for: str, *, pin_fd: int | None, pin_file: str | None) -> bytes:
    descriptor = pin_fd if pin_fd is not None else _number(console.environ.get("EDOC_PIN_FD"))
    if descriptor is not None:
        return _from_descriptor(descriptor)
    if pin_file is not None:
        return _from_file(Path(pin_file))
    folder = console.environ.get("CREDENTIALS_DIRECTORY")
    if folder and (Path(folder) / CREDENTIAL).is_file():
        return _from_file(Path(folder) / CREDENTIAL)
    return _prompt(console, asked_for)


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
            return file.readline(MAX_SECRET).rstrip(b"\r\n")
    except OSError as error:
        raise CommandError(
            "EDOC-USE-024", source=f"fd {number}", reason=error.strerror or "-", errno=error.errno
        ) from error


def _from_file(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.readline(MAX_SECRET).rstrip(b"\r\n")
    except OSError as error:
        raise CommandError("EDOC-USE-024", source=str(path), reason=error.strerror or "-", errno=error.errno) from error


def _prompt(console: Console, asked_for: str) -> bytes:
    if not (sys.stderr.isatty() and sys.stdin is not None and sys.stdin.isatty()):
        raise CommandError("EDOC-USE-023", path=asked_for)
    import getpass

    from transport.present.text import sanitise

    label = "Mã PIN hoặc mật khẩu của" if console.lang == "vi" else "PIN or pass phrase of"
    return getpass.getpass(f"edoc: {label} {sanitise(asked_for)}: ", stream=sys.stderr).encode()
