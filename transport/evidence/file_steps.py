"""Steps 1 to 3 of the audit: the container, its seal, the content (ledger.md 10.2)."""

from __future__ import annotations

from hashlib import sha256

from edoc.errors import EdocError
from transport.errors import LedgerError
from transport.evidence import layout
from transport.evidence.case import Case, Finding, broken, judged, not_proved, proved
from transport.evidence.packing import attachments_of
from transport.evidence.result import Result, combined
from transport.evidence.sealing import (
    inspect_package_seal,
    listed_in_manifest,
    manifest_as_written,
    seal_as_written,
    sealed_names,
)
from transport.ledger.event import Leaf, file_fields


def container(case: Case) -> list[Finding]:
    """1: strict ZIP and layout; names safe and unique; the manifest lists exactly the sealed members."""
    if case.container_faults:
        return [broken(case.container_faults[0])]
    members = case.package.members
    foreign = [name for name in members if layout.role_of(name) is None]
    if foreign:
        return [broken("layout", member=foreign[0])]
    listed = case.package.listed or {}
    for name, digest in listed.items():
        if name in members and sha256(members[name]).hexdigest() != digest:
            return [broken("member-digest", member=name)]
    if "mimetype" not in members or layout.MANIFEST not in members:
        return [not_proved("mimetype-missing" if "mimetype" not in members else "manifest-missing")]
    if members["mimetype"] != layout.MEDIA_TYPE.encode("ascii"):
        return [broken("mimetype")]
    return [_manifest(case)]


def _manifest(case: Case) -> Finding:
    entries = listed_in_manifest(case.package.members[layout.MANIFEST])
    if entries is None:
        return broken("manifest")
    sealed = sealed_names(case.package)
    if sealed is not None and any(layout.role_of(name) is None for name in sealed):
        return broken("layout", member=min(sealed))
    outside = {name for name in case.package.members if not name.startswith("META-INF/") and name != "mimetype"}
    if sealed is None:
        return proved() if entries >= outside else broken("manifest-differs")
    if outside - sealed:
        return broken("unsealed-member", member=min(outside - sealed))
    if entries != sealed or case.package.members[layout.MANIFEST] != manifest_as_written(sealed):
        return broken("manifest-differs", member=min(entries ^ sealed, default=layout.MANIFEST))
    if not all(seal_as_written(data) for _, data in case.package.by_role("signature")):
        return broken("not-as-written")
    return proved()


def seal(case: Case) -> list[Finding]:
    """2: XAdES over every member, by a certificate good at its trusted time."""
    names = sealed_names(case.package)
    if names is None:
        signed = any(True for _ in case.package.by_role("signature"))
        return [broken("seal-form") if signed else not_proved("seal-missing")]
    words = []
    for report in inspect_package_seal(case.package, context=case.context):
        words.append(case.word_of(report))
        case.identify("exporter", report, code=None)
    result = combined(word for word, _ in words)
    missing = names - set(case.package.members)
    if missing and result is not Result.BROKEN:
        return [not_proved("member-missing", member=min(missing))]
    return [judged(result, tuple(dict.fromkeys(code for _, codes in words for code in codes)))]


def content(case: Case) -> list[Finding]:
    """3: the attachments in the package, in the sealed message and in the leaves are the same."""
    stored = dict(case.package.by_role("content"))
    if case.package.envelope is None:
        return [not_proved("envelope-missing")]
    try:
        attachments = attachments_of(case.package.envelope)
    except (LedgerError, EdocError):
        return [broken("envelope-unreadable")]
    digests = [sha256(data).hexdigest() for _, data in attachments]
    wrong = next((leaf for leaf in case.package.leaves if not _fits(leaf, digests)), None)
    if wrong is not None:
        return [broken("files-differ", leaf=wrong.sha256)]
    names = layout.content_names([name for name, _ in attachments])
    expected = {name: data for name, (_, data) in zip(names, attachments, strict=True)}
    if any(stored.get(name, data) != data for name, data in expected.items()) or set(stored) - set(expected):
        return [broken("content-differs")]
    if set(stored) != set(expected):
        return [not_proved("content-left-out")]
    if not any("files" in leaf.fields or "files_root" in leaf.fields for leaf in case.package.leaves):
        return [not_proved("files-not-logged")]
    return [proved(attachments=str(len(digests)))]


def _fits(leaf: Leaf, digests: list[str]) -> bool:
    """Whether a leaf that names files names these: one by one, or by their root."""
    if "files" not in leaf.fields and "files_root" not in leaf.fields:
        return True
    expected = file_fields(digests)
    found = {name: leaf.fields[name] for name in ("files", "files_root") if name in leaf.fields}
    return {name: _plain(value) for name, value in found.items()} == {k: _plain(v) for k, v in expected.items()}


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else value
