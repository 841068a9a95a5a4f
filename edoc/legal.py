"""What a document counts as, told from the report over its signatures (R2, R28, R29, R65, R66; signing.md 1.3).

``original``: the competent person's and the agency's signature are both valid. ``copy``: the agency's is, and its line
states the form of copy. ``information-only``: anything else. Who is an agency is told by the directory, never by what a
certificate says of itself; an exchange key makes no agency signature. Who is competent is told by the authority table
(R26), on the day of signing. Of an agency that keeps no table nobody's authority is confirmed or denied: a valid
signature of a person who is no agency stands for the competent person's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from edoc.agencies import Directory
from edoc.authorities import CONFIRMED, MISSING, UNKNOWN, AuthorityTable, Finding, Question
from edoc.values import clean, vietnam_day
from signer.report import (
    Code,
    Covers,
    Indication,
    Integrity,
    LaterChanges,
    Reason,
    Report,
    SignatureReport,
    Verdict,
)

ORIGINAL = "original"
COPY = "copy"
INFORMATION_ONLY = "information-only"

COPY_FORMS = ("SAO Y", "SAO LỤC", "TRÍCH SAO")
"""Forms of copy, as the agency's line on a copy begins (T2 of regulations.md 6)."""

_PROVED = frozenset({"timestamp", "archive-timestamp", "ledger"})
_NO_TABLE = AuthorityTable()
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


def agency_precondition(
    directory: Directory,
    on: date,
    *,
    table: AuthorityTable = _NO_TABLE,
    asked: Question | None = None,
) -> Callable[[Report], Reason | None]:
    """Return the rule R28 as a check of a report: the agency signs only what the competent person has signed.

    ``on`` is the day of the agency's signature, ``asked`` names the agency and what is known of the document. Where the
    agency keeps an authority table the person must have had the authority on the day of signing (R26), and a scope that
    cannot be held against the document confirms nothing; ``facts`` of the objection then name who signed and ``why`` as
    a word. A document that another agency has sealed is that agency's: on it stands the stamp of arrival.
    """

    def check(report: Report) -> Reason | None:
        missing = Reason(Code.MISSING_PERSON_SIGNATURE, {"date": on.isoformat()})
        if report.verdict is Verdict.INVALID:
            return missing
        persons = [item for item in (_typed(one, table) for one in report.signatures) if _is_person(item, directory)]
        question = None if asked is None else replace(asked, agency=_origin(report, directory, on) or asked.agency)
        if not persons or question is None or not table.keeps(question.agency):
            return None if persons else missing
        found = [(item, authority_of(item, table, question)) for item in persons]
        if any(one.standing == CONFIRMED for _, one in found):
            return None
        signer, why = found[-1][0].signer.name or "-", found[-1][1].why
        return replace(missing, facts={"date": on.isoformat(), "name": signer, "why": why})

    return check


def authority_of(item: SignatureReport, table: AuthorityTable, asked: Question) -> Finding:
    """Say whether a signature was made with authority, on its own day; ``asked.day`` is the day of judgement.

    A day that is only claimed is believed while the authority still holds on the day of judgement: afterwards nothing
    proves that it was not written back (``time-not-proved``).
    """
    if item.time_source in _PROVED:
        return table.judge(item.signer, replace(asked, day=vietnam_day(item.best_signature_time)))
    claimed = asked.day if item.signing_time is None else vietnam_day(item.signing_time)
    found = table.judge(item.signer, replace(asked, day=claimed))
    if found.standing != CONFIRMED or claimed == asked.day:
        return found
    now = table.judge(item.signer, asked)
    return found if now.standing == CONFIRMED else replace(found, standing=UNKNOWN, why="time-not-proved")


def annotate(
    report: Report,
    directory: Directory,
    on: date,
    *,
    sender: str | None = None,
    table: AuthorityTable = _NO_TABLE,
) -> Report:
    """Return the report with what the node knows: ``kind: seal``, ``signer.agency``, ``signer.authority``, legal class.

    ``signer.authority`` and the position of the table (R37) are judged on the day of signing, for the agency the
    document is of: its sender, else the first to seal it, else those the signer was given an authority for.
    """
    origin = sender or (report.document or {}).get("from") or None
    parts = tuple((name, annotate(part, directory, on, sender=origin, table=table)) for name, part in report.parts)
    signatures = tuple(_annotated(_typed(item, table), report, directory, on) for item in report.signatures)
    first = origin or _origin(report, directory, on)
    agencies = () if first is None else (directory.canonical(first),)
    signatures = tuple(_with_authority(item, table, agencies, on) for item in signatures)
    whole = replace(report, signatures=signatures, parts=parts)
    if report.kind not in _DOCUMENTS and not parts:
        return whole
    found = legal_class(whole, directory=directory, on=on, sender=origin)
    missing = () if parts else _missing(whole, directory, on, origin)
    known = {reason.code for reason in report.warnings}
    warnings = report.warnings + tuple(reason for reason in missing if reason.code not in known)
    return replace(whole, legal_class=found, warnings=warnings)


def _origin(report: Report, directory: Directory, on: date) -> str | None:
    """Return whose document it is by the first valid agency signature on it, ``None`` before there is one."""
    for item in report.signatures:
        digest = item.signer.certificate_sha256
        if digest is not None and _is_agency(item, directory, on, None):
            agency = directory.agency_of(digest, "agency", on)
            return agency.code if agency is not None else None
    return None


def _with_authority(
    item: SignatureReport, table: AuthorityTable, agencies: tuple[str, ...], on: date
) -> SignatureReport:
    """Fill in whether a person signed with authority; the strongest answer of the agencies that keep a table counts."""
    signer = item.signer
    if item.kind != "signature" or signer.type == "agency" or signer.certificate_sha256 is None:
        return item
    kept = [code for code in agencies or table.agencies_of(signer) if table.keeps(code)]
    found = [authority_of(item, table, Question(code, on)) for code in kept]
    for standing in (CONFIRMED, UNKNOWN, MISSING):
        answer = next((one for one in found if one.standing == standing), None)
        if answer is not None:
            entry = answer.entry if standing != MISSING else None
            position, capacity = (entry.position, entry.capacity.value or None) if entry else (signer.position, None)
            told = replace(signer, authority=standing, position=position, capacity=capacity)
            return replace(item, signer=told)
    return item


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
    """Say whether a signature is a person's and stands for the competent person's, unless the table denies it."""
    digest = item.signer.certificate_sha256
    if digest is None or not _valid(item) or item.later_changes is LaterChanges.SUSPECT:
        return False
    person = item.signer.type == "person" and not directory.knows_certificate(digest)
    return person and item.signer.authority != MISSING


def _typed(item: SignatureReport, table: AuthorityTable) -> SignatureReport:
    """Return a signature whose certificate the table knows as a person's as a person's, whatever its subject says."""
    if item.signer.type != "unknown" or table.person_of(item.signer) is None:
        return item
    return replace(item, signer=replace(item.signer, type="person"))


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
