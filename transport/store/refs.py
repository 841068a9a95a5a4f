"""What a person types to name a document (console.md 3, REF)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from transport.errors import TransportError

_ARRIVAL = re.compile(r"in:([0-9]{1,10})(?:/([0-9]{4}))?")
_MESSAGE = re.compile(r"msg:([0-9A-Fa-f-]{6,36})")
_SYMBOL = re.compile(r"([^/,\s]+)/([^,@\s]+)(?:@([0-9]{4}))?")


class RefError(TransportError):
    """A name fits nothing, or several documents; ``candidates`` are names that fit one each. Exit code 2."""


@dataclass(frozen=True, slots=True)
class Ref:
    """A parsed REF: a message id's beginning, an arrival number, number and notation with year, or a DocumentId."""

    kind: Literal["message", "arrival", "symbol", "document"]
    value: str
    notation: str = ""
    year: int | None = None


def parse_ref(text: str, *, year: int | None) -> Ref:
    """Read a REF; ``year`` is the present year in Vietnam, taken where the text names none."""
    text = text.strip()
    if match := _MESSAGE.fullmatch(text):
        return Ref("message", match[1].lower())
    if match := _ARRIVAL.fullmatch(text):
        return Ref("arrival", match[1], year=int(match[2]) if match[2] else year)
    if match := _SYMBOL.fullmatch(text):
        return Ref("symbol", match[1], notation=match[2], year=int(match[3]) if match[3] else year)
    return Ref("document", text)


def not_found(text: str) -> RefError:
    """Return the error for a name that fits nothing."""
    return RefError("EDOC-STO-013", "no such document", ref=text)


def ambiguous(text: str, candidates: list[str]) -> RefError:
    """Return the error for a name that fits several documents."""
    return RefError("EDOC-STO-012", "several documents fit", ref=text, candidates=", ".join(candidates[:10]))
