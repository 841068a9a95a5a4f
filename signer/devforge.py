"""A forge for tests: certificates and lists with every field as asked, right or wrong (signing.md 9).

Unlike ``devpki`` nothing is checked: serial numbers may be negative, extensions doubled, names in any kind of string,
keys without parameters. Pure functions that make bytes; never for real use.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec

from signer import der, x509ext
from signer.der import OCTETS, SEQUENCE, SET, encode, encode_bit_set, encode_bits, encode_identifier, encode_integer

Key = ec.EllipticCurvePrivateKey | dsa.DSAPrivateKey
UTF8, PRINTABLE, IA5 = 12, 19, 22
_ECDSA, _DSA = "1.2.840.10045.4.3.2", "2.16.840.1.101.3.4.3.2"
YEARS = timedelta(days=3650)

Extra = tuple[str, bool, bytes]
"""An extension: type (dotted), critical, octets of its value."""


def name(*parts: tuple[str, str], kind: int = UTF8) -> bytes:
    """Write a name of these attributes (dotted type, text), in one kind of string."""
    rdns = []
    for type_, text in parts:
        attribute = encode(SEQUENCE, encode_identifier(type_), encode(kind, text.encode("utf-8")))
        rdns.append(encode(SET, attribute))
    return encode(SEQUENCE, *rdns)


def called(common: str, *, unit: str | None = None, kind: int = UTF8) -> bytes:
    """Write the name of something for tests."""
    middle = [("2.5.4.11", unit)] if unit else []
    return name(("2.5.4.6", "VN"), ("2.5.4.10", "THỬ NGHIỆM"), *middle, ("2.5.4.3", common), kind=kind)


def time(moment: datetime, *, general: bool | None = None) -> bytes:
    """Write a moment, as UTCTime before 2050 unless ``general``."""
    if general or (general is None and not 1950 <= moment.year < 2050):
        return encode(der.GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())
    return encode(der.UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())


@dataclass(frozen=True)
class Issuer:
    """Whoever signs: a name and a key; ``certificate`` is the one others find it by."""

    name: bytes
    key: Key = field(repr=False)
    certificate: bytes = b""


@dataclass(frozen=True)
class Plan:
    """What a certificate says; ``faults`` change single fields."""

    subject: bytes
    start: datetime
    end: datetime
    extensions: tuple[Extra, ...] = ()
    serial: bytes = b"\x01"
    version: int = 3
    general_times: bool | None = None
    inherits: bool = False  # a DSA key without its parameters
    spoilt: bool = False  # a signature over something else

    def with_(self, *extensions: Extra) -> Plan:
        """Return the same plan with more extensions."""
        return replace(self, extensions=self.extensions + extensions)


def new_key() -> ec.EllipticCurvePrivateKey:
    """Make a key."""
    return ec.generate_private_key(ec.SECP256R1())


def certificate(plan: Plan, key: Key, issuer: Issuer) -> bytes:
    """Write a certificate (DER) for a key, signed by the issuer."""
    algorithm = _algorithm(issuer.key)
    validity = encode(
        SEQUENCE, time(plan.start, general=plan.general_times), time(plan.end, general=plan.general_times)
    )
    fields = [encode(der.INTEGER, plan.serial), algorithm, issuer.name, validity, plan.subject]
    fields.append(public_key(key, inherits=plan.inherits))
    if plan.version > 1:
        fields.insert(0, encode(0xA0, encode_integer(plan.version - 1)))
    if plan.extensions:
        fields.append(encode(0xA3, _extensions(plan.extensions)))
    return signed(encode(SEQUENCE, *fields), issuer.key, spoilt=plan.spoilt)


def public_key(key: Key, *, inherits: bool = False) -> bytes:
    """Write a SubjectPublicKeyInfo, without the parameters if they are inherited."""
    whole = key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    if not inherits:
        return whole
    algorithm, octets = der.value(whole).parts()
    return encode(SEQUENCE, encode(SEQUENCE, algorithm.parts()[0].encoded), octets.encoded)


def _algorithm(key: Key) -> bytes:
    return encode(SEQUENCE, encode_identifier(_DSA if isinstance(key, dsa.DSAPrivateKey) else _ECDSA))


def signed(body: bytes, key: Key, *, spoilt: bool = False) -> bytes:
    """Sign a body as certificates and lists are signed."""
    octets = body + b"\0" if spoilt else body
    if isinstance(key, dsa.DSAPrivateKey):
        value = key.sign(octets, hashes.SHA256())
    else:
        value = key.sign(octets, ec.ECDSA(hashes.SHA256()))
    return encode(SEQUENCE, body, _algorithm(key), encode_bits(value))


def _extensions(extensions: Sequence[Extra]) -> bytes:
    found = []
    for type_, critical, value in extensions:
        flag = encode(der.BOOLEAN, b"\xff") if critical else b""
        found.append(encode(SEQUENCE, encode_identifier(type_), flag, encode(OCTETS, value)))
    return encode(SEQUENCE, *found)


# --- extensions ------------------------------------------------------------------------------------------------------


def authority(length: int | None = None, *, ca: bool = True, critical: bool = True) -> Extra:
    """Basic constraints."""
    flag = encode(der.BOOLEAN, b"\xff") if ca else b""
    most = encode_integer(length) if length is not None else b""
    return x509ext.BASIC, critical, encode(SEQUENCE, flag, most)


def usage(*numbers: int, critical: bool = True) -> Extra:
    """Key usage with these bits."""
    return x509ext.KEY_USAGE, critical, encode_bit_set(frozenset(numbers))


def policies(*dotted: str) -> Extra:
    """Certificate policies."""
    return x509ext.POLICIES, False, encode(SEQUENCE, *(encode(SEQUENCE, encode_identifier(one)) for one in dotted))


def mappings(*pairs: tuple[str, str]) -> Extra:
    """Policy mappings, from the issuer's to the subject's."""
    written = (encode(SEQUENCE, encode_identifier(one), encode_identifier(other)) for one, other in pairs)
    return x509ext.MAPPINGS, True, encode(SEQUENCE, *written)


def policy_constraints(*, require: int | None = None, inhibit: int | None = None) -> Extra:
    """RequireExplicitPolicy and inhibitPolicyMapping."""
    first = encode(0x80, bytes((require,))) if require is not None else b""
    second = encode(0x81, bytes((inhibit,))) if inhibit is not None else b""
    return x509ext.POLICY_CONSTRAINTS, True, encode(SEQUENCE, first, second)


def inhibit_any(skip: int) -> Extra:
    """InhibitAnyPolicy."""
    return x509ext.INHIBIT_ANY, True, encode_integer(skip)


def general(kind: int, value: str | bytes) -> bytes:
    """Write a GeneralName; a directory name is given as its encoding."""
    octets = value.encode("ascii") if isinstance(value, str) else value
    return encode((0xA0 if kind == x509ext.DIRECTORY else 0x80) | kind, octets)


def name_constraints(*, permitted: Sequence[bytes] = (), excluded: Sequence[bytes] = ()) -> Extra:
    """Name constraints with these bases (GeneralNames)."""
    fields = []
    for tag, bases in ((0xA0, permitted), (0xA1, excluded)):
        if bases:
            fields.append(encode(tag, *(encode(SEQUENCE, base) for base in bases)))
    return x509ext.NAME_CONSTRAINTS, True, encode(SEQUENCE, *fields)


def alternative_names(*names: bytes) -> Extra:
    """Subject alternative names."""
    return x509ext.SUBJECT_NAMES, False, encode(SEQUENCE, *names)


def point_name(*names: bytes, relative: tuple[str, str] | None = None) -> bytes:
    """Write a DistributionPointName: full names, or one attribute relative to the issuer."""
    if relative is None:
        return encode(0xA0, encode(0xA0, *names))
    attribute = encode(SEQUENCE, encode_identifier(relative[0]), encode(UTF8, relative[1].encode("utf-8")))
    return encode(0xA0, encode(0xA1, attribute))


def points(*written: bytes) -> Extra:
    """Distribution points, each as ``point`` writes it."""
    return x509ext.CRL_POINTS, False, encode(SEQUENCE, *written)


def point(names: bytes = b"", *, reasons: Sequence[int] = (), issuer: bytes = b"") -> bytes:
    """Write a distribution point: its name, its reasons, the name (encoding) of the list's issuer."""
    limited = encode(0x81, encode_bit_set(frozenset(reasons))[2:]) if reasons else b""
    other = encode(0xA2, general(x509ext.DIRECTORY, issuer)) if issuer else b""
    return encode(SEQUENCE, names, limited, other)


