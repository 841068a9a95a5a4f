"""One signature in a report: the three questions, its times, changes, certificates, status answers (signing.md 1.2)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from signer.report import ChainLink, Code, Covers, Indication, Integrity, Reason, Revocation, SignatureReport, Timestamp
from transport.present import catalogue
from transport.present.reports import blocks
from transport.present.reports.blocks import Block, Node, Picture
from transport.present.reports.words import Words
from transport.present.text import person_date, person_time
from transport.present.verdicts import who
from transport.present.verify import Judgement, change_text

_BY_INTEGRITY = {Integrity.INTACT: "good", Integrity.BROKEN: "bad", Integrity.UNKNOWN: "open"}
_BY_INDICATION = {Indication.PASSED: "good", Indication.FAILED: "bad", Indication.INDETERMINATE: "open"}
_OF_BYTES = frozenset({Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE, Code.FORMAT_FAILURE})
_TITLES = {"timestamp": "part_timestamp", "seal": "part_seal"}


def described(signature: SignatureReport, number: int, how: Judgement, words: Words) -> Iterator[Block]:
    """Return everything about one signature."""
    title = _TITLES.get(signature.kind, "part_signature")
    yield blocks.heading(3, words(title, n=number, who=who(signature, words.lang)))
    yield blocks.answers(
        (
            (words("q_intact"), _BY_INTEGRITY[signature.integrity], _intact(signature, words)),
            (words("q_who"), _trust_tone(signature, how), _trusted(signature, how, words)),
            (words("q_when"), "good" if _is_proved(signature) else "open", _when(signature, words)),
        )
    )
    yield from _listed(words("part_reasons"), signature.reasons, words)
    yield from _listed(words("part_warnings"), signature.warnings, words)
    yield from _timeline(signature, how, words)
    yield from _changes(signature, words)
    yield from _chain(signature, words)
    yield from _status(signature, words)
    yield from _stamps(signature.timestamps, words)
    yield blocks.heading(4, words("part_details"))
    yield _details(signature, words)


def _text(reason: Reason, words: Words) -> str:
    return catalogue.reason(reason.code.value, reason.facts, words.lang)


def _listed(title: str, reasons: Sequence[Reason], words: Words) -> Iterator[Block]:
    if reasons:
        yield blocks.heading(4, title)
        yield blocks.points((reason.code.value, _text(reason, words)) for reason in reasons)


# --- three questions, three answers ----------------------------------------------------------------------------------


def _intact(signature: SignatureReport, words: Words) -> str:
    said = [words({Integrity.INTACT: "intact", Integrity.BROKEN: "broken"}.get(signature.integrity, "unknown"))]
    said.append(words(f"crypto_{signature.crypto.value}"))
    if signature.integrity is Integrity.INTACT:
        covered = ", ".join(signature.covered) or "-"
        facts = {"covered": covered} if signature.covers is Covers.PARTIAL else {}
        said.append(words(f"covers_{signature.covers.value}", **facts))
        said.append(words(f"later_{signature.later_changes.value}"))
    elif signature.later_changes.value == "suspect":
        said.append(words("later_suspect"))
    return " ".join(said)


def _trust_tone(signature: SignatureReport, how: Judgement) -> str:
    if how.policy == "integrity-only" or _bytes_fail(signature):
        return "open"
    return _BY_INDICATION[signature.indication]


def _bytes_fail(signature: SignatureReport) -> bool:
    """Tell whether the signature fails for its bytes: then who signed is not decided."""
    return signature.integrity is Integrity.BROKEN or signature.sub_indication in _OF_BYTES


def _trusted(signature: SignatureReport, how: Judgement, words: Words) -> str:
    name = who(signature, words.lang)
    if how.policy == "integrity-only":
        return words("not_judged", who=name)
    if _bytes_fail(signature):
        return words("trust_after_integrity", who=name)
    if signature.indication is Indication.PASSED:
        return words("trusted", who=name)
    reason = signature.reasons[0] if signature.reasons else None
    why = _text(reason, words) if reason else words("no_reason")
    return words("refuted" if signature.indication is Indication.FAILED else "not_trusted", who=name, why=why)


def _is_proved(signature: SignatureReport) -> bool:
    return signature.time_source != "validation-time"


def _when(signature: SignatureReport, words: Words) -> str:
    if _is_proved(signature):
        source = words.known("source", signature.time_source)
        return words("proved", time=person_time(signature.best_signature_time), source=source)
    if signature.signing_time is None:
        return words("not_said")
    return words("claimed", time=person_time(signature.signing_time))


# --- times and changes -----------------------------------------------------------------------------------------------


def _timeline(signature: SignatureReport, how: Judgement, words: Words) -> Iterator[Block]:
    events: list[tuple[datetime, str]] = [(how.at, words("ev_at"))]
    if signature.chain:
        leaf = signature.chain[0]
        events += [(leaf.not_before, words("ev_not_before")), (leaf.not_after, words("ev_not_after"))]
    if signature.signing_time is not None:
        events.append((signature.signing_time, words("ev_signing")))
    if _is_proved(signature):
        events.append((signature.best_signature_time, words("ev_best")))
    for stamp in signature.timestamps:
        if stamp.time is not None:
            kind = words.known("kind", stamp.kind)
            events.append((stamp.time, words("ev_stamp", kind=kind, tsa=stamp.tsa)))
    names = {link.sha256: _name(link) for link in signature.chain}
    for item in signature.revocation:
        if item.this_update is not None and item.certificate_sha256 == (signature.signer.certificate_sha256 or ""):
            events.append((item.this_update, words("ev_status", status=words.known("status", item.status))))
        if item.revoked_at is not None:
            events.append((item.revoked_at, words("ev_revoked", subject=names.get(item.certificate_sha256, "-"))))
    events.sort(key=lambda event: event[0])
    yield blocks.heading(4, words("part_timeline"))
    yield blocks.grid((words("time"), words("event")), ((person_time(at), text) for at, text in dict.fromkeys(events)))


def _changes(signature: SignatureReport, words: Words) -> Iterator[Block]:
    if not signature.changes:
        return
    yield blocks.heading(4, words("part_changes"))
    yield blocks.grid(
        (words("revision"), words("change"), words("allowed")),
        (
            (
                str(change.revision),
                change_text(change, words.lang),
                words("allowed_yes" if change.allowed else "allowed_no"),
            )
            for change in signature.changes
        ),
    )


# --- certificates ----------------------------------------------------------------------------------------------------


def _name(link: ChainLink) -> str:
    """Return the common name of a subject written as RFC 4514, else the whole of it."""
    for part in _parts(link.subject):
        if part.startswith("CN="):
            return part[3:].replace("\\", "")
    return link.subject


def _parts(subject: str) -> list[str]:
    """Split at commas that no backslash guards."""
    parts, current, guarded = [], "", False
    for char in subject:
        if char == "," and not guarded:
            parts.append(current)
            current = ""
        else:
            current += char
        guarded = char == "\\" and not guarded
    return [*parts, current]


_ATTRIBUTES = {
    "2.5.4.12": "title",
    "2.5.4.5": "serialNumber",
    "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "email",
}


def subject_text(subject: str) -> str:
    """Return a subject with spaces between its parts and names for the numbers of usual attributes."""
    shown = []
    for part in _parts(subject):
        kind, sign, value = part.partition("=")
        shown.append(f"{_ATTRIBUTES.get(kind, kind)}{sign}{value}")
    return ", ".join(shown)


def _chain(signature: SignatureReport, words: Words) -> Iterator[Block]:
    if not signature.chain:
        return
    yield blocks.heading(4, words("part_chain"))
    statuses = {item.certificate_sha256: item for item in signature.revocation}
    nodes = tuple(
        _node(link, statuses.get(link.sha256), words, leaf=place == 0) for place, link in enumerate(signature.chain)
    )
    shown = tuple(reversed(nodes))
    if not signature.chain[-1].anchor:
        shown = (blocks.node(words("root"), words("no_chain"), (), "open"), *shown)
    names = " → ".join(item.name for item in shown)
    yield Picture(shown, words("chain_picture", names=names))
    yield blocks.grid(
        (words("certificate"), words("serial"), words("source"), words("sha256")),
        (
            (subject_text(link.subject), link.serial, words.known("source_of", link.source), link.sha256)
            for link in signature.chain
        ),
    )


def _node(link: ChainLink, status: Revocation | None, words: Words, *, leaf: bool) -> Node:
    role = words("leaf") if leaf else words("root" if link.anchor else "middle")
    span = words("from_to", start=person_date(link.not_before), end=person_date(link.not_after))
    lines = [f"{words('validity')}: {span}"]
    tone = "good" if link.anchor else "plain"
    if status is not None and not link.anchor:
        tone = {"good": "good", "revoked": "bad", "unknown": "open"}.get(status.status, "plain")
        lines.append(f"{words('status')}: {words.known('status', status.status)}")
    return blocks.node(role, _name(link), lines, tone)


def _status(signature: SignatureReport, words: Words) -> Iterator[Block]:
    if not signature.revocation:
        return
    names = {link.sha256: _name(link) for link in signature.chain}
    yield blocks.heading(4, words("part_status"))
    yield blocks.grid(
        (words("certificate"), words("status"), words("source"), words("issued_at"), words("next_at")),
        (
            (
                names.get(item.certificate_sha256, item.certificate_sha256),
                _status_text(item, words),
                _source(item, words),
                _time(item.this_update),
                _time(item.next_update),
            )
            for item in signature.revocation
        ),
    )


def _status_text(item: Revocation, words: Words) -> str:
    text = words.known("status", item.status)
    if item.revoked_at is None:
        return text
    reason = f" ({item.reason})" if item.reason else ""
    return f"{text}, {words('revoked_at')} {person_time(item.revoked_at)}{reason}"


def _source(item: Revocation, words: Words) -> str:
    if item.method == "none":
        return "-"
    return f"{item.method.upper()}, {words.known('source_of', item.source or '-')}"


def _time(moment: datetime | None) -> str:
    return person_time(moment) if moment is not None else "-"


def _stamps(stamps: Sequence[Timestamp], words: Words) -> Iterator[Block]:
    if not stamps:
        return
    yield blocks.heading(4, words("part_stamps"))
    yield blocks.grid(
        (words("kind_of"), words("time"), words("tsa"), words("algorithm"), words("result")),
        (
            (
                words.known("kind", stamp.kind),
                _time(stamp.time),
                stamp.tsa or "-",
                stamp.digest or "-",
                _stamp_result(stamp, words),
            )
            for stamp in stamps
        ),
    )


def _stamp_result(stamp: Timestamp, words: Words) -> str:
    if stamp.integrity is Integrity.BROKEN:
        return words("stamp_bad")
    if stamp.indication is Indication.PASSED:
        return words("stamp_good")
    sub = f" ({stamp.sub_indication.value})" if stamp.sub_indication else ""
    return words("stamp_open") + sub


def _details(signature: SignatureReport, words: Words) -> Block:
    signer, algorithm = signature.signer, signature.algorithm
    indication = signature.indication.value
    if signature.sub_indication is not None:
        indication += f", {signature.sub_indication.value}"
    computed = None
    if algorithm is not None:
        size = f"{algorithm.key} {algorithm.bits}" + (f" ({algorithm.curve})" if algorithm.curve else "")
        meets = words("tt15_yes" if algorithm.tt15 else "tt15_no")
        computed = f"{algorithm.signature}, {algorithm.digest}, {size}; {meets}"
    place = None
    if signature.appearance is not None:
        x, y = (f"{value:.1f}" for value in signature.appearance.box_mm[:2])
        place = words("appearance_at", page=signature.appearance.page, x=x, y=y)
    rows = (
        (words("indication"), indication),
        (words("level"), signature.level),
        (words("algorithm"), computed),
        (words("id"), signature.id),
        (words("revision"), str(signature.revision) if signature.revision is not None else None),
        (words("organization"), signer.organization),
        (words("position"), f"{signer.capacity or ''} {signer.position or ''}".strip() or None),
        (words("authority"), None if signer.authority == "unknown" else words(f"authority_{signer.authority}")),
        (words("agency"), signer.agency),
        (words("issuer"), subject_text(signer.issuer) if signer.issuer else None),
        (words("serial"), signer.serial),
        (words("sha256"), signer.certificate_sha256),
        (words("appearance"), place),
    )
    return blocks.facts(rows, mono=[words("sha256"), words("serial")])
