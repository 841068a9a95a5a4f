"""What no reader takes (edxml.md 12, "must refuse"), each with its code; and the limits at limit and limit + 1."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from lxml import etree

from edoc.edxml import ReadLimits, read, serialize, write
from edoc.envelopes import Envelope, StatusMessage
from edoc.errors import LimitPassed, NotEdxml

NS = "http://www.mic.gov.vn/TBT/QCVN_102_2016"


def refused(text: str) -> NotEdxml:
    with pytest.raises(NotEdxml) as error:
        read(etree.fromstring(text.encode("utf-8")))
    return error.value


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("<a/>", "EDOC-DOC-002"),
        ("<edXML/>", "EDOC-DOC-002"),
        (f'<edXMLEnvelope xmlns="{NS}"/>', "EDOC-DOC-002"),
        ('<edXML xmlns="http://www.mic.gov.vn/TBT/QCVN_102_2017"/>', "EDOC-DOC-002"),
        (f'<edXML xmlns="{NS}"/>', "EDOC-DOC-005"),
    ],
)
def test_another_root_or_namespace_is_no_message(text: str, code: str) -> None:
    """Neither the name nor the namespace alone makes a message."""
    assert refused(text).code == code


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<edXML><Author/><AllDocument/></edXML>", "512/BTTTT (2012)"),
        ('<S:Envelope xmlns:S="http://schemas.xmlsoap.org/soap/envelope/"/>', "2803/BTTTT (2014)"),
        ('<e:edXML xmlns:e="http://www.e-doc.vn/Schema/"/>', "2803/BTTTT (2014)"),
        ('<edXML xmlns="http://www.inetcloud.vn/ns/edxml"/>', "2803/BTTTT (2014)"),
    ],
)
def test_older_formats_are_recognised_and_named(text: str, name: str) -> None:
    """The clerk learns which format the sender uses (chapter 17)."""
    error = refused(text)
    assert (error.code, error.facts["format"]) == ("EDOC-DOC-003", name)


@pytest.mark.parametrize(
    ("element", "named"), [("MessageHeader", "MessageHeader"), ("From", "From/OrganId"), ("To", "To")]
)
def test_a_document_without_its_essentials_is_refused(written: str, element: str, named: str) -> None:
    """No header, no sender, no recipient."""
    error = refused(re.sub(rf"<edXML:{element}>.*</edXML:{element}>", "", written, flags=re.DOTALL))
    assert (error.code, error.facts["element"]) == ("EDOC-DOC-005", named)


@pytest.mark.parametrize(
    ("edit", "named"),
    [
        (lambda text: re.sub(r"<edXML:ResponseFor>.*</edXML:ResponseFor>", "", text, flags=re.DOTALL), "ResponseFor"),
        (lambda text: re.sub(r">03<", "><", text), "StatusCode"),
        (lambda text: re.sub(r"<edXML:StatusCode>03</edXML:StatusCode>", "", text), "To"),
    ],
)
def test_a_status_without_its_essentials_is_refused(accepted: StatusMessage, edit: object, named: str) -> None:
    """No document, no code; without the element it is a document without recipients."""
    assert callable(edit)
    assert refused(edit(serialize(write(accepted)).decode("utf-8"))).facts["element"] == named


@pytest.mark.parametrize("code", ["H99 01", "H99,01", "x" * 65, "H99\u202e01"])
def test_a_sender_whose_code_is_no_code_is_refused(written: str, code: str) -> None:
    """1 to 64 visible characters without comma, white space or XML characters (10.1)."""
    assert refused(written.replace(">H99.01<", f">{code}<", 1)).code == "EDOC-DOC-007"


def test_limits_hold_at_their_value_and_refuse_one_more(letter: Envelope) -> None:
    """Depth, attributes, elements of one kind, size of an attachment."""
    tree = write(letter)
    deep = tree[0]
    for _ in range(28):
        deep = etree.SubElement(deep, "x")
    deepest = ReadLimits(depth=30)
    read(tree, limits=deepest)
    etree.SubElement(deep, "x")
    with pytest.raises(LimitPassed):
        read(tree, limits=deepest)


def test_more_than_a_thousand_elements_of_one_kind_are_refused(written: str) -> None:
    """1,000 is taken, 1,001 is not."""
    tree = etree.fromstring(written.encode("utf-8"))
    for _ in range(1000):
        etree.SubElement(tree, f"{{{NS}}}Filler")
    read(tree)
    etree.SubElement(tree, f"{{{NS}}}Filler")
    with pytest.raises(LimitPassed) as error:
        read(tree)
    assert error.value.facts["value"] == 1001


def test_more_than_32_attributes_are_refused(written: str) -> None:
    """32 are taken, 33 are not."""
    tree = etree.fromstring(written.encode("utf-8"))
    for number in range(32):
        tree.set(f"a{number}", "")
    read(tree)
    tree.set("one-more", "")
    with pytest.raises(LimitPassed):
        read(tree)


def test_an_attachment_over_the_limit_is_refused_before_it_is_decoded(letter: Envelope) -> None:
    """The limit counts the bytes of the content."""
    tree = write(letter)
    size = len(letter.attachments[0].content)
    read(tree, limits=ReadLimits(attachment_bytes=size))
    with pytest.raises(LimitPassed):
        read(tree, limits=ReadLimits(attachment_bytes=size - 1))


def test_unknown_elements_are_kept_in_the_original_and_not_in_the_message(letter: Envelope) -> None:
    """Reading changes nothing in the tree it was given."""
    tree = write(letter)
    etree.SubElement(tree[0], f"{{{NS}}}ApplicationType").text = "1"
    before = etree.tostring(tree)
    assert read(tree).message == replace(letter)
    assert etree.tostring(tree) == before
