"""ASiC-E with XAdES: written the same for the same input, read strictly (signing.md 6, Z1 to R3; EN 319 162-1).

Per signature: files in the container = in the manifest = covered, each way. An object no intact signature covers, or a
manifest that disagrees with the files, makes the container invalid.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from html import escape
from types import MappingProxyType
from urllib.parse import quote

from lxml import etree

from signer.algorithms import scheme_for
from signer.credential import Credential
from signer.errors import InputRefused, LimitExceeded, NotVerified, SigningRefused
from signer.judge import Facts, FileFacts, judge_signature, report_of
from signer.report import Code, Covers, Crypto, Integrity, Reason, Report, Verdict
from signer.safexml import parse
from signer.timestamp import Timestamper
from signer.trust import Context, Limits, TrustStore
from signer.xml.examine import Examined
from signer.xml.verify import examine_file, facts_of
from signer.xml.xades import XADES, Layout, ReferenceLayout, sign
from signer.zips import Member, read_zip, write_zip

MEDIA_TYPE = "application/vnd.etsi.asic-e+zip"
SIMPLE_MEDIA_TYPE = "application/vnd.etsi.asic-s+zip"
MIMETYPE = "mimetype"
MANIFEST = "META-INF/manifest.xml"
FIRST_SIGNATURE = "META-INF/signatures001.xml"
_ASIC_NS = "http://uri.etsi.org/02918/v1.2.1#"
_MANIFEST_NS = "urn:oasis:names:tc:opendocument:xmlns:manifest:1.0"
_KNOWN_TYPES = {MEDIA_TYPE, SIMPLE_MEDIA_TYPE}
_PART_KINDS = {"pdf", "xml", "edxml", "receipt"}
OFFERED_MAX = 50
"""Certificates, revocation lists and OCSP answers each that sealed objects offer for building paths."""
_TOKEN = object()


@dataclass(frozen=True, slots=True)
class Container:
    """A container as read: its type, every member by name (``mimetype`` too), and words for what is unusual.

    Words: ``mimetype-missing``, ``mimetype-compressed``, ``not-plain`` (not as we write it:
    compressed, dated, with extra fields or other attributes).
    """

    mimetype: str | None
    members: Mapping[str, bytes]
    warnings: tuple[str, ...] = ()

    @property
    def objects(self) -> Mapping[str, bytes]:
        """The data objects: everything outside ``META-INF/`` but ``mimetype``."""
        return {n: d for n, d in self.members.items() if n != MIMETYPE and not n.startswith("META-INF/")}

    @property
    def signature_files(self) -> tuple[str, ...]:
        """Names of the XAdES signature files, in the order of their names."""
        return tuple(sorted(n for n in self.members if n.startswith("META-INF/") and _is_signatures(n)))


@dataclass(frozen=True, slots=True)
class VerifiedContainer:
    """A valid container: the members that its signatures cover. Made here only."""

    members: Mapping[str, bytes]
    report: Report
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _TOKEN:
            raise TypeError("verified values come from verification only")


def _is_signatures(name: str) -> bool:
    own = name.removeprefix("META-INF/").lower()
    return "/" not in own and "signatures" in own and own.endswith(".xml")


_PLACES = re.compile(
    r"META-INF/(?:manifest|container|metadata|[^/]*signatures[^/]*|[^/]*evidencerecord[^/]*)\.xml"
    r"|META-INF/[^/]*\.(?:p7s|tst|ers)|META-INF/[^/]*(?P<cades>ASiC\w*Manifest)[^/]*\.xml",
    re.IGNORECASE,
)
"""What EN 319 162-1 has in ``META-INF/``; a manifest of CAdES needs a signature or token of that kind."""


def _strays(container: Container) -> list[str]:
    """Return members under ``META-INF/`` that belong to no signature: nobody signed them, and they are no data."""
    cades = any(name.lower().endswith((".p7s", ".tst", ".ers")) for name in container.members)
    found = {n: _PLACES.fullmatch(n) for n in container.members if n.startswith("META-INF/") and not n.endswith("/")}
    return sorted(name for name, place in found.items() if place is None or (place["cades"] and not cades))


# --- writing ---------------------------------------------------------------------------------------------------------


def build_asice(
    members: Sequence[tuple[str, bytes, str]],
    *,
    credential: Credential,
    at: datetime,
    timestamper: Timestamper | None = None,
) -> bytes:
    """Return a container of ``members`` (name, bytes, media type) in the given order, under one signature over all.

    Same members, time and signature value give the same bytes.

    Raises:
        ValueError: no member, a name that is not safe or not unique, or a name of the container's own.
        SigningRefused: no scheme serves the key.
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    names = [name for name, _, _ in members]
    if not members or any(name == MIMETYPE or name.upper().startswith("META-INF") for name in names):
        raise ValueError("a container needs members, and names of its own are not theirs")
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile="interop")
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


