"""The main job where every signature and every policy is checked: each part gets by with its own role's rights."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from avskrift.jobs.model import JobStatus

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.speech, pytest.mark.xdist_group("authorization")]

CONTEXT = {"linger_s": "2", "heartbeat_s": "1", "lease_s": "5", "max_duration_s": "1800"}


@pytest.fixture(scope="module")
def enforcing(chain_opener: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chain_opener(tmp_path_factory.mktemp("enforcing å"), enforcing=True, context=CONTEXT) as opened:
        yield opened


def test_upload_brings_a_verified_webhook_and_the_instance_ends(enforcing: Any, speech: bytes, unique: str) -> None:
    job_id = enforcing.put(f"uploads/{unique}/speech.ogg", speech, language="en")
    job, reception = enforcing.await_end(job_id)
    assert (job.status, job.attempt, reception.type) == (JobStatus.COMPLETED, 1, "job.completed")
    assert enforcing.text_of(job).strip()
    linked = requests.get(reception.event["data"]["links"]["txt"], timeout=10, verify=enforcing.cloud.tls.bundle)
    assert linked.status_code == 200, "a link signed with the agent's own session"
    enforcing.await_empty()


def test_webhook_that_failed_is_sent_again_by_deliver(enforcing: Any, media: Any, unique: str) -> None:
    enforcing.receiver.answer_next([500])
    job, _ = enforcing.await_end(enforcing.put(f"uploads/{unique}/again.wav", media.silence(1)))
    second = enforcing.receiver.wait_for(lambda one: one.job_id == job.job_id and one.attempts == 2, 60)
    assert second.verified
    enforcing.await_job(job.job_id, lambda one: "delivered" in one.phases, "the delivery")


def test_reconcile_finds_an_upload_that_no_event_told_of(enforcing: Any) -> None:
    name = enforcing.cloud.outputs["ReconcileFunction"]
    answer = enforcing.cloud.client("lambda").invoke(FunctionName=name)
    assert "FunctionError" not in answer
    assert json.loads(answer["Payload"].read())["faults"] == 0


def test_instance_without_its_right_to_results_ends_the_job_visibly(enforcing: Any, media: Any, unique: str) -> None:
    """The rights are really what lets the job succeed: without one of them it does not."""
    iam = enforcing.cloud.client("iam")
    (role,) = [one for one in iam.list_roles()["Roles"] if one.get("Description") == "The agent on an instance."]
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    enforcing.await_empty()
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="planted", PolicyDocument=policy)
    try:
        job_id = enforcing.put(f"uploads/{unique}/denied.wav", media.silence(1))
        failed = enforcing.await_job(job_id, lambda job: job.failures > 0, "a failed attempt")
        assert failed.status is not JobStatus.COMPLETED
    finally:
        iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="planted")
    job, reception = enforcing.await_end(job_id)
    assert (job.status, reception.type) == (JobStatus.COMPLETED, "job.completed")
    enforcing.await_empty()


def test_unsigned_and_plain_requests_are_refused(enforcing: Any) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(enforcing.cloud.endpoint, timeout=10)
    stranger = enforcing.cloud.session().client("s3", aws_access_key_id="AKIASTRANGER", aws_secret_access_key="x")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        stranger.list_objects_v2(Bucket=enforcing.bucket)
