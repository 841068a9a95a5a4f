"""Judge any CMS: signatures, detached or with their content, and time stamps alone (signing.md 6, S1; console.md 5).

``inspect_cms`` never raises for what the file contains. ``verify_cms`` hands back the content that was signed: nothing
but the octets that were hashed.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from signer import asn1, ber, der
from signer.cades.content import Octets
from signer.cades.examine import Setting, examine, examine_token
from signer.cades.forms import BARE, EVIDENCE, RESPONSE, Form, kind_of, unwrap
from signer.cmsnames import SIGNED_DATA, STAMPED_DATA
from signer.errors import NotVerified
from signer.judge import Facts, FileFacts, judge_signature, report_of
from signer.report import Code, Covers, Crypto, Integrity, Reason, Report, Verdict
from signer.signeddata import SignedData
from signer.trust import Context

_TOKEN = object()
_GRANTED = (b"\0", b"\1")  # granted, and granted with changes
_ENCRYPTED = frozenset(
    {"enveloped_data", "encrypted_data", "authenticated_enveloped_data", "signed_and_enveloped_data"}
)


@dataclass(frozen=True, slots=True)
class VerifiedCms:
    """A valid signature's content and what judged it. Made here only."""

    content: bytes = field(repr=False)
    report: Report
    made_by: object = field(repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.made_by is not _TOKEN:
            raise TypeError("verified values come from verification only")


@dataclass(frozen=True, slots=True)
class Found:
    """What one form holds: its facts, its format in words, the content signed, and what is odd or wrong about it."""

    facts: tuple[Facts, ...] = ()
    format: str | None = None
    content: bytes | None = None
    reasons: tuple[Reason, ...] = ()
    warnings: tuple[Reason, ...] = ()
    broken: bool = False


def inspect_cms(data: bytes, *, context: Context) -> Report:
    """Judge every signer of a CMS in any form; detached content is looked for among the context's contents."""
    return _inspect(data, context)[0]


def verify_cms(data: bytes, *, context: Context) -> VerifiedCms:
    """Return the content of a valid CMS.

    Raises:
        NotVerified: the verdict is not *valid*, or several signatures are over different contents.
    """
    report, found = _inspect(data, context)
    contents = {one.content for one in found if one.facts}
    content = contents.pop() if len(contents) == 1 else None
    if report.verdict is not Verdict.VALID or content is None:
        code = report.reasons[0].code if report.reasons else Code.SIGNED_DATA_NOT_FOUND
        raise NotVerified("EDOC-SIG-001", f"not verified: {code}", report, reason=code.value)
    return VerifiedCms(content, report, _TOKEN)


def _inspect(data: bytes, context: Context) -> tuple[Report, tuple[Found, ...]]:
    try:
        forms = unwrap(data)
    except ValueError:
        broken = kind_of(data) is not None
        reason = Reason(Code.MALFORMED, {"where": "CMS"}) if broken else Reason(Code.UNSUPPORTED_FORMAT)
        file = FileFacts("cms", None, data, reasons=(reason,), broken=broken)
        return report_of(file, (), context=context), ()
    found: list[Found] = []
    for form in forms:
        count = sum(len(one.facts) for one in found)
        found.append(find(form, context=context, first=count))
    facts = [each for one in found for each in one.facts]
    if len(facts) > context.limits.signatures:
        limit = Reason(Code.LIMIT_EXCEEDED, {"limit": "signatures"})
        return report_of(FileFacts("cms", found[0].format, data, reasons=(limit,)), (), context=context), ()
    file = FileFacts(
        "cms",
        found[0].format,
        data,
        reasons=tuple(reason for one in found for reason in one.reasons),
        warnings=tuple(warning for one in found for warning in one.warnings),
        broken=any(one.broken for one in found),
    )
    judged = [judge_signature(each, context=context) for each in facts]
    return report_of(file, judged, context=context), tuple(found)


def find(form: Form, *, context: Context, first: int = 0) -> Found:
    """Examine one form; signers are numbered from ``first``."""
    trailing = (Reason(Code.TRAILING_BYTES, {"n": str(form.trailing)}),) if form.trailing else ()
    try:
        if form.kind == RESPONSE:
            return _of_response(form, context, trailing)
        if form.kind == "timestamped_data":
            return _of_stamped(form, context, trailing)
        data = _framed(form.data) if form.kind == BARE else form.data
        if form.kind in {"signed_data", BARE}:
            return _of_signed(asn1.read_signed_data(data), data, form, context, first=first)
        if form.kind == EVIDENCE:
            return _of_evidence(form, context, trailing)
    except ValueError:
        return Found(format=None, reasons=(Reason(Code.MALFORMED, {"where": "CMS"}),), broken=True)
    code = Code.ENCRYPTED if form.kind in _ENCRYPTED else Code.UNSUPPORTED_FORMAT
    return Found(format=f"CMS {form.kind.replace('_', ' ')}", reasons=(Reason(code),), warnings=trailing)


def _framed(data: bytes) -> bytes:
    """Put the ContentInfo around a SignedData that stands alone."""
    return der.encode(der.SEQUENCE, der.encode_identifier(SIGNED_DATA), der.encode(0xA0, data))


def _of_signed(signed: SignedData, data: bytes, form: Form, context: Context, *, first: int) -> Found:
    trailing = (Reason(Code.TRAILING_BYTES, {"n": str(form.trailing)}),) if form.trailing else ()
    if signed.content_type == "tst_info" and len(signed.signers) == 1:
        stamped = _stamped_content(data, form, context)
        facts = examine_token(f"timestamp-{first}", data, content=stamped, context=context)
        return Found((facts,), "TimeStampToken", None, warnings=trailing)
    setting = _setting(signed, form, context)
    facts_found: list[Facts] = []
    for number, info in enumerate(signed.signers, start=first):
        facts_found += examine(f"signer-{number}", info, setting)
        if len(facts_found) > context.limits.signatures:
            break  # the file is over its limit, and says so
    words = "CMS enveloping" if signed.content is not None else "CMS detached"
    words = words if signed.signers else "CMS certificates"
    content = setting.content.data if setting.content is not None else None
    return Found(tuple(facts_found), words, content, warnings=trailing)


def _setting(signed: SignedData, form: Form, context: Context) -> Setting:
    """Find the content: in the signature, beside it in the message, among those the caller gave."""
    given = tuple(Octets(one) for one in form.contents)
    named = tuple(Octets(one.data, one.name) for one in context.contents)
    sure = given or tuple(one for one in named if not one.name)
    if signed.content is not None:
        return Setting(signed, Octets(signed.content), context, other=sure)
    if not sure and len(named) == 1:
        sure = named
    fitting = next((one for one in sure or named if _fits(signed, one)), None)
    meant = tuple(one for one in named if not one.name) if given else ()
    agreed = {one.data for one in given} & {one.data for one in meant}
    return Setting(signed, fitting or next(iter(sure), None), context, other=() if agreed else meant)


def _fits(signed: SignedData, content: Octets) -> bool:
    """Tell whether a signer's message digest is that of this content."""
    for info in signed.signers:
        for values in info.values("message_digest"):
            digest = content.digest(info.digest)
            try:
                if digest is not None and values and asn1.octet_string(values[0]) == digest:
                    return True
            except ValueError:
                continue
    return False


def _stamped_content(token: bytes, form: Form, context: Context) -> Octets | None:
    """Return what a token is over, of what is at hand: the only content, or the one that fits."""
    given = tuple(Octets(one) for one in form.contents)
    named = tuple(Octets(one.data, one.name) for one in context.contents)
    try:
        info = asn1.read_tst_info(asn1.read_signed_data(token).content or b"")
    except ValueError:
        return None
    sure = given or tuple(one for one in named if not one.name) or (named if len(named) == 1 else ())
    fitting = next((one for one in sure or named if one.digest(info.digest) == info.imprint), None)
    return fitting or next(iter(sure), None)


# --- answers of time-stamping authorities, and data with its stamps --------------------------------------------------


def _of_response(form: Form, context: Context, trailing: tuple[Reason, ...]) -> Found:
    parts = ber.whole(form.data).parts()
    if len(parts) < 2:
        return Found(format="TimeStampResp", reasons=(Reason(Code.NO_SIGNATURE),), warnings=trailing)
    token = parts[1].encoded
    facts = examine_token("timestamp-0", token, content=_stamped_content(token, form, context), context=context)
    if len(parts) != 2 or parts[0].first().content not in _GRANTED:  # a refusal brings no token (RFC 3161, 2.4.2)
        why = (Reason(Code.FORMAT_FAILURE), Reason(Code.MALFORMED, {"where": "TimeStampResp"}))
        facts = replace(facts, integrity=Integrity.BROKEN, structural=(*facts.structural, *why))
    return Found((facts,), "TimeStampResp", None, warnings=trailing)


def _of_stamped(form: Form, context: Context, trailing: tuple[Reason, ...]) -> Found:
    """TimeStampedData (RFC 5544): content, and tokens over it or over what came before."""
    kind, field_ = ber.whole(form.data).parts()
    if ber.identifier(kind) != STAMPED_DATA:
        raise ValueError("no TimeStampedData")
    _, *rest = field_.first().expect(der.SEQUENCE).parts()
    held = [one for one in rest if one.tag & ~0x20 == der.OCTETS]
    evidence = rest[-1]
    content: Octets | None = Octets(ber.octets(held[0])) if held else None
    if content is None:
        content = next((Octets(one.data) for one in context.contents), None)
    if evidence.tag != 0xA0:
        return Found(format="TimeStampedData", reasons=(Reason(Code.UNSUPPORTED_FORMAT),), warnings=trailing)
    tokens = [_token_of(one) for one in evidence.parts()]
    facts = [examine_token(f"timestamp-{n}", one, content=content, context=context) for n, one in enumerate(tokens[:1])]
    facts += [_left_open(f"timestamp-{n}") for n in range(1, len(tokens))]
    return Found(tuple(facts), "TimeStampedData", None, warnings=trailing)


def _token_of(found: ber.Node) -> bytes:
    """Return the token of a TimeStampAndCRL."""
    return found.expect(der.SEQUENCE).first().encoded


def _left_open(id: str) -> Facts:
    facts = {"algorithm": "TimeStampedData"}
    why = (Reason(Code.CRYPTO_CONSTRAINTS_FAILURE, facts), Reason(Code.ALGORITHM_UNSUPPORTED, facts))
    return Facts(
        id, Crypto.UNKNOWN, Integrity.UNKNOWN, Covers.PARTIAL, "RFC3161", None, structural=why, kind="timestamp"
    )


def _of_evidence(form: Form, context: Context, trailing: tuple[Reason, ...]) -> Found:
    """An evidence record alone is over the contents given, or over what is not at hand."""
    from signer.evidencerecord import examine_record, read_record

    facts, _ = examine_record("evidence-0", read_record(form.data), [one.data for one in context.contents], context)
    return Found((facts,), "EvidenceRecord", None, warnings=trailing)
