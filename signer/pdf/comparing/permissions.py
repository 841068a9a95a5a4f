"""What signers wrote about later changes: DocMDP, FieldMDP, ``/Lock`` (signing.md 4.3; ISO 32000-2, 12.8.2).

Only the certification, the first signature, named by ``/Perms``, can permit more than nothing written does; every other
permission narrows. What cannot be read narrows as far as it could.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from signer.pdf.comparing.view import Dictionary, Field, View, text_of


@dataclass(frozen=True, slots=True)
class Lock:
    """Fields that may not change any more: all, these, or all but these."""

    action: str  # All, Include, Exclude
    names: tuple[str, ...]

    def holds(self, name: str) -> bool:
        """Say whether it locks the field of that full name."""
        if self.action == "All":
            return True
        listed = any(name == one or name.startswith(f"{one}.") for one in self.names)
        return listed if self.action == "Include" else not listed


@dataclass(frozen=True, slots=True)
class Written:
    """What one signature wrote: a level (1 to 3), whether as certification, and locks."""

    level: int | None
    certifies: bool
    locks: tuple[Lock, ...]


@dataclass(frozen=True, slots=True)
class InForce:
    """What holds when a change is made: the tightest of what signers wrote until then."""

    granted: int | None = None  # by the certification
    tightest: int | None = None
    locks: tuple[Lock, ...] = ()

    def locked(self, name: str | None) -> bool:
        """Say whether a field is locked."""
        return name is not None and any(lock.holds(name) for lock in self.locks)

    @property
    def forbids_all(self) -> bool:
        """Say whether nothing but validation data may be added (P = 1)."""
        return self.tightest == 1

    @property
    def fields_may_change(self) -> bool:
        """Say whether filled fields may be changed: written, and nowhere narrowed."""
        return self.granted in (2, 3) and self.tightest in (2, 3)

    @property
    def comments(self) -> bool:
        """Say whether comments may be added, changed, removed."""
        return self.granted == 3 and self.tightest == 3


def written(view: View, field: Field, *, first: bool) -> Written:
    """Read what a signature wrote, in the state it signed. ``first`` says that no signature is older."""
    value = view.dictionary(field.inherited.get("V"))
    levels, locks = [], []
    for item in view.items(value.get("Reference")):
        reference = view.dictionary(item)
        parameters = view.dictionary(reference.get("TransformParams"))
        method = view.document.resolve(reference.get("TransformMethod"))
        if method == "DocMDP":
            levels.append(_level(view, parameters))
        elif method == "FieldMDP":
            locks.append(_lock(view, parameters))
            levels += [_level(view, parameters)] if "P" in parameters else []
    lock = view.dictionary(field.entries.get("Lock"))
    if lock:
        locks.append(_lock(view, lock))
        levels += [_level(view, lock)] if "P" in lock else []
    certified = view.get(view.root.get("Perms"), "DocMDP")
    certifies = first and bool(levels) and _has_docmdp(view, value) and certified == value
    return Written(min(levels, default=None), certifies, tuple(locks))


def _has_docmdp(view: View, value: Dictionary) -> bool:
    return any(view.get(item, "TransformMethod") == "DocMDP" for item in view.items(value.get("Reference")))


def _level(view: View, parameters: Dictionary) -> int:
    if "P" not in parameters:
        return 2
    level = view.document.resolve(parameters["P"])
    return level if isinstance(level, int) and not isinstance(level, bool) and level in (1, 2, 3) else 1


def _lock(view: View, parameters: Dictionary) -> Lock:
    action = view.document.resolve(parameters.get("Action"))
    names = tuple(text_of(view.document.resolve(item)) for item in view.items(parameters.get("Fields")))
    if action == "Include":
        return Lock("Include", names)
    return Lock("Exclude", names) if action == "Exclude" else Lock("All", ())


def in_force(all_written: Sequence[Written]) -> InForce:
    """Return what holds after signatures wrote all this."""
    levels = [one.level for one in all_written if one.level is not None]
    granted = next((one.level for one in all_written if one.certifies), None)
    locks = tuple(dict.fromkeys(lock for one in all_written for lock in one.locks))
    return InForce(granted, min(levels, default=None), locks)
