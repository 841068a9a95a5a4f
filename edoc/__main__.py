"""The launcher of the command ``edoc``: part of the command, not of the library.

``signer``, ``transport`` and ``cli`` are common words. Before anything of ours is loaded, the launcher asks where they
would come from; all must lie beside ``edoc``, or a stranger's package of the same name would be run with our keys.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

EXIT_SETUP = 6


def _foreign() -> list[str]:
    """Return one line per name of ours that would be loaded from elsewhere."""
    here = Path(__file__).resolve().parent.parent
    wanted = {
        "signer": here / "signer" / "__init__.py",
        "transport": here / "transport" / "__init__.py",
        "cli": here / "cli.py",
    }
    lines = []
    for name, path in wanted.items():
        spec = importlib.util.find_spec(name)
        found = Path(spec.origin).resolve() if spec and spec.origin else None
        if found != path:
            lines.append(f"  {name}: {found or '-'} (cần / expected: {path})")
    return lines


def main() -> None:
    """Check where our packages come from, then run the command line."""
    if sys.argv[1:] == ["--version"]:
        print(f"edoc {importlib.import_module('edoc').__version__}")
        return
    if lines := _foreign():
        print(
            "edoc: có gói lạ chiếm tên của edoc / foreign files under our package names",
            *lines,
            sep="\n",
            file=sys.stderr,
        )
        sys.exit(EXIT_SETUP)
    importlib.import_module("cli").main()


if __name__ == "__main__":
    main()
