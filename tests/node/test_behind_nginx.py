"""The deployment of docs/deploy for real: nginx ends TLS in front of two gateways on one database (docs/deployment.md).

The example file itself is run, with addresses and paths of the test put in. Partners authenticate by client
certificate, which nginx hands on in ``Client-Cert`` (exchange.md 4).
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from edoc.agencies import AgencyCertificate
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from tests import world as worlds
from tests.node.test_workers import number, until
from tests.postgres import Server
from tests.world import World
from transport.demo.offices import free_ports
from transport.errors import TransportError
from transport.http.addresses import Reach
from transport.http.client import HttpCarrier
from transport.http.tls import client_context
from transport.http.wire import RequestKey
from transport.node.outgoing import Outgoing
from transport.store import directory as directories

A, B = "H99.01", "H99.02"
ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
NJS = next(
    (
        path
        for folder in ("/usr/lib/nginx/modules", "/usr/lib64/nginx/modules")
        if (path := Path(folder, "ngx_http_js_module.so")).is_file()
    ),
    None,
)
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed"),
    pytest.mark.skipif(NJS is None, reason="nginx has no njs (Debian: libnginx-mod-http-js)"),
]


def utc_now() -> datetime:
    """The moment."""
    return datetime.now(UTC)


@dataclass
class Deployment:
    """Two gateways of B behind nginx, and A, which calls them."""

    folder: Path
    world: World
    caller: DevIdentity
    stranger: DevIdentity
    port: int
    gateways: tuple[tuple[Path, int], ...]
    running: list[subprocess.Popen[bytes]]

    @property
    def endpoint(self) -> str:
        """The one address partners know."""
        return f"https://localhost:{self.port}/exchange/v1"

    def carrier(self, identity: DevIdentity | None) -> HttpCarrier:
        """A caller with this client certificate; its request key is registered nowhere."""
        shown = None
        if identity is not None:
            shown = self.folder / f"client-{hashlib.sha256(identity.certificate).hexdigest()[:8]}.pem"
            shown.write_bytes(identity.pem)
        tls = client_context(self.folder / "root.pem", certificate=shown)
        key = RequestKey.of(ec.generate_private_key(ec.SECP256R1()))
        return HttpCarrier(request_key=key, clock=utc_now, tls=tls, reach=Reach(demo=True))


def pem(*certificates: bytes) -> bytes:
    return "".join(map(ssl.DER_cert_to_PEM_cert, certificates)).encode()


@contextmanager
def gateway(home: Path, port: int, folder: Path, endpoint: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run one gateway as the page says: behind the proxy, with the CA of its client certificates."""
    options = {
        "--tls-cert": folder / "server-cert.pem",
        "--tls-key": folder / "server.pem",
        "--client-ca": folder / "transport-ca.pem",
        "--behind-proxy": "127.0.0.1/32",
        "--port": port,
    }
    words = [str(word) for pair in options.items() for word in pair]
    command = [sys.executable, "-m", "edoc", "serve", "--home", str(home), "--json", *words]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "EDOC_EXCHANGE__ENDPOINT": endpoint}
    with (home / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, cwd=home, env=environment
        )
    assert process.stdout is not None
    try:
        assert process.stdout.readline(), (home / "log.txt").read_text("utf-8")
        yield process
    finally:
        process.terminate()
        process.wait(60)
        process.stdout.close()


def configuration(folder: Path, port: int, gateways: tuple[int, ...]) -> str:
    """Return the example with this test's addresses, paths and name; every change must find its place."""
    text = (DEPLOY / "nginx-tls.conf").read_text("utf-8")
    changes = (
        (r"modules/ngx_http_js_module\.so", str(NJS), 1),
        (r"js_path /etc/nginx;", f"js_path {DEPLOY};", 1),
        (r"10\.0\.0\.11:8443", f"127.0.0.1:{gateways[0]}", 1),
        (r"10\.0\.0\.12:8443", f"127.0.0.1:{gateways[1]}", 1),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;", 1),
        (r"edoc\.example", "localhost", 2),
        (r"/etc/edoc/tls\.pem", str(folder / "server-cert.pem"), 1),
        (r"/etc/edoc/tls\.key", str(folder / "server.pem"), 1),
        (r"/etc/edoc/transport-ca\.pem", str(folder / "transport-ca.pem"), 1),
        (r"/etc/edoc/gateway-ca\.pem", str(folder / "root.pem"), 1),
    )
    for pattern, value, times in changes:
        text, done = re.subn(pattern, value, text)
        assert done == times, pattern
    places = "".join(
        f"    {name}_temp_path {folder}/tmp-{name};\n" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = "user root;\n" if os.name == "posix" and os.geteuid() == 0 else ""
    head = f"{user}daemon off;\npid {folder}/nginx.pid;\nerror_log {folder}/error.log warn;\n"
    return head + text.replace("http {\n", f"http {{\n    access_log off;\n{places}", 1)


@contextmanager
def nginx(folder: Path, port: int, gateways: tuple[int, ...]) -> Iterator[None]:
    """Run nginx with the example."""
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, port, gateways), "utf-8")
    command = [str(NGINX), "-p", str(folder), "-c", str(file), "-e", str(folder / "error.log")]
    tried = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until("nginx listens", partial(listens, port))
        yield
    finally:
        process.terminate()
        process.wait(30)


def listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", port)) == 0


@pytest.fixture
def deployment(tmp_path: Path, postgres: Server) -> Iterator[Deployment]:
    """Two gateways of B with a home each, one database, and nginx before them; A is an office of the test's process."""
    now = utc_now()
    pki = DevPki.create(at=now.replace(microsecond=0) - timedelta(days=1))
    port, first, second = free_ports(3)
    name = postgres.create()
    endpoint = f"https://localhost:{port}/exchange/v1"
    urls = {A: "https://a.example/exchange/v1", B: endpoint}
    world = worlds.build(tmp_path, pki, now, urls=urls, databases={B: postgres.url(name)})
    server = pki.issue(Role.TLS, Subject("localhost", dns=("localhost",)))
    caller, stranger = (pki.issue(Role.TLS, Subject(host, dns=(host,))) for host in ("a.example", "x.example"))
    (tmp_path / "server-cert.pem").write_bytes(server.certificates_pem)
    (tmp_path / "server.pem").write_bytes(server.pem)
    (tmp_path / "root.pem").write_bytes(pem(pki.root.certificate))
    (tmp_path / "transport-ca.pem").write_bytes(pem(pki.issuing.certificate, pki.root.certificate))
    register(world, caller)
    homes = (tmp_path / B, tmp_path / "second")
    further_gateway(*homes)
    world.nodes[B].close()
    with ExitStack() as stack:
        running = [
            stack.enter_context(gateway(home, at, tmp_path, endpoint))
            for home, at in zip(homes, (first, second), strict=True)
        ]
        stack.enter_context(nginx(tmp_path, port, (first, second)))
        places = tuple(zip(homes, (first, second), strict=True))
        yield Deployment(tmp_path, world, caller, stranger, port, places, running)
    world.nodes[A].close()
    postgres.drop(name)


def register(world: World, identity: DevIdentity) -> None:
    """Enter A's client certificate at B; from then on A calls by it."""
    office = world.nodes[B].office
    entry = office.directory().get(A)
    assert entry is not None
    digest = hashlib.sha256(identity.certificate).hexdigest()
    wider = (*entry.certificates, AgencyCertificate("tls", identity.certificate, digest))
    office.store.do(lambda unit: directories.add(unit, replace(entry, certificates=wider), now=utc_now()))


def further_gateway(home: Path, second: Path) -> None:
    """Make the home of a further gateway as the page says, with large messages on a file system they share."""
    second.mkdir()
    for name in ("edoc.toml", "heads.log"):
        shutil.copy2(home / name, second / name)
    shutil.copytree(home / "keys", second / "keys")
    (home / "blobs").mkdir(exist_ok=True)
    (second / "blobs").symlink_to(home / "blobs")


def told(work: Callable[[HttpCarrier], Awaitable[object]], carrier: HttpCarrier) -> object:
    """Do something with a caller and return what came of it."""

    async def run() -> object:
        async with carrier:
            return await work(carrier)

    return asyncio.run(run())


def letters(deployment: Deployment, *numbers: str, size: int = 100) -> list[str]:
    """Queue letters at A and carry them once through nginx; return the states of their dispatches."""
    node, ids = deployment.world.nodes[A], []
    for one in numbers:
        now = utc_now()
        content = b"%PDF-1.4\n" + bytes(size) + b"\n%%EOF\n"
        data = worlds.letter(one, at=now, name=f"{one}-SMA-VP.pdf", content=content)
        ids.append(node.send(data, now=now, allow_information_only=True).message_id)
    carried(deployment)
    return [node.dispatches(one)[0].state.value for one in ids]


