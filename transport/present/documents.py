"""Results of the commands that work on files, as JSON and as lines (console.md 4.1, 4.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from signer.report import Reason, Report, SignatureReport, Signer
from transport.present import catalogue, errors
from transport.present.screen import Screen, facts, table
from transport.present.text import clock, json_time, octets, person_time, sanitise

STATUSES = ("signed", "skipped", "refused", "failed")


class SignedFile(Protocol):
    """What became of one file given to ``sign``."""

    @property
    def path(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def fault(self) -> errors.Fault | None: ...
    @property
    def output(self) -> str | None: ...
    @property
    def sha256_in(self) -> str | None: ...
    @property
    def sha256_out(self) -> str | None: ...
    @property
    def format(self) -> str | None: ...
    @property
    def level(self) -> str | None: ...
    @property
    def visible(self) -> str | None: ...
    @property
    def page(self) -> int | None: ...
    @property
    def stamp(self) -> tuple[datetime | None, str | None] | None: ...
    @property
    def warnings(self) -> tuple[Reason, ...]: ...
    @property
    def notes(self) -> tuple[str, ...]: ...
    @property
    def signed_at(self) -> datetime | None: ...
    @property
    def prepared(self) -> ToSign | None: ...


class ToSign(Protocol):
    """What is to be signed elsewhere."""

    @property
    def digest(self) -> str: ...
    @property
    def scheme(self) -> str: ...
    @property
    def sha256(self) -> str: ...
    @property
    def field(self) -> str: ...


def sign_document(
    files: Sequence[SignedFile], *, signer: Signer, profile: str, at: datetime, dry_run: bool, lang: str
) -> dict[str, object]:
    """Return ``edoc.sign/1``."""
    return {
        "schema": "edoc.sign/1",
        "dry_run": dry_run,
        "files": [_signed(file, signer=signer, profile=profile, at=at, lang=lang) for file in files],
        "summary": {status: sum(file.status == status for file in files) for status in STATUSES},
    }


def _signed(file: SignedFile, *, signer: Signer, profile: str, at: datetime, lang: str) -> dict[str, object]:
    agency = {"code": signer.agency, "name": signer.organization} if signer.agency else None
    stamp = file.stamp
    return {
        "path": file.path,
        "status": file.status,
        "output": file.output,
        "sha256_in": file.sha256_in,
        "sha256_out": file.sha256_out,
        "format": file.format,
        "level": file.level,
        "profile": profile,
        "signer": {"name": signer.name, "serial": signer.serial, "agency": agency},
        "signing_time": json_time(file.signed_at or at),
        "timestamp": {"time": json_time(stamp[0]) if stamp[0] else None, "tsa": stamp[1]} if stamp else None,
        "visible": file.visible,
        "page": file.page,
        "warnings": sign_warnings(file, lang),
        "error": errors.as_json(file.fault) if file.fault else None,
        **({"prepared": _to_sign(file.prepared)} if file.prepared else {}),
    }


def _to_sign(prepared: ToSign) -> dict[str, str]:
    return {
        "digest": prepared.digest,
        "scheme": prepared.scheme,
        "sha256": prepared.sha256,
        "field": prepared.field,
    }


def sign_warnings(file: SignedFile, lang: str) -> list[str]:
    """Return what is worth a warning about one file, in words."""
    return [*(catalogue.reason(item.code.value, item.facts, lang) for item in file.warnings), *file.notes]


def prepared_line(file: SignedFile, screen: Screen) -> str:
    """Return the line about a prepared file, the digest to be signed first; in a pipe a record."""
    assert file.prepared is not None
    parts = (file.prepared.digest, file.prepared.scheme, sanitise(file.path), sanitise(file.output or "-"))
    if not screen.terminal:
        return "\t".join(parts)
    return f"{screen.paint(screen.sign('good'), 'good')} {parts[2]} → {parts[3]} · {parts[1]}\n  {parts[0]}"


def sign_line(file: SignedFile, *, signer: Signer, screen: Screen) -> str:
    """Return the line about one signed file, or one that would be signed; in a pipe a record."""
    skipped = "sign.kept" if file.sha256_out else "sign.would"
    word = catalogue.word(skipped if file.status == "skipped" else "sign.done", screen.lang)
    name = sanitise((signer.organization if signer.agency else None) or signer.name or signer.organization or "-")
    source, target, level = sanitise(file.path), sanitise(file.output or "-"), file.level or "-"
    at = file.signed_at
    if not screen.terminal:
        return "\t".join((word, source, target, name, level, person_time(at) if at else "-"))
    ending = clock(at) if at and file.status == "signed" else word
    return f"{screen.paint(screen.sign('good'), 'good')} {source} → {target} · {name} · {level} · {ending}"


def sign_summary(files: Sequence[SignedFile], lang: str, *, asked: int) -> str:
    """Return the count at the end of a batch of ``asked`` files; one that was not come to was not signed either."""
    done = sum(file.status == "signed" for file in files)
    kept = sum(file.status == "skipped" for file in files)
    text = catalogue.word("sign.count", lang, signed=done, files=asked, failed=asked - done - kept)
    return text if not kept else text + catalogue.word("sign.count.kept", lang, kept=kept)


def file_entry(*, name: str, size: int, sha256: str, content_type: str, path: str | None = None) -> dict[str, object]:
    """Return ``File`` of console.md 2."""
    return {"name": name, "size": size, "sha256": sha256, "content_type": content_type, "path": path}


def file_lines(files: Sequence[Mapping[str, object]], screen: Screen) -> list[list[str]]:
    """Return the rows of a table of files: name, size, type, SHA-256."""
    return [
        [
            str(file["name"]),
            octets(int(str(file["size"])), screen.lang) if screen.terminal else str(file["size"]),
            str(file["content_type"]),
            str(file["sha256"]),
        ]
        for file in files
    ]


def inspect_document(
    *,
    path: str,
    report: Report,
    document: Mapping[str, str] | None,
    files: Sequence[Mapping[str, object]],
    pdf: Mapping[str, object] | None,
    warnings: Sequence[str],
) -> dict[str, object]:
    """Return ``edoc.inspect/1``: what a file says of itself."""
    return {
        "schema": "edoc.inspect/1",
        "path": path,
        "kind": report.kind,
        "format": report.format,
        "verified": False,
        "document": dict(document) if document is not None else None,
        "attachments": [dict(file) for file in files],
        "signatures": [_claimed(signature) for signature in report.signatures],
        "pdf": dict(pdf) if pdf is not None else None,
        "warnings": list(warnings),
    }


def _claimed(signature: SignatureReport) -> dict[str, object]:
    return {
        "id": signature.id,
        "signer_claimed": signature.name or signature.signer.name or signature.signer.organization,
        "signing_time_claimed": json_time(signature.signing_time) if signature.signing_time else None,
        "level_claimed": signature.level,
        "covers": signature.covers.value,
    }


def inspect_lines(found: Mapping[str, object], screen: Screen) -> list[str]:
    """Return what a person reads, beginning with the warning that nothing was checked."""
    lines = [screen.paint(catalogue.word("inspect.unverified", screen.lang), "open")]
    lines += [f"{sanitise(str(found['path']))} · {found['format'] or found['kind']}"]
    document, pdf = found["document"], found["pdf"]
    if isinstance(document, dict):
        lines += facts({str(name): str(value) for name, value in document.items()}, screen)
    if isinstance(pdf, dict):
        lines += facts({str(name): str(value) for name, value in pdf.items()}, screen)
    signatures, attachments = found["signatures"], found["attachments"]
    assert isinstance(signatures, list)
    assert isinstance(attachments, list)
    for item in signatures:
        parts = (
            item["id"],
            item["signer_claimed"],
            item["signing_time_claimed"],
            item["level_claimed"],
            item["covers"],
        )
        lines.append("  ? " + " · ".join(sanitise(str(part)) for part in parts if part))
    headings = [catalogue.word(f"column.{name}", screen.lang) for name in ("name", "size", "type", "sha256")]
    return [*lines, *table(headings, file_lines(attachments, screen), screen)]


class PackedFile(Protocol):
    """An envelope made by ``pack``."""

    @property
    def path(self) -> str: ...
    @property
    def data(self) -> bytes: ...
    @property
    def document_id(self) -> str: ...
    @property
    def recipients(self) -> tuple[tuple[str, str], ...]: ...
    @property
    def legal_class(self) -> str | None: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


def pack_document(made: PackedFile, files: Sequence[Mapping[str, object]]) -> dict[str, object]:
    """Return ``edoc.pack/1``."""
    return {
        "schema": "edoc.pack/1",
        "path": made.path,
        "sha256": hashlib.sha256(made.data).hexdigest(),
        "size": len(made.data),
        "document_id": made.document_id,
        "to": [{"code": code, "name": name} for code, name in made.recipients],
        "attachments": [dict(file) for file in files],
        "legal_class": made.legal_class,
        "warnings": list(made.warnings),
    }


def unpack_document(files: Sequence[Mapping[str, object]], renamed_names: Sequence[str]) -> dict[str, object]:
    """Return ``edoc.unpack/1``; ``warnings`` names the files whose name was replaced."""
    return {
        "schema": "edoc.unpack/1",
        "verified": False,
        "files": [dict(file) for file in files],
        "warnings": [f"NAME_REPLACED: {name}" for name in renamed_names],
    }


def renamed(name: str, path: str, lang: str) -> str:
    """Return the note about a name that was replaced."""
    return catalogue.word("unpack.renamed", lang, name=sanitise(name), path=sanitise(path))


def shown_path(path: object) -> str:
    """Return a path fit for a terminal."""
    return sanitise(str(path))
