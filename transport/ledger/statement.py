"""Key statements: the file ``keys.xml`` by which an agency binds log and witness keys to itself (ledger.md 3).

Promises: one writer and its exact inverse; what :func:`build` could not have written is refused. A statement is signed
with the agency's certificate; serials rise from 1 and each names the SHA-256 of the one before. :func:`binds` checks
the other direction: a leaf of the log names the SHA-256 of the statement, so that nobody can certify a stranger's log.
Times are aware, in UTC, whole seconds.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from lxml import etree

from signer.errors import SignerError
from transport.errors import LedgerError
from transport.ledger.checkpoint import check_origin
from transport.ledger.event import Leaf
from transport.ledger.merkle import HASH_SIZE
from transport.ledger.note import NoteInvalid, VerifierKey, decode_base64, read_vkey

if TYPE_CHECKING:
    from signer.credential import Credential
    from signer.report import Report
    from signer.timestamp import Timestamper
    from signer.trust import Context

NAMESPACE = "urn:edoc:ledger-keys:1"
MAX_BYTES = 128 * 1024
MAX_KEYS = 64
"""Logs, witnesses and withdrawals of one statement, each."""

_SIGNATURE = "{http://www.w3.org/2000/09/xmldsig#}Signature"
_TIME = re.compile(r"(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})Z", re.ASCII)
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_CODE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_URL = re.compile(r"https?://[!-~]{1,400}", re.ASCII)
_REASON = re.compile(r"[a-z][a-z0-9-]{0,63}", re.ASCII)


class StatementInvalid(LedgerError):
    """A key statement is not in its exact form, or says what it must not."""

    def __init__(self, message: str) -> None:
        super().__init__("EDOC-LED-005", message, detail=message)


@dataclass(frozen=True, slots=True)
class LogEntry:
    """A log's key and the time it may sign in."""

    origin: str
    vkey: str
    not_before: datetime
    not_after: datetime
    url: str

    @property
    def key(self) -> VerifierKey:
        """The key itself."""
        return read_vkey(self.vkey)

    def in_force(self, at: datetime) -> bool:
        """Tell whether the key was announced for this moment."""
        return self.not_before <= at <= self.not_after


@dataclass(frozen=True, slots=True)
class WitnessEntry:
    """A witness key, and where checkpoints are submitted to it."""

    name: str
    vkey: str
    not_before: datetime
    not_after: datetime
    submit: str

    @property
    def key(self) -> VerifierKey:
        """The key itself."""
        return read_vkey(self.vkey)


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """A key that no longer counts: checkpoints first stamped after ``at`` are broken; the last head it stood for."""

    vkey: str
    at: datetime
    last_size: int
    last_root: bytes
    reason: str


@dataclass(frozen=True, slots=True)
class Statement:
    """What a key statement says. Raises ``StatementInvalid`` outside its form."""

    serial: int
    issued: datetime
    agency_code: str
    agency_name: str
    logs: tuple[LogEntry, ...]
    witnesses: tuple[WitnessEntry, ...] = ()
    withdrawn: tuple[Withdrawal, ...] = ()
    previous: str | None = None

    def __post_init__(self) -> None:
        _need(1 <= self.serial < 2**31, "the serial is out of range")
        _need((self.serial == 1) == (self.previous is None), "every statement but the first names the one before")
        _need(self.previous is None or _HEX.fullmatch(self.previous) is not None, "Previous is not a digest")
        _need(_CODE.fullmatch(self.agency_code) is not None, "the agency's code is not in its form")
        name = self.agency_name
        _need(
            0 < len(name) <= 200 and name == name.strip() and name.isprintable(), "the agency's name is not in its form"
        )
        _need(1 <= len(self.logs) <= MAX_KEYS, "a statement names one log at least")
        _need(max(len(self.witnesses), len(self.withdrawn)) <= MAX_KEYS, "too many keys")
        for log in self.logs:
            _need(log.key.name == check_origin(log.origin), "the log's key has another name than the log")
            _check_entry(log.not_before, log.not_after, log.url)
        for witness in self.witnesses:
            _need(witness.key.name == witness.name, "the witness's key has another name")
            _check_entry(witness.not_before, witness.not_after, witness.submit)
        for gone in self.withdrawn:
            read_vkey(gone.vkey)
            _need(
                0 <= gone.last_size < 2**63 and len(gone.last_root) == HASH_SIZE,
                "lastSize or lastRoot is not in its form",
            )
            _need(_REASON.fullmatch(gone.reason) is not None, "the reason is not in its form")

    def log(self, origin: str) -> LogEntry | None:
        """Return the entry of a log, or ``None``."""
        return next((one for one in self.logs if one.origin == origin), None)

    def withdrawal(self, vkey: str) -> Withdrawal | None:
        """Return the withdrawal of a key, or ``None``."""
        return next((one for one in self.withdrawn if one.vkey == vkey), None)


