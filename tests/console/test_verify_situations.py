"""From situation to answer: every row of console.md 5.3 with the line that ``edoc verify --json`` must print for it."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib import resources
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from signer.algorithms import PolicyName
from signer.asic import build_asice, read_container
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.pdf.sign import PdfOptions, sign_pdf
from signer.trust import Context, TrustStore
from signer.xml.sign import sign_xml
from signer.zips import write_zip
from tests.console.schema import problems
from tests.console.test_verify_command import detached
from transport.judging.files import Judging
from transport.present.verify import Checked, Judgement, document

SIGNER = Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A", title="Phó Giám đốc")
BODY = b"<letter><text>noi dung</text></letter>"


@dataclass(frozen=True)
class House:
    """An authority, its people, and a moment: everything a situation is built from."""

    pki: DevPki
    now: datetime

    def person(self, *, variant: str | None = None, at: datetime | None = None, key: str = "p256") -> DevIdentity:
        """Return a signer."""
        return self.pki.issue(Role.PERSON, SIGNER, variant=variant, at=at, key_type=key)

    def xml(self, who: DevIdentity, *, stamped: datetime | None = None, at: datetime | None = None) -> bytes:
        """Return signed XML, with a time stamp of that moment if one is given."""
        stamps = DevTimestamper(self.pki, lambda: stamped or self.now) if stamped else None
        moment = at or stamped or self.now
        return sign_xml(BODY, credential=who.credential, at=moment, level="t" if stamps else "b", timestamper=stamps)

    def pdf(self, who: DevIdentity) -> bytes:
        """Return a signed letter."""
        letter = resources.files("transport.demo").joinpath("data", "letter.pdf").read_bytes()
        options = PdfOptions(at=self.now, level="b", profile="interop")
        return sign_pdf(letter, credential=who.credential, options=options).data

    def asic(self, who: DevIdentity) -> bytes:
        """Return a container with one object."""
        return build_asice([("a.txt", b"content", "text/plain")], credential=who.credential, at=self.now)

    def context(
        self, policy: str = "interop", *, at: datetime | None = None, trust: TrustStore | None = None
    ) -> Context:
        """Return how it is judged: trusting the authority, with its lists of that moment."""
        moment = at or self.now
        store = self.pki.trust(at=moment) if trust is None else trust
        return Context(trust=store, at=moment, policy=PolicyName(policy))


@pytest.fixture
def house(now: datetime) -> House:
    """A fresh authority, so that a revocation stays within its test."""
    return House(DevPki.create(at=now - timedelta(days=400)), now)


def answered(data: bytes, context: Context) -> dict[str, Any]:
    """Return the entry of the one file, after the whole document was held against its schema."""
    report = Judging(context).judge(data)
    store = context.trust
    how = Judgement(context.at, context.at, context.policy.value, "0", len(store.anchors), store.fingerprint())
    whole = document([Checked("a", report)], how, "vi")
    assert problems(whole) == []
    entry: dict[str, Any] = whole["files"][0]  # type: ignore[index]
    return entry


def line(entry: dict[str, Any]) -> tuple[str, str, str | None, str]:
    """Return the row of the table: integrity, indication, sub-indication, the file's verdict."""
    (signature,) = entry["signatures"]
    return signature["integrity"], signature["indication"], signature["sub_indication"], entry["verdict"]


def warned(entry: dict[str, Any]) -> set[str]:
    """Return the codes of all warnings."""
    found = [*entry["warnings"], *(warning for signature in entry["signatures"] for warning in signature["warnings"])]
    return {str(warning["code"]) for warning in found}


PASSED = ("intact", "TOTAL-PASSED", None, "valid")


def open_(sub: str, integrity: str = "intact") -> tuple[str, str, str, str]:
    """Return the row of an undecided file."""
    return integrity, "INDETERMINATE", sub, "indeterminate"


def failed(sub: str, integrity: str = "broken") -> tuple[str, str, str, str]:
    """Return the row of an invalid file."""
    return integrity, "TOTAL-FAILED", sub, "invalid"


