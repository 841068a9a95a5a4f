"""Time stamps and certificate status over HTTP: bytes for a judgement, from addresses that may be asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.x509 import ocsp

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.errors import TimestampError
from signer.report import Need
from transport.demo.pkiserver import PkiServer
from transport.errors import Refused, TryLater
from transport.http.addresses import Reach, Target, resolve
from transport.http.fetch import Ask, fetch
from transport.http.pki import HttpTimestamper, fetch_status

DEMO = Reach(demo=True, plain=True)


@pytest.fixture(scope="module")
def services(now: datetime) -> Iterator[tuple[PkiServer, DevPki]]:
    """An authority whose certificates name the addresses it answers at."""
    with PkiServer(clock=lambda: now) as server:
        pki = DevPki.create(at=now - timedelta(days=30), base_url=server.url)
        server.use(pki)
        yield server, pki


def leaf(pki: DevPki) -> DevIdentity:
    return pki.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))


def need(identity: DevIdentity, server: PkiServer, *, ocsp_urls: bool = True) -> Need:
    return Need(
        identity.certificate,
        identity.chain[0],
        (server.url + "/ocsp",) if ocsp_urls else (),
        (server.url + "/ca.crl",),
    )


def test_the_status_of_a_certificate_comes_by_ocsp_first(services: tuple[PkiServer, DevPki]) -> None:
    server, pki = services
    one = leaf(pki)
    store = fetch_status([need(one, server)], reach=DEMO)
    assert (len(store.ocsps), store.crls, store.anchors) == (1, (), ())
    answer = ocsp.load_der_ocsp_response(store.ocsps[0])
    assert answer.certificate_status is ocsp.OCSPCertStatus.GOOD
    pki.revoke(one.certificate, at=pki.created)
    again = ocsp.load_der_ocsp_response(fetch_status([need(one, server)], reach=DEMO).ocsps[0])
    assert again.certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_without_ocsp_the_revocation_list_is_fetched(services: tuple[PkiServer, DevPki]) -> None:
    server, pki = services
    store = fetch_status([need(leaf(pki), server, ocsp_urls=False)], reach=DEMO)
    assert len(store.crls) == 1
    assert x509.load_der_x509_crl(store.crls[0]).issuer == pki.issuing.x509.subject


def test_a_broken_ocsp_service_falls_back_to_the_list(services: tuple[PkiServer, DevPki]) -> None:
    server, pki = services
    one = leaf(pki)
    broken = Need(
        one.certificate, one.chain[0], (server.url + "/nowhere", server.url + "/ca.crl"), (server.url + "/ca.crl",)
    )
    assert len(fetch_status([broken], reach=DEMO).crls) == 1


def test_what_cannot_be_had_is_left_out(services: tuple[PkiServer, DevPki]) -> None:
    server, pki = services
    one = leaf(pki)
    assert fetch_status([Need(one.certificate, None, (), (server.url + "/nowhere",))], reach=DEMO).crls == ()
    assert fetch_status([need(one, server)]).ocsps == ()  # loopback is not asked outside the demonstration


def test_time_stamps_come_over_http(services: tuple[PkiServer, DevPki]) -> None:
    from signer.timestamp import obtain

    server, _ = services
    token = obtain(HttpTimestamper(server.tsa_url, reach=DEMO), b"\x11" * 32)
    assert token.startswith(b"\x30")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:9/tsa", "ftp://tsa.example/", "http://169.254.169.254/", "https://10.1.2.3/"]
)
def test_a_tsa_at_a_forbidden_address_is_refused_without_asking(url: str) -> None:
    with pytest.raises(TimestampError):
        HttpTimestamper(url).stamp(b"")


class Wrong:
    """A service that gives the same answers in turn, and counts."""

    def __init__(self, *answers: tuple[int, str, bytes], after: str | None = None) -> None:
        self.asked = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                status, kind, body = answers[min(outer.asked, len(answers) - 1)]
                outer.asked += 1
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Location", "http://127.0.0.1:1/")
                if after is not None:
                    self.send_header("Retry-After", after)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST  # noqa: N815  # named by the library

            def log_message(self, format: str, *args: object) -> None:
                pass

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/"

    def __enter__(self) -> Wrong:
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


REPLY = "application/timestamp-reply"


def stamper(url: str) -> HttpTimestamper:
    return HttpTimestamper(url, reach=DEMO, pause=lambda _: None)


def test_a_busy_tsa_is_asked_again() -> None:
    with Wrong((503, "text/html", b""), (429, "text/html", b""), (200, REPLY, b"0\x00")) as one:
        assert stamper(one.url).stamp(b"x") == b"0\x00"
        assert one.asked == 3


def test_a_tsa_is_asked_again_when_it_says_and_not_beyond_its_time() -> None:
    """``Retry-After`` outlasts the usual pause; where it goes past the time there is, nobody waits for it."""
    waited: list[float] = []
    with Wrong((429, "text/html", b""), (503, "text/html", b""), (200, REPLY, b"0\x00"), after="7") as one:
        assert HttpTimestamper(one.url, reach=DEMO, pause=waited.append).stamp(b"x") == b"0\x00"
    with Wrong((429, "text/html", b""), after="900") as one:
        with pytest.raises(TimestampError) as caught:
            HttpTimestamper(one.url, reach=DEMO, pause=waited.append).stamp(b"x")
        assert (one.asked, caught.value.facts["reason"]) == (1, "HTTP 429")
    with Wrong((503, "text/html", b""), after="Fri, 20 Nov 2026 02:30:00 GMT") as one, pytest.raises(TimestampError):
        HttpTimestamper(one.url, reach=DEMO, pause=waited.append).stamp(b"x")
    assert waited == [7.0, 7.0, 1.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        ((503, "text/html", b""), 3),
        ((200, "text/html", b"<html>"), 1),
        ((302, REPLY, b""), 1),
        ((403, REPLY, b""), 1),
        ((200, REPLY, b"0" * 70_000), 1),
    ],
)
def test_a_tsa_that_does_not_answer_properly_is_an_error(answer: tuple[int, str, bytes], asked: int) -> None:
    with Wrong(answer) as one:
        with pytest.raises(TimestampError):
            stamper(one.url).stamp(b"x")
        assert one.asked == asked


def test_a_service_that_keeps_silent_is_given_up_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/"
        with pytest.raises(TryLater):
            fetch(Ask("GET", url, {}), reach=DEMO, most=10, timeout=0.2)


@pytest.mark.parametrize(
    ("url", "good"),
    [
        ("https://vb.example/x", True),
        ("https://vb.example:8443/x", True),
        ("http://vb.example/x", False),
        ("https://vb.example:25/x", False),
        ("https://8.8.8.8/", True),
        ("https://224.0.0.1/", False),
        ("https://10.9.8.7/", True),
        ("https://10.9.9.7/", False),
        ("https://[fe80::1]/", False),
        ("https://vb.example:99999/", False),
        ("https://vb.\u0103n.example/", False),
    ],
)
def test_addresses_are_judged_by_their_text(url: str, good: bool) -> None:
    reach = Reach.of(["10.9.8.0/24"])
    if good:
        assert reach.check_url(url).scheme == "https"
    else:
        with pytest.raises(Refused):
            reach.check_url(url)


def test_a_name_that_leads_to_loopback_is_not_connected_to() -> None:
    with pytest.raises(Refused):
        resolve(Target("https", "localhost", 443, "/"), Reach())
    assert resolve(Target("http", "localhost", 80, "/"), DEMO)
