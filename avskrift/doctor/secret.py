"""The secret that webhooks are signed with: readable and well-formed. It is never shown."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator

from avskrift.doctor.check import Check, green, red
from avskrift.doctor.subject import Subject

SIZE_BYTES = range(24, 65)
"""Standard Webhooks: between 24 and 64 bytes
(https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, read 2026-11)."""
_NAME = "webhook secret"


def secret(subject: Subject) -> Iterator[Check]:
    """``{"current": …, "previous": …}``, each base64 of a key."""
    secret_id, secrets = subject.output("SecretId"), subject.session.client("secretsmanager")
    try:
        text = secrets.get_secret_value(SecretId=secret_id).get("SecretString")
    except secrets.exceptions.ResourceNotFoundException:
        yield red(_NAME, f"{secret_id} is gone or has no value: no webhook can be signed.", subject.settings.repair())
        return
    except secrets.exceptions.InvalidRequestException:
        restore = subject.aws(f"secretsmanager restore-secret --secret-id {secret_id}")
        yield red(_NAME, "It is marked for deletion: no webhook can be signed.", restore)
        return
    if fault := fault_of(text):
        value = """"{\\"current\\": \\"$(openssl rand -base64 24)\\"}\""""
        command = f"secretsmanager put-secret-value --secret-id {secret_id} --secret-string {value}"
        yield red(_NAME, f"{fault}: no webhook can be signed.", subject.aws(command))
    else:
        yield green(_NAME, "Readable and well-formed.")


def fault_of(text: str | None) -> str:
    """What is wrong with a secret's text, in words that don't quote it; empty: nothing."""
    if text is None:
        return "It is stored as binary, not as text"
    try:
        stored = json.loads(text)
    except (ValueError, RecursionError):
        return "It is no JSON"
    if not isinstance(stored, dict) or not stored.get("current"):
        return 'It is no JSON object with "current"'
    for name in ("current", "previous"):
        if stored.get(name) and not _is_key(stored[name]):
            return f'"{name}" is not base64 of {SIZE_BYTES.start} to {SIZE_BYTES.stop - 1} bytes'
    return ""


def _is_key(value: object) -> bool:
    try:
        return isinstance(value, str) and len(base64.b64decode(value, validate=True)) in SIZE_BYTES
    except (binascii.Error, ValueError):
        return False
