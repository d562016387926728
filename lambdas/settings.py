"""The settings of the code that the functions call, made of their environment."""

from __future__ import annotations

from avskrift.formats import FORMATS
from avskrift.formats.presets import PRESETS
from avskrift.jobs.capacity import CapacitySettings
from avskrift.jobs.fleet import LaunchSettings
from avskrift.jobs.fleet_model import FleetSettings
from avskrift.jobs.options import OptionRules
from avskrift.jobs.register import RegisterSettings
from lambdas.environment import Environment


def register_settings(env: Environment) -> RegisterSettings:
    rules = OptionRules(
        formats=tuple(FORMATS),
        presets=tuple(PRESETS),
        needs={name: each.refers_to for name, each in FORMATS.items() if each.refers_to},
        heeds={
            option: tuple(name for name, each in FORMATS.items() if option in each.heeds)
            for option in ("preset", "highlight_words")
        },
        default_language=env.optional("DEFAULT_LANGUAGE") or None,
        default_callback_url=env.optional("CALLBACK_URL") or None,
        allowed_callback_hosts=env.names("ALLOWED_CALLBACK_HOSTS"),
        insecure_callbacks=env.insecure_callbacks,
    )
    return RegisterSettings(
        jobs_queue_url=env.text("JOBS_QUEUE_URL"),
        outbox_queue_url=env.text("OUTBOX_QUEUE_URL"),
        rules=rules,
        max_size_bytes=env.integer("MAX_SIZE_BYTES"),
        job_ttl_days=env.integer("JOB_TTL_DAYS"),
        uploads_expire_days=env.integer("UPLOADS_EXPIRE_DAYS"),
    )


def launch_settings(env: Environment) -> LaunchSettings:
    subnet_ids = env.names("SUBNET_IDS")
    return LaunchSettings(
        deployment=env.text("DEPLOYMENT"),
        launch_template_id=env.text("LAUNCH_TEMPLATE_ID"),
        instance_types=env.names("INSTANCE_TYPES"),
        subnet_ids=subnet_ids,
        zones=dict(zip(subnet_ids, env.names("SUBNET_ZONES"), strict=False)),  # for the audit only
    )


def capacity_settings(env: Environment) -> CapacitySettings:
    limits = FleetSettings(
        max_instances=env.integer("MAX_INSTANCES"),
        target_drain_s=env.integer("TARGET_DRAIN_S"),
        lease_s=env.number("LEASE_S"),
        no_capacity_after_s=env.number("NO_CAPACITY_AFTER_S"),
        max_failures=env.integer("MAX_FAILURES"),
        max_usd_per_day=env.number("MAX_USD_PER_DAY"),
        max_life_s=env.number("MAX_LIFE_S"),
        idle_limit_s=env.number("IDLE_LIMIT_S"),
    )
    return CapacitySettings(
        jobs_queue_url=env.text("JOBS_QUEUE_URL"),
        outbox_queue_url=env.text("OUTBOX_QUEUE_URL"),
        image_parameter=env.text("AMI_PARAMETER"),
        limits=limits,
    )
