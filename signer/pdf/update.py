"""The general writer: pyHanko's incremental update, for all that may be signed (R30; signing.md 3.1, 3.4).

pyHanko reads the file and knows the kinds of cross-reference; this module puts in only what a signature needs: the
signature dictionary with its reserved space, a field that is its own widget, the entry in the form and on the page, and
``/SigFlags 3``. Nothing else is rewritten: no document information, no version. What is new is written as the fast path
writes it; what was there and changes is written by pyHanko.
"""

from __future__ import annotations

from io import BytesIO
from typing import IO

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter

from signer.pdf.dictionary import Blank, byte_range
from signer.pdf.objects import dictionary, dictionary_of, entry, integer_of, items_of, number, reference
from signer.pdf.opening import Reader
from signer.pdf.reserved import Reserved, changed_identifier
from signer.pdf.target import Filling, Painted, Target, renumbered
from signer.pdf.values import Reference
from signer.pdf.writing import encode, text_string


class Tail(BytesIO):
    """What is written behind the input: offsets are counted from the first octet of the file."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self._before = before

    def tell(self) -> int:
        """Return the offset in the file."""
        return self._before + super().tell()


class Writer(IncrementalPdfFileWriter):
    """Writes no metadata and keeps version and identifier: an update changes nothing that need not change."""

    output_version = (1, 0)

    def _update_meta(self) -> None:
        return

    def _populate_trailer(self, trailer: generic.DictionaryObject) -> None:
        super()._populate_trailer(trailer)  # type: ignore[no-untyped-call]
        if "/ID" not in self.prev.trailer:
            del trailer["/ID"]


def writer_of(data: bytes) -> Writer:
    """Return a writer that reads strictly. Faults of the file raise what pyHanko raises."""
    stream = BytesIO(data)
    return Writer(stream, prev=Reader(stream, strict=True))


class Raw(generic.PdfObject):
    """A value written as it stands, that remembers where."""

    def __init__(self, text: bytes) -> None:
        self.text = text
        self.offset = -1

    def write_to_stream(self, stream: IO[bytes], handler: object = None, container_ref: object = None) -> None:
        """Write the value."""
        self.offset = stream.tell()
        stream.write(self.text)


def write(data: bytes, target: Target, blank: Blank, *, first: int = 0) -> Reserved:
    """Return the input with its tail, the gap not yet filled. Faults of the file raise what pyHanko raises.

    ``first`` is the least number of a new object, if that is more than ``/Size``.
    """
    writer = writer_of(data)
    writer._lastobj_id = max(writer._lastobj_id, first - 1)
    identify(writer, data, blank.body)
    body = Raw(blank.body)
    signature = _add(writer, body)
    appearance = paint(writer, target.painted) if target.painted is not None else None
    if target.existing is None:
        _add_field(writer, target, signature, appearance)
    else:
        _set(writer, target.existing, "/V", signature)
        if target.lock is not None and "/Lock" not in (dictionary_of(pointer(writer, target.existing)) or ()):
            _set(writer, target.existing, "/Lock", Raw(encode(target.lock.entry())))
        if appearance is not None:
            _set(writer, target.existing, "/AP", _normal(writer, appearance))
    for filling in target.fillings:
        _fill(writer, filling)
    _flag_form(writer)
    if target.certify is not None:
        _certify(writer, signature)
    return _finished(writer, data, body, blank)


def identify(writer: Writer, data: bytes, body: bytes) -> None:
    """Change the second identifier of the file, if it has any, with what is written."""
    held = entry(writer.prev.trailer, "/ID")
    if isinstance(held, generic.ArrayObject) and len(held) == 2:
        second = held[1]
        octets = second.original_bytes if isinstance(second, generic.TextStringObject) else bytes(second)
        changed = generic.ByteStringObject(changed_identifier(octets, len(data), body))
        writer._document_id = generic.ArrayObject([writer._document_id[0], changed])


def section(writer: Writer, data: bytes) -> bytearray:
    """Return what is written behind the input."""
    out = Tail(len(data))
    if data[-1:] not in (b"\n", b"\r"):
        out.write(b"\n")
    writer._prep_dom_for_writing()  # type: ignore[no-untyped-call]
    writer._write_updated_section(out)  # type: ignore[no-untyped-call]
    return bytearray(out.getvalue())


def _finished(writer: Writer, data: bytes, body: Raw, blank: Blank) -> Reserved:
    tail = section(writer, data)
    gap = (body.offset + blank.gap[0], body.offset + blank.gap[1])
    numbers = byte_range(gap, len(data) + len(tail))
    at = body.offset + blank.range_at - len(data)
    tail[at : at + len(numbers)] = numbers
    return Reserved(data, tail, gap)


def _add(writer: Writer, value: generic.PdfObject) -> Reference:
    added = writer.add_object(value)
    return Reference(added.idnum, 0)


def pointer(writer: Writer, at: Reference) -> generic.IndirectObject:
    """Return a reference that the writer follows."""
    return reference(at.number, at.generation, writer)


def _normal(writer: Writer, appearance: Reference) -> generic.DictionaryObject:
    return dictionary({"N": pointer(writer, appearance)})


def paint(writer: Writer, painted: Painted) -> Reference:
    """Add the objects of an appearance and return the form XObject."""
    places = [writer.allocate_placeholder() for _ in painted.objects]
    numbers = {index: place.idnum for index, place in enumerate(places)}
    for index, value in enumerate(painted.objects):
        writer.add_object(Raw(encode(renumbered(value, numbers))), idnum=numbers[index])
    return Reference(numbers[painted.root], 0)


def _add_field(writer: Writer, target: Target, signature: Reference, appearance: Reference | None) -> None:
    field = writer.add_object(Raw(encode(target.widget(signature, appearance))))
    annotate(writer, target.page, field, apart=target.apart)
    _append_to_form(writer, field)


def annotate(writer: Writer, at: Reference, added: generic.IndirectObject, *, apart: bool) -> None:
    """Add an annotation to a page; ``apart``: its list is another page's, too, and it gets one of its own."""
    page = pointer(writer, at)
    entries = dictionary_of(page)
    if entries is not None and "/Annots" in entries and entry(entries, "/Annots") is None:
        del entries["/Annots"]  # null, or a reference to nothing
    if apart and entries is not None:
        entries[pdf_name("/Annots")] = generic.ArrayObject(items_of(entries.raw_get("/Annots")))
        writer.mark_update(page)
    writer.register_annotation(page, added)  # type: ignore[no-untyped-call]


