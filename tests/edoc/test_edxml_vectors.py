"""Every sample message is read with the outcome that edxml.md predicts, and the examples are written byte for byte."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from edoc.edxml import read, serialize, write
from edoc.envelopes import Envelope, StatusMessage
from edoc.errors import EdocError
from signer.safexml import parse_tolerant
from signer.trust import Limits

VECTORS = Path(__file__).parent.parent / "vectors" / "edxml"
EXPECTED = tomllib.loads((VECTORS / "expected.toml").read_text("utf-8"))


def test_every_file_has_an_expectation_and_every_expectation_a_file() -> None:
    """A vector nobody judges proves nothing."""
    files = {
        str(path.relative_to(VECTORS))
        for folder in ("verbatim", "derived", "examples")
        for path in (VECTORS / folder).iterdir()
    }
    assert files == set(EXPECTED)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_a_sample_is_read_as_expected(name: str) -> None:
    """Kind, status, warnings, attachments; or the code of the refusal."""
    expected = EXPECTED[name]
    tree, _ = parse_tolerant((VECTORS / name).read_bytes(), limits=Limits())
    if expected["outcome"].startswith("EDOC-"):
        with pytest.raises(EdocError) as refused:
            read(tree)
        assert refused.value.code == expected["outcome"]
        return
    result = read(tree)
    assert [warning.code for warning in result.warnings] == expected.get("warnings", [])
    if isinstance(result.message, StatusMessage):
        assert (expected["outcome"], expected["status"]) == ("status", result.message.code)
    else:
        files = [[item.name, len(item.content)] for item in result.message.attachments]
        assert (expected["outcome"], expected["attachments"]) == ("document", files)


@pytest.mark.parametrize("name", sorted(EXPECTED))
def test_the_strict_reader_takes_only_what_we_would_have_written(name: str) -> None:
    """Files of other writers are refused with the first breach, the examples are taken."""
    tree, _ = parse_tolerant((VECTORS / name).read_bytes(), limits=Limits())
    try:
        read(tree, strict=True)
        code = ""
    except EdocError as error:
        code = error.code
    assert code == EXPECTED[name]["strict"]


@pytest.mark.parametrize("name", sorted(name for name in EXPECTED if name.startswith("examples/")))
def test_an_example_of_chapter_14_is_written_byte_for_byte(name: str) -> None:
    """Reading and writing again gives the same bytes, indentation and empty elements included."""
    data = (VECTORS / name).read_bytes()
    tree, _ = parse_tolerant(data, limits=Limits())
    assert serialize(write(read(tree, strict=True).message)) == data


def test_values_of_a_sample_are_those_of_the_file() -> None:
    """The gateway's file: both trace headers without a code, a directive's report, one urgent document."""
    tree, _ = parse_tolerant((VECTORS / "verbatim/gateway-document-damaged-pdf.edxml").read_bytes(), limits=Limits())
    message = read(tree).message
    assert isinstance(message, Envelope)
    assert [hop.organ_id for hop in message.trace] == ["", ""]
    assert (message.document.steering, message.document.priority, message.document.pages) == (2, 1, 5)
    assert message.document.appendices == ("Phụ lục 1", "Phụ lục 2")
    assert message.document.to_places == ("Các phòng ban", "Ban lãnh đạo")
