"""Name constraints: which names may appear below an authority (RFC 5280, 4.2.1.10).

Directory names, mail addresses, host names, addresses on the web and network addresses are processed. A constraint on
another kind of name, or one with a minimum or maximum, refuses every certificate that bears a name of that kind.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from signer import x509ext
from signer.names import EMAIL
from signer.x509ext import DIRECTORY, DNS, IP, RFC822, URI, GeneralName, Subtree
from signer.x509read import Certificate

_HOST = re.compile(r"[\w.-]+")
_PROCESSED = frozenset({RFC822, DNS, DIRECTORY, URI, IP})


@dataclass(frozen=True, slots=True)
class Constraints:
    """What the authorities so far allow: of each of their permitted lists a name must fit one, of the excluded none."""

    permitted: tuple[tuple[Subtree, ...], ...] = ()
    excluded: tuple[Subtree, ...] = ()

    def below(self, certificate: Certificate) -> Constraints:
        """Return the constraints for what stands below an authority.

        Raises:
            ValueError: its constraints cannot be read.
        """
        found = certificate.extensions.get(x509ext.NAME_CONSTRAINTS)
        if found is None:
            return self
        permitted, excluded = x509ext.name_constraints(found.value)
        more = (permitted,) if permitted else ()
        return replace(self, permitted=self.permitted + more, excluded=self.excluded + excluded)

    def allow(self, certificate: Certificate) -> bool:
        """Tell whether every name of a certificate is allowed.

        Raises:
            ValueError: its names cannot be read.
        """
        if not self.permitted and not self.excluded:
            return True
        return all(self._allows(name) for name in names_of(certificate))

    def _allows(self, name: GeneralName) -> bool:
        kind = name[0]
        if any(base[0] == kind and (bounded or _may_fit(name, base)) for base, bounded in self.excluded):
            return False
        for subtrees in self.permitted:
            same = [(base, bounded) for base, bounded in subtrees if base[0] == kind]
            if same and not any(not bounded and kind in _PROCESSED and _fits(name, base) for base, bounded in same):
                return False
        return True


def names_of(certificate: Certificate) -> tuple[GeneralName, ...]:
    """Return every name a certificate bears: subject, alternative names, and mail addresses in an old subject.

    Raises:
        ValueError: the alternative names cannot be read.
    """
    subject = certificate.subject
    found: list[GeneralName] = [(DIRECTORY, subject.key)] if subject.key else []
    other = certificate.extensions.get(x509ext.SUBJECT_NAMES)
    alternative = x509ext.general_names(other.value) if other is not None else ()
    if not any(kind == RFC822 for kind, _ in alternative):
        found += [(RFC822, address) for address in subject.values(EMAIL)]
    return (*found, *alternative)


def _may_fit(name: GeneralName, base: GeneralName) -> bool:
    """Tell whether a name lies within what is excluded, or cannot be told apart from what does.

    An empty base excludes every name of its kind; addresses on the web without a host name, network addresses of an odd
    length, and names that are no names of their kind lie within whatever is excluded.
    """
    kind, value = name
    if kind in (RFC822, URI) and isinstance(value, str) and isinstance(base[1], str):
        host = _host_of(value) if kind == URI else value.rpartition("@")[2]
        return not base[1] or not host or not _HOST.fullmatch(host) or _fits(name, base)
    if kind == IP and isinstance(value, bytes) and len(value) not in (4, 16):
        return True
    return _fits(name, base)


def _fits(name: GeneralName, base: GeneralName) -> bool:
    """Tell whether a name lies within the base of a constraint of its kind; what is not processed does."""
    kind, value = name
    limit = base[1]
    if kind == DIRECTORY and isinstance(value, tuple) and isinstance(limit, tuple):
        return value[: len(limit)] == limit
    if kind == IP and isinstance(value, bytes) and isinstance(limit, bytes):
        return _in_network(value, limit)
    if isinstance(value, str) and isinstance(limit, str):
        return {RFC822: _mail_fits, DNS: _host_below, URI: _uri_fits}[kind](value, limit)
    return True


def _mail_fits(address: str, limit: str) -> bool:
    local, _, host = address.rpartition("@")
    if "@" in limit:
        wanted, _, at = limit.rpartition("@")
        return local == wanted and host.lower() == at.lower()
    return _host_fits(host, limit)


def _host_fits(host: str, limit: str) -> bool:
    """A limit that begins with a dot stands for every host below it, another for this host alone."""
    host, limit = host.lower().removesuffix("."), limit.lower().removesuffix(".")
    return host.endswith(limit) if limit.startswith(".") else host == limit


def _host_below(host: str, limit: str) -> bool:
    host, limit = host.lower().rstrip("."), limit.lower().strip(".")
    return not limit or host == limit or host.endswith(f".{limit}")


def _uri_fits(address: str, limit: str) -> bool:
    """Without a host name nothing fits, and so such an address is refused where only some are permitted."""
    host = _host_of(address)
    return bool(host) and _host_fits(host, limit)


def _host_of(address: str) -> str:
    """Return the host name of an address on the web; empty without one, or where a network address stands."""
    try:
        host = urlsplit(address).hostname or ""
    except ValueError:
        return ""
    return "" if host.replace(".", "").isdigit() or ":" in host else host


def _in_network(address: bytes, network: bytes) -> bool:
    if len(network) != 2 * len(address):
        return False
    base, mask = network[: len(address)], network[len(address) :]
    return all(a & m == b & m for a, b, m in zip(address, base, mask, strict=True))
