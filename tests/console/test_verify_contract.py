"""``edoc.verify/1`` to the letter: every kind of file, every nullable, every name (console.md 5, 10.2, 10.3)."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from signer.algorithms import PolicyName
from signer.asic import read_container
from signer.devpki import DevIdentity
from signer.report import SUB_INDICATIONS, Code, Verdict
from signer.trust import Context, Limits, Purpose, TrustStore, anchors_from, load_status
from signer.xml.profiles import sign_declaration
from tests.console.schema import load, problems
from tests.containers import agency_container
from transport.judging.files import Judging
from transport.judging.logkeys import of_statements
from transport.present.text import VIETNAM
from transport.present.verify import Checked, Judgement, document

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "samples"
AT = datetime(2026, 11, 20, 12, 0, tzinfo=VIETNAM)
FAILED = frozenset({"FORMAT_FAILURE", "HASH_FAILURE", "SIG_CRYPTO_FAILURE", "REVOKED", "EXPIRED", "NOT_YET_VALID"})
OWN = ("letter.signed.pdf", "letter.pdf", "appendix.signed.pdf", "letter.edxml", "letter.sealed.edxml", "receipt.xml")


@cache
def trust() -> TrustStore:
    """The trust of the samples."""
    found = anchors_from((SAMPLES / "trust" / "root.crt").read_bytes(), Purpose.SIGNERS, Purpose.TSA)
    for name in ("ca.crl", "root.crl"):
        found = found.merged(load_status((SAMPLES / "trust" / name).read_bytes()))
    return found


@cache
def members() -> Mapping[str, bytes]:
    """What lies in the evidence package of the samples."""
    return dict(read_container((SAMPLES / "evidence.asice").read_bytes()).members)


@cache
def files() -> Mapping[str, bytes]:
    """Files of every kind, good and damaged, by a name."""
    found = {name: (SAMPLES / name).read_bytes() for name in (*OWN, "evidence.asice")}
    found |= {name: data for name, data in members().items() if name.startswith(("ledger/", "receipts/"))}
    found |= {
        f"vector/{path.name}": path.read_bytes() for path in sorted((ROOT / "tests/vectors/edxml").rglob("*.edxml"))
    }
    found |= {f"damaged/{name}": _damaged(data) for name, data in found.items() if len(data) < 400_000}
    return {**found, "empty": b"", "text": b"plain words", "bare.xml": b"<a/>", "cut.xml": b"<a>", "zip": b"PK\x03\x04"}


def _damaged(data: bytes) -> bytes:
    place = len(data) // 5  # before the room of the last signature, whose padding nobody reads
    return data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] if data else data


def context(policy: str = "interop", store: TrustStore | None = None, at: datetime = AT) -> Context:
    """Return how the samples are judged."""
    return Context(trust=trust() if store is None else store, at=at, policy=PolicyName(policy))


def answer(data: bytes, how: Context, *, lang: str = "vi") -> dict[str, Any]:
    """Return the whole document over one file."""
    keys = of_statements([value for name, value in members().items() if "/keys/" in name], context=how)
    report = Judging(how, keys=keys).judge(data)
    store = how.trust
    head = Judgement(how.at, how.at, how.policy.value, "0", len(store.anchors), store.fingerprint())
    return document([Checked("a", report)], head, lang)


def every(entry: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Return a file's entry and those of its parts."""
    yield entry
    for part in entry["parts"]:
        yield from every(part)


@pytest.mark.parametrize("name", sorted(files()))
@pytest.mark.parametrize("policy", ["interop", "strict", "integrity-only"])
def test_every_answer_keeps_the_contract(name: str, policy: str) -> None:
    """Schema, ids, sub-indications, reasons, parts and the verdict's rule, whatever the file holds."""
    said = answer(files()[name], context(policy))
    assert problems(said) == []
    for entry in every(said["files"][0]):
        check_file(entry, policy)


