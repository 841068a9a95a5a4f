"""Named points of a delivery at which a test may end the process, to prove that no step can lose or double anything.

A point does nothing unless the environment variable ``EDOC_STOP_AT`` names it when the process starts: then the process
is killed there as by ``kill -9``, with no chance to clean up. ``NAME#3`` means the third time. The names stand here
in the order in which a message passes them.
"""

from __future__ import annotations

import os
import signal
from itertools import count

SUBMIT = ("submit.sealed", "submit.blob-durable", "submit.in-transaction", "submit.committed")
CARRY = (
    "carry.claimed",
    "carry.loaded",
    "carry.answered",
    "settle.verified",
    "settle.in-transaction",
    "settle.committed",
)
RECEIVE = (
    "receive.authenticated",
    "receive.looked-up",
    "receive.body-read",
    "receive.judged",
    "receive.blob-durable",
    "receive.receipt-signed",
    "receive.in-transaction",
    "receive.committed",
    "receive.answering",
)
EFFECT = ("effect.started", "effect.sealed", "effect.in-transaction", "effect.committed")
POINTS: frozenset[str] = frozenset(SUBMIT + CARRY + RECEIVE + EFFECT)

_wanted, _, _times = os.environ.get("EDOC_STOP_AT", "").partition("#")
_passes = count(1)


def reached(name: str) -> None:
    """Say that this point has been reached; end the process here if ``EDOC_STOP_AT`` asks for it."""
    if name == _wanted and next(_passes) == int(_times or "1"):
        os.kill(os.getpid(), signal.SIGKILL)
