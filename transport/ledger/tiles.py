"""Tiles: the tree cut into pieces of 256 hashes, C2SP tlog-tiles (ledger.md 2).

Promises: level 0 holds leaf hashes, level k the roots of the full tiles of level k-1; paths and entry bundles are
written and read exactly. :class:`TileTree` makes proofs of a log of any size from a reader of tiles, so that neither
the whole tree nor one row per leaf is ever needed.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from transport.ledger.merkle import (
    HASH_SIZE,
    MAX_SIZE,
    ProofInvalid,
    consistency_ranges,
    inclusion_ranges,
    range_root,
    root_of,
)

WIDTH = 256
HEIGHT = 8
"""A full tile is a subtree of this height."""
MAX_LEVEL = 7
MAX_ENTRY = 2**16 - 1

TileReader = Callable[[int, int, int], Sequence[bytes]]
"""Gives the first ``width`` hashes of tile ``n`` of a ``level``: (level, n, width)."""

_PART = re.compile(r"x[0-9]{3}", re.ASCII)
_LAST = re.compile(r"[0-9]{3}", re.ASCII)
_PARTIAL = re.compile(r"[1-9][0-9]{0,2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Tile:
    """The place of a tile: level (``None`` for entry bundles), number, width (256 when full)."""

    level: int | None
    n: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise ValueError("there is no such level")
        if not 0 <= self.n <= MAX_SIZE // WIDTH or not 1 <= self.width <= WIDTH:
            raise ValueError("there is no such tile")

    def __str__(self) -> str:
        digits = f"{self.n:03}"
        digits = digits.zfill(-(-len(digits) // 3) * 3)
        parts = [digits[at : at + 3] for at in range(0, len(digits), 3)]
        name = "/".join([*(f"x{part}" for part in parts[:-1]), parts[-1]])
        partial = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{'entries' if self.level is None else self.level}/{name}{partial}"


def parse_path(path: str) -> Tile:
    """Read the path of a tile or bundle. Raises ``ValueError`` unless ``str`` could have written it."""
    head, _, rest = path.removeprefix("tile/").partition("/")
    name, partial, width = rest.partition(".p/")
    *front, last = name.split("/")
    if len(front) > 6 or any(_PART.fullmatch(part) is None for part in front) or _LAST.fullmatch(last) is None:
        raise ValueError("not the path of a tile")
    if (partial and _PARTIAL.fullmatch(width) is None) or (head != "entries" and re.fullmatch("[0-7]", head) is None):
        raise ValueError("not the path of a tile")
    number = int("".join(part.lstrip("x") for part in [*front, last]))
    tile = Tile(None if head == "entries" else int(head), number, int(width) if partial else WIDTH)
    if str(tile) != path:
        raise ValueError("not the path of a tile")
    return tile


def tiles_of(size: int) -> tuple[Tile, ...]:
    """Return every tile of a log of ``size`` leaves, full ones and the partial ones at its edge, level by level."""
    found = []
    count, level = size, 0
    while count:
        full, rest = divmod(count, WIDTH)
        found += [Tile(level, n) for n in range(full)]
        if rest:
            found.append(Tile(level, full, rest))
        count, level = full, level + 1
    return tuple(found)


def new_full_tiles(old: int, new: int) -> tuple[Tile, ...]:
    """Return the tiles that become full when a log grows from ``old`` to ``new`` leaves, lower levels first."""
    found: list[Tile] = []
    level = 0
    while old or new:
        old, new = old // WIDTH, new // WIDTH
        found += [Tile(level, n) for n in range(old, new)]
        level += 1
    return tuple(found)


def pack_entries(entries: Iterable[bytes]) -> bytes:
    """Return an entry bundle: each leaf behind its length, 16 bits big-endian. Raises ``ValueError``."""
    parts = []
    for entry in entries:
        if len(entry) > MAX_ENTRY:
            raise ValueError("an entry is longer than 65,535 bytes")
        parts += [struct.pack(">H", len(entry)), entry]
    return b"".join(parts)


def unpack_entries(data: bytes, *, width: int) -> tuple[bytes, ...]:
    """Read a bundle of exactly ``width`` entries. Raises ``ValueError``."""
    entries, at = [], 0
    for _ in range(width):
        if at + 2 > len(data):
            raise ValueError("the bundle ends too early")
        (length,) = struct.unpack_from(">H", data, at)
        entries.append(data[at + 2 : at + 2 + length])
        at += 2 + length
    if at != len(data):
        raise ValueError("the bundle has another number of entries")
    return tuple(entries)


def split_hashes(data: bytes) -> tuple[bytes, ...]:
    """Return the hashes of a tile's bytes. Raises ``ValueError`` when they are no whole hashes."""
    if len(data) % HASH_SIZE or len(data) > WIDTH * HASH_SIZE:
        raise ValueError("a tile holds at most 256 hashes of 32 bytes")
    return tuple(data[at : at + HASH_SIZE] for at in range(0, len(data), HASH_SIZE))


class TileTree:
    """A log of ``size`` leaves seen through its tiles; each tile is read once."""

    def __init__(self, size: int, read: TileReader) -> None:
        self.size = size
        self._read = read
        self._tiles: dict[tuple[int, int], Sequence[bytes]] = {}

    def node(self, height: int, number: int) -> bytes:
        """Return the hash of a complete subtree that lies inside the log."""
        if (number + 1) << height > self.size:
            raise ProofInvalid("there is no such subtree")
        level, inside = divmod(height, HEIGHT)
        n, offset = divmod(number << inside, WIDTH)
        hashes = self._tile(level, n)
        return root_of(hashes[offset : offset + (1 << inside)])

    def root(self) -> bytes:
        """Return the root over all leaves."""
        return range_root(0, self.size, self.node) if self.size else root_of(())

    def inclusion(self, index: int) -> tuple[bytes, ...]:
        """Return the inclusion proof of a leaf. Raises ``ProofInvalid`` when it is not in the log."""
        return tuple(range_root(start, end, self.node) for start, end in inclusion_ranges(index, self.size))

    def consistency(self, old: int) -> tuple[bytes, ...]:
        """Return the proof that the log extends its own first ``old`` leaves. Raises ``ProofInvalid``."""
        return tuple(range_root(start, end, self.node) for start, end in consistency_ranges(old, self.size))

    def _count(self, level: int) -> int:
        return self.size >> (HEIGHT * level)

    def _tile(self, level: int, n: int) -> Sequence[bytes]:
        if (level, n) not in self._tiles:
            width = min(WIDTH, self._count(level) - n * WIDTH)
            if width < 1:
                raise ProofInvalid("there is no such tile")
            hashes = self._read(level, n, width)
            if len(hashes) < width:
                raise ProofInvalid("a tile is shorter than the log says")
            self._tiles[level, n] = hashes[:width]
        return self._tiles[level, n]
