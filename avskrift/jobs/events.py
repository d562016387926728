"""EventBridge's "Object Created" as SQS delivers it.

Read as a plain dict on purpose: EventBridge carries keys as they are (Powertools' class would decode them again, which
breaks ``+``) and may lack a version id (its class raises).
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from avskrift.errors import AvskriftError


class MalformedEvent(AvskriftError):
    """A message that is no "Object Created" event: nothing to register."""

    code = "malformed_event"


@dataclass(frozen=True, slots=True)
class Upload:
    """One object version that was put under ``uploads/``. ``version_id`` is ``""`` where the event names none."""

    bucket: str
    key: str
    version_id: str
    size_bytes: int


def parse_upload(body: str) -> Upload:
    """Parse one SQS body; ``MalformedEvent`` says what is missing."""
    try:
        detail = json.loads(body)["detail"]
        item = detail["object"]
        return Upload(
            bucket=detail["bucket"]["name"],
            key=item["key"],
            version_id=item.get("version-id") or "",
            size_bytes=int(item.get("size", 0)),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"it lacks {error}" if isinstance(error, KeyError) else type(error).__name__  # never a value of it
        raise MalformedEvent(f"This message is no S3 'Object Created' event: {what}.") from error
