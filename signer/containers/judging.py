"""Judge a container: its signatures of every kind, and that files, manifests and coverage agree (signing.md 6, R1, R2).

Per signature: files in the container = in the manifest = covered, each way. An object no intact signature covers, or a
manifest that disagrees with the files, makes the container invalid.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from signer.containers import cades, records
from signer.containers.manifests import listed_files
from signer.containers.reading import MANIFEST, MIMETYPE, OWN, SIMPLE_MEDIA_TYPE, Container
from signer.errors import InputRefused
from signer.judge import Facts, FileFacts, judge_signature, report_of
from signer.report import Code, Covers, Crypto, Integrity, Reason, Report, Verdict
from signer.trust import Content, Context, TrustStore
from signer.xml.examine import Examined
from signer.xml.verify import examine_file, facts_of
from signer.xml.xades import XADES
from signer.zips import stated_bytes

OFFERED_MAX = 50
"""Certificates, revocation lists and OCSP answers each that sealed objects offer for building paths."""
_PART_KINDS = {"pdf", "xml", "edxml", "receipt", "cms", "asic"}
_DETACHED = (".p7s", ".p7m", ".p7", ".sig", ".pkcs7", ".tst", ".tsr")
_PLACES = re.compile(
    r"META-INF/(?:manifest|container|metadata|[^/]*signatures[^/]*|[^/]*evidencerecord[^/]*)\.xml"
    r"|META-INF/[^/]*\.(?:p7s|p7m|tst|ers)|META-INF/[^/]*(?P<cades>ASiC\w*Manifest)[^/]*\.xml",
    re.IGNORECASE,
)
"""What EN 319 162-1 has in ``META-INF/``; a manifest of CAdES needs a signature or token of that kind."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """Entries of all kinds, the objects that intact signatures cover, and the media types these state."""

    entries: tuple[cades.Entry, ...]
    covered: frozenset[str]
    types: Mapping[str, str]
    mismatches: tuple[str, ...]


def judge_container(
    data: bytes, container: Container, context: Context, *, with_parts: bool = True
) -> tuple[Report, Mapping[str, bytes]]:
    """Judge a container; return the report and the objects that intact signatures cover."""
    if _signature_files(container) > context.limits.signatures:
        limit = Reason(Code.LIMIT_EXCEEDED, {"limit": "signatures"})
        return report_of(FileFacts("asic", None, data, reasons=(limit,)), (), context=context), {}
    seen = _seen(container, context)
    reasons = [] if not seen.entries else [*_uncovered(container, seen), *_compare(container, seen)]
    named = tuple(one for number, one in enumerate(reasons) if one not in reasons[:number])
    if not seen.entries and "META-INF/MANIFEST.MF" in container.members:
        named = (Reason(Code.UNSUPPORTED_FORMAT),)
    parts, warnings = parts_of(container.objects, context) if with_parts else ((), [])
    file = FileFacts(
        "asic",
        _format(container, seen),
        data,
        reasons=named,
        warnings=(*_unusual(container), *warnings),
        parts=parts,
        broken=bool(named) and bool(seen.entries),
    )
    judged = [judge_signature(one.facts, context=context) for one in seen.entries]
    sealed = {name: value for name, value in container.objects.items() if name in seen.covered}
    return report_of(file, judged, context=context), sealed


def _signature_files(container: Container) -> int:
    """Count the files that hold signatures, tokens or records, or the manifests, whichever are more."""
    files = (*container.signature_files, *cades.signature_names(container), *records.record_names(container))
    return max(len(files), len(cades.manifest_names(container)))


def _format(container: Container, seen: _Seen) -> str:
    if container.is_simple:
        return "ASiC-S"
    kinds = {one.facts.level.partition("-")[0] for one in seen.entries if one.facts.kind != "timestamp"}
    if kinds & {"CAdES", "CMS"} and not kinds & {"XAdES", "XMLDSIG"}:
        return "ASiC-E CAdES"
    if seen.entries and not kinds:
        return "ASiC-E TimeStampToken"
    return "ASiC-E XAdES"


def _unusual(container: Container) -> list[Reason]:
    words = [word for word in container.warnings if word.startswith("mimetype")]
    return [Reason(Code.REPAIRED)] if words else []


def _seen(container: Container, context: Context) -> _Seen:
    found = cades.find(container, context)
    xades = _xades(container, context)
    entries = cades.archived((*xades, *found.entries), container)
    entries = records.find(entries, container, context)
    signatures = [one for one in entries if one.facts.kind != "timestamp"]
    counted = [one for one in signatures or entries if one.facts.integrity is Integrity.INTACT]
    covered = frozenset(name for one in counted for name in one.covered if name in container.objects)
    types = {name: media for one in counted for name, media in one.types}
    placed = tuple(_vouched(_placed(one, container), container) for one in entries)
    return _Seen(placed, covered, types, found.mismatches)


def _placed(entry: cades.Entry, container: Container) -> cades.Entry:
    """Say how much of the container an entry covers."""
    facts = entry.facts
    if entry.is_counter:
        return entry
    objects = set(container.objects)
    mine = entry.covered & objects
    whole = mine >= objects
    covered = tuple(sorted(mine))
    partial = () if whole else (Reason(Code.PARTIAL_COVERAGE, {"covered": ", ".join(covered) or "-"}),)
    kept = tuple(one for one in facts.warnings if one.code is not Code.PARTIAL_COVERAGE)
    covers = Covers.WHOLE if whole else Covers.PARTIAL
    facts = replace(facts, covers=covers, covered=() if whole else covered, warnings=(*kept, *partial))
    return replace(entry, facts=facts)


def _vouched(entry: cades.Entry, container: Container) -> cades.Entry:
    """Say where the container cannot vouch for what was signed: no object, or an ASiC-S that is none."""
    facts = entry.facts
    if facts.kind == "timestamp" or entry.is_counter or facts.integrity is not Integrity.INTACT:
        return entry
    why: tuple[Reason, ...] = ()
    if not entry.covered & set(container.objects):
        why = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": f"{entry.file}: no data object"}))
    elif _is_not_simple(container):
        why = (Reason(Code.FORMAT_FAILURE), Reason(Code.MANIFEST_MISMATCH, {"name": MIMETYPE}))
    if not why:
        return entry
    return replace(entry, facts=replace(facts, integrity=Integrity.BROKEN, structural=(*facts.structural, *why)))


def _is_not_simple(container: Container) -> bool:
    """ASiC-S has one data object, in the root (EN 319 162-1, 4.3.3)."""
    names = tuple(container.objects)
    return container.mimetype == SIMPLE_MEDIA_TYPE and (len(names) != 1 or "/" in names[0])


# --- XAdES -----------------------------------------------------------------------------------------------------------


def _xades(container: Container, context: Context) -> list[cades.Entry]:
    entries: list[cades.Entry] = []
    for name in container.signature_files:
        try:
            document, examined = examine_file(container.members[name], context=context, content=container.members)
        except InputRefused:
            entries.append(cades.Entry(name, _unreadable(name)))
            continue
        for one in examined:
            held = {r.external for r in one.references if r.holds and r.external in container.members}
            covered = frozenset(o for o in held if o is not None)
            facts = replace(facts_of(one, document), id=f"{name}#{one.id}")
            facts = _with_path(facts, container.members, covered & set(container.objects))
            types = tuple(_types(one).items())
            entries.append(cades.Entry(name, facts, covered, types, is_counter=one.counters is not None))
    return entries


def _with_path(facts: Facts, members: Mapping[str, bytes], covered: frozenset[str]) -> Facts:
    """Offer certificates and status answers that travel as sealed objects, as evidence does; none is trusted for it."""

    def found(suffix: str) -> tuple[bytes, ...]:
        return tuple(members[name] for name in sorted(covered) if name.endswith(suffix))[:OFFERED_MAX]

    given = TrustStore(crls=found(".crl"), ocsps=found(".ors"))
    return replace(facts, candidates=(*facts.candidates, *found(".cer")), embedded=facts.embedded.merged(given))


def _unreadable(name: str) -> Facts:
    structural = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": name}))
    return Facts(name, Crypto.UNKNOWN, Integrity.BROKEN, Covers.PARTIAL, "XMLDSIG", None, structural=structural)


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


# --- agreement -------------------------------------------------------------------------------------------------------


def _uncovered(container: Container, seen: _Seen) -> list[Reason]:
    loose = [*sorted(set(container.objects) - seen.covered), *_strays(container)]
    return [Reason(Code.CONTENT_NOT_SIGNED, {"name": name}) for name in loose]


def _strays(container: Container) -> list[str]:
    """Return members under ``META-INF/`` that belong to no signature: nobody signed them, and they are no data."""
    kinds = (".p7s", ".p7m", ".tst", ".ers")
    cms = any(name.lower().endswith(kinds) or "evidencerecord" in name.lower() for name in container.members)
    found = {name: _PLACES.fullmatch(name) for name in container.members if name.startswith(OWN)}
    return sorted(name for name, place in found.items() if place is None or (place["cades"] and not cms))


def _compare(container: Container, seen: _Seen) -> list[Reason]:
    """R2: manifests name exactly the objects, each with the type that the signature states."""
    wrong = set(seen.mismatches)
    if _is_not_simple(container):
        wrong.add(MIMETYPE)
    elif MANIFEST in container.members:
        entries = listed_files(container.members[MANIFEST], container.objects)
        if entries is None:
            wrong.add(MANIFEST)
        else:
            wrong |= set(entries) ^ set(container.objects)
            wrong |= {name for name, mime in entries.items() if mime and seen.types.get(name, mime) != mime}
    return [Reason(Code.MANIFEST_MISMATCH, {"name": name}) for name in sorted(wrong)]


# --- parts -----------------------------------------------------------------------------------------------------------


def parts_of(objects: Mapping[str, bytes], context: Context) -> tuple[tuple[tuple[str, Report], ...], list[Reason]]:
    """Judge the objects that may be signed themselves, one level deep; they only warn."""
    from signer.inspect import recognise

    left = context.limits.zip_max_bytes
    judged = []
    for name, value in objects.items():
        kind = recognise(value)
        if kind in _PART_KINDS:  # all containers within share what one may expand to
            own = replace(context, limits=replace(context.limits, zip_max_bytes=left))
            judged.append((name, _part(name, value, objects, own)))
            left = max(left - stated_bytes(value, limits=context.limits), 0) if kind == "asic" else left
    parts = tuple(judged)
    bad = [name for name, report in parts if report.signatures and report.verdict is not Verdict.VALID]
    return parts, [Reason(Code.PART_NOT_VALID, {"name": name}) for name in bad]


def _part(name: str, value: bytes, objects: Mapping[str, bytes], context: Context) -> Report:
    """Judge one object; a detached signature beside what it signs, by the name, is judged over that."""
    from signer.inspect import inspect_file

    signed = [name[: -len(end)] for end in _DETACHED if name.lower().endswith(end)]
    given = tuple(Content("", objects[one]) for one in signed if one in objects)
    if given:
        context = replace(context, contents=given)
    return inspect_file(value, context=context, with_parts=False)
