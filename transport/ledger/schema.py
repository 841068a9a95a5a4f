"""What leaves may say: the closed schema of ledger.md 4.2 to 4.5 as data, and its check.

Writing is strict: an unknown field, kind or reason is refused. Reading keeps what a newer partner may know: an unknown
kind, version or field is reported by name and harms nothing else; a known field in a wrong form is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from transport.errors import LedgerError
from transport.ledger.canonical import Json
from transport.ledger.times import read_time

VERSION = 1

REFUSALS = [
    "not-edxml",
    "limits",
    "seal-missing",
    "seal-invalid",
    "seal-algorithm",
    "certificate-invalid",
    "seal-not-sender",
    "slip-mismatch",
    "wrong-addressee",
    "incomplete",
    "not-strict",
    "secret-content",
]
"""Codes of exchange.md 3.3."""
FINAL_PROBLEMS = ["unknown-recipient", "recipient-moved", "message-id-conflict", "too-large"]
"""Problems of exchange.md 3.2 that end a dispatch."""
RETURNS = [
    "wrong-recipient",
    "damaged-file",
    "invalid-signature",
    "certificate-expired-or-revoked",
    "missing-person-signature",
    "missing-agency-signature",
    "no-authority",
    "missing-attachment",
    "wrong-form",
    "duplicate",
    "state-secret",
    "other",
]
"""Return reasons of exchange.md 3.3."""
OWN_REASONS = [
    "no-answer",
    "unknown-sender",
    "content-error",
    "sent-by-mistake",
    "already-acted",
    "first",
    "year",
    "restored",
    "retention",
    "request",
    "court",
]
RECEIPT_REASONS = [
    "receipt-form",
    "receipt-signature",
    "receipt-signer",
    "receipt-mismatch",
    "receipt-unknown",
    "receipt-second",
]
REASONS = frozenset([*REFUSALS, *FINAL_PROBLEMS, *RETURNS, *OWN_REASONS, *RECEIPT_REASONS])
"""The one closed list of ledger.md 4.5."""

RELATIONS = frozenset(["replaces", "amends", "corrects", "recalls", "answers", "updates"])
RTYPES = frozenset(["receipt", "status", "notice", "statement", "token", "decision", "file", "record"])
COMMITMENTS = ("actor", "note", "addr", "subject")
"""Fields that hold SHA-256(salt || value) instead of a value (ledger.md 4.1, rule 4)."""


class LeafInvalid(LedgerError):
    """A leaf is not in the form of its kind; ``field`` names what is wrong."""

    def __init__(self, message: str, *, field: str = "", kind: str = "") -> None:
        super().__init__("EDOC-LED-004", message, detail=message, field=field, kind=kind)


# --- forms of fields (ledger.md 4.2) ---------------------------------------------------------------------------------

Form = Callable[[Json], bool]


def _pattern(expression: str) -> Form:
    compiled = re.compile(expression, re.ASCII)
    return lambda value: isinstance(value, str) and compiled.fullmatch(value) is not None


def _length(most: int) -> Form:
    return lambda value: isinstance(value, str) and 0 < len(value) <= most and all(c >= " " for c in value)


def _one_of(*names: str) -> Form:
    allowed = frozenset(names)
    return lambda value: isinstance(value, str) and value in allowed


def _record(**members: Form) -> Form:
    needed = {name for name in members if not name.endswith("_")}
    forms = {name.rstrip("_"): form for name, form in members.items()}

    def check(value: Json) -> bool:
        if not isinstance(value, Mapping) or not needed <= set(value) <= set(forms):
            return False
        return all(forms[name](item) for name, item in value.items())

    return check


def _count(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _files(value: Json) -> bool:
    return isinstance(value, (list, tuple)) and 1 <= len(value) <= 32 and all(HEX(item) for item in value)


def _time(value: Json) -> bool:
    if not isinstance(value, str):
        return False
    try:
        read_time(value)
    except ValueError:
        return False
    return True


HEX = _pattern("[0-9a-f]{64}")
_ORIGIN = _length(200)

FIELDS: Mapping[str, Form] = {
    "v": lambda value: value == VERSION and not isinstance(value, bool),
    "nonce": _pattern("[0-9a-f]{32}"),
    "at": _time,
    "kind": _pattern("[a-z][a-z0-9-]{0,63}"),
    "auto": lambda value: isinstance(value, bool),
    "msg": _pattern("[!-~]{1,128}"),
    "doc": _length(255),
    "from": _length(64),
    "to": _length(64),
    "side": _one_of("s", "r"),
    "env": HEX,
    "files": _files,
    "files_root": HEX,
    "receipt": HEX,
    "rtype": _one_of(*RTYPES),
    "prev": HEX,
    "peer": _record(origin=_ORIGIN, index=_count, leaf=HEX),
    "status": _pattern("[!-~]{1,8}"),
    "reason": _one_of(*REASONS),
    "class": _one_of("original", "copy", "information-only"),
    "medium": _one_of("electronic", "paper", "both"),
    "dtype": _length(10),
    "unit": _length(35),
    "prio": lambda value: _count(value) and isinstance(value, int) and value <= 4,
    "clock": _time,
    "basis": _one_of("timestamp", "claimed", "registered"),
    "due": _time,
    "ref": _record(rel=_one_of(*RELATIONS), doc=_length(255), msg_=_pattern("[!-~]{1,128}")),
    "log": _record(origin=_ORIGIN, size=_count, root=HEX),
    "target": _record(leaf=HEX, field_=_pattern("[a-z_]{1,32}")),
    "action": _pattern("[a-z0-9.-]{1,64}"),
    "result": _one_of("ok", "failed"),
    **dict.fromkeys(COMMITMENTS, HEX),
}


# --- kinds (ledger.md 4.3) -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Shape:
    """One row of 4.3 for one side: fields it must have, may have, its evidence, and the status codes it stands for."""

    needed: frozenset[str]
    optional: frozenset[str]
    rtypes: frozenset[str]
    statuses: frozenset[str] = frozenset()


_ALWAYS = frozenset(["v", "nonce", "at", "kind", "auto", "receipt", "rtype"])
_DISPATCH = frozenset(["msg", "from", "to", "side"])
_MAYBE = frozenset(["doc", "prev"])
_FILES = "files"


def _shape(needed: str, optional: str = "", rtype: str = "record", *, sided: bool, statuses: str = "") -> Shape:
    must, may = set(needed.split()), set(optional.split())
    if "reason" in must | may:
        may.add("note")  # the reason "other" needs one
    if sided:
        must |= _DISPATCH
        may |= _MAYBE
    return Shape(
        frozenset(must) | _ALWAYS, frozenset(may - must), frozenset(rtype.split()), frozenset(statuses.split())
    )


def _sided(
    sides: str, needed: str, optional: str = "", rtype: str = "record", *, statuses: str = ""
) -> dict[str, Shape]:
    return {side: _shape(needed, optional, rtype, sided=True, statuses=statuses) for side in sides}


def _node(needed: str, optional: str = "", rtype: str = "record") -> dict[str, Shape]:
    return {"": _shape(needed, optional, rtype, sided=False)}


def _answer(code: str) -> dict[str, Shape]:
    return _sided("rs", "status env", "class reason note due unit peer", "status", statuses=code)


def _progress(code: str) -> dict[str, Shape]:
    return _sided("rs", "status env", "unit note peer", "status", statuses=code)


def _change(code: str) -> dict[str, Shape]:
    return _sided("rs", "ref status", "reason note peer", "status", statuses=code)


def _without(shapes: dict[str, Shape], *fields: str) -> dict[str, Shape]:
    gone = frozenset(fields)
    return {side: Shape(s.needed, s.optional - gone, s.rtypes, s.statuses) for side, s in shapes.items()}


KINDS: Mapping[str, Mapping[str, Shape]] = {
    "registered": _node("doc dtype medium class", "unit"),
    "linked": _node("doc ref"),
    "sent": _sided("s", f"env {_FILES} class prio clock basis due", "dtype unit ref"),
    "send-refused": _without(_sided("s", "reason"), "doc"),
    "relayed": {
        **_sided("r", f"env {_FILES} prio due", "class dtype ref peer", "receipt"),
        **_sided("s", "env", "peer", "receipt"),
    },
    "relay-refused": {
        **_sided("r", "env reason", "peer", "receipt"),
        **_sided("s", "env reason", "peer", "receipt record"),
    },
    "relay-failed": _sided("s", "env reason due"),
    "late-receipt": _sided("s", "env", "", "receipt"),
    "requeued": _sided("s", "env reason"),
    "taken-back": _sided("s", "env reason"),
    "id-conflict": _sided("sr", "env reason"),
    "receipt-invalid": _sided("s", "reason", "", "receipt"),
    "arrived": _answer("01"),
    "accepted": _answer("03"),
    "refused": _answer("02"),
    "assigned": _progress("04"),
    "working": _progress("05"),
    "finished": _progress("06"),
    "status-other": _progress(""),
    "recall-asked": _sided("rs", "ref reason", "status note peer", "status notice", statuses="13"),
    "change-accepted": _change("15"),
    "change-refused": _change("16"),
    "handed-over": _sided("r", "actor"),
    "expired": _sided("sr", "due"),
    "viewed": _node("actor addr", "msg doc target"),
    "exported": _node("actor", "msg doc log", "file"),
    "disposed": _node("doc", "msg", "decision"),
    "redacted": _node("target reason", "", "decision"),
    "operation": _node("action result", "actor subject note"),
    "log-opened": _node("reason", "log", "statement"),
    "key-changed": _node("", "", "statement"),
    "log-closed": _node("reason"),
    "anchored": _node("log", "", "token"),
    "anchor-late": _node("log due"),
    "peer-head": _node("log"),
    "fork-seen": _node("log"),
}

KIND_OF_STATUS: Mapping[str, str] = {
    "01": "arrived",
    "02": "refused",
    "03": "accepted",
    "04": "assigned",
    "05": "working",
    "06": "finished",
    "13": "recall-asked",
    "15": "change-accepted",
    "16": "change-refused",
}
"""Kind of the leaf for an edXML status code; any other code is ``status-other``."""


def check_fields(fields: Mapping[str, Json], *, strict: bool) -> tuple[str, ...]:
    """Check a leaf's fields against the schema of its kind; return the names of what is unknown (empty if strict).

    Raises ``LeafInvalid`` for a missing, forbidden or malformed field, and, when strict, for anything unknown.
    """
    unknown = [] if fields.get("v") == VERSION else ["v"]
    kind = fields.get("kind")
    if not isinstance(kind, str) or not FIELDS["kind"](kind):
        raise LeafInvalid("a leaf has a kind", field="kind")
    if kind not in KINDS:
        unknown.append("kind")
    unknown += sorted(set(fields) - set(FIELDS))
    if unknown and strict:
        raise LeafInvalid("the schema does not know this", field=unknown[0], kind=kind)
    if "v" not in unknown:
        _check_forms(fields, kind)
        if "kind" not in unknown:
            _check_shape(fields, kind)
    return tuple(unknown)


def _check_forms(fields: Mapping[str, Json], kind: str) -> None:
    for name, value in fields.items():
        form = FIELDS.get(name)
        if form is not None and not form(value):
            raise LeafInvalid(f"the field {name} is not in its form", field=name, kind=kind)
    for name in _ALWAYS:
        if name not in fields:
            raise LeafInvalid(f"the field {name} is missing", field=name, kind=kind)


def _check_shape(fields: Mapping[str, Json], kind: str) -> None:
    side = fields.get("side", "")
    shape = KINDS[kind].get(side if isinstance(side, str) else "")
    if shape is None:
        raise LeafInvalid("this kind does not exist on this side", field="side", kind=kind)
    present = {_FILES if name == "files_root" else name for name in fields if name in FIELDS}
    if "files" in fields and "files_root" in fields:
        raise LeafInvalid("a leaf has either files or files_root", field="files", kind=kind)
    allowed = shape.needed | shape.optional | ({"actor"} if fields.get("auto") is False else set())
    needed = shape.needed | ({"actor"} if fields.get("auto") is False else set())
    for name in sorted(needed - present):
        raise LeafInvalid(f"the field {name} is missing", field=name, kind=kind)
    for name in sorted(present - allowed):
        raise LeafInvalid(f"the field {name} has no place in this kind", field=name, kind=kind)
    _check_values(fields, kind, shape)


def _check_values(fields: Mapping[str, Json], kind: str, shape: Shape) -> None:
    if fields["rtype"] not in shape.rtypes:
        raise LeafInvalid("this kind has other evidence", field="rtype", kind=kind)
    if fields.get("reason") == "other" and "note" not in fields:
        raise LeafInvalid("the reason other needs a note", field="note", kind=kind)
    status = fields.get("status")
    if status is None or (kind == "recall-asked" and fields["rtype"] == "notice"):
        return
    wrong = status not in shape.statuses if shape.statuses else status in KIND_OF_STATUS
    if wrong:
        raise LeafInvalid("this kind stands for another status", field="status", kind=kind)
