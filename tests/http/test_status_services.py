"""Status answers for a judgement that somebody waits for: bounded in all, silent addresses left in peace."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, Subject
from signer.report import Need
from transport.demo.pkiserver import PkiServer
from transport.http.addresses import Reach
from transport.http.pki import Rests, fetch_status
from transport.http.statuses import MOST, StatusServices

DEMO = Reach(demo=True, plain=True)


class Silent:
    """A service that takes connections and never answers; it counts them."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}/ocsp"
        self.taken: list[socket.socket] = []
        self._thread = threading.Thread(target=self._take)
        self._thread.start()

    def _take(self) -> None:
        while True:
            try:
                self.taken.append(self._socket.accept()[0])
            except OSError:
                return

    def __enter__(self) -> Silent:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()
        for one in self.taken:
            one.close()


@pytest.fixture
def services(now: datetime) -> Iterator[tuple[PkiServer, DevPki]]:
    """An authority whose certificates name the addresses it answers at."""
    with PkiServer(clock=lambda: now) as server:
        pki = DevPki.create(at=now - timedelta(days=30), base_url=server.url)
        server.use(pki)
        yield server, pki


def leaf(pki: DevPki, name: str = "Sở Mẫu A") -> DevIdentity:
    return pki.issue(Role.EXCHANGE, Subject(name, organization=name, tax_number="0100000001"))


def need(identity: DevIdentity, *urls: str) -> Need:
    return Need(identity.certificate, identity.chain[0], urls, ())


def test_several_silent_addresses_cost_what_one_costs(pki: DevPki) -> None:
    with Silent() as one, Silent() as other:
        asking = StatusServices(reach=DEMO, timeout=1.0)
        needs = [need(leaf(pki, f"Sở Mẫu {name}"), one.url, other.url) for name in "ABC"]
        begun = time.monotonic()
        assert asking(needs, within=0.3).ocsps == ()
        assert time.monotonic() - begun < 0.9


def test_who_asks_while_the_service_is_silent_does_not_wait_again(pki: DevPki) -> None:
    with Silent() as one:
        asking, wanted = StatusServices(reach=DEMO, timeout=2.0), need(leaf(pki), one.url)
        asking([wanted], within=0.2)
        begun = time.monotonic()
        assert asking([wanted], within=0.2).ocsps == ()
        assert time.monotonic() - begun < 0.1
        assert len(one.taken) == 1


def test_a_silent_address_is_left_in_peace_then_asked_again(pki: DevPki) -> None:
    with Silent() as one:
        rests, wanted = Rests(seconds=0.5), need(leaf(pki), one.url)
        for _ in range(3):
            assert fetch_status([wanted], reach=DEMO, timeout=0.2, rests=rests).ocsps == ()
        assert len(one.taken) == 1
        until = time.monotonic() + 5
        while len(one.taken) < 2 and time.monotonic() < until:
            fetch_status([wanted], reach=DEMO, timeout=0.1, rests=rests)
        assert len(one.taken) == 2


def test_an_address_that_refuses_at_once_is_asked_every_time(services: tuple[PkiServer, DevPki]) -> None:
    server, pki = services
    rests, one = Rests(), leaf(pki)
    assert fetch_status([need(one, server.url + "/nowhere")], reach=DEMO, rests=rests).ocsps == ()
    assert not rests.rests(server.url)
    assert len(fetch_status([need(one, server.url + "/ocsp")], reach=DEMO, rests=rests).ocsps) == 1


def test_an_answer_that_comes_late_is_there_for_the_next_call_and_for_one_alone(
    services: tuple[PkiServer, DevPki],
) -> None:
    server, pki = services
    with Silent() as one:  # the first address uses up the time of the call, the second answers afterwards
        asking, wanted = StatusServices(reach=DEMO, timeout=0.5), need(leaf(pki), one.url, server.url + "/ocsp")
        assert asking([wanted], within=0.05).ocsps == ()
        until = time.monotonic() + 10
        while not (found := asking([wanted], within=0.05)).ocsps and time.monotonic() < until:
            pass
        assert len(found.ocsps) == 1
        assert not asking._asked, "taken: the next judgement asks anew"


def test_revocation_is_seen_by_the_next_question(services: tuple[PkiServer, DevPki]) -> None:
    from cryptography.x509 import ocsp

    server, pki = services
    asking, one = StatusServices(reach=DEMO), leaf(pki)
    seen = []
    for _ in range(2):
        (answer,) = asking([need(one, server.url + "/ocsp")]).ocsps
        seen.append(ocsp.load_der_ocsp_response(answer).certificate_status)
        pki.revoke(one.certificate, at=pki.created)
    assert seen == [ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED]


def test_a_flood_of_certificates_starts_a_bounded_number_of_questions(pki: DevPki) -> None:
    with Silent() as one:
        asking = StatusServices(reach=DEMO, timeout=1.0)
        certificate = leaf(pki)
        many = [Need(certificate.certificate, certificate.chain[0], (f"{one.url}/{n}",), ()) for n in range(40)]
        before = threading.active_count()
        asking(many, within=0.1)
        assert threading.active_count() - before <= MOST
