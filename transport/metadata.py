"""What an agency's node says of itself, as read from a stranger: ``/.well-known/edoc-exchange`` (exchange.md 8).

Promises: only the form named there is taken, within 256 KiB, with keys whose digests are recomputed here; what has
expired, lies in the future, or is older than what is held is refused. Whether a change may take effect alone is decided
by ``changes`` and the caller's knowledge of keys. Pure: no network, disk, clock.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from edoc.agencies import Agency, AgencyCertificate
from edoc.values import clean
from transport.errors import Refused
from transport.receiptform import read_time

MAX_BYTES = 256 * 1024
KEYS_MAX = 200
AGENCIES_MAX = 200
CHAIN_MAX = 8
SKEW = timedelta(seconds=60)
USES = ("exchange", "request", "tls")
STATUSES = ("next", "active", "retired")
_URL = re.compile(r"https?://[!-~]{1,200}/exchange/v1", re.ASCII)


@dataclass(frozen=True, slots=True)
class MetadataKey:
    """A key of a node: certificate (DER), or public key alone (SPKI) for requests; days as stated."""

    use: str
    agency: str | None
    data: bytes = field(repr=False)
    sha256: str
    not_before: datetime | None
    not_after: datetime | None
    status: str
    chain: tuple[bytes, ...] = field(default=(), repr=False)  # certificates of its issuers, as offered


@dataclass(frozen=True, slots=True)
class MetadataAgency:
    """An agency the node serves."""

    code: str
    name: str
    former: tuple[str, ...]
    delivery: str
    successor: str | None


@dataclass(frozen=True, slots=True)
class Metadata:
    """One version of a node's metadata, with the SHA-256 of its bytes."""

    node: str
    issued_at: datetime
    expires_at: datetime
    endpoint: str
    agencies: tuple[MetadataAgency, ...]
    keys: tuple[MetadataKey, ...]
    features: tuple[str, ...]
    limits: Mapping[str, int]
    origin: str | None
    vkey: str | None
    sha256: str
    data: bytes = field(repr=False)

    def request_key(self, keyid: str) -> MetadataKey | None:
        """Return the request key of an id (base64url of the SHA-256 of its SPKI)."""
        for one in self.keys:
            if one.use == "request" and _key_id(one.sha256) == keyid:
                return one
        return None

    def agency(self, code: str) -> MetadataAgency | None:
        """Return an agency by its code or a former one."""
        wanted = clean(code)
        return next((one for one in self.agencies if wanted in (one.code, *one.former)), None)


def parse(data: bytes, *, now: datetime) -> Metadata:
    """Read metadata.

    Raises:
        Refused: EDOC-EXC-070, not in its form; EDOC-EXC-071, expired or not yet issued.
    """
    if len(data) > MAX_BYTES:
        raise _form("too long")
    try:
        members = json.loads(data)
        found = _metadata(members, data)
    except (ValueError, RecursionError, KeyError, TypeError, binascii.Error) as error:
        raise _form(type(error).__name__) from None
    if found.expires_at <= now or found.issued_at > now + SKEW:
        raise Refused(
            "EDOC-EXC-071", "the metadata is not of this time", issued=found.issued_at, until=found.expires_at
        )
    return found


def _form(why: str) -> Refused:
    return Refused("EDOC-EXC-070", "not metadata of a node", why=why)


def _metadata(members: Mapping[str, object], data: bytes) -> Metadata:
    if members["version"] != 1 or isinstance(members["version"], bool):
        raise ValueError("version")
    agencies = tuple(_agency(one) for one in _list(members["agencies"], AGENCIES_MAX))
    if not agencies:
        raise ValueError("no agency")
    protocol, ledger = _object(members.get("protocol", {})), _object(members.get("ledger") or {})
    return Metadata(
        node=_text(members["node"], 64),
        issued_at=read_time(_text(members["issued_at"], 40)),
        expires_at=read_time(_text(members["expires_at"], 40)),
        endpoint=_endpoint(members["endpoint"]),
        agencies=agencies,
        keys=tuple(_key(one) for one in _list(members["keys"], KEYS_MAX)),
        features=tuple(_text(one, 64) for one in _list(protocol.get("features", []), 50)),
        limits={name: value for name, value in _object(members.get("limits", {})).items() if type(value) is int},
        origin=_text_or_none(ledger.get("origin"), 200),
        vkey=_text_or_none(ledger.get("vkey"), 500),
        sha256=hashlib.sha256(data).hexdigest(),
        data=data,
    )


