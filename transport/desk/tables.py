"""``edoc agency``, ``trust``: the node's tables of agencies and anchors (console.md 4.6)."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from signer.errors import SignerError
from transport.desk import ledgers, nodes, trusting
from transport.desk.files import read_input
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from edoc.agencies import Agency, AgencyCertificate
    from signer.trustlist import TrustList
    from transport.desk.console import Console
    from transport.node.office import Office
    from transport.store.store import Store, Unit
    from transport.store.values import AnchorEntry, Partner

USES = ("exchange", "request", "tls", "agency")
ANCHOR_USES = ("signers", "public", "tsa", "tls")
STORED_USE = {"tls": "transport"}  # the word of the table


@contextmanager
def opened(console: Console, *, read_only: bool = False) -> Iterator[Store]:
    """Open the node's store for one command."""
    from transport.store.store import Store

    with Store.open(ledgers.settings_of(console), read_only=read_only) as store:
        yield store


@contextmanager
def changing(console: Console) -> Iterator[Office]:
    """Open the node for a change of its tables, with the log's key but without the exchange key."""
    from transport.node.office import Office
    from transport.node.opening import log_of
    from transport.store.store import Store

    settings = ledgers.settings_of(console)
    log = log_of(settings.home)
    with Store.open(settings, log=log) as store:
        code = settings.agency_code or "-"
        yield Office(settings, store, log, code, settings.agency_name or code)


def record(office: Office, action: str, *, subject: str, now: datetime, note: str | None = None) -> None:
    """Enter the change in the ledger (R38, R88); before the log is opened by the exchange key there is none."""
    from transport.store import quick

    if office.log.signer is None or quick.head(office.settings.home) is None:
        return
    office.store.do(lambda unit: append_operation(office, unit, action, subject=subject, now=now, note=note))


def append_operation(
    office: Office, unit: Unit, action: str, *, subject: str, now: datetime, note: str | None = None
) -> None:
    """Add the entry ``operation`` to a unit: action in the clear, person, object and note as commitments."""
    from transport.node.office import record as facts

    office.append(
        unit,
        "operation",
        at=now,
        evidence=unit.keep(facts("operation", action=action, result="ok")),
        rtype="record",
        people={"actor": nodes.login(), "subject": subject, "note": note or ""},
        fields={"action": action, "result": "ok"},
    )


# --- agencies --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewAgency:
    """What ``agency add`` was given; certificates as ``[USE=]FILE``."""

    code: str
    name: str | None
    url: str | None = None
    certs: tuple[str, ...] = ()
    aliases: tuple[str, ...] = ()
    old_codes: tuple[str, ...] = ()
    auth: str | None = None


def agency(console: Console, given: NewAgency) -> Agency:
    """Return the entry to be added: what is known already, with the new facts.

    Raises:
        CommandError, TrustError: code, address or certificates cannot be used.
    """
    from dataclasses import replace

    from edoc.agencies import Agency, check_code

    if given.url is not None and not re.fullmatch(r"https?://[^\s]+", given.url):
        raise CommandError("EDOC-USE-004", name="--url", value=given.url, expected="https://…")
    directory = trusting.directory_of(console)
    known = directory.get(given.code) if directory is not None else None
    if given.name is None:
        raise CommandError("EDOC-USE-003", name="--name", command="edoc agency add")
    before = known or Agency(check_code(given.code), given.name)
    found = tuple(item for text in given.certs for item in _certificates(console, text))
    return replace(
        before,
        name=given.name,
        aliases=tuple(dict.fromkeys((*before.aliases, *given.aliases))),
        old_codes=tuple(dict.fromkeys((*before.old_codes, *given.old_codes))),
        certificates=tuple(dict.fromkeys((*before.certificates, *found))),
    )


def _certificates(console: Console, text: str) -> list[AgencyCertificate]:
    from edoc.agencies import AgencyCertificate

    use, separator, path = text.partition("=")
    if not separator:
        use, path = "exchange", text
    if use not in USES:
        raise CommandError(
            "EDOC-USE-004", name="--cert", value=text, expected="|".join(f"{item}=FILE" for item in USES)
        )
    data = read_input(path, console)
    if use == "request":
        spki = _public_key(path, data)
        return [AgencyCertificate(use, spki, hashlib.sha256(spki).hexdigest())]
    return [AgencyCertificate(use, der, hashlib.sha256(der).hexdigest()) for der in load_certificates(path, data)]


def load_certificates(path: str, data: bytes) -> tuple[bytes, ...]:
    """Return the certificates (DER) of a file.

    Raises:
        TrustError: it holds none; ``facts`` name the file.
    """
    from signer.errors import TrustError
    from signer.trust import load_certificates as loaded

    try:
        return loaded(data)
    except TrustError as error:
        error.facts.setdefault("path", path)
        raise


def _public_key(path: str, data: bytes) -> bytes:
    """Return the SubjectPublicKeyInfo of a public key or certificate."""
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    try:
        if b"PUBLIC KEY-----" in data:
            key = serialization.load_pem_public_key(data)
        elif b"-----BEGIN CERTIFICATE-----" in data:
            key = x509.load_pem_x509_certificate(data).public_key()
        else:
            key = serialization.load_der_public_key(data)
    except ValueError as error:
        raise CommandError("EDOC-USE-004", name="--cert", value=path, expected="request=PUBLIC-KEY.pem") from error
    return key.public_bytes(encoding, form)


