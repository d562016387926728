"""The EC2 proxy's gate: it knows its callers by their sessions and refuses whom it does not know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from avskrift.local.aws import REGION
from avskrift.local.ec2.errors import Ec2Error
from avskrift.local.ec2.state import Ec2State
from avskrift.local.iam.gate import Gate

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    """With a role that may look at instances; its clients take long to make."""
    with mock_aws():
        session = boto3.Session("test", "test", region_name=REGION)
        iam = session.client("iam")
        iam.create_role(RoleName="looker", AssumeRolePolicyDocument=json.dumps(TRUST))
        look = {"Effect": "Allow", "Action": "ec2:DescribeInstances", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [look]})
        iam.put_role_policy(RoleName="looker", PolicyName="look", PolicyDocument=policy)
        yield Gate(session.client, Ec2State())


def signed_by(access_key: str) -> str:
    return f"AWS4-HMAC-SHA256 Credential={access_key}/20261121/eu-north-1/ec2/aws4_request, Signature=00"


def session_of(gate: Gate, role: str) -> str:
    answer = gate.assume_role(RoleArn=f"arn:aws:iam::123456789012:role/{role}", RoleSessionName="session")
    return signed_by(answer["Credentials"]["AccessKeyId"])


def refusal(gate: Gate, action: str, authorization: str, **request: Any) -> str:
    with pytest.raises(Ec2Error) as refused:
        gate.check(action, request, authorization)
    return refused.value.code


def test_session_may_do_what_its_role_may(gate: Gate) -> None:
    session = session_of(gate, "looker")
    gate.check("DescribeInstances", {}, session)
    assert refusal(gate, "DescribeVolumes", session) == "UnauthorizedOperation"
    assert refusal(gate, "TerminateInstances", session, InstanceIds=["i-0123456789abcdef0"]) == "UnauthorizedOperation"


def test_account_itself_may_do_everything(gate: Gate) -> None:
    gate.check("TerminateInstances", {"InstanceIds": ["i-0123456789abcdef0"]}, signed_by("test"))


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        ("", "MissingAuthenticationToken"),
        ("Bearer x", "MissingAuthenticationToken"),
        (signed_by("ASIAX"), "AuthFailure"),
    ],
)
def test_stranger_may_do_nothing(gate: Gate, authorization: str, code: str) -> None:
    assert refusal(gate, "DescribeInstances", authorization) == code
