"""What somebody should hear of: the day's limit stops launches, rows nobody can read, messages nobody could process.

Each alarm costs 0.10 USD a month. Without ``alarm_topic_arn`` they only show in the console.
"""

from __future__ import annotations

from collections.abc import Mapping

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from avskrift.jobs.metrics import NAMESPACE
from infra.config import Config

PERIOD = cdk.Duration.minutes(5)


class Alarms(Construct):
    """One alarm for each thing that goes on being wrong until somebody acts."""

    def __init__(
        self, scope: Construct, construct_id: str, *, config: Config, dead_letters: Mapping[str, sqs.IQueue]
    ) -> None:
        super().__init__(scope, construct_id)
        self._topic = None
        if config.alarm_topic_arn:
            self._topic = sns.Topic.from_topic_arn(self, "Topic", config.alarm_topic_arn)
        self._alarm(
            "SpendLimit",
            f"{config.name}: max_usd_per_day is reached; nothing more is launched today and jobs wait.",
            _counted("SpendLimitReached", "capacity"),
        )
        for part in ("capacity", "reconcile", "deliver"):
            self._alarm(
                f"MalformedRows{part.capitalize()}",
                f"{config.name}: {part} found rows of the table that were edited into nonsense; its log names them.",
                _counted("MalformedRows", part),
            )
        for name, queue in dead_letters.items():
            self._alarm(
                f"{name.capitalize()}Dlq",
                f"{config.name}: nobody could process some messages of the queue {name}; its dead-letter queue holds "
                "them for 14 days.",
                queue.metric_approximate_number_of_messages_visible(period=PERIOD, statistic="Maximum"),
            )

    def _alarm(self, construct_id: str, description: str, metric: cloudwatch.Metric) -> None:
        """An alarm that one such thing in five minutes sets off; no data means that nothing happened."""
        alarm = cloudwatch.Alarm(
            self,
            construct_id,
            alarm_description=description,
            metric=metric,
            threshold=1,
            evaluation_periods=1,
            comparison_operator=cloudwatch.ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
        )
        if self._topic:
            alarm.add_alarm_action(actions.SnsAction(self._topic))


def _counted(name: str, part: str) -> cloudwatch.Metric:
    """How often a function reported something; the functions say 0 for nothing, or nothing."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=name,
        dimensions_map={"service": part},
        statistic="Sum",
        period=PERIOD,
    )
