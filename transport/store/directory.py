"""Agencies, partners, trust and keys of a node: rows ⇄ values, with history (exchange.md 8, R66, R80).

What is loaded is the whole directory as one frozen value; judging against a directory never asks the database again.
Every change of an entry is kept as it was then, because which key belonged to which agency on which day decides
disputes.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from edoc.agencies import Agency, AgencyCertificate, Directory
from transport.store.records import data, number, number_or_none, text, text_or_none
from transport.store.statements import Connection
from transport.store.times import day_or_none, day_text, millis, moment, moment_or_none
from transport.store.values import AnchorEntry, KeyEntry, Partner
from transport.store.writer import Unit

_AGENCIES = """
    SELECT code, name, address, email, old_codes, former_names, aliases, valid_from, valid_to, successor
    FROM agency ORDER BY code
"""
_CERTIFICATES = """
    SELECT agency, use, data, sha256, valid_from, valid_to FROM agency_certificate ORDER BY id
"""


def load(connection: Connection) -> Directory:
    """Return all agencies with their certificates, ended ones too."""
    certificates: dict[str, list[AgencyCertificate]] = {}
    for row in connection.exec_driver_sql(_CERTIFICATES):
        certificates.setdefault(text(row[0]), []).append(
            AgencyCertificate(
                use=text(row[1]),
                data=data(row[2]),
                sha256=text(row[3]),
                valid_from=day_or_none(text_or_none(row[4])),
                valid_to=day_or_none(text_or_none(row[5])),
            )
        )
    return Directory(
        tuple(
            Agency(
                code=text(row[0]),
                name=text(row[1]),
                address=text(row[2]),
                email=text(row[3]),
                old_codes=_list(row[4]),
                former_names=_list(row[5]),
                aliases=_list(row[6]),
                valid_from=day_or_none(text_or_none(row[7])),
                valid_to=day_or_none(text_or_none(row[8])),
                successor=text_or_none(row[9]),
                certificates=tuple(certificates.get(text(row[0]), ())),
            )
            for row in connection.exec_driver_sql(_AGENCIES)
        )
    )


def add(
    unit: Unit,
    agency: Agency,
    *,
    now: datetime,
    url: str | None = None,
    delivery: str | None = None,
    auth: str | None = None,
) -> None:
    """Enter an agency or replace its entry; the entry of before stays in the history.

    Certificates are added, never taken away: one that is left out of the new entry stays as it is, one whose days
    changed gets the new days. ``url``, ``delivery`` and ``auth`` None keep what is known.
    """
    connection = unit.connection
    values = {
        "code": agency.code,
        "name": agency.name,
        "address": agency.address,
        "email": agency.email,
        "old_codes": _json(agency.old_codes),
        "former_names": _json(agency.former_names),
        "aliases": _json(agency.aliases),
        "valid_from": day_text(agency.valid_from),
        "valid_to": day_text(agency.valid_to),
        "successor": agency.successor,
        "now": millis(now),
    }
    connection.exec_driver_sql(_PUT_AGENCY, values)
    for certificate in agency.certificates:
        connection.exec_driver_sql(_PUT_CERTIFICATE, _certificate_row(agency.code, certificate, now))
    connection.exec_driver_sql(
        _PUT_PARTNER,
        {"code": agency.code, "url": url, "delivery": delivery, "auth": auth, "now": millis(now)},
    )
    _keep_history(unit, agency, url=url, now=now)


_PUT_AGENCY = """
    INSERT INTO agency (code, name, address, email, old_codes, former_names, aliases, valid_from, valid_to, successor,
        updated_at)
    VALUES (:code, :name, :address, :email, :old_codes, :former_names, :aliases, :valid_from, :valid_to, :successor,
        :now)
    ON CONFLICT (code) DO UPDATE SET name = :name, address = :address, email = :email, old_codes = :old_codes,
        former_names = :former_names, aliases = :aliases, valid_from = :valid_from, valid_to = :valid_to,
        successor = :successor, updated_at = :now
"""
_PUT_CERTIFICATE = """
    INSERT INTO agency_certificate (agency, use, sha256, data, valid_from, valid_to, added_at)
    VALUES (:agency, :use, :sha256, :data, :valid_from, :valid_to, :now)
    ON CONFLICT (agency, use, sha256) DO UPDATE SET valid_from = :valid_from, valid_to = :valid_to
