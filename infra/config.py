"""Every setting of a deployment, read once from the CDK context (``cdk.json``, or ``-c name=value``).

A setting that is unknown, of the wrong kind or contradictory (:mod:`infra.limits`) ends synthesis with one sentence.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints

from avskrift.errors import ConfigurationError
from infra.limits import GIB, check


@dataclass(frozen=True, kw_only=True)
class Config:
    """One deployment. Each field is a context key of the same name; its default has its reason beside it."""

    name: str = "avskrift"
    """Name of the deployment, and so of its stack, tags, log groups and AMI parameter: what keeps several in one
    account apart. Default ``avskrift``."""
    region: str = "eu-north-1"
    """AWS region; default eu-north-1 (Stockholm): Swedish recordings stay in the country, and GPUs are cheap there."""
    account: str = ""
    """AWS account that alone may be deployed to; empty (default): that of the credentials at hand, since one checkout
    often serves a test account and a real one."""
    local: bool = False
    """The cloud on one machine: callbacks to loopback are allowed and nothing outlives the stack. Default false."""

    bucket_name: str = ""
    """Name of the bucket, which no other account may have; empty (default): CloudFormation makes one up, so that no
    deployment fails for a name that is taken. A changed name makes a new, empty bucket; the old one stays as
    ``retain_data`` says, and a bucket that stayed must be renamed here or imported before it is deployed again."""
    customer_key: bool = False
    """Encrypt with a KMS key of the deployment's own instead of AWS' service-managed keys: 1 USD a month, and 1 more
    after each of the first two rotations; default false: for those whose rules ask for a key they can revoke. Change it
    only while no job is under way; once it is off, the deployment cannot read what it stored under the key."""

    availability_zones: tuple[str, ...]
    """Zones with a subnet, and so the zones where capacity is looked for; default the region's a, b and c, because
    spot capacity is found more often in three pools than in one."""
    instance_types: tuple[str, ...] = ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")
    """GPU instance types that the fleet may take; which of them is decided by price and capacity. Default: the
    smallest of three generations, as one job keeps one GPU busy."""
    ami_parameter: str
    """SSM parameter with the AMI's id or ``none``, never created by the stack (a change of the template would reset a
    promoted image); default ``/avskrift/<name>/ami``, one a deployment."""
    root_volume_gib: int = 50
    """Root volume of an instance, GiB, that system, model and the recording at work share; default 50: 16 for the
    system, 20 for the largest recording, and room for the next one, which is fetched meanwhile."""
    max_instances: int = 5
    """Instances at one time, at most; default 5: 20 vCPUs, several thousand recordings a day (docs/scaling.md), and no
    bill that surprises. At most 1000: a million recordings a day took 691, and a slip of the hand costs less."""
    target_drain_s: int = 600
    """Seconds in which the queue should be worked off: decides how many instances are wanted. Default 600: well above
    the minutes that an instance takes to start, so that none is launched for work that is done when it comes."""
    max_usd_per_day: float = 50.0
    """US dollars of instance time a day, by our own estimate, after which nothing more is launched; default 50: five
    spot instances around the clock stay below it, a runaway does not. At most 1,000,000."""
    no_capacity_after_s: int = 7200
    """Seconds a job waits for an instance before it fails as ``no_capacity``; default 7200 (2 hours): most shortages of
    a zone are over by then, and a client that waits should hear of the others the same day. At most the 14 days that
    SQS keeps a message."""

    linger_s: int = 120
    """Seconds an idle instance waits for another job before it powers off; default 120: about what a start costs, so
    waiting never costs more than launching again."""
    idle_limit_s: int = 1200
    """Seconds after which an instance that owned no job is terminated from outside; default 1200 (20 minutes): an
    instance ends itself long before, so this one is broken."""
    lease_s: int = 90
    """Seconds without a heartbeat after which a job counts as lost; default 90: six heartbeats, so that a slow network
    costs no attempt and a dead instance a minute and a half."""
    heartbeat_s: int = 15
    """Seconds between heartbeats of a running job; default 15: four writes a minute, 0.0004 USD for an hour of work."""
    max_life_s: int = 21600
    """Seconds after which an instance ends whatever it does; default, and at most, 21600 (6 hours): as long as the
    links that its role signs can live."""
    max_failures: int = 3
    """Failed attempts (interruptions don't count) after which a job fails as ``attempts_exhausted``; default 3: two
    accidents are forgiven, the third is the recording's fault. At most 10, far from the 50 receives of its message."""

    model: str = "kb-whisper-small"
    """Model of jobs that name none; default ``kb-whisper-small``: 7.3% WER on Swedish FLEURS (its card), and
    small enough to be fast on any GPU."""
    device: str = "auto"
    """Where the model runs: ``auto`` (GPU where there is one; default, the same on any type), ``cpu`` or ``cuda``."""
    default_language: str = ""
    """Language code of jobs that name none, for example ``sv``; empty (default): detect it, as any guess would be wrong
    for somebody."""
    max_size_bytes: int = 20 * GIB
    """Largest recording, bytes; default 20 GiB: 12 hours of video at 4 Mbit/s; ``root_volume_gib`` must hold it."""
    max_duration_s: int = 43200
    """Longest recording, seconds; default 43200 (12 hours): a day in court; what is longer was more often forgotten to
    be stopped."""

    callback_url: str = ""
    """Webhook address of jobs that name none; empty (default): such jobs send no webhook. No query (nothing after
    "?"), as functions carry it in their environment for all to see: webhooks are signed. At most 1000 letters."""
    allowed_callback_hosts: tuple[str, ...] = ()
    """Hosts that an upload's own metadata may name as webhook address, each whole and in lower case, no wildcard;
    default none: whoever may upload could else have transcripts announced anywhere."""

    job_ttl_days: int = 90
    """Days a job's row is kept; default 90, as long as its transcript. At least two more than ``uploads_expire_days``:
    a recording that outlived its row would be taken for a new one and transcribed again."""
    uploads_expire_days: int = 30
    """Days recordings are kept in the bucket; default 30: time to ask for another format or language. A deleted or
    replaced recording stays as old version as long again, because a job may still wait for it."""
    results_expire_days: int = 90
    """Days transcripts are kept in the bucket, and 7 more as old version; default 90: a quarter to fetch them."""
    work_expire_days: int = 3
    """Days checkpoints are kept in the bucket, and 1 more as old version; default 3: no attempt resumes from older.
    No setting changes these: parts of an unfinished upload stay 2 days, old versions of results 7, of checkpoints 1
    (infra/storage.py), messages 14 at most (infra/limits.py), restorable states of the table 35 (AWS' own)."""
    log_retention_days: int = 30
    """Days logs are kept, one of the periods CloudWatch knows; default 30: a fault is looked into within a month."""
    alarm_topic_arn: str = ""
    """SNS topic that is told of alarms; empty (default): the stack makes one of its own."""
    alarm_email: str = ""
    """Address that the stack's own topic writes to; empty (default): subscribe something yourself, since nobody else
    knows who is on duty."""
    oldest_wait_alarm_s: int = 1800
    """Seconds a job may wait for an instance before the alarm; default 1800: long after a slow start, well before
    ``no_capacity_after_s`` ends the job."""
    dashboard: bool = True
    """Make a CloudWatch dashboard; default true: an account's first three are free, each further one 3 USD a month."""
    monthly_budget_usd: float = 0.0
    """US dollars a month at which the stack ``<name>-account`` makes AWS Budgets tell ``alarm_email`` or
    ``alarm_topic_arn``; 0 (default): no budget and no such stack, as ours would count what the whole account spends."""
    retain_data: bool = True
    """Keep bucket and table when the stack is destroyed (never with ``local``); default true: what is gone is gone."""

    @property
    def keeps_data(self) -> bool:
        """Whether bucket and table outlive the stack."""
        return self.retain_data and not self.local

    @classmethod
    def from_context(cls, context: Mapping[str, object]) -> Config:
        """The configuration that this context describes.

        Raises :class:`ConfigurationError` with a sentence that names the setting and says what it should be.
        """
        settings = {key: value for key, value in context.items() if _is_setting(key)}
        kinds = get_type_hints(cls)
        _refuse_unknown(settings, kinds)
        values: dict[str, Any] = {key: _READERS[kinds[key]](key, value) for key, value in settings.items()}
        defaults = {field.name: field.default for field in fields(cls)}
        region = values.get("region", defaults["region"])
        values.setdefault("availability_zones", tuple(f"{region}{letter}" for letter in "abc"))
        values.setdefault("ami_parameter", f"/avskrift/{values.get('name', defaults['name'])}/ami")
        config = cls(**values)
        check(config)
        return config


#: As people write numbers; Python's own reader takes every script's digits and underscores too.
_DECIMAL = re.compile(r"\s*[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?\s*", re.IGNORECASE | re.ASCII)


def _is_setting(key: str) -> bool:
    """Context also carries the CDK's own keys: feature flags (``@aws-cdk/…``) and ``aws:cdk:…``."""
    return not any(mark in key for mark in "@:/")


def _refuse_unknown(settings: Mapping[str, object], known: Mapping[str, object]) -> None:
    for key in settings:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            hint = f' Did you mean "{near[0]}"?' if near else " infra/config.py lists those that exist."
            raise ConfigurationError(f'There is no setting "{key}".{hint}')


def _text(key: str, value: object) -> str:
    if isinstance(value, str):
        return value.strip()
    raise ConfigurationError(f'The setting "{key}" must be text, not {value!r}.')


def _whole_number(key: str, value: object) -> int:
    number = _number(key, value)
    if number.is_integer():
        return int(number)
    raise ConfigurationError(f'The setting "{key}" must be a whole number, not {value!r}.')


def _number(key: str, value: object) -> float:
    try:
        number = float(str(value)) if _DECIMAL.fullmatch(str(value)) else math.nan
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return number
    raise ConfigurationError(f'The setting "{key}" must be a number, not {value!r}.')


def _switch(key: str, value: object) -> bool:
    words = {"true": True, "false": False}
    word = str(value).lower()
    if word in words:
        return words[word]
    raise ConfigurationError(f'The setting "{key}" must be true or false, not {value!r}.')


def _names(key: str, value: object) -> tuple[str, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    if isinstance(parts, list | tuple) and all(isinstance(part, str) for part in parts):
        return tuple(part.strip() for part in parts if part.strip())
    raise ConfigurationError(f'The setting "{key}" must be a list of names or text with commas, not {value!r}.')


#: How a setting of each type is read; values given with ``-c`` always arrive as text.
_READERS: Mapping[object, Callable[[str, object], Any]] = {
    str: _text,
    int: _whole_number,
    float: _number,
    bool: _switch,
    tuple[str, ...]: _names,
}
