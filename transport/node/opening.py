"""Making and opening a node: folder, database, log key; keys of the home; the first leaf of the log."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from edoc.values import vietnam_day
from signer.credential import Credential, PassphraseSource, Role, load_credential
from signer.errors import CredentialError
from transport.errors import LedgerError, SettingsError
from transport.ledger.keys import LogKey
from transport.ledger.merkle import EMPTY_ROOT
from transport.node.office import Office, milliseconds
from transport.settings import FILE_NAME, Settings
from transport.store import directory as directories
from transport.store import guard
from transport.store.engine import database_url
from transport.store.faults import from_disk
from transport.store.log import Log
from transport.store.sidefile import SideFile
from transport.store.store import Store
from transport.store.values import KeyEntry

LOG_KEY = "ledger-{shard}.pem"
LOG_KEY_YEARS = 1

SETTINGS_TEXT = """# Cài đặt của nút liên thông. Xem mọi mục: edoc help config
[agency]
code = "{code}"
name = "{name}"
"""


DATABASE_TEXT = """
[database]
url = "{url}"
"""


@dataclass(frozen=True, slots=True)
class Created:
    """What ``init`` made; ``database`` is a path, or the address of a server without its password."""

    home: Path
    database: str
    origin: str
    vkey: str
    paths: tuple[str, ...]


def create(settings: Settings, *, code: str, name: str, host: str, now: datetime) -> Created:
    """Make a node: home (0700), settings, database, log key. The log is opened by the first exchange key.

    Raises:
        SettingsError: there is a node in this home already.
        StoreError: the folder cannot be made or written; nothing is left of it.
    """
    home = settings.home
    if (home / FILE_NAME).exists():
        raise SettingsError("EDOC-CFG-012", "there is a node in this home", home=str(home))
    with _wholly(home):
        return _make(settings, code=code, name=name, key=LogKey.generate(f"{host}/edoc-ledger/{vietnam_day(now).year}"))


@contextmanager
def _wholly(home: Path) -> Iterator[None]:
    """Leave nothing behind in a new home if it cannot be made whole, so that the same command can be given again."""
    existed = home.exists()
    fresh = not existed or not any(home.iterdir())
    try:
        yield
    except BaseException as error:
        if fresh:
            _empty(home, itself=not existed)
        if isinstance(error, OSError):
            raise from_disk(error, "making the home", home) from error
        raise


def _empty(home: Path, *, itself: bool) -> None:
    for left in home.iterdir() if home.is_dir() else ():
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            left.unlink(missing_ok=True)
    if itself:
        with suppress(OSError):
            home.rmdir()


def _make(settings: Settings, *, code: str, name: str, key: LogKey) -> Created:
    home = settings.home
    Store.create(settings).close()
    (home / "keys").mkdir(mode=0o700, exist_ok=True)
    log_key = home / "keys" / LOG_KEY.format(shard=key.origin.rpartition("/")[2])
    write_private(log_key, key.to_pem())
    write_private(home / "keys" / "ledger-origin.txt", key.origin.encode("ascii"))
    text = SETTINGS_TEXT.format(code=code, name=_quoted(name))
    if settings.database_url and settings.origin_of("database.url") == "option":
        text += DATABASE_TEXT.format(url=_quoted(settings.database_url))
    write_private(home / FILE_NAME, text.encode("utf-8"))
    made = (FILE_NAME, "edoc.db", f"keys/{log_key.name}", "blobs/")
    if not settings.database_url:
        return Created(home, str(home / "edoc.db"), key.origin, key.vkey, made)
    shown = database_url(settings.database_url, home).render_as_string()
    return Created(home, shown, key.origin, key.vkey, (FILE_NAME, f"keys/{log_key.name}", "blobs/"))


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')


def write_private(path: Path, data: bytes) -> None:
    """Write a file only its owner can read: under a temporary name, flushed, then renamed."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def side_file_of(settings: Settings) -> SideFile:
    """Return the file in which the heads of the log are noted outside the database (ledger.md 6)."""
    return SideFile(settings.side_file or settings.home / "heads.log")


