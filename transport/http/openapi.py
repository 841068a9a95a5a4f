"""The OpenAPI 3.1 document of the exchange (exchange.md 3, E8), made from one table of operations."""

from __future__ import annotations

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


@dataclass(frozen=True, slots=True)
class Operation:
    """One request of exchange.md 3: number, method, path, who calls, answers by status with their media type."""

    number: str
    method: str
    path: str
    summary: str
    answers: tuple[tuple[int, str | None], ...]
    signed: bool = True


OPERATIONS = (
    Operation(
        "E1",
        "PUT",
        K,
        "Hand over one sealed message",
        ((201, RECEIPT_TYPE), (200, RECEIPT_TYPE), (422, RECEIPT_TYPE), (202, None)),
    ),
    Operation("E2", "GET", K, "What is known of a message", ((200, JSON_TYPE), (202, None))),
    Operation("E2", "HEAD", K, "What is known of a message, header alone", ((200, None), (202, None))),
    Operation("E3", "GET", K + "/receipt", "The stored receipt", ((200, RECEIPT_TYPE), (304, None), (202, None))),
    Operation("E7", "POST", PING, "Is it us or them?", ((200, JSON_TYPE),)),
    Operation("E8", "GET", METADATA, "Agency metadata", ((200, JSON_TYPE),), signed=False),
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
            "schemas": {"Problem": _problem_schema()},
        },
    }


def _operation(one: Operation) -> dict[str, object]:
    responses: dict[str, object] = {}
    for status, media in one.answers:
        described: dict[str, object] = {"description": f"answer of {one.number}"}
        if media is not None:
            described["content"] = {media: {}}
        responses[str(status)] = described
    problem = {"content": {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    responses["default"] = {"description": "a problem of RFC 9457", **problem}
    found: dict[str, object] = {
        "operationId": f"{one.number}-{one.method.lower()}-{one.path.rsplit('/', 1)[-1].strip('{}')}",
        "summary": one.summary,
        "responses": responses,
        "security": [{"signature": []}] if one.signed else [],
    }
    if "{id}" in one.path:
        found["parameters"] = [_parameter("recipient"), _parameter("sender"), _parameter("id", "uuid")]
    if one.method == "PUT":
        found["requestBody"] = {"required": True, "content": {MESSAGE_TYPE: {}}}
    return found


def _parameter(name: str, form: str | None = None) -> dict[str, object]:
    schema: dict[str, object] = {"type": "string", "maxLength": 64}
    if form is not None:
        schema["format"] = form
    return {"name": name, "in": "path", "required": True, "schema": schema}


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
