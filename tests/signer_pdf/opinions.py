"""What other programs say of a signed PDF: Poppler's pdfsig, openssl, pyHanko's own validator (signing.md 10, A2)."""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path

from asn1crypto import cms, crl, x509
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.ades.report import AdESPassed
from pyhanko.sign.validation import (
    DocumentSecurityStore,
    ades,
    async_validate_pdf_signature,
    async_validate_pdf_timestamp,
)
from pyhanko.sign.validation.pdf_embedded import EmbeddedPdfSignature
from pyhanko.sign.validation.policy_decl import LocalKnowledge, PdfSignatureValidationSpec, SignatureValidationSpec
from pyhanko_certvalidator.context import CertValidationPolicySpec, ValidationContext
from pyhanko_certvalidator.ltv.types import ValidationTimingInfo
from pyhanko_certvalidator.policy_decl import CertRevTrustPolicy, RevocationCheckingPolicy, RevocationCheckingRule
from pyhanko_certvalidator.registry import SimpleTrustManager
from pyhanko_certvalidator.revinfo.archival import CRLContainer

from tests.signer_pdf.files import run

PASSED = AdESPassed.OK


def contents_of(data: bytes, number: int) -> tuple[bytes, bytes]:
    """Return CMS (without padding) and covered octets of a signature, counted from 0 in the order of signing."""
    reader = PdfFileReader(BytesIO(data), strict=True)
    one = reader.embedded_signatures[number]
    a, b, c, d = (int(part) for part in one.byte_range)
    return bytes(one.pkcs7_content), data[a : a + b] + data[c : c + d]


def value_changed(data: bytes, number: int) -> bytes:
    """Return the file with one digit of the value of a signature changed."""
    value = cms.ContentInfo.load(contents_of(data, number)[0])["content"]["signer_infos"][0]["signature"].native
    at = data.lower().index(value.hex().encode()) + 2 * len(value) - 1
    return data[:at] + (b"1" if data[at : at + 1] == b"0" else b"0") + data[at + 1 :]


# --- pdfsig and openssl ----------------------------------------------------------------------------------------------


def said_by_pdfsig(data: bytes, folder: Path) -> list[str]:
    """Return Poppler's verdict on each signature; document time stamps are listed there, and not checked."""
    path = folder / "pdfsig.pdf"
    path.write_bytes(data)
    shown = run("pdfsig", "-nocert", str(path)).stdout.decode("utf-8", "replace")
    return [line.partition(": ")[2] for line in shown.splitlines() if "Signature Validation" in line]


def accepted_by_openssl(data: bytes, number: int, folder: Path) -> bool:
    """Say whether openssl finds the CMS of a signature good, over its ranges, up to ``root.pem`` in the folder."""
    held, covered = contents_of(data, number)
    (folder / "cms.der").write_bytes(held)
    (folder / "covered").write_bytes(covered)
    line = "cms -verify -cades -inform DER -in {0}/cms.der -content {0}/covered -binary -CAfile {0}/root.pem"
    words = line.format(folder).split()
    done = run("openssl", *words, "-purpose", "any", "-no_check_time", "-out", str(folder / "out"))
    return done.returncode == 0


def stamp_accepted_by_openssl(token: bytes, digest: bytes, folder: Path) -> bool:
    """Say whether openssl finds a time stamp good over a SHA-256, up to ``root.pem`` by way of ``chain.pem``."""
    (folder / "token.der").write_bytes(token)
    line = "ts -verify -token_in -in {0}/token.der -CAfile {0}/root.pem -untrusted {0}/chain.pem -digest {1}"
    done = run("openssl", *line.format(folder, digest.hex()).split(), "-no_check_time")
    return done.returncode == 0


def stamp_in(held: bytes) -> tuple[bytes, bytes] | None:
    """Return the token of a CMS and the SHA-256 it should be over, that of the signature value."""
    signer = cms.ContentInfo.load(held)["content"]["signer_infos"][0]
    for attribute in signer["unsigned_attrs"] or ():
        if attribute["type"].native == "signature_time_stamp_token":
            return attribute["values"][0].dump(), hashlib.sha256(signer["signature"].native).digest()
    return None


# --- pyHanko ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Opinion:
    """What pyHanko says of one signature or document time stamp."""

    field: str
    intact: bool
    good: bool
    change: str


