"""Signing a PDF as PAdES B-B or B-T by one incremental update (signing.md 3.1 to 3.3; R28, R30 to R35, R39 to R42).

The order is that of signing.md 2: the file must be signable, the form must have its place, an agency's key needs its
precondition on exactly the bytes about to be signed; only then is the key used. The value is checked with the public
key before it is embedded, and the finished file is read back: it leaves this module only if all signatures in it, old
and new, are intact (R33). Whether the certificate may be used now (K2 to K7) is ``signer.checks``, asked by the caller.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from signer import asn1
from signer.algorithms import PolicyName, Scheme, scheme_for
from signer.cms import find_certificate
from signer.credential import Credential, Role
from signer.errors import InputRefused, LevelNotReached, SigningRefused, TimestampError
from signer.judge import DISAGREEMENT, signer_of
from signer.pdf import cms
from signer.pdf.objects import dictionary_of
from signer.pdf.opening import has_signature, open_pdf, reading, split_trailing
from signer.pdf.page import Box, Field, PageView, fields, page_at, pages
from signer.pdf.placement import FORMS, Layout, Wish, check_place, lay_out
from signer.pdf.png import read_png
from signer.pdf.refusals import refuse_unsignable
from signer.pdf.update import Prepared, Stated, Target, check_field, free_name, prepare
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Integrity, Reason, Report
from signer.timestamp import Timestamper, obtain
from signer.trust import Context, Limits, TrustStore

RESERVE_WITH_STAMP = 16 * 1024
"""Bytes kept for the CMS when a time stamp of unknown size is to come."""

Precondition = Callable[[Report], Reason | None]
"""Asked with the report of exactly the bytes about to be signed; anything but ``None`` stops the job (R28)."""


@dataclass(frozen=True, slots=True)
class Visible:
    """What is drawn, and where.

    ``form`` is signature, seal, number, date, t1 or t2; ``page`` 1…n, -1 the last; the box in mm from the upper left
    corner of the page as displayed; ``image`` a PNG. The text of ``t1`` and ``t2`` is what stands before date and time
    (``Số: 15/QĐ-UBND``, ``SAO Y; Sở Mẫu A``); these are added from the signing time.
    """

    form: str
    page: int = 1
    box_mm: Box | None = None
    image: bytes | None = field(default=None, repr=False)
    text: str | None = None
    diameter_mm: float = 36.0

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"no visible form {self.form!r}")


@dataclass(frozen=True, slots=True)
class PdfOptions:
    """How to sign: ``at`` the claimed time, ``level`` ``b`` or ``t``, ``profile`` ``interop`` or ``strict`` (R34)."""

    at: datetime
    level: str = "t"
    profile: str = "interop"
    visible: Visible | None = None
    reason: str | None = None
    location: str | None = None
    name: str | None = None
    field: str | None = None

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("the signing time needs an offset")
        if self.level not in ("b", "t"):
            raise ValueError(f"no level {self.level!r}")


@dataclass(frozen=True, slots=True)
class SignedPdf:
    """A signed file: its bytes, the field and page of the new signature, the level reached, and the scheme used."""

    data: bytes = field(repr=False)
    field: str
    page: int | None
    level: str
    scheme: Scheme
    warnings: tuple[Reason, ...] = ()


def sign_pdf(
    data: bytes,
    *,
    credential: Credential,
    options: PdfOptions,
    timestamper: Timestamper | None = None,
    precondition: Precondition | None = None,
    context: Context | None = None,
) -> SignedPdf:
    """Sign a PDF; the result begins with the input, byte for byte.

    ``context`` is what the precondition's report is judged with; an ``agency`` credential needs both.

    Raises:
        TypeError: an agency's credential without precondition and context.
        InputRefused: the file cannot be signed, or the visible form has no place.
        LimitExceeded: the file is over a limit.
        SigningRefused: the role does not sign documents, the precondition does not hold, or an earlier signature of
            the file is broken.
        LevelNotReached: level T and no time stamp.
        CredentialError: the key cannot be used.
    """
    _check_role(credential, precondition, context)
    limits = context.limits if context else Limits()
    target = _target(data, options, limits)
    if options.level == "t" and timestamper is None:
        raise LevelNotReached("EDOC-PDF-022", "level T needs a time stamp", level="PAdES-B-T", missing="TSA")
    if credential.role is Role.AGENCY:
        assert precondition is not None
        assert context is not None
        _ask(precondition, inspect_pdf(data, context=context))
    scheme = _scheme(credential, options.profile)
    stamping = timestamper if options.level == "t" else None
    signed = _signed(data, credential, scheme=scheme, options=options, target=target, timestamper=stamping)
    report = _read_back(signed, len(data), limits)
    page = target.page.number if target.layout else None
    return SignedPdf(
        signed, target.name, page, f"PAdES-B-{options.level.upper()}", scheme, _disagreement(report, options.at)
    )


def _check_role(credential: Credential, precondition: Precondition | None, context: Context | None) -> None:
    if credential.role is Role.AGENCY and (precondition is None or context is None):
        raise TypeError("an agency's key is used only with a precondition and the context to judge it (R28)")
    if credential.role not in (Role.PERSON, Role.AGENCY):
        raise SigningRefused("EDOC-PDF-019", "this key does not sign documents", role=credential.role.value)


def _ask(precondition: Precondition, report: Report) -> None:
    objection = precondition(report)
    if objection is not None:
        facts = {key: value for key, value in objection.facts.items() if key not in ("code", "reason", "message")}
        raise SigningRefused("EDOC-PDF-018", "precondition not met", reason=objection.code.value, **facts)


def _scheme(credential: Credential, profile: str) -> Scheme:
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile=profile)
    except ValueError:
        raise SigningRefused(
            "EDOC-KEY-015", "the key is too weak for the profile", subject=credential.x509.subject.rfc4514_string()
        ) from None
    if scheme is Scheme.ED25519:
        raise SigningRefused(
            "EDOC-KEY-015", "Ed25519 keys do not sign PDF here", subject=credential.x509.subject.rfc4514_string()
        )
    return scheme


def _target(data: bytes, options: PdfOptions, limits: Limits) -> Target:
    """Check that the file can be signed, and find the field and place of the new signature (K1)."""
    trailing = split_trailing(data)[1]
    if trailing:
        raise InputRefused("EDOC-PDF-005", "bytes behind the end of the file", where="%%EOF")
    reader = open_pdf(data, limits=limits)
    with reading("pages and fields", signed=has_signature(data)):
        refuse_unsignable(reader, limits=limits)
        views = pages(reader)
        known = fields(reader, views)
    if not views:
        raise InputRefused("EDOC-PDF-016", "no such page", page=1, pages=0)
    existing = None
    if options.field is not None:
        existing = next((one for one in known if one.name == options.field), None)
        if existing is None:
            raise InputRefused("EDOC-PDF-015", "no such field", field=options.field)
        check_field(existing)
    layout = _layout(options, views, known, existing)
    name = existing.name if existing else free_name(known)
    page = layout.page if layout else views[0]
    return Target(name, existing, page, layout)


def _layout(
    options: PdfOptions, views: Sequence[PageView], known: Sequence[Field], existing: Field | None
) -> Layout | None:
    visible = options.visible
    if visible is None:
        return None
    box, page = visible.box_mm, visible.page
    made = [one for one in existing.widgets if min(one[1][2:]) > 0] if existing else []
    if made:
        page, box = made[0]
    elif existing is not None and existing.widgets:
        raise InputRefused("EDOC-PDF-017", "the field has no place on a page", form=visible.form)
    picture = read_png(visible.image) if visible.image is not None and visible.form in ("signature", "seal") else None
    wish = Wish(visible.form, page, box, visible.diameter_mm, visible.text, options.at)
    layout = lay_out(wish, views=views, picture=picture, leader=leader_widget(known))
    if made:  # the widget keeps its rectangle, so what is painted must be laid out for exactly it
        layout = _within(layout, page_at(views, page), made[0][1])
    check_place(layout, form=visible.form, others=known, own=existing.name if existing else None)
    return layout


def _within(layout: Layout, page: PageView, box: Box) -> Layout:
    if layout.frame is not None:
        x, y = layout.box[0] - box[0], layout.box[1] - box[1]
        frame = (layout.frame[0] + x, layout.frame[1] + y, layout.frame[2], layout.frame[3])
        return Layout(page, box, layout.picture, frame)
    if layout.box != box:
        raise InputRefused("EDOC-PDF-017", "a line of this form has a place of its own", form="t1")
    return layout


def leader_widget(known: Sequence[Field]) -> tuple[int, Box] | None:
    """Return page and box of the last visible signature by a person: the competent person's, which a seal covers."""
    found = None
    for one in known:
        visible = [widget for widget in one.widgets if min(widget[1][2:]) > 0]
        if one.filled_signature and visible and _by_person(one):
            found = visible[0]
    return found


