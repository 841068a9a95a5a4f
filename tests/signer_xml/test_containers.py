"""ASiC-E: the same bytes for the same input, and valid only if every object is covered (signing.md 6)."""

from __future__ import annotations

import io
import re
import zipfile
from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from lxml import etree

from signer.asic import (
    FIRST_SIGNATURE,
    MANIFEST,
    MEDIA_TYPE,
    inspect_asice,
    read_container,
    verify_asice,
)
from signer.credential import Credential, load_pem
from signer.devpki import DevIdentity, DevPki, DevTimestamper
from signer.errors import InputRefused, NotVerified
from signer.report import Code, Covers, Integrity, Report, Verdict
from signer.trust import Context, Limits, Purpose, TrustStore, anchored
from signer.xml.profiles import sign_declaration
from signer.zips import write_zip
from tests.containers import agency_container
from tests.signer_xml.conftest import RECEIPT

# Certificates with a changed byte make the library remark on them; they are judged, and the remarks are noise.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Parsed a serial number"),
    pytest.mark.filterwarnings("ignore:Attribute's length must be"),
]

MEMBERS = [
    ("README.txt", b"how to check this", "text/plain; charset=utf-8"),
    ("content/công văn & 1.pdf", b"not really a PDF", "application/octet-stream"),
    ("empty", b"", "application/octet-stream"),
]


@pytest.fixture(scope="module")
def container(agency: DevIdentity, now: datetime, timestamper: DevTimestamper) -> bytes:
    """A container of three objects, sealed by the agency, with a time stamp."""
    return agency_container(MEMBERS, credential=agency.credential, at=now, timestamper=timestamper)


def _members(data: bytes) -> list[tuple[str, bytes]]:
    return list(read_container(data).members.items())


def _rewritten(data: bytes, changes: dict[str, bytes | None]) -> bytes:
    members = dict(_members(data)) | {name: value for name, value in changes.items() if value is not None}
    return write_zip([(name, value) for name, value in members.items() if changes.get(name, b"") is not None])


def _codes(report: Report) -> set[Code]:
    return {reason.code for reason in report.reasons}


def test_a_container_is_valid_and_hands_back_its_objects(container: bytes, context: Context) -> None:
    verified = verify_asice(container, context=context)
    assert dict(verified.members) == {name: data for name, data, _ in MEMBERS}
    signature = verified.report.signatures[0]
    assert (signature.id, signature.level) == (f"{FIRST_SIGNATURE}#sig", "XAdES-B-T")
    assert signature.covers is Covers.WHOLE


def test_the_layout_is_that_of_the_evidence_package(container: bytes) -> None:
    """ledger.md 10.1: stored, mimetype first, dated 1980-01-01, no extra fields or comments."""
    with zipfile.ZipFile(io.BytesIO(container)) as opened:
        infos = opened.infolist()
        assert [i.filename for i in infos] == ["mimetype", *(n for n, _, _ in MEMBERS), MANIFEST, FIRST_SIGNATURE]
        assert {i.compress_type for i in infos} == {zipfile.ZIP_STORED}
        assert {i.date_time for i in infos} == {(1980, 1, 1, 0, 0, 0)}
        assert not any(i.extra or i.comment for i in infos)
        assert opened.comment == b""
        assert opened.read("mimetype") == MEDIA_TYPE.encode()
    assert container[30:38] == b"mimetype"
    assert read_container(container).warnings == ()


def test_the_same_input_gives_the_same_bytes(agency: DevIdentity, now: datetime) -> None:
    """With a signature value that is the same too: here from a key that remembers."""

    class Remembering:
        def __init__(self) -> None:
            self.values: dict[bytes, bytes] = {}

        def sign(self, digests, scheme):  # type: ignore[no-untyped-def]
            inner = agency.credential.port
            return [self.values.setdefault(digest, inner.sign([digest], scheme)[0]) for digest in digests]

    remembered = Credential(agency.certificate, agency.role, Remembering(), agency.chain)
    first, second = (agency_container(MEMBERS, credential=remembered, at=now) for _ in range(2))
    assert first == second


@pytest.mark.parametrize(
    "members",
    [
        [],
        [("mimetype", b"", "text/plain")],
        [("META-INF/x", b"", "text/plain")],
        [("a", b"", "t"), ("A", b"", "t")],
        [("../a", b"", "t")],
        [("/a", b"", "t")],
    ],
)
def test_names_that_readers_would_refuse_are_not_written(
    members: list[tuple[str, bytes, str]], agency: DevIdentity, now: datetime
) -> None:
    with pytest.raises(ValueError):
        agency_container(members, credential=agency.credential, at=now)


def test_a_changed_object_is_found_out(container: bytes, context: Context) -> None:
    report = inspect_asice(_rewritten(container, {"README.txt": b"other"}), context=context)
    assert report.verdict is Verdict.INVALID
    assert {Code.HASH_FAILURE, Code.CONTENT_NOT_SIGNED} <= _codes(report)
    with pytest.raises(NotVerified):
        verify_asice(_rewritten(container, {"README.txt": b"other"}), context=context)


