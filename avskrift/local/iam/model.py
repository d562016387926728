"""One question to IAM, and who answers it: the emulator's own evaluator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ministack.core.iam_evaluator import EvalContext, evaluate, parse_policy_document  # type: ignore[import-untyped]

from avskrift.local.aws import ACCOUNT_ID, REGION

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Check:
    """May somebody do this to that?"""

    action: str
    """As a policy names it, for example ``s3:PutObject``."""
    resource: str
    """ARN, or ``*`` for actions that know no resources."""
    context: Mapping[str, Any] = field(default_factory=dict)
    """Condition keys of the request and their values."""


def is_allowed(check: Check, policies: Sequence[Document], role: str) -> bool:
    """Whether the policies of ``role`` allow it: some statement does and none denies it."""
    context = EvalContext(
        principal_arn=f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{role}/session",
        principal_type="AssumedRole",
        principal_account=ACCOUNT_ID,
        action=check.action,
        resource_arn=check.resource,
        region=REGION,
        secure_transport=True,
        service_context={key.lower(): value for key, value in check.context.items()},
    )
    parsed = [parse_policy_document(dict(policy)) for policy in policies]
    return bool(evaluate(context, parsed).decision == "Allow")
