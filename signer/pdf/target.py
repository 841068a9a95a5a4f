"""What one signature adds to a file, decided before anything is written: both writers get the same (signing.md 3.4)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from signer.pdf.dictionary import lock_reference, permission_reference
from signer.pdf.values import Name, Reference, Stream, String, Value
from signer.pdf.writing import text_string
from signer.report import Reason

Rectangle = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class Painted:
    """An appearance as plain objects. They refer to one another by ``Reference(index, 0)`` into ``objects``; streams
    are encoded already; ``root`` is the index of the form XObject."""

    root: int
    objects: tuple[Value, ...] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Filling:
    """A text field that was there, empty, and is filled in the same update (R35): the field, its widget, its text."""

    field: Reference
    widget: Reference
    text: str
    painted: Painted | None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lock:
    """Fields that this signature locks: ``action`` is All, Include or Exclude; ``permission`` 1 to 3 if stated."""

    action: str
    fields: tuple[String, ...] = ()
    permission: int | None = None

    def entry(self) -> Mapping[str, Value]:
        """Return the ``/Lock`` of a field (ISO 32000-2, 12.7.5.5)."""
        entries: dict[str, Value] = {"Type": Name("SigFieldLock"), "Action": Name(self.action)}
        return entries if self.action == "All" else {**entries, "Fields": self.fields}


@dataclass(frozen=True, slots=True)
class Target:
    """Where the signature goes: a new field of this name, or an empty one that is there; and what is painted."""

    name: str
    page: Reference
    existing: Reference | None = None
    rectangle: Rectangle = (0.0, 0.0, 0.0, 0.0)
    painted: Painted | None = None
    fillings: tuple[Filling, ...] = ()
    lock: Lock | None = None
    certify: int | None = None
    number: int | None = None  # of the page, from 1, if something is painted
    notes: tuple[Reason, ...] = ()
    apart: bool = False  # the page's list of annotations is another page's, too: it gets one of its own

    def locking(self, lock: Lock) -> Target:
        """Return the same target with the lock that stands in its field."""
        return replace(self, lock=lock)

    def references(self) -> tuple[Mapping[str, Value], ...]:
        """Return what the signature dictionary states about later changes."""
        found: list[Mapping[str, Value]] = []
        if self.certify is not None:
            found.append(permission_reference(self.certify))
        if self.lock is not None:
            found.append(lock_reference(self.lock.action, self.lock.fields))
        return tuple(found)

    def widget(self, signature: Reference, appearance: Reference | None) -> Mapping[str, Value]:
        """Return the field that is its own widget."""
        entries: dict[str, Value] = {
            "Type": Name("Annot"),
            "Subtype": Name("Widget"),
            "FT": Name("Sig"),
            "T": text_string(self.name),
            "V": signature,
            "F": 132,
            "P": self.page,
            "Rect": tuple(round(corner, 3) for corner in self.rectangle),
        }
        if appearance is not None:
            entries["AP"] = {"N": appearance}
        if self.lock is not None:
            entries["Lock"] = self.lock.entry()
        return entries


def renumbered(value: Value, numbers: Mapping[int, int]) -> Value:
    """Return a value of an appearance with its local references replaced by numbers of the file."""
    if isinstance(value, Reference):
        return Reference(numbers[value.number], 0)
    if isinstance(value, tuple):
        return tuple(renumbered(item, numbers) for item in value)
    if isinstance(value, Stream):
        return Stream({key: renumbered(item, numbers) for key, item in value.dictionary.items()}, value.raw)
    if isinstance(value, Mapping):
        return {key: renumbered(item, numbers) for key, item in value.items()}
    return value
