"""Revocation lists, section by section of the published path-validation behaviours: 4.4, 4.5, 4.14, 4.15 of NIST PKITS.

Certificates and lists are of our own making, one fault each (RFC 5280, 5 and 6.3).
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from signer import crls, der, x509ext
from signer.der import NULL, SEQUENCE, encode, encode_integer
from signer.devforge import (
    Extra,
    Gone,
    Issuer,
    Listing,
    Scope,
    authority,
    called,
    general,
    listing,
    new_key,
    point,
    point_name,
    points,
    usage,
)
from signer.report import Code
from signer.x509ext import CERT_SIGN, CRL_SIGN, DIRECTORY
from signer.x509read import read
from tests.signer_core.path_house import DAY, SIGNS, House

REVOKED, LATER, GOOD = (Code.REVOKED_NO_POE,), (Code.TRY_LATER,), ()
PRIVATE: Extra = ("1.3.6.1.4.1.99999.9", True, encode(NULL))
HOLD, COMPROMISE, REMOVED = 6, 1, 8
SOME_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def house(now: datetime) -> House:
    """A root whose list is at hand."""
    built = House.build(now)
    built.listed(built.root)
    return built


def _serial(der: bytes) -> bytes:
    return read(der).serial


class TestBasicLists:
    """4.4."""

    def test_listed_is_revoked_and_not_listed_is_good(self, house: House) -> None:
        ca = house.ca("CA")
        good, gone = house.leaf(ca), house.leaf(ca)
        house.listed(ca, Listing(house.now - DAY, (Gone(_serial(gone), house.now - 2 * DAY),)))
        assert (house.codes(good), house.codes(gone)) == (GOOD, REVOKED)

    def test_a_revoked_authority_takes_its_certificates_with_it(self, house: House) -> None:
        ca = house.ca("CA")
        house.listed(ca)
        house.listed(house.root, Listing(house.now, (Gone(_serial(ca.certificate), house.now - DAY),), number=2))
        assert house.codes(house.leaf(ca)) == (Code.REVOKED_CA_NO_POE,)

    @pytest.mark.parametrize(
        "plan",
        [
            Listing(SOME_DAY, spoilt=True),
            Listing(SOME_DAY, extensions=(PRIVATE,)),
            Listing(SOME_DAY, (Gone(b"\x7f", SOME_DAY, extensions=(PRIVATE,)),)),
            Listing(SOME_DAY, days=1),
            Listing(SOME_DAY, days=None),
            Listing(SOME_DAY, base=1, number=2),
        ],
        ids=["bad signature", "unknown extension", "unknown entry extension", "old", "no next update", "delta alone"],
    )
    def test_a_list_that_cannot_be_used_says_good_of_nobody(self, house: House, plan: Listing) -> None:
        ca = house.ca("CA")
        at = house.now - 3 * DAY
        gone = tuple(replace(one, moment=at) for one in plan.gone)
        house.listed(ca, replace(plan, at=at, gone=gone))
        assert house.codes(house.leaf(ca)) == LATER
        house.listed(ca)
        assert house.codes(house.leaf(ca)) == GOOD  # a good list beside it serves

    def test_a_list_in_another_name_says_good_of_nobody(self, house: House) -> None:
        ca = house.ca("CA", house.root, _key_name(b"key"))
        house.listed(Issuer(called("Khác"), ca.key), Listing(house.now - DAY, extensions=(_authority_key(b"key"),)))
        assert house.codes(house.leaf(ca)) == LATER

    def test_an_authority_that_may_not_sign_lists_says_good_of_nobody(self, house: House) -> None:
        ca = house.ca("CA", house.root, usage(CERT_SIGN))
        house.listed(ca)
        assert house.codes(house.leaf(ca)) == LATER

    @pytest.mark.parametrize("serial", [b"\xff", b"\x80" + bytes(18), bytes(range(1, 21)), b"\x00\xff"])
    def test_negative_and_long_serial_numbers_are_found(self, house: House, serial: bytes) -> None:
        ca = house.ca("CA")
        gone = house.issue(replace(house.plan("Người ký"), serial=serial), ca)
        other = house.issue(replace(house.plan("Người ký"), serial=serial + b"\x01"), ca)
        house.listed(ca, Listing(house.now - DAY, (Gone(serial, house.now - DAY),)))
        assert (house.codes(gone.certificate), house.codes(other.certificate)) == (REVOKED, GOOD)

    def test_a_list_may_be_signed_with_another_key_of_the_authority(self, house: House) -> None:
        ca = house.issue(house.plan("CA", authority(), usage(CERT_SIGN)), house.root)
        lists = house.issue(house.plan("CA", usage(CRL_SIGN)), house.root)
        good, gone = house.leaf(ca), house.leaf(ca)
        house.listed(lists, Listing(house.now - DAY, (Gone(_serial(gone), house.now - DAY),)))
        assert (house.codes(good), house.codes(gone)) == (GOOD, REVOKED)

    def test_a_revoked_key_for_lists_says_good_of_nobody(self, house: House) -> None:
        ca = house.issue(house.plan("CA", authority(), usage(CERT_SIGN)), house.root)
        lists = house.issue(house.plan("CA", usage(CRL_SIGN)), house.root)
        house.listed(lists)
        house.listed(house.root, Listing(house.now, (Gone(_serial(lists.certificate), house.now - DAY),), number=2))
        assert house.codes(house.leaf(ca)) == LATER

    def test_a_stranger_of_the_same_name_signs_no_lists(self, house: House) -> None:
        ca = house.issue(house.plan("CA", authority(), usage(CERT_SIGN)), house.root)
        stranger = House.build(house.now)
        lists = stranger.issue(stranger.plan("CA", usage(CRL_SIGN)), stranger.root)
        house.others.append(lists.certificate)
        house.listed(lists)
        assert house.codes(house.leaf(ca)) == LATER

    def test_two_lists_of_which_one_is_bad_serve_as_one(self, house: House) -> None:
        ca = house.ca("CA")
        gone = house.leaf(ca)
        house.listed(ca, Listing(house.now - DAY, spoilt=True))
        house.listed(ca, Listing(house.now - DAY, (Gone(_serial(gone), house.now - DAY),), number=3))
        assert (house.codes(gone), house.codes(house.leaf(ca))) == (REVOKED, GOOD)


def _key_name(octets: bytes) -> Extra:
    return x509ext.SUBJECT_KEY, False, encode(4, octets)


def _authority_key(octets: bytes) -> Extra:
    return x509ext.AUTHORITY_KEY, False, encode(SEQUENCE, encode(0x80, octets))


class TestSelfIssued:
    """4.5: lists around a change of key."""

    def test_the_new_key_s_list_serves_what_the_old_key_issued(self, house: House) -> None:
        new = house.ca("CA")
        old = house.issue(house.plan("CA", authority(), SIGNS), new)
        good, gone = house.leaf(old), house.leaf(old)
        house.listed(new, Listing(house.now - DAY, (Gone(_serial(gone), house.now - DAY),)))
        assert (house.codes(good), house.codes(gone)) == (GOOD, REVOKED)

    def test_a_key_for_lists_alone_whose_certificate_another_list_covers(self, house: House) -> None:
        ca = house.ca("CA", house.root, usage(CERT_SIGN, CRL_SIGN))
        own = point_name(general(DIRECTORY, called("CA", unit="danh sách")))
        lists = house.issue(house.plan("CA", usage(CRL_SIGN), points(point(own))), ca)
        house.listed(ca, Listing(house.now - DAY, extensions=(Scope(own).extension(),)))
        good, gone = house.leaf(ca), house.leaf(ca)
        house.listed(lists, Listing(house.now - DAY, (Gone(_serial(gone), house.now - DAY),)))
        assert (house.codes(good), house.codes(gone)) == (GOOD, REVOKED)


class TestScopes:
    """4.14: distribution points, scopes, reasons, indirect lists."""

    def ask(self, house: House, named: bytes, scope: Scope) -> tuple[Code, ...]:
        ca = house.ca("CA", house.root)
        leaf = house.leaf(ca, *([points(named)] if named else []))
        house.listed(ca, Listing(house.now - DAY, extensions=(scope.extension(),)))
        return house.codes(leaf)

    ONE = point_name(general(DIRECTORY, called("CA", unit="điểm 1")))
    TWO = point_name(general(DIRECTORY, called("CA", unit="điểm 2")))
    RELATIVE = point_name(relative=("2.5.4.11", "điểm 3"))

    @pytest.mark.parametrize(
        ("named", "scope", "codes"),
        [
            (point(ONE), Scope(ONE), GOOD),
            (point(TWO), Scope(ONE), LATER),
            (point(RELATIVE), Scope(RELATIVE), GOOD),
            (point(RELATIVE), Scope(ONE), LATER),
            (point(ONE), Scope(), GOOD),
            (b"", Scope(ONE), LATER),
            (b"", Scope(point_name(general(DIRECTORY, called("CA")))), GOOD),
            (b"", Scope(users=True), GOOD),
            (b"", Scope(authorities=True), LATER),
            (b"", Scope(attributes=True), LATER),
            (b"", Scope(reasons=(1, 2)), LATER),
            (b"", Scope(indirect=True), GOOD),
        ],
        ids=[
            "same point",
            "another point",
            "same relative name",
            "full instead of relative name",
            "list for everything",
            "certificate names no point",
            "point is the issuer's name",
            "users only",
            "authorities only",
            "attributes only",
            "some reasons",
            "indirect, for its own too",
        ],
    )
    def test_a_list_serves_what_it_covers(
        self, house: House, named: bytes, scope: Scope, codes: tuple[Code, ...]
    ) -> None:
        assert self.ask(house, named, scope) == codes

    def test_a_full_name_and_a_relative_one_can_be_the_same(self, house: House) -> None:
        full = point_name(general(DIRECTORY, called("CA")))
        whole = _with_part(called("CA"), "điểm 3")
        assert self.ask(house, point(point_name(general(DIRECTORY, whole))), Scope(self.RELATIVE)) == GOOD
        assert self.ask(House.build(house.now), point(full), Scope(self.RELATIVE)) == LATER

    def test_lists_for_some_reasons_serve_together(self, house: House) -> None:
        ca = house.ca("CA")
        good, gone = house.leaf(ca), house.leaf(ca)
        first = Listing(house.now - DAY, extensions=(Scope(reasons=(1, 2)).extension(),))
        house.listed(ca, first)
        assert house.codes(good) == LATER
        rest = Scope(reasons=(3, 4, 5, 6, 7, 8)).extension()
        entry = Gone(_serial(gone), house.now - DAY, HOLD)
        house.listed(ca, Listing(house.now - DAY, (entry,), extensions=(rest,), number=2))
        found = house.ask(good)
        assert found.sub_indications == GOOD
        assert len([one for one in found.evidence if one.kind == "crl"]) == 3
        assert house.codes(gone) == REVOKED

    def test_lists_for_authorities_do_not_serve_users_and_the_other_way_round(self, house: House) -> None:
        ca = house.ca("CA")
        sub = house.ca("CA con", ca)
        house.listed(sub)
        house.listed(ca, Listing(house.now - DAY, extensions=(Scope(users=True).extension(),)))
        assert (house.codes(house.leaf(ca)), house.codes(house.leaf(sub))) == (GOOD, LATER)
        house.listed(ca, Listing(house.now - DAY, extensions=(Scope(authorities=True).extension(),)))
        assert house.codes(house.leaf(sub)) == GOOD

    def test_another_office_lists_for_the_authority_if_the_certificate_says_so(self, house: House) -> None:
        office = house.issue(house.plan("Nơi lập danh sách", usage(CRL_SIGN)), house.root)
        ca = house.ca("CA")
        named = points(point(issuer=office.name))
        good, gone, silent = house.leaf(ca, named), house.leaf(ca, named), house.leaf(ca)
        entry = Gone(_serial(gone), house.now - DAY, issuer=ca.name)
        alike = Gone(_serial(good), house.now - DAY, issuer=office.name)  # the same number, of another issuer
        scope = Scope(indirect=True).extension()
        house.listed(office, Listing(house.now - DAY, (alike, entry), extensions=(scope,)))
        assert (house.codes(good), house.codes(gone)) == (GOOD, REVOKED)
        assert Code.REVOCATION_NOT_AVAILABLE in [one.code for one in house.ask(silent).warnings]

    def test_a_list_not_marked_as_indirect_serves_nobody_else(self, house: House) -> None:
        office = house.issue(house.plan("Nơi lập danh sách", usage(CRL_SIGN)), house.root)
        ca = house.ca("CA")
        house.listed(office)
        assert house.codes(house.leaf(ca, points(point(issuer=office.name)))) == LATER

    def test_entries_of_an_indirect_list_go_with_the_issuer_named_last(self, house: House) -> None:
        ca = house.ca("CA")
        good, gone = house.leaf(ca), house.leaf(ca)
        other = called("Cơ quan khác")
        entries = (
            Gone(_serial(gone), house.now - DAY),
            Gone(b"\x63", house.now - DAY, issuer=other),
            Gone(_serial(good), house.now - DAY),
        )
        house.listed(ca, Listing(house.now - DAY, entries, extensions=(Scope(indirect=True).extension(),)))
        assert (house.codes(good), house.codes(gone)) == (GOOD, REVOKED)

    def test_an_office_whose_own_status_only_its_own_list_tells(self, house: House) -> None:
        ca = house.ca("CA")
        subject = called("Nơi lập danh sách")
        named = points(point(issuer=subject))
        office = house.issue(house.plan(subject, usage(CRL_SIGN), named), ca)
        house.listed(office, Listing(house.now - DAY, extensions=(Scope(indirect=True).extension(),)))
        assert house.codes(house.leaf(ca, named)) == GOOD


def _with_part(encoded: bytes, unit: str) -> bytes:
    parts = der.whole(called("x", unit=unit)).parts()
    return encode(SEQUENCE, der.whole(encoded).content, parts[2].encoded)


class TestDeltaLists:
    """4.15."""

    @pytest.fixture
    def ca(self, house: House) -> Issuer:
        """An authority with a base list of number 5, stale by now."""
        return house.ca("CA")

    def base(self, house: House, ca: Issuer, *gone: Gone, number: int = 5, days: int = 30) -> None:
        house.listed(ca, Listing(house.now - 9 * DAY, gone, days=days, number=number))

    def delta(self, house: House, ca: Issuer, *gone: Gone, base: int = 5, number: int = 7) -> None:
        house.listed(ca, Listing(house.now - DAY, gone, base=base, number=number, days=5))

    def test_what_the_delta_list_adds_is_revoked(self, house: House, ca: Issuer) -> None:
        good, early, late = (house.leaf(ca) for _ in range(3))
        self.base(house, ca, Gone(_serial(early), house.now - 10 * DAY))
        assert house.codes(late) == GOOD
        self.delta(house, ca, Gone(_serial(late), house.now - 2 * DAY))
        assert [house.codes(one) for one in (good, early, late)] == [GOOD, REVOKED, REVOKED]

    def test_a_hold_is_lifted_by_the_delta_list(self, house: House, ca: Issuer) -> None:
        held = house.leaf(ca)
        self.base(house, ca, Gone(_serial(held), house.now - 10 * DAY, HOLD))
        assert house.codes(held) == REVOKED
        self.delta(house, ca, Gone(_serial(held), house.now - 2 * DAY, REMOVED))
        assert house.codes(held) == GOOD

    def test_a_hold_is_over_once_a_later_list_no_longer_knows_of_it_and_other_reasons_stay(
        self, house: House, ca: Issuer
    ) -> None:
        held, stolen = house.leaf(ca), house.leaf(ca)
        entries = [Gone(_serial(held), house.now - 10 * DAY, HOLD), Gone(_serial(stolen), house.now, COMPROMISE)]
        self.base(house, ca, *entries)
        house.listed(ca, Listing(house.now - DAY, number=8))
        assert (house.codes(held), house.codes(stolen)) == (GOOD, REVOKED)

    def test_the_delta_list_keeps_an_old_base_in_use(self, house: House, ca: Issuer) -> None:
        self.base(house, ca, days=2)
        leaf = house.leaf(ca)
        assert house.codes(leaf) == LATER
        self.delta(house, ca)
        found = house.ask(leaf)
        assert found.sub_indications == GOOD
        assert found.revocation[0].this_update == house.now - DAY
        assert len([one for one in found.evidence if one.kind == "crl"]) == 3

    @pytest.mark.parametrize(("base", "number"), [(6, 7), (3, 5), (3, 4)])
    def test_a_delta_list_to_another_base_is_not_used(self, house: House, ca: Issuer, base: int, number: int) -> None:
        self.base(house, ca, days=2)
        self.delta(house, ca, base=base, number=number)
        assert house.codes(house.leaf(ca)) == LATER

    def test_a_delta_list_of_another_scope_or_key_is_not_used(self, house: House, ca: Issuer) -> None:
        self.base(house, ca, days=2)
        users = Scope(users=True).extension()
        house.listed(ca, Listing(house.now - DAY, base=5, number=7, extensions=(users,)))
        house.listed(Issuer(ca.name, new_key()), Listing(house.now - DAY, base=5, number=7))
        assert house.codes(house.leaf(ca)) == LATER


class TestLargeLists:
    """A list of a hundred thousand entries is searched, not built."""

    def test_a_certificate_is_found_in_a_large_list_without_building_it(self, house: House) -> None:
        ca = house.ca("CA")
        gone = house.issue(replace(house.plan("Người ký"), serial=bytes(range(1, 17))), ca).certificate
        good = house.issue(replace(house.plan("Người ký"), serial=bytes(range(2, 18))), ca).certificate
        moment = house.now - DAY
        many = (Gone(b"\x01" + n.to_bytes(15), moment, COMPROMISE) for n in range(100_000))
        data = listing(Listing(moment, (*many, Gone(bytes(range(1, 17)), moment))), ca)
        house.lists.append(data)
        assert (house.codes(gone), house.codes(good)) == (REVOKED, GOOD)
        found = crls.read(data)
        assert found is not None
        started = time.perf_counter()
        assert found.find(read(gone)) is not None
        assert found.find(read(good)) is None
        assert time.perf_counter() - started < 0.5

    def test_a_serial_number_inside_something_else_is_no_entry(self, house: House) -> None:
        ca = house.ca("CA")
        leaf = house.leaf(ca)
        hidden = encode_integer(int.from_bytes(_serial(leaf))) + b"\x17\x0d"
        entry = Gone(b"\x55", house.now - DAY, extensions=(("1.3.6.1.4.1.99999.9", False, hidden),))
        house.listed(ca, Listing(house.now - DAY, (entry,)))
        assert house.codes(leaf) == GOOD
