"""Running scenes against mutants: each scene as it is, then each mutant against the scenes that make its statement."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from tests.lab.mutants import Mutant, Seen, changed, is_no_sql, mutants_of, watching
from tests.lab.scenarios import Scene
from transport.store.store import Store

Stores = Callable[[], Store]


@dataclass
class Tally:
    """What became of the mutants that were tried."""

    killed: list[Mutant] = field(default_factory=list)
    survived: list[Mutant] = field(default_factory=list)
    no_sql: list[tuple[Mutant, str]] = field(default_factory=list)


def look(scenes: Sequence[Scene], stores: Stores) -> Seen:
    """Run each scene as it is, which must hold, and note its statements."""
    seen, current = Seen(), [0]
    with watching(seen, lambda: current[0]):
        for current[0], scene in enumerate(scenes):
            _run(scene, stores)
    return seen


def all_mutants(seen: Seen) -> Iterator[Mutant]:
    """Yield the mutants of every statement that was seen; several statements of one function are numbered."""
    many = Counter(seen.functions.values())
    numbers: Counter[str] = Counter()
    for statement, where in sorted(seen.functions.items(), key=lambda one: (one[1], one[0])):
        numbers[where] += 1
        yield from mutants_of(f"{where} #{numbers[where]}" if many[where] > 1 else where, statement)


def attempt(mutants: Sequence[Mutant], seen: Seen, scenes: Sequence[Scene], stores: Stores) -> Tally:
    """Try mutants; each is killed by the first scene that does not hold any more."""
    tally = Tally()
    for mutant in mutants:
        error = _first_failure(mutant, [scenes[n] for n in seen.scenarios[mutant.statement]], stores)
        if error is None:
            tally.survived.append(mutant)
        elif is_no_sql(error):
            tally.no_sql.append((mutant, str(error)))
        else:
            tally.killed.append(mutant)
    return tally


def _first_failure(mutant: Mutant, scenes: Sequence[Scene], stores: Stores) -> Exception | None:
    with changed(mutant):
        for scene in scenes:
            try:
                _run(scene, stores)
            except Exception as error:  # whatever it is: somebody noticed
                return error
    return None


def _run(scene: Scene, stores: Stores) -> None:
    store = stores()
    try:
        scene(store)
    finally:
        store.close()
