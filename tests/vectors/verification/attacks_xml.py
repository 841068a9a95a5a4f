"""Attack files of XML by the classes of signing.md 5.5 and 10, A3: enveloped, enveloping, detached; our profiles."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import replace

from lxml import etree

from signer.algorithms import Scheme
from signer.asn1 import resigned
from signer.report import Code
from signer.xml.c14n import canonical, digest
from signer.xml.dsig import DS, MANIFEST_TYPE, encode
from signer.xml.profiles import Slip, seal_xml
from signer.xml.sign import sign_xml
from signer.xml.xades import Layout, ReferenceLayout, sign
from tests.signer_xml.conftest import message
from tests.signer_xml.makers import Maker, Ref
from tests.signer_xml.test_seal import SWAPS
from tests.signer_xml.test_xml_attacks import TRANSFORMS
from tests.signer_xml.test_xml_wrapping import ATTACKS, NEIGHBOURS, PAY, SHAPES
from tests.vectors.verification.attack import Attack, Make, one
from tests.vectors.verification.house import UNKNOWN, Case, House, Line, failed, passed, undecided
from tests.vectors.verification.meaning_vectors import HONEST_DAY, drawn

NAMES = {"within": "enveloped", "around": "enveloping", "beside": "detached"}
WRAPPED = failed(Code.FORMAT_FAILURE, covers="partial")
DIGEST = failed(Code.HASH_FAILURE, crypto="bad", covers="partial")
PART = '<p Id="t"><amount>100</amount></p>'
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"


def shaped(attack: Callable[[str, str], str]) -> dict[str, Make]:
    """Return an attack on a signed part, by text, in all three forms."""

    def made(shape: str) -> Make:
        def make(house: House) -> Case:
            text, part = SHAPES[shape](house.person)
            return house.case(attack(text, part).encode())

        return make

    return {NAMES[shape]: made(shape) for shape in SHAPES}


def honest(attack: Callable[[str, str], str] = NEIGHBOURS["nothing"], shape: str = "beside") -> Make:
    """Return a harmless change of the same file."""
    return shaped(attack)[NAMES[shape]]


# --- XAdES in the three forms ----------------------------------------------------------------------------------------


def enveloped(house: House) -> str:
    """A signature inside the document it is over."""
    return sign_xml(b"<doc><amount>100</amount></doc>", credential=house.person.credential, at=house.now).decode()


def enveloping(house: House) -> str:
    """A signature around its object."""
    payload = '<ds:Object Id="payload"><amount xmlns="">100</amount></ds:Object>'
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "#payload"),), objects=payload)
    return sign(layout, credential=house.person.credential, scheme=Scheme.ECDSA_SHA256, at=house.now)


def detached(house: House) -> str:
    """A signature beside the part it is over."""
    found = digest(canonical(etree.fromstring(PART)))
    layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "#t", digest=found),))
    signature = sign(layout, credential=house.person.credential, scheme=Scheme.ECDSA_SHA256, at=house.now)
    return f"<doc>{PART}{signature}</doc>"


FORMS: dict[str, Callable[[House], str]] = {"enveloped": enveloped, "enveloping": enveloping, "detached": detached}


def xades(attack: Callable[[House, str], str]) -> dict[str, Make]:
    """Return an attack on the text of a XAdES file in all three forms."""

    def made(form: Callable[[House], str]) -> Make:
        return lambda house: house.case(attack(house, form(house)).encode())

    return {name: made(form) for name, form in FORMS.items()}


def by_form(line: Line, **covers: str) -> dict[str, Line]:
    """Return the line of each form: what they cover differs."""
    usual = {"enveloped": "whole-document", "enveloping": "whole-document", "detached": "partial", **covers}
    return {name: replace(line, covers=usual[name]) for name in FORMS}


def once(text: str, old: str, new: str) -> str:
    """Replace the first of what must be there."""
    assert old in text, old
    return text.replace(old, new, 1)


def target_elsewhere(_house: House, text: str) -> str:
    """``Target`` names another signature."""
    return re.sub(r' Target="#[^"]*"', ' Target="#other"', text, count=1)


def properties_twice(_house: House, text: str) -> str:
    """A second ``QualifyingProperties`` with nothing in it."""
    more = '<xades:QualifyingProperties xmlns:xades="http://uri.etsi.org/01903/v1.3.2#"/>'
    return once(text, "</xades:QualifyingProperties>", "</xades:QualifyingProperties>" + more)


def other_certificate(house: House, text: str) -> str:
    """A certificate of the same key and subject that the signer did not name: the mathematics hold."""
    again = resigned(house.person.certificate, house.pki.issuing.key, digest="sha1")
    return once(text, encode(house.person.certificate), encode(again))


def stranger_certificate(house: House, text: str) -> str:
    """Another person's certificate."""
    return once(text, encode(house.person.certificate), encode(house.second.certificate))


