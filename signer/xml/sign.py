"""Sign any XML document: an enveloped XAdES signature, last child of the document element (signing.md 5.3, 5.4).

The file's own bytes stay as they are; the signature is put before the end tag of the document element.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from lxml import etree

from signer.algorithms import Scheme, scheme_for
from signer.credential import Credential, Role
from signer.errors import InputRefused, LevelNotReached, SigningRefused
from signer.precondition import Precondition, ask
from signer.safexml import parse, parse_skeleton
from signer.timestamp import Timestamper
from signer.trust import Context, Limits
from signer.xml.c14n import EXCLUSIVE, canonical_document, digest
from signer.xml.details import SignerDetails
from signer.xml.dsig import DS, ENVELOPED
from signer.xml.references import leaves_signatures_out
from signer.xml.verify import inspect_xml
from signer.xml.xades import WITHOUT_SIGNATURES, Layout, ReferenceLayout, sign

END_TAGS_TRIED = 4
"""How many end tags from the end of the file may be part of a comment behind the document element."""

_SIGNATURE = f"{{{DS}}}Signature"


def sign_xml(
    data: bytes,
    *,
    credential: Credential,
    at: datetime,
    level: str = "b",
    timestamper: Timestamper | None = None,
    scheme: Scheme | None = None,
    parallel: bool = False,
    details: SignerDetails | None = None,
    precondition: Precondition | None = None,
    context: Context | None = None,
    limits: Limits | None = None,
) -> bytes:
    """Return the document with a signature over all of it; ``level`` is ``b`` or ``t``.

    With ``parallel`` the signature leaves other signatures out of what it covers, so that more can follow. ``details``
    are what the signer states beside. Higher levels are reached by ``signer.xml.extend``. ``context`` is what
    the precondition's report is judged with; an ``agency`` credential needs both.

    Raises:
        TypeError: an agency's credential without precondition and context.
        InputRefused, LimitExceeded: not XML we read, or it holds signatures that another one would break.
        SigningRefused: an exchange key, which signs no documents (R29), a key no scheme serves, or the precondition
            does not hold (R28).
        LevelNotReached: level ``t`` without a time-stamping authority.
        CredentialError, TimestampError: as ``signer.xml.xades.sign``.
    """
    if level not in {"b", "t"}:
        raise ValueError("the level is b or t")
    if level == "t" and timestamper is None:
        raise LevelNotReached("EDOC-SIG-003", "level t needs a time-stamping authority", level="XAdES-B-T")
    if credential.role in {Role.EXCHANGE, Role.REQUEST, Role.TLS}:
        raise SigningRefused("EDOC-SIG-004", "this key signs no documents", role=credential.role.value)
    skeleton, root = parse_skeleton(data, limits=limits or Limits())
    existing = list(root.iter(_SIGNATURE))
    if existing and not all(leaves_signatures_out(one, root) for one in existing):
        raise InputRefused("EDOC-XML-005", "another signature would break the ones the document has")
    ask(credential, precondition, context, lambda context: inspect_xml(data, context=context))
    chosen = scheme or _scheme(credential)
    octets = canonical_document(root, runs=skeleton.runs)
    if existing:
        octets = canonical_document(root, omit=existing, runs=skeleton.runs)
    layout = _layout(root, digest(octets, chosen.digest), chosen.digest, leave_out=bool(existing) or parallel)
    if details is not None:
        layout = replace(layout, about_signer=details.about_signer, about_data=details.about_data)
    text = sign(layout, credential=credential, scheme=chosen, at=at, timestamper=timestamper if level == "t" else None)
    return _put_in(data, root, text.encode("utf-8"), id=layout.id)


def _scheme(credential: Credential) -> Scheme:
    try:
        scheme = scheme_for(credential.key_type, bits=credential.bits, profile="interop")
    except ValueError:
        raise SigningRefused("EDOC-SIG-005", "no signature scheme fits the key", key=credential.key_type) from None
    if scheme is Scheme.ED25519:
        raise SigningRefused("EDOC-SIG-005", "no signature scheme fits the key", key=credential.key_type)
    return scheme


def _layout(root: etree._Element, document: bytes, digest_name: str, *, leave_out: bool) -> Layout:
    """Name the signature so that no ID of the document is taken twice."""
    taken = {str(value) for element in root.iter(etree.Element) for value in element.attrib.values()}
    number, stem = 1, "sig"
    while any(value.startswith(stem) for value in taken):
        number += 1
        stem = f"sig{number}"
    first = WITHOUT_SIGNATURES if leave_out else ENVELOPED
    return Layout(
        id=stem,
        value_id=f"{stem}-value",
        properties_id=f"{stem}-props",
        properties_reference_id=f"{stem}-ref-2",
        references=(ReferenceLayout(f"{stem}-ref-1", "", (first, EXCLUSIVE), digest=document),),
        digest=digest_name,
    )


def _put_in(data: bytes, root: etree._Element, text: bytes, *, id: str) -> bytes:
    """Insert the signature before the document element's end tag; only an empty-element tag needs a new spelling."""
    end = len(data)
    for _ in range(END_TAGS_TRIED):
        end = data.rfind(b"</", 0, end)
        if end <= 0:
            break
        signed = data[:end] + text + data[end:]
        if _is_last(signed, id):
            return signed
    root.append(etree.fromstring(text))
    return etree.tostring(root.getroottree(), encoding="UTF-8", xml_declaration=True)


def _is_last(data: bytes, id: str) -> bool:
    try:
        root = parse(data, limits=Limits())
    except InputRefused:
        return False
    return len(root) > 0 and root[-1].tag == _SIGNATURE and root[-1].get("Id") == id
