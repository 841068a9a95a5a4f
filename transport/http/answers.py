"""Answers of the server: every body with its ``Content-Digest``, every problem as ``application/problem+json``."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from hashlib import sha256

from aiohttp import web

from transport.errors import Problem
from transport.http.wire import ACCEPT_SIGNATURE, JSON_TYPE, PROBLEM_TYPE, RECEIPT_TYPE, format_digest, format_ledger
from transport.http.wire.fields import PROOF_REL
from transport.http.wire.problems import problem_json
from transport.names import LedgerRef

PLACED_SOON = 1  # seconds after which a leaf that is not yet placed is asked for again (exchange.md 3.1, S12)


def answer(status: int, body: bytes, content_type: str, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer with a body and its digest."""
    fields = {
        "Content-Type": content_type,
        "Content-Digest": format_digest(sha256(body).hexdigest()),
        "Server": "edoc",
        "X-Content-Type-Options": "nosniff",
        **(headers or {}),
    }
    return web.Response(status=status, body=body, headers=fields)


def empty(status: int, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return an answer without a body."""
    return web.Response(status=status, headers={"Server": "edoc", **(headers or {})})


def json_answer(members: Mapping[str, object], headers: Mapping[str, str] | None = None) -> web.Response:
    """Return 200 with a JSON body."""
    body = json.dumps(members, ensure_ascii=False, separators=(",", ":")).encode()
    return answer(200, body, JSON_TYPE, headers)


def receipt_answer(status: int, receipt: bytes, ledger: LedgerRef | None) -> web.Response:
    """Return a receipt with the place of its leaf; 202 while the leaf has none."""
    if ledger is None and status != 202:
        raise ValueError("no receipt leaves before its leaf has a place")
    if status == 202 or ledger is None:
        return empty(202, {"Retry-After": str(PLACED_SOON)})
    digest = sha256(receipt).hexdigest()
    fields = {"Edoc-Ledger": format_ledger(ledger), "ETag": f'"{digest}"', "Link": proof_link(digest)}
    return answer(status, receipt, RECEIPT_TYPE, fields)


def proof_link(receipt: str) -> str:
    """Return ``Link`` to the proof of a receipt's leaf in the ledger API (ledger.md 9); ``receipt`` its SHA-256."""
    return f'</edoc-ledger/proof/receipt/{receipt}>; rel="{PROOF_REL}"'


def problem_answer(problem: Problem, *, instance: str | None = None) -> web.Response:
    """Return a registered problem; ``instance`` finds the log line."""
    fields: dict[str, str] = {}
    if problem.retry_after is not None:
        fields["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        fields |= {"WWW-Authenticate": "Signature", "Accept-Signature": ACCEPT_SIGNATURE}
    allow = problem.facts.get("allow")
    if isinstance(allow, str):
        fields["Allow"] = allow
    body = problem_json(problem, instance=instance or str(uuid.uuid4()))
    return answer(problem.status, body, PROBLEM_TYPE, fields)
