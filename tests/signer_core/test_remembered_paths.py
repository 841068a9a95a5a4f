"""A remembered answer about a path is the answer that judging again would give, at whatever moment it is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer import status
from signer.algorithms import PolicyName, load_table
from signer.chain import judge_path
from signer.devpki import DevIdentity, DevPki
from signer.question import PathResult
from signer.remembered import ANSWERS_MAX, KEPT_FOR, MEMORY, Asked, Memory, moments_of, question_of
from signer.report import Code, Reason
from signer.trust import Anchor, Context, Purpose, TrustStore

GOOD = PathResult(())
BAD = PathResult((Code.TRY_LATER,), reasons=(Reason(Code.TRY_LATER),))
SETTINGS = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _ask(clerk: DevIdentity, context: Context) -> PathResult:
    return judge_path(
        clerk.certificate,
        purpose=Purpose.SIGNERS,
        time=context.at,
        proved=False,
        context=context,
        candidates=clerk.credential.chain,
    )


def _afresh(clerk: DevIdentity, context: Context) -> PathResult:
    """Judge with nothing remembered."""
    MEMORY.clear()
    found = _ask(clerk, context)
    MEMORY.clear()
    return found


def _noting(made: list[PathResult], result: PathResult) -> Callable[[], PathResult]:
    """Return a judgement that notes that it was made."""

    def judge() -> PathResult:
        made.append(result)
        return result

    return judge


@pytest.fixture
def trust(listed: DevPki, now: datetime) -> TrustStore:
    """The authority with fresh lists, and an anchor that ends."""
    store = listed.trust(at=now)
    ending = tuple(
        replace(one, valid_from=now - timedelta(days=20), sunset=now + timedelta(days=9)) for one in store.anchors
    )
    return replace(store, anchors=ending)


@SETTINGS
@given(
    first=st.integers(0, 200),
    offset=st.sampled_from([timedelta(), status.GRACE, -status.GRACE, status.SKEW, -status.SKEW]),
    before=st.integers(-3, 3),
    after=st.integers(-70, 70),
    strict=st.booleans(),
)
def test_about_any_moment_where_something_changes_the_answer_is_the_same_as_without_memory(
    trust: TrustStore,
    clerk: DevIdentity,
    now: datetime,
    first: int,
    offset: timedelta,
    before: int,
    after: int,
    strict: bool,
) -> None:
    policy = PolicyName.STRICT if strict else PolicyName.INTEROP
    asked = Asked(
        clerk.certificate,
        Purpose.SIGNERS,
        clerk.credential.chain,
        trust,
        policy,
        Context(trust=trust, at=now, policy=policy).path_inputs,
        frozenset(),
    )
    marks = sorted(set(moments_of(asked)) | {now})
    mark = marks[first % len(marks)] + offset
    contexts = [Context(trust=trust, at=mark + timedelta(seconds=by), policy=policy) for by in (before, after)]
    wanted = [_afresh(clerk, context) for context in contexts]
    MEMORY.clear()
    assert [_ask(clerk, context) for context in contexts] == wanted
    assert [_ask(clerk, context) for context in reversed(contexts)] == wanted[::-1]


def test_a_good_answer_is_given_again_within_a_minute_and_no_longer(
    trust: TrustStore, clerk: DevIdentity, now: datetime
) -> None:
    memory, asked = (
        Memory(),
        question_of(
            clerk.certificate,
            Purpose.SIGNERS,
            (),
            Context(trust=trust, at=now, policy=PolicyName.INTEROP),
            embedded=None,
        ),
    )
    assert asked is not None
    made: list[datetime] = []

    def at(moment: datetime) -> PathResult:
        def judge() -> PathResult:
            made.append(moment)
            return GOOD

        return memory.answer(asked, moment, judge)

    moment = now + timedelta(seconds=1)
    for later in (timedelta(), timedelta(seconds=30), -timedelta(seconds=1, microseconds=-1), KEPT_FOR):
        assert at(moment + later) is GOOD
    assert made == [moment]
    at(moment + KEPT_FOR + timedelta(microseconds=1))
    assert len(made) == 2


def test_bad_answers_and_moments_at_which_something_changes_are_not_remembered(
    trust: TrustStore, clerk: DevIdentity, now: datetime
) -> None:
    context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)
    asked = question_of(clerk.certificate, Purpose.SIGNERS, (), context, embedded=None)
    assert asked is not None
    made: list[PathResult] = []
    memory = Memory()
    beside = now + timedelta(seconds=1)
    for moment, result in (
        (beside, BAD),
        (beside, BAD),
        (trust.anchors[0].sunset, GOOD),
        (trust.anchors[0].sunset, GOOD),
    ):
        assert moment is not None
        memory.answer(asked, moment, _noting(made, result))
    assert made == [BAD, BAD, GOOD, GOOD]
    far = datetime(1, 1, 1, tzinfo=UTC)
    for _ in range(2):
        memory.answer(asked, far, _noting(made, GOOD))
    assert len(made) == 6


def test_another_store_policy_or_certificate_is_another_question(
    trust: TrustStore, clerk: DevIdentity, exchange_a: DevIdentity, now: datetime
) -> None:
    """What is revoked in one store is not good because it was in another a moment ago."""
    context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)
    MEMORY.clear()
    assert not _ask(clerk, context).sub_indications
    nobody = replace(context, trust=replace(trust, anchors=()))
    assert _ask(clerk, nobody).sub_indications
    assert _ask(exchange_a, context).sub_indications
    bare = replace(context, trust=replace(trust, crls=(), ocsps=()), policy=PolicyName.STRICT)
    assert _ask(clerk, bare).sub_indications
    other = (Anchor(trust.anchors[0].certificate, frozenset({Purpose.TSA})),)
    assert _ask(clerk, replace(context, trust=replace(trust, anchors=other))).sub_indications
    assert not _ask(clerk, context).sub_indications


def test_questions_with_more_to_them_are_asked_anew(trust: TrustStore, clerk: DevIdentity, now: datetime) -> None:
    context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)
    table = load_table('name = "n"\nedition = "e"\n[digest]\n[signature]\n')
    asked = clerk.certificate, Purpose.SIGNERS, ()
    assert question_of(*asked, context, embedded=None) is not None
    assert question_of(*asked, replace(context, algorithms=table), embedded=None) is None
    assert question_of(*asked, context, embedded=TrustStore(crls=(b"x",))) is None
    assert question_of(clerk.certificate, Purpose.TSA, (), context, embedded=None) is None


def test_only_so_many_answers_are_remembered(trust: TrustStore, clerk: DevIdentity, now: datetime) -> None:
    context = Context(trust=trust, at=now, policy=PolicyName.INTEROP)
    made: list[PathResult] = []
    memory, moment = Memory(), now + timedelta(seconds=1)
    results = [replace(GOOD, policies=frozenset({str(number)})) for number in range(ANSWERS_MAX + 1)]
    for number in (*range(ANSWERS_MAX + 1), 0, ANSWERS_MAX):
        asked = question_of(clerk.certificate, Purpose.SIGNERS, (bytes([number]),), context, embedded=None)
        assert asked is not None
        memory.answer(asked, moment, _noting(made, results[number]))
    assert made == [*results, results[0]]
