"""Our two XML profiles: the seal of a message, and the declaration (receipts, key statements) (signing.md 5.4).

Both are enveloped XAdES signatures in one exact layout, last child of the root. The reader takes the values out of the
signature it finds, writes it anew and compares; anything it could not have written itself is broken. What is handed on
is rebuilt from the very octets that were hashed, so nobody reads what was not signed (signing.md 5.5).

Steps of a judgement, all of them run: one signature, last, in its exact layout (W2 to W5) · no ID twice (W1) · no
comment or instruction (W10), plain spelling · digests of the references · value over SignedInfo · the certificate is
the one the signature names (W6) · then path, time and policy in ``signer.judge``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape

from lxml import etree

from signer.algorithms import Scheme
from signer.asn1 import read_timestamp_response
from signer.credential import Credential
from signer.errors import InputRefused, LimitExceeded, NotVerified, TimestampError
from signer.judge import FileFacts, report_of
from signer.report import Code, Reason, Report, Verdict
from signer.safexml import Skeleton, parse_skeleton
from signer.timestamp import Timestamper
from signer.trust import Context, Limits
from signer.xml.aswritten import HEAD as HEAD
from signer.xml.c14n import EXCLUSIVE, digest
from signer.xml.dsig import DS, ENVELOPED, OBJECT_TYPE
from signer.xml.profilecheck import Found, examine, judged
from signer.xml.quick import document_octets
from signer.xml.tokens import is_exact
from signer.xml.xades import Layout, ReferenceLayout, format_time, read_time, sign

SLIP_NAMESPACE = "urn:edoc:slip:1"
DECLARATION_MAX_BYTES = 128 * 1024
"""Largest receipt or key statement (exchange.md Q4)."""

_SIGNATURE = f"{{{DS}}}Signature"
_OBJECT, _SLIP = f"{{{DS}}}Object", f"{{{SLIP_NAMESPACE}}}Slip"
_SLIP_FIELDS = ("MessageId", "Sender", "Kind", "SubmittedAt", "Supersedes")


@dataclass(frozen=True, slots=True)
class Slip:
    """What the seal says about the message besides its bytes; ``kind`` is ``edoc`` or ``status``.

    ``submitted_at`` is an aware moment and is cut to milliseconds when written.
    """

    message_id: str
    sender: str
    kind: str
    submitted_at: datetime
    supersedes: str | None = None

    def __post_init__(self) -> None:
        if self.kind not in {"edoc", "status"}:
            raise ValueError("a slip's kind is edoc or status")
        texts = (self.message_id, self.sender, *(() if self.supersedes is None else (self.supersedes,)))
        if not all(0 < len(text) <= 255 and text.isprintable() and text == text.strip() for text in texts):
            raise ValueError("a slip's values are short plain texts")
        if self.submitted_at.tzinfo is None:
            raise ValueError("times need an offset")


_TOKEN = object()


@dataclass(frozen=True, slots=True)
class VerifiedSeal:
    """A message whose seal holds: ``tree`` is rebuilt from the verified octets and holds no seal. Made here only."""

    tree: etree._Element
    slip: Slip
    certificate: bytes  # DER
    chain: tuple[bytes, ...]  # as offered beside the signature, DER
    signing_time: datetime
    report: Report
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _TOKEN:
            raise TypeError("verified values come from verification only")


@dataclass(frozen=True, slots=True)
class SealInspection:
    """The report of a sealed message, and the verified message if the verdict is *valid*."""

    report: Report
    sealed: VerifiedSeal | None


@dataclass(frozen=True, slots=True)
class VerifiedDeclaration:
    """A receipt or statement whose signature holds: ``tree`` is rebuilt from the verified octets, without signature."""

    tree: etree._Element
    certificate: bytes  # DER
    chain: tuple[bytes, ...]
    signing_time: datetime
    report: Report
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _TOKEN:
            raise TypeError("verified values come from verification only")


@dataclass(frozen=True, slots=True)
class DeclarationInspection:
    """The report of a declaration, and what was declared if the verdict is *valid*."""

    report: Report
    declared: VerifiedDeclaration | None


# --- layouts ---------------------------------------------------------------------------------------------------------


def _slip_text(slip: Slip) -> str:
    values = (slip.message_id, slip.sender, slip.kind, format_time(slip.submitted_at), slip.supersedes)
    fields = "".join(
        f"<{name}>{escape(value, quote=False)}</{name}>"
        for name, value in zip(_SLIP_FIELDS, values, strict=True)
        if value is not None
    )
    return f'<ds:Object Id="slip"><Slip xmlns="{SLIP_NAMESPACE}">{fields}</Slip></ds:Object>'


def seal_layout(slip: Slip, *, document: bytes = b"") -> Layout:
    return Layout(
        id="seal",
        value_id="seal-value",
        properties_id="seal-props",
        properties_reference_id="seal-ref-3",
        references=(
            ReferenceLayout("seal-ref-1", "", (ENVELOPED, EXCLUSIVE), digest=document),
            ReferenceLayout("seal-ref-2", "#slip", type=OBJECT_TYPE),
        ),
        objects=_slip_text(slip),
        objects_exact=True,
    )


def _declaration_layout(*, document: bytes = b"") -> Layout:
    return Layout(
        id="sig",
        value_id="sig-value",
        properties_id="sig-props",
        properties_reference_id="sig-ref-2",
        references=(ReferenceLayout("sig-ref-1", "", (ENVELOPED, EXCLUSIVE), digest=document),),
    )


def _read_slip(signature: etree._Element) -> Slip:
    """Read the slip of a seal.

    Raises:
        ValueError: it is not there once, or not in its form.
    """
    found = [slip for one in signature.iterchildren(_OBJECT) for slip in one.iterchildren(_SLIP)]
    if len(found) != 1:
        raise ValueError("not exactly one slip")
    values = {str(child.tag).rpartition("}")[2]: child.text or "" for child in found[0].iterchildren(etree.Element)}
    if not set(_SLIP_FIELDS[:4]) <= set(values) <= set(_SLIP_FIELDS):
        raise ValueError("fields of the slip")
    return Slip(
        values["MessageId"],
        values["Sender"],
        values["Kind"],
        read_time(values["SubmittedAt"]),
        values.get("Supersedes"),
    )


# --- signing ---------------------------------------------------------------------------------------------------------


def seal_xml(
    root: etree._Element,
    *,
    slip: Slip,
    credential: Credential,
    timestamper: Timestamper | None = None,
    digest_of: Callable[[bytes], bytes] | None = None,
) -> bytes:
    """Seal a message: return the whole file, ``root`` in canonical form with the seal as its last child.

    ``digest_of`` gives the SHA-256 of a canonical form in which words stand for long runs of base64 that are not held:
    the words stay in what is returned, and whoever writes the file puts the runs in their places.

    Raises:
        ValueError: the tree holds what a sealed message may not hold: a comment, instruction, signature or ID of ours.
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    _refuse_unsignable(root)
    body = document_octets(root)
    return _sealed_body(
        body,
        digest((body,)) if digest_of is None else digest_of(body),
        slip=slip,
        credential=credential,
        timestamper=timestamper,
    )


