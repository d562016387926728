"""The doctor reads what the stack says: the names it asks for are those that the template has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from aws_cdk.assertions import Template

import avskrift.doctor
from avskrift.doctor import functions
from avskrift.doctor.subject import USUAL, Settings
from infra.config import Config

SOURCES = "".join(path.read_text() for path in Path(avskrift.doctor.__file__).parent.glob("*.py"))


def environments(resources: Mapping[str, Any]) -> Mapping[str, Any]:
    """Of each function, by its part."""
    return {
        found["Properties"]["Handler"].split(".")[1]: found["Properties"]["Environment"]["Variables"]
        for found in resources.values()
        if found["Type"] == "AWS::Lambda::Function"
    }


def test_every_output_that_the_doctor_asks_for_is_one_of_the_stack(template: Template) -> None:
    asked = set(re.findall(r'(?:output\(|outputs\[|outputs\.get\(|attributes\(subject, )"(\w+)"', SOURCES))
    asked |= {f"{part.capitalize()}Function" for part in functions.PARTS}
    asked |= {f"{queue}DlqUrl" for queue in ("Uploads", "Jobs", "Outbox")}

    assert {"BucketName", "SecretId", "LaunchTemplateId", "UploadsQueueUrl"} <= asked
    assert asked <= template.to_json()["Outputs"].keys()


@pytest.mark.parametrize("part", ["capacity", "register"])
def test_every_setting_that_the_doctor_reads_of_a_function_is_one_that_it_is_told(
    resources: Mapping[str, Any], part: str
) -> None:
    asked = set(re.findall(rf"{part}\[\"(AVSKRIFT_\w+)\"\]", SOURCES))

    assert len(asked) >= 2
    assert asked <= environments(resources)[part].keys()


def test_the_doctors_settings_are_those_of_a_deployment() -> None:
    config = Config.from_context({})

    assert Settings.of(config).instance_types == config.instance_types
    assert {name: getattr(config, name) for name in USUAL} == USUAL
