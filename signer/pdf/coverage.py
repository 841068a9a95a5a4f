"""Does the signed range vouch for what a reader sees? Judged on the original bytes (signing.md 4.2).

C1 the form of ``/ByteRange`` · C2 the gap is one hexadecimal string · C3 that string is ``/Contents`` of the dictionary
the field leads to, once, in a direct object · C4 the signed prefix alone is a complete document with this field · C5
ranges end where an update ends, gaps are not shared · C6 what follows is harmless or an update.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.formtree import FormField, Where
from signer.pdf.listing import Forms, Listed
from signer.pdf.reading import PdfFile, State
from signer.pdf.reading.strict import StrictState
from signer.pdf.syntax import SPACE, SyntaxFault, Token, integers, name_of, object_at, reference_of
from signer.pdf.values import Reference
from signer.report import Covers

_HEX_DIGITS = b"0123456789abcdefABCDEF"
_STARTXREF = re.compile(rb"startxref[\0\t\n\f\r ]*+(\d{1,19})")
HOPS_MAX = 16


@dataclass(frozen=True, slots=True)
class Place:
    """Where a signature's dictionary stands: the object that holds it, its tokens, and those of range and contents."""

    reference: Reference
    offset: int  # of the object
    dictionary: Token
    byte_range: tuple[int, ...] | None
    contents: Token | None


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is covered: the two ranges, the revision they end in (1 = first), and which rules do not hold."""

    covers: Covers
    ranges: tuple[tuple[int, int], tuple[int, int]] | None  # (start, end) twice
    gap: tuple[int, int] | None
    faults: tuple[str, ...]
    revision: int | None = None


def locate(data: bytes, state: State, field: FormField) -> Place | None:
    """Find the signature dictionary of a field in a state; ``None`` if it stands where no signature can.

    Raises:
        LimitExceeded: a budget is used up.
    """
    where = Where(field.value) if isinstance(field.value, Reference) else field.value_at
    try:
        found = _token(data, state, where) if where else None
    except LimitExceeded:
        raise
    except (InputRefused, SyntaxFault):
        return None
    if found is None or found[1].kind != "dictionary":
        return None
    reference, token, offset = found
    ranges, contents = token.all("/ByteRange"), token.all("/Contents")
    numbers = _numbers(data, state, ranges[0]) if len(ranges) == 1 else None
    hexed = contents[0] if len(contents) == 1 and contents[0].kind == "hex" else None
    return Place(reference, offset, token, numbers, hexed)


def _token(data: bytes, state: State, where: Where) -> tuple[Reference, Token, int] | None:
    """Return the object that holds a value, the value's token, and the object's offset."""
    reference, steps = where.holder, list(where.steps)
    for _ in range(HOPS_MAX):
        origin = state.origin(reference)
        if origin is None or origin.container is not None:
            return None  # in an object stream: compressed, so nothing a range could leave out
        token = object_at(data, origin.offset, reference.number)
        while steps and token.kind != "reference":
            step = steps.pop(0)
            token = _inside(token, step)
        if token.kind != "reference":
            return reference, token, origin.offset
        reference = Reference(*reference_of(data, token))
    return None


def _inside(token: Token, step: str | int) -> Token:
    if isinstance(step, int):
        if token.kind != "array" or step >= len(token.items):
            raise SyntaxFault("array")
        return token.items[step]
    found = token.all(f"/{step}")
    if len(found) != 1:
        raise SyntaxFault("dictionary")
    return found[0]


def _numbers(data: bytes, state: State, token: Token) -> tuple[int, ...] | None:
    """Return the numbers of ``/ByteRange``, which may stand in an object of its own."""
    if token.kind == "reference":
        value = state.resolve(Reference(*reference_of(data, token)))
        plain = value if isinstance(value, tuple) else ()
        if not plain or not all(type(one) is int and one >= 0 for one in plain):
            return None
        return tuple(one for one in plain if isinstance(one, int))
    return integers(data, token)


def sub_filter(data: bytes, place: Place) -> str:
    """Return the ``/SubFilter`` without its slash, or an empty text."""
    found = place.dictionary.all("/SubFilter")
    return name_of(data, found[0])[1:] if len(found) == 1 and found[0].kind == "name" else ""


def cover(file: PdfFile, place: Place, listed: Listed, forms: Forms) -> Coverage:
    """Judge C1 to C4 and C6 for one signature, whose place was found in the state in which it is listed.

    Raises:
        LimitExceeded: a budget is used up.
    """
    numbers, data = place.byte_range, file.data
    if numbers is None or len(numbers) != 4:
        return Coverage(Covers.PARTIAL, None, None, ("C1",))
    zero, a, b, c = numbers
    if zero != 0 or not 0 < a < b or c <= 0 or b + c > len(data):
        return Coverage(Covers.PARTIAL, None, None, ("C1",))
    faults, end = [], b + c
    if not _is_hex_string(data, a, b):
        faults.append("C2")
    if not _is_contents(place, data, a, b) or not _within(place, a, b, end):
        faults.append("C3")
    state = _signed_state(file, end)
    if state is None or not _holds(data, state, forms, listed=listed, place=place):
        return Coverage(Covers.PARTIAL, ((0, a), (b, end)), (a, b), (*faults, "C4"))
    covers = Covers.WHOLE
    if faults:  # the gap leaves out more than the value: that much nobody signed
        covers = Covers.PARTIAL
    elif state.revision < file.latest.revision or file.structure_behind(max(end, state.eof)) is not None:
        covers = Covers.REVISION
    if _defined_twice(data, state, place, end):
        faults.append("C3")
    return Coverage(covers, ((0, a), (b, end)), (a, b), tuple(dict.fromkeys(faults)), state.revision)


def _is_hex_string(data: bytes, a: int, b: int) -> bool:
    """C2: white space aside, the gap is one string of hexadecimal digits and white space."""
    inner = data[a:b].strip(SPACE)
    if not (inner.startswith(b"<") and inner.endswith(b">")):
        return False
    return not inner[1:-1].translate(None, SPACE + _HEX_DIGITS)


def _is_contents(place: Place, data: bytes, a: int, b: int) -> bool:
    """C3: the string in the gap is the value of ``/Contents``, and nothing else is left out."""
    token = place.contents
    if token is None or not a <= token.start < token.end <= b:
        return False
    return not data[a : token.start].strip(SPACE) and not data[token.end : b].strip(SPACE)


def _within(place: Place, a: int, b: int, end: int) -> bool:
    """C3: object and dictionary lie inside the ranges, around the gap."""
    return place.offset < a and place.dictionary.start < a and b <= place.dictionary.end <= end


def _signed_state(file: PdfFile, end: int) -> State | None:
    """C4, C5: return the last complete state within the range, if the prefix alone leads to it.

    A ``startxref`` behind it inside the range would lead readers of the prefix elsewhere.
    """
    state = next((one for one in reversed(file.revisions) if one.eof <= end), None)
    if isinstance(state, StrictState):
        at = file.data.rfind(b"startxref", 0, end)
        match = _STARTXREF.match(file.data, at, end)
        if match is None or int(match[1]) + state.base != state.startxref:
            return None
    return state


def _holds(data: bytes, state: State, forms: Forms, *, listed: Listed, place: Place) -> bool:
    """C4: in the signed state the field leads to this very dictionary."""
    if state is listed.state:
        return True
    for one in forms.of(state):
        if one.name == listed.field.name and one.signature(state) is not None:
            found = locate(data, state, one)
            if found is not None and (found.offset, found.dictionary.start) == (place.offset, place.dictionary.start):
                return found.byte_range == place.byte_range
    return False


def _defined_twice(data: bytes, state: State, place: Place, end: int) -> bool:
    """C3: no second definition within the signed bytes, neither in the chain nor beside it."""
    number = place.reference.number
    if isinstance(state, StrictState) and state.rows(number) != 1:
        return True
    pattern = re.compile(rb"(?<![0-9])%d[\0\t\n\f\r ]++\d{1,5}[\0\t\n\f\r ]++obj(?![A-Za-z0-9])" % number)
    return pattern.search(data, place.dictionary.end, end) is not None


def shared_gaps(gaps: Sequence[tuple[int, int] | None]) -> frozenset[int]:
    """C5: return the indices of signatures whose gap overlaps another's."""
    clash = set()
    for i, one in enumerate(gaps):
        for j, other in enumerate(gaps):
            if i < j and one and other and one[0] < other[1] and other[0] < one[1]:
                clash |= {i, j}
    return frozenset(clash)
