"""The demonstration as a person runs it, and what its two nodes answer afterwards, every document by its schema."""

import os
from pathlib import Path

import pytest

from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems

pytestmark = [pytest.mark.process, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Edoc, Ran]:
    """The demonstration, told once."""
    edoc = Edoc(tmp_path_factory.mktemp("demo"))
    return edoc, edoc("demo", "--json")


def at(told: tuple[Edoc, Ran], office: str, *line: str | Path) -> Ran:
    """Run a command at one of the two offices."""
    edoc = told[0].here()
    return edoc("--home", edoc.folder / "edoc-demo" / office, *line, "--json", env={"EDOC_DEMO": "true"})


def test_every_step_of_the_demonstration_holds(told: tuple[Edoc, Ran]) -> None:
    edoc, ran = told
    assert problems(ran.json) == []
    assert [step["text"] for step in ran.json["steps"] if not step["ok"]] == []
    assert ran.code == 0
    assert ran.json["dir"] == "edoc-demo"
    left = set(os.listdir(edoc.folder / "edoc-demo"))
    assert {"letter.signed.pdf", "letter.edxml", "evidence.asice", "tampered.pdf", "a", "b", "trust"} <= left


def test_lists_and_documents_of_both_offices_fit_their_schemas(told: tuple[Edoc, Ran]) -> None:
    sent, arrived = at(told, "a", "outbox"), at(told, "b", "inbox")
    for ran in (sent, arrived):
        assert (ran.code, problems(ran.json)) == (0, [])
        assert len(ran.json["items"]) >= 1
    assert {row["message_id"] for row in sent.json["items"]} == {row["message_id"] for row in arrived.json["items"]}
    for office, rows in (("a", sent.json["items"]), ("b", arrived.json["items"])):
        for row in rows:
            ref = f"msg:{row['message_id']}"
            for command in ("show", "status"):
                ran = at(told, office, command, ref)
                assert (ran.code, problems(ran.json)) == (0, []), command
    node = at(told, "b", "status")
    assert (node.code, problems(node.json)) == (0, [])
    assert node.json["counts"]


def test_a_file_of_a_document_is_taken_out_as_it_was_exchanged(told: tuple[Edoc, Ran]) -> None:
    edoc, _ = told
    demo = edoc.folder / "edoc-demo"
    taken = at(told, "b", "show", "in:1", "--file", "1", "-o", edoc.folder / "taken.pdf")
    assert (taken.code, problems(taken.json)) == (0, [])
    assert (edoc.folder / "taken.pdf").read_bytes() == (demo / "letter.signed.pdf").read_bytes()


def test_sending_the_same_file_again_returns_the_same_ids(told: tuple[Edoc, Ran]) -> None:
    edoc, _ = told
    file = edoc.folder / "edoc-demo" / "letter.edxml"
    first, second = (at(told, "a", "send", file, "--queue-only", "--yes") for _ in range(2))
    assert problems(first.json) == []
    assert first.json == second.json
    assert (first.code, first.json["dispatches"][0]["state"]) == (0, "delivered")
    dry = at(told, "a", "send", file, "--dry-run")
    assert (dry.code, dry.json["dry_run"], problems(dry.json)) == (0, True, [])


def test_what_was_decided_is_not_decided_again(told: tuple[Edoc, Ran]) -> None:
    accepted = at(told, "b", "accept", "in:1")
    assert accepted.code == 1
    returned = at(told, "b", "return", "in:1", "--reason", "wrong-recipient", "--by", "Lê Văn Mẫu", "--yes")
    assert returned.code == 1
    other = at(told, "b", "return", "in:1", "--reason", "other", "--by", "Lê Văn Mẫu", "--yes")
    assert (other.code, other.json["error"]["code"]) == (2, "EDOC-USE-003")
    step = at(told, "b", "status", "in:1", "--set", "assigned", "--unit", "Phòng Tổng hợp")
    assert (step.code, problems(step.json)) == (0, [])


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (("show", "999/KHONG-CO"), 2),
        (("send", "nothing.edxml"), 2),
        (("outbox", "--to", "H99.77"), 2),
        (("inbox", "--limit", "0"), 2),
        (("evidence", "999/KHONG-CO", "-o", "e.asice"), 2),
    ],
)
def test_what_is_not_there_is_said_with_its_exit_code(told: tuple[Edoc, Ran], line: tuple[str, ...], code: int) -> None:
    ran = at(told, "a", *line)
    assert (ran.code, ran.json["schema"]) == (code, "edoc.error/1")
    assert ran.json["error"]["next"]
    assert problems(ran.json) == []


def test_evidence_is_exported_and_audited_without_a_node(told: tuple[Edoc, Ran]) -> None:
    edoc, _ = told
    demo = edoc.folder / "edoc-demo"
    made = at(told, "b", "evidence", "in:1", "-o", edoc.folder / "b.asice")
    assert made.code in {0, 3}
    assert problems(made.json) == []
    assert made.json["result"] in {"proved", "not-proved"}
    audited = edoc("audit", demo / "evidence.asice", "--trust", demo / "trust", "--json")
    assert (audited.code, problems(audited.json)) == (3, [])
    item = audited.json["items"][0]
    words = {check["id"]: check["result"] for check in item["checks"] if check["event"] is None}
    assert "broken" not in words.values()
    assert words["container"] == words["seal"] == "proved"
    asked = edoc("audit", demo / "evidence.asice", "--trust", demo / "trust", "--only", "container,seal", "--json")
    assert (asked.code, asked.json["only"]) == (0, ["container", "seal"])
    changed = edoc("audit", demo / "evidence.tampered.asice", "--trust", demo / "trust", "--json")
    assert changed.code == 1
    nothing = edoc("audit", demo / "letter.pdf", "--json")
    assert (nothing.code, problems(nothing.json)) == (2, [])
    unknown = edoc("audit", demo / "evidence.asice", "--only", "container,nonsense", "--json")
    assert unknown.code == 2


def test_a_letter_at_the_desk_of_an_agency_has_its_legal_class(told: tuple[Edoc, Ran]) -> None:
    edoc, _ = told
    letter = edoc.folder / "edoc-demo" / "letter.signed.pdf"
    online = ("--online",)
    found = at(told, "a", "verify", letter, *online)
    assert problems(found.json) == []
    assert found.json["network"] == "online"
    assert found.json["files"][0]["legal_class"] in {"original", "information-only"}
    theirs = at(told, "a", "verify", letter, "--agency", "H99.02")
    assert theirs.code in {1, 3}
    assert theirs.code == 1
    nobody = at(told, "a", "verify", letter, "--agency", "H99.77")
    assert nobody.code in {1, 2}


def test_both_ledgers_verify_and_prove(told: tuple[Edoc, Ran]) -> None:
    for office in ("a", "b"):
        found = at(told, office, "ledger", "verify")
        assert (found.code, found.json["result"], problems(found.json)) == (0, "proved", [])
        head = at(told, office, "ledger", "head")
        assert problems(head.json) == []
        proof = at(told, office, "ledger", "prove", str(head.json["size"] - 1))
        assert (proof.code, problems(proof.json)) == (0, [])