def carried(deployment: Deployment) -> None:
    """Carry everything that is due at A, each parcel twice."""
    outgoing = Outgoing(deployment.world.nodes[A].office)

    async def work(carrier: HttpCarrier) -> None:
        while claims := outgoing.claim(utc_now(), "courier", 20):
            for claim in claims:
                parcel = outgoing.parcel(claim, utc_now())
                assert parcel is not None
                outgoing.settle(claim, await carrier.carry(parcel), utc_now())
                again = await carrier.carry(parcel)
                stored = node_receipt(deployment, claim.key.message_id)
                assert (again.status, again.body) == (200, stored), "a repeat brings the same bytes"

    told(work, deployment.carrier(deployment.caller))


def node_receipt(deployment: Deployment, message_id: str) -> bytes | None:
    receipt = deployment.world.nodes[A].dispatches(message_id)[0].receipt
    return None if receipt is None else receipt.data


def test_letters_pass_small_and_large_and_repeats_bring_the_same_receipt(deployment: Deployment) -> None:
    assert letters(deployment, *map(str, range(1, 9))) == ["delivered"] * 8
    assert letters(deployment, "20", size=3 * 1024 * 1024) == ["delivered"]
    (home, _), _ = deployment.gateways
    assert number(home, "SELECT count(*) FROM inbox WHERE kind = 'edoc'") == 9
    begun = number(home, "SELECT count(DISTINCT message_id) FROM receipt WHERE direction = 'out'")
    assert begun == 9
    for gateway_home, _ in deployment.gateways:
        said = (gateway_home / "log.txt").read_text("utf-8")
        assert re.search(r"message\.(accepted|duplicate)", said), "both took part"


def test_who_calls_is_the_certificate_that_nginx_verified_and_nothing_a_caller_writes(deployment: Deployment) -> None:
    async def ping(carrier: HttpCarrier) -> object:
        try:
            return (await carrier.ping(deployment.endpoint)).members["node"]
        except TransportError as error:
            return error.facts.get("status")

    assert told(ping, deployment.carrier(deployment.caller)) == "nut-1"
    assert told(ping, deployment.carrier(deployment.stranger)) == 401, "verified by nginx, registered nowhere"
    assert told(ping, deployment.carrier(None)) == 401
    written = ":" + base64.b64encode(deployment.caller.certificate).decode() + ":"
    context = client_context(deployment.folder / "root.pem", certificate=None)
    with (
        socket.create_connection(("127.0.0.1", deployment.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as line,
    ):
        head = f"POST /exchange/v1/ping HTTP/1.1\r\nHost: localhost:{deployment.port}\r\nContent-Length: 0\r\n"
        line.sendall(f"{head}Client-Cert: {written}\r\nConnection: close\r\n\r\n".encode())
        assert line.recv(100).split(b" ")[1] == b"401"


def test_one_gateway_dies_and_the_exchange_goes_on(deployment: Deployment) -> None:
    assert letters(deployment, "1") == ["delivered"]
    deployment.running[0].kill()
    deployment.running[0].wait(30)
    node = deployment.world.nodes[A]
    states = letters_until(deployment, "2", "3", "4")
    assert states == ["delivered"] * 3
    assert node.office.store.read(node.office.log.verify).result == "proved"


def letters_until(deployment: Deployment, *numbers: str) -> list[str]:
    """Queue letters and try until each has its receipt: an attempt that met the dead gateway is made again."""
    node, ids = deployment.world.nodes[A], []
    for one in numbers:
        now = utc_now()
        data = worlds.letter(one, at=now, name=f"{one}-SMA-VP.pdf")
        ids.append(node.send(data, now=now, allow_information_only=True).message_id)
    outgoing = Outgoing(node.office)

    async def work(carrier: HttpCarrier) -> None:
        async with asyncio.timeout(90):
            while any(node.dispatches(one)[0].state.value != "delivered" for one in ids):
                for claim in outgoing.claim(utc_now(), "courier", 20):
                    parcel = outgoing.parcel(claim, utc_now())
                    assert parcel is not None
                    outgoing.settle(claim, await carrier.carry(parcel), utc_now())
                await asyncio.sleep(0)

    told(work, deployment.carrier(deployment.caller))
    return [node.dispatches(one)[0].state.value for one in ids]


def test_metadata_names_the_one_address_that_partners_call(deployment: Deployment) -> None:
    async def fetch(carrier: HttpCarrier) -> object:
        return json.loads((await carrier.metadata(deployment.endpoint))[0])["endpoint"]

    assert told(fetch, deployment.carrier(None)) == deployment.endpoint
