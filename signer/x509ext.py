"""What the extensions of certificates and revocation lists say (RFC 5280, 4.2 and 5.2).

Each reader takes the octets of a value and raises ``ValueError`` for what it cannot read; ``of`` and its like look the
extension up first. Sets of bits are sets of their numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from signer import der
from signer.names import Part, read_name, read_part
from signer.x509read import Certificate

SUBJECT_KEY, KEY_USAGE, SUBJECT_NAMES, ISSUER_NAMES = "2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.18"
BASIC, NAME_CONSTRAINTS, CRL_POINTS, POLICIES = "2.5.29.19", "2.5.29.30", "2.5.29.31", "2.5.29.32"
MAPPINGS, AUTHORITY_KEY, POLICY_CONSTRAINTS, EXTENDED_USAGE = "2.5.29.33", "2.5.29.35", "2.5.29.36", "2.5.29.37"
FRESHEST, INHIBIT_ANY, KEY_PERIOD = "2.5.29.46", "2.5.29.54", "2.5.29.16"
AUTHORITY_ACCESS, SUBJECT_ACCESS = "1.3.6.1.5.5.7.1.1", "1.3.6.1.5.5.7.1.11"
QUALIFIED, OCSP_NOCHECK = "1.3.6.1.5.5.7.1.3", "1.3.6.1.5.5.7.48.1.5"
CRL_NUMBER, DELTA, SCOPE, EXPIRED_KEPT = "2.5.29.20", "2.5.29.27", "2.5.29.28", "2.5.29.60"

DIGITAL_SIGNATURE, CONTENT_COMMITMENT, CERT_SIGN, CRL_SIGN = 0, 1, 5, 6
ANY_POLICY = "2.5.29.32.0"
OCSP_ACCESS, ISSUERS_ACCESS = "1.3.6.1.5.5.7.48.1", "1.3.6.1.5.5.7.48.2"

RFC822, DNS, DIRECTORY, URI, IP = 1, 2, 4, 6, 7
ITEMS_MAX = 2000
"""Names, policies or points in one extension."""

GeneralName = tuple[int, str | bytes | tuple[Part, ...]]
"""Kind (the number of its tag) and value: text, a name in the form in which it is compared, or octets."""


def _items(octets: bytes) -> list[der.Value]:
    found = der.whole(octets).expect(der.SEQUENCE).parts()
    if len(found) > ITEMS_MAX:
        raise ValueError("too many entries")
    return found


def general_name(found: der.Value) -> GeneralName:
    """Read one GeneralName.

    Raises:
        ValueError: it cannot be read.
    """
    kind = found.tag & 0x1F
    if kind == DIRECTORY:
        return DIRECTORY, read_name(found.content).key
    if kind in (RFC822, DNS, URI):
        return kind, found.content.decode("latin-1")
    return kind, found.encoded if kind != IP else found.content


@lru_cache(maxsize=512)
def general_names(octets: bytes) -> tuple[GeneralName, ...]:
    """Read a list of GeneralNames."""
    return tuple(general_name(item) for item in _items(octets))


@lru_cache(maxsize=512)
def basic_constraints(octets: bytes) -> tuple[bool, int | None]:
    """Return whether the certificate is an authority's, and how many authorities may follow."""
    is_ca, length = False, None
    for item in _items(octets):
        if item.tag == der.BOOLEAN:
            is_ca = der.boolean(item)
        else:
            length = der.integer(item.expect(der.INTEGER))
    if length is not None and length < 0:
        raise ValueError("negative path length")
    return is_ca, length


@lru_cache(maxsize=512)
def key_usage(octets: bytes) -> frozenset[int]:
    """Return the bits of the key usage."""
    return der.bit_set(der.whole(octets).expect(der.BIT_STRING))


@lru_cache(maxsize=512)
def extended_usage(octets: bytes) -> frozenset[str]:
    """Return the purposes (dotted)."""
    return frozenset(der.identifier(item) for item in _items(octets))


