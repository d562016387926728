"""Signatures that any Standard Webhooks receiver accepts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from standardwebhooks import Webhook

from avskrift.errors import ConfigurationError
from avskrift.webhooks.signature import InvalidSignature, sign, signed_headers, verify

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"


def test_published_vector() -> None:
    signature = sign(SECRET, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@settings(max_examples=50)
@given(value=st.dictionaries(st.text(), st.text()))
def test_real_receivers_accept_what_we_sign(value: dict[str, str]) -> None:
    import json

    body = json.dumps(value, ensure_ascii=True).encode()
    headers = signed_headers([OTHER, SECRET], "msg_1", int(time.time()), body)
    assert Webhook(SECRET).verify(body, headers) == value
    verify(SECRET, headers, body, time.time())


def test_changed_body_old_timestamp_and_wrong_secret_are_refused() -> None:
    headers = signed_headers([SECRET], "msg_1", 1_000, b"{}")
    verify(SECRET, headers, b"{}", 1_300)
    for secret, body, now_s in ((SECRET, b"{ }", 1_000), (SECRET, b"{}", 1_301), (OTHER, b"{}", 1_000)):
        with pytest.raises(InvalidSignature):
            verify(secret, headers, body, now_s)
    with pytest.raises(InvalidSignature):
        verify(SECRET, {}, b"{}", 1_000)


def test_secret_that_is_no_base64_is_a_configuration_fault() -> None:
    with pytest.raises(ConfigurationError):
        sign("whsec_not base64!", "msg_1", 1, b"")
