"""Evidence records: that data existed, proved anew before algorithms or authorities end (RFC 4998; signing.md 7.2).

A record is a sequence of chains of archive time stamps. The first stamp is over the data, by a reduced hash tree; each
further one in a chain is over the stamp before it; the first of a new chain is over the data and all chains before,
with a new digest. Here records are read (``read_record``), compared with data (``examine_record``), built and renewed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

from signer import asn1, ber, der
from signer.cades.examine import examine_token
from signer.cms import digest_with
from signer.cmsnames import DIGESTS
from signer.judge import Facts, Stamp
from signer.report import Code, Covers, Crypto, Integrity, Reason
from signer.timestamp import Timestamper, claimed_time, obtain
from signer.trust import Context

STAMPS_MAX = 100
"""Archive time stamps of one record, and lists of one hash tree, that are read."""
_OIDS = {name: oid for oid, name in DIGESTS.items()}
_ALGORITHM, _ATTRIBUTES, _TREE = 0xA0, 0xA1, 0xA2


@dataclass(frozen=True, slots=True)
class ArchiveStamp:
    """One archive time stamp: the digest it states, if any, the reduced hash tree, the token, what renewal hashes."""

    digest: str | None
    tree: tuple[tuple[bytes, ...], ...]
    token: bytes
    hashed: bytes


@dataclass(frozen=True, slots=True)
class Chain:
    """Stamps that renew one another.

    ``before`` are the forms in which all chains before this one may be hashed, none for the first chain; ``exact`` says
    that there can be no other. ``canonical`` gives the form in which a chain of XML hashes objects that are XML.
    """

    stamps: tuple[ArchiveStamp, ...]
    before: tuple[bytes, ...] = ()
    exact: bool = True
    canonical: Callable[[bytes], bytes | None] | None = None

    def forms(self, content: bytes) -> tuple[bytes, ...]:
        """Return the octets that an object may be hashed as."""
        other = self.canonical(content) if self.canonical is not None else None
        return (content,) if other is None or other == content else (content, other)


@dataclass(frozen=True, slots=True)
class Record:
    """An evidence record as read, and the digests of content in it, if it says."""

    chains: tuple[Chain, ...]

    @property
    def stamps(self) -> tuple[ArchiveStamp, ...]:
        """All stamps, the oldest first."""
        return tuple(stamp for chain in self.chains for stamp in chain.stamps)


def read_record(data: bytes) -> Record:
    """Read an EvidenceRecord (DER or BER).

    Raises:
        ValueError: it is not one, or it is for encrypted content, which is not judged.
    """
    version, listed, *rest = ber.whole(data).expect(der.SEQUENCE).parts()
    if version.content != b"\x01" or not listed.is_constructed or not rest or rest[-1].tag != der.SEQUENCE:
        raise ValueError("not an evidence record")
    if any(one.tag == 0xA1 for one in rest[:-1]):
        raise ValueError("an evidence record of encrypted content")
    chains: list[Chain] = []
    encoded: list[bytes] = []
    for found in rest[-1].parts():
        stamps = tuple(_read_stamp(one) for one in found.expect(der.SEQUENCE).parts())
        if not stamps or sum(len(one.stamps) for one in chains) + len(stamps) > STAMPS_MAX:
            raise ValueError("damaged evidence record")
        chains.append(Chain(stamps, (der.encode(der.SEQUENCE, *encoded),) if encoded else ()))
        encoded.append(found.encoded)
    if not chains:
        raise ValueError("an evidence record without stamps")
    return Record(tuple(chains))


def _read_stamp(found: ber.Node) -> ArchiveStamp:
    *fields, token = found.expect(der.SEQUENCE).parts()
    digest: str | None = None
    tree: tuple[tuple[bytes, ...], ...] = ()
    for field in fields:
        if field.tag == _ALGORITHM:
            oid = ber.identifier(field.first())
            digest = DIGESTS.get(oid, oid)
        elif field.tag == _TREE:
            tree = tuple(tuple(ber.octets(one) for one in part.parts()) for part in field.parts())
        elif field.tag != _ATTRIBUTES:
            raise ValueError("damaged archive time stamp")
    if len(tree) > STAMPS_MAX or any(not part for part in tree):
        raise ValueError("damaged hash tree")
    return ArchiveStamp(digest, tree, token.expect(der.SEQUENCE).encoded, token.encoded)


# --- is it over this data? -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Root:
    """The root of a stamp's hash tree over data: by the stamp's own digest, and by no other.

    An empty value fits nothing: the tree does not hold what it should. ``None`` cannot be computed.
    """

    name: str
    value: bytes | None

    def digest(self, name: str) -> bytes | None:
        """Return the root, as far as the token uses the digest of the stamp."""
        return self.value if name == self.name or self.value is None else b""


def examine_record(id: str, record: Record, objects: Sequence[bytes], context: Context) -> tuple[Facts, Stamp]:
    """Return the facts of a record over data objects, and the archive stamp that it is for what these hold.

    The record stands as its first stamp; the later ones prove that this existed, each the one before it.
    """
    stamps = record.stamps
    roots = _roots(record, objects)
    first = examine_token(id, stamps[0].token, content=roots[0] if objects else None, context=context)
    faults = tuple(
        _fault(id, number)
        for number, (stamp, root) in enumerate(zip(stamps, roots, strict=True))
        if number and root.value is not None and root.digest(_imprint_digest(stamp)) != _imprint(stamp)
    )
    times = [claimed_time(one.token) for one in stamps]
    if any(a is not None and b is not None and a > b for a, b in pairwise(times)):
        faults = (*faults, _fault(id, 0))
    renewals = []
    for number, (stamp, root) in enumerate(zip(stamps, roots, strict=True)):
        if number:
            earlier = tuple(hashlib.sha256(one.token).hexdigest() for one in stamps[:number])
            renewals.append(Stamp(f"{id}/{number}", "archive", stamp.token, root.digest, earlier))
    facts = replace(first, kind="timestamp", level="ERS", stamps=tuple(renewals))
    if faults:
        why = (Reason(Code.FORMAT_FAILURE), *faults)
        facts = replace(facts, structural=(*facts.structural, *why), integrity=Integrity.BROKEN)
    covered = tuple(hashlib.sha256(one).hexdigest() for one in objects)
    return facts, Stamp(id, "archive", stamps[0].token, roots[0].digest, covered, faults)


def _fault(id: str, number: int) -> Reason:
    return Reason(Code.MALFORMED, {"where": f"{id}: stamp {number}"})


def _roots(record: Record, objects: Sequence[bytes]) -> list[_Root]:
    """Return the root that each stamp should be over."""
    found: list[_Root] = []
    for chain in record.chains:
        before: ArchiveStamp | None = None
        name = ""
        for stamp in chain.stamps:
            name = stamp.digest or name or _imprint_digest(stamp)
            found.append(_Root(name, _root(stamp, name, chain, before, objects)))
            before = stamp
    return found


def _imprint_digest(stamp: ArchiveStamp) -> str:
    try:
        return asn1.read_tst_info(asn1.read_signed_data(stamp.token).content or b"").digest
    except ValueError:
        return ""


def _root(
    stamp: ArchiveStamp, name: str, chain: Chain, before: ArchiveStamp | None, objects: Sequence[bytes]
) -> bytes | None:
    try:
        if before is None and not objects:
            return None
        if before is not None:
            return reduced(stamp.tree, [digest_with(name, before.hashed)], name) or b""
        hashes = [[digest_with(name, form) for form in chain.forms(one)] for one in objects]
    except ValueError:
        return None
    first = stamp.tree[0] if stamp.tree else (_imprint(stamp),)
    plain = [_listed(forms, first) for forms in hashes]
    if not chain.before:
        return reduced(stamp.tree, plain, name) or b""
    for form in chain.before:
        past = digest_with(name, form)
        joined = [digest_with(name, one + past) for one in plain]
        for expected in (joined, [*plain, past]):
            root = reduced(stamp.tree, expected, name)
            if root is not None and (stamp.tree or root == _imprint(stamp)):
                return root
    return b"" if chain.exact or not set(plain) <= set(first) else None


def _listed(hashes: Sequence[bytes], listed: Sequence[bytes]) -> bytes:
    """Return the hash that a list holds, of the forms an object may have."""
    return next((one for one in hashes if one in listed), hashes[0])


def _imprint(stamp: ArchiveStamp) -> bytes:
    try:
        return asn1.read_tst_info(asn1.read_signed_data(stamp.token).content or b"").imprint
    except ValueError:
        return b""


def reduced(tree: Sequence[Sequence[bytes]], hashes: Sequence[bytes], name: str) -> bytes | None:
    """Return the root of a reduced hash tree whose first list holds these hashes; ``None`` if it does not (4.3)."""
    if not hashes:
        return None
    if not tree:
        return node(hashes, name)
    if not set(hashes) <= set(tree[0]):
        return None
    root = node(tree[0], name)
    for others in tree[1:]:
        root = node([*others, root], name)
    return root


def node(hashes: Sequence[bytes], name: str) -> bytes:
    """Return the hash of several hashes in ascending order; a single one stands for itself."""
    return hashes[0] if len(hashes) == 1 else digest_with(name, b"".join(sorted(hashes)))


def unreadable(id: str) -> Facts:
    """Return the facts of a record that cannot be read: listed, and left open."""
    named = {"algorithm": "EvidenceRecord"}
    why = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, named), Reason(Code.ALGORITHM_UNSUPPORTED, named))
    return Facts(id, Crypto.UNKNOWN, Integrity.UNKNOWN, Covers.PARTIAL, "ERS", None, structural=why, kind="timestamp")


# --- building and renewing -------------------------------------------------------------------------------------------


def build_records(objects: Sequence[bytes], *, timestamper: Timestamper, digest: str = "sha256") -> tuple[bytes, ...]:
    """Stamp data objects by one hash tree; return an evidence record (DER) for each, in their order.

    Raises:
        ValueError: no object, or a digest that is not known.
        TimestampError: as ``signer.timestamp.obtain``.
    """
    if not objects:
        raise ValueError("an evidence record needs data")
    hashes = [digest_with(digest, one) for one in objects]
    paths, root = _paths(hashes, digest)
    token = obtain(timestamper, root, algorithm=digest)
    return tuple(_record([[_stamp(path, token, digest)]], [digest]) for path in paths)


def _paths(hashes: Sequence[bytes], name: str) -> tuple[list[list[list[bytes]]], bytes]:
    """Return for each hash the lists that lead to the root, and the root, of a binary tree."""
    level = [(one, [number]) for number, one in enumerate(hashes)]
    paths: list[list[list[bytes]]] = [[] for _ in hashes]
    while len(level) > 1:
        above = []
        for left, right in zip(level[::2], level[1::2], strict=False):
            for mine, other in ((left, right), (right, left)):
                for number in mine[1]:
                    paths[number].append([other[0]] if paths[number] else sorted([mine[0], other[0]]))
            above.append((node([left[0], right[0]], name), [*left[1], *right[1]]))
        level = [*above, *(level[-1:] if len(level) % 2 else [])]
    root = level[0][0]
    for number, path in enumerate(paths):
        if not path:
            path.append([hashes[number]])
        elif hashes[number] not in path[0]:
            path.insert(0, [hashes[number]])
    return paths, root


def renew_stamp(data: bytes, *, timestamper: Timestamper) -> bytes:
    """Add a stamp over the last one, before its authority or its algorithms end (RFC 4998, 5.2).

    Raises:
        ValueError: ``data`` is no evidence record.
        TimestampError: as ``signer.timestamp.obtain``.
    """
    record = read_record(data)
    last = record.chains[-1].stamps[-1]
    digest = next((one.digest for one in reversed(record.chains[-1].stamps) if one.digest), None)
    digest = digest or _imprint_digest(record.chains[-1].stamps[0])
    token = obtain(timestamper, digest_with(digest, last.hashed), algorithm=digest)
    *chains, newest = _encoded_chains(data)
    return _record([*chains, [*newest, _stamp([], token, digest)]], _stated_digests(data))


def renew_tree(data: bytes, content: bytes, *, timestamper: Timestamper, digest: str) -> bytes:
    """Begin a chain with another digest, over the data and everything before it (RFC 4998, 5.2).

    Raises:
        ValueError: ``data`` is no evidence record, or not over ``content``.
        TimestampError: as ``signer.timestamp.obtain``.
    """
    record = read_record(data)
    if not all(root.value for root in _roots(record, [content])):
        raise ValueError("the evidence record is not over this content")
    chains = _encoded_chains(data)
    past = digest_with(digest, der.encode(der.SEQUENCE, *(der.encode(der.SEQUENCE, *one) for one in chains)))
    joined = digest_with(digest, digest_with(digest, content) + past)
    token = obtain(timestamper, joined, algorithm=digest)
    named = tuple(dict.fromkeys((*_stated_digests(data), digest)))
    return _record([*chains, [_stamp([[joined]], token, digest)]], named)


def _encoded_chains(data: bytes) -> list[list[bytes]]:
    sequence = ber.whole(data).parts()[-1]
    return [[one.encoded for one in chain.parts()] for chain in sequence.parts()]


def _stated_digests(data: bytes) -> tuple[str, ...]:
    listed = ber.whole(data).parts()[1]
    return tuple(DIGESTS.get(oid, oid) for oid in (ber.identifier(one.first()) for one in listed.parts()))


def _stamp(tree: Sequence[Sequence[bytes]], token: bytes, digest: str) -> bytes:
    lists = (der.encode(der.SEQUENCE, *(der.encode(der.OCTETS, one) for one in part)) for part in tree)
    reduced_tree = der.encode(_TREE, *lists) if tree else b""
    return der.encode(der.SEQUENCE, der.encode(_ALGORITHM, der.encode_identifier(_OIDS[digest])), reduced_tree, token)


def _record(chains: Sequence[Sequence[bytes]], digests: Sequence[str]) -> bytes:
    named = (der.encode(der.SEQUENCE, der.encode_identifier(_OIDS.get(one, one))) for one in digests)
    sequence = der.encode(der.SEQUENCE, *(der.encode(der.SEQUENCE, *chain) for chain in chains))
    return der.encode(der.SEQUENCE, der.encode_integer(1), der.encode(der.SEQUENCE, *named), sequence)
