"""What the tolerant reader takes, by the numbers of edxml.md 12, and what it says about it."""

from __future__ import annotations

import copy
import re
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from lxml import etree

from edoc.edxml import ReadResult, read, serialize, write
from edoc.edxml.manifest import content_key
from edoc.edxml.names import NAMESPACE
from edoc.envelopes import Envelope, StatusMessage
from signer.safexml import parse_tolerant
from signer.trust import Limits


def read_text(text: str | bytes) -> ReadResult:
    data = text.encode("utf-8") if isinstance(text, str) else text
    return read(parse_tolerant(data, limits=Limits())[0])


def unchecked(message: Envelope) -> etree._Element:
    """Write a message with more attachments than the strict writer allows: one is copied."""
    first = message.attachments[0]
    tree = write(replace(message, attachments=(replace(first, content_id=f"cid:{uuid.uuid4()}"),)))
    manifest, group = tree[0][1][0], tree[1]
    for parent in (manifest, group):
        model = parent[0]
        for item in message.attachments:
            copied = copy.deepcopy(model)
            for child in copied:
                if str(child.tag).endswith("}ContentId"):
                    child.text = item.content_id
                if str(child.tag).endswith("}AttachmentName"):
                    child.text = item.name
            parent.append(copied)
        parent.remove(model)
    return tree


def codes(result: ReadResult) -> list[str]:
    return [warning.code for warning in result.warnings]


def without(text: str, element: str) -> str:
    """Cut one element out, with its content."""
    return re.sub(rf"<edXML:{element}>.*?</edXML:{element}>", "", text, count=1, flags=re.DOTALL)


def valued(text: str, element: str, value: str) -> str:
    """Give the first element of that name another text."""
    return re.sub(rf"(<edXML:{element}>)[^<]*(</edXML:{element}>)", rf"\g<1>{value}\g<2>", text, count=1)


def test_1_any_prefix_or_none_reads_the_same(written: str, letter: Envelope) -> None:
    """The namespace counts, not the prefix."""
    none = written.replace("edXML:", "").replace(f' xmlns:edXML="{NAMESPACE}"', "")
    none = (
        none.replace(f' xmlns="{NAMESPACE}">', "|", 1)
        .replace(f' xmlns="{NAMESPACE}"', "")
        .replace("|", f' xmlns="{NAMESPACE}">')
    )
    other = written.replace("edXML:", "q:").replace("xmlns:edXML", "xmlns:q")
    assert read_text(none).message == letter
    assert read_text(other).message == letter


def test_1_order_unknown_elements_attributes_and_comments_do_not_matter(written: str, letter: Envelope) -> None:
    """Elements may stand anywhere in their parent; what is not known is passed over."""
    moved = without(written, "DocumentId").replace(
        "<edXML:Code>", "<edXML:DocumentId>H99.01,2026/11/19,120/SMA-VP</edXML:DocumentId><edXML:Code>", 1
    )
    more = moved.replace("<edXML:Subject>", '<edXML:Strange a="1"><x/></edXML:Strange><!-- c --><edXML:Subject b="2">')
    result = read_text(more)
    assert result.message == letter
    assert codes(result) == []


def test_1_a_comment_inside_a_value_does_not_cut_it(written: str) -> None:
    """Text around a comment is one value: nobody hides the end of a code behind a comment."""
    result = read_text(written.replace("<edXML:OrganId>H99.01<", "<edXML:OrganId>H99<!-- x -->.01<", 1))
    assert result.message.sender.organ_id == "H99.01"


def test_2_business_with_one_s_is_read_with_a_warning(written: str, letter: Envelope) -> None:
    """The spelling of the standard is Bussiness; the other one is understood."""
    result = read_text(written.replace("Bussiness", "Business"))
    assert result.message == letter
    assert codes(result) == ["business-spelling"]


def test_3_undeclared_prefixes_are_read_with_a_warning(written: str, letter: Envelope) -> None:
    """Outside its scope the prefix edXML is undeclared; one team's attributes too."""
    broken = written.replace("<Attachment>", "<edXML:Attachment>").replace("</Attachment>", "</edXML:Attachment>")
    broken = broken.replace("<edXML:Reference>", '<edXML:Reference xlink:href="">')
    result = read_text(broken)
    assert result.message == letter
    assert codes(result) == ["undeclared-prefix"]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "crlf"])
def test_4_byte_order_mark_utf16_and_line_ends(written: str, letter: Envelope, encoding: str) -> None:
    """Encodings of other systems read the same."""
    if encoding == "crlf":
        data = written.replace("\n", "\r\n").encode("utf-8")
    else:
        data = written.replace("UTF-8", "UTF-16" if encoding == "utf-16" else "UTF-8").encode(encoding)
    assert read_text(data).message == letter


