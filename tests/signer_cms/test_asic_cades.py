"""Containers with CAdES, time stamps and evidence records; container attacks and neighbours (signing.md 6, R1, R2)."""

from __future__ import annotations

import base64
import hashlib
import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from signer.asic import build_asice, inspect_asice, read_container, verify_asice
from signer.cades.sign import sign_cades
from signer.devpki import DevIdentity, DevPki, DevTimestamper
from signer.evidencerecord import build_records
from signer.inspect import inspect_file
from signer.report import Code, Covers, Indication, Integrity, Report, Verdict
from signer.trust import Context, TrustStore
from signer.zips import read_zip, write_zip
from tests.signer_cms.cmsforge import token_of

SIMPLE, EXTENDED = "application/vnd.etsi.asic-s+zip", "application/vnd.etsi.asic-e+zip"
OBJECTS = {"công văn.txt": "Kính gửi".encode(), "phu-luc/1.bin": bytes(range(256))}
Members = dict[str, bytes]


@dataclass(frozen=True)
class Bench:
    """What a container is made of."""

    person: DevIdentity
    second: DevIdentity
    now: datetime
    timestamper: DevTimestamper

    def signed(self, data: bytes, who: DevIdentity | None = None, level: str = "t") -> bytes:
        key = (who or self.person).credential
        return sign_cades(data, credential=key, at=self.now, level=level, timestamper=self.timestamper)

    def extended(self, objects: Mapping[str, bytes] = OBJECTS, who: DevIdentity | None = None) -> Members:
        """Return an honest ASiC-E with one signature."""
        listed = manifest("META-INF/signature001.p7s", objects)
        return {
            "mimetype": EXTENDED.encode(),
            **objects,
            "META-INF/ASiCManifest001.xml": listed,
            "META-INF/signature001.p7s": self.signed(listed, who),
        }

    def simple(self) -> Members:
        """Return an honest ASiC-S."""
        data = b"one object"
        return {"mimetype": SIMPLE.encode(), "a.txt": data, "META-INF/signature.p7s": self.signed(data)}

    def archived(self) -> Members:
        """Return an ASiC-E whose signature an archive manifest and a token cover."""
        members = self.extended()
        names = [name for name in members if name != "mimetype"]
        listed = manifest("META-INF/timestamp001.tst", {name: members[name] for name in names})
        members["META-INF/ASiCArchiveManifest.xml"] = listed
        members["META-INF/timestamp001.tst"] = token_of(listed, self.timestamper)
        return members


def manifest(signature: str, objects: Mapping[str, bytes]) -> bytes:
    """Return an ASiCManifest."""
    references = "".join(
        f'<asic:DataObjectReference URI="{quote(name)}" MimeType="text/plain">'
        '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/>'
        f"<ds:DigestValue>{_digest(data)}</ds:DigestValue></asic:DataObjectReference>"
        for name, data in objects.items()
    )
    return (
        '<asic:ASiCManifest xmlns:asic="http://uri.etsi.org/02918/v1.2.1#" xmlns:ds="http://www.w3.org/2000/09/xmldsig#">'
        f'<asic:SigReference URI="{signature}" MimeType="application/pkcs7-signature"/>{references}</asic:ASiCManifest>'
    ).encode()


def _digest(data: bytes) -> str:
    return base64.b64encode(hashlib.sha256(data).digest()).decode()


def _packed(members: Mapping[str, bytes]) -> bytes:
    return write_zip(list(members.items()))


def _codes(report: Report) -> set[Code]:
    return {reason.code for reason in report.reasons}


@pytest.fixture(scope="module")
def bench(person: DevIdentity, second: DevIdentity, now: datetime, timestamper: DevTimestamper) -> Bench:
    return Bench(person, second, now, timestamper)


def test_both_kinds_of_container_are_valid_and_hand_back_their_objects(bench: Bench, context: Context) -> None:
    for members, words in ((bench.simple(), "ASiC-S"), (bench.extended(), "ASiC-E CAdES")):
        report = inspect_file(_packed(members), context=context)
        (one,) = report.signatures
        assert (report.kind, report.format, report.verdict) == ("asic", words, Verdict.VALID)
        assert (one.level, one.covers, one.indication) == ("CAdES-B-T", Covers.WHOLE, Indication.PASSED)
        assert one.id.endswith("#signer-0")
        objects = {n: d for n, d in members.items() if n != "mimetype" and not n.startswith("META-INF/")}
        assert dict(verify_asice(_packed(members), context=context).members) == objects


