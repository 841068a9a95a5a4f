"""The samples are whole: each comes out again or verifies, and a changed one is noticed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from samples import authority, make

FILES = make.names(authority.authority())


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """The samples in a folder of their own."""
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(make.HERE / name, tmp_path / name)
    return tmp_path


def test_the_samples_are_as_the_script_makes_them(copy: Path) -> None:
    assert make.check(copy) == 0


def test_a_missing_sample_is_noticed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (copy / "receipt.xml").unlink()
    assert make.check(copy) == 1
    assert "receipt.xml: missing" in capsys.readouterr().out


@pytest.mark.parametrize("name", [name for name in FILES if name != "evidence.asice"])
def test_a_changed_byte_in_a_sample_is_noticed(copy: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((copy / name).read_bytes())
    signed = data.index(b"stream") + 20 if name.endswith(".pdf") else len(data) // 2
    data[signed] ^= 1
    (copy / name).write_bytes(data)
    assert make.check(copy) > 0
    assert name in capsys.readouterr().out


def test_a_changed_byte_in_the_evidence_is_noticed(copy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = bytearray((copy / "evidence.asice").read_bytes())
    data[len(data) // 3] ^= 1
    (copy / "evidence.asice").write_bytes(data)
    assert make.check(copy) > 0
    assert "evidence.asice" in capsys.readouterr().out


def test_the_keys_of_the_samples_say_that_they_are_for_tests() -> None:
    keys = sorted((make.HERE / "pki").glob("*.pem"))
    assert len(keys) == 10
    for path in keys:
        assert path.read_text("utf-8").startswith("THỬ NGHIỆM"), path.name
        assert b"TEST KEY" in path.read_bytes().splitlines()[0], path.name
