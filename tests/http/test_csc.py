"""Remote signing over the Cloud Signature Consortium API, against a service on loopback (signing.md 2)."""

from __future__ import annotations

import base64
import hashlib
import logging
import socket
import traceback
from collections.abc import Callable, Iterator

import pytest
from aiohttp import web

from signer.algorithms import Scheme, scheme_for
from signer.credential import Credential, Role, Secret, verify_value
from signer.devpki import DevIdentity, DevPki, Subject
from signer.errors import CredentialError, KeyLost
from tests.cscservice import Answer, CscService, Held
from transport.http.addresses import Reach
from transport.http.csc import Client, CscPort, Service

DEMO = Reach(demo=True)
MARKER = "bi-mat-danh-dau-7391"


@pytest.fixture(scope="module", params=["rsa2048", "p256", "p384"])
def identity(request: pytest.FixtureRequest, pki: DevPki) -> DevIdentity:
    """A clerk's certificate for each kind of key."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type=request.param)


@pytest.fixture(scope="module")
def rsa(pki: DevPki) -> DevIdentity:
    """A clerk's RSA certificate."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type="rsa2048")


@pytest.fixture(params=["v1", "v2"])
def service(request: pytest.FixtureRequest, rsa: DevIdentity) -> Iterator[CscService]:
    """A service of either version with one credential that wants a PIN."""
    with CscService({"van-thu": Held(rsa)}, api=request.param) as running:
        yield running


class Person:
    """Whoever enters PIN and one-time passwords."""

    def __init__(self, pin: str = "246810") -> None:
        self.pin = pin
        self.asked: list[str] = []

    def __call__(self, what: str) -> Secret:
        self.asked.append(what)
        return Secret(self.pin.encode() if what == "PIN" else f"{100000 + len(self.asked)}".encode())


def _client(service: CscService, *, reach: Reach = DEMO, bearer: str | None = None) -> Client:
    token = Secret((bearer or service.bearer).encode())
    described = Service("mau", service.url, reach, timeout=5.0)
    return Client(described, bearer=token, pause=lambda _: None)


def _credential(service: CscService, person: Callable[[str], Secret], *, expected: int = 1) -> Credential:
    client = _client(service)
    api = client.info().api
    key = client.credential(client.list()[0], api=api)
    port = CscPort(client, key, api=api, ask=person, expected=expected)
    return Credential(key.certificates[0], Role.PERSON, port, key.certificates[1:], key.schemes)


def _digests(count: int, scheme: Scheme = Scheme.RSA_PKCS1_SHA256) -> list[bytes]:
    return [hashlib.new(scheme.digest, str(number).encode()).digest() for number in range(count)]


def _refusal(act: Callable[[], object]) -> CredentialError:
    with pytest.raises(CredentialError) as caught:
        act()
    return caught.value


