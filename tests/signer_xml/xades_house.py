"""XAdES as other programs write it: any version of the namespace, any property, put together by hand.

Digests and imprints are taken over libxml2's exclusive canonical form, which is another program than ours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from signer.algorithms import Scheme
from signer.devpki import DevIdentity, DevTimestamper
from signer.timestamp import obtain
from signer.xml.dsig import DS, encode, raw_value
from signer.xml.xades import XADES

EXC = "http://www.w3.org/2001/10/xml-exc-c14n#"
SHA256 = "http://www.w3.org/2001/04/xmlenc#sha256"
XADES111, XADES122 = (f"http://uri.etsi.org/01903/v{n}#" for n in ("1.1.1", "1.2.2"))
XADES141 = "http://uri.etsi.org/01903/v1.4.1#"
TYPE = "http://uri.etsi.org/01903#SignedProperties"
NAMES = {"ds": DS, "x": XADES, "x141": XADES141}


def canonical(element: etree._Element) -> bytes:
    """Return the exclusive canonical form, by libxml2."""
    return etree.tostring(element, method="c14n", exclusive=True, with_comments=False)


def digest_text(data: bytes) -> str:
    """Return a digest method and value."""
    value = encode(hashlib.sha256(data).digest())
    return f'<ds:DigestMethod Algorithm="{SHA256}"/><ds:DigestValue>{value}</ds:DigestValue>'


def certificate_reference(*certificates: bytes, issuer_serial: str = "", version: str = "") -> str:
    """Return ``SigningCertificate`` over certificates, the first with ``IssuerSerial`` as given."""
    listed = "".join(
        f"<x:Cert><x:CertDigest>{digest_text(der)}</x:CertDigest>{issuer_serial if n == 0 else ''}</x:Cert>"
        for n, der in enumerate(certificates)
    )
    return f"<x:SigningCertificate{version}>{listed}</x:SigningCertificate{version}>"


@dataclass(frozen=True)
class Foreign:
    """What a signature is made of; ``about`` follows the signing time, ``data`` are properties of the data."""

    signer: DevIdentity
    space: str = XADES
    about: str | None = None
    data: str = ""
    type: str = f' Type="{TYPE}"'
    target: str = "#s"
    key_info: tuple[bytes, ...] = ()
    objects: str = ""
    more: tuple[tuple[str, str], ...] = ()  # further references: attributes, and the ID they point at
    id: str = "s"
    over: tuple[str, bytes] | None = None  # attributes of the first reference and its octets, instead of the document

    def text(self, document: str = "<doc><b>x</b>@</doc>") -> str:
        """Return the document, signed, ``@`` being where the signature stands; ``{unsigned}`` is left in it."""
        about = certificate_reference(self.signer.certificate) if self.about is None else self.about
        certificates = "".join(
            f"<ds:X509Certificate>{encode(der)}</ds:X509Certificate>"
            for der in self.key_info or (self.signer.certificate,)
        )
        properties = f"<x:SignedDataObjectProperties>{self.data}</x:SignedDataObjectProperties>" if self.data else ""
        body = (
            f"<ds:KeyInfo><ds:X509Data>{certificates}</ds:X509Data></ds:KeyInfo>{self.objects}<ds:Object>"
            f'<x:QualifyingProperties xmlns:x="{self.space}" Target="{self.target}">'
            f'<x:SignedProperties Id="{self.id}-p">'
            "<x:SignedSignatureProperties><x:SigningTime>2026-11-20T02:30:00Z</x:SigningTime>"
            f"{about}</x:SignedSignatureProperties>{properties}"
            "</x:SignedProperties>{unsigned}</x:QualifyingProperties></ds:Object></ds:Signature>"
        )
        opening = f'<ds:Signature xmlns:ds="{DS}" Id="{self.id}">'
        draft = etree.fromstring(f"{opening}{body.replace('{unsigned}', '')}")
        found = {e.get("Id"): e for e in draft.iter(etree.Element)}
        if self.over is not None:
            references = [_reference(*self.over)]
        else:
            whole = etree.fromstring(document.replace("@", ""))
            references = [_reference(f'Id="{self.id}-r1" URI=""', canonical(whole), enveloped=True)]
        references += [_reference(a, canonical(found[name]), uri=name) for a, name in self.more]
        references.append(_reference(f'URI="#{self.id}-p"{self.type}', canonical(found[f"{self.id}-p"])))
        info = (
            f'<ds:SignedInfo><ds:CanonicalizationMethod Algorithm="{EXC}"/><ds:SignatureMethod Algorithm='
            f'"http://www.w3.org/2001/04/xmldsig-more#ecdsa-sha256"/>{"".join(references)}</ds:SignedInfo>'
        )
        octets = canonical(etree.fromstring(f"{opening}{info}</ds:Signature>")[0])
        value = self.signer.credential.sign(hashlib.sha256(octets).digest(), Scheme.ECDSA_SHA256)
        raw = encode(raw_value(self.signer.credential.public_key, value))
        signature = f'{opening}{info}<ds:SignatureValue Id="{self.id}-v">{raw}</ds:SignatureValue>{body}'
        return document.replace("@", signature)

    def file(self, document: str = "<doc><b>x</b>@</doc>", *, unsigned: Sequence[str] = ()) -> bytes:
        """Return the signed document with unsigned properties, one after the other."""
        listed = "".join(unsigned)
        if listed:
            listed = f"<x:UnsignedSignatureProperties>{listed}</x:UnsignedSignatureProperties>"
            listed = f"<x:UnsignedProperties>{listed}</x:UnsignedProperties>"
        return self.text(document).replace("{unsigned}", listed).encode()

    def changed(self, **values: object) -> Foreign:
        """Return another of the kind."""
        return replace(self, **values)  # type: ignore[arg-type]  # the tests' own word


def _reference(attributes: str, data: bytes, *, enveloped: bool = False, uri: str = "") -> str:
    address = f' URI="#{uri}"' if uri else ""
    first = f'<ds:Transform Algorithm="{DS}enveloped-signature"/>' if enveloped else ""
    transforms = f'<ds:Transforms>{first}<ds:Transform Algorithm="{EXC}"/></ds:Transforms>'
    return f"<ds:Reference {attributes}{address}>{transforms}{digest_text(data)}</ds:Reference>"


def stamp(
    name: str, octets: bytes, timestamper: DevTimestamper, *, prefix: str = "x", before: str = "", method: bool = True
) -> str:
    """Return a time stamp element over octets."""
    token = obtain(timestamper, hashlib.sha256(octets).digest())
    form = f'<ds:CanonicalizationMethod Algorithm="{EXC}"/>' if method else ""
    held = f"<x:EncapsulatedTimeStamp>{encode(token)}</x:EncapsulatedTimeStamp>"
    return f'<{prefix}:{name} xmlns:x141="{XADES141}">{before}{form}{held}</{prefix}:{name}>'


Find = Callable[[str], etree._Element]


def finder(data: bytes, space: str = XADES) -> Find:
    """Return a function from a path (``ds:``, ``x:``, ``x141:``) to the one element there."""
    root = etree.fromstring(data)

    def find(path: str) -> etree._Element:
        found = root.find(f".//{path}", {**NAMES, "x": space})
        assert found is not None
        return found

    return find
