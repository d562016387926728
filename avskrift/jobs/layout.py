"""Where things lie in the bucket (design: results never land under ``uploads/``, so no job starts itself)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any

UPLOADS_PREFIX = "uploads/"
RESULTS_PREFIX = "results/"
WORK_PREFIX = "work/"
RESULT_NAME = "transcript"
"""What every result is called, before the extension of its format."""

JOB_ID_LENGTH = 26
"""Characters of base32: 130 bits of the hash."""
_JOB_ID = re.compile(f"[a-z2-7]{{{JOB_ID_LENGTH}}}")


def job_id_for(bucket: str, key: str, version_id: str) -> str:
    """The id that a duplicate event finds again: base32(sha256(bucket, key, version)), its first 26 characters."""
    digest = hashlib.sha256("\0".join((bucket, key, version_id)).encode()).digest()
    return base64.b32encode(digest).decode().lower()[:JOB_ID_LENGTH]


def job_id_in(values: Mapping[str, Any]) -> str:
    """The ``job_id`` of a message or row that says which job it is about; empty if it says none, or no such thing."""
    job_id = values.get("job_id")
    return job_id if isinstance(job_id, str) and _JOB_ID.fullmatch(job_id) else ""


def result_key(job_id: str, extension: str) -> str:
    return f"{RESULTS_PREFIX}{job_id}/{RESULT_NAME}.{extension}"


def record_key(job_id: str) -> str:
    """``job.json``: phases, cost and versions beside the transcript."""
    return f"{RESULTS_PREFIX}{job_id}/job.json"


def checkpoint_key(job_id: str) -> str:
    """What an interrupted attempt leaves to the next one."""
    return f"{WORK_PREFIX}{job_id}/checkpoint.jsonl"


def is_folder(key: str, size_bytes: int) -> bool:
    """The S3 console makes a "folder" by putting an empty object whose key ends in a slash."""
    return key.endswith("/") and size_bytes == 0
