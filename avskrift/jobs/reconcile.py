"""The bucket against the table: an upload whose event got lost still becomes a job.

A run lists a few pages of ``uploads/`` and leaves a cursor in the table, from which the next one goes on; at the end it
starts over. Only current versions of 10 minutes to 24 hours are looked at: younger ones have an event on its way, older
ones had many runs. By S3's word a multipart upload is as old as its start, so a slow one may be looked at while its
event arrives: both find the same row.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from avskrift.errors import AvskriftError
from avskrift.jobs.events import Upload
from avskrift.jobs.items import from_item, to_item
from avskrift.jobs.layout import UPLOADS_PREFIX, is_folder, job_id_for
from avskrift.jobs.model import Job, JobStatus, MalformedRow
from avskrift.jobs.register import Registrar
from avskrift.jobs.salvage import end_malformed, has_ended
from avskrift.jobs.table import job_pk, status_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient
    from mypy_boto3_s3.type_defs import ObjectVersionTypeDef

MIN_AGE_S = 600.0
MAX_AGE_S = 86_400.0
PAGES_PER_RUN = 20
"""At 1,000 versions a page and a run every 10 minutes: a bucket of 2.8 million versions is listed once a day."""
PAGE_SIZE = 1_000
TIME_MARGIN_S = 20.0
"""A registration is begun only with so much time left."""
CURSOR_PK = "fleet#reconcile"
API_PREFIX = UPLOADS_PREFIX + "api/"
"""Recordings of jobs made through the API: their row came first, and its id is in the key, not made of it."""
_BATCH = 100
"""Keys that BatchGetItem takes at once."""


class TableBusy(AvskriftError):
    """DynamoDB returned none of the rows asked for, only the advice to ask again."""

    code = "table_busy"


@dataclass(frozen=True, slots=True)
class Cursor:
    """The last version that was listed: the next page begins after it."""

    key_marker: str
    version_id_marker: str


@dataclass(frozen=True, slots=True)
class Fault:
    """What could not be done, for which job (``""``: for a whole page). Names no key: that is the client's own text."""

    job_id: str
    reason: str


@dataclass
class ReconcileReport:
    """What one run did. ``looked``: uploads of the right age; the others are ids of rows.

    ``repaired``: put back into the index; ``malformed``: ended, because nobody could read them; ``unreadable``: left
    alone, because they had ended before.
    """

    looked: int = 0
    registered: list[Job] = field(default_factory=list)
    repaired: list[str] = field(default_factory=list)
    malformed: list[str] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    failed: int = 0
    """Jobs that this run ended, or registered as failed."""

    @property
    def queued_ids(self) -> list[str]:
        return [job.job_id for job in self.registered if job.status is JobStatus.QUEUED]


