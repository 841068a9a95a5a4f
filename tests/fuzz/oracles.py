"""What a changed file must not be called: judged without any code of the verifier (signing.md 10, A1 and A4).

A report that calls a signature *intact* is a false acceptance if what a person or program reads there is not what was
signed. Each oracle returns why, or ``None``.
"""

from __future__ import annotations

import io
import re
import subprocess
import tempfile
import zipfile
import zlib
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from asn1crypto import cms, core
from lxml import etree

from signer.report import Code, Covers, Crypto, Integrity, Report, SignatureReport, Verdict
from tests.fuzz.seeds import Seed

DS = "http://www.w3.org/2000/09/xmldsig#"
PAINTING = {"form-fill", "form-change", "annotation", "signature", "empty-field"}
"""Kinds of allowed changes that may be seen; all others must leave the picture alone."""


@dataclass(frozen=True)
class Case:
    """A seed, what became of it, and what the verifier said about both."""

    seed: Seed
    data: bytes
    before: Report
    after: Report


def objection(case: Case) -> str | None:
    """Return why the report must not stand, or ``None``.

    Where the certificate is absent the mathematics is not done; *intact* then says no more than that the digest fits.
    """
    intact = [s for s in case.after.signatures if s.integrity is Integrity.INTACT and s.crypto is not Crypto.UNKNOWN]
    if case.after.verdict is Verdict.VALID and not intact:
        return "valid without an intact signature"
    if not intact:
        return None
    return {"pdf": _pdf, "xml": _xml, "cms": _cms, "zip": _zip}[case.seed.kind](case, intact)


def _pdf(case: Case, intact: list[SignatureReport]) -> str | None:
    """The signed octets are those of the seed, and what came later does not show unless it may."""
    ranges = [(int(m[1]), int(m[2]), int(m[2]) + int(m[3])) for m in _RANGES.finditer(case.seed.data)]
    known = {_octets(case.seed.data, *one): one for one in ranges}
    for signature in intact:
        held = [one for one in ranges if _octets(case.data, *one) in known and one == known[_octets(case.data, *one)]]
        if not held:
            return f"{signature.id}: the signed octets are not those that were signed"
        if signature.covers is Covers.REVISION:
            kinds = {change.kind for change in signature.changes}
            end = max(one[2] for one in held)
            if not kinds & PAINTING and _differ(case.after, _picture(case.data), _picture(case.data[:end] + b"\n")):
                return f"{signature.id}: looks different, changes {sorted(kinds)}"
    return None


_RANGES = re.compile(rb"/ByteRange\s*\[\s*0\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")


def _differ(report: Report, shown: tuple[str, ...], signed: tuple[str, ...]) -> bool:
    """Compare pictures; a damaged file may be shown by nobody else, if the report says that it is damaged."""
    repaired = any(warning.code is Code.REPAIRED for warning in report.warnings)
    return shown != signed and not (repaired and not shown)


def _octets(data: bytes, a: int, b: int, end: int) -> bytes:
    return sha256(data[:a] + b"\xff|" + data[b:end]).digest() if end <= len(data) else b""


