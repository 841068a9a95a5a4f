"""Our rules of paths beside those of another implementation, over paths put together at random (signing.md 11)."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from asn1crypto import x509 as structures
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyhanko_certvalidator.authority import CertTrustAnchor
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.errors import PathError, ValidationError
from pyhanko_certvalidator.path import ValidationPath
from pyhanko_certvalidator.policy_decl import AcceptAllAlgorithms
from pyhanko_certvalidator.validate import async_validate_path

from signer import pathrules, x509ext
from signer.devforge import (
    Extra,
    authority,
    general,
    inhibit_any,
    mappings,
    name,
    name_constraints,
    policies,
    policy_constraints,
    usage,
)
from tests.signer_core.path_house import ANY, P1, P2, P3, SIGNS, House

NOW = datetime(2026, 11, 20, tzinfo=UTC)
UNITS = ("phòng 1", "phòng 2")


def _subject(unit: str, number: int) -> bytes:
    return name(("2.5.4.6", "VN"), ("2.5.4.11", unit), ("2.5.4.3", f"CA {number}"))


def _base(unit: str) -> bytes:
    return general(x509ext.DIRECTORY, name(("2.5.4.6", "VN"), ("2.5.4.11", unit)))


_policies = st.lists(st.sampled_from([P1, P2, P3, ANY]), max_size=3, unique=True).map(
    lambda found: policies(*found) if found else None
)
_authority = st.tuples(
    st.sampled_from([authority(), authority(0), authority(1), authority(2), authority(ca=False)]),
    st.sampled_from([SIGNS, SIGNS, SIGNS, usage(x509ext.CRL_SIGN)]),
    _policies,
    st.sampled_from([None, mappings((P1, P2)), mappings((P1, P2), (P3, P1))]),
    st.sampled_from(
        [None, policy_constraints(require=0), policy_constraints(require=1), policy_constraints(require=0, inhibit=0)]
    ),
    st.sampled_from([None, None, inhibit_any(0), inhibit_any(1)]),
    st.sampled_from(
        [None, None, name_constraints(permitted=[_base(UNITS[0])]), name_constraints(excluded=[_base(UNITS[1])])]
    ),
)


async def _other(path: tuple[bytes, ...]) -> bool:
    leaf, *above, root = [structures.Certificate.load(der) for der in path]
    context = ValidationContext(
        trust_roots=[root],
        other_certs=above,
        moment=NOW,
        allow_fetching=False,
        revocation_mode="soft-fail",
        time_tolerance=timedelta(days=365 * 100),
        algorithm_usage_policy=AcceptAllAlgorithms(),
    )
    try:
        await async_validate_path(context, ValidationPath(CertTrustAnchor(root), list(reversed(above)), leaf))
    except (ValidationError, PathError):
        return False
    return True


@pytest.fixture(scope="module")
def house() -> House:
    """A root."""
    return House.build(NOW)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    authorities=st.lists(st.tuples(_authority, st.sampled_from(UNITS), st.booleans()), min_size=1, max_size=4),
    last=st.tuples(_policies, st.sampled_from(UNITS)),
)
def test_two_implementations_agree_on_paths_put_together_at_random(
    house: House,
    authorities: list[tuple[tuple[Extra | None, ...], str, bool]],
    last: tuple[Extra | None, str],
) -> None:
    """Constraints, policies, mappings and lengths in every combination; self-issued authorities among them."""
    above, path = house.root, [house.root.certificate]
    for number, (extensions, unit, again) in enumerate(authorities):
        subject = above.name if again and number else _subject(unit, number)
        plan = house.plan(subject, *(one for one in extensions if one is not None))
        above = house.issue(plan, above)
        path.insert(0, above.certificate)
    found, unit = last
    own = (usage(x509ext.DIGITAL_SIGNATURE), *([found] if found is not None else []))
    leaf = house.issue(house.plan(_subject(unit, 99), *own), above)
    whole = (leaf.certificate, *path)
    assert (not pathrules.check(whole).faults) is asyncio.run(_other(whole))
