"""One signed file of each format, as bytes; nothing is written here (console.md 4.1, signing.md 3, 5.3, 6)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from transport.desk import acting, copying
from transport.desk.signplan import CONTAINER, DETACHED, form_of, is_attachment
from transport.desk.signrequest import Made
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from collections.abc import Callable

    from signer.pdf.options import PdfOptions, Visible
    from signer.report import Reason, Report
    from transport.desk.signdesk import Desk

MEDIA = {
    "pdf": "application/pdf",
    "xml": "text/xml",
    "txt": "text/plain",
    "csv": "text/csv",
    "html": "text/html",
    "png": "image/png",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "tif": "image/tiff",
    "tiff": "image/tiff",
    "zip": "application/zip",
    "doc": "application/msword",
    "xls": "application/vnd.ms-excel",
    "ppt": "application/vnd.ms-powerpoint",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
}
"""Media types of files in a container, by ending; of others nothing is said but that they are octets."""

STDIN_NAME = "document"
"""What standard input is called in a container."""


def made(desk: Desk, name: str, kind: str, data: bytes) -> Made:
    """Sign one file at the first level, ``b`` or ``t``; an agency's act is asked for by its rule first (R28).

    Raises:
        CommandError, SignerError, TransportError: it cannot be signed.
    """
    makers = {"PAdES": _pdf, "XAdES": _xml, DETACHED: _cms, CONTAINER: _container}
    return makers[kind](desk, name, data)


def raised(desk: Desk, first: Made, data: bytes) -> Made:
    """Return a signed file at the level asked for; LT and LTA are reached from T (signing.md 3.1).

    Raises:
        LevelNotReached, TimestampError, SigningRefused: it is not; no lower level is delivered.
    """
    if desk.level not in ("lt", "lta"):
        return first
    from transport.desk.lifting import lifted

    whole = lifted(
        first.data,
        "ASiC" if first.format == CONTAINER else first.format,
        to=desk.level,
        context=desk.context,
        timestamper=desk.timestamper,
        fetch=desk.fetched.for_file(desk.settings),
        content=data if first.format == DETACHED else None,
    )
    return replace(first, data=whole.data, level=level_of(desk, first.format))


def level_of(desk: Desk, kind: str) -> str:
    """Return the level asked for, as a report names it: a container holds XAdES."""
    return f"{'XAdES' if kind == CONTAINER else kind}-B-{desk.level.upper()}"


def rule_for(desk: Desk, name: str) -> Callable[[Report], Reason | None] | None:
    """Return the rule that is asked before an agency's key is used: a separate appendix goes by its main document."""
    if desk.ready.attachment is not None and is_attachment(desk.request, name):
        return desk.ready.attachment
    return desk.ready.precondition


def ask(desk: Desk, name: str, data: bytes) -> None:
    """Ask the rule about exactly the bytes about to be signed (R28, K8).

    Raises:
        SigningRefused: it objects.
    """
    from signer.inspect import inspect_file
    from signer.precondition import ask as put

    rule = rule_for(desk, name)
    if rule is not None:
        put(desk.credential, rule, desk.informed(data), lambda context: inspect_file(data, context=context))


def pdf_options(desk: Desk, name: str, data: bytes) -> PdfOptions:
    """Return how a PDF is signed; the desk itself reads it back.

    Raises:
        CommandError: the form needs a text or picture that is not given.
    """
    from signer.pdf.options import PdfOptions
    from signer.timestamp import CheckingTimestamper

    stamps = desk.timestamper
    return PdfOptions(
        at=desk.request.at,
        level=desk.first_level,
        profile=desk.profile,
        visible=_placed(desk, _visible(desk, name), data),
        reason=copying.reason_of(desk, data),
        field=desk.request.look.field,
        token_size=stamps.last_size if isinstance(stamps, CheckingTimestamper) else None,
        read_back=False,
    )


def _visible(desk: Desk, name: str) -> Visible | None:
    from signer.pdf.options import Visible

    look = desk.request.look
    form = form_of(desk.request, "PAdES", name, picture=desk.picture is not None)
    if form == "none":
        return None
    text = look.text or (copying.line_of(desk) if form == "t2" else None)
    if form not in ("signature", "seal") and text is None:
        raise CommandError("EDOC-USE-003", name="--text", command="edoc sign")
    if form == "t1" and text is not None and not text.casefold().startswith("số"):
        text = f"Số: {text}"  # the line T1 begins with it (R41)
    pictured = desk.picture if form in ("signature", "seal") else None
    return Visible(form, look.page or 1, look.box, pictured, text, geometry=desk.geometry)


