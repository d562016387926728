"""What the functions count, by the catalog: one line in CloudWatch's embedded metric format for each invocation.

The deployment is the only dimension, whatever function counts: a metric of several functions is one metric, on the bill
too. Powertools' own ``Metrics`` adds the service as a dimension, and warns of every invocation that has nothing to say.
"""

from __future__ import annotations

from functools import wraps
from typing import Any

from aws_lambda_powertools.metrics.provider.cloudwatch_emf.cloudwatch import AmazonCloudWatchEMFProvider

from avskrift.jobs.metrics import DIMENSION, NAMESPACE, Metric
from lambdas.environment import Environment
from lambdas.handling import Handler


class Counts:
    """The values of one invocation. Nothing is written for an invocation that counted nothing."""

    def __init__(self) -> None:
        self._values: list[tuple[Metric, float]] = []

    def count(self, metric: Metric, times: int = 1) -> None:
        """So many more of what is summed up; none is not worth a line."""
        if times:
            self._values.append((metric, times))

    def measure(self, metric: Metric, value: float) -> None:
        """A value, 0 too."""
        self._values.append((metric, value))

    def flush(self) -> None:
        """Write what was counted to standard output, which Lambda ships."""
        values, self._values = self._values, []
        if not values:
            return
        dimensions = {DIMENSION: Environment().text("DEPLOYMENT")}
        provider = AmazonCloudWatchEMFProvider(namespace=NAMESPACE, service="", default_dimensions=dimensions)
        for metric, value in values:
            provider.add_metric(metric.name, metric.unit, value)
        provider.flush_metrics()

    def written(self, handler: Handler) -> Handler:
        """A handler whose counts are written when it ends, however it ends."""

        @wraps(handler)
        def counted(event: dict[str, Any], context: Any) -> Any:
            try:
                return handler(event, context)
            finally:
                self.flush()

        return counted
