"""Attacks on a signed PDF by updates, one fault each, and beside each a harmless neighbour (A1, A3; signing.md 4.3)."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.diff_analysis import DEFAULT_DIFF_POLICY, DiffResult, ModificationLevel

from signer.algorithms import Scheme
from signer.devpki import DevIdentity
from signer.pdf.reading import mentions
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Crypto, Indication, Integrity, LaterChanges, Verdict
from signer.trust import Context
from tests.signer_pdf.attackforge import (
    BOOKMARK,
    CATALOG,
    CHOICE,
    CONTENT,
    CONTENT_2,
    FIRST,
    FONT,
    FORM,
    INFO,
    LAYER,
    LINK,
    NAME,
    NAMES,
    NOTE,
    NUMBER,
    OBJECTS,
    PAGES,
    PARAGRAPH,
    PICTURE,
    PLACE,
    RESOURCES,
    SECOND,
    SECRET,
    SHOWN,
    SPARE,
    STAMP,
    TEXT,
    TICK,
    TREE,
    WIDGET,
    XMP,
    Forge,
    Ink,
    Paper,
    form,
    later,
    stream,
    with_annotation,
    with_entries,
    with_field,
)
from transport.present.verify import change_text

Act = Callable[[Paper], Paper]

LEADER = Ink(b"300 200 400 250", b"BT /F1 9 Tf (Da ky) Tj ET")


@pytest.fixture(scope="module")
def forge(person: DevIdentity) -> Forge:
    """A forge with a person's key."""
    return Forge(person.credential, Scheme.ECDSA_SHA256)


@pytest.fixture(scope="module")
def letter(forge: Forge) -> Paper:
    """The document, signed by the leader with a visible signature."""
    return forge.sign(Paper.new(), b"Lanh dao", LEADER)


def changed(number: int, old: bytes, new: bytes) -> Act:
    """Return an update in which a part of an object is another."""
    return lambda paper: paper.changed(number, old, new)


def added(number: int, entries: bytes, more: dict[int, bytes] | None = None) -> Act:
    """Return an update that adds entries to a dictionary."""
    return lambda paper: paper.added(number, entries, more)


def written(number: int, body: bytes) -> Act:
    """Return an update that defines an object."""
    return lambda paper: paper.update({number: body})


def annotated(body: bytes, *, page: int = FIRST, more: dict[int, bytes] | None = None) -> Act:
    """Return an update that puts an annotation on a page."""
    return lambda paper: paper.update(
        {paper.size: body, page: with_annotation(paper.objects[page], paper.size), **(more or {})}
    )


def fielded(body: bytes, paint: bytes = b"", *, box: bytes = b"0 0 100 20") -> Act:
    """Return an update with a new field, its widget on the first page, with an appearance."""

    def act(paper: Paper) -> Paper:
        number = paper.size
        look = b" /AP << /N %d 0 R >>" % (number + 1) if paint else b""
        objects = {
            number: body.replace(b">>", look + b" >>") if look else body,
            FORM: with_field(paper.objects[FORM], number),
            FIRST: with_annotation(paper.objects[FIRST], number),
        }
        return paper.update(objects | ({number + 1: form(paint, box=box)} if paint else {}))

    return act


def filled(number: int, value: bytes, paint: bytes = b"", entries: bytes = b"", *, box: bytes = b"0 0 100 20") -> Act:
    """Return an update that gives a field a value and an appearance."""

    def act(paper: Paper) -> Paper:
        body = paper.objects[number].replace(b"/V (An)", b"").replace(b"/AP << /N 24 0 R >>", b"")
        look = b" /AP << /N %d 0 R >>" % paper.size if paint else b""
        objects = {number: with_entries(body, b"/V %s%s %s" % (value, look, entries))}
        return paper.update(objects | ({paper.size: form(paint, box=box)} if paint else {}))

    return act


def leader_widget(paper: Paper) -> int:
    """Return the object number of the leader's field."""
    return next(number for number, body in paper.objects.items() if b"(Lanh dao)" in body)


def on_leader(old: bytes, new: bytes) -> Act:
    """Return an update that alters the leader's field."""
    return lambda paper: paper.changed(leader_widget(paper), old, new)


