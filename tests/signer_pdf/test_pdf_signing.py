"""What is written when a PDF is signed, checked by other programs (signing.md 3.1, 3.2, 10: A2)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from io import BytesIO
from pathlib import Path

import pytest
from asn1crypto import cms as asn1_cms
from pypdf import PdfReader

from signer.algorithms import Scheme
from signer.credential import Credential, Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject, pem
from signer.errors import InputRefused, LevelNotReached, LimitExceeded, SigningRefused, TimestampError
from signer.pdf.page import describe
from signer.pdf.sign import PdfOptions, SignedPdf, Visible, sign_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Code, LaterChanges, Reason, Report, Verdict
from signer.trust import Context, Limits
from tests.signer_pdf.files import Office, run, simple, update

KEYS = ("p256", "p384", "rsa2048")


def contents(data: bytes) -> tuple[bytes, bytes]:
    """Return the CMS of the last signature and the bytes it is over."""
    a, b, c = (int(part) for part in re.findall(rb"/ByteRange \[0 (\d+) (\d+) (\d+) *\]", data)[-1])
    return bytes.fromhex(data[a + 1 : b - 1].decode()), data[:a] + data[b : b + c]


def test_each_signature_only_adds_bytes(letter: bytes, steps: tuple[SignedPdf, ...]) -> None:
    """The former revision is a byte-identical prefix (R30)."""
    before = letter
    for step in steps:
        assert step.data.startswith(before)
        assert len(step.data) > len(before)
        before = step.data


def test_leader_number_date_and_seal_are_all_valid_in_the_end(steps: tuple[SignedPdf, ...], context: Context) -> None:
    """What the agency adds after the leader leaves the leader's signature valid (R35)."""
    report = inspect_pdf(steps[-1].data, context=context)
    assert report.verdict is Verdict.VALID
    assert [one.name for one in report.signatures] == ["Nguyễn Văn Mẫu", "Sở Mẫu A", "Sở Mẫu A", "Sở Mẫu A"]
    assert {one.level for one in report.signatures} == {"PAdES-B-T"}
    assert [one.later_changes for one in report.signatures] == [LaterChanges.ALLOWED] * 3 + [LaterChanges.NONE]
    assert [one.revision for one in report.signatures] == [2, 3, 4, 5]
    assert all(change.kind == "signature" and change.allowed for one in report.signatures for change in one.changes)


@pytest.mark.tool("pdfsig")
def test_pdfsig_verifies_every_step(steps: tuple[SignedPdf, ...], file_of: Callable[[bytes], str]) -> None:
    """Poppler's checker calls all signatures valid after each step, and the last covers the whole file."""
    for count, step in enumerate(steps, 1):
        said = run("pdfsig", "-nocert", file_of(step.data)).stdout.decode()
        assert said.count("Signature Validation: Signature is Valid.") == count
        assert said.count("ETSI.CAdES.detached") == count
        assert "Total document signed" in said.rpartition("Signature #")[2]


@pytest.mark.tool("pdfsig")
def test_pdfsig_refuses_a_changed_byte(steps: tuple[SignedPdf, ...], file_of: Callable[[bytes], str]) -> None:
    """Poppler's checker does not accept the letter once a covered byte differs."""
    changed = bytearray(steps[0].data)
    at = changed.index(b"/Title <FEFF") + 14
    changed[at] = ord("1") if changed[at] != ord("1") else ord("2")
    said = run("pdfsig", "-nocert", file_of(bytes(changed))).stdout.decode()
    assert "Signature is Valid" not in said
    assert "Digest Mismatch" in said


@pytest.mark.tool("qpdf")
def test_qpdf_has_nothing_to_complain_of(steps: tuple[SignedPdf, ...], file_of: Callable[[bytes], str]) -> None:
    """The structure of a letter signed four times is without fault."""
    checked = run("qpdf", "--check", file_of(steps[-1].data))
    assert checked.returncode == 0, checked.stdout


