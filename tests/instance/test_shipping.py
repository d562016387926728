"""Lines reach CloudWatch in the order of their times; whatever CloudWatch does, whoever logs never waits."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from avskrift.local.processes import await_condition
from instance import shipping
from instance.shipping import Line, LogStream, Shipper, Tempo
from tests.instance.agent_stage import PATIENCE_S, FaultyClient, Outage, refusal

GROUP, STREAM = "/avskrift/test/agent", "i-1"
EAGER = Tempo(interval_s=0.01, longest_s=0.02)
PATIENT = Tempo(interval_s=3_600.0)
AT_MS = 1_700_000_000_000


@pytest.fixture
def logs(deployment: Any) -> Any:
    client = deployment.client("logs")
    client.create_log_group(logGroupName=GROUP)
    return client


class RecordingClient:
    """CloudWatch that takes everything, or does what a test says."""

    def __init__(self, *answers: Any) -> None:
        self.batches: list[list[dict[str, Any]]] = []
        self._answers = list(answers)

    def create_log_stream(self, **_: Any) -> None: ...

    def put_log_events(self, *, logEvents: list[dict[str, Any]], **_: Any) -> Any:
        answer = self._answers.pop(0) if self._answers else {}
        if isinstance(answer, Exception):
            raise answer
        self.batches.append(logEvents)
        return answer

    @property
    def texts(self) -> list[str]:
        return [event["message"] for batch in self.batches for event in batch]


@contextmanager
def shipping_to(client: Any, tempo: Tempo = PATIENT) -> Iterator[Shipper]:
    shipper = Shipper(LogStream(client, GROUP, STREAM), lambda count: Line(AT_MS, f"{count} lost"), tempo)
    try:
        yield shipper
    finally:
        shipper.close()


def line(text: str, after_ms: int = 0) -> Line:
    return Line(AT_MS + after_ms, text)


def shipped(logs: Any) -> list[str]:
    if not logs.describe_log_streams(logGroupName=GROUP)["logStreams"]:
        return []
    events = logs.get_log_events(logGroupName=GROUP, logStreamName=STREAM, startFromHead=True)["events"]
    return [event["message"] for event in events]


def now(text: str, after_ms: int = 0) -> Line:
    """CloudWatch takes no line older than two weeks, and moto neither."""
    return Line(shipping_now_ms() + after_ms, text)


def shipping_now_ms() -> int:
    from instance.telemetry import _now_ms

    return _now_ms()


def test_what_is_left_goes_out_when_the_shipper_is_closed(logs: Any) -> None:
    with shipping_to(logs) as shipper:
        shipper.put(now("second", 10))
        shipper.put(now("first"))
    assert shipped(logs) == ["first", "second"]


def test_lines_go_out_by_themselves(logs: Any) -> None:
    with shipping_to(logs, EAGER) as shipper:
        shipper.put(now("one"))
        await_condition(lambda: shipped(logs) == ["one"], PATIENCE_S, "the line")


def test_stream_that_is_there_already_is_written_on(logs: Any) -> None:
    for text in ("before", "after"):
        with shipping_to(logs) as shipper:
            shipper.put(now(text))
    assert shipped(logs) == ["before", "after"]


def test_nothing_is_asked_of_cloudwatch_while_nothing_is_logged(logs: Any) -> None:
    with shipping_to(logs):
        pass
    assert logs.describe_log_streams(logGroupName=GROUP)["logStreams"] == []


@pytest.mark.parametrize("method", ["create_log_stream", "put_log_events"])
def test_outage_delays_lines_and_loses_none(logs: Any, method: str) -> None:
    outage = Outage(EndpointConnectionError(endpoint_url="https://logs"), times=3)
    with shipping_to(FaultyClient(logs, method, before=outage), EAGER) as shipper:
        for number in range(5):
            shipper.put(now(str(number), number))
        await_condition(lambda: len(shipped(logs)) >= 5, PATIENCE_S, "the lines")
    assert shipped(logs) == ["0", "1", "2", "3", "4"]
    assert outage.calls > 3


def test_stream_that_somebody_deleted_is_made_again(logs: Any) -> None:
    with shipping_to(logs, EAGER) as shipper:
        shipper.put(now("one"))
        await_condition(lambda: shipped(logs) == ["one"], PATIENCE_S, "the line")
        logs.delete_log_stream(logGroupName=GROUP, logStreamName=STREAM)
        shipper.put(now("two"))
        await_condition(lambda: shipped(logs) == ["two"], PATIENCE_S, "the line")


def test_oldest_lines_go_when_too_many_wait_and_the_loss_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MAX_KEPT_BYTES", 3 * (100 + shipping.EVENT_OVERHEAD_BYTES))
    client = RecordingClient()
    with shipping_to(client) as shipper:
        for letter in "abcdefg":
            shipper.put(line(letter * 100))
    assert sorted(client.texts) == ["4 lost", *(letter * 100 for letter in "efg")]


def test_refused_lines_are_counted_and_not_sent_again() -> None:
    client = RecordingClient(refusal("AccessDeniedException"))
    with shipping_to(client, EAGER) as shipper:
        shipper.put(line("refused"))
        await_condition(lambda: shipper.lost == 1, PATIENCE_S, "the refusal")
        shipper.put(line("taken"))
    assert sorted(client.texts) == ["1 lost", "taken"]


def test_lines_that_cloudwatch_rejects_by_their_age_are_counted() -> None:
    answer = {"rejectedLogEventsInfo": {"tooOldLogEventEndIndex": 2, "tooNewLogEventStartIndex": 4}}
    client = RecordingClient(answer)
    with shipping_to(client) as shipper:
        for number in range(5):
            shipper.put(line(str(number), number))
    assert client.texts == ["0", "1", "2", "3", "4", "3 lost"]


def test_batches_are_no_bigger_than_cloudwatch_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipping, "MAX_BATCH_BYTES", 3 * (2 + shipping.EVENT_OVERHEAD_BYTES))
    monkeypatch.setattr(shipping, "MAX_BATCH_EVENTS", 2)
    client = RecordingClient()
    with shipping_to(client) as shipper:
        for number in range(5):
            shipper.put(line("å" if number else "å" * 2))
    assert [len(batch) for batch in client.batches] == [2, 2, 1]


def test_line_that_no_event_can_hold_is_lost() -> None:
    client = RecordingClient()
    with shipping_to(client) as shipper:
        shipper.put(line("x" * (shipping.MAX_LINE_BYTES + 1)))
        shipper.put(line("y"))
    assert client.texts == ["y", "1 lost"]


def test_no_batch_spans_more_than_cloudwatch_takes() -> None:
    client = RecordingClient()
    day_ms = shipping.MAX_BATCH_SPAN_MS
    with shipping_to(client) as shipper:
        for after_ms in (0, -day_ms, 1, day_ms + 1, day_ms, 0):
            shipper.put(line(str(after_ms), after_ms))
    assert [len(batch) for batch in client.batches] == [2, 3, 1]
    for batch in client.batches:
        times = [event["timestamp"] for event in batch]
        assert max(times) - min(times) <= day_ms


def test_word_about_lost_lines_waits_for_a_batch_of_its_time() -> None:
    client = RecordingClient()
    with shipping_to(client) as shipper:
        shipper.count_lost(2)
        shipper.put(line("old", -2 * shipping.MAX_BATCH_SPAN_MS))
    assert [[event["message"] for event in batch] for batch in client.batches] == [["old"], ["2 lost"]]


def test_line_that_no_encoding_has_is_shipped_as_its_escape() -> None:
    """A file name that is no UTF-8 has such characters; what came after used to stay behind it."""
    client = RecordingClient()
    with shipping_to(client, EAGER) as shipper:
        shipper.put(line("bad \udc80 line"))
        await_condition(lambda: len(client.texts) == 1, PATIENCE_S, "the line")
        shipper.put(line("after"))
        await_condition(lambda: len(client.texts) == 2, PATIENCE_S, "the next")
    assert client.texts == ["bad \\udc80 line", "after"]


def test_fault_of_our_own_costs_the_lines_that_were_kept_and_no_later_one(monkeypatch: pytest.MonkeyPatch) -> None:
    take = Shipper._take
    faults = [ValueError("a fault")]

    def faulty(self: Shipper) -> list[Line]:
        if self._kept and faults:
            raise faults.pop()
        return take(self)

    monkeypatch.setattr(Shipper, "_take", faulty)
    client = RecordingClient()
    with shipping_to(client, EAGER) as shipper:
        shipper.put(line("met the fault"))
        await_condition(lambda: shipper.lost == 1, PATIENCE_S, "the fault")
        shipper.put(line("after"))
        await_condition(lambda: "after" in client.texts, PATIENCE_S, "the line")
    assert sorted(client.texts) == ["1 lost", "after"]


def test_cloudwatch_that_hangs_holds_up_nobody() -> None:
    called, released = threading.Event(), threading.Event()

    def hang(**_: Any) -> None:
        called.set()
        released.wait(PATIENCE_S)

    client = FaultyClient(RecordingClient(), "put_log_events", before=hang)
    with shipping_to(client, EAGER) as shipper:
        shipper.put(line("one"))
        assert called.wait(PATIENCE_S)
        for number in range(1_000):
            shipper.put(line(str(number)))
        shipper.close(limit_s=0.01)
        assert not released.is_set(), "it was not waited for"
        released.set()


def test_line_after_the_end_is_lost_and_harms_nobody() -> None:
    client = RecordingClient()
    with shipping_to(client) as shipper:
        shipper.close()
        shipper.put(line("late"))
        assert shipper.lost == 1
    assert client.texts == []