@dataclass(frozen=True, slots=True)
class VerifiedStatement:
    """A statement whose signature holds, with the agency's certificate (DER) that made it."""

    statement: Statement
    sha256: str
    certificate: bytes
    report: Report


def build(statement: Statement) -> etree._Element:
    """Return the unsigned tree, elements in the order of ledger.md 3, no white space between."""
    root = etree.Element(_tag("LedgerKeys"), {"Id": "keys", "serial": str(statement.serial)}, nsmap={None: NAMESPACE})
    root.set("issued", _format_time(statement.issued))
    etree.SubElement(root, _tag("Agency"), {"code": statement.agency_code}).text = statement.agency_name
    if statement.previous is not None:
        etree.SubElement(root, _tag("Previous"), {"sha256": statement.previous})
    for log in statement.logs:
        facts = {"origin": log.origin, "vkey": log.vkey, **_span(log.not_before, log.not_after)}
        _add(root, "Log", {**facts, "url": log.url})
    for witness in statement.witnesses:
        facts = {"name": witness.name, "vkey": witness.vkey, **_span(witness.not_before, witness.not_after)}
        _add(root, "Witness", {**facts, "submit": witness.submit})
    for gone in statement.withdrawn:
        facts = {"vkey": gone.vkey, "at": _format_time(gone.at), "lastSize": str(gone.last_size)}
        facts["lastRoot"] = base64.b64encode(gone.last_root).decode("ascii")
        _add(root, "Withdrawn", {**facts, "reason": gone.reason})
    return root


def sign(statement: Statement, *, credential: Credential, timestamper: Timestamper | None = None) -> bytes:
    """Return the signed statement (XAdES-B-T with a ``timestamper``, else B-B); SigningTime is ``issued``.

    Raises what ``signer.xml.profiles.sign_declaration`` raises, and ``StatementInvalid`` above 128 KiB.
    """
    from signer.xml.profiles import sign_declaration

    data = sign_declaration(build(statement), credential=credential, at=statement.issued, timestamper=timestamper)
    if parse(data) != statement:  # the writer must never make what the reader refuses
        raise StatementInvalid("the statement does not read back as it was written")
    return data


def parse(data: bytes) -> Statement:
    """Read what a statement says without verifying its signature.

    Raises ``StatementInvalid`` unless :func:`build` could have written exactly this.
    """
    from signer.safexml import parse as parse_xml
    from signer.trust import Limits

    if len(data) > MAX_BYTES:
        raise StatementInvalid(f"longer than {MAX_BYTES} bytes")
    try:
        root = parse_xml(data, limits=Limits())
    except SignerError:
        raise StatementInvalid("not well-formed XML") from None
    if any(not isinstance(node.tag, str) for node in root.iter()):
        raise StatementInvalid("comment or processing instruction")
    if data not in _spellings(root):
        raise StatementInvalid("bytes differ from what a writer makes")
    if len(root) == 0 or root[-1].tag != _SIGNATURE:
        raise StatementInvalid("no signature at the end")
    root.remove(root[-1])
    return read(root)


def read(root: etree._Element) -> Statement:
    """Read a tree without its signature. Raises ``StatementInvalid`` unless :func:`build` makes the same tree."""
    try:
        statement = _read(root)
    except (ValueError, NoteInvalid) as error:
        raise StatementInvalid(str(error)) from error
    if _canonical(root) != _canonical(build(statement)):
        raise StatementInvalid("not in the exact form")
    return statement


def verify(data: bytes, *, context: Context) -> VerifiedStatement:
    """Return the statement read from what its signature covers.

    Raises ``StatementInvalid``, or what ``signer.xml.profiles.verify_declaration`` raises (``NotVerified``).
    """
    from signer.xml.profiles import verify_declaration

    parse(data)
    declared = verify_declaration(data, context=context)
    statement = read(declared.tree)
    if declared.signing_time != statement.issued:
        raise StatementInvalid("SigningTime differs from issued")
    return VerifiedStatement(statement, sha256(data).hexdigest(), declared.certificate, declared.report)


