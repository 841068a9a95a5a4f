"""Keys: loaded once, held, used through one port, and never shown (signing.md 2)."""

from __future__ import annotations

import copy
import hashlib
import logging
import pickle
import traceback
from collections.abc import Callable
from datetime import datetime
from typing import NoReturn

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import pkcs12
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.algorithms import Scheme, scheme_for
from signer.credential import (
    Credential,
    Role,
    Secret,
    SoftwareKey,
    load_credential,
    load_pem,
    load_pkcs12,
    verify_value,
)
from signer.devpki import DevIdentity, DevPki, Subject, key_pem, new_key, pem
from signer.errors import CredentialError

MARKER = "bi-mat-danh-dau-7391"
PASSPHRASE = MARKER.encode()
DIGEST = hashlib.sha256(b"document").digest()
DER, PEM = serialization.Encoding.DER, serialization.Encoding.PEM


def _secret(_: str) -> Secret:
    return Secret(PASSPHRASE)


def _wrong(_: str) -> Secret:
    return Secret(b"wrong-" + PASSPHRASE)


def _encrypted(identity: DevIdentity) -> bytes:
    return key_pem(identity.key, PASSPHRASE) + identity.certificates_pem


@pytest.fixture(scope="module", params=["p256", "p384", "rsa2048"])
def identity(request: pytest.FixtureRequest, pki: DevPki) -> DevIdentity:
    """An identity for each kind of key."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu", organization="Sở Mẫu A"), key_type=request.param)


class TestSources:
    """PEM, DER and PKCS#12, told apart by content; the leaf is found by its key, not by its place."""

    def test_every_form_gives_the_same_credential(self, identity: DevIdentity) -> None:
        traditional = identity.key.private_bytes(
            PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
        encrypted_der = identity.key.private_bytes(
            DER, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(PASSPHRASE)
        )
        plain_der = identity.key.private_bytes(DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        certificates = (identity.certificate, *identity.chain)
        loaded = [
            load_credential(identity.pem, role=Role.PERSON),
            load_credential(_encrypted(identity), role=Role.PERSON, passphrase=_secret),
            load_credential(traditional + identity.certificates_pem, role=Role.PERSON),
            load_credential(key_pem(identity.key), role=Role.PERSON, chain=certificates),
            load_credential(plain_der, role=Role.PERSON, chain=certificates),
            load_credential(encrypted_der, role=Role.PERSON, passphrase=_secret, chain=certificates),
            load_credential(identity.pkcs12(PASSPHRASE), role=Role.PERSON, passphrase=_secret),
            load_pem(identity.pem, role=Role.PERSON),
            load_pkcs12(identity.pkcs12(PASSPHRASE), role=Role.PERSON, passphrase=_secret),
        ]
        assert {(one.certificate, one.chain, one.role) for one in loaded} == {
            (identity.certificate, identity.chain, Role.PERSON)
        }

    def test_the_leaf_is_found_wherever_it_stands(self, identity: DevIdentity) -> None:
        turned = key_pem(identity.key) + b"".join(pem(der) for der in (*identity.chain, identity.certificate))
        loaded = load_credential(turned, role=Role.AGENCY)
        assert (loaded.certificate, loaded.chain) == (identity.certificate, identity.chain)
        chain = [x509.load_der_x509_certificate(der) for der in (identity.certificate, *identity.chain)]
        container = pkcs12.serialize_key_and_certificates(
            b"x", identity.key, chain[0], chain[:0:-1], serialization.BestAvailableEncryption(PASSPHRASE)
        )
        assert load_pkcs12(container, role=Role.AGENCY, passphrase=_secret).chain == identity.chain

    def test_the_pass_phrase_is_asked_for_once_and_only_if_there_is_one(self, identity: DevIdentity) -> None:
        asked: list[str] = []

        def source(what: str) -> Secret:
            asked.append(what)
            return Secret(PASSPHRASE)

        load_credential(identity.pem, role=Role.PERSON, passphrase=source)
        assert asked == []
        load_credential(_encrypted(identity), role=Role.PERSON, passphrase=source)
        load_credential(identity.pkcs12(PASSPHRASE), role=Role.PERSON, passphrase=source)
        assert asked == ["key", "PKCS#12"]

    @pytest.mark.parametrize(
        ("make", "code"),
        [
            (lambda i: (b"not a key", None), "EDOC-KEY-001"),
            (lambda i: (b"", None), "EDOC-KEY-001"),
            (lambda i: (b"0\x82\x01\x00rubbish", None), "EDOC-KEY-001"),
            (lambda i: (i.certificates_pem, None), "EDOC-KEY-001"),
            (lambda i: (key_pem(i.key), None), "EDOC-KEY-005"),
            (lambda i: (key_pem(i.key) + b"".join(pem(der) for der in i.chain), None), "EDOC-KEY-005"),
            (lambda i: (_encrypted(i), None), "EDOC-KEY-003"),
            (lambda i: (_encrypted(i), _wrong), "EDOC-KEY-002"),
            (lambda i: (i.pkcs12(PASSPHRASE), _wrong), "EDOC-KEY-002"),
            (lambda i: (i.pkcs12(PASSPHRASE)[:-20], _secret), "EDOC-KEY-002"),
            (lambda i: (key_pem(i.key)[:-60], None), "EDOC-KEY-001"),
            (
                lambda i: (i.pem + b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", None),
                "EDOC-KEY-001",
            ),
        ],
        ids=[
            "text",
            "nothing",
            "rubbish",
            "no key",
            "no certificate",
            "certificates of others",
            "no pass phrase",
            "wrong pass phrase",
            "wrong pass phrase, container",
            "cut container",
            "cut key",
            "broken certificate",
        ],
    )
    def test_each_failure_has_its_code(
        self,
        identity: DevIdentity,
        make: Callable[[DevIdentity], tuple[bytes, Callable[[str], Secret] | None]],
        code: str,
    ) -> None:
        data, source = make(identity)
        with pytest.raises(CredentialError) as caught:
            load_credential(data, role=Role.PERSON, passphrase=source)
        assert caught.value.code == code

    @settings(max_examples=60, deadline=None)
    @given(noise=st.binary(max_size=200), prefix=st.sampled_from([b"", b"0", b"-----BEGIN PRIVATE KEY-----\n"]))
    def test_noise_is_refused_with_our_error_and_no_other(self, noise: bytes, prefix: bytes) -> None:
        with pytest.raises(CredentialError):
            load_credential(prefix + noise, role=Role.PERSON, passphrase=_secret)


class TestUse:
    """Digests in, values out, in the same order; a faulty value never leaves."""

    @pytest.mark.parametrize("profile", ["interop", "strict"])
    def test_values_verify_with_the_certificate_s_key(self, identity: DevIdentity, profile: str) -> None:
        one = identity.credential
        scheme = scheme_for(one.key_type, bits=one.bits, profile=profile)
        digest = hashlib.new(scheme.digest, b"document").digest()
        other = hashlib.new(scheme.digest, b"other").digest()
        value = one.sign(digest, scheme)
        assert verify_value(one.public_key, value, digest, scheme)
        assert not verify_value(one.public_key, value, other, scheme)
        first, second = one.port.sign([digest, other], scheme)
        assert verify_value(one.public_key, first, digest, scheme)
        assert verify_value(one.public_key, second, other, scheme)

    def test_a_faulty_value_never_leaves_the_credential(self, identity: DevIdentity) -> None:
        class Faulty:
            def sign(self, digests: object, scheme: Scheme) -> list[bytes]:
                good = identity.credential.port.sign([DIGEST], scheme)[0]
                return [good[:-1] + bytes([good[-1] ^ 1])]

        one = identity.credential
        scheme = Scheme.RSA_PKCS1_SHA256 if one.key_type == "RSA" else Scheme.ECDSA_SHA256
        with pytest.raises(CredentialError) as caught:
            Credential(identity.certificate, Role.PERSON, Faulty(), ()).sign(DIGEST, scheme)
        assert caught.value.code == "EDOC-KEY-007"

    def test_a_scheme_of_another_kind_of_key_is_refused(self, identity: DevIdentity) -> None:
        wrong = Scheme.ECDSA_SHA256 if identity.credential.key_type == "RSA" else Scheme.RSA_PSS_SHA256
        with pytest.raises(CredentialError) as caught:
            identity.credential.sign(DIGEST, wrong)
        assert caught.value.code == "EDOC-KEY-006"

    def test_a_key_is_loaded_once_and_held(self, pki: DevPki, monkeypatch: pytest.MonkeyPatch) -> None:
        identity = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type="rsa2048")
        held = load_credential(identity.pem, role=Role.PERSON)
        held.sign(DIGEST, Scheme.RSA_PKCS1_SHA256)

        def never(*_: object, **__: object) -> NoReturn:
            raise AssertionError("the key was loaded again")

        for name in ("load_pem_private_key", "load_der_private_key"):
            monkeypatch.setattr(serialization, name, never)
        monkeypatch.setattr(pkcs12, "load_pkcs12", never)
        assert len({held.sign(DIGEST, Scheme.RSA_PKCS1_SHA256) for _ in range(20)}) == 1

    @pytest.mark.parametrize(
        ("key", "bits", "profile", "scheme"),
        [
            ("RSA", 2048, "interop", Scheme.RSA_PKCS1_SHA256),
            ("RSA", 2048, "strict", Scheme.RSA_PSS_SHA256),
            ("RSA", 4096, "interop", Scheme.RSA_PKCS1_SHA384),
            ("RSA", 4096, "strict", Scheme.RSA_PSS_SHA384),
            ("EC", 256, "interop", Scheme.ECDSA_SHA256),
            ("EC", 256, "strict", Scheme.ECDSA_SHA256),
            ("EC", 384, "strict", Scheme.ECDSA_SHA384),
        ],
    )
    def test_the_scheme_follows_key_and_profile(self, key: str, bits: int, profile: str, scheme: Scheme) -> None:
        assert scheme_for(key, bits=bits, profile=profile) is scheme

    @pytest.mark.parametrize(("key", "bits"), [("RSA", 1024), ("EC", 192), ("DSA", 2048)])
    def test_weak_keys_have_no_scheme(self, key: str, bits: int) -> None:
        with pytest.raises(ValueError, match="no signature scheme"):
            scheme_for(key, bits=bits, profile="interop")


class TestSecrets:
    """A marker planted in key and pass phrase is found nowhere it could be read."""

    def test_a_secret_shows_nothing_and_is_not_compared_or_pickled(self) -> None:
        secret = Secret(PASSPHRASE)
        assert (repr(secret), str(secret), f"{secret}") == ("Secret(***)",) * 3
        with pytest.raises(TypeError):
            secret == secret  # noqa: B015  # the comparison itself is what must fail
        with pytest.raises(TypeError):
            hash(secret)
        with pytest.raises(TypeError):
            pickle.dumps(secret)
        secret.wipe()
        assert secret.reveal() == bytes(len(PASSPHRASE))

    def test_the_secret_is_wiped_after_use_also_when_it_was_wrong(self, identity: DevIdentity) -> None:
        for data in (_encrypted(identity), identity.pkcs12(PASSPHRASE)):
            for value in (PASSPHRASE, b"wrong"):
                secret = Secret(value)

                def source(_: str, given: Secret = secret) -> Secret:
                    return given

                try:
                    load_credential(data, role=Role.PERSON, passphrase=source)
                except CredentialError:
                    assert value == b"wrong"
                assert set(secret.reveal()) == {0}

    @pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
    def test_credentials_and_keys_cannot_be_pickled_or_copied(self, identity: DevIdentity, protocol: int) -> None:
        for thing in (identity.credential, identity.credential.port):
            with pytest.raises(TypeError):
                pickle.dumps(thing, protocol)
            with pytest.raises(TypeError):
                copy.deepcopy(thing)

    def test_repr_shows_subject_and_serial_only(self, identity: DevIdentity) -> None:
        shown = repr(identity.credential)
        assert shown.startswith("Credential('CN=Trần Thị Mẫu")
        assert f"serial={identity.credential.x509.serial_number:X}" in shown
        assert repr(identity.credential.port) == "SoftwareKey(***)"
        assert "key" not in repr(identity)

    @pytest.mark.parametrize("load", [load_credential, load_pem, load_pkcs12])
    def test_no_traceback_of_ours_shows_key_or_pass_phrase(
        self, identity: DevIdentity, load: Callable[..., Credential], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        body = key_pem(identity.key)
        secrets = [MARKER, body.split(b"\n")[1].decode(), identity.key.private_bytes(*_PLAIN).hex()]
        attempts: list[tuple[bytes, Callable[[str], Secret] | None]] = [
            (body, None),
            (body + b"".join(pem(der) for der in identity.chain), _secret),
            (body.replace(b"-----END", b"!----END"), _secret),
            (_encrypted(identity), _wrong),
            (_encrypted(identity), None),
            (identity.pkcs12(PASSPHRASE), _wrong),
            (key_pem(identity.key, PASSPHRASE), _secret),
        ]
        for data, source in attempts:
            try:
                load(data, role=Role.PERSON, passphrase=source)
            except CredentialError as error:
                shown = _shown(error)
            else:
                pytest.fail("the attempt should have failed")
            assert not [secret for secret in secrets if secret in shown]
        assert MARKER not in caplog.text

    def test_a_failing_signature_shows_nothing_either(self, identity: DevIdentity) -> None:
        wrong = Scheme.ECDSA_SHA256 if identity.credential.key_type == "RSA" else Scheme.RSA_PSS_SHA256
        with pytest.raises(CredentialError) as caught:
            identity.credential.sign(DIGEST, wrong)
        assert key_pem(identity.key).split(b"\n")[1].decode() not in _shown(caught.value)

    def test_nothing_exports_a_private_key(self, identity: DevIdentity) -> None:
        offered = {name for name in dir(identity.credential) if not name.startswith("_")}
        assert offered == {
            *("bits", "certificate", "chain", "key_type", "port", "schemes", "serves"),
            *("public_key", "role", "sha256", "sign", "sign_many", "threads", "x509"),
        }
        assert {name for name in dir(SoftwareKey) if not name.startswith("_")} == {"sign"}
        assert not hasattr(identity.credential.port, "__dict__")


_PLAIN = (DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _shown(error: BaseException) -> str:
    """Everything a diligent reporter would print: message, facts, causes, and locals of all frames of the product."""
    parts = [repr(error), str(error), repr(getattr(error, "facts", None))]
    seen: BaseException | None = error
    while seen is not None:
        told = traceback.TracebackException.from_exception(seen, capture_locals=True)
        frames = [frame for frame in told.stack if "/tests/" not in frame.filename]
        assert frames or seen is not error
        parts += [f"{frame.name} {frame.locals}" for frame in frames] + [str(told)]
        seen = seen.__cause__ or seen.__context__
    return "\n".join(parts)


def test_an_unsupported_kind_of_key_is_named(pki: DevPki, now: datetime) -> None:
    """An Ed25519 document key is loaded only if a certificate fits, and does not sign documents."""
    key = ed25519.Ed25519PrivateKey.generate()
    data = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    with pytest.raises(CredentialError) as caught:
        load_credential(data, role=Role.PERSON, chain=[pki.root.certificate])
    assert caught.value.code == "EDOC-KEY-005"
    assert new_key("p384").key_size == 384
