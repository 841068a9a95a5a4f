"""Trusted lists of ETSI TS 119 612, versions 5 and 6: whom a state vouches for, and when (signing.md 7.1).

``read_trust_list`` believes a list only if its enveloped signature covers it whole and was made by one of the
certificates the caller pins. Each period in which a service had a good status becomes an anchor that serves from its
beginning until its end; services for something else than signatures and time stamps, or with a critical extension that
is not understood, are counted as skipped.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from lxml import etree

from signer import x509read
from signer.algorithms import PolicyName, judge
from signer.errors import SignerError, TrustError
from signer.report import Algorithm
from signer.trust import Anchor, Context, Limits, Purpose, TrustStore
from signer.xml.verify import VerifiedXml, verify_xml

NAMESPACE = "http://uri.etsi.org/02231/v2#"
VERSIONS = (5, 6)
SERVICES_MAX = 20_000
_T = f"{{{NAMESPACE}}}"
_CA = frozenset({"CA/QC", "CA/PKC", "NationalRootCA-QC"})
_TSA = frozenset({"TSA", "TSA/QTST", "TSA/TSS-QC", "TSA/TSS-AdESQCandQES"})
_GOOD = frozenset(
    {
        "granted",
        "recognisedatnationallevel",
        "setbynationallaw",
        "undersupervision",
        "supervisionincessation",
        "accredited",
    }
)
_UNDERSTOOD = frozenset({"Qualifications", "AdditionalServiceInformation", "ExpiredCertsRevocationInfo", "TakenOverBy"})
_TYPE_PREFIX = "/TrstSvc/Svctype/"


@dataclass(frozen=True, slots=True)
class TrustList:
    """A list whose signature was verified: its territory, number and times, the anchors, and what was left out."""

    territory: str
    sequence: int
    issued_at: datetime
    next_update: datetime | None
    store: TrustStore
    services: int
    skipped: int
    signed_by: str  # SHA-256 of the certificate, hexadecimal


def read_trust_list(data: bytes, *, signers: Sequence[bytes], at: datetime, limits: Limits | None = None) -> TrustList:
    """Verify a list with the pinned certificates (DER) and return whom it vouches for.

    Raises:
        TrustError: not a list we read, not whole, not signed by one of them, or no longer current at ``at``.
        ValueError: ``at`` has no offset.
    """
    verified = _verified(data, at, limits or Limits())
    digest = hashlib.sha256(verified.certificate).hexdigest()
    if digest not in {hashlib.sha256(der).hexdigest() for der in signers}:
        raise TrustError("EDOC-TRU-006", "the list is signed by somebody else", found=digest)
    _refuse_weak(verified, at)
    try:
        found = _read(verified.tree, digest)
    except (ValueError, TypeError, OverflowError, binascii.Error):
        raise TrustError("EDOC-TRU-005", "the trusted list cannot be read") from None
    if found.next_update is not None and at > found.next_update:
        raise TrustError("EDOC-TRU-007", "the trusted list is no longer current", next_update=found.next_update)
    return found


def _verified(data: bytes, at: datetime, limits: Limits) -> VerifiedXml:
    """Check the mathematics and that the whole list is covered; who signed is compared with the pins."""
    context = Context(trust=TrustStore(), at=at, policy=PolicyName.INTEGRITY_ONLY, limits=limits)
    try:
        return verify_xml(data, covers=f"{_T}TrustServiceStatusList", context=context)
    except SignerError as error:
        raise TrustError("EDOC-TRU-005", "the trusted list is not signed as a whole", reason=error.code) from None


def _refuse_weak(verified: VerifiedXml, at: datetime) -> None:
    algorithms = [one.algorithm for one in verified.report.signatures if one.algorithm is not None]
    if not algorithms or any(_is_weak(one, at) for one in algorithms):
        raise TrustError("EDOC-TRU-006", "the list is signed with an algorithm that is not accepted", found="-")


def _is_weak(algorithm: Algorithm, at: datetime) -> bool:
    verdict = judge(
        policy=PolicyName.INTEROP,
        signature=algorithm.signature,
        digest=algorithm.digest,
        bits=algorithm.bits,
        at=at,
    )
    return verdict.code is not None


def _read(root: etree._Element, signed_by: str) -> TrustList:
    scheme = _child(root, "SchemeInformation")
    if int(_text(scheme, "TSLVersionIdentifier")) not in VERSIONS:
        raise ValueError("another version")
    services = list(root.iter(f"{_T}TSPService"))
    if len(services) > SERVICES_MAX:
        raise ValueError("too many services")
    anchors: list[Anchor] = []
    skipped = 0
    for service in services:
        found = list(_anchors(service))
        skipped += not found
        anchors += found
    later = scheme.findtext(f"{_T}NextUpdate/{_T}dateTime")
    return TrustList(
        territory=_text(scheme, "SchemeTerritory"),
        sequence=int(_text(scheme, "TSLSequenceNumber")),
        issued_at=_moment(_text(scheme, "ListIssueDateTime")),
        next_update=_moment(later) if later else None,
        store=TrustStore(anchors=tuple(dict.fromkeys(anchors))),
        services=len(services),
        skipped=skipped,
        signed_by=signed_by,
    )


def _child(element: etree._Element, name: str) -> etree._Element:
    found = element.find(f"{_T}{name}")
    if found is None:
        raise ValueError(f"no {name}")
    return found


def _text(element: etree._Element, name: str) -> str:
    return (_child(element, name).text or "").strip()


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text.strip())
    return (found.replace(tzinfo=UTC) if found.tzinfo is None else found).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class _State:
    """A service from a moment on: for what it is trusted then (nothing if its status is not good)."""

    since: datetime
    purposes: frozenset[Purpose]


def _anchors(service: etree._Element) -> Iterator[Anchor]:
    """Yield an anchor for each certificate of a service and each period in which it was trusted for the same."""
    now = _child(service, "ServiceInformation")
    history = service.find(f"{_T}ServiceHistory")
    entries = [now, *(history.iterfind(f"{_T}ServiceHistoryInstance") if history is not None else ())]
    states = sorted((_state(entry) for entry in entries), key=lambda state: state.since)
    certificates = list(dict.fromkeys(_certificates(now)))
    for start, end, purposes in _periods(states):
        for der in certificates:
            yield Anchor(der, purposes, valid_from=start, sunset=end)


def _periods(states: Sequence[_State]) -> Iterator[tuple[datetime, datetime | None, frozenset[Purpose]]]:
    """Yield the longest periods of one and the same trust; the last one is open."""
    at = 0
    while at < len(states):
        until = at
        while until < len(states) and states[until].purposes == states[at].purposes:
            until += 1
        if states[at].purposes:
            yield states[at].since, states[until].since if until < len(states) else None, states[at].purposes
        at = until


def _state(entry: etree._Element) -> _State:
    since = _moment(_text(entry, "StatusStartingTime"))
    status = _text(entry, "ServiceStatus").rstrip("/").rpartition("/")[2].lower()
    if status not in _GOOD or not _is_understood(entry):
        return _State(since, frozenset())
    kind = _text(entry, "ServiceTypeIdentifier").rstrip("/").partition(_TYPE_PREFIX)[2]
    if kind in _TSA:
        return _State(since, frozenset({Purpose.TSA}))
    signs = kind in _CA and not _is_for_sites_alone(entry)
    return _State(since, frozenset({Purpose.SIGNERS, Purpose.PUBLIC}) if signs else frozenset())


def _extensions(entry: etree._Element) -> list[etree._Element]:
    listed = entry.find(f"{_T}ServiceInformationExtensions")
    return list(listed.iterfind(f"{_T}Extension")) if listed is not None else []


def _is_understood(entry: etree._Element) -> bool:
    for extension in _extensions(entry):
        names = {etree.QName(child).localname for child in extension.iterchildren(etree.Element)}
        if extension.get("Critical", "").strip() in {"true", "1"} and not names <= _UNDERSTOOD:
            return False
    return True


def _is_for_sites_alone(entry: etree._Element) -> bool:
    """Tell whether a service is said to be for web sites, and for neither signatures nor seals."""
    said = {
        (uri.text or "").strip().rpartition("/")[2]
        for extension in _extensions(entry)
        for uri in extension.iterfind(f"{_T}AdditionalServiceInformation/{_T}URI")
    }
    return "ForWebSiteAuthentication" in said and not said & {"ForeSignatures", "ForeSeals"}


def _certificates(entry: etree._Element) -> Iterator[bytes]:
    for found in entry.iterfind(f"{_T}ServiceDigitalIdentity/{_T}DigitalId/{_T}X509Certificate"):
        der = base64.b64decode("".join((found.text or "").split()), validate=True)
        try:
            x509read.read(der)
        except ValueError:
            continue  # one that cannot be read can be nobody's anchor
        yield der
