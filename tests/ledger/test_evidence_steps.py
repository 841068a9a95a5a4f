"""The audit's steps on members that somebody with all keys but one could have put together: each fault has its word."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.timestamp import obtain
from signer.trust import Context, TrustStore
from tests.ledger import story as stories
from tests.ledger.story import MESSAGE, ORIGINS, A, B, PaperLog, Story
from transport.evidence import STEPS, Check, Result, layout, packing
from transport.evidence.auditing import overall, run
from transport.evidence.case import Case, Question
from transport.evidence.package import Package
from transport.ledger import checkpoint, event, merkle, proof, statement
from transport.ledger.keys import COSIGNATURE, VerifierKey
from transport.ledger.note import Note, Signature, cosignature_message, read_note

STORY_STEPS = STEPS[2:]
PROVABLE = tuple(step for step in STORY_STEPS if step not in ("witnesses", "time", "deadlines"))
Members = dict[str, bytes]


@pytest.fixture(scope="module")
def story(pki: DevPki, exchange_a: DevIdentity, exchange_b: DevIdentity) -> Story:
    """The letter, sent, relayed, arrived, accepted."""
    return stories.tell(pki, exchange_a, exchange_b)


@pytest.fixture
def members(story: Story, now: datetime) -> Members:
    """The members of A's package."""
    return packing.members(story.parts(), at=now)


def audit(members: Members, context: Context, **options: object) -> dict[str, list[Check]]:
    """Run steps 3 to 15 and return the lines of each."""
    question = Question(context, **options)  # type: ignore[arg-type]  # by name
    lines: dict[str, list[Check]] = {}
    for check in run(Case(Package(members), question), STORY_STEPS):
        lines.setdefault(check.id, []).append(check)
    return lines


def words(lines: dict[str, list[Check]]) -> dict[str, Result]:
    """The word of each step."""
    order = (Result.BROKEN, Result.NOT_PROVED, Result.PROVED)
    return {step: min((check.result for check in checks), key=order.index) for step, checks in lines.items()}


def reasons(lines: dict[str, list[Check]], step: str) -> set[str]:
    """The reason codes of a step."""
    return {code for check in lines[step] for code in check.reasons}


def test_a_whole_story_is_proved_but_for_what_witnesses_and_time_stamps_would_add(
    members: Members, context: Context, story: Story
) -> None:
    found = words(audit(members, context, directory=story.directory))
    assert {step for step, word in found.items() if word is Result.PROVED} == set(PROVABLE)
    assert Result.BROKEN not in found.values()


def test_one_side_alone_proves_its_own_part_and_says_that_the_other_is_missing(
    story: Story, context: Context, now: datetime
) -> None:
    lines = audit(packing.members(story.parts(peer=False), at=now), context)
    found = words(lines)
    assert found["peer"] is Result.NOT_PROVED
    assert reasons(lines, "peer") == {"peer-missing"}
    assert all(found[step] is Result.PROVED for step in PROVABLE if step != "peer")


@pytest.mark.parametrize("trust", ["none", "another root"])
def test_without_the_right_roots_nothing_that_rests_on_trust_is_proved(
    members: Members, context: Context, now: datetime, trust: str
) -> None:
    other = DevPki.create(at=now - timedelta(days=9)).trust(at=now) if trust == "another root" else TrustStore()
    lines = audit(members, replace(context, trust=other))
    for step in ("envelope", "receipts", "log-key", "witnesses", "time"):
        assert not any(check.result is Result.PROVED for check in lines[step]), step
    assert Result.BROKEN not in words(lines).values()


def test_the_code_of_an_agency_is_proved_only_under_the_caller_s_directory(
    members: Members, context: Context, story: Story
) -> None:
    for directory, proved in ((None, False), (story.directory, True)):
        case = Case(Package(members), Question(context, (), directory))
        run(case, STORY_STEPS)
        assert {one.role for one in case.identities} == {"sender", "recipient", "log"}
        assert {one.code_proved for one in case.identities} == {proved}
        assert {(one.name, one.code) for one in case.identities} == {("Sở Mẫu A", A), ("Sở Mẫu B", B)}


