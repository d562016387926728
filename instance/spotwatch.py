"""Watches for the two-minute notice of a spot interruption."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

import requests

from instance.metadata import InstanceMetadata

log = logging.getLogger(__name__)
POLL_S = 5.0
"""AWS advises every five seconds."""


class SpotWatch:
    """Polls ``spot/instance-action`` in a thread and calls ``on_notice`` once when it appears."""

    def __init__(self, metadata: InstanceMetadata, on_notice: Callable[[], None], poll_s: float = POLL_S) -> None:
        self._metadata = metadata
        self._on_notice = on_notice
        self._poll_s = poll_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="spot-watch", daemon=True)

    def __enter__(self) -> SpotWatch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopped.is_set():
            if self._is_noticed():
                log.warning("spot interruption notice: handing the job back, claiming no more")
                self._on_notice()
                return
            self._stopped.wait(self._poll_s)

    def _is_noticed(self) -> bool:
        try:
            return self._metadata.get("meta-data/spot/instance-action") is not None
        except requests.RequestException as error:
            log.warning("the metadata service did not answer: %s", type(error).__name__)
            return False
