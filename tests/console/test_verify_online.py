"""``edoc verify --online``: what is missing is fetched, from loopback here; without the option nothing is opened."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID

from signer.credential import Credential, Role, load_credential
from signer.devpki import DevPki, Subject, pem
from signer.xml.sign import sign_xml
from tests.console.conftest import Edoc
from tests.console.schema import problems
from transport.demo.pkiserver import PkiServer

TODAY = datetime.now(UTC)
DEMO = {"EDOC_DEMO": "true"}
PEM, DER = serialization.Encoding.PEM, serialization.Encoding.DER
Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module")
def authority() -> Iterator[DevPki]:
    """An authority that answers on loopback, whose certificates name its addresses."""
    with PkiServer(clock=lambda: TODAY) as server:
        pki = DevPki.create(at=TODAY - timedelta(days=30), base_url=server.url)
        server.use(pki)
        yield pki


def test_missing_status_is_fetched_only_when_asked_for(edoc: Edoc, authority: DevPki) -> None:
    signer = authority.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (edoc.folder / "a.xml").write_bytes(sign_xml(b"<a>x</a>", credential=signer.credential, at=TODAY))
    (edoc.folder / "root.pem").write_bytes(pem(authority.root.certificate))
    line = ("verify", "a.xml", "--trust", "root.pem", "--json")
    desk = edoc.here()
    offline = desk(*line, env=DEMO)
    assert (offline.code, offline.json["network"]) == (3, "offline")
    assert offline.json["files"][0]["signatures"][0]["sub_indication"] == "TRY_LATER"
    online = desk(*line, "--online", env=DEMO)
    assert problems(online.json) == []
    assert (online.code, online.json["network"]) == (0, "online")
    statuses = online.json["files"][0]["signatures"][0]["revocation"]
    assert {(status["status"], status["source"]) for status in statuses} == {("good", "online")}
    refused = desk(*line, "--online")
    assert refused.code == 3  # loopback is private, and nobody configured it


def test_the_network_may_be_a_setting_and_offline_wins(edoc: Edoc, authority: DevPki) -> None:
    signer = authority.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
    (edoc.folder / "a.xml").write_bytes(sign_xml(b"<a>x</a>", credential=signer.credential, at=TODAY))
    (edoc.folder / "root.pem").write_bytes(pem(authority.root.certificate))
    (edoc.folder / "edoc.toml").write_text('[verify]\nnetwork = "online"\n', "utf-8")
    line = ("verify", "a.xml", "--trust", "root.pem", "--config", "edoc.toml", "--json")
    assert edoc.here()(*line, env=DEMO).code == 0
    assert edoc.here()(*line, "--offline", env=DEMO).code == 3


# --- issuers ---------------------------------------------------------------------------------------------------------


def certificate(name: str, key: Key, issuer: str, issuer_key: Key, *, url: str | None, ca: bool) -> x509.Certificate:
    """Return a certificate that may name where its issuer's can be had."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(TODAY - timedelta(days=1))
        .not_valid_after(TODAY + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca, None), critical=True)
    )
    usage = {"key_cert_sign": ca, "crl_sign": ca, "digital_signature": not ca}
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    flags = {**dict.fromkeys((*others, "encipher_only", "decipher_only"), False), **usage}
    builder = builder.add_extension(x509.KeyUsage(**flags), critical=True)
    if url:
        access = x509.AccessDescription(AuthorityInformationAccessOID.CA_ISSUERS, x509.UniformResourceIdentifier(url))
        builder = builder.add_extension(x509.AuthorityInformationAccess([access]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


@pytest.fixture
def served() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server on loopback and what it serves."""
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", files
    server.shutdown()
    thread.join()
    server.server_close()


def signer_of(leaf: x509.Certificate, key: Key) -> Credential:
    """Return a credential that brings its own certificate and no other."""
    private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return load_credential(private + leaf.public_bytes(PEM), role=Role.PERSON)


def test_an_issuer_the_signature_did_not_bring_is_fetched_and_is_no_anchor(
    edoc: Edoc, served: tuple[str, dict[str, bytes]]
) -> None:
    url, files = served
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(3)]
    root = certificate("Root", keys[0], "Root", keys[0], url=None, ca=True)
    middle = certificate("Middle", keys[1], "Root", keys[0], url=f"{url}/root.cer", ca=True)
    leaf = certificate("Nguyễn Văn Mẫu", keys[2], "Middle", keys[1], url=f"{url}/middle.cer", ca=False)
    files["/middle.cer"] = middle.public_bytes(DER)
    files["/root.cer"] = root.public_bytes(DER)
    (edoc.folder / "a.xml").write_bytes(sign_xml(b"<a>x</a>", credential=signer_of(leaf, keys[2]), at=TODAY))
    (edoc.folder / "root.pem").write_bytes(root.public_bytes(PEM))
    desk = edoc.here()
    line = ("verify", "a.xml", "--trust", "root.pem", "--json")
    assert desk(*line, env=DEMO).json["files"][0]["reasons"][0]["code"] == "NO_CERTIFICATE_CHAIN_FOUND"
    online = desk(*line, "--online", env=DEMO)
    assert (online.code, [link["anchor"] for link in online.json["files"][0]["signatures"][0]["chain"]]) == (
        0,
        [False, False, True],
    )
    (edoc.folder / "other.pem").write_bytes(pem(DevPki.create(at=TODAY - timedelta(days=1)).root.certificate))
    stranger = desk("verify", "a.xml", "--trust", "other.pem", "--json", "--online", env=DEMO)
    assert stranger.json["files"][0]["reasons"][0]["code"] == "NO_CERTIFICATE_CHAIN_FOUND"
