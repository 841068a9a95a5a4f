"""Hostile files in one batch of the command: each has its answer, none stops the others, nothing half is left."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from tests.console.conftest import Edoc
from tests.vectors.signing.hostile import SIGNED, Hostile
from tests.vectors.signing.hostile_bytes import BYTES
from tests.vectors.signing.hostile_things import THINGS

TODAY = datetime.now(UTC)
SOONER = {"empty": "EDOC-USE-040", "text": "EDOC-USE-031"}
"""What the command itself says, before a file comes to signing."""
NAMES = (
    "empty",
    "text",
    "cut to 200 octets",
    "startxref 17",
    "previous section is itself",
    "linearised",
    "100,000 objects",
    "cross-references are a bomb",
    "stream of objects is a bomb in a bomb",
    "password",
    "empty password",
    "page tree in a circle",
    "10,000 pages",
    "no MediaBox",
    "script at opening",
    "program started",
    "XFA",
    "fields in a circle",
    "200,000 fields",
    "name of half a letter",
    "bytes behind the end",
)


def chosen() -> Iterator[Hostile]:
    """Return the vectors of these names."""
    every = {vector.name: vector for vector in (*BYTES, *THINGS)}
    return (every[name] for name in NAMES)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_of_hostile_files_is_gone_through_to_its_end(jobs: str, tmp_path: Path) -> None:
    edoc = Edoc(tmp_path)
    pki = DevPki.create(at=TODAY - timedelta(days=30))
    person = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
    (tmp_path / "leader.pem").write_bytes(person.pem)
    (tmp_path / "leader.pem").chmod(0o600)
    (tmp_path / "root.pem").write_bytes(pem(pki.root.certificate))
    (tmp_path / "in").mkdir()
    for number, vector in enumerate(chosen()):
        (tmp_path / "in" / f"{number:02}.pdf").write_bytes(vector.make())
    key = ("--key", "leader.pem", "--trust", "root.pem", "--level", "b")
    ran = edoc("sign", "in", "-r", *key, "--jobs", jobs, "--json")
    assert "Traceback" not in ran.err
    told = {one["path"]: one for one in json.loads(ran.out)["files"]}
    assert len(told) == len(NAMES)
    for number, vector in enumerate(chosen()):
        one = told[f"in/{number:02}.pdf"]
        assert (one["status"] == "signed") == (vector.outcome == SIGNED), (vector.name, one)
        if vector.outcome != SIGNED:
            assert one["error"]["code"] == SOONER.get(vector.name, vector.outcome), (vector.name, one)
            assert one["error"]["next"], "every refusal says what to do"
        assert (tmp_path / "in" / f"{number:02}.signed.pdf").exists() == (vector.outcome == SIGNED), vector.name
    assert ran.code != 0
    assert not list((tmp_path / "in").glob(".*")), "nothing half is left"


@pytest.mark.parametrize(
    ("name", "code"), [("empty", 2), ("password", 1), ("script at opening", 1), ("startxref 17", 1)], ids=str
)
def test_alone_each_is_refused_with_its_message_and_exit_code(name: str, code: int, tmp_path: Path) -> None:
    edoc = Edoc(tmp_path, inside=True)
    pki = DevPki.create(at=TODAY - timedelta(days=30))
    person = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
    (tmp_path / "leader.pem").write_bytes(person.pem)
    (tmp_path / "leader.pem").chmod(0o600)
    (tmp_path / "root.pem").write_bytes(pem(pki.root.certificate))
    vector = next(one for one in (*BYTES, *THINGS) if one.name == name)
    (tmp_path / "van-ban.pdf").write_bytes(vector.make())
    ran = edoc("sign", "van-ban.pdf", "--key", "leader.pem", "--trust", "root.pem", "--level", "b")
    assert ran.code == code
    assert SOONER.get(name, vector.outcome) in ran.err
    assert "van-ban.pdf" in ran.err
    assert not (tmp_path / "van-ban.signed.pdf").exists()
