"""Vectors of bytes: what was changed, moved, hidden or cannot be read, in all kinds of files (signing.md 4 to 6)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from lxml import etree

from signer.asic import read_container
from signer.credential import Role
from signer.devfaults import with_negative_modulus
from signer.devpki import DevIdentity
from signer.report import Code
from signer.trust import Content, Limits
from signer.xml.dsig import DS, decode, encode
from signer.zips import write_zip
from tests.signer_cms import cmsforge
from tests.signer_cms.cmsforge import Cms, Signer, attribute, octets, sequence
from tests.signer_pdf import forge as shapes
from tests.signer_pdf.attackforge import CATALOG, CONTENT, NUMBER, TEXT, Ink, Paper, stream, with_entries
from tests.signer_pdf.files import simple, update
from tests.signer_pdf.forge import Shape
from tests.signer_xml.makers import EXC_TRANSFORM, Maker, Ref
from tests.signer_xml.xades_house import Foreign, certificate_reference
from tests.vectors.verification.house import LETTER, UNKNOWN, Case, House, Line, Vector, failed, passed, undecided

PAY = '<pay Id="b"><to>A</to><sum>100</sum></pay>'
EVIL = '<pay Id="c"><to>X</to><sum>999</sum></pay>'
EDXML = "http://www.mic.gov.vn/TBT/QCVN_102_2016"
WORDS = "Quyết định số 15, trang 1.\n".encode() * 4
SAMPLES = Path(__file__).resolve().parents[3] / "samples"

PDF_BROKEN = {"later": "suspect", "covers": "revision"}
"""How a PDF is told to be broken by an update: the mathematics hold, and what came after is suspect."""


# --- PDF -------------------------------------------------------------------------------------------------------------


def exchanged(house: House) -> Case:
    return house.case(house.letter.update({CONTENT: stream(TEXT.replace(b"1.000.000", b"9.000.000"))}).data)


def _shaped(shape: Shape) -> Callable[[House], Case]:
    return lambda house: house.case(shapes.forge(house.rsa, shape))


def _filled_under_p1(house: House) -> Case:
    """A blank field is filled although the certification allows no change."""
    permission = b"<< /TransformMethod /DocMDP /TransformParams << /P 1 /V /1.2 >> >>"
    ink = Ink(value=b"/Reference [%s]" % permission)

    def named(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        return {CATALOG: with_entries(objects[CATALOG], b"/Perms << /DocMDP %d 0 R >>" % value)}

    certified = house.forge.sign(Paper.new(), b"Lanh dao", ink, more=named)
    return house.case(certified.added(NUMBER, b"/V (120)").data)


def _behind_the_end(house: House) -> Case:
    """Page content behind the last section: only recovering readers see it."""
    hidden = b"4 0 obj\n<< /Length 5 >>\nstream\n0 g f\nendstream\nendobj\n"
    return house.case(house.small + hidden)


def _lost_data(house: House) -> Case:
    once = house.letter.added(CATALOG, b"/DSS << /Certs [90 0 R] >>", {90: stream(b"one")})
    body = once.objects[CATALOG].replace(b"[90 0 R]", b"[91 0 R]")
    return house.case(once.update({CATALOG: body, 91: stream(b"two")}).data)


def encrypted(house: House) -> Case:
    return house.case(simple().replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt << /Filter /Standard >>"))


def _stray(house: House) -> Case:
    stray = b"<< /Type /Sig /SubFilter /adbe.pkcs7.detached /ByteRange [0 1 2 3] /Contents <00> >>"
    return house.case(update(house.small, {96: stray}))


def _rights() -> Shape:
    rights = b"<< /Type /Sig /Filter /Adobe.PPKLite /ByteRange [0 1 2 3] /Contents <00> >>"
    return Shape(
        catalog=b"<< /Type /Catalog /Pages 2 0 R /AcroForm 5 0 R /Perms << /UR3 8 0 R >> >>", more=((8, rights),)
    )


# --- XML -------------------------------------------------------------------------------------------------------------


def changed_text(house: House) -> Case:
    return house.case(house.xml().replace(b"noi dung", b"nol dung"))


def changed_value(house: House) -> Case:
    data = house.xml()
    found = re.search(rb"<(?:\w+:)?SignatureValue[^>]*>([^<]+)<", data)
    assert found is not None
    value = bytearray(base64.b64decode(found[1]))
    value[5] ^= 1
    return house.case(data.replace(found[1], base64.b64encode(bytes(value))))


def _over_part(house: House, document: str = "<env><head/><body>@</body>{signature}</env>", **maker: str) -> str:
    """Return a document with a signature beside the part it is over."""
    return Maker(house.person, **maker).signed(document.replace("@", PAY), [Ref("#b")])


def part(change: Callable[[str], str], **maker: str) -> Callable[[House], Case]:
    def make(house: House) -> Case:
        text = _over_part(house, **maker)
        changed = change(text)
        return house.case(changed.encode())

    return make


def unsupported_transform(house: House) -> Case:
    xslt = '<Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>'
    text = Maker(house.person).signed(f"<env>{PAY}{{signature}}</env>", [Ref("#b", xslt, octets=b"")])
    return house.case(text.encode())


def _seven_transforms(house: House) -> Case:
    """More steps than any honest reference takes."""
    text = Maker(house.person).signed(f"<env>{PAY}{{signature}}</env>", [Ref("#b", EXC_TRANSFORM * 7)])
    return house.case(text.encode())


def outside(house: House, *given: Content) -> Case:
    text = Maker(house.person).signed("{signature}", [Ref("letter.bin", "", octets=b"letter")])
    return house.case(text.encode(), house.context(*given))


def bare_key(house: House) -> Case:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = house.person.credential.x509.public_key()
    der = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = f'<DEREncodedKeyValue xmlns="http://www.w3.org/2009/xmldsig11#">{encode(der)}</DEREncodedKeyValue>'
    return house.case(_over_part(house, info=info).encode())


def _der_value(house: House) -> Case:
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

    text = _over_part(house)
    raw = decode(etree.fromstring(text).findtext(f".//{{{DS}}}SignatureValue") or "")
    coded = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    text = re.sub(r"(<ds:SignatureValue>)[^<]*", lambda found: found[1] + encode(coded), text)
    return house.case(text.encode())


def _unreferenced_properties(house: House) -> Case:
    """The properties are signed, but nothing says that they are properties."""
    return house.case(Foreign(house.person, type="").file())


def _other_certificate(house: House) -> Case:
    return house.case(Foreign(house.person, about=certificate_reference(house.second.certificate)).file())


def _odd_properties(house: House) -> Case:
    """``SigningCertificateV2`` lists the path before the signer: a deviation that harms nothing."""
    about = certificate_reference(*house.person.chain, house.person.certificate, version="V2")
    return house.case(Foreign(house.person, about=about).file())


def _counter_over_something_else(house: House) -> Case:
    """A counter-signature of another signature's value."""
    from tests.signer_xml.xades_house import canonical, finder

    text, other = Foreign(house.person).text(), Foreign(house.person).text()
    value = canonical(finder(other.replace("{unsigned}", "").encode())("ds:SignatureValue[@Id='s-v']"))
    over = ('URI="#s-v" Type="http://uri.etsi.org/01903#CountersignedSignature"', value)
    counter = Foreign(house.second, id="c", target="#c", over=over).text("@").replace("{unsigned}", "")
    inside = f"<x:UnsignedSignatureProperties><x:CounterSignature>{counter}</x:CounterSignature>"
    wrapped = f"<x:UnsignedProperties>{inside}</x:UnsignedSignatureProperties></x:UnsignedProperties>"
    return house.case(text.replace("{unsigned}", wrapped).encode())


