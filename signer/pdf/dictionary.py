"""The signature dictionary as it is written, with room for the byte range and the value (signing.md 3.1).

Both writers, the fast one and the general one, take these very bytes; they only say where they stand.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from signer.pdf.values import Name, String, Value
from signer.pdf.writing import encode, text_string

VIETNAM = timezone(timedelta(hours=7))
NUMBER_WIDTH = 10
"""Digits reserved for each number of the byte range."""
_RANGE = b"[" + b" ".join([b"0" * NUMBER_WIDTH] * 4) + b"]"


@dataclass(frozen=True, slots=True)
class Stated:
    """What stands in the signature dictionary besides its value."""

    at: datetime
    reason: str | None = None
    location: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Blank:
    """A signature dictionary without value: where its byte range, and the gap from ``<`` to behind ``>``, stand."""

    body: bytes
    range_at: int
    gap: tuple[int, int]


def blank(stated: Stated, reserve: int, references: Sequence[Mapping[str, Value]] = ()) -> Blank:
    """Return the dictionary with ``reserve`` octets for the CMS; ``references`` are what locks and certifies."""
    local = stated.at.astimezone(VIETNAM)
    head = b"<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /ByteRange "
    middle = head + _RANGE + b" /Contents "
    rest: dict[str, Value] = {"M": String(f"D:{local:%Y%m%d%H%M%S}+07'00'".encode("ascii"))}
    for key, text in (("Reason", stated.reason), ("Location", stated.location), ("Name", stated.name)):
        if text:
            rest[key] = text_string(unicodedata.normalize("NFC", text))
    if references:
        rest["Reference"] = tuple(references)
    start = len(middle)
    end = start + 2 * reserve + 2
    return Blank(b"%b<%b> %b" % (middle, b"0" * (2 * reserve), encode(rest)[2:]), len(head), (start, end))


def byte_range(gap: tuple[int, int], size: int) -> bytes:
    """Return the byte range of a file of ``size`` octets around a gap, as wide as its place."""
    return (b"[0 %d %d %d" % (gap[0], gap[1], size - gap[1])).ljust(len(_RANGE) - 1) + b"]"


def lock_reference(action: str, fields: Sequence[String]) -> Mapping[str, Value]:
    """Return the signature reference by which a lock on fields takes effect (ISO 32000-2, 12.8.2.4)."""
    parameters: dict[str, Value] = {"Type": Name("TransformParams"), "V": Name("1.2"), "Action": Name(action)}
    if action != "All":
        parameters["Fields"] = tuple(fields)
    return _reference("FieldMDP", parameters)


def permission_reference(permission: int) -> Mapping[str, Value]:
    """Return the signature reference by which a signer states what may still change (ISO 32000-2, 12.8.2.2)."""
    return _reference("DocMDP", {"Type": Name("TransformParams"), "V": Name("1.2"), "P": permission})


def _reference(method: str, parameters: Mapping[str, Value]) -> Mapping[str, Value]:
    return {"Type": Name("SigRef"), "TransformMethod": Name(method), "TransformParams": parameters}
