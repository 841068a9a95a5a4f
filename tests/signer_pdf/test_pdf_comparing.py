"""Later signatures, permissions, time stamps, structure, budgets: what the comparison of revisions allows (4.3)."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from signer.algorithms import Scheme
from signer.devpki import DevIdentity
from signer.pdf.comparing.compare import Later, compare
from signer.pdf.reading import PdfFile, mentions
from signer.report import Code, Integrity, LaterChanges
from signer.trust import Limits
from tests.signer_pdf.attackforge import (
    CATALOG,
    CHOICE,
    FIRST,
    FORM,
    NAME,
    NOTE,
    NUMBER,
    OBJECTS,
    PLACE,
    SECOND,
    TICK,
    TREE,
    WIDGET,
    Forge,
    Ink,
    Paper,
    form,
    later,
    signatures_of,
    stream,
    with_annotation,
    with_entries,
    with_field,
)

SEEN = Ink(b"300 200 400 250", b"BT /F1 9 Tf (Da ky) Tj ET")
INTACT, BROKEN, UNKNOWN = Integrity.INTACT, Integrity.BROKEN, Integrity.UNKNOWN


@pytest.fixture(scope="module")
def forge(person: DevIdentity) -> Forge:
    """A forge with a person's key."""
    return Forge(person.credential, Scheme.ECDSA_SHA256)


