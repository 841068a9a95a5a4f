"""Status answers for a judgement that somebody waits for (exchange.md 3.1 S8, 3.2 ``trust-unavailable``).

Promises: a call waits a bounded time in all, however many certificates and addresses there are; whoever asks for the
same certificate meanwhile waits for the same request and no longer than its first caller. An answer that comes later is
there for the next call. An address that took a connection and stayed silent is left in peace for a while.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from signer.report import Need
from signer.trust import TrustStore
from transport.http.addresses import Reach
from transport.http.pki import STATUS_TIME, Rests, fetch_status

LATE_KEPT = 60.0
"""Seconds for which an answer that came too late is kept for the next call."""

MOST = 16
"""Certificates asked about at the same time; what comes on top is not had."""


@dataclass(slots=True)
class _Asked:
    """One certificate that is asked about: since when, and what came of it."""

    since: float
    done: threading.Event = field(default_factory=threading.Event)
    found: TrustStore = field(default_factory=TrustStore)
    until: float = 0.0


class StatusServices:
    """A ``transport.node.office.StatusFetcher``: asks in threads of its own, and waits as long as it may.

    ``timeout`` is what each address has, in seconds.
    """

    def __init__(self, *, reach: Reach, timeout: float = STATUS_TIME) -> None:
        self._reach, self._timeout = reach, timeout
        self._rests = Rests()
        self._asked: dict[Need, _Asked] = {}
        self._lock = threading.Lock()

    def __call__(self, needs: Sequence[Need], *, within: float = STATUS_TIME) -> TrustStore:
        """Return what could be had within so many seconds, which may be nothing."""
        asked = [(need, self._begun(need)) for need in dict.fromkeys(needs)]
        found = TrustStore()
        for need, one in asked:
            if one is not None and one.done.wait(max(0.0, one.since + within - time.monotonic())):
                found = found.merged(one.found)
                self._taken(need, one)
        return found

    def _taken(self, need: Need, one: _Asked) -> None:
        """Forget an answer that was taken: the next judgement asks anew, for a certificate may be revoked by then."""
        with self._lock:
            if self._asked.get(need) is one:
                del self._asked[need]

    def _begun(self, need: Need) -> _Asked | None:
        with self._lock:
            now = time.monotonic()
            for old in [key for key, one in self._asked.items() if one.done.is_set() and one.until < now]:
                del self._asked[old]
            known = self._asked.get(need)
            if known is not None:
                return known
            if sum(not one.done.is_set() for one in self._asked.values()) >= MOST:
                return None
            made = self._asked[need] = _Asked(now)
        threading.Thread(target=self._ask, args=(need, made), name="edoc-status", daemon=True).start()
        return made

    def _ask(self, need: Need, one: _Asked) -> None:
        try:
            one.found = fetch_status([need], reach=self._reach, timeout=self._timeout, rests=self._rests)
            if one.found.crls or one.found.ocsps:
                one.until = time.monotonic() + LATE_KEPT
        finally:
            one.done.set()
