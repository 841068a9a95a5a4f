"""Lift the signatures of a PDF to a higher level, or renew their archive stamp (signing.md 3.1; EN 319 142-1, 5.4).

Everything is added by updates behind the file, so the input stays its prefix, byte for byte: B becomes T by a document
time stamp, T becomes LT by ``/DSS``, LT becomes LTA by a document time stamp over that; renewal is the data for the
last stamp and a new one. The file is verified before and after. A level not reached is refused, with what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from signer.errors import SigningRefused
from signer.extending import LEVELS, Extended, Stamping, is_good, not_reached, refuse_broken, stamping
from signer.pdf.dss import Material, check_extendable, held_data, stamp_place, with_material
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Integrity, Report, SignatureReport
from signer.timestamp import Timestamper
from signer.trust import Context

STAMP_ROOM = 16 * 1024
"""Octets kept for a token of which nothing is known."""
_UNREADABLE = frozenset({Code.UNREADABLE, Code.MALFORMED, Code.ENCRYPTED, Code.LIMIT_EXCEEDED})
_LASTING = ("PAdES-B-LT", "PAdES-B-LTA")


def extend_pdf(data: bytes, *, to: str, context: Context, timestamper: Timestamper | None = None) -> Extended:
    """Return the file with every signature at level ``to`` (``t``, ``lt``, ``lta``), or higher where it was.

    ``context.at`` is now; status answers and certificates come from ``context.trust`` and from the file. Asking for
    ``lta`` again renews. Signatures that are no PAdES get the same data and stamps; their form has no levels.

    Raises:
        InputRefused, LimitExceeded: no PDF that can be appended to: damaged, encrypted, over a limit.
        SigningRefused: a signature is broken or cannot be checked, or there is none.
        LevelNotReached: validation data is missing (``needs`` among the facts), or a path is not good.
        TimestampError: no usable time stamp.
    """
    lifting = stamping(to, context, timestamper, "PAdES")
    check_extendable(data, limits=lifting.context.limits)
    before = _sound(inspect_pdf(data, context=lifting.context))
    for step in LEVELS[1 : LEVELS.index(to) + 1]:
        data = _STEPS[step](data, lifting)
    after = inspect_pdf(data, context=lifting.context)
    _check_after(before, after, lifting, to)
    return Extended(data, _levels(before), _levels(after))


def _signatures(report: Report) -> list[SignatureReport]:
    """Return the signatures of persons and agencies: document time stamps have no level."""
    return [one for one in report.signatures if one.kind == "signature"]


def _levels(report: Report) -> tuple[str, ...]:
    return tuple(one.level for one in _signatures(report))


def _sound(report: Report) -> Report:
    """Refuse files with a signature that does not hold, and those without any."""
    for one in report.signatures:
        refuse_broken(one)
    why = next((reason.code for reason in report.reasons if reason.code in _UNREADABLE), None)
    if why is not None:
        raise SigningRefused("EDOC-SIG-021", "the file cannot be checked", signature="-", reason=why.value)
    if not _signatures(report):
        raise SigningRefused("EDOC-SIG-022", "no signature", signature="-")
    return report


def _check_after(before: Report, after: Report, lifting: Stamping, to: str) -> None:
    """Refuse to hand out a file in which a signature has come to harm, or has not reached the level."""
    for one in after.signatures:
        refuse_broken(one)
    if len(_signatures(after)) != len(_signatures(before)):
        raise SigningRefused("EDOC-SIG-021", "a signature is gone", signature="-", reason=Code.FORMAT_FAILURE.value)
    for one in _signatures(after):
        reached = one.level.removeprefix("PAdES-B-").lower()
        if reached in LEVELS and LEVELS.index(reached) < LEVELS.index(to):
            raise not_reached(one, after.needs, lifting.name(to))


# --- the steps -------------------------------------------------------------------------------------------------------


def _to_t(data: bytes, lifting: Stamping) -> bytes:
    """Add a document time stamp if some signature has no stamp that holds."""
    report = inspect_pdf(data, context=lifting.context)
    return data if all(_is_stamped(one) for one in _signatures(report)) else _stamped(data, lifting, "t")


def _is_stamped(one: SignatureReport) -> bool:
    return any(stamp.integrity is Integrity.INTACT and stamp.kind != "content" for stamp in one.timestamps)


def _to_lt(data: bytes, lifting: Stamping) -> bytes:
    """Add certificates and status answers of the paths of signers and stamps, where they are not complete."""
    return data if _lasts(data, lifting) else _provided(data, lifting, "lt")


def _lasts(data: bytes, lifting: Stamping) -> bool:
    """Say whether the file itself holds what its signatures and all stamps but the newest need."""
    trust = replace(lifting.context.trust, crls=(), ocsps=())
    report = inspect_pdf(data, context=replace(lifting.context, trust=trust))
    for one in _signatures(report):
        newest = max((stamp.time for stamp in one.timestamps if stamp.kind == "archive" and stamp.time), default=None)
        awaiting = one.level == "PAdES-B-LTA"
        inner = tuple(stamp for stamp in one.timestamps if not (awaiting and stamp.time == newest))
        if one.level not in _LASTING or not is_good(replace(one, timestamps=inner)):
            return False
    return True


def _to_lta(data: bytes, lifting: Stamping) -> bytes:
    """Add the data the last stamp needs, then a document time stamp over everything."""
    return _stamped(_provided(data, lifting, "lta"), lifting, "lta")


_STEPS: Mapping[str, Callable[[bytes, Stamping], bytes]] = {"t": _to_t, "lt": _to_lt, "lta": _to_lta}


def _provided(data: bytes, lifting: Stamping, level: str) -> bytes:
    """Return the file with everything in ``/DSS`` that the judgement used.

    Raises:
        LevelNotReached: a path is not good, so it is not known what it needs.
    """
    report = inspect_pdf(data, context=lifting.context)
    for one in _signatures(report):
        if not is_good(one):
            raise not_reached(one, report.needs, lifting.name(level))
    used = {kind: tuple(e.data for e in report.evidence if e.kind == kind) for kind in ("certificate", "crl", "ocsp")}
    material = Material(used["certificate"], used["crl"], used["ocsp"])
    return with_material(data, material.without(held_data(data, limits=lifting.context.limits)))


def _stamped(data: bytes, lifting: Stamping, level: str) -> bytes:
    """Return the file with a document time stamp over all of it."""
    room = STAMP_ROOM
    while True:
        place = stamp_place(data, room, limits=lifting.context.limits)
        token = lifting.stamp(place.digest("sha256"), level)
        if len(token) <= place.room:
            place.embed(token)
            return place.whole()
        room = len(token) * 5 // 4
