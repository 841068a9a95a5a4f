"""The directory as a file: canonical JSON with agencies and their certificates (ledger.md 10.1, ``directory.json``).

The same form is what ``edoc audit --directory FILE`` reads. Inside a package it is what the exporter went by; it proves
an agency's code only when the caller gives it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import date
from hashlib import sha256

from edoc.agencies import Agency, AgencyCertificate, Directory
from transport.errors import LedgerError
from transport.ledger.canonical import Json, dump, load_object

SCHEMA = "edoc.directory/1"
MAX_BYTES = 64 * 1024 * 1024


def write_directory(directory: Directory) -> bytes:
    """Return the file of a directory: agencies in the order of their codes."""
    agencies = sorted(directory.agencies, key=lambda agency: agency.code)
    return dump({"schema": SCHEMA, "agencies": [_agency(agency) for agency in agencies]})


def read_directory(data: bytes) -> Directory:
    """Read a directory file. Raises ``LedgerError`` EDOC-LED-043 unless :func:`write_directory` could have made it."""
    try:
        if len(data) > MAX_BYTES:
            raise ValueError("the file is too long")
        facts = load_object(data)
        agencies = facts.get("agencies")
        if facts.get("schema") != SCHEMA or not isinstance(agencies, list):
            raise ValueError("not a directory")
        directory = Directory(tuple(_read_agency(one) for one in agencies))
        if write_directory(directory) != data:
            raise ValueError("not in the exact form")
    except (ValueError, TypeError, KeyError, AttributeError, binascii.Error, LedgerError) as error:
        raise LedgerError("EDOC-LED-043", "the directory file cannot be read", detail=str(error)) from error
    return directory


def _agency(agency: Agency) -> Json:
    facts: dict[str, Json] = {"code": agency.code, "name": agency.name}
    lists = {"old_codes": agency.old_codes, "former_names": agency.former_names, "aliases": agency.aliases}
    facts |= {key: list(value) for key, value in lists.items() if value}
    facts |= {key: value for key, value in (("address", agency.address), ("email", agency.email)) if value}
    facts |= _span(agency.valid_from, agency.valid_to)
    if agency.successor:
        facts["successor"] = agency.successor
    if agency.certificates:
        facts["certificates"] = [_certificate(one) for one in agency.certificates]
    return facts


def _certificate(one: AgencyCertificate) -> Json:
    data = base64.b64encode(one.data).decode("ascii")
    return {"use": one.use, "sha256": one.sha256, "data": data, **_span(one.valid_from, one.valid_to)}


def _span(start: date | None, end: date | None) -> dict[str, Json]:
    pairs = (("valid_from", start), ("valid_to", end))
    return {key: value.isoformat() for key, value in pairs if value is not None}


def _read_agency(value: Json) -> Agency:
    facts = _object(value)
    certificates = facts.get("certificates", ())
    if not isinstance(certificates, (list, tuple)):
        raise ValueError("certificates is not a list")
    return Agency(
        code=_text(facts, "code"),
        name=_text(facts, "name"),
        address=_text(facts, "address"),
        email=_text(facts, "email"),
        old_codes=_texts(facts, "old_codes"),
        former_names=_texts(facts, "former_names"),
        aliases=_texts(facts, "aliases"),
        valid_from=_day(facts, "valid_from"),
        valid_to=_day(facts, "valid_to"),
        successor=_text(facts, "successor") or None,
        certificates=tuple(_read_certificate(one) for one in certificates),
    )


def _read_certificate(value: Json) -> AgencyCertificate:
    facts = _object(value)
    data = base64.b64decode(_text(facts, "data"), validate=True)
    if sha256(data).hexdigest() != facts.get("sha256"):
        raise ValueError("a certificate has another digest")
    return AgencyCertificate(
        _text(facts, "use"), data, _text(facts, "sha256"), _day(facts, "valid_from"), _day(facts, "valid_to")
    )


def _object(value: Json) -> Mapping[str, Json]:
    if not isinstance(value, Mapping):
        raise ValueError("an entry is not an object")
    return value


def _text(facts: Mapping[str, Json], name: str) -> str:
    value = facts.get(name, "")
    if not isinstance(value, str):
        raise ValueError(f"{name} is not text")
    return value


def _texts(facts: Mapping[str, Json], name: str) -> tuple[str, ...]:
    value = facts.get(name, ())
    if not isinstance(value, (list, tuple)) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{name} is not a list of texts")
    return tuple(str(one) for one in value)


def _day(facts: Mapping[str, Json], name: str) -> date | None:
    value = _text(facts, name)
    return date.fromisoformat(value) if value else None