class TestBatches:
    """One authorisation for all digests of a batch, and one PIN."""

    @pytest.mark.parametrize("api", ["v1", "v2"])
    @pytest.mark.parametrize("profile", ["interop", "strict"])
    @pytest.mark.parametrize("scal", ["1", "2"])
    def test_a_batch_is_authorised_once(self, identity: DevIdentity, api: str, profile: str, scal: str) -> None:
        with CscService({"van-thu": Held(identity, scal=scal)}, api=api) as service:
            person = Person()
            credential = _credential(service, person)
            assert (credential.certificate, credential.chain) == (identity.certificate, identity.chain)
            scheme = scheme_for(credential.key_type, bits=credential.bits, profile=profile)
            digests = _digests(100, scheme)
            values = credential.sign_many(digests, scheme, jobs=4)
        pairs = zip(values, digests, strict=True)
        assert all(verify_value(identity.credential.public_key, *pair, scheme) for pair in pairs)
        assert service.calls[-2:] == ["credentials/authorize", "signatures/signHash"]
        assert (service.calls.count("credentials/authorize"), service.pins, person.asked) == (1, ["246810"], ["PIN"])

    def test_files_signed_one_by_one_share_the_authorisation_of_the_run(self, service: CscService) -> None:
        credential = _credential(service, Person(), expected=37)
        for digest in _digests(37):
            credential.sign(digest, Scheme.RSA_PKCS1_SHA256)
        assert service.calls.count("credentials/authorize") == 1
        assert service.calls.count("signatures/signHash") == 37
        credential.sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256)
        assert service.calls.count("credentials/authorize") == 2, "what was not announced is authorised anew"

    def test_more_than_the_service_takes_at_once_is_split(self, service: CscService, rsa: DevIdentity) -> None:
        service.credentials["van-thu"] = Held(rsa, multisign=40)
        person = Person()
        assert len(_credential(service, person).sign_many(_digests(100), Scheme.RSA_PKCS1_SHA256)) == 100
        assert service.calls.count("credentials/authorize") == 3
        assert person.asked == ["PIN"]

    def test_digests_bound_to_their_authorisation_are_authorised_each_time(
        self, service: CscService, rsa: DevIdentity
    ) -> None:
        service.credentials["van-thu"] = Held(rsa, scal="2")
        person = Person()
        credential = _credential(service, person, expected=9)
        for digest in _digests(3):
            credential.sign(digest, Scheme.RSA_PKCS1_SHA256)
        assert service.calls.count("credentials/authorize") == 3
        assert person.asked == ["PIN"]

    def test_a_credential_without_pin_asks_nobody(self, service: CscService, rsa: DevIdentity) -> None:
        service.credentials["van-thu"] = Held(rsa, mode="implicit")
        person = Person()
        _credential(service, person).sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256)
        assert (person.asked, service.pins) == ([], [])

    @pytest.mark.parametrize("otp", ["offline", "online"])
    def test_a_one_time_password_is_asked_for_each_authorisation(
        self, service: CscService, rsa: DevIdentity, otp: str
    ) -> None:
        service.credentials["van-thu"] = Held(rsa, otp=otp, scal="2")
        person = Person()
        credential = _credential(service, person)
        for _ in range(2):
            credential.sign_many(_digests(20), Scheme.RSA_PKCS1_SHA256)
        assert person.asked == ["PIN", "OTP", "OTP"]
        assert len(set(service.otps)) == 2
        assert service.sent == (["OTP", "OTP"] if otp == "online" else [])

    def test_raw_values_of_ecdsa_are_taken_too(self, pki: DevPki) -> None:
        from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

        def raw(method: str, answer: Answer) -> Answer:
            if method != "signatures/signHash":
                return answer
            (value,) = answer[1]["signatures"]  # type: ignore[index]
            r, s = decode_dss_signature(base64.b64decode(value))
            return 200, {"signatures": [base64.b64encode(r.to_bytes(32, "big") + s.to_bytes(32, "big")).decode()]}

        identity = pki.issue(Role.PERSON, Subject("Lê Văn Mẫu"))
        with CscService({"a": Held(identity)}, twist=raw) as service:
            assert _credential(service, Person()).sign(_digests(1)[0], Scheme.ECDSA_SHA256)


