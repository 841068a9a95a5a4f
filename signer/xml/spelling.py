"""Plain spelling: XML of our profiles is written so that no byte can change without changing what is read.

Exclusive canonical form does not see white space inside tags, the line end a CR stands for, a namespace declaration
nobody uses, or the sort of quotation mark. A file of ours has none of these freedoms (signing.md 5.4): one of a few
declarations and a line feed, or none; one blank between attributes, double quotation marks, the five entities and
upper-case references to CR, LF and TAB; no CDATA, comment or instruction; only declarations that are used.
"""

from __future__ import annotations

import re

_NAME = rb"[A-Za-z_\x80-\xff][-A-Za-z0-9._\x80-\xff]*(?::[A-Za-z_\x80-\xff][-A-Za-z0-9._\x80-\xff]*)?"
_ATTRIBUTE = rb' (?P<n>%s)="(?P<v>(?:[^<&"\t\n\r]++|&(?:amp|lt|gt|quot|apos|#x9|#xA|#xD);)*+)"' % _NAME
_PLAIN_ATTRIBUTE = _ATTRIBUTE.replace(b"?P<n>", b"?:").replace(b"?P<v>", b"?:")
_START = rb"<%s(?:%s)*+(?: ?/)?>" % (_NAME, _PLAIN_ATTRIBUTE)
_TEXT = rb"(?:[^<&\r]++|&(?:amp|lt|gt|quot|apos|#xD);)++"
_TOKEN = re.compile(rb"%s|</%s>|%s" % (_START, _NAME, _TEXT))
_TAG = re.compile(rb"<(/?)(%s)((?:%s)*+)(?: ?(/))?>" % (_NAME, _PLAIN_ATTRIBUTE))
_ONE = re.compile(_ATTRIBUTE)
_DECLARATIONS = tuple(
    f"<?xml version={q}1.0{q} encoding={q}{name}{q}?>\n".encode("ascii") for q in "\"'" for name in ("UTF-8", "utf-8")
)


def is_plain(data: bytes) -> bool:
    """Tell whether a well-formed file (long runs of text cut out) is in plain spelling."""
    start = next((len(d) for d in _DECLARATIONS if data.startswith(d)), 0)
    body = data[start:]
    if not body.startswith(b"<") or not body.endswith(b">"):
        return False
    return _TOKEN.sub(b"", body) == b"" and _declarations_used(body)


class _Scope:
    """A namespace declaration in force; ``used`` once an element or attribute needs it."""

    __slots__ = ("used",)

    def __init__(self) -> None:
        self.used = False


def _declarations_used(body: bytes) -> bool:
    """Tell whether each namespace declaration is needed by an element or attribute in its reach."""
    stack: list[tuple[dict[bytes, _Scope], list[_Scope]]] = [({}, [])]
    for match in _TAG.finditer(body):
        closing, name, attributes, empty = match.groups()
        if not closing:
            scope, own = _opened(stack[-1][0], attributes) if b" xmlns" in attributes else (stack[-1][0], [])
            _use(scope, name, attributes)
            stack.append((scope, own))
        if (closing or empty) and (len(stack) < 2 or not all(one.used for one in stack.pop()[1])):
            return False
    return len(stack) == 1


def _opened(above: dict[bytes, _Scope], attributes: bytes) -> tuple[dict[bytes, _Scope], list[_Scope]]:
    own = {}
    for match in _ONE.finditer(attributes):
        name = match["n"]
        if name == b"xmlns" or name.startswith(b"xmlns:"):
            own[name[6:]] = _Scope()
    return {**above, **own}, list(own.values())


def _use(scope: dict[bytes, _Scope], name: bytes, attributes: bytes) -> None:
    prefix = name.partition(b":")[0] if b":" in name else b""
    if prefix in scope:
        scope[prefix].used = True
    if b":" not in attributes:
        return
    for match in _ONE.finditer(attributes):
        prefix, colon, _ = match["n"].partition(b":")
        if colon and prefix != b"xmlns" and prefix in scope:
            scope[prefix].used = True
