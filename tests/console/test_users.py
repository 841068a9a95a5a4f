"""Accounts, the authority table and the agency's key at the console (console.md 4.6; R26, R29, R37)."""

import json
import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject, pem
from tests.console.conftest import Edoc, Ran
from tests.console.schema import problems
from transport import settings
from transport.ledger.keys import LogKey
from transport.store.log import Log
from transport.store.store import Store

ORIGIN = "a.example/edoc-ledger/2026"
TODAY = (datetime.now(UTC) + timedelta(hours=7)).date()
TUQ = ("--position", "Chánh Văn phòng", "--capacity", "TUQ.", "--basis", "GUQ 3")


@pytest.fixture
def node(edoc: Edoc) -> Edoc:
    """A node of H99.01 with an opened log, a leader and a clerk."""
    found = settings.load(home=edoc.home, config=None, environ={}, overrides={})
    key = LogKey.generate(ORIGIN)
    log = Log(key)
    with Store.create(found, log) as store:
        store.do(lambda unit: log.open_first(unit.connection, statement_sha256="0" * 64, at=datetime.now(UTC)))
    keys = edoc.home / "keys"
    keys.mkdir(mode=0o700)
    (keys / "ledger-origin.txt").write_text(ORIGIN, "ascii")
    (keys / "ledger-2026.pem").write_bytes(key.to_pem())
    (edoc.home / "edoc.toml").write_text('[agency]\ncode = "H99.01"\nname = "Sở Mẫu A"\n', "utf-8")
    desk = edoc.here()
    assert desk("user", "add", "mau", "--name", "Nguyễn Văn Mẫu", "--role", "leader").code == 0
    assert desk("user", "add", "vanthu", "--name", "Trần Thị Mẫu", "--role", "clerk").code == 0
    return desk


@pytest.fixture
def leader(pki: DevPki) -> DevIdentity:
    return pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))


def grant(node: Edoc, *words: str, name: str = "mau") -> Ran:
    return node("user", "grant", name, *words, "--json")


def refused(ran: Ran) -> tuple[int, str, str]:
    """Return exit code, code and sentence of a call that failed as a whole."""
    assert problems(ran.json) == []
    error = ran.json["error"]
    return ran.code, error["code"], " ".join([error["message"], error["why"] or "", error["next"]])


def test_accounts_are_added_and_listed_with_their_roles(node: Edoc) -> None:
    listed = node("user", "list", "--json")
    assert problems(listed.json) == []
    assert [(one["name"], one["full_name"], one["roles"], one["active"]) for one in listed.json["users"]] == [
        ("mau", "Nguyễn Văn Mẫu", ["leader"], True),
        ("vanthu", "Trần Thị Mẫu", ["clerk"], True),
    ]
    assert node("user", "list").out.splitlines()[0].split("\t")[:3] == ["mau", "Nguyễn Văn Mẫu", "leader"]


def test_a_name_is_given_once(node: Edoc) -> None:
    code, error, said = refused(node("user", "add", "mau", "--role", "leader", "--json"))
    assert (code, error) == (1, "EDOC-USE-071")
    assert "đã có tài khoản" in said


def test_a_word_that_is_no_role_is_refused(node: Edoc) -> None:
    code, error, said = refused(node("user", "add", "x", "--role", "boss", "--json"))
    assert (code, error) == (2, "EDOC-USE-004")
    assert "clerk|leader|auditor|admin" in said


def test_roles_are_replaced_and_admin_with_clerk_is_warned_of(node: Edoc) -> None:
    ran = node("user", "role", "vanthu", "--role", "clerk", "--role", "admin")
    assert ran.code == 0
    assert "vừa là quản trị vừa là văn thư" in ran.err
    assert node("user", "role", "vanthu", "--role", "auditor", "--json").json["users"][0]["roles"] == ["auditor"]


