"""The core of XML-DSig: algorithms by identifier, base64, keys of certificates (signing.md 5.2; RFC 9231).

The lists are closed: an identifier that is not in them is unsupported, never guessed. Old digests are computed, so that
integrity is known; whether they are accepted is the policy's business. HMAC is not in the list: a public key is never
a secret (W9).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace

from lxml import etree

from signer import certificates
from signer.algorithms import Scheme
from signer.cms import DIGEST_NAMES
from signer.xml.values import Method as Method
from signer.xml.values import ValueCheck as ValueCheck
from signer.xml.values import check_value as check_value
from signer.xml.values import digest_bytes as digest_bytes
from signer.xml.values import raw_value as raw_value

DS = "http://www.w3.org/2000/09/xmldsig#"
MORE = "http://www.w3.org/2001/04/xmldsig-more#"
MORE_2007 = "http://www.w3.org/2007/05/xmldsig-more#"
MORE_2021 = "http://www.w3.org/2021/04/xmldsig-more#"
ENC = "http://www.w3.org/2001/04/xmlenc#"
DS11 = "http://www.w3.org/2009/xmldsig11#"
PSS = MORE_2007 + "rsa-pss"
HMAC_BITS_MIN = 80

ENVELOPED = DS + "enveloped-signature"
BASE64 = DS + "base64"
OBJECT_TYPE = DS + "Object"
MANIFEST_TYPE = DS + "Manifest"

DIGESTS: Mapping[str, str] = {
    MORE + "md5": "md5",
    DS + "sha1": "sha1",
    MORE + "sha224": "sha224",
    ENC + "sha256": "sha256",
    MORE + "sha384": "sha384",
    ENC + "sha512": "sha512",
    ENC + "ripemd160": "ripemd160",
    MORE_2007 + "sha3-224": "sha3_224",
    MORE_2007 + "sha3-256": "sha3_256",
    MORE_2007 + "sha3-384": "sha3_384",
    MORE_2007 + "sha3-512": "sha3_512",
}
"""Digest identifiers and their names in ``hashlib``."""

DIGEST_URIS: Mapping[str, str] = {name: uri for uri, name in DIGESTS.items()}


def _methods() -> dict[str, Method]:
    found = {
        DS + "rsa-sha1": Method("rsassa_pkcs1v15", "sha1"),
        DS + "dsa-sha1": Method("dsa", "sha1"),
        DS + "hmac-sha1": Method("hmac", "sha1"),
        DS11 + "dsa-sha256": Method("dsa", "sha256"),
        MORE_2007 + "ecdsa-ripemd160": Method("ecdsa", "ripemd160"),
        MORE_2021 + "eddsa-ed25519": Method("ed25519", "sha512"),
        MORE_2021 + "eddsa-ed448": Method("ed448", "sha512"),
    }
    for name in ("md5", "ripemd160", "sha1", "sha224", "sha256", "sha384", "sha512"):
        found[MORE_2007 + name + "-rsa-MGF1"] = Method("rsassa_pss", name)
        if name not in {"md5", "ripemd160"}:
            found[MORE + "ecdsa-" + name] = Method("ecdsa", name)
        if name != "sha1":
            found[MORE + "rsa-" + name] = Method("rsassa_pkcs1v15", name)
            found[MORE + "hmac-" + name] = Method("hmac", name)
    for name in ("sha3_224", "sha3_256", "sha3_384", "sha3_512"):
        uri = name.replace("_", "-")
        found[MORE_2021 + "ecdsa-" + uri] = Method("ecdsa", name)
        found[MORE_2007 + uri + "-rsa-MGF1"] = Method("rsassa_pss", name)
    return found


METHODS: Mapping[str, Method] = _methods()
"""Signature identifiers that can be computed. RSASSA-PSS with parameters is read by ``method_of``."""

_SCHEME_URIS: Mapping[Scheme, str] = {
    Scheme.RSA_PKCS1_SHA256: MORE + "rsa-sha256",
    Scheme.RSA_PKCS1_SHA384: MORE + "rsa-sha384",
    Scheme.RSA_PKCS1_SHA512: MORE + "rsa-sha512",
    Scheme.RSA_PSS_SHA256: MORE_2007 + "sha256-rsa-MGF1",
    Scheme.RSA_PSS_SHA384: MORE_2007 + "sha384-rsa-MGF1",
    Scheme.RSA_PSS_SHA512: MORE_2007 + "sha512-rsa-MGF1",
    Scheme.ECDSA_SHA256: MORE + "ecdsa-sha256",
    Scheme.ECDSA_SHA384: MORE + "ecdsa-sha384",
    Scheme.ECDSA_SHA512: MORE + "ecdsa-sha512",
}

_NUMBER = re.compile(r"[0-9]{1,5}")
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def method_uri(scheme: Scheme) -> str:
    """Return the identifier of a scheme we write.

    Raises:
        ValueError: XML signatures are not written with it.
    """
    if scheme not in _SCHEME_URIS:
        raise ValueError(f"XML signatures are not written with {scheme.value}")
    return _SCHEME_URIS[scheme]


def encode(data: bytes) -> str:
    """Return base64 in one line."""
    return base64.b64encode(data).decode("ascii")


def decode(text: str) -> bytes:
    """Decode base64 with white space in it.

    Raises:
        ValueError: not base64.
    """
    joined = "".join(text.split())
    if not _BASE64.fullmatch(joined):
        raise ValueError("not base64")
    try:
        return base64.b64decode(joined, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def decode_exact(text: str) -> bytes:
    """Decode base64 that is written in the one way we write it: one line, unused bits zero.

    Raises:
        ValueError: not base64, or written differently.
    """
    try:
        data = binascii.a2b_base64(text)  # whatever it passes over is missing when it is written again
    except ValueError:
        data = b""
    if encode(data) == text:
        return data
    data = decode(text)
    if encode(data) != text:
        raise ValueError("base64 not in its exact form")
    return data


def public_key(certificate: bytes) -> object | None:
    """Return a certificate's public key, or ``None`` if certificate or key cannot be read."""
    try:
        return certificates.public_key(certificate)[0]
    except ValueError:
        return None


