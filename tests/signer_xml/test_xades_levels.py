"""XAdES from B to LTA: written, renewed, judged decades later, broken by every covered part (signing.md 5.3, 7.2)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from lxml import etree

from signer.algorithms import PolicyName
from signer.asic import build_asice, inspect_asice, read_container
from signer.asicextend import extend_asice
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.errors import InputRefused, LevelNotReached, SigningRefused, TimestampError
from signer.report import Code, Indication, Integrity, Report, SignatureReport, Verdict
from signer.trust import Context, TrustStore
from signer.xml.details import SignerDetails
from signer.xml.extend import extend_xml
from signer.xml.sign import sign_xml
from signer.xml.verify import inspect_xml
from signer.zips import write_zip
from tests.signer_xml.xades_house import Foreign

DAY = timedelta(days=1)
DOCUMENT = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<doc  a=\'1\'><!-- > --><b>chữ</b>\n</doc >\n<!-- </doc> -->'.encode()
)
ALL = ("t", "lt", "lta")


@pytest.fixture(scope="module")
def signed(person: DevIdentity, now: datetime) -> bytes:
    """A document signed at level B."""
    return sign_xml(DOCUMENT, credential=person.credential, at=now)


@pytest.fixture(scope="module")
def archived(signed: bytes, context: Context, timestamper: DevTimestamper) -> bytes:
    """The same at level LTA."""
    return extend_xml(signed, to="lta", context=context, timestamper=timestamper).data


def _only(data: bytes, context: Context) -> SignatureReport:
    (found,) = inspect_xml(data, context=context).signatures
    return found


def _unsigned_removed(data: bytes) -> bytes:
    return re.sub(rb"<(xades:UnsignedProperties)\b.*</\1>", b"", data, flags=re.DOTALL)


@pytest.mark.tool("xmlsec1")
@pytest.mark.parametrize("level", ALL)
def test_every_level_is_reached_and_nothing_that_was_there_is_touched(
    level: str,
    signed: bytes,
    context: Context,
    timestamper: DevTimestamper,
    xmlsec1: Callable[..., bool],
) -> None:
    made = extend_xml(signed, to=level, context=context, timestamper=timestamper)
    assert (made.before, made.after) == (("XAdES-B-B",), (f"XAdES-B-{level.upper()}",))
    assert _unsigned_removed(made.data) == signed
    found = inspect_xml(made.data, context=context)
    assert (found.verdict, found.signatures[0].level) == (Verdict.VALID, f"XAdES-B-{level.upper()}")
    assert {stamp.indication for stamp in found.signatures[0].timestamps} == {Indication.PASSED}
    assert xmlsec1(made.data)
    assert not xmlsec1(made.data.replace("chữ".encode(), "chử".encode()))


def test_what_stands_there_already_is_not_put_in_again(
    archived: bytes, person: DevIdentity, context: Context, timestamper: DevTimestamper
) -> None:
    """Certificates of KeyInfo and of tokens, and a second extension to the same level."""
    texts = [e.text for e in etree.fromstring(archived).iter() if "EncapsulatedX509" in str(e.tag)]
    assert len(texts) == len(set(texts)) > 0
    again = extend_xml(archived, to="lt", context=context, timestamper=timestamper)
    assert again.data == archived
    assert again.after == ("XAdES-B-LTA",)


def test_each_step_may_be_taken_by_itself(signed: bytes, context: Context, timestamper: DevTimestamper) -> None:
    data = signed
    for level in ALL:
        made = extend_xml(data, to=level, context=context, timestamper=timestamper)
        assert made.data.startswith(data[: data.index(b"</xades:QualifyingProperties")][: len(DOCUMENT) // 2])
        data = made.data
    assert _only(data, context).level == "XAdES-B-LTA"


def test_a_renewal_adds_the_data_of_the_last_stamp_and_a_new_one(
    archived: bytes, pki: DevPki, context: Context, now: datetime
) -> None:
    later = now + 300 * DAY
    renewing = replace(context, at=later, trust=pki.trust(at=later))
    made = extend_xml(archived, to="lta", context=renewing, timestamper=DevTimestamper(pki, lambda: later))
    names = [etree.QName(e).localname for e in etree.fromstring(made.data).iter() if "Unsigned" in _parent_name(e)]
    assert names[-3:] == ["ArchiveTimeStamp", "TimeStampValidationData", "ArchiveTimeStamp"]
    kinds = [(t.kind, t.indication) for t in _only(made.data, renewing).timestamps]
    assert kinds == [("signature", Indication.PASSED), *[("archive", Indication.PASSED)] * 2]


def _parent_name(element: etree._Element) -> str:
    parent = element.getparent()
    return etree.QName(parent).localname if parent is not None and "Signature" in str(parent.tag) else ""


PARTS = {
    "document": ("chữ".encode(), "chử".encode()),
    "signed info": (b'<ds:Reference Id="sig-ref-1"', b'<ds:Reference Id="sig-ref-7"'),
    "value": (b"<ds:SignatureValue ", b"<ds:SignatureValue x='' "),
    "key info": (b"<ds:X509Data>", b"<ds:X509Data> "),
    "signed properties": (b"<xades:SignedSignatureProperties>", b"<xades:SignedSignatureProperties> "),
    "signature stamp": (b"<xades:SignatureTimeStamp ", b"<xades:SignatureTimeStamp Id='x' "),
    "certificates": (b"<xades:CertificateValues ", b"<xades:CertificateValues Id='x' "),
    "status answers": (b"<xades:CRLValues>", b"<xades:CRLValues> "),
    "another object": (b"<ds:Object><xades", b"<ds:Object Id='o'></ds:Object><ds:Object><xades"),
    "another property": (b"<xades:CertificateValues ", b"<xades:RevocationValues/><xades:CertificateValues "),
}


@pytest.mark.parametrize("part", PARTS)
def test_an_archive_stamp_is_broken_by_a_change_in_any_part_it_covers(
    part: str, archived: bytes, context: Context
) -> None:
    old, new = PARTS[part]
    assert archived.count(old) >= 1
    found = _only(archived.replace(old, new, 1), context)
    archive = next(stamp for stamp in found.timestamps if stamp.kind == "archive")
    assert archive.integrity is Integrity.BROKEN
    assert found.indication is not Indication.PASSED
    if part in {"signature stamp", "certificates", "status answers", "another property", "key info"}:
        assert (found.integrity, found.sub_indication) == (Integrity.INTACT, Code.SIG_CONSTRAINTS_FAILURE)


def test_what_comes_behind_an_archive_stamp_does_not_touch_it(archived: bytes, context: Context) -> None:
    more = archived.replace(b"</xades:UnsignedSignatureProperties>", b"<more/></xades:UnsignedSignatureProperties>")
    assert _only(more, context).level == "XAdES-B-LTA"


@pytest.fixture(scope="module")
def houses() -> tuple[DevPki, ...]:
    """Authorities that follow one another, each time-stamping for ten years."""
    return tuple(DevPki.create(at=datetime(y, 1, 1, tzinfo=UTC)) for y in (2026, 2034, 2043, 2052))


def _clock(at: datetime) -> Callable[[], datetime]:
    return lambda: at


class TestIn2060:
    """Judged decades after every certificate has ended: proved by archive stamps, or not at all (7.2)."""

    AT = datetime(2060, 1, 1, tzinfo=UTC)

    def _context(self, houses: tuple[DevPki, ...], at: datetime) -> Context:
        trust = TrustStore()
        for house in houses:
            if house.created < at:
                trust = trust.merged(house.trust(at=at) if at < house.created + 3650 * DAY else house.anchors)
        return Context(trust=trust, at=at, policy=PolicyName.INTEROP)

    def _judged(self, data: bytes, houses: tuple[DevPki, ...]) -> SignatureReport:
        trust = TrustStore()
        for house in houses:
            trust = trust.merged(house.anchors)
        fresh = houses[-1].trust(at=self.AT)
        return _only(data, Context(trust=trust.merged(fresh), at=self.AT, policy=PolicyName.INTEROP))

    def test_complete_archive_stamps_carry_a_signature_over_and_a_gap_does_not(
        self, houses: tuple[DevPki, ...]
    ) -> None:
        signer = houses[0].issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
        start = datetime(2026, 2, 1, tzinfo=UTC)
        data = sign_xml(DOCUMENT, credential=signer.credential, at=start)
        versions = []
        for house, year in zip(houses, (2026, 2035, 2043, 2052), strict=True):
            at = datetime(year, 3, 1, tzinfo=UTC)
            data = extend_xml(
                data, to="lta", context=self._context(houses, at), timestamper=DevTimestamper(house, _clock(at))
            ).data
            versions.append(data)
        found = self._judged(versions[-1], houses)
        assert (found.indication, found.level, found.reasons) == (Indication.PASSED, "XAdES-B-LTA", ())
        assert found.best_signature_time == datetime(2026, 3, 1, tzinfo=UTC)
        assert {stamp.indication for stamp in found.timestamps} == {Indication.PASSED}
        for shorter in versions[:-1]:
            assert self._judged(shorter, houses).sub_indication is Code.OUT_OF_BOUNDS_NO_POE
        gap = re.sub(
            rb"<xades141:TimeStampValidationData.*?</xades141:TimeStampValidationData>", b"", versions[-1], count=1
        )
        assert self._judged(gap, houses).indication is not Indication.PASSED


class TestRefusals:
    """A level is reached or refused, and a broken file is left alone."""

    def test_a_broken_file(self, signed: bytes, context: Context, timestamper: DevTimestamper) -> None:
        with pytest.raises(SigningRefused) as caught:
            extend_xml(signed.replace("chữ".encode(), b"x"), to="t", context=context, timestamper=timestamper)
        assert (caught.value.code, caught.value.facts["reason"]) == ("EDOC-SIG-021", "HASH_FAILURE")

    def test_no_signature_or_one_of_another_form(
        self, person: DevIdentity, context: Context, timestamper: DevTimestamper
    ) -> None:
        old = "http://uri.etsi.org/01903/v1.2.2#"
        for data in (b"<doc/>", Foreign(person, space=old, type=f' Type="{old}SignedProperties"').file()):
            with pytest.raises(SigningRefused) as caught:
                extend_xml(data, to="t", context=context, timestamper=timestamper)
            assert caught.value.code == "EDOC-SIG-022"
        with pytest.raises(InputRefused):
            extend_xml(b"no xml", to="t", context=context, timestamper=timestamper)
        with pytest.raises(ValueError, match="level"):
            extend_xml(b"<doc/>", to="b", context=context, timestamper=timestamper)

    def test_nobody_to_ask_for_a_stamp(self, signed: bytes, context: Context) -> None:
        with pytest.raises(LevelNotReached) as caught:
            extend_xml(signed, to="t", context=context)
        assert caught.value.code == "EDOC-SIG-003"

    def test_an_authority_that_is_not_trusted(self, signed: bytes, context: Context, now: datetime) -> None:
        other = DevPki.create(at=now - 30 * DAY)
        with pytest.raises(TimestampError):
            extend_xml(signed, to="t", context=context, timestamper=DevTimestamper(other, lambda: now))

    def test_status_answers_that_are_not_at_hand_are_named(self, now: datetime) -> None:
        pki = DevPki.create(at=now - 30 * DAY, base_url="http://status.invalid")
        signer = pki.issue(Role.PERSON, Subject("Nguyễn Văn Mẫu", organization="Sở Mẫu A"))
        data = sign_xml(DOCUMENT, credential=signer.credential, at=now)
        stamping = DevTimestamper(pki, lambda: now)
        bare = Context(trust=pki.anchors, at=now, policy=PolicyName.INTEROP)
        with pytest.raises(LevelNotReached) as caught:
            extend_xml(data, to="lt", context=bare, timestamper=stamping)
        facts = caught.value.facts
        assert (caught.value.code, facts["level"]) == ("EDOC-SIG-020", "XAdES-B-LT")
        assert str(facts["url"]).startswith("http://status.invalid")
        assert facts["needs"]
        full = replace(bare, trust=pki.trust(at=now))
        assert extend_xml(data, to="lt", context=full, timestamper=stamping).after == ("XAdES-B-LT",)

    def test_no_status_answer_anywhere_is_no_long_term(
        self, signed: bytes, pki: DevPki, context: Context, timestamper: DevTimestamper
    ) -> None:
        """The authority's certificates name no source: accepted under interop, but nothing to keep."""
        bare = replace(context, trust=pki.anchors.merged(TrustStore(intermediates=(pki.issuing.certificate,))))
        with pytest.raises(LevelNotReached):
            extend_xml(signed, to="lt", context=bare, timestamper=timestamper)

    def test_an_unknown_root(self, signed: bytes, context: Context, timestamper: DevTimestamper, now: datetime) -> None:
        stranger = DevPki.create(at=now - 30 * DAY).issue(Role.PERSON, Subject("Trần Thị Mẫu"))
        data = sign_xml(DOCUMENT, credential=stranger.credential, at=now)
        with pytest.raises(LevelNotReached) as caught:
            extend_xml(data, to="lt", context=context, timestamper=timestamper)
        assert caught.value.facts["what"] == "NO_CERTIFICATE_CHAIN_FOUND (Trần Thị Mẫu)"

    def test_a_signature_over_the_properties_of_another_is_not_broken_for_it(
        self, person: DevIdentity, agency: DevIdentity, context: Context, timestamper: DevTimestamper
    ) -> None:
        """The second signature covers the first one whole."""
        first = Foreign(person).file("<doc><b>x</b>@</doc>").decode()
        inner = first.replace("</doc>", "")
        both = Foreign(agency, id="u", target="#u").text(f"{inner}@</doc>").replace("{unsigned}", "")
        report = inspect_xml(both.encode(), context=context)
        if report.verdict is Verdict.VALID:
            with pytest.raises(InputRefused):
                extend_xml(both.encode(), to="t", context=context, timestamper=timestamper)
        else:  # the first covers the second's place too, so that there is nothing to extend
            with pytest.raises(SigningRefused):
                extend_xml(both.encode(), to="t", context=context, timestamper=timestamper)


