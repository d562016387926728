"""One page for whoever looks: the metrics of the catalog, the queues and the functions.

An account's first three dashboards of up to 50 metrics are free, each further or larger one costs 3 USD a month
(https://aws.amazon.com/cloudwatch/pricing, read 2026-11). So a count that rings an alarm by being there is not drawn
again: the alarms stand above, each with its graph. A SEARCH expression would draw many metrics as one, but whether it
is billed as one is not documented.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_cloudwatch as cloudwatch
from constructs import Construct

from avskrift.jobs import metrics
from avskrift.jobs.metrics import LAUNCH_FAULTS, PHASES, Metric
from infra.alarms import FIVE_MINUTES, counted
from infra.config import Config
from infra.functions import Functions, Surroundings
from infra.queues import Queues

#: Columns of a dashboard.
WIDTH = 24
HEIGHT = 6


@dataclass(frozen=True)
class Graph:
    """What one graph shows; ``limit`` is drawn as a line with its name."""

    title: str
    shown: Sequence[cloudwatch.IMetric]
    is_stacked: bool = False
    limit: tuple[float, str] | None = None


class Overview(Construct):
    """The dashboard, named after the deployment and its region: an account's regions share their dashboards."""

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        surroundings: Surroundings,
        functions: Functions,
        alarms: Sequence[cloudwatch.IAlarm],
    ) -> None:
        super().__init__(scope, construct_id)
        config, queues = surroundings.config, surroundings.queues
        rows = (_work(config), _fleet(config), _times(config), _money(config), _trouble(config, queues, functions))
        status = cloudwatch.AlarmStatusWidget(title="Alarms", alarms=list(alarms), width=WIDTH, height=4)
        cloudwatch.Dashboard(
            self,
            "Dashboard",
            dashboard_name=f"{config.name}-{config.region}",
            default_interval=cdk.Duration.hours(12),
            widgets=[[status], *map(_row, rows)],
        )


def _row(graphs: Sequence[Graph]) -> list[cloudwatch.IWidget]:
    return [_widget(graph, WIDTH // len(graphs)) for graph in graphs]


def _widget(graph: Graph, width: int) -> cloudwatch.GraphWidget:
    lines = [cloudwatch.HorizontalAnnotation(value=graph.limit[0], label=graph.limit[1])] if graph.limit else []
    return cloudwatch.GraphWidget(
        title=graph.title,
        left=list(graph.shown),
        stacked=graph.is_stacked,
        left_annotations=lines,
        left_y_axis=cloudwatch.YAxisProps(min=0, show_units=False),
        width=width,
        height=HEIGHT,
    )


def _ours(config: Config, *shown: Metric) -> list[cloudwatch.IMetric]:
    return [counted(config, metric) for metric in shown]


def _work(config: Config) -> list[Graph]:
    ends = _ours(config, metrics.JOBS_COMPLETED, metrics.JOBS_FAILED, metrics.JOBS_CANCELLED)
    return [
        Graph("Jobs at hand", _ours(config, metrics.QUEUED_JOBS, metrics.RUNNING_JOBS)),
        Graph("Oldest wait, s", _ours(config, metrics.OLDEST_WAIT), limit=(config.oldest_wait_alarm_s, "alarm")),
        Graph("Jobs that came", _ours(config, metrics.JOBS_REGISTERED, metrics.JOBS_RECONCILED)),
        Graph("Jobs that ended", ends, is_stacked=True),
    ]


def _fleet(config: Config) -> list[Graph]:
    instances = _ours(config, metrics.SPOT_INSTANCES, metrics.ON_DEMAND_INSTANCES)
    launches = _ours(config, metrics.INSTANCES_LAUNCHED, metrics.IMAGE_MISSING)
    return [
        Graph("Instances", instances, limit=(config.max_instances, "max_instances")),
        Graph("Launches", launches),
        Graph("Why EC2 gave less", _ours(config, *LAUNCH_FAULTS.values()), is_stacked=True),
    ]


def _times(config: Config) -> list[Graph]:
    return [
        Graph("Phases of a job, s", _ours(config, *PHASES.values()), is_stacked=True),
        Graph("Boot, s", _ours(config, metrics.BOOT)),
        Graph("Seconds of work for one of audio", _ours(config, metrics.REAL_TIME_FACTOR)),
        Graph("Audio transcribed, s", _ours(config, metrics.AUDIO)),
    ]


def _money(config: Config) -> list[Graph]:
    return [
        Graph(
            "US dollars today, estimated",
            _ours(config, metrics.SPENT_TODAY),
            limit=(config.max_usd_per_day, "max_usd_per_day"),
        ),
        Graph("US dollars of ended jobs", _ours(config, metrics.JOB_COST)),
        Graph("Webhooks", _ours(config, metrics.WEBHOOK_ATTEMPTS, metrics.WEBHOOK_FAILURES)),
    ]


def _trouble(config: Config, queues: Queues, functions: Functions) -> list[Graph]:
    ours = _ours(
        config,
        *(metrics.LOST_BEATS, metrics.MALFORMED_MESSAGES, metrics.CAPACITY_FAULTS, metrics.RECONCILE_FAULTS),
    )
    ages = {"uploads": queues.uploads, "outbox": queues.outbox}  # of jobs, "Oldest wait" says it better
    oldest = [
        queue.metric_approximate_age_of_oldest_message(period=FIVE_MINUTES, statistic="Maximum", label=name)
        for name, queue in ages.items()
    ]
    return [
        Graph("Trouble", ours),
        Graph("Oldest messages, s", oldest),
        Graph("Errors of functions", _errors(functions)),
    ]


def _errors(functions: Functions) -> list[cloudwatch.IMetric]:
    parts = {
        "register": functions.register,
        "reconcile": functions.reconcile,
        "capacity": functions.capacity,
        "deliver": functions.deliver,
    }
    return [part.metric_errors(period=FIVE_MINUTES, label=name) for name, part in parts.items()]
