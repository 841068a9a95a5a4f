"""A short campaign against signing: both paths answer alike, what is signed is good, nothing escapes (A4, A5).

The long one is ``python -m tests.fuzz.signing``. What it found is kept here as files that are made anew.
"""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from signer.pdf.sign import PdfOptions, Visible
from tests.fuzz.campaign import Tally
from tests.fuzz.seeds import NOW
from tests.fuzz.signing import ended, objection, run, seeds
from tests.signer_pdf.oracle import pictures
from tests.vectors.signing.hostile import built
from tests.vectors.signing.hostile_bytes import BASE, encrypted, update

CPU_SECONDS = 8.0
LINE = PdfOptions(at=NOW, level="b", visible=Visible("t1", text="Số: 15/QĐ-UBND"))


def test_changed_files_are_signed_alike_by_both_paths_or_refused() -> None:
    tally, first, start = Tally(), 0, time.process_time()
    names = sorted(seeds())
    while time.process_time() - start < CPU_SECONDS:
        tally.add(run(names[first % len(names) :: 41], first, 3, salt=time.localtime().tm_yday))
        first += 3
    assert tally.cases > 100
    assert [(name, why) for name, why, _ in tally.found] == []
    assert sum(count for answer, count in tally.answers.items() if answer.startswith("signed")) > 10


@pytest.mark.parametrize("general", [False, True], ids=["either", "general"])
@pytest.mark.parametrize("spelled", [b"%d 0 R", b"%d  0\nR", b"0%d 0 R"])
def test_a_reference_to_nothing_never_leads_to_a_new_object(spelled: bytes, general: bool) -> None:
    """A page that names objects which are not there must not show the picture of the signature as its own content."""
    ghosts = b" ".join(spelled % number for number in range(5, 25))
    page = BASE[3].replace(b"/Contents 4 0 R", b"/Contents [4 0 R %s]" % ghosts)
    data = built({**BASE, 3: page})
    signed = ended(data, replace(LINE, general=general))
    plain = ended(built(BASE), replace(LINE, general=general))
    assert not isinstance(signed, str)
    assert not isinstance(plain, str)
    assert pictures(signed.data) == pictures(plain.data)


@pytest.mark.parametrize("general", [False, True], ids=["either", "general"])
def test_an_update_that_hides_the_encryption_does_not_make_a_file_signable(general: bool) -> None:
    data = update(encrypted("", modern=True), {40: b"null"}, size=41)
    assert ended(data, PdfOptions(at=NOW, level="b", general=general)) in ("EDOC-PDF-004", "EDOC-PDF-005")


def test_the_answer_names_the_path_or_the_code() -> None:
    assert objection(built(BASE), LINE) == ("signed, fast", None)
    answer, why = objection(built(BASE)[:-30], LINE)
    assert (answer.startswith("EDOC-PDF-005"), why) == (True, None)
