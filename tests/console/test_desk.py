"""Files and secrets at the desk: whole or not at all, and never from the command line."""

import io
import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from transport.desk import secrets
from transport.desk.console import Console
from transport.desk.files import beside, check_target, read_input, write_output
from transport.desk.packing import safe_name
from transport.desk.values import box_of, day, moment, page_of
from transport.present.errors import CommandError


@pytest.fixture
def console() -> Console:
    """A console without a person."""
    return Console(["--lang", "vi"], {})


def code_of(error: pytest.ExceptionInfo[CommandError]) -> str:
    """Return the code of what was raised."""
    return error.value.code


def test_a_written_file_is_whole_and_private_names_are_gone(tmp_path: Path) -> None:
    write_output(tmp_path / "a.pdf", b"x" * 100_000)
    assert (tmp_path / "a.pdf").read_bytes() == b"x" * 100_000
    assert os.listdir(tmp_path) == ["a.pdf"]
    assert stat.S_IMODE((tmp_path / "a.pdf").stat().st_mode) & 0o133 == 0


def test_an_existing_file_is_replaced_only_by_force(tmp_path: Path) -> None:
    target = tmp_path / "a"
    target.write_bytes(b"old")
    with pytest.raises(CommandError) as caught:
        write_output(target, b"new")
    assert code_of(caught) == "EDOC-USE-009"
    assert target.read_bytes() == b"old"
    write_output(target, b"new", force=True)
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["a"]


def test_the_input_is_never_the_output_not_even_by_force_or_by_link(tmp_path: Path) -> None:
    source = tmp_path / "in.pdf"
    source.write_bytes(b"1")
    os.link(source, tmp_path / "other.pdf")
    for name in ("in.pdf", "other.pdf"):
        with pytest.raises(CommandError) as caught:
            check_target(tmp_path / name, force=True, inputs=[str(source)])
        assert code_of(caught) == "EDOC-USE-022"


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc")
def test_a_folder_that_cannot_be_written_is_named() -> None:
    """Not even root can make files in /proc."""
    with pytest.raises(CommandError) as caught:
        write_output(Path("/proc/a.pdf"), b"data")
    assert code_of(caught) == "EDOC-USE-010"


