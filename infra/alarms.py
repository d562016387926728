"""What wakes a person: one alarm for each thing that goes on being wrong until somebody acts.

Each is named ``<deployment>-<rule>`` and has a paragraph ``## <rule>`` in docs/operations.md. An alarm costs 0.10 USD a
month for each metric that it reads, so none reads more than one.

None tells that it is over: an alarm is made without data and then becomes fine, which CloudWatch takes for an end
(aws-cloudformation/cloudformation-coverage-roadmap#2486, read 2026-11). A first deployment would tell one for each.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_cloudwatch_actions as actions
from aws_cdk import aws_sns as sns
from constructs import Construct

from avskrift.jobs import metrics
from avskrift.jobs.metrics import DIMENSION, NAMESPACE, Metric
from infra.config import Config
from infra.functions import Functions, Surroundings
from infra.queues import Queues

RUNBOOK = "docs/operations.md"
FIVE_MINUTES = cdk.Duration.minutes(5)
#: Periods of five minutes that a fault has to last where the deployment mends most by itself.
LASTING = 3
#: Seconds after which register has not taken an upload: three of its tries, and before the dead-letter queue has it.
UPLOADS_AGE_S = 600
#: Seconds after which deliver has not taken a message; one that is not due yet waits 900 s, as SQS allows.
OUTBOX_AGE_S = 1_800
#: Attempts in a quarter of an hour that no receiver answered well: more than one webhook's first three.
FAILING_ATTEMPTS = 5
#: Of ``max_usd_per_day``: time to look before the limit stops launches.
SPEND_WARNING = 0.8

_MISSING = cloudwatch.TreatMissingData
_COMPARED = cloudwatch.ComparisonOperator


@dataclass(frozen=True, kw_only=True)
class Rule:
    """When to wake whom: at ``threshold`` or more in so many ``periods`` in a row; with ``is_floor``, below it."""

    name: str
    meaning: str
    metric: cloudwatch.Metric
    threshold: float = 1
    periods: int = 1
    missing: cloudwatch.TreatMissingData = _MISSING.NOT_BREACHING
    """Most metrics are only there when something happens: no data, no fault."""
    is_floor: bool = False


class Alarms(Construct):
    """The alarms, which tell ``topic``."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        surroundings: Surroundings,
        functions: Functions,
        topic: sns.ITopic,
    ) -> None:
        super().__init__(scope, construct_id)
        self._config = surroundings.config
        self._topic = topic
        self.alarms = [
            self._alarm(rule)
            for rule in (
                *_work_rules(self._config),
                *_fleet_rules(self._config),
                *_queue_rules(surroundings.queues),
                *_beat_rules(functions),
            )
        ]

    def _alarm(self, rule: Rule) -> cloudwatch.Alarm:
        alarm = cloudwatch.Alarm(
            self,
            "".join(word.capitalize() for word in rule.name.split("-")),
            alarm_name=f"{self._config.name}-{rule.name}",
            alarm_description=f"avskrift {self._config.name}: {rule.meaning} What to do: {RUNBOOK}#{rule.name}",
            metric=rule.metric,
            threshold=rule.threshold,
            evaluation_periods=rule.periods,
            comparison_operator=_COMPARED.LESS_THAN_THRESHOLD
            if rule.is_floor
            else _COMPARED.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
            treat_missing_data=rule.missing,
        )
        alarm.add_alarm_action(actions.SnsAction(self._topic))
        return alarm


def counted(config: Config, metric: Metric, period: cdk.Duration = FIVE_MINUTES) -> cloudwatch.Metric:
    """One of our own metrics, as whoever emits it names it."""
    return cloudwatch.Metric(
        namespace=NAMESPACE,
        metric_name=metric.name,
        dimensions_map={DIMENSION: config.name},
        statistic=metric.statistic,
        period=period,
    )