# --- the bytes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["xml", "pdf", "asic"])
def test_correct_trusted_and_of_good_status(house: House, form: str) -> None:
    data: bytes = getattr(house, form)(house.person())
    assert line(answered(data, house.context())) == PASSED
    assert line(answered(data, house.context(trust=TrustStore()))) == open_("NO_CERTIFICATE_CHAIN_FOUND")


def _changed_text(data: bytes) -> bytes:
    return data.replace(b"noi dung", b"nol dung")


def _changed_value(data: bytes) -> bytes:
    found = re.search(rb"<(?:\w+:)?SignatureValue[^>]*>([^<]+)<", data)
    assert found is not None
    value = bytearray(base64.b64decode(found[1]))
    value[5] ^= 1
    return data.replace(found[1], base64.b64encode(bytes(value)))


def _wrapped(data: bytes) -> bytes:
    """Leave the signed element where nobody reads it and put another in its place."""
    signature = data[data.index(b"<ds:Signature") : data.rindex(b"</letter>")]
    return b"<letter><text>khac</text><old>" + BODY.replace(b"</letter>", signature + b"</letter>") + b"</old></letter>"


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_changed_text, failed("HASH_FAILURE")),
        (_changed_value, failed("SIG_CRYPTO_FAILURE")),
    ],
)
def test_changed_bytes(house: House, change: Callable[[bytes], bytes], expected: tuple[str, ...]) -> None:
    assert line(answered(change(house.xml(house.person())), house.context())) == expected


def test_a_signed_element_moved_where_nobody_reads_it(house: House) -> None:
    entry = answered(_wrapped(house.xml(house.person())), house.context())
    assert entry["verdict"] == "invalid"
    assert entry["signatures"][0]["integrity"] == "broken"


def test_trailing_bytes_that_form_no_revision(house: House) -> None:
    entry = answered(house.pdf(house.person()) + b"garbage\n", house.context())
    assert line(entry) == PASSED
    assert "TRAILING_BYTES" in warned(entry)


def test_content_that_is_not_at_hand(house: House) -> None:
    """Only who has the content can tell; without it nothing is known of the bytes."""
    data = detached(ec.generate_private_key(ec.SECP256R1()), "letter.txt", b"content")
    assert line(answered(data, house.context())) == open_("SIGNED_DATA_NOT_FOUND", "unknown")


# --- the certificate -------------------------------------------------------------------------------------------------


def test_weak_keys_and_wrong_usage(house: House) -> None:
    """The mathematics holds; the signer is not accepted."""
    weak = house.xml(house.person(variant="sha1"))
    assert line(answered(weak, house.context())) == open_("CRYPTO_CONSTRAINTS_FAILURE")
    wrong = house.xml(house.person(variant="wrong-usage"))
    assert line(answered(wrong, house.context())) == open_("CHAIN_CONSTRAINTS_FAILURE")


def test_expired_without_inside_and_after(house: House) -> None:
    """No proved time: out of bounds; proved inside: passed; proved after the end: failed."""
    who = house.person(at=house.now - timedelta(days=200))
    ends = _end_of(who)
    later = house.context(at=ends + timedelta(days=10), trust=house.pki.trust(at=ends - timedelta(days=1)))
    claimed = house.xml(who, at=ends - timedelta(days=5))
    assert line(answered(claimed, later)) == open_("OUT_OF_BOUNDS_NO_POE")
    inside = house.xml(who, stamped=ends - timedelta(days=5))
    assert line(answered(inside, later)) == PASSED
    after = house.xml(who, stamped=ends + timedelta(days=5))
    assert line(answered(after, later)) == failed("EXPIRED", "intact")


def _end_of(who: DevIdentity) -> datetime:
    from signer import certificates

    return certificates.certificate(who.certificate).not_valid_after_utc


def test_revoked_without_before_and_after(house: House) -> None:
    who = house.person()
    gone = house.now - timedelta(days=2)
    house.pki.revoke(who.certificate, gone, reason="superseded")
    assert line(answered(house.xml(who), house.context())) == open_("REVOKED_NO_POE")
    assert line(answered(house.xml(who, stamped=gone - timedelta(days=1)), house.context())) == PASSED
    assert line(answered(house.xml(who, stamped=gone + timedelta(days=1)), house.context())) == failed(
        "REVOKED", "intact"
    )