@pytest.fixture(params=["walked", "looked up"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let what leads to a changed object be found by walking all objects, or from the bytes as in large files."""
    if request.param == "looked up":
        monkeypatch.setattr(mentions, "ROWS_MIN", 0)
    return str(request.param)


@pytest.fixture(scope="module")
def letter(forge: Forge) -> Paper:
    """The document, signed by the leader."""
    return forge.sign(Paper.new(), b"Lanh dao")


@pytest.fixture(scope="module")
def seen(forge: Forge) -> Paper:
    """The document, signed by the leader with a picture."""
    return forge.sign(Paper.new(), b"Lanh dao", SEEN)


def kinds(result: Later) -> list[tuple[str, bool]]:
    """Return the changes found, in order."""
    return [(change.kind, change.allowed) for change in result.changes]


def codes(result: Later) -> set[Code]:
    """Return the codes of the reasons."""
    return {reason.code for reason in result.reasons}


def docmdp(level: int | None) -> bytes:
    """Return the entries of a signature dictionary that certifies."""
    written = b"" if level is None else b"/P %d " % level
    return b"/Reference [<< /Type /SigRef /TransformMethod /DocMDP /TransformParams << %s/V /1.2 >> >>]" % written


def certified(forge: Forge, level: int | None, paper: Paper | None = None) -> Paper:
    """Return the document, certified by the leader."""

    def more(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        return {CATALOG: with_entries(objects[CATALOG], b"/Perms << /DocMDP %d 0 R >>" % value)}

    return forge.sign(paper or Paper.new(), b"Lanh dao", Ink(value=docmdp(level)), more=more)


def fill(paper: Paper, number: int, old: bytes, new: bytes) -> Paper:
    """Return the file with a field filled or altered."""
    return paper.update({number: paper.objects[number].replace(old, new)})


def number_filled(paper: Paper) -> Paper:
    """Return the file with the blank field ``So`` filled."""
    return paper.added(NUMBER, b"/V (120)")


def name_changed(paper: Paper) -> Paper:
    """Return the file with the value of the field ``Ten`` exchanged."""
    return fill(paper, NAME, b"/V (An)", b"/V (Binh)")


def noted(paper: Paper, body: bytes = b"<< /Type /Annot /Subtype /Text /Rect [9 9 29 29] /Contents (x) >>") -> Paper:
    """Return the file with a note more."""
    return paper.update({paper.size: body, FIRST: with_annotation(paper.objects[FIRST], paper.size)})


# later signatures


def test_nine_honest_signatures_are_a_normal_letter(forge: Forge) -> None:
    """Each of nine signatures with stamps leaves all earlier ones intact, and says what came after it."""
    paper = Paper.new()
    for index in range(9):
        ink = replace(SEEN, rect=b"300 %d 400 %d" % (index * 60, index * 60 + 50))
        paper = forge.sign(paper, b"Ky %d" % index, ink)
    results = later(paper)
    assert [one.integrity for one in results] == [INTACT] * 9
    assert [len(one.changes) for one in results] == list(range(8, -1, -1))
    assert {kind for one in results for kind in kinds(one)} == {("signature", True)}
    assert results[0].changes[2].facts == {"change": "signature", "after": "3", "field": "Ky 3", "page": "1"}


def test_a_premade_place_may_be_signed(forge: Forge, letter: Paper) -> None:
    """A signature field that was there, empty, is signed later, with a picture."""
    result = later(forge.sign(letter, b"", replace(SEEN, rect=b""), number=PLACE))[0]
    assert kinds(result) == [("signature", True)]
    assert result.integrity is INTACT


@pytest.mark.parametrize(
    ("rect", "allowed"),
    [(b"0 0 595 200", True), (b"0 0 595 220", False), (b"-300 0 595 220", False), (b"500 0 900 800", True)],
)
def test_a_later_signature_takes_a_quarter_of_its_page_at_most(
    rect: bytes, allowed: bool, forge: Forge, letter: Paper
) -> None:
    """A larger widget could paint the letter over; only what lies on the page counts."""
    result = later(forge.sign(letter, b"Van thu", replace(SEEN, rect=rect)))[0]
    assert kinds(result) == [("signature", True) if allowed else ("overlay", False)]
    assert result.integrity is (INTACT if allowed else BROKEN)


@pytest.mark.parametrize("entries", [b"/BS << /W 300 >>", b"/Border [0 0 300]", b"/F 148"])
def test_a_later_signature_stays_within_its_rectangle(entries: bytes, forge: Forge, letter: Paper) -> None:
    """Thick borders, and widgets that keep their size when the page is made smaller, cover what is beside them."""
    ink = replace(SEEN, entries=b" " + entries)
    result = later(forge.sign(letter, b"Van thu", ink))[0]
    assert kinds(result) == [("overlay", False)]


def test_an_appearance_without_a_box_is_not_clipped(forge: Forge, letter: Paper) -> None:
    """What no box bounds may be painted anywhere."""
    loose = stream(b"BT (x) Tj ET", b"/Type /XObject /Subtype /Form")
    ink = replace(SEEN, paint=b"", entries=b" /AP << /N 90 0 R >>")
    result = later(forge.sign(letter, b"Van thu", ink, more=lambda objects, value: {90: loose}))[0]
    assert kinds(result) == [("overlay", False)]


@pytest.mark.parametrize(("ink", "expected"), [(SEEN, ("overlay", False)), (Ink(), ("signature", True))])
def test_a_later_broken_signature_harms_the_earlier_if_it_paints(
    ink: Ink, expected: tuple[str, bool], forge: Forge, letter: Paper
) -> None:
    """What a broken signature paints, nobody answers for (4.4)."""
    first, second = later(forge.sign(letter, b"Van thu", ink), broken={"Van thu"})
    assert kinds(first) == [expected]
    assert second.changes == ()


def test_number_date_and_signature_come_in_one_step(forge: Forge, letter: Paper) -> None:
    """Pre-made fields are filled in the update of a signature (R35)."""

    def more(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        shown = form(b"/Tx BMC BT /Helv 10 Tf (120) Tj ET EMC")
        return {NUMBER: with_entries(objects[NUMBER], b"/V (120) /AP << /N 90 0 R >>"), 90: shown}

    first, second = later(forge.sign(letter, b"Van thu", SEEN, more=more))
    assert sorted(kinds(first)) == [("form-fill", True), ("signature", True)]
    assert second.integrity is INTACT


def test_what_a_later_signature_painted_stays(forge: Forge, letter: Paper) -> None:
    """An overlay exchanged after signing is a forgery for every signature before."""
    second = forge.sign(letter, b"Van thu", SEEN)
    drawn = max(number for number, body in second.objects.items() if b"(Da ky)" in body)
    results = later(second.update({drawn: form(b"BT /F1 9 Tf (khac) Tj ET")}))
    assert [one.integrity for one in results] == [BROKEN, BROKEN]
    assert ("signature-altered", False) in kinds(results[0])


def test_a_page_may_be_changed_before_the_first_signature_only(forge: Forge) -> None:
    """Steps before a signature are none of its business; those after it are those of all earlier ones."""
    first = forge.sign(Paper.new(), b"Mot")
    second = forge.sign(first.added(FIRST, b"/Rotate 90"), b"Hai")
    assert [one.integrity for one in later(second)] == [BROKEN, INTACT]


# time stamps and validation data


def test_a_time_stamp_and_validation_data_may_always_come(forge: Forge) -> None:
    """P=1 forbids everything but what keeps a signature verifiable."""
    paper = certified(forge, 1).added(CATALOG, b"/DSS << /Certs [90 0 R] >>", {90: stream(b"certificate")})
    stamped = forge.sign(paper, b"Dau", Ink(sub_filter=b"ETSI.RFC3161"))
    result = later(stamped, stamps={"Dau"})[0]
    assert kinds(result) == [("validation-data", True), ("timestamp", True)]
    assert result.integrity is INTACT


def test_a_time_stamp_that_is_seen_is_a_signature(forge: Forge) -> None:
    """Only an invisible one is allowed under P=1."""
    stamped = forge.sign(certified(forge, 1), b"Dau", SEEN)
    result = later(stamped, stamps={"Dau"})[0]
    assert kinds(result) == [("signature", False)]
    assert Code.PERMISSION_VIOLATED in codes(result)


def test_lost_validation_data_is_a_warning(letter: Paper) -> None:
    """A program that writes ``/DSS`` anew and leaves something out harms no signature, but is told."""
    once = letter.added(CATALOG, b"/DSS << /Certs [90 0 R] >>", {90: stream(b"one")})
    twice = once.update({CATALOG: once.objects[CATALOG].replace(b"[90 0 R]", b"[91 0 R]"), 91: stream(b"two")})
    result = later(twice)[0]
    assert result.integrity is INTACT
    assert [warning.code for warning in result.warnings] == [Code.VALIDATION_DATA_LOST]
    kept = once.update({CATALOG: once.objects[CATALOG].replace(b"[90 0 R]", b"[91 0 R 90 0 R]"), 91: stream(b"two")})
    assert later(kept)[0].warnings == ()


# permissions


@pytest.mark.parametrize(
    ("level", "changed", "filled", "note", "signed"),
    [
        (1, False, False, False, False),
        (2, True, True, False, True),
        (None, True, True, False, True),
        (3, True, True, True, True),
    ],
)
def test_a_certification_decides(
    level: int | None, changed: bool, filled: bool, note: bool, signed: bool, forge: Forge
) -> None:
    """DocMDP: nothing, forms and signatures (also where nothing is written), comments too."""
    paper = certified(forge, level)
    for act, kind, allowed in (
        (name_changed, "form-change", changed),
        (number_filled, "form-fill", filled),
        (noted, "annotation", note),
        (lambda one: forge.sign(one, b"Van thu", SEEN), "signature", signed),
    ):
        result = later(act(paper))[0]
        assert kinds(result) == [(kind, allowed)]
        assert (result.integrity is INTACT) is allowed


def test_without_a_certification_nothing_that_is_filled_changes(letter: Paper) -> None:
    """The same changes without a written permission."""
    assert kinds(later(name_changed(letter))[0]) == [("form-change", False)]
    assert kinds(later(noted(letter))[0]) == [("annotation", False)]


def test_the_reason_says_whether_a_permission_was_violated(forge: Forge) -> None:
    """What would be allowed without the certification is a violation, what never is, a suspect change."""
    paper = certified(forge, 1)
    assert codes(later(number_filled(paper))[0]) == {Code.FORMAT_FAILURE, Code.PERMISSION_VIOLATED}
    assert codes(later(paper.added(FIRST, b"/Rotate 90"))[0]) == {Code.FORMAT_FAILURE, Code.LATER_CHANGE_SUSPECT}


def test_a_later_signer_cannot_permit_more(forge: Forge, letter: Paper) -> None:
    """Only the first signature, named by ``/Perms``, gives leave; a stranger's P=3 gives none."""
    stranger = forge.sign(letter, b"La", Ink(value=docmdp(3)))
    assert later(noted(stranger))[0].integrity is BROKEN
    unnamed = forge.sign(Paper.new(), b"Lanh dao", Ink(value=docmdp(3)))
    assert later(noted(unnamed))[0].integrity is BROKEN


def test_two_certifications_are_broken(forge: Forge) -> None:
    """``/Perms`` names the first signature for good."""
    paper = certified(forge, 2)

    def more(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        body = objects[CATALOG]
        start = body.index(b"/DocMDP ") + 8
        return {CATALOG: body[:start] + b"%d 0 R" % value + body[body.index(b" 0 R", start) + 4 :]}

    result = later(forge.sign(paper, b"Hai", Ink(value=docmdp(2)), more=more))[0]
    assert ("signature-altered", False) in kinds(result)


@pytest.mark.parametrize(
    ("lock", "allowed"),
    [
        (b"/Action /All", False),
        (b"/Action /Include /Fields [(So)]", False),
        (b"/Action /Include /Fields [(Ten)]", True),
        (b"/Action /Exclude /Fields [(So)]", True),
        (b"/Action /Exclude /Fields [(Ten)]", False),
        (b"/Action /Strange", False),
        (b"/Action /Include /Fields [(Ten)] /P 1", False),
        (b"/Action /Include /Fields [(Ten)] /P 2", True),
    ],
)
@pytest.mark.parametrize("where", ["lock", "reference"])
def test_a_lock_holds_from_the_signature_on(lock: bytes, allowed: bool, where: str, forge: Forge) -> None:
    """``/Lock`` of the field, and FieldMDP of the dictionary: locked fields are not filled any more."""
    reference = b"/Reference [<< /TransformMethod /FieldMDP /TransformParams << %s >> >>]" % lock
    ink = Ink(entries=b" /Lock << %s >>" % lock) if where == "lock" else Ink(value=reference)
    paper = forge.sign(Paper.new(), b"Lanh dao", ink)
    result = later(number_filled(paper))[0]
    assert kinds(result) == [("form-fill", allowed)]
    assert (Code.PERMISSION_VIOLATED in codes(result)) is not allowed
    early = forge.sign(number_filled(forge.sign(Paper.new(), b"Truoc")), b"Lanh dao", ink)
    assert later(early)[0].integrity is INTACT, "filled before the lock"


def test_a_lock_of_a_later_signer_counts_for_all(forge: Forge, letter: Paper) -> None:
    """The tightest in force when the change was made decides."""
    locked = forge.sign(letter, b"Van thu", Ink(entries=b" /Lock << /Action /All >>"))
    assert [one.integrity for one in later(number_filled(locked))] == [BROKEN, BROKEN]


def test_fields_a_signature_locks_may_be_made_read_only_with_it(forge: Forge) -> None:
    """Programs set the flag on what the lock names; without a signature it is a change of the form."""
    first = forge.sign(Paper.new(), b"Truoc")
    ink = Ink(entries=b" /Lock << /Action /All >>")
    locked = forge.sign(
        first, b"Lanh dao", ink, more=lambda objects, value: {NAME: with_entries(objects[NAME], b"/Ff 1")}
    )
    assert kinds(later(locked)[0]) == [("signature", True)]
    assert kinds(later(first.added(NAME, b"/Ff 1"))[0]) == [("form-structure", False)]


# comments under P=3


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"/Subtype /Text /Rect [9 9 29 29] /Contents (x)", ("annotation", True)),
        (b"/Subtype /Popup /Rect [9 9 29 29]", ("annotation", True)),
        (
            b"/Subtype /Highlight /Rect [60 690 160 710] /QuadPoints [60 710 160 710 60 690 160 690]",
            ("annotation", True),
        ),
        (b"/Subtype /Ink /Rect [60 690 160 710] /InkList [[60 690 160 710]]", ("annotation", True)),
        (b"/Subtype /FreeText /Rect [60 690 160 710] /Contents (9.000.000)", ("annotation", False)),
        (b"/Subtype /Stamp /Rect [60 690 160 710]", ("annotation", False)),
        (b"/Subtype /Redact /Rect [60 690 160 710]", ("annotation", False)),
        (b"/Subtype /Watermark /Rect [60 690 160 710]", ("annotation", False)),
        (b"/Subtype /Highlight /Rect [60 690 160 710] /AP << /N 91 0 R >>", ("annotation", False)),
        (b"/Subtype /Ink /Rect [60 690 160 710] /AP << /N 92 0 R >>", ("annotation", False)),
        (b"/Subtype /Highlight /Rect [60 690 160 710] /AP << /N 93 0 R >>", ("annotation", True)),
        (b"/Subtype /Text /Rect [9 9 29 29] /A << /S /URI /URI (x) >>", ("action", False)),
        (b"/Subtype /Link /Rect [9 9 29 29] /Dest [3 0 R /Fit]", ("action", False)),
        (b"/Subtype /FileAttachment /Rect [9 9 29 29]", ("attachment", False)),
        (b"/Subtype /Text /Rect [9 9 29 29] /OC 27 0 R", ("layer", False)),
    ],
)
def test_comments_stay_comments_even_where_they_are_permitted(
    body: bytes, expected: tuple[str, bool], forge: Forge
) -> None:
    """What shows text, covers text, acts or carries files passes for content: not allowed by P=3 either."""
    paper = certified(forge, 3)
    more = {
        91: form(b"BT /F1 9 Tf (9.000.000) Tj ET"),
        92: form(b"1 g 0 0 100 20 re f"),
        93: form(b"/G0 gs 1 1 0 rg 0 0 100 20 re f", b"/Resources << /ExtGState << /G0 << /BM /Multiply >> >> >>"),
    }
    number = paper.size
    page = with_annotation(paper.objects[FIRST], number)
    result = later(paper.update({number: b"<< /Type /Annot %s >>" % body, FIRST: page, **more}))[0]
    assert kinds(result) == [expected]


