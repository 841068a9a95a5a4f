"""Every signature of a file, read and computed: one by one, never dropped (signing.md 4.1, D3 to D5, E1 to E4).

A signature is what a signature field of any revision, or ``/Perms``, leads to. What cannot be read is listed all the
same, with integrity *unknown* or *broken*. Signature or time stamp is told by the content type of the CMS.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

from signer import asn1
from signer.cms import CmsCheck
from signer.judge import Facts, Stamp
from signer.pdf.appearances import appearance_of
from signer.pdf.coverage import Coverage, Place, cover, locate, sub_filter
from signer.pdf.formtree import items, resolved
from signer.pdf.listing import Forms, Listed
from signer.pdf.mathematics import Candidates, Prefixes, Ranges, certificate_absent, check, check_bare, digest_names
from signer.pdf.reading import PdfFile, State
from signer.pdf.syntax import SPACE
from signer.pdf.uncovered import oddities, readable
from signer.pdf.values import String, Value
from signer.report import Code, Covers, Crypto, Integrity, Reason
from signer.trust import TrustStore

BARE = "adbe.x509.rsa_sha1"
KNOWN = frozenset({"ETSI.CAdES.detached", "adbe.pkcs7.detached", "ETSI.RFC3161", "adbe.pkcs7.sha1", BARE})
"""SubFilters whose content must be readable; any other is tried as CMS."""

_PDF_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:Z|([+-])(\d{2})'?(\d{2})?'?)?.{0,8}")
_BROKEN = frozenset({Code.FORMAT_FAILURE, Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE})


@dataclass(frozen=True, slots=True)
class Found:
    """A signature of the file: what was listed, where it stands, what it covers, what is known."""

    listed: Listed
    place: Place | None
    coverage: Coverage | None
    facts: tuple[Facts, ...]
    ranges: Ranges | None = None
    token: bytes = b""  # the CMS, where it is a time stamp

    @property
    def gap(self) -> tuple[int, int] | None:
        """Where the signature value stands in the file."""
        return self.coverage.gap if self.coverage else None

    @property
    def end(self) -> int:
        """Where the signed range ends; 0 if there is none."""
        return self.coverage.ranges[1][1] if self.coverage and self.coverage.ranges else 0

    @property
    def revision(self) -> int:
        """The state that is signed, as far as known; else the one in which the signature was found."""
        found = self.coverage.revision if self.coverage else None
        return found or self.listed.state.revision

    def broken(self, *reasons: Reason) -> Found:
        """Return the same, broken for these reasons."""
        facts = tuple(
            replace(one, integrity=Integrity.BROKEN, structural=(*one.structural, *reasons)) for one in self.facts
        )
        return replace(self, facts=facts)


@dataclass(frozen=True, slots=True)
class Beside:
    """What stands beside the signatures: ``/DSS`` of the file, certificates of the caller, digests made so far."""

    embedded: TrustStore
    caller: tuple[bytes, ...]
    forms: Forms
    prefixes: Prefixes
    known: dict[tuple[int, int, int, int], Ranges]

    def ranges(self, coverage: Coverage) -> Ranges | None:
        """Return the signed bytes of a signature; the same ranges are hashed once."""
        if coverage.ranges is None:
            return None
        first, second = coverage.ranges
        return self.known.setdefault((*first, *second), Ranges(self.prefixes, first, second))


def find(file: PdfFile, one: Listed, beside: Beside) -> Found:
    """Read and compute one signature.

    Raises:
        LimitExceeded: a budget is used up.
    """
    value = one.dictionary
    if value is None:
        why = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), Reason(Code.MALFORMED, {"where": "/V"}))
        return Found(one, None, None, (_facts(one.id, Integrity.UNKNOWN, why),))
    place = locate(file.data, one.state, one.field)
    appearance = appearance_of(one.field, one.state)
    claimed = claimed_time(resolved(one.state, value.get("M")))
    if place is None:
        why = (Reason(Code.FORMAT_FAILURE), Reason(Code.BYTE_RANGE_INVALID, {"rule": "C3"}))
        hidden = replace(_facts(one.id, Integrity.BROKEN, why), signing_time=claimed, appearance=appearance)
        return Found(one, None, None, (hidden,))
    coverage = cover(file, place, one, beside.forms)
    facts = tuple(
        replace(
            each,
            revision=coverage.revision,
            covers=coverage.covers,
            appearance=appearance,
            embedded=beside.embedded.merged(each.embedded),
            signing_time=each.signing_time or (None if each.kind == "timestamp" else claimed),
        )
        for each in _computed(file.data, one, place, coverage, beside)
    )
    token = _token(file.data, place) if any(each.kind == "timestamp" for each in facts) else b""
    return Found(one, place, coverage, facts, beside.ranges(coverage), token)


def _token(data: bytes, place: Place) -> bytes:
    """Return the CMS in ``/Contents`` without the padding behind it."""
    contents = contents_of(data, place)
    signed = _signed_data(contents)
    return contents[: signed.encoded_length] if contents and signed else b""


def _facts(id: str, integrity: Integrity, why: tuple[Reason, ...]) -> Facts:
    return Facts(id, Crypto.UNKNOWN, integrity, Covers.PARTIAL, "PDF-PKCS7", None, structural=why)


def _computed(data: bytes, one: Listed, place: Place, coverage: Coverage, beside: Beside) -> tuple[Facts, ...]:
    """Return the facts of each signer; structure that does not hold makes them broken whatever the mathematics says."""
    kind, contents = sub_filter(data, place), contents_of(data, place)
    structural = _structural(coverage)
    ranges = beside.ranges(coverage)
    if kind == BARE and ranges is not None and (value := _octet_string(contents)) is not None:
        return (_bare(one, value, ranges, structural),)
    signed = _signed_data(contents)
    if signed is None or not signed.signers or ranges is None:
        if kind in KNOWN or signed is not None or ranges is None or not (contents or b"").strip(b"\0"):
            where = Reason(Code.MALFORMED, {"where": "/Contents"})
            why = (Reason(Code.FORMAT_FAILURE), *structural[1:], *(() if signed and signed.signers else (where,)))
            return (_facts(one.id, Integrity.BROKEN, why),)
        return (_unsupported(one.id, kind, structural),)
    cms = _Cms(signed, contents or b"", kind, ranges, structural)
    many = len(signed.signers) > 1
    return tuple(
        _signer(f"{one.id}#{number}" if many else one.id, info, cms, one, beside)
        for number, info in enumerate(signed.signers)
    )


@dataclass(frozen=True, slots=True)
class _Cms:
    """A CMS as it stands in ``/Contents``, its SubFilter, the bytes it is over, and what is wrong around it."""

    signed: asn1.SignedData
    contents: bytes
    kind: str
    ranges: Ranges
    structural: tuple[Reason, ...]


def _structural(coverage: Coverage) -> tuple[Reason, ...]:
    if not coverage.faults:
        return ()
    return (Reason(Code.FORMAT_FAILURE), Reason(Code.BYTE_RANGE_INVALID, {"rule": ", ".join(coverage.faults)}))


def _signed_data(contents: bytes | None) -> asn1.SignedData | None:
    if not contents or not contents.strip(b"\0"):
        return None
    try:
        return asn1.read_signed_data(contents)
    except ValueError:
        return None


def _octet_string(contents: bytes | None) -> bytes | None:
    """Return the octets of the DER OCTET STRING that ``/Contents`` begins with."""
    if not contents or contents[0] != 0x04 or len(contents) < 2:
        return None
    length, at = contents[1], 2
    if length >= 0x80:
        at, length = 2 + (length & 0x7F), int.from_bytes(contents[2 : 2 + (length & 0x7F)], "big")
    value = contents[at : at + length]
    return value if value and len(value) == length else None


def _unsupported(id: str, kind: str, structural: tuple[Reason, ...]) -> Facts:
    """D4: an unknown kind of signature is listed, with integrity unknown."""
    reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), Reason(Code.SUBFILTER_UNKNOWN, {"name": kind or "-"}))
    return _facts(id, Integrity.BROKEN if structural else Integrity.UNKNOWN, (*structural, *reasons))


def contents_of(data: bytes, place: Place) -> bytes | None:
    """Return the octets of ``/Contents`` as they stand in the file; ``None`` if it is no hexadecimal string."""
    token = place.contents
    if token is None:
        return None
    digits = data[token.start + 1 : token.end - 1].translate(None, SPACE)
    try:
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    except ValueError:
        return None


def certificates_of(state: State, dictionary: Mapping[str, Value]) -> tuple[bytes, ...]:
    """Return ``/Cert``: one certificate or several, the signer's first."""
    value = resolved(state, dictionary.get("Cert"))
    listed = [resolved(state, one) for one in items(state, value)] if isinstance(value, tuple) else [value]
    return tuple(bytes(one) for one in listed if isinstance(one, String))


