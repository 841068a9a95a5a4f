"""``edoc key``: the keys of the node, requests for certificates, and the tokens that are plugged in (console.md 4.6).

Promises: a private part is never printed and never leaves its place: files are copied as they are, a new key is written
only encrypted, a key on a token stays there and only its address is kept.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from signer.errors import CredentialError, SigningRefused
from transport.desk import keys, ledgers, nodes, secrets, tables
from transport.desk.files import check_target, read_input, write_output
from transport.present.errors import CommandError
from transport.present.office import KeyRow

if TYPE_CHECKING:
    from signer.credential import Credential, PrivateKey
    from signer.tokenobjects import TokenFacts
    from transport.desk.console import Console
    from transport.store.values import KeyEntry

ROLES = ("person", "agency", "exchange", "request", "tls")
ON_TOKENS = ("person", "agency")
TYPES = ("rsa3072", "p256")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class NewKey:
    """What ``key import`` was given; ``file`` may be the address of a token."""

    file: str
    name: str
    role: str
    certs: tuple[str, ...] = ()
    pins: secrets.Pins = keys.NO_PINS
    module: str | None = None
    link: str | None = None  # account of the person whose certificate it is (R37)

    @property
    def suffix(self) -> str:
        """Ending of the file in the node."""
        return Path(self.file).suffix.lower() or ".pem"


def import_key(console: Console, given: NewKey, *, now: datetime) -> KeyRow:
    """Check that the key opens and fits its certificate, keep it as it is, and enter it.

    Raises:
        CommandError, CredentialError: wrong pass phrase, unusable key, the name is taken.
        SigningRefused: the key is too weak (R34).
    """
    from signer.tokenuri import is_token_uri

    if not _NAME.fullmatch(given.name):
        raise CommandError("EDOC-USE-004", name="--name", value=given.name, expected="A-Z a-z 0-9 . _ -")
    if any(known.name == given.name for known in entries(console)):
        raise CommandError("EDOC-USE-044", name=given.name)
    if given.link is not None and given.role != "person":
        raise CommandError("EDOC-USE-004", name="--link", value=given.link, expected="--role person --link PERSON")
    if is_token_uri(given.file):
        return _from_token(console, given, now)
    return _from_file(console, given, now)


# --- files -----------------------------------------------------------------------------------------------------------


def _from_file(console: Console, given: NewKey, now: datetime) -> KeyRow:
    data = read_input(given.file, console)
    credential = None if given.role == "request" else _opened(console, given)
    entry = _request_entry(console, given, data, now) if credential is None else _entry(given, credential, now)
    folder = ledgers.settings_of(console).home / "keys"
    folder.mkdir(mode=0o700, exist_ok=True)
    target, beside = folder / f"{given.name}{given.suffix}", folder / f"{given.name}{keys.CERTIFICATES}"
    check_target(target, force=False)
    write_output(target, data, mode=0o600)
    try:
        if credential is not None:
            write_output(beside, _certificates(credential), mode=0o600, force=True)
        _enter(console, entry, now, link=given.link, certificate=credential.certificate if credential else None)
    except BaseException:
        target.unlink(missing_ok=True)
        beside.unlink(missing_ok=True)
        raise
    if given.role == "exchange" and ledgers.settings_of(console).agency_code:
        _open_log(console, given, now)
    return row(entry, None if credential is None else credential.certificate)


def _opened(console: Console, given: NewKey) -> Credential:
    """Unlock the key, which proves that it fits its certificate, and refuse one that is too weak to sign (R34)."""
    from signer.algorithms import scheme_for

    role = given.role if given.role != "tls" else "exchange"
    with keys.open_key(console, given.file, role=role, certs=given.certs, pins=given.pins, module=given.module) as held:
        credential = held.unlock()
    try:
        scheme_for(credential.key_type, bits=credential.bits, profile="interop")
    except ValueError:
        algorithm = f"{credential.key_type} {credential.bits}"
        raise SigningRefused("EDOC-KEY-043", "weak", name=given.name, algorithm=algorithm) from None
    return credential


def _certificates(credential: Credential) -> bytes:
    """Return certificate and chain as PEM: what a PKCS#12 shows only with its pass phrase."""
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    ders = (credential.certificate, *credential.chain)
    return b"".join(x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM) for der in ders)


