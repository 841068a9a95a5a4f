"""The two lists of attachments: ``Reference`` says what there is, ``Attachment`` holds the bytes (edxml.md 7, 12.7).

They are paired by ContentId after removing ``cid:`` any number of times, with case; what is left over is paired by
position. An attachment without a reference is delivered; differences are reported both ways.
"""

from __future__ import annotations

import re
from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass

from edoc.documents import Attachment, new_content_id
from edoc.edxml.files import decode, media_type, safe_name, unwrap
from edoc.edxml.limits import ReadLimits
from edoc.edxml.names import Element, Parts, by_name, child, children
from edoc.edxml.values import Notes, TextOf, text

_CID = re.compile(r"\A(?:cid:\s*)+")


@dataclass(frozen=True, slots=True)
class Files:
    """Attachments in the order of the file; ``differences`` are the codes that make a message incomplete (R5)."""

    attachments: tuple[Attachment, ...]
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Context:
    notes: Notes
    limits: ReadLimits
    text_of: TextOf
    strict: bool
    differences: list[str]

    def differ(self, code: str, **facts: str) -> None:
        self.notes.warn(code, **facts)
        self.differences.append(code)


def read_files(tree: Element, notes: Notes, *, limits: ReadLimits, text_of: TextOf, strict: bool) -> Files:
    """Read all attachments of a file. Read strictly, bytes and names are taken as they stand.

    Raises:
        LimitPassed: an attachment is too large.
    """
    body = child(child(tree, "edXMLEnvelope"), "edXMLBody")
    references = tuple(map(by_name, children(child(body, "edXMLManifest"), "Reference")))
    groups = children(tree, "AttachmentEncoded")
    parts = tuple(by_name(item) for group in groups for item in children(group, "Attachment"))
    context = _Context(notes, limits, text_of, strict, [])
    pairs = _pair(references, parts, context)
    attachments = tuple(
        _read_one(part, reference, position, context) for position, (part, reference) in enumerate(pairs, 1)
    )
    return Files(attachments, tuple(context.differences))


def content_key(value: str) -> str:
    """Return a ContentId without ``cid:``, however often it stands there."""
    return _CID.sub("", value)


def _pair(references: Sequence[Parts], parts: Sequence[Parts], context: _Context) -> list[tuple[Parts, Parts | None]]:
    by_key: dict[str, deque[int]] = defaultdict(deque)
    for index, reference in enumerate(references):
        by_key[content_key(text(reference, "ContentId"))].append(index)
    taken: set[int] = set()
    pairs: list[tuple[Parts, Parts | None]] = []
    for part in parts:
        key = content_key(text(part, "ContentId"))
        waiting = by_key.get(key) if key else None
        if waiting:
            taken.add(waiting[0])
        pairs.append((part, references[waiting.popleft()] if waiting else None))
    left = deque(reference for index, reference in enumerate(references) if index not in taken)
    unmatched = [index for index, (_, match) in enumerate(pairs) if match is None]
    for index in unmatched:
        part = pairs[index][0]
        by_position = left.popleft() if left else None
        pairs[index] = (part, by_position)
        code = "attachment-without-reference" if by_position is None else "content-ids-differ"
        context.differ(code, name=_name(part, by_position))
    for reference in left:
        context.differ("reference-without-attachment", name=text(reference or {}, "AttachmentName"))
    return pairs


def _name(part: Parts, reference: Parts | None) -> str:
    return text(part, "AttachmentName") or text(reference or {}, "AttachmentName")


def _read_one(part: Parts, reference: Parts | None, position: int, context: _Context) -> Attachment:
    given = _name(part, reference)
    name = given if context.strict else safe_name(given, position)
    if name != given:
        context.notes.warn("name-replaced", name=name)
    content_type = text(part, "ContentType") or text(reference or {}, "ContentType")
    encoded = part.get("ContentTransferEncoded")
    decoded = decode("" if encoded is None else context.text_of(encoded), context.limits)
    if decoded.fault:
        context.differ("attachment-undecodable", name=name)
    if decoded.repaired:
        context.differ("base64-repaired", name=name)
    content = decoded.content
    if not context.strict:
        inside = unwrap(content, name=name, content_type=content_type, limits=context.limits)
        if inside.warning:
            context.notes.warn(inside.warning, name=name)
        if inside.content is not content:
            content_type = media_type(name)
        content, name = inside.content, inside.name
    return Attachment(
        name,
        content,
        content_type or media_type(name),
        description=text(part, "Description") or text(reference or {}, "Description"),
        content_id=text(part, "ContentId") or text(reference or {}, "ContentId") or new_content_id(),
        fault=decoded.fault,
    )