def seal_octets(body: bytes, *, slip: Slip, credential: Credential, timestamper: Timestamper | None = None) -> bytes:
    """Seal a message given in exclusive canonical form: what ``seal_xml`` makes of its tree.

    That it is that form, and holds nothing a sealed message may not hold, is for the caller to see to.

    Raises:
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    return _sealed_body(body, digest((body,)), slip=slip, credential=credential, timestamper=timestamper)


def _sealed_body(
    body: bytes, document: bytes, *, slip: Slip, credential: Credential, timestamper: Timestamper | None
) -> bytes:
    layout = seal_layout(slip, document=document)
    return _signed(
        body, layout, credential=credential, at=read_time(format_time(slip.submitted_at)), timestamper=timestamper
    )


def sign_declaration(
    root: etree._Element, *, credential: Credential, at: datetime, timestamper: Timestamper | None = None
) -> bytes:
    """Sign a receipt or key statement: B-B, or B-T with a ``timestamper``; ``at`` is cut to milliseconds.

    Raises:
        ValueError: the tree holds what a declaration may not hold, or the result passes ``DECLARATION_MAX_BYTES``.
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    _refuse_unsignable(root)
    return sign_declaration_octets(document_octets(root), credential=credential, at=at, timestamper=timestamper)


def sign_declaration_octets(
    body: bytes, *, credential: Credential, at: datetime, timestamper: Timestamper | None = None
) -> bytes:
    """Sign a declaration given in exclusive canonical form: what ``sign_declaration`` makes of its tree.

    That it is that form, and holds nothing a declaration may not hold, is for the caller to see to.

    Raises:
        ValueError: the result passes ``DECLARATION_MAX_BYTES``.
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    layout = _declaration_layout(document=digest((body,)))
    data = _signed(body, layout, credential=credential, at=at, timestamper=timestamper)
    if len(data) > DECLARATION_MAX_BYTES:
        raise ValueError(f"a declaration has at most {DECLARATION_MAX_BYTES} bytes")
    return data


def _refuse_unsignable(root: etree._Element) -> None:
    if root.getparent() is not None:
        raise ValueError("the root of a document is signed, not a part of it")
    others = root.iter(etree.Comment, etree.ProcessingInstruction, etree.Entity)
    if next(others, None) is not None or root.getnext() is not None or root.getprevious() is not None:
        raise ValueError("comments and instructions are not signed in this profile")
    if next(root.iter(_SIGNATURE), None) is not None:
        raise ValueError("the document holds a signature already")


def _signed(
    body: bytes, layout: Layout, *, credential: Credential, at: datetime, timestamper: Timestamper | None
) -> bytes:
    """Sign and put the signature before the root's end tag; canonical form writes no empty-element tags."""
    if credential.key_type not in {"EC", "RSA"} or credential.bits < (2048 if credential.key_type == "RSA" else 256):
        raise ValueError("seals and declarations are signed with EC keys, or RSA of 2048 bits or more")
    scheme = Scheme.ECDSA_SHA256 if credential.key_type == "EC" else Scheme.RSA_PKCS1_SHA256
    text = sign(
        layout,
        credential=credential,
        scheme=scheme,
        at=at,
        timestamper=None if timestamper is None else _ExactTimestamper(timestamper),
    )
    end = body.rindex(b"</")
    return b"".join((HEAD, memoryview(body)[:end], text.encode("utf-8"), body[end:]))


