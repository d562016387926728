"""With ``customer_key`` the deployed stack works as without: one job from its upload to its webhook."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from avskrift.jobs.model import JobStatus

pytestmark = [pytest.mark.cloud, pytest.mark.slow, pytest.mark.xdist_group("cloud")]


def test_a_job_under_the_deployments_own_key(chain_opener: Any, media: Any, tmp_path: Path) -> None:
    context = {"customer_key": "true", "linger_s": "2", "heartbeat_s": "1", "lease_s": "5"}
    with chain_opener(tmp_path, context=context) as chain:
        job, reception = chain.await_end(chain.put("uploads/silence.ogg", media.silence(1)))

        assert (job.status, reception.type) == (JobStatus.COMPLETED, "job.completed")
        chain.await_empty()
        keys = keys_in_use(chain)
        assert len(keys) == 1, keys
        assert chain.cloud.client("kms").describe_key(KeyId="alias/avskrift/avskrift")["KeyMetadata"]["Arn"] in keys


def keys_in_use(chain: Any) -> set[str]:
    """The keys that queues and secret say they are under; the emulator forgets those of bucket and table."""
    client, outputs = chain.cloud.client, chain.cloud.outputs
    queue = client("sqs").get_queue_attributes(QueueUrl=outputs["JobsQueueUrl"], AttributeNames=["All"])["Attributes"]
    secret = client("secretsmanager").describe_secret(SecretId=outputs["SecretId"])
    return {queue["KmsMasterKeyId"], secret["KmsKeyId"]}