@dataclass(frozen=True)
class Scope:
    """What an issuing distribution point says."""

    names: bytes = b""
    users: bool = False
    authorities: bool = False
    attributes: bool = False
    indirect: bool = False
    reasons: tuple[int, ...] = ()

    def extension(self) -> Extra:
        """Write it."""
        limited = encode(0x83, encode_bit_set(frozenset(self.reasons))[2:]) if self.reasons else b""
        tail = [encode(tag, b"\xff") for tag, on in ((0x84, self.indirect), (0x85, self.attributes)) if on]
        head = [encode(tag, b"\xff") for tag, on in ((0x81, self.users), (0x82, self.authorities)) if on]
        return x509ext.SCOPE, True, encode(SEQUENCE, self.names, *head, limited, *tail)


# --- lists -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Gone:
    """One entry of a list."""

    serial: bytes
    moment: datetime
    reason: int | None = None
    issuer: bytes = b""  # of the certificate, for indirect lists
    extensions: tuple[Extra, ...] = ()

    def encoded(self) -> bytes:
        """Write it."""
        found = list(self.extensions)
        if self.reason is not None:
            found.append(("2.5.29.21", False, encode(der.ENUMERATED, bytes((self.reason,)))))
        if self.issuer:
            found.append(("2.5.29.29", True, encode(SEQUENCE, general(x509ext.DIRECTORY, self.issuer))))
        listed = _extensions(found) if found else b""
        return encode(SEQUENCE, encode(der.INTEGER, self.serial), time(self.moment), listed)


@dataclass(frozen=True)
class Listing:
    """What a revocation list says; a number of ``None`` leaves it out, ``base`` makes it a delta list."""

    at: datetime
    gone: tuple[Gone, ...] = ()
    days: int | None = 30
    number: int | None = 1
    base: int | None = None
    extensions: tuple[Extra, ...] = ()
    spoilt: bool = False


def listing(plan: Listing, issuer: Issuer) -> bytes:
    """Write a revocation list (DER)."""
    extensions = list(plan.extensions)
    if plan.number is not None:
        extensions.append((x509ext.CRL_NUMBER, False, encode_integer(plan.number)))
    if plan.base is not None:
        extensions.append((x509ext.DELTA, True, encode_integer(plan.base)))
    fields = [encode_integer(1), _algorithm(issuer.key), issuer.name, time(plan.at)]
    if plan.days is not None:
        fields.append(time(plan.at + timedelta(days=plan.days)))
    if plan.gone:
        fields.append(encode(SEQUENCE, *(one.encoded() for one in plan.gone)))
    if extensions:
        fields.append(encode(0xA0, _extensions(extensions)))
    return signed(encode(SEQUENCE, *fields), issuer.key, spoilt=plan.spoilt)