def test_a_status_source_that_is_named_and_one_that_is_not(now: datetime) -> None:
    """Named and no answer at hand: try later. None named: a warning under interop, try later under strict."""
    named = House(DevPki.create(at=now - timedelta(days=30), base_url="http://127.0.0.1:9"), now)
    bare = named.pki.anchors.merged(TrustStore(intermediates=(named.pki.issuing.certificate,)))
    assert line(answered(named.xml(named.person()), named.context(trust=bare))) == open_("TRY_LATER")
    silent = House(DevPki.create(at=now - timedelta(days=30)), now)
    trust = silent.pki.anchors.merged(TrustStore(intermediates=(silent.pki.issuing.certificate,)))
    signed = silent.xml(silent.person(), stamped=now)
    entry = answered(signed, silent.context(trust=trust))
    assert line(entry) == PASSED
    assert "REVOCATION_NOT_AVAILABLE" in warned(entry)
    assert line(answered(signed, silent.context("strict", trust=trust)))[2] == "TRY_LATER"


# --- time ------------------------------------------------------------------------------------------------------------


def test_a_time_stamp_of_another_signature_and_one_of_an_unknown_authority(house: House, now: datetime) -> None:
    first, second = (house.xml(house.person(), stamped=now) for _ in range(2))
    token = re.compile(rb"(<(?:\w+:)?EncapsulatedTimeStamp[^>]*>)([^<]+)(<)")
    other = token.search(second)
    assert other is not None
    exchanged = token.sub(lambda found: found[1] + other[2] + found[3], first)
    assert line(answered(exchanged, house.context())) == open_("SIG_CONSTRAINTS_FAILURE")
    stranger = DevPki.create(at=now - timedelta(days=30))
    stamps = DevTimestamper(stranger, lambda: now)
    signed = sign_xml(BODY, credential=house.person().credential, at=now, level="t", timestamper=stamps)
    entry = answered(signed, house.context())
    assert line(entry) == PASSED
    assert "TIMESTAMP_UNTRUSTED" in warned(entry)
    assert entry["signatures"][0]["time_source"] == "validation-time"


def test_a_missing_time_stamp_is_a_warning_and_under_strict_a_lack(house: House) -> None:
    data = house.xml(house.person())
    entry = answered(data, house.context())
    assert "SIGNING_TIME_NOT_PROVED" in warned(entry)
    assert line(answered(data, house.context("strict"))) == open_("SIG_CONSTRAINTS_FAILURE")


def test_integrity_only_says_valid_of_whoever_signed(house: House) -> None:
    entry = answered(house.xml(house.person()), house.context("integrity-only", trust=TrustStore()))
    assert line(entry) == ("intact", "INDETERMINATE", None, "valid")
    assert "TRUST_NOT_EVALUATED" in warned(entry)


# --- the file --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "code", "verdict"),
    [
        (BODY, "NO_SIGNATURE", "indeterminate"),
        (b"", "UNREADABLE", "indeterminate"),
        (b"\x00\x01words of no kind", "UNSUPPORTED_FORMAT", "indeterminate"),
        (b"PK\x03\x04", "MALFORMED", "invalid"),
    ],
)
def test_files_without_a_signature_to_judge(house: House, data: bytes, code: str, verdict: str) -> None:
    entry = answered(data, house.context())
    assert (entry["signatures"], entry["verdict"]) == ([], verdict)
    assert entry["reasons"][0]["code"] == code


def test_an_object_of_a_container_that_no_signature_covers(house: House) -> None:
    members = dict(read_container(house.asic(house.person())).members)
    entry = answered(write_zip([*members.items(), ("b.txt", b"nobody signed this")]), house.context())
    assert entry["verdict"] == "invalid"
    assert "CONTENT_NOT_SIGNED" in {reason["code"] for reason in entry["reasons"]}


def test_an_expired_anchor_is_noted_and_not_judged(house: House) -> None:
    """Anchors are trusted because the caller says so (R70)."""
    who = house.person()
    data = house.xml(who, stamped=house.now)
    context = replace(house.context(), at=house.now + timedelta(days=9000))
    assert "ANCHOR_EXPIRED" in warned(answered(data, context))