def _set(writer: Writer, at: Reference, key: str, value: generic.PdfObject | Reference) -> None:
    held = pointer(writer, at)
    field = dictionary_of(held)
    assert field is not None
    field[pdf_name(key)] = pointer(writer, value) if isinstance(value, Reference) else value
    writer.mark_update(held)


def _fill(writer: Writer, filling: Filling) -> None:
    _set(writer, filling.field, "/V", Raw(encode(text_string(filling.text))))
    if filling.painted is not None:
        _set(writer, filling.widget, "/AP", _normal(writer, paint(writer, filling.painted)))


def _append_to_form(writer: Writer, added: generic.IndirectObject) -> None:
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
    if added not in items_of(fields):  # the same array may list the annotations of the page
        fields.append(added)
        writer.update_container(fields)


def _flag_form(writer: Writer) -> None:
    form = writer.root["/AcroForm"]
    if integer_of(entry(form, "/SigFlags")) != 3:
        form[pdf_name("/SigFlags")] = number(3)
        writer.update_container(form)


def _certify(writer: Writer, signature: Reference) -> None:
    root = writer.root
    held = entry(root, "/Perms")
    if isinstance(held, generic.DictionaryObject):
        held[pdf_name("/DocMDP")] = pointer(writer, signature)
        writer.update_container(held)
        return
    root[pdf_name("/Perms")] = dictionary({"DocMDP": pointer(writer, signature)})
    writer.update_root()  # type: ignore[no-untyped-call]