def test_integrity_does_not_depend_on_trust(bench: Bench, context: Context) -> None:
    report = inspect_asice(_packed(bench.archived()), context=replace(context, trust=TrustStore()))
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    assert report.verdict is Verdict.INDETERMINATE


def test_a_token_over_an_archive_manifest_is_an_archive_stamp_of_the_signature(bench: Bench, context: Context) -> None:
    report = inspect_asice(_packed(bench.archived()), context=context)
    signature, token = report.signatures
    assert report.verdict is Verdict.VALID
    assert (token.kind, token.id, token.level) == ("timestamp", "META-INF/timestamp001.tst", "RFC3161")
    assert [each.kind for each in signature.timestamps] == ["signature", "archive"]
    assert {each.integrity for each in signature.timestamps} == {Integrity.INTACT}


def test_a_token_alone_is_never_valid(bench: Bench, context: Context) -> None:
    """R1: ASiC-S with a time stamp and no signer."""
    data = b"one object"
    token = token_of(data, bench.timestamper)
    members = {"mimetype": SIMPLE.encode(), "a.txt": data, "META-INF/timestamp.tst": token}
    report = inspect_asice(_packed(members), context=context)
    assert report.verdict is Verdict.INDETERMINATE
    assert [(one.kind, one.integrity) for one in report.signatures] == [("timestamp", Integrity.INTACT)]
    changed = inspect_asice(_packed({**members, "a.txt": b"other"}), context=context)
    assert (changed.verdict, changed.signatures[0].integrity) == (Verdict.INVALID, Integrity.BROKEN)


def test_an_evidence_record_proves_when_a_signature_existed(bench: Bench, pki: DevPki, context: Context) -> None:
    """Of RFC 4998, over the files its manifest names."""
    members = bench.extended()
    file, name = "META-INF/signature001.p7s", "META-INF/evidencerecord001.ers"
    members[file] = bench.signed(members["META-INF/ASiCManifest001.xml"], level="b")
    early = DevTimestamper(pki, lambda: bench.now - timedelta(minutes=3))
    members["META-INF/ASiCEvidenceRecordManifest001.xml"] = manifest(name, {file: members[file]})
    only = {**members, name: build_records([members[file]], timestamper=early)[0]}
    report = inspect_asice(_packed(only), context=context)
    signature, record = report.signatures
    assert (record.kind, record.level, record.integrity) == ("timestamp", "ERS", Integrity.INTACT)
    assert (report.verdict, signature.best_signature_time) == (Verdict.VALID, bench.now - timedelta(minutes=3))
    assert signature.time_source == "archive-timestamp"
    other = build_records([b"something else"], timestamper=early)[0]
    broken = inspect_asice(_packed({**only, name: other}), context=context)
    assert (broken.verdict, broken.signatures[-1].integrity) == (Verdict.INVALID, Integrity.BROKEN)
    assert broken.signatures[0].integrity is Integrity.INTACT


# --- attacks ---------------------------------------------------------------------------------------------------------

Change = Callable[[Members, Bench], Members]


def _relisted(members: Members, listed: bytes) -> Members:
    return {**members, "META-INF/ASiCManifest001.xml": listed}


def _two(members: Members, bench: Bench) -> Members:
    """A second signature over the same objects."""
    listed = manifest("META-INF/signature002.p7s", OBJECTS)
    return {
        **members,
        "META-INF/ASiCManifest002.xml": listed,
        "META-INF/signature002.p7s": bench.signed(listed, bench.second),
    }


def _swapped(members: Members, bench: Bench) -> Members:
    """The signatures of two manifests exchanged."""
    both = _two(members, bench)
    one, two = "META-INF/signature001.p7s", "META-INF/signature002.p7s"
    return {**both, one: both[two], two: both[one]}