def _enter(
    console: Console, entry: KeyEntry, now: datetime, *, link: str | None = None, certificate: bytes | None = None
) -> None:
    from transport.desk import users
    from transport.store import directory

    with tables.changing(console) as office:
        if link is not None and certificate is not None:
            users.link_certificate(office, certificate=certificate, person=link, now=now)
        office.store.do(lambda unit: directory.add_key(unit, entry))
        tables.record(office, "key.import", subject=entry.sha256, now=now)


def _open_log(console: Console, given: NewKey, now: datetime) -> None:
    """Let the first exchange key open the ledger with its statement (ledger.md 3)."""
    from transport.node.opening import open_log, open_office

    ask = nodes.passphrase(console, nodes.Pins(given.pins.fd, given.pins.file))
    office = open_office(ledgers.settings_of(console), passphrase=ask, need_exchange=True)
    try:
        open_log(office, now=now)
    finally:
        office.store.close()


def _entry(given: NewKey, credential: Credential, now: datetime, *, file: str | None = None) -> KeyEntry:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from transport.store.values import KeyEntry

    certificate = credential.x509
    return KeyEntry(
        name=given.name,
        role=given.role,
        file=file or f"keys/{given.name}{given.suffix}",
        added_at=now,
        sha256=credential.sha256,
        subject=certificate.subject.rfc4514_string(),
        public=credential.public_key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def _request_entry(console: Console, given: NewKey, data: bytes, now: datetime) -> KeyEntry:
    """Read a request key: a private key alone, with or without pass phrase (exchange.md 4)."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    from transport.http.wire import RequestKey
    from transport.store.values import KeyEntry

    secret = None
    if b"ENCRYPTED" in data:
        secret = secrets.source(console, pin_fd=given.pins.fd, pin_file=given.pins.file)(given.file)
    try:
        key = RequestKey.from_pem(data, secret.reveal() if secret else None)
    except ValueError:
        key = None
    if key is None:
        raise CredentialError("EDOC-KEY-001", "no request key could be read", path=given.file)
    spki = key.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    file = f"keys/{given.name}{given.suffix}"
    return KeyEntry(
        name=given.name, role=given.role, file=file, added_at=now, sha256=hashlib.sha256(spki).hexdigest(), public=spki
    )


# --- tokens ----------------------------------------------------------------------------------------------------------


def _from_token(console: Console, given: NewKey, now: datetime) -> KeyRow:
    """Enter a key that stays on its token: the address, pinned to serial number and id, and the certificate."""
    from dataclasses import replace

    from signer.tokens import find_token
    from signer.tokenuri import parse

    if given.role not in ON_TOKENS:
        raise CommandError("EDOC-KEY-039", role=given.role)
    wanted = parse(given.file)
    module = keys.module_of(console, given.module or wanted.module)
    credential = _opened(console, given)
    pinned = replace(wanted, serial=find_token(wanted, module).serial, module=given.module or wanted.module)
    beside = ledgers.settings_of(console).home / "keys" / f"{given.name}{keys.CERTIFICATES}"
    beside.parent.mkdir(mode=0o700, exist_ok=True)
    entry = _entry(given, credential, now, file=pinned.stored)
    write_output(beside, _certificates(credential), mode=0o600, force=True)
    try:
        _enter(console, entry, now, link=given.link, certificate=credential.certificate)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    return row(entry, credential.certificate)


@dataclass(frozen=True, slots=True)
class Plugged:
    """A token with the certificates it shows."""

    facts: TokenFacts
    rows: tuple[KeyRow, ...]


def plugged(console: Console, module: str | None) -> list[Plugged]:
    """Return the tokens that are there, each with the certificates it shows without a PIN.

    Raises:
        CredentialError: the library is not named or cannot be used.
    """
    from signer.tokens import shown_on, tokens

    path = keys.module_of(console, module)
    known = {entry.sha256: entry for entry in _known(console)}
    return [Plugged(facts, tuple(_shown(one, known) for one in shown_on(facts, path))) for facts in tokens(path)]


def _known(console: Console) -> list[KeyEntry]:
    from transport.desk import trusting

    return entries(console) if trusting.node_home(console) is not None else []


def _shown(found: tuple[str, bytes], known: dict[str, KeyEntry]) -> KeyRow:
    address, der = found
    entry = known.get(hashlib.sha256(der).hexdigest())
    return described(entry.name if entry else address, entry.role if entry else "", "token", der)


def tried(console: Console, key: str | None, *, pins: secrets.Pins, module: str | None) -> tuple[KeyRow, list[str]]:
    """Log in to a token once, let its key sign random digests and check the values; return row and schemes that work.

    Raises:
        CredentialError: any of it fails; a wrong PIN is tried once. Without a key there must be one token only.
    """
    import secrets as randomness

    address = key or _only_token(console, module)
    with keys.open_key(console, address, role="person", pins=pins, module=module) as held:
        credential = held.unlock()
        done = []
        for scheme in sorted(credential.schemes or ()):
            size = hashlib.new(scheme.digest).digest_size
            credential.sign(randomness.token_bytes(size), scheme)
            done.append(scheme.value)
    return described(address, "", "token", credential.certificate), done


def _only_token(console: Console, module: str | None) -> str:
    from signer.tokens import tokens
    from signer.tokenuri import TokenUri

    there = tokens(keys.module_of(console, module))
    if len(there) != 1:
        raise CredentialError("EDOC-KEY-022", "not one token", wanted="pkcs11:", tokens=[one.name for one in there])
    return str(TokenUri(token=there[0].label, serial=there[0].serial))


# --- requests for certificates ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class NewRequest:
    """What ``key csr`` was given. The request goes to ``output``, the key beside it, encrypted."""

    subject: str
    type: str
    output: str
    role: str = "person"
    pins: secrets.Pins = keys.NO_PINS
    force: bool = False

    @property
    def key_file(self) -> Path:
        """Where the new key is written."""
        path = Path(self.output)
        return path.with_name(f"{path.stem}.key.pem")


def request_certificate(console: Console, given: NewRequest) -> KeyRow:
    """Make a key and a request for its certificate (PKCS#10); the key is written encrypted, with mode 0600.

    Raises:
        CommandError: the subject is not well formed, a file is there already, or there is no pass phrase.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        subject = x509.Name.from_rfc4514_string(given.subject)
    except ValueError:
        raise CommandError("EDOC-KEY-041", value=given.subject) from None
    request, key_file = Path(given.output), given.key_file
    for target in (request, key_file):
        check_target(target, force=given.force)
    key = _new_key(given.type)
    write_output(key_file, _encrypted(console, given, key), mode=0o600, force=given.force)
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    write_output(request, made.public_bytes(Encoding.PEM), force=given.force)
    spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    name = subject.rfc4514_string()
    return KeyRow(str(key_file), given.role, "file", name, None, None, None, hashlib.sha256(spki).hexdigest())


def _new_key(kind: str) -> PrivateKey:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    if kind == "p256":
        return ec.generate_private_key(ec.SECP256R1())
    return rsa.generate_private_key(65537, 3072)


def _encrypted(console: Console, given: NewRequest, key: PrivateKey) -> bytes:
    from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

    secret = secrets.chosen(console, str(given.key_file), pin_fd=given.pins.fd, pin_file=given.pins.file)
    try:
        form = BestAvailableEncryption(secret.reveal())
    finally:
        secret.wipe()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form)


# --- lists -----------------------------------------------------------------------------------------------------------


def entries(console: Console) -> list[KeyEntry]:
    """Return the keys of the node as they are stored."""
    from transport.store import quick

    return quick.keys(ledgers.settings_of(console).home)


def listed(console: Console) -> list[KeyRow]:
    """Return the keys of the node as they are shown; serial number and issuer where the certificate lies beside."""
    folder = ledgers.settings_of(console).home / "keys"
    return [row(entry, _kept(folder / f"{entry.name}{keys.CERTIFICATES}", entry)) for entry in entries(console)]


def _kept(path: Path, entry: KeyEntry) -> bytes | None:
    from signer.credential import visible_certificates

    try:
        found: Sequence[bytes] = visible_certificates(path.read_bytes())
    except (OSError, CredentialError):
        return None
    return next((der for der in found if hashlib.sha256(der).hexdigest() == entry.sha256), None)


def row(entry: KeyEntry, certificate: bytes | None) -> KeyRow:
    """Return a stored key as it is shown."""
    from signer.tokenuri import is_token_uri

    kind = "token" if is_token_uri(entry.file) else "file"
    if certificate is not None:
        return described(entry.name, entry.role, kind, certificate)
    return KeyRow(entry.name, entry.role, kind, entry.subject or None, None, None, entry.not_after, entry.sha256)


def described(name: str, role: str, kind: str, der: bytes) -> KeyRow:
    """Return a key as it is shown, by its certificate."""
    from signer.x509read import read, serial_hex

    found = read(der)
    return KeyRow(
        name,
        role,
        kind,
        found.subject.text,
        serial_hex(found.serial_number),
        found.issuer.text,
        found.not_after,
        found.sha256,
    )