class TestRefusals:
    """Nothing that may cost a PIN or a signature is sent twice."""

    def test_a_wrong_pin_is_sent_once(self, service: CscService) -> None:
        person = Person("111111")
        credential = _credential(service, person)
        found = [_refusal(lambda: credential.sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256)) for _ in range(5)]
        assert {type(one) for one in found} == {KeyLost}
        assert {one.code for one in found} == {"EDOC-KEY-035"}
        assert found[0].facts["error"] == "HTTP 400 invalid_pin"
        assert (service.pins, person.asked) == (["111111"], ["PIN"])

    def test_a_wrong_access_token_is_refused(self, service: CscService) -> None:
        refusal = _refusal(_client(service, bearer="khong-dung").list)
        assert (refusal.code, refusal.facts["error"]) == ("EDOC-KEY-035", "HTTP 401 invalid_token")

    def test_reading_is_tried_again_and_what_costs_something_is_not(self, service: CscService) -> None:
        failing = {"credentials/info": 2, "credentials/authorize": 1}

        def twist(method: str, answer: Answer) -> Answer:
            if failing.get(method, 0) > 0:
                failing[method] -= 1
                return 503, {}
            return answer

        service.twist = twist
        credential = _credential(service, Person())
        refusal = _refusal(lambda: credential.sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256))
        assert refusal.code == "EDOC-KEY-033"
        assert service.calls.count("credentials/info") == 3
        assert service.calls.count("credentials/authorize") == 1
        assert "signatures/signHash" not in service.calls

    def test_a_service_that_is_away_is_said_to_be_away(self, rsa: DevIdentity) -> None:
        with CscService({"van-thu": Held(rsa)}) as service:
            client = _client(service)
        refusal = _refusal(client.info)
        assert refusal.code == "EDOC-KEY-033"

    def test_a_silent_service_is_not_waited_for_longer_than_the_setting(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}/csc/v2"
            client = Client(Service("mau", url, DEMO, timeout=0.2), pause=lambda _: None)
            assert _refusal(client.info).code == "EDOC-KEY-033"

    @pytest.mark.parametrize(
        ("url", "cause"),
        [
            ("http://127.0.0.1:1/csc/v2", "not https"),
            ("https://127.0.0.1:443/csc/v2", "address"),
            ("https://user:x@csc.example/csc/v2", "unreadable"),
            ("ftp://csc.example/", "scheme"),
        ],
    )
    def test_only_https_is_spoken_outside_of_the_demonstration(self, url: str, cause: str) -> None:
        client = Client(Service("mau", url, Reach(ports=(443, 1))))
        refusal = _refusal(client.info)
        assert (refusal.code, refusal.facts["cause"]) == ("EDOC-KEY-036", cause)


class TestHostileAnswers:
    """A service may lie about everything; nothing it says is used unless it is what was asked for."""

    @pytest.mark.parametrize(
        "signatures",
        [
            None,
            [],
            ["AAAA"],
            ["AAAA"] * 3,
            "AAAA",
            [1, 2],
            ["not base64!", "AAAA"],
            ["AA==\n", "AAAA"],
            ["", ""],
            ["A" * 100_000, "AAAA"],
            ["AAAA", "AAAA"],
        ],
    )
    def test_values_that_are_none_end_the_run(self, service: CscService, signatures: object) -> None:
        service.twist = lambda method, answer: (
            (200, {"signatures": signatures}) if method == "signatures/signHash" else answer
        )
        credential = _credential(service, Person())
        for _ in range(2):
            refusal = _refusal(lambda: credential.sign_many(_digests(2), Scheme.RSA_PKCS1_SHA256))
            assert (type(refusal), refusal.code) == (KeyLost, "EDOC-KEY-034")
        assert service.calls.count("signatures/signHash") == 1

    def test_values_in_another_order_are_refused(self, service: CscService) -> None:
        def turned(method: str, answer: Answer) -> Answer:
            if method != "signatures/signHash":
                return answer
            return 200, {"signatures": answer[1]["signatures"][::-1]}  # type: ignore[index]

        service.twist = turned
        credential = _credential(service, Person())
        assert _refusal(lambda: credential.sign_many(_digests(2), Scheme.RSA_PKCS1_SHA256)).code == "EDOC-KEY-034"

    @pytest.mark.parametrize(
        ("method", "document", "what"),
        [
            ("info", {"specs": 2, "authType": []}, "specs"),
            ("info", {"specs": "2.0.0.2", "authType": "oauth2"}, "authType"),
            ("credentials/list", {"credentialIDs": ["a"] * 101}, "credentialIDs"),
            ("credentials/list", {"credentialIDs": ["a\x1b[2J"]}, "credentialID"),
            ("credentials/list", {}, "credentialIDs"),
            ("credentials/info", {}, "cert"),
            ("credentials/info", {"cert": {}, "key": {"status": "disabled"}}, "key.status"),
            (
                "credentials/info",
                {"cert": {"certificates": ["AAAA"]}, "key": {"status": "enabled"}},
                "cert.certificates",
            ),
            ("credentials/authorize", {}, "SAD"),
            ("credentials/authorize", {"SAD": "x" * 100_000}, "SAD"),
            ("credentials/authorize", {"SAD": "x", "expiresIn": -5}, "expiresIn"),
            ("credentials/authorize", {"SAD": "x", "expiresIn": True}, "expiresIn"),
        ],
    )
    def test_documents_of_another_form_are_refused(
        self, service: CscService, method: str, document: object, what: str
    ) -> None:
        service.twist = lambda called, answer: (200, document) if called == method else answer
        refusal = _refusal(lambda: _credential(service, Person()).sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256))
        assert (refusal.code, refusal.facts["what"]) == ("EDOC-KEY-034", what)

    @pytest.mark.parametrize(
        ("make", "code"),
        [
            (lambda: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/"}), "EDOC-KEY-034"),
            (lambda: web.Response(text="<html>", content_type="text/html"), "EDOC-KEY-034"),
            (lambda: web.Response(text="[1]", content_type="application/json"), "EDOC-KEY-034"),
            (lambda: web.Response(text="[" * 100_000, content_type="application/json"), "EDOC-KEY-034"),
            (lambda: web.Response(body=b"\xff\xfe{", content_type="application/json"), "EDOC-KEY-034"),
            (lambda: web.Response(body=b" " * (1024 * 1024 + 1), content_type="application/json"), "EDOC-KEY-034"),
            (lambda: web.Response(status=500), "EDOC-KEY-033"),
            (lambda: web.Response(status=418, text=MARKER), "EDOC-KEY-035"),
            (lambda: web.json_response({"error": MARKER}, status=400), "EDOC-KEY-035"),
        ],
        ids=["redirect", "page", "list", "deep", "bytes", "huge", "broken", "other status", "own words"],
    )
    def test_answers_that_are_none_are_refused_without_repeating_them(
        self, service: CscService, make: Callable[[], web.Response], code: str
    ) -> None:
        service.twist = lambda method, answer: make() if method == "credentials/authorize" else answer
        refusal = _refusal(lambda: _credential(service, Person()).sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256))
        assert refusal.code == code
        assert MARKER not in f"{refusal} {refusal.facts}"
        assert service.calls.count("credentials/authorize") == 1

    def test_a_certificate_of_another_key_makes_no_signature(self, service: CscService, pki: DevPki) -> None:
        other = pki.issue(Role.PERSON, Subject("Lê Văn Mẫu"), key_type="rsa2048")

        def swapped(method: str, answer: Answer) -> Answer:
            if method == "credentials/info":
                answer[1]["cert"]["certificates"] = [base64.b64encode(other.certificate).decode()]  # type: ignore[index]
            return answer

        service.twist = swapped
        credential = _credential(service, Person())
        assert _refusal(lambda: credential.sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256)).code == "EDOC-KEY-034"