def test_a_comment_may_be_changed_and_removed_under_p3(forge: Forge) -> None:
    """And nowhere else."""
    paper = certified(forge, 3)
    assert kinds(later(fill(paper, NOTE, b"(ghi chu)", b"(khac)"))[0]) == [("annotation", True)]
    gone = paper.update({FIRST: paper.objects[FIRST].replace(b" 17 0 R", b"")})
    assert kinds(later(gone)[0]) == [("annotation", True)]


# forms


def blank_document(paint: bytes | None, entries: bytes = b"", value: bytes = b"") -> Paper:
    """Return the document with the field ``So`` as asked for."""
    body = b"<< %s /FT /Tx /T (So) /Rect [100 500 200 520] %s %s %s >>" % (
        WIDGET,
        value,
        entries,
        b"" if paint is None else b"/AP << /N 38 0 R >>",
    )
    return Paper.new({**OBJECTS, NUMBER: body, 38: form(paint or b"")})


@pytest.mark.parametrize(
    ("paint", "blank"),
    [
        (None, True),
        (b"/Tx BMC EMC", True),
        (b"/Tx BMC q BT /Helv 9 Tf () Tj ET Q EMC", True),
        (b"0.9 g 0 0 9 9 re f 0 G 0 0 9 9 re S", True),
        (b"0 1 m 9 1 l S", True),
        (b"BT /F 9 Tf(12)Tj ET", False),
        (b"BT /F 9 Tf[(12)]TJ ET", False),
        (b"BT /F 9 Tf <3132> Tj ET", False),
        (b"0 0 m 3 3 l 4 9 l S", False),
        (b"0 0 m 3 3 l S", False),
        (b"0 0 m 1 1 2 2 3 3 c f", False),
        (b"/Pattern cs /P1 scn 0 0 9 9 re f", False),
        (b"/Im Do", False),
        (b"BI /W 1 /H 1 /BPC 8 /CS /G ID x EI", False),
    ],
)
def test_blank_is_what_shows_a_frame_at_most(paint: bytes | None, blank: bool, forge: Forge) -> None:
    """A field without a value but with text, picture or path on it is not blank; a border or background is."""
    signed = forge.sign(blank_document(paint), b"Lanh dao")
    body = signed.objects[NUMBER].replace(b"/AP << /N 38 0 R >>", b"")
    shown = form(b"BT /Helv 9 Tf (99) Tj ET")
    result = later(signed.update({NUMBER: with_entries(body, b"/V (99) /AP << /N 90 0 R >>"), 90: shown}))[0]
    assert kinds(result) == [("form-fill", True) if blank else ("form-change", False)]


