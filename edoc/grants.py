"""Entries before they are made: the rules of capacities (R26) and of the right to the agency's key (R29)."""

from __future__ import annotations

from edoc.authorities import AuthorityTable, KeyRight
from edoc.capacities import Authority, objection
from edoc.errors import GrantRefused
from edoc.values import readable


def check_grant(entry: Authority, table: AuthorityTable) -> None:
    """Refuse an entry the rules do not allow, before it enters the table (R26).

    Raises:
        GrantRefused: the code says which rule; ``facts`` name person, capacity and the entry it would come from.
    """
    source = table.source_of(entry)
    code = objection(entry, source)
    if code is None:
        return
    raise GrantRefused(
        code,
        "the authority table does not allow this entry",
        person=entry.person,
        capacity=entry.capacity.value or "-",
        position=entry.position,
        source=entry.source,
        given=(source.capacity.value or source.position) if source else None,
        start=entry.valid_from,
        end=entry.valid_to,
        limit=source.valid_to if source else None,
    )


def check_right(right: KeyRight) -> None:
    """Refuse a right to the agency's key without its permission, or with its days in the wrong order (R29).

    Raises:
        GrantRefused: EDOC-DOC-071 or EDOC-DOC-072.
    """
    wrong = right.valid_to is not None and right.valid_to < right.valid_from
    if not wrong and readable(right.basis):
        return
    raise GrantRefused(
        "EDOC-DOC-071" if wrong else "EDOC-DOC-072",
        "the right to the agency's key is not complete",
        person=right.clerk,
        start=right.valid_from,
        end=right.valid_to,
    )
