"""Steps 4 to 6 of the audit: the sealed message, the bytes behind each leaf, the leaves themselves (ledger.md 10.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import sha256

from edoc.errors import EdocError
from signer.report import Report
from transport.errors import LedgerError, ReceiptInvalid
from transport.evidence.case import Case, Finding, broken, judged, not_proved, proved
from transport.evidence.package import EventFile
from transport.evidence.result import Result
from transport.ledger.canonical import load_object
from transport.ledger.event import Leaf, opens
from transport.receiptform import ACCEPTANCE, REJECTION, Receipt
from transport.receiptform import parse as parse_receipt

_EVENT_OF_KIND = {"relayed": ACCEPTANCE, "relay-refused": REJECTION}


def envelope(case: Case) -> list[Finding]:
    """4: the sender's seal is valid at its trusted time; the digest is the leaves' ``env``."""
    data = case.package.envelope
    if data is None:
        return [not_proved("envelope-missing")]
    digest = sha256(data).hexdigest()
    named = [(leaf, env) for leaf in case.package.leaves if (env := leaf.text("env")) is not None]
    if any(env != digest for leaf, env in named if leaf.kind != "id-conflict"):
        return [broken("env-differs")]
    inspection = case.seal(data)
    result, codes = case.word_of(inspection.report)
    sender = next((leaf.text("from") for leaf in case.package.leaves), None)
    objection = case.identify("sender", inspection.report, code=sender)
    if inspection.sealed is not None and result is Result.PROVED:
        slip = inspection.sealed.slip
        messages = {leaf.text("msg") for leaf in case.package.leaves} - {None}
        if messages - {slip.message_id} or (sender is not None and not case.same_agency(slip.sender, sender)):
            return [broken("slip-differs")]
        if not named:
            return [not_proved("env-not-logged")]
    if objection is not None and result is Result.PROVED:
        return [not_proved(objection)]
    return [judged(result, codes, sha256=digest)]


def receipts(case: Case) -> list[Finding]:
    """5: each leaf's evidence is there, names what the leaf names, and its signature is valid at its trusted time."""
    if not case.package.message_events:
        return [not_proved("no-events")]
    return [_evidence(case, one) for one in case.package.events if one.leaf is not None]


def _evidence(case: Case, one: EventFile) -> Finding:
    leaf = one.leaf
    assert leaf is not None
    digest, rtype = leaf.text("receipt"), leaf.text("rtype") or ""
    data = case.package.by_digest.get(digest or "")
    if data is None:
        return not_proved("bytes-missing", one.name)
    check = _BY_RTYPE.get(rtype)
    if check is None:
        return not_proved("not-judged", one.name, rtype=rtype)
    finding = check(case, one, data)
    if finding.result is Result.PROVED and not case.trusting:
        return not_proved("no-trust", one.name)
    return finding


def _receipt(case: Case, one: EventFile, data: bytes) -> Finding:
    leaf = _leaf(one)
    try:
        receipt = parse_receipt(data)
    except ReceiptInvalid:
        return broken("receipt-form", one.name)
    difference = _receipt_difference(one, leaf, receipt)
    if difference is not None:
        return broken(difference, one.name)
    report = case.declaration(data).report
    result, codes = case.word_of(report)
    objection = case.identify("recipient", report, code=leaf.text("to"))
    if result is Result.PROVED and (differs := _name_differs(case, receipt, report)):
        return broken(differs, one.name)
    if objection is not None and result is Result.PROVED:
        return not_proved(objection, one.name)
    return judged(result, codes, one.name)


def _receipt_difference(one: EventFile, leaf: Leaf, receipt: Receipt) -> str | None:
    key = (receipt.key.sender, receipt.key.recipient, receipt.key.message_id)
    if key != leaf.dispatch or receipt.issuer.organ_id != leaf.text("to"):
        return "receipt-other-message"
    if receipt.sha256 != leaf.text("env"):
        return "receipt-other-envelope"
    expected = _EVENT_OF_KIND.get(leaf.kind)
    if expected is not None and receipt.event != expected:
        return "receipt-other-event"
    origin = one.origin if leaf.text("side") == "r" else leaf.member("peer").get("origin", receipt.ledger_origin)
    return None if receipt.ledger_origin == origin else "receipt-other-log"


def _name_differs(case: Case, receipt: Receipt, report: Report) -> str | None:
    """The receipt's signer must be certified under the name by which the log's key statement knows the agency."""
    names = {
        one.statement.agency_name
        for _, one in case.log_keys(receipt.ledger_origin)
        if one.statement is not None and one.statement.agency_code == receipt.issuer.organ_id
    }
    signer = report.signatures[0].signer
    certified = {signer.organization, signer.name}
    return "name-differs" if names and not names & certified else None


