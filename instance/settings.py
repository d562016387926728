"""What the agent is told: ids in the user data, everything else from the deployment itself."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields

from avskrift.errors import ConfigurationError
from instance.metadata import InstanceMetadata, launched_at

RETIRE_AT = 0.9
"""Share of the maximum life after which no other job is begun."""


@dataclass(frozen=True)
class AgentSettings:
    """The launch template's user data, one JSON object: ids and limits, never a secret."""

    deployment: str
    region: str
    bucket: str
    table: str
    jobs_queue_url: str
    outbox_queue_url: str
    secret_id: str
    log_group: str
    """Where the agent's own logs and metrics go, in a stream named after the instance; empty: nowhere."""
    model: str
    """Name of the model on the image."""
    device: str
    """``auto``, ``cuda`` or ``cpu``."""
    linger_s: float
    """How long the queue must stay empty before the agent ends."""
    lease_s: float
    """Silence after which capacity takes a job away; also the message's visibility."""
    heartbeat_s: float
    max_life_s: float
    max_failures: int
    max_duration_s: float
    """Longest recording that is accepted."""
    insecure_callbacks: bool
    """Local cloud only."""

    @classmethod
    def from_user_data(cls, text: str) -> AgentSettings:
        """Parse; ``ConfigurationError`` names what is missing."""
        try:
            values = json.loads(text)
            return cls(**{item.name: values[item.name] for item in fields(cls)})
        except (ValueError, TypeError) as error:
            raise ConfigurationError("The user data is no JSON object: launch from the stack's template.") from error
        except KeyError as error:
            raise ConfigurationError(f"The user data lacks {error}: deploy the stack again.") from error


@dataclass(frozen=True, slots=True)
class Identity:
    """Which instance this is, and what it costs."""

    instance_id: str
    instance_type: str
    market: str
    """``spot`` or ``on-demand``."""
    launched_at: float | None

    @classmethod
    def read(cls, metadata: InstanceMetadata) -> Identity:
        document = json.loads(metadata.require("dynamic/instance-identity/document"))
        return cls(
            instance_id=metadata.require("meta-data/instance-id"),
            instance_type=metadata.require("meta-data/instance-type"),
            market=metadata.get("meta-data/instance-life-cycle") or "on-demand",
            launched_at=launched_at(document),
        )
