"""Who calls: by client certificate, by signature, or by both, as the partner's entry says (exchange.md 4)."""

from __future__ import annotations

import base64
import hashlib
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edoc.agencies import AgencyCertificate
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from tests.wire.conftest import A, B, Place, utc_now
from transport.errors import Problem, TransportError
from transport.http.channel import Channel
from transport.http.client import HttpCarrier
from transport.http.tls import client_context
from transport.http.wire import RequestKey
from transport.store import directory as directories


@dataclass
class Channels:
    """TLS files of both nodes, and of a stranger."""

    folder: Path
    server: DevIdentity
    caller: DevIdentity
    stranger: DevIdentity
    root: bytes

    def file(self, name: str, data: bytes) -> Path:
        """Write a file."""
        (self.folder / name).write_bytes(data)
        return self.folder / name


@pytest.fixture
def channels(place: Place, tmp_path: Path) -> Channels:
    """B serves «localhost»; A calls with a certificate of its own, which B has registered."""
    pki = place.pki
    dns = Subject("localhost", dns=("localhost", "127.0.0.1"))
    made = Channels(
        tmp_path,
        pki.issue(Role.TLS, dns),
        pki.issue(Role.TLS, Subject("a.example", dns=("a.example",))),
        pki.issue(Role.TLS, Subject("x.example", dns=("x.example",))),
        ssl.DER_cert_to_PEM_cert(pki.root.certificate).encode(),
    )
    register(place, made.caller)
    return made


def register(place: Place, identity: DevIdentity, auth: str | None = None) -> None:
    """Enter A's client certificate at B."""
    office = place.nodes[B].office
    entry = office.directory().get(A)
    assert entry is not None
    digest = hashlib.sha256(identity.certificate).hexdigest()
    wider = (*entry.certificates, AgencyCertificate("tls", identity.certificate, digest))
    office.store.do(lambda unit: directories.add(unit, replace(entry, certificates=wider), now=utc_now(), auth=auth))


@asynccontextmanager
async def calling(
    place: Place, channels: Channels, identity: DevIdentity | None, key: RequestKey
) -> AsyncIterator[HttpCarrier]:
    """B serves over TLS; somebody calls it with a certificate and a request key."""
    root = channels.file("root.pem", channels.root)
    shown = None if identity is None else channels.file("client.pem", identity.pem)
    settings = {
        "demo": False,
        "tls_cert": channels.file("server-cert.pem", channels.server.certificates_pem),
        "tls_key": channels.file("server.pem", channels.server.pem),
        "client_ca": root,
    }
    from transport.http.addresses import Reach

    async with (
        place.serving(B, **settings),
        HttpCarrier(
            request_key=key, clock=utc_now, tls=client_context(root, certificate=shown), reach=Reach(demo=True)
        ) as carrier,
    ):
        yield carrier


async def answers(place: Place, channels: Channels, identity: DevIdentity | None, key: RequestKey) -> bool:
    """Say whether a ping is answered."""
    endpoint = f"https://localhost:{place.ports[B]}/exchange/v1"
    async with calling(place, channels, identity, key) as carrier:
        try:
            return bool((await carrier.ping(endpoint)).members["node"])
        except TransportError:
            return False


def stranger_key() -> RequestKey:
    """A request key nobody has registered."""
    return RequestKey.of(ec.generate_private_key(ec.SECP256R1()))


@pytest.mark.parametrize(
    ("auth", "certificate", "signature", "good"),
    [
        (None, True, False, True),  # a certificate is registered: mtls is the default
        (None, False, True, False),
        ("mtls", True, False, True),
        ("mtls", False, True, False),
        ("both", True, True, True),
        ("both", True, False, False),
        ("both", False, True, False),
        ("signature-only", False, True, True),
        ("signature-only", True, False, False),
    ],
)
async def test_a_partner_calls_as_its_entry_says(
    place: Place, channels: Channels, auth: str | None, certificate: bool, signature: bool, good: bool
) -> None:
    if auth is not None:
        register(place, channels.caller, auth)
    identity = channels.caller if certificate else None
    key = place.key(A) if signature else stranger_key()
    assert await answers(place, channels, identity, key) is good


async def test_a_certificate_nobody_registered_lets_nobody_in_whatever_its_path(
    place: Place, channels: Channels
) -> None:
    assert not await answers(place, channels, channels.stranger, place.key(A))