@dataclass(frozen=True, slots=True)
class _ExactTimestamper:
    """Hands on only answers whose token the reader of a profile will take."""

    inner: Timestamper

    def stamp(self, request: bytes) -> bytes:
        answer = self.inner.stamp(request)
        try:
            _, token = read_timestamp_response(answer)
        except ValueError:
            return answer  # said by the one who asks
        if token is not None and not is_exact(token):
            raise TimestampError("EDOC-PKI-004", "the time stamp is not in the exact form that receipts need")
        return answer


# --- judging ---------------------------------------------------------------------------------------------------------


def inspect_seal(data: bytes, *, context: Context) -> SealInspection:
    """Judge a sealed message; never raises for what the file contains."""
    try:
        skeleton, root = _parse_seal(data, context.limits)
    except InputRefused as error:
        return SealInspection(_unread(data, error, kind="edxml", context=context), None)
    return _inspect_seal(data, skeleton, root, context)


def verify_seal(data: bytes, *, context: Context) -> VerifiedSeal:
    """Return the message of a seal that holds in every respect.

    Raises:
        NotVerified: the verdict is not *valid*; the report is inside.
        InputRefused, LimitExceeded: not XML we read at all.
    """
    skeleton, root = _parse_seal(data, context.limits)
    inspection = _inspect_seal(data, skeleton, root, context)
    if inspection.sealed is None:
        raise _not_verified(inspection.report)
    return inspection.sealed


def _parse_seal(data: bytes, limits: Limits) -> tuple[Skeleton, etree._Element]:
    """Parse a sealed message; what is left after its attachments are cut out is small (signing.md 5.4)."""
    return parse_skeleton(data, limits=limits, most=limits.xml_skeleton_max_bytes)


@dataclass(frozen=True, slots=True)
class Streamed:
    """SHA-256 (hexadecimal) and size of a file that passed and is not held."""

    sha256: str
    size: int


def judge_streamed(
    streamed: Streamed, skeleton: Skeleton, root: etree._Element, *, document: bytes, context: Context
) -> SealInspection:
    """Judge a sealed message of which the skeleton is left and the digest is known (``signer.xml.stream``)."""
    found = examine(root, skeleton, layout_of=seal_layout_of, document=document)
    file = FileFacts("edxml", "edXML", b"", passed=(streamed.sha256, streamed.size))
    return _sealed(found, _report(file, found, context, signature_kind="seal"))


def report_unread(streamed: Streamed | None, error: InputRefused, context: Context) -> Report:
    """Report a message that passed and could not be read; one that was not read to its end has no digest."""
    report = _unread(b"", error, kind="edxml", context=context)
    if streamed is None:
        return replace(report, sha256=None, size=None)
    return replace(report, sha256=streamed.sha256, size=streamed.size)


