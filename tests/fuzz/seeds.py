"""Signed files to start from, one or more of every form the verifier reads, made anew for each run (signing.md 10)."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lxml import etree
from signxml.algorithms import SignatureConstructionMethod as Method
from signxml.signer import XMLSigner

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject, key_pem
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.trust import Content, Context, TrustStore
from signer.xml.profiles import Slip, seal_xml, sign_declaration
from signer.xml.sign import sign_xml
from tests.containers import agency_container

NOW = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /Font << /F 5 0 R >> >> >>"
TEXT = b"BT /F 12 Tf 72 720 Td (So 120: chi 5 trieu dong) Tj ET"
OBJECTS = (
    b"<< /Type /Catalog /Pages 2 0 R"
    b" /AcroForm << /Fields [6 0 R] /DR << /Font << /F 5 0 R >> >> /DA (/F 12 Tf 0 g) >> >>",
    b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
    PAGE[:-2] + b"/Annots [6 0 R] >>",
    b"<< /Length %d >>\nstream\n%s\nendstream" % (len(TEXT), TEXT),
    b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    b"<< /Type /Annot /Subtype /Widget /FT /Tx /T (so) /Rect [72 600 172 620] /P 3 0 R /F 4 /DA (/F 12 Tf 0 g) >>",
)
LETTER_XML = (
    '<letter xmlns="urn:example:letter" Id="letter"><head no="120"><from>Sở Mẫu A</from><to>Sở Mẫu B</to></head>'
    '<body xml:space="preserve">Chi <b>5</b> triệu đồng &amp; không hơn</body><note/></letter>'
)
EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"


@dataclass(frozen=True)
class Seed:
    """A signed file: what it is, its bytes, and the content of a detached signature."""

    name: str
    kind: str  # pdf, xml, cms, zip
    data: bytes
    context: Context


@dataclass(frozen=True)
class Office:
    """Who signs the seeds."""

    pki: DevPki
    person: DevIdentity
    agency: DevIdentity
    exchange: DevIdentity
    rsa: DevIdentity

    @classmethod
    def create(cls) -> Office:
        """Make an authority and its people."""
        pki = DevPki.create(at=NOW - timedelta(days=30))
        person = Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A")
        agency = Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001")
        return cls(
            pki,
            pki.issue(Role.PERSON, person),
            pki.issue(Role.AGENCY, agency),
            pki.issue(Role.EXCHANGE, agency),
            pki.issue(Role.PERSON, person, key_type="rsa2048"),
        )

    @property
    def timestamper(self) -> DevTimestamper:
        """The authority's time stamps."""
        return DevTimestamper(self.pki, lambda: NOW)

    def context(self, *contents: Content, policy: PolicyName = PolicyName.INTEGRITY_ONLY) -> Context:
        """Return a judgement at that moment; without trust, since the fuzz asks for integrity."""
        trust = TrustStore() if policy is PolicyName.INTEGRITY_ONLY else self.pki.trust(at=NOW)
        return Context(trust=trust, at=NOW, policy=policy, contents=contents)


