"""Levels of CMS: a copy is lifted from B to T, LT, LTA and renewed; what was signed stays (signing.md 6, S2; 7.2)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from signer import asn1
from signer.algorithms import PolicyName
from signer.cades.extend import extend_cades
from signer.cades.sign import sign_cades
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.errors import InputRefused, LevelNotReached, SigningRefused
from signer.inspect import inspect_file
from signer.report import Code, Indication, Need, SignatureReport, Verdict
from signer.trust import Content, Context, TrustStore
from tests.signer_cms.cmsforge import Cms, Signer, archive_v2, counter

STEPS = ("t", "lt", "lta")


def only(data: bytes, context: Context) -> SignatureReport:
    """Return the one signature of a file."""
    (one,) = inspect_file(data, context=context).signatures
    return one


@pytest.fixture(scope="module")
def base(person: DevIdentity, content: bytes, now: datetime) -> bytes:
    """A detached signature at level B."""
    return sign_cades(content, credential=person.credential, at=now)


def test_every_level_is_reached_and_what_was_signed_stays(
    base: bytes, over: Context, timestamper: DevTimestamper
) -> None:
    data, signer = base, asn1.read_signed_data(base).signers[0]
    for step in STEPS:
        made = extend_cades(data, to=step, context=over, timestamper=timestamper)
        report = inspect_file(made.data, context=over)
        assert (report.verdict, report.signatures[0].level) == (Verdict.VALID, f"CAdES-B-{step.upper()}")
        assert made.before == (f"CAdES-B-{'B' if data == base else STEPS[STEPS.index(step) - 1].upper()}",)
        again = asn1.read_signed_data(made.data).signers[0]
        assert again.pieces == signer.pieces
        data = made.data


def test_a_lifted_file_is_judged_alike_without_any_answer_given(
    base: bytes, over: Context, timestamper: DevTimestamper
) -> None:
    made = extend_cades(base, to="lta", context=over, timestamper=timestamper)
    bare = replace(over, trust=replace(over.trust, crls=(), ocsps=(), intermediates=()))
    assert only(made.data, bare).indication is Indication.PASSED
    assert set(asn1.read_signed_data(made.data).crls) <= set(over.trust.crls)


def test_asking_again_adds_nothing_but_archive_stamps(base: bytes, over: Context, timestamper: DevTimestamper) -> None:
    made = extend_cades(base, to="lta", context=over, timestamper=timestamper)
    for step in STEPS[:2]:
        assert extend_cades(made.data, to=step, context=over).data == made.data
    renewed = extend_cades(made.data, to="lta", context=over, timestamper=timestamper)
    assert [stamp.kind for stamp in only(renewed.data, over).timestamps] == ["signature", "archive", "archive"]


def test_openssl_accepts_every_level(
    base: bytes, over: Context, timestamper: DevTimestamper, openssl: Callable[..., bytes]
) -> None:
    for step in STEPS:
        data = extend_cades(base, to=step, context=over, timestamper=timestamper).data
        line = ("cms", "-verify", "-inform", "DER", "-in", "given", "-content", "content", "-binary")
        openssl(*line, "-CAfile", "root.pem", "-purpose", "any", "-no_check_time", "-out", "shown", given=data)
        openssl(*(*line[:7], "other", "-binary"), "-CAfile", "root.pem", "-no_check_time", given=data, fails=True)


def test_many_signers_and_counter_signatures_are_lifted_together(
    person: DevIdentity, second: DevIdentity, content: bytes, over: Context, timestamper: DevTimestamper, now: datetime
) -> None:
    first = Signer(person, content, now).with_unsigned()
    assert first.value is not None
    countered = first.with_unsigned(counter(second, first.value))
    cms = Cms((countered, Signer(second, content, now)))
    made = extend_cades(cms.encoded(), to="lta", context=over, timestamper=timestamper)
    assert made.after == ("CAdES-B-LTA", "CAdES-B-LTA")
    assert inspect_file(made.data, context=over).verdict is Verdict.VALID


def test_enclosed_content_needs_nothing_beside(
    person: DevIdentity, content: bytes, context: Context, timestamper: DevTimestamper, now: datetime
) -> None:
    made = extend_cades(
        Cms((Signer(person, content, now),), content).encoded(), to="lta", context=context, timestamper=timestamper
    )
    assert only(made.data, context).level == "CAdES-B-LTA"


class TestRefusals:
    """A level is reached or refused, and a broken file is left alone."""

    def test_content_that_is_missing_or_another(
        self, base: bytes, context: Context, timestamper: DevTimestamper
    ) -> None:
        wrong = replace(context, contents=(Content("", b"other"),))
        for given, reason in ((context, "SIGNED_DATA_NOT_FOUND"), (wrong, "HASH_FAILURE")):
            with pytest.raises(SigningRefused) as caught:
                extend_cades(base, to="t", context=given, timestamper=timestamper)
            assert (caught.value.code, caught.value.facts["reason"]) == ("EDOC-SIG-021", reason)

    def test_what_is_no_cms_or_no_signature(self, over: Context, timestamper: DevTimestamper) -> None:
        from tests.signer_cms.cmsforge import token_of

        with pytest.raises(InputRefused):
            extend_cades(b"\x30\x03\x02\x01\x01", to="t", context=over, timestamper=timestamper)
        with pytest.raises(SigningRefused) as caught:
            extend_cades(token_of(b"x", timestamper), to="t", context=over, timestamper=timestamper)
        assert caught.value.code == "EDOC-SIG-022"

    def test_an_old_archive_stamp_covers_whole_fields(
        self, person: DevIdentity, content: bytes, over: Context, timestamper: DevTimestamper, now: datetime
    ) -> None:
        old = archive_v2(Cms((Signer(person, content, now).with_unsigned(),)), content, timestamper)
        with pytest.raises(SigningRefused) as caught:
            extend_cades(old.encoded(), to="lta", context=over, timestamper=timestamper)
        assert caught.value.code == "EDOC-SIG-022"

    def test_no_authority_or_no_status(self, base: bytes, over: Context, timestamper: DevTimestamper) -> None:
        with pytest.raises(LevelNotReached) as caught:
            extend_cades(base, to="t", context=over)
        assert (caught.value.code, caught.value.facts["level"]) == ("EDOC-SIG-003", "CAdES-B-T")

    def test_a_missing_answer_is_named_with_its_address(self, content: bytes, now: datetime) -> None:
        house = DevPki.create(at=now - timedelta(days=30), base_url="http://127.0.0.1:9")
        signer = house.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
        data = sign_cades(content, credential=signer.credential, at=now)
        bare = Context(trust=house.anchors, at=now, policy=PolicyName.INTEROP, contents=(Content("", content),))
        with pytest.raises(LevelNotReached) as caught:
            extend_cades(data, to="lt", context=bare, timestamper=DevTimestamper(house, lambda: now))
        facts = caught.value.facts
        needs = facts["needs"]
        assert (caught.value.code, facts["level"], facts["what"]) == ("EDOC-SIG-020", "CAdES-B-LT", "Nguyễn Văn Mẫu")
        assert str(facts["url"]).startswith("http://127.0.0.1:9/")
        assert isinstance(needs, tuple)
        assert all(isinstance(need, Need) for need in needs)


class TestIn2060:
    """Judged decades after every certificate has ended: proved by archive stamps, or not at all (7.2)."""

    def test_complete_archive_stamps_carry_a_signature_over(self, content: bytes) -> None:
        at = datetime(2060, 1, 1, tzinfo=UTC)
        houses = tuple(
            DevPki.create(at=datetime(year, 1, 1, tzinfo=UTC), base_url="http://127.0.0.1:9")
            for year in (2026, 2034, 2043, 2052)
        )
        signer = houses[0].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
        data = sign_cades(content, credential=signer.credential, at=datetime(2026, 2, 1, tzinfo=UTC))
        versions = []
        for house, year in zip(houses, (2026, 2035, 2043, 2052), strict=True):
            moment = datetime(year, 3, 1, tzinfo=UTC)
            clock = DevTimestamper(house, _clock(moment))
            context = replace(_during(houses, moment), contents=(Content("", content),))
            data = extend_cades(data, to="lta", context=context, timestamper=clock).data
            versions.append(data)
        judging = replace(_during(houses, at), contents=(Content("", content),))
        found = only(versions[-1], judging)
        assert (found.indication, found.level) == (Indication.PASSED, "CAdES-B-LTA")
        assert found.best_signature_time == datetime(2026, 3, 1, tzinfo=UTC)
        assert only(versions[-2], judging).sub_indication is Code.OUT_OF_BOUNDS_NO_POE


def _clock(at: datetime) -> Callable[[], datetime]:
    return lambda: at


def _during(houses: tuple[DevPki, ...], at: datetime) -> Context:
    trust = TrustStore()
    for house in houses:
        if house.created < at:
            trust = trust.merged(house.trust(at=at) if at < house.created + timedelta(days=3650) else house.anchors)
    return Context(trust=trust, at=at, policy=PolicyName.INTEROP)
