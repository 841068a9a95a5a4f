"""What a document counts as, told from the report over its signatures (R2, R28, R29, R65, R66; signing.md 1.3).

``original``: the competent person's and the agency's signature are both valid. ``copy``: the agency's is, and its line
states the form of copy. ``information-only``: anything else. Who is an agency is told by the directory, never by what a
certificate says of itself; an exchange key makes no agency signature. Without an authority table nobody's authority is
confirmed or denied: a valid signature of a person who is no agency stands for the competent person's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from edoc.agencies import Directory
from edoc.values import clean
from signer.report import Code, Covers, Indication, Integrity, Reason, Report, SignatureReport, Verdict

ORIGINAL = "original"
COPY = "copy"
INFORMATION_ONLY = "information-only"

COPY_FORMS = ("SAO Y", "SAO LỤC", "TRÍCH SAO")
"""Forms of copy, as the agency's line on a copy begins (T2 of regulations.md 6)."""

_DOCUMENTS = frozenset({"pdf", "asic", "cms", "xml"})


def legal_class(report: Report, *, directory: Directory, on: date, sender: str | None = None) -> str:
    """Return the legal class of a document on a day; of a message, that of its first file.

    With ``sender`` only that agency's signature counts (R66), else that of any agency of the directory.
    """
    if report.parts:
        return legal_class(report.parts[0][1], directory=directory, on=on, sender=sender)
    if report.kind not in _DOCUMENTS or report.verdict is Verdict.INVALID:
        return INFORMATION_ONLY
    by_agency = [item for item in report.signatures if _is_agency(item, directory, on, sender)]
    if not by_agency:
        return INFORMATION_ONLY
    if any(_is_person(item, directory) for item in report.signatures):
        return ORIGINAL
    return COPY if any(_states_copy(item) for item in by_agency) else INFORMATION_ONLY


def agency_precondition(directory: Directory, on: date) -> Callable[[Report], Reason | None]:
    """Return the rule R28 as a check of a report: the agency signs only what the competent person has signed."""

    def check(report: Report) -> Reason | None:
        found = report.verdict is not Verdict.INVALID and any(_is_person(item, directory) for item in report.signatures)
        return None if found else Reason(Code.MISSING_PERSON_SIGNATURE, {"date": on.isoformat()})

    return check


def annotate(report: Report, directory: Directory, on: date, *, sender: str | None = None) -> Report:
    """Return the report with what the directory knows: ``kind: seal``, ``signer.agency``, legal class, missing ones."""
    origin = sender or (report.document or {}).get("from") or None
    parts = tuple((name, annotate(part, directory, on, sender=origin)) for name, part in report.parts)
    signatures = tuple(_annotated(item, report, directory, on) for item in report.signatures)
    whole = replace(report, signatures=signatures, parts=parts)
    if report.kind not in _DOCUMENTS and not parts:
        return whole
    found = legal_class(whole, directory=directory, on=on, sender=origin)
    missing = () if parts else _missing(whole, directory, on, origin)
    known = {reason.code for reason in report.warnings}
    warnings = report.warnings + tuple(reason for reason in missing if reason.code not in known)
    return replace(whole, legal_class=found, warnings=warnings)


def _valid(item: SignatureReport) -> bool:
    """Say whether a signature stands for the document: one over a part of it says nothing of the rest."""
    passed = item.indication is Indication.PASSED and item.integrity is Integrity.INTACT
    return passed and item.kind != "timestamp" and item.covers is not Covers.PARTIAL


def _is_agency(item: SignatureReport, directory: Directory, on: date, sender: str | None) -> bool:
    digest = item.signer.certificate_sha256
    if digest is None or not _valid(item) or directory.agency_of(digest, "exchange", on) is not None:
        return False
    agency = directory.agency_of(digest, "agency", on)
    return agency is not None and (sender is None or directory.same(agency.code, sender))


def _is_person(item: SignatureReport, directory: Directory) -> bool:
    digest = item.signer.certificate_sha256
    return (
        digest is not None and _valid(item) and item.signer.type == "person" and not directory.knows_certificate(digest)
    )


def _states_copy(item: SignatureReport) -> bool:
    text = clean(item.appearance.text) if item.appearance else ""
    return text.startswith(COPY_FORMS)


def _annotated(item: SignatureReport, report: Report, directory: Directory, on: date) -> SignatureReport:
    digest = item.signer.certificate_sha256
    if digest is None or item.kind == "timestamp":
        return item
    as_agency = directory.agency_of(digest, "agency", on)
    as_exchange = directory.agency_of(digest, "exchange", on)
    if as_agency is not None and as_exchange is None:
        return replace(item, kind="seal", signer=replace(item.signer, type="agency", agency=as_agency.code))
    if as_exchange is not None:
        kind = "seal" if report.kind == "edxml" else item.kind
        return replace(item, kind=kind, signer=replace(item.signer, type="agency", agency=as_exchange.code))
    return item


def _missing(report: Report, directory: Directory, on: date, sender: str | None) -> tuple[Reason, ...]:
    if not report.signatures:
        return ()
    found = []
    if not any(_is_person(item, directory) for item in report.signatures):
        found.append(Reason(Code.MISSING_PERSON_SIGNATURE))
    if not any(_is_agency(item, directory, on, sender) for item in report.signatures):
        found.append(Reason(Code.MISSING_AGENCY_SIGNATURE))
    return tuple(found)
