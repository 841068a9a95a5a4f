"""The incremental update that carries one signature: output = input followed by a tail (R30; signing.md 3.1).

pyHanko's writer knows the kinds of cross-reference; this module puts in only what a signature needs: the signature
dictionary with its reserved space, a field that is its own widget, the entry in the form and on the page, and
``/SigFlags 3``. Nothing else is rewritten: no document information, no version.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from io import BytesIO
from typing import IO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from signer.errors import InputRefused
from signer.pdf.appearance import paint
from signer.pdf.objects import dictionary, dictionary_of, entry, integer_of, number, numbers, reference
from signer.pdf.page import Field, PageView
from signer.pdf.placement import Layout

VIETNAM = timezone(timedelta(hours=7))
_NUMBER_WIDTH = 10
"""Digits reserved for each number of the byte range."""


@dataclass(frozen=True, slots=True)
class Stated:
    """What stands in the signature dictionary besides its value."""

    at: datetime
    reason: str | None
    location: str | None
    name: str | None


@dataclass(frozen=True, slots=True)
class Prepared:
    """A file with reserved space: the gap reaches from ``<`` to behind ``>``."""

    data: bytearray
    gap_start: int
    gap_end: int

    @property
    def signed(self) -> tuple[memoryview, memoryview]:
        """The two ranges that are signed."""
        view = memoryview(self.data)
        return view[: self.gap_start], view[self.gap_end :]

    def embed(self, cms: bytes) -> bytes:
        """Put the CMS into the reserved space and return the file."""
        digits = cms.hex().encode("ascii")
        room = self.gap_end - self.gap_start - 2
        assert len(digits) <= room
        self.data[self.gap_start + 1 : self.gap_start + 1 + len(digits)] = digits
        return bytes(self.data)


class _Writer(IncrementalPdfFileWriter):
    """Writes no metadata and keeps the version: an update changes nothing that need not change."""

    output_version = (1, 0)

    def _update_meta(self) -> None:
        return

    def _write_header(self, stream: IO[bytes]) -> None:
        super()._write_header(stream)  # type: ignore[no-untyped-call]
        if self.prev.stream.getbuffer()[-1:] not in (b"\n", b"\r"):
            stream.write(b"\n")


class _Raw(generic.PdfObject):
    """A value written as it stands, that remembers where: for placeholders of fixed width."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.offset = -1

    def write_to_stream(self, stream: IO[bytes], handler: object = None, container_ref: object = None) -> None:
        """Write the value."""
        self.offset = stream.tell()
        stream.write(self.text)


@dataclass(frozen=True, slots=True)
class Target:
    """Where the signature goes: an empty field that was there, or the name of a new one; and what is painted."""

    name: str
    existing: Field | None
    page: PageView
    layout: Layout | None


def prepare(data: bytes, *, stated: Stated, target: Target, reserve: int) -> Prepared:
    """Write the update with ``reserve`` bytes for the CMS."""
    writer = _Writer(BytesIO(data), strict=True)
    byte_range = _Raw(b"[" + b" ".join([b"0" * _NUMBER_WIDTH] * 4) + b"]")
    contents = _Raw(b"<" + b"0" * (2 * reserve) + b">")
    signature = writer.add_object(_signature(stated, byte_range, contents, target.existing))
    if target.existing is None:
        _add_field(writer, target, signature)
    else:
        _fill_field(writer, target, signature)
    _flag_form(writer)
    out = BytesIO()
    writer.write(out)  # type: ignore[no-untyped-call]
    written = bytearray(out.getvalue())
    start, end = contents.offset, contents.offset + len(contents.text)
    filled = f"[0 {start} {end} {len(written) - end}".encode("ascii").ljust(len(byte_range.text) - 1) + b"]"
    written[byte_range.offset : byte_range.offset + len(filled)] = filled
    return Prepared(written, start, end)


def _signature(stated: Stated, byte_range: _Raw, contents: _Raw, field: Field | None) -> generic.DictionaryObject:
    local = stated.at.astimezone(VIETNAM)
    signature = dictionary(
        {
            "Type": pdf_name("/Sig"),
            "Filter": pdf_name("/Adobe.PPKLite"),
            "SubFilter": pdf_name("/ETSI.CAdES.detached"),
            "ByteRange": byte_range,
            "Contents": contents,
            "M": _Raw(f"(D:{local:%Y%m%d%H%M%S}+07'00')".encode("ascii")),
        }
    )
    for key, text in (("/Reason", stated.reason), ("/Location", stated.location), ("/Name", stated.name)):
        if text:
            signature[pdf_name(key)] = generic.TextStringObject(unicodedata.normalize("NFC", text))
    lock = entry(field.dictionary, "/Lock") if field is not None else None
    if isinstance(lock, generic.DictionaryObject):
        signature[pdf_name("/Reference")] = generic.ArrayObject([_lock_reference(lock)])
    return signature


