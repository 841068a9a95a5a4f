"""A status finds its document, and only the right agency may send it (edxml.md 9)."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest

from edoc.envelopes import Business, BusinessKind, Envelope, Party, Replacement, ResponseFor, StatusMessage
from edoc.matching import KnownDocument, match, may_change, may_report, originals_of

DAY = date(2026, 11, 19)
LETTER = KnownDocument("H99.01,2026/11/19,120/SMA-VP", "H99.01", ("H99.02", "H99.03"), "120/SMA-VP", DAY)
NEXT_YEAR = replace(LETTER, document_id="H99.01,2027/11/19,120/SMA-VP", date=date(2027, 11, 19))
ELSEWHERE = replace(LETTER, document_id="x", sender="H98.01", recipients=("H99.02",))
KNOWN = (LETTER, NEXT_YEAR, ELSEWHERE)


@pytest.mark.parametrize(
    ("response", "found"),
    [
        (ResponseFor("H99.01", "120/SMA-VP", DAY, LETTER.document_id), LETTER),
        (ResponseFor("H99.01", "sai/so", None, f" {LETTER.document_id} "), LETTER),  # by DocumentId alone
        (ResponseFor("H99.02", "120/SMA-VP", DAY, LETTER.document_id), LETTER),  # a recipient named (13)
        (ResponseFor("h99.01", "120/SMA-VP", DAY), LETTER),  # agency, code, date
        (ResponseFor("H98.01", "120/SMA-VP", None), ELSEWHERE),  # agency and code, one fits
        (ResponseFor("H99.01", "120/SMA-VP", None), None),  # two fit
        (ResponseFor("H99.01", "121/SMA-VP", DAY), None),
        (ResponseFor("H97.01", "120/SMA-VP", DAY), None),
        (ResponseFor("H99.01", "120/SMA-VP", DAY, "la"), LETTER),  # an unknown DocumentId: the other ways
    ],
)
def test_a_response_finds_its_document(response: ResponseFor, found: KnownDocument | None) -> None:
    """By DocumentId, else agency with code and date, else agency with code when unique."""
    assert match(response, KNOWN) is found


@pytest.mark.parametrize(
    ("code", "sender", "other", "allowed"),
    [
        ("03", "H99.02", "H99.01", True),
        ("03", "h99.03", "H99.01", True),
        ("03", "H99.04", "H99.01", False),
        ("03", "H99.01", "H99.02", False),
        ("03", "H99.02", "H99.03", False),
        ("13", "H99.01", "H99.02", True),
        ("13", "H99.02", "H99.01", False),
        ("13", "H99.01", "H99.04", False),
        ("999", "H99.02", "H99.01", False),
    ],
)
def test_who_may_send_which_status(code: str, sender: str, other: str, allowed: bool) -> None:
    """13 comes from the document's sender to a recipient, all others the other way round."""
    status = StatusMessage(Party(sender, "Sở Mẫu"), ResponseFor(other, "120/SMA-VP", DAY), code)
    assert may_report(status, LETTER) is allowed


def test_only_the_sender_changes_a_document(letter: Envelope) -> None:
    """Revocations and updates of strangers are nothing but documents."""
    update = replace(letter, business=Business(BusinessKind.UPDATE, original_document_id=LETTER.document_id))
    assert may_change(update, LETTER)
    assert not may_change(letter, LETTER)
    assert not may_change(replace(update, sender=Party("H99.02", "Sở Mẫu B")), LETTER)


def test_the_originals_are_found_wherever_the_writer_put_them(letter: Envelope) -> None:
    """The vendor's revocation names the revoked document in ResponseFor only."""
    answered = (ResponseFor("H99.02", "120/SMA-VP", DAY, "a"), ResponseFor("H99.03", "120/SMA-VP", DAY, "a"))
    revocation = replace(letter, business=Business(BusinessKind.REVOKE), response_for=answered)
    assert originals_of(revocation) == ("a",)
    assert originals_of(replace(letter, response_for=answered)) == ()
    replaced = Business(BusinessKind.REPLACE, replaced=(Replacement("b"), Replacement("c")))
    assert originals_of(replace(letter, business=replaced)) == ("b", "c")