@dataclass(frozen=True)
class Reconciler:
    """Finds uploads without a row and registers them exactly as their event would have."""

    registrar: Registrar
    dynamodb: DynamoDBClient
    bucket: str
    pages_per_run: int = PAGES_PER_RUN
    page_size: int = PAGE_SIZE

    def run(self, now: float, time_left_s: Callable[[], float]) -> ReconcileReport:
        """Some pages from the cursor on. One that could not be done, for a fault or for want of time, comes again."""
        report = ReconcileReport()
        try:
            self._run_pages(now, time_left_s, report)
        except (ClientError, BotoCoreError, TableBusy) as error:
            report.faults.append(Fault("", _reason(error)))
        return report

    def _run_pages(self, now: float, time_left_s: Callable[[], float], report: ReconcileReport) -> None:
        cursor = self._stored_cursor()
        for _ in range(self.pages_per_run):
            uploads, following = self._page(cursor, now)
            if not self._settle(uploads, now, time_left_s, report):
                return
            self._store_cursor(cursor, following)
            cursor = following
            if cursor is None:
                return

    def _page(self, cursor: Cursor | None, now: float) -> tuple[list[Upload], Cursor | None]:
        """The uploads to look at of one page, and the cursor of the next; None at the end."""
        after: dict[str, Any] = {}
        if cursor:
            after["KeyMarker"] = cursor.key_marker
        if cursor and cursor.version_id_marker:
            after["VersionIdMarker"] = cursor.version_id_marker
        try:
            listed = self.registrar.s3.list_object_versions(
                Bucket=self.bucket, Prefix=UPLOADS_PREFIX, MaxKeys=self.page_size, **after
            )
        except ClientError as error:
            if cursor and error.response["Error"]["Code"] == "InvalidArgument":
                self._store_cursor(cursor, None)  # no marker S3 ever gave: kept, it would end every run
            raise
        following = None
        if listed["IsTruncated"]:
            following = Cursor(listed["NextKeyMarker"], listed.get("NextVersionIdMarker", ""))
        versions = listed.get("Versions", [])
        return [self._upload(each) for each in versions if _is_looked_at(each, now)], following

    def _upload(self, version: ObjectVersionTypeDef) -> Upload:
        return Upload(self.bucket, version["Key"], version["VersionId"], version["Size"])

    def _settle(
        self, uploads: Sequence[Upload], now: float, time_left_s: Callable[[], float], report: ReconcileReport
    ) -> bool:
        """Look at each upload's row, register what has none; False if time ran out."""
        by_id = {job_id_for(each.bucket, each.key, each.version_id): each for each in uploads}
        report.looked += len(by_id)
        rows = {values["pk"]: values for values in self._rows(list(by_id))}
        for job_id, upload in by_id.items():
            if time_left_s() < TIME_MARGIN_S:
                return False
            values = rows.get(job_pk(job_id))
            try:
                if values is None:
                    self._register(upload, now, report)
                else:
                    self._check(job_id, values, now, report)
            except Exception as error:  # noqa: BLE001 - whatever is wrong with one upload must not hold up the others
                report.faults.append(Fault(job_id, _reason(error)))
        return True

    def _rows(self, job_ids: Sequence[str]) -> Iterator[dict[str, Any]]:
        """The rows there are, as they are stored. They may lag by a moment: what follows from them is conditional."""
        table = self.registrar.table.name
        for start in range(0, len(job_ids), _BATCH):
            pending: list[Any] = [to_item({"pk": job_pk(job_id)}) for job_id in job_ids[start : start + _BATCH]]
            while pending:
                response = self.dynamodb.batch_get_item(RequestItems={table: {"Keys": pending}})
                left = response["UnprocessedKeys"]
                unprocessed = list(left[table]["Keys"]) if table in left else []
                if len(unprocessed) == len(pending):
                    raise TableBusy("The table gave no rows now; the next run asks again.")
                yield from map(from_item, response["Responses"].get(table, []))
                pending = unprocessed

    def _register(self, upload: Upload, now: float, report: ReconcileReport) -> None:
        taken = self.registrar.take(upload, now)
        if taken.job:
            report.registered.append(taken.job)
            report.failed += taken.is_new and taken.job.is_terminal

    def _check(self, job_id: str, values: dict[str, Any], now: float, report: ReconcileReport) -> None:
        """A row that can't be read, or sits in the wrong partition of the index, is one that λ capacity never sees."""
        try:
            job = Job.from_dict(values)
        except MalformedRow:
            self._end_unless_ended(job_id, values, now, report)
            return
        seen = values.get("status_key")
        if seen != status_key(job.status) and self.registrar.table.put_in_place(job, seen):
            report.repaired.append(job_id)

    def _end_unless_ended(self, job_id: str, values: dict[str, Any], now: float, report: ReconcileReport) -> None:
        if has_ended(values):
            report.unreadable.append(job_id)
            return
        report.malformed.append(job_id)
        registrar = self.registrar
        if end_malformed(registrar.table, registrar.sqs, registrar.settings.outbox_queue_url, values, now):
            report.failed += 1

    def _stored_cursor(self) -> Cursor | None:
        """Where the last run stopped; None to begin at the start, also for a row that holds no cursor."""
        values = self.registrar.table.get_values(CURSOR_PK) or {}
        markers = values.get("key_marker"), values.get("version_id_marker")
        key_marker, version_id_marker = (marker if isinstance(marker, str) else "" for marker in markers)
        return Cursor(key_marker, version_id_marker) if key_marker else None

    def _store_cursor(self, before: Cursor | None, following: Cursor | None) -> None:
        if following != before:
            markers = (following.key_marker, following.version_id_marker) if following else (None, None)
            self.registrar.table.put_values(
                {"pk": CURSOR_PK, "key_marker": markers[0], "version_id_marker": markers[1]}
            )


def _is_looked_at(version: ObjectVersionTypeDef, now: float) -> bool:
    age_s = now - version["LastModified"].timestamp()
    key = version["Key"]
    return (
        version["IsLatest"]
        and MIN_AGE_S <= age_s <= MAX_AGE_S
        and not key.startswith(API_PREFIX)
        and not is_folder(key, version["Size"])
    )


def _reason(error: Exception) -> str:
    """AWS's code, or the type and place: messages may repeat parameters, and with them keys."""
    if isinstance(error, ClientError):
        return str(error.response["Error"]["Code"])
    *_, place = traceback.extract_tb(error.__traceback__)
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