def _lock_reference(lock: generic.DictionaryObject) -> generic.DictionaryObject:
    """Return the signature reference by which a signed lock takes effect (ISO 32000-2, 12.8.2.4)."""
    parameters = dictionary({key[1:]: lock[key] for key in ("/Action", "/Fields") if key in lock})
    parameters[pdf_name("/Type")] = pdf_name("/TransformParams")
    parameters[pdf_name("/V")] = pdf_name("/1.2")
    return dictionary(
        {
            "Type": pdf_name("/SigRef"),
            "TransformMethod": pdf_name("/FieldMDP"),
            "TransformParams": parameters,
        }
    )


def _add_field(writer: _Writer, target: Target, signature: generic.IndirectObject) -> None:
    page = reference(target.page.reference.idnum, target.page.reference.generation, writer)
    layout = target.layout
    rectangle = target.page.rectangle(layout.box) if layout else (0, 0, 0, 0)
    field = dictionary(
        {
            "Type": pdf_name("/Annot"),
            "Subtype": pdf_name("/Widget"),
            "FT": pdf_name("/Sig"),
            "T": generic.TextStringObject(target.name),
            "V": signature,
            "F": number(132),
            "P": page,
            "Rect": numbers(*rectangle),
        }
    )
    if layout is not None:
        field[pdf_name("/AP")] = dictionary({"N": paint(layout, writer.add_object)})
    added = writer.add_object(field)
    writer.register_annotation(page, added)  # type: ignore[no-untyped-call]
    _append_to_form(writer, added)


def _fill_field(writer: _Writer, target: Target, signature: generic.IndirectObject) -> None:
    existing = target.existing
    assert existing is not None
    assert existing.reference is not None
    held = reference(existing.reference.idnum, existing.reference.generation, writer)
    field = dictionary_of(held)
    assert field is not None
    field[pdf_name("/V")] = signature
    if target.layout is not None:
        field[pdf_name("/AP")] = dictionary({"N": paint(target.layout, writer.add_object)})
    writer.mark_update(held)


def _append_to_form(writer: _Writer, added: generic.IndirectObject) -> None:
    root = writer.root
    form = entry(root, "/AcroForm")
    if not isinstance(form, generic.DictionaryObject):
        form = dictionary({"Fields": generic.ArrayObject()})
        root[pdf_name("/AcroForm")] = writer.add_object(form)
        writer.update_root()  # type: ignore[no-untyped-call]
    if not isinstance(entry(form, "/Fields"), generic.ArrayObject):
        form[pdf_name("/Fields")] = generic.ArrayObject()
        writer.update_container(form)
    fields = form["/Fields"]
    fields.append(added)
    writer.update_container(fields)


def _flag_form(writer: _Writer) -> None:
    form = writer.root["/AcroForm"]
    if integer_of(entry(form, "/SigFlags")) != 3:
        form[pdf_name("/SigFlags")] = number(3)
        writer.update_container(form)


def free_name(fields: list[Field]) -> str:
    """Return the lowest free ``Signature<n>``."""
    taken = {int(m[1]) for field in fields if (m := re.fullmatch(r"Signature([1-9]\d{0,8})", field.name))}
    return f"Signature{next(n for n in range(1, len(taken) + 2) if n not in taken)}"


def check_field(field: Field) -> None:
    """Refuse a named field that cannot take a signature of ours.

    Raises:
        InputRefused: it is no signature field, is filled, or makes demands that are not met here.
    """
    if field.kind != "/Sig" or field.reference is None:
        raise InputRefused("EDOC-PDF-015", "not a signature field", field=field.name)
    if field.value is not None:
        raise InputRefused("EDOC-PDF-015", "the field is signed already", field=field.name)
    seed = entry(field.dictionary, "/SV")
    demands = bool(integer_of(entry(seed, "/Ff")))
    lock = entry(field.dictionary, "/Lock")
    if demands or (isinstance(lock, generic.DictionaryObject) and "/P" in lock):
        raise InputRefused("EDOC-PDF-010", "the field makes demands that cannot be met", field=field.name)
