"""Every class of attack of signing.md 10, A3, has its files, its expected line, and a harmless neighbour (A1).

``docs/attacks.md`` is written from the same tables and compared here, so that it names nothing that is not there.
"""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signer.algorithms import PolicyName
from signer.report import Indication, Integrity, Report, SignatureReport, Verdict
from signer.trust import TrustStore
from tests.vectors.verification.attack import PAGE, ROOT, Attack, groups, page
from tests.vectors.verification.house import Case, House, Line

ATTACKS = {f"{group}: {attack.name}": attack for group, attacks in groups().items() for attack in attacks}
WITH_FILES = {name: attack for name, attack in ATTACKS.items() if attack.cases}
ON_THE_BYTES = {
    name: attack
    for name, attack in WITH_FILES.items()
    if attack.line is not None and (attack.line.integrity == "broken" or attack.line.sub in (None, "-"))
    if not attack.harmless
}


@pytest.fixture(scope="module")
def house(now: datetime) -> House:
    """Who signs the files before they are attacked."""
    return House.build(now)


def attacked(report: Report, attack: Attack, line: Line) -> SignatureReport | None:
    """Return the signature that the line speaks of."""
    if line.integrity == "-":
        return None
    return next(one for one in report.signatures if attack.signature in (None, one.id))


@pytest.mark.parametrize("name", WITH_FILES)
def test_an_attack_gets_its_line(name: str, house: House) -> None:
    """The whole line, and what must be said, for every file of the class."""
    attack = WITH_FILES[name]
    for case, make in attack.cases.items():
        line, report = attack.line_of(case), make(house).report
        one = attacked(report, attack, line)
        assert Line.of(report, one) == line, (case, report.reasons)
        listed = (*report.reasons, *report.warnings, *(w for s in report.signatures for w in (*s.reasons, *s.warnings)))
        assert set(attack.says) <= {reason.code for reason in listed}, (case, listed)


def lenient(case: Case, policy: PolicyName, days: int, *, trusted: bool) -> Report:
    """Judge a case by another policy, at another time, with or without what it was trusted by."""
    context = case.judging.context
    trust = context.trust if trusted else TrustStore()
    other = replace(context, policy=policy, trust=trust, at=context.at + timedelta(days=days))
    return replace(case.judging, context=other).judge(case.data)


@pytest.mark.parametrize("name", ON_THE_BYTES)
def test_no_policy_anchor_or_time_makes_attacked_bytes_intact(name: str, house: House) -> None:
    """A1: nothing but the bytes decides, and the file is never valid."""
    attack = ON_THE_BYTES[name]
    for case_name, make in attack.cases.items():
        case, line = make(house), attack.line_of(case_name)
        for policy, days, trusted in (
            (PolicyName.INTEGRITY_ONLY, 0, False),
            (PolicyName.STRICT, 0, True),
            (PolicyName.INTEROP, -9000, False),
            (PolicyName.INTEROP, 20_000, True),
        ):
            report = lenient(case, policy, days, trusted=trusted)
            assert report.verdict is not Verdict.VALID, (case_name, policy)
            one = attacked(report, attack, line)
            if one is not None and line.integrity == "broken":
                assert one.integrity is Integrity.BROKEN, (case_name, policy)
                assert one.indication is Indication.FAILED
                assert report.verdict is Verdict.INVALID


@pytest.mark.parametrize("name", [name for name in WITH_FILES if not WITH_FILES[name].harmless])
def test_no_attack_on_trust_passes(name: str, house: House) -> None:
    """Whatever is not intact or not trusted is not valid, under strict either."""
    for case, make in WITH_FILES[name].cases.items():
        made = make(house)
        for report in (made.report, lenient(made, PolicyName.STRICT, 0, trusted=True)):
            assert report.verdict is not Verdict.VALID, case


@pytest.mark.parametrize("name", WITH_FILES)
def test_the_harmless_neighbour_stays_valid(name: str, house: House) -> None:
    """Refusing good files is the second fault."""
    attack = WITH_FILES[name]
    assert attack.neighbour is not None
    report = attack.neighbour(house).report
    assert report.signatures
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}, report.reasons
    assert report.verdict is (Verdict.INDETERMINATE if attack.anonymous else Verdict.VALID), report.reasons


# --- the page --------------------------------------------------------------------------------------------------------


def test_the_page_is_the_one_of_the_tables() -> None:
    """Written by ``python -m tests.vectors.verification.attack``."""
    assert PAGE.read_text("utf-8") == page()


@pytest.mark.parametrize("name", ATTACKS)
def test_every_test_that_a_class_names_is_there(name: str) -> None:
    """A file of that name, and in it a test of that name."""
    attack = ATTACKS[name]
    assert attack.cases or attack.also
    for test in attack.also:
        file, _, function = test.partition("::")
        found = list(Path(ROOT, "tests").rglob(file))
        assert any(re.search(rf"^ *def {function}\(", one.read_text("utf-8"), re.MULTILINE) for one in found), test


REQUIRED = {
    "PDF": 40,
    "XML": 17,
    "Seals and receipts": 7,
    "CMS and containers": 9,
    "Trust and time": 21,
}


def test_no_class_was_lost() -> None:
    """As many classes as signing.md lists, each with a neighbour where it has files."""
    assert {group: len(attacks) for group, attacks in groups().items()} == REQUIRED
    assert len(ATTACKS) == sum(REQUIRED.values())