async def test_a_certificate_of_another_authority_gets_no_connection(place: Place, channels: Channels) -> None:
    other = DevPki.create(at=utc_now() - timedelta(days=2)).issue(Role.TLS, Subject("a.example", dns=("a.example",)))
    register(place, other)
    assert not await answers(place, channels, other, place.key(A))


async def test_a_registered_certificate_past_its_last_day_here_is_forbidden(place: Place, channels: Channels) -> None:
    """By the directory of that day: the key is known, and not registered today."""
    from transport.dispatch import Key

    digest = hashlib.sha256(channels.caller.certificate).hexdigest()
    last = utc_now() - timedelta(days=2)
    office = place.nodes[B].office
    node = place.nodes[B]
    caller = node.partner_by_certificate(channels.caller.certificate)
    assert caller is not None
    key = Key(A, B, "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4")
    node.check_parties(caller, key, utc_now())
    office.store.do(lambda unit: directories.end_certificate(unit, A, digest, use="tls", last_day=last))
    with pytest.raises(Problem) as caught:
        node.check_parties(caller, key, utc_now())
    assert caught.value.name == "forbidden"


def field(identity: DevIdentity) -> list[tuple[str, str]]:
    """``Client-Cert`` and its chain as a proxy writes them (RFC 9440)."""

    def binary(der: bytes) -> str:
        return f":{base64.b64encode(der).decode()}:"

    return [
        ("Client-Cert", binary(identity.certificate)),
        ("Client-Cert-Chain", ", ".join(map(binary, identity.chain))),
    ]


def test_client_cert_is_believed_from_listed_proxies_alone(place: Place, channels: Channels) -> None:
    ca = channels.file("root.pem", channels.root)
    channel = Channel.of(ca, ("10.0.0.0/8",))
    lines, now = field(channels.caller), utc_now()
    assert channel.certificate_of(None, "10.1.2.3", lines, now=now) == channels.caller.certificate
    assert channel.certificate_of(None, "192.0.2.1", lines, now=now) is None, "ignored from all others"
    assert channel.certificate_of(None, "10.1.2.3", [], now=now) is None


def test_what_a_proxy_passes_on_needs_a_path_to_the_anchors_within_its_days(place: Place, channels: Channels) -> None:
    ca = channels.file("root.pem", channels.root)
    channel, now = Channel.of(ca, ("10.0.0.0/8",)), utc_now()
    foreign = DevPki.create(at=now - timedelta(days=2)).issue(Role.TLS, Subject("a.example", dns=("a.example",)))
    lines = field(channels.caller)
    bad = [
        field(foreign),
        lines[:1],  # without the certificate between
        [("Client-Cert", "x"), lines[1]],
        [("Client-Cert", ":AAAA:"), lines[1]],
        [*lines, lines[0]],
        [("Client-Cert", ":" + "A" * 20_000 + ":")],
    ]
    for one in bad:
        with pytest.raises(Problem) as caught:
            channel.certificate_of(None, "10.1.2.3", one, now=now)
        assert caught.value.status == 401
    with pytest.raises(Problem):
        channel.certificate_of(None, "10.1.2.3", lines, now=now + timedelta(days=4000))


async def test_a_listed_proxy_speaks_for_the_caller_and_others_cannot(place: Place, channels: Channels) -> None:
    ca = channels.file("root.pem", channels.root)
    more = tuple(field(channels.caller))
    for proxies, good in ((("127.0.0.1/32",), True), (("192.0.2.0/24",), False)):
        async with place.serving(B, client_ca=ca, proxies=proxies), place.carrier(A) as carrier:
            carrier._key = stranger_key()
            url = place.url(B)
            try:
                await carrier._call("POST", url, "/exchange/v1/ping", signed=True, more=more)
            except TransportError:
                assert not good
            else:
                assert good


async def test_a_request_signed_for_another_node_is_nobodys_here(place: Place) -> None:
    """F14: captured on its way and carried to another node, which knows the caller, too."""
    endpoint = "https://vb.example/exchange/v1"
    async with place.serving(B, endpoint=endpoint), place.carrier(A) as carrier:
        with pytest.raises(TransportError):
            await carrier.ping(place.url(B))
    async with place.serving(B, endpoint=place.url(B)), place.carrier(A) as carrier:
        assert (await carrier.ping(place.url(B))).members["node"]
