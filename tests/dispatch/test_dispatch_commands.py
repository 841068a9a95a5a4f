"""``edoc dispatch`` as a person types it: every command, its JSON by its schema, its exit codes (console.md 4.4)."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.devpki import DevPki
from tests import world as worlds
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from transport.node.node import Node

A, B = "H99.01", "H99.02"


class Desks:
    """Two offices and a person at each desk."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.now = folder, datetime.now(UTC)
        pki = DevPki.create(at=self.now.replace(microsecond=0) - timedelta(days=1))
        worlds.build(folder, pki, self.now).close()
        self._edoc = Edoc(folder, inside=True)

    def queue(self, number: str = "120") -> str:
        """Queue a letter at A; return its ref."""
        data = worlds.letter(number, at=self.now, name=f"{number}-SMA-VP.pdf")
        with Node.open(worlds.settings_of(self.folder / A), need_exchange=True) as node:
            return f"msg:{node.send(data, now=self.now, allow_information_only=True).message_id}"

    def at(self, code: str, *line: str | Path) -> Ran:
        """Type a command at an office, and check its document by its schema."""
        return self._checked(code, "dispatch", *line)

    def ledger(self, code: str, *line: str | Path) -> Ran:
        """Type a command about the ledger at an office, and check its document by its schema."""
        return self._checked(code, "ledger", *line)

    def _checked(self, code: str, *line: str | Path) -> Ran:
        ran = self._edoc("--home", self.folder / code, *line, "--json", env={"EDOC_DEMO": "true"})
        assert problems(ran.json) == []
        return ran

    def typed(self, code: str, *line: str | Path) -> Ran:
        """Type any command at an office, for a person to read."""
        return self._edoc("--home", self.folder / code, *line, env={"EDOC_DEMO": "true"})


@pytest.fixture
def desks(tmp_path: Path) -> Desks:
    """Two offices."""
    return Desks(tmp_path)


def test_lists_and_reasons_tell_where_a_dispatch_stands(desks: Desks) -> None:
    first, second = desks.queue("119"), desks.queue("120")
    ran = desks.at(A, "list")
    assert (ran.code, [item["ref"] for item in ran.json["items"]]) == (0, [second, first])
    page = desks.at(A, "list", "--limit", "1", "--state", "queued", "--to", B, "--lane", "3").json
    assert [item["ref"] for item in page["items"]] == [second]
    rest = desks.at(A, "list", "--limit", "1", "--after", page["next"]).json
    assert [item["ref"] for item in rest["items"]] == [first]
    assert desks.at(A, "dead").json["items"] == []
    why = desks.at(A, "why", first).json["items"][0]
    assert (why["state"], why["mode"], why["attempts_log"]) == ("queued", "push", [])


@pytest.mark.parametrize("line", [("--state", "lost"), ("--lane", "4"), ("--limit", "0")])
def test_impossible_values_are_wrong_usage(desks: Desks, line: tuple[str, str]) -> None:
    assert desks.at(A, "list", *line).code == 2


def test_take_back_requeue_and_retry_change_what_the_table_allows_and_exit_1_elsewhere(desks: Desks) -> None:
    ref = desks.queue()
    assert desks.at(A, "retry", ref).code == 0
    assert desks.at(A, "take-back", ref, "--reason", "sent-by-mistake").code == 2, "asks, and nobody answers"
    taken = desks.at(A, "take-back", ref, "--reason", "sent-by-mistake", "--yes")
    assert (taken.code, taken.json["items"][0]["state"]) == (0, "recalled")
    for act in ("retry", "requeue", "take-back"):
        assert desks.at(A, act, ref, "--reason", "request", *(("--yes",) if act != "retry" else ())).code == 1
    assert desks.at(A, "take-back", ref, "--reason", "no-such", "--yes").code == 2


def test_a_message_and_its_receipt_go_by_hand(desks: Desks) -> None:
    ref, folder = desks.queue(), desks.folder
    out = desks.at(A, "export", ref, "-o", folder / "m.edxml", "--yes")
    assert (out.code, out.json["items"][0]["state"]) == (0, "unknown")
    brought = desks.at(B, "import", folder / "m.edxml")
    assert brought.code == 0
    assert brought.json["receipt"]["event"].endswith("RelayAcceptance")
    assert brought.json["path"] == str(folder / "m.receipt.xml")
    settled = desks.at(A, "import", folder / "m.receipt.xml")
    assert (settled.code, settled.json["items"][0]["state"]) == (0, "delivered")
    again = desks.at(B, "export", ref, "-o", folder / "again.xml", "--yes")
    assert again.code == 0
    assert desks.at(A, "import", folder / "again.xml").code == 0, "the same receipt once more"
    assert desks.at(A, "export", ref, "-o", folder / "n.edxml", "--yes").code == 1
    assert not (folder / "n.edxml").exists()
    assert desks.at(B, "import", folder / "m.edxml").code == 2, "no file is replaced without --force"
    (folder / "bad.edxml").write_bytes(b"<a/>")
    assert desks.at(B, "import", folder / "bad.edxml").code == 1


