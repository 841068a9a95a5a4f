"""``edoc sign``: check the key once, sign each file, read it back, write it whole (console.md 4.1, signing.md 2, 3).

A batch has one key and one PIN. With a key in memory its files are signed by as many processes as there are processors,
by a token or a service one after the other; the outcomes come in the order of the files, and a bad file stops no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from signer.errors import SignerError
from transport.desk import crew, keys
from transport.desk.checkedkey import KeyRefused
from transport.desk.signdesk import prepared
from transport.desk.signfile import sign_one
from transport.desk.signplan import refuse_shared_targets
from transport.desk.signrequest import Outcome, Request
from transport.present.errors import CommandError, fault

if TYPE_CHECKING:
    from transport.desk.console import Console
    from transport.desk.signdesk import Desk

WORTH_FORKING = 3
"""Files left in a batch from which several processes are quicker than one."""


def sign(console: Console, request: Request) -> tuple[Desk, Iterator[Outcome]]:
    """Find the key and return the desk with the outcomes, which come one by one in the order of the files.

    Raises:
        CommandError, SignerError, TransportError: the call as a whole cannot go on; no file was signed.
    """
    if request.delivery.output and len(request.files) > 1:
        raise CommandError("EDOC-USE-016", first="-o", second="FILE FILE…")
    refuse_shared_targets(request)
    try:
        desk = prepared(console, request)
    except SignerError as error:
        error.facts.setdefault("path", request.files[0])
        raise
    outcomes = _outcomes(desk)
    return desk, _marked(desk, outcomes) if desk.level == "b" else outcomes


def _outcomes(desk: Desk) -> Iterator[Outcome]:
    """Sign one by one until the key is open, then with as many processes as the key allows."""
    names = desk.request.files
    try:
        for at, name in enumerate(names):
            if _jobs(desk, len(names) - at) > 1:
                yield from _shared(desk, names[at:])
                return
            outcome = sign_one(desk, name)
            yield outcome
            if desk.key.lost or _stops(desk, outcome):
                return
    except KeyRefused as refused:
        raise refused.error from None
    finally:
        desk.key.close()


def _marked(desk: Desk, outcomes: Iterator[Outcome]) -> Iterator[Outcome]:
    """Enter in the ledger of a node, once in a run, that signatures were made without time stamps (R32)."""
    request, marked = desk.request, False
    for outcome in outcomes:
        if outcome.status == "signed" and not marked:
            subject = desk.credential.sha256
            keys.log_without_stamp(desk.console, files=len(request.files), subject=subject, now=request.at)
            marked = True
        yield outcome


def _stops(desk: Desk, outcome: Outcome | None) -> bool:
    bad = outcome is None or outcome.status in ("refused", "failed")
    return bad and desk.request.delivery.fail_fast


def _jobs(desk: Desk, left: int) -> int:
    """Return how many processes the files left are worth."""
    delivery = desk.request.delivery
    if left < WORTH_FORKING or not desk.key.parallel or not crew.available() or delivery.dry_run:
        return 1
    return min(left, delivery.jobs or crew.cores())


def _shared(desk: Desk, names: Sequence[str]) -> Iterator[Outcome]:
    """Sign files in several processes; yield what became of each in their order."""
    own = [name for name in names if name != "-"]  # standard input belongs to this process
    done: dict[str, Outcome] = {}
    order = iter(names)
    waited = next(order, None)
    with crew.Crew(partial(sign_one, desk), _jobs(desk, len(names))) as processes:
        for index, answer in processes.answers(own, enough=lambda found: _stops(desk, found)):
            done[own[index]] = answer or _lost(desk, own[index])
            while waited is not None and (waited in done or waited == "-"):
                yield sign_one(desk, waited) if waited == "-" else done.pop(waited)
                waited = next(order, None)
    yield from (done[name] for name in names if name in done)  # signed behind one at which the batch was stopped


def _lost(desk: Desk, name: str) -> Outcome:
    return Outcome(name, "failed", fault(CommandError("EDOC-INT-003", path=name), desk.console.lang))
