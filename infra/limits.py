"""What the settings of a deployment may be: AWS' limits and our own, each refused with one sentence."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from avskrift.errors import ConfigurationError
from avskrift.jobs.growth import SLOW_START_S
from infra.callbacks import can_match, fault_of_url

if TYPE_CHECKING:
    from infra.config import Config

GIB = 1024**3
#: What CloudWatch Logs accepts as retention, in days, up to two years.
LOG_RETENTION_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731)
#: Root volume that the operating system, the driver and the model take before the first recording arrives.
SYSTEM_DISK_GIB = 16
#: The longest visibility timeout SQS accepts.
MAX_VISIBILITY_S = 12 * 3600
#: The image's own timer (instance/systemd/avskrift-max-life.timer) ends every machine half an hour later.
MAX_LIFE_LIMIT_S = 6 * 3600
#: SQS keeps a message so long; the queues are made with it (infra/queues.py).
MESSAGE_RETENTION_S = 14 * 86400
#: More than the 691 that a million recordings a day took (docs/scaling.md).
MAX_INSTANCES_LIMIT = 1000
#: A gp3 volume, in GiB, in every region and zone.
MAX_VOLUME_GIB = 16 * 1024
#: Failed attempts take receives of the job's message, and so do interruptions; the queue gives up after 50 in all.
MAX_FAILURES_LIMIT = 10
#: A hundred years: lifecycle rules would take more, calendars do not.
MAX_DAYS = 36_500
#: Days a row outlives its recording: reconcile looks for uploads without a row up to a day after they came.
ROW_OUTLIVES_UPLOAD_DAYS = 2
#: Overrides of one CreateFleet request: each type in each zone is one.
MAX_LAUNCH_CHOICES = 300
#: A /20 for each zone in a /16.
MAX_ZONES = 16
#: A function's environment holds 4 KB in all (infra/environment.py): letters of each of these two.
MAX_CALLBACK_URL_LENGTH = 1000
MAX_CALLBACK_HOSTS_LENGTH = 2000
#: Without the ARN before it, which counts towards SSM's 1,011 letters; and how deep SSM's folders are.
MAX_PARAMETER_LENGTH, MAX_PARAMETER_LEVELS = 900, 15
#: A letter's address may be no longer (RFC 5321 with its erratum 1690).
MAX_EMAIL_LENGTH = 254
#: Far beyond a thousand of the dearest instances for a few hours: a slip of the hand, or no limit at all.
MAX_USD_PER_DAY = 1_000_000
MAX_DURATION_S = 7 * 86400
#: Names of buckets that S3 keeps for itself.
RESERVED_BUCKET_NAMES = r"(xn--|sthree-|amzn-s3-demo-).*|.*(-s3alias|--ol-s3|--x-s3|--table-s3)"

#: Of the name of the stack beside a deployment's own, and where it is: all that belongs to AWS' billing is known there.
ACCOUNT_STACK_SUFFIX = "-account"
BILLING_REGION = "us-east-1"
#: That stack's tag that says which of several deployments of one name, each in its own region, it belongs to.
REGION_TAG = "avskrift:region"

Faults = Iterable[tuple[bool, str]]

#: Bounds of settings that have them, both included, and the reason for the upper one.
_BOUNDS: Mapping[str, tuple[float, float, str]] = {
    "max_instances": (1, MAX_INSTANCES_LIMIT, "more than a million recordings a day need"),
    "root_volume_gib": (1, MAX_VOLUME_GIB, "the largest volume of its kind"),
    "target_drain_s": (1, MESSAGE_RETENTION_S, "as long as SQS keeps a message"),
    "no_capacity_after_s": (1, MESSAGE_RETENTION_S, "as long as SQS keeps a message"),
    "lease_s": (1, MAX_VISIBILITY_S, "as SQS allows"),
    "heartbeat_s": (1, math.inf, ""),
    "linger_s": (0, math.inf, ""),
    "max_life_s": (1, MAX_LIFE_LIMIT_S, "half an hour later the image's own timer ends the machine, whatever it does"),
    "max_failures": (1, MAX_FAILURES_LIMIT, "or the queue gives up on a job before the table does"),
    "max_size_bytes": (1, math.inf, ""),
    "max_duration_s": (1, MAX_DURATION_S, "a week"),
    "job_ttl_days": (1, MAX_DAYS, "a hundred years"),
    "uploads_expire_days": (1, MAX_DAYS, "a hundred years"),
    "results_expire_days": (1, MAX_DAYS, "a hundred years"),
    "work_expire_days": (1, MAX_DAYS, "a hundred years"),
    "oldest_wait_alarm_s": (1, math.inf, ""),
    "max_usd_per_day": (0, MAX_USD_PER_DAY, "more than a thousand instances cost"),
    "monthly_budget_usd": (0, 31 * MAX_USD_PER_DAY, 'a month of the highest "max_usd_per_day"'),
}

#: Settings whose text has a form, and that form in words.
_FORMS: Mapping[str, tuple[str, str]] = {
    "name": (r"[a-z][a-z0-9-]{0,30}", "up to 31 lower-case letters, digits and hyphens, a letter first"),
    "region": (r"[a-z]{2}(-[a-z]+)+-\d", "an AWS region such as eu-north-1"),
    "account": (r"(\d{12})?", "an account number of 12 digits, or empty"),
    "ami_parameter": (
        rf"(?=.{{0,{MAX_PARAMETER_LENGTH}}}$)(/[A-Za-z0-9_.-]+){{1,{MAX_PARAMETER_LEVELS}}}",
        f"the path of an SSM parameter such as /avskrift/avskrift/ami, of at most {MAX_PARAMETER_LEVELS} parts and "
        f"{MAX_PARAMETER_LENGTH} letters",
    ),
    "model": (r"[A-Za-z0-9][\w./-]{0,199}", "the name of a model such as kb-whisper-small"),
    "device": (r"auto|cpu|cuda", "auto, cpu or cuda"),
    "bucket_name": (r"([a-z0-9][a-z0-9-]{1,61}[a-z0-9])?", "3 to 63 lower-case letters, digits and hyphens, or empty"),
    "alarm_email": (
        rf"((?=.{{0,{MAX_EMAIL_LENGTH}}}$)[!-?A-~]+@[!-?A-~]+\.[!-?A-~]+)?",
        f"an e-mail address of at most {MAX_EMAIL_LENGTH} ASCII letters, or empty",
    ),
    "alarm_topic_arn": (r"(arn:aws[a-z-]*:sns:[a-z0-9-]+:\d{12}:[\w-]{1,256})?", "the ARN of an SNS topic, or empty"),
    "default_language": (r"([a-z]{2,3})?", "a language code such as sv, or empty to detect the language"),
}


def check(config: Config) -> None:
    """Raise :class:`ConfigurationError` for the first thing that cannot be right."""
    for wrong, sentence in (
        *_form_faults(config),
        *_bound_faults(config),
        *_name_faults(config),
        *_fleet_faults(config),
        *_zone_faults(config),
        *_time_faults(config),
        *_callback_faults(config),
        *_data_faults(config),
        *_alarm_faults(config),
    ):
        if wrong:
            raise ConfigurationError(
                "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in sentence)
            )


def _form_faults(config: Config) -> Faults:
    for key, (pattern, form) in _FORMS.items():
        value = getattr(config, key)
        yield not re.fullmatch(pattern, value, re.ASCII), f'The setting "{key}" must be {form}, not "{value}".'

    yield (
        config.region not in regions(),
        f'The setting "region" must be a region that the AWS SDK knows, and it knows no "{config.region}".',
    )


@cache
def regions() -> Mapping[str, str]:
    """Every region with EC2, as the AWS SDK's own list has it, and its partition."""
    import boto3

    session = boto3.Session(region_name=BILLING_REGION)
    return {
        region: partition
        for partition in session.get_available_partitions()
        for region in session.get_available_regions("ec2", partition)
    }


