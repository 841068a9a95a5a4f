"""What KeyInfo offers, in every form; what the caller gives; values in odd encodings (signing.md 5.2, W6, W9)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import load_der_x509_certificate
from lxml import etree

from signer.devpki import DevIdentity
from signer.report import Code, Covers, Integrity, Report, Verdict
from signer.trust import Content, Context
from signer.xml.c14n import canonical
from signer.xml.dsig import DS, DS11, MORE, MORE_2021, decode, encode
from signer.xml.keynames import same_name
from signer.xml.verify import inspect_xml
from tests.signer_xml.makers import Maker, Ref

PAY = '<pay Id="b"><sum>100</sum></pay>'


def _signed(identity: DevIdentity, info: str, *, more: str = "") -> str:
    return Maker(identity, info=info).signed(f"<doc>{PAY}{{signature}}{more}</doc>", [Ref("#b")])


def _report(text: str, context: Context) -> Report:
    return inspect_xml(text.encode(), context=context)


def _x509(inner: str) -> str:
    return f"<ds:X509Data>{inner}</ds:X509Data>"


def _coordinates(identity: DevIdentity) -> tuple[ec.EllipticCurvePublicNumbers, bytes]:
    key = load_der_x509_certificate(identity.certificate).public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    return key.public_numbers(), key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def _bare_keys(identity: DevIdentity) -> dict[str, str]:
    numbers, point = _coordinates(identity)
    spki = load_der_x509_certificate(identity.certificate).public_key()
    der = spki.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    key = f"<PublicKey>{encode(point)}</PublicKey></ECKeyValue></ds:KeyValue>"
    opening = f'<ds:KeyValue><ECKeyValue xmlns="{DS11}">'
    return {
        "named curve": f'{opening}<NamedCurve URI="urn:oid:1.2.840.10045.3.1.7"/>{key}',
        "parameters": f"{opening}<ECParameters><Order>{encode(ec.SECP256R1().group_order.to_bytes(32))}</Order>"
        f"</ECParameters>{key}",
        "the form of RFC 4050": f'<ds:KeyValue><ECDSAKeyValue xmlns="{MORE}"><DomainParameters><NamedCurve '
        f'URN="urn:oid:1.2.840.10045.3.1.7"/></DomainParameters><PublicKey><X Value="{numbers.x}"/>'
        f'<Y Value="{numbers.y}"/></PublicKey></ECDSAKeyValue></ds:KeyValue>',
        "DER": f'<DEREncodedKeyValue xmlns="{DS11}">{encode(der)}</DEREncodedKeyValue>',
    }


@pytest.mark.parametrize("form", ["named curve", "parameters", "the form of RFC 4050", "DER"])
def test_a_bare_key_settles_integrity_and_names_nobody(form: str, person: DevIdentity, context: Context) -> None:
    text = _signed(person, _bare_keys(person)[form])
    report = _report(text, context)
    assert (report.verdict, report.signatures[0].integrity) == (Verdict.INDETERMINATE, Integrity.INTACT)
    assert report.reasons[0].code is Code.NO_SIGNING_CERTIFICATE_FOUND
    assert _report(text.replace("100", "101"), context).signatures[0].integrity is Integrity.BROKEN


def test_somebody_elses_bare_key_does_not_fit(person: DevIdentity, agency: DevIdentity, context: Context) -> None:
    for info in _bare_keys(agency).values():
        assert _report(_signed(person, info), context).reasons[0].code is Code.SIG_CRYPTO_FAILURE


def test_curves_are_those_we_know_and_no_others(person: DevIdentity, context: Context) -> None:
    """A curve of the signer's own making has any key one likes."""
    good = _bare_keys(person)
    for info in (
        good["named curve"].replace("3.1.7", "3.1.99"),
        good["parameters"].replace("<Order>", "<Order>AA"),
        good["the form of RFC 4050"].replace("3.1.7", "3.1.99"),
        good["named curve"].replace("<PublicKey>", "<PublicKey>AAAA"),
    ):
        report = _report(_signed(person, info), context)
        assert report.signatures[0].integrity is Integrity.UNKNOWN
        assert report.reasons[0].code is Code.NO_SIGNING_CERTIFICATE_FOUND


