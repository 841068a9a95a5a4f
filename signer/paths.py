"""Which paths lead from a certificate to an anchor? (signing.md 7.1; RFC 5280 6.1 is applied to them afterwards)

A link of a path is a certificate whose name, and whose signature over the certificate below it, fit: what merely bears
an issuer's name is no issuer. The work of the search is bounded: files from strangers carry certificates made to be
combined without end; what the caller gave is never crowded out by them. The order in which certificates were given
makes no difference; of several issuers the one whose key the certificate names comes first. No path leads twice over
the same name and key.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache

from signer import pubkeys, x509ext, x509read
from signer.names import Part

PATHS_MAX = 64
"""Paths tried for one certificate."""

LENGTH_MAX = 10
"""Certificates in a path, anchor included."""

CHECKS_MAX = 256
"""Signatures of certificates checked in one search."""

OTHERS_MAX = 500
"""Certificates beside a signature that are looked at; a file of a hundred signatures has about three hundred."""

STEPS_MAX = 1000
"""Branches followed in one search: certificates that certify one another crosswise have no end of orders."""


@dataclass(frozen=True, slots=True)
class Found:
    """The paths found, leaf first and anchor last (DER); ``exhausted`` if a limit ended the search."""

    paths: tuple[tuple[bytes, ...], ...]
    exhausted: bool


def find_paths(
    certificate: bytes, anchors: Iterable[bytes], others: Iterable[bytes], *, given: Iterable[bytes] = ()
) -> Found:
    """Find the paths (DER) from a certificate to the anchors through the others; shortest branches come first.

    ``others`` are a stranger's, of whom no more than ``OTHERS_MAX`` are looked at; ``given`` are the caller's.
    """
    roots, crowd = _readable(anchors), tuple(dict.fromkeys(others))
    known = set(roots)
    pool = _readable((*given, *narrowed(certificate, crowd)))
    search = _Search(roots, [der for der in pool if der not in known])
    search.walk((certificate,))
    return Found(tuple(search.found), search.exhausted or search.too_long or len(crowd) > OTHERS_MAX)


def narrowed(certificate: bytes, others: Iterable[bytes]) -> tuple[bytes, ...]:
    """Keep ``OTHERS_MAX`` of a crowd, whatever its order, those first that bear the name of the issuer."""
    crowd, child = tuple(dict.fromkeys(others)), _read(certificate)
    if len(crowd) <= OTHERS_MAX or child is None:
        return crowd[:OTHERS_MAX]
    return _narrowed(child.issuer.encoded, crowd)


@lru_cache(maxsize=64)
def _narrowed(issuer: bytes, crowd: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return tuple(sorted(crowd, key=lambda der: (not _bears(der, issuer), der))[:OTHERS_MAX])


def _bears(der: bytes, name: bytes) -> bool:
    found = _read(der) if name in der else None
    return found is not None and found.subject.encoded == name


def _readable(found: Iterable[bytes]) -> list[bytes]:
    """Leave out what is no certificate: a stranger's file may carry anything beside its signature."""
    return [der for der in sorted(set(found)) if _read(der) is not None]


def _read(der: bytes) -> x509read.Certificate | None:
    try:
        return x509read.read(der)
    except ValueError:
        return None


class _Search:
    """A walk upwards from the leaf."""

    def __init__(self, anchors: Sequence[bytes], others: Sequence[bytes]) -> None:
        self.anchors, self.others = _by_name(anchors), _by_name(others)
        self.found: list[tuple[bytes, ...]] = []
        self.exhausted = self.too_long = False
        self._steps = 0
        self._links: dict[tuple[bytes, bytes], bool] = {}

    def walk(self, path: tuple[bytes, ...]) -> None:
        """Follow every issuer of the last certificate of ``path``."""
        self._steps += 1
        if len(path) >= LENGTH_MAX:
            self.too_long = True
            return
        child = _read(path[-1])
        if child is None:
            return
        for anchor in _by_key(child, self.anchors.get(child.issuer.key, ())):
            if self._is_link(child, anchor) and self._has_room():
                self.found.append((*path, anchor))
        for other in _by_key(child, self.others.get(child.issuer.key, ())):
            if self._is_link(child, other) and not _is_again(other, path) and self._has_room():
                self.walk((*path, other))

    def _has_room(self) -> bool:
        if len(self.found) >= PATHS_MAX or self._steps >= STEPS_MAX:
            self.exhausted = True
        return not self.exhausted

    def _is_link(self, child: x509read.Certificate, issuer: bytes) -> bool:
        link = (child.encoded, issuer)
        if link not in self._links:
            if len(self._links) >= CHECKS_MAX:
                self.exhausted = True
                return False
            self._links[link] = is_issued_by(*link)
        return self._links[link]


def _by_name(found: Sequence[bytes]) -> dict[tuple[Part, ...], list[bytes]]:
    names: dict[tuple[Part, ...], list[bytes]] = {}
    for der in found:
        names.setdefault(x509read.read(der).subject.key, []).append(der)
    return names


def _by_key(child: x509read.Certificate, issuers: Sequence[bytes]) -> list[bytes]:
    """Put those first whose key identifier the child names; else the order stays."""
    wanted = x509ext.authority_key_of(child)
    if wanted is None:
        return list(issuers)
    return sorted(issuers, key=lambda der: x509ext.key_identifier_of(x509read.read(der)) != wanted)


def _is_again(other: bytes, path: tuple[bytes, ...]) -> bool:
    found = x509read.read(other)
    return any(one.subject.key == found.subject.key and one.key == found.key for one in map(x509read.read, path))


@lru_cache(maxsize=8192)
def is_issued_by(child: bytes, issuer: bytes) -> bool:
    """Tell whether the issuer's key signed the child; what cannot be computed yet is left to the rules of paths."""
    below, above = x509read.read(child), x509read.read(issuer)
    held = pubkeys.verify(above.key, below.algorithm, signed=below.signed, value=below.value)
    return held is not False