def countered(house: House, text: str, *, name: str) -> str:
    """Add a counter-signature over an element of the signature: its value, or another."""
    root = etree.fromstring(text)
    target = next(e for e in root.iter(etree.Element) if etree.QName(e).localname == name)
    reference = ReferenceLayout("c1", f"#{target.get('Id')}", digest=digest(canonical(target)))
    layout = Layout("c", "cv", "cprops", "c2", (reference,))
    counter = sign(layout, credential=house.second.credential, scheme=Scheme.ECDSA_SHA256, at=house.now)
    unsigned = (
        "<xades:UnsignedProperties><xades:UnsignedSignatureProperties><xades:CounterSignature>"
        f"{counter}</xades:CounterSignature></xades:UnsignedSignatureProperties></xades:UnsignedProperties>"
    )
    return once(text, "</xades:QualifyingProperties>", unsigned + "</xades:QualifyingProperties>")


def keyed_with_the_certificate(house: House, text: str) -> str:
    """HMAC in place of the signature, keyed with what everybody has."""
    text = re.sub(r'(SignatureMethod Algorithm=")[^"]*', r"\1http://www.w3.org/2001/04/xmldsig-more#hmac-sha256", text)
    info = next(etree.fromstring(text).iter(f"{{{DS}}}SignedInfo"))
    value = hmac.new(house.person.certificate, b"".join(canonical(info)), hashlib.sha256).digest()
    return re.sub(r"(<ds:SignatureValue[^>]*>)[^<]*", lambda found: found[1] + encode(value), text, count=1)


