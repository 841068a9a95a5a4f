"""Evidence records: built, renewed, compared with data, and told from tampered ones (RFC 4998; signing.md 7.2)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import ber, der
from signer.devpki import DevPki, DevTimestamper
from signer.evidencerecord import build_records, reduced, renew_stamp, renew_tree
from signer.inspect import inspect_file, recognise
from signer.report import Indication, Integrity, Report, Verdict
from signer.timestamp import obtain
from signer.trust import Content, Context

OBJECTS = [b"one", b"two", b"three", b"four", b"five"]


def _over(context: Context, *objects: bytes) -> Context:
    return replace(context, contents=tuple(Content(str(n), one) for n, one in enumerate(objects)))


def _authority(pki: DevPki, now: datetime, minutes: int) -> DevTimestamper:
    """Return an authority whose clock stands some minutes before the judgement."""
    return DevTimestamper(pki, lambda: now - timedelta(minutes=minutes))


def _judged(record: bytes, context: Context, *objects: bytes) -> tuple[Integrity, list[Integrity]]:
    (one,) = inspect_file(record, context=_over(context, *objects)).signatures
    return one.integrity, [each.integrity for each in one.timestamps]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_each_object_has_its_record(count: int, digest: str, timestamper: DevTimestamper, context: Context) -> None:
    records = build_records(OBJECTS[:count], timestamper=timestamper, digest=digest)
    for number, record in enumerate(records):
        report = inspect_file(record, context=_over(context, OBJECTS[number]))
        (one,) = report.signatures
        assert (recognise(record), report.format) == ("cms", "EvidenceRecord")
        assert (one.kind, one.integrity, one.indication) == ("timestamp", Integrity.INTACT, Indication.PASSED)
        assert report.verdict is Verdict.INDETERMINATE, "a record is no signature"
        assert _judged(record, context, b"another") == (Integrity.BROKEN, [])
        assert _judged(record, context) == (Integrity.UNKNOWN, [])


def test_a_record_is_renewed_by_stamp_and_by_tree(pki: DevPki, now: datetime, context: Context) -> None:
    """Each renewal is over what was before, and what is over something else breaks the record."""
    later = [_authority(pki, now, minutes) for minutes in (9, 8, 7, 6)]
    record = build_records(OBJECTS, timestamper=later[0])[2]
    stamped = renew_stamp(record, timestamper=later[1])
    hashed = renew_tree(stamped, b"three", timestamper=later[2], digest="sha512")
    again = renew_stamp(hashed, timestamper=later[3])
    intact = Integrity.INTACT
    assert _judged(stamped, context, b"three") == (intact, [intact])
    assert _judged(hashed, context, b"three") == (intact, [intact] * 2)
    assert _judged(again, context, b"three") == (intact, [intact] * 3)
    assert _judged(again, context, b"four")[0] is Integrity.BROKEN
    with pytest.raises(ValueError, match="not over"):
        renew_tree(record, b"one", timestamper=later[2], digest="sha512")


def test_a_renewal_of_another_record_breaks_it(pki: DevPki, now: datetime, context: Context) -> None:
    """The second stamp is over the first of a different record."""
    stampers = [_authority(pki, now, minutes) for minutes in (9, 8)]
    mine, other = (build_records([one], timestamper=stampers[0])[0] for one in OBJECTS[:2])
    renewed = renew_stamp(other, timestamper=stampers[1])
    second = ber.whole(renewed).parts()[-1].parts()[0].parts()[1].encoded
    first = ber.whole(mine).parts()[-1].parts()[0].parts()[0].encoded
    sequence = der.encode(0x30, der.encode(0x30, first, second))
    mixed = der.encode(0x30, *(part.encoded for part in ber.whole(mine).parts()[:-1]), sequence)
    assert _judged(mixed, context, OBJECTS[0])[0] is Integrity.BROKEN


def test_stamps_out_of_order_break_it(pki: DevPki, now: datetime, context: Context) -> None:
    """A renewal cannot be older than what it renews."""
    early, late = (_authority(pki, now, minutes) for minutes in (9, 1))
    record = renew_stamp(build_records([b"x"], timestamper=late)[0], timestamper=early)
    assert _judged(record, context, b"x")[0] is Integrity.BROKEN


def test_the_tree_must_hold_the_object() -> None:
    """RFC 4998, 4.3: in the first list, and each list hashed in ascending order into the next."""

    def hashed(data: bytes) -> bytes:
        return hashlib.sha256(data).digest()

    a, b, c = (hashed(one) for one in (b"a", b"b", b"c"))
    ab = hashed(b"".join(sorted((a, b))))
    root = hashed(b"".join(sorted((ab, c))))
    assert reduced([[a, b], [c]], [a], "sha256") == root
    assert reduced([[b], [a], [c]], [b], "sha256") == root
    assert reduced([[a, b], [c]], [c], "sha256") is None
    assert reduced([], [a], "sha256") == a
    assert reduced([[a]], [], "sha256") is None


@pytest.mark.filterwarnings("ignore:Parsed a serial number")
@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_changed_bit_raises_nothing_and_proves_nothing_else(
    timestamper: DevTimestamper, context: Context, place: float, bit: int
) -> None:
    record = _ONCE.setdefault(b"", build_records(OBJECTS, timestamper=timestamper)[0])
    changed = bytearray(record)
    changed[int(place * len(record))] ^= 1 << bit
    report = inspect_file(bytes(changed), context=_over(context, b"other"))
    assert report.verdict is not Verdict.VALID
    assert all(one.integrity is not Integrity.INTACT for one in report.signatures)


_ONCE: dict[bytes, bytes] = {}


# --- RFC 6283 --------------------------------------------------------------------------------------------------------

_HEAD = '<EvidenceRecord xmlns="urn:ietf:params:xml:ns:ers" Version="1.0"><ArchiveTimeStampSequence>'
_TAIL = "</ArchiveTimeStampSequence></EvidenceRecord>"


def _chain(order: int, digest: str, stamps: str) -> str:
    method = f'<DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#{digest}"/>'
    form = '<CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>'
    return f'<ArchiveTimeStampChain Order="{order}">{method}{form}{stamps}</ArchiveTimeStampChain>'


def _stamp(order: int, tree: list[list[bytes]], token: bytes) -> str:
    lists = "".join(
        f'<Sequence Order="{n}">{"".join(f"<DigestValue>{_text(one)}</DigestValue>" for one in part)}</Sequence>'
        for n, part in enumerate(tree, start=1)
    )
    held = f"<HashTree>{lists}</HashTree>" if tree else ""
    stamped = f'<TimeStamp><TimeStampToken Type="RFC3161">{_text(token)}</TimeStampToken></TimeStamp>'
    return f'<ArchiveTimeStamp Order="{order}">{held}{stamped}</ArchiveTimeStamp>'


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _canonical_stamp(token: bytes) -> bytes:
    inside = f'<TimeStampToken Type="RFC3161">{_text(token)}</TimeStampToken>'
    return f'<TimeStamp xmlns="urn:ietf:params:xml:ns:ers">{inside}</TimeStamp>'.encode()


def _of_xml(report: Report) -> tuple[Integrity, list[Integrity]]:
    (one,) = report.signatures
    return one.integrity, [each.integrity for each in one.timestamps]


def test_records_in_xml_are_read_with_their_renewals(timestamper: DevTimestamper, context: Context) -> None:
    first = obtain(timestamper, hashlib.sha256(b"one").digest())
    past = hashlib.sha256(_canonical_stamp(first)).digest()
    second = obtain(timestamper, past)
    chain = _chain(1, "sha256", _stamp(1, [], first) + _stamp(2, [[past]], second))
    sequence = f'<ArchiveTimeStampSequence xmlns="urn:ietf:params:xml:ns:ers">{chain}</ArchiveTimeStampSequence>'
    before = hashlib.sha512(_expanded(sequence)).digest()
    joined = hashlib.sha512(hashlib.sha512(b"one").digest() + before).digest()
    third = obtain(timestamper, joined, algorithm="sha512")
    record = (_HEAD + chain + _chain(2, "sha512", _stamp(1, [[joined]], third)) + _TAIL).encode()
    intact = Integrity.INTACT
    report = inspect_file(record, context=_over(context, b"one"))
    assert (report.kind, report.format) == ("xml", "EvidenceRecord")
    assert _of_xml(report) == (intact, [intact, intact])
    assert _of_xml(inspect_file(record, context=_over(context, b"two")))[0] is Integrity.BROKEN
    changed = record.replace(_text(past).encode(), _text(bytes(32)).encode())
    assert _of_xml(inspect_file(changed, context=_over(context, b"one")))[0] is Integrity.BROKEN


def _expanded(text: str) -> bytes:
    """Write empty elements as canonical XML has them."""
    for name in ("DigestMethod", "CanonicalizationMethod"):
        head, *rest = text.split(f"<{name} ")
        text = head + "".join(f"<{name} {one.replace('/>', f'></{name}>', 1)}" for one in rest)
    return text.encode()


def test_damaged_records_in_xml_are_named(context: Context) -> None:
    report = inspect_file((_HEAD + _TAIL).encode(), context=context)
    assert (report.kind, report.verdict) == ("xml", Verdict.INVALID)