def _placed(desk: Desk, visible: Visible | None, data: bytes) -> Visible | None:
    """Return the form with its place, found by what is printed where neither box nor field is named (R39, R40).

    Raises:
        InputRefused: the place of a signature is not found, or is not one only; it is never guessed.
    """
    if visible is None or visible.form not in ("signature", "seal") or visible.box_mm or desk.request.look.field:
        return visible
    from signer.pdf.anchors import aimed

    name = _leader(desk, data) if visible.form == "seal" else _own_name(desk)
    return aimed(data, visible, name=name, position=desk.request.act.position)


def _own_name(desk: Desk) -> str | None:
    from signer.chain import common_name

    shown = desk.key.shown or desk.credential
    return common_name(shown.x509.subject)


def _leader(desk: Desk, data: bytes) -> str | None:
    """Return the name of the last person who signed a file: the seal stays off it."""
    from signer.inspect import inspect_file

    names = (
        one.signer.name for one in inspect_file(data, context=desk.context).signatures if one.signer.type == "person"
    )
    return next(reversed([name for name in names if name]), None)


def _pdf(desk: Desk, name: str, data: bytes) -> Made:
    from signer.pdf.sign import sign_pdf

    rule = rule_for(desk, name)
    signed = sign_pdf(
        data,
        credential=desk.credential,
        options=pdf_options(desk, name, data),
        timestamper=desk.timestamper,
        precondition=rule,
        context=desk.informed(data) if rule is not None else desk.context,
    )
    return Made(signed.data, "PAdES", signed.level, signed.page, signed.warnings)


def _xml(desk: Desk, name: str, data: bytes) -> Made:
    from signer.algorithms import scheme_for
    from signer.xml.details import SignerDetails
    from signer.xml.sign import sign_xml

    rule = rule_for(desk, name)
    credential, roles = desk.credential, acting.roles_of(desk)
    signed = sign_xml(
        data,
        credential=credential,
        at=desk.request.at,
        level=desk.first_level,
        timestamper=desk.timestamper,
        scheme=scheme_for(credential.key_type, bits=credential.bits, profile=desk.profile),
        details=SignerDetails(roles=roles) if roles else None,
        precondition=rule,
        context=desk.informed(data) if rule is not None else desk.context,
        limits=desk.context.limits,
    )
    return Made(signed, "XAdES", level_of(desk, "XAdES"))


def _cms(desk: Desk, name: str, data: bytes) -> Made:
    from signer.cades.sign import sign_cades

    rule = rule_for(desk, name)
    signed = sign_cades(
        data,
        credential=desk.credential,
        at=desk.request.at,
        level=desk.first_level,
        timestamper=desk.timestamper,
        profile=desk.profile,
        precondition=rule,
        context=desk.informed(data) if rule is not None else desk.context,
    )
    return Made(signed, DETACHED, level_of(desk, DETACHED))


def _container(desk: Desk, name: str, data: bytes) -> Made:
    from signer.asic import build_asice

    rule = rule_for(desk, name)
    inner = STDIN_NAME if name == "-" else PurePath(name).name
    media = MEDIA.get(PurePath(inner).suffix.lower().lstrip("."), "application/octet-stream")
    signed = build_asice(
        [(inner, data, media)],
        credential=desk.credential,
        at=desk.request.at,
        timestamper=None if desk.level == "b" else desk.timestamper,
        profile=desk.profile,
        precondition=rule,
        context=desk.informed(data) if rule is not None else desk.context,
    )
    return Made(signed, CONTAINER, level_of(desk, CONTAINER))


def signable(desk: Desk, name: str, kind: str, data: bytes) -> None:
    """Refuse a file that cannot be signed, before the key is looked at (K1).

    Raises:
        CommandError, SignerError: the file is damaged, encrypted, over a limit, or the visible form has no place.
    """
    if kind == "XAdES":
        from signer.safexml import parse_skeleton

        parse_skeleton(data, limits=desk.context.limits)
    if kind != "PAdES":
        return
    from signer.algorithms import scheme_for
    from signer.pdf.reserving import reserve

    shown, digest = desk.key.shown, "sha256"
    if shown is not None:
        try:
            digest = scheme_for(shown.key_type, bits=shown.bits, profile=desk.profile).digest
        except ValueError:
            digest = "sha256"  # a key too weak is told with the key (K7)
    reserve(data, pdf_options(desk, name, data), ROOM, digest=digest, limits=desk.context.limits)


ROOM = 16 * 1024
"""Octets reserved while it is only looked whether a file can be signed."""
