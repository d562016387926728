"""The certificate of an enforcing cloud: good for loopback, trusted by those who are told of it and nobody else."""

from __future__ import annotations

import socket
import ssl
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from avskrift.local.tls import Tls


@pytest.fixture
def tls(tmp_path: Path) -> Tls:
    made = Tls(tmp_path / "tls å")
    made.make()
    return made


@pytest.fixture
def port(tls: Tls) -> Iterator[int]:
    """Of a server that shows the certificate and says nothing."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tls.certificate, tls.key)
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            try:
                context.wrap_socket(connection, server_side=True).close()
            except (ssl.SSLError, OSError):
                connection.close()

    server = threading.Thread(target=serve, daemon=True)
    server.start()
    yield int(listener.getsockname()[1])
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    server.join()


def greet(port: int, name: str, trusted: Path | None) -> None:
    context = ssl.create_default_context(cafile=str(trusted) if trusted else None)
    with socket.create_connection(("127.0.0.1", port)) as plain, context.wrap_socket(plain, server_hostname=name):
        pass


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_who_trusts_the_bundle_reaches_the_server(tls: Tls, port: int, name: str) -> None:
    greet(port, name, tls.bundle)


def test_who_was_not_told_does_not(port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(port, "127.0.0.1", None)


def test_it_is_good_for_no_other_name(tls: Tls, port: int) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        greet(port, "s3.amazonaws.com", tls.bundle)


def test_public_roots_stay_trusted(tls: Tls) -> None:
    context = ssl.create_default_context(cafile=str(tls.bundle))
    assert len(context.get_ca_certs()) > 50


def test_key_is_private(tls: Tls) -> None:
    assert stat.S_IMODE(tls.key.stat().st_mode) == 0o600
