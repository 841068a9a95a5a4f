"""Is a certificate revoked, by the CRLs and OCSP answers at hand? (signing.md 7.1, RFC 5280 6.3, RFC 6960)

An answer counts only if it is signed by the certificate's own issuer, or for OCSP by that issuer's direct delegate
with ``id-kp-OCSPSigning``; indirect, delta and reason-limited lists, and lists with an unknown critical extension, are
not used. An answer serves the moment T if it was issued at or after T, or if T lies between its issue and
``next_update`` plus a day. One issued after a certificate's end counts as *good* only if it says that it keeps expired
certificates (archive cutoff, expiredCertsOnCRL): others forget a revocation soon after that end (RFC 5280 3.3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, ObjectIdentifier

from signer import certificates
from signer.cms import algorithm_of
from signer.report import Algorithm

CRL_MAX_BYTES = 64 * 2**20
"""Largest revocation list that is read."""

EXPIRED_CERTS_ON_CRL = ObjectIdentifier("2.5.29.60")
ARCHIVE_CUTOFF = ObjectIdentifier("1.3.6.1.5.5.7.48.1.6")

GRACE = timedelta(hours=24)
"""How long after ``next_update`` an answer still serves (``revocation_grace``); none under the policy *strict*."""

SKEW = timedelta(minutes=5)
"""How far ahead of the moment of judgement an answer may have been issued: clocks differ."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What one CRL or OCSP answer says about one certificate."""

    method: str  # crl, ocsp
    data: bytes  # DER, for evidence
    this_update: datetime
    next_update: datetime | None
    revoked_at: datetime | None
    reason: str | None
    algorithms: tuple[Algorithm, ...]  # what the answer, and its delegate's certificate, are signed with
    unknown: bool = False
    keeps_from: datetime | None = None  # certificates that ended at or after this moment are still told of

    def serves(self, moment: datetime, *, grace: timedelta) -> bool:
        """Tell whether the answer speaks about that moment."""
        if self.this_update >= moment:
            return True
        return self.next_update is not None and moment - grace <= self.next_update

    def still_tells(self, not_after: datetime) -> bool:
        """Tell whether the answer still speaks about a certificate that ended at ``not_after``."""
        return self.this_update <= not_after or (self.keeps_from is not None and self.keeps_from <= not_after)


def answers(
    certificate: x509.Certificate, issuer: x509.Certificate, *, crls: Iterable[bytes], ocsps: Iterable[bytes]
) -> list[Answer]:
    """Return what the usable answers say about the certificate, OCSP first, each group newest first."""
    lists = [data for data in crls if len(data) <= CRL_MAX_BYTES]
    from_ocsp = [a for data in ocsps if (a := _from_ocsp(data, certificate, issuer, lists))]
    from_crl = [a for data in lists if (a := _from_crl(data, certificate, issuer))]
    newest = sorted(from_ocsp, key=_issued, reverse=True)
    return newest + sorted(from_crl, key=_issued, reverse=True)


def _issued(answer: Answer) -> datetime:
    return answer.this_update


@lru_cache(maxsize=16)
def _load_crl(data: bytes) -> x509.CertificateRevocationList | None:
    try:
        return certificates.crl(data)
    except ValueError:
        return None


