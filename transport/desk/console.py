"""One call of the command line: its language, streams and questions (console.md 1).

Standard output carries results only; notes, questions and errors go to standard error. Both are UTF-8 in every locale.
A reader that closes the pipe ends the printing, not the command: its exit code stays that of the work.
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from transport.present.exits import Exit

if TYPE_CHECKING:
    from transport.present.errors import Fault
    from transport.present.screen import Screen

LANGUAGES = ("vi", "en")


def language(argv: Sequence[str], environ: Mapping[str, str], configured: str | None = None) -> str:
    """Return ``vi`` or ``en``: ``--lang``, ``EDOC_LANG``, the setting, then a locale beginning with ``en``."""
    for asked in (option_value(argv, "--lang"), environ.get("EDOC_LANG"), configured):
        if asked in LANGUAGES:
            return asked
    locale = environ.get("LC_ALL") or environ.get("LC_MESSAGES") or environ.get("LANG") or ""
    return "en" if locale.lower().startswith("en") else "vi"


def option_value(argv: Sequence[str], name: str) -> str | None:
    """Return the last value given to a common option, before the command line is parsed; ``--`` ends the options."""
    found = None
    words = list(argv[: argv.index("--")] if "--" in argv else argv)
    for index, word in enumerate(words):
        if word == name and index + 1 < len(words):
            found = words[index + 1]
        elif word.startswith(f"{name}="):
            found = word.partition("=")[2]
    return found


def has_flag(argv: Sequence[str], *names: str) -> bool:
    """Say whether one of the flags stands on the command line, before it is parsed."""
    words = argv[: argv.index("--")] if "--" in argv else argv
    return any(word in names for word in words)


def _configured_language(argv: Sequence[str], environ: Mapping[str, str]) -> str | None:
    """Return the setting ``lang`` of the settings file, read only where nothing stronger decides; faults wait."""
    if option_value(argv, "--lang") or environ.get("EDOC_LANG"):
        return None
    named = option_value(argv, "--config") or environ.get("EDOC_CONFIG")
    home = option_value(argv, "--home") or environ.get("EDOC_HOME")
    if not (named or home):
        return None
    import tomllib

    for path in (Path(named) if named else None, Path(home) / "edoc.toml" if home else None):
        try:
            if path is not None and (lang := tomllib.loads(path.read_text("utf-8")).get("lang")):
                return str(lang)
        except (OSError, ValueError):
            continue
    return None


class Console:
    """How this call talks. Its fields are set from the common options while the command line is parsed."""

    def __init__(self, argv: Sequence[str], environ: Mapping[str, str]) -> None:
        self.environ = environ
        self.lang = language(argv, environ, _configured_language(argv, environ))
        self.json = has_flag(argv, "--json")
        self.debug = has_flag(argv, "--debug") or bool(environ.get("EDOC_DEBUG"))
        self.quiet = has_flag(argv, "-q", "--quiet")
        self.verbose = False
        self.color = "auto"
        self.home: Path | None = None
        self.config: Path | None = None
        self.signs = _can_encode(sys.stdout, "✔✘")
        self.stdin_used = False

    @property
    def terminal(self) -> bool:
        """Standard output is a terminal."""
        return _is_terminal(sys.stdout)

    def screen(self) -> Screen:
        """Return what the layout needs to know about standard output."""
        import shutil

        from transport.present.screen import Screen

        columns = shutil.get_terminal_size((100, 24)).columns
        return Screen(self.lang, self.terminal, self._colored(), columns, self.signs)

    def _colored(self) -> bool:
        if self.color != "auto":
            return self.color == "always"
        if self.environ.get("NO_COLOR"):
            return False
        if self.environ.get("FORCE_COLOR"):
            return True
        return self.terminal and self.environ.get("TERM") != "dumb"

    def say(self, lines: str | Iterable[str]) -> None:
        """Print results."""
        for line in [lines] if isinstance(lines, str) else lines:
            _write(sys.stdout, f"{line}\n")

    def document(self, value: Mapping[str, object], *, one_line: bool = False) -> None:
        """Print the one JSON document of this call."""
        _write(sys.stdout, json.dumps(value, ensure_ascii=False, indent=None if one_line else 2) + "\n")

    def binary(self, data: bytes) -> None:
        """Write bytes to standard output; never to a terminal."""
        from transport.present.errors import CommandError

        if self.terminal:
            raise CommandError("EDOC-USE-013")
        try:
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        except BrokenPipeError:
            _silence(sys.stdout)

    def note(self, text: str) -> None:
        """Print a note or progress to standard error; nothing under ``-q`` or ``--json``."""
        if not (self.quiet or self.json):
            _write(sys.stderr, f"edoc: {text}\n")

    def warn(self, text: str) -> None:
        """Print a warning to standard error; also under ``-q``, not under ``--json``."""
        if not self.json:
            _write(sys.stderr, f"edoc: {text}\n")

    def fail(self, fault: Fault) -> int:
        """Print an error as this call prints them, and return its exit code."""
        from transport.present import errors

        if self.json:
            try:
                self.document(errors.document(fault))
                return fault.exit_code
            except OSError:  # nothing more arrives there; whoever looks after it still hears why
                _silence(sys.stdout)
        _write(sys.stderr, "\n".join(errors.lines(fault, self.lang)) + "\n")
        return fault.exit_code

    def confirmed(self, act: str, *, yes: bool) -> bool:
        """Ask before an act that leaves the office or cannot be undone; without a terminal ``--yes`` is needed."""
        from transport.present.errors import CommandError

        if yes:
            return True
        if not (_is_terminal(sys.stdin) and _is_terminal(sys.stderr)):
            raise CommandError("EDOC-USE-014", act="; ".join(line.strip() for line in act.splitlines() if line.strip()))
        choices, accepted = ("[c/K]", {"c", "co", "có"}) if self.lang == "vi" else ("[y/N]", {"y", "yes"})
        _write(sys.stderr, f"edoc: {act}? {choices} ")
        return sys.stdin.readline().strip().lower() in accepted


def prepare_streams() -> None:
    """Make standard output and error UTF-8 with replacement, whatever the locale says."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(encoding="utf-8", errors="replace")


def flush() -> int:
    """Flush standard output before the process ends; return an exit code when what was printed did not arrive."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        _silence(sys.stdout)
    except OSError:
        _silence(sys.stdout)
        return int(Exit.LATER)
    return int(Exit.DONE)


def _write(stream: TextIO, text: str) -> None:
    try:
        stream.write(text)
        stream.flush()
    except BrokenPipeError:
        _silence(stream)


def _silence(stream: TextIO) -> None:
    """Lead the stream nowhere, so that nothing more fails, not even the flush when the interpreter ends."""
    try:
        descriptor = os.open(os.devnull, os.O_WRONLY)
        os.dup2(descriptor, stream.fileno())
        os.close(descriptor)
    except (OSError, ValueError):
        return


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):
        return False


def _can_encode(stream: TextIO, text: str) -> bool:
    try:
        text.encode(stream.encoding or "ascii")
    except (UnicodeEncodeError, LookupError, AttributeError):
        return False
    return True
