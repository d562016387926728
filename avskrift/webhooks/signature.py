"""Signatures by the Standard Webhooks specification (https://www.standardwebhooks.com), version ``v1``."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping

from avskrift.errors import AvskriftError, ConfigurationError

SECRET_PREFIX = "whsec_"  # noqa: S105 - the prefix, not a secret
TOLERANCE_S = 300
"""How far a timestamp may lie from the receiver's clock (the specification's advice)."""


class InvalidSignature(AvskriftError):
    """A webhook that nobody with an active secret signed, or too old to trust."""

    code = "invalid_signature"


def sign(secret: str, message_id: str, timestamp_s: int, body: bytes) -> str:
    """``v1,<base64 HMAC-SHA256>`` of ``id.timestamp.body`` under a ``whsec_…`` secret."""
    signed = b".".join((message_id.encode(), str(timestamp_s).encode(), body))
    digest = hmac.new(_key_of(secret), signed, hashlib.sha256).digest()
    return "v1," + base64.b64encode(digest).decode()


def signed_headers(secrets: Iterable[str], message_id: str, timestamp_s: int, body: bytes) -> dict[str, str]:
    """The three headers of one attempt; one signature per active secret, so that receivers can rotate."""
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp_s),
        "webhook-signature": " ".join(sign(secret, message_id, timestamp_s, body) for secret in secrets),
    }


def verify(secret: str, headers: Mapping[str, str], body: bytes, now_s: float) -> None:
    """Raise ``InvalidSignature`` unless the headers sign this body now."""
    lowered = {name.lower(): value for name, value in headers.items()}
    try:
        message_id, given = lowered["webhook-id"], lowered["webhook-signature"]
        timestamp_s = int(lowered["webhook-timestamp"])
    except (KeyError, ValueError) as error:
        raise InvalidSignature(
            f"A webhook needs webhook-id, webhook-timestamp and webhook-signature: {error}."
        ) from error
    if abs(now_s - timestamp_s) > TOLERANCE_S:
        raise InvalidSignature(
            f"The timestamp lies more than {TOLERANCE_S} s from this clock: replayed, or a wrong clock."
        )
    expected = sign(secret, message_id, timestamp_s, body)
    if not any(hmac.compare_digest(expected.encode(), candidate.encode()) for candidate in given.split()):
        raise InvalidSignature("No signature fits: another secret, or a body changed on the way.")


def _key_of(secret: str) -> bytes:
    try:
        return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error as error:
        raise ConfigurationError("A webhook secret is whsec_ and base64; this one is not.") from error
