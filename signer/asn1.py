"""Structures of CMS (RFC 5652), time stamps (RFC 3161) and certificates: the only module that knows asn1crypto.

SignedData of others is read by ``signer.signeddata``, from the original octets. What cannot be read raises
``ValueError``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from asn1crypto import algos, cms, core, keys, tsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from signer import ber, der
from signer.algorithms import Scheme, scheme_for
from signer.cmsnames import DIGESTS as DIGEST_NAMES
from signer.signeddata import SignedData as SignedData
from signer.signeddata import SignerInfo as SignerInfo
from signer.signeddata import ess_certificate_ids as ess_certificate_ids
from signer.signeddata import object_identifier as object_identifier
from signer.signeddata import octet_string as octet_string
from signer.signeddata import read_signed_data as read_signed_data

if TYPE_CHECKING:
    from signer.credential import Credential

POLICY = "1.3.6.1.4.1.13762.3"
"""Policy named in the demonstration TSA's tokens; a placeholder that grants nothing."""

DIGESTS = {"sha1", "sha224", "sha256", "sha384", "sha512", "md5", "sha3_256", "sha3_384", "sha3_512"}


_STATUS = ("granted", "granted_with_mods", "rejection", "waiting", "revocation_warning", "revocation_notification")
"""Words of PKIStatus (RFC 3161, 2.4.2), by number."""


class TimeStampResp(core.Sequence):  # type: ignore[misc]  # asn1crypto has no types
    """TimeStampResp with its token optional, as RFC 3161 2.4.2 has it; in asn1crypto a refusal cannot be read."""

    _fields: ClassVar = [
        ("status", tsp.PKIStatusInfo),
        ("time_stamp_token", cms.ContentInfo, {"optional": True}),
    ]


@dataclass(frozen=True, slots=True)
class TstInfo:
    """What a time-stamping authority states: imprint of what, when, under which policy and number."""

    digest: str
    imprint: bytes
    time: datetime
    policy: str
    serial: int
    nonce: int | None


def read_tst_info(content: bytes) -> TstInfo:
    """Read the TSTInfo of a time stamp.

    Raises:
        ValueError: it is not one.
    """
    try:
        info = tsp.TSTInfo.load(content, strict=True)
        imprint, time = info["message_imprint"], info["gen_time"].native
        if not isinstance(time, datetime) or time.tzinfo is None:
            raise ValueError("damaged TSTInfo: no moment")
        return TstInfo(
            str(imprint["hash_algorithm"]["algorithm"].native),
            bytes(imprint["hashed_message"].native),
            time,
            str(info["policy"].dotted),
            int(info["serial_number"].native),
            info["nonce"].native,
        )
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"damaged TSTInfo: {type(error).__name__}") from None


def timestamp_request(digest: bytes, *, algorithm: str, nonce: int) -> bytes:
    """Return a TimeStampReq (DER) that asks for the TSA's certificate (RFC 3161, 2.4.1)."""
    return der.encode(
        der.SEQUENCE,
        der.encode_integer(1),
        der.encode(der.SEQUENCE, _digest_identifier(algorithm), der.encode(der.OCTETS, digest)),
        der.encode_integer(nonce),
        der.encode(der.BOOLEAN, b"\xff"),
    )


@lru_cache(maxsize=16)
def _digest_identifier(name: str) -> bytes:
    return bytes(algos.DigestAlgorithm({"algorithm": name}).dump())


def read_timestamp_request(data: bytes) -> tuple[str, bytes, int | None]:
    """Return hash name, digest and nonce of a TimeStampReq.

    Raises:
        ValueError: it is not one.
    """
    version, imprint, *rest = der.whole(data).parts()
    algorithm, digest = imprint.parts()
    if (version.tag, imprint.tag, algorithm.tag, digest.tag) != (der.INTEGER, der.SEQUENCE, der.SEQUENCE, der.OCTETS):
        raise ValueError("damaged TimeStampReq")
    dotted = der.identifier(algorithm.parts()[0])
    nonce = next((der.integer(part) for part in rest if part.tag == der.INTEGER), None)
    return DIGEST_NAMES.get(dotted, dotted), digest.content, nonce


def read_timestamp_response(data: bytes) -> tuple[str, bytes | None]:
    """Return the status word and the token, as it stands, of a TimeStampResp.

    Raises:
        ValueError: it is not one.
    """
    info, *tokens = ber.whole(data).expect(der.SEQUENCE).parts()
    status = info.expect(der.SEQUENCE).first().expect(der.INTEGER)
    number = int.from_bytes(status.content, signed=True)
    if len(tokens) > 1 or not 0 <= number < len(_STATUS):
        raise ValueError("damaged TimeStampResp")
    return _STATUS[number], tokens[0].expect(der.SEQUENCE).encoded if tokens else None


def timestamp_response(request: bytes, *, credential: Credential, chain: Sequence[bytes], at: datetime) -> bytes:
    """Answer a TimeStampReq as a demonstration TSA; an imprint other than SHA-256, -384, -512 is rejected.

    Raises:
        ValueError: the request cannot be read.
    """
    asked = tsp.TimeStampReq.load(request, strict=True)
    imprint = asked["message_imprint"]
    name = imprint["hash_algorithm"]["algorithm"].native
    if (
        name not in {"sha256", "sha384", "sha512"}
        or len(imprint["hashed_message"].native) != hashlib.new(name).digest_size
    ):
        rejected = {"status": "rejection", "fail_info": {"bad_alg"}}
        return bytes(TimeStampResp({"status": rejected}).dump())
    fields = {
        "version": "v1",
        "policy": POLICY,
        "message_imprint": imprint,
        "serial_number": int.from_bytes(hashlib.sha256(request + at.isoformat().encode()).digest()[:8]),
        "gen_time": at.replace(microsecond=0),
        "accuracy": {"seconds": 1},
        "ordering": False,
    }
    if asked["nonce"].native is not None:
        fields["nonce"] = asked["nonce"].native
    content = tsp.TSTInfo(fields).dump()
    token = _token(bytes(content), credential=credential, chain=chain)
    return bytes(TimeStampResp({"status": {"status": "granted"}, "time_stamp_token": token}).dump())