def both(*acts: Act) -> Act:
    """Return several updates, one after the other."""

    def act(paper: Paper) -> Paper:
        for one in acts:
            paper = one(paper)
        return paper

    return act


def undone(act: Act) -> Act:
    """Return a change that a further update takes back."""

    def both_ways(paper: Paper) -> Paper:
        after = act(paper)
        wrong = {number: body for number, body in paper.objects.items() if after.objects[number] != body}
        return after.update(wrong)

    return both_ways


def dropped(paper: Paper) -> Paper:
    """Take the leader's signature out of form and page."""
    number = b" %d 0 R" % leader_widget(paper)
    return paper.update(
        {
            FORM: paper.objects[FORM].replace(number, b""),
            FIRST: paper.objects[FIRST].replace(number, b""),
        }
    )


def reused(paper: Paper) -> Paper:
    """Let a second field point at the leader's signature dictionary."""
    value = paper.objects[leader_widget(paper)].split(b"/V ")[1].split(b" 0 R")[0]
    return fielded(b"<< %s /FT /Sig /T (Gia) /Rect [0 0 0 0] /V %s 0 R >>" % (WIDGET, value))(paper)


TX = b"<< %s /FT /Tx /T (Moi) /Rect [100 300 200 320] >>" % WIDGET
SIG = b"<< %s /FT /Sig /T (Moi) /Rect [100 300 200 320] >>" % WIDGET
FREE_TEXT = b"<< /Type /Annot /Subtype /FreeText /Rect [60 690 160 710] /Contents (9.000.000) /DA (/Helv 9 Tf) >>"
SHOW = b"BT /F1 9 Tf (9.000.000) Tj ET"
OTHER_FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"
KIDS = b"/Kids [3 0 R 4 0 R] /Count 2"
NEW_PAGE = {50: b"<< /Type /Page /Parent 2 0 R /Contents 6 0 R /Resources << /Font << /F1 20 0 R >> >> >>"}
JAVASCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
FILE = b"<< /Type /Filespec /F (a.exe) /UF (a.exe) >>"