def test_an_object_that_nobody_signed_makes_it_invalid(container: bytes, context: Context) -> None:
    report = inspect_asice(_rewritten(container, {"note.txt": b"x"}), context=context)
    assert report.verdict is Verdict.INVALID
    assert {Code.CONTENT_NOT_SIGNED, Code.MANIFEST_MISMATCH} <= _codes(report)
    assert report.signatures[0].integrity is Integrity.INTACT
    assert report.signatures[0].covers is Covers.PARTIAL


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("META-INF/container.xml", True),
        ("META-INF/metadata.xml", True),
        ("META-INF/note.pdf", False),
        ("META-INF/more/signatures001.xml", False),
        ("META-INF/ASiCManifest001.xml", False),
    ],
)
def test_a_member_beside_the_signatures_that_belongs_to_none_makes_it_invalid(
    name: str, known: bool, container: bytes, context: Context
) -> None:
    """What may stand in ``META-INF`` is what EN 319 162-1 puts there."""
    report = inspect_asice(_rewritten(container, {name: b"<x/>"}), context=context)
    assert report.verdict is (Verdict.VALID if known else Verdict.INVALID)
    assert (Code.CONTENT_NOT_SIGNED in _codes(report)) is not known


def test_the_simple_kind_of_container_has_one_object(
    container: bytes, context: Context, agency: DevIdentity, now: datetime
) -> None:
    """An ASiC-S of several objects is none."""
    simple: dict[str, bytes | None] = {"mimetype": b"application/vnd.etsi.asic-s+zip"}
    report = inspect_asice(_rewritten(container, simple), context=context)
    assert (report.verdict, _codes(report)) == (Verdict.INVALID, {Code.MANIFEST_MISMATCH, Code.FORMAT_FAILURE})
    one = agency_container(MEMBERS[:1], credential=agency.credential, at=now)
    assert inspect_asice(_rewritten(one, simple), context=context).format == "ASiC-S"


def test_certificates_and_lists_that_are_sealed_objects_build_the_path(
    agency: DevIdentity, pki: DevPki, now: datetime, context: Context
) -> None:
    """Evidence brings its path as sealed members: offered as KeyInfo offers, trusted no more than that."""
    root = replace(context, trust=anchored([pki.root.certificate], Purpose.SIGNERS))
    alone = load_pem(DevIdentity(agency.certificate, (), agency.key, agency.role).pem, role=agency.role)
    listed = [("a.txt", b"x", "text/plain"), ("trust/certs/ca.cer", pki.issuing.certificate, "application/pkix-cert")]
    assert _codes(inspect_asice(agency_container(listed[:1], credential=alone, at=now), context=root)) == {
        Code.NO_CERTIFICATE_CHAIN_FOUND
    }
    container = agency_container(listed, credential=alone, at=now)
    assert inspect_asice(container, context=root).verdict is Verdict.VALID
    untrusted = inspect_asice(container, context=replace(context, trust=TrustStore()))
    assert _codes(untrusted) == {Code.NO_CERTIFICATE_CHAIN_FOUND}


def test_a_missing_object_is_found_out(container: bytes, context: Context) -> None:
    report = inspect_asice(_rewritten(container, {"README.txt": None}), context=context)
    assert report.verdict is Verdict.INVALID
    assert {Code.SIGNED_DATA_NOT_FOUND, Code.MANIFEST_MISMATCH} <= _codes(report)


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"README.txt", b"LIESME.txt"), (b"text/plain", b"text/html"), (b"manifest:file-entry ", b"manifest:file-entri ")],
)
def test_a_manifest_that_disagrees_makes_it_invalid(old: bytes, new: bytes, container: bytes, context: Context) -> None:
    manifest = read_container(container).members[MANIFEST]
    assert old in manifest
    report = inspect_asice(_rewritten(container, {MANIFEST: manifest.replace(old, new)}), context=context)
    assert report.verdict is Verdict.INVALID
    assert Code.MANIFEST_MISMATCH in _codes(report)


def test_a_signature_of_another_container_does_not_serve(
    container: bytes, agency: DevIdentity, now: datetime, context: Context
) -> None:
    other = agency_container([("README.txt", b"other", "text/plain")], credential=agency.credential, at=now)
    foreign = read_container(other).members[FIRST_SIGNATURE]
    report = inspect_asice(_rewritten(container, {FIRST_SIGNATURE: foreign}), context=context)
    assert report.verdict is Verdict.INVALID


def test_objects_shared_out_among_signatures_are_each_partial(
    agency: DevIdentity, person: DevIdentity, now: datetime, context: Context
) -> None:
    first = agency_container(MEMBERS[:1], credential=agency.credential, at=now)
    second = agency_container(MEMBERS[1:2], credential=person.credential, at=now)
    members = dict(_members(first)) | {MEMBERS[1][0]: MEMBERS[1][1]}
    members["META-INF/signatures002.xml"] = read_container(second).members[FIRST_SIGNATURE]
    del members[MANIFEST]
    report = inspect_asice(write_zip(list(members.items())), context=context)
    assert report.verdict is Verdict.VALID
    assert [s.covers for s in report.signatures] == [Covers.PARTIAL, Covers.PARTIAL]
    assert all(Code.PARTIAL_COVERAGE in {w.code for w in s.warnings} for s in report.signatures)