def test_a_certificate_elsewhere_in_the_file_is_found_and_one_outside_only_if_given(
    person: DevIdentity, context: Context
) -> None:
    """RetrievalMethod and KeyInfoReference, once and inside the file."""
    leaf = encode(person.certificate)
    data = f'<ds:X509Data xmlns:ds="{DS}" Id="k"><ds:X509Certificate>{leaf}</ds:X509Certificate></ds:X509Data>'
    method = f'<ds:RetrievalMethod URI="#k" Type="{DS}X509Data"/>'
    assert _report(_signed(person, method, more=data), context).verdict is Verdict.VALID
    info = (
        f'<ds:KeyInfo xmlns:ds="{DS}" Id="k">{_x509(f"<ds:X509Certificate>{leaf}</ds:X509Certificate>")}</ds:KeyInfo>'
    )
    reference = f'<KeyInfoReference xmlns="{DS11}" URI="#k"/>'
    assert _report(_signed(person, reference, more=info), context).verdict is Verdict.VALID
    loop = f'<ds:RetrievalMethod URI="#k" Type="{DS}KeyInfo"/>'
    circle = f'<ds:KeyInfo xmlns:ds="{DS}" Id="k">{loop}</ds:KeyInfo>'
    assert _report(_signed(person, loop, more=circle), context).signatures[0].integrity is Integrity.UNKNOWN
    raw = f'<ds:RetrievalMethod URI="leaf.cer" Type="{DS}rawX509Certificate"/>'
    assert _report(_signed(person, raw), context).signatures[0].integrity is Integrity.UNKNOWN
    given = replace(context, contents=(Content("leaf.cer", person.certificate),))
    assert _report(_signed(person, raw), given).verdict is Verdict.VALID


def test_a_certificate_named_by_its_digest_is_looked_up(person: DevIdentity, context: Context) -> None:
    digest = encode(hashlib.sha256(person.certificate).digest())
    named = f'<X509Digest xmlns="{DS11}" Algorithm="http://www.w3.org/2001/04/xmlenc#sha256">{digest}</X509Digest>'
    text = _signed(person, _x509(named))
    trust = replace(context.trust, intermediates=(*context.trust.intermediates, person.certificate))
    assert _report(text, replace(context, trust=trust)).verdict is Verdict.VALID
    assert _report(text, context).reasons[0].code is Code.NO_SIGNING_CERTIFICATE_FOUND