ATTACKS: dict[str, tuple[Act, str]] = {
    # what pages show
    "content exchanged": (written(CONTENT, stream(TEXT.replace(b"1.000.000", b"9.000.000"))), "page"),
    "content exchanged and taken back": (
        undone(written(CONTENT, stream(TEXT.replace(b"1.000.000", b"9.000.000")))),
        "page",
    ),
    "content added": (changed(FIRST, b"/Contents 5 0 R", b"/Contents [5 0 R 37 0 R]"), "page"),
    "content taken away": (changed(FIRST, b"/Contents 5 0 R", b"/Contents []"), "page"),
    "content freed": (lambda paper: paper.update({}, free=[CONTENT]), "page"),
    "content of another page": (changed(SECOND, b"[6 0 R]", b"[5 0 R]"), "page"),
    "content coded otherwise, and otherwise": (
        written(CONTENT, stream(TEXT.replace(b"1.000", b"9.000"), packed=True)),
        "page",
    ),
    "font exchanged": (written(FONT, OTHER_FONT), "page"),
    "font exchanged by its name": (
        changed(RESOURCES, b"/F1 20 0 R", b"/F1 50 0 R"),
        "page",
    ),
    "font of the page freed": (lambda paper: paper.update({}, free=[FONT]), "page"),
    "picture exchanged": (changed(PICTURE, b"\0\x80\xff", b"\xff\0\0"), "page"),
    "drawing exchanged": (written(STAMP, form(b"1 1 1 rg 0 0 900 900 re f")), "page"),
    "drawing that hides": (added(STAMP, b"/OC 27 0 R"), "page"),
    "resources exchanged": (changed(FIRST, b"/Resources 10 0 R", b"/Resources << >>"), "page"),
    "page turned": (added(FIRST, b"/Rotate 90"), "page"),
    "page cut": (added(FIRST, b"/CropBox [0 0 300 300]"), "page"),
    "pages cut by what they inherit": (changed(PAGES, b"[0 0 595 842]", b"[0 0 595 300]"), "page"),
    "pages turned by what they inherit": (added(PAGES, b"/Rotate 180"), "page"),
    "unit of the page": (added(FIRST, b"/UserUnit 2"), "page"),
    "page added": (lambda paper: paper.update({**NEW_PAGE, PAGES: paper.objects[PAGES].replace(
        KIDS, b"/Kids [3 0 R 4 0 R 50 0 R] /Count 3")}), "page"),
    "page put first": (lambda paper: paper.update({**NEW_PAGE, PAGES: paper.objects[PAGES].replace(
        KIDS, b"/Kids [50 0 R 3 0 R 4 0 R] /Count 3")}), "page"),
    "page removed": (changed(PAGES, KIDS, b"/Kids [3 0 R] /Count 1"), "page"),
    "page freed": (lambda paper: paper.update({}, free=[SECOND]), "page"),
    "pages in another order": (changed(PAGES, KIDS, b"/Kids [4 0 R 3 0 R] /Count 2"), "page"),
    "page exchanged": (lambda paper: paper.update({**NEW_PAGE, PAGES: paper.objects[PAGES].replace(
        KIDS, b"/Kids [50 0 R 4 0 R] /Count 2")}), "page"),
    "other page tree": (lambda paper: paper.update({**NEW_PAGE, 51: b"<< /Type /Pages /Kids [50 0 R] /Count 1 >>",
        CATALOG: paper.objects[CATALOG].replace(b"/Pages 2 0 R", b"/Pages 51 0 R")}), "page"),
    "resources in the page tree": (added(PAGES, b"/XObject << /Im1 22 0 R >>"), "page"),
    "pages counted wrongly": (changed(PAGES, b"/Count 2", b"/Count 1"), "page"),
    "page that calls itself no page": (changed(SECOND, b"/Type /Page ", b"/Type /Template "), "page"),
    "labels of pages": (added(CATALOG, b"/PageLabels << /Nums [0 << /P (A) >>] >>"), "page"),
    "other catalog": (lambda paper: paper.update({**NEW_PAGE, 51: b"<< /Type /Pages /Kids [50 0 R] /Count 1 >>",
        52: b"<< /Type /Catalog /Pages 51 0 R /AcroForm 7 0 R >>"}, trailer=b"/Root 52 0 R"), "page"),
    # layers
    "hidden layer switched on": (changed(CATALOG, b"/OFF [27 0 R]", b"/OFF []"), "layer"),
    "layer switched off": (changed(CATALOG, b"/OFF [27 0 R]", b"/OFF [27 0 R 23 0 R]"), "layer"),
    "layers freed": (lambda paper: paper.update({}, free=[SECRET]), "layer"),
    "layers taken away": (
        lambda paper: paper.update(
            {CATALOG: paper.objects[CATALOG].replace(b"/OCProperties", b"/XCProperties")}
        ),
        "layer",
    ),
    # actions and files
    "action on opening": (added(CATALOG, b"/OpenAction " + JAVASCRIPT), "action"),
    "action on closing": (added(CATALOG, b"/AA << /WC %s >>" % JAVASCRIPT), "action"),
    "action of a page": (added(FIRST, b"/AA << /O %s >>" % JAVASCRIPT), "action"),
    "script by name": (changed(NAMES, b"/Dests", b"/JavaScript << /Names [(a) %s] >> /Dests" % JAVASCRIPT), "action"),
    "link goes elsewhere": (changed(LINK, b"a.example", b"b.example"), "action"),
    "link added": (annotated(b"<< /Type /Annot /Subtype /Link /Rect [0 0 9 9] /Dest [3 0 R /Fit] >>"), "action"),
    "bookmark goes elsewhere": (changed(BOOKMARK, b"3 0 R /Fit", b"4 0 R /Fit"), "action"),
    "bookmark renamed": (changed(BOOKMARK, b"(Dau)", b"(Cuoi)"), "action"),
    "named place moved": (changed(NAMES, b"3 0 R /Fit", b"4 0 R /Fit"), "action"),
    "action of a field": (added(NUMBER, b"/AA << /F %s >>" % JAVASCRIPT), "action"),
    "action of the leader's field": (lambda paper: paper.added(leader_widget(paper), b"/A " + JAVASCRIPT),
        "signature-altered"),
    "file embedded": (changed(NAMES, b"/Dests", b"/EmbeddedFiles << /Names [(a) %s] >> /Dests" % FILE), "attachment"),
    "file associated": (added(CATALOG, b"/AF [%s]" % FILE), "attachment"),
    "file pinned on": (annotated(b"<< /Type /Annot /Subtype /FileAttachment /Rect [0 0 9 9] /FS %s >>" % FILE),
        "attachment"),
    "portfolio": (added(CATALOG, b"/Collection << /View /T >>"), "attachment"),
    # annotations
    "text laid over": (annotated(FREE_TEXT), "annotation"),
    "text laid over and taken back": (undone(annotated(FREE_TEXT)), "annotation"),
    "stamp laid over": (annotated(b"<< /Type /Annot /Subtype /Stamp /Rect [60 690 160 710] >>"), "annotation"),
    "white rectangle": (annotated(b"<< /Type /Annot /Subtype /Square /Rect [60 690 160 710] /IC [1 1 1] >>"),
        "annotation"),
    "blackened": (annotated(b"<< /Type /Annot /Subtype /Redact /Rect [60 690 160 710] >>"), "annotation"),
    "annotation without a kind": (annotated(b"<< /Type /Annot /Rect [60 690 160 710] >>"), "annotation"),
    "note added": (annotated(b"<< /Type /Annot /Subtype /Text /Rect [0 0 20 20] /Contents (x) >>"), "annotation"),
    "note changed": (changed(NOTE, b"(ghi chu)", b"(khac)"), "annotation"),
    "note removed": (lambda paper: paper.update(
        {FIRST: paper.objects[FIRST].replace(b" 17 0 R", b"")}), "annotation"),
    "note moved to another page": (lambda paper: paper.update(
        {FIRST: paper.objects[FIRST].replace(b" 17 0 R", b""), SECOND: with_annotation(paper.objects[SECOND], 17)}),
        "annotation"),
    # the form
    "new text field": (fielded(TX, SHOW), "form-structure"),
    "new text field, empty": (fielded(TX), "form-structure"),
    "new text field only on the page": (annotated(TX.replace(b"/T", b"/V (9.000.000) /T")), "form-structure"),
    "field removed": (lambda paper: paper.update({
        FORM: paper.objects[FORM].replace(b" 12 0 R", b""), FIRST: paper.objects[FIRST].replace(b" 12 0 R", b"")}),
        "form-structure"),
    "field taken off the page": (lambda paper: paper.update(
        {FIRST: paper.objects[FIRST].replace(b" 12 0 R", b"")}), "form-structure"),
    "field shown on another page too": (lambda paper: paper.update(
        {SECOND: with_annotation(paper.objects[SECOND], NAME)}), "form-structure"),
    "second widget of a field": (
        lambda paper: paper.update({
            NUMBER: b"<< /FT /Tx /T (So) /Kids [60 0 R 61 0 R] >>",
            60: b"<< %s /Parent 11 0 R /Rect [100 500 200 520] >>" % WIDGET,
            61: b"<< %s /Parent 11 0 R /Rect [0 0 0 0] /AA << /PO %s >> >>" % (WIDGET, JAVASCRIPT),
            FIRST: paper.objects[FIRST].replace(b"11 0 R", b"60 0 R 61 0 R")}),
        "form-structure",
    ),
    "field renamed": (changed(NAME, b"(Ten)", b"(Khac)"), "form-structure"),
    "field moved": (changed(NAME, b"[100 470 200 490]", b"[100 690 200 710]"), "form-structure"),
    "field made larger": (changed(NUMBER, b"[100 500 200 520]", b"[0 0 500 700]"), "form-structure"),
    "field hidden": (changed(NAME, b"/F 4", b"/F 2"), "form-structure"),
    "field of another kind": (changed(NAME, b"/FT /Tx", b"/FT /Ch"), "form-structure"),
    "flags of a field": (added(NAME, b"/Ff 4096"), "form-structure"),
    "field to be drawn otherwise": (added(NAME, b"/DA (/Helv 40 Tf 1 g)"), "form-structure"),
    "fields to be drawn otherwise": (changed(FORM, b"10 Tf 0 g", b"10 Tf 1 g"), "form-structure"),
    "fields to be drawn anew": (added(FORM, b"/NeedAppearances true"), "form-structure"),
    "font of the form exchanged": (changed(FORM, b"/Helv 20 0 R", b"/Helv 50 0 R"), "form-structure"),
    "order of calculation": (added(FORM, b"/CO [12 0 R]"), "form-structure"),
    "XFA": (added(FORM, b"/XFA (<xdp/>)"), "form-structure"),
    "flags of the form": (changed(FORM, b"/SigFlags 3", b"/SigFlags 0"), "form-structure"),
    "form taken away": (changed(CATALOG, b"/AcroForm 7 0 R", b""), "form-structure"),
    "choices exchanged": (changed(CHOICE, b"(A) (B)", b"(A) (C)"), "form-structure"),
    "value exchanged": (filled(NAME, b"(Binh)", b"BT /Helv 10 Tf (Binh) Tj ET"), "form-change"),
    "value emptied": (changed(NAME, b"/V (An)", b"/V ()"), "form-change"),
    "appearance of a value exchanged": (written(SHOWN, form(b"BT /Helv 10 Tf (Binh) Tj ET")), "form-change"),
    "appearance exchanged, value kept": (changed(NAME, b"/N 24 0 R", b"/N 22 0 R"), "form-change"),
    "value without a change of appearance": (changed(NAME, b"/V (An)", b"/V (Binh)"), "form-change"),
    "button with a state it had not": (changed(TICK, b"/AS /Off", b"/AS /Other"), "form-change"),
    "button painted otherwise": (changed(TICK, b"/Off 26 0 R", b"/Off 25 0 R"), "form-change"),
    # overlays
    "unsigned field that paints": (fielded(SIG, SHOW), "overlay"),
    "unsigned field with a background": (
        fielded(SIG.replace(b"/T", b"/MK << /BG [1 1 1] >> /T")),
        "overlay",
    ),
    "empty place with a border from beside the page": (
        fielded(SIG.replace(b"[100 300 200 320]", b"[-9 1 -8 2] /BS << /W 300 >> /MK << /BC [1 1 1] >>")),
        "overlay",
    ),
    "page placed among old content": (changed(FIRST, b"/StructParents 0", b"/StructParents 5"), "structure"),
    "empty place painted": (lambda paper: paper.update({
        PLACE: with_entries(paper.objects[PLACE], b"/AP << /N %d 0 R >>" % paper.size), paper.size: form(SHOW)}),
        "overlay"),
    # signatures
    "signature removed": (dropped, "signature-altered"),
    "signature taken out of the form alone": (
        lambda paper: paper.update({FORM: paper.objects[FORM].replace(b" %d 0 R" % leader_widget(paper), b"")}),
        "signature-altered",
    ),
    "field taken out of the form alone": (changed(FORM, b" 12 0 R", b""), "form-structure"),
    "signature emptied": (on_leader(b"/V", b"/X"), "signature-altered"),
    "signature moved": (on_leader(b"[300 200 400 250]", b"[300 700 400 750]"), "signature-altered"),
    "signature hidden": (on_leader(b"/F 132", b"/F 134"), "signature-altered"),
    "signature renamed": (on_leader(b"(Lanh dao)", b"(Van thu)"), "signature-altered"),
    "picture of the signature exchanged": (
        lambda paper: paper.update({leader_widget(paper) + 2: form(SHOW)}),
        "signature-altered",
    ),
    "lock of the signature": (lambda paper: paper.added(leader_widget(paper), b"/Lock << /Action /All >>"),
        "signature-altered"),
    "signature dictionary used again": (reused, "signature-altered"),
    "reason of the signature": (lambda paper: paper.added(leader_widget(paper) + 1, b"/Reason (khac)"),
        "signature-altered"),
    "certification named without a signature": (
        lambda paper: paper.added(CATALOG, b"/Perms << /DocMDP %d 0 R >>" % (leader_widget(paper) + 1)),
        "signature-altered",
    ),
    # structure and the rest
    "alternative text": (changed(PARAGRAPH, b"(mot doan)", b"(doan khac)"), "structure"),
    "replacing text": (added(PARAGRAPH, b"/ActualText (9.000.000)"), "structure"),
    "role of old content": (changed(TREE, b"/Doan /P", b"/Doan /Artifact"), "structure"),
    "old content told anew": (lambda paper: paper.update({
        50: b"<< /Type /StructElem /S /P /P 34 0 R /Pg 3 0 R /K [0] /ActualText (9) >>",
        TREE: paper.objects[TREE].replace(b"/K 35 0 R", b"/K [35 0 R 50 0 R]")}), "structure"),
    "structure taken away": (changed(CATALOG, b"/StructTreeRoot 34 0 R", b""), "structure"),
    "language": (added(CATALOG, b"/Lang (en)"), "other"),
    "how the file opens": (changed(CATALOG, b"/UseOutlines", b"/UseNone"), "other"),
    "output intent": (added(CATALOG, b"/OutputIntents [<< /S /GTS_PDFA1 >>]"), "other"),
    "lower version": (both(added(CATALOG, b"/Version /2.0"), changed(CATALOG, b"/2.0", b"/1.3")), "other"),
}  # fmt: skip