@dataclass(frozen=True)
class PyHanko:
    """pyHanko's validator: trusts one root (DER), fetches nothing, judges at one moment, may be given lists (DER)."""

    root: bytes
    at: datetime
    lists: tuple[bytes, ...] = ()

    def opinions(self, data: bytes) -> list[Opinion]:
        """Judge every signature, and by pyHanko's own comparison what was done after it."""
        reader = PdfFileReader(BytesIO(data), strict=True)
        return [self._opinion(one) for one in reader.embedded_signatures]

    def _opinion(self, one: EmbeddedPdfSignature) -> Opinion:
        context = ValidationContext(
            trust_roots=[x509.Certificate.load(self.root)],
            moment=self.at,
            allow_fetching=False,
            revocation_mode="soft-fail",
        )
        if one.sig_object["/Type"] == "/DocTimeStamp":
            status = asyncio.run(async_validate_pdf_timestamp(one, context))
            return Opinion(one.field_name, status.intact and status.valid, status.trusted, "")
        found = asyncio.run(async_validate_pdf_signature(one, context, context))
        level = found.modification_level
        return Opinion(one.field_name, found.intact and found.valid, found.bottom_line, level.name if level else "")

    def basic(self, data: bytes) -> object:
        """Return the AdES indication of the first signature without regard to time stamps (EN 319 102-1, 5.3)."""
        one = self._first(data)
        spec = self._spec(RevocationCheckingRule.CHECK_IF_DECLARED)
        made = ades.ades_basic_validation(
            one.signed_data, spec, timing_info=self._timing(), raw_digest=one.compute_digest()
        )
        return asyncio.run(made).ades_subindic

    def with_time(self, data: bytes) -> object:
        """Return the AdES indication with the signature time stamp (5.5)."""
        one = self._first(data)
        spec = self._spec(RevocationCheckingRule.CHECK_IF_DECLARED)
        made = ades.ades_with_time_validation(
            one.signed_data, spec, timing_info=self._timing(), raw_digest=one.compute_digest()
        )
        return asyncio.run(made).ades_subindic

    def with_data(self, data: bytes) -> object:
        """Return the AdES indication where every certificate needs a list, and only ``/DSS`` has them."""
        one = self._first(data)
        store = DocumentSecurityStore.read_dss(one.reader)
        lists = [CRLContainer(crl.CertificateList.load(held.get_object().data)) for held in store.crls]
        certificates = [x509.Certificate.load(held.get_object().data) for held in store.certs.values()]
        known = LocalKnowledge(known_certs=certificates, known_crls=lists)
        spec = self._spec(RevocationCheckingRule.CRL_REQUIRED, known)
        made = ades.ades_with_time_validation(
            one.signed_data, spec, timing_info=self._timing(), raw_digest=one.compute_digest()
        )
        return asyncio.run(made).ades_subindic

    def long_term(self, data: bytes) -> object:
        """Return the AdES indication with archive stamps (5.6); every certificate needs a status answer."""
        known = LocalKnowledge(known_crls=[CRLContainer(crl.CertificateList.load(der)) for der in self.lists])
        spec = PdfSignatureValidationSpec(self._spec(RevocationCheckingRule.CRL_OR_OCSP_REQUIRED, known))
        made = ades.ades_lta_validation(self._first(data), spec, timing_info=self._timing())
        return asyncio.run(made).ades_subindic

    def of_cms(self, data: bytes, content: bytes, *, stamped: bool) -> object:
        """Return the AdES indication of a detached CMS, with or without regard to its time stamp."""
        signed = cms.ContentInfo.load(data)["content"]
        name = signed["signer_infos"][0]["digest_algorithm"]["algorithm"].native
        judge = ades.ades_with_time_validation if stamped else ades.ades_basic_validation
        made = judge(
            signed,
            self._spec(RevocationCheckingRule.CHECK_IF_DECLARED),
            timing_info=self._timing(),
            raw_digest=hashlib.new(name, content).digest(),
        )
        return asyncio.run(made).ades_subindic

    def _first(self, data: bytes) -> EmbeddedPdfSignature:
        one: EmbeddedPdfSignature = PdfFileReader(BytesIO(data), strict=True).embedded_regular_signatures[0]
        one.compute_integrity_info()  # type: ignore[no-untyped-call]
        return one

    def _timing(self) -> ValidationTimingInfo:
        return ValidationTimingInfo(self.at, self.at, True)

    def _spec(self, rule: RevocationCheckingRule, known: LocalKnowledge | None = None) -> SignatureValidationSpec:
        policy = CertValidationPolicySpec(
            trust_manager=SimpleTrustManager.build(trust_roots=[x509.Certificate.load(self.root)]),
            revinfo_policy=CertRevTrustPolicy(RevocationCheckingPolicy(rule, rule)),
        )
        return SignatureValidationSpec(
            cert_validation_policy=policy,
            ts_cert_validation_policy=policy,
            local_knowledge=known or LocalKnowledge(),
        )
