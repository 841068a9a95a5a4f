"""The worker that reads pages is kept between files, and no file can reach another through it (signing.md 3.3)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from signer.pdf import pictures
from signer.pdf.kept import KEPT, TOKEN, Kept
from signer.pdf.letters import lines_of_pages
from tests.signer_pdf.papers import A4, Print, printed

pytestmark = pytest.mark.skipif(not pictures.is_possible(), reason="the extra preview is not installed")

ROOT = Path(__file__).resolve().parents[2]


def first_line(text: str) -> str | None:
    """Return the first line that is found on a page with this line."""
    for _, lines in lines_of_pages(printed((Print(20, 20, text),)), [(1, A4.sheet)], total=1):
        return lines[0].text
    return None


def worker() -> int:
    """Return the number of the process that is kept."""
    assert KEPT._worker is not None
    return KEPT._worker.pid


def test_one_worker_answers_for_many_files() -> None:
    """It is started once."""
    assert first_line("MOT") == "MOT"
    kept = worker()
    assert [first_line(text) for text in ("HAI", "BA", "BON")] == ["HAI", "BA", "BON"]
    assert worker() == kept


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7", printed(())[:500], os.urandom(2000)])
def test_after_a_file_that_cannot_be_read_the_next_is_answered(data: bytes) -> None:
    """The worker ends with that file, and another one takes its place."""
    assert list(lines_of_pages(data, [(1, A4.sheet)], total=1)) == []
    assert first_line("MOT") == "MOT"


def test_a_worker_that_was_killed_is_replaced_before_it_is_asked() -> None:
    """Nothing is lost by it."""
    first_line("MOT")
    killed = worker()
    os.kill(killed, signal.SIGKILL)
    assert KEPT._worker is not None
    KEPT._worker.wait()
    assert first_line("HAI") == "HAI"
    assert worker() != killed


def test_threads_take_turns() -> None:
    """Every answer belongs to its question."""
    texts = [f"SO {number}" for number in range(24)]
    with ThreadPoolExecutor(4) as crew:
        assert list(crew.map(first_line, texts)) == [text.replace(" ", "") for text in texts]


def _in_another_process(text: str) -> tuple[str | None, int]:
    return first_line(text), worker()


def test_a_forked_process_has_a_worker_of_its_own() -> None:
    """And ours goes on."""
    first_line("MOT")
    ours = worker()
    with multiprocessing.get_context("fork").Pool(1) as pool:
        text, theirs = pool.apply(_in_another_process, ("HAI",))
    assert (text, first_line("BA")) == ("HAI", "BA")
    assert theirs != ours == worker()


def test_what_is_left_in_the_pipe_is_not_taken_for_an_answer() -> None:
    """An answer that was not read whole makes the next one begin with another token: it is refused."""
    kept = Kept()
    data = printed((Print(20, 20, "MOT"),))
    request = {"memory": 2**30, "seconds": 5, "pictures": [], "letters": [1]}
    assert kept.ask(request, data, seconds=5, read=lambda pipe: pipe.read(2)) is not None  # leaves the rest behind
    assert kept.ask(request, data, seconds=5, read=lambda pipe: pipe.read(4)) is None
    assert kept.ask(request, data, seconds=5, read=lambda pipe: pipe.read(4)) == b"\1\0\0\0"
    kept.close()
    assert TOKEN == 16


def test_no_worker_outlives_the_program() -> None:
    """At its end the program ends the worker, without a word."""
    script = (
        "from tests.signer_pdf.test_pdf_kept_worker import first_line, worker\n"
        "assert first_line('MOT') == 'MOT'\nprint(worker())\n"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert not Path(f"/proc/{int(done.stdout)}").exists()
