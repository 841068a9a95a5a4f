"""Words of the report, by name and language."""

from __future__ import annotations

from functools import cache

from transport.present import catalogue


@cache
def table() -> dict[str, dict[str, str]]:
    """Return all texts of the report."""
    return catalogue.read("report")  # type: ignore[return-value]  # the form is checked by tests/reports


class Words:
    """Says things in one language: ``words("title")``; a name that does not exist is a fault of the program."""

    def __init__(self, lang: str) -> None:
        self.lang = lang

    def __call__(self, name: str, /, **facts: object) -> str:
        return catalogue.fill(table()[name][self.lang], facts)

    def known(self, prefix: str, value: str) -> str:
        """Return the word for a value of a closed list; an unknown one stands for itself."""
        texts = table().get(f"{prefix}_{value}")
        return texts[self.lang] if texts else value