def test_a_filled_field_larger_than_a_quarter_of_the_page_is_an_overlay(forge: Forge) -> None:
    """A blank field prepared over the whole page must not become a second letter."""
    paper = Paper.new({**OBJECTS, NUMBER: OBJECTS[NUMBER].replace(b"[100 500 200 520]", b"[5 10 590 820]")})
    assert kinds(later(number_filled(forge.sign(paper, b"Lanh dao")))[0]) == [("overlay", False)]


def test_a_prepared_place_over_the_whole_page_is_an_overlay(forge: Forge) -> None:
    """So must a place for a signature."""
    paper = Paper.new({**OBJECTS, PLACE: OBJECTS[PLACE].replace(b"[300 100 400 150]", b"[5 10 590 820]")})
    signed = forge.sign(forge.sign(paper, b"Lanh dao"), b"", replace(SEEN, rect=b""), number=PLACE)
    assert kinds(later(signed)[0]) == [("overlay", False)]


def test_each_signer_is_asked_what_was_blank_when_he_signed(forge: Forge, letter: Paper) -> None:
    """Filled before the second signature, altered after it: a filling for the first, a forgery for the second."""
    second = forge.sign(number_filled(letter), b"Van thu")
    altered = fill(second, NUMBER, b"(120)", b"(999)")
    first, other = later(altered)
    assert ("form-fill", True) in kinds(first)
    assert kinds(other) == [("form-change", False)]
    assert [first.integrity, other.integrity] == [INTACT, BROKEN]