def test_an_unknown_account_names_the_nearest(node: Edoc) -> None:
    code, error, said = refused(node("user", "role", "vanth", "--role", "clerk", "--json"))
    assert (code, error) == (2, "EDOC-USE-070")
    assert "vanthu" in said


def test_an_authority_is_entered_with_its_days_scope_and_basis(node: Edoc) -> None:
    words = ("--position", "Phó Giám đốc", "--capacity", "kt", "--type", "QĐ", "--area", "Đất đai")
    ran = grant(node, *words, "--from", "2026-01-01", "--to", "2027-12-31", "--basis", "QĐ 12/QĐ-SMA")
    assert ran.code == 0
    assert problems(ran.json) == []
    (found,) = ran.json["users"][0]["grants"]
    assert (found["kind"], found["agency"], found["capacity"]) == ("authority", "H99.01", "KT.")
    assert (found["position"], found["types"], found["areas"]) == ("Phó Giám đốc", ["QĐ"], ["Đất đai"])
    assert (found["valid_from"], found["valid_to"], found["basis"]) == ("2026-01-01", "2027-12-31", "QĐ 12/QĐ-SMA")
    shown = node("user", "list").out
    assert "1. KT. Phó Giám đốc (H99.01)" in shown


@pytest.mark.parametrize(
    ("words", "expected", "sentence"),
    [
        ((), (2, "EDOC-USE-074"), "chưa nêu quyền"),
        (("--capacity", "KT.", "--basis", "X"), (2, "EDOC-USE-003"), "--position"),
        (("--position", "Giám đốc", "--capacity", "THAY", "--basis", "X"), (2, "EDOC-DOC-070"), "TM., Q., KT."),
        (("--position", "Giám đốc"), (2, "EDOC-DOC-072"), "thiếu văn bản làm căn cứ"),
        (
            ("--position", "Giám đốc", "--basis", "X", "--from", "2026-02-01", "--to", "2026-01-01"),
            (2, "EDOC-DOC-071"),
            "sớm hơn ngày bắt đầu",
        ),
        ((*TUQ, "--type", "QĐ"), (1, "EDOC-DOC-073"), "phải giới hạn thời gian"),
        ((*TUQ, "--to", "2027-12-31"), (1, "EDOC-DOC-074"), "phải giới hạn nội dung"),
        ((*TUQ, "--to", "2027-12-31", "--area", "\u200b"), (2, "EDOC-USE-004"), "1…"),
        (("--position", "Giám đốc", "--basis", "X", "--source", "9"), (2, "EDOC-DOC-079"), "không có quyền số 9"),
        (("--position", "Giám đốc", "--basis", "X", "--from", "hôm nay"), (2, "EDOC-USE-004"), "YYYY-MM-DD"),
        (("--agency-key", "vanthu", "--basis", "X"), (2, "EDOC-USE-004"), "all"),
        (("--agency-key", "all"), (2, "EDOC-DOC-072"), "thiếu văn bản làm căn cứ"),
        (("--agency-key", "all", "--position", "X", "--basis", "X"), (2, "EDOC-USE-016"), "--agency-key"),
        (("--end", "7", "--to", "2026-01-01", "--basis", "X"), (2, "EDOC-USE-075"), "không có quyền số 7"),
        (("--end", "7", "--to", "2026-01-01"), (2, "EDOC-USE-003"), "--basis"),
    ],
)
def test_what_the_rules_do_not_allow_is_refused_with_its_reason(
    node: Edoc, words: Sequence[str], expected: tuple[int, str], sentence: str
) -> None:
    code, error, said = refused(grant(node, *words))
    assert (code, error) == expected
    assert sentence in said
    assert all(one["grants"] == [] for one in node("user", "list", "--json").json["users"])