def short_hmac(house: House, *, bits: int) -> Case:
    """HMAC under a secret the verifier has, cut to so many bits."""
    secret = b"0123456789abcdef"
    method = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256"
    length = f"<ds:HMACOutputLength>{bits}</ds:HMACOutputLength></ds:SignatureMethod>"
    text = Maker(house.person, method=method, info="").signed(f"<env>{PAY}{{signature}}</env>", [Ref("#b")])
    text = once(
        text, f'<ds:SignatureMethod Algorithm="{method}"/>', f'<ds:SignatureMethod Algorithm="{method}">{length}'
    )
    info = next(etree.fromstring(text).iter(f"{{{DS}}}SignedInfo"))
    value = hmac.new(secret, b"".join(canonical(info)), hashlib.sha256).digest()[: bits // 8]
    text = re.sub(r"(<ds:SignatureValue[^>]*>)[^<]*", lambda found: found[1] + encode(value), text, count=1)
    return house.case(text.encode(), replace(house.context(), secrets=(secret,)))


def manifest(value: bytes, *, inside: bool = False) -> str:
    """Return an object with a manifest that refers to the part."""
    first = '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#enveloped-signature"/>' if inside else ""
    return (
        f'<ds:Object><ds:Manifest Id="m"><ds:Reference URI="#b"><ds:Transforms>{first}<ds:Transform Algorithm='
        '"http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms><ds:DigestMethod Algorithm='
        f'"{SHA256}"/><ds:DigestValue>{encode(value)}</ds:DigestValue></ds:Reference></ds:Manifest></ds:Object>'
    )


def through_manifest(form: str, *, good: bool) -> Make:
    """Return a signature over a manifest over a part: in its own object, around it, beside it."""

    def make(house: House) -> Case:
        refs = [Ref("#m", type=MANIFEST_TYPE)]
        value = hashlib.sha256(PAY.encode()).digest() if good else bytes(32)
        if form == "detached":
            text = Maker(house.person).signed(f"<env>{PAY}{{signature}}</env>", refs, objects=manifest(value))
        elif form == "enveloped":
            inner = PAY.replace("</pay>", "{signature}</pay>")
            objects = manifest(value, inside=True)
            text = Maker(house.person).signed(f"<env>{inner}</env>", refs, objects=objects)
        else:
            holder = f'<ds:Object xmlns:ds="{DS}" Id="b"><pay xmlns=""><sum>100</sum></pay></ds:Object>'
            value = hashlib.sha256(holder.encode()).digest() if good else bytes(32)
            text = Maker(house.person).signed("<env>{signature}</env>", refs, objects=holder + manifest(value))
        return house.case(text.encode())

    return make


def transformed(name: str) -> Make:
    """Return a part signed by way of a transform that is not computed."""

    def make(house: House) -> Case:
        found = digest(canonical(etree.fromstring(PART)))
        layout = Layout("s", "v", "props", "r2", (ReferenceLayout("r1", "#t", (TRANSFORMS[name],), digest=found),))
        text = sign(layout, credential=house.person.credential, scheme=Scheme.ECDSA_SHA256, at=house.now)
        return house.case(f"<doc>{PART}{text}</doc>".encode())

    return make


def with_doctype(doctype: str) -> Make:
    """Return the signed letter behind a document type."""
    return lambda house: house.case(doctype.encode() + house.xml())


# --- our profiles ----------------------------------------------------------------------------------------------------

ID = "6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"


def sealed(house: House, *, attachment: str = "QUJDREVG", sender: str = "H99.01") -> bytes:
    """Return a small sealed message."""
    slip = Slip(ID, sender, "edoc", house.now)
    return seal_xml(message(attachment=attachment), slip=slip, credential=house.exchange.credential)


def swapped(*names: str) -> dict[str, Make]:
    """Return alterations of the seal, by their names in its tests."""

    def made(name: str) -> Make:
        old, new, _ = SWAPS[name]
        return lambda house: house.case(sealed(house).replace(old, new, 1))

    return {name: made(name) for name in names}


def slip_of_another(house: House) -> Case:
    """The whole slip of another message of the same sender."""
    pattern = re.compile(rb'<ds:Object Id="slip">.*?</ds:Object>')
    found = pattern.search(sealed(house, attachment="WFla", sender="H99.02"))
    assert found is not None
    return house.case(pattern.sub(lambda _: found[0], sealed(house)))


def seal_of(data: bytes) -> tuple[int, int]:
    """Return where the seal begins and ends."""
    return data.index(b"<ds:Signature "), data.index(b"</ds:Signature>") + len(b"</ds:Signature>")


def seal_twice(house: House) -> Case:
    """The seal a second time behind itself."""
    data = sealed(house)
    start, end = seal_of(data)
    return house.case(data[:end] + data[start:end] + data[end:])


def seal_inside(house: House) -> Case:
    """The seal moved into the envelope."""
    data = sealed(house)
    start, end = seal_of(data)
    close = b"</edXML:edXMLEnvelope>"
    return house.case((data[:start] + data[end:]).replace(close, data[start:end] + close))


def run(change: Callable[[bytes], bytes], *, long: bool = True) -> Make:
    """Return a message whose attachment, a run that is hashed as it passes, is altered."""

    def make(house: House) -> Case:
        data = sealed(house, attachment="QUJD" * 3000 if long else "QUJDREVG")
        place = data.index(b"QUJD" * 100) + 4096
        return house.case(data[:place] + change(data[place : place + 4]) + data[place + 4 :])

    return make


def run_in_attribute(house: House) -> Case:
    """The run moved into an attribute, where readers do not look."""
    data = sealed(house, attachment="QUJD" * 3000)
    found = re.search(rb"<Content>((?:QUJD)+)</Content>", data)
    assert found is not None
    return house.case(data.replace(found[0], b'<Content run="%s"></Content>' % found[1]))


def sealed_letter(house: House) -> Case:
    """A sealed message with a signed letter, as an office sends it."""
    return drawn(house, number="120", day=HONEST_DAY)


SMALL_ID = ATTACKS["the ID in small letters on another element"]
BROKEN_SEAL = failed(Code.FORMAT_FAILURE, crypto="ok")
CHANGED_SEAL = failed(Code.HASH_FAILURE, crypto="bad")

XML: tuple[Attack, ...] = (
    Attack(
        "W1 an id twice",
        "the id of the signed part, or any other, on a second element, in any letter case",
        {
            **shaped(ATTACKS["the ID on another element"]),
            **{
                f"{k}, small letters": v
                for k, v in shaped(ATTACKS["the ID in small letters on another element"]).items()
            },
        },
        WRAPPED,
        (Code.DUPLICATE_ID,),
        neighbour=honest(NEIGHBOURS["one more ID"]),
        beside="one more id",
        also=("test_xml_attacks.py::test_an_id_declared_in_the_file_counts_too",),
    ),
    Attack(
        "W2 target moved into a signature",
        "the signed part is hidden in a signature of nobody, another one stands in its place",
        shaped(ATTACKS["part moved into a signature of nobody"]),
        WRAPPED,
        (Code.XML_WRAPPING,),
        signature="s",
        neighbour=honest(NEIGHBOURS["comments, instructions and white space outside"]),
        beside="comments, instructions and white space outside",
    ),
    Attack(
        "W3 unsigned twin",
        "another element of the signed one's name: before it, behind it, in its place, deep in the head",
        {
            f"{form}, {name}": make
            for name in (
                "another one before",
                "another one behind",
                "another one deep in the head",
                "part moved to the head, another in its place",
                "the whole document inside of another one",
            )
            for form, make in shaped(ATTACKS[name]).items()
        },
        WRAPPED,
        (Code.XML_WRAPPING,),
        neighbour=honest(NEIGHBOURS["names from inside the part elsewhere"]),
        beside="names from inside the part elsewhere",
        also=("test_xml_wrapping.py::test_a_part_that_can_be_mistaken_is_broken",),
    ),
    Attack(
        "W4 content in the signature",
        "a fake object, or content among the keys, beside what is signed",
        {
            f"{form}, {name}": make
            for name in ("another one in the signature", "another one in the signature's keys")
            for form, make in shaped(ATTACKS[name]).items()
        },
        WRAPPED,
        (Code.XML_WRAPPING,),
        neighbour=honest(NEIGHBOURS["nothing"], "around"),
        beside="an enveloping signature over its one object",
        also=("test_xml_wrapping.py::test_several_objects_in_one_signature",),
    ),
    Attack(
        "W5 properties not this signature's",
        "`Target` names another signature; a second `QualifyingProperties`",
        {
            **{f"{k}, target": v for k, v in xades(target_elsewhere).items()},
            **{f"{k}, twice": v for k, v in xades(properties_twice).items()},
        },
        failed(Code.FORMAT_FAILURE),
        (Code.SIGNED_PROPERTIES_INVALID,),
        neighbour=xades(lambda house, text: text)["enveloped"],
        beside="the properties as they are",
        also=("test_xml_attacks.py::test_properties_that_nobody_signed_are_broken",),
        lines={
            f"{name}, {what}": line
            for what in ("target", "twice")
            for name, line in by_form(failed(Code.FORMAT_FAILURE)).items()
        },
    ),
    Attack(
        "W6 certificate exchanged",
        "another certificate of the same key in its place",
        xades(other_certificate),
        failed(Code.FORMAT_FAILURE),
        (Code.SIGNING_CERTIFICATE_MISMATCH,),
        neighbour=xades(lambda house, text: text)["detached"],
        beside="the certificate the signer named",
        lines=by_form(failed(Code.FORMAT_FAILURE)),
    ),
    Attack(
        "W6 certificate of a stranger",
        "another person's certificate in its place",
        xades(stranger_certificate),
        failed(Code.SIG_CRYPTO_FAILURE, crypto="bad"),
        (Code.SIGNING_CERTIFICATE_MISMATCH,),
        neighbour=xades(lambda house, text: text)["enveloping"],
        beside="the certificate the signer named",
        lines=by_form(failed(Code.SIG_CRYPTO_FAILURE, crypto="bad")),
    ),
    Attack(
        "W7 manifest that does not hold",
        "the signed manifest has another digest of the part",
        {form: through_manifest(form, good=False) for form in FORMS},
        DIGEST,
        (Code.MANIFEST_MISMATCH,),
        neighbour=through_manifest("detached", good=True),
        beside="a manifest whose references hold",
        also=("test_xml_wrapping.py::test_a_fake_manifest_beside_the_signed_one_is_broken",),
    ),
    Attack(
        "W8 counter-signature over something else",
        "over the properties of the signature, not its value",
        xades(lambda house, text: countered(house, text, name="SignedProperties")),
        failed(Code.FORMAT_FAILURE, covers="partial"),
        (Code.COUNTER_SIGNATURE_BROKEN,),
        signature="c",
        neighbour=xades(lambda house, text: countered(house, text, name="SignatureValue"))["enveloped"],
        beside="a counter-signature over the value",
    ),
    Attack(
        "W9 HMAC with a public key",
        "the signature replaced by an HMAC keyed with the certificate",
        xades(keyed_with_the_certificate),
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN),
        (Code.ALGORITHM_UNSUPPORTED,),
        neighbour=xades(lambda house, text: text)["detached"],
        beside="the signature as it was",
        lines=by_form(undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN)),
    ),
    Attack(
        "short HMAC",
        "under a secret the verifier has, but cut to 64 bits",
        one(lambda h: short_hmac(h, bits=64)),
        failed(Code.FORMAT_FAILURE, covers="partial", crypto="unknown"),
        neighbour=lambda h: short_hmac(h, bits=128),
        beside="cut to 128 bits: intact, though nobody is named",
        anonymous=True,
        also=(
            "test_xml_with_xmlsec1.py::test_an_hmac_of_a_length_that_proves_nothing_is_broken_even_without_a_secret",
            "test_xml_with_xmlsec1.py::test_a_shortened_hmac_holds_as_long_as_it_is_long_enough",
        ),
    ),
    Attack(
        "W10 comments that split text",
        "a comment in the signed text: readers that stop there would see less; the verified tree has the joined text",
        one(lambda h: h.case(enveloped(h).replace("<amount>100", "<amount>1<!-- -->00").encode())),
        passed(),
        harmless=True,
        neighbour=lambda h: h.case(enveloped(h).encode()),
        beside="the text in one piece; our own profiles refuse comments, see below",
        also=("test_xml_attacks.py::test_comments_do_not_split_what_a_reader_gets",),
    ),
    Attack(
        "target moved",
        "the signed part stands elsewhere, one without an id where readers look",
        shaped(ATTACKS["part moved to the head, one without an ID in its place"]),
        WRAPPED,
        (Code.XML_WRAPPING,),
        neighbour=honest(NEIGHBOURS["the whole document inside of another one"]),
        beside="the whole document inside of another one",
    ),
    Attack(
        "target duplicated",
        "one of the same id in its place",
        shaped(ATTACKS["part moved to the head, one of the same ID in its place"]),
        WRAPPED,
        (Code.DUPLICATE_ID,),
        neighbour=honest(NEIGHBOURS["an unsigned element of another name"]),
        beside="an unsigned element of another name",
    ),
    Attack(
        "target renamed",
        "the signed part gets another name in place",
        shaped(lambda text, part: text.replace("<sum>100</sum>", "<total>100</total>")),
        DIGEST,
        (Code.HASH_FAILURE,),
        neighbour=honest(NEIGHBOURS["a declaration and an encoding"]),
        beside="a declaration and an encoding",
    ),
    Attack(
        "foreign transform",
        "XSLT, XPath of any kind, an unknown filter: whatever could make something else of the content",
        {name: transformed(name) for name in TRANSFORMS if name != "seven"},
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, covers="partial", **UNKNOWN),
        (Code.ALGORITHM_UNSUPPORTED,),
        neighbour=xades(lambda house, text: text)["detached"],
        beside="canonical form alone",
        also=("test_xml_wrapping.py::test_only_the_signed_reading_of_a_filter_counts",),
    ),
    Attack(
        "entity or external document type",
        "an entity of another file, entities that multiply, an external subset",
        {
            "file": with_doctype('<!DOCTYPE letter [<!ENTITY x SYSTEM "file:///etc/passwd">]>'),
            "multiplying": with_doctype('<!DOCTYPE letter [<!ENTITY a "aa"><!ENTITY b "&a;&a;">]>'),
            "external": with_doctype('<!DOCTYPE letter SYSTEM "http://example.invalid/a.dtd">'),
        },
        Line("indeterminate"),
        (Code.DOCTYPE_REFUSED,),
        neighbour=with_doctype("<!DOCTYPE letter [<!ATTLIST letter key ID #IMPLIED>]>"),
        beside="a document type of attributes alone",
        also=("test_safe_reading.py::test_hostile_xml_is_refused_fast_with_its_code",),
    ),
)
"""A3, XML of anybody."""