@pytest.mark.parametrize(
    ("old", "new", "allowed"),
    [
        (b"/V /Off /AS /Off", b"/V /Yes /AS /Yes", True),
        (b"/V /Off /AS /Off", b"/V /Yes /AS /Maybe", False),
        (b"/V /Off /AS /Off", b"/V /Maybe /AS /Off", False),
        (b"/Yes 25 0 R", b"/Yes 22 0 R", False),
    ],
)
def test_a_button_moves_among_the_states_it_had(old: bytes, new: bytes, allowed: bool, letter: Paper) -> None:
    """New states and new appearances are changes of the form."""
    assert kinds(later(fill(letter, TICK, old, new))[0]) == [("form-fill", True) if allowed else ("form-change", False)]


@pytest.mark.parametrize(("value", "shown", "allowed"), [(b"B", b"B", True), (b"B", b"C", False), (b"C", b"C", False)])
def test_a_choice_moves_among_its_options_and_shows_them(
    value: bytes, shown: bytes, allowed: bool, forge: Forge
) -> None:
    """A choice that was made may be made anew among what it offers, and must show what it is."""
    body = with_entries(OBJECTS[CHOICE], b"/V (A) /AP << /N 38 0 R >>")
    signed = forge.sign(Paper.new({**OBJECTS, CHOICE: body, 38: form(b"BT (A) Tj ET")}), b"Lanh dao")
    moved = body.replace(b"/V (A) /AP << /N 38 0 R >>", b"/V (%s) /AP << /N 90 0 R >>" % value)
    result = later(signed.update({CHOICE: moved, 90: form(b"BT (%s) Tj ET" % shown)}))[0]
    assert kinds(result) == [("form-fill", True) if allowed else ("form-change", False)]


def test_fields_below_another_are_told_by_their_full_name(forge: Forge) -> None:
    """Names, kinds and values are inherited; a field is the same wherever its dictionary stands."""
    objects = {
        **OBJECTS,
        FORM: b"<< /Fields [40 0 R] /DA (/Helv 9 Tf) >>",
        40: b"<< /T (A) /FT /Tx /Kids [41 0 R 42 0 R] >>",
        41: b"<< %s /T (B) /Parent 40 0 R /Rect [0 0 9 9] >>" % WIDGET,
        42: b"<< /T (C) /Parent 40 0 R /Kids [43 0 R 44 0 R] >>",
        43: b"<< %s /Parent 42 0 R /Rect [0 20 9 29] >>" % WIDGET,
        44: b"<< %s /Parent 42 0 R /Rect [0 40 9 49] >>" % WIDGET,
        FIRST: OBJECTS[FIRST].replace(b"[11 0 R 12 0 R 13 0 R 14 0 R 15 0 R", b"[41 0 R 43 0 R 44 0 R"),
    }
    signed = forge.sign(Paper.new(objects), b"Lanh dao")
    result = later(signed.added(42, b"/V (x)"))[0]
    assert [(change.kind, change.facts["field"]) for change in result.changes] == [("form-fill", "A.C")]
    moved = signed.update({42: signed.objects[42].replace(b"44 0 R", b"60 0 R"), 60: signed.objects[44],
                           FIRST: signed.objects[FIRST].replace(b"44 0 R", b"60 0 R")}, free=[44])  # fmt: skip
    assert kinds(later(moved)[0]) == [("rewrite", True)]
    assert kinds(later(signed.added(40, b"/V (x)"))[0]) == [("form-fill", True)] * 2


@pytest.mark.parametrize("old", [b"true", b"false"])
def test_drawing_fields_anew_is_judged_by_what_is_visible(old: bytes, forge: Forge) -> None:
    """A form may stop asking to be drawn anew if its appearances show the values; it starts with a filling only."""
    asking = {**OBJECTS, FORM: with_entries(OBJECTS[FORM], b"/NeedAppearances %s" % old)}
    signed = forge.sign(Paper.new(asking), b"Lanh dao")
    new = b"false" if old == b"true" else b"true"
    result = later(fill(signed, FORM, b"/NeedAppearances %s" % old, b"/NeedAppearances %s" % new))[0]
    assert result.integrity is (INTACT if old == b"true" else BROKEN)
    wrong = forge.sign(Paper.new({**asking, NAME: asking[NAME].replace(b"(An)", b"(Binh)")}), b"Lanh dao")
    assert later(fill(wrong, FORM, b"/NeedAppearances %s" % old, b"/NeedAppearances %s" % new))[0].integrity is BROKEN


def test_a_field_may_ask_to_be_drawn_if_nothing_else_is_filled(forge: Forge) -> None:
    """Small programs fill a field and leave the drawing to the reader."""
    empty = {number: body for number, body in OBJECTS.items() if number != NAME}
    empty[FORM] = empty[FORM].replace(b" 12 0 R", b"")
    empty[FIRST] = empty[FIRST].replace(b" 12 0 R", b"")
    signed = forge.sign(Paper.new(empty), b"Lanh dao")
    asked = signed.update(
        {
            NUMBER: with_entries(signed.objects[NUMBER], b"/V (120)"),
            FORM: with_entries(signed.objects[FORM], b"/NeedAppearances true"),
        }
    )
    assert kinds(later(asked)[0]) == [("form-fill", True)]


