"""What travels between the processes of a command: the facts of reasons are read-only views, unknown to pickle."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from types import MappingProxyType


def _facts(values: dict[str, str]) -> MappingProxyType[str, str]:
    return MappingProxyType(values)


def _packed(
    facts: MappingProxyType[str, str],
) -> tuple[Callable[..., MappingProxyType[str, str]], tuple[dict[str, str]]]:
    return _facts, (dict(facts),)


copyreg.pickle(MappingProxyType, _packed)