"""
_PUT_PARTNER = """
    INSERT INTO partner (agency, url, delivery, auth, cap, served_at, failures, open_for, updated_at)
    VALUES (:code, :url, coalesce(:delivery, 'push'), coalesce(:auth, 'signature'), 4, 0, 0, 0, :now)
    ON CONFLICT (agency) DO UPDATE SET url = coalesce(:url, partner.url),
        delivery = coalesce(:delivery, partner.delivery), auth = coalesce(:auth, partner.auth), updated_at = :now
"""


def _certificate_row(agency: str, certificate: AgencyCertificate, now: datetime) -> dict[str, object]:
    return {
        "agency": agency,
        "use": certificate.use,
        "sha256": certificate.sha256,
        "data": certificate.data,
        "valid_from": day_text(certificate.valid_from),
        "valid_to": day_text(certificate.valid_to),
        "now": millis(now),
    }


def _keep_history(unit: Unit, agency: Agency, *, url: str | None, now: datetime) -> None:
    entry = {
        "code": agency.code,
        "name": agency.name,
        "address": agency.address,
        "email": agency.email,
        "old_codes": list(agency.old_codes),
        "former_names": list(agency.former_names),
        "aliases": list(agency.aliases),
        "valid_from": day_text(agency.valid_from),
        "valid_to": day_text(agency.valid_to),
        "successor": agency.successor,
        "url": url,
        "certificates": [
            {
                "use": certificate.use,
                "sha256": certificate.sha256,
                "valid_from": day_text(certificate.valid_from),
                "valid_to": day_text(certificate.valid_to),
            }
            for certificate in agency.certificates
        ],
    }
    unit.connection.exec_driver_sql(
        "INSERT INTO agency_history (agency, at, entry) VALUES (?, ?, ?)", (agency.code, millis(now), _json(entry))
    )


def history(connection: Connection, code: str) -> tuple[tuple[datetime, str], ...]:
    """Return every entry an agency has had, oldest first, as time and JSON text."""
    found = connection.exec_driver_sql("SELECT at, entry FROM agency_history WHERE agency = ? ORDER BY id", (code,))
    return tuple((moment(number(row[0])), text(row[1])) for row in found)


def end_certificate(unit: Unit, agency: str, sha256: str, *, use: str, last_day: datetime) -> bool:
    """End a registration on a day; false when there is no such certificate."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE agency_certificate SET valid_to = ? WHERE agency = ? AND sha256 = ? AND use = ?",
            (last_day.date().isoformat(), agency, sha256, use),
        ).rowcount
        == 1
    )


def partners(connection: Connection) -> tuple[Partner, ...]:
    """Return how every agency is reached, with its request keys by key id and its client certificates."""
    keys: dict[str, list[tuple[str, bytes]]] = {}
    channels: dict[str, list[bytes]] = {}
    found = connection.exec_driver_sql(
        "SELECT agency, use, data FROM agency_certificate WHERE use IN ('request', 'tls') ORDER BY id"
    )
    for row in found:
        registered = data(row[2])
        if text(row[1]) == "tls":
            channels.setdefault(text(row[0]), []).append(registered)
        else:
            keys.setdefault(text(row[0]), []).append((key_id(registered), registered))
    rows = connection.exec_driver_sql("SELECT agency, url, delivery, auth FROM partner ORDER BY agency")
    return tuple(
        Partner(
            text(row[0]),
            text_or_none(row[1]),
            tuple(keys.get(text(row[0]), ())),
            text(row[2]),
            text(row[3]),
            tuple(channels.get(text(row[0]), ())),
        )
        for row in rows
    )


def partner(connection: Connection, code: str) -> Partner | None:
    """Return how one agency is reached, None when it was never entered."""
    return next((one for one in partners(connection) if one.code == code), None)


def key_id(spki: bytes) -> str:
    """Return the key id of a request key: base64url of the SHA-256 of its SPKI, without padding (exchange.md 4)."""
    return base64.urlsafe_b64encode(hashlib.sha256(spki).digest()).decode("ascii").rstrip("=")


