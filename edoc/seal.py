"""Sealed messages: making, opening, looking (exchange.md 2, M1 to M6, and 3.3; signing.md 5.4).

A message is sealed once and its bytes never change again. Opening goes in two steps, because between them stand checks
that need the path of a request and the directory: ``unseal`` verifies the seal and hands on the tree rebuilt from the
verified octets; ``read_unsealed`` reads that tree strictly. ``open_sealed`` is both. ``peek`` reads any file without
verifying; its result has a type no later step takes. This module and ``sealstream``, which does the same for what is
too large to be held, are the only ones of the package that import ``signer`` beyond its report.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import lru_cache

from edoc.edxml import Known, ReadLimits, ReadWarning, canonical, outline, read, serialize, write
from edoc.edxml.limits import MESSAGE_MAX, check_tree
from edoc.edxml.names import DSIG, Element, check_root, split
from edoc.edxml.names import GUIDE_2014 as _MULTIPART
from edoc.envelopes import Envelope, Message, completed, secret_mark
from edoc.errors import (
    CannotJudge,
    EdocError,
    Incomplete,
    LimitPassed,
    NotEdxml,
    NotStrict,
    SealRefused,
    SecretContent,
)
from edoc.legal import agency_precondition, annotate, legal_class
from edoc.values import vietnam_day
from signer import safexml
from signer.credential import Credential
from signer.errors import InputRefused, LimitExceeded, NotVerified
from signer.report import Code, Need, Report
from signer.timestamp import Timestamper
from signer.trust import Context, Limits
from signer.xml.profiles import Slip, VerifiedSeal, seal_octets, verify_seal

__all__ = [
    "AttachmentDigest",
    "CannotJudge",
    "OpenedEnvelope",
    "SealRefused",
    "SealedEnvelope",
    "UnsealedMessage",
    "UnverifiedEnvelope",
    "agency_precondition",
    "annotate",
    "legal_class",
    "open_sealed",
    "packed",
    "peek",
    "read_packed",
    "read_unsealed",
    "seal",
    "unseal",
]

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SealedEnvelope:
    """A sealed message: the bytes as transferred, their SHA-256 and size, what was sealed and for whom."""

    data: bytes = field(repr=False)
    sha256: str
    size: int
    slip: Slip
    message: Message = field(repr=False)
    recipients: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AttachmentDigest:
    """What identifies one attachment of a message."""

    content_id: str
    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UnsealedMessage:
    """A message whose seal was verified and whose content was not yet read; only ``unseal`` makes it."""

    slip: Slip
    certificate: bytes = field(repr=False)
    certificate_sha256: str
    chain: tuple[bytes, ...] = field(repr=False)
    tree: Element = field(repr=False)
    report: Report = field(repr=False)
    data_sha256: str
    size: int
    kind: str
    sender_code: str
    recipient_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenedEnvelope:
    """A message verified and strictly read; only ``open_sealed`` and ``read_unsealed`` make it."""

    message: Message = field(repr=False)
    slip: Slip
    data_sha256: str
    size: int
    certificate: bytes = field(repr=False)
    report: Report = field(repr=False)
    attachments: tuple[AttachmentDigest, ...]
    warnings: tuple[ReadWarning, ...] = ()


@dataclass(frozen=True, slots=True)
class UnverifiedEnvelope:
    """What a file says, nothing of it checked. ``sealed`` says whether something stands where a seal would."""

    message: Message
    warnings: tuple[ReadWarning, ...]
    format: str
    sealed: bool = False


# --- making ----------------------------------------------------------------------------------------------------------


def packed(message: Message, *, at: datetime | None = None) -> bytes:
    """Return the unsealed file of a message, written strictly and read again for comparison (13.10).

    ``at`` fills a missing trace or status time; the document may not be dated after that day.

    Raises:
        NotStrict, LimitPassed: a rule of the strict writer is broken.
        SecretContent: the document carries a secrecy mark (R1).
    """
    whole = completed(message, at=at)
    tree = strict_tree(whole, on=_day_of(whole, at))
    data = serialize(tree)
    _check_own(data, whole, sealed=False)
    return data


def seal(
    message: Message,
    *,
    message_id: str,
    credential: Credential,
    at: datetime,
    supersedes: str | None = None,
    timestamper: Timestamper | None = None,
) -> SealedEnvelope:
    """Write a message strictly and seal it with the agency's exchange key; ``at`` becomes ``SubmittedAt``.

    Raises:
        ValueError: the id is no UUID in lower case, or ``at`` has no offset.
        NotStrict, LimitPassed, SecretContent: as ``packed``.
        SignerError: the key cannot be used or a time stamp was not to be had.
    """
    if not _UUID.fullmatch(message_id) or (supersedes is not None and not _UUID.fullmatch(supersedes)):
        raise ValueError("a message id is a UUID in canonical lower case (M2)")
    if at.tzinfo is None:
        raise ValueError("the moment of sealing needs an offset")
    whole = completed(message, at=at)
    octets = strict_octets(whole, on=vietnam_day(at))
    moment = at.replace(microsecond=at.microsecond // 1000 * 1000)
    slip = Slip(message_id, whole.sender.organ_id, whole.kind, moment, supersedes)
    data = seal_octets(octets, slip=slip, credential=credential, timestamper=timestamper)
    _check_own(data, whole, sealed=True, octets=octets)
    digest = hashlib.sha256(data).hexdigest()
    return SealedEnvelope(data, digest, len(data), slip, whole, whole.recipient_codes)


def _day_of(message: Message, at: datetime | None) -> date | None:
    if at is not None:
        return vietnam_day(at)
    moment = message.trace[0].at if isinstance(message, Envelope) and message.trace else None
    return vietnam_day(moment) if moment is not None else None


def strict_tree(message: Message, *, on: date | None) -> Element:
    """Return the tree of a message by the strict writer.

    Raises:
        NotStrict, LimitPassed, SecretContent: as ``packed``.
    """
    _refuse_secrets(message)
    return write(message, on=on)


def strict_octets(message: Message, *, on: date | None) -> bytes:
    """Return the canonical form of the tree of a message by the strict writer.

    Raises:
        NotStrict, LimitPassed, SecretContent: as ``packed``.
    """
    _refuse_secrets(message)
    return canonical(message, on=on)


def _refuse_secrets(message: Message) -> None:
    mark = secret_mark(message)
    if mark is not None:
        raise SecretContent("EDOC-DOC-020", "marked as a state secret", field=mark)


def _check_own(data: bytes, message: Message, *, sealed: bool, octets: bytes | None = None) -> None:
    """13.10: read our own output and compare; a difference is a bug and stops the sending.

    ``octets`` are the canonical form that was sealed: the file without its seal must have it.
    """
    tree = safexml.parse(data, limits=Limits())
    if sealed:
        tree.remove(_seals(tree)[0])
    known = None if octets is None else Known(message, octets)
    if read(tree, strict=True, known=known).message != message:
        raise EdocError("EDOC-DOC-019", "the writer's output does not read as what was written")


# --- opening ---------------------------------------------------------------------------------------------------------


def open_sealed(data: bytes, *, context: Context, limits: ReadLimits | None = None) -> OpenedEnvelope:
    """Verify a sealed message and read it strictly.

    Raises:
        SealRefused: a hard check of exchange.md 3.3 fails; ``reason`` is its code.
        CannotJudge: trust or revocation data needed for the answer is missing.
    """
    return read_unsealed(unseal(data, context=context), limits=limits)


def unseal(data: bytes, *, context: Context) -> UnsealedMessage:
    """Verify the seal of a message and hand on the tree rebuilt from the verified octets.

    Raises:
        SealRefused: ``not-edxml``, ``limits``, ``seal-missing``, ``seal-invalid``, ``seal-algorithm``,
            ``certificate-invalid``.
        CannotJudge: trust or revocation data is missing; ``facts["needs"]`` says which.
    """
    strict = replace(context, limits=exchange_limits(context.limits))
    try:
        verified = verify_seal(data, context=strict)
    except LimitExceeded as error:
        raise refused("limits", **_texts(error.facts)) from None
    except InputRefused:
        raise refused("not-edxml") from None
    except NotVerified as error:
        if not _seals(_formed(lambda: safexml.parse(data, limits=strict.limits))):
            raise refused("seal-missing") from None
        raise seal_fault(error.report, context) from None
    _formed(lambda: verified.tree)
    return unsealed_of(verified, sha256=hashlib.sha256(data).hexdigest(), size=len(data))


def read_unsealed(unsealed: UnsealedMessage, *, limits: ReadLimits | None = None) -> OpenedEnvelope:
    """Read the content of a message whose seal holds, by the strict rules (M6).

    Raises:
        SealRefused: ``incomplete``, ``not-strict``, ``secret-content`` (or ``limits`` for an attachment too large).
    """
    try:
        result = read(unsealed.tree, strict=True, on=vietnam_day(unsealed.slip.submitted_at), limits=limits)
    except LimitPassed as error:
        raise refused("limits", **_passed_on(error.facts)) from None
    except Incomplete as error:
        raise refused("incomplete", **_passed_on(error.facts)) from None
    except (NotStrict, NotEdxml) as error:
        field_name = error.facts.get("field") or error.facts.get("element")
        raise refused("not-strict", **{**_passed_on(error.facts), "field": field_name}) from None
    mark = secret_mark(result.message)
    if mark is not None:
        raise refused("secret-content", field=mark)
    return OpenedEnvelope(
        result.message,
        unsealed.slip,
        unsealed.data_sha256,
        unsealed.size,
        unsealed.certificate,
        unsealed.report,
        _digests(result.message),
        result.warnings,
    )


def unsealed_of(verified: VerifiedSeal, *, sha256: str, size: int) -> UnsealedMessage:
    """Return the message of a verified seal; ``sha256`` and ``size`` are of the file as it came."""
    shape = outline(verified.tree)
    return UnsealedMessage(
        slip=verified.slip,
        certificate=verified.certificate,
        certificate_sha256=hashlib.sha256(verified.certificate).hexdigest(),
        chain=verified.chain,
        tree=verified.tree,
        report=verified.report,
        data_sha256=sha256,
        size=size,
        kind=shape.kind,
        sender_code=shape.sender,
        recipient_codes=shape.recipients,
    )


def _digests(message: Message) -> tuple[AttachmentDigest, ...]:
    if not isinstance(message, Envelope):
        return ()
    return tuple(
        AttachmentDigest(item.content_id, item.name, len(item.content), hashlib.sha256(item.content).hexdigest())
        for item in message.attachments
    )


_CODES = {
    "not-edxml": "EDOC-DOC-050",
    "limits": "EDOC-DOC-051",
    "seal-missing": "EDOC-DOC-052",
    "seal-invalid": "EDOC-DOC-053",
    "seal-algorithm": "EDOC-DOC-054",
    "certificate-invalid": "EDOC-DOC-055",
    "incomplete": "EDOC-DOC-056",
    "not-strict": "EDOC-DOC-057",
    "secret-content": "EDOC-DOC-058",
}

_CANNOT_JUDGE = frozenset({Code.TRY_LATER, Code.REVOCATION_OUT_OF_BOUNDS_NO_POE})

_CERTIFICATE = frozenset(
    {
        Code.REVOKED,
        Code.EXPIRED,
        Code.NOT_YET_VALID,
        Code.NO_SIGNING_CERTIFICATE_FOUND,
        Code.NO_CERTIFICATE_CHAIN_FOUND,
        Code.CERTIFICATE_CHAIN_GENERAL_FAILURE,
        Code.CHAIN_CONSTRAINTS_FAILURE,
        Code.REVOKED_NO_POE,
        Code.REVOKED_CA_NO_POE,
        Code.OUT_OF_BOUNDS_NO_POE,
        Code.OUT_OF_BOUNDS_NOT_REVOKED,
    }
)


def refused(reason: str, **facts: object) -> SealRefused:
    """Return the refusal of a reason of exchange.md 3.3."""
    return SealRefused(_CODES[reason], f"refused: {reason}", reason, **facts)


def _passed_on(facts: dict[str, object]) -> dict[str, object]:
    """Return the facts of a fault for a refusal, which has a reason of its own."""
    return {"detail" if name == "reason" else name: value for name, value in facts.items()}


def _texts(facts: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in facts.items() if name in ("limit", "value", "unit")}


def seal_fault(report: Report, context: Context) -> EdocError:
    """Return what is wrong with a seal that is not valid, in the checking order of exchange.md 3.3."""
    subs = [item.sub_indication for item in report.signatures if item.sub_indication is not None]
    sub = subs[0] if subs else None
    if sub in (Code.CRYPTO_CONSTRAINTS_FAILURE, Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE):
        return refused("seal-algorithm", detail=sub.value)
    if sub in _CANNOT_JUDGE or (sub is Code.NO_CERTIFICATE_CHAIN_FOUND and not context.trust.anchors):
        needs: tuple[Need, ...] = report.needs
        return CannotJudge("EDOC-DOC-060", "trust data is missing", detail=sub.value if sub else "", needs=needs)
    if sub in _CERTIFICATE:
        return refused("certificate-invalid", detail=sub.value if sub else "")
    return refused("seal-invalid", detail=sub.value if sub else "")


ELEMENTS_MAX = 25_000
"""Elements of a message: several times those of one with 500 recipients and 200 attachments (exchange.md 10)."""


@lru_cache(maxsize=16)
def exchange_limits(limits: Limits) -> Limits:
    """Depth, attributes and number of elements of a message (exchange.md 10), if the caller's are wider."""
    own = ReadLimits()
    return replace(
        limits,
        xml_depth=min(limits.xml_depth, own.depth),
        xml_attributes=min(limits.xml_attributes, own.attributes),
        xml_elements=min(limits.xml_elements, ELEMENTS_MAX),
    )