_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'


def _manifest(members: Sequence[tuple[str, bytes, str]]) -> str:
    entries = "".join(
        f'<manifest:file-entry manifest:full-path="{escape(name)}" manifest:media-type="{escape(media_type)}"/>'
        for name, media_type in (("/", MEDIA_TYPE), *((name, media) for name, _, media in members))
    )
    opening = f'<manifest:manifest xmlns:manifest="{_MANIFEST_NS}" manifest:version="1.2">'
    return f"{_HEAD}{opening}{entries}</manifest:manifest>"


# --- reading ---------------------------------------------------------------------------------------------------------


def read_container(data: bytes, *, limits: Limits | None = None) -> Container:
    """Read a container's members; signatures are not looked at.

    Raises:
        InputRefused: not a ZIP that all readers see alike, or its type is another one.
        LimitExceeded: too many or too large members.
    """
    members = read_zip(data, limits=limits or Limits())
    warnings = [] if _is_plain(data, members) else ["not-plain"]
    typed = _mimetype(members, warnings)
    return Container(typed, MappingProxyType({m.name: m.data for m in members}), tuple(warnings))


def _is_plain(data: bytes, members: Sequence[Member]) -> bool:
    """Tell whether the file is byte for byte what ``write_zip`` makes of its members."""
    if not all(m.stored and m.plain for m in members):
        return False
    return write_zip([(m.name, m.data) for m in members]) == data


def _mimetype(members: Sequence[Member], warnings: list[str]) -> str | None:
    found = next((m for m in members if m.name == MIMETYPE), None)
    if found is None:
        if not any(m.name.startswith("META-INF/") for m in members):
            raise InputRefused("EDOC-SIG-012", "a ZIP file, but no signed container")
        warnings.append("mimetype-missing")
        return None
    if members[0] is not found:
        raise InputRefused("EDOC-SIG-010", "mimetype is not the first member", where=MIMETYPE)
    if not found.stored:
        warnings.append("mimetype-compressed")
    typed = found.data.decode("ascii", "replace")
    if typed not in _KNOWN_TYPES:
        raise InputRefused("EDOC-SIG-012", "a container of another type")
    return typed


def inspect_asice(data: bytes, *, context: Context) -> Report:
    """Judge a container; never raises for what it contains."""
    return _inspect(data, context)[0]


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


def _inspect(data: bytes, context: Context) -> tuple[Report, Mapping[str, bytes]]:
    try:
        container = read_container(data, limits=context.limits)
    except LimitExceeded as error:
        reason = Reason(Code.LIMIT_EXCEEDED, {"limit": str(error.facts.get("limit", "-"))})
        return report_of(FileFacts("asic", None, data, reasons=(reason,)), (), context=context), {}
    except InputRefused as error:
        known = error.code == "EDOC-SIG-010"
        where = {"where": str(error.facts.get("where", "-"))}
        reason = Reason(Code.MALFORMED, where) if known else Reason(Code.UNSUPPORTED_FORMAT)
        return report_of(FileFacts("asic", None, data, reasons=(reason,), broken=known), (), context=context), {}
    return _judge(data, container, context)


def _judge(data: bytes, container: Container, context: Context) -> tuple[Report, Mapping[str, bytes]]:
    facts, covered, types = _signatures(container, context)
    reasons = [] if not facts else [*_uncovered(container, covered), *_compare_manifest(container, types)]
    judged = [judge_signature(one, context=context) for one in facts]
    parts, part_warnings = _parts(container, context)
    warnings = [*_unusual(container), *part_warnings]
    file = FileFacts(
        "asic",
        "ASiC-S" if container.mimetype and "asic-s" in container.mimetype else "ASiC-E XAdES",
        data,
        reasons=tuple(reasons),
        warnings=tuple(warnings),
        parts=parts,
        broken=bool(reasons),
    )
    sealed = {name: value for name, value in container.objects.items() if name in covered}
    return report_of(file, judged, context=context), sealed


def _unusual(container: Container) -> list[Reason]:
    words = [word for word in container.warnings if word.startswith("mimetype")]
    return [Reason(Code.REPAIRED)] if words else []


def _signatures(container: Container, context: Context) -> tuple[list[Facts], set[str], dict[str, str]]:
    """Examine every signature; return the facts, the objects intact ones cover, and the media types they state."""
    facts: list[Facts] = []
    covered: set[str] = set()
    types: dict[str, str] = {}
    for name in container.signature_files:
        try:
            document, examined = examine_file(container.members[name], context=context, content=container.members)
        except InputRefused:
            facts.append(_unreadable(name))
            continue
        for one in examined:
            objects = {r.external for r in one.references if r.holds and r.external in container.objects}
            if one.is_intact:
                covered |= {o for o in objects if o is not None}
                types |= _types(one)
            placed = _placed(facts_of(one, document), name, objects, container)
            facts.append(_with_path(placed, container.members, {o for o in objects if o is not None}))
    facts += [
        _unsupported(name)
        for name in sorted(container.members)
        if name.startswith("META-INF/")
        and (name.lower().endswith((".p7s", ".tst", ".ers")) or "evidencerecord" in name.lower())
    ]
    return facts, covered, types


