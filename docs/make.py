"""Writes the generated pages: NOTICE, docs/errors.md, docs/commands.md. ``--check`` says what is stale or broken.

The check also follows every relative link of the Markdown files and looks for hosts of package registries and paths of
a machine in all tracked files (dependencies.md 3).
"""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

LICENCES = {
    "Apache 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "ISC License": "ISC",
    "MIT License": "MIT",
    "BSD-3-Clause, Apache-2.0, dependency licenses": "BSD-3-Clause AND Apache-2.0",
}
OTHER_SYSTEMS = {  # installed on Windows only, or with the oldest Python alone
    "backports-tarfile": "MIT",
    "colorama": "BSD-3-Clause",
    "importlib-metadata": "Apache-2.0",
    "lazy-importer": "Apache-2.0",
    "pywin32-ctypes": "BSD-3-Clause",
    "tzdata": "Apache-2.0",
    "zipp": "MIT",
}
EXTRAS = {  # only where the extra was asked for
    "jaraco-classes": "MIT",
    "jaraco-context": "MIT",
    "jaraco-functools": "MIT",
    "jeepney": "MIT",
    "keyring": "MIT",
    "more-itertools": "MIT",
    "obstore": "MIT",
    "psycopg": "LGPL-3.0-only",
    "psycopg-binary": "LGPL-3.0-only",
    "pypdfium2": "BSD-3-Clause AND Apache-2.0",
    "python-pkcs11": "MIT",
    "secretstorage": "BSD-3-Clause",
    "typst": "Apache-2.0",
}
FORBIDDEN = re.compile(
    r"(?:https?://|--(?:extra-)?index-url\s+\S*)[^\s\"'<>)]*(?:pypi\.|pythonhosted|/simple\b)|(?<![\w.])/(?:home|root|Users)/\w+",
)


def requirements(name: str) -> list[str]:
    """Return the package names of a hashed requirements file."""
    lines = (ROOT / "requirements" / f"{name}.txt").read_text("utf-8").splitlines()
    return [match[0] for line in lines if (match := re.match(r"[A-Za-z0-9][\w.\-]*(?===)", line))]


def licence(package: str) -> str:
    """Return the SPDX expression of an installed package."""
    if package in OTHER_SYSTEMS or package in EXTRAS:
        return {**OTHER_SYSTEMS, **EXTRAS}[package]
    found = metadata.metadata(package)
    text = found.get("License-Expression") or found.get("License") or ""
    if not text:
        text = next((c.rpartition(":: ")[2] for c in found.get_all("Classifier") or [] if c.startswith("License")), "")
    return LICENCES.get(text, text)


def notice() -> str:
    """Return NOTICE: whose work is used, under which licence."""
    head = (
        "edoc\nCopyright the authors of edoc\n\nLicensed under the Apache License, Version 2.0 (see LICENSE).\n\n"
        "edoc is installed together with these packages, each under its own licence; none is changed:\n\n"
    )
    rows = [f"{package}: {licence(package)}\n" for package in requirements("all")]
    return head + "".join(rows) + fonts()


def fonts() -> str:
    """Return the lines about fonts that ship with the package."""
    texts = sorted(path.relative_to(ROOT) for path in ROOT.glob("*/**/fonts/*.txt") if ".venv" not in path.parts)
    if not texts:
        return ""
    return "\nFonts, changed and renamed under the SIL Open Font License 1.1:\n\n" + "".join(f"{t}\n" for t in texts)


def errors() -> str:
    """Return the page that lists every code."""
    from transport.present import catalogue

    parts = [
        "# Mã lỗi / Error codes\n\nTrang này được sinh ra từ danh mục thông báo. Made from the message catalogue.\n"
    ]
    for area in catalogue.AREAS:
        if entries := catalogue.area(area):
            parts.append(f"\n## {area}\n\n| mã | thoát | tiếng Việt | English |\n|---|---|---|---|\n")
            parts += [_error_row(entry) for _, entry in sorted(entries.items())]
    return "".join(parts)


def _error_row(entry: object) -> str:
    cells = [getattr(entry, "code"), str(getattr(entry, "exit"))]  # noqa: B009  # shown as data
    texts = getattr(entry, "texts")  # noqa: B009
    cells += [f"{texts[lang]['what']}. {texts[lang].get('next', '')}".replace("|", "\\|") for lang in ("vi", "en")]
    return f"| {' | '.join(cells)} |\n"


def commands() -> str:
    """Return the help pages of every command, as the program prints them."""
    import cli

    parts = ["# Lệnh / Commands\n\nSinh ra từ `edoc LỆNH --help`. Made from `edoc COMMAND --help --lang en`.\n"]
    for name in cli.command_names():
        for lang in ("vi", "en"):
            page = "\n".join(cli.help_lines(name, lang))
            parts.append(f"\n## edoc {name}\n\n```text\n{page}\n```\n" if lang == "vi" else f"\n```text\n{page}\n```\n")
    return "".join(parts)


PAGES = {"NOTICE": notice, "docs/errors.md": errors, "docs/commands.md": commands}


def tracked() -> list[Path]:
    """Return the tracked files, or in an unpacked archive the files that are there."""
    answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if answer.returncode:
        return [path for path in ROOT.rglob("*") if path.is_file() and ".venv" not in path.parts]
    return [ROOT / name for name in answer.stdout.decode().split("\0") if name and (ROOT / name).is_file()]


def problems() -> Iterator[str]:
    """Yield what is stale, what links nowhere, what names a registry or a machine."""
    for name, make in PAGES.items():
        path = ROOT / name
        if not path.is_file() or path.read_text("utf-8") != make():
            yield f"{name} is stale: make docs"
    for path in tracked():
        try:
            text = path.read_text("utf-8")
        except UnicodeDecodeError:
            continue
        name = path.relative_to(ROOT)
        yield from (f"{name}: {match[0]}" for match in FORBIDDEN.finditer(text))
        if path.suffix == ".md":
            yield from _broken_links(path, text)


def _broken_links(path: Path, text: str) -> Iterator[str]:
    for target in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.S)):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        if not (path.parent / target.partition("#")[0]).exists():
            yield f"{path.relative_to(ROOT)}: broken link {target}"


def main() -> int:
    """Write the pages, or with ``--check`` print what is wrong and return 1 if anything is."""
    if "--check" in sys.argv[1:]:
        found = list(problems())
        sys.stderr.write("".join(f"{line}\n" for line in found))
        return 1 if found else 0
    for name, make in PAGES.items():
        (ROOT / name).write_text(make(), "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