def test_a_directory_that_binds_other_certificates_keeps_the_code_unproved(
    members: Members, context: Context, story: Story, person: DevIdentity
) -> None:
    a, b = story.directory.agencies
    foreign = replace(a, certificates=(replace(b.certificates[1], use="exchange"), b.certificates[0]))
    lines = audit(members, context, directory=replace(story.directory, agencies=(foreign, b)))
    assert reasons(lines, "envelope") == {"certificate-not-bound"}
    assert words(lines)["envelope"] is Result.NOT_PROVED


# --- every member changed or removed ---------------------------------------------------------------------------------


def test_a_changed_member_is_noticed_already_without_the_seal_over_the_package(
    members: Members, context: Context
) -> None:
    for name, data in members.items():
        if name in (layout.README, layout.DIRECTORY):  # words for people; what the exporter went by
            continue
        middle = len(data) // 2
        changed = {**members, name: data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]}
        found = words(audit(changed, context))
        assert Result.BROKEN in found.values() or Result.NOT_PROVED in {found[step] for step in PROVABLE}, name


def test_a_removed_member_contradicts_nothing(members: Members, context: Context) -> None:
    for name in members:
        removed = {other: value for other, value in members.items() if other != name}
        assert Result.BROKEN not in words(audit(removed, context)).values(), name


# --- faults of the story ---------------------------------------------------------------------------------------------

Change = Callable[[Members, Story], None]


def _relog(members: Members, log: PaperLog, side: str, index: int, leaf: bytes, name: str) -> None:
    """Rewrite one leaf of a log and sign it all anew, as the log's owner could before anchors exist."""
    changed = PaperLog(log.key, [*log.leaves[:index], leaf, *log.leaves[index + 1 :]])
    for member in [m for m in members if m.startswith(f"ledger/{side}/")]:
        found = proof.parse(members[member])
        members[member] = changed.proved(found.index).proof.encode()
    head = f"{layout.log_folder(log.key.origin)}checkpoint-{len(log.leaves)}"
    members[head] = changed.checkpoint().encode()
    assert name in members


def _edit_leaf(data: bytes, **changes: object) -> bytes:
    fields = {**event.parse(data).fields, **changes}
    return event.build(str(fields["kind"]), fields)  # type: ignore[arg-type]  # JSON values


def _other_attachment(members: Members, story: Story) -> None:
    members["content/phu-luc.pdf"] = b"%PDF-1.4\nkhac\n%%EOF\n"


def _extra_attachment(members: Members, story: Story) -> None:
    members["content/them.pdf"] = b"x"


def _files_in_leaf(members: Members, story: Story) -> None:
    leaf = _edit_leaf(story.a.log.leaves[1], files=("0" * 64,))
    _relog(members, story.a.log, "own", 1, leaf, "ledger/own/01-sent.tlog-proof")


def _env_in_leaf(members: Members, story: Story) -> None:
    leaf = _edit_leaf(story.a.log.leaves[2], env="0" * 64)
    _relog(members, story.a.log, "own", 2, leaf, "ledger/own/02-relayed.tlog-proof")


def _chain_cut(members: Members, story: Story) -> None:
    leaf = _edit_leaf(story.a.log.leaves[3], prev=event.parse(story.a.log.leaves[1]).sha256)
    _relog(members, story.a.log, "own", 3, leaf, "ledger/own/03-arrived.tlog-proof")


def _two_roots(members: Members, story: Story) -> None:
    log = story.b.log
    other = PaperLog(log.key, [*log.leaves[:-1], log.leaves[0]])
    name = f"{layout.log_folder(log.key.origin)}cosigned-{len(log.leaves)}"
    members[name] = other.checkpoint().encode()


