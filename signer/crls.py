"""Revocation lists as they stand, and what one says about one certificate (RFC 5280, 5 and 6.3).

A list of a hundred thousand entries is searched for the octets of one serial number; its entries are walked only if
these occur in it, or if entries name other issuers (indirect lists) or must be understood (critical extensions).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property, lru_cache
from types import MappingProxyType

from signer import der, x509ext
from signer.names import Name, Part, read_name
from signer.x509ext import DIRECTORY, GeneralName, Point, Scope
from signer.x509read import Certificate, Extension, read_extensions

CRL_MAX_BYTES = 64 * 2**20
"""Largest revocation list that is read."""

CONCERNING_MAX = 32
"""Lists beside a signature that are looked at for one certificate, the newest of them."""

ALL_REASONS = frozenset(range(1, 9))
"""The reasons a list may be limited to (ReasonFlags)."""

REASONS = {
    0: "unspecified",
    1: "keyCompromise",
    2: "cACompromise",
    3: "affiliationChanged",
    4: "superseded",
    5: "cessationOfOperation",
    6: "certificateHold",
    8: "removeFromCRL",
    9: "privilegeWithdrawn",
    10: "aACompromise",
}
_REASON, _INVALIDITY, _ISSUER, _HOLD = "2.5.29.21", "2.5.29.24", "2.5.29.29", "2.5.29.23"
_UNDERSTOOD = frozenset({x509ext.SCOPE, x509ext.DELTA, x509ext.CRL_NUMBER, x509ext.AUTHORITY_KEY, x509ext.FRESHEST})
_NAMED = frozenset({_REASON, _INVALIDITY, _ISSUER, _HOLD})
_CRITICAL, _ISSUER_OCTETS = b"\x01\x01\xff\x04", der.encode_identifier(_ISSUER)
_NONE: Mapping[str, Extension] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Entry:
    """One revoked certificate: from when, why, since when it is feared (invalidity date)."""

    moment: datetime
    reason: str = "unspecified"
    invalid_since: datetime | None = None

    @property
    def effective(self) -> datetime:
        """The moment from which it counts: of a stolen key the invalidity date, if that is earlier."""
        if self.reason == "keyCompromise" and self.invalid_since is not None:
            return min(self.moment, self.invalid_since)
        return self.moment


@dataclass(frozen=True)
class RevocationList:
    """A list taken apart; entries are looked up, not built."""

    encoded: bytes = field(repr=False)
    signed: bytes = field(repr=False)
    issuer: Name
    this_update: datetime
    next_update: datetime | None
    algorithm: bytes
    value: bytes
    extensions: Mapping[str, Extension]
    entries: der.Value | None = field(repr=False)
    doubled: bool = False

    @cached_property
    def scope(self) -> Scope | None:
        """What the list covers; ``None`` if that cannot be read."""
        found = self.extensions.get(x509ext.SCOPE)
        try:
            return x509ext.scope(found.value) if found is not None else Scope()
        except (ValueError, IndexError):
            return None

    @cached_property
    def number(self) -> int | None:
        """The number of the list."""
        return self._number(x509ext.CRL_NUMBER)

    @cached_property
    def base(self) -> int | None:
        """The number of the list that a delta list adds to."""
        return self._number(x509ext.DELTA)

    def _number(self, oid: str) -> int | None:
        found = self.extensions.get(oid)
        try:
            return x509ext.number(found.value) if found is not None else None
        except ValueError:
            return None

    @cached_property
    def authority_key(self) -> bytes | None:
        """The identifier of the key that signed it, as it says."""
        found = self.extensions.get(x509ext.AUTHORITY_KEY)
        try:
            return x509ext.authority_key(found.value) if found is not None else None
        except ValueError:
            return None

    @cached_property
    def keeps_from(self) -> datetime | None:
        """From when on ended certificates are still told of (expiredCertsOnCRL)."""
        found = self.extensions.get(x509ext.EXPIRED_KEPT)
        try:
            return der.moment(der.whole(found.value)) if found is not None else None
        except ValueError:
            return None

    @property
    def is_delta(self) -> bool:
        """Whether it only adds to another list."""
        return x509ext.DELTA in self.extensions

    @cached_property
    def is_understood(self) -> bool:
        """Whether nothing critical in it is unknown: else it says nothing about any certificate (RFC 5280, 5.2)."""
        if self.scope is None or self.doubled or (self.is_delta and self.base is None):
            return False
        return all(one.critical is False or oid in _UNDERSTOOD for oid, one in self.extensions.items())

    @cached_property
    def has_unknown_entries(self) -> bool:
        """Whether an entry has a critical extension that is unknown, or the entries cannot be read."""
        if self.entries is None or self.entries.data.find(_CRITICAL, self.entries.body, self.entries.end) < 0:
            return False
        try:
            return any(
                one.critical and oid not in _NAMED
                for entry in self.entries.walk()
                for oid, one in _fields(entry)[1].items()
            )
        except (ValueError, IndexError):
            return True

    def find(self, certificate: Certificate) -> Entry | None:
        """Return the entry about a certificate, the last of several.

        Raises:
            ValueError: the entries cannot be read.
        """
        hits = list(self._hits(certificate.serial))
        if not hits or self.entries is None:
            return None
        try:
            if self.entries.data.find(_ISSUER_OCTETS, self.entries.body, self.entries.end) >= 0:
                return self._find_indirect(certificate)
            if self.issuer.key != certificate.issuer.key:
                return None
            return _entry(*_fields(hits[-1]))
        except IndexError:
            raise ValueError("damaged entries") from None

    def _hits(self, serial: bytes) -> Iterator[der.Value]:
        """Yield the entries that begin with this serial number, found by its octets and the time that follows."""
        if self.entries is None:
            return
        pattern = der.encode(der.INTEGER, serial)
        data, end = self.entries.data, self.entries.end
        at = data.find(pattern, self.entries.body, end)
        while at >= 0:
            behind = at + len(pattern)
            entry = _entry_around(data, at, end) if data[behind : behind + 1] in (b"\x17", b"\x18") else None
            if entry is not None:
                yield entry
            at = data.find(pattern, at + 1, end)

    def _find_indirect(self, certificate: Certificate) -> Entry | None:
        """Walk all entries: each names its issuer, or goes with the one before."""
        assert self.entries is not None
        issuer, found = self.issuer.key, None
        for entry in self.entries.walk():
            serial, extensions = der.value(entry.data, entry.body, entry.end), _NONE
            if entry.data.find(_ISSUER_OCTETS, entry.body, entry.end) >= 0:
                extensions = _fields(entry)[1]
            named = extensions.get(_ISSUER)
            if named is not None:
                issuer = _directory_name(x509ext.general_names(named.value)) or ()
            if serial.content == certificate.serial and issuer == certificate.issuer.key:
                found = _entry(*_fields(entry))
        return found


def _entry_around(data: bytes, at: int, end: int) -> der.Value | None:
    """Return the sequence whose first part starts at ``at``."""
    for header in (2, 3, 4):
        try:
            found = der.value(data, at - header, end)
        except ValueError:
            continue
        if found.tag == der.SEQUENCE and found.body == at:
            return found
    return None


def _directory_name(names: tuple[GeneralName, ...]) -> tuple[Part, ...] | None:
    return next((value for kind, value in names if kind == DIRECTORY and isinstance(value, tuple)), None)


def _fields(entry: der.Value) -> tuple[der.Value, Mapping[str, Extension]]:
    """Return the time and the extensions of an entry."""
    fields = entry.expect(der.SEQUENCE).parts()
    return fields[1], read_extensions(fields[2])[0] if len(fields) > 2 else _NONE


def _entry(time: der.Value, extensions: Mapping[str, Extension]) -> Entry:
    reason, since = "unspecified", None
    if _REASON in extensions:
        code = der.integer(der.whole(extensions[_REASON].value).expect(der.ENUMERATED))
        reason = REASONS.get(code, "unspecified")
    if _INVALIDITY in extensions:
        since = der.moment(der.whole(extensions[_INVALIDITY].value))
    return Entry(der.moment(time), reason, since)


@lru_cache(maxsize=64)
def read(encoded: bytes) -> RevocationList | None:
    """Take a list (DER) apart; ``None`` if it is none, too large, or damaged."""
    if len(encoded) > CRL_MAX_BYTES:
        return None
    try:
        return _read(encoded)
    except (ValueError, IndexError):
        return None


def _read(encoded: bytes) -> RevocationList:
    body, algorithm, value = der.whole(encoded).expect(der.SEQUENCE).parts()
    fields = body.expect(der.SEQUENCE).parts()
    if fields[0].tag == der.INTEGER:
        fields.pop(0)
    _, issuer, this_update, *rest = fields
    next_update = entries = None
    extensions: dict[str, Extension] = {}
    doubled = False
    for part in rest:
        if part.tag in (der.UTC_TIME, der.GENERALIZED_TIME):
            next_update = der.moment(part)
        elif part.tag == der.SEQUENCE:
            entries = part
        elif part.tag == 0xA0:
            extensions, doubled = read_extensions(part.parts()[0])
    return RevocationList(
        encoded=encoded,
        signed=body.encoded,
        issuer=read_name(issuer.encoded),
        this_update=der.moment(this_update),
        next_update=next_update,
        algorithm=algorithm.encoded,
        value=der.bits(value),
        extensions=extensions,
        entries=entries,
        doubled=doubled,
    )


def newest_lists(found: Iterable[bytes], certificate: Certificate) -> tuple[bytes, ...]:
    """Return the newest lists of a crowd that may speak about a certificate, at most ``CONCERNING_MAX``."""
    read_ones = (one for data in dict.fromkeys(found) if (one := read(data)) is not None)
    concerning = [(one.this_update, one.encoded) for one in read_ones if reasons_for(one, certificate)]
    return tuple(data for _, data in sorted(concerning, reverse=True)[:CONCERNING_MAX])


def reasons_for(listed: RevocationList, certificate: Certificate) -> frozenset[int]:
    """Return for which reasons a list speaks about a certificate; none if it is not within its scope (6.3.3 b, d)."""
    scope, is_ca = listed.scope, x509ext.is_authority(certificate)
    if scope is None or scope.attributes_only or (scope.users_only and is_ca) or (scope.authorities_only and not is_ca):
        return frozenset()
    limited = ALL_REASONS if scope.point.reasons is None else scope.point.reasons & ALL_REASONS
    found: frozenset[int] = frozenset()
    named = x509ext.points_of(certificate)
    for point in (*named, Point((_name(certificate.issuer.key),))):
        if _is_issuer(listed, certificate, point) and _is_point(listed, certificate, point):
            found |= limited if point.reasons is None else limited & point.reasons
    return found


def _name(key: tuple[Part, ...]) -> GeneralName:
    return (DIRECTORY, key)


def _is_issuer(listed: RevocationList, certificate: Certificate, point: Point) -> bool:
    """Tell whether the list comes from whom the point names: the certificate's issuer, or another in its place."""
    if listed.issuer.key == certificate.issuer.key:
        return not point.issuer or _name(certificate.issuer.key) in point.issuer
    assert listed.scope is not None
    return listed.scope.indirect and _name(listed.issuer.key) in point.issuer


def _is_point(listed: RevocationList, certificate: Certificate, point: Point) -> bool:
    """A list for one distribution point serves only certificates that name this point."""
    assert listed.scope is not None
    own = _full(listed.scope.point, listed.issuer.key)
    if own is None:
        return True
    asked = point.issuer if point.names is None and point.relative is None else None
    if asked is None:
        issuer = (_directory_name(point.issuer) if point.issuer else None) or certificate.issuer.key
        asked = _full(point, issuer) or ()
    return any(name in own for name in asked)


def _full(point: Point, issuer: tuple[Part, ...]) -> tuple[GeneralName, ...] | None:
    if point.relative is not None:
        return (_name((*issuer, point.relative)),)
    return point.names


def adds_to(delta: RevocationList, complete: RevocationList) -> bool:
    """Tell whether a delta list continues a complete one: same issuer, scope and key, numbers that meet (6.3.3 c)."""
    if delta.base is None or delta.number is None or complete.number is None:
        return False
    same = delta.issuer.key == complete.issuer.key and delta.scope == complete.scope
    return same and delta.authority_key == complete.authority_key and delta.base <= complete.number < delta.number
