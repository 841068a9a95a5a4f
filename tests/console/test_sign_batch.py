"""Batches of ``edoc sign`` with real processes: killed, interrupted, gone on with, watched (console.md 4.1)."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.pdf.verify import inspect_pdf
from signer.report import Integrity
from signer.trust import Context, TrustStore
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.signer_pdf.files import simple

TODAY = datetime.now(UTC)
LETTERS = 120


@pytest.fixture(scope="module")
def pki() -> DevPki:
    """An authority of today; its certificates name no status source."""
    return DevPki.create(at=TODAY - timedelta(days=30))


@pytest.fixture(scope="module")
def key(pki: DevPki) -> bytes:
    """The leader's key."""
    return pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"), key_type="rsa2048").pem


@pytest.fixture
def desk(edoc: Edoc, pki: DevPki, key: bytes) -> Edoc:
    """A folder of letters, the leader's key and the root."""
    (edoc.folder / "leader.pem").write_bytes(key)
    (edoc.folder / "leader.pem").chmod(0o600)
    (edoc.folder / "root.pem").write_bytes(pem(pki.root.certificate))
    (edoc.folder / "in").mkdir()
    for number in range(LETTERS):
        (edoc.folder / "in" / f"{number:03}.pdf").write_bytes(simple())
    return edoc


KEY = ("--key", "leader.pem", "--trust", "root.pem", "--level", "b")
FOLDER = ("sign", "in", "-r", *KEY)


