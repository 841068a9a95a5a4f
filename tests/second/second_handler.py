"""What the second server says on the wire: the steps of exchange.md 3.1 in order, in one thread for each connection."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import parse_qs, urlsplit

from tests.second import second_receipt as receipts
from tests.second.second_dsig import Broken, stamp, unb64
from tests.second.second_wire import (
    MESSAGE_TYPE,
    PROBLEM_TYPE,
    RECEIPT_TYPE,
    Covered,
    Unsigned,
    check_request,
    digest_of,
    k_of,
    sign_metadata,
)

if TYPE_CHECKING:
    from tests.second.second_server import SecondServer, Stored, Waiting

ROOT = "/exchange/v1"
K = tuple[str, str, str]
PROBLEMS = {
    "bad-request": 400,
    "unauthenticated": 401,
    "forbidden": 403,
    "digest-mismatch": 400,
    "timeout": 408,
    "unknown-recipient": 404,
    "recipient-moved": 410,
    "unknown-message": 404,
    "message-id-conflict": 409,
    "too-large": 413,
    "in-progress": 409,
    "too-many-requests": 429,
    "overloaded": 503,
    "unavailable": 503,
    "storage-low": 507,
    "internal": 500,
    "trust-unavailable": 503,
    "receipt-unavailable": 503,
    "clock-disagreement": 503,
    "unsupported-media-type": 415,
}
LATER = ("timeout", "in-progress", "too-many-requests", "overloaded", "unavailable", "storage-low")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came, and how it was answered; ``body`` is None when none was read."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    answered: str
    at: float  # when it came, by the monotonic clock


class Answered(Exception):
    """A step is done: this is the answer. ``name`` of a problem, or a word of the script."""

    def __init__(self, name: str, **facts: object) -> None:
        self.name, self.facts = name, facts
        super().__init__(name)


class Handler(BaseHTTPRequestHandler):
    """One connection: the steps of exchange.md 3.1 in order."""

    protocol_version = "HTTP/1.1"
    node: SecondServer
    _read: bytes | None = None
    _length = 0
    _came = 0.0

    def handle_expect_100(self) -> bool:
        return True  # the interim answer is sent after S5

    def log_message(self, *_: object) -> None:
        """Nothing to standard error."""

    def do_PUT(self) -> None:
        self._answer(self._put)

    def do_GET(self) -> None:
        self._answer(self._get)

    def do_HEAD(self) -> None:
        self._answer(self._get)

    def do_POST(self) -> None:
        self._answer(self._post)

    # --- the ways ----------------------------------------------------------------------------------------------------

    def _put(self) -> None:
        self._length = self._framing()
        if self._below.endswith("/receipt"):
            self._take_receipt(self._k(self._below.removesuffix("/receipt")))
        k = self._k(self._below)
        if self.headers.get_content_type() != "application/vnd.edoc.message+xml":
            raise Answered("unsupported-media-type")
        if self._length > self.node.max_bytes:
            raise Answered(
                "too-large", limit={"name": "message_max_bytes", "value": self.node.max_bytes, "unit": "bytes"}
            )
        self._authenticate(k[1], body=True)
        if k[0] not in self.node.issuers:
            raise Answered("unknown-recipient")
        sha256 = self._stated()
        known = self.node.stored.get(k)
        if known is not None:
            if known.sha256 != sha256:
                raise Answered("message-id-conflict", receipt=f"{self.node.base}{self._below}/receipt")
            self._receipt(known.again, known)
        script = self.node.script.get(k[0])
        word = script.popleft() if script else ""
        self._instead(word)
        if word == "mute" and "Expect" in self.headers:
            self._silence_after(30)
        if self.headers.get("Expect", "").lower() == "100-continue":
            self.send_response_only(100)
            self.end_headers()
        self._read = self.rfile.read(self._length)
        if len(self._read) != self._length or hashlib.sha256(self._read).hexdigest() != sha256:
            raise Answered("digest-mismatch")
        if word == "forget":
            self._silence()
        status, entry = self.node.receive(k, self._read, word)
        if word == "lose-reply":
            self._silence()
        self._afterwards(word, status, entry)

    def _instead(self, word: str) -> None:
        """What the script wants to happen before the body is read."""
        if word == "conflict":
            raise Answered("message-id-conflict")
        if word.startswith("problem:"):
            raise Answered(word[8:])
        if word == "redirect":
            self._send(307, "text/plain", b"elsewhere\n", {"Location": self.node.base})
        if word == "proxy-page":
            self._send(502, "text/html", b"<html><body>Bad Gateway</body></html>")
        if word == "strange-problem":
            self._send(418, PROBLEM_TYPE, b'{"type":"urn:example:teapot","title":"?","status":418}')

    def _afterwards(self, word: str, status: int, entry: Stored) -> None:
        """The answer after the commit, perhaps a false one."""
        false = {"foreign-receipt": self.node.foreign, "empty-201": b"", "page-200": b"<html>OK</html>"}
        if word == "spoilt-receipt":
            false[word] = re.sub(rb"<Size>\d", b"<Size>9", entry.receipt)
        if word in false:
            self._send(201, "text/html" if word == "page-200" else RECEIPT_TYPE, false[word])
        self._receipt(status, entry)

    def _get(self) -> None:
        if urlsplit(self.path).path == "/.well-known/edoc-exchange":
            self._metadata()
        feed = re.fullmatch(r"/to/([^/?]+)/feed", urlsplit(self._below).path)
        if feed is not None:
            self._feed(feed[1])
        way = self._below.rsplit("/", 1)[-1]
        if way == "content":
            self._content(self._k(self._below.removesuffix("/content")))
        k = self._k(self._below.removesuffix("/receipt"))
        self._authenticate(k[1], body=False)
        known = self.node.stored.get(k)
        if known is None:
            raise Answered("unknown-message")
        if way == "receipt":
            self._receipt(200, known)
        self._state(known)

    def _state(self, known: Stored) -> NoReturn:
        state = "refused" if known.status == 422 else "accepted"
        document = {"state": state, "digest": known.sha256, "size": known.size, "received_at": stamp(known.at)}
        more = {"receipt": f"{self.node.base}{self._below}/receipt", "ledger": None}
        self._send(200, "application/json", json.dumps({**document, **more}).encode(), {"Edoc-State": state})

    def _receipt(self, status: int, known: Stored) -> NoReturn:
        if known.pending:
            known.pending -= 1
            self._send(202, "", b"", {"Retry-After": "1"})
        etag = hashlib.sha256(known.receipt).hexdigest()
        self._send(
            status, RECEIPT_TYPE, known.receipt, {"ETag": f'"{etag}"', "Cache-Control": "max-age=31536000, immutable"}
        )

    def _post(self) -> None:
        if self._below != "/ping":
            raise Answered("bad-request")
        who = [code for code in self.node.senders if self._speaks_for(code)]
        if not who:
            raise Answered("unauthenticated")
        document = {"node": self.node.node, "agencies": list(self.node.issuers), "time": stamp(datetime.now(UTC))}
        self._send(200, "application/json", json.dumps({**document, "versions": ["v1"], "ledger": {}}).encode())

    def _metadata(self) -> NoReturn:
        now, organs = datetime.now(UTC), [one.organ for one in self.node.issuers.values()]
        document = {
            "version": 1,
            "node": self.node.node,
            "issued_at": stamp(now),
            "expires_at": stamp(now + timedelta(days=1)),
            "endpoint": self.node.base,
            "agencies": [{"code": organ.code, "name": organ.name, "delivery": "push"} for organ in organs],
            "keys": self.node.keys,
            "protocol": {"versions": [1], "media_types": [MESSAGE_TYPE, RECEIPT_TYPE]},
            "limits": {"message_max_bytes": self.node.max_bytes},
            "ledger": {},
        }
        body = json.dumps(document).encode()
        fields = {"content-type": "application/json", "content-digest": digest_of(body)}
        signed = sign_metadata(
            self.node.key, status=200, authority=self.headers["Host"], headers=fields, now=int(now.timestamp())
        )
        self._send(200, "application/json", body, {"Cache-Control": "max-age=3600", **signed})

    # --- pull --------------------------------------------------------------------------------------------------------

    def _feed(self, recipient: str) -> NoReturn:
        self._authenticate(recipient, body=False)
        query = parse_qs(urlsplit(self.path).query)
        wait, limit = float(query.get("wait", ["0"])[0]), int(query.get("limit", ["50"])[0])
        with self.node.changed:
            if recipient in self.node.feeding:
                raise Answered("too-many-requests")
            self.node.feeding.add(recipient)
            try:
                self.node.changed.wait_for(lambda: self._due(recipient), min(wait, 60.0))
            finally:
                self.node.feeding.discard(recipient)
            found = self._due(recipient)[:limit]
        if not found:
            self._send(204, "", b"")
        self._send(200, "application/json", json.dumps({"items": [_line(one) for one in found]}).encode())

    def _due(self, recipient: str) -> list[Waiting]:
        due = [one for one in self.node.waiting.values() if one.recipient == recipient and one.receipt is None]
        return sorted(due, key=lambda one: (one.lane, one.submitted))

    def _offered(self, k: K) -> Waiting:
        found = self.node.waiting.get(k)
        if found is None:
            raise Answered("unknown-message")
        return found

    def _content(self, k: K) -> NoReturn:
        self._authenticate(k[0], body=False)
        offered = self._offered(k)
        offered.handed += 1
        data, etag = offered.message.data, f'"{offered.message.sha256.hex()}"'
        part = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if part is None:
            self._send(200, MESSAGE_TYPE, data, {"ETag": etag})
        first = int(part[1]) if part is not None else 0
        span = f"bytes {first}-{len(data) - 1}/{len(data)}"
        self._send(206, MESSAGE_TYPE, data[first:], {"ETag": etag, "Content-Range": span})

    def _take_receipt(self, k: K) -> NoReturn:
        self._authenticate(k[0], body=True)
        offered, body = self._offered(k), self.rfile.read(self._length)
        self._read = body
        if digest_of(body) != self.headers["Content-Digest"]:
            raise Answered("digest-mismatch")
        if offered.receipt is None:
            certificates = self.node.senders[k[0]].certificates
            receipts.verify(body, receipts.Known(*k, offered.message.data), certificates=certificates)
            with self.node.changed:
                offered.receipt = body
                self.node.changed.notify_all()
        if offered.receipt != body:
            raise Answered("message-id-conflict")
        self._send(204, "", b"")

    # --- steps -------------------------------------------------------------------------------------------------------

    @property
    def _below(self) -> str:
        return self.path.removeprefix(ROOT)

    def _k(self, path: str) -> K:
        k = k_of(path)
        if k is None or not receipts.UUID.match(k[2]):
            raise Answered("bad-request")
        return k

    def _framing(self) -> int:
        if self.headers.get("Transfer-Encoding") or not re.fullmatch(r"\d+", self.headers.get("Content-Length", "")):
            raise Answered("bad-request", status=411)
        if self.headers.get("Content-Encoding"):
            raise Answered("unsupported-media-type")
        return int(self.headers["Content-Length"])

    def _stated(self) -> str:
        found = re.fullmatch(r"sha-256=:([A-Za-z0-9+/]{43}=):", self.headers.get("Content-Digest", ""))
        if found is None:
            raise Answered("bad-request")
        return unb64(found[1]).hex()

    def _covered(self) -> Covered:
        return Covered.request(self.command, f"http://{self.headers['Host']}{self.path}", dict(self.headers.items()))

    def _authenticate(self, agency: str, *, body: bool) -> None:
        keys = {name: key for one in self.node.senders.values() for name, key in one.request_keys.items()}
        try:
            used = check_request(self._covered(), keys, now=int(datetime.now(UTC).timestamp()), body=body)
        except Unsigned as fault:
            raise Answered("unauthenticated", why=str(fault)) from None
        allowed = self.node.senders.get(agency)
        if allowed is None or used not in allowed.request_keys:
            raise Answered("forbidden")

    def _speaks_for(self, agency: str) -> bool:
        try:
            self._authenticate(agency, body=False)
        except Answered:
            return False
        return True

    # --- answers -----------------------------------------------------------------------------------------------------

    def _answer(self, way: Callable[[], None]) -> None:
        self._read = None
        self._length = 0
        self._came = time.monotonic()
        try:
            way()
        except _Done:
            return
        except Answered as problem:
            self._problem(problem)
        except Broken as fault:
            self._problem(Answered("bad-request", why=str(fault)))

    def _problem(self, problem: Answered) -> None:
        status = int(str(problem.facts.pop("status", PROBLEMS[problem.name])))
        why = problem.facts.pop("why", "")
        document = {
            "type": f"urn:edoc:problem:{problem.name}",
            "title": problem.name,
            "status": status,
            **problem.facts,
        }
        more = {"Retry-After": "1"} if problem.name in LATER else {}
        if status == 401:
            more["WWW-Authenticate"] = "Signature"
        try:
            self._send(status, PROBLEM_TYPE, json.dumps(document).encode(), more, note=f"{problem.name} {why}".strip())
        except _Done:
            return

    def _silence_after(self, seconds: float) -> NoReturn:
        """Say nothing until the other side has gone, or sends the body all the same."""
        self.connection.settimeout(seconds)
        with contextlib.suppress(OSError):
            self._read = self.rfile.read(1) or None
        self._silence()

    def _silence(self) -> NoReturn:
        self.close_connection = True
        self._note("silence")
        raise _Done

    def _note(self, answered: str) -> None:
        fields = dict(self.headers.items())
        self.node.note(Seen(self.command, self.path, fields, self._read, answered, self._came))

    def _send(
        self, status: int, kind: str, body: bytes, more: Mapping[str, str] | None = None, note: str = ""
    ) -> NoReturn:
        """Answer and note it; an unread body closes the connection. Always raises ``_Done``."""
        self.send_response(status)
        fields = dict(more or {})
        if body:
            fields.update({"Content-Type": kind, "Content-Digest": digest_of(body)})
        if status != 204:
            fields["Content-Length"] = str(len(body))
        if self.command in ("PUT", "POST") and self._length and self._read is None:
            fields["Connection"] = "close"
        for name, value in {name.title() if name.islower() else name: v for name, v in fields.items()}.items():
            self.send_header(name, value)
        self._note(note or str(status))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        raise _Done


class _Done(Exception):
    """The answer is out."""


def _line(one: Waiting) -> dict[str, object]:
    return {
        "to": one.recipient,
        "from": one.message.sender,
        "id": one.message.message_id,
        "digest": one.message.sha256.hex(),
        "size": len(one.message.data),
        "lane": one.lane,
        "submitted_at": stamp(one.submitted),
        "deadline": stamp(one.submitted + timedelta(hours=72)),
    }
