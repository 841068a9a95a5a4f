"""States of a document, who may send which status, return reasons (S1, S3)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edoc.errors import InvalidReason, MoveRefused
from edoc.lifecycle import (
    MOVES,
    RETURN_REASONS,
    SHOWN_AS,
    STATUS_NAMES,
    WIRE_CODES,
    StatusCode,
    move,
    observed,
    parse_description,
    status_description,
    status_name,
    who_may_send,
)

ALLOWED = {
    (None, "01"), ("01", "02"), ("01", "03"), ("03", "04"), ("04", "05"), ("05", "06"), ("03", "05"), ("03", "06"),
    ("04", "06"), ("05", "05"), ("01", "13"), ("03", "13"), ("04", "13"), ("05", "13"), ("06", "13"), ("13", "15"),
    ("13", "16"), ("06", "xoa"),
}  # fmt: skip


@pytest.mark.parametrize("current", [None, *StatusCode])
@pytest.mark.parametrize("new", list(StatusCode))
def test_exactly_the_moves_of_the_table_are_allowed(current: StatusCode | None, new: StatusCode) -> None:
    """All pairs: those of S1 (and 05 repeated), no others."""
    if (current, new) in ALLOWED:
        assert move(current, new) == new
    else:
        with pytest.raises(MoveRefused):
            move(current, new)


def test_the_table_names_every_state() -> None:
    """And the final ones lead nowhere."""
    assert set(MOVES) == {None, *StatusCode}
    assert MOVES[StatusCode.RETURNED] == MOVES[StatusCode.TAKE_BACK_AGREED] == MOVES[StatusCode.DELETED] == ()


def test_after_a_refused_take_back_the_earlier_state_is_restored() -> None:
    """16 gives back what was before 13."""
    assert move("13", "16", earlier="05") is StatusCode.IN_PROCESS


@pytest.mark.parametrize(("current", "new"), [("07", "03"), ("01", "14"), ("01", "")])
def test_unknown_states_are_no_moves(current: str, new: str) -> None:
    """Codes outside the list."""
    with pytest.raises(MoveRefused):
        move(current, new)


@pytest.mark.parametrize(
    ("current", "new", "after"),
    [
        (None, "03", "03"),
        ("01", "05", "05"),  # steps skipped
        ("06", "03", "06"),  # a step back has no effect
        ("02", "03", "02"),  # final
        ("03", "999", "03"),  # unknown
        ("03", "13", "13"),
        ("13", "15", "15"),
    ],
)
def test_what_a_sender_observes(current: str | None, new: str, after: str) -> None:
    """Recipients skip steps and repeat themselves (edxml.md 9)."""
    assert observed(current, new) == after


@given(st.lists(st.sampled_from([*WIRE_CODES, "999", "7"])))
def test_any_sequence_of_reports_leaves_a_known_state(reports: list[str]) -> None:
    """Nothing a recipient sends breaks the sender's record."""
    state: str | None = None
    for report in reports:
        state = observed(state, report)
    assert state is None or state in WIRE_CODES


def test_only_13_comes_from_the_documents_sender() -> None:
    """Everything else from a recipient; unknown codes from nobody."""
    assert [code for code in WIRE_CODES if who_may_send(code) == "sender"] == ["13"]
    assert who_may_send("99") is None
    assert who_may_send("xoa") is None


def test_every_state_has_a_name_in_both_languages() -> None:
    """Unknown ones are shown with their value."""
    assert set(STATUS_NAMES) == set(StatusCode)
    assert (status_name("03"), status_name("03", "en")) == ("đã tiếp nhận", "accepted")
    assert (status_name("999"), status_name("999", "en")) == ("không rõ (999)", "unknown (999)")


def test_there_are_twelve_return_reasons() -> None:
    """S3, with the codes of exchange.md 3.3; refusals are shown as one of them."""
    assert [reason.code for reason in RETURN_REASONS] == [
        "wrong-recipient", "damaged-file", "invalid-signature", "certificate-expired-or-revoked",
        "missing-person-signature", "missing-agency-signature", "no-authority", "missing-attachment", "wrong-form",
        "duplicate", "state-secret", "other",
    ]  # fmt: skip
    assert set(SHOWN_AS.values()) <= {reason.code for reason in RETURN_REASONS}
    assert len(SHOWN_AS) == 12


@pytest.mark.parametrize("reason", RETURN_REASONS, ids=lambda reason: reason.code)
@pytest.mark.parametrize("note", ["", "thiếu phụ lục II", "xem: mục 2"])
def test_a_reason_survives_the_description(reason: object, note: str) -> None:
    """Written and read back, with and without note."""
    code = getattr(reason, "code", "")
    if code == "other" and not note:
        with pytest.raises(InvalidReason):
            status_description(code, note)
    else:
        assert parse_description(status_description(code, note)) == (code, note)


def test_other_texts_are_the_reason_other() -> None:
    """What other systems write is kept as the note."""
    assert parse_description("Từ chối không tiếp nhận") == ("other", "Từ chối không tiếp nhận")
    assert parse_description("khác") == ("other", "khác")
    with pytest.raises(InvalidReason):
        status_description("no-such-reason")
