"""Judging a PDF: every signature found, its bytes, its signer, its time (signing.md 1 and 4).

Numbered as there: reading (4.1), mathematics on original bytes (4.1), coverage (4.2), comparison of revisions (4.3),
permissions, and chapter 7 for trust and time, which is ``signer.judge``. The first parts decide ``integrity`` and know
no anchor, moment or policy. A file is never mended on the way to a verdict; one that cannot be read at all is searched
for signatures, which are then listed as broken or unknown, never as good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from signer.errors import InputRefused, LimitExceeded, NotVerified
from signer.judge import Facts, FileFacts, Judged, Stamp, judge_signature, report_of
from signer.pdf.comparing.compare import Later, Signed, compare
from signer.pdf.coverage import shared_gaps
from signer.pdf.found import Beside, Found, find
from signer.pdf.listing import Forms, Listed, listed, loose, noticed
from signer.pdf.looking import looked_at
from signer.pdf.mathematics import Prefixes
from signer.pdf.raw import raw_signatures
from signer.pdf.reading import PdfFile
from signer.pdf.readings import differ
from signer.pdf.validation import covered_by, digests, level_of, validation_data
from signer.report import Code, Covers, Crypto, Integrity, LaterChanges, Reason, Report, Verdict
from signer.trust import Context, Purpose, TrustStore

_BUILT = object()
_SPACE = b"\0\t\n\f\r "


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
    end = PdfFile(data, limits=context.limits).latest.end
    return VerifiedPdf(report, data if end == len(data) else data[:end], _BUILT)


def inspect_pdf(data: bytes, *, context: Context) -> Report:
    """Judge a PDF. Never raises for what the file contains; same bytes and context, same report."""
    facts = FileFacts("pdf", "PDF", data)
    try:
        file = PdfFile(data, limits=context.limits)
        facts = replace(facts, format=f"PDF {file.version}" if file.version else "PDF")
        seen = _Seen(file, Forms(), Prefixes(data))
        found = seen.found(context)
        outside = loose(data, _spans(found))
        if outside and file.find_hidden():  # signed states that the chain does not lead to
            seen = _Seen(file, Forms(), seen.prefixes)
            found = seen.found(context)
            outside = loose(data, _spans(found))
        found = seen.read_twice(seen.compared(_shared(found)))  # the comparison reads what came later
        facts = replace(facts, warnings=(*seen.warnings(), *noticed(file, outside)))
        found = looked_at(file, _archived(seen, found), context)
    except InputRefused as error:
        return _unreadable(data, facts, error, context)
    if len(found) > context.limits.signatures:
        over = Reason(Code.LIMIT_EXCEEDED, {"limit": "signatures"})
        return report_of(replace(facts, reasons=(over,)), (), context=context)
    stamped = [one for one in found for each in one.facts if _is_good_stamp(one, each)]
    judged = [seen.judged(one, each, context, stamped=stamped) for one in found for each in one.facts]
    judged += [judge_signature(each, context=context) for each in _behind(file, found)]
    whole = seen.prefixes.upto("sha256", len(data)).hexdigest()
    return report_of(replace(facts, passed=(whole, len(data))), judged, context=context)


@dataclass(slots=True)
class _Seen:
    """One file under examination, and what was read of it."""

    file: PdfFile
    forms: Forms
    prefixes: Prefixes
    stores: dict[int, TrustStore] = field(default_factory=dict)

    def store(self, revision: int) -> TrustStore:
        """Return the validation data of a state."""
        if revision not in self.stores:
            self.stores[revision] = validation_data(self.file.revisions[revision - 1])
        return self.stores[revision]

    def found(self, context: Context) -> list[Found]:
        """Return all signatures in order of signing: end of the range, revision, name (D5)."""
        trust = context.trust
        caller = (*trust.intermediates, *trust.for_purpose(Purpose.SIGNERS, Purpose.PUBLIC, Purpose.TSA))
        beside = Beside(self.store(len(self.file.revisions)), caller, self.forms, self.prefixes, {})
        every = listed(self.file, self.forms)
        if len(every) > context.limits.signatures:
            raise LimitExceeded("EDOC-PDF-002", "too many signatures", limit="signatures", value=len(every), unit="")
        found = [_found(self.file, one, beside) for one in every]
        return sorted(found, key=lambda one: (one.end, one.revision, one.listed.id))

    def read_twice(self, found: list[Found]) -> list[Found]:
        """G5: where two readers may see different things, every signature is broken."""
        ends = sorted({one.end for one in found if one.end}) or [0]
        if not found or not differ(self.file, ends):
            return found
        broken = [one.broken(Reason(Code.FORMAT_FAILURE), Reason(Code.READINGS_DIFFER)) for one in found]
        return [replace(one, facts=tuple(_suspect(each) for each in one.facts)) for one in broken]

    def compared(self, found: list[Found]) -> list[Found]:
        """Compare the signed states with what came later; a suspect change breaks a signature (4.3)."""
        signed = [
            Signed(one.listed.field.name, one.revision, _worst(one), any(e.kind == "timestamp" for e in one.facts))
            for one in found
        ]
        if not signed:
            return found
        what = compare(self.file.revisions, signed, limits=self.file.limits)
        return [_with_later(one, each) for one, each in zip(found, what, strict=True)]

    def warnings(self) -> tuple[Reason, ...]:
        """Return what was noticed about the file as a whole, after all of it has been looked at."""
        rest = self.file.data[self.file.latest.end :]
        trailing = (Reason(Code.TRAILING_BYTES, {"n": str(len(rest))}),) if rest.strip(_SPACE) else ()
        return (*trailing, *((Reason(Code.REPAIRED),) if self.file.damaged else ()))

    def judged(self, one: Found, facts: Facts, context: Context, *, stamped: Sequence[Found]) -> Judged:
        """Judge a signature and say which level it has reached, given the document time stamps that are intact."""
        judged = judge_signature(facts, context=context)
        last = max((stamp.revision for stamp in stamped if stamp.end > one.end), default=0)
        stores = [
            (revision <= last, self.store(revision))
            for revision in range(one.revision, len(self.file.revisions) + 1)
            if self.store(revision) != TrustStore()
        ]
        level = level_of(judged.signature, facts.certificate, facts.candidates, stores)
        return replace(judged, signature=replace(judged.signature, level=level))


def _found(file: PdfFile, one: Listed, beside: Beside) -> Found:
    """Read one signature; one that passes a budget is unknown, the others go on."""
    try:
        return find(file, one, beside)
    except LimitExceeded as error:
        limit = Reason(Code.LIMIT_EXCEEDED, {"limit": str(error.facts.get("limit", "-"))})
        why = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), limit)
        facts = Facts(one.id, Crypto.UNKNOWN, Integrity.UNKNOWN, Covers.PARTIAL, "PDF-PKCS7", None, structural=why)
        return Found(one, None, None, (facts,))


def _spans(found: Sequence[Found]) -> list[tuple[int, int]]:
    """Return where the dictionaries of the signatures stand."""
    tokens = [one.place.dictionary for one in found if one.place is not None]
    return [(token.start, token.end) for token in tokens]


def _behind(file: PdfFile, found: Sequence[Found]) -> list[Facts]:
    """Return signatures in an update that is not complete, so that no reading leads to them."""
    start = 0 if file.broken_chain else file.latest.eof
    if file.structure_behind(start) is None:
        return []
    why = Reason(Code.MALFORMED, {"where": "cross-reference"})
    return raw_signatures(file.data, file.limits, why, start=start, known=_spans(found))


def _worst(one: Found) -> Integrity:
    """Return the integrity of a signature with all its signers: every one must hold (E4)."""
    found = {each.integrity for each in one.facts}
    return next((i for i in (Integrity.BROKEN, Integrity.UNKNOWN) if i in found), Integrity.INTACT)


def _shared(found: list[Found]) -> list[Found]:
    clash = shared_gaps([one.gap for one in found])
    why = (Reason(Code.FORMAT_FAILURE), Reason(Code.BYTE_RANGE_INVALID, {"rule": "C5"}))
    return [one.broken(*why) if index in clash else one for index, one in enumerate(found)]


def _suspect(facts: Facts) -> Facts:
    return replace(facts, later_changes=LaterChanges.SUSPECT)


def _with_later(one: Found, what: Later) -> Found:
    """Put what came later into the facts; it can only make them worse."""
    return replace(one, facts=tuple(_later(each, what) for each in one.facts))


def _later(facts: Facts, what: Later) -> Facts:
    order = (Integrity.INTACT, Integrity.UNKNOWN, Integrity.BROKEN)
    changes = what.later_changes
    if facts.later_changes is LaterChanges.SUSPECT:
        changes = LaterChanges.SUSPECT
    reasons = what.reasons
    if what.integrity is Integrity.BROKEN and not any(one.code is Code.FORMAT_FAILURE for one in reasons):
        reasons = (Reason(Code.FORMAT_FAILURE), *reasons)
    return replace(
        facts,
        integrity=max(facts.integrity, what.integrity, key=order.index),
        later_changes=changes,
        changes=what.changes,
        structural=(*facts.structural, *reasons),
        warnings=(*facts.warnings, *what.warnings),
    )


def _archived(seen: _Seen, found: list[Found]) -> list[Found]:
    """A document time stamp that is intact proves that what it covers existed (7.2)."""
    stamps = [(one, each) for one in found for each in one.facts if _is_good_stamp(one, each)]
    result = []
    for one in found:
        own = tuple(_archive(seen, found, stamp, facts) for stamp, facts in stamps if stamp.end > one.end > 0)
        result.append(replace(one, facts=tuple(replace(each, stamps=(*each.stamps, *own)) for each in one.facts)))
    return result


def _is_good_stamp(one: Found, facts: Facts) -> bool:
    return facts.kind == "timestamp" and facts.integrity is Integrity.INTACT and one.ranges is not None


def _archive(seen: _Seen, found: Sequence[Found], stamp: Found, facts: Facts) -> Stamp:
    """Describe a document time stamp as archive stamp of the signatures before it."""
    assert stamp.ranges is not None
    assert stamp.place is not None
    before = [one for one in found if 0 < one.end < stamp.end]
    covers = [covered_by(seen.store(number)) for number in range(1, stamp.revision + 1)]
    for one in before:
        for each in one.facts:
            covers.append(digests(*each.candidates, *(token.token for token in each.stamps)))
            covers.append((each.value_sha256,) if each.value_sha256 else ())
            covers.append(digests(one.token) if each.kind == "timestamp" else ())
    flat = tuple(dict.fromkeys(digest for part in covers for digest in part))
    return Stamp(facts.id, "archive", stamp.token, stamp.ranges.digest, flat)


def _unreadable(data: bytes, file: FileFacts, error: InputRefused, context: Context) -> Report:
    """Report a file that cannot be read: why, and the signatures its bytes still show."""
    if isinstance(error, LimitExceeded):
        limit = str(error.facts.get("limit", "-"))
        over = replace(file, reasons=(Reason(Code.LIMIT_EXCEEDED, {"limit": limit}),))
        raw = raw_signatures(data, context.limits, Reason(Code.LIMIT_EXCEEDED, {"limit": limit}))
        few = () if limit in ("pdf_max_bytes", "signatures") else raw
        return report_of(over, [judge_signature(facts, context=context) for facts in few], context=context)
    if error.code == "EDOC-PDF-004":
        return report_of(replace(file, reasons=(Reason(Code.ENCRYPTED),)), (), context=context)
    if error.code in ("EDOC-PDF-001", "EDOC-PDF-003"):
        unknown = replace(file, kind="unknown", format=None, reasons=(Reason(Code.UNSUPPORTED_FORMAT),))
        return report_of(unknown, (), context=context)
    malformed = Reason(Code.MALFORMED, {"where": str(error.facts.get("where", "-"))})
    judged = [judge_signature(facts, context=context) for facts in raw_signatures(data, context.limits, malformed)]
    return report_of(replace(file, reasons=(Reason(Code.UNREADABLE), malformed)), judged, context=context)
