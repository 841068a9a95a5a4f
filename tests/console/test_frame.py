"""The frame of the command line: help, languages, common options, errors of usage, streams, secrets."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import cli
from tests.console.conftest import ROOT, Edoc
from transport.present import catalogue
from transport.present import help as pages

NAMES = cli.command_names()


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_in_both_languages(name: str) -> None:
    """A page of each language exists, names every option, and the two pages differ in words, not in options."""
    vietnamese, english = (cli.help_lines(name, lang) for lang in ("vi", "en"))
    options = [re.findall(r"(?<!\S)--?[a-z][\w-]*", "\n".join(page)) for page in (vietnamese, english)]
    assert sorted(set(options[0])) == sorted(set(options[1]))
    assert vietnamese[0] != english[0] or name == "version"
    assert any(line.startswith("Ví dụ") for line in vietnamese)
    assert any(line.startswith("Exit codes") for line in english)


def test_help_page_of_a_command_is_printed_by_the_program(edoc: Edoc) -> None:
    for words in (("version", "--help"), ("help", "version"), ("--lang", "vi", "version", "--help")):
        ran = edoc(*words)
        assert (ran.code, ran.err) == (0, "")
        assert ran.out.splitlines() == cli.help_lines("version", "vi")


@pytest.mark.parametrize("name", NAMES)
def test_examples_in_help_are_command_lines_the_program_takes(name: str) -> None:
    """Every example parses: its command and each of its options exist."""
    sheet = pages.sheet(name)
    assert sheet is not None
    assert 1 <= len(sheet.examples) <= 3
    for example in sheet.examples:
        assert example.startswith(f"edoc {name}")
        known = {option for item in cli.help_parameters(name) for option in item.names} | cli.COMMON_NAMES
        used = re.findall(r"(?<=\s)--?[a-z][\w-]*", example)
        assert set(used) <= known, example


def test_the_front_page_lists_exactly_the_commands_that_exist(edoc: Edoc) -> None:
    listed = [name for group in pages.common()["groups"] for name in group["commands"]]
    assert sorted(listed) == sorted(name for name in cli.commands() if name not in cli.ALIASES)
    page = edoc("--help").out
    assert all(f"  {name} " in page for name in listed)


def test_without_arguments_the_daily_verbs_are_printed(edoc: Edoc) -> None:
    ran = edoc()
    assert ran.code == 0
    assert "  verify " in ran.out
    assert "  doctor " not in ran.out


def test_help_texts_explain_nothing_that_does_not_exist() -> None:
    """No text of the catalogue is left over from an option that went away."""
    for file in pages.FILES:
        for name, raw in pages._sheets(file).items():
            assert name in NAMES
            keys = {pages.key_of(item) for item in cli.help_parameters(name)}
            assert set(raw.get("params", {})) <= keys, name


def test_every_text_exists_in_both_languages() -> None:
    texts: list[dict[str, str]] = [*catalogue.read("words").values(), *catalogue.read("reasons").values()]  # type: ignore[list-item]
    for text in texts:
        assert set(text) == {"vi", "en"}
        facts = [sorted(set(re.findall(r"\{\w+\}", text[lang]))) for lang in ("vi", "en")]
        assert facts[0] == facts[1], text


@pytest.mark.parametrize("area", catalogue.AREAS)
def test_every_error_of_the_catalogue_says_what_and_next_in_both_languages(area: str) -> None:
    for code, entry in catalogue.area(area).items():
        assert re.fullmatch(rf"EDOC-{area}-\d{{3}}", code)
        assert entry.exit in {1, 2, 3, 4, 5, 6, 70}
        for lang in ("vi", "en"):
            assert entry.texts[lang]["what"], code
            assert entry.texts[lang].get("next"), code
            assert not entry.texts[lang]["what"].endswith("."), code


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (["verson"], "EDOC-USE-001"),
        (["version", "--jsn"], "EDOC-USE-002"),
        (["version", "--lang"], "EDOC-USE-003"),
        (["version", "--lang", "fr"], "EDOC-USE-004"),
        (["version", "more"], "EDOC-USE-006"),
        (["version", "--pin", "PLANTED"], "EDOC-USE-007"),
        (["--pin=PLANTED", "version"], "EDOC-USE-007"),
        (["version", "--pin"], "EDOC-USE-007"),
        (["help", "nothing"], "EDOC-USE-033"),
    ],
)
@pytest.mark.parametrize("lang", ["vi", "en"])
def test_errors_of_usage_are_ours_in_both_languages(edoc: Edoc, line: list[str], code: str, lang: str) -> None:
    """Exit 2, four lines on standard error, nothing on standard output, no PIN repeated."""
    ran = edoc(*line, env={"EDOC_LANG": lang})
    assert ran.code == 2
    assert ran.out == ""
    lines = ran.err.splitlines()
    assert lines[0].startswith("edoc: ")
    assert lines[-1] == f"  {'mã' if lang == 'vi' else 'code'}: {code}"
    assert "PLANTED" not in ran.err
    assert "Error" not in ran.err
    assert "Traceback" not in ran.err


@pytest.mark.parametrize("lang", ["vi", "en"])
def test_a_word_where_a_number_belongs_is_told_in_our_language(edoc: Edoc, lang: str) -> None:
    ran = edoc("verify", "x.pdf", "--jobs", "two", env={"EDOC_LANG": lang})
    assert ran.code == 2
    assert "two" in ran.err.splitlines()[0]
    assert "Input" not in ran.err


def test_an_unknown_option_names_the_nearest_and_never_the_refused_one(edoc: Edoc) -> None:
    why = edoc("verify", "x.pdf", "--polciy", "strict", env={"EDOC_LANG": "vi"}).err.splitlines()[1]
    assert why.startswith("  vì sao: gần nhất: --policy")
    assert "--pin" not in why


def test_a_failure_under_json_is_one_error_document_and_standard_error_is_empty(edoc: Edoc) -> None:
    ran = edoc("verson", "--json")
    assert ran.err == ""
    assert next(iter(ran.json)) == "schema"
    assert ran.json["schema"] == "edoc.error/1"
    assert ran.json["error"]["exit_code"] == ran.code == 2
    assert set(ran.json["error"]) == {"code", "message", "why", "next", "retryable", "exit_code", "detail"}


def test_common_options_work_before_and_after_the_command(edoc: Edoc) -> None:
    before, after = edoc("--json", "--lang", "en", "version"), edoc("version", "--json", "--lang", "en")
    assert before.json == after.json


@pytest.mark.parametrize(
    ("env", "line", "word"),
    [
        ({}, [], "Cách dùng"),
        ({"LC_ALL": "C"}, [], "Cách dùng"),
        ({"LC_ALL": "en_US.UTF-8"}, [], "Usage"),
        ({"LC_ALL": "en_US.UTF-8", "EDOC_LANG": "vi"}, [], "Cách dùng"),
        ({"EDOC_LANG": "vi"}, ["--lang", "en"], "Usage"),
        ({"EDOC_LANG": "vi"}, ["--lang=en"], "Usage"),
    ],
)
def test_the_language_follows_option_then_environment_then_locale(
    edoc: Edoc, env: dict[str, str], line: list[str], word: str
) -> None:
    assert word in edoc(*line, "--help", env=env).out


def test_a_plain_c_locale_prints_vietnamese_as_utf8(edoc: Edoc) -> None:
    env = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
    assert "ký số" in edoc("--help", env=env).raw.decode("utf-8")


@pytest.mark.parametrize("line", [["--help"], ["version"], ["help", "exit-codes"]])
def test_a_closed_pipe_ends_the_printing_and_not_the_command(edoc: Edoc, line: list[str]) -> None:
    """The reader went away before anything was printed: no traceback, exit code of the work."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-m", "edoc", *line], stdout=write, stderr=subprocess.PIPE, env=edoc.environment(), check=False
    )
    os.close(write)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_json_is_told_beside_it(edoc: Edoc) -> None:
    """The document cannot be written; the four lines go to standard error, and no verdict is feigned (exit 4)."""
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edoc", "version", "--json"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=edoc.environment(),
            cwd=edoc.folder,
            check=False,
        )
    assert done.returncode == 4
    assert done.stderr.decode().splitlines()[-1].strip() == "mã: EDOC-USE-011"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_behind_standard_output_is_reported(edoc: Edoc) -> None:
    with open("/dev/full", "wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "edoc", "version"],
            stdout=full,
            stderr=subprocess.PIPE,
            env=edoc.environment(),
            check=False,
        )
    assert done.returncode == 4
    assert b"EDOC-USE-011" in done.stderr
    assert b"Traceback" not in done.stderr


def test_the_launcher_refuses_a_foreign_cli(edoc: Edoc, tmp_path: Path) -> None:
    """A stranger's package ``cli`` earlier on the path is never run; exit 6 names both places."""
    foreign = tmp_path / "foreign"
    (foreign / "cli").mkdir(parents=True)
    (foreign / "cli" / "__init__.py").write_text("print('STRANGER')\n")
    ran = edoc("version", env={"PYTHONPATH": f"{foreign}{os.pathsep}{ROOT}"})
    assert ran.code == 6
    assert "STRANGER" not in ran.out
    assert str(foreign) in ran.err
    assert str(ROOT) in ran.err