def test_words_for_a_person(desks: Desks) -> None:
    ref = desks.queue()
    edoc = Edoc(desks.folder, inside=True)
    ran = edoc("--home", desks.folder / A, "dispatch", "why", ref, "--lang", "vi", env={"EDOC_DEMO": "true"})
    assert "chờ đến lượt" in ran.out
    ran = edoc("--home", desks.folder / A, "dispatch", "list", "--lang", "en", env={"EDOC_DEMO": "true"})
    assert ref in ran.out


def test_two_offices_compare_their_receipts_and_a_lost_message_is_named(desks: Desks) -> None:
    ref, folder = desks.queue(), desks.folder
    desks.at(A, "export", ref, "-o", folder / "m.edxml", "--yes")
    desks.at(B, "import", folder / "m.edxml")
    desks.at(A, "import", folder / "m.receipt.xml")
    made = desks.ledger(A, "receipts", B, "-o", folder / "list.jsonl")
    assert (made.code, made.json["to"], made.json["receipts"]) == (0, B, 1)
    assert desks.ledger(A, "receipts", B, "-o", folder / "list.jsonl").code == 2, "the file is there"
    same = desks.ledger(B, "verify", "--peer", folder / "list.jsonl")
    assert (same.code, same.json["unmatched"]) == (0, [])
    with sqlite3.connect(folder / B / "edoc.db") as database:  # B as it was before: an older backup
        database.execute("PRAGMA foreign_keys = OFF")
        for table in ("inbox", "receipt"):
            for (trigger,) in database.execute(
                "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = ?", (table,)
            ).fetchall():
                database.execute(f'DROP TRIGGER "{trigger}"')
            database.execute(f"DELETE FROM {table}")  # a name of two
    lost = desks.ledger(B, "verify", "--peer", folder / "list.jsonl")
    (named,) = lost.json["unmatched"]
    assert (lost.code, named["kind"], f"msg:{named['msg']}", named["peer"]) == (3, "relayed", ref, A)
    said = desks.typed(B, "ledger", "verify", "--peer", folder / "list.jsonl")
    assert ref in said.out
    assert "nay không còn ở nút này" in said.out
    other = desks.ledger(A, "verify", "--peer", folder / "list.jsonl")
    assert (other.code, other.json["error"]["code"]) == (2, "EDOC-LED-045")


def test_what_is_no_sealed_message_is_refused_in_words_a_clerk_understands(desks: Desks) -> None:
    empty, packed = desks.folder / "empty.edxml", desks.folder / "packed.edxml"
    empty.write_bytes(b"")
    packed.write_bytes(worlds.letter("120", at=desks.now, name="120-SMA-VP.pdf"))
    for path, words in ((empty, "tệp không phải gói tin edXML"), (packed, "tệp chưa có chữ ký số gói tin")):
        ran = desks.at(B, "import", path, "-o", desks.folder / "r.xml")
        error = ran.json["error"]
        assert (ran.code, error["code"]) == (1, "EDOC-EXC-065")
        assert words in error["why"]
        assert error["detail"]["reason"] in ("not-edxml", "seal-missing"), "for programs the code stays"


def test_why_tells_attempts_and_states_in_words(desks: Desks) -> None:
    ref = desks.queue()
    desks.at(A, "export", ref, "-o", desks.folder / "m.edxml", "--yes")
    refused = desks.at(A, "requeue", ref, "--reason", "request", "--yes").json["error"]
    assert refused["why"] == "trạng thái lượt gửi: chưa rõ đã đến chưa"
    assert refused["detail"]["state"] == "unknown"
    said = desks.typed(A, "dispatch", "why", ref).out
    assert "vướng mắc gần nhất" not in said, "there was none"
    assert "None" not in said


@pytest.mark.parametrize(
    ("line", "names"),
    [
        (("--metrics-port", "99999"), "--metrics-port"),
        (("--behind-proxy", "nginx"), "--behind-proxy"),
        (("--tls-key", "k.pem"), "--tls-cert"),
    ],
)
def test_serve_names_the_option_that_is_wrong(desks: Desks, line: tuple[str, str], names: str) -> None:
    ran = desks.typed(A, "serve", "--port", "0", *line)
    assert ran.code == 2
    assert names in ran.err