def _by_person(one: Field) -> bool:
    try:
        held = dictionary_of(one.value)
        assert held is not None
        contents = bytes(held["/Contents"])
        signed = asn1.read_signed_data(contents)
        certificate = find_certificate(signed.signers[0], signed.certificates)
    except (ValueError, KeyError, IndexError, TypeError, AssertionError):
        return False
    return certificate is not None and signer_of(certificate).type == "person"


def _signed(
    data: bytes,
    credential: Credential,
    *,
    scheme: Scheme,
    options: PdfOptions,
    target: Target,
    timestamper: Timestamper | None,
) -> bytes:
    stated = Stated(options.at, options.reason, options.location, options.name)
    reserve = _reserve(credential, scheme, stamped=timestamper is not None)
    while True:
        with reading("update", signed=has_signature(data)):
            prepared = prepare(data, stated=stated, target=target, reserve=reserve)
        content = _cms(prepared, credential, scheme=scheme, timestamper=timestamper)
        if len(content) <= reserve:
            return prepared.embed(content)
        reserve = len(content) * 5 // 4  # a token larger than any before: once more, with room for it


def _reserve(credential: Credential, scheme: Scheme, *, stamped: bool) -> int:
    digest = bytes(hashlib.new(scheme.digest).digest_size)
    attributes = cms.signed_attributes(credential, digest=digest, scheme=scheme)
    value = bytes(cms.value_size(credential, scheme))
    template = len(cms.signed_data(credential, attributes=attributes, value=value, scheme=scheme))
    return max(RESERVE_WITH_STAMP, template * 5 // 4 + 8192) if stamped else template


def _cms(prepared: Prepared, credential: Credential, *, scheme: Scheme, timestamper: Timestamper | None) -> bytes:
    hashed = hashlib.new(scheme.digest)
    for part in prepared.signed:
        hashed.update(part)
        part.release()
    attributes = cms.signed_attributes(credential, digest=hashed.digest(), scheme=scheme)
    value = credential.sign(hashlib.new(scheme.digest, attributes).digest(), scheme)
    token = None
    if timestamper is not None:
        try:
            token = obtain(timestamper, hashlib.sha256(value).digest())
        except TimestampError as error:
            facts = {key: fact for key, fact in error.facts.items() if key not in ("level", "missing")}
            raise LevelNotReached(
                "EDOC-PDF-022", f"no time stamp: {error}", level="PAdES-B-T", missing=error.code, **facts
            ) from error
    return cms.signed_data(credential, attributes=attributes, value=value, scheme=scheme, token=token)


def _read_back(signed: bytes, before: int, limits: Limits) -> Report:
    """R33: a file is delivered only if every signature in it is intact."""
    epoch = datetime(2000, 1, 1, tzinfo=UTC)  # integrity does not depend on the moment
    report = inspect_pdf(
        signed, context=Context(trust=TrustStore(), at=epoch, policy=PolicyName.INTEGRITY_ONLY, limits=limits)
    )
    broken = [one for one in report.signatures if one.integrity is not Integrity.INTACT]
    if broken or not report.signatures:
        names = ", ".join(one.id for one in broken) or "-"
        why = ", ".join(sorted({reason.code.value for one in broken for reason in one.reasons})) or "-"
        raise SigningRefused(
            "EDOC-PDF-021", "a signature of the file is not intact", field=names, reason=why, size=before
        )
    return report


def _disagreement(report: Report, at: datetime) -> tuple[Reason, ...]:
    """R42: the claimed time lies within five minutes of the time stamp, else it is noted."""
    times = [stamp.time for stamp in report.signatures[-1].timestamps if stamp.kind == "signature" and stamp.time]
    far = [abs(time - at) for time in times if abs(time - at) > DISAGREEMENT]
    return tuple(Reason(Code.TIMESTAMP_DISAGREES, {"minutes": str(int(gap.total_seconds() // 60))}) for gap in far)