def method_of(element: etree._Element) -> Method:
    """Read a ``ds:SignatureMethod`` with its parameters.

    Raises:
        KeyError: an algorithm or parameter outside the list; the argument names it.
        ValueError: a parameter that breaks the signature, such as an HMAC cut too short.
    """
    uri = element.get("Algorithm", "")
    children = [str(child.tag) for child in element.iterchildren(etree.Element)]
    if uri == PSS:
        return _pss(element)
    if uri not in METHODS:
        raise KeyError(uri)
    method = METHODS[uri]
    if not children:
        return method
    if method.scheme != "hmac" or children != [f"{{{DS}}}HMACOutputLength"]:
        raise KeyError(f"{uri} with {children[0]}")
    return replace(method, output_bits=_output_bits(element, method))


def _output_bits(element: etree._Element, method: Method) -> int:
    """Return the length a shortened HMAC has: a whole number of octets, half the digest and 80 bits at least."""
    text = (element.findtext(f"{{{DS}}}HMACOutputLength") or "").strip()
    size = 8 * hashlib.new(method.digest, usedforsecurity=False).digest_size
    if not _NUMBER.fullmatch(text) or not max(size // 2, HMAC_BITS_MIN) <= int(text) <= size or int(text) % 8:
        raise ValueError("HMACOutputLength")
    return int(text)


def _pss(element: etree._Element) -> Method:
    """Read RSASSA-PSS with parameters (RFC 9231, 2.3.9); what is left out is SHA-256, MGF1 with it, its length."""
    given = element.find(f"{{{MORE_2007}}}RSAPSSParams")
    if given is None:
        return Method("rsassa_pss", "sha256")
    digest = _named_digest(given, "sha256")
    function = given.find(f"{{{MORE_2007}}}MaskGenerationFunction")
    mask = digest
    if function is not None:
        if function.get("Algorithm") != MORE_2007 + "MGF1":
            raise KeyError(function.get("Algorithm", ""))
        mask = _named_digest(function, "sha256")
    salt = (given.findtext(f"{{{MORE_2007}}}SaltLength") or "").strip()
    trailer = (given.findtext(f"{{{MORE_2007}}}TrailerField") or "1").strip()
    if trailer != "1":
        raise KeyError(f"TrailerField {trailer}")
    if salt and not _NUMBER.fullmatch(salt):
        raise ValueError("SaltLength")
    return Method("rsassa_pss", digest, mask=mask, salt=int(salt) if salt else None)


def _named_digest(element: etree._Element, default: str) -> str:
    method = element.find(f"{{{DS}}}DigestMethod")
    if method is None:
        return default
    uri = method.get("Algorithm", "")
    if uri not in DIGESTS:
        raise KeyError(uri)
    return DIGESTS[uri]


def digest_label(name: str) -> str:
    """Return a digest's name as reports write it."""
    return DIGEST_NAMES.get(name, name)
