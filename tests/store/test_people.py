"""Accounts and the authority table in the store, and a database one step behind (R26, R29, R37; exchange.md 9)."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config

from edoc.authorities import AuthorityTable, KeyRight, Question
from edoc.capacities import Authority, Capacity
from transport.errors import SettingsError, StoreError
from transport.settings import Settings
from transport.store import people, quick, schema
from transport.store.engine import database_url, revision_of, writer_engine
from transport.store.people import Change, OwnCertificate
from transport.store.store import Conflict, Store, migrate

NOW = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
CERTIFICATE = OwnCertificate("0A", "CN=THU NGHIEM", "11" * 32, b"der")
ENTRY = Authority(
    0,
    "mau",
    "H99.01",
    Capacity.TUQ,
    "Chánh Văn phòng",
    date(2026, 1, 1),
    date(2026, 12, 31),
    types=("QĐ", "Thông báo"),
    areas=("đất đai",),
    basis="QĐ 12/QĐ-SMA",
)


def change(action: str, *, at: datetime = NOW) -> Change:
    return Change(action, "quantri", at)


def with_people(store: Store) -> None:
    """Enter a leader with a certificate and an authority, and a clerk with the agency's key."""
    store.do(lambda unit: people.add(unit, "mau", "Nguyễn Văn Mẫu", ("leader",), change=change("user.add")))
    store.do(lambda unit: people.add(unit, "vanthu", "Trần Thị Mẫu", ("clerk",), change=change("user.add")))
    store.do(lambda unit: people.link(unit, "mau", CERTIFICATE, change=change("user.link")))
    store.do(lambda unit: people.grant(unit, ENTRY, change=change("user.grant")))
    right = KeyRight(0, "vanthu", "H99.01", date(2026, 1, 1), basis="Giấy giao 5")
    store.do(lambda unit: people.grant_key(unit, right, change=change("user.grant")))


class Signed:
    serial, issuer, certificate_sha256 = "0A", "CN=THU NGHIEM", "11" * 32


def test_what_is_entered_is_what_is_read_by_both_ways(store: Store) -> None:
    with_people(store)
    table = store.read(people.load)
    assert table == quick.authority_table(store.home)
    found = table.judge(Signed(), Question("H99.01", NOW.date(), document_type="QĐ", area="Đất đai"))
    assert found.standing == "confirmed"
    assert table.key_right("vanthu", agency="H99.01", certificate_sha256=None, day=NOW.date()).standing == "confirmed"
    assert [(one.name, one.roles, one.active) for one in store.read(people.accounts)] == [
        ("mau", ("leader",), True),
        ("vanthu", ("clerk",), True),
    ]


def test_one_certificate_is_never_two_persons(store: Store) -> None:
    with_people(store)
    with pytest.raises(Conflict):
        store.do(lambda unit: people.link(unit, "vanthu", CERTIFICATE, change=change("user.link")))
    assert store.read(lambda connection: people.owner_of(connection, CERTIFICATE)) == "mau"


def test_an_end_comes_nearer_and_never_moves_away(store: Store) -> None:
    with_people(store)
    for day in (date(2026, 6, 30), date(2026, 9, 30)):
        store.do(
            partial(people.end, table="authority", entry=1, last_day=day, person="mau", change=change("user.grant.end"))
        )
    assert store.read(people.load).entries[0].ended_on == date(2026, 6, 30)


def test_every_change_is_kept_with_who_made_it_and_cannot_be_rewritten(store: Store) -> None:
    with_people(store)
    store.do(lambda unit: people.disable(unit, "mau", change=change("user.disable", at=NOW + timedelta(days=1))))
    kept = store.read(lambda connection: people.history(connection, "mau"))
    assert [action for action, _, _ in kept] == ["user.add", "user.link", "user.grant", "user.disable"]
    assert {actor for _, actor, _ in kept} == {"quantri"}
    assert json.loads(kept[-1][2])["disabled_at"] is not None
    with pytest.raises(StoreError, match="append-only"):
        store.do(lambda unit: unit.connection.exec_driver_sql("DELETE FROM account_history"))


def test_copies_share_one_series_whatever_their_form(store: Store) -> None:
    def made(form: str, year: int) -> int | None:
        copy = people.Conversion("H99.01", form, "paper-to-paper", "vanthu", "120/SMA-VP", NOW)
        return store.do(lambda unit: people.keep_conversion(unit, copy, year=year))

    assert [made("sy", 2026), made("sl", 2026), made("trs", 2026), made("sy", 2027)] == [1, 2, 3, 1]
    electronic = people.Conversion("H99.01", "sy", "paper-to-file", "vanthu", "120/SMA-VP", NOW)
    assert store.do(lambda unit: people.keep_conversion(unit, electronic)) is None


# --- a database one step behind ---------------------------------------------------------------------------------------


@pytest.fixture
def older(settings: Settings) -> Settings:
    """A home whose database was made by the program before."""
    settings.home.mkdir(mode=0o700, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(Path(schema.__file__).with_name("migrations")))
    engine = writer_engine(database_url(settings.database_url, settings.home))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    return settings


def test_a_database_one_step_behind_is_refused_until_it_is_migrated(older: Settings) -> None:
    with pytest.raises(SettingsError) as caught:
        Store.open(older)
    assert caught.value.code == "EDOC-CFG-008"
    migrate(older)
    with Store.open(older) as store:
        assert store.read(revision_of) == schema.REVISION
        with_people(store)


def test_the_program_of_before_goes_on_while_the_database_moves_under_it(
    older: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The step only adds tables: what is open keeps reading and writing, beside the new program (N with N-1)."""
    with monkeypatch.context() as before:
        before.setattr(schema, "REVISION", "0001")
        running = Store.open(older)
    insert = "INSERT INTO register_series (agency, series, year, last) VALUES ('H99.01', 'di', 2026, {})"
    running.do(lambda unit: unit.connection.exec_driver_sql(insert.format(1)))
    migrate(older)
    with Store.open(older) as newer:
        with_people(newer)
        again = "UPDATE register_series SET last = 2"
        running.do(lambda unit: unit.connection.exec_driver_sql(again))
        count = "SELECT last FROM register_series"
        assert newer.read(lambda connection: connection.exec_driver_sql(count).scalar_one()) == 2
    running.close()


def test_a_home_from_before_the_table_reads_as_one_that_keeps_none(older: Settings, tmp_path: Path) -> None:
    assert quick.authority_table(older.home) == AuthorityTable()
    assert quick.authority_table(tmp_path / "nowhere") == AuthorityTable()


def test_reading_the_table_for_verify_loads_no_database_library(store: Store) -> None:
    with_people(store)
    program = (
        "import sys; from pathlib import Path; from transport.store import quick; "
        f"print(len(quick.authority_table(Path({str(store.home)!r})).entries), 'sqlalchemy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1", "False"]