def test_parallel_signatures_are_lifted_together(
    person: DevIdentity, agency: DevIdentity, now: datetime, context: Context, timestamper: DevTimestamper
) -> None:
    data = sign_xml(DOCUMENT, credential=person.credential, at=now, parallel=True)
    data = sign_xml(data, credential=agency.credential, at=now, precondition=lambda _: None, context=context)
    made = extend_xml(data, to="lta", context=context, timestamper=timestamper)
    assert made.after == ("XAdES-B-LTA", "XAdES-B-LTA")
    assert inspect_xml(made.data, context=context).verdict is Verdict.VALID


@pytest.mark.parametrize("encoding", ["iso-8859-1", "utf-8"])
def test_foreign_files_keep_their_encoding(
    encoding: str, person: DevIdentity, context: Context, timestamper: DevTimestamper
) -> None:
    text = Foreign(person).text("<doc><b>é</b>@</doc>").replace("{unsigned}", "")
    data = f'<?xml version="1.0" encoding="{encoding}"?>{text}'.encode(encoding)
    made = extend_xml(data, to="lta", context=context, timestamper=timestamper)
    assert _only(made.data, context).level == "XAdES-B-LTA"
    assert "<b>é</b>".encode(encoding) in made.data


def test_a_large_attachment_goes_through(
    person: DevIdentity, context: Context, timestamper: DevTimestamper, now: datetime
) -> None:
    """Runs of base64 that are cut out while reading are part of what stamps are over."""
    document = b"<doc><c>" + b"QUJD" * 100_000 + b"</c></doc>"
    data = sign_xml(document, credential=person.credential, at=now)
    made = extend_xml(data, to="lta", context=context, timestamper=timestamper)
    assert _only(made.data, context).level == "XAdES-B-LTA"
    at = made.data.index(b"QUJD") + 40_000
    assert _only(made.data[:at] + b"X" + made.data[at + 1 :], context).timestamps[1].integrity is Integrity.BROKEN


