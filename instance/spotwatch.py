"""Watches for what EC2 announces to a spot instance: the two-minute notice, and that it is at risk."""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable
from datetime import datetime
from types import TracebackType

import requests

from instance.metadata import InstanceMetadata

log = logging.getLogger(__name__)
POLL_S = 5.0
"""AWS advises every five seconds."""
NOTICE_S = 120.0
"""What EC2 gives between the notice and the end, best effort."""
ACTION_PATH = "meta-data/spot/instance-action"
REBALANCE_PATH = "meta-data/events/recommendations/rebalance"


def left_s(notice: str, now: float) -> float:
    """Seconds until the instance is taken, by its notice ``{"action", "time"}`` and this machine's clock.

    The clock may be minutes off, so it can only shorten the two minutes; a time that has passed is the clock's fault.
    """
    try:
        at = datetime.fromisoformat(json.loads(notice)["time"].replace("Z", "+00:00")).timestamp()
    except (ValueError, KeyError, TypeError, AttributeError):
        return NOTICE_S
    return min(at - now, NOTICE_S) if at > now else NOTICE_S


class SpotWatch:
    """Polls in a thread; calls ``on_risk`` and ``on_notice`` (with the seconds left) once each."""

    def __init__(
        self,
        metadata: InstanceMetadata,
        on_notice: Callable[[float], None],
        on_risk: Callable[[], None],
        poll_s: float = POLL_S,
    ) -> None:
        self._metadata = metadata
        self._on_notice = on_notice
        self._on_risk = on_risk
        self._is_at_risk = False
        self._poll_s = poll_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spot-watch", daemon=True)

    def __enter__(self) -> SpotWatch:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            notice = self._read(ACTION_PATH)
            if notice is not None:
                remaining_s = left_s(notice, time.time())
                log.warning("spot interruption notice, %.0f s left: handing the job back", remaining_s)
                self._on_notice(remaining_s)
                return
            if not self._is_at_risk and self._read(REBALANCE_PATH) is not None:
                self._is_at_risk = True
                log.warning("rebalance recommendation: finishing the job, claiming no more")
                self._on_risk()
            self._stopped.wait(self._poll_s)

    def _read(self, path: str) -> str | None:
        try:
            return self._metadata.get(path)
        except requests.RequestException as error:
            log.warning("the metadata service did not answer: %s", type(error).__name__)
            return None