def _archive_of_less(members: Members, bench: Bench) -> Members:
    changed = bench.archived()
    return {**changed, "META-INF/signature001.p7s": bench.signed(changed["META-INF/ASiCManifest001.xml"], bench.second)}


INVALID: dict[str, tuple[Change, Code]] = {
    "object changed": (lambda m, b: {**m, "công văn.txt": b"other"}, Code.HASH_FAILURE),
    "object added": (lambda m, b: {**m, "more.txt": b"more"}, Code.CONTENT_NOT_SIGNED),
    "object removed": (lambda m, b: {n: d for n, d in m.items() if n != "phu-luc/1.bin"}, Code.MANIFEST_MISMATCH),
    "object renamed": (
        lambda m, b: {("phu-luc/2.bin" if n == "phu-luc/1.bin" else n): d for n, d in m.items()},
        Code.CONTENT_NOT_SIGNED,
    ),
    "manifest changed": (lambda m, b: _relisted(m, m["META-INF/ASiCManifest001.xml"] + b"\n"), Code.HASH_FAILURE),
    "manifest for other objects": (
        lambda m, b: _relisted(m, manifest("META-INF/signature001.p7s", {**OBJECTS, "công văn.txt": b"x"})),
        Code.HASH_FAILURE,
    ),
    "manifest unreadable": (lambda m, b: _relisted(m, b"<x/>"), Code.MANIFEST_MISMATCH),
    "manifest names no signature": (
        lambda m, b: _relisted(m, manifest("META-INF/signature009.p7s", OBJECTS)),
        Code.MANIFEST_MISMATCH,
    ),
    "manifest names an object twice": (
        lambda m, b: _relisted(
            m, m["META-INF/ASiCManifest001.xml"].replace(b"phu-luc/1.bin", quote("công văn.txt").encode())
        ),
        Code.MANIFEST_MISMATCH,
    ),
    "two manifests for one signature": (
        lambda m, b: {**m, "META-INF/ASiCManifest002.xml": m["META-INF/ASiCManifest001.xml"]},
        Code.MANIFEST_MISMATCH,
    ),
    "manifest gone": (
        lambda m, b: {n: d for n, d in m.items() if "Manifest" not in n},
        Code.CONTENT_NOT_SIGNED,
    ),
    "signature of another container": (
        lambda m, b: {**m, "META-INF/signature001.p7s": b.signed(manifest("META-INF/signature001.p7s", {"a": b"a"}))},
        Code.HASH_FAILURE,
    ),
    "signatures exchanged": (_swapped, Code.HASH_FAILURE),
    "signature unreadable": (lambda m, b: {**m, "META-INF/signature001.p7s": b"0\x80"}, Code.MALFORMED),
    "signature exchanged under its archive stamp": (_archive_of_less, Code.HASH_FAILURE),
    "stray beside the signatures": (lambda m, b: {**m, "META-INF/note.txt": b"note"}, Code.CONTENT_NOT_SIGNED),
    "token of something else": (
        lambda m, b: {
            **b.archived(),
            "META-INF/timestamp001.tst": token_of(b"something else", b.timestamper),
        },
        Code.HASH_FAILURE,
    ),
    "files listed differ": (
        lambda m, b: {**m, "META-INF/manifest.xml": _listed({**OBJECTS, "x.txt": b""})},
        Code.MANIFEST_MISMATCH,
    ),
    "types differ": (
        lambda m, b: {**m, "META-INF/manifest.xml": _listed(OBJECTS, media="text/html")},
        Code.MANIFEST_MISMATCH,
    ),
}


def _listed(objects: Mapping[str, bytes], media: str = "text/plain") -> bytes:
    entries = "".join(f'<m:file-entry m:full-path="{name}" m:media-type="{media}"/>' for name in objects)
    root = '<m:file-entry m:full-path="/" m:media-type="x"/><m:file-entry m:full-path="phu-luc/" m:media-type=""/>'
    opening = '<m:manifest xmlns:m="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
    return f"{opening}{root}{entries}</m:manifest>".encode()


