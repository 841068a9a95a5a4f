"""What a document counts as: original, copy, information only; when the agency may sign (R2, R28, R29, R65, R66)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from edoc.agencies import Agency, AgencyCertificate, Directory
from edoc.authorities import AuthorityTable, CertificateId, Person, Question
from edoc.capacities import Authority, Capacity
from edoc.legal import agency_precondition, annotate, legal_class
from signer.report import (
    Appearance,
    Code,
    Covers,
    Crypto,
    Indication,
    Integrity,
    LaterChanges,
    Reason,
    Report,
    SignatureReport,
    Signer,
    Verdict,
    file_verdict,
)

DAY = date(2026, 11, 20)
PERSON, AGENCY, EXCHANGE, OTHER = ("11" * 32, "22" * 32, "33" * 32, "44" * 32)
DIRECTORY = Directory(
    (
        Agency(
            "H99.01",
            "Sở Mẫu A",
            certificates=(
                AgencyCertificate("agency", b"", AGENCY, date(2026, 1, 1), date(2026, 12, 31)),
                AgencyCertificate("exchange", b"", EXCHANGE),
            ),
        ),
        Agency("H99.02", "Sở Mẫu B", certificates=(AgencyCertificate("agency", b"", OTHER),)),
    )
)


def signature(
    certificate: str, *, type: str = "person", sub: Code | None = None, text: str | None = None
) -> SignatureReport:
    broken = sub is Code.HASH_FAILURE
    indication = Indication.PASSED if sub is None else Indication.FAILED if broken else Indication.INDETERMINATE
    return SignatureReport(
        id=certificate[:2],
        indication=indication,
        sub_indication=sub,
        integrity=Integrity.BROKEN if broken else Integrity.INTACT,
        crypto=Crypto.BAD if broken else Crypto.OK,
        covers=Covers.WHOLE,
        level="PAdES-B-B",
        best_signature_time=datetime(2026, 11, 20, tzinfo=UTC),
        signer=Signer(certificate_sha256=certificate, type=type),
        appearance=Appearance(1, (0, 0, 1, 1), text) if text else None,
    )


def pdf(*signatures: SignatureReport) -> Report:
    return Report("pdf", "PDF 1.7", file_verdict(signatures), "00" * 32, 1, signatures=signatures)


LEADER = signature(PERSON)
SEAL = signature(AGENCY, type="agency")
UNKNOWN = Code.NO_CERTIFICATE_CHAIN_FOUND


@pytest.mark.parametrize(
    ("signatures", "expected"),
    [
        ((LEADER, SEAL), "original"),
        ((LEADER,), "information-only"),
        ((SEAL,), "information-only"),
        ((), "information-only"),
        ((LEADER, signature(OTHER, type="agency")), "information-only"),  # R66: another agency's
        ((LEADER, signature(EXCHANGE, type="agency")), "information-only"),  # R29
        ((LEADER, signature("55" * 32, type="agency")), "information-only"),  # says so of itself
        ((signature(PERSON, sub=UNKNOWN), SEAL), "information-only"),
        ((LEADER, signature(AGENCY, sub=UNKNOWN)), "information-only"),
        ((replace(LEADER, covers=Covers.REVISION), SEAL), "original"),
        ((replace(LEADER, covers=Covers.PARTIAL), SEAL), "information-only"),  # XML signed in part
        ((LEADER, replace(SEAL, covers=Covers.PARTIAL)), "information-only"),
        ((LEADER, SEAL, signature("66" * 32, sub=UNKNOWN)), "original"),  # a drafter's, not judged
        ((LEADER, SEAL, signature("66" * 32, sub=Code.HASH_FAILURE)), "information-only"),
        ((signature(AGENCY), replace(SEAL, id="x")), "information-only"),  # one certificate is not two signers
        ((signature(AGENCY, text="SAO Y; Sở Mẫu A; 20/11/2026; 09:30:00 +07:00"),), "copy"),
        ((signature(AGENCY, text="TRÍCH SAO; Sở Mẫu A"),), "copy"),
        ((signature(AGENCY, text="Số: 15/QĐ-UBND; 05/01/2026"),), "information-only"),
        ((signature(PERSON, text="SAO Y; tự khai"),), "information-only"),
    ],
)
def test_the_legal_class_follows_from_both_signatures(signatures: tuple[SignatureReport, ...], expected: str) -> None:
    """Both valid, by the directory; anything else informs only."""
    assert legal_class(pdf(*signatures), directory=DIRECTORY, on=DAY, sender="H99.01") == expected


def test_registration_counts_on_its_days_only() -> None:
    """At that date (R66)."""
    report = pdf(LEADER, SEAL)
    assert legal_class(report, directory=DIRECTORY, on=date(2027, 1, 1)) == "information-only"


def test_a_message_has_the_class_of_its_first_file() -> None:
    """The rest are appendices."""
    parts = (("120.pdf", pdf(LEADER, SEAL)), ("pl.pdf", pdf()))
    message = Report("edxml", "edXML document", Verdict.VALID, None, None, parts=parts, document={"from": "H99.01"})
    found = annotate(message, DIRECTORY, DAY)
    assert found.legal_class == "original"
    assert [part.legal_class for _, part in found.parts] == ["original", "information-only"]
    elsewhere = annotate(replace(message, document={"from": "H99.02"}), DIRECTORY, DAY)
    assert elsewhere.legal_class == "information-only"


def test_the_directory_tells_whose_signature_it_is() -> None:
    """``kind: seal`` and the agency's code; a person stays a person."""
    found = annotate(pdf(LEADER, SEAL), DIRECTORY, DAY)
    assert [(item.kind, item.signer.agency, item.signer.type) for item in found.signatures] == [
        ("signature", None, "person"),
        ("seal", "H99.01", "agency"),
    ]
    assert found.warnings == ()
    assert found.verdict is Verdict.VALID


