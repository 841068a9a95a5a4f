"""How ``edoc verify`` answers: on the terminal, as JSON, or as a report for others to read (console.md 4.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from transport.desk.files import check_target, write_output
from transport.present import verdicts
from transport.present import verify as present
from transport.present.errors import CommandError
from transport.present.hints import hints

if TYPE_CHECKING:
    from transport.desk.console import Console

FORMS = ("html", "pdf", "xml")


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which report is asked for and where it goes; ``form`` ``None``: none, ``target`` ``None``: standard output."""

    form: str | None
    target: Path | None
    force: bool = False


def wanted(console: Console, form: str | None, output: str | None, *, force: bool, inputs: Sequence[str]) -> Wanted:
    """Check what is asked for before anything is judged.

    Raises:
        CommandError: unknown form, ``-o`` without a report, a target that exists, PDF to a terminal, or no extra.
    """
    if form is not None and form not in FORMS:
        raise CommandError("EDOC-USE-004", name="--report", value=form, expected="|".join(FORMS))
    if form is None and output is not None:
        raise CommandError("EDOC-USE-003", name="--report", command="edoc verify")
    target = None if output in (None, "-") else Path(str(output))
    if form == "pdf":
        _pdf_is_possible(console, target)
    if target is not None:
        check_target(target, force=force, inputs=inputs)
    return Wanted(form, target, force)


def is_installed() -> bool:
    """Say whether the extra ``report`` is installed, without loading it."""
    from importlib.util import find_spec

    return find_spec("typst") is not None


def _pdf_is_possible(console: Console, target: Path | None) -> None:
    if not is_installed():
        raise CommandError("EDOC-USE-026", extra="report")
    if target is None and console.terminal:
        raise CommandError("EDOC-USE-048")


def answer(console: Console, asked: Wanted, files: Sequence[present.Checked], how: present.Judgement) -> int:
    """Print or write the answer and return the exit code of the verdicts.

    A report on standard output is the only thing there; with ``-o`` the usual answer is printed beside it.
    """
    if asked.form is not None:
        data = made(asked.form, files, how, console.lang)
        if asked.target is None:
            _print(console, asked.form, data)
            return present.exit_code(files)
        write_output(asked.target, data, force=asked.force)
    if console.json:
        console.document(present.document(files, how, console.lang))
    else:
        console.say(verdicts.blocks(files, console.screen(), policy=how.policy))
        for hint in hints(files, how, console.lang):
            console.note(hint)
    return present.exit_code(files)


def _print(console: Console, form: str, data: bytes) -> None:
    if form == "pdf":
        console.binary(data)
    else:
        console.say(data.decode("utf-8").rstrip("\n"))


def made(form: str, files: Sequence[present.Checked], how: present.Judgement, lang: str) -> bytes:
    """Return the report over all files in the form asked for."""
    if form == "xml":
        from transport.present.reports import etsi

        return etsi.report(files, how)
    from transport.present.reports import content

    page = content.page(files, how, lang)
    if form == "html":
        from transport.present.reports import html

        return html.render(page)
    from transport.present.reports import pdf

    return pdf.render(page)