def plain_pdf(*, stream: bool = False) -> bytes:
    """Return a page with text and an empty field, with a table or a stream of cross-references."""
    out = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    offsets = []
    for number, body in enumerate(OBJECTS, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, size = len(out), len(OBJECTS) + 1
    if stream:
        rows = b"\0\0\0\0" + b"".join(b"\x01" + o.to_bytes(2, "big") + b"\0" for o in [*offsets, start])
        head = b"<< /Type /XRef /Size %d /W [1 2 1] /Root 1 0 R /Length %d >>" % (size + 1, len(rows))
        out += b"%d 0 obj\n" % size + head + b"\nstream\n" + rows + b"\nendstream\nendobj\n"
    else:
        out += b"xref\n0 %d\n0000000000 65535 f \n" % size + b"".join(b"%010d 00000 n \n" % o for o in offsets)
        out += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % size
    return bytes(out + b"startxref\n%d\n%%%%EOF\n" % start)


def pdf_seeds(office: Office) -> Iterator[Seed]:
    """One signature over a table and over a stream; two; one with a time stamp and a picture of text."""
    context = office.context()

    def signed(data: bytes, who: DevIdentity, *, level: str = "b", visible: Visible | None = None) -> bytes:
        options = PdfOptions(at=NOW, level=level, visible=visible)
        stamper = office.timestamper if level == "t" else None
        return sign_pdf(data, credential=who.credential, options=options, timestamper=stamper).data

    one = signed(plain_pdf(), office.person)
    yield Seed("pdf-one", "pdf", one, context)
    yield Seed("pdf-stream", "pdf", signed(plain_pdf(stream=True), office.rsa), context)
    yield Seed("pdf-two", "pdf", signed(one, office.rsa), context)
    yield Seed("pdf-stamped", "pdf", signed(plain_pdf(), office.person, level="t"), context)


def xml_seeds(office: Office) -> Iterator[Seed]:
    """Ours in every profile, and foreign ones: enveloped, enveloping, detached by Id, by another program."""
    context = office.context()
    text = LETTER_XML.encode()
    yield Seed(
        "xml-xades-t",
        "xml",
        sign_xml(text, credential=office.person.credential, at=NOW, level="t", timestamper=office.timestamper),
        context,
    )
    first = sign_xml(text, credential=office.person.credential, at=NOW, parallel=True)
    yield Seed("xml-parallel", "xml", sign_xml(first, credential=office.rsa.credential, at=NOW), context)
    message = etree.fromstring(f'<edXML xmlns="{EDXML}"><Envelope><Subject>V/v thử</Subject></Envelope></edXML>')
    slip = Slip("6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4", "H99.01", "edoc", NOW)
    yield Seed("xml-seal", "xml", seal_xml(message, slip=slip, credential=office.exchange.credential), context)
    receipt = etree.fromstring('<Receipt xmlns="urn:edoc:receipt:1" Version="1"><Node>nút-1</Node></Receipt>')
    declared = sign_declaration(receipt, credential=office.exchange.credential, at=NOW)
    yield Seed("xml-receipt", "xml", declared, context)
    for method in (Method.enveloped, Method.enveloping, Method.detached):
        yield Seed(f"xml-foreign-{method.name}", "xml", _foreign_xml(office.rsa, method), context)


def _foreign_xml(who: DevIdentity, method: Method) -> bytes:
    signer = XMLSigner(method=method, signature_algorithm="rsa-sha256", digest_algorithm="sha256")
    certificates = [pem.decode() for pem in (who.certificates_pem,)]
    root = etree.fromstring(LETTER_XML.encode())
    uri = "letter" if method is Method.detached else None
    signed = signer.sign(root, key=key_pem(who.key), cert=certificates[0], reference_uri=uri)
    if method is Method.detached:  # the letter and its signature side by side
        bundle = etree.Element("bundle")
        bundle.append(root)
        bundle.append(signed)
        signed = bundle
    return etree.tostring(signed)


def cms_seeds(office: Office) -> Iterator[Seed]:
    """Detached, enclosed, without attributes and by two signers, made by openssl; and a bare time stamp."""
    content = LETTER_XML.encode()
    if shutil.which("openssl"):
        forms: dict[str, tuple[str, ...]] = {
            "cms-detached": ("-cades",),
            "cms-enclosed": ("-cades", "-nodetach"),
            "cms-bare": ("-noattr",),
            "cms-stream": ("-nodetach", "-stream"),
        }
        for name, options in forms.items():
            detached = "-nodetach" not in options
            context = office.context(*([Content("", content)] if detached else []))
            yield Seed(name, "cms", _openssl(office, content, options), context)
    token = _token(office, content)
    yield Seed("cms-token", "cms", token, office.context(Content("", content)))


def _openssl(office: Office, content: bytes, options: Sequence[str]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        key = Path(folder, "key.pem")
        key.write_bytes(office.rsa.pem)
        command = ["openssl", "cms", "-sign", "-binary", "-outform", "DER", "-signer", str(key), "-md", "sha256"]
        done = subprocess.run([*command, *options], input=content, capture_output=True, check=True, timeout=60)
        return done.stdout


def _token(office: Office, content: bytes) -> bytes:
    from hashlib import sha256

    from signer.timestamp import obtain

    return obtain(office.timestamper, sha256(content).digest())


def zip_seeds(office: Office) -> Iterator[Seed]:
    """A container of three objects."""
    members = [("a.txt", b"5 trieu dong", "text/plain"), ("b/c.xml", LETTER_XML.encode(), "text/xml")]
    made = agency_container(members, credential=office.agency.credential, at=NOW, timestamper=office.timestamper)
    yield Seed("zip-asice", "zip", made, office.context())


MAKERS: dict[str, Callable[[Office], Iterator[Seed]]] = {
    "pdf": pdf_seeds,
    "xml": xml_seeds,
    "cms": cms_seeds,
    "zip": zip_seeds,
}


def seeds(*kinds: str) -> list[Seed]:
    """Make the seeds of these kinds, or of all."""
    office = Office.create()
    return [seed for kind in kinds or MAKERS for seed in MAKERS[kind](office)]
