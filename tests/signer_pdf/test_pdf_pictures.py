"""Pages compared as pictures: what looks different is told, what may differ is masked, a worker decides nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import pytest

from signer.algorithms import PolicyName, Scheme
from signer.devpki import DevIdentity
from signer.pdf import looking, pictures, pictureworker, verify
from signer.pdf.comparing.compare import Later
from signer.pdf.comparing.graph import Meter
from signer.pdf.comparing.view import View
from signer.pdf.pictures import Compared, Look, Size, compare_pictures, differs, pixels_of
from signer.pdf.reading import PdfFile
from signer.pdf.sign import SignedPdf, Visible
from signer.pdf.verify import inspect_pdf
from signer.report import Code, Indication, Integrity, LaterChanges, Report, Verdict
from signer.trust import Context, Pictures
from tests.signer_pdf.attackforge import CATALOG, FIRST, SECOND, Forge, Ink, Paper, stream, with_annotation
from tests.signer_pdf.files import Office, run, simple, update
from tests.signer_pdf.test_pdf_attacks import ATTACKS, HARMLESS
from tests.signer_pdf.test_pdf_comparing import certified, name_changed, noted, number_filled
from transport.demo.letter import LETTER, sample

pytestmark = pytest.mark.skipif(not pictures.is_possible(), reason="the extra preview (pypdfium2) is not installed")

A4: Size = (595.276 / 72 * 25.4, 841.89 / 72 * 25.4)
LARGE: Size = (127.0, 127.0)
"""A page whose pictures have 500 pixels a side."""
BOUNDS = Pictures()


@pytest.fixture(scope="module")
def forge(person: DevIdentity) -> Forge:
    """A forge with a person's key."""
    return Forge(person.credential, Scheme.ECDSA_SHA256)


