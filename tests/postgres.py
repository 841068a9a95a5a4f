"""A PostgreSQL server for tests: a cluster of its own in a temporary folder, on loopback.

The programs of the system are used (Debian: package postgresql). The server refuses to run as root: then it runs as
the system's ``nobody``. Its language is Vietnamese, so that nothing rests on an order of bytes by chance.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

PLACES = ("/usr/lib/postgresql", "/usr/pgsql", "/opt/homebrew/opt", "/usr/local/opt")
USER = "edoc"
_numbers = count(1)


def programs() -> Path | None:
    """Return the folder of the server's programs, the newest version's; ``None`` without."""
    if (found := shutil.which("pg_ctl")) is not None and shutil.which("initdb") is not None:
        return Path(found).resolve().parent
    folders = [path.parent for place in PLACES for path in Path(place).glob("*/bin/pg_ctl")]
    return max(folders, default=None, key=lambda path: [int(n) for n in path.parent.name.split(".") if n.isdigit()])


def missing() -> str | None:
    """Return why tests with PostgreSQL cannot run here."""
    try:
        import psycopg  # noqa: F401  # the extra may be missing
    except ImportError:
        return "the extra postgres is not installed"
    if programs() is None:
        return "PostgreSQL is not installed"
    if os.name == "posix" and os.geteuid() == 0 and shutil.which("runuser") is None:
        return "PostgreSQL does not run as root, and runuser is not installed"
    return None


@dataclass(frozen=True, slots=True)
class Server:
    """A running cluster; each test gets databases of its own, copied from a template where that is faster."""

    folder: Path
    port: int

    def url(self, database: str) -> str:
        """Return the address of a database as the setting ``database.url`` takes it."""
        return f"postgresql+psycopg://{USER}@127.0.0.1:{self.port}/{database}"

    def create(self, template: str = "template1") -> str:
        """Make a database and return its name."""
        name = f"t{next(_numbers)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return name

    def drop(self, name: str) -> None:
        """Remove a database, whoever is still connected."""
        self.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def run(self, statement: str) -> None:
        """Run a statement of the administrator."""
        import psycopg

        with psycopg.connect(
            host="127.0.0.1", port=self.port, user=USER, dbname="postgres", autocommit=True
        ) as connection:
            connection.execute(statement.encode("ascii"))

    def stop(self, how: str = "fast") -> None:
        """Stop the server: ``fast``, or ``immediate`` as a power failure does."""
        _call(self.folder, "pg_ctl", "-D", str(self.folder / "data"), "-m", how, "-w", "stop")

    def start(self) -> None:
        """Start the server on its port and wait until it answers."""
        options = f"-p {self.port} -k {self.folder} -c listen_addresses=127.0.0.1 -c max_connections=300 -c fsync=off"
        log = str(self.folder / "log")
        _call(self.folder, "pg_ctl", "-D", str(self.folder / "data"), "-o", options, "-l", log, "-w", "start")


@contextmanager
def running() -> Iterator[Server]:
    """Make a cluster, run it, and leave nothing behind."""
    with TemporaryDirectory(prefix="edoc-pg-") as name:
        folder = Path(name)
        if os.geteuid() == 0:
            shutil.chown(folder, "nobody")
        language = ("--locale=C.UTF-8", "--locale-provider=icu", "--icu-locale=vi")
        made = ("initdb", "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        try:
            _call(folder, *made, *language)
        except subprocess.CalledProcessError:  # older than 15, or built without ICU
            shutil.rmtree(folder / "data", ignore_errors=True)
            _call(folder, *made, "--locale=C.UTF-8")
        server = Server(folder, _free_port())
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):  # a test may have stopped it, and failed
                server.stop("immediate")


def _call(folder: Path, program: str, *arguments: str) -> None:
    bin_folder = programs()
    assert bin_folder is not None
    before = ["runuser", "-u", "nobody", "--"] if os.geteuid() == 0 else []
    subprocess.run(
        [*before, str(bin_folder / program), *arguments],
        check=True,
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])
