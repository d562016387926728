"""What a deployment left behind (``scripts/cleanup``): instances that leaked, old images and snapshots, stale work.

Nothing is looked at but what carries the deployment's own marks, and nothing is ended without ``--yes``.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from avskrift.doctor.stack import find_stack
from avskrift.doctor.subject import Settings
from avskrift.errors import ConfigurationError
from avskrift.jobs.instance_prices import INSTANCE_PK
from avskrift.jobs.layout import WORK_PREFIX
from avskrift.jobs.model import TERMINAL, JobStatus
from avskrift.jobs.table import JobTable, job_pk, status_key
from infra.checkout import add_context, config_of
from infra.images import old_images, orphaned_snapshots
from infra.leftovers import live_instances
from infra.operator import Target, reach_account, run, say

if TYPE_CHECKING:
    from mypy_boto3_ec2.type_defs import InstanceTypeDef

HELP = """\
Lists what the deployment of cdk.json or -c name=... left behind, and ends it with --yes:

  instances    with its tag or launch template that live longer than they may, that it knows nothing of, or whose
               deployment is gone
  images       with its tag, but for the three newest and those that an SSM parameter or a launch template names, that
               an instance runs or that are shared, with their snapshots
  snapshots    with its tag that no image has for a day, unless they are shared
  work         checkpoints of jobs that have ended or were deleted, an hour after they were written

Nothing without these marks is ever touched.

examples:
  scripts/cleanup
  scripts/cleanup -c name=press --yes
"""
#: Beyond its own maximum an instance has ended by itself, by capacity and by its timer, unless all of them failed.
OVERDUE_S = 1800
#: An instance is known to the table a moment after its launch; younger ones are left alone.
UNKNOWN_AFTER_S = 900
#: Outputs of the stack that say whose an instance and a checkpoint are.
NEEDED_OUTPUTS = ("BucketName", "TableName", "LaunchTemplateId", "CapacityFunction")
#: A job that ended has no use for its checkpoints, but the agent may still be removing them.
STALE_WORK_S = 3600


@dataclass(frozen=True)
class Leftover:
    """One thing that can go."""

    kind: str
    name: str
    why: str
    end: Callable[[], object]


def main(arguments: Sequence[str] | None = None) -> None:
    """Entry point of ``scripts/cleanup``."""
    parser = argparse.ArgumentParser(
        prog="scripts/cleanup", description=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_context(parser)
    parser.add_argument("-y", "--yes", action="store_true", help="end what is listed")
    options = parser.parse_args(arguments)
    context = dict(options.context)
    run(lambda: cleanup(reach_account(config_of(context), context), options.yes, time.time()))


def cleanup(target: Target, sure: bool, now: float) -> None:
    """List what is left behind; with ``sure`` end it. One that can't be ended keeps no other from it."""
    outputs = known_outputs(target)
    if outputs is None:
        say("Its instances and its work are left alone, whatever they are; images and snapshots are looked at.")
    found = list(leftovers(target, outputs, now))
    for one in found:
        say(f"{one.kind:9} {one.name:40} {one.why}")
    if not found:
        what = "nothing" if outputs is not None else "no image and no snapshot"
        say(f"{target.config.name} left {what} behind in {target.config.region}.")
    elif not sure:
        again = Settings.of(target.config).script("cleanup")
        say(f"Nothing was changed: {again} --yes ends these {len(found)}.")
    else:
        failed = [one for one in found if not _ended(one)]
        say(f"Ended {len(found) - len(failed)}.")
        if failed:
            raise ConfigurationError(f"{len(failed)} could not be ended, for the reasons above.")


def known_outputs(target: Target) -> Mapping[str, str] | None:
    """Outputs of the stack, empty when there is no stack; None, said why, where a stack can't tell what is its own.

    That is one that is being made or removed, which may have instances at work, and one that is somebody else's.
    """
    name = target.config.name
    status, outputs = find_stack(target.session, name)
    missing = [output for output in NEEDED_OUTPUTS if output not in outputs]
    if not status:
        return {}
    if status.startswith("DELETE_") or not outputs:
        say(f"The stack {name} is in state {status}.")
        return None
    if missing:
        say(f'The stack {name} has no output "{missing[0]}": it is somebody else\'s, or of another version.')
        return None
    return outputs


