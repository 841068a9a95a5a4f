"""CAdES with time stamps of every kind: which level, what an archive stamp covers, and what tampering does (7.2)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime

import pytest

from signer import asn1, der
from signer.cades.sign import sign_cades
from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper
from signer.errors import LevelNotReached, SigningRefused
from signer.inspect import inspect_file
from signer.report import Code, Indication, Integrity, SignatureReport
from signer.trust import Context
from tests.signer_cms.cmsforge import (
    Cms,
    Signer,
    archive_v2,
    archive_v3,
    ats_index,
    attribute,
    counter,
    sequence,
    stamp,
    token_of,
)

KINDS = ["detached", "enclosed"]


def _cms(person: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper, kind: str) -> Cms:
    fixed = Signer(person, content, now).with_unsigned()
    assert fixed.value is not None
    stamped = fixed.with_unsigned(stamp("signature_time_stamp_token", fixed.value, timestamper))
    return Cms((stamped,), content if kind == "enclosed" else None)


def _adding(made: bytes) -> Callable[[dict[str, bytes]], Sequence[bytes]]:
    return lambda found: sorted([*found.values(), made])


def _judged(cms: Cms | bytes, context: Context) -> SignatureReport:
    report = inspect_file(cms if isinstance(cms, bytes) else cms.encoded(), context=context)
    return report.signatures[0]


def _stamps(one: SignatureReport) -> list[tuple[str, Integrity]]:
    return [(each.kind, each.integrity) for each in one.timestamps]


@pytest.fixture(scope="module")
def status(pki: DevPki, now: datetime) -> tuple[bytes, ...]:
    """Revocation lists of the authority."""
    return pki.trust(at=now).crls


@pytest.mark.parametrize("kind", KINDS)
def test_archive_stamps_of_both_versions_hold(
    kind: str,
    person: DevIdentity,
    content: bytes,
    now: datetime,
    timestamper: DevTimestamper,
    over: Context,
    context: Context,
) -> None:
    """Each over what it should cover, one after the other."""
    cms = _cms(person, content, now, timestamper, kind)
    judging = over if kind == "detached" else context
    both = archive_v3(archive_v2(cms, content, timestamper), content, timestamper)
    for made in (archive_v2(cms, content, timestamper), archive_v3(cms, content, timestamper), both):
        one = _judged(made, judging)
        assert one.indication is Indication.PASSED
        assert _stamps(one)[0] == ("signature", Integrity.INTACT)
        assert set(_stamps(one)[1:]) == {("archive", Integrity.INTACT)}


def test_the_level_is_the_one_reached(
    person: DevIdentity,
    pki: DevPki,
    content: bytes,
    now: datetime,
    timestamper: DevTimestamper,
    over: Context,
    status: tuple[bytes, ...],
) -> None:
    """B, T, LT with the path's certificates and lists, LTA with an archive stamp over these."""
    plain = Cms((Signer(person, content, now),))
    stamped = _cms(person, content, now, timestamper, "detached")
    tsa = asn1.read_signed_data(token_of(content, timestamper)).certificates
    path = (person.certificate, *person.chain, *tsa, pki.root.certificate)
    complete = replace(stamped, certificates=tuple(dict.fromkeys(path)), answers=status)
    without_time = Cms((Signer(person, content),))
    levels = [
        (without_time, "CMS"),
        (plain, "CAdES-B-B"),
        (stamped, "CAdES-B-T"),
        (complete, "CAdES-B-LT"),
        (archive_v3(complete, content, timestamper), "CAdES-B-LTA"),
    ]
    assert [_judged(cms, over).level for cms, _ in levels] == [level for _, level in levels]


def test_validation_data_in_attributes_counts_too(
    person: DevIdentity,
    pki: DevPki,
    content: bytes,
    now: datetime,
    timestamper: DevTimestamper,
    over: Context,
    status: tuple[bytes, ...],
) -> None:
    """certificate-values and revocation-values, as older writers have them."""
    stamped = _cms(person, content, now, timestamper, "detached")
    tsa = asn1.read_signed_data(token_of(content, timestamper)).certificates
    values = attribute("certificate_values", sequence(*person.chain, *tsa, pki.root.certificate))
    answers = attribute("revocation_values", sequence(der.encode(0xA0, sequence(*status))))
    filled = replace(stamped, signers=(stamped.signers[0].with_unsigned(values, answers),))
    assert _judged(filled, over).level == "CAdES-B-LT"


def test_content_stamps_are_over_the_content(
    person: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper, over: Context, context: Context
) -> None:
    """Signed with the rest; without the content nothing can be said."""
    for data, integrity in ((content, Integrity.INTACT), (b"other", Integrity.BROKEN)):
        made = stamp("content_time_stamp", data, timestamper)
        signer = Signer(person, content, now, change=_adding(made))
        one = _judged(Cms((signer,)), over)
        assert (one.integrity, _stamps(one)) == (Integrity.INTACT, [("content", integrity)])
    assert _stamps(_judged(Cms((signer,)), context)) == [("content", Integrity.UNKNOWN)]


def test_references_may_be_stamped_with_the_value(
    person: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper, over: Context
) -> None:
    """CAdES-C, the stamp over value, signature stamp and references."""
    cms = _cms(person, content, now, timestamper, "detached")
    signer = cms.signers[0].with_unsigned(attribute("certificate_references", sequence()))
    info = asn1.read_signed_data(Cms((signer,)).encoded()).signers[0]
    listed = {one.name: one for one in info.unsigned_attributes}
    names = ("signature_time_stamp_token", "certificate_references")
    over_what = info.value + b"".join(der.whole(listed[name].encoded).content for name in names)
    signer = signer.with_unsigned(stamp("esc_time_stamp", over_what, timestamper))
    one = _judged(Cms((signer,)), over)
    assert _stamps(one) == [("signature", Integrity.INTACT), ("signature", Integrity.INTACT)]


