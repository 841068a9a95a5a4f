"""Remote signing over the API of the Cloud Signature Consortium, versions 1 and 2 (signing.md 2): ``csc:NAME``.

Promises: one authorisation serves all digests of a call, and all of a run where the service binds it to a number and
not to digests. Reading is tried again when the network fails; what may cost a PIN or a signature is sent once. Only
https, loopback in the demonstration aside; no redirect is followed; an answer that is not what was asked for, or a
value that does not verify, ends the run. Tokens, PINs and activation data stay ``Secret`` up to the bytes that are
sent, and no traceback of ours holds them. Synchronous, used by one thread at a time.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeVar, final

from signer.algorithms import Scheme
from signer.credential import Credential, Role, Secret, verify_value
from signer.errors import CredentialError, KeyLost
from transport.errors import Refused, TryLater
from transport.http import cscwire
from transport.http.addresses import Reach
from transport.http.cscwire import BadAnswer, Document, Info, RemoteKey
from transport.http.fetch import Ask, Fetched, fetch

ATTEMPTS = 3
MARGIN = 10.0
"""Seconds before its end at which activation data is not used any more."""

_T = TypeVar("_T")

_BUSY = (408, 429, 502, 503, 504)


@dataclass(frozen=True, slots=True)
class Service:
    """A service as the settings describe it. ``url`` is the base, up to and with ``/csc/v1`` or ``/csc/v2``."""

    name: str
    url: str
    reach: Reach
    tls: ssl.SSLContext | None = None
    timeout: float = 60.0


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why no answer was had; said outside of the frames that know a secret."""

    code: str
    facts: Mapping[str, str] = field(default_factory=dict)


@final
class Client:
    """Calls a service. ``bearer`` is the access token; ``pause`` waits between two tries."""

    def __init__(
        self, service: Service, *, bearer: Secret | None = None, pause: Callable[[float], None] = time.sleep
    ) -> None:
        self.service = service
        self._bearer = bearer
        self._pause = pause

    def info(self, *, api: str | None = None) -> Info:
        """Ask the service what it is; ``api`` overrides the version it names. Raises ``CredentialError``."""
        return self._understood(lambda: cscwire.info(self.read("info", {}), api=api))

    def list(self) -> tuple[str, ...]:
        """Return the ids of the caller's credentials. Raises ``CredentialError``."""
        return self._understood(lambda: cscwire.listed(self.read("credentials/list", {"maxResults": 100})))

    def credential(self, id: str, *, api: str) -> RemoteKey:
        """Return a credential with its chain. Raises ``CredentialError``."""
        asked = {"credentialID": id, "certificates": "chain", "certInfo": False, "authInfo": True}
        return self._understood(lambda: cscwire.credential(self.read("credentials/info", asked), id, api=api))

    def read(self, method: str, document: Document) -> Document:
        """Call what changes nothing: up to three times. Raises ``CredentialError``."""
        for attempt in range(1, ATTEMPTS + 1):
            answer = self._send(method, document)
            if not isinstance(answer, _Failure) or answer.code != "EDOC-KEY-033" or attempt == ATTEMPTS:
                return self._answered(answer)
            self._pause(2.0**attempt / 2)
        raise AssertionError("the last attempt answers or fails")

    def once(self, method: str, document: Document) -> Document:
        """Call what costs a PIN or a signature: once, whatever happens. Raises ``CredentialError``."""
        return self._answered(self._send(method, document))

    def _send(self, method: str, document: Document) -> Document | _Failure:
        """Make one request. Everything that holds a secret ends with this frame: a failure is returned, not raised."""
        url = f"{self.service.url.rstrip('/')}/{method}"
        try:
            got = fetch(
                Ask("POST", url, self._fields(), cscwire.body(document)),
                reach=self.service.reach,
                most=cscwire.ANSWER_MOST,
                timeout=self.service.timeout,
                tls=self.service.tls,
            )
        except TryLater:
            return _Failure("EDOC-KEY-033", {"url": url})
        except Refused as error:
            if error.code == "EDOC-EXC-025":
                return _Failure("EDOC-KEY-034", {"what": f"> {cscwire.ANSWER_MOST}"})
            return _Failure("EDOC-KEY-036", {"url": url, "cause": str(error.facts.get("cause", "-"))})
        return _judged(got, url)

    def _fields(self) -> dict[str, str]:
        fields = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._bearer is not None:
            fields["Authorization"] = f"Bearer {self._bearer.reveal().decode('ascii', 'replace')}"
        return fields

    def _answered(self, answer: Document | _Failure) -> Document:
        if isinstance(answer, _Failure):
            raise CredentialError(answer.code, "the service did not do it", name=self.service.name, **answer.facts)
        return answer

    def _understood(self, act: Callable[[], _T]) -> _T:
        try:
            return act()
        except BadAnswer as error:
            raise self.bad(str(error)) from None

    def bad(self, what: str) -> CredentialError:
        """Return the error of an answer that cannot be used."""
        return CredentialError("EDOC-KEY-034", "not what was asked for", name=self.service.name, what=what)

    def close(self) -> None:
        """Forget the access token."""
        if self._bearer is not None:
            self._bearer.wipe()


def _judged(got: Fetched, url: str) -> Document | _Failure:
    if got.status in _BUSY or got.status >= 500:
        return _Failure("EDOC-KEY-033", {"url": url})
    if 300 <= got.status < 400:
        return _Failure("EDOC-KEY-034", {"what": f"HTTP {got.status}"})
    if got.status != 200:
        return _Failure("EDOC-KEY-035", {"error": f"HTTP {got.status} {cscwire.refusal(got.body)}"})
    if got.content_type != "application/json":
        return _Failure("EDOC-KEY-034", {"what": "Content-Type"})
    try:
        return cscwire.read(got.body)
    except BadAnswer as error:
        return _Failure("EDOC-KEY-034", {"what": str(error)})


