"""Files that only the holder of a key could make, and strangers' changes to them: found by attacking the short way."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from lxml import etree

from edoc import seal as seals
from edoc.errors import SealRefused
from signer import safexml
from signer.devpki import DevIdentity, DevTimestamper
from signer.errors import InputRefused
from signer.report import Verdict
from signer.trust import Context, Limits
from signer.xml import xades
from signer.xml.profiles import Slip, inspect_declaration, inspect_seal, seal_xml, sign_declaration
from tests import world

NOT_DECLARED = ('q:a="1"', 'q:Id="1"', ':a="1"')


@pytest.mark.parametrize("odd", NOT_DECLARED)
@pytest.mark.parametrize("warned", ['<b xml:space="x"></b>', '<b xmlns="rel"></b>', ""])
def test_an_undeclared_prefix_is_refused_whatever_follows(odd: str, warned: str) -> None:
    """The library forgets the fault when it warns of something else later in the file."""
    data = f'<m xmlns="urn:m" {odd}>{warned}</m>'.encode()
    with pytest.raises(InputRefused):
        safexml.parse(data, limits=Limits())
    with pytest.raises(InputRefused):
        safexml.parse_skeleton(data, limits=Limits())


def test_a_stranger_who_writes_odd_names_into_a_sealed_message_gets_a_verdict(
    exchange_a: DevIdentity, context: Context
) -> None:
    message = seals.read_packed(world.letter("1", at=context.at, name="1-SMA-VP.pdf"))
    message_id = "0" * 8 + "-0000-4000-8000-" + "0" * 12
    sealed = seals.seal(message, message_id=message_id, credential=exchange_a.credential, at=context.at).data
    odd = sealed.replace(b"<edXML:Subject>", b'<edXML:Subject q:a="1">', 1)
    odd = odd.replace(b"<edXML:AttachmentName>", b'<edXML:AttachmentName xml:space="x">', 1)
    assert odd.count(b"xml:space") == 1
    assert inspect_seal(odd, context=context).report.verdict is not Verdict.VALID
    with pytest.raises(SealRefused):
        seals.unseal(odd, context=context)


def _big(now: datetime, *, issuer: str) -> bytes:
    """Return a certificate of some 6 KB."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "big")])
    from_whom = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
    made = x509.CertificateBuilder().subject_name(name).issuer_name(from_whom).public_key(key.public_key())
    made = made.serial_number(5).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
    padding = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3"), b"\x04\x00" * 3000)
    return made.add_extension(padding, critical=False).sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def test_long_certificates_and_stamps_of_a_signature_stay_in_the_tree() -> None:
    """A token with an RSA chain has more than 4 KiB of base64; it is no attachment."""
    long = b"QUJD" * 3000
    for tag in (b"ds:X509Certificate", b"xades:EncapsulatedTimeStamp"):
        data = b'<r xmlns:ds="urn:d" xmlns:xades="urn:x"><' + tag + b">" + long + b"</" + tag + b"></r>"
        assert safexml.skeleton_of(data).runs == {}
    other = b"<r><a>" + long + b"</a></r>"
    assert list(safexml.skeleton_of(other).runs.values()) == [long]


def test_a_declaration_with_a_long_stamp_holds(
    exchange_a: DevIdentity, context: Context, timestamper: DevTimestamper, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As authorities in service make them: with a chain, here one of the length that was taken for an attachment."""
    data = sign_declaration(
        etree.fromstring(b'<m xmlns="urn:m"></m>'),
        credential=exchange_a.credential,
        at=context.at,
        timestamper=timestamper,
    )
    monkeypatch.setattr(safexml, "RUN_MIN_BYTES", 1024)
    assert inspect_declaration(data, context=context).report.verdict is Verdict.VALID


def test_a_certificate_that_vouches_for_itself_is_not_accepted_beside_a_seal(
    exchange_a: DevIdentity, context: Context
) -> None:
    """Nobody but the signer may put certificates there unseen."""
    sealed = seal_xml(
        etree.fromstring(b'<m xmlns="urn:m"></m>'),
        slip=Slip("0" * 8 + "-0000-4000-8000-" + "0" * 12, "H99.01", "edoc", context.at),
        credential=exchange_a.credential,
    )
    stranger = base64.b64encode(_big(context.at, issuer="big"))
    added = sealed.replace(
        b"</ds:X509Certificate></ds:X509Data>",
        b"</ds:X509Certificate><ds:X509Certificate>" + stranger + b"</ds:X509Certificate></ds:X509Data>",
        1,
    )
    assert added != sealed
    assert inspect_seal(sealed, context=context).report.verdict is Verdict.VALID
    assert inspect_seal(added, context=context).report.verdict is not Verdict.VALID


@pytest.mark.parametrize("year", [1, 999, 9999])
def test_a_seal_of_a_year_in_which_nothing_is_signed_is_refused(year: int) -> None:
    with pytest.raises(ValueError, match="year"):
        xades.read_time(xades.format_time(datetime(year, 6, 1, tzinfo=UTC)))