def add_anchor(unit: Unit, certificate: bytes, uses: Iterable[str], *, subject: str, now: datetime) -> str:
    """Trust a certificate (DER) for some uses; return its SHA-256. Uses: signers, public, tsa, transport."""
    sha256 = hashlib.sha256(certificate).hexdigest()
    for use in uses:
        unit.connection.exec_driver_sql(
            "INSERT INTO anchor (sha256, use, data, subject, added_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (sha256, use) DO UPDATE SET removed_at = NULL",
            (sha256, use, certificate, subject, millis(now)),
        )
    return sha256


def remove_anchor(unit: Unit, sha256: str, *, now: datetime) -> bool:
    """Trust a certificate no longer; the row stays, with the time. False when it was not trusted."""
    return (
        unit.connection.exec_driver_sql(
            "UPDATE anchor SET removed_at = ? WHERE sha256 = ? AND removed_at IS NULL", (millis(now), sha256)
        ).rowcount
        > 0
    )


def anchors(connection: Connection) -> tuple[AnchorEntry, ...]:
    """Return the certificates trusted now, each with its uses."""
    found: dict[str, AnchorEntry] = {}
    rows = connection.exec_driver_sql(
        "SELECT sha256, use, data, subject, added_at FROM anchor WHERE removed_at IS NULL ORDER BY id"
    )
    for row in rows:
        sha256 = text(row[0])
        before = found[sha256].uses if sha256 in found else ()
        found[sha256] = AnchorEntry(sha256, (*before, text(row[1])), data(row[2]), text(row[3]), moment(number(row[4])))
    return tuple(found.values())


def keep_revocation(unit: Unit, kind: str, answer: bytes, *, fetched_at: datetime, next_update: datetime | None) -> str:
    """Keep a CRL or OCSP response (``kind`` crl, ocsp) and return its SHA-256 (R69)."""
    sha256 = hashlib.sha256(answer).hexdigest()
    unit.connection.exec_driver_sql(
        "INSERT INTO revocation (sha256, kind, data, fetched_at, next_update) VALUES (?, ?, ?, ?, ?) "
        "ON CONFLICT (sha256) DO NOTHING",
        (sha256, kind, answer, millis(fetched_at), None if next_update is None else millis(next_update)),
    )
    return sha256


def status_answers(connection: Connection, *, since: datetime) -> tuple[tuple[datetime, str, bytes], ...]:
    """Return the CRLs and OCSP responses fetched since a time, newest first, as time, kind and bytes."""
    found = connection.exec_driver_sql(
        "SELECT fetched_at, kind, data FROM revocation WHERE fetched_at >= ? ORDER BY fetched_at DESC",
        (millis(since),),
    )
    return tuple((moment(number(row[0])), text(row[1]), data(row[2])) for row in found)


def add_key(unit: Unit, key: KeyEntry) -> None:
    """Enter a key of this node; its file stays outside the database.

    Raises:
        Conflict: a key of this name exists.
    """
    unit.connection.exec_driver_sql(
        "INSERT INTO key (name, role, file, sha256, subject, agency, public, not_before, not_after, added_at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            key.name,
            key.role,
            key.file,
            key.sha256,
            key.subject,
            key.agency,
            key.public,
            None if key.not_before is None else millis(key.not_before),
            None if key.not_after is None else millis(key.not_after),
            millis(key.added_at),
        ),
    )


def keys(connection: Connection) -> tuple[KeyEntry, ...]:
    """Return the keys of this node."""
    found = connection.exec_driver_sql(
        "SELECT name, role, file, sha256, subject, agency, public, not_before, not_after, added_at FROM key "
        "ORDER BY name"
    )
    return tuple(
        KeyEntry(
            name=text(row[0]),
            role=text(row[1]),
            file=text(row[2]),
            sha256=text(row[3]),
            subject=text(row[4]),
            agency=text_or_none(row[5]),
            public=data(row[6]),
            not_before=moment_or_none(number_or_none(row[7])),
            not_after=moment_or_none(number_or_none(row[8])),
            added_at=moment(number(row[9])),
        )
        for row in found
    )


def key_path(home: Path, key: KeyEntry) -> Path:
    """Return where a key's file lies: relative names are within the home."""
    return home / key.file


def _list(value: object) -> tuple[str, ...]:
    return tuple(str(item) for item in json.loads(text(value)))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
