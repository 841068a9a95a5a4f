"""Attack files of PDF, class by class of signing.md 10, A3: one fault each, and the harmless neighbour beside it."""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Callable, Sequence
from dataclasses import replace

from signer.devpki import DevIdentity
from signer.report import Code
from tests.signer_cms import cmsforge
from tests.signer_cms.cmsforge import Cms, Signer, attribute, octets, sequence
from tests.signer_pdf import forge as shapes
from tests.signer_pdf.attackforge import CATALOG, CONTENT, FIRST, OBJECTS, Ink, Paper, stream
from tests.signer_pdf.forge import Shape, number_of_range
from tests.signer_pdf.test_pdf_attacks import ATTACKS, HARMLESS, leader_widget
from tests.signer_pdf.test_pdf_comparing import certified, docmdp, noted, number_filled
from tests.signer_pdf.test_pdf_judging import hidden_behind, shadowed, zeroed
from tests.vectors.verification import situations
from tests.vectors.verification.attack import Attack, Make, one
from tests.vectors.verification.house import UNKNOWN, VISIBLE, Case, House, failed, undecided

SUSPECT = {"covers": "revision", "later": "suspect"}
BROKEN = failed(Code.FORMAT_FAILURE, **SUSPECT)
RANGE = failed(Code.FORMAT_FAILURE, covers="partial")
TWOFOLD = failed(Code.FORMAT_FAILURE, covers="partial", crypto="unknown", later="suspect")
UNREAD = failed(Code.FORMAT_FAILURE, covers="partial", crypto="unknown")
OTHER = b"<< /Type /Sig /Filter /X /SubFilter /%F "


def shape(made: Shape) -> Make:
    """Return a file of the forge of spellings."""
    return lambda house: house.case(shapes.forge(house.rsa, made))


def after(*names: str) -> dict[str, Make]:
    """Return updates of the visibly signed letter, by their names among the attacks."""
    return {name: by(ATTACKS[name][0]) for name in names}


def by(change: Callable[[Paper], Paper]) -> Make:
    """Return the signed letter after a change."""
    return lambda house: house.case(change(house.letter).data)


def harmless(name: str) -> Make:
    """Return a harmless update of the same letter."""
    return lambda house: house.case(HARMLESS[name][0](house.letter).data)


def flipped(place: Callable[[bytes], int]) -> Make:
    """Return the small signed file with one bit of one covered byte turned."""

    def make(house: House) -> Case:
        data, at = house.small, place(house.small)
        return house.case(data[:at] + bytes((data[at] ^ 1,)) + data[at + 1 :])

    return make


def at(text: bytes, offset: int = 0) -> Callable[[bytes], int]:
    """Return where a text begins, plus an offset."""
    return lambda data: data.index(text) + offset


REGIONS: dict[str, Make] = {
    "header": flipped(at(b"%PDF-1.", 7)),
    "catalog": flipped(at(b"/Catalog", 2)),
    "page": flipped(at(b"841.89")),
    "page content": flipped(at(b"50 700 m")),
    "field": flipped(at(b"(Signature1)", 3)),
    "signature dictionary": flipped(at(b"/Adobe.PPKLite", 4)),
    "cross-references": flipped(at(b"00000 n", 1)),
    "trailer": flipped(lambda data: data.rindex(b"/Size") + 2),
    "number behind startxref": flipped(lambda data: data.rindex(b"startxref") + 10),
}


# --- the signature dictionary ----------------------------------------------------------------------------------------


def moved(paper: Paper) -> Paper:
    """Let the field point at a copy of the signature dictionary that an update brings."""
    value = leader_widget(paper) + 1
    field = paper.objects[leader_widget(paper)].replace(b"/V %d 0 R" % value, b"/V %d 0 R" % paper.size)
    return paper.update({leader_widget(paper): field, paper.size: paper.objects[value]})


def packed(paper: Paper) -> Paper:
    """Define the signature dictionary a second time, in an object stream."""
    value = leader_widget(paper) + 1
    other = paper.objects[value].replace(b"/Type /Sig", b"/Type /Sig /Reason (khac)")
    return paper.packed({value: other})


