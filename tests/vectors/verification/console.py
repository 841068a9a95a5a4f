"""A vector at the console: the same trust, status answers, content, moment and policy as files and options."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from signer.algorithms import PolicyName
from signer.devpki import pem
from signer.report import Verdict
from signer.trust import Context, Limits, Purpose
from tests.console.conftest import Edoc
from tests.console.schema import problems
from tests.vectors.verification.house import Case, Line

EXIT = {Verdict.VALID.value: 0, Verdict.INVALID.value: 1, Verdict.INDETERMINATE.value: 3}
"""What the command returns for one file (console.md 2, 4.2)."""


def can_be_asked(case: Case) -> bool:
    """Say whether the command line has words for everything the case is judged with."""
    context, judging = case.judging.context, case.judging
    special = (context.expectation, context.algorithms, context.pictures, judging.directory)
    anchors = all(anchor.purposes & {Purpose.SIGNERS} for anchor in context.trust.anchors)
    given = bool(judging.keys or context.proofs or context.secrets or context.public_keys)
    return anchors and not given and special == (None,) * 4 and context.limits == Limits()


def asked(edoc: Edoc, case: Case, name: str = "file.bin") -> tuple[int, dict[str, Any], str]:
    """Run ``edoc verify --json`` over the case: exit code, the file's entry, the whole of standard error."""
    (edoc.folder / name).write_bytes(case.data)
    ran = edoc("verify", name, "--json", *options(case.judging.context, edoc.folder))
    assert problems(ran.json) == []
    assert len(ran.json["files"]) == 1
    entry: dict[str, Any] = ran.json["files"][0]
    counted = {word: int(word == entry["verdict"]) for word in EXIT}
    assert ran.json["summary"] == {"files": 1, **counted}
    return ran.code, entry, ran.err


def options(context: Context, folder: Path) -> Iterator[str]:
    """Write trust, answers and content into a folder and return the options that name them."""
    store = context.trust
    if store.anchors:
        (folder / "trust.pem").write_bytes(b"".join(pem(one.certificate) for one in store.anchors))
        yield from ("--trust", "trust.pem")
    if store.intermediates:
        (folder / "chain.pem").write_bytes(b"".join(pem(one) for one in store.intermediates))
        yield from ("--chain", "chain.pem")
    for number, answer in enumerate((*store.crls, *store.ocsps)):
        (folder / f"status-{number}.der").write_bytes(answer)
        yield from ("--revocation", f"status-{number}.der")
    for number, content in enumerate(context.contents):
        (folder / f"content-{number}").write_bytes(content.data)
        yield from ("--content", f"{content.name}=content-{number}" if content.name else f"content-{number}")
    yield from ("--at", context.at.isoformat(), "--policy", context.policy.value)
    assert context.policy in PolicyName


def line_of(entry: dict[str, Any], signature: str | None) -> Line:
    """Return what the entry says of the file and of one signature (by default the first, if there is one)."""
    found = [one for one in entry["signatures"] if signature in (None, one["id"])]
    if not found:
        return Line(entry["verdict"])
    one = found[0]
    bytes_ = (one["integrity"], one["crypto"], one["covers"], one["later_changes"])
    return Line(entry["verdict"], *bytes_, one["indication"], one["sub_indication"])


def codes(entry: dict[str, Any], where: str) -> set[str]:
    """Return the codes of the reasons or warnings of the file and its signatures."""
    listed = [*entry[where], *(one for signature in entry["signatures"] for one in signature[where])]
    return {str(one["code"]) for one in listed}
