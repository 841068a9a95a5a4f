"""Anchors with periods, sources of answers, odd certificates, levels, and whom the caller expects (signing.md 7)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from signer import x509ext
from signer.algorithms import PolicyName
from signer.chain import judge_path, validate_path
from signer.credential import Role
from signer.devfaults import with_negative_modulus
from signer.devforge import Plan, called, certificate, usage
from signer.devpki import DevIdentity, DevPki, Subject
from signer.expectation import Expectation
from signer.judge import Facts, Stamp, judge_signature, signer_of
from signer.names import read_name
from signer.report import Code, Indication, SignatureReport
from signer.trust import Anchor, Context, Purpose, TrustStore, load_certificates
from signer.x509read import read
from tests.signer_core.path_house import House

FactsOf = Callable[..., Facts]
StampAt = Callable[[DevPki, datetime], Stamp]
INTEROP = PolicyName.INTEROP
DAY = timedelta(days=1)
COMMON_NAME, ORGANIZATION, USER_ID = "2.5.4.3", "2.5.4.10", "0.9.2342.19200300.100.1.1"


def _judged(facts: Facts, context: Context) -> SignatureReport:
    return judge_signature(facts, context=context).signature


class TestPeriodsOfAnchors:
    """An anchor serves from its beginning, and after its sunset earlier best-signature-times only."""

    def trust(self, pki: DevPki, now: datetime, start: timedelta | None, end: timedelta | None) -> TrustStore:
        purposes = frozenset({Purpose.SIGNERS, Purpose.TSA})
        moments = [now + one if one is not None else None for one in (start, end)]
        return replace(pki.trust(at=now), anchors=(Anchor(pki.root.certificate, purposes, *moments),))

    @pytest.mark.parametrize(
        ("start", "end", "stamped", "passes"),
        [
            (None, None, False, True),
            (-5 * DAY, None, False, True),
            (DAY, None, False, False),
            (None, -DAY, False, False),
            (None, -DAY, True, True),
            (-2 * DAY, None, True, False),
            (-5 * DAY, -DAY, True, True),
        ],
    )
    def test_by_the_proved_time(
        self,
        facts_of: FactsOf,
        stamp_at: StampAt,
        listed: DevPki,
        clerk: DevIdentity,
        now: datetime,
        *,
        start: timedelta | None,
        end: timedelta | None,
        stamped: bool,
        passes: bool,
    ) -> None:
        stamps = (stamp_at(listed, now - 3 * DAY),) if stamped else ()
        stamping = replace(listed.anchors, anchors=(Anchor(listed.root.certificate, frozenset({Purpose.TSA})),))
        signing = self.trust(listed, now, start, end)
        signers = replace(signing.anchors[0], purposes=frozenset({Purpose.SIGNERS}))
        trust = replace(signing, anchors=(signers, *stamping.anchors))
        found = _judged(facts_of(clerk, stamps=stamps), Context(trust=trust, at=now, policy=INTEROP))
        if passes:
            assert found.indication is Indication.PASSED
        else:
            assert found.sub_indication is Code.NO_CERTIFICATE_CHAIN_FOUND


class TestWhereAnswersComeFrom:
    """Given, kept in the store, fetched, or embedded: the report says which."""

    def test_each_source_is_named(self, listed: DevPki, clerk: DevIdentity, facts_of: FactsOf, now: datetime) -> None:
        answers = TrustStore(crls=listed.trust(at=now).crls)
        base = replace(listed.trust(at=now), crls=())
        for word, trust in (
            ("given", base.merged(answers)),
            ("store", base.merged(answers.coming_from("store"))),
            ("online", base.merged(answers.coming_from("online"))),
        ):
            found = _judged(facts_of(clerk), Context(trust=trust, at=now, policy=INTEROP))
            assert {one.source for one in found.revocation} == {word}
        carried = replace(facts_of(clerk), embedded=answers)
        found = _judged(carried, Context(trust=base, at=now, policy=INTEROP))
        assert {one.source for one in found.revocation} == {"embedded"}


class TestOddCertificates:
    """What other software encoded wrongly is read as it was meant."""

    def test_a_key_whose_modulus_is_written_as_a_negative_number_has_a_path(self, now: datetime) -> None:
        pki = DevPki.create(at=now - 30 * DAY, key_type="rsa2048")
        person = pki.issue(Role.PERSON, Subject("Lê Văn Mẫu"), key_type="rsa2048")
        odd = with_negative_modulus(person.certificate, pki.issuing)
        context = Context(trust=pki.trust(at=now), at=now, policy=INTEROP)
        found = judge_path(odd, purpose=Purpose.SIGNERS, time=now, proved=False, context=context)
        assert (found.sub_indications, len(found.chain)) == ((), 3)

    def test_a_negative_serial_number_names_its_signer(self, now: datetime) -> None:
        house = House.build(now)
        leaf = house.issue(replace(house.plan("Lê Văn Mẫu"), serial=b"\xf0\x01"), house.root)
        assert (signer_of(leaf.certificate).name, signer_of(leaf.certificate).serial) == ("Lê Văn Mẫu", "-FFF")
        found = validate_path(leaf.certificate, trust=_anchored(house), at=now)
        assert (found.sub_indications, found.chain[0].serial) == ((), "-FFF")

    def test_old_roots_and_openssl_s_trusted_certificates_are_anchors(self, now: datetime) -> None:
        house = House.build(now)
        old = certificate(Plan(called("Root"), now - DAY, now + DAY, version=1), house.root.key, house.root)
        leaf = house.leaf(house.root)
        block = base64.encodebytes(old + b"\x30\x00").decode()
        text = f"-----BEGIN TRUSTED CERTIFICATE-----\n{block}-----END TRUSTED CERTIFICATE-----\n"
        assert load_certificates(text.encode()) == (old,)
        trust = TrustStore(anchors=(Anchor(old, frozenset({Purpose.SIGNERS})),))
        assert validate_path(leaf, trust=trust, at=now).sub_indications == ()

    def test_names_are_shown_as_rfc_4514_writes_them(self, now: datetime) -> None:
        shown = read_name(called(' #A, "B"+C<D>;\\ ', unit="#x")).text
        assert shown == 'CN=\\ #A\\, \\"B\\"\\+C\\<D\\>\\;\\\\\\ ,OU=\\#x,O=THỬ NGHIỆM,C=VN'


def _anchored(house: House) -> TrustStore:
    anchors = (Anchor(house.root.certificate, frozenset({Purpose.SIGNERS})),)
    return TrustStore(anchors=anchors, intermediates=tuple(house.others))


class TestLevels:
    """LT and LTA are reached by what the file carries, whatever is trusted."""

    def test_by_what_is_embedded(
        self, facts_of: FactsOf, stamp_at: StampAt, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        stamp = stamp_at(listed, now - DAY)
        context = Context(trust=TrustStore(), at=now, policy=INTEROP)
        both = TrustStore(crls=listed.trust(at=now).crls)
        archive = replace(stamp_at(listed, now), kind="archive", id="a", covers=_covers(both.crls))
        older = replace(archive, covers=_covers((b"something else",)))
        facts = facts_of(clerk)
        cases = (
            ("XAdES-B-B", facts),
            ("XAdES-B-B", replace(facts, embedded=both)),
            ("XAdES-B-T", replace(facts, stamps=(stamp,))),
            ("XAdES-B-LT", replace(facts, stamps=(stamp,), embedded=both)),
            ("XAdES-B-T", replace(facts, stamps=(stamp,), embedded=TrustStore(crls=both.crls[1:]))),
            ("XAdES-B-LTA", replace(facts, stamps=(stamp, archive), embedded=both)),
            ("XAdES-B-LT", replace(facts, stamps=(stamp, older), embedded=both)),
            ("XMLDSIG", replace(facts, level="XMLDSIG", stamps=(stamp, archive), embedded=both)),
        )
        for level, given in cases:
            assert _judged(given, context).level == level


def _covers(data: tuple[bytes, ...]) -> tuple[str, ...]:
    return tuple(hashlib.sha256(one).hexdigest() for one in data)


class TestExpectation:
    """Whole values in NFC, several kinds together, and never the common name alone."""

    @pytest.fixture
    def office(self, pki: DevPki) -> DevIdentity:
        """An agency with a tax number."""
        return pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))

    def met(self, expectation: Expectation, identity: DevIdentity) -> bool:
        return expectation.is_met_by(read(identity.certificate))

    def test_every_kind_of_expectation(self, office: DevIdentity, person: DevIdentity) -> None:
        own = read(office.certificate)
        tax = Expectation(tax_number="0100000001")
        subject = Expectation(subject=((ORGANIZATION, "Sở Mẫu A"), (USER_ID, "MST:0100000001")))
        number = Expectation(issuer_serials=(("CN=Khác", 1), (own.issuer.text, own.serial_number)))
        for wanted in (tax, subject, number, Expectation((own.sha256.upper(),))):
            assert self.met(wanted, office)
            assert not self.met(wanted, person)
        assert self.met(Expectation(any_of=(Expectation(("0" * 64,)), tax)), office)
        assert self.met(Expectation(all_of=(subject, tax)), office)
        assert not self.met(Expectation(all_of=(subject, Expectation(("0" * 64,)))), office)
        assert not self.met(Expectation(), office)

    @pytest.mark.parametrize("value", ["Sở Mẫu", "sở mẫu a", "Sở Mẫu A ", "MST:0100000001"])
    def test_only_whole_values_count(self, office: DevIdentity, value: str) -> None:
        assert not self.met(Expectation(subject=((ORGANIZATION, value),)), office)
        assert not self.met(Expectation(tax_number="010000000"), office)
        assert not self.met(Expectation(tax_number="MST:0100000001"), office)

    def test_composed_and_decomposed_letters_are_the_same(self, office: DevIdentity) -> None:
        decomposed = "So\u031b\u0309 Ma\u0302\u0303u A"
        assert decomposed != "Sở Mẫu A"
        assert self.met(Expectation(subject=((ORGANIZATION, decomposed),)), office)

    def test_a_common_name_alone_cannot_be_asked_for(self) -> None:
        with pytest.raises(ValueError, match="common name"):
            Expectation(subject=((COMMON_NAME, "Sở Mẫu A"),))
        assert Expectation(subject=((COMMON_NAME, "Sở Mẫu A"),), tax_number="0100000001").tax_number

    def test_the_reason_names_what_was_expected(
        self, facts_of: FactsOf, office: DevIdentity, person: DevIdentity, context: Context
    ) -> None:
        wanted = replace(context, expectation=Expectation(tax_number="0100000001"))
        assert _judged(facts_of(office), wanted).indication is Indication.PASSED
        found = _judged(facts_of(person), wanted)
        mismatch = next(reason for reason in found.reasons if reason.code is Code.IDENTITY_MISMATCH)
        assert mismatch.facts["expected"] == "MST:0100000001"


def test_purposes_and_usages_of_signers() -> None:
    """A certificate without purposes serves signers; one for something else does not (K4)."""
    now = datetime.fromisoformat("2026-11-20T09:30:00+07:00")
    house = House.build(now)
    ca = house.ca("CA")

    def asked(*dotted: str) -> tuple[Code, ...]:
        from signer.der import SEQUENCE, encode, encode_identifier

        value = encode(SEQUENCE, *(encode_identifier(one) for one in dotted))
        return house.codes(house.leaf(ca, (x509ext.EXTENDED_USAGE, False, value)))

    assert asked("1.3.6.1.5.5.7.3.36") == asked("1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.4") == ()
    assert asked("1.3.6.1.5.5.7.3.1") == (Code.CHAIN_CONSTRAINTS_FAILURE,)
    assert house.codes(house.leaf(ca, usage(2))) == (Code.CHAIN_CONSTRAINTS_FAILURE,)