def other_overlay(house: House, *, exchange: bool) -> Case:
    """A number drawn by a later signature; then its picture exchanged by an update."""
    paper = house.forge.sign(house.letter, b"Van thu", Ink(b"60 100 160 140", b"BT /F1 9 Tf (So 120) Tj ET"))
    if not exchange:
        return house.case(paper.data)
    drawn = max(number for number, body in paper.objects.items() if b"(So 120)" in body)
    return house.case(paper.changed(drawn, b"(So 120)", b"(So 999)").data)


def large_overlay(house: House, *, share: float) -> Case:
    """A later signature whose widget takes that share of the page."""
    rect = b"0 0 595 %d" % (842 * share)
    return house.case(house.forge.sign(house.letter, b"Van thu", replace(VISIBLE, rect=rect)).data)


# --- permissions -----------------------------------------------------------------------------------------------------


def under(level: int, change: Callable[[Paper], Paper]) -> Make:
    """Return a change of a letter certified at that level."""
    return lambda house: house.case(change(certified(house.forge, level)).data)


def locked(house: House, *, fields: bytes) -> Case:
    """A blank field filled after a signature that locks these fields."""
    ink = Ink(entries=b" /Lock << /Type /SigFieldLock /Action /Include /Fields [%s] >>" % fields)
    return house.case(number_filled(house.forge.sign(Paper.new(), b"Lanh dao", ink)).data)


def certified_twice(house: House, *, named: bool) -> Case:
    """A second certification, and ``/Perms`` led to it."""
    paper = certified(house.forge, 2)

    def more(objects: dict[int, bytes], value: int) -> dict[int, bytes]:
        return {CATALOG: re.sub(rb"/DocMDP \d+ 0 R", b"/DocMDP %d 0 R" % value, objects[CATALOG])} if named else {}

    ink = Ink(value=docmdp(2)) if named else Ink()
    return house.case(house.forge.sign(paper, b"Hai", ink, more=more).data)


# --- the CMS inside --------------------------------------------------------------------------------------------------


def cms(make: Callable[[House, bytes], bytes]) -> Make:
    """Return a small file whose signature value is made so over the covered bytes."""

    def case(house: House) -> Case:
        made = Shape(sub_filter=b"ETSI.CAdES.detached", make=lambda _identity, data: make(house, data))
        return house.case(shapes.forge(house.rsa, made))

    return case


def signer(house: House, data: bytes, **more: object) -> Signer:
    """Return the usual signer of such a value."""
    return Signer(house.person, data, **more)  # type: ignore[arg-type]  # fields by name


def own_content(house: House, data: bytes, *, other: bytes) -> bytes:
    """A value over content it brings itself."""
    content = other or data
    return Cms((signer(house, content),), content).encoded()


def twice(name: str) -> Callable[[dict[str, bytes]], Sequence[bytes]]:
    """Return a change that repeats an attribute."""
    return lambda found: [*sorted(found.values()), found[name]]


def with_attribute_twice(name: str) -> Callable[[House, bytes], bytes]:
    """Return a maker of a value that has an attribute twice."""
    return lambda house, data: Cms((signer(house, data, change=twice(name)),)).encoded()


def two_signers(house: House, data: bytes, *, good: bool) -> bytes:
    """Two SignerInfos; the second over the data, or over something else."""
    second = Signer(house.second, data if good else b"another letter")
    return Cms((signer(house, data), second)).encoded()


def reference(house: House, data: bytes, certificate: bytes) -> bytes:
    """A reference to the signer's certificate that is one to another."""
    ess = sequence(sequence(sequence(octets(hashlib.sha256(certificate).digest()))))
    named = attribute("signing_certificate_v2", ess)
    change = lambda found: sorted({**found, "signing_certificate_v2": named}.values())  # noqa: E731  # one of many
    return Cms((signer(house, data, change=change),)).encoded()


def swapped(house: House, data: bytes) -> bytes:
    """The signer's certificate taken out and another person's put in its place."""
    return Cms((signer(house, data),), certificates=(house.second.certificate, *house.second.chain)).encoded()


