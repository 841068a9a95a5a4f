"""What the node can prove: its metadata, and the evidence package of a message (exchange.md 8, ledger.md 10)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from edoc import __version__
from transport import evidence as packages
from transport.errors import LedgerError
from transport.evidence import AuditResult, EvidenceParts, LeafOpening
from transport.evidence.package import EventFile
from transport.http.wire import MESSAGE_TYPE, RECEIPT_TYPE
from transport.http.wire.fields import UPLOAD_DRAFT
from transport.http.wire.signatures import ALGORITHMS
from transport.ledger import event
from transport.ledger.extract import LogExtract, ProvedLeaf
from transport.node import looking
from transport.node.office import Office, milliseconds
from transport.receiptform import format_time
from transport.store.behind import bytes_behind
from transport.store.values import SentMessage

SOFTWARE = f"edoc {__version__}"


@dataclass(frozen=True, slots=True)
class Asked:
    """How a package is wanted: one recipient, no content, what to withhold, a package of the other side, by whom."""

    person: str
    recipient: str | None = None
    content: bool = True
    withhold: tuple[str, ...] = ()
    peer: bytes | None = None


@dataclass(frozen=True, slots=True)
class Package:
    """A built package: its bytes, the kinds of its events, the checkpoint it stands on, and its audit."""

    data: bytes
    sha256: str
    events: tuple[str, ...]
    origin: str
    size: int
    audit: AuditResult


@dataclass(frozen=True, slots=True)
class OtherSide:
    """What a package of the other side adds: its log's part, the bytes behind its leaves, its key statements."""

    extract: LogExtract
    evidence: tuple[bytes, ...]
    statements: tuple[bytes, ...]


def metadata(office: Office, now: datetime) -> dict[str, object]:
    """Return the node's metadata: endpoint, agencies, keys, protocol, limits, ledger (exchange.md 8)."""
    head = office.store.read(office.log.head)
    members: dict[str, object] = {
        "version": 1,
        "node": office.node_name,
        "issued_at": format_time(milliseconds(now)),
        "expires_at": format_time(milliseconds(now) + METADATA_LASTS),
        "endpoint": office.settings.endpoint,
        "agencies": [_own_agency(office)],
        "keys": _own_keys(office, now),
        "protocol": {
            "versions": ["v1"],
            "media_types": [MESSAGE_TYPE, RECEIPT_TYPE],
            "algorithms": sorted(ALGORITHMS),
            "receipt_level": "B-T" if office.timestamper is not None else "B-B",
            "upload_draft": UPLOAD_DRAFT,
            "features": ["pull", *(["resumable-upload"] if office.settings.resumable_upload else [])],
        },
        "limits": office.settings.limits,
        "ledger": {
            "origin": head.origin,
            "vkey": office.log.signer.vkey if office.log.signer else None,
            "url": f"/edoc-ledger/{head.shard}",
            "keys": f"/edoc-ledger/{head.shard}/keys.xml",
            "heads": [head.note],
        },
    }
    return members


METADATA_LASTS = timedelta(days=7)


def _own_agency(office: Office) -> dict[str, object]:
    known = office.directory().get(office.code)
    return {
        "code": office.code,
        "former": list(known.old_codes) if known else [],
        "name": office.name,
        "delivery": office.settings.delivery,
        "successor": known.successor if known else None,
    }


def _own_keys(office: Office, now: datetime) -> list[dict[str, object]]:
    """Return what others need of our keys: certificates, or the bare key that signs requests; never the keys."""
    found: list[dict[str, object]] = []
    if office.exchange is not None:
        chain = [base64.b64encode(der).decode("ascii") for der in office.exchange.chain]
        shown = {"use": "exchange", "agency": office.code, "chain": chain}
        found.append({**_certificate(office.exchange.certificate, now), **shown})
    if office.request is not None:
        spki = office.request.private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        bare = {"spki": base64.b64encode(spki).decode("ascii"), "sha256": hashlib.sha256(spki).hexdigest()}
        found.append({**bare, "use": "request", "not_before": None, "not_after": None, "status": "active"})
    if office.channel is not None:
        found.append({**_certificate(office.channel, now), "use": "tls"})
    return found


def _certificate(der: bytes, now: datetime) -> dict[str, object]:
    from cryptography import x509

    certificate = x509.load_der_x509_certificate(der)
    begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    return {
        "certificate": base64.b64encode(der).decode("ascii"),
        "sha256": hashlib.sha256(der).hexdigest(),
        "not_before": format_time(begins),
        "not_after": format_time(ends),
        "status": "next" if now < begins else "active" if now <= ends else "retired",
    }


