"""The package as a file: what any change, any missing member and any other roots make of it (ledger.md 10, 15.6)."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from signer.asic import read_container
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.trust import Context, TrustStore
from signer.zips import write_zip
from tests.ledger import story as stories
from tests.ledger.story import MESSAGE, A, B, Story
from transport.errors import LedgerError
from transport.evidence import STEPS, Result, audit, build, layout
from transport.evidence.directory import read_directory, write_directory

PROVABLE = tuple(step for step in STEPS if step not in ("witnesses", "time", "deadlines"))


@pytest.fixture(scope="module")
def story(pki: DevPki, exchange_a: DevIdentity, exchange_b: DevIdentity) -> Story:
    return stories.tell(pki, exchange_a, exchange_b)


@pytest.fixture(scope="module")
def package(story: Story, context: Context, now: datetime) -> bytes:
    """A's package with both sides' proofs."""
    return build(story.parts(), credential=story.a.exchange.credential, at=now, context=context)


def test_a_package_is_proved_from_the_file_and_the_roots_alone(package: bytes, context: Context, story: Story) -> None:
    result = audit(package, context=context, only=PROVABLE, directory=story.directory, path="120.asice")
    item = result.items[0]
    assert (result.result, item.scope, item.path) == (Result.PROVED, "both-sides", "120.asice")
    assert (item.message.msg, item.message.doc) == (MESSAGE, stories.DOCUMENT)
    assert (item.message.sender, item.message.recipients) == (A, (B,))
    assert [(one.side, one.kind, one.status, one.result) for one in item.events] == [
        ("s", "sent", None, Result.PROVED),
        ("s", "relayed", None, Result.PROVED),
        ("s", "arrived", "01", Result.PROVED),
        ("s", "accepted", "03", Result.PROVED),
        ("r", "relayed", None, Result.PROVED),
        ("r", "arrived", "01", Result.PROVED),
        ("r", "accepted", "03", Result.PROVED),
    ]
    assert {(one.role, one.name, one.code, one.code_proved) for one in item.identities} == {
        ("exporter", "Sở Mẫu A", A, True),
        ("sender", "Sở Mẫu A", A, True),
        ("recipient", "Sở Mẫu B", B, True),
        ("log", "Sở Mẫu A", A, True),
        ("log", "Sở Mẫu B", B, True),
    }


def test_without_witnesses_and_time_stamps_a_package_is_not_proved_as_a_whole(package: bytes, context: Context) -> None:
    item = audit(package, context=context).items[0]
    assert item.result is Result.NOT_PROVED
    assert {step for step in STEPS if item.step(step) is not Result.PROVED} == {"witnesses", "time", "deadlines"}
    assert {check.no for check in item.checks} == set(range(1, 16))
    assert all(check.needed == (check.id != "deadlines") for check in item.checks)


def test_only_names_the_needed_steps_and_an_unknown_one_is_refused(package: bytes, context: Context) -> None:
    result = audit(package, context=context, only=["seal", "container"])
    assert result.only == ("container", "seal")
    assert {check.id for check in result.items[0].checks if check.needed} == {"container", "seal"}
    assert result.result is Result.PROVED
    assert audit(package, context=context, only=["time"]).result is Result.NOT_PROVED
    with pytest.raises(LedgerError) as caught:
        audit(package, context=context, only=["stars"])
    assert caught.value.code == "EDOC-LED-042"


def test_a_step_that_was_not_asked_for_still_breaks_the_package(story: Story, context: Context, now: datetime) -> None:
    parts = replace(story.parts(), evidence=tuple(data.replace(b"sent", b"sand", 1) for data in story.evidence[:1]))
    leaf_less = build(parts, credential=story.a.exchange.credential, at=now)
    assert audit(leaf_less, context=context, only=["seal"]).result is Result.PROVED
    swapped = replace(story.parts(), envelope=story.evidence[2])
    package = build(swapped, credential=story.a.exchange.credential, at=now)
    assert audit(package, context=context, only=["seal"]).result is Result.BROKEN


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_changed_byte_breaks_the_package(package: bytes, context: Context, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(package) - 1))
    changed = bytearray(package)
    changed[at] ^= data.draw(st.integers(1, 255))
    assert audit(bytes(changed), context=context, only=PROVABLE).result is Result.BROKEN


@given(cut=st.integers(0, 10**6), more=st.binary(min_size=1, max_size=4))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_cut_or_longer_file_is_broken_or_unreadable(package: bytes, context: Context, cut: int, more: bytes) -> None:
    for changed in (package + more, more + package, package[: cut % len(package)]):
        assert _word(changed, context) in ("broken", "EDOC-LED-040")


def _word(data: bytes, context: Context) -> str:
    try:
        return audit(data, context=context, only=PROVABLE).result
    except LedgerError as error:
        return error.code


def test_the_seal_s_own_file_and_the_manifest_cannot_be_respelled(package: bytes, context: Context) -> None:
    """What no signature covers is held by being exactly what the writer writes."""
    members = dict(read_container(package).members)
    for name, old, new in (
        (layout.MANIFEST, b"><manifest:file-entry", b">\n<manifest:file-entry"),
        (layout.MANIFEST, b"application/json", b"application/jsom"),
        ("META-INF/signatures001.xml", b'Id="sig-value"', b'Id="sig-valuf"'),
        ("META-INF/signatures001.xml", b"</ds:SignedInfo>", b"</ds:SignedInfo>\n"),
        ("META-INF/signatures001.xml", b"http://uri.etsi.org/02918/v1.2.1#", b"http://uri.etsi.org/02918/v1.2.2#"),
        ("META-INF/signatures001.xml", b"</asic:XAdESSignatures>", b"</asic:XAdESSignatures>\n"),
        (
            "META-INF/signatures001.xml",
            b"</ds:X509Data>",
            b"<ds:X509Certificate>AAAA</ds:X509Certificate></ds:X509Data>",
        ),
    ):
        assert old in members[name]
        changed = {**members, name: members[name].replace(old, new, 1)}
        assert audit(write_zip(list(changed.items())), context=context, only=PROVABLE).result is Result.BROKEN


def test_any_removed_member_leaves_the_package_unproved(package: bytes, context: Context) -> None:
    members = dict(read_container(package).members)
    for name in members:
        rest = [(other, data) for other, data in members.items() if other != name]
        item = audit(write_zip(rest), context=context, only=PROVABLE).items[0]
        assert item.result is Result.NOT_PROVED, (name, [c for c in item.checks if c.result is Result.BROKEN])


def test_an_added_member_breaks_the_package(package: bytes, context: Context) -> None:
    members = list(read_container(package).members.items())
    for name in ("them.txt", "content/them.pdf", "ledger/own/99-sent.tlog-proof"):
        more = [members[0], (name, b"x"), *members[1:]]
        assert audit(write_zip(more), context=context, only=PROVABLE).result is Result.BROKEN


@pytest.mark.parametrize("roots", ["none", "wrong"])
def test_without_the_right_roots_no_package_is_proved(
    package: bytes, context: Context, now: datetime, roots: str
) -> None:
    other = TrustStore() if roots == "none" else DevPki.create(at=now - timedelta(days=9)).trust(at=now)
    item = audit(package, context=replace(context, trust=other), only=PROVABLE).items[0]
    assert item.result is Result.NOT_PROVED
    for check in item.checks:
        if check.id in ("seal", "envelope", "receipts", "log-key", "witnesses", "time"):
            assert check.result is Result.NOT_PROVED, check
    assert item.step("inclusion") is Result.PROVED
    assert item.step("checkpoint") is Result.PROVED


def test_one_side_alone_is_proved_without_the_step_about_the_other(
    story: Story, context: Context, now: datetime
) -> None:
    package = build(story.parts(peer=False), credential=story.a.exchange.credential, at=now)
    item = audit(package, context=context, only=tuple(step for step in PROVABLE if step != "peer")).items[0]
    assert (item.result, item.scope, item.step("peer")) == (Result.PROVED, "one-side", Result.NOT_PROVED)


def test_the_recipient_s_package_tells_the_same_story(story: Story, context: Context, now: datetime) -> None:
    package = build(story.parts(own=B), credential=story.b.exchange.credential, at=now)
    item = audit(package, context=context, only=PROVABLE, directory=story.directory).items[0]
    assert item.result is Result.PROVED
    assert ("exporter", B) in {(one.role, one.code) for one in item.identities}


def test_content_may_be_left_out_and_then_is_not_proved(story: Story, context: Context, now: datetime) -> None:
    parts = replace(story.parts(), with_content=False)
    item = audit(build(parts, credential=story.a.exchange.credential, at=now), context=context).items[0]
    assert item.step("content") is Result.NOT_PROVED
    assert item.reasons("content") == ("content-left-out",)


def test_the_same_parts_give_the_same_members(story: Story, package: bytes, context: Context, now: datetime) -> None:
    again = read_container(
        build(story.parts(), credential=story.a.exchange.credential, at=now, context=context)
    ).members
    first = read_container(package).members
    assert list(again) == list(first)
    assert {name for name in first if first[name] != again[name]} <= {"META-INF/signatures001.xml"}


def test_a_package_carries_its_result_its_list_and_words_for_people(package: bytes) -> None:
    members = read_container(package).members
    report = json.loads(members[layout.REPORT])
    assert {line["id"] for line in report["checks"]} == set(STEPS[2:])
    listed = {one["name"]: one["sha256"] for one in json.loads(members[layout.MESSAGE])["members"]}
    assert set(members) - set(listed) == {"mimetype", layout.MESSAGE, layout.MANIFEST, "META-INF/signatures001.xml"}
    readme = members[layout.README].decode()
    assert "HỒ SƠ CHỨNG CỨ" in readme
    assert "edoc audit" in readme


def test_no_personal_value_stands_in_a_package_without_its_openings(story: Story, now: datetime) -> None:
    """What the clerk's name is hidden by: the openings alone reveal it, outside the messages that were exchanged."""
    parts = replace(story.parts(), openings=())
    members = read_container(build(parts, credential=story.a.exchange.credential, at=now)).members
    for name, data in members.items():
        if not name.startswith(("receipts/", "envelope/")):
            assert "Lê Văn Mẫu".encode() not in data, name