def stamped(house: House, data: bytes, *, foreign: bool) -> bytes:
    """A time stamp over the value, or over another's."""
    fixed = signer(house, data).with_unsigned()
    assert fixed.value is not None
    over = b"the value of another signature" if foreign else fixed.value
    return Cms((fixed.with_unsigned(cmsforge.stamp("signature_time_stamp_token", over, house.stamps())),)).encoded()


def by_stranger(identity: DevIdentity, data: bytes) -> bytes:
    """A value that is no CMS at all."""
    return b"\x01\x02\x03"


# --- bombs -----------------------------------------------------------------------------------------------------------

BOMB = zlib.compress(bytes(60 * 2**20), 9)


def bombed(house: House, *, change: bool) -> Case:
    """A page content that swells a thousandfold was signed; an update touches its page."""
    content = b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(BOMB), BOMB)
    paper = house.forge.sign(Paper.new({**OBJECTS, CONTENT: content}), b"Lanh dao")
    if change:
        other = content.replace(b"/FlateDecode", b"/FlateDecode /DecodeParms << /Predictor 1 >>")
        paper = paper.update({CONTENT: other})
    return house.case(paper.data)


def nested(house: House) -> Case:
    """An update with an array of a hundred thousand levels on a page."""
    depth = 100_000
    deep = b"[" * depth + b"]" * depth
    return house.case(house.letter.added(FIRST, b"/Thumb 90 0 R", {90: deep}).data)