@pytest.fixture
def full_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 KiB; only root can mount one."""
    folder = tmp_path / "full"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=64k", "none", str(folder)]
    if os.name == "nt" or os.geteuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("mounting a small file system needs root")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_named_and_leaves_no_half_file(full_disk: Path) -> None:
    with pytest.raises(CommandError) as caught:
        write_output(full_disk / "a.pdf", b"x" * 200_000)
    assert code_of(caught) == "EDOC-USE-011"
    assert os.listdir(full_disk) == []


def test_a_device_is_written_through_and_never_replaced() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(CommandError) as caught:
        write_output(Path("/dev/full"), b"data", force=True)
    assert code_of(caught) == "EDOC-USE-011"
    assert stat.S_ISCHR(os.stat("/dev/full").st_mode)


@pytest.mark.parametrize(
    ("name", "code"), [("missing.pdf", "EDOC-USE-008"), ("a-folder", "EDOC-USE-015"), ("nul\0.pdf", "EDOC-USE-008")]
)
def test_a_path_that_cannot_be_read_is_named(tmp_path: Path, console: Console, name: str, code: str) -> None:
    (tmp_path / "a-folder").mkdir()
    with pytest.raises(CommandError) as caught:
        read_input(str(tmp_path / name), console)
    assert code_of(caught) == code


def test_standard_input_is_read_once(console: Console, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"data")))
    assert read_input("-", console) == b"data"
    with pytest.raises(CommandError) as caught:
        read_input("-", console)
    assert code_of(caught) == "EDOC-USE-012"


def test_the_output_lies_beside_the_input() -> None:
    assert beside("d/120-SMA-VP.pdf", "signed") == Path("d/120-SMA-VP.signed.pdf")


def _pipe(content: bytes) -> int:
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return read


def test_a_pass_phrase_comes_from_a_descriptor_that_is_closed_afterwards(console: Console) -> None:
    descriptor = _pipe(b"mat khau\r\nmore\n")
    ask = secrets.source(console, pin_fd=descriptor, pin_file=None)
    first, second = ask("key"), ask("key")
    assert first is not None
    assert second is not None
    assert (first.reveal(), second.reveal()) == (b"mat khau", b"mat khau")
    with pytest.raises(OSError, match="Bad file"):
        os.fstat(descriptor)


def test_a_descriptor_goes_before_a_file_and_the_environment_before_a_file(tmp_path: Path) -> None:
    file = tmp_path / "pin"
    file.write_bytes(b"from file\n")
    console = Console([], {"EDOC_PIN_FD": str(_pipe(b"from environment\n"))})
    found = secrets.source(console, pin_fd=None, pin_file=str(file))("key")
    assert found is not None
    assert found.reveal() == b"from environment"
    found = secrets.source(Console([], {}), pin_fd=None, pin_file=str(file))("key")
    assert found is not None
    assert found.reveal() == b"from file"


def test_a_service_credential_is_found_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "edoc-pin").write_bytes(b"service\n")
    found = secrets.source(Console([], {"CREDENTIALS_DIRECTORY": str(tmp_path)}), pin_fd=None, pin_file=None)("key")
    assert found is not None
    assert found.reveal() == b"service"


def test_without_a_person_to_ask_the_command_says_so(console: Console) -> None:
    with pytest.raises(CommandError) as caught:
        secrets.source(console, pin_fd=None, pin_file=None)("van-thu.p12")
    assert code_of(caught) == "EDOC-USE-023"


@pytest.mark.parametrize("text", ["x", "-1", "٣"])
def test_a_descriptor_number_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(CommandError) as caught:
        secrets.source(Console([], {"EDOC_PIN_FD": text}), pin_fd=None, pin_file=None)("key")
    assert code_of(caught) == "EDOC-USE-024"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2026-11-20T09:28:03+07:00", "2026-11-20T09:28:03+07:00"),
        ("2026-11-20T02:28:03Z", "2026-11-20T02:28:03+00:00"),
        ("2026-11-20", "2026-11-20T23:59:59+07:00"),
        ("2026-11-20T09:28:03", "2026-11-20T09:28:03+07:00"),
    ],
)
def test_times_are_iso_with_offset_and_a_bare_day_is_its_end(console: Console, text: str, shown: str) -> None:
    assert moment(text, console).isoformat() == shown


@pytest.mark.parametrize("text", ["20/11/2026", "yesterday", "", "2026-13-01"])
def test_other_times_are_refused(console: Console, text: str) -> None:
    with pytest.raises(CommandError) as caught:
        moment(text, console)
    assert code_of(caught) == "EDOC-USE-027"
    with pytest.raises(CommandError):
        day(text, "--date")


def test_pages_and_boxes() -> None:
    assert [page_of(text) for text in (None, "last", "3")] == [None, -1, 3]
    assert box_of("10,20.5,50,25") == (10.0, 20.5, 50.0, 25.0)
    for text in ("0", "-1", "x", "1.5"):
        with pytest.raises(CommandError):
            page_of(text)
    for text in ("1,2,3", "1,2,0,4", "a,b,c,d", "nan,1,1,1", "1,1,inf,1"):
        with pytest.raises(CommandError):
            box_of(text)


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..\\..\\boot.ini",
        "/etc/passwd",
        "..",
        ".",
        "",
        "CON.pdf",
        "a\0b.pdf",
        "\u202efdp.exe",
        ".hidden",
        "x" * 400 + ".pdf",
        "a\nb.pdf",
        "đ" * 300 + ".pdf",
    ],
)
def test_hostile_names_stay_in_their_folder(name: str) -> None:
    """Whatever an envelope calls a file, its name on disk is one visible name in that folder."""
    for transport in (False, True):
        safe = safe_name(name, 7, transport=transport)
        assert safe
        assert "/" not in safe
        assert "\\" not in safe
        assert safe.isprintable()
        assert not safe.startswith(".")
        assert safe.partition(".")[0].casefold() != "con"
        assert len(safe.encode()) <= 255
