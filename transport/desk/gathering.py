"""FILE arguments that name folders: sorted, without hidden files and our own outputs (console.md 3)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from transport.present.errors import CommandError

OUTPUTS = (".edoc-*", "*.verify.json", "*.verify.html", "*.verify.pdf", "*.verify.xml")
"""What edoc itself leaves in a folder of files to check; temporary files and reports are no input."""


SIGNED = ("*.signed.*", "*.p7s", "*.asice", "*.prepared")
"""What signing leaves in a folder of files to sign; it is not signed again, unless the pattern asks for it by name."""


def gathered(
    names: Sequence[str], *, recursive: bool, glob: str, left_out: Iterable[str] = (), signed: bool = True
) -> tuple[str, ...]:
    """Return every file to work on, in the order of the arguments, each once; a folder needs ``recursive``.

    ``signed`` says whether files in a folder that signing left there are wanted, too.

    A name that does not exist stays in the list: it gets its entry, or its error, later.

    Raises:
        CommandError: an empty name, standard input twice, a folder without ``-r``, the option is named; or no file at
            all: nothing is not "all valid".
    """
    kept: dict[str, None] = {}
    skipped = {Path(name).absolute() for name in left_out if name != "-"}
    for name in names:
        if not name:  # as of a variable that is not set; it would be taken for the current folder
            raise CommandError("EDOC-USE-003", name="FILE", command="edoc verify")
        if name == "-" and name in kept:
            raise CommandError("EDOC-USE-012")
        if name == "-" or not Path(name).is_dir():
            kept[name] = None
        elif not recursive:
            raise CommandError("EDOC-USE-046", path=name)
        else:
            found = _inside(Path(name), glob, skipped)
            kept.update(dict.fromkeys(one for one in found if signed or not _by_signing(one, glob)))
    if not kept:
        raise CommandError("EDOC-USE-050", path=", ".join(names), glob=glob)
    return tuple(kept)


def _inside(folder: Path, glob: str, skipped: set[Path]) -> list[str]:
    found = []
    for path in folder.rglob("*"):
        inner = path.relative_to(folder)
        if any(part.startswith(".") for part in inner.parts) or path.absolute() in skipped:
            continue
        if path.is_file() and _wanted(path.name, inner.as_posix(), glob):
            found.append(str(path))
    return sorted(found)


def _by_signing(name: str, glob: str) -> bool:
    """Say whether signing left this file; a pattern such as ``*.signed.pdf`` means signed files, for the next hand."""
    patterns = [pattern for pattern in SIGNED if pattern.strip("*") not in glob]
    return any(fnmatchcase(Path(name).name, pattern) for pattern in patterns)


def _wanted(name: str, inner: str, glob: str) -> bool:
    if any(fnmatchcase(name, pattern) for pattern in OUTPUTS):
        return False
    return fnmatchcase(inner if "/" in glob else name, glob)
