"""``edoc.verify/1`` from reports, to the letter of console.md 5, and what a person sees instead (console.md 4.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from signer.report import (
    Algorithm,
    Appearance,
    ChainLink,
    Change,
    Code,
    Reason,
    Report,
    Revocation,
    SignatureReport,
    Signer,
    Timestamp,
    Verdict,
)
from transport.present import catalogue, errors
from transport.present.exits import Exit, worst_verdict
from transport.present.text import json_time

DOCUMENT_FIELDS = ("document_id", "number", "notation", "date", "from", "to", "subject")

_ORDER = {code: index for index, code in enumerate(Code)}


@dataclass(frozen=True, slots=True)
class Checked:
    """One FILE of the command line: its report, or why it could not be read."""

    path: str
    report: Report | None
    fault: errors.Fault | None = None
    unmet: tuple[Reason, ...] = ()  # what the command line asked for and the file does not meet


@dataclass(frozen=True, slots=True)
class AnchorShown:
    """One certificate that was trusted, and for what: ``signers``, ``public``, ``tsa``."""

    certificate: bytes  # DER
    purposes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Judgement:
    """How the files were judged: the head of the document."""

    at: datetime
    generated_at: datetime
    policy: str
    version: str
    anchors: int
    anchors_sha256: str
    network: str = "offline"
    trusted: tuple[AnchorShown, ...] = ()  # for detailed reports
    algorithms: tuple[str, ...] = ()  # name, edition, SHA-256 of the algorithm table


def exit_code(files: Sequence[Checked]) -> int:
    """Return 1 if one is invalid, else 2 if one is unreadable, else 3 if one is indeterminate, else 0."""
    return worst_verdict(_file_exit(file) for file in files)


def _file_exit(file: Checked) -> int:
    if file.report is None:
        return file.fault.exit_code if file.fault and file.fault.exit_code == Exit.INTERNAL else Exit.USAGE
    if file.unmet:
        return Exit.REFUSED
    exits = {Verdict.VALID: Exit.DONE, Verdict.INVALID: Exit.REFUSED, Verdict.INDETERMINATE: Exit.INDETERMINATE}
    return exits[file.report.verdict]


def document(files: Sequence[Checked], how: Judgement, lang: str) -> dict[str, object]:
    """Return ``edoc.verify/1``; with equal input all but ``generated_at`` is equal byte for byte."""
    return {
        "schema": "edoc.verify/1",
        "at": json_time(how.at),
        "generated_at": json_time(how.generated_at),
        "policy": how.policy,
        "network": how.network,
        "software": {"name": "edoc", "version": how.version},
        "trust": {"anchors": how.anchors, "sha256": how.anchors_sha256},
        "summary": {"files": len(files), **{verdict.value: _count(files, verdict) for verdict in Verdict}},
        "files": [_checked(file, lang) for file in files],
    }


def _checked(file: Checked, lang: str) -> dict[str, object]:
    """Return the entry of a file; what was asked for and not met is a warning, the verdict stays what it is."""
    entry = file_entry(file.path, file.report, lang, file.fault)
    warnings = entry["warnings"]
    assert isinstance(warnings, list)
    warnings.extend(_reason(reason, lang) for reason in file.unmet)
    return entry


def verdict_of(file: Checked) -> Verdict:
    """Return the verdict of a file; one that cannot be read is indeterminate."""
    return file.report.verdict if file.report is not None else Verdict.INDETERMINATE


def _count(files: Sequence[Checked], verdict: Verdict) -> int:
    return sum(verdict_of(file) is verdict for file in files)


def file_entry(path: str, report: Report | None, lang: str, fault: errors.Fault | None = None) -> dict[str, object]:
    """Return one ``file`` of console.md 5.1."""
    error = errors.as_json(fault) if fault else None
    if report is None:
        unreadable = (Reason(Code.UNREADABLE),)
        report = Report("unknown", None, Verdict.INDETERMINATE, None, None, reasons=unreadable)
    return {
        "path": path,
        "sha256": report.sha256,
        "size": report.size,
        "kind": report.kind,
        "format": report.format,
        "verdict": report.verdict.value,
        "legal_class": report.legal_class,
        "reasons": [_reason(item, lang) for item in reasons_of(report)],
        "warnings": [_reason(item, lang) for item in report.warnings],
        "signatures": [signature_entry(item, lang) for item in report.signatures],
        "parts": [file_entry(f"{path}!/{name}", part, lang) for name, part in report.parts],
        "document": _document(report.document),
        "error": error,
    }


def _document(stated: Mapping[str, str] | None) -> dict[str, object] | None:
    """Return what a message says of itself; what it does not say is null, and every name is there."""
    if stated is None:
        return None
    names = dict.fromkeys((*DOCUMENT_FIELDS, *stated))
    return {name: stated.get(name) or None for name in names}


def reasons_of(report: Report) -> tuple[Reason, ...]:
    """Return why the verdict is not *valid*, worst first: the file's reasons and those of its signatures, each once."""
    if report.verdict is Verdict.VALID:
        return ()
    found: dict[tuple[Code, str | None], Reason] = {}
    for reason in report.reasons:
        found.setdefault((reason.code, reason.signature), reason)
    for signature in report.signatures:
        for reason in signature.reasons:
            named = Reason(reason.code, reason.facts, reason.signature or signature.id)
            found.setdefault((named.code, named.signature), named)
    return tuple(sorted(found.values(), key=lambda reason: _ORDER[reason.code]))


