"""Paths, constraints and revocation: what must not be trusted, one fault each (signing.md 7.1)."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509 import ocsp
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.algorithms import PolicyName
from signer.chain import PathResult, judge_path
from signer.credential import Role
from signer.devfaults import Above, Reply, crl_of, crossed, delegate, issue_below, ocsp_by, signed_weakly, subordinate
from signer.devpki import SHA256, Authority, DevIdentity, DevPki, Subject, new_key
from signer.paths import LENGTH_MAX, OTHERS_MAX, Found, find_paths
from signer.report import Code
from signer.trust import Context, Purpose, TrustStore, anchored

INTEROP, STRICT = PolicyName.INTEROP, PolicyName.STRICT
DAY = timedelta(days=1)
MAU = Subject("Lê Văn Mẫu", organization="Sở Mẫu A")
Ask = Callable[..., PathResult]


@pytest.fixture
def ask(now: datetime) -> Ask:
    """Ask about a person's path at a moment, by default now and not proved."""

    def judge(
        identity: DevIdentity,
        trust: TrustStore,
        *,
        at: datetime = now,
        time: datetime | None = None,
        policy: PolicyName = INTEROP,
        purpose: Purpose = Purpose.SIGNERS,
    ) -> PathResult:
        return judge_path(
            identity.certificate,
            purpose=purpose,
            time=time or at,
            proved=time is not None,
            context=Context(trust=trust, at=at, policy=policy),
            candidates=identity.chain,
        )

    return judge


