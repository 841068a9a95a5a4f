"""The second implementation behind TLS: names and chains are checked on both sides, signatures hold over https too."""

from __future__ import annotations

import dataclasses
import ssl
from collections.abc import Iterator

import pytest

from tests.second.conftest import OTHERS, THEIRS, Ring, make_ring, start
from transport.demo.offices import until

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ring]:
    """A node with TLS that knows one partner by its client certificate, and a second server that wants one too."""
    made = make_ring(tmp_path_factory.mktemp("secure"), secure=True)
    files = made.channels
    made.office.run("key", "import", str(files.ours), "--name", "kenh", "--role", "tls")
    start(made.office, "--tls-cert", str(files.ours), "--client-ca", str(files.root))
    yield made
    made.close()


def test_a_message_goes_both_ways_over_tls(secure: Ring) -> None:
    """Theirs with a client certificate and no signature; ours with the certificate the second server wants."""
    by_certificate = dataclasses.replace(secure.client, signs=False)
    settled = by_certificate.send(secure.sealed(), expect=True)
    assert settled.answer.status == 201
    message_id = secure.queue(THEIRS.code, number="401")
    question = "SELECT d.state FROM dispatch d JOIN message m ON m.id = d.message WHERE m.message_id = ?"
    until("delivered over TLS", lambda: secure.ask(question, message_id) == [("delivered",)], seconds=60)


def test_who_has_a_registered_certificate_does_not_call_without_it(secure: Ring) -> None:
    """Default `mtls` where a client certificate is configured: the signature alone is not enough."""
    bare = dataclasses.replace(secure.client, tls=secure.channels.asking(None))
    assert bare.put(secure.sealed()).problem in ("unauthenticated", "forbidden")


def test_a_certificate_of_the_right_authority_and_another_node_lets_nobody_in(secure: Ring) -> None:
    foreign = dataclasses.replace(secure.client, tls=secure.channels.asking(secure.channels.server), signs=False)
    assert foreign.put(secure.sealed()).problem == "unauthenticated"


def test_who_has_none_signs_over_the_same_listener(secure: Ring) -> None:
    """Another agency of the second implementation, without a certificate of its own."""
    (sender,) = (one for one in OTHERS if one.code == "H99.11")
    signing = dataclasses.replace(secure.client_of("H99.11"), tls=secure.channels.asking(None))
    letter = dataclasses.replace(secure.letter("402"), sender=sender)
    assert signing.send(secure.sealed(letter)).answer.status == 201


OLD = ((ssl.TLSVersion.TLSv1_1, "ALL:@SECLEVEL=0"), (ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
@pytest.mark.parametrize(("version", "ciphers"), OLD)
def test_old_protocols_and_ciphers_without_forward_secrecy_are_not_spoken(
    secure: Ring, version: ssl.TLSVersion, ciphers: str
) -> None:
    """TLS 1.2 at least, ECDHE and AEAD only."""
    context = secure.channels.asking(secure.channels.client)
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_ciphers(ciphers)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        dataclasses.replace(secure.client, tls=context).put(secure.sealed(), expect=True)
