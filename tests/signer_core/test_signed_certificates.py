"""Certificates signed with every scheme that is accepted: the path is computed, and passes where the table says so."""

from __future__ import annotations

from datetime import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, mldsa, padding, rsa

from signer import der
from signer.algorithms import PolicyName
from signer.chain import validate_path
from signer.report import Code
from signer.trust import Purpose, anchored
from tests.signer_core.path_house import DAY

STRICT, INTEROP = PolicyName.STRICT, PolicyName.INTEROP
PSS = padding.PSS(padding.MGF1(hashes.SHA256()), 32)
Key = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
    | mldsa.MLDSA44PrivateKey
    | mldsa.MLDSA65PrivateKey
    | mldsa.MLDSA87PrivateKey
)


def _named(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def _builder(subject: str, key: Key, now: datetime, *, ca: bool) -> x509.CertificateBuilder:
    builder = x509.CertificateBuilder().subject_name(_named(subject)).issuer_name(_named("Gốc THỬ NGHIỆM"))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - DAY).not_valid_after(now + DAY)
    return builder.add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)


def _pair(key: Key, now: datetime, *, pss: bool = False, hash: hashes.SHA256 | None = None) -> tuple[bytes, bytes]:
    """Return a root with this key and a person's certificate it signed."""
    how = PSS if pss else None
    root = _builder("Gốc THỬ NGHIỆM", key, now, ca=True).sign(key, hash, rsa_padding=how)
    person = _builder("Trần Thị Mẫu", ec.generate_private_key(ec.SECP256R1()), now, ca=False)
    encoded = serialization.Encoding.DER
    return root.public_bytes(encoded), person.sign(key, hash, rsa_padding=how).public_bytes(encoded)


def _codes(root: bytes, person: bytes, now: datetime, *, policy: PolicyName = INTEROP) -> tuple[Code, ...]:
    found = validate_path(person, trust=anchored([root], Purpose.SIGNERS), at=now, policy=policy)
    return tuple(code for code in found.sub_indications if code is not Code.TRY_LATER)


@pytest.mark.parametrize(
    "curve",
    [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1(), ec.BrainpoolP256R1(), ec.SECP256K1()],
    ids=lambda c: c.name,
)
def test_prime_curves_pass_under_both_policies(now: datetime, curve: ec.EllipticCurve) -> None:
    root, person = _pair(ec.generate_private_key(curve), now, hash=hashes.SHA256())
    assert (_codes(root, person, now), _codes(root, person, now, policy=STRICT)) == ((), ())


@pytest.mark.parametrize(
    "make",
    [
        ed25519.Ed25519PrivateKey.generate,
        ed448.Ed448PrivateKey.generate,
        mldsa.MLDSA44PrivateKey.generate,
        mldsa.MLDSA65PrivateKey.generate,
        mldsa.MLDSA87PrivateKey.generate,
    ],
    ids=["Ed25519", "Ed448", "ML-DSA-44", "ML-DSA-65", "ML-DSA-87"],
)
def test_schemes_that_hash_by_themselves_pass_where_annex_one_is_not_asked_for(now: datetime, make: object) -> None:
    assert callable(make)
    root, person = _pair(make(), now)
    assert _codes(root, person, now) == ()
    assert _codes(root, person, now, policy=STRICT) == (Code.CRYPTO_CONSTRAINTS_FAILURE,)
    changed = person[:-1] + bytes((person[-1] ^ 1,))
    assert _codes(root, changed, now) == (Code.NO_CERTIFICATE_CHAIN_FOUND,)


@pytest.mark.parametrize(("number", "digest"), [(15, hashes.SHA512_224()), (16, hashes.SHA512_256())])
def test_rsa_with_short_sha_512_passes(now: datetime, number: int, digest: hashes.HashAlgorithm) -> None:
    key = rsa.generate_private_key(65537, 2048)
    root, person = _pair(key, now, hash=hashes.SHA256())
    body = [one.encoded for one in der.whole(person).parts()[0].parts()]
    body[2] = der.encode(der.SEQUENCE, der.encode_identifier(f"1.2.840.113549.1.1.{number}"), der.encode(der.NULL))
    signed = der.encode(der.SEQUENCE, *body)
    value = der.encode_bits(key.sign(signed, padding.PKCS1v15(), digest))
    assert _codes(root, der.encode(der.SEQUENCE, signed, body[2], value), now) == ()


def test_pss_passes_and_old_padding_is_a_finding_under_strict(now: datetime) -> None:
    key = rsa.generate_private_key(65537, 2048)
    for pss, strict in ((True, ()), (False, (Code.CRYPTO_CONSTRAINTS_FAILURE,))):
        root, person = _pair(key, now, pss=pss, hash=hashes.SHA256())
        assert (_codes(root, person, now), _codes(root, person, now, policy=STRICT)) == ((), strict)
