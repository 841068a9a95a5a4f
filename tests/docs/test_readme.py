"""The pages say what is so: every command in them runs, every output has its form, every link leads somewhere."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "README.md",
    "samples/README.md",
    "docs/architecture.md",
    "docs/limits.md",
    "docs/signing.md",
    "docs/keys.md",
    "docs/threat-model.md",
)
BLOCK = re.compile(r"^```sh\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROGRAMS = {".venv/bin/edoc": [sys.executable, "-m", "edoc"], ".venv/bin/python": [sys.executable]}


def commands() -> list[tuple[str, str]]:
    """Return every command of every page with the page it is on."""
    texts = [(page, (ROOT / page).read_text("utf-8")) for page in PAGES]
    return [
        (page, line) for page, text in texts for block in BLOCK.findall(text) for line in block.splitlines() if line
    ]


MADE = [(page, line) for page, line in commands() if line.startswith("make ")]
RUN = [(page, line) for page, line in commands() if not line.startswith("make ")]


@pytest.mark.parametrize(("page", "line"), MADE)
def test_what_make_is_asked_for_is_a_target(page: str, line: str) -> None:
    target = line.split()[1]
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE), page


@pytest.mark.parametrize(("page", "line"), RUN)
def test_every_command_of_a_page_runs_and_holds(page: str, line: str) -> None:
    words = shlex.split(line)
    if words[0] not in PROGRAMS and shutil.which(words[0]) is None:
        pytest.skip(f"{words[0]} is not installed")
    command = [*PROGRAMS.get(words[0], [words[0]]), *words[1:]]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("EDOC_")}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, f"{page}: {line}\n{done.stdout}{done.stderr}"


def test_the_readme_shows_real_output_in_its_form() -> None:
    done = subprocess.run(
        [sys.executable, "docs/insert_output.py", "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_readme_opens_with_one_sentence_in_each_language() -> None:
    title, vietnamese, english, picture = (ROOT / "README.md").read_text("utf-8").split("\n\n")[:4]
    assert title == "# edoc"
    assert vietnamese.startswith("edoc ký số")
    assert english.startswith("edoc signs")
    assert picture.startswith("![")


@pytest.mark.parametrize("page", [*PAGES, "docs/requirements.md", "CHANGELOG.md", "bench/README.md"])
def test_every_link_leads_somewhere(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)\)", text):
        if "://" not in target:
            assert ((ROOT / page).parent / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "docs/architecture.md", "docs/limits.md", "docs/threat-model.md"])
def test_paths_named_in_a_page_exist(page: str) -> None:
    text = re.sub(r"```.*?```", "", (ROOT / page).read_text("utf-8"), flags=re.DOTALL)
    named = re.findall(r"`((?:signer|edoc|transport|samples|tests|docs|bench)/[\w./-]*)`", text)
    for path in named:
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize("page", ["docs/signing.md", "docs/keys.md", "docs/verifying.md", "README.md"])
def test_commands_shown_in_a_page_exist_with_every_option(page: str) -> None:
    """What is shown and cannot be run here, for want of a token or a letter, is at least a line the program takes."""
    import cli

    blocks = re.findall(r"^```text\n(.*?)^```$", (ROOT / page).read_text("utf-8"), re.DOTALL | re.MULTILINE)
    lines = [line.partition("  #")[0] for block in blocks for line in block.splitlines() if line.startswith("edoc ")]
    for line in lines:
        words = shlex.split(line)[1:]
        name = max((one for one in cli.command_names() if words[: len(one.split())] == one.split()), key=len)
        known = {option for item in cli.help_parameters(name) for option in item.names} | cli.COMMON_NAMES
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, line
