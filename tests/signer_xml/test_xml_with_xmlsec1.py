"""What xmlsec1 signs is read (A2, A4): parts of any document in every canonical form, old algorithms, short HMACs."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from signer.report import Code, Covers, Integrity
from signer.trust import Context
from signer.xml.c14n import FORMS
from signer.xml.dsig import DS, ENC, MORE, MORE_2007
from signer.xml.verify import inspect_xml
from tests.signer_xml.test_canonical_form import documents

pytestmark = pytest.mark.tool("xmlsec1")
SECRET = b"0123456789abcdef"
EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
NOT_SIGNATURE = (
    f'<Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"><XPath xmlns:any="{DS}">'
    "not(ancestor-or-self::any:Signature)</XPath></Transform>"
)
SUBTRACT = (
    f'<Transform Algorithm="http://www.w3.org/2002/06/xmldsig-filter2"><XPath xmlns:any="{DS}" '
    'xmlns="http://www.w3.org/2002/06/xmldsig-filter2" Filter="subtract">/descendant::any:Signature</XPath></Transform>'
)
ENVELOPED = f'<Transform Algorithm="{DS}enveloped-signature"/>'


def _transform(uri: str, prefixes: str = "") -> str:
    inner = f'<ec:InclusiveNamespaces xmlns:ec="{EXC}" PrefixList="{prefixes}"/>' if prefixes else ""
    return f'<Transform Algorithm="{uri}">{inner}</Transform>'


def _template(
    *, method: str, uri: str, transforms: str, digest: str = f"{ENC}sha256", c14n: str = EXC, parameters: str = ""
) -> str:
    return (
        f'<Signature xmlns="{DS}"><SignedInfo><CanonicalizationMethod Algorithm="{c14n}"/><SignatureMethod '
        f'Algorithm="{method}">{parameters}</SignatureMethod><Reference URI="{uri}"><Transforms>{transforms}'
        f'</Transforms><DigestMethod Algorithm="{digest}"/><DigestValue/></Reference></SignedInfo><SignatureValue/>'
        "{info}</Signature>"
    )


def _signed(folder: Path, text: str, *options: str) -> bytes | None:
    """Let xmlsec1 fill a template in; ``None`` if it cannot."""
    path, key = folder / "template.xml", folder / "secret"
    path.write_text(text, "utf-8")
    key.write_bytes(SECRET)
    command = ["xmlsec1", "--sign", "--hmackey", str(key), *options, str(path)]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    return done.stdout if done.returncode == 0 else None


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=documents(),
    place=st.integers(min_value=0, max_value=30),
    form=st.sampled_from([*FORMS, "list"]),
    filtered=st.sampled_from(["", ENVELOPED, NOT_SIGNATURE, SUBTRACT]),
    pointer=st.booleans(),
)
def test_any_element_of_any_document_in_any_form(
    data: bytes, place: int, form: str, filtered: str, pointer: bool, context: Context, tmp_path: Path
) -> None:
    """The element gets an ID, xmlsec1 signs it, and we find it intact; comments count where the pointer keeps them."""
    text = data.decode().replace("é", "e")
    starts = [at for at in range(len(text)) if text.startswith("<", at) and text[at + 1 : at + 2].isalpha()]
    at = starts[place % len(starts)]
    assume(filtered or at != starts[0])  # a signature cannot cover its own value
    end = at + 1
    while text[end] not in " />":
        end += 1
    text = f'{text[:end]} Id="here"{text[end:]}'
    name = text[at + 1 : end]
    transforms = filtered + (_transform(EXC, "p q #default") if form == "list" else _transform(form))
    uri = "#xpointer(id('here'))" if pointer else "#here"
    signature = _template(method=f"{MORE}hmac-sha256", uri=uri, transforms=transforms).format(info="")
    close = text.rindex("</")
    doctype = f"<!DOCTYPE p:root [<!ATTLIST {name} Id ID #IMPLIED>]>"
    signed = _signed(tmp_path, f"{doctype}{text[:close]}{signature}{text[close:]}")
    if signed is None:  # relative namespace names and the like, which xmlsec1 refuses
        return
    report = inspect_xml(signed, context=replace(context, secrets=(SECRET,)))
    # the one rule that may find fault is the one about elements of the same name elsewhere
    assert {r.code for r in report.signatures[0].reasons} & {Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE} == set()
    assert report.signatures[0].integrity is not Integrity.UNKNOWN


OLD = {
    "RSA with RIPEMD-160": (f"{MORE}rsa-ripemd160", f"{ENC}ripemd160"),
    "RSA with MD5": (f"{MORE}rsa-md5", f"{MORE}md5"),
    "HMAC with MD5": (f"{MORE}hmac-md5", f"{MORE}md5"),
    "HMAC with RIPEMD-160": (f"{MORE}hmac-ripemd160", f"{ENC}ripemd160"),
}


@pytest.mark.parametrize("name", OLD)
def test_what_nobody_should_use_any_more_is_computed_all_the_same(name: str, context: Context, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    method, digest = OLD[name]
    key = rsa.generate_private_key(65537, 2048)
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    info = "<KeyInfo><KeyValue/></KeyInfo>" if name.startswith("RSA") else ""
    signature = _template(method=method, uri="", transforms=ENVELOPED + _transform(EXC), digest=digest)
    options = ("--privkey-pem", str(tmp_path / "key.pem"), "--enabled-key-data", "rsa,hmac,key-value")
    signed = _signed(tmp_path, f"<doc>a{signature.format(info=info)}</doc>", *options)
    assert signed is not None
    given = replace(context, secrets=(SECRET,))
    assert inspect_xml(signed, context=given).signatures[0].integrity is Integrity.INTACT
    assert inspect_xml(signed.replace(b">a<", b">b<"), context=given).signatures[0].integrity is Integrity.BROKEN


@pytest.mark.parametrize(
    ("bits", "integrity"), [(160, Integrity.INTACT), (128, Integrity.INTACT), (256, Integrity.INTACT)]
)
def test_a_shortened_hmac_holds_as_long_as_it_is_long_enough(
    bits: int, integrity: Integrity, context: Context, tmp_path: Path
) -> None:
    length = f"<HMACOutputLength>{bits}</HMACOutputLength>"
    signature = _template(
        method=f"{MORE}hmac-sha256", uri="", transforms=ENVELOPED + _transform(EXC), parameters=length
    )
    signed = _signed(tmp_path, f"<doc>a{signature.format(info='')}</doc>")
    assert signed is not None
    report = inspect_xml(signed, context=replace(context, secrets=(b"another", SECRET)))
    assert (report.signatures[0].integrity, report.signatures[0].covers) == (integrity, Covers.WHOLE)
    assert inspect_xml(signed, context=replace(context, secrets=(b"another",))).signatures[0].integrity is (
        Integrity.BROKEN
    )
    without = inspect_xml(signed, context=context)
    assert without.signatures[0].integrity is Integrity.UNKNOWN
    assert Code.ALGORITHM_UNSUPPORTED in {r.code for r in without.reasons}


@pytest.mark.parametrize("text", ["0", "8", "40", "64", "127", "129", "512", "-256", "1e2", "", "١٦٠"])
def test_an_hmac_of_a_length_that_proves_nothing_is_broken_even_without_a_secret(
    text: str, context: Context, tmp_path: Path
) -> None:
    """Half the digest and 80 bits at least (signing.md 5.2)."""
    signature = _template(
        method=f"{MORE}hmac-sha256",
        uri="",
        transforms=ENVELOPED + _transform(EXC),
        parameters="<HMACOutputLength>256</HMACOutputLength>",
    )
    signed = _signed(tmp_path, f"<doc>a{signature.format(info='')}</doc>")
    assert signed is not None
    changed = signed.replace(b">256<", f">{text}<".encode())
    for secrets in ((), (SECRET,)):
        report = inspect_xml(changed, context=replace(context, secrets=secrets))
        assert report.signatures[0].integrity is Integrity.BROKEN


def test_parameters_of_another_method_are_not_passed_over(context: Context, tmp_path: Path) -> None:
    signature = _template(method=f"{MORE_2007}sha256-rsa-MGF1", uri="", transforms=ENVELOPED)
    text = f"<doc>{signature.format(info='')}</doc>".replace(
        'MGF1"></SignatureMethod>', 'MGF1"><HMACOutputLength>8</HMACOutputLength></SignatureMethod>'
    )
    assert "HMACOutputLength" in text
    text = text.replace("<DigestValue/>", f"<DigestValue>{'A' * 43}=</DigestValue>").replace(
        "<SignatureValue/>", "<SignatureValue>AAAA</SignatureValue>"
    )
    report = inspect_xml(text.encode(), context=context)
    assert Code.ALGORITHM_UNSUPPORTED in {r.code for r in report.reasons}
