"""Can the file be read in two ways that a person would see? (signing.md 4.1, D2; 4.2, C6; G5)

A strict reader follows ``startxref`` and ``/Prev``; a recovering one scans for objects and lets the last win; old ones
do not look into ``/XRefStm``. The second reading is made when there is a reason: the file is hybrid, the chain is
damaged or inconsistent, or behind the first signed range stands what no cross-reference names. Compared is all that
the catalog leads to, but for what no reader displays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.reading import PdfFile, State
from signer.pdf.reading.budget import over
from signer.pdf.reading.lexer import Lexer
from signer.pdf.reading.scan import scan
from signer.pdf.values import Reference, Stream, Value

_STARTXREF = re.compile(rb"startxref[\0\t\n\f\r ]*+(\d{1,19})")
_UNSEEN = frozenset(
    {"StructTreeRoot", "StructParents", "StructParent", "Parent", "P", "Metadata", "PieceInfo", "LastModified", "DSS"}
)
"""Entries that change nothing a person sees, or that only lead back."""
_FAULTY = frozenset(
    {
        "dictionary key",
        "dictionary key given thrice",
        "dictionary without value",
        "word",
        "stream without line end",
        "stream length",
        "cross-reference rows",
        "cross-reference rows twice",
        "damaged object stream",
        "damaged cross-reference stream",
    }
)
"""Faults of syntax that readers do not agree on: some drop the entry, some the object."""
_MISPLACED = frozenset({"offset", "object stream", "object header"})
_SEARCHED = 1000
"""Octets at the end of a file that all readers search for ``startxref``; some mend the file if it is not there."""
_UNREAD = object()


def differ(file: PdfFile, ends: Sequence[int]) -> bool:
    """Say whether two readers may see different things; ``ends`` is where signed ranges end, the first first.

    Raises:
        LimitExceeded: a budget is used up.
    """
    start = ends[0]
    if any(what in _FAULTY and at >= start for what, at in file.oddities):
        return True  # added behind a signature, and every reader makes something else of it
    if file.broken_chain:
        return _mends_differently(file, start) or any(
            _was_another(file, end, file.limits.pdf_values // len(ends)) for end in ends
        )
    if not (file.hybrid or file.faults or file.oddities or _is_far(file) or _stray(file, start)):
        return False
    values = file.limits.pdf_values
    if file.hybrid and not same(file.latest, file.as_old_readers(), values):
        return True
    if _MISPLACED & set(file.faults) and not same(file.latest, file.taken_literally(start), values):
        return True
    try:
        other = file.recovered()
    except LimitExceeded:
        raise
    except InputRefused:
        return True
    return not same(file.latest, other, values)


def _mends_differently(file: PdfFile, start: int) -> bool:
    """Say whether readers that mend the file, or need not, see different things since it was signed."""
    values = file.limits.pdf_values
    if file.chained is not None and not same(file.chained, file.latest, values):
        return True
    if same(file.latest, file.with_generations(file.latest), values):
        return False
    signed = next((one for one in reversed(file.revisions) if one.end <= start), None)
    return signed is not None and same(signed, file.with_generations(signed), values)


def _was_another(file: PdfFile, end: int, budget: int) -> bool:
    """Say whether what was signed could be read without mending, and was something else than what mending shows."""
    state = next((one for one in reversed(file.revisions) if one.end <= end), None)
    if state is None or end >= len(file.data):
        return False
    try:
        signed = PdfFile(file.data[:end], limits=file.limits)
    except LimitExceeded:
        raise
    except InputRefused:
        return False
    return not signed.broken_chain and not same(signed.latest, state, budget)


def _is_far(file: PdfFile) -> bool:
    """Say whether so much follows the last ``startxref`` that some readers do not find it."""
    return len(file.data) - file.data.rfind(b"startxref") > _SEARCHED


def _stray(file: PdfFile, start: int) -> bool:
    """Say whether behind ``start`` stands a section or object that the chain does not lead to."""
    if start >= len(file.data):
        return False
    sections = [section for update in file.updates for section in update.sections]
    bases = {section.offset - section.base for section in sections}
    if any(int(match[1]) not in bases for match in _STARTXREF.finditer(file.data, start)):
        return True
    lexer = Lexer(file.data, file.limits.pdf_nesting)
    found = scan(lexer, file.budget, start)
    for number, definitions in found.objects.items():
        known = {lexer.header(offset) for offset in file.offsets(number)}
        if any(lexer.header(one.offset) not in known for one in definitions):
            return True
    trailers = sum(section.stream is None for section in sections if section.offset >= start)
    return len(found.trailers) > trailers


def same(one: State, other: State, budget: int) -> bool:
    """Say whether two states show the same: everything the catalogs lead to, compared by meaning.

    Raises:
        LimitExceeded: more values than ``budget``.
    """
    stack: list[tuple[Value, Value]] = [(dict(one.root), dict(other.root))]
    seen: set[tuple[Reference, Reference]] = set()
    count = 0
    while stack:
        left, right = stack.pop()
        count += 1
        if count > budget:
            over("pdf_values", count, "value")
        if isinstance(left, Reference) and isinstance(right, Reference):
            if (left, right) in seen:
                continue
            seen.add((left, right))
        pairs = _pairs(one, other, _read(one, left), _read(other, right))
        if pairs is None:
            return False
        stack += pairs
    return True


def _read(state: State, value: Value) -> Value | object:
    try:
        return state.resolve(value)
    except LimitExceeded:
        raise
    except InputRefused:
        return _UNREAD


def _pairs(one: State, other: State, left: Value | object, right: Value | object) -> list[tuple[Value, Value]] | None:
    """Return what is still to be compared of two values, or ``None`` if they differ."""
    if isinstance(left, Stream) and isinstance(right, Stream):
        if left.raw != right.raw and _octets(one, left) != _octets(other, right):
            return None
        left = {key: value for key, value in left.dictionary.items() if key != "Length"}
        right = {key: value for key, value in right.dictionary.items() if key != "Length"}
    if isinstance(left, Mapping) and isinstance(right, Mapping):
        keys = (left.keys() | right.keys()) - _UNSEEN
        return [(left.get(key), right.get(key)) for key in keys]
    if isinstance(left, tuple) and isinstance(right, tuple):
        return list(zip(left, right, strict=True)) if len(left) == len(right) else None
    return [] if type(left) is type(right) and left == right else None


def _octets(state: State, stream: Stream) -> bytes | None:
    try:
        return state.decoded(stream)
    except LimitExceeded:
        raise
    except InputRefused:
        return None
