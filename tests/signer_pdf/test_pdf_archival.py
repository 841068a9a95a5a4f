"""What is signed stays PDF/A where it was PDF/A (signing.md 3.3, fonts; ISO 19005-1, -2).

Each form is put on a file of each part and looked through by rule: fonts, colours, transparency, flags, metadata,
output intent, filters, actions. Where veraPDF is installed, it is asked as well; version 1.30.2 has found nothing.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from signer.pdf.extend import extend_pdf
from signer.pdf.formtree import items, mapping, pages_of, resolved
from signer.pdf.marks import mark_pdf
from signer.pdf.options import PdfOptions, Visible
from signer.pdf.reading import PdfFile, State
from signer.pdf.sign import sign_pdf
from signer.pdf.values import Name, Stream, Value
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Integrity
from signer.trust import Context, Limits
from tests.signer_pdf.files import Office, build, run
from transport.demo.letter import sample

BOX = (20.0, 130.0, 36.0, 36.0)
FORMS: dict[str, Visible | None] = {
    "invisible": None,
    "signature": Visible("signature", box_mm=(100.0, 200.0, 50.0, 25.0), image=sample("signature.png")),
    "seal": Visible("seal", box_mm=BOX, image=sample("seal.png")),
    "number": Visible("number", box_mm=(20.0, 30.0, 20.0, 8.0), text="120"),
    "date": Visible("date", box_mm=(20.0, 50.0, 60.0, 8.0), text="ngày 20 tháng 11 năm 2026"),
    "t1": Visible("t1", text="Số: 15/QĐ-UBND"),
    "t2": Visible("t2", text="SAO Y; Sở Mẫu A"),
    "received": Visible("received", box_mm=(20.0, 70.0, 35.0, 50.0), text="Sở Mẫu B; 45; 21/11/2026"),
}
TRANSPARENT = ("signature", "seal")


def _fixed(value: float) -> bytes:
    return struct.pack(">i", round(value * 65536))


def profile(space: bytes = b"RGB ") -> bytes:
    """Return an ICC profile (ISO 15076-1, version 2.1): sRGB as matrix and curve, or grey with a curve."""
    white = b"XYZ \0\0\0\0" + _fixed(0.9642) + _fixed(1.0) + _fixed(0.8249)
    curve = b"curv\0\0\0\0\0\0\0\x01\x02\x33\0\0"
    words = b"Thu nghiem\0"
    said = b"desc\0\0\0\0" + struct.pack(">I", len(words)) + words + bytes(4 + 4 + 2 + 1 + 67)
    tags = [(b"desc", said), (b"cprt", b"text\0\0\0\0CC0\0"), (b"wtpt", white)]
    columns = ((0.4361, 0.2225, 0.0139), (0.3851, 0.7169, 0.0971), (0.1431, 0.0606, 0.7141))
    if space == b"RGB ":
        for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
            tags.append((name, b"XYZ \0\0\0\0" + b"".join(map(_fixed, column))))
        tags += [(name, curve) for name in (b"rTRC", b"gTRC", b"bTRC")]
    else:
        tags.append((b"kTRC", curve))
    at, table, body = 128 + 4 + 12 * len(tags), b"", b""
    for name, data in tags:
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, bytes(4), 0x02100000, b"mntr", space, b"XYZ ")
    head += (
        struct.pack(">6H", 2026, 11, 20, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(0.9642) + _fixed(1) + _fixed(0.8249)
    )
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


def archival(part: int, *, space: bytes | None = b"RGB ") -> bytes:
    """Return a PDF/A file of one page, level b, with a line drawn in the colours of its output intent (if any)."""
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF'
        ' xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about=""'
        ' xmlns:pdfaid="http://www.aiim.org/pdfa/ns/id/">'
        f"<pdfaid:part>{part}</pdfaid:part><pdfaid:conformance>B</pdfaid:conformance>"
        '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    ).encode()
    drawn = b"0 G 50 700 m 90 700 l S" if space else b"q Q"
    intent = (
        b"/OutputIntents [<< /Type /OutputIntent /S /GTS_PDFA1 /OutputConditionIdentifier (Thu)"
        b" /DestOutputProfile 6 0 R >>]"
    )
    colours = profile(space or b"RGB ")
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R /Metadata 5 0 R %s >>" % (intent if space else b""),
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595.276 841.89] /Resources << >> /Contents 4 0 R >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(drawn), drawn),
        b"<< /Type /Metadata /Subtype /XML /Length %d >>\nstream\n%s\nendstream" % (len(packet), packet),
        b"<< /N %d /Length %d >>\nstream\n%s\nendstream" % (1 if space == b"GRAY" else 3, len(colours), colours),
    ]
    made = build(objects, extra=b"/ID [<30313233343536373839414243444546> <30313233343536373839414243444546>]")
    return made.replace(b"%PDF-1.7", b"%PDF-1.4") if part == 1 else made


BASES = {
    "PDF/A-1b": (1, archival(1)),
    "PDF/A-2b": (2, archival(2)),
    "PDF/A-2b for grey output": (2, archival(2, space=b"GRAY")),
    "PDF/A-3b": (3, archival(3)),
}


class Archive:
    """A file, and what ISO 19005 forbids of what was added behind its first revision."""

    def __init__(self, data: bytes, part: int) -> None:
        self.data, self.part = data, part
        self.state: State = PdfFile(data, limits=Limits()).latest

    def faults(self) -> Iterator[str]:
        """Yield what is not as the standard wants it."""
        root = self.state.root
        if "Metadata" not in root or b"pdfaid:part" not in self._octets(root["Metadata"]):
            yield "metadata lost"
        if {"AA", "OpenAction", "OCProperties"} & root.keys():
            yield "actions or layers"
        if mapping(self.state, root.get("AcroForm")).get("NeedAppearances"):
            yield "NeedAppearances"
        if "ID" not in self.state.trailer or "Encrypt" in self.state.trailer:
            yield "no identifier, or encrypted"
        for page in pages_of(self.state):
            for reference in items(self.state, page.dictionary.get("Annots")):
                yield from self._annotation(mapping(self.state, reference))

    def _octets(self, value: Value) -> bytes:
        stream = resolved(self.state, value)
        assert isinstance(stream, Stream)
        return self.state.decoded(stream)

    def _annotation(self, one: Mapping[str, Value]) -> Iterator[str]:
        flags = one.get("F")
        if not isinstance(flags, int) or not flags & 4 or flags & (1 | 2 | 32):
            yield f"flags {flags!r}"
        if {"A", "AA", "CA", "C", "IC"} & one.keys():
            yield "action, colour or opacity of an annotation"
        appearance = mapping(self.state, one.get("AP"))
        rectangle = one.get("Rect")
        assert isinstance(rectangle, tuple)
        shown = rectangle[0] != rectangle[2]
        if appearance.keys() != {"N"} and (shown or self.part == 1):
            yield "no appearance, or more than the normal one"
        if appearance:
            yield from self._form(resolved(self.state, appearance["N"]))

    def _form(self, form: Value) -> Iterator[str]:
        if not isinstance(form, Stream) or {"PS", "Subtype2", "OPI", "Ref"} & form.dictionary.keys():
            yield "no form"
            return
        if mapping(self.state, form.dictionary.get("Group")) and self.part == 1:
            yield "transparency group"
        used = mapping(self.state, form.dictionary.get("Resources"))
        content = self._octets(form)
        if re.search(rb"(?<![\w.])(?:gs|ri|sh|BI|MP|DP|BMC|BDC|k|K)(?!\w)", re.sub(rb"<[^>]*>|/\w+", b"", content)):
            yield "an operator that needs more"
        named = mapping(self.state, used.get("ColorSpace"))
        for operator, name in ((rb"\b(?:rg|RG)\b", "DefaultRGB"), (rb"(?<![\w.])[gG](?!\w)", "DefaultGray")):
            space = resolved(self.state, named.get(name))
            if re.search(operator, content) and not (isinstance(space, tuple) and str(space[0]).startswith("Cal")):
                yield f"colours without {name}"
        for font in mapping(self.state, used.get("Font")).values():
            yield from self._font(mapping(self.state, font), content)
        for picture in mapping(self.state, used.get("XObject")).values():
            yield from self._picture(resolved(self.state, picture), named)

    def _picture(self, picture: Value, named: Mapping[str, Value]) -> Iterator[str]:
        assert isinstance(picture, Stream)
        entries = picture.dictionary
        if {"Interpolate", "Alternates", "OPI", "Intent"} & entries.keys() or entries.get("Filter") != Name(
            "FlateDecode"
        ):
            yield "picture"
        if "SMask" in entries and self.part == 1:
            yield "transparency"
        if f"Default{str(entries['ColorSpace']).removeprefix('Device')}" not in named:
            yield "colours of a picture"

    def _font(self, font: Mapping[str, Value], content: bytes) -> Iterator[str]:
        (below,) = items(self.state, font["DescendantFonts"])
        descendant = mapping(self.state, below)
        descriptor = mapping(self.state, descendant["FontDescriptor"])
        name = str(font["BaseFont"])
        if not re.fullmatch(r"[A-Z]{6}\+EdocSerif-?\w*", name) or str(descendant["BaseFont"]) != name:
            yield f"name {name}"
        if font["Encoding"] != Name("Identity-H") or descendant["CIDToGIDMap"] != Name("Identity"):
            yield "encoding"
        file = TTFont(BytesIO(self._octets(descriptor["FontFile2"])))
        told = _widths(descendant["W"])
        true = {number: file["hmtx"].metrics[glyph][0] for number, glyph in enumerate(file.getGlyphOrder())}
        shown = {int(code, 16) for row in re.findall(rb"<([0-9A-F]+)> Tj", content) for code in _codes(row)}
        letters = dict(re.findall(rb"<([0-9A-F]{4})> <([0-9A-F]{4,8})>", self._octets(font["ToUnicode"])))
        if any(told.get(number) != true[number] for number in told) or not shown & told.keys():
            yield "widths"
        if not {number for number, _ in letters.items()} >= {b"%04X" % number for number in shown & told.keys()}:
            yield "ToUnicode"
        present = self._octets(descriptor["CIDSet"])
        if any(not present[number // 8] & (0x80 >> number % 8) for number in true):
            yield "CIDSet"


def _codes(row: bytes) -> list[bytes]:
    return [row[at : at + 4] for at in range(0, len(row), 4)]


def _widths(value: Value) -> dict[int, int]:
    assert isinstance(value, tuple)
    return {number: width[0] for number, width in zip(value[::2], value[1::2], strict=True)}  # type: ignore[index, misc]


def asked_of_verapdf(data: bytes, part: int, folder: Path) -> None:
    """Let veraPDF look, if it is there."""
    (folder / "file.pdf").write_bytes(data)
    done = run("verapdf", "--flavour", f"{part}b", "--format", "text", str(folder / "file.pdf"))
    assert done.stdout.startswith(b"PASS"), done.stdout


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("base", BASES)
def test_each_form_leaves_an_archival_file_archival(base: str, form: str, office: Office) -> None:
    """But transparency in PDF/A-1, which is told: an opaque picture can be given instead."""
    part, data = BASES[base]
    signed = office.by_person(data, FORMS[form], level="t")
    transparent = part == 1 and form in TRANSPARENT
    assert [one.code for one in signed.warnings] == ([Code.PDFA_LEVEL] if transparent else [])
    assert list(Archive(signed.data, part).faults()) == (["transparency"] if transparent else [])
    assert signed.data.startswith(data)


def through_the_office(data: bytes, office: Office, part: int) -> bytes:
    """Return a file marked, signed by all hands, and lifted to LTA."""
    data = mark_pdf(data, "HỎA TỐC", box_mm=(60.0, 70.0, 30.0, 8.0))
    for form in FORMS:
        if form != "t2" and not (part == 1 and form in TRANSPARENT):
            data = office.by_person(data, FORMS[form], level="t").data
    return extend_pdf(data, to="lta", context=office.context, timestamper=office.timestamper).data


@pytest.mark.parametrize("base", BASES)
def test_a_file_that_went_through_all_hands_is_still_archival(base: str, office: Office) -> None:
    """Mark, seven signatures, validation data, archive time stamp."""
    part, data = BASES[base]
    assert list(Archive(through_the_office(data, office, part), part).faults()) == []


@pytest.mark.parametrize("base", BASES)
@pytest.mark.tool("verapdf")
@pytest.mark.timeout(900)
def test_verapdf_finds_nothing_either(base: str, office: Office, tmp_path: Path) -> None:
    """The reference checker of the standard: the file as it was, with each form, and after all hands."""
    part, data = BASES[base]
    asked_of_verapdf(data, part, tmp_path)
    for form, visible in FORMS.items():
        if part != 1 or form not in TRANSPARENT:
            asked_of_verapdf(office.by_person(data, visible, level="t").data, part, tmp_path)
    asked_of_verapdf(through_the_office(data, office, part), part, tmp_path)


def test_what_these_rules_look_for_they_find(office: Office) -> None:
    """A changed file of each kind, so that silence means something."""
    signed = office.by_person(BASES["PDF/A-2b"][1], FORMS["t1"], level="b").data
    damaged = {
        "flags 128": signed.replace(b"/F 132", b"/F 128"),
        "metadata lost": signed.replace(b"/Metadata 5 0 R", b"/Metadota 5 0 R"),
        "encoding": signed.replace(b"/Identity-H", b"/Identity-V"),
        "colours without DefaultGray": signed.replace(b"/DefaultGray", b"/DefaultGrey"),
        "widths": re.sub(rb"/W \[ 1 \[ \d+ \]", rb"/W [ 1 [ 1 ]", signed),
    }
    for fault, data in damaged.items():
        assert data != signed, fault
        assert fault in list(Archive(data, 2).faults()), fault


def test_an_invisible_signature_in_an_older_archival_file_has_an_appearance(office: Office, context: Context) -> None:
    """PDF/A-1 wants one in every field (ISO 19005-1, 6.9); elsewhere nothing is added."""
    first = office.by_person(BASES["PDF/A-1b"][1], level="b").data[len(BASES["PDF/A-1b"][1]) :]
    second = office.by_person(BASES["PDF/A-2b"][1], level="b").data[len(BASES["PDF/A-2b"][1]) :]
    assert b"/AP" in first
    assert b"/AP" not in second
    options = PdfOptions(at=office.now, level="b", general=True)
    other = sign_pdf(BASES["PDF/A-1b"][1], credential=office.person.credential, options=options)
    assert other.path == "general"
    assert list(Archive(other.data, 1).faults()) == []
    (one,) = inspect_pdf(other.data, context=context).signatures
    assert (one.integrity, one.appearance) == (Integrity.INTACT, None)


def test_the_profile_made_here_is_one() -> None:
    """Its size and its signature stand where they must."""
    for space in (b"RGB ", b"GRAY"):
        made = profile(space)
        assert struct.unpack(">I", made[:4])[0] == len(made)
        assert made[36:40] == b"acsp"
        assert zlib.crc32(made) != 0