def check_file(entry: dict[str, Any], policy: str) -> None:
    """Assert what console.md 5 says of one file."""
    signatures = entry["signatures"]
    ids = [signature["id"] for signature in signatures]
    assert len(set(ids)) == len(ids)
    assert (entry["reasons"] == []) == (entry["verdict"] == "valid")
    for reason in (*entry["reasons"], *entry["warnings"]):
        Code(reason["code"])
        assert reason["signature"] is None or reason["signature"] in ids or "!/" in reason["signature"]
        assert "{" not in reason["text"]
    for part in entry["parts"]:
        assert part["path"].startswith(f"{entry['path']}!/")
    for signature in signatures:
        check_signature(signature, policy)
    check_verdict(entry, policy)


def check_signature(signature: dict[str, Any], policy: str) -> None:
    """Assert what console.md 5.2 says of one signature."""
    sub, indication = signature["sub_indication"], signature["indication"]
    unjudged = policy == "integrity-only" and signature["integrity"] == "intact"
    assert (sub is None) == (indication == "TOTAL-PASSED" or unjudged)
    assert (indication == "TOTAL-FAILED") == (sub in FAILED)
    assert signature["integrity"] == "broken" or signature["crypto"] != "bad"
    assert (signature["later_changes"] == "suspect") <= (signature["integrity"] == "broken")
    assert sub is None or signature["reasons"][0]["code"] == sub
    if policy == "integrity-only":
        assert indication != "TOTAL-PASSED"
        assert "TRUST_NOT_EVALUATED" in {warning["code"] for warning in signature["warnings"]}
    anchors = [link["anchor"] for link in signature["chain"]]
    assert True not in anchors[:-1]


def check_verdict(entry: dict[str, Any], policy: str) -> None:
    """Assert the last paragraph of console.md 5.3, as far as it follows from the signatures alone."""
    real = [signature for signature in entry["signatures"] if signature["kind"] != "timestamp"]
    if policy == "integrity-only":
        failed = any(signature["integrity"] == "broken" for signature in entry["signatures"])
        passed = bool(real) and all(signature["integrity"] == "intact" for signature in real)
    else:
        failed = any(signature["indication"] == "TOTAL-FAILED" for signature in real)
        passed = bool(real) and all(signature["indication"] == "TOTAL-PASSED" for signature in real)
    if failed:
        assert entry["verdict"] == "invalid"
    if entry["verdict"] == "valid" and entry["kind"] != "edxml":
        assert passed


@pytest.mark.parametrize(
    "name", ["letter.signed.pdf", "letter.sealed.edxml", "receipt.xml", "damaged/letter.signed.pdf"]
)
def test_integrity_depends_on_nothing_but_the_bytes(name: str) -> None:
    """Equal under every policy, with no, right and wrong anchors, and at three times."""
    wrong = anchors_from((SAMPLES / "pki" / "issuing.pem").read_bytes(), Purpose.TSA)
    found = set()
    for policy in ("interop", "strict", "integrity-only"):
        for store in (TrustStore(), trust(), wrong):
            for at in (AT, AT + timedelta(days=40_000), AT - timedelta(days=9000)):
                said = answer(files()[name], context(policy, store, at))["files"][0]
                found.add(tuple((s["id"], s["integrity"], s["crypto"], s["covers"]) for s in said["signatures"]))
    assert len(found) == 1


KINDS = {
    "letter.signed.pdf": ("pdf", "PDF 1.7"),
    "letter.sealed.edxml": ("edxml", "edXML document"),
    "receipts/03-arrived.edxml": ("edxml", "edXML status"),
    "receipt.xml": ("receipt", "receipt"),
    "evidence.asice": ("asic", "ASiC-E XAdES"),
    "ledger/own/01-sent.tlog-proof": ("proof", "tlog-proof"),
    "ledger/2fa9eac7e9a1adc9/checkpoint-7": ("proof", "tlog-checkpoint"),
    "ledger/keys/H99.01-1.xml": ("xml", "ledger key statement"),
    "text": ("unknown", None),
}


