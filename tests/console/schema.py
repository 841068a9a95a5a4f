"""A small reader of JSON Schema (draft 2020-12), as far as the shipped schemas use it.

It knows every keyword that occurs in them and fails on one it does not know, so a schema cannot claim more than is
checked.
"""

import json
import re
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

KNOWN = {
    "$schema", "$id", "$ref", "$defs", "title", "type", "required", "properties", "items", "anyOf", "enum", "const",
    "pattern", "minimum", "minItems", "maxItems",
}  # fmt: skip
TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "null": (type(None),),
}


def load(name: str) -> dict[str, Any]:
    """Return the shipped schema of ``edoc.verify/1`` and the like."""
    file = resources.files("transport.present").joinpath("schemas", name.replace("/", "-") + ".json")
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def problems(document: Mapping[str, Any]) -> list[str]:
    """Return where a document differs from the schema it names, unknown fields included; nothing means it fits."""
    root = load(str(document["schema"]))
    return list(_check(document, root, root, "$"))


def _check(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Iterator[str]:
    assert set(schema) <= KNOWN, set(schema) - KNOWN
    if "$ref" in schema:
        schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
    yield from _simple(value, schema, where)
    if "anyOf" in schema:
        answers = [list(_check(value, option, root, where)) for option in schema["anyOf"]]
        if all(answers):
            yield min(answers, key=len)[0]
    if isinstance(value, dict):
        yield from _fields(value, schema, root, where)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _check(item, schema["items"], root, f"{where}[{index}]")


def _simple(value: Any, schema: Mapping[str, Any], where: str) -> Iterator[str]:
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (isinstance(value, bool) and kind != "boolean")):
        yield f"{where}: {value!r} is not {kind}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{where}: {value!r} is not one of {schema['enum']}"
    if "const" in schema and value != schema["const"]:
        yield f"{where}: {value!r} is not {schema['const']!r}"
    if "minimum" in schema and isinstance(value, int) and value < schema["minimum"]:
        yield f"{where}: {value!r} is less than {schema['minimum']}"
    if isinstance(value, list) and not schema.get("minItems", 0) <= len(value) <= schema.get("maxItems", len(value)):
        yield f"{where}: {len(value)} items"
    if "pattern" in schema and isinstance(value, str) and not re.search(schema["pattern"], value):
        yield f"{where}: {value!r} does not match {schema['pattern']}"


def _fields(value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], where: str) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{where}: {name} is missing" for name in schema.get("required", ()) if name not in value)
    if known:
        yield from (f"{where}: {name} is not in the schema" for name in value if name not in known)
    for name, inner in value.items():
        if name in known:
            yield from _check(inner, known[name], root, f"{where}.{name}")
