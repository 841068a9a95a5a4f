"""Put the real output of the README's commands into it: ``python docs/insert_output.py [NAME [FILE]]``, or ``--check``.

The README marks each place by ``<!-- output: NAME -->`` … ``<!-- end -->``. Without a file the command is run; with one
its saved output is taken (``-`` is standard input). ``--check`` writes nothing and looks at the form only, since times
differ: every step of the demonstration there, in order and held; a line of counts of the tests; verdicts of ``verify``.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
NOON = "2026-11-20T12:00:00+07:00"
OWN_TEST = "tests/docs/test_readme.py::test_the_readme_shows_real_output_in_its_form"
"""Asks whether the places are filled, so it cannot be among the tests whose output fills one."""

COMMANDS: dict[str, list[str]] = {
    "demo": ["make", "demo"],
    "test": ["make", "test", f"TESTS=--deselect={OWN_TEST}"],
    "verify": [
        *(sys.executable, "-m", "edoc", "--lang", "vi", "verify", "samples/letter.signed.pdf"),
        *("--trust", "samples/trust", "--revocation", "samples/trust", "--at", NOON),
    ],
}
STEP = re.compile(r"\[ ?(\d+)/(\d+)\] ✔ .+ · \d+,\d s")
COUNTS = re.compile(r"\d+ passed.* in \d+")


def place(name: str) -> re.Pattern[str]:
    """Return the pattern of a marked place; its group 1 is the output."""
    return re.compile(rf"(?<=<!-- output: {name} -->\n)```text\n(.*?)```\n(?=<!-- end -->)", re.DOTALL)


def output_of(name: str) -> str:
    """Run a command of the README and return what it printed."""
    environment = {**os.environ, "NO_COLOR": "1", "EDOC_LANG": "vi"}
    done = subprocess.run(COMMANDS[name], capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise SystemExit(f"{name}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


def tidied(name: str, text: str) -> str:
    """Return the lines worth showing: no paths of this machine, of the tests the line of counts alone."""
    text = text.replace("\t\t", "\t").replace("\t", "  ")
    text = re.sub(r"(?<![\w.])/\S*?(?=edoc-demo\b)", "", text)
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    if name == "test":
        lines = [line.strip("= ") for line in lines if COUNTS.search(line)][-1:]
    return "".join(f"{line}\n" for line in lines)


def insert(name: str, text: str) -> None:
    """Write an output into its place."""
    page = README.read_text("utf-8")
    if place(name).search(page) is None:
        raise SystemExit(f"README.md has no place for {name}")
    README.write_text(place(name).sub(lambda _: f"```text\n{text}```\n", page), encoding="utf-8")


def holds_demo(text: str) -> bool:
    """All steps are there, counted from 1, each held."""
    steps = [line for line in text.splitlines() if line.startswith("[")]
    found = [match for line in steps if (match := STEP.fullmatch(line))]
    numbers = [int(match[1]) for match in found]
    return len(found) == len(steps) > 0 and numbers == list(range(1, int(found[0][2]) + 1))


FORMS: dict[str, Callable[[str], bool]] = {
    "demo": holds_demo,
    "test": lambda text: COUNTS.search(text) is not None and "failed" not in text,
    "verify": lambda text: text.count("HỢP LỆ") == len(text.splitlines()) and "KHÔNG" not in text,
}


def wrong() -> list[str]:
    """Return the names of the places that are missing or do not have their form."""
    page = README.read_text("utf-8")
    found = {name: place(name).search(page) for name in FORMS}
    return [name for name, match in found.items() if match is None or not FORMS[name](match[1])]


def main(arguments: list[str]) -> int:
    """Insert, or check."""
    if arguments == ["--check"]:
        for name in (names := wrong()):
            sys.stdout.write(f"README.md: the output of {name} is missing or has another form\n")
        return 1 if names else 0
    for name in arguments[:1] or COMMANDS:
        given = arguments[1] if len(arguments) > 1 else None
        text = (
            output_of(name) if given is None else sys.stdin.read() if given == "-" else Path(given).read_text("utf-8")
        )
        insert(name, tidied(name, text))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
