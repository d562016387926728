"""The main job where every signature and every policy is checked: each part gets by with its own role's rights."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from avskrift.jobs.model import Job, JobStatus
from avskrift.local.ec2.faults import Fault
from avskrift.local.processes import await_condition

pytestmark = [pytest.mark.slow, pytest.mark.cloud, pytest.mark.speech, pytest.mark.xdist_group("authorization")]

REFUSAL = re.compile("AccessDenied|UnauthorizedOperation|AuthFailure|not authorized|Forbidden")
#: The emulator asks about a log stream by its group's ARN, and so refuses every agent its own.
EMULATORS_FAULT = "CreateLogStream answered AccessDeniedException"
CONTEXT = {"linger_s": "2", "heartbeat_s": "1", "lease_s": "5", "max_duration_s": "1800"}


@pytest.fixture(scope="module")
def enforcing(chain_opener: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with chain_opener(tmp_path_factory.mktemp("enforcing å"), enforcing=True, context=CONTEXT) as opened:
        yield opened


def is_at_work(job: Job) -> bool:
    return job.status is JobStatus.RUNNING and "model_ready" in job.phases


def state_of(chain: Any, instance_id: str) -> str:
    return str({one.instance_id: one.state for one in chain.cloud.instances()}[instance_id])


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


def test_spot_notice_hands_the_job_on_to_an_instance_that_resumes_it(
    enforcing: Any, media: Any, speech: bytes, unique: str
) -> None:
    job_id = enforcing.put(f"uploads/{unique}/long.mp3", bytes(media.as_mp3(speech)) * 24, language="en")
    struck = enforcing.await_job(job_id, is_at_work, "the work")
    enforcing.cloud.interrupt(struck.instance_id, notice_s=30)
    enforcing.await_job(job_id, lambda job: job.attempt > 1 or job.status is JobStatus.QUEUED, "the return")
    await_condition(lambda: state_of(enforcing, struck.instance_id) == "terminated", 30, "the end of the instance")
    enforcing.run_capacity()
    job, _ = enforcing.await_end(job_id)
    assert (job.status, job.attempt, job.failures) == (JobStatus.COMPLETED, 2, 0)
    enforcing.await_empty()


def test_cancelled_job_leaves_nothing_of_its_own(enforcing: Any, media: Any, speech: bytes, unique: str) -> None:
    """The clean-up of the agent: it takes back what it wrote."""
    job_id = enforcing.put(f"uploads/{unique}/unwanted.mp3", bytes(media.as_mp3(speech)) * 24, language="en")
    enforcing.await_job(job_id, is_at_work, "the work")
    enforcing.client.cancel(job_id)
    job, reception = enforcing.await_end(job_id)
    assert (job.status, reception.type) == (JobStatus.CANCELLED, "job.cancelled")
    enforcing.await_empty()
    for prefix in (f"work/{job_id}/", f"results/{job_id}/transcript"):
        assert "Contents" not in enforcing.s3.list_objects_v2(Bucket=enforcing.bucket, Prefix=prefix)


def test_deleted_recording_is_told_from_a_missing_right(enforcing: Any, speech: bytes, unique: str) -> None:
    """Only who may list the bucket is told that an object is gone."""
    for market in ("spot", "on-demand"):  # hold the agent back until the recording is gone
        enforcing.cloud.inject_fault(Fault("InsufficientInstanceCapacity", market=market, times=1_000))
    key = f"uploads/{unique}/deleted.ogg"
    job_id = enforcing.put(key, speech)
    enforcing.await_job(job_id, lambda job: job.status is JobStatus.QUEUED, "the registration")
    enforcing.s3.delete_object(Bucket=enforcing.bucket, Key=key)
    enforcing.cloud.clear_faults()
    enforcing.run_capacity()
    job, _ = enforcing.await_end(job_id)
    assert (job.status, job.error.code) == (JobStatus.FAILED, "object_gone")
    enforcing.await_empty()


def test_nobody_was_refused_anything_on_the_way(enforcing: Any) -> None:
    """After all of the above: a refusal that somebody swallowed would stand in a log."""
    logs = {path.name: path.read_text(encoding="utf-8") for path in enforcing.cloud.folder.glob("instances/*.log")}
    assert logs
    client = enforcing.cloud.client("logs")
    for part in ("register", "reconcile", "capacity", "deliver"):
        pages = client.get_paginator("filter_log_events").paginate(logGroupName=f"/avskrift/avskrift/{part}")
        logs[part] = "\n".join(event["message"] for page in pages for event in page["events"])
        assert logs[part], f"{part} wrote its log"
    lines = [f"{name}: {line}" for name, text in logs.items() for line in text.splitlines()]
    refused = [line for line in lines if REFUSAL.search(line) and EMULATORS_FAULT not in line]
    assert refused == []


def test_without_one_of_its_rights_an_agent_fails_visibly(enforcing: Any, media: Any, unique: str) -> None:
    """The rights are really what lets the job succeed."""
    iam = enforcing.cloud.client("iam")
    (role,) = [one for one in iam.list_roles()["Roles"] if one.get("Description") == "The agent on an instance."]
    deny = {"Effect": "Deny", "Action": "s3:PutObject", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    iam.put_role_policy(RoleName=role["RoleName"], PolicyName="planted", PolicyDocument=policy)
    try:
        job_id = enforcing.put(f"uploads/{unique}/denied.wav", media.silence(1))
        enforcing.await_job(job_id, lambda job: job.failures > 0, "a failed attempt")
    finally:
        iam.delete_role_policy(RoleName=role["RoleName"], PolicyName="planted")
    enforcing.client.cancel(job_id)
    assert enforcing.await_end(job_id)[0].status is JobStatus.CANCELLED


def test_unsigned_and_plain_requests_are_refused(enforcing: Any) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(enforcing.cloud.endpoint, timeout=10)
    stranger = enforcing.cloud.session().client("s3", aws_access_key_id="AKIASTRANGER", aws_secret_access_key="x")
    with pytest.raises(ClientError, match="InvalidAccessKeyId"):
        stranger.list_objects_v2(Bucket=enforcing.bucket)
