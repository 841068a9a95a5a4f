"""Lift the XAdES signatures of an ASiC container to a higher level (signing.md 6, R3; EN 319 162-1).

Data objects and all other members keep their bytes and their order; only signature files grow.
"""

from __future__ import annotations

from signer.asic import inspect_asice, read_container
from signer.errors import InputRefused, SigningRefused
from signer.extending import Extended
from signer.report import Verdict
from signer.timestamp import Timestamper
from signer.trust import Context
from signer.xml.extend import extend_xml
from signer.zips import write_zip


def extend_asice(data: bytes, *, to: str, context: Context, timestamper: Timestamper | None = None) -> Extended:
    """Return the container with every XAdES signature at level ``to`` (``t``, ``lt``, ``lta``), or higher.

    Raises:
        InputRefused, LimitExceeded: as ``signer.asic.read_container``.
        SigningRefused, LevelNotReached, TimestampError: as ``signer.xml.extend.extend_xml``.
    """
    container = read_container(data, limits=context.limits)
    if not container.signature_files:
        raise SigningRefused("EDOC-SIG-022", "no XAdES signature", signature="-")
    report = inspect_asice(data, context=context)
    if report.verdict is Verdict.INVALID:
        first = report.reasons[0]
        raise SigningRefused(
            "EDOC-SIG-021", "a broken container", signature=first.signature or "-", reason=first.code.value
        )
    members = {name: value for name, value in container.members.items() if not name.endswith("/")}
    before: tuple[str, ...] = ()
    after: tuple[str, ...] = ()
    for name in container.signature_files:
        done = extend_xml(members[name], to=to, context=context, timestamper=timestamper, content=container.members)
        members[name] = done.data
        before, after = (*before, *done.before), (*after, *done.after)
    try:
        return Extended(write_zip(list(members.items())), before, after)
    except ValueError:
        raise InputRefused("EDOC-SIG-010", "names that are not written", where="-") from None
