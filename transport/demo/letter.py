"""Where things go on the sample letter, in millimetres from the upper left corner of the page.

The letter itself is ``data/letter.pdf``, made by ``samples/make_letter.py``; a test holds both together.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources

Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True)
class SampleLetter:
    """The blanks of the letter: boxes (x, y, width, height) in mm, on page 1."""

    signature: Box
    number: Box
    date: Box
    seal_diameter: float
    number_text: str
    notation: str
    subject: str
    type_name: str
    place: str
    signer: str
    competence: str
    position: str
    appendix_name: str

    def date_text(self, day: int, month: int, year: int) -> str:
        """Return the date as it is written on the letter: days below 10, January and February get a zero (NĐ30)."""
        return (
            f"ngày {day:02d} tháng {month:02d} năm {year}" if month < 3 else f"ngày {day:02d} tháng {month} năm {year}"
        )


LETTER = SampleLetter(
    signature=(127.5, 219.0, 50.0, 25.0),
    number=(52.5, 39.0, 7.4, 8.0),
    date=(131.5, 39.0, 52.0, 8.0),
    seal_diameter=36.0,
    number_text="120",
    notation="SMA-VP",
    subject="V/v phối hợp thử nghiệm gửi, nhận văn bản điện tử",
    type_name="Công văn",
    place="Tỉnh Mẫu",
    signer="Nguyễn Văn Mẫu",
    competence="KT.",
    position="Phó Giám đốc",
    appendix_name="phu-luc.pdf",
)


def sample(name: str) -> bytes:
    """Return a file of the sample: ``letter.pdf``, ``appendix.pdf``, ``signature.png``, ``seal.png``."""
    return resources.files("transport.demo").joinpath("data", name).read_bytes()
