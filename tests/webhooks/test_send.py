"""One attempt ends where it should, whatever the other side does. Real sockets on loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender

LOCAL = AddressRules(allow_loopback=True)
OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\n"


@contextmanager
def serving(behave: Callable[[socket.socket, threading.Event], None]) -> Iterator[str]:
    """A server that reads one request and then does what the test says, until the test is over."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection, suppress(OSError):
                connection.recv(65_536)
                behave(connection, over)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        finally:
            over.set()
            thread.join()


def drip(start: bytes) -> Callable[[socket.socket, threading.Event], None]:
    """Send ``start``, then a byte now and then for ever."""

    def behave(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(start)
        while not over.wait(0.05):
            connection.sendall(b"x")

    return behave


def post(url: str, timeout_s: float = 0.5) -> tuple[int, str, str]:
    answer = WebhookSender(LOCAL, timeout_s).post(url, b"{}", {"webhook-id": "msg_1"})
    return answer.status, answer.fault, answer.excerpt


def test_headers_that_drip_in_are_cut_off() -> None:
    with serving(drip(b"HTTP/1.1 200 OK\r\nX-Slow: ")) as url:
        assert post(url) == (0, "no answer in time", "")


def test_body_that_drips_in_is_cut_off_and_its_status_counts() -> None:
    with serving(drip(OK + b"\r\n")) as url:
        assert post(url)[0] == 200


def test_silence_is_cut_off() -> None:
    with serving(lambda _, over: (over.wait(), None)[1]) as url:
        assert post(url)[0] == 0


def test_endless_answer_is_not_read_to_its_end() -> None:
    def flood(connection: socket.socket, over: threading.Event) -> None:
        connection.sendall(OK + b"\r\n")
        while not over.is_set():
            connection.sendall(b"x" * 65_536)

    with serving(flood) as url:
        status, _, excerpt = post(url, timeout_s=5.0)
    assert (status, excerpt) == (200, "x" * 200)


def test_fault_that_nobody_foresaw_is_one_too_and_writes_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """A thread that ends by an exception has its text written to stderr, which Lambda keeps."""

    class Odd(AddressRules):
        def check_url(self, scheme: str, port: int | None) -> None:
            raise RuntimeError("https://receiver.example/?token=hemlig")

    answer = WebhookSender(Odd(allow_loopback=True), 30).post("http://127.0.0.1/hook?token=hemlig", b"{}", {})
    assert (answer.status, answer.fault) == (0, "RuntimeError")
    assert "hemlig" not in "".join(capfd.readouterr())


def test_connection_reset_is_a_fault() -> None:
    with serving(lambda connection, _: connection.close()) as url:
        status, fault, _ = post(url)
    assert status == 0
    assert fault


@pytest.mark.parametrize(
    ("header", "expected"),
    [("30", 30.0), ("9" * 200, 86_400.0), ("-5", None), ("soon", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)
def test_retry_after_is_a_sane_number_of_seconds(header: str, expected: float | None) -> None:
    answer_bytes = f"HTTP/1.1 503 No\r\nRetry-After: {header}\r\nContent-Length: 0\r\n\r\n".encode()
    with serving(lambda connection, _: connection.sendall(answer_bytes)) as url:
        answer = WebhookSender(LOCAL, 5.0).post(url, b"{}", {})
    assert (answer.status, answer.retry_after_s) == (503, expected)


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://0x7f000001/",
        "https://2130706433/",
        "https://127.1/",
        "https://[::ffff:169.254.169.254]/",
        "https://169.254.169.254/latest/meta-data/",
        "https://localhost/",
        "https://localhost./",
        "https://user:pass@8.8.8.8/",
        "https://8.8.8.8:22/",
        "http://8.8.8.8/",
        "ftp://8.8.8.8/",
        "https://8.8.8.8\\@127.0.0.1/",
        "https:///nowhere",
        "",
    ],
)
def test_address_that_is_forbidden_is_final(url: str) -> None:
    answer = WebhookSender(AddressRules(), 2.0).post(url, b"{}", {})
    assert (answer.status, answer.is_final) == (0, True), answer.fault
