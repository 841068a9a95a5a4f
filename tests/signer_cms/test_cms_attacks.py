"""Attack files of CMS, one fault each, and harmless neighbours beside them (signing.md 4.1, E1–E4; 6, S1; 10, A3)."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import asn1, ber, der
from signer.cades.verify import inspect_cms
from signer.cmsnames import DATA, TST_INFO
from signer.devpki import DevIdentity, DevTimestamper
from signer.inspect import inspect_file
from signer.report import Code, Indication, Integrity, Report, Verdict
from signer.signeddata import read_signed_data
from signer.trust import Content, Context, Limits
from signer.x509read import read
from tests.signer_cms.cmsforge import (
    Cms,
    Signer,
    algorithm,
    attribute,
    counter,
    octets,
    sequence,
    stamp,
    value_of,
)

Attributes = dict[str, bytes]
Change = Callable[[Attributes], Sequence[bytes]]


@dataclass(frozen=True)
class Bench:
    """What a vector is made of."""

    person: DevIdentity
    second: DevIdentity
    rsa: DevIdentity
    content: bytes
    timestamper: DevTimestamper
    now: datetime

    def signer(self, change: Change | None = None, **more: object) -> Signer:
        made = Signer(self.person, self.content, self.now, **more)  # type: ignore[arg-type]  # fields by name
        return replace(made, change=change) if change else made

    def detached(self, *signers: Signer, **more: object) -> bytes:
        return Cms(signers or (self.signer(),), **more).encoded()  # type: ignore[arg-type]  # fields by name


@pytest.fixture(scope="module")
def bench(
    person: DevIdentity,
    second: DevIdentity,
    rsa: DevIdentity,
    content: bytes,
    timestamper: DevTimestamper,
    now: datetime,
) -> Bench:
    return Bench(person, second, rsa, content, timestamper, now)


def _twice(name: str) -> Change:
    return lambda found: [*sorted(found.values()), found[name]]


def _two_values(name: str) -> Change:
    def changed(found: Attributes) -> Sequence[bytes]:
        kind, values = der.whole(found[name]).parts()
        doubled = sequence(kind.encoded, der.encode(der.SET, values.content * 2))
        return sorted(doubled if key == name else value for key, value in found.items())

    return changed


def _without(name: str) -> Change:
    return lambda found: sorted(value for key, value in found.items() if key != name)


def _with(name: str, value: bytes) -> Change:
    return lambda found: sorted({**found, name: attribute(name, value)}.values())


def _protection(digest: str) -> bytes:
    signature = der.encode(0xA1, der.encode_identifier("1.2.840.10045.4.3.2"))
    return sequence(algorithm(digest), signature)


def _posing(bench: Bench) -> bytes:
    """Signed attributes of an honest signature presented as content that was signed without attributes."""
    honest = bench.signer()
    attributes = der.encode(der.SET, *honest.change(honest.attributes))
    value = value_of(honest.encoded())
    return Cms((Signer(bench.person, attributes, bare=True, value=value),), attributes).encoded()


def _swapped_value(bench: Bench) -> bytes:
    """The value of one signature in another."""
    other = Signer(bench.person, b"another letter", bench.now)
    return bench.detached(replace(bench.signer(), value=value_of(other.encoded())))


def _exchanged_certificate(bench: Bench) -> bytes:
    """The signer's number with another certificate's name: nobody is there who signed."""
    other = read(bench.second.certificate)
    sid = sequence(other.issuer.encoded, der.encode(der.INTEGER, other.serial))
    return bench.detached(bench.signer(sid=sid), certificates=(bench.person.certificate, bench.second.certificate))


def _reference_to_other(bench: Bench) -> bytes:
    identity = sequence(sequence(sequence(octets(hashlib.sha256(bench.second.certificate).digest()))))
    return bench.detached(bench.signer(_with("signing_certificate_v2", identity)))


def _embedded(bench: Bench) -> bytes:
    """A detached signature that brings content of its own, which alone fits."""
    return Cms((Signer(bench.person, b"something else", bench.now),), b"something else").encoded()


def _of_token(bench: Bench) -> bytes:
    """A signature over data that says it is one over a time stamp."""
    return bench.detached(replace(bench.signer(), kind=TST_INFO))


_SHA512 = "2.16.840.1.101.3.4.2.3"
_WRONG = b"\0" * 32

BROKEN: dict[str, tuple[Callable[[Bench], bytes], Code]] = {
    "digest of other content": (
        lambda b: b.detached(b.signer(_with("message_digest", octets(_WRONG)))),
        Code.HASH_FAILURE,
    ),
    "value of another signature": (_swapped_value, Code.SIG_CRYPTO_FAILURE),
    "value of zeros": (lambda b: b.detached(b.signer(value=bytes(70))), Code.SIG_CRYPTO_FAILURE),
    "empty value": (lambda b: b.detached(b.signer(value=b"")), Code.SIG_CRYPTO_FAILURE),
    "message-digest twice": (lambda b: b.detached(b.signer(_twice("message_digest"))), Code.MALFORMED),
    "message-digest of two values": (lambda b: b.detached(b.signer(_two_values("message_digest"))), Code.MALFORMED),
    "no message-digest": (lambda b: b.detached(b.signer(_without("message_digest"))), Code.MALFORMED),
    "content-type twice": (lambda b: b.detached(b.signer(_twice("content_type"))), Code.MALFORMED),
    "no content-type": (lambda b: b.detached(b.signer(_without("content_type"))), Code.MALFORMED),
    "another content-type": (_of_token, Code.MALFORMED),
    "signing-time twice": (lambda b: b.detached(b.signer(_twice("signing_time"))), Code.MALFORMED),
    "signing-time that is none": (
        lambda b: b.detached(b.signer(_with("signing_time", octets(b"now")))),
        Code.MALFORMED,
    ),
    "signing-time among the unsigned": (
        lambda b: b.detached(b.signer(_without("signing_time"), unsigned=(b.signer().attributes["signing_time"],))),
        Code.MALFORMED,
    ),
    "reference twice": (
        lambda b: b.detached(b.signer(_twice("signing_certificate_v2"))),
        Code.SIGNING_CERTIFICATE_MISMATCH,
    ),
    "reference to another certificate": (_reference_to_other, Code.SIGNING_CERTIFICATE_MISMATCH),
    "reference of version 1 to another": (
        lambda b: b.detached(b.signer(_with("signing_certificate", sequence(sequence(sequence(octets(bytes(20)))))))),
        Code.SIGNING_CERTIFICATE_MISMATCH,
    ),
    "digest algorithms differ": (
        lambda b: b.detached(b.signer(scheme=algorithm("1.2.840.10045.4.3.4"))),
        Code.MALFORMED,
    ),
    "protected algorithms differ": (
        lambda b: b.detached(b.signer(_with("cms_algorithm_protection", _protection(_SHA512)))),
        Code.MALFORMED,
    ),
    "signed attributes as content": (_posing, Code.MALFORMED),
    "content of its own": (_embedded, Code.HASH_FAILURE),
    "counter-signature among the signed": (
        lambda b: b.detached(b.signer(_with("counter_signature", sequence(b"\x05\x00")))),
        Code.MALFORMED,
    ),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_attack_on_the_bytes_is_broken_whatever_is_trusted(name: str, bench: Bench, over: Context) -> None:
    make, code = BROKEN[name]
    data = make(bench)
    report = inspect_file(data, context=over)
    assert report.verdict is Verdict.INVALID
    assert {one.integrity for one in report.signatures} == {Integrity.BROKEN}
    assert report.signatures[0].indication is Indication.FAILED
    assert code in {reason.code for reason in report.signatures[0].reasons}


def test_a_certificate_of_another_name_is_nobodys_signature(bench: Bench, over: Context) -> None:
    """The SignerIdentifier names who did not sign: the key does not fit, and the reference differs."""
    report = inspect_file(_exchanged_certificate(bench), context=over)
    assert report.verdict is Verdict.INVALID
    assert report.signatures[0].integrity is Integrity.BROKEN


def _ordered(bench: Bench) -> bytes:
    """Attributes signed in DER order and written in another."""
    return bench.detached(bench.signer(order=lambda listed: list(reversed(listed))))


HARMLESS: dict[str, Callable[[Bench], bytes]] = {
    "plain": lambda b: b.detached(),
    "attributes in another order": _ordered,
    "an attribute nobody knows": lambda b: b.detached(b.signer(_with("1.2.3.4", b"\x05\x00"))),
    "unsigned attribute nobody knows": lambda b: b.detached(b.signer(unsigned=(attribute("1.2.3.4", b"\x05\x00"),))),
    "certificates of others": lambda b: b.detached(
        certificates=(b.second.certificate, b.person.certificate, *b.person.chain, b.rsa.certificate)
    ),
    "no attributes": lambda b: b.detached(b.signer(bare=True)),
    "references of both versions": lambda b: b.detached(
        b.signer(
            _with(
                "signing_certificate",
                sequence(
                    sequence(sequence(octets(hashlib.sha1(b.person.certificate, usedforsecurity=False).digest())))
                ),
            )
        )
    ),
    "protected algorithms": lambda b: b.detached(
        b.signer(_with("cms_algorithm_protection", _protection("2.16.840.1.101.3.4.2.1")))
    ),
    "a parallel signature": lambda b: b.detached(b.signer(), Signer(b.second, b.content, b.now)),
    "a counter-signature": lambda b: b.detached(_countersigned(b), certificates=_everybody(b)),
    "content of its own that is the same": lambda b: Cms((b.signer(),), b.content).encoded(),
    "a time stamp": lambda b: b.detached(_stamped(b)),
}


def _everybody(bench: Bench) -> tuple[bytes, ...]:
    people = (bench.person, bench.second, bench.rsa)
    return tuple(dict.fromkeys(one for each in people for one in (each.certificate, *each.chain)))


def _countersigned(bench: Bench) -> Signer:
    fixed = bench.signer().with_unsigned()
    assert fixed.value is not None
    return fixed.with_unsigned(counter(bench.second, fixed.value))


def _stamped(bench: Bench) -> Signer:
    fixed = bench.signer().with_unsigned()
    assert fixed.value is not None
    return fixed.with_unsigned(stamp("signature_time_stamp_token", fixed.value, bench.timestamper))


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_neighbour_stays_intact(name: str, bench: Bench, over: Context) -> None:
    report = inspect_file(HARMLESS[name](bench), context=over)
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}, report.signatures
    assert report.verdict is Verdict.VALID


# --- several signers and counter-signatures --------------------------------------------------------------------------


def _by_id(report: Report) -> dict[str, Integrity]:
    return {one.id: one.integrity for one in report.signatures}


def test_every_signer_has_its_own_line(bench: Bench, over: Context) -> None:
    """One broken signer makes the file invalid and leaves the other intact."""
    good, bad = bench.signer(), replace(Signer(bench.second, bench.content, bench.now), value=bytes(70))
    report = inspect_file(bench.detached(good, bad), context=over)
    assert _by_id(report) == {"signer-0": Integrity.INTACT, "signer-1": Integrity.BROKEN}
    assert report.verdict is Verdict.INVALID


def test_counter_signatures_are_entries_of_their_own_nested_ones_too(bench: Bench, over: Context) -> None:
    fixed = bench.signer().with_unsigned()
    assert fixed.value is not None
    first = Signer(bench.second, fixed.value, change=_without("content_type")).with_unsigned()
    assert first.value is not None
    nested = first.with_unsigned(counter(bench.rsa, first.value))
    whole = fixed.with_unsigned(attribute("counter_signature", nested.encoded()))
    data = bench.detached(whole, certificates=_everybody(bench))
    report = inspect_file(data, context=over)
    assert _by_id(report) == {
        "signer-0": Integrity.INTACT,
        "signer-0/counter-0": Integrity.INTACT,
        "signer-0/counter-0/counter-0": Integrity.INTACT,
    }
    assert [one.covered for one in report.signatures] == [(), ("signer-0",), ("signer-0/counter-0",)]
    assert report.verdict is Verdict.VALID


@pytest.mark.parametrize("over_what", ["another value", "the content", "rubbish"])
def test_a_counter_signature_over_something_else_is_broken(over_what: str, bench: Bench, over: Context) -> None:
    """Its own entry, TOTAL-FAILED; the main signature stays as it is."""
    fixed = bench.signer().with_unsigned()
    wrong = {
        "another value": counter(bench.second, value_of(Signer(bench.second, b"x").encoded())),
        "the content": counter(bench.second, bench.content),
        "rubbish": attribute("counter_signature", sequence(b"\x05\x00")),
    }[over_what]
    report = inspect_file(bench.detached(fixed.with_unsigned(wrong)), context=over)
    assert _by_id(report) == {"signer-0": Integrity.INTACT, "signer-0/counter-0": Integrity.BROKEN}
    assert report.verdict is Verdict.INVALID
    assert Code.COUNTER_SIGNATURE_BROKEN in {reason.code for reason in report.signatures[1].reasons}


# --- time stamps -----------------------------------------------------------------------------------------------------


def test_a_stamp_of_another_signature_proves_nothing(bench: Bench, over: Context) -> None:
    """Exchanged between two signatures: the bytes are intact, the stamp is not."""
    fixed = bench.signer().with_unsigned()
    other = stamp("signature_time_stamp_token", b"the value of another signature", bench.timestamper)
    (one,) = inspect_file(bench.detached(fixed.with_unsigned(other)), context=over).signatures
    assert (one.integrity, one.sub_indication) == (Integrity.INTACT, Code.SIG_CONSTRAINTS_FAILURE)
    assert one.timestamps[0].integrity is Integrity.BROKEN
    assert Code.TIMESTAMP_INVALID in {reason.code for reason in one.reasons}


def test_the_policy_of_a_signature_must_be_at_hand(bench: Bench, over: Context) -> None:
    """Rows 21 and 22: an explicit policy is known by its document; an implied one asks for nothing."""
    document = b"the policy"
    named = der.encode_identifier("1.2.3.4.5")
    hashed = sequence(algorithm("2.16.840.1.101.3.4.2.1"), octets(hashlib.sha256(document).digest()))
    explicit = bench.detached(bench.signer(_with("signature_policy_identifier", sequence(named, hashed))))
    implied = bench.detached(bench.signer(_with("signature_policy_identifier", b"\x05\x00")))

    def sub(data: bytes, *more: Content) -> Code | None:
        (one,) = inspect_file(data, context=replace(over, contents=(*over.contents, *more))).signatures
        assert one.integrity is Integrity.INTACT
        return one.sub_indication

    assert sub(implied) is None
    assert sub(explicit) is Code.SIGNATURE_POLICY_NOT_AVAILABLE
    assert sub(explicit, Content("1.2.3.4.5", document)) is None
    assert sub(explicit, Content("urn:oid:1.2.3.4.5", b"another")) is Code.POLICY_PROCESSING_ERROR


# --- hostile encodings -----------------------------------------------------------------------------------------------


def _deep(depth: int, head: bytes) -> bytes:
    return head * depth + b"\0\0" * depth


HOSTILE: dict[str, Callable[[bytes], bytes]] = {
    "nested without end": lambda data: data[:15] + b"\x30\x80" * 100_000,
    "nested deeply": lambda data: data[:19] + _deep(50_000, b"\xa0\x80"),
    "huge length": lambda data: b"\x30\x84\xff\xff\xff\xff" + data[4:],
    "length of many octets": lambda data: b"\x30\xfe" + b"\xff" * 126 + data,
    "many small values": lambda data: sequence(
        data[4:15], der.encode(0xA0, sequence(b"\x02\x01\x01", der.encode(0x31, b"\x05\x00" * 400_000)))
    ),
    "string in strings": lambda data: sequence(
        data[4:15], der.encode(0xA0, sequence(b"\x02\x01\x01", b"\x31\x00", _string(200), b"\x31\x00"))
    ),
}


def _string(depth: int) -> bytes:
    made = octets(b"x")
    for _ in range(depth):
        made = der.encode(0x24, made)
    return sequence(der.encode_identifier(DATA), der.encode(0xA0, made))


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_encodings_are_refused_quickly(name: str, bench: Bench, over: Context) -> None:
    data = HOSTILE[name](bench.detached())
    start = time.process_time()
    report = inspect_cms(data, context=over)
    assert time.process_time() - start < 2
    assert report.verdict is not Verdict.VALID
    assert report.reasons[0].code in {Code.MALFORMED, Code.UNSUPPORTED_FORMAT}


def test_too_many_signers_are_over_the_limit(bench: Bench, over: Context) -> None:
    data = bench.detached(*[bench.signer()] * 5)
    report = inspect_cms(data, context=replace(over, limits=Limits(signatures=4)))
    assert (report.verdict, report.reasons[0].code) == (Verdict.INDETERMINATE, Code.LIMIT_EXCEEDED)


@pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:Attribute's length")
@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_after_one_changed_bit_it_is_not_valid_or_says_the_same(
    bench: Bench, over: Context, place: float, bit: int
) -> None:
    """What still verifies has the same signed attributes, signer and value."""
    data = _once(bench)
    changed = bytearray(data)
    changed[int(place * len(data))] ^= 1 << bit
    report = inspect_file(bytes(changed), context=over)
    if report.verdict is Verdict.VALID:
        before, after = (read_signed_data(one).signers[0] for one in (data, bytes(changed)))
        assert before.signed_attributes == after.signed_attributes
        assert before.value == after.value
        assert report.signatures[0].signer.certificate_sha256 == hashlib.sha256(bench.person.certificate).hexdigest()


_ONCE: dict[bytes, bytes] = {}


def _once(bench: Bench) -> bytes:
    return _ONCE.setdefault(b"", bench.detached(_stamped(bench)))


@pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:Attribute's length")
@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_moved_and_doubled_parts_never_pass(bench: Bench, over: Context, data: st.DataObject) -> None:
    """Structure mutated: a part taken out, doubled or put elsewhere; no error leaves the reader."""
    parts = _flat(_once(bench))
    taken = data.draw(st.sampled_from(parts))
    put = data.draw(st.sampled_from(parts))
    octets_ = _once(bench)
    mutated = octets_[: put.start] + octets_[taken.start : taken.stop] + octets_[put.stop :]
    report = inspect_file(mutated, context=over)
    if report.verdict is Verdict.VALID:
        before, after = (asn1.read_signed_data(one).signers[0] for one in (octets_, mutated))
        assert before.signed_attributes == after.signed_attributes


def _flat(data: bytes) -> list[ber.Node]:
    found, todo = [], [ber.whole(data)]
    while todo:
        one = todo.pop()
        found.append(one)
        if one.is_constructed:
            todo += one.parts()
    return found