def _not_consistent(members: Members, story: Story) -> None:
    log = story.b.log
    other = PaperLog(log.key, [log.leaves[1], log.leaves[0]])
    folder = layout.log_folder(log.key.origin)
    members[f"{folder}checkpoint-2"] = other.checkpoint().encode()
    hashes = [merkle.leaf_hash(data) for data in log.leaves]
    members[f"{folder}consistency-2-{len(hashes)}"] = proof.format_consistency(
        merkle.consistency_path(2, hashes)
    ).encode()


def _foreign_checkpoint_signature(members: Members, story: Story) -> None:
    name = f"{layout.log_folder(ORIGINS[A])}checkpoint-{len(story.a.log.leaves)}"
    note = read_note(members[name])
    line = note.signatures[0]
    members[name] = str(Note(note.text, (Signature(line.name, line.id, bytes(64)),))).encode()


def _misplaced_checkpoint(members: Members, story: Story) -> None:
    members[f"{layout.log_folder(ORIGINS[A])}checkpoint-999"] = story.a.log.checkpoint(3).encode()


def _wrong_opening(members: Members, story: Story) -> None:
    members[layout.OPENINGS] = members[layout.OPENINGS].replace("Lê".encode(), "Lý".encode(), 1)


def _opening_of_nobody(members: Members, story: Story) -> None:
    members[layout.OPENINGS] = members[layout.OPENINGS].replace(b'"leaf":"', b'"leaf":"00', 1)


def _proof_of_another_place(members: Members, story: Story) -> None:
    found = proof.parse(members["ledger/own/01-sent.tlog-proof"])
    members["ledger/own/01-sent.tlog-proof"] = str(replace(found, index=2)).encode()


def _leaf_not_canonical(members: Members, story: Story) -> None:
    data = story.a.log.leaves[1].replace(b'{"at"', b'{ "at"')
    _relog(members, story.a.log, "own", 1, data, "ledger/own/01-sent.tlog-proof")


def _kind_in_the_name(members: Members, story: Story) -> None:
    members["ledger/own/01-relayed.tlog-proof"] = members.pop("ledger/own/01-sent.tlog-proof")


def _statement_of_another_serial(members: Members, story: Story) -> None:
    """A statement signed by the agency, but the log never named it."""
    old = statement.parse(story.a.statement)
    newer = replace(old, serial=2, previous="0" * 64)
    del members["ledger/keys/H99.01-1.xml"]
    members["ledger/keys/H99.01-2.xml"] = statement.sign(newer, credential=story.a.agency.credential)


def _withdrawn(members: Members, story: Story) -> None:
    old = statement.parse(story.a.statement)
    gone = statement.Withdrawal(story.a.log.key.vkey, old.issued, 1, bytes(32), "key-lost")
    newer = replace(old, serial=2, previous="0" * 64, withdrawn=(gone,))
    members["ledger/keys/H99.01-2.xml"] = statement.sign(newer, credential=story.a.agency.credential)


