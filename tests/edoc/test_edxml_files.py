"""The ZIP that other writers wrap around attachments (edxml.md 7.1), step by step, and its limits."""

from __future__ import annotations

import io
import zipfile

import pytest

from edoc.edxml.files import ZIP_TYPE, decode, name_fault, safe_name, type_fault, unwrap
from edoc.edxml.limits import ReadLimits
from edoc.errors import LimitPassed

LIMITS = ReadLimits()


def zipped(*entries: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


ONE = zipped(("32da2890.xlsx", b"noi dung"))
TWO = zipped(("a.txt", b"a"), ("b.txt", b"b"))
OOXML = zipped(("[Content_Types].xml", b"<Types/>"))


@pytest.mark.parametrize(
    ("content", "name", "content_type", "result", "named", "warning"),
    [
        (b"%PDF-1.4", "120.pdf", "application/pdf", b"%PDF-1.4", "120.pdf", ""),  # 1 not a ZIP
        (ONE, "ho-so.ZIP", ZIP_TYPE, ONE, "ho-so.ZIP", ""),  # 2 named .zip
        (ONE, "bang.xlsx", ZIP_TYPE, b"noi dung", "bang.xlsx", ""),  # 3 the vendor's way
        (ONE, "bang.xlsx", "text/plain", b"noi dung", "bang.xlsx", "zip-undeclared"),  # 3 declared otherwise
        (TWO, "bang.xls", ZIP_TYPE, TWO, "bang.xls.zip", "zip-several"),  # 4
        (OOXML, "van-ban.docx", "application/docx", OOXML, "van-ban.docx", ""),  # 5 a container with one entry
        (TWO, "van-ban.docx", "application/docx", TWO, "van-ban.docx", ""),  # 5
        (ONE[:-30], "bang.xls", ZIP_TYPE, ONE[:-30], "bang.xls", "zip-unreadable"),
        (zipped(("x", b"a"), compression=zipfile.ZIP_LZMA), "x.txt", ZIP_TYPE, None, "x.txt", "zip-unreadable"),
        (zipped(("META-INF/manifest.xml", b"a")), "x.odt", ZIP_TYPE, None, "x.odt", ""),
    ],
)
def test_the_five_steps(
    content: bytes, name: str, content_type: str, result: bytes | None, named: str, warning: str
) -> None:
    """Each step of the algorithm, and archives that cannot be read are delivered as they are."""
    found = unwrap(content, name=name, content_type=content_type, limits=LIMITS)
    assert (found.content, found.name, found.warning) == (content if result is None else result, named, warning)


def test_a_zip_bomb_is_delivered_as_it_is() -> None:
    """Neither the ratio nor the size of an attachment is passed; nothing is expanded beyond them."""
    bomb = zipped(("x.txt", b"\0" * 3_000_000))
    assert unwrap(bomb, name="x.txt", content_type=ZIP_TYPE, limits=LIMITS).warning == "zip-limit"
    plain = zipped(("x.txt", b"a" * 100), compression=zipfile.ZIP_STORED)
    assert unwrap(plain, name="x.txt", content_type=ZIP_TYPE, limits=ReadLimits(attachment_bytes=99)).content == plain
    assert (
        unwrap(plain, name="x.txt", content_type=ZIP_TYPE, limits=ReadLimits(attachment_bytes=100)).content
        == b"a" * 100
    )


def test_nothing_is_unpacked_twice() -> None:
    """A ZIP inside the ZIP is the content."""
    outer = zipped(("inner.dat", ONE))
    assert unwrap(outer, name="x.dat", content_type=ZIP_TYPE, limits=LIMITS).content == ONE


def test_damaged_checksums_are_no_content() -> None:
    """A ZIP whose entry does not fit its checksum is delivered as it is."""
    archive = bytearray(zipped(("x.txt", b"a" * 50), compression=zipfile.ZIP_STORED))
    archive[60] ^= 1
    found = unwrap(bytes(archive), name="x.txt", content_type=ZIP_TYPE, limits=LIMITS)
    assert (found.content, found.warning) == (bytes(archive), "zip-unreadable")


@pytest.mark.parametrize(
    ("text", "fault"), [("QUJD", ""), ("QUI", ""), ("Q", "base64"), ("Q!==", "base64"), ("QUJD=QUJD", "base64")]
)
def test_base64_is_decoded_or_says_so(text: str, fault: str) -> None:
    """Letters outside the alphabet, padding inside, a lone letter: not decodable."""
    assert decode(text, LIMITS).fault == fault


def test_the_size_is_checked_before_decoding() -> None:
    """Sizes are those of the bytes, not of the text."""
    assert decode("QUJD", ReadLimits(attachment_bytes=3)).content == b"ABC"
    with pytest.raises(LimitPassed):
        decode("QUJDRA==", ReadLimits(attachment_bytes=3))


@pytest.mark.parametrize(
    "name", ["a/b", "a\\b", "a:b", "a*", "a?", 'a"', "a<", "a>", "a|", "a\n", ".a", "", " a", "x" * 201]
)
def test_names_the_writer_refuses_are_made_safe_by_the_reader(name: str) -> None:
    """Rule 13.6 and its counterpart."""
    assert name_fault(name) is not None
    assert name_fault(safe_name(name, 1)) is None


def test_a_long_name_keeps_its_extension() -> None:
    """200 characters at most."""
    assert safe_name("x" * 300 + ".pdf", 1) == "x" * 196 + ".pdf"


@pytest.mark.parametrize(
    ("name", "content_type", "content", "fault"),
    [
        ("a.pdf", "application/pdf", b"%PDF-1.7", None),
        ("a.pdf", "application/pdf", b"PK\x03\x04", "not-pdf"),
        ("a.pdf", "application/zip", b"%PDF-1.7", "media-type"),
        ("a", "application/pdf", b"%PDF-1.7", "extension"),
        ("a.dgn", "application/octet-stream", b"x", None),
    ],
)
def test_extension_type_and_bytes_agree(name: str, content_type: str, content: bytes, fault: str | None) -> None:
    """13.6: the extension is the true one."""
    assert type_fault(name, content_type, content) == fault