def test_a_missing_signature_is_named() -> None:
    """Without changing the verdict: the signatures there are may well be valid."""
    alone = annotate(pdf(LEADER), DIRECTORY, DAY)
    assert [reason.code for reason in alone.warnings] == [Code.MISSING_AGENCY_SIGNATURE]
    assert [reason.code for reason in annotate(pdf(SEAL), DIRECTORY, DAY).warnings] == [Code.MISSING_PERSON_SIGNATURE]
    assert annotate(pdf(), DIRECTORY, DAY).warnings == ()
    assert alone.verdict is Verdict.VALID


def test_receipts_and_proofs_have_no_legal_class() -> None:
    """They are no documents."""
    receipt = replace(pdf(signature(EXCHANGE, type="agency")), kind="receipt")
    found = annotate(receipt, DIRECTORY, DAY)
    assert (found.legal_class, found.signatures[0].signer.agency) == (None, "H99.01")


@pytest.mark.parametrize(
    ("signatures", "allowed"),
    [
        ((LEADER,), True),
        ((), False),
        ((SEAL,), False),
        ((signature(PERSON, sub=UNKNOWN),), False),
        ((LEADER, signature("66" * 32, sub=Code.HASH_FAILURE)), False),
        ((signature("55" * 32, type="agency"),), False),
    ],
)
def test_the_agency_signs_only_what_the_competent_person_has_signed(
    signatures: tuple[SignatureReport, ...], allowed: bool
) -> None:
    """R28: a valid signature of a person, in a file in which nothing is broken."""
    answer = agency_precondition(DIRECTORY, DAY)(pdf(*signatures))
    assert (answer is None) is allowed
    if answer is not None:
        assert answer.code is Code.MISSING_PERSON_SIGNATURE


# --- the authority table (R26, R28, R65) -----------------------------------------------------------------------------

BASIS = "QĐ 12/QĐ-SMA"
PEOPLE = (Person("mau", "Nguyễn Văn Mẫu", (CertificateId("0A", "CN=THU NGHIEM", PERSON),)),)


def entry(**more: object) -> Authority:
    """Return an authority of the leader for the year, changed as asked."""
    made = Authority(1, "mau", "H99.01", Capacity.KT, "Phó Giám đốc", date(2026, 1, 1), date(2026, 12, 31), basis=BASIS)
    return replace(made, **more)  # type: ignore[arg-type]  # fields of the test


def keeping(*entries: Authority) -> AuthorityTable:
    return AuthorityTable(PEOPLE, entries or (entry(),))


def rule(report: Report, table: AuthorityTable, *, on: date = DAY, document_type: str | None = None) -> Reason | None:
    asked = Question("H99.01", on, document_type=document_type)
    return agency_precondition(DIRECTORY, on, table=table, asked=asked)(report)


def test_a_persons_signature_with_authority_makes_an_original_and_names_the_position() -> None:
    found = annotate(pdf(LEADER, SEAL), DIRECTORY, DAY, table=keeping())
    signer = found.signatures[0].signer
    assert (found.legal_class, signer.authority) == ("original", "confirmed")
    assert (signer.capacity, signer.position) == ("KT.", "Phó Giám đốc")


def test_a_persons_signature_without_authority_makes_none() -> None:
    stranger = signature("99" * 32)
    found = annotate(pdf(stranger, SEAL), DIRECTORY, DAY, table=keeping())
    assert (found.legal_class, found.signatures[0].signer.authority) == ("information-only", "missing")
    assert Code.MISSING_PERSON_SIGNATURE in [reason.code for reason in found.warnings]


def test_one_with_authority_among_several_is_enough() -> None:
    """A drafter signs too (R35); the leader's signature is the competent one."""
    drafter = signature("99" * 32)
    found = annotate(pdf(drafter, LEADER, SEAL), DIRECTORY, DAY, table=keeping())
    assert found.legal_class == "original"
    assert [item.signer.authority for item in found.signatures] == ["missing", "confirmed", "unknown"]
    assert rule(pdf(drafter, LEADER), keeping()) is None


