"""Limits of reading (edxml.md 12, exchange.md 10): they bound what a file can make a reader do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import lru_cache

from lxml import etree

from edoc.errors import LimitPassed

MESSAGE_MAX = 150 * 10**6
"""Bytes of a file (edxml.md 2)."""


@dataclass(frozen=True, slots=True)
class ReadLimits:
    """What a reader takes at most. Sizes are bytes."""

    depth: int = 32
    attributes: int = 32
    of_a_kind: int = 1000
    attachments: int = 200
    recipients: int = 500
    attachment_bytes: int = 50 * 10**6
    zip_ratio: int = 200


def check_tree(root: etree._Element, limits: ReadLimits) -> None:
    """Count depth, attributes and elements of a kind in one pass.

    Raises:
        LimitPassed: one of them passes its limit.
    """
    if not _may_pass(limits)(root):
        return
    kinds: Counter[str] = Counter()
    depth = 0
    for event, element in etree.iterwalk(root, events=("start", "end")):
        if event == "end":
            depth -= 1
            continue
        depth += 1
        _within("xml_depth_max", depth, limits.depth)
        _within("xml_attributes_max", len(element.attrib), limits.attributes)
        kinds[str(element.tag)] += 1
        _within("xml_elements_of_a_kind_max", kinds[str(element.tag)], limits.of_a_kind)


@lru_cache(maxsize=16)
def _may_pass(limits: ReadLimits) -> etree.XPath:
    """Ask libxml2 whether a limit could be passed at all: then the elements are counted one by one."""
    deep = "/*" * (limits.depth + 1)
    return etree.XPath(f"count(//*) > {limits.of_a_kind} or boolean({deep}) or //*[count(@*) > {limits.attributes}]")


def _within(name: str, value: int, limit: int) -> None:
    if value > limit:
        raise LimitPassed("EDOC-DOC-006", "a limit is passed", limit=f"{name} {limit}", value=value, unit="")


def check_size(name: str, value: int, limit: int) -> None:
    """Compare a size in bytes with its limit.

    Raises:
        LimitPassed: it is larger.
    """
    if value > limit:
        raise LimitPassed("EDOC-DOC-006", "a size limit is passed", limit=f"{name} {limit}", value=value, unit="byte")