def check_formed(tree: Element) -> None:
    """3.3, first line, for a tree that was rebuilt from verified octets.

    Raises:
        SealRefused: ``not-edxml``, ``limits``.
    """
    _formed(lambda: tree)


def _formed(give: Callable[[], Element]) -> Element:
    """3.3, first line: one message of QCVN 102:2016 with at most one seal, within the limits."""
    try:
        tree = give()
        check_root(tree)
        if len(_seals(tree)) > 1:
            raise NotEdxml("EDOC-DOC-008", "several seals")
        check_tree(tree, ReadLimits())
    except LimitPassed as error:
        raise refused("limits", **error.facts) from None
    except (NotEdxml, InputRefused) as error:
        raise refused("not-edxml", format=error.facts.get("format")) from None
    return tree


def _seals(tree: Element) -> list[Element]:
    return [item for item in tree if split(item) == (DSIG, "Signature")]


def read_packed(data: bytes) -> Envelope:
    """Read a packed, unsealed document message by the strict rules, as it is about to be sealed and sent.

    Raises:
        NotEdxml: not a document message of QCVN 102:2016, or one that carries a seal already.
        NotStrict, LimitPassed: a rule of the strict writer is broken.
    """
    try:
        tree = safexml.parse(data, limits=exchange_limits(Limits()))
    except LimitExceeded as error:
        raise LimitPassed("EDOC-DOC-006", "a limit is passed", **_texts(error.facts)) from None
    except InputRefused as error:
        raise _not_xml(data, doctype=error.code == "EDOC-XML-003") from None
    return unsealed_letter(tree)


