"""Long-term files that another program made: read, renewed, nothing of them lost; and theirs over ours (R72; A2)."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO

import pytest
from asn1crypto import crl, keys, tsp, x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.timestamps import TimeStamper
from pyhanko_certvalidator.context import ValidationContext
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signer.devpki import DevIdentity, DevPki, DevTimestamper
from signer.pdf.dss import held_data
from signer.pdf.extend import extend_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Verdict
from signer.trust import Context, Limits
from tests.signer_pdf.files import simple
from tests.signer_pdf.opinions import PASSED, PyHanko


class Stamps(TimeStamper):
    """Our authority, as the other program asks it."""

    def __init__(self, stamper: DevTimestamper) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._stamper = stamper

    async def async_request_tsa_response(self, req: tsp.TimeStampReq) -> tsp.TimeStampResp:
        """Return the answer to a request."""
        return tsp.TimeStampResp.load(self._stamper.stamp(req.dump()))


def plain_key(one: DevIdentity) -> keys.PrivateKeyInfo:
    """Return a key as the other program takes it."""
    return keys.PrivateKeyInfo.load(one.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def certificates(one: DevIdentity) -> SimpleCertificateStore:
    """Return the certificates above a key."""
    held = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    held.register_multiple([x509.Certificate.load(der) for der in one.credential.chain])
    return held


@pytest.fixture(scope="module")
def by_pyhanko(pki: DevPki, person: DevIdentity, timestamper: DevTimestamper, now: datetime) -> bytes:
    """A file signed by pyHanko at LTA, with /VRI as it writes it."""
    judging = ValidationContext(
        trust_roots=[x509.Certificate.load(pki.root.certificate)],
        other_certs=[x509.Certificate.load(pki.issuing.certificate)],
        crls=[crl.CertificateList.load(der) for der in (pki.crl(at=now), pki.root_crl(at=now))],
        moment=now,
        allow_fetching=False,
        revocation_mode="require",
    )
    meta = signers.PdfSignatureMetadata(
        field_name="Ky",
        md_algorithm="sha256",
        subfilter=SigSeedSubFilter.PADES,
        embed_validation_info=True,
        use_pades_lta=True,
        validation_context=judging,
    )
    signer = signers.SimpleSigner(
        signing_cert=x509.Certificate.load(person.certificate),
        signing_key=plain_key(person),
        cert_registry=certificates(person),
    )
    writer = IncrementalPdfFileWriter(BytesIO(simple()))
    return bytes(signers.sign_pdf(writer, meta, signer=signer, timestamper=Stamps(timestamper)).getbuffer())


def vri(data: bytes) -> dict[str, object]:
    """Return the /VRI of a file as the other program reads it."""
    return dict(PdfFileReader(BytesIO(data), strict=True).root["/DSS"]["/VRI"])


def test_a_file_of_another_program_is_renewed_and_nothing_of_it_is_lost(
    by_pyhanko: bytes, pki: DevPki, context: Context, now: datetime
) -> None:
    """Years later: the lists of then come to the old ones, /VRI stays, both programs find it proved."""
    before = inspect_pdf(by_pyhanko, context=context)
    assert (before.verdict, before.signatures[0].level) == (Verdict.VALID, "PAdES-B-LTA")
    assert vri(by_pyhanko)
    data = by_pyhanko
    for years in (1, 3):
        at = now + timedelta(days=365 * years)
        judging = replace(context, trust=pki.trust(at=at), at=at)
        former, held = data, held_data(data, limits=Limits())
        data = extend_pdf(data, to="lta", context=judging, timestamper=_clock(pki, at)).data
        after = held_data(data, limits=Limits())
        assert data.startswith(former)
        assert set(held.crls) | set(judging.trust.crls) <= set(after.crls)
        assert set(held.intermediates) <= set(after.intermediates)
        assert vri(data) == vri(by_pyhanko)
        assert inspect_pdf(data, context=judging).verdict is Verdict.VALID
        later = PyHanko(pki.root.certificate, at + timedelta(minutes=1), (pki.crl(at=at), pki.root_crl(at=at)))
        assert later.long_term(data) is PASSED


def _clock(pki: DevPki, at: datetime) -> DevTimestamper:
    return DevTimestamper(pki, lambda: at)


def test_a_signature_of_ours_follows_that_of_another_program(
    by_pyhanko: bytes, person: DevIdentity, context: Context, timestamper: DevTimestamper, pki: DevPki, now: datetime
) -> None:
    """Behind an archive stamp of theirs comes a signature of ours, and both programs find all of it good."""
    from signer.pdf.sign import PdfOptions, sign_pdf

    signed = sign_pdf(by_pyhanko, credential=person.credential, options=PdfOptions(now), timestamper=timestamper)
    report = inspect_pdf(signed.data, context=context)
    assert report.verdict is Verdict.VALID
    assert [one.kind for one in report.signatures] == ["signature", "timestamp", "signature"]
    opinions = PyHanko(pki.root.certificate, now + timedelta(minutes=1)).opinions(signed.data)
    assert all(one.intact and one.good for one in opinions)