def _reason(reason: Reason, lang: str) -> dict[str, object]:
    return {
        "code": reason.code.value,
        "text": catalogue.reason(reason.code.value, reason.facts, lang),
        "signature": reason.signature,
    }


def signature_entry(signature: SignatureReport, lang: str) -> dict[str, object]:
    """Return one ``signature`` of console.md 5.2."""
    return {
        "id": signature.id,
        "name": signature.name,
        "kind": signature.kind,
        "indication": signature.indication.value,
        "sub_indication": signature.sub_indication.value if signature.sub_indication else None,
        "integrity": signature.integrity.value,
        "crypto": signature.crypto.value,
        "covers": signature.covers.value,
        "covered": list(signature.covered),
        "later_changes": signature.later_changes.value,
        "changes": [_change(item, lang) for item in signature.changes],
        "revision": signature.revision,
        "signer": signer_entry(signature.signer),
        "signing_time": _time(signature.signing_time),
        "best_signature_time": json_time(signature.best_signature_time),
        "time_source": signature.time_source,
        "level": signature.level,
        "algorithm": _algorithm(signature.algorithm),
        "chain": [_link(item) for item in signature.chain],
        "revocation": [_revocation(item) for item in signature.revocation],
        "timestamps": [_timestamp(item) for item in signature.timestamps],
        "appearance": _appearance(signature.appearance),
        "reasons": [_reason(item, lang) for item in signature.reasons],
        "warnings": [_reason(item, lang) for item in signature.warnings],
    }


def signer_entry(signer: Signer) -> dict[str, object]:
    """Return who a certificate says the signer is."""
    agency = {"code": signer.agency, "name": signer.organization} if signer.agency else None
    return {
        "name": signer.name,
        "organization": signer.organization,
        "unit": signer.unit,
        "position": signer.position,
        "email": signer.email,
        "serial": signer.serial,
        "issuer": signer.issuer,
        "certificate_sha256": signer.certificate_sha256,
        "type": signer.type,
        "agency": agency,
        "authority": signer.authority,
        "capacity": signer.capacity,
    }


def _time(moment: datetime | None) -> str | None:
    return json_time(moment) if moment is not None else None


def change_text(change: Change, lang: str) -> str:
    """Return a change in words."""
    return catalogue.change(change.kind, {**change.facts, "revision": change.revision}, lang)


def _change(change: Change, lang: str) -> dict[str, object]:
    return {
        "revision": change.revision,
        "kind": change.kind,
        "allowed": change.allowed,
        "text": change_text(change, lang),
    }


def _algorithm(algorithm: Algorithm | None) -> dict[str, object] | None:
    if algorithm is None:
        return None
    return {
        "signature": algorithm.signature,
        "digest": algorithm.digest,
        "key": algorithm.key,
        "bits": algorithm.bits,
        "curve": algorithm.curve,
        "tt15": algorithm.tt15,
    }


def _link(link: ChainLink) -> dict[str, object]:
    return {
        "subject": link.subject,
        "issuer": link.issuer,
        "serial": link.serial,
        "not_before": json_time(link.not_before),
        "not_after": json_time(link.not_after),
        "sha256": link.sha256,
        "source": link.source,
        "anchor": link.anchor,
    }


def _revocation(item: Revocation) -> dict[str, object]:
    return {
        "certificate_sha256": item.certificate_sha256,
        "status": item.status,
        "method": item.method,
        "source": item.source,
        "this_update": _time(item.this_update),
        "next_update": _time(item.next_update),
        "revoked_at": _time(item.revoked_at),
        "reason": item.reason,
    }


def _timestamp(item: Timestamp) -> dict[str, object]:
    return {
        "id": item.id,
        "kind": item.kind,
        "time": _time(item.time),
        "tsa": item.tsa,
        "indication": item.indication.value,
        "sub_indication": item.sub_indication.value if item.sub_indication else None,
        "integrity": item.integrity.value,
        "digest": item.digest,
        "certificate_sha256": item.certificate_sha256,
    }


def _appearance(appearance: Appearance | None) -> dict[str, object] | None:
    if appearance is None:
        return None
    return {"page": appearance.page, "box_mm": list(appearance.box_mm), "text": appearance.text}
