"""What each file becomes before anything is signed: its format, the name of its output, what is drawn on it.

A batch in which two files would become one is refused as a whole; then nothing is signed (console.md 4.1).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from transport.desk.files import beside
from transport.desk.signrequest import Request
from transport.present.errors import CommandError

HEAD = 4096
"""Octets that tell what a file is."""
CONTAINER, DETACHED = "ASiC-E", "CAdES"
PROMISES = (".pdf", ".xml")
"""Endings that promise a format: a file that breaks the promise is not wrapped in silence."""
_NAMES = {"pades": "PAdES", "xades": "XAdES", "cades": DETACHED, "asic": CONTAINER}
_KINDS = {"pdf": "PAdES", "xml": "XAdES", "edxml": "XAdES", "receipt": "XAdES"}
_ENDINGS = {DETACHED: "p7s", CONTAINER: "asice"}


def format_of(asked: str, head: bytes, name: str) -> str:
    """Return ``PAdES``, ``XAdES``, ``CAdES`` or ``ASiC-E``: by content, or as asked for (console.md 4.1).

    Raises:
        CommandError: the file is empty, or not of the format asked for.
    """
    from signer.inspect import recognise

    if not head:
        raise CommandError("EDOC-USE-040", path=name)
    if asked in ("cades", "asic"):
        return _NAMES[asked]
    kind = recognise(head)
    found = _KINDS.get(kind)
    if asked == "auto" and (found or not name.lower().endswith(PROMISES)):
        return found or CONTAINER
    if found is None or found != _NAMES.get(asked):
        raise CommandError("EDOC-USE-031", path=name, format=kind if asked == "auto" else f"{kind} / {asked}")
    return found


def target_of(request: Request, name: str, kind: str) -> Path | None:
    """Return where the signed file goes; ``None`` is standard output."""
    output, folder = request.delivery.output, request.delivery.out_dir
    if output == "-" or (name == "-" and output is None):
        return None
    if output:
        return Path(output)
    ending = _ENDINGS.get(kind)
    target = Path(f"{name}.{ending}") if ending else beside(name, "signed")
    return Path(folder) / target.name if folder else target


def refuse_shared_targets(request: Request) -> None:
    """Refuse a batch in which two files would become one, or one that is named twice.

    Raises:
        CommandError: the two files and their output.
    """
    taken: dict[Path, str] = {}
    for name in request.files:
        with suppress(CommandError):  # a name that is no file, or the wrong one, is told when its turn comes
            target = target_of(request, name, format_of(request.format, _head(name), name))
            if target is None:
                continue
            place = Path(os.path.normpath(target.absolute()))
            if place in taken:
                shared = taken[place], name, str(target)
                break
            taken[place] = name
    else:
        return
    raise CommandError("EDOC-USE-052", first=shared[0], second=shared[1], output=shared[2])


def _head(name: str) -> bytes:
    """Return the first octets of a file; what cannot be read now is a matter of its turn."""
    if name == "-":
        return b"-"
    try:
        with open(name, "rb") as file:
            return file.read(HEAD)
    except (OSError, ValueError):
        return b""


def form_of(request: Request, kind: str, name: str, *, picture: bool) -> str:
    """Return what is drawn (R35, R36, R39 to R42); ``picture`` says whether there is one of the signature or seal."""
    look, act = request.look, request.act
    if kind != "PAdES":
        return "none"
    if look.form != "auto":
        return look.form
    if act.copy:
        return "t2"
    if act.attachment_of and not same_file(name, act.attachment_of):
        return "t1"
    if not picture:
        return "none"
    return "signature" if act.role == "person" else "seal"


def is_attachment(request: Request, name: str) -> bool:
    """Say whether a file is signed as a separate appendix: the main document among the files is not (R36)."""
    main = request.act.attachment_of
    return main is not None and not same_file(name, main)


def same_file(first: str, second: str) -> bool:
    """Say whether two names are of one file."""
    if "-" in (first, second):
        return first == second
    try:
        return os.path.samefile(first, second)
    except OSError:
        return os.path.abspath(first) == os.path.abspath(second)


def targets_of(request: Request, names: Sequence[str]) -> frozenset[str]:
    """Return the absolute names of what signing these files would write."""
    found = set()
    for name in names:
        with suppress(CommandError):
            target = target_of(request, name, format_of(request.format, _head(name), name))
            if target is not None:
                found.add(os.path.abspath(target))
    return frozenset(found)