PDF: tuple[Attack, ...] = (
    Attack(
        "a byte flipped",
        "one bit of one covered byte, in every region of the file",
        REGIONS,
        failed(Code.HASH_FAILURE, crypto="bad"),
        (Code.HASH_FAILURE,),
        neighbour=lambda h: h.case(h.small),
        beside="the file as it was",
        also=("test_pdf_one_changed_byte.py::test_a_small_file_with_one_byte_changed",),
    ),
    Attack(
        "range not from 0",
        "the signed range begins behind the first byte",
        one(shape(Shape(numbers=number_of_range(0, 1)))),
        UNREAD,
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape()),
        beside="the range as writers set it",
    ),
    Attack(
        "range short",
        "the range ends inside the update, or before the signature value",
        {
            "the second part": shape(Shape(numbers=number_of_range(3, -30))),
            "the first part": shape(Shape(numbers=number_of_range(1, -2))),
        },
        RANGE,
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape(numbers=number_of_range(3, -1))),
        beside="a range that leaves out the last line end",
    ),
    Attack(
        "range long",
        "the range reaches into the value, or past the end of the file",
        {
            "into the value": shape(Shape(numbers=number_of_range(1, 2))),
            "past the end": shape(Shape(numbers=number_of_range(3, 1))),
        },
        RANGE,
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape(end=b"%%EOF \r\n\r\n")),
        beside="white space behind the end, all of it covered",
        lines={"past the end": UNREAD, "into the value": failed(Code.HASH_FAILURE, crypto="bad", covers="partial")},
    ),
    Attack(
        "range of other than four numbers",
        "six numbers, two, names, none",
        {
            "six": shape(Shape(numbers=lambda n: b"[0 %d %d 9 9 9" % n[:2])),
            "two": shape(Shape(numbers=lambda n: b"[0 %d" % n[0])),
            "names": shape(Shape(numbers=lambda n: b"[/A /B /C /D")),
            "none": shape(Shape(dictionary=OTHER + b"/Contents %C >>")),
        },
        UNREAD,
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape(dictionary=OTHER + b"/Contents %C /ByteRange 8 0 R >>", more=((8, b"%R"),))),
        beside="the range in an object of its own",
        also=("test_pdf_coverage.py::test_what_does_not_cover_the_document_is_broken",),
    ),
    Attack(
        "gap larger than the value",
        "the gap leaves out an entry behind the value, or a second string",
        {
            "an entry": shape(
                Shape(
                    dictionary=OTHER + b"/ByteRange %R /Contents %C /Reason (x) >>",
                    numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 12, n[2] - 12),
                )
            ),
            "a string": shape(
                Shape(
                    dictionary=OTHER + b"/ByteRange %R /Contents %C <00> >>",
                    numbers=lambda n: b"[0 %d %d %d" % (n[0], n[1] + 5, n[2] - 5),
                )
            ),
        },
        RANGE,
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape(numbers=number_of_range(1, -1))),
        beside="a gap with the blank before the value",
        lines={"a string": TWOFOLD},
    ),
    Attack(
        "gap elsewhere",
        "the gap is another string of the dictionary than `/Contents`",
        one(shape(Shape(dictionary=OTHER + b"/ByteRange %R /Contents <" + b"0" * 200 + b"> /Other %C >>"))),
        failed(Code.FORMAT_FAILURE, covers="partial", crypto="unknown"),
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape(dictionary=OTHER + b"/Other <00ff> /ByteRange %R /Contents %C >>")),
        beside="another string beside the value",
    ),
    Attack(
        "second Contents",
        "the key stands twice in the dictionary",
        one(shape(Shape(dictionary=OTHER + b"/ByteRange %R /Contents %C /Contents <00> >>"))),
        TWOFOLD,
        (Code.BYTE_RANGE_INVALID,),
        neighbour=shape(Shape(form=b"<< /Fields [6 0 R] /SigFlags 3 /SigFlags 3 >>")),
        beside="a key of the form twice with one value",
    ),
    Attack(
        "dictionary used again",
        "a second field is led to the leader's signature",
        after("signature dictionary used again"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=situations.sealed_after,
        beside="further signatures with dictionaries of their own",
        signature="Lanh dao",
    ),
    Attack(
        "dictionary moved",
        "an update brings a copy of the dictionary and leads the field to it",
        one(by(moved)),
        RANGE,
        (Code.BYTE_RANGE_INVALID,),
        signature="Lanh dao",
        neighbour=harmless("objects renumbered"),
        beside="page, font and note under other numbers",
    ),
    Attack(
        "dictionary in an object stream",
        "an update defines it a second time, in an object stream",
        one(by(packed)),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        signature="Lanh dao@2",
        neighbour=harmless("everything in an object stream"),
        beside="everything else in an object stream",
    ),
    Attack(
        "page changed",
        "text exchanged (and taken back), added, removed; pages added, removed, turned, cut, in another order",
        after(
            "content exchanged",
            "content exchanged and taken back",
            "content added",
            "content freed",
            "page added",
            "page put first",
            "page removed",
            "page turned",
            "page cut",
            "pages in another order",
            "other page tree",
        ),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("content coded otherwise"),
        beside="the same content compressed, or in pieces",
    ),
    Attack(
        "font changed",
        "the font a page uses is exchanged, so that its letters are others",
        after("font exchanged", "font exchanged by its name", "font of the page freed"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("unused font added"),
        beside="a font no page uses",
    ),
    Attack(
        "picture changed",
        "a picture or drawing of a page is exchanged",
        after("picture exchanged", "drawing exchanged", "drawing that hides"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("unused object exchanged"),
        beside="an object exchanged that nobody reaches",
    ),
    Attack(
        "layer changed",
        "layers are switched off, freed, taken away",
        after("layer switched off", "layers freed", "layers taken away"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("everything written anew"),
        beside="the same layers written anew",
    ),
    Attack(
        "action added",
        "scripts on opening, on pages, on fields; links and bookmarks that lead elsewhere",
        after(
            "action on opening",
            "action of a page",
            "script by name",
            "link goes elsewhere",
            "bookmark goes elsewhere",
            "action of a field",
        ),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("private data of a program"),
        beside="private data a program leaves",
    ),
    Attack(
        "attachment added",
        "a file embedded, associated or pinned on",
        after("file embedded", "file associated", "file pinned on"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("validation data"),
        beside="validation data in `/DSS`",
    ),
    Attack(
        "overlay exchanged",
        "the picture of a later signature, or the value of a filled field, is exchanged",
        {
            "of a later signature": lambda h: other_overlay(h, exchange=True),
            **after("value exchanged", "appearance of a value exchanged"),
        },
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        signature="Lanh dao",
        neighbour=lambda h: other_overlay(h, exchange=False),
        beside="the number drawn by a later signature",
    ),
    Attack(
        "overlay over-large",
        "a later signature paints over more than a quarter of the page",
        one(lambda h: large_overlay(h, share=0.5)),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        signature="Lanh dao",
        neighbour=lambda h: large_overlay(h, share=0.2),
        beside="one that takes a fifth",
    ),
    Attack(
        "hidden content switched on",
        "a layer that was off when the leader signed is switched on",
        after("hidden layer switched on"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=lambda h: h.case(h.letter.data),
        beside="the same layer, still off: a trick not yet played",
    ),
    Attack(
        "annotation over text",
        "text, a stamp, a white rectangle, a black bar laid over the page",
        after("text laid over", "text laid over and taken back", "stamp laid over", "white rectangle", "blackened"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=under(3, noted),
        beside="a note where the certification permits notes",
    ),
    Attack(
        "signature removed",
        "taken out of form and page, out of the form alone, emptied",
        after("signature removed", "signature taken out of the form alone", "signature emptied"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        signature="Lanh dao",
        neighbour=harmless("empty place that shows nothing"),
        beside="an empty place for one more signature",
    ),
    Attack(
        "picture of the signature changed",
        "its appearance, place or visibility is another",
        after("picture of the signature exchanged", "signature moved", "signature hidden"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        signature="Lanh dao",
        neighbour=harmless("metadata saved"),
        beside="metadata saved",
    ),
    Attack(
        "update behind the last section",
        "objects behind the end that only recovering readers see",
        one(lambda h: h.case(hidden_behind(h.small))),
        BROKEN,
        (Code.READINGS_DIFFER,),
        neighbour=lambda h: h.case(h.small + b"\nghi chu\n"),
        beside="words behind the end that form nothing",
    ),
    Attack(
        "two-faced hybrid",
        "the table leads to one page content, the stream for newer readers to another",
        one(situations.hybrid),
        BROKEN,
        (Code.READINGS_DIFFER,),
        neighbour=situations.honest_hybrid,
        beside="a hybrid file as word processors write it",
        also=("test_pdf_judging.py::test_a_hybrid_file_that_shows_two_faces_is_not_signed",),
    ),
    Attack(
        "object numbers shadowed",
        "a second definition of an object that no table names",
        one(lambda h: h.case(shadowed(h.small))),
        BROKEN,
        (Code.READINGS_DIFFER,),
        neighbour=harmless("object nobody reaches"),
        beside="an object nobody reaches",
        also=("test_pdf_fresh_attacks.py::test_two_rows_for_one_object_are_suspect",),
    ),
    Attack(
        "page freed",
        "the object of a page is freed",
        after("page freed"),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=harmless("unused object freed"),
        beside="an object freed that nobody uses",
    ),
    Attack(
        "against P=1",
        "a field filled, a note, a further signature although nothing may change",
        {
            "field": under(1, number_filled),
            "signature": lambda h: h.case(h.forge.sign(certified(h.forge, 1), b"Van thu", VISIBLE).data),
        },
        BROKEN,
        (Code.PERMISSION_VIOLATED,),
        signature="Lanh dao",
        neighbour=under(
            1, lambda paper: paper.added(CATALOG, b"/DSS << /Certs [90 0 R] >>", {90: stream(b"certificate")})
        ),
        beside="validation data under P=1",
    ),
    Attack(
        "against P=2",
        "a note although only forms may be filled",
        one(under(2, noted)),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        neighbour=under(2, number_filled),
        beside="a blank field filled under P=2",
    ),
    Attack(
        "lock violated",
        "a field filled that the signature locks",
        one(lambda h: locked(h, fields=b"(So)")),
        BROKEN,
        (Code.PERMISSION_VIOLATED,),
        neighbour=lambda h: locked(h, fields=b"(Ten)"),
        beside="a field filled that it does not lock",
        also=("test_pdf_comparing.py::test_a_lock_of_a_later_signer_counts_for_all",),
    ),
    Attack(
        "two certifications",
        "a later signer certifies too and leads `/Perms` to himself",
        one(lambda h: certified_twice(h, named=True)),
        BROKEN,
        (Code.LATER_CHANGE_SUSPECT,),
        signature="Lanh dao",
        neighbour=lambda h: certified_twice(h, named=False),
        beside="an approval after the certification",
    ),
    Attack(
        "CMS with content of its own",
        "a detached value brings content that alone it fits",
        one(cms(lambda h, data: own_content(h, data, other=b"another letter"))),
        failed(Code.HASH_FAILURE, crypto="bad"),
        (Code.HASH_FAILURE,),
        neighbour=cms(lambda h, data: own_content(h, data, other=b"")),
        beside="content of its own that is the covered bytes",
    ),
    Attack(
        "two SignerInfos",
        "the second signer's value is over something else",
        one(cms(lambda h, data: two_signers(h, data, good=False))),
        failed(Code.HASH_FAILURE, crypto="bad"),
        (Code.HASH_FAILURE,),
        signature="Ky#1",
        neighbour=cms(lambda h, data: two_signers(h, data, good=True)),
        beside="two signers of the same bytes",
    ),
    Attack(
        "attribute twice",
        "`message-digest` or `content-type` repeated among the signed attributes",
        {name: cms(with_attribute_twice(name)) for name in ("message_digest", "content_type")},
        failed(Code.FORMAT_FAILURE),
        (Code.MALFORMED,),
        neighbour=cms(lambda h, data: Cms((signer(h, data, unsigned=(attribute("1.2.3.4", b"\x05\x00"),)),)).encoded()),
        beside="an attribute nobody knows",
    ),
    Attack(
        "certificate exchanged",
        "the signed reference names another certificate than the one whose key fits",
        one(cms(lambda h, data: reference(h, data, h.second.certificate))),
        failed(Code.FORMAT_FAILURE),
        (Code.SIGNING_CERTIFICATE_MISMATCH,),
        neighbour=cms(
            lambda h, data: Cms(
                (signer(h, data),),
                certificates=(h.second.certificate, h.person.certificate, *h.person.chain),
            ).encoded()
        ),
        beside="a stranger's certificate beside the signer's",
        also=("test_cms_attacks.py::test_a_certificate_of_another_name_is_nobodys_signature",),
    ),
    Attack(
        "certificate taken away",
        "the signer's certificate replaced by another person's",
        one(cms(swapped)),
        undecided(Code.NO_SIGNING_CERTIFICATE_FOUND, crypto="unknown"),
        neighbour=cms(lambda h, data: Cms((signer(h, data),)).encoded()),
        beside="the certificate in its place",
    ),
    Attack(
        "foreign time stamp",
        "the time stamp of another signature",
        one(cms(lambda h, data: stamped(h, data, foreign=True))),
        undecided(Code.SIG_CONSTRAINTS_FAILURE),
        (Code.TIMESTAMP_INVALID,),
        neighbour=cms(lambda h, data: stamped(h, data, foreign=False)),
        beside="its own time stamp",
        also=("test_pdf_long_term.py::test_a_foreign_stamp_is_broken",),
    ),
    Attack(
        "value of zeros",
        "`/Contents` holds nothing but zeros",
        one(lambda h: h.case(zeroed(h.small))),
        failed(Code.FORMAT_FAILURE, crypto="unknown"),
        neighbour=shape(Shape(spell=shapes.mixed_case)),
        beside="digits in mixed case",
    ),
    Attack(
        "unknown SubFilter",
        "a signature of a kind that nobody can check",
        one(shape(Shape(sub_filter=b"Example.other", make=by_stranger))),
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, **UNKNOWN),
        (Code.SUBFILTER_UNKNOWN,),
        neighbour=shape(Shape(sub_filter=b"Example.cms")),
        beside="an unknown name over a CMS that holds",
    ),
    Attack(
        "bombs",
        "a stream that swells a thousandfold, in the way of the comparison; an array of a hundred thousand levels",
        {"stream": lambda h: bombed(h, change=True), "nesting": nested},
        undecided(Code.CRYPTO_CONSTRAINTS_FAILURE, integrity="unknown", **SUSPECT),
        (Code.LIMIT_EXCEEDED,),
        neighbour=lambda h: bombed(h, change=False),
        beside="the same stream where nobody must read it",
        also=("test_pdf_reading.py::test_a_stream_that_swells_is_stopped",),
    ),
)
"""A3, PDF."""