def test_a_counter_signature_shares_the_archive_stamps_over_it(
    person: DevIdentity, agency: DevIdentity, context: Context, timestamper: DevTimestamper
) -> None:
    from tests.signer_xml.xades_house import canonical, finder

    text = Foreign(person).text()
    value = canonical(finder(text.replace("{unsigned}", "").encode())("ds:SignatureValue"))
    counter = Foreign(agency, id="c", target="#c", over=('URI="#s-v"', value)).text("@").replace("{unsigned}", "")
    held = f"<x:UnsignedSignatureProperties><x:CounterSignature>{counter}</x:CounterSignature>"
    held = f"<x:UnsignedProperties>{held}</x:UnsignedSignatureProperties></x:UnsignedProperties>"
    made = extend_xml(text.replace("{unsigned}", held).encode(), to="lta", context=context, timestamper=timestamper)
    assert made.after == ("XAdES-B-LTA",)
    report = inspect_xml(made.data, context=context)
    assert (report.signatures[1].id, report.signatures[1].time_source) == ("c", "archive-timestamp")
    assert report.verdict is Verdict.VALID


def test_containers_are_lifted_like_files(
    person: DevIdentity, now: datetime, context: Context, timestamper: DevTimestamper
) -> None:
    members = [("công văn.txt", b"xin chao\n" * 500, "text/plain"), ("phụ lục/a.xml", b"<a/>", "text/xml")]
    data = build_asice(members, credential=person.credential, at=now)
    for level in ALL:
        made = extend_asice(data, to=level, context=context, timestamper=timestamper)
        report: Report = inspect_asice(made.data, context=context)
        assert (made.before, made.after) == (("XAdES-B-B",), (f"XAdES-B-{level.upper()}",))
        assert (report.verdict, report.signatures[0].level) == (Verdict.VALID, f"XAdES-B-{level.upper()}")
        assert read_container(made.data).objects == read_container(data).objects
    changed = {**read_container(data).members, "phụ lục/a.xml": b"<b/>"}
    with pytest.raises(SigningRefused):
        extend_asice(write_zip(list(changed.items())), to="t", context=context, timestamper=timestamper)


