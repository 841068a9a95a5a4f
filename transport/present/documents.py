"""Results of the commands that work on files, as JSON and as lines (console.md 4.1, 4.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from signer.report import Reason, Signer
from transport.present import catalogue, errors
from transport.present.screen import Screen
from transport.present.text import clock, json_time, octets, sanitise

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
        "signing_time": json_time(at) if file.sha256_out else None,
        "timestamp": {"time": json_time(stamp[0]) if stamp[0] else None, "tsa": stamp[1]} if stamp else None,
        "visible": file.visible,
        "page": file.page,
        "warnings": [catalogue.reason(item.code.value, item.facts, lang) for item in file.warnings],
        "error": errors.as_json(file.fault) if file.fault else None,
    }


def sign_line(file: SignedFile, *, signer: Signer, at: datetime, screen: Screen) -> str:
    """Return the line about one signed file, or one that would be signed."""
    word = catalogue.word("sign.would" if file.status == "skipped" else "sign.done", screen.lang)
    parts = [
        f"{sanitise(file.path)} → {sanitise(file.output or '-')}",
        sanitise(signer.name or signer.organization or "-"),
        f"{file.format}-B-{(file.level or '').upper()}",
        clock(at) if file.status == "signed" else word,
    ]
    return f"{screen.paint(screen.sign('good'), 'good')} " + " · ".join(parts)


def sign_summary(files: Sequence[SignedFile], lang: str) -> str:
    """Return the count at the end of a batch."""
    done = sum(file.status == "signed" for file in files)
    bad = sum(file.status in {"refused", "failed"} for file in files)
    return catalogue.word("sign.count", lang, signed=done, files=len(files), failed=bad)


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
