"""Lifting a file to a higher level with what the network gives: time stamps, missing status answers (console.md 4.1).

``signer`` says what a level needs; here it is fetched and asked for again. ``edoc extend`` and ``edoc sign`` with level
``lt`` or ``lta`` use the same. A level that is not reached raises, and nothing has been written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

from signer.errors import LevelNotReached
from signer.report import Need
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from signer.extending import Extended
    from signer.timestamp import CheckingTimestamper, Timestamper
    from signer.trust import Context, TrustStore
    from transport.settings import Settings

ROUNDS = 4
"""How often missing status is fetched: path, its answers' signers, the authority of the new stamp, theirs."""

Fetch: TypeAlias = "Callable[[Sequence[Need]], TrustStore]"
"""Fetches status answers; what could not be had is left out."""

KEPT = 600.0
"""Seconds for which a status answer serves the other files of a run."""

SILENT = 60.0
"""Seconds for which a source that gave nothing is not asked again."""

_KINDS = {"PAdES": "pdf", "XAdES": "xml", "CAdES": "cms", "ASiC": "asic"}


def lifted(
    data: bytes,
    kind: str,
    *,
    to: str,
    context: Context,
    timestamper: Timestamper | None,
    fetch: Fetch | None = None,
    content: bytes | None = None,
) -> Extended:
    """Return a copy at level ``to`` (``t``, ``lt``, ``lta``); what is missing is fetched and the lifting tried again.

    ``kind`` is ``PAdES``, ``XAdES``, ``CAdES``, ``ASiC``, or the word of ``recognise``; ``content`` is what a detached
    signature is over.

    Raises:
        LevelNotReached: something is still missing; the facts name it.
        CommandError: files of this kind are not lifted.
        SigningRefused, InputRefused, TimestampError: as ``extend_pdf``, ``extend_xml``, ``extend_cades``.
    """
    if content is not None:
        from signer.trust import Content

        context = replace(context, contents=(Content("", content),))
    lift = _lifter(_KINDS.get(kind, kind))
    first = lift(data, "t", context, timestamper)  # so that no stamp is asked for again while status is fetched
    if to == "t":
        return first

    def further(context: Context) -> Extended:
        return lift(first.data, to, context, timestamper)

    return replace(_with_status(further, context, fetch), before=first.before)


def _with_status(lift: Callable[[Context], Extended], context: Context, fetch: Fetch | None) -> Extended:
    """Lift; while status is missing that can be had, with it."""
    for _ in range(ROUNDS):
        try:
            return lift(context)
        except LevelNotReached as error:
            found = fetch(needs_of(error)) if fetch is not None and needs_of(error) else None
            if found is None or not (found.crls or found.ocsps):
                raise
            context = context.with_trust(found)
    return lift(context)


def needs_of(error: LevelNotReached) -> tuple[Need, ...]:
    """Return the status answers whose absence kept a level from being reached."""
    needs = error.facts.get("needs")
    return tuple(need for need in needs if isinstance(need, Need)) if isinstance(needs, tuple) else ()


_Lift: TypeAlias = "Callable[[bytes, str, Context, Timestamper | None], Extended]"


def _lifter(kind: str) -> _Lift:
    makers: dict[str, _Lift] = {"pdf": _pdf, "xml": _xml, "cms": _cms, "asic": _container}
    if kind not in makers:
        raise CommandError("EDOC-USE-051", kind=kind)
    return makers[kind]


def _pdf(data: bytes, to: str, context: Context, timestamper: Timestamper | None) -> Extended:
    from signer.pdf.extend import extend_pdf

    return extend_pdf(data, to=to, context=context, timestamper=timestamper)


def _xml(data: bytes, to: str, context: Context, timestamper: Timestamper | None) -> Extended:
    from signer.xml.extend import extend_xml

    return extend_xml(data, to=to, context=context, timestamper=timestamper)


def _cms(data: bytes, to: str, context: Context, timestamper: Timestamper | None) -> Extended:
    from signer.cades.extend import extend_cades

    return extend_cades(data, to=to, context=context, timestamper=timestamper)


def _container(data: bytes, to: str, context: Context, timestamper: Timestamper | None) -> Extended:
    from signer.asicextend import extend_asice

    return extend_asice(data, to=to, context=context, timestamper=timestamper)


def fetcher(settings: Settings) -> Fetch:
    """Return what fetches status answers, within the addresses that the settings allow."""
    from transport.http.addresses import Reach
    from transport.http.pki import fetch_status

    reach = Reach.of(settings.network_private, demo=settings.demo)
    return lambda needs: fetch_status(needs, reach=reach).coming_from("online")


class Answers:
    """Status answers fetched in one run: hundreds of files by one key need the same few, each is asked for once."""

    def __init__(self, ask: Fetch) -> None:
        self._ask = ask
        self._had: dict[bytes, tuple[float, TrustStore]] = {}

    def for_file(self) -> Fetch:
        """Return what fetches for one file; an answer that did not help this file is asked for anew."""
        served: set[bytes] = set()

        def fetch(needs: Sequence[Need]) -> TrustStore:
            from signer.trust import TrustStore

            found = TrustStore()
            for need in needs:
                found = found.merged(self._one(need, again=need.certificate in served))
                served.add(need.certificate)
            return found

        return fetch

    def _one(self, need: Need, *, again: bool) -> TrustStore:
        now = time.monotonic()
        since, had = self._had.get(need.certificate, (0.0, None))
        if had is not None:
            useful = bool(had.crls or had.ocsps)
            if now - since < (KEPT if useful else SILENT) and not (useful and again):
                return had
        got = self._ask((need,))
        self._had[need.certificate] = (time.monotonic(), got)
        return got


def _refuse_secrets(urls: Sequence[str]) -> None:
    """Refuse an address with a name and password in it, before it is shown anywhere (console.md 1, secrets).

    Raises:
        CommandError: the address; of what stands before ``@`` nothing is repeated.
    """
    for url in urls:
        scheme, _, rest = url.partition("://")
        before, found, host = rest.partition("/")[0].rpartition("@")
        if found and before:
            raise CommandError(
                "EDOC-USE-004", name="tsa.url", value=f"{scheme}://…@{host}", expected="https://host/path"
            )


def timestamper_of(
    urls: Sequence[str], settings: Settings, context: Context | None = None
) -> CheckingTimestamper | None:
    """Return who gives time stamps: the authorities of the call, else those of the settings; ``None`` without any.

    They are asked in this order. With ``context`` a stamp must be of an authority that is trusted for it, also where
    the signing itself does not ask for that (signing.md 7.2).
    """
    from transport.http.addresses import Reach
    from transport.http.stamping import Authorities

    named = tuple(urls) or settings.tsa_urls
    if not named:
        return None
    _refuse_secrets(named)
    reach = Reach.of(settings.network_private, demo=settings.demo)
    return Authorities(named, reach=reach, timeout=settings.tsa_timeout, context=context)
