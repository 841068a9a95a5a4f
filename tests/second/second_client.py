"""A second client of the exchange: E1 to E8, as sender and as recipient that fetches, from exchange.md alone.

It knows its partner by what a person would have confirmed: endpoint, request keys, certificates of the exchange key.
"""

from __future__ import annotations

import json
import re
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urljoin, urlsplit

from tests.second import second_receipt as receipts
from tests.second.second_dsig import Broken
from tests.second.second_message import Opened, Sealed, open_sealed
from tests.second.second_wire import (
    MESSAGE_TYPE,
    RECEIPT_TYPE,
    Answer,
    Covered,
    PublicKey,
    Request,
    RequestKey,
    check_metadata,
    digest_of,
    exchange,
    path_of,
    sign_headers,
)

WELL_KNOWN = "/.well-known/edoc-exchange"
SMALL = 64 * 1024
PATIENCE = 60.0


@dataclass(frozen=True, slots=True)
class Partner:
    """The other node as one knows it."""

    base: str
    agency: str
    certificates: frozenset[str]
    request_keys: Mapping[str, PublicKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of a message: the verified receipt, its bytes, the answer that brought it."""

    receipt: receipts.Receipt
    data: bytes
    answer: Answer


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a feed."""

    sender: str
    message_id: str
    sha256: str
    size: int
    lane: int


@dataclass(frozen=True, slots=True)
class Upload:
    """An upload under way."""

    client: SecondClient
    path: str
    message: Sealed

    def offset(self) -> int:
        """Ask how much is there."""
        return int(self.client.ask("HEAD", self.path).headers["upload-offset"])

    def append(self, first: int, last: int, *, body: bytes | None = None) -> Answer:
        """Send one part, the bytes from ``first`` up to ``last``; ``body`` to send other ones."""
        whole = self.message.data
        part = whole[first:last]
        more = {"Upload-Offset": str(first), "Upload-Complete": "?1" if last >= len(whole) else "?0"}
        made = self.client.request("PATCH", self.path, part, "application/partial-upload", more)
        return exchange(replace(made, body=part if body is None else body), tls=self.client.tls)


class Refused(Exception):
    """The other node answered with a problem, or with something that is no answer of the exchange."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        super().__init__(f"{answer.status} {answer.problem or answer.headers.get('content-type')}")


@dataclass(frozen=True, slots=True)
class SecondClient:
    """A node of an agency, as far as it asks; with ``signs`` false its client certificate alone says who it is."""

    agency: str
    key: RequestKey
    partner: Partner
    tls: ssl.SSLContext | None = None
    clock: Callable[[], float] = time.time
    signs: bool = True

    # --- requests ----------------------------------------------------------------------------------------------------

    def request(
        self, method: str, path: str, body: bytes = b"", kind: str = "", more: Mapping[str, str] | None = None
    ) -> Request:
        """Return a signed request; ``path`` is below BASE."""
        url = self.partner.base + path
        headers = dict(more or {})
        if body:
            headers.update({"Content-Type": kind, "Content-Digest": digest_of(body)})
        if body or method in ("PUT", "POST"):
            headers["Content-Length"] = str(len(body))
        if self.signs:
            headers.update(sign_headers(Covered.request(method, url, headers), self.key, now=int(self.clock())))
        return Request(method, url, headers, body)

    def ask(self, method: str, path: str, body: bytes = b"", kind: str = "") -> Answer:
        """Send a signed request and return the answer, whatever it is."""
        return exchange(self.request(method, path, body, kind), tls=self.tls, limit=PATIENCE + 30)

    def put(self, message: Sealed, *, expect: bool | None = None, more: Mapping[str, str] | None = None) -> Answer:
        """E1 once; ``expect`` as told, else above 64 KiB."""
        path = path_of(self.partner.agency, message.sender, message.message_id)
        made = self.request("PUT", path, message.data, MESSAGE_TYPE, more)
        asking = len(message.data) > SMALL if expect is None else expect
        return exchange(Request(made.method, made.url, made.headers, made.body, asking), tls=self.tls)

    def upload(self, message: Sealed) -> Upload:
        """Begin a resumable upload (12): the creation carries K and the digest of the whole. Raises Refused."""
        place = "/uploads" + path_of(self.partner.agency, message.sender, message.message_id)
        more = {
            "Upload-Length": str(len(message.data)),
            "Upload-Complete": "?0",
            "Repr-Digest": digest_of(message.data),
        }
        made = self.request("POST", place, more=more)
        answer = exchange(made, tls=self.tls)
        if answer.status != 201 or answer.headers["upload-offset"] != "0":
            raise Refused(answer)
        located = urljoin(made.url, answer.headers["location"])
        return Upload(self, located.removeprefix(self.partner.base), message)

    # --- as sender ---------------------------------------------------------------------------------------------------

    def send(self, message: Sealed, *, expect: bool | None = None, more: Mapping[str, str] | None = None) -> Settled:
        """E1 until there is a receipt: a 202 is followed by E3 after Retry-After. Raises Refused, Broken."""
        answer = self.put(message, expect=expect, more=more)
        end = self.clock() + PATIENCE
        while answer.status == 202 and self.clock() < end:
            time.sleep(float(answer.headers["retry-after"]))
            answer = self.ask("GET", path_of(self.partner.agency, message.sender, message.message_id) + "/receipt")
        return self.settle(message, answer)

    def settle(self, message: Sealed, answer: Answer) -> Settled:
        """Read an answer of E1 or E3: the status must fit the verified receipt. Raises Refused, Broken."""
        kind = re.sub(r"\s", "", answer.headers.get("content-type", ""))
        if answer.status not in (200, 201, 422) or kind != RECEIPT_TYPE.replace(" ", ""):
            raise Refused(answer)
        known = receipts.Known(self.partner.agency, message.sender, message.message_id, message.data)
        receipt = receipts.verify(answer.body, known, certificates=self.partner.certificates)
        if answer.status in (201, 422) and receipt.accepted != (answer.status == 201):
            raise Broken("status and receipt disagree")
        return Settled(receipt, answer.body, answer)

    def state(self, message: Sealed) -> tuple[Answer, Answer]:
        """E2: the answers to HEAD and GET of K."""
        path = path_of(self.partner.agency, message.sender, message.message_id)
        return self.ask("HEAD", path), self.ask("GET", path)

    def receipt(self, message: Sealed) -> Answer:
        """E3."""
        return self.ask("GET", path_of(self.partner.agency, message.sender, message.message_id) + "/receipt")

    # --- as any partner ----------------------------------------------------------------------------------------------

    def ping(self) -> dict[str, object]:
        """E7. Raises Refused."""
        return self._json(self.ask("POST", "/ping"))

    def metadata(self) -> dict[str, object]:
        """E8: the metadata, whose signature must be by a request key already known. Raises Refused, Unsigned."""
        place = urlsplit(self.partner.base)
        answer = exchange(Request("GET", f"{place.scheme}://{place.netloc}{WELL_KNOWN}", {}), tls=self.tls)
        document = self._json(answer)
        check_metadata(answer.headers, answer.status, place.netloc, self.partner.request_keys)
        expires = datetime.fromisoformat(str(document["expires_at"]))
        if document["version"] != 1 or expires < datetime.fromtimestamp(self.clock(), UTC):
            raise Refused(answer)
        return document

    def openapi(self) -> dict[str, object]:
        """E8: the description of the routes."""
        return self._json(exchange(Request("GET", self.partner.base + "/openapi.json", {}), tls=self.tls))

    @staticmethod
    def _json(answer: Answer) -> dict[str, object]:
        if answer.status != 200 or not answer.headers["content-type"].startswith("application/json"):
            raise Refused(answer)
        document = json.loads(answer.body)
        assert isinstance(document, dict)
        return document

    # --- as a recipient that fetches ---------------------------------------------------------------------------------

    def feed(self, *, wait: int = 0, limit: int = 50) -> Iterator[Listed]:
        """E4: what waits for this agency."""
        answer = self.ask("GET", f"/to/{self.agency}/feed?wait={wait}&limit={limit}")
        if answer.status == 204:
            return
        if answer.status != 200:
            raise Refused(answer)
        for one in json.loads(answer.body)["items"]:
            yield Listed(one["from"], one["id"], one["digest"], one["size"], one["lane"])

    def fetch(self, listed: Listed, *, first: int = 0) -> tuple[Answer, bytes]:
        """E5: the bytes from ``first`` on, by Range when it is not the beginning. Raises Refused."""
        path = path_of(self.agency, listed.sender, listed.message_id) + "/content"
        made = self.request("GET", path, more={"Range": f"bytes={first}-"} if first else None)
        answer = exchange(made, tls=self.tls)
        if answer.status != (206 if first else 200) or answer.headers["etag"] != f'"{listed.sha256}"':
            raise Refused(answer)
        return answer, answer.body

    def acknowledge(self, listed: Listed, receipt: bytes) -> Answer:
        """E6."""
        path = path_of(self.agency, listed.sender, listed.message_id) + "/receipt"
        return self.ask("PUT", path, receipt, RECEIPT_TYPE)

    def take(
        self, listed: Listed, issuer: receipts.Issuer, *, reason: tuple[str, str] = ("", "")
    ) -> tuple[bytes, Opened]:
        """Fetch one, open its seal, write the receipt for it; the caller puts it. Raises Refused, Broken."""
        _, data = self.fetch(listed)
        opened = open_sealed(data)
        if opened.slip["MessageId"] != listed.message_id or opened.slip["Sender"] != listed.sender:
            raise Broken("slip of another message")
        known = receipts.Known(self.agency, listed.sender, listed.message_id, data)
        at = datetime.fromtimestamp(self.clock(), UTC)
        return receipts.write(known, None if reason[0] else opened, issuer, at=at, reason=reason), opened
