"""Steps 13 to 15 of the audit: the chain of events, the other side, the deadlines (ledger.md 10.2)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence

from edoc.lifecycle import MOVES, StatusCode, observed
from transport.evidence.case import Case, Finding, broken, not_proved, proved
from transport.evidence.log_steps import not_after, stated_at
from transport.evidence.package import EventFile
from transport.ledger.event import Leaf, read_time

_STATUS_KINDS = ("arrived", "accepted", "refused", "assigned", "working", "finished", "status-other")
_CHANGE_KINDS = ("change-accepted", "change-refused")
_CLOSING = {
    "sent": ("relayed", "relay-refused"),
    "relayed": ("accepted", "refused"),
}


def chain(case: Case) -> list[Finding]:
    """13: ``prev`` is unbroken, indices rise, status moves are lawful."""
    places: dict[tuple[str, int], str] = {}
    for one in case.package.events:
        if one.leaf is None or one.proof is None or one.origin is None:
            continue
        if places.setdefault((one.origin, one.proof.index), one.leaf.sha256) != one.leaf.sha256:
            return [broken("two-leaves-at-one-index", one.name)]
    chains = _chains(case)
    if not chains:
        return [not_proved("no-events")]
    return [_unbroken(events) for events in chains.values()]


def _chains(case: Case) -> dict[tuple[str, ...], list[EventFile]]:
    found: dict[tuple[str, ...], list[EventFile]] = defaultdict(list)
    for one in case.package.message_events:
        if one.leaf is not None and one.proof is not None and one.leaf.chain is not None:
            found[(one.origin or "", *one.leaf.chain)].append(one)
    for events in found.values():
        events.sort(key=lambda one: one.proof.index if one.proof is not None else 0)
    return found


def _unbroken(events: Sequence[EventFile]) -> Finding:
    known = {one.leaf.sha256 for one in events if one.leaf is not None}
    before: str | None = None
    named: set[str] = set()
    for one in events:
        leaf = _leaf(one)
        prev = leaf.text("prev")
        if prev in named:
            return broken("two-successors", one.name)
        if prev is not None and prev not in known:
            return not_proved("link-missing", one.name)
        if prev != before:
            return broken("prev-differs", one.name)
        named |= {prev} if prev is not None else set()
        before = leaf.sha256
    move = _unlawful([_leaf(one) for one in events])
    return broken("unlawful-move", status=move) if move is not None else proved(events=str(len(events)))


def _unlawful(leaves: Iterable[Leaf]) -> str | None:
    """Return the status that may not follow, if any: the recipient knows every step, the sender may miss some."""
    state: str | None = None
    earlier: str | None = None
    for leaf in leaves:
        code = "13" if leaf.kind == "recall-asked" else leaf.text("status")
        if leaf.kind not in (*_STATUS_KINDS, *_CHANGE_KINDS, "recall-asked") or code is None:
            continue
        if code not in {str(one) for one in StatusCode}:
            continue
        if code == "01" or state is None:  # telling of the arrival may come late; a relayed message has arrived
            state = state or "01"
            if code == "01":
                continue
        if leaf.text("side") == "r" and StatusCode(code) not in MOVES[StatusCode(state)]:
            return code
        if leaf.text("side") == "s" and code != "16" and observed(state, code) == state and _is_final(state):
            return code
        if code == "13":
            earlier = state
        state = earlier if code == "16" else code
    return None


def _is_final(state: str | None) -> bool:
    return state is not None and not MOVES[StatusCode(state)]


# --- 14 --------------------------------------------------------------------------------------------------------------

_SAME = ("msg", "from", "to", "receipt")
_SENT = ("msg", "doc", "from", "to", "env", "files", "files_root")


def peer(case: Case) -> list[Finding]:
    """14: leaves of both sides that speak of the same act agree (ledger.md 4.4)."""
    findings = [_pointed(case, one) for one in case.package.message_events if one.leaf and one.leaf.member("peer")]
    findings += _paired(case)
    return findings or [not_proved("no-peer")]


def has_peer(case: Case) -> bool:
    """Tell whether any leaf points at the other side."""
    return any(leaf.member("peer") for leaf in case.package.leaves)


def scope(case: Case) -> str:
    """Return whose proofs the package holds."""
    sides = {leaf.text("side") for leaf in case.package.leaves} - {None}
    return "both-sides" if len(sides) == 2 else "one-side"


def _pointed(case: Case, one: EventFile) -> Finding:
    leaf = _leaf(one)
    pointer = leaf.member("peer")
    other = next((item for item in case.package.message_events if _hash(item) == pointer.get("leaf")), None)
    if other is None:
        return not_proved("peer-missing", one.name)
    place = (other.origin, other.proof.index if other.proof is not None else None)
    if place != (pointer.get("origin"), pointer.get("index")):
        return broken("peer-elsewhere", one.name)
    difference = _difference(leaf, _leaf(other))
    return proved(one.name) if difference is None else broken("peer-differs", one.name, field=difference)


def _difference(one: Leaf, other: Leaf) -> str | None:
    """Return the first field in which two matching leaves differ."""
    if (one.kind, other.kind) in (("relayed", "sent"), ("relay-refused", "sent")):
        names: Iterable[str] = _SENT if one.kind == "relayed" else ("msg", "from", "to", "env")
    elif one.kind != other.kind or one.text("side") == other.text("side"):
        return "kind"
    elif one.text("rtype") == "record":
        names = ("msg", "from", "to", "env")
    elif one.kind in _STATUS_KINDS:
        names = (*_SAME, "status")
    elif one.kind in (*_CHANGE_KINDS, "recall-asked"):
        names = (*_SAME, "status", "ref")
    else:
        names = (*_SAME, "env")
    return next((name for name in names if _plain(one.fields.get(name)) != _plain(other.fields.get(name))), None)


def _paired(case: Case) -> list[Finding]:
    """Acts that both sides log must not differ, whether or not one leaf points at the other."""
    by_act: dict[tuple[str, ...], dict[str, EventFile]] = defaultdict(dict)
    for one in case.package.message_events:
        leaf = one.leaf
        if leaf is not None and leaf.chain is not None and leaf.kind in ("relayed", "relay-refused"):
            by_act[(*leaf.chain[:3], leaf.kind)].setdefault(leaf.chain[3], one)
    findings = []
    for sides in by_act.values():
        if len(sides) == 2 and (difference := _difference(_leaf(sides["s"]), _leaf(sides["r"]))) is not None:
            findings.append(broken("peer-differs", sides["s"].name, field=difference))
    return findings


# --- 15 --------------------------------------------------------------------------------------------------------------


def deadlines(case: Case) -> list[Finding]:
    """15: each ``due`` and the act that met it are proved in time; says ``on-time`` or ``late``, breaks nothing."""
    findings = []
    for one in case.package.message_events:
        if (
            stated_at(one) is not None
            and one.leaf is not None
            and "due" in one.leaf.fields
            and one.leaf.kind in _CLOSING
        ):
            findings.append(_deadline(case, one))
    return findings or [not_proved("no-deadline")]


def _deadline(case: Case, one: EventFile) -> Finding:
    leaf = _leaf(one)
    due = read_time(leaf.text("due") or "")
    closing = next((item for item in case.package.message_events if _closes(leaf, item)), None)
    if closing is None:
        return not_proved("still-open", one.name)
    end = _leaf(closing).at
    fact = "on-time" if end <= due else "late"
    bounds = not_after(case, one), not_after(case, closing)
    if None in bounds:
        return not_proved("time-not-proved", one.name, claimed=fact)
    return proved(one.name, fact=fact)


def _closes(leaf: Leaf, other: EventFile) -> bool:
    if other.leaf is None or stated_at(other) is None:
        return False
    return other.leaf.chain == leaf.chain and other.leaf.kind in _CLOSING[leaf.kind]


def _leaf(one: EventFile) -> Leaf:
    assert one.leaf is not None
    return one.leaf


def _hash(one: EventFile) -> str | None:
    return None if one.leaf is None else one.leaf.sha256


def _plain(value: object) -> object:
    return tuple(value) if isinstance(value, (list, tuple)) else value
