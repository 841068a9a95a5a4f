"""Lift XAdES signatures to a higher level, or renew their archive stamp (signing.md 5.3; EN 319 132-1, 5.3 to 5.5).

Only unsigned properties are added, behind the older ones: every byte of the file stays, and so does all that was signed
or stamped. The file is verified before and after. A level that is not reached is refused, with what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from lxml import etree

from signer.errors import InputRefused, SigningRefused
from signer.extending import LEVELS, Extended, Stamping, is_good, not_reached, refuse_broken, stamping
from signer.judge import Judged
from signer.report import Integrity
from signer.safexml import parse_foreign
from signer.timestamp import Timestamper
from signer.trust import Context
from signer.xml.c14n import EXCLUSIVE
from signer.xml.counter import by_place
from signer.xml.document import OverBudget
from signer.xml.dsig import DS, encode
from signer.xml.examine import Examined
from signer.xml.splice import before_end_of
from signer.xml.stamps import Scene, archive_digest, value_digest
from signer.xml.unsigned import Material, inside, local, material, properties_of
from signer.xml.verify import XmlFindings, find
from signer.xml.xades import XADES, XADES141


@dataclass(frozen=True, slots=True)
class Extender:
    """A file examined and judged, each time with the same content beside it."""

    stamping: Stamping
    content: Mapping[str, bytes] | None = None

    def find(self, data: bytes) -> XmlFindings:
        """Examine and judge a file."""
        return find(data, context=self.stamping.context, content=self.content)

    def stamp(self, digest: bytes, level: str) -> bytes:
        """Ask for a token over a digest; see ``Stamping.stamp``."""
        return self.stamping.stamp(digest, level)


def extend_xml(
    data: bytes,
    *,
    to: str,
    context: Context,
    timestamper: Timestamper | None = None,
    content: Mapping[str, bytes] | None = None,
) -> Extended:
    """Return the file with every XAdES signature at level ``to`` (``t``, ``lt``, ``lta``), or higher where it was.

    ``context.at`` is now; status answers and certificates come from ``context.trust`` and from the file. Asking for
    ``lta`` again renews: the data for the last stamp is added, then a new archive stamp. ``content`` is detached
    content by name, as for ``inspect_xml``.

    Raises:
        InputRefused, LimitExceeded: not XML we read, or a signature covers the properties of another one.
        SigningRefused: a signature is broken or cannot be checked, or there is none that can be extended.
        LevelNotReached: validation data is missing (``needs`` among the facts), or a path is not good.
        TimestampError: no usable time stamp.
    """
    extender = Extender(stamping(to, context, timestamper, "XAdES"), content)
    parse_foreign(data, limits=context.limits)
    before = _sound(extender.find(data))
    for step in LEVELS[1 : LEVELS.index(to) + 1]:
        data = _STEPS[step](data, extender)
    after = extender.find(data)
    _check_after(before, after, extender.stamping.name(to), to)
    return Extended(data, _levels(before), _levels(after))


def _levels(findings: XmlFindings) -> tuple[str, ...]:
    return tuple(judged.signature.level for _, judged in _targets(findings))


def _targets(findings: XmlFindings) -> list[tuple[Examined, Judged]]:
    """Return the signatures to extend: all but those in the properties of another."""
    pairs = zip(findings.examined, findings.judged, strict=True)
    return [(one, judged) for one, judged in pairs if by_place(one.element) is None]


def _sound(findings: XmlFindings) -> XmlFindings:
    """Refuse files with a signature that does not hold, and those without one that can be extended."""
    for judged in findings.judged:
        refuse_broken(judged.signature)
    targets = _targets(findings)
    for one, _ in targets:
        qualifying = one.properties.element
        if qualifying is None or etree.QName(qualifying).namespace != XADES or one.scene is None:
            raise SigningRefused("EDOC-SIG-022", "not a form that can be extended", signature=one.id)
    if not targets:
        raise SigningRefused("EDOC-SIG-022", "no signature", signature="-")
    return findings


def _check_after(before: XmlFindings, after: XmlFindings, name: str, to: str) -> None:
    """Refuse to hand out a file in which a signature has come to harm, or has not reached the level."""
    whole = [one.signature.integrity for one in after.judged]
    if len(after.judged) != len(before.judged) or any(one is not Integrity.INTACT for one in whole):
        raise InputRefused("EDOC-XML-005", "extending would break a signature that covers the properties of another")
    for _, judged in _targets(after):
        reached = judged.signature.level.removeprefix("XAdES-B-").lower()
        if reached not in LEVELS or LEVELS.index(reached) < LEVELS.index(to):
            raise not_reached(judged.signature, judged.needs, name)


# --- the steps -------------------------------------------------------------------------------------------------------


def _to_t(data: bytes, extender: Extender) -> bytes:
    """Add a signature stamp where there is none that holds."""
    wanted = []
    for one, judged in _targets(extender.find(data)):
        holds = any(s.integrity is Integrity.INTACT and s.kind != "content" for s in judged.signature.timestamps)
        if not holds:
            scene = _scene(one)
            wanted.append((scene, _stamp_text("SignatureTimeStamp", extender.stamp(value_digest(scene), "t"))))
    return _appended(data, wanted)


def _to_lt(data: bytes, extender: Extender) -> bytes:
    """Add certificates and status answers of the paths of signer and stamps, where they are not complete."""
    wanted = []
    for one, judged in _targets(extender.find(data)):
        if judged.signature.level not in {"XAdES-B-LT", "XAdES-B-LTA"}:
            wanted.append((_scene(one), _data_text(one, judged, level="lt")))
    return _appended(data, wanted)


def _to_lta(data: bytes, extender: Extender) -> bytes:
    """Add the data the last stamp needs, then an archive stamp over everything."""
    targets = _targets(extender.find(data))
    data = _appended(data, [(_scene(one), _data_text(one, judged, level="lta")) for one, judged in targets])
    wanted = []
    for one, _ in _targets(extender.find(data)):
        scene = _scene(one)
        try:
            digest = archive_digest(scene)
        except (ValueError, OverBudget):
            raise SigningRefused("EDOC-SIG-021", "content is missing", signature=one.id, reason="-") from None
        wanted.append((scene, _stamp_text("ArchiveTimeStamp", extender.stamp(digest, "lta"))))
    return _appended(data, wanted)


_STEPS: Mapping[str, Callable[[bytes, Extender], bytes]] = {"t": _to_t, "lt": _to_lt, "lta": _to_lta}


def _scene(one: Examined) -> Scene:
    assert one.scene is not None  # _sound has seen to it, and nothing is taken away
    return replace(one.scene, setting=replace(one.scene.setting, budget=one.scene.setting.document.budget()))


def _appended(data: bytes, wanted: Sequence[tuple[Scene, str]]) -> bytes:
    """Put properties behind the others of their signatures; where there are none yet, their elements are made."""
    insertions = []
    for scene, text in wanted:
        if not text:
            continue
        place = scene.qualifying
        for name in ("UnsignedProperties", "UnsignedSignatureProperties"):
            found = place.find(f"{{{XADES}}}{name}")
            if found is None:
                missing = ("UnsignedSignatureProperties", "UnsignedProperties")
                for one in missing if name == "UnsignedProperties" else missing[:1]:
                    text = f'<xades:{one} xmlns:xades="{XADES}">{text}</xades:{one}>'
                break
            place = found
        insertions.append((place, text))
    return before_end_of(data, insertions) if insertions else data


def _data_text(one: Examined, judged: Judged, *, level: str) -> str:
    """Return the properties with the validation data that is not in the signature yet.

    Raises:
        LevelNotReached: the paths are not good, so it is not known what they need.
    """
    if not is_good(judged.signature):
        raise not_reached(judged.signature, judged.needs, f"XAdES-B-{level.upper()}")
    new = _new(one, judged)
    if not (new.certificates or new.crls or new.ocsps):
        return ""
    kinds = {local(e) for e in properties_of(_scene(one).qualifying)}
    text = _values_text(new)
    if level == "lt" and not kinds & {"CertificateValues", "RevocationValues"}:
        return text
    return f'<xades141:TimeStampValidationData xmlns:xades141="{XADES141}">{text}</xades141:TimeStampValidationData>'


def _new(one: Examined, judged: Judged) -> Material:
    """Return what the judgement used and the signature does not hold."""
    scene = _scene(one)
    places = [*scene.signature.findall(f"{{{DS}}}KeyInfo"), scene.qualifying]
    there = material(places, scene.setting.document, nested=False)
    held = {*there.certificates, *there.crls, *there.ocsps, *(x for token in there.tokens for x in inside(token))}
    found = {kind: [e.data for e in judged.evidence if e.kind == kind] for kind in ("certificate", "crl", "ocsp")}
    certificates, crls, ocsps = (
        tuple(dict.fromkeys(der for der in found[kind] if der not in held)) for kind in ("certificate", "crl", "ocsp")
    )
    return Material(certificates, crls, ocsps)


def _values_text(new: Material) -> str:
    def listed(name: str, values: Sequence[bytes]) -> str:
        return "".join(f"<xades:{name}>{encode(der)}</xades:{name}>" for der in values)

    def wrapped(name: str, text: str, attributes: str = "") -> str:
        return f"<xades:{name}{attributes}>{text}</xades:{name}>" if text else ""

    space = f' xmlns:xades="{XADES}"'
    crls = wrapped("CRLValues", listed("EncapsulatedCRLValue", new.crls))
    ocsps = wrapped("OCSPValues", listed("EncapsulatedOCSPValue", new.ocsps))
    certificates = wrapped("CertificateValues", listed("EncapsulatedX509Certificate", new.certificates), space)
    return certificates + wrapped("RevocationValues", crls + ocsps, space)


def _stamp_text(name: str, token: bytes) -> str:
    archive = name == "ArchiveTimeStamp"
    prefix = "xades141" if archive else "xades"
    spaces = f' xmlns:xades="{XADES}"' + (f' xmlns:xades141="{XADES141}"' if archive else "")
    return (
        f'<{prefix}:{name}{spaces}><ds:CanonicalizationMethod xmlns:ds="{DS}" Algorithm="{EXCLUSIVE}"/>'
        f"<xades:EncapsulatedTimeStamp>{encode(token)}</xades:EncapsulatedTimeStamp></{prefix}:{name}>"
    )