HELVETICA = b"/Resources << /Font << /Helv << /Type /Font /Subtype /Type1 /BaseFont /Helvetica >> >> >>"
CURVED = b"/Resources << /Font << /Helv << /Type /Font /Subtype /Type3 >> >> >>"


@pytest.mark.parametrize(
    ("paint", "resources", "kept"),
    [
        (b"/Tx BMC BT /Helv 10 Tf 2 5 Td (An) Tj ET EMC", HELVETICA, True),
        (b"/Tx BMC BT /Helv 10 Tf 2 5 Td (Binh) Tj ET EMC", HELVETICA, False),
        (b"/Tx BMC BT 3 Tr /Helv 10 Tf 2 5 Td (An) Tj ET EMC", HELVETICA, False),
        (b"1 g 0 0 m 99 9 l S BT /Helv 10 Tf 2 5 Td (An) Tj ET", HELVETICA, False),
        (b"BT /Helv 10 Tf 2 5 Td (An) Tj ET", CURVED, False),
    ],
)
def test_a_value_without_an_appearance_may_be_drawn(paint: bytes, resources: bytes, kept: bool, forge: Forge) -> None:
    """Programs draw what a form asked readers to draw; it must be the value, in a font that was there."""
    asked = {**OBJECTS, NAME: OBJECTS[NAME].replace(b"/AP << /N 24 0 R >>", b"")}
    signed = forge.sign(Paper.new(asked), b"Lanh dao")
    drawn = signed.added(NAME, b"/MK << >> /AP << /N 90 0 R >>", {90: form(paint, resources)})
    assert kinds(later(drawn)[0]) == [("rewrite", True) if kept else ("form-change", False)]


def test_a_form_without_defaults_gets_the_usual_ones(forge: Forge) -> None:
    """Libraries write their default appearance and its font into every form that has none."""
    bare = {**OBJECTS, FORM: OBJECTS[FORM].split(b" /DA")[0] + b" >>"}
    signed = forge.sign(Paper.new(bare), b"Lanh dao")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    resources = b"/DR << /Font << /Helv 90 0 R >> >>"
    usual = signed.added(FORM, b"/DA (/Helv 0 Tf 0 g ) " + resources, {90: font})
    assert kinds(later(usual)[0]) == [("rewrite", True)]
    white = signed.added(FORM, b"/DA (/Helv 0 Tf 1 g) " + resources, {90: font})
    assert later(white)[0].integrity is BROKEN


def test_a_font_a_field_waits_for_must_not_come_later(forge: Forge) -> None:
    """A default appearance that names a font the form has not: who adds it decides what the field looks like."""
    waiting = {**OBJECTS, NAME: with_entries(OBJECTS[NAME], b"/DA (/Xa 9 Tf)")}
    signed = forge.sign(Paper.new(waiting), b"Lanh dao")
    evil = {90: b"<< /Type /Font /Subtype /Type3 >>"}
    late = signed.update({FORM: signed.objects[FORM].replace(b"<< /Helv", b"<< /Xa 90 0 R /Helv"), **evil})
    assert kinds(later(late)[0]) == [("form-structure", False)]
    other = signed.update({FORM: signed.objects[FORM].replace(b"<< /Helv", b"<< /Xb 90 0 R /Helv"), **evil})
    assert later(other)[0].integrity is INTACT


def test_defaults_of_the_form_do_not_concern_signatures(forge: Forge) -> None:
    """A form of signatures alone may get the default appearance that programs write into every form."""
    bare = {number: body for number, body in OBJECTS.items() if number not in (NUMBER, NAME, TICK, CHOICE)}
    bare[FORM] = b"<< /Fields [15 0 R] >>"
    bare[FIRST] = bare[FIRST].replace(b"11 0 R 12 0 R 13 0 R 14 0 R ", b"")
    signed = forge.sign(Paper.new(bare), b"Lanh dao", SEEN)
    assert kinds(later(signed.added(FORM, b"/DA (/Helv 0 Tf 0 g) /Q 1 /DR << >>"))[0]) == [("rewrite", True)]


# whatever is changed


_LITERAL = re.compile(rb"/[A-Za-z0-9]+|\d+ 0 R|-?\d+(?:\.\d+)?|\([^()]*\)|true|false")
_FREE = {CATALOG: b"/Metadata", TREE: b"/ParentTreeNextKey"}
"""Entries whose value may change without any meaning for what is seen."""


def _others(literal: bytes) -> tuple[bytes, ...]:
    """Return other values of the same kind, and of references, one that leads nowhere."""
    if literal.endswith(b" R"):
        return b"37 0 R", b"99 0 R", b"null"
    if literal in (b"true", b"false"):
        return (b"false" if literal == b"true" else b"true",)
    return (b"/Zz" if literal.startswith(b"/") else b"(Zz)" if literal.startswith(b"(") else b"77",)


def _may_change(number: int, before: bytes, literal: bytes) -> bool:
    """Say whether this literal, behind these bytes of an object, means nothing for what is seen."""
    key = before.split()[-1] if before.split() else b""
    widget = number in (NUMBER, NAME, TICK, CHOICE, PLACE)
    if key in (b"/Length", b"/NM") or literal in (b"/Length", b"/NM") or (widget and b"/P" in (key, literal)):
        return True
    if number == PLACE and key == b"/F":
        return True  # an empty place stays invisible
    return key == _FREE.get(number) or literal == _FREE.get(number) or (number == TREE and key == b"/Type")