@lru_cache(maxsize=512)
def policies(octets: bytes) -> tuple[str, ...]:
    """Return the certificate policies (dotted); one named twice cannot be read."""
    found = tuple(der.identifier(item.expect(der.SEQUENCE).parts()[0]) for item in _items(octets))
    if len(set(found)) != len(found):
        raise ValueError("a policy twice")
    return found


@lru_cache(maxsize=512)
def mappings(octets: bytes) -> tuple[tuple[str, str], ...]:
    """Return pairs of the issuer's and the subject's policy."""
    pairs = []
    for item in _items(octets):
        issuers, subjects = item.expect(der.SEQUENCE).parts()
        pairs.append((der.identifier(issuers), der.identifier(subjects)))
    return tuple(pairs)


@lru_cache(maxsize=512)
def policy_constraints(octets: bytes) -> tuple[int | None, int | None]:
    """Return requireExplicitPolicy and inhibitPolicyMapping."""
    found: dict[int, int] = {}
    for item in _items(octets):
        found[item.tag] = der.integer(item)
    if not set(found) <= {0x80, 0x81} or min(found.values(), default=0) < 0:
        raise ValueError("damaged policy constraints")
    return found.get(0x80), found.get(0x81)


def number(octets: bytes) -> int:
    """Return the number an extension consists of."""
    return der.integer(der.whole(octets).expect(der.INTEGER))


Subtree = tuple[GeneralName, bool]
"""The base of a name constraint, and whether it has a minimum or maximum, which nobody processes."""


@lru_cache(maxsize=512)
def name_constraints(octets: bytes) -> tuple[tuple[Subtree, ...], tuple[Subtree, ...]]:
    """Return the permitted and the excluded subtrees."""
    found: dict[int, tuple[Subtree, ...]] = {}
    for item in _items(octets):
        subtrees = []
        for subtree in item.parts():
            base, *limits = subtree.expect(der.SEQUENCE).parts()
            bounded = any(limit.tag == 0x81 or der.integer(limit) != 0 for limit in limits)
            subtrees.append((general_name(base), bounded))
        found[item.tag] = tuple(subtrees)
    if not set(found) <= {0xA0, 0xA1} or sum(map(len, found.values())) > ITEMS_MAX:
        raise ValueError("damaged name constraints")
    return found.get(0xA0, ()), found.get(0xA1, ())


@dataclass(frozen=True, slots=True)
class Point:
    """A distribution point: names or a part relative to the issuer, the reasons it serves (all), who issues the list.

    ``issuer`` are the names of the list's issuer, empty if that is the certificate's.
    """

    names: tuple[GeneralName, ...] | None = None
    relative: Part | None = None
    reasons: frozenset[int] | None = None
    issuer: tuple[GeneralName, ...] = ()


@lru_cache(maxsize=512)
def points(octets: bytes) -> tuple[Point, ...]:
    """Return the distribution points of a certificate."""
    return tuple(_point(item) for item in _items(octets))


def _point(item: der.Value) -> Point:
    names, relative, reasons = None, None, None
    issuer: tuple[GeneralName, ...] = ()
    for field in item.expect(der.SEQUENCE).parts():
        if field.tag == 0xA0:
            names, relative = _point_name(field)
        elif field.tag == 0x81:
            reasons = der.bit_set(field)
        elif field.tag == 0xA2:
            issuer = tuple(general_name(one) for one in field.parts())
        else:
            raise ValueError("damaged distribution point")
    return Point(names, relative, reasons, issuer)


def _point_name(field: der.Value) -> tuple[tuple[GeneralName, ...] | None, Part | None]:
    chosen = field.parts()[0]
    if chosen.tag == 0xA0:
        return tuple(general_name(one) for one in chosen.parts()), None
    if chosen.tag != 0xA1:
        raise ValueError("damaged distribution point name")
    part = der.Value(der.SET, chosen.data, chosen.start, chosen.body, chosen.end)
    return None, read_part(part)


