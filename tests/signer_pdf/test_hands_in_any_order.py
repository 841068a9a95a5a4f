"""Hands and archive stamps in any order on odd files: all intact, all agreed (signing.md 3.2; R35, A4)."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from signer.credential import Role
from signer.devpki import DevIdentity, DevPki, DevTimestamper, Subject
from signer.pdf.extend import extend_pdf
from signer.pdf.sign import PdfOptions, Visible, sign_pdf
from signer.pdf.verify import inspect_pdf
from signer.report import Integrity, LaterChanges, Verdict
from signer.trust import Context
from tests.signer_pdf.opinions import PyHanko, said_by_pdfsig
from tests.signer_pdf.shapes import make, shapes
from transport.demo.letter import sample

# pyHanko judges no signature in hybrid files, and takes a link on the page for a change, in what it signs itself too
SHAPES = [one for one in shapes(320) if one.xref != "hybrid" and "link" not in one.name]
ACTS = ("invisible", "invisible", "number", "picture", "without stamp", "lt", "lta")
PICTURE = sample("signature.png")


@dataclass(frozen=True)
class Hands:
    """Who signs, whom stamps are asked of, and what is judged with."""

    people: tuple[DevIdentity, ...]
    timestamper: DevTimestamper
    context: Context
    now: datetime

    def signed(self, data: bytes, act: str, *, number: int, chance: random.Random) -> bytes:
        """Return the file with one more signature, by either path."""
        row, column = divmod(number, 6)
        places = {
            "number": Visible("number", text=str(number), box_mm=(5.0 + 12 * column, 40.0 + 10 * row, 9.0, 6.5)),
            "picture": Visible("signature", box_mm=(5.0 + 12 * column, 40.0 + 10 * row, 10.0, 5.0), image=PICTURE),
        }
        level = "b" if act == "without stamp" else "t"
        options = PdfOptions(self.now, level, visible=places.get(act), general=chance.random() < 0.4)
        key = chance.choice(self.people).credential
        return sign_pdf(data, credential=key, options=options, timestamper=self.timestamper).data


@pytest.fixture(scope="module")
def hands(pki: DevPki, person: DevIdentity, timestamper: DevTimestamper, context: Context, now: datetime) -> Hands:
    """Two people, one with RSA, one with ECDSA."""
    other = pki.issue(Role.PERSON, Subject("Trần Thị Mẫu"), key_type="rsa2048")
    return Hands((person, other), timestamper, context, now)


@pytest.mark.tool("pdfsig")
@pytest.mark.parametrize("seed", range(8))
def test_every_order_of_hands_and_archive_stamps_holds(
    seed: int, hands: Hands, pki: DevPki, now: datetime, tmp_path: Path
) -> None:
    """Signed behind an archive stamp, lifted between two hands: nothing earlier is harmed."""
    chance = random.Random(seed)
    data, count, trail = make(chance.choice(SHAPES)), 0, []
    for act in ("invisible", *(chance.choice(ACTS) for _ in range(8))):
        before = data
        if act in ("lt", "lta"):
            data = extend_pdf(data, to=act, context=hands.context, timestamper=hands.timestamper).data
        else:
            data, count = hands.signed(data, act, number=count, chance=chance), count + 1
        trail.append(act)
        assert data.startswith(before)
        report = inspect_pdf(data, context=hands.context)
        assert report.verdict is Verdict.VALID, trail
        assert {one.integrity for one in report.signatures} == {Integrity.INTACT}, trail
        assert LaterChanges.SUSPECT not in {one.later_changes for one in report.signatures}, trail
    opinions = PyHanko(pki.root.certificate, now + timedelta(minutes=5)).opinions(data)
    assert all(one.intact and one.good for one in opinions), trail
    assert said_by_pdfsig(data, tmp_path).count("Signature is Valid.") == count, trail
