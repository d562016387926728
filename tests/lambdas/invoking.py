"""What Lambda hands to a handler, and what a handler writes."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass
class Context:
    """What Lambda hands to a handler."""

    function_name: str = "test"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:eu-north-1:123456789012:function:test"
    aws_request_id: str = "request-1"

    def get_remaining_time_in_millis(self) -> int:
        return 60_000


def record(body: str, number: int = 0) -> dict[str, Any]:
    return {"messageId": f"m{number}", "body": body, "eventSource": "aws:sqs"}


def upload_record(deployment: Any, key: str, number: int = 0) -> dict[str, Any]:
    upload = deployment.put(key)
    item = {"key": upload.key, "size": upload.size_bytes, "version-id": upload.version_id}
    return record(json.dumps({"detail": {"bucket": {"name": upload.bucket}, "object": item}}), number)


def metric_lines(printed: str) -> list[dict[str, Any]]:
    """What was printed in CloudWatch's embedded format: a line for each invocation that counted something."""
    return [json.loads(line) for line in printed.splitlines() if '"_aws"' in line]


def log_lines(printed: str) -> list[dict[str, Any]]:
    """The log lines, by their fields."""
    return [json.loads(line) for line in printed.splitlines() if line.startswith("{") and '"_aws"' not in line]


def metrics_in(printed: str) -> dict[str, float]:
    """The sums of the values of all metrics that were printed."""
    values: dict[str, float] = {}
    for line in metric_lines(printed):
        for metric in line["_aws"]["CloudWatchMetrics"][0]["Metrics"]:
            values[metric["Name"]] = values.get(metric["Name"], 0.0) + sum(line[metric["Name"]])
    return values
