"""Log groups: one a part, named after deployment and part so that they can be found, never kept forever."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_kms as kms
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.config import Config
from infra.limits import LOG_RETENTION_DAYS

_DAYS = logs.RetentionDays
_RETENTION = dict(
    zip(
        LOG_RETENTION_DAYS,
        (
            *(_DAYS.ONE_DAY, _DAYS.THREE_DAYS, _DAYS.FIVE_DAYS, _DAYS.ONE_WEEK, _DAYS.TWO_WEEKS),
            *(_DAYS.ONE_MONTH, _DAYS.TWO_MONTHS, _DAYS.THREE_MONTHS, _DAYS.FOUR_MONTHS, _DAYS.FIVE_MONTHS),
            *(_DAYS.SIX_MONTHS, _DAYS.ONE_YEAR, _DAYS.THIRTEEN_MONTHS, _DAYS.EIGHTEEN_MONTHS, _DAYS.TWO_YEARS),
        ),
        strict=True,
    )
)


def log_group(scope: Construct, config: Config, part: str, key: kms.IKey | None) -> logs.LogGroup:
    """The log group ``/avskrift/<deployment>/<part>``, encrypted with ``key`` or else with CloudWatch's own."""
    return logs.LogGroup(
        scope,
        "Logs",
        log_group_name=f"/avskrift/{config.name}/{part}",
        retention=_RETENTION[config.log_retention_days],
        encryption_key=key,
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )
