"""Whether the receivers of webhooks can be reached by the rules of webhooks. Nothing is sent to them."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterator

from requests.utils import DEFAULT_CA_BUNDLE_PATH

from avskrift.doctor.check import Check, green, red, yellow
from avskrift.doctor.subject import Subject
from avskrift.webhooks.address import AddressRules, ForbiddenAddress, checked_url, connect

TIMEOUT_S = 5.0
ANOTHER = "callback_url=https://…"
_NAME = "callback"


def callbacks(subject: Subject) -> Iterator[Check]:
    """The deployment's own address, and the hosts that uploads may name."""
    settings = subject.settings
    rules = AddressRules(allow_loopback=settings.local)
    if settings.callback_url:
        yield reach(settings.callback_url, rules, settings.deploy(ANOTHER))
    elif not settings.allowed_callback_hosts:
        yield yellow(_NAME, "No address is set: jobs send no webhook.", settings.deploy(ANOTHER))
    for host in settings.allowed_callback_hosts:
        yield reach(f"https://{host}", rules, settings.deploy("allowed_callback_hosts=…"))


def reach(address: str, rules: AddressRules, mend: str) -> Check:
    """Connect as a webhook would and shake hands; the answer names the host only, never a path or query."""
    try:
        url = checked_url(address, rules)
    except ForbiddenAddress as error:
        return red(_NAME, error.message, mend)
    host, secure = str(url.host), url.scheme == "https"
    try:
        with connect(host, url.port or (443 if secure else 80), TIMEOUT_S, rules) as connection:
            if secure:
                shake_hands(connection, host)
    except (ForbiddenAddress, socket.gaierror, ssl.SSLError, ConnectionRefusedError) as error:
        return red(_NAME, f"{host} {_refusal(error)}.", mend)
    except OSError as error:
        told = f"{host} was not reached from here ({type(error).__name__}); the functions in AWS may reach it."
        return yellow(_NAME, told)
    return green(_NAME, f"{host} answers{' with a certificate that holds' if secure else ''}.")


def _refusal(error: Exception) -> str:
    """Faults that are the same from anywhere."""
    match error:
        case ForbiddenAddress():
            return f"leads where no webhook may go: {error.message.removesuffix('.')}"
        case socket.gaierror():
            return "has no address"
        case ssl.SSLError():
            return f"shows no certificate that webhooks accept ({getattr(error, 'verify_message', error.reason)})"
    return "refuses connections"


def shake_hands(connection: socket.socket, host: str) -> None:
    """TLS with the authorities that the sender of webhooks trusts. Raises ``OSError``, ``ssl.SSLError``."""
    context = ssl.create_default_context(cafile=DEFAULT_CA_BUNDLE_PATH)
    with context.wrap_socket(connection, server_hostname=host):
        pass
