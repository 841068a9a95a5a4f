"""Which addresses we connect to (exchange.md 11, SSRF): a URL from a directory or certificate is a stranger's word.

Promises: names are resolved once and the address that is connected to is the one that was judged; loopback, link-local,
multicast and unspecified never, private ranges only if listed, loopback only in the demonstration. Pure but for
:func:`resolve`, which asks the system's resolver.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from transport.errors import Refused, TryLater

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Reach:
    """Where connections may go. ``private`` lists networks that are used although private; ``demo`` opens loopback."""

    private: tuple[Network, ...] = ()
    demo: bool = False
    ports: tuple[int, ...] = (443, 8443)
    plain: bool = False  # http besides https, for TSA, CRL and OCSP, whose answers are signed

    @classmethod
    def of(cls, private: Sequence[str], *, demo: bool = False, ports: Sequence[int] = (443, 8443)) -> Reach:
        """Read the networks of the settings. Raises ``ValueError`` for one that is not in CIDR form."""
        return cls(tuple(ipaddress.ip_network(one) for one in private), demo, tuple(ports))

    def open(self, ports: Sequence[int]) -> Reach:
        """Return the same reach over http as well, at these ports and 80: for services whose answers are signed."""
        return Reach(self.private, self.demo, (*ports, 80), plain=True)

    def allows(self, address: Address) -> bool:
        """Tell whether a connection to this address may be made."""
        mapped = getattr(address, "ipv4_mapped", None)
        if mapped is not None:
            return self.allows(mapped)
        if address.is_loopback:
            return self.demo
        if address.is_link_local or address.is_multicast or address.is_unspecified:
            return False
        if any(address.version == one.version and address in one for one in self.private):
            return True
        return address.is_global

    def check_url(self, url: str) -> Target:
        """Return host, port and scheme of a URL we may connect to. Raises ``Refused``."""
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise _refused(url, "unreadable") from error
        host = parts.hostname
        if host is None or parts.username is not None or parts.fragment or not url.isascii():
            raise _refused(url, "unreadable")
        local = self.demo and _is_local(host)
        if parts.scheme == "http":
            if not (self.plain or local):
                raise _refused(url, "not https")
        elif parts.scheme != "https":
            raise _refused(url, "scheme")
        port = port or (443 if parts.scheme == "https" else 80)
        if not (local or port in self.ports or (self.plain and port == 80)):
            raise _refused(url, "port")
        literal = _literal(host)
        if literal is not None and not self.allows(literal):
            raise _refused(url, "address")
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, path)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL taken apart, allowed by its text; the addresses behind the name are judged when they are known."""

    scheme: str
    host: str
    port: int
    path: str


def resolve(target: Target, reach: Reach) -> tuple[Address, ...]:
    """Return the addresses of a target that may be connected to, in the resolver's order.

    Raises ``TryLater`` when the name has none now, ``Refused`` when all it has are forbidden.
    """
    try:
        found = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise TryLater("EDOC-EXC-021", "the name cannot be resolved", host=target.host) from error
    addresses = tuple(dict.fromkeys(ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found))
    good = tuple(one for one in addresses if reach.allows(one))
    if not good:
        raise _refused(target.host, "address")
    return good


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_local(host: str) -> bool:
    literal = _literal(host)
    return host == "localhost" if literal is None else literal.is_loopback


def _refused(url: str, why: str) -> Refused:
    return Refused("EDOC-EXC-020", f"this address is not connected to: {why}", url=url, cause=why)
