"""Signing in two steps, with a key that is elsewhere: ``--prepare``, then ``--embed`` (signing.md 2, deferred).

Everything that is checked before a key is used is checked when the file is prepared. What lies between the steps is one
file without a secret; nothing in it is believed when the value comes back.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edoc.errors import EdocError
from signer.errors import CredentialError, SignerError
from signer.report import Need
from transport.desk import copying, keys, signmakers
from transport.desk.checkedkey import KeyRefused
from transport.desk.files import check_target, read_input, write_output
from transport.desk.signdesk import prepared as desk_for
from transport.desk.signdesk import settings_of, timestamper_for
from transport.desk.signfile import degraded
from transport.desk.signplan import form_of, format_of
from transport.desk.signrequest import Made, Outcome, Request, ToSign
from transport.errors import TransportError
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from datetime import datetime

    from signer.pdf.deferred import Prepared
    from signer.pdf.sign import SignedPdf
    from signer.report import Signer
    from signer.timestamp import Timestamper
    from signer.trust import Context
    from transport.desk.console import Console
    from transport.desk.signdesk import Desk
    from transport.settings import Settings

VALUE_MAX = 64 * 1024
"""Octets of a signature value, spelled out, at most."""
ENDING = "prepared"
MISFIT = "EDOC-PDF-043"
ENDED = ("EDOC-KEY-004", "EDOC-KEY-010", "EDOC-KEY-013")
"""Why a certificate is of no use any more: outside its days, or revoked."""


def prepare(console: Console, request: Request) -> tuple[Desk, Outcome]:
    """Write the file with reserved space, and say what is to be signed; the key is not used.

    Raises:
        CommandError, SignerError, TransportError: nothing was written.
    """
    if len(request.files) != 1:
        raise CommandError("EDOC-USE-016", first="--prepare", second="FILE FILE…")
    name = request.files[0]
    desk = desk_for(console, request)
    try:
        return desk, _prepared(desk, name)
    except KeyRefused as refused:
        raise refused.error from None
    except (SignerError, EdocError, TransportError) as error:
        error.facts.setdefault("path", name)
        raise
    finally:
        desk.key.close()


def _prepared(desk: Desk, name: str) -> Outcome:
    from signer.pdf.deferred import prepare_pdf

    delivery = desk.request.delivery
    target = Path(delivery.output or f"{name}.{ENDING}") if delivery.output != "-" else None
    if target is not None:
        check_target(target, force=delivery.force, inputs=desk.untouched)
    data = read_input(name, desk.console)
    if format_of(desk.request.format, data, name) != "PAdES":
        raise CommandError("EDOC-USE-055", path=name)
    notes = copying.looked_at(desk, name, "PAdES", data)
    signmakers.signable(desk, name, "PAdES", data)
    warnings = desk.key.checked()
    rule = signmakers.rule_for(desk, name)
    made = prepare_pdf(
        data,
        credential=desk.credential,
        options=signmakers.pdf_options(desk, name, data),
        precondition=rule,
        context=desk.informed(data) if rule is not None else desk.context,
    )
    if not delivery.dry_run:
        copying.keep(desk, name, data, None)
        _deliver(desk.console, target, made.to_bytes(), force=delivery.force)
    return Outcome(
        name,
        "skipped",
        output=str(target) if target else "-",
        sha256_in=hashlib.sha256(data).hexdigest(),
        format="PAdES",
        level=f"PAdES-B-{made.level.upper()}",
        visible=form_of(desk.request, "PAdES", name, picture=desk.picture is not None),
        page=made.page,
        signed_at=made.at,
        warnings=warnings,
        notes=(*desk.ready.notes, *notes),
        prepared=ToSign(made.digest.hex(), made.scheme.value, made.sha256, made.field),
    )


def _deliver(console: Console, target: Path | None, data: bytes, *, force: bool) -> None:
    if target is None:
        console.binary(data)
    else:
        write_output(target, data, force=force)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A file finished by a value from elsewhere: whose it is, by which profile, and what became of it."""

    signer: Signer
    profile: str
    outcome: Outcome


def embed(console: Console, request: Request, *, prepared: str, value: str) -> Embedded:
    """Put a signature value into a prepared file, and deliver the signed one.

    Raises:
        CommandError, SignerError, TransportError: the value or the file does not fit; nothing was written.
    """
    from signer.judge import signer_of
    from signer.pdf.deferred import read_prepared

    delivery = request.delivery
    if delivery.output is None:
        raise CommandError("EDOC-USE-003", name="-o", command="edoc sign --embed")
    target = None if delivery.output == "-" else Path(delivery.output)
    if target is not None:
        check_target(target, force=delivery.force, inputs=(prepared, value, *request.trust, *request.revocation))
    try:
        held = read_prepared(read_input(prepared, console))
        made = _embedded(console, request, held, value)
    except (SignerError, TransportError) as error:
        error.facts.setdefault("path", prepared)
        raise
    before = held.data[: held.before]
    if held.level == "b":
        subject = hashlib.sha256(held.certificate).hexdigest()
        keys.log_without_stamp(console, files=1, subject=subject, now=request.at)
    _deliver(console, target, made.data, force=delivery.force)
    outcome = Outcome(
        prepared,
        "signed",
        output=str(target) if target else "-",
        sha256_in=hashlib.sha256(before).hexdigest(),
        sha256_out=hashlib.sha256(made.data).hexdigest(),
        format="PAdES",
        level=made.level,
        visible="none" if made.page is None else None,
        page=made.page,
        signed_at=held.at,
        stamp=_stamp_of(made.data, held.field, request.at),
        warnings=(*made.warnings, *degraded(made.level)),
    )
    return Embedded(signer_of(held.certificate), _profile(held), outcome)