@pytest.mark.parametrize("number", sorted(set(OBJECTS) - {33, 36, 37}))
def test_whatever_value_of_an_object_is_changed_is_noticed(number: int, seen: Paper) -> None:
    """Every name, number, string and reference of the document, one at a time, changed to another of its kind."""
    signed = signatures_of(seen.data)
    head, _, rest = seen.objects[number].partition(b"stream\n")
    missed = []
    for match in _LITERAL.finditer(head):
        before = head[: match.start()]
        for other in () if _may_change(number, before, match[0]) else _others(match[0]):
            if other == match[0]:
                continue
            body = before + other + head[match.end() :] + (b"stream\n" + rest if rest else b"")
            file = PdfFile(seen.update({number: body}).data)
            if compare(file.revisions, signed, limits=Limits())[0].integrity is INTACT:
                missed.append(f"{before[-30:]!r} {match[0]!r} {other!r}")
    assert missed == []


def test_a_page_inherits_the_same_upwards_and_downwards(forge: Forge) -> None:
    """Readers look for what is inherited by ``/Parent`` or by ``/Kids``: a page must not change for either."""
    held = {
        **OBJECTS,
        70: b"<< /Type /Pages /Kids [] /Count 0 >>",
        SECOND: OBJECTS[SECOND].replace(b"2 0 R", b"70 0 R"),
    }
    signed = forge.sign(Paper.new(held), b"Lanh dao")
    assert later(signed.update({}))[0].integrity is INTACT
    assert kinds(later(signed.added(70, b"/Rotate 90"))[0]) == [("page", False)]
    assert kinds(later(signed.added(70, b"/Resources << /Font << /F1 24 0 R >> >>"))[0]) == [("rewrite", True)]


# what leads where


def test_an_object_that_was_missing_must_not_come_later(forge: Forge) -> None:
    """A page prepared to draw something that is not there yet: an update that adds it changes the page."""
    prepared = {**OBJECTS, 10: OBJECTS[10].replace(b"/Fm1 22 0 R", b"/Fm1 90 0 R")}
    signed = forge.sign(Paper.new(prepared), b"Lanh dao")
    assert later(signed.update({}))[0].integrity is INTACT
    assert kinds(later(signed.update({90: form(b"1 g 0 0 999 999 re f")}))[0]) == [("page", False)]
    assert kinds(later(signed.update({91: form(b"1 g 0 0 999 999 re f")}))[0]) == [("rewrite", True)]


def test_an_object_that_only_refers_to_another_hides_nothing(forge: Forge) -> None:
    """A reference to a reference leads on, and so does the comparison."""
    chained = {**OBJECTS, 10: OBJECTS[10].replace(b"/Fm1 22 0 R", b"/Fm1 90 0 R"), 90: b"22 0 R"}
    signed = forge.sign(Paper.new(chained), b"Lanh dao")
    assert kinds(later(signed.update({22: form(b"1 g 0 0 999 999 re f")}))[0]) == [("page", False)]


def test_a_resource_may_have_any_name(forge: Forge) -> None:
    """Names that mean something elsewhere are no way round the comparison."""
    for name in (b"P", b"Parent", b"Metadata", b"Length", b"PieceInfo", b"ProcSet", b"N#61me"):
        held = {
            **OBJECTS,
            10: OBJECTS[10].replace(b"/Fm1", b"/" + name),
            5: OBJECTS[5]
            .replace(b"/Fm1 Do", b"/%s Do" % name)
            .replace(b"/Length 115", b"/Length %d" % (111 + len(name))),
        }
        signed = forge.sign(Paper.new(held), b"Lanh dao")
        assert kinds(later(signed.update({22: form(b"1 g 0 0 999 999 re f")}))[0]) == [("page", False)], name


def test_a_form_without_resources_draws_with_those_of_the_page(forge: Forge) -> None:
    """What it names is in use on the page."""
    held = {**OBJECTS, 22: form(b"/Im9 Do")}
    signed = forge.sign(Paper.new(held), b"Lanh dao")
    added = signed.update({10: signed.objects[10].replace(b"/Im1", b"/Im9 21 0 R /Im1")})
    assert kinds(later(added)[0]) == [("page", False)]
    unused = signed.update({10: signed.objects[10].replace(b"/Im1", b"/Im8 21 0 R /Im1")})
    assert later(unused)[0].integrity is INTACT


def test_annotations_that_cover_one_another_keep_their_order(forge: Forge) -> None:
    """The later one is drawn above."""
    held = {**OBJECTS, NOTE: OBJECTS[NOTE].replace(b"[500 800 520 820]", b"[100 470 200 490]")}
    for objects, expected in ((OBJECTS, INTACT), (held, BROKEN)):
        signed = forge.sign(Paper.new(objects), b"Lanh dao")
        turned = signed.objects[FIRST].replace(b" 17 0 R", b"").replace(b"[11 0 R", b"[17 0 R 11 0 R")
        assert later(signed.update({FIRST: turned}))[0].integrity is expected


# structure


