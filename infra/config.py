"""Every setting of a deployment, read once from the CDK context (``cdk.json``, or ``-c name=value``).

A setting that is unknown, of the wrong kind or contradictory ends synthesis with one sentence.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any, get_type_hints
from urllib.parse import urlsplit

from avskrift.errors import ConfigurationError
from avskrift.jobs.growth import SLOW_START_S

GIB = 1024**3
#: What CloudWatch Logs accepts as retention, in days, up to two years.
LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)
#: Root volume that the operating system, the driver and the model take before the first recording arrives.
SYSTEM_DISK_GIB = 16
#: The longest visibility timeout SQS accepts.
MAX_VISIBILITY_S = 12 * 3600
#: The image's own timer (instance/systemd/avskrift-max-life.timer) ends every machine half an hour later.
MAX_LIFE_LIMIT_S = 6 * 3600


@dataclass(frozen=True, kw_only=True)
class Config:
    """One deployment. Each field is a context key of the same name."""

    name: str = "avskrift"
    """Name of the deployment: of its stack, its tags, its log groups and its AMI parameter."""
    region: str = "eu-north-1"
    """AWS region."""
    account: str = ""
    """AWS account that alone may be deployed to; empty: that of the credentials at hand."""
    local: bool = False
    """The cloud on one machine: callbacks to loopback are allowed and nothing outlives the stack; default false."""

    bucket_name: str = ""
    """Name of the bucket, which no other account may have; empty (default): CloudFormation makes one up."""
    customer_key: bool = False
    """Encrypt with a KMS key of the deployment's own, 1 USD a month, instead of AWS' service-managed keys; default
    false: for those whose rules ask for a key they can revoke."""

    availability_zones: tuple[str, ...]
    """Zones with a subnet, and so the zones where capacity is looked for; default: the region's a, b and c."""
    instance_types: tuple[str, ...] = ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")
    """GPU instance types that the fleet may take; which of them is decided by price and capacity."""
    ami_parameter: str
    """SSM parameter with the AMI's id or ``none``, never created by the stack; default ``/avskrift/<name>/ami``."""
    root_volume_gib: int = 50
    """Root volume of an instance, GiB; system, model and the recording at work share it. Default 50."""
    max_instances: int = 5
    """Instances at one time, at most; default 5."""
    target_drain_s: int = 600
    """Seconds in which the queue should be worked off: decides how many instances are wanted. Default 600."""
    max_usd_per_day: float = 50.0
    """US dollars of instance time a day after which nothing more is launched; default 50."""
    no_capacity_after_s: int = 7200
    """Seconds a job waits for an instance before it fails as ``no_capacity``; default 7200 (2 hours)."""

    linger_s: int = 120
    """Seconds an idle instance waits for another job before it powers off; default 120."""
    idle_limit_s: int = 1200
    """Seconds after which an instance that owned no job is terminated from outside; default 1200 (20 minutes)."""
    lease_s: int = 90
    """Seconds without a heartbeat after which a job counts as lost; default 90."""
    heartbeat_s: int = 15
    """Seconds between heartbeats of a running job; default 15."""
    max_life_s: int = 21600
    """Seconds after which an instance ends whatever it does; default, and at most, 21600 (6 hours)."""
    max_failures: int = 3
    """Failed attempts (interruptions don't count) after which a job fails as ``attempts_exhausted``; default 3."""

    model: str = "kb-whisper-small"
    """Model of jobs that name none; default ``kb-whisper-small``."""
    device: str = "auto"
    """Where the model runs: ``auto`` (GPU where there is one), ``cpu`` or ``cuda``; default ``auto``."""
    default_language: str = ""
    """Language code of jobs that name none, for example ``sv``; empty (default): detect it."""
    max_size_bytes: int = 20 * GIB
    """Largest recording, bytes; default 20 GiB."""
    max_duration_s: int = 43200
    """Longest recording, seconds; default 43200 (12 hours)."""

    callback_url: str = ""
    """Webhook address of jobs that name none; empty (default): such jobs send no webhook."""
    allowed_callback_hosts: tuple[str, ...] = ()
    """Hosts that an upload's own metadata may name as webhook address; default none."""

    job_ttl_days: int = 90
    """Days a job's row is kept; default 90."""
    uploads_expire_days: int = 30
    """Days recordings are kept in the bucket; default 30."""
    results_expire_days: int = 90
    """Days transcripts are kept in the bucket; default 90."""
    work_expire_days: int = 3
    """Days checkpoints are kept in the bucket; default 3."""
    log_retention_days: int = 30
    """Days logs are kept, one of the periods CloudWatch knows; default 30."""
    alarm_topic_arn: str = ""
    """SNS topic that is told of alarms; empty (default): the stack makes one of its own."""
    alarm_email: str = ""
    """Address that the stack's own topic writes to; empty (default): subscribe something yourself."""
    oldest_wait_alarm_s: int = 1800
    """Seconds a job may wait for an instance before the alarm; default 1800, well before ``no_capacity_after_s``."""
    dashboard: bool = True
    """Make a CloudWatch dashboard: an account's first three are free, each further one 3 USD a month; default true."""
    monthly_budget_usd: float = 0.0
    """US dollars a month at which the stack ``<name>-account`` makes AWS Budgets write to ``alarm_email``; 0 (default):
    no budget and no such stack."""
    retain_data: bool = True
    """Keep bucket and table when the stack is destroyed (never with ``local``); default true."""

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
        _check(config)
        return config


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
        number = math.nan if isinstance(value, bool) else float(str(value))
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

