"""What is not signed: files with scripts, launch or submit actions, XFA, or a lock (signing.md 3.1, K1).

Reachable objects are walked once from the catalogue, within the limit on objects. A signature on such a file would
vouch for what a reader shows, while a script may show something else.
"""

from __future__ import annotations

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.objects import dictionary_of, entry, follow, integer_of, is_name, items_of
from signer.trust import Limits

FORBIDDEN_ACTIONS = frozenset({"/JavaScript", "/Launch", "/SubmitForm", "/ImportData"})
RENDITION, MODEL_SCRIPT = "/Rendition", "/OnInstantiate"
"""An action that may bring a script with it, and the entry of a three-dimensional model that is one."""


def refuse_unsignable(reader: PdfFileReader, *, limits: Limits, harmless: bool = False) -> None:
    """Refuse a file that must not be signed. ``harmless`` says that no action in it can be a forbidden one.

    Raises:
        InputRefused: it holds scripts or actions that are not allowed, an XFA form, or a certification that forbids
            every change.
    """
    root = reader.root
    form = entry(root, "/AcroForm")
    if isinstance(form, generic.DictionaryObject) and "/XFA" in form:
        raise InputRefused("EDOC-PDF-008", "the file holds an XFA form")
    if certification_permission(root) == 1:
        raise InputRefused("EDOC-PDF-009", "a certification forbids every change")
    names = entry(root, "/Names")
    if isinstance(names, generic.DictionaryObject) and "/JavaScript" in names:
        raise InputRefused("EDOC-PDF-007", "the file holds scripts", action="JavaScript")
    if not harmless:
        _refuse_actions(reader, limits)


def certification_permission(root: generic.DictionaryObject) -> int | None:
    """Return the permission (1, 2 or 3) of the certification in force, or ``None`` without one."""
    permissions = entry(root, "/Perms")
    certification = entry(permissions, "/DocMDP") if isinstance(permissions, generic.DictionaryObject) else None
    return docmdp_of(certification)


def docmdp_of(signature: generic.PdfObject | None) -> int | None:
    """Return the permission a signature dictionary states by DocMDP; an unreadable one counts as 1, the tightest."""
    for item in items_of(entry(signature, "/Reference")):
        if is_name(entry(dictionary_of(item), "/TransformMethod"), "/DocMDP"):
            stated = entry(entry(follow(item), "/TransformParams"), "/P")
            value = 2 if stated is None else integer_of(stated)
            return value if value in (1, 2, 3) else 1
    return None


def _refuse_actions(reader: PdfFileReader, limits: Limits) -> None:
    stack: list[generic.PdfObject | None] = [reader.root]
    seen: set[generic.Reference] = set()
    while stack:
        item = stack.pop()
        if isinstance(item, generic.IndirectObject):
            if item.reference in seen:
                continue
            seen.add(item.reference)
            if len(seen) > limits.pdf_objects:
                raise LimitExceeded(
                    "EDOC-PDF-002", "too many objects", limit="pdf_objects", value=len(seen), unit="object"
                )
            item = follow(item)
        if isinstance(item, generic.DictionaryObject):
            action = entry(item, "/S") if not isinstance(item, generic.StreamObject) else None
            if isinstance(action, generic.NameObject) and str(action) in FORBIDDEN_ACTIONS:
                raise InputRefused("EDOC-PDF-007", "the file holds a forbidden action", action=str(action)[1:])
            if (is_name(action, RENDITION) and "/JS" in item) or MODEL_SCRIPT in item:
                raise InputRefused("EDOC-PDF-007", "the file holds a script", action="JavaScript")
            stack += [item.raw_get(key) for key in item]
        elif isinstance(item, generic.ArrayObject):
            stack += items_of(item)
