"""Draw the pictures of README and docs/signing.md: ``python samples/pictures.py [FOLDER]``. Needs ``pdftoppm``.

The sample letter goes through an office in memory, with keys made on the spot: marked urgent, signed at the place of
the printed name, numbered, dated, sealed; its appendix gets the line T1, a copy of it the line T2, and the receiver
puts the stamp of arrival on its own copy. What is drawn are parts of these pages, as poppler shows them.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from signer.algorithms import PolicyName  # noqa: E402  (found by the line above)
from signer.credential import Role  # noqa: E402
from signer.devpki import DevIdentity, DevPki, Subject  # noqa: E402
from signer.pdf.anchors import aimed  # noqa: E402
from signer.pdf.marks import mark_pdf  # noqa: E402
from signer.pdf.options import PdfOptions, Visible  # noqa: E402
from signer.pdf.sign import sign_pdf  # noqa: E402
from signer.trust import Context  # noqa: E402
from transport.demo.letter import LETTER, sample  # noqa: E402

DOTS_PER_INCH = 80
CLOSE = 130
"""Dots per inch of the parts."""
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=7)))
Box = tuple[float, float, float, float]


def draw(source: Path, target: Path, *, dpi: int = DOTS_PER_INCH, part: Box | None = None) -> None:
    """Draw the first page of a PDF as PNG, or a part of it (a box in mm)."""
    command = ["pdftoppm", "-r", str(dpi), "-png", "-singlefile"]
    if part is not None:
        for name, value in zip(("-x", "-y", "-W", "-H"), part, strict=True):
            command += [name, str(round(value * dpi / 25.4))]
    subprocess.run([*command, str(source), str(target.with_suffix(""))], check=True)


@dataclass(frozen=True, slots=True)
class Office:
    """Leader and clerk of one agency, at one moment."""

    person: DevIdentity
    agency: DevIdentity
    context: Context

    @classmethod
    def opened(cls) -> Office:
        """Make an office with an authority of its own."""
        pki = DevPki.create(at=NOW - timedelta(days=30))
        person = pki.issue(Role.PERSON, Subject(LETTER.signer, organization="Sở Mẫu A", title=LETTER.position))
        agency = pki.issue(Role.AGENCY, Subject("Sở Mẫu A", organization="Sở Mẫu A", tax_number="0100000001"))
        return cls(person, agency, Context(trust=pki.trust(at=NOW), at=NOW, policy=PolicyName.INTEROP))

    def signed(self, data: bytes, visible: Visible) -> bytes:
        """The leader signs."""
        options = PdfOptions(at=NOW, level="b", visible=visible)
        return sign_pdf(data, credential=self.person.credential, options=options).data

    def sealed(self, data: bytes, visible: Visible) -> bytes:
        """The agency signs; whether it may is not asked for a picture."""
        return sign_pdf(
            data,
            credential=self.agency.credential,
            options=PdfOptions(at=NOW, level="b", visible=visible),
            precondition=lambda report: None,
            context=self.context,
        ).data


def pages(office: Office) -> dict[str, tuple[bytes, Box]]:
    """Return what is drawn: a file, and the part of its first page, by the name of the picture."""
    marked = mark_pdf(sample("letter.pdf"), "HỎA TỐC", box_mm=(47.0, 61.0, 30.0, 8.0))
    leader = office.signed(
        marked, aimed(marked, Visible("signature", image=sample("signature.png")), name=LETTER.signer)
    )
    numbered = office.sealed(leader, Visible("number", box_mm=LETTER.number, text=LETTER.number_text))
    dated = office.sealed(numbered, Visible("date", box_mm=LETTER.date, text=LETTER.date_text(20, 11, 2026)))
    seal = aimed(dated, Visible("seal", image=sample("seal.png")), name=LETTER.signer)
    whole = office.sealed(dated, seal)
    appendix = office.sealed(sample("appendix.pdf"), Visible("t1", text=f"Số: 120/{LETTER.notation}"))
    copy = office.sealed(whole, Visible("t2", text="SAO Y; Sở Mẫu A"))
    stamp = "Sở Mẫu B; 45; 21/11/2026; Văn phòng; 01/TH-2026"
    arrived = office.sealed(whole, Visible("received", box_mm=(31.0, 232.0, 35.0, 50.0), text=stamp))
    return {
        "signing-head": (whole, (25.0, 15.0, 180.0, 62.0)),
        "signing-signature-and-seal": (whole, (95.0, 195.0, 110.0, 68.0)),
        "signing-attachment": (appendix, (60.0, 4.0, 150.0, 55.0)),
        "signing-copy": (copy, (60.0, 4.0, 150.0, 45.0)),
        "signing-arrival": (arrived, (25.0, 200.0, 110.0, 86.0)),
    }


def main(folder: Path) -> None:
    """Draw all pictures into a folder."""
    draw(ROOT / "samples" / "letter.signed.pdf", folder / "letter.png")
    with tempfile.TemporaryDirectory() as place:
        for name, (data, part) in pages(Office.opened()).items():
            source = Path(place) / f"{name}.pdf"
            source.write_bytes(data)
            draw(source, folder / f"{name}.png", dpi=CLOSE, part=part)


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
