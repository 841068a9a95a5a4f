"""ASiC-E with XAdES: written the same for the same input; containers of every kind read strictly (signing.md 6).

Per signature: files in the container = in the manifest = covered, each way. An object no intact signature covers, or a
manifest that disagrees with the files, makes the container invalid.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from html import escape
from types import MappingProxyType
from urllib.parse import quote

from signer.algorithms import scheme_for
from signer.containers.judging import judge_container, parts_of
from signer.containers.manifests import ASIC as _ASIC_NS
from signer.containers.manifests import LISTED as _MANIFEST_NS
from signer.containers.reading import MANIFEST as MANIFEST
from signer.containers.reading import MEDIA_TYPE as MEDIA_TYPE
from signer.containers.reading import MIMETYPE as MIMETYPE
from signer.containers.reading import SIMPLE_MEDIA_TYPE as SIMPLE_MEDIA_TYPE
from signer.containers.reading import Container as Container
from signer.containers.reading import read_container as read_container
from signer.credential import Credential
from signer.errors import InputRefused, LimitExceeded, NotVerified, SigningRefused
from signer.judge import FileFacts, report_of
from signer.precondition import Precondition, ask, require
from signer.report import Code, Reason, Report, Verdict
from signer.timestamp import Timestamper
from signer.trust import Context
from signer.xml.xades import Layout, ReferenceLayout, sign
from signer.zips import read_zip, write_zip

FIRST_SIGNATURE = "META-INF/signatures001.xml"
_TOKEN = object()


@dataclass(frozen=True, slots=True)
class VerifiedContainer:
    """A valid container: the members that its signatures cover. Made here only."""

    members: Mapping[str, bytes]
    report: Report
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _TOKEN:
            raise TypeError("verified values come from verification only")


# --- writing ---------------------------------------------------------------------------------------------------------


def build_asice(
    members: Sequence[tuple[str, bytes, str]],
    *,
    credential: Credential,
    at: datetime,
    timestamper: Timestamper | None = None,
    profile: str = "interop",
    precondition: Precondition | None = None,
    context: Context | None = None,
) -> bytes:
    """Return a container of ``members`` (name, bytes, media type) in the given order, under one signature over all.

    Same members, time and signature value give the same bytes. ``profile`` is ``interop`` or ``strict`` (R34).
    The precondition is asked with the report of each member, judged with ``context``; an ``agency`` credential needs
    both (R28).

    Raises:
        TypeError: an agency's credential without precondition and context.
        ValueError: no member, a name that is not safe or not unique, or a name of the container's own.
        SigningRefused: no scheme serves the key, or the precondition does not hold.
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    require(credential, precondition, context)
    names = [name for name, _, _ in members]
    if not members or any(name == MIMETYPE or name.upper().startswith("META-INF") for name in names):
        raise ValueError("a container needs members, and names of its own are not theirs")
    for _, data, _ in members:
        ask(credential, precondition, context, partial(_report, data))
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile=profile)
    except ValueError:
        raise SigningRefused("EDOC-SIG-005", "no signature scheme fits the key", key=credential.key_type) from None
    references = tuple(
        ReferenceLayout(
            f"sig-ref-{number}",
            quote(name, safe="/"),
            (),
            mime=media_type,
            digest=hashlib.new(scheme.digest, data).digest(),
        )
        for number, (name, data, media_type) in enumerate(members, start=1)
    )
    layout = Layout(
        id="sig",
        value_id="sig-value",
        properties_id="sig-props",
        properties_reference_id=f"sig-ref-{len(members) + 1}",
        references=references,
        digest=scheme.digest,
    )
    text = sign(layout, credential=credential, scheme=scheme, at=at, timestamper=timestamper)
    signatures = f'{_HEAD}<asic:XAdESSignatures xmlns:asic="{_ASIC_NS}">{text}</asic:XAdESSignatures>'
    return write_zip(
        [
            (MIMETYPE, MEDIA_TYPE.encode("ascii")),
            *((name, data) for name, data, _ in members),
            (MANIFEST, _manifest(members).encode("utf-8")),
            (FIRST_SIGNATURE, signatures.encode("utf-8")),
        ]
    )


def _report(data: bytes, context: Context) -> Report:
    from signer.inspect import inspect_file

    return inspect_file(data, context=context)


_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _manifest(members: Sequence[tuple[str, bytes, str]]) -> str:
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{escape(name)}" manifest:media-type="{escape(media_type)}"/>'
        for name, media_type in (("/", MEDIA_TYPE), *((name, media) for name, _, media in members))
    )
    opening = f'<manifest:manifest xmlns:manifest="{_MANIFEST_NS}" manifest:version="1.2">'
    return f"{_HEAD}{opening}{entries}</manifest:manifest>"


# --- reading ---------------------------------------------------------------------------------------------------------


def inspect_asice(data: bytes, *, context: Context, with_parts: bool = True) -> Report:
    """Judge a container of any kind; never raises for what it contains."""
    return _inspect(data, context, with_parts=with_parts)[0]


def verify_asice(data: bytes, *, context: Context) -> VerifiedContainer:
    """Return the members that a valid container's signatures cover.

    Raises:
        NotVerified: the verdict is not *valid*; the report is inside.
        InputRefused, LimitExceeded: as ``read_container``.
    """
    read_container(data, limits=context.limits)
    report, members = _inspect(data, context)
    if report.verdict is not Verdict.VALID:
        code = report.reasons[0].code if report.reasons else Code.NO_SIGNATURE
        raise NotVerified("EDOC-SIG-001", f"not verified: {code}", report, reason=code.value)
    return VerifiedContainer(MappingProxyType(dict(members)), report, _TOKEN)


def _inspect(data: bytes, context: Context, *, with_parts: bool = True) -> tuple[Report, Mapping[str, bytes]]:
    try:
        container = read_container(data, limits=context.limits)
    except LimitExceeded as error:
        reason = Reason(Code.LIMIT_EXCEEDED, {"limit": str(error.facts.get("limit", "-"))})
        return report_of(FileFacts("asic", None, data, reasons=(reason,)), (), context=context), {}
    except InputRefused as error:
        known = error.code == "EDOC-SIG-010"
        if not known:
            return _plain_zip(data, context, with_parts=with_parts), {}
        reason = Reason(Code.MALFORMED, {"where": str(error.facts.get("where", "-"))})
        return report_of(FileFacts("asic", None, data, reasons=(reason,), broken=True), (), context=context), {}
    return judge_container(data, container, context, with_parts=with_parts)


def _plain_zip(data: bytes, context: Context, *, with_parts: bool) -> Report:
    """A ZIP that is no container is not judged; signed files in it are, as its parts."""
    members = {one.name: one.data for one in read_zip(data, limits=context.limits)}
    parts, warnings = parts_of(members, context) if with_parts else ((), [])
    parts = tuple((name, part) for name, part in parts if part.signatures)
    kept = {name for name, _ in parts}
    file = FileFacts(
        "asic",
        None,
        data,
        reasons=(Reason(Code.UNSUPPORTED_FORMAT),),
        warnings=tuple(one for one in warnings if one.facts.get("name") in kept),
        parts=parts,
    )
    return report_of(file, (), context=context)
