"""Short scenes of a store that must notice a changed statement: stale leases, two workers, doubles, acts, ends (F10).

Each scene gets a fresh store and holds it to what exchange.md 6 and 7 say, column by column where a row is made. They
are run as they are, and must hold; then with one mutant in place of its statement, and one of them must not.
"""

from __future__ import annotations

from tests.lab import scenes_claims, scenes_effects, scenes_inbox, scenes_settling
from tests.lab.scenemaking import SCENES, Scene

__all__ = ["SCENES", "Scene"]

ROOMS = (scenes_claims, scenes_settling, scenes_inbox, scenes_effects)
"""Each enters its scenes when it is loaded."""
