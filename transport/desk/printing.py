"""``edoc show REF --print``: a document of the node on paper, with what the sheet must say (R49, R50, R51).

``plain`` says that the print has no legal value. ``certified`` names system and owner, the document's code, mark, time
and who printed it, and is kept in the node; with ``copy`` the sheet is a copy with a number of the yearly series.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from transport.desk import tables
from transport.desk.copying import person_at_desk
from transport.present import catalogue
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.node.office import Office
    from transport.store.store import Unit
    from transport.store.values import Row

KINDS = ("plain", "certified")
ON_PAPER = "file-to-paper"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is printed: which file of a document, how, and as which form of copy."""

    ref: str
    file: int
    kind: str
    copy: str | None = None


def printed(console: Console, wanted: Wanted, *, may_write: Callable[[str], None], now: datetime) -> tuple[str, bytes]:
    """Return name and bytes of the rendition for paper; a certified one is kept first.

    ``may_write`` is asked with the name before anything is kept: what cannot be written takes no number.

    Raises:
        CommandError, EdocError, SignerError: there is no such file, it is no PDF, or a copy of it is not lawful.
    """
    if wanted.copy is not None and wanted.kind != "certified":
        raise CommandError("EDOC-USE-004", name="--copy", value=wanted.copy, expected="--print certified --copy")
    from signer.inspect import recognise
    from transport.node import looking

    with tables.changing(console) as office:
        row = looking.find(office, wanted.ref, now).row
        name, data = looking.file_of(office, wanted.ref, wanted.file, now)
        if recognise(data[:4096]) != "pdf":
            raise CommandError("EDOC-DOC-089", path=name)
        _refuse(wanted, row)
        may_write(_name(name))
        if wanted.kind == "plain":
            return _rendered(name, data, [_word(console, "print.plain"), _code(console, row, data)])
        return _certified(console, office, wanted, row=row, name=name, data=data, now=now)


def _refuse(wanted: Wanted, row: Row) -> None:
    """Refuse a copy of what is no original: a copy is made from an original only (R47; NĐ30 25).

    Raises:
        CommandError: the document only informs, or is a copy itself.
    """
    if wanted.copy is None:
        return
    from edoc.copies import Form, Medium, check_direction

    form = Form(wanted.copy)
    check_direction(form, Medium.FILE, Medium.PAPER, name=wanted.ref)
    if row.legal_class != "original" and not (form is Form.SL and row.legal_class == "copy"):
        raise CommandError("EDOC-DOC-090", reference=wanted.ref, form=form.words)


def _certified(
    console: Console, office: Office, wanted: Wanted, *, row: Row, name: str, data: bytes, now: datetime
) -> tuple[str, bytes]:
    from edoc.values import vietnam_day
    from transport.present.text import person_time
    from transport.store import people, quick

    person = person_at_desk(console)
    made = people.Conversion(
        agency=office.code,
        form=wanted.copy or "print",
        direction=ON_PAPER,
        person=person,
        document=row.document_id or wanted.ref,
        at=now,
        sha256_in=hashlib.sha256(data).hexdigest(),
    )
    facts = {"time": person_time(now), "person": person, "agency": office.name, "code": office.code}
    lines = [_word(console, "print.system", **facts), _code(console, row, data), _word(console, "print.mark", **facts)]
    _rendered(name, data, lines)  # before a number is taken: what cannot be drawn has none
    year = vietnam_day(now).year if wanted.copy else None
    logged = office.log.signer is not None and quick.head(office.settings.home) is not None

    def work(unit: Unit) -> int | None:
        if logged:
            tables.append_operation(office, unit, "print.certified", subject=made.document, now=now, note=lines[-1])
        return people.keep_conversion(unit, made, year=year)

    number = office.store.do(work)
    return _rendered(name, data, [*_numbered(office, wanted.copy, number), *lines])


def _numbered(office: Office, copy: str | None, number: int | None) -> list[str]:
    """Return the line of a numbered copy: ``SAO Y; Sở Mẫu A; Số: 05/SY-H99.01``."""
    if copy is None or number is None:
        return []
    from edoc.copies import Form, copy_line, copy_number

    return [f"{copy_line(Form(copy), office.name)}; Số: {copy_number(Form(copy), number, office.code)}"]


def _code(console: Console, row: Row, data: bytes) -> str:
    document = row.document_id or row.message_id
    return _word(console, "print.code", document=document, sha256=hashlib.sha256(data).hexdigest())


def _word(console: Console, key: str, **facts: str) -> str:
    return catalogue.word(key, console.lang, **facts)


def _rendered(name: str, data: bytes, lines: list[str]) -> tuple[str, bytes]:
    from signer.pdf.printing import print_pdf

    return _name(name), print_pdf(data, lines)


def _name(name: str) -> str:
    return f"{name.rpartition('.')[0] or name}.print.pdf"