def _picture(data: bytes) -> tuple[str, ...]:
    """Render all pages small; a file that cannot be rendered shows nothing."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "x.pdf")
        path.write_bytes(data)
        command = ["pdftoppm", "-r", "50", "-l", "5", str(path), str(Path(folder, "p"))]
        subprocess.run(command, capture_output=True, check=False, timeout=60)
        return tuple(sha256(page.read_bytes()).hexdigest() for page in sorted(Path(folder).glob("p*")))


def _xml(case: Case, intact: list[SignatureReport]) -> str | None:
    """What surrounds the signatures is, in canonical form, what it was; so are the objects inside them."""
    before, after = _meaning(case.seed.data), _meaning(case.data)
    if after is None:
        return "intact, but not XML for another parser"
    if len(intact) < len(case.after.signatures) and before is not None:
        before, after = before[:1], after[:1]  # what is inside a broken signature is not vouched for
    if before == after:
        return None
    if all(one.covers is Covers.PARTIAL for one in intact):
        kept = set(_named(case.seed.data)) & set(_named(case.data))
        return None if kept else "nothing that was signed is left"
    return "what is read is not what was signed"


def _parsed(data: bytes) -> etree._Element | None:
    try:
        return etree.fromstring(data, etree.XMLParser(resolve_entities=False, no_network=True, huge_tree=True))
    except etree.XMLSyntaxError:
        return None


def _meaning(data: bytes) -> tuple[bytes, ...] | None:
    root = _parsed(data)
    if root is None:
        return None
    objects = []
    for signature in list(root.iter(f"{{{DS}}}Signature")):
        own = [child for child in signature if child.tag == f"{{{DS}}}Object"]
        objects += [_canonical(_unwrapped(inner)) for inner in own if not _qualifying(inner)]
        parent = signature.getparent()
        if parent is not None:
            _take_out(signature)
    outside = b"" if root.tag == f"{{{DS}}}Signature" else _canonical(root)
    return (outside, *objects)


def _unwrapped(node: etree._Element) -> etree._Element:
    """Return the object inside, where an object holds nothing but another: who wraps it adds no data."""
    while len(node) == 1 and node[0].tag == node.tag and not (node.text or "").strip():
        node = node[0]
    return node


def _qualifying(node: etree._Element) -> bool:
    return any(isinstance(child.tag, str) and child.tag.endswith("}QualifyingProperties") for child in node)


def _take_out(node: etree._Element) -> None:
    """Remove an element and keep the text behind it."""
    parent, before = node.getparent(), node.getprevious()
    assert parent is not None
    if before is not None:
        before.tail = (before.tail or "") + (node.tail or "")
    else:
        parent.text = (parent.text or "") + (node.tail or "")
    parent.remove(node)


def _canonical(node: etree._Element) -> bytes:
    out = io.BytesIO()
    etree.ElementTree(node).write_c14n(out, exclusive=True, with_comments=False)
    return out.getvalue()


def _named(data: bytes) -> list[bytes]:
    """Return the canonical form of each element with an Id outside signatures."""
    root = _parsed(data)
    if root is None:
        return []
    return [
        _canonical(node)
        for node in root.iter()
        if isinstance(node.tag, str) and "Id" in node.attrib and not node.tag.startswith(f"{{{DS}}}")
    ]


def _cms(case: Case, intact: list[SignatureReport]) -> str | None:
    """Content, kind and claimed time are those of the seed; so is the signer, where the signature names him."""
    known = {(one.signing_time, one.kind) for one in case.before.signatures}
    signers = {one.signer.certificate_sha256 for one in case.before.signatures}
    for one in intact:
        if (one.signing_time, one.kind) not in known:
            return f"{one.id}: another time or kind"
        named = one.level.startswith(("CAdES", "RFC3161")) and one.signer.certificate_sha256 is not None
        if named and one.signer.certificate_sha256 not in signers:
            return f"{one.id}: another signer"
    before, after = _content(case.seed.data), _content(case.data)
    return None if after is None or after == before else "the enclosed content is another"


def _content(data: bytes) -> bytes | None:
    try:
        signed = cms.ContentInfo.load(data)["content"]
        content = signed["encap_content_info"]["content"]
        return None if isinstance(content, core.Void) else bytes(content)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _zip(case: Case, intact: list[SignatureReport]) -> str | None:
    """Another reader of the container finds the same objects, each of them once."""
    if case.after.verdict is not Verdict.VALID:
        return None
    before, after = _members(case.seed.data), _members(case.data)
    return None if before == after else "another program finds other objects in it"


def _members(data: bytes) -> list[tuple[str, bytes]] | None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            found = [(one.filename, archive.read(one)) for one in archive.infolist()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError, EOFError, RuntimeError, zlib.error):
        return None
    return sorted((name, data) for name, data in found if not name.startswith("META-INF/") and name != "mimetype")
