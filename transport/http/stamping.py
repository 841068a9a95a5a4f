"""Time stamps from several authorities, asked in turn (signing.md 7.2; R32).

Promises: each answer is checked before it is handed on, so that one that does not fit, or of an authority that is not
trusted, leads to the next address. What a batch has learnt is kept: the authority that answered well is asked first
from then on; one that let everybody wait is left in peace for a while, then asked once and briefly, until it answers
again; connections are kept. If none can serve, the error names every address and why, and costs no further waiting.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import TYPE_CHECKING

from signer.errors import TimestampError
from signer.timestamp import check_answer, told
from transport.http.fetch import Session
from transport.http.pki import STAMP_TIME, HttpTimestamper, reach_of

if TYPE_CHECKING:
    from signer.trust import Context
    from transport.http.addresses import Reach

REST = 30.0
"""Seconds for which an authority that did not answer is not asked again."""

BRIEF = 20.0
"""Seconds that such an authority is waited for when it is asked again; who was wrong after longer is left alone too."""

_SILENT = "EDOC-PKI-001"


@dataclass(slots=True)
class _Authority:
    """One address, and what was learnt about it: why it failed last, and until when it is left in peace."""

    asker: HttpTimestamper
    failed: TimestampError | None = None
    until: float = 0.0


class Authorities:
    """A ``signer.timestamp.CheckingTimestamper`` over several addresses; threads may share one.

    ``timeout`` is what each address has in all, in seconds, retries included. With ``context`` an authority must be
    trusted for time stamps, as far as its status is known, also where the signing itself does not ask for that.
    """

    def __init__(
        self,
        urls: Sequence[str],
        *,
        reach: Reach | None = None,
        timeout: float = STAMP_TIME,
        context: Context | None = None,
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        if not urls:
            raise ValueError("an authority is needed")
        self._context = context
        self._session = Session(reach_of(reach, allow_private=False))
        self._all = [
            _Authority(HttpTimestamper(url, timeout, reach=reach, pause=pause, session=self._session))
            for url in dict.fromkeys(urls)
        ]
        self._lock = threading.Lock()
        self._first = 0
        self._size: int | None = None

    @property
    def urls(self) -> tuple[str, ...]:
        """The addresses, in the order given."""
        return tuple(one.asker.url for one in self._all)

    @property
    def last_size(self) -> int | None:
        """Octets of the last token, for the room that the next signature reserves (signing.md 3.1)."""
        return self._size

    def token(self, request: bytes, *, context: Context | None = None) -> bytes:
        """Return the first token (ContentInfo, DER) that holds as an answer to a TimeStampReq (DER).

        Raises:
            TimestampError: there is none; of several authorities ``url`` names each, and why.
        """
        return self._first_good(request, context or self._context)[1]

    def stamp(self, request: bytes) -> bytes:
        """Return the first answer (TimeStampResp, DER) whose token holds. Raises ``TimestampError`` as ``token``."""
        return self._first_good(request, self._context)[0]

    def _first_good(self, request: bytes, context: Context | None) -> tuple[bytes, bytes]:
        failed: list[TimestampError] = []
        with self._lock:
            first = self._first
        for number in (*range(first, len(self._all)), *range(first)):
            one = self._all[number]
            try:
                answer = self._asked(one, request)
                token = check_answer(request, answer, context=context)
            except TimestampError as error:
                error.facts.setdefault("url", one.asker.url)
                failed.append(error)
                continue
            with self._lock:
                self._first, self._size = number, len(token)
            return answer, token
        raise failed[0] if len(failed) == 1 else _none(failed)

    def _asked(self, one: _Authority, request: bytes) -> bytes:
        """Ask an authority, unless it failed a moment ago; briefly, if that is longer past."""
        before, begun = one.failed, time.monotonic()
        if before is not None and begun < one.until:
            raise TimestampError(before.code, str(before), **before.facts)
        asker = one.asker
        if before is not None:
            asker = replace(asker, attempts=1, timeout=min(BRIEF, asker.timeout))
        try:
            answer = asker.stamp(request)
        except TimestampError as error:
            if error.code == _SILENT or time.monotonic() - begun > BRIEF:
                one.failed, one.until = error, time.monotonic() + REST
            raise
        one.failed = None
        return answer

    def close(self) -> None:
        """Close the connections that are kept."""
        self._session.close()

    def __enter__(self) -> Authorities:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _none(failed: Sequence[TimestampError]) -> TimestampError:
    tried = "; ".join(f"{error.facts['url']} ({told(error)})" for error in failed)
    return TimestampError("EDOC-PKI-007", "no authority gave a time stamp", url=tried)