@pytest.fixture(params=["walked", "looked up"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let what leads to a changed object be found by walking all objects, or from the bytes as in large files."""
    if request.param == "looked up":
        monkeypatch.setattr(mentions, "ROWS_MIN", 0)
    return str(request.param)


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_by_an_update_is_suspect(name: str, letter: Paper) -> None:
    """Whatever was changed of what is seen, permitted or done, the signature is broken and the change is named."""
    act, kind = ATTACKS[name]
    result = later(act(letter))[0]
    assert result.integrity is Integrity.BROKEN, (name, result)
    assert result.later_changes is LaterChanges.SUSPECT
    assert kind in {change.kind for change in result.changes if not change.allowed}, (name, result.changes)
    assert [reason.code for reason in result.reasons][:2] == [Code.FORMAT_FAILURE, Code.LATER_CHANGE_SUSPECT]


def rewritten(paper: Paper) -> Paper:
    """Write every object anew under the same number."""
    return paper.update({number: body for number, body in paper.objects.items() if number in OBJECTS})


def renumbered(paper: Paper) -> Paper:
    """Write page, content, font and note anew under other numbers."""
    moved = {FIRST: 60, CONTENT: 61, FONT: 62, NOTE: 63, NAME: 64, BOOKMARK: 65}
    objects = {}
    for number, body in paper.objects.items():
        new = body
        for old, other in moved.items():
            new = new.replace(b" %d 0 R" % old, b" %d 0 R" % other).replace(b"[%d 0 R" % old, b"[%d 0 R" % other)
        if new != body or number in moved:
            objects[moved.get(number, number)] = new
    return paper.update(objects, free=moved)


HARMLESS: dict[str, tuple[Act, str]] = {
    "nothing but an update": (lambda paper: paper.update({}), "rewrite"),
    "everything written anew": (rewritten, "rewrite"),
    "everything in an object stream": (
        lambda paper: paper.packed({n: b for n, b in OBJECTS.items() if b"stream" not in b and n not in (FORM, FIRST)}),
        "rewrite",
    ),
    "objects renumbered": (renumbered, "rewrite"),
    "unused object freed": (lambda paper: paper.update({}, free=[SPARE]), "rewrite"),
    "unused object exchanged": (written(SPARE, stream(b"other")), "rewrite"),
    "object nobody reaches": (written(90, FREE_TEXT), "rewrite"),
    "content coded otherwise": (written(CONTENT, stream(TEXT, packed=True)), "rewrite"),
    "content in pieces": (
        lambda paper: paper.update({
            60: stream(TEXT[: TEXT.index(b"/Im1")]), 61: stream(TEXT[TEXT.index(b"/Im1") :]),
            FIRST: paper.objects[FIRST].replace(b"/Contents 5 0 R", b"/Contents [60 0 R 61 0 R]")}),
        "rewrite",
    ),
    "defaults written out": (
        added(FIRST, b"/Rotate 0 /CropBox [0 0 595 842] /MediaBox [0 0 595.0 842] /UserUnit 1.0"),
        "rewrite",
    ),
    "resources written into the page": (
        lambda paper: paper.changed(FIRST, b"/Resources 10 0 R", b"/Resources " + OBJECTS[RESOURCES]),
        "rewrite",
    ),
    "unused font added": (changed(RESOURCES, b"/F1 20 0 R", b"/F1 20 0 R /F9 50 0 R"), "rewrite"),
    "form written into the catalog": (
        lambda paper: paper.changed(CATALOG, b"/AcroForm 7 0 R", b"/AcroForm " + paper.objects[FORM]),
        "rewrite",
    ),
    "annotations in a list of their own": (
        lambda paper: paper.update({
            60: paper.objects[FIRST].split(b"/Annots ")[1].split(b"]")[0] + b"]",
            FIRST: paper.objects[FIRST].split(b"/Annots ")[0] + b"/Annots 60 0 R >>"}),
        "rewrite",
    ),
    "field and widget apart": (
        lambda paper: paper.update({
            NUMBER: b"<< /FT /Tx /T (So) /Kids [60 0 R] >>",
            60: b"<< %s /Parent 11 0 R /Rect [100 500 200 520] >>" % WIDGET,
            FIRST: paper.objects[FIRST].replace(b"11 0 R", b"60 0 R")}),
        "rewrite",
    ),
    "remark in the page tree": (added(PAGES, b"/ITXT (2.1.7)"), "rewrite"),
    "page placed in the structure": (added(SECOND, b"/StructParents 7"), "structure"),
    "empty place beside the page": (
        fielded(SIG.replace(b"[100 300 200 320]", b"[-9999 1 -9998 2]"), SHOW),
        "empty-field",
    ),
    "page tree in two levels": (
        lambda paper: paper.update({
            60: b"<< /Type /Pages /Parent 2 0 R /Kids [3 0 R 4 0 R] /Count 2 >>",
            PAGES: paper.objects[PAGES].replace(b"[3 0 R 4 0 R]", b"[60 0 R]")}),
        "rewrite",
    ),
    "resources of the form added": (changed(FORM, b"/Helv 20 0 R", b"/Helv 20 0 R /ZaDb 50 0 R"), "rewrite"),
    "metadata saved": (written(INFO, b"<< /Title (Van ban) /ModDate (D:20260101) >>"), "metadata"),
    "metadata stream saved": (written(XMP, stream(b"<x:xmpmeta>2</x:xmpmeta>", b"/Type /Metadata")), "metadata"),
    "private data of a program": (added(CATALOG, b"/PieceInfo << /X << /Private 1 >> >>"), "metadata"),
    "private data on a page": (added(FIRST, b"/PieceInfo << /X 1 >> /LastModified (D:20260101)"), "metadata"),
    "higher version": (added(CATALOG, b"/Version /2.0"), "metadata"),
    "extensions": (added(CATALOG, b"/Extensions << /ESIC << /BaseVersion /1.7 /ExtensionLevel 2 >> >>"),
        "validation-data"),
    "validation data": (added(CATALOG, b"/DSS << /Certs [50 0 R] /VRI << >> >>", {50: stream(b"certificate")}),
        "validation-data"),
    "order of the tabulator": (added(FIRST, b"/Tabs /S"), "structure"),
    "blank field filled": (filled(NUMBER, b"(120)", b"/Tx BMC BT /Helv 10 Tf (120) Tj ET EMC"), "form-fill"),
    "blank field filled, no appearance": (filled(NUMBER, b"(120)"), "form-fill"),
    "blank field filled and corrected": (
        both(filled(NUMBER, b"(120)", SHOW), lambda paper: paper.changed(NUMBER, b"(120)", b"(121)")),
        "form-fill",
    ),
    "blank choice made": (added(CHOICE, b"/V (A) /I [0]"), "form-fill"),
    "button moved to a state it has": (
        changed(TICK, b"/V /Off /AS /Off", b"/V /Yes /AS /Yes"),
        "form-fill",
    ),
    "empty place that shows nothing": (fielded(SIG), "empty-field"),
    "empty place with an empty appearance": (fielded(SIG, b"/Tx BMC q EMC"), "empty-field"),
    "empty place with its conditions": (
        fielded(SIG.replace(b"/T", b"/Lock << /Action /All >> /SV << /Ff 1 >> /MK << >> /Border [0 0 1] /T")),
        "empty-field",
    ),
    "place without a page": (
        lambda paper: paper.update({
            60: b"<< /FT /Sig /T (An) >>", FORM: with_field(paper.objects[FORM], 60)}),
        "empty-field",
    ),
}  # fmt: skip


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("name", HARMLESS)
def test_a_harmless_neighbour_stays_intact(name: str, letter: Paper) -> None:
    """Refusing good files is the second fault."""
    act, kind = HARMLESS[name]
    result = later(act(letter))[0]
    assert result.integrity is Integrity.INTACT, (name, result.changes)
    assert result.later_changes is LaterChanges.ALLOWED
    assert result.reasons == ()
    assert {change.kind for change in result.changes} == {kind}, (name, result.changes)


def test_the_document_of_the_forge_uses_what_is_changed(letter: Paper) -> None:
    """The layer that is shown and the one that is hidden are both there: else the attacks above attack nothing."""
    assert b"/L1 BDC" in letter.objects[CONTENT]
    assert {LAYER, SECRET, CONTENT_2} <= set(letter.objects)


@pytest.mark.parametrize("name", ["content exchanged", "text laid over", "signature removed", "value exchanged"])
def test_the_report_of_an_attack_says_broken(name: str, letter: Paper, context: Context) -> None:
    """The signature's mathematics still holds; what the reader sees is not what was signed (4.4)."""
    report = inspect_pdf(ATTACKS[name][0](letter).data, context=context)
    first = report.signatures[0]
    assert report.verdict is Verdict.INVALID
    assert (first.integrity, first.crypto, first.later_changes) == (
        Integrity.BROKEN,
        Crypto.OK,
        LaterChanges.SUSPECT,
    )
    assert (first.indication, first.sub_indication) == (Indication.FAILED, Code.FORMAT_FAILURE)
    assert Code.LATER_CHANGE_SUSPECT in {reason.code for reason in first.reasons}


@pytest.mark.parametrize("name", HARMLESS)
def test_the_report_of_a_harmless_neighbour_says_intact(name: str, letter: Paper, context: Context) -> None:
    """Reading, coverage and comparison together let it pass."""
    report = inspect_pdf(HARMLESS[name][0](letter).data, context=context)
    assert [one.integrity for one in report.signatures] == [Integrity.INTACT]
    assert report.signatures[0].later_changes is LaterChanges.ALLOWED


def test_changes_are_told_in_words(letter: Paper, context: Context) -> None:
    """Which page, which field, what, and after which signature, in both languages."""
    report = inspect_pdf(filled(NUMBER, b"(120)", SHOW)(letter).data, context=context)
    (change,) = report.signatures[0].changes
    assert change_text(change, "vi") == "trang 1: ô «So» được điền sau chữ ký 1"
    assert change_text(change, "en") == "page 1: the field «So» was filled in after signature 1"


def test_a_second_opinion_on_an_honest_letter(forge: Forge) -> None:
    """pyHanko's own analysis finds nothing to object to in what we let pass."""
    paper = forge.sign(Paper.new(), b"Lanh dao", LEADER)
    paper = forge.sign(filled(NUMBER, b"(120)", SHOW)(paper), b"Van thu", Ink(b"300 300 400 350", SHOW))
    assert [one.integrity for one in later(paper)] == [Integrity.INTACT] * 2
    reader = PdfFileReader(BytesIO(paper.data), strict=False)
    for index in range(2):
        result = DEFAULT_DIFF_POLICY.review_file(reader, 1 + 2 * index)
        assert isinstance(result, DiffResult)
        assert result.modification_level in (ModificationLevel.FORM_FILLING, ModificationLevel.NONE)
