"""Attacks that meet two readers at once, each beside a harmless neighbour (signing.md 6; 4.1, E1-E4)."""

from __future__ import annotations

import io
import struct
import time
import zipfile
import zlib
from dataclasses import replace
from datetime import datetime

import pytest

from signer import asn1, der
from signer.asic import inspect_asice
from signer.cades.verify import inspect_cms
from signer.cmsnames import TST_INFO
from signer.devpki import DevIdentity, DevTimestamper
from signer.inspect import inspect_file
from signer.report import Code, Integrity, Report, Verdict
from signer.trust import Content, Context
from signer.zips import write_zip
from tests.signer_cms.cmsforge import Cms, Signer, algorithm, attribute, octets, sequence, token_of
from tests.signer_cms.conftest import Openssl
from tests.signer_cms.test_asic_cades import EXTENDED, OBJECTS, Bench, manifest


@pytest.fixture(scope="module")
def bench(person: DevIdentity, second: DevIdentity, now: datetime, timestamper: DevTimestamper) -> Bench:
    return Bench(person, second, now, timestamper)


def _states(report: Report) -> list[Integrity]:
    return [one.integrity for one in report.signatures]


# --- CMS -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("salt", [-1, 1 << 31, 1 << 70])
def test_the_salt_may_be_any_number_and_no_error_escapes(
    salt: int, rsa: DevIdentity, content: bytes, over: Context
) -> None:
    """RSASSA-PSS: the length of the salt is a stranger's INTEGER."""
    sha256 = algorithm("2.16.840.1.101.3.4.2.1")
    mask = sequence(der.encode_identifier("1.2.840.113549.1.1.8"), sha256)
    size = salt.to_bytes(salt.bit_length() // 8 + 1, signed=True)
    fields = (der.encode(0xA0, sha256), der.encode(0xA1, mask), der.encode(0xA2, der.encode(der.INTEGER, size)))
    scheme = sequence(der.encode_identifier("1.2.840.113549.1.1.10"), sequence(*fields))
    report = inspect_file(Cms((Signer(rsa, content, scheme=scheme),)).encoded(), context=over)
    assert _states(report) == [Integrity.BROKEN]


def test_attributes_that_cannot_be_read_pose_as_content_no_more_than_others(
    person: DevIdentity, content: bytes, context: Context
) -> None:
    """A value with a tag of several octets among the signed attributes of the honest signature."""
    odd = attribute("1.2.3.4", b"\xbf\x81\x01\x00")
    honest = Signer(person, content, change=lambda found: sorted([*found.values(), odd]))
    signed = der.encode(der.SET, *honest.change(honest.attributes))
    bare = Signer(person, signed, bare=True, value=honest.sign(signed))
    report = inspect_file(Cms((bare,), signed).encoded(), context=context)
    assert _states(report) == [Integrity.BROKEN]
    assert report.verdict is Verdict.INVALID


def test_a_set_that_is_no_attributes_may_be_content(person: DevIdentity, context: Context) -> None:
    data = der.encode(der.SET, octets(b"a letter"))
    report = inspect_file(Cms((Signer(person, data, bare=True),), data).encoded(), context=context)
    assert _states(report) == [Integrity.INTACT]


def test_a_stamp_without_signed_attributes_is_none(
    person: DevIdentity, content: bytes, over: Context, timestamper: DevTimestamper
) -> None:
    """The type of the content would be signed by nobody."""
    stated = asn1.read_signed_data(token_of(content, timestamper)).content
    assert stated is not None
    forged = Cms((Signer(person, stated, bare=True),), stated, kind=TST_INFO).encoded()
    assert _states(inspect_file(forged, context=over)) == [Integrity.BROKEN]


def test_content_the_caller_means_is_not_exchanged_for_content_with_a_name(
    person: DevIdentity, content: bytes, context: Context, timestamper: DevTimestamper
) -> None:
    """Given without a name it is what was signed, or nothing is."""
    given = replace(context, contents=(Content("", b"another letter"), Content("policy.txt", content)))
    for data in (Cms((Signer(person, content),)).encoded(), token_of(content, timestamper)):
        assert _states(inspect_cms(data, context=given)) == [Integrity.BROKEN]
    named = replace(context, contents=(Content("a", b"another letter"), Content("b", content)))
    assert _states(inspect_cms(Cms((Signer(person, content),)).encoded(), context=named)) == [Integrity.INTACT]


def test_a_refusal_that_brings_a_token_is_no_stamp(content: bytes, over: Context, timestamper: DevTimestamper) -> None:
    """RFC 3161, 2.4.2: a token comes with *granted* alone."""
    token = token_of(content, timestamper)
    for status, expected in ((0, Integrity.INTACT), (1, Integrity.INTACT), (2, Integrity.BROKEN)):
        answer = sequence(sequence(der.encode_integer(status)), token)
        assert _states(inspect_file(answer, context=over)) == [expected]


def test_no_block_of_pem_is_left_out_in_silence(person: DevIdentity, content: bytes, context: Context) -> None:
    import base64

    block = b"-----BEGIN CMS-----\n" + base64.encodebytes(Cms((Signer(person, content),), content).encoded())
    block += b"-----END CMS-----\n"
    assert inspect_file(block * 2, context=context).verdict is Verdict.VALID
    assert inspect_file(block * 30, context=context).verdict is Verdict.INVALID


def _message(openssl: Openssl) -> bytes:
    return openssl("cms", "-sign", "-in", "content", "-signer", "ec.pem", "-md", "sha256", "-nosmimecap")


def test_a_message_is_taken_apart_as_mail_programs_do(openssl: Openssl, context: Context) -> None:
    """The boundary is that of Content-Type, whatever other fields say; there are two parts and no more."""
    message = _message(openssl)
    boundary = message.partition(b'boundary="')[2].partition(b'"')[0]
    shown = b'Content-Type: multipart/signed; boundary="shown"; protocol="application/pkcs7-signature"\n\n'
    forged = b"--shown\nPay ten times as much.\n--shown--\n" + message.partition(b"\n\n")[2]
    other = b'X-Note: boundary="' + boundary + b'"\n' + shown
    for head in (other, message.partition(b"\n\n")[0] + b"\n" + shown, shown + b"\n"):
        report = inspect_file(head + forged, context=context)
        assert Integrity.INTACT not in _states(report)
        assert report.verdict is not Verdict.VALID
    closing = b"--" + boundary + b"--"
    third = b"--" + boundary + b"\nContent-Type: text/plain\n\nand this\n" + closing
    assert inspect_file(message, context=context).verdict is Verdict.VALID
    assert inspect_file(message.replace(closing, third), context=context).verdict is Verdict.INVALID


def test_a_message_and_other_content_given_with_it_disagree(openssl: Openssl, context: Context) -> None:
    given = replace(context, contents=(Content("", b"another letter"),))
    assert _states(inspect_file(_message(openssl), context=given)) == [Integrity.BROKEN]


# --- containers ------------------------------------------------------------------------------------------------------


def test_the_name_of_a_file_makes_no_counter_signature(bench: Bench, context: Context) -> None:
    """A signature over other objects, in a file named as counter-signatures are, beside an honest one."""
    strange = "META-INF/counter-1.p7s"
    listed = manifest(strange, {name: data + b" and more" for name, data in OBJECTS.items()})
    members = bench.extended()
    members |= {"META-INF/ASiCManifest002.xml": listed, strange: bench.signed(listed, bench.second)}
    report = inspect_asice(write_zip(list(members.items())), context=context)
    found = {one.id.partition("#")[0]: one.integrity for one in report.signatures}
    assert found == {"META-INF/signature001.p7s": Integrity.INTACT, strange: Integrity.BROKEN}
    assert report.verdict is Verdict.INVALID


def test_more_signatures_than_the_limit_are_over_it_quickly(bench: Bench, context: Context) -> None:
    """Each token is an archive stamp of all others: thousands of them would be looked at a million times."""
    members = bench.archived()
    token = members["META-INF/timestamp001.tst"]
    members |= {f"META-INF/t{number}.tst": token for number in range(3000)}
    began = time.process_time()
    report = inspect_asice(write_zip(list(members.items())), context=context)
    assert time.process_time() - began < 10
    assert Code.LIMIT_EXCEEDED in {reason.code for reason in report.reasons}
    assert report.verdict is Verdict.INDETERMINATE


def test_containers_within_share_one_budget(bench: Bench, context: Context) -> None:
    """What all parts together expand to is bounded, not what each one does."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as inner:
        for name, data in bench.simple().items():
            inner.writestr(name, data)
        inner.writestr("big.bin", bytes(range(256)) * 200)
    objects = {f"{number}.asics": held.getvalue() for number in range(10)}
    members = bench.extended(objects)
    limits = replace(context.limits, zip_max_bytes=150_000)
    report = inspect_asice(write_zip(list(members.items())), context=replace(context, limits=limits))
    over = [Code.LIMIT_EXCEEDED in {reason.code for reason in part.reasons} for _, part in report.parts]
    assert (over[:2], over[3:]) == ([False, False], [True] * 7)


def _zip(members: dict[str, bytes], **attributes: int) -> bytes:
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as made:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = attributes.get(name.partition(".")[0], 0o100644 << 16)
            made.writestr(info, data)
    return held.getvalue()


@pytest.mark.parametrize("attributes", [0o040755 << 16, 0x10])
def test_a_file_that_says_it_is_a_folder_is_not_read(attributes: int, bench: Bench, context: Context) -> None:
    """Some programs unpack an empty folder where others see the letter."""
    members = bench.simple()
    assert inspect_asice(_zip(members), context=context).verdict is Verdict.VALID
    report = inspect_asice(_zip(members, a=attributes), context=context)
    assert report.verdict is Verdict.INVALID
    assert not report.signatures


@pytest.mark.parametrize("name", ["a.txt.", "a.txt ", "A.TXT"])
def test_names_that_one_file_system_takes_for_one_are_twice(name: str, bench: Bench, context: Context) -> None:
    objects = {"a.txt": b"one", name: b"two"}
    report = inspect_asice(_zip(bench.extended(objects)), context=context)
    assert report.verdict is Verdict.INVALID
    assert Code.MALFORMED in {reason.code for reason in report.reasons}


def _with_descriptor(members: dict[str, bytes]) -> bytes:
    """Write members as streams: stored, their sizes behind them."""
    body, directory = b"", b""
    for name, data in members.items():
        raw, crc, offset = name.encode(), zlib.crc32(data), len(body)
        body += struct.pack("<4s5H3I2H", b"PK\3\4", 20, 8, 0, 0, 33, 0, 0, 0, len(raw), 0) + raw + data
        body += struct.pack("<4s3I", b"PK\7\x08", crc, len(data), len(data))
        sizes = (crc, len(data), len(data), len(raw))
        directory += struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 8, 0, 0, 33, *sizes, 0, 0, 0, 0, 0, offset) + raw
    count = len(members)
    return body + directory + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(directory), len(body), 0)


def test_a_stored_member_does_not_end_within_itself(bench: Bench, context: Context) -> None:
    """Programs that read from front to end look for the descriptor: the first one they find ends the member."""
    shown = b"what such a program shows"
    hidden = (
        shown + struct.pack("<4s3I", b"PK\7\x08", zlib.crc32(shown), len(shown), len(shown)) + b" and what is signed"
    )
    plain = b"PK\7\x08 within a letter is nothing"
    for data, verdict in ((hidden, Verdict.INVALID), (plain, Verdict.VALID)):
        members = {"mimetype": EXTENDED.encode(), **bench.extended({"a.txt": data})}
        assert inspect_asice(_with_descriptor(members), context=context).verdict is verdict