def test_the_table_of_one_agency_says_nothing_of_the_documents_of_another() -> None:
    stranger = signature("99" * 32)
    found = annotate(pdf(stranger, signature(OTHER, type="agency")), DIRECTORY, DAY, table=keeping())
    assert (found.legal_class, found.signatures[0].signer.authority) == ("original", "unknown")
    sent = annotate(pdf(stranger), DIRECTORY, DAY, sender="H99.01", table=keeping())
    assert sent.signatures[0].signer.authority == "missing"
    assert annotate(pdf(stranger), DIRECTORY, DAY, table=keeping()).signatures[0].signer.authority == "unknown"


def test_the_agency_signs_after_a_person_with_authority_only() -> None:
    assert rule(pdf(LEADER), keeping()) is None
    objection = rule(pdf(signature("99" * 32)), keeping())
    assert objection is not None
    assert (objection.code, objection.facts["why"]) == (Code.MISSING_PERSON_SIGNATURE, "not-listed")
    assert rule(pdf(LEADER), keeping(entry(agency="H99.02"))) is None  # H99.01 keeps no table


def test_a_signature_with_suspect_later_changes_is_none_to_sign_after() -> None:
    assert rule(pdf(replace(LEADER, later_changes=LaterChanges.SUSPECT)), keeping()) is not None


@pytest.mark.parametrize(("document_type", "why"), [("QĐ", None), ("Tờ trình", "type"), (None, "type-unknown")])
def test_the_scope_is_held_against_the_type_and_confirms_nothing_without_one(
    document_type: str | None, why: str | None
) -> None:
    objection = rule(pdf(LEADER), keeping(entry(types=("QĐ",))), document_type=document_type)
    assert (objection and objection.facts["why"]) == why


LATER = date(2027, 1, 15)
PROVED = replace(LEADER, time_source="timestamp")
CLAIMED = replace(LEADER, signing_time=datetime(2026, 11, 20, 2, tzinfo=UTC))


@pytest.mark.parametrize(
    ("item", "on", "authority"),
    [
        (PROVED, DAY, "confirmed"),
        (PROVED, LATER, "confirmed"),  # ended since, but the day is proved
        (CLAIMED, DAY, "confirmed"),
        (CLAIMED, LATER, "unknown"),  # anybody can claim a day
        (replace(CLAIMED, signing_time=datetime(2027, 1, 2, tzinfo=UTC)), LATER, "missing"),
        (replace(PROVED, best_signature_time=datetime(2025, 12, 31, 16, 59, tzinfo=UTC)), DAY, "missing"),
        (replace(PROVED, best_signature_time=datetime(2025, 12, 31, 17, 0, tzinfo=UTC)), DAY, "confirmed"),  # Vietnam
    ],
)
def test_authority_is_that_of_the_day_of_signing_in_vietnam(item: SignatureReport, on: date, authority: str) -> None:
    found = annotate(pdf(item), DIRECTORY, on, table=keeping())
    assert found.signatures[0].signer.authority == authority


def test_a_claimed_day_within_an_ended_authority_is_none_to_sign_after() -> None:
    """Otherwise whoever lost the authority could write the signature back."""
    objection = rule(pdf(CLAIMED), keeping(), on=LATER)
    assert objection is not None
    assert objection.facts["why"] == "time-not-proved"
    assert rule(pdf(PROVED), keeping(), on=LATER) is None


def test_the_table_says_that_a_certificate_is_a_persons_where_its_subject_does_not() -> None:
    unclear = replace(LEADER, signer=replace(LEADER.signer, type="unknown"))
    found = annotate(pdf(unclear, SEAL), DIRECTORY, DAY, table=keeping())
    assert (found.legal_class, found.signatures[0].signer.type) == ("original", "person")
    assert annotate(pdf(unclear, SEAL), DIRECTORY, DAY).legal_class == "information-only"
    assert rule(pdf(unclear), keeping()) is None


def test_a_document_another_agency_has_sealed_is_judged_as_that_agencys() -> None:
    """At the receiver the stamp of arrival is put on a copy: its own table knows nothing of the sender's leader."""
    stranger, theirs = signature("99" * 32), signature(OTHER, type="agency")
    assert rule(pdf(stranger), keeping()) is not None
    assert rule(pdf(stranger, theirs), keeping()) is None
    assert rule(pdf(stranger, SEAL), keeping()) is not None  # sealed by ourselves: our table decides again
    both = keeping(entry(), entry(id=2, agency="H99.02"))
    assert rule(pdf(stranger, theirs), both) is not None
    assert rule(pdf(LEADER, theirs), both) is None


def test_a_stamp_of_arrival_does_not_make_a_document_ours() -> None:
    stranger, theirs = signature("99" * 32), signature(OTHER, type="agency")
    found = annotate(pdf(stranger, theirs, SEAL), DIRECTORY, DAY, table=keeping())
    assert (found.legal_class, found.signatures[0].signer.authority) == ("original", "unknown")


def test_an_old_code_of_the_agency_asks_the_same_table() -> None:
    """R79: what names the agency by its former code is the agency's all the same."""
    renamed = Directory((replace(DIRECTORY.agencies[0], old_codes=("000.00.17.H99",)), *DIRECTORY.agencies[1:]))
    found = annotate(pdf(signature("99" * 32)), renamed, DAY, sender="000.00.17.H99", table=keeping())
    assert found.signatures[0].signer.authority == "missing"