def _work_rules(config: Config) -> Iterator[Rule]:
    yield Rule(
        name="oldest-wait",
        meaning="a job that is due has waited long for an instance.",
        metric=counted(config, metrics.OLDEST_WAIT),
        threshold=config.oldest_wait_alarm_s,
    )
    yield Rule(
        name="jobs-unserved",
        meaning="jobs failed because no instance could be had for them, or none that worked.",
        metric=counted(config, metrics.JOBS_UNSERVED),
    )
    yield Rule(
        name="malformed-rows",
        meaning="rows of the table were edited into nonsense; they were ended or put aside.",
        metric=counted(config, metrics.MALFORMED_ROWS),
    )
    yield Rule(
        name="webhooks-failing",
        meaning="receivers of webhooks do not answer with 2xx.",
        metric=counted(config, metrics.WEBHOOK_FAILURES, cdk.Duration.minutes(15)),
        threshold=FAILING_ATTEMPTS,
    )
    yield Rule(
        name="webhooks-abandoned",
        meaning="a webhook was given up for good: its receiver has not learned how a job ended.",
        metric=counted(config, metrics.WEBHOOKS_ABANDONED),
    )


def _fleet_rules(config: Config) -> Iterator[Rule]:
    yield Rule(
        name="launch-failures",
        meaning="jobs in a hurry wait and no instance comes, spot or on demand.",
        metric=counted(config, metrics.BARREN_PASSES),
        periods=LASTING,
    )
    yield Rule(
        name="overdue-instances",
        meaning="an instance is older than its maximum life, and is not gone though it was terminated.",
        metric=counted(config, metrics.OVERDUE_INSTANCES),
        periods=LASTING,
    )
    yield Rule(
        name="spend-warning",
        meaning=f"instances have cost {SPEND_WARNING:.0%} of max_usd_per_day today, by our own estimate.",
        metric=counted(config, metrics.SPENT_TODAY),
        threshold=round(SPEND_WARNING * config.max_usd_per_day, 6),
        # What was spent is told while there is work, and at the new day's 0: between the two nothing has changed, and
        # a mail for each job of the day would say nothing new.
        missing=_MISSING.IGNORE,
    )
    yield Rule(
        name="spend-limit",
        meaning="max_usd_per_day is reached: nothing more is launched today, and jobs wait.",
        metric=counted(config, metrics.SPEND_LIMIT_REACHED),
    )


def _queue_rules(queues: Queues) -> Iterator[Rule]:
    """SQS says nothing of a queue that has been unused for six hours: there is nothing in it either."""
    for name, queue, age_s in (
        ("uploads", queues.uploads, UPLOADS_AGE_S),
        ("outbox", queues.outbox, OUTBOX_AGE_S),
    ):
        yield Rule(
            name=f"{name}-age",
            meaning=f"messages of the queue {name} are not taken.",
            metric=queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum"),
            threshold=age_s,
        )
    for name, queue in (
        ("uploads", queues.uploads_dlq),
        ("jobs", queues.jobs_dlq),
        ("outbox", queues.outbox_dlq),
    ):
        yield Rule(
            name=f"{name}-dlq",
            meaning=f"nobody could process some messages of the queue {name}; they are kept for 14 days.",
            metric=queue.metric_approximate_number_of_messages_visible(period=FIVE_MINUTES, statistic="Maximum"),
        )


def _beat_rules(functions: Functions) -> Iterator[Rule]:
    """By Lambda's own metrics, which are free. It sends Invocations only when there were some ("AWS Lambda Metrics" of
    its developer guide), so no data is no beat; whether a function that is called does its work, Errors says."""
    for name, function, period, runs in (
        ("capacity", functions.capacity, FIVE_MINUTES, 5),
        ("reconcile", functions.reconcile, cdk.Duration.minutes(30), 3),
    ):
        yield Rule(
            name=f"{name}-no-beat",
            meaning=f"the function {name}, which runs by the clock, is not called.",
            metric=function.metric_invocations(period=period, statistic="Sum"),
            periods=2,
            missing=_MISSING.BREACHING,
            is_floor=True,
        )
        yield Rule(
            name=f"{name}-failing",
            meaning=f"most runs of the function {name} fail.",
            metric=function.metric_errors(period=period, statistic="Sum"),
            threshold=runs // 2 + 1,
            periods=2,
        )
