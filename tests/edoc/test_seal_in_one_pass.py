"""Large messages are sealed and opened in one pass, with the bytes and the answers of the general way (M4)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from edoc import seal as seals
from edoc.edxml import ReadLimits
from edoc.envelopes import Envelope
from edoc.errors import SealRefused
from edoc.sealstream import LargeFile, look, open_streamed, seal_streamed, unseal_streamed
from signer.devpki import DevIdentity
from signer.trust import Context
from signer.xml.stream import NotStreamable
from tests import world as worlds
from tests.conftest import NOW

ID = "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"
CONTENT = b"%PDF-1.4\n" + Random(5).randbytes(70_000) + b"\n%%EOF\n"


@pytest.fixture
def letter() -> Envelope:
    """A letter whose one file is long."""
    return seals.read_packed(worlds.letter(at=NOW, content=CONTENT))


def pieces(data: bytes, size: int = 1000) -> Iterator[bytes]:
    """Cut bytes."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def sealed_in_one_pass(letter: Envelope, folder: Path, who: DevIdentity) -> bytes:
    """Seal with the file left where it is."""
    path = folder / "a.pdf"
    path.write_bytes(letter.attachments[0].content)
    large = {letter.attachments[0].content_id: LargeFile(path, path.stat().st_size)}
    bare = replace(letter, attachments=(replace(letter.attachments[0], content=b"-"),))
    out = io.BytesIO()
    made = seal_streamed(bare, large, out, message_id=ID, credential=who.credential, at=NOW)
    assert made.size == len(out.getvalue())
    return out.getvalue()


def test_what_is_sealed_in_one_pass_is_opened_in_both_ways_with_the_same_answer(
    letter: Envelope, tmp_path: Path, exchange_a: DevIdentity, context: Context
) -> None:
    data = sealed_in_one_pass(letter, tmp_path, exchange_a)
    whole = seals.open_sealed(data, context=context)
    streamed = unseal_streamed(pieces(data), context=context)
    opened = open_streamed(streamed)
    said = whole.message
    assert isinstance(said, Envelope)
    assert said.attachments[0].content == CONTENT
    assert opened.attachments == whole.attachments
    assert (opened.slip, opened.data_sha256, opened.size) == (whole.slip, whole.data_sha256, whole.size)
    assert opened.message == replace(said, attachments=(replace(said.attachments[0], content=b""),))
    looked = look(pieces(data, 777))
    assert (looked.message, looked.attachments) == (opened.message, whole.attachments)


def test_both_ways_of_sealing_differ_in_nothing_but_the_value_of_the_signature(
    letter: Envelope, tmp_path: Path, exchange_a: DevIdentity
) -> None:
    mine = sealed_in_one_pass(letter, tmp_path, exchange_a)
    theirs = seals.seal(letter, message_id=ID, credential=exchange_a.credential, at=NOW).data

    def without_value(data: bytes) -> bytes:
        start = data.index(b"<ds:SignatureValue")
        return data[:start] + data[data.index(b"</ds:SignatureValue>") :]

    assert without_value(mine) == without_value(theirs)


@pytest.mark.parametrize("place", [b"JVBERi", b"SMA-VP", b"<MessageId>", b"<ds:DigestValue>"])
def test_a_changed_byte_is_refused_alike_in_both_ways(
    letter: Envelope, exchange_a: DevIdentity, context: Context, place: bytes
) -> None:
    data = bytearray(seals.seal(letter, message_id=ID, credential=exchange_a.credential, at=NOW).data)
    at = data.index(place) + len(place) + 2
    data[at] = ord("A") if data[at] != ord("A") else ord("B")
    with pytest.raises(SealRefused) as general:
        seals.open_sealed(bytes(data), context=context)
    with pytest.raises(SealRefused) as one_pass:
        open_streamed(unseal_streamed(pieces(bytes(data)), context=context))
    assert one_pass.value.reason == general.value.reason


def test_an_attachment_over_its_limit_is_refused_by_its_true_size(
    letter: Envelope, exchange_a: DevIdentity, context: Context
) -> None:
    data = seals.seal(letter, message_id=ID, credential=exchange_a.credential, at=NOW).data
    streamed = unseal_streamed(pieces(data), context=context)
    assert open_streamed(streamed, limits=ReadLimits(attachment_bytes=len(CONTENT))).attachments[0].size
    with pytest.raises(SealRefused) as caught:
        open_streamed(streamed, limits=ReadLimits(attachment_bytes=len(CONTENT) - 1))
    assert caught.value.reason == "limits"


@pytest.mark.parametrize(("data", "reason"), [(b"<a", "not-edxml"), (b"", "not-edxml")])
def test_what_is_no_xml_is_refused(context: Context, data: bytes, reason: str) -> None:
    with pytest.raises(SealRefused) as caught:
        unseal_streamed(pieces(data), context=context)
    assert caught.value.reason == reason


def test_a_message_without_seal_is_left_to_the_general_way(letter: Envelope, context: Context) -> None:
    with pytest.raises(NotStreamable):
        unseal_streamed(pieces(seals.packed(letter, at=NOW)), context=context)