OURS: tuple[Attack, ...] = (
    Attack(
        "slip changed",
        "another sender, a field more, another signing time",
        swapped("slip", "slip with a foreign field"),
        CHANGED_SEAL,
        (Code.HASH_FAILURE,),
        neighbour=sealed_letter,
        beside="the message as it was sealed",
    ),
    Attack(
        "slip of another message",
        "the whole slip of another sealed message in its place",
        one(slip_of_another),
        CHANGED_SEAL,
        (Code.HASH_FAILURE,),
        neighbour=sealed_letter,
        beside="its own slip",
        also=("test_seal.py::test_the_slip_of_another_message_is_broken",),
    ),
    Attack(
        "two seals",
        "the seal stands twice",
        one(seal_twice),
        CHANGED_SEAL,
        (Code.XML_WRAPPING, Code.DUPLICATE_ID),
        neighbour=sealed_letter,
        beside="one seal",
    ),
    Attack(
        "seal not last",
        "moved into the envelope; an element or text behind it",
        {"inside": seal_inside, **swapped("element behind the seal", "behind the seal")},
        CHANGED_SEAL,
        (Code.XML_WRAPPING,),
        lines={"inside": BROKEN_SEAL},
        neighbour=sealed_letter,
        beside="the seal as last child of the root",
    ),
    Attack(
        "run with a foreign character",
        "in an attachment that is hashed as it passes: another letter, a blank, a character that is no base64",
        {
            "letter": run(lambda _: b"QUJE"),
            "blank": run(lambda found: b" " + found),
            "foreign": run(lambda _: b"QU-D"),
        },
        CHANGED_SEAL,
        (Code.HASH_FAILURE,),
        neighbour=sealed_letter,
        beside="the run as it was",
        also=("test_seal_streamed.py::test_a_changed_octet_is_never_streamed_to_another_answer",),
    ),
    Attack(
        "run in comment, attribute, CDATA",
        "the run split by a comment, wrapped in CDATA, moved into an attribute",
        {
            "comment": run(lambda found: b"<!---->" + found),
            "CDATA": run(lambda found: b"<![CDATA[" + found + b"]]>"),
            "attribute": run_in_attribute,
        },
        BROKEN_SEAL,
        lines={"attribute": CHANGED_SEAL},
        neighbour=sealed_letter,
        beside="the run as one text",
    ),
    Attack(
        "spelling of our own",
        "single quotes, white space in tags, unused declarations, carriage returns: what no writer of ours writes",
        swapped("white space in a tag", "single quotes", "unused declaration", "carriage return", "split text"),
        BROKEN_SEAL,
        (Code.MALFORMED,),
        neighbour=sealed_letter,
        beside="the one spelling",
        also=("test_declaration.py::test_anything_the_writer_would_not_write_is_refused",),
    ),
)
"""A3, our profiles."""
