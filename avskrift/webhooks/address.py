"""Which addresses a webhook may reach, checked when the socket connects: a URL that passed a parser proves nothing."""

from __future__ import annotations

import ipaddress
import socket
import time
from dataclasses import dataclass

from urllib3.exceptions import LocationParseError
from urllib3.util import Url, parse_url

from avskrift.errors import AvskriftError

SECURE_PORTS = frozenset({443, 8443})
_TUNNELS = tuple(
    ipaddress.ip_network(network)
    for network in (
        "64:ff9b::/96",  # NAT64: an IPv4 address in disguise
        "64:ff9b:1::/48",
        "2002::/16",  # 6to4
        "2001::/32",  # Teredo
        "::/96",  # IPv4-compatible
    )
)
_RESERVED = tuple(
    ipaddress.ip_network(network)
    for network in (
        "100.64.0.0/10",  # CGNAT
        "192.0.0.0/24",  # protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "fec0::/10",  # site-local, deprecated and still routed in places
        "3fff::/20",  # documentation
    )
)
_PORTS = {"https": 443, "http": 80}


class ForbiddenAddress(AvskriftError):
    """A callback that leads inside somebody's network."""

    code = "forbidden_address"


@dataclass(frozen=True, slots=True)
class AddressRules:
    """``allow_loopback`` (the local cloud) opens loopback, plain http and any port."""

    allow_loopback: bool = False

    def check_url(self, scheme: str, port: int) -> None:
        if not self.allow_loopback and (scheme != "https" or port not in SECURE_PORTS):
            raise ForbiddenAddress(f"Webhooks go to https on port 443 or 8443, not {scheme} on {port}.")

    def check_address(self, address: str) -> None:
        """Raise ``ForbiddenAddress`` unless ``address`` (IPv4 or IPv6, zone allowed) is on the public internet."""
        ip = ipaddress.ip_address(address.partition("%")[0])
        if self.allow_loopback and ip.is_loopback:
            return
        if not _is_public(ip):
            raise ForbiddenAddress(f"{address} is no public address; webhooks never go inside a network.")


def _is_public(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if isinstance(ip, ipaddress.IPv6Address) and (ip.ipv4_mapped or any(ip in tunnel for tunnel in _TUNNELS)):
        return False
    if any(ip in network for network in _RESERVED if network.version == ip.version):
        return False
    return ip.is_global and not (ip.is_multicast or ip.is_reserved or ip.is_unspecified)


def checked_url(text: str, rules: AddressRules) -> Url:
    """Parse a callback URL with the parser that will send to it; ``ForbiddenAddress`` says what is wrong with it."""
    if not text.isprintable() or "\\" in text or " " in text:
        raise ForbiddenAddress("The URL has spaces, backslashes or control characters: percent-encode them.")
    try:
        url = parse_url(text)
    except LocationParseError as error:
        raise ForbiddenAddress("The URL cannot be parsed.") from error
    if url.scheme not in _PORTS or not url.host:
        raise ForbiddenAddress("The URL must start with https:// and name a host.")
    if url.auth:
        raise ForbiddenAddress("The URL must not hold a user or password.")
    rules.check_url(url.scheme, _PORTS[url.scheme] if url.port is None else url.port)
    return url


def connect(host: str, port: int, timeout_s: float, rules: AddressRules) -> socket.socket:
    """A socket to the first address of ``host`` that answers, within ``timeout_s`` in all.

    One forbidden address refuses the whole name, so that a resolver cannot mix them in.
    """
    deadline = time.monotonic() + timeout_s
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError as error:  # a label of more than 63 letters, or an empty one
        raise ForbiddenAddress(f"{host} is no name that a host can have.") from error
    for *_, address in found:
        rules.check_address(str(address[0]))
    fault: OSError = OSError(f"{host} has no address")
    for family, kind, protocol, _, address in found:
        candidate = socket.socket(family, kind, protocol)
        candidate.settimeout(max(0.001, deadline - time.monotonic()))
        try:
            candidate.connect(address)
        except OSError as error:
            candidate.close()
            fault = error
        else:
            candidate.settimeout(timeout_s)
            return candidate
    raise fault
