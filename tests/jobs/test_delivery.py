"""Deliveries over real sockets to a receiver that behaves as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from standardwebhooks import Webhook

from avskrift.errors import ConfigurationError
from avskrift.jobs.delivery import Outbox, WebhookSecrets
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.options import JobOptions
from avskrift.jobs.outbox import OutboxEntry, ResultLinks, outbox_entry_for
from avskrift.jobs.table import ended_job
from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender

SECRET = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD_SECRET = "C2FVsBQIhrscChlQIMV5sSYspob7oD00"


class Receiver(ThreadingHTTPServer):
    """Answers each request with the next of ``answers`` (status, headers), the last one for ever."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: list[tuple[int, dict[str, str]]] = [(204, {})]
        self.received: list[tuple[dict[str, str], bytes]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook?token=secret"


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.received.append((dict(self.headers), body))
        status, headers = self.server.answers[min(len(self.server.received), len(self.server.answers)) - 1]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        pass


class Clock:
    def __init__(self) -> None:
        import time

        self.now = time.time()

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def outbox(deployment: Any, clock: Clock) -> Outbox:
    secrets = deployment.client("secretsmanager")
    stored = json.dumps({"current": SECRET, "previous": OLD_SECRET})
    secrets.create_secret(Name="webhooks", SecretString=stored)
    return Outbox(
        deployment.table,
        WebhookSecrets(secrets, "webhooks"),
        WebhookSender(AddressRules(allow_loopback=True), timeout_s=2.0),
        deployment.sqs,
        deployment.outbox_queue_url,
        clock,
    )


def finished(deployment: Any, job: Job, url: str, clock: Clock) -> OutboxEntry:
    """A job that just completed, with its entry in the outbox."""
    job = replace(job, options=JobOptions(callback_url=url))
    deployment.table.create(job)
    claimed = deployment.table.claim(job.job_id, "i-1", clock.now)
    ended = ended_job(claimed, JobStatus.COMPLETED, clock.now, result={"keys": {"txt": "results/x"}})
    entry = outbox_entry_for(ended, clock.now)
    assert entry is not None
    deployment.table.finish(claimed, ended, entry)
    return entry


def test_receiver_verifies_what_was_sent_under_both_secrets(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    entry = finished(deployment, queued_job, receiver.url, clock)
    assert outbox.deliver(entry.outbox_id).status == "delivered"
    headers, body = receiver.received[0]
    for secret in (SECRET, OLD_SECRET):
        payload = Webhook("whsec_" + secret).verify(body, {name.lower(): value for name, value in headers.items()})
    assert payload["type"] == "job.completed"
    assert payload["data"]["job_id"] == queued_job.job_id
    assert body.decode() == entry.body
    assert deployment.table.get(queued_job.job_id).phases["delivered"] == clock.now


def test_retries_keep_id_and_body_and_end_with_success(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    receiver.answers = [(500, {}), (503, {}), (200, {})]
    entry = finished(deployment, queued_job, receiver.url, clock)
    for _ in range(3):
        waiting = outbox.deliver(entry.outbox_id)
        clock.now = waiting.next_attempt_at
    assert waiting.status == "delivered"
    assert [attempt["status"] for attempt in waiting.attempts] == [500, 503, 200]
    assert len({headers["webhook-id"] for headers, _ in receiver.received}) == 1
    assert len({body for _, body in receiver.received}) == 1


def test_attempt_before_its_time_is_put_off(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    receiver.answers = [(500, {})]
    entry = finished(deployment, queued_job, receiver.url, clock)
    outbox.deliver(entry.outbox_id)
    outbox.deliver(entry.outbox_id)
    assert len(receiver.received) == 1


def test_settled_entry_is_not_sent_again(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    entry = finished(deployment, queued_job, receiver.url, clock)
    outbox.deliver(entry.outbox_id)
    assert outbox.deliver(entry.outbox_id) is None
    assert len(receiver.received) == 1


def test_slower_of_two_senders_changes_nothing(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    entry = finished(deployment, queued_job, receiver.url, clock)
    assert outbox.deliver(entry.outbox_id).status == "delivered"
    late = replace(entry, attempts=[{"status": 500}])
    assert not deployment.table.record_attempt(late)
    assert deployment.table.outbox_entry(entry.outbox_id).status == "delivered"


def test_redirect_is_a_failure_and_is_not_followed(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    receiver.answers = [(302, {"location": receiver.url})]
    entry = finished(deployment, queued_job, receiver.url, clock)
    assert outbox.deliver(entry.outbox_id).status == "pending"
    assert len(receiver.received) == 1


def test_gone_is_final(deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock) -> None:
    receiver.answers = [(410, {})]
    entry = finished(deployment, queued_job, receiver.url, clock)
    assert outbox.deliver(entry.outbox_id).status == "abandoned"


def test_retry_after_is_honoured(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    receiver.answers = [(429, {"retry-after": "3600"})]
    entry = finished(deployment, queued_job, receiver.url, clock)
    assert outbox.deliver(entry.outbox_id).next_attempt_at == clock.now + 3_600


def test_receiver_that_is_down_is_tried_ten_times_then_given_up(
    deployment: Any, queued_job: Job, outbox: Outbox, clock: Clock
) -> None:
    entry = finished(deployment, queued_job, "http://127.0.0.1:9/hook", clock)
    while (entry := outbox.deliver(entry.outbox_id)).status == "pending":
        clock.now = entry.next_attempt_at
    assert (entry.status, len(entry.attempts)) == ("abandoned", 10)
    assert {attempt["answer"] for attempt in entry.attempts} == {"ConnectionRefusedError"}


def test_answer_log_never_holds_the_query_string(
    deployment: Any, queued_job: Job, outbox: Outbox, clock: Clock
) -> None:
    entry = finished(deployment, queued_job, "https://169.254.169.254/hook?token=secret", clock)
    settled = outbox.deliver(entry.outbox_id)
    assert settled.status == "abandoned", "trying again would not help"
    assert "no public address" in settled.attempts[0]["answer"]
    assert "secret" not in json.dumps(settled.attempts)


def test_message_of_an_earlier_attempt_is_dropped(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock
) -> None:
    receiver.answers = [(500, {})]
    entry = finished(deployment, queued_job, receiver.url, clock)
    clock.now = outbox.deliver(entry.outbox_id, 0).next_attempt_at
    assert outbox.deliver(entry.outbox_id, 0) is None
    assert outbox.deliver(entry.outbox_id, 1) is not None
    assert len(receiver.received) == 2


@pytest.mark.parametrize(
    "stored",
    [{"SecretString": "{}"}, {"SecretString": 100_000 * "["}, {"SecretBinary": b'{"current": "x"}'}],
    ids=["no key", "without end", "binary"],
)
def test_secret_without_a_current_key_never_sends_unsigned(
    deployment: Any, queued_job: Job, receiver: Receiver, outbox: Outbox, clock: Clock, stored: dict[str, Any]
) -> None:
    deployment.client("secretsmanager").put_secret_value(SecretId="webhooks", **stored)
    entry = finished(deployment, queued_job, receiver.url, clock)
    with pytest.raises(ConfigurationError):
        outbox.deliver(entry.outbox_id)
    assert receiver.received == []


def test_body_stays_under_twenty_kilobytes(queued_job: Job) -> None:
    options = JobOptions(prompt="å" * 1_000, hotwords="ö" * 1_000, callback_url="https://r.example")
    long = replace(queued_job, key="uploads/" + "日" * 340, options=options, status=JobStatus.COMPLETED)
    long = replace(long, result={"keys": {str(n): "results/" + "x" * 100 for n in range(60)}})
    assert len(outbox_entry_for(long, 0.0).body.encode()) < 20_000


def test_links_that_do_not_fit_are_left_out_from_the_last_one_on(queued_job: Job) -> None:
    ended = replace(queued_job, status=JobStatus.COMPLETED)
    signed = {f"format-{number}": f"https://bucket.example/{number}?token={'x' * 1_900}" for number in range(12)}
    body = outbox_entry_for(ended, 0.0, ResultLinks(signed, expires_at=3_600.0)).body
    data = json.loads(body)["data"]
    assert len(body.encode()) < 20_000
    assert 5 <= len(data["links"]) < 12
    assert list(data["links"].items()) == list(signed.items())[: len(data["links"])]
    assert data["links_expires_at"]
    assert data["options"] is not None


def test_no_link_has_no_date_on_which_it_ends(queued_job: Job) -> None:
    ended = replace(queued_job, status=JobStatus.COMPLETED)
    endless = ResultLinks({"txt": "https://bucket.example/?token=" + "x" * 30_000}, expires_at=3_600.0)
    data = json.loads(outbox_entry_for(ended, 0.0, endless).body)["data"]
    assert not {"links", "links_expires_at"} & set(data)
