"""The stage of the agent's tests."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from avskrift.jobs.delivery import Outbox, WebhookSecrets
from avskrift.webhooks.address import AddressRules
from avskrift.webhooks.send import WebhookSender
from instance.faults import Patience
from instance.services import Services
from instance.settings import AgentSettings, Identity
from tests.instance.agent_stage import NOW, ScriptedEngine, Stage


@pytest.fixture
def stage(deployment: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    disk = tmp_path / "disk"
    disk.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(disk))
    secrets = deployment.client("secretsmanager")
    secrets.create_secret(Name="webhooks", SecretString=json.dumps({"current": "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}))
    settings = AgentSettings(
        deployment="test",
        region="eu-north-1",
        bucket=deployment.bucket,
        table="jobs",
        jobs_queue_url=deployment.jobs_queue_url,
        outbox_queue_url=deployment.outbox_queue_url,
        secret_id="webhooks",
        log_group="",
        model="scripted",
        device="cpu",
        linger_s=0.0,
        lease_s=30.0,
        heartbeat_s=0.05,
        max_life_s=600.0,
        max_failures=2,
        max_duration_s=3_600.0,
        insecure_callbacks=True,
    )
    outbox = Outbox(
        deployment.table,
        WebhookSecrets(secrets, "webhooks"),
        WebhookSender(AddressRules(allow_loopback=True)),
        deployment.sqs,
        deployment.outbox_queue_url,
    )
    engine = ScriptedEngine()
    services = Services(
        settings=settings,
        identity=Identity("i-1", "g4dn.xlarge", "spot", NOW),
        table=deployment.table,
        s3=deployment.s3,
        sqs=deployment.sqs,
        outbox=outbox,
        engine_for=lambda *_: engine,
        booted_at=NOW + 30.0,
        retry_delay_s=0.0,
        patience=Patience(pauses_s=(0.0, 0.0)),
    )
    yield Stage(deployment, services, engine)
    assert engine.complaints == []