def _placed(facts: Facts, name: str, objects: set[str | None], container: Container) -> Facts:
    whole = objects >= set(container.objects)
    covered = tuple(sorted(o for o in objects if o is not None))
    warnings = () if whole else (Reason(Code.PARTIAL_COVERAGE, {"path": ", ".join(covered) or "-"}),)
    return replace(
        facts,
        id=f"{name}#{facts.id}",
        covers=Covers.WHOLE if whole else Covers.PARTIAL,
        covered=() if whole else covered,
        warnings=warnings,
    )


def _with_path(facts: Facts, members: Mapping[str, bytes], covered: set[str]) -> Facts:
    """Offer certificates and status answers that travel as sealed objects, as evidence does; none is trusted for it."""

    def found(suffix: str) -> tuple[bytes, ...]:
        return tuple(members[name] for name in sorted(covered) if name.endswith(suffix))[:OFFERED_MAX]

    given = TrustStore(crls=found(".crl"), ocsps=found(".ors"))
    return replace(facts, candidates=(*facts.candidates, *found(".cer")), embedded=facts.embedded.merged(given))


def _unreadable(name: str) -> Facts:
    structural = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": name}))
    return Facts(name, Crypto.UNKNOWN, Integrity.BROKEN, Covers.PARTIAL, "XMLDSIG", None, structural=structural)


def _unsupported(name: str) -> Facts:
    facts = {"algorithm": "ASiC CAdES"}
    structural = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts))
    return Facts(name, Crypto.UNKNOWN, Integrity.UNKNOWN, Covers.PARTIAL, "CMS", None, structural=structural)


def _types(one: Examined) -> dict[str, str]:
    """Return the media types a signature states for its objects, by their names."""
    if one.properties.element is None:
        return {}
    names = {f"#{r.id}": r.external for r in one.references if r.id and r.external}
    found = {}
    for form in one.properties.element.iter(f"{{{XADES}}}DataObjectFormat"):
        name, mime = names.get(form.get("ObjectReference", "")), form.findtext(f"{{{XADES}}}MimeType")
        if name is not None and mime:
            found[name] = mime
    return found


def _uncovered(container: Container, covered: set[str]) -> list[Reason]:
    loose = [*sorted(set(container.objects) - covered), *_strays(container)]
    return [Reason(Code.CONTENT_NOT_SIGNED, {"name": name}) for name in loose]


def _compare_manifest(container: Container, types: Mapping[str, str]) -> list[Reason]:
    """R2: the manifest names exactly the objects, each with the type that the signature states."""
    if container.mimetype == SIMPLE_MEDIA_TYPE and len(container.objects) != 1:
        return [Reason(Code.MANIFEST_MISMATCH, {"name": MIMETYPE})]  # ASiC-S has one data object
    if MANIFEST not in container.members:
        return []
    entries = _manifest_entries(container.members[MANIFEST])
    if entries is None:
        return [Reason(Code.MANIFEST_MISMATCH, {"name": MANIFEST})]
    wrong = set(entries) ^ set(container.objects)
    wrong |= {name for name, mime in entries.items() if mime and name in types and types[name] != mime}
    return [Reason(Code.MANIFEST_MISMATCH, {"name": name}) for name in sorted(wrong)]


def _manifest_entries(data: bytes) -> dict[str, str] | None:
    try:
        root = parse(data, limits=Limits())
    except InputRefused:
        return None
    entries: dict[str, str] = {}
    if root.tag != f"{{{_MANIFEST_NS}}}manifest":
        return None
    for element in root.iterchildren(etree.Element):
        path = element.get(f"{{{_MANIFEST_NS}}}full-path")
        if element.tag != f"{{{_MANIFEST_NS}}}file-entry" or path is None or path in entries:
            return None
        if path != "/" and not path.startswith("META-INF/") and path != MIMETYPE:
            entries[path] = element.get(f"{{{_MANIFEST_NS}}}media-type") or ""
    return entries


def _parts(container: Container, context: Context) -> tuple[tuple[tuple[str, Report], ...], list[Reason]]:
    """Judge the objects that may be signed themselves, one level deep; they only warn."""
    from signer.inspect import inspect_file, recognise

    parts = tuple(
        (name, inspect_file(value, context=context))
        for name, value in container.objects.items()
        if recognise(value) in _PART_KINDS
    )
    bad = [name for name, report in parts if report.signatures and report.verdict is not Verdict.VALID]
    return parts, [Reason(Code.PART_NOT_VALID, {"name": name}) for name in bad]