class TestSecrets:
    """Planted markers as PIN, access token and activation data are found in no traceback, log or ``repr``."""

    @pytest.mark.parametrize("fault", ["none", "pin", "values", "away", "sad", "redirect"])
    def test_no_traceback_of_ours_shows_a_secret(
        self, service: CscService, caplog: pytest.LogCaptureFixture, fault: str
    ) -> None:
        caplog.set_level(logging.DEBUG)
        pin, bearer, sad = f"pin-{MARKER}", f"token-{MARKER}", f"sad-{MARKER}"
        service.pin, service.bearer = pin if fault != "pin" else "khac", bearer

        def twist(method: str, answer: Answer) -> Answer | web.StreamResponse:
            if method == "credentials/authorize" and answer[0] == 200:
                if fault in ("away", "redirect"):
                    return web.Response(status=503 if fault == "away" else 301)
                return 200, {"SAD": sad, "expiresIn": -1 if fault == "sad" else 60}
            return answer

        service.twist = twist
        given = Secret(pin.encode())
        credential = _credential(service, lambda _: given)
        with pytest.raises(CredentialError) as caught:
            credential.sign(_digests(1)[0], Scheme.RSA_PKCS1_SHA256)
        shown = _shown(caught.value) + repr(credential) + repr(credential.port)
        assert MARKER not in shown + caplog.text
        assert set(given.reveal()) == {0}, "wiped"


def _shown(error: BaseException) -> str:
    parts = [repr(error), repr(getattr(error, "facts", None))]
    seen: BaseException | None = error
    while seen is not None:
        told = traceback.TracebackException.from_exception(seen, capture_locals=True)
        parts += [f"{frame.name} {frame.locals}" for frame in told.stack if "/tests/" not in frame.filename] + [
            repr(seen)
        ]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)
