"""What the commands that must start quickly load, counted in fresh processes (dependencies.md 5)."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevPki, Subject, pem
from tests.console.conftest import Edoc

PROBE = """
import json, runpy, sys
sys.argv = ["edoc", *json.loads({line!r})]
code = 0
try:
    runpy.run_module("edoc", run_name="__main__")
except SystemExit as ended:
    code = ended.code
sys.stderr.write("\\n" + json.dumps([code, sorted(sys.modules)]))
"""


def run(edoc: Edoc, *line: str) -> tuple[int, set[str]]:
    """Run a command; return its exit code and the modules loaded when it ended."""
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(line=json.dumps(line))],
        cwd=edoc.folder,
        env=edoc.environment(),
        capture_output=True,
        check=True,
    )
    code, modules = json.loads(done.stderr.decode().splitlines()[-1])
    return int(code or 0), set(modules)


@pytest.fixture
def desk(edoc: Edoc) -> Edoc:
    """A folder with a letter, an XML file, a key and a root."""
    pki = DevPki.create(at=datetime.now(UTC) - timedelta(days=30))
    letter = resources.files("transport.demo").joinpath("data", "letter.pdf").read_bytes()
    files = {
        "letter.pdf": letter,
        "a.xml": b'<a xmlns="urn:mau"/>',
        "key.pem": pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu")).pem,
        "root.pem": pem(pki.root.certificate),
        "rubbish.asice": b"PK\x03\x04",
    }
    for name, data in files.items():
        (edoc.folder / name).write_bytes(data)
    return edoc


@pytest.mark.parametrize(
    ("line", "never"),
    [
        (("verify", "a.xml", "--trust", "root.pem"), {"pyhanko", "sqlmodel", "sqlalchemy", "aiohttp"}),
        (("verify", "letter.pdf", "--trust", "root.pem"), {"sqlmodel", "sqlalchemy", "aiohttp.web"}),
        (("audit", "rubbish.asice", "--trust", "root.pem"), {"pyhanko", "sqlmodel", "sqlalchemy", "aiohttp"}),
        (
            ("sign", "letter.pdf", "--key", "key.pem", "--level", "b", "--trust", "root.pem"),
            {"sqlmodel", "sqlalchemy", "aiohttp.web"},
        ),
        (("inspect", "letter.pdf"), {"sqlmodel", "sqlalchemy", "aiohttp.web"}),
        (("doctor", "--quick"), {"pyhanko", "sqlmodel", "sqlalchemy", "aiohttp", "lxml"}),
        (("version",), {"pyhanko", "sqlmodel", "sqlalchemy", "aiohttp", "lxml", "cryptography"}),
    ],
)
def test_a_command_loads_no_more_than_it_needs(desk: Edoc, line: tuple[str, ...], never: set[str]) -> None:
    code, modules = run(desk, *line)
    assert code != 70
    assert modules & never == set()


def test_status_reads_the_head_with_the_standard_library(desk: Edoc) -> None:
    assert desk("init", "--agency", "H99.01", "--name", "Sở Mẫu A").code == 0
    code, modules = run(desk, "status")
    assert code == 0
    assert modules & {"sqlmodel", "sqlalchemy", "pyhanko", "aiohttp", "lxml", "cryptography"} == set()


def test_verify_opens_no_socket_without_online(desk: Edoc) -> None:
    """An audit hook sees every connection a Python process tries to make."""
    watch = (
        "import sys\n"
        "def hook(event, args):\n"
        "    if event in ('socket.connect', 'socket.getaddrinfo', 'socket.sendto'):\n"
        "        sys.stderr.write('CONNECTED ' + event); sys.exit(99)\n"
        "sys.addaudithook(hook)\n"
    )
    (desk.folder / "sitecustomize.py").write_text(watch)
    path = f"{desk.folder}:{desk.environment()['PYTHONPATH']}"
    control = subprocess.run(
        [sys.executable, "-c", "import socket; socket.create_connection(('127.0.0.1', 9), 1)"],
        env=desk.environment({"PYTHONPATH": path}),
        capture_output=True,
        check=False,
    )
    assert b"CONNECTED" in control.stderr, "the watch does not see connections"
    for name in ("letter.pdf", "a.xml"):
        ran = desk("verify", name, "--trust", "root.pem", env={"PYTHONPATH": path})
        assert (ran.code, "CONNECTED" in ran.err) == (3, False)


def test_glance_counts_what_the_lists_count(desk: Edoc) -> None:
    """The quick reading of ``status`` and the store's own agree, on an empty node and with rows."""
    import sqlite3

    from transport import settings
    from transport.store import inlist, outlist
    from transport.store.glance import glance
    from transport.store.store import Store

    assert desk("init", "--agency", "H99.01", "--name", "Sở Mẫu A").code == 0
    found = settings.load(home=desk.home, config=None, environ={}, overrides={})
    seen = glance(desk.home, now=datetime.now(UTC))
    with Store.open(found, read_only=True) as store:
        counts = {f"in_{state}": many for state, many in store.read(inlist.counts).items()}
        counts |= {f"out_{state}": many for state, many in store.read(outlist.counts).items()}
    assert dict(seen.counts) == counts == {}
    assert seen.overdue == 0
    with sqlite3.connect(desk.home / "edoc.db") as database:
        names = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert {"inbox", "dispatch", "message"} <= names


def test_init_leaves_an_existing_folder_alone(edoc: Edoc) -> None:
    first = edoc("init", "--agency", "H99.01", "--name", "Sở Mẫu A", "--json")
    assert first.code == 0
    before = sorted(path.name for path in edoc.home.iterdir())
    again = edoc("init", "--agency", "H99.02", "--name", "Sở Mẫu B", "--json")
    assert (again.code, again.json["error"]["code"]) == (1, "EDOC-USE-034")
    assert sorted(path.name for path in edoc.home.iterdir()) == before
    assert Path(first.json["home"]).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="this system has no /proc")
def test_init_in_a_folder_that_cannot_be_made_says_so(edoc: Edoc) -> None:
    ran = edoc("--home", "/proc/edoc", "init", "--agency", "H99.01", "--name", "Sở Mẫu A", "--json")
    assert ran.code in {2, 4, 6}
    assert ran.json["error"]["next"]


def test_the_demonstration_never_touches_a_folder_it_did_not_make(edoc: Edoc) -> None:
    folder = edoc.folder / "mine"
    folder.mkdir()
    (folder / "letter.txt").write_text("mine")
    ran = edoc("demo", "--dir", "mine", "--json")
    assert (ran.code, ran.json["error"]["code"]) == (2, "EDOC-USE-045")
    assert [path.name for path in folder.iterdir()] == ["letter.txt"]
