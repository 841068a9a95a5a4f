"""Judged files for reports: the samples as they are, broken, untrusted, and with hostile names."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signer.algorithms import PolicyName
from signer.trust import Context, Purpose, TrustStore, anchors_from, load_status
from transport.judging.files import Judging
from transport.present.errors import fault_of
from transport.present.text import VIETNAM
from transport.present.verify import AnchorShown, Checked, Judgement

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
AT = datetime(2026, 11, 20, 12, 0, tzinfo=VIETNAM)
HOSTILE = '<script>alert(1)</script>\x1b[31m\u202efdp."\'&{page} #eval["x"] $1$ `c`'
"""A name with mark-up, escapes, a change of direction, and what typesetters take for commands."""


def trust() -> TrustStore:
    """The trust of the samples."""
    found = anchors_from((SAMPLES / "trust" / "root.crt").read_bytes(), Purpose.SIGNERS, Purpose.TSA)
    for name in ("ca.crl", "root.crl"):
        found = found.merged(load_status((SAMPLES / "trust" / name).read_bytes()))
    return found


def context(*, trusted: bool = True, policy: str = "interop") -> Context:
    """Return how the samples are judged."""
    return Context(trust=trust() if trusted else TrustStore(), at=AT, policy=PolicyName(policy))


def judgement(how: Context) -> Judgement:
    """Return the head of a report."""
    anchors = tuple(AnchorShown(one.certificate, ("signers", "tsa")) for one in how.trust.anchors)
    made = AT + timedelta(minutes=1)
    return Judgement(
        how.at,
        made,
        how.policy.value,
        "0.1.0",
        len(anchors),
        how.trust.fingerprint(),
        trusted=anchors,
        algorithms=("edoc built-in", "2026-11", "0" * 64),
    )


def checked(name: str, how: Context, *, path: str | None = None, flip: int | None = None) -> Checked:
    """Judge a sample, perhaps with one byte changed, perhaps under another path."""
    data = bytearray((SAMPLES / name).read_bytes())
    if flip is not None:
        data[flip] ^= 1
    return Checked(path or name, Judging(how).judge(bytes(data)))


@pytest.fixture(scope="session")
def files() -> tuple[list[Checked], Judgement]:
    """Every verdict, kinds of all sorts, a hostile name, and a file that cannot be read."""
    how = context()
    return [
        checked("letter.signed.pdf", how),
        checked("letter.signed.pdf", how, path=HOSTILE, flip=3000),
        checked("letter.signed.pdf", context(trusted=False), path="untrusted.pdf"),
        checked("letter.sealed.edxml", how),
        checked("receipt.xml", how),
        checked("letter.pdf", how),
        Checked("gone.pdf", None, fault_of("EDOC-USE-008", {"path": "gone.pdf", "reason": "-"}, "vi")),
    ], judgement(how)
