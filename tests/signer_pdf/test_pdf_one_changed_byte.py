"""One changed byte anywhere in a signed PDF: not intact, or the verified content is equal (signing.md 10, A4).

Outside the signature values no changed byte leaves the file valid. Inside one (the gap of its byte range) a byte may
belong to what no signature can cover: then the verdict is not *valid*, or who signed what and when is the same.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from signer.pdf.sign import SignedPdf
from signer.pdf.verify import inspect_pdf
from signer.report import Integrity, Report, Verdict
from signer.trust import Context
from tests.signer_pdf.files import Office, simple

RELAXED = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # a position says all; shrinking would only take time
)


def gaps(data: bytes) -> list[range]:
    """Return where the signature values stand."""
    found = re.finditer(rb"/ByteRange \[0 (\d+) (\d+) ", data)
    return [range(int(match[1]), int(match[2])) for match in found]


def judge_changed(data: bytes, position: int, byte: int, context: Context) -> None:
    """Change one byte and check what the report says."""
    changed = data[:position] + bytes((data[position] ^ byte,)) + data[position + 1 :]
    report, before = inspect_pdf(changed, context=context), unchanged(data, context)
    if any(position in gap for gap in gaps(data)):
        assert report.verdict is not Verdict.VALID or verified(report) == verified(before), position
    else:
        assert report.verdict is not Verdict.VALID, position
        names = {one.id for one in before.signatures if position < end_of(data)}
        intact = {one.id for one in report.signatures if one.integrity is Integrity.INTACT}
        assert not names or intact != names or len(report.signatures) != len(before.signatures), position


def verified(report: Report) -> list[tuple[object, ...]]:
    """Return what was verified: who signed which revision, and the proved time if there is still one."""
    return [(s.id, s.integrity, s.covers, s.revision, s.signer.certificate_sha256) for s in report.signatures]


BEFORE: dict[bytes, Report] = {}


def unchanged(data: bytes, context: Context) -> Report:
    """Return the report of the file as it was, made once."""
    key = sha256(data).digest()
    if key not in BEFORE:
        BEFORE[key] = inspect_pdf(data, context=context)
    return BEFORE[key]


def end_of(data: bytes) -> int:
    """Return the end of the first signature's range."""
    match = re.search(rb"/ByteRange \[0 \d+ (\d+) (\d+) *\]", data)
    assert match is not None
    return int(match[1]) + int(match[2])


@settings(parent=RELAXED, max_examples=120)
@given(place=st.integers(0, 10**9), byte=st.integers(1, 255))
@example(place=0, byte=1)
@example(place=-2, byte=32)
def test_a_small_file_with_one_byte_changed(place: int, byte: int, small: bytes, context: Context) -> None:
    """Any byte of a file signed at level B."""
    judge_changed(small, place % len(small), byte, context)


@settings(parent=RELAXED, max_examples=20)
@given(place=st.integers(0, 10**9), byte=st.integers(1, 255))
def test_the_letter_with_four_signatures_and_one_byte_changed(
    place: int, byte: int, steps: tuple[SignedPdf, ...], context: Context
) -> None:
    """Any byte of the letter after leader, number, date and seal."""
    judge_changed(steps[-1].data, place % len(steps[-1].data), byte, context)


@settings(parent=RELAXED, max_examples=120)
@given(place=st.integers(0, 10**9), byte=st.integers(1, 255), stream=st.booleans())
def test_the_signature_value_with_one_byte_changed(
    place: int, byte: int, stream: bool, stamped: Sequence[bytes], context: Context
) -> None:
    """Any byte inside the signature value of a file with a time stamp, CMS and token alike."""
    data = stamped[stream]
    (gap,) = gaps(data)
    digits = len(data[gap.start : gap.stop].rstrip(b"0>")) + 8
    judge_changed(data, gap.start + place % digits, byte, context)


@settings(parent=RELAXED, max_examples=50)
@given(place=st.integers(0, 10**9), stream=st.booleans())
def test_a_signed_file_cut_off_anywhere(place: int, stream: bool, stamped: Sequence[bytes], context: Context) -> None:
    """No part of a signed file passes for the whole."""
    data = stamped[stream]
    report = inspect_pdf(data[: place % (len(data) - 1)], context=context)
    assert report.verdict is not Verdict.VALID


@pytest.fixture(scope="module")
def stamped(office: Office) -> tuple[bytes, bytes]:
    """Files at level T, with a cross-reference table and with a stream."""
    return office.by_person(simple()).data, office.by_person(simple(stream=True)).data
