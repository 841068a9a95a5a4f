"""The watch over all logs of the test run notices what it is there for (I8)."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from tests.silence import FORBIDDEN, Listener, found_below, found_in


@pytest.mark.parametrize("word", FORBIDDEN)
def test_each_forbidden_word_is_noticed_plain_and_escaped(word: str, tmp_path: Path) -> None:
    escaped = json.dumps({"event": f"x {word} y"})
    assert found_in(f"before {word} after") == word
    assert found_in(escaped) == word
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "H99.01.log").write_text(f"{{}}\n{escaped}\n", "utf-8")
    assert [(Path(path).name, number, found) for path, number, found, _ in found_below(tmp_path)] == [
        ("H99.01.log", 2, word)
    ]
    (tmp_path / "deep" / "H99.01.log").unlink()  # the watch over this run looks here as well


def test_what_a_field_of_a_log_line_holds_is_noticed() -> None:
    listener = Listener()
    good = logging.makeLogRecord({"name": "edoc.x", "msg": "message.accepted", "k": "to/H99.01/from/H99.02/1"})
    listener.emit(good)
    assert listener.heard == []
    listener.emit(logging.makeLogRecord({"name": "edoc.x", "msg": "message.accepted", "k": "Nguyễn Văn Mẫu"}))
    assert [word for word, _ in listener.heard] == ["Nguyễn Văn Mẫu"]