def leftovers(target: Target, outputs: Mapping[str, str] | None, now: float) -> Iterator[Leftover]:
    """Everything that can go, by what :func:`known_outputs` says: without a stack its bucket and table are unknown."""
    ec2, name = target.session.client("ec2"), target.config.name
    for instance, why in leaked_instances(target, outputs, now) if outputs is not None else ():
        instance_id = instance["InstanceId"]
        end = _call(ec2.terminate_instances, InstanceIds=[instance_id])
        yield Leftover("instance", instance_id, why, end)
    for image in old_images(target.session, name, target.config.ami_parameter):
        yield Leftover("image", image.image_id, f"made {image.made}, {image.name}", image.remove)
    for snapshot_id, why in orphaned_snapshots(target.session, name, now):
        yield Leftover("snapshot", snapshot_id, why, _call(ec2.delete_snapshot, SnapshotId=snapshot_id))
    if outputs:
        yield from stale_work(target, outputs, now)


def leaked_instances(target: Target, outputs: Mapping[str, str], now: float) -> Iterator[tuple[InstanceTypeDef, str]]:
    """Instances that nobody will end, and why."""
    running = live_instances(target.session.client("ec2"), target.config.name, outputs.get("LaunchTemplateId", ""))
    if not running:
        return
    limit_s = _max_life_s(target, outputs) + OVERDUE_S
    known = _known_instances(target, outputs) if outputs else lambda _: False
    for instance in running:
        age_s = now - instance["LaunchTime"].timestamp()
        said = f"{instance['InstanceType']}, {age_s / 3600:.1f} h old:"
        if not outputs:
            yield instance, f"{said} its deployment is gone"
        elif age_s > limit_s:
            yield instance, f"{said} older than an instance may be"
        elif age_s > UNKNOWN_AFTER_S and not known(instance["InstanceId"]):
            yield instance, f"{said} the deployment knows nothing of it"


def _known_instances(target: Target, outputs: Mapping[str, str]) -> Callable[[str], bool]:
    """Whether capacity noted its launch, or a running job is its."""
    table = JobTable(target.session.client("dynamodb"), outputs["TableName"])
    busy = {row.get("instance_id") for row in table.indexed(status_key(JobStatus.RUNNING))}
    return lambda instance_id: instance_id in busy or table.get_values(f"{INSTANCE_PK}{instance_id}") is not None


def _max_life_s(target: Target, outputs: Mapping[str, str]) -> float:
    """What the deployed functions were told; the checkout may say something else by now."""
    if not outputs:
        return target.config.max_life_s
    told = target.session.client("lambda").get_function_configuration(FunctionName=outputs["CapacityFunction"])
    return float(told["Environment"]["Variables"]["AVSKRIFT_MAX_LIFE_S"])


def stale_work(target: Target, outputs: Mapping[str, str], now: float) -> Iterator[Leftover]:
    """Versions under ``work/`` whose job no longer needs them."""
    s3, bucket = target.session.client("s3"), outputs["BucketName"]
    table = JobTable(target.session.client("dynamodb"), outputs["TableName"])
    needed: dict[str, bool] = {}
    for page in s3.get_paginator("list_object_versions").paginate(Bucket=bucket, Prefix=WORK_PREFIX):
        for version in page.get("Versions", []):
            key, version_id = version["Key"], version["VersionId"]
            job_id = key.removeprefix(WORK_PREFIX).partition("/")[0]
            if now - version["LastModified"].timestamp() < STALE_WORK_S:
                continue
            if job_id not in needed:
                needed[job_id] = _is_served(table, job_id)
            if not needed[job_id]:
                end = _call(s3.delete_object, Bucket=bucket, Key=key, VersionId=version_id)
                yield Leftover("work", key, f"{version['Size']:,} bytes, its job has ended", end)


def _is_served(table: JobTable, job_id: str) -> bool:
    """Whether the job may still want its checkpoint; a row that can't be read is ended by capacity first."""
    row = table.get_values(job_pk(job_id))
    return row is not None and row.get("status") not in TERMINAL


def _call(operation: Callable[..., object], **arguments: object) -> Callable[[], object]:
    return lambda: operation(**arguments)


def _ended(one: Leftover) -> bool:
    try:
        one.end()
    except ClientError as error:
        say(f"{one.kind} {one.name}: {error.response['Error'].get('Message', error)}")
        return False
    return True


if __name__ == "__main__":
    main()
