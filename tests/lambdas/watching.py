"""CloudWatch as its documentation says: metrics put together by period, and alarms over the last periods.

"Using Amazon CloudWatch alarms": an alarm rings when all of its last periods breach, missing ones by its own rule.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

STATISTICS = {"Sum": sum, "Maximum": max, "Minimum": min}


@dataclass
class CloudWatch:
    """What was said, and which alarms of a template rang."""

    alarms: Mapping[str, Any]
    values: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
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
        ours = {name: alarm for name, alarm in self.alarms.items() if alarm["Namespace"] == "avskrift"}
        return {name for name, alarm in ours.items() if "ALARM" in self.states(alarm)}

    def states(self, alarm: Mapping[str, Any]) -> list[str]:
        """The alarm's state at the end of each period."""
        period_s, wanted = alarm["Period"], alarm["EvaluationPeriods"]
        first, last = int(self.began // period_s), int(self.ended // period_s)
        breaches = [self._breaches(alarm, number) for number in range(first, last + 1)]
        states = ["OK"]
        for end in range(wanted, len(breaches) + 1):
            recent = breaches[end - wanted : end]
            if None in recent:  # only with "ignore": nothing changes
                states.append(states[-1])
            else:
                states.append("ALARM" if all(recent) else "OK")
        return states

    def _breaches(self, alarm: Mapping[str, Any], number: int) -> bool | None:
        period_s = alarm["Period"]
        found = [value for at, value in self.values[alarm["MetricName"]] if at // period_s == number]
        if not found:
            return {"notBreaching": False, "breaching": True, "ignore": None}[alarm["TreatMissingData"]]
        return bool(STATISTICS[alarm["Statistic"]](found) >= alarm["Threshold"])