def test_the_certificate_that_fits_is_taken_wherever_it_stands(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    leaves = [f"<ds:X509Certificate>{encode(i.certificate)}</ds:X509Certificate>" for i in (agency, person)]
    report = _report(
        _signed(person, _x509("".join(leaves)) + _x509("<ds:X509Certificate>AA</ds:X509Certificate>")), context
    )
    assert (report.verdict, report.signatures[0].name) == (Verdict.VALID, "Nguyễn Văn Mẫu")


def test_names_of_certificates_are_compared_as_people_write_them(person: DevIdentity) -> None:
    name = load_der_x509_certificate(person.certificate).subject
    written = name.rfc4514_string()
    turned = ", ".join(reversed(written.split(",")))
    for text in (
        written,
        turned,
        written.lower(),
        written.replace("=", " = "),
        re.sub(r"CN=([^,]*)", r'CN="\1"', written),
    ):
        assert same_name(text, name)
    for text in ("", "CN=Nguyễn Văn Mẫu", written + ",OU=x", written.replace("Mẫu", "Mau"), "x" * 10_000, "CN=" * 1500):
        assert not same_name(text, name)


# --- values -----------------------------------------------------------------------------------------------------------


def _with_value(text: str, value: bytes) -> str:
    return re.sub(r"(<ds:SignatureValue>)[^<]*", lambda found: found[1] + encode(value), text)


def test_a_value_coded_in_der_is_read_and_remarked_on(person: DevIdentity, context: Context) -> None:
    text = Maker(person).signed(f"<doc>{PAY}{{signature}}</doc>", [Ref("#b")])
    raw = decode(etree.fromstring(text).findtext(f".//{{{DS}}}SignatureValue") or "")
    r, s = int.from_bytes(raw[:32]), int.from_bytes(raw[32:])
    report = _report(_with_value(text, encode_dss_signature(r, s)), context)
    assert report.verdict is Verdict.VALID
    assert Code.SIGNATURE_VALUE_DER in {w.code for w in report.signatures[0].warnings}
    assert Code.SIGNATURE_VALUE_DER not in {w.code for w in _report(text, context).signatures[0].warnings}
    for value in (raw[:-1], raw + b"\0", encode_dss_signature(r, s) + b"\0", b"", raw[32:] + raw[:32], bytes(64)):
        assert _report(_with_value(text, value), context).reasons[0].code is Code.SIG_CRYPTO_FAILURE


@pytest.mark.parametrize(
    "curve", [ec.BrainpoolP256R1(), ec.BrainpoolP512R1(), ec.SECP521R1(), ec.SECP256K1(), None, 448]
)
def test_other_curves_and_edwards_keys_are_computed(
    curve: ec.EllipticCurve | int | None, person: DevIdentity, context: Context
) -> None:
    from cryptography.hazmat.primitives import hashes

    from signer.xml.values import raw_value

    method = f"{MORE}ecdsa-sha256"
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey
    if curve is None or curve == 448:
        method = f"{MORE_2021}eddsa-ed{'448' if curve else '25519'}"
        key = ed448.Ed448PrivateKey.generate() if curve else ed25519.Ed25519PrivateKey.generate()
    else:
        assert isinstance(curve, ec.EllipticCurve)
        key = ec.generate_private_key(curve)
    der = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    info = f'<DEREncodedKeyValue xmlns="{DS11}">{encode(der)}</DEREncodedKeyValue>'
    text = Maker(person, info=info, method=method).signed(f"<doc>{PAY}{{signature}}</doc>", [Ref("#b")])
    octets = b"".join(canonical(next(etree.fromstring(text).iter(f"{{{DS}}}SignedInfo"))))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        value = raw_value(key.public_key(), key.sign(octets, ec.ECDSA(hashes.SHA256())))
    else:
        value = key.sign(octets)
    text = _with_value(text, value)
    assert _report(text, context).signatures[0].integrity is Integrity.INTACT
    changed = bytes([value[0] ^ 1]) + value[1:]
    assert _report(_with_value(text, changed), context).signatures[0].integrity is Integrity.BROKEN


# --- content outside --------------------------------------------------------------------------------------------------


def test_a_reference_without_an_address_is_over_what_the_caller_gives(person: DevIdentity, context: Context) -> None:
    text = Maker(person).signed("{signature}", [Ref(None, "", octets=b"letter")])
    assert _report(text, context).signatures[0].integrity is Integrity.UNKNOWN
    for name in ("", "any.bin"):
        given = replace(context, contents=(Content(name, b"letter"),))
        report = _report(text, given)
        assert (report.verdict, report.signatures[0].covers) == (Verdict.VALID, Covers.WHOLE)
        other = replace(context, contents=(Content(name, b"another"),))
        assert _report(text, other).reasons[0].code is Code.HASH_FAILURE


def test_content_under_another_name_is_not_taken_but_content_without_a_name_is(
    person: DevIdentity, context: Context
) -> None:
    text = Maker(person).signed("{signature}", [Ref("letter.bin", "", octets=b"letter")])
    for name, integrity in (("letter.bin", Integrity.INTACT), ("", Integrity.INTACT), ("other.bin", Integrity.UNKNOWN)):
        given = replace(context, contents=(Content(name, b"letter"),))
        assert _report(text, given).signatures[0].integrity is integrity
    report = _report(text, context)
    assert report.reasons[0].code is Code.SIGNED_DATA_NOT_FOUND
    assert report.reasons[0].facts["name"] == "letter.bin"


def test_the_callers_key_serves_a_signature_that_brings_none(
    person: DevIdentity, agency: DevIdentity, context: Context
) -> None:
    text = _signed(person, "")
    keys = [
        load_der_x509_certificate(one.certificate)
        .public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for one in (person, agency)
    ]
    for given, integrity in ((keys[:1], "intact"), (keys[1:], "broken"), (keys, "intact"), ([b"no key"], "unknown")):
        report = _report(text, replace(context, public_keys=tuple(given)))
        assert report.signatures[0].integrity == integrity
        assert report.verdict is not Verdict.VALID
    # a signature with a certificate is checked with that one, whatever else is given
    own = _report(
        Maker(person).signed(f"<doc>{PAY}{{signature}}</doc>", [Ref("#b")]), replace(context, public_keys=(keys[1],))
    )
    assert own.verdict is Verdict.VALID