class TestPaths:
    """RFC 5280 chapter 6, by the engine, over paths found within limits."""

    @pytest.mark.parametrize(("own", "other"), [("p256", "rsa2048"), ("rsa2048", "p256"), ("p256", "p256")])
    def test_namesakes_of_the_authorities_with_other_keys_lead_nowhere(
        self, own: str, other: str, now: datetime, ask: Ask
    ) -> None:
        """The same names with keys of another kind are found out without a fault, lists and answers included."""
        ours, theirs = (DevPki.create(at=now - 30 * DAY, key_type=kind) for kind in (own, other))
        identity = ours.issue(Role.PERSON, MAU)
        for trust in (
            theirs.trust(at=now),
            anchored([theirs.root.certificate], Purpose.SIGNERS),
            anchored([theirs.issuing.certificate], Purpose.SIGNERS),
        ):
            assert ask(identity, trust).sub_indications == (Code.NO_CERTIFICATE_CHAIN_FOUND,)
        mixed = anchored([ours.root.certificate], Purpose.SIGNERS).merged(TrustStore(crls=theirs.trust(at=now).crls))
        assert ask(identity, mixed).sub_indications == ()
        assert {one.status for one in ask(identity, mixed).revocation} == {"unknown"}

    def test_a_signers_certificate_as_anchor_vouches_for_nobody_else(
        self, pki: DevPki, now: datetime, ask: Ask
    ) -> None:
        """Whoever is known by an own certificate cannot issue others with its key, beside the root or alone."""
        known = pki.issue(Role.PERSON, MAU)
        alone = anchored([known.certificate], Purpose.SIGNERS)
        forged = issue_below(pki, Authority(known.certificate, known.key), Subject("Trần Thị Mẫu"), at=now - DAY)
        assert ask(known, alone).sub_indications == ()
        for trust in (alone, pki.trust(at=now).merged(alone), pki.trust(at=now)):
            assert Code.CHAIN_CONSTRAINTS_FAILURE in ask(forged, trust).sub_indications

    @pytest.mark.parametrize("key_type", ["p256", "p384", "rsa2048", "rsa3072"])
    def test_good_paths_of_all_kinds_of_keys(self, ask: Ask, now: datetime, key_type: str) -> None:
        pki = DevPki.create(at=now - 30 * DAY, key_type=key_type)
        person = pki.issue(Role.PERSON, MAU, key_type=key_type)
        assert ask(person, pki.trust(at=now)).sub_indications == ()

    def test_an_end_entity_may_itself_be_the_anchor(self, ask: Ask, clerk: DevIdentity) -> None:
        trust = anchored([clerk.certificate], Purpose.SIGNERS)
        found = ask(clerk, trust)
        assert (found.sub_indications, len(found.chain), found.needs) == ((), 1, ())

    @pytest.mark.parametrize(
        "above",
        [
            Above(ca=False),
            Above(cert_sign=False),
            Above(excluded="Sở Mẫu A"),
            Above(unknown_critical=True),
            Above(),  # nothing wrong with it, but the issuing CA allows no authority below itself
        ],
        ids=["no CA", "not for certificates", "name excluded", "unknown critical extension", "path too long"],
    )
    def test_constraints_hold(self, ask: Ask, pki: DevPki, now: datetime, above: Above) -> None:
        issuer = pki.issuing if above == Above() else pki.root
        authority = subordinate(issuer, at=now - 20 * DAY, above=above)
        person = issue_below(pki, authority, MAU, at=now - 10 * DAY)
        found = ask(person, pki.trust(at=now))
        assert found.sub_indications[0] is Code.CHAIN_CONSTRAINTS_FAILURE

    def test_a_good_authority_below_the_root_is_good(self, ask: Ask, pki: DevPki, now: datetime) -> None:
        authority = subordinate(pki.root, at=now - 20 * DAY, above=Above(path_length=0))
        person = issue_below(pki, authority, MAU, at=now - 10 * DAY)
        assert ask(person, pki.trust(at=now)).sub_indications == ()

    def test_a_person_cannot_issue_certificates(self, ask: Ask, pki: DevPki, now: datetime) -> None:
        person = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"))
        forged = issue_below(pki, Authority(person.certificate, person.key), MAU, at=now - DAY)
        assert ask(forged, pki.trust(at=now)).sub_indications[0] is Code.CHAIN_CONSTRAINTS_FAILURE

    def test_a_certificate_in_the_name_of_an_authority_but_of_another_key_has_no_path(
        self, ask: Ask, pki: DevPki, now: datetime
    ) -> None:
        impostor = Authority(pki.issuing.certificate, new_key())
        forged = replace(pki, issuing=impostor).issue(Role.PERSON, MAU)
        assert ask(forged, pki.trust(at=now)).sub_indications == (Code.NO_CERTIFICATE_CHAIN_FOUND,)

    def test_a_foreign_root_that_ours_certifies_crosswise_is_reached(
        self, ask: Ask, pki: DevPki, now: datetime
    ) -> None:
        other = DevPki.create(at=now - 30 * DAY)
        cross = crossed(pki, other, at=now - 20 * DAY)
        person = other.issue(Role.PERSON, MAU)
        trust = replace(pki.trust(at=now), intermediates=(cross,))
        found = ask(person, trust)
        assert Code.NO_CERTIFICATE_CHAIN_FOUND not in found.sub_indications

    @pytest.mark.parametrize(("digest", "key_type"), [("sha1", "p256"), ("sha1", "rsa2048"), ("md5", "rsa2048")])
    def test_an_old_digest_below_the_anchor_is_not_accepted(
        self, ask: Ask, now: datetime, digest: str, key_type: str
    ) -> None:
        pki = DevPki.create(at=now - 30 * DAY, key_type=key_type)
        person = pki.issue(Role.PERSON, MAU)
        weak = replace(person, certificate=signed_weakly(person.certificate, pki.issuing, digest=digest))
        found = ask(weak, pki.trust(at=now))
        assert found.sub_indications[0] is Code.CRYPTO_CONSTRAINTS_FAILURE
        assert "SHA-1" in found.reasons[0].facts["algorithm"] or "MD5" in found.reasons[0].facts["algorithm"]

    def test_the_old_digest_of_a_root_is_its_own_affair(self, ask: Ask, pki: DevPki, now: datetime) -> None:
        old_root = signed_weakly(pki.root.certificate, pki.root)
        person = pki.issue(Role.PERSON, MAU)
        trust = replace(pki.trust(at=now), anchors=anchored([old_root], Purpose.SIGNERS).anchors)
        assert ask(person, trust).sub_indications == ()

    def test_purposes_of_time_stamps(self, ask: Ask, pki: DevPki, person: DevIdentity, now: datetime) -> None:
        trust = pki.trust(at=now)
        assert ask(pki.tsa, trust, purpose=Purpose.TSA).sub_indications == ()
        assert ask(person, trust, purpose=Purpose.TSA).sub_indications == (Code.CHAIN_CONSTRAINTS_FAILURE,)
        assert ask(pki.tsa, trust, purpose=Purpose.SIGNERS).sub_indications == (Code.CHAIN_CONSTRAINTS_FAILURE,)

    def test_rubbish_beside_the_signature_is_passed_over(
        self, pki: DevPki, person: DevIdentity, context: Context
    ) -> None:
        found = judge_path(
            person.certificate,
            purpose=Purpose.SIGNERS,
            time=context.at,
            proved=False,
            context=context,
            candidates=(b"", b"0\x80", b"rubbish" * 100, *person.chain),
        )
        assert found.sub_indications == ()
        broken = judge_path(b"0\x03\x02\x01", purpose=Purpose.SIGNERS, time=context.at, proved=False, context=context)
        assert broken.sub_indications == (Code.CERTIFICATE_CHAIN_GENERAL_FAILURE,)

    def test_certificates_that_certify_one_another_crosswise_end_within_the_limits(self, now: datetime) -> None:
        authorities = [DevPki.create(at=now) for _ in range(9)]
        name = authorities[0].root.x509.subject
        crossings = tuple(crossed(a, b, at=now) for a, b in itertools.permutations(authorities, 2))
        assert all(x509.load_der_x509_certificate(der).subject == name for der in crossings)
        person = authorities[0].issue(Role.PERSON, MAU)
        stranger = DevPki.create(at=now)
        found = find_paths(person.certificate, [stranger.root.certificate], (*person.chain, *crossings))
        assert (found.paths, found.exhausted) == ((), True)

    def test_a_file_full_of_certificates_ends_within_the_limits(self, pki: DevPki, person: DevIdentity) -> None:
        crowd = tuple(pki.issue(Role.PERSON, Subject(f"Lê Văn Mẫu {n}")).certificate for n in range(OTHERS_MAX + 1))
        assert find_paths(person.certificate, [pki.root.certificate], crowd) == Found((), exhausted=True)
        found = find_paths(person.certificate, [pki.root.certificate], (pki.issuing.certificate, *crowd))
        assert found.paths == ((person.certificate, pki.issuing.certificate, pki.root.certificate),)

    def test_paths_longer_than_the_limit_are_not_followed(self, now: datetime) -> None:
        pki = DevPki.create(at=now)
        chain = [pki.root]
        for _ in range(LENGTH_MAX + 2):
            chain.append(subordinate(chain[-1], at=now, above=Above(path_length=None)))
        others = [authority.certificate for authority in chain[1:-1]]
        found = find_paths(chain[-1].certificate, [pki.root.certificate], others)
        assert all(len(path) <= LENGTH_MAX + 1 for path in found.paths)

    @settings(max_examples=15, deadline=None)
    @given(seed=st.randoms(use_true_random=False))
    def test_the_order_of_certificates_makes_no_difference(
        self, pki: DevPki, person: DevIdentity, context: Context, seed: object
    ) -> None:
        shuffled = list(person.chain)
        seed.shuffle(shuffled)  # type: ignore[attr-defined]  # hypothesis gives a random.Random
        results = {
            repr(
                judge_path(
                    person.certificate,
                    purpose=Purpose.SIGNERS,
                    time=context.at,
                    proved=False,
                    context=context,
                    candidates=order,
                )
            )
            for order in (tuple(shuffled), person.chain)
        }
        assert len(results) == 1

    @pytest.mark.parametrize("year", [1951, 2060, 9999])
    def test_any_moment_can_be_asked_about(
        self, ask: Ask, pki: DevPki, person: DevIdentity, now: datetime, year: int
    ) -> None:
        found = ask(person, pki.trust(at=now), at=now.replace(year=year))
        assert found.sub_indications[0] is Code.OUT_OF_BOUNDS_NO_POE