def _bare(one: Listed, value: bytes, ranges: Ranges, structural: tuple[Reason, ...]) -> Facts:
    assert one.dictionary is not None
    held = certificates_of(one.state, one.dictionary)
    found = check_bare(value, ranges, held[0] if held else None)
    return _judged(one.id, found, structural, level="PDF-PKCS7", candidates=held, value=value)


def _judged(
    id: str,
    found: CmsCheck,
    structural: tuple[Reason, ...],
    *,
    level: str,
    candidates: tuple[bytes, ...],
    value: bytes,
) -> Facts:
    reasons = (*structural, *found.reasons)
    return Facts(
        id,
        found.crypto,
        _integrity(found.crypto, reasons),
        Covers.PARTIAL,
        level,
        found.certificate,
        algorithm=found.algorithm,
        digests=digest_names(found.digest_algorithms),
        candidates=tuple(der for der in candidates if readable(der)),
        structural=reasons,
        warnings=found.warnings,
        value_sha256=hashlib.sha256(value).hexdigest(),
    )


def _integrity(crypto: Crypto, reasons: tuple[Reason, ...]) -> Integrity:
    if crypto is Crypto.BAD or any(reason.code in _BROKEN for reason in reasons):
        return Integrity.BROKEN
    return Integrity.INTACT if crypto is Crypto.OK else Integrity.UNKNOWN


