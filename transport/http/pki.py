"""Services of certificates over HTTP: time stamps (RFC 3161), OCSP (RFC 6960), CRLs: what ``signer`` never fetches.

Promises: what comes back is bytes for ``signer`` to judge, never a verdict; addresses out of certificates are judged
before connecting (``addresses``); sizes and times are bounded. A stamp waits at least 180 s in all (R32).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from signer.errors import TimestampError, TrustError
from signer.report import Need
from signer.trust import TrustStore, load_status
from transport.errors import Refused, TransportError, TryLater
from transport.http.addresses import Reach
from transport.http.fetch import Ask, Fetched, Session, fetch

STAMP_TIME = 180.0
"""Seconds a time stamp is waited for at least, retries included (R32)."""

STATUS_TIME = 20.0
REST = 60.0
"""Seconds for which a status service that stayed silent is not asked again."""

MOST_RESTING = 1000
STAMP_MAX_BYTES = 64 * 1024
OCSP_MAX_BYTES = 64 * 1024
CRL_MAX_BYTES = 64 * 1024 * 1024
PRIVATE = ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
ANYWHERE = Reach(plain=True, ports=(80, 443, 8080, 8443, 2560))


def reach_of(reach: Reach | None, *, allow_private: bool) -> Reach:
    """Return where status services and TSAs may be: over http too, since their answers are signed."""
    base = reach or ANYWHERE
    if allow_private:
        base = Reach.of(PRIVATE, demo=True, ports=base.ports)
    return base.open(base.ports)


@dataclass(frozen=True)
class HttpTimestamper:
    """A ``signer.timestamp.Timestamper`` over HTTP: synchronous, used in worker threads."""

    url: str
    timeout: float = STAMP_TIME
    allow_private: bool = False
    attempts: int = 3
    reach: Reach | None = None
    pause: Callable[[float], None] = field(default=time.sleep, repr=False)
    session: Session | None = field(default=None, repr=False)

    def stamp(self, request: bytes) -> bytes:
        """Send a TimeStampReq (DER), return the TimeStampResp (DER). Raises ``TimestampError``.

        Failures of the network and 5xx are tried again within the time, after what ``Retry-After`` says; a definite
        no is not.
        """
        deadline = time.monotonic() + self.timeout
        headers = {"Content-Type": "application/timestamp-query", "Accept": "application/timestamp-reply"}
        ask = Ask("POST", self.url, headers, request)
        last: TryLater | None = None
        for attempt in range(self.attempts):
            left = deadline - time.monotonic()
            if last is not None:
                wait = _wait(last, attempt)
                if wait >= left:
                    break
                self.pause(wait)
                left -= wait
            if left <= 0:
                break
            try:
                return self._answer(self._fetch(ask, within=left))
            except TryLater as error:
                last = error
            except Refused as error:
                raise TimestampError("EDOC-PKI-003", "the TSA refused", url=self.url, status=_said(error)) from error
        raise TimestampError("EDOC-PKI-001", "the TSA did not answer", url=self.url, reason=_why(last)) from last

    def _fetch(self, ask: Ask, *, within: float) -> Fetched:
        if self.session is not None:
            return self.session.fetch(ask, most=STAMP_MAX_BYTES, timeout=within)
        reach = reach_of(self.reach, allow_private=self.allow_private)
        return fetch(ask, reach=reach, most=STAMP_MAX_BYTES, timeout=within)

    def _answer(self, got: Fetched) -> bytes:
        if got.status in (408, 429) or got.status >= 500:
            raise TryLater("EDOC-EXC-024", "the TSA is not able now", status=got.status, wait=got.retry_after)
        if got.status != 200 or got.content_type != "application/timestamp-reply":
            raise Refused("EDOC-EXC-026", "the TSA answered something else", status=got.status)
        return got.body


def _wait(error: TryLater, attempt: int) -> float:
    """Return the seconds until the next attempt: 1, 2, 4 …, or longer where the service says so."""
    said = error.facts.get("wait")
    return max(2.0 ** (attempt - 1), float(said) if isinstance(said, int) else 0.0)


def _why(error: TryLater | None) -> str:
    """Return in a word why there is no answer: the HTTP status, what the network did, or the time that was up."""
    if error is None:
        return "timeout"
    status = error.facts.get("status")
    if error.code == "EDOC-EXC-021":
        return "DNS"
    return f"HTTP {status}" if status else str(error.facts.get("cause") or error.code)


def _said(error: Refused) -> str:
    """Return what a person is told of a refusal: the HTTP status, else why the address is not used."""
    return str(error.facts.get("status") or error.facts.get("cause") or error.code)


class Rests:
    """Addresses that let somebody wait in vain: they are not asked for a while. Threads may share one."""

    def __init__(self, seconds: float = REST) -> None:
        self._seconds = seconds
        self._until: dict[str, float] = {}

    def rests(self, url: str) -> bool:
        """Say whether an address is left in peace now."""
        return time.monotonic() < self._until.get(urlsplit(url).netloc, 0.0)

    def silent(self, url: str) -> None:
        """Leave an address in peace from now on."""
        now = time.monotonic()
        if len(self._until) >= MOST_RESTING:
            self._until = {place: until for place, until in self._until.items() if until > now}
        self._until[urlsplit(url).netloc] = now + self._seconds


def fetch_status(
    needs: Sequence[Need],
    *,
    allow_private: bool = False,
    reach: Reach | None = None,
    timeout: float = STATUS_TIME,
    rests: Rests | None = None,
) -> TrustStore:
    """Fetch what a judgement needed: for each certificate OCSP first, then its CRLs; what could not be had is left out.

    The store holds status answers only. Nothing is raised for a service that fails: the next judgement says what is
    still missing.
    """
    asking = _Asking(reach_of(reach, allow_private=allow_private), timeout, rests)
    found = TrustStore()
    for need in needs:
        got = _by_ocsp(need, asking) or _by_crl(need, asking)
        if got is not None:
            found = found.merged(got)
    return found


@dataclass(frozen=True, slots=True)
class _Asking:
    """Where status services may be, how long each has in seconds, and which are left in peace."""

    reach: Reach
    timeout: float
    rests: Rests | None


def _by_ocsp(need: Need, asking: _Asking) -> TrustStore | None:
    if need.issuer is None or not need.ocsp_urls:
        return None
    try:
        request = _ocsp_request(need.certificate, need.issuer)
    except ValueError:
        return None
    for url in need.ocsp_urls:
        ask = Ask("POST", url, {"Content-Type": "application/ocsp-request"}, request)
        got = _status(ask, asking, most=OCSP_MAX_BYTES)
        if got is not None and got.ocsps and _answers(got.ocsps[0]):
            return got
    return None


def _by_crl(need: Need, asking: _Asking) -> TrustStore | None:
    for url in need.crl_urls:
        got = _status(Ask("GET", url, {}), asking, most=CRL_MAX_BYTES)
        if got is not None and got.crls:
            return got
    return None


def _status(ask: Ask, asking: _Asking, *, most: int) -> TrustStore | None:
    """Return a service's answer as status values, or ``None``: unreachable, refused, unreadable are all "not had"."""
    if asking.rests is not None and asking.rests.rests(ask.url):
        return None
    try:
        got = fetch(ask, reach=asking.reach, most=most, timeout=asking.timeout)
        if got.status != 200:
            return None
        store = load_status(got.body)
    except (TransportError, TrustError) as error:
        if asking.rests is not None and error.facts.get("cause") == "timeout":
            asking.rests.silent(ask.url)
        return None
    return TrustStore(crls=store.crls, ocsps=store.ocsps)


def _ocsp_request(certificate: bytes, issuer: bytes) -> bytes:
    """Return an OCSP request. SHA-1 here names a certificate and is no signature; every responder knows it."""
    leaf, ca = x509.load_der_x509_certificate(certificate), x509.load_der_x509_certificate(issuer)
    builder = ocsp.OCSPRequestBuilder().add_certificate(leaf, ca, SHA1())  # noqa: S303  # an identifier (RFC 6960)
    return builder.build().public_bytes(Encoding.DER)


def _answers(response: bytes) -> bool:
    try:
        return ocsp.load_der_ocsp_response(response).response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    except ValueError:
        return False
