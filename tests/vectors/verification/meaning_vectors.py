"""Vectors of what a directory, a ledger or a message adds: codes of ``edoc`` and the transport (signing.md 1.3)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import date, datetime
from functools import cache
from pathlib import Path

from edoc.agencies import Agency, AgencyCertificate, Directory
from edoc.documents import Attachment, Document, SignerInfo
from edoc.envelopes import Business, Envelope, Hop, Party, StaffInfo
from edoc.seal import seal
from signer.algorithms import PolicyName
from signer.asic import read_container
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.report import Code
from signer.trust import Context, Purpose, anchors_from, load_status
from tests.vectors.verification.house import Case, House, Vector, failed, passed
from transport.demo.letter import LETTER, sample
from transport.judging.files import Judging
from transport.judging.logkeys import of_statements
from transport.present.text import VIETNAM

SAMPLES = Path(__file__).resolve().parents[3] / "samples"
SAMPLED = datetime(2026, 11, 20, 12, 0, tzinfo=VIETNAM)


# --- the directory ---------------------------------------------------------------------------------------------------


def _known(house: House) -> Directory:
    """Return a directory that knows the agency's certificate."""
    digest = hashlib.sha256(house.agency.certificate).hexdigest()
    return Directory((Agency("H99.01", "Sở Mẫu A", certificates=(AgencyCertificate("agency", b"", digest),)),))


def _by_person_alone(house: House) -> Case:
    return Case(house.small, Judging(house.context(), _known(house)))


def _by_agency_alone(house: House) -> Case:
    options = PdfOptions(at=house.now, level="b")
    signed = sign_pdf(
        house.plain,
        credential=house.agency.credential,
        options=options,
        precondition=lambda report: None,
        context=house.context(),
    )
    return Case(signed.data, Judging(house.context(), _known(house)))


# --- the ledger ------------------------------------------------------------------------------------------------------


@cache
def _evidence() -> dict[str, bytes]:
    return dict(read_container((SAMPLES / "evidence.asice").read_bytes()).members)


@cache
def _of_samples() -> Context:
    """How the samples are judged."""
    trust = anchors_from((SAMPLES / "trust" / "root.crt").read_bytes(), Purpose.SIGNERS, Purpose.TSA)
    for name in ("ca.crl", "root.crl"):
        trust = trust.merged(load_status((SAMPLES / "trust" / name).read_bytes()))
    return Context(trust, SAMPLED, PolicyName.INTEROP)


def _proof(change: Callable[[str], str]) -> Case:
    """Return the proof of a dispatch, changed, with the key its ledger states."""
    context = _of_samples()
    keys = of_statements([_evidence()["ledger/keys/H99.01-1.xml"]], context=context)
    text = _evidence()["ledger/own/01-sent.tlog-proof"].decode("utf-8")
    return Case(change(text).encode("utf-8"), Judging(context, keys=keys))


def _another_leaf(text: str) -> str:
    extra = text.split("\n")[1]
    return text.replace(extra, extra[:20] + ("A" if extra[20] != "A" else "B") + extra[21:])


# --- the message -----------------------------------------------------------------------------------------------------


def drawn(house: House, *, number: str, day: date) -> Case:
    """Return a sealed message that states number 120 of 20/11/2026, and whose letter shows these."""
    text = LETTER.date_text(day.day, day.month, day.year)
    letter = house.pdf(sample("letter.pdf"), visible=Visible("number", box_mm=LETTER.number, text=number))
    letter = house.pdf(letter, visible=Visible("date", box_mm=LETTER.date, text=text))
    document = Document(
        "120",
        "SMA-VP",
        date(2026, 11, 20),
        "Công văn",
        LETTER.subject,
        content=LETTER.subject,
        place=LETTER.place,
        signer=SignerInfo("KT. GIÁM ĐỐC", LETTER.position, LETTER.signer),
        pages=1,
        document_id="H99.01,2026/11/20,120/SMA-VP",
    )
    cid = "cid:4f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4"
    attachment = Attachment("120.pdf", letter, "application/pdf", description="Văn bản chính", content_id=cid)
    envelope = Envelope(
        Party("H99.01", "Sở Mẫu A", address="Số 1 phố Mẫu, tỉnh Thử Nghiệm", email="vanthu@a.example"),
        (Party("H99.02", "Sở Mẫu B", address="Số 2 phố Mẫu, tỉnh Thử Nghiệm"),),
        document,
        (attachment,),
        business=Business(staff=StaffInfo("Văn thư", "Trần Thị Mẫu", email="vanthu@a.example")),
        trace=(Hop("H99.01", house.now),),
    )
    sealed = seal(
        envelope,
        message_id="6f1d2c9a-8f57-4f0e-b0a5-90d3c1b7e2f4",
        credential=house.exchange.credential,
        at=house.now,
    )
    return Case(sealed.data, Judging(house.context()))


HONEST_DAY = date(2026, 11, 20)

MEANING: tuple[Vector, ...] = (
    Vector(
        Code.MISSING_AGENCY_SIGNATURE,
        "PDF: the leader alone has signed",
        _by_person_alone,
        passed(),
        "warnings",
    ),
    Vector(
        Code.MISSING_PERSON_SIGNATURE,
        "PDF: the agency alone has signed",
        _by_agency_alone,
        passed(),
        "warnings",
    ),
    Vector(
        Code.PROOF_INVALID,
        "a proof of another leaf",
        lambda house: _proof(_another_leaf),
        failed(Code.HASH_FAILURE),
    ),
    Vector(
        Code.VISIBLE_TEXT_MISMATCH,
        "edXML: the letter shows another number",
        lambda house: drawn(house, number="121", day=HONEST_DAY),
        passed(),
        "warnings",
        facts=("121", "120"),
    ),
    Vector(
        Code.VISIBLE_TEXT_MISMATCH,
        "edXML: the letter shows another day",
        lambda house: drawn(house, number="120", day=date(2026, 11, 21)),
        passed(),
        "warnings",
        facts=("21 tháng 11", "20/11/2026"),
    ),
)
"""What only the directory, the ledger or the message knows."""
