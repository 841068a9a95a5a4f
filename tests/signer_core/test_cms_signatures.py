"""The mathematics of CMS: one fault each, with the line it must get (signing.md 4.1, E1 to E4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from asn1crypto import algos, cms, core, tsp
from asn1crypto import x509 as asn1_x509
from hypothesis import given, settings
from hypothesis import strategies as st

from signer import asn1
from signer.algorithms import Scheme
from signer.cms import CmsCheck, check_signer
from signer.credential import Role
from signer.devfaults import with_negative_modulus
from signer.devpki import DevIdentity, DevPki, Subject
from signer.report import Code, Crypto

CONTENT = b"the signed content"
Attributes = list[dict[str, object]]


def _algorithm(scheme: Scheme) -> algos.SignedDigestAlgorithm:
    if scheme.family == "RSASSA-PSS":
        digest = algos.DigestAlgorithm({"algorithm": scheme.digest})
        mask = algos.MaskGenAlgorithm({"algorithm": "mgf1", "parameters": digest})
        salt = hashlib.new(scheme.digest).digest_size
        parameters = algos.RSASSAPSSParams({"hash_algorithm": digest, "mask_gen_algorithm": mask, "salt_length": salt})
        return algos.SignedDigestAlgorithm({"algorithm": "rsassa_pss", "parameters": parameters})
    family = "rsa" if scheme.family.startswith("RSASSA") else "ecdsa"
    return algos.SignedDigestAlgorithm({"algorithm": f"{scheme.digest}_{family}"})


def _attributes(identity: DevIdentity, content: bytes, digest: str) -> Attributes:
    ess = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(identity.certificate).digest()}]})
    return [
        {"type": "content_type", "values": ["data"]},
        {"type": "message_digest", "values": [hashlib.new(digest, content).digest()]},
        {"type": "signing_certificate_v2", "values": [ess]},
    ]


def _signed(
    identity: DevIdentity,
    scheme: Scheme,
    *,
    change: Callable[[Attributes], Attributes] = list,
    stated_digest: str | None = None,
    without_attributes: bool = False,
) -> bytes:
    """Return a detached SignedData over the content; ``change`` alters the attributes before they are signed."""
    certificate = asn1_x509.Certificate.load(identity.certificate)
    digest = stated_digest or scheme.digest
    fields: dict[str, object] = {}
    octets = CONTENT
    if not without_attributes:
        attributes = cms.CMSAttributes(change(_attributes(identity, CONTENT, digest)))
        fields["signed_attrs"] = attributes
        octets = attributes.dump()
    sid = {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    signer = {
        "version": "v1",
        "sid": {"issuer_and_serial_number": sid},
        "digest_algorithm": {"algorithm": digest},
        "signature_algorithm": _algorithm(scheme),
        "signature": identity.credential.sign(hashlib.new(scheme.digest, octets).digest(), scheme),
        **fields,
    }
    signed = {
        "version": "v1",
        "digest_algorithms": [{"algorithm": digest}],
        "encap_content_info": {"content_type": "data"},
        "certificates": [certificate],
        "signer_infos": [signer],
    }
    return bytes(cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump())


def _check(data: bytes, content: bytes | None = CONTENT, candidates: tuple[bytes, ...] | None = None) -> CmsCheck:
    signed = asn1.read_signed_data(data)
    certificates = signed.certificates if candidates is None else candidates
    return check_signer(
        signed.signers[0], content_digest=None, content=content, content_type="data", candidates=certificates
    )


def _codes(check: CmsCheck) -> list[Code]:
    return [reason.code for reason in check.reasons]


@pytest.fixture(scope="module")
def rsa(pki: DevPki) -> DevIdentity:
    """A person with an RSA key."""
    return pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type="rsa2048")


@pytest.mark.parametrize("scheme", [scheme for scheme in Scheme if scheme is not Scheme.ED25519])
@pytest.mark.parametrize("bare", [False, True], ids=["attributes", "no attributes"])
def test_every_scheme_verifies(
    person: DevIdentity,
    rsa: DevIdentity,
    scheme: Scheme,
    bare: bool,  # a case of the table
) -> None:
    """With signed attributes and without."""
    identity = rsa if scheme.value.startswith("rsa") else person
    found = _check(_signed(identity, scheme, without_attributes=bare))
    assert (found.crypto, found.certificate, found.reasons) == (Crypto.OK, identity.certificate, ())
    assert found.algorithm is not None
    assert (found.algorithm.signature, found.algorithm.digest) == (
        scheme.family,
        {"sha256": "SHA-256", "sha384": "SHA-384", "sha512": "SHA-512"}[scheme.digest],
    )
    other = _check(_signed(identity, scheme, without_attributes=bare), b"another content")
    assert other.crypto is Crypto.BAD


def _twice(kind: str) -> Callable[[Attributes], Attributes]:
    return lambda attributes: [*attributes, *(a for a in attributes if a["type"] == kind)]


def _without(kind: str) -> Callable[[Attributes], Attributes]:
    return lambda attributes: [a for a in attributes if a["type"] != kind]


def _with(kind: str, value: object) -> Callable[[Attributes], Attributes]:
    return lambda attributes: [{**a, "values": [value]} if a["type"] == kind else a for a in attributes]


@pytest.mark.parametrize(
    ("change", "codes"),
    [
        (_with("message_digest", b"\0" * 32), [Code.HASH_FAILURE]),
        (_with("content_type", "tst_info"), [Code.FORMAT_FAILURE, Code.MALFORMED]),
        (_twice("message_digest"), [Code.FORMAT_FAILURE, Code.MALFORMED]),
        (_twice("content_type"), [Code.FORMAT_FAILURE, Code.MALFORMED]),
        (_without("message_digest"), [Code.FORMAT_FAILURE, Code.MALFORMED]),
        (_without("content_type"), [Code.FORMAT_FAILURE, Code.MALFORMED]),
        (_twice("signing_certificate_v2"), [Code.FORMAT_FAILURE, Code.SIGNING_CERTIFICATE_MISMATCH]),
        (
            _with("signing_certificate_v2", tsp.SigningCertificateV2({"certs": [{"cert_hash": b"\0" * 32}]})),
            [Code.FORMAT_FAILURE, Code.SIGNING_CERTIFICATE_MISMATCH],
        ),
    ],
    ids=[
        "other digest",
        "other type",
        "digest twice",
        "type twice",
        "no digest",
        "no type",
        "reference twice",
        "reference to another certificate",
    ],
)
def test_attributes_must_be_there_once_and_true(
    person: DevIdentity, change: Callable[[Attributes], Attributes], codes: list[Code]
) -> None:
    """Signed by the right key, and wrong all the same."""
    assert _codes(_check(_signed(person, Scheme.ECDSA_SHA256, change=change))) == codes


def test_a_signature_without_reference_says_so(person: DevIdentity) -> None:
    """The certificate reference is what makes it PAdES or CAdES; without it the mathematics hold."""
    found = _check(_signed(person, Scheme.ECDSA_SHA256, change=_without("signing_certificate_v2")))
    assert (found.crypto, found.has_ess, found.reasons) == (Crypto.OK, False, ())


def test_the_digest_of_the_signer_and_of_the_scheme_agree(rsa: DevIdentity) -> None:
    """E4: two digests named are one digest used."""
    found = _check(_signed(rsa, Scheme.RSA_PKCS1_SHA256, stated_digest="sha512"))
    assert Code.FORMAT_FAILURE in _codes(found)


def test_the_key_of_another_does_not_fit(pki: DevPki, person: DevIdentity) -> None:
    """A certificate of the same issuer and number, but of another key: the value fails."""
    other = pki.issue(Role.PERSON, Subject("Lê Văn Mẫu"))
    data = _signed(person, Scheme.ECDSA_SHA256, change=_without("signing_certificate_v2"))
    assert _codes(_check(data, candidates=(other.certificate,))) == [Code.NO_SIGNING_CERTIFICATE_FOUND]
    signed = asn1.read_signed_data(data)
    swapped = replace(
        signed.signers[0], issuer=asn1.issuer_name(other.certificate), serial=other.credential.x509.serial_number
    )
    found = check_signer(
        swapped, content_digest=None, content=CONTENT, content_type="data", candidates=(other.certificate,)
    )
    assert (found.crypto, _codes(found)) == (Crypto.BAD, [Code.SIG_CRYPTO_FAILURE])


def test_absent_content_and_absent_certificate_are_unknown(person: DevIdentity) -> None:
    """Unknown is neither fine nor forged; but a wrong digest is bad even without a certificate."""
    data = _signed(person, Scheme.ECDSA_SHA256)
    absent = _check(data, content=None)
    assert (absent.crypto, _codes(absent)) == (Crypto.UNKNOWN, [Code.SIGNED_DATA_NOT_FOUND])
    anonymous = _check(data, candidates=())
    assert (anonymous.crypto, _codes(anonymous)) == (Crypto.UNKNOWN, [Code.NO_SIGNING_CERTIFICATE_FOUND])
    assert _check(data, content=b"other", candidates=()).crypto is Crypto.BAD


def test_unknown_algorithms_are_named_and_left_open(person: DevIdentity) -> None:
    """No conclusion is drawn from what cannot be computed."""
    signed = asn1.read_signed_data(_signed(person, Scheme.ECDSA_SHA256))
    for change in ({"digest": "1.2.3.4"}, {"scheme": "1.2.3.4"}, {"scheme_digest": "1.2.3.4", "digest": "1.2.3.4"}):
        info = replace(signed.signers[0], **change)  # type: ignore[arg-type]  # two names of fields
        found = check_signer(
            info, content_digest=None, content=CONTENT, content_type="data", candidates=signed.certificates
        )
        assert found.crypto is not Crypto.OK


@settings(max_examples=200, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_any_changed_bit_breaks_it_or_changes_nothing_of_weight(person: DevIdentity, place: float, bit: int) -> None:
    """Whatever still verifies has the same signer and the same signed attributes."""
    data = _signed_once(person)
    changed = bytearray(data)
    changed[int(place * len(data))] ^= 1 << bit
    try:
        found = _check(bytes(changed))
    except (ValueError, IndexError) as error:
        assert isinstance(error, ValueError), "nothing but ValueError leaves the reader"  # noqa: PT017  # the point
        return
    if found.crypto is Crypto.OK and not found.reasons:
        original = asn1.read_signed_data(data).signers[0]
        again = asn1.read_signed_data(bytes(changed)).signers[0]
        assert again.signed_attributes == original.signed_attributes
        assert found.certificate is not None


_ONCE: dict[bytes, bytes] = {}


def _signed_once(identity: DevIdentity) -> bytes:
    return _ONCE.setdefault(identity.certificate, _signed(identity, Scheme.ECDSA_SHA256))


@settings(max_examples=150, deadline=None)
@given(noise=st.binary(max_size=200), keep=st.integers(0, 1200))
def test_noise_is_no_signature(person: DevIdentity, noise: bytes, keep: int) -> None:
    """The reader answers noise with ``ValueError`` or with something that does not verify."""
    try:
        signed = asn1.read_signed_data(_signed_once(person)[:keep] + noise)
    except ValueError:
        return
    for info in signed.signers:
        found = check_signer(
            info, content_digest=None, content=CONTENT, content_type="data", candidates=signed.certificates
        )
        assert found.certificate in {None, person.certificate}


def test_a_modulus_written_as_a_negative_number_is_read_as_it_was_meant(pki: DevPki, rsa: DevIdentity) -> None:
    """E4: such certificates are in use; the mathematics hold, with a warning, and no path is built on them."""
    odd = replace(rsa, certificate=with_negative_modulus(rsa.certificate, pki.issuing))
    reference = tsp.SigningCertificateV2({"certs": [{"cert_hash": hashlib.sha256(odd.certificate).digest()}]})
    data = _signed(rsa, Scheme.RSA_PKCS1_SHA256, change=_with("signing_certificate_v2", reference))
    found = _check(data, candidates=(odd.certificate,))
    assert (found.crypto, found.certificate, found.reasons) == (Crypto.OK, odd.certificate, ())
    assert [warning.code for warning in found.warnings] == [Code.CERTIFICATE_ENCODING]
    assert found.algorithm is not None
    assert (found.algorithm.key, found.algorithm.bits) == ("RSA", 2048)
    assert _check(data, b"another content", candidates=(odd.certificate,)).crypto is Crypto.BAD


@pytest.mark.parametrize("sorted_when_signed", [True, False])
def test_attributes_out_of_order_are_tried_as_they_stand_and_in_der_order(
    person: DevIdentity,
    sorted_when_signed: bool,  # a case of the table
) -> None:
    """E1: some software signs one order and writes another; what was signed decides, with a warning."""
    signed = asn1.read_signed_data(_signed_once(person))
    info = signed.signers[0]
    assert info.signed_attributes is not None
    parts = [bytes(one.dump()) for one in cms.CMSAttributes.load(info.signed_attributes)]
    head = info.signed_attributes[: len(info.signed_attributes) - sum(map(len, parts))]
    shuffled = head + b"".join(sorted(parts, reverse=True))
    octets = info.signed_attributes if sorted_when_signed else shuffled
    value = person.credential.sign(hashlib.sha256(octets).digest(), Scheme.ECDSA_SHA256)
    found = check_signer(
        replace(info, signed_attributes=shuffled, value=value),
        content_digest=None,
        content=CONTENT,
        content_type="data",
        candidates=signed.certificates,
    )
    assert found.crypto is Crypto.OK
    assert [w.code for w in found.warnings] == ([Code.ATTRIBUTES_NOT_DER] if sorted_when_signed else [])


def test_embedded_content_is_handed_out_as_it_is() -> None:
    """SignedData with its content inside, in one piece or in several (BER), reads the same."""
    info = {"content_type": "data", "content": core.OctetString(CONTENT)}
    signed = {"version": "v1", "digest_algorithms": [], "encap_content_info": info, "signer_infos": []}
    data = cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)}).dump()
    assert asn1.read_signed_data(data).content == CONTENT