@dataclass(slots=True)
class _Allowance:
    """Activation data in hand: how many signatures it is still good for, and until when on the monotonic clock."""

    sad: Secret
    left: int
    until: float

    def covers(self, count: int) -> bool:
        return self.left >= count and time.monotonic() < self.until


@final
class CscPort:
    """A ``SigningPort`` at a remote service.

    ``ask`` returns what a person enters: called once with the id of a PIN, and for each authorisation with that of a
    one-time password. ``expected`` is how many signatures the run will want.
    """

    __slots__ = (
        "_allowance",
        "_api",
        "_ask",
        "_client",
        "_entered",
        "_expected",
        "_failed",
        "_key",
        "_lock",
        "_public",
    )

    def __init__(
        self, client: Client, key: RemoteKey, *, api: str, ask: Callable[[str], Secret | None], expected: int = 1
    ) -> None:
        self._client = client
        self._key = key
        self._api = api
        self._ask = ask
        self._expected = max(1, expected)
        self._entered: dict[str, Secret] = {}
        self._allowance: _Allowance | None = None
        self._failed: CredentialError | None = None
        self._lock = threading.Lock()
        self._public = Credential(key.certificates[0], Role.PERSON, self).public_key

    def prove(self) -> None:
        """Ask for the PIN, if there is one; it is sent with the first signature.

        Raises:
            CredentialError: no PIN was given (EDOC-KEY-003).
        """
        wanted = self._key.authorisation.pin
        if wanted is not None and wanted not in self._entered:
            self._entered[wanted] = self._said(wanted)

    def _said(self, wanted: str) -> Secret:
        given = self._ask(wanted)
        if given is None or not given.reveal():
            raise CredentialError("EDOC-KEY-003", "nothing was entered", path=f"csc:{self._client.service.name}")
        return given

    def sign(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        """Sign digests: one authorisation and one ``signHash`` for as many as the service takes at once.

        Raises:
            KeyLost: the service refused, did not answer, or answered nonsense; nothing is sent to it any more.
        """
        with self._lock:
            if self._failed is not None:
                raise self._failed.with_traceback(None)
            if scheme not in self._key.schemes:
                raise CredentialError("EDOC-KEY-006", "the service does not do this", scheme=scheme.value)
            try:
                return self._signed(digests, scheme)
            except BadAnswer as error:
                failure: CredentialError = self._client.bad(str(error))
            except CredentialError as error:
                failure = error
        self._give_up(failure)

    def _signed(self, digests: Sequence[bytes], scheme: Scheme) -> list[bytes]:
        step = self._key.authorisation.most
        made: list[bytes] = []
        for start in range(0, len(digests), step):
            part = digests[start : start + step]
            allowance = self._allowed(part, scheme, left=len(digests) - start)
            allowance.left -= len(part)
            asked = cscwire.sign(self._api, self._key, digests=part, scheme=scheme, sad=allowance.sad)
            values = cscwire.values(self._client.once("signatures/signHash", asked), scheme, count=len(part))
            if not all(verify_value(self._public, *pair, scheme) for pair in zip(values, part, strict=True)):
                raise BadAnswer("signatures")
            made += values
        self._expected = max(1, self._expected - len(digests))
        return made

    def _allowed(self, digests: Sequence[bytes], scheme: Scheme, *, left: int) -> _Allowance:
        """Return activation data for these digests: that in hand, or a new one for all that is still expected."""
        bound = self._key.authorisation.bound
        if self._allowance is not None and not bound and self._allowance.covers(len(digests)):
            return self._allowance
        count = len(digests) if bound else min(self._key.authorisation.most, max(self._expected, left))
        asked = cscwire.authorise(
            self._api, self._key, digests=digests, scheme=scheme, count=count, entered=self._entries()
        )
        sad, lasts = cscwire.sad(self._client.once("credentials/authorize", asked))
        self._forget()
        self._allowance = _Allowance(sad, count, time.monotonic() + lasts - min(MARGIN, lasts / 2))
        return self._allowance

    def _entries(self) -> dict[str, Secret]:
        """Return PIN and one-time password as the credential wants them; the latter is new each time."""
        wants = self._key.authorisation
        if wants.mode == "implicit":
            return {}
        self.prove()
        if wants.otp is None:
            return dict(self._entered)
        if wants.online:
            method = "credentials/sendOTP" if self._api == "v1" else "credentials/getChallenge"
            self._client.once(method, {"credentialID": self._key.id})
        return {**self._entered, wants.otp: self._said(wants.otp)}

    def _give_up(self, failure: CredentialError) -> NoReturn:
        """Send nothing more in this run: a PIN is not tried twice, and what was answered once is not asked again."""
        lost = KeyLost(failure.code, str(failure), **failure.facts)
        self._failed = lost
        self.close()
        raise lost from None

    def _forget(self) -> None:
        if self._allowance is not None:
            self._allowance.sad.wipe()
            self._allowance = None

    def close(self) -> None:
        """Wipe PIN and activation data."""
        self._forget()
        for secret in self._entered.values():
            secret.wipe()
        self._entered.clear()
        self._client.close()

    def __repr__(self) -> str:
        return f"CscPort({self._client.service.name})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("keys are not pickled")