def _bound_faults(config: Config) -> Faults:
    for key, (least, most, reason) in _BOUNDS.items():
        value = getattr(config, key)
        yield value < least, f'The setting "{key}" must be at least {least}, not {value}.'
        yield value > most, f'The setting "{key}" must be at most {most} ({reason}), not {value}.'


def _name_faults(config: Config) -> Faults:
    yield (
        config.name.endswith(ACCOUNT_STACK_SUFFIX),
        f'The setting "name" must not end in "{ACCOUNT_STACK_SUFFIX}": the stack beside a deployment is called so.',
    )
    yield (
        bool(re.match(r"/(aws|ssm)", config.ami_parameter, re.IGNORECASE)),
        'The setting "ami_parameter" must not begin with "/aws" or "/ssm": AWS keeps such names for itself.',
    )
    yield (
        bool(re.fullmatch(RESERVED_BUCKET_NAMES, config.bucket_name)),
        f'The setting "bucket_name" must not be "{config.bucket_name}": S3 keeps such names for itself.',
    )


def _fleet_faults(config: Config) -> Faults:
    types, zones = config.instance_types, config.availability_zones
    strange = [name for name in types if not re.fullmatch(r"[a-z0-9-]+\.[a-z0-9-]+", name)]
    needed_gib = SYSTEM_DISK_GIB + math.ceil(config.max_size_bytes / GIB)
    yield not types, 'The setting "instance_types" must name at least one instance type.'
    yield bool(strange), f'The setting "instance_types" has entries that are none: {", ".join(strange)}.'
    yield _has_twins(types), 'The setting "instance_types" names an instance type twice.'
    yield (
        len(types) * len(zones) > MAX_LAUNCH_CHOICES,
        f'The settings "instance_types" and "availability_zones" make {len(types) * len(zones)} choices together; '
        f"EC2 takes {MAX_LAUNCH_CHOICES} in one request.",
    )
    yield (
        config.root_volume_gib < needed_gib,
        f'The setting "root_volume_gib" must be at least {needed_gib} so that "max_size_bytes" fits.',
    )
    yield config.max_usd_per_day <= 0, 'The setting "max_usd_per_day" must be more than 0.'


