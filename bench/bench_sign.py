"""Signing PDF beside the floor and beside other programs, in one run: the table of signing.md 3.4 (and 10, A7).

The floor is SHA-256 over the file and one private operation with a held RSA-2048 key. Every figure of edoc counts the
check of the value with the public key; ``.delivered`` counts the finished file read back as well (R33), as the command
does it. What is measured is the work of processors, so that others at the machine disturb less; of the batch it is the
clock on the wall, too. Peers are pyHanko, endesive, openssl (``peers_sign.py``). Words behind the name choose parts.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

from bench_verify import NOW, PERSON, TSA, pdf
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from measure import Figure, figure, processor, report
from measure import measure as measured
from peers_sign import Peers

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.pdf.files import sign_pdf_file
from signer.pdf.sign import Job, PdfOptions, Visible, sign_pdf
from transport.demo.letter import sample

measure = partial(measured, clock=processor)
B = PdfOptions(at=NOW, level="b", read_back=False)
BOX = (20.0, 150.0, 36.0, 36.0)
MIB = 1024 * 1024
ROOT = Path(__file__).resolve().parents[1]
TODAY_PKI = DevPki.create(at=datetime.now(UTC) - timedelta(days=30))
TODAY_PERSON = TODAY_PKI.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
"""The command signs now, so its key is of today."""


def floor_of(name: str, data: bytes) -> Figure:
    """Measure the unavoidable."""
    key = PERSON.key
    assert isinstance(key, rsa.RSAPrivateKey)

    def work() -> None:
        hashlib.sha256(data).digest()
        key.sign(b"floor", padding.PKCS1v15(), hashes.SHA256())

    return measure(f"sign.{name}.floor", work, runs=25)


def ours(data: bytes, options: PdfOptions, path: str = "fast") -> Callable[[], object]:
    """Sign in memory; what comes out are the input and its tail, which nobody needs in one piece to write it."""
    job = Job(PERSON.credential, options)

    def work() -> None:
        if job.done(data).path != path:
            raise SystemExit(f"not the {path} path")

    return work


def delivered(data: bytes, options: PdfOptions) -> Callable[[], object]:
    """Sign in memory and read the whole result back."""
    whole = replace(options, read_back=True)
    return lambda: sign_pdf(data, credential=PERSON.credential, options=whole, timestamper=TSA)


def plain() -> None:
    """B-B, invisible: small, large, many objects."""
    peers = Peers.of(PERSON)
    files = {"50k": pdf(50_000), "20m": pdf(20_000_000), "3m-20000-objects": pdf(3_000_000, objects=20_000)}
    for name, data in files.items():
        runs = 15 if len(data) < MIB else 7
        base = floor_of(name, data)
        floor = base.median
        report(base, measure(f"sign.{name}", ours(data, B), runs=3 * runs, floor=floor))
        report(measure(f"sign.{name}.delivered", delivered(data, B), runs=runs, floor=floor))
        general = ours(data, replace(B, general=True), "general")
        report(measure(f"sign.{name}.general", general, runs=runs, floor=floor))
        report(*peers.all(f"sign.{name}", data, runs=5, floor=floor))
    peers.close()


def visible() -> None:
    """A seal and a line as in a warm batch: the picture stays, number and time of the line are new for each file."""
    data = pdf(50_000)
    base = floor_of("50k-visible", data)
    report(base)
    image = sample("seal.png")
    count = iter(range(1, 10_000))

    def seal() -> None:
        at = NOW + timedelta(seconds=next(count))
        Job(PERSON.credential, replace(B, at=at, visible=Visible("seal", image=image, box_mm=BOX))).done(data)

    def line() -> None:
        number = next(count)
        text = Visible("t1", text=f"Số: {number}/QĐ-UBND")
        Job(PERSON.credential, replace(B, at=NOW + timedelta(seconds=number), visible=text)).done(data)

    report(measure("sign.50k-seal", seal, runs=45, floor=base.median))
    report(measure("sign.50k-t1", line, runs=45, floor=base.median))


class TimedTsa:
    """An authority that knows how long it has worked."""

    seconds = 0.0

    def stamp(self, request: bytes) -> bytes:
        """Answer."""
        start = processor()
        try:
            return TSA.stamp(request)
        finally:
            self.seconds += processor() - start


def stamped() -> None:
    """B-T without the time of the authority."""
    data, tsa = pdf(50_000), TimedTsa()
    base = floor_of("50k-stamped", data)
    job = Job(PERSON.credential, replace(B, level="t"), tsa)
    work = partial(job.done, data)
    report(base, measure("sign.50k-stamped", work, runs=45, floor=base.median, elsewhere=lambda: tsa.seconds))


MEMORY = """
import sys
from pathlib import Path
from bench_sign import B, MIB, PERSON
from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from signer.pdf.files import sign_pdf_file
from signer.pdf.sign import Job
from dataclasses import replace