def test_5_empty_elements_are_absent_ones(written: str, letter: Envelope) -> None:
    """Empty ResponseFor, DueDate, SteeringType, DigitalSignature say nothing."""
    text = valued(written, "SteeringType", "")
    text = text.replace("<edXML:OtherInfo>", "<edXML:DueDate/><edXML:ResponseFor/><edXML:OtherInfo>", 1)
    text = text.replace("</edXML:edXMLHeader>", "<edXML:DigitalSignature/></edXML:edXMLHeader>")
    result = read_text(text)
    assert result.message == letter
    assert codes(result) == []


@pytest.mark.parametrize(
    ("element", "warning"),
    [
        ("Bussiness", []),
        ("TraceHeaderList", []),
        ("SteeringType", []),
        ("OtherInfo", []),
        ("SignerInfo", []),
        ("DocumentType", []),
        ("OrganName", []),
        ("OrganAdd", []),
        ("Content", []),
        ("Code", ["code-missing"]),
        ("PromulgationInfo", ["promulgation-missing"]),
        ("Reference", ["attachment-without-reference"]),
    ],
)
def test_6_elements_that_may_be_missing(written: str, element: str, warning: list[str]) -> None:
    """Real files leave them out; three of them deserve a warning."""
    result = read_text(without(written, element))
    assert isinstance(result.message, Envelope)
    assert codes(result) == warning


def test_7_content_ids_match_with_any_number_of_prefixes(written: str, letter: Envelope) -> None:
    """``cid:`` in front, twice, or not at all."""
    text = written.replace("<ContentId>cid:", "<ContentId>cid:cid:")
    result = read_text(text)
    assert codes(result) == []
    assert isinstance(result.message, Envelope)
    assert result.message.attachments[0].content == letter.attachments[0].content
    assert codes(read_text(written.replace("<ContentId>cid:", "<ContentId>"))) == []


def test_7_differences_are_listed_both_ways(written: str) -> None:
    """A reference without a file and a file with another id are both reported; the file is delivered."""
    extra = (
        "<edXML:Reference><edXML:ContentId>cid:9</edXML:ContentId>"
        "<edXML:AttachmentName>phu-luc.pdf</edXML:AttachmentName></edXML:Reference></edXML:edXMLManifest>"
    )
    result = read_text(written.replace("</edXML:edXMLManifest>", extra))
    assert codes(result) == ["reference-without-attachment"]
    renamed = read_text(written.replace("<ContentId>cid:7d4c", "<ContentId>cid:0000"))
    assert codes(renamed) == ["content-ids-differ"]
    assert isinstance(renamed.message, Envelope)
    assert len(renamed.message.attachments) == 1


def test_7_many_attachments_and_hostile_ids_cost_no_more_than_their_size(letter: Envelope) -> None:
    """Five hundred pairs in reverse order and an id of a million prefixes are read in one go."""
    one = letter.attachments[0]
    files = tuple(replace(one, name=f"{n}.pdf", content_id=f"cid:{n}") for n in range(500))
    text = serialize(unchecked(replace(letter, attachments=files))).decode("utf-8")
    start, end = text.index("<edXML:Reference>"), text.rindex("</edXML:Reference>") + len("</edXML:Reference>")
    references = re.findall(r"<edXML:Reference>.*?</edXML:Reference>", text[start:end], flags=re.DOTALL)
    result = read_text(text[:start] + "".join(reversed(references)) + text[end:])
    assert isinstance(result.message, Envelope)
    assert [item.name for item in result.message.attachments] == [item.name for item in files]
    assert codes(result) == []
    assert content_key("cid:" * 1_000_000 + "x") == "x"


def test_8_base64_with_white_space_and_without_padding(written: str) -> None:
    """Line breaks are nothing to talk about, missing padding is."""
    broken = written.replace("JVBERi0xLjQKJSVFT0YK", "JVBERi0x\r\n  LjQKJSVFT0YK")
    assert codes(read_text(broken)) == []
    short = written.replace("JVBERi0xLjQKJSVFT0YK", "JVBERi0xLjQKJSVFT0Y")
    result = read_text(short)
    assert codes(result) == ["base64-repaired"]


def test_8_an_undecodable_attachment_is_delivered_empty(written: str) -> None:
    """The rest of the message stands."""
    result = read_text(written.replace("JVBERi0xLjQKJSVFT0YK", "JVBE$i0x"))
    assert isinstance(result.message, Envelope)
    assert (result.message.attachments[0].content, result.message.attachments[0].fault) == (b"", "base64")
    assert codes(result) == ["attachment-undecodable"]


