"""Which addresses of webhooks can ever be reached, as far as their letters tell: names are resolved by the sender."""

from __future__ import annotations

import re
import socket

from avskrift.webhooks.address import AddressRules, ForbiddenAddress, checked_url

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*", re.ASCII)
#: Names that no public resolver knows (RFC 6761, RFC 6762, RFC 8375; ICANN keeps "internal" for private use, 2024).
_PRIVATE = re.compile(r"(.*\.)?(localhost|local|internal|home\.arpa)")


def fault_of_url(url: str, local: bool) -> str:
    """Why no webhook gets to ``url``, one sentence; empty: nothing is known against it."""
    rules = AddressRules(allow_loopback=local)
    try:
        return _fault_of_host(str(checked_url(url, rules).host).strip("[]"), rules)
    except ForbiddenAddress as error:
        return error.message


def can_match(host: str, local: bool) -> bool:
    """Whether a URL's host, as a parser gives it, can be ``host`` and be reached."""
    rules = AddressRules(allow_loopback=local)
    try:
        return checked_url(f"https://{host}/", rules).host == host and not _fault_of_host(host, rules)
    except ForbiddenAddress:
        return False


def _fault_of_host(host: str, rules: AddressRules) -> str:
    """Raises :class:`ForbiddenAddress` for an address that is no public one."""
    address = _as_address(host)
    if address:
        rules.check_address(address)
    elif not _HOST.fullmatch(host):
        return f"{host} is no name that a host can have."
    elif not rules.allow_loopback and ("." not in host or _PRIVATE.fullmatch(host)):
        return f"{host} is known inside a network only; webhooks go to the public internet."
    return ""


def _as_address(host: str) -> str:
    """The address that ``host`` is, whichever way it is written (127.1, 0x7f.1); empty for a name."""
    if ":" in host:
        return host
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        return ""