@pytest.fixture(scope="module")
def paper(forge: Forge) -> Paper:
    """The document of the forge, signed by the leader with a visible signature."""
    return forge.sign(Paper.new(), b"Lanh dao", Ink(b"300 200 400 250", b"BT /F1 9 Tf (Da ky) Tj ET"))


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the comparison of revisions overlook every change, as a fault in it would."""

    def see_nothing(_revisions: object, signed: Sequence[object], **_: object) -> tuple[Later, ...]:
        return tuple(Later(later_changes=LaterChanges.ALLOWED) for _one in signed)

    monkeypatch.setattr(verify, "compare", see_nothing)


def looked(data: bytes, context: Context, bounds: Pictures = BOUNDS) -> Report:
    """Judge a file, pictures included."""
    return inspect_pdf(data, context=replace(context, pictures=bounds))


def compared(data: bytes, end: int, *pages: int, size: Size = A4) -> tuple[int, ...]:
    """Compare the file with what it was up to ``end``, nothing masked."""
    sizes = dict.fromkeys(pages or (1,), size)
    found = compare_pictures(data, [Look(end, sizes)], latest=sizes, bounds=BOUNDS)
    assert found is not None
    assert found.whole
    return found.pages[0]


# what may differ


def test_a_letter_with_number_date_and_seal_looks_as_it_was_signed(
    steps: tuple[SignedPdf, ...], context: Context
) -> None:
    for step in steps:
        report = looked(step.data, context)
        assert report == inspect_pdf(step.data, context=context)
        assert report.verdict is Verdict.VALID


def test_only_the_masks_hide_the_number_the_date_and_the_seal(steps: tuple[SignedPdf, ...]) -> None:
    """The pictures are real: without the boxes of what was signed later each step is seen."""
    for before, after in pairwise(steps):
        assert compared(after.data, len(before.data)) == (1,)
    assert compared(steps[-1].data, len(steps[-1].data)) == ()


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_masks_fit_pages_that_are_rotated_cropped_and_of_another_unit(
    office: Office, context: Context, turn: int
) -> None:
    page = b"/Rotate %d /CropBox [30 40 400 560] /UserUnit 1.5" % turn
    leader = office.by_person(simple(page=page), level="b").data
    mark = Visible("number", box_mm=(20, 30, 60, 10), text="Số: 120/SMA-VP")
    data = office.by_agency(leader, mark, level="b").data
    state = PdfFile(data).latest
    view = View(state, Meter(1000))
    assert compared(data, len(leader), size=looking.sheet_of(view, view.pages[0]).size) == (1,)
    report = looked(data, context)
    assert report == inspect_pdf(data, context=context)
    assert report.signatures[0].integrity is Integrity.INTACT


@pytest.mark.parametrize("name", HARMLESS)
def test_what_is_harmless_changes_no_picture(paper: Paper, context: Context, name: str) -> None:
    data = HARMLESS[name][0](paper).data
    assert looked(data, context) == inspect_pdf(data, context=context)


@pytest.mark.parametrize(
    ("level", "act"),
    [(2, number_filled), (2, name_changed), (3, name_changed), (3, noted)],
    ids=lambda one: getattr(one, "__name__", str(one)),
)
def test_what_a_certification_allows_is_masked(forge: Forge, context: Context, level: int, act: object) -> None:
    assert callable(act)
    data = act(certified(forge, level)).data
    report = looked(data, context)
    assert report.signatures[0].integrity is Integrity.INTACT
    assert report == inspect_pdf(data, context=context)


def test_a_comment_that_is_allowed_is_masked_and_was_seen(forge: Forge, context: Context) -> None:
    before = certified(forge, 3)
    square = b"<< /Type /Annot /Subtype /Square /Rect [400 600 460 660] /C [1 0 0] /AP << /N 22 0 R >> >>"
    after = noted(before, square)
    assert compared(after.data, len(before.data)) == (1,)
    assert looked(after.data, context) == inspect_pdf(after.data, context=context)


# what may not

VISIBLE = (
    "content exchanged",
    "content taken away",
    "content of another page",
    "content coded otherwise, and otherwise",
    "font exchanged",
    "drawing exchanged",
    "drawing that hides",
    "page turned",
    "page cut",
    "pages cut by what they inherit",
    "page added",
    "page put first",
    "page removed",
    "pages in another order",
    "other page tree",
    "other catalog",
    "layer switched off",
    "text laid over",
    "white rectangle",
    "note removed",
    "appearance of a value exchanged",
    "field moved",
    "field hidden",
    "unsigned field that paints",
    "signature removed",
    "signature moved",
    "signature hidden",
    "picture of the signature exchanged",
)
"""Attacks that a reader sees on the page; others act, or tell otherwise what the page shows."""


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("name", VISIBLE)
def test_an_attack_that_the_comparison_overlooks_is_seen(paper: Paper, context: Context, name: str) -> None:
    (leader,) = looked(ATTACKS[name][0](paper).data, context).signatures
    assert Code.VISUAL_DIFFERENCE in [reason.code for reason in leader.reasons]


@pytest.mark.usefixtures("blind")
def test_a_page_that_looks_different_leaves_the_bytes_intact_and_asks_for_a_person(
    paper: Paper, context: Context
) -> None:
    forged = paper.changed(6, b"(Trang hai)", b"(Trang 222)")  # on page two
    report = looked(forged.data, context)
    (leader,) = report.signatures
    assert (leader.integrity, leader.later_changes) == (Integrity.INTACT, LaterChanges.ALLOWED)
    assert (leader.indication, leader.sub_indication) == (Indication.INDETERMINATE, Code.SIG_CONSTRAINTS_FAILURE)
    assert leader.reasons[0].code is Code.SIG_CONSTRAINTS_FAILURE
    assert [reason.facts["page"] for reason in leader.reasons if reason.code is Code.VISUAL_DIFFERENCE] == ["2"]
    assert report.verdict is Verdict.INDETERMINATE
    assert report == looked(forged.data, context)  # the same again


@pytest.mark.usefixtures("blind")
def test_pictures_are_asked_for_in_so_many_words(paper: Paper, context: Context) -> None:
    """What is installed decides nothing: without the switch, and where only bytes are judged, there are none."""
    forged = paper.changed(6, b"(Trang hai)", b"(Trang 222)").data
    assert context.pictures is None
    assert inspect_pdf(forged, context=context).verdict is Verdict.VALID
    bare = replace(context, policy=PolicyName.INTEGRITY_ONLY)
    assert looked(forged, bare) == inspect_pdf(forged, context=bare)


def test_a_broken_signature_is_not_drawn(paper: Paper, context: Context) -> None:
    forged = paper.changed(6, b"(Trang hai)", b"(Trang 222)").data
    report = looked(forged, context)
    assert report == inspect_pdf(forged, context=context)
    assert report.verdict is Verdict.INVALID


def test_two_states_that_differ_are_told_apart_by_page(paper: Paper) -> None:
    """Given two states, the pages that differ come back: text, a page more, a page less, another size."""
    end = len(paper.data)
    assert compared(paper.changed(6, b"(Trang hai)", b"(Trang 222)").data, end, 1, 2) == (2,)
    assert compared(paper.changed(FIRST, b"/Parent", b"/Rotate 180 /Parent").data, end, 1, 2) == (1,)
    gone = paper.changed(2, b"[3 0 R 4 0 R] /Count 2", b"[3 0 R] /Count 1")
    both = {1: A4, 2: A4}
    for sizes, latest in ((both, {1: A4}), ({1: A4, 2: None}, both), (both, {1: A4, 2: (A4[0], A4[1] - 9)})):
        data = gone.data if len(latest) == 1 else paper.data
        found = compare_pictures(data, [Look(end, sizes)], latest=latest, bounds=BOUNDS)
        assert found == Compared(((2,),), True)


def test_all_earlier_signatures_are_looked_at_in_one_go(paper: Paper) -> None:
    one = paper.changed(6, b"(Trang hai)", b"(Trang 222)")
    two = one.update({6: paper.objects[6]})
    looks = [Look(len(state.data), {1: A4, 2: A4}) for state in (paper, one, two)]
    found = compare_pictures(two.data, looks, latest={1: A4, 2: A4}, bounds=BOUNDS)
    assert found == Compared(((), (2,), ()), True)


# which pages


def pages_drawn(data: bytes, context: Context, monkeypatch: pytest.MonkeyPatch) -> list[list[int]]:
    """Return the pages looked at, for each signature that is asked."""
    seen: list[list[int]] = []

    def watched(data: bytes, looks: Sequence[Look], *, latest: dict[int, Size], bounds: Pictures) -> Compared | None:
        seen.extend(sorted(look.sizes) for look in looks)
        return compare_pictures(data, looks, latest=latest, bounds=bounds)

    monkeypatch.setattr(looking, "compare_pictures", watched)
    looked(data, context)
    return seen


@pytest.mark.usefixtures("blind")
def test_pages_are_drawn_that_later_steps_touched(
    paper: Paper, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Symbol >>"
    for changed, pages in (
        (paper.added(CATALOG, b"/Version /2.0"), []),
        (paper.changed(6, b"hai", b"222"), [2]),
        (paper.changed(SECOND, b"/Parent", b"/Rotate 90 /Parent"), [2]),
        (paper.changed(10, b"/Font", b"/Extra 1 /Font"), [1]),  # resources
        (paper.update({20: font}), [1, 2]),  # a font of both pages
        (paper.changed(CATALOG, b"/OFF [27 0 R]", b"/OFF [23 0 R]"), [1, 2]),  # layers
        (paper.changed(2, b"595 842", b"595 800"), [1, 2]),  # what pages inherit
        (paper.changed(2, b"[3 0 R 4 0 R] /Count 2", b"[4 0 R] /Count 1"), [1, 2]),
    ):
        assert pages_drawn(changed.data, context, monkeypatch) == [pages]


def test_all_pages_are_drawn_if_the_file_was_repaired(
    paper: Paper, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = paper.added(CATALOG, b"/Version /2.0").data
    at = saved.rindex(b"startxref\n") + 10
    damaged = saved[:at] + b"7" + saved[at + 1 :]
    assert Code.REPAIRED in [warning.code for warning in inspect_pdf(damaged, context=context).warnings]
    assert pages_drawn(damaged, context, monkeypatch) == [[1, 2]]
    assert looked(damaged, context) == inspect_pdf(damaged, context=context)


def test_nothing_is_drawn_of_a_file_as_it_was_signed(
    paper: Paper, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert pages_drawn(paper.data, context, monkeypatch) == []


# how much


def painted(size: Size, *rectangles: tuple[int, int, int, int], shade: int = 0) -> bytes:
    """Return a white picture with rectangles (x, y, width, height in pixels) in a shade of grey."""
    width, height = pixels_of(size)
    picture = bytearray(b"\xff" * (width * height * 4))
    for x, y, w, h in rectangles:
        for row in range(y, y + h):
            picture[(row * width + x) * 4 : (row * width + x + w) * 4] = bytes((shade, shade, shade, 255)) * w
    return bytes(picture)


def test_a_square_millimetre_in_all_may_differ() -> None:
    """At 100 dpi that is 15.5 pixels, wherever on the page they are."""
    white = painted(LARGE)
    assert pixels_of(LARGE) == (500, 500)
    assert not differs(white, painted(LARGE, (10, 10, 5, 3)), size=LARGE, masks=())
    assert differs(white, painted(LARGE, (10, 10, 4, 4)), size=LARGE, masks=())
    scattered = tuple((x, x, 1, 1) for x in range(0, 160, 10))
    assert not differs(white, painted(LARGE, *scattered[:15]), size=LARGE, masks=())
    assert differs(white, painted(LARGE, *scattered), size=LARGE, masks=())


def test_a_hardly_different_shade_is_none_but_pale_text_is_one() -> None:
    white, spot = painted(LARGE), (10, 10, 50, 50)
    assert not differs(white, painted(LARGE, spot, shade=255 - pictures.TOLERANCE), size=LARGE, masks=())
    assert differs(white, painted(LARGE, spot, shade=254 - pictures.TOLERANCE), size=LARGE, masks=())


def test_masks_hide_what_is_in_them_and_nothing_else() -> None:
    white, mask = painted(LARGE), (25.4, 50.8, 25.4, 12.7)  # pixels 100 to 200 across, 200 to 250 down
    assert not differs(white, painted(LARGE, (100, 200, 100, 50)), size=LARGE, masks=[mask])
    for outside in ((90, 200, 100, 50), (110, 200, 100, 50), (100, 190, 100, 50), (100, 210, 100, 50)):
        assert differs(white, painted(LARGE, outside), size=LARGE, masks=[mask])
    beyond = (-50.0, -50.0, 10.0, 10.0), (500.0, 500.0, 10.0, 10.0), (-10.0, 0.0, 900.0, 10.0)
    assert differs(white, painted(LARGE, (100, 200, 100, 50)), size=LARGE, masks=beyond)


def test_a_page_of_any_size_has_a_picture_within_bounds() -> None:
    assert pixels_of(A4) == (827, 1169)
    for size in ((5e6, 5e6), (1e-6, 1e-6), (1e9, 1e-3), (1e-3, 1e9), (14_400 * 75_000.0, 1.0)):
        width, height = pixels_of(size)
        assert min(width, height) >= 1
        assert width * height <= 2 * pictures.PIXELS_MAX


# the worker


def nested(inner: int) -> bytes:
    """Return a form that draws another one forty times."""
    entries = b"/Type /XObject /Subtype /Form /BBox [0 0 900 900] /Resources << /XObject << /F %d 0 R >> >>" % inner
    return stream(b"/F Do " * 40, entries)


HEAVY = {
    70: nested(71),
    71: nested(72),
    72: nested(73),
    73: stream(b"0 0 900 900 re f " * 900, b"/Type /XObject /Subtype /Form /BBox [0 0 900 900]"),
}
"""Forms within forms: 57 million fillings of a page."""


def heavy(paper: Paper) -> Paper:
    """Return the file with a second page that takes hours to draw."""
    page = paper.objects[SECOND].replace(b"/Font", b"/XObject << /F 70 0 R >> /Font")
    return paper.update({6: stream(b"/F Do"), SECOND: page, **HEAVY})


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize("bounds", [Pictures(seconds=1), Pictures(memory=2**20)], ids=["time", "memory"])
def test_a_worker_that_reaches_a_limit_leaves_the_report_as_it_was(
    paper: Paper, context: Context, bounds: Pictures
) -> None:
    """No verdict, no exception: the only trace is a warning that not all could be looked at."""
    data = heavy(paper).data
    report, without = looked(data, context, bounds), inspect_pdf(data, context=context)
    (leader,), (before,) = report.signatures, without.signatures
    (warning,) = (one for one in leader.warnings if one not in before.warnings)
    assert (warning.code, warning.facts) == (Code.LIMIT_EXCEEDED, {"limit": "pictures"})
    assert replace(leader, warnings=before.warnings) == before
    assert replace(report, signatures=(before,)) == without
    assert report.verdict is Verdict.VALID


@pytest.mark.usefixtures("blind")
def test_what_was_seen_before_the_worker_was_stopped_counts(paper: Paper, context: Context) -> None:
    data = heavy(paper.changed(FIRST, b"/Parent", b"/Rotate 180 /Parent")).data
    (leader,) = looked(data, context, Pictures(seconds=1)).signatures
    assert [one.facts["page"] for one in leader.reasons if one.code is Code.VISUAL_DIFFERENCE] == ["1"]
    assert Code.LIMIT_EXCEEDED in [warning.code for warning in leader.warnings]


@pytest.mark.parametrize("data", [b"", b"%PDF-1.7\n", b"nothing of the kind" * 1000], ids=["empty", "head", "text"])
def test_a_file_that_cannot_be_opened_shows_nothing(data: bytes) -> None:
    found = compare_pictures(data, [Look(len(data), {1: A4})], latest={1: A4}, bounds=BOUNDS)
    assert found == Compared(((),), False)


def test_a_program_that_cannot_be_started_shows_nothing(plain: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    look = Look(len(plain), {1: A4})
    monkeypatch.setattr(sys, "executable", "/nonexistent/python")
    assert compare_pictures(plain, [look], latest={1: A4}, bounds=BOUNDS) == Compared(((),), False)
    monkeypatch.setattr(sys, "executable", "/bin/true")
    assert compare_pictures(plain, [look], latest={1: A4}, bounds=BOUNDS) == Compared(((),), False)


@pytest.mark.usefixtures("blind")
def test_without_the_extra_the_report_is_the_same_as_ever(
    paper: Paper, context: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = paper.changed(6, b"(Trang hai)", b"(Trang 222)").data
    monkeypatch.setitem(sys.modules, "pypdfium2_raw", None)
    assert not pictures.is_possible()
    assert looked(data, context) == inspect_pdf(data, context=context)
    assert compare_pictures(data, [Look(9, {1: A4})], latest={1: A4}, bounds=BOUNDS) is None


def test_judging_never_loads_the_library_into_this_process(steps: tuple[SignedPdf, ...], tmp_path: Path) -> None:
    path = tmp_path / "a.pdf"
    path.write_bytes(steps[-1].data)
    code = (
        "import sys; from datetime import UTC, datetime; from signer.trust import Context, Pictures, TrustStore; "
        "from signer.algorithms import PolicyName;"
        "from signer.pdf.verify import inspect_pdf; now = datetime.now(UTC);"
        "how = Context(TrustStore(), now, PolicyName.INTEROP, pictures=Pictures());"
        "print(len(inspect_pdf(open(sys.argv[1], 'rb').read(), context=how).signatures),"
        "sorted(name for name in sys.modules if 'pdfium' in name))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["4", "[]"]


def request(data: bytes, **more: object) -> bytes:
    """Return what the worker is asked: the first page of a file."""
    asked = {"size": len(data), "memory": 2**30, "seconds": 20, "pictures": [(len(data), 1, 83, 117)]}
    return json.dumps({**asked, **more}).encode("ascii") + b"\n" + data


def test_the_worker_opens_no_file_and_no_connection_once_it_reads_a_file(tmp_path: Path) -> None:
    """Not even fonts of the system: text in a font that is not embedded is drawn with what the library brings."""
    content = b"BT /F 20 Tf 60 700 Td (Cong van) Tj ET"
    text = update(
        simple(),
        {
            3: b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
            b" /Resources << /Font << /F << /Type /Font /Subtype /TrueType /BaseFont /DejaVuSerif >> >> >> >>",
            4: stream(content),
        },
    )
    spec = find_spec("pypdfium2_raw")
    assert spec is not None
    assert spec.origin is not None
    log, folder = tmp_path / "calls", str(Path(spec.origin).parent.parent)
    calls = "trace=openat,open,socket,connect,execve,clone,clone3,fork,vfork,prlimit64,unlink,mkdir"
    worker = [sys.executable, "-I", "-S", str(pictureworker.__file__), folder]
    done = run("strace", "-f", "-o", str(log), "-e", calls, *worker, stdin=request(text))
    if done.returncode and not log.exists():
        pytest.skip("strace may not be used here")
    assert done.returncode == 0
    assert len(done.stdout) == 1 + 83 * 117 * 4
    assert done.stdout.count(b"\xff") < 83 * 117 * 4  # something was drawn
    lines = log.read_text("utf-8").splitlines()
    confined = max(index for index, line in enumerate(lines) if "RLIMIT_NOFILE" in line and "rlim_cur=0" in line)
    assert [line for line in lines[confined + 1 :] if "(" in line and "= -1" not in line and "exited" not in line] == []


def test_annotations_do_not_make_the_worker_ask_for_anything(forge: Forge) -> None:
    """A page that wants scripts, links and media opened is drawn like any other."""
    script = b"<< /S /JavaScript /JS (app.launchURL\\('http://127.0.0.1:9/'\\)) >>"
    body = b"<< /Type /Annot /Subtype /Link /Rect [60 690 160 710] /A %s /AA << /PO %s /E %s >> >>" % (
        script,
        script,
        script,
    )
    plain = Paper.new()
    acting = plain.update({plain.size: body, FIRST: with_annotation(plain.objects[FIRST], plain.size)})
    acting = acting.added(CATALOG, b"/OpenAction %s" % script)
    assert compared(acting.data, len(plain.data)) == ()


def test_the_seal_alone_is_seen_on_the_sample_letter(office: Office, letter_file: bytes) -> None:
    sealed = office.by_agency(
        letter_file, Visible("seal", image=sample("seal.png"), box_mm=LETTER.signature), level="b"
    )
    assert compared(sealed.data, len(letter_file)) == (1,)


@pytest.fixture(scope="session")
def letter_file() -> bytes:
    """The sample letter, unsigned."""
    return sample("letter.pdf")
