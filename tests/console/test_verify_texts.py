"""Every code has both texts; those of signing.md 8 stand word by word; changes and limits are said in words."""

import re
import tomllib
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import pytest

from signer.report import SUB_INDICATIONS, Change, Code
from signer.trust import Limits
from transport.present import catalogue
from transport.present.text import json_time, person_time, sanitise
from transport.present.verify import change_text

VECTORS = Path(__file__).resolve().parents[1] / "vectors" / "reason_texts.toml"
STATED = tomllib.loads(VECTORS.read_text("utf-8"))
KINDS = (
    "validation-data", "timestamp", "metadata", "rewrite", "structure", "signature", "empty-field", "form-fill",
    "form-change", "annotation", "overlay", "page", "layer", "action", "attachment", "signature-altered",
    "form-structure", "other",
)  # fmt: skip


@pytest.mark.parametrize("code", [code.value for code in Code])
def test_every_code_has_both_texts_in_lower_case_without_full_stop(code: str) -> None:
    texts = catalogue.read("reasons")[code]
    assert isinstance(texts, dict)
    assert set(texts) == {"vi", "en"}
    for text in texts.values():
        assert text
        assert not text.endswith(".")
        assert text[0] in '{«"' or text[0] == text[0].lower() or text.split()[0].isupper()
        assert sanitise(text) == text
    assert set(re.findall(r"\{\w+\}", texts["vi"])) == set(re.findall(r"\{\w+\}", texts["en"]))


@pytest.mark.parametrize("code", sorted(STATED))
def test_the_texts_of_the_specification_stand_word_by_word(code: str) -> None:
    assert catalogue.read("reasons")[code] == STATED[code]


def test_no_text_is_left_of_a_code_that_does_not_exist() -> None:
    assert set(catalogue.read("reasons")) == {code.value for code in Code}


def test_every_sub_indication_is_a_code_of_its_own() -> None:
    assert {code.value for code in SUB_INDICATIONS} <= {code.value for code in Code}
    assert len(SUB_INDICATIONS) == 24


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_every_kind_of_change_is_said_in_words(kind: str, lang: str) -> None:
    """With all facts, with none, and never with braces or a lone dash."""
    whole = change_text(Change(3, kind, True, {"field": "Số", "page": "1", "after": "2"}), lang)
    bare = change_text(Change(3, kind, True), lang)
    for text in (whole, bare):
        assert text
        assert "{" not in text
        assert not text.endswith("-")
    assert "1" in whole
    assert "2" in whole


def test_a_filled_field_is_said_as_the_specification_says_it() -> None:
    change = Change(3, "form-fill", True, {"field": "Số", "page": "1", "after": "2"})
    assert change_text(change, "vi") == "trang 1: ô «Số» được điền sau chữ ký 2"


def test_a_suspect_change_names_its_kind_in_words() -> None:
    text = catalogue.reason("LATER_CHANGE_SUSPECT", {"change": "overlay", "page": "2"}, "vi")
    assert text == "sau khi ký có thay đổi không được phép: trang 2: có lớp che lên nội dung"


@pytest.mark.parametrize("limit", [field.name for field in fields(Limits)])
def test_every_limit_has_a_name_for_people(limit: str) -> None:
    for lang in ("vi", "en"):
        assert catalogue.has_word(f"fact.{limit}")
        assert "_" not in catalogue.reason("LIMIT_EXCEEDED", {"limit": limit}, lang)


def test_facts_from_files_are_never_taken_for_words_of_ours() -> None:
    """A file that is called like a word of the program keeps its name; braces in it do nothing."""
    assert "«content»" in catalogue.reason("CONTENT_NOT_SIGNED", {"name": "content"}, "vi")
    assert "{limit}" in catalogue.reason("CONTENT_NOT_SIGNED", {"name": "{limit}", "limit": "x"}, "vi")


def test_times_at_the_ends_of_the_calendar_are_shown_as_they_are() -> None:
    """Certificates without end name the last second of the year 9999; seven hours later there is no date."""
    end = datetime.max.replace(microsecond=0, tzinfo=UTC)
    assert json_time(end) == "9999-12-31T23:59:59+00:00"
    assert person_time(end) == "31/12/9999 23:59:59 +00:00"
    assert json_time(datetime(2026, 11, 20, 5, tzinfo=UTC)) == "2026-11-20T12:00:00+07:00"
