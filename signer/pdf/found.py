"""Every signature of a file, read and computed: one by one, never dropped (signing.md 4.1, D3 to D5, E1 to E4).

A signature is what a signature field of any revision leads to. What cannot be read is listed all the same, with
integrity *unknown* or *broken*. The mathematics is done over the original bytes of the ranges; trust plays no part.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader

from signer import asn1
from signer.cms import DIGEST_NAMES, CmsCheck, check_signer, digest_with, find_certificate
from signer.judge import Facts, Stamp
from signer.pdf.changes import State
from signer.pdf.coverage import Coverage, Place, cover, locate, sub_filter
from signer.pdf.objects import dictionary_of, entry
from signer.pdf.page import Field
from signer.pdf.syntax import SPACE
from signer.pdf.uncovered import damaged, oddities, readable, strangers
from signer.report import Appearance, Code, Covers, Crypto, Integrity, Reason
from signer.trust import Limits, TrustStore

DETACHED = frozenset({"ETSI.CAdES.detached", "adbe.pkcs7.detached"})
KNOWN = DETACHED | {"ETSI.RFC3161", "adbe.pkcs7.sha1"}

_PDF_DATE = re.compile(r"D:(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(?:Z|([+-])(\d{2})'?(\d{2})?'?)?")


@dataclass(frozen=True, slots=True)
class Found:
    """A signature of the file: the field, the state it belongs to, where it stands, what it covers, what is known."""

    field: Field
    state: State
    place: Place | None
    coverage: Coverage | None
    facts: tuple[Facts, ...]

    @property
    def gap(self) -> tuple[int, int] | None:
        """Where the signature value stands in the file."""
        return self.coverage.gap if self.coverage else None

    @property
    def end(self) -> int:
        """Where the signed range ends; 0 if there is none."""
        return self.coverage.ranges[1][1] if self.coverage and self.coverage.ranges else 0

    def with_facts(self, change: dict[str, object]) -> Found:
        """Return the same with every ``Facts`` altered."""
        return replace(self, facts=tuple(replace(one, **change) for one in self.facts))  # type: ignore[arg-type]


def find(
    data: bytes, reader: PdfFileReader, field: Field, state: State, *, id: str, limits: Limits, embedded: TrustStore
) -> Found:
    """Read and compute the signature a field leads to."""
    value = dictionary_of(field.value)
    if value is None:
        unreadable = _facts(id, Crypto.UNKNOWN, Integrity.UNKNOWN, (Code.CRYPTO_CONSTRAINTS_FAILURE, "/V"))
        return Found(field, state, None, None, (unreadable,))
    place = locate(data, reader, field, state.revision)
    common = {"signing_time": _claimed(value), "appearance": appearance_of(field), "embedded": embedded}
    if place is None:
        misplaced = _facts(id, Crypto.UNKNOWN, Integrity.BROKEN, (Code.FORMAT_FAILURE, "/V"))
        return Found(field, state, None, None, (replace(misplaced, **common),))  # type: ignore[arg-type]
    coverage = cover(data, place, field, reader=reader, limits=limits)
    facts = tuple(
        replace(one, **common, revision=coverage.revision, covers=coverage.covers)  # type: ignore[arg-type]
        for one in _computed(data, place, coverage, id)
    )
    return Found(field, state, place, coverage, facts)


def _facts(id: str, crypto: Crypto, integrity: Integrity, why: tuple[Code, str], *more: Reason) -> Facts:
    reasons = (Reason(why[0]), *(more or (Reason(Code.MALFORMED, {"where": why[1]}),)))
    return Facts(id, crypto, integrity, Covers.PARTIAL, "PDF-PKCS7", None, structural=reasons)


def _computed(data: bytes, place: Place, coverage: Coverage, id: str) -> tuple[Facts, ...]:
    """Return the facts of each signer; structure that does not hold makes them broken whatever the mathematics says."""
    kind = sub_filter(data, place)
    structural = _structural(coverage)
    contents = _contents(data, place)
    signed = None
    if contents is not None and contents.strip(b"\0"):
        try:
            signed = asn1.read_signed_data(contents)
        except ValueError:
            signed = None
    if signed is None or not signed.signers or coverage.ranges is None:
        if kind in KNOWN or signed is not None or coverage.ranges is None:
            why = (Code.FORMAT_FAILURE, "/Contents")
            return (_facts(id, Crypto.UNKNOWN, Integrity.BROKEN, why, *_merged(structural, "/Contents")),)
        return (_unsupported(id, kind, structural),)
    (start, a), (b, end) = coverage.ranges
    ranges = (data[start:a], data[b:end])
    assert contents is not None
    many = len(signed.signers) > 1
    return tuple(
        _signer(f"{id}#{number}" if many else id, info, signed, ranges, kind, structural, contents)
        for number, info in enumerate(signed.signers)
    )


def _merged(structural: tuple[Reason, ...], where: str) -> tuple[Reason, ...]:
    return (*structural[1:], Reason(Code.MALFORMED, {"where": where}))


def _unsupported(id: str, kind: str, structural: tuple[Reason, ...]) -> Facts:
    """D4: an unknown kind of signature is listed, with integrity unknown."""
    reasons = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE), Reason(Code.SUBFILTER_UNKNOWN, {"name": kind or "-"}))
    integrity = Integrity.BROKEN if structural else Integrity.UNKNOWN
    return Facts(id, Crypto.UNKNOWN, integrity, Covers.PARTIAL, "PDF-PKCS7", None, structural=(*structural, *reasons))


def _structural(coverage: Coverage) -> tuple[Reason, ...]:
    if not coverage.faults:
        return ()
    return (Reason(Code.FORMAT_FAILURE), Reason(Code.BYTE_RANGE_INVALID, {"rule": ", ".join(coverage.faults)}))


def _contents(data: bytes, place: Place) -> bytes | None:
    token = place.contents
    if token is None:
        return None
    digits = data[token.start + 1 : token.end - 1].translate(None, SPACE)
    try:
        return bytes.fromhex((digits + b"0" * (len(digits) % 2)).decode("ascii"))
    except ValueError:
        return None


def _signer(
    id: str,
    info: asn1.SignerInfo,
    signed: asn1.SignedData,
    ranges: tuple[bytes, bytes],
    kind: str,
    structural: tuple[Reason, ...],
    contents: bytes,
) -> Facts:
    stamp = signed.content_type == "tst_info"
    candidates = tuple(der for der in signed.certificates if readable(der))
    check, reasons, warnings = _mathematics(info, replace(signed, certificates=candidates), ranges, kind)
    reasons, warnings = (*check.reasons, *reasons), (*check.warnings, *warnings)
    uncovered_reasons, uncovered_warnings = _uncovered(signed, contents, info)
    reasons, warnings = (*reasons, *uncovered_reasons), (*warnings, *uncovered_warnings)
    crypto = Crypto.BAD if any(reason.code is Code.HASH_FAILURE for reason in reasons) else check.crypto
    level = "RFC3161" if stamp else "PDF-PKCS7"
    if not stamp and kind == "ETSI.CAdES.detached" and check.has_ess:
        level = "PAdES-B-B"
    return Facts(
        id,
        crypto,
        _integrity(crypto, (*structural, *reasons)),
        Covers.PARTIAL,
        level,
        check.certificate,
        algorithm=check.algorithm,
        digests=tuple(DIGEST_NAMES.get(name, name) for name in check.digest_algorithms),
        candidates=candidates,
        structural=(*structural, *reasons),
        stamps=() if stamp else _stamps(id, info),
        kind="timestamp" if stamp else "signature",
        warnings=warnings,
        value_sha256=hashlib.sha256(info.value).hexdigest(),
    )


def _leaf(signed: asn1.SignedData) -> bytes | None:
    held = [der for der in signed.certificates if readable(der)]
    return find_certificate(signed.signers[0], held) if signed.signers else None


def _uncovered(
    signed: asn1.SignedData, contents: bytes, info: asn1.SignerInfo
) -> tuple[tuple[Reason, ...], tuple[Reason, ...]]:
    """Return what is wrong with the parts of the CMS, and of its time stamps, that no signature covers."""
    frames = [(contents[: signed.encoded_length], signed)]
    for stamp in _stamps("", info):
        with suppress(ValueError):
            frames.append((stamp.token, asn1.read_signed_data(stamp.token)))
    odd = [where for der, one in frames for where in oddities(der, one)]
    odd += ["certificates" for _, one in frames if strangers(one.certificates, _leaf(one))]
    warnings = [Reason(Code.MALFORMED, {"where": f"CMS {where}"}) for where in dict.fromkeys(odd)]
    if contents[signed.encoded_length :].strip(b"\0"):
        warnings.append(Reason(Code.CONTENTS_PADDING))
    if damaged(tuple(dict.fromkeys(der for _, one in frames for der in one.certificates))):
        return (Reason(Code.CERTIFICATE_CHAIN_GENERAL_FAILURE, {"detail": "certificate"}),), tuple(warnings)
    return (), tuple(warnings)


def _integrity(crypto: Crypto, reasons: tuple[Reason, ...]) -> Integrity:
    broken = {Code.FORMAT_FAILURE, Code.HASH_FAILURE, Code.SIG_CRYPTO_FAILURE}
    if crypto is Crypto.BAD or any(reason.code in broken for reason in reasons):
        return Integrity.BROKEN
    return Integrity.INTACT if crypto is Crypto.OK else Integrity.UNKNOWN


def _mathematics(
    info: asn1.SignerInfo, signed: asn1.SignedData, ranges: tuple[bytes, bytes], kind: str
) -> tuple[CmsCheck, tuple[Reason, ...], tuple[Reason, ...]]:
    """Return the check of one signer, further reasons, and warnings."""
    if signed.content_type == "tst_info" or kind == "adbe.pkcs7.sha1":
        check = check_signer(
            info,
            content_digest=None,
            content=signed.content,
            content_type=signed.content_type,
            candidates=signed.certificates,
        )
        fits = _imprint_fits(signed, ranges)
        return check, () if fits else (Reason(Code.HASH_FAILURE, {"part": "content"}),), ()
    check = check_signer(
        info,
        content_digest=_digest(info.digest, ranges),
        content=b"".join(ranges) if info.signed_attributes is None else None,
        content_type=signed.content_type,
        candidates=signed.certificates,
    )
    reasons: tuple[Reason, ...] = ()
    if signed.content_type != "data":
        reasons = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "content-type"}))
    embedded = (Reason(Code.MALFORMED, {"where": "CMS content"}),) if signed.content is not None else ()
    return check, reasons, embedded


def _digest(name: str, ranges: tuple[bytes, bytes]) -> bytes | None:
    try:
        digest_with(name, b"")
    except ValueError:
        return None
    hashed = hashlib.new(name, usedforsecurity=False)
    for part in ranges:
        hashed.update(part)
    return hashed.digest()


def _imprint_fits(signed: asn1.SignedData, ranges: tuple[bytes, bytes]) -> bool:
    if signed.content is None:
        return False
    if signed.content_type != "tst_info":
        return signed.content == _digest("sha1", ranges)
    try:
        info = asn1.read_tst_info(signed.content)
    except ValueError:
        return False
    return info.imprint == _digest(info.digest, ranges)


def _stamps(id: str, info: asn1.SignerInfo) -> tuple[Stamp, ...]:
    tokens = [token for name, values in info.unsigned if name == "signature_time_stamp_token" for token in values]
    return tuple(
        Stamp(f"{id}/t{number}", "signature", token if _token_readable(token) else b"", info.value)
        for number, token in enumerate(tokens)
    )


def _token_readable(token: bytes) -> bool:
    """Say whether token and certificates can be read; one that cannot counts as broken."""
    try:
        return all(map(readable, asn1.read_signed_data(token).certificates))
    except ValueError:
        return False


def _claimed(value: generic.DictionaryObject) -> datetime | None:
    """Return ``/M``, the claimed time."""
    text = entry(value, "/M")
    match = _PDF_DATE.fullmatch(str(text)) if isinstance(text, generic.TextStringObject) else None
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


def appearance_of(field: Field) -> Appearance | None:
    """Return where a field is drawn, and the text of an appearance in the form this package writes."""
    for page, box in field.widgets:
        if min(box[2:]) > 0:
            x, y, w, h = (round(value, 2) for value in box)
            return Appearance(page, (x, y, w, h), _text(field))
    return None


def _text(field: Field) -> str | None:
    appearance = entry(field.dictionary, "/AP")
    stream = entry(appearance, "/N") if isinstance(appearance, generic.DictionaryObject) else None
    if not isinstance(stream, generic.StreamObject) or len(stream.data) > 65_536:
        return None
    font = entry(entry(entry(stream, "/Resources"), "/Font"), "/F")
    if not isinstance(font, generic.DictionaryObject) or not isinstance(
        entry(font, "/ToUnicode"), generic.StreamObject
    ):
        return None
    letters = {
        code: bytes.fromhex(text.decode()).decode("utf-16-be", "replace")
        for code, text in re.findall(rb"<([0-9A-F]{4})> <((?:[0-9A-F]{4}){1,2})>\n", font["/ToUnicode"].data[:65_536])
    }
    lines = [
        "".join(letters.get(code, "\ufffd") for code in re.findall(rb"[0-9A-F]{4}", shown))
        for shown in re.findall(rb"<([0-9A-F]+)> Tj", stream.data)
    ]
    return " ".join(lines) or None
