"""CAdES signatures, time stamps and their manifests in a container (signing.md 6, R1, R2; EN 319 162-1, 4.3.3, 4.4.4).

In ASiC-S a signature or token is over the one object, in ASiC-E over a manifest that names objects by digest. A token
over a manifest of signatures is an archive stamp of these: it proves that they, and what they carry, existed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from signer import asn1
from signer.cades.content import Octets
from signer.cades.examine import Setting, examine, examine_token
from signer.cades.forms import unwrap
from signer.containers.manifests import Manifest, read_manifest
from signer.containers.reading import OWN, Container
from signer.judge import Facts, Stamp
from signer.report import Code, Covers, Crypto, Integrity, Reason
from signer.timestamp import Imprint
from signer.trust import Context


@dataclass(frozen=True, slots=True)
class Entry:
    """A signature or token of a container, the file it stands in, and the members that it covers."""

    file: str
    facts: Facts
    covered: frozenset[str] = frozenset()
    types: tuple[tuple[str, str], ...] = ()  # media types stated for objects
    token: bytes = b""
    imprint: Imprint = b""  # what a token is over
    is_counter: bool = False  # a signature over another one's value


@dataclass(frozen=True, slots=True)
class Found:
    """All entries of this kind, and manifests that disagree with the files."""

    entries: tuple[Entry, ...] = ()
    mismatches: tuple[str, ...] = ()


def signature_names(container: Container) -> tuple[str, ...]:
    """Return the names of CAdES signatures and tokens, in their order."""
    own = (name for name in container.members if name.startswith(OWN) and "/" not in name.removeprefix(OWN))
    return tuple(sorted(name for name in own if name.lower().endswith((".p7s", ".p7m", ".tst"))))


def manifest_names(container: Container) -> tuple[str, ...]:
    """Return the names of manifests of signatures, tokens and records, in their order."""
    own = (name for name in container.members if name.startswith(OWN))
    return tuple(sorted(name for name in own if "asic" in name.lower() and "manifest" in name.lower()))


def manifests(container: Container, context: Context) -> tuple[tuple[Manifest, ...], tuple[str, ...]]:
    """Return the manifests of signatures, tokens and records, and the names of those that cannot be read."""
    known: dict[tuple[str, str], bytes] = {}
    names = manifest_names(container)
    read = {name: read_manifest(name, container.members, limits=context.limits, known=known) for name in names}
    unreadable = tuple(name for name, one in read.items() if one is None)
    return tuple(one for one in read.values() if one is not None), unreadable


def find(container: Container, context: Context) -> Found:
    """Examine every CAdES signature and token of a container."""
    listed, unreadable = manifests(container, context)
    mismatches = list(unreadable)
    by_signature: dict[str, list[Manifest]] = {}
    for one in listed:
        if one.signature is None:
            mismatches.append(one.name)
        else:
            by_signature.setdefault(one.signature, []).append(one)
        mismatches += [each.uri for each in one.references if each.name is None]
    entries: list[Entry] = []
    for name in signature_names(container):
        own = by_signature.get(name, [])
        if len(own) > 1:
            mismatches += [one.name for one in own]
        found = _entries(name, own[0] if len(own) == 1 else None, container, context)
        lost = len(own) != 1 and bool(mismatches)  # its manifest is one of those that disagree
        entries += [replace(one, facts=_astray(one.facts, name)) if lost else one for one in found]
    return Found(tuple(entries), tuple(dict.fromkeys(mismatches)))


def _astray(facts: Facts, name: str) -> Facts:
    why = (Reason(Code.FORMAT_FAILURE), Reason(Code.MANIFEST_MISMATCH, {"name": name}))
    return replace(facts, integrity=Integrity.BROKEN, structural=(*facts.structural, *why))


def _entries(name: str, manifest: Manifest | None, container: Container, context: Context) -> list[Entry]:
    data = container.members[name]
    try:
        (form,) = unwrap(data)
        signed = asn1.read_signed_data(form.data)
    except ValueError:
        return [Entry(name, _unreadable(name))]
    content, covered, types = _content(manifest, container)
    faults = faults_of(manifest)
    if signed.content_type == "tst_info":
        octets = content.data if content is not None else b""
        try:
            facts = examine_token(name, form.data, content=content, context=context)
        except ValueError:
            return [Entry(name, _unreadable(name))]
        return [Entry(name, with_faults(facts, faults), covered, (), form.data, octets)]
    if signed.content is None and content is None and (fitting := _fitting(signed, container)) is not None:
        content, covered = Octets(container.objects[fitting]), frozenset({fitting})
    setting = Setting(signed, content, context, beside=_certificates(container))
    if signed.content is not None:
        setting = replace(setting, content=Octets(signed.content), other=(content,) if content is not None else ())
    found = [each for n, info in enumerate(signed.signers) for each in examine(f"signer-{n}", info, setting)]
    if not found:
        return [Entry(name, _unreadable(name))]
    entries = []
    for one in found[: context.limits.signatures]:
        counter = "/counter-" in one.id  # as ``examine`` names them; the name of the file is a stranger's
        facts = replace(one if counter else with_faults(one, faults), id=f"{name}#{one.id}")
        entries.append(Entry(name, facts, frozenset() if counter else covered, types, is_counter=counter))
    return entries


def _content(
    manifest: Manifest | None, container: Container
) -> tuple[Octets | None, frozenset[str], tuple[tuple[str, str], ...]]:
    """Return what is signed: the manifest, or the one object there is; and the members and types that covers."""
    if manifest is not None:
        types = tuple((one.name, one.media_type) for one in manifest.references if one.name and one.media_type)
        return Octets(container.members[manifest.name]), manifest.covered | {manifest.name}, types
    objects = container.objects
    if len(objects) != 1:
        return None, frozenset(), ()
    ((name, data),) = objects.items()
    return Octets(data), frozenset({name}), ()


def _fitting(signed: asn1.SignedData, container: Container) -> str | None:
    """Return the object that a signature without a manifest is over, if its digest says so."""
    for info in signed.signers[:1]:
        for name, data in container.objects.items():
            digest = Octets(data).digest(info.digest)
            if digest is not None and any(
                digest in value for values in info.values("message_digest") for value in values
            ):
                return name
    return None


def _certificates(container: Container) -> tuple[bytes, ...]:
    return tuple(data for name, data in container.objects.items() if name.lower().endswith((".cer", ".crt")))[:50]


def faults_of(manifest: Manifest | None) -> tuple[Reason, ...]:
    """Say which objects of a manifest differ from what was signed, are absent, or cannot be hashed."""
    found = []
    for one in manifest.references if manifest is not None else ():
        if one.holds is False:
            found.append(Reason(Code.HASH_FAILURE, {"part": one.name or one.uri}))
        elif one.name is None:
            found.append(Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": one.uri}))
        elif one.holds is None:
            unknown = {"algorithm": one.digest or "-"}
            found += [Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, unknown), Reason(Code.ALGORITHM_UNSUPPORTED, unknown)]
    return tuple(found)


def with_faults(facts: Facts, faults: tuple[Reason, ...]) -> Facts:
    """Add what is wrong with the objects: a differing one breaks the signature, an absent one leaves it open."""
    if not faults:
        return facts
    facts = replace(facts, structural=(*faults, *facts.structural))
    if any(one.code is Code.HASH_FAILURE for one in faults):
        return replace(facts, crypto=Crypto.BAD, integrity=Integrity.BROKEN)
    open_ = facts.crypto is Crypto.OK and facts.integrity is not Integrity.BROKEN
    return replace(facts, crypto=Crypto.UNKNOWN, integrity=Integrity.UNKNOWN) if open_ else facts


def _unreadable(name: str) -> Facts:
    kind = "timestamp" if name.lower().endswith(".tst") else "signature"
    why = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": name}))
    level = "RFC3161" if kind == "timestamp" else "CMS"
    return Facts(name, Crypto.UNKNOWN, Integrity.BROKEN, Covers.PARTIAL, level, None, structural=why, kind=kind)


# --- what tokens prove -----------------------------------------------------------------------------------------------


def archived(entries: Iterable[Entry], container: Container) -> tuple[Entry, ...]:
    """Give every signature the tokens over its file as archive stamps (signing.md 7.2)."""
    listed = tuple(entries)
    tokens = [one for one in listed if one.token and one.facts.integrity is Integrity.INTACT]
    found = []
    for one in listed:
        own = tuple(_archive(token, listed, container.members) for token in tokens if one.file in token.covered)
        found.append(replace(one, facts=replace(one.facts, stamps=(*one.facts.stamps, *own))))
    return tuple(found)


def _archive(token: Entry, entries: tuple[Entry, ...], members: Mapping[str, bytes]) -> Stamp:
    """Describe a token as archive stamp: it covers the files it names, and what these carry."""
    held: list[bytes] = [members[name] for name in token.covered]
    digests: list[str] = []
    for one in entries:
        if one.file not in token.covered:
            continue
        facts = one.facts
        held += [*facts.candidates, *facts.embedded.crls, *facts.embedded.ocsps]
        held += [stamp.token for stamp in facts.stamps]
        held += [one.token] if one.token else []
        digests += [facts.value_sha256] if facts.value_sha256 else []
    digests += [hashlib.sha256(one).hexdigest() for one in held]
    return Stamp(token.facts.id, "archive", token.token, token.imprint, tuple(dict.fromkeys(digests)))