def _signer(id: str, info: asn1.SignerInfo, cms: _Cms, one: Listed, beside: Beside) -> Facts:
    """Return the facts of one signer of a CMS."""
    assert one.dictionary is not None
    stamp = cms.signed.content_type == "tst_info"
    around = Candidates((*certificates_of(one.state, one.dictionary), *beside.embedded.intermediates), beside.caller)
    found = check(info, cms.signed, cms.ranges, kind=cms.kind, candidates=around)
    found = replace(found, warnings=(*found.warnings, *_frame(cms)))
    level = "RFC3161" if stamp else "PDF-PKCS7"
    if not stamp and cms.kind == "ETSI.CAdES.detached" and found.has_ess:
        level = "PAdES-B-B"
    held = (*cms.signed.certificates, *around.file[: len(around.file) - len(beside.embedded.intermediates)])
    facts = _judged(id, found, cms.structural, level=level, candidates=held, value=info.value)
    if facts.integrity is Integrity.UNKNOWN and certificate_absent(found, info):
        facts = replace(facts, integrity=Integrity.INTACT)  # the digest is the one signed; by whom is not known (4.4)
    if stamp:
        return replace(facts, kind="timestamp", signing_time=_stated_time(cms.signed))
    own = TrustStore(crls=cms.signed.crls, ocsps=cms.signed.ocsps)
    return replace(facts, stamps=_stamps(id, info, cms.ranges), embedded=own, signing_time=_signing_time(info))


def _frame(cms: _Cms) -> list[Reason]:
    """Name what is odd around what is signed (E4, G4)."""
    odd = oddities(cms.contents[: cms.signed.encoded_length], cms.signed)
    warnings = [Reason(Code.MALFORMED, {"where": f"CMS {where}"}) for where in odd]
    if cms.contents[cms.signed.encoded_length :].strip(b"\0"):
        warnings.append(Reason(Code.CONTENTS_PADDING))
    return warnings


def _stated_time(signed: asn1.SignedData) -> datetime | None:
    """Return the time a stamp states."""
    try:
        return asn1.read_tst_info(signed.content or b"").time
    except ValueError:
        return None


def _signing_time(info: asn1.SignerInfo) -> datetime | None:
    """Return the claimed time among the signed attributes, which comes before ``/M``: it is the signed one."""
    values = info.values("signing_time")
    return _asn1_time(values[0][0]) if values and values[0] else None


def _asn1_time(der: bytes) -> datetime | None:
    forms = {0x17: "%y%m%d%H%M%SZ", 0x18: "%Y%m%d%H%M%SZ"}
    form = forms.get(der[0]) if len(der) > 2 else None
    if form is None:
        return None
    try:
        return datetime.strptime(der[2:].decode("ascii"), form).replace(tzinfo=UTC)
    except ValueError:
        return None


def _stamps(id: str, info: asn1.SignerInfo, ranges: Ranges) -> tuple[Stamp, ...]:
    """Return the time stamps over the value, and those over the content that were made before."""
    names = ("signature_time_stamp_token", "1.2.840.113549.1.9.16.2.14")
    tokens = [token for name, values in info.unsigned if name in names for token in values]
    names = ("content_time_stamp", "1.2.840.113549.1.9.16.2.20")
    before = [token for name, values in info.attributes if name in names for token in values]
    return (
        *(Stamp(f"{id}/t{number}", "signature", token, info.value) for number, token in enumerate(tokens)),
        *(Stamp(f"{id}/c{number}", "content", token, ranges.digest) for number, token in enumerate(before)),
    )


def claimed_time(value: Value) -> datetime | None:
    """Return ``/M``, the claimed time; one without offset is taken as UTC."""
    match = _PDF_DATE.fullmatch(value.decode("latin-1")) if isinstance(value, String) else None
    if match is None:
        return None
    year, month, day, hour, minute, second = (
        int(part) if part else fallback for part, fallback in zip(match.groups()[:6], (0, 1, 1, 0, 0, 0), strict=True)
    )
    sign, hours, minutes = match.groups()[6:]
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0)) * (-1 if sign == "-" else 1)
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=timezone(offset)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
