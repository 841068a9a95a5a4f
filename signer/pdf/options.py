"""How a PDF is to be signed: what callers say, checked before anything is read (signing.md 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from signer.pdf.cms import COMMITMENTS
from signer.pdf.geometry import Box
from signer.pdf.measures import Geometry

DEFAULT = Geometry()
FORMS = ("signature", "seal", "number", "date", "t1", "t2", "received")


@dataclass(frozen=True, slots=True)
class Visible:
    """What is drawn, and where.

    ``form`` is one of ``FORMS``; ``page`` 1…n, -1 the last; the box in mm from the upper left corner of the page as
    displayed; ``image`` a PNG. The text of ``t1`` and ``t2`` is what stands before date and time (``Số: 15/QĐ-UBND``,
    ``SAO Y; Sở Mẫu A``); these are added from the signing time. That of ``received`` are agency, Số, Ngày, Chuyển, Số
    và ký hiệu HS between semicolons; what is missing stays a dotted line. ``geometry`` are the agency's measures,
    ``diameter_mm`` replaces its diameter of the seal; a seal stays off the boxes ``keep_out`` (page, box in mm).
    """

    form: str
    page: int = 1
    box_mm: Box | None = None
    image: bytes | None = field(default=None, repr=False)
    text: str | None = None
    diameter_mm: float | None = None
    geometry: Geometry = DEFAULT
    keep_out: tuple[tuple[int, Box], ...] = ()

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ValueError(f"no visible form {self.form!r}")

    @property
    def diameter(self) -> float:
        """Diameter of the seal in mm."""
        return self.geometry.seal_diameter if self.diameter_mm is None else self.diameter_mm


@dataclass(frozen=True, slots=True)
class PdfOptions:
    """How to sign: ``at`` the claimed time, ``level`` ``b`` or ``t``, ``profile`` ``interop`` or ``strict`` (R34).

    ``certify`` makes the first signature a certification that permits filling and signing (P=2). ``lock`` are full
    names of fields that nobody may change from then on, ``*`` for all. ``commitment`` is a name of
    ``signer.pdf.cms.COMMITMENTS`` and replaces ``reason``. ``token_size`` is the size in octets of the last time stamp
    of the authority that will be asked, if one is known. ``read_back`` lets the finished file pass through the verifier
    (R33); a caller that leaves it out does so itself before it delivers the file. ``general`` avoids the fast path.
    ``fill`` are full names of empty text fields and what is written into them in the same update (R35).
    """

    at: datetime
    level: str = "t"
    profile: str = "interop"
    visible: Visible | None = None
    reason: str | None = None
    location: str | None = None
    name: str | None = None
    field: str | None = None
    certify: bool = False
    lock: tuple[str, ...] = ()
    commitment: str | None = None
    token_size: int | None = None
    read_back: bool = True
    general: bool = False
    fill: tuple[tuple[str, str], ...] = ()

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("the signing time needs an offset")
        if self.level not in ("b", "t"):
            raise ValueError(f"no level {self.level!r}")
        if self.commitment is not None and self.commitment not in COMMITMENTS:
            raise ValueError(f"no commitment {self.commitment!r}")
        if self.commitment is not None and self.reason:
            raise ValueError("a commitment stands instead of a reason (EN 319 142-1, 5.3)")
