"""Attacks on trust and status: what a stranger puts beside a signature neither clears, nor revokes, nor crowds out."""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp

from signer import der, pubkeys, x509ext
from signer.algorithms import PolicyName
from signer.chain import PathResult, judge_path
from signer.der import SEQUENCE, encode, encode_bits, encode_identifier
from signer.devfaults import Reply, delegate, ocsp_by
from signer.devforge import (
    Extra,
    Gone,
    Issuer,
    Listing,
    Plan,
    alternative_names,
    authority,
    called,
    certificate,
    general,
    listing,
    name_constraints,
    new_key,
    signed,
    usage,
)
from signer.devpki import DevIdentity, DevPki
from signer.paths import OTHERS_MAX, find_paths
from signer.report import Code
from signer.trust import Context, Purpose, TrustStore, anchored
from signer.x509ext import CRL_SIGN, DNS, IP, RFC822, URI
from signer.x509read import read
from tests.signer_core.path_house import DAY, House

REVOKED, LATER, REFUSED = (Code.REVOKED_NO_POE,), (Code.TRY_LATER,), (Code.CHAIN_CONSTRAINTS_FAILURE,)
FOR_OCSP: Extra = (x509ext.EXTENDED_USAGE, False, encode(SEQUENCE, encode_identifier("1.3.6.1.5.5.7.3.9")))
FOR_MAIL_TOO: Extra = (
    x509ext.EXTENDED_USAGE,
    False,
    encode(SEQUENCE, encode_identifier("1.3.6.1.5.5.7.3.9"), encode_identifier("1.3.6.1.5.5.7.3.4")),
)
NOCHECK: Extra = (x509ext.OCSP_NOCHECK, False, encode(der.NULL))
PRIVATE: Extra = ("1.3.6.1.4.1.99999.9", True, encode(der.NULL))


@pytest.fixture
def house(now: datetime) -> House:
    """A root whose list is at hand."""
    built = House.build(now)
    built.listed(built.root)
    return built


def _crowd(house: House, size: int, *, subject: bytes | None = None) -> tuple[bytes, ...]:
    """Certificates of nobody, each with its own number; they carry one signature, that of the first."""
    key, numbers = new_key(), count(2**24)
    plan = Plan(
        subject or called("Ai đó"), house.now - DAY, house.now + DAY, (authority(),), serial=b"\x55\x55\x55\x55"
    )
    one = certificate(plan, key, Issuer(called("Ai đó"), key))
    return tuple(one.replace(b"\x55\x55\x55\x55", next(numbers).to_bytes(4)) for _ in range(size))


def _asked(leaf: bytes, house: House, *, beside: tuple[bytes, ...], given: tuple[bytes, ...] = ()) -> PathResult:
    store = TrustStore(intermediates=given, crls=tuple(house.lists))
    anchors = anchored([house.root.certificate], Purpose.SIGNERS)
    context = Context(trust=anchors.merged(store), at=house.now, policy=PolicyName.INTEROP)
    return judge_path(leaf, purpose=Purpose.SIGNERS, time=house.now, proved=False, context=context, candidates=beside)


def _curve(key: object) -> ec.EllipticCurvePrivateKey:
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    return key


