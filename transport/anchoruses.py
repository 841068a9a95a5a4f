"""What a kept anchor is used for, as one word of the table ``anchor``: ``signers``, or ``signers@FROM/UNTIL``.

Trusted lists vouch for periods (signing.md 7.1): both moments are ISO 8601 with an offset, the second may be left out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from signer.trust import Anchor, Purpose


def uses_of(anchor: Anchor) -> tuple[str, ...]:
    """Return the words for an anchor, one for each purpose."""
    period = ""
    if anchor.valid_from is not None or anchor.sunset is not None:
        start, end = (moment.isoformat() if moment else "" for moment in (anchor.valid_from, anchor.sunset))
        period = f"@{start}/{end}"
    return tuple(f"{purpose.value}{period}" for purpose in sorted(anchor.purposes))


def anchors_for(certificate: bytes, uses: Iterable[str]) -> tuple[Anchor, ...]:
    """Return the anchors that a certificate (DER) is by these words; uses that are no purpose of ours make none."""
    found = []
    plain: set[Purpose] = set()
    for use in uses:
        word, _, period = use.partition("@")
        if word not in set(Purpose):
            continue
        if period:
            start, _, end = period.partition("/")
            found.append(Anchor(certificate, frozenset({Purpose(word)}), _moment(start), _moment(end)))
        else:
            plain.add(Purpose(word))
    return (*([Anchor(certificate, frozenset(plain))] if plain else []), *found)


def _moment(text: str) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
