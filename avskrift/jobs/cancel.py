"""Cancelling a job: one fenced transaction. A queued job never starts; a running attempt learns it at its next beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from avskrift.errors import AvskriftError
from avskrift.jobs.messages import send_outbox
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import JobTable, StaleAttempt, ended_job

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

_TRIES = 10
"""Of a job that changes hands while it is being cancelled: each try reads it anew."""


class NoSuchJob(AvskriftError):
    """No job with that id in this deployment."""

    code = "no_such_job"


class AlreadyEnded(AvskriftError):
    """The job had ended before it could be cancelled."""

    code = "already_ended"


def cancel_job(table: JobTable, sqs: SQSClient, outbox_queue_url: str, job_id: str, now: float) -> Job:
    """End a job as cancelled, with its webhook; again on a cancelled job changes nothing.

    Raises ``NoSuchJob``, ``AlreadyEnded``, ``MalformedRow``. The job's message needs no care: whoever receives it finds
    nothing to claim. A webhook that could not be asked for is found by λ capacity.
    """
    for _ in range(_TRIES):
        job = table.get(job_id)
        if job is None:
            raise NoSuchJob(f"There is no job {job_id!r} in this deployment. `avskrift jobs list` shows them.")
        if job.status is JobStatus.CANCELLED:
            return job
        if job.is_terminal:
            raise AlreadyEnded(f"Job {job_id} is {job.status.value} already: there is nothing left to cancel.")
        ended = ended_job(job, JobStatus.CANCELLED, now)
        outbox = outbox_entry_for(ended, now)
        try:
            table.finish(job, ended, outbox)
        except StaleAttempt:
            continue
        if outbox:
            send_outbox(sqs, outbox_queue_url, outbox)
        return ended
    raise AlreadyEnded(f"Job {job_id} changes hands too fast to be cancelled. Try again.")
