"""Recognise a file by its content and judge it with what fits (signing.md 1.1 G2, console.md 5.1).

Each format's reader is imported only when a file needs it, so that judging XML or a receipt loads nothing of PDF.
"""

from __future__ import annotations

import re

from signer.judge import FileFacts, report_of
from signer.report import Code, Reason, Report
from signer.trust import Context

EDXML_NAMESPACE = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
RECEIPT_NAMESPACE = "urn:edoc:receipt:1"
STATEMENT_NAMESPACE = "urn:edoc:ledger-keys:1"
EVIDENCE_NAMESPACE = "urn:ietf:params:xml:ns:ers"
_SEAL_MARKS = (b"urn:edoc:slip:1", b'Id="seal"')
"""What tells a seal, even a damaged one, from the placeholders of the edXML header (edxml.md 8)."""

_CONTAINER = re.compile(rb"PK\x03\x04.{26}mimetypeapplication/vnd\.etsi\.asic-[es]\+zip", re.DOTALL)
"""The first member of a container: with anything in front of it, it is still one, though not in order (Z1)."""

HEAD_BYTES = 4096
"""How far into a file its kind is looked for; PDF allows 1,024 bytes before ``%PDF-``, edXML 64 before ``<?xml``."""

_ROOT = re.compile(
    r"^\ufeff?.{0,64}?(?:<\?xml[^>]*\?>)?(?:\s|<!--.*?-->|<\?.*?\?>|<!DOCTYPE[^>\[]*(?:\[[^\]]*\])?\s*>)*"
    r"<(?:[\w.-]+:)?(?P<name>[\w.-]+)(?P<rest>[^>]*)",
    re.DOTALL,
)


def recognise(data: bytes) -> str:
    """Return the kind by content: ``pdf xml edxml asic cms receipt proof`` or ``unknown``."""
    head = data[:HEAD_BYTES]
    if head.startswith(b"%PDF-"):
        return "pdf"
    kind = _other_kind(head)
    if kind == "unknown" and b"%PDF-" in head[:1029]:
        return "pdf"
    return "asic" if kind == "unknown" and _CONTAINER.search(head) else kind


def _other_kind(head: bytes) -> str:
    """Look at the start: a container or message may hold a PDF early on and is none."""
    if head.startswith(b"PK\x03\x04"):
        return "asic"
    if re.match(rb"c2sp\.org/tlog-proof@v\d+\n", head):
        return "proof"
    from signer.cades.forms import kind_of

    return "cms" if kind_of(head) is not None else _xml_kind(head)


def _xml_kind(head: bytes) -> str:
    text = head[: len(head) // 2 * 2].decode(_coding(head), "replace")
    found = _ROOT.match(text)
    if found is None:  # a long comment or DOCTYPE may stand before the document element
        return (
            "xml"
            if re.match(r"\ufeff?\s*<(?:\?xml\s|!--|!DOCTYPE\s)", text) and "<html" not in text.lower()
            else "unknown"
        )
    name, rest = found["name"], found["rest"]
    if name == "edXML" and EDXML_NAMESPACE in rest:
        return "edxml"
    if name in {"Receipt", "EvidenceCopy"} and RECEIPT_NAMESPACE in rest:
        return "receipt"
    return "xml"


def _coding(head: bytes) -> str:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    return {b"<\x00?\x00": "utf-16-le", b"\x00<\x00?": "utf-16-be"}.get(head[:4], "utf-8")


def inspect_file(data: bytes, *, context: Context, with_parts: bool = True) -> Report:
    """Judge a file of any kind; never raises for what the file contains.

    ``with_parts`` tells whether the objects of a container are judged too; they are, one level deep.
    """
    kind = recognise(data)
    if kind == "pdf":
        from signer.pdf.verify import inspect_pdf

        return inspect_pdf(data, context=context)
    if kind == "asic":
        from signer.asic import inspect_asice

        return inspect_asice(data, context=context, with_parts=with_parts)
    if kind == "cms":
        from signer.cades.verify import inspect_cms

        return inspect_cms(data, context=context)
    if kind == "receipt":
        from signer.xml.profiles import inspect_declaration

        return inspect_declaration(data, context=context).report
    if kind in {"edxml", "xml"}:
        return _inspect_xml(data, kind, context)
    reason = Reason(Code.UNSUPPORTED_FORMAT if data else Code.UNREADABLE)
    return report_of(FileFacts(kind, None, data, reasons=(reason,)), (), context=context)


def _inspect_xml(data: bytes, kind: str, context: Context) -> Report:
    """Judge edXML by its seal, statements as declarations, everything else by the general rules."""
    if kind == "edxml" and any(mark in data for mark in _SEAL_MARKS):
        from signer.xml.profiles import inspect_seal

        return inspect_seal(data, context=context).report
    if kind == "xml" and STATEMENT_NAMESPACE.encode("ascii") in data[:HEAD_BYTES]:
        from signer.xml.profiles import inspect_declaration

        return inspect_declaration(data, context=context).report
    if kind == "xml" and EVIDENCE_NAMESPACE.encode("ascii") in data[:HEAD_BYTES] and _is_record(data[:HEAD_BYTES]):
        from signer.evidencexml import inspect_xml_record

        return inspect_xml_record(data, context=context)
    from signer.xml.verify import inspect_xml

    return inspect_xml(data, context=context, kind=kind)


def _is_record(head: bytes) -> bool:
    found = _ROOT.match(head[: len(head) // 2 * 2].decode(_coding(head), "replace"))
    return found is not None and found["name"] == "EvidenceRecord"
