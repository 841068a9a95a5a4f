"""The writer's canonical form, and what a strict reader may conclude from it (edxml.md 13; M6)."""

from __future__ import annotations

import unicodedata
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from edoc.edxml import Known, ReadLimits, canonical, read, serialize, write
from edoc.edxml.limits import check_tree
from edoc.edxml.names import NAMESPACE, by_name, child, children, name_of
from edoc.edxml.values import TextOf, own_text
from edoc.envelopes import Envelope, Message, StatusMessage, completed
from edoc.errors import EdocError, LimitPassed, NotStrict
from edoc.values import clean, has_control
from signer.errors import SignerError
from signer.safexml import parse
from signer.trust import Limits
from signer.xml.c14n import canonical_document
from tests.edoc.test_edxml_roundtrip import envelopes, statuses

SLOW = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture]
SETTINGS = settings(max_examples=100, deadline=None, suppress_health_check=SLOW)


@given(message=envelopes() | statuses())
@SETTINGS
def test_the_canonical_form_is_that_of_the_tree(message: Message) -> None:
    assert canonical(message) == b"".join(canonical_document(write(message)))


@given(message=envelopes() | statuses())
@SETTINGS
def test_reading_with_what_was_written_known_is_reading(message: Message) -> None:
    whole = completed(message)
    tree = etree.fromstring(canonical(whole))
    assert read(tree, strict=True, known=Known(whole, canonical(whole))).message == read(tree, strict=True).message


def _slow(element: etree._Element) -> str:
    """Another function for texts: with it every element is compared."""
    return own_text(element)


def _outcome(tree: etree._Element, text_of: TextOf) -> object:
    try:
        return read(tree, strict=True, text_of=text_of)
    except EdocError as error:
        return error.code, dict(error.facts)


@given(
    message=envelopes() | statuses(),
    at=st.floats(0, 1, exclude_max=True),
    piece=st.sampled_from(
        [" ", "\n", "x", "<x/>", "<!-- c -->", "&#32;", "edXML:", "", "/", "\u00a0", ' a="b"', ' xmlns=""']
    ),
    removed=st.integers(0, 2),
)
@SETTINGS
def test_strict_is_what_agrees_element_by_element(message: Message, at: float, piece: str, removed: int) -> None:
    """Whatever is changed in a file, the short way and comparing every element come to the same."""
    data = serialize(write(message))
    place = int(at * len(data))
    for changed in (data, data[:place] + piece.encode() + data[place + removed :]):
        try:
            tree = parse(changed, limits=Limits())
        except SignerError:
            continue
        assert _outcome(tree, own_text) == _outcome(tree, _slow)


def test_a_file_that_is_not_what_was_written_is_not_strict_though_it_reads_the_same(letter: Envelope) -> None:
    octets = canonical(letter)
    known = Known(completed(letter), octets)
    assert read(etree.fromstring(octets), strict=True, known=known).message == letter
    other_prefix = octets.replace(b"edXML:", b"X:").replace(b"xmlns:edXML=", b"xmlns:X=")
    attribute = octets.replace(b"<edXML:OrganId>", b'<edXML:OrganId a="1">', 1)
    for changed in (other_prefix, attribute, octets.replace(b"</edXML>", b"x</edXML>")):
        with pytest.raises(NotStrict):
            read(etree.fromstring(changed), strict=True, known=known)


def test_messages_that_break_a_rule_have_no_canonical_form(letter: Envelope, accepted: StatusMessage) -> None:
    with pytest.raises(NotStrict):
        canonical(replace(letter, recipients=()))
    with pytest.raises(NotStrict):
        canonical(replace(accepted, code="99"))


def test_control_characters_are_told_by_their_category_for_every_character() -> None:
    turning = set("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
    for number in range(0x110000):
        char = chr(number)
        none = number & 0xFFFE == 0xFFFE or 0xFDD0 <= number <= 0xFDEF
        assert has_control(char) == (unicodedata.category(char) in ("Cc", "Cs") or char in turning or none), hex(number)
    assert has_control("văn bản\u202e")
    assert not has_control("văn bản")


@given(st.text(st.characters(), max_size=12))
def test_clean_text_is_normalised_and_trimmed(text: str) -> None:
    assert clean(text) == unicodedata.normalize("NFC", text).strip()


NAMES = st.sampled_from(["a", "b", "edXML:a", "p:a", "q:b"])


@st.composite
def trees(draw: st.DrawFn, depth: int = 0) -> str:
    """Elements in and out of the namespace, with comments, attributes, and prefixes that nobody declared."""
    name = draw(NAMES)
    facts = draw(st.sampled_from(["", ' k="1"', ' k="1" l="2"', ' xmlns=""', ' m="1" k="2" l="3"', ' z:k="1"']))
    inner = draw(
        st.lists(trees(depth + 1) | st.sampled_from(["<!--a-->", "t", "<?a b?>"]), max_size=4 if depth < 4 else 0)
    )
    return f"<{name}{facts}>{''.join(inner)}</{name}>"


def _parsed(text: str) -> etree._Element:
    data = f'<edXML xmlns="{NAMESPACE}" xmlns:p="{NAMESPACE}" xmlns:q="urn:q">{text}</edXML>'
    return etree.fromstring(data.encode(), etree.XMLParser(recover=True))


@given(st.lists(trees(), max_size=4).map("".join))
@SETTINGS
def test_children_are_found_by_name_however_their_prefix_came_about(text: str) -> None:
    for element in _parsed(text).iter(etree.Element):
        for wanted in (("a",), ("b",), ("a", "b"), ("c",)):
            found = [item for item in element if name_of(item) in wanted]
            assert list(children(element, *wanted)) == found
            assert child(element, *wanted) is (found[0] if found else None)
        for name in ("a", "b"):
            assert by_name(element).get(name) is child(element, name)
    assert child(None, "a") is None
    assert by_name(None) == {}


@given(
    st.lists(trees(), max_size=4).map("".join),
    st.builds(ReadLimits, depth=st.integers(1, 6), attributes=st.integers(0, 3), of_a_kind=st.integers(1, 8)),
)
@SETTINGS
def test_limits_are_passed_where_counting_says_so(text: str, limits: ReadLimits) -> None:
    root = _parsed(text)
    elements = list(root.iter())
    kinds = Counter(str(item.tag) for item in elements if isinstance(item.tag, str))
    deepest = max(sum(1 for _ in item.iterancestors()) + 1 for item in elements if isinstance(item.tag, str))
    widest = max(len(item.attrib) for item in elements if isinstance(item.tag, str))
    within = deepest <= limits.depth and widest <= limits.attributes and max(kinds.values()) <= limits.of_a_kind
    try:
        check_tree(root, limits)
        assert within
    except LimitPassed:
        assert not within
