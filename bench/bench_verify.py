"""Checking signed files beside the floor and beside other programs, in one run (signing.md 4.4, 5.5, 10 A7).

The floor is SHA-256 over the file and one RSA-2048 check with a loaded key. Peers: pyHanko, pdfsig, openssl, xmlsec1,
signxml; those that are not installed are left out. Programs that run as processes start anew for each file.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import subprocess
import sys
import tempfile
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from lxml import etree
from measure import Figure, measure, report

from signer.algorithms import PolicyName
from signer.credential import Role
from signer.devpki import DevPki, DevTimestamper, Subject, pem
from signer.inspect import inspect_file
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.report import Verdict
from signer.trust import Context
from signer.xml.profiles import Slip, seal_xml, sign_declaration
from signer.xml.sign import sign_xml

NOW = datetime(2026, 11, 20, 2, 30, tzinfo=UTC)
PKI = DevPki.create(at=NOW - timedelta(days=30))
PERSON = PKI.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"), key_type="rsa2048")
EXCHANGE = PKI.issue(Role.EXCHANGE, Subject("Sở Mẫu A", organization="Sở Mẫu A"), key_type="rsa2048")
TSA = DevTimestamper(PKI, lambda: NOW)
CONTEXT = Context(trust=PKI.trust(at=NOW), at=NOW, policy=PolicyName.INTEROP)
KEY = rsa.generate_private_key(65537, 2048)
PUBLIC, VALUE = KEY.public_key(), KEY.sign(b"floor", padding.PKCS1v15(), hashes.SHA256())


def floor_of(name: str, data: bytes) -> Figure:
    """Measure the unavoidable."""

    def work() -> None:
        hashlib.sha256(data).digest()
        PUBLIC.verify(VALUE, b"floor", padding.PKCS1v15(), hashes.SHA256())

    return measure(f"verify.{name}.floor", work, runs=15)


def ours(data: bytes, context: Context = CONTEXT) -> Callable[[], None]:
    """Check a file, which must be valid."""

    def work() -> None:
        found = inspect_file(data, context=context)
        if found.verdict is not Verdict.VALID:
            raise SystemExit(f"not valid: {[r.code.value for r in found.reasons]}")

    return work


def process(data: bytes, suffix: str, *command: str) -> Callable[[], None]:
    """Let a program check the file; its start is part of it."""
    folder = Path(tempfile.mkdtemp(prefix="edoc-bench-"))
    path = folder / f"file{suffix}"
    path.write_bytes(data)
    (folder / "root.pem").write_bytes(pem(PKI.root.certificate))
    words = [word.replace("ROOT", str(folder / "root.pem")).replace("FILE", str(path)) for word in command]
    return lambda: subprocess.run(words, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) and None


def pyhanko(data: bytes) -> Callable[[], None]:
    """Let pyHanko validate every signature, with the difference analysis it has."""
    from asn1crypto.x509 import Certificate
    from pyhanko.pdf_utils.reader import PdfFileReader
    from pyhanko.sign.validation import validate_pdf_signature
    from pyhanko_certvalidator import ValidationContext

    root = Certificate.load(PKI.root.certificate)
    others = [Certificate.load(PKI.issuing.certificate)]

    def work() -> None:
        reader = PdfFileReader(io.BytesIO(data))
        for signature in reader.embedded_regular_signatures:
            validate_pdf_signature(
                signature, ValidationContext(trust_roots=[root], other_certs=others, moment=NOW, allow_fetching=False)
            )

    return work


def pdf(size: int, *, objects: int = 1) -> bytes:
    """Return a PDF of one page and about ``size`` octets, most of them in unused streams."""
    out, offsets = bytearray(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"), []
    filler = b"%" + b"x" * max(0, size // objects - 120)
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R /Extra 5 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << >> >>",
        b"<< /Length 28 >>\nstream\n0 0 1 RG 50 700 m 90 700 l S\nendstream",
        b"[" + b" ".join(b"%d 0 R" % (6 + n) for n in range(objects)) + b"]",
        *(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(filler), filler) for _ in range(objects)),
    ]
    for number, body in enumerate(bodies, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start, count = len(out), len(bodies) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % count + b"".join(b"%010d 00000 n \n" % o for o in offsets)
    out += b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (count, start)
    return bytes(out)


def signed_pdf(data: bytes, *, times: int = 1, level: str = "b") -> bytes:
    """Sign a PDF one or more times, each with a small visible number."""
    for number in range(times):
        visible = None
        if times > 1:
            visible = Visible(
                "number", text=str(number), box_mm=(10 + 15 * (number % 10), 200 + 8 * (number // 10), 12, 6)
            )
        data = sign_pdf(
            data,
            credential=PERSON.credential,
            options=PdfOptions(at=NOW, level=level, visible=visible),
            timestamper=TSA,
        ).data
    return data


def pdfs() -> None:
    """The PDF table of signing.md 4.4."""
    files = {
        "pdf-50k": signed_pdf(pdf(50_000)),
        "pdf-20m": signed_pdf(pdf(20_000_000)),
        "pdf-3m-20000-objects-2": signed_pdf(pdf(3_000_000, objects=20_000), times=2),
        "pdf-1m-9-stamped": signed_pdf(pdf(1_000_000), times=9, level="t"),
        "pdf-1m-25-stamped": signed_pdf(pdf(1_000_000), times=25, level="t"),
    }
    for name, data in files.items():
        base = floor_of(name, data)
        report(base, measure(f"verify.{name}", ours(data), floor=base.median))
        runs = 3 if len(data) > 2_000_000 or "9" in name or "25" in name else 7
        report(measure(f"verify.{name}.pyhanko", pyhanko(data), floor=base.median, runs=runs))
        if shutil.which("pdfsig"):
            report(measure(f"verify.{name}.pdfsig", process(data, ".pdf", "pdfsig", "FILE"), floor=base.median, runs=3))


def message(size: int) -> etree._Element:
    """Return an edXML message whose attachment is ``size`` octets."""
    namespace = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
    text = b64encode(bytes(range(256)) * (size // 256)).decode()
    return etree.fromstring(
        f'<edXML xmlns="{namespace}"><edXMLEnvelope><Subject>V/v thử</Subject></edXMLEnvelope>'
        f"<AttachmentEncoded><Attachment><Content>{text}</Content></Attachment></AttachmentEncoded></edXML>",
        etree.XMLParser(huge_tree=True),
    )


def xmls() -> None:
    """The XML targets of signing.md 5.5."""
    slip = Slip("6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4", "H99.01", "edoc", NOW)
    receipt = etree.fromstring('<Receipt xmlns="urn:edoc:receipt:1" Version="1"><Node>n</Node></Receipt>')
    rows = "".join(f'<row n="{n}"><a>số {n}</a><b x="y">{"z" * 40}</b></row>' for n in range(3_400))
    general = f'<table xmlns="urn:example:table" xmlns:q="urn:q">{rows}</table>'.encode()
    files = {
        "seal-1m": seal_xml(message(1_000_000), slip=slip, credential=EXCHANGE.credential),
        "seal-100k": seal_xml(message(100_000), slip=slip, credential=EXCHANGE.credential),
        "receipt": sign_declaration(receipt, credential=EXCHANGE.credential, at=NOW),
        "xml-1m-10000-elements": sign_xml(general, credential=PERSON.credential, at=NOW),
    }
    for name, data in files.items():
        base = floor_of(name, data)
        report(base, measure(f"verify.{name}", ours(data), floor=base.median))
        if shutil.which("xmlsec1"):
            command = ("xmlsec1", "--verify", "--enabled-key-data", "x509", "--trusted-pem", "ROOT", "FILE")
            report(measure(f"verify.{name}.xmlsec1", process(data, ".xml", *command), floor=base.median, runs=3))
        report(measure(f"verify.{name}.signxml", signxml(data), floor=base.median, runs=3))


def signxml(data: bytes) -> Callable[[], None]:
    """Let signxml verify the signature, with our certificate given."""
    from signxml import XMLVerifier
    from signxml.verifier import SignatureConfiguration

    def work() -> None:
        XMLVerifier().verify(
            etree.fromstring(data, etree.XMLParser(huge_tree=True)),
            x509_cert=pem((EXCHANGE if b"<table" not in data[:400] else PERSON).certificate).decode(),
            expect_config=SignatureConfiguration(expect_references=True),
        )

    return work


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["pdf", "xml"]
    if "xml" in wanted:
        xmls()
    if "pdf" in wanted:
        pdfs()