class TestCrowds:
    """A file may bring any number of certificates; the answer depends on what they are, not on where they stand."""

    def test_the_issuer_is_found_among_ten_thousand_wherever_it_stands(self, house: House) -> None:
        ca = house.ca("CA")
        leaf, crowd = house.leaf(ca), _crowd(house, 10_000)
        for beside in ((ca.certificate, *crowd), (*crowd, ca.certificate)):
            assert _asked(leaf, house, beside=beside).sub_indications == ()

    def test_what_the_caller_gave_is_never_crowded_out(self, house: House) -> None:
        ca = house.ca("CA")
        leaf, crowd = house.leaf(ca), _crowd(house, OTHERS_MAX + 100)
        assert _asked(leaf, house, beside=crowd, given=(ca.certificate,)).sub_indications == ()
        mine = (*_crowd(house, OTHERS_MAX + 100), ca.certificate)
        assert _asked(leaf, house, beside=(), given=mine).sub_indications == ()

    def test_a_crowd_without_the_issuer_is_a_limit_reached(self, house: House) -> None:
        leaf = house.leaf(house.ca("CA"))
        found = _asked(leaf, house, beside=_crowd(house, OTHERS_MAX + 1))
        assert found.sub_indications == (Code.CERTIFICATE_CHAIN_GENERAL_FAILURE,)
        assert found.reasons[0].facts == {"detail": "limit"}

    def test_namesakes_of_the_issuer_end_within_the_limits(self, house: House) -> None:
        leaf = house.leaf(house.ca("CA"))
        found = find_paths(leaf, [house.root.certificate], _crowd(house, 5_000, subject=called("CA")))
        assert (found.paths, found.exhausted) == ((), True)


class TestLists:
    """Who may sign a revocation list, and what a list clears."""

    def test_not_asking_about_a_responder_does_not_hide_that_it_is_revoked(self, house: House) -> None:
        ca = house.ca("CA")
        leaf = house.leaf(ca, NOCHECK, FOR_MAIL_TOO)
        assert house.codes(leaf) == ()
        house.listed(ca, Listing(house.now - DAY, (Gone(read(leaf).serial, house.now - 2 * DAY),)))
        assert house.codes(leaf) == REVOKED

    @pytest.mark.parametrize("kind", ["usage", "none"])
    def test_a_namesake_of_the_issuer_signs_no_lists_unless_it_says_so(self, house: House, kind: str) -> None:
        ca = house.ca("CA")
        leaf = house.leaf(ca)
        namesake = house.issue(house.plan("CA", *((usage(0),) if kind == "usage" else ())), house.root)
        house.listed(namesake)
        assert house.codes(leaf) == LATER
        house.listed(house.issue(house.plan("CA", usage(CRL_SIGN)), house.root))
        assert house.codes(leaf) == ()

    def test_an_old_delta_list_does_not_age_a_complete_one(self, house: House) -> None:
        ca = house.ca("CA")
        leaf = house.leaf(ca)
        house.listed(ca, Listing(house.now - 5 * DAY))
        house.listed(ca, Listing(house.now - 4 * DAY, days=1, number=2, base=1))
        assert house.codes(leaf) == ()
        house.listed(ca, Listing(house.now - 3 * DAY, (Gone(read(leaf).serial, house.now - 4 * DAY),), 1, 3, 1))
        assert house.codes(leaf) == REVOKED

    @pytest.mark.parametrize("first", [b"00010101000000Z", b"99991231235959Z"])
    @pytest.mark.parametrize("last", [b"00010101000000Z", b"99991231235959Z"])
    def test_lists_of_the_ends_of_the_calendar_are_taken_at_their_word(
        self, house: House, first: bytes, last: bytes
    ) -> None:
        ca = house.ca("CA")
        leaf = house.leaf(ca)
        whole = der.whole(listing(Listing(house.now), ca)).parts()[0].parts()
        times = (encode(der.GENERALIZED_TIME, one) for one in (first, last))
        fields = (*(one.encoded for one in whole[:3]), *times, whole[5].encoded)
        house.lists.append(signed(encode(SEQUENCE, *fields), ca.key))
        assert house.codes(leaf) == (() if first < last else LATER)