def _embedded(console: Console, request: Request, held: Prepared, value: str) -> Made:
    """Return the signed file at the level asked for; by default that it was prepared for."""
    from transport.desk import trusting

    settings = settings_of(console)
    level = request.level or held.level
    if (level == "b") != (held.level == "b"):
        raise CommandError("EDOC-USE-004", name="--level", value=level, expected=held.level)
    store = trusting.store_of(console, trust=request.trust, revocation=request.revocation, kept_status=False)
    context = trusting.context_of(store, at=request.at, policy=settings.verify_policy)
    _refuse_ended(held, context, settings)
    timestamper = timestamper_for(replace(request, level=level), settings, context)
    signed = _first_fitting(held, _values(console, value), timestamper)
    made = Made(signed.data, "PAdES", signed.level, signed.page, signed.warnings)
    if level not in ("lt", "lta"):
        return made
    from transport.desk.lifting import fetcher, lifted

    whole = lifted(made.data, "PAdES", to=level, context=context, timestamper=timestamper, fetch=fetcher(settings))
    return replace(made, data=whole.data, level=f"PAdES-B-{level.upper()}")


def _refuse_ended(held: Prepared, context: Context, settings: Settings) -> None:
    """Refuse a certificate that ended or was revoked since the file was prepared: who waits signs with it all the same.

    What was not known then, and was accepted on a written basis, is not asked again.

    Raises:
        SigningRefused: it may not be used any more (R27).
    """
    from signer.checks import check_credential
    from signer.credential import Role
    from signer.errors import SigningRefused
    from signer.pdf.deferred import elsewhere
    from transport.desk.lifting import fetcher

    credential = elsewhere(held.certificate, Role.PERSON, held.chain)
    profile, usages = _profile(held), settings.sign_extended_usages
    for last in (False, True):
        try:
            check_credential(credential, context=context, profile=profile, extended_usages=usages)
        except SigningRefused as refused:
            if refused.code in ENDED:
                raise
            needs = refused.facts.get("needs")
            if last or not isinstance(needs, tuple) or not needs:
                return
            context = context.with_trust(fetcher(settings)([need for need in needs if isinstance(need, Need)]))
        except ValueError:
            return  # no certificate at all: embedding says so
        else:
            return


def _profile(held: Prepared) -> str:
    return "interop" if held.scheme.value.startswith("rsa-pkcs1") else "strict"


def _stamp_of(data: bytes, field: str, at: datetime) -> tuple[datetime | None, str | None] | None:
    """Return time and authority of the stamp of a signature, which was just read back as intact."""
    from signer.algorithms import PolicyName
    from signer.pdf.verify import inspect_pdf
    from signer.trust import Context, TrustStore

    report = inspect_pdf(data, context=Context(trust=TrustStore(), at=at, policy=PolicyName.INTEGRITY_ONLY))
    stamps = next((one.timestamps for one in report.signatures if one.id == field), ())
    return (stamps[0].time, stamps[0].tsa) if stamps else None


def _first_fitting(held: Prepared, values: Iterator[bytes], timestamper: Timestamper | None) -> SignedPdf:
    """Embed the first reading of the value that fits: octets as they are, hexadecimal, base64."""
    from signer.pdf.deferred import embed as put_in

    refused: CredentialError | None = None
    for one in values:
        try:
            return put_in(held, one, timestamper=timestamper)
        except CredentialError as error:
            if error.code != MISFIT:
                raise
            refused = error
    raise refused or CredentialError(MISFIT, "no value")


def _values(console: Console, value: str) -> Iterator[bytes]:
    """Yield how a value may be meant: a file, or the value itself, in hexadecimal or base64."""
    data = read_input(value, console) if value == "-" or os.path.isfile(value) else value.encode()
    if len(data) > VALUE_MAX:
        return
    yield data
    text = b"".join(data.split())
    if re.fullmatch(rb"(?:[0-9A-Fa-f]{2})+", text):
        yield bytes.fromhex(text.decode("ascii"))
    try:
        yield base64.b64decode(text, validate=True)
    except binascii.Error:
        return
