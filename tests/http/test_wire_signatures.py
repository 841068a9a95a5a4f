"""Request signatures: only the components, key, algorithm and time of exchange.md 4 authenticate a node."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from http_message_signatures import HTTPMessageSigner, MappingKeyResolver, algorithms

from transport.errors import Problem
from transport.http import wire
from transport.http.wire import signatures

NOW = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
URL = "https://vb.example:8443/exchange/v1/to/H99.02/from/H99.01/6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"
BODY = (
    ("Host", "vb.example:8443"),
    ("Content-Type", wire.MESSAGE_TYPE),
    ("Content-Length", "5"),
    ("Content-Digest", wire.format_digest("ab" * 32)),
)
VIEW = wire.RequestView("PUT", URL, BODY)
KEYS: dict[str, signatures.PrivateKey] = {
    "p256": ec.generate_private_key(ec.SECP256R1()),
    "p384": ec.generate_private_key(ec.SECP384R1()),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
}
KEY = wire.RequestKey.of(KEYS["p256"])


def spki(private: signatures.PrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def signed(view: wire.RequestView, *, key: wire.RequestKey = KEY, created: datetime = NOW) -> wire.RequestView:
    fields = wire.sign_request(view, key=key, created=created)
    return wire.RequestView(view.method, view.url, view.headers + tuple(fields.items()))


def check(view: wire.RequestView, *, key: wire.RequestKey = KEY, now: datetime = NOW) -> wire.Proof:
    return wire.verify_request(view, public_key=spki(key.private), alg=key.alg, now=now)


def changed(view: wire.RequestView, name: str, pattern: str, new: str) -> wire.RequestView:
    lines = tuple((k, re.sub(pattern, new, v) if k.lower() == name else v) for k, v in view.headers)
    assert lines != view.headers
    return wire.RequestView(view.method, view.url, lines)


@pytest.mark.parametrize("name", sorted(KEYS))
@pytest.mark.parametrize("view", [VIEW, wire.RequestView("GET", URL + "/receipt", (("Host", "vb.example:8443"),))])
def test_a_signed_request_verifies_with_each_algorithm(name: str, view: wire.RequestView) -> None:
    key = wire.RequestKey.of(KEYS[name])
    request = signed(view, key=key)
    assert wire.key_id_of(request.headers) == key.keyid == wire.key_id(spki(key.private))
    assert check(request, key=key).keyid == key.keyid


@pytest.mark.parametrize(
    "view",
    [
        lambda v: wire.RequestView("POST", v.url, v.headers),
        lambda v: wire.RequestView(v.method, v.url.replace("H99.01", "H99.03"), v.headers),
        lambda v: wire.RequestView(v.method, v.url.replace("vb.", "vc."), v.headers),
        lambda v: wire.RequestView(v.method, v.url + "?x", v.headers),
        lambda v: changed(v, "content-length", "5", "6"),
        lambda v: changed(v, "content-type", "1", "2"),
        lambda v: changed(v, "content-digest", "q", "r"),
        lambda v: wire.RequestView(v.method, v.url, (*v.headers, ("Content-Length", "5"))),
    ],
)
def test_a_changed_request_does_not_verify(view) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(Problem) as caught:
        check(view(signed(VIEW)))
    assert (caught.value.name, caught.value.status) == ("unauthenticated", 401)


@pytest.mark.parametrize(
    ("pattern", "new"),
    [
        (r"^edoc=", "other="),
        (r'tag="[^"]*"', 'tag="x"'),
        (r";expires=\d+", ""),
        (r';nonce="[^"]*"', ""),
        (r'"@query" ', ""),
        (r' "content-digest"', ""),
        (r'alg="[^"]*"', 'alg="ed25519"'),
        (r"$", ', edoc=("@method")'),
        (r"$", ", (("),
    ],
)
def test_missing_or_changed_parameters_do_not_verify(pattern: str, new: str) -> None:
    with pytest.raises(Problem):
        check(changed(signed(VIEW), "signature-input", pattern, new))


@pytest.mark.parametrize(
    ("after", "good"), [(-60, True), (0, True), (300, True), (360, True), (361, False), (3600, False)]
)
def test_a_signature_lives_300_seconds_with_60_seconds_of_skew(after: int, good: bool) -> None:
    request = signed(VIEW)
    if good:
        assert check(request, now=NOW + timedelta(seconds=after)).expires == NOW + timedelta(seconds=300)
    else:
        with pytest.raises(Problem, match="expired"):
            check(request, now=NOW + timedelta(seconds=after))


def test_a_good_signature_from_the_future_is_a_disagreement_of_clocks() -> None:
    with pytest.raises(Problem) as caught:
        check(signed(VIEW, created=NOW + timedelta(seconds=61)))
    assert caught.value.name == "clock-disagreement"
    with pytest.raises(Problem) as caught:
        check(changed(signed(VIEW, created=NOW + timedelta(seconds=61)), "content-type", "1", "2"))
    assert caught.value.name == "unauthenticated"


def by_library(**changes: object) -> wire.RequestView:
    """A signature made by the library alone, right but for ``changes``."""
    message = signatures._Message(VIEW.method, VIEW.url, signatures._Fields(VIEW.headers))
    resolver = MappingKeyResolver(public_keys={}, private_keys={KEY.keyid: KEY.private})
    signer = HTTPMessageSigner(signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=resolver)
    facts: dict[str, object] = {
        "key_id": KEY.keyid,
        "created": NOW,
        "expires": NOW + timedelta(seconds=300),
        "nonce": "n" * 22,
        "label": "edoc",
        "tag": signatures.REQUEST_TAG,
        "covered_component_ids": signatures.WITH_BODY,
        "use_existing_digest": True,
    } | changes
    signer.sign(message, **facts)  # type: ignore[arg-type]  # the table of wrong values is the test
    return wire.RequestView(VIEW.method, VIEW.url, tuple(message.headers.items()))


@pytest.mark.parametrize("more", [(), ("host",), ("@target-uri",)])
def test_the_library_alone_makes_a_signature_we_accept(more: tuple[str, ...]) -> None:
    """Who covers more than is asked has signed what is asked."""
    assert check(by_library(covered_component_ids=(*signatures.WITH_BODY, *more))).nonce == "n" * 22


@pytest.mark.parametrize(
    "changes",
    [
        {"expires": NOW + timedelta(seconds=301)},
        {"expires": NOW},
        {"expires": None},
        {"nonce": None},
        {"nonce": "n" * 21},
        {"nonce": "n" * 129},
        {"include_alg": False},
        {"label": "sig1"},
        {"tag": "other"},
        {"tag": None},
        {"covered_component_ids": signatures.WITH_BODY[:-1]},
        {"covered_component_ids": ("@target-uri", *signatures.WITH_BODY[1:])},
    ],
)
def test_a_good_signature_over_something_else_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(Problem) as caught:
        check(by_library(**changes))
    assert caught.value.name == "unauthenticated"


def test_another_key_or_algorithm_does_not_verify() -> None:
    other = wire.RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(Problem):
        wire.verify_request(signed(VIEW), public_key=spki(other.private), alg=other.alg, now=NOW)
    for alg in ("hmac-sha256", "rsa-v1_5-sha256", "ecdsa-p384-sha384", ""):
        with pytest.raises(Problem):
            wire.verify_request(signed(VIEW), public_key=spki(KEY.private), alg=alg, now=NOW)


def test_unsuitable_keys_cannot_sign_requests() -> None:
    for private in (
        rsa.generate_private_key(public_exponent=65537, key_size=1024),
        ec.generate_private_key(ec.SECP521R1()),
    ):
        with pytest.raises(ValueError):
            wire.RequestKey.of(private)
    with pytest.raises(ValueError):
        wire.RequestKey.from_pem(b"no key")


def test_a_request_key_reads_from_pem_and_never_shows_itself() -> None:
    pem = KEYS["p256"].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    key = wire.RequestKey.from_pem(pem)
    assert key.keyid == KEY.keyid
    assert "private" not in repr(key)


def test_naive_moments_are_misuse() -> None:
    with pytest.raises(ValueError):
        check(signed(VIEW), now=datetime(2026, 11, 20))
    with pytest.raises(ValueError):
        wire.sign_request(VIEW, key=KEY, created=datetime(2026, 11, 20))


@pytest.mark.parametrize("value", ["", "edoc=1", "edoc=()", 'edoc=("@method");keyid=1', "((", "x" * 5000])
def test_a_key_id_that_cannot_be_read_is_none(value: str) -> None:
    assert wire.key_id_of((("Signature-Input", value),)) is None


def test_the_nonce_memory_is_bounded_and_forgets_what_expired() -> None:
    memory = wire.NonceMemory(most=3)
    proofs = [wire.Proof("k", str(n), NOW + timedelta(seconds=300)) for n in range(5)]
    assert memory.first(proofs[0], now=NOW)
    assert not memory.first(proofs[0], now=NOW + timedelta(seconds=360))
    assert memory.first(proofs[0], now=NOW + timedelta(seconds=361))
    assert all(memory.first(one, now=NOW) for one in proofs[1:])
    assert len(memory) == 3


def test_metadata_answers_are_signed_over_status_content_and_authority() -> None:
    request = wire.RequestView("GET", "https://vb.example/.well-known/edoc-exchange")
    fields = (("Content-Type", "application/json"), ("Content-Digest", wire.format_digest("cd" * 32)))
    made = wire.sign_response(wire.ResponseView(200, fields, request), key=KEY, created=NOW)
    lines = fields + tuple(made.items())
    answer = wire.ResponseView(200, lines, request)
    assert wire.verify_response(answer, public_key=spki(KEY.private), alg=KEY.alg, now=NOW).keyid == KEY.keyid
    elsewhere = wire.RequestView("GET", "https://evil.example/.well-known/edoc-exchange")
    for bad in (wire.ResponseView(201, lines, request), wire.ResponseView(200, lines, elsewhere)):
        with pytest.raises(Problem):
            wire.verify_response(bad, public_key=spki(KEY.private), alg=KEY.alg, now=NOW)
