"""A sealed message is checked in one pass with bounded memory, and the answer is the one of the general way (5.4)."""

from __future__ import annotations

import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.devpki import DevIdentity
from signer.report import Code, Report, Verdict
from signer.trust import Context
from signer.xml.profiles import Slip, inspect_seal, seal_xml
from signer.xml.stream import NotStreamable, inspect_stream
from tests.signer_xml.conftest import message

ATTACHMENT = b64encode(Random(7).randbytes(9_000)).decode()


class Keeper:
    """A sink that keeps what it is given, by word."""

    def __init__(self) -> None:
        self.runs: dict[str, bytearray] = {}
        self.word = ""

    def begin(self, word: str) -> None:
        self.word = word
        self.runs[word] = bytearray()

    def write(self, data: bytes) -> None:
        self.runs[self.word] += data


@pytest.fixture(scope="session")
def large(slip: Slip, exchange_a: DevIdentity) -> bytes:
    """A sealed message whose attachment is a long run."""
    return seal_xml(message(attachment=ATTACHMENT), slip=slip, credential=exchange_a.credential)


def pieces(data: bytes, cuts: list[int]) -> Iterator[bytes]:
    """Cut the bytes at these places."""
    places = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    for start, end in pairwise(places):
        yield data[start:end]


def both_ways(data: bytes, context: Context, cuts: list[int]) -> tuple[Report | None, Report]:
    """Return the report of the stream, if it can be streamed, and that of the general way."""
    general = inspect_seal(data, context=context).report
    try:
        return inspect_stream(pieces(data, cuts), context=context).report, general
    except NotStreamable:
        return None, general


@given(cuts=st.lists(st.integers(0, 20_000), max_size=40))
@settings(deadline=None, max_examples=60)
def test_however_the_message_is_cut_the_report_is_that_of_the_whole(
    cuts: list[int], large: bytes, context: Context
) -> None:
    streamed, general = both_ways(large, context, cuts)
    assert general.verdict is Verdict.VALID
    assert streamed == general


def test_a_message_that_comes_octet_by_octet_is_checked_too(large: bytes, context: Context) -> None:
    streamed, general = both_ways(large, context, list(range(len(large))))
    assert streamed == general


def test_the_sink_gets_the_attachment_and_the_tree_its_word(large: bytes, context: Context) -> None:
    sink = Keeper()
    found = inspect_stream(pieces(large, [5_000, 5_001, 9_999]), context=context, sink=sink)
    assert found.sealed is not None
    content = next(e for e in found.sealed.tree.iter() if str(e.tag).endswith("}Content"))
    assert {content.text: ATTACHMENT.encode()} == {word: bytes(run) for word, run in sink.runs.items()}


@given(place=st.integers(0, 20_000), byte=st.integers(1, 255), cuts=st.lists(st.integers(0, 20_000), max_size=5))
@settings(deadline=None, max_examples=250)
def test_a_changed_octet_is_never_streamed_to_another_answer(
    place: int, byte: int, cuts: list[int], large: bytes, context: Context
) -> None:
    """Where both ways can read a changed file they agree, and neither calls it valid."""
    place %= len(large)
    changed = large[:place] + bytes((large[place] ^ byte,)) + large[place + 1 :]
    streamed, general = both_ways(changed, context, cuts)
    assert general.verdict is not Verdict.VALID
    if streamed is not None:
        assert (streamed.verdict, streamed.sha256) == (general.verdict, general.sha256)
        assert [s.integrity for s in streamed.signatures] == [s.integrity for s in general.signatures]


def test_other_spellings_of_the_same_message_are_left_to_the_general_way(large: bytes, context: Context) -> None:
    for changed in (large.replace(b"<edXML:Mobile></edXML:Mobile>", b"<edXML:Mobile/>"), large.partition(b"?>\n")[2]):
        with pytest.raises(NotStreamable):
            inspect_stream([changed], context=context)
    assert b"<edXML:Mobile></edXML:Mobile>" in large


def test_over_the_limit_the_answer_names_it_before_the_rest_is_read(large: bytes, context: Context) -> None:
    small = replace(context, limits=replace(context.limits, xml_stream_max_bytes=8_000))

    def endless() -> Iterator[bytes]:
        while True:
            yield large[:4_000]

    report = inspect_stream(endless(), context=small).report
    assert (report.verdict, report.reasons[0].code) == (Verdict.INDETERMINATE, Code.LIMIT_EXCEEDED)
    assert report.reasons[0].facts["limit"] == "xml_stream_max_bytes"


def test_much_text_that_is_no_attachment_is_over_the_limit_of_what_is_kept(large: bytes, context: Context) -> None:
    text = b"<Subject>" + b"khong phai base64! " * 400_000 + b"</Subject>"
    report = inspect_stream([large[:60], text], context=context).report
    assert report.reasons[0].facts["limit"] == "xml_skeleton_max_bytes"


PROGRAM = """
import resource, sys
from base64 import b64encode
from datetime import UTC, datetime
from signer.algorithms import PolicyName
from signer.trust import Context, TrustStore
from signer.xml.stream import inspect_stream
head, tail = sys.stdin.buffer.read().split(b"@@")
block, count = b64encode(bytes(range(256)) * 3) * 1024, int(sys.argv[1])
context = Context(TrustStore(), datetime(2026, 11, 20, tzinfo=UTC), PolicyName.INTEGRITY_ONLY)
def pieces(times):
    yield head
    for _ in range(times):
        yield block
    yield tail
inspect_stream(pieces(2), context=context)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = inspect_stream(pieces(count), context=context).report
after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(after - before, report.size, report.signatures[0].sub_indication.value)
"""


def test_memory_does_not_grow_with_the_message(large: bytes) -> None:
    """512 MiB pass through with a growth of less than 64 MiB; what was put in is, of course, noticed."""
    head, tail = large.split(ATTACHMENT.encode())
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "512"], input=head + b"@@" + tail, capture_output=True, check=True, cwd=root
    )
    growth, size, reason = done.stdout.split()
    assert int(growth) < 64 * 1024
    assert int(size) > 512 * 2**20
    assert reason == b"HASH_FAILURE"
