"""Rows edited by hand into nonsense: what can be read of them is kept, and the job ends visibly.

Such a row would otherwise wait for ever, or stop whoever meets it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from avskrift.jobs.messages import send_outbox
from avskrift.jobs.model import JOB_PK, TERMINAL, Job, JobError, JobStatus, MalformedRow, read_field
from avskrift.jobs.options import JobOptions
from avskrift.jobs.outbox import outbox_entry_for
from avskrift.jobs.table import JobTable, StaleAttempt

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient

MALFORMED = (
    "The job's row was changed by hand and can't be read any more ({names}); its `malformed` attribute holds what "
    "stood there. Upload the recording again."
)
MAX_EVIDENCE_CHARS = 4_000
_DEFAULT_TTL_S = 30 * 86_400


def end_malformed(
    table: JobTable, sqs: SQSClient, outbox_queue_url: str, values: Mapping[str, Any], now: float
) -> Job | None:
    """Write a readable row over a nonsensical one: failed, with its webhook if it still says where to send it.

    ``values``: the row as it was read. None if it changed meanwhile: the next look decides.
    """
    job = salvaged_job(values, now)
    outbox = outbox_entry_for(job, now)
    try:
        table.replace_malformed(values, job, _evidence(values), outbox)
    except StaleAttempt:
        return None
    if outbox:
        send_outbox(sqs, outbox_queue_url, outbox)
    return job


def is_job(values: Mapping[str, Any]) -> bool:
    return str(values["pk"]).startswith(JOB_PK)


def has_ended(values: Mapping[str, Any]) -> bool:
    """Whether an unreadable row is that of a job which ended before: its webhook was sent, it gets no second end."""
    ends = tuple(status.value for status in TERMINAL)
    keys = tuple(f"{JOB_PK}{status}" for status in ends)
    return values.get("status") in ends or values.get("status_key") in keys or bool(values.get("result"))


def salvaged_job(values: Mapping[str, Any], now: float) -> Job:
    """What can be read of a row, as a job that failed; absent and nonsensical fields get their plainest value."""
    read, nonsense = {}, []
    for item in fields(Job):
        try:
            read[item.name] = read_field(item.name, values[item.name])
        except KeyError:
            if item.default is MISSING and item.default_factory is MISSING:
                nonsense.append(item.name)
        except MalformedRow:
            nonsense.append(item.name)
    plain: dict[str, Any] = {
        **{"bucket": "", "key": "", "version_id": "", "size_bytes": 0},
        "options": JobOptions(callback_url=_callback_url(values.get("options"))),
        "expires_at": int(now) + _DEFAULT_TTL_S,
        **read,
        "job_id": str(values["pk"]).removeprefix(JOB_PK),
        "status": JobStatus.FAILED,
        "status_at": now,
        "sequence": read.get("sequence", 0) + 1,
        "error": JobError("internal", MALFORMED.format(names=", ".join(nonsense) or "its status")),
    }
    return Job(**plain)


def _callback_url(options: Any) -> str | None:
    """Whom to tell, even where another option is nonsense."""
    url = options.get("callback_url") if isinstance(options, Mapping) else None
    return url if isinstance(url, str) else None


def _evidence(values: Mapping[str, Any]) -> str:
    """The row as it was found, for whoever looks into it."""
    return json.dumps(values, ensure_ascii=False, default=str)[:MAX_EVIDENCE_CHARS]
