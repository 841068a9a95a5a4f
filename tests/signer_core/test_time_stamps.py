"""Time stamps: asked for with care, judged by their own mathematics, openssl agreeing (signing.md 7.2)."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import asn1
from signer.algorithms import PolicyName
from signer.devfaults import FaultyTimestamper, tsa_of
from signer.devpki import DevPki, DevTimestamper, pem
from signer.errors import TimestampError
from signer.report import Code, Indication, Integrity, Timestamp
from signer.timestamp import Beside, judge_token, obtain, open_token, proved_time
from signer.trust import Context, TrustStore

OCTETS = b"the stamped octets"
DIGEST = hashlib.sha256(OCTETS).digest()
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def token(pki: DevPki, now: datetime) -> bytes:
    """A good token over the octets."""
    return obtain(DevTimestamper(pki, lambda: now), DIGEST)


def _judge(token: bytes, context: Context, *, imprint: bytes = OCTETS) -> Timestamp:
    return judge_token(token, imprint=imprint, id="t", kind="signature", context=context)[0]


class TestAsking:
    """A token is handed out only if it answers this very request."""

    @pytest.mark.parametrize("algorithm", ["sha256", "sha384", "sha512"])
    def test_a_good_authority(self, pki: DevPki, context: Context, now: datetime, algorithm: str) -> None:
        digest = hashlib.new(algorithm, OCTETS).digest()
        token = obtain(DevTimestamper(pki, lambda: now), digest, algorithm=algorithm, context=context)
        stamp = _judge(token, context)
        assert (stamp.indication, stamp.time, stamp.tsa) == (Indication.PASSED, now, "TSA THỬ NGHIỆM")

    def test_each_request_has_a_fresh_nonce_and_asks_for_the_certificate(self, pki: DevPki, now: datetime) -> None:
        seen: list[bytes] = []

        def listen(request: bytes) -> bytes:
            seen.append(request)
            return request

        for _ in range(2):
            obtain(FaultyTimestamper(pki, now, asked=listen), DIGEST)
        assert seen[0] != seen[1]
        assert len(seen[0]) == len(seen[1])

    @pytest.mark.parametrize(
        ("asked", "answered", "code"),
        [
            (lambda r: asn1.timestamp_request(DIGEST, algorithm="sha256", nonce=7), bytes, "EDOC-PKI-004"),
            (lambda r: asn1.timestamp_request(b"\0" * 32, algorithm="sha256", nonce=7), bytes, "EDOC-PKI-004"),
            (lambda r: asn1.timestamp_request(b"\0" * 20, algorithm="sha1", nonce=7), bytes, "EDOC-PKI-003"),
            (bytes, lambda a: b"", "EDOC-PKI-002"),
            (bytes, lambda a: a[:-30], "EDOC-PKI-002"),
            (bytes, lambda a: b"<html>not here</html>", "EDOC-PKI-002"),
            (bytes, lambda a: a + bytes(256 * 1024), "EDOC-PKI-002"),
            (bytes, lambda a: a[:-1] + bytes([a[-1] ^ 1]), "EDOC-PKI-004"),
        ],
        ids=["wrong nonce", "wrong imprint", "refused", "empty", "cut", "a page", "too large", "flipped byte"],
    )
    def test_an_answer_to_something_else_is_refused(
        self,
        pki: DevPki,
        now: datetime,
        asked: Callable[[bytes], bytes],
        answered: Callable[[bytes], bytes],
        code: str,
    ) -> None:
        with pytest.raises(TimestampError) as caught:
            obtain(FaultyTimestamper(pki, now, asked=asked, answered=answered), DIGEST)
        assert caught.value.code == code

    def test_an_authority_that_is_not_trusted_is_refused_before_use(
        self, pki: DevPki, context: Context, now: datetime
    ) -> None:
        stranger = DevPki.create(at=now - DAY)
        with pytest.raises(TimestampError) as caught:
            obtain(DevTimestamper(stranger, lambda: now), DIGEST, context=context)
        assert (caught.value.code, caught.value.facts["reason"]) == ("EDOC-PKI-006", "NO_CERTIFICATE_CHAIN_FOUND")
        late = now + timedelta(days=365 * 11)
        with pytest.raises(TimestampError) as caught:
            obtain(DevTimestamper(pki, lambda: late), DIGEST, context=replace(context, at=late))
        assert caught.value.facts["reason"] == "EXPIRED"


class TestJudging:
    """Broken, untrusted and good are three different things."""

    def test_over_other_octets_it_is_broken(self, token: bytes, context: Context) -> None:
        stamp = _judge(token, context, imprint=b"other octets")
        assert (stamp.integrity, stamp.sub_indication) == (Integrity.BROKEN, Code.HASH_FAILURE)

    @settings(max_examples=150, deadline=None)
    @given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
    def test_any_changed_bit_breaks_it_or_leaves_what_it_says(
        self, token: bytes, context: Context, place: float, bit: int
    ) -> None:
        changed = bytearray(token)
        changed[int(place * len(token))] ^= 1 << bit
        good, stamp = _judge(token, context), _judge(bytes(changed), context)
        if stamp.indication is Indication.PASSED:
            assert (stamp.time, stamp.digest, stamp.certificate_sha256) == (
                good.time,
                good.digest,
                good.certificate_sha256,
            )

    @settings(max_examples=80, deadline=None)
    @given(noise=st.binary(max_size=300), keep=st.integers(0, 400))
    def test_noise_is_broken_and_raises_nothing(self, token: bytes, context: Context, noise: bytes, keep: int) -> None:
        assert _judge(token[:keep] + noise, context).indication is not Indication.PASSED

    def test_a_token_of_an_unknown_authority_is_intact_and_proves_nothing(self, token: bytes, context: Context) -> None:
        stamp = _judge(token, replace(context, trust=TrustStore()))
        assert (stamp.integrity, stamp.sub_indication) == (Integrity.INTACT, Code.NO_CERTIFICATE_CHAIN_FOUND)
        assert proved_time([stamp]) is None

    @pytest.mark.parametrize(
        ("usages", "critical"),
        [
            ((ExtendedKeyUsageOID.TIME_STAMPING,), False),
            ((ExtendedKeyUsageOID.TIME_STAMPING, ExtendedKeyUsageOID.EMAIL_PROTECTION), True),
            ((ExtendedKeyUsageOID.EMAIL_PROTECTION,), True),
        ],
        ids=["not critical", "not alone", "another purpose"],
    )
    def test_a_certificate_for_something_else_makes_no_time_stamps(
        self,
        pki: DevPki,
        context: Context,
        now: datetime,
        usages: tuple[ExtendedKeyUsageOID, ...],
        critical: bool,  # a case of the table
    ) -> None:
        other = tsa_of(pki, at=now - DAY, usages=usages, critical=critical)  # type: ignore[arg-type]  # their constants
        stamp = _judge(obtain(DevTimestamper(other, lambda: now), DIGEST), context)
        assert (stamp.integrity, stamp.sub_indication) == (Integrity.INTACT, Code.CHAIN_CONSTRAINTS_FAILURE)

    def test_two_authorities_in_one_file_are_told_apart_by_their_certificates(
        self, pki: DevPki, context: Context, now: datetime
    ) -> None:
        second = tsa_of(pki, at=now - DAY, usages=(ExtendedKeyUsageOID.TIME_STAMPING,))
        crowd = (second.tsa.certificate, pki.tsa.certificate, pki.issuing.certificate)
        for authority in (pki, second):
            token = obtain(DevTimestamper(authority, lambda: now), DIGEST)
            opened = open_token(token, imprint=OCTETS, candidates=crowd)
            assert opened is not None
            assert opened.check.certificate == authority.tsa.certificate
            stamp, _ = judge_token(
                token, imprint=OCTETS, id="t", kind="signature", context=context, beside=Beside(tuple(crowd))
            )
            assert (stamp.indication, stamp.certificate_sha256) == (
                Indication.PASSED,
                hashlib.sha256(authority.tsa.certificate).hexdigest(),
            )

    @pytest.mark.parametrize(
        ("reason", "sub"),
        [
            ("superseded", None),
            ("cessationOfOperation", None),
            ("affiliationChanged", None),
            ("keyCompromise", Code.REVOKED_NO_POE),
            ("unspecified", Code.REVOKED_NO_POE),
        ],
    )
    def test_a_stolen_time_stamp_key_can_backdate_so_its_time_proves_nothing(
        self, own: DevPki, now: datetime, reason: str, sub: Code | None
    ) -> None:
        token = obtain(DevTimestamper(own, lambda: now - 5 * DAY), DIGEST)
        own.revoke(own.tsa.certificate, at=now - DAY, reason=reason)
        context = Context(trust=own.trust(at=now), at=now, policy=PolicyName.INTEROP)
        assert _judge(token, context).sub_indication is sub

    def test_a_token_without_certificates_is_completed_from_what_was_given(
        self, pki: DevPki, context: Context, now: datetime
    ) -> None:
        bare = asn1.read_timestamp_response(
            asn1.timestamp_response(
                asn1.timestamp_request(DIGEST, algorithm="sha256", nonce=7),
                credential=pki.tsa.credential,
                chain=(),
                at=now,
            )
        )[1]
        assert bare is not None
        alone = _judge(bare, context)
        assert (alone.integrity, alone.sub_indication) == (Integrity.UNKNOWN, Code.NO_SIGNING_CERTIFICATE_FOUND)
        helped = replace(context, trust=context.trust.merged(TrustStore(intermediates=(pki.tsa.certificate,))))
        assert _judge(bare, helped).indication is Indication.PASSED

    def test_strict_judges_the_algorithms_of_the_stamp_too(self, now: datetime) -> None:
        pki = DevPki.create(at=now - DAY, key_type="rsa2048")
        token = obtain(DevTimestamper(pki, lambda: now), DIGEST)
        interop = Context(trust=pki.trust(at=now), at=now, policy=PolicyName.INTEROP)
        assert _judge(token, interop).indication is Indication.PASSED
        strict = replace(interop, policy=PolicyName.STRICT)
        assert _judge(token, strict).sub_indication is Code.CRYPTO_CONSTRAINTS_FAILURE

    def test_the_earliest_good_stamp_proves_the_time(self, token: bytes, context: Context, now: datetime) -> None:
        good = _judge(token, context)
        earlier = replace(good, time=now - DAY)
        bad = replace(good, time=now - 2 * DAY, indication=Indication.INDETERMINATE)
        content = replace(good, time=now - 3 * DAY, kind="content")
        assert proved_time([good, earlier, bad, content]) == now - DAY


@pytest.mark.tool("openssl")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
class TestOpenssl:
    """An independent checker accepts our tokens and refuses them after a flipped byte."""

    @pytest.mark.parametrize("key_type", ["p256", "rsa2048"])
    def test_openssl_verifies_the_response_and_the_token(self, tmp_path: Path, key_type: str) -> None:
        now = datetime.now().astimezone().replace(microsecond=0)  # openssl judges at its own clock
        pki = DevPki.create(at=now - DAY, key_type=key_type)
        request = asn1.timestamp_request(DIGEST, algorithm="sha256", nonce=2**100 + 1)
        response = pki.timestamp(request, at=now)
        token = asn1.read_timestamp_response(response)[1]
        assert token is not None
        files = {
            "data": OCTETS,
            "query.tsq": request,
            "reply.tsr": response,
            "token.der": token,
            "root.pem": pem(pki.root.certificate),
            "bad.der": token[:-5] + bytes([token[-5] ^ 1]) + token[-4:],
            "other": b"other octets",
        }
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)

        def verify(*arguments: str) -> bool:
            command = ["openssl", "ts", "-verify", "-CAfile", "root.pem", *arguments]
            done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
            return done.returncode == 0 and "Verification: OK" in done.stdout + done.stderr

        assert verify("-queryfile", "query.tsq", "-in", "reply.tsr")
        assert verify("-data", "data", "-in", "reply.tsr")
        assert verify("-data", "data", "-in", "token.der", "-token_in")
        assert not verify("-data", "other", "-in", "token.der", "-token_in")
        assert not verify("-data", "data", "-in", "bad.der", "-token_in")
