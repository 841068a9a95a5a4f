"""A remote signing service for tests, written from the specification of the Cloud Signature Consortium (1.0.4, 2.0.0).

It runs on loopback, counts every call and every PIN, and takes nothing that the specification does not allow. ``twist``
lets a test spoil an answer on its way out.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from aiohttp import web

from signer.algorithms import Scheme
from signer.devpki import DevIdentity

HASHES = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
SIGNS = {
    "1.2.840.113549.1.1.11": "rsa-pkcs1-sha256",
    "1.2.840.113549.1.1.12": "rsa-pkcs1-sha384",
    "1.2.840.113549.1.1.13": "rsa-pkcs1-sha512",
    "1.2.840.10045.4.3.2": "ecdsa-sha256",
    "1.2.840.10045.4.3.3": "ecdsa-sha384",
    "1.2.840.10045.4.3.4": "ecdsa-sha512",
}
PSS = "1.2.840.113549.1.1.10"
PSS_SHA256 = bytes.fromhex(
    "3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120"
)
"""DER of RSASSA-PSS-params for SHA-256, as openssl writes them."""

Answer = tuple[int, object]


class Refusal(Exception):
    """An error answer: status and word of the specification."""

    def __init__(self, word: str, status: int = 400) -> None:
        super().__init__(word)
        self.answer: Answer = (status, {"error": word, "error_description": "never shown"})


@dataclass
class Held:
    """A credential at the service."""

    identity: DevIdentity
    mode: str = "explicit"
    scal: str = "1"
    multisign: int = 100
    otp: str | None = None  # offline, online
    algo: tuple[str, ...] = ()


@dataclass
class Activation:
    """Activation data: how many signatures it is good for, and over which digests."""

    credential: str
    left: int
    hashes: tuple[str, ...] | None


@dataclass
class CscService:
    """The service. ``calls`` are the methods called, in order; ``pins`` and ``otps`` what was entered."""

    credentials: dict[str, Held]
    api: str = "v2"
    pin: str = "246810"
    bearer: str = "mau.token-1"
    auth_types: tuple[str, ...] = ("oauth2code",)
    calls: list[str] = field(default_factory=list)
    pins: list[str] = field(default_factory=list)
    otps: list[str] = field(default_factory=list)
    sent: list[str] = field(default_factory=list)
    twist: Callable[[str, Answer], Answer | web.StreamResponse] = lambda _, answer: answer
    url: str = ""

    # --- running -----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), daemon=True)
        self._thread.start()
        assert ready.wait(20)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(20)

    def _run(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        runner = self._loop.run_until_complete(self._open())
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())
        self._loop.close()

    async def _open(self) -> web.AppRunner:
        app = web.Application()
        app.router.add_post(f"/csc/{self.api}/{{method:.+}}", self._handle)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        host, port = runner.addresses[0][:2]
        self.url = f"http://{host}:{port}/csc/{self.api}"
        self._activations: dict[str, Activation] = {}
        return runner

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        self.calls.append(method)
        try:
            answer: Answer = (200, self._called(method, request, await request.json()))
        except Refusal as refusal:
            answer = refusal.answer
        twisted = self.twist(method, answer)
        if isinstance(twisted, web.StreamResponse):
            return twisted
        return web.json_response(twisted[1], status=twisted[0])

    def _called(self, method: str, request: web.Request, asked: dict[str, object]) -> object:
        if request.content_type != "application/json":
            raise Refusal("invalid_request")
        if method == "info":
            return self._info()
        if self.auth_types == ("oauth2code",) and request.headers.get("Authorization") != f"Bearer {self.bearer}":
            raise Refusal("invalid_token", 401)
        handlers = {
            "credentials/list": self._list,
            "credentials/info": self._credential,
            "credentials/authorize": self._authorize,
            "credentials/sendOTP": self._send_otp,
            "credentials/getChallenge": self._send_otp,
            "signatures/signHash": self._sign,
        }
        if method not in handlers:
            raise Refusal("invalid_request", 404)
        return handlers[method](asked)

    # --- methods -----------------------------------------------------------------------------------------------------

    def _info(self) -> object:
        return {
            "specs": "1.0.4.0" if self.api == "v1" else "2.0.0.2",
            "name": "Dịch vụ mẫu",
            "logo": "https://csc.example/logo.png",
            "region": "VN",
            "lang": "vi-VN",
            "authType": list(self.auth_types),
            "oauth2": "https://csc.example/oauth2",
            "methods": ["credentials/list", "credentials/info", "credentials/authorize", "signatures/signHash"],
        }

    def _list(self, asked: dict[str, object]) -> object:
        return {"credentialIDs": list(self.credentials)}

    def _held(self, asked: dict[str, object]) -> Held:
        found = self.credentials.get(str(asked.get("credentialID")))
        if found is None:
            raise Refusal("invalid_request")
        return found

    def _credential(self, asked: dict[str, object]) -> object:
        held = self._held(asked)
        rsa = held.identity.credential.key_type == "RSA"
        algo = held.algo or (("1.2.840.113549.1.1.1", PSS) if rsa else ("1.2.840.10045.2.1",))
        chain = (held.identity.certificate, *held.identity.chain)
        shared = {
            "description": "khóa ký",
            "key": {"status": "enabled", "algo": list(algo), "len": held.identity.credential.bits},
            "cert": {"status": "valid", "certificates": [base64.b64encode(der).decode() for der in chain]},
            "SCAL": held.scal,
            "multisign": held.multisign,
            "lang": "vi-VN",
        }
        if self.api == "v1":
            explicit = held.mode == "explicit"
            return {
                **shared,
                "authMode": held.mode,
                "PIN": {"presence": "true" if explicit else "false", "format": "N", "label": "PIN"},
                "OTP": {"presence": "true" if held.otp else "false", "type": held.otp or "offline"},
            }
        objects: list[dict[str, str]] = []
        if held.mode == "explicit":
            objects.append({"type": "Password", "id": "PIN", "format": "N", "label": "PIN"})
        if held.otp:
            kind = {"generator": "totp"} if held.otp == "offline" else {}
            objects.append({"type": "ChallengeResponse", "id": "OTP", "format": "N", **kind})
        return {**shared, "auth": {"mode": held.mode, "objects": objects}}

    def _send_otp(self, asked: dict[str, object]) -> object:
        self._held(asked)
        self.sent.append("OTP")
        return {}

    def _authorize(self, asked: dict[str, object]) -> object:
        held, count = self._held(asked), asked.get("numSignatures")
        if not isinstance(count, int) or not 0 < count <= held.multisign:
            raise Refusal("invalid_request")
        name = "hash" if self.api == "v1" else "hashes"
        hashes = asked.get(name)
        if held.scal == "2" and (not isinstance(hashes, list) or len(hashes) != count):
            raise Refusal("invalid_request")
        self._check_entered(held, asked)
        sad = secrets.token_urlsafe(24)
        bound = tuple(map(str, hashes)) if isinstance(hashes, list) else None
        self._activations[sad] = Activation(str(asked["credentialID"]), count, bound)
        return {"SAD": sad, "expiresIn": 300}

    def _check_entered(self, held: Held, asked: dict[str, object]) -> None:
        if self.api == "v1":
            entered = {name: asked.get(name) for name in ("PIN", "OTP") if name in asked}
        else:
            data = asked.get("authData")
            entered = {one["id"]: one["value"] for one in data} if isinstance(data, list) else {}
        if held.mode == "explicit":
            self.pins.append(str(entered.get("PIN")))
            if entered.get("PIN") != self.pin:
                raise Refusal("invalid_pin")
        if held.otp:
            given = str(entered.get("OTP"))
            if given in self.otps or len(given) != 6:
                raise Refusal("invalid_otp")
            self.otps.append(given)

    def _sign(self, asked: dict[str, object]) -> object:
        held = self._held(asked)
        given = asked.get("hash" if self.api == "v1" else "hashes")
        activation = self._activations.get(str(asked.get("SAD")))
        if not isinstance(given, list) or activation is None or activation.credential != asked.get("credentialID"):
            raise Refusal("invalid_request")
        if activation.left < len(given) or (activation.hashes is not None and tuple(given) != activation.hashes):
            raise Refusal("invalid_request")
        activation.left -= len(given)
        digest = HASHES[str(asked["hashAlgo" if self.api == "v1" else "hashAlgorithmOID"])]
        scheme = self._scheme(asked, digest)
        digests = [_decoded(one, digest) for one in given]
        made = held.identity.credential.port.sign(digests, scheme)
        return {"signatures": [base64.b64encode(value).decode() for value in made]}

    @staticmethod
    def _scheme(asked: dict[str, object], digest: str) -> Scheme:
        if asked["signAlgo"] == PSS:
            parameters = base64.b64decode(str(asked["signAlgoParams"]))
            if digest == "sha256" and parameters != PSS_SHA256:
                raise Refusal("invalid_request")
            return Scheme(f"rsa-pss-{digest}")
        return Scheme(SIGNS[str(asked["signAlgo"])])


def _decoded(value: object, digest: str) -> bytes:
    try:
        found = base64.b64decode(str(value), validate=True)
    except binascii.Error:
        raise Refusal("invalid_request") from None
    if len(found) != hashlib.new(digest).digest_size:
        raise Refusal("invalid_request")
    return found
