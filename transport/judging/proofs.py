"""Proofs and checkpoints of a ledger as files to verify (ledger.md 2, 3; console.md 5.1, kind *proof*).

The mathematics (signature over the checkpoint, path from the leaf to its root) is settled with any key at hand; who the
log belongs to only by a key statement that the caller's trust covers. Without a key the answer is *indeterminate*.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from signer.algorithms import PolicyName
from signer.judge import FileFacts, Judged, report_of
from signer.report import (
    Algorithm,
    Code,
    Covers,
    Crypto,
    Indication,
    Integrity,
    Reason,
    Report,
    SignatureReport,
    Signer,
    indication_of,
    worst_first,
)
from signer.trust import Context
from transport.judging.logkeys import KeyInHand, raw_keys
from transport.ledger import checkpoint as checkpoints
from transport.ledger.checkpoint import Checkpoint
from transport.ledger.keys import ED25519, NoteInvalid
from transport.ledger.merkle import ProofInvalid, leaf_hash, verify_inclusion
from transport.ledger.note import Note, verify
from transport.ledger.note import Signature as NoteSignature
from transport.ledger.proof import HEADER, LogProof
from transport.ledger.proof import parse as parse_proof

LEVEL = "SIGNED-NOTE"
PROOF, CHECKPOINT = "tlog-proof", "tlog-checkpoint"
_NOTE = re.compile(rb"[^\n]{1,200}\n(?:0|[1-9][0-9]{0,18})\n[A-Za-z0-9+/]{43}=\n(?:[^\n]+\n)*\n\xe2\x80\x94 ")
_HEADER = re.compile(rb"c2sp\.org/tlog-proof@v\d+\n")


def recognise_proof(data: bytes) -> str | None:
    """Return ``tlog-proof`` or ``tlog-checkpoint``, or ``None`` if the bytes are neither."""
    if _HEADER.match(data[:64]):
        return PROOF
    return CHECKPOINT if _NOTE.match(data[:8192]) else None


@dataclass(frozen=True, slots=True)
class _Found:
    """What stands in the file, and what does not hold in it whatever the key."""

    head: Checkpoint
    note: Note
    format: str
    faults: tuple[Reason, ...] = ()
    missing: tuple[Reason, ...] = field(default=())


def judge_proof(data: bytes, *, context: Context, keys: Sequence[KeyInHand] = (), leaf: bytes | None = None) -> Report:
    """Judge a proof or checkpoint; never raises for what it contains. ``leaf``: the hash it must be about."""
    kind = recognise_proof(data)
    try:
        if kind is None:
            raise NoteInvalid("neither a proof nor a checkpoint")
        found = _proof(parse_proof(data), context, leaf) if kind == PROOF else _checkpoint(data)
    except (NoteInvalid, ProofInvalid) as error:
        known = data.startswith(HEADER.encode("ascii")) or kind == CHECKPOINT
        where = Reason(Code.MALFORMED, {"where": str(error)[:100]})
        reason = where if known else Reason(Code.UNSUPPORTED_FORMAT)
        return report_of(FileFacts("proof", kind, data, reasons=(reason,), broken=known), (), context=context)
    signatures = _signatures(found, context, (*keys, *raw_keys(context.public_keys, found.head.origin)))
    judged = [Judged(_concluded(one, context)) for one in signatures]
    return report_of(FileFacts("proof", found.format, data), judged, context=context)


def _checkpoint(data: bytes) -> _Found:
    head, note = checkpoints.read(data)
    return _Found(head, note, CHECKPOINT)


def _proof(proof: LogProof, context: Context, leaf: bytes | None) -> _Found:
    """Check the path against the root that the checkpoint states; the leaf is inside, given, or expected."""
    head, note = checkpoints.read(proof.checkpoint)
    found = _Found(head, note, PROOF)
    given = [leaf] if leaf else [leaf_hash(content.data) for content in context.contents]
    leaves = [leaf_hash(proof.extra)] if proof.extra is not None else given
    named = bool(context.contents) and all(content.name for content in context.contents)
    others = leaf is None and proof.extra is None and named and not any(_leads(proof, one, head) for one in leaves)
    if not leaves or others:
        return replace(found, missing=(Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": f"{head.origin} [{proof.index}]"}),))
    agree = leaf is None or leaf in leaves
    if agree and any(_leads(proof, one, head) for one in leaves):
        return found
    return replace(found, faults=(Reason(Code.HASH_FAILURE, {"part": f"{head.origin} [{proof.index}]"}), _INVALID))


_INVALID = Reason(Code.PROOF_INVALID)


def _leads(proof: LogProof, leaf: bytes, head: Checkpoint) -> bool:
    try:
        verify_inclusion(proof.index, head.size, leaf, proof.path, head.root)
    except ProofInvalid:
        return False
    return True


def _signatures(found: _Found, context: Context, keys: Sequence[KeyInHand]) -> list[SignatureReport]:
    """Return the log's own signature, and the witnesses' whose keys are at hand: what others sign proves a time."""
    own, *others = [_key_of(line, keys) for line in found.note.signatures]
    witnesses = [_witness(found, context, key, number) for number, key in enumerate(others, start=1) if key is not None]
    return [_signature(found, context, own), *witnesses]


def _key_of(line: NoteSignature, keys: Sequence[KeyInHand]) -> KeyInHand | None:
    """Return the key of a line: a certified one before a bare one, and a withdrawal is never overlooked."""
    fitting = [one for one in keys if (one.key.name, one.key.id) == (line.name, line.id)]
    return min(fitting, key=lambda one: (not one.certified, one.withdrawn is None), default=None)


def _signature(found: _Found, context: Context, key: KeyInHand | None) -> SignatureReport:
    reasons = [*found.faults, *found.missing]
    crypto = Crypto.UNKNOWN
    if key is not None:
        crypto = _mathematics(found.note, key)
    if crypto is Crypto.BAD:
        reasons.insert(0, Reason(Code.SIG_CRYPTO_FAILURE))
    if key is None or not key.certified:
        reasons.append(Reason(Code.NO_SIGNING_CERTIFICATE_FOUND))
    else:
        reasons += _time_reasons(key, context)
    integrity = Integrity.INTACT if crypto is Crypto.OK and not found.missing else Integrity.UNKNOWN
    if crypto is Crypto.BAD or found.faults:
        integrity = Integrity.BROKEN
    return replace(_base(found, context, key, crypto), integrity=integrity, reasons=tuple(reasons))


def _witness(found: _Found, context: Context, key: KeyInHand, number: int) -> SignatureReport:
    """A cosignature says since when the checkpoint exists; like any stand-alone stamp it counts when it is broken."""
    crypto = _mathematics(found.note, key)
    reasons = [] if crypto is Crypto.OK else [Reason(Code.SIG_CRYPTO_FAILURE)]
    reasons += _time_reasons(key, context) if key.certified else [Reason(Code.NO_SIGNING_CERTIFICATE_FOUND)]
    base = _base(found, context, key, crypto)
    integrity = Integrity.INTACT if crypto is Crypto.OK else Integrity.BROKEN
    name = f"witness-{number}"
    return replace(base, id=name, kind="timestamp", integrity=integrity, reasons=tuple(reasons))


def _mathematics(note: Note, key: KeyInHand) -> Crypto:
    try:
        return Crypto.OK if verify(note, (key.key,)) else Crypto.UNKNOWN
    except NoteInvalid:
        return Crypto.BAD


def _time_reasons(key: KeyInHand, context: Context) -> list[Reason]:
    """A checkpoint carries no time of its own, so the key must be in force at the moment of judgement."""
    if key.withdrawn is not None and key.withdrawn <= context.at:
        return [Reason(Code.REVOKED_NO_POE, {"time": key.withdrawn.isoformat()})]
    early = key.not_before is not None and context.at < key.not_before
    late = key.not_after is not None and context.at > key.not_after
    return [Reason(Code.OUT_OF_BOUNDS_NO_POE)] if early or late else []


def _base(found: _Found, context: Context, key: KeyInHand | None, crypto: Crypto) -> SignatureReport:
    own = found.note.signatures[0].name
    signed = key.report.signatures[0] if key is not None and key.report is not None else None
    who = signed.signer if signed else Signer()
    ed25519 = key is None or key.key.type == ED25519 or key.key.name != own
    algorithm = Algorithm("Ed25519", "SHA-512", "Ed25519", 255, None, False) if ed25519 else None
    return SignatureReport(
        id="log",
        name=key.agency if key is not None and key.agency else own,
        indication=Indication.INDETERMINATE,
        sub_indication=None,
        integrity=Integrity.UNKNOWN,
        crypto=crypto,
        covers=Covers.WHOLE,
        level=LEVEL,
        best_signature_time=context.at,
        signer=replace(who, name=who.name or own),
        algorithm=algorithm if key is not None else None,
        chain=signed.chain if signed else (),
        revocation=signed.revocation if signed else (),
        warnings=(),
    )


def _concluded(signature: SignatureReport, context: Context) -> SignatureReport:
    """Take the first sub-indication; under *integrity-only* what concerns trust is left out (console.md 5.4)."""
    reasons = tuple(replace(reason, signature=signature.id) for reason in signature.reasons)
    warnings: tuple[Reason, ...] = ()
    if context.policy is PolicyName.INTEGRITY_ONLY:
        kept: tuple[Code, ...] = (
            Code.HASH_FAILURE,
            Code.SIG_CRYPTO_FAILURE,
            Code.SIGNED_DATA_NOT_FOUND,
            Code.PROOF_INVALID,
        )
        if signature.crypto is Crypto.UNKNOWN:
            kept = (*kept, Code.NO_SIGNING_CERTIFICATE_FOUND)
        reasons = tuple(reason for reason in reasons if reason.code in kept)
        warnings = (Reason(Code.TRUST_NOT_EVALUATED, signature=signature.id),)
    elif signature.crypto is Crypto.OK:
        strict = context.policy is PolicyName.STRICT and signature.kind != "timestamp"
        lack = Reason(Code.SIG_CONSTRAINTS_FAILURE, {"detail": "time stamp"}, signature.id)
        reasons = (*reasons, lack) if strict else reasons
        warnings = () if strict else (Reason(Code.SIGNING_TIME_NOT_PROVED, signature=signature.id),)
    sub = worst_first(tuple(reason.code for reason in reasons))
    ordered = tuple(sorted(reasons, key=lambda reason: reason.code is not sub))
    indication = indication_of(sub)
    if sub is None and context.policy is PolicyName.INTEGRITY_ONLY:
        indication = Indication.INDETERMINATE
    return replace(signature, indication=indication, sub_indication=sub, reasons=ordered, warnings=warnings)
