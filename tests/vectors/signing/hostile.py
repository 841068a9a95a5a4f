"""Hostile and odd files for signing: each is signed correctly or refused clearly (signing.md 3.1, K1; 10, A5).

A vector names what is wrong with the file, how the file is made, and what must come of it: ``SIGNED``, or the code of
the refusal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

SIGNED = "signed"
NOT_PDF, LIMIT, EMPTY, ENCRYPTED = "EDOC-PDF-001", "EDOC-PDF-002", "EDOC-PDF-003", "EDOC-PDF-004"
DAMAGED, DAMAGED_SIGNED = "EDOC-PDF-005", "EDOC-PDF-006"
ACTION, XFA, CERTIFIED, DEMANDS = "EDOC-PDF-007", "EDOC-PDF-008", "EDOC-PDF-009", "EDOC-PDF-010"
OFF_PAGE, NO_FIELD, NO_PAGE, BROKEN, LOCKED = (f"EDOC-PDF-{n:03}" for n in (13, 15, 16, 21, 41))

Make = Callable[[], bytes]


@dataclass(frozen=True)
class Hostile:
    """One file: how it is made, what must come of it with these options, and whether its pages look as before."""

    name: str
    make: Make
    outcome: str = SIGNED
    options: Mapping[str, object] = field(default_factory=dict)
    same: bool = True


def built(objects: Mapping[int, bytes], *, trailer: bytes = b"", root: int = 1, size: int | None = None) -> bytes:
    """Return a file of these objects, by number, with a table; numbers between are free."""
    out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    count, start = max(offsets) + 1, len(out)
    rows = (
        b"%010d 00000 n \n" % offsets[n] if n in offsets else b"0000000000 %05d f \n" % (65535 if not n else 1)
        for n in range(count)
    )
    out += b"xref\n0 %d\n" % count + b"".join(rows)
    out += b"trailer\n<< /Size %d /Root %d 0 R %s >>\n" % (count if size is None else size, root, trailer)
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def named(cases: Mapping[str, Make | bytes], outcome: str = SIGNED, **more: object) -> Sequence[Hostile]:
    """Return vectors of one outcome by their names."""
    made = []
    for name, case in cases.items():
        make = (lambda data=case: data) if isinstance(case, bytes) else case
        made.append(Hostile(name, make, outcome, **more))  # type: ignore[arg-type]
    return made
