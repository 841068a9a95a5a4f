"""Errors speak the office's words, and keep the exact values for programs (console.md 2)."""

import pytest

from transport.present.errors import fault_of


@pytest.mark.parametrize(
    ("lang", "why"),
    [
        ("vi", "thiếu dấu thời gian (hết thời gian chờ, không trả lời); nơi cấp: http://tsa.example"),
        ("en", "the time stamp is missing (no answer in time, no answer); authority: http://tsa.example"),
    ],
)
def test_why_a_time_stamp_is_missing_is_said_in_words(lang: str, why: str) -> None:
    facts = {"path": "a.pdf", "level": "PAdES-B-T", "missing": "timeout, EDOC-PKI-001", "url": "http://tsa.example"}
    told = fault_of("EDOC-PDF-022", facts, lang)
    assert (told.why, told.detail["missing"]) == (why, "timeout, EDOC-PKI-001")


def test_each_of_several_authorities_has_its_reason_in_words() -> None:
    told = fault_of("EDOC-PKI-007", {"url": "http://a.example (port); http://b.example (DNS)"}, "en")
    assert told.why is not None
    assert "http://a.example (this port is not allowed)" in told.why
    assert "http://b.example (the server's name is not known)" in told.why


@pytest.mark.parametrize("pin", ["good", "low", "final", "locked"])
def test_the_state_of_a_token_is_said_in_words(pin: str) -> None:
    told = fault_of("EDOC-KEY-025", {"token": "VAN-THU", "pin": pin}, "vi")
    assert told.why is not None
    assert (pin in told.why, told.detail["pin"]) == (False, pin)


def test_nothing_is_said_of_what_is_not_known() -> None:
    assert fault_of("EDOC-USE-070", {"name": "ai", "nearest": []}, "vi").why is None
    assert "(-)" not in (fault_of("EDOC-KEY-020", {"path": "x.so"}, "vi").why or "")
