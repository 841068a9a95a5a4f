"""What an attack file is: its class in signing.md 10, A3, how it is made, the line it must get, and its neighbour.

``docs/attacks.md`` is written from the tables beside this module: ``python -m tests.vectors.verification.attack``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from signer.report import Code
from tests.vectors.verification.house import Case, House, Line

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "docs" / "attacks.md"
Make = Callable[[House], Case]


@dataclass(frozen=True)
class Attack:
    """One class: ``does`` says what the attacker does, ``beside`` what the harmless neighbour is.

    ``cases`` are the attack files by name. ``also`` names further tests of the class; a class without cases (what
    is attacked there is no file) has only those.
    """

    name: str
    does: str
    cases: dict[str, Make]
    line: Line | None = None
    says: tuple[Code, ...] = ()
    signature: str | None = None
    neighbour: Make | None = None
    beside: str = ""
    also: tuple[str, ...] = ()
    harmless: bool = False  # what was done reaches nobody: the answer is that of the neighbour
    lines: dict[str, Line] | None = None  # of single cases, where they differ
    anonymous: bool = False  # the neighbour is intact, but names nobody

    def line_of(self, case: str) -> Line:
        """Return the line a case must get."""
        assert self.line is not None
        return (self.lines or {}).get(case, self.line)

    @property
    def answer(self) -> str:
        """The expected answer in words of the report."""
        if self.line is None:
            return "refused"
        words = [self.line.verdict]
        if self.line.integrity != "-":
            words += [self.line.integrity, str(self.line.sub) if self.line.sub else "passed"]
        return " · ".join(dict.fromkeys([*words, *(code.value for code in self.says)]))


def one(make: Make) -> dict[str, Make]:
    """Return the cases of a class of a single file."""
    return {"": make}


def groups() -> dict[str, Sequence[Attack]]:
    """Return all classes, in the order of the specification."""
    from tests.vectors.verification.attacks_other import CONTAINERS, TRUST
    from tests.vectors.verification.attacks_pdf import PDF
    from tests.vectors.verification.attacks_xml import OURS, XML

    return {
        "PDF": PDF,
        "XML": XML,
        "Seals and receipts": OURS,
        "CMS and containers": CONTAINERS,
        "Trust and time": TRUST,
    }


HEAD = """# Attacks and how they are answered

Every class of attack that a verifier of signed documents must withstand, each with files of our own, made anew in every
run by the tests, and beside each a harmless neighbour that stays valid: refusing good files is the second fault. The
page is written from the tables of the tests and checked by them: `python -m tests.vectors.verification.attack`.

*Answer*: verdict of the file · integrity of the signature attacked · its sub-indication · what the reasons say. An
attack on the bytes gets it under every policy, with any anchors, at any time. A class in *italics* has no file of its
own, since what is attacked there is no signed file, or not one alone; its tests are named.
"""


def page() -> str:
    """Return the text of ``docs/attacks.md``."""
    return "\n".join([HEAD, *_sections()])


def _sections() -> Iterator[str]:
    for group, attacks in groups().items():
        yield f"## {group}\n"
        yield "| class | what is done | answer | harmless neighbour | tests |"
        yield "|---|---|---|---|---|"
        for attack in attacks:
            name = attack.name if attack.cases else f"*{attack.name}*"
            tests = [f"`test_every_attack.py[{group}: {attack.name}]`"] if attack.cases else []
            tests += [f"`{test}`" for test in attack.also]
            cells = (name, attack.does, attack.answer, attack.beside or "–", ", ".join(tests))
            yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
        yield ""


def changed(line: Line, **other: object) -> Line:
    """Return a line but for what is given."""
    return replace(line, **other)  # type: ignore[arg-type]  # fields by name


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
