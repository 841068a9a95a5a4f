"""``edoc pack``, ``inspect``, ``unpack``: envelopes made, looked into and taken apart (console.md 4.3)."""

from __future__ import annotations

import hashlib
import json
import tomllib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk import checking, trusting
from transport.desk.files import check_target, read_input, write_output
from transport.present.errors import CommandError
from transport.present.text import VIETNAM

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from edoc.documents import Attachment, SignerInfo
    from edoc.envelopes import Envelope, Party, ResponseFor
    from signer.report import Report
    from transport.desk.console import Console

PRIORITIES = ("thuong", "khan", "thuong-khan", "hoa-toc", "hoa-toc-hen-gio")
TYPES_BY_SUFFIX = {
    ".pdf": "application/pdf",
    ".xml": "application/xml",
    ".docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ".xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ".pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".zip": "application/zip",
    ".png": "image/png",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".asice": "application/vnd.etsi.asic-e+zip",
}
UNKNOWN_TYPE = "application/octet-stream"
SAFE_NAME_MAX = 120  # characters of a file name written by unpack


@dataclass(frozen=True, slots=True)
class Facts:
    """What the envelope says of the document; every field can also stand in the ``--meta`` file."""

    sender: str | None = None
    sender_name: str | None = None
    number: str | None = None
    notation: str | None = None
    date: str | None = None
    place: str | None = None
    type: str | None = None
    subject: str | None = None
    to: tuple[str, ...] = ()
    priority: str | None = None
    due: str | None = None
    reply_to: str | None = None
    signer: str | None = None
    paper: bool = False


@dataclass(frozen=True, slots=True)
class Packed:
    """A packed envelope and what is told about it."""

    path: str
    data: bytes
    document_id: str
    recipients: tuple[tuple[str, str], ...]
    files: tuple[tuple[str, bytes, str], ...]
    legal_class: str | None
    warnings: tuple[str, ...]


_META_NAMES = {"from": "sender", "from_name": "sender_name", "reply-to": "reply_to"}