# --- tampering -------------------------------------------------------------------------------------------------------


@pytest.fixture
def archived(person: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper) -> Cms:
    """A signature with a time stamp and an archive stamp of version 3."""
    return archive_v3(_cms(person, content, now, timestamper, "detached"), content, timestamper)


def test_an_index_that_was_exchanged_breaks_the_archive_stamp(archived: Cms, over: Context) -> None:
    """The index is part of what the stamp is over."""
    data = archived.encoded()
    signed = asn1.read_signed_data(data)
    (token,) = signed.signers[0].unsigned_values("archive_time_stamp_v3")
    (index,) = asn1.read_signed_data(token).signers[0].unsigned_values("ats_hash_index_v3")
    at = data.index(index) + len(index) - 1
    one = _judged(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :], over)
    assert (one.integrity, one.sub_indication) == (Integrity.INTACT, Code.SIG_CONSTRAINTS_FAILURE)
    assert _stamps(one)[-1] == ("archive", Integrity.BROKEN)


def test_an_archive_stamp_without_index_is_broken(
    person: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper, over: Context
) -> None:
    cms = _cms(person, content, now, timestamper, "detached")
    token = attribute("archive_time_stamp_v3", token_of(content, timestamper))
    one = _judged(replace(cms, signers=(cms.signers[0].with_unsigned(token),)), over)
    assert _stamps(one)[-1] == ("archive", Integrity.BROKEN)


def test_validation_data_taken_away_later_is_noticed(archived: Cms, person: DevIdentity, over: Context) -> None:
    """The index names a certificate that is gone: a warning, for the signature itself still holds."""
    less = replace(archived, certificates=(person.certificate,))
    one = _judged(less, over)
    assert Code.VALIDATION_DATA_LOST in {warning.code for warning in one.warnings}
    assert one.integrity is Integrity.INTACT
    assert Code.VALIDATION_DATA_LOST not in {warning.code for warning in _judged(archived, over).warnings}


def test_what_came_after_the_archive_stamp_is_not_covered_by_it(
    archived: Cms, second: DevIdentity, over: Context
) -> None:
    """A counter-signature added later leaves the stamp as it was."""
    value = archived.signers[0].value
    assert value is not None
    signer = archived.signers[0].with_unsigned(counter(second, value))
    held = (*archived.held(), second.certificate)
    report = inspect_file(replace(archived, signers=(signer,), certificates=held).encoded(), context=over)
    assert {one.integrity for one in report.signatures} == {Integrity.INTACT}
    assert _stamps(report.signatures[0])[-1] == ("archive", Integrity.INTACT)


def test_an_index_of_version_1_hashes_whole_attributes(
    person: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper
) -> None:
    """What it covers is told by digest, so that the stamp before is proved to have existed."""
    from signer.cades.index import _read

    cms = _cms(person, content, now, timestamper, "detached")
    signed = asn1.read_signed_data(cms.encoded())
    (attribute_,) = signed.signers[0].unsigned_attributes
    for version, name in ((1, "ats_hash_index"), (1, "ats_hash_index_v2"), (3, "ats_hash_index_v3")):
        index = _read(name, ats_index(signed, version=version))
        assert index is not None
        assert [value for value, _ in index.hashes_of(attribute_)] == list(attribute_.values)
        assert index.hash_of(person.certificate, index.certificates) == hashlib.sha256(person.certificate).digest()


# --- writing ---------------------------------------------------------------------------------------------------------


def test_what_is_written_is_read(
    person: DevIdentity, rsa: DevIdentity, content: bytes, now: datetime, timestamper: DevTimestamper, over: Context
) -> None:
    """S2: B-B and B-T, with the claimed time, in DER and the same for the same input."""
    for identity in (person, rsa):
        for level in ("b", "t"):
            data = sign_cades(content, credential=identity.credential, at=now, level=level, timestamper=timestamper)
            one = _judged(data, over)
            assert (one.indication, one.level) == (Indication.PASSED, f"CAdES-B-{level.upper()}")
            assert one.signing_time == now
            names = {name for name, _ in asn1.read_signed_data(data).signers[0].attributes}
            assert names == {"content_type", "message_digest", "signing_time", "signing_certificate_v2"}
            assert der.whole(data).encoded == data
    again = [sign_cades(content, credential=rsa.credential, at=now) for _ in range(2)]
    assert again[0] == again[1]


def test_what_cannot_be_signed_is_refused(
    agency: DevIdentity, exchange_a: DevIdentity, person: DevIdentity, content: bytes, now: datetime, context: Context
) -> None:
    """R28, R29, and levels that are not reached."""
    with pytest.raises(SigningRefused):
        sign_cades(content, credential=exchange_a.credential, at=now)
    with pytest.raises(LevelNotReached):
        sign_cades(content, credential=person.credential, at=now, level="t")
    for bad in ("lt", "lta", ""):
        with pytest.raises(ValueError, match="level"):
            sign_cades(content, credential=person.credential, at=now, level=bad)
    with pytest.raises(ValueError, match="offset"):
        sign_cades(content, credential=person.credential, at=now.replace(tzinfo=None))
    with pytest.raises(TypeError):
        sign_cades(content, credential=agency.credential, at=now)
    assert agency.role is Role.AGENCY
    seen = []
    data = sign_cades(
        content, credential=agency.credential, at=now, precondition=lambda report: seen.append(report), context=context
    )
    assert len(seen) == 1
    assert asn1.read_signed_data(data).content is None