class TestAnswers:
    """Who may answer for an authority."""

    def _ask(
        self, pki: DevPki, clerk: DevIdentity, now: datetime, *answers: bytes, beside: tuple[bytes, ...] = ()
    ) -> PathResult:
        trust = replace(pki.trust(at=now), crls=(pki.root_crl(at=now),), ocsps=answers)
        context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)
        return judge_path(
            clerk.certificate,
            purpose=Purpose.SIGNERS,
            time=now,
            proved=False,
            context=context,
            candidates=(*clerk.chain, *beside),
        )

    def _made(self, pki: DevPki, now: datetime, *extensions: Extra, unknown: bool = False) -> tuple[bytes, Issuer]:
        """Return a delegate's certificate, signed by the authority or with an algorithm nobody computes."""
        above = Issuer(pki.issuing.x509.subject.public_bytes(), _curve(pki.issuing.key))
        plan = Plan(called("OCSP"), now - DAY, datetime(2099, 1, 1, tzinfo=UTC), (FOR_OCSP, *extensions))
        key = new_key()
        found = certificate(plan, key, above)
        if unknown:
            fields = [one.encoded for one in der.whole(found).parts()[0].parts()]
            fields[2] = encode(SEQUENCE, encode_identifier("1.3.6.1.4.1.99999.1"))
            found = encode(SEQUENCE, encode(SEQUENCE, *fields), fields[2], encode_bits(b"anything"))
        return found, Issuer(plan.subject, key, found)

    def _answer(self, pki: DevPki, clerk: DevIdentity, by: Issuer, *, reply: Reply) -> bytes:
        """Return an answer by a responder whose certificate stands beside it."""
        plain = certificate(Plan(by.name, reply.at - DAY, reply.at + DAY), by.key, by)
        return ocsp_by(
            (plain, _curve(by.key)), clerk.certificate, pki.issuing.certificate, reply=reply, included=(plain,)
        )

    def test_a_delegate_nobody_can_check_revokes_nobody(
        self, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        forged, by = self._made(listed, now, unknown=True)
        gone = self._answer(listed, clerk, by, reply=Reply(now, status=ocsp.OCSPCertStatus.REVOKED))
        helper = delegate(listed.issuing, at=now - 10 * DAY)
        good = ocsp_by(
            (helper.certificate, helper.key), clerk.certificate, listed.issuing.certificate, reply=Reply(now)
        )
        found = self._ask(listed, clerk, now, gone, good, beside=(forged,))
        assert found.sub_indications == ()

    @pytest.mark.parametrize("extensions", [(), (PRIVATE,)], ids=["plain", "with something critical"])
    def test_a_delegate_with_something_critical_that_nobody_understands_clears_nobody(
        self, listed: DevPki, clerk: DevIdentity, now: datetime, extensions: tuple[Extra, ...]
    ) -> None:
        made, by = self._made(listed, now, *extensions)
        answer = self._answer(listed, clerk, by, reply=Reply(now))
        found = self._ask(listed, clerk, now, answer, beside=(made,))
        assert found.sub_indications == (LATER if extensions else ())

    def test_of_two_statements_about_one_certificate_the_worse_counts(
        self, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        ca = listed.issuing
        bodies = [
            der.whole(self._basic(ocsp_by((ca.certificate, ca.key), clerk.certificate, ca.certificate, reply=reply)))
            for reply in (Reply(now), Reply(now, status=ocsp.OCSPCertStatus.REVOKED))
        ]
        fields = [one.parts()[0].parts() for one in bodies]
        statements = [one.encoded for found in fields for one in found[2].parts()]
        for order in (statements, statements[::-1]):
            data = encode(SEQUENCE, fields[0][0].encoded, fields[0][1].encoded, encode(SEQUENCE, *order))
            assert self._ask(listed, clerk, now, signed(data, _curve(ca.key))).sub_indications == REVOKED

    def _basic(self, answer: bytes) -> bytes:
        return der.whole(answer).parts()[1].parts()[0].parts()[1].content


class TestNames:
    """What is excluded stays excluded, however the name is written."""

    @pytest.mark.parametrize(
        ("excluded", "name"),
        [
            (general(RFC822, ""), general(RFC822, "a@b.vn")),
            (general(RFC822, "b.vn"), general(RFC822, "a@b.vn.")),
            (general(RFC822, "b.vn"), general(RFC822, "a@b.vn\0.com")),
            (general(DNS, ""), general(DNS, "b.vn")),
            (general(URI, ""), general(URI, "http://b.vn/")),
            (general(URI, "b.vn"), general(URI, "urn:b.vn")),
            (general(URI, "b.vn"), general(URI, "http://b.vn./")),
            (general(URI, "b.vn"), general(URI, "http://10.0.0.1/")),
            (general(URI, "b.vn"), general(URI, "http://[b.vn/")),
            (general(IP, b"\0" * 8), general(IP, b"\1\2\3")),
        ],
    )
    def test_odd_spellings_do_not_escape_an_exclusion(self, house: House, excluded: bytes, name: bytes) -> None:
        ca = house.ca("CA", None, name_constraints(excluded=[excluded]))
        house.listed(ca)
        assert house.codes(house.leaf(ca, alternative_names(name))) == REFUSED

    @pytest.mark.parametrize(
        ("excluded", "name"),
        [
            (general(RFC822, "b.vn"), general(RFC822, "a@c.vn")),
            (general(URI, "b.vn"), general(URI, "http://c.vn/b.vn")),
            (general(IP, b"\x0a\0\0\0\xff\0\0\0"), general(IP, b"\x0b\0\0\1")),
        ],
    )
    def test_other_names_are_not_excluded(self, house: House, excluded: bytes, name: bytes) -> None:
        ca = house.ca("CA", None, name_constraints(excluded=[excluded]))
        house.listed(ca)
        assert house.codes(house.leaf(ca, alternative_names(name))) == ()


class TestBudgets:
    """Work is counted: what a stranger adds costs little, and changes nothing about what others vouch for."""

    def test_crowds_of_lists_and_of_their_signers_cost_little(
        self, listed: DevPki, clerk: DevIdentity, now: datetime
    ) -> None:
        name = listed.issuing.x509.subject.public_bytes()
        keys = [new_key() for _ in range(100)]
        plans = [Plan(name, now - DAY, now + DAY, (usage(CRL_SIGN),), serial=bytes((1, n))) for n in range(100)]
        signers = [certificate(plan, keys[n], Issuer(name, keys[n - 1])) for n, plan in enumerate(plans)]
        lists = tuple(listing(Listing(now - DAY, number=n + 1), Issuer(name, keys[n % 100])) for n in range(150))
        context = Context(trust=listed.anchors, at=now, policy=PolicyName.INTEROP)
        before = time.process_time()
        found = judge_path(
            clerk.certificate,
            purpose=Purpose.SIGNERS,
            time=now,
            proved=False,
            context=context,
            candidates=(*clerk.chain, *signers),
            embedded=TrustStore(crls=lists),
        )
        assert found.sub_indications == LATER
        assert time.process_time() - before < 2

    def test_a_path_against_the_rules_does_not_soften_the_answer(self, house: House) -> None:
        """A certificate that may not issue, with name and key of the authority, is no other way to the anchor."""
        ca = house.ca("CA")
        leaf = certificate(replace(house.plan("Người ký", usage(0)), end=house.now - DAY), new_key(), ca)
        sham = house.issue(house.plan("CA", usage(0)), house.root, ca.key).certificate
        anchors = anchored([house.root.certificate], Purpose.SIGNERS)
        trust = anchors.merged(TrustStore(crls=tuple(house.lists)))
        context = Context(trust=trust, at=house.now, policy=PolicyName.INTEROP)
        for beside in ((ca.certificate,), (ca.certificate, sham), (sham, ca.certificate)):
            found = judge_path(
                leaf, purpose=Purpose.SIGNERS, time=house.now, proved=True, context=context, candidates=beside
            )
            assert found.sub_indications == (Code.EXPIRED,)


@pytest.mark.parametrize("key", ["3000", "30023000", "300430000300", "3006300003020000", "30020500"])
def test_a_key_without_an_algorithm_is_damaged_and_nothing_worse(key: str) -> None:
    for ask in (pubkeys.load, pubkeys.algorithm_identifier, lambda one: pubkeys.with_parameters(one, b"\x05\x00")):
        with pytest.raises(ValueError):
            ask(bytes.fromhex(key))
