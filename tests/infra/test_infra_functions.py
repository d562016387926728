"""Functions: their logs, their settings, and that nothing else comes along."""

from __future__ import annotations

import json

import pytest
from aws_cdk.assertions import Template

from lambdas.environment import Environment
from lambdas.settings import capacity_settings, launch_settings, register_settings
from tests.infra.template_reading import Resources, only, resources_for


@pytest.mark.parametrize("part", ["register", "reconcile", "capacity", "deliver"])
def test_each_function_logs_to_its_own_group_and_may_write_to_no_other(resources: Resources, part: str) -> None:
    function = only(resources, "AWS::Lambda::Function", part.capitalize())
    group = function["LoggingConfig"]["LogGroup"]["Ref"]
    role = resources[function["Role"]["Fn::GetAtt"][0]]["Properties"]

    assert function["Handler"] == f"lambdas.{part}.handler"
    assert resources[group]["Properties"]["LogGroupName"] == f"/avskrift/avskrift/{part}"
    assert resources[group]["Properties"]["RetentionInDays"] == 30
    assert json.loads(resources_for(role, "logs:PutLogEvents")) == [{"Fn::GetAtt": [group, "Arn"]}]
    assert "ManagedPolicyArns" not in role


def test_functions_find_all_their_settings_in_their_environment(resources: Resources) -> None:
    def environment(part: str) -> Environment:
        variables = only(resources, "AWS::Lambda::Function", part)["Environment"]["Variables"]
        return Environment(
            {name: value if isinstance(value, str) else "reference" for name, value in variables.items()}
        )

    assert register_settings(environment("Register")).max_size_bytes == 20 * 1024**3
    assert register_settings(environment("Reconcile")) == register_settings(environment("Register"))
    assert capacity_settings(environment("Capacity")).limits.max_instances == 5
    assert capacity_settings(environment("Capacity")).limits.idle_limit_s == 1200
    assert launch_settings(environment("Capacity")).instance_types == ("g4dn.xlarge", "g6.xlarge", "g5.xlarge")
    assert environment("Capacity").names("SUBNET_ZONES") == ("eu-north-1a", "eu-north-1b", "eu-north-1c")
    assert environment("Deliver").text("SECRET_ID")
    assert environment("Register").text("CAPACITY_FUNCTION")
    assert environment("Reconcile").text("CAPACITY_FUNCTION")
    assert environment("Reconcile").text("BUCKET")
    assert not environment("Deliver").insecure_callbacks


def test_no_function_of_cdks_own_comes_along(template: Template) -> None:
    template.resource_count_is("AWS::Lambda::Function", 4)
    assert not template.find_resources("Custom::S3BucketNotifications")
