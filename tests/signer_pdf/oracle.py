"""The general path as oracle of the fast one: what must be equal between two signed files (signing.md 3.4)."""

from __future__ import annotations

import asyncio
import hashlib
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from io import BytesIO
from pathlib import Path

import pypdfium2
from asn1crypto import cms, core, keys, tsp, x509
from cryptography.hazmat.primitives import serialization
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.signers.pdf_cms import SimpleSigner
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signer.devpki import DevIdentity
from signer.pdf.formtree import fields_of, mapping, pages_of, text_of
from signer.pdf.reading import PdfFile
from signer.pdf.sign import PdfOptions, SignedPdf, sign_pdf
from signer.pdf.values import Reference, Stream, String, Value
from signer.pdf.verify import inspect_pdf
from signer.report import Report
from signer.trust import Context
from tests.signer_pdf.files import run


@dataclass(frozen=True)
class Pair:
    """One file signed by both paths."""

    data: bytes
    fast: SignedPdf
    general: SignedPdf


def both(data: bytes, identity: DevIdentity, options: PdfOptions) -> Pair:
    """Sign by both paths."""
    fast = sign_pdf(data, credential=identity.credential, options=options)
    general = sign_pdf(data, credential=identity.credential, options=replace(options, general=True))
    return Pair(data, fast, general)


def report_of(data: bytes, context: Context) -> Report:
    """Return our report but for digest and size of the file."""
    return replace(inspect_pdf(data, context=context), sha256="", size=0)


def contents(data: bytes) -> tuple[bytes, bytes]:
    """Return the CMS of the last signature and the digest of what it is over."""
    a, b, c = (int(part) for part in re.findall(rb"/ByteRange \[0 (\d+) (\d+) (\d+) *\]", data)[-1])
    assert b + c == len(data)
    return bytes.fromhex(data[a + 1 : b - 1].decode()), hashlib.sha256(data[:a] + data[b:]).digest()


class _Signer(SimpleSigner):
    """pyHanko's own CMS, with the attributes PAdES asks for and no more."""

    async def signed_attrs(  # type: ignore[no-untyped-def]
        self, data_digest: bytes, digest_algorithm: str, *_args: object, **_more: object
    ):
        """Return content-type, message-digest, signing-certificate-v2."""
        assert self.signing_cert is not None
        hashed = hashlib.sha256(self.signing_cert.dump()).digest()
        own = tsp.SigningCertificateV2({"certs": [tsp.ESSCertIDv2({"cert_hash": hashed})]})
        values = {"content_type": "data", "message_digest": data_digest, "signing_certificate_v2": own}
        return cms.CMSAttributes([cms.CMSAttribute({"type": key, "values": [one]}) for key, one in values.items()])


@lru_cache(maxsize=4)
def _signer(plain: bytes, certificate: bytes, chain: tuple[bytes, ...]) -> _Signer:
    held = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    for der in chain:
        held.register(x509.Certificate.load(der))
    key = keys.PrivateKeyInfo.load(plain)
    leaf = x509.Certificate.load(certificate)
    return _Signer(signing_cert=leaf, signing_key=key, cert_registry=held, prefer_pss=False, embed_roots=True)


def pyhanko_cms(digest: bytes, identity: DevIdentity, token: bytes | None = None) -> bytes:
    """Return what pyHanko makes of a digest and a time stamp."""
    plain = _plain_key(identity)
    made = asyncio.run(
        _signer(plain, identity.certificate, identity.credential.chain).async_sign(digest, "sha256", use_pades=True)
    )
    if token is not None:
        stamp = cms.CMSAttribute({"type": "signature_time_stamp_token", "values": [cms.ContentInfo.load(token)]})
        made["content"]["signer_infos"][0]["unsigned_attrs"] = [stamp]
    return bytes(made.dump())