@settings(max_examples=120, deadline=None)
@given(place=st.floats(min_value=0, max_value=1, exclude_max=True), value=st.integers(min_value=0, max_value=255))
def test_after_one_changed_byte_what_is_handed_on_is_equal_or_there_is_none(
    container: bytes, context: Context, place: float, value: int
) -> None:
    at = int(place * len(container))
    changed = container[:at] + bytes([value]) + container[at + 1 :]
    try:
        found = verify_asice(changed, context=context)
    except (NotVerified, InputRefused):
        return
    assert dict(found.members) == {name: data for name, data, _ in MEMBERS}


def test_signatures_of_other_kinds_are_listed_and_not_passed_over(container: bytes, context: Context) -> None:
    """G4: one that cannot be read is broken, as an unreadable XML signature is."""
    report = inspect_asice(_rewritten(container, {"META-INF/signature001.p7s": b"0\x80"}), context=context)
    assert report.verdict is Verdict.INVALID
    assert report.signatures[-1].integrity is Integrity.BROKEN


def test_an_unreadable_signature_file_is_broken(container: bytes, context: Context) -> None:
    report = inspect_asice(_rewritten(container, {FIRST_SIGNATURE: b"<a><b></a>"}), context=context)
    assert report.verdict is Verdict.INVALID
    assert report.signatures[0].integrity is Integrity.BROKEN


def test_a_compressed_container_of_others_is_read(container: bytes, context: Context) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in _members(container):
            packed.writestr(name, data)
    report = inspect_asice(buffer.getvalue(), context=context)
    assert report.verdict is Verdict.VALID
    assert Code.REPAIRED in {w.code for w in report.warnings}
    assert set(read_container(buffer.getvalue()).warnings) == {"not-plain", "mimetype-compressed"}


def test_signed_objects_are_judged_as_parts_and_only_warn(
    agency: DevIdentity, exchange_b: DevIdentity, now: datetime, context: Context
) -> None:
    receipt = sign_declaration(etree.fromstring(RECEIPT), credential=exchange_b.credential, at=now)
    for data, warned in ((receipt, False), (receipt.replace(b">42<", b">43<"), True)):
        members = [("receipts/1.xml", data, "application/xml")]
        report = inspect_asice(agency_container(members, credential=agency.credential, at=now), context=context)
        assert report.verdict is Verdict.VALID
        assert [name for name, _ in report.parts] == ["receipts/1.xml"]
        assert (Code.PART_NOT_VALID in {w.code for w in report.warnings}) == warned


def test_integrity_does_not_depend_on_trust(container: bytes, context: Context) -> None:
    report = inspect_asice(container, context=replace(context, trust=TrustStore()))
    assert (report.verdict, report.signatures[0].integrity) == (Verdict.INDETERMINATE, Integrity.INTACT)


def test_a_hundred_and_more_objects_are_covered(agency: DevIdentity, now: datetime, context: Context) -> None:
    members = [(f"content/{n}.txt", str(n).encode(), "text/plain") for n in range(300)]
    report = inspect_asice(agency_container(members, credential=agency.credential, at=now), context=context)
    assert report.verdict is Verdict.VALID


def test_damage_is_invalid_and_a_foreign_zip_is_unknown(container: bytes, context: Context) -> None:
    cut = inspect_asice(container[:-30], context=context)
    assert (cut.verdict, cut.reasons[0].code) == (Verdict.INVALID, Code.MALFORMED)
    foreign = inspect_asice(write_zip([("a.txt", b"x")]), context=context)
    assert (foreign.verdict, foreign.reasons[0].code) == (Verdict.INDETERMINATE, Code.UNSUPPORTED_FORMAT)
    over = inspect_asice(container, context=replace(context, limits=Limits(zip_members=2)))
    assert (over.verdict, over.reasons[0].code) == (Verdict.INDETERMINATE, Code.LIMIT_EXCEEDED)


def test_a_reference_that_could_name_two_files_is_broken(agency: DevIdentity, now: datetime, context: Context) -> None:
    """The address is percent-encoded, and a file of the encoded name lies beside the other."""
    data = agency_container([("a b.txt", b"good", "text/plain")], credential=agency.credential, at=now)
    report = inspect_asice(_rewritten(data, {"a%20b.txt": b"good", "a b.txt": b"evil"}), context=context)
    assert report.verdict is Verdict.INVALID
    assert report.signatures[0].integrity is Integrity.BROKEN


def test_references_are_percent_encoded_names(container: bytes) -> None:
    signatures = read_container(container).members[FIRST_SIGNATURE].decode()
    assert re.findall(r' URI="([^"#]+)"', signatures) == [
        "README.txt", "content/c%C3%B4ng%20v%C4%83n%20%26%201.pdf", "empty"
    ]  # fmt: skip
