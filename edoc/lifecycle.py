"""The life of a document between offices: states, who may send what, return reasons (regulations.md 10; edxml.md 9).

States and their moves are a table. 02 and 15 are final; after 16 the state before the request is restored; 05 may
repeat. Observed from the sender's side a recipient may skip steps, and a step back is noted without effect.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from edoc.errors import InvalidReason, MoveRefused
from edoc.values import clean


class StatusCode(StrEnum):
    """Processing states S1. All but the last are codes of status messages."""

    ARRIVED = "01"  # đã đến: stored and readable
    RETURNED = "02"  # từ chối nhận, trả lại: refused by the clerk with a reason
    ACCEPTED = "03"  # đã tiếp nhận: accepted, arrival number given
    ASSIGNED = "04"  # đã chuyển xử lý, phân công: passed to a unit or person
    IN_PROCESS = "05"  # đang xử lý
    FINISHED = "06"  # đã hoàn thành
    TAKE_BACK = "13"  # thu hồi: the sender asks for it back
    TAKE_BACK_AGREED = "15"
    TAKE_BACK_REFUSED = "16"
    DELETED = "xoa"  # by the retention rule; never on the wire


WIRE_CODES = tuple(code.value for code in StatusCode if code is not StatusCode.DELETED)
NEEDS_DESCRIPTION = (StatusCode.RETURNED, StatusCode.TAKE_BACK, StatusCode.TAKE_BACK_REFUSED)

_S = StatusCode

MOVES: dict[StatusCode | None, tuple[StatusCode, ...]] = {
    None: (_S.ARRIVED,),
    _S.ARRIVED: (_S.RETURNED, _S.ACCEPTED, _S.TAKE_BACK),
    _S.RETURNED: (),
    _S.ACCEPTED: (_S.ASSIGNED, _S.IN_PROCESS, _S.FINISHED, _S.TAKE_BACK),
    _S.ASSIGNED: (_S.IN_PROCESS, _S.FINISHED, _S.TAKE_BACK),
    _S.IN_PROCESS: (_S.IN_PROCESS, _S.FINISHED, _S.TAKE_BACK),
    _S.FINISHED: (_S.TAKE_BACK, _S.DELETED),
    _S.TAKE_BACK: (_S.TAKE_BACK_AGREED, _S.TAKE_BACK_REFUSED),
    _S.TAKE_BACK_AGREED: (),
    _S.TAKE_BACK_REFUSED: (),
    _S.DELETED: (),
}
"""From a state (``None`` = not yet arrived) to the states that may follow (S1)."""

_ORDER = (_S.ARRIVED, _S.ACCEPTED, _S.ASSIGNED, _S.IN_PROCESS, _S.FINISHED)
_FINAL = (_S.RETURNED, _S.TAKE_BACK_AGREED, _S.DELETED)

STATUS_NAMES = {
    "01": ("đã đến", "arrived"),
    "02": ("từ chối tiếp nhận", "returned"),
    "03": ("đã tiếp nhận", "accepted"),
    "04": ("đã phân công", "assigned"),
    "05": ("đang xử lý", "in process"),
    "06": ("đã hoàn thành", "finished"),
    "13": ("lấy lại", "take back"),
    "15": ("đồng ý lấy lại", "take back agreed"),
    "16": ("từ chối lấy lại", "take back refused"),
    "xoa": ("đã xóa", "deleted"),
}
"""Names of the states, Vietnamese and English."""


def status_name(code: str, lang: str = "vi") -> str:
    """Return the name of a state; a code outside the list is shown as unknown with its value."""
    names = STATUS_NAMES.get(code)
    if names is None:
        return f"không rõ ({code})" if lang == "vi" else f"unknown ({code})"
    return names[0] if lang == "vi" else names[1]


def move(current: str | None, new: str, *, earlier: str | None = None) -> StatusCode:
    """Return the state after a move; after 16 that is ``earlier``, the state before the request.

    Raises:
        MoveRefused: the table has no such move, or a code is not in the list.
    """
    try:
        start = None if current is None else StatusCode(current)
        end = StatusCode(new)
        before = None if earlier is None else StatusCode(earlier)
    except ValueError:
        raise MoveRefused("EDOC-DOC-040", "an unknown state", current=current, new=new) from None
    if end not in MOVES[start]:
        raise MoveRefused("EDOC-DOC-040", "this move is not allowed", current=current, new=new)
    if end is StatusCode.TAKE_BACK_REFUSED and before is not None:
        return before
    return end


def observed(current: str | None, new: str) -> str | None:
    """Return the state a sender notes when a recipient reports ``new``: steps may be skipped, none goes back.

    Codes outside the list change nothing. 16 is the caller's to resolve with ``move``.
    """
    if new not in WIRE_CODES or current in _FINAL:
        return current
    if current in _ORDER and new in _ORDER:
        return max(current, new, key=_ORDER.index)
    return StatusCode(new)


def who_may_send(code: str) -> str | None:
    """Return who may send a status: ``recipient`` or ``sender`` of the document; ``None`` for an unknown code."""
    if code not in WIRE_CODES:
        return None
    return "sender" if code == StatusCode.TAKE_BACK else "recipient"


@dataclass(frozen=True, slots=True)
class ReturnReason:
    """A reason for returning a document (S3), with its texts."""

    code: str
    vi: str
    en: str


RETURN_REASONS: tuple[ReturnReason, ...] = (
    ReturnReason("wrong-recipient", "sai nơi nhận", "sent to the wrong recipient"),
    ReturnReason("damaged-file", "tệp không toàn vẹn", "the file is damaged"),
    ReturnReason("invalid-signature", "chữ ký số không hợp lệ", "a digital signature is not valid"),
    ReturnReason(
        "certificate-expired-or-revoked",
        "chứng thư hết hạn hoặc bị thu hồi",
        "a certificate has expired or is revoked",
    ),
    ReturnReason(
        "missing-person-signature",
        "thiếu chữ ký người có thẩm quyền",
        "the competent person's signature is missing",
    ),
    ReturnReason("missing-agency-signature", "thiếu chữ ký cơ quan", "the agency's signature is missing"),
    ReturnReason("no-authority", "người ký không đúng thẩm quyền", "the signer has no authority for it"),
    ReturnReason("missing-attachment", "thiếu tệp đính kèm", "an attachment is missing"),
    ReturnReason("wrong-form", "sai thể thức, định dạng", "wrong form or format"),
    ReturnReason("duplicate", "trùng lặp", "it is a duplicate"),
    ReturnReason("state-secret", "có nội dung bí mật nhà nước", "it holds state secrets"),
    ReturnReason("other", "khác", "other"),
)
"""The list S3, in the order and codes of exchange.md 3.3; ``other`` needs a note."""

_REASONS = {reason.code: reason for reason in RETURN_REASONS}

SHOWN_AS = {
    "not-edxml": "wrong-form",
    "limits": "wrong-form",
    "seal-missing": "invalid-signature",
    "seal-invalid": "invalid-signature",
    "seal-algorithm": "invalid-signature",
    "certificate-invalid": "certificate-expired-or-revoked",
    "seal-not-sender": "invalid-signature",
    "slip-mismatch": "damaged-file",
    "wrong-addressee": "wrong-recipient",
    "incomplete": "missing-attachment",
    "not-strict": "wrong-form",
    "secret-content": "state-secret",
}
"""Refusals of exchange.md 3.3, in checking order, and the S3 reason each is counted and shown as."""


def return_reason(code: str) -> ReturnReason:
    """Return the reason of a code of S3.

    Raises:
        InvalidReason: no such code; ``facts`` hold the list.
    """
    try:
        return _REASONS[code]
    except KeyError:
        raise InvalidReason("EDOC-DOC-041", "no such reason", reason=code, known=tuple(_REASONS)) from None


def status_description(code: str, note: str = "") -> str:
    """Return the ``Description`` of a status 02: the reason's Vietnamese text, then ``: `` and the note.

    Raises:
        InvalidReason: no such code, or ``other`` without a note.
    """
    reason = return_reason(code)
    remark = clean(note)
    if reason.code == "other" and not remark:
        raise InvalidReason("EDOC-DOC-042", "this reason needs a note", reason=code)
    return f"{reason.vi}: {remark}" if remark else reason.vi


def parse_description(text: str) -> tuple[str, str]:
    """Return reason code and note of a ``Description``; a text that names no reason is ``other`` and all note."""
    value = clean(text)
    for reason in RETURN_REASONS:
        if value == reason.vi and reason.code != "other":
            return reason.code, ""
        if value.startswith(f"{reason.vi}: "):
            return reason.code, value[len(reason.vi) + 2 :]
    return "other", value
