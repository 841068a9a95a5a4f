"""Every row of console.md 5.3 about trust and time, and what must not depend on them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.algorithms import PolicyName, load_table
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.expectation import Expectation
from signer.judge import Facts, FileFacts, Stamp, judge_signature, report_of, signer_of
from signer.report import (
    Algorithm,
    Code,
    Crypto,
    Indication,
    Integrity,
    Reason,
    SignatureReport,
    Verdict,
    file_verdict,
    indication_of,
)
from signer.trust import Anchor, Context, Proof, Purpose, TrustStore, anchored

FactsOf = Callable[..., Facts]
StampAt = Callable[[DevPki, datetime], Stamp]
INTEROP, STRICT, BYTES_ONLY = PolicyName.INTEROP, PolicyName.STRICT, PolicyName.INTEGRITY_ONLY
DAY = timedelta(days=1)


def _judged(facts: Facts, context: Context) -> SignatureReport:
    return judge_signature(facts, context=context).signature


def _codes(reasons: tuple[Reason, ...]) -> list[Code]:
    return [reason.code for reason in reasons]


def _context(pki: DevPki, at: datetime, *, policy: PolicyName = INTEROP) -> Context:
    return Context(trust=pki.trust(at=at), at=at, policy=policy)


class TestTrust:
    """Who signed, and is that trusted?"""

    def test_a_correct_signature_of_a_trusted_signer_passes(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        found = _judged(facts_of(clerk), _context(listed, now))
        assert (found.indication, found.sub_indication, found.reasons) == (Indication.PASSED, None, ())
        assert [(link.source, link.anchor) for link in found.chain] == [
            ("signature", False),
            ("given", False),
            ("store", True),
        ]
        assert [status.status for status in found.revocation] == ["good", "good"]

    def test_without_anchors_it_is_intact_and_indeterminate(
        self, facts_of: FactsOf, clerk: DevIdentity, now: datetime
    ) -> None:
        found = _judged(facts_of(clerk), Context(trust=TrustStore(), at=now, policy=INTEROP))
        assert found.integrity is Integrity.INTACT
        assert (found.indication, found.sub_indication) == (
            Indication.INDETERMINATE,
            Code.NO_CERTIFICATE_CHAIN_FOUND,
        )
        assert found.signer.name == "Trần Thị Mẫu"

    def test_a_root_of_the_same_name_is_not_the_trusted_root(
        self, facts_of: FactsOf, pki: DevPki, context: Context
    ) -> None:
        stranger = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), variant="unknown-root")
        assert _judged(facts_of(stranger), context).sub_indication is Code.NO_CERTIFICATE_CHAIN_FOUND

    def test_an_anchor_for_time_stamps_does_not_vouch_for_signers(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        trust = replace(listed.trust(at=now), anchors=anchored([listed.root.certificate], Purpose.TSA).anchors)
        found = _judged(facts_of(clerk), Context(trust=trust, at=now, policy=INTEROP))
        assert found.sub_indication is Code.NO_CERTIFICATE_CHAIN_FOUND

    def test_a_wrong_key_usage_is_a_constraint_failure(self, facts_of: FactsOf, pki: DevPki, context: Context) -> None:
        server = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), variant="wrong-usage")
        found = _judged(facts_of(server), context)
        assert (found.indication, found.sub_indication) == (
            Indication.INDETERMINATE,
            Code.CHAIN_CONSTRAINTS_FAILURE,
        )

    def test_a_signature_without_a_certificate_is_indeterminate(
        self, facts_of: FactsOf, clerk: DevIdentity, context: Context
    ) -> None:
        found = _judged(replace(facts_of(clerk), certificate=None), context)
        assert (found.integrity, found.sub_indication) == (Integrity.INTACT, Code.NO_SIGNING_CERTIFICATE_FOUND)

    def test_an_expired_anchor_is_a_warning(self, facts_of: FactsOf, pki: DevPki, now: datetime) -> None:
        later = now + timedelta(days=365 * 21)
        person = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), at=later - DAY)
        trust = anchored([pki.root.certificate, pki.issuing.certificate], Purpose.SIGNERS)
        found = _judged(facts_of(person), Context(trust=trust, at=later, policy=INTEROP))
        assert (found.indication, Code.ANCHOR_EXPIRED in _codes(found.warnings)) == (Indication.PASSED, True)


class TestAlgorithms:
    """Old algorithms are computed, so integrity is known, and never accepted."""

    @pytest.mark.parametrize(
        ("algorithm", "code"),
        [
            (Algorithm("RSASSA-PKCS1-v1_5", "SHA-1", "RSA", 2048, None, tt15=False), "SHA-1"),
            (Algorithm("RSASSA-PKCS1-v1_5", "MD5", "RSA", 2048, None, tt15=False), "MD5"),
            (Algorithm("RSASSA-PKCS1-v1_5", "SHA-256", "RSA", 1024, None, tt15=False), "RSASSA-PKCS1-v1_5 1024"),
            (Algorithm("ECDSA", "SHA-256", "EC", 192, "secp192r1", tt15=False), "ECDSA 192"),
            (Algorithm("DSA", "SHA-256", "DSA", 2048, None, tt15=False), "DSA 2048"),
        ],
    )
    def test_weak_algorithms_leave_the_bytes_intact_and_the_signature_indeterminate(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime, algorithm: Algorithm, code: str
    ) -> None:
        found = _judged(replace(facts_of(clerk), algorithm=algorithm), _context(listed, now))
        assert (found.integrity, found.sub_indication) == (Integrity.INTACT, Code.CRYPTO_CONSTRAINTS_FAILURE)
        assert found.reasons[0].facts["algorithm"] == code

    def test_an_old_digest_beside_the_main_one_counts_too(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime
    ) -> None:
        found = _judged(replace(facts_of(clerk), digests=("sha256", "sha1")), _context(listed, now))
        assert found.sub_indication is Code.CRYPTO_CONSTRAINTS_FAILURE

    def test_what_tokens_write_today_passes_with_a_note_and_fails_strict(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime, stamp_at: StampAt
    ) -> None:
        algorithm = Algorithm("RSASSA-PKCS1-v1_5", "SHA-256", "RSA", 2048, None, tt15=False)
        facts = replace(facts_of(clerk, stamps=(stamp_at(listed, now),)), algorithm=algorithm)
        found = _judged(facts, _context(listed, now))
        assert found.indication is Indication.PASSED
        assert Code.NOT_TT15 in _codes(found.warnings)
        assert _judged(facts, _context(listed, now, policy=STRICT)).sub_indication is Code.CRYPTO_CONSTRAINTS_FAILURE

    def test_an_unacceptable_algorithm_of_an_unknown_signer_names_the_unknown_signer_first(
        self, facts_of: FactsOf, clerk: DevIdentity, now: datetime
    ) -> None:
        algorithm = Algorithm("RSASSA-PKCS1-v1_5", "SHA-1", "RSA", 2048, None, tt15=False)
        facts = replace(facts_of(clerk), algorithm=algorithm)
        found = _judged(facts, Context(trust=TrustStore(), at=now, policy=INTEROP))
        assert _codes(found.reasons)[:2] == [Code.NO_CERTIFICATE_CHAIN_FOUND, Code.CRYPTO_CONSTRAINTS_FAILURE]

    def test_an_algorithm_that_ended_needs_a_proof_of_an_earlier_time(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime, stamp_at: StampAt
    ) -> None:
        until = (now - DAY).isoformat()
        rules = load_table(
            f"""name = "test"\nedition = "1"
            [digest]\n"SHA-256" = {{ interop = true, strict = true }}
            [signature]\n"ECDSA" = {{ interop = true, strict = true, min_bits = 256 }}
            "RSASSA-PKCS1-v1_5" = {{ interop = true, strict = false, min_bits = 2048, until = {until} }}"""
        )
        algorithm = Algorithm("RSASSA-PKCS1-v1_5", "SHA-256", "RSA", 2048, None, tt15=False)
        context = replace(_context(listed, now), algorithms=rules)
        bare = replace(facts_of(clerk), algorithm=algorithm)
        assert _judged(bare, context).sub_indication is Code.CRYPTO_CONSTRAINTS_FAILURE_NO_POE
        stamped = replace(bare, stamps=(stamp_at(listed, now - 2 * DAY),))
        assert _judged(stamped, context).indication is Indication.PASSED


class TestTime:
    """When, and is that time proved or only claimed?"""

    def test_expired_at_the_moment_of_judgement_without_a_proved_time(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        later = now + timedelta(days=800)
        found = _judged(facts_of(clerk), replace(_context(listed, later), trust=listed.anchors))
        assert (found.indication, found.sub_indication) == (Indication.INDETERMINATE, Code.OUT_OF_BOUNDS_NO_POE)

    def test_expired_but_a_later_answer_says_it_was_never_revoked(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        found = _judged(facts_of(clerk), _context(listed, now + timedelta(days=800)))
        assert found.sub_indication is Code.OUT_OF_BOUNDS_NOT_REVOKED

    def test_expired_now_but_proved_inside_validity_passes(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        facts = facts_of(clerk, stamps=(stamp_at(listed, now),))
        found = _judged(facts, _context(listed, now + timedelta(days=800)))
        assert (found.indication, found.best_signature_time, found.time_source) == (
            Indication.PASSED,
            now,
            "timestamp",
        )
        assert found.level == "XAdES-B-T"

    def test_proved_after_the_end_fails(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        later = now + timedelta(days=800)
        found = _judged(facts_of(clerk, stamps=(stamp_at(listed, later),)), _context(listed, later))
        assert (found.indication, found.sub_indication) == (Indication.FAILED, Code.EXPIRED)

    def test_proved_before_the_beginning_fails(
        self, facts_of: FactsOf, listed: DevPki, now: datetime, stamp_at: StampAt
    ) -> None:
        young = listed.issue(Role.PERSON, Subject("Trần Thị Mẫu"), at=now + DAY)
        facts = facts_of(young, stamps=(stamp_at(listed, now),))
        assert _judged(facts, _context(listed, now + 2 * DAY)).sub_indication is Code.NOT_YET_VALID
        bare = facts_of(young)
        assert _judged(bare, _context(listed, now)).sub_indication is Code.OUT_OF_BOUNDS_NO_POE

    @pytest.mark.parametrize(
        ("stamped", "indication", "sub"),
        [
            (None, Indication.INDETERMINATE, Code.REVOKED_NO_POE),
            (-5 * DAY, Indication.PASSED, None),
            (-1 * DAY, Indication.FAILED, Code.REVOKED),
        ],
        ids=["no proved time", "proved before", "proved after"],
    )
    def test_revoked(
        self,
        facts_of: FactsOf,
        own: DevPki,
        clerk: DevIdentity,
        now: datetime,
        stamp_at: StampAt,
        stamped: timedelta | None,
        indication: Indication,
        sub: Code | None,
    ) -> None:
        own.revoke(clerk.certificate, at=now - 3 * DAY)
        stamps = () if stamped is None else (stamp_at(own, now + stamped),)
        found = _judged(facts_of(clerk, stamps=stamps), _context(own, now))
        assert (found.indication, found.sub_indication, found.integrity) == (indication, sub, Integrity.INTACT)
        assert found.revocation[0].status == "revoked"
        assert found.revocation[0].revoked_at == now - 3 * DAY

    def test_a_ledger_proof_proves_the_time_as_well(
        self, facts_of: FactsOf, own: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        own.revoke(clerk.certificate, at=now - 3 * DAY)
        facts = facts_of(clerk)
        proof = Proof(facts.value_sha256 or "", now - 5 * DAY, "ledger")
        found = _judged(facts, replace(_context(own, now), proofs=(proof,)))
        assert (found.indication, found.time_source) == (Indication.PASSED, "ledger")
        other = Proof("0" * 64, now - 5 * DAY, "ledger")
        assert _judged(facts, replace(_context(own, now), proofs=(other,))).sub_indication is Code.REVOKED_NO_POE

    def test_a_claimed_time_proves_nothing(
        self, facts_of: FactsOf, own: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        own.revoke(clerk.certificate, at=now - 3 * DAY)
        found = _judged(replace(facts_of(clerk), signing_time=now - 5 * DAY), _context(own, now))
        assert found.sub_indication is Code.REVOKED_NO_POE
        assert Code.SIGNING_TIME_NOT_PROVED in _codes(found.warnings)

    def test_no_status_answer_at_hand_says_try_later_and_where(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        judged = judge_signature(facts_of(clerk), context=Context(trust=listed.anchors, at=now, policy=INTEROP))
        assert judged.signature.sub_indication is Code.TRY_LATER
        assert judged.needs[0].ocsp_urls == ("http://127.0.0.1:9/ocsp",)
        assert judged.needs[0].crl_urls == ("http://127.0.0.1:9/ca.crl",)

    def test_a_certificate_that_names_no_source_warns_and_is_try_later_under_strict(
        self, facts_of: FactsOf, pki: DevPki, person: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        facts = facts_of(person, stamps=(stamp_at(pki, now),))
        found = _judged(facts, Context(trust=pki.anchors, at=now, policy=INTEROP))
        assert (found.indication, Code.REVOCATION_NOT_AVAILABLE in _codes(found.warnings)) == (Indication.PASSED, True)
        strict = _judged(facts, Context(trust=pki.anchors, at=now, policy=STRICT))
        assert Code.TRY_LATER in _codes(strict.reasons)

    def test_a_broken_time_stamp_leaves_the_bytes_intact_and_the_signature_indeterminate(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        over_other = replace(stamp_at(listed, now), imprint=b"something else")
        found = _judged(facts_of(clerk, stamps=(over_other,)), _context(listed, now))
        assert (found.integrity, found.sub_indication) == (Integrity.INTACT, Code.SIG_CONSTRAINTS_FAILURE)
        assert Code.TIMESTAMP_INVALID in _codes(found.reasons)
        assert found.time_source == "validation-time"

    def test_a_time_stamp_of_an_unknown_authority_is_a_warning_and_proves_nothing(
        self, facts_of: FactsOf, listed: DevPki, pki: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        found = _judged(facts_of(clerk, stamps=(stamp_at(pki, now - DAY),)), _context(listed, now))
        assert (found.indication, found.time_source) == (Indication.PASSED, "validation-time")
        assert {Code.TIMESTAMP_UNTRUSTED, Code.SIGNING_TIME_NOT_PROVED} <= set(_codes(found.warnings))

    def test_a_time_stamp_of_the_future_contradicts_the_moment_of_judgement(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        context = replace(_context(listed, now), trust=listed.trust(at=now))
        ahead = _judged(facts_of(clerk, stamps=(stamp_at(listed, now + DAY),)), context)
        assert ahead.sub_indication is Code.TIMESTAMP_ORDER_FAILURE
        slightly = _judged(facts_of(clerk, stamps=(stamp_at(listed, now + timedelta(seconds=20)),)), context)
        assert (slightly.indication, slightly.best_signature_time) == (Indication.PASSED, now)

    def test_a_content_stamp_after_the_signature_stamp_is_out_of_order(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        content = replace(stamp_at(listed, now - DAY), kind="content")
        facts = facts_of(clerk, stamps=(stamp_at(listed, now - 2 * DAY), content))
        assert _judged(facts, _context(listed, now)).sub_indication is Code.TIMESTAMP_ORDER_FAILURE

    def test_a_claimed_time_far_from_the_stamp_is_noted(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        facts = replace(facts_of(clerk, stamps=(stamp_at(listed, now),)), signing_time=now - timedelta(minutes=17))
        found = _judged(facts, _context(listed, now))
        noted = [w.facts for w in found.warnings if w.code is Code.TIMESTAMP_DISAGREES]
        assert noted == [{"minutes": "17"}]

    def test_strict_asks_for_a_time_stamp(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime, stamp_at: StampAt
    ) -> None:
        strict = _context(listed, now, policy=STRICT)
        assert _judged(facts_of(clerk), strict).sub_indication is Code.SIG_CONSTRAINTS_FAILURE
        assert _judged(facts_of(clerk, stamps=(stamp_at(listed, now),)), strict).indication is Indication.PASSED


class TestExpectation:
    """A result never says merely "signed": the caller may say whom he expects."""

    def test_another_signer_than_expected_is_never_valid(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, person: DevIdentity, now: datetime
    ) -> None:
        wanted = hashlib.sha256(person.certificate).hexdigest()
        context = replace(_context(listed, now), expectation=Expectation((wanted,)))
        found = _judged(facts_of(clerk), context)
        assert (found.sub_indication, found.integrity) == (Code.SIG_CONSTRAINTS_FAILURE, Integrity.INTACT)
        mismatch = next(reason for reason in found.reasons if reason.code is Code.IDENTITY_MISMATCH)
        assert mismatch.facts["expected"] == wanted

    def test_the_expected_signer_passes(
        self, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        wanted = hashlib.sha256(clerk.certificate).hexdigest()
        context = replace(_context(listed, now), expectation=Expectation(("0" * 64, wanted)))
        assert _judged(facts_of(clerk), context).indication is Indication.PASSED


class TestIntegrityStandsAlone:
    """No anchor, policy, time or expectation makes broken bytes intact or intact bytes broken."""

    @settings(max_examples=40, deadline=None)
    @given(data=st.data())
    def test_integrity_and_crypto_come_out_as_they_went_in(
        self, data: st.DataObject, facts_of: FactsOf, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        crypto, integrity = data.draw(
            st.sampled_from(
                [
                    (Crypto.OK, Integrity.INTACT),
                    (Crypto.BAD, Integrity.BROKEN),
                    (Crypto.OK, Integrity.BROKEN),
                    (Crypto.UNKNOWN, Integrity.UNKNOWN),
                ]
            )
        )
        policy = data.draw(st.sampled_from(list(PolicyName)))
        days = data.draw(st.integers(-4000, 20000))
        trust = data.draw(st.sampled_from([TrustStore(), listed.anchors, listed.trust(at=now)]))
        expectation = data.draw(st.sampled_from([None, Expectation(()), Expectation(("0" * 64,))]))
        context = Context(trust=trust, at=now + timedelta(days=days), policy=policy, expectation=expectation)
        found = _judged(replace(facts_of(clerk), crypto=crypto, integrity=integrity), context)
        assert (found.crypto, found.integrity) == (crypto, integrity)
        assert (found.indication is Indication.PASSED) <= (integrity is Integrity.INTACT)
        assert (found.indication is Indication.FAILED) >= (integrity is Integrity.BROKEN)
        assert found.sub_indication is None or found.reasons[0].code is found.sub_indication
        if policy is not BYTES_ONLY:
            assert indication_of(found.sub_indication) is found.indication

    def test_bad_mathematics_are_broken_whatever_a_format_says(
        self, facts_of: FactsOf, clerk: DevIdentity, context: Context
    ) -> None:
        found = _judged(replace(facts_of(clerk), crypto=Crypto.BAD), context)
        assert (found.integrity, found.indication) == (Integrity.BROKEN, Indication.FAILED)

    def test_mathematics_come_before_trust(self, facts_of: FactsOf, clerk: DevIdentity, now: datetime) -> None:
        facts = replace(
            facts_of(clerk),
            crypto=Crypto.BAD,
            integrity=Integrity.BROKEN,
            structural=(Reason(Code.FORMAT_FAILURE), Reason(Code.HASH_FAILURE, {"part": "content"})),
        )
        found = _judged(facts, Context(trust=TrustStore(), at=now, policy=INTEROP))
        assert _codes(found.reasons) == [
            Code.HASH_FAILURE,
            Code.FORMAT_FAILURE,
            Code.NO_CERTIFICATE_CHAIN_FOUND,
        ]

    def test_absent_content_is_unknown_and_indeterminate(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime
    ) -> None:
        facts = replace(
            facts_of(clerk),
            crypto=Crypto.UNKNOWN,
            integrity=Integrity.UNKNOWN,
            structural=(Reason(Code.SIGNED_DATA_NOT_FOUND, {"name": "a.pdf"}),),
        )
        found = _judged(facts, _context(listed, now))
        assert (found.indication, found.sub_indication) == (Indication.INDETERMINATE, Code.SIGNED_DATA_NOT_FOUND)

    def test_integrity_only_says_that_trust_was_not_judged(
        self, facts_of: FactsOf, clerk: DevIdentity, now: datetime
    ) -> None:
        context = Context(trust=TrustStore(), at=now, policy=BYTES_ONLY)
        intact = _judged(facts_of(clerk), context)
        assert (intact.indication, intact.sub_indication, intact.reasons) == (Indication.INDETERMINATE, None, ())
        assert Code.TRUST_NOT_EVALUATED in _codes(intact.warnings)
        anonymous = _judged(replace(facts_of(clerk), certificate=None), context)
        assert anonymous.sub_indication is None
        broken = replace(facts_of(clerk), integrity=Integrity.BROKEN, structural=(Reason(Code.FORMAT_FAILURE),))
        assert _judged(broken, context).sub_indication is Code.FORMAT_FAILURE

    def test_the_same_question_gives_the_same_report(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime
    ) -> None:
        context, facts = _context(listed, now), facts_of(clerk)
        turned = replace(facts, candidates=tuple(reversed(facts.candidates)))
        assert _judged(facts, context) == _judged(facts, context) == _judged(turned, context)


class TestFile:
    """The verdict of a file follows from its signatures alone."""

    def _file(self, *signatures: SignatureReport, policy: PolicyName, context: Context) -> Verdict:
        return file_verdict(signatures, integrity_only=policy is BYTES_ONLY)

    def test_verdicts(self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime) -> None:
        context = _context(listed, now)
        good = _judged(facts_of(clerk), context)
        unknown = _judged(facts_of(clerk), replace(context, trust=TrustStore()))
        broken = replace(good, integrity=Integrity.BROKEN, indication=Indication.FAILED)
        late = replace(good, kind="timestamp", indication=Indication.FAILED, sub_indication=Code.EXPIRED)
        assert file_verdict((good,)) is Verdict.VALID
        assert file_verdict((good, unknown)) is Verdict.INDETERMINATE
        assert file_verdict((good, broken)) is Verdict.INVALID
        assert file_verdict(()) is Verdict.INDETERMINATE
        assert file_verdict((good, late)) is Verdict.VALID
        assert file_verdict((late,)) is Verdict.INDETERMINATE
        assert file_verdict((good, replace(late, integrity=Integrity.BROKEN))) is Verdict.INVALID
        assert file_verdict((unknown,), integrity_only=True) is Verdict.VALID

    def test_a_file_without_signatures_says_so(self, context: Context) -> None:
        report = report_of(FileFacts("xml", None, b"<a/>"), (), context=context)
        assert (report.verdict, _codes(report.reasons)) == (Verdict.INDETERMINATE, [Code.NO_SIGNATURE])
        assert (report.sha256, report.size) == (hashlib.sha256(b"<a/>").hexdigest(), 4)

    def test_a_report_has_no_truth_value(self, context: Context) -> None:
        with pytest.raises(TypeError, match="truth value"):
            bool(report_of(FileFacts("xml", None, b""), (), context=context))

    def test_the_report_of_a_good_file_has_no_reasons_and_all_evidence(
        self, facts_of: FactsOf, clerk: DevIdentity, listed: DevPki, now: datetime, stamp_at: StampAt
    ) -> None:
        context = _context(listed, now)
        judged = judge_signature(facts_of(clerk, stamps=(stamp_at(listed, now),)), context=context)
        report = report_of(FileFacts("xml", None, b"x"), (judged,), context=context)
        assert (report.verdict, report.reasons) == (Verdict.VALID, ())
        assert {item.kind for item in report.evidence} == {"certificate", "crl", "token"}
        held = {item.data for item in report.evidence}
        assert {clerk.certificate, listed.root.certificate, listed.tsa.certificate} <= held


def test_the_signer_is_named_from_his_certificate(agency: DevIdentity, person: DevIdentity) -> None:
    """Name, organisation, position and serial come from the subject; a tax number tells an agency."""
    leader, office = signer_of(person.certificate), signer_of(agency.certificate)
    assert (leader.name, leader.organization, leader.position, leader.type) == (
        "Nguyễn Văn Mẫu",
        "Sở Mẫu A",
        "Phó Giám đốc",
        "person",
    )
    assert (office.name, office.type, office.agency) == ("Sở Mẫu A", "agency", None)
    assert signer_of(b"no certificate").name is None


def test_a_moment_without_offset_is_refused() -> None:
    """Time is an argument, and a naive one is no time."""
    with pytest.raises(ValueError, match="offset"):
        Context(trust=TrustStore(), at=datetime(2026, 11, 20), policy=INTEROP)
    assert Context(trust=TrustStore(), at=datetime(2026, 11, 20, tzinfo=UTC), policy=INTEROP).expectation is None
    with pytest.raises(ValueError, match="offset"):
        Proof("00", datetime(2026, 11, 20), "ledger")
    for moments in ((datetime(2026, 11, 20), None), (None, datetime(2026, 11, 20))):
        with pytest.raises(ValueError, match="offset"):
            Anchor(b"", frozenset({Purpose.SIGNERS}), *moments)
