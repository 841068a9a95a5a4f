"""The independent reader: what is in a node's store, found out with sqlite3 or psycopg, hashlib, cryptography, files.

Nothing of the product is imported. Tables and columns are those of exchange.md 9 and ledger.md 12; the tree is hashed
again by the definition of RFC 6962 2.1, as written there and not by tiles or edges; heads are read as C2SP notes.
"""

from __future__ import annotations

import base64
import hashlib
import json
import sqlite3
import threading
import tomllib
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

if TYPE_CHECKING:
    from psycopg import Connection

Row = dict[str, object]
_EMPTY = hashlib.sha256(b"").digest()


class Store:
    """One home, read only; each question sees the state of that moment. Where its database is, its settings say."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.url = _database_of(home)

    def ask(self, question: str, *values: object) -> list[tuple[object, ...]]:
        """Return the rows of a question, whose parameters are written as ``?``."""
        if self.url:
            return [tuple(row) for row in postgres(self.url, question, values)[1]]
        with closing(self._open()) as connection:
            return [tuple(row) for row in connection.execute(question, values)]

    def one(self, question: str, *values: object) -> object:
        """Return the first value of the first row; ``None`` if there is no row."""
        found = self.ask(question, *values)
        return found[0][0] if found else None

    def rows(self, table: str, where: str = "1 = 1", *values: object) -> list[Row]:
        """Return the rows of a table by column name."""
        question = f"SELECT * FROM {table} WHERE {where}"
        if self.url:
            names, found = postgres(self.url, question, values)
            return [dict(zip(names, row, strict=True)) for row in found]
        with closing(self._open()) as connection:
            connection.row_factory = sqlite3.Row
            return [dict(row) for row in connection.execute(question, values)]

    def change(self, statement: str, *values: object) -> None:
        """Change rows behind the node's back."""
        if self.url:
            postgres(self.url, statement, values)
            return
        with closing(sqlite3.connect(self.home / "edoc.db")) as connection, connection:
            connection.execute(statement, values)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(f"file:{self.home / 'edoc.db'}?mode=ro", uri=True, timeout=30)

    # --- bytes -------------------------------------------------------------------------------------------------------

    def blob(self, digest: str) -> bytes | None:
        """Return the bytes of a digest if they are readable and are those bytes, else ``None``."""
        row = self.one("SELECT data FROM blob WHERE digest = ?", digest)
        data: bytes | None = bytes(row) if isinstance(row, bytes) else None
        if data is None:
            with suppress(OSError):
                data = (self.home / "blobs" / "sha256" / digest[:2] / digest[2:4] / digest).read_bytes()
        return data if data is not None and hashlib.sha256(data).hexdigest() == digest else None

    def left_over(self) -> list[Path]:
        """Return files of unfinished work: in the spool and in the folder of blobs being made."""
        places = (self.home / "spool", self.home / "blobs" / "tmp")
        return [path for place in places if place.is_dir() for path in place.rglob("*") if path.is_file()]

    def orphans(self) -> list[Path]:
        """Return blob files no row names."""
        named = {str(row[0]) for row in self.ask("SELECT digest FROM blob")}
        files = [path for path in (self.home / "blobs" / "sha256").rglob("*") if path.is_file()]
        return [path for path in files if path.name not in named]

    def damage(self) -> list[str]:
        """Return what SQLite's own checks find; PostgreSQL checks pages and keys as it reads and writes them."""
        if self.url:
            return []
        with closing(self._open()) as connection:
            found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check")]
            found += [str(tuple(row)) for row in connection.execute("PRAGMA foreign_key_check")]
        return [one for one in found if one != "ok"]

    # --- the ledger --------------------------------------------------------------------------------------------------

    def leaves(self) -> Iterator[tuple[int, int, bytes, bytes, dict[str, object]]]:
        """Yield log, index, leaf hash, bytes and members of each leaf that has its place."""
        question = (
            "SELECT e.log, e.idx, l.leaf, l.data FROM ledger_entry e JOIN ledger_leaf l ON l.ticket = e.ticket "
            "ORDER BY e.log, e.idx"
        )
        for log, index, leaf, data in self.ask(question):
            assert isinstance(log, int)
            assert isinstance(index, int)
            assert isinstance(leaf, bytes)
            assert isinstance(data, bytes)
            yield log, index, leaf, data, json.loads(data)

    def ledger_faults(self) -> list[str]:
        """Hash everything again and return what does not hold; empty for a sound ledger."""
        faults = []
        hashes: dict[int, list[bytes]] = {}
        for log, index, leaf, data, members in self.leaves():
            known = hashes.setdefault(log, [])
            if index != len(known):
                faults.append(f"log {log}: index {index} where {len(known)} is due")
            if hashlib.sha256(b"\x00" + data).digest() != leaf:
                faults.append(f"log {log}: leaf {index} is not the hash of its bytes")
            if json.dumps(members, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() != data:
                faults.append(f"log {log}: leaf {index} is not canonical")
            known.append(leaf)
        placed = sum(map(len, hashes.values()))
        total = self.one("SELECT count(*) FROM ledger_leaf")
        if placed != total:
            faults.append(f"{total} leaves, of which {placed} have a place")
        question = (
            "SELECT l.id, l.origin, l.vkey, h.size, h.root, h.note FROM ledger_log l JOIN ledger_head h ON h.log = l.id"
        )
        for number, origin, vkey, size, root, note in self.ask(question):
            assert isinstance(number, int)
            found = hashes.get(number, [])
            if size != len(found) or root != tree_hash(found):
                faults.append(f"log {number}: head of size {size} does not fit the {len(found)} leaves")
            faults += note_faults(str(note), str(origin), str(vkey), len(found), tree_hash(found))
        for number, level, n, tile in self.ask("SELECT log, level, n, data FROM ledger_tile"):
            assert isinstance(number, int)
            assert isinstance(level, int)
            assert isinstance(n, int)
            width = 256**level
            wanted = [
                tree_hash(hashes[number][start : start + width])
                for start in range(n * 256 * width, (n + 1) * 256 * width, width)
            ]
            if b"".join(wanted) != tile:
                faults.append(f"log {number}: tile {level}/{n}")
        return faults


def _database_of(home: Path) -> str:
    """Return the address of the home's PostgreSQL database, empty where it keeps a file."""
    try:
        found = tomllib.loads((home / "edoc.toml").read_text("utf-8")).get("database", {}).get("url", "")
    except OSError:
        return ""
    return f"postgresql://{str(found).partition('://')[2]}" if str(found).startswith("postgres") else ""


_connections: dict[str, Connection[tuple[object, ...]]] = {}
_lock = threading.Lock()


def postgres(url: str, statement: str, values: Sequence[object] = ()) -> tuple[list[str], list[tuple[object, ...]]]:
    """Run one statement and return names of columns and rows; a connection is kept for each database."""
    import psycopg

    text = statement.replace("%", "%%").replace("?", "%s").encode()
    with _lock:
        connection = _connections.get(url)
        for kept in (True, False):
            if connection is None or connection.closed or not kept:
                connection = _connections[url] = psycopg.connect(url, autocommit=True)
            try:
                cursor = connection.execute(text, values)
                break
            except psycopg.OperationalError:  # the server was stopped meanwhile; once more on a new connection
                if not kept:
                    raise
        return [one.name for one in cursor.description or ()], cursor.fetchall() if cursor.description else []


def forget(url: str) -> None:
    """Close the connection to a database, so that it can be dropped or copied."""
    with _lock:
        if (connection := _connections.pop(url, None)) is not None:
            connection.close()


def tree_hash(leaves: Sequence[bytes]) -> bytes:
    """Return the Merkle tree hash of leaf hashes: RFC 6962 2.1, split at the largest power of two below n."""
    if not leaves:
        return _EMPTY
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + tree_hash(leaves[:split]) + tree_hash(leaves[split:])).digest()


def note_faults(note: str, origin: str, vkey: str, size: int, root: bytes) -> list[str]:
    """Return what is wrong with a signed note that must state this size and root under this key."""
    text, gap, signatures = note.rpartition("\n\n")
    if not gap or text.split("\n") != [origin, str(size), base64.b64encode(root).decode()]:
        return [f"{origin}: the note does not state size {size} and its root"]
    name, _, rest = vkey.partition("+")
    encoded = rest.partition("+")[2]
    key = base64.b64decode(encoded)
    identifier = hashlib.sha256(name.encode() + b"\n" + key).digest()[:4]
    line = signatures.split("\n")[0]
    dash, signer, value = line.split(" ")
    data = base64.b64decode(value)
    if dash != "\u2014" or signer != name or name != origin or data[:4] != identifier or key[0] != 1:
        return [f"{origin}: the note is signed under another name or key"]
    try:
        Ed25519PublicKey.from_public_bytes(key[1:]).verify(data[4:], f"{text}\n".encode())
    except InvalidSignature:
        return [f"{origin}: the signature of the note does not hold"]
    return []
