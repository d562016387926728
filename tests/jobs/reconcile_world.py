"""Uploads whose events get lost, and a table and a bucket that fail."""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from avskrift.jobs.items import to_item
from avskrift.jobs.layout import job_id_for
from avskrift.jobs.reconcile import Reconciler, ReconcileReport

HOUR_S = 3_600.0


def always_time() -> float:
    return 900.0


def run(reconciler: Reconciler, age_s: float = HOUR_S) -> ReconcileReport:
    """One run with a clock that is ``age_s`` ahead of the uploads."""
    return reconciler.run(time.time() + age_s, always_time)


def put_lost(deployment: Any, *keys: str) -> list[str]:
    """Upload recordings whose events get lost; the ids their jobs should have."""
    uploads = [deployment.put(key) for key in keys]
    return [job_id_for(upload.bucket, upload.key, upload.version_id) for upload in uploads]


def aws_error(code: str) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": 400}}, "AnyOperation")


def fail(client: Any, operation: str, error: Exception, times: int = 1) -> None:
    """Let the next calls of an operation end in an error."""
    left = [times]

    def raise_error(**_: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise error

    client.meta.events.register(f"before-call.*.{operation}", raise_error)


def set_attribute(deployment: Any, job_id: str, name: str, value: Any) -> None:
    """What somebody with a console does to a row; None removes the attribute."""
    expression = {"UpdateExpression": "REMOVE #name"}
    if value is not None:
        expression = {"UpdateExpression": "SET #name = :value", "ExpressionAttributeValues": to_item({":value": value})}
    deployment.dynamodb.update_item(
        TableName="jobs",
        Key=to_item({"pk": f"job#{job_id}"}),
        ExpressionAttributeNames={"#name": name},
        **expression,
    )


def registered_ids(report: ReconcileReport) -> list[str]:
    return [job.job_id for job in report.registered]


class SlowTable:
    """DynamoDB under load: BatchGetItem answers for ``answered`` keys at a time and names the others unprocessed."""

    def __init__(self, client: Any, answered: int) -> None:
        self._client = client
        self._answered = answered

    def batch_get_item(self, RequestItems: dict[str, Any]) -> Any:
        ((table, asked),) = RequestItems.items()
        now, later = asked["Keys"][: self._answered], asked["Keys"][self._answered :]
        response = self._client.batch_get_item(RequestItems={table: {"Keys": now}}) if now else {"Responses": {}}
        return {**response, "UnprocessedKeys": {table: {"Keys": later}} if later else {}}
