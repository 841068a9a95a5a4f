"""RFC 5280 chapter 6, section by section of the published path-validation behaviours, with certificates of our own.

The sections are those of NIST PKITS: signatures (4.1), dates (4.2), names (4.3), self-issued certificates (4.5), basic
constraints (4.6), key usage (4.7), policies (4.8 to 4.12), name constraints (4.13), private extensions (4.16).
Revocation lists (4.4, 4.14, 4.15) are in ``test_revocation_lists``.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa

from signer import x509ext
from signer.der import NULL, encode
from signer.devforge import (
    IA5,
    PRINTABLE,
    Extra,
    Issuer,
    alternative_names,
    authority,
    called,
    general,
    inhibit_any,
    mappings,
    name,
    name_constraints,
    new_key,
    policies,
    policy_constraints,
    usage,
)
from signer.pathrules import Inputs
from signer.report import Code
from signer.x509ext import CERT_SIGN, CRL_SIGN, DIRECTORY, DNS, IP, RFC822, URI
from tests.signer_core.path_house import ANY, DAY, P1, P2, P3, P4, SIGNS, House

CONSTRAINED = (Code.CHAIN_CONSTRAINTS_FAILURE,)
UNPROCESSABLE = (Code.CERTIFICATE_CHAIN_GENERAL_FAILURE,)
NOWHERE = (Code.NO_CERTIFICATE_CHAIN_FOUND,)


@pytest.fixture
def house(now: datetime) -> House:
    """A root with nothing below it."""
    return House.build(now)


class TestSignatures:
    """4.1."""

    def test_a_good_path_is_good_and_a_spoilt_signature_leads_nowhere(self, house: House) -> None:
        ca = house.ca("CA")
        assert house.codes(house.leaf(ca)) == ()
        spoilt = house.issue(replace(house.plan("Người ký"), spoilt=True), ca)
        assert house.codes(spoilt.certificate) == NOWHERE
        bad = house.issue(replace(house.plan("CA hỏng", authority(), SIGNS), spoilt=True), house.root)
        assert house.codes(house.leaf(bad)) == NOWHERE

    def test_a_dsa_key_inherits_its_parameters_and_is_followed_though_never_accepted(self, house: House) -> None:
        key = dsa.generate_private_key(1024)
        above = house.issue(house.plan("CA DSA", authority(), SIGNS), house.root, key)
        numbers = key.parameters()
        below = house.issue(
            replace(house.plan("CA con DSA", authority(), SIGNS), inherits=True), above, numbers.generate_private_key()
        )
        assert house.codes(house.leaf(below)) == (Code.CRYPTO_CONSTRAINTS_FAILURE,)
        spoilt = house.issue(replace(house.plan("Người ký"), spoilt=True), below)
        assert Code.CERTIFICATE_CHAIN_GENERAL_FAILURE in house.codes(spoilt.certificate)


class TestDates:
    """4.2: both forms of time, before and after 2000 and 2050."""

    @pytest.mark.parametrize("general_times", [None, True])
    def test_before_and_after_its_days_a_certificate_is_out_of_bounds(
        self, house: House, general_times: bool | None
    ) -> None:
        plan = replace(house.plan("CA", authority(), SIGNS), general_times=general_times)
        for start, end, codes in (
            (-10 * DAY, 10 * DAY, ()),
            (DAY, 10 * DAY, (Code.OUT_OF_BOUNDS_NO_POE,)),
            (-10 * DAY, -DAY, (Code.OUT_OF_BOUNDS_NO_POE,)),
        ):
            dated = replace(plan, start=house.now + start, end=house.now + end)
            assert house.codes(house.leaf(house.issue(dated, house.root))) == codes

    def test_two_digit_years_are_of_the_right_century(self, house: House) -> None:
        old = replace(house.plan("CA"), start=datetime(1950, 1, 1, tzinfo=UTC), end=datetime(1999, 12, 31, tzinfo=UTC))
        found = house.ask(house.issue(old, house.root).certificate)
        assert found.chain[0].not_before.year == 1950
        assert found.sub_indications == (Code.OUT_OF_BOUNDS_NO_POE,)
        late = replace(house.plan("CA"), end=datetime(2049, 12, 31, tzinfo=UTC))
        assert house.codes(house.issue(late, house.root).certificate) == ()


class TestNames:
    """4.3."""

    def issued_under(self, house: House, issuer_name: bytes, *, ca: bytes) -> tuple[Code, ...]:
        above = house.ca(ca)
        return house.codes(house.leaf(Issuer(issuer_name, above.key)))

    @pytest.mark.parametrize(
        "spelled",
        [
            called("Cơ quan cấp", kind=12),
            called("  Cơ   quan  cấp "),
            called("CƠ QUAN CẤP"),
        ],
        ids=["same", "white space", "capitals"],
    )
    def test_names_are_equal_without_regard_to_case_and_white_space(self, house: House, spelled: bytes) -> None:
        assert self.issued_under(house, spelled, ca=called("Cơ quan cấp")) == ()

    def test_names_are_equal_in_every_kind_of_string(self, house: House) -> None:
        parts = (("2.5.4.6", "VN"), ("2.5.4.3", "Roll Over"))
        assert self.issued_under(house, name(*parts, kind=12), ca=name(*parts, kind=PRINTABLE)) == ()

    def test_another_name_or_another_order_leads_nowhere(self, house: House) -> None:
        parts = (("2.5.4.11", "Unit 1"), ("2.5.4.11", "Unit 2"))
        assert self.issued_under(house, called("Khác"), ca=called("CA")) == NOWHERE
        assert self.issued_under(house, name(*reversed(parts)), ca=name(*parts)) == NOWHERE

    def test_unusual_attributes_are_compared_too(self, house: House) -> None:
        parts = (("0.9.2342.19200300.100.1.25", "test"), ("2.5.4.5", "345"), ("2.5.4.46", "CA"), ("2.5.4.44", "III"))
        assert self.issued_under(house, name(*parts, kind=IA5), ca=name(*parts, kind=12)) == ()


class TestSelfIssued:
    """4.5: an authority that changes its key certifies the old with the new, or the new with the old."""

    def test_old_with_new_and_new_with_old(self, house: House) -> None:
        new = house.ca("CA", house.root, authority(0))
        old_key = new_key()
        old = house.issue(house.plan("CA", authority(0), SIGNS), new, old_key)
        assert house.codes(house.leaf(Issuer(called("CA"), old.key))) == ()

    def test_a_key_for_lists_alone_issues_no_certificates(self, house: House) -> None:
        ca = house.ca("CA")
        lists = house.issue(house.plan("CA", authority(), usage(CRL_SIGN)), ca)
        assert house.codes(house.leaf(Issuer(called("CA"), lists.key))) == CONSTRAINED


class TestBasicConstraints:
    """4.6 and 4.7."""

    @pytest.mark.parametrize(
        ("extensions", "codes"),
        [
            ((authority(critical=False), SIGNS), ()),
            ((SIGNS,), CONSTRAINED),
            ((authority(ca=False), SIGNS), CONSTRAINED),
            ((authority(ca=False, critical=False), SIGNS), CONSTRAINED),
            ((authority(), usage(CRL_SIGN)), CONSTRAINED),
            ((authority(), usage(CRL_SIGN, critical=False)), CONSTRAINED),
            ((authority(), usage(CERT_SIGN, critical=False)), ()),
            ((authority(),), ()),
        ],
    )
    def test_only_authorities_issue(self, house: House, extensions: tuple[Extra, ...], codes: tuple[Code, ...]) -> None:
        ca = house.issue(house.plan("CA", *extensions), house.root)
        assert house.codes(house.leaf(ca)) == codes

    def test_version_1_authorities_below_the_root_do_not_issue(self, house: House) -> None:
        ca = house.issue(replace(house.plan("CA"), version=1), house.root)
        assert house.codes(house.leaf(ca)) == CONSTRAINED

    @pytest.mark.parametrize(
        ("lengths", "codes"),
        [
            ((0,), ()),
            ((0, None), CONSTRAINED),
            ((1, 0), ()),
            ((6, 4, 1), ()),
            ((6, 4, 1, None), ()),
            ((6, 0, None), CONSTRAINED),
            ((6, 1, 1, None), CONSTRAINED),
            ((1, None, None), CONSTRAINED),
        ],
    )
    def test_the_length_of_a_path_is_limited_from_above(
        self, house: House, lengths: tuple[int | None, ...], codes: tuple[Code, ...]
    ) -> None:
        above = house.root
        for number, length in enumerate(lengths):
            above = house.ca(f"CA {number}", above, authority(length))
        assert house.codes(house.leaf(above)) == codes
        last = house.issue(house.plan("CA cuối", authority(), usage(x509ext.DIGITAL_SIGNATURE, CERT_SIGN)), above)
        assert house.codes(last.certificate) == codes  # an authority at the end does not count

    def test_self_issued_certificates_do_not_count_for_the_length(self, house: House) -> None:
        ca = house.ca("CA", house.root, authority(0))
        again = house.issue(house.plan("CA", authority(0), SIGNS), ca)
        assert house.codes(house.leaf(again)) == ()
        sub = house.ca("CA con", again)
        assert house.codes(house.leaf(sub)) == CONSTRAINED

    def test_what_the_root_allows_counts_as_well(self, house: House, now: datetime) -> None:
        short = house.issue(house.plan(called("Root 2"), authority(0), SIGNS), house.root)
        strict = House(now, short, serial=5000)
        assert strict.codes(strict.leaf(short)) == ()
        assert strict.codes(strict.leaf(strict.ca("CA"))) == CONSTRAINED


class TestPolicies:
    """4.8 to 4.12, with the inputs of RFC 5280, 6.1.1."""

    EXPLICIT = Inputs(explicit_policy=True)

    def path(self, house: House, *levels: tuple[Extra, ...]) -> bytes:
        above = house.root
        for number, extensions in enumerate(levels[:-1]):
            above = house.ca(f"CA {number}", above, *extensions)
        return house.leaf(above, *levels[-1])

    def test_a_common_policy_is_found_and_named(self, house: House) -> None:
        leaf = self.path(house, (policies(P1, P2),), (policies(P1),), (policies(P1, P3),))
        found = house.ask(leaf, inputs=self.EXPLICIT)
        assert (found.sub_indications, found.policies) == ((), frozenset({P1}))
        assert house.codes(leaf, inputs=Inputs(frozenset({P1}), explicit_policy=True)) == ()
        assert house.codes(leaf, inputs=Inputs(frozenset({P2}), explicit_policy=True)) == CONSTRAINED
        assert house.codes(leaf, inputs=Inputs(frozenset({P2}))) == ()

    def test_without_a_common_policy_nothing_is_wrong_unless_one_is_asked_for(self, house: House) -> None:
        for levels in (((policies(P1),), (policies(P2),)), ((), ()), ((policies(P1),), ())):
            leaf = self.path(house, *levels)
            assert house.codes(leaf) == ()
            assert house.codes(leaf, inputs=self.EXPLICIT) == CONSTRAINED

    def test_any_policy_stands_for_every_policy_unless_inhibited(self, house: House) -> None:
        leaf = self.path(house, (policies(ANY),), (policies(P1),))
        assert house.codes(leaf, inputs=self.EXPLICIT) == ()
        assert house.codes(leaf, inputs=Inputs(explicit_policy=True, inhibit_any=True)) == CONSTRAINED
        everything = self.path(house, (policies(ANY),), (policies(ANY),))
        assert house.ask(everything, inputs=Inputs(frozenset({P2}), explicit_policy=True)).policies == {P2}

    @pytest.mark.parametrize(
        ("skip", "depth", "codes"), [(0, 1, CONSTRAINED), (1, 1, ()), (1, 2, CONSTRAINED), (5, 3, ())]
    )
    def test_any_policy_is_inhibited_from_a_depth_on(
        self, house: House, skip: int, depth: int, codes: tuple[Code, ...]
    ) -> None:
        first: tuple[Extra, ...] = (policies(P1), inhibit_any(skip), policy_constraints(require=0))
        levels = [first, *[(policies(ANY),)] * depth]
        if depth == 1:
            levels.append((policies(P1),))
        assert house.codes(self.path(house, *levels)) == codes

    def test_self_issued_authorities_may_still_name_any_policy(self, house: House) -> None:
        ca = house.ca("CA", house.root, policies(P1), inhibit_any(0), policy_constraints(require=0))
        again = house.issue(house.plan("CA", authority(), SIGNS, policies(ANY)), ca)
        assert house.codes(house.leaf(again, policies(P1))) == ()
        assert house.codes(house.leaf(again, policies(ANY))) == CONSTRAINED

    @pytest.mark.parametrize(
        ("require", "depth", "codes"),
        [(0, 1, CONSTRAINED), (2, 1, ()), (2, 2, CONSTRAINED), (4, 3, ()), (5, 3, ()), (10, 3, ())],
    )
    def test_a_policy_is_required_from_a_depth_on(
        self, house: House, require: int, depth: int, codes: tuple[Code, ...]
    ) -> None:
        levels: list[tuple[Extra, ...]] = [(policies(P1), policy_constraints(require=require)), *[()] * depth]
        assert house.codes(self.path(house, *levels)) == codes

    def test_a_leaf_may_ask_for_its_own_policy(self, house: House) -> None:
        asking = policy_constraints(require=0)
        assert house.codes(self.path(house, (policies(P1),), (policies(P1), asking))) == ()
        assert house.codes(self.path(house, (policies(P1),), (policies(P2), asking))) == CONSTRAINED

    def test_a_policy_is_mapped_to_another(self, house: House) -> None:
        leaf = self.path(house, (policies(P1), mappings((P1, P2))), (policies(P2),))
        found = house.ask(leaf, inputs=self.EXPLICIT)
        assert (found.sub_indications, found.policies) == ((), frozenset({P1}))
        assert house.codes(leaf, inputs=Inputs(frozenset({P2}), explicit_policy=True)) == CONSTRAINED
        assert house.codes(leaf, inputs=Inputs(explicit_policy=True, inhibit_mapping=True)) == CONSTRAINED
        unmapped = self.path(house, (policies(P1), mappings((P1, P2))), (policies(P1),))
        assert house.codes(unmapped, inputs=self.EXPLICIT) == CONSTRAINED

    def test_mapping_any_policy_from_or_to_is_refused_even_if_nobody_asks_for_policies(self, house: House) -> None:
        for pair in ((ANY, P1), (P1, ANY)):
            assert house.codes(self.path(house, (policies(P1, ANY), mappings(pair)), (policies(P1),))) == CONSTRAINED

    def test_any_policy_can_be_mapped_as_a_single_policy(self, house: House) -> None:
        leaf = self.path(house, (policies(ANY), mappings((P1, P2), (P3, P4))), (policies(P2, P4),))
        assert house.ask(leaf, inputs=self.EXPLICIT).policies == {P1, P3}

    @pytest.mark.parametrize(("inhibit", "codes"), [(0, CONSTRAINED), (1, ()), (5, ())])
    def test_mapping_is_inhibited_from_a_depth_on(self, house: House, inhibit: int, codes: tuple[Code, ...]) -> None:
        first = (policies(P1), policy_constraints(require=0, inhibit=inhibit))
        assert house.codes(self.path(house, first, (policies(P1), mappings((P1, P2))), (policies(P2),))) == codes

    def test_policies_made_to_multiply_cost_no_more_than_their_number(self, house: House) -> None:
        many = [f"1.3.6.1.4.1.99999.8.{n}" for n in range(40)]
        mapped = mappings(*((one, other) for one in many for other in many))
        leaf = self.path(house, *[(policies(*many), mapped)] * 6, (policies(*many),))
        assert house.codes(leaf, inputs=self.EXPLICIT) == ()


BELOW = name(("2.5.4.6", "VN"), ("2.5.4.11", "phòng 1"))


class TestNameConstraints:
    """4.13."""

    @pytest.mark.parametrize(
        ("subject", "permitted", "excluded"),
        [
            (name(("2.5.4.6", "VN"), ("2.5.4.11", "PHÒNG 1"), ("2.5.4.3", "A")), True, True),
            (name(("2.5.4.6", "VN"), ("2.5.4.11", "phòng 2"), ("2.5.4.3", "A")), False, False),
            (name(("2.5.4.11", "phòng 1"), ("2.5.4.6", "VN")), False, False),
        ],
    )
    def test_directory_names(self, house: House, subject: bytes, *, permitted: bool, excluded: bool) -> None:
        base = general(DIRECTORY, BELOW)
        allowing = house.ca("CA", house.root, name_constraints(permitted=[base]))
        barring = house.ca("CA 2", house.root, name_constraints(excluded=[base]))
        assert house.codes(house.leaf(allowing, subject=subject)) == (() if permitted else CONSTRAINED)
        assert house.codes(house.leaf(barring, subject=subject)) == (CONSTRAINED if excluded else ())

    @pytest.mark.parametrize(
        ("kind", "base", "inside", "outside"),
        [
            (RFC822, ".gov.vn", "a@x.gov.vn", "a@gov.vn"),
            (RFC822, "gov.vn", "a@gov.vn", "a@x.gov.vn"),
            (RFC822, "a@gov.vn", "a@GOV.vn", "b@gov.vn"),
            (DNS, "gov.vn", "x.gov.vn", "xgov.vn"),
            (DNS, "gov.vn", "gov.vn", "gov.vn.example"),
            (URI, ".gov.vn", "http://a.gov.vn/x", "http://gov.vn/x"),
            (URI, "gov.vn", "ldap://gov.vn:389/x", "http://a.gov.vn/gov.vn"),
            (URI, "gov.vn", "https://gov.vn", "https://10.0.0.1/gov.vn"),
            (IP, bytes((10, 0, 0, 0, 255, 0, 0, 0)), bytes((10, 1, 2, 3)), bytes((11, 1, 2, 3))),
        ],
    )
    def test_other_names(
        self, house: House, kind: int, base: str | bytes, inside: str | bytes, outside: str | bytes
    ) -> None:
        allowing = house.ca("CA", house.root, name_constraints(permitted=[general(kind, base)]))
        barring = house.ca("CA 2", house.root, name_constraints(excluded=[general(kind, base)]))
        for found, allowed, barred in ((inside, (), CONSTRAINED), (outside, CONSTRAINED, ())):
            other = alternative_names(general(kind, found))
            assert house.codes(house.leaf(allowing, other)) == allowed
            if not str(found).startswith("https://10."):  # without a host name only permission can fail
                assert house.codes(house.leaf(barring, other)) == barred
        assert house.codes(house.leaf(allowing)) == ()

    def test_mail_addresses_in_an_old_subject_count(self, house: House) -> None:
        ca = house.ca("CA", house.root, name_constraints(permitted=[general(RFC822, "gov.vn")]))
        for address, codes in (("a@gov.vn", ()), ("a@example.com", CONSTRAINED)):
            subject = name(("2.5.4.3", "A"), ("1.2.840.113549.1.9.1", address), kind=IA5)
            assert house.codes(house.leaf(ca, subject=subject)) == codes

    def test_constraints_add_up_along_the_path(self, house: House) -> None:
        above = house.ca(BELOW, house.root, name_constraints(permitted=[general(DIRECTORY, BELOW)]))
        narrow = name(("2.5.4.6", "VN"), ("2.5.4.11", "phòng 1"), ("2.5.4.11", "tổ 1"))
        below = house.ca(narrow, above, name_constraints(permitted=[general(DIRECTORY, narrow)]))
        good = name(("2.5.4.6", "VN"), ("2.5.4.11", "phòng 1"), ("2.5.4.11", "tổ 1"), ("2.5.4.3", "A"))
        wider = name(("2.5.4.6", "VN"), ("2.5.4.11", "phòng 1"), ("2.5.4.3", "A"))
        assert house.codes(house.leaf(below, subject=good)) == ()
        assert house.codes(house.leaf(below, subject=wider)) == CONSTRAINED

    def test_a_self_issued_authority_is_exempt_and_a_self_issued_leaf_is_not(self, house: House) -> None:
        ca = house.ca("CA", house.root, name_constraints(permitted=[general(DIRECTORY, BELOW)]))
        again = house.issue(house.plan("CA", authority(), SIGNS), ca)
        good = name(("2.5.4.6", "VN"), ("2.5.4.11", "phòng 1"), ("2.5.4.3", "A"))
        assert house.codes(house.leaf(again, subject=good)) == ()
        assert house.codes(house.leaf(again, subject=called("CA"))) == CONSTRAINED

    def test_a_constraint_nobody_processes_refuses_names_of_its_kind(self, house: House) -> None:
        registered = encode(0x88, b"\x2a\x03\x04")
        ca = house.ca("CA", house.root, name_constraints(permitted=[registered]))
        assert house.codes(house.leaf(ca)) == ()
        assert house.codes(house.leaf(ca, alternative_names(registered))) == CONSTRAINED


class TestExtensions:
    """4.16, and encodings that RFC 5280 forbids."""

    PRIVATE = "1.3.6.1.4.1.99999.9"

    def test_an_unknown_extension_counts_only_if_it_is_critical(self, house: House) -> None:
        ca, content = house.ca("CA"), encode(NULL)
        assert house.codes(house.leaf(ca, (self.PRIVATE, False, content))) == ()
        assert house.codes(house.leaf(ca, (self.PRIVATE, True, content))) == CONSTRAINED
        above = house.ca("CA 2", house.root, (self.PRIVATE, True, content))
        assert house.codes(house.leaf(above)) == CONSTRAINED

    def test_an_extension_twice_makes_the_path_unprocessable(self, house: House) -> None:
        ca = house.issue(house.plan("CA", authority(), SIGNS, authority(0)), house.root)
        assert house.codes(house.leaf(ca)) == UNPROCESSABLE

    def test_extensions_in_an_old_version_make_the_path_unprocessable(self, house: House) -> None:
        ca = house.issue(replace(house.plan("CA", authority(), SIGNS), version=2), house.root)
        assert house.codes(house.leaf(ca)) == UNPROCESSABLE

    def test_an_extension_that_cannot_be_read_makes_the_path_unprocessable(self, house: House) -> None:
        for damaged in (x509ext.BASIC, x509ext.NAME_CONSTRAINTS, x509ext.POLICY_CONSTRAINTS, x509ext.MAPPINGS):
            ca = house.ca("CA", house.root, (damaged, True, b"\x30\x05\x01"))
            assert house.codes(house.leaf(ca)) == UNPROCESSABLE

    def test_negative_and_long_serial_numbers_are_read(self, house: House) -> None:
        ca = house.ca("CA")
        for serial in (b"\xff", b"\x80" + bytes(20), bytes(range(1, 21)) * 2):
            leaf = house.issue(replace(house.plan("Người ký"), serial=serial), ca)
            assert house.codes(leaf.certificate) == ()

    def test_a_moment_far_away_is_no_fault_of_the_program(self, house: House) -> None:
        leaf = house.leaf(house.ca("CA"))
        for year in (1, 9998):
            at = datetime(year, 6, 1, tzinfo=UTC) + timedelta(hours=1)
            assert house.codes(leaf, at=at)[0] is Code.OUT_OF_BOUNDS_NO_POE
