"""What the program says about itself: version, libraries, schemas, help topics."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata, resources

from edoc import __version__
from transport.present import help as pages
from transport.present.errors import CommandError
from transport.present.screen import Screen, facts

LIBRARIES = ("cryptography", "lxml", "pyhanko", "pyhanko-certvalidator", "aiohttp", "sqlmodel", "SQLAlchemy", "typer")


def schemas() -> tuple[str, ...]:
    """Return the names of the JSON Schemas that ship with the package, such as ``edoc.verify/1``."""
    folder = resources.files("transport.present").joinpath("schemas")
    names = sorted(item.name.removesuffix(".json") for item in folder.iterdir() if item.name.endswith(".json"))
    return tuple(f"{name.rpartition('-')[0]}/{name.rpartition('-')[2]}" for name in names)


def schema(name: str) -> dict[str, object]:
    """Return a JSON Schema by name: ``edoc.verify/1``, ``verify/1`` or ``verify``."""
    full = name if name.startswith("edoc.") else f"edoc.{name}"
    full = full if "/" in full else f"{full}/1"
    if full not in schemas():
        raise CommandError("EDOC-USE-004", name="json", value=name, expected=", ".join(schemas()))
    file = resources.files("transport.present").joinpath("schemas", full.replace("/", "-") + ".json")
    found: dict[str, object] = json.loads(file.read_text("utf-8"))
    return found


def version() -> dict[str, object]:
    """Return ``edoc.version/1``."""
    return {
        "schema": "edoc.version/1",
        "version": __version__,
        "python": platform.python_version(),
        "libraries": {name: _installed(name) for name in LIBRARIES},
        "schemas": list(schemas()),
    }


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def version_lines(found: Mapping[str, object], screen: Screen) -> list[str]:
    """Return the version for a person."""
    libraries = found["libraries"]
    assert isinstance(libraries, dict)
    rows = {"edoc": str(found["version"]), "Python": str(found["python"])}
    return facts({**rows, **{name: str(value or "-") for name, value in libraries.items()}}, screen)


def topic(words: Sequence[str], lang: str) -> list[str]:
    """Return a help topic; without one the front page."""
    if not words:
        return pages.front(lang, whole=True, version=__version__)
    name = words[0]
    if name not in pages.TOPICS:
        raise CommandError("EDOC-USE-033", name=name, topics=", ".join(pages.TOPICS))
    if name == "json":
        if len(words) > 1:
            return json.dumps(schema(words[1]), ensure_ascii=False, indent=2).splitlines()
        return [pages.heading("schemas", lang), "", *(f"  {item}" for item in schemas())]
    if name == "config":
        from transport.settings import example

        return str(example(lang)).splitlines()
    return pages.topic(name, lang)