def _plain_key(identity: DevIdentity) -> bytes:
    return identity.key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def with_nulls(der: bytes) -> bytes:
    """Return a CMS with NULL beside its digest algorithms, as pyHanko writes it; RFC 5754 has none there."""
    held = cms.ContentInfo.load(der)
    signed = held["content"]
    for one in (signed["digest_algorithms"][0], signed["signer_infos"][0]["digest_algorithm"]):
        assert one["parameters"].native is None
        assert one.dump() == bytes.fromhex("300b0609608648016503040201")
        one["parameters"] = core.Null()
    return bytes(held.dump())  # what changed is encoded anew; all of it takes minutes with a time stamp inside


def meaning(data: bytes) -> list[object]:
    """Return fields, widgets and pages by their meaning: references followed, numbers and places left out."""
    state = PdfFile(data).latest
    found: list[object] = []
    for one in fields_of(state):
        value = dict(mapping(state, one.value))
        for key in ("ByteRange", "Contents"):
            value.pop(key, None)
        found.append((one.name, one.kind, one.widgets, _plain(state, one.dictionary, {"V", "P", "Parent"}), value))
    for page in pages_of(state):
        found.append((page.number, page.sheet, len(_items(state, page.dictionary.get("Annots")))))
    form = mapping(state, state.root.get("AcroForm"))
    found.append(sorted((key, _plain(state, item, _OWN)) for key, item in form.items() if key not in ("Fields", "DR")))
    found.append((sorted(state.root), sorted(state.trailer.keys() - _STREAMS)))
    return found


_OWN = {"ByteRange", "Contents"}
_STREAMS = {"Type", "W", "Index", "Length", "Filter", "DecodeParms", "Size", "Prev", "XRefStm"}


def _items(state: object, value: Value) -> tuple[Value, ...]:
    found = state.resolve(value)  # type: ignore[attr-defined]
    return found if isinstance(found, tuple) else ()


def _plain(state: object, value: Value, without: set[str], above: tuple[Reference, ...] = ()) -> object:
    if isinstance(value, Reference):
        if value in above:
            return "…"  # in a circle
        return _plain(state, state.resolve(value), without, (*above, value))  # type: ignore[attr-defined]
    if isinstance(value, Stream):
        entries = {key: item for key, item in value.dictionary.items() if key != "Length"}
        return _plain(state, entries, without, above), value.raw
    if isinstance(value, dict):
        kept = ((str(key), item) for key, item in value.items() if key not in without)
        return sorted((key, _plain(state, item, without, above)) for key, item in kept)
    if isinstance(value, tuple):
        return [_plain(state, item, without, above) for item in value]
    return text_of(value) if isinstance(value, String) else repr(value)  # pyHanko encodes texts its own way


def pictures(data: bytes, dpi: int = 36) -> list[bytes]:
    """Return every page as PDFium draws it, with its widgets."""
    document = pypdfium2.PdfDocument(data)
    try:
        document.init_forms()
        return [bytes(page.render(scale=dpi / 72, may_draw_forms=True).buffer) for page in document]
    finally:
        document.close()


def strictly_read(data: bytes) -> list[tuple[str, bool]]:
    """Return name and integrity of each signature as pyHanko finds it in strict mode."""
    found = []
    for one in PdfFileReader(BytesIO(data), strict=True).embedded_regular_signatures:
        one.compute_integrity_info()
        digest = one.signer_info["signed_attrs"]
        held = next(attr["values"][0].native for attr in digest if attr["type"].native == "message_digest")
        found.append((one.field_name, held == one.compute_digest()))
    return found


def said_by_pdfsig(path: Path) -> list[str]:
    """Return what Poppler's checker says, but for the ranges and the name of the file."""
    lines = run("pdfsig", "-nocert", str(path)).stdout.decode().splitlines()
    return [line for line in lines if "Ranges" not in line and "File '" not in line and str(path) not in line]


def complaints_of_qpdf(path: Path) -> list[str]:
    """Return the lines in which qpdf complains."""
    done = run("qpdf", "--check", str(path))
    lines = (done.stdout + done.stderr).decode("utf-8", "replace").splitlines()
    return [line.replace(str(path), "") for line in lines if "WARNING" in line or "ERROR" in line or "error" in line]
