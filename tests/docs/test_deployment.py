"""The example files of docs/deploy and the page about them name only commands, options and settings that exist."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "deploy"
PAGE = ROOT / "docs" / "deployment.md"
UNITS = sorted([*FOLDER.glob("*.service"), *FOLDER.glob("*.timer")])
SYSTEM_VARIABLES = {"EDOC_BENCH_ENDESIVE"}


def texts() -> list[Path]:
    """Return every file that somebody would copy or follow."""
    return [PAGE, *sorted(FOLDER.iterdir())]


def lines_of(path: Path) -> list[str]:
    """Return the calls of ``edoc`` in a file: of a page's blocks, a unit's Exec lines, a compose file's lists."""
    text = path.read_text("utf-8").replace("\\\n", " ")
    if path.suffix == ".md":
        blocks = re.findall(r"^```\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
        found = [line for block in blocks for line in block.splitlines() if line.startswith("edoc ")]
        return found + re.findall(r"`(edoc [a-z][^`]*)`", text)
    if path.suffix == ".yml":
        lists = re.findall(r"command:\s*\[(.*?)\]", text, re.DOTALL)
        words = [re.findall(r'"([^"]*)"', one) for one in lists]
        return [shlex.join(one) for one in words if one and one[0] == "edoc"]
    return [f"edoc {rest}" for rest in re.findall(r"/bin/edoc ([^'\n]*)", text)] + re.findall(
        r"edoc [a-z]+ --[^\n.]*", "\n".join(line for line in text.splitlines() if line.startswith("#"))
    )


CALLS = [(path.name, line) for path in texts() for line in lines_of(path)]


def test_the_files_do_call_the_program() -> None:
    calling = {name for name, _ in CALLS}
    assert {"deployment.md", "compose.yml", "edoc.service", "edoc-single.service", "edoc-backup.service"} <= calling
    assert "nginx-tls.conf" in calling


@pytest.mark.parametrize(("name", "line"), CALLS)
def test_every_call_is_a_command_with_options_that_exist(name: str, line: str) -> None:
    import cli

    words = shlex.split(line.replace("…", ""))[1:]
    command = max((one for one in cli.command_names() if words[: len(one.split())] == one.split()), key=len, default="")
    assert command, f"{name}: {line}"
    known = {option for item in cli.help_parameters(command) for option in item.names} | cli.COMMON_NAMES
    assert {word for word in words if re.match(r"--?[a-z]", word)} <= known, f"{name}: {line}"


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.name)
def test_every_setting_and_variable_that_is_named_exists(path: Path) -> None:
    from transport.settingkeys import SETTINGS

    keys = {one.key for one in SETTINGS}
    sections = {one.section for one in SETTINGS if one.section}
    text = path.read_text("utf-8")
    named = set(re.findall(rf"`((?:{'|'.join(sorted(sections))})\.[a-z_]+)[ `]", text))
    for section, body in re.findall(r"^\[([a-z]+)\]\n((?:[a-z_]+ = .*\n)+)", text, re.MULTILINE):
        named |= {f"{section}.{key}" for key in re.findall(r"^([a-z_]+) =", body, re.MULTILINE)}
    assert named <= keys, path.name
    for variable in set(re.findall(r"\bEDOC_[A-Z_]+[A-Z]", text)) - SYSTEM_VARIABLES:
        short = variable.removeprefix("EDOC_").lower().replace("__", ".")
        assert short in keys | {"home", "config", "lang", "pin_fd", "log", "log_format", "debug"}, variable


@pytest.mark.parametrize("path", texts(), ids=lambda path: path.name)
def test_every_error_code_that_is_named_is_in_the_catalogue(path: Path) -> None:
    catalogue = "".join(one.read_text("utf-8") for one in (ROOT / "transport/present/catalogue").glob("*.toml"))
    for code in re.findall(r"EDOC-[A-Z]+-[0-9]+", path.read_text("utf-8")):
        assert f'"{code}"' in catalogue, code


def test_every_link_of_the_page_leads_somewhere_and_every_file_is_linked() -> None:
    targets = set(re.findall(r"\]\(([^)#\s]+)\)", PAGE.read_text("utf-8")))
    for target in targets:
        assert "://" in target or (PAGE.parent / target).exists(), target
    assert {f"deploy/{path.name}" for path in FOLDER.iterdir()} <= targets


@pytest.mark.parametrize("name", ["nginx-tls.conf"])
def test_the_proxy_leaves_signed_parts_alone_and_buffers_no_body(name: str) -> None:
    """exchange.md 4: Host and path go through unchanged, Client-Cert is the proxy's own word."""
    text = (FOLDER / name).read_text("utf-8")
    for line in (
        "proxy_set_header Host $http_host;",
        "proxy_set_header Client-Cert $edoc_client_cert;",
        "proxy_request_buffering off;",
        "proxy_buffering off;",
        "proxy_next_upstream off;",
        "merge_slashes off;",
    ):
        assert line in text, line
    assert re.findall(r"proxy_pass (\S+);", text) == ["https://gateways"]  # no path: the request line as it came
    assert "rewrite" not in text


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units_are_what_systemd_takes(path: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("systemd-analyze is missing")
        pytest.skip("systemd is not installed")
    for one in UNITS:  # the program's place does not exist here
        text = one.read_text("utf-8").replace("/opt/edoc/bin/edoc", "/bin/true")
        (tmp_path / one.name).write_text(text, "utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(tmp_path / path.name)], capture_output=True, text=True, timeout=60
    )
    complaints = [line for line in done.stderr.splitlines() if str(tmp_path / path.name) in line or "Unknown" in line]
    assert not complaints, done.stderr