#: Settings that mean nothing below 1.
_AT_LEAST_ONE = (
    "max_instances",
    "target_drain_s",
    "no_capacity_after_s",
    "lease_s",
    "heartbeat_s",
    "max_failures",
    "max_size_bytes",
    "max_duration_s",
    "job_ttl_days",
    "uploads_expire_days",
    "results_expire_days",
    "work_expire_days",
    "oldest_wait_alarm_s",
)

#: Settings whose text has a form, and that form in words.
_FORMS: Mapping[str, tuple[str, str]] = {
    "name": (r"[a-z][a-z0-9-]{0,30}", "up to 31 lower-case letters, digits and hyphens, a letter first"),
    "region": (r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region such as eu-north-1"),
    "account": (r"(\d{12})?", "an account number of 12 digits, or empty"),
    "ami_parameter": (r"(/[A-Za-z0-9_.-]+)+", "the path of an SSM parameter such as /avskrift/avskrift/ami"),
    "model": (r"[A-Za-z0-9][\w./-]*", "the name of a model such as kb-whisper-small"),
    "device": (r"auto|cpu|cuda", "auto, cpu or cuda"),
    "bucket_name": (r"([a-z0-9][a-z0-9-]{1,61}[a-z0-9])?", "3 to 63 lower-case letters, digits and hyphens, or empty"),
    "alarm_email": (r"([^@\s]+@[^@\s]+\.[^@\s]+)?", "an e-mail address, or empty"),
    "alarm_topic_arn": (r"(arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+)?", "the ARN of an SNS topic, or empty"),
    "default_language": (r"([a-z]{2,3})?", "a language code such as sv, or empty to detect the language"),
}


def _check(config: Config) -> None:
    """Raise for the first thing that cannot be right."""
    for key, (pattern, form) in _FORMS.items():
        if not re.fullmatch(pattern, getattr(config, key)):
            raise ConfigurationError(f'The setting "{key}" must be {form}, not "{getattr(config, key)}".')
    for key in _AT_LEAST_ONE:
        if getattr(config, key) < 1:
            raise ConfigurationError(f'The setting "{key}" must be at least 1, not {getattr(config, key)}.')
    for wrong, sentence in (
        *_fleet_faults(config),
        *_alarm_faults(config),
        *_time_faults(config),
        *_data_faults(config),
    ):
        if wrong:
            raise ConfigurationError(sentence)


def _fleet_faults(config: Config) -> list[tuple[bool, str]]:
    strange_types = [name for name in config.instance_types if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", name)]
    foreign_zones = [zone for zone in config.availability_zones if not zone.startswith(config.region)]
    needed_gib = SYSTEM_DISK_GIB + math.ceil(config.max_size_bytes / GIB)
    return [
        (not config.instance_types, 'The setting "instance_types" must name at least one instance type.'),
        (bool(strange_types), f'The setting "instance_types" has entries that are none: {", ".join(strange_types)}.'),
        (not config.availability_zones, 'The setting "availability_zones" must name at least one zone.'),
        (
            bool(foreign_zones),
            f'The setting "availability_zones" has zones outside {config.region}: {", ".join(foreign_zones)}.',
        ),
        (
            config.root_volume_gib < needed_gib,
            f'The setting "root_volume_gib" must be at least {needed_gib} so that "max_size_bytes" fits.',
        ),
        (config.max_usd_per_day <= 0, 'The setting "max_usd_per_day" must be more than 0.'),
    ]


def _alarm_faults(config: Config) -> list[tuple[bool, str]]:
    return [
        (
            bool(config.alarm_topic_arn and config.alarm_email),
            'The settings "alarm_topic_arn" and "alarm_email" exclude each other: subscribe the address to your topic.',
        ),
        (
            config.monthly_budget_usd > 0 and not config.alarm_email,
            'The setting "monthly_budget_usd" needs "alarm_email": the address that AWS Budgets writes to.',
        ),
        (config.monthly_budget_usd < 0, 'The setting "monthly_budget_usd" must be 0 or more.'),
    ]


def _time_faults(config: Config) -> list[tuple[bool, str]]:
    return [
        (config.linger_s < 0, f'The setting "linger_s" must be 0 or more, not {config.linger_s}.'),
        (
            config.lease_s < 3 * config.heartbeat_s,
            f'The setting "lease_s" must be at least three heartbeats ({3 * config.heartbeat_s}), '
            "or one late heartbeat costs a job its attempt.",
        ),
        (
            config.lease_s > MAX_VISIBILITY_S,
            f'The setting "lease_s" must be at most {MAX_VISIBILITY_S}, as SQS allows.',
        ),
        (
            config.idle_limit_s <= config.linger_s + SLOW_START_S,
            f'The setting "idle_limit_s" must be more than {config.linger_s + SLOW_START_S} ("linger_s" and '
            f"{SLOW_START_S} s for a slow start), or instances end that were about to work.",
        ),
        (
            config.max_life_s <= config.lease_s + config.linger_s,
            'The setting "max_life_s" must be longer than "lease_s" and "linger_s" together.',
        ),
        (
            config.max_life_s > MAX_LIFE_LIMIT_S,
            f'The setting "max_life_s" must be at most {MAX_LIFE_LIMIT_S}: '
            "half an hour later the image's own timer ends the machine, whatever it does.",
        ),
    ]


def _data_faults(config: Config) -> list[tuple[bool, str]]:
    topic_region = (config.alarm_topic_arn.split(":") + [""] * 4)[3]
    address = urlsplit(config.callback_url)
    allowed_schemes = ("https", "http") if config.local else ("https",)
    periods = ", ".join(map(str, LOG_RETENTION_DAYS))
    return [
        (
            config.callback_url != "" and (address.scheme not in allowed_schemes or not address.hostname),
            f'The setting "callback_url" must be an address that starts with {" or ".join(allowed_schemes)}://, '
            f'not "{config.callback_url}".',
        ),
        (
            any("/" in host or ":" in host for host in config.allowed_callback_hosts),
            'The setting "allowed_callback_hosts" takes bare host names, without scheme, port or path.',
        ),
        (
            topic_region not in ("", config.region),
            f'The setting "alarm_topic_arn" must name a topic in {config.region}: alarms reach no other region.',
        ),
        (
            config.log_retention_days not in LOG_RETENTION_DAYS,
            f'The setting "log_retention_days" must be one of {periods}.',
        ),
    ]