def _inspect_seal(data: bytes, skeleton: Skeleton, root: etree._Element, context: Context) -> SealInspection:
    found = examine(root, skeleton, layout_of=seal_layout_of)
    return _sealed(found, _report(FileFacts("edxml", "edXML", data), found, context, signature_kind="seal"))


def _sealed(found: Found | None, report: Report) -> SealInspection:
    if report.verdict is not Verdict.VALID or found is None or found.values is None:
        return SealInspection(report, None)
    sealed = VerifiedSeal(
        tree=found.rebuilt(),
        slip=_read_slip(found.rebuilt_signature()),
        certificate=found.values.certificates[0],
        chain=found.values.certificates[1:],
        signing_time=read_time(found.values.signing_time),
        report=report,
        made_by=_TOKEN,
    )
    return SealInspection(report, sealed)


def inspect_declaration(data: bytes, *, context: Context) -> DeclarationInspection:
    """Judge a receipt or key statement; never raises for what the file contains."""
    try:
        skeleton, root = _parse_declaration(data, context.limits)
    except InputRefused as error:
        return DeclarationInspection(_unread(data, error, kind="xml", context=context), None)
    return _inspect_declaration(data, skeleton, root, context)


def verify_declaration(data: bytes, *, context: Context) -> VerifiedDeclaration:
    """Return what was declared, if the signature holds in every respect.

    Raises:
        NotVerified: the verdict is not *valid*; the report is inside.
        InputRefused, LimitExceeded: not XML we read at all, or larger than ``DECLARATION_MAX_BYTES``.
    """
    skeleton, root = _parse_declaration(data, context.limits)
    inspection = _inspect_declaration(data, skeleton, root, context)
    if inspection.declared is None:
        raise _not_verified(inspection.report)
    return inspection.declared


def _parse_declaration(data: bytes, limits: Limits) -> tuple[Skeleton, etree._Element]:
    if len(data) > DECLARATION_MAX_BYTES:
        raise LimitExceeded(
            "EDOC-XML-002", "too large for a declaration", limit="declaration", value=str(len(data)), unit="byte"
        )
    return parse_skeleton(data, limits=limits)


def _inspect_declaration(
    data: bytes, skeleton: Skeleton, root: etree._Element, context: Context
) -> DeclarationInspection:
    found = examine(root, skeleton, layout_of=declaration_layout_of)
    kind, name = ("receipt", "receipt") if root.tag == "{urn:edoc:receipt:1}Receipt" else ("xml", "XAdES")
    report = _report(FileFacts(kind, name, data), found, context, signature_kind="signature")
    if report.verdict is not Verdict.VALID or found is None or found.values is None:
        return DeclarationInspection(report, None)
    declared = VerifiedDeclaration(
        tree=found.rebuilt(),
        certificate=found.values.certificates[0],
        chain=found.values.certificates[1:],
        signing_time=read_time(found.values.signing_time),
        report=report,
        made_by=_TOKEN,
    )
    return DeclarationInspection(report, declared)


def seal_layout_of(signature: etree._Element, signing_time: str) -> Layout:
    slip = _read_slip(signature)
    if format_time(slip.submitted_at) != signing_time:
        raise ValueError("SigningTime differs from SubmittedAt")
    first = signature.find(f"{{{DS}}}Object")
    return replace(seal_layout(slip), objects_last=first is not None and first.get("Id") is None)


def declaration_layout_of(signature: etree._Element, signing_time: str) -> Layout:
    read_time(signing_time)
    return _declaration_layout()


def _report(file: FileFacts, found: Found | None, context: Context, *, signature_kind: str) -> Report:
    if found is None:
        return report_of(file, (), context=context)
    return report_of(file, (judged(found, kind=signature_kind, context=context),), context=context)


def _unread(data: bytes, error: InputRefused, *, kind: str, context: Context) -> Report:
    """Report a file that could not be read as XML at all."""
    code = Code.LIMIT_EXCEEDED if isinstance(error, LimitExceeded) else Code.UNREADABLE
    facts = {"limit": str(error.facts.get("limit", "-"))} if code is Code.LIMIT_EXCEEDED else {}
    return report_of(FileFacts(kind, None, data, reasons=(Reason(code, facts),)), (), context=context)


def _not_verified(report: Report) -> NotVerified:
    code = report.reasons[0].code if report.reasons else Code.NO_SIGNATURE
    return NotVerified("EDOC-SIG-001", f"not verified: {code}", report, reason=code.value, verdict=report.verdict.value)
