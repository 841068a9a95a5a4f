"""Errors of the parser in our words: Typer cannot speak Vietnamese (console.md 1, row "Language")."""

from __future__ import annotations

import typer

from transport.present.errors import CommandError


def translate(error: typer.TyperException) -> CommandError:
    """Return our error for one that Typer raised while it read the command line."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context is not None else "edoc"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return _no_such_option(error, command)
    if kind == "MissingParameter":
        return CommandError("EDOC-USE-003", name=_name_of(error), command=command)
    if kind == "BadOptionUsage":
        return _bad_option(error, command)
    if kind == "BadParameter":
        return CommandError("EDOC-USE-004", name=_name_of(error), value=_value_of(error), expected=_expected_of(error))
    if error.message.startswith("Missing command"):
        return CommandError("EDOC-USE-003", name="COMMAND", command=command)
    extra = error.message.rpartition(" (")[2].removesuffix(")")
    return CommandError("EDOC-USE-006", extra=extra or error.message, command=command)


def _no_such_option(error: typer.TyperException, command: str) -> CommandError:
    found = getattr(error, "possibilities", None) or ()
    near = ", ".join(name for name in found if name != "--pin")  # declared only to be refused; nobody is led to it
    return CommandError("EDOC-USE-002", name=getattr(error, "option_name", "-"), command=command, nearest=near)


def _bad_option(error: typer.TyperException, command: str) -> CommandError:
    name = str(getattr(error, "option_name", "-"))
    if name == "--pin":
        return CommandError("EDOC-USE-007")
    missing = "requires" in error.message
    return CommandError("EDOC-USE-003" if missing else "EDOC-USE-005", name=name, command=command, detail=error.message)


def _name_of(error: typer.TyperException) -> str:
    param = getattr(error, "param", None)
    if param is None:
        return "-"
    return str(param.metavar or param.opts[0]) if param.param_type_name == "argument" else str(param.opts[0])


def _refused(error: typer.TyperException) -> list[tuple[str, str]]:
    """Return each value refused with the kind of refusal; the check of types keeps them, in English alone."""
    details = getattr(error.__context__, "errors", None)
    return [(str(one.get("input", "-")), str(one.get("type", ""))) for one in details()] if callable(details) else []


def _value_of(error: typer.TyperException) -> str:
    return ", ".join(value for value, _ in _refused(error)) or "-"


def _expected_of(error: typer.TyperException) -> str:
    numbers = any(kind.startswith("int_") for _, kind in _refused(error))
    return "0, 1, 2, …" if numbers else error.message
