"""``pkcs11:`` addresses of RFC 7512: which token, which key, through which library (console.md 4.1, ``--key``).

Promises: an address is read whole or refused; no attribute is guessed, dropped or given twice. A PIN never stands in an
address (``pin-value``), because addresses are arguments and settings; ``pin-source`` may name a file and nothing else.
Pure text: the library of tokens is not loaded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote, unquote_to_bytes

from signer.errors import CredentialError

SCHEME = "pkcs11:"
MOST = 2000
"""Characters of an address."""

_PATH = (
    *("token", "manufacturer", "serial", "model", "object", "type", "id"),
    *("library-manufacturer", "library-description", "library-version"),
    *("slot-description", "slot-manufacturer", "slot-id"),
)
_QUERY = ("pin-source", "pin-value", "module-name", "module-path")
_TYPES = ("private", "cert", "public")
_CHARACTERS = re.compile(r"(?:[A-Za-z0-9\-._~:\[\]@!$'()*+,=&/?]|%[0-9A-Fa-f]{2})*", re.ASCII)


@dataclass(frozen=True, slots=True)
class TokenUri:
    """What an address says; ``None`` means that it says nothing about this. ``id`` is the CKA_ID, raw."""

    token: str | None = None
    serial: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    object: str | None = None
    id: bytes | None = None
    slot_id: int | None = None
    slot_description: str | None = None
    slot_manufacturer: str | None = None
    library_manufacturer: str | None = None
    library_description: str | None = None
    library_version: str | None = None
    module: str | None = None
    pin_file: str | None = None

    def __str__(self) -> str:
        """The address of token and key alone: what is shown and stored; library and PIN file are the machine's."""
        said = [
            ("token", self.token),
            ("serial", self.serial),
            ("manufacturer", self.manufacturer),
            ("model", self.model),
            ("slot-id", None if self.slot_id is None else str(self.slot_id)),
            ("slot-description", self.slot_description),
            ("slot-manufacturer", self.slot_manufacturer),
            ("object", self.object),
        ]
        parts = [f"{name}={quote(value, safe='')}" for name, value in said if value is not None]
        if self.id is not None:
            parts.append("id=" + "".join(f"%{byte:02X}" for byte in self.id))
        return SCHEME + ";".join(parts)

    @property
    def stored(self) -> str:
        """The address as a node keeps it: with the library, since a node is one machine; never with a PIN's place."""
        return str(self) if self.module is None else f"{self}?module-path={quote(self.module, safe='/')}"


def is_token_uri(text: str) -> bool:
    """Say whether a text is meant to be such an address."""
    return text[: len(SCHEME)].lower() == SCHEME


def parse(text: str) -> TokenUri:
    """Read an address.

    Raises:
        CredentialError: it holds a PIN (EDOC-KEY-019) or is not an address of RFC 7512 (EDOC-KEY-018).
    """
    if not is_token_uri(text) or len(text) > MOST:
        _refuse("pkcs11:…")
    path, _, query = text[len(SCHEME) :].partition("?")
    said = dict(_attributes(path, ";", _PATH))
    asked = dict(_attributes(query, "&", _QUERY))
    if said.get("type") is not None and _text(said["type"]) not in _TYPES:
        _refuse("type")
    return TokenUri(
        **{name.replace("-", "_"): _value(said, name) for name in _PATH if name not in ("id", "type", "slot-id")},
        id=unquote_to_bytes(said["id"]) if "id" in said else None,
        slot_id=_slot(said.get("slot-id")),
        module=_module(asked),
        pin_file=_pin_file(asked.get("pin-source")),
    )


def _attributes(part: str, separator: str, known: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Yield names and values still percent-encoded; the value is never repeated in an error, it may be a PIN."""
    seen: set[str] = set()
    for item in part.split(separator) if part else ():
        name, equals, value = item.partition("=")
        if name == "pin-value":
            raise CredentialError("EDOC-KEY-019", "a PIN has no place in an address")
        if name not in known or not equals:
            _refuse(name if name in known else re.sub(r"[^a-z0-9-]", "?", name[:40]) or "=")
        if name in seen:
            _refuse(f"{name} × 2")
        if not _CHARACTERS.fullmatch(value):
            _refuse(name)
        seen.add(name)
        yield name, value


def _value(said: Mapping[str, str], name: str) -> str | None:
    return _text(said[name]) if name in said else None


def _text(value: str) -> str:
    try:
        text = unquote(value, errors="strict")
    except UnicodeDecodeError:
        _refuse("UTF-8")
    if not text.isprintable():
        _refuse("UTF-8")
    return text


def _slot(value: str | None) -> int | None:
    if value is None:
        return None
    if not re.fullmatch(r"[0-9]{1,18}", value, re.ASCII):
        _refuse("slot-id")
    return int(value)


def _module(asked: Mapping[str, str]) -> str | None:
    """Return the path of the library; a bare name would be looked for where the system pleases."""
    if "module-name" in asked:
        _refuse("module-name (module-path)")
    found = _value(asked, "module-path")
    if found is not None and not Path(found).is_absolute():
        _refuse("module-path")
    return found


def _pin_file(value: str | None) -> str | None:
    """Return the file of ``pin-source=file:/…``; commands and other schemes are refused."""
    if value is None:
        return None
    text = _text(value)
    path = text.removeprefix("file:").removeprefix("//")
    if not text.startswith("file:") or not path.startswith("/"):
        _refuse("pin-source (file:/…)")
    return path


def _refuse(part: str) -> NoReturn:
    raise CredentialError("EDOC-KEY-018", "not an address of a token", part=part)
