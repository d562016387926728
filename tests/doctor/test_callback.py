"""Receivers are reached as a webhook would reach them, and told nothing."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from avskrift.doctor import callback
from avskrift.doctor.callback import reach
from avskrift.doctor.check import Level
from avskrift.webhooks.address import AddressRules

MEND = "scripts/deploy -c callback_url=https://…"
ANYWHERE, LOCAL = AddressRules(), AddressRules(allow_loopback=True)


@contextmanager
def listener(context: ssl.SSLContext | None = None) -> Iterator[tuple[int, list[bytes]]]:
    """A port on loopback that takes one connection; what came over it beside the handshake."""
    heard: list[bytes] = []
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def serve() -> None:
            taken, _ = server.accept()
            try:
                with context.wrap_socket(taken, server_side=True) if context else taken as connection:
                    heard.append(connection.recv(1_000))
            except (ssl.SSLError, OSError):
                taken.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1], heard
        thread.join(5)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """For ``localhost``, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return path


@pytest.fixture
def receiver_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_receiver_that_answers_is_green_and_hears_nothing() -> None:
    with listener() as (port, heard):
        check = reach(f"http://127.0.0.1:{port}/hook?token=canary", LOCAL, MEND)

    assert check.level == Level.GREEN
    assert heard == [b""]
    assert "canary" not in repr(check)


def test_a_certificate_that_holds_is_green(
    certificate: Path, receiver_tls: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(callback, "DEFAULT_CA_BUNDLE_PATH", str(certificate))

    with listener(receiver_tls) as (port, heard):
        check = reach(f"https://localhost:{port}/", LOCAL, MEND)

    assert (check.level, check.detail) == (Level.GREEN, "localhost answers with a certificate that holds.")
    assert heard in ([b""], [])


def test_a_certificate_that_nobody_vouches_for_is_red(receiver_tls: ssl.SSLContext) -> None:
    with listener(receiver_tls) as (port, _):
        check = reach(f"https://localhost:{port}/", LOCAL, MEND)

    assert check.level == Level.RED
    assert "no certificate that webhooks accept (self-signed certificate)" in check.detail


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("https://127.0.0.1/hook", "127.0.0.1 is no public address"),
        ("https://169.254.169.254/", "no public address"),
        ("http://receiver.example/hook", "not http on 80"),
        ("https://receiver.example:9000/", "port 443 or 8443"),
        (f"https://{64 * 'x'}.example/", "is no name that a host can have"),
        ("https://receiver.example:0/", "port 443 or 8443, not https on 0"),
        ("https://receiver.example:99999/", "cannot be parsed"),
        ("https://user:pass@receiver.example/", "must not hold a user"),
    ],
)
def test_an_address_where_no_webhook_may_go_is_red(address: str, told: str) -> None:
    check = reach(address, ANYWHERE, MEND)

    assert check.level == Level.RED
    assert told in check.detail
    assert check.mend == MEND


def test_a_host_without_address_is_red(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(*_: Any, **__: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)

    check = reach("https://receiver.invalid/hook", ANYWHERE, MEND)

    assert (check.level, check.detail) == (Level.RED, "receiver.invalid has no address.")


def test_a_port_where_nobody_listens_is_red() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        port = server.getsockname()[1]

    check = reach(f"http://127.0.0.1:{port}/", LOCAL, MEND)

    assert (check.level, check.detail) == (Level.RED, "127.0.0.1 refuses connections.")


def test_a_way_that_is_closed_from_here_is_only_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    """A company's firewall says nothing of what the functions in AWS can reach."""

    def silent(*_: Any) -> Any:
        raise TimeoutError

    monkeypatch.setattr(callback, "connect", silent)

    check = reach("https://receiver.example/hook", ANYWHERE, MEND)

    assert check.level == Level.YELLOW
    assert "not reached from here" in check.detail
