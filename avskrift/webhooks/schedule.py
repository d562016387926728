"""When to try a delivery again: https://www.standardwebhooks.com's exponential advice, fixed as a table."""

from __future__ import annotations

import random

RETRY_DELAYS_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first attempt, counted from the attempt that failed: 5 s, 5 min, 30 min, 2, 5, 10, 14, 20 and 24 h."""
JITTER = 0.1
"""Share of the delay by which receivers of many jobs are spread."""
SQS_MAX_DELAY_S = 900


def next_delay_s(failed_attempts: int, retry_after_s: float | None = None) -> float | None:
    """Seconds until the next attempt after ``failed_attempts`` failures; None when it is time to give up."""
    if failed_attempts > len(RETRY_DELAYS_S):
        return None
    delay_s = RETRY_DELAYS_S[failed_attempts - 1]
    spread_s = delay_s * (1 + JITTER * random.random())  # noqa: S311 - spreading load, not a secret
    return max(spread_s, retry_after_s or 0)


def queue_delay_s(wait_s: float) -> int:
    """SQS can hold a message 15 minutes: longer waits are re-delayed on arrival."""
    return int(min(SQS_MAX_DELAY_S, max(0, round(wait_s))))