def test_a_time_stamped_seal_is_judged_at_its_stamp(
    story: Story, context: Context, timestamper: DevTimestamper, now: datetime
) -> None:
    package = build(story.parts(), credential=story.a.exchange.credential, at=now, timestamper=timestamper)
    assert audit(package, context=context, only=PROVABLE).result is Result.PROVED


def test_a_seal_by_a_revoked_key_is_broken(now: datetime) -> None:
    pki = DevPki.create(at=now - timedelta(days=30))
    keys = [pki.issue(Role.EXCHANGE, Subject(name, organization=name)) for name in ("Sở Mẫu A", "Sở Mẫu B")]
    told = stories.tell(pki, keys[0], keys[1])
    from signer.algorithms import PolicyName

    stamper = DevTimestamper(pki, lambda: now)
    package = build(told.parts(), credential=told.a.exchange.credential, at=now, timestamper=stamper)
    pki.revoke(told.a.exchange.certificate, at=now - timedelta(hours=1))
    context = Context(trust=pki.trust(at=now), at=now, policy=PolicyName.INTEROP)
    item = audit(package, context=context).items[0]
    assert item.step("seal") is Result.BROKEN
    assert "REVOKED" in item.reasons("seal")


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4", b"PK", b"c2sp.org/tlog-proof@v1\n"])
def test_what_is_no_container_at_all_is_unreadable(data: bytes, context: Context) -> None:
    with pytest.raises(LedgerError) as caught:
        audit(data, context=context)
    assert caught.value.code == "EDOC-LED-040"


def test_a_directory_file_is_read_as_it_was_written(story: Story) -> None:
    data = write_directory(story.directory)
    assert read_directory(data) == story.directory
    for wrong in (b"", b"{}", data + b"\n", data.replace(b"edoc.directory/1", b"edoc.directory/2")):
        with pytest.raises(LedgerError) as caught:
            read_directory(wrong)
        assert caught.value.code == "EDOC-LED-043"
