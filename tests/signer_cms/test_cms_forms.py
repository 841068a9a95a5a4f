"""CMS in every form in which it travels is told by its content and read the same (signing.md 6, S1)."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

import pytest

from signer import der
from signer.cades.sign import sign_cades
from signer.cades.verify import inspect_cms, verify_cms
from signer.devpki import DevIdentity, DevTimestamper
from signer.errors import NotVerified
from signer.inspect import inspect_file, recognise
from signer.report import Code, Crypto, Indication, Integrity, Verdict
from signer.trust import Content, Context, TrustStore
from tests.signer_cms.cmsforge import Cms, Signer, attribute, octets, sequence, to_ber, token_of
from tests.signer_cms.conftest import Openssl


def _pem(data: bytes, label: str = "PKCS7") -> bytes:
    text = base64.encodebytes(data)
    return f"-----BEGIN {label}-----\n".encode() + text + f"-----END {label}-----\n".encode()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "DER": lambda data: data,
    "BER": lambda data: sequence_ber(data),
    "leading white space": lambda data: b"\r\n  " + data,
    "zeros behind": lambda data: data + b"\0\0\n",
    "PEM PKCS7": _pem,
    "PEM CMS with text around": lambda data: b"Sign\xc3\xa9\n\n" + _pem(data, "CMS") + b"\nend\n",
    "PEM of another label": lambda data: _pem(data, "SIGNATURE"),
    "base64 in lines": base64.encodebytes,
    "base64 in one line": base64.b64encode,
    "S/MIME": lambda data: (
        b'MIME-Version: 1.0\nContent-Type: application/pkcs7-mime; smime-type=signed-data;\n name="smime.p7m"\n'
        b"Content-Transfer-Encoding: base64\n\n" + base64.encodebytes(data)
    ),
    "bare SignedData": lambda data: der.whole(der.whole(data).parts()[1].content).encoded,
}


def sequence_ber(data: bytes) -> bytes:
    """Everything but what is signed with indefinite lengths: signed attributes stay as they are."""
    kind, wrapped = der.whole(data).parts()
    body = der.value(wrapped.content).parts()
    inner = b"".join(part.encoded for part in body)
    return b"\x30\x80" + kind.encoded + b"\xa0\x80\x30\x80" + inner + b"\0\0" * 3


@pytest.mark.parametrize("name", FORMS)
def test_every_form_is_told_and_read(name: str, person: DevIdentity, content: bytes, context: Context) -> None:
    data = FORMS[name](Cms((Signer(person, content),), content).encoded())
    report = inspect_file(data, context=context)
    assert (recognise(data), report.kind, report.format) == ("cms", "cms", "CMS enveloping")
    assert [(one.id, one.integrity, one.indication) for one in report.signatures] == [
        ("signer-0", Integrity.INTACT, Indication.PASSED)
    ]
    assert report.verdict is Verdict.VALID
    assert verify_cms(data, context=context).content == content


def test_content_may_be_written_in_pieces(person: DevIdentity, content: bytes, context: Context) -> None:
    """BER: the OCTET STRING is put together, and what was signed is its octets."""
    data = Cms((Signer(person, content),), content).encoded()
    pieces = b"".join(octets(content[at : at + 100]) for at in range(0, len(content), 100))
    at = data.index(octets(content))
    whole = der.encode(0xA0, b"\x24\x80" + pieces + b"\0\0")
    old = der.encode(0xA0, octets(content))
    assert data[at - (len(old) - len(octets(content))) : at + len(octets(content))] == old
    body = der.value(der.whole(data).parts()[1].content).parts()
    encapsulated = sequence(body[2].parts()[0].encoded, whole)
    signed = sequence(body[0].encoded, body[1].encoded, encapsulated, *(part.encoded for part in body[3:]))
    again = sequence(der.whole(data).parts()[0].encoded, der.encode(0xA0, signed))
    assert inspect_cms(again, context=context).verdict is Verdict.VALID


def test_detached_content_is_what_the_caller_gives(
    person: DevIdentity, content: bytes, context: Context, over: Context
) -> None:
    """Any name serves; of several the one that fits; none at hand is unknown, another one is broken."""
    data = Cms((Signer(person, content),)).encoded()

    def found(*given: Content) -> tuple[Integrity, Code | None]:
        (one,) = inspect_cms(data, context=replace(context, contents=given)).signatures
        return one.integrity, one.sub_indication

    assert inspect_cms(data, context=over).verdict is Verdict.VALID
    assert found(Content("letter.pdf", content)) == (Integrity.INTACT, None)
    assert found(Content("a", b"a"), Content("b", content)) == (Integrity.INTACT, None)
    assert found() == (Integrity.UNKNOWN, Code.SIGNED_DATA_NOT_FOUND)
    assert found(Content("a", b"a"), Content("b", b"b")) == (Integrity.UNKNOWN, Code.SIGNED_DATA_NOT_FOUND)
    assert found(Content("", content + b"!")) == (Integrity.BROKEN, Code.HASH_FAILURE)
    assert found(Content("letter.pdf", content + b"!")) == (Integrity.BROKEN, Code.HASH_FAILURE)


def test_a_message_of_two_parts_carries_its_content(openssl: Openssl, content: bytes, context: Context) -> None:
    """multipart/signed: the first part, with its headers, is what was signed."""
    message = openssl("cms", "-sign", "-in", "content", "-signer", "ec.pem", "-certfile", "chain.pem", "-text")
    report = inspect_file(message, context=context)
    assert (report.kind, report.verdict) == ("cms", Verdict.VALID)
    changed = inspect_file(message.replace(b"trang 1", b"trang 2", 1), context=context)
    assert (changed.verdict, changed.signatures[0].integrity) == (Verdict.INVALID, Integrity.BROKEN)


OPENSSL: dict[str, tuple[str, ...]] = {
    "EC": ("-signer", "ec.pem"),
    "RSA": ("-signer", "rsa.pem"),
    "PSS": ("-signer", "rsa.pem", "-keyopt", "rsa_padding_mode:pss"),
    "PSS, short salt": (
        *("-signer", "rsa.pem", "-keyopt", "rsa_padding_mode:pss"),
        *("-keyopt", "rsa_pss_saltlen:7", "-md", "sha384"),
    ),
    "SHA-512": ("-signer", "rsa.pem", "-md", "sha512"),
    "SHA3": ("-signer", "rsa.pem", "-md", "sha3-256"),
    "no attributes": ("-signer", "ec.pem", "-noattr"),
    "key identifier": ("-signer", "ec.pem", "-keyid"),
    "CAdES": ("-signer", "rsa.pem", "-cades"),
    "BER": ("-signer", "rsa.pem", "-stream", "-indef"),
    "two signers": ("-signer", "ec.pem", "-signer", "rsa.pem"),
}


@pytest.mark.parametrize("enclosed", [False, True], ids=["detached", "enclosed"])
@pytest.mark.parametrize("name", OPENSSL)
def test_what_openssl_signs_is_intact_and_one_changed_byte_is_not(
    name: str,
    enclosed: bool,  # a case of the table
    openssl: Openssl,
    over: Context,
    context: Context,
) -> None:
    kind = ("-nodetach",) if enclosed else ()
    how = ("-binary", "-outform", "DER", "-certfile", "chain.pem", *kind)
    data = openssl("cms", "-sign", "-in", "content", *how, *OPENSSL[name])
    report = inspect_file(data, context=context if enclosed else over)
    assert report.verdict is Verdict.VALID, report
    assert len(report.signatures) == (2 if "two" in name else 1)
    assert report.signatures[0].level == ("CAdES-B-B" if name == "CAdES" else "CMS")
    other = replace(over, contents=(Content("", b"another content"),))
    if enclosed:
        report = inspect_file(data.replace(b"trang 1", b"trang 7", 1), context=context)
    else:
        report = inspect_file(data, context=other)
    assert {one.integrity for one in report.signatures} == {Integrity.BROKEN}


def test_openssl_accepts_what_we_sign_and_refuses_it_changed(
    openssl: Openssl, person: DevIdentity, rsa: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper
) -> None:
    """Second opinion, with and without a time stamp, of both kinds of key."""
    verify = ("cms", "-verify", "-inform", "DER", "-in", "given", "-binary", "-purpose", "any", "-CAfile", "root.pem")
    when = ("-attime", str(int(now.timestamp())))
    for identity in (person, rsa):
        for profile in ("interop", "strict"):
            data = sign_cades(
                content, credential=identity.credential, at=now, level="t", timestamper=timestamper, profile=profile
            )
            assert openssl(*verify, *when, "-cades", "-content", "content", given=data) == content
            openssl(*verify, *when, "-content", "other", given=data, fails=True)
            broken = bytearray(data)
            broken[data.index(der.encode_identifier("1.2.840.113549.1.9.16.2.47")) - 60] ^= 1
            openssl(*verify, *when, "-content", "content", given=bytes(broken), fails=True)


def test_certificates_alone_are_no_signature(person: DevIdentity, context: Context) -> None:
    """A .p7b has no signer."""
    report = inspect_file(Cms((), certificates=(person.certificate,)).encoded(), context=context)
    assert (report.verdict, [one.code for one in report.reasons]) == (Verdict.INDETERMINATE, [Code.NO_SIGNATURE])
    assert report.format == "CMS certificates"


def test_encrypted_cms_says_so(openssl: Openssl, context: Context) -> None:
    data = openssl("cms", "-encrypt", "-in", "content", "-outform", "DER", "-aes128", "rsa.pem")
    report = inspect_file(data, context=context)
    assert (report.kind, [one.code for one in report.reasons]) == ("cms", [Code.ENCRYPTED])


def test_damaged_cms_is_invalid_and_never_raises(person: DevIdentity, content: bytes, context: Context) -> None:
    """A known kind, damaged beyond reading."""
    data = Cms((Signer(person, content),), content).encoded()
    for cut in (30, 200, len(data) - 1):
        report = inspect_file(data[:cut], context=context)
        assert (report.verdict, report.reasons[0].code) == (Verdict.INVALID, Code.MALFORMED)


def test_the_certificate_may_be_at_the_callers_or_nowhere(person: DevIdentity, content: bytes, over: Context) -> None:
    """Row 9: the digest says whether the content is the one signed; who signed is not known."""
    data = Cms((Signer(person, content),), certificates=()).encoded()
    (one,) = inspect_cms(data, context=over).signatures
    assert (one.integrity, one.crypto, one.sub_indication) == (
        Integrity.INTACT,
        Crypto.UNKNOWN,
        Code.NO_SIGNING_CERTIFICATE_FOUND,
    )
    held = over.with_trust(TrustStore(intermediates=(person.certificate, *person.chain)))
    assert inspect_cms(data, context=held).verdict is Verdict.VALID
    other = replace(over, contents=(Content("", b"other"),))
    assert inspect_cms(data, context=other).signatures[0].integrity is Integrity.BROKEN


def test_a_token_alone_proves_that_its_data_existed_and_is_never_valid(
    content: bytes, over: Context, context: Context, timestamper: DevTimestamper
) -> None:
    """console.md 5.3: "existed at", no signer."""
    token = token_of(content, timestamper)
    report = inspect_file(token, context=over)
    (one,) = report.signatures
    assert (report.format, report.verdict, one.kind, one.level) == (
        "TimeStampToken",
        Verdict.INDETERMINATE,
        "timestamp",
        "RFC3161",
    )
    assert (one.integrity, one.indication) == (Integrity.INTACT, Indication.PASSED)
    assert inspect_file(token, context=context).signatures[0].sub_indication is Code.SIGNED_DATA_NOT_FOUND
    wrong = inspect_file(token, context=replace(context, contents=(Content("", b"other"),)))
    assert (wrong.verdict, wrong.signatures[0].integrity) == (Verdict.INVALID, Integrity.BROKEN)


def test_an_answer_of_an_authority_is_read_as_its_token(
    content: bytes, over: Context, openssl: Openssl, timestamper: DevTimestamper
) -> None:
    query = openssl("ts", "-query", "-data", "content", "-sha256", "-cert")
    report = inspect_file(timestamper.stamp(query), context=over)
    assert (report.kind, report.format, report.signatures[0].integrity) == ("cms", "TimeStampResp", Integrity.INTACT)


def test_only_a_valid_signature_hands_back_content(person: DevIdentity, content: bytes, over: Context) -> None:
    data = Cms((Signer(person, content),)).encoded()
    assert verify_cms(data, context=over).content == content
    with pytest.raises(NotVerified):
        verify_cms(data, context=replace(over, contents=(Content("", b"other"),)))
    with pytest.raises(NotVerified):
        verify_cms(data, context=replace(over, trust=TrustStore()))


def test_integrity_does_not_depend_on_trust(person: DevIdentity, content: bytes, over: Context) -> None:
    data = Cms((Signer(person, content),)).encoded()
    (one,) = inspect_cms(data, context=replace(over, trust=TrustStore())).signatures
    assert (one.integrity, one.indication) == (Integrity.INTACT, Indication.INDETERMINATE)


def test_everything_in_indefinite_lengths_is_read(person: DevIdentity, content: bytes, over: Context) -> None:
    """The signed attributes too: they are tried in DER, with a warning (E1)."""
    cms = Cms((Signer(person, content, unsigned=(attribute("1.2.3.4", b"\x05\x00"),)),))
    data = to_ber(cms.encoded(), keep=cms.held())
    (one,) = inspect_cms(data, context=over).signatures
    assert one.integrity is Integrity.INTACT
    assert Code.ATTRIBUTES_NOT_DER in {warning.code for warning in one.warnings}
