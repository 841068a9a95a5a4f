"""Packing: from the parts of a story to the sealed file (ledger.md 10.1).

Promises: the same parts give the same members in the same order; nothing is put in that was not given. What later
chapters add (time tokens, cosignatures, a printed report) is left out, not feigned.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from transport.errors import LedgerError
from transport.evidence import layout
from transport.evidence.directory import write_directory
from transport.evidence.parts import EvidenceParts
from transport.ledger import checkpoint, proof, statement
from transport.ledger.canonical import Json, dump
from transport.ledger.event import Leaf, format_time, parse
from transport.ledger.extract import LogExtract, ProvedLeaf

if TYPE_CHECKING:
    from signer.credential import Credential
    from signer.timestamp import Timestamper
    from signer.trust import Context

MESSAGE_SCHEMA = "edoc.evidence.message/1"


def pack(
    parts: EvidenceParts,
    *,
    credential: Credential,
    at: datetime,
    timestamper: Timestamper | None = None,
    context: Context | None = None,
) -> bytes:
    """Return the sealed package (see ``transport.evidence.build``)."""
    from signer.asic import build_asice

    packed = members(parts, at=at)
    chain = credential.chain
    if chain:  # the path travels as sealed members: in the signature file it would be bytes nobody signed
        credential = replace(credential, chain=())
        for certificate in chain:
            packed[layout.digest_name("trust/certs/", certificate, "cer")] = certificate
    if context is not None:
        from transport.evidence.auditing import Question, report_at_export

        packed[layout.REPORT] = report_at_export(packed, Question(context, (), parts.directory, None, parts.software))
    packed[layout.MESSAGE] = _message(parts, packed, at)
    listed = [(name, packed[name], layout.media_type_of(name)) for name in sorted(packed)]
    if len(listed) > layout.MAX_MEMBERS:
        raise _refused(f"more than {layout.MAX_MEMBERS} members")
    return build_asice(listed, credential=credential, at=at, timestamper=timestamper)


def members(parts: EvidenceParts, *, at: datetime) -> dict[str, bytes]:
    """Return the members of a package by name, without seal, report and list."""
    packed: dict[str, bytes] = {layout.README: layout.README_TEXT.encode("utf-8")}
    for statement_file in parts.statements:
        found = statement.parse(statement_file)
        packed[f"ledger/keys/{found.agency_code}-{found.serial}.xml"] = statement_file
    _pack_envelope(parts, packed)
    _pack_logs(parts, packed)
    _pack_trust(parts, packed)
    if parts.openings:
        packed[layout.OPENINGS] = dump(_openings(parts))
    if parts.directory is not None:
        packed[layout.DIRECTORY] = write_directory(parts.directory)
    return packed


# --- the message -----------------------------------------------------------------------------------------------------


def _pack_envelope(parts: EvidenceParts, packed: dict[str, bytes]) -> None:
    if parts.envelope is None:
        return
    packed[layout.ENVELOPE] = parts.envelope
    if not parts.with_content:
        return
    attachments = attachments_of(parts.envelope)
    names = layout.content_names([name for name, _ in attachments])
    packed.update({name: data for name, (_, data) in zip(names, attachments, strict=True)})


def attachments_of(envelope: bytes) -> tuple[tuple[str, bytes], ...]:
    """Return names and bytes of the attachments of a sealed message in manifest order, its seal not judged.

    Raises ``LedgerError`` EDOC-LED-041 when the message cannot be read.
    """
    from edoc.envelopes import Envelope
    from edoc.seal import peek

    try:
        message = peek(envelope).message
    except EdocError as error:
        raise _refused("the envelope cannot be read") from error
    if not isinstance(message, Envelope):
        return ()
    return tuple((one.name, one.content) for one in message.attachments)


def _openings(parts: EvidenceParts) -> list[Json]:
    ordered = sorted(parts.openings, key=lambda one: (one.leaf, one.opening.field))
    return [
        {
            "leaf": one.leaf,
            "field": one.opening.field,
            "salt": one.opening.salt.hex(),
            "value": one.opening.value,
        }
        for one in ordered
    ]


# --- the logs --------------------------------------------------------------------------------------------------------


def _pack_logs(parts: EvidenceParts, packed: dict[str, bytes]) -> None:
    bytes_of = {sha256(data).hexdigest(): data for data in parts.evidence}
    kept = {sha256(data).hexdigest() for name, data in packed.items() if layout.role_of(name) == "statement"}
    number = 0
    for side, extracts in (("own", (parts.own,)), ("peer", parts.peer)):
        shift = 0
        for place, extract in enumerate(extracts, 1):
            _pack_checkpoint(extract.checkpoint, packed)
            suffix = "" if place == 1 else f"-{place}"
            packed[f"ledger/{side}/00-log-opened{suffix}.tlog-proof"] = extract.opened.proof.encode("utf-8")
            for one in extract.leaves:
                shift += 1
                leaf = _leaf(one)
                packed[f"ledger/{side}/{shift:02}-{leaf.kind}.tlog-proof"] = one.proof.encode("utf-8")
                digest = leaf.text("receipt") or ""
                if digest in bytes_of and digest not in kept:
                    number += 1
                    kept.add(digest)
                    name = layout.evidence_name(number, leaf.kind, leaf.text("rtype") or "")
                    packed[name] = bytes_of[digest]
    for text in parts.checkpoints:
        _pack_checkpoint(text, packed)
    for link in parts.consistency:
        name = f"{layout.log_folder(link.origin)}consistency-{link.old}-{link.new}"
        packed[name] = proof.format_consistency(link.path).encode("ascii")


def _pack_checkpoint(text: str, packed: dict[str, bytes]) -> None:
    head, _ = checkpoint.read(text)
    packed[f"{layout.log_folder(head.origin)}checkpoint-{head.size}"] = text.encode("utf-8")


def _leaf(one: ProvedLeaf) -> Leaf:
    return parse(one.data)


# --- trust and list --------------------------------------------------------------------------------------------------


def _pack_trust(parts: EvidenceParts, packed: dict[str, bytes]) -> None:
    if parts.trust is None:
        return
    anchors = tuple(anchor.certificate for anchor in parts.trust.anchors)
    groups = (
        ("trust/certs/", "cer", anchors + parts.trust.intermediates),
        ("trust/crl/", "crl", parts.trust.crls),
        ("trust/ocsp/", "ors", parts.trust.ocsps),
    )
    for folder, suffix, files in groups:
        for data in files:
            packed[layout.digest_name(folder, data, suffix)] = data


def _message(parts: EvidenceParts, packed: dict[str, bytes], at: datetime) -> bytes:
    leaves = [_leaf(one) for one in parts.own.leaves]
    document = next((leaf.text("doc") for leaf in leaves if leaf.text("doc")), None)
    sender = next((leaf.text("from") for leaf in leaves if leaf.text("from")), None)
    facts: dict[str, Json] = {
        "schema": MESSAGE_SCHEMA,
        "message": parts.message_id,
        "to": sorted({to for leaf in leaves if (to := leaf.text("to")) is not None}),
        "made_at": format_time(at),
        "software": parts.software,
        "logs": [_log(extract) for extract in (parts.own, *parts.peer)],
        "members": [_member(name, packed[name]) for name in sorted(packed)],
    }
    facts |= {key: value for key, value in (("document", document), ("from", sender)) if value is not None}
    return dump(facts)


def _log(extract: LogExtract) -> Json:
    return {"origin": extract.origin, "size": extract.size}


def _member(name: str, data: bytes) -> Json:
    return {
        "name": name,
        "role": layout.role_of(name) or "",
        "media_type": layout.media_type_of(name),
        "size": len(data),
        "sha256": sha256(data).hexdigest(),
    }


def _refused(detail: str) -> LedgerError:
    return LedgerError("EDOC-LED-041", f"the package cannot be built: {detail}", detail=detail)
