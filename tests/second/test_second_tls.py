"""The second implementation behind TLS: names and chains are checked on both sides, signatures hold over https too."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterator

import pytest

from tests.second.conftest import THEIRS, Ring, make_ring, start
from tests.second.second_wire import Cut
from transport.demo.offices import until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """A node that listens with TLS and asks callers for a certificate, and a second server with TLS."""
    made = make_ring(tmp_path_factory.mktemp("secure"), secure=True)
    files = made.channels
    start(made.office, "--tls-cert", str(files.ours), "--client-ca", str(files.root))
    yield made
    made.close()


def test_a_message_goes_both_ways_over_tls(secure: Ring) -> None:
    assert secure.client.send(secure.sealed(), expect=True).answer.status == 201
    message_id = secure.queue(THEIRS.code, number="401")
    question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
    until("delivered over TLS", lambda: secure.ask(question, message_id) == [("delivered",)], seconds=60)


def test_without_a_certificate_nothing_is_answered(secure: Ring) -> None:
    bare = dataclasses.replace(secure.client, tls=secure.channels.asking(certificate=False))
    with pytest.raises((ssl.SSLError, ConnectionError, Cut)):
        bare.put(secure.sealed(), expect=True)


OLD = ((ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"), (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(("version", "ciphers"), OLD)
def test_old_protocols_and_ciphers_without_forward_secrecy_are_not_spoken(
    secure: Ring, version: ssl.TLSVersion, ciphers: str
) -> None:
    """TLS 1.2 at least, ECDHE and AEAD only."""
    context = secure.channels.asking(certificate=True)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dataclasses.replace(secure.client, tls=context).put(secure.sealed(), expect=True)