def peak():
    return int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) * 1024

folder, back = Path(sys.argv[1]), sys.argv[2] == "back"
job = Job(PERSON.credential, replace(B, read_back=back))
sign_pdf_file(folder / "small.pdf", folder / "out.pdf", job=job)
open("/proc/self/clear_refs", "w").write("5")
before = peak()
done = sign_pdf_file(folder / "large.pdf", folder / "out.pdf", job=job)
assert done.way == "fast"
print((peak() - before - (folder / "large.pdf").stat().st_size) / MIB)
"""


def files() -> None:
    """From file to file: time beside a floor that reads the file, too, and growth of memory beyond the mapped input."""
    with tempfile.TemporaryDirectory(prefix="edoc-bench-") as base:
        folder = Path(base)
        large = pdf(20_000_000)
        (folder / "small.pdf").write_bytes(pdf(50_000))
        (folder / "large.pdf").write_bytes(large)
        floor = floor_of("20m-file", large)
        report(floor)
        for word, back in (("", False), (".delivered", True)):
            job = Job(PERSON.credential, replace(B, read_back=back))
            work = partial(sign_pdf_file, folder / "large.pdf", folder / "out.pdf", job=job)
            report(measure(f"sign.20m-file{word}", work, floor=floor.median))
        for word, how in (("", "plain"), (".delivered", "back")):
            grown = [_growth(folder, how) for _ in range(5)]
            report(
                Figure(f"sign.20m-file.memory{word}", sorted(grown)[2], min(grown), max(grown), "MiB", None, None, 5)
            )


def _growth(folder: Path, how: str) -> float:
    words = [sys.executable, "-c", MEMORY, str(folder), how]
    return round(float(subprocess.run(words, check=True, stdout=subprocess.PIPE, text=True).stdout), 2)


LETTERS = 1_000


def batch() -> None:
    """A thousand copies of the letter by the command, with one process and with two; its start is part of it."""
    letter = sample("letter.pdf")
    with tempfile.TemporaryDirectory(prefix="edoc-bench-") as base:
        folder = Path(base)
        (folder / "root.pem").write_bytes(pem(TODAY_PKI.root.certificate))
        (folder / "leader.pem").write_bytes(TODAY_PERSON.pem)
        (folder / "leader.pem").chmod(0o600)
        for jobs in ("1", "2"):
            walls, works = zip(*(_batch(folder, letter, jobs) for _ in range(5)), strict=True)
            name = f"sign.batch-{LETTERS}.jobs-{jobs}"
            report(figure(name, [LETTERS / seconds for seconds in walls], unit="files/s"))
            report(figure(f"{name}.work", [1000 * seconds / LETTERS for seconds in works], unit="ms/file"))


def _fill(folder: Path, letter: bytes) -> None:
    shutil.rmtree(folder / "in", ignore_errors=True)
    (folder / "in").mkdir()
    for number in range(LETTERS):
        (folder / "in" / f"{number:04}.pdf").write_bytes(letter)


def _batch(folder: Path, letter: bytes, jobs: str) -> tuple[float, float]:
    """Return the seconds on the wall and of work."""
    _fill(folder, letter)
    words = [sys.executable, "-m", "edoc", "sign", "in", "-r", "--key", "leader.pem", "--trust", "root.pem"]
    words += ["--level", "b", "--jobs", jobs, "--json"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "HOME": str(folder), "LC_ALL": "C.UTF-8"}
    start, work = time.perf_counter(), processor()
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True)
    wall, work = time.perf_counter() - start, processor() - work
    signed = len(list((folder / "in").glob("*.signed.pdf")))
    if done.returncode or signed != LETTERS:
        raise SystemExit(f"{signed} signed: {done.stderr[-500:].decode()}{done.stdout[-500:].decode()}")
    return wall, work


PARTS: dict[str, Callable[[], None]] = {
    "plain": plain,
    "visible": visible,
    "stamped": stamped,
    "files": files,
    "batch": batch,
}

if __name__ == "__main__":
    for part in sys.argv[1:] or PARTS:
        PARTS[part]()