def test_tuq_is_not_passed_on_and_tl_only_to_a_deputy(node: Edoc) -> None:
    end = f"{TODAY.year + 1}-12-31"
    assert grant(node, *TUQ, "--type", "QĐ", "--to", end).code == 0
    again = ("--position", "Phó phòng", "--type", "QĐ", "--to", end, "--basis", "X")
    code, error, said = refused(grant(node, *again, "--capacity", "KT.", "--source", "1", name="vanthu"))
    assert (code, error) == (1, "EDOC-DOC-075")
    assert "không được ủy quyền lại" in said
    assert grant(node, "--position", "Trưởng phòng", "--capacity", "TL.", "--basis", "QĐ 7").code == 0
    code, error, said = refused(grant(node, *again, "--capacity", "TUQ.", "--source", "2", name="vanthu"))
    assert (code, error) == (1, "EDOC-DOC-076")
    assert "cấp phó" in said
    passed = grant(node, *again, "--capacity", "KT.", "--source", "2", name="vanthu")
    assert passed.json["users"][0]["grants"][0]["source"] == 2
    code, error, said = refused(grant(node, *again, "--capacity", "TL.", "--source", "3"))
    assert (code, error) == (1, "EDOC-DOC-077")
    assert "không giao được thẩm quyền này" in said


def test_nothing_is_passed_on_longer_than_it_was_held(node: Edoc) -> None:
    held = ("--position", "Giám đốc", "--from", "2026-01-01", "--to", "2026-12-31", "--basis", "QĐ 1")
    assert grant(node, *held).code == 0
    longer = ("--position", "Phó Giám đốc", "--capacity", "KT.", "--source", "1", "--basis", "QĐ 2")
    code, error, said = refused(grant(node, *longer, "--from", "2026-01-01", name="vanthu"))
    assert (code, error) == (1, "EDOC-DOC-078")
    assert "2026" in said


def test_a_right_to_the_agency_key_is_handed_over_and_ended(node: Edoc) -> None:
    words = ("--agency-key", "all", "--from", "2026-08-01", "--to", "2099-08-15", "--basis", "Giấy giao nhận 5")
    (found,) = grant(node, *words, name="vanthu").json["users"][0]["grants"]
    assert (found["kind"], found["key"], found["basis"]) == ("agency-key", None, "Giấy giao nhận 5")
    end = ("--end", str(found["id"]), "--agency-key", "all", "--to", "2026-08-31", "--basis", "Giấy giao nhận 6")
    (ended,) = grant(node, *end, name="vanthu").json["users"][0]["grants"]
    assert (ended["ended_on"], ended["holds"]) == ("2026-08-31", TODAY.isoformat() <= "2026-08-31")


def test_an_authority_is_ended_and_stays_in_the_table(node: Edoc) -> None:
    assert grant(node, "--position", "Giám đốc", "--from", "2026-01-01", "--basis", "QĐ 1").code == 0
    ran = grant(node, "--end", "1", "--to", "2026-03-31", "--basis", "QĐ 2")
    assert [(one["valid_to"], one["ended_on"], one["holds"]) for one in ran.json["users"][0]["grants"]] == [
        (None, "2026-03-31", False)
    ]


def test_a_closed_account_is_given_nothing_more(node: Edoc) -> None:
    assert node("user", "disable", "mau", "--json").json["users"][0]["active"] is False
    code, error, said = refused(grant(node, "--position", "Giám đốc", "--basis", "QĐ 1"))
    assert (code, error) == (1, "EDOC-USE-072")
    assert "đã khóa" in said


def test_a_certificate_is_linked_to_one_person(node: Edoc, leader: DevIdentity) -> None:
    (node.folder / "mau.pem").write_bytes(pem(leader.certificate))
    (found,) = grant(node, "--cert", "mau.pem").json["users"][0]["certificates"]
    assert found["sha256"] == leader.credential.sha256
    code, error, said = refused(grant(node, "--cert", "mau.pem", name="vanthu"))
    assert (code, error) == (1, "EDOC-USE-073")
    assert "«mau»" in said
    assert refused(node("user", "add", "khac", "--role", "leader", "--cert", "mau.pem", "--json"))[1] == error