@pytest.mark.parametrize("name", sorted(KINDS))
def test_kinds_and_formats_are_told_by_content(name: str) -> None:
    entry = answer(files()[name], context())["files"][0]
    assert (entry["kind"], entry["format"]) == KINDS[name]
    assert entry["verdict"] == ("valid" if entry["kind"] != "unknown" else "indeterminate")


def test_the_schema_names_every_sub_indication_and_no_other() -> None:
    stated = load("edoc.verify/1")["$defs"]["Signature"]["properties"]["sub_indication"]["enum"]
    assert set(stated) == {code.value for code in SUB_INDICATIONS} | {None}


def test_a_message_says_what_it_is_about_and_its_files_are_opened() -> None:
    """Every name of ``document`` is there; each attachment is judged under its path."""
    entry = answer(files()["letter.sealed.edxml"], context())["files"][0]
    assert list(entry["document"]) == ["document_id", "number", "notation", "date", "from", "to", "subject"]
    assert (entry["document"]["number"], entry["document"]["from"]) == ("120", "H99.01")
    assert [part["path"] for part in entry["parts"]] == ["a!/120-SMA-VP.pdf", "a!/phu-luc.pdf"]
    assert [part["verdict"] for part in entry["parts"]] == ["valid", "valid"]


def test_a_broken_appendix_makes_the_message_invalid_and_is_named(agency: DevIdentity) -> None:
    """Worst of seal and signed parts: the reason names the part's signature as JSON names the part."""
    sealed = files()["letter.sealed.edxml"]
    report = Judging(context()).judge(sealed)
    name, part = report.parts[1]
    from transport.judging.combining import combined

    broken = Judging(context()).judge(_damaged(files()["appendix.signed.pdf"]))
    worst = combined(replace(report, reasons=()), (report.parts[0], (name, broken)))
    assert worst.verdict is Verdict.INVALID
    assert part.verdict is Verdict.VALID
    assert any(str(reason.signature).startswith(f"{name}!/") for reason in worst.reasons)


def test_a_proof_without_a_key_at_hand_is_undecided_and_with_a_statement_valid() -> None:
    proof = members()["ledger/own/01-sent.tlog-proof"]
    alone = Judging(context()).judge(proof)
    assert (alone.verdict, alone.signatures[0].sub_indication) == (
        Verdict.INDETERMINATE,
        Code.NO_SIGNING_CERTIFICATE_FOUND,
    )
    keys = of_statements([members()["ledger/keys/H99.01-1.xml"]], context=context())
    judged = Judging(context(), keys=keys).judge(proof)
    assert (judged.verdict, judged.signatures[0].name) == (Verdict.VALID, "Sở Mẫu A")
    later = Judging(context(at=AT + timedelta(days=800)), keys=keys).judge(proof)
    assert later.signatures[0].sub_indication is Code.OUT_OF_BOUNDS_NO_POE
    untrusted = of_statements([members()["ledger/keys/H99.01-1.xml"]], context=context(store=TrustStore()))
    assert untrusted == ()


def test_a_proof_whose_leaf_or_checkpoint_was_changed_is_broken() -> None:
    keys = of_statements([members()["ledger/keys/H99.01-1.xml"]], context=context())
    text = members()["ledger/own/01-sent.tlog-proof"].decode("utf-8")
    extra = text.split("\n")[1]
    changed = text.replace(extra, extra[:20] + ("A" if extra[20] != "A" else "B") + extra[21:])
    report = Judging(context(), keys=keys).judge(changed.encode("utf-8"))
    assert (report.verdict, report.signatures[0].sub_indication) == (Verdict.INVALID, Code.HASH_FAILURE)
    assert Code.PROOF_INVALID in {reason.code for reason in report.reasons}
    head = members()["ledger/2fa9eac7e9a1adc9/checkpoint-7"].decode("utf-8").replace("\n7\n", "\n8\n", 1)
    report = Judging(context(), keys=keys).judge(head.encode("utf-8"))
    assert (report.verdict, report.signatures[0].sub_indication) == (Verdict.INVALID, Code.SIG_CRYPTO_FAILURE)