@pytest.mark.parametrize("name", INVALID)
def test_an_attack_on_the_container_is_invalid(name: str, bench: Bench, context: Context) -> None:
    change, code = INVALID[name]
    report = inspect_asice(_packed(change(bench.extended(), bench)), context=context)
    assert report.verdict is Verdict.INVALID
    assert code in _codes(report)


HARMLESS: dict[str, Change] = {
    "plain": lambda m, b: m,
    "parallel signature": _two,
    "archive stamp": lambda m, b: b.archived(),
    "files listed": lambda m, b: {**m, "META-INF/manifest.xml": _listed(OBJECTS)},
    "no mimetype": lambda m, b: {n: d for n, d in m.items() if n != "mimetype"},
    "mimetype with a line end": lambda m, b: {**m, "mimetype": m["mimetype"] + b"\n"},
    "mimetype elsewhere": lambda m, b: {**{n: d for n, d in m.items() if n != "mimetype"}, "mimetype": m["mimetype"]},
    "shared out": lambda m, b: _shared_out(b),
}


def _shared_out(bench: Bench) -> Members:
    """Two signatures, each over one of the objects."""
    members: Members = {"mimetype": EXTENDED.encode(), **OBJECTS}
    for number, (name, data) in enumerate(OBJECTS.items(), start=1):
        listed = manifest(f"META-INF/signature00{number}.p7s", {name: data})
        members[f"META-INF/ASiCManifest00{number}.xml"] = listed
        members[f"META-INF/signature00{number}.p7s"] = bench.signed(listed)
    return members


@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_neighbour_stays_valid(name: str, bench: Bench, context: Context) -> None:
    report = inspect_asice(_packed(HARMLESS[name](bench.extended(), bench)), context=context)
    assert report.verdict is Verdict.VALID, report.reasons
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    if name == "shared out":
        assert {one.covers for one in report.signatures} == {Covers.PARTIAL}
        assert all(Code.PARTIAL_COVERAGE in {w.code for w in one.warnings} for one in report.signatures)


def test_a_container_without_objects_signs_nothing(bench: Bench, context: Context) -> None:
    """A signature over an empty manifest, or over its own parts alone, is nobody's document."""
    listed = manifest("META-INF/signature001.p7s", {"META-INF/manifest.xml": b"<x/>"})
    members = {
        "mimetype": EXTENDED.encode(),
        "META-INF/manifest.xml": b"<x/>",
        "META-INF/ASiCManifest001.xml": listed,
        "META-INF/signature001.p7s": bench.signed(listed),
    }
    report = inspect_asice(_packed(members), context=context)
    assert (report.verdict, report.signatures[0].integrity) == (Verdict.INVALID, Integrity.BROKEN)


def test_the_simple_kind_has_its_object_in_the_root(bench: Bench, context: Context) -> None:
    members = bench.simple()
    moved = {("sub/a.txt" if name == "a.txt" else name): data for name, data in members.items()}
    report = inspect_asice(_packed(moved), context=context)
    assert (report.verdict, Code.MANIFEST_MISMATCH in _codes(report)) == (Verdict.INVALID, True)


# --- parts and plain archives ----------------------------------------------------------------------------------------


def test_signed_objects_are_parts_a_signature_beside_its_file_too(bench: Bench, context: Context) -> None:
    """One level deep: a container within is judged, what is within that is not."""
    letter = b"the letter"
    inner = _packed(bench.simple())
    objects = {"letter.txt": letter, "letter.txt.p7s": bench.signed(letter), "inner.asics": inner}
    report = inspect_asice(_packed(bench.extended(objects)), context=context)
    parts = dict(report.parts)
    assert set(parts) == {"letter.txt.p7s", "inner.asics"}
    assert {part.verdict for part in parts.values()} == {Verdict.VALID}
    assert report.verdict is Verdict.VALID
    wrong = {**objects, "letter.txt": b"another letter"}
    report = inspect_asice(_packed(bench.extended(wrong)), context=context)
    assert Code.PART_NOT_VALID in {warning.code for warning in report.warnings}


