"""What each file becomes before anything is signed: its format, the name of its output, what is drawn on it.

A batch in which two files would become one is refused as a whole; then nothing is signed (console.md 4.1).
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from transport.desk.files import beside, identities, identity_of, is_regular
from transport.desk.signrequest import Request
from transport.present.errors import CommandError

HEAD = 4096
"""Octets that tell what a file is."""
CONTAINER, DETACHED = "ASiC-E", "CAdES"
PROMISES = (".pdf", ".xml")
"""Endings that promise a format: a file that breaks the promise is not wrapped in silence."""
MANIFEST = b'"edoc.sign/1"'
"""What a result file of signing has at its beginning."""
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


def files_named(request: Request) -> tuple[str, ...]:
    """Return every file the call reads: what is signed, the main document, pictures, keys, certificates, pass phrase.

    None of them is written over, whatever may be replaced otherwise.
    """
    key, act = request.key, request.act
    others = (request.look.image, act.attachment_of, key.name, *key.certs, key.pins.file)
    return (*request.files, *(name for name in others if name), *request.trust, *request.revocation)


def refuse_shared_targets(request: Request) -> None:
    """Refuse a batch in which two files would become one, or one that is named twice; the result file is one of them.

    Raises:
        CommandError: the two files and their output; or what the result file would write over.
    """
    taken = _result_file(request)
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


def _result_file(request: Request) -> dict[Path, str]:
    """Return the place of the result file, which may be there from a former run and is nothing else.

    Raises:
        CommandError: it is a file of the call (EDOC-USE-022), or another that nobody allowed to replace (-009).
    """
    name = request.delivery.manifest
    if name is None:
        return {}
    found = identity_of(name)
    known = {} if found is None else identities(files_named(request))
    if found in known:
        raise CommandError("EDOC-USE-022", path=known[found])
    if is_regular(name) and not request.delivery.force and _head(name) and MANIFEST not in _head(name):
        raise CommandError("EDOC-USE-009", path=name)
    return {Path(os.path.normpath(Path(name).absolute())): "--manifest"}


def _head(name: str) -> bytes:
    """Return the first octets of a file; what cannot be read now is a matter of its turn.

    So is a pipe: it gives what it holds once, and that is what is signed.
    """
    if name == "-":
        return b"-"
    if not is_regular(name):
        return b""
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