def test_the_structure_may_grow_by_a_new_widget(forge: Forge, letter: Paper) -> None:
    """Tagged documents get an element for each signature, with its place in the parent tree."""

    def more(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        element = b"<< /Type /StructElem /S /Form /P 34 0 R /K << /Type /OBJR /Obj %d 0 R /Pg 3 0 R >> /Alt (ky) >>"
        tree = objects[TREE].replace(b"/K 35 0 R", b"/K [35 0 R 90 0 R]")
        tree = tree.replace(b"[0 [35 0 R]]", b"[0 [35 0 R] 1 90 0 R]").replace(b"NextKey 1", b"NextKey 2")
        return {90: element % (value - 1), TREE: tree}

    ink = replace(SEEN, entries=b" /StructParent 1")
    result = later(forge.sign(letter, b"Van thu", ink, more=more))[0]
    assert sorted(kinds(result)) == [("signature", True), ("structure", True)]
    assert result.integrity is INTACT


def test_a_new_element_may_not_speak_for_old_content(forge: Forge, letter: Paper) -> None:
    """An element that holds old content, or none but says something, is no element of a widget."""
    for kid in (b"/K [0]", b"/ActualText (9)", b"/K << /Type /MCR /MCID 0 /Pg 3 0 R >>"):
        element = b"<< /Type /StructElem /S /P /P 34 0 R /Pg 3 0 R %s >>" % kid
        tree = letter.objects[TREE].replace(b"/K 35 0 R", b"/K [35 0 R 90 0 R]")
        assert kinds(later(letter.update({90: element, TREE: tree}))[0]) == [("structure", False)]


# budgets, faults


def test_a_budget_used_up_leaves_integrity_unknown(letter: Paper) -> None:
    """What was not compared to the end is neither intact nor broken."""
    data = letter.update({number: letter.objects[number] for number in OBJECTS}).data
    limits = Limits(pdf_values=50)
    (result,) = compare(PdfFile(data).revisions, signatures_of(data), limits=limits)
    assert result.integrity is UNKNOWN
    assert codes(result) == {Code.CRYPTO_CONSTRAINTS_FAILURE, Code.LIMIT_EXCEEDED}
    assert result.later_changes is LaterChanges.SUSPECT


def test_a_suspect_change_found_before_the_budget_ran_out_stays(forge: Forge, letter: Paper) -> None:
    """Broken is broken, whatever could not be looked at."""
    wrong = letter.added(FIRST, b"/Rotate 90")
    data = wrong.update({number: wrong.objects[number] for number in OBJECTS}).data
    file = PdfFile(data)
    (signed,) = signatures_of(data)
    needed = next(
        limit
        for limit in range(50, 5000, 10)
        if Code.LATER_CHANGE_SUSPECT in codes(compare(file.revisions, [signed], limits=Limits(pdf_values=limit))[0])
    )
    (result,) = compare(file.revisions, [signed], limits=Limits(pdf_values=needed))
    assert result.integrity is BROKEN


def test_an_update_that_cannot_be_read_is_suspect(letter: Paper) -> None:
    """What one reader cannot read another may show."""
    data = letter.update({FIRST: b"<< /Type /Page /Annots [ >>"}).data
    (result,) = compare(PdfFile(data).revisions, signatures_of(letter.data), limits=Limits())
    assert result.integrity is BROKEN
    assert kinds(result) == [("other", False)]


def test_a_signature_without_later_steps_has_no_changes(letter: Paper) -> None:
    """Nothing came after it."""
    assert later(letter) == (Later(),)
    assert compare(PdfFile(letter.data).revisions, (), limits=Limits()) == ()


def test_many_objects_are_not_compared_again(forge: Forge) -> None:
    """A step costs what it touches: twenty thousand objects that stand as they are are skipped by their place."""
    fonts = {number: b"<< /Type /Font /Subtype /Type1 /BaseFont /F%d >>" % number for number in range(100, 8000)}
    held = b"<< /Font << %s >> >>" % b" ".join(b"/N%d %d 0 R" % (number, number) for number in fonts)
    paper = forge.sign(Paper.new({**OBJECTS, 10: held, **fonts, 5: stream(b"/N100 Tf")}), b"Lanh dao")
    for index in range(3):
        paper = forge.sign(paper, b"Ky %d" % index, SEEN)
    results = compare(PdfFile(paper.data).revisions, signatures_of(paper.data), limits=Limits(pdf_values=2_000))
    assert [one.integrity for one in results] == [INTACT] * 4
    used = paper.update({100: b"<< /Type /Font /Subtype /Type1 /BaseFont /Other >>"})
    assert later(used)[0].integrity is BROKEN


def test_pages_in_other_numbers_are_the_same_pages(letter: Paper) -> None:
    """A page is told by its place in the order, and what refers to it follows."""
    page = letter.objects[SECOND]
    moved = letter.update({60: page, 2: letter.objects[2].replace(b"4 0 R", b"60 0 R")}, free=[SECOND])
    assert kinds(later(moved)[0]) == [("rewrite", True)]


def test_a_form_may_come_with_the_second_signature(forge: Forge) -> None:
    """A field that only a page lists, and a form that is made later."""
    bare = {number: body for number, body in OBJECTS.items() if number not in (FORM, 11, 12, 13, 14, 15)}
    bare[CATALOG] = bare[CATALOG].replace(b"/AcroForm 7 0 R", b"")
    bare[FIRST] = bare[FIRST].replace(b"11 0 R 12 0 R 13 0 R 14 0 R 15 0 R ", b"40 0 R ")
    bare[40] = b"<< %s /FT /Sig /T (Le) /Rect [300 100 400 150] >>" % WIDGET
    bare[FORM] = b"<< /Fields [] >>"
    signed = forge.sign(Paper.new(bare), b"", number=40)
    assert len(signatures_of(signed.data)) == 1

    def more(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        body = with_field(objects[FORM], 40)
        return {CATALOG: with_entries(objects[CATALOG], b"/AcroForm 7 0 R"), FORM: body}

    result = later(forge.sign(signed, b"Hai", SEEN, more=more))[0]
    assert kinds(result) == [("signature", True)]