def _token(content: bytes, *, credential: Credential, chain: Sequence[bytes]) -> cms.ContentInfo:
    scheme = scheme_for(credential.key_type, bits=credential.bits, profile="interop")
    certificate = x509.Certificate.load(credential.certificate)
    attributes = cms.CMSAttributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [hashlib.new(scheme.digest, content).digest()]},
            {"type": "signing_certificate_v2", "values": [_ess(certificate, credential.certificate)]},
        ]
    )
    encoded = b"\x31" + attributes.dump()[1:] if attributes.dump()[0] != 0x31 else attributes.dump()
    value = credential.sign(hashlib.new(scheme.digest, encoded).digest(), scheme)
    signer = {
        "version": "v1",
        "sid": {"issuer_and_serial_number": {"issuer": certificate.issuer, "serial_number": certificate.serial_number}},
        "digest_algorithm": {"algorithm": scheme.digest},
        "signed_attrs": attributes,
        "signature_algorithm": {"algorithm": _signature_algorithm(scheme)},
        "signature": value,
    }
    ordered = sorted(chain)  # a SET OF in DER; some readers refuse unsorted ones
    signed = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": scheme.digest}],
        "encap_content_info": {"content_type": "tst_info", "content": core.ParsableOctetString(content)},
        "certificates": [x509.Certificate.load(der) for der in ordered],
        "signer_infos": [signer],
    }
    return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(signed)})


def _ess(certificate: x509.Certificate, der: bytes) -> tsp.SigningCertificateV2:
    general = x509.GeneralName(name="directory_name", value=certificate.issuer)
    identity = {
        "cert_hash": hashlib.sha256(der).digest(),
        "issuer_serial": {"issuer": [general], "serial_number": certificate.serial_number},
    }
    return tsp.SigningCertificateV2({"certs": [identity]})


def _signature_algorithm(scheme: Scheme) -> str:
    family = {"RSASSA-PKCS1-v1_5": "rsa", "ECDSA": "ecdsa"}[scheme.family]
    return f"{scheme.digest}_{family}"


def issuer_name(certificate: bytes) -> bytes:
    """Return the issuer name (DER) of a certificate (DER), as a SignerIdentifier names it."""
    return bytes(x509.Certificate.load(certificate).issuer.dump())


def names(der: bytes) -> tuple[str, str]:
    """Return subject and issuer of a certificate (DER) in a form that is equal for equal names (RFC 5280, 7.1).

    Raises:
        ValueError: the certificate cannot be read.
    """
    try:
        parsed = x509.Certificate.load(der)
        return str(parsed.subject.hashable), str(parsed.issuer.hashable)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"damaged certificate: {type(error).__name__}") from None


def certificate(der: bytes) -> x509.Certificate:
    """Return a certificate as the structure the path engine takes."""
    return x509.Certificate.load(der)


def with_negative_modulus(der: bytes, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey) -> bytes:
    """Return an RSA certificate (DER) whose modulus lacks the leading zero, signed anew: for tests only."""
    parsed = x509.Certificate.load(der)
    body = x509.TbsCertificate.load(parsed["tbs_certificate"].dump())
    size = body["subject_public_key_info"]["public_key"].parsed["modulus"].native.bit_length()
    numbers = body["subject_public_key_info"]["public_key"].parsed
    wrong = keys.RSAPublicKey({"modulus": numbers["modulus"].native - (1 << size), "public_exponent": 65537})
    body["subject_public_key_info"]["public_key"] = core.ParsableOctetBitString(wrong.dump())
    octets = body.dump(force=True)
    if isinstance(key, rsa.RSAPrivateKey):
        value = key.sign(octets, padding.PKCS1v15(), hashes.SHA256())
    else:
        value = key.sign(octets, ec.ECDSA(hashes.SHA256()))
    algorithm = parsed["signature_algorithm"]
    fields = {"tbs_certificate": body, "signature_algorithm": algorithm, "signature_value": value}
    return bytes(x509.Certificate(fields).dump())


def resigned(der: bytes, key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, *, digest: str) -> bytes:
    """Return a certificate (DER) signed anew with another digest, which libraries no longer offer: for tests only."""
    parsed = x509.Certificate.load(der)
    body = x509.TbsCertificate.load(parsed["tbs_certificate"].dump())
    family = "rsa" if isinstance(key, rsa.RSAPrivateKey) else "ecdsa"
    algorithm = {"algorithm": f"{digest}_{family}"}
    body["signature"] = algorithm
    octets = body.dump(force=True)
    hashed = hashes.SHA1() if digest == "sha1" else hashes.MD5()  # noqa: S303  # it is about their refusal
    if isinstance(key, rsa.RSAPrivateKey):
        value = key.sign(octets, padding.PKCS1v15(), hashed)
    else:
        value = key.sign(octets, ec.ECDSA(hashed))
    fields = {"tbs_certificate": body, "signature_algorithm": algorithm, "signature_value": value}
    return bytes(x509.Certificate(fields).dump())