def read_meta(path: str, console: Console) -> Facts:
    """Read the facts file: TOML or JSON with the names of the options.

    Raises:
        CommandError: it is neither, or has a name that is no option.
    """
    data = read_input(path, console)
    try:
        text = data.decode("utf-8-sig")
        raw = json.loads(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (UnicodeDecodeError, ValueError) as error:
        raise CommandError("EDOC-USE-029", path=path, reason=str(error)) from error
    known = {item.name for item in fields(Facts)}
    named = {_META_NAMES.get(key, key.replace("-", "_")): value for key, value in raw.items()}
    if unknown := sorted(set(named) - known):
        raise CommandError("EDOC-USE-029", path=path, reason=f"{', '.join(unknown)}: ?")
    texts = {key: _text(key, value, path) for key, value in named.items() if key not in {"to", "paper"}}
    to = named.get("to", ())
    recipients = tuple(map(str, to)) if isinstance(to, (list, tuple)) else (str(to),)
    return Facts(to=recipients, paper=named.get("paper") is True, **texts)


def _text(key: str, value: object, path: str) -> str | None:
    if isinstance(value, (date, datetime)):
        return value.isoformat()[:10]
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return str(value)
    raise CommandError("EDOC-USE-029", path=path, reason=key)


def merged(given: Facts, meta: Facts) -> Facts:
    """Return the facts of the command line, filled from the file."""
    return Facts(**{item.name: getattr(given, item.name) or getattr(meta, item.name) for item in fields(Facts)})


def pack(
    console: Console,
    files: Sequence[str],
    facts: Facts,
    *,
    at: datetime,
    trust: Sequence[str] = (),
    output: str | None = None,
    force: bool = False,
    allow_information_only: bool = False,
) -> Packed:
    """Make the envelope and write it beside the main document, or where asked.

    Raises:
        CommandError, EdocError, SignerError: a rule or a value forbids it; nothing was written.
    """
    from edoc.seal import packed

    target = Path(output) if output and output != "-" else None
    if output is None:
        target = Path(files[0]).with_suffix(".edxml") if files[0] != "-" else None
    if target is not None:
        check_target(target, force=force, inputs=files)
    attached = tuple(_attachment(name, read_input(name, console)) for name in files)
    directory = trusting.directory_of(console)
    report = _judge_main(console, attached[0].content, directory, at=at, trust=trust)
    if not report.signatures and not allow_information_only:
        raise CommandError("EDOC-USE-042", path=files[0])
    message = _envelope(console, facts, attached, directory, at=at)
    data = packed(message)
    if target is None:
        console.binary(data)
    else:
        write_output(target, data, force=force)
    return Packed(
        path=str(target) if target else "-",
        data=data,
        document_id=_identity(data),
        recipients=tuple((party.organ_id, party.name) for party in message.recipients),
        files=tuple((item.name, item.content, item.content_type) for item in attached),
        legal_class=report.legal_class,
        warnings=tuple(reason.code.value for reason in report.reasons),
    )


def _identity(data: bytes) -> str:
    from edoc.envelopes import Envelope
    from edoc.seal import peek

    message = peek(data).message
    return message.document_id if isinstance(message, Envelope) else ""


def _judge_main(
    console: Console, data: bytes, directory: Directory | None, *, at: datetime, trust: Sequence[str]
) -> Report:
    store = trusting.store_of(console, trust=trust)
    return checking.judged(data, context=trusting.context_of(store, at=at, policy="interop"), directory=directory)


def _attachment(name: str, data: bytes) -> Attachment:
    from edoc.documents import Attachment

    if not data:
        raise CommandError("EDOC-USE-040", path=name)
    shown = unicodedata.normalize("NFC", Path(name).name if name != "-" else "van-ban.pdf")
    return Attachment(shown, data, TYPES_BY_SUFFIX.get(Path(shown).suffix.lower(), UNKNOWN_TYPE))


def _envelope(
    console: Console, facts: Facts, attached: tuple[Attachment, ...], directory: Directory | None, *, at: datetime
) -> Envelope:
    from edoc.documents import Document
    from edoc.envelopes import Business, Envelope, completed

    sender = _sender(console, facts, directory)
    needed = {"--number": facts.number, "--notation": facts.notation, "--subject": facts.subject, "--to": facts.to}
    if missing := [name for name, value in needed.items() if not value]:
        raise CommandError("EDOC-USE-019", fields=missing)
    document = Document(
        number=facts.number or "",
        notation=facts.notation or "",
        date=_day(facts.date, "--date") or at.astimezone(VIETNAM).date(),
        type_name=facts.type or "Công văn",
        subject=facts.subject or "",
        place=facts.place or "Hà Nội",
        signer=_signer(facts.signer),
        priority=_priority(facts.priority),
        due=_day(facts.due, "--due"),
    )
    recipients = tuple(_party(code, directory, at=at) for code in facts.to)
    message = Envelope(
        sender,
        recipients,
        document,
        attached,
        business=Business(paper=facts.paper),
        response_for=_response(facts.reply_to),
    )
    found = completed(message, at=at)
    assert isinstance(found, Envelope)
    return found


def _sender(console: Console, facts: Facts, directory: Directory | None) -> Party:
    from edoc.envelopes import Party
    from transport import settings as configuration

    code, name = facts.sender, facts.sender_name
    if not code:
        home = trusting.home_of(console)
        found = configuration.load(home=home, config=console.config, environ=console.environ, overrides={})
        code, name = found.agency_code, name or found.agency_name
    if not code:
        raise CommandError("EDOC-USE-019", fields="--from")
    known = directory.get(code) if directory is not None else None
    name = name or (known.name if known else code)
    return Party(code, name, address=(known.address if known else "") or name)


def _party(code: str, directory: Directory | None, *, at: datetime) -> Party:
    from edoc.agencies import check_code
    from edoc.envelopes import Party

    if directory is None or not directory.agencies:
        return Party(check_code(code), code, address=code)
    found = directory.find(code, on=at.date())
    return Party(found.code, found.name, address=found.address or found.name)


def _day(text: str | None, name: str) -> date | None:
    from transport.desk.values import day

    return day(text, name) if text else None


def _signer(text: str | None) -> SignerInfo | None:
    from edoc.documents import SignerInfo

    if not text:
        return None
    parts = [part.strip() for part in text.split(";")]
    if len(parts) != 3:
        raise CommandError("EDOC-USE-004", name="--signer", value=text, expected='"KT. GIÁM ĐỐC;Phó Giám đốc;HỌ TÊN"')
    return SignerInfo(*parts)


def _priority(text: str | None) -> int:
    if not text:
        return 0
    if text in PRIORITIES:
        return PRIORITIES.index(text)
    if text in {"0", "1", "2", "3", "4"}:
        return int(text)
    raise CommandError("EDOC-USE-004", name="--priority", value=text, expected="0…4|" + "|".join(PRIORITIES))


def _response(document_id: str | None) -> tuple[ResponseFor, ...]:
    from edoc.envelopes import ResponseFor
    from edoc.numbering import document_id_parts

    if not document_id:
        return ()
    parts = document_id_parts(document_id)
    if parts is None:
        raise CommandError(
            "EDOC-USE-004", name="--reply-to", value=document_id, expected="H99.01,2026/11/20,120/SMA-VP (DocumentId)"
        )
    organ, day, code = parts
    return (ResponseFor(organ, code, day, document_id),)


# --- looking and taking apart ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Looked:
    """What a file says of itself; nothing in it was checked."""

    path: str
    kind: str
    report: Report
    document: Mapping[str, str] | None
    files: tuple[tuple[str, bytes, str], ...]
    pdf: Mapping[str, object] | None
    warnings: tuple[str, ...]


def inspect(console: Console, name: str, *, at: datetime) -> Looked:
    """Look into a file without trust: every value is as claimed.

    Raises:
        CommandError: unreadable or of an unknown format.
    """
    from signer.inspect import inspect_file
    from signer.trust import TrustStore

    data = read_input(name, console)
    if not data:
        raise CommandError("EDOC-USE-040", path=name)
    report = inspect_file(data, context=trusting.context_of(TrustStore(), at=at, policy="integrity-only"))
    if report.kind == "unknown":
        raise CommandError("EDOC-USE-043", path=name)
    files, document, warnings = _content(data, report.kind)
    return Looked(name, report.kind, report, document, files, _pdf(data, report.kind), warnings)


def _content(
    data: bytes, kind: str
) -> tuple[tuple[tuple[str, bytes, str], ...], Mapping[str, str] | None, tuple[str, ...]]:
    if kind == "edxml":
        from edoc.envelopes import Envelope
        from edoc.seal import peek
        from transport.judging.messages import description

        found = peek(data)
        attached = found.message.attachments if isinstance(found.message, Envelope) else ()
        files = tuple((item.name, item.content, item.content_type) for item in attached)
        return files, description(found.message), tuple(str(item.code) for item in found.warnings)
    if kind == "asic":
        from signer.asic import read_container

        members = read_container(data).members
        shown = [(member, value) for member, value in members.items() if not member.startswith("META-INF/")]
        return tuple((n, v, TYPES_BY_SUFFIX.get(Path(n).suffix.lower(), UNKNOWN_TYPE)) for n, v in shown), None, ()
    return (), None, ()


def _pdf(data: bytes, kind: str) -> Mapping[str, object] | None:
    if kind != "pdf":
        return None
    from signer.errors import InputRefused
    from signer.pdf.page import describe

    try:
        facts = describe(data)
    except InputRefused:
        return None
    return {"version": facts.version, "pages": facts.pages, "revisions": facts.revisions}


@dataclass(frozen=True, slots=True)
class Taken:
    """One file taken out: its own name, and where it was written."""

    name: str
    path: Path
    data: bytes
    content_type: str
    renamed: bool


def unpack(
    console: Console, name: str, *, folder: str | None, only: int | None, transport_names: bool
) -> tuple[Taken, ...]:
    """Write the files of an envelope into a folder; nothing is overwritten, hostile names are replaced.

    Raises:
        CommandError: unknown format, no such file number, or a name exists already.
    """
    from signer.inspect import recognise

    data = read_input(name, console)
    kind = recognise(data)
    if kind not in {"edxml", "asic"}:
        raise CommandError("EDOC-USE-043", path=name)
    files, _, _ = _content(data, kind)
    chosen = list(enumerate(files, 1))
    if only is not None:
        chosen = [item for item in chosen if item[0] == only]
        if not chosen:
            raise CommandError("EDOC-USE-004", name="--only", value=only, expected=f"1…{len(files)}")
    target = Path(folder) if folder else Path(name).with_suffix("") if name != "-" else Path("van-ban")
    plan = _plan(chosen, target, transport_names=transport_names)
    for item in plan:
        if item.path.exists():
            raise CommandError("EDOC-USE-009", path=item.path)
    try:
        target.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError("EDOC-USE-010", path=target, reason=error.strerror or "-", errno=error.errno) from error
    for item in plan:
        write_output(item.path, item.data)
    return tuple(plan)


def _plan(chosen: Sequence[tuple[int, tuple[str, bytes, str]]], target: Path, *, transport_names: bool) -> list[Taken]:
    taken: list[Taken] = []
    used: set[str] = set()
    for number, (name, data, content_type) in chosen:
        safe = safe_name(name, number, transport=transport_names)
        while safe.casefold() in used:
            safe = f"{number}-{safe}"
        used.add(safe.casefold())
        taken.append(Taken(name, target / safe, data, content_type, safe != name))
    return taken


_RESERVED = {"con", "prn", "aux", "nul", *(f"com{n}" for n in range(1, 10)), *(f"lpt{n}" for n in range(1, 10))}


def safe_name(name: str, number: int, *, transport: bool = False) -> str:
    """Return a name that stays in its folder, on any system, and shows what it is (edxml.md 7)."""
    from edoc.documents import transport_name

    last = unicodedata.normalize("NFC", name).replace("\\", "/").rpartition("/")[2]
    kept = "".join(c for c in last if unicodedata.category(c) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
    kept = "".join("_" if c in '<>:"|?*' else c for c in kept).strip(" .")
    stem = kept.partition(".")[0].strip().casefold()
    if not kept or stem in _RESERVED:
        kept = f"tep-{number}{Path(kept).suffix if kept else ''}"
    kept = transport_name(kept) if transport else kept
    if len(kept) <= SAFE_NAME_MAX and len(kept.encode()) <= 255:
        return kept
    suffix = Path(kept).suffix[:10]
    return kept[: 60 - len(suffix)] + suffix


def entry(name: str, data: bytes, content_type: str, path: Path | None = None) -> dict[str, object]:
    """Return ``File`` of console.md 2."""
    digest = hashlib.sha256(data).hexdigest()
    shown = str(path) if path is not None else None
    return {"name": name, "size": len(data), "sha256": digest, "content_type": content_type, "path": shown}
