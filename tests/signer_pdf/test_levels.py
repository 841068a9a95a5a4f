"""Levels of PDF: a copy is lifted from B to T, LT, LTA and renewed; the input stays its prefix (signing.md 3.1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise

import pytest

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevPki, DevTimestamper, Subject
from signer.errors import LevelNotReached
from signer.pdf.dss import held_data
from signer.pdf.extend import extend_pdf
from signer.pdf.sign import PdfOptions, sign_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Indication, Integrity, LaterChanges, Report, Verdict
from signer.trust import Context, Limits, TrustStore
from tests.signer_pdf.files import run

STEPS = ("t", "lt", "lta")


def levels(report: Report) -> list[str]:
    """Return the level of each signature, document time stamps included."""
    return [one.level for one in report.signatures]


@pytest.fixture(scope="module")
def lifted(small: bytes, context: Context, timestamper: DevTimestamper) -> dict[str, bytes]:
    """A signed file at level B, and its copies lifted one from another."""
    found, data = {"b": small}, small
    for step in STEPS:
        data = found[step] = extend_pdf(data, to=step, context=context, timestamper=timestamper).data
    return found


class TestFromStepToStep:
    """Each level, by updates behind the file."""

    def test_every_level_is_reached_and_the_former_file_stays_its_beginning(
        self, lifted: dict[str, bytes], context: Context
    ) -> None:
        order = ("b", *STEPS)
        for before, after in pairwise(order):
            assert lifted[after].startswith(lifted[before])
        wanted = (["PAdES-B-T", "RFC3161"], ["PAdES-B-LT", "RFC3161"], ["PAdES-B-LTA", "RFC3161", "RFC3161"])
        for step, expected in zip(STEPS, wanted, strict=True):
            report = inspect_pdf(lifted[step], context=context)
            assert (levels(report), report.verdict) == (expected, Verdict.VALID)
            assert all(one.later_changes is not LaterChanges.SUSPECT for one in report.signatures)
            assert all(one.integrity is Integrity.INTACT for one in report.signatures)

    def test_validation_data_are_the_octets_handed_in_and_no_vri_is_written(
        self, lifted: dict[str, bytes], context: Context, pki: DevPki
    ) -> None:
        held = held_data(lifted["lt"], limits=Limits())
        assert set(held.crls) <= set(context.trust.crls)
        assert len(held.crls) == 2
        assert {pki.issuing.certificate, pki.root.certificate} <= set(held.intermediates)
        assert b"/VRI" not in lifted["lta"]

    def test_it_is_enough_for_a_check_without_any_answer_given(
        self, lifted: dict[str, bytes], context: Context
    ) -> None:
        bare = replace(context, trust=replace(context.trust, crls=(), ocsps=(), intermediates=()))
        assert inspect_pdf(lifted["lta"], context=bare).verdict is Verdict.VALID

    def test_asking_again_adds_nothing_but_archive_stamps(
        self, lifted: dict[str, bytes], context: Context, timestamper: DevTimestamper
    ) -> None:
        for step in STEPS[:2]:
            assert extend_pdf(lifted["lta"], to=step, context=context).data == lifted["lta"]
        renewed = extend_pdf(lifted["lta"], to="lta", context=context, timestamper=timestamper)
        assert renewed.data.startswith(lifted["lta"])
        assert levels(inspect_pdf(renewed.data, context=context)) == ["PAdES-B-LTA", *["RFC3161"] * 3]
        assert (renewed.before, renewed.after) == (("PAdES-B-LTA",), ("PAdES-B-LTA",))

    def test_one_step_does_what_three_do(self, small: bytes, context: Context, timestamper: DevTimestamper) -> None:
        made = extend_pdf(small, to="lta", context=context, timestamper=timestamper)
        assert (made.before, made.after) == (("PAdES-B-B",), ("PAdES-B-LTA",))
        assert made.data.startswith(small)

    @pytest.mark.tool("pdfsig")
    @pytest.mark.tool("qpdf")
    def test_other_programs_accept_every_level(self, lifted: dict[str, bytes], file_of: Callable[[bytes], str]) -> None:
        for step in STEPS:
            path = file_of(lifted[step])
            shown = run("pdfsig", "-nocert", path).stdout.decode()
            verdicts = [line.partition(": ")[2] for line in shown.splitlines() if "Signature Validation" in line]
            stamps = ["Signature has not yet been verified."] * (2 if step == "lta" else 1)  # listed there, not checked
            assert verdicts == ["Signature is Valid.", *stamps]
            assert run("qpdf", "--check", path).returncode == 0


class Slow:
    """An authority that takes four minutes for every stamp, as public ones do."""

    def __init__(self, pki: DevPki, begun: datetime, *, minutes: int) -> None:
        self._pki, self._at, self._pause = pki, begun, timedelta(minutes=minutes)

    def stamp(self, request: bytes) -> bytes:
        """Answer, later."""
        self._at += self._pause
        return self._pki.timestamp(request, at=self._at)


class TestTimeThatPasses:
    """Authorities take minutes; the moment given is that of the beginning (R32)."""

    def test_stamps_that_took_their_time_are_no_hindrance(
        self, small: bytes, context: Context, pki: DevPki, now: datetime
    ) -> None:
        """The archive stamp comes eight minutes after the moment given, and is not taken for one of the future."""
        made = extend_pdf(small, to="lta", context=context, timestamper=Slow(pki, now, minutes=4))
        assert made.after == ("PAdES-B-LTA",)
        later = replace(context, at=now + timedelta(minutes=9))
        assert inspect_pdf(made.data, context=later).verdict is Verdict.VALID

    def test_a_clock_that_is_wrong_by_hours_is_refused(
        self, small: bytes, context: Context, pki: DevPki, now: datetime
    ) -> None:
        with pytest.raises(LevelNotReached) as caught:
            extend_pdf(small, to="lta", context=context, timestamper=Slow(pki, now, minutes=90))
        assert "TIMESTAMP_ORDER_FAILURE" in str(caught.value.facts["what"])


class TestIn2060:
    """Judged when every certificate of the signing has ended: proved by archive stamps, or not at all (7.2)."""

    def test_complete_archive_stamps_carry_a_signature_over(self, plain: bytes) -> None:
        """Four authorities one after the other; without the last renewal nothing is proved any more.

        (pyHanko does not go back past the end of an issuing authority; where that lasts, it agrees:
        ``test_second_opinions``.)
        """
        houses = tuple(DevPki.create(at=datetime(year, 1, 1, tzinfo=UTC)) for year in (2026, 2034, 2043, 2052))
        signer = houses[0].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
        options = PdfOptions(datetime(2026, 2, 1, tzinfo=UTC))
        clock = DevTimestamper(houses[0], lambda: options.at)
        data = sign_pdf(plain, credential=signer.credential, options=options, timestamper=clock).data
        versions = []
        for house, year in zip(houses, (2026, 2035, 2043, 2052), strict=True):
            moment = datetime(year, 3, 1, tzinfo=UTC)
            stamps = DevTimestamper(house, partial(datetime, year, 3, 1, tzinfo=UTC))
            data = extend_pdf(data, to="lta", context=_during(houses, moment), timestamper=stamps).data
            versions.append(data)
        judging = _during(houses, datetime(2060, 1, 1, tzinfo=UTC))
        found, late = (inspect_pdf(one, context=judging).signatures[0] for one in (versions[-1], versions[-2]))
        assert (found.indication, found.level) == (Indication.PASSED, "PAdES-B-LTA")
        assert (found.best_signature_time, late.sub_indication) == (options.at, Code.OUT_OF_BOUNDS_NO_POE)


def _during(houses: tuple[DevPki, ...], at: datetime) -> Context:
    """Return a judgement that trusts all authorities there are by then, with the lists of those still at work."""
    trust = TrustStore()
    for house in houses:
        if house.created < at:
            trust = trust.merged(house.trust(at=at) if at < house.created + timedelta(days=3650) else house.anchors)
    return Context(trust=trust, at=at, policy=PolicyName.INTEROP)
