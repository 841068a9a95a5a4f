"""The authority table: who may sign for an agency, in which capacity, on which day, for what (R26, R29, R37)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edoc.authorities import AuthorityTable, CertificateId, KeyRight, Person, Question
from edoc.capacities import Authority, Capacity, capacity_of, objection
from edoc.errors import GrantRefused
from edoc.grants import check_grant, check_right

START, END = date(2026, 1, 1), date(2026, 12, 31)
DAY = date(2026, 11, 20)


@dataclass(frozen=True)
class Shown:
    """The certificate of a signature, as a report names it."""

    serial: str | None = "0A"
    issuer: str | None = "CN=THU NGHIEM"
    certificate_sha256: str | None = "11" * 32


LEADER = Shown()
DEPUTY = Shown("0B", certificate_sha256="22" * 32)
STRANGER = Shown("0C", certificate_sha256="33" * 32)
PERSONS = (
    Person("mau", "Nguyễn Văn Mẫu", (CertificateId("0A", "CN=THU NGHIEM", "11" * 32),)),
    Person("pho", "Trần Thị Mẫu", (CertificateId("0B", "CN=THU NGHIEM"),)),
    Person("vanthu", "Lê Văn Mẫu"),
)


def entry(capacity: Capacity = Capacity.OWN, number: int = 1, person: str = "mau", **more: object) -> Authority:
    """Return a lawful entry of the year, changed as asked."""
    made = Authority(number, person, "H99.01", capacity, "Giám đốc", START, END, basis="QĐ 12/QĐ-SMA")
    return replace(made, **more)  # type: ignore[arg-type]  # fields of the test


def table(*entries: Authority, rights: tuple[KeyRight, ...] = ()) -> AuthorityTable:
    return AuthorityTable(PERSONS, entries, rights)


def asked(day: date = DAY, **more: object) -> Question:
    return replace(Question("H99.01", day), **more)  # type: ignore[arg-type]  # fields of the test


@pytest.mark.parametrize(
    ("text", "capacity"),
    [
        ("", Capacity.OWN),
        ("TM.", Capacity.TM),
        ("kt", Capacity.KT),
        ("KT. GIÁM ĐỐC", Capacity.KT),
        ("Q.", Capacity.Q),
        ("tuq.", Capacity.TUQ),
        ("TM. ỦY BAN NHÂN DÂN KT. CHỦ TỊCH", Capacity.KT),
        ("TL. GIÁM ĐỐC; KT. CHÁNH VĂN PHÒNG", Capacity.KT),
        ("TL. GIÁM ĐỐC", Capacity.TL),
    ],
)
def test_a_capacity_is_read_from_what_stands_above_the_signature(text: str, capacity: Capacity) -> None:
    assert capacity_of(text) is capacity


@pytest.mark.parametrize("text", ["GIÁM ĐỐC", "KTS. TRƯỞNG", "thay mặt", "GIÁM ĐỐC KT. X", "QUYỀN"])
def test_a_text_without_one_of_the_five_marks_is_no_capacity(text: str) -> None:
    with pytest.raises(GrantRefused) as caught:
        capacity_of(text)
    assert caught.value.code == "EDOC-DOC-070"


def test_without_a_table_nothing_is_confirmed_and_nothing_denied() -> None:
    assert table().judge(LEADER, asked()).standing == "unknown"
    assert table(entry(agency="H99.02")).judge(LEADER, asked()).why == "no-table"


def test_an_entry_confirms_on_its_days_and_names_position_and_person() -> None:
    found = table(entry()).judge(LEADER, asked())
    assert (found.standing, found.entry and found.entry.position) == ("confirmed", "Giám đốc")
    assert found.person
    assert found.person.full_name == "Nguyễn Văn Mẫu"
    assert table(entry()).judge(LEADER, replace(asked(), agency="h99.01")).standing == "confirmed"


@pytest.mark.parametrize(
    ("signer", "question", "why"),
    [
        (STRANGER, asked(), "not-listed"),
        (DEPUTY, asked(), "not-listed"),
        (LEADER, asked(START - timedelta(1)), "not-yet"),
        (LEADER, asked(END + timedelta(1)), "ended"),
        (LEADER, asked(capacity=Capacity.KT), "capacity"),
        (LEADER, asked(position="Phó Giám đốc"), "position"),
    ],
)
def test_whoever_is_not_in_the_table_for_it_has_no_authority(signer: Shown, question: Question, why: str) -> None:
    found = table(entry()).judge(signer, question)
    assert (found.standing, found.why) == ("missing", why)


def test_both_ends_of_the_period_count() -> None:
    assert {table(entry()).judge(LEADER, asked(day)).standing for day in (START, END)} == {"confirmed"}


def test_an_authority_for_one_agency_is_none_for_another() -> None:
    both = table(entry(agency="H99.02"), entry(person="pho", number=2))
    assert both.judge(LEADER, asked()).why == "other-agency"


def test_an_entry_taken_back_early_still_decides_about_documents_of_before() -> None:
    ended = table(entry(ended_on=date(2026, 6, 30)))
    assert ended.judge(LEADER, asked(date(2026, 6, 30))).standing == "confirmed"
    assert ended.judge(LEADER, asked(date(2026, 7, 1))).why == "ended"


def test_a_closed_account_authorises_nobody_from_that_day() -> None:
    closed = AuthorityTable((replace(PERSONS[0], disabled_on=DAY),), (entry(),))
    assert closed.judge(LEADER, asked()).why == "ended"
    assert closed.judge(LEADER, asked(DAY - timedelta(1))).standing == "confirmed"


def test_the_scope_is_held_against_the_type_by_name_and_abbreviation() -> None:
    limited = table(entry(types=("QĐ", "Công văn")))
    assert limited.judge(LEADER, asked(document_type="quyết định")).standing == "confirmed"
    assert limited.judge(LEADER, asked(document_type="CÔNG VĂN")).standing == "confirmed"
    assert limited.judge(LEADER, asked(document_type="TTr")).why == "type"
    unknown = limited.judge(LEADER, asked())
    assert (unknown.standing, unknown.why) == ("unknown", "type-unknown")
    assert table(entry(types=("QĐ",)), entry(number=2)).judge(LEADER, asked()).standing == "confirmed"


def test_the_scope_is_held_against_the_field_of_work() -> None:
    limited = table(entry(areas=("Đất đai",)))
    assert limited.judge(LEADER, asked(area="đất đai")).standing == "confirmed"
    assert limited.judge(LEADER, asked(area="y tế")).why == "area"
    assert limited.judge(LEADER, asked()).why == "area-unknown"


def test_a_certificate_leads_to_its_person_by_serial_and_issuer_and_one_claimed_twice_to_nobody() -> None:
    assert table().person_of(DEPUTY) == PERSONS[1]
    assert table().person_of(replace(DEPUTY, issuer="CN=KHAC")) is None
    assert table().person_of(replace(LEADER, certificate_sha256="99" * 32)) is None
    twice = AuthorityTable((PERSONS[0], replace(PERSONS[0], account="khac")), (entry(),))
    assert twice.judge(LEADER, asked()).why == "not-listed"


# --- what may be granted ----------------------------------------------------------------------------------------------

TUQ = entry(Capacity.TUQ, 2, "pho", types=("QĐ",))


@pytest.mark.parametrize(
    ("made", "code"),
    [
        (entry(valid_to=START - timedelta(1)), "EDOC-DOC-071"),
        (entry(basis=" "), "EDOC-DOC-072"),
        (replace(TUQ, valid_to=None), "EDOC-DOC-073"),
        (replace(TUQ, types=()), "EDOC-DOC-074"),
        (replace(TUQ, types=(), areas=("\u200b ",)), "EDOC-DOC-074"),
        (entry(Capacity.KT, 3, source=9), "EDOC-DOC-079"),
        (entry(Capacity.KT, 3, source=3), "EDOC-DOC-079"),
        (entry(Capacity.KT, 3, agency="H99.02", source=1), "EDOC-DOC-079"),
        (entry(Capacity.TM, 3, source=1), "EDOC-DOC-077"),
        (entry(Capacity.KT, 3, valid_to=None, source=1), "EDOC-DOC-078"),
        (entry(Capacity.KT, 3, valid_from=START - timedelta(1), source=1), "EDOC-DOC-078"),
    ],
)
def test_an_entry_the_rules_do_not_allow_is_refused_and_authorises_nobody(made: Authority, code: str) -> None:
    held = table(entry(), made)
    with pytest.raises(GrantRefused) as caught:
        check_grant(made, held)
    assert caught.value.code == code
    signer = DEPUTY if made.person == "pho" else LEADER
    assert made not in held.held(signer, agency=made.agency, day=DAY)


@pytest.mark.parametrize("capacity", list(Capacity))
def test_tuq_is_passed_on_to_nobody(capacity: Capacity) -> None:
    made = entry(capacity, 3, types=("QĐ",), source=2)
    assert objection(made, table(entry(), TUQ, made).source_of(made)) == "EDOC-DOC-075"


def test_tl_is_passed_on_to_a_deputy_only() -> None:
    held = entry(Capacity.TL, 2, "pho", position="Chánh Văn phòng")
    deputy = entry(Capacity.KT, 3, position="Phó Chánh Văn phòng", source=2)
    assert table(entry(number=1, person="vanthu"), held, deputy).judge(LEADER, asked()).standing == "confirmed"
    other = replace(deputy, capacity=Capacity.TUQ, types=("QĐ",))
    with pytest.raises(GrantRefused) as caught:
        check_grant(other, table(held, other))
    assert caught.value.code == "EDOC-DOC-076"


def test_what_was_passed_on_ends_with_what_it_came_from() -> None:
    source = entry(Capacity.TL, 2, "pho", ended_on=date(2026, 6, 30))
    passed = entry(Capacity.KT, 3, source=2)
    assert table(source, passed).judge(LEADER, asked()).why == "ended"
    assert table(source, passed).judge(LEADER, asked(date(2026, 6, 30))).standing == "confirmed"


def test_nothing_is_passed_on_wider_than_it_was_held() -> None:
    source = entry(Capacity.TL, 2, "pho", types=("QĐ", "TB"))
    narrow, wide = entry(Capacity.KT, 3, types=("Thông báo",), source=2), entry(Capacity.KT, 3, source=2)
    assert objection(narrow, source) is None
    assert objection(wide, source) == "EDOC-DOC-078"


def test_entries_that_come_from_each_other_authorise_nobody() -> None:
    first, second = entry(Capacity.KT, 2, source=3), entry(Capacity.KT, 3, source=2)
    assert table(first, second).judge(LEADER, asked()).standing == "missing"


@given(
    st.builds(
        Authority,
        st.integers(1, 4),
        st.sampled_from(["mau", "pho"]),
        st.just("H99.01"),
        st.sampled_from(Capacity),
        st.just("Giám đốc"),
        st.dates(START, END),
        st.none() | st.dates(START, END),
        st.sampled_from([(), ("QĐ",), ("QĐ", "TB")]),
        basis=st.sampled_from(["", "QĐ 12"]),
        source=st.none() | st.integers(1, 4),
    ).map(lambda made: [made])
    | st.lists(st.nothing(), max_size=0),
    st.dates(START, END),
)
def test_nobody_is_confirmed_by_an_entry_outside_its_days_or_by_an_unlawful_one(
    made: list[Authority], day: date
) -> None:
    held = table(entry(Capacity.TL, 9, "vanthu"), *made)
    for signer in (LEADER, DEPUTY):
        found = held.judge(signer, asked(day, document_type="QĐ"))
        if found.standing == "confirmed":
            assert found.entry
            assert found.entry.within_days(day)
            assert objection(found.entry, held.source_of(found.entry)) is None


# --- the agency's key -------------------------------------------------------------------------------------------------

RIGHT = KeyRight(1, "vanthu", "H99.01", START, END, "Quyết định 5")


def right(held: AuthorityTable, clerk: str = "vanthu", *, day: date = DAY, key: str | None = None) -> tuple[str, str]:
    found = held.key_right(clerk, agency="H99.01", certificate_sha256=key, day=day)
    return found.standing, found.why


def test_the_agency_key_belongs_to_named_clerks_in_their_periods() -> None:
    held = table(rights=(RIGHT,))
    assert right(table()) == ("unknown", "no-clerks")
    assert right(held) == ("confirmed", "")
    assert right(held, "pho") == ("missing", "not-listed")
    assert right(held, day=END + timedelta(1)) == ("missing", "ended")
    assert right(held, day=START - timedelta(1)) == ("missing", "not-yet")


def test_a_hand_over_ends_with_its_last_day() -> None:
    over = replace(RIGHT, id=2, clerk="pho", valid_from=date(2026, 8, 1), valid_to=date(2026, 8, 15))
    held = table(rights=(RIGHT, over))
    assert right(held, "pho", day=date(2026, 8, 15)) == ("confirmed", "")
    assert right(held, "pho", day=date(2026, 8, 16)) == ("missing", "ended")


def test_a_right_to_one_key_is_none_to_another() -> None:
    held = table(rights=(replace(RIGHT, certificate_sha256="aa" * 32),))
    assert right(held, key="aa" * 32) == ("confirmed", "")
    assert right(held, key="bb" * 32) == ("missing", "other-key")
    assert right(held) == ("confirmed", "")  # not open yet: asked again once it is


@pytest.mark.parametrize(
    ("changed", "code"),
    [({"basis": ""}, "EDOC-DOC-072"), ({"valid_to": START - timedelta(1)}, "EDOC-DOC-071")],
)
def test_a_right_to_the_agency_key_needs_its_permission(changed: dict[str, object], code: str) -> None:
    with pytest.raises(GrantRefused) as caught:
        check_right(replace(RIGHT, **changed))  # type: ignore[arg-type]  # fields of the test
    assert caught.value.code == code
