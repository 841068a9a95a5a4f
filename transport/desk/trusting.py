"""Whom the person at the desk trusts: from paths, or from the node's own tables (console.md 4.2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from signer.errors import SignerError
from transport.desk.console import Console
from transport.desk.files import read_input
from transport.present.errors import CommandError

if TYPE_CHECKING:
    from edoc.agencies import Directory
    from edoc.authorities import AuthorityTable
    from signer.trust import Context, TrustStore

PATTERNS = ("*.pem", "*.crt", "*.cer", "*.der", "*.p7b", "*.p7c")
STATUS_PATTERNS = ("*.crl", "*.ors", "*.ocsp")  # of a folder; a folder of certificates may hold both
DATABASE = "edoc.db"

Loaded = TypeVar("Loaded")


def load_each(
    paths: Iterable[str], patterns: Sequence[str], load: Callable[[bytes], Loaded], console: Console
) -> list[Loaded]:
    """Load every file named, and of a folder those that match the patterns, not deeper; all or none.

    Raises:
        CommandError: a path is unreadable, or a folder holds nothing of the kind.
        SignerError: a file is not what it should be; ``facts`` name it.
    """
    return [_load(name, load, console) for path in paths for name in _files(path, patterns)]


def _files(path: str, patterns: Sequence[str]) -> list[str]:
    if path == "-" or not Path(path).is_dir():
        return [path]
    found = files_in(path, patterns)
    if not found:
        raise CommandError("EDOC-USE-037", path=path, patterns=" ".join(patterns))
    return found


def files_in(path: str, patterns: Sequence[str]) -> list[str]:
    """Return the files of a folder that match, none for a path that is no folder; hidden files match nothing."""
    folder = Path(path)
    if path == "-" or not folder.is_dir():
        return []
    found = {item for pattern in patterns for item in folder.glob(pattern) if item.is_file()}
    return sorted(str(item) for item in found if not item.name.startswith("."))


def _load(name: str, load: Callable[[bytes], Loaded], console: Console) -> Loaded:
    data = read_input(name, console)
    try:
        return load(data)
    except SignerError as error:
        error.facts.setdefault("path", name)
        raise


def store_of(
    console: Console,
    *,
    trust: Sequence[str] = (),
    trust_tsa: Sequence[str] = (),
    chain: Sequence[str] = (),
    revocation: Sequence[str] = (),
    kept_status: bool = True,
) -> TrustStore:
    """Return the trust of this call: ``--trust`` replaces the node's store; without ``--trust-tsa`` it serves both.

    ``kept_status`` false leaves out the status answers the node fetched earlier: who signs now asks anew.
    """
    from signer.trust import Purpose, TrustStore, anchors_from, load_certificates, load_status

    both = (Purpose.SIGNERS,) if trust_tsa else (Purpose.SIGNERS, Purpose.TSA)
    stores = load_each(trust, PATTERNS, lambda data: anchors_from(data, *both), console)
    stores += load_each(trust_tsa, PATTERNS, lambda data: anchors_from(data, Purpose.TSA), console)
    if not trust:
        stores.append(configured(console, kept_status=kept_status))
    stores += load_each(revocation, STATUS_PATTERNS, load_status, console)
    given = [der for ders in load_each(chain, PATTERNS, load_certificates, console) for der in ders]
    found = TrustStore(intermediates=tuple(given))
    for store in stores:
        found = found.merged(store)
    return found


def configured(console: Console, *, kept_status: bool = True) -> TrustStore:
    """Return the anchors and status answers the node keeps; without a node nothing is trusted."""
    from signer.trust import TrustStore
    from transport.anchoruses import anchors_for

    home = node_home(console)
    if home is None:
        return TrustStore()
    from transport.store import quick

    found = TrustStore(
        anchors=tuple(one for der, use in quick.anchors(home) for one in anchors_for(der, use.split(",")))
    )
    kept = quick.revocations(home) if kept_status else []
    crls = tuple(data for kind, data in kept if kind == "crl")
    answers = TrustStore(crls=crls, ocsps=tuple(data for kind, data in kept if kind == "ocsp"))
    return found.merged(answers.coming_from("store"))


def directory_of(console: Console) -> Directory | None:
    """Return the node's agency directory, or ``None`` without a node."""
    home = node_home(console)
    if home is None:
        return None
    from transport.store import quick

    return quick.directory(home)


def authorities_of(console: Console) -> AuthorityTable | None:
    """Return the node's authority table, or ``None`` without a node."""
    home = node_home(console)
    if home is None:
        return None
    from transport.store import quick

    return quick.authority_table(home)


def node_home(console: Console) -> Path | None:
    """Return the folder of the node, if there is one with a database."""
    home = home_of(console)
    return home if (home / DATABASE).is_file() else None


def home_of(console: Console) -> Path:
    """Return ``--home``, ``EDOC_HOME``, else the user data folder."""
    if console.home is not None:
        return console.home
    from transport.settings import home_of as default

    return default(console.environ)


def context_of(store: TrustStore, *, at: datetime, policy: str) -> Context:
    """Return the context of one judgement."""
    from signer.algorithms import PolicyName
    from signer.trust import Context

    try:
        name = PolicyName(policy)
    except ValueError as error:
        raise CommandError(
            "EDOC-USE-004", name="--policy", value=policy, expected="strict|interop|integrity-only"
        ) from error
    return Context(trust=store, at=at, policy=name)
