"""What a PDF shows as pictures: scans, their resolution and colour (R48)."""

from __future__ import annotations

import zlib

import pytest

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.scans import scan_facts
from tests.signer_pdf.files import CATALOG, PAGES, build, simple, update

A4 = (595.276, 841.89)


def picture(width: int, height: int, *, space: bytes = b"/DeviceRGB", more: bytes = b"") -> bytes:
    """Return a picture of one colour."""
    grey = space in (b"/DeviceGray", b"/CalGray")
    raw = zlib.compress(b"\x80" * (width * height * (1 if grey else 3)), 1)
    head = b"<< /Type /XObject /Subtype /Image /Width %d /Height %d /ColorSpace %s /BitsPerComponent 8 %s"
    return (head + b" /Filter /FlateDecode /Length %d >>\nstream\n") % (width, height, space, more, len(raw)) + (
        raw + b"\nendstream"
    )


def scan(
    dpi: float = 200,
    *,
    space: bytes = b"/DeviceRGB",
    size: tuple[float, float] = A4,
    content: bytes | None = None,
    page: bytes = b"",
    parent: bytes = b"",
) -> bytes:
    """Return a page that is one picture of this resolution, as scanners write it."""
    width, height = (round(points / 72 * dpi) for points in size)
    drawn = content or b"q %.3f 0 0 %.3f 0 0 cm /Im0 Do Q" % size
    resources = b"" if parent else b"/Resources << /XObject << /Im0 5 0 R >> >>"
    sheet = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 %.3f %.3f] /Contents 4 0 R %s %s >>"
    return build(
        [
            CATALOG % b"",
            PAGES if not parent else PAGES.replace(b">>", parent + b" >>"),
            sheet % (*size, resources, page),
            b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
            picture(width, height, space=space),
        ]
    )


def one(data: bytes) -> tuple[int | None, bool | None]:
    (page,) = scan_facts(data).pages
    return page.dpi, page.colour


@pytest.mark.parametrize("dpi", [100, 150, 200, 300])
def test_the_resolution_of_a_scan_is_told_in_dots_per_inch(dpi: int) -> None:
    facts = scan_facts(scan(dpi))
    (page,) = facts.pages
    assert (facts.version, page.is_scan, page.dpi, page.colour) == ("1.7", True, dpi, True)
    assert [round(side) for side in page.size_mm] == [210, 297]
    assert page.cover == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(
    ("space", "colour"),
    [
        (b"/DeviceRGB", True),
        (b"/DeviceGray", False),
        (b"[/Indexed /DeviceRGB 1 <000000FFFFFF>]", True),
        (b"[/Indexed /DeviceGray 1 <00FF>]", False),
        (b"[/CalRGB << /WhitePoint [1 1 1] >>]", True),
        (b"[/ICCBased 99 0 R]", None),
        (b"null", None),
    ],
)
def test_the_colour_space_tells_whether_a_scan_is_in_colour(space: bytes, colour: bool | None) -> None:
    assert one(scan(50, space=space)) == (50, colour)


def test_a_page_of_text_is_no_scan() -> None:
    (page,) = scan_facts(simple()).pages
    assert (page.is_scan, page.dpi, page.cover) == (False, None, 0.0)


def test_a_small_picture_on_a_page_makes_no_scan_of_it() -> None:
    assert one(scan(50, content=b"q 200 0 0 200 50 50 cm /Im0 Do Q")) == (None, None)


@pytest.mark.parametrize(
    "content",
    [
        b"q q 2 0 0 2 0 0 cm Q 595.276 0 0 841.89 0 0 cm /Im0 Do Q",
        b"0.5 0 0 0.5 0 0 cm 1190.552 0 0 1683.78 0 0 cm /Im0 Do",
        b"q 0 841.89 595.276 0 0 0 cm /Im0 Do Q",  # lying in the file, upright on the page
        b"BT (q \\( Do) Tj ET q 595.276 0 0 841.89 0 0 cm % /Im0 Do\n/Im0 Do Q",
    ],
)
def test_a_picture_is_found_wherever_content_puts_it(content: bytes) -> None:
    dpi, colour = one(scan(60, content=content))
    assert dpi in range(42, 61)
    assert colour is True


def test_pictures_in_forms_and_inherited_resources_are_found() -> None:
    assert one(scan(50, parent=b"/Resources << /XObject << /Im0 5 0 R >> >>")) == (50, True)
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 1 1] /Matrix [595.276 0 0 841.89 0 0] /Resources << /XObject"
    form += b" << /X 5 0 R >> >> /Length 5 >>\nstream\n/X Do\nendstream"
    nested = update(
        scan(50, content=b"/F Do"),
        {
            6: form,
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.276 841.89] /Contents 4 0 R "
            b"/Resources << /XObject << /F 6 0 R >> >> >>",
        },
    )
    assert one(nested) == (50, True)


def test_of_layers_the_finest_counts_and_one_in_colour_is_enough() -> None:
    mask = (
        b"<< /Type /XObject /Subtype /Image /ImageMask true /Width 1654 /Height 2339 /Length 0 >>\nstream\n\nendstream"
    )
    layered = update(
        scan(72, content=b"q 595.276 0 0 841.89 0 0 cm /Im0 Do /Im1 Do Q"),
        {
            6: mask,
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.276 841.89] /Contents 4 0 R "
            b"/Resources << /XObject << /Im0 5 0 R /Im1 6 0 R >> >> >>",
        },
    )
    assert one(layered) == (200, True)


def test_the_unit_of_the_page_counts() -> None:
    assert one(scan(100, page=b"/UserUnit 2")) == (50, True)


def test_a_form_that_draws_itself_ends() -> None:
    form = b"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F 6 0 R >> >> /Length 11 >>"
    looped = update(
        scan(50, content=b"/F Do"),
        {
            6: form + b"\nstream\n/F Do /F Do\nendstream",
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R "
            b"/Resources << /XObject << /F 6 0 R >> >> >>",
        },
    )
    assert one(looped) == (None, None)


def test_endless_content_is_over_a_limit() -> None:
    with pytest.raises(LimitExceeded):
        scan_facts(scan(10, content=b"q Q " * 110_000))


@pytest.mark.parametrize("data", [b"", b"no PDF at all", b"%PDF-1.4\nnothing\n%%EOF\n"])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(InputRefused):
        scan_facts(data)
