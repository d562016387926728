"""CloudWatch as its documentation says: metrics put together by period, and alarms over the last periods.

"Using Amazon CloudWatch alarms": an alarm is made with insufficient data, whoever makes it; it rings when all of its
last periods breach, missing ones by its own rule, also those before it was made; and it does what is asked of it
whenever it comes into a state from another one.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

NEW = "INSUFFICIENT_DATA"
STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min}
COMPARED = {"GreaterThanOrEqualToThreshold": float.__ge__, "LessThanThreshold": float.__lt__}
ACTIONS = {"ALARM": "AlarmActions", "OK": "OKActions", NEW: "InsufficientDataActions"}


@dataclass
class CloudWatch:
    """What was said, and which alarms of a template rang."""

    alarms: Mapping[str, Any]
    values: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """Of our own metrics by their name; of others by the name of the one alarm that reads them."""
    began: float = math.inf
    ended: float = -math.inf

    def take(self, line: Mapping[str, Any], now: float) -> None:
        """A line in the embedded format."""
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            self.values[metric["Name"]] += [(now, value) for value in line[metric["Name"]]]

    def pass_time(self, now: float) -> None:
        self.began, self.ended = min(self.began, now), max(self.ended, now)

    def rang(self) -> set[str]:
        """Names of the alarms that rang at some time, on our own metrics."""
        return {name for name, alarm in self.alarms.items() if _is_ours(alarm) and "ALARM" in self.states(name)}

    def told(self) -> list[tuple[str, str]]:
        """What whoever is subscribed was told since the alarms were made: each alarm with the state it came into."""
        return [
            (name, state)
            for name, alarm in self.alarms.items()
            for before, state in pairwise(self.states(name))
            if state != before and alarm.get(ACTIONS[state])
        ]

    def states(self, name: str) -> list[str]:
        """The alarm's state when it was made, just afterwards, and at the end of each period."""
        alarm = self.alarms[name]
        period_s, wanted = alarm["Period"], alarm["EvaluationPeriods"]
        first, last = int(self.began // period_s), int(self.ended // period_s)
        breaches = [self._breaches(name, number) for number in range(first - wanted, last + 1)]
        states = [NEW]
        for end in range(wanted, len(breaches) + 1):
            recent = breaches[end - wanted : end]
            if None in recent:  # only with "ignore": nothing changes
                states.append(states[-1])
            else:
                states.append("ALARM" if all(recent) else "OK")
        return states

    def _breaches(self, name: str, number: int) -> bool | None:
        alarm = self.alarms[name]
        values = self.values[alarm["MetricName"] if _is_ours(alarm) else name]
        found = [value for at, value in values if at // alarm["Period"] == number]
        if not found:
            return {"notBreaching": False, "breaching": True, "ignore": None}[alarm["TreatMissingData"]]
        together = float(STATISTICS[alarm["Statistic"]](found))
        return COMPARED[alarm["ComparisonOperator"]](together, float(alarm["Threshold"]))


def _is_ours(alarm: Mapping[str, Any]) -> bool:
    return bool(alarm["Namespace"] == "avskrift")
