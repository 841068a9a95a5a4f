"""Hostile files whose pages, fields, actions and earlier signatures are odd (ISO 32000-2, 7.7, 12.6, 12.7)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from signer.pdf.sign import Visible
from tests.vectors.signing.hostile import (
    ACTION,
    DAMAGED,
    DEMANDS,
    LIMIT,
    NO_FIELD,
    NO_PAGE,
    OFF_PAGE,
    XFA,
    Hostile,
    built,
    named,
)
from tests.vectors.signing.hostile_bytes import BASE

LINE = Visible("number", text="120", box_mm=(20, 100, 30, 8))


def paper(catalog: bytes = b"", page: bytes = b"", more: Mapping[int, bytes] | None = None) -> bytes:
    """Return the plain file with something in its catalogue and on its page."""
    return built(
        {
            **BASE,
            1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
            3: BASE[3].removesuffix(b">>") + page + b" >>",
            **(more or {}),
        }
    )


def boxed(box: bytes, more: bytes = b"") -> bytes:
    """Return the plain file with another MediaBox, or none."""
    page = BASE[3].replace(b"/MediaBox [0 0 595 842]", box)
    return built({**BASE, 3: page.removesuffix(b">>") + more + b" >>"})


def tree(pages: bytes, more: Mapping[int, bytes] | None = None) -> bytes:
    """Return the plain file with another root of the page tree."""
    return built({**BASE, 2: pages, **(more or {})})


def branches(depth: int) -> bytes:
    """Return a page at the end of so many nodes."""
    first = 10
    nodes = {
        first + n: b"<< /Type /Pages /Parent %d 0 R /Kids [%d 0 R] /Count 1 >>"
        % (first + n - 1 if n else 2, first + n + 1 if n + 1 < depth else 3)
        for n in range(depth)
    }
    return tree(b"<< /Type /Pages /Kids [10 0 R] /Count 1 >>", nodes)


def leaves(count: int) -> bytes:
    """Return a file of so many pages."""
    page = BASE[3]
    numbers = range(10, 10 + count)
    kids = b" ".join(b"%d 0 R" % n for n in numbers)
    return tree(b"<< /Type /Pages /Kids [" + kids + b"] /Count %d >>" % count, dict.fromkeys(numbers, page))


WIDGET = b"<< /Type /Annot /Subtype /Widget %s /Rect [100 100 200 150] /F 4 /P 3 0 R >>"


def fields(listed: bytes, more: Mapping[int, bytes], annots: bytes = b"") -> bytes:
    """Return a file with these fields."""
    return paper(b"/AcroForm << /Fields %s >>" % listed, annots, more)


def named_field(title: bytes, kind: bytes = b"/Tx") -> bytes:
    """Return a file with one field of that name."""
    return fields(b"[5 0 R]", {5: WIDGET % (b"/FT %s /T %s" % (kind, title))}, b"/Annots [5 0 R]")


def link(action: bytes) -> bytes:
    """Return a file with an action behind a link."""
    annotation = b"<< /Type /Annot /Subtype /Link /Rect [10 10 60 30] /A %s >>" % action
    return paper(page=b"/Annots [5 0 R]", more={5: annotation})


def many_fields(count: int) -> bytes:
    """Return a file with so many fields."""
    numbers = range(10, 10 + count)
    listed = b" ".join(b"%d 0 R" % number for number in numbers)
    return fields(b"[" + listed + b"]", {number: b"<< /T (f%d) /FT /Tx >>" % number for number in numbers})


def deep_fields(depth: int) -> bytes:
    """Return a file with a field under so many others."""
    nodes = {number: b"<< /T (a) /Kids [%d 0 R] >>" % (number + 1) for number in range(10, 10 + depth)}
    return fields(b"[10 0 R]", {**nodes, 10 + depth: b"<< /T (a) /FT /Tx >>"})


TREES = [
    *named(
        {
            "page tree holds itself": tree(b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"),
            "page tree in a circle": tree(
                b"<< /Type /Pages /Kids [5 0 R] /Count 1 >>", {5: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"}
            ),
            "page tree holds itself beside a page": tree(b"<< /Type /Pages /Kids [3 0 R 2 0 R] /Count 2 >>"),
            "page twice in the tree": tree(b"<< /Type /Pages /Kids [3 0 R 3 0 R] /Count 2 >>"),
            "page in the tree is missing": tree(b"<< /Type /Pages /Kids [9 0 R] /Count 1 >>"),
            "page tree of numbers": tree(b"<< /Type /Pages /Kids [1 2 3] /Count 3 >>"),
            "page tree is a number": tree(b"17"),
            "page tree is a stream": tree(b"<< /Length 0 >>\nstream\n\nendstream"),
            "no page tree": built({**BASE, 1: b"<< /Type /Catalog >>"}),
            "page tree two hundred deep": branches(200),
            "numbers of 400 digits": boxed(b"/MediaBox [0 0 %s %s]" % (b"9" * 400, b"9" * 400)),
            "MediaBox of texts": boxed(b"/MediaBox [(nan) (nan) (inf) (inf)]"),
            "MediaBox of three numbers": boxed(b"/MediaBox [0 0 595]"),
        },
        DAMAGED,
    ),
    *named({"no page": tree(b"<< /Type /Pages /Kids [] /Count 0 >>")}, NO_PAGE),
    *named(
        {
            "page tree twenty deep": branches(20),
            "10,000 pages": lambda: leaves(10_000),
            "page tree counts wrongly": tree(b"<< /Type /Pages /Kids [3 0 R] /Count 99 >>"),
            "page tree counts below zero": tree(b"<< /Type /Pages /Kids [3 0 R] /Count -1 >>"),
        }
    ),
]
BOXES = [
    *named(
        {
            "no MediaBox": boxed(b""),
            "MediaBox turned round": boxed(b"/MediaBox [595 842 0 0]"),
            "MediaBox of references": built(
                {
                    **BASE,
                    3: BASE[3].replace(b"[0 0 595 842]", b"[5 0 R 5 0 R 6 0 R 7 0 R]"),
                    5: b"0",
                    6: b"595",
                    7: b"842",
                }
            ),
            "page of 5 km": boxed(b"/MediaBox [0 0 14400 14400]", b"/UserUnit 1000"),
            "page far away": boxed(b"/MediaBox [100000 100000 100595 100842]"),
            "CropBox off the page": boxed(b"/MediaBox [0 0 595 842]", b"/CropBox [2000 2000 2500 2500]"),
            "turned by minus 90": boxed(b"/MediaBox [0 0 595 842]", b"/Rotate -90"),
            "turned by 450": boxed(b"/MediaBox [0 0 595 842]", b"/Rotate 450"),
        },
        options={"visible": LINE},
        same=False,
    ),
    *named(
        {
            "turned by 45": boxed(b"/MediaBox [0 0 595 842]", b"/Rotate 45"),
            "unit of nothing": boxed(b"/MediaBox [0 0 595 842]", b"/UserUnit 0"),
            "unit below zero": boxed(b"/MediaBox [0 0 595 842]", b"/UserUnit -2"),
            "unit of a million": boxed(b"/MediaBox [0 0 595 842]", b"/UserUnit 1000000"),
            "MediaBox of names": boxed(b"/MediaBox [/NaN /NaN /Inf /Inf]"),
            "MediaBox of words": boxed(b"/MediaBox [nan nan inf inf]"),
        },
        DAMAGED,
        options={"visible": LINE},
    ),
    *named(
        {
            "page of nothing": boxed(b"/MediaBox [0 0 0 0]"),
            "page smaller than the form": boxed(b"/MediaBox [0 0 10 10]"),
        },
        OFF_PAGE,
        options={"visible": LINE},
    ),
]
SCRIPT = b"<< /S /JavaScript /JS (app.alert\\(1\\)) >>"
ACTIONS = [
    *named(
        {
            "script at opening": paper(b"/OpenAction %s" % SCRIPT),
            "script at opening, elsewhere": paper(b"/OpenAction 5 0 R", more={5: SCRIPT}),
            "script before closing": paper(b"/AA << /WC %s >>" % SCRIPT),
            "script when the page opens": paper(page=b"/AA << /O %s >>" % SCRIPT),
            "script of the file": paper(b"/Names << /JavaScript << /Names [(a) %s] >> >>" % SCRIPT),
            "script behind a link": link(SCRIPT),
            "script after a harmless action": link(b"<< /S /URI /URI (http://a.example) /Next [%s] >>" % SCRIPT),
            "script with another spelling": link(b"<< /S /#4AavaScript /JS (1) >>"),
            "script of a field": named_field(b"(a) /AA << /K %s >>" % SCRIPT),
            "script of a rendition": link(b"<< /S /Rendition /OP 0 /JS (app.alert\\(1\\)) >>"),
            "script in an outline": paper(
                b"/Outlines 5 0 R",
                more={
                    5: b"<< /Type /Outlines /First 6 0 R /Last 6 0 R /Count 1 >>",
                    6: b"<< /Title (a) /Parent 5 0 R /A %s >>" % SCRIPT,
                },
            ),
            "program started": link(b"<< /S /Launch /F (a.exe) >>"),
            "form sent": link(b"<< /S /SubmitForm /F (http://a.example) >>"),
            "data taken in": link(b"<< /S /ImportData /F (a.fdf) >>"),
        },
        ACTION,
    ),
    *named(
        {
            "XFA": paper(b"/AcroForm << /Fields [] /XFA (x) >>"),
            "XFA elsewhere": paper(b"/AcroForm 5 0 R", more={5: b"<< /Fields [] /XFA 6 0 R >>", 6: b"[]"}),
        },
        XFA,
    ),
    *named(
        {
            "link to a page": link(b"<< /S /GoTo /D [3 0 R /Fit] >>"),
            "link to the web": link(b"<< /S /URI /URI (http://a.example) >>"),
            "actions in a circle": link(b"<< /S /URI /URI (x) /Next 5 0 R >>"),
            "word that is no action": paper(b"/Note /JavaScript"),
            "word in a text": paper(b"/Note (/S /JavaScript)"),
        }
    ),
]
FORMS = [
    *named(
        {
            "field is its own kid": fields(b"[5 0 R]", {5: b"<< /T (a) /FT /Tx /Kids [5 0 R] >>"}),
            "fields in a circle": fields(
                b"[5 0 R]", {5: b"<< /T (a) /FT /Tx /Kids [6 0 R] >>", 6: b"<< /T (b) /Parent 5 0 R /Kids [5 0 R] >>"}
            ),
            "field is its own parent": fields(b"[5 0 R]", {5: b"<< /T (a) /FT /Tx /Parent 5 0 R >>"}),
            "field listed twice": fields(b"[5 0 R 5 0 R]", {5: b"<< /T (a) /FT /Tx >>"}),
            "field missing": fields(b"[9 0 R]", {}),
            "field is a page": fields(b"[3 0 R]", {}),
            "fields of numbers": fields(b"[1 null (a) /B]", {}),
            "two fields of one name": fields(
                b"[5 0 R 6 0 R]", {5: b"<< /T (a) /FT /Tx >>", 6: b"<< /T (a) /FT /Tx >>"}
            ),
            "field without name": fields(b"[5 0 R]", {5: b"<< /FT /Tx >>"}),
            "form flags of a text": paper(b"/AcroForm << /Fields [] /SigFlags (x) >>"),
            "form is null": paper(b"/AcroForm null"),
            "form is missing": paper(b"/AcroForm 9 0 R"),
            "annotations missing": paper(page=b"/Annots 9 0 R"),
            "fields and annotations in one list": paper(
                b"/AcroForm << /Fields 5 0 R >>", b"/Annots 5 0 R", {5: b"[6 0 R]", 6: WIDGET % b"/FT /Tx /T (a)"}
            ),
            "annotations null": paper(page=b"/Annots null"),
            "annotation missing": paper(page=b"/Annots [9 0 R]"),
            "annotations of numbers": paper(page=b"/Annots [1 (a) null]"),
            "name with a mark, big end": named_field(b"<FEFF0053006F0020006B00FD>"),
            "name with a mark, little end": named_field(b"<FFFE53006F00>"),
            "name in UTF-8": named_field(b"<EFBBBF53E1BB91>"),
            "name of half a letter": named_field(b"<FEFFD800>"),
            "name of odd length": named_field(b"<FEFF00>"),
            "name of every octet": named_field(b"<" + bytes(range(256)).hex().encode() + b">"),
            "name of nothing": named_field(b"()"),
            "name with a dot": named_field(b"(a.b)"),
            "name of 100,000 letters": named_field(b"(" + b"a" * 100_000 + b")"),
            "name is taken": named_field(b"(Signature1)"),
            "name is taken, in another encoding": named_field(
                b"<FEFF" + "Signature1".encode("utf-16-be").hex().upper().encode() + b">"
            ),
            "name is taken, in UTF-8": named_field(b"<EFBBBF" + b"Signature1".hex().upper().encode() + b">"),
        }
    ),
    *named(
        {
            "fields are no list": fields(b"17", {}),
            "form is a number": paper(b"/AcroForm 17"),
            "form is a page": paper(b"/AcroForm 3 0 R"),
            "name is a number": named_field(b"17"),
            "name is a name": named_field(b"/Ten"),
        }
    ),
    *named({"annotations are a number": paper(page=b"/Annots 17")}, DAMAGED),
    *named({"200,000 fields": lambda: many_fields(200_000), "field a hundred deep": lambda: deep_fields(100)}, LIMIT),
]
SHARED = named(
    {
        "annotations of two pages in one list": built(
            {
                **BASE,
                2: b"<< /Type /Pages /Kids [3 0 R 5 0 R] /Count 2 >>",
                3: BASE[3].removesuffix(b">>") + b"/Annots 6 0 R >>",
                5: BASE[3].removesuffix(b">>") + b"/Annots 6 0 R >>",
                6: b"[7 0 R]",
                7: b"<< /Type /Annot /Subtype /Link /Rect [10 10 60 30] /Border [0 0 1] /Dest [3 0 R /Fit] >>",
            }
        ),
    },
    options={"visible": LINE},
    same=False,
)
TARGETS = [
    *named(
        {
            "field demands what we have not": fields(
                b"[5 0 R]", {5: WIDGET % b"/FT /Sig /T (Duyet) /SV << /Ff 1 /Filter /Other >>"}, b"/Annots [5 0 R]"
            ),
            "field locks in an unknown way": fields(
                b"[5 0 R]", {5: WIDGET % b"/FT /Sig /T (Duyet) /Lock << /Action /Some >>"}, b"/Annots [5 0 R]"
            ),
        },
        DEMANDS,
        options={"field": "Duyet"},
    ),
    *named(
        {"field asked for is a text": named_field(b"(Duyet)"), "field asked for is not there": paper()},
        NO_FIELD,
        options={"field": "Duyet"},
    ),
    *named(
        {
            "field asked for": named_field(b"(Duyet)", b"/Sig"),
            "field asked for, named in another encoding": named_field(
                b"<FEFF" + "Duyet".encode("utf-16-be").hex().upper().encode() + b">", b"/Sig"
            ),
        },
        options={"field": "Duyet"},
    ),
]
THINGS: Sequence[Hostile] = [*TREES, *BOXES, *ACTIONS, *FORMS, *SHARED, *TARGETS]