def binds(leaf: Leaf, statement_sha256: str) -> bool:
    """Tell whether a leaf ties its log to the statement with this digest (hexadecimal)."""
    return leaf.kind in ("log-opened", "key-changed") and leaf.text("receipt") == statement_sha256


# --- reading ---------------------------------------------------------------------------------------------------------


def _read(root: etree._Element) -> Statement:
    _need(root.tag == _tag("LedgerKeys"), "the root is not LedgerKeys")
    children = list(root)
    _need(bool(children) and children[0].tag == _tag("Agency"), "Agency is missing")
    agency = children[0]
    previous = next((one.get("sha256", "") for one in _named(root, "Previous")), None)
    return Statement(
        serial=_number(root.get("serial", "")),
        issued=_read_time(root.get("issued", "")),
        agency_code=agency.get("code", ""),
        agency_name=agency.text or "",
        logs=tuple(
            LogEntry(_get(e, "origin"), _get(e, "vkey"), *_read_span(e), _get(e, "url")) for e in _named(root, "Log")
        ),
        witnesses=tuple(
            WitnessEntry(_get(e, "name"), _get(e, "vkey"), *_read_span(e), _get(e, "submit"))
            for e in _named(root, "Witness")
        ),
        withdrawn=tuple(_read_withdrawal(element) for element in _named(root, "Withdrawn")),
        previous=previous,
    )


def _read_withdrawal(element: etree._Element) -> Withdrawal:
    root = decode_base64(_get(element, "lastRoot"))
    at, size = _read_time(_get(element, "at")), _number(_get(element, "lastSize"))
    return Withdrawal(_get(element, "vkey"), at, size, root, _get(element, "reason"))


def _named(root: etree._Element, name: str) -> Iterator[etree._Element]:
    return (element for element in root if element.tag == _tag(name))


def _get(element: etree._Element, name: str) -> str:
    return element.get(name) or ""


def _read_span(element: etree._Element) -> tuple[datetime, datetime]:
    return _read_time(_get(element, "notBefore")), _read_time(_get(element, "notAfter"))


def _number(text: str) -> int:
    _need(_NUMBER.fullmatch(text) is not None, "not a plain decimal number")
    return int(text)


def _read_time(text: str) -> datetime:
    found = _TIME.fullmatch(text)
    if found is None:
        raise StatementInvalid("not a time in UTC with whole seconds")
    year, month, day, hour, minute, second = (int(group) for group in found.groups())
    return datetime(year, month, day, hour, minute, second, tzinfo=UTC)


# --- writing ---------------------------------------------------------------------------------------------------------


def _format_time(moment: datetime) -> str:
    if moment.tzinfo is None or moment.microsecond:
        raise StatementInvalid("times of a statement are aware and whole seconds")
    utc = moment.astimezone(UTC)
    return f"{utc.year:04}{utc:-%m-%dT%H:%M:%S}Z"


def _span(start: datetime, end: datetime) -> dict[str, str]:
    return {"notBefore": _format_time(start), "notAfter": _format_time(end)}


def _add(root: etree._Element, name: str, facts: dict[str, str]) -> None:
    element = etree.SubElement(root, _tag(name))
    for key, value in facts.items():
        element.set(key, value)


def _tag(name: str) -> str:
    return f"{{{NAMESPACE}}}{name}"


def _canonical(element: etree._Element) -> bytes:
    try:
        return etree.tostring(element, method="c14n", exclusive=True, with_comments=True)
    except etree.LxmlError:
        raise StatementInvalid("namespaces that canonical form does not know") from None


def _spellings(root: etree._Element) -> tuple[bytes, ...]:
    canonical = _canonical(root)
    return (
        etree.tostring(root, encoding="UTF-8", xml_declaration=True),
        etree.tostring(root, encoding="UTF-8", xml_declaration=False),
        canonical,
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + canonical,
    )


def _check_entry(start: datetime, end: datetime, url: str) -> None:
    _need(_format_time(start) < _format_time(end), "a key ends before it begins")
    _need(_URL.fullmatch(url) is not None, "an address is not a URL")


def _need(condition: bool, message: str) -> None:
    if not condition:
        raise StatementInvalid(message)