def _zone_faults(config: Config) -> Faults:
    zones = config.availability_zones
    foreign = [zone for zone in zones if not re.fullmatch(rf"{config.region}[a-z]", zone)]
    yield not zones, 'The setting "availability_zones" must name at least one zone.'
    yield (
        bool(foreign),
        f'The setting "availability_zones" has entries that are no zones of {config.region}: {", ".join(foreign)}.',
    )
    yield _has_twins(zones), 'The setting "availability_zones" names a zone twice.'
    yield len(zones) > MAX_ZONES, f'The setting "availability_zones" must name at most {MAX_ZONES} zones.'


def _time_faults(config: Config) -> Faults:
    least_idle_s = config.linger_s + SLOW_START_S
    least_life_s = config.lease_s + config.linger_s + SLOW_START_S
    yield (
        config.lease_s < 3 * config.heartbeat_s,
        f'The setting "lease_s" must be at least three heartbeats ({3 * config.heartbeat_s}), '
        "or one late heartbeat costs a job its attempt.",
    )
    yield (
        config.idle_limit_s <= least_idle_s,
        f'The setting "idle_limit_s" must be more than {least_idle_s} ("linger_s" and {SLOW_START_S} s for a slow '
        "start), or instances end that were about to work.",
    )
    yield (
        config.max_life_s <= least_life_s,
        f'The setting "max_life_s" must be more than {least_life_s} ({SLOW_START_S} s for a slow start, "lease_s" and '
        '"linger_s"), or instances end before they have worked.',
    )
    yield (
        config.no_capacity_after_s > config.uploads_expire_days * 86_400,
        f'The setting "no_capacity_after_s" must be at most "uploads_expire_days" ({config.uploads_expire_days} days), '
        "or recordings are gone while their jobs still wait.",
    )
    yield (
        config.oldest_wait_alarm_s >= config.no_capacity_after_s,
        'The setting "oldest_wait_alarm_s" must be less than "no_capacity_after_s" '
        f"({config.no_capacity_after_s}), or jobs fail before anybody is told that they wait.",
    )


