"""Joining ``xml:base`` values as Canonical XML 1.1 does (2.4 and Appendix A): relative ones stay relative."""

from __future__ import annotations

import re
from collections.abc import Sequence

_REFERENCE = re.compile(r"(?:([^:/?#]+):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)


def join_bases(bases: Sequence[str]) -> str:
    """Join values, innermost first; the outermost one stands as it is if it is alone."""
    joined = bases[-1]
    for base in reversed(bases[:-1]):
        joined = join(joined, base)
    return joined


def join(base: str, reference: str) -> str:
    """Join two references as RFC 3986 (5.2.2) does, but a relative base gives a relative result; fragments go."""
    scheme, authority, path, query = _parts(base)
    own_scheme, own_authority, own_path, own_query = _parts(reference)
    if own_scheme is not None:
        return _text(own_scheme, own_authority, without_dots(own_path), own_query)
    if own_authority is not None:
        return _text(scheme, own_authority, without_dots(own_path), own_query)
    if not own_path:
        return _text(scheme, authority, path, query if own_query is None else own_query)
    if own_path.startswith("/"):
        return _text(scheme, authority, without_dots(own_path), own_query)
    if path.endswith("/..") or path == "..":
        path += "/"
    above = "/" if authority is not None and not path else path[: path.rfind("/") + 1]
    return _text(scheme, authority, without_dots(above + own_path), own_query)


def without_dots(path: str) -> str:
    """Remove ``.`` and ``..``: leading ``../`` stay, several slashes are one, a ``..`` at the end gets a slash."""
    absolute = path.startswith("/")
    segments = [segment for segment in path.split("/") if segment not in {"", "."}]
    ends_open = path.rpartition("/")[2] in {"", ".", ".."}
    kept: list[str] = []
    for segment in segments:
        if segment != "..":
            kept.append(segment)
        elif kept and kept[-1] != "..":
            kept.pop()
        elif not absolute:
            kept.append(segment)
    joined = "/".join(kept)
    if joined and ends_open:
        joined += "/"
    return "/" + joined if absolute else joined


def _parts(reference: str) -> tuple[str | None, str | None, str, str | None]:
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return None, None, reference, None
    return found[1], found[2], found[3], found[4]


def _text(scheme: str | None, authority: str | None, path: str, query: str | None) -> str:
    text = "" if scheme is None else f"{scheme}:"
    text += "" if authority is None else f"//{authority}"
    return text + path + ("" if query is None else f"?{query}")
