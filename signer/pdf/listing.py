"""Which signatures does the file hold? Every revision is asked, and the bytes (signing.md 4.1, D3 and D5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import FormField, fields_of, mapping, pages_of, permissions_of
from signer.pdf.reading import PdfFile, State
from signer.pdf.values import Reference, Value
from signer.report import Code, Reason

_ANY = re.compile(rb"/ByteRange(?![A-Za-z0-9])")
_BYTE_RANGE = b"/ByteRange"


@dataclass(slots=True)
class Forms:
    """The fields of each state, walked once."""

    known: dict[int, tuple[FormField, ...]] = field(default_factory=dict)

    def of(self, state: State) -> tuple[FormField, ...]:
        """Return the fields of a state, and what its ``/Perms`` names as signature.

        Raises:
            LimitExceeded: a budget is used up.
        """
        if state.revision not in self.known:
            listed = fields_of(state, pages_of(state))
            permitted = tuple(one for key, one in permissions_of(state) if key == "DocMDP")
            self.known[state.revision] = (*listed, *permitted)
        return self.known[state.revision]


@dataclass(frozen=True, slots=True)
class Listed:
    """A signature to be read: its id, the field, and the state in which the field holds it."""

    id: str
    field: FormField
    state: State
    dictionary: Mapping[str, Value] | None  # None: it cannot be read

    @property
    def at(self) -> int:
        """Where the object stands that holds the signature, roughly the order of signing; 0 if it is not known."""
        reference = self.field.value if isinstance(self.field.value, Reference) else None
        origin = self.state.origin(reference) if reference else None
        return origin.offset if origin else 0


def listed(file: PdfFile, forms: Forms) -> list[Listed]:
    """Return the signatures of the latest state, and what is gone or replaced of earlier ones.

    Raises:
        LimitExceeded: a budget is used up.
    """
    found: list[Listed] = []
    names: dict[str, int] = {}
    places: set[tuple[str, object]] = set()
    for state in reversed(file.revisions):
        for one, dictionary in _filled(state, forms):
            key = _place(state, one)
            by_permission = one.name.startswith("/Perms/")
            if (one.name, key) in places or (by_permission and any(place == key for _, place in places)):
                continue
            places.add((one.name, key))
            name = one.name or f"@{len(found)}"
            names[name] = names.get(name, 0) + 1
            id = name if names[name] == 1 else f"{name}@{state.revision}"
            found.append(Listed(id, one, state, dictionary))
    return sorted(found, key=lambda one: one.at)


def _filled(state: State, forms: Forms) -> Iterator[tuple[FormField, Mapping[str, Value] | None]]:
    """Yield fields that hold a signature, or something that should be one (with no dictionary)."""
    for one in forms.of(state):
        dictionary = one.signature(state)
        if dictionary is not None:
            yield one, dictionary
        elif one.kind == "Sig" and one.value is not None and _unreadable(state, one.value):
            yield one, None


def _unreadable(state: State, value: Value) -> bool:
    """Say whether a value is there and no dictionary; a dangling reference is null, so nothing."""
    try:
        return state.resolve(value) is not None
    except LimitExceeded:
        raise
    except InputRefused:
        return True


def _place(state: State, one: FormField) -> object:
    """Return what tells one signature dictionary from another: where its object stands, and the steps inside."""
    where = one.value_at
    reference = one.value if isinstance(one.value, Reference) else where.holder if where else None
    origin = state.origin(reference) if reference else None
    steps = () if isinstance(one.value, Reference) else where.steps if where else ()
    return (
        (origin.offset, origin.container, reference)
        if origin and origin.container
        else (origin and origin.offset, steps)
    )


def noticed(file: PdfFile, outside: int) -> tuple[Reason, ...]:
    """D3, D5: name signature dictionaries that no field leads to, of which there are ``outside``, and usage rights."""
    state, warnings = file.latest, []
    rights = [key for key, one in permissions_of(state) if key != "DocMDP" and mapping(state, one.value)]
    if rights:
        warnings.append(Reason(Code.USAGE_RIGHTS))
    if outside > len(rights):
        warnings.append(Reason(Code.SIGNATURE_NOT_IN_FORM))
    return tuple(warnings)


def loose(data: bytes, spans: Sequence[tuple[int, int]]) -> int:
    """Count what looks like a signature dictionary outside ``spans``."""
    count, at = 0, data.find(_BYTE_RANGE)
    while at >= 0:
        inside = any(start <= at < end for start, end in spans)
        count += not inside and _ANY.match(data, at) is not None
        at = data.find(_BYTE_RANGE, at + 1)
    return count