def log_of(home: Path, side: SideFile | None = None) -> Log:
    """Return the log with its key; without the key it can be read only."""
    origin_file = home / "keys" / "ledger-origin.txt"
    if not origin_file.is_file():
        return Log(None)
    origin = origin_file.read_text("ascii").strip()
    key_file = home / "keys" / LOG_KEY.format(shard=origin.rpartition("/")[2])
    try:
        return Log(LogKey.from_pem(key_file.read_bytes(), origin=origin), side)
    except OSError:
        raise LedgerError("EDOC-LED-010", "the log key cannot be opened", origin=origin) from None


def open_office(
    settings: Settings, *, passphrase: PassphraseSource | None = None, need_exchange: bool = False
) -> Office:
    """Open a node for work; with ``need_exchange`` its exchange key must be at hand.

    Raises:
        SettingsError: no node here, no agency, or no exchange key.
        CredentialError: the exchange key cannot be opened.
    """
    if not settings.agency_code or not settings.agency_name:
        raise SettingsError("EDOC-CFG-021", "the settings name no agency", home=str(settings.home))
    side = side_file_of(settings)
    log = log_of(settings.home, side)
    store = Store.open(settings, log=log)
    office = Office(settings, store, log, settings.agency_code, settings.agency_name)
    try:
        guard.examine(store, side)
        office.exchange = key_for(office, Role.EXCHANGE, passphrase)
        if need_exchange:
            office.exchange_key()
    except BaseException:
        store.close()
        raise
    return office


def key_entry(office: Office, role: Role) -> KeyEntry | None:
    """Return the key of a role: the one the settings name, else the newest."""
    entries = [one for one in office.store.read(directories.keys) if one.role == role.value]
    wanted = office.settings.key(role.value) if role is not Role.TLS else None
    if wanted:
        return next((one for one in entries if one.name == wanted), None)
    return max(entries, key=lambda one: one.added_at, default=None)


def key_for(office: Office, role: Role, passphrase: PassphraseSource | None) -> Credential | None:
    """Load the key of a role from the home; ``None`` if there is none.

    Raises:
        CredentialError: it cannot be read or opened.
    """
    entry = key_entry(office, role)
    if entry is None:
        return None
    return load_credential(read_key(office.settings.home, entry), role=role, passphrase=passphrase)


def read_key(home: Path, entry: KeyEntry) -> bytes:
    """Read a key's file.

    Raises:
        CredentialError: it is missing or unreadable.
    """
    path = directories.key_path(home, entry)
    try:
        return path.read_bytes()
    except OSError:
        raise CredentialError("EDOC-KEY-001", "the key's file cannot be read", path=str(path)) from None


def open_log(office: Office, *, now: datetime) -> bool:
    """Open the log if it is not open yet: the exchange key signs the key statement, leaf 0 names it (ledger.md 3).

    Returns whether it was opened now.
    """
    from transport.ledger import statement  # XML signatures: only where the log is opened

    signer = office.log.signer
    if signer is None:
        raise LedgerError("EDOC-LED-021", "the log key is not at hand", origin="-")
    try:
        office.store.read(office.log.head)
    except LedgerError:
        pass
    else:
        return False
    at = milliseconds(now).replace(microsecond=0)
    entry = statement.LogEntry(
        signer.origin, signer.vkey, at, at + timedelta(days=366 * LOG_KEY_YEARS), f"https://{signer.origin}/"
    )
    facts = statement.Statement(1, at, office.code, office.name, (entry,))
    signed = statement.sign(facts, credential=office.exchange_key(), timestamper=None)
    if office.log.side is not None:
        office.log.side.note(0, EMPTY_ROOT, at)  # before the log is there: who looks in between finds both
    office.store.do(lambda unit: _open_unit(office, unit, signed, at))
    office.log.published(office.store.read(office.log.head))
    return True


def _open_unit(office: Office, unit: object, signed: bytes, at: datetime) -> None:
    import hashlib

    from transport.store.store import Unit
    from transport.store.times import millis

    assert isinstance(unit, Unit)
    digest = hashlib.sha256(signed).hexdigest()
    unit.keep(signed)
    office.log.open_first(unit.connection, statement_sha256=digest, at=at)
    unit.connection.exec_driver_sql(
        "INSERT INTO ledger_keys (agency, serial, sha256, xml, accepted_at) VALUES (?, 1, ?, ?, ?)",
        (office.code, digest, signed, millis(at)),
    )
