"""Who stamps the receipts of a serving node (exchange.md 5, Q2): the authorities of ``tsa.url``, within two seconds.

A stamp counts only if it answers the request and is of an authority this node trusts for it; whatever else comes leaves
the receipt without one. The trust is read anew every quarter of an hour.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING

from transport.http.addresses import Reach
from transport.http.stamping import Authorities

if TYPE_CHECKING:
    from transport.node.office import Office

SECONDS = 2.0
"""How long a receipt waits for its stamp, all authorities together, before it stays B-B for good (Q2, ``prefer``)."""
TRUST_SECONDS = 900.0


class ReceiptStamps:
    """A ``signer.timestamp.Timestamper`` over the authorities of the settings; threads may share one."""

    def __init__(self, office: Office, *, clock: Callable[[], datetime]) -> None:
        self._office = office
        self._clock = clock
        self._lock = threading.Lock()
        self._made: tuple[float, Authorities] | None = None

    def stamp(self, request: bytes) -> bytes:
        """Return the first answer (TimeStampResp, DER) whose token holds. Raises ``TimestampError``: there is none."""
        return self._authorities().stamp(request)

    def _authorities(self) -> Authorities:
        with self._lock:
            if self._made is None or time.monotonic() - self._made[0] > TRUST_SECONDS:
                settings = self._office.settings
                reach = Reach.of(settings.network_private, demo=settings.demo)
                each = min(settings.tsa_timeout, SECONDS / len(settings.tsa_urls))
                context = self._office.context(self._clock())
                made = Authorities(settings.tsa_urls, reach=reach, timeout=each, context=context)
                self._made = (time.monotonic(), made)
            return self._made[1]
