"""Results in the bucket: the transcript in every format asked for, ``job.json``, and links that say when they die."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from avskrift import formats
from avskrift.formats.presets import rules_for
from avskrift.jobs.layout import RESULT_NAME, record_key, result_key
from avskrift.jobs.model import Job
from avskrift.jobs.outbox import ResultLinks
from avskrift.transcript import Transcript

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

MAX_LINK_S = 6 * 3_600
"""A presigned link dies with its signer's session; an instance role's lasts six hours at most."""
_JSON = "application/json"


@dataclass(frozen=True)
class ResultStore:
    """Writes under ``results/<job_id>/``. Writing twice leaves the same objects."""

    s3: S3Client
    bucket: str

    def write(self, job: Job, transcript: Transcript) -> dict[str, Any]:
        """Store every format; returns the ``result`` of the record, with keys by format."""
        keys = {name: result_key(job.job_id, formats.FORMATS[name].extension) for name in job.options.formats}
        for name, content in formats.write_all(transcript, keys, _look(job)):
            self._put(keys[name], content, formats.FORMATS[name].content_type)
        return {
            "keys": keys,
            "language": transcript.language,
            "duration_s": round(transcript.duration_s, 3),
            "speech_s": round(transcript.speech_s, 3),
            "words": transcript.word_count,
            "model": transcript.model,
        }

    def write_record(self, ended: Job, extra: Mapping[str, Any]) -> None:
        """``job.json``: the evidence of how the job went."""
        record = {**ended.to_dict(), **extra}
        record["options"]["callback_url"] = _without_query(ended.options.callback_url)
        text = json.dumps(record, ensure_ascii=False, indent=2) + "\n"
        self._put(record_key(ended.job_id), text.encode(), _JSON)

    def delete(self, job: Job) -> None:
        """Remove what attempts at a job left that then was cancelled."""
        for name in job.options.formats:
            self.s3.delete_object(Bucket=self.bucket, Key=result_key(job.job_id, formats.FORMATS[name].extension))

    def links(self, keys: Mapping[str, str], now: float, session_ends_at: float | None) -> ResultLinks:
        """Presigned GET links to the results, for as long as the signer's session can vouch for them."""
        ends_at = min(now + MAX_LINK_S, session_ends_at or now + MAX_LINK_S)
        expires_in = max(1, int(ends_at - now))
        links = {
            name: self.s3.generate_presigned_url(
                "get_object", Params={"Bucket": self.bucket, "Key": key}, ExpiresIn=expires_in
            )
            for name, key in keys.items()
        }
        return ResultLinks(links, expires_at=now + expires_in)

    def _put(self, key: str, content: bytes, content_type: str) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type)


_NOTHING_SAID = Transcript(language=None, duration_s=0.0, speech_s=0.0, model="")


def require_possible(job: Job) -> None:
    """Raise ``BadOptions`` for what could not be written in the end, before the work.

    Formats or a preset that this version does not have (another one took the job), a name that a format cannot hold:
    tried with nothing said, which takes as good as no time.
    """
    for _ in formats.write_all(_NOTHING_SAID, job.options.formats, _look(job)):
        pass


def _look(job: Job) -> formats.RenderOptions:
    """As the job asked; named as the results, so that a manifest finds its subtitles, and titled as the upload, which
    it plays."""
    return formats.RenderOptions(
        rules=rules_for(job.options.preset),
        highlight_words=job.options.highlight_words,
        name=RESULT_NAME,
        media_name=PurePosixPath(job.key).name,
        title=PurePosixPath(job.key).stem,
    )


def _without_query(url: str | None) -> str | None:
    """A query string may hold the receiver's secret; whoever may read results need not know it."""
    return url and url.partition("?")[0]


def session_end(s3: S3Client) -> float | None:
    """When the credentials of this client run out (UTC epoch seconds); None for those that don't."""
    credentials = s3._request_signer._credentials  # type: ignore[attr-defined]  # botocore offers no public way
    expiry = getattr(credentials, "_expiry_time", None)
    return expiry.timestamp() if expiry and expiry.timestamp() > time.time() else None
