"""The jobs table: every change of a job is one conditional write, fenced by its attempt.

Keys: ``job#<id>``, ``outbox#<id>``, ``launch#<id>``, ``lease#capacity``, ``fleet#memory``. The index
``by_status`` finds jobs and outbox entries by what they wait for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from avskrift.errors import AvskriftError
from avskrift.jobs.items import from_item, to_item
from avskrift.jobs.model import JOB_PK, Job, JobError, JobProgress, JobStatus, MalformedRow
from avskrift.jobs.outbox import OutboxEntry

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

STATUS_INDEX = "by_status"
MAX_LAUNCHES = 10
"""Launch tries that a job keeps: the first ones say why it had to wait."""
_ENDING = ("status", "status_at", "progress", "phases", "result", "cost", "error", "failures", "sequence", "launches")
"""What the last write of a job sets."""


class StaleAttempt(AvskriftError):
    """The job went on without us (requeued, cancelled, finished): stop, write nothing more."""

    code = "stale_attempt"


def job_pk(job_id: str) -> str:
    return f"{JOB_PK}{job_id}"


def status_key(status: JobStatus) -> str:
    return f"job#{status.value}"


class JobTable:
    """Access to one deployment's table. All times are UTC epoch seconds given by the caller."""

    def __init__(self, client: DynamoDBClient, name: str) -> None:
        self._client = client
        self.name = name

    def create(self, job: Job, outbox: OutboxEntry | None = None) -> bool:
        """Create the row (and, for a job that ends at once, its outbox entry); False if the job exists."""
        try:
            if outbox is None:
                self._client.put_item(**self._put_if_absent(_job_item(job))["Put"])
            else:
                items = [self._put_if_absent(_job_item(job)), self._put_if_absent(outbox.to_dict())]
                self._client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]
        except ClientError as error:
            if _is_condition_failure(error):
                return False
            raise
        return True

    def get(self, job_id: str) -> Job | None:
        """The row as it is now (strongly consistent); raises ``MalformedRow``."""
        values = self.job_values(job_id)
        return Job.from_dict(values) if values else None

    def job_values(self, job_id: str) -> dict[str, Any] | None:
        """A job's row as it stands, whatever it holds."""
        return self.get_values(job_pk(job_id))

    def get_values(self, pk: str) -> dict[str, Any] | None:
        response = self._client.get_item(TableName=self.name, Key=to_item({"pk": pk}), ConsistentRead=True)
        return from_item(response["Item"]) if "Item" in response else None

    def put_values(self, values: Mapping[str, Any]) -> None:
        self._client.put_item(TableName=self.name, Item=to_item(values))

    def put_together(self, *rows: Mapping[str, Any]) -> None:
        """Whole rows, all of them or none."""
        puts = [{"Put": {"TableName": self.name, "Item": to_item(values)}} for values in rows]
        self._client.transact_write_items(TransactItems=puts)  # type: ignore[arg-type]

    def put_aside(self, pk: str) -> None:
        """Take a row that can't be read out of the index, where whoever waits for it would meet it again and again."""
        self._client.update_item(
            TableName=self.name,
            Key=to_item({"pk": pk}),
            UpdateExpression="REMOVE status_key SET is_malformed = :true",
            ConditionExpression="attribute_exists(pk)",
            ExpressionAttributeValues=to_item({":true": True}),
        )

    def with_status(
        self,
        status: JobStatus,
        newest_first: bool = False,
        odd: list[dict[str, Any]] | None = None,
        since: float | None = None,
    ) -> Iterator[Job]:
        """Jobs in a status, oldest first (the index is eventually consistent); only those in it ``since`` then.

        A row that can't be read, or has another status than its place in the index says, was edited by hand. It must
        hide no other: it is left out, and put into ``odd`` if that is given.
        """
        for values in self.indexed(status_key(status), newest_first, since=since):
            try:
                job = Job.from_dict(values)
            except MalformedRow:
                job = None
            if job and job.status is status:
                yield job
            elif odd is not None:
                odd.append(values)

    def put_in_place(self, job: Job, seen_key: str | None) -> bool:
        """Put a readable row where its status belongs in the index; False if it has changed since ``seen_key``."""
        in_place = "attribute_not_exists(status_key)" if seen_key is None else "status_key = :seen"
        try:
            self._client.update_item(
                TableName=self.name,
                Key=to_item({"pk": job_pk(job.job_id)}),
                UpdateExpression="SET status_key = :right",
                ConditionExpression=f"#status = :status AND {in_place}",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":right": status_key(job.status), ":status": job.status.value, ":seen": seen_key}
                ),
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            return False
        return True

    def indexed(
        self, key: str, newest_first: bool = False, *, since: float | None = None, until: float | None = None
    ) -> Iterator[dict[str, Any]]:
        """Rows of one index partition by their ``status_at``, which may be bounded on one side."""
        condition, values = "status_key = :key", {":key": key, ":since": since, ":until": until}
        if since is not None:
            condition += " AND status_at >= :since"
        elif until is not None:
            condition += " AND status_at <= :until"
        pages = self._client.get_paginator("query").paginate(
            TableName=self.name,
            IndexName=STATUS_INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeValues=to_item(values),
            ScanIndexForward=not newest_first,
        )
        for page in pages:
            yield from map(from_item, page["Items"])

    def claim(self, job_id: str, instance_id: str, now: float) -> Job | None:
        """Take a queued job: ``attempt`` + 1 is the token of every later write. None if it isn't queued.

        A claim whose answer got lost, repeated, finds its own work and takes it for what it is. Raises
        ``MalformedRow``; λ capacity ends such a job.
        """
        changes = {
            "status": JobStatus.RUNNING.value,
            "status_key": status_key(JobStatus.RUNNING),
            "status_at": now,
            "instance_id": instance_id,
            "beat": 0,
            "phases.claimed": now,
        }
        try:
            return self._update(job_id, changes, {"status": JobStatus.QUEUED.value}, add=("attempt", "sequence"))
        except StaleAttempt:
            job = self.get(job_id)
            is_ours = job and job.status is JobStatus.RUNNING and job.instance_id == instance_id and job.beat == 0
            return job if is_ours else None

    def beat(
        self,
        job: Job,
        progress: JobProgress | None,
        phases: Mapping[str, float],
        cost: Mapping[str, Any] | None = None,
    ) -> None:
        """Say that this attempt lives; ``StaleAttempt`` if it no longer owns the job.

        ``cost`` is what the job has cost so far: whoever takes it from a silent agent, or cancels it, leaves it there.
        """
        changes: dict[str, Any] = {f"phases.{name}": at for name, at in phases.items()}
        if progress:
            changes["progress"] = {"done_s": progress.done_s, "total_s": progress.total_s}
        if cost:
            changes["cost"] = dict(cost)
        self._update(job.job_id, changes, _owned(job), add=("beat",))

    def requeue(
        self,
        job: Job,
        now: float,
        *,
        failed: bool = False,
        interrupted: bool = False,
        cost: Mapping[str, Any] | None = None,
    ) -> None:
        """Back to the queue. ``failed`` counts the attempt as a failure, ``interrupted`` as EC2's doing.

        ``cost``: what the job has cost with this attempt; None leaves what its last beat said.
        """
        changes: dict[str, Any] = {
            "status": JobStatus.QUEUED.value,
            "status_key": status_key(JobStatus.QUEUED),
            "status_at": now,
            "instance_id": "",
        }
        if cost:
            changes["cost"] = dict(cost)
        added = ["sequence"] + ["failures"] * failed + ["interruptions"] * interrupted
        self._update(job.job_id, changes, _owned(job), add=tuple(added))

    def set_cost(self, job_id: str, attempt: int, cost: Mapping[str, Any]) -> None:
        """What became known after an attempt had let go of its job; ``StaleAttempt`` once another one has it."""
        self._update(job_id, {"cost": dict(cost)}, {"attempt": attempt})

    def finish(self, job: Job, ended: Job, outbox: OutboxEntry | None) -> None:
        """Status, result and outbox entry in one transaction, if ``job``'s attempt and status still stand."""
        values = ended.to_dict()
        changes = {name: values[name] for name in _ENDING if values[name] is not None}
        changes["status_key"] = status_key(ended.status)
        items: list[dict[str, Any]] = [{"Update": self._update_request(job.job_id, changes, _owned(job))}]
        if outbox:
            items.append(self._put_if_absent(outbox.to_dict()))
        try:
            self._client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]
        except ClientError as error:
            raise _stale_or(error, job.job_id) from error

    def note_launch(self, job_id: str, line: Mapping[str, Any]) -> bool:
        """Keep what a launch made for a waiting job answered; False if its audit is full, or it waits no longer."""
        try:
            self._client.update_item(
                TableName=self.name,
                Key=to_item({"pk": job_pk(job_id)}),
                UpdateExpression="SET launches = list_append(if_not_exists(launches, :none), :line)",
                ConditionExpression="#status = :queued AND (attribute_not_exists(launches) OR size(launches) < :most)",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=to_item(
                    {":line": [line], ":none": [], ":queued": JobStatus.QUEUED.value, ":most": MAX_LAUNCHES}
                ),
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            return False
        return True

    def replace_malformed(
        self, values: Mapping[str, Any], ended: Job, evidence: str, outbox: OutboxEntry | None
    ) -> None:
        """Put a readable row in the place of one that isn't, unless that has changed since it was read."""
        seen = {name: values[name] for name in ("status", "status_key", "attempt") if name in values}
        expression = _Expression()
        conditions = [f"{expression.path(name)} = {expression.value(value)}" for name, value in seen.items()]
        put = {
            "TableName": self.name,
            "Item": to_item({**_job_item(ended), "malformed": evidence}),
            "ConditionExpression": " AND ".join(["attribute_exists(pk)", *conditions]),
        }
        if seen:
            put["ExpressionAttributeNames"] = expression.names
            put["ExpressionAttributeValues"] = to_item(expression.values)
        items: list[dict[str, Any]] = [{"Put": put}]
        if outbox:
            items.append(self._put_if_absent(outbox.to_dict()))
        try:
            self._client.transact_write_items(TransactItems=items)  # type: ignore[arg-type]
        except ClientError as error:
            raise _stale_or(error, ended.job_id) from error

    def outbox_entry(self, outbox_id: str) -> OutboxEntry | None:
        """Raises ``MalformedRow``."""
        values = self.get_values(f"outbox#{outbox_id}")
        return OutboxEntry.from_dict(values) if values else None

    def record_attempt(self, entry: OutboxEntry) -> bool:
        """Save an entry with one more attempt; False if another sender recorded one meanwhile (its word stands)."""
        try:
            self._client.put_item(
                TableName=self.name,
                Item=to_item(entry.to_dict()),
                ConditionExpression="size(attempts) = :before",
                ExpressionAttributeValues=to_item({":before": len(entry.attempts) - 1}),
            )
        except ClientError as error:
            if not _is_condition_failure(error):
                raise
            return False
        return True

    def mark_delivered(self, job_id: str, now: float) -> None:
        """The phase of a job that clients look at."""
        try:
            self._update(job_id, {"phases.delivered": now}, {})
        except StaleAttempt:
            return  # the row was deleted meanwhile; the delivery stands

    def _update(
        self, job_id: str, changes: Mapping[str, Any], expected: Mapping[str, Any], add: tuple[str, ...] = ()
    ) -> Job:
        request = self._update_request(job_id, changes, expected, add)
        try:
            response = self._client.update_item(**request, ReturnValues="ALL_NEW")
        except ClientError as error:
            raise _stale_or(error, job_id) from error
        return Job.from_dict(from_item(response["Attributes"]))

    def _update_request(
        self, job_id: str, changes: Mapping[str, Any], expected: Mapping[str, Any], add: tuple[str, ...] = ()
    ) -> dict[str, Any]:
        """An UpdateItem that needs the row to exist and to hold every ``expected`` value."""
        expression = _Expression()
        sets = [f"{expression.path(name)} = {expression.value(value)}" for name, value in changes.items()]
        sets += [expression.increment(name) for name in add]
        conditions = ["attribute_exists(pk)"]
        conditions += [f"{expression.path(name)} = {expression.value(value)}" for name, value in expected.items()]
        return {
            "TableName": self.name,
            "Key": to_item({"pk": job_pk(job_id)}),
            "UpdateExpression": "SET " + ", ".join(sets),
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": expression.names,
            "ExpressionAttributeValues": to_item(expression.values),
        }

    def _put_if_absent(self, values: Mapping[str, Any]) -> dict[str, Any]:
        put = {"TableName": self.name, "Item": to_item(values), "ConditionExpression": "attribute_not_exists(pk)"}
        return {"Put": put}


class _Expression:
    """Placeholders of one UpdateItem: every name and value is passed beside the expression, never inside it."""

    def __init__(self) -> None:
        self.names: dict[str, str] = {}
        self.values: dict[str, Any] = {}

    def path(self, dotted: str) -> str:
        parts = dotted.split(".")
        self.names.update({f"#{part}": part for part in parts})
        return ".".join(f"#{part}" for part in parts)

    def increment(self, name: str) -> str:
        """A counter that a row of an older version may lack; never the fencing token, which must not begin anew."""
        path = self.path(name)
        present = path if name == "attempt" else f"if_not_exists({path}, {self.value(0)})"
        return f"{path} = {present} + {self.value(1)}"

    def value(self, value: Any) -> str:
        placeholder = f":v{len(self.values)}"
        self.values[placeholder] = value
        return placeholder


def ended_job(job: Job, status: JobStatus, now: float, **changes: Any) -> Job:
    """``job`` as it will stand once it has ended."""
    return replace(job, status=status, status_at=now, sequence=job.sequence + 1, **changes)


def failed_job(job: Job, error: JobError, now: float) -> Job:
    return ended_job(job, JobStatus.FAILED, now, error=error)


def _job_item(job: Job) -> dict[str, Any]:
    return {"pk": job_pk(job.job_id), "status_key": status_key(job.status), **job.to_dict()}


def _owned(job: Job) -> dict[str, Any]:
    """What must still hold for a write in the name of ``job``."""
    return {"status": job.status.value, "attempt": job.attempt}


def _is_condition_failure(error: ClientError) -> bool:
    if error.response["Error"]["Code"] == "TransactionCanceledException":
        reasons = error.response.get("CancellationReasons", [])
        return any(reason.get("Code") == "ConditionalCheckFailed" for reason in reasons)
    return error.response["Error"]["Code"] == "ConditionalCheckFailedException"


def _stale_or(error: ClientError, job_id: str) -> Exception:
    if _is_condition_failure(error):
        return StaleAttempt(f"Job {job_id} went on without this attempt; it writes nothing more.")
    return error