@pytest.mark.tool("openssl")
@pytest.mark.parametrize("key_type", KEYS)
@pytest.mark.parametrize("profile", ["interop", "strict"])
def test_openssl_verifies_the_cms(
    key_type: str, profile: str, pki: DevPki, now: datetime, plain: bytes, tmp_path: Path
) -> None:
    """OpenSSL accepts the CMS over the ranges, for each key and profile, and refuses it over other bytes."""
    who = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type=key_type)
    options = PdfOptions(at=now, level="b", profile=profile)
    signed = sign_pdf(plain, credential=who.credential, options=options)
    value, octets = contents(signed.data)
    names = ("value.der", "content", "other", "root.pem")
    for name, data in zip(names, (value, octets, octets + b" ", pem(pki.root.certificate)), strict=True):
        (tmp_path / name).write_bytes(data)
    seconds = str(int(now.timestamp()))

    def verify(content: str) -> int:
        command = ["openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(tmp_path / "value.der")]
        command += ["-content", str(tmp_path / content), "-CAfile", str(tmp_path / "root.pem")]
        return run(*command, "-purpose", "any", "-attime", seconds, "-out", "/dev/null").returncode

    assert verify("content") == 0
    assert verify("other") != 0


@pytest.mark.tool("openssl")
def test_openssl_verifies_the_time_stamp(
    steps: tuple[SignedPdf, ...], pki: DevPki, now: datetime, tmp_path: Path
) -> None:
    """The signature time stamp is over the signature value and signed by the authority."""
    value, _ = contents(steps[0].data)
    signer = asn1_cms.ContentInfo.load(value)["content"]["signer_infos"][0]
    (stamp,) = signer["unsigned_attrs"]
    assert stamp["type"].native == "signature_time_stamp_token"
    (tmp_path / "token").write_bytes(stamp["values"][0].dump())
    (tmp_path / "value").write_bytes(signer["signature"].native)
    (tmp_path / "root.pem").write_bytes(pem(pki.root.certificate))
    (tmp_path / "ca.pem").write_bytes(pem(pki.issuing.certificate))
    command = ["openssl", "ts", "-verify", "-token_in", "-in", "token", "-data", "value", "-CAfile", "root.pem"]
    command += ["-untrusted", "ca.pem", "-attime", str(int(now.timestamp()))]
    paths = [str(tmp_path / part) if part in ("token", "value", "root.pem", "ca.pem") else part for part in command]
    assert run(*paths).returncode == 0


def test_the_cms_is_that_of_pades_and_nothing_more(steps: tuple[SignedPdf, ...], person: DevIdentity) -> None:
    """Signed attributes are exactly three, DER, without signing-time; leaf and chain are inside (EN 319 142-1)."""
    value, _ = contents(steps[0].data)
    signed = asn1_cms.ContentInfo.load(value.rstrip(b"\0"))["content"]
    (signer,) = signed["signer_infos"]
    kinds = [one["type"].native for one in signer["signed_attrs"]]
    assert sorted(kinds) == ["content_type", "message_digest", "signing_certificate_v2"]
    assert signer["signed_attrs"].dump(force=True) == signer["signed_attrs"].dump()
    assert {one.chosen.dump() for one in signed["certificates"]} == {person.certificate, *person.chain}
    assert signed["encap_content_info"]["content"].native is None


def test_the_dictionary_holds_what_was_said_in_the_time_of_vietnam(office: Office, plain: bytes) -> None:
    """``/M`` is the claimed time with +07'00'; texts are NFC."""
    decomposed = unicodedata.normalize("NFD", "Phê duyệt")
    signed = office.by_person(plain, level="b", reason=decomposed, location="Tỉnh Mẫu", name="Nguyễn Văn Mẫu")
    assert b"/M (D:20261120093000+07'00')" in signed.data
    fields = PdfReader(BytesIO(signed.data)).get_fields()
    assert fields is not None
    written = fields["Signature1"]["/V"].get_object()
    assert (written["/Reason"], written["/Location"], written["/Name"]) == ("Phê duyệt", "Tỉnh Mẫu", "Nguyễn Văn Mẫu")


@pytest.mark.parametrize("stream", [False, True], ids=["table", "stream"])
def test_the_update_has_the_kind_of_cross_reference_the_file_has(
    office: Office, context: Context, stream: bool
) -> None:
    """Tables are followed by a table, cross-reference streams by a stream."""
    data = simple(stream=stream)
    signed = office.by_person(data).data
    assert (b"\nxref\n" in signed[len(data) :]) is not stream
    assert inspect_pdf(signed, context=context).verdict is Verdict.VALID


@pytest.mark.tool("qpdf")
@pytest.mark.parametrize(
    "how", [("--object-streams=generate",), ("--linearize",), ("--object-streams=generate", "--linearize")]
)
def test_files_with_object_streams_and_linearised_files_are_signed(
    how: tuple[str, ...], office: Office, letter: bytes, context: Context, tmp_path: Path
) -> None:
    """Ordinary files of other writers are signed twice and stay valid."""
    (tmp_path / "in.pdf").write_bytes(letter)
    assert run("qpdf", *how, str(tmp_path / "in.pdf"), str(tmp_path / "out.pdf")).returncode == 0
    data = (tmp_path / "out.pdf").read_bytes()
    once = office.by_person(data, Visible("t1", text="Số: 15/QĐ-UBND"))
    twice = office.by_agency(once.data, level="b")
    assert twice.data.startswith(data)
    report = inspect_pdf(twice.data, context=context)
    assert report.verdict is Verdict.VALID, report.reasons


@pytest.mark.parametrize("ending", [b"%%EOF", b"%%EOF\r\n", b"%%EOF\n\n  "])
def test_files_end_in_many_ways(ending: bytes, office: Office, plain: bytes, context: Context) -> None:
    """A missing line end is added in the tail, never in the input."""
    data = plain.removesuffix(b"%%EOF\n") + ending
    signed = office.by_person(data, level="b").data
    assert signed.startswith(data)
    assert inspect_pdf(signed, context=context).verdict is Verdict.VALID


def test_twelve_signatures_are_no_burden(office: Office, plain: bytes, context: Context) -> None:
    """At least ten signatures in one file are normal (R35); names are counted up."""
    data = plain
    for number in range(1, 13):
        signed = office.by_person(data, level="b")
        assert signed.field == f"Signature{number}"
        data = signed.data
    report = inspect_pdf(data, context=context)
    assert len(report.signatures) == 12
    assert report.verdict is Verdict.VALID


def test_a_premade_field_takes_the_signature(office: Office, context: Context) -> None:
    """A named empty field keeps its name and rectangle."""
    data = with_field(b"/FT /Sig /T (Lanh dao)")
    signed = office.by_person(data, level="b", field="Lanh dao")
    assert signed.field == "Lanh dao"
    report = inspect_pdf(signed.data, context=context)
    assert (report.verdict, report.signatures[0].id) == (Verdict.VALID, "Lanh dao")
    assert report.signatures[0].appearance is not None
    with pytest.raises(InputRefused) as again:
        office.by_person(signed.data, field="Lanh dao")
    assert again.value.code == "EDOC-PDF-015"


def with_field(field: bytes) -> bytes:
    """Return a PDF with one field that is its own widget."""
    widget = b"<< /Type /Annot /Subtype /Widget %s /Rect [100 100 200 150] /F 4 /P 3 0 R >>" % field
    return simple(catalog=b"/AcroForm << /Fields [5 0 R] >>", page=b"/Annots [5 0 R]", more=[widget])


REFUSED: tuple[tuple[str, bytes, str], ...] = (
    ("empty", b"", "EDOC-PDF-003"),
    ("text", b"Van ban\n", "EDOC-PDF-001"),
    ("truncated", simple()[:-60], "EDOC-PDF-005"),
    ("halved", simple()[:300], "EDOC-PDF-005"),
    ("cross-reference off", simple().replace(b"startxref\n", b"startxref\n1"), "EDOC-PDF-005"),
    ("script at opening", simple(catalog=b"/OpenAction << /S /JavaScript /JS (1) >>"), "EDOC-PDF-007"),
    ("script by name", simple(catalog=b"/Names << /JavaScript << /Names [] >> >>"), "EDOC-PDF-007"),
    ("launch", simple(page=b"/AA << /O << /S /Launch /F (x) >> >>"), "EDOC-PDF-007"),
    ("submit", simple(page=b"/AA << /O << /S /SubmitForm /F (x) >> >>"), "EDOC-PDF-007"),
    ("script with an escaped name", simple(page=b"/AA << /O << /S /Java#53cript /JS (1) >> >>"), "EDOC-PDF-007"),
    ("XFA", simple(catalog=b"/AcroForm << /Fields [] /XFA (x) >>"), "EDOC-PDF-008"),
    (
        "certified, no changes",
        simple(
            catalog=b"/Perms << /DocMDP 5 0 R >>",
            more=[b"<< /Type /Sig /Reference [<< /TransformMethod /DocMDP /TransformParams << /P 1 >> >>] >>"],
        ),
        "EDOC-PDF-009",
    ),
    ("page tree in a circle", simple().replace(b"/Kids [3 0 R]", b"/Kids [2 0 R]"), "EDOC-PDF-005"),
    ("encrypted", simple().replace(b"/Root 1 0 R", b"/Root 1 0 R /Encrypt << /Filter /Standard >>"), "EDOC-PDF-004"),
)


@pytest.mark.parametrize(("data", "code"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_what_cannot_vouch_for_its_display_is_not_signed(data: bytes, code: str, office: Office) -> None:
    """Each refusal has its own code, and nothing but our errors leaves."""
    with pytest.raises(InputRefused) as refused:
        office.by_person(data)
    assert refused.value.code == code


@pytest.mark.tool("qpdf")
def test_a_file_with_a_password_is_refused(office: Office, letter: bytes, tmp_path: Path) -> None:
    """A really encrypted file is told by its encryption, not by its damage."""
    (tmp_path / "in.pdf").write_bytes(letter)
    options = ["--encrypt", "mat-khau", "chu", "256", "--", str(tmp_path / "in.pdf"), str(tmp_path / "out.pdf")]
    assert run("qpdf", *options).returncode == 0
    with pytest.raises(InputRefused) as refused:
        office.by_person((tmp_path / "out.pdf").read_bytes())
    assert refused.value.code == "EDOC-PDF-004"


def test_a_damaged_file_with_a_signature_is_not_offered_mending(office: Office, small: bytes) -> None:
    """Saving anew would destroy the signature, so the advice is another one."""
    with pytest.raises(InputRefused) as refused:
        office.by_person(small[:-40])
    assert refused.value.code == "EDOC-PDF-006"


def test_limits_come_before_reading(person: DevIdentity, context: Context, now: datetime) -> None:
    """A file over the limit is refused unread."""
    tight = replace(context, limits=Limits(pdf_max_bytes=100))
    with pytest.raises(LimitExceeded) as refused:
        sign_pdf(simple(), credential=person.credential, options=PdfOptions(at=now, level="b"), context=tight)
    assert refused.value.facts["limit"] == "pdf_max_bytes"


def test_a_broken_signature_is_never_covered_by_a_new_one(office: Office, small: bytes) -> None:
    """A finished file is delivered only if all signatures in it are intact (R33)."""
    changed = small.replace(b"50 700 m", b"50 701 m")
    with pytest.raises(SigningRefused) as refused:
        office.by_person(changed, level="b")
    assert refused.value.code == "EDOC-PDF-021"


def test_an_agency_never_signs_without_a_precondition(agency: DevIdentity, small: bytes, now: datetime) -> None:
    """R28 is enforced where it cannot be bypassed."""
    with pytest.raises(TypeError):
        sign_pdf(small, credential=agency.credential, options=PdfOptions(at=now, level="b"))


def test_the_precondition_sees_exactly_the_bytes_about_to_be_signed(
    agency: DevIdentity, small: bytes, now: datetime, context: Context
) -> None:
    """It gets the report of the input; what it objects to stops the job before the key is used."""
    seen: list[Report] = []

    def object_to(report: Report) -> Reason | None:
        seen.append(report)
        return Reason(Code.MISSING_PERSON_SIGNATURE, {"found": "-"})

    untouchable = replace(agency.credential, port=Untouchable())
    with pytest.raises(SigningRefused) as refused:
        sign_pdf(
            small,
            credential=untouchable,
            options=PdfOptions(at=now, level="b"),
            precondition=object_to,
            context=context,
        )
    assert (refused.value.code, refused.value.facts["reason"]) == ("EDOC-PDF-018", "MISSING_PERSON_SIGNATURE")
    assert seen == [inspect_pdf(small, context=context)]


class Untouchable:
    """A key that must not be asked."""

    def sign(self, digests: object, scheme: Scheme) -> list[bytes]:
        """Fail."""
        raise AssertionError("the key was used")


@pytest.mark.parametrize("role", [Role.EXCHANGE, Role.REQUEST, Role.TLS])
def test_other_keys_do_not_sign_documents(role: Role, person: DevIdentity, plain: bytes, now: datetime) -> None:
    """An exchange key seals messages; it makes no signature on a document (R29)."""
    held = person.credential
    other = Credential(held.certificate, role, Untouchable(), held.chain)
    with pytest.raises(SigningRefused) as refused:
        sign_pdf(plain, credential=other, options=PdfOptions(at=now, level="b"))
    assert refused.value.code == "EDOC-PDF-019"


def test_level_t_without_an_authority_is_a_refusal(person: DevIdentity, plain: bytes, now: datetime) -> None:
    """Never silently a lower level (R32)."""
    with pytest.raises(LevelNotReached):
        sign_pdf(plain, credential=person.credential, options=PdfOptions(at=now))


class Away:
    """An authority that does not answer."""

    def stamp(self, request: bytes) -> bytes:
        """Fail as the transport does."""
        raise TimestampError("EDOC-PKI-001", "no answer", url="http://127.0.0.1:1/tsa")


def test_an_authority_that_is_away_is_named(person: DevIdentity, plain: bytes, now: datetime) -> None:
    """The refusal keeps the cause and its facts."""
    with pytest.raises(LevelNotReached) as refused:
        sign_pdf(plain, credential=person.credential, options=PdfOptions(at=now), timestamper=Away())
    assert refused.value.facts["missing"] == "EDOC-PKI-001"
    assert refused.value.facts["url"] == "http://127.0.0.1:1/tsa"
    assert isinstance(refused.value.__cause__, TimestampError)


def test_a_time_stamp_over_something_else_is_not_embedded(
    person: DevIdentity, plain: bytes, now: datetime, pki: DevPki
) -> None:
    """The token is checked before it is embedded."""

    class Other:
        def stamp(self, request: bytes) -> bytes:
            from signer.asn1 import timestamp_request

            return pki.timestamp(timestamp_request(bytes(32), algorithm="sha256", nonce=7), at=now)

    with pytest.raises(LevelNotReached):
        sign_pdf(plain, credential=person.credential, options=PdfOptions(at=now), timestamper=Other())


def test_a_naive_time_is_refused() -> None:
    """Time is an argument with an offset."""
    with pytest.raises(ValueError, match="offset"):
        PdfOptions(at=datetime(2026, 11, 20))


def test_a_claimed_time_far_from_the_stamp_is_noted(
    person: DevIdentity, plain: bytes, context: Context, now: datetime, timestamper: DevTimestamper
) -> None:
    """More than five minutes between claim and stamp are a warning."""
    options = PdfOptions(at=now - timedelta(minutes=9))
    signed = sign_pdf(plain, credential=person.credential, options=options, timestamper=timestamper)
    assert [(one.code, one.facts["minutes"]) for one in signed.warnings] == [(Code.TIMESTAMP_DISAGREES, "9")]
    report = inspect_pdf(signed.data, context=context)
    assert Code.TIMESTAMP_DISAGREES in {warning.code for warning in report.signatures[0].warnings}
    assert report.verdict is Verdict.VALID


def test_a_script_added_between_two_signatures_stops_the_second(office: Office, small: bytes) -> None:
    """The file is looked at as it is now, not as it was signed."""
    root = re.search(rb"\n1 0 obj\n(<<.*?>>)\nendobj", small[small.index(b"%%EOF") :], re.S)
    assert root is not None
    changed = update(small, {1: root[1].removesuffix(b">>") + b" /OpenAction << /S /JavaScript /JS (1) >> >>"})
    with pytest.raises(InputRefused) as refused:
        office.by_person(changed)
    assert refused.value.code == "EDOC-PDF-007"


def test_describe_says_what_the_file_says(steps: tuple[SignedPdf, ...]) -> None:
    """``edoc inspect`` shows version, pages, revisions and fields."""
    facts = describe(steps[-1].data)
    assert (facts.version, facts.pages, facts.revisions) == ("1.7", 1, 5)
    assert [name for name, kind, filled in facts.fields if kind == "Sig" and filled] == [
        "Signature1",
        "Signature2",
        "Signature3",
        "Signature4",
    ]
    assert facts.title is not None
    assert facts.title.startswith("Công văn")
