"""Webhooks reach the public internet only, whatever a name resolves to."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from avskrift.webhooks.address import AddressRules, ForbiddenAddress, connect

INSIDE = [
    "127.0.0.1", "127.8.9.1", "0.0.0.0", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "192.0.2.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0",
    "fc00::1", "fd00:ec2::254", "::ffff:169.254.169.254", "::ffff:8.8.8.8", "::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "2002:a9fe:a9fe::1", "2001:0:1::1", "ff02::1", "2001:db8::1",
    "fec0::1", "3fff::1", "192.88.99.1", "192.0.0.8",
]  # fmt: skip


@pytest.mark.parametrize("address", INSIDE)
def test_address_inside_a_network_is_refused(address: str) -> None:
    with pytest.raises(ForbiddenAddress):
        AddressRules().check_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2001:4860:4860::8888"])
def test_public_address_is_allowed(address: str) -> None:
    AddressRules().check_address(address)


def test_local_setting_opens_loopback_and_nothing_else() -> None:
    rules = AddressRules(allow_loopback=True)
    rules.check_address("127.0.0.1")
    rules.check_address("::1")
    rules.check_url("http", 4_321)
    with pytest.raises(ForbiddenAddress):
        rules.check_address("169.254.169.254")


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 80), ("http", 443), ("https", 22)])
def test_only_https_on_its_ports(scheme: str, port: int) -> None:
    with pytest.raises(ForbiddenAddress):
        AddressRules().check_url(scheme, port)


def test_name_with_one_address_inside_is_refused_before_any_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("8.8.8.8", "169.254.169.254")]

    def no_socket(*_: Any) -> None:
        raise AssertionError("connected")

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_kwargs: found)
    monkeypatch.setattr(socket, "socket", no_socket)
    with pytest.raises(ForbiddenAddress):
        connect("rebinding.example", 443, 1.0, AddressRules())
