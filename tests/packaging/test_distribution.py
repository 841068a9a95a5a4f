"""What is shipped: four top-level names, the same bytes twice, data files, licences, no private address."""

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib import util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"signer", "edoc", "transport", "cli.py"}
ALLOWED = {"MIT", "MIT-0", "BSD-2-Clause", "BSD-3-Clause", "Apache-2.0", "ISC", "PSF-2.0", "MPL-2.0"}
LESSER = {"LGPL-3.0-only"}
EXTRA = {"psycopg", "psycopg-binary"}
"""Of the extra ``postgres`` alone, never of what is always installed."""


def _make() -> ModuleType:
    spec = util.spec_from_file_location("docs_make", ROOT / "docs" / "make.py")
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _wheel(folder: Path) -> Path:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1795000000"},
    )
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it would be released."""
    return _wheel(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_adds_exactly_four_names(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        tops = {name.split("/")[0] for name in archive.namelist()}
    assert {name for name in tops if not name.endswith(".dist-info")} == OURS


def test_the_wheel_carries_texts_schemas_and_type_markers(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    for name in ("signer/py.typed", "edoc/py.typed", "transport/py.typed"):
        assert name in names
    for folder, pattern in (("transport/present/catalogue", "**/*.toml"), ("transport/present/schemas", "*.json")):
        for path in (ROOT / folder).glob(pattern):
            assert path.relative_to(ROOT).as_posix() in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert any(name.endswith("licenses/NOTICE") for name in names)


def test_the_wheel_is_built_twice_with_the_same_bytes(wheel: Path, tmp_path: Path) -> None:
    assert _wheel(tmp_path).read_bytes() == wheel.read_bytes()


def test_the_version_is_one_line_of_the_launcher() -> None:
    done = subprocess.run([sys.executable, "-m", "edoc", "--version"], cwd=ROOT, capture_output=True, check=True)
    assert re.fullmatch(rb"edoc \d+\.\d+\.\d+\S*\n", done.stdout)


def test_the_launcher_stays_small_and_needs_the_standard_library_alone() -> None:
    text = (ROOT / "edoc" / "__main__.py").read_text("utf-8")
    code = [line for line in text.splitlines() if line.strip()]
    assert len(code) <= 55
    assert set(re.findall(r"^(?:import|from) (\w+)", text, re.M)) <= {"importlib", "sys", "pathlib"}


def test_every_package_that_is_installed_has_an_allowed_licence() -> None:
    """Permissive ones at run time; MPL-2.0 for unmodified data, LGPL for an unmodified extra (dependencies.md 7)."""
    make = _make()
    for package in make.requirements("all"):
        parts = set(re.split(r" (?:AND|OR) ", make.licence(package)))
        assert parts, package
        assert parts <= (ALLOWED | LESSER if package in EXTRA else ALLOWED), (package, parts)


def test_the_generated_pages_are_current_and_nothing_names_a_registry_or_a_machine() -> None:
    assert list(_make().problems()) == []


def test_the_check_for_private_addresses_finds_them() -> None:
    """A check that never finds anything proves nothing."""
    pattern = _make().FORBIDDEN
    for planted in (
        "https" + "://mirror.example/simple/lxml",
        "--index-url http" + "://10.0.0.1/simple",
        "/ho" + "me/x/y",
    ):
        assert pattern.search(planted), planted


def test_no_lock_file_of_a_tool_is_tracked() -> None:
    tracked = [path.name for path in _make().tracked()]
    assert not [name for name in tracked if name in {"uv.lock", "poetry.lock"} or re.fullmatch(r"pylock.*\.toml", name)]


@pytest.mark.parametrize("name", ["runtime", "all", "dev", "build"])
def test_every_requirement_is_pinned_and_hashed(name: str) -> None:
    text = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"[A-Za-z0-9][\w.\-]*==\S+ ", line), line
        assert "--hash=sha256:" in line, line
        assert "://" not in line, line


def test_the_smaller_sets_are_parts_of_the_larger_ones() -> None:
    """``make test`` after ``make demo`` replaces nothing."""

    def pins(name: str) -> set[str]:
        return set(re.findall(r"^(\S+==\S+)", (ROOT / "requirements" / f"{name}.txt").read_text("utf-8"), re.M))

    assert pins("runtime") <= pins("all") <= pins("dev")


def test_every_dependency_of_the_project_is_in_the_lists() -> None:
    """Nothing the product imports comes from outside the hashed requirements."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = [
        *project["dependencies"],
        *(name for names in project.get("optional-dependencies", {}).values() for name in names),
    ]
    locked = {name.lower() for name in _make().requirements("all")}
    for requirement in wanted:
        name = re.match(r"[\w.\-]+", requirement)
        assert name is not None
        assert name[0].lower().replace("_", "-") in locked, requirement


@pytest.mark.parametrize("script", ["prepare.sh", "system.sh", "lock.sh", "wheelhouse.sh"])
def test_the_scripts_of_make_are_posix_shell(script: str) -> None:
    subprocess.run(["sh", "-n", str(ROOT / "requirements" / script)], check=True)
    text = (ROOT / "requirements" / script).read_text("utf-8")
    assert "[[" not in text
    assert not re.search(r"\b(local|declare|source) ", text)


def test_a_python_that_is_too_old_is_named_in_both_languages(tmp_path: Path) -> None:
    old = tmp_path / "python3"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    done = subprocess.run(
        ["sh", str(ROOT / "requirements" / "prepare.sh"), "runtime"],
        env={**os.environ, "PYTHON": str(old)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 6
    assert "cần Python 3.11" in done.stderr
    assert "Python 3.11 or newer is needed" in done.stderr
