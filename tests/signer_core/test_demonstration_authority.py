"""The demonstration authority makes what independent tools accept (signing.md 9)."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from signer.algorithms import PolicyName
from signer.chain import judge_path
from signer.credential import Role, Secret, load_pkcs12
from signer.devpki import DevIdentity, DevPki, Subject, key_pem, pem
from signer.report import Code
from signer.trust import Context, Purpose

DAY = timedelta(days=1)
KINDS = ["p256", "p384", "rsa2048", "rsa3072"]
ROLES = [
    (Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A", title="Phó Giám đốc")),
    (Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")),
    (Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")),
    (Role.REQUEST, Subject("H99.01", organization="Sở Mẫu A")),
    (Role.TLS, Subject("localhost", dns=("localhost", "127.0.0.1"))),
]


class TestSubjects:
    """Nobody can take a demonstration certificate for a real one."""

    @pytest.mark.parametrize(("role", "subject"), ROLES, ids=[role.value for role, _ in ROLES])
    def test_every_subject_says_that_it_is_a_test(self, pki: DevPki, role: Role, subject: Subject) -> None:
        for der in (pki.issue(role, subject).certificate, pki.root.certificate, pki.issuing.certificate):
            units = x509.load_der_x509_certificate(der).subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
            assert [unit.value for unit in units] == ["THỬ NGHIỆM"]

    def test_agencies_carry_their_tax_number_and_leaders_their_title(
        self, agency: DevIdentity, person: DevIdentity
    ) -> None:
        office = agency.credential.x509.subject.get_attributes_for_oid(NameOID.USER_ID)
        assert [one.value for one in office] == ["MST:0100000001"]
        title = person.credential.x509.subject.get_attributes_for_oid(NameOID.TITLE)
        assert [one.value for one in title] == ["Phó Giám đốc"]

    def test_usages_are_those_of_official_certificates(self, pki: DevPki) -> None:
        def extended(role: Role) -> set[x509.ObjectIdentifier]:
            one = pki.issue(role, Subject("Sở Mẫu A", organization="Sở Mẫu A")).credential.x509
            return set(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)

        assert ExtendedKeyUsageOID.SERVER_AUTH not in extended(Role.PERSON) | extended(Role.AGENCY)
        assert extended(Role.TLS) == {ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH}


class TestVariants:
    """Each bad certificate is like the good one, but for one fault, and is told by it."""

    @pytest.mark.parametrize(
        ("variant", "code"),
        [
            (None, None),
            ("expired", Code.OUT_OF_BOUNDS_NOT_REVOKED),
            ("not-yet-valid", Code.OUT_OF_BOUNDS_NO_POE),
            ("wrong-usage", Code.CHAIN_CONSTRAINTS_FAILURE),
            ("unknown-root", Code.NO_CERTIFICATE_CHAIN_FOUND),
            ("sha1", Code.CRYPTO_CONSTRAINTS_FAILURE),
        ],
    )
    def test_variants(self, pki: DevPki, context: Context, variant: str | None, code: Code | None) -> None:
        one = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), variant=variant)
        found = judge_path(
            one.certificate,
            purpose=Purpose.SIGNERS,
            time=context.at,
            proved=False,
            context=context,
            candidates=one.chain,
        )
        assert found.sub_indications[:1] == ((code,) if code else ())

    def test_an_unknown_variant_is_a_mistake(self, pki: DevPki) -> None:
        with pytest.raises(ValueError, match="variant"):
            pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), variant="no such")


def test_an_authority_can_be_saved_and_served_by_another_process(
    own: DevPki, clerk: DevIdentity, now: datetime
) -> None:
    """What was saved answers as before: same certificates, same revocations, same services."""
    own.revoke(clerk.certificate, at=now - DAY, reason="superseded")
    again = DevPki.load(own.save())
    assert again.root.certificate == own.root.certificate
    assert (again.base_url, again.revoked) == (own.base_url, own.revoked)
    assert [(i.certificate, i.chain) for i in (again.tsa, again.ocsp_signer)] == [
        (i.certificate, i.chain) for i in (own.tsa, own.ocsp_signer)
    ]
    fresh = again.issue(Role.PERSON, Subject("Lê Văn Mẫu"))
    context = Context(trust=own.trust(at=now), at=now, policy=PolicyName.INTEROP)
    found = judge_path(
        fresh.certificate,
        purpose=Purpose.SIGNERS,
        time=now,
        proved=False,
        context=context,
        candidates=fresh.chain,
    )
    assert found.sub_indications == ()


def test_services_without_address_name_no_source(pki: DevPki, listed: DevPki) -> None:
    """With an address the time-stamping authority is checked like everybody else; OCSP signers ask not to be."""

    def has(identity: DevIdentity, kind: type[x509.ExtensionType]) -> bool:
        return any(isinstance(one.value, kind) for one in identity.credential.x509.extensions)

    assert has(listed.tsa, x509.CRLDistributionPoints)
    assert not has(pki.tsa, x509.CRLDistributionPoints)
    assert has(pki.ocsp_signer, x509.OCSPNoCheck)
    assert not has(pki.tsa, x509.OCSPNoCheck)


@pytest.mark.tool("openssl")
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
class TestOpenssl:
    """openssl verifies chains, lists and answers, and refuses what we refuse."""

    @pytest.fixture
    def at(self) -> datetime:
        """Now: openssl judges lists by its own clock."""
        return datetime.now().astimezone().replace(microsecond=0)

    def _run(self, folder: Path, *arguments: str) -> str:
        done = subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, text=True, check=False)
        return done.stdout + done.stderr

    def _write(self, folder: Path, pki: DevPki, identity: DevIdentity, at: datetime) -> None:
        crls = [x509.load_der_x509_crl(der) for der in (pki.crl(at=at), pki.root_crl(at=at))]
        files = {
            "root.pem": pem(pki.root.certificate),
            "issuing.pem": pem(pki.issuing.certificate),
            "leaf.pem": pem(identity.certificate),
            "key.pem": key_pem(identity.key),
            "crls.pem": b"".join(crl.public_bytes(serialization.Encoding.PEM) for crl in crls),
        }
        for name, data in files.items():
            (folder / name).write_bytes(data)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("role", list(Role))
    def test_openssl_verifies_certificates_with_strict_checks_and_lists(
        self, tmp_path: Path, at: datetime, kind: str, role: Role
    ) -> None:
        pki = DevPki.create(at=at - DAY, base_url="http://127.0.0.1:9", key_type=kind)
        identity = pki.issue(role, dict(ROLES)[role], key_type=kind)
        self._write(tmp_path, pki, identity, at)
        shared = ("verify", "-x509_strict", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "-crl_check_all")
        assert "leaf.pem: OK" in self._run(tmp_path, *shared, "-CRLfile", "crls.pem", "leaf.pem")
        pki.revoke(identity.certificate, at=at)
        self._write(tmp_path, pki, identity, at)
        assert "certificate revoked" in self._run(tmp_path, *shared, "-CRLfile", "crls.pem", "leaf.pem")

    @pytest.mark.parametrize("kind", ["p256", "rsa2048"])
    def test_openssl_verifies_ocsp_answers(self, tmp_path: Path, at: datetime, kind: str) -> None:
        pki = DevPki.create(at=at - DAY, key_type=kind)
        identity = pki.issue(Role.PERSON, ROLES[0][1], key_type=kind)
        self._write(tmp_path, pki, identity, at)
        leaf, issuing = identity.credential.x509, pki.issuing.x509
        request = ocsp.OCSPRequestBuilder().add_certificate(leaf, issuing, _sha1()).build()
        (tmp_path / "answer.der").write_bytes(pki.ocsp(request.public_bytes(serialization.Encoding.DER), at=at))
        shared = ("ocsp", "-respin", "answer.der", "-CAfile", "root.pem", "-verify_other", "issuing.pem")
        said = self._run(tmp_path, *shared, "-issuer", "issuing.pem", "-cert", "leaf.pem", "-no_nonce")
        assert "Response verify OK" in said
        assert "leaf.pem: good" in said

    def test_openssl_opens_our_containers_and_we_open_those_of_openssl(self, tmp_path: Path, at: datetime) -> None:
        pki = DevPki.create(at=at - DAY)
        identity = pki.issue(Role.PERSON, ROLES[0][1])
        self._write(tmp_path, pki, identity, at)
        (tmp_path / "ours.p12").write_bytes(identity.pkcs12(b"thu-nghiem"))
        assert "MAC" in self._run(
            tmp_path, "pkcs12", "-in", "ours.p12", "-passin", "pass:thu-nghiem", "-info", "-noout"
        )
        self._run(
            tmp_path,
            *("pkcs12", "-export", "-inkey", "key.pem", "-in", "leaf.pem", "-certfile", "issuing.pem"),
            *("-out", "theirs.p12", "-passout", "pass:thu-nghiem"),
        )
        loaded = load_pkcs12(
            (tmp_path / "theirs.p12").read_bytes(), role=Role.PERSON, passphrase=lambda _: Secret(b"thu-nghiem")
        )
        assert (loaded.certificate, loaded.chain) == (identity.certificate, (pki.issuing.certificate,))


def _sha1() -> hashes.SHA1:
    """What openssl puts into CertID: an identifier, not a signature."""
    return hashes.SHA1()


def test_an_answer_for_a_stranger_s_certificate_is_refused(pki: DevPki, listed: DevPki, now: datetime) -> None:
    """The service answers only for its own authorities."""
    stranger = listed.issue(Role.PERSON, Subject("Lê Văn Mẫu"))
    request = ocsp.OCSPRequestBuilder().add_certificate(stranger.credential.x509, listed.issuing.x509, _sha1()).build()
    answer = ocsp.load_der_ocsp_response(pki.ocsp(request.public_bytes(serialization.Encoding.DER), at=now))
    assert answer.response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_two_authorities_never_share_keys(now: datetime) -> None:
    """Keys are made fresh each time."""
    one, other = DevPki.create(at=now), DevPki.create(at=now)
    assert one.root.certificate != other.root.certificate
    assert replace(one, base_url="x").root is one.root
