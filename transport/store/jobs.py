"""A unit that waits for its transaction, and the future its caller holds."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, Protocol, TypeVar

from transport.store.unit import Unit

T = TypeVar("T")


class Waiting(Protocol):
    """A unit that waits, whatever its function returns."""

    def take(self) -> bool: ...
    def run(self, unit: Unit) -> None: ...
    def answer(self) -> None: ...
    def fail(self, error: BaseException) -> None: ...


class Job(Generic[T]):
    """A function that wants to be run as a unit, and where its answer goes."""

    __slots__ = ("_function", "_values", "future")

    def __init__(self, function: Callable[[Unit], T]) -> None:
        self._function = function
        self._values: list[T] = []
        self.future: Future[T] = Future()

    def take(self) -> bool:
        """Begin; false when the caller has given up before."""
        return self.future.set_running_or_notify_cancel()

    def run(self, unit: Unit) -> None:
        """Run the function and keep what it returns until the commit."""
        self._values = [self._function(unit)]

    def answer(self) -> None:
        """Tell the caller: it is committed."""
        self.future.set_result(self._values[0])

    def fail(self, error: BaseException) -> None:
        """Tell the caller why nothing was stored."""
        self.future.set_exception(error)
