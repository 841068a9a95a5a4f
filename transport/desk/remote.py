"""Keys of remote signing services: ``csc:NAME`` (console.md 4.1, signing.md 2).

The access token of a service is asked for when it is opened, since nothing is seen without it; a PIN when the first
signature is made, and a one-time password for each authorisation. None of them is ever an argument or a setting.
"""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from signer.errors import CredentialError
from transport.desk import secrets
from transport.desk.secrets import Pins, Place
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.credential import Credential, Secret
    from transport.desk.console import Console
    from transport.desk.keys import Held
    from transport.http.csc import Client, CscPort, Service
    from transport.http.cscwire import RemoteKey
    from transport.settings import Settings

PREFIX = "csc:"
_TOKEN = re.compile(rb"[A-Za-z0-9\-._~+/]+=*")


def open_service(console: Console, name: str, *, role: str, pins: Pins, expected: int) -> Held:
    """Find the credential of a configured service; nothing is authorised yet.

    Raises:
        CredentialError: no such service (EDOC-KEY-032), it does not answer (-033) or not properly (-034), refuses the
            access (-035), its address is not allowed (-036), it has no single credential (-037) or none that serves
            here (-038).
        CommandError: there is nobody to ask for the access token.
    """
    from signer.credential import Credential, LockedKey, Role
    from transport.desk.keys import Held, settings_of
    from transport.http.csc import Client, CscPort

    settings = settings_of(console)
    known = settings.service(name.removeprefix(PREFIX))
    if known is None or not known["url"]:
        raise CredentialError("EDOC-KEY-032", "no such service", name=name.removeprefix(PREFIX))
    service = _service(name.removeprefix(PREFIX), known, settings)
    info = Client(service).info(api=_text(known["api"]))
    bearer = _bearer(console, name, known, settings) if _wants_token(info.auth_types) else None
    client = Client(service, bearer=bearer)
    key = _key(client, _text(known["credential"]), api=info.api)
    port = CscPort(client, key, api=info.api, ask=_asked(console, name, key, pins, settings), expected=expected)
    visible = Credential(key.certificates[0], Role(role), LockedKey(), key.certificates[1:], key.schemes)
    return Held(name, "remote", lambda: _unlocked(visible, port), visible=visible, closing=port.close)


def _unlocked(visible: Credential, port: CscPort) -> Credential:
    from dataclasses import replace

    port.prove()
    return replace(visible, port=port)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _service(name: str, known: Mapping[str, object], settings: Settings) -> Service:
    from transport.http.addresses import Reach
    from transport.http.csc import Service

    url, ca, timeout = str(known["url"]), _text(known["ca"]), known["timeout"]
    try:
        port = urlsplit(url).port or 443
        tls = ssl.create_default_context(cafile=ca) if ca else None
    except (ValueError, OSError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise CredentialError("EDOC-KEY-036", "cannot be connected to", name=name, url=url, cause=reason) from None
    reach = Reach.of(settings.network_private, demo=settings.demo, ports=(443, 8443, port))
    return Service(name, url, reach, tls, float(timeout) if isinstance(timeout, float | int) else 60.0)


def _wants_token(types: tuple[str, ...]) -> bool:
    return any(one.startswith("oauth2") for one in types)


def _bearer(console: Console, name: str, known: Mapping[str, object], settings: Settings) -> Secret:
    """Return the access token: of the file named, the service credential, the keyring, or a person."""
    place = Place(f"edoc-csc-{name.removeprefix(PREFIX)}", f"{name}:bearer", settings.keys_keyring, descriptor=False)
    file = _text(known["bearer_file"])
    if file is not None and not Path(file).is_absolute():
        raise CommandError("EDOC-USE-024", source=file, reason="không phải đường dẫn đầy đủ / not a full path")
    found = secrets.source(console, pin_fd=None, pin_file=file, place=place)(f"{name} (OAuth2)")
    if found is None or not _TOKEN.fullmatch(found.reveal()):
        raise CredentialError("EDOC-KEY-035", "no access token", name=name.removeprefix(PREFIX), error="bearer token")
    return found


def _key(client: Client, wanted: str | None, *, api: str) -> RemoteKey:
    name = client.service.name
    if wanted is None:
        found = client.list()
        if len(found) != 1:
            raise CredentialError("EDOC-KEY-037", "not one credential", name=name, found=list(found))
        wanted = found[0]
    key = client.credential(wanted, api=api)
    if key.authorisation.mode not in ("implicit", "explicit"):
        raise CredentialError("EDOC-KEY-038", "mode", name=name, credential=wanted, mode=key.authorisation.mode)
    if not key.schemes:
        raise CredentialError("EDOC-KEY-037", "no scheme", name=name, found=[])
    return key


def _asked(
    console: Console, name: str, key: RemoteKey, pins: Pins, settings: Settings
) -> Callable[[str], Secret | None]:
    """Return what asks a person: the PIN as for every key, one-time passwords on the terminal only."""
    place = Place(user=name, keyring=settings.keys_keyring)
    pin = secrets.source(console, pin_fd=pins.fd, pin_file=pins.file, keyring=pins.keyring, place=place)

    def ask(what: str) -> Secret | None:
        if what == key.authorisation.pin:
            return pin(name)
        return secrets.prompted(console, f"{name} ({what})")

    return ask