def _sealed(case: Case, one: EventFile, data: bytes) -> Finding:
    """A status message, or a document that revokes another: sealed as any message."""
    from edoc.envelopes import StatusMessage
    from edoc.seal import peek

    leaf = _leaf(one)
    try:
        message = peek(data).message
    except EdocError:
        return broken("status-form", one.name)
    if isinstance(message, StatusMessage):
        if leaf.text("status") not in (None, message.code):
            return broken("status-other-code", one.name)
        document = leaf.text("doc")
        if document is not None and message.response_for.document_id not in ("", document):
            return broken("status-other-document", one.name)
    report = case.seal(data).report
    result, codes = case.word_of(report)
    speaker = leaf.text("from") if leaf.kind == "recall-asked" else leaf.text("to")
    if not case.same_agency(message.sender.organ_id, speaker):
        return broken("status-other-agency", one.name)
    role = "sender" if leaf.kind == "recall-asked" else "recipient"
    objection = case.identify(role, report, code=speaker)
    if objection is not None and result is Result.PROVED:
        return not_proved(objection, one.name)
    return judged(result, codes, one.name)


def _record(case: Case, one: EventFile, data: bytes) -> Finding:
    """A record the node keeps: canonical JSON without signature; the leaf itself vouches for it."""
    leaf = _leaf(one)
    try:
        facts: Mapping[str, object] = load_object(data)
    except LedgerError:
        return broken("record-form", one.name)
    for name in ("msg", "from", "to", "env", "doc", "kind"):
        if name in facts and name in leaf.fields and facts[name] != leaf.fields[name]:
            return broken("record-differs", one.name, field=name)
    return _vouched(case, one)


def _vouched(case: Case, one: EventFile) -> Finding:
    """Bytes without a signature of their own stand on the log: its agency must be trusted."""
    for _, item in case.log_keys(one.origin or ""):
        if case.word_of(case.declaration(item.data).report)[0] is Result.PROVED:
            return proved(one.name)
    return not_proved("log-not-trusted", one.name)


def _statement(case: Case, one: EventFile, data: bytes) -> Finding:
    found = next((item for item in case.package.statements if item.data == data), None)
    if found is None or found.statement is None:
        return broken("statement-form", one.name)
    result, codes = case.word_of(case.declaration(data).report)
    return judged(result, codes, one.name)


def _plain(case: Case, one: EventFile, data: bytes) -> Finding:
    """A decision or exported file: its digest is all the leaf states about it."""
    return _vouched(case, one)


_BY_RTYPE: Mapping[str, Callable[[Case, EventFile, bytes], Finding]] = {
    "receipt": _receipt,
    "status": _sealed,
    "notice": _sealed,
    "record": _record,
    "statement": _statement,
    "decision": _plain,
    "file": _plain,
}


def leaf(case: Case) -> list[Finding]:
    """6: every leaf is canonical and in the schema of its kind; openings fit their commitments."""
    if not case.package.message_events:
        return [not_proved("no-events")]
    return [_leaf_finding(one) for one in case.package.events] + _openings(case)


def _leaf_finding(one: EventFile) -> Finding:
    if one.leaf is not None:
        missing = sorted({"v", "kind"} & set(one.leaf.unknown))
        if missing:
            return not_proved("unknown-kind" if "kind" in missing else "unknown-version", one.name)
        kind = one.name.partition("/")[2].partition("-")[2]
        if not one.binding and kind != one.leaf.kind:
            return broken("name-of-other-kind", one.name)
        return proved(one.name, **({"unknown": ", ".join(one.leaf.unknown)} if one.leaf.unknown else {}))
    if one.proof is None or one.leaf_fault == "missing":
        return not_proved("leaf-missing", one.name)
    return broken("leaf-form", one.name, fault=one.leaf_fault)


def _openings(case: Case) -> list[Finding]:
    openings = case.package.openings
    if openings is None:
        return [broken("openings-form")]
    by_hash = {one.leaf.sha256: one for one in case.package.events if one.leaf is not None}
    findings = []
    for digest, opening in openings:
        one = by_hash.get(digest)
        if one is None or one.leaf is None:
            findings.append(not_proved("opening-without-leaf"))
        elif not opens(one.leaf, opening):
            findings.append(broken("opening-differs", one.name, field=opening.field))
    return findings


def _leaf(one: EventFile) -> Leaf:
    assert one.leaf is not None
    return one.leaf
