"""The reader: tokens, cross-references, object streams, filters, recovery, budgets (signing.md 4.1, D1, D2)."""

from __future__ import annotations

import base64
import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from signer.errors import InputRefused, LimitExceeded, SignerError
from signer.pdf.reading import PdfFile, State
from signer.pdf.reading.budget import Budget
from signer.pdf.reading.filters import decode
from signer.pdf.reading.lexer import Lexer
from signer.pdf.values import Name, Reference, Stream, String, Value
from signer.trust import Limits
from tests.signer_pdf.files import CONTENT, build, run, simple, update


def value_of(text: bytes) -> Value:
    """Read one value."""
    return Lexer(text, 100).value(0)[0]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"true", True),
        (b" % comment\n null", None),
        (b"-17", -17),
        (b"+.5", 0.5),
        (b"4.", 4.0),
        (b"--5", -5),
        (b"/A#20b", Name("A b")),
        (b"/", Name("")),
        (b"(a(b)c\\)\\n\\101\\\r\nd\r\ne)", String(b"a(b)c)\nAd\ne")),
        (b"<48 65 6C 6c 6>", String(b"Hell`")),
        (b"12 0 R", Reference(12, 0)),
        (b"[1 2 0 R/X(y)]", (1, Reference(2, 0), Name("X"), String(b"y"))),
        (b"<</A 1/B<</C[]>>/D null>>", {"A": 1, "B": {"C": ()}, "D": None}),
    ],
)
def test_values_are_read_as_the_standard_says(text: bytes, value: Value) -> None:
    """ISO 32000-1, 7.3."""
    found = value_of(text)
    assert found == value
    assert type(found) is type(value)


def test_a_key_given_twice_is_noticed() -> None:
    """Readers do not agree whether the first or the last counts (G5)."""
    lexer, other = Lexer(b"<</A 1/A 2>>", 100), Lexer(b"<</A 1/A 2>>", 100, first_wins=True)
    assert lexer.value(0)[0] == {"A": 2}
    assert other.value(0)[0] == {"A": 1}
    assert lexer.oddities


@pytest.mark.parametrize(
    ("name", "packed", "plain"),
    [
        ("FlateDecode", zlib.compress(b"abc" * 99), b"abc" * 99),
        ("Fl", zlib.compress(b"abc")[:-4], b"abc"),
        ("LZWDecode", bytes.fromhex("800b6050220c0c8501"), b"-----A---B"),
        ("ASCIIHexDecode", b"48 65 6C>", b"Hel"),
        ("ASCII85Decode", base64.a85encode(b"Van ban") + b"~>", b"Van ban"),
        ("RunLengthDecode", b"\x02abc\xfex\x80rest", b"abcxxx"),
    ],
)
def test_filters(name: str, packed: bytes, plain: bytes) -> None:
    """ISO 32000-1, 7.4."""
    assert decode(packed, [(name, {})], Budget(Limits())) == plain


@pytest.mark.parametrize("kind", range(5))
def test_png_predictors(kind: int) -> None:
    """Each row kind gives back what was there before."""
    rows = [bytes(range(row, row + 12)) for row in (0, 40, 7)]
    packed, above = b"", bytes(12)
    for row in rows:
        packed += bytes((kind,)) + bytes((row[i] - predicted(kind, row, above, i)) & 255 for i in range(12))
        above = row
    parameters: dict[str, Value] = {"Predictor": 10 + kind, "Colors": 3, "Columns": 4}
    out = decode(zlib.compress(packed), [("FlateDecode", parameters)], Budget(Limits()))
    assert out == b"".join(rows)


