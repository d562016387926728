"""Functions: their logs, their settings, and that nothing else comes along."""

from __future__ import annotations

import json

import pytest
from aws_cdk.assertions import Template

from avskrift.errors import ConfigurationError
from infra.environment import MAX_BYTES
from infra.limits import MAX_CALLBACK_HOSTS_LENGTH, MAX_CALLBACK_URL_LENGTH
from lambdas.environment import Environment
from lambdas.settings import capacity_settings, launch_settings, register_settings
from tests.infra.conftest import Synthesize
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


def environment_bytes(template: Template) -> dict[str, int]:
    """As Lambda measures it, with a queue's address in place of every reference."""
    functions = template.find_resources("AWS::Lambda::Function").items()
    variables = {name: one["Properties"]["Environment"]["Variables"] for name, one in functions}
    told = {
        name: {key: value if isinstance(value, str) else "x" * 131 for key, value in values.items()}
        for name, values in variables.items()
    }
    return {name: len(json.dumps(values, separators=(",", ":"))) for name, values in told.items()}


def test_the_longest_addresses_of_callbacks_fit_beside_the_rest(synthesize: Synthesize) -> None:
    url = "https://receiver.example/".ljust(MAX_CALLBACK_URL_LENGTH, "x")
    host = ".".join([*3 * [60 * "x"], "receiver.example"])
    hosts = [f"{number}.{host}" for number in range(MAX_CALLBACK_HOSTS_LENGTH // (len(host) + 3))]
    told = environment_bytes(synthesize(callback_url=url, allowed_callback_hosts=hosts))

    assert 3500 < max(told.values()) <= MAX_BYTES


def test_settings_that_are_too_long_together_are_refused_with_a_sentence(synthesize: Synthesize) -> None:
    types = [f"g{number}dn.12xlarge" for number in range(100, 350)]
    refusal = r'"instance_types" is too long beside the others: the function capacity would have \d+ bytes'

    with pytest.raises(ConfigurationError, match=refusal):
        synthesize(instance_types=types, availability_zones="eu-north-1a")
    fitting = synthesize(instance_types=types[:150], availability_zones="eu-north-1a")
    assert 3000 < max(environment_bytes(fitting).values()) <= MAX_BYTES


def test_no_function_of_cdks_own_comes_along(template: Template) -> None:
    template.resource_count_is("AWS::Lambda::Function", 4)
    assert not template.find_resources("Custom::S3BucketNotifications")