class TestDetails:
    """What the signer states beside the document is signed with it."""

    def test_place_role_and_commitment_are_signed(self, person: DevIdentity, now: datetime, context: Context) -> None:
        details = SignerDetails(
            city="Hà Nội", country="VN", roles=("Phó Giám đốc <A&B>", "KT. Giám đốc"), commitments=("approval", "urn:x")
        )
        data = sign_xml(DOCUMENT, credential=person.credential, at=now, details=details)
        assert inspect_xml(data, context=context).verdict is Verdict.VALID
        root = etree.fromstring(data)
        space = {"x": "http://uri.etsi.org/01903/v1.3.2#"}
        assert root.xpath("string(//x:SignatureProductionPlaceV2/x:City)", namespaces=space) == "Hà Nội"
        assert [e.text for e in root.iterfind(".//x:ClaimedRole", space)] == list(details.roles)
        identifiers = [e.text for e in root.iterfind(".//x:CommitmentTypeId/x:Identifier", space)]
        assert identifiers == ["http://uri.etsi.org/01903/v1.2.2#ProofOfApproval", "urn:x"]
        changed = data.replace("Hà Nội".encode(), "Hà Nam".encode())
        assert _only(changed, context).integrity is Integrity.BROKEN

    @pytest.mark.parametrize("roles", [("a\x00b",), ("x" * 1001,), ("\ufffe",), ("r",) * 30])
    def test_what_xml_cannot_carry_is_refused(self, roles: tuple[str, ...]) -> None:
        with pytest.raises(ValueError, match="details"):
            SignerDetails(roles=roles)


def test_validation_data_that_is_damaged_hurts_nobody_else(archived: bytes, context: Context) -> None:
    """Certificates, lists and tokens of strangers are damaged in every way; the signature itself stays what it is."""
    for name in (b"EncapsulatedX509Certificate", b"EncapsulatedCRLValue", b"EncapsulatedTimeStamp"):
        start = archived.index(b"<xades:" + name + b">") + len(name) + 8
        held = b64decode(archived[start : archived.index(b"<", start)])
        for at in range(0, len(held), max(1, len(held) // 40)):
            wrong = b64encode(held[:at] + bytes([held[at] ^ 0xFF]) + held[at + 1 :])
            found = _only(archived.replace(b64encode(held), wrong), context)
            assert found.integrity is Integrity.INTACT
            assert [t.kind for t in found.timestamps if t.integrity is Integrity.BROKEN]
