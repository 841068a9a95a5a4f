"""What is noticed about a visible form and does not stop the job (signing.md 3.3): pictures, and PDF/A-1.

A seal is drawn with at least 300 dots per inch, signature and seal are transparent, and a seal that would touch the
signer's name stands a little higher. PDF/A-1 forbids transparency.
"""

from __future__ import annotations

from signer.pdf.archival import says_part_1
from signer.pdf.layout import Layout
from signer.pdf.options import Visible
from signer.pdf.target import Painted
from signer.pdf.values import Stream
from signer.report import Code, Reason

SEAL_DPI = 300


def remarks_on(layout: Layout, visible: Visible) -> tuple[Reason, ...]:
    """Return what is noticed about the picture of a form."""
    if layout.image is None:
        return ()
    picture, found = layout.image.picture, []
    if picture.opacity is None:
        found.append(Reason(Code.PICTURE_OPAQUE, {"form": visible.form}))
    if layout.rise > 0:
        found.append(Reason(Code.SEAL_RAISED, {"mm": f"{layout.rise:.1f}"}))
    dpi = round(picture.width / layout.image.box[2] * 25.4)
    if visible.form == "seal" and dpi < SEAL_DPI:
        found.append(Reason(Code.PICTURE_RESOLUTION, {"dpi": str(dpi), "least": str(SEAL_DPI)}))
    return tuple(found)


def remarks_on_level(data: bytes, painted: Painted | None) -> tuple[Reason, ...]:
    """Return ``PDFA_LEVEL`` if transparency goes into a file that says it is PDF/A-1."""
    transparent = painted is not None and any(
        isinstance(one, Stream) and "SMask" in one.dictionary for one in painted.objects
    )
    if not transparent or not says_part_1(data):
        return ()
    return (Reason(Code.PDFA_LEVEL, {"level": "PDF/A-1"}),)
