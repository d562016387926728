"""The webhook receiver: what it verifies, keeps and answers."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import requests
from standardwebhooks import Webhook

from avskrift.errors import LocalCloudError
from avskrift.local.receiver import Receiver

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_" + "A" * 32
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
BODY = '{"type":"job.completed","data":{"job_id":"abc"}}'


def post(url: str, body: str = BODY, secret: str = SECRET, at: datetime | None = None) -> int:
    moment = at or datetime.now(UTC)
    headers = {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(int(moment.timestamp())),
        "webhook-signature": Webhook(secret).sign(MESSAGE_ID, moment, body),
    }
    return requests.post(url, data=body.encode(), headers=headers, timeout=10).status_code


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver([SECRET]) as receiver:
        yield receiver


def test_published_vector_is_what_the_verifier_signs() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)

    assert Webhook(SECRET).sign(MESSAGE_ID, at, '{"test": 2432232314}') == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


def test_signed_request_is_verified_and_kept(receiver: Receiver) -> None:
    assert post(receiver.url) == 204

    (reception,) = receiver.receptions
    assert (reception.verified, reception.error) == (True, "")
    assert (reception.type, reception.job_id, reception.webhook_id) == ("job.completed", "abc", MESSAGE_ID)
    assert reception.body == BODY.encode()
    assert receiver.find("abc") == reception
    assert receiver.find("another") is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"webhook-signature": "v1,AAAA"}, "No matching signature found"),
        ({"webhook-id": "msg_other"}, "No matching signature found"),
        ({"webhook-signature": None}, "Missing required headers"),
        ({"webhook-timestamp": "1614265330"}, "Message timestamp too old"),
    ],
)
def test_tampered_request_is_kept_with_the_reason(
    receiver: Receiver, change: dict[str, str | None], error: str
) -> None:
    now = datetime.now(UTC)
    headers: dict[str, str | None] = {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(SECRET).sign(MESSAGE_ID, now, BODY),
    }
    requests.post(receiver.url, data=BODY, headers={**headers, **change}, timeout=10)

    assert [(one.verified, one.error) for one in receiver.receptions] == [(False, error)]


def test_any_trusted_secret_will_do(receiver: Receiver) -> None:
    receiver.trust([OTHER, SECRET])
    post(receiver.url)
    receiver.trust([OTHER])
    post(receiver.url)

    assert [one.verified for one in receiver.receptions] == [True, False]


def test_scripted_statuses_come_in_turn_and_attempts_are_counted() -> None:
    with Receiver([SECRET], answers=[500, 410]) as receiver:
        assert [post(receiver.url) for _ in range(3)] == [500, 410, 204]
        assert [one.attempts for one in receiver.receptions] == [1, 2, 3]
        assert [one.status for one in receiver.receptions] == [500, 410, 204]


def test_waiting_ends_when_the_wanted_request_comes(receiver: Receiver) -> None:
    threading.Timer(0.05, post, (receiver.url,)).start()

    assert receiver.wait_for(lambda one: one.verified, timeout_s=20).job_id == "abc"


def test_waiting_in_vain_tells_what_came(receiver: Receiver) -> None:
    post(receiver.url, secret=OTHER)

    with pytest.raises(LocalCloudError, match=r"what came: job\.completed \(No matching signature found\)"):
        receiver.wait_for(lambda one: one.verified, timeout_s=0)
