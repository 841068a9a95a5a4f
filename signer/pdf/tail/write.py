"""The tail: changed and new objects, a cross-reference of the kind the file has, a trailer (R30; signing.md 3.1).

Catalog, form, page and lists are changed in their text, so nothing is spelled anew that did not change.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from signer.pdf.dictionary import Blank, byte_range
from signer.pdf.reserved import Reserved, changed_identifier
from signer.pdf.tail.numbers import first_number, new_objects
from signer.pdf.tail.ordinary import OFFSET_MAX, NotOrdinary, Ordinary
from signer.pdf.tail.splice import appended, dictionary, entry_text, with_entry
from signer.pdf.target import Filling, Painted, Target, renumbered
from signer.pdf.values import Reference, String, Value
from signer.pdf.writing import encode, string_token, text_string

_OWN = frozenset(("Size", "Prev", "XRefStm", "Type", "W", "Index", "Length", "Filter", "DecodeParms", "DL", "ID"))
"""Entries of a trailer that are written anew, or that belong to the stream it stands in."""


@dataclass(slots=True)
class _Update:
    """Objects of the update by number, in the order in which they are written."""

    file: Ordinary
    objects: dict[int, tuple[int, bytes]] = field(default_factory=dict)
    next: int = 0

    def number(self) -> int:
        """Return a new number."""
        self.next += 1
        return self.next - 1

    def add(self, body: bytes) -> Reference:
        """Add a new object."""
        number = self.number()
        self.objects[number] = (0, body)
        return Reference(number, 0)

    def text(self, reference: Value) -> tuple[Reference, bytes, Value]:
        """Return an object of the file: its text, changed already or not, and what it was read as."""
        found = self.file.located(reference)
        assert isinstance(reference, Reference)
        held = self.objects.get(reference.number)
        return reference, held[1] if held else found.text, found.value

    def change(self, reference: Reference, text: bytes, *, again: bool = False) -> None:
        """Put a changed object into the update.

        Raises:
            NotOrdinary: it is changed already, and not ``again``: one object is two things, a page and a form.
        """
        if reference.number in self.objects and not again:
            raise NotOrdinary
        self.objects[reference.number] = (reference.generation, text)

    def set_entry(self, reference: Value, key: str, value: bytes) -> None:
        """Set one entry of a dictionary that is an indirect object."""
        at, text, held = self.text(reference)
        if not isinstance(held, Mapping) or not text.endswith(b">>"):
            raise NotOrdinary
        present = {key: None} if at.number in self.objects and b"/" + key.encode() in text else held
        self.change(at, with_entry(text, present, key, value), again=True)


def write(file: Ordinary, target: Target, blank: Blank) -> Reserved:
    """Return the input with its tail, the gap not yet filled.

    Raises:
        NotOrdinary: something the signature must change is not plain; nothing was written.
    """
    update = _Update(file, next=first_number(file.texts, file.size, new_objects(target)))
    signature = update.add(blank.body)
    appearance = _paint(update, target.painted) if target.painted is not None else None
    if target.existing is None:
        added = update.add(encode(target.widget(signature, appearance)))
        _list_on_page(update, target, added)
        _list_in_form(update, added)
    else:
        update.set_entry(target.existing, "V", _reference(signature))
        if appearance is not None:
            update.set_entry(target.existing, "AP", b"<< /N %b >>" % _reference(appearance))
        _flag_form(update)
    for filling in target.fillings:
        _fill(update, filling)
    return _finished(update, signature.number, blank)


def _reference(reference: Reference) -> bytes:
    return b"%d %d R" % (reference.number, reference.generation)


def _paint(update: _Update, painted: Painted) -> Reference:
    numbers = {index: update.number() for index in range(len(painted.objects))}
    for index, value in enumerate(painted.objects):
        update.objects[numbers[index]] = (0, encode(renumbered(value, numbers)))
    return Reference(numbers[painted.root], 0)


def _fill(update: _Update, filling: Filling) -> None:
    update.set_entry(filling.field, "V", string_token(text_string(filling.text)))
    if filling.painted is not None:
        appearance = _paint(update, filling.painted)
        update.set_entry(filling.widget, "AP", b"<< /N %b >>" % _reference(appearance))


def _list_on_page(update: _Update, target: Target, added: Reference) -> None:
    """Add the widget to ``/Annots`` of its page: absent, direct or referenced."""
    page = target.page
    found = update.file.located(page)
    held, item = dictionary(found).get("Annots"), _reference(added)
    if isinstance(held, Reference) and target.apart:
        listed = appended(_array(update, held), item)
        update.change(page, with_entry(found.text, dictionary(found), "Annots", listed))
    elif isinstance(held, Reference):
        _append_to(update, held, item)
    elif held is None:
        update.change(page, with_entry(found.text, dictionary(found), "Annots", b"[ %b ]" % item))
    elif isinstance(held, tuple):
        listed = appended(entry_text(found.text, "Annots"), item)
        update.change(page, with_entry(found.text, dictionary(found), "Annots", listed))
    else:
        raise NotOrdinary


def _append_to(update: _Update, reference: Reference, item: bytes) -> None:
    """Add to an array; the same one may list fields and annotations, and gets the item once."""
    if reference.number not in update.objects:
        update.change(reference, appended(_array(update, reference), item))


def _array(update: _Update, reference: Reference) -> bytes:
    found = update.file.located(reference)
    if not isinstance(found.value, tuple) or not found.text.endswith(b"]"):
        raise NotOrdinary
    return found.text


def _list_in_form(update: _Update, added: Reference) -> None:
    """Add the field to the form, which is absent, direct in the catalog, or an object of its own."""
    root = update.file.trailer["Root"]
    assert isinstance(root, Reference)
    catalog, item = update.file.located(root), _reference(added)
    form = dictionary(catalog).get("AcroForm")
    if form is None:
        made = update.add(b"<< /Fields [ %b ] /SigFlags 3 >>" % item)
        update.change(root, with_entry(catalog.text, dictionary(catalog), "AcroForm", _reference(made)))
        return
    if isinstance(form, Reference):
        held = update.file.located(form)
        text = _with_field(update, held.text, dictionary(held), item)
        if text != held.text:
            update.change(form, text)
    elif isinstance(form, Mapping):
        text = _with_field(update, entry_text(catalog.text, "AcroForm"), form, item)
        update.change(root, with_entry(catalog.text, dictionary(catalog), "AcroForm", text))
    else:
        raise NotOrdinary


def _with_field(update: _Update, text: bytes, form: Mapping[str, object], item: bytes) -> bytes:
    listed = form.get("Fields")
    if isinstance(listed, Reference):
        _append_to(update, listed, item)
    elif listed is None:
        text = with_entry(text, form, "Fields", b"[ %b ]" % item)
    elif isinstance(listed, tuple):
        text = with_entry(text, form, "Fields", appended(entry_text(text, "Fields"), item))
    else:
        raise NotOrdinary
    return text if form.get("SigFlags") == 3 else with_entry(text, form, "SigFlags", b"3")


def _flag_form(update: _Update) -> None:
    """Say in the form that there are signatures and that the file is only added to."""
    form = update.file.state.root.get("AcroForm")
    held = update.file.state.resolve(form)
    if not isinstance(held, Mapping) or held.get("SigFlags") == 3:
        return
    if isinstance(form, Reference):
        update.set_entry(form, "SigFlags", b"3")
        return
    root = update.file.trailer["Root"]
    catalog = update.file.located(root)
    text = with_entry(entry_text(catalog.text, "AcroForm"), held, "SigFlags", b"3")
    update.set_entry(root, "AcroForm", text)


def _finished(update: _Update, signature: int, blank: Blank) -> Reserved:
    file, offsets = update.file, dict[int, int]()
    size = len(file.data)
    tail = bytearray(b"" if file.data[-1:] in (b"\n", b"\r") else b"\n")
    start = 0
    for number, (generation, body) in update.objects.items():
        offsets[number] = size + len(tail)
        tail += b"%d %d obj\n" % (number, generation)
        start = len(tail) if number == signature else start
        tail += body
        tail += b"\nendobj\n"
    _cross_reference(update, offsets, tail, blank)
    if size + len(tail) > OFFSET_MAX:
        raise NotOrdinary
    gap = (size + start + blank.gap[0], size + start + blank.gap[1])
    numbers = byte_range(gap, size + len(tail))
    at = start + blank.range_at
    tail[at : at + len(numbers)] = numbers
    return Reserved(file.data, tail, gap)


def _cross_reference(update: _Update, offsets: dict[int, int], tail: bytearray, blank: Blank) -> None:
    file = update.file
    at = len(file.data) + len(tail)
    trailer: dict[str, Value] = {key: value for key, value in file.trailer.items() if key not in _OWN}
    trailer |= {"Prev": file.startxref, **_identified(file, blank)}
    if file.streamed:
        number = update.number()
        _stream(number, {**offsets, number: at}, update, trailer, tail)
    else:
        _table(offsets, update, trailer, tail)
    tail += b"startxref\n%d\n%%%%EOF\n" % at


def _runs(offsets: dict[int, int]) -> list[list[int]]:
    """Return the numbers in order, consecutive ones together."""
    runs: list[list[int]] = []
    for number in sorted(offsets):
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _table(offsets: dict[int, int], update: _Update, trailer: dict[str, Value], tail: bytearray) -> None:
    tail += b"xref\n"
    for run in _runs(offsets):
        tail += b"%d %d\n" % (run[0], len(run))
        for number in run:
            tail += b"%010d %05d n \n" % (offsets[number], update.objects[number][0])
    tail += b"trailer\n%b\n" % encode({"Size": update.next, **trailer})


def _stream(number: int, offsets: dict[int, int], update: _Update, trailer: dict[str, Value], tail: bytearray) -> None:
    width = (max(offsets.values()).bit_length() + 7) // 8
    rows, index = bytearray(), list[Value]()
    for run in _runs(offsets):
        index += (run[0], len(run))
        for each in run:
            generation = update.objects[each][0] if each in update.objects else 0
            rows += b"\1" + offsets[each].to_bytes(width, "big") + generation.to_bytes(2, "big")
    own: dict[str, Value] = {"W": (1, width, 2), "Index": tuple(index), "Length": len(rows)}
    head = encode({"Size": update.next, **trailer, **own})
    tail += b"%d 0 obj\n<< /Type /XRef%b\nstream\n" % (number, head[2:])
    tail += rows
    tail += b"\nendstream\nendobj\n"


def _identified(file: Ordinary, blank: Blank) -> dict[str, Value]:
    """Return the file's identifiers, if it has any: the first stays, the second changes (ISO 32000-2, 14.4)."""
    held = file.state.resolve(file.trailer.get("ID"))
    if not isinstance(held, tuple) or len(held) != 2:
        return {}
    first, second = held
    if not isinstance(first, String) or not isinstance(second, String):
        raise NotOrdinary
    return {"ID": (first, String(changed_identifier(second, len(file.data), blank.body)))}
