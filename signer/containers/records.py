"""Evidence records of a container (signing.md 6, R1; 7.2; EN 319 162-1, 4.3.3.4 and 4.4.3.4).

A record is over the one object of ASiC-S, or over the files its manifest names. For the signatures among these it is an
archive stamp: it proves that they, and what they carry, existed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from signer.containers.cades import Entry, faults_of, manifests, with_faults
from signer.containers.manifests import Manifest
from signer.containers.reading import OWN, Container
from signer.evidencerecord import Record, examine_record, read_record, unreadable
from signer.judge import Facts, Stamp
from signer.report import Integrity
from signer.trust import Context


def record_names(container: Container) -> tuple[str, ...]:
    """Return the names of evidence records, in their order."""
    own = (name for name in container.members if name.startswith(OWN) and "/" not in name.removeprefix(OWN))
    lower = ((name, name.lower()) for name in own)
    return tuple(
        sorted(
            name
            for name, small in lower
            if small.endswith(".ers")
            or ("evidencerecord" in small and small.endswith(".xml") and "manifest" not in small)
        )
    )


def find(entries: tuple[Entry, ...], container: Container, context: Context) -> tuple[Entry, ...]:
    """Add the evidence records of a container to its entries, and what they prove to the signatures they cover."""
    names = record_names(container)
    if not names:
        return entries
    listed, _ = manifests(container, context)
    own = {one.signature: one for one in listed}
    for name in names:
        entries = _added(name, own.get(name), entries, container=container, context=context)
    return entries


def _added(
    name: str, manifest: Manifest | None, entries: tuple[Entry, ...], *, container: Container, context: Context
) -> tuple[Entry, ...]:
    try:
        record = _read(name, container.members[name], context)
    except ValueError:
        return (*entries, Entry(name, unreadable(name)))
    names = _covered(manifest, container)
    facts, stamp = examine_record(name, record, [container.members[one] for one in names], context)
    facts = with_faults(facts, faults_of(manifest))
    covered = frozenset(names) if manifest is None else manifest.covered | {manifest.name}
    found = entries
    if facts.integrity is Integrity.INTACT:
        found = tuple(
            _proved(one, stamp, facts, covered, entries=entries, members=container.members) for one in entries
        )
    return (*found, Entry(name, facts, covered, (), stamp.token, stamp.imprint))


def _read(name: str, data: bytes, context: Context) -> Record:
    if name.lower().endswith(".xml"):
        from signer.evidencexml import read_xml_record

        return read_xml_record(data, limits=context.limits)
    return read_record(data)


def _covered(manifest: Manifest | None, container: Container) -> tuple[str, ...]:
    if manifest is not None:
        return tuple(one.name for one in manifest.references if one.name is not None)
    return tuple(container.objects)


def _proved(
    entry: Entry,
    stamp: Stamp,
    record: Facts,
    covered: frozenset[str],
    *,
    entries: tuple[Entry, ...],
    members: Mapping[str, bytes],
) -> Entry:
    """Give a signature whose file the record covers its stamps: the first one, and those that renewed it."""
    if entry.file not in covered:
        return entry
    held: list[bytes] = [members[name] for name in covered]
    digests: list[str] = []
    for one in entries:
        if one.file in covered:
            facts = one.facts
            held += [*facts.candidates, *facts.embedded.crls, *facts.embedded.ocsps]
            held += [each.token for each in facts.stamps] + ([one.token] if one.token else [])
            digests += [facts.value_sha256] if facts.value_sha256 else []
    digests += [hashlib.sha256(one).hexdigest() for one in held]
    first = replace(stamp, covers=tuple(dict.fromkeys((*digests, *stamp.covers))))
    stamps = (*entry.facts.stamps, *record.stamps, first)
    return replace(entry, facts=replace(entry.facts, stamps=stamps))