def _agency(value: object) -> MetadataAgency:
    one = _object(value)
    delivery = _text(one.get("delivery", "push"), 8)
    if delivery not in ("push", "pull"):
        raise ValueError("delivery")
    former = tuple(clean(_text(code, 64)) for code in _list(one.get("former", []), 50))
    successor = _text_or_none(one.get("successor"), 64)
    return MetadataAgency(clean(_text(one["code"], 64)), _text(one["name"], 200), former, delivery, successor)


def _key(value: object) -> MetadataKey:
    one = _object(value)
    use, status = _text(one["use"], 16), _text(one["status"], 16)
    if use not in USES or status not in STATUSES:
        raise ValueError("use or status")
    spki = one.get("spki")
    if spki is not None and use != "request":
        raise ValueError("a bare key signs requests only")
    data = base64.b64decode(_text(one["certificate"] if spki is None else spki, 20_000), validate=True)
    if use == "request" and spki is None:
        data = _spki_of(data)
    return MetadataKey(
        use=use,
        agency=_text_or_none(one.get("agency"), 64),
        data=data,
        sha256=hashlib.sha256(data).hexdigest(),
        not_before=_time_or_none(one.get("not_before")),
        not_after=_time_or_none(one.get("not_after")),
        status=status,
        chain=tuple(
            base64.b64decode(_text(der, 20_000), validate=True) for der in _list(one.get("chain", []), CHAIN_MAX)
        ),
    )


def _spki_of(certificate: bytes) -> bytes:
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = x509.load_der_x509_certificate(certificate).public_key()
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _endpoint(value: object) -> str:
    text = _text(value, 250)
    if _URL.fullmatch(text) is None:
        raise ValueError("endpoint")
    return text


def _object(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _list(value: object, most: int) -> list[object]:
    if not isinstance(value, list) or len(value) > most:
        raise TypeError("not a list, or too long")
    return value


def _text(value: object, most: int) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= most or not value.isprintable():
        raise TypeError("not a text")
    return value


def _text_or_none(value: object, most: int) -> str | None:
    return None if value is None else _text(value, most)


def _time_or_none(value: object) -> datetime | None:
    return None if value is None else read_time(_text(value, 40))


def _key_id(sha256: str) -> str:
    return base64.urlsafe_b64encode(bytes.fromhex(sha256)).decode("ascii").rstrip("=")


# --- what changes ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Changes:
    """What a version would change in an agency's entry; ``asks`` names what a person must decide."""

    entry: Agency
    delivery: str
    endpoint: str
    added: tuple[AgencyCertificate, ...]
    asks: tuple[str, ...]
    chain: tuple[bytes, ...] = field(default=(), repr=False)  # issuers' certificates, as offered beside the keys


def changes(held: Agency, found: Metadata, *, today: datetime) -> Changes:
    """Return the entry an agency would have by new metadata.

    Keys are added and ended, never taken away. Another name, another former code or a successor is a person's to
    decide, and the entry returned keeps what is held.

    Raises:
        Refused: EDOC-EXC-072, the metadata is of other agencies.
    """
    mine = next((one for code in (held.code, *held.old_codes) if (one := found.agency(code)) is not None), None)
    if mine is None:
        raise Refused("EDOC-EXC-072", "the metadata is of other agencies", agency=held.code)
    asks = [name for name, differs in _differences(held, mine) if differs]
    known = {(one.use, one.sha256): one for one in held.certificates}
    added: list[AgencyCertificate] = []
    changed = dict(known)
    for key in found.keys:
        if key.use == "exchange" and key.agency is not None and clean(key.agency) not in (held.code, *held.old_codes):
            continue
        place = (key.use, key.sha256)
        ends = today.date() if key.status == "retired" else None
        if place not in known:
            if ends is None:
                changed[place] = AgencyCertificate(key.use, key.data, key.sha256)
                added.append(changed[place])
        elif ends is not None and known[place].valid_to is None:
            before = known[place]
            changed[place] = AgencyCertificate(before.use, before.data, before.sha256, before.valid_from, ends)
    return Changes(
        entry=replace(held, certificates=tuple(changed.values())),
        delivery=mine.delivery,
        endpoint=found.endpoint,
        added=tuple(added),
        asks=tuple(asks),
        chain=tuple(der for key in found.keys for der in key.chain),
    )


def _differences(held: Agency, mine: MetadataAgency) -> tuple[tuple[str, bool], ...]:
    return (
        ("name", mine.name not in (held.name, *held.aliases)),
        ("former", not set(mine.former) <= {held.code, *held.old_codes}),
        ("successor", mine.successor is not None and mine.successor != held.successor),
    )