def unsealed_letter(tree: Element) -> Envelope:
    """Read the tree of a packed document by the strict rules.

    Raises:
        NotEdxml: no document message, or sealed already.
        NotStrict, LimitPassed: a rule of the strict writer is broken.
    """
    check_root(tree)
    if _seals(tree):
        raise NotEdxml("EDOC-DOC-021", "the file is sealed already")
    message = read(tree, strict=True).message
    if not isinstance(message, Envelope):
        raise NotEdxml("EDOC-DOC-009", "a status message is not sent as a document")
    return message


# --- looking ---------------------------------------------------------------------------------------------------------

_TOLERATED = frozenset({"leading-bytes", "undeclared-prefix"})
"""What a parser tolerates and a person should know (edxml.md 12.3, 12.4)."""


def peek(data: bytes, *, limits: ReadLimits | None = None, max_bytes: int = MESSAGE_MAX) -> UnverifiedEnvelope:
    """Read what a file of at most ``max_bytes`` says, tolerantly and without verifying anything.

    Raises:
        NotEdxml: not XML, a DOCTYPE, another or older format, or not a message.
        LimitPassed: larger than the limits of reading.
    """
    try:
        tree, tolerated = safexml.parse_tolerant(data, limits=Limits(xml_max_bytes=max_bytes))
    except LimitExceeded as error:
        raise LimitPassed("EDOC-DOC-006", "a limit is passed", **_texts(error.facts)) from None
    except InputRefused as error:
        raise _not_xml(data, doctype=error.code == "EDOC-XML-003") from None
    result = read(tree, limits=limits)
    seen = {item.code for item in result.warnings}
    words = tuple(ReadWarning(word) for word in tolerated if word in _TOLERATED and word not in seen)
    name = "edXML document" if isinstance(result.message, Envelope) else "edXML status"
    return UnverifiedEnvelope(result.message, words + result.warnings, name, sealed=bool(_seals(tree)))


_MIME = re.compile(rb"\A\s*(?:--[^\r\n]{1,70}\r?\n)?(?:[\w-]+:[^\r\n]*\r?\n(?:[ \t][^\r\n]*\r?\n)*)+", re.ASCII)


def _not_xml(data: bytes, *, doctype: bool) -> NotEdxml:
    """Name why bytes are no XML; a MIME multipart is the packaging of 2014 (edxml.md 17)."""
    if doctype:
        return NotEdxml("EDOC-DOC-004", "a DOCTYPE is not accepted")
    head = _MIME.match(data[:4096])
    if head is not None and b"content-" in head.group().lower():
        return NotEdxml("EDOC-DOC-003", "an older edXML format", format=_MULTIPART, root="MIME")
    return NotEdxml("EDOC-DOC-001", "not XML")
