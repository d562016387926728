"""The chain's stages, one upload after the other into a local cloud whose fleet sleeps in between."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from avskrift.client import Client, Place
from avskrift.errors import LocalCloudError
from avskrift.jobs.items import from_item
from avskrift.jobs.layout import UPLOADS_PREFIX, job_id_for
from avskrift.jobs.model import Job, JobStatus
from avskrift.local.cloud import Cloud
from avskrift.local.processes import await_condition
from avskrift.local.receiver import Receiver
from bench.report import Narrator, Row

END_TIMEOUT_S = 180.0

Moments = Mapping[str, float]
"""UTC epoch seconds by what happened then."""


@dataclass(frozen=True)
class Stage:
    """From one moment to another."""

    name: str
    begin: str
    end: str


#: "First audio second decoded" is the moment ``transcribed``: the sample fits one chunk, whose text comes all at once.
STAGES = (
    Stage("upload → job registered", "uploaded", "queued"),
    Stage("job registered → instance requested", "queued", "requested"),
    Stage("instance requested → agent start", "requested", "booted"),
    Stage("agent start → first audio second decoded", "booted", "transcribed"),
    Stage("  of it: agent start → job claimed, model loaded", "booted", "claimed"),
    Stage("  of it: job claimed → first audio second decoded", "claimed", "transcribed"),
    Stage("results stored → webhook received", "stored", "received"),
    Stage("upload → webhook received", "uploaded", "received"),
)


def stage_rows(uploads: Sequence[Moments]) -> tuple[Row, ...]:
    """A row per stage with its seconds in each upload."""
    return tuple(
        Row(stage.name, "s", tuple(moments[stage.end] - moments[stage.begin] for moments in uploads))
        for stage in STAGES
    )


@dataclass(frozen=True)
class Uploads:
    """Uploads one recording and looks when what happened to it."""

    cloud: Cloud
    receiver: Receiver
    recording: Path

    def measure(self, count: int, narrator: Narrator) -> list[Moments]:
        """``count`` uploads, each of which finds no instance running."""
        measured = []
        for number in range(1, count + 1):
            self._await_sleep()
            moments = self._measure_one()
            took_s = moments["received"] - moments["uploaded"]
            narrator.say(f"upload {number} of {count}: webhook after {took_s:.1f} s")
            measured.append(moments)
        return measured

    def _measure_one(self) -> Moments:
        bucket = self.cloud.outputs["BucketName"]
        key = f"{UPLOADS_PREFIX}{uuid.uuid4().hex[:12]}/{self.recording.name}"
        body, s3 = self.recording.read_bytes(), self.cloud.client("s3")
        uploaded_at = time.time()
        version_id = s3.put_object(Bucket=bucket, Key=key, Body=body)["VersionId"]
        job_id = job_id_for(bucket, key, version_id)
        reception = self.receiver.wait_for(lambda one: one.job_id == job_id and one.verified, END_TIMEOUT_S)
        job = Client(Place.from_outputs(self.cloud.outputs), self.cloud.session()).job(job_id)
        if job.status is not JobStatus.COMPLETED:
            raise LocalCloudError(f"Job {job_id} ended as {job.status.value}: {job.error and job.error.message}")
        return {
            **job.phases,
            "uploaded": uploaded_at,
            "requested": self._requested_at(job),
            "received": reception.received_at,
        }

    def _requested_at(self, job: Job) -> float:
        """When λ capacity asked EC2 for the instance that took the job: its launch record was written just before."""
        record = next((one for one in self._items() if job.instance_id in _launched(one)), None)
        if record is None:
            raise LocalCloudError(f"No launch record names instance {job.instance_id} of job {job.job_id}.")
        return float(record["created_at"])

    def _items(self) -> Iterator[dict[str, Any]]:
        pages = self.cloud.client("dynamodb").get_paginator("scan").paginate(TableName=self.cloud.outputs["TableName"])
        for page in pages:
            yield from map(from_item, page["Items"])

    def _await_sleep(self) -> None:
        """No instance left, so that the next upload launches one."""

        def all_gone() -> bool:
            return all(one.state == "terminated" for one in self.cloud.instances())

        await_condition(all_gone, END_TIMEOUT_S, "The end of the last instance")


def _launched(record: dict[str, Any]) -> set[str]:
    """The instances that a launch record names; none for rows of other kinds."""
    return {one["instance_id"] for one in record.get("instances", [])}
