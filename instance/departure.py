"""The process is gone in time, whatever hangs: a worker that does not listen, a bucket that does not answer."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from instance.faults import bounded, brief
from instance.telemetry import end_process

log = logging.getLogger(__name__)
MARGIN_S = 25.0
"""How long before EC2 takes the instance the process is gone, at the latest."""
SHORTEST_S = 10.0
"""What the hand-back gets however little time seems left: clocks err, and without it the job loses an attempt."""


class Departure:
    """Ends the process some time after it was told to leave. A process that left by itself takes this along."""

    def __init__(self, abandon: Callable[[], None], end: Callable[[int], object] = end_process) -> None:
        self._abandon = abandon
        self._end = end

    def begin(self, left_s: float) -> None:
        """The instance is taken in ``left_s``. Half of the time goes to an orderly end; then the job is abandoned."""
        limit_s = max(SHORTEST_S, left_s - MARGIN_S)
        threading.Thread(target=self._run, args=(limit_s / 2,), name="departure", daemon=True).start()

    def _run(self, half_s: float) -> None:
        threading.Event().wait(half_s)
        log.error("still here after %.0f s: the job goes back without waiting for its work to stop", half_s)
        try:
            bounded(half_s, self._abandon)
        except Exception as error:  # noqa: BLE001  (the process ends, whatever it was)
            log.error("the job could not be handed back: %s", brief(error))
        self._end(1)
