"""Problems: the table of exchange.md 3.2 is the only source of a final word (I10)."""

from __future__ import annotations

import json

import pytest

from transport.dispatch import CLASS_OF_PROBLEM
from transport.errors import Problem
from transport.http import wire


@pytest.mark.parametrize("name", sorted(wire.PROBLEMS))
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_registered_problem_reads_back_as_itself(name: str, lang: str) -> None:
    for status in wire.PROBLEMS[name].statuses:
        body = wire.problem_json(Problem(name, status, "x", retry_after=7), instance="i", lang=lang)
        read = wire.read_problem(body, status)
        assert read is not None
        assert (read.name, read.status, read.retry_after) == (name, status, 7)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"type":"urn:edoc:problem:recipient-moved"}', 500),
        (b'{"type":"urn:edoc:problem:something-new"}', 410),
        (b'{"type":"recipient-moved"}', 410),
        (b"<html>410 Gone</html>", 410),
        (b"[" * 5000, 410),
        (b'{"type":["urn:edoc:problem:recipient-moved"]}', 410),
        (b'{"type":"urn:edoc:problem:recipient-moved","x":"' + b"y" * 20000 + b'"}', 410),
        (b"\xff\xfe", 410),
    ],
)
def test_what_is_not_registered_is_nobodys_final_word(body: bytes, status: int) -> None:
    assert wire.read_problem(body, status) is None


def test_a_problem_body_shows_no_inner_facts() -> None:
    problem = Problem("internal", 500, "secret place", path="/var/lib", note="inner")
    body = json.loads(wire.problem_json(problem, instance="0b0c7f0e-3b0e-4a51-9a53-2f4c6d0b7a11"))
    assert set(body) == {"type", "title", "status", "retryable", "instance"}


def test_each_registered_problem_has_its_class_and_the_other_way_round() -> None:
    assert set(CLASS_OF_PROBLEM) == set(wire.PROBLEMS)


def test_the_classes_are_those_of_the_specification() -> None:
    finals = {name for name in wire.PROBLEMS if wire.problem_class(name) == "F"}
    assert finals == {"unknown-recipient", "recipient-moved", "message-id-conflict", "too-large"}
    slow = {name for name in wire.PROBLEMS if wire.problem_class(name) == "S"}
    assert slow == {
        "bad-request", "unsupported-media-type", "unauthenticated", "forbidden", "clock-disagreement",
    }  # fmt: skip
    assert wire.problem_class("no-such") is None
