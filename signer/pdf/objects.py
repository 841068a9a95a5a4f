"""PDF objects by their plain names: a thin, typed layer over pyHanko's, so that the rest reads like the standard."""

from __future__ import annotations

from collections.abc import Mapping

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.generic import pdf_name
from pyhanko.pdf_utils.rw_common import PdfHandler


def follow(value: generic.PdfObject | None) -> generic.PdfObject | None:
    """Return what a reference leads to, or the value itself."""
    if isinstance(value, generic.IndirectObject):
        found: generic.PdfObject = value.get_object()  # type: ignore[no-untyped-call]
        return found
    return value


def dictionary_of(value: generic.PdfObject | None) -> generic.DictionaryObject | None:
    """Return the dictionary (or stream) a value is or leads to, or ``None``."""
    found = follow(value)
    return found if isinstance(found, generic.DictionaryObject) else None


def items_of(value: generic.PdfObject | None) -> list[generic.PdfObject]:
    """Return the items of the array a value is or leads to, references not followed; none if it is no array."""
    found = follow(value)
    return [found.raw_get(i) for i in range(len(found))] if isinstance(found, generic.ArrayObject) else []


def entry(dictionary: generic.PdfObject | None, key: str) -> generic.PdfObject | None:
    """Return an entry of a dictionary with its reference followed; ``None`` if it is absent, null or dangling."""
    if not isinstance(dictionary, generic.DictionaryObject) or key not in dictionary:
        return None
    value = follow(dictionary.raw_get(key))
    return None if isinstance(value, generic.NullObject) else value


def is_name(value: generic.PdfObject | None, *names: str) -> bool:
    """Say whether a value is one of these names (with their slash)."""
    return isinstance(value, generic.NameObject) and str(value) in names


def integer_of(value: generic.PdfObject | None) -> int | None:
    """Return a whole number, or ``None`` if the value is none."""
    return int(value) if isinstance(value, generic.NumberObject) else None


def number(value: float) -> generic.PdfObject:
    """Return a number, to a thousandth."""
    if float(value).is_integer():
        return generic.NumberObject(int(value))  # type: ignore[no-untyped-call]
    return generic.FloatObject(f"{value:.3f}")  # type: ignore[no-untyped-call]


def numbers(*values: float) -> generic.ArrayObject:
    """Return an array of numbers, to a thousandth."""
    return generic.ArrayObject(number(value) for value in values)


def dictionary(entries: Mapping[str, generic.PdfObject]) -> generic.DictionaryObject:
    """Return a dictionary; keys without their slash."""
    return generic.DictionaryObject({pdf_name(f"/{key}"): value for key, value in entries.items()})  # type: ignore[no-untyped-call]


def reference(idnum: int, generation: int, handler: PdfHandler) -> generic.IndirectObject:
    """Return a reference that is followed in ``handler``."""
    return generic.IndirectObject(idnum, generation, handler)  # type: ignore[no-untyped-call]
