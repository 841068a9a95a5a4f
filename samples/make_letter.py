"""Make the files of the sample letter: ``python samples/make_letter.py [--check]``.

They lie in ``transport/demo/data``, since the demonstration signs them. With ``--check`` nothing is written; the exit
code is 1 if a file differs from what this script makes.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __package__ in (None, ""):
    sys.path.insert(0, str(ROOT))

from samples import drawing, letter  # noqa: E402  # found only once the path above is set

DATA = ROOT / "transport" / "demo" / "data"
FILES: dict[str, Callable[[], bytes]] = {
    "letter.pdf": letter.letter,
    "appendix.pdf": letter.appendix,
    "signature.png": drawing.signature,
    "seal.png": drawing.seal,
}


def main(*, check: bool) -> int:
    """Write the files, or compare them."""
    differing = 0
    for name, make in FILES.items():
        path, data = DATA / name, make()
        if path.is_file() and path.read_bytes() == data:
            continue
        differing += 1
        print(f"{path.relative_to(ROOT)}: {'differs' if check else f'written, {len(data)} bytes'}")
        if not check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return 1 if check and differing else 0


if __name__ == "__main__":
    sys.exit(main(check="--check" in sys.argv[1:]))
