"""XML signatures of any shape, made piece by piece as other programs make them, for tests."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from lxml import etree

from signer.devpki import DevIdentity
from signer.xml.c14n import EXC, EXCLUSIVE, Form, canonical, canonical_document
from signer.xml.dsig import DS, ENC, ENVELOPED, MORE, encode, raw_value

ENVELOPED_TRANSFORM = f'<Transform Algorithm="{ENVELOPED}"/>'
EXC_TRANSFORM = f'<Transform Algorithm="{EXCLUSIVE}"/>'


@dataclass(frozen=True)
class Ref:
    """A reference; ``octets`` are those its digest is over, or it is computed from the file when that is whole."""

    uri: str | None
    transforms: str = EXC_TRANSFORM
    octets: bytes | None = None
    type: str = ""
    digest: str = ""


@dataclass(frozen=True)
class Maker:
    """Makes the text of a signature: ``prefix`` is ``ds:`` or none, ``info`` is what KeyInfo holds, if not X509Data."""

    identity: DevIdentity
    prefix: str = "ds:"
    info: str | None = None
    id: str = "s"
    method: str = f"{MORE}ecdsa-sha256"
    c14n: str = EXCLUSIVE
    indent: str = ""

    def signed(self, document: str, refs: Sequence[Ref], *, objects: str = "") -> str:
        """Return ``document`` with the signature in the place of ``{signature}``; digests are computed from it."""
        filled = [self._filled(document, ref, refs, objects) for ref in refs]
        unsigned = self._text(filled, objects, value="")
        root = etree.fromstring(document.replace("{signature}", unsigned))
        info = next(e for e in root.iter(f"{{{DS}}}SignedInfo") if e.getparent().get("Id") == self.id)  # type: ignore[union-attr]  # it stands in a signature
        octets = b"".join(canonical(info, EXC if self.c14n == EXCLUSIVE else Form(exclusive=False)))
        key = self.identity.key
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        value = raw_value(key.public_key(), key.sign(octets, ec.ECDSA(hashes.SHA256())))
        return document.replace("{signature}", self._text(filled, objects, value=encode(value)))

    def _filled(self, document: str, ref: Ref, refs: Sequence[Ref], objects: str) -> Ref:
        """Compute a digest from the file as it will be; nothing a reference points at depends on the value."""
        if ref.digest:
            return ref
        octets = ref.octets
        if octets is None:
            blank = [replace(one, digest="AA==") for one in refs]
            root = etree.fromstring(document.replace("{signature}", self._text(blank, objects, value="")))
            signature = next(e for e in root.iter(f"{{{DS}}}Signature") if e.get("Id") == self.id)
            omit = (signature,) if "enveloped" in ref.transforms else ()
            if not ref.uri:
                octets = b"".join(canonical_document(root, omit=omit))
            else:
                target = next(e for e in root.iter(etree.Element) if ref.uri[1:] in e.attrib.values())
                octets = b"".join(canonical(target, omit=omit))
        return replace(ref, digest=encode(hashlib.sha256(octets).digest()))

    def _text(self, refs: Sequence[Ref], objects: str, *, value: str) -> str:
        p, n = self.prefix, f"\n{self.indent}" if self.indent else ""
        declared = f'xmlns:{p[:-1]}="{DS}"' if p else f'xmlns="{DS}"'
        references = n.join(self._reference(ref) for ref in refs)
        info = self.info
        if info is None:
            certificate = encode(self.identity.certificate)
            info = f"<{p}X509Data><{p}X509Certificate>{certificate}</{p}X509Certificate></{p}X509Data>"
        key_info = f"<{p}KeyInfo>{info}</{p}KeyInfo>" if info else ""
        return (
            f'<{p}Signature {declared} Id="{self.id}">{n}<{p}SignedInfo>{n}'
            f'<{p}CanonicalizationMethod Algorithm="{self.c14n}"/>'
            f'{n}<{p}SignatureMethod Algorithm="{self.method}"/>{n}{references}{n}</{p}SignedInfo>{n}'
            f"<{p}SignatureValue>{value}</{p}SignatureValue>{n}{key_info}{n}{objects}</{p}Signature>"
        )

    def _reference(self, ref: Ref) -> str:
        p = self.prefix
        transforms = ref.transforms.replace("<Transform", f"<{p}Transform").replace("</Transform", f"</{p}Transform")
        wrapped = f"<{p}Transforms>{transforms}</{p}Transforms>" if transforms else ""
        uri = "" if ref.uri is None else f' URI="{ref.uri}"'
        kind = f' Type="{ref.type}"' if ref.type else ""
        return (
            f'<{p}Reference{uri}{kind}>{wrapped}<{p}DigestMethod Algorithm="{ENC}sha256"/>'
            f"<{p}DigestValue>{ref.digest}</{p}DigestValue></{p}Reference>"
        )