def evidence(office: Office, ref: str, asked: Asked, *, now: datetime) -> Package:
    """Build the package of a message, seal and audit it, and note the export in the ledger (``exported``).

    Raises:
        RefError: nothing fits the name, or several do.
        LedgerError: the log knows nothing of the message, or the other side's package cannot be read.
    """
    found = looking.find(office, ref, now)
    message_id = found.message_id if isinstance(found, SentMessage) else found.key.message_id
    own = office.store.read(lambda connection: office.log.extract(connection, message_id, recipient=asked.recipient))
    other = read_other_side(asked.peer) if asked.peer is not None else None
    trust = office.trust(now)
    parts = EvidenceParts(
        message_id=message_id,
        own=own,
        peer=(other.extract,) if other else (),
        envelope=office.store.fetch(found.sha256),
        with_content=asked.content,
        evidence=(*_evidence_of(office, own), *(other.evidence if other else ())),
        statements=(*_statements(office), *(other.statements if other else ())),
        openings=_openings(office, own, withhold=asked.withhold),
        trust=trust,
        directory=office.directory(),
        software=SOFTWARE,
    )
    context = office.context(now)
    data = packages.build(parts, credential=office.exchange_key(), at=milliseconds(now), context=context)
    digest = hashlib.sha256(data).hexdigest()
    _note_export(office, message_id, digest, asked, now)
    audit = packages.audit(data, context=context, directory=office.directory(), software=SOFTWARE)
    kinds = tuple(event.parse(leaf.data).kind for leaf in own.leaves)
    return Package(data, digest, kinds, own.origin, own.size, audit)


def _evidence_of(office: Office, extract: LogExtract) -> tuple[bytes, ...]:
    """Return the bytes behind the leaves' ``receipt``, as far as they are kept here."""
    found = []
    for digest in {event.parse(leaf.data).text("receipt") for leaf in extract.leaves}:
        data = bytes_behind(office.store, digest) if digest else None
        if data is not None:
            found.append(data)
    return tuple(sorted(found))


def _statements(office: Office) -> tuple[bytes, ...]:
    rows = office.store.read(
        lambda connection: connection.exec_driver_sql(
            "SELECT xml FROM ledger_keys WHERE agency = ? ORDER BY serial", (office.code,)
        ).all()
    )
    return tuple(bytes(row[0]) for row in rows)


def _openings(office: Office, extract: LogExtract, *, withhold: Sequence[str]) -> tuple[LeafOpening, ...]:
    found = []
    for leaf in extract.leaves:
        digest = event.leaf_hash(leaf.data)
        for one in office.store.read(partial(office.log.openings, leaf=digest)):
            if one.field not in withhold:
                found.append(LeafOpening(digest.hex(), one))
    return tuple(found)


def _note_export(office: Office, message_id: str, digest: str, asked: Asked, now: datetime) -> None:
    office.store.do(
        lambda unit: office.append(
            unit,
            "exported",
            at=now,
            evidence=digest,
            rtype="file",
            people={"actor": asked.person},
            fields={"msg": message_id},
        )
    )


def read_other_side(data: bytes) -> OtherSide:
    """Take the other side's own part out of its package; what it says is checked by the audit, not here.

    Raises:
        LedgerError: it is no evidence package, or its proofs cannot be read.
    """
    from signer.asic import read_container
    from signer.errors import SignerError
    from transport.evidence.package import Package as Opened

    try:
        opened = Opened(read_container(data).members)
    except SignerError:
        raise LedgerError("EDOC-LED-040", "the other side's file is no evidence package") from None
    own = [one for one in opened.events if one.name.startswith("own/")]
    binding = next((one for one in own if one.binding), None)
    leaves = [proved for one in own if not one.binding and (proved := _proved(one)) is not None]
    bound = _proved(binding) if binding is not None else None
    if binding is None or binding.head is None or bound is None or not leaves or binding.proof is None:
        raise LedgerError("EDOC-LED-041", "the other side's package has no proofs", detail="ledger/own")
    extract = LogExtract(binding.head.origin, binding.head.size, binding.proof.checkpoint, bound, tuple(leaves))
    receipts = tuple(data for name, data in opened.members.items() if name.startswith("receipts/"))
    return OtherSide(extract, receipts, tuple(one.data for one in opened.statements))


def _proved(one: EventFile) -> ProvedLeaf | None:
    if one.proof is None or one.proof.extra is None:
        return None
    return ProvedLeaf(one.proof.index, one.proof.extra, str(one.proof))
