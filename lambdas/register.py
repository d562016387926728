"""λ register: uploads queue → job rows and messages, then a nudge for λ capacity."""

from __future__ import annotations

import time
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.typing import LambdaContext

from avskrift.jobs import metrics
from avskrift.jobs.events import MalformedEvent, Upload, parse_upload
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.model import Job, JobStatus
from avskrift.jobs.pass_report import brief
from avskrift.jobs.register import Registrar
from avskrift.jobs.table import JobTable
from lambdas.clients import client
from lambdas.environment import Environment
from lambdas.handling import in_own_words
from lambdas.nudge import nudge_capacity
from lambdas.settings import register_settings
from lambdas.telemetry import Counts

logger = Logger()
counts = Counts()
processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)


@cache
def _registrar() -> Registrar:
    """Made at the first event and kept while the function stays warm."""
    env = Environment()
    return Registrar(
        table=JobTable(client("dynamodb"), env.text("TABLE")),
        s3=client("s3"),
        sqs=client("sqs"),
        settings=register_settings(env),
    )


def _register(record: dict[str, Any], queued: list[str]) -> None:
    try:
        upload = parse_upload(record["body"])
    except MalformedEvent as error:
        logger.error(error.message, message_id=record.get("messageId"))
        counts.count(metrics.MALFORMED_MESSAGES)
        return
    with logger.append_context_keys(job_id=_job_id(upload)):
        job = _take(upload)
    if job and job.status is JobStatus.QUEUED:
        queued.append(job.job_id)


def _job_id(upload: Upload) -> str | None:
    """The id that the job has or will have, known before anything is asked of AWS; unknown without a version."""
    return job_id_for(upload.bucket, upload.key, upload.version_id) if upload.version_id else None


def _take(upload: Upload) -> Job | None:
    try:
        taken = _registrar().take(upload, time.time())
    except Exception as error:
        logger.error("could not be registered; its message comes again", fault=brief(error))
        raise
    job = taken.job
    if job is None:
        logger.info("no recording, or a row that nobody can read: ignored")
        return None
    code = job.error.code if job.error else None
    logger.info("registered" if taken.is_new else "found again", job_id=job.job_id, status=job.status.value, error=code)
    counts.count(metrics.JOBS_REGISTERED, int(taken.is_new))
    counts.count(metrics.JOBS_FAILED, int(taken.is_new and job.is_terminal))
    return job


@logger.inject_lambda_context
@in_own_words(logger)
@counts.written
def handler(event: dict[str, Any], context: LambdaContext) -> Any:
    """Partial batch response: only what failed comes again."""
    queued: list[str] = []
    answer = process_partial_response(
        event=event,
        record_handler=lambda record: _register(record, queued),
        processor=processor,
    )
    if queued:
        nudge_capacity(queued, logger)
    return answer
