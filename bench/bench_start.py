"""How long the command takes to start, beside the start of an empty Python."""

import subprocess
import sys

from measure import measure, report


def start(*argv: str) -> None:
    """Run a Python process to its end."""
    subprocess.run([sys.executable, *argv], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    empty = measure("start.python", lambda: start("-c", "pass"))
    floor = empty.median
    report(
        empty,
        measure("start.version", lambda: start("-m", "edoc", "--version"), floor=floor),
        measure("start.help", lambda: start("-m", "edoc", "--help"), floor=floor),
        measure("start.help-verify", lambda: start("-m", "edoc", "verify", "--help"), floor=floor),
    )