@dataclass(frozen=True, slots=True)
class Scope:
    """What a revocation list covers (issuing distribution point)."""

    point: Point = Point()
    users_only: bool = False
    authorities_only: bool = False
    attributes_only: bool = False
    indirect: bool = False


@lru_cache(maxsize=256)
def scope(octets: bytes) -> Scope:
    """Return the scope of a revocation list."""
    names, relative, reasons = None, None, None
    flags = dict.fromkeys((0x81, 0x82, 0x84, 0x85), False)
    for field in _items(octets):
        if field.tag == 0xA0:
            names, relative = _point_name(field)
        elif field.tag == 0x83:
            reasons = der.bit_set(field)
        elif field.tag in flags:
            flags[field.tag] = der.boolean(field)
        else:
            raise ValueError("damaged issuing distribution point")
    return Scope(Point(names, relative, reasons), flags[0x81], flags[0x82], flags[0x85], flags[0x84])


@lru_cache(maxsize=512)
def key_identifier(octets: bytes) -> bytes:
    """Return a subject key identifier."""
    return der.whole(octets).expect(der.OCTETS).content


@lru_cache(maxsize=512)
def authority_key(octets: bytes) -> bytes | None:
    """Return the key identifier an authority key identifier names."""
    return next((item.content for item in _items(octets) if item.tag == 0x80), None)


def is_authority(certificate: Certificate) -> bool:
    """Tell whether a certificate says it is an authority's; what cannot be read does not say so."""
    found = certificate.extensions.get(BASIC)
    try:
        return found is not None and basic_constraints(found.value)[0]
    except ValueError:
        return False


def usage_of(certificate: Certificate) -> frozenset[int] | None:
    """Return the bits of the key usage, ``None`` without one; one that cannot be read allows nothing."""
    found = certificate.extensions.get(KEY_USAGE)
    try:
        return key_usage(found.value) if found is not None else None
    except ValueError:
        return frozenset()


def purposes_of(certificate: Certificate) -> frozenset[str] | None:
    """Return the extended purposes, ``None`` without any; what cannot be read allows nothing."""
    found = certificate.extensions.get(EXTENDED_USAGE)
    try:
        return extended_usage(found.value) if found is not None else None
    except ValueError:
        return frozenset()


def points_of(certificate: Certificate) -> tuple[Point, ...]:
    """Return the distribution points a certificate names."""
    found = certificate.extensions.get(CRL_POINTS)
    try:
        return points(found.value) if found is not None else ()
    except ValueError:
        return ()


def key_identifier_of(certificate: Certificate) -> bytes | None:
    """Return the subject key identifier of a certificate."""
    found = certificate.extensions.get(SUBJECT_KEY)
    try:
        return key_identifier(found.value) if found is not None else None
    except ValueError:
        return None


def authority_key_of(certificate: Certificate) -> bytes | None:
    """Return the key identifier of the issuer that a certificate names."""
    found = certificate.extensions.get(AUTHORITY_KEY)
    try:
        return authority_key(found.value) if found is not None else None
    except ValueError:
        return None


def addresses_of(certificate: Certificate, *, method: str) -> tuple[str, ...]:
    """Return the addresses of a kind that a certificate names: of OCSP services, of issuers' certificates."""
    found = certificate.extensions.get(AUTHORITY_ACCESS)
    if found is None:
        return ()
    addresses = []
    try:
        for item in _items(found.value):
            access, location = item.expect(der.SEQUENCE).parts()
            kind, name = general_name(location)
            if der.identifier(access) == method and kind == URI and isinstance(name, str):
                addresses.append(name)
    except ValueError:
        return ()
    return tuple(addresses)


def list_addresses_of(certificate: Certificate) -> tuple[str, ...]:
    """Return the addresses of revocation lists that a certificate names."""
    names = (name for point in points_of(certificate) for name in point.names or ())
    return tuple(value for kind, value in names if kind == URI and isinstance(value, str))