def _from_crl(data: bytes, certificate: x509.Certificate, issuer: x509.Certificate) -> Answer | None:
    crl = _load_crl(data)
    if crl is None or crl.issuer != certificate.issuer or issuer.subject != certificate.issuer:
        return None
    if not _may_sign_crls(issuer) or not _in_scope(crl, certificate):
        return None
    try:
        if not crl.is_signature_valid(issuer.public_key()):  # type: ignore[arg-type]  # other key types raise
            return None
        entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
        moment, reason = _entry(entry) if entry is not None else (None, None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        return None
    if reason == x509.ReasonFlags.remove_from_crl.value:
        return None  # belongs into a delta list alone
    algorithms = (algorithm_of(crl, issuer.public_key()),)
    times = (crl.last_update_utc, crl.next_update_utc, moment)
    return Answer("crl", data, *times, reason, algorithms, keeps_from=_moment_in(crl.extensions, EXPIRED_CERTS_ON_CRL))


def _moment_in(extensions: x509.Extensions, oid: ObjectIdentifier) -> datetime | None:
    """Return the GeneralizedTime that an extension holds, if it is there and readable."""
    try:
        value = extensions.get_extension_for_oid(oid).value
        if isinstance(value, x509.UnrecognizedExtension) and value.value[:2] == b"\x18\x0f":
            return datetime.strptime(value.value[2:].decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
    except (x509.ExtensionNotFound, ValueError):
        pass
    return None


def _entry(entry: x509.RevokedCertificate) -> tuple[datetime, str]:
    """Return the moment from which a certificate counts as revoked, and why."""
    moment, reason = entry.revocation_date_utc, x509.ReasonFlags.unspecified
    for extension in entry.extensions:
        if isinstance(extension.value, x509.CRLReason):
            reason = extension.value.reason
        elif isinstance(extension.value, x509.InvalidityDate):
            moment = min(moment, extension.value.invalidity_date_utc)
        elif extension.critical:
            break  # an entry not understood in full still revokes, from the date given
    if reason is not x509.ReasonFlags.key_compromise:
        moment = entry.revocation_date_utc
    return moment, reason.value


def _may_sign_crls(issuer: x509.Certificate) -> bool:
    try:
        return issuer.extensions.get_extension_for_class(x509.KeyUsage).value.crl_sign
    except x509.ExtensionNotFound:
        return True
    except ValueError:
        return False


def _in_scope(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> bool:
    """Tell whether the list is complete for this certificate; what is not understood is out of scope."""
    try:
        extensions = list(crl.extensions)
    except ValueError:
        return False
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.IssuingDistributionPoint):
            partial = value.indirect_crl or value.only_contains_attribute_certs or value.only_some_reasons
            if partial or value.only_contains_ca_certs != (value.only_contains_ca_certs and _is_ca(certificate)):
                return False
            if (value.only_contains_user_certs and _is_ca(certificate)) or not _same_point(value, certificate):
                return False
        elif isinstance(value, x509.DeltaCRLIndicator) or extension.critical:
            return False
    return True


def _same_point(scope: x509.IssuingDistributionPoint, certificate: x509.Certificate) -> bool:
    """A list for one distribution point serves only certificates that name this point."""
    if not scope.full_name:
        return scope.relative_name is None
    return any(name in scope.full_name for point in _points(certificate) for name in point.full_name or ())


def _points(certificate: x509.Certificate) -> Sequence[x509.DistributionPoint]:
    try:
        return list(certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value)
    except (x509.ExtensionNotFound, ValueError):
        return []


def _is_ca(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except (x509.ExtensionNotFound, ValueError):
        return False


def _from_ocsp(
    data: bytes, certificate: x509.Certificate, issuer: x509.Certificate, crls: Sequence[bytes]
) -> Answer | None:
    try:
        response = certificates.ocsp_response(data)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        responder = _responder(response, issuer)
        if responder is None or not _signed_by(response, responder) or not _understood(response):
            return None
        if responder is not issuer and _is_withdrawn(responder, issuer, crls):
            return None
        algorithms = [algorithm_of(response, responder.public_key())]
        if responder is not issuer:
            algorithms.append(algorithm_of(responder, issuer.public_key()))
        singles = list(response.responses)
        keeps = _moment_in(response.single_extensions, ARCHIVE_CUTOFF) if len(singles) == 1 else None
        found = next((single for single in singles if _is_about(single, certificate, issuer)), None)
        return _ocsp_answer(data, found, tuple(algorithms), keeps) if found else None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None


def _ocsp_answer(
    data: bytes, single: ocsp.OCSPSingleResponse, algorithms: tuple[Algorithm, ...], keeps: datetime | None
) -> Answer:
    reason = single.revocation_reason.value if single.revocation_reason else None
    revoked = single.revocation_time_utc if single.certificate_status is ocsp.OCSPCertStatus.REVOKED else None
    if revoked and not reason:
        reason = x509.ReasonFlags.unspecified.value
    unknown = single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    times = (single.this_update_utc, single.next_update_utc, revoked)
    return Answer("ocsp", data, *times, reason, algorithms, unknown, keeps)


def _understood(response: ocsp.OCSPResponse) -> bool:
    """An answer with a critical extension that is not known here is not used."""
    known = (x509.OCSPNonce,)
    return not any(e.critical and not isinstance(e.value, known) for e in response.extensions)


def _is_withdrawn(delegate: x509.Certificate, issuer: x509.Certificate, crls: Sequence[bytes]) -> bool:
    """Tell whether a delegate that does not forgo checking is revoked by a list at hand."""
    if needs_no_status(delegate):
        return False
    return any((a := _from_crl(data, delegate, issuer)) is not None and a.revoked_at is not None for data in crls)


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if single.serial_number != certificate.serial_number:
        return False
    asked = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, single.hash_algorithm).build()
    return asked.issuer_key_hash == single.issuer_key_hash and asked.issuer_name_hash == single.issuer_name_hash


def _responder(response: ocsp.OCSPResponse, issuer: x509.Certificate) -> x509.Certificate | None:
    """Return who may have signed: the issuer, or its delegate found in the answer and valid when it was produced."""
    if _named(response, issuer):
        return issuer
    for found in response.certificates:
        candidate = certificates.complete(found.public_bytes(serialization.Encoding.DER))
        if _named(response, candidate) and _is_delegate(candidate, issuer, response.produced_at_utc):
            return candidate
    return None


def _named(response: ocsp.OCSPResponse, certificate: x509.Certificate) -> bool:
    if response.responder_name is not None:
        return response.responder_name == certificate.subject
    return response.responder_key_hash == x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest


def _is_delegate(candidate: x509.Certificate, issuer: x509.Certificate, produced: datetime) -> bool:
    if not candidate.not_valid_before_utc <= produced <= candidate.not_valid_after_utc:
        return False
    if not certificates.is_issued_by(candidate, issuer):
        return False
    try:
        usages = candidate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages


def _signed_by(response: ocsp.OCSPResponse, responder: x509.Certificate) -> bool:
    key, algorithm = responder.public_key(), response.signature_hash_algorithm
    if algorithm is None:
        return False
    try:
        if isinstance(key, rsa.RSAPublicKey):
            how: padding.AsymmetricPadding = padding.PKCS1v15()
            if "pss" in response.signature_algorithm_oid._name.lower():
                how = padding.PSS(padding.MGF1(algorithm), padding.PSS.AUTO)
            key.verify(response.signature, response.tbs_response_bytes, how, algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(algorithm))
        else:
            return False
    except InvalidSignature:
        return False
    return True


def sources(certificate: x509.Certificate) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the OCSP and CRL addresses a certificate names."""
    crl = [n.value for p in _points(certificate) for n in p.full_name or () if _is_uri(n)]
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return (), tuple(crl)
    found = [a.access_location for a in access if a.access_method == AuthorityInformationAccessOID.OCSP]
    return tuple(name.value for name in found if _is_uri(name)), tuple(crl)


def _is_uri(name: x509.GeneralName) -> bool:
    return isinstance(name, x509.UniformResourceIdentifier)


def needs_no_status(certificate: x509.Certificate) -> bool:
    """Tell whether the certificate is an OCSP signer's that asks not to be checked (``id-pkix-ocsp-nocheck``)."""
    try:
        certificate.extensions.get_extension_for_class(x509.OCSPNoCheck)
        usages = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return ExtendedKeyUsageOID.OCSP_SIGNING in usages