def _callback_faults(config: Config) -> Faults:
    scheme, host, authority = _parts(config.callback_url)
    schemes = ("https", "http") if config.local else ("https",)
    yield (
        config.callback_url != "" and (scheme not in schemes or not host),
        f'The setting "callback_url" must be an address that starts with {" or ".join(schemes)}://, '
        f'not "{config.callback_url}".',
    )
    yield (
        "@" in authority,
        'The setting "callback_url" must carry no user and password: functions have it in their environment, and '
        "webhooks are signed.",
    )
    yield (
        bool(set("?#") & set(config.callback_url)),
        'The setting "callback_url" must have no query and no fragment (nothing after "?" or "#"): template and '
        "functions' environments show it, and webhooks are signed, so that no token is needed.",
    )
    yield (
        len(config.callback_url) > MAX_CALLBACK_URL_LENGTH,
        f'The setting "callback_url" is longer than {MAX_CALLBACK_URL_LENGTH} letters, more than fits into a '
        "function's environment.",
    )
    fault = fault_of_url(config.callback_url, config.local) if config.callback_url else ""
    yield bool(fault), f'The setting "callback_url" names no address where webhooks can go: {fault}'
    strange = [host for host in config.allowed_callback_hosts if not can_match(host, config.local)]
    yield (
        bool(strange),
        f'The setting "allowed_callback_hosts" has entries that can never match: {", ".join(strange)[:200]}. It takes '
        "whole public host names in lower case, without scheme, port, path or wildcard.",
    )
    yield (
        len(",".join(config.allowed_callback_hosts)) > MAX_CALLBACK_HOSTS_LENGTH,
        f'The setting "allowed_callback_hosts" is longer than {MAX_CALLBACK_HOSTS_LENGTH} letters in all, more than '
        "fits into a function's environment.",
    )


def _data_faults(config: Config) -> Faults:
    least_days = config.uploads_expire_days + ROW_OUTLIVES_UPLOAD_DAYS
    periods = ", ".join(map(str, LOG_RETENTION_DAYS))
    yield (
        config.job_ttl_days < least_days,
        f'The setting "job_ttl_days" must be at least {least_days} ("uploads_expire_days" and '
        f"{ROW_OUTLIVES_UPLOAD_DAYS} more), or a recording outlives its row and is transcribed again.",
    )
    yield (
        config.log_retention_days not in LOG_RETENTION_DAYS,
        f'The setting "log_retention_days" must be one of {periods}.',
    )


def _alarm_faults(config: Config) -> Faults:
    _, partition, _, topic_region, *_ = [*config.alarm_topic_arn.split(":"), *[""] * 4]
    yield (
        topic_region not in ("", config.region),
        f'The setting "alarm_topic_arn" must name a topic in {config.region}: alarms reach no other region.',
    )
    yield (
        partition not in ("", regions().get(config.region)),
        f'The setting "alarm_topic_arn" must begin with "arn:{regions().get(config.region)}:" in {config.region}.',
    )
    yield (
        bool(config.alarm_topic_arn and config.alarm_email),
        'The settings "alarm_topic_arn" and "alarm_email" exclude each other: subscribe the address to your topic.',
    )
    yield (
        config.monthly_budget_usd > 0 and not (config.alarm_email or config.alarm_topic_arn),
        'The setting "monthly_budget_usd" needs "alarm_email" or "alarm_topic_arn": whom AWS Budgets tells.',
    )


def _parts(url: str) -> tuple[str, str, str]:
    """Scheme, host and authority; of what is no URL at all, nothing."""
    try:
        address = urlsplit(url)
        return address.scheme, address.hostname or "", address.netloc
    except ValueError:
        return "", "", ""


def _has_twins(names: Sequence[str]) -> bool:
    return len(set(names)) < len(names)