def started(desk: Edoc, *words: str) -> "subprocess.Popen[bytes]":
    """Start the command in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "edoc", *words],
        cwd=desk.folder,
        env=desk.environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def outputs(desk: Edoc) -> list[Path]:
    """Return the signed files so far."""
    return sorted((desk.folder / "in").glob("*.signed.pdf"))


def wait_for_outputs(desk: Edoc, running: "subprocess.Popen[bytes]", count: int) -> None:
    """Return once so many files are signed."""
    while len(outputs(desk)) < count:
        assert running.poll() is None, "ended before it could be stopped"
        select.select([], [], [], 0.002)


def group_is_gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def signatures(path: Path) -> int:
    """Return how many signatures a file holds; all must be intact."""
    context = Context(trust=TrustStore(), at=TODAY, policy=PolicyName.INTEGRITY_ONLY)
    found = inspect_pdf(path.read_bytes(), context=context).signatures
    assert all(one.integrity is Integrity.INTACT for one in found)
    return len(found)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_run_killed_in_the_middle_goes_on_and_every_file_is_signed_once(desk: Edoc, jobs: str) -> None:
    running = started(desk, *FOLDER, "--jobs", jobs, "--manifest", "ket-qua.json")
    wait_for_outputs(desk, running, 10)
    running.kill()  # only the process itself; those it forked end by themselves
    running.communicate()
    while not group_is_gone(running.pid):
        select.select([], [], [], 0.01)
    kept = json.loads((desk.folder / "ket-qua.json").read_text("utf-8"))
    assert problems(kept) == [], "the manifest of a killed run is whole"
    left = len(outputs(desk))
    assert 10 <= left < LETTERS
    before = {path.name: path.read_bytes() for path in outputs(desk)}
    ran = desk(*FOLDER, "--jobs", jobs, "--resume", "--json", "--manifest", "ket-qua.json")
    assert ran.code == 0
    assert ran.json["summary"] == {"signed": LETTERS - left, "skipped": left, "refused": 0, "failed": 0}
    assert [one["path"] for one in ran.json["files"]] == [f"in/{number:03}.pdf" for number in range(LETTERS)]
    assert {signatures(path) for path in outputs(desk)} == {1}
    assert len(outputs(desk)) == LETTERS
    assert all((desk.folder / "in" / name).read_bytes() == data for name, data in before.items())
    assert not list((desk.folder / "in").glob(".*")), "nothing half is left"
    assert json.loads((desk.folder / "ket-qua.json").read_text("utf-8")) == ran.json


@pytest.mark.parametrize("stopped", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_interrupted_keeps_what_is_signed_and_leaves_nothing_half(
    desk: Edoc, stopped: signal.Signals
) -> None:
    running = started(desk, *FOLDER, "--jobs", "2", "--manifest", "ket-qua.json")
    wait_for_outputs(desk, running, 10)
    running.send_signal(stopped)
    out, err = running.communicate(timeout=60)
    assert running.returncode == (130 if stopped is signal.SIGINT else 143), err
    assert b"Traceback" not in err
    assert group_is_gone(running.pid), "no process stays behind"
    assert {signatures(path) for path in outputs(desk)} == {1}
    assert not list((desk.folder / "in").glob(".*"))
    told = json.loads((desk.folder / "ket-qua.json").read_text("utf-8"))
    names = {one["output"] for one in told["files"] if one["status"] == "signed"}
    lines = len(out.splitlines())
    assert lines > 0
    assert len(names) - lines in (0, 1), "the signal may come between what is noted and what is said"
    assert names <= {f"in/{path.name}" for path in outputs(desk)}


def test_several_processes_give_what_one_gives_in_the_order_of_the_files(desk: Edoc) -> None:
    (desk.folder / "in" / "005.pdf").write_bytes(b"%PDF-1.4\nnothing\n%%EOF\n")
    (desk.folder / "in" / "050.pdf").write_bytes(b"")
    ran = desk(*FOLDER, "--jobs", "4", "--json")
    assert ran.code == 1, "a refusal comes before a failure"
    assert [one["path"] for one in ran.json["files"]] == [f"in/{number:03}.pdf" for number in range(LETTERS)]
    bad = {one["path"]: one["status"] for one in ran.json["files"] if one["status"] != "signed"}
    assert bad == {"in/005.pdf": "refused", "in/050.pdf": "failed"}
    assert len(outputs(desk)) == LETTERS - 2


def test_fail_fast_stops_at_a_bad_file_and_tells_all_that_was_signed(desk: Edoc) -> None:
    (desk.folder / "in" / "010.pdf").write_bytes(b"%PDF-1.4\nnothing\n%%EOF\n")
    ran = desk(*FOLDER, "--jobs", "2", "--fail-fast", "--json")
    assert ran.code == 1
    told = [one["output"] for one in ran.json["files"] if one["status"] == "signed"]
    assert told == [f"in/{path.name}" for path in outputs(desk)]
    assert 10 <= len(told) < LETTERS - 1


def test_one_pin_opens_the_key_for_all_processes(desk: Edoc, pki: DevPki) -> None:
    identity = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
    (desk.folder / "leader.p12").write_bytes(identity.pkcs12(b"mat khau"))
    read, write = os.pipe()
    os.write(write, b"mat khau\n")
    os.close(write)
    words = ("sign", "in", "-r", "--key", "leader.p12", "--trust", "root.pem", "--level", "b", "--json")
    ran = desk(*words, "--jobs", "2", "--pin-fd", str(read), pass_fds=(read,))
    os.close(read)
    assert (ran.code, ran.json["summary"]["signed"]) == (0, LETTERS)
    assert ran.err == ""


def test_a_locked_file_is_looked_at_before_its_pass_phrase_is_asked_for(desk: Edoc, pki: DevPki) -> None:
    identity = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"))
    (desk.folder / "leader.p12").write_bytes(identity.pkcs12(b"mat khau"))
    (desk.folder / "bad.pdf").write_bytes(b"%PDF-1.4\nnothing\n%%EOF\n")
    ran = desk("sign", "bad.pdf", "--key", "leader.p12", "--trust", "root.pem", "--level", "b", "--json")
    assert (ran.code, ran.json["files"][0]["status"]) == (1, "refused"), "there is nobody to ask, and no need to"
    assert ran.json["files"][0]["signer"]["name"] is None
    good = desk("sign", "in/000.pdf", "--key", "leader.p12", "--trust", "root.pem", "--level", "b", "--json")
    assert good.code == 5 or good.json["error"]["code"].startswith("EDOC-")
    assert not outputs(desk)


def test_a_folder_within_a_folder_is_signed_in_a_stable_order_without_what_signing_left_there(desk: Edoc) -> None:
    for path in (desk.folder / "in").iterdir():
        path.unlink()
    for name in ("b/2.pdf", "a/1.pdf", "b/1.pdf", "0.pdf", ".an/9.pdf", "a/1.signed.pdf", "x.xml.p7s", "bang.docx"):
        path = desk.folder / "in" / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(simple())
    ran = desk(*FOLDER, "--glob", "*.pdf", "--json")
    assert [one["path"] for one in ran.json["files"]] == ["in/0.pdf", "in/a/1.pdf", "in/b/1.pdf", "in/b/2.pdf"]
    statuses = {one["path"]: one["status"] for one in ran.json["files"]}
    assert statuses.pop("in/a/1.pdf") == "failed", "its output is there, of another hand"
    assert set(statuses.values()) == {"signed"}


def test_a_pattern_that_names_signed_files_gives_them_to_the_next_hand(desk: Edoc) -> None:
    desk("sign", "in/000.pdf", *KEY)
    ran = desk(*FOLDER, "--glob", "*.signed.pdf", "--json")
    assert [one["output"] for one in ran.json["files"]] == ["in/000.signed.signed.pdf"]
    assert signatures(desk.folder / "in" / "000.signed.signed.pdf") == 2


def test_an_output_that_the_input_was_already_signed_in_does_not_count_as_finished(desk: Edoc) -> None:
    """The same hand signs twice: what it signed before is in the input, and the output needs one signature more."""
    desk("sign", "in/000.pdf", *KEY)
    (desk.folder / "in" / "000.signed.signed.pdf").write_bytes(outputs(desk)[0].read_bytes() + b"\n")
    ran = desk("sign", "in/000.signed.pdf", *KEY, "--resume", "--json")
    assert ran.json["files"][0]["status"] == "failed"


def on_a_terminal(desk: Edoc, *words: str, **environment: str) -> str:
    """Run the command with all streams on a terminal; return what it showed."""
    ours, theirs = pty.openpty()
    running = subprocess.Popen(
        [sys.executable, "-m", "edoc", *words],
        cwd=desk.folder,
        env=desk.environment({"TERM": "xterm", **environment}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert running.wait(60) == 0
    return shown.decode()


def test_a_terminal_shows_a_bar_that_is_gone_at_the_end(desk: Edoc) -> None:
    for number in range(LETTERS, 900):
        (desk.folder / "in" / f"{number:03}.pdf").write_bytes(simple())
    shown = on_a_terminal(desk, *FOLDER, "--jobs", "1", NO_COLOR="1")
    assert "█" in shown
    assert "/900 · 0:0" in shown
    assert "Đã ký 900 trên 900 tệp; 0 tệp không ký được" in shown
    assert "✔ in/000.pdf → in/000.signed.pdf · Nguyễn Văn Mẫu · PAdES-B-B · " in shown
    assert "\x1b[3" not in shown, "no colour"
    assert shown.rfind("█") < shown.rfind("\x1b[K") < shown.rfind("Đã ký 900")


def test_no_bar_is_drawn_on_a_dumb_terminal_or_in_a_pipe(desk: Edoc) -> None:
    assert "\x1b" not in on_a_terminal(desk, *FOLDER, TERM="dumb")
    for path in outputs(desk):
        path.unlink()
    ran = desk(*FOLDER)
    assert ran.code == 0
    remarks, end = ran.err.splitlines()[:-1], ran.err.splitlines()[-1]
    assert end == "edoc: Đã ký 120 trên 120 tệp; 0 tệp không ký được"
    assert remarks == list(dict.fromkeys(remarks)), "what is said of the key is said once, not for every file"
    assert len(remarks) == 3, "two certificates name no status source, and there is no time stamp"
    assert len(ran.out.splitlines()) == LETTERS
    assert "\x1b" not in ran.out


def test_a_process_that_is_brought_down_costs_its_own_file_alone(desk: Edoc, monkeypatch: pytest.MonkeyPatch) -> None:
    """As by the system's want of memory: the process is gone without a word."""
    from transport.desk import signfile, signing
    from transport.desk.signrequest import Outcome

    real = signfile.sign_one

    def deadly(desk_: object, name: str) -> Outcome:
        if name == "in/060.pdf":
            os.kill(os.getpid(), signal.SIGKILL)
        return real(desk_, name)  # type: ignore[arg-type]

    monkeypatch.setattr(signing, "sign_one", deadly)
    ran = desk.here()(*FOLDER, "--jobs", "2", "--json")
    assert ran.code == 70
    bad = [(one["path"], one["error"]["code"]) for one in ran.json["files"] if one["status"] != "signed"]
    assert bad == [("in/060.pdf", "EDOC-INT-003")]
    assert len(outputs(desk)) == LETTERS - 1