def predicted(kind: int, row: bytes, above: bytes, at: int) -> int:
    """Predict one octet as the PNG specification says."""
    left, up, corner = (row[at - 3] if at >= 3 else 0), above[at], (above[at - 3] if at >= 3 else 0)
    guess = left + up - corner
    paeth = min((left, up, corner), key=lambda one: abs(guess - one))
    return (0, left, up, (left + up) // 2, paeth)[kind]


def test_a_stream_that_swells_is_stopped() -> None:
    """Ratio 200, and 512 MB in all; the first step over it is named (4.3)."""
    bomb = zlib.compress(bytes(40 * 2**20), 9)
    with pytest.raises(LimitExceeded) as over:
        decode(bomb, [("FlateDecode", {})], Budget(Limits()))
    assert over.value.facts["limit"] == "pdf_stream_ratio"
    nested: list[tuple[str, dict[str, Value]]] = [("FlateDecode", {})] * 40
    with pytest.raises(LimitExceeded):
        decode(b"x", nested, Budget(Limits()))


def test_nesting_is_counted() -> None:
    """A hundred levels are enough for every real file."""
    assert value_of(b"[" * 99 + b"]" * 99)
    with pytest.raises(LimitExceeded):
        value_of(b"[" * 101 + b"]" * 101)


def test_revisions_and_what_they_redefine() -> None:
    """Each complete update is a state of its own; objects of later ones are not seen in earlier ones."""
    first = simple()
    second = update(first, {4: b"<< /Length 5 >>\nstream\n0 g f\nendstream", 9: b"(new)"})
    file = PdfFile(second)
    one, two = file.revisions
    assert (one.end, two.end) == (len(first), len(second))
    assert (one.revision, two.revision) == (1, 2)
    assert one.resolve(Reference(9, 0)) is None
    assert two.resolve(Reference(9, 0)) == String(b"new")
    assert two.redefined() == {Reference(4, 0), Reference(9, 0)}
    origin = two.origin(Reference(3, 0))
    assert origin is not None
    assert origin.revision == 1
    assert not file.damaged


def test_dangling_and_circular_references() -> None:
    """A dangling reference is null; one that leads to itself is refused, not followed for ever."""
    state = PdfFile(simple(more=[b"6 0 R", b"5 0 R"])).latest
    assert state.resolve(Reference(77, 0)) is None
    with pytest.raises(InputRefused):
        state.resolve(Reference(5, 0))


def same_document(one: State, other: State) -> bool:
    """Compare content of page and title of two states."""
    return all(content(state) == (b"0 0 1 RG 50 700 m 90 700 l S", 1) for state in (one, other))


def content(state: State) -> tuple[bytes, int]:
    """Return the content of the first page, and how many there are."""
    pages = state.resolve(state.root["Pages"])
    assert isinstance(pages, dict)
    kids = state.resolve(pages["Kids"])
    assert isinstance(kids, tuple)
    page = state.resolve(kids[0])
    assert isinstance(page, dict)
    stream = state.resolve(page["Contents"])
    if isinstance(stream, tuple):
        stream = state.resolve(stream[0])
    assert isinstance(stream, Stream)
    return state.decoded(stream).strip(), len(kids)


@pytest.mark.parametrize(
    "options",
    [
        ("--object-streams=generate",),
        ("--linearize",),
        ("--linearize", "--object-streams=generate"),
        ("--qdf", "--object-streams=disable"),
        ("--allow-weak-crypto", "--encrypt", "", "owner", "40", "--"),
        ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--"),
        ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--use-aes=y", "--"),
        ("--allow-weak-crypto", "--encrypt", "", "owner", "128", "--force-V4", "--cleartext-metadata", "--"),
        ("--encrypt", "", "owner", "256", "--"),
        ("--allow-weak-crypto", "--encrypt", "", "owner", "256", "--force-R5", "--"),
        ("--object-streams=generate", "--encrypt", "", "owner", "256", "--"),
    ],
)
def test_what_qpdf_writes_is_read_in_both_ways(options: tuple[str, ...], tmp_path: Path) -> None:
    """Object streams, linearised files, every kind of encryption with the empty password, strict and recovering."""
    if shutil.which("qpdf") is None:
        pytest.skip("qpdf is not installed")
    plain, made = tmp_path / "plain.pdf", tmp_path / "made.pdf"
    plain.write_bytes(simple())
    done = run("qpdf", *options, str(plain), str(made))
    if done.returncode != 0:
        pytest.skip(done.stderr.decode())
    file = PdfFile(made.read_bytes())
    assert same_document(file.latest, file.recovered())
    assert len(file.revisions) == 1
    assert not file.damaged


def test_another_password_is_needed(tmp_path: Path) -> None:
    """Only the empty password is tried (D5)."""
    if shutil.which("qpdf") is None:
        pytest.skip("qpdf is not installed")
    plain, made = tmp_path / "plain.pdf", tmp_path / "made.pdf"
    plain.write_bytes(simple())
    run("qpdf", "--encrypt", "secret", "owner", "256", "--", str(plain), str(made))
    with pytest.raises(InputRefused) as refused:
        PdfFile(made.read_bytes())
    assert refused.value.code == "EDOC-PDF-004"


DAMAGED: dict[str, Callable[[bytes], bytes]] = {
    "startxref off by one": lambda d: d.replace(b"startxref\n", b"startxref\n1"),
    "no startxref": lambda d: d[: d.rindex(b"startxref")],
    "no trailer": lambda d: d[: d.rindex(b"trailer")],
    "rows shifted": lambda d: d.replace(b"0000000015 00000 n", b"0000000017 00000 n"),
    "cut off behind the objects": lambda d: d[: d.rindex(b"xref\n0")],
    "bytes put in": lambda d: d.replace(b"2 0 obj", b"%comment put in\n2 0 obj"),
    "length wrong": lambda d: d.replace(b"/Length 28", b"/Length 11"),
    "previous section nowhere": lambda d: d.replace(b"/Root 1 0 R", b"/Root 1 0 R /Prev 7"),
    "chain in a circle": lambda d: d.replace(
        b"/Root 1 0 R", b"/Root 1 0 R /Prev %d" % int(d[d.rindex(b"startxref") + 10 :].split()[0])
    ),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_recovered_and_says_so(name: str) -> None:
    """The last definition wins, and the fault is named (D2)."""
    data = DAMAGED[name](simple())
    file = PdfFile(data)
    assert same_document(file.latest, file.recovered())
    assert file.damaged or file.oddities


def test_limits_of_a_file() -> None:
    """Size, updates, objects: over the limit is said by name."""
    data = simple()
    for limits, name in (
        (Limits(pdf_max_bytes=100), "pdf_max_bytes"),
        (Limits(pdf_objects=3), "pdf_objects"),
        (Limits(pdf_revisions=1), "pdf_revisions"),
    ):
        with pytest.raises(LimitExceeded) as over:
            PdfFile(update(data, {9: b"(x)"}), limits=limits)
        assert over.value.facts["limit"] == name


def everything(file: PdfFile) -> None:
    """Read all that a file holds, in both readings."""
    for state in (*file.revisions, file.recovered()):
        for reference in state.references():
            try:
                value = state.resolve(reference)
                if isinstance(value, Stream):
                    state.decoded(value)
            except InputRefused:
                continue
        state.redefined()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    place=st.integers(0, 10**6),
    length=st.integers(0, 40),
    put=st.sampled_from(
        [b"", b"obj", b"endstream", b"<<", b">>", b"/Prev 9", b"stream\n", b"99999999999999999999", b"("]
    ),
    stream=st.booleans(),
)
@example(place=10**6, length=0, put=b"", stream=True)
def test_no_file_gets_past_our_errors(place: int, length: int, put: bytes, stream: bool) -> None:
    """Whatever the bytes are, reading ends with values or with our own errors (A5)."""
    data = build([b"<< /Type /Catalog /Pages 2 0 R >>", b"<< /Type /Pages /Kids [] >>", CONTENT], stream=stream)
    at = place % (len(data) + 1)
    changed = data[:at] + put + data[at + length :]
    code = "EDOC-PDF-000"
    try:
        everything(PdfFile(changed))
    except SignerError as error:
        code = error.code
    assert code.startswith("EDOC-PDF-")
