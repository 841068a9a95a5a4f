"""Receipts of a whole partnership, in pages: what is compared after a loss (exchange.md 16, F16)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

from sqlalchemy import Connection

from transport.store.records import Record, data, data_or_none, number, text
from transport.store.store import Store

PAGE = 500


@dataclass(frozen=True, slots=True)
class HeldReceipt:
    """A receipt kept here, and where its issuer's own leaf stands, as far as that was said when it came.

    ``direction`` is ``in`` for one we got, ``out`` for one we gave.
    """

    direction: str
    data: bytes
    origin: str | None
    index: int | None


_ASKED = """
    SELECT r.id, r.direction, CAST(r.data AS BLOB), l.origin, e.idx, CAST(f.data AS BLOB)
    FROM receipt r JOIN ledger_leaf f ON f.ticket = r.ticket LEFT JOIN ledger_entry e ON e.ticket = r.ticket
    LEFT JOIN ledger_log l ON l.id = e.log
    WHERE r.id > ?
    AND ((r.direction = 'in' AND r.recipient IN ({codes})) OR (r.direction = 'out' AND r.sender IN ({codes})))
    ORDER BY r.id LIMIT ?
"""


def with_partner(store: Store, codes: Sequence[str]) -> Iterator[HeldReceipt]:
    """Return every receipt got from a partner or given to it, oldest first; ``codes`` are all its codes as written."""
    statement = _ASKED.format(codes=", ".join("?" for _ in codes))
    last = 0
    while True:
        records = store.read(partial(_page, statement=statement, values=(last, *codes, *codes, PAGE)))
        yield from (_held(record) for record in records)
        if len(records) < PAGE:
            return
        last = number(records[-1][0])


def _page(connection: Connection, statement: str, values: tuple[object, ...]) -> Sequence[Record]:
    return connection.exec_driver_sql(statement, values).all()


def _held(record: Record) -> HeldReceipt:
    if text(record[1]) == "out":
        return HeldReceipt("out", data(record[2]), *_own(record))
    return HeldReceipt("in", data(record[2]), *_peer(data_or_none(record[5])))


def _own(record: Record) -> tuple[str | None, int | None]:
    return (None, None) if record[4] is None else (text(record[3]), number(record[4]))


def _peer(leaf: bytes | None) -> tuple[str | None, int | None]:
    """Return what our leaf says of the other side's: ``peer``."""
    with suppress(ValueError, KeyError, TypeError):
        peer = json.loads(leaf or b"")["peer"]
        return str(peer["origin"]), int(peer["index"])
    return None, None
