"""Judging a PDF: every signature found, its bytes, its signer, its time (signing.md 1 and 4).

Numbered as there: reading (4.1), mathematics on original bytes (4.1), coverage (4.2), comparison of revisions (4.3),
permissions, and chapter 7 for trust and time, which is ``signer.judge``. The first parts decide ``integrity`` and know
no anchor, moment or policy. A file is never mended on the way to a verdict; one that cannot be read strictly is
searched for signatures, which are then listed as broken or unknown, never as good.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer import asn1
from signer.cms import check_signer
from signer.errors import InputRefused, LimitExceeded, NotVerified
from signer.judge import Facts, FileFacts, Stamp, judge_signature, report_of
from signer.pdf.changes import State, compare, states
from signer.pdf.coverage import shared_gaps
from signer.pdf.found import Found, find
from signer.pdf.objects import dictionary_of, entry, items_of
from signer.pdf.opening import READING_FAULTS, open_pdf, split_trailing
from signer.pdf.page import Field
from signer.pdf.readings import differ
from signer.pdf.uncovered import readable
from signer.report import Code, Covers, Crypto, Integrity, LaterChanges, Reason, Report, Verdict
from signer.trust import Context, Limits, TrustStore

_RAW = re.compile(rb"/ByteRange\s*\[\s*(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s+(\d{1,12})\s*\]")
_ANY = re.compile(rb"/ByteRange\b")
_BUILT = object()
DSS_MAX = 2_000
"""Certificates and status answers read from ``/DSS``."""


@dataclass(frozen=True, slots=True)
class VerifiedPdf:
    """What was verified: the report, and the bytes of the file. Only ``verify_pdf`` makes it."""

    report: Report
    revision: bytes = field(repr=False)
    built: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.built is not _BUILT:
            raise TypeError("a VerifiedPdf comes from verify_pdf alone")


def verify_pdf(data: bytes, *, context: Context) -> VerifiedPdf:
    """Judge a PDF and hand back what was verified.

    Raises:
        NotVerified: the verdict is not *valid*; the report is inside.
    """
    report = inspect_pdf(data, context=context)
    if report.verdict is not Verdict.VALID:
        raise NotVerified("EDOC-PDF-024", "the PDF is not valid", report, verdict=report.verdict.value)
    return VerifiedPdf(report, split_trailing(data)[0], _BUILT)


def inspect_pdf(data: bytes, *, context: Context) -> Report:
    """Judge a PDF. Never raises for what the file contains; same bytes and context, same report."""
    limits = context.limits
    body, trailing = split_trailing(data)
    version = re.match(rb"%PDF-(\d\.\d)", data)
    file = FileFacts("pdf", f"PDF {version[1].decode()}" if version else "PDF", data)
    if trailing:
        file = replace(file, warnings=(Reason(Code.TRAILING_BYTES, {"n": str(len(trailing))}),))
    try:
        reader = open_pdf(body, limits=limits)
        found, noticed = _found(body, reader, limits)
    except (InputRefused, *READING_FAULTS) as error:
        return _unreadable(data, file, error, context)
    if len(found) > limits.signatures:
        over = Reason(Code.LIMIT_EXCEEDED, {"limit": "signatures"})
        return report_of(replace(file, reasons=(over,)), (), context=context)
    judged = [judge_signature(facts, context=context) for one in found for facts in one.facts]
    return report_of(replace(file, warnings=(*file.warnings, *noticed)), judged, context=context)


def _unreadable(data: bytes, file: FileFacts, error: Exception, context: Context) -> Report:
    """Report a file that cannot be read: why, and the signatures its bytes still show."""
    code = error.code if isinstance(error, InputRefused) else ""
    if isinstance(error, LimitExceeded):
        reason = Reason(Code.LIMIT_EXCEEDED, {"limit": str(error.facts.get("limit", "-"))})
        return report_of(replace(file, reasons=(reason,)), (), context=context)
    if code == "EDOC-PDF-004":
        return report_of(replace(file, reasons=(Reason(Code.ENCRYPTED),)), (), context=context)
    if code in ("EDOC-PDF-001", "EDOC-PDF-003"):
        unknown = replace(file, kind="unknown", format=None, reasons=(Reason(Code.UNSUPPORTED_FORMAT),))
        return report_of(unknown, (), context=context)
    where = str(error.facts.get("where", "-")) if isinstance(error, InputRefused) else type(error).__name__
    reasons = (Reason(Code.UNREADABLE), Reason(Code.MALFORMED, {"where": where}))
    judged = [judge_signature(facts, context=context) for facts in _raw_signatures(data, context.limits)]
    return report_of(replace(file, reasons=reasons), judged, context=context)


def _raw_signatures(data: bytes, limits: Limits) -> list[Facts]:
    """List what looks like a signature in a file that cannot be read: broken if its digest differs, else unknown."""
    facts = []
    for number, match in enumerate(_RAW.finditer(data)):
        if number >= limits.signatures:
            break
        zero, a, b, c = (int(part) for part in match.groups())
        bad = zero != 0 or not 0 < a < b or b + c > len(data) or _digest_differs(data, a, b, b + c)
        reasons: tuple[Reason, ...]
        if bad:
            reasons = (Reason(Code.HASH_FAILURE, {"part": "content"}),)
        else:
            reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), Reason(Code.MALFORMED, {"where": "cross-reference"}))
        crypto, integrity = (Crypto.BAD, Integrity.BROKEN) if bad else (Crypto.UNKNOWN, Integrity.UNKNOWN)
        name = f"@{match.start()}"
        facts.append(Facts(name, crypto, integrity, Covers.PARTIAL, "PDF-PKCS7", None, structural=reasons))
    return facts


def _digest_differs(data: bytes, a: int, b: int, end: int) -> bool:
    try:
        contents = bytes.fromhex(data[a:b].strip(b"\0\t\n\f\r <>").decode("ascii"))
        signed = asn1.read_signed_data(contents)
        info = signed.signers[0]
        digest = hashlib.new(info.digest, data[:a] + data[b:end], usedforsecurity=False).digest()
    except (ValueError, IndexError):
        return True
    check = check_signer(
        info,
        content_digest=digest,
        content=None,
        content_type=signed.content_type,
        candidates=[der for der in signed.certificates if readable(der)],
    )
    return check.crypto is Crypto.BAD


def _found(data: bytes, reader: PdfFileReader, limits: Limits) -> tuple[list[Found], tuple[Reason, ...]]:
    """Return all signatures in order of signing, compared with the latest state, and what was noticed."""
    total = int(reader.xrefs.total_revisions)
    known = states(reader)
    embedded = _embedded(reader)
    found = [
        find(data, reader, one, state, id=name, limits=limits, embedded=embedded)
        for name, one, state in _listed(known, total)
    ]
    found.sort(key=lambda one: (one.end, one.coverage.revision or 0 if one.coverage else 0, one.field.name))
    found = _shared(found)
    found = _read_twice(data, reader, found)
    found = [_compared(reader, one, known, total) for one in found]
    found = _under_broken(found)
    return _archived(data, found), _outside(data, found)


def _listed(known: dict[int, State], total: int) -> list[tuple[str, Field, State]]:
    """Return (id, field, state) of each signature: of the latest state, and what is gone of earlier ones."""
    listed: list[tuple[str, Field, State]] = []
    seen: dict[str, list[object]] = {}
    for number in range(total, 0, -1):
        for one in known[number].fields if number in known else ():
            if not one.filled_signature:
                continue
            key = _identity(one.value)
            held = seen.setdefault(one.name, [])
            if key in held and number != total:
                continue
            held.append(key)
            listed.append((one.name if len(held) == 1 else f"{one.name}@{number}", one, known[number]))
    return listed


def _identity(value: object) -> object:
    return value.reference if isinstance(value, generic.IndirectObject) else "direct"


def _shared(found: list[Found]) -> list[Found]:
    clash = shared_gaps([one.gap for one in found])
    return [_broken(one, "C5") if index in clash else one for index, one in enumerate(found)]


def _broken(one: Found, rule: str, *more: Reason) -> Found:
    reasons = (Reason(Code.FORMAT_FAILURE), *(more or (Reason(Code.BYTE_RANGE_INVALID, {"rule": rule}),)))
    facts = tuple(
        replace(each, integrity=Integrity.BROKEN, structural=(*each.structural, *reasons)) for each in one.facts
    )
    return replace(one, facts=facts)


def _read_twice(data: bytes, reader: PdfFileReader, found: list[Found]) -> list[Found]:
    """G5: where two readers may see different things, every signature is broken."""
    first = min((one.end for one in found if one.end), default=0)
    if not found or differ(data, reader, first) is None:
        return found
    broken = [_broken(one, "D2", Reason(Code.READINGS_DIFFER)) for one in found]
    return [replace(one, facts=_suspect(one)) for one in broken]


def _suspect(one: Found) -> tuple[Facts, ...]:
    return tuple(replace(each, later_changes=LaterChanges.SUSPECT) for each in one.facts)


def _compared(reader: PdfFileReader, one: Found, known: dict[int, State], total: int) -> Found:
    """Compare the signed state with the latest; a suspect change breaks the signature (4.3)."""
    if one.coverage is None or one.coverage.revision is None or one.coverage.covers is not Covers.REVISION:
        return one
    before, after = known.get(min(one.coverage.revision, total)), known[total]
    if before is None:
        return _broken(one, "C4")
    signed = before.named(one.field.name) or one.field
    between = [known[number] for number in range(before.revision + 1, total) if number in known]
    changes = compare(reader, before, after, signature=signed, between=between)
    suspect = [change for change in changes if not change.allowed]
    later = LaterChanges.SUSPECT if suspect else LaterChanges.ALLOWED
    facts = tuple(
        replace(
            each,
            later_changes=LaterChanges.SUSPECT if each.later_changes is LaterChanges.SUSPECT else later,
            changes=changes,
        )
        for each in one.facts
    )
    one = replace(one, facts=facts)
    if suspect:
        change = str(suspect[0].facts.get("change", suspect[0].kind))
        return _broken(one, "4.3", Reason(Code.LATER_CHANGE_SUSPECT, {"change": change}))
    return one


def _under_broken(found: list[Found]) -> list[Found]:
    """4.4: a later signature that is broken and paints breaks the earlier ones too."""
    result = []
    for one in found:
        later = [other for other in found if one.end and other.end > one.end]
        painted = any(
            each.integrity is Integrity.BROKEN and each.appearance is not None
            for other in later
            for each in other.facts
        )
        if painted:
            broken = _broken(one, "4.4", Reason(Code.LATER_CHANGE_SUSPECT, {"change": "overlay"}))
            one = replace(broken, facts=_suspect(broken))
        result.append(one)
    return result


def _archived(data: bytes, found: list[Found]) -> list[Found]:
    """A document time stamp that is intact proves that what it covers existed."""
    result = []
    for one in found:
        stamps = [
            Stamp(each.id, "archive", contents, data[:a] + data[b:end])
            for other in found
            if other.end > one.end and other.coverage and other.coverage.ranges
            for (_, a), (b, end) in [other.coverage.ranges]
            for each in other.facts
            if each.kind == "timestamp" and each.integrity is Integrity.INTACT
            for contents in [_token(data, a, b)]
        ]
        facts = tuple(
            each if each.kind == "timestamp" else replace(each, stamps=(*each.stamps, *stamps)) for each in one.facts
        )
        result.append(replace(one, facts=facts))
    return result


def _token(data: bytes, a: int, b: int) -> bytes:
    contents = bytes.fromhex(data[a:b].strip(b"\0\t\n\f\r <>").decode("ascii"))
    return contents[: asn1.read_signed_data(contents).encoded_length]


def _outside(data: bytes, found: Sequence[Found]) -> tuple[Reason, ...]:
    """D3: something that looks like a signature and no field leads to."""
    spans = [one.place.dictionary for one in found if one.place is not None]
    for match in _ANY.finditer(data):
        if not any(span.start <= match.start() < span.end for span in spans):
            return (Reason(Code.SIGNATURE_NOT_IN_FORM),)
    return ()


def _embedded(reader: PdfFileReader) -> TrustStore:
    """Return what ``/DSS`` brings: certificates, CRLs and OCSP answers, none of them trusted for being there."""
    store = entry(reader.root, "/DSS")
    if not isinstance(store, generic.DictionaryObject):
        return TrustStore()
    parts: dict[str, tuple[bytes, ...]] = {}
    for key in ("/Certs", "/CRLs", "/OCSPs"):
        streams = [dictionary_of(item) for item in items_of(entry(store, key))[:DSS_MAX]]
        parts[key] = tuple(stream.data for stream in streams if isinstance(stream, generic.StreamObject))
    return TrustStore(intermediates=parts["/Certs"], crls=parts["/CRLs"], ocsps=parts["/OCSPs"])
