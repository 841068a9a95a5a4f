"""Object identifiers of CMS and their names in this package (RFC 5652, 3370, 5754, 8419, 8692; EN 319 122-1; RFC 3161).

What is not in a table bears its dotted form: it is listed and left open, never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping

DATA, SIGNED_DATA = "1.2.840.113549.1.7.1", "1.2.840.113549.1.7.2"
TST_INFO, STAMPED_DATA = "1.2.840.113549.1.9.16.1.4", "1.2.840.113549.1.9.16.1.31"
_PKCS7, _CT = "1.2.840.113549.1.7.", "1.2.840.113549.1.9.16.1."
CONTENT_TYPES: Mapping[str, str] = {
    DATA: "data",
    SIGNED_DATA: "signed_data",
    _PKCS7 + "3": "enveloped_data",
    _PKCS7 + "4": "signed_and_enveloped_data",
    _PKCS7 + "5": "digested_data",
    _PKCS7 + "6": "encrypted_data",
    _CT + "2": "authenticated_data",
    TST_INFO: "tst_info",
    _CT + "9": "compressed_data",
    _CT + "23": "authenticated_enveloped_data",
    STAMPED_DATA: "timestamped_data",
}

_PKCS9, _AA = "1.2.840.113549.1.9.", "1.2.840.113549.1.9.16.2."
ATTRIBUTES: Mapping[str, str] = {
    _PKCS9 + "3": "content_type",
    _PKCS9 + "4": "message_digest",
    _PKCS9 + "5": "signing_time",
    _PKCS9 + "6": "counter_signature",
    _PKCS9 + "52": "cms_algorithm_protection",
    _AA + "4": "content_hint",
    _AA + "10": "content_reference",
    _AA + "12": "signing_certificate",
    _AA + "14": "signature_time_stamp_token",
    _AA + "15": "signature_policy_identifier",
    _AA + "16": "commitment_type",
    _AA + "17": "signer_location",
    _AA + "18": "signer_attributes",
    _AA + "20": "content_time_stamp",
    _AA + "21": "certificate_references",
    _AA + "22": "revocation_references",
    _AA + "23": "certificate_values",
    _AA + "24": "revocation_values",
    _AA + "25": "esc_time_stamp",
    _AA + "26": "references_time_stamp",
    _AA + "27": "archive_time_stamp_v1",
    _AA + "47": "signing_certificate_v2",
    _AA + "48": "archive_time_stamp_v2",
    _AA + "49": "internal_evidence_record",
    _AA + "50": "external_evidence_record",
    "0.4.0.1733.2.4": "archive_time_stamp_v3",
    "0.4.0.1733.2.5": "ats_hash_index",
    "0.4.0.19122.1.4": "ats_hash_index_v2",
    "0.4.0.19122.1.5": "ats_hash_index_v3",
    "0.4.0.1733.2.1": "mime_type",
    "0.4.0.1733.2.2": "long_term_validation",
    "1.2.840.113583.1.1.8": "adobe_revocation_values",
}

_NIST = "2.16.840.1.101.3.4.2."
DIGESTS: Mapping[str, str] = {
    "1.2.840.113549.2.2": "md2",
    "1.2.840.113549.2.5": "md5",
    "1.3.14.3.2.26": "sha1",
    "1.3.36.3.2.1": "ripemd160",
    _NIST + "4": "sha224",
    _NIST + "1": "sha256",
    _NIST + "2": "sha384",
    _NIST + "3": "sha512",
    _NIST + "5": "sha512_224",
    _NIST + "6": "sha512_256",
    _NIST + "7": "sha3_224",
    _NIST + "8": "sha3_256",
    _NIST + "9": "sha3_384",
    _NIST + "10": "sha3_512",
    _NIST + "11": "shake128",
    _NIST + "12": "shake256",
    _NIST + "18": "shake256_len",
}

PSS, MGF1 = "1.2.840.113549.1.1.10", "1.2.840.113549.1.1.8"
_RSA, _ECDSA, _SIGNATURES = "1.2.840.113549.1.1.", "1.2.840.10045.4.", "2.16.840.1.101.3.4.3."
_PLAIN = "0.4.0.127.0.7.1.1.4.1."
SCHEMES: Mapping[str, tuple[str, str | None]] = {
    _RSA + "4": ("rsassa_pkcs1v15", "md5"),
    _RSA + "5": ("rsassa_pkcs1v15", "sha1"),
    "1.3.14.3.2.29": ("rsassa_pkcs1v15", "sha1"),
    _RSA + "14": ("rsassa_pkcs1v15", "sha224"),
    _RSA + "11": ("rsassa_pkcs1v15", "sha256"),
    _RSA + "12": ("rsassa_pkcs1v15", "sha384"),
    _RSA + "13": ("rsassa_pkcs1v15", "sha512"),
    _RSA + "15": ("rsassa_pkcs1v15", "sha512_224"),
    _RSA + "16": ("rsassa_pkcs1v15", "sha512_256"),
    _SIGNATURES + "14": ("rsassa_pkcs1v15", "sha3_256"),
    _SIGNATURES + "15": ("rsassa_pkcs1v15", "sha3_384"),
    _SIGNATURES + "16": ("rsassa_pkcs1v15", "sha3_512"),
    _ECDSA + "1": ("ecdsa", "sha1"),
    _ECDSA + "3.1": ("ecdsa", "sha224"),
    _ECDSA + "3.2": ("ecdsa", "sha256"),
    _ECDSA + "3.3": ("ecdsa", "sha384"),
    _ECDSA + "3.4": ("ecdsa", "sha512"),
    _SIGNATURES + "10": ("ecdsa", "sha3_256"),
    _SIGNATURES + "11": ("ecdsa", "sha3_384"),
    _SIGNATURES + "12": ("ecdsa", "sha3_512"),
    "1.2.840.10040.4.3": ("dsa", "sha1"),
    _SIGNATURES + "1": ("dsa", "sha224"),
    _SIGNATURES + "2": ("dsa", "sha256"),
    _SIGNATURES + "3": ("dsa", "sha384"),
    _SIGNATURES + "4": ("dsa", "sha512"),
    # the key alone is named, or a digest where a scheme should stand: the SignerInfo says which digest
    "1.2.840.113549.1.1.1": ("rsassa_pkcs1v15", None),
    "1.2.840.10045.2.1": ("ecdsa", None),
    "1.2.840.10040.4.1": ("dsa", None),
    "1.3.14.3.2.12": ("dsa", None),
    "1.3.14.3.2.27": ("dsa", "sha1"),
    "1.3.14.3.2.15": ("rsassa_pkcs1v15", "sha1"),
    "1.3.36.3.3.1.2": ("rsassa_pkcs1v15", "ripemd160"),
    _SIGNATURES + "5": ("dsa", "sha3_224"),
    _SIGNATURES + "6": ("dsa", "sha3_256"),
    _SIGNATURES + "7": ("dsa", "sha3_384"),
    _SIGNATURES + "8": ("dsa", "sha3_512"),
    _SIGNATURES + "9": ("ecdsa", "sha3_224"),
    _SIGNATURES + "13": ("rsassa_pkcs1v15", "sha3_224"),
    _SIGNATURES + "17": ("mldsa44", None),
    _SIGNATURES + "18": ("mldsa65", None),
    _SIGNATURES + "19": ("mldsa87", None),
    "1.3.101.112": ("ed25519", None),
    "1.3.101.113": ("ed448", None),
    # r and s side by side (BSI TR-03111, 5.2.1)
    _PLAIN + "1": ("ecdsa_plain", "sha1"),
    _PLAIN + "2": ("ecdsa_plain", "sha224"),
    _PLAIN + "3": ("ecdsa_plain", "sha256"),
    _PLAIN + "4": ("ecdsa_plain", "sha384"),
    _PLAIN + "5": ("ecdsa_plain", "sha512"),
    _PLAIN + "6": ("ecdsa_plain", "ripemd160"),
    _PLAIN + "8": ("ecdsa_plain", "sha3_224"),
    _PLAIN + "9": ("ecdsa_plain", "sha3_256"),
    _PLAIN + "10": ("ecdsa_plain", "sha3_384"),
    _PLAIN + "11": ("ecdsa_plain", "sha3_512"),
}
"""Signature algorithms: the scheme, and the digest it names, if it does."""

OCSP_RESPONSE, OCSP_BASIC = "1.3.6.1.5.5.7.16.2", "1.3.6.1.5.5.7.48.1.1"
"""Formats of OtherRevocationInfo (RFC 5940): a whole answer; some writers put a basic one there."""
