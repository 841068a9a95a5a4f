"""The OpenAPI 3.1 document of the exchange (exchange.md 3, E8), made from one table of operations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transport.http.wire import (
    BASE,
    JSON_TYPE,
    MESSAGE_TYPE,
    METADATA,
    OPENAPI,
    PING,
    PROBLEM_TYPE,
    PROBLEMS,
    RECEIPT_TYPE,
)

K = BASE + "/to/{recipient}/from/{sender}/{id}"
FEED = BASE + "/to/{recipient}/feed"

Schema = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of exchange.md 3: number, method, path, who calls, answers by status with their media type.

    ``takes`` is the media type of the body that is required, ``query`` the names of query parameters; ``gives`` the
    schema of a JSON answer, by its name among the components.
    """

    number: str
    method: str
    path: str
    summary: str
    answers: tuple[tuple[int, str | None], ...]
    signed: bool = True
    takes: str | None = None
    query: tuple[str, ...] = ()
    gives: str | None = None


OPERATIONS = (
    Operation(
        "E1",
        "PUT",
        K,
        "Hand over one sealed message",
        ((201, RECEIPT_TYPE), (200, RECEIPT_TYPE), (422, RECEIPT_TYPE), (202, None)),
        takes=MESSAGE_TYPE,
    ),
    Operation("E2", "GET", K, "What is known of a message", ((200, JSON_TYPE), (202, None)), gives="State"),
    Operation("E2", "HEAD", K, "What is known of a message, header alone", ((200, None), (202, None))),
    Operation("E3", "GET", K + "/receipt", "The stored receipt", ((200, RECEIPT_TYPE), (304, None), (202, None))),
    Operation(
        "E4",
        "GET",
        FEED,
        "What waits for the caller, who fetches",
        ((200, JSON_TYPE), (204, None)),
        query=("wait", "limit", "after"),
        gives="Feed",
    ),
    Operation("E5", "GET", K + "/content", "The bytes of a message", ((200, MESSAGE_TYPE), (206, MESSAGE_TYPE))),
    Operation("E6", "PUT", K + "/receipt", "Acknowledge by the receipt", ((204, None),), takes=RECEIPT_TYPE),
    Operation("E7", "POST", PING, "Is it us or them?", ((200, JSON_TYPE),), gives="Pong"),
    Operation("E8", "GET", METADATA, "Agency metadata", ((200, JSON_TYPE),), signed=False, gives="Metadata"),
    Operation("E8", "GET", OPENAPI, "This document", ((200, JSON_TYPE),), signed=False),
)


def document() -> dict[str, object]:
    """Return the OpenAPI document."""
    paths: dict[str, dict[str, object]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "edoc exchange",
            "version": "1",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "securitySchemes": {
                "signature": {"type": "apiKey", "in": "header", "name": "Signature", "description": "RFC 9421"}
            },
            "schemas": {"Problem": _problem_schema(), **_ANSWERS},
        },
    }


def _operation(one: Operation) -> dict[str, object]:
    responses: dict[str, object] = {}
    for status, media in one.answers:
        described: dict[str, object] = {"description": f"answer of {one.number}"}
        if media is not None:
            named = media == JSON_TYPE and one.gives is not None
            described["content"] = {media: {"schema": {"$ref": f"#/components/schemas/{one.gives}"}} if named else {}}
        responses[str(status)] = described
    problem = {"content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    responses["default"] = {"description": "a problem of RFC 9457", **problem}
    parameters = [
        _parameter(name, *_FORMS[name]) for name in ("recipient", "sender", "id") if f"{{{name}}}" in one.path
    ]
    parameters += [_in_query(name) for name in one.query]
    found: dict[str, object] = {
        "operationId": f"{one.number}-{one.method.lower()}-{one.path.rsplit('/', 1)[-1].strip('{}')}",
        "summary": one.summary,
        "responses": responses,
        "security": [{"signature": []}] if one.signed else [],
    }
    if parameters:
        found["parameters"] = parameters
    if one.takes is not None:
        found["requestBody"] = {"required": True, "content": {one.takes: {}}}
    return found


_FORMS: Mapping[str, tuple[str, str | None]] = {
    "recipient": ("[!-~]{1,64}", None),
    "sender": ("[!-~]{1,64}", None),
    "id": ("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "uuid"),
}


def _parameter(name: str, pattern: str, form: str | None) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string", "maxLength": 64, "pattern": f"^{pattern}$"}
    if form is not None:
        schema["format"] = form
    return {"name": name, "in": "path", "required": True, "schema": schema}


def _in_query(name: str) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string", "maxLength": 200}
    if name != "after":
        schema = {"type": "integer", "minimum": 1 if name == "limit" else 0, "maximum": 999_999}
    return {"name": name, "in": "query", "required": False, "schema": schema}


def _object(required: tuple[str, ...], **properties: Schema) -> Schema:
    return {"type": "object", "required": list(required), "properties": properties}


_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "string", "format": "date-time"}
_HEX: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_WHOLE: Schema = {"type": "integer", "minimum": 0}
_ANSWERS: Mapping[str, Schema] = {
    "State": _object(
        ("state", "digest", "size", "received_at", "receipt", "ledger"),
        state={"type": "string", "enum": ["accepted", "refused"]},
        digest=_HEX,
        size=_WHOLE,
        received_at=_TIME,
        receipt=_HEX,
        ledger=_object(("origin", "index", "leaf"), origin=_TEXT, index=_WHOLE, leaf=_HEX),
    ),
    "Feed": _object(
        ("items", "next"),
        next=_TEXT,
        items={
            "type": "array",
            "items": _object(
                ("to", "from", "id", "digest", "size", "lane", "submitted_at", "deadline", "position"),
                **{"to": _TEXT, "from": _TEXT, "id": _TEXT, "digest": _HEX, "size": _WHOLE},
                lane={"type": "integer", "enum": [1, 2, 3]},
                submitted_at=_TIME,
                deadline=_TIME,
                position=_TEXT,
            ),
        },
    ),
    "Pong": _object(
        ("node", "agencies", "time", "versions", "ledger"),
        node=_TEXT,
        agencies={"type": "array"},
        time=_TIME,
        versions={"type": "array", "items": _TEXT},
        ledger={"type": "object"},
    ),
    "Metadata": _object(
        ("version", "node", "issued_at", "expires_at", "endpoint", "agencies", "keys", "protocol", "limits", "ledger"),
        version={"const": 1},
        node=_TEXT,
        issued_at=_TIME,
        expires_at=_TIME,
        endpoint=_TEXT,
        agencies={
            "type": "array",
            "items": _object(("code", "name", "delivery"), code=_TEXT, name=_TEXT, delivery=_TEXT),
        },
        keys={"type": "array", "items": _object(("use", "status"), use=_TEXT, status=_TEXT)},
        protocol={"type": "object"},
        limits={"type": "object"},
        ledger={"type": "object"},
    ),
}


def _problem_schema() -> dict[str, object]:
    return {
        "type": "object",
        "required": ["type", "title", "status"],
        "properties": {
            "type": {"type": "string", "enum": [f"urn:edoc:problem:{name}" for name in PROBLEMS]},
            "title": {"type": "string"},
            "status": {"type": "integer"},
            "detail": {"type": "string"},
            "instance": {"type": "string"},
            "retryable": {"type": "boolean"},
            "retry_after": {"type": "integer"},
            "limit": {"type": "object"},
            "receipt": {"type": "string"},
            "successor": {"type": "string"},
            "supported": {"type": "array", "items": {"type": "string"}},
        },
    }
