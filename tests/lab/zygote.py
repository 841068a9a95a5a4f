"""A process that has the product loaded and becomes an ``edoc`` command when asked: starting costs a fork, not seconds.

What runs after the fork is ``edoc.__main__.main`` with its own arguments, as in a fresh process; kill -9 ends that
process and nothing else. Orders come as JSON datagrams on the socket in argument 1, each with the descriptors for
standard output and standard error; answers name the process, and later how it ended.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import itertools
import json
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress

PR_SET_PDEATHSIG = 1
MODULES = (
    "cli",
    "transport.desk.nodes",
    "transport.desk.serving",
    "transport.desk.office",
    "transport.node.node",
    "transport.http.server",
    "transport.http.client",
    "transport.http.pki",
    "transport.courier",
    "signer.pdf",
    "edoc.seal",
)


def main() -> None:
    """Fork commands until the other side closes."""
    for name in MODULES:
        with suppress(ImportError):
            importlib.import_module(name)
    gc.freeze()
    orders = socket.socket(fileno=int(sys.argv[1]))
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(writing)
    orders.send(b'{"ready": true}')
    with selectors.DefaultSelector() as waiting:
        waiting.register(orders, selectors.EVENT_READ)
        waiting.register(reading, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is orders:
                    if not _order(orders):
                        return
                else:
                    os.read(reading, 4096)
                    _reap(orders)


def _order(orders: socket.socket) -> bool:
    data, descriptors, _, _ = socket.recv_fds(orders, 65536, 2)
    if not data:
        return False
    wanted = json.loads(data)
    child = os.fork()
    if child == 0:
        _become(wanted, descriptors, orders)
    for one in descriptors:
        os.close(one)
    orders.send(json.dumps({"started": child}).encode())
    return True


def _reap(orders: socket.socket) -> None:
    while True:
        try:
            child, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if child == 0:
            return
        orders.send(json.dumps({"ended": child, "code": os.waitstatus_to_exitcode(status)}).encode())


def _become(wanted: dict[str, object], descriptors: list[int], orders: socket.socket) -> None:
    """Be the command; never returns."""
    code = 70
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL))  # no node outlives its nursery
    try:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        orders.close()
        for place, one in zip((1, 2), descriptors, strict=True):
            os.dup2(one, place)
            os.close(one)
        sys.stdout, sys.stderr = (open(place, "w", encoding="utf-8", closefd=False) for place in (1, 2))  # noqa: SIM115
        os.environ.update(wanted["environment"])  # type: ignore[call-overload]  # a JSON object of strings
        ctypes.CDLL(None).lab_attach(str(wanted["control"]).encode())
        _stop_at(os.environ.get("EDOC_STOP_AT", ""))
        _spoil(os.environ.get("LAB_EFFECT", ""))
        _hear_turned_clocks()
        _rebind(os.environ.get("LAB_RESOLVE", ""))
        sys.argv = ["edoc", *wanted["arguments"]]  # type: ignore[misc]  # a JSON array of strings
        importlib.import_module("edoc.__main__").main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _stop_at(point: str) -> None:
    """Let a named point of ``transport.points`` end the process: the module was loaded before the name was known."""
    from transport import points

    name, _, times = point.partition("#")
    vars(points).update(_wanted=name, _times=times)


def _rebind(order: str) -> None:
    """Let the resolver answer a name with one address after another, ``name=one,other=file``, and note what it said."""
    if not order:
        return
    name, addresses, file = order.split("=")
    real, turn = socket.getaddrinfo, itertools.cycle(addresses.split(","))

    def getaddrinfo(host: object, port: object, *more: object, **named: object) -> object:
        if host != name:
            return real(host, port, *more, **named)  # type: ignore[arg-type]  # passed on as they came
        address = next(turn)
        with open(file, "a", encoding="ascii") as said:
            said.write(f"{address}\n")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    vars(socket)["getaddrinfo"] = getaddrinfo


def _hear_turned_clocks() -> None:
    """Let a process ask for its database's clock every fifth of a second instead of every half minute."""
    with suppress(ImportError):  # editions before PostgreSQL have no such clock
        vars(importlib.import_module("transport.store.clock")).update(ASK_SECONDS=0.2)


def _spoil(order: str) -> None:
    """Let the handler of one kind of effect raise or hang for the first documents: ``raise:check:2``, ``hang:check:1``.

    How long a handler may take is shortened to seconds with it, as clocks are turned elsewhere.
    """
    if not order:
        return
    following = importlib.import_module("transport.node.following")
    work = importlib.import_module("transport.node.effectwork")
    how, kind, last = order.split(":")
    handlers: dict[str, Callable[[object, object, object], object]] = following.HANDLERS
    handler = handlers[kind]

    def spoilt(office: object, effect: object, now: object) -> object:
        if int(effect.facts["inbox"]) > int(last):  # type: ignore[attr-defined]  # an effect's claim
            return handler(office, effect, now)
        if how == "hang":
            threading.Event().wait()
        raise KeyError(kind)

    handlers[kind] = spoilt
    vars(work).update(PATIENCE=0.5, SECONDS={}, SECONDS_ELSE=3.0)


if __name__ == "__main__":
    main()