def _properties_alone(house: House) -> Case:
    """A signature over nothing but its own properties, beside content."""
    octets_ = b""
    text = Foreign(house.person, over=('URI="letter.bin"', octets_)).text("<doc><sum>999</sum>@</doc>")
    return house.case(text.replace("{unsigned}", "").encode(), house.context(Content("letter.bin", octets_)))


def _placeholder(house: House) -> Case:
    text = (
        f'<edXML xmlns="{EDXML}"><edXMLHeader><Signature><SignatureValue>x</SignatureValue></Signature>'
        "</edXMLHeader></edXML>"
    )
    return house.case(text.encode())


def _entity(house: House) -> Case:
    return house.case(b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n' + house.xml())


# --- CMS -------------------------------------------------------------------------------------------------------------


def _cms(house: House, signer: Signer | None = None, *, given: bytes | None = WORDS, **more: object) -> Case:
    made = Cms((signer or Signer(house.person, WORDS),), **more)  # type: ignore[arg-type]  # fields by name
    contents = () if given is None else (Content("", given),)
    return house.case(made.encoded(), house.context(*contents))


def _with(name: str, value: bytes) -> Callable[[dict[str, bytes]], Sequence[bytes]]:
    return lambda found: sorted({**found, name: attribute(name, value)}.values())


def _twice(found: dict[str, bytes]) -> Sequence[bytes]:
    return [*sorted(found.values()), found["message_digest"]]


def _reference_to_other(house: House) -> Case:
    digest = hashlib.sha256(house.second.certificate).digest()
    reference = sequence(sequence(sequence(octets(digest))))
    return _cms(house, Signer(house.person, WORDS, change=_with("signing_certificate_v2", reference)))


def negative_modulus(house: House) -> Case:
    certificate = with_negative_modulus(house.rsa.certificate, house.pki.issuing)
    odd = DevIdentity(certificate, house.rsa.chain, house.rsa.key, Role.PERSON)
    made = Signer(house.rsa, WORDS, change=_with("signing_certificate_v2", _reference(certificate)))
    data = Cms((made,), certificates=(certificate, *odd.chain)).encoded()
    return house.case(data, house.context(Content("", WORDS)))


def _reference(certificate: bytes) -> bytes:
    return sequence(sequence(sequence(octets(hashlib.sha256(certificate).digest()))))


def open_lengths(house: House) -> Case:
    cms = Cms((Signer(house.person, WORDS),))
    data = cmsforge.to_ber(cms.encoded(), keep=cms.held())
    return house.case(data, house.context(Content("", WORDS)))


def unknown_scheme(house: House) -> Case:
    return _cms(house, Signer(house.person, WORDS, scheme=cmsforge.algorithm("1.2.643.7.1.1.3.2")))


# --- containers ------------------------------------------------------------------------------------------------------


def _members(house: House) -> dict[str, bytes]:
    return dict(read_container(house.asic()).members)


def packed(members: dict[str, bytes]) -> bytes:
    return write_zip(list(members.items()))


def unsigned_object(house: House) -> Case:
    return house.case(packed({**_members(house), "b.txt": b"nobody signed this"}))


def _missing_object(house: House) -> Case:
    members = _members(house)
    listed = members["META-INF/manifest.xml"].replace(b"a.txt", b"b.txt")
    return house.case(packed({**members, "META-INF/manifest.xml": listed}))


def _without_mimetype(house: House) -> Case:
    return house.case(packed({n: d for n, d in _members(house).items() if n != "mimetype"}))


def bad_part(house: House) -> Case:
    """A letter inside whose page was exchanged; the container itself is whole."""
    data = exchanged(house).data
    return house.case(house.asic(("letter.pdf", data, "application/pdf")))


# --- vectors ---------------------------------------------------------------------------------------------------------

_NOTHING = Line("indeterminate")

BYTES: tuple[Vector, ...] = (
    Vector(
        Code.HASH_FAILURE,
        "XML: a letter of the text is another",
        changed_text,
        failed(Code.HASH_FAILURE, crypto="bad", covers="partial"),
    ),
    Vector(
        Code.HASH_FAILURE,
        "PDF: a covered byte differs",
        lambda h: h.case(h.small.replace(b"50 700 m", b"50 701 m")),
        failed(Code.HASH_FAILURE, crypto="bad"),
    ),
    Vector(
        Code.HASH_FAILURE,
        "CMS: other content is given",
        lambda h: _cms(h, given=b"other"),
        failed(Code.HASH_FAILURE, crypto="bad"),
    ),
    Vector(
        Code.SIG_CRYPTO_FAILURE,
        "XML: the value is another",
        changed_value,
        failed(Code.SIG_CRYPTO_FAILURE, crypto="bad"),
    ),
    Vector(
        Code.SIG_CRYPTO_FAILURE,
        "CMS: a value of zeros",
        lambda h: _cms(h, Signer(h.person, WORDS, value=bytes(70))),
        failed(Code.SIG_CRYPTO_FAILURE, crypto="bad"),
    ),
    Vector(
        Code.FORMAT_FAILURE,
        "PDF: the text of a page exchanged by an update",
        exchanged,
        failed(Code.FORMAT_FAILURE, **PDF_BROKEN),
    ),
    Vector(
        Code.SIGNED_DATA_NOT_FOUND,
        "XML: the content outside is not at hand",
        outside,
        undecided(Code.SIGNED_DATA_NOT_FOUND, covers="partial", **UNKNOWN),
        facts=("letter.bin",),
    ),
    Vector(
        Code.SIGNED_DATA_NOT_FOUND,
        "CMS: detached, and nothing given",
        lambda h: _cms(h, given=None),
        undecided(Code.SIGNED_DATA_NOT_FOUND, **UNKNOWN),
    ),
    Vector(
        Code.CRYPTO_CONSTRAINTS_FAILURE,
        "XML: a transform that is not computed",
        unsupported_transform,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, covers="partial", **UNKNOWN),
    ),
    Vector(
        Code.NO_SIGNING_CERTIFICATE_FOUND,
        "PDF: a CMS without certificates",
        _shaped(Shape(make=shapes.without_certificate)),
        undecided(Code.NO_SIGNING_CERTIFICATE_FOUND, crypto="unknown"),
    ),
    Vector(
        Code.NO_SIGNING_CERTIFICATE_FOUND,
        "XML: a bare key value",
        bare_key,
        undecided(Code.NO_SIGNING_CERTIFICATE_FOUND, covers="partial"),
    ),
    # finer codes: the file
    Vector(Code.NO_SIGNATURE, "PDF: unsigned", lambda h: h.case(h.plain), _NOTHING),
    Vector(Code.NO_SIGNATURE, "XML: unsigned", lambda h: h.case(LETTER), _NOTHING),
    Vector(Code.UNREADABLE, "an empty file", lambda h: h.case(b""), _NOTHING),
    Vector(
        Code.UNREADABLE, "PDF: cut off after its first object", lambda h: h.case(b"%PDF-1.7\n1 0 obj\n(V"), _NOTHING
    ),
    Vector(Code.ENCRYPTED, "PDF: a password nobody knows", encrypted, _NOTHING),
    Vector(Code.UNSUPPORTED_FORMAT, "words of no kind", lambda h: h.case(b"\0\1words of no kind"), _NOTHING),
    Vector(Code.MALFORMED, "ZIP: nothing but its first mark", lambda h: h.case(b"PK\x03\x04"), Line("invalid")),
    Vector(
        Code.MALFORMED,
        "CMS: message-digest twice",
        lambda h: _cms(h, Signer(h.person, WORDS, change=_twice)),
        failed(Code.FORMAT_FAILURE),
    ),
    Vector(
        Code.LIMIT_EXCEEDED,
        "XML: seven transforms",
        _seven_transforms,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, covers="partial", **UNKNOWN),
    ),
    Vector(
        Code.LIMIT_EXCEEDED,
        "PDF: larger than is read",
        lambda h: h.case(h.small, replace(h.context(), limits=Limits(pdf_max_bytes=1000))),
        _NOTHING,
        facts=("PDF",),
    ),
    # finer codes: PDF
    Vector(
        Code.BYTE_RANGE_INVALID,
        "the gap is larger than the value",
        _shaped(
            Shape(
                dictionary=b"<< /Type /Sig /Filter /X /SubFilter /%F /ByteRange %R /Contents %C /Reason (x) >>",
                numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 12, n[2] - 12),
            )
        ),
        failed(Code.FORMAT_FAILURE, covers="partial"),
    ),
    Vector(Code.LATER_CHANGE_SUSPECT, "a page's text exchanged", exchanged, failed(Code.FORMAT_FAILURE, **PDF_BROKEN)),
    Vector(
        Code.PERMISSION_VIOLATED,
        "a field filled under P=1",
        _filled_under_p1,
        failed(Code.FORMAT_FAILURE, **PDF_BROKEN),
    ),
    Vector(
        Code.READINGS_DIFFER,
        "page content behind the last section",
        _behind_the_end,
        failed(Code.FORMAT_FAILURE, **PDF_BROKEN),
    ),
    Vector(
        Code.SUBFILTER_UNKNOWN,
        "a signature of a kind nobody knows",
        _shaped(Shape(sub_filter=b"Example.other", make=lambda identity, data: b"\x01\x02\x03")),
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN),
        facts=("Example.other",),
    ),
    # finer codes: XML, CMS, containers
    Vector(
        Code.ALGORITHM_UNSUPPORTED,
        "XML: XSLT",
        unsupported_transform,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, covers="partial", **UNKNOWN),
        facts=("xslt",),
    ),
    Vector(
        Code.ALGORITHM_UNSUPPORTED,
        "CMS: a scheme nobody computes",
        unknown_scheme,
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN),
    ),
    Vector(
        Code.XML_WRAPPING,
        "the signed part moved, another in its place",
        part(lambda text: text.replace("<head/>", f"<head>{PAY}</head>").replace(f"<body>{PAY}", f"<body>{EVIL}")),
        failed(Code.FORMAT_FAILURE, covers="partial"),
    ),
    Vector(
        Code.DUPLICATE_ID,
        "the id on a second element",
        part(lambda text: text.replace("<head/>", '<head Id="b"/>')),
        failed(Code.FORMAT_FAILURE, covers="partial"),
        facts=("b",),
    ),
    Vector(
        Code.SIGNED_PROPERTIES_INVALID,
        "the reference to the properties does not say so",
        _unreferenced_properties,
        failed(Code.FORMAT_FAILURE),
    ),
    Vector(
        Code.COUNTER_SIGNATURE_BROKEN,
        "XML: over another signature's value",
        _counter_over_something_else,
        failed(Code.HASH_FAILURE, crypto="bad", covers="partial"),
        signature="c",
    ),
    Vector(
        Code.SIGNING_CERTIFICATE_MISMATCH,
        "XML: the reference names another certificate",
        _other_certificate,
        failed(Code.FORMAT_FAILURE),
    ),
    Vector(
        Code.SIGNING_CERTIFICATE_MISMATCH,
        "CMS: the reference names another certificate",
        _reference_to_other,
        failed(Code.FORMAT_FAILURE),
    ),
    Vector(
        Code.CONTENT_NOT_SIGNED,
        "ASiC: an object no signature covers",
        unsigned_object,
        passed(verdict="invalid", covers="partial"),
        facts=("b.txt",),
    ),
    Vector(
        Code.MANIFEST_MISMATCH,
        "ASiC: the list names a file that is not there",
        _missing_object,
        passed(verdict="invalid"),
        facts=("b.txt",),
    ),
    Vector(Code.DOCTYPE_REFUSED, "an entity of another file", _entity, _NOTHING),
    # warnings
    Vector(
        Code.TRAILING_BYTES,
        "PDF: words behind the end",
        lambda h: h.case(h.small + b"ghi chu\n"),
        passed(),
        "warnings",
        facts=("8",),
    ),
    Vector(Code.REPAIRED, "PDF: startxref slightly off", _shaped(Shape(drift=3)), passed(), "warnings"),
    Vector(Code.REPAIRED, "ASiC: no mimetype", _without_mimetype, passed(), "warnings"),
    Vector(Code.PART_NOT_VALID, "ASiC: a letter inside that is not", bad_part, passed(), "warnings"),
    Vector(Code.HEADER_SIGNATURE_PLACEHOLDER, "edXML: the header's own element", _placeholder, _NOTHING, "warnings"),
    Vector(
        Code.SIGNATURE_NOT_IN_FORM,
        "PDF: a signature no field reaches",
        _stray,
        passed(covers="revision", later="allowed"),
        "warnings",
    ),
    Vector(Code.USAGE_RIGHTS, "PDF: rights a program grants itself", _shaped(_rights()), passed(), "warnings"),
    Vector(Code.ATTRIBUTES_NOT_DER, "CMS: lengths left open", open_lengths, passed(), "warnings"),
    Vector(
        Code.CERTIFICATE_ENCODING,
        "CMS: a modulus written as a negative number",
        negative_modulus,
        passed(),
        "warnings",
    ),
    Vector(
        Code.CONTENTS_PADDING,
        "PDF: octets behind the value",
        _shaped(Shape(make=shapes.followed(b"\0\0xyz"))),
        passed(),
        "warnings",
    ),
    Vector(
        Code.VALIDATION_DATA_LOST,
        "PDF: /DSS written anew with less",
        _lost_data,
        passed(covers="revision", later="allowed"),
        "warnings",
    ),
    Vector(
        Code.DOCTYPE_PRESENT,
        "XML: a document type without entities",
        part(lambda text: "<!DOCTYPE env [<!ATTLIST head key ID #IMPLIED>]>" + text),
        passed(covers="partial"),
        "warnings",
    ),
    Vector(Code.PARTIAL_COVERAGE, "XML: a part is signed", part(str), passed(covers="partial"), "warnings"),
    Vector(Code.SIGNATURE_VALUE_DER, "XML: ECDSA coded in DER", _der_value, passed(covers="partial"), "warnings"),
    Vector(Code.PROPERTIES_DEVIATE, "XAdES: the path before the signer", _odd_properties, passed(), "warnings"),
)
"""What is signed, changed, hidden or cannot be read."""
