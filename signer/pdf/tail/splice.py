"""Changing one entry of a dictionary, or adding to an array, in its text: everything else stays as it was spelled."""

from __future__ import annotations

from collections.abc import Mapping

from signer.pdf.syntax import SyntaxFault, Token, value_at
from signer.pdf.tail.ordinary import Located, NotOrdinary


def with_entry(text: bytes, value: Mapping[str, object], key: str, new: bytes) -> bytes:
    """Return the text of a dictionary with an entry set; ``key`` is a plain name, ``value`` what the text reads as.

    Raises:
        NotOrdinary: the entry is there more than once.
    """
    if key not in value:
        return b"%b /%b %b >>" % (text[:-2].rstrip(b" "), key.encode("ascii"), new)
    token = _entry(text, key)
    return b"%b %b%b" % (text[: token.start].rstrip(b" "), new, text[token.end :])


def entry_text(text: bytes, key: str) -> bytes:
    """Return the text of an entry's value.

    Raises:
        NotOrdinary: there is not exactly one.
    """
    token = _entry(text, key)
    return text[token.start : token.end]


def appended(array: bytes, item: bytes) -> bytes:
    """Return the text of an array with an item added at its end."""
    return b"%b %b ]" % (array[:-1].rstrip(b" "), item)


def dictionary(found: Located) -> Mapping[str, object]:
    """Return a located value that is a dictionary.

    Raises:
        NotOrdinary: it is none.
    """
    if not isinstance(found.value, Mapping) or not found.text.endswith(b">>"):
        raise NotOrdinary
    return found.value


def _entry(text: bytes, key: str) -> Token:
    try:
        whole = value_at(text, 0)
    except SyntaxFault:
        raise NotOrdinary from None
    found = whole.all(f"/{key}")
    if whole.kind != "dictionary" or whole.end != len(text) or len(found) != 1:
        raise NotOrdinary
    return found[0]
