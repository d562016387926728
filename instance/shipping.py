"""Lines to CloudWatch Logs, from a thread of their own: whoever logs never waits, and no fault of AWS reaches the work.

watchtower does nearly this; what rules it out (3.4, read 2026-11) is that its queue has no bound, that a batch is tried
five times without a pause and then lost without being counted, and that its end may take a minute: 30 seconds in
``flush`` and again in ``close``, of the two that a spot instance has left.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from instance.faults import SDK_FAULTS, brief, code_of, is_passing

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient
    from mypy_boto3_logs.type_defs import InputLogEventTypeDef, PutLogEventsResponseTypeDef

log = logging.getLogger(__name__)
EVENT_OVERHEAD_BYTES = 26
"""What CloudWatch adds to each event when it measures a batch: PutLogEvents in its API reference, as the next three."""
MAX_BATCH_BYTES = 1_048_576 - 1_024
MAX_BATCH_EVENTS = 10_000 - 1
"""A word about lines that got lost fits in beside."""
MAX_BATCH_SPAN_MS = 86_400_000
"""From the oldest of a batch to the newest: 24 hours, beyond which all of it is refused."""
MAX_LINE_BYTES = 65_536
"""Far below what an event may have: ours are short, and what is not is a fault."""
MAX_KEPT_BYTES = 4 << 20
"""Kept while CloudWatch does not answer; then the oldest lines go."""
LAST_WORDS_S = 4.0
"""The longest that the end of the process waits for its last lines."""


@dataclass(frozen=True, slots=True)
class Line:
    """One event: milliseconds since the epoch, and its text."""

    at_ms: int
    text: str

    @property
    def size_bytes(self) -> int:
        return len(self.text.encode()) + EVENT_OVERHEAD_BYTES


@dataclass(frozen=True, slots=True)
class Tempo:
    """How often lines are sent, and the longest pause between tries that fail, each twice as long as the one before."""

    interval_s: float = 5.0
    longest_s: float = 60.0


@dataclass(frozen=True, slots=True)
class LogStream:
    """One stream of a group that is there; the stream is made when the first line is sent."""

    client: CloudWatchLogsClient
    group: str
    name: str

    def create(self) -> None:
        try:
            self.client.create_log_stream(logGroupName=self.group, logStreamName=self.name)
        except ClientError as error:
            if code_of(error) != "ResourceAlreadyExistsException":
                raise

    def put(self, lines: list[Line]) -> PutLogEventsResponseTypeDef:
        events: list[InputLogEventTypeDef] = [
            {"timestamp": line.at_ms, "message": line.text} for line in sorted(lines, key=lambda line: line.at_ms)
        ]
        return self.client.put_log_events(logGroupName=self.group, logStreamName=self.name, logEvents=events)


class Shipper:
    """Takes lines at any time from any thread; sends them in batches until it is closed."""

    def __init__(self, stream: LogStream, tell_of_lost: Callable[[int], Line], tempo: Tempo | None = None) -> None:
        """``tell_of_lost`` makes a line of how many lines were lost."""
        self._stream = stream
        self._tell_of_lost = tell_of_lost
        self._tempo = tempo or Tempo()
        self._kept: deque[Line] = deque()
        self._kept_bytes = 0
        self._lost = 0
        self._is_closed = False
        self._has_stream = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="log-shipping", daemon=True)
        self._thread.start()

    @property
    def lost(self) -> int:
        """Lines that were lost and of which CloudWatch was not told yet."""
        with self._changed:
            return self._lost

    def put(self, line: Line) -> None:
        """Returns at once. What no encoding has (half of a surrogate pair) is shipped as its escape."""
        line = Line(line.at_ms, line.text.encode(errors="backslashreplace").decode())
        with self._changed:
            if self._is_closed or len(line.text) > MAX_LINE_BYTES:
                self._lost += 1
                return
            self._keep(line)

    def count_lost(self, lines: int = 1) -> None:
        with self._changed:
            self._lost += lines

    def close(self, limit_s: float = LAST_WORDS_S) -> None:
        """Send what is left, for so long at most; again changes nothing. Later lines are lost."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        self._thread.join(limit_s)

    def _run(self) -> None:
        pause_s = self._tempo.interval_s
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._is_closed, pause_s)
                is_last = self._is_closed
            has_sent = self._send_all()
            if is_last:
                if has_sent and self.lost:
                    self._send([])
                return
            pause_s = self._tempo.interval_s if has_sent else min(2 * pause_s, self._tempo.longest_s)

    def _send_all(self) -> bool:
        """Whether CloudWatch has all there was, or will never take it."""
        try:
            while lines := self._take():
                if not self._send(lines):
                    return False
        except Exception as error:  # noqa: BLE001  (of a thread that ended nobody would hear again)
            log.warning("the log lines that were kept are lost: %s", brief(error))
            self._lose_kept()
        return True

    def _send(self, lines: list[Line]) -> bool:
        try:
            lost = self.lost
            word = [self._tell_of_lost(lost)] if lost else []
            if _span_ms(lines + word) > MAX_BATCH_SPAN_MS:
                lost, word = 0, []  # a later batch tells
            told = lines + word
            if not self._has_stream:
                self._stream.create()
                self._has_stream = True
            rejected = _rejected(self._stream.put(told), len(told))
        except Exception as error:  # noqa: BLE001  (a thread that ends here would keep lines for nobody)
            self._put_back(lines, error)
            return False
        self.count_lost(rejected - lost)
        return True

    def _put_back(self, lines: list[Line], error: Exception) -> None:
        """For another try, unless no other would end better."""
        self._has_stream = False
        # For the journal alone: shipped itself, it would never come to an end.
        log.warning("%d log lines were not taken: %s", len(lines), brief(error))
        if not isinstance(error, SDK_FAULTS) or not (is_passing(error) or _lacks_stream(error)):
            self.count_lost(len(lines))
            return
        with self._changed:
            self._kept.extendleft(reversed(lines))
            self._kept_bytes += sum(line.size_bytes for line in lines)
            self._shed()

    def _take(self) -> list[Line]:
        """The oldest lines, as many as one request may carry."""
        with self._changed:
            taken: list[Line] = []
            size_bytes = 0
            ends: list[Line] = []
            while self._kept and len(taken) < MAX_BATCH_EVENTS:
                size_bytes += self._kept[0].size_bytes
                ends = _oldest_and_newest([*ends, self._kept[0]])
                if size_bytes > MAX_BATCH_BYTES or _span_ms(ends) > MAX_BATCH_SPAN_MS:
                    break
                taken.append(self._kept.popleft())
            self._kept_bytes -= sum(line.size_bytes for line in taken)
            return taken

    def _lose_kept(self) -> None:
        with self._changed:
            self._lost += len(self._kept)
            self._kept.clear()
            self._kept_bytes = 0

    def _keep(self, line: Line) -> None:
        self._kept.append(line)
        self._kept_bytes += line.size_bytes
        self._shed()

    def _shed(self) -> None:
        while self._kept_bytes > MAX_KEPT_BYTES:
            self._kept_bytes -= self._kept.popleft().size_bytes
            self._lost += 1


def _oldest_and_newest(lines: list[Line]) -> list[Line]:
    by_time = sorted(lines, key=lambda line: line.at_ms)
    return [by_time[0], by_time[-1]]


def _span_ms(lines: list[Line]) -> int:
    times = [line.at_ms for line in lines]
    return max(times, default=0) - min(times, default=0)


def _lacks_stream(error: Exception) -> bool:
    return isinstance(error, ClientError) and code_of(error) == "ResourceNotFoundException"


def _rejected(answer: PutLogEventsResponseTypeDef, count: int) -> int:
    """Lines that were too old or too new for CloudWatch: indexes into the batch, the ends exclusive."""
    told = answer.get("rejectedLogEventsInfo", {})
    too_new = count - told.get("tooNewLogEventStartIndex", count)
    return max(told.get("tooOldLogEventEndIndex", 0), told.get("expiredLogEventEndIndex", 0)) + too_new