def test_10_trace_headers_without_a_code(written: str) -> None:
    """Missing, or the text ``null``."""
    result = read_text(
        valued(written[: written.index("<edXML:TraceHeader>")], "x", "")
        + written[written.index("<edXML:TraceHeader>") :].replace(
            "<edXML:OrganId>H99.01</edXML:OrganId>", "<edXML:OrganId>null</edXML:OrganId>", 1
        )
    )
    assert isinstance(result.message, Envelope)
    assert result.message.trace[0].organ_id == ""


@pytest.mark.parametrize(
    ("value", "day"),
    [
        ("2026-11-19", date(2026, 11, 19)),
        ("19/11/2026", date(2026, 11, 19)),
        ("19-11-2026", date(2026, 11, 19)),
        ("2026/11/19 08:00:00", date(2026, 11, 19)),
        ("19/11/2026T23:59:59.5Z", date(2026, 11, 19)),
        (" 2026/1/9 ", date(2026, 1, 9)),
    ],
)
def test_11_dates_in_the_forms_of_others(written: str, value: str, day: date) -> None:
    """The four-digit year decides what is what."""
    message = read_text(valued(written, "PromulgationDate", value)).message
    assert isinstance(message, Envelope)
    assert message.document.date == day


@pytest.mark.parametrize("value", ["30/02/2026", "20.11.2026", "hôm qua", "26/11/19", "2026/11-19"])
def test_11_a_date_that_cannot_be_read_never_fails_a_message(written: str, value: str) -> None:
    """It is kept as text in the warning."""
    result = read_text(valued(written, "PromulgationDate", value))
    assert isinstance(result.message, Envelope)
    assert result.message.document.date is None
    assert [(w.code, w.facts["value"]) for w in result.warnings] == [("date-unread", value)]


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("2026/11/20", datetime(2026, 11, 19, 17, tzinfo=UTC)),
        ("2026-11-20T09:30:00", datetime(2026, 11, 20, 2, 30, tzinfo=UTC)),
        ("2026-11-20T09:30:00.123+00:00", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
        ("2026/11/20 09:30:00 Z", datetime(2026, 11, 20, 9, 30, tzinfo=UTC)),
    ],
)
def test_11_moments_obey_a_zone_and_are_vietnamese_without_one(written: str, value: str, moment: datetime) -> None:
    """A date alone is its first second in Vietnam."""
    message = read_text(valued(written, "Timestamp", value)).message
    assert isinstance(message, Envelope)
    assert message.trace[0].at == moment


@pytest.mark.parametrize(("value", "code"), [("3", "03"), ("03", "03"), ("999", "999"), ("103", "103"), ("13", "13")])
def test_12_status_codes_without_leading_zero(accepted: StatusMessage, value: str, code: str) -> None:
    """Unpadded codes are padded, codes nobody knows are kept."""
    text = valued(serialize(write(accepted)).decode("utf-8"), "StatusCode", value)
    message = read_text(text).message
    assert isinstance(message, StatusMessage)
    assert message.code == code


@pytest.mark.parametrize(
    ("element", "value", "warning"),
    [
        ("Priority", "7", "unknown-value"),
        ("SteeringType", "3", "steering-numbering"),
        ("BussinessDocType", "9", "unknown-value"),
        ("PageAmount", "hai", "number-unread"),
    ],
)
def test_values_outside_their_lists_are_kept_and_told(written: str, element: str, value: str, warning: str) -> None:
    """They never fail a message."""
    assert codes(read_text(valued(written, element, value))) == [warning]


def test_recipients_named_twice_are_taken_once(written: str) -> None:
    """And the reader says so."""
    again = re.search(r"<edXML:To>.*?</edXML:To>", written, flags=re.DOTALL)
    assert again is not None
    result = read_text(written.replace("<edXML:Code>", again.group().replace("H99.02", "h99.02") + "<edXML:Code>", 1))
    assert result.message.recipient_codes == ("H99.02",)
    assert codes(result) == ["recipient-twice"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\tam\\120.pdf", "120.pdf"),
        ("a\u202efdp.exe", "afdp.exe"),
        (".ssh", "ssh"),
        ("x?*.pdf", "x__.pdf"),
        ("/", "tep-1"),
    ],
)
def test_names_of_attachments_are_hostile(written: str, name: str, safe: str) -> None:
    """No directories, no control characters, nothing hidden."""
    result = read_text(written.replace("<AttachmentName>120-SMA-VP.signed.pdf<", f"<AttachmentName>{name}<"))
    assert isinstance(result.message, Envelope)
    assert result.message.attachments[0].name == safe
    assert codes(result) == ["name-replaced"]
