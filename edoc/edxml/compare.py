"""Is a tree what the strict writer writes? What was understood is written anew and compared (edxml.md 13; M6).

Names, prefixes, order, attributes and texts must agree; white space between elements is free. A file that has the
writer's canonical form is strict at once, any other is compared element by element. So every breach is
found, also those nobody thought of: an unknown element, another date form, a value that was not trimmed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from lxml import etree

from edoc.edxml.limits import ReadLimits
from edoc.edxml.names import Element, name_of
from edoc.edxml.values import TextOf, own_text
from edoc.edxml.writer import canonical, write
from edoc.envelopes import Message
from edoc.errors import Incomplete, NotStrict


@dataclass(frozen=True, slots=True)
class Known:
    """A message that was checked and written before, and the canonical form it was given."""

    message: Message
    octets: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """What a strict reader goes by: the last day of a document, limits, texts that stand elsewhere, what it wrote."""

    on: date | None
    limits: ReadLimits
    text_of: TextOf
    known: Known | None = None


def must_be_strict(tree: Element, message: Message, differences: Sequence[str], rules: Rules) -> None:
    """Check that a tree is the strict writing of the message read from it.

    Raises:
        Incomplete: manifest, attachments and bytes disagree (R5).
        NotStrict: any other difference; ``facts`` name the first element that differs.
    """
    if differences:
        raise Incomplete("EDOC-DOC-017", "manifest, attachments and bytes disagree", field=differences[0])
    if _expected(message, rules) == _octets(tree, rules.text_of):
        return
    field = first_difference(write(message, on=rules.on, limits=rules.limits), tree, rules.text_of)
    if field is not None:
        raise NotStrict("EDOC-DOC-018", "not as the strict writer writes it", field=field)


def _expected(message: Message, rules: Rules) -> bytes:
    if rules.known is not None and rules.known.message == message:
        return rules.known.octets
    return canonical(message, on=rules.on, limits=rules.limits)


def _octets(tree: Element, text_of: TextOf) -> bytes | None:
    """Return the canonical form of a tree that holds all its texts itself, by libxml2 if it can make it."""
    if text_of is not own_text:
        return None
    try:
        return etree.tostring(tree, method="c14n", exclusive=True)
    except etree.LxmlError:
        return None


def first_difference(expected: Element, found: Element, text_of: TextOf) -> str | None:
    """Return the name of the first element in which two trees differ, or ``None``."""
    if expected.tag != found.tag or expected.prefix != found.prefix or dict(expected.attrib) != dict(found.attrib):
        return _shown(found)
    wanted, present = _content(expected), _content(found)
    if not wanted:
        same = not present and (expected.text or "") == (text_of(found) or "")
        return None if same else _shown(found)
    if _stray_text(found):
        return _shown(found)
    if len(present) < len(wanted):
        wanted = _without_silent(wanted, present)
    for left, right in zip(wanted, present, strict=False):
        field = first_difference(left, right, text_of)
        if field is not None:
            return field
    if len(wanted) == len(present):
        return None
    return _shown((present if len(present) > len(wanted) else wanted)[min(len(wanted), len(present))])


def _content(element: Element) -> list[Element]:
    return list(element)


def _stray_text(element: Element) -> bool:
    texts = (element.text, *(item.tail for item in element))
    return any(value and value.strip() for value in texts)


def _without_silent(wanted: list[Element], present: list[Element]) -> list[Element]:
    """Leave out what is missing in the file, says nothing and is optional (cardinality 0..1 in chapters 5 and 6)."""
    names = {name_of(item) for item in present}
    return [item for item in wanted if name_of(item) in names or not _silent(item)] if present else wanted


def _silent(item: Element) -> bool:
    """Our writer always writes the urgency, and both addresses of a person; others may leave them out."""
    match name_of(item):
        case "OtherInfo":
            return len(item) == 1 and _silent(item[0])
        case "Priority":
            return item.text == "0"
        case "Mobile" | "Email":
            return not item.text
    return False


def _shown(element: Element) -> str:
    tag = element.tag
    return etree.QName(tag).localname[:64] if isinstance(tag, str) and ":" not in tag.partition("}")[2] else "comment"