FAULTS: dict[str, tuple[Change, str, str]] = {
    "an attachment exchanged": (_other_attachment, "content", "content-differs"),
    "an attachment added": (_extra_attachment, "content", "content-differs"),
    "a leaf names other files": (_files_in_leaf, "content", "files-differ"),
    "a leaf names another message": (_env_in_leaf, "envelope", "env-differs"),
    "a chain cut": (_chain_cut, "chain", "two-successors"),
    "one size with two roots": (_two_roots, "consistency", "two-roots"),
    "an earlier checkpoint of another history": (_not_consistent, "consistency", "not-consistent"),
    "a checkpoint signed by nobody": (_foreign_checkpoint_signature, "checkpoint", "checkpoint-signature"),
    "a checkpoint under a wrong name": (_misplaced_checkpoint, "checkpoint", "checkpoint-misplaced"),
    "an opening of another person": (_wrong_opening, "leaf", "opening-differs"),
    "an opening in a wrong form": (_opening_of_nobody, "leaf", "openings-form"),
    "a proof of another place": (_proof_of_another_place, "inclusion", "root-differs"),
    "a leaf in another spelling": (_leaf_not_canonical, "leaf", "leaf-form"),
    "a file named after another kind": (_kind_in_the_name, "leaf", "name-of-other-kind"),
    "a statement the log never named": (_statement_of_another_serial, "log-key", "binding-differs"),
    "a key withdrawn before": (_withdrawn, "log-key", "withdrawn"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_broken_in_its_step_with_its_reason(
    members: Members, story: Story, context: Context, name: str
) -> None:
    change, step, reason = FAULTS[name]
    change(members, story)
    lines = audit(members, context)
    assert words(lines)[step] is Result.BROKEN
    assert reason in reasons(lines, step)


def test_an_unlawful_move_is_broken(
    pki: DevPki, exchange_a: DevIdentity, exchange_b: DevIdentity, context: Context, now: datetime
) -> None:
    told = stories.tell(pki, exchange_a, exchange_b, tweak={"unlawful": True})
    lines = audit(packing.members(told.parts(own=B), at=now), context)
    assert reasons(lines, "chain") == {"unlawful-move"}


def test_sides_that_disagree_are_broken(
    pki: DevPki, exchange_a: DevIdentity, exchange_b: DevIdentity, context: Context, now: datetime
) -> None:
    told = stories.tell(pki, exchange_a, exchange_b, tweak={"env": True})
    lines = audit(packing.members(told.parts(), at=now), context)
    assert reasons(lines, "peer") == {"peer-differs"}


def test_a_receipt_by_an_agency_with_another_certified_name_is_broken(
    pki: DevPki, exchange_a: DevIdentity, context: Context, now: datetime
) -> None:
    """A valid certificate of somebody else signs as if it were B: the certified name gives it away."""
    stranger = pki.issue(Role.EXCHANGE, Subject("Sở Mẫu C", organization="Sở Mẫu C", tax_number="0100000003"))
    told = stories.tell(pki, exchange_a, stranger)
    lines = audit(packing.members(told.parts(), at=now), context)
    assert reasons(lines, "receipts") == {"name-differs"}


def test_a_status_move_or_leaf_of_a_newer_version_is_not_proved_but_not_broken(
    members: Members, story: Story, context: Context
) -> None:
    fields = {**event.parse(story.a.log.leaves[4]).fields, "kind": "invented-later"}
    from transport.ledger.canonical import dump

    _relog(members, story.a.log, "own", 4, dump(fields), "ledger/own/04-accepted.tlog-proof")
    members["ledger/own/04-invented-later.tlog-proof"] = members.pop("ledger/own/04-accepted.tlog-proof")
    lines = audit(members, context)
    assert reasons(lines, "leaf") == {"unknown-kind"}
    assert words(lines)["leaf"] is Result.NOT_PROVED
    assert words(lines)["inclusion"] is Result.PROVED


# --- links, witnesses, time ------------------------------------------------------------------------------------------


def test_checkpoints_of_a_log_are_linked_or_not_proved(members: Members, story: Story, context: Context) -> None:
    log, folder = story.b.log, layout.log_folder(ORIGINS[B])
    members[f"{folder}checkpoint-2"] = log.checkpoint(2).encode()
    assert reasons(audit(members, context), "consistency") == {"link-missing"}
    hashes = [merkle.leaf_hash(data) for data in log.leaves]
    link = proof.format_consistency(merkle.consistency_path(2, hashes)).encode()
    members[f"{folder}consistency-2-{len(hashes)}"] = link
    assert words(audit(members, context))["consistency"] is Result.PROVED
    members[f"{folder}checkpoint-0"] = story.b.log.key.sign_note(
        checkpoint.format(checkpoint.Checkpoint(ORIGINS[B], 0, merkle.EMPTY_ROOT))
    ).encode()
    members[f"{folder}consistency-0-2"] = b""
    assert reasons(audit(members, context), "consistency") == {"link-missing"}


def test_a_witness_of_another_agency_counts_and_a_wrong_cosignature_breaks(
    members: Members, story: Story, context: Context
) -> None:
    """B's witness key, announced in B's statement, cosigns A's log and the other way round."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    private = Ed25519PrivateKey.from_private_bytes(bytes(range(7, 39)))
    for office, other in ((story.a, story.b), (story.b, story.a)):
        name = f"{office.log.key.origin.partition('/')[0]}/witness"
        key = VerifierKey(name, COSIGNATURE, private.public_key().public_bytes_raw())
        old = statement.parse(office.statement)
        entry = statement.WitnessEntry(name, str(key), old.logs[0].not_before, old.logs[0].not_after, f"https://{name}")
        newer = replace(old, serial=2, previous="0" * 64, witnesses=(entry,))
        members[f"ledger/keys/{office.code}-2.xml"] = statement.sign(newer, credential=office.agency.credential)
        size, folder = len(other.log.leaves), layout.log_folder(other.log.key.origin)
        note = read_note(members[f"{folder}checkpoint-{size}"])
        stamp = (1_800_000_000).to_bytes(8, "big")
        value = stamp + private.sign(cosignature_message(note.text, 1_800_000_000))
        members[f"{folder}cosigned-{size}"] = str(
            Note(note.text, (*note.signatures, Signature(key.name, key.id, value)))
        ).encode()
    assert words(audit(members, context))["witnesses"] is Result.PROVED
    bad = members[f"{folder}cosigned-{size}"]
    note = read_note(bad)
    line = note.signatures[1]
    forged = Signature(line.name, line.id, line.value[:-1] + bytes([line.value[-1] ^ 1]))
    members[f"{folder}cosigned-{size}"] = str(Note(note.text, (note.signatures[0], forged))).encode()
    assert reasons(audit(members, context), "witnesses") == {"cosignature"}


def test_tokens_over_the_checkpoints_prove_the_times_and_the_deadlines(
    members: Members, story: Story, context: Context, timestamper: DevTimestamper
) -> None:
    for office in (story.a, story.b):
        _stamp(members, office.log, timestamper)
    lines = audit(members, context)
    assert words(lines)["time"] is Result.PROVED
    assert words(lines)["deadlines"] is Result.PROVED
    assert {check.detail["fact"] for check in lines["deadlines"]} == {"on-time"}
    package = Package(members)
    case = Case(package, Question(context))
    from transport.evidence.log_steps import not_after

    assert {not_after(case, one) for one in package.message_events} == {context.at}


def _stamp(members: Members, log: PaperLog, timestamper: DevTimestamper) -> None:
    from hashlib import sha256

    folder = layout.log_folder(log.key.origin)
    note = members[f"{folder}checkpoint-{len(log.leaves)}"]
    members[f"{folder}checkpoint-{len(log.leaves)}.tsr"] = obtain(timestamper, sha256(note).digest())


def test_a_token_over_something_else_or_older_than_the_act_is_broken(
    members: Members, story: Story, context: Context, pki: DevPki, timestamper: DevTimestamper
) -> None:
    _stamp(members, story.a.log, timestamper)
    _stamp(members, story.b.log, timestamper)
    folder_a, folder_b = layout.log_folder(ORIGINS[A]), layout.log_folder(ORIGINS[B])
    token_a, token_b = (f"{f}checkpoint-{len(o.log.leaves)}.tsr" for f, o in ((folder_a, story.a), (folder_b, story.b)))
    swapped = {**members, token_a: members[token_b]}
    assert reasons(audit(swapped, context), "time") == {"token"}
    early = DevTimestamper(pki, lambda: stories.SENT - timedelta(hours=1))
    _stamp(members, story.a.log, early)
    assert "stated-after-token" in reasons(audit(members, context), "time")


def test_a_message_id_and_result_are_read_from_the_leaves_alone(members: Members, context: Context) -> None:
    case = Case(Package(members), Question(context))
    assert {leaf.text("msg") for leaf in case.package.leaves} == {MESSAGE}
    checks = run(case, STORY_STEPS)
    assert overall(checks) is Result.NOT_PROVED
    only = Case(Package(members), Question(context, PROVABLE))
    assert overall(run(only, STORY_STEPS)) is Result.PROVED