def test_an_imported_key_is_linked_to_its_person(node: Edoc, leader: DevIdentity) -> None:
    (node.folder / "mau.key.pem").write_bytes(leader.pem)
    words = ("key", "import", "mau.key.pem", "--name", "lanhdao", "--json")
    wrong = refused(node(*words, "--role", "agency", "--link", "mau"))
    assert (wrong[0], wrong[1]) == (2, "EDOC-USE-004")
    code, error, _ = refused(node(*words, "--role", "person", "--link", "ai-do"))
    assert (code, error) == (2, "EDOC-USE-070")
    assert node("key", "list").out == ""
    assert node(*words, "--role", "person", "--link", "mau").code == 0
    users = {one["name"]: one for one in node("user", "list", "--json").json["users"]}
    assert [one["sha256"] for one in users["mau"]["certificates"]] == [leader.credential.sha256]


def test_every_change_of_rights_stands_in_the_ledger_without_names(node: Edoc) -> None:
    assert grant(node, "--position", "Giám đốc", "--basis", "QĐ 1").code == 0
    assert node("user", "disable", "vanthu").code == 0
    with sqlite3.connect(node.home / "edoc.db") as made:
        leaves = [json.loads(data) for (data,) in made.execute("SELECT data FROM ledger_leaf WHERE data IS NOT NULL")]
    acts = [leaf["action"] for leaf in leaves if leaf["kind"] == "operation"]
    assert acts == ["user.add", "user.add", "user.grant", "user.disable"]
    assert "Mẫu" not in json.dumps(leaves, ensure_ascii=False)


def test_a_person_may_have_any_name_and_it_changes_nothing_on_the_terminal(node: Edoc) -> None:
    assert node("user", "add", "x", "--name", "A\u202eB [red]", "--role", "leader", "--json").code == 2
    assert node("user", "add", "y", "--name", "A [red]B[/red]", "--role", "leader").code == 0
    assert "A [red]B[/red]" in node("user", "list").out


# --- a database one step behind --------------------------------------------------------------------------------------


@pytest.fixture
def older(edoc: Edoc) -> Edoc:
    """A home whose database was made by the program before."""
    from alembic import command
    from alembic.config import Config

    from transport.store import schema
    from transport.store.engine import database_url, writer_engine

    edoc.home.mkdir(mode=0o700)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    engine = writer_engine(database_url(None, edoc.home))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    return edoc.here()


def test_an_older_database_is_migrated_by_command_after_a_copy(older: Edoc) -> None:
    said = refused(older("user", "list", "--json"))
    assert (said[0], said[1]) == (6, "EDOC-CFG-008")
    assert "edoc migrate" in said[2]
    look = older("migrate", "--check", "--json")
    assert (look.code, look.json["pending"][0], look.json["applied"]) == (1, "0002", [])
    newest = int(look.json["pending"][-1])
    ran = older("migrate", "--json")
    assert (ran.code, ran.json["from"], ran.json["to"], ran.json["applied"]) == (0, 1, newest, look.json["pending"])
    assert problems(ran.json) == []
    copy = Path(ran.json["backup"])
    assert (copy.stat().st_mode & 0o777) == 0o600
    with sqlite3.connect(copy) as made:
        assert made.execute("SELECT version_num FROM alembic_version").fetchone() == ("0001",)
    again = older("migrate", "--check", "--json")
    assert (again.code, again.json["pending"]) == (0, [])
    assert older("user", "list", "--json").json["users"] == []


def test_a_database_of_a_newer_program_is_left_alone(older: Edoc) -> None:
    with sqlite3.connect(older.home / "edoc.db") as made:
        made.execute("UPDATE alembic_version SET version_num = '0999'")
    said = refused(older("migrate", "--json"))
    assert (said[0], said[1]) == (6, "EDOC-CFG-009")
    assert not (older.home / "backups").exists()