AUTH_KEPT = {"signature": "signature-only"}
"""How a decided word is kept: ``signature`` in the table means that nobody decided (exchange.md 4)."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How an agency's node is reached and how it authenticates; what is ``None`` stays as it is known."""

    url: str | None = None
    delivery: str | None = None
    auth: str | None = None


def add_agency(console: Console, entry: Agency, how: Reached, *, now: datetime) -> None:
    """Enter the agency; the entry of before stays in the history."""
    from transport.store import directory

    with changing(console) as office:
        auth = how.auth and AUTH_KEPT.get(how.auth, how.auth)
        office.store.do(lambda unit: directory.add(unit, entry, now=now, url=how.url, delivery=how.delivery, auth=auth))
        record(office, "agency.add", subject=entry.code, now=now)


def agencies(console: Console, search: str | None) -> tuple[tuple[Agency, ...], dict[str, Partner]]:
    """Return the agencies whose code, name or alias holds the text, and how each is reached."""
    from edoc.values import plain
    from transport.store import directory

    with opened(console, read_only=True) as store:
        found = store.read(directory.load).agencies
        partners = {partner.code: partner for partner in store.read(directory.partners)}
    if search:
        wanted = plain(search)
        found = tuple(a for a in found if any(wanted in plain(text) for text in (a.code, a.name, *a.aliases)))
    return found, partners


# --- trust -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as a person compares it."""

    der: bytes
    sha256: str
    subject: str
    not_after: datetime
    authority: bool  # may issue, or is self-signed


def certificates(console: Console, files: Sequence[str]) -> list[Certificate]:
    """Return every certificate of the files, described; all or none."""
    return [describe(der) for name in files for der in load_certificates(name, read_input(name, console))]


def describe(der: bytes) -> Certificate:
    """Return subject, end and fingerprint of a certificate (DER)."""
    from cryptography import x509

    try:
        found = x509.load_der_x509_certificate(der)
        _ = found.subject.rfc4514_string()
    except ValueError:
        return _described(der)
    try:
        ca = found.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        ca = False
    return Certificate(
        der,
        hashlib.sha256(der).hexdigest(),
        found.subject.rfc4514_string(),
        found.not_valid_after_utc,
        ca or found.subject == found.issuer,
    )


def expect_fingerprint(found: Sequence[Certificate], given: str | None) -> None:
    """Refuse certificates whose SHA-256 is not the one given.

    Raises:
        CommandError: it differs, or several certificates are to match one fingerprint.
    """
    wanted = given.replace(":", "").lower() if given else None
    for item in found if wanted else ():
        if item.sha256 != wanted:
            raise CommandError("EDOC-USE-035", path=item.subject, found=item.sha256, given=wanted)


def add_anchors(
    console: Console, found: Sequence[Certificate], uses: Sequence[str], *, basis: str | None, now: datetime
) -> None:
    """Trust the certificates for these uses."""
    stored = [STORED_USE.get(use, use) for use in uses]
    with changing(console) as office:
        for item in found:
            _add_anchor(office, item, stored, now=now)
            record(office, "trust.add", subject=item.sha256, now=now, note=basis)


def trust_list(console: Console, file: str, signers: Sequence[str], *, now: datetime) -> TrustList:
    """Read a trusted list (TS 119 612), believed only if one of the signers' certificates signed it.

    Raises:
        CommandError, SignerError: a file is unreadable, or the list is not theirs.
    """
    from signer.trustlist import read_trust_list

    pinned = [der for name in signers for der in load_certificates(name, read_input(name, console))]
    data = read_input(file, console)
    try:
        return read_trust_list(data, signers=pinned, at=now)
    except SignerError as error:
        error.facts.setdefault("path", file)
        raise


def anchors_of(found: TrustList) -> list[tuple[Certificate, tuple[str, ...]]]:
    """Return the certificates a list vouches for, each with the uses and periods it is kept for."""
    from transport.anchoruses import uses_of

    uses: dict[bytes, tuple[str, ...]] = {}
    for anchor in found.store.anchors:
        uses[anchor.certificate] = (*uses.get(anchor.certificate, ()), *uses_of(anchor))
    return [(_described(der), tuple(dict.fromkeys(words))) for der, words in uses.items()]


def _described(der: bytes) -> Certificate:
    """Describe a certificate of a list; lists hold old ones that the strict reader refuses."""
    from signer.x509read import read

    found = read(der)
    return Certificate(der, found.sha256, found.subject.text, found.not_after, authority=True)


def add_listed(
    console: Console, found: Sequence[tuple[Certificate, tuple[str, ...]]], *, basis: str | None, now: datetime
) -> None:
    """Trust what a list vouches for, in its periods."""
    with changing(console) as office:
        for item, uses in found:
            _add_anchor(office, item, uses, now=now)
            record(office, "trust.import", subject=item.sha256, now=now, note=basis)


def _add_anchor(office: Office, item: Certificate, uses: Sequence[str], *, now: datetime) -> None:
    from transport.store import directory

    office.store.do(lambda unit: directory.add_anchor(unit, item.der, uses, subject=item.subject, now=now))


def anchors(console: Console) -> tuple[AnchorEntry, ...]:
    """Return the certificates trusted now."""
    from transport.store import directory

    with opened(console, read_only=True) as store:
        return store.read(directory.anchors)
