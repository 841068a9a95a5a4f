"""What earlier signers permit: P=1 forbids every signature, a lock one in the field it names (signing.md 3.1, 4.3)."""

from __future__ import annotations

from signer.errors import InputRefused, LimitExceeded
from signer.pdf.comparing.graph import Meter
from signer.pdf.comparing.permissions import in_force, written
from signer.pdf.comparing.view import View
from signer.pdf.reading import PdfFile
from signer.pdf.reading.state import State
from signer.trust import Limits


def check_permitted(data: bytes, name: str, *, limits: Limits) -> None:
    """Refuse a signature that an earlier signer forbade.

    Raises:
        InputRefused: forbidden, or what they wrote cannot be read.
    """
    try:
        state = PdfFile(data, limits=limits).latest
        forbidden = why_forbidden(state, name, limits=limits)
    except LimitExceeded:
        raise
    except InputRefused as error:
        raise InputRefused("EDOC-PDF-006", "damaged PDF", where=error.facts.get("where", "-")) from None
    if forbidden is not None:
        raise forbidden


def why_forbidden(state: State, name: str, *, limits: Limits) -> InputRefused | None:
    """Return why nobody may sign in the field of that full name, or ``None``.

    Raises:
        InputRefused: what earlier signers wrote cannot be read; LimitExceeded: a budget is used up.
    """
    view = View(state, Meter(limits.pdf_values))
    signed = [one for one in view.fields.values() if one.kind == "Sig" and view.dictionary(one.inherited.get("V"))]
    permissions = in_force([written(view, one, first=False) for one in signed])
    if permissions.forbids_all:
        return InputRefused("EDOC-PDF-009", "an earlier signature forbids every change")
    if permissions.locked(name):
        return InputRefused("EDOC-PDF-041", "an earlier signature locks the field", field=name)
    return None