def test_a_proof_in_an_evidence_copy_is_part_of_the_receipt() -> None:
    from transport.ledger.proof import parse
    from transport.receipts import ProofText, evidence_copy

    keys = of_statements([value for name, value in members().items() if "/keys/" in name], context=context())
    text = members()["ledger/peer/01-relayed.tlog-proof"].decode("utf-8")
    proof = parse(text)
    whole = ProofText(proof.head.origin, proof.index, proof.leaf().hex(), text)
    copy = evidence_copy(files()["receipt.xml"], [whole])
    report = Judging(context(), keys=keys).judge(copy)
    assert (report.kind, report.verdict, len(report.parts)) == ("receipt", Verdict.VALID, 1)
    other = evidence_copy(files()["receipt.xml"], [replace(whole, leaf="00" * 32)])
    assert Judging(context(), keys=keys).judge(other).verdict is Verdict.INVALID


def test_a_receipt_not_in_its_one_form_is_broken_though_its_signature_holds(
    exchange_b: DevIdentity, now: datetime
) -> None:
    body = etree.fromstring(b'<Receipt xmlns="urn:edoc:receipt:1" Version="9"><Odd/></Receipt>')
    data = sign_declaration(body, credential=exchange_b.credential, at=now)
    report = Judging(context()).judge(data)
    assert (report.kind, report.verdict) == ("receipt", Verdict.INVALID)


def test_what_a_container_holds_is_judged_one_level_deep(agency: DevIdentity, now: datetime) -> None:
    """A letter inside that is not valid is a warning; the container is judged by its own signature."""
    data = agency_container(
        [("letter.pdf", _damaged(files()["letter.signed.pdf"]), "application/pdf")],
        credential=agency.credential,
        at=now,
    )
    entry = answer(data, context())["files"][0]
    assert [part["verdict"] for part in entry["parts"]] == ["invalid"]
    assert "PART_NOT_VALID" in {warning["code"] for warning in entry["warnings"]}
    assert entry["verdict"] == "indeterminate"


def test_both_languages_say_the_same_codes() -> None:
    vi = answer(files()["letter.sealed.edxml"], context(store=TrustStore()))["files"][0]
    en = answer(files()["letter.sealed.edxml"], context(store=TrustStore()), lang="en")["files"][0]
    assert [reason["code"] for reason in vi["reasons"]] == [reason["code"] for reason in en["reasons"]]
    assert vi["reasons"][0]["text"] != en["reasons"][0]["text"]


def test_limits_are_named_and_leave_the_file_undecided() -> None:
    small = replace(context(), limits=Limits(pdf_max_bytes=1000, xml_max_bytes=1000))
    for name in ("letter.signed.pdf", "receipt.xml"):
        entry = answer(files()[name], small)["files"][0]
        assert (entry["verdict"], entry["reasons"][0]["code"]) == ("indeterminate", "LIMIT_EXCEEDED")


def test_a_message_checked_in_one_pass_has_the_same_answer_as_one_held_whole() -> None:
    """Seal, document and every attachment: equal but for how the file was read."""
    from transport.judging.streaming import judge_stream

    data = files()["letter.sealed.edxml"]
    whole = Judging(context()).judge(data)
    for size in (1, 4099, 1 << 20):
        pieces = (data[at : at + size] for at in range(0, len(data), size)) if size > 1 else iter([data])
        assert judge_stream(pieces, judging=Judging(context())) == whole
    place = data.index(b">", data.index(b"120-SMA-VP.pdf")) + 5000
    changed = data[:place] + (b"A" if data[place : place + 1] != b"A" else b"B") + data[place + 1 :]
    report = judge_stream(iter([changed]), judging=Judging(context()))
    assert report.verdict is Verdict.INVALID
    assert report.parts == ()
    untrusted = Judging(context(store=TrustStore()))
    assert judge_stream(iter([data]), judging=untrusted).verdict is Verdict.INDETERMINATE
