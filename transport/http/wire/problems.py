"""Registered problems (exchange.md 3.2, RFC 9457): one table, its writer and its reader.

Promises: what is not in the table is nobody's final word; a problem body carries no trace, no path and no echo of the
request. What the sender does with a problem (its class R, S or F) is decided by ``transport.dispatch``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from transport.dispatch import CLASS_OF_PROBLEM, Class
from transport.errors import Problem

PREFIX = "urn:edoc:problem:"
MAX_BYTES = 16 * 1024
MAX_RETRY_AFTER = 7 * 24 * 3600
"""Seconds; no deadline is later (exchange.md 6), and a longer wish is cut to it."""
VERSIONS = ("v1",)


@dataclass(frozen=True, slots=True)
class Registered:
    """One registered problem: its statuses and titles; its class is in ``transport.dispatch``."""

    name: str
    statuses: frozenset[int]
    vi: str
    en: str


def _row(name: str, statuses: tuple[int, ...], vi: str, en: str) -> Registered:
    return Registered(name, frozenset(statuses), vi, en)


_ROWS = (
    _row("bad-request", (400, 404, 405, 406, 411, 414, 417, 431), "yêu cầu không đúng dạng", "malformed request"),
    _row("unsupported-media-type", (415,), "kiểu dữ liệu không được hỗ trợ", "unsupported media type"),
    _row("unauthenticated", (401,), "chưa xác thực được nút gửi", "the calling node is not authenticated"),
    _row("forbidden", (403,), "nút gửi không đại diện cho cơ quan này", "the caller may not act for this agency"),
    _row("digest-mismatch", (400,), "nội dung khác giá trị băm đã nêu", "content differs from its digest"),
    _row("timeout", (408,), "quá thời hạn truyền", "a time or rate limit passed"),
    _row("unknown-recipient", (404,), "không có cơ quan nhận này ở đây", "the recipient is not served here"),
    _row("recipient-moved", (410,), "mã cơ quan nhận đã đóng", "the recipient's code is closed"),
    _row("unknown-message", (404,), "chưa biết gói tin này", "nothing is known of this message"),
    _row("message-id-conflict", (409,), "mã gói tin đã dùng cho nội dung khác", "the id is taken by other bytes"),
    _row("too-large", (413,), "gói tin quá lớn", "the message is too large"),
    _row("in-progress", (409,), "gói tin đang được nhận trong yêu cầu khác", "the message is being received"),
    _row("too-many-requests", (429,), "quá nhiều yêu cầu", "too many requests"),
    _row("overloaded", (503,), "máy chủ quá tải", "the server is overloaded"),
    _row("unavailable", (503,), "dịch vụ tạm ngừng", "the service is not available now"),
    _row("storage-low", (507,), "không đủ chỗ lưu trữ", "not enough storage"),
    _row("internal", (500,), "lỗi bên trong", "unexpected error"),
    _row("trust-unavailable", (503,), "thiếu dữ liệu tin cậy để kết luận", "trust data is missing or too old"),
    _row("receipt-unavailable", (503,), "chưa lập được biên nhận", "no receipt can be made now"),
    _row("clock-disagreement", (503,), "đồng hồ hai bên lệch nhau", "the clocks disagree"),
)
PROBLEMS: dict[str, Registered] = {row.name: row for row in _ROWS}

# Members of a problem body that a problem's facts may fill; anything else in the facts stays inside.
_SHOWN = ("limit", "receipt", "successor", "supported")


def problem_class(name: str) -> str | None:
    """Return ``R``, ``S``, ``F`` or ``-`` of a registered problem, ``None`` for any other name."""
    found = CLASS_OF_PROBLEM.get(name)
    return None if found is None else found.value


def problem_json(problem: Problem, *, instance: str | None = None, lang: str = "vi") -> bytes:
    """Return the ``application/problem+json`` body of a registered problem. Raises ``KeyError`` for any other."""
    row = PROBLEMS[problem.name]
    body: dict[str, object] = {
        "type": PREFIX + row.name,
        "title": row.en if lang == "en" else row.vi,
        "status": problem.status,
        "retryable": CLASS_OF_PROBLEM[row.name] in (Class.RETRY, Class.SLOW),
    }
    detail = problem.facts.get("detail")
    if isinstance(detail, str):
        body["detail"] = detail
    if instance is not None:
        body["instance"] = f"urn:uuid:{instance}"
    if problem.retry_after is not None:
        body["retry_after"] = problem.retry_after
    body.update({name: problem.facts[name] for name in _SHOWN if name in problem.facts})
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"), default=str).encode()


def read_problem(body: bytes, status: int) -> Problem | None:
    """Return the registered problem a body states, or ``None``: other types, other statuses, no JSON (class R)."""
    if len(body) > MAX_BYTES:
        return None
    try:
        members = json.loads(body)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, dict) or not isinstance(members.get("type"), str):
        return None
    row = PROBLEMS.get(members["type"].removeprefix(PREFIX)) if members["type"].startswith(PREFIX) else None
    if row is None or status not in row.statuses:
        return None
    after = members.get("retry_after")
    wait = min(after, MAX_RETRY_AFTER) if type(after) is int and after >= 0 else None
    facts = {name: members[name] for name in _SHOWN if name in members}
    return Problem(row.name, status, row.en, retry_after=wait, **facts)
