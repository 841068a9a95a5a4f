"""Reader and writer are inverse: any message the strict writer takes is read back as it was (edxml.md 13.10)."""

from __future__ import annotations

from datetime import UTC, date, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from edoc.documents import TYPES, Attachment, Document, Priority, SignerInfo, Steering
from edoc.edxml import read, serialize, write
from edoc.envelopes import (
    Business,
    BusinessKind,
    Envelope,
    Hop,
    Message,
    Party,
    ReceiverChange,
    Replacement,
    ResponseFor,
    StaffInfo,
    StatusMessage,
    UpdateInfo,
    completed,
)
from edoc.errors import EdocError
from edoc.lifecycle import WIRE_CODES
from edoc.values import has_control
from tests.edoc.conftest import VECTORS

ALPHABET = st.characters(codec="utf-8", exclude_categories=("Cc", "Cs"))


def texts(limit: int, *, least: int = 0) -> st.SearchStrategy[str]:
    """Texts of any script, as values hold them: NFC and trimmed by the value itself."""
    drawn = st.text(ALPHABET, min_size=least, max_size=max(least, limit // 4))
    return drawn.filter(lambda text: not has_control(text) and len(text.strip()) >= least)


DAYS = st.dates(date(1945, 9, 2), date(2099, 12, 31))
MOMENTS = st.datetimes(datetime(1975, 5, 1), datetime(2099, 1, 1), timezones=st.just(UTC))
CODES = st.from_regex(r"[A-Y][0-9]{2}(\.[0-9A-Z]{1,3}){0,5}", fullmatch=True)
NO_COMMA = texts(30, least=1).filter(lambda text: "," not in text)
NUMBERS = st.from_regex(r"[0-9]{1,4}(/20[0-9]{2})?", fullmatch=True)


@st.composite
def parties(draw: st.DrawFn, code: str) -> Party:
    return Party(
        code,
        draw(texts(200, least=1)),
        address=draw(texts(500, least=1)),
        email=draw(texts(100)),
        telephone=draw(texts(20)),
        fax=draw(texts(20)),
        website=draw(texts(100)),
        in_charge=draw(texts(500)),
    )


@st.composite
def documents(draw: st.DrawFn) -> Document:
    return Document(
        draw(NUMBERS),
        draw(NO_COMMA),
        draw(DAYS),
        draw(st.one_of(st.sampled_from([item.name for item in TYPES]), texts(100, least=1))),
        draw(texts(500, least=1)),
        content=draw(texts(500)),
        place=draw(texts(50)),
        signer=draw(st.none() | st.builds(SignerInfo, texts(100), texts(100), texts(50, least=1))),
        priority=draw(st.sampled_from(Priority)),
        due=draw(st.none() | DAYS),
        to_places=tuple(draw(st.lists(texts(150, least=1), max_size=3))),
        pages=draw(st.none() | st.integers(0, 999)),
        copies=draw(st.none() | st.integers(0, 999)),
        sphere=draw(texts(100)),
        typist=draw(texts(10)),
        appendices=tuple(draw(st.lists(texts(200, least=1), max_size=3))),
        steering=draw(st.sampled_from(Steering)),
    )


STAFF = st.builds(StaffInfo, texts(100), texts(100), texts(20), texts(100))
RESPONSES = st.builds(ResponseFor, CODES, texts(40, least=1), DAYS, texts(200))
IDS = texts(200, least=1)


@st.composite
def businesses(draw: st.DrawFn) -> Business:
    kind = draw(st.sampled_from(BusinessKind))
    receivers = tuple(draw(st.lists(st.builds(ReceiverChange, CODES, st.booleans()), max_size=3)))
    update = UpdateInfo(draw(st.booleans()), draw(st.booleans()), receivers)
    replaced = st.builds(Replacement, IDS, st.lists(CODES, max_size=2).map(tuple))
    return Business(
        kind,
        draw(texts(500, least=1)),
        original_document_id=draw(IDS) if kind in (BusinessKind.REVOKE, BusinessKind.UPDATE) else "",
        update=update if kind is BusinessKind.UPDATE else None,
        replaced=tuple(draw(st.lists(replaced, min_size=1, max_size=3))) if kind is BusinessKind.REPLACE else (),
        paper=draw(st.booleans()),
        staff=draw(STAFF),
    )


@st.composite
def envelopes(draw: st.DrawFn) -> Message:
    codes = draw(st.lists(CODES, min_size=2, max_size=5, unique=True))
    contents = draw(st.lists(st.binary(min_size=1, max_size=200), min_size=1, max_size=4))
    attachments = tuple(
        Attachment(f"phụ lục {n}.dat", content, "application/octet-stream", description=draw(texts(200)))
        for n, content in enumerate(contents)
    )
    return completed(
        Envelope(
            draw(parties(codes[0])),
            tuple(draw(parties(code)) for code in codes[1:]),
            draw(documents()),
            attachments,
            business=draw(businesses()),
            response_for=tuple(draw(st.lists(RESPONSES, min_size=1, max_size=3))),
            trace=(Hop(codes[0], draw(MOMENTS)),),
        )
    )


@st.composite
def statuses(draw: st.DrawFn) -> Message:
    codes = draw(st.lists(CODES, min_size=2, max_size=2, unique=True))
    return StatusMessage(
        draw(parties(codes[0])),
        ResponseFor(codes[1], draw(texts(40, least=1)), draw(DAYS), draw(IDS)),
        draw(st.sampled_from(WIRE_CODES)),
        description=draw(texts(500, least=1)),
        staff=draw(st.none() | STAFF),
        timestamp=draw(MOMENTS),
    )


@given(message=envelopes() | statuses())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much])
def test_what_is_written_reads_as_it_was(message: Message) -> None:
    """Strictly and tolerantly, and writing it again gives the same bytes."""
    data = serialize(write(message))
    tree = etree.fromstring(data)
    assert read(tree, strict=True).message == message
    assert read(tree).message == message
    assert serialize(write(read(tree).message)) == data


@given(draw=st.data())
@settings(max_examples=150, deadline=None)
def test_any_damage_to_a_tree_is_read_or_refused_by_us(draw: st.DataObject) -> None:
    """Elements dropped, moved, emptied or given other texts: a message, or an error of the package, no other one."""
    name = draw.draw(st.sampled_from(sorted(path.name for path in (VECTORS / "examples").iterdir())))
    tree = etree.fromstring((VECTORS / "examples" / name).read_bytes())
    for _ in range(draw.draw(st.integers(1, 4))):
        element = draw.draw(st.sampled_from(list(tree.iter())[1:] or [tree]))
        action = draw.draw(st.sampled_from(["drop", "empty", "text", "move"]))
        parent = element.getparent()
        if action == "drop" and parent is not None:
            parent.remove(element)
        elif action == "empty":
            element.clear()
        elif action == "text":
            element.text = draw.draw(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=9))
        elif parent is not None:
            tree.insert(0, element)
    for strict in (False, True):
        try:
            result = read(tree, strict=strict)
        except EdocError:
            continue
        assert result.message.kind in ("edoc", "status")
