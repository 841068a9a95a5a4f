"""Numbers for new objects that nothing in a file refers to (ISO 32000-2, 7.3.10; R30).

A reference to an object that is not there is null. If a new object got its number it would suddenly lead somewhere: a
page could take the picture of a signature for its own content. So numbers are taken behind all that are mentioned.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from signer.errors import InputRefused
from signer.pdf.target import Target

NUMBER_MAX = 8_388_607
"""Largest number of an object (ISO 32000-1, annex C)."""
_BEHIND = rb"[\0\t\n\f\r ]+\d{1,5}[\0\t\n\f\r ]+R(?![^\0\t\n\f\r ()<>\[\]{}/%])"
_ANY = re.compile(rb"(\d{1,10})" + _BEHIND)
_OTHERS = 4  # signature dictionary, field, form, stream of cross-references


def new_objects(target: Target) -> int:
    """Return how many objects a signature adds at most."""
    painted = (target.painted, *(one.painted for one in target.fillings))
    return _OTHERS + sum(len(one.objects) for one in painted if one is not None)


def first_number(texts: Sequence[bytes], size: int, count: int) -> int:
    """Return the first of ``count`` numbers that are free in a file of ``size`` numbers and mentioned nowhere.

    Raises:
        InputRefused: there are none.
    """
    first = size
    if any(_mentions(text, first, count) for text in texts):
        first = max(size, 1 + max(_every(texts), default=0))
    if first + count > NUMBER_MAX:
        raise InputRefused("EDOC-PDF-005", "damaged PDF: no number is free", where="/Size")
    return first


def _every(texts: Sequence[bytes]) -> Iterator[int]:
    return (number for text in texts for match in _ANY.finditer(text) if (number := int(match[1])) <= NUMBER_MAX)


def _mentions(text: bytes, first: int, count: int) -> bool:
    for pattern in _patterns(first, count):
        for match in pattern.finditer(text):
            at = match.start()
            if not text[max(0, at - 10) : at].rstrip(b"0")[-1:].isdigit():  # else it is the end of another number
                return True
    return False


@lru_cache(maxsize=64)
def _patterns(first: int, count: int) -> tuple[re.Pattern[bytes], ...]:
    """Return patterns that begin with a literal, which are searched for several times as fast as others."""
    groups: dict[str, list[str]] = {}
    for number in range(first, first + count):
        word = str(number)
        groups.setdefault(word[: max(1, len(word) - 2)], []).append(word)
    found = []
    for head, words in groups.items():
        ends = "|".join(sorted((word[len(head) :] for word in words), reverse=True))
        found.append(re.compile(f"{head}(?:{ends})".encode("ascii") + _BEHIND))
    return tuple(found)
