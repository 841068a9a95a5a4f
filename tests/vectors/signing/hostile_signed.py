"""Files that somebody signed already, and what that forbids or breaks (signing.md 3.1, refused; 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from io import BytesIO

from asn1crypto import keys, x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields, signers
from pyhanko_certvalidator.registry import SimpleCertificateStore

from signer.devpki import DevIdentity
from signer.pdf.sign import Visible
from tests.signer_pdf.files import Office, simple, update
from tests.signer_pdf.opinions import value_changed
from tests.vectors.signing.hostile import BROKEN, CERTIFIED, DAMAGED_SIGNED, LOCKED, SIGNED

EMPTY = b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%s) /Rect [100 %d 200 %d] /F 4 /P 3 0 R >>"


def with_fields() -> bytes:
    """Return a file with two empty signature fields."""
    return simple(
        catalog=b"/AcroForm << /Fields [5 0 R 6 0 R] >>",
        page=b"/Annots [5 0 R 6 0 R]",
        more=[EMPTY % (b"Duyet", 100, 150), EMPTY % (b"Van thu", 200, 250)],
    )


def by_another_program(office: Office, **said: object) -> bytes:
    """Return a file certified by pyHanko."""
    made = signers.PdfSignatureMetadata(field_name="Duyet", md_algorithm="sha256", **said)  # type: ignore[arg-type]
    writer = IncrementalPdfFileWriter(BytesIO(with_fields()))
    out = signers.PdfSigner(made, signer=_pyhanko(office.person)).sign_pdf(writer)
    return bytes(out.getbuffer())


def _pyhanko(who: DevIdentity) -> signers.SimpleSigner:
    plain = who.key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    held = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    for der in who.credential.chain:
        held.register(x509.Certificate.load(der))
    return signers.SimpleSigner(x509.Certificate.load(who.certificate), keys.PrivateKeyInfo.load(plain), held)


def certified(office: Office, permission: fields.MDPPerm) -> bytes:
    """Return a file certified with that permission."""
    return by_another_program(
        office, certify=True, docmdp_permissions=permission, subfilter=fields.SigSeedSubFilter.PADES
    )


def locked(office: Office, *names: str) -> bytes:
    """Return a file whose first signature locks fields."""
    return office.by_person(with_fields(), level="b", field="Duyet", lock=names).data  # type: ignore[arg-type]


def signed(office: Office) -> bytes:
    """Return a file with one signature."""
    return office.by_person(with_fields(), level="b", field="Duyet").data


def edited(office: Office) -> bytes:
    """Return a signed file whose text was exchanged by an update."""
    return update(signed(office), {4: b"<< /Length 28 >>\nstream\n0 0 1 RG 50 600 m 90 600 l S\nendstream"})


Make = Callable[[Office], bytes]
TWO: Mapping[str, object] = {"field": "Van thu"}

SIGNED_FILES: Mapping[str, tuple[Make, str, Mapping[str, object]]] = {
    "certified, nothing may change": (lambda office: certified(office, fields.MDPPerm.NO_CHANGES), CERTIFIED, {}),
    "certified, nothing may change, into a field": (
        lambda office: certified(office, fields.MDPPerm.NO_CHANGES),
        CERTIFIED,
        TWO,
    ),
    "certified, signing allowed": (lambda office: certified(office, fields.MDPPerm.FILL_FORMS), SIGNED, TWO),
    "field locked": (lambda office: locked(office, "Van thu"), LOCKED, TWO),
    "every field locked": (lambda office: locked(office, "*"), LOCKED, TWO),
    "another field locked": (lambda office: locked(office, "So"), SIGNED, TWO),
    "field is signed": (signed, "EDOC-PDF-015", {"field": "Duyet"}),
    "box over the leader's": (
        signed,
        "EDOC-PDF-014",
        {"visible": Visible("number", text="1", box_mm=(36, 245, 30, 8))},
    ),
    "cut short": (lambda office: signed(office)[:-30], DAMAGED_SIGNED, TWO),
    "startxref wrong": (lambda office: signed(office).replace(b"startxref\n", b"startxref\n9"), DAMAGED_SIGNED, TWO),
    "one octet of the text changed": (lambda office: signed(office).replace(b"50 700 m", b"50 701 m"), BROKEN, TWO),
    "text exchanged by an update": (edited, BROKEN, TWO),
    "one octet of the value changed": (lambda office: value_changed(signed(office), 0), BROKEN, TWO),
}