class TestStatusAnswers:
    """Only usable answers count, and missing ones are never "good"."""

    def test_fresh_stale_and_within_a_day(self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime) -> None:
        def at_age(age: timedelta, policy: PolicyName) -> tuple[Code, ...]:
            return ask(clerk, listed.trust(at=now - age), policy=policy).sub_indications

        assert at_age(6 * DAY, INTEROP) == ()
        assert at_age(7.5 * DAY, INTEROP) == ()
        assert at_age(7.5 * DAY, STRICT) == (Code.TRY_LATER,)
        assert at_age(9 * DAY, INTEROP) == (Code.TRY_LATER,)

    def test_an_answer_from_after_the_proved_time_serves(
        self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        assert ask(clerk, listed.trust(at=now), time=now - 20 * DAY).sub_indications == ()
        assert ask(clerk, listed.trust(at=now - 25 * DAY), time=now - DAY).sub_indications == (Code.TRY_LATER,)

    def test_an_answer_of_the_future_is_not_known_yet(
        self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        assert ask(clerk, listed.trust(at=now + DAY)).sub_indications == (Code.TRY_LATER,)

    def test_a_list_of_another_key_or_name_does_not_count(
        self, ask: Ask, listed: DevPki, pki: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        impostor = Authority(listed.issuing.certificate, new_key())
        for lists in ((crl_of(impostor, at=now),), (pki.crl(at=now),), (b"rubbish",), ()):
            trust = replace(listed.trust(at=now), crls=(listed.root_crl(at=now), *lists))
            assert ask(clerk, trust).sub_indications == (Code.TRY_LATER,)

    @pytest.mark.parametrize(
        "extension",
        [
            (x509.DeltaCRLIndicator(1), True),
            (x509.IssuingDistributionPoint(None, None, False, True, None, False, False), True),
            (x509.IssuingDistributionPoint(None, None, False, False, None, False, True), True),
            (
                x509.IssuingDistributionPoint(
                    None, None, False, False, frozenset([x509.ReasonFlags.key_compromise]), False, False
                ),
                True,
            ),
            (
                x509.IssuingDistributionPoint(
                    [x509.UniformResourceIdentifier("http://127.0.0.1:9/other.crl")],
                    None,
                    False,
                    False,
                    None,
                    False,
                    False,
                ),
                True,
            ),
            (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.3.6.1.4.1.99999.1"), b"\x05\x00"), True),
        ],
        ids=["delta", "CAs only", "attributes only", "some reasons", "other point", "unknown critical"],
    )
    def test_a_partial_list_is_never_good(
        self,
        ask: Ask,
        listed: DevPki,
        clerk: DevIdentity,
        now: datetime,
        extension: tuple[x509.ExtensionType, bool],
    ) -> None:
        partial = crl_of(listed.issuing, at=now, extension=extension)
        trust = replace(listed.trust(at=now), crls=(listed.root_crl(at=now), partial))
        assert ask(clerk, trust).sub_indications == (Code.TRY_LATER,)

    def test_a_list_for_the_certificate_s_own_point_is_good(
        self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        point = x509.IssuingDistributionPoint(
            [x509.UniformResourceIdentifier("http://127.0.0.1:9/ca.crl")], None, True, False, None, False, False
        )
        scoped = crl_of(listed.issuing, at=now, extension=(point, True))
        trust = replace(listed.trust(at=now), crls=(listed.root_crl(at=now), scoped))
        assert ask(clerk, trust).sub_indications == ()

    @pytest.mark.parametrize("reason", [r.value for r in x509.ReasonFlags if r is not x509.ReasonFlags.remove_from_crl])
    def test_every_reason_revokes_and_hold_too(
        self, ask: Ask, own: DevPki, clerk: DevIdentity, now: datetime, reason: str
    ) -> None:
        own.revoke(clerk.certificate, at=now - DAY, reason=reason)
        found = ask(clerk, own.trust(at=now))
        assert (found.sub_indications, found.revocation[0].reason) == ((Code.REVOKED_NO_POE,), reason)

    def test_an_entry_that_belongs_into_a_delta_list_spoils_the_list(
        self, ask: Ask, own: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        own.revoke(clerk.certificate, at=now - DAY, reason="removeFromCRL")
        assert ask(clerk, own.trust(at=now)).sub_indications == (Code.TRY_LATER,)

    def test_a_stolen_key_counts_from_the_invalidity_date(
        self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        def trust_with(reason: x509.ReasonFlags) -> TrustStore:
            entry = x509.RevokedCertificateBuilder().serial_number(clerk.credential.x509.serial_number)
            entry = entry.revocation_date(now - DAY).add_extension(x509.CRLReason(reason), critical=False)
            entry = entry.add_extension(x509.InvalidityDate((now - 9 * DAY).replace(tzinfo=None)), critical=False)
            builder = x509.CertificateRevocationListBuilder().issuer_name(listed.issuing.x509.subject)
            builder = builder.last_update(now).next_update(now + DAY).add_revoked_certificate(entry.build())
            crl = builder.sign(listed.issuing.key, SHA256)
            der = crl.public_bytes(serialization.Encoding.DER)
            return replace(listed.trust(at=now), crls=(listed.root_crl(at=now), der))

        stolen, left = (trust_with(r) for r in (x509.ReasonFlags.key_compromise, x509.ReasonFlags.superseded))
        assert ask(clerk, stolen, time=now - 5 * DAY).sub_indications == (Code.REVOKED,)
        assert ask(clerk, stolen, time=now - 10 * DAY).sub_indications == ()
        assert ask(clerk, left, time=now - 5 * DAY).sub_indications == ()

    def test_a_revoked_authority(self, ask: Ask, own: DevPki, clerk: DevIdentity, now: datetime) -> None:
        serial = own.issuing.x509.serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - 2 * DAY).build()
        builder = x509.CertificateRevocationListBuilder().issuer_name(own.root.x509.subject)
        builder = builder.last_update(now).next_update(now + DAY).add_revoked_certificate(entry)
        der = builder.sign(own.root.key, SHA256).public_bytes(serialization.Encoding.DER)
        trust = replace(own.trust(at=now), crls=(own.crl(at=now), der))
        assert ask(clerk, trust).sub_indications == (Code.REVOKED_CA_NO_POE,)
        assert ask(clerk, trust, time=now - 3 * DAY).sub_indications == ()

    def test_a_list_that_may_have_forgotten_an_expired_certificate_is_no_proof(
        self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        later = now + 800 * DAY
        keeping = listed.trust(at=later)
        forgetful = replace(keeping, crls=(listed.root_crl(at=later), crl_of(listed.issuing, at=later)))
        assert ask(clerk, keeping, at=later, time=now).sub_indications == ()
        assert ask(clerk, forgetful, at=later, time=now).sub_indications == (Code.TRY_LATER,)
        stored = forgetful.merged(listed.trust(at=now))
        assert ask(clerk, stored, at=later, time=now).sub_indications == ()

    def test_evidence_names_the_answers_used(self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime) -> None:
        trust = listed.trust(at=now)
        found = ask(clerk, trust)
        assert {item.data for item in found.evidence if item.kind == "crl"} == set(trust.crls)


class TestOcsp:
    """OCSP answers: by the issuer or its direct delegate, about this certificate, and saying good."""

    def _ask(self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime, answer: bytes) -> PathResult:
        trust = replace(listed.trust(at=now), crls=(listed.root_crl(at=now),), ocsps=(answer,))
        return ask(clerk, trust)

    def test_the_authority_s_own_service(self, ask: Ask, own: DevPki, clerk: DevIdentity, now: datetime) -> None:
        def answer() -> bytes:
            builder = ocsp.OCSPRequestBuilder()
            builder = builder.add_certificate(clerk.credential.x509, own.issuing.x509, SHA256)
            return own.ocsp(builder.build().public_bytes(serialization.Encoding.DER), at=now)

        found = self._ask(ask, own, clerk, now, answer())
        assert (found.sub_indications, found.revocation[0].method) == ((), "ocsp")
        own.revoke(clerk.certificate, at=now - DAY)
        assert self._ask(ask, own, clerk, now, answer()).sub_indications == (Code.REVOKED_NO_POE,)

    def test_the_issuer_itself_may_answer(self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime) -> None:
        ca = listed.issuing
        answer = ocsp_by((ca.certificate, ca.key), clerk.certificate, ca.certificate, reply=Reply(now))
        assert self._ask(ask, listed, clerk, now, answer).sub_indications == ()

    @pytest.mark.parametrize("fault", ["a person", "not for OCSP", "ended", "of another authority", "unknown", "stale"])
    def test_answers_that_do_not_count(
        self, ask: Ask, listed: DevPki, pki: DevPki, clerk: DevIdentity, person: DevIdentity, now: datetime, fault: str
    ) -> None:
        good = delegate(listed.issuing, at=now - 10 * DAY)
        who = {
            "a person": listed.issue(Role.PERSON, MAU),
            "not for OCSP": delegate(listed.issuing, at=now - 10 * DAY, ocsp_signing=False),
            "ended": delegate(listed.issuing, at=now - 10 * DAY, days=5),
            "of another authority": delegate(listed.root, at=now - 10 * DAY),
        }.get(fault, good)
        reply = {
            "unknown": Reply(now, status=ocsp.OCSPCertStatus.UNKNOWN),
            "stale": Reply(now - 9 * DAY),
        }.get(fault, Reply(now))
        answer = ocsp_by((who.certificate, who.key), clerk.certificate, listed.issuing.certificate, reply=reply)
        late = (Code.REVOCATION_OUT_OF_BOUNDS_NO_POE,) if fault == "ended" else ()
        assert self._ask(ask, listed, clerk, now, answer).sub_indications == (*late, Code.TRY_LATER)
        fine = ocsp_by((good.certificate, good.key), clerk.certificate, listed.issuing.certificate, reply=Reply(now))
        assert self._ask(ask, listed, clerk, now, fine).sub_indications == ()

    def test_an_answer_about_another_certificate_does_not_count(
        self, ask: Ask, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        ca, other = listed.issuing, listed.issue(Role.PERSON, MAU)
        answer = ocsp_by((ca.certificate, ca.key), other.certificate, ca.certificate, reply=Reply(now))
        assert self._ask(ask, listed, clerk, now, answer).sub_indications == (Code.TRY_LATER,)

    def test_a_revoked_delegate_answers_for_nobody(
        self, ask: Ask, own: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        helper = delegate(own.issuing, at=now - 10 * DAY)
        reply = Reply(now)
        answer = ocsp_by((helper.certificate, helper.key), clerk.certificate, own.issuing.certificate, reply=reply)
        own.revoke(helper.certificate, at=now - DAY)
        without = replace(own.trust(at=now), crls=(own.root_crl(at=now),), ocsps=(answer,))
        assert ask(clerk, without).sub_indications == ()
        found = ask(clerk, replace(own.trust(at=now), ocsps=(answer,)))
        assert (found.sub_indications, found.revocation[0].method) == ((), "crl")

    def test_time_stamping_authorities_are_checked_too(self, listed: DevPki, now: datetime) -> None:
        context = Context(trust=listed.anchors, at=now, policy=INTEROP)
        tsa = judge_path(
            listed.tsa.certificate,
            purpose=Purpose.TSA,
            time=now,
            proved=True,
            context=context,
            candidates=listed.tsa.chain,
        )
        assert tsa.sub_indications == (Code.TRY_LATER,)
