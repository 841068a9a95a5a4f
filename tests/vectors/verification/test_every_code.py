"""Every closed reason code has a vector: one file that makes it be said, with the whole line of the answer.

signing.md 8 (closed enum, each code with a vector) and 10, A1: no attack on the bytes is intact, none on trust passes,
under any policy, anchors and time. A code nobody gives a vector to fails the last test.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from signer.algorithms import PolicyName
from signer.checks import check_credential
from signer.credential import Role
from signer.errors import LevelNotReached
from signer.pdf import pictures, verify
from signer.pdf.comparing.compare import Later
from signer.pdf.png import Picture, write_png
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.report import FAILED, SUB_INDICATIONS, Code, Integrity, LaterChanges, Report
from signer.trust import Pictures, TrustStore
from signer.xml.extend import extend_xml
from tests.signer_pdf.files import simple
from tests.vectors.verification.byte_vectors import BYTES
from tests.vectors.verification.house import CLERK, DAY, House, Line, Vector, chosen, said
from tests.vectors.verification.meaning_vectors import HONEST_DAY, MEANING, drawn
from tests.vectors.verification.trust_vectors import TRUST
from transport.present.catalogue import reason as sentence

VECTORS = (*BYTES, *TRUST, *MEANING)


@pytest.fixture(scope="module")
def house(now: datetime) -> House:
    """Who signs the vectors, and whom they are judged by."""
    return House.build(now)


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector.id)
def test_a_vector_gives_its_line_and_says_why(vector: Vector, house: House) -> None:
    """The whole line, the code in its place, a sentence in both languages; a sub-indication stands first."""
    report = vector.make(house).report
    one = chosen(report, vector)
    assert Line.of(report, one) == vector.line, (report.reasons, report.warnings)
    assert vector.code in said(report, one, vector.where)
    if vector.line.sub not in ("-", None):
        assert one is not None
        assert one.reasons[0].code == vector.line.sub
    assert facts_are_named(vector, report)


def facts_are_named(vector: Vector, report: Report) -> bool:
    """Say whether each fact of the vector stands in the sentence, in both languages, with nothing left to fill in."""
    listed = [*getattr(report, vector.where), *(r for s in report.signatures for r in getattr(s, vector.where))]
    found = [reason for reason in listed if reason.code is vector.code]
    for lang in ("vi", "en"):
        text = " ".join(sentence(one.code.value, one.facts, lang) for one in found)
        assert text
        assert "{" not in text
        assert all(fact in text for fact in vector.facts), text
    return True


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.line.integrity != "-"], ids=lambda vector: vector.id)
def test_what_is_said_of_the_bytes_depends_on_nothing_else(vector: Vector, house: House) -> None:
    """Integrity, mathematics, coverage and later changes are the same without trust, at any time, by any policy."""
    case = vector.make(house)
    lines = set()
    for policy in PolicyName:
        for trust in (TrustStore(), case.judging.context.trust):
            for days in (0, -9000, 20_000):
                at = case.judging.context.at + timedelta(days=days)
                context = replace(case.judging.context, policy=policy, trust=trust, at=at, expectation=None)
                report = replace(case.judging, context=context, directory=None, keys=case.judging.keys).judge(case.data)
                one = chosen(report, vector)
                assert one is not None
                lines.add((one.integrity, one.covers, one.later_changes))
                if vector.line.integrity == "broken":
                    assert report.verdict == "invalid", (policy, report.reasons)
    assert len(lines) == 1


@pytest.mark.parametrize("vector", [v for v in VECTORS if v.where == "reasons"], ids=lambda vector: vector.id)
def test_what_speaks_against_a_file_never_leaves_it_valid(vector: Vector, house: House) -> None:
    """A reason is given only where the verdict is not valid; a broken file is invalid, never merely undecided."""
    report = vector.make(house).report
    assert report.verdict != "valid"
    broken = any(one.integrity is Integrity.BROKEN for one in report.signatures)
    assert not broken or report.verdict == "invalid"


def test_a_letter_that_shows_what_its_message_states_is_not_remarked_on(house: House) -> None:
    """The neighbour of VISIBLE_TEXT_MISMATCH."""
    assert Code.VISIBLE_TEXT_MISMATCH not in {
        w.code for w in drawn(house, number="120", day=HONEST_DAY).report.warnings
    }


# --- codes that no report of a file carries by itself ----------------------------------------------------------------


def _expiring(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """At signing: a certificate that ends within sixty days (R108)."""
    who = house.pki.issue(Role.PERSON, CLERK, at=house.now - 380 * DAY)
    late = who.credential.x509.not_valid_after_utc - 59 * DAY
    warnings = check_credential(who.credential, context=house.context(at=late), profile="interop")
    early = check_credential(who.credential, context=house.context(at=late - 2 * DAY), profile="interop")
    assert Code.CERTIFICATE_EXPIRING not in {one.code for one in early}
    return next(one.code for one in warnings if one.code is Code.CERTIFICATE_EXPIRING)


def _not_reached(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """At extending: a level asked for and not reachable is refused, never lowered in silence."""
    data = house.xml(house.clerk, stamped=house.now, pki=house.listed)
    bare = house.listed.anchors.merged(TrustStore(intermediates=(house.listed.issuing.certificate,)))
    with pytest.raises(LevelNotReached) as refused:
        extend_xml(data, to="lt", context=house.trusting(bare), timestamper=house.stamps(pki=house.listed))
    return Code(str(refused.value.facts["reason"]))


def _different_to_look_at(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """Pages compared as pictures, where the comparison of revisions has overlooked a change, as a fault in it would."""
    if not pictures.is_possible():
        pytest.skip("the extra preview (pypdfium2) is not installed")

    def see_nothing(_revisions: object, signed: tuple[object, ...], **_: object) -> tuple[Later, ...]:
        return tuple(Later(later_changes=LaterChanges.ALLOWED) for _one in signed)

    monkeypatch.setattr(verify, "compare", see_nothing)
    data = house.letter.changed(6, b"(Trang hai)", b"(Trang 222)").data
    report = verify.inspect_pdf(data, context=replace(house.context(), pictures=Pictures()))
    (one,) = report.signatures
    line = Line("indeterminate", "intact", "ok", "revision", "allowed", "INDETERMINATE", Code.SIG_CONSTRAINTS_FAILURE)
    assert Line.of(report, one) == line
    return one.reasons[1].code


def _remarked(house: House, code: Code, picture: Picture, *, data: bytes, harmless: Picture) -> Code:
    """At signing: what is noticed about a picture, and its neighbour that nothing is said of."""
    codes = []
    for one in (harmless, picture):
        visible = Visible("seal", box_mm=(20.0, 200.0, 36.0, 36.0), image=write_png(one))
        signed = sign_pdf(
            data if one is picture else simple(),
            credential=house.agency.credential,
            options=PdfOptions(at=house.now, level="b", visible=visible),
            precondition=lambda report: None,
            context=house.context(),
        )
        codes.append({warning.code for warning in signed.warnings})
        for warning in signed.warnings:
            assert all("{" not in sentence(warning.code.value, warning.facts, lang) for lang in ("vi", "en"))
    assert codes[0] == set()
    return next(found for found in codes[1] if found is code)


def _square(side: int, *, transparent: bool = True) -> Picture:
    return Picture(side, side, True, bytes(side * side), bytes(side * side) if transparent else None)


def _too_coarse(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """R40: a seal of 36 mm has 425 pixels at 300 dots per inch."""
    return _remarked(house, Code.PICTURE_RESOLUTION, _square(420), data=simple(), harmless=_square(425))


def _not_transparent(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """R40: a seal hides nothing of what it is put over."""
    opaque = _square(425, transparent=False)
    return _remarked(house, Code.PICTURE_OPAQUE, opaque, data=simple(), harmless=_square(425))


def _beside_the_name(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """R40: where a third of the signature and a free name cannot both be, the seal stands a little higher."""
    drawing, box = write_png(_square(425)), (125.0, 200.0, 50.0, 25.0)
    leader = sign_pdf(
        simple(),
        credential=house.clerk.credential,
        options=PdfOptions(at=house.now, level="b", visible=Visible("signature", box_mm=box, image=drawing)),
    )
    found = []
    for name in ((1, (137.0, 227.0, 30.0, 4.0)), (1, (132.0, 227.0, 40.0, 4.0))):
        signed = sign_pdf(
            leader.data,
            credential=house.agency.credential,
            options=PdfOptions(at=house.now, level="b", visible=Visible("seal", image=drawing, keep_out=(name,))),
            precondition=lambda report: None,
            context=house.context(),
        )
        found.append([warning.code for warning in signed.warnings])
    assert found[0] == []
    return found[1][0]


def _not_archival(house: House, monkeypatch: pytest.MonkeyPatch) -> Code:
    """Transparency in a file that says it is PDF/A-1."""
    packet = b"<rdf:Description xmlns:pdfaid='http://www.aiim.org/pdfa/ns/id/'><pdfaid:part>1</pdfaid:part>"
    metadata = b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%s\nendstream" % (len(packet), packet)
    data = simple(catalog=b"/Metadata 5 0 R", more=[metadata])
    return _remarked(house, Code.PDFA_LEVEL, _square(425), data=data, harmless=_square(425))


ELSEWHERE: dict[Code, Callable[[House, pytest.MonkeyPatch], Code]] = {
    Code.CERTIFICATE_EXPIRING: _expiring,
    Code.LEVEL_NOT_REACHED: _not_reached,
    Code.VISUAL_DIFFERENCE: _different_to_look_at,
    Code.PICTURE_RESOLUTION: _too_coarse,
    Code.PICTURE_OPAQUE: _not_transparent,
    Code.SEAL_RAISED: _beside_the_name,
    Code.PDFA_LEVEL: _not_archival,
}


@pytest.mark.parametrize("code", ELSEWHERE)
def test_a_code_of_another_act_than_judging_a_file_is_said_by_it(
    code: Code, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert ELSEWHERE[code](house, monkeypatch) is code


# --- the list is whole -----------------------------------------------------------------------------------------------


def test_every_code_has_a_vector() -> None:
    """Sub-indications, reasons and warnings: a code that is added needs a file that makes it be said."""
    shown = {vector.code for vector in VECTORS} | set(ELSEWHERE)
    assert set(Code) - shown == set()


@pytest.mark.parametrize("code", SUB_INDICATIONS)
def test_every_sub_indication_is_reported_as_such(code: Code) -> None:
    """Each stands in a line as the sub-indication itself, with the indication that belongs to it; NO_POE joins one."""
    lines = [vector.line for vector in VECTORS if vector.line.sub == code or vector.code is code]
    assert lines
    if code is not Code.NO_POE:
        assert code in {line.sub for line in lines}
    wanted = "TOTAL-FAILED" if code in FAILED else "INDETERMINATE"
    assert {line.indication for line in lines if line.sub == code} <= {wanted}


def test_names_of_vectors_are_unique() -> None:
    assert len({vector.id for vector in VECTORS}) == len(VECTORS)