def test_a_plain_archive_is_no_container_but_its_signed_files_are_told(bench: Bench, context: Context) -> None:
    letter = b"the letter"
    data = _packed({"letter.txt": letter, "letter.txt.p7s": bench.signed(letter), "note.txt": b"note"})
    report = inspect_file(data, context=context)
    assert (report.verdict, _codes(report)) == (Verdict.INDETERMINATE, {Code.UNSUPPORTED_FORMAT})
    assert [(name, part.verdict) for name, part in report.parts] == [("letter.txt.p7s", Verdict.VALID)]


def test_containers_in_containers_come_to_an_end(bench: Bench, context: Context) -> None:
    data = _packed(bench.simple())
    for _ in range(30):
        data = _packed({"inner.zip": data, "a.p7s": bench.signed(b"x")})
    assert inspect_file(data, context=context).verdict is Verdict.INDETERMINATE


# --- how others write ZIP --------------------------------------------------------------------------------------------


def test_comments_of_members_and_of_the_file_are_read(bench: Bench, context: Context) -> None:
    """DigiDoc software says in comments who wrote the container."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in bench.extended().items():
            info = zipfile.ZipInfo(name, (2026, 11, 20, 9, 0, 0))
            info.comment = b"LIB edoc/1 format: application/vnd.etsi.asic-e+zip"
            info.compress_type = zipfile.ZIP_STORED if name == "mimetype" else zipfile.ZIP_DEFLATED
            packed.writestr(info, data)
        packed.comment = b"LIB edoc " * 60
    assert inspect_file(buffer.getvalue(), context=context).verdict is Verdict.VALID


def test_long_sizes_are_read_where_all_places_agree(bench: Bench, context: Context) -> None:
    """ZIP64, as some libraries always write it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for name, data in bench.extended().items():
            with packed.open(name, "w", force_zip64=name != "mimetype") as member:
                member.write(data)
    data = buffer.getvalue()
    assert struct.pack("<2H", 1, 16) in data
    assert inspect_file(data, context=context).verdict is Verdict.VALID


def test_names_in_utf_8_without_the_flag_are_read(bench: Bench, context: Context) -> None:
    members = bench.extended()
    data = bytearray(_packed(members))
    for mark, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.find(mark)
        while at >= 0:
            struct.pack_into("<H", data, at + place, 0)
            at = data.find(mark, at + 4)
    assert inspect_file(bytes(data), context=context).verdict is Verdict.VALID


def test_the_type_may_stand_in_the_comment(bench: Bench, context: Context) -> None:
    members = {name: data for name, data in bench.simple().items() if name != "mimetype"}
    comment = f"mimetype={SIMPLE}".encode()
    data = _packed(members)
    data = data[:-2] + struct.pack("<H", len(comment)) + comment
    report = inspect_file(data, context=context)
    assert (report.verdict, report.format) == (Verdict.VALID, "ASiC-S")
    assert read_container(data).mimetype == SIMPLE


@settings(max_examples=150, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@pytest.mark.filterwarnings("ignore:Parsed a serial number", "ignore:Attribute's length")
def test_after_one_changed_bit_objects_are_equal_or_there_are_none(
    bench: Bench, context: Context, place: float, bit: int
) -> None:
    data = _ONCE.setdefault(b"", _packed(bench.extended()))
    changed = bytearray(data)
    changed[int(place * len(data))] ^= 1 << bit
    report = inspect_asice(bytes(changed), context=context)
    if report.verdict is Verdict.VALID:
        again = {one.name: one.data for one in read_zip(bytes(changed), limits=context.limits)}
        assert {name: again[name] for name in OBJECTS} == OBJECTS


_ONCE: dict[bytes, bytes] = {}


def test_xades_and_cades_may_stand_side_by_side(bench: Bench, context: Context) -> None:
    """Both signatures are listed, in one container."""
    objects = [(name, data, "text/plain") for name, data in OBJECTS.items()]
    container = build_asice(objects, credential=bench.second.credential, at=bench.now)
    members = dict(read_container(container).members)
    listed = manifest("META-INF/signature001.p7s", OBJECTS)
    members |= {"META-INF/ASiCManifest001.xml": listed, "META-INF/signature001.p7s": bench.signed(listed)}
    report = inspect_asice(_packed(members), context=context)
    assert report.verdict is Verdict.VALID
    assert [one.level for one in report.signatures] == ["XAdES-B-B", "CAdES-B-T"]
